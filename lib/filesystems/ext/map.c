/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext/map.c - where the contents of an inode are: a tree of extents, or a block map
 *
 *	offset  size  node of extents          offset  size  extent         index
 *	     0     2  magic, F30A                   0     4  first block    first block
 *	     2     2  entries in use                4     2  blocks         child, low
 *	     4     2  entries that fit              6     2  start, high    child, high at 8
 *	     6     2  depth; 0: extents             8     4  start, low
 *	    12        entries of 12 bytes
 *
 * The root is in the inode; other nodes fill a block and end with a checksum.  An extent
 * of more than 32768 blocks is one of that many less, not written to yet: zeros.
 *
 * A block map is 12 blocks, then one of 1, 2 and 3 levels of blocks of 32-bit numbers.
 */
#include "checksums.h"
#include "ext.h"

enum {
	NODE_HEADER = 12,
	NODE_ENTRY = 12,
	MAX_EXTENT = 32768,
	MAX_DEPTH = 5, /* 4^5 nodes of 84 entries and more hold 2^32 blocks */
	NR_DIRECT = 12,
};

/*
 * Nodes read for one file, in bytes: a block map of 4 KiB blocks is 2 GiB for the largest
 * file, 2 TiB.
 */
#define MAX_NODES GIB(4)

struct mapper {
	const struct ext *fs;
	const struct ext_inode *inode;
	struct pl_runs *runs;
	uint64_t nodes; /* bytes read */
	uint64_t data;  /* blocks found */
	uint64_t next;  /* the block of the file behind the last one found */
	struct platter_error *err;
};

/* The blocks [logical, logical + n) of the file are [physical, ...) of the disk. */
static int
add_blocks(struct mapper *m, uint64_t logical, uint64_t n, uint64_t physical, bool written)
{
	const struct ext_super *sb = &m->fs->sb;
	unsigned bits = sb->block_bits;

	if (physical < sb->first_data_block || !pl_in_range(physical, n, sb->blocks))
		return pl_corrupt(m->err, PLATTER_NO_OFFSET,
				  "inode %" PRIu32 " has %" PRIu64 " blocks at block %" PRIu64
				  " of %" PRIu64,
				  m->inode->number, n, physical, sb->blocks);
	/* With shared_blocks, files share them, but hardly one with itself. */
	m->data += n;
	if (m->data > sb->blocks)
		return pl_corrupt(m->err, PLATTER_NO_OFFSET,
				  "inode %" PRIu32 " has more blocks than there are, %" PRIu64,
				  m->inode->number, sb->blocks);
	if (!written)
		return pl_runs_add_zero(m->runs, logical << bits, n << bits, m->err);
	return pl_runs_add_data(m->runs, logical << bits, n << bits, physical << bits, m->err);
}

/* A block of the map into `buf`. */
static int
read_node(struct mapper *m, uint64_t block, uint8_t *buf)
{
	const struct ext_super *sb = &m->fs->sb;

	if (block <= sb->first_data_block || block >= sb->blocks)
		return pl_corrupt(m->err, PLATTER_NO_OFFSET,
				  "map of inode %" PRIu32 " in block %" PRIu64 " of %" PRIu64,
				  m->inode->number, block, sb->blocks);
	m->nodes += sb->block_size;
	if (m->nodes > PL_MIN(MAX_NODES, sb->blocks << sb->block_bits))
		return pl_corrupt(m->err, ext_block_offset(m->fs, block),
				  "map of inode %" PRIu32 " has more than %" PRIu64 " bytes",
				  m->inode->number, m->nodes - sb->block_size);
	return pl_meta_read(m->fs->volume.meta, buf, sb->block_size, ext_block_offset(m->fs, block),
			    m->err);
}

/* The entries in use of a node of `size` bytes at `at` of the disk. */
static int
check_node(struct mapper *m, const uint8_t *node, uint32_t size, uint64_t at, unsigned depth,
	   uint32_t *ret_nr)
{
	uint32_t nr = get_le16(node + 2), room = get_le16(node + 4);

	if (get_le16(node) != EXT_NODE_MAGIC)
		return pl_corrupt(m->err, at,
				  "node of extents of inode %" PRIu32 " has the magic %#x",
				  m->inode->number, get_le16(node));
	if (get_le16(node + 6) != depth)
		return pl_corrupt(m->err, at + 6,
				  "node of extents of inode %" PRIu32 " has depth %u, not %u",
				  m->inode->number, get_le16(node + 6), depth);
	if (nr > room || room > (size - NODE_HEADER) / NODE_ENTRY || (depth && !nr))
		return pl_corrupt(m->err, at + 2,
				  "node of extents of inode %" PRIu32 " of %" PRIu32
				  " entries, %" PRIu32 " fit",
				  m->inode->number, nr, room);
	*ret_nr = nr;
	return 0;
}

static int
check_node_checksum(struct mapper *m, const uint8_t *node, uint64_t at)
{
	const struct ext_super *sb = &m->fs->sb;
	uint32_t tail = NODE_HEADER + NODE_ENTRY * (uint32_t)get_le16(node + 4);

	if (!sb->metadata_csum || m->fs->volume.ignore_checksums)
		return 0;
	if (tail + 4 <= sb->block_size &&
	    pl_crc32c_raw(m->inode->checksum_seed, node, tail) == get_le32(node + tail))
		return 0;
	return pl_corrupt(m->err, at,
			  "checksum of a node of extents of inode %" PRIu32 " does not match",
			  m->inode->number);
}

static int
add_extents(struct mapper *m, const uint8_t *node, uint32_t nr)
{
	int r = 0;

	for (uint32_t i = 0; i < nr && r == 0; i++) {
		const uint8_t *e = node + NODE_HEADER + NODE_ENTRY * i;
		uint64_t first = get_le32(e);
		uint32_t n = get_le16(e + 4);
		bool written = n <= MAX_EXTENT;

		if (!written)
			n -= MAX_EXTENT;
		if (!n || first < m->next)
			return pl_corrupt(m->err, PLATTER_NO_OFFSET,
					  "inode %" PRIu32 " has an extent of %" PRIu32
					  " blocks at its block %" PRIu64 ", behind %" PRIu64,
					  m->inode->number, n, first, m->next);
		m->next = first + n;
		r = add_blocks(m, first, n, (uint64_t)get_le16(e + 6) << 32 | get_le32(e + 8),
			       written);
	}
	return r;
}

/* `node` with `nr` entries, and what is below it; `buf` has room for a block for each level. */
static int
walk_extents(struct mapper *m, const uint8_t *node, uint32_t nr, unsigned depth, uint8_t *buf)
{
	int r = 0;

	if (depth == 0)
		return add_extents(m, node, nr);
	for (uint32_t i = 0; i < nr && r == 0; i++) {
		const uint8_t *e = node + NODE_HEADER + NODE_ENTRY * i;
		uint64_t child = (uint64_t)get_le16(e + 8) << 32 | get_le32(e + 4);
		uint64_t at = ext_block_offset(m->fs, child);
		uint32_t below;

		r = read_node(m, child, buf);
		if (r == 0)
			r = check_node(m, buf, m->fs->sb.block_size, at, depth - 1, &below);
		if (r == 0)
			r = check_node_checksum(m, buf, at);
		if (r == 0)
			r = walk_extents(m, buf, below, depth - 1, buf + m->fs->sb.block_size);
	}
	return r;
}

static int
map_extents(struct mapper *m)
{
	const uint8_t *root = m->inode->block;
	PL_AUTOFREE uint8_t *buf = NULL;
	unsigned depth = get_le16(root + 6);
	uint32_t nr;
	int r;

	if (depth > MAX_DEPTH)
		return pl_corrupt(m->err, m->inode->at + EXT_I_BLOCK + 6,
				  "extents of inode %" PRIu32 " of depth %u, limit is %d",
				  m->inode->number, depth, MAX_DEPTH);
	r = check_node(m, root, EXT_NR_INLINE, m->inode->at + EXT_I_BLOCK, depth, &nr);
	if (r < 0)
		return r;
	if (depth) {
		buf = malloc((size_t)depth * m->fs->sb.block_size);
		if (!buf)
			return pl_no_memory(m->err);
	}
	return walk_extents(m, root, nr, depth, buf);
}

/* `nr` numbers whose first stands for block `logical` of the file, each for 2^span_bits blocks. */
static int
walk_pointers(struct mapper *m, const uint8_t *pointers, uint32_t nr, uint64_t logical,
	      unsigned level, uint8_t *buf)
{
	unsigned per_block_bits = m->fs->sb.block_bits - 2;
	int r = 0;

	for (uint32_t i = 0; i < nr && r == 0; i++) {
		uint32_t block = get_le32(pointers + 4 * (size_t)i);
		uint64_t first = logical + ((uint64_t)i << (per_block_bits * level));

		if (!block)
			continue;
		if (level == 0) {
			r = add_blocks(m, first, 1, block, true);
			continue;
		}
		r = read_node(m, block, buf);
		if (r == 0)
			r = walk_pointers(m, buf, 1u << per_block_bits, first, level - 1,
					  buf + m->fs->sb.block_size);
	}
	return r;
}

static int
map_pointers(struct mapper *m)
{
	PL_AUTOFREE uint8_t *buf = NULL;
	unsigned per_block_bits = m->fs->sb.block_bits - 2;
	uint64_t logical = NR_DIRECT;
	int r = walk_pointers(m, m->inode->block, NR_DIRECT, 0, 0, NULL);

	for (unsigned level = 1; level <= 3 && r == 0; level++) {
		const uint8_t *pointer = m->inode->block + 4 * (NR_DIRECT + level - 1);

		if (get_le32(pointer)) {
			if (!buf)
				buf = malloc(3 * (size_t)m->fs->sb.block_size);
			if (!buf)
				return pl_no_memory(m->err);
			r = walk_pointers(m, pointer, 1, logical, level, buf);
		}
		logical += 1ull << (per_block_bits * level);
	}
	return r;
}

int
ext_map(const struct ext *fs, const struct ext_inode *inode, struct pl_runs *runs,
	struct platter_error *err)
{
	struct mapper m = { .fs = fs, .inode = inode, .runs = runs, .err = err };

	if (inode->flags & INODE_EXTENTS)
		return map_extents(&m);
	return map_pointers(&m);
}

int
ext_read(const struct ext *fs, const struct ext_inode *inode, uint8_t *buf, size_t n,
	 struct platter_error *err)
{
	struct pl_runs runs = { 0 };
	int r;

	if (n > inode->size)
		return pl_corrupt(err, inode->at,
				  "inode %" PRIu32 " of %" PRIu64 " bytes should have %zu",
				  inode->number, inode->size, n);
	memset(buf, 0, n);
	r = ext_map(fs, inode, &runs, err);
	for (size_t i = 0; i < runs.nr && r == 0 && runs.run[i].offset < n; i++) {
		const struct pl_run *run = &runs.run[i];

		if (run->kind == PLATTER_DATA)
			r = pl_meta_read(fs->volume.meta, buf + run->offset,
					 (size_t)PL_MIN(run->length, n - run->offset), run->stored,
					 err);
	}
	pl_runs_done(&runs);
	return r;
}
