/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ntfs/boot.c - the boot sector, and the check values in every record and index block */
#include "ntfs.h"

enum {
	BOOT_OEM = 3,
	BOOT_SECTOR_SIZE = 11,
	BOOT_CLUSTER_SECTORS = 13,
	BOOT_SECTORS = 40,
	BOOT_MFT = 48,
	BOOT_MFT_MIRROR = 56,
	BOOT_RECORD_SIZE = 64,
	BOOT_SERIAL = 72,
};

enum {
	BLOCK_FIXUPS = 4, /* offset of the array */
	BLOCK_FIXUP_COUNT = 6,
	BLOCK_HEADER = 8,
};

/* The largest cluster that Windows makes. */
#define MAX_CLUSTER MIB(2)

/* A size in clusters, or, when negative, as a power of two in bytes. */
static uint32_t
size_field(uint8_t v, uint32_t cluster_size)
{
	if (v < 0x80)
		return v * cluster_size;
	return v <= 0xe1 ? 0 : 1u << (256 - v);
}

bool
pl_ntfs_boot_decode(const uint8_t *boot, struct ntfs_boot *ret)
{
	uint32_t spc = boot[BOOT_CLUSTER_SECTORS];
	uint64_t cluster_size;

	if (memcmp(boot + BOOT_OEM, "NTFS    ", 8))
		return false;
	*ret = (struct ntfs_boot){
		.sector_size = get_le16(boot + BOOT_SECTOR_SIZE),
		.sectors = get_le64(boot + BOOT_SECTORS),
		.mft = get_le64(boot + BOOT_MFT),
		.mirror = get_le64(boot + BOOT_MFT_MIRROR),
		.serial = get_le64(boot + BOOT_SERIAL),
	};
	if (spc > 0x80)
		spc = spc < 0xe1 ? 0 : 1u << (256 - spc);
	cluster_size = (uint64_t)spc * ret->sector_size;
	if (!pl_is_power_of_two(ret->sector_size) || ret->sector_size < 256 ||
	    ret->sector_size > 4096 || !pl_is_power_of_two(cluster_size) ||
	    cluster_size > MAX_CLUSTER || !ret->sectors)
		return false;
	ret->cluster_size = (uint32_t)cluster_size;
	ret->record_size = size_field(boot[BOOT_RECORD_SIZE], ret->cluster_size);
	return pl_is_power_of_two(ret->record_size) && ret->record_size >= 256 &&
	       ret->record_size <= NTFS_MAX_RECORD;
}

/*
 * The last two bytes of each 512 of a block hold one value, which was counted up before the
 * block was written; what belongs there stands behind that value in an array.
 */
bool
pl_ntfs_apply_fixups(uint8_t *block, uint32_t size, bool check)
{
	uint32_t at = get_le16(block + BLOCK_FIXUPS), count = get_le16(block + BLOCK_FIXUP_COUNT);

	if (!count || (count - 1) * NTFS_STRIDE > size || at + count * 2 > size ||
	    at < BLOCK_HEADER)
		return false;
	for (uint32_t i = 1; i < count; i++) {
		uint8_t *end = block + i * NTFS_STRIDE - 2;

		if (check && memcmp(end, block + at, 2))
			return false;
		memcpy(end, block + at + 2 * i, 2);
	}
	return true;
}
