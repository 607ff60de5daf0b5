/* SPDX-License-Identifier: GPL-3.0-or-later */
/* guard.h - what uses a block device, so that it is not destroyed by surprise */
#ifndef PL_GUARD_H
#define PL_GUARD_H

#include "disk.h"
#include "storage.h"

/*
 * Refuse (-EBUSY, naming the user) a block device that is mounted, or one of whose partitions
 * is; that is swap; that the device mapper, md or a loop device stands on.  Also a file that a
 * loop device stands on.  To be asked before the device is opened exclusively.
 * 0: it may be overwritten.
 */
int pl_guard_device(const char *path, struct platter_error *err);

/*
 * The file that shows as the loop device `path`, or as the one that `path` is a partition
 * of: writing to the device writes to that file.  False if it is no loop device.
 */
bool pl_loop_file(const char *path, struct pl_file_id *ret);

#endif
