/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lvm2/identify.c - the label of an LVM2 physical volume, in one of the first four sectors,
 * and the name of its volume group from the metadata text
 */
#include "lvm2.h"
#include "superblock.h"

enum {
	MDA_MAGIC = 4,
	MDA_LOCATION = 40
};

/* The text begins with the group's name and a brace. */
static bool
tell_group(struct pl_disk *disk, struct pl_content *c, uint64_t area)
{
	uint8_t header[LVM_SECTOR];
	char text[129];
	uint64_t at;
	size_t n;

	if (!pl_super_read(disk, c, header, sizeof header, area, "the metadata area") ||
	    memcmp(header + MDA_MAGIC, " LVM2 x[5A%r0N*>", 16) ||
	    !get_le64(header + MDA_LOCATION) ||
	    __builtin_add_overflow(area, get_le64(header + MDA_LOCATION), &at) ||
	    !pl_super_read(disk, c, text, sizeof text - 1, at, "the metadata"))
		return false;
	text[sizeof text - 1] = '\0';
	n = strcspn(text, " \n{");
	if (!n || !text[n])
		return false;
	pl_fact_text(&c->facts, "volume_group", "volume group", "%.*s", (int)n, text);
	return true;
}

static int
lvm2_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	struct lvm_label label;

	(void)err;
	if (!pl_lvm_label_find(c->head, &label))
		return -ENOENT;
	c->evidence = 64 + 64 + 64;
	pl_super_checksum(c, label.checksum_matches);
	pl_super_uuid_text(c, "%s", label.uuid);
	pl_super_size(disk, c, 0, label.size, 1);
	c->content.block_size = 0;
	for (size_t i = 0; i < label.nr_areas; i++)
		if (tell_group(disk, c, label.area[i].offset))
			break;
	return 0;
}

const struct pl_content_driver pl_content_lvm2 = {
	.info = { .name = "LVM2_member", .longname = "LVM2 physical volume" },
	.usage = "raid",
	.identify = lvm2_identify,
	.group = pl_lvm_group_open,
};
