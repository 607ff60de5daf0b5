/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lzvn-encode.c - Apple's LZVN, encoded; lzvn.c lists its instructions */
#include "codec.h"
#include "matches.h"
#include "per-thread.h"

enum {
	END_LENGTH = 8,
	SMALL_DISTANCES = 0x600, /* from here on, the first byte would mean something else */
	MEDIUM_DISTANCES = 0x4000,
	MAX_MEDIUM_LENGTH = 34,
	MAX_RUN = 15 + 256, /* of literals or of matched bytes in one instruction */
};

struct output {
	uint8_t *p, *end;
	size_t distance; /* of the last match */
};

static struct pl_per_thread matchers = PL_PER_THREAD_INIT(struct pl_matcher, free);

/* 1110LLLL or 1111MMMM, and its long form. */
static void
put_run(struct output *o, uint8_t kind, size_t n)
{
	if (n < 16) {
		*o->p++ = (uint8_t)(kind | n);
	} else {
		*o->p++ = kind;
		*o->p++ = (uint8_t)(n - 16);
	}
}

/* Literals, but for at most 3 that the next match brings along.  *ret_rest: how many. */
static bool
put_literals(struct output *o, const uint8_t **literals, size_t nr, size_t keep, size_t *ret_rest)
{
	while (nr > keep) {
		size_t n = PL_MIN(nr, MAX_RUN);

		if ((size_t)(o->end - o->p) < n + 2)
			return false;
		put_run(o, 0xe0, n);
		memcpy(o->p, *literals, n);
		o->p += n;
		*literals += n;
		nr -= n;
	}
	*ret_rest = nr;
	return true;
}

/*
 * An instruction that brings `nr` < 4 literals along, of as much of the match as goes into it;
 * returns how much that is.
 */
static size_t
put_match(struct output *o, const uint8_t *literals, size_t nr, size_t length, size_t distance)
{
	/* Beyond this, LLMMM means something else. */
	size_t most = 10 - 2 * nr, n = PL_MIN(length, most);
	uint8_t op = (uint8_t)(nr << 6 | (n - 3) << 3);

	if (distance == o->distance && !nr)
		return 0;
	if (distance == o->distance) {
		*o->p++ = op | 6;
	} else if (distance < SMALL_DISTANCES) {
		*o->p++ = (uint8_t)(op | distance >> 8);
		*o->p++ = (uint8_t)distance;
	} else if (distance < MEDIUM_DISTANCES && length > n && length <= MAX_MEDIUM_LENGTH) {
		n = length;
		*o->p++ = (uint8_t)(0xa0 | nr << 3 | (n - 3) >> 2);
		put_le16(o->p, (uint16_t)(distance << 2 | ((n - 3) & 3)));
		o->p += 2;
	} else {
		*o->p++ = op | 7;
		put_le16(o->p, (uint16_t)distance);
		o->p += 2;
	}
	memcpy(o->p, literals, nr);
	o->p += nr;
	return n;
}

static bool
take(void *data, const uint8_t *literals, size_t nr, size_t length, size_t distance)
{
	struct output *o = data;

	if (!put_literals(o, &literals, nr, length ? 3 : 0, &nr))
		return false;
	if (!length)
		return true;
	if (o->end - o->p < 3 + 3)
		return false;
	length -= put_match(o, literals, nr, length, distance);
	o->distance = distance;
	while (length) {
		size_t n = PL_MIN(length, MAX_RUN);

		if (o->end - o->p < 2)
			return false;
		put_run(o, 0xf0, n);
		length -= n;
	}
	return true;
}

static size_t
bound(size_t n)
{
	/* At worst each 16 literals are followed by a match of 3 bytes that takes 3. */
	return n + n / 16 + 2 + END_LENGTH;
}

static size_t
encode(int level, const uint8_t *in, size_t n, uint8_t *out, size_t capacity)
{
	const struct pl_match_params params = {
		.max_distance = UINT16_MAX,
		.min_length = 3,
		.near = SMALL_DISTANCES,
		.depth = 1u << level,
		.nice_length = 32,
		.tries = level > 1,
	};
	struct output o = { .p = out, .end = out + capacity };
	struct pl_matcher *m = pl_per_thread_get(&matchers);

	if (!m || n > UINT32_MAX || !pl_find_matches(m, &params, in, n, take, &o) ||
	    o.end - o.p < END_LENGTH)
		return 0;
	memset(o.p, 0, END_LENGTH);
	*o.p = 0x06;
	return (size_t)(o.p + END_LENGTH - out);
}

const struct pl_codec pl_codec_lzvn = {
	.name = "lzvn",
	.min_level = 1,
	.max_level = 9,
	.default_level = 3,
	.bound = bound,
	.encode = encode,
	.decoder = &pl_decoder_lzvn,
};
