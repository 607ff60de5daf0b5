/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * traces.h - superblocks, boot sectors, tables and their copies, wherever on a disk they are
 *
 * A sector that bears such a magic tells where the file system or table begins that it is of.
 * Whether it is one, is asked of the driver that recognises what begins there; of a copy, as if
 * it were put back in its place.
 */
#ifndef PL_TRACES_H
#define PL_TRACES_H

#include <platter/examine.h>

#include "disk.h"
#include "facts.h"

/* Bytes that are looked at behind the beginning of a sector. */
#define PL_TRACE_LOOK KIB(4)

/* What a trace may tell of: a place, and where in it the bytes of the trace belong. */
struct pl_candidate {
	int64_t start;    /* of what it tells of; below 0: not on this disk */
	uint64_t restore; /* byte from there; PL_TRACE_IN_PLACE: it stands where it belongs */
	bool copy;
};
#define PL_TRACE_IN_PLACE UINT64_MAX
#define PL_MAX_CANDIDATES 3

struct pl_trace_kind;

/*
 * The kind of trace that the sector at p, of PL_TRACE_LOOK bytes, bears; NULL: none.  Pure, and
 * quick where there is none.
 */
const struct pl_trace_kind *pl_trace_find(const uint8_t *p);

/* What it may be, where it stands at byte `at` of a disk; how many of them. */
size_t pl_trace_candidates(const struct pl_trace_kind *kind, const uint8_t *p, uint64_t at,
			   struct pl_candidate ret[static PL_MAX_CANDIDATES]);

/* What can be said of the structure that a trace tells of. */
struct pl_traced {
	struct platter_structure structure; /* `present` is the caller's */
	uint64_t entries;  /* files and folders in its root that no system put there */
	const char *usage; /* as of struct platter_content; "table" */
	int evidence;      /* bits */
};

/*
 * Look at what the trace at byte `at` of the disk tells of; strings live in the arena.  False:
 * nothing is behind it.
 */
bool pl_trace_look(struct pl_disk *disk, const struct pl_trace_kind *kind, uint64_t at,
		   struct pl_arena *arena, struct pl_traced *ret);

/*
 * How many entries the root of the file system on `disk` has that no system put there; -ENOENT
 * and the like: it has no files, or they cannot be listed.
 */
int pl_root_entries(struct pl_disk *disk, uint64_t *ret);

#endif
