/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-isz.c - ISZ: an image in view with one field broken, and chunks stored one behind another */
#include "chunks.h"
#include "codec.h"
#include "images.h"
#include "joined.h"

/* Sectors of 512 bytes, chunks of two, the last a half; entries of 3 bytes behind the header. */
#define CHUNK   1024
#define NR      5
#define SIZE    (4 * CHUNK + 512)
#define TABLE   48
#define SEGMENT (TABLE + 3 * NR)
#define DATA    (SEGMENT + 48)

static uint8_t image[DATA + NR * CHUNK], disc[NR * CHUNK];
static size_t bytes;

static void
mask(size_t at, size_t n)
{
	static const uint8_t magic[] = "IsZ!";

	for (size_t i = 0; i < n; i++)
		image[at + i] ^= (uint8_t)~magic[i % 4];
}

static void
set_entry(int i, unsigned method, size_t length)
{
	image[TABLE + 3 * i] = (uint8_t)length;
	image[TABLE + 3 * i + 1] = (uint8_t)(length >> 8);
	image[TABLE + 3 * i + 2] = (uint8_t)(length >> 16 | method << 6);
}

/* Zeros, stored, zlib, bzip2, and a half by zlib.  The table is masked by seal(). */
static void
make_image(void)
{
	static const unsigned methods[NR] = { 0, 1, 2, 3, 2 };
	size_t at = DATA;

	memset(image, 0, sizeof image);
	memset(disc, 0, sizeof disc);
	for (size_t i = CHUNK; i < SIZE; i++)
		disc[i] = (uint8_t)(i < 2 * CHUNK ? i * i >> 3 ^ i * 7919
						  : (uint8_t) "to be or "[i % 9]);
	memcpy(image, "IsZ!", 4);
	image[4] = 48;
	put_le32(image + 6, 0x12345678);
	put_le16(image + 10, 512);
	put_le32(image + 12, SIZE / 512);
	put_le32(image + 25, NR);
	put_le32(image + 29, CHUNK);
	image[33] = 3;
	put_le32(image + 35, TABLE);
	put_le32(image + 43, DATA);
	for (int i = 0; i < NR; i++) {
		const struct pl_codec *c = methods[i] == 3 ? &pl_codec_bzip2 : &pl_codec_zlib;
		size_t n = PL_MIN(CHUNK, SIZE - i * CHUNK), stored = n;

		if (methods[i] == 1)
			memcpy(image + at, disc + i * CHUNK, n);
		if (methods[i] > 1)
			stored = c->encode(6, disc + i * CHUNK, n, image + at, CHUNK);
		if (methods[i] == 3)
			memset(image + at, 0, 3);
		set_entry(i, methods[i], stored);
		at += methods[i] ? stored : 0;
	}
	bytes = at;
}

static void
seal(void)
{
	mask(TABLE, 3 * NR);
	mask(SEGMENT, 48);
}

TEST(an_image_in_view_reads_as_its_table_says)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_extent e;

	make_image();
	seal();
	EXPECT_OK(try_bytes(image, bytes, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "isz");
	expect_equal(disk, disc, SIZE);
	expect_whole_map(disk);
	expect_findings(disk, 0, 0);
	EXPECT_OK(pl_map(disk, 0, SIZE, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_ZERO);
	EXPECT_EQ(e.length, CHUNK);
}

TEST(without_a_chunk_table_all_is_as_it_is)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_image();
	memcpy(image + DATA, disc, SIZE);
	put_le32(image + 35, 0);
	EXPECT_OK(try_bytes(image, DATA + SIZE, NULL, &disk));
	expect_equal(disk, disc, SIZE);
	expect_findings(disk, 0, 0);
	expect_refused(image, DATA + SIZE - 1, "isz", -EUCLEAN, 12);
}

TEST(a_broken_header_is_refused_where_it_is_broken)
{
	static const struct {
		size_t at, n;
		uint64_t value;
		int code;
	} fields[] = {
		{ 0, 4, 0, -EUCLEAN },           { 4, 1, 47, -EUCLEAN },
		{ 10, 2, 0, -EUCLEAN },          { 12, 4, 1000, -EUCLEAN },
		{ 16, 1, 1, -ENOTSUP },          { 16, 1, 5, -ENOTSUP },
		{ 25, 4, NR - 1, -EUCLEAN },     { 25, 4, 0xffffffff, -EUCLEAN },
		{ 29, 4, 0, -EUCLEAN },          { 29, 4, 0xffffffff, -EUCLEAN },
		{ 33, 1, 0, -EUCLEAN },          { 33, 1, 5, -EUCLEAN },
		{ 34, 1, 1, -ENOTSUP },          { 35, 4, 0xfffffff0, -EUCLEAN },
		{ 39, 4, 0xfffffff0, -EUCLEAN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		size_t where = fields[i].at;
		uint8_t value[8];

		make_image();
		seal();
		put_le64(value, fields[i].value);
		memcpy(image + where, value, fields[i].n);
		printf("# field at %zu\n", where);
		/* Too many sectors are told by the chunks that they would need; so are too many chunks. */
		if (where == 12)
			where = 25;
		if (where == 25 && fields[i].value == 0xffffffff)
			where = 35;
		expect_refused(image, bytes, "isz", fields[i].code, where);
	}
	expect_refused(image, 47, "isz", -EUCLEAN, 0);
}

TEST(a_broken_table_is_told_of)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t byte;

	make_image();
	set_entry(1, 1, CHUNK - 1);
	seal();
	expect_unreadable(image, bytes, "isz", CHUNK, -EUCLEAN, PLATTER_NO_OFFSET);
	make_image();
	set_entry(4, 2, 4000);
	seal();
	EXPECT_OK(try_bytes(image, bytes, "isz", &disk));
	EXPECT_EQ(pl_read(disk, &byte, 1, 4 * CHUNK, &err), -EUCLEAN);
	expect_findings(disk, 1, 0);
}

/* One segment is this file; a second cannot be reached from memory. */
TEST(a_segment_table_is_checked)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_image();
	put_le32(image + 39, SEGMENT);
	put_le64(image + SEGMENT, bytes);
	put_le32(image + SEGMENT + 8, NR);
	put_le32(image + SEGMENT + 16, DATA);
	seal();
	EXPECT_OK(try_bytes(image, bytes, "isz", &disk));
	expect_equal(disk, disc, SIZE);
	mask(SEGMENT, 48);
	put_le64(image + SEGMENT + 24, 1);
	memset(image + DATA, 0xaa, 24); /* where the third would be */
	mask(SEGMENT, 48);
	EXPECT(try_bytes(image, bytes, "isz", &disk) < 0);
}

TEST(chunks_begin_where_those_before_them_end)
{
	struct pl_chunks c = { .size = 512 };
	uint64_t at = 0;

	for (unsigned i = 0; i < 20000; i++) {
		EXPECT_OK(pl_chunks_add(&c, i % 5 ? PL_CHUNK_AS_IS : PL_CHUNK_ZERO, i, 0, &err));
		if (i % 5)
			at += i;
		if (i % 997 == 0)
			EXPECT_EQ(pl_chunks_start(&c, i + 1), at);
	}
	EXPECT_EQ(pl_chunks_start(&c, 20000), at);
	EXPECT_EQ(pl_chunks_add(&c, PL_CHUNK_AS_IS, GIB(1), 7, &err), -EFBIG);
	EXPECT_EQ(err.offset, 7);
	pl_chunks_done(&c);
}

TEST(files_that_belong_together_are_named_by_the_first)
{
	static const struct {
		const char *first;
		unsigned from, index;
		const char *name;
	} names[] = {
		{ "/x/a.isz", 1, 1, "a.i01" },
		{ "a.isz", 0, 12, "a.i11" },
		{ "A.ISZ", 1, 2, "A.I02" },
		{ "a.b.part01.isz", 1, 1, "a.b.part02.isz" },
		{ "a.Part001.isz", 1, 99, "a.Part100.isz" },
		{ "/a.b/none", 1, 1, "none.i01" },
		{ "part01.isz", 1, 1, "part01.i01" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		PL_AUTOFREE char *name =
			pl_joined_name(names[i].first, 'i', names[i].from, names[i].index);

		EXPECT_STR(name, names[i].name);
	}
}
