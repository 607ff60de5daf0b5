/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-api.c - the library as a program sees it, through its public headers */
#include <errno.h>
#include <platter/platter.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

/* A raw image of n bytes that count up. */
static const char *
make_raw(size_t n)
{
	FILE *f;

	EXPECT_EQ(chdir(pl_test_folder()), 0);
	f = fopen("disk.img", "w");
	EXPECT(f);
	for (size_t i = 0; i < n; i++)
		putc((int)(i & 0xff), f);
	EXPECT_EQ(fclose(f), 0);
	return "disk.img";
}

static struct platter_disk *
open_to_write(const char *place)
{
	struct platter_open_options options = { .size = sizeof options,
						.flags = PLATTER_OPEN_WRITE };
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_disk *disk;

	EXPECT_OK(platter_open(place, &options, &disk, &err));
	return disk;
}

TEST(a_disk_has_the_size_that_it_has)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_disk *disk = open_to_write(make_raw(4096));
	struct stat st;

	EXPECT_EQ(platter_size(disk), 4096);
	EXPECT_EQ(platter_write(disk, "xy", 2, 4095, &err), -ERANGE);
	EXPECT_EQ(platter_zero(disk, 0, 4097, &err), -ERANGE);
	EXPECT_EQ(platter_discard(disk, 1, UINT64_MAX, &err), -ERANGE);
	EXPECT_EQ(platter_read(disk, &st, 1, 4096, &err), -ERANGE);
	EXPECT_OK(platter_read(disk, &st, 0, 4096, &err));
	EXPECT_OK(platter_write(disk, "xy", 2, 4094, &err));
	platter_close(disk);
	EXPECT_EQ(stat("disk.img", &st), 0);
	EXPECT_EQ(st.st_size, 4096);
}

TEST(a_disk_opened_to_read_cannot_be_written)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_disk *disk;

	EXPECT_OK(platter_open(make_raw(4096), NULL, &disk, &err));
	EXPECT_EQ(platter_write(disk, "x", 1, 0, &err), -EROFS);
	EXPECT_EQ(platter_zero(disk, 0, 1, &err), -EROFS);
	platter_close(disk);
}

TEST(options_of_older_and_newer_callers_are_told_apart)
{
	struct {
		struct platter_open_options known;
		uint64_t later;
	} newer = { .known = { .size = sizeof newer } };
	struct platter_open_options older = { .size = offsetof(struct platter_open_options,
							       format) };
	struct platter_error err = PLATTER_ERROR_INIT;
	const char *place = make_raw(512);
	struct platter_disk *disk;

	EXPECT_OK(platter_open(place, &older, &disk, &err));
	platter_close(disk);
	EXPECT_OK(platter_open(place, &newer.known, &disk, &err));
	platter_close(disk);
	newer.later = 1;
	EXPECT_EQ(platter_open(place, &newer.known, &disk, &err), -EINVAL);
	older.size = 0;
	EXPECT_EQ(platter_open(place, &older, &disk, &err), -EINVAL);
}

TEST(an_image_made_empty_is_written_and_read_back)
{
	struct platter_create_options options = { .size = sizeof options };
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_extent extent;
	struct platter_disk *disk;
	char buf[8];

	EXPECT_EQ(chdir(pl_test_folder()), 0);
	EXPECT_OK(platter_create_empty("new.qcow2", 1 << 20, &options, &err));
	EXPECT_EQ(platter_create_empty("new.qcow2", 1 << 20, &options, &err), -EEXIST);
	disk = open_to_write("new.qcow2");
	EXPECT_STR(platter_format_name(disk), "qcow2");
	EXPECT_OK(platter_map(disk, 0, UINT64_MAX, &extent, &err));
	EXPECT_EQ(extent.kind, PLATTER_HOLE);
	EXPECT_EQ(extent.length, 1 << 20);
	EXPECT_OK(platter_write(disk, "platter", 8, 99999, &err));
	EXPECT_OK(platter_flush(disk, &err));
	platter_close(disk);

	EXPECT_OK(platter_open("new.qcow2", NULL, &disk, &err));
	EXPECT_OK(platter_read(disk, buf, 8, 99999, &err));
	EXPECT_STR(buf, "platter");
	EXPECT_OK(platter_map(disk, 99999, 10, &extent, &err));
	EXPECT_EQ(extent.kind, PLATTER_DATA);
	EXPECT_EQ(extent.length, 10);
	EXPECT(!extent.compressed);
	platter_close(disk);
}

TEST(an_error_is_an_answer_and_null_is_allowed)
{
	struct platter_disk *disk;

	EXPECT_EQ(platter_open("/nonexistent/disk.img", NULL, &disk, NULL), -ENOENT);
	EXPECT_EQ(platter_open(NULL, NULL, &disk, NULL), -EINVAL);
	platter_close(NULL);
	platter_description_free(NULL);
}
