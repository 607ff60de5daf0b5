/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * compare.c - are two disks the same?
 *
 * Both maps are walked together.  What reads as zeros on both sides, or comes from the same
 * bytes of the same file, is equal without being read; the rest is read and compared in
 * pieces on all processors, a batch of pieces at a time.
 */
#include "compare.h"

#include "pool.h"
#include "progress.h"
#include "storage.h"
#include "walk.h"

/* Two of these stay in a processor's second-level cache between reading and comparing. */
#define PIECE     KIB(256)
#define NR_PIECES 64
#define BLOCK     512 /* differences are counted in runs of these */

/* A range to compare, and what was found there. */
struct piece {
	uint64_t offset;
	uint32_t length;
	bool read_a, read_b; /* the other side reads as zeros */
	int result;
	struct platter_error err;
	uint64_t different_bytes;
	uint64_t first; /* offset of the first difference */
	uint64_t runs, first_block, last_block;
};

struct compare {
	struct pl_walk a, b;
	struct pl_meter meter;
	struct platter_compare_result result;
	uint64_t last_block; /* that differs, of all before; UINT64_MAX none */
	struct piece pieces[NR_PIECES];
	size_t nr_pieces;
	atomic_size_t next;              /* piece to take */
	uint8_t *buffers;                /* two pieces for each worker */
	struct pl_disk *leaf_a, *leaf_b; /* last asked about, */
	bool same_leaf;                  /* and the answer */
};

/* Compare block by block what is known to differ.  `b` NULL: with zeros. */
static void
count_differences(struct piece *p, const uint8_t *a, const uint8_t *b)
{
	static const uint8_t zeros[BLOCK];
	uint32_t n;

	for (uint32_t at = 0; at < p->length; at += n) {
		uint64_t block = (p->offset + at) / BLOCK;
		const uint8_t *other = b ? b + at : zeros;
		uint64_t different = 0;

		n = PL_MIN(BLOCK - (uint32_t)((p->offset + at) % BLOCK), p->length - at);
		if (memcmp(a + at, other, n) == 0)
			continue;
		if (!p->different_bytes) {
			uint32_t i = 0;

			while (a[at + i] == other[i])
				i++;
			p->first = p->offset + at + i;
			p->first_block = block;
		}
		for (uint32_t i = 0; i < n; i++)
			different += a[at + i] != other[i];
		p->runs += !p->different_bytes || block != p->last_block + 1;
		p->different_bytes += different;
		p->last_block = block;
	}
}

static int
read_side(struct pl_disk *disk, uint8_t *buf, const struct piece *p, struct platter_error *err)
{
	int r = pl_read_once(disk, buf, p->length, p->offset, err);

	if (r < 0)
		pl_context(err, "reading '%s'", disk->name);
	return r;
}

static int
compare_piece(struct compare *c, struct piece *p, uint8_t *buf_a, uint8_t *buf_b)
{
	bool equal;
	int r = 0;

	if (p->read_a)
		r = read_side(c->a.disk, buf_a, p, &p->err);
	if (r == 0 && p->read_b)
		r = read_side(c->b.disk, buf_b, p, &p->err);
	if (r < 0)
		return r;
	if (p->read_a && p->read_b)
		equal = memcmp(buf_a, buf_b, p->length) == 0;
	else
		equal = pl_is_zero(p->read_a ? buf_a : buf_b, p->length);
	if (!equal)
		count_differences(p, p->read_a ? buf_a : buf_b,
				  p->read_a && p->read_b ? buf_b : NULL);
	return 0;
}

static void
work(void *closure, size_t index)
{
	struct compare *c = closure;
	uint8_t *buf = c->buffers + index * 2 * PIECE;
	size_t i;

	while ((i = atomic_fetch_add(&c->next, 1)) < c->nr_pieces) {
		struct piece *p = &c->pieces[i];

		if (pl_meter_cancelled(&c->meter))
			return;
		p->result = compare_piece(c, p, buf, buf + PIECE);
		pl_meter_add(&c->meter, p->length,
			     (uint64_t)p->length * ((unsigned)p->read_a + p->read_b));
	}
}

/* Compare the pieces that were planned, and add up what they found in the order of the disk. */
static int
run_pieces(struct compare *c, struct platter_error *err)
{
	size_t nr = c->nr_pieces;

	atomic_store(&c->next, 0);
	pl_parallel(pl_nr_processors(), work, c);
	c->nr_pieces = 0;
	if (pl_meter_cancelled(&c->meter))
		return pl_fail(err, -ECANCELED, "comparing was cancelled");
	for (size_t i = 0; i < nr; i++) {
		const struct piece *p = &c->pieces[i];

		if (p->result < 0) {
			if (err)
				*err = p->err;
			return p->result;
		}
		if (!p->different_bytes)
			continue;
		if (c->result.first_difference == PLATTER_NO_OFFSET)
			c->result.first_difference = p->first;
		c->result.different_bytes += p->different_bytes;
		c->result.different_extents += p->runs;
		/* A run that goes on from the piece before was counted there. */
		if (c->last_block != UINT64_MAX && p->first_block <= c->last_block + 1)
			c->result.different_extents--;
		c->last_block = p->last_block;
	}
	return 0;
}

/* Are two leaves the same file?  Each opening of a file makes a leaf of its own. */
static bool
same_leaf(struct compare *c, struct pl_disk *a, struct pl_disk *b)
{
	struct pl_file_id id_a, id_b;

	if (a == b)
		return true;
	if (c->leaf_a == a && c->leaf_b == b)
		return c->same_leaf;
	c->leaf_a = a;
	c->leaf_b = b;
	c->same_leaf = pl_storage_id(a, 0, &id_a) && pl_storage_id(b, 0, &id_b) &&
		       id_a.device == id_b.device && id_a.inode == id_b.inode;
	return c->same_leaf;
}

/* How many bytes from `offset`, at most `length`, both disks take from the same place. */
static int
shared_length(struct compare *c, uint64_t offset, uint64_t length, uint64_t *ret,
	      struct platter_error *err)
{
	struct pl_piece a, b;
	int r = pl_resolve(c->a.disk, offset, length, 0, &a, err);

	if (r == 0)
		r = pl_resolve(c->b.disk, offset, length, 0, &b, err);
	if (r < 0)
		return r;
	*ret = 0;
	if (a.leaf && b.leaf ? a.leaf_offset == b.leaf_offset && same_leaf(c, a.leaf, b.leaf)
			     : a.owner && a.owner == b.owner && a.owner_offset == b.owner_offset)
		*ret = PL_MIN(a.length, b.length);
	return 0;
}

/* Compare [offset, offset + length), of which at least one side has data. */
static int
compare_range(struct compare *c, uint64_t offset, uint64_t length, bool data_a, bool data_b,
	      struct platter_error *err)
{
	while (length) {
		/* Pieces end at multiples of PIECE, so that clusters are not cut more than needed. */
		uint64_t n = PL_MIN(length, PIECE - offset % PIECE), shared = 0;
		int r = 0;

		if (data_a && data_b)
			r = shared_length(c, offset, length, &shared, err);
		if (r == 0 && shared) {
			n = shared;
			pl_meter_add(&c->meter, n, 0);
		} else if (r == 0) {
			c->pieces[c->nr_pieces++] = (struct piece){
				.offset = offset,
				.length = (uint32_t)n,
				.read_a = data_a,
				.read_b = data_b,
				.err = PLATTER_ERROR_INIT,
			};
			if (c->nr_pieces == NR_PIECES)
				r = run_pieces(c, err);
		}
		if (r < 0)
			return r;
		offset += n;
		length -= n;
	}
	return 0;
}

/* Compare what both disks have. */
static int
compare_common(struct compare *c, uint64_t size, struct platter_error *err)
{
	uint64_t offset = 0, n_a, n_b, n;

	while (offset < size) {
		enum platter_kind kind_a, kind_b;
		int r = pl_walk_at(&c->a, offset, size - offset, &kind_a, &n_a, err);

		if (r == 0)
			r = pl_walk_at(&c->b, offset, size - offset, &kind_b, &n_b, err);
		if (r < 0)
			return r;
		n = PL_MIN(n_a, n_b);
		if (kind_a == PLATTER_DATA || kind_b == PLATTER_DATA)
			r = compare_range(c, offset, n, kind_a == PLATTER_DATA,
					  kind_b == PLATTER_DATA, err);
		else
			pl_meter_add(&c->meter, n, 0);
		if (r == 0 && pl_meter_cancelled(&c->meter))
			r = pl_fail(err, -ECANCELED, "comparing was cancelled");
		if (r < 0)
			return r;
		offset += n;
	}
	return run_pieces(c, err);
}

/* Look for the first byte that is not zero in what only one of the disks has. */
static int
compare_tail(struct compare *c, uint64_t offset, uint64_t size, struct platter_error *err)
{
	struct platter_compare_result common = c->result;
	bool in_a = c->a.disk->size == size;
	uint64_t n;
	int r = 0;

	c->result.first_difference = PLATTER_NO_OFFSET;
	while (offset < size && r == 0 && c->result.first_difference == PLATTER_NO_OFFSET) {
		enum platter_kind kind;

		r = pl_walk_at(in_a ? &c->a : &c->b, offset,
			       PL_MIN(size - offset, NR_PIECES * PIECE), &kind, &n, err);
		if (r < 0)
			return r;
		if (kind == PLATTER_DATA)
			r = compare_range(c, offset, n, in_a, !in_a, err);
		else
			pl_meter_add(&c->meter, n, 0);
		if (r == 0)
			r = run_pieces(c, err);
		offset += n;
	}
	common.nonzero_tail_offset = c->result.first_difference;
	c->result = common;
	return r;
}

int
pl_compare(struct pl_disk *a, struct pl_disk *b, const char *phase,
	   struct platter_progress *progress, struct platter_compare_result *ret,
	   struct platter_error *err)
{
	PL_AUTOFREE struct compare *c = calloc(1, sizeof *c);
	PL_AUTOFREE uint8_t *buffers = pl_alloc_aligned(2 * PIECE * pl_nr_processors());
	uint64_t common = PL_MIN(a->size, b->size), longer = PL_MAX(a->size, b->size);
	struct platter_compare_result *result;
	int r;

	if (!c || !buffers)
		return pl_no_memory(err);
	if (a->sequential || b->sequential) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET, "a stream cannot be compared");
		pl_hint(err, "save the stream as a file first");
		return r;
	}
	c->a.disk = a;
	c->b.disk = b;
	c->buffers = buffers;
	c->last_block = UINT64_MAX;
	result = &c->result;
	*result = (struct platter_compare_result){
		.size_a = a->size,
		.size_b = b->size,
		.first_difference = PLATTER_NO_OFFSET,
		.nonzero_tail_offset = PLATTER_NO_OFFSET,
	};
	pl_meter_start(&c->meter, progress, phase, longer);
	r = compare_common(c, common, err);
	if (r == 0)
		r = compare_tail(c, common, longer, err);
	pl_meter_finish(&c->meter);
	if (r < 0)
		return r;
	result->equal = common == longer && !result->different_bytes;
	result->equal_but_zero_tail = common != longer && !result->different_bytes &&
				      result->nonzero_tail_offset == PLATTER_NO_OFFSET;
	result->seconds = pl_meter_seconds(&c->meter);
	*ret = *result;
	return 0;
}
