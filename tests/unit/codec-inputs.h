/* SPDX-License-Identifier: GPL-3.0-or-later */
/* codec-inputs.h - what the tests of codecs pack, and unpacking between guards */
#ifndef CODEC_INPUTS_H
#define CODEC_INPUTS_H

#include <stdlib.h>

#include "codec.h"
#include "test.h"

#define GUARD      64
#define GUARD_BYTE 0xa5

static inline uint32_t
next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

enum content {
	ZEROS,
	RANDOM,
	TEXT,
	NR_CONTENTS
};

static inline uint8_t *
make_content(enum content content, size_t n)
{
	static const char *const words[] = { "disk ", "image ", "cluster ", "sector ",
					     "of ",   "the ",   "map\n" };
	uint8_t *p = calloc(1, n + 16);
	uint64_t state = n;
	size_t i = 0;

	while (content == RANDOM && i < n)
		p[i++] = (uint8_t)next_random(&state);
	while (content == TEXT && i < n) {
		const char *w = words[next_random(&state) % ARRAY_SIZE(words)];

		for (; *w && i < n; w++)
			p[i++] = (uint8_t)*w;
	}
	return p;
}

/* Decode into a buffer of exactly n bytes between guards; 0 or what decode returned. */
static inline int
decoder_guarded(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
		size_t n, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = malloc(n + 2 * GUARD);
	/* Exactly as long as the input, so that reading past it is seen. */
	PL_AUTOFREE uint8_t *copy = calloc(1, in_size ? in_size : 1);
	int r;

	memset(buf, GUARD_BYTE, n + 2 * GUARD);
	if (in_size)
		memcpy(copy, in, in_size);
	r = decoder->decode(decoder, copy, in_size, buf + GUARD, n, 0, err);
	for (size_t i = 0; i < GUARD; i++) {
		EXPECT_EQ(buf[i], GUARD_BYTE);
		EXPECT_EQ(buf[GUARD + n + i], GUARD_BYTE);
	}
	if (r == 0 && out)
		memcpy(out, buf + GUARD, n);
	return r;
}

#endif
