/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vmfs/identify.c - VMware's VMFS, little-endian: the volume that it lies on, at 1 MiB, and
 * the file system, at 2 MiB
 */
#include "superblock.h"

#define VOLUME_MAGIC 0xc001d00d
#define FS_MAGIC     0x2fabf15e

enum {
	VOLUME_VERSION = 4,
	VOLUME_UUID = 130
};
enum {
	FS_VERSION = 8,
	FS_UUID = 9,
	FS_LABEL = 29,
	FS_BLOCK_SIZE = 161
};

/* VMware prints the first words of its UUIDs as little-endian numbers. */
static void
tell_uuid(struct pl_content *c, const uint8_t *u)
{
	if (!pl_is_zero(u, 16))
		pl_super_uuid_text(c, "%08" PRIx32 "-%08" PRIx32 "-%04x-%02x%02x%02x%02x%02x%02x",
				   get_le32(u), get_le32(u + 4), get_le16(u + 8), u[10], u[11],
				   u[12], u[13], u[14], u[15]);
}

static bool
read_at(struct pl_disk *disk, uint8_t *buf, size_t n, uint64_t at)
{
	return pl_in_range(at, n, disk->size) && pl_read(disk, buf, n, at, NULL) == 0;
}

static int
vmfs_volume_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	uint8_t h[512];

	if (!read_at(disk, h, sizeof h, MIB(1)) || get_le32(h) != VOLUME_MAGIC)
		return -ENOENT;
	c->evidence = 32;
	tell_uuid(c, h + VOLUME_UUID);
	pl_fact_number(&c->facts, "version", "version", get_le32(h + VOLUME_VERSION));
	return 0;
}

const struct pl_content_driver pl_content_vmfs_volume = {
	.info = { .name = "VMFS_volume_member", .longname = "VMware VMFS volume" },
	.usage = "raid",
	.identify = vmfs_volume_identify,
};

static int
vmfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	uint8_t h[512];
	uint64_t block_size;

	if (!read_at(disk, h, sizeof h, MIB(2)) || get_le32(h) != FS_MAGIC)
		return -ENOENT;
	c->evidence = 32;
	tell_uuid(c, h + FS_UUID);
	pl_super_label(c, h + FS_LABEL, 128);
	block_size = get_le64(h + FS_BLOCK_SIZE);
	if (pl_is_power_of_two(block_size) && block_size <= MIB(64))
		c->content.block_size = (uint32_t)block_size;
	pl_fact_number(&c->facts, "version", "version", h[FS_VERSION]);
	return 0;
}

const struct pl_content_driver pl_content_vmfs = {
	.info = { .name = "VMFS", .longname = "VMware VMFS" },
	.usage = "filesystem",
	.identify = vmfs_identify,
};
