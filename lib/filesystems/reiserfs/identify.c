/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * reiserfs/identify.c - the superblock of ReiserFS 3, little-endian, at 64 KiB (at 8 KiB in
 * its first releases), and of Reiser4, at 64 KiB
 */
#include "superblock.h"

enum {
	RFS_BLOCKS = 0,
	RFS_FREE = 4,
	RFS_JOURNAL_DEVICE = 16,
	RFS_BLOCK_SIZE = 44,
	RFS_STATE = 50,
	RFS_MAGIC = 52,
	RFS_UUID = 84,
	RFS_LABEL = 100
};
enum {
	STATE_CLEAN = 1
};
enum {
	R4_BLOCK_SIZE = 18,
	R4_UUID = 20,
	R4_LABEL = 36
};

static int
reiserfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	static const size_t places[] = { KIB(64), KIB(8) };
	static const struct {
		const char *magic, *version;
	} kinds[] = { { "ReIsErFs", "3.5" },
		      { "ReIsEr2Fs", "3.6" },
		      { "ReIsEr3Fs", "3, journal moved" } };

	for (size_t i = 0; i < ARRAY_SIZE(places) * ARRAY_SIZE(kinds); i++) {
		const uint8_t *sb = c->head + places[i / ARRAY_SIZE(kinds)];
		size_t kind = i % ARRAY_SIZE(kinds);
		uint32_t block_size = get_le16(sb + RFS_BLOCK_SIZE);
		const char *magic = kinds[kind].magic;

		if (memcmp(sb + RFS_MAGIC, magic, strlen(magic)) ||
		    !pl_is_power_of_two(block_size) || block_size < 512)
			continue;
		c->evidence = 64 + 12;
		pl_super_size(disk, c, 0, get_le32(sb + RFS_BLOCKS), block_size);
		pl_super_free(c, get_le32(sb + RFS_FREE), block_size);
		if (kind) {
			pl_super_label(c, sb + RFS_LABEL, 16);
			pl_super_uuid(c, sb + RFS_UUID);
		}
		pl_fact_text(&c->facts, "version", "version", "%s", kinds[kind].version);
		pl_fact_flag(&c->facts, "clean", "unmounted cleanly",
			     get_le16(sb + RFS_STATE) == STATE_CLEAN);
		if (get_le32(sb + RFS_JOURNAL_DEVICE))
			pl_fact_flag(&c->facts, "external_journal",
				     "its journal is on another device", true);
		return 0;
	}
	return -ENOENT;
}

const struct pl_content_driver pl_content_reiserfs = {
	.info = { .name = "reiserfs", .longname = "Linux ReiserFS" },
	.usage = "filesystem",
	.identify = reiserfs_identify,
};

static int
reiser4_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head + KIB(64);

	if (memcmp(sb, "ReIsEr4", 7))
		return -ENOENT;
	c->evidence = 56;
	c->content.block_size = get_le16(sb + R4_BLOCK_SIZE);
	pl_super_label(c, sb + R4_LABEL, 16);
	pl_super_uuid(c, sb + R4_UUID);
	return 0;
}

const struct pl_content_driver pl_content_reiser4 = {
	.info = { .name = "reiser4", .longname = "Linux Reiser4" },
	.usage = "filesystem",
	.identify = reiser4_identify,
};
