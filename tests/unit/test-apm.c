/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-apm.c - Apple partition maps, in both block sizes, and that of parted */
#include "tables.h"

static void
put_apm(uint8_t *disk, size_t spacing, uint32_t i, uint32_t nr, uint32_t start, uint32_t count,
	const char *type)
{
	uint8_t *e = disk + (i + 1) * spacing;

	memcpy(e, "PM", 2);
	put_be32(e + 4, nr);
	put_be32(e + 8, start);
	put_be32(e + 12, count);
	memset(e + 16, 0, 64);
	memcpy(e + 16, "name", 4);
	memcpy(e + 48, type, strlen(type));
}

static uint8_t *
make_apm(size_t block)
{
	uint8_t *disk = calloc(1, MBR_SIZE);

	memcpy(disk, "ER", 2);
	put_be16(disk + 2, (uint16_t)block);
	put_apm(disk, block, 0, 3, 1, 63, "Apple_partition_map");
	put_apm(disk, block, 1, 3, 64, 500, "Apple_HFS");
	put_apm(disk, block, 2, 3, 564, 460, "Apple_Free");
	return disk;
}

#define APM_PARTS "1:1+63 Apple_partition_map, 2:64+500 Apple_HFS, 3:564+460 Apple_Free"

TEST(apm_is_read_in_either_block_size)
{
	static const size_t blocks[] = { 512, 2048 };

	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		uint8_t *disk = make_apm(blocks[i]);

		look(disk, MBR_SIZE);
		EXPECT_STR(names(), "apm");
		EXPECT_STR(parts(&found.tables[0]), APM_PARTS);
		EXPECT_EQ(found.tables[0].sector_size, blocks[i]);
		EXPECT_EQ(found.tables[0].partitions[0].role, PLATTER_PARTITION_META);
		EXPECT_EQ(found.tables[0].partitions[2].role, PLATTER_PARTITION_FREE);
		EXPECT_STR(found.tables[0].partitions[1].name, "name");
		EXPECT_STR(warnings(&found.tables[0]), "");
		/* Without block 0. */
		memset(disk, 0, SECTOR);
		look(disk, MBR_SIZE);
		EXPECT_STR(parts(&found.tables[0]), APM_PARTS);
		free(disk);
	}
}

TEST(apm_does_not_believe_a_wrong_block_size)
{
	uint8_t *disk = make_apm(512);

	put_be16(disk + 2, 2048);
	look(disk, MBR_SIZE);
	EXPECT_STR(parts(&found.tables[0]), APM_PARTS);
	EXPECT_EQ(found.tables[0].sector_size, 512);
	EXPECT_STR(warnings(&found.tables[0]),
		   "block 0 says blocks of 2048 bytes, the map is written for 512");
	free(disk);
}

TEST(apm_of_2048_byte_spacing_may_count_in_512)
{
	uint8_t *disk = make_apm(2048);

	/* 4000 blocks of 2048 bytes would pass the end, of 512 bytes they fit. */
	put_apm(disk, 2048, 1, 3, 64, 4000, "Apple_HFS");
	put_apm(disk, 2048, 2, 3, 4064, 32, "Apple_Free");
	look(disk, MBR_SIZE);
	EXPECT_EQ(found.tables[0].sector_size, 512);
	EXPECT_STR(parts(&found.tables[0]),
		   "1:1+63 Apple_partition_map, 2:64+4000 Apple_HFS, 3:4064+32 Apple_Free");
	free(disk);
}

TEST(apm_with_damaged_entries_gives_the_others)
{
	uint8_t *disk = make_apm(512);

	memset(disk + 2 * 512, 0, 512);
	look(disk, MBR_SIZE);
	EXPECT_STR(parts(&found.tables[0]), "1:1+63 Apple_partition_map, 3:564+460 Apple_Free");
	EXPECT_STR(warnings(&found.tables[0]), "1 of 3 entries of the map are damaged");
	put_be32(disk + 512 + 4, 257);
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	free(disk);
}

TEST(mac_label_made_by_parted_is_read)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	need("parted");
	free(run(NULL,
		 "truncate -s 16M d && parted -s d mklabel mac unit s mkpart one hfs 2048s 4095s "
		 "mkpart two hfs 8192s 16383s 2>/dev/null"));
	disk = load("d");
	look_at(disk, 0);
	EXPECT_STR(names(), "apm");
	EXPECT(strstr(parts(&found.tables[0]), "1:1+63 Apple_partition_map"));
	EXPECT(strstr(parts(&found.tables[0]), ":2048+2048 Apple_HFS"));
	EXPECT(strstr(parts(&found.tables[0]), ":8192+8192 Apple_HFS"));
	EXPECT_STR(warnings(&found.tables[0]), "");
}
