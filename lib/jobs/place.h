/* SPDX-License-Identifier: GPL-3.0-or-later */
/* place.h - opening what a user names: PATH[?options][@partition[/volume][?options]][:/path]... */
#ifndef PL_PLACE_H
#define PL_PLACE_H

#include "disk.h"
#include "format.h"
#include "volume.h"

#define PL_PLACE_MAX_ELEMENTS 16

/*
 * The storage; of each element a partition, a logical volume and the image in it with what wraps
 * that, and a file.
 */
#define PL_PLACE_MAX_LAYERS (5 * PL_PLACE_MAX_ELEMENTS + 1)

/* The stack of disks that a place opened. */
struct pl_place {
	char *name;              /* as given */
	struct pl_disk *storage; /* the leaf: file, device, split parts, stream */
	struct pl_disk *disk;    /* the disk the place names; a reference */
	struct pl_disk *layers[PL_PLACE_MAX_LAYERS]; /* storage ... disk; references */
	uint32_t partition[PL_PLACE_MAX_LAYERS]; /* its number, of a layer that is one; else 0 */
	bool is_logical[PL_PLACE_MAX_LAYERS];    /* of a layer that is a logical volume */
	bool is_file[PL_PLACE_MAX_LAYERS];       /* of a layer that is a file inside */
	size_t nr_layers;
	unsigned flags;

	/* Where files were asked for: what was found of them. */
	struct pl_volume *volume; /* a reference; on `disk`, which it may divide */
	struct pl_node_id node;   /* the file or folder that the place names; else the root */
	struct platter_file file; /* what that is */
	char *path;               /* what the place said of it, from the root; "/" */
};

int pl_place_open(const char *name, const char *format, unsigned flags, struct pl_place **ret,
		  struct platter_error *err);
/* The same, with files to stand for missing parents (NULL: none). */
int pl_place_open_given(const char *name, const char *format, unsigned flags,
			struct pl_parents *given, struct pl_place **ret, struct platter_error *err);
/*
 * The same, but the file system on what the place names, or the file or folder in it.  A disk
 * with partitions is a volume of one folder for each.
 */
int pl_place_open_files(const char *name, const char *format, unsigned flags,
			struct pl_parents *given, struct pl_place **ret, struct platter_error *err);

/*
 * The layers of `place`, and `disk` on top, whose reference is taken over if this succeeds; a
 * file that was found in the volume, or a view of what is there.
 */
int pl_place_of_disk(const struct pl_place *place, struct pl_disk *disk, bool is_file,
		     const char *name, struct pl_place **ret, struct platter_error *err);

/* A place whose one layer is `leaf`, whose reference is taken over if this succeeds. */
int pl_place_of_leaf(struct pl_disk *leaf, struct pl_place **ret, struct platter_error *err);

void pl_place_close(struct pl_place *place);

#endif
