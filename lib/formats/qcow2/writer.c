/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer.c - new QCOW2 images, produced front to back
 *
 * The file grows by whole clusters at its frontier:
 *
 *	header | refcount table | L1 table | L2 table, data ... | L2 table, data ...
 *
 * An L2 table is placed before the first data that it maps and stays in memory until
 * the copy leaves its range.  Compressed clusters are packed at byte granularity into
 * host clusters, which they share.  Reference counts are counted as the file grows: a
 * refcount block is placed when the frontier passes what the blocks before it count,
 * and is written when counting goes on to the next, so that one of them and the list of
 * their places is all that is in memory.  The L1 table of a stream, whose size is known
 * only at its end, comes last, and so does a refcount table that may need more than one
 * cluster.
 *
 * A checkpoint makes the file an image that holds the disk's beginning, marked dirty,
 * without refcounts, and with the number of bytes it holds in an extension of ours.
 */
#include "create.h"

/* Limits of QEMU, which refuses larger tables: 8 bytes an entry. */
#define MAX_L1_BYTES             MIB(32)
#define MAX_REFCOUNT_TABLE_BYTES MIB(8)
/* Host offsets have 56 bits. */
#define MAX_FILE_SIZE (1ull << 56)
#define NO_L2         UINT64_MAX

struct qcow2_writer {
	struct pl_writer writer;
	struct qcow2_params params;
	uint64_t cluster_size;
	uint32_t l2_bits; /* log2 of the entries of an L2 table */
	bool sized;       /* the disk's size is known from the start */

	uint64_t frontier; /* where the next cluster goes */
	uint64_t packed;   /* where the next compressed cluster may go, 0: at the frontier */

	uint8_t *l1; /* as in the file, in whole clusters */
	uint64_t l1_bytes;
	uint64_t l1_offset;  /* 0: not placed yet */
	uint64_t l1_written; /* entries before this are in the file */

	uint8_t *l2;        /* the current table, as in the file */
	uint64_t l2_index;  /* which, NO_L2 none yet */
	uint64_t l2_offset; /* 0: it has no entries yet */

	uint64_t refcount_table; /* 0: not placed yet */
	uint64_t *blocks;        /* where refcount blocks are */
	uint64_t nr_blocks, blocks_room;
	uint8_t *block; /* the one being counted, as in the file */
	uint64_t block_index;
	uint32_t block_bits; /* log2 of the entries of a block */
};

static struct qcow2_writer *
writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct qcow2_writer, writer);
}

/* Disk bytes that one L2 table maps. */
static uint64_t
l2_span(const struct qcow2_writer *q)
{
	return q->cluster_size << q->l2_bits;
}

static uint64_t
to_clusters(const struct qcow2_writer *q, uint64_t bytes)
{
	return pl_div_round_up(bytes, q->cluster_size);
}

/* Reference counts. */

static uint64_t
get_count(const struct qcow2_writer *q, uint64_t i)
{
	switch (q->params.refcount_order) {
	case 3: return q->block[i];
	case 4: return get_be16(q->block + i * 2);
	case 5: return get_be32(q->block + i * 4);
	case 6: return get_be64(q->block + i * 8);
	default: {
		unsigned bits = 1u << q->params.refcount_order;

		return q->block[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
	}
	}
}

/* Never past max_count(): narrow counts are added to without a carry. */
static void
increment(struct qcow2_writer *q, uint64_t i)
{
	switch (q->params.refcount_order) {
	case 3: q->block[i]++; return;
	case 4: put_be16(q->block + i * 2, (uint16_t)(get_be16(q->block + i * 2) + 1)); return;
	case 5: put_be32(q->block + i * 4, get_be32(q->block + i * 4) + 1); return;
	case 6: put_be64(q->block + i * 8, get_be64(q->block + i * 8) + 1); return;
	default: {
		unsigned bits = 1u << q->params.refcount_order;

		q->block[i * bits / 8] += (uint8_t)(1u << (i * bits % 8));
	}
	}
}

static uint64_t
max_count(const struct qcow2_writer *q)
{
	unsigned bits = 1u << q->params.refcount_order;

	return bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
}

static int
write_block(struct qcow2_writer *q, struct platter_error *err)
{
	return pl_write(q->writer.file, q->block, q->cluster_size, q->blocks[q->block_index], err);
}

/* Count one more user of each of `nr` host clusters.  Blocks are counted in ascending order. */
static int
count_users(struct qcow2_writer *q, uint64_t offset, uint64_t nr, struct platter_error *err)
{
	uint64_t first = offset >> q->params.cluster_bits;

	for (uint64_t i = first; i < first + nr; i++) {
		while (i >> q->block_bits != q->block_index) {
			int r = write_block(q, err);

			if (r < 0)
				return r;
			memset(q->block, 0, q->cluster_size);
			q->block_index++;
		}
		increment(q, i & ((1ull << q->block_bits) - 1));
	}
	return 0;
}

/* Users of the host cluster at `offset`, which is in the block being counted. */
static uint64_t
users_of(const struct qcow2_writer *q, uint64_t offset)
{
	return get_count(q, (offset >> q->params.cluster_bits) & ((1ull << q->block_bits) - 1));
}

/* File bytes that the refcount blocks placed so far count. */
static uint64_t
covered(const struct qcow2_writer *q)
{
	return q->nr_blocks << (q->block_bits + q->params.cluster_bits);
}

static int
add_block(struct qcow2_writer *q, uint64_t offset, struct platter_error *err)
{
	if (q->nr_blocks == q->blocks_room) {
		uint64_t room = q->blocks_room ? q->blocks_room * 2 : 64;
		uint64_t *blocks;

		if (q->nr_blocks * 8 >= MAX_REFCOUNT_TABLE_BYTES) {
			int r = pl_over_limit(err, PLATTER_NO_OFFSET,
					      "an image file of %" PRIu64
					      " bytes needs a refcount table of"
					      " more than %" PRIu64
					      " bytes with clusters of %" PRIu64,
					      offset, MAX_REFCOUNT_TABLE_BYTES, q->cluster_size);

			pl_hint(err, "choose a larger cluster_size, up to 2M");
			return r;
		}
		blocks = pl_realloc_array(q->blocks, room, sizeof *blocks);
		if (!blocks)
			return pl_no_memory(err);
		q->blocks = blocks;
		q->blocks_room = room;
	}
	q->blocks[q->nr_blocks++] = offset;
	return 0;
}

/* See that `nr` clusters at the frontier can be counted: place the blocks that it takes before them. */
static int
cover(struct qcow2_writer *q, uint64_t nr, struct platter_error *err)
{
	for (;;) {
		int r;

		if (!pl_in_range(q->frontier, nr << q->params.cluster_bits, MAX_FILE_SIZE))
			return pl_over_limit(
				err, PLATTER_NO_OFFSET,
				"the image file would pass %llu bytes, the limit of the format",
				MAX_FILE_SIZE);
		if (q->frontier + (nr << q->params.cluster_bits) <= covered(q))
			return 0;
		r = add_block(q, q->frontier, err);
		if (r == 0)
			r = count_users(q, q->frontier, 1, err);
		if (r < 0)
			return r;
		q->frontier += q->cluster_size;
	}
}

/* `nr` clusters in one piece. */
static int
allocate(struct qcow2_writer *q, uint64_t nr, uint64_t *ret, struct platter_error *err)
{
	int r = cover(q, nr, err);

	if (r == 0)
		r = count_users(q, q->frontier, nr, err);
	if (r < 0)
		return r;
	*ret = q->frontier;
	q->frontier += nr << q->params.cluster_bits;
	return 0;
}

/* Mapping tables. */

/* Room for `entries` of the L1 table. */
static int
grow_l1(struct qcow2_writer *q, uint64_t entries, struct platter_error *err)
{
	uint64_t bytes;
	uint8_t *l1;

	if (entries > MAX_L1_BYTES / 8) {
		int r = pl_over_limit(err, PLATTER_NO_OFFSET,
				      "the disk is too large for clusters of %" PRIu64
				      " bytes: these map %" PRIu64 " bytes at most",
				      q->cluster_size, MAX_L1_BYTES / 8 * l2_span(q));

		pl_hint(err, "choose a larger cluster_size, up to 2M");
		return r;
	}
	if (entries * 8 <= q->l1_bytes)
		return 0;
	bytes = pl_round_up(PL_MAX(entries * 8, q->sized ? 0 : q->l1_bytes * 2), q->cluster_size);
	l1 = realloc(q->l1, bytes);
	if (!l1)
		return pl_no_memory(err);
	memset(l1 + q->l1_bytes, 0, bytes - q->l1_bytes);
	q->l1 = l1;
	q->l1_bytes = bytes;
	return 0;
}

static int
write_l2(struct qcow2_writer *q, struct platter_error *err)
{
	if (!q->l2_offset)
		return 0;
	return pl_write(q->writer.file, q->l2, q->cluster_size, q->l2_offset, err);
}

/* Make the L2 table that maps `offset` the current one; *ret_entry is its first entry to fill in. */
static int
enter_l2(struct qcow2_writer *q, uint64_t offset, uint64_t *ret_entry, struct platter_error *err)
{
	uint64_t cluster = offset >> q->params.cluster_bits;
	uint64_t index = cluster >> q->l2_bits;
	int r;

	if (index != q->l2_index) {
		r = write_l2(q, err);
		if (r == 0)
			r = grow_l1(q, index + 1, err);
		if (r < 0)
			return r;
		memset(q->l2, 0, q->cluster_size);
		q->l2_index = index;
		q->l2_offset = 0;
	}
	if (!q->l2_offset) {
		r = allocate(q, 1, &q->l2_offset, err);
		if (r < 0)
			return r;
		put_be64(q->l1 + index * 8, q->l2_offset | QCOW2_COPIED);
	}
	*ret_entry = cluster & ((1ull << q->l2_bits) - 1);
	return 0;
}

/* Entries of the current table for [offset, offset + length), whose first is `entry`. */
static uint64_t
entries_for(const struct qcow2_writer *q, uint64_t entry, uint64_t length)
{
	return PL_MIN(to_clusters(q, length), (1ull << q->l2_bits) - entry);
}

/* Where bits of a compressed entry's offset end and those of its length begin. */
static unsigned
compressed_bits(const struct qcow2_writer *q)
{
	return 62 - (q->params.cluster_bits - 8);
}

/*
 * Whether `stored` bytes can follow the compressed clusters before them.  If they cross
 * into another host cluster, that is the one at the frontier.
 */
static bool
can_pack(const struct qcow2_writer *q, size_t stored)
{
	uint64_t end = pl_round_up(q->packed, q->cluster_size);

	if (!q->packed || q->packed >> (q->params.cluster_bits + q->block_bits) != q->block_index)
		return false;
	if (users_of(q, q->packed) == max_count(q))
		return false;
	return stored <= end - q->packed ||
	       (end == q->frontier && q->frontier + q->cluster_size <= covered(q));
}

static int
place_encoded(struct qcow2_writer *q, uint64_t entry, size_t stored, uint64_t *ret_at,
	      struct platter_error *err)
{
	unsigned bits = compressed_bits(q);
	uint64_t at, sectors;
	int r;

	if (!can_pack(q, stored)) {
		r = cover(q, 1, err);
		if (r < 0)
			return r;
		q->packed = q->frontier;
	}
	at = q->packed;
	if (at + stored > 1ull << PL_MIN(bits, 56))
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "compressed clusters of %" PRIu64
				     " bytes cannot be stored past byte %" PRIu64,
				     q->cluster_size, (uint64_t)1 << PL_MIN(bits, 56));
	q->packed += stored;
	r = count_users(q, at,
			((q->packed - 1) >> q->params.cluster_bits) -
				(at >> q->params.cluster_bits) + 1,
			err);
	if (r < 0)
		return r;
	q->frontier = PL_MAX(q->frontier, pl_round_up(q->packed, q->cluster_size));
	sectors = ((q->packed - 1) >> 9) - (at >> 9);
	put_be64(q->l2 + entry * 8, QCOW2_COMPRESSED | sectors << bits | at);
	if (!(q->packed & (q->cluster_size - 1)))
		q->packed = 0;
	*ret_at = at;
	return 0;
}

static int
place_as_is(struct qcow2_writer *q, uint64_t entry, uint64_t nr, uint64_t *ret_at, uint64_t *ret_nr,
	    struct platter_error *err)
{
	uint64_t at;
	int r = cover(q, 1, err);

	if (r < 0)
		return r;
	nr = PL_MIN(nr, (covered(q) - q->frontier) >> q->params.cluster_bits);
	r = allocate(q, nr, &at, err);
	if (r < 0)
		return r;
	for (uint64_t i = 0; i < nr; i++)
		put_be64(q->l2 + (entry + i) * 8,
			 (at + (i << q->params.cluster_bits)) | QCOW2_COPIED);
	*ret_at = at;
	*ret_nr = nr;
	return 0;
}

/* The writer's operations. */

static int
qcow2_encode(struct pl_writer *w, uint64_t offset, const uint8_t *in, size_t n,
	     struct pl_encoded *out, struct platter_error *err)
{
	struct qcow2_writer *q = writer_of(w);
	PL_AUTOFREE uint8_t *padded = NULL;

	/* Readers expect a whole cluster, at the disk's end too. */
	if (n < q->cluster_size) {
		padded = calloc(1, q->cluster_size);
		if (!padded)
			return pl_no_memory(err);
		memcpy(padded, in, n);
		in = padded;
	}
	out->length = q->params.codec->encode(q->params.level, in, q->cluster_size, out->bytes,
					      PL_MIN(out->capacity, q->cluster_size - 1));
	out->as_is = !out->length;
	return 0;
}

static int
qcow2_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored, uint64_t *ret_at,
	    uint64_t *ret_length, struct platter_error *err)
{
	struct qcow2_writer *q = writer_of(w);
	uint64_t entry, nr;
	int r = enter_l2(q, offset, &entry, err);

	if (r < 0)
		return r;
	if (stored) {
		r = place_encoded(q, entry, stored, ret_at, err);
		if (r == 0)
			*ret_length = length;
		return r;
	}
	r = place_as_is(q, entry, entries_for(q, entry, length), ret_at, &nr, err);
	if (r == 0)
		*ret_length = PL_MIN(length, nr << q->params.cluster_bits);
	return r;
}

/* Hide [offset, offset + length) of the backing file behind zeros. */
static int
place_zeros(struct qcow2_writer *q, uint64_t offset, uint64_t length, struct platter_error *err)
{
	while (length) {
		uint64_t entry, nr, at, n;
		int r = enter_l2(q, offset, &entry, err);

		if (r < 0)
			return r;
		nr = entries_for(q, entry, length);
		if (q->params.version >= 3) {
			for (uint64_t i = 0; i < nr; i++)
				put_be64(q->l2 + (entry + i) * 8, QCOW2_ZERO);
		} else {
			/* Version 2 has no flag for zeros; clusters that are never written read as such. */
			r = place_as_is(q, entry, nr, &at, &nr, err);
			if (r < 0)
				return r;
		}
		n = PL_MIN(length, nr << q->params.cluster_bits);
		offset += n;
		length -= n;
	}
	return q->params.version >= 3 ? 0 : pl_resize(q->writer.file, q->frontier, err);
}

static int
qcow2_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	   struct platter_error *err)
{
	struct qcow2_writer *q = writer_of(w);
	uint64_t backed = pl_round_up(q->params.backing_size, q->cluster_size);

	/* Past the end of its backing file, or without one, a hole reads as zeros. */
	if (kind == PLATTER_HOLE || offset >= backed)
		return 0;
	return place_zeros(q, offset, PL_MIN(length, backed - offset), err);
}

/* Entries of the L1 table in the end; one at least, for programs that expect a table. */
static uint64_t
l1_entries(const struct qcow2_writer *q)
{
	return PL_MAX(pl_div_round_up(q->writer.size, l2_span(q)), 1);
}

/*
 * What the header says of an unfinished image.  QEMU cuts a size to whole sectors; rounded
 * up, as qemu-img does, the last bytes are kept.
 */
static struct qcow2_layout
layout_of(const struct qcow2_writer *q)
{
	return (struct qcow2_layout){
		.size = pl_round_up(q->writer.size, 512),
		.l1_offset = q->l1_offset,
		.l1_size = (uint32_t)PL_MIN(l1_entries(q), MAX_L1_BYTES / 8),
	};
}

static int
write_header(struct qcow2_writer *q, const struct qcow2_layout *layout, struct platter_error *err)
{
	uint8_t header[QCOW2_HEADER_AREA];
	int r = pl_qcow2_header_build(&q->params, layout, header, err);

	if (r < 0)
		return r;
	return pl_write(q->writer.file, header, PL_MIN(q->cluster_size, sizeof header), 0, err);
}

static int
qcow2_checkpoint(struct pl_writer *w, uint64_t offset, struct platter_error *err)
{
	struct qcow2_writer *q = writer_of(w);
	struct qcow2_layout layout = layout_of(q);
	uint64_t from, to;
	int r;

	/* A stream cannot be read again from where it stopped. */
	if (!q->sized)
		return 0;
	/* Entries past `offset` are in the tables too; whoever resumes takes them out. */
	r = write_l2(q, err);
	if (r == 0 && q->l2_index != NO_L2) {
		from = pl_round_down(q->l1_written * 8, 512);
		to = pl_round_up((q->l2_index + 1) * 8, 512);
		r = pl_write(w->file, q->l1 + from, to - from, q->l1_offset + from, err);
		q->l1_written = q->l2_index;
	}
	if (r < 0)
		return r;
	layout.checkpoint = offset;
	return write_header(q, &layout, err);
}

static int
place_refcount_table(struct qcow2_writer *q, uint64_t *ret_nr, struct platter_error *err)
{
	uint64_t nr;

	/* Blocks that count the table make it longer. */
	do {
		int r;

		nr = PL_MAX(to_clusters(q, q->nr_blocks * 8), 1);
		r = cover(q, nr, err);
		if (r < 0)
			return r;
	} while (to_clusters(q, q->nr_blocks * 8) > nr);
	*ret_nr = nr;
	return allocate(q, nr, &q->refcount_table, err);
}

/* Write the refcount table, and the block that was being counted. */
static int
write_refcount_table(struct qcow2_writer *q, struct qcow2_layout *layout, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *table = NULL;
	uint64_t nr = 1;
	bool placed = q->refcount_table && q->nr_blocks * 8 <= q->cluster_size;
	int r = placed ? 0 : place_refcount_table(q, &nr, err);

	if (r == 0)
		r = write_block(q, err);
	if (r < 0)
		return r;
	layout->refcount_table_offset = q->refcount_table;
	layout->refcount_table_clusters = (uint32_t)nr;
	table = calloc(nr, q->cluster_size);
	if (!table)
		return pl_no_memory(err);
	for (uint64_t i = 0; i < q->nr_blocks; i++)
		put_be64(table + i * 8, q->blocks[i]);
	return pl_write(q->writer.file, table, nr << q->params.cluster_bits,
			layout->refcount_table_offset, err);
}

static uint64_t
file_end(const struct qcow2_writer *q)
{
	bool packed_last = q->packed && pl_round_up(q->packed, q->cluster_size) == q->frontier;

	return packed_last ? q->packed : q->frontier;
}

static int
qcow2_finish(struct pl_writer *w, struct platter_error *err)
{
	struct qcow2_writer *q = writer_of(w);
	struct qcow2_layout layout;
	int r = write_l2(q, err);

	if (r == 0)
		r = grow_l1(q, l1_entries(q), err);
	if (r == 0 && !q->l1_offset)
		r = allocate(q, to_clusters(q, l1_entries(q) * 8), &q->l1_offset, err);
	if (r == 0)
		r = pl_write(w->file, q->l1, pl_round_up(l1_entries(q) * 8, q->cluster_size),
			     q->l1_offset, err);
	if (r < 0)
		return r;
	layout = layout_of(q);
	r = write_refcount_table(q, &layout, err);
	/* Whole sectors after compressed data, whole clusters after any other. */
	if (r == 0)
		r = pl_resize(w->file, pl_round_up(file_end(q), 512), err);
	if (r == 0)
		r = write_header(q, &layout, err);
	return r;
}

static void
qcow2_free(struct pl_writer *w)
{
	struct qcow2_writer *q = writer_of(w);

	free(q->l1);
	free(q->l2);
	free(q->blocks);
	free(q->block);
	free(q);
}

/*
 * Does a refcount table of one cluster suffice, however little is left out or compressed?
 * With room for what counts itself and for what interrupted runs leave behind.
 */
static bool
one_cluster_counts_all(const struct qcow2_writer *q)
{
	uint64_t tables = pl_div_round_up(q->writer.size, l2_span(q)) + l1_entries(q);
	uint64_t clusters = to_clusters(q, q->writer.size) + 2 * tables + 4;

	return clusters >> (q->block_bits + q->params.cluster_bits - 4) == 0;
}

/*
 * Begin from nothing: the header's cluster and, if the size of the disk is known, the
 * tables that it allows to place.
 */
static int
lay_out(struct qcow2_writer *q, struct platter_error *err)
{
	struct qcow2_layout layout;
	uint8_t header[QCOW2_HEADER_AREA];
	int r;

	q->frontier = q->cluster_size;
	q->packed = 0;
	q->nr_blocks = q->block_index = 0;
	memset(q->block, 0, q->cluster_size);
	q->l2_index = NO_L2;
	q->l2_offset = q->l1_offset = q->l1_written = q->refcount_table = 0;
	if (q->l1)
		memset(q->l1, 0, q->l1_bytes);
	r = count_users(q, 0, 1, err);
	if (r == 0 && q->sized && one_cluster_counts_all(q))
		r = allocate(q, 1, &q->refcount_table, err);
	if (r == 0 && q->sized) {
		r = grow_l1(q, l1_entries(q), err);
		if (r == 0)
			r = allocate(q, to_clusters(q, q->l1_bytes), &q->l1_offset, err);
	}
	if (r < 0)
		return r;
	/* What the header cannot hold is refused now, not when the data is there. */
	layout = layout_of(q);
	return pl_qcow2_header_build(&q->params, &layout, header, err);
}

/* Resuming.  -EUCLEAN means that the file is not one to go on with. */

static int
not_ours(struct platter_error *err, uint64_t at)
{
	return pl_corrupt(err, at,
			  "the tables of an unfinished image are not as they were written");
}

/* Count the users of host bytes [at, at + n), which may not reach past `end`. */
static int
recount(struct qcow2_writer *q, uint64_t at, uint64_t n, bool shared, uint64_t end,
	struct platter_error *err)
{
	uint64_t first = pl_round_down(at, q->cluster_size);

	if (!pl_in_range(at, n, end) || first < q->l1_offset + q->l1_bytes)
		return not_ours(err, at);
	for (at += n; first < at; first += q->cluster_size) {
		uint64_t block = first >> (q->params.cluster_bits + q->block_bits);
		int r;

		if (block < q->block_index)
			return not_ours(err, first);
		if (block == q->block_index && users_of(q, first) > (shared ? max_count(q) - 1 : 0))
			return not_ours(err, first);
		r = count_users(q, first, 1, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The host bytes that an entry refers to; false: none. */
static bool
entry_bytes(const struct qcow2_writer *q, uint64_t entry, uint64_t *ret_at, uint64_t *ret_n)
{
	unsigned bits = compressed_bits(q);

	if (entry & QCOW2_COMPRESSED) {
		*ret_at = entry & ((1ull << bits) - 1);
		*ret_n = ((entry & (QCOW2_COMPRESSED - 1)) >> bits) * 512 + 512 - (*ret_at & 511);
		return true;
	}
	*ret_at = entry & QCOW2_OFFSET_MASK;
	*ret_n = q->cluster_size;
	return *ret_at != 0;
}

/* Make the index-th table of the file the current one, without entries from disk byte `limit` on. */
static int
load_l2(struct qcow2_writer *q, uint64_t index, uint64_t limit, struct platter_error *err)
{
	uint64_t at = get_be64(q->l1 + index * 8) & QCOW2_OFFSET_MASK;
	uint64_t keep = to_clusters(q, limit - index * l2_span(q));
	int r;

	if (at & (q->cluster_size - 1) || !pl_in_range(at, q->cluster_size, q->writer.file->size))
		return not_ours(err, q->l1_offset + index * 8);
	r = pl_read(q->writer.file, q->l2, q->cluster_size, at, err);
	if (r < 0)
		return r;
	if (keep < 1ull << q->l2_bits)
		memset(q->l2 + keep * 8, 0, q->cluster_size - keep * 8);
	q->l2_index = index;
	q->l2_offset = at;
	return 0;
}

/* Where what the current L2 table refers to ends: nothing that was placed before it lies further. */
static uint64_t
end_of_l2(const struct qcow2_writer *q)
{
	uint64_t end = q->l2_offset + q->cluster_size, at, n;

	for (uint64_t i = 0; i < 1ull << q->l2_bits; i++)
		if (entry_bytes(q, get_be64(q->l2 + i * 8), &at, &n))
			end = PL_MAX(end, pl_round_up(at + n, q->cluster_size));
	return end;
}

static int
recount_l2(struct qcow2_writer *q, uint64_t end, struct platter_error *err)
{
	uint64_t at, n;
	int r = recount(q, q->l2_offset, q->cluster_size, false, end, err);

	for (uint64_t i = 0; r == 0 && i < 1ull << q->l2_bits; i++) {
		uint64_t entry = get_be64(q->l2 + i * 8);

		if (entry_bytes(q, entry, &at, &n))
			r = recount(q, at, n, entry & QCOW2_COMPRESSED, end, err);
	}
	return r;
}

/*
 * Go on after what the tables in the file refer to.  Where the earlier run put its
 * refcount blocks is not known: new ones are placed here, and those stay unused.
 */
static int
rebuild(struct qcow2_writer *q, uint64_t checkpoint, struct platter_error *err)
{
	uint64_t nr = pl_div_round_up(checkpoint, l2_span(q)), last = nr, end = q->frontier;
	int r = pl_read(q->writer.file, q->l1, q->l1_bytes, q->l1_offset, err);

	if (r < 0)
		return r;
	memset(q->l1 + nr * 8, 0, q->l1_bytes - nr * 8);
	while (last && !get_be64(q->l1 + (last - 1) * 8))
		last--;
	if (last) {
		r = load_l2(q, last - 1, checkpoint, err);
		if (r < 0)
			return r;
		end = end_of_l2(q);
		if (end > pl_round_up(q->writer.file->size, q->cluster_size))
			return not_ours(err, q->l2_offset);
	}
	q->frontier = end;
	while (r == 0 && covered(q) < q->frontier) {
		r = add_block(q, q->frontier, err);
		q->frontier += q->cluster_size;
	}
	for (uint64_t i = 0; r == 0 && i < last; i++) {
		if (!get_be64(q->l1 + i * 8))
			continue;
		r = load_l2(q, i, checkpoint, err);
		if (r == 0)
			r = recount_l2(q, end, err);
	}
	if (r == 0)
		r = count_users(q, end, to_clusters(q, q->frontier - end), err);
	return r;
}

/* Go on with an earlier run's file.  -EUCLEAN: it is not there, or was made in another way. */
static int
resume(struct qcow2_writer *q, struct platter_error *err)
{
	struct pl_disk *file = q->writer.file;
	uint8_t header[QCOW2_HEADER_AREA], expected[QCOW2_HEADER_AREA];
	size_t n = PL_MIN(q->cluster_size, sizeof header);
	struct qcow2_layout layout = layout_of(q);
	int r;

	if (file->size < q->frontier)
		return not_ours(err, 0);
	r = pl_read(file, header, n, 0, err);
	if (r < 0)
		return r;
	layout.checkpoint = get_be64(header + pl_qcow2_checkpoint_at(&q->params));
	r = pl_qcow2_header_build(&q->params, &layout, expected, err);
	if (r < 0)
		return r;
	if (memcmp(header, expected, n) != 0 || layout.checkpoint > q->writer.size)
		return not_ours(err, 0);
	r = rebuild(q, layout.checkpoint, err);
	if (r == 0)
		r = pl_resize(file, q->frontier, err);
	if (r == 0)
		r = qcow2_checkpoint(&q->writer, layout.checkpoint, err);
	if (r == 0)
		q->writer.resumed = layout.checkpoint;
	return r;
}

static const struct pl_writer_ops plain_ops = {
	.place = qcow2_place,
	.skip = qcow2_skip,
	.checkpoint = qcow2_checkpoint,
	.finish = qcow2_finish,
	.free = qcow2_free,
};

static const struct pl_writer_ops compressing_ops = {
	.encode = qcow2_encode,
	.place = qcow2_place,
	.skip = qcow2_skip,
	.checkpoint = qcow2_checkpoint,
	.finish = qcow2_finish,
	.free = qcow2_free,
};

/* Set up `q` for the parameters that it has, and the file with it. */
static int
prepare(struct qcow2_writer *q, const struct pl_create_request *request, struct platter_error *err)
{
	int r;

	q->cluster_size = 1ull << q->params.cluster_bits;
	q->l2_bits = q->params.cluster_bits - 3;
	q->block_bits = q->params.cluster_bits + 3 - q->params.refcount_order;
	q->sized = request->size != UINT64_MAX;
	q->writer = (struct pl_writer){
		.ops = q->params.codec ? &compressing_ops : &plain_ops,
		.file = request->file,
		.size = request->size,
		.chunk = (uint32_t)q->cluster_size,
		.encoded_max = q->cluster_size,
	};
	q->l2 = malloc(q->cluster_size);
	q->block = malloc(q->cluster_size);
	if (!q->l2 || !q->block)
		return pl_no_memory(err);
	if (request->resume && q->sized && request->file->size) {
		r = lay_out(q, err);
		if (r == 0)
			r = resume(q, err);
		if (r != -EUCLEAN)
			return r;
	}
	r = lay_out(q, err);
	if (r == 0)
		r = pl_resize(request->file, 0, err);
	if (r == 0)
		r = pl_resize(request->file, q->frontier, err);
	return r;
}

int
pl_qcow2_create(const struct pl_create_request *request, struct pl_writer **ret,
		struct platter_error *err)
{
	struct qcow2_writer *q;
	struct qcow2_params params;
	int r;

	if (request->file->sequential) {
		r = pl_unsupported(
			err, PLATTER_NO_OFFSET,
			"a qcow2 image cannot be written to a stream: its header comes last");
		pl_hint(err, "write it to a file, or write a raw image");
		return r;
	}
	r = pl_qcow2_params_read(request, &params, err);
	if (r < 0)
		return r;
	q = calloc(1, sizeof *q);
	if (!q)
		return pl_no_memory(err);
	q->params = params;
	r = prepare(q, request, err);
	if (r < 0) {
		qcow2_free(&q->writer);
		return r;
	}
	*ret = &q->writer;
	return 0;
}
