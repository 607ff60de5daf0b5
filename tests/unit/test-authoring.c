/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-authoring.c - what discs and disks are made of: sources, tools, types, compositions */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compose.h"
#include "epoch.h"
#include "fat-names.h"
#include "fdisk.h"
#include "mkfs.h"
#include "source.h"
#include "target.h"
#include "test.h"
#include "text.h"
#include "tool.h"
#include "xfs-proto.h"

static const struct {
	const char *pattern, *path;
	bool means;
} patterns[] = {
	{ "a", "a", true },           { "a", "x/a", true },      { "a", "x/a/y", true },
	{ "a", "ab", false },         { "*.o", "x/y.o", true },  { "*.o", "x.o/y", true },
	{ "/a", "a", true },          { "/a", "x/a", false },    { "x/a", "x/a", true },
	{ "x/a", "x/a/below", true }, { "x/a", "y/x/a", false }, { "x/*", "x/a/b", true },
	{ "*/a", "x/y/a", false },    { "x/a", "x/ab", false },
};

TEST(patterns_mean_names_or_paths)
{
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
		if (pl_pattern_means(patterns[i].pattern, patterns[i].path) != patterns[i].means)
			pl_test_fail(__FILE__, __LINE__, "'%s' and '%s'", patterns[i].pattern,
				     patterns[i].path);
}

TEST(an_epoch_is_seconds_or_refused)
{
	static const char *const wrong[] = {
		"x", "-1", "1x", " 1", "99999999999999999999", "253402300800"
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	int64_t epoch;

	unsetenv("SOURCE_DATE_EPOCH");
	EXPECT_OK(pl_epoch(&epoch, &err));
	EXPECT_EQ(epoch, -1);
	setenv("SOURCE_DATE_EPOCH", "0", 1);
	EXPECT_OK(pl_epoch(&epoch, &err));
	EXPECT_EQ(epoch, 0);
	setenv("SOURCE_DATE_EPOCH", "253402300799", 1);
	EXPECT_OK(pl_epoch(&epoch, &err));
	EXPECT_EQ(epoch, 253402300799);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		setenv("SOURCE_DATE_EPOCH", wrong[i], 1);
		EXPECT_EQ(pl_epoch(&epoch, &err), -EINVAL);
	}
	unsetenv("SOURCE_DATE_EPOCH");
}

TEST(identifiers_follow_from_an_epoch)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	uint8_t a[16], b[16];

	EXPECT_OK(pl_derive_guid(7, "x", a, &err));
	EXPECT_OK(pl_derive_guid(7, "x", b, &err));
	EXPECT_MEM(a, b, 16);
	EXPECT_OK(pl_derive_guid(7, "y", b, &err));
	EXPECT(memcmp(a, b, 16) != 0);
	EXPECT_OK(pl_derive_guid(8, "x", b, &err));
	EXPECT(memcmp(a, b, 16) != 0);
	EXPECT_EQ(a[7] >> 4, 4);
	EXPECT_EQ(a[8] >> 6, 2);
	EXPECT_OK(pl_derive_guid(-1, "x", a, &err));
	EXPECT_OK(pl_derive_guid(-1, "x", b, &err));
	EXPECT(memcmp(a, b, 16) != 0);
}

TEST(types_have_names_in_both_tables)
{
	EXPECT_STR(pl_partition_type("efi", true), "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
	EXPECT_STR(pl_partition_type("EFI", false), "ef");
	EXPECT_STR(pl_partition_type("8e", false), "8e");
	EXPECT(!pl_partition_type("msreserved", false));
}

static void
make_file(const char *folder, const char *name, size_t n)
{
	char *path = pl_format("%s/%s", folder, name);
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	EXPECT(fd >= 0 && ftruncate(fd, (off_t)n) == 0);
	close(fd);
	free(path);
}

TEST(a_source_is_sorted_and_knows_names_of_one_file)
{
	const char *const excluded[] = { "gone" };
	const struct pl_exclude exclude = { excluded, 1 };
	const char *folder = pl_test_folder();
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_source *source;
	const struct pl_item *b, *z;
	char *one = pl_format("%s/b", folder), *two = pl_format("%s/d/z", folder);
	char *below = pl_format("%s/d", folder), *path;

	make_file(folder, "c", 10);
	make_file(folder, "b", 100);
	make_file(folder, "gone", 1);
	EXPECT_EQ(mkdir(below, 0755), 0);
	EXPECT_EQ(link(one, two), 0);
	EXPECT_OK(pl_source_open(folder, &exclude, NULL, &source, &err));
	EXPECT_EQ(source->root.nr_items, 3);
	EXPECT_STR(source->root.items[0].name, "b");
	EXPECT_STR(source->root.items[2].name, "d");
	EXPECT_EQ(source->nr_files, 3);
	EXPECT_EQ(source->nr_folders, 1);
	EXPECT_EQ(source->bytes, 110);
	b = pl_source_find(source, "/b");
	z = pl_source_find(source, "d//z");
	EXPECT(b && z && b->serial == z->serial);
	EXPECT(!pl_source_find(source, "d/b"));
	path = pl_item_path(z);
	EXPECT_STR(path, "d/z");
	free(path);
	pl_source_close(source);
	EXPECT_EQ(pl_source_open(one, &exclude, NULL, &source, &err), -ENOENT);
	free(one);
	free(two);
	free(below);
}

TEST(a_file_that_became_shorter_is_told)
{
	const struct pl_exclude none = { 0 };
	const char *folder = pl_test_folder();
	struct platter_error err = PLATTER_ERROR_INIT;
	char *path = pl_format("%s/f", folder);
	struct pl_item_file file;
	struct pl_source *source;
	uint8_t buf[100];

	make_file(folder, "f", 100);
	EXPECT_OK(pl_source_open(folder, &none, NULL, &source, &err));
	EXPECT_EQ(truncate(path, 50), 0);
	EXPECT_OK(pl_item_open(source, pl_source_find(source, "f"), &file, &err));
	EXPECT_OK(pl_item_read(source, &file, buf, 50, 0, &err));
	EXPECT_EQ(pl_item_read(source, &file, buf, 100, 0, &err), -EAGAIN);
	pl_item_close(&file);
	EXPECT_EQ(unlink(path), 0);
	EXPECT_EQ(mkfifo(path, 0600), 0);
	EXPECT_EQ(pl_item_open(source, pl_source_find(source, "f"), &file, &err), -EAGAIN);
	pl_source_close(source);
	free(path);
}

TEST(a_composition_reads_what_is_laid_over_it)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_component parts[2];
	struct pl_disk *base, *whole;
	char buf[17] = "";

	EXPECT_OK(pl_memory_new("................", 16, "base", &base, &err));
	EXPECT_OK(pl_memory_new("abc", 3, "a", &parts[0].disk, &err));
	EXPECT_OK(pl_memory_new("xy", 2, "x", &parts[1].disk, &err));
	parts[0].offset = 2;
	parts[1].offset = 14;
	EXPECT_OK(pl_compose(base, parts, 2, "whole", &whole, &err));
	pl_disk_unref(base);
	pl_disk_unref(parts[0].disk);
	pl_disk_unref(parts[1].disk);
	EXPECT_EQ(whole->size, 16);
	EXPECT_OK(pl_read(whole, buf, 16, 0, &err));
	EXPECT_STR(buf, "..abc.........xy");
	EXPECT_OK(pl_read(whole, buf, 3, 3, &err));
	EXPECT_MEM(buf, "bc.", 3);
	pl_disk_unref(whole);
}

static int
run(const char *package, const char *const *words, struct platter_error *err)
{
	struct pl_command c = { .package = package };
	int r;

	while (*words)
		pl_command_add(&c, *words++);
	r = pl_command_run(&c, NULL, err);
	pl_command_done(&c);
	return r;
}

TEST(programs_that_fail_say_why)
{
	const char *const good[] = { "true", NULL };
	const char *const bad[] = { "sh", "-c", "echo first; echo last >&2; exit 7", NULL };
	const char *const much[] = { "sh", "-c", "yes x | head -c 100000; echo the end; exit 1",
				     NULL };
	const char *const killed[] = { "sh", "-c", "kill -9 $$", NULL };
	const char *const missing[] = { "no-such-program", NULL };
	struct platter_error err = PLATTER_ERROR_INIT;

	EXPECT_OK(run(NULL, good, &err));
	EXPECT_EQ(run(NULL, bad, &err), -EIO);
	EXPECT(strstr(err.message, "status 7") && strstr(err.message, "last"));
	EXPECT_EQ(run(NULL, much, &err), -EIO);
	EXPECT(strstr(err.message, "the end"));
	EXPECT_EQ(run(NULL, killed, &err), -EIO);
	EXPECT(strstr(err.message, "signal 9"));
	EXPECT_EQ(run("some-package", missing, &err), -ENOENT);
	EXPECT(strstr(err.hint, "some-package"));
}

TEST(programs_have_no_terminal)
{
	/* The first of its session, which has none then. */
	const char *const words[] = { "sh", "-c", "set -- $(cat /proc/$$/stat); test $6 = $$",
				      NULL };
	struct platter_error err = PLATTER_ERROR_INIT;

	EXPECT_OK(run(NULL, words, &err));
}

TEST(programs_are_files)
{
	PL_AUTOFREE char *path = strdup(getenv("PATH"));
	PL_AUTOFREE char *both = pl_format("%s/1:%s/2", pl_test_folder(), pl_test_folder());
	PL_AUTOFREE char *folder = pl_format("%s/1/some-tool", pl_test_folder());
	PL_AUTOFREE char *tool = pl_format("%s/2/some-tool", pl_test_folder());
	const char *const words[] = { "some-tool", NULL };
	struct platter_error err = PLATTER_ERROR_INIT;

	*strrchr(folder, '/') = '\0';
	EXPECT(mkdir(folder, 0777) == 0);
	folder[strlen(folder)] = '/';
	EXPECT(mkdir(folder, 0777) == 0);
	*strrchr(tool, '/') = '\0';
	EXPECT(mkdir(tool, 0777) == 0);
	tool[strlen(tool)] = '/';
	EXPECT(symlink("/bin/true", tool) == 0);
	setenv("PATH", both, 1);
	EXPECT_OK(run(NULL, words, &err));
	EXPECT(unlink(tool) == 0);
	EXPECT_EQ(run(NULL, words, &err), -ENOENT);
	EXPECT(!pl_tool_exists("some-tool"));
	setenv("PATH", path, 1);
}

static struct pl_source *
open_source(const char *path)
{
	const struct pl_exclude none = { 0 };
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_source *source;

	EXPECT_OK(pl_source_open(path, &none, NULL, &source, &err));
	return source;
}

/* "other" NULL: the name stands alone. */
static const struct {
	const char *name, *other;
	int code;
} fat_names[] = {
	{ "plain name.txt", "other", 0 },
	{ "Read", "READ", -EEXIST },
	{ "\xc3\xa4", "\xc3\x84", -EEXIST },
	{ "a", "A ", -ENOTSUP },
	{ "x.", NULL, -ENOTSUP },
	{ "a:b", NULL, -ENOTSUP },
	{ "a?b", NULL, -ENOTSUP },
	{ "a\nb", NULL, -ENOTSUP },
	{ "ab", "abc", 0 },
};

TEST(names_that_fat_would_change_are_refused)
{
	struct platter_error err = PLATTER_ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(fat_names); i++) {
		PL_AUTOFREE char *top = pl_format("%s/%zu", pl_test_folder(), i);
		PL_AUTOFREE char *below = pl_format("%s/below", top);
		struct pl_source *source;

		EXPECT(mkdir(top, 0777) == 0 && mkdir(below, 0777) == 0);
		make_file(below, fat_names[i].name, 1);
		if (fat_names[i].other)
			make_file(below, fat_names[i].other, 1);
		source = open_source(top);
		if (pl_fat_check_names(source, &err) != fat_names[i].code)
			pl_test_fail(__FILE__, __LINE__, "'%s': %s", fat_names[i].name,
				     err.message);
		EXPECT(!fat_names[i].code || strstr(err.message, "below/"));
		pl_source_close(source);
	}
}

/* What mkfs.xfs takes for something else: a comment, the end of a folder, another word. */
static const struct {
	const char *name, *target; /* of a link; NULL: it is a file */
	int code;
} xfs_names[] = {
	{ "a:b$c", NULL, 0 },       { "$x", NULL, 0 },       { "a\rb", NULL, 0 },
	{ ":a", NULL, -ENOTSUP },   { "$", NULL, -ENOTSUP }, { "a b", NULL, -ENOTSUP },
	{ "a\nb", NULL, -ENOTSUP }, { "l", "a:$", 0 },       { "l", ":a", -ENOTSUP },
	{ "l", "a\tb", -ENOTSUP },
};

TEST(names_that_break_the_list_of_mkfs_xfs_are_refused)
{
	PL_AUTOFREE char *list = pl_format("%s/list", pl_test_folder());
	struct platter_error err = PLATTER_ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(xfs_names); i++) {
		PL_AUTOFREE char *top = pl_format("%s/%zu", pl_test_folder(), i);
		PL_AUTOFREE char *path = pl_format("%s/%s", top, xfs_names[i].name);
		struct pl_source *source;

		EXPECT(mkdir(top, 0777) == 0);
		if (xfs_names[i].target)
			EXPECT(symlink(xfs_names[i].target, path) == 0);
		else
			make_file(top, xfs_names[i].name, 1);
		source = open_source(top);
		if (pl_xfs_proto_write(list, source, &err) != xfs_names[i].code)
			pl_test_fail(__FILE__, __LINE__, "row %zu: %s", i, err.message);
		pl_source_close(source);
	}
}

TEST(paths_are_no_options_and_no_drives)
{
	static const struct {
		const char *path, *word;
	} rows[] = { { "-x", "./-x" },
		     { "c:x", "./c:x" },
		     { "/x", "/x" },
		     { "../x", "../x" },
		     { ":x", "./:x" } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pl_command c = { 0 };

		pl_command_add_path(&c, rows[i].path);
		EXPECT_STR(c.words[0], rows[i].word);
		pl_command_done(&c);
	}
}

TEST(nothing_is_made_in_what_it_is_made_of)
{
	const char *top = pl_test_folder();
	PL_AUTOFREE char *inside = pl_format("%s/inside", top), *x = pl_format("%s/x", inside);
	struct platter_error err = PLATTER_ERROR_INIT;

	EXPECT(mkdir(inside, 0777) == 0);
	EXPECT_OK(pl_refuse_target_inside(x, NULL, &err));
	EXPECT_EQ(pl_refuse_target_inside(x, top, &err), -EINVAL);
	EXPECT_EQ(pl_refuse_target_inside(x, inside, &err), -EINVAL);
	EXPECT_OK(pl_refuse_target_inside(inside, inside, &err));
	/* Files on the way are where TMPDIR says. */
	setenv("TMPDIR", top, 1);
	EXPECT_OK(pl_refuse_target_inside("-", inside, &err));
	setenv("TMPDIR", inside, 1);
	EXPECT_EQ(pl_refuse_target_inside("-", top, &err), -EINVAL);
	EXPECT(strstr(err.hint, "TMPDIR"));
	EXPECT_EQ(pl_refuse_target_inside("-", inside, &err), -EINVAL);
	unsetenv("TMPDIR");
}

TEST(file_systems_that_are_not_known_are_refused)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	const struct pl_mkfs *kind;

	EXPECT_OK(pl_mkfs_find("ext4", &kind, &err));
	EXPECT_STR(kind->type, "linux");
	EXPECT_EQ(pl_mkfs_find("zfs", &kind, &err), -EINVAL);
	EXPECT(strstr(err.hint, "ext4"));
}

TEST(a_work_folder_goes_with_what_is_in_it)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	char *target = pl_format("%s/target", pl_test_folder()), *work, *copy;

	EXPECT_OK(pl_work_folder(target, &work, &err));
	make_file(work, "file", 1);
	copy = strdup(work);
	pl_work_folder_remove(work);
	EXPECT(access(copy, F_OK) < 0);
	pl_work_folder_remove(NULL);
	free(copy);
	free(target);
}
