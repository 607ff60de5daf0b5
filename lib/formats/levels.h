/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * levels.h - clusters mapped by a table of tables: what QCOW and QED share
 *
 * The first level holds offsets of tables of one size; their entries of 8 bytes tell
 * where each cluster is.  0 at either level: nothing is stored there.
 */
#ifndef PL_LEVELS_H
#define PL_LEVELS_H

#include "blocks.h"
#include "format.h"

struct pl_levels {
	struct pl_disk *file;  /* borrowed */
	uint32_t cluster_bits; /* log2 of the bytes of a cluster */
	uint32_t l2_bits;      /* log2 of the entries of a table */
	uint64_t align;        /* of tables, a power of two */
	bool big_endian;
	uint64_t l1_room; /* bytes that the L1 table takes, with what it does not need */
	struct pl_block_table l1;
	struct pl_disk *owner; /* of the pieces of tables in the cache; a reference */
	uint32_t piece;        /* bytes of them */
};

/* The caller has set the fields above `l1`.  The L1 table at `offset` maps `size` bytes. */
int pl_levels_init(struct pl_levels *l, uint64_t offset, uint64_t size, struct platter_error *err);
void pl_levels_done(struct pl_levels *l); /* also of a zeroed one */

struct pl_level_entry {
	uint64_t value;
	uint64_t at; /* byte of the file where it stands */
	/* Entries from this one on that say the same, as far as is known: 1 or more. */
	uint64_t same;
	/* 0, or there is no table for this many bytes of the disk; then there is no entry. */
	uint64_t absent;
};

/* The entry of the cluster that holds byte `offset` of the disk; looks as far as `length`. */
int pl_levels_get(struct pl_levels *l, uint64_t offset, uint64_t length, struct pl_level_entry *ret,
		  struct platter_error *err);

/*
 * Walk both levels and report what is damaged, and clusters of the file that are used for
 * two things, or for none.  `decode` gives what an entry says; compressed data may
 * share clusters and is not counted.  `header`: bytes of the file that the header takes,
 * and the L1 table if it is among them.
 */
int pl_levels_check(struct pl_levels *l, uint64_t header,
		    int (*decode)(struct pl_levels *l, const struct pl_level_entry *entry,
				  struct pl_extent *ret, struct platter_error *err),
		    struct pl_findings *findings, struct platter_error *err);

#endif
