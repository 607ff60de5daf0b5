/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * exfat/boot.c - the two boot regions of exFAT ("exFAT file system specification",
 * Microsoft, 2019, section 3)
 */
#include "exfat.h"

int
pl_exfat_boot_decode(const uint8_t boot[static EXFAT_BOOT_SIZE], struct exfat_boot *ret,
		     struct platter_error *err)
{
	struct exfat_boot b = {
		.sectors = get_le64(boot + EXFAT_SECTORS),
		.partition_offset = get_le64(boot + EXFAT_PARTITION_OFFSET),
		.fat_offset = get_le32(boot + EXFAT_FAT_OFFSET),
		.fat_length = get_le32(boot + EXFAT_FAT_LENGTH),
		.heap_offset = get_le32(boot + EXFAT_HEAP_OFFSET),
		.clusters = get_le32(boot + EXFAT_CLUSTERS),
		.root_cluster = get_le32(boot + EXFAT_ROOT_CLUSTER),
		.sector_bits = boot[EXFAT_SECTOR_BITS],
		.flags = get_le16(boot + EXFAT_FLAGS),
		.fats = boot[EXFAT_FATS],
	};

	if (memcmp(boot + EXFAT_NAME, "EXFAT   ", 8))
		return pl_corrupt(err, EXFAT_NAME, "boot sector without exFAT's name");
	/* Where FAT has its fields: what knows only FAT must not take it for that. */
	if (!pl_is_zero(boot + EXFAT_ZERO, 53))
		return pl_corrupt(err, EXFAT_ZERO, "exFAT boot sector with fields of FAT");
	if (b.sector_bits < 9 || b.sector_bits > 12)
		return pl_corrupt(err, EXFAT_SECTOR_BITS, "exFAT sectors of 2^%u bytes",
				  b.sector_bits);
	if (boot[EXFAT_CLUSTER_BITS] > 25 - b.sector_bits)
		return pl_corrupt(err, EXFAT_CLUSTER_BITS, "exFAT clusters of 2^%u sectors",
				  boot[EXFAT_CLUSTER_BITS]);
	b.cluster_bits = b.sector_bits + boot[EXFAT_CLUSTER_BITS];
	*ret = b;
	return 0;
}

/* Section 3.4: a 32-bit sum of the first eleven sectors, without flags and percentage. */
bool
pl_exfat_boot_checksum_matches(const uint8_t *region, unsigned sector_bits)
{
	size_t n = (size_t)(BOOT_REGION_SECTORS - 1) << sector_bits;
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		if (i != EXFAT_FLAGS && i != EXFAT_FLAGS + 1 && i != EXFAT_PERCENT_IN_USE)
			sum = (sum << 31 | sum >> 1) + region[i];
	return get_le32(region + n) == sum;
}

const uint8_t *
pl_exfat_backup_boot(const uint8_t *head, size_t n, struct exfat_boot *ret)
{
	for (unsigned bits = 9; bits <= 12; bits++) {
		size_t size = (size_t)BOOT_REGION_SECTORS << bits;
		struct exfat_boot b;

		if (n < 2 * size)
			break;
		if (pl_exfat_boot_decode(head + size, &b, NULL) == 0 && b.sector_bits == bits &&
		    pl_exfat_boot_checksum_matches(head + size, bits)) {
			*ret = b;
			return head + size;
		}
	}
	return NULL;
}
