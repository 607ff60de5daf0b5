/* SPDX-License-Identifier: GPL-3.0-or-later */
/* disk-image.h - new disks with partitions and file systems; see platter_author_disk() */
#ifndef PL_DISK_IMAGE_H
#define PL_DISK_IMAGE_H

#include <platter/author.h>

#include "error.h"

int pl_author_disk(const char *target, const struct platter_new_disk_options *options,
		   struct platter_progress *progress, struct platter_author_result *ret,
		   struct platter_error *err);

#endif
