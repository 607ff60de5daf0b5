/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lznt1.c - the compression of files that have Windows' attribute "compressed"
 *
 * [MS-XCA] 2.5.  A series of chunks, each of which stands for 4096 bytes: a header of 16 bits, the
 * length less 1 (bits 0-11), a signature of 3 (bits 12-14), compressed (bit 15).  A compressed
 * one is bytes of flags, with 8 items each, from bit 0: 0 a byte, 1 a match of 16 bits, of which
 * those for the distance are as many as the place in the chunk needs, at least 4, and the lower
 * ones are the length.  A header of 0 or the end of the input ends it; what is missing is zeros.
 */
#include "codec.h"
#include "copy-match.h"

#define CHUNK 4096

/* One compressed chunk; *ret_n: what it decodes to, at most `room`.  -1: damaged. */
static int
decode_chunk(const uint8_t *in, size_t in_size, uint8_t *out, size_t room, size_t *ret_n)
{
	const uint8_t *end = in + in_size;
	unsigned shift = 12;
	size_t n = 0;

	while (in < end && n < room) {
		unsigned flags = *in++;

		for (int i = 0; i < 8 && in < end && n < room; i++, flags >>= 1) {
			size_t offset, length;
			unsigned match;

			if (!(flags & 1)) {
				out[n++] = *in++;
				continue;
			}
			if (end - in < 2)
				return -1;
			match = get_le16(in);
			in += 2;
			/* 4 bits for the distance reach 16 bytes back, 5 bits 32. */
			while (n > 16u << (12 - shift))
				shift--;
			offset = (match >> shift) + 1;
			length = (match & ((1u << shift) - 1)) + 3;
			if (offset > n)
				return -1;
			length = PL_MIN(length, room - n);
			pl_copy_match(out + n, offset, length, room - n);
			n += length;
		}
	}
	*ret_n = n;
	return 0;
}

static int
decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
       size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	size_t at = 0;

	for (size_t done = 0; done < out_size; done += CHUNK) {
		size_t room = PL_MIN(CHUNK, out_size - done), n = 0, length;
		uint16_t header = in_size - at >= 2 ? get_le16(in + at) : 0;

		if (!header) {
			memset(out + done, 0, out_size - done);
			return 0;
		}
		length = (header & 0xfffu) + 1;
		at += 2;
		if (length > in_size - at)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "LZNT1 chunk of %zu bytes in the last %zu of %zu", length,
					  in_size - at, in_size);
		if (!(header & 0x8000)) {
			n = PL_MIN(length, room);
			memcpy(out + done, in + at, n);
		} else if (decode_chunk(in + at, length, out + done, room, &n) < 0) {
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "damaged LZNT1 chunk at byte %zu of %zu", at - 2,
					  in_size);
		}
		memset(out + done + n, 0, room - n);
		at += length;
	}
	return 0;
}

const struct pl_decoder pl_decoder_lznt1 = { .name = "LZNT1", .decode = decode };
