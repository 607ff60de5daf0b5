/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * f2fs/node.c - nodes: inodes and the blocks of addresses of their contents
 *
 * A node has a number; the NAT, or its journal, tells in which block it is: the version (1),
 * the inode that it is of (4) and the block (4).  Each block of the NAT has two places, a segment
 * apart, and a bit in the checkpoint tells which one holds.  A node ends with its number and
 * that of its inode.  See include/linux/f2fs_fs.h of the Linux kernel, struct f2fs_inode.
 */
#include "f2fs.h"

#define NAT_ENTRY 9

enum {
	I_MODE = 0,
	I_ADVISE = 2,
	I_INLINE = 3,
	I_UID = 4,
	I_GID = 8,
	I_LINKS = 12,
	I_SIZE = 16,
	I_BLOCKS = 24,
	I_ACCESSED = 32,
	I_CHANGED = 40,
	I_MODIFIED = 48,
	I_ACCESSED_NSEC = 56,
	I_CHANGED_NSEC = 60,
	I_MODIFIED_NSEC = 64,
	I_GENERATION = 68,
	I_DEPTH = 72,
	I_XATTR_NODE = 76,
	I_FLAGS = 80,
	I_FOLDER_LEVEL = 347,
	/* Addresses, or first the fields of extra attributes, as many bytes as the first of them tells. */
	I_ADDRESSES = 360,
	I_EXTRA_SIZE = 360,
	I_XATTRS_SIZE = 362,
	I_CHECKSUM = 368,
	I_CREATED = 372,
	I_CREATED_NSEC = 380,
	I_METHOD = 392,
	I_CLUSTER_BITS = 393,
	I_COMPRESSION_FLAGS = 394,
	I_EXTRA_END = 396,
};

/* Addresses' worth of inline attributes where the inode does not tell. */
#define DEFAULT_XATTRS 50

int
f2fs_read_block(struct f2fs *fs, uint32_t block, uint8_t *buf, struct platter_error *err)
{
	return pl_meta_read(fs->volume.meta, buf, fs->volume.block_size,
			    (uint64_t)block << fs->block_bits, err);
}

bool
f2fs_is_main(const struct f2fs *fs, uint32_t block)
{
	return block >= fs->main && block - fs->main < (uint64_t)fs->main_segments
							       << F2FS_SEGMENT_BITS;
}

/* Where node `nid` is. */
static int
find_node(struct f2fs *fs, uint32_t nid, uint32_t *ret, struct platter_error *err)
{
	uint32_t per_block = fs->volume.block_size / NAT_ENTRY, index = nid / per_block;
	uint8_t entry[NAT_ENTRY];
	uint64_t block, at;
	int r;

	if (!nid || index >= fs->nat_blocks)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "F2FS node %" PRIu32 ", the NAT has %" PRIu64, nid,
				  (uint64_t)fs->nat_blocks * per_block);
	block = (uint64_t)fs->nat + 2ull * index - index % F2FS_SEGMENT;
	if (f2fs_bit(fs->nat_bitmap, index))
		block += F2FS_SEGMENT;
	at = (block << fs->block_bits) + nid % per_block * NAT_ENTRY;
	r = pl_meta_read(fs->volume.meta, entry, sizeof entry, at, err);
	for (size_t i = 0; i < fs->nat_journal.nr; i++) {
		const uint8_t *p = fs->nat_journal.entries + i * (4 + NAT_ENTRY);

		if (get_le32(p) != nid)
			continue;
		memcpy(entry, p + 4, sizeof entry);
		r = 0;
	}
	if (r < 0)
		return r;
	*ret = get_le32(entry + 5);
	if (!f2fs_is_main(fs, *ret))
		return pl_corrupt(err, at, "F2FS node %" PRIu32 " at block %" PRIu32, nid, *ret);
	return 0;
}

int
f2fs_read_node(struct f2fs *fs, uint32_t nid, uint32_t ino, uint8_t *buf, uint64_t *ret_at,
	       struct platter_error *err)
{
	const uint8_t *footer = buf + fs->volume.block_size - F2FS_NODE_FOOTER;
	uint32_t block;
	uint64_t at;
	int r = find_node(fs, nid, &block, err);

	if (r == 0)
		r = f2fs_read_block(fs, block, buf, err);
	if (r < 0)
		return r;
	at = (uint64_t)block << fs->block_bits;
	if (get_le32(footer) != nid || get_le32(footer + 4) != ino)
		return pl_corrupt(err, at + (size_t)(footer - buf),
				  "node %" PRIu32 " of F2FS inode %" PRIu32 " in place of %" PRIu32
				  " of %" PRIu32,
				  get_le32(footer), get_le32(footer + 4), nid, ino);
	if (ret_at)
		*ret_at = at;
	return 0;
}

/* Seeded with the file system's UUID, the inode's number and its generation. */
static bool
checksum_matches(const struct f2fs *fs, const struct f2fs_inode *i)
{
	const uint8_t *p = i->raw, *rest = p + I_CHECKSUM + 4;
	size_t size = fs->volume.block_size;
	uint32_t crc = f2fs_crc(fs->inode_seed, p + size - F2FS_NODE_FOOTER + 4, 4);

	crc = f2fs_crc(crc, p + I_GENERATION, 4);
	crc = f2fs_crc(crc, p, I_CHECKSUM);
	crc = f2fs_crc(crc, "\0\0\0", 4);
	return f2fs_crc(crc, rest, size - (size_t)(rest - p)) == get_le32(p + I_CHECKSUM);
}

/* Where the addresses begin and end, which extra attributes and inline ones shorten. */
static int
set_layout(const struct f2fs *fs, struct f2fs_inode *i, size_t extra, struct platter_error *err)
{
	size_t end = fs->volume.block_size - F2FS_NODE_FOOTER - 4 * F2FS_NR_NODES;
	size_t xattrs = 0;

	if (extra % 4 || I_ADDRESSES + extra > end)
		return pl_corrupt(err, i->at + I_EXTRA_SIZE,
				  "extra attributes of %zu bytes in F2FS inode %" PRIu32, extra,
				  i->number);
	if (fs->features & F2FS_FLEXIBLE_XATTR)
		xattrs = extra ? get_le16(i->raw + I_XATTRS_SIZE) : 0;
	else if (i->inlined & (F2FS_INLINE_XATTRS | F2FS_INLINE_FOLDER))
		xattrs = DEFAULT_XATTRS;
	if (xattrs > (end - I_ADDRESSES - extra) / 4)
		return pl_corrupt(err, i->at + I_XATTRS_SIZE,
				  "%zu words of attributes in F2FS inode %" PRIu32, xattrs,
				  i->number);
	i->addresses = I_ADDRESSES + extra;
	i->xattrs = end - xattrs * 4;
	i->xattrs_size = i->inlined & F2FS_INLINE_XATTRS ? xattrs * 4 : 0;
	i->nr_addresses = (i->xattrs - i->addresses) / 4;
	i->nr_per_node = (fs->volume.block_size - F2FS_NODE_FOOTER) / 4;
	return 0;
}

static int
set_compression(const struct f2fs *fs, struct f2fs_inode *i, size_t extra,
		struct platter_error *err)
{
	uint32_t cluster;

	i->compressed = i->flags & F2FS_FLAG_COMPRESSED && fs->features & F2FS_COMPRESSION &&
			i->mode >> 12 == 010;
	if (!i->compressed)
		return 0;
	i->method = i->raw[I_METHOD];
	i->cluster_bits = i->raw[I_CLUSTER_BITS];
	i->compression_flags = get_le16(i->raw + I_COMPRESSION_FLAGS);
	if (extra < I_EXTRA_END - I_ADDRESSES || i->cluster_bits < 2 || i->cluster_bits > 8)
		return pl_corrupt(err, i->at + I_CLUSTER_BITS,
				  "clusters of 2^%u blocks in F2FS inode %" PRIu32, i->cluster_bits,
				  i->number);
	/* No cluster is in two nodes. */
	cluster = 1u << i->cluster_bits;
	i->nr_addresses -= i->nr_addresses % cluster;
	i->nr_per_node -= i->nr_per_node % cluster;
	return 0;
}

static struct platter_time
get_time(const uint8_t *seconds, const uint8_t *nanoseconds)
{
	return (struct platter_time){ (int64_t)get_le64(seconds),
				      get_le32(nanoseconds) % 1000000000 };
}

static int
decode(const struct f2fs *fs, struct f2fs_inode *i, struct platter_error *err)
{
	const uint8_t *p = i->raw;
	size_t extra;
	int r;

	i->mode = get_le16(p + I_MODE);
	i->advise = p[I_ADVISE];
	i->inlined = p[I_INLINE];
	i->uid = get_le32(p + I_UID);
	i->gid = get_le32(p + I_GID);
	i->links = get_le32(p + I_LINKS);
	i->size = get_le64(p + I_SIZE);
	i->blocks = get_le64(p + I_BLOCKS);
	i->accessed = get_time(p + I_ACCESSED, p + I_ACCESSED_NSEC);
	i->changed = get_time(p + I_CHANGED, p + I_CHANGED_NSEC);
	i->modified = get_time(p + I_MODIFIED, p + I_MODIFIED_NSEC);
	i->created.seconds = PLATTER_NO_TIME;
	i->depth = get_le32(p + I_DEPTH);
	i->xattr_node = get_le32(p + I_XATTR_NODE);
	i->flags = get_le32(p + I_FLAGS);
	i->folder_level = p[I_FOLDER_LEVEL];
	extra = i->inlined & F2FS_EXTRA ? get_le16(p + I_EXTRA_SIZE) : 0;
	if (fs->features & F2FS_INODE_CHECKSUM && extra >= I_CHECKSUM + 4 - I_ADDRESSES &&
	    !fs->volume.ignore_checksums && !checksum_matches(fs, i))
		return pl_corrupt(err, i->at + I_CHECKSUM,
				  "checksum of F2FS inode %" PRIu32 " does not match", i->number);
	if (fs->features & F2FS_CREATED && extra >= I_CREATED_NSEC + 4 - I_ADDRESSES)
		i->created = get_time(p + I_CREATED, p + I_CREATED_NSEC);
	r = set_layout(fs, i, extra, err);
	return r < 0 ? r : set_compression(fs, i, extra, err);
}

int
f2fs_read_inode(struct f2fs *fs, uint64_t number, struct f2fs_inode **ret,
		struct platter_error *err)
{
	PL_AUTOFREE struct f2fs_inode *i = calloc(1, sizeof *i + fs->volume.block_size);
	int r;

	if (!i)
		return pl_no_memory(err);
	if (number > UINT32_MAX)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "F2FS inode %" PRIu64, number);
	i->number = (uint32_t)number;
	r = f2fs_read_node(fs, i->number, i->number, i->raw, &i->at, err);
	if (r == 0)
		r = decode(fs, i, err);
	if (r == 0)
		*ret = PL_STEAL(i);
	return r;
}

const uint8_t *
f2fs_inline(const struct f2fs_inode *i, size_t *ret_n)
{
	/* The first address stays free, for when the contents move out. */
	size_t words = (i->xattrs - i->addresses) / 4;

	*ret_n = words ? (words - 1) * 4 : 0;
	return i->raw + i->addresses + 4;
}
