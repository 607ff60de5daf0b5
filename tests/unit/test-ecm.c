/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-ecm.c - ECM: records in view, broken byte by byte, and many of them */
#include <fcntl.h>
#include <unistd.h>

#include "images.h"
#include "sector.h"
#include "storage.h"
#include "text.h"

#define ROOM MIB(2)

static uint8_t image[ROOM], disc[ROOM];
static size_t bytes, size;

static void
begin(void)
{
	memcpy(image, "ECM", 4);
	bytes = 4;
	size = 0;
}

static void
add_header(unsigned type, uint32_t count)
{
	uint32_t left = count - 1;

	image[bytes] = (uint8_t)(type | (left & 0x1f) << 2);
	for (left >>= 5; left; left >>= 7) {
		image[bytes++] |= 0x80;
		image[bytes] = left & 0x7f;
	}
	bytes++;
}

static void
add_bytes(uint32_t n)
{
	add_header(0, n);
	for (uint32_t i = 0; i < n; i++)
		image[bytes++] = disc[size++] = (uint8_t)rnd(256);
}

static void
add_sectors(unsigned type, uint32_t n)
{
	static const enum pl_sector_kind kinds[] = { PL_SECTOR_UNKNOWN, PL_SECTOR_MODE1,
						     PL_SECTOR_FORM1, PL_SECTOR_FORM2 };
	size_t sub = type == 1 ? 3 : 4, data = type == 3 ? 2324 : 2048;

	add_header(type, n);
	for (uint32_t i = 0; i < n; i++) {
		uint8_t s[PL_SECTOR_RAW];

		pl_sector_put_header(s, (int64_t)rnd(300000), type == 1 ? 1 : 2);
		for (size_t k = 16; k < PL_SECTOR_RAW; k++)
			s[k] = (uint8_t)rnd(256);
		memcpy(s + 16, s + 20, type == 1 ? 0 : 4);
		pl_sector_protect(s, kinds[type]);
		memcpy(image + bytes, s + (type == 1 ? 12 : 20), sub);
		memcpy(image + bytes + sub, s + (type == 1 ? 16 : 24), data);
		bytes += sub + data;
		memcpy(disc + size, s + (type == 1 ? 0 : 16), type == 1 ? 2352 : 2336);
		size += type == 1 ? 2352 : 2336;
	}
}

static void
end(void)
{
	static const uint8_t mark[] = { 0xfc, 0xff, 0xff, 0xff, 0x3f };

	memcpy(image + bytes, mark, sizeof mark);
	put_le32(image + bytes + sizeof mark, pl_sector_edc(0, disc, size));
	bytes += sizeof mark + 4;
}

/* What the records say, and not the disc that its sectors are. */
static int
open_alone(struct pl_disk **ret)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_open_request request = { 0 };

	EXPECT_OK(pl_memory_new(image, bytes, "image", &file, &err));
	request.file = file;
	return pl_format_by_name("ecm")->open(&request, ret, &err);
}

static void
expect_whole(void)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	EXPECT_OK(open_alone(&disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "ecm");
	expect_equal(disk, disc, size);
	expect_whole_map(disk);
	expect_findings(disk, 0, 0);
}

TEST(records_of_every_type_and_length_read_as_the_disc)
{
	begin();
	add_bytes(3);
	add_sectors(1, 90);
	add_bytes(70000);
	add_sectors(2, 33);
	add_sectors(3, 40);
	add_bytes(1);
	end();
	expect_whole();
	for (unsigned type = 1; type < 4; type++) {
		begin();
		add_sectors(type, 100);
		end();
		expect_whole();
	}
	begin();
	add_bytes(600000);
	end();
	expect_whole();
}

TEST(tiny_records_read_as_the_disc)
{
	begin();
	for (int i = 0; i < 300000; i++)
		add_bytes(1);
	end();
	expect_whole();
}

TEST(long_bytes_are_mapped_as_they_are)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_extent e;

	begin();
	add_bytes(600000);
	end();
	EXPECT_OK(open_alone(&disk));
	EXPECT_OK(pl_map(disk, KIB(64), 600000, &e, &err));
	EXPECT(!e.decoder);
	EXPECT_EQ(e.length, 600000 - KIB(64));
}

TEST(an_empty_disc_opens)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	begin();
	end();
	EXPECT_OK(open_alone(&disk));
	EXPECT_EQ(disk->size, 0);
	expect_findings(disk, 0, 0);
}

TEST(what_is_cut_or_counts_too_far_is_refused_where_it_begins)
{
	size_t last;

	begin();
	add_bytes(10);
	last = bytes;
	add_sectors(1, 2);
	end();
	expect_refused(image, 3, "ecm", -EUCLEAN, 4);
	expect_refused(image, 4, "ecm", -EUCLEAN, 4);
	expect_refused(image, 8, "ecm", -EUCLEAN, 4);
	expect_refused(image, bytes - 4 - 5 - 1, "ecm", -EUCLEAN, last);
	expect_refused(image, bytes - 4 - 1, "ecm", -EUCLEAN, bytes - 9);
	expect_refused(image, bytes - 1, "ecm", -EUCLEAN, bytes - 4);
	image[last] = image[last + 1] = image[last + 2] = image[last + 3] = 0xff;
	image[last + 4] = 0x7f; /* 35 bits */
	expect_refused(image, bytes, "ecm", -EUCLEAN, last);
	image[last + 4] = 0xbf; /* six bytes */
	expect_refused(image, bytes, "ecm", -EUCLEAN, last);
	image[last + 5] = 0; /* though there is nothing in the last one */
	expect_refused(image, bytes, "ecm", -EUCLEAN, last);
	image[0] = 'X';
	expect_refused(image, bytes, "ecm", -EUCLEAN, 0);
}

/* A file of holes holds a disc as large as it likes. */
TEST(what_is_noted_of_a_disc_is_bounded)
{
	static const uint8_t head[] = { 0xfc, 0xff, 0xff, 0xff, 0x1f }; /* 2^31 bytes as they are */
	PL_AUTOFREE char *path = pl_format("%s/huge", pl_test_folder());
	PL_AUTOUNREF struct pl_disk *file = NULL, *disk = NULL;
	struct pl_open_request request = { 0 };
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	off_t at = 4;

	EXPECT(fd >= 0 && pwrite(fd, "ECM", 4, 0) == 4);
	for (int i = 0; i < 65; i++, at += (off_t)sizeof head + (off_t)GIB(2))
		EXPECT(pwrite(fd, head, sizeof head, at) == sizeof head);
	EXPECT(ftruncate(fd, at + 10) == 0 && close(fd) == 0);
	EXPECT_OK(pl_storage_open(path, 0, &file, &err));
	request.file = file;
	EXPECT_EQ(pl_format_by_name("ecm")->open(&request, &disk, &err), -EFBIG);
	EXPECT(strstr(err.message, "137438953472"));
}

TEST(a_changed_byte_is_found_by_the_edc)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	begin();
	add_sectors(2, 3);
	add_bytes(100);
	end();
	image[100] ^= 1;
	EXPECT_OK(open_alone(&disk));
	expect_findings(disk, 1, 0);
}
