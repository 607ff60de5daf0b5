/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * parent.c - how images of Windows name the image that they differ from
 *
 * They do so several times over, with paths that were true on the machine that made them:
 * relative to the child, absolute with a drive letter, through a volume's GUID.  Every one
 * is tried, and then the bare name beside the child, which is where a pair that was copied
 * from there lies.
 */
#include "parent.h"

#include <ctype.h>
#include <sys/random.h>

#include "md5.h"
#include "storage.h"
#include "text.h"

/* "C:\images\base.vhd", "\\server\share\base.vhd", "\\?\Volume{...}\base.vhd" */
static bool
only_on_windows(const char *name)
{
	bool separator[2] = { name[0] == '\\' || name[0] == '/',
			      name[0] && (name[1] == '\\' || name[1] == '/') };

	return (isalpha((unsigned char)name[0]) && name[1] == ':') ||
	       (separator[0] && separator[1]);
}

/* The name without ".\\" in front. */
static const char *
without_dot(const char *name)
{
	while (name[0] == '.' && (name[1] == '\\' || name[1] == '/') && name[2])
		name += 2;
	return name;
}

/* A path as the opener takes it; never one that it would take for a protocol.  NULL: no memory. */
static char *
to_path(const char *name)
{
	char *path;

	name = without_dot(name);
	path = pl_format("%s%s", name[strcspn(name, ":\\/")] == ':' ? "./" : "", name);
	for (char *p = path; p && *p; p++)
		if (*p == '\\')
			*p = '/';
	return path;
}

static const char *
last_part(const char *name)
{
	const char *last = name;

	for (const char *p = name; *p; p++)
		if (*p == '\\' || *p == '/' || (*p == ':' && p == name + 1))
			last = p + 1;
	return last;
}

/* The search for one child's parent, and what went wrong so far. */
struct search {
	const struct pl_open_request *request;
	const struct pl_parent_link *link;
	struct pl_disk *child;
	bool lenient; /* take one that the check refuses */
	struct platter_error
		first; /* of what was there and was not it; code 0: nothing was there */
};

/* Make `parent`, whose reference is taken over, the child's if it is the one. */
static int
take(struct search *s, struct pl_disk *parent, struct platter_error *err)
{
	int r = s->lenient ? 0 : s->link->check(s->child, parent, s->request->flags, err);

	if (r == 0)
		r = pl_disk_stack(s->child, parent, err);
	if (r == 0)
		s->child->parent = parent;
	else
		pl_disk_unref(parent);
	return r;
}

/* Was the file there, and what failed is what it stands on itself? */
static bool
is_of_chain(const struct pl_related *related, size_t used, int code)
{
	return !related->missing &&
	       (code == -ENOENT || (related->given && related->given->used != used));
}

/* 1: found; 0: not this one. */
static int
try_name(struct search *s, const char *name, struct platter_error *err)
{
	struct pl_related *related = s->request->related;
	size_t used = related->given ? related->given->used : 0;
	PL_AUTOFREE char *path = to_path(name);
	struct platter_error failed = PLATTER_ERROR_INIT;
	struct pl_disk *parent;
	int r;

	if (!path)
		return pl_no_memory(err);
	r = related->open(related, path, s->link->format, false, &parent, &failed);
	if (r == -ENOMEM || (r < 0 && is_of_chain(related, used, r))) {
		if (err)
			*err = failed;
		return r;
	}
	if (r == 0)
		r = take(s, parent, &failed);
	if (r == 0)
		return 1;
	/* What its own parents took is there for those of the next that is tried. */
	if (related->given)
		related->given->used = used;
	if (r != -ENOENT && !s->first.code)
		s->first = failed;
	return 0;
}

static int
try_all(struct search *s, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; i < PL_PARENT_NAMES && r == 0; i++) {
		const char *name = s->link->names[i];

		if (name && *name && !only_on_windows(name))
			r = try_name(s, name, err);
	}
	for (size_t i = 0; i < PL_PARENT_NAMES && r == 0; i++) {
		const char *name = s->link->names[i];

		if (name && *last_part(name) && last_part(name) != without_dot(name))
			r = try_name(s, last_part(name), err);
	}
	return r;
}

/* The name to speak of: one that says more than where a drive of Windows was, if there is any. */
static const char *
name_to_tell(const struct pl_parent_link *link)
{
	const char *any = NULL;

	for (size_t i = 0; i < PL_PARENT_NAMES; i++) {
		const char *name = link->names[i];

		if (!name || !*name)
			continue;
		if (!only_on_windows(name))
			return name;
		if (!any)
			any = name;
	}
	return any;
}

static int
not_found(const struct search *s, struct platter_error *err)
{
	const char *name = name_to_tell(s->link), *child = s->request->file->name;
	int r;

	if (!name)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "'%s' differs from a parent that it does not name", child);
	if (s->first.code) {
		if (err)
			*err = s->first;
		pl_context(err, "parent of '%s'", child);
		return pl_negative(s->first.code);
	}
	if (only_on_windows(name))
		r = pl_fail(err, -ENOENT,
			    "the parent of '%s' is '%s', a path of Windows that leads nowhere"
			    " here, and '%s' is not beside it",
			    child, name, last_part(name));
	else
		r = pl_fail(err, -ENOENT, "the parent of '%s', '%s', is not there", child, name);
	pl_hint(err,
		"say where it is with --parent FILE, put '%s' beside the image, or open the image"
		" alone with ?backing=no",
		last_part(name));
	return r;
}

/* The file that was given for a parent that is not found.  1: it is the one; 0: none was given. */
static int
try_given(struct search *s, struct platter_error *err)
{
	struct pl_disk *parent;
	int r = pl_open_given(s->request->related, s->link->format, &parent, err);

	if (r == 1)
		return 0;
	if (r == 0)
		r = take(s, parent, err);
	if (r < 0)
		pl_context(err, "parent of '%s'", s->request->file->name);
	return r < 0 ? r : 1;
}

int
pl_parent_open(const struct pl_open_request *request, const struct pl_parent_link *link,
	       struct pl_disk *child, struct platter_error *err)
{
	struct search s = {
		.request = request, .link = link, .child = child, .first = PLATTER_ERROR_INIT
	};
	const char *name = name_to_tell(link);
	int r;

	if (request->flags & PLATTER_OPEN_NO_BACKING)
		return 0;
	if (!request->related) {
		r = pl_fail(err, -ENOTSUP, "parent '%s' cannot be reached from here",
			    name ? name : "");
		pl_hint(err, "open the image alone with ?backing=no");
		return r;
	}
	r = try_all(&s, err);
	/* Damaged links are looked past only where none is sound. */
	s.lenient = request->flags & PLATTER_OPEN_IGNORE_CHECKSUMS;
	if (r == 0)
		r = try_given(&s, err);
	if (r == 0 && s.lenient)
		r = try_all(&s, err);
	if (r == 0)
		r = not_found(&s, err);
	return r < 0 ? r : 0;
}

static void
to_backslashes(char *path)
{
	for (char *p = path; p && *p; p++)
		if (*p == '/')
			*p = '\\';
}

/* The folder of the new image, or NULL. */
static char *
folder_of(struct pl_disk *file)
{
	const char *path = pl_storage_path(file, 0);
	PL_AUTOFREE char *folder = path ? strdup(path) : NULL;
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (!folder)
		return NULL;
	if (!slash)
		return realpath(".", NULL);
	slash[slash == folder] = '\0';
	return realpath(folder, NULL);
}

/* `path` as seen from `folder`; both absolute and without "." and "..".  NULL: no memory. */
static char *
relative_to(const char *folder, const char *path)
{
	struct pl_str s = { 0 };
	size_t common = 0, i;

	/* As many whole parts as they share. */
	for (i = 0; folder[i] && folder[i] == path[i]; i++)
		if (folder[i] == '/')
			common = i + 1;
	if (!folder[i] && path[i] == '/')
		common = i + 1;
	if (folder[i] || path[i] != '/')
		for (const char *p = folder + PL_MIN(common, strlen(folder)); *p;) {
			size_t n = strcspn(p, "/");

			pl_str_add(&s, n ? "../" : "");
			p += n + (p[n] == '/');
		}
	if (!s.length)
		pl_str_add(&s, "./");
	pl_str_add(&s, path + common);
	return s.text;
}

int
pl_parent_paths(struct pl_disk *file, struct pl_disk *parent, const char *name,
		struct pl_parent_paths *ret, struct platter_error *err)
{
	struct pl_disk *below = parent->ops->below ? parent->ops->below(parent, 0) : parent;
	const char *path = below ? pl_storage_path(below, 0) : NULL;
	PL_AUTOFREE char *folder = folder_of(file);
	struct pl_parent_paths paths = { 0 };

	if (path)
		paths.absolute = realpath(path, NULL);
	if (paths.absolute && folder)
		paths.relative = relative_to(folder, paths.absolute);
	/* Not in a folder (in memory, say): the name as it was given. */
	if (!paths.relative)
		paths.relative = pl_format("%s%s", *name == '/' ? "" : "./", name);
	to_backslashes(paths.absolute);
	to_backslashes(paths.relative);
	if (!paths.relative) {
		pl_parent_paths_done(&paths);
		return pl_no_memory(err);
	}
	*ret = paths;
	return 0;
}

/* The folder of `path` without "." and "..", or NULL; *ret_last is what the path ends with. */
static char *
real_folder(const char *path, const char **ret_last)
{
	const char *slash = strrchr(path, '/');
	PL_AUTOFREE char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

	*ret_last = slash ? slash + 1 : path;
	return folder ? realpath(folder, NULL) : NULL;
}

int
pl_parent_name(const char *child, const char *path, char **ret, struct platter_error *err)
{
	const char *last, *child_last;
	PL_AUTOFREE char *from = real_folder(child, &child_last);
	PL_AUTOFREE char *folder = real_folder(path, &last);
	PL_AUTOFREE char *whole = NULL, *name = NULL;

	if (*path == '/') {
		*ret = strdup(path);
		return *ret ? 0 : pl_no_memory(err);
	}
	if (!from || !folder)
		return pl_fail_errno(err, -errno, "look into the folder of '%s'",
				     from ? path : child);
	whole = pl_format("%s%s%s", folder, folder[1] ? "/" : "", last);
	name = whole ? relative_to(from, whole) : NULL;
	if (!name)
		return pl_no_memory(err);
	/* What looks like a protocol needs the "./" that any other does without. */
	*ret = strdup(!strncmp(name, "./", 2) && !strchr(name, ':') ? name + 2 : name);
	return *ret ? 0 : pl_no_memory(err);
}

int
pl_parent_look(const struct pl_create_request *request, const char *name, const char *format,
	       struct pl_disk **ret_disk, struct pl_parent_paths *ret_paths,
	       struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	int r;

	if (!request->related)
		return pl_invalid(
			err, "option backing_file=%s: this target has no folder to find it from",
			name);
	r = request->related->open(request->related, name, format, false, &disk, err);
	if (r < 0) {
		pl_context(err, "backing file '%s'", name);
		return r;
	}
	r = pl_parent_paths(request->file, disk, name, ret_paths, err);
	if (r == 0)
		*ret_disk = PL_STEAL(disk);
	return r;
}

void
pl_parent_paths_done(struct pl_parent_paths *paths)
{
	free(paths->relative);
	free(paths->absolute);
	*paths = (struct pl_parent_paths){ 0 };
}

void
pl_committed_id(const uint8_t *was, const uint8_t *overlay, size_t n, uint8_t *ret)
{
	uint8_t both[32], sum[16];

	memcpy(both, was, n);
	memcpy(both + n, overlay, n);
	pl_md5_short(both, 2 * n, sum);
	/* A version 4 GUID, as a random one would be. */
	sum[7] = (sum[7] & 0x0f) | 0x40;
	sum[8] = (sum[8] & 0x3f) | 0x80;
	memcpy(ret, sum, n);
}

int
pl_parent_was_begun(unsigned flags, const char *child, const char *parent,
		    struct platter_error *err)
{
	int r;

	if (flags & PL_OPEN_COMMIT)
		return 0;
	r = pl_fail(err, -EUCLEAN, "committing '%s' into '%s' was interrupted", child, parent);
	pl_hint(err, "'platter commit' of the overlay goes on with it");
	return r;
}

int
pl_new_uuid(uint8_t ret[static 16], struct platter_error *err)
{
	if (getrandom(ret, 16, 0) != 16)
		return pl_fail_errno(err, -errno, "get random bytes for a UUID");
	ret[6] = (ret[6] & 0x0f) | 0x40;
	ret[8] = (ret[8] & 0x3f) | 0x80;
	return 0;
}

int
pl_new_guid(uint8_t ret[static 16], struct platter_error *err)
{
	int r = pl_new_uuid(ret, err);
	uint8_t version = ret[6];

	/* The version is in the high byte of the third field. */
	ret[6] = ret[7];
	ret[7] = version;
	return r;
}
