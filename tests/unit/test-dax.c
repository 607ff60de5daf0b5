/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-dax.c - DAX: an image in view with one field broken */
#include "codec.h"
#include "images.h"

/* Three frames and a half; the second is as it is. */
#define FRAME   8192
#define NR      4
#define SIZE    (3 * FRAME + 4096)
#define LENGTHS (32 + 4 * NR)
#define AREAS   (LENGTHS + 2 * NR)
#define DATA    (AREAS + 8)

static uint8_t image[DATA + NR * FRAME], disc[NR * FRAME];
static size_t bytes;

static void
make_image(void)
{
	size_t at = DATA;

	memset(image, 0, sizeof image);
	memset(disc, 0, sizeof disc);
	for (size_t i = 0; i < SIZE; i++)
		disc[i] = (uint8_t)("to be or not to be "[i % 19] ^ (i >> 12));
	memcpy(image, "DAX", 4);
	put_le32(image + 4, SIZE);
	put_le32(image + 8, 1);
	put_le32(image + 12, 1);
	put_le32(image + AREAS, 1);
	put_le32(image + AREAS + 4, 1);
	for (size_t i = 0; i < NR; i++) {
		size_t n = FRAME;

		if (i == 1)
			memcpy(image + at, disc + i * FRAME, FRAME);
		else
			n = pl_codec_zlib.encode(6, disc + i * FRAME, FRAME, image + at, FRAME);
		put_le32(image + 32 + 4 * i, (uint32_t)at);
		put_le16(image + LENGTHS + 2 * i, (uint16_t)n);
		at += n;
	}
	bytes = at;
}

TEST(an_image_in_view_reads_as_its_tables_say)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_image();
	EXPECT_OK(try_bytes(image, bytes, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "dax");
	expect_equal(disk, disc, SIZE);
	expect_whole_map(disk);
	expect_findings(disk, 0, 0);
}

TEST(a_broken_header_is_refused_where_it_is_broken)
{
	static const struct {
		size_t at;
		uint32_t value;
		int code;
		size_t where;
	} fields[] = {
		{ 0, 0, -EUCLEAN, 0 },
		{ 4, 0xffffffff, -EUCLEAN, 32 },
		{ 8, 2, -ENOTSUP, 8 },
		{ 12, 5, -EUCLEAN, 12 },
		{ 12, 0xffffffff, -EUCLEAN, 12 },
		{ AREAS, 4, -EUCLEAN, AREAS },
		{ AREAS + 4, 4, -EUCLEAN, AREAS },
		{ AREAS + 4, 0xffffffff, -EUCLEAN, AREAS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		make_image();
		put_le32(image + fields[i].at, fields[i].value);
		printf("# field at %zu\n", fields[i].at);
		expect_refused(image, bytes, "dax", fields[i].code, fields[i].where);
	}
	make_image();
	put_le32(image + 12, 2);
	put_le32(image + DATA, 1); /* the second area is the same as the first */
	put_le32(image + DATA + 4, 1);
	expect_refused(image, bytes, "dax", -EUCLEAN, DATA);
	expect_refused(image, 31, "dax", -EUCLEAN, 0);
}

TEST(frames_outside_of_the_file_are_told_of)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_image();
	put_le32(image + 32 + 8, (uint32_t)bytes);
	expect_unreadable(image, bytes, "dax", 2 * FRAME, -EUCLEAN, 32 + 8);
	EXPECT_OK(try_bytes(image, bytes, "dax", &disk));
	expect_findings(disk, 1, 0);
}
