/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * f2fs/identify.c - the superblock of F2FS, little-endian, at byte 1024 (a copy in block 1),
 * and its checkpoints (Documentation/filesystems/f2fs.rst of the Linux kernel)
 */
#include "f2fs.h"
#include "superblock.h"

static bool
read_checkpoint(struct pl_disk *disk, struct pl_content *c, uint64_t block, uint32_t block_size,
		uint8_t *cp)
{
	return pl_super_read(disk, c, cp, block_size, block * block_size, "the checkpoint") &&
	       f2fs_checkpoint_matches(cp, block_size);
}

static void
tell_checkpoint(struct pl_content *c, uint32_t block_size, const uint8_t *cp)
{
	uint32_t flags = get_le32(cp + F2FS_CP_FLAGS);
	uint64_t user = get_le64(cp + F2FS_CP_USER_BLOCKS),
		 valid = get_le64(cp + F2FS_CP_VALID_BLOCKS);

	pl_fact_flag(&c->facts, "clean", "unmounted cleanly",
		     (flags & F2FS_CP_UMOUNT) && !(flags & (F2FS_CP_ERROR | F2FS_CP_FSCK)));
	if (flags & (F2FS_CP_ERROR | F2FS_CP_FSCK))
		pl_warn(&c->facts, "marked as having errors: it needs fsck");
	if (valid <= user)
		pl_super_free(c, user - valid, block_size);
}

/* Of the two checkpoints the whole one with the higher version is the state. */
static void
tell_state(struct pl_disk *disk, struct pl_content *c, const uint8_t *sb, uint32_t block_size)
{
	PL_AUTOFREE uint8_t *a = malloc(block_size), *b = malloc(block_size);
	uint64_t first = get_le32(sb + F2FS_CHECKPOINT);
	bool has_a, has_b;

	if (!a || !b || get_le32(sb + F2FS_LOG_SEGMENT) > 16)
		return;
	has_a = read_checkpoint(disk, c, first, block_size, a);
	has_b = read_checkpoint(disk, c, first + (UINT64_C(1) << get_le32(sb + F2FS_LOG_SEGMENT)),
				block_size, b);
	if (has_b && (!has_a || get_le64(b + F2FS_CP_VERSION) > get_le64(a + F2FS_CP_VERSION)))
		tell_checkpoint(c, block_size, b);
	else if (has_a)
		tell_checkpoint(c, block_size, a);
	else
		pl_warn(&c->facts, "both checkpoints are damaged");
}

static int
f2fs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head + F2FS_SUPER_OFFSET;
	uint32_t log_block, block_size;

	if (get_le32(sb) != F2FS_MAGIC) {
		sb = c->head + 4096 + F2FS_SUPER_OFFSET;
		if (get_le32(sb) != F2FS_MAGIC)
			return -ENOENT;
		pl_warn(&c->facts, "the first superblock is gone; told from its copy");
	}
	log_block = get_le32(sb + F2FS_LOG_BLOCK);
	if (log_block < 12 || log_block > 16 || get_le32(sb + F2FS_LOG_SECTOR) > log_block)
		return -ENOENT;
	block_size = 1u << log_block;
	c->evidence = 32 + 28;
	pl_super_label_utf16le(c, sb + F2FS_LABEL, 512);
	pl_super_uuid(c, sb + F2FS_UUID);
	pl_super_size(disk, c, 0, get_le64(sb + F2FS_BLOCKS), block_size);
	pl_fact_text(&c->facts, "version", "version", "%u.%u", get_le16(sb + F2FS_MAJOR),
		     get_le16(sb + F2FS_MINOR));
	if ((get_le32(sb + F2FS_FEATURES) & F2FS_SUPER_CHECKSUM) &&
	    get_le32(sb + F2FS_CHECKSUM_OFFSET) == F2FS_CHECKSUM)
		pl_super_checksum(c, get_le32(sb + F2FS_CHECKSUM) ==
					     f2fs_crc(F2FS_MAGIC, sb, F2FS_CHECKSUM));
	tell_state(disk, c, sb, block_size);
	return 0;
}

const struct pl_content_driver pl_content_f2fs = {
	.info = { .name = "f2fs", .longname = "Linux F2FS" },
	.usage = "filesystem",
	.identify = f2fs_identify,
	.open = pl_f2fs_open,
};
