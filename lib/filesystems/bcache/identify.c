/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bcache/identify.c - the superblock of bcache and bcachefs, little-endian, at byte 4096
 *
 * bcachefs grew out of bcache and first used its magic: a version of 1024 and more,
 * where bcache has the lower half of its own, tells it.
 */
#include "superblock.h"
#include "text.h"

#define BCACHE_SUPERBLOCK 4096

enum {
	BC_OFFSET = 8,
	BC_VERSION = 16,
	BC_MAGIC = 24,
	BC_UUID = 40,
	BC_SET_UUID = 56,
	BC_LABEL = 72
};

static const uint8_t bcache_magic[16] = { 0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca,
					  0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81 };
static const uint8_t bcachefs_magic[16] = { 0xc6, 0x85, 0x73, 0xf6, 0x66, 0xce, 0x90, 0xa9,
					    0xd9, 0x6a, 0x60, 0xcf, 0x80, 0x3d, 0xf7, 0xef };

/* bcache: its own sector, and a version in 64 bits. */
static bool
is_bcache(const uint8_t *sb)
{
	return !memcmp(sb + BC_MAGIC, bcache_magic, 16) && get_le64(sb + BC_OFFSET) == 8 &&
	       get_le64(sb + BC_VERSION) <= 6;
}

static int
bcache_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head + BCACHE_SUPERBLOCK;
	uint64_t version = get_le64(sb + BC_VERSION);
	char uuid[PL_UUID_TEXT];

	if (!is_bcache(sb))
		return -ENOENT;
	c->evidence = 128 + 64;
	pl_super_uuid(c, sb + BC_UUID);
	pl_super_label(c, sb + BC_LABEL, 32);
	pl_fact_number(&c->facts, "version", "version", version);
	pl_fact_flag(&c->facts, "backing", "holds the data (not the cache)",
		     version == 1 || version == 4 || version == 6);
	pl_uuid_text(sb + BC_SET_UUID, uuid);
	pl_fact_text(&c->facts, "set_uuid", "cache set", "%s", uuid);
	return 0;
}

const struct pl_content_driver pl_content_bcache = {
	.info = { .name = "bcache", .longname = "Linux bcache device" },
	.usage = "raid",
	.identify = bcache_identify,
};

static int
bcachefs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head + BCACHE_SUPERBLOCK;

	if (memcmp(sb + BC_MAGIC, bcachefs_magic, 16) &&
	    (memcmp(sb + BC_MAGIC, bcache_magic, 16) || is_bcache(sb)))
		return -ENOENT;
	c->evidence = 128;
	pl_super_uuid(c, sb + BC_SET_UUID);
	pl_super_label(c, sb + BC_LABEL, 32);
	pl_fact_number(&c->facts, "version", "version", get_le16(sb + BC_VERSION));
	return 0;
}

const struct pl_content_driver pl_content_bcachefs = {
	.info = { .name = "bcachefs", .longname = "Linux bcachefs" },
	.usage = "filesystem",
	.identify = bcachefs_identify,
};
