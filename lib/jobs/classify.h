/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * classify.h - what bytes look like: zeros, a pattern, random, text or something else
 *
 * Pure, from a buffer to runs of sectors.  Compressed, encrypted and random bytes look alike
 * in a few kilobytes, and are not told apart here.
 */
#ifndef PL_CLASSIFY_H
#define PL_CLASSIFY_H

#include <platter/examine.h>

#include "bytes.h"

/* Buffers are looked at in sectors of this size, whatever those of the disk are. */
#define PL_CLASS_SECTOR 512

/* Sectors of one class that follow each other. */
struct pl_class_run {
	uint32_t start, length;               /* bytes in the buffer */
	uint8_t kind;                         /* enum platter_class */
	uint8_t period;                       /* PATTERN: bytes that repeat, */
	uint8_t pattern[PLATTER_MAX_PATTERN]; /* turned so that they are the smallest */
};

/* Runs that pl_classify() makes of n bytes at most. */
static inline size_t
pl_class_runs(size_t n)
{
	return n / PL_CLASS_SECTOR + 1;
}

/*
 * Divide n bytes (<= 64 MiB) into runs: `ret` has room for pl_class_runs(n).  Returns how many.
 * The bytes of all that is random-looking are counted into `histogram`.
 */
size_t pl_classify(const uint8_t *buf, size_t n, struct pl_class_run *ret,
		   uint64_t histogram[static 256]);

/*
 * The shortest period, up to PLATTER_MAX_PATTERN, with which n bytes (n >= 64) repeat; 0: none.
 */
unsigned pl_pattern_period(const uint8_t *buf, size_t n);

/*
 * Pearson's chi-square of a histogram of `total` bytes against even frequencies: 255 on average
 * for random bytes, with a standard deviation of 22.6.
 */
double pl_chi_square(const uint64_t histogram[static 256], uint64_t total);

#endif
