/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gfs2/identify.c - the superblock of GFS2, big-endian, at 64 KiB */
#include "superblock.h"

#define GFS2_MAGIC 0x01161970

enum {
	GFS2_TYPE = 4,
	GFS2_FORMAT = 24,
	GFS2_BLOCK_SIZE = 36,
	GFS2_LOCK_PROTOCOL = 96,
	GFS2_LOCK_TABLE = 160,
	GFS2_UUID = 256
};

static int
gfs2_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head + KIB(64);
	uint32_t format = get_be32(sb + GFS2_FORMAT), block_size = get_be32(sb + GFS2_BLOCK_SIZE);

	/* Type 1 is a superblock; formats 1800 and up are GFS2, those before GFS. */
	if (get_be32(sb) != GFS2_MAGIC || get_be32(sb + GFS2_TYPE) != 1 || format < 1800 ||
	    format > 1899 || !pl_is_power_of_two(block_size) || block_size < 512 ||
	    block_size > KIB(64))
		return -ENOENT;
	c->evidence = 32 + 32 + 25 + 24;
	c->content.block_size = block_size;
	pl_super_label(c, sb + GFS2_LOCK_TABLE, 64);
	pl_super_uuid(c, sb + GFS2_UUID);
	pl_fact_number(&c->facts, "version", "format", format);
	pl_fact_text(&c->facts, "lock_protocol", "lock protocol", "%.64s",
		     (const char *)sb + GFS2_LOCK_PROTOCOL);
	return 0;
}

const struct pl_content_driver pl_content_gfs2 = {
	.info = { .name = "gfs2", .longname = "Red Hat GFS2" },
	.usage = "filesystem",
	.identify = gfs2_identify,
};
