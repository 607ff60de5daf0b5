/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ranges.c - a set of ranges of a disk */
#include "ranges.h"

/* 16 MiB of ranges; a disk of 16 TiB whose used and free parts alternate every 8 MiB has as many. */
#define MAX_RANGES (1u << 20)

void
pl_ranges_done(struct pl_ranges *r)
{
	free(r->range);
	*r = (struct pl_ranges){ 0 };
}

static int
by_start(const void *a, const void *b)
{
	const struct pl_range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* Join neighbours that are not more than `gap` bytes apart; they are in order. */
static void
join(struct pl_ranges *r, uint64_t gap)
{
	size_t nr = 0;

	for (size_t i = 0; i < r->nr; i++) {
		struct pl_range *last = nr ? &r->range[nr - 1] : NULL;

		if (last &&
		    (r->range[i].start <= last->end || r->range[i].start - last->end <= gap))
			last->end = PL_MAX(last->end, r->range[i].end);
		else
			r->range[nr++] = r->range[i];
	}
	r->nr = nr;
}

static void
put_in_order(struct pl_ranges *r)
{
	if (r->unsorted)
		qsort(r->range, r->nr, sizeof *r->range, by_start);
	r->unsorted = false;
	join(r, 0);
}

/* Room for one more; where there is none left, the smallest gaps are closed. */
static int
make_room(struct pl_ranges *r, struct platter_error *err)
{
	struct pl_range *p;

	if (r->nr < r->capacity)
		return 0;
	if (r->capacity == MAX_RANGES) {
		put_in_order(r);
		for (uint64_t gap = KIB(4); r->nr > MAX_RANGES / 2; gap *= 2)
			join(r, gap);
		return 0;
	}
	p = pl_realloc_array(r->range, PL_MAX(64, r->capacity * 2), sizeof *p);
	if (!p)
		return pl_no_memory(err);
	r->capacity = PL_MAX(64, r->capacity * 2);
	r->range = p;
	return 0;
}

int
pl_ranges_add(struct pl_ranges *r, uint64_t start, uint64_t length, struct platter_error *err)
{
	struct pl_range *last = r->nr ? &r->range[r->nr - 1] : NULL;
	uint64_t end;
	int e;

	if (__builtin_add_overflow(start, length, &end))
		end = UINT64_MAX;
	if (end <= start)
		return 0;
	if (last && start >= last->start && start <= last->end) {
		last->end = PL_MAX(last->end, end);
		return 0;
	}
	e = make_room(r, err);
	if (e < 0)
		return e;
	if (r->nr && start < r->range[r->nr - 1].start)
		r->unsorted = true;
	r->range[r->nr++] = (struct pl_range){ start, end };
	return 0;
}

/* The length of the run of equal bits at `bit`; 64 bits are compared at once where they can be. */
static uint64_t
run_of_bits(const uint8_t *bits, uint64_t bit, uint64_t nr_bits, enum pl_bit_order order,
	    bool value)
{
	uint8_t whole = value ? 0xff : 0;
	uint64_t i = bit;

	while (i < nr_bits) {
		unsigned shift = order == PL_LSB_FIRST ? i % 8 : 7 - i % 8;

		if (i % 8 == 0 && bits[i / 8] == whole) {
			uint64_t word;

			while (nr_bits - i >= 64 &&
			       (memcpy(&word, bits + i / 8, 8), word) == (value ? UINT64_MAX : 0))
				i += 64;
			if (i < nr_bits && bits[i / 8] == whole)
				i += PL_MIN(8, nr_bits - i);
			continue;
		}
		if (((bits[i / 8] >> shift) & 1) != value)
			break;
		i++;
	}
	return i - bit;
}

int
pl_ranges_add_bits(struct pl_ranges *r, const uint8_t *bits, uint64_t nr_bits,
		   enum pl_bit_order order, bool wanted, uint64_t start, uint64_t unit,
		   struct platter_error *err)
{
	uint64_t i = 0;
	int e = 0;

	while (i < nr_bits && e == 0) {
		uint64_t n, from, length;

		i += run_of_bits(bits, i, nr_bits, order, !wanted);
		n = run_of_bits(bits, i, nr_bits, order, wanted);
		if (__builtin_mul_overflow(i, unit, &from) ||
		    __builtin_add_overflow(from, start, &from))
			break;
		if (__builtin_mul_overflow(n, unit, &length))
			length = UINT64_MAX;
		e = pl_ranges_add(r, from, length, err);
		i += n;
	}
	return e;
}

void
pl_ranges_finish(struct pl_ranges *r, uint64_t end)
{
	put_in_order(r);
	while (r->nr && r->range[r->nr - 1].start >= end)
		r->nr--;
	if (r->nr)
		r->range[r->nr - 1].end = PL_MIN(r->range[r->nr - 1].end, end);
}

uint64_t
pl_ranges_bytes(const struct pl_ranges *r)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < r->nr; i++)
		bytes += r->range[i].end - r->range[i].start;
	return bytes;
}

const struct pl_range *
pl_ranges_find(const struct pl_ranges *r, uint64_t offset)
{
	size_t low = 0, high = r->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->range[mid].end <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low < r->nr ? &r->range[low] : NULL;
}

int
pl_ranges_invert(const struct pl_ranges *r, uint64_t end, struct pl_ranges *ret,
		 struct platter_error *err)
{
	uint64_t at = 0;
	int e = 0;

	for (size_t i = 0; i < r->nr && e == 0 && r->range[i].start < end; i++) {
		e = pl_ranges_add(ret, at, r->range[i].start - at, err);
		at = r->range[i].end;
	}
	if (e == 0 && at < end)
		e = pl_ranges_add(ret, at, end - at, err);
	return e;
}

int
pl_ranges_intersect(struct pl_ranges *r, const struct pl_ranges *with, struct platter_error *err)
{
	struct pl_ranges both = { 0 };
	int e = 0;

	for (size_t i = 0, k = 0; i < r->nr && k < with->nr && e == 0;) {
		uint64_t start = PL_MAX(r->range[i].start, with->range[k].start);
		uint64_t end = PL_MIN(r->range[i].end, with->range[k].end);

		if (start < end)
			e = pl_ranges_add(&both, start, end - start, err);
		if (r->range[i].end < with->range[k].end)
			i++;
		else
			k++;
	}
	if (e < 0) {
		pl_ranges_done(&both);
		return e;
	}
	pl_ranges_finish(&both, UINT64_MAX);
	pl_ranges_done(r);
	*r = both;
	return 0;
}

int
pl_ranges_copy(const struct pl_ranges *r, struct pl_ranges *ret, struct platter_error *err)
{
	int e = 0;

	for (size_t i = 0; i < r->nr && e == 0; i++)
		e = pl_ranges_add(ret, r->range[i].start, r->range[i].end - r->range[i].start, err);
	pl_ranges_finish(ret, UINT64_MAX);
	return e;
}
