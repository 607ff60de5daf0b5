/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * erofs/identify.c - the superblock of EROFS, little-endian, at byte 1024
 * (Documentation/filesystems/erofs.rst of the Linux kernel)
 */
#include "checksums.h"
#include "superblock.h"

#define EROFS_SUPERBLOCK 1024
#define EROFS_MAGIC      0xe0f5e1e2

enum {
	EROFS_CHECKSUM = 4,
	EROFS_COMPAT = 8,
	EROFS_BLOCK_BITS = 12,
	EROFS_INODES = 16,
	EROFS_BUILD_TIME = 24,
	EROFS_BLOCKS = 36,
	EROFS_UUID = 48,
	EROFS_LABEL = 64
};
enum {
	COMPAT_CHECKSUM = 1
};

/* Over the rest of the superblock's block, its own four bytes taken as zero. */
static bool
checksum_matches(const uint8_t *sb, uint32_t block_size)
{
	static const uint8_t zeros[4];
	size_t n = block_size > EROFS_SUPERBLOCK ? block_size - EROFS_SUPERBLOCK : block_size;
	uint32_t crc = pl_crc32c_raw(~0u, sb, EROFS_CHECKSUM);

	crc = pl_crc32c_raw(crc, zeros, sizeof zeros);
	crc = pl_crc32c_raw(crc, sb + EROFS_CHECKSUM + 4, n - EROFS_CHECKSUM - 4);
	return get_le32(sb + EROFS_CHECKSUM) == crc;
}

static int
erofs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head + EROFS_SUPERBLOCK;

	if (get_le32(sb) != EROFS_MAGIC || sb[EROFS_BLOCK_BITS] < 9 || sb[EROFS_BLOCK_BITS] > 16)
		return -ENOENT;
	c->evidence = 32 + 5;
	pl_super_label(c, sb + EROFS_LABEL, 16);
	pl_super_uuid(c, sb + EROFS_UUID);
	pl_super_size(disk, c, 0, get_le32(sb + EROFS_BLOCKS), 1u << sb[EROFS_BLOCK_BITS]);
	c->content.free = 0;
	if (get_le32(sb + EROFS_COMPAT) & COMPAT_CHECKSUM)
		pl_super_checksum(c, checksum_matches(sb, 1u << sb[EROFS_BLOCK_BITS]));
	pl_fact_number(&c->facts, "inodes", "files and folders", get_le64(sb + EROFS_INODES));
	if (get_le64(sb + EROFS_BUILD_TIME) <= INT64_MAX)
		pl_fact_time(&c->facts, "created", "created",
			     (int64_t)get_le64(sb + EROFS_BUILD_TIME));
	return 0;
}

const struct pl_content_driver pl_content_erofs = {
	.info = { .name = "erofs", .longname = "Linux EROFS" },
	.usage = "filesystem",
	.identify = erofs_identify,
};
