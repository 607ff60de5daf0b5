/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * open.c - images and the files that they name
 *
 * An image is hostile, and so is the name of its backing file: only regular files and
 * block devices are opened (the storage room sees to that), nothing is reached through a
 * protocol, and a file that the chain holds already ends it.
 */
#include <dirent.h>
#include <strings.h>

#include "format.h"
#include "storage.h"
#include "text.h"

/* Files of a folder that are looked into to find one. */
#define MAX_LOOKED_AT 1000

/* One image being opened; the chain of those above it ends cycles. */
struct opener {
	struct pl_related related;
	const struct opener *above;
	struct pl_disk *file; /* borrowed; NULL: an image yet to be made */
	char *folder;         /* where relative names count from; owned */
	unsigned flags;
	unsigned depth;
};

static int open_image(struct pl_disk *file, const char *path, const char *format_name,
		      const char *snapshot, const char *disk, unsigned flags,
		      const struct opener *above, struct pl_parents *given, struct pl_disk **ret,
		      struct platter_error *err);

/* Do the two disks have a file in common? */
static bool
same_file(struct pl_disk *a, struct pl_disk *b)
{
	struct pl_file_id ia, ib;

	if (a == b)
		return true;
	for (size_t i = 0; pl_storage_id(a, i, &ia); i++)
		for (size_t j = 0; pl_storage_id(b, j, &ib); j++)
			if (ia.device == ib.device && ia.inode == ib.inode)
				return true;
	return false;
}

/* The name without what QEMU would take as a protocol; anything but a file is refused. */
static int
plain_name(const char *name, const char **ret, struct platter_error *err)
{
	size_t n = strcspn(name, ":/");

	*ret = name;
	if (name[n] != ':')
		return 0;
	if (n == 4 && strncmp(name, "file", 4) == 0) {
		*ret = name + 5;
		if (**ret)
			return 0;
	}
	return pl_fail(err, -ENOTSUP,
		       "'%s' is reached by the protocol '%.*s', which is not supported", name,
		       (int)n, name);
}

static char *
full_path(const struct opener *o, const char *name)
{
	while (name[0] == '.' && name[1] == '/' && name[2] && name[2] != '/')
		name += 2;
	return name[0] == '/' ? strdup(name) : pl_format("%s/%s", o->folder, name);
}

/* Open the image at `path`; `name` is what the image above calls it. */
static int
open_at(struct opener *o, const char *path, const char *name, const char *format, bool writable,
	struct pl_disk **ret, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	unsigned flags = o->flags & PLATTER_OPEN_DIRECT;
	const char *now;
	int r;

	if (o->depth + 1 >= PL_MAX_DEPTH)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "more than %d images on each other",
				     PL_MAX_DEPTH);
	/* An image of several files that is still being made. */
	now = o->file ? pl_storage_beside_now(o->file, path) : NULL;
	r = pl_storage_open(now ? now : path,
			    flags | (writable ? PLATTER_OPEN_WRITE : 0) | PL_STORAGE_SINGLE, &file,
			    err);
	if (r < 0) {
		o->related.missing = r == -ENOENT || r == -ENOTDIR;
		pl_context(err, "'%s' (looked for at '%s')", name, path);
		return r;
	}
	for (const struct opener *up = o; up; up = up->above)
		if (up->file && same_file(up->file, file))
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "'%s' is part of its own chain of images", path);
	r = open_image(file, path, format, NULL, NULL,
		       o->flags & ~(unsigned)(PLATTER_OPEN_WRITE | PL_OPEN_RELINK | PL_OPEN_COMMIT),
		       o, o->related.given, ret, err);
	if (r < 0 || writable || pl_storage_is_device(file))
		return r;
	r = pl_storage_set_lost(*ret, path, NULL, err);
	if (r < 0) {
		pl_disk_unref(*ret);
		*ret = NULL;
	}
	return r;
}

static int
related_open(struct pl_related *related, const char *name, const char *format, bool writable,
	     struct pl_disk **ret, struct platter_error *err)
{
	struct opener *o = pl_container_of(related, struct opener, related);
	PL_AUTOFREE char *path = NULL;
	const char *plain;
	int r = plain_name(name, &plain, err);

	related->missing = r < 0;
	if (r < 0)
		return r;
	path = full_path(o, plain);
	return path ? open_at(o, path, name, format, writable, ret, err) : pl_no_memory(err);
}

int
pl_open_given(struct pl_related *related, const char *format, struct pl_disk **ret,
	      struct platter_error *err)
{
	struct pl_parents *given = related->given;
	const char *path;
	int r;

	if (!given || given->used == given->nr)
		return 1;
	path = given->paths[given->used++];
	r = open_at(pl_container_of(related, struct opener, related), path, path, format, false,
		    ret, err);
	if (r < 0)
		pl_context(err, "parent that was given");
	return r;
}

static bool
has_extension(const char *name, const char *extension)
{
	const char *dot = strrchr(name, '.');

	return dot && strcasecmp(dot + 1, extension) == 0;
}

/* Like `look`, for the file at `path`; one that cannot be read is not the one. */
static int
look_at(const char *path, int (*look)(struct pl_disk *file, const void *wanted), const void *wanted)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;

	if (pl_storage_open(path, PL_STORAGE_SINGLE, &file, NULL) < 0)
		return 0;
	return look(file, wanted);
}

static int
look_through(DIR *dir, const char *folder, const char *path, const char *extension,
	     int (*look)(struct pl_disk *file, const void *wanted), const void *wanted,
	     char **ret_name, struct platter_error *err)
{
	unsigned looked = 0;
	struct dirent *e;

	while ((e = readdir(dir))) {
		PL_AUTOFREE char *full = NULL;

		if (!has_extension(e->d_name, extension))
			continue;
		if (++looked > MAX_LOOKED_AT)
			return pl_over_limit(err, PLATTER_NO_OFFSET,
					     "'%s' has more than %d files named *.%s to look into",
					     path, MAX_LOOKED_AT, extension);
		full = pl_format("%s/%s", path, e->d_name);
		if (!full)
			return pl_no_memory(err);
		if (look_at(full, look, wanted) > 0) {
			*ret_name = pl_format("%s/%s", folder, e->d_name);
			return *ret_name ? 0 : pl_no_memory(err);
		}
	}
	return 0;
}

static int
related_find(struct pl_related *related, const char *folder, const char *extension,
	     int (*look)(struct pl_disk *file, const void *wanted), const void *wanted,
	     char **ret_name, struct platter_error *err)
{
	struct opener *o = pl_container_of(related, struct opener, related);
	PL_AUTOFREE char *path = full_path(o, folder);
	DIR *dir;
	int r;

	*ret_name = NULL;
	if (!path)
		return pl_no_memory(err);
	dir = opendir(path);
	if (!dir)
		return pl_fail_errno(err, -errno, "look into '%s'", path);
	r = look_through(dir, folder, path, extension, look, wanted, ret_name, err);
	closedir(dir);
	return r;
}

static int
opener_init(struct opener *o, const char *path, struct platter_error *err)
{
	const char *slash = strrchr(path, '/');

	o->related.open = related_open;
	o->related.find = related_find;
	if (!slash)
		o->folder = strdup(".");
	else if (slash == path)
		o->folder = strdup("/");
	else
		o->folder = strndup(path, (size_t)(slash - path));
	return o->folder ? 0 : pl_no_memory(err);
}

static int
choose_format(struct pl_disk *file, const char *name, const struct pl_format **ret,
	      struct platter_error *err)
{
	if (!name)
		return pl_format_probe(file, ret, err);
	*ret = pl_format_by_name(name);
	if (!*ret)
		return pl_fail(err, -ENOTSUP, "format '%s' is not known", name);
	return 0;
}

/*
 * What is given a name may be wrapped all the same, and then has the name inside: *ret_inner.  As
 * raw images all files can be taken.
 */
static void
choose_wrapper(struct pl_disk *file, const char *name, const struct pl_format **format,
	       const char **ret_inner)
{
	const struct pl_format *wrapper;

	*ret_inner = NULL;
	if (!name || (*format)->wraps || strcmp(name, "raw") == 0 ||
	    pl_format_probe(file, &wrapper, NULL) < 0 || !wrapper->wraps)
		return;
	*format = wrapper;
	*ret_inner = name;
}

/* Open the wrapper, and the image in the file that it is. */
static int
open_wrapped(const struct pl_format *wrapper, const struct pl_open_request *request,
	     const char *format, const struct opener *above, struct pl_disk **ret,
	     struct platter_error *err)
{
	struct pl_open_request outer = { .file = request->file, .flags = request->flags };
	PL_AUTOUNREF struct pl_disk *file = NULL;
	int r = wrapper->open(&outer, &file, err);

	return r < 0 ? r
		     : open_image(file, NULL, format, request->snapshot, request->disk,
				  request->flags, above, NULL, ret, err);
}

static int
open_image(struct pl_disk *file, const char *path, const char *format_name, const char *snapshot,
	   const char *disk, unsigned flags, const struct opener *above, struct pl_parents *given,
	   struct pl_disk **ret, struct platter_error *err)
{
	struct opener o = {
		.above = above, .file = file, .flags = flags, .depth = above ? above->depth + 1 : 0
	};
	struct pl_open_request request = {
		.file = file, .flags = flags, .snapshot = snapshot, .disk = disk
	};
	const struct pl_format *format, *below = pl_format_of(file);
	const char *inner;
	int r = choose_format(file, format_name, &format, err);

	if (r < 0)
		return r;
	choose_wrapper(file, format_name, &format, &inner);
	if (format->wraps && below && below->wraps)
		return pl_unsupported(err, 0, "'%s' is wrapped twice, by encryption or as ECM",
				      file->name);
	if (format->wraps)
		return open_wrapped(format, &request, inner, above, ret, err);
	if (disk && !format->many_disks)
		return pl_fail(err, -ENOENT,
			       "'%s' is of format '%s', which holds one disk: there is"
			       " no disk '%s' to choose",
			       file->name, format->info.name, disk);
	if (path) {
		r = opener_init(&o, path, err);
		if (r < 0)
			return r;
		o.related.given = given;
		request.related = &o.related;
	}
	r = format->open(&request, ret, err);
	free(o.folder);
	return r;
}

int
pl_image_open(struct pl_disk *file, const char *path, const char *format, const char *snapshot,
	      unsigned flags, struct pl_disk **ret, struct platter_error *err)
{
	return open_image(file, path, format, snapshot, NULL, flags, NULL, NULL, ret, err);
}

int
pl_image_open_given(struct pl_disk *file, const char *path, const char *format,
		    const char *snapshot, const char *disk, unsigned flags,
		    struct pl_parents *given, struct pl_disk **ret, struct platter_error *err)
{
	return open_image(file, path, format, snapshot, disk, flags, NULL, given, ret, err);
}

static int
open_backing(struct pl_disk *disk, struct pl_related *related, const char *name, const char *format,
	     struct platter_error *err)
{
	struct platter_error given = PLATTER_ERROR_INIT;
	int r = related->open(related, name, format, false, &disk->parent, err), r2;

	if (r == 0 || !related->missing)
		return r;
	r2 = pl_open_given(related, format, &disk->parent, &given);
	if (r2 == 1) {
		pl_hint(err, "say where it is with --parent FILE, or open the overlay alone with"
			     " ?backing=no");
		return r;
	}
	if (r2 < 0 && err)
		*err = given;
	return r2;
}

int
pl_open_backing(struct pl_disk *disk, const struct pl_open_request *request, const char *name,
		const char *format, struct platter_error *err)
{
	int r;

	if (!name || request->flags & PLATTER_OPEN_NO_BACKING)
		return 0;
	if (request->related)
		r = open_backing(disk, request->related, name, format, err);
	else
		r = pl_fail(err, -ENOTSUP, "'%s' cannot be reached from here", name);
	if (r < 0) {
		pl_context(err, "backing file of '%s'", disk->name);
		if (err && !err->hint[0])
			pl_hint(err, "open the overlay alone with ?backing=no");
		return r;
	}
	return pl_disk_stack(disk, disk->parent, err);
}

struct pl_related *
pl_related_new(const char *path, struct platter_error *err)
{
	struct opener *o = calloc(1, sizeof *o);

	if (!o) {
		(void)pl_no_memory(err);
		return NULL;
	}
	if (opener_init(o, path, err) < 0) {
		free(o);
		return NULL;
	}
	return &o->related;
}

void
pl_related_free(struct pl_related *related)
{
	struct opener *o;

	if (!related)
		return;
	o = pl_container_of(related, struct opener, related);
	free(o->folder);
	free(o);
}
