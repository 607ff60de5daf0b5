/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * huffman.h - canonical Huffman codes, read from the most significant bit on
 *
 * Codes of up to `bits` bits are found by one look into a table; the few longer ones by their
 * length: all codes of a length are consecutive, and behind those that are shorter.
 */
#ifndef PL_HUFFMAN_H
#define PL_HUFFMAN_H

#include "bytes.h"

#define PL_HUFFMAN_MAX_LENGTH  16
#define PL_HUFFMAN_MAX_SYMBOLS 512
#define PL_HUFFMAN_MAX_BITS    11

struct pl_huffman {
	unsigned bits; /* at most PL_HUFFMAN_MAX_BITS */
	/* By the next `bits` bits: symbol << 4 | length - 1; UINT16_MAX: longer, or no code. */
	uint16_t table[1 << PL_HUFFMAN_MAX_BITS];
	/* Of each length: the first code behind those of it, aligned to 16 bits, */
	uint32_t limit[PL_HUFFMAN_MAX_LENGTH + 2];
	/* and what is added to a code to get where its symbol is. */
	int32_t base[PL_HUFFMAN_MAX_LENGTH + 1];
	uint16_t sorted[PL_HUFFMAN_MAX_SYMBOLS];
};

/*
 * Codes for `nr` symbols from their lengths, 0 to PL_HUFFMAN_MAX_LENGTH.  False: more codes
 * than there can be.  That some are not given is fine: they are found when they are used.
 */
static inline bool
pl_huffman_init(struct pl_huffman *h, const uint8_t *lengths, unsigned nr, unsigned bits)
{
	unsigned count[PL_HUFFMAN_MAX_LENGTH + 1] = { 0 }, at[PL_HUFFMAN_MAX_LENGTH + 1];
	uint32_t code = 0, index = 0;

	for (unsigned i = 0; i < nr; i++)
		count[lengths[i]]++;
	h->bits = bits;
	memset(h->table, 0xff, sizeof h->table[0] << bits);
	for (unsigned n = 1; n <= PL_HUFFMAN_MAX_LENGTH; n++) {
		at[n] = index;
		h->base[n] = (int32_t)index - (int32_t)code;
		code += count[n];
		index += count[n];
		if (code > 1u << n)
			return false;
		h->limit[n] = code << (PL_HUFFMAN_MAX_LENGTH - n);
		code <<= 1;
	}
	for (unsigned i = 0; i < nr; i++) {
		unsigned n = lengths[i];
		uint32_t first;

		if (!n)
			continue;
		index = at[n]++;
		h->sorted[index] = (uint16_t)i;
		if (n > bits)
			continue;
		first = (uint32_t)((int32_t)index - h->base[n]) << (bits - n);
		for (uint32_t k = 0; k < 1u << (bits - n); k++)
			h->table[first + k] = (uint16_t)(i << 4 | (n - 1));
	}
	return true;
}

/* The symbol that `next`, the next 16 bits, begin with; -1: none. */
static inline int
pl_huffman_find(const struct pl_huffman *h, uint32_t next, unsigned *ret_length)
{
	unsigned found = h->table[next >> (16 - h->bits)];

	if (found != UINT16_MAX) {
		*ret_length = (found & 15) + 1;
		return (int)(found >> 4);
	}
	for (unsigned n = h->bits + 1; n <= PL_HUFFMAN_MAX_LENGTH; n++)
		if (next < h->limit[n]) {
			*ret_length = n;
			return h->sorted[(int32_t)(next >> (16 - n)) + h->base[n]];
		}
	return -1;
}

#endif
