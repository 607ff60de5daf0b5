/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * iso9660/identify.c - the volume descriptors of ISO 9660, from byte 32768 (ECMA-119),
 * with the Joliet extension's, and of its ancestor High Sierra
 */
#include <ctype.h>

#include "iso9660.h"
#include "superblock.h"
#include "text.h"

#define ISO_DESCRIPTORS 32768

enum {
	ISO_TYPE = 0,
	ISO_ID = 1,
	ISO_VERSION = 6,
	ISO_SYSTEM = 8,
	ISO_VOLUME = 40,
	ISO_BLOCKS = 80,
	ISO_ESCAPES = 88,
	ISO_BLOCK_SIZE = 128,
	ISO_ROOT = 156,
	ISO_PUBLISHER = 318,
	ISO_APPLICATION = 574,
	ISO_CREATED = 813,
	ISO_MODIFIED = 830,
};
enum {
	TYPE_BOOT = 0,
	TYPE_PRIMARY = 1,
	TYPE_SUPPLEMENTARY = 2,
	TYPE_END = 255
};

/* High Sierra's fields stand eight bytes later. */
enum {
	HS_ID = 9,
	HS_VOLUME = 48,
	HS_BLOCKS = 88,
	HS_BLOCK_SIZE = 136
};

struct descriptors {
	const uint8_t *primary, *joliet;
	bool bootable;
};

/* All descriptors lie in the head of the disk, or are not looked at: 48 sectors. */
static bool
find_descriptors(const uint8_t *head, struct descriptors *ret)
{
	*ret = (struct descriptors){ 0 };
	for (const uint8_t *d = head + ISO_DESCRIPTORS; d < head + PL_CONTENT_HEAD;
	     d += ISO_SECTOR) {
		const uint8_t *escapes = d + ISO_ESCAPES;

		if (memcmp(d + ISO_ID, "CD001", 5) || d[ISO_TYPE] == TYPE_END)
			break;
		if (d[ISO_TYPE] == TYPE_PRIMARY && !ret->primary)
			ret->primary = d;
		else if (d[ISO_TYPE] == TYPE_BOOT && !memcmp(d + 7, "EL TORITO SPECIFICATION", 23))
			ret->bootable = true;
		else if (d[ISO_TYPE] == TYPE_SUPPLEMENTARY && !memcmp(escapes, "%/", 2) &&
			 (escapes[2] == '@' || escapes[2] == 'C' || escapes[2] == 'E'))
			ret->joliet = d;
	}
	return ret->primary;
}

/*
 * The label in Joliet may hold almost any character, but only 16 of them; the primary one
 * has 32, poorer ones.  Either has '_' for what it cannot hold.  Where the first is the
 * beginning of the second they are put together: the best of the first 16, then the rest.
 */
static bool
joined_label(const uint8_t *joliet, const uint8_t *primary, uint8_t out[static 64])
{
	size_t end = 32;

	while (end && (primary[end - 1] == ' ' || !primary[end - 1]))
		end--;
	memset(out, 0, 64);
	for (size_t i = 0; i < PL_MAX(end, (size_t)16); i++) {
		uint16_t unit = i < 16 ? get_be16(joliet + 2 * i) : '_';
		uint8_t a = i < end ? primary[i] : ' ';

		if (i >= end && (unit == 0 || unit == ' '))
			break;
		if (unit == '_')
			unit = a;
		else if (a != '_' && unit != a && (unit > 0x7f || toupper(unit) != toupper(a)))
			return false;
		out[2 * i] = (uint8_t)(unit >> 8);
		out[2 * i + 1] = (uint8_t)unit;
	}
	return true;
}

static void
tell_label(struct pl_content *c, const struct descriptors *iso)
{
	uint8_t joined[64];

	if (!iso->joliet)
		pl_super_label(c, iso->primary + ISO_VOLUME, 32);
	else if (joined_label(iso->joliet + ISO_VOLUME, iso->primary + ISO_VOLUME, joined))
		pl_super_label_utf16be(c, joined, 32);
	else
		pl_super_label_utf16be(c, iso->joliet + ISO_VOLUME, 16);
}

/* A date as 16 digits and a time zone byte, unset when all are '0' and the zone is zero. */
static bool
tell_date(struct pl_content *c, const uint8_t *date)
{
	char d[17];

	for (int i = 0; i < 16; i++) {
		if (date[i] < '0' || date[i] > '9')
			return false;
		d[i] = (char)date[i];
	}
	d[16] = '\0';
	if (!strcmp(d, "0000000000000000") && !date[16])
		return false;
	pl_super_uuid_text(c, "%.4s-%.2s-%.2s-%.2s-%.2s-%.2s-%.2s", d, d + 4, d + 6, d + 8, d + 10,
			   d + 12, d + 14);
	return true;
}

static void
tell_text(struct pl_content *c, const char *key, const char *label, const uint8_t *field, int n)
{
	char *text = pl_text_from_bytes(field, (size_t)n);

	if (text && *text)
		pl_fact_text(&c->facts, key, label, "%s", text);
	free(text);
}

/* Rock Ridge begins the system use area of the root folder's own entry with "SP". */
static bool
has_rock_ridge(struct pl_disk *disk, const uint8_t *primary, uint32_t block_size)
{
	uint8_t entry[256];
	uint64_t at = (uint64_t)get_le32(primary + ISO_ROOT + 2) * block_size;

	if (!pl_in_range(at, sizeof entry, disk->size) ||
	    pl_read(disk, entry, sizeof entry, at, NULL) < 0 || entry[0] < 34 + 7)
		return false;
	return !memcmp(entry + 34, "SP\x07\x01\xbe\xef", 6);
}

static int
high_sierra_identify(struct pl_disk *disk, struct pl_content *c)
{
	const uint8_t *d = c->head + ISO_DESCRIPTORS;
	uint32_t block_size = get_le16(d + HS_BLOCK_SIZE);

	if (memcmp(d + HS_ID, "CDROM", 5) || d[8] != TYPE_PRIMARY ||
	    !pl_is_power_of_two(block_size))
		return -ENOENT;
	c->evidence = 40 + 8;
	c->content.longname = "High Sierra CD-ROM";
	pl_super_label(c, d + HS_VOLUME, 32);
	pl_super_size(disk, c, 0, get_le32(d + HS_BLOCKS), block_size);
	return 0;
}

static int
iso_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	uint32_t blocks, block_size;
	struct descriptors iso;
	bool rock_ridge;

	if (!find_descriptors(c->head, &iso))
		return high_sierra_identify(disk, c);
	blocks = get_le32(iso.primary + ISO_BLOCKS);
	block_size = get_le16(iso.primary + ISO_BLOCK_SIZE);
	c->evidence = 40 + 8;
	/* Numbers are stored in both byte orders. */
	if (blocks == get_be32(iso.primary + ISO_BLOCKS + 4))
		c->evidence += 32;
	else
		pl_warn(&c->facts,
			"the volume has %" PRIu32 " blocks in one byte order, %" PRIu32
			" in the other",
			blocks, get_be32(iso.primary + ISO_BLOCKS + 4));
	if (!pl_is_power_of_two(block_size) || block_size < 512 || block_size > ISO_SECTOR) {
		pl_warn(&c->facts, "blocks of %" PRIu32 " bytes, taken as 2048", block_size);
		block_size = ISO_SECTOR;
	}

	tell_label(c, &iso);
	if (!tell_date(c, iso.primary + ISO_MODIFIED))
		tell_date(c, iso.primary + ISO_CREATED);
	pl_super_size(disk, c, 0, blocks, block_size);
	c->content.free = 0;
	rock_ridge = has_rock_ridge(disk, iso.primary, block_size);
	/* mkisofs puts no links, owners or modes into the UDF beside it. */
	c->opens_first = rock_ridge;
	pl_fact_flag(&c->facts, "rock_ridge", "Rock Ridge names", rock_ridge);
	pl_fact_flag(&c->facts, "joliet", "Joliet names", iso.joliet);
	pl_fact_flag(&c->facts, "bootable", "bootable (El Torito)", iso.bootable);
	tell_text(c, "system", "system", iso.primary + ISO_SYSTEM, 32);
	tell_text(c, "publisher", "publisher", iso.primary + ISO_PUBLISHER, 128);
	tell_text(c, "application", "made by", iso.primary + ISO_APPLICATION, 128);
	return 0;
}

const struct pl_content_driver pl_content_iso9660 = {
	.info = { .name = "iso9660", .longname = "ISO 9660" },
	.usage = "filesystem",
	.identify = iso_identify,
	.open = pl_iso_open,
	.snapshots = true,
	.views = pl_iso_views,
};
