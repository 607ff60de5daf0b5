/* SPDX-License-Identifier: GPL-3.0-or-later */
/* used.h - a disk without what nothing on it uses */
#ifndef PL_USED_H
#define PL_USED_H

#include <platter/job.h>

#include "place.h"

/*
 * A place like `place`, whose disk has holes where file systems say that they use nothing;
 * *ret_unused: so many bytes.  `each` (may be NULL) is told of every volume.  What is not
 * known, damaged, or cannot be trusted is all in use; so is what belongs to no partition.
 */
int pl_place_used(const struct pl_place *place,
		  void (*each)(const struct platter_used_volume *volume, void *closure),
		  void *closure, struct pl_place **ret, uint64_t *ret_unused,
		  struct platter_error *err);

#endif
