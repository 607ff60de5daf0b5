/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mkfs.h - file systems, made and filled by their own programs in plain files */
#ifndef PL_MKFS_H
#define PL_MKFS_H

#include "source.h"

struct platter_progress;

struct pl_mkfs_order {
	const char *image; /* a file of the size that the file system shall have, all zeros */
	uint64_t size;
	uint64_t offset;                /* where on its disk it will stand: some record that */
	const char *label;              /* NULL: none */
	const struct pl_source *source; /* a folder of this machine to fill it with; NULL: empty */
	const char *work;               /* a folder for files on the way */
	int64_t epoch;
	char uuid[37]; /* lower case; "": the program makes one up */
	struct platter_progress *progress;
};

/* One kind of file system.  All that are known are in pl_mkfs_kinds, ended by a NULL name. */
struct pl_mkfs {
	const char *name;
	const char *type;     /* of the partition that it stands in: see pl_partition_type() */
	bool needs_files;     /* it is made of a folder, and cannot be empty */
	const char *unfilled; /* why it cannot be filled, or NULL: it can */
	int (*make)(const struct pl_mkfs *kind, const struct pl_mkfs_order *order,
		    struct platter_error *err);
	unsigned variant; /* for `make` */
};
extern const struct pl_mkfs pl_mkfs_kinds[];

/* The kind of that name.  -EINVAL: there is none, with those that there are as the hint. */
int pl_mkfs_find(const char *name, const struct pl_mkfs **ret, struct platter_error *err);

/*
 * Make it.  Errors: those of pl_command_run(); -ENOTSUP: it cannot be filled; -EINVAL; -ENOSPC:
 * the files take more than there is.
 */
int pl_mkfs_run(const struct pl_mkfs *kind, const struct pl_mkfs_order *order,
		struct platter_error *err);

#endif
