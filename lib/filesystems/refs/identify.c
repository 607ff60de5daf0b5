/* SPDX-License-Identifier: GPL-3.0-or-later */
/* refs/identify.c - the boot sector of Microsoft's ReFS, little-endian */
#include "superblock.h"

enum {
	REFS_NAME = 3,
	REFS_FSRS = 16,
	REFS_LENGTH = 20,
	REFS_CHECKSUM = 22,
	REFS_SECTORS = 24,
	REFS_SECTOR_SIZE = 32,
	REFS_CLUSTER_SECTORS = 36,
	REFS_MAJOR = 40,
	REFS_MINOR = 41,
	REFS_SERIAL = 56
};

/* A 16-bit sum, rotated right at each byte, from behind the jump field, without itself. */
static bool
checksum_matches(const uint8_t *boot, uint16_t length)
{
	uint16_t sum = 0;

	for (uint32_t i = 3; i < length; i++)
		if (i != REFS_CHECKSUM && i != REFS_CHECKSUM + 1)
			sum = (uint16_t)((sum << 15 | sum >> 1) + boot[i]);
	return sum == get_le16(boot + REFS_CHECKSUM);
}

static int
refs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *boot = c->head;
	uint32_t sector_size = get_le32(boot + REFS_SECTOR_SIZE);
	uint32_t cluster_sectors = get_le32(boot + REFS_CLUSTER_SECTORS);

	if (memcmp(boot + REFS_NAME, "ReFS\0\0\0\0", 8))
		return -ENOENT;
	c->evidence = 64;
	if (memcmp(boot + REFS_FSRS, "FSRS", 4) || !pl_is_power_of_two(sector_size) ||
	    sector_size < 512 || sector_size > 4096 || !pl_is_power_of_two(cluster_sectors) ||
	    cluster_sectors > KIB(64) / 512) {
		pl_warn(&c->facts, "the rest of its boot sector is damaged");
		return 0;
	}
	c->evidence += 32 + 32;
	if (!checksum_matches(boot, get_le16(boot + REFS_LENGTH)))
		pl_warn(&c->facts, "boot sector checksum does not match");
	pl_super_size(disk, c, 0, get_le64(boot + REFS_SECTORS), sector_size);
	c->content.block_size = sector_size * cluster_sectors;
	if (get_le64(boot + REFS_SERIAL))
		pl_super_uuid_text(c, "%016" PRIX64, get_le64(boot + REFS_SERIAL));
	pl_fact_text(&c->facts, "version", "version", "%u.%u", boot[REFS_MAJOR], boot[REFS_MINOR]);
	return 0;
}

const struct pl_content_driver pl_content_refs = {
	.info = { .name = "ReFS", .longname = "Microsoft ReFS" },
	.usage = "filesystem",
	.identify = refs_identify,
};
