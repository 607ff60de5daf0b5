/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * apfs/identify.c - the container superblock of APFS, little-endian, in block 0, and the
 * names of its volumes ("Apple File System Reference", 2020)
 *
 * Block 0 is a copy, as new as the last clean unmount: good enough to tell names by.
 */
#include "apfs.h"
#include "superblock.h"
#include "text.h"

enum {
	NODE_FLAGS = 32,
	NODE_LEVEL = 34,
	NODE_KEYS = 36,
	NODE_TABLE = 40,
	NODE_DATA = 56,
	NODE_INFO_SIZE = 40
};
enum {
	NODE_ROOT = 1,
	NODE_FIXED = 4
};
#define MAX_VOLUMES_READ 16 /* blocks of up to 64 KiB are read to name them */

static bool
read_object(struct pl_disk *disk, struct pl_content *c, uint64_t block, uint32_t size, uint8_t *buf)
{
	uint64_t at;

	return !__builtin_mul_overflow(block, size, &at) &&
	       pl_super_read(disk, c, buf, size, at, "an object") &&
	       pl_apfs_checksum_matches(buf, size);
}

/* Where the object map's root node, if it is its only one, says that object `oid` is; 0: nowhere. */
static uint64_t
omap_find(const uint8_t *node, uint32_t size, uint64_t oid)
{
	uint32_t nr = get_le32(node + NODE_KEYS);
	uint32_t table = NODE_DATA + get_le16(node + NODE_TABLE);
	uint32_t keys = table + get_le16(node + NODE_TABLE + 2);
	uint32_t end = size - NODE_INFO_SIZE;
	uint64_t found = 0, newest = 0;

	if (nr > size / 4)
		return 0;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t key, value;

		if (!pl_in_range(table + 4 * i, 4, size))
			return 0;
		key = keys + get_le16(node + table + 4 * i);
		value = get_le16(node + table + 4 * i + 2);
		if (!pl_in_range(key, 16, size) || value > end || value < 16)
			continue;
		if (get_le64(node + key) == oid && get_le64(node + key + 8) >= newest) {
			newest = get_le64(node + key + 8);
			found = get_le64(node + end - value + 8);
		}
	}
	return found;
}

static void
add_volume(struct pl_str *names, const uint8_t *apsb)
{
	PL_AUTOFREE char *name = pl_text_from_bytes(apsb + FS_NAME, FS_NAME_SIZE);

	if (names->length)
		pl_str_add(names, ", ");
	pl_str_add(names, name ? name : "");
}

static void
tell_volumes(struct pl_disk *disk, struct pl_content *c, const uint8_t *sb, uint32_t size)
{
	PL_AUTOFREE uint8_t *node = malloc(size), *buf = malloc(size);
	uint32_t max = PL_MIN(get_le32(sb + NX_MAX_VOLUMES), (uint32_t)APFS_MAX_VOLUMES);
	struct pl_str names = { 0 };
	unsigned nr = 0;

	if (!node || !buf || !read_object(disk, c, get_le64(sb + NX_OMAP), size, buf) ||
	    !read_object(disk, c, get_le64(buf + OMAP_TREE), size, node) ||
	    get_le16(node + NODE_LEVEL) != 0 ||
	    (get_le16(node + NODE_FLAGS) & (NODE_ROOT | NODE_FIXED)) != (NODE_ROOT | NODE_FIXED))
		return;
	for (uint32_t i = 0; i < max && nr < MAX_VOLUMES_READ; i++) {
		uint64_t oid = get_le64(sb + NX_VOLUMES + 8 * (size_t)i);
		uint64_t block = oid ? omap_find(node, size, oid) : 0;

		if (!block)
			continue;
		nr++;
		if (read_object(disk, c, block, size, buf) && !memcmp(buf + 32, "APSB", 4))
			add_volume(&names, buf);
	}
	if (names.text)
		pl_fact_text(&c->facts, "volumes", "volumes", "%s", names.text);
	pl_str_done(&names);
}

static int
apfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head;
	uint32_t size = get_le32(sb + NX_BLOCK_SIZE);

	if (memcmp(sb + NX_MAGIC, "NXSB", 4) || !pl_is_power_of_two(size) || size < 4096 ||
	    size > KIB(64))
		return -ENOENT;
	c->evidence = 32 + 28;
	pl_super_uuid(c, sb + NX_UUID);
	pl_super_size(disk, c, 0, get_le64(sb + NX_BLOCKS), size);
	pl_super_checksum(c, pl_apfs_checksum_matches(sb, size));
	if (get_le64(sb + NX_INCOMPAT) & NX_INCOMPAT_FUSION)
		pl_fact_flag(&c->facts, "fusion", "part of a Fusion drive", true);
	pl_fact_number(&c->facts, "transaction", "transaction", get_le64(sb + OBJ_XID));
	tell_volumes(disk, c, sb, size);
	return 0;
}

const struct pl_content_driver pl_content_apfs = {
	.info = { .name = "apfs", .longname = "Apple APFS" },
	.usage = "filesystem",
	.identify = apfs_identify,
	.open = pl_apfs_open,
	.snapshots = true,
};
