/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ocfs2/identify.c - the superblock of Oracle's OCFS2, little-endian, in its third block */
#include "superblock.h"

/* An inode, whose body is the superblock. */
enum {
	OCFS2_CLUSTERS = 20,
	OCFS2_SUPER = 192
};
enum {
	OCFS2_MAJOR = 0,
	OCFS2_MINOR = 2,
	OCFS2_BLOCK_BITS = 56,
	OCFS2_CLUSTER_BITS = 60,
	OCFS2_LABEL = 80,
	OCFS2_UUID = 144
};

static int
ocfs2_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	for (uint32_t block_size = 512; block_size <= 4096; block_size *= 2) {
		const uint8_t *inode = c->head + 2 * (size_t)block_size, *sb = inode + OCFS2_SUPER;
		uint32_t cluster_bits = get_le32(sb + OCFS2_CLUSTER_BITS);

		if (memcmp(inode, "OCFSV2", 7) || get_le32(sb + OCFS2_BLOCK_BITS) > 12 ||
		    1u << get_le32(sb + OCFS2_BLOCK_BITS) != block_size || cluster_bits < 12 ||
		    cluster_bits > 20)
			continue;
		c->evidence = 56 + 32 + 28;
		pl_super_label(c, sb + OCFS2_LABEL, 64);
		pl_super_uuid(c, sb + OCFS2_UUID);
		pl_super_size(disk, c, 0, get_le32(inode + OCFS2_CLUSTERS), 1u << cluster_bits);
		c->content.block_size = block_size;
		pl_fact_text(&c->facts, "version", "version", "%u.%u", get_le16(sb + OCFS2_MAJOR),
			     get_le16(sb + OCFS2_MINOR));
		return 0;
	}
	return -ENOENT;
}

const struct pl_content_driver pl_content_ocfs2 = {
	.info = { .name = "ocfs2", .longname = "Oracle OCFS2" },
	.usage = "filesystem",
	.identify = ocfs2_identify,
};
