/* SPDX-License-Identifier: GPL-3.0-or-later */
/* extract.h - files inside copied out; see platter_extract() */
#ifndef PL_EXTRACT_H
#define PL_EXTRACT_H

#include "volume.h"

int pl_extract(struct pl_volume *v, struct pl_node_id start, const char *name, const char *folder,
	       const struct platter_extract_options *options, struct platter_progress *progress,
	       struct platter_extract_result *ret, struct platter_error *err);

#endif
