/* SPDX-License-Identifier: GPL-3.0-or-later */
/* joined.h - what lies in several files, as one run of bytes */
#ifndef PL_JOINED_H
#define PL_JOINED_H

#include "disk.h"

struct pl_joined_part {
	struct pl_disk *file; /* a reference */
	uint64_t offset, length;
};

/*
 * The parts, of which there is one or more, one behind another as a disk that is read-only.  It
 * takes their references over, also when it fails.
 */
int pl_joined_new(const char *name, const struct pl_joined_part *parts, size_t nr,
		  struct pl_disk **ret, struct platter_error *err);

/*
 * The name, without folders, of a file that belongs to the first one at `first`: NAME.part01.EXT is
 * followed by NAME.part02.EXT, with as many digits, and any other NAME.EXT by NAME, a dot,
 * `letter` and two digits that count from `from`.  `index` counts from 1.  malloc()ed, NULL when
 * memory is out.
 */
char *pl_joined_name(const char *first, char letter, unsigned from, unsigned index);

#endif
