/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * normalize.c - canonical decomposition, as in Unicode Standard Annex #15
 *
 * A character is replaced by the one or two that the table has for it, and those by theirs;
 * then marks that stand behind one letter are put in the order of their combining classes.
 * Hangul syllables are decomposed by arithmetic (The Unicode Standard, section 3.12).
 */
#include "normalize.h"

#include "bytes.h"
#include "normalize-tables.h"

#define CHARACTER 0x1fffffu

/* Bytes that are no UTF-8 stand for themselves, past Unicode. */
#define NO_UTF8 0x110000u

enum {
	HANGUL = 0xac00,
	HANGUL_L = 0x1100,
	HANGUL_V = 0x1161,
	HANGUL_T = 0x11a7,
	NR_V = 21,
	NR_T = 28,
	NR_HANGUL = 19 * NR_V * NR_T
};

/* The longest chain of replacements has four; one more character waits for each. */
#define MAX_WAITING 8

struct output {
	uint32_t *c;
	uint8_t *class;
	size_t nr;
};

static uint32_t
next_character(const uint8_t *p, size_t n, size_t *ret_length)
{
	unsigned more = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : p[0] < 0xf5 ? 3 : 0;
	uint32_t c = more ? p[0] & (0x3fu >> more) : p[0];

	*ret_length = 1;
	if (p[0] >= 0x80 && (!more || more >= n))
		return NO_UTF8 + p[0];
	for (unsigned i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return NO_UTF8 + p[0];
		c = c << 6 | (p[i] & 0x3fu);
	}
	/* Longer than need be, or past Unicode: those bytes must come out as they went in. */
	if ((more == 2 && c < 0x800) || (more == 3 && (c < 0x10000 || c >= NO_UTF8)))
		return NO_UTF8 + p[0];
	*ret_length = 1 + more;
	return c;
}

/* The table's row of a character, or 0. */
static uint64_t
find_decomposition(uint32_t c)
{
	size_t low = 0, high = ARRAY_SIZE(decompositions);

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (decompositions[mid] >> 42 < c)
			low = mid + 1;
		else
			high = mid;
	}
	return low < ARRAY_SIZE(decompositions) && decompositions[low] >> 42 == c
		       ? decompositions[low]
		       : 0;
}

static uint8_t
class_of(uint32_t c)
{
	size_t low = 0, high = ARRAY_SIZE(classes);

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if ((classes[mid] >> 8 & CHARACTER) < c)
			low = mid + 1;
		else
			high = mid;
	}
	return low < ARRAY_SIZE(classes) && classes[low] >> 29 <= c ? (uint8_t)classes[low] : 0;
}

/* Behind marks of the same or a lower class. */
static void
put(struct output *out, uint32_t c)
{
	uint8_t class = c < 0x300 ? 0 : class_of(c);
	size_t at = out->nr++;

	for (; class && at && out->class[at - 1] > class; at--) {
		out->c[at] = out->c[at - 1];
		out->class[at] = out->class[at - 1];
	}
	out->c[at] = c;
	out->class[at] = class;
}

static void
put_decomposed(struct output *out, uint32_t c)
{
	uint32_t waiting[MAX_WAITING];
	unsigned nr = 0;

	if (c - HANGUL < NR_HANGUL) {
		uint32_t s = c - HANGUL, t = s % NR_T;

		put(out, HANGUL_L + s / (NR_V * NR_T));
		put(out, HANGUL_V + s % (NR_V * NR_T) / NR_T);
		if (t)
			put(out, HANGUL_T + t);
		return;
	}
	waiting[nr++] = c;
	while (nr) {
		uint64_t row = find_decomposition(c = waiting[--nr]);

		if (!row || nr + 2 > MAX_WAITING) {
			put(out, c);
			continue;
		}
		if (row & CHARACTER)
			waiting[nr++] = row & CHARACTER;
		waiting[nr++] = row >> 21 & CHARACTER;
	}
}

static size_t
encode(uint32_t c, char *out)
{
	uint8_t *p = (uint8_t *)out;

	if (c < 0x80 || c >= NO_UTF8) {
		p[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (uint8_t)(0xc0 | c >> 6);
		p[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (uint8_t)(0xe0 | c >> 12);
		p[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		p[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	p[0] = (uint8_t)(0xf0 | c >> 18);
	p[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	p[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	p[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

char *
pl_text_decompose(const char *text, size_t n, size_t *ret_n)
{
	/* Two bytes become three characters at most (U+0390), three or four bytes four. */
	size_t room = n > SIZE_MAX / 32 ? 0 : 2 * n + 4, at = 0, length;
	PL_AUTOFREE uint32_t *c = room ? malloc(room * sizeof *c) : NULL;
	PL_AUTOFREE uint8_t *class = room ? malloc(room) : NULL;
	struct output out = { .c = c, .class = class };
	char *ret;

	if (!c || !class)
		return NULL;
	for (size_t i = 0; i < n; i += length)
		put_decomposed(&out, next_character((const uint8_t *)text + i, n - i, &length));
	ret = malloc(4 * out.nr + 1);
	if (!ret)
		return NULL;
	for (size_t i = 0; i < out.nr; i++)
		at += encode(out.c[i], ret + at);
	ret[at] = '\0';
	*ret_n = at;
	return ret;
}
