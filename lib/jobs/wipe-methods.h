/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wipe-methods.h - the methods of wiping by name, and the bytes that their passes write */
#ifndef PL_WIPE_METHODS_H
#define PL_WIPE_METHODS_H

#include <platter/wipe.h>

#include "bytes.h"
#include "error.h"

#define PL_WIPE_SEED       32
#define PL_WIPE_MAX_PASSES 36 /* 35 of a method, and one of zeros behind them */

/* One, two or three bytes that are repeated from the target's first byte on; none: random. */
struct pl_wipe_pattern {
	uint8_t nr;
	uint8_t byte[3];
};

enum pl_wipe_how {
	PL_WIPE_OVERWRITE,
	PL_WIPE_HEADS, /* the same, of partition tables and where file systems begin and end */
	PL_WIPE_LUKS,  /* the same, of the key slots and headers of LUKS */
	PL_WIPE_ERASE, /* the drive's own way */
	PL_WIPE_PURGE, /* the best of the drive's own ways */
	PL_WIPE_DISCARD,
	PL_WIPE_SECURE_DISCARD,
};

struct pl_wipe_method {
	struct platter_wipe_method info; /* first: what the public functions hand out */
	enum pl_wipe_how how;
	const struct pl_wipe_pattern *pattern; /* of each pass; NULL: none is overwritten */
	unsigned permuted,
		nr_permuted; /* passes from this one on, so many, are done in any order */
	unsigned erase;      /* PL_WIPE_ERASE: enum pl_erase */
};

/* The index-th; NULL past the last. */
const struct pl_wipe_method *pl_wipe_method(size_t index);
/* NULL: there is none of that name. */
const struct pl_wipe_method *pl_wipe_method_by_name(const char *name);
/* The one that is `erase`, a single bit. */
const struct pl_wipe_method *pl_wipe_method_by_erase(unsigned erase);

/*
 * The patterns in the order in which a run with this seed writes them: those that may be
 * permuted are, by the seed.
 */
int pl_wipe_order(const struct pl_wipe_method *m, const uint8_t seed[static PL_WIPE_SEED],
		  struct pl_wipe_pattern ret[static PL_WIPE_MAX_PASSES], struct platter_error *err);

/*
 * The n bytes at `offset` of the target in pass number `pass`.  Random ones are the keystream of
 * AES-256 in counter mode: the key is the seed, the counter block the number of the pass and the
 * number of the 16-byte block, 64 bits each, big-endian.
 */
int pl_wipe_bytes(struct pl_wipe_pattern pattern, unsigned pass,
		  const uint8_t seed[static PL_WIPE_SEED], uint64_t offset, uint8_t *buf, size_t n,
		  struct platter_error *err);

/* "zeros", "ones (0xff)", "0x92 0x49 0x24", "random". */
void pl_wipe_pattern_text(struct pl_wipe_pattern pattern, char *buf, size_t n);

#endif
