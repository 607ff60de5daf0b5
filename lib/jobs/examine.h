/* SPDX-License-Identifier: GPL-3.0-or-later */
/* examine.h - is anything left on a disk? */
#ifndef PL_EXAMINE_H
#define PL_EXAMINE_H

#include <platter/examine.h>

#include "place.h"

/* As platter_examine() says. */
int pl_examine(struct pl_place *place, const struct platter_examine_options *options,
	       struct platter_progress *progress, struct platter_examination **ret,
	       struct platter_error *err);
void pl_examination_free(struct platter_examination *examination);

#endif
