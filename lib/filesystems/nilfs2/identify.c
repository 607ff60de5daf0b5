/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * nilfs2/identify.c - the superblock of NILFS2, little-endian, at byte 1024, with a copy in
 * the last whole 4 KiB but one of the device
 */
#include "checksums.h"
#include "superblock.h"

enum {
	NILFS_MAGIC = 6,
	NILFS_BYTES = 8,
	NILFS_SEED = 12,
	NILFS_CRC = 16,
	NILFS_LOG_BLOCK = 20,
	NILFS_DEVICE_SIZE = 32,
	NILFS_LAST_CHECKPOINT = 56,
	NILFS_FREE = 80,
	NILFS_WRITTEN = 104,
	NILFS_STATE = 116,
	NILFS_UUID = 152,
	NILFS_LABEL = 168,
	NILFS_SIZE = 1024
};
enum {
	STATE_CLEAN = 1,
	STATE_ERROR = 2
};

/* CRC-32 with a seed of its own and no inversion, over `bytes`, its own four taken as zero. */
static bool
nilfs_valid(const uint8_t *sb)
{
	static const uint8_t zeros[4];
	uint16_t bytes = get_le16(sb + NILFS_BYTES);
	uint32_t crc;

	if (get_le16(sb + NILFS_MAGIC) != 0x3434 || bytes < NILFS_LABEL || bytes > NILFS_SIZE ||
	    get_le32(sb + NILFS_LOG_BLOCK) > 6)
		return false;
	crc = pl_crc32(~get_le32(sb + NILFS_SEED), sb, NILFS_CRC);
	crc = pl_crc32(crc, zeros, sizeof zeros);
	crc = pl_crc32(crc, sb + NILFS_CRC + 4, bytes - NILFS_CRC - 4u);
	return ~crc == get_le32(sb + NILFS_CRC);
}

static int
nilfs2_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head + 1024;
	uint8_t copy[NILFS_SIZE];
	uint64_t at = (disk->size / 4096 - 1) * 4096;
	uint32_t block_size;

	if (!nilfs_valid(sb)) {
		if (disk->size < MIB(1) || !pl_in_range(at, sizeof copy, disk->size) ||
		    pl_read(disk, copy, sizeof copy, at, NULL) < 0 || !nilfs_valid(copy))
			return -ENOENT;
		pl_warn(&c->facts,
			"the first superblock is damaged; told from its copy at the end");
		c->leftover = true;
		sb = copy;
	}
	c->evidence = 16 + 32 + 29;
	block_size = 1024u << get_le32(sb + NILFS_LOG_BLOCK);
	pl_super_label(c, sb + NILFS_LABEL, 80);
	pl_super_uuid(c, sb + NILFS_UUID);
	pl_super_size(disk, c, 0, get_le64(sb + NILFS_DEVICE_SIZE), 1);
	pl_super_free(c, get_le64(sb + NILFS_FREE), block_size);
	c->content.block_size = block_size;
	pl_fact_flag(&c->facts, "clean", "unmounted cleanly",
		     (get_le16(sb + NILFS_STATE) & (STATE_CLEAN | STATE_ERROR)) == STATE_CLEAN);
	pl_fact_number(&c->facts, "checkpoint", "last checkpoint",
		       get_le64(sb + NILFS_LAST_CHECKPOINT));
	if (get_le64(sb + NILFS_WRITTEN) <= INT64_MAX)
		pl_fact_time(&c->facts, "written", "last written",
			     (int64_t)get_le64(sb + NILFS_WRITTEN));
	return 0;
}

const struct pl_content_driver pl_content_nilfs2 = {
	.info = { .name = "nilfs2", .longname = "Linux NILFS2" },
	.usage = "filesystem",
	.identify = nilfs2_identify,
};
