/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * staged.h - changes of metadata that wait in memory for what they name
 *
 * A disk over the file of an image.  What is written to it stays in memory and is seen by
 * who reads it, until a commit brings it into the file: after the data and the blocks that
 * it names.
 */
#ifndef PL_STAGED_H
#define PL_STAGED_H

#include "disk.h"

/* What changes are kept in: no format has metadata and data in one of these. */
#define PL_STAGED_UNIT 512u

int pl_staged_new(struct pl_disk *file, struct pl_disk **ret, struct platter_error *err);

/* The file became longer: so does the disk over it. */
void pl_staged_follow(struct pl_disk *staged);

/* Bytes that wait. */
uint64_t pl_staged_bytes(struct pl_disk *staged);

/*
 * Hand each run of units that wait to `visit`, in ascending order, at most `most` bytes (a
 * multiple of the unit) at once; `bytes` is valid during the call.
 */
int pl_staged_visit(struct pl_disk *staged, uint32_t most,
		    int (*visit)(void *closure, uint64_t offset, const uint8_t *bytes, size_t n,
				 struct platter_error *err),
		    void *closure, struct platter_error *err);

/*
 * Write what waits into the file, in ascending order.  After a failure all of it still waits.
 * The caller has flushed the file first, and does so again where something depends on it.
 */
int pl_staged_commit(struct pl_disk *staged, struct platter_error *err);

#endif
