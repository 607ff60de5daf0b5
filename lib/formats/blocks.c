/* SPDX-License-Identifier: GPL-3.0-or-later */
/* blocks.c - what images made of blocks and a table share */
#include <stdio.h>

#include "blocks.h"

/* A page of a table: 8192 entries of 8 bytes. */
#define PAGE KIB(64)
/* Entries are written in pieces of this size. */
#define STORE_PIECE KIB(256)

/* Runs that one call of pl_blocks_map() joins: what it takes has to end. */
#define MAX_JOINED 65536

/* Stands for every page without an entry; its bytes are never looked at. */
static uint8_t blank[1];

int
pl_block_table_init(struct pl_block_table *t, struct pl_disk *file, uint64_t offset, uint64_t bytes,
		    uint8_t absent, struct platter_error *err)
{
	if (!pl_in_range(offset, bytes, file->size)) {
		int r = pl_corrupt(err, offset,
				   "block table of %" PRIu64 " bytes at byte %" PRIu64
				   " passes the end of the file (%" PRIu64 " bytes)",
				   bytes, offset, file->size);

		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	t->nr_pages = (size_t)pl_div_round_up(bytes, PAGE);
	t->pages = calloc(t->nr_pages + 1, sizeof *t->pages);
	if (!t->pages)
		return pl_no_memory(err);
	t->file = file;
	t->offset = offset;
	t->bytes = bytes;
	t->absent = absent;
	return 0;
}

void
pl_block_table_done(struct pl_block_table *t)
{
	for (size_t i = 0; t->pages && i < t->nr_pages; i++)
		if (t->pages[i] != blank)
			free(t->pages[i]);
	free(t->pages);
	t->pages = NULL;
}

/* Index of the first byte that is not `value`, n if all are. */
static size_t
first_other(const uint8_t *p, size_t n, uint8_t value)
{
	uint64_t word = value * 0x0101010101010101u;
	size_t i = 0;

	while (i + 8 <= n && get_le64(p + i) == word)
		i += 8;
	while (i < n && p[i] == value)
		i++;
	return i;
}

/* Bytes of the index-th page. */
static size_t
page_size(const struct pl_block_table *t, size_t index)
{
	return (size_t)PL_MIN(PAGE, t->bytes - index * PAGE);
}

/* The index-th page, or `blank`. */
static int
get_page(struct pl_block_table *t, size_t index, uint8_t **ret, struct platter_error *err)
{
	uint8_t *page = t->pages[index], *expected = NULL;
	size_t n = page_size(t, index);
	int r;

	if (!page) {
		r = pl_read_alloc(t->file, n, t->offset + index * PAGE, &page, err);
		if (r < 0)
			return r;
		if (first_other(page, n, t->absent) == n) {
			free(page);
			page = blank;
		}
		/* Another thread may have read it too. */
		if (!atomic_compare_exchange_strong(&t->pages[index], &expected, page)) {
			if (page != blank)
				free(page);
			page = expected;
		}
	}
	*ret = page;
	return 0;
}

int
pl_block_table_get(struct pl_block_table *t, uint64_t at, size_t n, const uint8_t **ret,
		   struct platter_error *err)
{
	static const uint8_t zeros[16];
	static const uint8_t ones[16] = { 255, 255, 255, 255, 255, 255, 255, 255,
					  255, 255, 255, 255, 255, 255, 255, 255 };
	uint8_t *page;
	int r;

	if (n > sizeof zeros || !pl_in_range(at, n, t->bytes))
		return pl_corrupt(err, t->offset,
				  "byte %" PRIu64 " is past the end of a table of %" PRIu64
				  " bytes",
				  at, t->bytes);
	r = get_page(t, (size_t)(at / PAGE), &page, err);
	if (r < 0)
		return r;
	if (page == blank)
		*ret = t->absent ? ones : zeros;
	else
		*ret = page + at % PAGE;
	return 0;
}

/* In one go: who reads it meanwhile sees the old entry or the new one. */
static void
store_entry(uint8_t *at, size_t n, const void *entry)
{
	uint64_t long_one;
	uint32_t short_one;

	if (n == 8) {
		memcpy(&long_one, entry, 8);
		__atomic_store_n((uint64_t *)(void *)at, long_one, __ATOMIC_RELEASE);
	} else {
		memcpy(&short_one, entry, 4);
		__atomic_store_n((uint32_t *)(void *)at, short_one, __ATOMIC_RELEASE);
	}
}

int
pl_block_table_set(struct pl_block_table *t, uint64_t at, size_t n, const void *entry,
		   struct platter_error *err)
{
	size_t index = (size_t)(at / PAGE), size;
	uint8_t *page, *own;
	int r = get_page(t, index, &page, err);

	if (r < 0)
		return r;
	if (page == blank) {
		size = page_size(t, index);
		own = malloc(size);
		if (!own)
			return pl_no_memory(err);
		memset(own, t->absent, size);
		t->pages[index] = page = own;
	}
	r = pl_write(t->file, entry, n, t->offset + at, err);
	if (r == 0)
		store_entry(page + at % PAGE, n, entry);
	return r;
}

int
pl_block_table_blank(struct pl_disk *file, uint64_t at, uint64_t n, struct platter_error *err)
{
	size_t piece = (size_t)PL_MIN(n, STORE_PIECE);
	PL_AUTOFREE uint8_t *ones_of_piece = malloc(piece + 1);
	int r = 0;

	if (!ones_of_piece)
		return pl_no_memory(err);
	memset(ones_of_piece, 0xff, piece);
	for (uint64_t done = 0; done < n && r == 0; done += piece)
		r = pl_write(file, ones_of_piece, (size_t)PL_MIN(n - done, piece), at + done, err);
	return r;
}

int
pl_block_table_skip(struct pl_block_table *t, uint64_t at, uint64_t end, uint64_t *ret,
		    struct platter_error *err)
{
	end = PL_MIN(end, t->bytes);
	while (at < end) {
		uint64_t page_end = PL_MIN(pl_round_down(at, PAGE) + PAGE, end);
		size_t in_page = (size_t)(at % PAGE), n = (size_t)(page_end - at), i;
		uint8_t *page;
		int r = get_page(t, (size_t)(at / PAGE), &page, err);

		if (r < 0)
			return r;
		i = page == blank ? n : first_other(page + in_page, n, t->absent);
		at += i;
		if (i < n)
			break;
	}
	*ret = at;
	return 0;
}

static int
take_as_is(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	   size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	memcpy(out, in, PL_MIN(in_size, out_size));
	return 0;
}

static const struct pl_decoder as_is = { .name = "metadata", .decode = take_as_is };

int
pl_block_cached(struct pl_disk *owner, struct pl_disk *file, uint64_t offset, uint32_t n, void *buf,
		struct platter_error *err)
{
	struct pl_extent e = { .length = n,
			       .kind = PLATTER_DATA,
			       .below = file,
			       .stored_offset = offset,
			       .decoder = &as_is,
			       .stored_length = n,
			       .chunk_offset = offset,
			       .chunk_length = n };

	return pl_cache_read(owner, &e, buf, n, 0, err);
}

static bool
get_bit(const uint8_t *bits, uint32_t i, enum pl_bit_order order)
{
	return bits[i / 8] >> (order == PL_MSB_FIRST ? 7 - i % 8 : i % 8) & 1;
}

uint32_t
pl_bit_run(const uint8_t *bits, uint32_t first, uint32_t nr, enum pl_bit_order order, bool *ret_set)
{
	bool set = get_bit(bits, first, order);
	uint8_t whole = set ? 0xff : 0;
	uint32_t i = first + 1;

	while (i < nr) {
		if (i % 8 == 0 && nr - i >= 8 && bits[i / 8] == whole)
			i += 8;
		else if (get_bit(bits, i, order) == set)
			i++;
		else
			break;
	}
	*ret_set = set;
	return i - first;
}

/* Does `b` go on where `a` ends? */
static bool
continues(const struct pl_extent *a, const struct pl_extent *b)
{
	if (a->kind != b->kind || a->decoder || b->decoder)
		return false;
	return a->kind != PLATTER_DATA ||
	       (a->below == b->below && a->stored_offset + a->length == b->stored_offset);
}

int
pl_blocks_map(struct pl_disk *disk,
	      int (*run)(struct pl_disk *disk, uint64_t offset, uint64_t length,
			 struct pl_extent *ret, struct platter_error *err),
	      uint64_t offset, uint64_t length, struct pl_extent *ret, struct platter_error *err)
{
	struct pl_extent e = { 0 }, next;
	int r = run(disk, offset, length, &e, err);

	if (r < 0)
		return r;
	/* Neighbours that cannot be read are reported when they are asked for. */
	for (int i = 0; i < MAX_JOINED && !e.decoder; i++) {
		if (e.length >= length || e.length >= disk->size - offset)
			break;
		next = (struct pl_extent){ 0 };
		if (run(disk, offset + e.length, length - e.length, &next, NULL) < 0 ||
		    !continues(&e, &next))
			break;
		e.length += next.length;
	}
	*ret = e;
	return 0;
}

int
pl_claim(struct pl_claims *c, uint64_t offset, uint64_t length, const char *what, uint64_t number,
	 struct platter_error *err)
{
	if (!length)
		return 0;
	if (c->nr == c->capacity) {
		size_t capacity = c->capacity ? c->capacity * 2 : 256;
		struct pl_claim *list = pl_realloc_array(c->list, capacity, sizeof *list);

		if (!list)
			return pl_no_memory(err);
		c->list = list;
		c->capacity = capacity;
	}
	c->list[c->nr++] = (struct pl_claim){ offset, length, what, number };
	return 0;
}

static int
by_offset(const void *a, const void *b)
{
	const struct pl_claim *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

static const char *
claim_name(const struct pl_claim *c, char *buf, size_t n)
{
	if (c->number == PL_ONLY)
		return c->what;
	snprintf(buf, n, "%s %" PRIu64, c->what, c->number);
	return buf;
}

void
pl_claims_report(struct pl_claims *c, struct pl_findings *findings)
{
	const struct pl_claim *last = NULL;
	char a[64], b[64];

	if (c->nr)
		qsort(c->list, c->nr, sizeof *c->list, by_offset);
	for (size_t i = 0; i < c->nr; i++) {
		const struct pl_claim *claim = &c->list[i];

		if (last && claim->offset - last->offset < last->length)
			pl_found(findings, PLATTER_DAMAGE, claim->offset,
				 "%s lies over %s in the file", claim_name(claim, a, sizeof a),
				 claim_name(last, b, sizeof b));
		/* What reaches furthest may lie under several that follow. */
		if (!last || claim->length > last->length ||
		    claim->offset - last->offset > last->length - claim->length)
			last = claim;
	}
}

void
pl_claims_done(struct pl_claims *c)
{
	free(c->list);
	*c = (struct pl_claims){ 0 };
}

/* Bytes of the file from the data of a block to that of the one that is begun next. */
static uint64_t
stride_of(const struct pl_block_writer *b)
{
	return (uint64_t)b->lead + b->block_size;
}

/* The first run that ends behind block `index`, nr_runs if there is none: mostly the last. */
static size_t
find_run(const struct pl_block_writer *b, uint64_t index)
{
	size_t low = 0, high = b->nr_runs;

	if (!high || index >= b->runs[high - 1].first + b->runs[high - 1].nr)
		return high;
	if (index >= b->runs[high - 1].first)
		return high - 1;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (b->runs[middle].first + b->runs[middle].nr <= index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Where a block is that may lie in the run at `i`, as pl_block_writer_at() says. */
static uint64_t
place_in_run(const struct pl_block_writer *b, size_t i, uint64_t index)
{
	const struct pl_block_run *run;

	if (i == b->nr_runs || index < b->runs[i].first)
		return 0;
	run = &b->runs[i];
	return run->place == PL_BLOCK_ZERO ? PL_BLOCK_ZERO
					   : run->place + (index - run->first) * stride_of(b);
}

/* Note `nr` blocks from `first` on, none of which is in a run yet; they come before the run at `i`. */
static int
add_run(struct pl_block_writer *b, size_t i, uint64_t first, uint64_t nr, uint64_t place,
	struct platter_error *err)
{
	struct pl_block_run *before = i ? &b->runs[i - 1] : NULL;

	if (before && before->first + before->nr == first &&
	    (place == PL_BLOCK_ZERO ? before->place == PL_BLOCK_ZERO
				    : before->place != PL_BLOCK_ZERO &&
					      before->place + before->nr * stride_of(b) == place)) {
		before->nr += nr;
		return 0;
	}
	if (b->nr_runs == b->room) {
		size_t room = b->room ? b->room * 2 : 16;
		struct pl_block_run *runs = pl_realloc_array(b->runs, room, sizeof *runs);

		if (!runs)
			return pl_no_memory(err);
		b->runs = runs;
		b->room = room;
	}
	memmove(b->runs + i + 1, b->runs + i, (b->nr_runs - i) * sizeof *b->runs);
	b->runs[i] = (struct pl_block_run){ first, nr, place };
	b->nr_runs++;
	return 0;
}

void
pl_block_writer_init(struct pl_block_writer *b, uint32_t block_size, uint32_t lead)
{
	*b = (struct pl_block_writer){ .block_size = block_size, .lead = lead, .limit = INT64_MAX };
}

void
pl_block_writer_done(struct pl_block_writer *b)
{
	free(b->runs);
	b->runs = NULL;
}

/* See that a block is begun; *ret is where its data is. */
static int
begin_block(struct pl_block_writer *b, uint64_t index, uint64_t *ret, struct platter_error *err)
{
	size_t i = find_run(b, index);
	int r;

	*ret = place_in_run(b, i, index);
	if (*ret)
		return 0;
	if (!pl_in_range(b->frontier, stride_of(b), b->limit))
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "the image file would pass %" PRIu64
				     " bytes, the limit of the format",
				     b->limit);
	*ret = b->frontier + b->lead;
	r = add_run(b, i, index, 1, *ret, err);
	if (r < 0)
		return r;
	b->frontier += stride_of(b);
	b->nr_begun++;
	return 0;
}

int
pl_block_writer_place(struct pl_block_writer *b, uint64_t offset, uint64_t length, uint64_t *ret_at,
		      uint64_t *ret_length, struct platter_error *err)
{
	uint64_t first = offset / b->block_size, last = (offset + length - 1) / b->block_size, i;
	uint64_t in_block = offset % b->block_size, at = 0, next;
	int r = begin_block(b, first, &at, err);

	/* What lies between the data of two blocks ends a run. */
	for (i = first + 1; r == 0 && i <= last; i++) {
		r = begin_block(b, i, &next, err);
		if (r < 0 || next != at + (i - first) * b->block_size)
			break;
	}
	if (r < 0)
		return r;
	*ret_at = at + in_block;
	*ret_length = PL_MIN(length, (i - first) * b->block_size - in_block);
	return 0;
}

int
pl_block_writer_mark_zero(struct pl_block_writer *b, uint64_t offset, uint64_t length,
			  struct platter_error *err)
{
	uint64_t first = pl_div_round_up(offset, b->block_size);
	uint64_t end = pl_div_round_up(offset + length, b->block_size);

	if (first >= end)
		return 0;
	return add_run(b, find_run(b, first), first, end - first, PL_BLOCK_ZERO, err);
}

uint64_t
pl_block_writer_at(const struct pl_block_writer *b, uint64_t index)
{
	return place_in_run(b, find_run(b, index), index);
}

int
pl_block_writer_store(const struct pl_block_writer *b, struct pl_disk *file, uint64_t at,
		      uint64_t nr, size_t entry_size,
		      void (*put)(const struct pl_block_writer *b, uint64_t place, uint8_t *entry),
		      struct platter_error *err)
{
	size_t piece = (size_t)STORE_PIECE / entry_size;
	PL_AUTOFREE uint8_t *bytes = malloc(piece * entry_size);
	int r = 0;

	if (!bytes)
		return pl_no_memory(err);
	for (uint64_t i = 0; i < nr && r == 0; i += piece) {
		size_t n = (size_t)PL_MIN(piece, nr - i);

		for (size_t k = 0; k < n; k++)
			put(b, pl_block_writer_at(b, i + k), bytes + k * entry_size);
		r = pl_write(file, bytes, n * entry_size, at + i * entry_size, err);
	}
	return r;
}
