/* SPDX-License-Identifier: GPL-3.0-or-later */
/* change.h - images changed in place; see platter/change.h */
#ifndef PL_CHANGE_H
#define PL_CHANGE_H

#include <platter/change.h>

#include "place.h"

/* As platter_resize() says. */
int pl_resize_image(struct pl_place *place, uint64_t size,
		    const struct platter_resize_options *options, struct platter_error *err);

enum pl_snapshot_action {
	PL_SNAPSHOT_CREATE,
	PL_SNAPSHOT_APPLY,
	PL_SNAPSHOT_DELETE,
};

/* As platter_snapshot_create() and its fellows say. */
int pl_snapshot_change(struct pl_place *place, enum pl_snapshot_action action, const char *name,
		       struct platter_error *err);

/* As platter_compact() says. */
int pl_compact(const char *image, const struct platter_compact_options *options,
	       struct platter_progress *progress, struct platter_change_result *ret,
	       struct platter_error *err);

/* As platter_repair() says. */
int pl_repair(const char *image, const struct platter_repair_options *options,
	      void (*found)(const struct platter_finding *finding, void *closure), void *closure,
	      struct platter_repair_result *ret, struct platter_error *err);

#endif
