/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fat-names.h - whether the names of a folder can stand in a FAT file system */
#ifndef PL_FAT_NAMES_H
#define PL_FAT_NAMES_H

#include "source.h"

/*
 * -ENOTSUP: a name has a character that FAT does not know, or ends in a way that is not kept.
 * -EEXIST: two names of a folder are the same where case is ignored.
 */
int pl_fat_check_names(const struct pl_source *source, struct platter_error *err);

#endif
