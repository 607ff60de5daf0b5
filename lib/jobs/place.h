/* SPDX-License-Identifier: GPL-3.0-or-later */
/* place.h - opening what a user names: PATH[?options][@partition[?options]]... */
#ifndef PL_PLACE_H
#define PL_PLACE_H

#include "disk.h"
#include "format.h"

#define PL_PLACE_MAX_ELEMENTS 16

/* The stack of disks that a place opened. */
struct pl_place {
	char *name;              /* as given */
	struct pl_disk *storage; /* the leaf: file, device, split parts, stream */
	struct pl_disk *disk;    /* the disk the place names; a reference */
	struct pl_disk *layers[2 * PL_PLACE_MAX_ELEMENTS + 1]; /* storage ... disk; references */
	uint32_t partition[2 * PL_PLACE_MAX_ELEMENTS +
			   1]; /* its number, of a layer that is one; else 0 */
	size_t nr_layers;
	unsigned flags;
};

int pl_place_open(const char *name, const char *format, unsigned flags, struct pl_place **ret,
		  struct platter_error *err);
/* The same, with files to stand for missing parents (NULL: none). */
int pl_place_open_given(const char *name, const char *format, unsigned flags,
			struct pl_parents *given, struct pl_place **ret, struct platter_error *err);
void pl_place_close(struct pl_place *place);

#endif
