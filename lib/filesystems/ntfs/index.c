/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs/index.c - B-trees: a root in the MFT record, the other nodes in blocks of their own
 *
 *	offset  size  value of $INDEX_ROOT
 *	     0     4  type of the attribute that is indexed, 4: order
 *	     8     4  bytes of a block
 *	    16        header of the entries
 *
 *	offset  size  block, in $INDEX_ALLOCATION
 *	     0     4  "INDX", 4: offset of the update sequence, 6: its count
 *	    16     8  number of the block, in clusters, or in 512 bytes where blocks are smaller
 *	    24        header of the entries
 *
 *	offset  size  header of the entries, which count from it
 *	     0     4  offset of the first entry
 *	     4     4  offset of their end
 *
 *	offset  size  entry
 *	     0     8  reference of the file; or offset and length (2 each) of the data
 *	     8     2  length of the entry, 10: of the key
 *	    12     2  flags: 1 a block of smaller keys stands before it, 2 the last, without a key
 *	    16        key
 *	    -8     8  number of that block
 */
#include "ntfs.h"

enum {
	ROOT_BLOCK_SIZE = 8,
	ROOT_HEADER = 16,
	BLOCK_NUMBER = 16,
	BLOCK_HEADER = 24,
	HEADER_FIRST = 0,
	HEADER_END = 4,
	HEADER_SIZE = 16,
	ENTRY_LENGTH = 8,
	ENTRY_KEY_LENGTH = 10,
	ENTRY_FLAGS = 12,
	ENTRY_KEY = 16,
};
enum {
	ENTRY_HAS_BLOCK = 1,
	ENTRY_IS_LAST = 2,
};

/* A tree of this height has more entries than an MFT has records. */
#define MAX_DEPTH 24

/* A terabyte of blocks. */
#define MAX_BLOCKS (1u << 28)

/* Blocks that may hold what is equal to one key: names that differ in case alone. */
#define MAX_SEARCHED 1024

int
pl_ntfs_index_open(struct ntfs_fs *fs, const struct ntfs_node *n, const char *name,
		   struct ntfs_index *ret, struct platter_error *err)
{
	const struct ntfs_attribute *root = pl_ntfs_find(n, NTFS_INDEX_ROOT, name), *blocks;
	uint64_t end;
	int r;

	*ret = (struct ntfs_index){ .fs = fs, .node = n, .root = root };
	if (!root) {
		if (n->damage && err)
			*err = n->why;
		return n->damage ? n->damage : -ENOENT;
	}
	if (!root->resident || root->length < ROOT_HEADER + HEADER_SIZE)
		return pl_corrupt(err, root->at, "index root of %" PRIu32 " bytes", root->length);
	ret->block_size = get_le32(root->value + ROOT_BLOCK_SIZE);
	if (!pl_is_power_of_two(ret->block_size) || ret->block_size < NTFS_STRIDE ||
	    ret->block_size > NTFS_MAX_INDEX_BLOCK)
		return pl_corrupt(err, root->at, "index blocks of %" PRIu32 " bytes",
				  ret->block_size);
	ret->vcn_size =
		fs->boot.cluster_size <= ret->block_size ? fs->boot.cluster_size : NTFS_STRIDE;
	blocks = pl_ntfs_find(n, NTFS_INDEX_ALLOCATION, name);
	if (!blocks)
		return 0;
	if (blocks->resident)
		return pl_corrupt(err, blocks->at, "index blocks in MFT record %" PRIu64,
				  n->number);
	/* Those whose place is not known are told of when they are wanted. */
	ret->blocks.size = blocks->size;
	ret->blocks.initialized = blocks->initialized;
	r = pl_ntfs_runs_load_some(fs, n, blocks, &ret->blocks.runs, &end, err);
	if (r < 0)
		return r;
	/* No two are in one place. */
	ret->nr_blocks = PL_MIN(ret->blocks.size, fs->volume.size) / ret->block_size;
	if (ret->nr_blocks > MAX_BLOCKS)
		return pl_over_limit(err, blocks->at, "index of %" PRIu64 " blocks, limit is %u",
				     ret->nr_blocks, MAX_BLOCKS);
	return 0;
}

void
pl_ntfs_index_done(struct ntfs_index *index)
{
	pl_ntfs_stream_done(&index->blocks);
}

/* One way through an index. */
struct walk {
	struct ntfs_index *index;
	ntfs_index_compare *compare; /* NULL: all entries */
	const void *sought;
	ntfs_index_fn *fn;
	void *closure;
	uint8_t *buffer[MAX_DEPTH]; /* the block of each height */
	uint8_t *seen;              /* a bit for each block; of a whole walk */
	unsigned nr_searched;
	bool past; /* in the block at hand, what is sought cannot come any more */
	int damage;
	struct platter_error *err; /* takes the words of the first damage */
};

static void
damaged(struct walk *w, int r, const struct platter_error *why)
{
	if (w->damage)
		return;
	w->damage = r;
	if (w->err)
		*w->err = *why;
}

static uint64_t
byte_of_block(const struct ntfs_index *index, uint64_t offset)
{
	uint32_t cluster_size = index->fs->boot.cluster_size;
	const struct ntfs_run *run = pl_ntfs_runs_find(&index->blocks.runs, offset / cluster_size);

	if (!run || run->lcn == NTFS_NOT_STORED)
		return PLATTER_NO_OFFSET;
	return (run->lcn - run->vcn) * cluster_size + offset;
}

static int
read_block(struct walk *w, uint64_t block, uint8_t *buf, uint64_t *ret_at,
	   struct platter_error *err)
{
	struct ntfs_index *index = w->index;
	uint64_t offset = block * index->block_size;
	int r = pl_ntfs_stream_read(index->fs, &index->blocks, buf, index->block_size, offset, err);

	if (r < 0)
		return r;
	*ret_at = byte_of_block(index, offset);
	if (memcmp(buf, "INDX", 4))
		return pl_corrupt(err, *ret_at,
				  "block %" PRIu64 " of the index of MFT record %" PRIu64
				  " does not begin with 'INDX'",
				  block, index->node->number);
	if (!pl_ntfs_apply_fixups(buf, index->block_size, !index->fs->volume.ignore_checksums))
		return pl_corrupt(err, *ret_at + 4,
				  "block %" PRIu64 " of the index of MFT record %" PRIu64
				  " was written partly: its update sequence differs",
				  block, index->node->number);
	return 0;
}

static int walk_entries(struct walk *w, const uint8_t *header, size_t room, uint64_t at,
			unsigned depth);

/* The block before an entry.  Damage is told, and not returned. */
static int
walk_block(struct walk *w, uint64_t vcn, unsigned depth)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct ntfs_index *index = w->index;
	uint64_t at = PLATTER_NO_OFFSET, block = 0;
	int r = 0;

	if (vcn >= index->blocks.size / index->vcn_size)
		r = pl_corrupt(&why, at,
			       "block at %" PRIu64 " of the index of MFT record %" PRIu64
			       ", which has %" PRIu64 " blocks",
			       vcn, index->node->number, index->nr_blocks);
	else
		block = vcn * index->vcn_size / index->block_size;
	if (r == 0 && block >= index->nr_blocks)
		r = pl_corrupt(&why, at, "block %" PRIu64 " of an index of %" PRIu64, block,
			       index->nr_blocks);
	if (r == 0 && depth == MAX_DEPTH)
		r = pl_corrupt(&why, at, "index of MFT record %" PRIu64 " of more than %u levels",
			       index->node->number, MAX_DEPTH);
	if (r == 0 && w->seen) {
		if (w->seen[block / 8] >> block % 8 & 1)
			r = pl_corrupt(&why, at,
				       "block %" PRIu64
				       " is twice in the index of MFT record %" PRIu64,
				       block, index->node->number);
		w->seen[block / 8] |= (uint8_t)(1 << block % 8);
	} else if (r == 0 && ++w->nr_searched > MAX_SEARCHED) {
		r = pl_corrupt(&why, at, "more than %u blocks of an index hold one key",
			       MAX_SEARCHED);
	}
	if (r == 0 && !w->buffer[depth]) {
		w->buffer[depth] = malloc(index->block_size);
		if (!w->buffer[depth])
			return pl_no_memory(w->err);
	}
	if (r == 0)
		r = read_block(w, block, w->buffer[depth], &at, &why);
	if (r < 0) {
		damaged(w, r, &why);
		return 0;
	}
	return walk_entries(w, w->buffer[depth] + BLOCK_HEADER, index->block_size - BLOCK_HEADER,
			    at + BLOCK_HEADER, depth + 1);
}

static bool
decode_entry(const uint8_t *p, size_t length, struct ntfs_index_entry *ret)
{
	uint16_t data = get_le16(p);

	*ret = (struct ntfs_index_entry){
		.reference = get_le64(p),
		.key = p + ENTRY_KEY,
		.key_length = get_le16(p + ENTRY_KEY_LENGTH),
	};
	if (!pl_in_range(ENTRY_KEY, ret->key_length, length))
		return false;
	if (pl_in_range(data, get_le16(p + 2), length)) {
		ret->data = p + data;
		ret->data_length = get_le16(p + 2);
	}
	return true;
}

/* What is before an entry, and the entry. */
static int
walk_entry(struct walk *w, const uint8_t *p, size_t length, uint64_t at, unsigned depth)
{
	unsigned flags = get_le16(p + ENTRY_FLAGS);
	struct ntfs_index_entry e = { 0 };
	int order = 0, r = 0;

	if (!(flags & ENTRY_IS_LAST)) {
		if (!decode_entry(p, length, &e)) {
			struct platter_error why = PLATTER_ERROR_INIT;

			r = pl_corrupt(&why, at + ENTRY_KEY_LENGTH,
				       "key of %u bytes in an index entry of %zu",
				       get_le16(p + ENTRY_KEY_LENGTH), length);
			damaged(w, r, &why);
			return 0;
		}
		if (w->compare)
			order = w->compare(w->sought, &e);
		if (order > 0)
			return 0;
	}
	if (flags & ENTRY_HAS_BLOCK && length >= ENTRY_KEY + 8)
		r = walk_block(w, get_le64(p + length - 8), depth);
	if (r == 0 && !(flags & ENTRY_IS_LAST) && order == 0)
		r = w->fn(w->closure, &e, w->err);
	w->past = order < 0;
	return r;
}

static int
walk_entries(struct walk *w, const uint8_t *header, size_t room, uint64_t at, unsigned depth)
{
	uint32_t offset = get_le32(header + HEADER_FIRST), end = get_le32(header + HEADER_END);
	struct platter_error why = PLATTER_ERROR_INIT;
	int r;

	if (end > room) {
		r = pl_corrupt(&why, at + HEADER_END,
			       "index entries of %" PRIu32 " bytes in room for %zu", end, room);
		damaged(w, r, &why);
		end = (uint32_t)room;
	}
	while (pl_in_range(offset, ENTRY_KEY, end)) {
		const uint8_t *p = header + offset;
		uint16_t length = get_le16(p + ENTRY_LENGTH);

		if (length < ENTRY_KEY || !pl_in_range(offset, length, end))
			break;
		r = walk_entry(w, p, length, at + offset, depth);
		if (r != 0 || w->past || get_le16(p + ENTRY_FLAGS) & ENTRY_IS_LAST) {
			w->past = false;
			return r;
		}
		offset += length;
	}
	r = pl_corrupt(&why, at + offset, "index entries without an end");
	damaged(w, r, &why);
	return 0;
}

static int
walk(struct walk *w, struct platter_error *err)
{
	const struct ntfs_attribute *root = w->index->root;
	int r;

	w->err = err;
	r = walk_entries(w, root->value + ROOT_HEADER, root->length - ROOT_HEADER,
			 root->at + ROOT_HEADER, 0);
	return r;
}

/* The bitmap of the blocks in use; *ret_n is 0 if there is none. */
static uint8_t *
load_bitmap(struct ntfs_index *index, size_t *ret_n)
{
	const struct ntfs_attribute *root = index->root;
	uint8_t *bits = NULL;

	*ret_n = 0;
	for (size_t i = 0; i < index->node->nr && !bits; i++) {
		const struct ntfs_attribute *a = &index->node->attribute[i];

		if (a->type == NTFS_BITMAP && !a->vcn && a->name_units == root->name_units &&
		    !memcmp(a->name, root->name, 2u * a->name_units))
			pl_ntfs_value_load(index->fs, index->node, a, MAX_BLOCKS / 8 + 8, &bits,
					   ret_n, NULL);
	}
	return bits;
}

/*
 * A damaged block hides those below it: they are found by the bitmap of the blocks in use,
 * or without it by what they begin with.
 */
static int
walk_unseen(struct walk *w)
{
	struct ntfs_index *index = w->index;
	PL_AUTOFREE uint8_t *buf = malloc(index->block_size), *bits;
	size_t nr_bytes;
	int r = 0;

	bits = load_bitmap(index, &nr_bytes);
	if (!buf)
		return pl_no_memory(w->err);
	for (uint64_t i = 0; i < index->nr_blocks && r == 0; i++) {
		bool unused = nr_bytes && (i / 8 >= nr_bytes || !(bits[i / 8] >> i % 8 & 1));
		uint64_t at;

		if (unused || w->seen[i / 8] >> i % 8 & 1 || read_block(w, i, buf, &at, NULL) < 0)
			continue;
		w->seen[i / 8] |= (uint8_t)(1 << i % 8);
		r = walk_entries(w, buf + BLOCK_HEADER, index->block_size - BLOCK_HEADER,
				 at + BLOCK_HEADER, 0);
	}
	return r;
}

static void
walk_done(struct walk *w)
{
	for (size_t i = 0; i < MAX_DEPTH; i++)
		free(w->buffer[i]);
	free(w->seen);
}

int
pl_ntfs_index_walk(struct ntfs_index *index, ntfs_index_fn *fn, void *closure,
		   struct platter_error *err)
{
	struct walk w = { .index = index, .fn = fn, .closure = closure };
	int r;

	if (index->nr_blocks) {
		w.seen = calloc(1, (size_t)(index->nr_blocks / 8 + 1));
		if (!w.seen)
			return pl_no_memory(err);
	}
	r = walk(&w, err);
	if (r == 0 && w.damage && w.seen)
		r = walk_unseen(&w);
	walk_done(&w);
	return r ? r : w.damage;
}

int
pl_ntfs_index_search(struct ntfs_index *index, ntfs_index_compare *compare, const void *sought,
		     ntfs_index_fn *fn, void *closure, struct platter_error *err)
{
	struct walk w = {
		.index = index, .compare = compare, .sought = sought, .fn = fn, .closure = closure
	};
	int r = walk(&w, err);

	walk_done(&w);
	return r ? r : w.damage;
}
