/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ext-times.h - the times that mke2fs takes from files, made the same in every run */
#ifndef PL_EXT_TIMES_H
#define PL_EXT_TIMES_H

#include "source.h"

/*
 * Set all times of what mke2fs copied from `source` into `image` to when it was modified,
 * or to `epoch` if that was later: it also copies when files were last read.  `script` is a file to
 * be written on the way.
 */
int pl_ext_set_times(const char *image, const struct pl_source *source, const char *script,
		     int64_t epoch, struct platter_progress *progress, struct platter_error *err);

#endif
