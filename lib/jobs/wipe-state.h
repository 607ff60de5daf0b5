/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wipe-state.h - how far a wipe came, in a file of lines of text
 *
 *	platter wipe state 1
 *	method gutmann
 *	seed 00112233...            64 hexadecimal digits
 *	drive 512110190592 MODEL\tSERIAL
 *	target 0 512110190592       offset and size on the drive
 *	part whole                  or free-space, slack
 *	extents 1 512110190592 CRC  number, bytes, and CRC-32 of what is to be overwritten
 *	verify sample 100000         or full, none; the share in millionths
 *	times STARTED MILLISECONDS RESUMED
 *	pass 3 1073741824           the pass, from 0, and the bytes of it that are done; after the
 *	                            last one comes the pass that reads back
 *	did 0 STARTED FINISHED WRITTEN UNWRITABLE       of each pass
 *	verifying STARTED           when the pass that reads back began
 *	bad OFFSET LENGTH           what could not be written in some pass; any number of them
 *	now OFFSET LENGTH           the same in this pass; of the one that reads back, what differs
 *	unread OFFSET LENGTH        of that one, what could not be read
 *	end CRC                     CRC-32 of all lines before
 *
 * Numbers are decimal, but CRCs are 8 hexadecimal digits.  The file is replaced as a whole.
 */
#ifndef PL_WIPE_STATE_H
#define PL_WIPE_STATE_H

#include "ranges.h"
#include "wipe-methods.h"

/* The lists of bad sectors that we keep: 65536 runs are 3 MiB of lines. */
#define PL_WIPE_MAX_BAD        65536
#define PL_WIPE_MAX_STATE_SIZE MIB(4)

struct pl_wipe_did {
	int64_t started, finished;
	uint64_t written, unwritable;
};

struct pl_wipe_state {
	const struct pl_wipe_method *method;
	uint8_t seed[PL_WIPE_SEED];
	uint64_t drive_size;
	char drive[256]; /* model, tab, serial; control characters are blanks */
	uint64_t offset, size;
	enum platter_wipe_part part;
	uint64_t nr_extents, bytes;
	uint32_t extents_crc;
	enum platter_wipe_verify verify;
	double share;
	int64_t started;
	double seconds;
	unsigned resumed;
	unsigned pass;
	uint64_t done;
	struct pl_wipe_did did[PL_WIPE_MAX_PASSES];
	int64_t verify_started;
	/* Of the target.  As sets, since what is repeated after a crash is found again. */
	struct pl_ranges bad;    /* could not be written in some pass */
	struct pl_ranges now;    /* in this pass; or read back and different */
	struct pl_ranges unread; /* could not be read back */
};

/* Take a state file apart.  Errors: -EUCLEAN with the number of the line, -ENOTSUP, -ENOMEM. */
int pl_wipe_state_parse(const char *text, size_t n, struct pl_wipe_state *ret,
			struct platter_error *err);
/* malloc()ed text, or NULL: out of memory.  Puts the sets in order. */
char *pl_wipe_state_text(struct pl_wipe_state *state);

void pl_wipe_state_done(struct pl_wipe_state *state);

/* -ENOENT: there is none. */
int pl_wipe_state_load(const char *path, struct pl_wipe_state *ret, struct platter_error *err);
/* Replace the file: after a crash it is the old or the new one. */
int pl_wipe_state_save(const char *path, const char *text, struct platter_error *err);

#endif
