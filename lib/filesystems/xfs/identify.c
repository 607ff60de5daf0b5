/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * xfs/identify.c - the superblock of XFS, big-endian, at byte 0, and XFS logs on a device
 * of their own ("XFS Algorithms & Data Structures", kernel.org)
 */
#include "checksums.h"
#include "superblock.h"
#include "text.h"
#include "xfs.h"

enum {
	XFS_BLOCK_SIZE = 4,
	XFS_BLOCKS = 8,
	XFS_REALTIME_BLOCKS = 16,
	XFS_UUID = 32,
	XFS_LOG_START = 48,
	XFS_AG_BLOCKS = 84,
	XFS_AG_COUNT = 88,
	XFS_VERSION = 100,
	XFS_SECTOR_SIZE = 102,
	XFS_INODE_SIZE = 104,
	XFS_LABEL = 108,
	XFS_BLOCK_BITS = 120,
	XFS_IN_PROGRESS = 126,
	XFS_FREE_BLOCKS = 144,
	XFS_INCOMPAT = 216,
	XFS_CRC = 224,
};
enum {
	INCOMPAT_NEEDS_REPAIR = 0x10
};

/* The CRC covers the superblock's sector, its own four bytes taken as zero. */
static bool
xfs_crc_matches(const uint8_t *sb, uint32_t sector_size)
{
	static const uint8_t zeros[4];
	uint32_t crc = pl_crc32c(0, sb, XFS_CRC);

	crc = pl_crc32c(crc, zeros, sizeof zeros);
	crc = pl_crc32c(crc, sb + XFS_CRC + 4, sector_size - XFS_CRC - 4);
	return get_le32(sb + XFS_CRC) == crc;
}

static int
xfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head;
	uint32_t block_size = get_be32(sb + XFS_BLOCK_SIZE),
		 sector_size = get_be16(sb + XFS_SECTOR_SIZE);
	unsigned version = get_be16(sb + XFS_VERSION) & 0xf;

	if (memcmp(sb, "XFSB", 4) || !pl_is_power_of_two(block_size) || block_size < 512 ||
	    block_size > KIB(64) || !pl_is_power_of_two(sector_size) || sector_size < 512 ||
	    sector_size > KIB(32) || !version || version > 5 || sb[XFS_BLOCK_BITS] > 16 ||
	    1u << sb[XFS_BLOCK_BITS] != block_size || !get_be32(sb + XFS_AG_COUNT) ||
	    !get_be32(sb + XFS_AG_BLOCKS))
		return -ENOENT;

	c->evidence = 32 + 26 + 12 + 8;
	pl_super_label(c, sb + XFS_LABEL, 12);
	pl_super_uuid(c, sb + XFS_UUID);
	pl_super_size(disk, c, 0, get_be64(sb + XFS_BLOCKS), block_size);
	pl_super_free(c, get_be64(sb + XFS_FREE_BLOCKS), block_size);
	pl_fact_number(&c->facts, "version", "version", version);
	pl_fact_size(&c->facts, "sector_size", "sector size", sector_size);
	if (version == 5) {
		pl_super_checksum(c, xfs_crc_matches(sb, sector_size));
		if (get_be32(sb + XFS_INCOMPAT) & INCOMPAT_NEEDS_REPAIR)
			pl_warn(&c->facts, "marked as in need of xfs_repair");
	}
	if (sb[XFS_IN_PROGRESS])
		pl_warn(&c->facts, "mkfs or a copy of it was not finished");
	if (!get_be64(sb + XFS_LOG_START))
		pl_fact_flag(&c->facts, "external_log", "its log is on another device", true);
	if (get_be64(sb + XFS_REALTIME_BLOCKS))
		pl_fact_flag(&c->facts, "realtime", "has data on a realtime device", true);
	return 0;
}

const struct pl_content_driver pl_content_xfs = {
	.info = { .name = "xfs", .longname = "Linux XFS" },
	.usage = "filesystem",
	.identify = xfs_identify,
	.open = pl_xfs_open,
};

enum {
	LOG_VERSION = 8,
	LOG_LENGTH = 12,
	LOG_OPERATIONS = 40,
	LOG_FORMAT = 300,
	LOG_UUID = 304
};
#define LOG_MAGIC 0xfeedbabe

static bool
is_log_record(const uint8_t *p)
{
	uint32_t version = get_be32(p + LOG_VERSION), format = get_be32(p + LOG_FORMAT);
	uint32_t length = get_be32(p + LOG_LENGTH);

	return get_be32(p) == LOG_MAGIC && (version == 1 || version == 2) && length <= KIB(256) &&
	       get_be32(p + LOG_OPERATIONS) <= length / 8 + 1 && format >= 1 && format <= 3;
}

static int
xfs_log_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	char uuid[PL_UUID_TEXT];

	/* A log inside a file system starts with the file system, which xfs_identify() names. */
	if (!memcmp(c->head, "XFSB", 4))
		return -ENOENT;
	for (size_t at = 0; at + 512 <= PL_CONTENT_HEAD; at += 512) {
		if (!is_log_record(c->head + at))
			continue;
		/* A record that does not begin the disk may be a remainder of anything. */
		c->evidence = 32 + 31 + 14 + 30;
		c->leftover = at != 0;
		pl_uuid_text(c->head + at + LOG_UUID, uuid);
		pl_fact_text(&c->facts, "log_uuid", "UUID of its file system", "%s", uuid);
		return 0;
	}
	return -ENOENT;
}

const struct pl_content_driver pl_content_xfs_log = {
	.info = { .name = "xfs_external_log", .longname = "Linux XFS log on a device of its own" },
	.usage = "other",
	.identify = xfs_log_identify,
};
