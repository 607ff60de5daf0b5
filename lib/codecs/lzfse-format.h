/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lzfse-format.h - Apple's LZFSE, as it is written and read
 *
 * Lempel-Ziv with finite state entropy coding, of HFS+ and APFS compression, disk images and
 * archives.  There is no specification but Apple's own implementation (github.com/lzfse/lzfse,
 * 2016).  A stream is made of blocks, each of which begins with four letters; all integers
 * are little-endian.
 *
 *	bvx-  4 bytes: length; the bytes as they are
 *	bvxn  4 bytes: length; 4 bytes: stored length; LZVN
 *	bvx1  literals and matches, with a header of fixed size
 *	bvx2  the same, with a packed header
 *	bvx$  the end
 *
 *	offset  bits  header of bvx2, behind the length of 4 bytes
 *	     8    20  number of literals, a multiple of 4
 *	          20  bytes stored for them
 *	          20  number of matches
 *	           3  7 less the unused bits at the end of the literals' stream
 *	    16  4x10  first states of the literals' four interleaved decoders
 *	          20  bytes stored for the matches
 *	           3  as above, of the matches' stream
 *	    24    32  length of this header
 *	        3x10  first states for the numbers of literals (L), of matched bytes (M) and distance (D)
 *	    32        frequencies: of 20 L symbols, 20 M, 64 D, 256 literals, in a code of 2 to 14 bits
 *
 * The matches' stream begins with 8 zeros that are not used.  Both are read from their end to their beginning.  A match is L literals, then M
 * bytes from D back; D = 0 is the distance used last in this block.
 *
 * A symbol of L, M or D stands for 2^n values, which n more bits tell apart; symbols adjoin.
 */
#ifndef PL_LZFSE_FORMAT_H
#define PL_LZFSE_FORMAT_H

#include "bytes.h"

#define MAGIC(c) ((uint32_t)('b' | 'v' << 8 | 'x' << 16) | (uint32_t)(c) << 24)

enum {
	L_SYMBOLS = 20,
	M_SYMBOLS = 20,
	D_SYMBOLS = 64,
	LITERAL_SYMBOLS = 256,
	ALL_SYMBOLS = L_SYMBOLS + M_SYMBOLS + D_SYMBOLS + LITERAL_SYMBOLS,
};

enum {
	L_STATES = 64,
	M_STATES = 64,
	D_STATES = 256,
	LITERAL_STATES = 1024,
};

/* What one block may hold. */
#define MAX_MATCHES  10000
#define MAX_LITERALS (4 * MAX_MATCHES)

/* The bits that tell the values of a symbol apart. */
static const uint8_t lzfse_l_bits[L_SYMBOLS] = { [16] = 2, 3, 5, 8 };
static const uint8_t lzfse_m_bits[M_SYMBOLS] = { [16] = 3, 5, 8, 11 };
#define D_BITS(symbol) ((symbol) / 4)

/* Offsets in the header of bvx2. */
enum {
	V2_FIELDS = 8,
	V2_FREQUENCIES = 32,
};

#endif
