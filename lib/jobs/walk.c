/* SPDX-License-Identifier: GPL-3.0-or-later */
/* walk.c - going through a disk's map from front to back */
#include "walk.h"

/* A damaged map fails for whole runs; what is before the damage is found by halving to this. */
#define SMALLEST KIB(64)

int
pl_walk_at(struct pl_walk *w, uint64_t offset, uint64_t length, enum platter_kind *ret_kind,
	   uint64_t *ret_length, struct platter_error *err)
{
	if (offset < w->start || offset >= w->end) {
		uint64_t ahead = PL_WALK_AHEAD, n;
		enum platter_kind kind;
		int r;

		while ((r = pl_span(w->disk, offset, ahead, &kind, &n, err)) < 0 &&
		       ahead > SMALLEST)
			ahead /= 2;
		if (r < 0)
			return r;
		w->start = offset;
		w->end = offset + n;
		w->kind = kind;
	}
	*ret_kind = w->kind;
	*ret_length = PL_MIN(length, w->end - offset);
	return 0;
}
