/* SPDX-License-Identifier: GPL-3.0-or-later */
/* registry.c - everything that a disk or partition is recognised to begin with */
#include "content.h"

const struct pl_content_driver *const pl_content_drivers[] = {
	NULL,
};
