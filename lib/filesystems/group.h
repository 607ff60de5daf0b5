/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * group.h - what holds disks instead of files: a volume group and its logical volumes
 *
 * A driver reads the group's own metadata from one disk, says which logical volumes there
 * are, and opens those that are wholly on that disk.
 */
#ifndef PL_GROUP_H
#define PL_GROUP_H

#include "content.h"

struct pl_logical {
	const char *name; /* fit to print, as all of its strings */
	const char *uuid;
	const char *type; /* "linear", "striped", or another word of the driver's */
	uint64_t size;
	bool hidden;     /* a part of others: opened by its name, but not shown */
	bool shared;     /* others are made of it, so its own contents do not say what is needed */
	int code;        /* negative errno: it cannot be opened, */
	const char *why; /* and why: one phrase */
};

struct pl_group;

struct pl_group_ops {
	/* Logical volume `index`, whose code is 0, as a disk called `name`. */
	int (*open)(struct pl_group *g, size_t index, const char *name, struct pl_disk **ret,
		    struct platter_error *err);
	/*
	 * Every range of the disk whose bytes matter besides the contents of the logical volumes
	 * for which pl_logical_stands_alone().  -EUCLEAN: that is not certain.
	 */
	int (*used)(struct pl_group *g, struct pl_ranges *used, struct platter_error *err);
	void (*describe)(struct pl_group *g, struct pl_facts *facts);
	/* Frees the driver's structure, pl_group_done() first. */
	void (*free)(struct pl_group *g);
};

/* A driver embeds this as its first member. */
struct pl_group {
	const struct pl_group_ops *ops;
	struct pl_disk *disk; /* what it is on; a reference */
	struct pl_arena arena;
	const char *name;
	struct pl_logical *volume;
	size_t nr;
	uint64_t free; /* bytes of the disk that no logical volume has */
};

/* Does what is on it tell all that is needed of it? */
static inline bool
pl_logical_stands_alone(const struct pl_logical *l)
{
	return !l->code && !l->hidden && !l->shared;
}

/*
 * The group on `disk`, if that is what the disk is recognised as before all else.
 * -ENOENT: it is not.
 */
int pl_group_open(struct pl_disk *disk, unsigned flags, struct pl_group **ret,
		  struct platter_error *err);
void pl_group_done(struct pl_group *g);
void pl_group_close(struct pl_group *g); /* NULL is allowed */

/*
 * The logical volume that `select` names: "root", "group/root", "/group/root", or its UUID.
 * -ENOENT, with a hint that lists them.
 */
int pl_group_find(const struct pl_group *g, const char *select, size_t *ret,
		  struct platter_error *err);

/*
 * The place of a logical volume on the disk of place `disk`: "disk.img@2/root", or
 * "disk.img@/root" where the disk is no partition; malloc()ed.
 */
char *pl_logical_place(const char *disk, const char *name);

/* Open it, or say why that cannot be. */
int pl_group_open_logical(struct pl_group *g, size_t index, const char *name, struct pl_disk **ret,
			  struct platter_error *err);

#endif
