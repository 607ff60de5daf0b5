/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs/identify.c - the superblock of Btrfs, little-endian, at 64 KiB
 * (btrfs.readthedocs.io, "On-disk Format")
 */
#include "btrfs.h"
#include "checksums.h"
#include "superblock.h"
#include "text.h"

static void
tell_checksum(struct pl_content *c, const uint8_t *sb)
{
	static const char *const names[] = { "CRC-32C", "xxHash", "SHA-256", "BLAKE2b" };
	uint16_t type = get_le16(sb + BTRFS_CHECKSUM_TYPE);

	if (type < ARRAY_SIZE(names))
		pl_fact_text(&c->facts, "checksum", "checksums", "%s", names[type]);
	else
		pl_warn(&c->facts, "checksums of unknown type %u", type);
	if (type == BTRFS_CRC32C)
		pl_super_checksum(c, pl_crc32c(0, sb + BTRFS_FSID,
					       BTRFS_SUPERBLOCK_SIZE - BTRFS_FSID) ==
					     get_le32(sb + BTRFS_CHECKSUM));
}

static int
btrfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *sb = c->head + BTRFS_SUPERBLOCK;
	uint32_t sector_size = get_le32(sb + BTRFS_SECTOR_SIZE);
	uint64_t devices = get_le64(sb + BTRFS_DEVICES), total = get_le64(sb + BTRFS_TOTAL);
	uint64_t used = get_le64(sb + BTRFS_USED);
	char uuid[PL_UUID_TEXT];

	if (memcmp(sb + BTRFS_MAGIC, "_BHRfS_M", 8) ||
	    get_le64(sb + BTRFS_SELF) != BTRFS_SUPERBLOCK || !pl_is_power_of_two(sector_size) ||
	    sector_size > KIB(64) || !devices)
		return -ENOENT;

	c->evidence = 64 + 64;
	pl_super_label(c, sb + BTRFS_LABEL, 256);
	pl_super_uuid(c, sb + BTRFS_FSID);
	tell_checksum(c, sb);
	/* On this device; the file system's total counts all of its devices. */
	pl_super_size(disk, c, 0, get_le64(sb + BTRFS_DEVICE_SIZE), 1);
	c->content.block_size = sector_size;
	if (devices == 1 && used <= total)
		pl_super_free(c, total - used, 1);
	pl_fact_flag(&c->facts, "clean", "unmounted cleanly", !get_le64(sb + BTRFS_LOG_ROOT));
	pl_fact_number(&c->facts, "generation", "generation", get_le64(sb + BTRFS_GENERATION));
	pl_fact_size(&c->facts, "node_size", "node size", get_le32(sb + BTRFS_NODE_SIZE));
	if (devices > 1) {
		pl_fact_number(&c->facts, "devices", "devices", devices);
		pl_fact_number(&c->facts, "device_id", "this device's number",
			       get_le64(sb + BTRFS_DEVICE_ID));
		pl_fact_size(&c->facts, "total_size", "size of all devices", total);
	}
	pl_uuid_text(sb + BTRFS_DEVICE_UUID, uuid);
	pl_fact_text(&c->facts, "device_uuid", "this device's UUID", "%s", uuid);
	return 0;
}

const struct pl_content_driver pl_content_btrfs = {
	.info = { .name = "btrfs", .longname = "Linux Btrfs" },
	.usage = "filesystem",
	.identify = btrfs_identify,
	.open = pl_btrfs_open,
	.snapshots = true,
};
