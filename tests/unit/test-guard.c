/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-guard.c - what is in use is named and not overwritten */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices.h"
#include "guard.h"

static struct platter_error err;

static const char *
make_image(const char *command)
{
	static char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/image", pl_test_folder());
	fd = open(path, O_RDWR | O_CREAT, 0600);
	EXPECT(fd >= 0 && ftruncate(fd, MIB(16)) == 0);
	close(fd);
	if (command && run("%s '%s'", command, path) != 0)
		SKIP("'%s' does not work here", command);
	return path;
}

static void
expect_busy(const char *path, const char *words, const char *hint)
{
	err = (struct platter_error)PLATTER_ERROR_INIT;
	EXPECT_EQ(pl_guard_device(path, &err), -EBUSY);
	if (!strstr(err.message, words))
		pl_test_fail(__FILE__, __LINE__, "'%s' does not say '%s'", err.message, words);
	if (!strstr(err.hint, hint))
		pl_test_fail(__FILE__, __LINE__, "'%s' does not say '%s'", err.hint, hint);
}

TEST(idle_device_may_be_overwritten)
{
	const char *loop = loop_on(make_image(NULL), "");

	EXPECT_OK(pl_guard_device(loop, &err));
	EXPECT_OK(pl_guard_device("/dev/null", &err));
	EXPECT_OK(pl_guard_device("/nonexistent", &err));
	take_down();
	EXPECT_OK(pl_guard_device(make_image(NULL), &err));
}

TEST(mounted_device_is_refused_with_its_mount_point)
{
	const char *loop = loop_on(make_image("mke2fs -q"), "");
	const char *folder = mount_on(loop);
	char words[256];

	snprintf(words, sizeof words, "'%s' is in use: it is mounted on '%s'", loop, folder);
	expect_busy(loop, words, "umount");
	take_down();
}

TEST(mount_point_with_blanks_is_named_as_it_is)
{
	const char *loop = loop_on(make_image("mke2fs -q"), "");
	char folder[] = "/tmp/platter mount XXXXXX", quoted[64];

	EXPECT(mkdtemp(folder));
	snprintf(quoted, sizeof quoted, "'%s'", folder);
	undo_later("rmdir", quoted);
	if (run("mount '%s' '%s'", loop, folder) != 0)
		SKIP("no mounting here");
	undo_later("umount", quoted);
	expect_busy(loop, quoted, folder);
	take_down();
}

TEST(file_behind_a_loop_device_is_refused)
{
	const char *path = make_image(NULL), *loop = loop_on(path, "");
	char words[256];

	snprintf(words, sizeof words, "it is attached as '%s'", loop);
	expect_busy(path, words, "losetup -d");
	take_down();
}

TEST(device_behind_a_loop_device_is_refused)
{
	const char *below = loop_on(make_image(NULL), ""), *above = loop_on(below, "");
	char words[256];

	snprintf(words, sizeof words, "'%s' is in use: it is attached as '%s'", below, above);
	expect_busy(below, words, above);
	EXPECT_OK(pl_guard_device(above, &err));
	take_down();
}

TEST(swap_is_refused)
{
	const char *loop = loop_on(make_image("mkswap"), "");

	if (run("swapon '%s'", loop) != 0)
		SKIP("no swap here");
	undo_later("swapoff", loop);
	expect_busy(loop, "it is swap space", "swapoff");
	take_down();
}

TEST(disk_is_refused_when_a_partition_is_mounted)
{
	const char *path = make_image(NULL), *loop = loop_on(path, "-P"), *folder;
	char partition[80], second[80], words[256];

	if (run("addpart %s 1 2048 8192 && addpart %s 2 10240 8192", loop, loop) != 0)
		SKIP("the kernel makes no partitions on loop devices");
	snprintf(partition, sizeof partition, "%sp1", loop);
	snprintf(second, sizeof second, "%sp2", loop);
	EXPECT_EQ(run("mke2fs -q %s", partition), 0);
	EXPECT_OK(pl_guard_device(loop, &err));
	folder = mount_on(partition);
	snprintf(words, sizeof words, "'%s' is in use: '%s' is mounted on '%s'", loop, partition,
		 folder);
	expect_busy(loop, words, folder);
	expect_busy(partition, "it is mounted on", folder);
	EXPECT_OK(pl_guard_device(second, &err));
	take_down();
}

TEST(every_device_of_a_btrfs_is_refused)
{
	char files[2][300];
	const char *first, *second;

	for (int i = 0; i < 2; i++) {
		snprintf(files[i], sizeof files[i], "%s/%d", pl_test_folder(), i);
		EXPECT_EQ(run("truncate -s 160M '%s'", files[i]), 0);
	}
	first = loop_on(files[0], "");
	second = loop_on(files[1], "");
	if (run("mkfs.btrfs -q -d single %s %s", first, second) != 0)
		SKIP("no mkfs.btrfs");
	mount_on(first);
	expect_busy(first, "it is mounted on", "umount");
	expect_busy(second, "mounted Btrfs file system", "");
	take_down();
}

TEST(device_that_somebody_holds_is_refused)
{
	const char *loop = loop_on(make_image(NULL), "");
	int fd = open(loop, O_RDONLY | O_EXCL);

	EXPECT(fd >= 0);
	expect_busy(loop, "is in use", "");
	close(fd);
	EXPECT_OK(pl_guard_device(loop, &err));
	take_down();
}
