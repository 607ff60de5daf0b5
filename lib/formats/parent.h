/* SPDX-License-Identifier: GPL-3.0-or-later */
/* parent.h - how images of Windows name the image that they differ from */
#ifndef PL_PARENT_H
#define PL_PARENT_H

#include "format.h"

/* More names than any image gives: relative, absolute, volume, and the parent's own. */
#define PL_PARENT_NAMES 8

/* What a child knows of its parent. */
struct pl_parent_link {
	const char *format;                 /* the parent's */
	const char *names[PL_PARENT_NAMES]; /* as stored, the best first; NULL or "": not there */
	/*
	 * Is this the parent that the child was made from?  If not, an error that names both.
	 * `flags`: of the open request.
	 */
	int (*check)(struct pl_disk *child, struct pl_disk *parent, unsigned flags,
		     struct platter_error *err);
};

/*
 * Find and open the parent of `child`: each name as a path from the child's folder, then the
 * last part of each beside the child.  Backslashes separate as slashes do; names of Windows
 * drives and servers count only for their last part.  The first that opens and passes the
 * check becomes child->parent.
 * Errors: -ENOENT: no name leads to a file; -EUCLEAN from check(); those of opening.
 */
int pl_parent_open(const struct pl_open_request *request, const struct pl_parent_link *link,
		   struct pl_disk *child, struct platter_error *err);

/* Names of a parent for a new child.  malloc()ed; NULL where it cannot be told. */
struct pl_parent_paths {
	char *relative; /* ".\base.vhd", "..\images\base.vhd": from the child's folder */
	char *absolute; /* "\images\base.vhd" */
};

/*
 * Look at the parent that the option `name` gives for a new image: it must be an image of
 * `format`.  *ret_disk is the caller's to release.
 */
int pl_parent_look(const struct pl_create_request *request, const char *name, const char *format,
		   struct pl_disk **ret_disk, struct pl_parent_paths *ret_paths,
		   struct platter_error *err);
void pl_parent_paths_done(struct pl_parent_paths *paths);

/* The same for the parent that an open image (its file is `file`) is to get. */
int pl_parent_paths(struct pl_disk *file, struct pl_disk *parent, const char *name,
		    struct pl_parent_paths *ret, struct platter_error *err);

/*
 * The name that an image at `child` has for the parent at `path`, both as the user gives them:
 * an absolute one stays, any other is seen from the folder of the child.  malloc()ed.
 */
int pl_parent_name(const char *child, const char *path, char **ret, struct platter_error *err);

/*
 * An overlay knows its parent by an identifier of n bytes (16: a GUID) that changes when the
 * parent does.  A commit changes it first, and then the overlay's record of it, before it writes
 * anything else.  What it becomes is made of what it `was` and of the overlay's own: so when a kill
 * came between the two, the overlay is recognised by it, and no other is.
 */
void pl_committed_id(const uint8_t *was, const uint8_t *overlay, size_t n, uint8_t *ret);

/* For a check of a parent that is known so: 0 if the request is to commit, else -EUCLEAN. */
int pl_parent_was_begun(unsigned flags, const char *child, const char *parent,
			struct platter_error *err);

/* 16 random bytes marked as a version 4 UUID. */
int pl_new_uuid(uint8_t ret[static 16], struct platter_error *err);
/* The same as a GUID, whose first three fields are little-endian. */
int pl_new_guid(uint8_t ret[static 16], struct platter_error *err);

#endif
