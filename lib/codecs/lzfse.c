/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lzfse.c - Apple's LZFSE, decoded; the format is described in lzfse-format.h */
#include "codec.h"
#include "copy-match.h"
#include "lzfse-format.h"

/* Offsets in the header of bvx1, which is no longer written. */
enum {
	V1_LITERALS = 12,
	V1_MATCHES = 16,
	V1_LITERAL_BYTES = 20,
	V1_MATCH_BYTES = 24,
	V1_LITERAL_BITS = 28,
	V1_LITERAL_STATES = 32,
	V1_MATCH_BITS = 40,
	V1_MATCH_STATES = 44,
	V1_FREQUENCIES = 50,
	V1_SIZE = V1_FREQUENCIES + 2 * ALL_SYMBOLS,
};

struct header {
	size_t length;
	uint32_t nr_literals, nr_matches;
	uint32_t literal_bytes, match_bytes;
	int literal_bits, match_bits; /* 0 to -7 */
	uint16_t literal_state[4];
	uint16_t l_state, m_state, d_state;
	uint16_t frequency[ALL_SYMBOLS]; /* L, M, D, literals */
};

/* What a state of a decoder means: a symbol, and the state after it. */
struct literal_state {
	uint8_t bits; /* read and added to `next` */
	uint8_t symbol;
	int16_t next;
};

struct value_state {
	uint8_t bits;       /* read: the high ones are added to `next`, */
	uint8_t value_bits; /* the low ones to `value` */
	int16_t next;
	uint32_t value;
};

struct tables {
	struct literal_state literal[LITERAL_STATES];
	struct value_state l[L_STATES], m[M_STATES], d[D_STATES];
	uint8_t literals[MAX_LITERALS];
};

/* Bits from the end of a buffer to its beginning. */
struct bits {
	const uint8_t *start, *p; /* bytes from p on are in `word` */
	uint64_t word;
	unsigned nr; /* bits in `word` that are left, the lowest ones */
};

/* The bits [start, end) without the last -`unused` ones.  False if they are not right. */
static bool
bits_init(struct bits *b, const uint8_t *start, const uint8_t *end, int unused)
{
	*b = (struct bits){ .start = start, .p = end };
	if (unused) {
		if (end == start)
			return false;
		b->word = *--b->p;
		b->nr = (unsigned)(8 + unused);
	}
	/* The unused bits are zeros. */
	return !(b->word >> b->nr);
}

/* Between 56 and 63 bits in the word, or all there are. */
static void
bits_fill(struct bits *b)
{
	unsigned bytes = (63 - b->nr) / 8;

	if (bytes && b->p - b->start >= 8) {
		b->word = b->word << 8 * bytes | get_le64(b->p - 8) >> (64 - 8 * bytes);
		b->p -= bytes;
		b->nr += 8 * bytes;
		return;
	}
	while (b->nr < 56 && b->p > b->start) {
		b->word = b->word << 8 | *--b->p;
		b->nr += 8;
	}
}

/* False when they are not there. */
static bool
bits_take(struct bits *b, unsigned n, uint32_t *ret)
{
	if (n > b->nr)
		return false;
	b->nr -= n;
	*ret = (uint32_t)(b->word >> b->nr);
	b->word &= (UINT64_C(1) << b->nr) - 1;
	return true;
}

static int
damaged(struct platter_error *err, const char *what)
{
	return pl_corrupt(err, PLATTER_NO_OFFSET, "damaged LZFSE data: %s", what);
}

/* The frequencies of bvx2's header, [p, end).  None at all are zeros. */
static bool
take_frequencies(const uint8_t *p, const uint8_t *end, uint16_t frequency[static ALL_SYMBOLS])
{
	/* By the lowest five bits: how many belong to the value, and the value if they are few. */
	static const uint8_t lengths[32] = { 2, 3, 2, 5, 2, 3, 2, 8, 2, 3, 2, 5, 2, 3, 2, 14,
					     2, 3, 2, 5, 2, 3, 2, 8, 2, 3, 2, 5, 2, 3, 2, 14 };
	static const uint8_t values[32] = { 0, 2, 1, 4, 0, 3, 1, 8, 0, 2, 1, 5, 0, 3, 1, 24,
					    0, 2, 1, 6, 0, 3, 1, 8, 0, 2, 1, 7, 0, 3, 1, 24 };
	uint32_t word = 0;
	unsigned nr = 0;

	if (p == end)
		return true;
	for (int i = 0; i < ALL_SYMBOLS; i++) {
		unsigned length;

		while (nr <= 24 && p < end) {
			word |= (uint32_t)*p++ << nr;
			nr += 8;
		}
		length = lengths[word & 31];
		if (length > nr)
			return false;
		frequency[i] = values[word & 31];
		if (length > 5)
			frequency[i] += (uint16_t)(word >> 4 & ((1u << (length - 4)) - 1));
		word >>= length;
		nr -= length;
	}
	return p == end && nr < 8;
}

/* Bits [at, at + n) of a field of 64. */
static uint32_t
field(uint64_t v, unsigned at, unsigned n)
{
	return (uint32_t)(v >> at & ((UINT64_C(1) << n) - 1));
}

static bool
decode_v2(const uint8_t *in, size_t n, struct header *h)
{
	uint64_t v0, v1, v2;

	if (n < V2_FREQUENCIES)
		return false;
	v0 = get_le64(in + V2_FIELDS);
	v1 = get_le64(in + V2_FIELDS + 8);
	v2 = get_le64(in + V2_FIELDS + 16);
	h->nr_literals = field(v0, 0, 20);
	h->literal_bytes = field(v0, 20, 20);
	h->nr_matches = field(v0, 40, 20);
	h->literal_bits = (int)field(v0, 60, 3) - 7;
	for (unsigned i = 0; i < 4; i++)
		h->literal_state[i] = (uint16_t)field(v1, 10 * i, 10);
	h->match_bytes = field(v1, 40, 20);
	h->match_bits = (int)field(v1, 60, 3) - 7;
	h->length = field(v2, 0, 32);
	h->l_state = (uint16_t)field(v2, 32, 10);
	h->m_state = (uint16_t)field(v2, 42, 10);
	h->d_state = (uint16_t)field(v2, 52, 10);
	return h->length >= V2_FREQUENCIES && h->length <= n &&
	       take_frequencies(in + V2_FREQUENCIES, in + h->length, h->frequency);
}

static bool
decode_v1(const uint8_t *in, size_t n, struct header *h)
{
	if (n < V1_SIZE)
		return false;
	h->length = V1_SIZE;
	h->nr_literals = get_le32(in + V1_LITERALS);
	h->nr_matches = get_le32(in + V1_MATCHES);
	h->literal_bytes = get_le32(in + V1_LITERAL_BYTES);
	h->match_bytes = get_le32(in + V1_MATCH_BYTES);
	h->literal_bits = (int32_t)get_le32(in + V1_LITERAL_BITS);
	h->match_bits = (int32_t)get_le32(in + V1_MATCH_BITS);
	for (int i = 0; i < 4; i++)
		h->literal_state[i] = get_le16(in + V1_LITERAL_STATES + 2 * i);
	h->l_state = get_le16(in + V1_MATCH_STATES);
	h->m_state = get_le16(in + V1_MATCH_STATES + 2);
	h->d_state = get_le16(in + V1_MATCH_STATES + 4);
	for (int i = 0; i < ALL_SYMBOLS; i++)
		h->frequency[i] = get_le16(in + V1_FREQUENCIES + 2 * i);
	return true;
}

/* Is it within what the tables hold, and do its streams lie within the n bytes left? */
static bool
header_is_right(const struct header *h, size_t n)
{
	bool states = h->l_state < L_STATES && h->m_state < M_STATES && h->d_state < D_STATES;

	for (int i = 0; i < 4; i++)
		states = states && h->literal_state[i] < LITERAL_STATES;
	return states && h->nr_literals <= MAX_LITERALS && h->nr_literals % 4 == 0 &&
	       h->nr_matches <= MAX_MATCHES && h->literal_bits <= 0 && h->literal_bits >= -7 &&
	       h->match_bits <= 0 && h->match_bits >= -7 &&
	       pl_in_range(h->length, (uint64_t)h->literal_bytes + h->match_bytes, n);
}

/*
 * The frequency f of a symbol gives it f of the decoder's states.  From state j of these,
 * k or k - 1 bits are read to get to the next state, so that all are reached alike.
 */
static void
state_step(unsigned nr_states, unsigned f, unsigned j, uint8_t *ret_bits, int16_t *ret_next)
{
	unsigned k = (unsigned)(__builtin_clz(f) - __builtin_clz(nr_states));
	unsigned first = (2 * nr_states >> k) - f; /* that read k bits */

	if (j < first) {
		*ret_bits = (uint8_t)k;
		*ret_next = (int16_t)((int)((f + j) << k) - (int)nr_states);
	} else {
		*ret_bits = (uint8_t)(k - 1);
		*ret_next = (int16_t)((j - first) << (k - 1));
	}
}

static bool
make_literal_states(const uint16_t frequency[static LITERAL_SYMBOLS],
		    struct literal_state states[static LITERAL_STATES])
{
	unsigned nr = 0;

	for (unsigned i = 0; i < LITERAL_SYMBOLS; i++) {
		if (frequency[i] > LITERAL_STATES - nr)
			return false;
		for (unsigned j = 0; j < frequency[i]; j++, nr++) {
			states[nr].symbol = (uint8_t)i;
			state_step(LITERAL_STATES, frequency[i], j, &states[nr].bits,
				   &states[nr].next);
		}
	}
	return true;
}

/* The extra bits of each symbol tell the values apart that it stands for; they adjoin. */
static bool
make_value_states(const uint16_t *frequency, unsigned nr_symbols, const uint8_t *extra,
		  unsigned nr_states, struct value_state *states)
{
	uint32_t value = 0;
	unsigned nr = 0;

	for (unsigned i = 0; i < nr_symbols; i++) {
		if (frequency[i] > nr_states - nr)
			return false;
		for (unsigned j = 0; j < frequency[i]; j++, nr++) {
			struct value_state *s = &states[nr];

			state_step(nr_states, frequency[i], j, &s->bits, &s->next);
			s->value = value;
			s->value_bits = extra[i];
			s->bits = (uint8_t)(s->bits + extra[i]);
		}
		value += UINT32_C(1) << extra[i];
	}
	return true;
}

static bool
make_tables(const struct header *h, struct tables *t)
{
	uint8_t d_extra[D_SYMBOLS];
	const uint16_t *f = h->frequency;

	for (unsigned i = 0; i < D_SYMBOLS; i++)
		d_extra[i] = (uint8_t)D_BITS(i);
	memset(t, 0, offsetof(struct tables, literals));
	return make_value_states(f, L_SYMBOLS, lzfse_l_bits, L_STATES, t->l) &&
	       make_value_states(f + L_SYMBOLS, M_SYMBOLS, lzfse_m_bits, M_STATES, t->m) &&
	       make_value_states(f + L_SYMBOLS + M_SYMBOLS, D_SYMBOLS, d_extra, D_STATES, t->d) &&
	       make_literal_states(f + L_SYMBOLS + M_SYMBOLS + D_SYMBOLS, t->literal);
}

static bool
decode_literals(const struct header *h, const uint8_t *in, struct tables *t)
{
	uint32_t state[4];
	struct bits b;

	for (int i = 0; i < 4; i++)
		state[i] = h->literal_state[i];
	if (!bits_init(&b, in, in + h->literal_bytes, h->literal_bits))
		return false;
	for (uint32_t i = 0; i < h->nr_literals; i += 4) {
		bits_fill(&b);
		for (int k = 0; k < 4; k++) {
			const struct literal_state *s = &t->literal[state[k]];
			uint32_t more;

			if (!bits_take(&b, s->bits, &more))
				return false;
			t->literals[i + (uint32_t)k] = s->symbol;
			state[k] = (uint32_t)(s->next + (int32_t)more) % LITERAL_STATES;
		}
	}
	return true;
}

/* The next value of a decoder; false when the stream has ended. */
static bool
take_value(struct bits *b, const struct value_state *states, unsigned nr_states, uint32_t *state,
	   uint32_t *ret)
{
	const struct value_state *s = &states[*state];
	uint32_t more;

	if (!bits_take(b, s->bits, &more))
		return false;
	*ret = s->value + (more & ((UINT32_C(1) << s->value_bits) - 1));
	*state = (uint32_t)(s->next + (int32_t)(more >> s->value_bits)) % nr_states;
	return true;
}

/* `made` bytes are before `out`, `room` behind it.  *ret_n: how many were decoded. */
static int
decode_matches(const struct header *h, const uint8_t *in, const struct tables *t, uint8_t *out,
	       size_t made, size_t room, size_t *ret_n, struct platter_error *err)
{
	uint32_t l_state = h->l_state, m_state = h->m_state, d_state = h->d_state;
	uint32_t l, m, d, distance = 0, literal = 0;
	size_t n = 0;
	struct bits b;

	if (!bits_init(&b, in, in + h->match_bytes, h->match_bits))
		return damaged(err, "stray bits behind the matches");
	for (uint32_t i = 0; i < h->nr_matches; i++) {
		/* At most 14 bits for L, 17 for M, 23 for D. */
		bits_fill(&b);
		if (!take_value(&b, t->l, L_STATES, &l_state, &l) ||
		    !take_value(&b, t->m, M_STATES, &m_state, &m) ||
		    !take_value(&b, t->d, D_STATES, &d_state, &d))
			return damaged(err, "the matches end early");
		if (d)
			distance = d;
		if (l > h->nr_literals - literal)
			return damaged(err, "more literals are used than there are");
		if (l > room - n || m > room - n - l)
			return damaged(err, "more bytes than expected");
		memcpy(out + n, t->literals + literal, l);
		literal += l;
		n += l;
		if (!m)
			continue;
		if (!distance || distance > made + n)
			return damaged(err, "a match begins before the data");
		pl_copy_match(out + n, distance, m, room - n);
		n += m;
	}
	*ret_n = n;
	return 0;
}

/* A block of kind bvx1 or bvx2.  *ret_used: how much of `in` it took. */
static int
decode_block(const uint8_t *in, size_t in_size, bool packed, uint8_t *out, size_t made, size_t room,
	     size_t *ret_used, size_t *ret_n, struct platter_error *err)
{
	struct header h = { 0 };
	PL_AUTOFREE struct tables *t = NULL;

	if (!(packed ? decode_v2(in, in_size, &h) : decode_v1(in, in_size, &h)) ||
	    !header_is_right(&h, in_size))
		return damaged(err, "the header of a block is not right");
	t = malloc(sizeof *t);
	if (!t)
		return pl_no_memory(err);
	if (!make_tables(&h, t))
		return damaged(err, "frequencies add up to too much");
	in += h.length;
	if (!decode_literals(&h, in, t))
		return damaged(err, "the literals end early");
	*ret_used = h.length + h.literal_bytes + h.match_bytes;
	return decode_matches(&h, in + h.literal_bytes, t, out, made, room, ret_n, err);
}

/* A block that is stored as it is, or in LZVN. */
static int
decode_simple(const uint8_t *in, size_t in_size, bool lzvn, uint8_t *out, size_t made, size_t room,
	      size_t *ret_used, size_t *ret_n, struct platter_error *err)
{
	size_t header = lzvn ? 12 : 8, stored, n;

	if (in_size < header)
		return damaged(err, "the header of a block is cut short");
	n = get_le32(in + 4);
	stored = lzvn ? get_le32(in + 8) : n;
	if (stored > in_size - header)
		return damaged(err, "a block is cut short");
	if (n > room)
		return damaged(err, "more bytes than expected");
	*ret_used = header + stored;
	*ret_n = n;
	if (lzvn) {
		int r = pl_lzvn_decode(in + header, stored, out, n, made, ret_n, err);

		return r == 0 && *ret_n != n ? damaged(err, "an LZVN block ends early") : r;
	}
	memcpy(out, in + header, n);
	return 0;
}

int
pl_lzfse_decode(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size, size_t *ret_n,
		struct platter_error *err)
{
	size_t at = 0, made = 0;

	while (made < out_size) {
		size_t left = in_size - at, room = out_size - made, used, n;
		uint32_t magic;
		int r;

		if (left < 4)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "LZFSE data ends after %zu of %zu bytes", made, out_size);
		magic = get_le32(in + at);
		if (magic == MAGIC('$'))
			break;
		if (magic == MAGIC('-') || magic == MAGIC('n'))
			r = decode_simple(in + at, left, magic == MAGIC('n'), out + made, made,
					  room, &used, &n, err);
		else if (magic == MAGIC('1') || magic == MAGIC('2'))
			r = decode_block(in + at, left, magic == MAGIC('2'), out + made, made, room,
					 &used, &n, err);
		else
			r = pl_corrupt(err, PLATTER_NO_OFFSET,
				       "LZFSE block of unknown kind 0x%08" PRIx32
				       " at byte %zu of %zu",
				       magic, at, in_size);
		if (r < 0)
			return r;
		at += used;
		made += n;
	}
	*ret_n = made;
	return 0;
}

static int
decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
       size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	size_t n;
	int r = pl_lzfse_decode(in, in_size, out, out_size, &n, err);

	if (r == 0 && n != out_size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "LZFSE data holds %zu bytes, expected %zu", n, out_size);
	return r;
}

const struct pl_decoder pl_decoder_lzfse = { .name = "LZFSE", .decode = decode };
