/* SPDX-License-Identifier: GPL-3.0-or-later */
/* xfs-proto.h - the list of files that mkfs.xfs fills a file system from */
#ifndef PL_XFS_PROTO_H
#define PL_XFS_PROTO_H

#include "source.h"

/*
 * Write the file `path`: what is in a folder of this machine, as mkfs.xfs(8) describes it under -p.
 * -ENOTSUP: a name that this cannot express: with white space, one that begins with a colon, "$".
 */
int pl_xfs_proto_write(const char *path, const struct pl_source *source, struct platter_error *err);

#endif
