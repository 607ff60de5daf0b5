/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compose.h - a disk put together of others */
#ifndef PL_COMPOSE_H
#define PL_COMPOSE_H

#include "disk.h"

/* Bytes [offset, offset + disk->size) of the whole are those of `disk`. */
struct pl_component {
	struct pl_disk *disk;
	uint64_t offset;
};

/*
 * `base`, with these laid over it, in the order of their offsets and not overlapping.  References of all are
 * taken.  It has the size of `base`; none passes its end.
 */
int pl_compose(struct pl_disk *base, const struct pl_component *components, size_t nr,
	       const char *name, struct pl_disk **ret, struct platter_error *err);

#endif
