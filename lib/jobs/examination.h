/* SPDX-License-Identifier: GPL-3.0-or-later */
/* examination.h - what the files share that examine a disk: the result as it grows */
#ifndef PL_EXAMINATION_H
#define PL_EXAMINATION_H

#include <platter/examine.h>

#include "content.h"
#include "place.h"
#include "signatures.h"
#include "traces.h"

/* Regions are made of so many cells at most. */
#define PL_EXAMINE_CELLS 4096
/* Structures that are kept; more are counted. */
#define PL_EXAMINE_STRUCTURES 2048
#define PL_EXAMINE_PATTERNS   16
#define PL_EXAMINE_NOTES      16
#define PL_EXAMINE_VOLUMES    256

struct pl_cell {
	uint64_t bytes[PLATTER_NR_CLASSES];
};

/* A partition, or the whole disk, as it is divided now. */
struct pl_examined_volume {
	uint64_t offset, size;
	const char *name; /* of its content; "" not known */
	const char *longname;
	const char *usage; /* "filesystem", "crypto", ... */
	uint64_t used;     /* bytes that it says it uses; `size` if it does not tell */
	bool counted;      /* it tells */
	bool opens;
	uint64_t entries; /* in its root that no system put there */
};

/* The result and all that it is made from. */
struct pl_examination {
	struct platter_examination e;
	struct pl_arena arena;
	struct pl_disk *disk;
	struct pl_cell *cells;
	size_t nr_cells;
	struct platter_pattern patterns[PL_EXAMINE_PATTERNS];
	uint64_t histogram[256]; /* of what looks random */
	struct platter_structure *structures;
	struct platter_remains_type *types; /* one for each signature */
	struct pl_examined_volume volumes[PL_EXAMINE_VOLUMES];
	size_t nr_volumes;
	const char *table; /* the one to believe, or NULL */
	const char *notes[PL_EXAMINE_NOTES];
	struct pl_place *used;   /* the disk without what is not in use; NULL: not known */
	uint64_t leading_blank;  /* bytes that the disk begins with and that are blank */
	uint64_t leading_random; /* the same, random-looking */
	bool leading_ended;
};

/* How the disk is divided now: tables, volumes, and what these use. */
int pl_examine_layout(struct pl_examination *x, struct pl_place *place, struct platter_error *err);

/* What the drive below a place tells of itself. */
void pl_examine_hidden(const struct pl_place *place, struct platter_hidden *ret);

/* Make the verdict, the notes and the lists of what was found. */
int pl_examine_judge(struct pl_examination *x, struct platter_error *err);

#endif
