/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-btrfs.c - an image of mkfs.btrfs, read, and with one field of it broken at a time */
#include <stdio.h>
#include <stdlib.h>

#include "btrfs/btrfs.h"
#include "checksums.h"
#include "content.h"
#include "test.h"

#define SUPERBLOCK KIB(64)
#define IMAGE_SIZE MIB(24) /* too small for a second superblock */
#define NODE_SIZE  4096
#define LARGE      300000
#define MANY       200

static struct platter_error err = PLATTER_ERROR_INIT;

static uint8_t
large_byte(size_t i)
{
	return (uint8_t)(i * 7 ^ i >> 9);
}

static void
put_file(const char *folder, const char *name, const void *bytes, size_t n)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "wb");
	EXPECT(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

/* malloc()ed; small nodes, so that the tree has two levels. */
static uint8_t *
make_image(void)
{
	const char *folder = pl_test_folder();
	uint8_t *image = malloc(IMAGE_SIZE), *large = malloc(LARGE);
	char command[8192], name[32];
	FILE *f;

	EXPECT(image && large);
	if (system("PATH=$PATH:/usr/sbin:/sbin mkfs.btrfs --version >/dev/null 2>&1") != 0)
		SKIP("mkfs.btrfs is not there");
	snprintf(command, sizeof command, "mkdir -p '%s/root/a' && ln -s large '%s/root/link'",
		 folder, folder);
	EXPECT_EQ(system(command), 0);
	for (size_t i = 0; i < LARGE; i++)
		large[i] = large_byte(i);
	put_file(folder, "root/large", large, LARGE);
	put_file(folder, "root/inline", "in the tree", 11);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "root/a/%u", i);
		put_file(folder, name, name, strlen(name));
	}
	free(large);
	snprintf(command, sizeof command,
		 "cd '%s' && rm -f image && truncate -s %" PRIu64 " image && "
		 "PATH=$PATH:/usr/sbin:/sbin mkfs.btrfs -q --mixed -n %u -L label -m single "
		 "-d single --rootdir root image >/dev/null 2>&1",
		 folder, IMAGE_SIZE, NODE_SIZE);
	EXPECT_EQ(system(command), 0);
	snprintf(command, sizeof command, "%s/image", folder);
	f = fopen(command, "rb");
	EXPECT(f && fread(image, 1, IMAGE_SIZE, f) == IMAGE_SIZE && fclose(f) == 0);
	return image;
}

/* Right again after a change. */
static void
seal(uint8_t *block)
{
	put_le32(block, pl_crc32c(0, block + 32, NODE_SIZE - 32));
}

/* The newest node of the tree of files, of that level, that begins with the lowest key. */
static uint8_t *
find_node(uint8_t *image, unsigned level)
{
	const uint8_t *uuid = image + SUPERBLOCK + 32;
	uint8_t *best = NULL;

	for (size_t at = MIB(1); at < IMAGE_SIZE; at += NODE_SIZE) {
		uint8_t *node = image + at;

		if (memcmp(node + 32, uuid, 16) || node[100] != level ||
		    get_le64(node + 88) != BTRFS_TOP_TREE || !get_le32(node + 96) ||
		    get_le64(node + 101) != BTRFS_FIRST_FREE)
			continue;
		if (!best || get_le64(node + 80) > get_le64(best + 80))
			best = node;
	}
	EXPECT(best != NULL);
	return best;
}

static int
count_entry(void *closure, const struct pl_entry *entry, struct platter_error *e)
{
	(void)entry, (void)e;
	++*(size_t *)closure;
	return 0;
}

TEST(files_folders_and_links_are_read)
{
	PL_AUTOFREE uint8_t *image = make_image(), *bytes = malloc(LARGE);
	PL_AUTOUNREF struct pl_disk *disk = NULL, *large = NULL, *small = NULL;
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOFREE char *target = NULL, *why = NULL;
	struct pl_ranges used = { 0 };
	struct platter_file file;
	struct pl_node_id id;
	size_t nr = 0;

	EXPECT_OK(pl_memory_new(image, IMAGE_SIZE, "disk", &disk, &err));
	EXPECT_EQ(pl_volume_open(disk, "btrfs", "nosuch", 0, &v, &err), -ENOENT);
	EXPECT_OK(pl_volume_open(disk, "btrfs", NULL, 0, &v, &err));
	EXPECT_EQ(v->state, PLATTER_STATE_CLEAN);
	EXPECT_OK(pl_volume_list(v, v->root, count_entry, &nr, &err));
	EXPECT_EQ(nr, 4);
	EXPECT_OK(pl_volume_lookup(v, v->root, "large", 5, &id, &err));
	EXPECT_OK(pl_volume_stat(v, id, &file, &err));
	EXPECT_EQ(file.size, LARGE);
	EXPECT_OK(pl_volume_open_file(v, id, NULL, "large", &large, &err));
	EXPECT_OK(pl_read(large, bytes, LARGE, 0, &err));
	for (size_t i = 0; i < LARGE; i++)
		EXPECT_EQ(bytes[i], large_byte(i));
	EXPECT_OK(pl_volume_lookup(v, v->root, "inline", 6, &id, &err));
	EXPECT_OK(pl_volume_open_file(v, id, NULL, "inline", &small, &err));
	EXPECT_EQ(small->size, 11);
	EXPECT_OK(pl_read(small, bytes, 11, 0, &err));
	EXPECT_MEM(bytes, "in the tree", 11);
	EXPECT_OK(pl_volume_lookup(v, v->root, "link", 4, &id, &err));
	EXPECT_OK(pl_volume_read_link(v, id, &target, &err));
	EXPECT_STR(target, "large");
	EXPECT_EQ(pl_volume_lookup(v, v->root, "Large", 5, &id, &err), -ENOENT);
	EXPECT_EQ(pl_volume_list(v, id, count_entry, &nr, &err), -ENOTDIR);
	EXPECT_OK(pl_volume_lookup(v, v->root, "a", 1, &id, &err));
	nr = 0;
	EXPECT_OK(pl_volume_list(v, id, count_entry, &nr, &err));
	EXPECT_EQ(nr, MANY);
	EXPECT_OK(pl_volume_used(v, &used, &why, &err));
	EXPECT(!why);
	EXPECT_EQ(pl_ranges_bytes(&used), MIB(1) + get_le64(image + SUPERBLOCK + BTRFS_USED));
	pl_ranges_done(&used);
}

/* Each row breaks one field of the superblock. */
static const struct {
	const char *label;
	unsigned at, size;
	uint64_t value;
	int open;
} superblocks[] = {
	{ "magic", BTRFS_MAGIC, 1, 0, -EUCLEAN },
	{ "its own place", BTRFS_SELF, 8, MIB(64), -EUCLEAN },
	{ "sector size 0", BTRFS_SECTOR_SIZE, 4, 0, -EUCLEAN },
	{ "node size below the sector size", BTRFS_NODE_SIZE, 4, 2048, -EUCLEAN },
	{ "node size too large", BTRFS_NODE_SIZE, 4, 1u << 20, -EUCLEAN },
	{ "root's level", BTRFS_ROOT_LEVEL, 1, 8, -EUCLEAN },
	{ "root's level, another one", BTRFS_ROOT_LEVEL, 1, 3, -EUCLEAN },
	{ "root in no chunk", BTRFS_ROOT, 8, 3, -EUCLEAN },
	{ "unknown feature", BTRFS_INCOMPATIBLE + 7, 1, 0x80, -ENOTSUP },
	{ "system chunks too long", BTRFS_SYSTEM_CHUNKS_SIZE, 4, 4000, -EUCLEAN },
	{ "system chunks cut", BTRFS_SYSTEM_CHUNKS_SIZE, 4, 60, -EUCLEAN },
	{ "no chunk item", BTRFS_SYSTEM_CHUNKS + 8, 1, 1, -EUCLEAN },
	{ "chunk without length", BTRFS_SYSTEM_CHUNKS + 17, 8, 0, -EUCLEAN },
	{ "chunk that wraps", BTRFS_SYSTEM_CHUNKS + 17, 8, UINT64_MAX, -EUCLEAN },
	{ "chunk without stripes", BTRFS_SYSTEM_CHUNKS + 17 + 44, 2, 0, -EUCLEAN },
	{ "chunk of too many stripes", BTRFS_SYSTEM_CHUNKS + 17 + 44, 2, 9999, -EUCLEAN },
	{ "chunk of RAID6", BTRFS_SYSTEM_CHUNKS + 17 + 24, 8, 0x102, -ENOTSUP },
	{ "another device", BTRFS_SYSTEM_CHUNKS + 17 + 48, 8, 77, -ENOTSUP },
	{ "chunk past the disk", BTRFS_SYSTEM_CHUNKS + 17 + 56, 8, 1u << 30, -EUCLEAN },
	{ "chunk far past the disk", BTRFS_SYSTEM_CHUNKS + 17 + 56, 8, UINT64_MAX, -EUCLEAN },
};

static int
open_image(const uint8_t *image, unsigned flags, struct pl_volume **ret)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_volume_request request = { .flags = flags };

	EXPECT_OK(pl_memory_new(image, IMAGE_SIZE, "disk", &disk, &err));
	request.disk = disk;
	return pl_btrfs_open(&request, ret, &err);
}

TEST(the_superblock_is_checked)
{
	PL_AUTOFREE uint8_t *image = make_image();
	uint8_t *sb = image + SUPERBLOCK, whole[BTRFS_SUPERBLOCK_SIZE];
	struct pl_volume *v = NULL;

	memcpy(whole, sb, sizeof whole);
	for (size_t i = 0; i < ARRAY_SIZE(superblocks); i++) {
		for (unsigned k = 0; k < superblocks[i].size; k++)
			sb[superblocks[i].at + k] = (uint8_t)(superblocks[i].value >> 8 * k);
		seal(sb);
		printf("# %s\n", superblocks[i].label);
		EXPECT_EQ(open_image(image, 0, &v), superblocks[i].open);
		memcpy(sb, whole, sizeof whole);
	}
	sb[BTRFS_LABEL] ^= 1;
	EXPECT_EQ(open_image(image, 0, &v), -EUCLEAN);
	EXPECT_OK(open_image(image, PLATTER_OPEN_IGNORE_CHECKSUMS, &v));
	pl_volume_unref(v);
}

/* The same of the root of the tree of files, level 1, or its first leaf. */
static const struct {
	const char *label;
	unsigned level, at, size;
	uint64_t value;
} nodes[] = {
	{ "level", 1, 100, 1, 2 },
	{ "level of a leaf", 0, 100, 1, 1 },
	{ "its own place", 1, 48, 8, 4096 },
	{ "no items", 1, 96, 4, 0 },
	{ "too many items", 1, 96, 4, 5000 },
	{ "too many items in a leaf", 0, 96, 4, UINT32_MAX },
	{ "keys out of order", 0, 101 + 25, 8, 1 },
	{ "item past the end", 0, 101 + 17, 4, 4000 },
	{ "item that wraps", 0, 101 + 17, 4, UINT32_MAX - 8 },
	{ "first key", 0, 101 + 9, 8, 1 },
	{ "child that is the node itself", 1, 101 + 17, 8, 0 },
};

TEST(nodes_are_checked)
{
	PL_AUTOFREE uint8_t *image = make_image();

	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		uint8_t *node = find_node(image, nodes[i].level), whole[NODE_SIZE];
		PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
		struct platter_file file;
		size_t nr = 0;

		memcpy(whole, node, sizeof whole);
		for (unsigned k = 0; k < nodes[i].size; k++)
			node[nodes[i].at + k] = (uint8_t)(nodes[i].value >> 8 * k);
		if (nodes[i].at == 101 + 17 && nodes[i].level)
			memcpy(node + nodes[i].at, node + 48, 8);
		seal(node);
		printf("# %s\n", nodes[i].label);
		EXPECT_OK(open_image(image, 0, &v));
		EXPECT_EQ(pl_volume_list(v, v->root, count_entry, &nr, &err), -EUCLEAN);
		EXPECT_EQ(pl_volume_stat(v, v->root, &file, &err), -EUCLEAN);
		memcpy(node, whole, sizeof whole);
	}
}

/*
 * LZO1X of `n` literals, more than 18, and the end; returns its length.  Zeros count 255 each.
 */
static size_t
put_literals(uint8_t *out, uint8_t value, size_t n)
{
	size_t rest = n - 18, at = 1;

	out[0] = 0;
	for (; rest > 255; rest -= 255)
		out[at++] = 0;
	out[at++] = (uint8_t)rest;
	memset(out + at, value, n);
	memcpy(out + at + n, "\x11\0\0", 3);
	return at + n + 3;
}

TEST(lengths_of_lzo_pieces_do_not_cross_sectors)
{
	uint8_t in[8192] = { 0 }, out[8192], expected[8192] = { 0 };
	struct btrfs fs = { .sector_size = 4096 };
	const struct pl_decoder *lzo = pl_btrfs_decoder(&fs, 2);
	size_t first = put_literals(in + 8, 'a', 4066), second = put_literals(in + 4100, 'b', 50);

	EXPECT_EQ(4 + 4 + first, 4094);
	put_le32(in + 4, (uint32_t)first);
	put_le32(in + 4096, (uint32_t)second);
	put_le32(in, (uint32_t)(4100 + second));
	memset(expected, 'a', 4066);
	memset(expected + 4066, 'b', 50);
	EXPECT_OK(lzo->decode(lzo, in, sizeof in, out, sizeof out, 0, &err));
	EXPECT_MEM(out, expected, sizeof out);

	put_le32(in + 4096, 5000);
	EXPECT_EQ(lzo->decode(lzo, in, sizeof in, out, sizeof out, 0, &err), -EUCLEAN);
	put_le32(in, 9000);
	EXPECT_EQ(lzo->decode(lzo, in, sizeof in, out, sizeof out, 0, &err), -EUCLEAN);
	EXPECT_EQ(lzo->decode(lzo, in, 3, out, sizeof out, 0, &err), -EUCLEAN);
}
