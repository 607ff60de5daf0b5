/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fat/boot.c - the boot sector of FAT: its fields, checked against each other */
#include "fat.h"

/* Offset of a field in the error: the boot sector that is decoded stands at byte 0, or is a copy. */
static int
check_fields(const uint8_t *boot, const struct fat_boot *b, struct platter_error *err)
{
	if (!pl_is_power_of_two(b->sector_size) || b->sector_size < 512 || b->sector_size > 4096)
		return pl_corrupt(err, FAT_SECTOR_SIZE, "FAT sectors of %" PRIu32 " bytes",
				  b->sector_size);
	if (!pl_is_power_of_two(b->cluster_sectors))
		return pl_corrupt(err, FAT_CLUSTER_SECTORS, "FAT clusters of %" PRIu32 " sectors",
				  b->cluster_sectors);
	if (!b->reserved)
		return pl_corrupt(err, FAT_RESERVED, "FAT without reserved sectors");
	if (!b->fats || b->fats > PL_MAX_TABLES)
		return pl_corrupt(err, FAT_FATS, "%" PRIu32 " FATs, limit is %d", b->fats,
				  PL_MAX_TABLES);
	if (boot[FAT_MEDIA] != 0xf0 && boot[FAT_MEDIA] < 0xf8)
		return pl_corrupt(err, FAT_MEDIA, "FAT media byte %#x", boot[FAT_MEDIA]);
	if (!b->fat_sectors)
		return pl_corrupt(err, FAT_FAT_SIZE_32, "FAT of no sectors");
	return 0;
}

int
pl_fat_boot_decode(const uint8_t boot[static FAT_BOOT_SIZE], struct fat_boot *ret,
		   struct platter_error *err)
{
	struct fat_boot b = {
		.sector_size = get_le16(boot + FAT_SECTOR_SIZE),
		.cluster_sectors = boot[FAT_CLUSTER_SECTORS],
		.reserved = get_le16(boot + FAT_RESERVED),
		.fats = boot[FAT_FATS],
		.root_entries = get_le16(boot + FAT_ROOT_ENTRIES),
		.fat_sectors = get_le16(boot + FAT_FAT_SIZE_16),
		.sectors = get_le16(boot + FAT_SECTORS_16),
		.hidden = get_le32(boot + FAT_HIDDEN),
		.active = -1,
	};
	const uint8_t *ext = boot + FAT_EXT_16;
	uint64_t data_start;
	int r;

	if (!b.sectors)
		b.sectors = get_le32(boot + FAT_SECTORS_32);
	if (!b.fat_sectors) {
		unsigned flags = get_le16(boot + FAT_EXT_FLAGS);

		b.bits = 32;
		b.fat_sectors = get_le32(boot + FAT_FAT_SIZE_32);
		b.version = get_le16(boot + FAT_VERSION);
		b.root_cluster = get_le32(boot + FAT_ROOT_CLUSTER) & 0x0fffffff;
		b.fsinfo = get_le16(boot + FAT_FSINFO);
		b.backup_boot = get_le16(boot + FAT_BACKUP_BOOT);
		if (flags & 0x80 && (flags & 15) < b.fats)
			b.active = flags & 15;
		ext = boot + FAT_EXT_32;
	}
	if (ext[EXT_BOOT_SIGNATURE] == 0x28 || ext[EXT_BOOT_SIGNATURE] == 0x29)
		b.state = ext[EXT_STATE];
	r = check_fields(boot, &b, err);
	if (r < 0)
		return r;
	data_start = b.reserved + (uint64_t)b.fats * b.fat_sectors +
		     pl_div_round_up((uint64_t)b.root_entries * FAT_ENTRY_SIZE, b.sector_size);
	if (data_start >= b.sectors)
		return pl_corrupt(err, FAT_SECTORS_32,
				  "FAT of %" PRIu32 " sectors, its files begin at %" PRIu64,
				  b.sectors, data_start);
	b.data_start = (uint32_t)data_start;
	b.clusters = (b.sectors - b.data_start) / b.cluster_sectors;
	if (!b.bits)
		b.bits = b.clusters < 4085 ? 12 : 16;
	*ret = b;
	return 0;
}

const uint8_t *
pl_fat_backup_boot(const uint8_t *head, size_t n, struct fat_boot *ret)
{
	for (uint32_t sector = 512; sector <= 4096; sector *= 2) {
		const uint8_t *boot = head + (size_t)6 * sector;
		struct fat_boot b;

		if (n < (size_t)6 * sector + FAT_BOOT_SIZE)
			return NULL;
		if (pl_fat_boot_decode(boot, &b, NULL) == 0 && b.bits == 32 &&
		    b.sector_size == sector && b.backup_boot == 6 && b.root_entries == 0 &&
		    get_le16(boot + FAT_SIGNATURE) == 0xaa55 &&
		    !memcmp(boot + FAT_EXT_32 + EXT_TYPE, "FAT32", 5)) {
			*ret = b;
			return boot;
		}
	}
	return NULL;
}
