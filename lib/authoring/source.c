/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "source.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "progress.h"
#include "text.h"

#define MAX_ATTRIBUTE_NAMES KIB(64) /* the kernel's own limit of a list */

struct pl_item *
pl_item_add(struct pl_item *folder, size_t *capacity)
{
	struct pl_item *item;

	if (folder->nr_items == *capacity) {
		size_t more = *capacity ? 2 * *capacity : 8;
		struct pl_item *items = pl_realloc_array(folder->items, more, sizeof *items);

		if (!items)
			return NULL;
		folder->items = items;
		*capacity = more;
	}
	item = &folder->items[folder->nr_items++];
	*item = (struct pl_item){ .parent = folder };
	return item;
}

static void
free_items(struct pl_item *folder)
{
	for (size_t i = 0; i < folder->nr_items; i++) {
		free_items(&folder->items[i]);
		free(folder->items[i].name);
		free(folder->items[i].target);
	}
	free(folder->items);
}

void
pl_source_close(struct pl_source *source)
{
	if (!source)
		return;
	free_items(&source->root);
	pl_place_close(source->place);
	free(source->path);
	free(source);
}

char *
pl_item_path(const struct pl_item *item)
{
	PL_AUTOFREE char *above = NULL;

	if (!item->parent || !item->parent->parent)
		return strdup(item->name);
	above = pl_item_path(item->parent);
	return above ? pl_format("%s/%s", above, item->name) : NULL;
}

const struct pl_item *
pl_source_find(const struct pl_source *source, const char *path)
{
	const struct pl_item *at = &source->root;

	while (at && *(path += strspn(path, "/"))) {
		const struct pl_item *folder = at;
		size_t n = strcspn(path, "/");

		at = NULL;
		for (size_t i = 0; !at && i < folder->nr_items; i++)
			if (!strncmp(folder->items[i].name, path, n) && !folder->items[i].name[n])
				at = &folder->items[i];
		path += n;
	}
	return at;
}

/* Does it match a whole name of the path? */
static bool
matches_a_name(const char *pattern, const char *path)
{
	PL_AUTOFREE char *copy = strdup(path);
	char *rest = NULL;

	for (char *name = copy ? strtok_r(copy, "/", &rest) : NULL; name;
	     name = strtok_r(NULL, "/", &rest))
		if (fnmatch(pattern, name, 0) == 0)
			return true;
	return false;
}

bool
pl_pattern_means(const char *pattern, const char *path)
{
	if (!strchr(pattern, '/'))
		return matches_a_name(pattern, path);
	pattern += strspn(pattern, "/");
	return fnmatch(pattern, path, FNM_PATHNAME | FNM_LEADING_DIR) == 0;
}

bool
pl_is_excluded(const struct pl_exclude *exclude, const struct pl_item *folder, const char *name)
{
	PL_AUTOFREE char *above = NULL, *path = NULL;

	for (size_t i = 0; i < exclude->nr; i++) {
		const char *pattern = exclude->patterns[i];

		/* What is above it was looked at before. */
		if (!strchr(pattern, '/')) {
			if (fnmatch(pattern, name, 0) == 0)
				return true;
			continue;
		}
		if (!path) {
			above = pl_item_path(folder);
			path = above ? pl_format("%s%s%s", above, *above ? "/" : "", name) : NULL;
		}
		if (path && fnmatch(pattern + strspn(pattern, "/"), path, FNM_PATHNAME) == 0)
			return true;
	}
	return false;
}

/* ---- numbers ---- */

/* A file of several names. */
struct linked {
	struct pl_item *item;
};

static int
compare_ids(const void *a, const void *b)
{
	const struct pl_item *x = ((const struct linked *)a)->item;
	const struct pl_item *y = ((const struct linked *)b)->item;

	if (x->id.tree != y->id.tree)
		return x->id.tree < y->id.tree ? -1 : 1;
	if (x->id.inode != y->id.inode)
		return x->id.inode < y->id.inode ? -1 : 1;
	return x->serial < y->serial ? -1 : x->serial > y->serial;
}

struct numbering {
	struct pl_source *source;
	uint64_t next;
	struct linked *linked;
	size_t nr_linked, capacity;
};

static int
number_item(struct numbering *n, struct pl_item *item)
{
	struct pl_source *s = n->source;

	item->serial = n->next++;
	switch (item->file.type) {
	case PLATTER_FILE_FOLDER: s->nr_folders++; return 0;
	case PLATTER_FILE_SYMLINK: s->nr_links++; return 0;
	case PLATTER_FILE_REGULAR: s->nr_files++; break;
	default: s->nr_others++; return 0;
	}
	if (item->file.links < 2 || !item->id.inode) {
		s->bytes += item->file.size;
		return 0;
	}
	if (n->nr_linked == n->capacity) {
		size_t more = n->capacity ? 2 * n->capacity : 64;
		struct linked *list = pl_realloc_array(n->linked, more, sizeof *list);

		if (!list)
			return -ENOMEM;
		n->linked = list;
		n->capacity = more;
	}
	n->linked[n->nr_linked++].item = item;
	return 0;
}

static int
number_items(struct numbering *n, struct pl_item *folder)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < folder->nr_items; i++) {
		r = number_item(n, &folder->items[i]);
		if (r == 0 && folder->items[i].nr_items)
			r = number_items(n, &folder->items[i]);
	}
	return r;
}

/* Number all in the order of the tree; then later names of a file as the first. */
static int
number_tree(struct pl_source *source, struct platter_error *err)
{
	struct numbering n = { .source = source, .next = 1 };
	int r = number_items(&n, &source->root);

	if (r == 0 && n.nr_linked)
		qsort(n.linked, n.nr_linked, sizeof *n.linked, compare_ids);
	for (size_t i = 0; r == 0 && i < n.nr_linked; i++) {
		struct pl_item *item = n.linked[i].item;
		struct pl_item *before = i ? n.linked[i - 1].item : NULL;

		if (before && before->id.tree == item->id.tree &&
		    before->id.inode == item->id.inode)
			item->serial = before->serial;
		else
			source->bytes += item->file.size;
	}
	free(n.linked);
	return r < 0 ? pl_no_memory(err) : 0;
}

int
pl_source_open(const char *place, const struct pl_exclude *exclude,
	       struct platter_progress *progress, struct pl_source **ret, struct platter_error *err)
{
	struct pl_source *source = calloc(1, sizeof *source);
	struct stat st;
	int r = 0;

	if (source)
		source->path = strdup(place);
	if (!source || !source->path)
		r = pl_no_memory(err);
	else
		source->root.name = source->path + strlen(source->path);
	if (r == 0 && stat(place, &st) == 0 && S_ISDIR(st.st_mode)) {
		r = pl_source_read_host(source, exclude, progress, err);
	} else if (r == 0) {
		r = pl_place_open_files(place, NULL, 0, NULL, &source->place, err);
		if (r == 0)
			r = pl_source_read_volume(source, exclude, progress, err);
	}
	if (r == 0)
		r = number_tree(source, err);
	if (r < 0) {
		pl_source_close(source);
		return r;
	}
	*ret = source;
	return 0;
}

/* ---- contents ---- */

static int
open_host(const struct pl_source *source, const char *path, struct pl_item_file *ret,
	  struct platter_error *err)
{
	PL_AUTOFREE char *full = pl_format("%s/%s", source->path, path);
	struct stat st;

	if (!full)
		return pl_no_memory(err);
	ret->fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (ret->fd < 0)
		return pl_fail_errno(err, -errno, "open '%s'", full);
	if (fstat(ret->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(ret->fd);
		return pl_fail(err, -EAGAIN, "'%s' is no longer a regular file", full);
	}
	return 0;
}

int
pl_item_open(const struct pl_source *source, const struct pl_item *item, struct pl_item_file *ret,
	     struct platter_error *err)
{
	PL_AUTOFREE char *path = pl_item_path(item);

	*ret = (struct pl_item_file){ .item = item, .fd = -1 };
	if (!path)
		return pl_no_memory(err);
	if (!source->place)
		return open_host(source, path, ret, err);
	return pl_volume_open_file(source->place->volume, item->id, NULL, path, &ret->disk, err);
}

void
pl_item_close(struct pl_item_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	pl_disk_unref(file->disk);
	*file = (struct pl_item_file){ .fd = -1 };
}

static int
read_host(struct pl_item_file *file, uint8_t *buf, size_t n, uint64_t offset,
	  struct platter_error *err)
{
	while (n) {
		ssize_t got = pread(file->fd, buf, n, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return pl_fail_errno(err, -errno, "read '%s'", file->item->name);
		if (got == 0)
			return pl_fail(err, -EAGAIN,
				       "'%s' became shorter while it was read: %" PRIu64
				       " bytes, not %" PRIu64,
				       file->item->name, offset, file->item->file.size);
		buf += got;
		n -= (size_t)got;
		offset += (size_t)got;
	}
	return 0;
}

int
pl_item_read(const struct pl_source *source, struct pl_item_file *file, void *buf, size_t n,
	     uint64_t offset, struct platter_error *err)
{
	(void)source;
	return file->disk ? pl_read_once(file->disk, buf, n, offset, err)
			  : read_host(file, buf, n, offset, err);
}

int
pl_item_load(const struct pl_source *source, const struct pl_item *item, uint64_t limit,
	     uint8_t **ret, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	struct pl_item_file file;
	int r;

	if (item->file.size > limit)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "'%s' has %" PRIu64 " bytes, limit is %" PRIu64, item->name,
				     item->file.size, limit);
	bytes = malloc(item->file.size + 1);
	if (!bytes)
		return pl_no_memory(err);
	r = pl_item_open(source, item, &file, err);
	if (r < 0)
		return r;
	r = pl_item_read(source, &file, bytes, item->file.size, 0, err);
	pl_item_close(&file);
	if (r == 0)
		*ret = PL_STEAL(bytes);
	return r;
}

/* ---- extended attributes ---- */

static int
pass_host_attribute(const char *path, const char *name, pl_attribute_fn *each, void *closure,
		    struct platter_error *err)
{
	PL_AUTOFREE void *value = NULL;
	ssize_t n = lgetxattr(path, name, NULL, 0);

	value = n >= 0 ? malloc((size_t)n + 1) : NULL;
	if (value)
		n = lgetxattr(path, name, value, (size_t)n);
	if (n < 0 || !value)
		return pl_fail_errno(err, value ? -errno : -ENOMEM, "read attribute '%s' of '%s'",
				     name, path);
	return each(closure, &(struct pl_attribute){ name, value, (uint64_t)n }, err);
}

static int
host_attributes(const char *path, pl_attribute_fn *each, void *closure, struct platter_error *err)
{
	char names[MAX_ATTRIBUTE_NAMES];
	ssize_t n = llistxattr(path, names, sizeof names);
	int r = 0;

	if (n < 0 && (errno == ENOTSUP || errno == EACCES))
		return 0;
	if (n < 0)
		return pl_fail_errno(err, -errno, "list the attributes of '%s'", path);
	for (const char *name = names; r == 0 && name < names + n; name += strlen(name) + 1)
		if (!strncmp(name, "user.", 5))
			r = pass_host_attribute(path, name, each, closure, err);
	return r;
}

struct user_only {
	pl_attribute_fn *each;
	void *closure;
};

static int
pass_user_attribute(void *closure, const struct pl_attribute *a, struct platter_error *err)
{
	const struct user_only *to = closure;

	return strncmp(a->name, "user.", 5) ? 0 : to->each(to->closure, a, err);
}

int
pl_item_attributes(const struct pl_source *source, const struct pl_item *item,
		   pl_attribute_fn *each, void *closure, struct platter_error *err)
{
	struct user_only to = { each, closure };
	PL_AUTOFREE char *path = NULL, *full = NULL;

	if (source->place) {
		struct pl_volume *v = source->place->volume;

		return v->ops->xattrs ? v->ops->xattrs(v, item->id, pass_user_attribute, &to, err)
				      : 0;
	}
	path = pl_item_path(item);
	full = path ? pl_format("%s/%s", source->path, path) : NULL;
	return full ? host_attributes(full, each, closure, err) : pl_no_memory(err);
}
