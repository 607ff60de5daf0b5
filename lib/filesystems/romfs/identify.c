/* SPDX-License-Identifier: GPL-3.0-or-later */
/* romfs/identify.c - the header of romfs, big-endian, at byte 0 */
#include "romfs.h"
#include "superblock.h"

enum {
	ROMFS_SIZE = 8,
	ROMFS_LABEL = 16
};

static int
romfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head;
	uint32_t size = get_be32(sb + ROMFS_SIZE), sum = 0;

	if (memcmp(sb, "-rom1fs-", 8))
		return -ENOENT;
	c->evidence = 64;
	/* The words of the first 512 bytes, or of less if that is all, add up to zero. */
	for (uint32_t i = 0; i + 4 <= PL_MIN(size, 512u); i += 4)
		sum += get_be32(sb + i);
	pl_super_checksum(c, sum == 0);
	pl_super_label(c, sb + ROMFS_LABEL, 256);
	pl_super_size(disk, c, 0, size, 1);
	c->content.block_size = 1024;
	c->content.free = 0;
	return 0;
}

const struct pl_content_driver pl_content_romfs = {
	.info = { .name = "romfs", .longname = "Linux romfs" },
	.usage = "filesystem",
	.identify = romfs_identify,
	.open = pl_romfs_open,
};
