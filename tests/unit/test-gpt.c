/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-gpt.c - GUID partition tables, broken field by field, and those of sfdisk */
#include "tables.h"

TEST(gpt_gives_names_types_guids_and_attributes)
{
	struct gpt_image g = make_gpt(SECTOR);
	const struct platter_partition *p;

	look(g.bytes, g.size);
	EXPECT_STR(names(), "gpt");
	EXPECT_STR(found.tables[0].uuid, "77777777-7777-7777-7777-777777777777");
	EXPECT_EQ(found.tables[0].nr_partitions, 2);
	p = found.tables[0].partitions;
	EXPECT_EQ(p[0].number, 1);
	EXPECT_EQ(p[0].offset, 40 * SECTOR);
	EXPECT_EQ(p[0].length, 10 * SECTOR);
	EXPECT_STR(p[0].type, LINUX_TYPE);
	EXPECT_STR(p[0].type_name, "Linux file system");
	EXPECT_STR(p[0].name, "root");
	EXPECT_STR(p[0].uuid, "A0A0A0A0-A0A0-A0A0-A0A0-A0A0A0A0A0A0");
	EXPECT_STR(p[0].flags, "");
	EXPECT_EQ(p[1].number, 3);
	EXPECT_STR(p[1].flags, "required, no drive letter");
	EXPECT_STR(warnings(&found.tables[0]), "");
	EXPECT_STR(gaps(&found.tables[0]), "6+34, 50+10, 100+151");
	free(g.bytes);
}

TEST(gpt_of_every_sector_size_is_found_without_being_told)
{
	static const size_t sizes[] = { 512, 1024, 2048, 4096 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct gpt_image g = make_gpt(sizes[i]);

		look(g.bytes, g.size);
		EXPECT_STR(names(), "gpt");
		EXPECT_EQ(found.tables[0].sector_size, sizes[i]);
		EXPECT_EQ(found.tables[0].partitions[0].offset, 40 * sizes[i]);
		EXPECT_STR(warnings(&found.tables[0]), "");
		/* From the backup alone, too. */
		memset(g.primary, 0, sizes[i]);
		look(g.bytes, g.size);
		EXPECT_STR(names(), "gpt");
		EXPECT_EQ(found.tables[0].sector_size, sizes[i]);
		free(g.bytes);
	}
}

/* Each row breaks one field of a header; `sign` makes the checksum fit again. */
static const struct {
	const char *why;
	unsigned field, bytes;
	uint64_t value;
	bool sign;
} broken_headers[] = {
	{ "header of 91 bytes, 92 to 512 are allowed", 12, 4, 91, false },
	{ "header of 513 bytes, 92 to 512 are allowed", 12, 4, 513, false },
	{ "first usable LBA 252 is after the last, 250", 40, 8, 252, true },
	{ "last usable LBA 256 passes the last LBA, 255", 48, 8, 256, true },
	{ "entries of 127 bytes, not 128 times a power of two", 84, 4, 127, true },
	{ "entries of 384 bytes, not 128 times a power of two", 84, 4, 384, true },
	{ "entries of 0 bytes, not 128 times a power of two", 84, 4, 0, true },
	{ "array of 1048704 bytes, limit is 1048576", 80, 4, 8193, true },
	{ "array of 549755813760 bytes, limit is 1048576", 80, 4, UINT32_MAX, true },
	{ "array at LBA 256, the disk has 256 sectors", 72, 8, 256, true },
	{ "array at LBA 18446744073709551615, the disk has 256 sectors", 72, 8, UINT64_MAX, true },
	{ "array at LBA 0, the disk has 256 sectors", 72, 8, 0, true },
};

static void
break_header(uint8_t *header, size_t row)
{
	if (broken_headers[row].bytes == 4)
		put_le32(header + broken_headers[row].field, (uint32_t)broken_headers[row].value);
	else
		put_le64(header + broken_headers[row].field, broken_headers[row].value);
	if (broken_headers[row].sign)
		sign_gpt_header(header);
}

TEST(gpt_uses_the_backup_and_says_what_is_wrong_with_the_primary)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken_headers); i++) {
		struct gpt_image g = make_gpt(SECTOR);
		char wanted[512];

		break_header(g.primary, i);
		look(g.bytes, g.size);
		snprintf(wanted, sizeof wanted,
			 "the primary GPT is damaged: %s; the backup at byte 130560 is used",
			 broken_headers[i].why);
		EXPECT_STR(names(), "gpt");
		EXPECT_STR(warnings(&found.tables[0]), wanted);
		EXPECT_STR(parts(&found.tables[0]),
			   "1:40+10 " LINUX_TYPE ", 3:60+40 EBD0A0A2-B9E5-4433-87C0-68B6B72699C7");
		free(g.bytes);
	}
}

TEST(gpt_says_what_is_wrong_with_the_backup)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken_headers); i++) {
		struct gpt_image g = make_gpt(SECTOR);
		char wanted[512];

		break_header(g.backup, i);
		look(g.bytes, g.size);
		snprintf(wanted, sizeof wanted, "the backup GPT at byte 130560 is damaged: %s",
			 broken_headers[i].why);
		EXPECT_STR(warnings(&found.tables[0]), wanted);
		free(g.bytes);
	}
}

TEST(gpt_checks_both_checksums_unless_told_not_to)
{
	struct gpt_image g = make_gpt(SECTOR);

	g.primary[56] ^= 1;
	g.backup_array[15 * 128] ^= 1;
	look(g.bytes, g.size);
	EXPECT_STR(names(), "mbr");
	EXPECT_STR(warnings(&found.tables[0]), "protective MBR but no readable GPT");
	EXPECT(strstr(warnings(NULL), "GUID partition table: primary copy: header checksum is "));
	EXPECT(strstr(warnings(NULL), "; backup copy: array checksum is "));
	look_with(g.bytes, g.size, SECTOR, PLATTER_OPEN_IGNORE_CHECKSUMS);
	EXPECT_STR(names(), "gpt");
	EXPECT(strstr(warnings(&found.tables[0]),
		      "the primary GPT is damaged and used all the same: header checksum is "));
	free(g.bytes);
}

TEST(gpt_whose_header_stands_elsewhere_than_it_says_is_damaged)
{
	struct gpt_image g = make_gpt(SECTOR);

	put_le64(g.primary + 24, 2);
	sign_gpt_header(g.primary);
	look(g.bytes, g.size);
	EXPECT_STR(warnings(&found.tables[0]),
		   "the primary GPT is damaged: header says that it is at "
		   "LBA 2, it is at 1; the backup at byte 130560 is used");
	free(g.bytes);
}

TEST(gpt_of_an_image_that_was_cut_short_is_read)
{
	struct gpt_image g = make_gpt(SECTOR);

	look(g.bytes, 80 * SECTOR);
	EXPECT_STR(names(), "gpt");
	EXPECT_STR(
		warnings(&found.tables[0]),
		"the backup GPT is missing: the image ends at byte 40960, but the table says that "
		"the disk has 131072 bytes\n"
		"partition 3 ends at byte 51200, past the end of the disk (40960 bytes)");
	/* Even when the array itself is cut, as long as what is missing was empty. */
	look(g.bytes, 3 * SECTOR);
	EXPECT_EQ(found.tables[0].nr_partitions, 2);
	free(g.bytes);
}

TEST(gpt_on_a_larger_disk_keeps_its_backup_in_the_middle)
{
	struct gpt_image g = make_gpt(SECTOR);

	g.bytes = realloc(g.bytes, g.size + 100 * SECTOR);
	memset(g.bytes + g.size, 0, 100 * SECTOR);
	look(g.bytes, g.size + 100 * SECTOR);
	EXPECT_STR(warnings(&found.tables[0]),
		   "the disk is larger than when the table was made: the "
		   "backup GPT is at LBA 255, the last is 355");
	EXPECT_STR(gaps(&found.tables[0]), "6+34, 50+10, 100+151, 256+100");
	/* The protective MBR tells where the backup is when the primary cannot. */
	memset(g.bytes + SECTOR, 0, SECTOR);
	look(g.bytes, g.size + 100 * SECTOR);
	EXPECT_STR(warnings(&found.tables[0]),
		   "the primary GPT is missing; the backup at byte 130560 is used");
	/* Without it, a search of the end does. */
	memset(g.bytes, 0, SECTOR);
	memset(g.bytes + 2 * SECTOR, 0, GPT_ENTRIES * 128);
	look(g.bytes, g.size + 100 * SECTOR);
	EXPECT_STR(names(), "gpt");
	free(g.bytes);
}

TEST(gpt_copies_that_differ_are_told)
{
	struct gpt_image g = make_gpt(SECTOR);

	memset(g.backup + 56, 0x78, 16);
	put_gpt_entry(g.backup_array, 5, linux_guid, 120, 129, "");
	put_le64(g.backup + 40, 35);
	sign_gpt(g.backup, g.backup_array);
	look(g.bytes, g.size);
	EXPECT_STR(warnings(&found.tables[0]),
		   "primary and backup GPT differ: disk GUID\n"
		   "primary and backup GPT differ: usable LBAs 34 to 250 and 35 to 250\n"
		   "primary and backup GPT differ: partitions");
	EXPECT_EQ(found.tables[0].nr_partitions, 2);
	free(g.bytes);
}

TEST(gpt_entries_that_make_no_sense_are_told)
{
	struct gpt_image g = make_gpt(SECTOR);

	put_gpt_entry(g.array, 3, linux_guid, 130, 120, "");
	put_gpt_entry(g.array, 4, linux_guid, 10, 12, "");
	put_gpt_entry(g.array, 5, linux_guid, 90, 110, "");
	put_gpt_entry(g.array, 6, linux_guid, 0, UINT64_MAX, "");
	memset(g.array + 5 * 128 + 16, 0xa0, 16);
	memset(g.backup, 0, SECTOR);
	sign_gpt(g.primary, g.array);
	look(g.bytes, g.size);
	EXPECT_STR(warnings(&found.tables[0]),
		   "entry 4 from LBA 130 to 120 is left out\n"
		   "partition 5 from LBA 10 to 12 leaves the usable LBAs 34 to 250\n"
		   "entry 7 from LBA 0 to 18446744073709551615 is left out\n"
		   "the backup GPT is missing: there is none at LBA 255\n"
		   "partitions 1 and 6 have the same GUID, A0A0A0A0-A0A0-A0A0-A0A0-A0A0A0A0A0A0\n"
		   "partitions 3 and 6 overlap");
	EXPECT_EQ(found.tables[0].nr_partitions, 4);
	free(g.bytes);
}

TEST(gpt_without_partitions_is_a_table)
{
	struct gpt_image g = make_gpt(SECTOR);

	memset(g.array, 0, GPT_ENTRIES * 128);
	memset(g.backup_array, 0, GPT_ENTRIES * 128);
	sign_gpt(g.primary, g.array);
	sign_gpt(g.backup, g.backup_array);
	look(g.bytes, g.size);
	EXPECT_STR(names(), "gpt");
	EXPECT_EQ(found.tables[0].nr_partitions, 0);
	EXPECT_STR(warnings(&found.tables[0]), "");
	free(g.bytes);
}

TEST(gpt_backup_left_from_an_earlier_use_is_no_table)
{
	struct gpt_image g = make_gpt(SECTOR);

	memset(g.bytes, 0, 34 * SECTOR);
	put_entry(g.bytes, 0, 0x80, 0x83, 34, 100);
	look(g.bytes, g.size);
	EXPECT_STR(names(), "mbr");
	EXPECT_STR(warnings(NULL),
		   "GUID partition table: a backup at byte 130560 is ignored: nothing at "
		   "the start of the disk belongs to it");
	/* A file system on the whole disk, its superblock at 1024. */
	memset(g.bytes, 0, SECTOR);
	put_le16(g.bytes + 1024 + 56, 0xef53);
	look(g.bytes, g.size);
	EXPECT_STR(names(), "");
	free(g.bytes);
}

TEST(gpt_without_a_protective_mbr_is_read_with_a_warning)
{
	struct gpt_image g = make_gpt(SECTOR);

	put_entry(g.bytes, 0, 0, 0x83, 40, 10);
	look(g.bytes, g.size);
	EXPECT_STR(names(), "gpt mbr");
	EXPECT_STR(warnings(&found.tables[0]),
		   "the MBR has no protective entry: some systems do not see the GPT");
	memset(g.bytes, 0, SECTOR);
	look(g.bytes, g.size);
	EXPECT_STR(names(), "gpt");
	EXPECT_STR(warnings(&found.tables[0]), "there is no protective MBR");
	free(g.bytes);
}

static const char gpt_script[] = "label: gpt\\nsize=2MiB, type=U, name=\"EFI system\"\\n"
				 "size=1MiB, type=L, name=\"\xc3\xa9t\xc3\xa9 \xf0\x9f\x92\xbe\", "
				 "attrs=\"RequiredPartition GUID:63\"\\ntype=S\\n";

TEST(gpt_made_by_sfdisk_reads_as_sfdisk_reads_it)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	need("sfdisk");
	need("jq");
	free(run(NULL, "truncate -s 16M d && printf '%s' | sfdisk -q d", gpt_script));
	disk = load("d");
	look_at(disk, 0);
	EXPECT_STR(names(), "gpt");
	EXPECT_EQ(found.tables[0].nr_partitions, 3);
	expect_as_sfdisk(&found.tables[0], "d");
	EXPECT_STR(found.tables[0].partitions[1].flags, "required, no automount");
	EXPECT_STR(warnings(&found.tables[0]), "");
}

TEST(gpt_for_4096_byte_sectors_reads_as_sfdisk_reads_it)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct platter_error err = PLATTER_ERROR_INIT;
	char *loop, *device;
	uint64_t size;
	bool changed;
	int status;

	need("sfdisk");
	need("jq");
	need("losetup");
	loop = run(&status, "truncate -s 16M d && losetup -b 4096 -f --show d 2>/dev/null");
	if (status != 0)
		SKIP("losetup cannot make a device with sectors of 4096 bytes");
	device = strtok(loop, "\n");
	free(run(&status, "printf '%s' | sfdisk -q %s 2>&1; sync", gpt_script, device));
	if (status == 0) {
		disk = load("d");
		look_at(disk, 0);
		EXPECT_STR(names(), "gpt");
		EXPECT_EQ(found.tables[0].sector_size, 4096);
		expect_as_sfdisk(&found.tables[0], device);
		EXPECT_STR(warnings(&found.tables[0]), "");
	}
	free(run(NULL, "losetup -d %s", device));
	EXPECT_EQ(status, 0);

	disk->sector_size = 4096;
	size = disk->size;
	EXPECT_OK(pl_resize(disk, MIB(24), &err));
	EXPECT_OK(pl_gpt_fit(disk, size, &changed, &err));
	EXPECT(changed);
	save(disk, "d");
	free(loop);
	loop = run(&status, "losetup -b 4096 -f --show d");
	EXPECT_EQ(status, 0);
	device = strtok(loop, "\n");
	free(run(&status, "sfdisk --verify %s 2>&1", device));
	free(run(NULL, "losetup -d %s", device));
	EXPECT_EQ(status, 0);
	free(loop);
}
