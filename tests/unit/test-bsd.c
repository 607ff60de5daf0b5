/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-bsd.c - BSD disklabels of both byte orders */
#include "tables.h"

static uint8_t *
make_bsd(size_t at, bool big)
{
	uint8_t *disk = calloc(1, MBR_SIZE), *l = disk + at;
	uint16_t sum = 0;

	for (int i = 0; i < 2; i++)
		big ? put_be32(l + 132 * i, 0x82564557) : put_le32(l + 132 * i, 0x82564557);
	big ? put_be32(l + 40, 512) : put_le32(l + 40, 512);
	big ? put_be16(l + 138, 3) : put_le16(l + 138, 3);
	for (int i = 0; i < 3; i++) {
		uint8_t *e = l + 148 + 16 * i;
		uint32_t size = i == 2 ? 4096 : 1000, start = i == 2 ? 0 : 16 + 2000 * (uint32_t)i;

		big ? put_be32(e, size) : put_le32(e, size);
		big ? put_be32(e + 4, start) : put_le32(e + 4, start);
		e[12] = (uint8_t[]){ 7, 1, 0 }[i];
	}
	for (size_t i = 0; i < 148 + 48; i += 2)
		sum ^= get_le16(l + i);
	put_le16(l + 136, sum);
	return disk;
}

TEST(bsd_labels_of_both_byte_orders_are_read_in_their_places)
{
	static const size_t places[] = { 512, 64, 128 };

	for (size_t i = 0; i < 6; i++) {
		uint8_t *disk = make_bsd(places[i / 2], i % 2);

		look(disk, MBR_SIZE);
		EXPECT_STR(names(), "bsd");
		EXPECT_STR(parts(&found.tables[0]), "1:16+1000 7, 2:2016+1000 1, 3:0+4096 0");
		EXPECT_STR(found.tables[0].partitions[1].name, "b");
		EXPECT_EQ(found.tables[0].partitions[2].role, PLATTER_PARTITION_META);
		EXPECT_STR(warnings(&found.tables[0]), "");
		free(disk);
	}
}

TEST(bsd_label_with_a_wrong_checksum_is_told)
{
	uint8_t *disk = make_bsd(512, false);

	disk[512 + 20] ^= 1;
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	EXPECT_STR(warnings(NULL), "BSD disklabel: checksum of the label is wrong");
	look_with(disk, MBR_SIZE, SECTOR, PLATTER_OPEN_IGNORE_CHECKSUMS);
	EXPECT_STR(names(), "bsd");
	put_le16(disk + 512 + 138, 53);
	look(disk, MBR_SIZE);
	EXPECT_STR(warnings(NULL), "BSD disklabel: 53 entries, limit is 52");
	free(disk);
}
