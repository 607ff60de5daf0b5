/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lzfse-encode.c - Apple's LZFSE, encoded; the format is described in lzfse-format.h
 *
 * Matches are gathered until a block is full, then their symbols are counted, and both streams
 * are written from their ends to their beginnings.  Short inputs are LZVN, which has no tables.
 * What does not get shorter is one block of the bytes as they are.  There are no such blocks among
 * others: 7-Zip (26.02) does not find their ends, and Apple's encoder writes none either.
 */
#include "codec.h"
#include "lzfse-format.h"
#include "matches.h"
#include "per-thread.h"

/* Inputs below this are LZVN, as Apple has it. */
#define LZVN_BELOW 4096

#define MAX_L        315
#define MAX_M        2359
#define MAX_DISTANCE 262139

enum {
	SIMPLE_HEADER = 8,
	LZVN_HEADER = 12,
	END_LENGTH = 4,
	MATCH_PADDING = 8,
	MAX_FREQUENCY_BITS = 14,
	/* Of one literal, and of L, M and D together, with the bits of their states. */
	MAX_LITERAL_BITS = 10,
	MAX_MATCH_BITS = 6 + 8 + 6 + 11 + 8 + 15,
	MAX_BLOCK = V2_FREQUENCIES + ALL_SYMBOLS * MAX_FREQUENCY_BITS / 8 +
		    MAX_LITERALS * MAX_LITERAL_BITS / 8 + MAX_MATCHES * MAX_MATCH_BITS / 8 + 64,
};

struct match {
	uint16_t l, m;
	uint32_t d; /* 0: as before */
};

/*
 * How a symbol is encoded.  From a state up to `few`, few_bits bits of it are written, and else
 * one more; what is left of the state leads to the one before.
 */
struct symbol {
	int32_t few; /* the first state that gives one bit more */
	int16_t few_delta, more_delta;
	uint8_t more_bits;
	uint8_t value_bits;
	uint32_t value;
};

/* What a thread keeps between calls. */
struct encoder {
	struct pl_matcher matcher;
	/* The block that is gathered. */
	size_t raw_length; /* what it stands for */
	uint32_t distance; /* of its last match */
	uint32_t nr_literals, nr_matches;
	uint8_t literals[MAX_LITERALS];
	struct match matches[MAX_MATCHES];
	/* The tables of the block that is written. */
	uint16_t frequency[ALL_SYMBOLS];
	struct symbol symbol[ALL_SYMBOLS];
	uint8_t block[MAX_BLOCK];
	/* Where blocks go. */
	uint8_t *out, *end;
};

static struct pl_per_thread encoders = PL_PER_THREAD_INIT(struct encoder, free);

/* Bits from the beginning of a buffer to its end, which has 8 bytes of room to spare. */
struct bits {
	uint8_t *p;
	uint64_t word;
	unsigned nr; /* below 8 after bits_flush() */
};

static inline void
bits_put(struct bits *b, uint64_t v, unsigned n)
{
	b->word |= v << b->nr;
	b->nr += n;
}

static inline void
bits_flush(struct bits *b)
{
	put_le64(b->p, b->word);
	b->p += b->nr / 8;
	b->word >>= b->nr & ~7u;
	b->nr %= 8;
}

/* Returns how many bits of the last byte are not used. */
static unsigned
bits_finish(struct bits *b)
{
	bits_flush(b);
	if (!b->nr)
		return 0;
	*b->p++ = (uint8_t)b->word;
	return 8 - b->nr;
}

static inline unsigned
l_symbol(uint32_t l)
{
	return l < 16 ? l : l < 20 ? 16 : l < 28 ? 17 : l < 60 ? 18 : 19;
}

static inline unsigned
m_symbol(uint32_t m)
{
	return m < 16 ? m : m < 24 ? 16 : m < 56 ? 17 : m < 312 ? 18 : 19;
}

/* Four symbols each for 1, 2, 4, ... values. */
static inline unsigned
d_symbol(uint32_t d)
{
	unsigned bits = 29 - (unsigned)__builtin_clz(d + 4);

	return 4 * bits + ((d + 4) >> bits) - 4;
}

static void
count_symbols(const struct encoder *e, uint32_t *count)
{
	uint32_t *l = count, *m = l + L_SYMBOLS, *d = m + M_SYMBOLS, *literal = d + D_SYMBOLS;

	for (uint32_t i = 0; i < e->nr_matches; i++) {
		l[l_symbol(e->matches[i].l)]++;
		m[m_symbol(e->matches[i].m)]++;
		d[d_symbol(e->matches[i].d)]++;
	}
	for (uint32_t i = 0; i < e->nr_literals; i++)
		literal[e->literals[i]]++;
}

static unsigned
largest(const uint16_t *frequency, unsigned nr_symbols)
{
	unsigned at = 0;

	for (unsigned i = 1; i < nr_symbols; i++)
		if (frequency[i] > frequency[at])
			at = i;
	return at;
}

/* Frequencies in proportion to the counts that add up to nr_states; at least 1 for what occurs. */
static void
normalize(const uint32_t *count, unsigned nr_symbols, unsigned nr_states, uint16_t *frequency)
{
	uint64_t total = 0;
	unsigned sum = 0;

	for (unsigned i = 0; i < nr_symbols; i++)
		total += count[i];
	for (unsigned i = 0; i < nr_symbols; i++) {
		frequency[i] = 0;
		if (count[i])
			frequency[i] = (uint16_t)PL_MAX(
				(2 * count[i] * (uint64_t)nr_states + total) / (2 * total), 1);
		sum += frequency[i];
	}
	for (; sum > nr_states; sum--)
		frequency[largest(frequency, nr_symbols)]--;
	frequency[largest(frequency, nr_symbols)] += (uint16_t)(nr_states - sum);
}

static void
make_symbols(const uint16_t *frequency, unsigned nr_symbols, unsigned nr_states,
	     struct symbol *symbols)
{
	unsigned first = 0; /* state of the symbol */

	for (unsigned i = 0; i < nr_symbols; i++) {
		unsigned f = frequency[i], k;

		if (!f)
			continue;
		/* As state_step() in lzfse.c has it, backwards. */
		k = (unsigned)(__builtin_clz(f) - __builtin_clz(nr_states));
		symbols[i].more_bits = (uint8_t)k;
		symbols[i].few = (int32_t)(f << k) - (int32_t)nr_states;
		symbols[i].more_delta = (int16_t)((int)first - (int)f + (int)(nr_states >> k));
		symbols[i].few_delta = (int16_t)((int)first + (int)(2 * nr_states >> k) - (int)f);
		first += f;
	}
}

static void
make_values(const uint8_t *bits, unsigned nr_symbols, struct symbol *symbols)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < nr_symbols; i++) {
		symbols[i].value = value;
		symbols[i].value_bits = bits ? bits[i] : (uint8_t)D_BITS(i);
		value += UINT32_C(1) << symbols[i].value_bits;
	}
}

/* All that a block's streams need to know. */
static void
make_tables(struct encoder *e)
{
	static const struct {
		unsigned nr_symbols, nr_states;
	} kinds[] = { { L_SYMBOLS, L_STATES },
		      { M_SYMBOLS, M_STATES },
		      { D_SYMBOLS, D_STATES },
		      { LITERAL_SYMBOLS, LITERAL_STATES } };
	uint32_t count[ALL_SYMBOLS] = { 0 };
	unsigned at = 0;

	count_symbols(e, count);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		normalize(count + at, kinds[i].nr_symbols, kinds[i].nr_states, e->frequency + at);
		make_symbols(e->frequency + at, kinds[i].nr_symbols, kinds[i].nr_states,
			     e->symbol + at);
		at += kinds[i].nr_symbols;
	}
	make_values(lzfse_l_bits, L_SYMBOLS, e->symbol);
	make_values(lzfse_m_bits, M_SYMBOLS, e->symbol + L_SYMBOLS);
	make_values(NULL, D_SYMBOLS, e->symbol + L_SYMBOLS + M_SYMBOLS);
}

/* The bits of *state that go into the stream, and how many; *state becomes the one before. */
static inline uint32_t
step_back(const struct symbol *s, uint32_t *state, unsigned *ret_nr)
{
	bool more = (int32_t)*state >= s->few;
	unsigned nr = s->more_bits - !more;
	uint32_t bits = *state & ((UINT32_C(1) << nr) - 1);

	*state = (uint32_t)((more ? s->more_delta : s->few_delta) + (int32_t)(*state >> nr));
	*ret_nr = nr;
	return bits;
}

static inline void
put_literal(struct bits *b, const struct symbol *s, uint32_t *state)
{
	unsigned nr;
	uint32_t bits = step_back(s, state, &nr);

	bits_put(b, bits, nr);
}

static inline void
put_value(struct bits *b, const struct symbol *s, uint32_t value, uint32_t *state)
{
	unsigned nr;
	uint32_t bits = step_back(s, state, &nr);

	bits_put(b, (uint64_t)bits << s->value_bits | (value - s->value), nr + s->value_bits);
}

/* The literals' stream; the first states of its decoders go into `state`. */
static void
put_literals(const struct encoder *e, struct bits *b, uint32_t state[static 4])
{
	const struct symbol *s = e->symbol + L_SYMBOLS + M_SYMBOLS + D_SYMBOLS;

	for (uint32_t i = e->nr_literals; i; i -= 4) {
		const uint8_t *p = e->literals + i - 4;

		put_literal(b, &s[p[3]], &state[3]);
		put_literal(b, &s[p[2]], &state[2]);
		put_literal(b, &s[p[1]], &state[1]);
		put_literal(b, &s[p[0]], &state[0]);
		bits_flush(b);
	}
}

static void
put_matches(const struct encoder *e, struct bits *b, uint32_t state[static 3])
{
	const struct symbol *l = e->symbol, *m = l + L_SYMBOLS, *d = m + M_SYMBOLS;

	for (uint32_t i = e->nr_matches; i--;) {
		const struct match *x = &e->matches[i];

		put_value(b, &d[d_symbol(x->d)], x->d, &state[2]);
		put_value(b, &m[m_symbol(x->m)], x->m, &state[1]);
		put_value(b, &l[l_symbol(x->l)], x->l, &state[0]);
		bits_flush(b);
	}
}

static void
put_frequency(struct bits *b, unsigned f)
{
	static const uint8_t bits[8] = { 0, 2, 1, 5, 3, 11, 19, 27 };
	static const uint8_t nr[8] = { 2, 2, 3, 3, 5, 5, 5, 5 };

	if (f < 8)
		bits_put(b, bits[f], nr[f]);
	else if (f < 24)
		bits_put(b, (f - 8) << 4 | 7, 8);
	else
		bits_put(b, (f - 24) << 4 | 15, 14);
	bits_flush(b);
}

/* The gathered block as bvx2 in e->block; returns its length. */
static size_t
pack_block(struct encoder *e)
{
	struct bits b = { .p = e->block + V2_FREQUENCIES };
	uint32_t literal_state[4] = { 0 }, state[3] = { 0 };
	uint64_t v0 = 0, v1 = 0, v2;
	uint8_t *start;

	while (e->nr_literals % 4)
		e->literals[e->nr_literals++] = 0;
	make_tables(e);
	for (int i = 0; i < ALL_SYMBOLS; i++)
		put_frequency(&b, e->frequency[i]);
	bits_finish(&b);
	v2 = (uint64_t)(b.p - e->block);

	b = (struct bits){ .p = start = b.p };
	put_literals(e, &b, literal_state);
	v0 |= (uint64_t)(7 - bits_finish(&b)) << 60;
	v0 |= (uint64_t)(b.p - start) << 20;

	/* Decoders may read a word that begins before the matches. */
	b = (struct bits){ .p = start = b.p };
	memset(b.p, 0, MATCH_PADDING);
	b.p += MATCH_PADDING;
	put_matches(e, &b, state);
	v1 |= (uint64_t)(7 - bits_finish(&b)) << 60;
	v1 |= (uint64_t)(b.p - start) << 40;

	v0 |= e->nr_literals | (uint64_t)e->nr_matches << 40;
	for (int i = 0; i < 4; i++)
		v1 |= (uint64_t)literal_state[i] << 10 * i;
	for (int i = 0; i < 3; i++)
		v2 |= (uint64_t)state[i] << (32 + 10 * i);
	put_le32(e->block, MAGIC('2'));
	put_le32(e->block + 4, (uint32_t)e->raw_length);
	put_le64(e->block + V2_FIELDS, v0);
	put_le64(e->block + V2_FIELDS + 8, v1);
	put_le64(e->block + V2_FIELDS + 16, v2);
	return (size_t)(b.p - e->block);
}

/* Bytes as they are. */
static bool
put_plain(struct encoder *e, const uint8_t *raw, size_t n)
{
	if ((size_t)(e->end - e->out) < SIMPLE_HEADER ||
	    (size_t)(e->end - e->out) - SIMPLE_HEADER < n)
		return false;
	put_le32(e->out, MAGIC('-'));
	put_le32(e->out + 4, (uint32_t)n);
	memcpy(e->out + SIMPLE_HEADER, raw, n);
	e->out += SIMPLE_HEADER + n;
	return true;
}

/* Write the gathered block and begin the next. */
static bool
finish_block(struct encoder *e)
{
	size_t n = pack_block(e);

	if ((size_t)(e->end - e->out) < n)
		return false;
	memcpy(e->out, e->block, n);
	e->out += n;
	e->raw_length = 0;
	e->nr_literals = e->nr_matches = e->distance = 0;
	return true;
}

/* One match, which the symbols can say. */
static bool
add_match(struct encoder *e, const uint8_t *literals, uint32_t l, uint32_t m, uint32_t distance)
{
	struct match *x;

	if ((e->nr_matches == MAX_MATCHES || l > MAX_LITERALS - e->nr_literals) && !finish_block(e))
		return false;
	x = &e->matches[e->nr_matches++];
	x->l = (uint16_t)l;
	x->m = (uint16_t)m;
	x->d = distance == e->distance ? 0 : distance;
	e->distance = distance;
	memcpy(e->literals + e->nr_literals, literals, l);
	e->nr_literals += l;
	e->raw_length += l + m;
	return true;
}

static bool
take(void *data, const uint8_t *literals, size_t nr, size_t length, size_t distance)
{
	struct encoder *e = data;

	for (; nr > MAX_L || (nr && !length);
	     literals += PL_MIN(nr, MAX_L), nr -= PL_MIN(nr, MAX_L))
		/* A distance that is not used must be right all the same. */
		if (!add_match(e, literals, (uint32_t)PL_MIN(nr, MAX_L), 0,
			       e->nr_matches ? e->distance : 1))
			return false;
	while (length) {
		uint32_t m = (uint32_t)PL_MIN(length, MAX_M);

		if (!add_match(e, literals, (uint32_t)nr, m, (uint32_t)distance))
			return false;
		length -= m;
		nr = 0;
	}
	return true;
}

/* A block of LZVN. */
static bool
put_small(struct encoder *e, int level, const uint8_t *in, size_t n)
{
	size_t room = (size_t)(e->end - e->out), length;

	if (!n)
		return true;
	if (room < LZVN_HEADER)
		return false;
	length = pl_codec_lzvn.encode(level, in, n, e->out + LZVN_HEADER, room - LZVN_HEADER);
	if (!length)
		return false;
	put_le32(e->out, MAGIC('n'));
	put_le32(e->out + 4, (uint32_t)n);
	put_le32(e->out + 8, (uint32_t)length);
	e->out += LZVN_HEADER + length;
	return true;
}

/* Blocks of literals and matches. */
static bool
put_blocks(struct encoder *e, int level, const uint8_t *in, size_t n)
{
	const struct pl_match_params params = {
		.max_distance = MAX_DISTANCE,
		.min_length = 4,
		.near = UINT32_MAX,
		.depth = 1u << level,
		.nice_length = 16u << (level / 2),
		.tries = level > 1 ? 1 + (level > 6) : 0,
	};

	e->raw_length = 0;
	e->nr_literals = e->nr_matches = e->distance = 0;
	return pl_find_matches(&e->matcher, &params, in, n, take, e) &&
	       (!e->nr_matches || finish_block(e));
}

static size_t
bound(size_t n)
{
	return SIMPLE_HEADER + n + END_LENGTH;
}

static size_t
encode(int level, const uint8_t *in, size_t n, uint8_t *out, size_t capacity)
{
	struct encoder *e = pl_per_thread_get(&encoders);
	bool done;

	if (!e || n > UINT32_MAX || capacity < END_LENGTH)
		return 0;
	e->out = out;
	/* No longer than the bytes as they are. */
	e->end = out + PL_MIN(capacity - END_LENGTH, SIMPLE_HEADER + n);
	done = n < LZVN_BELOW ? put_small(e, level, in, n) : put_blocks(e, level, in, n);
	if (!done) {
		e->out = out;
		if (!put_plain(e, in, n))
			return 0;
	}
	put_le32(e->out, MAGIC('$'));
	return (size_t)(e->out + END_LENGTH - out);
}

const struct pl_codec pl_codec_lzfse = {
	.name = "lzfse",
	.min_level = 1,
	.max_level = 9,
	.default_level = 3,
	.bound = bound,
	.encode = encode,
	.decoder = &pl_decoder_lzfse,
};
