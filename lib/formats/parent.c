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
	struct platter_error
		first; /* of what was there and was not it; code 0: nothing was there */
};

/* 1: found; 0: not this one. */
static int
try_name(struct search *s, const char *name, struct platter_error *err)
{
	PL_AUTOFREE char *path = to_path(name);
	PL_AUTOUNREF struct pl_disk *parent = NULL;
	struct platter_error failed = PLATTER_ERROR_INIT;
	int r;

	if (!path)
		return pl_no_memory(err);
	r = s->request->related->open(s->request->related, path, s->link->format, false, &parent,
				      &failed);
	if (r == 0)
		r = s->link->check(s->child, parent, &failed);
	if (r == 0)
		r = pl_disk_stack(s->child, parent, &failed);
	if (r == 0) {
		s->child->parent = PL_STEAL(parent);
		return 1;
	}
	if (r == -ENOMEM) {
		if (err)
			*err = failed;
		return r;
	}
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
		return s->first.code;
	}
	if (only_on_windows(name))
		r = pl_fail(err, -ENOENT,
			    "the parent of '%s' is '%s', a path of Windows that leads nowhere"
			    " here, and '%s' is not beside it",
			    child, name, last_part(name));
	else
		r = pl_fail(err, -ENOENT, "the parent of '%s', '%s', is not there", child, name);
	pl_hint(err, "put '%s' beside the image, or open the image alone with ?backing=no",
		last_part(name));
	return r;
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
pl_parent_look(const struct pl_create_request *request, const char *name, const char *format,
	       struct pl_disk **ret_disk, struct pl_parent_paths *ret_paths,
	       struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE char *folder = NULL;
	struct pl_parent_paths paths = { 0 };
	struct pl_disk *file;
	const char *path;
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
	file = disk->ops->below ? disk->ops->below(disk, 0) : NULL;
	path = file ? pl_storage_path(file, 0) : NULL;
	folder = folder_of(request->file);
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
	*ret_disk = PL_STEAL(disk);
	*ret_paths = paths;
	return 0;
}

void
pl_parent_paths_done(struct pl_parent_paths *paths)
{
	free(paths->relative);
	free(paths->absolute);
	*paths = (struct pl_parent_paths){ 0 };
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
