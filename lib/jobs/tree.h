/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tree.h - paths inside a volume, and walking its folders */
#ifndef PL_TREE_H
#define PL_TREE_H

#include "volume.h"

/* Symbolic links followed on one path; more are a circle. */
#define PL_MAX_LINKS 40

enum pl_path_flags {
	PL_PATH_NO_FOLLOW = 1 << 0, /* a link at the end is what is meant */
};

/*
 * The node that `path` leads to from folder `start`; "" is `start` itself.  Links are
 * followed within the volume, an absolute one from its root; ".." of the root is the root.
 * -ENOENT with the name that is missing, -ENOTDIR, -ELOOP, or what reading meets.
 */
int pl_path_find(struct pl_volume *v, struct pl_node_id start, const char *path, unsigned flags,
		 struct pl_node_id *ret, struct platter_file *ret_file, struct platter_error *err);

enum pl_visit {
	PL_VISIT_FILE,   /* anything but a folder */
	PL_VISIT_FOLDER, /* before what is in it */
	PL_VISIT_LEAVE,  /* after it; what is in it has been visited */
	PL_VISIT_ERROR,  /* it, or what is in it, cannot be read: `error` says why */
};

/* What a walk meets. */
struct pl_visited {
	enum pl_visit what;
	const char *path; /* from where the walk began, without a leading '/'; "" that itself */
	const char *name; /* the last part of it */
	unsigned depth;   /* 0: where it began */
	struct pl_node_id id;
	const struct platter_file *file;   /* not for PL_VISIT_ERROR where it is not known: NULL */
	const struct platter_error *error; /* PL_VISIT_ERROR */
};

/*
 * 0 to go on; PL_SKIP after PL_VISIT_FOLDER: do not look into it; negative errno ends the walk
 * and is returned.
 */
#define PL_SKIP 1
typedef int pl_visit_fn(void *closure, const struct pl_visited *visited, struct platter_error *err);

enum pl_walk_tree_flags {
	PL_WALK_SORTED = 1 << 0, /* each folder by name; else as the file system has it */
};

/*
 * Visit `start`, and if it is a folder all that is below.  A folder that is met again, where
 * the file system knows no links to folders, or inside of itself, is an error of that folder.
 * Names are passed as they are: whoever creates files by them makes them safe.
 */
int pl_walk_tree(struct pl_volume *v, struct pl_node_id start, unsigned flags, pl_visit_fn *fn,
		 void *closure, struct platter_error *err);

#endif
