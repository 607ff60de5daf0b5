/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * source.h - the files that go into what is authored: a folder of this machine, or of a volume
 *
 * The whole tree is read before anything is written, each folder sorted by the bytes of its
 * names: what is made of the same files is the same, whatever order a folder lists them in.
 */
#ifndef PL_SOURCE_H
#define PL_SOURCE_H

#include "place.h"

/* A file or folder.  Owned by its source. */
struct pl_item {
	char *name; /* "" the root */
	struct pl_item *parent;
	struct platter_file file;
	char *target; /* of a symbolic link */

	/* Of a folder. */
	struct pl_item *items;
	size_t nr_items;

	/*
	 * The number of the file in the order of the tree, from 1.  Names of one file (hard links)
	 * have the number of the first.
	 */
	uint64_t serial;
	struct pl_node_id id; /* in the volume; of a host's file device and inode */
};

struct pl_source {
	struct pl_item root;
	char *path;             /* of the folder, or the place as given */
	struct pl_place *place; /* NULL: a folder of this machine */
	uint64_t nr_files, nr_folders, nr_links, nr_others, bytes;
};

/* What is left out: see platter_author_iso(). */
struct pl_exclude {
	const char *const *patterns;
	size_t nr;
};

/*
 * Read the tree of `place`: a folder, or whatever platter_volume_open() takes.
 * Errors: those of opening and reading; -ENOTDIR: it is no folder; -EFBIG; -ECANCELED.
 */
int pl_source_open(const char *place, const struct pl_exclude *exclude,
		   struct platter_progress *progress, struct pl_source **ret,
		   struct platter_error *err);
void pl_source_close(struct pl_source *source); /* NULL is allowed */

/* The path from the root of the source, without a leading '/'; malloc()ed, NULL: no memory. */
char *pl_item_path(const struct pl_item *item);

/* The item that `path` leads to, leading and double '/' ignored; NULL: none.  No link is followed. */
const struct pl_item *pl_source_find(const struct pl_source *source, const char *path);

/*
 * Whether a pattern of the shell's kind means this path: without '/' any name in it, else the
 * path from its start, whole or up to a '/'.
 */
bool pl_pattern_means(const char *pattern, const char *path);

/* An open regular file.  One thread at a time. */
struct pl_item_file {
	const struct pl_item *item;
	int fd;               /* of a host's, else -1 */
	struct pl_disk *disk; /* of a volume's, else NULL */
};

/* Errors: those of opening; -EAGAIN: it is no longer the file that it was. */
int pl_item_open(const struct pl_source *source, const struct pl_item *item,
		 struct pl_item_file *ret, struct platter_error *err);
void pl_item_close(struct pl_item_file *file);

/* Exactly n bytes at `offset`.  -EAGAIN: the file has become shorter. */
int pl_item_read(const struct pl_source *source, struct pl_item_file *file, void *buf, size_t n,
		 uint64_t offset, struct platter_error *err);

/* The whole of a file of at most `limit` bytes, malloc()ed.  -EFBIG: it has more. */
int pl_item_load(const struct pl_source *source, const struct pl_item *item, uint64_t limit,
		 uint8_t **ret, struct platter_error *err);

/*
 * Call `each` for every extended attribute of the namespace "user" that an item has; other than
 * 0 ends it and is returned.
 */
int pl_item_attributes(const struct pl_source *source, const struct pl_item *item,
		       pl_attribute_fn *each, void *closure, struct platter_error *err);

/* For the two kinds of sources: room for one more item of a folder, zeroed; NULL: no memory. */
struct pl_item *pl_item_add(struct pl_item *folder, size_t *capacity);
/* Their trees, below the root, which is filled in. */
int pl_source_read_host(struct pl_source *source, const struct pl_exclude *exclude,
			struct platter_progress *progress, struct platter_error *err);
int pl_source_read_volume(struct pl_source *source, const struct pl_exclude *exclude,
			  struct platter_progress *progress, struct platter_error *err);

/* Whether the item called `name` in `folder` is left out. */
bool pl_is_excluded(const struct pl_exclude *exclude, const struct pl_item *folder,
		    const char *name);

#endif
