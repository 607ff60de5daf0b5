/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mapfile.h - what of a disk could be read, as GNU ddrescue writes it down
 *
 * A map is blocks that follow each other from byte 0 on, each with a status.  It is edited where
 * work goes on, mostly near the last place: the blocks lie in an array with a gap that is moved
 * there, so that neither a map of a million blocks nor the order of work makes it slow.
 */
#ifndef PL_MAPFILE_H
#define PL_MAPFILE_H

#include "bytes.h"
#include "error.h"

/* A mapfile is text of about 30 bytes a block; more than this is none that anybody works with. */
#define PL_MAX_MAPFILE MIB(256)

/* Status of a block, by the characters of the mapfile. */
enum pl_block_status {
	PL_BLOCK_UNTRIED = '?',
	PL_BLOCK_UNTRIMMED = '*', /* a read of it failed as a whole */
	PL_BLOCK_UNSCRAPED = '/', /* both its edges are bad */
	PL_BLOCK_BAD = '-',
	PL_BLOCK_FINISHED = '+',
};

/* All but finished, for pl_mapfile_next(). */
#define PL_BLOCKS_UNFINISHED "?*/-"

struct pl_block {
	uint64_t offset, length;
	enum pl_block_status status;
};

/* Start from {0}, or pl_mapfile_init(). */
struct pl_mapfile {
	/* What was being done when it was written, and where; '+': all is done. */
	uint64_t position;
	char phase;
	unsigned pass;
	char *device; /* what was read, by a comment of platter's; owned, or NULL */

	uint64_t size;           /* bytes that the blocks cover */
	struct pl_block *blocks; /* nr of them, and a gap before the one at gap_at */
	size_t nr, capacity, gap_at;
	uint64_t total[5]; /* bytes of each status; see pl_mapfile_bytes() */
};

/* One block of `size` bytes, untried, or none if that is 0. */
int pl_mapfile_init(struct pl_mapfile *m, uint64_t size, struct platter_error *err);
void pl_mapfile_done(struct pl_mapfile *m);

/* Text of a mapfile.  What it leaves out between blocks is untried. */
int pl_mapfile_parse(const char *text, size_t n, struct pl_mapfile *ret, struct platter_error *err);

/* Does `text` begin as mapfiles of ddrescue (also "Rescue Logfile", before 1.20) and platter do? */
bool pl_mapfile_begins(const char *text, size_t n);

/* The other way, malloc()ed; NULL: no memory. */
char *pl_mapfile_text(const struct pl_mapfile *m);

/* The index-th block; NULL past the last. */
const struct pl_block *pl_mapfile_block(const struct pl_mapfile *m, size_t index);

/* The index of the block that holds `offset` (< size). */
size_t pl_mapfile_find(const struct pl_mapfile *m, uint64_t offset);

/* Bytes of all blocks of a status. */
uint64_t pl_mapfile_bytes(const struct pl_mapfile *m, enum pl_block_status status);

/* Add a block at the end. */
int pl_mapfile_append(struct pl_mapfile *m, uint64_t length, enum pl_block_status status,
		      struct platter_error *err);

/* Longer, by an untried block; or not at all if it is that long already. */
int pl_mapfile_extend(struct pl_mapfile *m, uint64_t size, struct platter_error *err);

/*
 * Cut a map to `size` that has no end, as ddrescuelog makes them: its last block goes on to byte
 * INT64_MAX.  Others stay as they are.
 */
void pl_mapfile_cut_open_end(struct pl_mapfile *m, uint64_t size);

/* [offset, offset + length), within its size, has this status now. */
int pl_mapfile_set(struct pl_mapfile *m, uint64_t offset, uint64_t length,
		   enum pl_block_status status, struct platter_error *err);

/* The same, but what is finished stays so. */
int pl_mapfile_set_unfinished(struct pl_mapfile *m, uint64_t offset, uint64_t length,
			      enum pl_block_status status, struct platter_error *err);

/*
 * The first run of one block in [from, to) whose status is among the characters of `statuses`, cut
 * to that range; or, backwards, the last.  False: there is none.
 */
bool pl_mapfile_next(const struct pl_mapfile *m, uint64_t from, uint64_t to, const char *statuses,
		     struct pl_block *ret);
bool pl_mapfile_previous(const struct pl_mapfile *m, uint64_t from, uint64_t to,
			 const char *statuses, struct pl_block *ret);

#endif
