/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lvm2/identify.c - the label of an LVM2 physical volume, in one of the first four sectors,
 * and the name of its volume group from the metadata text
 */
#include "checksums.h"
#include "superblock.h"

#define LVM_SECTOR 512

enum {
	LABEL_SECTOR = 8,
	LABEL_CRC = 16,
	LABEL_OFFSET = 20,
	LABEL_TYPE = 24
};
enum {
	PV_SIZE = 32,
	PV_AREAS = 40
};
enum {
	MDA_MAGIC = 4,
	MDA_LOCATION = 40
};

/* CRC-32 without inversions, begun with LVM's own number. */
static bool
label_crc_matches(const uint8_t *label)
{
	return get_le32(label + LABEL_CRC) ==
	       ~pl_crc32(~0xf597a6cfu, label + LABEL_OFFSET, LVM_SECTOR - LABEL_OFFSET);
}

/* The byte offset of the first metadata area: behind the data areas, which end in a zero entry. */
static uint64_t
metadata_area(const uint8_t *areas, const uint8_t *end)
{
	for (; areas + 32 <= end; areas += 16)
		if (!get_le64(areas))
			return get_le64(areas + 16);
	return 0;
}

/* The text begins with the group's name and a brace. */
static void
tell_group(struct pl_disk *disk, struct pl_content *c, uint64_t area)
{
	uint8_t header[LVM_SECTOR];
	char text[129];
	uint64_t at;
	size_t n;

	if (!area || !pl_super_read(disk, c, header, sizeof header, area, "the metadata area") ||
	    memcmp(header + MDA_MAGIC, " LVM2 x[5A%r0N*>", 16) ||
	    !get_le64(header + MDA_LOCATION) ||
	    __builtin_add_overflow(area, get_le64(header + MDA_LOCATION), &at) ||
	    !pl_super_read(disk, c, text, sizeof text - 1, at, "the metadata"))
		return;
	text[sizeof text - 1] = '\0';
	n = strcspn(text, " \n{");
	if (n && text[n])
		pl_fact_text(&c->facts, "volume_group", "volume group", "%.*s", (int)n, text);
}

static int
lvm2_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	for (uint32_t sector = 0; sector < 4; sector++) {
		const uint8_t *label = c->head + sector * LVM_SECTOR, *pv;
		const char *id;
		uint32_t offset = get_le32(label + LABEL_OFFSET);

		if (memcmp(label, "LABELONE", 8) || get_le64(label + LABEL_SECTOR) != sector ||
		    memcmp(label + LABEL_TYPE, "LVM2 001", 8) || offset < 32 ||
		    offset > LVM_SECTOR - PV_AREAS)
			continue;
		c->evidence = 64 + 64 + 64;
		pl_super_checksum(c, label_crc_matches(label));
		pv = label + offset;
		id = (const char *)pv;
		pl_super_uuid_text(c, "%.6s-%.4s-%.4s-%.4s-%.4s-%.4s-%.6s", id, id + 6, id + 10,
				   id + 14, id + 18, id + 22, id + 26);
		pl_super_size(disk, c, 0, get_le64(pv + PV_SIZE), 1);
		c->content.block_size = 0;
		tell_group(disk, c, metadata_area(pv + PV_AREAS, label + LVM_SECTOR));
		return 0;
	}
	return -ENOENT;
}

const struct pl_content_driver pl_content_lvm2 = {
	.info = { .name = "LVM2_member", .longname = "LVM2 physical volume" },
	.usage = "raid",
	.identify = lvm2_identify,
};
