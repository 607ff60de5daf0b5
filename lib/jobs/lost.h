/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lost.h - partitions that the table of a disk does not have */
#ifndef PL_LOST_H
#define PL_LOST_H

#include <platter/examine.h>

#include "place.h"

/* As platter_find_lost() says. */
int pl_find_lost(struct pl_place *place, struct platter_progress *progress,
		 struct platter_lost **ret, struct platter_error *err);
void pl_lost_free(struct platter_lost *lost);

#endif
