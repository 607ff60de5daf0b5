/* SPDX-License-Identifier: GPL-3.0-or-later */
/* copy-match.h - the copies that Lempel-Ziv decoders make out of what they have decoded */
#ifndef PL_COPY_MATCH_H
#define PL_COPY_MATCH_H

#include "bytes.h"

/* How far whole words may be written past the end of a copy. */
#define PL_COPY_SLACK 16

/*
 * n bytes from `distance` > 0 back, where they may overlap with what they make: what has been
 * copied is copied again.  At `out` is room for `room` >= n bytes, and what of them lies behind the
 * copy may change too.
 */
static inline void
pl_copy_match(uint8_t *out, size_t distance, size_t n, size_t room)
{
	const uint8_t *from = out - distance, *end = out + n;

	if (n > room || room - n < PL_COPY_SLACK) {
		/* Twice as much each time. */
		for (; n > distance; distance *= 2) {
			memcpy(out, from, distance);
			out += distance;
			n -= distance;
		}
		memcpy(out, from, n);
		return;
	}
	if (distance < 8) {
		for (int i = 0; i < 8; i++)
			out[i] = from[i];
		/* A multiple of the distance that a word fits into. */
		out += 8;
		from = out - (7 + distance) / distance * distance;
		distance = 8;
	}
	if (distance < 16) {
		for (; out < end; out += 8, from += 8)
			memcpy(out, from, 8);
		return;
	}
	for (; out < end; out += 16, from += 16)
		memcpy(out, from, 16);
}

#endif
