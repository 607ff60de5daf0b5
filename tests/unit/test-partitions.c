/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-partitions.c - partition tables made in view, broken field by field, and other tools' */
#include "test.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checksums.h"
#include "scheme.h"
#include "text.h"

#define SECTOR 512

/* What was read from a disk; tests of one program run one after another. */
static struct {
	struct pl_arena arena;
	struct pl_facts facts;
	const struct platter_table *tables;
	size_t nr;
} found;

static void
look_at(struct pl_disk *disk, unsigned flags)
{
	struct platter_error err = PLATTER_ERROR_INIT;

	pl_arena_done(&found.arena);
	memset(&found, 0, sizeof found);
	found.facts.arena = &found.arena;
	EXPECT_OK(pl_tables_read(disk, flags, &found.arena, &found.tables, &found.nr, &found.facts,
				 &err));
}

static void
look_with(const uint8_t *bytes, size_t n, uint32_t sector_size, unsigned flags)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	EXPECT_OK(pl_memory_new(bytes, n, "test", &disk, &err));
	disk->sector_size = sector_size;
	look_at(disk, flags);
}

static void
look(const uint8_t *bytes, size_t n)
{
	look_with(bytes, n, SECTOR, 0);
}

/* The tables found, by name: "gpt mbr". */
static const char *
names(void)
{
	static char text[64];

	text[0] = '\0';
	for (size_t i = 0; i < found.nr; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "",
			 found.tables[i].name);
	return text;
}

/* All warnings of a table, or of the reading itself (NULL), one a line. */
static const char *
warnings(const struct platter_table *table)
{
	static char text[8192];
	const struct platter_facts *f = table ? &table->facts : &found.facts.list;

	text[0] = '\0';
	for (size_t i = 0; i < f->nr_warnings; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "\n" : "",
			 f->warnings[i]);
	return text;
}

/* The partitions of a table in sectors: "5:64+32 83, 6:128+32 83". */
static const char *
parts(const struct platter_table *table)
{
	static char text[4096];

	text[0] = '\0';
	for (size_t i = 0; i < table->nr_partitions; i++) {
		const struct platter_partition *p = &table->partitions[i];

		snprintf(text + strlen(text), sizeof text - strlen(text),
			 "%s%" PRIu32 ":%" PRIu64 "+%" PRIu64 " %s", i ? ", " : "", p->number,
			 p->offset / table->sector_size, p->length / table->sector_size, p->type);
	}
	return text;
}

static const char *
gaps(const struct platter_table *table)
{
	static char text[1024];

	text[0] = '\0';
	for (size_t i = 0; i < table->nr_gaps; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%" PRIu64 "+%" PRIu64,
			 i ? ", " : "", table->gaps[i].offset / table->sector_size,
			 table->gaps[i].length / table->sector_size);
	return text;
}

/* GPT */

#define GPT_SECTORS 256
#define GPT_ENTRIES 16
#define LINUX_TYPE  "0FC63DAF-8483-4772-8E79-3D69D8477DE4"

static const uint8_t linux_guid[16] = { 0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
					0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4 };
static const uint8_t basic_guid[16] = { 0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44,
					0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7 };

static void
put_entry(uint8_t *sector, int i, uint8_t flag, uint8_t type, uint32_t start, uint32_t count)
{
	uint8_t *e = sector + 446 + 16 * i;

	e[0] = flag;
	e[4] = type;
	put_le32(e + 8, start);
	put_le32(e + 12, count);
	sector[510] = 0x55;
	sector[511] = 0xaa;
}

static void
sign_gpt_header(uint8_t *header)
{
	put_le32(header + 16, 0);
	put_le32(header + 16, pl_crc32(0, header, get_le32(header + 12)));
}

static void
sign_gpt(uint8_t *header, const uint8_t *array)
{
	put_le32(header + 88, pl_crc32(0, array, GPT_ENTRIES * 128));
	sign_gpt_header(header);
}

static void
put_gpt_entry(uint8_t *array, int i, const uint8_t *type, uint64_t first, uint64_t last,
	      const char *name)
{
	uint8_t *e = array + 128 * i;

	memcpy(e, type, 16);
	memset(e + 16, 0xa0 + i, 16);
	put_le64(e + 32, first);
	put_le64(e + 40, last);
	for (size_t c = 0; name[c]; c++)
		put_le16(e + 56 + 2 * c, (uint16_t)(uint8_t)name[c]);
}

/* Places in the image that make_gpt() makes. */
struct gpt_image {
	uint8_t *bytes;
	size_t size;
	uint8_t *primary, *array, *backup, *backup_array;
};

/* A GPT for sectors of `ss` bytes with two partitions: LBA 40 to 49 and 60 to 99. */
static struct gpt_image
make_gpt(size_t ss)
{
	struct gpt_image g = { .size = GPT_SECTORS * ss };
	size_t blocks = (GPT_ENTRIES * 128 + ss - 1) / ss;

	g.bytes = calloc(GPT_SECTORS, ss);
	g.primary = g.bytes + ss;
	g.array = g.bytes + 2 * ss;
	g.backup = g.bytes + (GPT_SECTORS - 1) * ss;
	g.backup_array = g.backup - blocks * ss;
	put_entry(g.bytes, 0, 0, 0xee, 1, GPT_SECTORS - 1);
	put_gpt_entry(g.array, 0, linux_guid, 40, 49, "root");
	put_gpt_entry(g.array, 2, basic_guid, 60, 99, "data");
	put_le64(g.array + 2 * 128 + 48, UINT64_C(0x8000000000000001));
	memcpy(g.backup_array, g.array, GPT_ENTRIES * 128);
	for (int backup = 0; backup < 2; backup++) {
		uint8_t *h = backup ? g.backup : g.primary;

		memcpy(h, "EFI PART", 8);
		put_le32(h + 8, 0x10000);
		put_le32(h + 12, 92);
		put_le64(h + 24, backup ? GPT_SECTORS - 1 : 1);
		put_le64(h + 32, backup ? 1 : GPT_SECTORS - 1);
		put_le64(h + 40, 34);
		put_le64(h + 48, GPT_SECTORS - 2 - blocks);
		memset(h + 56, 0x77, 16);
		put_le64(h + 72, backup ? GPT_SECTORS - 1 - blocks : 2);
		put_le32(h + 80, GPT_ENTRIES);
		put_le32(h + 84, 128);
		sign_gpt(h, g.array);
	}
	return g;
}

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

/* MBR */

#define MBR_SIZE (4096 * SECTOR)

static uint8_t *
make_mbr(void)
{
	uint8_t *disk = calloc(1, MBR_SIZE);

	put_le32(disk + 440, 0x8f8378c0);
	put_entry(disk, 0, 0x80, 0x0c, 64, 100);
	put_entry(disk, 2, 0, 0x0f, 1000, 2000);
	put_entry(disk + 1000 * SECTOR, 0, 0, 0x83, 8, 92);
	put_entry(disk + 1000 * SECTOR, 1, 0, 0x05, 100, 100);
	put_entry(disk + 1100 * SECTOR, 0, 0, 0x82, 8, 92);
	return disk;
}

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

/* APM */

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

/* BSD, Sun, SGI */

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

TEST(a_disk_without_a_table_has_none)
{
	uint8_t *disk = calloc(1, MBR_SIZE);

	look(disk, MBR_SIZE);
	EXPECT_STR(names(), "");
	look(disk, 0);
	EXPECT_STR(names(), "");
	look(disk, 1);
	EXPECT_STR(names(), "");
	EXPECT_STR(warnings(NULL), "");
	free(disk);
}

/* Fitting */

static struct pl_disk *
grown(const struct gpt_image *g, uint64_t size)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_disk *disk;

	EXPECT_OK(pl_memory_new(g->bytes, g->size, "test", &disk, &err));
	EXPECT_OK(pl_resize(disk, size, &err));
	return disk;
}

/* Both copies are good and the backup is at the end. */
static void
expect_fitted(struct pl_disk *disk)
{
	look_at(disk, 0);
	EXPECT_STR(names(), "gpt");
	EXPECT_STR(warnings(&found.tables[0]), "");
	EXPECT_STR(parts(&found.tables[0]),
		   "1:40+10 " LINUX_TYPE ", 3:60+40 EBD0A0A2-B9E5-4433-87C0-68B6B72699C7");
}

TEST(gpt_fit_moves_the_backup_to_the_end)
{
	/* Also by less than a table is long, so that the new backup overlaps the old one. */
	static const uint64_t more[] = { 1, 3, 4, 5, 6, 1000 };

	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		struct platter_error err = PLATTER_ERROR_INIT;
		struct gpt_image g = make_gpt(SECTOR);
		PL_AUTOUNREF struct pl_disk *disk = grown(&g, g.size + more[i] * SECTOR);
		uint8_t sector[SECTOR];
		bool changed;

		EXPECT_OK(pl_gpt_fit(disk, g.size, &changed, &err));
		EXPECT(changed);
		expect_fitted(disk);
		EXPECT_OK(pl_read(disk, sector, sizeof sector, 0, &err));
		EXPECT_EQ(get_le32(sector + 446 + 12), GPT_SECTORS - 1 + more[i]);
		/* Nothing of the old backup's header is left to be found. */
		EXPECT_OK(pl_read(disk, sector, sizeof sector, (GPT_SECTORS - 1) * SECTOR, &err));
		EXPECT(memcmp(sector, "EFI PART", 8) != 0);
		EXPECT_OK(pl_gpt_fit(disk, disk->size, &changed, &err));
		EXPECT(!changed);
		free(g.bytes);
	}
}

TEST(gpt_fit_rebuilds_a_damaged_primary)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct gpt_image g = make_gpt(SECTOR);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	bool changed;

	memset(g.primary, 0, SECTOR + GPT_ENTRIES * 128);
	disk = grown(&g, 2 * g.size);
	EXPECT_OK(pl_gpt_fit(disk, g.size, &changed, &err));
	EXPECT(changed);
	expect_fitted(disk);
	free(g.bytes);
}

TEST(gpt_fit_keeps_a_hybrid_mbr)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct gpt_image g = make_gpt(SECTOR);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t sector[SECTOR];
	bool changed;

	put_entry(g.bytes, 0, 0, 0xee, 1, 39);
	put_entry(g.bytes, 1, 0x80, 0x83, 40, 10);
	disk = grown(&g, 2 * g.size);
	EXPECT_OK(pl_gpt_fit(disk, g.size, &changed, &err));
	EXPECT(changed);
	EXPECT_OK(pl_read(disk, sector, sizeof sector, 0, &err));
	EXPECT_MEM(sector, g.bytes, SECTOR);
	free(g.bytes);
}

/* What stands on the disk must be the same before and after a refusal. */
static void
expect_refused(struct pl_disk *disk, uint64_t source_size, int code, const char *message)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *before = malloc(disk->size), *after = malloc(disk->size);
	bool changed = false;

	EXPECT_OK(pl_read(disk, before, disk->size, 0, &err));
	EXPECT_EQ(pl_gpt_fit(disk, source_size, &changed, &err), code);
	EXPECT_STR(err.message, message);
	EXPECT(!changed);
	EXPECT_OK(pl_read(disk, after, disk->size, 0, &err));
	EXPECT_MEM(after, before, disk->size);
}

TEST(gpt_fit_refuses_what_it_cannot_mend_and_writes_nothing)
{
	struct gpt_image g = make_gpt(SECTOR);
	PL_AUTOUNREF struct pl_disk *disk = grown(&g, 2 * g.size);

	expect_refused(disk, g.size - SECTOR, -EUCLEAN,
		       "partition table of a disk of 256 sectors, the source has only 255");
	expect_refused(disk, disk->size + 1, -EINVAL, "source of 262145 bytes on a disk of 262144");
	disk->sector_size = 4096;
	expect_refused(
		disk, g.size, -ENOTSUP,
		"partition table for sectors of 512 bytes on a disk whose sectors have 4096");
	free(g.bytes);
}

TEST(gpt_fit_leaves_other_disks_alone)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct gpt_image mbr = { .bytes = make_mbr(), .size = MBR_SIZE };
	PL_AUTOUNREF struct pl_disk *disk = grown(&mbr, 2 * MBR_SIZE);
	PL_AUTOFREE uint8_t *after = malloc(MBR_SIZE);
	bool changed = true;

	EXPECT_OK(pl_gpt_fit(disk, MBR_SIZE, &changed, &err));
	EXPECT(!changed);
	EXPECT_OK(pl_read(disk, after, MBR_SIZE, 0, &err));
	EXPECT_MEM(after, mbr.bytes, MBR_SIZE);
	free(mbr.bytes);
}

/* Other tools' tables */

/* Run a command in the test's folder; its output, malloc()ed; *ret_status may be NULL. */
__attribute__((format(printf, 2, 3))) static char *
run(int *ret_status, const char *format, ...)
{
	struct pl_str s = { 0 };
	char command[4096], chunk[4096];
	size_t n, at;
	va_list args;
	FILE *pipe;
	int status;

	at = (size_t)snprintf(command, sizeof command, "cd '%s' && PATH=$PATH:/sbin:/usr/sbin; ",
			      pl_test_folder());
	va_start(args, format);
	vsnprintf(command + at, sizeof command - at, format, args);
	va_end(args);
	pipe = popen(command, "r");
	EXPECT(pipe);
	while ((n = fread(chunk, 1, sizeof chunk, pipe)) > 0)
		pl_str_add_bytes(&s, chunk, n);
	status = pclose(pipe);
	if (ret_status)
		*ret_status = status;
	else if (status != 0)
		pl_test_fail(__FILE__, __LINE__, "'%s' ended with %d", command, status);
	pl_str_add(&s, "");
	return s.text;
}

static void
need(const char *tool)
{
	int status;

	free(run(&status, "command -v %s", tool));
	if (status != 0)
		SKIP("%s is not installed", tool);
}

/* The file in the test's folder as a disk in memory. */
static struct pl_disk *
load(const char *name)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_disk *disk;
	struct stat st;
	uint8_t *bytes;
	char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/%s", pl_test_folder(), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT(fd >= 0 && fstat(fd, &st) == 0);
	bytes = malloc((size_t)st.st_size);
	EXPECT_EQ(read(fd, bytes, (size_t)st.st_size), st.st_size);
	close(fd);
	EXPECT_OK(pl_memory_new(bytes, (size_t)st.st_size, name, &disk, &err));
	free(bytes);
	return disk;
}

static void
save(struct pl_disk *disk, const char *name)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *bytes = malloc(disk->size);
	char path[256];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", pl_test_folder(), name);
	EXPECT_OK(pl_read(disk, bytes, disk->size, 0, &err));
	file = fopen(path, "wb");
	EXPECT(file);
	EXPECT_EQ(fwrite(bytes, 1, disk->size, file), disk->size);
	EXPECT_EQ(fclose(file), 0);
}

/* The table as sfdisk prints it, a partition a line. */
static void
expect_as_sfdisk(const struct platter_table *table, const char *image)
{
	PL_AUTOFREE char *theirs =
		run(NULL,
		    "sfdisk --json %s | jq -r '.partitiontable.partitions[] | "
		    "\"\\(.start) \\(.size) \\(.type) \\(.name // \"\") \\(.uuid // \"\")\"'",
		    image);
	struct pl_str ours = { 0 };

	for (size_t i = 0; i < table->nr_partitions; i++) {
		const struct platter_partition *p = &table->partitions[i];

		pl_str_addf(&ours, "%" PRIu64 " %" PRIu64 " %s %s %s\n",
			    p->offset / table->sector_size, p->length / table->sector_size, p->type,
			    p->name, p->uuid);
	}
	EXPECT_STR(ours.text, theirs);
	EXPECT(*theirs);
	pl_str_done(&ours);
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

TEST(gpt_fit_satisfies_sgdisk_and_sfdisk)
{
	static const char *const damage[] = {
		"true",
		"dd if=/dev/zero of=d bs=512 seek=1 count=33 conv=notrunc status=none",
	};

	need("sgdisk");
	need("sfdisk");
	for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
		struct platter_error err = PLATTER_ERROR_INIT;
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		char *text;
		uint64_t size;
		bool changed;

		free(run(NULL, "rm -f d && truncate -s 16M d && sgdisk -n1:0:+2M -n2:0:+4M d && %s",
			 damage[i]));
		disk = load("d");
		size = disk->size;
		EXPECT_OK(pl_resize(disk, MIB(40), &err));
		EXPECT_OK(pl_gpt_fit(disk, size, &changed, &err));
		EXPECT(changed);
		save(disk, "d");
		text = run(NULL, "sgdisk -v d 2>&1");
		EXPECT(strstr(text, "No problems found"));
		EXPECT(!strstr(text, "aution"));
		EXPECT(!strstr(text, "arning"));
		free(text);
		text = run(NULL, "sfdisk --verify d 2>&1");
		EXPECT(strstr(text, "No errors detected"));
		free(text);
	}
}
