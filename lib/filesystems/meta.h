/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * meta.h - cached reading of a file system's metadata
 *
 * Inodes, directory blocks and tree nodes are small, near each other, and wanted again.
 * They are read in windows of 16 KiB, of which 16 MiB are kept.  Any thread.
 */
#ifndef PL_META_H
#define PL_META_H

#include "disk.h"

struct pl_meta;

int pl_meta_new(struct pl_disk *disk, struct pl_meta **ret, struct platter_error *err);
void pl_meta_free(struct pl_meta *m); /* NULL is allowed */

/*
 * As pl_read(), through the cache.  A bad sector near by does no harm, as in pl_read().
 * Past the disk's end: -EUCLEAN, since an offset from the metadata led there.
 */
int pl_meta_read(struct pl_meta *m, void *buf, size_t n, uint64_t offset,
		 struct platter_error *err);

#endif
