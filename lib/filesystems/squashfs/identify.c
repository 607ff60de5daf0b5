/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * squashfs/identify.c - the superblock of SquashFS, at byte 0; little-endian since
 * version 4, of either order before
 */
#include "squashfs.h"
#include "superblock.h"

enum {
	SQ_INODES = 4,
	SQ_TIME = 8,
	SQ_BLOCK_SIZE = 12,
	SQ_COMPRESSION = 20,
	SQ_BLOCK_BITS = 22,
	SQ_MAJOR = 28,
	SQ_MINOR = 30,
	SQ_BYTES_USED = 40
};
/* Versions 1 to 3, whose fields are not aligned. */
enum {
	SQ_OLD_BYTES_USED = 8,
	SQ_OLD_BLOCK_BITS = 34,
	SQ_OLD_TIME = 39,
	SQ_3_BYTES_USED = 63
};

static int
squashfs3_identify(struct pl_disk *disk, struct pl_content *c, bool big_endian)
{
	const uint8_t *sb = c->head;
	unsigned major = (unsigned)sq_bits(big_endian, sb, SQ_MAJOR * 8, 16);
	unsigned minor = (unsigned)sq_bits(big_endian, sb, SQ_MINOR * 8, 16);
	unsigned bits = (unsigned)sq_bits(big_endian, sb, SQ_OLD_BLOCK_BITS * 8, 16);
	uint64_t used = major == 3 ? sq_bits(big_endian, sb, SQ_3_BYTES_USED * 8, 64)
				   : sq_bits(big_endian, sb, SQ_OLD_BYTES_USED * 8, 32);

	if (major < 1 || major > 3)
		return -ENOENT;
	c->evidence = 32 + 14;
	c->content.name = "squashfs3";
	c->content.free = 0;
	pl_fact_text(&c->facts, "version", "version", "%u.%u", major, minor);
	pl_fact_text(&c->facts, "byte_order", "byte order",
		     big_endian ? "big-endian" : "little-endian");
	if (bits >= 12 && bits <= 20) {
		pl_super_size(disk, c, 0, used, 1);
		c->content.block_size = 1u << bits;
	}
	pl_fact_number(&c->facts, "inodes", "files and folders",
		       sq_bits(big_endian, sb, SQ_INODES * 8, 32));
	pl_fact_time(&c->facts, "created", "created",
		     (int64_t)sq_bits(big_endian, sb, SQ_OLD_TIME * 8, 32));
	return 0;
}

static int
squashfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	static const char *const codecs[] = { "", "gzip", "LZMA", "LZO", "xz", "LZ4", "zstd" };
	const uint8_t *sb = c->head;
	uint32_t block_size = get_le32(sb + SQ_BLOCK_SIZE);
	uint16_t bits = get_le16(sb + SQ_BLOCK_BITS), codec = get_le16(sb + SQ_COMPRESSION);

	if (!memcmp(sb, "sqsh", 4) || !memcmp(sb, "shsq", 4))
		return squashfs3_identify(disk, c, sb[1] == 'q');
	if (memcmp(sb, "hsqs", 4))
		return -ENOENT;
	if (get_le16(sb + SQ_MAJOR) < 4)
		return squashfs3_identify(disk, c, false);
	if (get_le16(sb + SQ_MAJOR) != 4 || bits > 20 || block_size != 1u << bits)
		return -ENOENT;
	c->evidence = 32 + 16 + 32;
	pl_super_size(disk, c, 0, get_le64(sb + SQ_BYTES_USED), 1);
	c->content.block_size = block_size;
	c->content.free = 0;
	pl_fact_text(&c->facts, "version", "version", "4.%u", get_le16(sb + SQ_MINOR));
	if (codec && codec < ARRAY_SIZE(codecs))
		pl_fact_text(&c->facts, "compression", "compression", "%s", codecs[codec]);
	else
		pl_warn(&c->facts, "compressed by unknown method %u", codec);
	pl_fact_number(&c->facts, "inodes", "files and folders", get_le32(sb + SQ_INODES));
	pl_fact_time(&c->facts, "created", "created", get_le32(sb + SQ_TIME));
	return 0;
}

const struct pl_content_driver pl_content_squashfs = {
	.info = { .name = "squashfs", .longname = "SquashFS" },
	.usage = "filesystem",
	.identify = squashfs_identify,
	.open = pl_squashfs_open,
};
