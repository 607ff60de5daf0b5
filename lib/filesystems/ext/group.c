/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext/group.c - block groups: their descriptors, bitmaps, and what of the file system's own
 * they hold
 *
 * Descriptors of 32 bytes, or more with 64bit, one after the other behind the superblock;
 * with meta_bg a block of them stands in the first group of those that it describes.
 *
 *	offset  size  group descriptor              with 64bit, high half at
 *	     0     4  block bitmap                  32
 *	     4     4  inode bitmap                  36
 *	     8     4  inode table                   40
 *	    12     2  free clusters                 44
 *	    14     2  free inodes                   46
 *	    18     2  flags
 *	    24     2  checksum of the block bitmap  56
 *	    26     2  checksum of the inode bitmap  58
 *	    28     2  inodes never used at the end  50
 *	    30     2  checksum of this
 */
#include "checksums.h"
#include "ext.h"

enum {
	GD_BLOCK_BITMAP = 0,
	GD_INODE_BITMAP = 4,
	GD_INODE_TABLE = 8,
	GD_FREE_BLOCKS = 12,
	GD_FREE_INODES = 14,
	GD_FLAGS = 18,
	GD_BLOCK_BITMAP_CSUM = 24,
	GD_INODE_BITMAP_CSUM = 26,
	GD_UNUSED_INODES = 28,
	GD_CHECKSUM = 30,
	GD_BLOCK_BITMAP_HIGH = 32,
	GD_INODE_BITMAP_HIGH = 36,
	GD_INODE_TABLE_HIGH = 40,
	GD_FREE_BLOCKS_HIGH = 44,
	GD_FREE_INODES_HIGH = 46,
	GD_UNUSED_INODES_HIGH = 50,
	GD_BLOCK_BITMAP_CSUM_HIGH = 56,
	GD_INODE_BITMAP_CSUM_HIGH = 58,
	GD_MAX = 1024,
};

uint64_t
ext_group_first_block(const struct ext_super *sb, uint32_t group)
{
	return sb->first_data_block + (uint64_t)group * sb->blocks_per_group;
}

uint32_t
ext_group_nr_blocks(const struct ext_super *sb, uint32_t group)
{
	return (uint32_t)PL_MIN(sb->blocks_per_group,
				sb->blocks - ext_group_first_block(sb, group));
}

uint32_t
ext_group_nr_clusters(const struct ext_super *sb, uint32_t group)
{
	return (uint32_t)pl_div_round_up(ext_group_nr_blocks(sb, group), sb->cluster_ratio);
}

static bool
is_power_of(uint32_t n, uint32_t base)
{
	while (n % base == 0)
		n /= base;
	return n == 1;
}

bool
ext_group_has_super(const struct ext_super *sb, uint32_t group)
{
	if (group == 0)
		return true;
	if (sb->compat & COMPAT_SPARSE_SUPER2)
		return group == sb->backup_groups[0] || group == sb->backup_groups[1];
	if (group == 1 || !(sb->ro_compat & RO_COMPAT_SPARSE))
		return true;
	return is_power_of(group, 3) || is_power_of(group, 5) || is_power_of(group, 7);
}

/* The block that holds the `index`th block of descriptors. */
static uint64_t
descriptor_block(const struct ext_super *sb, uint32_t index)
{
	/* The first superblock is in block 1 of 1 KiB blocks, also when groups begin at 0. */
	uint32_t super_block = sb->block_size == 1024;
	uint32_t group;
	uint64_t first;

	if (index < sb->first_meta_bg)
		return (uint64_t)super_block + 1 + index;
	group = index * sb->descriptors_per_block;
	first = group ? ext_group_first_block(sb, group) : super_block;
	return first + ext_group_has_super(sb, group);
}

/* As CRC-16 of ARC and Modbus: the polynomial 8005, bits reversed. */
static uint16_t
crc16(uint16_t crc, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int k = 0; k < 8; k++)
			crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1);
	}
	return crc;
}

static bool
descriptor_matches(const struct ext_super *sb, uint32_t group, const uint8_t *raw)
{
	uint16_t stored = get_le16(raw + GD_CHECKSUM);
	uint8_t number[4];
	uint32_t crc;

	put_le32(number, group);
	if (sb->metadata_csum) {
		crc = pl_crc32c_raw(sb->checksum_seed, number, 4);
		crc = pl_crc32c_raw(crc, raw, GD_CHECKSUM);
		crc = pl_crc32c_raw(crc, "\0", 2);
		crc = pl_crc32c_raw(crc, raw + 32, sb->descriptor_size - 32);
		return (crc & 0xffff) == stored;
	}
	if (!sb->gdt_csum)
		return true;
	crc = crc16(0xffff, sb->uuid, 16);
	crc = crc16((uint16_t)crc, number, 4);
	crc = crc16((uint16_t)crc, raw, GD_CHECKSUM);
	crc = crc16((uint16_t)crc, raw + 32, sb->descriptor_size - 32);
	return crc == stored;
}

static void
decode_descriptor(const struct ext_super *sb, const uint8_t *raw, struct ext_group *ret)
{
	*ret = (struct ext_group){
		.block_bitmap = get_le32(raw + GD_BLOCK_BITMAP),
		.inode_bitmap = get_le32(raw + GD_INODE_BITMAP),
		.inode_table = get_le32(raw + GD_INODE_TABLE),
		.free_blocks = get_le16(raw + GD_FREE_BLOCKS),
		.free_inodes = get_le16(raw + GD_FREE_INODES),
		.unused_inodes = get_le16(raw + GD_UNUSED_INODES),
		.flags = get_le16(raw + GD_FLAGS),
		.block_bitmap_csum = get_le16(raw + GD_BLOCK_BITMAP_CSUM),
		.inode_bitmap_csum = get_le16(raw + GD_INODE_BITMAP_CSUM),
	};
	if (sb->descriptor_size >= 64) {
		ret->block_bitmap |= (uint64_t)get_le32(raw + GD_BLOCK_BITMAP_HIGH) << 32;
		ret->inode_bitmap |= (uint64_t)get_le32(raw + GD_INODE_BITMAP_HIGH) << 32;
		ret->inode_table |= (uint64_t)get_le32(raw + GD_INODE_TABLE_HIGH) << 32;
		ret->free_blocks |= (uint32_t)get_le16(raw + GD_FREE_BLOCKS_HIGH) << 16;
		ret->free_inodes |= (uint32_t)get_le16(raw + GD_FREE_INODES_HIGH) << 16;
		ret->unused_inodes |= (uint32_t)get_le16(raw + GD_UNUSED_INODES_HIGH) << 16;
		ret->block_bitmap_csum |= (uint32_t)get_le16(raw + GD_BLOCK_BITMAP_CSUM_HIGH) << 16;
		ret->inode_bitmap_csum |= (uint32_t)get_le16(raw + GD_INODE_BITMAP_CSUM_HIGH) << 16;
		ret->wide_csum = true;
	}
	/* Without checksums old drivers leave what they do not know as it was. */
	if (!sb->gdt_csum && !sb->metadata_csum)
		ret->flags = ret->unused_inodes = 0;
}

/* The first copy of that block; 0: there is none. */
static uint64_t
descriptor_copy(const struct ext_super *sb, uint32_t index)
{
	uint32_t group = 1;

	if (index >= sb->first_meta_bg)
		group = index * sb->descriptors_per_block + 1;
	else if (sb->compat & COMPAT_SPARSE_SUPER2)
		group = sb->backup_groups[0];
	if (group == 0 || group >= sb->nr_groups)
		return 0;
	return ext_group_first_block(sb, group) + ext_group_has_super(sb, group) +
	       (index < sb->first_meta_bg ? index : 0);
}

static int
read_descriptor(const struct ext *fs, uint64_t block, uint32_t group, struct ext_group *ret,
		struct platter_error *err)
{
	const struct ext_super *sb = &fs->sb;
	uint8_t raw[GD_MAX];
	uint64_t at;
	int r;

	if (block >= sb->blocks)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "descriptor of group %" PRIu32 " in block %" PRIu64
				  " of %" PRIu64,
				  group, block, sb->blocks);
	at = ext_block_offset(fs, block) +
	     (uint64_t)(group % sb->descriptors_per_block) * sb->descriptor_size;
	r = pl_meta_read(fs->volume.meta, raw, sb->descriptor_size, at, err);
	if (r < 0)
		return r;
	if (!fs->volume.ignore_checksums && !descriptor_matches(sb, group, raw))
		return pl_corrupt(err, at + GD_CHECKSUM,
				  "checksum of the descriptor of group %" PRIu32 " does not match",
				  group);
	decode_descriptor(sb, raw, ret);
	if (ret->inode_table <= sb->first_data_block || ret->inode_table >= sb->blocks)
		return pl_corrupt(err, at + GD_INODE_TABLE,
				  "inodes of group %" PRIu32 " in block %" PRIu64 " of %" PRIu64,
				  group, ret->inode_table, sb->blocks);
	return 0;
}

int
ext_group_read(const struct ext *fs, uint32_t group, struct ext_group *ret,
	       struct platter_error *err)
{
	return read_descriptor(fs, descriptor_block(&fs->sb, group / fs->sb.descriptors_per_block),
			       group, ret, err);
}

int
ext_group_inodes(const struct ext *fs, uint32_t group, uint64_t *ret, struct platter_error *err)
{
	struct ext_group g;
	int r = ext_group_read(fs, group, &g, err);

	/* Only where things are is the same in copies; the rest of them is as mkfs left it. */
	if (r == -EUCLEAN || r == -EIO) {
		uint64_t copy = descriptor_copy(&fs->sb, group / fs->sb.descriptors_per_block);

		if (copy && read_descriptor(fs, copy, group, &g, NULL) == 0)
			r = 0;
	}
	if (r == 0)
		*ret = g.inode_table;
	return r;
}

int
ext_bitmap_read(const struct ext *fs, const struct ext_group *g, uint32_t group, bool of_inodes,
		uint8_t *bits, struct platter_error *err)
{
	const struct ext_super *sb = &fs->sb;
	uint64_t at;
	uint32_t nr_bits =
		of_inodes ? sb->inodes_per_group : sb->blocks_per_group / sb->cluster_ratio;
	uint32_t stored = of_inodes ? g->inode_bitmap_csum : g->block_bitmap_csum, crc;
	uint64_t block = of_inodes ? g->inode_bitmap : g->block_bitmap;
	int r;

	if (block <= sb->first_data_block || block >= sb->blocks)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "%s bitmap of group %" PRIu32 " in block %" PRIu64 " of %" PRIu64,
				  of_inodes ? "inode" : "block", group, block, sb->blocks);
	at = ext_block_offset(fs, block);
	r = pl_meta_read(fs->volume.meta, bits, sb->block_size, at, err);
	if (r < 0 || !sb->metadata_csum || fs->volume.ignore_checksums)
		return r;
	crc = pl_crc32c_raw(sb->checksum_seed, bits, nr_bits / 8);
	if (!g->wide_csum)
		crc &= 0xffff;
	if (crc == stored)
		return 0;
	return pl_corrupt(err, at, "checksum of the %s bitmap of group %" PRIu32 " does not match",
			  of_inodes ? "inode" : "block", group);
}
