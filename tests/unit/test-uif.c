/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-uif.c - UIF: an image in view with one field broken */
#include "codec.h"
#include "images.h"

/* Pieces of two sectors: zlib, as it is, none, zeros, and a last one of a sector and a half by zlib. */
#define SECTOR 2048
#define PIECE  (2 * SECTOR)
#define NR     4
#define SIZE   (4 * PIECE + SECTOR + 1000)
#define TABLE  (4 * PIECE)
#define ENTRY  (TABLE + 16)
#define TAIL   (ENTRY + 24 * NR)
#define BYTES  (TAIL + 64)

static uint8_t image[BYTES], disc[5 * PIECE];

static void
put_entry(int i, uint32_t piece, uint64_t at, size_t stored, uint32_t type)
{
	uint8_t *e = image + ENTRY + (size_t)i * 24;

	put_le64(e, at);
	put_le32(e + 8, (uint32_t)stored);
	put_le32(e + 12, piece * 2);
	put_le32(e + 16, 2);
	put_le32(e + 20, type);
}

static void
make_image(void)
{
	const struct pl_codec *c = &pl_codec_zlib;
	size_t n;

	memset(image, 0, sizeof image);
	memset(disc, 0, sizeof disc);
	for (size_t i = 0; i < SIZE; i++)
		if (i < 2 * PIECE - 100 || i >= 4 * PIECE)
			disc[i] = (uint8_t)("to be or not to be "[i % 19] ^ (i >> 12));
	n = c->encode(6, disc, PIECE, image, PIECE);
	put_entry(1, 0, 0, n, 5);
	memcpy(image + PIECE, disc + PIECE, PIECE - 100);
	put_entry(0, 1, PIECE, PIECE - 100, 1);
	put_entry(2, 3, 0, 0, 3);
	n = c->encode(6, disc + 4 * PIECE, PIECE, image + 2 * PIECE, PIECE);
	put_entry(3, 4, 2 * PIECE, n, 5);
	memcpy(image + TABLE, "blhr", 4);
	put_le32(image + TABLE + 4, 24 * NR + 8);
	put_le32(image + TABLE + 12, NR);
	memcpy(image + TAIL, "bbis", 4);
	put_le16(image + TAIL + 8, 2);
	put_le16(image + TAIL + 10, 8);
	put_le32(image + TAIL + 16, SIZE / SECTOR + 1);
	put_le32(image + TAIL + 20, SECTOR);
	put_le32(image + TAIL + 24, SIZE % SECTOR);
	put_le64(image + TAIL + 28, TABLE);
}

TEST(an_image_in_view_reads_as_its_table_says)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_extent e;

	make_image();
	EXPECT_OK(try_bytes(image, BYTES, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "uif");
	expect_equal(disk, disc, SIZE);
	expect_whole_map(disk);
	expect_findings(disk, 0, 0);
	/* The end of a piece as it is, one that no entry tells of, and zeros. */
	EXPECT_OK(pl_map(disk, 2 * PIECE - 100, SIZE, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_ZERO);
	EXPECT_EQ(e.length, 2 * PIECE + 100);
}

TEST(a_broken_field_is_refused_where_it_is)
{
	static const struct {
		size_t at, n;
		uint64_t value;
		int code;
		size_t where;
	} fields[] = {
		{ TAIL, 4, 0, -EUCLEAN, TAIL },
		{ TAIL + 20, 4, 0, -EUCLEAN, TAIL + 20 },
		{ TAIL + 20, 4, 0xffffffff, -EUCLEAN, TAIL + 20 },
		{ TAIL + 24, 4, SECTOR + 1, -EUCLEAN, TAIL + 24 },
		{ TAIL + 28, 8, TAIL - 8, -EUCLEAN, TAIL + 28 },
		{ TAIL + 28, 8, 1ull << 63, -EUCLEAN, TAIL + 28 },
		{ TAIL + 28, 8, 16, -EUCLEAN, 16 },
		{ TAIL + 56, 1, 16, -ENOTSUP, TAIL + 56 },
		{ TAIL + 57, 1, 2, -ENOTSUP, TAIL + 57 },
		{ TABLE, 4, 0x72647362, -ENOTSUP, TABLE },
		{ TABLE + 4, 4, 7, -EUCLEAN, TABLE + 4 },
		{ TABLE + 12, 4, NR + 1, -EUCLEAN, TABLE + 16 },
		{ TABLE + 12, 4, 0xffffffff, -EFBIG, TABLE + 12 },
		{ ENTRY + 12, 4, 1, -EUCLEAN, TABLE },
		{ ENTRY + 16, 4, 0xffffffff, -EUCLEAN, TABLE },
		{ ENTRY + 20, 4, 2, -ENOTSUP, TABLE },
		{ ENTRY + 24 + 16, 4, 40000, -EFBIG, TABLE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint8_t value[8];

		make_image();
		put_le64(value, fields[i].value);
		memcpy(image + fields[i].at, value, fields[i].n);
		printf("# field at %zu\n", fields[i].at);
		expect_refused(image, BYTES, "uif", fields[i].code, fields[i].where);
	}
	expect_refused(image, 63, "uif", -EUCLEAN, 0);
}

TEST(a_compressed_table_that_is_damaged_is_told)
{
	make_image();
	put_le32(image + TABLE + 8, 1);
	EXPECT(try_bytes(image, BYTES, "uif", &(struct pl_disk *){ NULL }) == -EUCLEAN);
	EXPECT(strstr(err.message, "table of pieces"));
}

TEST(pieces_outside_of_the_file_or_of_the_disc_are_told_of)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOUNREF struct pl_disk *other = NULL;
	uint8_t byte;

	make_image();
	put_le64(image + ENTRY, TAIL);
	EXPECT_OK(try_bytes(image, BYTES, "uif", &disk));
	expect_findings(disk, 1, 0);
	EXPECT_EQ(pl_read(disk, &byte, 1, PIECE, &err), -EUCLEAN);
	EXPECT_EQ(err.offset, TAIL);
	make_image();
	put_le32(image + ENTRY + 3 * 24 + 12, 100);
	EXPECT_OK(try_bytes(image, BYTES, "uif", &other));
	expect_findings(other, 1, 0);
}
