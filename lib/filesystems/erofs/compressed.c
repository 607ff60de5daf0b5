/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * erofs/compressed.c - compressed files: where their pieces are
 *
 * A piece is any number of bytes, compressed into a *physical cluster* of one or more blocks.
 * The file is divided into *logical clusters*, each with an index.  An index is a HEAD if a
 * piece begins in its cluster (it tells where in it, and the physical cluster), PLAIN if that
 * is not compressed, and NONHEAD if none does.  The first NONHEAD behind a HEAD may tell
 * how many blocks the piece takes.
 *
 * Behind the inode and its extended attributes, at a multiple of 8 bytes, is a header:
 *
 *	0  4  fragment's offset; or 2 bytes unused, 2 the stored length of the tail
 *	4  2  what of the following applies
 *	6  1  algorithms of HEAD1 and HEAD2, 4 bits each
 *	7  1  bits of a logical cluster less those of a block; 0x80: the whole file is a
 *	      fragment, whose offset is the rest of the header
 *
 * then the indexes, of 8 bytes each (8 unused ones in front), or *compact*: packs of 2 in 8
 * bytes, or 16 in 32, which end with the block of the first physical cluster.  What is at
 * the file's end may be a *fragment*, a part of the packed file, or stand behind the indexes.
 * Newer files have extents instead, which tell where a piece is stored by bytes.
 */
#include "codec.h"
#include "erofs.h"

/* What the format allows a piece to take, and to hold. */
#define MAX_STORED  MIB(1)
#define MAX_DECODED MIB(12)

enum {
	ADVISE_COMPACT_2 = 0x1, /* of compact indexes: packs of 16 in the middle */
	ADVISE_EXTENTS = 0x1,   /* of others */
	ADVISE_EXTENT_SIZE_SHIFT = 1,
	ADVISE_BIG_HEAD1 = 0x2, /* HEAD1's clusters may have several blocks, */
	ADVISE_BIG_HEAD2 = 0x4, /* and those of the others */
	ADVISE_INLINE = 0x8,
	ADVISE_INTERLACED = 0x10,
	ADVISE_FRAGMENT = 0x20,
};
#define WHOLE_FRAGMENT (1ull << 63)

enum index_type {
	PLAIN,
	HEAD1,
	NONHEAD,
	HEAD2,
};

/* Of a NONHEAD's distance: it is the number of blocks. */
#define HAS_BLOCKS 0x800

/* The algorithms that an index can name, and how else a piece may be stored. */
enum {
	LZ4,
	LZMA,
	DEFLATE,
	ZSTD,
	NR_ALGORITHMS,
	AS_IS = 16,
	ROTATED, /* so that its bytes stand in a block where they stand in one of the file */
};

struct index {
	enum index_type type;
	unsigned within;    /* a head: where in the cluster */
	uint64_t block;     /* a head: the first of its physical cluster */
	unsigned nr_blocks; /* NONHEAD: of the physical cluster; 0: it does not tell */
};

/* A piece as it is found: what it takes is known when the next index was seen. */
struct piece {
	uint64_t offset, stored;
	uint64_t cluster; /* its logical one */
	unsigned algorithm, nr_blocks;
	bool big; /* it may take several blocks, which are still to be told */
};

struct mapper {
	struct erofs *fs;
	const struct erofs_inode *inode;
	struct pl_runs *runs;
	uint64_t indexes; /* where they are in the inode's area */
	uint64_t fragment;
	unsigned advise, bits, tail_stored;
	uint8_t algorithm[2];
	struct piece last;
	bool has_last, done;
};

static const struct pl_decoder *
decoder_of(const struct erofs *fs, unsigned algorithm)
{
	switch (algorithm) {
	case LZ4:
		return fs->incompat & INCOMPAT_PADDED_LZ4 ? pl_decoder_padded_lz4
							  : pl_decoder_lz4_from_start;
	case LZMA: return pl_decoder_padded_microlzma;
	case DEFLATE: return pl_decoder_padded_deflate;
	case ZSTD: return pl_decoder_padded_zstd;
	default: return NULL;
	}
}

static int
add_fragment(struct mapper *m, uint64_t offset, uint64_t n, uint64_t at, struct platter_error *err)
{
	const struct pl_run run = {
		.offset = offset,
		.length = n,
		.stored = at,
		.below = m->fs->packed,
		.kind = PLATTER_DATA,
	};

	if (!m->fs->packed)
		return pl_corrupt(err, m->inode->xattrs,
				  "a piece of the file is in a packed file that is not there");
	if (!pl_in_range(at, n, m->fs->packed->size))
		return pl_corrupt(err, m->inode->xattrs,
				  "%" PRIu64 " bytes at byte %" PRIu64
				  " of a packed file of %" PRIu64,
				  n, at, m->fs->packed->size);
	return pl_runs_add(m->runs, &run, err);
}

/*
 * n bytes of the file, stored in `length` bytes at `stored` of `below` (NULL: the disk), not
 * compressed.
 */
static int
add_plain(struct mapper *m, uint64_t offset, uint64_t n, bool rotated, uint64_t stored,
	  uint64_t length, struct pl_disk *below, struct platter_error *err)
{
	uint32_t block_size = m->fs->volume.block_size;
	struct pl_run run = { .offset = offset,
			      .length = n,
			      .stored = stored,
			      .below = below,
			      .kind = PLATTER_DATA };
	uint64_t skip = rotated && length == block_size ? offset % block_size : 0;
	int r;

	if (n > length)
		return pl_corrupt(err, m->inode->xattrs,
				  "piece of %" PRIu64 " bytes, stored as is in %" PRIu64, n,
				  length);
	run.stored += skip;
	run.length = PL_MIN(n, length - skip);
	r = pl_runs_add(m->runs, &run, err);
	if (r < 0)
		return r;
	run.offset += run.length;
	run.stored = stored;
	run.length = n - run.length;
	return pl_runs_add(m->runs, &run, err);
}

static int
add_piece(struct mapper *m, uint64_t offset, uint64_t n, unsigned algorithm, uint64_t stored,
	  uint64_t length, struct pl_disk *below, struct platter_error *err)
{
	struct pl_run run = {
		.offset = offset,
		.length = n,
		.stored = stored,
		.below = below,
		.decoder = decoder_of(m->fs, algorithm),
		.stored_length = (uint32_t)length,
		.chunk_length = (uint32_t)n,
		.kind = PLATTER_DATA,
	};

	if (algorithm >= AS_IS)
		return add_plain(m, offset, n, algorithm == ROTATED, stored, length, below, err);
	if (!run.decoder || !(m->fs->algorithms >> algorithm & 1))
		return pl_unsupported(err, m->inode->xattrs, "file compressed by method %u",
				      algorithm);
	if (length > MAX_STORED || n > MAX_DECODED)
		return pl_over_limit(err, m->inode->xattrs,
				     "piece of %" PRIu64 " bytes, stored in %" PRIu64, n, length);
	return pl_runs_add(m->runs, &run, err);
}

/* ---- indexes ---- */

/* The last piece, which ends at byte `end`. */
static int
finish_piece(struct mapper *m, uint64_t end, uint64_t behind_indexes, struct platter_error *err)
{
	const struct piece *p = &m->last;
	uint64_t n = PL_MIN(end, m->inode->size) - p->offset;
	unsigned block_bits = m->fs->block_bits, nr = p->nr_blocks;
	bool is_tail = end >= m->inode->size;
	int r;

	if (is_tail && m->advise & ADVISE_FRAGMENT) {
		if (m->inode->layout == LAYOUT_COMPRESSED)
			m->fragment |= p->stored << 32;
		return add_fragment(m, p->offset, n, m->fragment, err);
	}
	if (is_tail && m->tail_stored)
		return add_piece(m, p->offset, n, p->algorithm, behind_indexes, m->tail_stored,
				 m->inode->area->disk, err);
	if (!nr)
		return pl_corrupt(err, m->indexes,
				  "logical cluster %" PRIu64 " does not tell its blocks",
				  p->cluster);
	/* The superblock is in the first. */
	if (!p->stored)
		return pl_corrupt(err, m->indexes, "logical cluster %" PRIu64 " at block 0",
				  p->cluster);
	r = erofs_check_blocks(m->fs, p->stored, nr, err);
	if (r < 0)
		return r;
	return add_piece(m, p->offset, n, p->algorithm, p->stored << block_bits,
			 (uint64_t)nr << block_bits, NULL, err);
}

static void
begin_piece(struct mapper *m, uint64_t cluster, uint64_t offset, const struct index *index)
{
	bool big = m->advise & (index->type == HEAD1 ? ADVISE_BIG_HEAD1 : ADVISE_BIG_HEAD2);

	m->last = (struct piece){
		.offset = offset,
		.stored = index->block,
		.cluster = cluster,
		.nr_blocks = 1,
		.big = big,
	};
	if (index->type == PLAIN)
		m->last.algorithm = m->advise & ADVISE_INTERLACED ? ROTATED : AS_IS;
	else
		m->last.algorithm = m->algorithm[index->type == HEAD2];
	m->has_last = true;
}

static int
take_index(struct mapper *m, uint64_t cluster, const struct index *index, uint64_t behind_indexes,
	   struct platter_error *err)
{
	uint64_t offset = (cluster << m->bits) + index->within;
	int r;

	if (m->done)
		return 0;
	if (index->type == NONHEAD) {
		if (!m->has_last)
			return pl_corrupt(err, m->indexes, "the file's first cluster has no head");
		if (m->last.big && cluster == m->last.cluster + 1)
			m->last.nr_blocks = index->nr_blocks;
		return 0;
	}
	if (index->within >> m->bits || (!m->has_last && offset))
		return pl_corrupt(err, m->indexes,
				  "a piece begins at byte %u of logical cluster %" PRIu64,
				  index->within, cluster);
	if (m->has_last) {
		r = finish_piece(m, offset, behind_indexes, err);
		if (r < 0)
			return r;
	}
	m->done = offset >= m->inode->size;
	begin_piece(m, cluster, offset, index);
	return 0;
}

static void
decode_full(struct index *ret, const uint8_t *b)
{
	*ret = (struct index){ .type = get_le16(b) & 3 };
	if (ret->type == NONHEAD) {
		if (get_le16(b + 4) & HAS_BLOCKS)
			ret->nr_blocks = get_le16(b + 4) & ~HAS_BLOCKS;
		return;
	}
	ret->within = get_le16(b + 2);
	ret->block = get_le32(b + 4);
}

static int
map_full(struct mapper *m, uint64_t nr, struct platter_error *err)
{
	uint64_t end = m->indexes + nr * 8;
	uint8_t b[2048];
	int r = 0;

	for (uint64_t k = 0; k < nr && r == 0; k++) {
		struct index index;

		if (k % (sizeof b / 8) == 0)
			r = pl_meta_read(m->inode->area->meta, b, PL_MIN(sizeof b, (nr - k) * 8),
					 m->indexes + k * 8, err);
		if (r < 0)
			break;
		decode_full(&index, b + k % (sizeof b / 8) * 8);
		r = take_index(m, k, &index, end, err);
	}
	if (r == 0 && !m->done)
		r = finish_piece(m, m->inode->size, end, err);
	return r;
}

/*
 * Indexes of a pack: bits of a number, at least 12, then 2 of the type.  The number of a head
 * is where in the cluster its piece begins, that of a NONHEAD the distance to its head, or to
 * the next one if it is the last, or how many blocks there are.  Physical clusters follow
 * each other, so the pack tells one block: that of the piece that its first indexes
 * belong to, or of the one before its first head if these take one block each.
 */
static void
decode_pack(const struct mapper *m, const uint8_t *b, unsigned nr, struct index ret[16])
{
	unsigned size = nr == 16 ? 32 : 8, each = (size - 4) * 8 / nr;
	unsigned number_bits = PL_MAX(m->bits, 12);
	bool big = m->advise & ADVISE_BIG_HEAD1;
	uint64_t block = get_le32(b + size - 4) + !big;

	for (unsigned k = 0; k < nr; k++) {
		uint32_t bits = get_le32(b + k * each / 8) >> (k * each % 8);
		unsigned number = bits & ((1u << number_bits) - 1);

		ret[k] = (struct index){ .type = bits >> number_bits & 3 };
		if (ret[k].type != NONHEAD) {
			ret[k].within = number;
			ret[k].block = block++;
		} else if (big && number & HAS_BLOCKS) {
			ret[k].nr_blocks = number & ~HAS_BLOCKS;
			/* One was counted for its head, if that is in this pack. */
			block += ret[k].nr_blocks - (k > 0);
		}
	}
}

/* Packs of 2 up to a multiple of 32 bytes, then of 16 if there are such, then of 2. */
static int
map_compact(struct mapper *m, uint64_t nr, struct platter_error *err)
{
	uint64_t first = (32 - m->indexes % 32) / 4 & 7, at = m->indexes;
	uint64_t end_of_16 = 0;
	int r = 0;

	if (m->bits > 14 || (m->advise & ADVISE_COMPACT_2 && m->bits > 12))
		return pl_unsupported(err, m->indexes, "compact indexes of clusters of %u bits",
				      m->bits);
	if (m->advise & ADVISE_COMPACT_2 && first < nr)
		end_of_16 = first + pl_round_down(nr - first, 16);
	for (uint64_t k = 0; k < nr && r == 0;) {
		unsigned of = k >= first && k < end_of_16 ? 16 : 2, size = of == 16 ? 32 : 8;
		struct index index[16];
		uint8_t b[32];

		r = pl_meta_read(m->inode->area->meta, b, size, at, err);
		if (r < 0)
			break;
		decode_pack(m, b, of, index);
		at += size;
		/* Only the last one stands in front of what is stored behind the indexes. */
		for (unsigned j = 0; j < of && k < nr && r == 0; j++, k++)
			r = take_index(m, k, &index[j], at, err);
	}
	if (r == 0 && !m->done)
		r = finish_piece(m, m->inode->size, at, err);
	return r;
}

/* ---- extents ---- */

/* A record's length tells what of it there is: all but the first field may be missing. */
struct extent {
	uint64_t offset, stored;
	uint32_t length; /* and flags */
};

enum {
	EXTENT_LENGTH_MASK = (MAX_STORED << 1) - 1,
	EXTENT_METHOD_SHIFT = 28, /* 0: stored as is; else the algorithm and 1 */
};

static int
add_extent(struct mapper *m, const struct extent *e, uint64_t end, bool has_place,
	   struct platter_error *err)
{
	uint32_t length = e->length & EXTENT_LENGTH_MASK, block_size = m->fs->volume.block_size;
	unsigned method = e->length >> EXTENT_METHOD_SHIFT, algorithm = AS_IS;
	uint64_t first = e->stored >> m->fs->block_bits;
	int r;

	if (end <= e->offset || end > m->inode->size)
		return pl_corrupt(err, m->indexes, "piece from byte %" PRIu64 " to %" PRIu64,
				  e->offset, end);
	if (end == m->inode->size && m->advise & ADVISE_FRAGMENT)
		return add_fragment(m, e->offset, end - e->offset,
				    (has_place ? e->stored << 32 : 0) | e->length, err);
	if (!length)
		return 0;
	if (method)
		algorithm = method - 1;
	else if (m->advise & ADVISE_INTERLACED && !((e->stored | length) % block_size))
		algorithm = ROTATED;
	if (e->stored > INT64_MAX)
		return pl_corrupt(err, m->indexes, "piece at byte %" PRIu64, e->stored);
	r = erofs_check_blocks(m->fs, first,
			       pl_div_round_up(e->stored + length, block_size) - first, err);
	if (r < 0)
		return r;
	return add_piece(m, e->offset, end - e->offset, algorithm, e->stored, length, NULL, err);
}

static void
decode_extent(struct extent *e, const uint8_t *b, unsigned size)
{
	e->length = get_le32(b);
	if (size >= 8)
		e->stored = get_le32(b + 4);
	if (size >= 16) {
		e->stored |= (uint64_t)get_le32(b + 8) << 32;
		e->offset = get_le32(b + 12);
	}
	if (size >= 32)
		e->offset |= (uint64_t)get_le32(b + 16) << 32;
}

static int
map_extents(struct mapper *m, const uint8_t *header, struct platter_error *err)
{
	unsigned size = 4u << (m->advise >> ADVISE_EXTENT_SIZE_SHIFT & 3);
	uint64_t at = pl_round_up(m->indexes, size), stored = 0;
	uint64_t nr = get_le32(header) | (uint64_t)get_le16(header + 6) << 32;
	struct extent last = { 0 };
	uint8_t b[32];
	int r = 0;

	/* The short ones are one for each cluster, and the shortest follow each other. */
	if (size <= 8)
		nr = pl_div_round_up(m->inode->size, 1ull << m->bits);
	if (nr > EROFS_MAX_PIECES)
		return pl_over_limit(err, m->indexes, "file in %" PRIu64 " pieces", nr);
	if (size == 4) {
		r = pl_meta_read(m->inode->area->meta, b, 8, at, err);
		stored = get_le64(b);
		at += 8;
	}
	for (uint64_t k = 0; k < nr && r == 0; k++, at += size) {
		struct extent e = { .offset = k << m->bits, .stored = stored };

		r = pl_meta_read(m->inode->area->meta, b, size, at, err);
		if (r < 0)
			break;
		decode_extent(&e, b, size);
		stored += e.length & EXTENT_LENGTH_MASK;
		if (k)
			r = add_extent(m, &last, e.offset, size > 4, err);
		last = e;
	}
	if (r == 0 && nr)
		r = add_extent(m, &last, m->inode->size, size > 4, err);
	return r;
}

int
erofs_add_compressed(struct erofs *fs, const struct erofs_inode *i, struct pl_runs *runs,
		     struct platter_error *err)
{
	struct mapper m = { .fs = fs, .inode = i, .runs = runs };
	uint64_t at = pl_round_up(i->end, 8), nr;
	uint8_t header[8];
	int r;

	if (!i->size)
		return 0;
	r = pl_meta_read(i->area->meta, header, sizeof header, at, err);
	if (r < 0)
		return r;
	if (get_le64(header) & WHOLE_FRAGMENT)
		return add_fragment(&m, 0, i->size, get_le64(header) ^ WHOLE_FRAGMENT, err);
	m.indexes = at + sizeof header;
	m.advise = get_le16(header + 4);
	m.bits = fs->block_bits + (header[7] & 15);
	if (i->layout == LAYOUT_COMPRESSED && m.advise & ADVISE_EXTENTS)
		return map_extents(&m, header, err);
	m.algorithm[0] = header[6] & 15;
	m.algorithm[1] = header[6] >> 4;
	if (m.advise & ADVISE_FRAGMENT)
		m.fragment = get_le32(header);
	else if (m.advise & ADVISE_INLINE)
		m.tail_stored = get_le16(header + 2);
	if (i->layout == LAYOUT_COMPACT &&
	    !(m.advise & ADVISE_BIG_HEAD1) != !(m.advise & ADVISE_BIG_HEAD2))
		return pl_corrupt(err, at + 4, "compact indexes of which some tell their blocks");
	nr = ((i->size - 1) >> m.bits) + 1;
	if (nr > EROFS_MAX_PIECES)
		return pl_over_limit(err, at, "file of %" PRIu64 " logical clusters", nr);
	if (i->layout == LAYOUT_COMPACT)
		return map_compact(&m, nr, err);
	m.indexes += 8;
	return map_full(&m, nr, err);
}
