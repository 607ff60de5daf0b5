/* SPDX-License-Identifier: GPL-3.0-or-later */
/* jfs/identify.c - the superblock of IBM's JFS as Linux has it, little-endian, at 32 KiB */
#include "superblock.h"

#define JFS_SUPERBLOCK KIB(32)

enum {
	JFS_VERSION = 4,
	JFS_HARDWARE_BLOCKS = 8,
	JFS_BLOCK_SIZE = 16,
	JFS_BLOCK_BITS = 20,
	JFS_HARDWARE_BLOCK_SIZE = 24,
	JFS_STATE = 40,
	JFS_UUID = 136,
	JFS_LABEL = 152
};

static int
jfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head + JFS_SUPERBLOCK;
	uint32_t block_size = get_le32(sb + JFS_BLOCK_SIZE);
	uint32_t hardware = get_le32(sb + JFS_HARDWARE_BLOCK_SIZE);
	uint32_t bits = get_le16(sb + JFS_BLOCK_BITS);

	if (memcmp(sb, "JFS1", 4) || bits > 16 || block_size != 1u << bits ||
	    !pl_is_power_of_two(hardware) || hardware > block_size)
		return -ENOENT;
	c->evidence = 32 + 32 + 20;
	pl_super_label(c, sb + JFS_LABEL, 16);
	pl_super_uuid(c, sb + JFS_UUID);
	pl_super_size(disk, c, 0, get_le64(sb + JFS_HARDWARE_BLOCKS), hardware);
	c->content.block_size = block_size;
	pl_fact_number(&c->facts, "version", "version", get_le32(sb + JFS_VERSION));
	pl_fact_flag(&c->facts, "clean", "unmounted cleanly", !get_le32(sb + JFS_STATE));
	return 0;
}

const struct pl_content_driver pl_content_jfs = {
	.info = { .name = "jfs", .longname = "IBM JFS" },
	.usage = "filesystem",
	.identify = jfs_identify,
};
