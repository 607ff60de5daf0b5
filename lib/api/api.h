/* SPDX-License-Identifier: GPL-3.0-or-later */
/* api.h - what the public functions share: the handle and the checks of arguments */
#ifndef PL_API_H
#define PL_API_H

#include <platter/disk.h>

#include "place.h"

struct platter_disk {
	struct pl_place *place;
};

/*
 * Copy an options structure of a caller that may be older (shorter) or newer (longer) than
 * this library; `size` is its first member.  NULL: all defaults.  What the caller's does not
 * have stays zero.  -EINVAL: it sets something that this library does not know.
 */
int pl_api_options(void *ret, size_t known, const void *given, struct platter_error *err);

/* The same of options of opening, with the parents that they give. */
int pl_api_open_options(struct platter_open_options *ret, const struct platter_open_options *given,
			struct pl_parents *ret_parents, struct platter_error *err);

/* A handle for `file`, whose reference is taken over, found in `place`. */
int pl_api_disk_of(const struct pl_place *place, struct pl_disk *file, const char *name,
		   struct platter_disk **ret, struct platter_error *err);

#endif
