/* SPDX-License-Identifier: GPL-3.0-or-later */
/* regions.h - what the partition table of a disk divides it into, for writers that want to know */
#ifndef PL_REGIONS_H
#define PL_REGIONS_H

#include "facts.h"
#include "format.h"

/*
 * Fill in the regions of a request, which live in the arena: none if the format has no use for
 * them, or where no table tells of all of the disk without contradicting itself.
 */
int pl_regions_of(struct pl_disk *source, const struct pl_format *format, struct pl_arena *arena,
		  struct pl_create_request *request, struct platter_error *err);

#endif
