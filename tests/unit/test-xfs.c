/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-xfs.c - broken fields of an XFS of version 4; the rest is in the system tests */
#include "content.h"
#include "test.h"

static struct platter_error err = PLATTER_ERROR_INIT;

enum {
	BLOCK = 4096,
	BLOCKS = 16,
	ROOT = 8 * BLOCK, /* block 8, its first inode: number 8 << 4 */
	ROOT_NUMBER = 8 << 4,
};

/* One group of 16 blocks; the root holds a folder "a", itself. */
static void
make_image(uint8_t image[static BLOCKS * BLOCK])
{
	uint8_t *inode = image + ROOT;

	memset(image, 0, BLOCKS * BLOCK);
	memcpy(image, "XFSB", 4);
	put_be32(image + 4, BLOCK);
	put_be64(image + 8, BLOCKS);
	put_be64(image + 56, ROOT_NUMBER);
	put_be32(image + 84, BLOCKS); /* blocks of a group */
	put_be32(image + 88, 1);      /* groups */
	put_be16(image + 100, 0xb4a4);
	put_be16(image + 102, 512);
	put_be16(image + 104, 256);
	image[120] = 12; /* bits of the block, */
	image[121] = 9;  /* the sector, */
	image[122] = 8;  /* the inode, */
	image[123] = 4;  /* inodes in a block, */
	image[124] = 4;  /* blocks in a group */
	memcpy(inode, "IN", 2);
	put_be16(inode + 2, 040755);
	inode[4] = 2; /* version */
	inode[5] = 1; /* local */
	put_be32(inode + 16, 2);
	put_be64(inode + 56, 14); /* size */
	inode[100] = 1;           /* entries */
	put_be32(inode + 102, ROOT_NUMBER);
	inode[106] = 1; /* the length of a name */
	inode[109] = 'a';
	put_be32(inode + 110, ROOT_NUMBER);
}

static int
ignore(void *closure, const struct pl_entry *entry, struct platter_error *e)
{
	(void)closure, (void)entry, (void)e;
	return 0;
}

/* What opening, or listing the root, says. */
static int
try(const uint8_t image[static BLOCKS * BLOCK])
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	int r;

	EXPECT_OK(pl_memory_new(image, BLOCKS * BLOCK, "disk", &disk, &err));
	r = pl_volume_open(disk, "xfs", NULL, 0, &v, &err);
	return r < 0 ? r : pl_volume_list(v, v->root, ignore, NULL, &err);
}

static const struct {
	const char *label;
	unsigned at, bytes;
	uint64_t value;
	int code;
} broken[] = {
	{ "root in no group", 56, 8, 1 << 20, -EUCLEAN },
	{ "root that is no inode", 56, 8, 9 << 4, -EUCLEAN },
	{ "blocks of another size than their bits", 120, 1, 13, -ENOENT },
	{ "inodes of another size than their bits", 122, 1, 9, -EUCLEAN },
	{ "more blocks than the groups have", 8, 8, BLOCKS + 1, -EUCLEAN },
	{ "groups of more blocks than their bits", 124, 1, 3, -EUCLEAN },
	{ "folder blocks that are too large", 192, 1, 200, -EUCLEAN },
	{ "attribute fork behind the inode", ROOT + 82, 1, 200, -EUCLEAN },
	{ "more entries than there are", ROOT + 100, 1, 2, -EUCLEAN },
	{ "a name that passes the end", ROOT + 106, 1, 255, -EUCLEAN },
	{ "folder of a format that is none", ROOT + 5, 1, 7, -EUCLEAN },
	{ "tree of extents too deep", ROOT + 5, 1, 3, -EUCLEAN },
	{ "more extents than the fork has room for", ROOT + 5, 1, 2, 0 },
};

TEST(xfs_names_the_broken_field)
{
	static uint8_t image[BLOCKS * BLOCK];

	make_image(image);
	EXPECT_OK(try(image));
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		int r;

		make_image(image);
		for (unsigned k = 0; k < broken[i].bytes; k++)
			image[broken[i].at + k] =
				(uint8_t)(broken[i].value >> 8 * (broken[i].bytes - 1 - k));
		if (!broken[i].code) {
			put_be32(image + ROOT + 76, 1000);
			r = try(image) == -EUCLEAN ? 0 : -1;
		} else {
			r = try(image);
		}
		if (r != broken[i].code)
			pl_test_fail(__FILE__, __LINE__, "%s: %d, expected %d (%s)",
				     broken[i].label, r, broken[i].code, err.message);
	}
}
