/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * copy.h - the copy engine
 *
 * Walks the source's map, leaves out what reads as zeros, reads and encodes pieces
 * on all processors and hands them to the sink.  A sink is a disk that is written at
 * random offsets, a writer that is fed in order, or neither: then the source is only
 * read (verify, hash).
 */
#ifndef PL_COPY_H
#define PL_COPY_H

#include <platter/job.h>

#include "disk.h"
#include "writer.h"

struct pl_hasher; /* hash.h */

struct pl_copy {
	struct pl_disk *source;
	struct pl_disk *target;   /* random-access sink, or NULL */
	struct pl_writer *writer; /* in-order sink, or NULL */
	bool target_is_zero; /* the target reads as zeros where nothing is written: zeros are left out */
	uint64_t withhold; /* random-access target: leave the bytes before this to the caller */
	bool update;       /* compare with the target first, write only what differs (resuming) */
	enum platter_sparse sparse;
	unsigned threads;         /* 0: one a processor, more where the work waits for storage */
	struct pl_hasher *hasher; /* gets every byte in order, or NULL */
	struct platter_progress *progress; /* or NULL */
	const char *phase;                 /* for progress events */

	/* Results. */
	uint64_t size, data, zero, bad, kept, shared;
};

int pl_copy_run(struct pl_copy *copy, struct platter_error *err);

#endif
