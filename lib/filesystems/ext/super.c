/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext/super.c - the superblock of ext2, ext3 and ext4
 *
 * Little-endian, 1024 bytes at byte 1024.  See Documentation/filesystems/ext4/super.rst of
 * the Linux kernel, and its fs/ext4/ext4.h for what is younger than that page.
 */
#include "checksums.h"
#include "ext.h"

enum {
	SB_INODES = 0,
	SB_BLOCKS = 4,
	SB_RESERVED_BLOCKS = 8,
	SB_FREE_BLOCKS = 12,
	SB_FREE_INODES = 16,
	SB_FIRST_DATA_BLOCK = 20,
	SB_LOG_BLOCK_SIZE = 24,
	SB_LOG_CLUSTER_SIZE = 28,
	SB_BLOCKS_PER_GROUP = 32,
	SB_CLUSTERS_PER_GROUP = 36,
	SB_INODES_PER_GROUP = 40,
	SB_MAGIC = 56,
	SB_STATE = 58,
	SB_REVISION = 76,
	SB_FIRST_INODE = 84,
	SB_INODE_SIZE = 88,
	SB_COMPAT = 92,
	SB_INCOMPAT = 96,
	SB_RO_COMPAT = 100,
	SB_UUID = 104,
	SB_RESERVED_GDT_BLOCKS = 206,
	SB_JOURNAL_INODE = 224,
	SB_JOURNAL_DEVICE = 228,
	SB_HASH_SEED = 236,
	SB_DEFAULT_HASH = 252,
	SB_JOURNAL_COPY_KIND = 253,
	SB_DESCRIPTOR_SIZE = 254,
	SB_FIRST_META_BG = 260,
	SB_JOURNAL_COPY = 268, /* i_block, the high and the low half of i_size */
	SB_BLOCKS_HIGH = 336,
	SB_RESERVED_HIGH = 340,
	SB_FREE_BLOCKS_HIGH = 344,
	SB_FLAGS = 352,
	SB_CHECKSUM_TYPE = 373,
	SB_BACKUP_GROUPS = 588,
	SB_CHECKSUM_SEED = 624,
	SB_CHECKSUM = 1020,
};

enum {
	FLAG_UNSIGNED_HASH = 2,
	CHECKSUM_CRC32C = 1,
	JOURNAL_COPY_OF_INODE = 1,
};

/* Byte of the disk where a field stands. */
#define AT(field) (EXT_SUPERBLOCK + (field))

static int
decode_features(const uint8_t *raw, bool ignore_checksums, struct ext_super *sb,
		struct platter_error *err)
{
	bool dynamic = get_le32(raw + SB_REVISION) >= 1;
	int r;

	if (get_le16(raw + SB_MAGIC) != 0xef53)
		return pl_corrupt(err, AT(SB_MAGIC), "no ext superblock: its magic is %#x",
				  get_le16(raw + SB_MAGIC));
	if (get_le32(raw + SB_REVISION) > 1)
		return pl_unsupported(err, AT(SB_REVISION), "ext superblock of revision %" PRIu32,
				      get_le32(raw + SB_REVISION));
	/* Revision 0 had no features, and what became their place was not cleared. */
	if (dynamic) {
		sb->compat = get_le32(raw + SB_COMPAT);
		sb->incompat = get_le32(raw + SB_INCOMPAT);
		sb->ro_compat = get_le32(raw + SB_RO_COMPAT);
	}
	if (sb->incompat & INCOMPAT_JOURNAL_DEV)
		return pl_unsupported(err, AT(SB_INCOMPAT),
				      "a journal of another file system, without files");
	if (sb->incompat & ~(uint32_t)INCOMPAT_KNOWN)
		return pl_unsupported(err, AT(SB_INCOMPAT), "unknown ext features %#" PRIx32,
				      sb->incompat & ~(uint32_t)INCOMPAT_KNOWN);
	sb->metadata_csum = sb->ro_compat & RO_COMPAT_METADATA_CSUM;
	sb->gdt_csum = !sb->metadata_csum && (sb->ro_compat & RO_COMPAT_GDT_CSUM);
	memcpy(sb->uuid, raw + SB_UUID, 16);
	sb->checksum_seed = sb->incompat & INCOMPAT_CSUM_SEED ? get_le32(raw + SB_CHECKSUM_SEED)
							      : pl_crc32c_raw(~0u, sb->uuid, 16);
	if (!sb->metadata_csum || ignore_checksums)
		return 0;
	if (raw[SB_CHECKSUM_TYPE] != CHECKSUM_CRC32C)
		return pl_unsupported(err, AT(SB_CHECKSUM_TYPE), "ext checksums of kind %u",
				      raw[SB_CHECKSUM_TYPE]);
	if (pl_crc32c_raw(~0u, raw, SB_CHECKSUM) == get_le32(raw + SB_CHECKSUM))
		return 0;
	r = pl_corrupt(err, AT(SB_CHECKSUM), "ext superblock's checksum does not match");
	pl_hint(err, "--ignore-checksums takes it all the same");
	return r;
}

static int
decode_sizes(const uint8_t *raw, struct ext_super *sb, struct platter_error *err)
{
	uint32_t log_block = get_le32(raw + SB_LOG_BLOCK_SIZE);
	uint32_t log_cluster = get_le32(raw + SB_LOG_CLUSTER_SIZE);
	uint64_t per_group;

	if (log_block > 6)
		return pl_corrupt(err, AT(SB_LOG_BLOCK_SIZE),
				  "ext blocks of 2^%" PRIu64 " bytes, limit is 65536",
				  (uint64_t)log_block + 10);
	sb->block_bits = 10 + log_block;
	sb->block_size = 1u << sb->block_bits;
	sb->cluster_ratio = 1;
	if (sb->ro_compat & RO_COMPAT_BIGALLOC) {
		/* e2fsprogs makes clusters of up to 512 MiB. */
		if (log_cluster < log_block || log_cluster > 29 - 10)
			return pl_corrupt(err, AT(SB_LOG_CLUSTER_SIZE),
					  "ext clusters of 2^%" PRIu64 " bytes, blocks of %" PRIu32,
					  (uint64_t)log_cluster + 10, sb->block_size);
		sb->cluster_ratio = 1u << (log_cluster - log_block);
	}
	sb->first_data_block = get_le32(raw + SB_FIRST_DATA_BLOCK);
	/* 1 KiB blocks in clusters begin with block 0 too. */
	if (sb->first_data_block > 1 || (sb->first_data_block == 1 && log_block))
		return pl_corrupt(err, AT(SB_FIRST_DATA_BLOCK),
				  "ext groups begin at block %" PRIu32, sb->first_data_block);
	sb->blocks_per_group = get_le32(raw + SB_BLOCKS_PER_GROUP);
	per_group = sb->cluster_ratio > 1 ? get_le32(raw + SB_CLUSTERS_PER_GROUP)
					  : sb->blocks_per_group;
	/* A group's bitmaps are a block each. */
	if (!per_group || per_group > 8ull * sb->block_size ||
	    per_group * sb->cluster_ratio != sb->blocks_per_group)
		return pl_corrupt(err, AT(SB_BLOCKS_PER_GROUP),
				  "ext groups of %" PRIu32 " blocks, blocks of %" PRIu32 " bytes",
				  sb->blocks_per_group, sb->block_size);
	sb->inodes_per_group = get_le32(raw + SB_INODES_PER_GROUP);
	if (!sb->inodes_per_group || sb->inodes_per_group > 8 * sb->block_size)
		return pl_corrupt(err, AT(SB_INODES_PER_GROUP),
				  "ext groups of %" PRIu32 " inodes, blocks of %" PRIu32 " bytes",
				  sb->inodes_per_group, sb->block_size);
	return 0;
}

static int
decode_counts(const uint8_t *raw, struct ext_super *sb, struct platter_error *err)
{
	bool wide = sb->incompat & INCOMPAT_64BIT;
	uint64_t groups;

	sb->blocks = get_le32(raw + SB_BLOCKS);
	sb->free_blocks = get_le32(raw + SB_FREE_BLOCKS);
	sb->reserved_blocks = get_le32(raw + SB_RESERVED_BLOCKS);
	if (wide) {
		sb->blocks |= (uint64_t)get_le32(raw + SB_BLOCKS_HIGH) << 32;
		sb->free_blocks |= (uint64_t)get_le32(raw + SB_FREE_BLOCKS_HIGH) << 32;
		sb->reserved_blocks |= (uint64_t)get_le32(raw + SB_RESERVED_HIGH) << 32;
	}
	/* Extents have 48 bits for a block; that is 2^64 bytes at most. */
	if (sb->blocks <= sb->first_data_block ||
	    sb->blocks > (uint64_t)INT64_MAX >> sb->block_bits)
		return pl_corrupt(err, AT(SB_BLOCKS), "ext file system of %" PRIu64 " blocks",
				  sb->blocks);
	groups = pl_div_round_up(sb->blocks - sb->first_data_block, sb->blocks_per_group);
	if (groups > UINT32_MAX)
		return pl_corrupt(err, AT(SB_BLOCKS), "ext file system of %" PRIu64 " groups",
				  groups);
	sb->nr_groups = (uint32_t)groups;
	sb->inodes = get_le32(raw + SB_INODES);
	sb->free_inodes = get_le32(raw + SB_FREE_INODES);
	if (sb->inodes < EXT_ROOT_INODE || sb->inodes > groups * sb->inodes_per_group)
		return pl_corrupt(err, AT(SB_INODES),
				  "%" PRIu32 " inodes in %" PRIu64 " groups of %" PRIu32,
				  sb->inodes, groups, sb->inodes_per_group);
	sb->descriptor_size = 32;
	if (wide) {
		sb->descriptor_size = get_le16(raw + SB_DESCRIPTOR_SIZE);
		if (sb->descriptor_size < 64 || sb->descriptor_size > 1024 ||
		    !pl_is_power_of_two(sb->descriptor_size))
			return pl_corrupt(err, AT(SB_DESCRIPTOR_SIZE),
					  "ext group descriptors of %" PRIu32 " bytes",
					  sb->descriptor_size);
	}
	sb->descriptors_per_block = sb->block_size / sb->descriptor_size;
	sb->first_meta_bg = get_le32(raw + SB_FIRST_META_BG);
	if (!(sb->incompat & INCOMPAT_META_BG))
		sb->first_meta_bg = UINT32_MAX;
	return 0;
}

static int
decode_inodes(const uint8_t *raw, struct ext_super *sb, struct platter_error *err)
{
	sb->inode_size = 128;
	sb->first_inode = 11;
	if (get_le32(raw + SB_REVISION) == 0)
		return 0;
	sb->inode_size = get_le16(raw + SB_INODE_SIZE);
	sb->first_inode = get_le32(raw + SB_FIRST_INODE);
	if (sb->inode_size < 128 || sb->inode_size > PL_MIN(EXT_MAX_INODE, sb->block_size) ||
	    !pl_is_power_of_two(sb->inode_size))
		return pl_corrupt(err, AT(SB_INODE_SIZE),
				  "ext inodes of %" PRIu32 " bytes, blocks of %" PRIu32,
				  sb->inode_size, sb->block_size);
	return 0;
}

int
ext_super_decode(const uint8_t raw[static EXT_SUPERBLOCK_SIZE], bool ignore_checksums,
		 struct ext_super *ret, struct platter_error *err)
{
	struct ext_super sb = { 0 };
	int r = decode_features(raw, ignore_checksums, &sb, err);

	if (r == 0)
		r = decode_sizes(raw, &sb, err);
	if (r == 0)
		r = decode_counts(raw, &sb, err);
	if (r == 0)
		r = decode_inodes(raw, &sb, err);
	if (r < 0)
		return r;
	sb.state = get_le16(raw + SB_STATE);
	sb.flags = get_le32(raw + SB_FLAGS);
	sb.unsigned_hash = sb.flags & FLAG_UNSIGNED_HASH;
	sb.default_hash = raw[SB_DEFAULT_HASH];
	for (unsigned i = 0; i < 4; i++)
		sb.hash_seed[i] = get_le32(raw + SB_HASH_SEED + 4 * i);
	sb.journal_inode = get_le32(raw + SB_JOURNAL_INODE);
	sb.journal_device = get_le32(raw + SB_JOURNAL_DEVICE);
	sb.has_journal_copy = raw[SB_JOURNAL_COPY_KIND] == JOURNAL_COPY_OF_INODE;
	memcpy(sb.journal_copy, raw + SB_JOURNAL_COPY, EXT_NR_INLINE);
	sb.journal_size = (uint64_t)get_le32(raw + SB_JOURNAL_COPY + EXT_NR_INLINE) << 32 |
			  get_le32(raw + SB_JOURNAL_COPY + EXT_NR_INLINE + 4);
	if (sb.compat & COMPAT_RESIZE_INODE)
		sb.reserved_gdt_blocks = get_le16(raw + SB_RESERVED_GDT_BLOCKS);
	sb.backup_groups[0] = get_le32(raw + SB_BACKUP_GROUPS);
	sb.backup_groups[1] = get_le32(raw + SB_BACKUP_GROUPS + 4);
	*ret = sb;
	return 0;
}
