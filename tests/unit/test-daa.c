/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-daa.c - DAA: images of both versions in view, with one field broken */
#include "checksums.h"
#include "codec.h"
#include "images.h"

/* Three chunks and a half, by deflate; two descriptors before the table. */
#define NR          4
#define CHUNK       KIB(16)
#define SIZE        (3 * CHUNK + 4096)
#define DESCRIPTORS 76
#define TABLE       (DESCRIPTORS + 20)
#define DATA        (TABLE + 16)

static uint8_t image[DATA + NR * CHUNK], disc[NR * CHUNK];
static size_t bytes;

static void
seal(void)
{
	put_le32(image + 72, pl_crc32(0, image, 72));
}

/* Of version 2 a length has 15 bits, and a type one: two bytes for each chunk. */
static void
put_entry(unsigned version, int i, uint32_t length, unsigned type)
{
	uint8_t *e = image + TABLE + (version == 1 ? 3 : 2) * i;

	if (version == 1) {
		e[0] = (uint8_t)(length >> 16);
		e[1] = (uint8_t)length;
		e[2] = (uint8_t)(length >> 8);
	} else {
		put_le16(e, (uint16_t)((length - 5) | type << 15));
	}
}

static void
make_image(unsigned version)
{
	size_t at = DATA;

	memset(image, 0, sizeof image);
	memset(disc, 0, sizeof disc);
	for (size_t i = 0; i < SIZE; i++)
		disc[i] = (uint8_t)("to be or not to be "[i % 19] ^ (i >> 12));
	memcpy(image, "DAA", 3);
	put_le32(image + 16, TABLE);
	put_le32(image + 20, version == 1 ? 0x100 : 0x110);
	put_le32(image + 24, DATA);
	put_le32(image + 28, 1);
	put_le32(image + 36, version == 1 ? CHUNK : CHUNK >> 14);
	put_le64(image + 40, SIZE);
	put_le32(image + DESCRIPTORS, 4);
	put_le32(image + DESCRIPTORS + 4, 8);
	put_le32(image + DESCRIPTORS + 8, 2);
	put_le32(image + DESCRIPTORS + 12, 12);
	put_le32(image + DESCRIPTORS + 16, 1);
	image[61] = (15 - 10) << 3 | 1;
	for (int i = 0; i < NR; i++) {
		size_t n = pl_codec_deflate.encode(9, disc + (size_t)i * CHUNK, CHUNK, image + at,
						   CHUNK);

		put_entry(version, i, (uint32_t)n, 1);
		at += n;
	}
	put_le64(image + 48, at);
	bytes = at;
	seal();
}

TEST(images_in_view_read_as_their_tables_say)
{
	for (unsigned version = 1; version < 3; version++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		make_image(version);
		EXPECT_OK(try_bytes(image, bytes, NULL, &disk));
		EXPECT_STR(pl_format_of(disk)->info.name, "daa");
		expect_equal(disk, disc, SIZE);
		expect_whole_map(disk);
		expect_findings(disk, 0, 0);
	}
}

TEST(a_broken_header_is_refused_where_it_is_broken)
{
	static const struct {
		unsigned version;
		size_t at, n;
		uint64_t value;
		int code;
		size_t where;
	} fields[] = {
		{ 1, 16, 4, 75, -EUCLEAN, 16 },
		{ 1, 16, 4, 0xffffffff, -EUCLEAN, DESCRIPTORS + 20 },
		{ 1, 20, 4, 0x120, -ENOTSUP, 20 },
		{ 1, 24, 4, 0xffffffff, -EUCLEAN, 16 },
		{ 1, 24, 4, TABLE - 1, -EUCLEAN, 16 },
		{ 1, 36, 4, 0, -EUCLEAN, 36 },
		{ 1, 36, 4, 0xffffffff, -EUCLEAN, 36 },
		{ 1, 40, 8, 1ull << 63, -EFBIG, 40 },
		{ 1, 40, 8, 1ull << 50, -EUCLEAN, 40 },
		{ 1, 40, 8, 6 * CHUNK, -EUCLEAN, 40 },
		{ 2, 36, 4, 0, -EUCLEAN, 36 },
		{ 2, 36, 4, 0x4001, -ENOTSUP, 36 },
		{ 2, 36, 4, 0x1000001, -ENOTSUP, 36 },
		{ 2, 36, 4, 0x800001, -ENOTSUP, 36 },
		{ 2, 61, 1, 0xf8, -EUCLEAN, 61 },
		{ 2, 62, 1, 2, -ENOTSUP, 62 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint8_t value[8];

		make_image(fields[i].version);
		put_le64(value, fields[i].value);
		memcpy(image + fields[i].at, value, fields[i].n);
		seal();
		printf("# version %u, field at %zu\n", fields[i].version, fields[i].at);
		expect_refused(image, bytes, "daa", fields[i].code, fields[i].where);
	}
	make_image(1);
	image[30] = 1;
	expect_refused(image, bytes, "daa", -EUCLEAN, 72);
	make_image(1);
	expect_refused(image, 75, "daa", -EUCLEAN, 0);
	memcpy(image, "DAA VOL", 7);
	expect_refused(image, bytes, NULL, -ENOTSUP, 0);
	memcpy(image, "XAA", 4);
	expect_refused(image, bytes, "daa", -EUCLEAN, 0);
}

TEST(descriptors_are_followed_and_bounded)
{
	make_image(1);
	put_le32(image + DESCRIPTORS + 4, 7);
	expect_refused(image, bytes, "daa", -EUCLEAN, DESCRIPTORS);
	put_le32(image + DESCRIPTORS + 4, 21);
	expect_refused(image, bytes, "daa", -EUCLEAN, DESCRIPTORS);
	put_le32(image + DESCRIPTORS + 4, 8);
	put_le32(image + DESCRIPTORS + 8, 3);
	expect_refused(image, bytes, "daa", -ENOTSUP, DESCRIPTORS + 8);
	put_le32(image + DESCRIPTORS + 8, 2);
	put_le32(image + DESCRIPTORS + 16, 0);
	expect_refused(image, bytes, "daa", -EFBIG, DESCRIPTORS);
	put_le32(image + DESCRIPTORS + 16, 100000);
	expect_refused(image, bytes, "daa", -EFBIG, DESCRIPTORS);
	put_le32(image + DESCRIPTORS + 16, 2); /* the other cannot be reached from memory */
	expect_refused(image, bytes, "daa", -ENOTSUP, PLATTER_NO_OFFSET);
}

TEST(descriptors_without_end_are_refused)
{
	make_image(1);
	put_le32(image + 16, (uint32_t)sizeof image);
	for (size_t at = DESCRIPTORS; at + 8 <= sizeof image; at += 8) {
		put_le32(image + at, 1);
		put_le32(image + at + 4, 8);
	}
	seal();
	expect_refused(image, sizeof image, "daa", -EFBIG, DESCRIPTORS + 64 * 8);
}

TEST(chunks_that_are_not_there_are_told_of)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t byte;

	make_image(1);
	put_entry(1, 3, 5000, 1);
	EXPECT_OK(try_bytes(image, bytes, "daa", &disk));
	expect_findings(disk, 1, 0);
	EXPECT_EQ(pl_read(disk, &byte, 1, 3 * CHUNK, &err), -EUCLEAN);
	EXPECT_OK(pl_read(disk, &byte, 1, 0, &err));
}
