/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cramfs/identify.c - the superblock of cramfs, at byte 0, in the byte order of its maker */
#include "superblock.h"

#define CRAMFS_MAGIC 0x28cd3d45

enum {
	CRAMFS_SIZE = 4,
	CRAMFS_FLAGS = 8,
	CRAMFS_SIGNATURE = 16,
	CRAMFS_FILES = 44,
	CRAMFS_LABEL = 48
};
enum {
	FLAG_VERSION_2 = 1
};

static int
cramfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head;
	bool big_endian = get_be32(sb) == CRAMFS_MAGIC;
	uint32_t flags = big_endian ? get_be32(sb + CRAMFS_FLAGS) : get_le32(sb + CRAMFS_FLAGS);
	uint32_t size = big_endian ? get_be32(sb + CRAMFS_SIZE) : get_le32(sb + CRAMFS_SIZE);

	if ((!big_endian && get_le32(sb) != CRAMFS_MAGIC) ||
	    memcmp(sb + CRAMFS_SIGNATURE, "Compressed ROMFS", 16))
		return -ENOENT;
	c->evidence = 32 + 128;
	pl_super_label(c, sb + CRAMFS_LABEL, 16);
	c->content.free = 0;
	pl_fact_text(&c->facts, "byte_order", "byte order",
		     big_endian ? "big-endian" : "little-endian");
	if (flags & FLAG_VERSION_2) {
		pl_super_size(disk, c, 0, size, 1);
		c->content.block_size = 4096;
		pl_fact_number(&c->facts, "files", "files",
			       big_endian ? get_be32(sb + CRAMFS_FILES)
					  : get_le32(sb + CRAMFS_FILES));
	}
	return 0;
}

const struct pl_content_driver pl_content_cramfs = {
	.info = { .name = "cramfs", .longname = "Linux cramfs" },
	.usage = "filesystem",
	.identify = cramfs_identify,
};
