/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store.h - random writes into images cut into blocks of one size
 *
 * What VHD, VHDX, VMDK, VDI and Parallels share: data goes into the file at once, into the
 * block where it belongs or into a new one behind all others.  What names a new block is
 * staged (staged.h) and follows with the next commit, after the data is on stable storage.
 * So a crash costs space at worst, and loses nothing that was flushed.
 *
 * A driver embeds a pl_store, answers where blocks are, and makes its write(), zero(), discard()
 * and flush() of the functions below.
 */
#ifndef PL_STORE_H
#define PL_STORE_H

#include "blocks.h"

struct pl_store;

/* Where a block is. */
struct pl_stored_block {
	enum platter_kind kind; /* HOLE: the parent's bytes; ZERO; DATA: stored */
	uint64_t at;            /* DATA: byte of the file where its data begins */
	bool partial;           /* DATA: only some of its sectors are its own; see own() */
};

struct pl_store_ops {
	/* What the tables say, changes that wait included; checked against the file. */
	int (*get)(struct pl_store *s, uint64_t index, struct pl_stored_block *ret,
		   struct platter_error *err);

	/* Stage that a block is now as `block` says.  `fresh`: its data was just allocated. */
	int (*set)(struct pl_store *s, uint64_t index, const struct pl_stored_block *block,
		   bool fresh, struct platter_error *err);

	/*
	 * Stage that sectors [first, first + nr) of a block are its own, no longer its parent's.
	 * NULL: the format has no such thing, a block is its own wholly.
	 */
	int (*own)(struct pl_store *s, uint64_t index, uint32_t first, uint32_t nr,
		   struct platter_error *err);

	/*
	 * Before the first change since the image was opened: mark it as in use, and set
	 * s->frontier.  NULL: nothing to do.
	 */
	int (*begin)(struct pl_store *s, struct platter_error *err);

	/*
	 * The file was extended to hold blocks up to s->frontier: write what comes after them.
	 * NULL: nothing does.
	 */
	int (*extended)(struct pl_store *s, struct platter_error *err);

	/* Bring what is staged into the file; all data is there.  NULL: pl_staged_commit(). */
	int (*commit)(struct pl_store *s, struct platter_error *err);
};

struct pl_store {
	const struct pl_store_ops *ops;
	struct pl_disk *disk;   /* the image's, borrowed */
	struct pl_disk *file;   /* its file, borrowed */
	uint64_t base, length;  /* the bytes of the disk that are in it; length 0: to its end */
	struct pl_disk *staged; /* metadata over `file`; a reference */
	uint32_t block_size;    /* bytes */
	uint32_t lead;          /* bytes of the file that precede the data of each block */
	uint32_t align;         /* of the data of blocks in the file */
	uint32_t sector_size;   /* bytes that own() counts in, a power of two; 0: 512 */
	bool can_zero;          /* blocks over a parent can be marked to read as zeros */
	uint64_t limit;         /* that the frontier may not pass */

	/* The rest is the writing thread's. */
	bool begun;
	uint64_t frontier; /* where the next block's lead goes; begin() sets it */
	/* Places of blocks given up: [0, nr_free) are free, the others are once it is committed. */
	uint64_t *freed;
	size_t nr_free, nr_freed, freed_capacity;
};

/* The caller has set what is above `begun`, except `staged`. */
int pl_store_init(struct pl_store *s, struct platter_error *err);
void pl_store_done(struct pl_store *s); /* also of a zeroed one; what waits is lost */

/* pl_disk_ops of an image made so. */
int pl_store_write(struct pl_store *s, const void *buf, size_t n, uint64_t offset,
		   struct platter_error *err);
int pl_store_zero(struct pl_store *s, uint64_t offset, uint64_t length, unsigned flags,
		  struct platter_error *err);
int pl_store_flush(struct pl_store *s, struct platter_error *err);

/* Call begin(), unless it was. */
int pl_store_begin(struct pl_store *s, struct platter_error *err);

/* n bytes at the frontier, on which the file then reads as zeros; not beyond a device's end. */
int pl_store_extend(struct pl_store *s, uint64_t n, uint64_t *ret_at, struct platter_error *err);

/*
 * Exchange a table that is read through `staged` for the one of `bytes` at `offset`, which is in
 * the file already; nothing of the old one waits.
 */
int pl_store_reload(struct pl_store *s, struct pl_block_table *t, uint64_t offset, uint64_t bytes,
		    struct platter_error *err);

/* Commit what is staged, with the flushes around it that make its order certain. */
int pl_store_commit(struct pl_store *s, struct platter_error *err);

/*
 * For a disk that was just made longer, `old` bytes long before, with tables that have room:
 * what follows there, in the last block and of a longer parent, becomes zeros.
 */
int pl_store_clear_from(struct pl_store *s, uint64_t old, struct platter_error *err);

/*
 * For a disk that is to end at `size`: give up the blocks behind it, and zero the rest of
 * the last.  Committed when it returns.
 */
int pl_store_cut(struct pl_store *s, uint64_t size, struct platter_error *err);

/*
 * Move the blocks that lie at [start, end) of the file to new places, so that tables can grow
 * into the room.  Committed when it returns.
 */
int pl_store_vacate(struct pl_store *s, uint64_t start, uint64_t end, struct platter_error *err);

/* A part of the file. */
struct pl_range {
	uint64_t start, end;
};

/*
 * Move blocks from the end of the file into gaps between others, and end the file behind the
 * last.  `kept`: what else is in the file, sorted here.  Committed when it returns.
 */
int pl_store_compact(struct pl_store *s, struct pl_range *kept, size_t nr_kept,
		     struct platter_error *err);

#endif
