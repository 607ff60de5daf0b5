/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ufs/identify.c - the superblock of UFS1 and UFS2, in the byte order of the machine that
 * made it: BSD, SunOS, NeXT (fs.h of the BSDs)
 */
#include "superblock.h"

#define UFS1_MAGIC 0x00011954
#define UFS2_MAGIC 0x19540119

enum {
	UFS1_SIZE = 36,
	UFS_BLOCK_SIZE = 48,
	UFS_FRAGMENT_SIZE = 52,
	UFS_FRAGMENTS = 56,
	UFS_ID = 144,
	UFS1_FREE_BLOCKS = 196,
	UFS1_FREE_FRAGMENTS = 204,
	UFS_CLEAN = 209,
	UFS_LABEL = 680,
	UFS2_FREE_BLOCKS = 1016,
	UFS2_FREE_FRAGMENTS = 1032,
	UFS2_SIZE = 1080,
	UFS_MAGIC = 1372,
	UFS_SIZE = 1376
};

struct ufs {
	const uint8_t *sb;
	bool big_endian;
};

static uint32_t
get32(const struct ufs *u, int at)
{
	return u->big_endian ? get_be32(u->sb + at) : get_le32(u->sb + at);
}

static uint64_t
get64(const struct ufs *u, int at)
{
	return u->big_endian ? get_be64(u->sb + at) : get_le64(u->sb + at);
}

static bool
ufs_plausible(struct ufs *u)
{
	uint32_t fragment, block;

	u->big_endian = get_be32(u->sb + UFS_MAGIC) == UFS1_MAGIC ||
			get_be32(u->sb + UFS_MAGIC) == UFS2_MAGIC;
	if (get32(u, UFS_MAGIC) != UFS1_MAGIC && get32(u, UFS_MAGIC) != UFS2_MAGIC)
		return false;
	fragment = get32(u, UFS_FRAGMENT_SIZE);
	block = get32(u, UFS_BLOCK_SIZE);
	return pl_is_power_of_two(fragment) && fragment >= 512 && pl_is_power_of_two(block) &&
	       block >= fragment && block <= KIB(64) && get32(u, UFS_FRAGMENTS) == block / fragment;
}

static void
tell_ufs(struct pl_disk *disk, struct pl_content *c, const struct ufs *u)
{
	bool two = get32(u, UFS_MAGIC) == UFS2_MAGIC;
	uint32_t fragment = get32(u, UFS_FRAGMENT_SIZE), per_block = get32(u, UFS_FRAGMENTS);
	uint64_t blocks = two ? get64(u, UFS2_FREE_BLOCKS) : get32(u, UFS1_FREE_BLOCKS);
	uint64_t fragments = two ? get64(u, UFS2_FREE_FRAGMENTS) : get32(u, UFS1_FREE_FRAGMENTS);

	c->evidence = 32 + 20 + 20 + 32;
	c->content.longname = two ? "UFS2" : "UFS1";
	if (two)
		pl_super_label(c, u->sb + UFS_LABEL, 32);
	if (get32(u, UFS_ID) || get32(u, UFS_ID + 4))
		pl_super_uuid_text(c, "%08" PRIx32 "%08" PRIx32, get32(u, UFS_ID),
				   get32(u, UFS_ID + 4));
	pl_super_size(disk, c, 0, two ? get64(u, UFS2_SIZE) : get32(u, UFS1_SIZE), fragment);
	if (!__builtin_mul_overflow(blocks, per_block, &blocks) &&
	    !__builtin_add_overflow(blocks, fragments, &blocks))
		pl_super_free(c, blocks, fragment);
	c->content.block_size = get32(u, UFS_BLOCK_SIZE);
	pl_fact_flag(&c->facts, "clean", "unmounted cleanly", u->sb[UFS_CLEAN] == 1);
	pl_fact_text(&c->facts, "byte_order", "byte order",
		     u->big_endian ? "big-endian" : "little-endian");
}

static int
ufs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	/* Where UFS1, UFS2, UFS on floppies and UFS2 after a large boot program keep it. */
	static const uint64_t places[] = { KIB(8), KIB(64), 0, KIB(256) };
	uint8_t far[UFS_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct ufs u = { .sb = c->head + places[i] % PL_CONTENT_HEAD };

		if (places[i] >= PL_CONTENT_HEAD) {
			if (!pl_in_range(places[i], sizeof far, disk->size) ||
			    !pl_super_read(disk, c, far, sizeof far, places[i], "the superblock"))
				continue;
			u.sb = far;
		}
		if (!ufs_plausible(&u))
			continue;
		tell_ufs(disk, c, &u);
		return 0;
	}
	return -ENOENT;
}

const struct pl_content_driver pl_content_ufs = {
	.info = { .name = "ufs", .longname = "UFS" },
	.usage = "filesystem",
	.identify = ufs_identify,
};
