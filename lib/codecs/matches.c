/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * matches.c - a search by chains of places that have the same hash
 *
 * A match is taken when none that begins at one of the next bytes is worth more.
 */
#include "matches.h"

/* Bytes that cannot begin a match any more. */
#define TAIL 8

/* Each 2^SKIP_BITS bytes without a match make the steps one byte longer, up to MAX_STEP. */
#define SKIP_BITS 8
#define MAX_STEP  16

/* What it takes to put a literal in front of a match, as struct match counts it. */
#define LATER 4

/* Of a longer match only the end is remembered: what repeats it is found at its begin. */
#define REMEMBERED 512

struct match {
	size_t length, distance; /* length 0: none */
	int worth;               /* about in quarters of a byte */
};

struct search {
	struct pl_matcher *m;
	const struct pl_match_params *params;
	const uint8_t *in;
	size_t n;
	size_t next;     /* the first place that is not in the chains */
	size_t distance; /* of the last match */
};

static size_t
hash(const struct search *s, size_t at)
{
	uint32_t v = get_le32(s->in + at);

	if (s->params->min_length == 3)
		v <<= 8;
	return v * UINT32_C(2654435761) >> (32 - PL_MATCH_HASH_BITS);
}

static void
remember(struct search *s, size_t at, size_t h)
{
	s->m->previous[at % PL_MATCH_WINDOW] = s->m->head[h];
	s->m->head[h] = (uint32_t)at + 1;
}

static void
remember_until(struct search *s, size_t end)
{
	if (end > s->next + REMEMBERED)
		s->next = end - REMEMBERED;
	end = PL_MIN(end, s->n - TAIL);
	for (; s->next < end; s->next++)
		remember(s, s->next, hash(s, s->next));
}

/* How many bytes at b are those at a, a < b. */
static size_t
common(const struct search *s, size_t a, size_t b)
{
	size_t length = 0, most = s->n - b;

	for (; most - length >= 8; length += 8) {
		uint64_t x = get_le64(s->in + a + length) ^ get_le64(s->in + b + length);

		if (x)
			return length + (size_t)__builtin_ctzll(x) / 8;
	}
	while (length < most && s->in[a + length] == s->in[b + length])
		length++;
	return length;
}

/* A far match takes bits for its distance. */
static struct match
make_match(size_t length, size_t distance, bool is_last_distance)
{
	int worth = (int)PL_MIN(length, 1u << 20) * 4;

	if (!is_last_distance)
		worth -= 31 - __builtin_clz((uint32_t)distance + 1);
	return (struct match){ length, distance, worth };
}

static bool
is_long_enough(const struct pl_match_params *p, size_t length, size_t distance)
{
	return length >= p->min_length + (distance >= p->near);
}

/*
 * The best match at `at` that is worth more than *best, among `depth` places.  True if there
 * is one.  `at` comes into the chains.
 */
static bool
look(struct search *s, size_t at, unsigned depth, struct match *best)
{
	const struct pl_match_params *p = s->params;
	const uint8_t *in = s->in;
	size_t h = hash(s, at), candidate = s->m->head[h], length = best->length;
	size_t most = s->n - at, last = s->distance;
	bool found = false;

	remember(s, at, h);
	s->next = at + 1;
	if (last && last <= at && get_le32(in + at - last) == get_le32(in + at)) {
		struct match m = make_match(common(s, at - last, at), last, true);

		if (m.worth > best->worth) {
			*best = m;
			found = true;
			length = m.length;
		}
	}
	for (; candidate && depth && length < most; depth--) {
		size_t from = candidate - 1;
		struct match m;

		if (at - from > p->max_distance)
			break;
		candidate = s->m->previous[from % PL_MATCH_WINDOW];
		/* Only one that goes on where the best one ends can be longer. */
		if (length >= 4 &&
		    get_le32(in + from + length - 3) != get_le32(in + at + length - 3))
			continue;
		m = make_match(common(s, from, at), at - from, false);
		if (m.worth <= best->worth || !is_long_enough(p, m.length, m.distance))
			continue;
		*best = m;
		found = true;
		length = m.length;
		if (length >= p->nice_length)
			break;
	}
	return found;
}

/* Is there a better match than *best at one of the next bytes?  *at: where. */
static bool
look_further(struct search *s, size_t *at, struct match *best)
{
	for (unsigned i = 1; i <= s->params->tries && *at + i < s->n - TAIL; i++) {
		struct match m = *best;

		m.worth += LATER * (int)i;
		if (look(s, *at + i, s->params->depth / 2, &m)) {
			*at += i;
			*best = m;
			return true;
		}
	}
	return false;
}

bool
pl_find_matches(struct pl_matcher *m, const struct pl_match_params *params, const uint8_t *in,
		size_t n, pl_match_fn *take, void *data)
{
	struct search s = { .m = m, .params = params, .in = in, .n = n };
	size_t at = 0, done = 0;

	memset(m->head, 0, sizeof m->head);
	while (n > TAIL && at < n - TAIL) {
		struct match best = { 0 };

		if (!look(&s, at, params->depth, &best)) {
			at += PL_MIN(1 + ((at - done) >> SKIP_BITS), MAX_STEP);
			continue;
		}
		while (best.length < params->nice_length && look_further(&s, &at, &best))
			;
		if (!take(data, in + done, at - done, best.length, best.distance))
			return false;
		at += best.length;
		done = at;
		s.distance = best.distance;
		remember_until(&s, at);
	}
	return take(data, in + done, n - done, 0, 0);
}
