/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * xpress.c - XPRESS with Huffman codes: system-compressed files of Windows, and WIM archives
 *
 * [MS-XCA] 2.1.  The lengths of 512 codes in 4 bits each, the lower ones first; then little-endian
 * words of 16 bits, of which the highest bit is the first.  Symbols below 256 are bytes.  Above,
 * bits 0-3 are the length of a match less 3, 15: a byte is added, and of that 255: a word has the
 * whole; bits 4-7 are how many bits of its distance, below the highest, follow.  The bytes and
 * words of lengths stand between the words of bits: two of those are always taken ahead.
 */
#include "codec.h"
#include "copy-match.h"
#include "huffman.h"
#include "per-thread.h"

#define NR_SYMBOLS   512
#define LENGTHS_SIZE 256
#define WORDS_AHEAD  2

/* Chunks of system-compressed files are of at most 16 KiB, those of WIM archives of 64 KiB. */
#define MAX_CHUNK KIB(64)

struct input {
	const uint8_t *p, *end;
	uint32_t bits; /* the next ones, from the highest */
	int nr;        /* of them that are there, less 16 */
	unsigned made; /* words behind the end */
};

/* Zeros behind the end: what is taken ahead there is not used, if the stream is whole. */
static inline uint32_t
next_word(struct input *in)
{
	uint32_t word;

	if (in->end - in->p < 2) {
		in->made++;
		return 0;
	}
	word = get_le16(in->p);
	in->p += 2;
	return word;
}

static inline void
skip_bits(struct input *in, unsigned n)
{
	in->bits <<= n;
	in->nr -= (int)n;
	if (in->nr < 0) {
		in->bits |= next_word(in) << -in->nr;
		in->nr += 16;
	}
}

static int
long_length(struct input *in)
{
	unsigned length;

	if (in->p == in->end)
		return -1;
	length = *in->p++;
	if (length < 255)
		return (int)length + 15;
	if (in->end - in->p < 2)
		return -1;
	length = get_le16(in->p);
	in->p += 2;
	/* 0: 32 bits follow, for what no chunk is long enough. */
	return length < 15 ? -1 : (int)length;
}

static int
decode_symbols(const struct pl_huffman *h, struct input *in, uint8_t *out, size_t out_size)
{
	size_t n = 0;

	in->bits = next_word(in) << 16;
	in->bits |= next_word(in);
	in->nr = 16;
	while (n < out_size) {
		unsigned length, log;
		int symbol = pl_huffman_find(h, in->bits >> 16, &length), longer;
		size_t offset;

		if (symbol < 0 || in->made > WORDS_AHEAD)
			return -1;
		skip_bits(in, length);
		if (symbol < 256) {
			out[n++] = (uint8_t)symbol;
			continue;
		}
		length = symbol & 15;
		log = symbol >> 4 & 15;
		if (length == 15) {
			longer = long_length(in);
			if (longer < 0)
				return -1;
			length = (unsigned)longer;
		}
		length += 3;
		offset = (size_t)1 << log | (log ? in->bits >> (32 - log) : 0);
		skip_bits(in, log);
		if (offset > n || length > out_size - n)
			return -1;
		pl_copy_match(out + n, offset, length, out_size - n);
		n += length;
	}
	return 0;
}

struct context {
	struct pl_huffman huffman;
};

static struct pl_per_thread contexts = PL_PER_THREAD_INIT(struct context, free);

static int
decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
       size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	struct context *c = pl_per_thread_get(&contexts);
	uint8_t lengths[NR_SYMBOLS];
	struct input rest;

	if (!c)
		return pl_no_memory(err);
	if (out_size > MAX_CHUNK)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "XPRESS chunk of %zu bytes, limit is %" PRIu64, out_size,
				     (uint64_t)MAX_CHUNK);
	if (in_size < LENGTHS_SIZE)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "XPRESS chunk in %zu bytes", in_size);
	for (size_t i = 0; i < LENGTHS_SIZE; i++) {
		lengths[2 * i] = in[i] & 15;
		lengths[2 * i + 1] = in[i] >> 4;
	}
	rest = (struct input){ .p = in + LENGTHS_SIZE, .end = in + in_size };
	if (!pl_huffman_init(&c->huffman, lengths, NR_SYMBOLS, 11) ||
	    decode_symbols(&c->huffman, &rest, out, out_size) < 0)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "damaged XPRESS chunk of %zu bytes",
				  in_size);
	return 0;
}

const struct pl_decoder pl_decoder_xpress = { .name = "XPRESS", .decode = decode };
