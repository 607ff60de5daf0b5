/* SPDX-License-Identifier: GPL-3.0-or-later */
/* walk.h - going through a disk's map from front to back, without walking any part twice */
#ifndef PL_WALK_H
#define PL_WALK_H

#include "disk.h"

/* How far ahead a walk looks at once: far for holes, near enough to be cancelled. */
#define PL_WALK_AHEAD GIB(1)

/* Start from { .disk = ... }; the rest is what was last seen. */
struct pl_walk {
	struct pl_disk *disk;
	uint64_t start, end;    /* a run of one kind; empty at first */
	enum platter_kind kind; /* DATA, ZERO or BAD */
};

/*
 * What is at `offset` (< size), and for how many bytes up to `length`, more than 0.  After an
 * error the walk may go on at a later offset.
 */
int pl_walk_at(struct pl_walk *w, uint64_t offset, uint64_t length, enum platter_kind *ret_kind,
	       uint64_t *ret_length, struct platter_error *err);

#endif
