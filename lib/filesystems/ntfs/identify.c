/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ntfs/identify.c - the boot sector of NTFS, and the label, version and state that MFT
 * record 3, $Volume, keeps
 */
#include "ntfs.h"
#include "superblock.h"

enum {
	VOLUME_DIRTY = 0x1,
	VOLUME_UPGRADE = 0x4,
	VOLUME_CHKDSK = 0x4000
};

static bool
read_volume_record(struct pl_disk *disk, struct pl_content *c, const struct ntfs_boot *n,
		   uint64_t lcn, uint8_t *record)
{
	uint64_t at;

	if (__builtin_mul_overflow(lcn, n->cluster_size, &at) ||
	    __builtin_add_overflow(at, NTFS_RECORD_VOLUME * (uint64_t)n->record_size, &at) ||
	    !pl_in_range(at, n->record_size, disk->size) ||
	    !pl_super_read(disk, c, record, n->record_size, at, "MFT record 3"))
		return false;
	return !memcmp(record, "FILE", 4) && pl_ntfs_apply_fixups(record, n->record_size, true);
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
			if (type == NTFS_VOLUME_NAME)
				pl_super_label_utf16le(c, attr + value, value_length / 2);
			else if (type == NTFS_VOLUME_INFORMATION && value_length >= 12)
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
	struct ntfs_boot n;

	if (!pl_ntfs_boot_decode(boot, &n))
		return -ENOENT;
	c->evidence = 64 + 8 + 8;
	pl_super_size(disk, c, 0, n.sectors, n.sector_size);
	c->content.block_size = n.cluster_size;
	pl_super_uuid_text(c, "%016" PRIX64, n.serial);
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
	.open = pl_ntfs_open,
};
