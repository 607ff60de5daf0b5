/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cramfs/identify.c - the superblock of cramfs, at byte 0 or behind a boot sector, in the
 * byte order of its maker
 */
#include "cramfs.h"
#include "superblock.h"

static int
cramfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head;
	bool big_endian;

	if (!cramfs_is_superblock(sb))
		sb += CRAMFS_SHIFTED;
	if (!cramfs_is_superblock(sb))
		return -ENOENT;
	big_endian = get_be32(sb) == CRAMFS_MAGIC;
	c->evidence = 32 + 128;
	pl_super_label(c, sb + SB_LABEL, 16);
	c->content.free = 0;
	pl_fact_text(&c->facts, "byte_order", "byte order",
		     big_endian ? "big-endian" : "little-endian");
	if (cramfs_word(big_endian, sb + SB_FLAGS) & FLAG_VERSION_2) {
		pl_super_size(disk, c, 0, cramfs_word(big_endian, sb + SB_BYTES), 1);
		c->content.block_size = 4096;
		pl_fact_number(&c->facts, "files", "files", cramfs_word(big_endian, sb + SB_FILES));
	}
	return 0;
}

const struct pl_content_driver pl_content_cramfs = {
	.info = { .name = "cramfs", .longname = "Linux cramfs" },
	.usage = "filesystem",
	.identify = cramfs_identify,
	.open = pl_cramfs_open,
};
