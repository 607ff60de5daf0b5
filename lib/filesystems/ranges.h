/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ranges.h - a set of ranges of a disk
 *
 * Ranges may be added in any order and may overlap; pl_ranges_finish() puts them in order
 * and joins them.  Memory is bounded: past a million ranges the smallest gaps between them
 * are closed, which makes the set larger and never smaller.
 */
#ifndef PL_RANGES_H
#define PL_RANGES_H

#include "error.h"
#include "bytes.h"

struct pl_range {
	uint64_t start, end; /* end > start */
};

/* Start from {0}. */
struct pl_ranges {
	struct pl_range *range;
	size_t nr, capacity;
	bool unsorted;
};
void pl_ranges_done(struct pl_ranges *r);

/* Add [start, start + length); length 0 adds nothing, and what wraps ends at UINT64_MAX. */
int pl_ranges_add(struct pl_ranges *r, uint64_t start, uint64_t length, struct platter_error *err);

enum pl_bit_order {
	PL_LSB_FIRST,
	PL_MSB_FIRST,
};

/*
 * Add [start + i * unit, start + (i + 1) * unit) for every bit i < nr_bits that has the
 * value `wanted`.
 */
int pl_ranges_add_bits(struct pl_ranges *r, const uint8_t *bits, uint64_t nr_bits,
		       enum pl_bit_order order, bool wanted, uint64_t start, uint64_t unit,
		       struct platter_error *err);

/* In order, joined, cut at `end`. */
void pl_ranges_finish(struct pl_ranges *r, uint64_t end);

/* Of a finished set: the bytes in it. */
uint64_t pl_ranges_bytes(const struct pl_ranges *r);

/*
 * Of a finished set: the range that holds `offset`, or the first behind it; NULL: none.
 */
const struct pl_range *pl_ranges_find(const struct pl_ranges *r, uint64_t offset);

/* Of a finished set: everything below `end` that is not in it.  `ret` starts from {0}. */
int pl_ranges_invert(const struct pl_ranges *r, uint64_t end, struct pl_ranges *ret,
		     struct platter_error *err);

/* Of finished sets: leave in `r` only what is in `with` too. */
int pl_ranges_intersect(struct pl_ranges *r, const struct pl_ranges *with,
			struct platter_error *err);

/* The same ranges again.  `ret` starts from {0}. */
int pl_ranges_copy(const struct pl_ranges *r, struct pl_ranges *ret, struct platter_error *err);

#endif
