/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-mbr.c - MBR partition tables and their chains, hybrid ones, and those of sfdisk and sgdisk */
#include "tables.h"

TEST(mbr_numbers_logical_partitions_from_5)
{
	uint8_t *disk = make_mbr();

	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "mbr");
	EXPECT_STR(found.tables[0].uuid, "8f8378c0");
	EXPECT_STR(parts(&found.tables[0]),
		   "1:64+100 c, 3:1000+2000 f, 5:1008+92 83, 6:1108+92 82");
	EXPECT_STR(found.tables[0].partitions[0].flags, "bootable");
	EXPECT_EQ(found.tables[0].partitions[1].role, PLATTER_PARTITION_EXTENDED);
	EXPECT_EQ(found.tables[0].partitions[2].role, PLATTER_PARTITION_LOGICAL);
	EXPECT_STR(warnings(&found.tables[0]), "");
	EXPECT_STR(gaps(&found.tables[0]), "1+63, 164+836, 1001+7, 1101+7, 1200+2896");
	free(disk);
}

TEST(mbr_takes_data_and_links_in_any_place)
{
	uint8_t *disk = make_mbr(), *ebr = disk + 1000 * SECTOR;

	memset(ebr + 446, 0, 64);
	put_entry(ebr, 0, 0, 0x85, 100, 100);
	put_entry(ebr, 1, 0, 0x83, 8, 20);
	put_entry(ebr, 3, 0, 0x83, 40, 20);
	/* Rubbish in the last two places is not taken for a partition. */
	put_entry(disk + 1100 * SECTOR, 2, 0, 0x83, 0x20202020, 0x20202020);
	look(disk, MBR_SIZE);
	EXPECT_STR(parts(&found.tables[0]),
		   "1:64+100 c, 3:1000+2000 f, 5:1008+20 83, 6:1040+20 83, 7:1108+92 82");
	EXPECT_STR(warnings(&found.tables[0]), "");
	free(disk);
}

TEST(mbr_walks_several_extended_partitions)
{
	uint8_t *disk = make_mbr();

	put_entry(disk, 3, 0, 0x05, 3000, 500);
	put_entry(disk + 3000 * SECTOR, 0, 0, 0x83, 1, 9);
	look(disk, MBR_SIZE);
	EXPECT_STR(parts(&found.tables[0]),
		   "1:64+100 c, 3:1000+2000 f, 4:3000+500 5, 5:1008+92 83, "
		   "6:1108+92 82, 7:3001+9 83");
	free(disk);
}

TEST(mbr_chains_that_go_wrong_end_with_a_warning)
{
	static const struct {
		const char *label;
		uint32_t at, link;
		const char *parts, *warning;
	} rows[] = {
		{ "to itself", 1100, 100, "5:1008+92 83, 6:1108+92 82",
		  "the chain of logical partitions returns to LBA 1100" },
		{ "out", 1100, 2000, "5:1008+92 83, 6:1108+92 82",
		  "the chain of logical partitions leads to LBA 3000, out of the extended "
		  "partition (LBA "
		  "1000 to 2999)" },
		{ "to nothing", 1100, 300, "5:1008+92 83, 6:1108+92 82",
		  "there is no table of logical partitions at byte 665600" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t *disk = make_mbr();
		char wanted[256];

		put_entry(disk + rows[i].at * SECTOR, 1, 0, 0x05, rows[i].link, 100);
		look(disk, MBR_SIZE);
		snprintf(wanted, sizeof wanted, "1:64+100 c, 3:1000+2000 f, %s", rows[i].parts);
		EXPECT_STR(parts(&found.tables[0]), wanted);
		EXPECT_STR(warnings(&found.tables[0]), rows[i].warning);
		free(disk);
	}
}

TEST(mbr_follows_a_chain_back_once)
{
	uint8_t *disk = make_mbr();

	put_entry(disk + 1000 * SECTOR, 1, 0, 0x05, 400, 100);
	put_entry(disk + 1400 * SECTOR, 0, 0, 0x83, 8, 92);
	put_entry(disk + 1400 * SECTOR, 1, 0, 0x05, 100, 100);
	look(disk, MBR_SIZE);
	EXPECT_STR(parts(&found.tables[0]),
		   "1:64+100 c, 3:1000+2000 f, 5:1008+92 83, 6:1408+92 83, 7:1108+92 82");
	EXPECT_STR(warnings(&found.tables[0]),
		   "the chain of logical partitions leads back from LBA 1400 to 1100");
	free(disk);
}

TEST(mbr_of_an_image_that_was_cut_short_is_read)
{
	uint8_t *disk = make_mbr();

	look(disk, SECTOR);
	EXPECT_STR(parts(&found.tables[0]), "1:64+100 c, 3:1000+2000 f");
	EXPECT_STR(warnings(&found.tables[0]),
		   "the image ends at byte 512, before the table of logical partitions at byte "
		   "512000\n"
		   "partition 1 ends at byte 83968, past the end of the disk (512 bytes)\n"
		   "partition 3 ends at byte 1536000, past the end of the disk (512 bytes)");
	free(disk);
}

TEST(mbr_partitions_that_overlap_are_told)
{
	uint8_t *disk = make_mbr();

	put_entry(disk, 1, 0, 0x07, 100, 901);
	look(disk, MBR_SIZE);
	EXPECT_STR(warnings(&found.tables[0]),
		   "partitions 1 and 2 overlap\npartitions 2 and 3 overlap");
	free(disk);
}

/* The fields that make sector 0 look like the boot sector of a FAT. */
static void
put_fat(uint8_t *s)
{
	memcpy(s, "\xeb\x58\x90MSDOS5.0", 11);
	put_le16(s + 11, 512);
	s[13] = 8;
	put_le16(s + 14, 32);
	s[16] = 2;
	s[21] = 0xf8;
	put_le32(s + 32, 4096);
	s[510] = 0x55;
	s[511] = 0xaa;
}

TEST(mbr_is_told_from_boot_sectors)
{
	uint8_t *disk = calloc(1, MBR_SIZE);

	put_fat(disk);
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	/* Code in place of the entries. */
	memset(disk + 446, 'x', 64);
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	memset(disk + 446, 0, 64);
	put_entry(disk, 0, 0x80, 0x0c, 0, 4096);
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	memcpy(disk + 3, "NTFS    ", 8);
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	/* A stick that boots everywhere: fields of a FAT and a table whose entry is one. */
	put_fat(disk);
	put_entry(disk, 0, 0x80, 0x0c, 63, 4000);
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "mbr");
	EXPECT_STR(parts(&found.tables[0]), "1:63+4000 c");
	free(disk);
}

TEST(mbr_is_refused_with_impossible_flags_or_the_mark_of_aix)
{
	uint8_t *disk = make_mbr();

	disk[446] = 0x7f;
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	disk[446] = 0x80;
	put_be32(disk, 0xc9c2d4c1);
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	free(disk);
}

TEST(mbr_without_partitions_is_a_table_if_it_has_a_signature)
{
	uint8_t *disk = calloc(1, MBR_SIZE);

	disk[510] = 0x55;
	disk[511] = 0xaa;
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	put_le32(disk + 440, 0x12345678);
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "mbr");
	EXPECT_EQ(found.tables[0].nr_partitions, 0);
	/* LVM on the whole disk. */
	memcpy(disk + SECTOR, "LABELONE", 8);
	memcpy(disk + SECTOR + 24, "LVM2 001", 8);
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	free(disk);
}

TEST(mbr_that_is_hybrid_comes_after_the_gpt)
{
	struct gpt_image g = make_gpt(4096);

	put_entry(g.bytes, 0, 0, 0xee, 1, 39);
	put_entry(g.bytes, 1, 0x80, 0x83, 40, 10);
	put_entry(g.bytes, 2, 0, 0x07, 60, 30);
	look(g.bytes, g.size);
	EXPECT_STR(names(), "gpt mbr");
	EXPECT_EQ(found.tables[1].sector_size, 4096);
	EXPECT_STR(parts(&found.tables[1]), "1:1+39 ee, 2:40+10 83, 3:60+30 7");
	EXPECT_EQ(found.tables[1].partitions[0].role, PLATTER_PARTITION_META);
	EXPECT_STR(found.tables[1].facts.facts[0].key, "hybrid");
	EXPECT_STR(warnings(&found.tables[1]),
		   "hybrid MBR: 2 partitions beside the GPT, which other systems use instead\n"
		   "partition 3 of the MBR is none of the GPT's");
	free(g.bytes);
}

TEST(mbr_that_protects_nothing_is_told)
{
	uint8_t *disk = calloc(1, MBR_SIZE);

	put_entry(disk, 0, 0, 0xee, 1, 4095);
	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "mbr");
	EXPECT_STR(warnings(&found.tables[0]), "protective MBR but no readable GPT");
	EXPECT_EQ(found.tables[0].partitions[0].role, PLATTER_PARTITION_META);
	free(disk);
}

TEST(mbr_made_by_sfdisk_reads_as_sfdisk_reads_it)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	need("sfdisk");
	need("jq");
	free(run(NULL, "truncate -s 16M d && sfdisk -q d <<-E\n"
		       "label: dos\nstart=2048, size=2048, type=c, bootable\nsize=4096, type=82\n"
		       "type=f\nsize=2048\nsize=1024, type=7\nsize=4096, type=8e\nE\n"));
	disk = load("d");
	look_at(disk, 0);
	EXPECT_STR(names(), "mbr");
	EXPECT_EQ(found.tables[0].nr_partitions, 6);
	expect_as_sfdisk(&found.tables[0], "d");
	EXPECT_STR(warnings(&found.tables[0]), "");
}

TEST(hybrid_mbr_made_by_sgdisk_is_both_tables)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	need("sgdisk");
	free(run(NULL,
		 "truncate -s 16M d && sgdisk -n1:2048:+2M -n2:0:+2M -n3:0:+2M -t2:0700 -h 2:3 d"));
	disk = load("d");
	look_at(disk, 0);
	EXPECT_STR(names(), "gpt mbr");
	EXPECT_EQ(found.tables[0].nr_partitions, 3);
	EXPECT_STR(warnings(&found.tables[0]), "");
	EXPECT_EQ(found.tables[1].facts.nr_warnings, 1);
	EXPECT(strstr(parts(&found.tables[1]), ":6144+4096 7, "));
}
