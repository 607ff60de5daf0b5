/* SPDX-License-Identifier: GPL-3.0-or-later */
/* export.h - files inside as a tar archive; see platter_export_tar() */
#ifndef PL_EXPORT_H
#define PL_EXPORT_H

#include "volume.h"

int pl_export_tar(struct pl_volume *v, struct pl_node_id start, const char *name, int fd,
		  void (*each)(const struct platter_extract_note *note, void *closure),
		  void *closure, struct platter_progress *progress,
		  struct platter_export_result *ret, struct platter_error *err);

#endif
