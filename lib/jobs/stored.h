/* SPDX-License-Identifier: GPL-3.0-or-later */
/* stored.h - what an image takes up, in all of its files */
#ifndef PL_STORED_H
#define PL_STORED_H

#include "disk.h"

/*
 * Bytes that the files or devices behind `disk` take up on their file systems, each counted
 * once; those of its parents are not its own.  UINT64_MAX: unknown.
 */
uint64_t pl_stored(struct pl_disk *disk);

#endif
