/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * block-devices.c - the block devices that the kernel lists, what stands on what, and what uses them
 *
 * Documentation/ABI/{stable,testing}/sysfs-block*, proc(5) of mountinfo and swaps.  What the kernel
 * writes is not hostile, but it changes while it is read: what is gone meanwhile is left out.
 */
#include "block-devices.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "text.h"

static void
block_done(struct pl_block_device *b)
{
	free(b->name);
	free(b->path);
	free(b->link);
	free(b->dm_name);
	free(b->dm_uuid);
	free(b->loop_file);
	free(b->md_level);
	free(b->above);
	free(b->below);
}

void
pl_blocks_free(struct pl_blocks *blocks)
{
	if (!blocks)
		return;
	for (size_t i = 0; i < blocks->nr; i++)
		block_done(&blocks->list[i]);
	for (size_t i = 0; i < blocks->nr_mounts; i++) {
		free(blocks->mounts[i].point);
		free(blocks->mounts[i].type);
		free(blocks->mounts[i].source);
	}
	for (size_t i = 0; i < blocks->nr_swaps; i++)
		free(blocks->swaps[i].path);
	free(blocks->list);
	free(blocks->mounts);
	free(blocks->swaps);
	free(blocks->btrfs);
	free(blocks->root);
	free(blocks);
}

/* Room for one more, zeroed; NULL: no memory. */
static void *
grow(void *list, size_t *nr, size_t size)
{
	void **array = list;
	char *p = pl_realloc_array(*array, *nr + 1, size);

	if (!p)
		return NULL;
	*array = p;
	return memset(p + size * (*nr)++, 0, size);
}

static char *
cut_blanks(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	for (n = strlen(s); n && isspace((unsigned char)s[n - 1]); n--)
		s[n - 1] = '\0';
	return s;
}

/* The first line of ROOT/PATH, without the blanks around it. */
static bool
read_line(const char *root, const char *path, char *ret, size_t n)
{
	char full[PATH_MAX], line[PATH_MAX + 16], *text;
	ssize_t got;
	int fd;

	if (snprintf(full, sizeof full, "%s%s", root, path) >= (int)sizeof full)
		return false;
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	got = read(fd, line, sizeof line - 1);
	close(fd);
	if (got <= 0)
		return false;
	line[got] = '\0';
	line[strcspn(line, "\n")] = '\0';
	text = cut_blanks(line);
	if (!*text || strlen(text) >= n)
		return false;
	strcpy(ret, text);
	return true;
}

bool
pl_block_text(const struct pl_blocks *blocks, size_t index, const char *attribute, char *ret,
	      size_t n)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof path, "%s/%s", blocks->list[index].link, attribute) <
		       (int)sizeof path &&
	       read_line(blocks->root, path, ret, n);
}

uint64_t
pl_block_number(const struct pl_blocks *blocks, size_t index, const char *attribute,
		uint64_t otherwise)
{
	unsigned long long value;
	char text[32];

	return pl_block_text(blocks, index, attribute, text, sizeof text) &&
			       sscanf(text, "%llu", &value) == 1
		       ? value
		       : otherwise;
}

size_t
pl_block_bytes(const struct pl_blocks *blocks, size_t index, const char *attribute, uint8_t *ret,
	       size_t n)
{
	char path[PATH_MAX];
	ssize_t got;
	int fd;

	if (snprintf(path, sizeof path, "%s%s/%s", blocks->root, blocks->list[index].link,
		     attribute) >= (int)sizeof path)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return 0;
	got = read(fd, ret, n);
	close(fd);
	return got > 0 ? (size_t)got : 0;
}

/* malloc()ed; NULL: there is none, or no memory. */
static char *
copy_attribute(const struct pl_blocks *blocks, size_t index, const char *attribute)
{
	char text[PATH_MAX];

	return pl_block_text(blocks, index, attribute, text, sizeof text) ? strdup(text) : NULL;
}

/* "/sys/class/block/sda1" -> "/sys/devices/pci0000:00/.../block/sda/sda1". */
static char *
folder_of(const char *root, const char *name)
{
	char path[PATH_MAX], real[PATH_MAX], base[PATH_MAX] = "";

	snprintf(path, sizeof path, "%s/sys/class/block/%s", root, name);
	if (!realpath(path, real) || (*root && !realpath(root, base)))
		return NULL;
	return strncmp(real, base, strlen(base)) == 0 ? strdup(real + strlen(base)) : NULL;
}

/* The kernel's names have '!' where those of the nodes have '/'. */
static char *
node_path(const char *root, const struct pl_block_device *b)
{
	char *path;

	if (b->dm_name) {
		path = pl_format("/dev/mapper/%s", b->dm_name);
		/* udev makes these names, and writes some characters otherwise. */
		if (!path || *root || access(path, F_OK) == 0)
			return path;
		free(path);
	}
	path = pl_format("/dev/%s", b->name);
	for (char *s = path; s && *s; s++)
		if (*s == '!')
			*s = '/';
	return path;
}

static int
add_block(struct pl_blocks *blocks, const char *name, struct platter_error *err)
{
	char *link = folder_of(blocks->root, name), text[32];
	unsigned major, minor;
	struct pl_block_device *b;
	size_t index;

	if (!link)
		return 0;
	b = grow(&blocks->list, &blocks->nr, sizeof *b);
	if (!b) {
		free(link);
		return pl_no_memory(err);
	}
	index = blocks->nr - 1;
	b->link = link;
	/* A path of a drive with several paths is listed too, but is no device. */
	if (!pl_block_text(blocks, index, "dev", text, sizeof text) ||
	    sscanf(text, "%u:%u", &major, &minor) != 2) {
		block_done(b);
		blocks->nr--;
		return 0;
	}
	b->number = makedev(major, minor);
	b->disk = PL_NO_BLOCK;
	b->partition = (uint32_t)pl_block_number(blocks, index, "partition", 0);
	b->start = pl_block_number(blocks, index, "start", 0) * 512;
	b->size = pl_block_number(blocks, index, "size", 0) * 512;
	b->sequence = pl_block_number(blocks, index, b->partition ? "../diskseq" : "diskseq", 0);
	b->read_only = pl_block_number(blocks, index, "ro", 0) != 0;
	b->dm_name = copy_attribute(blocks, index, "dm/name");
	b->dm_uuid = copy_attribute(blocks, index, "dm/uuid");
	b->loop_file = copy_attribute(blocks, index, "loop/backing_file");
	b->md_level = copy_attribute(blocks, index, "md/level");
	b->name = strdup(name);
	b->path = b->name ? node_path(blocks->root, b) : NULL;
	return b->path ? 0 : pl_no_memory(err);
}

/* "sda2" before "sda10", "sda" before "sda1". */
static int
compare_names(const char *a, const char *b)
{
	while (*a && *b) {
		if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
			char *end_a, *end_b;
			unsigned long n = strtoul(a, &end_a, 10), m = strtoul(b, &end_b, 10);

			if (n != m)
				return n < m ? -1 : 1;
			a = end_a;
			b = end_b;
		} else if (*a != *b) {
			return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
		} else {
			a++;
			b++;
		}
	}
	return *a ? 1 : *b ? -1 : 0;
}

static int
by_name(const void *a, const void *b)
{
	const struct pl_block_device *p = a, *q = b;

	return compare_names(p->name, q->name);
}

static int
read_blocks(struct pl_blocks *blocks, struct platter_error *err)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir;
	int r = 0;

	snprintf(path, sizeof path, "%s/sys/class/block", blocks->root);
	dir = opendir(path);
	if (!dir)
		return pl_fail_errno(err, -errno, "list the block devices in '%s'", path);
	while (r == 0 && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			r = add_block(blocks, e->d_name, err);
	closedir(dir);
	if (r == 0 && blocks->nr)
		qsort(blocks->list, blocks->nr, sizeof *blocks->list, by_name);
	return r;
}

size_t
pl_blocks_by_number(const struct pl_blocks *blocks, dev_t number)
{
	for (size_t i = 0; i < blocks->nr; i++)
		if (blocks->list[i].number == number)
			return i;
	return PL_NO_BLOCK;
}

size_t
pl_blocks_by_name(const struct pl_blocks *blocks, const char *name)
{
	for (size_t i = 0; i < blocks->nr; i++)
		if (strcmp(blocks->list[i].name, name) == 0)
			return i;
	return PL_NO_BLOCK;
}

/* In a recorded tree are no nodes, but links to their names. */
static size_t
by_recorded_path(const struct pl_blocks *blocks, const char *path)
{
	char full[PATH_MAX], target[PATH_MAX];
	const char *slash;
	ssize_t n;

	for (size_t i = 0; i < blocks->nr; i++)
		if (strcmp(blocks->list[i].path, path) == 0)
			return i;
	snprintf(full, sizeof full, "%s%s", blocks->root, path);
	n = readlink(full, target, sizeof target - 1);
	if (n < 0)
		snprintf(target, sizeof target, "%s", path);
	else
		target[n] = '\0';
	slash = strrchr(target, '/');
	return pl_blocks_by_name(blocks, slash ? slash + 1 : target);
}

size_t
pl_blocks_by_path(const struct pl_blocks *blocks, const char *path)
{
	struct stat st;

	if (*blocks->root)
		return by_recorded_path(blocks, path);
	return stat(path, &st) == 0 && S_ISBLK(st.st_mode) ? pl_blocks_by_number(blocks, st.st_rdev)
							   : PL_NO_BLOCK;
}

static int
add_edge(struct pl_blocks *blocks, size_t below, size_t above, struct platter_error *err)
{
	size_t *p;

	for (size_t i = 0; i < blocks->list[below].nr_above; i++)
		if (blocks->list[below].above[i] == above)
			return 0;
	p = grow(&blocks->list[below].above, &blocks->list[below].nr_above, sizeof *p);
	if (!p)
		return pl_no_memory(err);
	*p = above;
	p = grow(&blocks->list[above].below, &blocks->list[above].nr_below, sizeof *p);
	if (!p)
		return pl_no_memory(err);
	*p = below;
	return 0;
}

/* `upward`: the folder names what stands on the device; else what that stands on. */
static int
add_edges(struct pl_blocks *blocks, size_t index, const char *folder, bool upward,
	  struct platter_error *err)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir;
	int r = 0;

	if (snprintf(path, sizeof path, "%s%s/%s", blocks->root, blocks->list[index].link,
		     folder) >= (int)sizeof path)
		return 0;
	dir = opendir(path);
	while (dir && r == 0 && (e = readdir(dir))) {
		size_t other = pl_blocks_by_name(blocks, e->d_name);

		if (other != PL_NO_BLOCK)
			r = upward ? add_edge(blocks, index, other, err)
				   : add_edge(blocks, other, index, err);
	}
	if (dir)
		closedir(dir);
	return r;
}

/* The folder of a partition is in that of its disk. */
static size_t
disk_of(const struct pl_blocks *blocks, size_t index)
{
	const char *link = blocks->list[index].link, *end = strrchr(link, '/');

	for (size_t i = 0; end && i < blocks->nr; i++)
		if (strlen(blocks->list[i].link) == (size_t)(end - link) &&
		    strncmp(blocks->list[i].link, link, (size_t)(end - link)) == 0)
			return i;
	return PL_NO_BLOCK;
}

static int
connect_blocks(struct pl_blocks *blocks, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; i < blocks->nr && r == 0; i++) {
		struct pl_block_device *b = &blocks->list[i];
		size_t below;

		if (b->partition)
			b->disk = disk_of(blocks, i);
		r = add_edges(blocks, i, "holders", true, err);
		if (r == 0)
			r = add_edges(blocks, i, "slaves", false, err);
		below = b->loop_file ? pl_blocks_by_path(blocks, b->loop_file) : PL_NO_BLOCK;
		if (r == 0 && below != PL_NO_BLOCK && below != i)
			r = add_edge(blocks, below, i, err);
	}
	return r;
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

static int
each_line(struct pl_blocks *blocks, const char *path,
	  int (*add)(struct pl_blocks *blocks, char *line, struct platter_error *err),
	  struct platter_error *err)
{
	char full[PATH_MAX], *line = NULL;
	size_t room = 0;
	FILE *f;
	int r = 0;

	snprintf(full, sizeof full, "%s%s", blocks->root, path);
	f = fopen(full, "re");
	while (f && r == 0 && getline(&line, &room, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		r = add(blocks, line, err);
	}
	free(line);
	if (f)
		fclose(f);
	return r;
}

/* "36 35 8:2 / /home rw,noatime shared:1 - ext4 /dev/sda2 rw". */
static int
add_mount(struct pl_blocks *blocks, char *line, struct platter_error *err)
{
	char *fields[5], *rest = line, *type, *source;
	unsigned major, minor;
	struct pl_mount *m;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i] = strsep(&rest, " ");
		if (!fields[i] || !rest)
			return 0;
	}
	rest = strstr(rest, " - ");
	if (!rest || sscanf(fields[2], "%u:%u", &major, &minor) != 2)
		return 0;
	rest += 3;
	type = strsep(&rest, " ");
	source = strsep(&rest, " ");
	unescape(fields[4]);
	if (source)
		unescape(source);
	m = grow(&blocks->mounts, &blocks->nr_mounts, sizeof *m);
	if (!m)
		return pl_no_memory(err);
	m->number = makedev(major, minor);
	m->point = strdup(fields[4]);
	m->type = strdup(type);
	m->source = strdup(source ? source : "");
	if (!m->point || !m->type || !m->source)
		return pl_no_memory(err);
	/* Btrfs shows a number of its own, so that the source counts too. */
	m->block = pl_blocks_by_number(blocks, m->number);
	if (m->block == PL_NO_BLOCK && m->source[0] == '/')
		m->block = pl_blocks_by_path(blocks, m->source);
	return 0;
}

/* "/dev/sda2  partition  8000508 0 -2", after a line of headings. */
static int
add_swap(struct pl_blocks *blocks, char *line, struct platter_error *err)
{
	struct pl_swap *s;
	struct stat st;

	line[strcspn(line, " \t")] = '\0';
	if (line[0] != '/')
		return 0;
	unescape(line);
	s = grow(&blocks->swaps, &blocks->nr_swaps, sizeof *s);
	if (!s)
		return pl_no_memory(err);
	s->path = strdup(line);
	if (!s->path)
		return pl_no_memory(err);
	s->block = pl_blocks_by_path(blocks, line);
	if (s->block == PL_NO_BLOCK && stat(line, &st) == 0)
		s->id = (struct pl_file_id){ st.st_dev, st.st_ino };
	return 0;
}

/* Btrfs names one of its devices in the mount table; the others are only here. */
static int
add_btrfs(struct pl_blocks *blocks, const char *uuid, struct platter_error *err)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir;
	int r = 0;

	snprintf(path, sizeof path, "%s/sys/fs/btrfs/%s/devices", blocks->root, uuid);
	dir = opendir(path);
	while (dir && r == 0 && (e = readdir(dir))) {
		size_t block = pl_blocks_by_name(blocks, e->d_name);
		struct pl_btrfs_member *m;

		if (block == PL_NO_BLOCK)
			continue;
		m = grow(&blocks->btrfs, &blocks->nr_btrfs, sizeof *m);
		if (m) {
			snprintf(m->uuid, sizeof m->uuid, "%s", uuid);
			m->block = block;
		} else {
			r = pl_no_memory(err);
		}
	}
	if (dir)
		closedir(dir);
	return r;
}

static int
read_btrfs(struct pl_blocks *blocks, struct platter_error *err)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir;
	int r = 0;

	snprintf(path, sizeof path, "%s/sys/fs/btrfs", blocks->root);
	dir = opendir(path);
	while (dir && r == 0 && (e = readdir(dir)))
		if (strlen(e->d_name) == PL_UUID_TEXT - 1)
			r = add_btrfs(blocks, e->d_name, err);
	if (dir)
		closedir(dir);
	return r;
}

int
pl_blocks_read(const char *root, struct pl_blocks **ret, struct platter_error *err)
{
	struct pl_blocks *blocks = calloc(1, sizeof *blocks);
	int r;

	if (!blocks)
		return pl_no_memory(err);
	blocks->root = strdup(root);
	r = blocks->root ? read_blocks(blocks, err) : pl_no_memory(err);
	if (r == 0)
		r = connect_blocks(blocks, err);
	if (r == 0)
		r = each_line(blocks, "/proc/self/mountinfo", add_mount, err);
	if (r == 0)
		r = each_line(blocks, "/proc/swaps", add_swap, err);
	if (r == 0)
		r = read_btrfs(blocks, err);
	if (r < 0)
		pl_blocks_free(blocks);
	else
		*ret = blocks;
	return r;
}
