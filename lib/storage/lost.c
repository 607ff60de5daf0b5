/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lost.c - the mapfile beside an image: loading, saving, and what it says of the image's disk */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leaf.h"
#include "text.h"

/* What formats may add behind the end of a disk: VHD rounds it up to whole cylinders. */
#define MAX_ADDED MIB(4)

/* Bytes that tell whether a file is a mapfile. */
#define BEGINNING 64

static int
read_all(int fd, char *buf, size_t n)
{
	while (n) {
		ssize_t got = read(fd, buf, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		buf += got;
		n -= (size_t)got;
	}
	return 0;
}

static int
load_open(int fd, const char *path, struct pl_mapfile *ret, struct platter_error *err)
{
	PL_AUTOFREE char *text = NULL;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return pl_fail_errno(err, -errno, "look at '%s'", path);
	if (!S_ISREG(st.st_mode))
		return pl_fail(err, -EUCLEAN, "'%s' is no mapfile", path);
	if (st.st_size > (off_t)PL_MAX_MAPFILE)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "mapfile '%s' of %jd bytes", path,
				     (intmax_t)st.st_size);
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return pl_no_memory(err);
	r = read_all(fd, text, (size_t)st.st_size);
	if (r < 0)
		return pl_fail_errno(err, r, "read '%s'", path);
	r = pl_mapfile_parse(text, (size_t)st.st_size, ret, err);
	if (r < 0)
		pl_context(err, "'%s'", path);
	return r;
}

int
pl_storage_load_mapfile(const char *path, struct pl_mapfile *ret, struct platter_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;

	if (fd < 0)
		return pl_fail_errno(err, -errno, "open '%s'", path);
	r = load_open(fd, path, ret, err);
	close(fd);
	return r;
}

int
pl_storage_save_mapfile(const struct pl_mapfile *m, const char *path, struct platter_error *err)
{
	const struct pl_storage_create how = { .overwrite = true };
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOFREE char *text = pl_mapfile_text(m);
	int r;

	if (!text)
		return pl_no_memory(err);
	r = pl_storage_create(path, &how, &file, err);
	if (r == 0)
		r = pl_write(file, text, strlen(text), 0, err);
	if (r == 0)
		r = pl_storage_commit(file, true, err);
	if (r < 0 && file)
		pl_storage_abandon(file, false);
	return r;
}

static bool
is_mapfile(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char text[BEGINNING];
	struct stat st;
	ssize_t n = -1;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = read(fd, text, sizeof text);
	close(fd);
	return n > 0 && pl_mapfile_begins(text, (size_t)n);
}

int
pl_storage_check_mapfile(const char *path, struct platter_error *err)
{
	struct stat st;
	int r;

	if (stat(path, &st) < 0 || st.st_size == 0 || is_mapfile(path))
		return 0;
	r = pl_fail(err, -EEXIST, "'%s' is there, and is no mapfile", path);
	pl_hint(err, "move it away, or choose another name");
	return r;
}

void
pl_storage_remove_mapfile(const char *path)
{
	if (is_mapfile(path))
		unlink(path);
}

/* The disk that the map is of: the image's, or a file that is as long. */
static struct pl_disk *
disk_of_map(struct pl_disk *disk, uint64_t size)
{
	struct pl_disk *below;

	if (size <= disk->size && disk->size - size < MAX_ADDED)
		return disk;
	for (size_t i = 0; disk->ops->below && (below = disk->ops->below(disk, i)); i++)
		if (below->size == size)
			return below;
	return NULL;
}

static int
set_lost(struct pl_disk *disk, const char *path, struct platter_error *err)
{
	struct pl_mapfile *m = malloc(sizeof *m);
	struct pl_disk *on;
	int r = m ? pl_storage_load_mapfile(path, m, err) : pl_no_memory(err);

	if (r < 0) {
		free(m);
		return r;
	}
	pl_mapfile_cut_open_end(m, disk->size);
	on = disk_of_map(disk, m->size);
	if (on && m->size != pl_mapfile_bytes(m, PL_BLOCK_FINISHED)) {
		pl_disk_set_lost(on, m);
		return 0;
	}
	r = on ? 0
	       : pl_invalid(err,
			    "mapfile '%s' is of a disk of %" PRIu64 " bytes, '%s' has %" PRIu64,
			    path, m->size, disk->name, disk->size);
	pl_mapfile_done(m);
	free(m);
	return r;
}

int
pl_storage_set_lost(struct pl_disk *disk, const char *image, const char *path,
		    struct platter_error *err)
{
	PL_AUTOFREE char *beside = path ? NULL : pl_format("%s.map", image);
	int r;

	if (!path && !beside)
		return pl_no_memory(err);
	if (!path && !is_mapfile(beside))
		return 0;
	r = set_lost(disk, path ? path : beside, err);
	if (r < 0 && err && !err->hint[0])
		pl_hint(err, "?map=none takes the image without a mapfile, ?map=FILE with another");
	return r;
}
