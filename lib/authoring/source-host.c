/* SPDX-License-Identifier: GPL-3.0-or-later */
/* source-host.c - the tree of a folder of this machine */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "progress.h"
#include "source.h"
#include "text.h"

struct reading {
	const struct pl_source *source;
	const struct pl_exclude *exclude;
	struct pl_meter meter;
	unsigned depth;
};

static enum platter_file_type
type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return PLATTER_FILE_REGULAR;
	case S_IFDIR: return PLATTER_FILE_FOLDER;
	case S_IFLNK: return PLATTER_FILE_SYMLINK;
	case S_IFIFO: return PLATTER_FILE_FIFO;
	case S_IFSOCK: return PLATTER_FILE_SOCKET;
	case S_IFCHR: return PLATTER_FILE_CHARACTER_DEVICE;
	default: return PLATTER_FILE_BLOCK_DEVICE;
	}
}

static struct platter_time
time_of(struct timespec t)
{
	return (struct platter_time){ t.tv_sec, (uint32_t)t.tv_nsec };
}

static void
take_stat(struct pl_item *item, const struct stat *st)
{
	item->file = (struct platter_file){
		.type = type_of(st->st_mode),
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.has_mode = true,
		.has_owner = true,
		.links = (uint32_t)st->st_nlink,
		.major = major(st->st_rdev),
		.minor = minor(st->st_rdev),
		.inode = st->st_ino,
		.size = (uint64_t)st->st_size,
		.allocated = (uint64_t)st->st_blocks * 512,
		.modified = time_of(st->st_mtim),
		.accessed = time_of(st->st_atim),
		.changed = time_of(st->st_ctim),
		.created = { .seconds = PLATTER_NO_TIME },
	};
	item->id = (struct pl_node_id){ st->st_ino, st->st_dev };
}

static int
read_failed(const struct reading *w, const struct pl_item *item, const char *what,
	    struct platter_error *err)
{
	int code = -errno;
	PL_AUTOFREE char *path = pl_item_path(item);

	return pl_fail_errno(err, code, "%s '%s/%s'", what, w->source->path, path ? path : "");
}

static int
take_link(struct reading *w, int fd, struct pl_item *item, struct platter_error *err)
{
	size_t n = item->file.size + 1;
	ssize_t got;

	if (n > PL_MAX_TARGET)
		n = PL_MAX_TARGET;
	/* Links of /proc say that they have no length. */
	n = n < 256 ? 256 : n;
	item->target = malloc(n);
	if (!item->target)
		return pl_no_memory(err);
	got = readlinkat(fd, item->name, item->target, n - 1);
	if (got < 0)
		return read_failed(w, item, "read link", err);
	item->target[got] = '\0';
	return 0;
}

static int
take_entry(struct reading *w, int fd, struct pl_item *folder, const char *name, size_t *capacity,
	   struct platter_error *err)
{
	struct pl_item *item;
	struct stat st;

	if (!strcmp(name, ".") || !strcmp(name, "..") || pl_is_excluded(w->exclude, folder, name))
		return 0;
	item = pl_item_add(folder, capacity);
	if (!item)
		return pl_no_memory(err);
	item->name = strdup(name);
	if (!item->name) {
		folder->nr_items--;
		return pl_no_memory(err);
	}
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return read_failed(w, item, "look at", err);
	take_stat(item, &st);
	return S_ISLNK(st.st_mode) ? take_link(w, fd, item, err) : 0;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const struct pl_item *)a)->name, ((const struct pl_item *)b)->name);
}

static int
list(struct reading *w, int fd, DIR *dir, struct pl_item *folder, struct platter_error *err)
{
	size_t capacity = 0;
	struct dirent *e;
	int r = 0;

	for (errno = 0; r == 0 && (e = readdir(dir)); errno = 0)
		r = take_entry(w, fd, folder, e->d_name, &capacity, err);
	if (r == 0 && errno)
		r = read_failed(w, folder, "list", err);
	if (r == 0 && folder->nr_items)
		qsort(folder->items, folder->nr_items, sizeof *folder->items, compare_names);
	pl_meter_add(&w->meter, 0, 0);
	return r == 0 && pl_meter_cancelled(&w->meter) ? pl_fail(err, -ECANCELED, "cancelled") : r;
}

/* Takes `fd` over. */
static int
read_folder(struct reading *w, int fd, struct pl_item *folder, struct platter_error *err)
{
	DIR *dir = fdopendir(fd);
	int r;

	if (!dir) {
		r = read_failed(w, folder, "open", err);
		close(fd);
		return r;
	}
	r = ++w->depth > PL_MAX_FOLDERS
		    ? pl_over_limit(err, PLATTER_NO_OFFSET,
				    "more than %d folders in each other in '%s'", PL_MAX_FOLDERS,
				    w->source->path)
		    : list(w, fd, dir, folder, err);
	for (size_t i = 0; r == 0 && i < folder->nr_items; i++) {
		struct pl_item *item = &folder->items[i];
		int below;

		if (item->file.type != PLATTER_FILE_FOLDER)
			continue;
		below = openat(fd, item->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = below < 0 ? read_failed(w, item, "open", err)
			      : read_folder(w, below, item, err);
	}
	w->depth--;
	closedir(dir);
	return r;
}

int
pl_source_read_host(struct pl_source *source, const struct pl_exclude *exclude,
		    struct platter_progress *progress, struct platter_error *err)
{
	struct reading w = { .source = source, .exclude = exclude };
	int fd = open(source->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0) {
		r = pl_fail_errno(err, -errno, "open '%s'", source->path);
		if (fd >= 0)
			close(fd);
		return r;
	}
	take_stat(&source->root, &st);
	pl_meter_start(&w.meter, progress, "reading", UINT64_MAX);
	r = read_folder(&w, fd, &source->root, err);
	pl_meter_finish(&w.meter);
	return r;
}
