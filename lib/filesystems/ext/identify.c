/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext/identify.c - the superblock of ext2, ext3 and ext4, little-endian, at byte 1024
 *
 * Which of the three it is follows from the features: what an ext2 driver can mount is
 * ext2, what an ext3 driver can, ext3.
 * See Documentation/filesystems/ext4/ of the Linux kernel.
 */
#include "checksums.h"
#include "ext.h"
#include "superblock.h"

#define EXT_MAGIC 0xef53

enum {
	EXT_INODES = 0,
	EXT_BLOCKS = 4,
	EXT_FREE_BLOCKS = 12,
	EXT_FIRST_DATA_BLOCK = 20,
	EXT_LOG_BLOCK_SIZE = 24,
	EXT_BLOCKS_PER_GROUP = 32,
	EXT_INODES_PER_GROUP = 40,
	EXT_WRITE_TIME = 48,
	EXT_MAGIC_AT = 56,
	EXT_STATE = 58,
	EXT_REVISION = 76,
	EXT_COMPAT = 92,
	EXT_INCOMPAT = 96,
	EXT_RO_COMPAT = 100,
	EXT_UUID = 104,
	EXT_LABEL = 120,
	EXT_LAST_MOUNTED = 136,
	EXT_BLOCKS_HIGH = 336,
	EXT_FREE_BLOCKS_HIGH = 344,
	EXT_CHECKSUM = 1020,
};

static void
name_by_features(struct pl_content *c, uint32_t compat, uint32_t incompat, uint32_t ro_compat)
{
	const uint32_t ro_old = RO_COMPAT_SPARSE | RO_COMPAT_LARGE_FILE | RO_COMPAT_BTREE_DIR;
	const uint32_t in_old = INCOMPAT_FILETYPE | INCOMPAT_META_BG;

	if (incompat & INCOMPAT_JOURNAL_DEV) {
		c->content.name = "jbd";
		c->content.longname = "Linux ext journal on a device of its own";
		c->content.usage = "other";
	} else if (!(compat & COMPAT_JOURNAL) && !(ro_compat & ~ro_old) && !(incompat & ~in_old)) {
		c->content.name = "ext2";
		c->content.longname = "Linux ext2";
	} else if ((compat & COMPAT_JOURNAL) && !(ro_compat & ~ro_old) &&
		   !(incompat & ~(in_old | INCOMPAT_RECOVER))) {
		c->content.name = "ext3";
		c->content.longname = "Linux ext3";
	} else {
		c->content.name = "ext4";
		c->content.longname = "Linux ext4";
	}
}

static void
tell_state(struct pl_content *c, const uint8_t *sb, uint32_t incompat)
{
	uint16_t state = get_le16(sb + EXT_STATE);

	pl_fact_flag(&c->facts, "clean", "unmounted cleanly",
		     (state & STATE_CLEAN) && !(incompat & INCOMPAT_RECOVER));
	if (incompat & INCOMPAT_RECOVER)
		pl_warn(&c->facts, "the journal holds changes that are not in place yet");
	if (state & STATE_ERRORS)
		pl_warn(&c->facts, "marked as having errors: it needs fsck");
	if (sb[EXT_LAST_MOUNTED])
		pl_fact_text(&c->facts, "last_mounted", "last mounted on", "%.64s",
			     (const char *)sb + EXT_LAST_MOUNTED);
	if (get_le32(sb + EXT_WRITE_TIME))
		pl_fact_time(&c->facts, "written", "last written", get_le32(sb + EXT_WRITE_TIME));
	if (incompat & INCOMPAT_ENCRYPT)
		pl_fact_flag(&c->facts, "encryption", "may hold encrypted files", true);
}

static int
ext_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head + EXT_SUPERBLOCK;
	uint32_t log_block = get_le32(sb + EXT_LOG_BLOCK_SIZE);
	uint32_t compat, incompat, ro_compat, block_size;
	uint64_t blocks = get_le32(sb + EXT_BLOCKS), free_blocks = get_le32(sb + EXT_FREE_BLOCKS);

	if (get_le16(sb + EXT_MAGIC_AT) != EXT_MAGIC || log_block > 6 || !blocks ||
	    get_le32(sb + EXT_FIRST_DATA_BLOCK) > 1u << 6 || get_le32(sb + EXT_REVISION) > 1)
		return -ENOENT;
	compat = get_le32(sb + EXT_COMPAT);
	incompat = get_le32(sb + EXT_INCOMPAT);
	ro_compat = get_le32(sb + EXT_RO_COMPAT);
	if (!(incompat & INCOMPAT_JOURNAL_DEV) &&
	    (!get_le32(sb + EXT_INODES) || !get_le32(sb + EXT_BLOCKS_PER_GROUP) ||
	     !get_le32(sb + EXT_INODES_PER_GROUP)))
		return -ENOENT;

	c->evidence = 16 + 29 + 26 + 31;
	block_size = 1024u << log_block;
	if (incompat & INCOMPAT_64BIT) {
		blocks |= (uint64_t)get_le32(sb + EXT_BLOCKS_HIGH) << 32;
		free_blocks |= (uint64_t)get_le32(sb + EXT_FREE_BLOCKS_HIGH) << 32;
	}
	name_by_features(c, compat, incompat, ro_compat);
	pl_super_label(c, sb + EXT_LABEL, 16);
	pl_super_uuid(c, sb + EXT_UUID);
	pl_super_size(disk, c, 0, blocks, block_size);
	if (ro_compat & RO_COMPAT_METADATA_CSUM)
		pl_super_checksum(c, pl_crc32c_raw(~0u, sb, EXT_CHECKSUM) ==
					     get_le32(sb + EXT_CHECKSUM));
	if (incompat & INCOMPAT_JOURNAL_DEV)
		return 0;
	pl_super_free(c, free_blocks, block_size);
	tell_state(c, sb, incompat);
	return 0;
}

const struct pl_content_driver pl_content_ext = {
	.info = { .name = "ext4", .longname = "Linux ext2, ext3, ext4" },
	.usage = "filesystem",
	.identify = ext_identify,
	.open = pl_ext_open,
};
