/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-asif.c - ASIF images in view, and with one field broken */
#include "images.h"

/* Chunks of 32 KiB: one group of 2048 chunks fills a table, which tells of 64 MiB. */
#define CHUNK      32768u
#define GROUP      2048u
#define TABLE_SPAN ((uint64_t)GROUP * CHUNK)
#define SIZE       (3 * TABLE_SPAN + 5 * 512)
#define DIR_A      512u
#define DIR_B      1024u
#define TABLE_0    (1 * CHUNK)
#define TABLE_3    (2 * CHUNK)
#define BITMAP     (3 * CHUNK)
#define DATA       (4 * CHUNK)
#define BYTES      (7 * CHUNK)

static uint8_t image[BYTES];

static void
put_entry(size_t table, size_t index, unsigned state, uint64_t chunk)
{
	put_be64(image + table + 8 * index, (uint64_t)state << 62 | chunk);
}

/* Chunk 1 is there, 2 unmapped, 3 partly valid; of table 3 the first is there, cut by the end. */
static void
make_image(void)
{
	memset(image, 0, sizeof image);
	memcpy(image, "shdw", 4);
	put_be32(image + 4, 1);
	put_be32(image + 8, 512);
	put_be64(image + 16, DIR_A);
	put_be64(image + 24, DIR_B);
	memset(image + 32, 'u', 16);
	put_be64(image + 48, SIZE / 512);
	put_be64(image + 56, 10 * TABLE_SPAN / 512);
	put_be32(image + 64, CHUNK);
	put_be16(image + 68, 512);
	put_be64(image + DIR_A, 7);
	put_be64(image + DIR_B, 8);
	put_be64(image + DIR_A + 8, 99); /* of before */
	put_be64(image + DIR_B + 8, TABLE_0 / CHUNK);
	put_be64(image + DIR_B + 8 + 3 * 8, TABLE_3 / CHUNK);
	put_entry(TABLE_0, 1, 1, DATA / CHUNK);
	put_entry(TABLE_0, 2, 2, 0);
	put_entry(TABLE_0, 3, 3, DATA / CHUNK + 1);
	put_entry(TABLE_0, GROUP, 1, BITMAP / CHUNK);
	put_entry(TABLE_3, 0, 1, DATA / CHUNK + 2);
	/* Sectors 0, 2, 3 and the last of chunk 3. */
	image[BITMAP + 3 * 16] = 0x51;
	image[BITMAP + 3 * 16 + 15] = 0x40;
	memset(image + DATA, 'b', CHUNK);
	memset(image + DATA + CHUNK, 'd', CHUNK);
	memset(image + DATA + 2 * CHUNK, 'z', CHUNK);
}

static uint8_t
byte_at(struct pl_disk *disk, uint64_t offset)
{
	uint8_t byte;

	EXPECT_OK(pl_read(disk, &byte, 1, offset, &err));
	return byte;
}

TEST(chunks_are_found_through_the_newer_directory)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t buf[CHUNK];
	struct pl_extent e;

	make_image();
	EXPECT_OK(try_bytes(image, BYTES, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "asif");
	EXPECT_EQ(disk->size, SIZE);
	EXPECT_EQ(byte_at(disk, CHUNK - 1), 0);
	EXPECT_OK(pl_read(disk, buf, CHUNK, CHUNK, &err));
	EXPECT_MEM(buf, image + DATA, CHUNK);
	EXPECT_EQ(byte_at(disk, 2 * CHUNK), 0);
	EXPECT_EQ(byte_at(disk, 3 * CHUNK), 'd');
	EXPECT_EQ(byte_at(disk, 3 * CHUNK + 512), 0);
	EXPECT_EQ(byte_at(disk, 3 * CHUNK + 1024), 'd');
	EXPECT_EQ(byte_at(disk, 3 * CHUNK + 2047), 'd');
	EXPECT_EQ(byte_at(disk, 3 * CHUNK + 2048), 0);
	EXPECT_EQ(byte_at(disk, 4 * CHUNK - 513), 0);
	EXPECT_EQ(byte_at(disk, 4 * CHUNK - 1), 'd');
	EXPECT_EQ(byte_at(disk, 4 * CHUNK), 0);
	EXPECT_EQ(byte_at(disk, 3 * TABLE_SPAN), 'z');
	EXPECT_EQ(byte_at(disk, SIZE - 1), 'z');
	EXPECT_OK(pl_map(disk, TABLE_SPAN + 5, SIZE, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	EXPECT_EQ(e.length, 2 * TABLE_SPAN - 5);
	expect_whole_map(disk);
}

TEST(the_older_directory_counts_when_the_newer_was_not_finished)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_image();
	memcpy(image + DIR_A + 8, image + DIR_B + 8, 80);
	put_be64(image + DIR_B, 6);
	put_be64(image + DIR_B + 8, 0);
	EXPECT_OK(try_bytes(image, BYTES, NULL, &disk));
	EXPECT_EQ(byte_at(disk, CHUNK), 'b');
}

TEST(a_broken_field_is_refused_where_it_is_broken)
{
	static const struct {
		size_t at;
		uint32_t value;
		int code;
	} fields[] = {
		{ 0, 0x73686478, -EUCLEAN },
		{ 4, 2, -ENOTSUP },
		{ 8, 1024, -ENOTSUP },
		{ 16, 1, -EUCLEAN },
		{ 28, 0, -EUCLEAN },
		{ 28, BYTES - 4, -EUCLEAN },
		{ 48, 1, -EUCLEAN },          /* more than it may grow to */
		{ 56, 0x00800000, -EUCLEAN }, /* more than any disk */
		{ 64, 0, -EUCLEAN },
		{ 64, 16384, -EUCLEAN }, /* a group does not fit */
		{ 64, CHUNK + 512, -EUCLEAN },
		{ 64, 128 << 20, -EUCLEAN },
		{ 68, 256 << 16, -EUCLEAN },
		{ 68, 1000 << 16, -EUCLEAN },
		{ 68, 512 << 16 | 1, -ENOTSUP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		size_t at = fields[i].at == 28 ? 24 : fields[i].at;

		if (fields[i].value == (512 << 16 | 1))
			at = 70;
		make_image();
		put_be32(image + fields[i].at, fields[i].value);
		printf("# field at %zu, %" PRIu32 "\n", fields[i].at, fields[i].value);
		expect_refused(image, BYTES, "asif", fields[i].code, at);
	}
	make_image();
	expect_refused(image, 511, "asif", -EUCLEAN, 0);
}

TEST(states_that_nobody_knows_are_refused_where_they_stand)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t bytes[6 * 512];

	make_image();
	put_entry(TABLE_0, 0, 0, 5);
	expect_unreadable(image, BYTES, "asif", 0, -ENOTSUP, TABLE_0);
	put_entry(TABLE_0, 0, 1, 0);
	expect_unreadable(image, BYTES, "asif", 0, -ENOTSUP, TABLE_0);
	put_entry(TABLE_0, 0, 2, 5);
	expect_unreadable(image, BYTES, "asif", 0, -ENOTSUP, TABLE_0);
	put_entry(TABLE_0, 0, 3, 0);
	expect_unreadable(image, BYTES, "asif", 0, -ENOTSUP, TABLE_0);
	put_entry(TABLE_0, 0, 1, 7);
	expect_unreadable(image, BYTES, "asif", 0, -EUCLEAN, TABLE_0);
	put_entry(TABLE_0, 0, 1, (UINT64_C(1) << 55) - 1);
	expect_unreadable(image, BYTES, "asif", 0, -EUCLEAN, TABLE_0);
	make_image();
	put_entry(TABLE_0, GROUP, 2, 0);
	expect_unreadable(image, BYTES, "asif", 3 * CHUNK, -ENOTSUP, TABLE_0 + 8 * GROUP);
	make_image();
	image[BITMAP + 3 * 16 + 1] = 0x20;
	expect_unreadable(image, BYTES, "asif", 3 * CHUNK + 6 * 512, -ENOTSUP, BITMAP + 3 * 16 + 1);
	/* What is in front of it can be read. */
	EXPECT_OK(try_bytes(image, BYTES, "asif", &disk));
	EXPECT_OK(pl_read(disk, bytes, sizeof bytes, 3 * CHUNK, &err));
	make_image();
	put_be64(image + DIR_B + 8, 7);
	expect_unreadable(image, BYTES, "asif", 0, -EUCLEAN, DIR_B + 8);
}

TEST(petabytes_cost_nothing)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_extent e;

	make_image();
	put_be64(image + 48, UINT64_C(1) << 40);
	put_be64(image + 56, UINT64_C(1) << 40);
	/* The directory of so many tables would pass the end of the file. */
	expect_refused(image, BYTES, "asif", -EUCLEAN, DIR_B + 8);
	put_be64(image + 48, UINT64_C(1) << 31);
	put_be64(image + 56, UINT64_C(1) << 31);
	memset(image + TABLE_0, 0, BYTES - TABLE_0);
	memset(image + DIR_B + 8, 0, TABLE_0 - DIR_B - 8);
	EXPECT_OK(try_bytes(image, BYTES, "asif", &disk));
	EXPECT_OK(pl_map(disk, 0, disk->size, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	EXPECT_EQ(e.length, disk->size);
}
