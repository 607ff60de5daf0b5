/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * xfs/inode.c - the inodes of XFS and where their contents are, big-endian
 *
 * A number tells the allocation group, the block in it, and which inode of that block.  The
 * contents stand in the inode itself (local), or it lists their extents, or the root of a
 * B-tree of extents.  See "XFS Algorithms & Data Structures", 3rd edition, "On-disk Inode" and
 * "Data Extents".
 */
#include "checksums.h"
#include "xfs.h"

enum {
	DI_MODE = 2,
	DI_VERSION = 4,
	DI_FORMAT = 5,
	DI_OLD_LINKS = 6,
	DI_UID = 8,
	DI_GID = 12,
	DI_LINKS = 16,
	DI_BIG_EXTENTS = 24, /* with NREXT64 */
	DI_ACCESSED = 32,
	DI_MODIFIED = 40,
	DI_CHANGED = 48,
	DI_SIZE = 56,
	DI_BLOCKS = 64,
	DI_EXTENTS = 76,
	DI_ATTR_EXTENTS = 80,
	DI_FORK_OFFSET = 82,
	DI_ATTR_FORMAT = 83,
	DI_FLAGS = 90,
	DI_CHECKSUM = 100,
	DI_FLAGS2 = 120,
	DI_CREATED = 144,
	DI_NUMBER = 152,
	DI_UUID = 160,
	DI_SIZE_OLD = 100, /* of what is in front of the forks */
	DI_SIZE_V3 = 176,
};

#define FLAGS2_BIGTIME (1u << 3)
#define FLAGS2_NREXT64 (1u << 4)

/* Of an extent: it reads as zeros. */
#define UNWRITTEN (1ull << 63)

bool
xfs_checksum_matches(const uint8_t *bytes, size_t n, size_t at)
{
	static const uint8_t zeros[4];
	uint32_t crc = pl_crc32c_raw(~0u, bytes, at);

	crc = pl_crc32c_raw(crc, zeros, sizeof zeros);
	crc = pl_crc32c_raw(crc, bytes + at + 4, n - at - 4);
	return ~crc == get_le32(bytes + at);
}

int
xfs_block_offset(const struct xfs *fs, uint64_t block, uint64_t *ret, struct platter_error *err)
{
	uint64_t ag = block >> fs->ag_block_bits;
	uint64_t in_ag = block & ((1ull << fs->ag_block_bits) - 1);
	uint64_t linear;

	if (ag >= fs->nr_ags || in_ag >= fs->ag_blocks ||
	    (linear = ag * fs->ag_blocks + in_ag) >= fs->blocks)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "XFS block %" PRIu64 " of group %" PRIu64 ", which has %" PRIu32
				  " of %" PRIu32 " groups",
				  in_ag, ag, fs->ag_blocks, fs->nr_ags);
	*ret = linear << fs->block_bits;
	return 0;
}

/* Seconds and nanoseconds; or, with BIGTIME, nanoseconds since 1901. */
static struct platter_time
get_time(const uint8_t *p, bool bigtime)
{
	uint64_t t = get_be64(p);

	if (bigtime)
		return (struct platter_time){ (int64_t)(t / 1000000000) - INT64_C(0x80000000),
					      (uint32_t)(t % 1000000000) };
	return (struct platter_time){ (int32_t)get_be32(p), get_be32(p + 4) % 1000000000 };
}

static int
set_forks(const struct xfs *fs, struct xfs_inode *i, uint64_t at, struct platter_error *err)
{
	size_t header = i->raw[DI_VERSION] == 3 ? DI_SIZE_V3 : DI_SIZE_OLD;
	size_t attr = i->raw[DI_FORK_OFFSET] * 8ul, room = fs->inode_size - header;

	if (attr > room)
		return pl_corrupt(err, at + DI_FORK_OFFSET,
				  "XFS attribute fork at byte %zu of an inode of %u", header + attr,
				  fs->inode_size);
	i->fork = header;
	i->fork_size = attr ? attr : room;
	if (attr) {
		i->attr_fork = header + attr;
		i->attr_fork_size = room - attr;
	}
	return 0;
}

static void
decode(struct xfs_inode *i)
{
	const uint8_t *p = i->raw;
	bool v3 = p[DI_VERSION] == 3, bigtime;

	i->flags2 = v3 ? get_be64(p + DI_FLAGS2) : 0;
	bigtime = i->flags2 & FLAGS2_BIGTIME;
	i->mode = get_be16(p + DI_MODE);
	i->format = p[DI_FORMAT];
	i->attr_format = p[DI_ATTR_FORMAT];
	i->uid = get_be32(p + DI_UID);
	i->gid = get_be32(p + DI_GID);
	i->links = p[DI_VERSION] == 1 ? get_be16(p + DI_OLD_LINKS) : get_be32(p + DI_LINKS);
	i->size = get_be64(p + DI_SIZE);
	i->blocks = get_be64(p + DI_BLOCKS);
	i->flags = get_be16(p + DI_FLAGS);
	i->accessed = get_time(p + DI_ACCESSED, bigtime);
	i->modified = get_time(p + DI_MODIFIED, bigtime);
	i->changed = get_time(p + DI_CHANGED, bigtime);
	i->created.seconds = PLATTER_NO_TIME;
	if (v3)
		i->created = get_time(p + DI_CREATED, bigtime);
	if (i->flags2 & FLAGS2_NREXT64) {
		i->nr_extents = get_be64(p + DI_BIG_EXTENTS);
		i->nr_attr_extents = get_be32(p + DI_EXTENTS);
	} else {
		i->nr_extents = get_be32(p + DI_EXTENTS);
		i->nr_attr_extents = get_be16(p + DI_ATTR_EXTENTS);
	}
}

int
xfs_inode_read(struct xfs *fs, uint64_t number, struct xfs_inode *ret, struct platter_error *err)
{
	uint64_t at, in_block = number & ((1ull << fs->inodes_per_block_bits) - 1);
	int r = xfs_block_offset(fs, number >> fs->inodes_per_block_bits, &at, err);

	if (r < 0)
		return r;
	at += in_block << fs->inode_bits;
	memset(ret, 0, offsetof(struct xfs_inode, raw));
	r = pl_meta_read(fs->volume.meta, ret->raw, fs->inode_size, at, err);
	if (r < 0)
		return r;
	if (memcmp(ret->raw, "IN", 2) != 0 || ret->raw[DI_VERSION] < 1 || ret->raw[DI_VERSION] > 3)
		return pl_corrupt(err, at, "no XFS inode %" PRIu64, number);
	if (ret->raw[DI_VERSION] == 3 && !fs->volume.ignore_checksums) {
		if (!xfs_checksum_matches(ret->raw, fs->inode_size, DI_CHECKSUM))
			return pl_corrupt(err, at + DI_CHECKSUM,
					  "checksum of XFS inode %" PRIu64 " does not match",
					  number);
		if (get_be64(ret->raw + DI_NUMBER) != number)
			return pl_corrupt(err, at + DI_NUMBER,
					  "XFS inode %" PRIu64 " stands in place of %" PRIu64,
					  get_be64(ret->raw + DI_NUMBER), number);
	}
	ret->number = number;
	decode(ret);
	r = set_forks(fs, ret, at, err);
	if (r == 0 && ret->format == XFS_DEVICE)
		ret->device = get_be32(ret->raw + ret->fork);
	return r;
}

/* 128 bits: unwritten (1), offset (54), block (52), count (21). */
static int
add_extent(struct xfs *fs, const uint8_t *p, struct pl_runs *runs, struct platter_error *err)
{
	uint64_t high = get_be64(p), low = get_be64(p + 8), at, last;
	uint64_t offset = (high & ~UNWRITTEN) >> 9;
	uint64_t block = (high & 0x1ff) << 43 | low >> 21, count = low & 0x1fffff;
	int r;

	if (!count || offset + count > (uint64_t)INT64_MAX >> fs->block_bits)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "XFS extent of %" PRIu64 " blocks at block %" PRIu64
				  " of the file",
				  count, offset);
	if (high & UNWRITTEN)
		return pl_runs_add_zero(runs, offset << fs->block_bits, count << fs->block_bits,
					err);
	r = xfs_block_offset(fs, block, &at, err);
	if (r == 0)
		r = xfs_block_offset(fs, block + count - 1, &last, err);
	return r < 0 ? r
		     : pl_runs_add_data(runs, offset << fs->block_bits, count << fs->block_bits, at,
					err);
}

static int
add_extents(struct xfs *fs, const uint8_t *p, uint64_t nr, struct pl_runs *runs,
	    struct platter_error *err)
{
	int r = 0;

	for (uint64_t i = 0; i < nr && r == 0; i++)
		r = add_extent(fs, p + 16 * i, runs, err);
	return r;
}

/* A block of the tree of extents, and all below it. */
static int
walk_block(struct xfs *fs, uint64_t block, unsigned level, uint64_t *budget, struct pl_runs *runs,
	   struct platter_error *err)
{
	size_t header = fs->v5 ? 72 : 24, size = fs->volume.block_size;
	PL_AUTOFREE uint8_t *b = malloc(size);
	uint64_t at;
	size_t nr, most;
	int r = b ? xfs_block_offset(fs, block, &at, err) : pl_no_memory(err);

	if (r == 0 && !(*budget)--)
		r = pl_corrupt(err, at,
			       "XFS tree of extents has more blocks than the inode counts");
	if (r == 0)
		r = pl_meta_read(fs->volume.meta, b, size, at, err);
	if (r < 0)
		return r;
	if (memcmp(b, fs->v5 ? "BMA3" : "BMAP", 4) != 0 || get_be16(b + 4) != level)
		return pl_corrupt(err, at, "no block of level %u of an XFS tree of extents", level);
	if (fs->v5 && !fs->volume.ignore_checksums && !xfs_checksum_matches(b, size, 64))
		return pl_corrupt(err, at + 64, "checksum of an XFS tree block does not match");
	nr = get_be16(b + 6);
	most = (size - header) / 16;
	if (nr > most)
		return pl_corrupt(err, at + 6, "%zu records in an XFS tree block, limit is %zu", nr,
				  most);
	if (!level)
		return add_extents(fs, b + header, nr, runs, err);
	for (size_t i = 0; i < nr && r == 0; i++)
		r = walk_block(fs, get_be64(b + header + most * 8 + i * 8), level - 1, budget, runs,
			       err);
	return r;
}

static int
walk_root(struct xfs *fs, const struct xfs_inode *i, const uint8_t *fork, size_t size,
	  struct pl_runs *runs, struct platter_error *err)
{
	unsigned level = size >= 4 ? get_be16(fork) : 0;
	size_t nr = size >= 4 ? get_be16(fork + 2) : 0, most = size < 4 ? 0 : (size - 4) / 16;
	/* The inode counts the blocks of its trees, too; a damaged count is at most the disk. */
	uint64_t budget = PL_MIN(i->blocks, fs->blocks);
	int r = 0;

	if (!level || level > XFS_MAX_LEVELS || nr > most)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "XFS inode %" PRIu64 ": tree of extents of level %u with %zu "
				  "records, limit is %zu",
				  i->number, level, nr, most);
	for (size_t k = 0; k < nr && r == 0; k++)
		r = walk_block(fs, get_be64(fork + 4 + most * 8 + k * 8), level - 1, &budget, runs,
			       err);
	return r;
}

int
xfs_fork_runs(struct xfs *fs, const struct xfs_inode *i, bool attributes, struct pl_runs *runs,
	      struct platter_error *err)
{
	const uint8_t *fork = i->raw + (attributes ? i->attr_fork : i->fork);
	size_t size = attributes ? i->attr_fork_size : i->fork_size;
	enum xfs_format format = attributes ? i->attr_format : i->format;
	uint64_t nr = attributes ? i->nr_attr_extents : i->nr_extents;

	if (format == XFS_BTREE)
		return walk_root(fs, i, fork, size, runs, err);
	if (format != XFS_EXTENTS || nr > size / 16)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "XFS inode %" PRIu64 ": %" PRIu64
				  " extents of format %d in a fork of %zu bytes",
				  i->number, nr, (int)format, size);
	return add_extents(fs, fork, nr, runs, err);
}

int
xfs_fork_open(struct xfs *fs, const struct xfs_inode *i, bool attributes, uint64_t size,
	      const char *name, struct pl_disk **ret, struct platter_error *err)
{
	struct pl_runs runs = { 0 };
	int r = xfs_fork_runs(fs, i, attributes, &runs, err);

	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	return pl_file_new(fs->volume.disk, &runs, size, name, ret, err);
}
