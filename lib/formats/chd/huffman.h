/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * huffman.h - bits and Huffman codes as CHD has them: most significant bit first
 *
 * Codes are canonical, and given out from the longest length to the shortest: of each length in
 * the order of the symbols.  Nothing here keeps state; contexts are the caller's.
 */
#ifndef PL_CHD_HUFFMAN_H
#define PL_CHD_HUFFMAN_H

#include "bytes.h"

/* Past the end, zeros are read, and `overrun` is set. */
struct pl_bits {
	const uint8_t *p, *end;
	uint64_t window;        /* bits yet to be given out, at the top */
	unsigned have, padding; /* how many those are, and how many at their end are not real */
	bool overrun;
};

void pl_bits_init(struct pl_bits *b, const uint8_t *bytes, size_t n);
uint32_t pl_bits_peek(struct pl_bits *b, unsigned n); /* n <= 32 */
void pl_bits_drop(struct pl_bits *b, unsigned n);     /* n that were peeked at */
uint64_t pl_bits_read(struct pl_bits *b, unsigned n); /* n <= 64 */

/* The other way. */
struct pl_bit_sink {
	uint8_t *p, *end;
	uint64_t window;
	unsigned have;
	bool overrun; /* it did not fit; nothing more is written */
};

void pl_bit_sink_init(struct pl_bit_sink *b, uint8_t *bytes, size_t n);
void pl_bit_sink_put(struct pl_bit_sink *b, uint64_t value, unsigned n); /* n <= 56 */
/* Fill up the last byte; returns where the bytes end. */
uint8_t *pl_bit_sink_flush(struct pl_bit_sink *b);

#define PL_HUFFMAN_MAX_CODES 256
#define PL_HUFFMAN_MAX_BITS  16

struct pl_huffman {
	unsigned nr;       /* symbols, <= PL_HUFFMAN_MAX_CODES */
	unsigned max_bits; /* that a code may have */
	uint8_t length[PL_HUFFMAN_MAX_CODES];
	uint16_t code[PL_HUFFMAN_MAX_CODES];
	unsigned table_bits;                      /* of the longest code there is */
	uint16_t table[1 << PL_HUFFMAN_MAX_BITS]; /* symbol << 5 | length; 0: no such code */
};

/*
 * The lengths of the codes, of a map (counts of bits with runs) and of the codec huff (coded
 * themselves).  False: they are no code, or end early.
 */
bool pl_huffman_read_runs(struct pl_huffman *h, struct pl_bits *b);
bool pl_huffman_read_coded(struct pl_huffman *h, struct pl_bits *b);

/* The next symbol; nr: there is no such code. */
unsigned pl_huffman_decode(const struct pl_huffman *h, struct pl_bits *b);

/* Find the lengths of the best code for symbols that are that frequent, and write them. */
void pl_huffman_build(struct pl_huffman *h, const uint32_t *counts);
void pl_huffman_write_runs(const struct pl_huffman *h, struct pl_bit_sink *b);
void pl_huffman_write_coded(const struct pl_huffman *h, struct pl_bit_sink *b);

static inline void
pl_huffman_encode(const struct pl_huffman *h, struct pl_bit_sink *b, unsigned symbol)
{
	pl_bit_sink_put(b, h->code[symbol], h->length[symbol]);
}

#endif
