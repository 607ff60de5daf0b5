/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fat-image.h - FAT file systems, made and filled with the tools of dosfstools and mtools */
#ifndef PL_FAT_IMAGE_H
#define PL_FAT_IMAGE_H

#include "epoch.h"
#include "source.h"

struct platter_progress;

/*
 * Make a FAT file system in the file `image`, which has its size; `bits` 12, 16, 32 or 0: as fits;
 * `label` may be NULL.
 */
int pl_fat_make(const char *image, unsigned bits, const char *label, int64_t epoch,
		struct platter_progress *progress, struct platter_error *err);

/* Copy everything in a folder of this machine into its root; its names were checked. */
int pl_fat_fill(const char *image, const struct pl_source *source,
		struct platter_progress *progress, struct platter_error *err);

/*
 * A new file `image` that is just large enough for the folder `from`, with its files in it: what
 * UEFI boots from a disc.
 */
int pl_fat_of_folder(const char *image, const char *from, int64_t epoch,
		     struct platter_progress *progress, struct platter_error *err);

#endif
