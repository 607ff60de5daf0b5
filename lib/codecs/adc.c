/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * adc.c - Apple Data Compression, read only
 *
 * A byte-oriented Lempel-Ziv format with a window of 64 KiB, of disk images of Mac OS X 10.0 and
 * of NDIF before it.  Apple never described it; these are its instructions, by their first byte:
 *
 *	1LLLLLLL                    L + 1 literals, which follow
 *	01MMMMMM DDDDDDDD DDDDDDDD  M + 4 bytes from D + 1 back; D is big-endian
 *	00MMMMDD DDDDDDDD           M + 3 bytes from D + 1 back
 *
 * There is no mark at the end: data is over when all that is expected is there, and then all
 * of the input is used.
 */
#include "codec.h"
#include "copy-match.h"

struct step {
	size_t length;   /* of the instruction without its literals */
	size_t count;    /* of literals, or of bytes copied */
	size_t distance; /* 0: literals */
};

/* The instruction at p, of which `n` > 0 bytes are left.  False if it is cut short. */
static bool
take_step(const uint8_t *p, size_t n, struct step *s)
{
	uint8_t op = p[0];

	if (op & 0x80)
		*s = (struct step){ .length = 1, .count = (op & 0x7fu) + 1u };
	else
		*s = (struct step){ .length = op & 0x40 ? 3 : 2 };
	if (s->length > n || op & 0x80)
		return s->length <= n;
	if (op & 0x40) {
		s->count = (op & 0x3fu) + 4;
		s->distance = get_be16(p + 1) + 1u;
	} else {
		s->count = (op >> 2) + 3u;
		s->distance = ((op & 3u) << 8 | p[1]) + 1;
	}
	return true;
}

static int
decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
       size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	size_t at = 0, made = 0;

	while (at < in_size) {
		struct step s;

		if (!take_step(in + at, in_size - at, &s))
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "ADC data of %zu bytes ends within an instruction",
					  in_size);
		at += s.length;
		if (s.count > out_size - made)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "ADC data holds more than the expected %zu bytes",
					  out_size);
		if (s.distance > made)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "ADC match %zu bytes back after %zu bytes", s.distance,
					  made);
		if (s.distance) {
			pl_copy_match(out + made, s.distance, s.count, out_size - made);
		} else {
			if (s.count > in_size - at)
				return pl_corrupt(err, PLATTER_NO_OFFSET,
						  "ADC data of %zu bytes ends within literals",
						  in_size);
			memcpy(out + made, in + at, s.count);
			at += s.count;
		}
		made += s.count;
	}
	if (made != out_size)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "ADC data holds %zu bytes, expected %zu",
				  made, out_size);
	return 0;
}

const struct pl_decoder pl_decoder_adc = { .name = "ADC", .decode = decode };
