/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * leaf.h - the disks of this room: one file or device, parts end to end, or a stream
 */
#ifndef PL_LEAF_H
#define PL_LEAF_H

#include "part.h"

/* More parts than any tool writes; it bounds what a folder full of files can make us do. */
#define PL_MAX_PARTS 65535

struct pl_leaf;

/* How a file that is being written gets its name; all NULL and false if it has one. */
struct pl_output {
	char *target; /* of the first part or the folder, owned; NULL: not ours to name */
	char *inside; /* of a folder: the name of the part in it, owned; else NULL */
	char *also;   /* and what else is in one that may be replaced, owned; or NULL */
	char *base;   /* of a set of parts: their names without the number, owned */
	char *ending; /* of files beside another: what follows the number, owned; else NULL */
	struct pl_leaf *beside; /* the files that appear together with this one, owned, or NULL */
	bool overwrite;
	bool anew; /* what is beside `target` stays until that is replaced */
	bool direct;
	bool pending;    /* neither committed nor abandoned yet */
	bool redirected; /* standard output is a file */
};

struct pl_leaf {
	struct pl_disk disk;
	struct pl_part **parts;
	size_t nr_parts;  /* read with __atomic while parts are being added */
	size_t max_parts; /* that `parts` has room for */
	uint64_t split;   /* bytes of each part of a set being written, 0: none */
	bool loose;       /* its parts end where they were written to, not at `split` */
	struct pl_output output;

	/* Held for reading to write past the end, for writing to extend or cut. */
	pthread_rwlock_t grow;
	pthread_mutex_t lock; /* taken after it; guards which parts are open */
	size_t nr_open;
	uint64_t clock;
};

/* A leaf of no parts yet with room for max_parts. */
int pl_leaf_new(const char *name, size_t max_parts, struct pl_leaf **ret,
		struct platter_error *err);
void pl_leaf_free(struct pl_leaf *leaf);

/* Add an open part, which the leaf then owns; it begins where the one before ends. */
void pl_leaf_add(struct pl_leaf *leaf, struct pl_part *part);

/* When all are added: what the disk takes from them. */
void pl_leaf_ready(struct pl_leaf *leaf, bool writable);

/* The leaf behind `disk`, or NULL if it is not one of files or devices. */
struct pl_leaf *pl_leaf_of(struct pl_disk *disk);

/* Keep a part open until it is put back. */
int pl_leaf_get(struct pl_leaf *leaf, size_t index, struct pl_part **ret,
		struct platter_error *err);
void pl_leaf_put(struct pl_leaf *leaf, struct pl_part *part);

/* The disk is at least so long now; any thread. */
void pl_leaf_grown(struct pl_leaf *leaf, uint64_t size);

/* output.c: make the parts of a set up to the one that holds byte `size` - 1. */
int pl_output_add_parts(struct pl_leaf *leaf, uint64_t size, struct platter_error *err);

/* folder.c: nothing is followed out of the folder */
/* `but`: files of this name stay; NULL: none does. */
int pl_folder_empty(const char *path, const char *but, struct platter_error *err);
int pl_folder_remove(const char *path, struct platter_error *err);
uint64_t pl_folder_allocated(const char *path); /* bytes of its files; UINT64_MAX unknown */

/* bands.c: false if it is none */
bool pl_bands_allocated(struct pl_disk *disk, uint64_t *ret);
bool pl_bands_id(struct pl_disk *disk, size_t index,
		 struct pl_file_id *ret); /* itself, its folder */

/* count.c: files beside one that is only counted; NULL or -ENOTSUP: it is not one of those. */
int pl_count_beside(struct pl_disk *file, const struct pl_storage_beside *how, struct pl_disk **ret,
		    struct platter_error *err);
char *pl_count_beside_path(struct pl_disk *file, size_t index);

/* split.c: the names of a set whose first part is `path`; *ret_nr is 1 if it is no set. */
int pl_split_find(const char *path, char ***ret_names, size_t *ret_nr, struct platter_error *err);
void pl_split_free_names(char **names, size_t nr);
/* The length of `path` without the number of a first part (".001"), or 0: it has none. */
size_t pl_split_base_length(const char *path);

/* stream.c: standard input and output that cannot be seeked; the descriptor stays open. */
int pl_stream_input(int fd, struct pl_disk **ret, struct platter_error *err);
int pl_stream_output(int fd, struct pl_disk **ret, struct platter_error *err);

#endif
