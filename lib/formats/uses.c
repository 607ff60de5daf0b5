/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uses.c - which clusters of a file have a user */
#include "uses.h"

/* 32 MiB of bits. */
#define MAX_CLUSTERS (1u << 28)

int
pl_uses_init(struct pl_uses *u, uint64_t nr, struct pl_findings *findings,
	     struct platter_error *err)
{
	if (nr > MAX_CLUSTERS) {
		pl_found(findings, PLATTER_NOTE, PLATTER_NO_OFFSET,
			 "the file has %" PRIu64
			 " clusters, too many to tell who uses them (limit is %u): not checked",
			 nr, MAX_CLUSTERS);
		return 1;
	}
	*u = (struct pl_uses){ .bits = calloc(1, (size_t)nr / 8 + 1), .nr = nr };
	return u->bits ? 0 : pl_no_memory(err);
}

void
pl_uses_done(struct pl_uses *u)
{
	free(u->bits);
	u->bits = NULL;
}

static bool
is_used(const struct pl_uses *u, uint64_t i)
{
	return u->bits[i / 8] >> i % 8 & 1;
}

bool
pl_use(struct pl_uses *u, uint64_t first, uint64_t last, uint64_t *ret_taken)
{
	for (uint64_t i = first; i <= last && i < u->nr; i++)
		if (is_used(u, i)) {
			*ret_taken = i;
			return false;
		}
	for (uint64_t i = first; i <= last && i < u->nr; i++)
		u->bits[i / 8] |= (uint8_t)(1u << i % 8);
	return true;
}

uint64_t
pl_unused(const struct pl_uses *u, uint64_t first, uint64_t *ret_first)
{
	uint64_t nr = 0;

	for (uint64_t i = first; i < u->nr; i++)
		if (!is_used(u, i) && nr++ == 0)
			*ret_first = i;
	return nr;
}
