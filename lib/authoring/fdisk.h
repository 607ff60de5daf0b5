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

/*
 * Add these to the table that is in the file `image`, which has the size of the disk and sectors of
 * `sector_size` bytes, if `keep`; else to a new one.  What does not fit the four
 * entries of an MBR becomes logical partitions.
 * -EINVAL: there is no room for them.  -EUCLEAN: libfdisk cannot use the table.
 */
int pl_fdisk_add(const char *image, bool gpt, bool keep, uint32_t sector_size,
		 const struct pl_new_partition *partitions, size_t nr, struct platter_error *err);

#endif
