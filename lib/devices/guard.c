/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * guard.c - what uses a block device
 *
 * The kernel is asked in the ways that can name the user: the mount table, the table of swap
 * spaces, the holders of a device in /sys, the backing files of loop devices.  An exclusive
 * open at the end finds what these do not show, such as mounts in another container.
 */
#include "guard.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "text.h"

/* The device that is to be overwritten, or one of its partitions. */
struct device {
	dev_t number;
	char name[300]; /* "/dev/sda2" */
};

struct devices {
	const char *path; /* as the user named the first of them */
	struct device *list;
	size_t nr;
};

static int in_use(const struct devices *all, size_t index, struct platter_error *err,
		  const char *format, ...) PL_PRINTF(4, 5);

/* "'/dev/sda' is in use: '/dev/sda2' is ..." */
static int
in_use(const struct devices *all, size_t index, struct platter_error *err, const char *format, ...)
{
	char why[700];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	if (index == 0)
		return pl_fail(err, -EBUSY, "'%s' is in use: it %s", all->path, why);
	return pl_fail(err, -EBUSY, "'%s' is in use: '%s' %s", all->path, all->list[index].name,
		       why);
}

/* The first line of a small file, without its end.  False: there is none. */
static bool
read_line(const char *path, char *line, size_t n)
{
	FILE *f = fopen(path, "re");
	bool ok;

	if (!f)
		return false;
	ok = fgets(line, (int)n, f);
	fclose(f);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

static int
add_device(struct devices *all, dev_t number, const char *name, struct platter_error *err)
{
	struct device *list = pl_realloc_array(all->list, all->nr + 1, sizeof *list);

	if (!list)
		return pl_no_memory(err);
	all->list = list;
	list[all->nr].number = number;
	snprintf(list[all->nr].name, sizeof list[all->nr].name, "/dev/%s", name);
	all->nr++;
	return 0;
}

/* The partitions of a disk are folders of its own folder that have a number. */
static int
add_partition(struct devices *all, const char *folder, const char *name, struct platter_error *err)
{
	char path[PATH_MAX], line[32];
	unsigned major, minor;

	snprintf(path, sizeof path, "%s/%s/partition", folder, name);
	if (access(path, F_OK) < 0)
		return 0;
	snprintf(path, sizeof path, "%s/%s/dev", folder, name);
	if (!read_line(path, line, sizeof line) || sscanf(line, "%u:%u", &major, &minor) != 2)
		return 0;
	return add_device(all, makedev(major, minor), name, err);
}

static int
find_devices(struct devices *all, dev_t number, struct platter_error *err)
{
	char folder[64], target[PATH_MAX];
	const char *slash;
	struct dirent *e;
	ssize_t n;
	DIR *dir;
	int r;

	snprintf(folder, sizeof folder, "/sys/dev/block/%u:%u", major(number), minor(number));
	n = readlink(folder, target, sizeof target - 1);
	target[PL_MAX(n, 0)] = '\0';
	slash = strrchr(target, '/');
	r = add_device(all, number, slash ? slash + 1 : all->path, err);
	dir = opendir(folder);
	while (dir && r == 0 && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			r = add_partition(all, folder, e->d_name, err);
	if (dir)
		closedir(dir);
	return r;
}

/* Index of a device by its number, or SIZE_MAX. */
static size_t
find_number(const struct devices *all, dev_t number)
{
	for (size_t i = 0; i < all->nr; i++)
		if (all->list[i].number == number)
			return i;
	return SIZE_MAX;
}

static size_t
find_node(const struct devices *all, const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISBLK(st.st_mode) ? find_number(all, st.st_rdev)
							   : SIZE_MAX;
}

/* The kernel writes blanks in names as \040. */
static void
unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		unsigned code;

		if (*s == '\\' && s[1] && strspn(s + 1, "01234567") >= 3 &&
		    sscanf(s + 1, "%3o", &code) == 1) {
			*out++ = (char)code;
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

/*
 * "36 35 8:2 / /home rw,noatime shared:1 - ext4 /dev/sda2 rw".  Btrfs shows a number of its
 * own, so that the source, after the dash, counts too.
 */
static int
check_mount(const struct devices *all, char *line, struct platter_error *err)
{
	char *fields[5], *rest = line, *source;
	unsigned major, minor;
	size_t index;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i] = strsep(&rest, " ");
		if (!fields[i] || !rest)
			return 0;
	}
	if (sscanf(fields[2], "%u:%u", &major, &minor) != 2)
		return 0;
	index = find_number(all, makedev(major, minor));
	source = strstr(rest, " - ");
	if (index == SIZE_MAX && source) {
		source += 3;
		strsep(&source, " ");
		if (source && source[0] == '/') {
			source = strsep(&source, " ");
			unescape(source);
			index = find_node(all, source);
		}
	}
	if (index == SIZE_MAX)
		return 0;
	unescape(fields[4]);
	r = in_use(all, index, err, "is mounted on '%s'", fields[4]);
	if (strcmp(fields[4], "/") == 0)
		pl_hint(err, "it holds the running system");
	else
		pl_hint(err, "unmount it first: umount %s", fields[4]);
	return r;
}

static int
check_swap(const struct devices *all, char *line, struct platter_error *err)
{
	size_t index;
	int r;

	line[strcspn(line, " \t")] = '\0';
	unescape(line);
	index = find_node(all, line);
	if (index == SIZE_MAX)
		return 0;
	r = in_use(all, index, err, "is swap space");
	pl_hint(err, "turn it off first: swapoff %s", line);
	return r;
}

static int
each_line(const struct devices *all, const char *path,
	  int (*check)(const struct devices *all, char *line, struct platter_error *err),
	  struct platter_error *err)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	int r = 0;

	while (f && r == 0 && getline(&line, &room, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		r = check(all, line, err);
	}
	free(line);
	if (f)
		fclose(f);
	return r;
}

/* A name in .../holders: "dm-0", which may have a better name, or "md0". */
static int
held_by(const struct devices *all, size_t index, const char *holder, struct platter_error *err)
{
	char path[PATH_MAX], name[256];

	snprintf(path, sizeof path, "/sys/class/block/%s/dm/name", holder);
	if (read_line(path, name, sizeof name))
		return in_use(all, index, err, "is part of '%s' (/dev/%s)", name, holder);
	return in_use(all, index, err, "is part of '/dev/%s'", holder);
}

static int
check_holders(const struct devices *all, size_t index, struct platter_error *err)
{
	dev_t number = all->list[index].number;
	char folder[64];
	struct dirent *e;
	DIR *dir;
	int r = 0;

	snprintf(folder, sizeof folder, "/sys/dev/block/%u:%u/holders", major(number),
		 minor(number));
	dir = opendir(folder);
	while (dir && r == 0 && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			r = held_by(all, index, e->d_name, err);
	if (dir)
		closedir(dir);
	return r;
}

/* Btrfs names one of its devices in the mount table; the others are only here. */
static int
check_btrfs(const struct devices *all, const char *uuid, struct platter_error *err)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir;
	int r = 0;

	snprintf(path, sizeof path, "/sys/fs/btrfs/%s/devices", uuid);
	dir = opendir(path);
	while (dir && r == 0 && (e = readdir(dir))) {
		size_t index;

		snprintf(path, sizeof path, "/dev/%s", e->d_name);
		index = find_node(all, path);
		if (index != SIZE_MAX)
			r = in_use(all, index, err, "is part of the mounted Btrfs file system %s",
				   uuid);
	}
	if (dir)
		closedir(dir);
	return r;
}

static int
check_all_btrfs(const struct devices *all, struct platter_error *err)
{
	DIR *dir = opendir("/sys/fs/btrfs");
	struct dirent *e;
	int r = 0;

	while (dir && r == 0 && (e = readdir(dir)))
		if (strlen(e->d_name) == PL_UUID_TEXT - 1)
			r = check_btrfs(all, e->d_name, err);
	if (dir)
		closedir(dir);
	return r;
}

/* The loop device `name`, if it stands on a device of `all`, or on the file `st`. */
static int
check_loop(const struct devices *all, const struct stat *st, const char *name,
	   struct platter_error *err)
{
	char path[PATH_MAX], backing[PATH_MAX];
	struct stat file;
	int r;

	snprintf(path, sizeof path, "/sys/block/%s/loop/backing_file", name);
	if (!read_line(path, backing, sizeof backing) || stat(backing, &file) < 0)
		return 0;
	if (S_ISBLK(file.st_mode)) {
		size_t index = find_number(all, file.st_rdev);

		if (index == SIZE_MAX)
			return 0;
		r = in_use(all, index, err, "is attached as '/dev/%s'", name);
	} else {
		if (!S_ISREG(st->st_mode) || file.st_dev != st->st_dev || file.st_ino != st->st_ino)
			return 0;
		r = pl_fail(err, -EBUSY, "'%s' is in use: it is attached as '/dev/%s'", all->path,
			    name);
	}
	pl_hint(err, "detach it first: losetup -d /dev/%s", name);
	return r;
}

static int
check_loops(const struct devices *all, const struct stat *st, struct platter_error *err)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *e;
	int r = 0;

	while (dir && r == 0 && (e = readdir(dir)))
		if (strncmp(e->d_name, "loop", 4) == 0)
			r = check_loop(all, st, e->d_name, err);
	if (dir)
		closedir(dir);
	return r;
}

/* Somebody holds it whom none of the tables showed. */
static int
check_exclusive(const struct devices *all, struct platter_error *err)
{
	int fd = open(all->path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd >= 0)
		close(fd);
	if (fd >= 0 || errno != EBUSY)
		return 0;
	r = pl_fail(err, -EBUSY,
		    "'%s' is in use: another program, or the kernel, holds it or a part of it",
		    all->path);
	pl_hint(err, "it may be mounted in a container, or part of a disk array");
	return r;
}

static int
check_device(struct devices *all, const struct stat *st, struct platter_error *err)
{
	int r = find_devices(all, st->st_rdev, err);

	if (r == 0)
		r = each_line(all, "/proc/self/mountinfo", check_mount, err);
	if (r == 0)
		r = each_line(all, "/proc/swaps", check_swap, err);
	for (size_t i = 0; i < all->nr && r == 0; i++)
		r = check_holders(all, i, err);
	if (r == 0)
		r = check_all_btrfs(all, err);
	if (r == 0)
		r = check_loops(all, st, err);
	return r < 0 ? r : check_exclusive(all, err);
}

int
pl_guard_device(const char *path, struct platter_error *err)
{
	struct devices all = { .path = path };
	struct stat st;
	int r = 0;

	/* What cannot be examined cannot be opened for writing either. */
	if (stat(path, &st) < 0)
		return 0;
	if (S_ISBLK(st.st_mode))
		r = check_device(&all, &st, err);
	else if (S_ISREG(st.st_mode))
		r = check_loops(&all, &st, err);
	free(all.list);
	return r;
}

bool
pl_loop_file(const char *path, struct pl_file_id *ret)
{
	static const char *const attributes[] = { "loop/backing_file", "../loop/backing_file" };
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		char name[64], file[PATH_MAX];
		struct stat backing;

		snprintf(name, sizeof name, "/sys/dev/block/%u:%u/%s", major(st.st_rdev),
			 minor(st.st_rdev), attributes[i]);
		if (!read_line(name, file, sizeof file) || stat(file, &backing) < 0)
			continue;
		*ret = (struct pl_file_id){ backing.st_dev, backing.st_ino };
		return true;
	}
	return false;
}
