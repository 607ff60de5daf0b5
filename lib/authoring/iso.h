/* SPDX-License-Identifier: GPL-3.0-or-later */
/* iso.h - new ISO 9660 images; see platter_author_iso() */
#ifndef PL_ISO_H
#define PL_ISO_H

#include <platter/author.h>

#include "disk.h"

int pl_author_iso(const char *target, const char *from, const struct platter_iso_options *options,
		  struct platter_progress *progress, struct platter_author_result *ret,
		  struct platter_error *err);

#endif
