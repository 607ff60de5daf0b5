/* SPDX-License-Identifier: GPL-3.0-or-later */
/* xfs-proto.h - the list of files that mkfs.xfs fills a file system from */
#ifndef PL_XFS_PROTO_H
#define PL_XFS_PROTO_H

#include "source.h"

/*
 * Write the file `path`: what is in the folder `from`, as mkfs.xfs(8) describes it under -p.
 * -ENOTSUP: a name has white space in it, which that cannot express.
 */
int pl_xfs_proto_write(const char *path, const char *from, struct platter_progress *progress,
		       struct platter_error *err);

#endif
