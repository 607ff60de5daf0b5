/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * volumes.h - the files of a whole disk: of its file system, or of each of its partitions and
 * logical volumes
 */
#ifndef PL_VOLUMES_H
#define PL_VOLUMES_H

#include "volume.h"

/*
 * As pl_volume_open(); but on a disk that has partitions instead of a file system, and no
 * `fs` is asked for, the volume is one of a folder for each partition: "2", or "2-LABEL".
 * Each is opened when it is first looked into.  A physical volume is a folder of its logical
 * volumes, by their names, whether it is the disk or a partition; and a logical volume may
 * have partitions.
 */
int pl_volumes_open(struct pl_disk *disk, const char *fs, const char *snapshot, unsigned flags,
		    struct pl_volume **ret, struct platter_error *err);

#endif
