/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * content.h - recognising what a disk or partition begins with
 *
 * identify() looks at superblocks only: who made this, what it is called, how large
 * it is.  More than one may claim a disk (signatures outlive reformatting): all are shown.
 * A driver that reads the files inside has open() too, which does not lean on identify().
 */
#ifndef PL_CONTENT_H
#define PL_CONTENT_H

#include <platter/describe.h>
#include <platter/format.h>

#include "disk.h"
#include "facts.h"
#include "volume.h"

struct pl_group;

/* Superblocks stand near the beginning: this much is read once and shared by all drivers. */
#define PL_CONTENT_HEAD KIB(128)

/* What a driver's identify() fills in. */
struct pl_content {
	const struct pl_content_driver *driver;
	struct pl_arena *arena;
	const uint8_t *head; /* the disk's first PL_CONTENT_HEAD bytes, zeros past its end */
	struct platter_content content; /* strings in the arena or literals */
	struct pl_facts facts;
	int evidence;  /* bits verified; the most is believed first */
	bool leftover; /* partly overwritten: shown after everything that is whole */
	/* Of several trees of the same files, as on discs, this has most to say of them. */
	bool opens_first;
};

struct pl_content_driver {
	struct platter_format_info info; /* name, longname */
	const char *usage;               /* "filesystem", "raid", "crypto", "other" */
	/*
	 * Returns 0 with *c filled in, -ENOENT if it is not there, or an error of the storage.
	 * `name` may be refined ("ext2" to "ext4"); the caller has set name, longname and usage.
	 */
	int (*identify)(struct pl_disk *disk, struct pl_content *c, struct platter_error *err);

	/* See volume.h.  NULL: it is only recognised. */
	int (*open)(const struct pl_volume_request *request, struct pl_volume **ret,
		    struct platter_error *err);
	bool snapshots; /* open() chooses the snapshot that the request names */
	/*
	 * For contents without files: the ranges of the disk whose bytes matter, as that of a
	 * volume says.  NULL: all of it.
	 */
	int (*used)(struct pl_disk *disk, struct pl_ranges *used, struct platter_error *err);
	/* For those that hold logical volumes: see group.h.  NULL: it holds none. */
	int (*group)(struct pl_disk *disk, unsigned flags, struct pl_group **ret,
		     struct platter_error *err);
	/* Names of the trees of the same files that open() can show; NULL: one.  Ends with NULL. */
	const char *const *views;
};

extern const struct pl_content_driver *const pl_content_drivers[];

/* Everything that claims `disk`, best first; its strings and facts live in the arena. */
int pl_contents_find(struct pl_disk *disk, struct pl_arena *arena, struct pl_content **ret,
		     size_t *ret_nr, struct platter_error *err);

/* The same as plain descriptions. */
int pl_contents_identify(struct pl_disk *disk, struct pl_arena *arena,
			 const struct platter_content **ret, size_t *ret_nr,
			 struct platter_error *err);

#endif
