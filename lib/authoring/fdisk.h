/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fdisk.h - partition tables, written by libfdisk */
#ifndef PL_FDISK_H
#define PL_FDISK_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where partitions begin and end; and what stays free behind the last, for the other GPT. */
#define PL_ALIGNMENT ((uint64_t)1 << 20)

struct pl_new_partition {
	uint64_t offset, length; /* bytes, multiples of PL_ALIGNMENT */
	const char *type;        /* a name of pl_partition_type(), a GUID, two hexadecimal digits */
	const char *name;        /* of a GPT; NULL: none */
};

/*
 * The type that `name` means in a table, for libfdisk: a GUID or hexadecimal digits; `name` itself if it is
 * none of the names.  NULL: an MBR has no such type.
 */
const char *pl_partition_type(const char *name, bool gpt);

/*
 * Write a table of these to the file `image`, which has the size of the disk.  Identifiers are random, or
 * follow from the epoch.  -EINVAL: a type is none.
 */
int pl_fdisk_write(const char *image, bool gpt, const struct pl_new_partition *partitions,
		   size_t nr, int64_t epoch, struct platter_error *err);

#endif
