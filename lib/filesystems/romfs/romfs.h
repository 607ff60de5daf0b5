/* SPDX-License-Identifier: GPL-3.0-or-later */
/* romfs.h - what the files of the romfs driver share */
#ifndef PL_ROMFS_H
#define PL_ROMFS_H

#include "volume.h"

int pl_romfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
		  struct platter_error *err);

#endif
