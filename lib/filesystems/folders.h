/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * folders.h - going through all folders of a volume, each with its path
 *
 * A driver adds the root, then takes folders and adds those that it finds in them, until
 * there are no more.  It sees to it that none is added twice.
 */
#ifndef PL_FOLDERS_H
#define PL_FOLDERS_H

#include "text.h"
#include "volume.h"

/* Start from {0}. */
struct pl_folders {
	struct pl_folder *folder;
	size_t nr, capacity;
	size_t taken; /* how many of them */
	struct pl_str path;
	size_t path_length; /* of the folder taken last, with a '/' behind it */
};

/* Add a folder found in the one taken last; the first to be added is the root. */
int pl_folders_add(struct pl_folders *f, struct pl_node_id id, const char *name,
		   struct platter_error *err);

/* Take the next one: 1, or 0 when there are no more. */
int pl_folders_take(struct pl_folders *f, struct pl_node_id *ret, struct platter_error *err);

/* The path of what is called `name` in it, until the next call; NULL: no memory. */
const char *pl_folders_path(struct pl_folders *f, const char *name);

void pl_folders_done(struct pl_folders *f);

#endif
