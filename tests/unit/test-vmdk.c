/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * test-vmdk.c - VMDK images made byte by byte, each broken in one place
 *
 * The hosted image has grains of 4 KiB (8 sectors), 5 of them, the last a short one:
 *
 *	sector  0	header
 *		1-2	descriptor
 *		3	redundant grain directory
 *		4-7	redundant grain table
 *		8	grain directory
 *		9-12	grain table
 *		16	grain 1 of the disk
 *		24	grain 4, which holds 2 sectors
 */
#include <stdlib.h>

#include "codec.h"
#include "test.h"
#include "text.h"
#include "vmdk/vmdk.h"

#define SECTORS     34u
#define DISK        (SECTORS * 512)
#define GRAIN       4096u
#define FILE_SIZE   (32 * 512u)
#define DESCRIPTION (1 * 512u)
#define COPY_GD     (3 * 512u)
#define COPY_GT     (4 * 512u)
#define GD          (8 * 512u)
#define GT          (9 * 512u)

static struct platter_error err = PLATTER_ERROR_INIT;

static const char description[] = "# Disk DescriptorFile\nversion=1\nCID=0badcafe\n"
				  "parentCID=ffffffff\ncreateType=\"monolithicSparse\"\n"
				  "RW 34 SPARSE \"disk.vmdk\"\nddb.adapterType = \"lsilogic\"\n";

static void
put_header(uint8_t *h, uint32_t flags)
{
	put_le32(h, HOSTED_MAGIC);
	put_le32(h + HOSTED_VERSION, 1);
	put_le32(h + HOSTED_FLAGS, flags | HOSTED_FLAG_NEWLINES);
	put_le64(h + HOSTED_CAPACITY, SECTORS);
	put_le64(h + HOSTED_GRAIN, 8);
	put_le64(h + HOSTED_DESCRIPTOR, 1);
	put_le64(h + HOSTED_DESCRIPTOR_SECTORS, 2);
	put_le32(h + HOSTED_GT_ENTRIES, 512);
	put_le64(h + HOSTED_REDUNDANT, 3);
	put_le64(h + HOSTED_DIRECTORY, 8);
	put_le64(h + HOSTED_OVERHEAD, 16);
	memcpy(h + HOSTED_NEWLINES, HOSTED_NEWLINE_TEXT, 4);
}

static uint8_t *
make_hosted(void)
{
	uint8_t *f = calloc(1, FILE_SIZE);

	put_header(f, HOSTED_FLAG_REDUNDANT);
	memcpy(f + DESCRIPTION, description, sizeof description);
	put_le32(f + COPY_GD, 4);
	put_le32(f + GD, 9);
	for (size_t i = 0; i < 2; i++) {
		uint8_t *table = f + (i ? GT : COPY_GT);

		put_le32(table + 1 * 4, 16);
		put_le32(table + 4 * 4, 24);
	}
	memset(f + 16 * 512, 'a', GRAIN);
	memset(f + 24 * 512, 'b', GRAIN);
	return f;
}

/* Files in memory that an image may name. */
struct files {
	struct pl_related related;
	struct {
		const char *name;
		const void *bytes;
		size_t n;
	} list[4];
};

static int
open_bytes(const void *bytes, size_t n, struct files *files, const char *name, unsigned flags,
	   struct pl_disk **ret)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_open_request request = { .flags = flags,
					   .related = files ? &files->related : NULL };

	EXPECT_OK(pl_memory_new(bytes, n, name, &file, &err));
	request.file = file;
	return pl_format_by_name("vmdk")->open(&request, ret, &err);
}

static int
open_related(struct pl_related *related, const char *name, const char *format, bool writable,
	     struct pl_disk **ret, struct platter_error *e)
{
	struct files *files = pl_container_of(related, struct files, related);

	related->missing = false;
	for (size_t i = 0; i < ARRAY_SIZE(files->list) && files->list[i].name; i++) {
		if (strcmp(files->list[i].name, name) != 0)
			continue;
		if (!strcmp(format, "vmdk"))
			return open_bytes(files->list[i].bytes, files->list[i].n, files, name, 0,
					  ret);
		return pl_memory_new(files->list[i].bytes, files->list[i].n, name, ret, e);
	}
	related->missing = true;
	return pl_fail(e, -ENOENT, "no file '%s'", name);
}

static int
try_open(const void *bytes, size_t n, struct pl_disk **ret)
{
	err = (struct platter_error)PLATTER_ERROR_INIT;
	return open_bytes(bytes, n, NULL, "test.vmdk", 0, ret);
}

/* Reading the whole disk, with what opening gave. */
static int
read_all(const void *bytes, size_t n, uint8_t *disk_bytes, size_t size)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	int r = try_open(bytes, n, &disk);

	if (r < 0)
		return r;
	EXPECT_EQ(disk->size, size);
	return pl_read(disk, disk_bytes, size, 0, &err);
}

static void
expect_hosted(const uint8_t *disk)
{
	EXPECT(pl_is_zero(disk, GRAIN));
	for (size_t i = 0; i < GRAIN; i++)
		EXPECT_EQ(disk[GRAIN + i], 'a');
	EXPECT(pl_is_zero(disk + 2 * GRAIN, 2 * GRAIN));
	for (size_t i = 4 * GRAIN; i < DISK; i++)
		EXPECT_EQ(disk[i], 'b');
}

static bool
warns(struct pl_disk *disk, const char *words)
{
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };
	bool found = false;

	disk->ops->describe(disk, &facts);
	for (size_t i = 0; i < facts.list.nr_warnings; i++)
		found |= strstr(facts.list.warnings[i], words) != NULL;
	pl_arena_done(&arena);
	return found;
}

static char findings_text[2000];

static void
collect(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
	const char *message)
{
	size_t n = strlen(findings_text);

	snprintf(findings_text + n, sizeof findings_text - n, "%d at %" PRIu64 ": %s\n", severity,
		 offset, message);
}

/* All findings of an image, a line each: severity, offset, words. */
static const char *
check(const void *bytes, size_t n)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_findings findings = { .found = collect };

	findings_text[0] = '\0';
	EXPECT_OK(try_open(bytes, n, &disk));
	EXPECT_OK(pl_format_by_name("vmdk")->check(disk, &findings, &err));
	return findings_text;
}

TEST(hosted_grains_are_where_the_tables_say)
{
	PL_AUTOFREE uint8_t *f = make_hosted();
	uint8_t disk[DISK];

	EXPECT_OK(read_all(f, FILE_SIZE, disk, DISK));
	expect_hosted(disk);
	EXPECT_STR(check(f, FILE_SIZE), "");
}

TEST(the_last_grain_may_end_with_the_disk)
{
	PL_AUTOFREE uint8_t *f = make_hosted();
	uint8_t disk[DISK];

	EXPECT_OK(read_all(f, 26 * 512, disk, DISK));
	expect_hosted(disk);
	EXPECT_EQ(read_all(f, 26 * 512 - 1, disk, DISK), -EUCLEAN);
	EXPECT_EQ(err.offset, GT + 4 * 4);
}

/* Each row breaks one field of the header; the error names it by its offset. */
static const struct {
	const char *label;
	unsigned field, bytes;
	uint64_t value;
	int code;
	uint64_t offset;
} broken[] = {
	{ "magic", 0, 4, 0x564d444c, -EUCLEAN, 0 },
	{ "version 4", HOSTED_VERSION, 4, 4, -ENOTSUP, HOSTED_VERSION },
	{ "version 0", HOSTED_VERSION, 4, 0, -ENOTSUP, HOSTED_VERSION },
	{ "line ends were changed", HOSTED_NEWLINES, 2, 0x0a0d, -EUCLEAN, HOSTED_NEWLINES },
	{ "no grain", HOSTED_GRAIN, 8, 0, -EUCLEAN, HOSTED_GRAIN },
	{ "odd grain", HOSTED_GRAIN, 8, 9, -EUCLEAN, HOSTED_GRAIN },
	{ "huge grain", HOSTED_GRAIN, 8, 1ull << 40, -EUCLEAN, HOSTED_GRAIN },
	{ "no entries", HOSTED_GT_ENTRIES, 4, 0, -EUCLEAN, HOSTED_GT_ENTRIES },
	{ "huge tables", HOSTED_GT_ENTRIES, 4, 1u << 30, -EUCLEAN, HOSTED_GT_ENTRIES },
	{ "huge capacity", HOSTED_CAPACITY, 8, 1ull << 50, -EFBIG, HOSTED_CAPACITY },
	{ "wrapping capacity", HOSTED_CAPACITY, 8, UINT64_MAX, -EFBIG, HOSTED_CAPACITY },
	{ "capacity beyond its directory", HOSTED_CAPACITY, 8, 1ull << 30, -EUCLEAN,
	  HOSTED_DIRECTORY },
	{ "descriptor outside", HOSTED_DESCRIPTOR, 8, 40, -EUCLEAN, HOSTED_DESCRIPTOR },
	{ "descriptor too long", HOSTED_DESCRIPTOR_SECTORS, 8, UINT64_MAX, -EUCLEAN,
	  HOSTED_DESCRIPTOR },
	{ "compressed in a way", HOSTED_FLAGS, 4, HOSTED_FLAG_COMPRESSED, -ENOTSUP,
	  HOSTED_COMPRESSION },
	{ "directory in a footer", HOSTED_DIRECTORY, 8, UINT64_MAX, -EUCLEAN, HOSTED_DIRECTORY },
};

TEST(the_error_names_the_broken_field)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		PL_AUTOFREE uint8_t *f = make_hosted();
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		uint8_t value[8];

		put_le64(value, broken[i].value);
		memcpy(f + broken[i].field, value, broken[i].bytes);
		printf("# %s\n", broken[i].label);
		EXPECT_EQ(try_open(f, FILE_SIZE, &disk), broken[i].code);
		EXPECT_EQ(err.offset, broken[i].offset);
	}
}

TEST(the_copy_of_a_lost_directory_is_used)
{
	PL_AUTOFREE uint8_t *f = make_hosted();
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t bytes[DISK];

	put_le64(f + HOSTED_DIRECTORY, 1ull << 60);
	EXPECT_OK(try_open(f, FILE_SIZE, &disk));
	EXPECT_OK(pl_read(disk, bytes, DISK, 0, &err));
	expect_hosted(bytes);
	EXPECT(warns(disk, "its copy is used"));
	EXPECT(strstr(check(f, FILE_SIZE), "2 at 56: the grain directory is damaged"));
	/* Without the flag there is no copy. */
	put_le32(f + HOSTED_FLAGS, HOSTED_FLAG_NEWLINES);
	EXPECT_EQ(read_all(f, FILE_SIZE, bytes, DISK), -EUCLEAN);
	EXPECT_EQ(err.offset, HOSTED_DIRECTORY);
}

TEST(the_copy_of_a_damaged_directory_entry_is_used)
{
	static const uint32_t values[] = { 0, 30, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		PL_AUTOFREE uint8_t *f = make_hosted();
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		uint8_t bytes[DISK];

		put_le32(f + GD, values[i]);
		EXPECT_OK(try_open(f, FILE_SIZE, &disk));
		EXPECT_OK(pl_read(disk, bytes, DISK, 0, &err));
		expect_hosted(bytes);
		EXPECT(warns(disk, "are damaged (1)"));
		/* Damaged twice there is nothing to go by. */
		put_le32(f + GD, 31);
		put_le32(f + COPY_GD, 31);
		EXPECT_EQ(read_all(f, FILE_SIZE, bytes, DISK), -EUCLEAN);
		EXPECT_EQ(err.offset, GD);
	}
}

TEST(the_copy_of_a_damaged_table_entry_is_used)
{
	PL_AUTOFREE uint8_t *f = make_hosted();
	uint8_t disk[DISK];

	put_le32(f + GT + 1 * 4, 0x7fffffff);
	EXPECT_OK(read_all(f, FILE_SIZE, disk, DISK));
	expect_hosted(disk);
	put_le32(f + COPY_GT + 1 * 4, 0x7fffffff);
	EXPECT_EQ(read_all(f, FILE_SIZE, disk, DISK), -EUCLEAN);
	EXPECT_EQ(err.offset, GT + 1 * 4);
}

TEST(entry_1_is_zeros_if_the_flag_says_so)
{
	PL_AUTOFREE uint8_t *f = make_hosted();
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_extent e;

	put_header(f, HOSTED_FLAG_REDUNDANT | HOSTED_FLAG_ZEROED);
	put_le32(f + GT + 1 * 4, 1);
	EXPECT_OK(try_open(f, FILE_SIZE, &disk));
	EXPECT_OK(pl_map(disk, 0, DISK, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	EXPECT_EQ(e.length, GRAIN);
	EXPECT_OK(pl_map(disk, GRAIN + 7, DISK - GRAIN - 7, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_ZERO);
	EXPECT_EQ(e.length, GRAIN - 7);
}

TEST(check_finds_what_contradicts_itself)
{
	PL_AUTOFREE uint8_t *f = make_hosted();

	put_le32(f + GT + 4 * 4, 20);
	put_le32(f + COPY_GT + 4 * 4, 20);
	EXPECT_STR(check(f, FILE_SIZE),
		   "2 at 10240: a grain at byte 10240 lies on the grain at byte 8192\n");
	put_le32(f + GT + 4 * 4, 24);
	EXPECT_STR(check(f, FILE_SIZE), "2 at 4624: grain table 0 and its copy at byte 2048 differ"
					" in 1 entries from 4 on\n");
	put_le32(f + COPY_GT + 4 * 4, 24);
	put_le32(f + GT, 2);
	put_le32(f + COPY_GT, 2);
	EXPECT(strstr(check(f, FILE_SIZE), "lies on the metadata"));
	put_le32(f + GT, 1000);
	put_le32(f + COPY_GT, 1000);
	EXPECT(strstr(check(f, FILE_SIZE), "2 at 4608: grain table entry 0: a grain at byte 512000"
					   " passes the end of the file"));
}

/* streamOptimized: grains 0 and 2 of three, in 4 KiB. */
struct stream {
	uint8_t bytes[16384];
	size_t n;
	size_t grain_at[2], table_at, directory_at, footer_at;
};

static void
add_marker(struct stream *s, uint32_t type, uint64_t sectors)
{
	put_le64(s->bytes + s->n, sectors);
	put_le32(s->bytes + s->n + MARKER_TYPE, type);
	s->n += 512;
}

static void
add_grain(struct stream *s, size_t which, uint64_t sector, uint8_t c)
{
	uint8_t grain[GRAIN], *marker = s->bytes + s->n;
	size_t n;

	memset(grain, c, sizeof grain);
	n = pl_codec_zlib.encode(6, grain, sizeof grain, marker + MARKER_DATA, 4000);
	put_le64(marker, sector);
	put_le32(marker + MARKER_SIZE, (uint32_t)n);
	s->grain_at[which] = s->n;
	s->n += pl_round_up(MARKER_DATA + n, 512);
}

static struct stream *
make_stream(void)
{
	struct stream *s = calloc(1, sizeof *s);
	uint32_t flags = HOSTED_FLAG_COMPRESSED | HOSTED_FLAG_MARKERS;

	put_header(s->bytes, flags);
	put_le32(s->bytes + HOSTED_VERSION, 3);
	put_le64(s->bytes + HOSTED_CAPACITY, 24);
	put_le64(s->bytes + HOSTED_DIRECTORY, HOSTED_AT_END);
	put_le64(s->bytes + HOSTED_OVERHEAD, 4);
	put_le16(s->bytes + HOSTED_COMPRESSION, 1);
	memcpy(s->bytes + DESCRIPTION, description, sizeof description);
	s->n = 4 * 512;
	add_grain(s, 0, 0, 'x');
	add_grain(s, 1, 16, 'y');
	add_marker(s, MARKER_TABLE, 4);
	s->table_at = s->n;
	put_le32(s->bytes + s->n, (uint32_t)s->grain_at[0] / 512);
	put_le32(s->bytes + s->n + 8, (uint32_t)s->grain_at[1] / 512);
	s->n += 4 * 512;
	add_marker(s, MARKER_DIRECTORY, 1);
	s->directory_at = s->n;
	put_le32(s->bytes + s->n, (uint32_t)s->table_at / 512);
	s->n += 512;
	add_marker(s, MARKER_FOOTER, 1);
	s->footer_at = s->n;
	memcpy(s->bytes + s->n, s->bytes, 512);
	put_le64(s->bytes + s->n + HOSTED_DIRECTORY, s->directory_at / 512);
	s->n += 512;
	add_marker(s, MARKER_END, 0);
	return s;
}

static void
expect_stream(const uint8_t *disk)
{
	for (size_t i = 0; i < GRAIN; i++) {
		EXPECT_EQ(disk[i], 'x');
		EXPECT_EQ(disk[2 * GRAIN + i], 'y');
	}
	EXPECT(pl_is_zero(disk + GRAIN, GRAIN));
}

TEST(the_footer_tells_the_directory_of_a_stream)
{
	PL_AUTOFREE struct stream *s = make_stream();
	uint8_t disk[3 * GRAIN];

	EXPECT_OK(read_all(s->bytes, s->n, disk, sizeof disk));
	expect_stream(disk);
	EXPECT_STR(check(s->bytes, s->n), "");
}

TEST(the_footer_is_found_before_what_was_added_to_the_file)
{
	PL_AUTOFREE struct stream *s = make_stream();
	uint8_t disk[3 * GRAIN];

	EXPECT_OK(read_all(s->bytes, s->n + 1536, disk, sizeof disk));
	expect_stream(disk);
	EXPECT_STR(check(s->bytes, s->n + 1536), "");
}

TEST(a_stream_without_its_end_gives_the_grains_that_are_there)
{
	PL_AUTOFREE struct stream *s = make_stream();
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOUNREF struct pl_disk *shorter = NULL;
	uint8_t bytes[3 * GRAIN];
	struct pl_extent e;

	EXPECT_OK(try_open(s->bytes, s->table_at, &disk));
	EXPECT_OK(pl_read(disk, bytes, sizeof bytes, 0, &err));
	expect_stream(bytes);
	EXPECT(warns(disk, "2 grains were found by markers"));

	EXPECT_OK(try_open(s->bytes, s->grain_at[1] + 20, &shorter));
	EXPECT_OK(pl_map(shorter, 0, sizeof bytes, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_DATA);
	EXPECT_EQ(e.length, GRAIN);
	EXPECT_OK(pl_map(shorter, GRAIN, 2 * GRAIN, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_BAD);
	EXPECT_EQ(e.length, 2 * GRAIN);
	EXPECT(strstr(check(s->bytes, s->table_at), "2 at 56: the file is cut short"));
}

TEST(a_marker_must_be_that_of_its_grain)
{
	PL_AUTOFREE struct stream *s = make_stream();
	uint8_t disk[3 * GRAIN];

	put_le64(s->bytes + s->grain_at[1], 8);
	EXPECT_EQ(read_all(s->bytes, s->n, disk, sizeof disk), -EUCLEAN);
	EXPECT_EQ(err.offset, s->grain_at[1]);
	EXPECT(strstr(check(s->bytes, s->n), "marker of the grain at sector 8"));
	put_le64(s->bytes + s->grain_at[1], 16);
	put_le32(s->bytes + s->grain_at[1] + MARKER_SIZE, 0x7fffffff);
	EXPECT_EQ(read_all(s->bytes, s->n, disk, sizeof disk), -EUCLEAN);
	EXPECT_EQ(err.offset, s->grain_at[1] + MARKER_SIZE);
}

TEST(damage_in_a_compressed_grain_is_noticed)
{
	PL_AUTOFREE struct stream *s = make_stream();
	uint8_t disk[3 * GRAIN];
	uint32_t n = get_le32(s->bytes + s->grain_at[0] + MARKER_SIZE);

	/* The Adler-32 ends the stream. */
	s->bytes[s->grain_at[0] + MARKER_DATA + n - 1] ^= 1;
	EXPECT_EQ(read_all(s->bytes, s->n, disk, sizeof disk), -EUCLEAN);
	EXPECT_EQ(err.offset, s->grain_at[0] + MARKER_DATA);
}

TEST(cowd_extents_are_read)
{
	PL_AUTOFREE uint8_t *f = calloc(1, 64 * 512);
	uint8_t disk[4 * 512];

	put_le32(f, COWD_MAGIC);
	put_le32(f + COWD_VERSION, 1);
	put_le32(f + COWD_CAPACITY, 4);
	put_le32(f + COWD_GRAIN, 1);
	put_le32(f + COWD_DIRECTORY, 4);
	put_le32(f + COWD_DIRECTORY_ENTRIES, 1);
	put_le32(f + 4 * 512, 8);
	put_le32(f + 8 * 512 + 2 * 4, 40);
	memset(f + 40 * 512, 'c', 512);
	EXPECT_OK(read_all(f, 64 * 512, disk, sizeof disk));
	EXPECT(pl_is_zero(disk, 1024));
	EXPECT_MEM(disk + 1024, f + 40 * 512, 512);
	EXPECT(pl_is_zero(disk + 1536, 512));

	put_le32(f + COWD_DIRECTORY_ENTRIES, 0);
	EXPECT_EQ(read_all(f, 64 * 512, disk, sizeof disk), -EUCLEAN);
	EXPECT_EQ(err.offset, COWD_DIRECTORY_ENTRIES);
}

/* Tables of one sector, 64 entries; the second grain is stored as the third. */
static uint8_t *
make_sesparse(void)
{
	uint8_t *f = calloc(1, 64 * 512);

	put_le64(f, SE_MAGIC);
	put_le64(f + SE_VERSION, SE_VERSION_2_1);
	put_le64(f + SE_CAPACITY, 32);
	put_le64(f + SE_GRAIN, 8);
	put_le64(f + SE_TABLE_SECTORS, 1);
	put_le64(f + SE_VOLATILE, 1);
	put_le64(f + SE_DIRECTORY, 2);
	put_le64(f + SE_DIRECTORY_SECTORS, 1);
	put_le64(f + SE_TABLES, 3);
	put_le64(f + SE_TABLES_SECTORS, 2);
	put_le64(f + SE_GRAINS, 8);
	put_le64(f + 512, SE_VOLATILE_MAGIC);
	put_le64(f + 2 * 512, 0x1000000000000001);
	put_le64(f + 4 * 512 + 0, 0x2000000000000000);
	put_le64(f + 4 * 512 + 8, 0x3002000000000000);
	memset(f + (8 + 2 * 8) * 512, 's', 4096);
	return f;
}

TEST(sesparse_extents_are_read)
{
	PL_AUTOFREE uint8_t *f = make_sesparse();
	uint8_t disk[32 * 512];

	EXPECT_OK(read_all(f, 64 * 512, disk, sizeof disk));
	EXPECT(pl_is_zero(disk, 4096));
	EXPECT_MEM(disk + 4096, f + 24 * 512, 4096);
	EXPECT(pl_is_zero(disk + 8192, 8192));
	EXPECT_STR(check(f, 64 * 512), "");
}

TEST(sesparse_errors_name_the_place)
{
	PL_AUTOFREE uint8_t *f = make_sesparse();
	uint8_t disk[32 * 512];

	f[512 + SE_REPLAY] = 1;
	EXPECT_EQ(read_all(f, 64 * 512, disk, sizeof disk), -ENOTSUP);
	EXPECT_EQ(err.offset, 512 + SE_REPLAY);
	f[512 + SE_REPLAY] = 0;
	put_le64(f + 2 * 512, 0x1000000000000002);
	EXPECT_EQ(read_all(f, 64 * 512, disk, sizeof disk), -EUCLEAN);
	EXPECT_EQ(err.offset, 2 * 512);
	put_le64(f + 2 * 512, 0x1000000000000001);
	put_le64(f + 4 * 512, 0x3000000000000001);
	EXPECT_EQ(read_all(f, 64 * 512, disk, sizeof disk), -EUCLEAN);
	EXPECT_EQ(err.offset, 4 * 512);
	put_le64(f + 4 * 512, 0x4000000000000000);
	EXPECT_EQ(read_all(f, 64 * 512, disk, sizeof disk), -EUCLEAN);
	EXPECT_EQ(err.offset, 4 * 512);
}

#define FIRST "# Disk DescriptorFile\n"

TEST(extents_follow_each_other_as_the_descriptor_lists_them)
{
	static const char text[] = FIRST "version=1\r\ncid = 1234abcd\r\nRW 2 FLAT \"flat\" 1\r\n"
					 "rw 1 zero\n  RDONLY 34 SPARSE \"sparse\"\n"
					 "RW 1 VMFS \"flat\"\nunknown=1\nnonsense\n";
	PL_AUTOFREE uint8_t *sparse = make_hosted();
	char flat[3 * 512];
	struct files files = { { .open = open_related },
			       { { "flat", flat, sizeof flat }, { "sparse", sparse, FILE_SIZE } } };
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t bytes[(2 + 1 + 34 + 1) * 512];

	memset(flat, '0', 512);
	memset(flat + 512, '1', 1024);
	EXPECT_OK(open_bytes(text, sizeof text, &files, "d", 0, &disk));
	EXPECT_EQ(disk->size, sizeof bytes);
	EXPECT_OK(pl_read(disk, bytes, sizeof bytes, 0, &err));
	EXPECT_MEM(bytes, flat + 512, 1024);
	EXPECT(pl_is_zero(bytes + 1024, 512));
	expect_hosted(bytes + 1536);
	EXPECT_MEM(bytes + 1536 + DISK, flat, 512);
	EXPECT(disk->ops->below(disk, 3) && !disk->ops->below(disk, 4));
}

static const struct {
	const char *line;
	int code;
} bad_lines[] = {
	{ "RW 1 FLAT \"/etc/passwd\"", -ENOTSUP },
	{ "RW 1 FLAT \"../flat\"", -ENOTSUP },
	{ "RW 1 FLAT \"a/..\"", -ENOTSUP },
	{ "RW 1 FLAT \"a\\..\\flat\"", -ENOTSUP },
	{ "RW 1 FLAT \"\\\\server\\flat\"", -ENOTSUP },
	{ "RW 1 FLAT \"C:\\flat\"", -ENOTSUP },
	{ "RW 1 FLAT \"file:/etc/passwd\"", -ENOTSUP },
	{ "RW 1 FLAT \"nbd://host/flat\"", -ENOTSUP },
	{ "RW 1 VMFSRDM \"flat\"", -ENOTSUP },
	{ "NOACCESS 1 FLAT \"flat\"", -ENOTSUP },
	{ "RW 1 FLAT", -EUCLEAN },
	{ "RW 1 FLAT \"\"", -EUCLEAN },
	{ "RW 1 FLAT \"flat", -EUCLEAN },
	{ "RW 1 FLAT \"flat\" -1", -EUCLEAN },
	{ "RW 1", -EUCLEAN },
	{ "RW -1 ZERO", -EUCLEAN },
	{ "RW 36028797018963968 ZERO", -EUCLEAN },
	{ "RW 4 FLAT \"flat\"", -EUCLEAN },
	{ "RW 1 FLAT \"flat\" 3", -EUCLEAN },
	{ "CID=nothing", -EUCLEAN },
	{ "CID=123456789", -EUCLEAN },
};

TEST(the_error_names_the_line_of_the_descriptor)
{
	static const char flat[3 * 512];
	struct files files = { { .open = open_related }, { { "flat", flat, sizeof flat } } };

	for (size_t i = 0; i < ARRAY_SIZE(bad_lines); i++) {
		PL_AUTOFREE char *text = pl_format("%sRW 1 ZERO\n%s\n", FIRST, bad_lines[i].line);
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		printf("# %s\n", bad_lines[i].line);
		err = (struct platter_error)PLATTER_ERROR_INIT;
		EXPECT_EQ(open_bytes(text, strlen(text), &files, "d", 0, &disk), bad_lines[i].code);
		EXPECT_EQ(err.offset, strlen(FIRST "RW 1 ZERO\n"));
	}
}

TEST(a_parent_must_have_the_content_id_that_its_overlay_names)
{
	static const char text[] = FIRST "parentCID=0badcafe\nCID=1\nRW 34 SPARSE \"top\"\n"
					 "parentFileNameHint=\"C:\\vm\\base.vmdk\"\n";
	PL_AUTOFREE uint8_t *base = make_hosted();
	PL_AUTOFREE uint8_t *top = make_hosted();
	struct files files = { { .open = open_related },
			       { { "base.vmdk", base, FILE_SIZE }, { "top", top, FILE_SIZE } } };
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOUNREF struct pl_disk *alone = NULL;
	PL_AUTOUNREF struct pl_disk *none = NULL;
	uint8_t bytes[DISK];

	memset(base + 16 * 512, 'P', GRAIN);
	put_le32(top + GT + 4, 0);
	EXPECT_OK(open_bytes(text, sizeof text, &files, "d", 0, &disk));
	EXPECT_OK(pl_read(disk, bytes, DISK, 0, &err));
	EXPECT_EQ(bytes[GRAIN], 'P');
	EXPECT_EQ(bytes[4 * GRAIN], 'b');

	memcpy(strstr((char *)base + DESCRIPTION, "0badcafe"), "0badbeef", 8);
	EXPECT_EQ(open_bytes(text, sizeof text, &files, "d", 0, &none), -EUCLEAN);
	EXPECT(strstr(err.message, "0badbeef") && strstr(err.message, "0badcafe"));
	EXPECT_OK(open_bytes(text, sizeof text, &files, "d", PLATTER_OPEN_NO_BACKING, &alone));
	EXPECT_OK(pl_read(alone, bytes, DISK, 0, &err));
	EXPECT_EQ(bytes[GRAIN], 0);
}

static int
evidence(const void *bytes, size_t n)
{
	PL_AUTOFREE uint8_t *head = calloc(1, PL_PROBE_HEAD);
	struct pl_probe probe = { .size = n, .head = head, .extension = "" };

	memcpy(head, bytes, n);
	return pl_format_by_name("vmdk")->probe(&probe);
}

TEST(each_kind_of_file_is_recognised)
{
	PL_AUTOFREE uint8_t *hosted = make_hosted();
	PL_AUTOFREE uint8_t *se = make_sesparse();
	static const char zeros[1024];

	EXPECT_EQ(evidence(hosted, FILE_SIZE), 64);
	EXPECT_EQ(evidence(se, 64 * 512), 64);
	EXPECT_EQ(evidence(FIRST "x", strlen(FIRST)), 168);
	EXPECT_EQ(evidence("\n " FIRST, strlen(FIRST) + 2), 168);
	EXPECT_EQ(evidence("# Disk", 6), 0);
	EXPECT_EQ(evidence(zeros, sizeof zeros), 0);
}
