/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-sun.c - Sun disk labels */
#include "tables.h"

static void
sign_sun(uint8_t *l)
{
	uint16_t sum = 0;

	for (size_t i = 0; i < 510; i += 2)
		sum ^= get_be16(l + i);
	put_be16(l + 510, sum);
}

static uint8_t *
make_sun(void)
{
	uint8_t *l = calloc(1, MBR_SIZE);

	put_be32(l + 128, 1);
	put_be16(l + 140, 8);
	put_be32(l + 188, 0x600ddeee);
	put_be16(l + 436, 2);
	put_be16(l + 438, 32);
	put_be16(l + 142, 2);
	put_be32(l + 444 + 4, 640);
	put_be16(l + 146, 0x83);
	put_be16(l + 148, 0x10);
	put_be32(l + 452, 10);
	put_be32(l + 452 + 4, 640);
	put_be16(l + 150, 5);
	put_be32(l + 460 + 4, 4096);
	put_be16(l + 508, 0xdabe);
	sign_sun(l);
	return l;
}

TEST(sun_counts_in_cylinders)
{
	uint8_t *disk = make_sun();

	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "sun");
	EXPECT_STR(parts(&found.tables[0]), "1:0+640 2, 2:640+640 83, 3:0+4096 5");
	EXPECT_STR(found.tables[0].partitions[1].flags, "read-only");
	EXPECT_EQ(found.tables[0].partitions[2].role, PLATTER_PARTITION_META);
	EXPECT_STR(gaps(&found.tables[0]), "1280+2816");
	/* A place past 2^64 bytes. */
	put_be16(disk + 436, 0xffff);
	put_be16(disk + 438, 0xffff);
	put_be32(disk + 452, UINT32_MAX);
	sign_sun(disk);
	look(disk, MBR_SIZE);
	EXPECT_STR(warnings(&found.tables[0]), "partition 2 at cylinder 4294967295 is left out");
	disk[0] ^= 1;
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	EXPECT_STR(warnings(NULL), "Sun disk label: checksum of the label is wrong");
	free(disk);
}
