/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uses.h - which clusters of a file have a user: a bit for each, for check() */
#ifndef PL_USES_H
#define PL_USES_H

#include "format.h"

struct pl_uses {
	uint8_t *bits;
	uint64_t nr;
};

/* Returns 1, with a note to the findings, if there are too many to keep count of. */
int pl_uses_init(struct pl_uses *u, uint64_t nr, struct pl_findings *findings,
		 struct platter_error *err);
void pl_uses_done(struct pl_uses *u); /* also of a zeroed one */

/* Note a user of clusters [first, last].  False: *ret_taken has one already; nothing was noted. */
bool pl_use(struct pl_uses *u, uint64_t first, uint64_t last, uint64_t *ret_taken);

/* The number of clusters from `first` on without a user, and where the first of them is. */
uint64_t pl_unused(const struct pl_uses *u, uint64_t first, uint64_t *ret_first);

#endif
