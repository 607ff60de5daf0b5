/* SPDX-License-Identifier: GPL-3.0-or-later */
/* describe.h - what a disk is, layer by layer */
#ifndef PL_DESCRIBE_H
#define PL_DESCRIBE_H

#include <platter/describe.h>

#include "place.h"

/* As platter_describe() says. */
int pl_describe(struct pl_place *place, struct platter_description **ret,
		struct platter_error *err);
void pl_description_free(struct platter_description *description);

#endif
