/* SPDX-License-Identifier: GPL-3.0-or-later */
/* matches.h - what Lempel-Ziv encoders put in place of bytes that were there before */
#ifndef PL_MATCHES_H
#define PL_MATCHES_H

#include "bytes.h"

#define PL_MATCH_HASH_BITS 16
#define PL_MATCH_WINDOW    (UINT32_C(1) << 18) /* the largest */

/* How hard to look. */
struct pl_match_params {
	uint32_t max_distance; /* less than PL_MATCH_WINDOW */
	unsigned min_length;   /* 3 or 4, of matches that are less than `near` back; */
	uint32_t near;         /* of others it is one more */
	unsigned depth;        /* places compared for each byte */
	unsigned nice_length;  /* enough to look no further */
	unsigned tries;        /* how many bytes later a better match may begin: at most 2 */
};

/* What is kept while looking; a megabyte, which need not be filled in.  For one thread. */
struct pl_matcher {
	/* The place where a hash was seen last, plus 1; and before each place, by its low bits. */
	uint32_t head[UINT32_C(1) << PL_MATCH_HASH_BITS];
	uint32_t previous[PL_MATCH_WINDOW];
};

/*
 * Takes nr bytes as they are at `literals`, then `length` from `distance` back; at the end of the
 * input both are 0.  False stops the search.
 */
typedef bool pl_match_fn(void *data, const uint8_t *literals, size_t nr, size_t length,
			 size_t distance);

/* All n bytes as such steps, n below 4 GiB; false when `take` was. */
bool pl_find_matches(struct pl_matcher *m, const struct pl_match_params *params, const uint8_t *in,
		     size_t n, pl_match_fn *take, void *data);

#endif
