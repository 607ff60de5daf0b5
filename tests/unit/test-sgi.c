/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-sgi.c - SGI volume headers */
#include "tables.h"

TEST(sgi_checks_the_sum_of_its_header)
{
	uint8_t *disk = calloc(1, MBR_SIZE);
	uint32_t sum = 0;

	put_be32(disk, 0x0be5a941);
	put_be16(disk + 6, 1);
	put_be32(disk + 312, 2000);
	put_be32(disk + 316, 1000);
	put_be32(disk + 320, 10);
	put_be32(disk + 312 + 8 * 12, 1000);
	put_be32(disk + 312 + 10 * 12, 4096);
	put_be32(disk + 312 + 10 * 12 + 8, 6);
	for (size_t i = 0; i < 512; i += 4)
		sum -= get_be32(disk + i);
	put_be32(disk + 504, sum);
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "sgi");
	EXPECT_STR(parts(&found.tables[0]), "1:1000+2000 a, 9:0+1000 0, 11:0+4096 6");
	EXPECT_STR(gaps(&found.tables[0]), "3000+1096");
	disk[511] ^= 1;
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	EXPECT_STR(warnings(NULL), "SGI volume header: checksum of the volume header is wrong");
	free(disk);
}
