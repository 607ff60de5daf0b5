/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-dmg.c - UDIF: an image in view with one field broken, its variants, checksums, writing */
#include <limits.h>

#include "copy.h"
#include "dmg-image.h"

#define KOLY_AT (image_length - 512)

static void
expect_kind(struct pl_disk *disk, uint64_t sector, enum platter_kind kind, uint64_t sectors)
{
	struct pl_extent e;

	EXPECT_OK(pl_map(disk, sector * 512, disk->size - sector * 512, &e, &err));
	EXPECT_EQ(e.kind, kind);
	EXPECT_EQ(e.length, sectors * 512);
}

static void
expect_disk(const void *bytes, size_t n)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	EXPECT_OK(try_bytes(bytes, n, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "dmg");
	expect_equal(disk, disk_bytes, SIZE);
	expect_whole_map(disk);
	expect_findings(disk, 0, 0);
}

/* The fact with the key, of a description, into `ret`; the first of several. */
static const char *
fact(struct pl_disk *disk, const char *key, char *ret, size_t n)
{
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };

	*ret = '\0';
	disk->ops->describe(disk, &facts);
	for (size_t i = facts.list.nr_facts; i-- > 0;)
		if (!strcmp(facts.list.facts[i].key, key))
			snprintf(ret, n, "%s", facts.list.facts[i].text);
	pl_arena_done(&arena);
	return ret;
}

TEST(an_image_in_view_reads_as_its_map_says)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	char text[256];

	make_parts();
	assemble();
	expect_disk(image, image_length);
	EXPECT_OK(try_bytes(image, image_length, NULL, &disk));
	expect_kind(disk, 0, PLATTER_DATA, 2);
	expect_kind(disk, 2, PLATTER_ZERO, 2);
	expect_kind(disk, 4, PLATTER_DATA, 4);
	expect_kind(disk, 8, PLATTER_HOLE, 2);
	expect_kind(disk, 10, PLATTER_HOLE, 3);
	expect_kind(disk, 13, PLATTER_DATA, 1);
	expect_kind(disk, 14, PLATTER_HOLE, 1);
	EXPECT(warns_of(disk, "2 sectors are in none of the image's tables"));
	EXPECT(warns_of(disk, "the tables end at sector 14 of 15"));
	EXPECT_STR(fact(disk, "subformat", text, sizeof text), "UDZO");
	EXPECT(!strncmp(fact(disk, "table", text, sizeof text),
			"first & best (Test : 0): 8 sectors at 0, checksum CRC-32 ", 57));
}

TEST(a_broken_trailer_is_refused_where_it_is_broken)
{
	static const struct {
		unsigned field;
		uint64_t value;
		int code;
	} fields[] = {
		{ 0x18, 1, -EUCLEAN }, /* the data fork reaches into the list */
		{ 0x18, UINT64_MAX, -EUCLEAN }, { 0x20, UINT64_MAX, -EUCLEAN },
		{ 0xd8, 60000, -EUCLEAN },      { 0xe0, UINT64_C(1) << 40, -EFBIG },
		{ 0xe0, 60000, -EUCLEAN },      { 0x1ec, (UINT64_C(1) << 54) + 1, -EFBIG },
		{ 0x1ec, UINT64_MAX, -EFBIG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint64_t report = fields[i].field;

		make_parts();
		assemble();
		/* A part is reported by where it begins. */
		if (report == 0x20 || (report == 0xe0 && fields[i].code == -EUCLEAN))
			report -= 8;
		printf("# field at %#x\n", fields[i].field);
		/* Or else the list would be found where it is. */
		image[fork_length] = ' ';
		put_be64(image + KOLY_AT + fields[i].field, fields[i].value);
		if (fields[i].field == 0x18 && fields[i].value == 1)
			put_be64(image + KOLY_AT + 0x20, KOLY_AT);
		expect_refused(image, image_length, "dmg", fields[i].code, KOLY_AT + report);
	}
	make_parts();
	assemble();
	put_be32(image + KOLY_AT + 4, 5);
	expect_refused(image, image_length, "dmg", -ENOTSUP, KOLY_AT + 4);
	expect_refused(image, image_length - 1, "dmg", -EUCLEAN, image_length - 513);
	expect_refused(image, 100, "dmg", -EUCLEAN, 0);
	expect_refused(image, 0, "dmg", -EUCLEAN, 0);
}

/* Each row breaks one field of the first table, of its header or of a chunk. */
TEST(a_broken_table_is_refused_where_it_stands)
{
	static const struct {
		const char *what;
		size_t at;
		unsigned bytes;
		uint64_t value;
		int code;
	} fields[] = {
		{ "signature", 0, 4, 0, -EUCLEAN },
		{ "version", 4, 4, 2, -ENOTSUP },
		{ "first sector", 8, 8, UINT64_MAX, -EFBIG },
		{ "first sector, of the other table too", 8, 8, 5, -EUCLEAN },
		{ "number of sectors", 16, 8, UINT64_C(1) << 55, -EFBIG },
		{ "less sectors than the chunks have", 16, 8, 7, -EUCLEAN },
		{ "data offset", 24, 8, UINT64_MAX, -EUCLEAN },
		{ "number of chunks, more", 200, 4, 5, -EUCLEAN },
		{ "number of chunks, less", 200, 4, 3, -EUCLEAN },
		{ "number of chunks, most", 200, 4, UINT32_MAX, -EUCLEAN },
		{ "type", MISH, 4, 0x80000009, -ENOTSUP },
		{ "type", MISH, 4, 3, -ENOTSUP },
		{ "terminator first", MISH, 4, 0xffffffff, -EUCLEAN },
		{ "no terminator", MISH + 3 * CHUNK, 4, 0, -EUCLEAN },
		{ "first sector of a chunk", MISH + CHUNK + 8, 8, 1, -EUCLEAN },
		{ "first sector of a chunk", MISH + CHUNK + 8, 8, UINT64_MAX, -EUCLEAN },
		{ "sectors of a chunk", MISH + 16, 8, 3, -EUCLEAN },
		{ "sectors of a chunk", MISH + 16, 8, UINT64_MAX, -EUCLEAN },
		{ "sectors of zeros", MISH + CHUNK + 16, 8, 3, -EUCLEAN },
		{ "offset", MISH + 24, 8, UINT64_MAX, -EUCLEAN },
		{ "length", MISH + 32, 8, 1023, -EUCLEAN },
		{ "length", MISH + 2 * CHUNK + 32, 8, UINT64_MAX, -EUCLEAN },
		{ "length", MISH + 2 * CHUNK + 32, 8, 60000, -EUCLEAN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		printf("# %s at %zu: %#" PRIx64 "\n", fields[i].what, fields[i].at,
		       fields[i].value);
		make_parts();
		if (fields[i].bytes == 4)
			put_be32(table_a + fields[i].at, (uint32_t)fields[i].value);
		else
			put_be64(table_a + fields[i].at, fields[i].value);
		if (!strcmp(fields[i].what, "number of chunks, less"))
			put_be32(FIELD(table_a, 2, 0), 0xffffffff);
		assemble();
		/* Of two that overlap, the second is named. */
		expect_refused(image, image_length, "dmg", fields[i].code,
			       data_at(strstr(fields[i].what, "other table") != NULL));
	}
}

TEST(a_chunk_past_what_is_decoded_at_once_is_refused)
{
	make_parts();
	put_be64(table_a + 16, 1 << 20);
	put_be64(FIELD(table_a, 2, 16), (1 << 20) - 4);
	put_be64(table_b + 8, 1 << 21);
	assemble();
	expect_refused(image, image_length, "dmg", -EFBIG, data_at(0));
}

/* What is stored in more bytes than any codec makes would take as much memory to read. */
TEST(a_chunk_stored_in_far_more_than_it_decodes_to_is_refused)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE char *blanks = malloc(80001);

	memset(blanks, ' ', 80000);
	blanks[80000] = '\0';
	for (int more = 0; more < 2; more++) {
		struct pl_str s = { 0 };

		make_parts();
		put_be64(FIELD(table_a, 2, 32), 2 * 4 * 512 + KIB(64) + more);
		add_plist(&s, blanks);
		assemble_with(s.text);
		pl_str_done(&s);
		if (more)
			expect_refused(image, image_length, "dmg", -EFBIG, data_at(0));
		else
			EXPECT_OK(try_bytes(image, image_length, NULL, &disk));
	}
}

TEST(a_tiny_image_of_eight_exbibytes_opens_at_once)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint64_t sectors = UINT64_C(1) << 54;
	uint8_t byte = 1;

	make_parts();
	put_be64(table_b + 16, sectors - 10);
	put_be64(FIELD(table_b, 1, 16), sectors - 11);
	put_be64(FIELD(table_b, 2, 8), sectors - 11);
	put_be64(koly + 0x1ec, sectors);
	assemble();
	EXPECT_OK(try_bytes(image, image_length, NULL, &disk));
	EXPECT_EQ(disk->size, UINT64_C(1) << 63);
	expect_kind(disk, 10, PLATTER_HOLE, sectors - 11);
	EXPECT_OK(pl_read(disk, &byte, 1, disk->size - 1, &err));
	EXPECT_EQ(byte, 'b');
	EXPECT_OK(pl_read(disk, &byte, 1, disk->size / 2, &err));
	EXPECT_EQ(byte, 0);
	expect_findings(disk, 0, 0);
}

TEST(a_property_list_that_is_none_is_refused_where_it_breaks)
{
	static const struct {
		const char *text;
		int code;
		size_t at; /* in the text */
	} lists[] = {
		{ "x", -EUCLEAN, 0 },
		{ "<plist>", -EUCLEAN, 7 },
		{ "<plist><dict><key>a</key>", -EUCLEAN, 25 },
		{ "<plist><dict><key>a<key>", -EUCLEAN, 19 },
		{ "<plist><dict></array>", -EUCLEAN, 13 },
		{ "<plist><dict><key>a</key></dict>", -EUCLEAN, 25 },
		{ "<plist><dict><string>a</string></dict>", -EUCLEAN, 13 },
		{ "<plist><dict>text</dict>", -EUCLEAN, 13 },
		{ "<plist><dict><key>a</key><unknown/></dict>", -EUCLEAN, 25 },
		{ "<plist><dict><key>a</key><averyveryverylongname/>", -EUCLEAN, 25 },
		{ "<plist><dict><key>a</key><data>A?==</data></dict>", -EUCLEAN, 32 },
		{ "<!DOCTYPE plist [ <!ENTITY a \"b\"> ]>", -ENOTSUP, 16 },
		{ "<plist><array><array><array><array><array><array><array><array><array><array>"
		  "<array><array><array><array><array><array><array>",
		  -EFBIG, 119 },
		{ "<!-- never ends ->", -EUCLEAN, 18 },
		{ "<", -EUCLEAN, 1 },
		{ "<>", -EUCLEAN, 0 },
		/* Nothing is wrong with it but that it has no tables, and too little data. */
		{ "<plist><dict/></plist>", -EUCLEAN, SIZE_MAX },
		{ "<plist><dict><key>resource-fork</key><dict><key>blkx</key><array><dict><key>Data"
		  "</key><data>bWlzaA==</data></dict></array></dict></dict></plist>",
		  -EUCLEAN, 92 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		printf("# %s\n", lists[i].text);
		make_parts();
		assemble_with(lists[i].text);
		expect_refused(image, image_length, "dmg", lists[i].code,
			       lists[i].at == SIZE_MAX ? KOLY_AT + 0x1ec
						       : fork_length + lists[i].at);
	}
}

/* Some packers write the length where the place belongs, or a length that passes the trailer. */
TEST(a_property_list_is_found_behind_the_data_if_the_trailer_has_it_wrong)
{
	static const struct {
		unsigned at;
		uint64_t value;
	} wrong[] = {
		{ 0xd8, 512 }, { 0xd8, UINT64_MAX }, { 0xe0, 1 << 20 }, { 0xe0, UINT64_MAX }
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		printf("# field %zu\n", i);
		make_parts();
		assemble();
		put_be64(image + KOLY_AT + wrong[i].at, wrong[i].value);
		expect_disk(image, image_length);
	}
	/* Where there is none, the trailer is what is wrong. */
	make_parts();
	assemble();
	image[fork_length] = 'x';
	put_be64(image + KOLY_AT + 0xd8, image_length);
	expect_refused(image, image_length, "dmg", -EUCLEAN, KOLY_AT + 0xd8);
}

TEST(the_trailer_may_stand_first_or_have_padding_behind_it)
{
	uint8_t moved[sizeof image];

	make_parts();
	assemble();
	memset(image + image_length, 0, 4096);
	expect_disk(image, image_length + 300);
	/* Further off it is looked for only if the format is named. */
	{
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		EXPECT_OK(try_bytes(image, image_length + 4096, "dmg", &disk));
		expect_equal(disk, disk_bytes, SIZE);
	}
	make_parts();
	put_be64(koly + 0x18, 512);
	assemble();
	memcpy(moved + 512, image, image_length - 512);
	put_be64(koly + 0xd8, 512 + fork_length);
	memcpy(moved, koly, 512);
	expect_disk(moved, image_length);
}

TEST(without_a_number_of_sectors_the_disk_ends_with_the_tables)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL, *less = NULL;

	make_parts();
	put_be64(koly + 0x1ec, 0);
	assemble();
	EXPECT_OK(try_bytes(image, image_length, NULL, &disk));
	EXPECT_EQ(disk->size, 14 * 512);
	expect_findings(disk, 0, 0);
	put_be64(image + KOLY_AT + 0x1ec, 9);
	EXPECT_OK(try_bytes(image, image_length, NULL, &less));
	EXPECT_EQ(less->size, 14 * 512);
	EXPECT(warns_of(less, "the trailer says that the disk has 9 sectors"));
	expect_findings(less, 1, 0);
}

TEST(an_image_without_tables_is_its_data_fork)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	char text[16];

	make_parts();
	memcpy(image, disk_bytes, SIZE);
	put_be64(koly + 0x20, SIZE);
	put_sum(koly + 0x50, pl_crc32(0, disk_bytes, SIZE));
	memcpy(image + SIZE, koly, 512);
	expect_disk(image, SIZE + 512);
	EXPECT_OK(try_bytes(image, SIZE + 512, NULL, &disk));
	EXPECT_STR(fact(disk, "subformat", text, sizeof text), "UDRW");
	put_be64(image + SIZE + 0x1ec, SECTORS + 1);
	expect_refused(image, SIZE + 512, "dmg", -EUCLEAN, SIZE + 0x1ec);
}

/* The resources in a resource fork: header of 256 bytes, data, map. */
static void
assemble_fork(void)
{
	uint8_t *fork = image + fork_length, *data = fork + 256, *map;
	size_t a = sizeof table_a, b = sizeof table_b;

	memcpy(image, fork_bytes, fork_length);
	memset(fork, 0, 4096);
	put_be32(data, (uint32_t)a);
	memcpy(data + 4, table_a, a);
	put_be32(data + 4 + a, (uint32_t)b);
	memcpy(data + 8 + a, table_b, b);
	map = data + 8 + a + b;
	put_be32(fork, 256);
	put_be32(fork + 4, (uint32_t)(map - fork));
	put_be32(fork + 8, (uint32_t)(8 + a + b));
	put_be32(fork + 12, 100);
	put_be16(map + 24, 28);
	put_be16(map + 26, 28 + 2 + 8 + 24);
	memcpy(map + 30, "blkx", 4); /* the only type; its two resources follow */
	put_be16(map + 34, 1);
	put_be16(map + 36, 10);
	put_be16(map + 38, 0xffff); /* ID -1 */
	put_be16(map + 40, 0);
	put_be16(map + 50, 0);
	put_be16(map + 52, 0xffff); /* without a name */
	put_be32(map + 54, (uint32_t)(4 + a));
	memcpy(map + 62,
	       "\x05"
	       "first",
	       6);
	put_be64(koly + 0x28, fork_length);
	put_be64(koly + 0x30, (uint64_t)(map + 100 - fork));
	memcpy(map + 100, koly, 512);
	image_length = (size_t)(map + 612 - image);
}

TEST(tables_in_a_resource_fork_are_found)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint64_t map = 0;
	char text[64];
	static const struct {
		size_t at; /* in the map */
		uint16_t value;
		size_t reported;
	} fields[] = {
		{ 24, 0xffff, 24 }, { 28, 1000, 28 },   { 34, 1000, 30 },
		{ 36, 0xff00, 30 }, { 42, 0xffff, 42 },
	};

	make_parts();
	assemble_fork();
	expect_disk(image, image_length);
	EXPECT_OK(try_bytes(image, image_length, NULL, &disk));
	EXPECT(!strncmp(fact(disk, "table", text, sizeof text), "first: 8 sectors", 16));
	map = fork_length + get_be32(image + fork_length + 4);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		printf("# field at %zu of the map\n", fields[i].at);
		make_parts();
		assemble_fork();
		put_be16(image + map + fields[i].at, fields[i].value);
		expect_refused(image, image_length, "dmg", -EUCLEAN, map + fields[i].reported);
	}
	make_parts();
	put_be32(FIELD(table_a, 0, 0), 99);
	assemble_fork();
	expect_refused(image, image_length, "dmg", -ENOTSUP, fork_length + 256 + 4);
}

/* Segment `number` of two, which holds the data fork from `from` on. */
static void
write_segment(const char *name, uint32_t number, size_t from, size_t n, const char *plist)
{
	struct pl_str s = { 0 };

	pl_str_add_bytes(&s, fork_bytes + from, n);
	pl_str_add(&s, plist);
	put_be64(koly + 0x10, from);
	put_be64(koly + 0x20, n);
	put_be64(koly + 0xd8, *plist ? n : 0);
	put_be64(koly + 0xe0, strlen(plist));
	put_be32(koly + 0x38, number);
	put_be32(koly + 0x3c, 3);
	pl_str_add_bytes(&s, koly, sizeof koly);
	write_file(name, s.text, s.length);
	pl_str_done(&s);
}

static void
write_segments(void)
{
	struct pl_str plist = { 0 };

	make_parts();
	add_plist(&plist, "");
	/* The chunk that is compressed lies in all three. */
	write_segment("a.dmg", 1, 0, 1040, plist.text);
	write_segment("a.002.dmgpart", 2, 1040, 100, "");
	write_segment("a.003.dmgpart", 3, 1140, fork_length - 1140, "");
	pl_str_done(&plist);
}

TEST(segments_are_joined)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	write_segments();
	EXPECT_OK(try_open("a.dmg", 0, &disk));
	expect_equal(disk, disk_bytes, SIZE);
	expect_whole_map(disk);
	expect_findings(disk, 0, 0);
}

TEST(segments_that_do_not_belong_together_are_refused)
{
	struct pl_disk *disk = NULL;

	write_segments();
	EXPECT_EQ(try_open("a.002.dmgpart", 0, &disk), -ENOTSUP);
	EXPECT(strstr(err.hint, "*.dmg"));
	run("rm a.003.dmgpart");
	EXPECT_EQ(try_open("a.dmg", 0, &disk), -ENOENT);
	EXPECT(strstr(err.message, "segment 3 of 3"));
	run("cp a.002.dmgpart a.003.dmgpart");
	EXPECT_EQ(try_open("a.dmg", 0, &disk), -EUCLEAN);
	EXPECT(strstr(err.message, "it is segment 2 of this image"));
	write_segments();
	memset(koly + 0x40, 'x', 16);
	write_segment("a.002.dmgpart", 2, 1040, 100, "");
	EXPECT_EQ(try_open("a.dmg", 0, &disk), -EUCLEAN);
	EXPECT(strstr(err.message, "of another image"));
	write_segments();
	write_segment("a.003.dmgpart", 3, 1141, fork_length - 1141, "");
	EXPECT_EQ(try_open("a.dmg", 0, &disk), -EUCLEAN);
	EXPECT(strstr(err.message, "1140"));
}

/* Opens what was put together, and counts what its check finds. */
static void
expect_damages(uint64_t damages)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	assemble();
	EXPECT_OK(try_bytes(image, image_length, NULL, &disk));
	expect_findings(disk, damages, 0);
}

TEST(each_checksum_that_does_not_match_is_found)
{
	make_parts();
	put_be32(koly + 0x58, 1);
	expect_damages(1);
	make_parts();
	put_be32(koly + 0x168, 1);
	expect_damages(1);
	make_parts();
	put_be32(table_a + 72, 1); /* and so the master checksum */
	expect_damages(2);
	sign();
	expect_damages(1);
	make_parts();
	fork_bytes[100] ^= 1; /* of the data fork and of the table */
	expect_damages(2);
	/* A checksum that is not there, or of an unknown type, is not compared. */
	put_be32(koly + 0x50, 0);
	put_be32(table_a + 64, 0);
	put_be32(koly + 0x160, 7);
	expect_damages(0);
	/* A stream that does not decode is reported as such, not as a wrong checksum of its table. */
	make_parts();
	fork_bytes[1030] ^= 0xff;
	sign();
	expect_damages(1);
}

/* An image on a medium that cannot be read at `bad`, which is an error of `code`. */
struct faulty {
	struct pl_disk disk;
	uint64_t bad;
	int code;
};

static int
faulty_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *e)
{
	*ret = (struct pl_extent){ .length = length, .kind = PLATTER_DATA };
	return 0;
}

static int
faulty_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *e)
{
	const struct faulty *f = pl_container_of(disk, struct faulty, disk);

	if (f->bad - offset < n)
		return pl_fail_at(e, f->code, f->bad, "byte %" PRIu64 " is lost", f->bad);
	memcpy(buf, image + offset, n);
	return 0;
}

static void
faulty_free(struct pl_disk *disk)
{
	pl_disk_done(disk);
	free(pl_container_of(disk, struct faulty, disk));
}

/* Of a lost byte of the data fork it is told that it is lost, once, and no checksum is wrong. */
TEST(what_cannot_be_read_is_no_wrong_checksum)
{
	static const struct pl_disk_ops ops = {
		.name = "faulty", .map = faulty_map, .read = faulty_read, .free = faulty_free
	};
	static const int codes[] = { -EIO, -EUCLEAN };

	make_parts();
	/* Of a chunk, of another, and of none: there are 4 bytes in front of the last. */
	memmove(fork_bytes + fork_length - 508, fork_bytes + fork_length - 512, 512);
	fork_length += 4;
	put_be64(koly + 0x20, fork_length);
	put_be64(FIELD(table_b, 2, 24), fork_length - 512 - 1000);
	sign();
	assemble();
	for (size_t i = 0; i < 6; i++) {
		struct faulty *f = calloc(1, sizeof *f);
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		EXPECT_OK(pl_disk_init(&f->disk, &ops, "image", &err));
		f->disk.size = image_length;
		f->bad = UINT64_MAX;
		f->code = codes[i % 2];
		EXPECT_OK(pl_image_open(&f->disk, NULL, NULL, NULL, 0, &disk, &err));
		f->bad = i / 2 == 0 ? 100 : i / 2 == 1 ? 1030 : fork_length - 514;
		expect_findings(disk, 1, 0);
		pl_disk_unref(&f->disk);
	}
}

TEST(chunks_that_share_their_bytes_have_the_right_checksums)
{
	make_parts();
	/* Sector 13 is what sector 1 is; nothing names the last bytes of the data fork. */
	put_be64(FIELD(table_b, 2, 24), 512);
	put_be64(table_b + 24, 0);
	put_sum(table_b + 64, pl_crc32(0, disk_bytes, 512));
	sign();
	expect_damages(0);
	/* And here they lie over each other by a part. */
	put_be64(FIELD(table_b, 2, 24), 600);
	memset(fork_bytes + 1000, 0, 24);
	memset(disk_bytes + 1000, 0, 24);
	put_sum(table_a + 64, pl_crc32(0, disk_bytes, 8 * 512));
	put_sum(table_b + 64, pl_crc32(0, fork_bytes + 600, 512));
	sign();
	expect_damages(0);
	fork_bytes[fork_length - 1] ^= 1;
	expect_damages(1);
}

TEST(a_licence_agreement_is_told_in_its_default_language)
{
	static const uint8_t lpic[] = { 0, 3, 0, 3, /* German of three */
					0, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 0, 0, 14, 0, 2, 0, 1 };
	static const char *const texts[] = { "Agreement", "Gr\x9f\xa7"
							  "e\r\xa9 1" };
	static const char rtf[] = "{\\rtf1\\ansi{\\fonttbl\\f0 Helvetica;}\\f0\\fs24 Gr\\'9f\\'a7"
				  "e\\\n{\\b bold} \\{x\\}\\par end}";
	struct pl_str more = { 0 }, s = { 0 };
	char text[64];

	for (int with_rtf = 0; with_rtf < 2; with_rtf++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		make_parts();
		pl_str_add(&more, "<key>LPic</key><array>");
		add_resource(&more, "", 5000, lpic, sizeof lpic);
		pl_str_addf(&more, "</array><key>%s</key><array>", with_rtf ? "RTF " : "TEXT");
		add_resource(&more, "", 5000, (const uint8_t *)texts[0], strlen(texts[0]));
		if (with_rtf)
			add_resource(&more, "", 5001, (const uint8_t *)rtf, strlen(rtf));
		else
			add_resource(&more, "", 5001, (const uint8_t *)texts[1], strlen(texts[1]));
		pl_str_add(&more, "</array>");
		add_plist(&s, more.text);
		assemble_with(s.text);
		EXPECT_OK(try_bytes(image, image_length, NULL, &disk));
		EXPECT_STR(fact(disk, "license_text", text, sizeof text), "Grüße");
		pl_str_done(&more);
		pl_str_done(&s);
	}
}

TEST(a_licence_of_countless_lines_is_cut)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	static uint8_t lines[20000];
	struct pl_str more = { 0 }, s = { 0 };

	memset(lines, '\r', sizeof lines);
	make_parts();
	pl_str_add(&more, "<key>TEXT</key><array>");
	add_resource(&more, "", 5000, lines, sizeof lines);
	pl_str_add(&more, "</array>");
	add_plist(&s, more.text);
	assemble_with(s.text);
	EXPECT_OK(try_bytes(image, image_length, NULL, &disk));
	EXPECT(warns_of(disk, "more than 10000 lines"));
	pl_str_done(&more);
	pl_str_done(&s);
}

TEST(images_of_disk_copy_are_refused_by_name)
{
	uint8_t bytes[4096] = { 0, 4, 'd', 'i', 's', 'k' };
	struct pl_disk *disk = NULL;

	memcpy(bytes + 65, "rohdddsk", 8);
	EXPECT_EQ(try_bytes(bytes, sizeof bytes, NULL, &disk), -ENOTSUP);
	EXPECT(strstr(err.message, "NDIF") && strstr(err.hint, "hdiutil"));
	make_parts();
	assemble_with("<plist><dict><key>resource-fork</key><dict><key>bcem</key><array><dict/>"
		      "</array></dict></dict></plist>");
	EXPECT_EQ(try_bytes(image, image_length, NULL, &disk), -ENOTSUP);
	EXPECT(strstr(err.message, "NDIF"));
}

/* Writing. */

static int
write_dmg(const char *name, const uint8_t *bytes, size_t size,
	  const struct platter_key_value *options, size_t nr_options, const char *codec, int level)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	PL_AUTOUNREF struct pl_disk *file = NULL, *source = NULL;
	struct pl_storage_create how = { .overwrite = true };
	struct pl_create_request request = { .size = size,
					     .sector_size = 512,
					     .options = options,
					     .nr_options = nr_options,
					     .codec = codec,
					     .level = level };
	struct pl_copy copy = { 0 };
	struct pl_writer *w;
	int r;

	EXPECT_OK(pl_storage_create(path, &how, &file, &err));
	EXPECT_OK(pl_memory_new(bytes, size, "source", &source, &err));
	request.file = file;
	r = pl_format_by_name("dmg")->create(&request, &w, &err);
	if (r < 0) {
		pl_storage_abandon(file, false);
		return r;
	}
	copy.source = source;
	copy.writer = w;
	EXPECT_OK(pl_copy_run(&copy, &err));
	EXPECT_OK(w->ops->finish(w, &err));
	w->ops->free(w);
	return pl_storage_commit(file, false, &err);
}

TEST(what_is_written_reads_the_same)
{
	static const size_t sizes[] = { 512, 1536, MIB(1), MIB(2) + 512, MIB(9) + 37 * 512 };
	static const char *const formats[] = { "UDZO", "udbz", "ULFO", "ULMO", "UDRO" };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t k = 0; k < ARRAY_SIZE(formats); k++) {
			struct platter_key_value option = { "format", formats[k] };
			PL_AUTOFREE uint8_t *bytes = make_raw("raw.img", sizes[i]);

			printf("# %zu bytes as %s\n", sizes[i], formats[k]);
			EXPECT_OK(
				write_dmg("image.dmg", bytes, sizes[i], &option, 1, NULL, INT_MIN));
			expect_reads("image.dmg", "dmg", bytes, sizes[i]);
		}
}

TEST(a_disk_without_whole_sectors_is_filled_up)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE uint8_t *bytes = make_raw("raw.img", MIB(2) + 100);
	uint8_t tail[512] = { 0 };

	memset(bytes + MIB(2), 'x', 100);
	memset(tail, 'x', 100);
	EXPECT_OK(write_dmg("image.dmg", bytes, MIB(2) + 100, NULL, 0, NULL, INT_MIN));
	EXPECT_OK(try_open("image.dmg", 0, &disk));
	EXPECT_EQ(disk->size, MIB(2) + 512);
	EXPECT_OK(pl_read(disk, tail + 0, 512, MIB(2), &err));
	EXPECT(tail[99] == 'x' && pl_is_zero(tail + 100, 412));
	expect_findings(disk, 0, 0);
}

TEST(options_that_contradict_each_other_are_refused)
{
	static const struct {
		const char *format, *codec;
		int level;
		const char *says;
	} cases[] = {
		{ "UDCO", NULL, INT_MIN, "allowed is" },
		{ "UDTO", NULL, INT_MIN, "allowed is" },
		{ "UDRO", "", INT_MIN, "does not go with compression" },
		{ "UDZO", "bzip2", INT_MIN, "does not go with compression by bzip2" },
		{ NULL, "zstd", INT_MIN, "dmg has zlib" },
		{ "UDBZ", "bzip2", 10, "bzip2 has 1 to 9" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct platter_key_value option = { "format", cases[i].format };

		EXPECT_EQ(write_dmg("image.dmg", (const uint8_t *)"x", 1, &option,
				    cases[i].format != NULL, cases[i].codec, cases[i].level),
			  -EINVAL);
		EXPECT(strstr(err.message, cases[i].says));
	}
	EXPECT_OK(write_dmg("image.dmg", (const uint8_t *)"x", 1, NULL, 0, "bzip2", 1));
}
