/* SPDX-License-Identifier: GPL-3.0-or-later */
/* folder.c - images that are folders: removing and measuring them, and files that stand in them */
#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <unistd.h>

#include "leaf.h"
#include "text.h"

/* Folders in each other: an image has two. */
#define MAX_DEPTH 8

typedef int entry_fn(int folder, const char *name, const struct stat *st, void *closure);

/* Call fn for all that is in a folder, for folders after what is in them; nothing is followed. */
static int
each_entry(int parent, const char *name, unsigned depth, entry_fn *fn, void *closure)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0 && (e = readdir(dir))) {
		struct stat st;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = errno == ENOENT ? 0 : -errno;
		else if (S_ISDIR(st.st_mode) && depth == MAX_DEPTH)
			r = -ELOOP;
		else if (S_ISDIR(st.st_mode))
			r = each_entry(fd, e->d_name, depth + 1, fn, closure);
		if (r == 0)
			r = fn(fd, e->d_name, &st, closure);
	}
	closedir(dir);
	return r;
}

static int
remove_entry(int folder, const char *name, const struct stat *st, void *closure)
{
	const char *but = closure;

	if (but && S_ISREG(st->st_mode) && !strcmp(name, but))
		return 0;
	return unlinkat(folder, name, S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0) < 0 ? -errno : 0;
}

int
pl_folder_empty(const char *path, const char *but, struct platter_error *err)
{
	int r = each_entry(AT_FDCWD, path, 0, remove_entry, (void *)(uintptr_t)but);

	return r < 0 ? pl_fail_errno(err, r, "remove what is in '%s'", path) : 0;
}

int
pl_folder_remove(const char *path, struct platter_error *err)
{
	int r = pl_folder_empty(path, NULL, err);

	if (r == 0 && rmdir(path) < 0)
		r = pl_fail_errno(err, -errno, "remove '%s'", path);
	return r;
}

static int
add_entry(int folder, const char *name, const struct stat *st, void *closure)
{
	(void)folder, (void)name;
	if (S_ISREG(st->st_mode))
		*(uint64_t *)closure += (uint64_t)st->st_blocks * 512;
	return 0;
}

uint64_t
pl_folder_allocated(const char *path)
{
	uint64_t sum = 0;

	return each_entry(AT_FDCWD, path, 0, add_entry, &sum) < 0 ? UINT64_MAX : sum;
}

static bool
is_listed(const char *const *names, const char *name)
{
	while (*names && strcmp(*names, name) != 0)
		names++;
	return *names;
}

int
pl_storage_find_other(const char *folder, const char *const *names, char **ret,
		      struct platter_error *err)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	int r = 0;

	if (!dir)
		return pl_fail_errno(err, -errno, "look into '%s'", folder);
	*ret = NULL;
	while (!*ret && r == 0 && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    is_listed(names, e->d_name))
			continue;
		*ret = strdup(e->d_name);
		r = *ret ? 0 : pl_no_memory(err);
	}
	closedir(dir);
	return r;
}

char *
pl_storage_folder(struct pl_disk *file)
{
	const char *path = pl_storage_path(file, 0), *slash = path ? strrchr(path, '/') : NULL;

	if (!path)
		return NULL;
	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static int
write_whole(struct pl_disk *file, const void *bytes, size_t n, struct platter_error *err)
{
	int r = pl_resize(file, 0, err);

	return r == 0 ? pl_write(file, bytes, n, 0, err) : r;
}

int
pl_storage_put_beside(struct pl_disk *file, const char *name, const void *bytes, size_t n,
		      struct platter_error *err)
{
	const struct pl_storage_create how = { .overwrite = true };
	PL_AUTOFREE char *folder = pl_storage_folder(file), *path = NULL;
	PL_AUTOUNREF struct pl_disk *new = NULL;
	int r;

	/* Of a file that is only counted, one more is so much more. */
	if (!folder)
		return pl_write(file, bytes, n, file->size, err);
	path = pl_format("%s/%s", folder, name);
	if (!path)
		return pl_no_memory(err);
	r = pl_storage_create(path, &how, &new, err);
	if (r < 0)
		return r;
	r = pl_storage_mode_like(new, pl_storage_path(file, 0), err);
	if (r == 0)
		r = write_whole(new, bytes, n, err);
	if (r == 0)
		r = pl_storage_commit(new, true, err);
	if (r < 0)
		pl_storage_abandon(new, false);
	return r;
}

int
pl_storage_create_bands(struct pl_disk *file, const char *name, uint64_t band_size, uint64_t size,
			struct pl_disk **ret, struct platter_error *err)
{
	const struct pl_storage_beside beside = { .tag = name, .split = band_size, .loose = true };
	PL_AUTOFREE char *folder = pl_storage_folder(file), *path = NULL;
	int r;

	if (!folder) {
		r = pl_count_beside(file, &beside, ret, err);
		if (r == -ENOTSUP)
			r = pl_unsupported(err, PLATTER_NO_OFFSET,
					   "an image that is a folder cannot be written to '%s'",
					   file->name);
		else if (r == 0)
			pl_disk_ref(*ret);
		return r;
	}
	path = pl_format("%s/%s", folder, name);
	if (!path)
		return pl_no_memory(err);
	if (mkdir(path, 0777) < 0)
		return pl_fail_errno(err, -errno, "make '%s'", path);
	return pl_storage_bands(path, band_size, size, true, ret, err);
}
