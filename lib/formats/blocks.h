/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * blocks.h - images cut into blocks of one size, each stored where a table says
 *
 * What VHD, VHDX, VMDK, VDI and their like have in common: a table that is read as it is
 * needed, small metadata kept in the cache, runs that join across blocks, bitmaps; and for
 * writing, blocks that are appended as the disk reaches them.
 */
#ifndef PL_BLOCKS_H
#define PL_BLOCKS_H

#include <stdatomic.h>

#include "format.h"

/*
 * A table in a file, read in pages when they are first looked at, without a lock.  Pages on
 * which nothing is stored take no memory: what it costs is bounded by what the image holds.
 */
struct pl_block_table {
	struct pl_disk *file; /* borrowed */
	uint64_t offset;      /* in `file` */
	uint64_t bytes;
	uint8_t absent; /* the value of each byte of an entry that says "nothing": 0 or 0xff */
	_Atomic(uint8_t *) *pages;
	size_t nr_pages;
};

/* -EUCLEAN: the table passes the end of the file.  The caller has capped `bytes`. */
int pl_block_table_init(struct pl_block_table *t, struct pl_disk *file, uint64_t offset,
			uint64_t bytes, uint8_t absent, struct platter_error *err);
void pl_block_table_done(struct pl_block_table *t); /* also of a zeroed one */

/* The entry of n bytes (a power of two) at byte `at` (a multiple of n) of the table. */
int pl_block_table_get(struct pl_block_table *t, uint64_t at, size_t n, const uint8_t **ret,
		       struct platter_error *err);

/*
 * Change an entry of 4 or 8 bytes (where they divide `at`): for get() at once, in the file
 * through `file`, which for an image that is written is the staged one.  One thread at a time;
 * others may get() meanwhile.
 */
int pl_block_table_set(struct pl_block_table *t, uint64_t at, size_t n, const void *entry,
		       struct platter_error *err);

/* Write n bytes of a table to come at byte `at` of `file`: entries, all ones, that say "nothing". */
int pl_block_table_blank(struct pl_disk *file, uint64_t at, uint64_t n, struct platter_error *err);

/* Where in [at, end) the first byte is that is not `absent`; `end` if there is none. */
int pl_block_table_skip(struct pl_block_table *t, uint64_t at, uint64_t end, uint64_t *ret,
			struct platter_error *err);

/*
 * n bytes of metadata (a bitmap, a second-level table) at `offset` of `file`, kept in the
 * cache of decoded chunks under `owner`.  Always ask for the same piece in the same way.
 * `owner` may not have compressed chunks of its own that begin at `offset` on its disk.
 */
int pl_block_cached(struct pl_disk *owner, struct pl_disk *file, uint64_t offset, uint32_t n,
		    void *buf, struct platter_error *err);

enum pl_bit_order {
	PL_LSB_FIRST,
	PL_MSB_FIRST
};

/* The number of bits from `first` (< nr) on that are alike; *ret_set tells which they are. */
uint32_t pl_bit_run(const uint8_t *bits, uint32_t first, uint32_t nr, enum pl_bit_order order,
		    bool *ret_set);

/*
 * map() for a driver that can answer for one block: `run` gives the extent at `offset`, to
 * the end of its block or further, and neighbours that go on are joined up to `length`,
 * a bounded number of them.
 */
int pl_blocks_map(struct pl_disk *disk,
		  int (*run)(struct pl_disk *disk, uint64_t offset, uint64_t length,
			     struct pl_extent *ret, struct platter_error *err),
		  uint64_t offset, uint64_t length, struct pl_extent *ret,
		  struct platter_error *err);

/*
 * What parts of a file are used for, gathered by check() to find what is used twice.  Start
 * from {0}.
 */
struct pl_claim {
	uint64_t offset, length;
	const char *what; /* "block", "header"; outlives the claims */
	uint64_t number;  /* which of them, PL_ONLY: there is one */
};
#define PL_ONLY UINT64_MAX

struct pl_claims {
	struct pl_claim *list;
	size_t nr, capacity;
};

int pl_claim(struct pl_claims *c, uint64_t offset, uint64_t length, const char *what,
	     uint64_t number, struct platter_error *err);
/* Find every pair that overlaps.  Sorts the list. */
void pl_claims_report(struct pl_claims *c, struct pl_findings *findings);
void pl_claims_done(struct pl_claims *c);

/* Blocks of the disk that follow each other in the file too, or that are all marked as zeros. */
struct pl_block_run {
	uint64_t first, nr;
	uint64_t place; /* of the first one's data, or PL_BLOCK_ZERO */
};

/*
 * A new image's blocks.  They follow each other in the file in the order they are begun, so
 * that what it costs to know them is bounded by the gaps between them.
 */
struct pl_block_writer {
	uint32_t block_size; /* a power of two */
	uint32_t lead;       /* bytes that precede the data of each block in the file */
	uint64_t frontier;   /* where the next block's lead goes; set it before the first place */
	uint64_t limit;      /* that the frontier may not pass */
	uint64_t nr_begun;
	struct pl_block_run *runs; /* in the order of the disk */
	size_t nr_runs, room;
};

void pl_block_writer_init(struct pl_block_writer *b, uint32_t block_size, uint32_t lead);
void pl_block_writer_done(struct pl_block_writer *b); /* also of a zeroed one */

/*
 * pl_writer_ops.place for bytes stored as they are: begins blocks as needed.  The rest of a
 * block whose beginning alone is placed must be made to read as zeros: extend the file to
 * `frontier` in the end.
 */
int pl_block_writer_place(struct pl_block_writer *b, uint64_t offset, uint64_t length,
			  uint64_t *ret_at, uint64_t *ret_length, struct platter_error *err);

/* In the place of a block that is marked to read as zeros. */
#define PL_BLOCK_ZERO 1u

/* Mark the blocks that begin in [offset, offset + length); none of them may be begun. */
int pl_block_writer_mark_zero(struct pl_block_writer *b, uint64_t offset, uint64_t length,
			      struct platter_error *err);

/* Where the data of a block is; 0: it was never begun; PL_BLOCK_ZERO: it was marked. */
uint64_t pl_block_writer_at(const struct pl_block_writer *b, uint64_t index);

/*
 * Write the table of `nr` entries at byte `at` of `file`: `put` encodes one, whose block's
 * data is at `place` (0: nowhere).
 */
int pl_block_writer_store(const struct pl_block_writer *b, struct pl_disk *file, uint64_t at,
			  uint64_t nr, size_t entry_size,
			  void (*put)(const struct pl_block_writer *b, uint64_t place,
				      uint8_t *entry),
			  struct platter_error *err);

#endif
