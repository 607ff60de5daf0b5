/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lzvn.c - Apple's LZVN, read only
 *
 * A byte-oriented Lempel-Ziv format of HFS+ and APFS compression, kernel caches, and the
 * small blocks of LZFSE.  There is no specification but Apple's own decoder (lzfse,
 * src/lzvn_decode_base.c, 2016), which tells these instructions apart by their first byte:
 *
 *	LLMMMDDD DDDDDDDD           L literals, then M + 3 bytes from D back (small distance)
 *	LLMMM110                    the same from the distance used last
 *	LLMMM111 DDDDDDDD DDDDDDDD  the same from a distance of 16 bits, little-endian
 *	101LLMMM DDDDDDMM DDDDDDDD  L literals, M + 3 bytes from a distance of 14 bits
 *	1110LLLL                    L literals; L = 0: 16 more than the next byte
 *	1111MMMM                    M bytes from the last distance; M = 0: as above
 *	00000110                    the end, with seven zeros behind it
 *	00001110 00010110           nothing
 *
 * Literals follow the instruction.  What begins with 0111 or 1101, and LL = 00 with the
 * last distance, is not defined but for the last two lines.
 */
#include "codec.h"
#include "copy-match.h"

/* Where the bytes of one instruction are. */
struct step {
	size_t length;   /* of the instruction without its literals */
	size_t literals; /* that follow it */
	size_t match;    /* bytes copied then */
	size_t distance; /* 0: as before */
};

enum {
	END = 0x06,
	NOTHING_1 = 0x0e,
	NOTHING_2 = 0x16,
};

/*
 * The instruction at p, of which `n` > 0 bytes are left.  False if it is not defined or
 * cut short.
 */
static bool
take_step(const uint8_t *p, size_t n, struct step *s)
{
	unsigned op = p[0], next = n > 1 ? p[1] : 0;

	*s = (struct step){ .length = 1 };
	if (op >= 0xe0) {
		size_t count = op & 15;

		if (!count) {
			count = next + 16;
			s->length = 2;
		}
		*(op >= 0xf0 ? &s->match : &s->literals) = count;
	} else if (op >> 5 == 5) {
		s->length = 3;
		s->literals = op >> 3 & 3;
		s->match = ((op & 7) << 2 | (next & 3)) + 3;
		s->distance = n > 2 ? get_le16(p + 1) >> 2 : 0;
	} else if (op >> 4 == 7 || op >> 4 == 13) {
		return false;
	} else {
		s->literals = op >> 6;
		s->match = (op >> 3 & 7) + 3;
		if ((op & 7) == 7) {
			s->length = 3;
			s->distance = n > 2 ? get_le16(p + 1) : 0;
		} else if ((op & 7) == 6) {
			if (!s->literals) {
				s->match = 0;
				return op == NOTHING_1 || op == NOTHING_2;
			}
			return true;
		} else {
			s->length = 2;
			s->distance = (op & 7) << 8 | next;
		}
	}
	/* A distance of 0 that is spelled out would mean the byte itself. */
	return s->length <= n && (s->distance || op >= 0xe0);
}

int
pl_lzvn_decode(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size, size_t before,
	       size_t *ret_n, struct platter_error *err)
{
	size_t at = 0, made = 0, distance = 0;

	while (made < out_size) {
		struct step s;

		if (at == in_size)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "LZVN data ends after %zu of %zu bytes", made, out_size);
		if (in[at] == END)
			break;
		if (!take_step(in + at, in_size - at, &s))
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "LZVN instruction 0x%02x at byte %zu of %zu is not valid",
					  in[at], at, in_size);
		at += s.length;
		s.literals = PL_MIN(s.literals, out_size - made);
		if (s.literals > in_size - at)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "LZVN data of %zu bytes ends within literals", in_size);
		memcpy(out + made, in + at, s.literals);
		at += s.literals;
		made += s.literals;
		if (!s.match)
			continue;
		if (s.distance)
			distance = s.distance;
		if (!distance || distance > before + made)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "LZVN match %zu bytes back after %zu bytes", distance,
					  before + made);
		s.match = PL_MIN(s.match, out_size - made);
		pl_copy_match(out + made, distance, s.match, out_size - made);
		made += s.match;
	}
	*ret_n = made;
	return 0;
}

static int
decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
       size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	size_t n;
	int r = pl_lzvn_decode(in, in_size, out, out_size, 0, &n, err);

	if (r == 0 && n != out_size)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "LZVN data holds %zu bytes, expected %zu",
				  n, out_size);
	return r;
}

const struct pl_decoder pl_decoder_lzvn = { .name = "LZVN", .decode = decode };
