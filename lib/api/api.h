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

#endif
