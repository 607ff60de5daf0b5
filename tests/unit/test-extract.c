/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-extract.c - files inside copied out: nothing leaves the folder, whatever they are called */
#include "extract.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content.h"
#include "test.h"
#include "text.h"

static struct platter_error err = PLATTER_ERROR_INIT;

#define IMAGE 4096

/* A romfs whose root has the given entries, each a file of one byte; folders are empty. */
struct entry {
	const char *name;
	unsigned type; /* 1 folder, 2 file, 3 symbolic link to `target` */
	const char *target;
};

static void
make_romfs(uint8_t image[static IMAGE], const struct entry *entries, size_t nr)
{
	unsigned at = 64;

	memset(image, 0, IMAGE);
	memcpy(image, "-rom1fs-", 8);
	put_be32(image + 8, IMAGE);
	put_be32(image + 32, 9); /* the root, "." */
	put_be32(image + 36, at);
	image[48] = '.';
	for (size_t i = 0; i < nr; i++) {
		size_t name = pl_round_up(strlen(entries[i].name) + 1, 16);
		const char *bytes = entries[i].target ? entries[i].target : "x";
		unsigned next = (unsigned)(at + 16 + name + 64);

		put_be32(image + at, (i + 1 < nr ? next : 0) | entries[i].type);
		put_be32(image + at + 8, entries[i].type == 1 ? 0 : (uint32_t)strlen(bytes));
		memcpy(image + at + 16, entries[i].name, strlen(entries[i].name));
		memcpy(image + at + 16 + name, bytes, strlen(bytes));
		at = next;
	}
}

static void
ignore_note(const struct platter_extract_note *note, void *closure)
{
	(void)note;
	++*(unsigned *)closure;
}

static void
extract(const struct entry *entries, size_t nr, const char *folder, bool overwrite,
	struct platter_extract_result *ret)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	unsigned notes = 0;
	struct platter_extract_options options = {
		.size = sizeof options,
		.overwrite = overwrite,
		.note = ignore_note,
		.closure = &notes,
	};
	uint8_t image[IMAGE];

	make_romfs(image, entries, nr);
	EXPECT_OK(pl_memory_new(image, sizeof image, "disk", &disk, &err));
	EXPECT_OK(pl_volume_open(disk, "romfs", NULL, 0, &v, &err));
	*ret = (struct platter_extract_result){ 0 };
	EXPECT_OK(pl_extract(v, v->root, NULL, folder, &options, NULL, ret, &err));
	EXPECT_EQ(notes, ret->renamed + ret->skipped + ret->failed + ret->incomplete);
}

static bool
exists(const char *folder, const char *name)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", folder, name);
	struct stat st;

	return path && lstat(path, &st) == 0;
}

TEST(names_that_would_lead_out_are_changed)
{
	static const struct entry entries[] = {
		{ "../out", 2, NULL },
		{ "/etc/out", 2, NULL },
		{ "a/../../out", 2, NULL },
		{ "fine", 2, NULL },
	};
	PL_AUTOFREE char *folder = pl_format("%s/in", pl_test_folder());
	struct platter_extract_result result;

	extract(entries, ARRAY_SIZE(entries), folder, false, &result);
	EXPECT_EQ(result.files, 4);
	EXPECT_EQ(result.renamed, 3);
	EXPECT(!exists(pl_test_folder(), "out"));
	EXPECT(exists(folder, ".._out"));
	EXPECT(exists(folder, "_etc_out"));
	EXPECT(exists(folder, "a_.._.._out"));
	EXPECT(exists(folder, "fine"));
}

TEST(names_that_are_there_twice_are_changed)
{
	static const struct entry entries[] = { { "a", 2, NULL },
						{ "a", 2, NULL },
						{ "a", 1, NULL } };
	PL_AUTOFREE char *folder = pl_format("%s/in", pl_test_folder());
	struct platter_extract_result result;

	extract(entries, ARRAY_SIZE(entries), folder, false, &result);
	EXPECT_EQ(result.files, 2);
	EXPECT_EQ(result.folders, 1);
	EXPECT_EQ(result.renamed, 2);
	EXPECT(exists(folder, "a") && exists(folder, "a~2") && exists(folder, "a~3"));
}

TEST(no_link_is_followed_to_write)
{
	/* The link comes first; what follows wants to go through it, or to replace it. */
	static const struct entry entries[] = { { "link", 3, ".." },
						{ "link", 1, NULL },
						{ "link", 2, NULL } };
	PL_AUTOFREE char *folder = pl_format("%s/in", pl_test_folder());
	PL_AUTOFREE char *outside = pl_format("%s/there", pl_test_folder());
	PL_AUTOFREE char *link = pl_format("%s/in/a", pl_test_folder());
	struct platter_extract_result result;

	extract(entries, ARRAY_SIZE(entries), folder, false, &result);
	EXPECT_EQ(result.links, 1);
	EXPECT_EQ(result.files, 1);
	EXPECT_EQ(result.folders, 1);

	/* One that was there before: a folder of that name is not made behind it. */
	EXPECT_EQ(mkdir(outside, 0700), 0);
	EXPECT_EQ(symlink(outside, link), 0);
	extract((const struct entry[]){ { "a", 1, NULL } }, 1, folder, false, &result);
	EXPECT_EQ(result.failed, 1);
	extract((const struct entry[]){ { "a", 2, NULL } }, 1, folder, false, &result);
	EXPECT_EQ(result.skipped, 1);
	extract((const struct entry[]){ { "a", 2, NULL } }, 1, folder, true, &result);
	EXPECT_EQ(result.files, 1);
	EXPECT_EQ(rmdir(outside), 0); /* nothing was put there */
}

TEST(files_that_exist_stay_unless_they_may_be_replaced)
{
	static const struct entry entries[] = { { "a", 2, NULL } };
	PL_AUTOFREE char *folder = pl_format("%s/in", pl_test_folder());
	PL_AUTOFREE char *path = pl_format("%s/in/a", pl_test_folder());
	struct platter_extract_result result;
	struct stat st;
	int fd;

	EXPECT_EQ(mkdir(folder, 0700), 0);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	EXPECT_EQ(write(fd, "long", 4), 4);
	EXPECT_EQ(close(fd), 0);
	extract(entries, 1, folder, false, &result);
	EXPECT_EQ(result.skipped, 1);
	EXPECT_EQ(stat(path, &st), 0);
	EXPECT_EQ(st.st_size, 4);
	extract(entries, 1, folder, true, &result);
	EXPECT_EQ(result.files, 1);
	EXPECT_EQ(stat(path, &st), 0);
	EXPECT_EQ(st.st_size, 1);
}

TEST(contents_past_the_end_are_told_and_leave_no_file)
{
	PL_AUTOFREE char *folder = pl_format("%s/in", pl_test_folder());
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct platter_extract_options options = { .size = sizeof options };
	struct platter_extract_result result = { 0 };
	uint8_t image[IMAGE];

	make_romfs(image, (const struct entry[]){ { "good", 2, NULL }, { "bad", 2, NULL } }, 2);
	put_be32(image + 64 + 96 + 8, 100 << 20);
	EXPECT_OK(pl_memory_new(image, sizeof image, "disk", &disk, &err));
	EXPECT_OK(pl_volume_open(disk, "romfs", NULL, 0, &v, &err));
	EXPECT_OK(pl_extract(v, v->root, NULL, folder, &options, NULL, &result, &err));
	EXPECT_EQ(result.files, 1);
	EXPECT_EQ(result.failed, 1);
	EXPECT(exists(folder, "good") && !exists(folder, "bad"));
	EXPECT_EQ(unlinkat(AT_FDCWD, folder, AT_REMOVEDIR), -1);
	{
		PL_AUTOFREE char *good = pl_format("%s/good", folder);

		EXPECT_EQ(unlink(good), 0);
	}
	EXPECT_EQ(rmdir(folder), 0); /* no part of it is left behind */
}
