/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * scheme.h - what a partition scheme's driver gives, and the registry of them
 */
#ifndef PL_SCHEME_H
#define PL_SCHEME_H

#include <platter/describe.h>
#include <platter/format.h>

#include "disk.h"
#include "facts.h"

/* More partitions than any table that tools write; fuller ones are refused. */
#define PL_MAX_PARTITIONS 1024

/* A table being read: the driver adds partitions with pl_table_add(). */
struct pl_table {
	struct pl_arena *arena;
	struct platter_table table;
	struct pl_facts facts; /* copied into table.facts by the registry */
	size_t capacity;
	struct platter_gap *own; /* what the table itself takes up */
	size_t nr_own, own_capacity;
	const struct platter_table *gpt; /* the GPT that this disk carries too, or NULL */
	unsigned flags;                  /* PLATTER_OPEN_IGNORE_CHECKSUMS */
	bool damaged; /* set by the driver: part of the table is wrong or missing */
};

/*
 * Add a copy of `partition`; its strings live in the arena or are literals; NULL strings
 * become "".  -EFBIG past PL_MAX_PARTITIONS.
 */
int pl_table_add(struct pl_table *t, const struct platter_partition *partition,
		 struct platter_error *err);

/* Disk bytes [offset, offset + length) hold the table itself: neither partition nor gap. */
void pl_table_own(struct pl_table *t, uint64_t offset, uint64_t length);

struct pl_scheme {
	struct platter_format_info info;
	/*
	 * Read the table of `disk` into `t`.  Returns 0; -ENOENT (no words needed) if the disk
	 * carries none of this scheme; or an error: it does carry one, but it cannot be read.
	 * What is damaged but readable is a warning.  A table whose disk is cut short is read
	 * all the same, with a warning for what lies past the end.  table.name, longname, uuid
	 * ("" at first) and sector_size are the driver's to set; size, gaps, overlaps and what
	 * passes the end are the registry's.
	 */
	int (*read)(struct pl_disk *disk, struct pl_table *t, struct platter_error *err);
};

extern const struct pl_scheme *const pl_schemes[];

/*
 * Every table on `disk`, the one to believe first (GPT, APM, MBR, then the others), with
 * gaps computed and entries that overlap or pass the end warned about.  *ret_nr = 0 if there
 * is none.  A table that is there but cannot be read becomes a warning in `facts` (may be NULL).
 */
int pl_tables_read(struct pl_disk *disk, unsigned flags, struct pl_arena *arena,
		   const struct platter_table **ret, size_t *ret_nr, struct pl_facts *facts,
		   struct platter_error *err);

/*
 * `disk` holds, from its start, a disk of `source_size` bytes (<= its size) with a GPT: rebuild
 * both headers for the size it has, the backup at its end, and re-read them to check.  The
 * protective MBR entry is adjusted; a hybrid MBR's other entries are kept.  0 and *ret_changed
 * = false if there is no GPT or it fits already.  -EUCLEAN if the source was cut short or the
 * table cannot be used, -ENOTSUP if it is for sectors of another size: nothing is written then.
 */
int pl_gpt_fit(struct pl_disk *disk, uint64_t source_size, bool *ret_changed,
	       struct platter_error *err);

#endif
