/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-squashfs.c - broken fields of a SquashFS superblock and table; the rest is in the system tests */
#include "content.h"
#include "test.h"

static struct platter_error err = PLATTER_ERROR_INIT;

enum {
	TABLE = 96, /* one block, stored as it is: the root's inode */
	FOLDERS = 200,
	IDS = 300,
	ID_LIST = 320,
	IMAGE = 4096,
};

/* An empty root, owned by ID 0. */
static void
make_image(uint8_t image[static IMAGE])
{
	memset(image, 0, IMAGE);
	memcpy(image, "hsqs", 4);
	put_le32(image + 4, 1);      /* inodes */
	put_le32(image + 12, 4096);  /* block size */
	put_le16(image + 20, 1);     /* gzip */
	put_le16(image + 22, 12);    /* bits of the block size */
	put_le16(image + 26, 1);     /* IDs */
	put_le16(image + 28, 4);     /* version */
	put_le64(image + 40, IMAGE); /* bytes used */
	put_le64(image + 48, ID_LIST);
	put_le64(image + 56, UINT64_MAX);
	put_le64(image + 64, TABLE);
	put_le64(image + 72, FOLDERS);
	put_le64(image + 80, UINT64_MAX);
	put_le64(image + 88, UINT64_MAX);
	put_le16(image + TABLE, 0x8000 | 32);
	put_le16(image + TABLE + 2, 1); /* a folder */
	put_le16(image + TABLE + 4, 0755);
	put_le16(image + TABLE + 26, 3); /* its size */
	put_le16(image + FOLDERS, 0x8000 | 1);
	put_le16(image + IDS, 0x8000 | 4);
	put_le64(image + ID_LIST, IDS);
}

static int
try(const uint8_t image[static IMAGE])
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;

	EXPECT_OK(pl_memory_new(image, IMAGE, "disk", &disk, &err));
	return pl_volume_open(disk, "squashfs", NULL, 0, &v, &err);
}

static const struct {
	const char *label;
	unsigned at, bytes;
	uint64_t value;
	int code;
} broken[] = {
	{ "unknown compression", 20, 2, 9, -ENOTSUP },
	{ "root behind its table", 32, 8, 5000ull << 16, -EUCLEAN },
	{ "root inside no block", 32, 8, 4000, -EUCLEAN },
	{ "inode table past the end", 64, 8, 1 << 20, -EUCLEAN },
	{ "inode table that wraps", 64, 8, UINT64_MAX - 10, -EUCLEAN },
	{ "ID table past the end", 48, 8, 1 << 20, -EUCLEAN },
	{ "no IDs", 26, 2, 0, -EUCLEAN },
	{ "table block longer than any", TABLE, 2, 0xffff, -EUCLEAN },
	{ "table block of nothing", TABLE, 2, 0x8000, -EUCLEAN },
	{ "inode of no type", TABLE + 2, 2, 0, -EUCLEAN },
	{ "inode of a type too high", TABLE + 2, 2, 15, -EUCLEAN },
	{ "root that is a pipe", TABLE + 2, 2, 6, -EUCLEAN },
};

TEST(squashfs_names_the_broken_field)
{
	uint8_t image[IMAGE];

	make_image(image);
	EXPECT_OK(try(image));
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		int r;

		make_image(image);
		for (unsigned k = 0; k < broken[i].bytes; k++)
			image[broken[i].at + k] = (uint8_t)(broken[i].value >> 8 * k);
		r = try(image);
		if (r != broken[i].code)
			pl_test_fail(__FILE__, __LINE__, "%s: %d, expected %d (%s)",
				     broken[i].label, r, broken[i].code, err.message);
	}
}
