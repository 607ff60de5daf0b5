/* SPDX-License-Identifier: GPL-3.0-or-later */
/* store.c - random writes into images cut into blocks of one size */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "staged.h"

/* Changes that wait, of tables and of blocks given up, before they are committed. */
#define MAX_STAGED MIB(4)
#define MAX_FREED  4096u

/* Blocks are copied in pieces of this size. */
#define COPY_PIECE MIB(1)

/* Blocks and their alignment need not be powers of two. */
static uint64_t
multiple_below(uint64_t n, uint64_t unit)
{
	return n - n % unit;
}

static uint64_t
multiple_above(uint64_t n, uint64_t unit)
{
	return pl_div_round_up(n, unit) * unit;
}

int
pl_store_init(struct pl_store *s, struct platter_error *err)
{
	if (!s->sector_size)
		s->sector_size = 512;
	return pl_staged_new(s->file, &s->staged, err);
}

void
pl_store_done(struct pl_store *s)
{
	pl_disk_unref(s->staged);
	free(s->freed);
	s->staged = NULL;
	s->freed = NULL;
}

int
pl_store_begin(struct pl_store *s, struct platter_error *err)
{
	int r = s->begun || !s->ops->begin ? 0 : s->ops->begin(s, err);

	if (r == 0)
		s->begun = true;
	return r;
}

/* Where on the disk the store's part of it ends. */
static uint64_t
end_of(const struct pl_store *s)
{
	return s->length ? s->base + s->length : s->disk->size;
}

/* The block that holds a byte of the disk, and where in it. */
static uint64_t
index_of(const struct pl_store *s, uint64_t offset)
{
	return (offset - s->base) / s->block_size;
}

static uint64_t
in_block(const struct pl_store *s, uint64_t offset)
{
	return (offset - s->base) % s->block_size;
}

/* Where the data of a block is whose room begins at `start`. */
static uint64_t
data_at(const struct pl_store *s, uint64_t start)
{
	return multiple_above(start + s->lead, s->align);
}

static int
set_block(struct pl_store *s, uint64_t index, const struct pl_stored_block *block, bool fresh,
	  struct platter_error *err)
{
	int r = s->ops->set(s, index, block, fresh, err);

	/* What the cache holds of tables may be out of date. */
	atomic_fetch_add(&s->disk->generation, 1);
	return r;
}

static int
own_sectors(struct pl_store *s, uint64_t index, uint64_t in, uint64_t n, struct platter_error *err)
{
	int r = s->ops->own(s, index, (uint32_t)(in / s->sector_size),
			    (uint32_t)(n / s->sector_size), err);

	atomic_fetch_add(&s->disk->generation, 1);
	return r;
}

int
pl_store_extend(struct pl_store *s, uint64_t n, uint64_t *ret_at, struct platter_error *err)
{
	uint64_t at = s->frontier, before = s->file->size, end;
	int r = 0;

	if (__builtin_add_overflow(at, n, &end) || end > s->limit)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "'%s' would pass %" PRIu64 " bytes, the limit of its format",
				     s->file->name, s->limit);
	if (!s->file->growable && end > s->file->size)
		return pl_fail(err, -ENOSPC, "'%s' has no room for more data (%" PRIu64 " bytes)",
			       s->file->name, s->file->size);
	if (end > before)
		r = pl_resize(s->file, end, err);
	if (r < 0)
		return r;
	pl_staged_follow(s->staged);
	s->frontier = end;
	*ret_at = at;
	if (s->ops->extended)
		r = s->ops->extended(s, err);
	/* What was behind the blocks until now. */
	if (r == 0 && at < before)
		r = pl_zero(s->file, at, PL_MIN(n, before - at), PL_ZERO_MAY_UNMAP, err);
	return r;
}

int
pl_store_reload(struct pl_store *s, struct pl_block_table *t, uint64_t offset, uint64_t bytes,
		struct platter_error *err)
{
	struct pl_block_table table = { 0 };
	int r;

	pl_staged_follow(s->staged);
	r = pl_block_table_init(&table, s->staged, offset, bytes, t->absent, err);
	if (r < 0)
		return r;
	pl_block_table_done(t);
	*t = table;
	return 0;
}

/* A new room behind all others. */
static int
append_block(struct pl_store *s, uint64_t *ret_at, struct platter_error *err)
{
	uint64_t at = data_at(s, s->frontier), start;
	int r = pl_store_extend(s, at + s->block_size - s->frontier, &start, err);

	*ret_at = at;
	return r;
}

/* Room for one block, which reads as zeros; *ret_at: where its data goes. */
static int
allocate(struct pl_store *s, uint64_t *ret_at, struct platter_error *err)
{
	uint64_t at;
	int r;

	if (!s->nr_free)
		return append_block(s, ret_at, err);
	at = s->freed[s->nr_free - 1];
	r = pl_zero(s->file, at, s->block_size, PL_ZERO_MAY_UNMAP, err);
	if (r < 0)
		return r;
	s->freed[--s->nr_free] = s->freed[--s->nr_freed];
	*ret_at = at;
	return 0;
}

static int
reserve_freed(struct pl_store *s, struct platter_error *err)
{
	size_t capacity = s->freed_capacity ? s->freed_capacity * 2 : 64;
	uint64_t *bigger;

	if (s->nr_freed < s->freed_capacity)
		return 0;
	bigger = pl_realloc_array(s->freed, capacity, sizeof *bigger);
	if (!bigger)
		return pl_no_memory(err);
	s->freed = bigger;
	s->freed_capacity = capacity;
	return 0;
}

int
pl_store_commit(struct pl_store *s, struct platter_error *err)
{
	int r = 0;

	if (!pl_staged_bytes(s->staged) && s->nr_free == s->nr_freed)
		return 0;
	r = pl_flush(s->file, err);
	if (r == 0)
		r = s->ops->commit ? s->ops->commit(s, err) : pl_staged_commit(s->staged, err);
	if (r == 0 && s->nr_free < s->nr_freed)
		r = pl_flush(s->file, err);
	if (r < 0)
		return r;
	/* Now nothing in the file names them; that they stay stored would hurt nobody. */
	for (size_t i = s->nr_free; i < s->nr_freed; i++)
		(void)pl_discard(s->file, s->freed[i], s->block_size, NULL);
	s->nr_free = s->nr_freed;
	return 0;
}

int
pl_store_flush(struct pl_store *s, struct platter_error *err)
{
	int r = pl_store_commit(s, err);

	return r == 0 ? pl_flush(s->file, err) : r;
}

/* Not too much may be left to a later commit. */
static int
commit_if_much(struct pl_store *s, struct platter_error *err)
{
	if (pl_staged_bytes(s->staged) <= MAX_STAGED && s->nr_freed - s->nr_free <= MAX_FREED)
		return 0;
	return pl_store_commit(s, err);
}

/* Bytes [start, end) of the disk into `buf`, zeros past its end. */
static int
read_old(struct pl_store *s, uint8_t *buf, uint64_t start, uint64_t end, struct platter_error *err)
{
	uint64_t size = end_of(s);

	if (start >= end)
		return 0;
	memset(buf, 0, (size_t)(end - start));
	if (start >= size)
		return 0;
	return pl_read(s->disk, buf, (size_t)(PL_MIN(end, size) - start), start, err);
}

/*
 * Write disk bytes [offset, offset + n) to the block's data at `at`, and around them, up to
 * multiples of `unit`, what the disk held there.  *ret_in, *ret_n: what of the block was
 * written.
 */
static int
write_units(struct pl_store *s, uint64_t at, const uint8_t *buf, size_t n, uint64_t offset,
	    uint32_t unit, uint64_t *ret_in, uint64_t *ret_n, struct platter_error *err)
{
	uint64_t start = s->base + multiple_below(offset - s->base, unit);
	uint64_t end = s->base + multiple_above(offset + n - s->base, unit);
	PL_AUTOFREE uint8_t *whole = NULL;
	int r;

	*ret_in = in_block(s, start);
	*ret_n = end - start;
	if (start == offset && end == offset + n)
		return pl_write(s->file, buf, n, at + *ret_in, err);
	whole = malloc((size_t)(end - start));
	if (!whole)
		return pl_no_memory(err);
	r = read_old(s, whole, start, offset, err);
	if (r == 0)
		r = read_old(s, whole + (offset + n - start), offset + n, end, err);
	if (r < 0)
		return r;
	memcpy(whole + (offset - start), buf, n);
	return pl_write(s->file, whole, (size_t)(end - start), at + *ret_in, err);
}

/* Write into a block that is not there yet. */
static int
write_new(struct pl_store *s, uint64_t index, enum platter_kind kind, const uint8_t *buf, size_t n,
	  uint64_t offset, struct platter_error *err)
{
	struct pl_stored_block block = { .kind = PLATTER_DATA };
	bool over_parent = kind == PLATTER_HOLE && s->disk->parent;
	/* Zeros are there already; a parent's bytes are copied as far as they cannot be told. */
	uint32_t unit = !over_parent ? 1 : s->ops->own ? s->sector_size : s->block_size;
	uint64_t in, length;
	int r = allocate(s, &block.at, err);

	if (r == 0)
		r = write_units(s, block.at, buf, n, offset, unit, &in, &length, err);
	if (r < 0)
		return r;
	block.partial = over_parent && s->ops->own;
	r = set_block(s, index, &block, true, err);
	if (r == 0 && block.partial)
		r = own_sectors(s, index, in, length, err);
	return r;
}

/* Write disk bytes that lie within one block. */
static int
write_in_block(struct pl_store *s, const uint8_t *buf, size_t n, uint64_t offset,
	       struct platter_error *err)
{
	uint64_t index = index_of(s, offset), in, length;
	struct pl_stored_block block;
	int r = s->ops->get(s, index, &block, err);

	if (r < 0)
		return r;
	if (block.kind != PLATTER_DATA)
		return write_new(s, index, block.kind, buf, n, offset, err);
	if (!block.partial)
		return pl_write(s->file, buf, n, block.at + in_block(s, offset), err);
	r = write_units(s, block.at, buf, n, offset, s->sector_size, &in, &length, err);
	return r == 0 ? own_sectors(s, index, in, length, err) : r;
}

int
pl_store_write(struct pl_store *s, const void *buf, size_t n, uint64_t offset,
	       struct platter_error *err)
{
	const uint8_t *p = buf;
	int r = pl_store_begin(s, err);

	while (n && r == 0) {
		size_t length = (size_t)PL_MIN((uint64_t)n, s->block_size - in_block(s, offset));

		r = write_in_block(s, p, length, offset, err);
		if (r == 0)
			r = commit_if_much(s, err);
		p += length;
		offset += length;
		n -= length;
	}
	return r;
}

/* Write zeros as data where the disk does not read as zeros. */
static int
store_zeros(struct pl_store *s, uint64_t offset, uint64_t length, struct platter_error *err)
{
	static const uint8_t zeros[KIB(64)];

	while (length) {
		enum platter_kind kind;
		uint64_t n;
		int r = pl_span(s->disk, offset, length, &kind, &n, err);

		if (r == 0 && kind == PLATTER_DATA) {
			n = PL_MIN(n, sizeof zeros);
			r = write_in_block(s, zeros, (size_t)n, offset, err);
		}
		if (r < 0)
			return r;
		offset += n;
		length -= n;
	}
	return 0;
}

/* Make the tables say that a block is zeros, and give up its room. */
static int
unmap_block(struct pl_store *s, uint64_t index, const struct pl_stored_block *old,
	    struct platter_error *err)
{
	struct pl_stored_block block = { .kind = s->disk->parent ? PLATTER_ZERO : PLATTER_HOLE };
	int r = reserve_freed(s, err);

	if (r == 0)
		r = set_block(s, index, &block, false, err);
	if (r == 0 && old->kind == PLATTER_DATA)
		s->freed[s->nr_freed++] = old->at;
	return r;
}

/* Zeros for disk bytes that lie within one block. */
static int
zero_in_block(struct pl_store *s, uint64_t offset, uint64_t length, unsigned flags,
	      struct platter_error *err)
{
	uint64_t index = index_of(s, offset), in = in_block(s, offset);
	bool whole = !in && (length == s->block_size || offset + length == end_of(s));
	bool markable = !s->disk->parent || s->can_zero;
	struct pl_stored_block block;
	int r = s->ops->get(s, index, &block, err);

	if (r < 0 || block.kind == PLATTER_ZERO || (block.kind == PLATTER_HOLE && !s->disk->parent))
		return r;
	if (whole && markable && (flags & PL_ZERO_MAY_UNMAP || block.kind == PLATTER_HOLE))
		return unmap_block(s, index, &block, err);
	if (block.kind == PLATTER_DATA && !block.partial)
		return pl_zero(s->file, block.at + in, length, flags, err);
	return store_zeros(s, offset, length, err);
}

/* How far the disk has nothing of its own from `offset` on: 0 if it has, or there is a parent. */
static uint64_t
empty_run(struct pl_store *s, uint64_t offset, uint64_t length)
{
	struct pl_extent e;

	if (s->disk->parent || pl_map(s->disk, offset, length, &e, NULL) < 0 ||
	    e.kind == PLATTER_DATA)
		return 0;
	return e.length;
}

int
pl_store_zero(struct pl_store *s, uint64_t offset, uint64_t length, unsigned flags,
	      struct platter_error *err)
{
	int r = pl_store_begin(s, err);

	while (length && r == 0) {
		uint64_t n = empty_run(s, offset, length);

		if (!n) {
			n = PL_MIN(length, s->block_size - in_block(s, offset));
			r = zero_in_block(s, offset, n, flags, err);
			if (r == 0)
				r = commit_if_much(s, err);
		}
		offset += n;
		length -= n;
	}
	return r;
}

int
pl_store_clear_from(struct pl_store *s, uint64_t old, struct platter_error *err)
{
	uint64_t end = s->base + multiple_above(old - s->base, s->block_size);

	if (s->disk->parent)
		end = PL_MAX(end, s->disk->parent->size);
	end = PL_MIN(end, end_of(s));
	return old < end ? pl_store_zero(s, old, end - old, 0, err) : 0;
}

/* Name no data for a block, and give its room up. */
static int
drop_block(struct pl_store *s, uint64_t index, struct platter_error *err)
{
	static const struct pl_stored_block hole = { .kind = PLATTER_HOLE };
	struct pl_stored_block old;
	int r = s->ops->get(s, index, &old, err);

	if (r < 0 || old.kind == PLATTER_HOLE)
		return r;
	r = reserve_freed(s, err);
	if (r == 0)
		r = set_block(s, index, &hole, false, err);
	if (r == 0 && old.kind == PLATTER_DATA)
		s->freed[s->nr_freed++] = old.at;
	return r == 0 ? commit_if_much(s, err) : r;
}

int
pl_store_cut(struct pl_store *s, uint64_t size, struct platter_error *err)
{
	uint64_t end = s->base + multiple_above(size - s->base, s->block_size), n;
	int r = pl_store_begin(s, err);

	for (uint64_t at = end; at < end_of(s) && r == 0; at += n) {
		n = multiple_below(empty_run(s, at, end_of(s) - at), s->block_size);
		if (n)
			continue;
		n = s->block_size;
		r = drop_block(s, index_of(s, at), err);
	}
	end = PL_MIN(end, end_of(s));
	if (r == 0 && size < end)
		r = pl_store_zero(s, size, end - size, 0, err);
	return r == 0 ? pl_store_flush(s, err) : r;
}

/* A block and where it is. */
struct placed {
	uint64_t at, index;
};

struct placed_list {
	struct placed *list;
	size_t nr, capacity;
};

static int
add_placed(struct placed_list *p, uint64_t at, uint64_t index, struct platter_error *err)
{
	if (p->nr == p->capacity) {
		size_t capacity = p->capacity ? p->capacity * 2 : 256;
		struct placed *list = pl_realloc_array(p->list, capacity, sizeof *list);

		if (!list)
			return pl_no_memory(err);
		p->list = list;
		p->capacity = capacity;
	}
	p->list[p->nr++] = (struct placed){ at, index };
	return 0;
}

static int
by_place(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* All blocks that are stored, in the order of the file. */
static int
list_blocks(struct pl_store *s, struct placed_list *ret, struct platter_error *err)
{
	uint64_t offset = s->base, end = end_of(s);

	while (offset < end) {
		struct pl_stored_block block;
		struct pl_extent e = { .kind = PLATTER_DATA };
		uint64_t index = index_of(s, offset);
		int r = s->ops->get(s, index, &block, err);

		if (r == 0 && block.kind == PLATTER_DATA)
			r = add_placed(ret, block.at, index, err);
		else if (r == 0 && !s->ops->own)
			r = pl_map(s->disk, offset, end - offset, &e, err);
		if (r < 0)
			return r;
		/* Over what is not there at once; a block may be stored of which no sector is. */
		if (e.kind != PLATTER_DATA)
			index = index_of(s, offset + e.length - 1);
		offset = s->base + (index + 1) * s->block_size;
	}
	if (ret->nr)
		qsort(ret->list, ret->nr, sizeof *ret->list, by_place);
	return 0;
}

static int
copy_bytes(struct pl_disk *file, uint64_t from, uint64_t to, uint64_t n, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = malloc((size_t)PL_MIN(n + 1, COPY_PIECE));
	int r = 0;

	if (!buf)
		return pl_no_memory(err);
	for (uint64_t done = 0; done < n && r == 0; done += COPY_PIECE) {
		size_t piece = (size_t)PL_MIN(n - done, COPY_PIECE);

		r = pl_read(file, buf, piece, from + done, err);
		if (r == 0)
			r = pl_write(file, buf, piece, to + done, err);
	}
	return r;
}

/* The same of what may have holes, which it keeps. */
static int
copy_with_holes(struct pl_disk *file, uint64_t from, uint64_t to, uint64_t n,
		struct platter_error *err)
{
	enum platter_kind kind;
	uint64_t length;
	int r = 0;

	for (uint64_t done = 0; done < n && r == 0; done += length) {
		r = pl_span(file, from + done, n - done, &kind, &length, err);
		if (r == 0)
			r = kind == PLATTER_ZERO
				    ? pl_zero(file, to + done, length, PL_ZERO_MAY_UNMAP, err)
				    : copy_bytes(file, from + done, to + done, length, err);
	}
	return r;
}

/* Copy a block with its lead to a place that nothing names, and stage that it is there. */
static int
move_block(struct pl_store *s, const struct placed *p, uint64_t to, struct platter_error *err)
{
	struct pl_stored_block block;
	uint64_t in_file = s->file->size - PL_MIN(s->file->size, p->at);
	int r = s->ops->get(s, p->index, &block, err);

	if (r == 0)
		r = reserve_freed(s, err);
	/* The lead may wait in memory. */
	if (r == 0 && s->lead)
		r = copy_bytes(s->staged, p->at - s->lead, to - s->lead, s->lead, err);
	if (r == 0)
		r = copy_with_holes(s->file, p->at, to, PL_MIN(s->block_size, in_file), err);
	/* The last of a file may be cut. */
	if (r == 0 && in_file < s->block_size)
		r = pl_zero(s->file, to + in_file, s->block_size - in_file, PL_ZERO_MAY_UNMAP, err);
	if (r < 0)
		return r;
	block.at = to;
	r = set_block(s, p->index, &block, false, err);
	if (r == 0)
		s->freed[s->nr_freed++] = p->at;
	return r;
}

int
pl_store_vacate(struct pl_store *s, uint64_t start, uint64_t end, struct platter_error *err)
{
	struct placed_list blocks = { 0 };
	int r = pl_store_begin(s, err);

	if (r == 0)
		r = list_blocks(s, &blocks, err);
	for (size_t i = 0; i < blocks.nr && r == 0; i++) {
		const struct placed *p = &blocks.list[i];
		uint64_t to;

		if (p->at + s->block_size <= start || p->at - s->lead >= end)
			continue;
		r = append_block(s, &to, err);
		if (r == 0)
			r = move_block(s, p, to, err);
	}
	if (r == 0)
		r = pl_store_commit(s, err);
	/* The room is the caller's now. */
	for (size_t i = 0; i < s->nr_freed && r == 0;)
		if (s->freed[i] + s->block_size <= start || s->freed[i] - s->lead >= end)
			i++;
		else
			s->freed[i] = s->freed[s->nr_free = --s->nr_freed];
	free(blocks.list);
	return r;
}

static int
by_start(const void *a, const void *b)
{
	const struct pl_range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/*
 * The gaps between what is kept and the blocks, both in the order of the file, that hold a
 * block and lie before one: the lowest first.
 */
struct gaps {
	const struct pl_range *kept;
	size_t nr_kept;
	const struct placed *blocks;
	size_t nr_blocks;
	uint64_t at; /* nothing before this is free */
};

/* The next place for a block's data before the block that lies at `before`; 0: none. */
static uint64_t
next_gap(const struct pl_store *s, struct gaps *g, uint64_t before)
{
	for (;;) {
		uint64_t place = data_at(s, g->at), end = place + s->block_size;
		const struct pl_range *k = g->nr_kept ? g->kept : NULL;
		const struct placed *b = g->nr_blocks ? g->blocks : NULL;

		if (place >= before)
			return 0;
		if (k && k->start < end && (!b || k->start <= b->at)) {
			g->at = PL_MAX(g->at, k->end);
			g->kept++;
			g->nr_kept--;
		} else if (b && b->at - s->lead < end) {
			g->at = PL_MAX(g->at, b->at + s->block_size);
			g->blocks++;
			g->nr_blocks--;
		} else {
			g->at = end;
			return place;
		}
	}
}

/* Move what lies last into what is free first. */
static int
fill_gaps(struct pl_store *s, struct placed_list *blocks, struct gaps *gaps,
	  struct platter_error *err)
{
	int r = 0;

	for (size_t last = blocks->nr; last-- > 0 && r == 0;) {
		struct placed *p = &blocks->list[last];
		uint64_t to = next_gap(s, gaps, p->at);

		if (!to)
			break;
		r = move_block(s, p, to, err);
		p->at = to;
		if (r == 0)
			r = commit_if_much(s, err);
	}
	return r;
}

int
pl_store_compact(struct pl_store *s, struct pl_range *kept, size_t nr_kept,
		 struct platter_error *err)
{
	struct placed_list blocks = { 0 };
	struct gaps gaps = { .kept = kept, .nr_kept = nr_kept };
	uint64_t end = 0;
	int r = pl_store_begin(s, err);

	/* What was given up must be free in the file before anything moves there. */
	if (r == 0)
		r = pl_store_commit(s, err);
	if (r == 0)
		r = list_blocks(s, &blocks, err);
	if (nr_kept)
		qsort(kept, nr_kept, sizeof *kept, by_start);
	gaps.blocks = blocks.list;
	gaps.nr_blocks = blocks.nr;
	if (r == 0)
		r = fill_gaps(s, &blocks, &gaps, err);
	if (r == 0)
		r = pl_store_flush(s, err);
	for (size_t i = 0; i < blocks.nr; i++)
		end = PL_MAX(end, blocks.list[i].at + s->block_size);
	for (size_t i = 0; i < nr_kept; i++)
		end = PL_MAX(end, kept[i].end);
	free(blocks.list);
	if (r < 0 || end >= s->frontier)
		return r;
	s->nr_free = s->nr_freed = 0;
	s->frontier = end;
	r = pl_resize(s->file, end, err);
	if (r == 0 && s->ops->extended)
		r = s->ops->extended(s, err);
	return r == 0 ? pl_flush(s->file, err) : r;
}
