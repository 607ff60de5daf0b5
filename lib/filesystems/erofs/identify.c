/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * erofs/identify.c - the superblock of EROFS, little-endian, at byte 1024
 * (Documentation/filesystems/erofs.rst of the Linux kernel)
 */
#include "checksums.h"
#include "erofs.h"
#include "superblock.h"

bool
erofs_checksum_matches(const uint8_t *sb, size_t n)
{
	static const uint8_t zeros[4];
	uint32_t crc = pl_crc32c_raw(~0u, sb, SB_CHECKSUM);

	crc = pl_crc32c_raw(crc, zeros, sizeof zeros);
	crc = pl_crc32c_raw(crc, sb + SB_CHECKSUM + 4, n - SB_CHECKSUM - 4);
	return get_le32(sb + SB_CHECKSUM) == crc;
}

static int
erofs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head + EROFS_SUPERBLOCK;
	uint32_t block_size;
	uint64_t blocks, created;

	if (get_le32(sb) != EROFS_MAGIC || sb[SB_BLOCK_BITS] < 9 || sb[SB_BLOCK_BITS] > 16)
		return -ENOENT;
	c->evidence = 32 + 5;
	block_size = 1u << sb[SB_BLOCK_BITS];
	pl_super_label(c, sb + SB_LABEL, 16);
	pl_super_uuid(c, sb + SB_UUID);
	blocks = get_le32(sb + SB_BLOCKS);
	if (get_le32(sb + SB_INCOMPAT) & INCOMPAT_48_BITS && get_le64(sb + SB_ROOT_64))
		blocks |= (uint64_t)get_le16(sb + SB_ROOT_16) << 32;
	pl_super_size(disk, c, 0, blocks, block_size);
	c->content.free = 0;
	if (get_le32(sb + SB_COMPAT) & COMPAT_CHECKSUM)
		pl_super_checksum(c, erofs_checksum_matches(sb, erofs_checksummed(block_size)));
	pl_fact_number(&c->facts, "inodes", "files and folders", get_le64(sb + SB_INODES));
	created = get_le64(sb + SB_EPOCH) + get_le32(sb + SB_BUILD_TIME);
	if (created <= INT64_MAX)
		pl_fact_time(&c->facts, "created", "created", (int64_t)created);
	return 0;
}

const struct pl_content_driver pl_content_erofs = {
	.info = { .name = "erofs", .longname = "Linux EROFS" },
	.usage = "filesystem",
	.identify = erofs_identify,
	.open = pl_erofs_open,
};
