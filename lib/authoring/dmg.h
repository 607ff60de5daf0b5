/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dmg.h - new disk images for Macs, made of files; see platter_author_dmg() */
#ifndef PL_AUTHOR_DMG_H
#define PL_AUTHOR_DMG_H

#include <platter/author.h>

#include "error.h"

int pl_author_dmg(const char *target, const char *from, const struct platter_iso_options *disc,
		  const struct platter_create_options *image, struct platter_progress *progress,
		  struct platter_author_result *ret, struct platter_error *err);

#endif
