/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-dc42.c - floppies of Disk Copy 4.2: one in view with one field broken */
#include "images.h"

#define BLOCKS 6
#define SIZE   (BLOCKS * 512)

static uint8_t image[84 + SIZE + BLOCKS * 12];

/* As the note of Apple's says: add 2 bytes, rotate right by a bit. */
static uint32_t
sum_of(const uint8_t *bytes, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i += 2) {
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
		sum = (sum & 1) << 31 | sum >> 1;
	}
	return sum;
}

static void
make_image(void)
{
	memset(image, 0, sizeof image);
	memcpy(image, "\6A disk", 7);
	for (size_t i = 0; i < SIZE; i++)
		image[84 + i] = (uint8_t)(i * 7 >> 3);
	put_be32(image + 64, SIZE);
	put_be32(image + 68, BLOCKS * 12);
	put_be32(image + 72, sum_of(image + 84, SIZE));
	image[80] = 1;
	put_be16(image + 82, 0x100);
}

TEST(a_floppy_reads_as_its_bytes)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_image();
	EXPECT_OK(try_bytes(image, sizeof image, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "dc42");
	expect_equal(disk, image + 84, SIZE);
	expect_whole_map(disk);
	expect_findings(disk, 0, 0);
}

TEST(a_floppy_without_tags_is_one_too)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_image();
	put_be32(image + 68, 0);
	EXPECT_OK(try_bytes(image, 84 + SIZE, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "dc42");
	expect_equal(disk, image + 84, SIZE);
}

TEST(a_broken_header_is_refused_where_it_is_broken)
{
	static const struct {
		size_t at;
		uint32_t value;
	} fields[] = {
		{ 64, 0 },
		{ 64, 511 },
		{ 64, SIZE + 512 },
		{ 64, UINT32_MAX - 511 },
		{ 68, BLOCKS * 12 - 1 },
		{ 80, 0x01220101 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		make_image();
		put_be32(image + fields[i].at, fields[i].value);
		/* Tags that are for another size of the disk are what does not fit then. */
		if (fields[i].value == SIZE + 512)
			put_be32(image + 68, (BLOCKS + 1) * 12);
		expect_refused(image, sizeof image, "dc42", -EUCLEAN,
			       fields[i].at == 80 ? 82 : fields[i].at);
	}
	make_image();
	image[0] = 64;
	expect_refused(image, sizeof image, "dc42", -EUCLEAN, 0);
	make_image();
	expect_refused(image, 83, "dc42", -EUCLEAN, 0);
	expect_refused(image, sizeof image - 1, "dc42", -EUCLEAN, 64);
}

TEST(a_file_of_another_length_is_not_taken_for_one)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_image();
	EXPECT_OK(try_bytes(image, sizeof image - 1, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "raw");
}

TEST(a_wrong_checksum_is_found)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_image();
	image[84 + 1000] ^= 1;
	EXPECT_OK(try_bytes(image, sizeof image, NULL, &disk));
	expect_findings(disk, 1, 0);
}
