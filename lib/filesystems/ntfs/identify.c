/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs/identify.c - the boot sector of NTFS, and the label, version and state that MFT
 * record 3, $Volume, keeps
 */
#include "superblock.h"

enum {
	NTFS_OEM = 3,
	NTFS_SECTOR_SIZE = 11,
	NTFS_CLUSTER_SECTORS = 13,
	NTFS_SECTORS = 40,
	NTFS_MFT = 48,
	NTFS_MFT_MIRROR = 56,
	NTFS_RECORD_SIZE = 64,
	NTFS_SERIAL = 72,
};
enum {
	RECORD_VOLUME = 3,
	ATTR_VOLUME_NAME = 0x60,
	ATTR_VOLUME_INFORMATION = 0x70
};
enum {
	VOLUME_DIRTY = 0x1,
	VOLUME_UPGRADE = 0x4,
	VOLUME_CHKDSK = 0x4000
};

/* The largest record and cluster that Windows makes are 4 KiB and 2 MiB. */
#define MAX_RECORD  KIB(64)
#define MAX_CLUSTER MIB(2)

struct ntfs {
	uint32_t sector_size, cluster_size, record_size;
	uint64_t sectors, mft, mirror;
};

/* A size in clusters, or, when negative, as a power of two in bytes. */
static uint32_t
ntfs_size_field(uint8_t v, uint32_t cluster_size)
{
	if (v < 0x80)
		return v * cluster_size;
	return v <= 0xe1 ? 0 : 1u << (256 - v);
}

static bool
ntfs_decode(const uint8_t *boot, struct ntfs *ret)
{
	uint32_t spc = boot[NTFS_CLUSTER_SECTORS];
	uint64_t cluster_size;

	if (memcmp(boot + NTFS_OEM, "NTFS    ", 8))
		return false;
	*ret = (struct ntfs){
		.sector_size = get_le16(boot + NTFS_SECTOR_SIZE),
		.sectors = get_le64(boot + NTFS_SECTORS),
		.mft = get_le64(boot + NTFS_MFT),
		.mirror = get_le64(boot + NTFS_MFT_MIRROR),
	};
	if (spc > 0x80)
		spc = spc < 0xe1 ? 0 : 1u << (256 - spc);
	cluster_size = (uint64_t)spc * ret->sector_size;
	if (!pl_is_power_of_two(ret->sector_size) || ret->sector_size < 256 ||
	    ret->sector_size > 4096 || !pl_is_power_of_two(cluster_size) ||
	    cluster_size > MAX_CLUSTER || !ret->sectors)
		return false;
	ret->cluster_size = (uint32_t)cluster_size;
	ret->record_size = ntfs_size_field(boot[NTFS_RECORD_SIZE], ret->cluster_size);
	return pl_is_power_of_two(ret->record_size) && ret->record_size >= 256 &&
	       ret->record_size <= MAX_RECORD;
}

/* Each 512 bytes of a record end in a check value; the bytes that belong there stand in an array. */
static bool
apply_fixups(uint8_t *record, uint32_t size)
{
	uint32_t at = get_le16(record + 4), count = get_le16(record + 6);

	if (!count || (count - 1) * 512 > size || at + count * 2 > size || at < 40)
		return false;
	for (uint32_t i = 1; i < count; i++) {
		uint8_t *end = record + i * 512 - 2;

		if (memcmp(end, record + at, 2))
			return false;
		memcpy(end, record + at + 2 * i, 2);
	}
	return true;
}

static bool
read_volume_record(struct pl_disk *disk, struct pl_content *c, const struct ntfs *n, uint64_t lcn,
		   uint8_t *record)
{
	uint64_t at;

	if (__builtin_mul_overflow(lcn, n->cluster_size, &at) ||
	    __builtin_add_overflow(at, RECORD_VOLUME * n->record_size, &at) ||
	    !pl_in_range(at, n->record_size, disk->size) ||
	    !pl_super_read(disk, c, record, n->record_size, at, "MFT record 3"))
		return false;
	return !memcmp(record, "FILE", 4) && apply_fixups(record, n->record_size);
}

static void
tell_information(struct pl_content *c, const uint8_t *value)
{
	uint16_t flags = get_le16(value + 10);

	pl_fact_text(&c->facts, "version", "version", "%u.%u", value[8], value[9]);
	pl_fact_flag(&c->facts, "clean", "unmounted cleanly", !(flags & VOLUME_DIRTY));
	if (flags & VOLUME_CHKDSK)
		pl_warn(&c->facts, "chkdsk was interrupted on it");
	if (flags & VOLUME_UPGRADE)
		pl_warn(&c->facts, "marked to be upgraded when it is mounted");
}

static void
tell_volume(struct pl_content *c, const uint8_t *record, uint32_t size)
{
	uint32_t at = get_le16(record + 20);

	/* Every attribute is at least 24 bytes long, so this ends. */
	while (pl_in_range(at, 24, size)) {
		const uint8_t *attr = record + at;
		uint32_t type = get_le32(attr), length = get_le32(attr + 4);
		uint32_t value_length = get_le32(attr + 16), value = get_le16(attr + 20);

		if (type == UINT32_MAX || length < 24 || !pl_in_range(at, length, size))
			return;
		if (!attr[8] && pl_in_range(value, value_length, length)) {
			if (type == ATTR_VOLUME_NAME)
				pl_super_label_utf16le(c, attr + value, value_length / 2);
			else if (type == ATTR_VOLUME_INFORMATION && value_length >= 12)
				tell_information(c, attr + value);
		}
		at += length;
	}
}

static int
ntfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *boot = c->head;
	PL_AUTOFREE uint8_t *record = NULL;
	struct ntfs n;

	if (!ntfs_decode(boot, &n))
		return -ENOENT;
	c->evidence = 64 + 8 + 8;
	pl_super_size(disk, c, 0, n.sectors, n.sector_size);
	c->content.block_size = n.cluster_size;
	pl_super_uuid_text(c, "%016" PRIX64, get_le64(boot + NTFS_SERIAL));
	record = malloc(n.record_size);
	if (!record)
		return pl_no_memory(err);
	if (read_volume_record(disk, c, &n, n.mft, record) ||
	    read_volume_record(disk, c, &n, n.mirror, record)) {
		c->evidence += 32;
		tell_volume(c, record, n.record_size);
	} else {
		pl_warn(&c->facts, "MFT record 3 ($Volume) is damaged, and so is its copy");
	}
	pl_fact_size(&c->facts, "sector_size", "sector size", n.sector_size);
	pl_fact_size(&c->facts, "record_size", "MFT record size", n.record_size);
	return 0;
}

const struct pl_content_driver pl_content_ntfs = {
	.info = { .name = "ntfs", .longname = "Microsoft NTFS" },
	.usage = "filesystem",
	.identify = ntfs_identify,
};
