/* SPDX-License-Identifier: GPL-3.0-or-later */
/* huffman.c - bits and Huffman codes of CHD, read and made */
#include "huffman.h"

void
pl_bits_init(struct pl_bits *b, const uint8_t *bytes, size_t n)
{
	*b = (struct pl_bits){ .p = bytes, .end = bytes + n };
}

uint32_t
pl_bits_peek(struct pl_bits *b, unsigned n)
{
	if (!n)
		return 0;
	while (b->have < n) {
		if (b->p < b->end)
			b->window |= (uint64_t)*b->p++ << (56 - b->have);
		else
			b->padding += 8;
		b->have += 8;
	}
	return (uint32_t)(b->window >> (64 - n));
}

void
pl_bits_drop(struct pl_bits *b, unsigned n)
{
	b->window <<= n;
	b->have -= n;
	if (b->have < b->padding) {
		b->overrun = true;
		b->padding = b->have;
	}
}

uint64_t
pl_bits_read(struct pl_bits *b, unsigned n)
{
	uint64_t v = 0;

	for (; n; n -= PL_MIN(n, 32u)) {
		unsigned part = PL_MIN(n, 32u);

		v = v << part | pl_bits_peek(b, part);
		pl_bits_drop(b, part);
	}
	return v;
}

void
pl_bit_sink_init(struct pl_bit_sink *b, uint8_t *bytes, size_t n)
{
	*b = (struct pl_bit_sink){ .p = bytes, .end = bytes + n };
}

void
pl_bit_sink_put(struct pl_bit_sink *b, uint64_t value, unsigned n)
{
	b->window = b->window << n | value;
	for (b->have += n; b->have >= 8; b->have -= 8) {
		if (b->p == b->end)
			b->overrun = true;
		else
			*b->p++ = (uint8_t)(b->window >> (b->have - 8));
	}
}

uint8_t *
pl_bit_sink_flush(struct pl_bit_sink *b)
{
	if (b->have)
		pl_bit_sink_put(b, 0, 8 - b->have);
	return b->p;
}

/* Give the codes out.  False: the lengths are those of no code. */
static bool
assign_codes(struct pl_huffman *h)
{
	uint32_t count[PL_HUFFMAN_MAX_BITS + 1] = { 0 }, start = 0;

	h->table_bits = 1;
	for (unsigned i = 0; i < h->nr; i++) {
		if (h->length[i] > h->max_bits)
			return false;
		count[h->length[i]]++;
		h->table_bits = PL_MAX(h->table_bits, (unsigned)h->length[i]);
	}
	for (unsigned bits = PL_HUFFMAN_MAX_BITS; bits; bits--) {
		uint32_t end = start + count[bits];

		if (end > 1u << bits || (bits > 1 && end & 1))
			return false;
		count[bits] = start;
		start = end >> 1;
	}
	for (unsigned i = 0; i < h->nr; i++)
		if (h->length[i])
			h->code[i] = (uint16_t)count[h->length[i]]++;
	return true;
}

static bool
make_table(struct pl_huffman *h)
{
	if (!assign_codes(h))
		return false;
	memset(h->table, 0, sizeof *h->table << h->table_bits);
	for (unsigned i = 0; i < h->nr; i++) {
		unsigned shift = h->table_bits - h->length[i];
		uint16_t *entry = &h->table[(size_t)h->code[i] << shift];

		for (size_t n = 0; h->length[i] && n < (size_t)1 << shift; n++)
			entry[n] = (uint16_t)(i << 5 | h->length[i]);
	}
	return true;
}

unsigned
pl_huffman_decode(const struct pl_huffman *h, struct pl_bits *b)
{
	uint16_t entry = h->table[pl_bits_peek(b, h->table_bits)];

	if (!entry)
		return h->nr;
	pl_bits_drop(b, entry & 31);
	return entry >> 5;
}

/* Bits that a length is stored in. */
static unsigned
length_bits(const struct pl_huffman *h)
{
	return h->max_bits >= 16 ? 5 : h->max_bits >= 8 ? 4 : 3;
}

/*
 * Each length as it is, but 1, which escapes: 1 and 1 is a length of 1; 1, another length and n is
 * n + 3 times that length.
 */
bool
pl_huffman_read_runs(struct pl_huffman *h, struct pl_bits *b)
{
	unsigned bits = length_bits(h);

	for (unsigned i = 0; i < h->nr;) {
		unsigned length = (unsigned)pl_bits_read(b, bits), n = 1;

		if (length == 1) {
			length = (unsigned)pl_bits_read(b, bits);
			if (length != 1)
				n = (unsigned)pl_bits_read(b, bits) + 3;
		}
		if (n > h->nr - i || b->overrun)
			return false;
		while (n--)
			h->length[i++] = (uint8_t)length;
	}
	return make_table(h);
}

void
pl_huffman_write_runs(const struct pl_huffman *h, struct pl_bit_sink *b)
{
	unsigned bits = length_bits(h), most = (1u << bits) - 1 + 3, n;

	for (unsigned i = 0; i < h->nr; i += n) {
		unsigned length = h->length[i];

		for (n = 1; i + n < h->nr && n < most && h->length[i + n] == length; n++)
			;
		if (length == 1 || n < 3) {
			n = 1;
			if (length == 1)
				pl_bit_sink_put(b, 1, bits);
			pl_bit_sink_put(b, length, bits);
		} else {
			pl_bit_sink_put(b, 1, bits);
			pl_bit_sink_put(b, length, bits);
			pl_bit_sink_put(b, n - 3, bits);
		}
	}
}

/*
 * The code of lengths: 24 symbols of at most 6 bits.  Symbol 0 repeats the last length, the others
 * are lengths + 1.
 */
enum {
	SMALL_CODES = 24,
	SMALL_BITS = 6,
	REPEAT = 0,
	REPEAT_LEAST = 2, /* times, */
	REPEAT_SHORT = 7, /* and as many more, but if it is that many, yet more */
	SMALL_NONE = 7,   /* ends the lengths of the small code */
};

/* Bits of a long count of repetitions. */
static unsigned
long_bits(const struct pl_huffman *h)
{
	unsigned bits = 0;

	for (unsigned n = h->nr - 9; n; n >>= 1)
		bits++;
	return bits;
}

static bool
read_small(struct pl_huffman *small, struct pl_bits *b)
{
	unsigned start, length = 0;

	*small = (struct pl_huffman){ .nr = SMALL_CODES, .max_bits = SMALL_BITS };
	small->length[0] = (uint8_t)pl_bits_read(b, 3);
	start = (unsigned)pl_bits_read(b, 3) + 1;
	for (unsigned i = start; i < SMALL_CODES && length != SMALL_NONE; i++) {
		length = (unsigned)pl_bits_read(b, 3);
		small->length[i] = length == SMALL_NONE ? 0 : (uint8_t)length;
	}
	return make_table(small);
}

bool
pl_huffman_read_coded(struct pl_huffman *h, struct pl_bits *b)
{
	PL_AUTOFREE struct pl_huffman *small = malloc(sizeof *small);
	unsigned last = 0;

	if (!small || !read_small(small, b))
		return false;
	for (unsigned i = 0; i < h->nr;) {
		unsigned value = pl_huffman_decode(small, b), n = 1;

		if (value == SMALL_CODES || b->overrun)
			return false;
		if (value == REPEAT) {
			n = (unsigned)pl_bits_read(b, 3) + REPEAT_LEAST;
			if (n == REPEAT_SHORT + REPEAT_LEAST)
				n += (unsigned)pl_bits_read(b, long_bits(h));
		} else {
			last = value - 1;
		}
		for (; n && i < h->nr; n--)
			h->length[i++] = (uint8_t)last;
	}
	return make_table(h);
}

/* One of the lengths as it is stored: a symbol, and for REPEAT how many times. */
struct small_symbol {
	uint8_t symbol;
	uint16_t times;
};

static size_t
list_lengths(const struct pl_huffman *h, struct small_symbol *ret)
{
	unsigned most = REPEAT_LEAST + REPEAT_SHORT + (1u << long_bits(h)) - 1, last = 0, n;
	size_t nr = 0;

	for (unsigned i = 0; i < h->nr; i += n) {
		for (n = 0; i + n < h->nr && n < most && h->length[i + n] == last; n++)
			;
		if (i && n >= REPEAT_LEAST) {
			ret[nr++] = (struct small_symbol){ REPEAT, (uint16_t)n };
			continue;
		}
		n = 1;
		last = h->length[i];
		ret[nr++] = (struct small_symbol){ (uint8_t)(last + 1), 1 };
	}
	return nr;
}

static void
write_small(const struct pl_huffman *small, struct pl_bit_sink *b)
{
	unsigned first = 1, last = 0;

	while (first < 8 && !small->length[first])
		first++;
	for (unsigned i = first; i < SMALL_CODES; i++)
		if (small->length[i])
			last = i;
	pl_bit_sink_put(b, small->length[0], 3);
	pl_bit_sink_put(b, first - 1, 3);
	for (unsigned i = first; i <= last; i++)
		pl_bit_sink_put(b, small->length[i], 3);
	if (last + 1 < SMALL_CODES)
		pl_bit_sink_put(b, SMALL_NONE, 3);
}

void
pl_huffman_write_coded(const struct pl_huffman *h, struct pl_bit_sink *b)
{
	struct pl_huffman small = { .nr = SMALL_CODES, .max_bits = SMALL_BITS };
	struct small_symbol list[PL_HUFFMAN_MAX_CODES];
	uint32_t counts[SMALL_CODES] = { 0 };
	size_t nr = list_lengths(h, list);

	for (size_t i = 0; i < nr; i++)
		counts[list[i].symbol]++;
	pl_huffman_build(&small, counts);
	write_small(&small, b);
	for (size_t i = 0; i < nr; i++) {
		unsigned more = list[i].times - REPEAT_LEAST;

		pl_huffman_encode(&small, b, list[i].symbol);
		if (list[i].symbol != REPEAT)
			continue;
		pl_bit_sink_put(b, PL_MIN(more, (unsigned)REPEAT_SHORT), 3);
		if (more >= REPEAT_SHORT)
			pl_bit_sink_put(b, more - REPEAT_SHORT, long_bits(h));
	}
}

/* A tree in the making: leaves are the symbols, parents come behind them. */
struct tree {
	uint64_t weight[2 * PL_HUFFMAN_MAX_CODES];
	uint16_t parent[2 * PL_HUFFMAN_MAX_CODES];
	uint16_t queue[PL_HUFFMAN_MAX_CODES]; /* leaves, the lightest first */
	unsigned nr_leaves, nr;
};

static void
sort_leaves(struct tree *t)
{
	for (unsigned i = 1; i < t->nr_leaves; i++) {
		uint16_t leaf = t->queue[i];
		unsigned at = i;

		for (; at && t->weight[t->queue[at - 1]] > t->weight[leaf]; at--)
			t->queue[at] = t->queue[at - 1];
		t->queue[at] = leaf;
	}
}

/* Join the two lightest until one is left: two queues, since parents are made ever heavier. */
static void
join(struct tree *t, unsigned first_parent)
{
	unsigned leaf = 0, parent = first_parent;

	t->nr = first_parent;
	for (unsigned left = t->nr_leaves; left > 1; left--) {
		uint64_t sum = 0;

		for (int i = 0; i < 2; i++) {
			bool take_leaf =
				leaf < t->nr_leaves &&
				(parent == t->nr || t->weight[t->queue[leaf]] <= t->weight[parent]);
			unsigned node = take_leaf ? t->queue[leaf++] : parent++;

			sum += t->weight[node];
			t->parent[node] = (uint16_t)t->nr;
		}
		t->weight[t->nr++] = sum;
	}
}

/* The length of the longest code. */
static unsigned
measure(struct pl_huffman *h, const struct tree *t)
{
	unsigned longest = 0;

	memset(h->length, 0, sizeof h->length);
	for (unsigned i = 0; i < t->nr_leaves; i++) {
		unsigned node = t->queue[i], bits = 0;

		for (; node != t->nr - 1u; node = t->parent[node])
			bits++;
		bits = t->nr_leaves == 1 ? 1 : bits;
		h->length[t->queue[i]] = (uint8_t)PL_MIN(bits, 255u);
		longest = PL_MAX(longest, bits);
	}
	return longest;
}

void
pl_huffman_build(struct pl_huffman *h, const uint32_t *counts)
{
	struct tree t;

	/* Weights are brought nearer to each other until no code is too long. */
	for (unsigned flatten = 0;; flatten++) {
		t.nr_leaves = 0;
		for (unsigned i = 0; i < h->nr; i++) {
			if (!counts[i])
				continue;
			t.weight[i] = PL_MAX(counts[i] >> flatten, 1u);
			t.queue[t.nr_leaves++] = (uint16_t)i;
		}
		if (!t.nr_leaves) {
			memset(h->length, 0, sizeof h->length);
			break;
		}
		sort_leaves(&t);
		join(&t, h->nr);
		if (t.nr_leaves == 1)
			t.nr = t.queue[0] + 1u;
		if (measure(h, &t) <= h->max_bits)
			break;
	}
	assign_codes(h);
}
