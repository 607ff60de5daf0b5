/* SPDX-License-Identifier: GPL-3.0-or-later */
/* storage.c - opening what a path names */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "leaf.h"

/*
 * All parts but the last are equally long, whatever program made them: another length means
 * a part that was cut short, and every byte after it at a wrong place.
 */
static int
check_part_sizes(const struct pl_leaf *leaf, struct platter_error *err)
{
	const struct pl_part *first = leaf->parts[0];
	uint64_t sum = 0;

	for (size_t i = 0; i < leaf->nr_parts; i++) {
		const struct pl_part *part = leaf->parts[i];
		int r;

		if (part->device)
			return pl_invalid(err, "'%s' is a device, not a part of an image",
					  part->path);
		if (__builtin_add_overflow(sum, part->size, &sum) || sum > INT64_MAX)
			return pl_over_limit(err, PLATTER_NO_OFFSET,
					     "the parts of '%s' are too large", first->path);
		if (part->size == first->size || i + 1 == leaf->nr_parts)
			continue;
		r = pl_fail(err, -EUCLEAN, "part '%s' has %" PRIu64 " bytes, '%s' has %" PRIu64,
			    part->path, part->size, first->path, first->size);
		pl_hint(err,
			"all parts but the last must be equally long: was one not copied whole?");
		return r;
	}
	return 0;
}

static int
open_part(struct pl_leaf *leaf, const char *path, unsigned flags, struct platter_error *err)
{
	struct pl_part *part;
	int r = pl_part_new(path, &part, err);

	if (r < 0)
		return r;
	r = pl_part_open(part, flags, err);
	if (r < 0)
		pl_part_free(part);
	else
		pl_leaf_add(leaf, part);
	return r;
}

static int
open_parts(const char *path, char **names, size_t nr, unsigned flags, struct pl_disk **ret,
	   struct platter_error *err)
{
	struct pl_leaf *leaf;
	int r = pl_leaf_new(path, nr, &leaf, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < nr && r == 0; i++)
		r = open_part(leaf, names ? names[i] : path, flags, err);
	if (r == 0 && nr > 1)
		r = check_part_sizes(leaf, err);
	if (r < 0) {
		pl_leaf_free(leaf);
		return r;
	}
	pl_leaf_ready(leaf, flags & PLATTER_OPEN_WRITE);
	*ret = &leaf->disk;
	return 0;
}

/* Where standard input comes from, if it has a name that still leads there. */
static void
name_of_input(int fd, const struct stat *st, char *name, size_t n)
{
	char link[32];
	struct stat named;
	ssize_t got;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	got = readlink(link, name, n - 1);
	if (got > 0) {
		name[got] = '\0';
		if (stat(name, &named) == 0 && named.st_dev == st->st_dev &&
		    named.st_ino == st->st_ino)
			return;
	}
	snprintf(name, n, "-");
}

/* A file that was read in part by another program is a stream from there. */
static int
open_input(struct pl_disk **ret, struct platter_error *err)
{
	char name[4096];
	struct pl_leaf *leaf;
	struct pl_part *part;
	struct stat st;
	int fd, r;

	if (fstat(STDIN_FILENO, &st) < 0)
		return pl_fail_errno(err, -errno, "read standard input");
	if (S_ISDIR(st.st_mode))
		return pl_fail(err, -EISDIR, "standard input is a folder");
	if (isatty(STDIN_FILENO))
		return pl_invalid(err, "standard input is a terminal, not an image");
	if ((!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) || lseek(STDIN_FILENO, 0, SEEK_CUR) != 0)
		return pl_stream_input(STDIN_FILENO, ret, err);
	name_of_input(STDIN_FILENO, &st, name, sizeof name);
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return pl_fail_errno(err, -errno, "read standard input");
	r = pl_part_new(name, &part, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	r = pl_part_adopt(part, fd, false, err);
	if (r == 0)
		r = pl_leaf_new("standard input", 1, &leaf, err);
	if (r < 0) {
		pl_part_free(part);
		return r;
	}
	pl_leaf_add(leaf, part);
	pl_leaf_ready(leaf, false);
	*ret = &leaf->disk;
	return 0;
}

int
pl_storage_open(const char *path, unsigned flags, struct pl_disk **ret, struct platter_error *err)
{
	char **names = NULL;
	size_t nr = 1;
	int r = 0;

	if (strcmp(path, "-") == 0)
		return flags & PLATTER_OPEN_WRITE
			       ? pl_invalid(err, "standard input cannot be written")
			       : open_input(ret, err);
	if (!(flags & PL_STORAGE_SINGLE))
		r = pl_split_find(path, &names, &nr, err);
	if (r == 0)
		r = open_parts(path, names, nr, flags, ret, err);
	pl_split_free_names(names, nr);
	return r;
}

unsigned
pl_storage_writers(struct pl_disk *disk)
{
	const struct pl_leaf *leaf = pl_leaf_of(disk);

	/* What is no file has work of its own to do, on any thread. */
	if (!disk->ops->read)
		return disk->ops->parallel_writes ? UINT_MAX : 1;
	return leaf && leaf->nr_parts && (leaf->parts[0]->direct_writes || leaf->parts[0]->device)
		       ? UINT_MAX
		       : 1;
}
