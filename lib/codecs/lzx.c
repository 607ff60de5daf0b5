/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lzx.c - LZX with a window of 32 KiB: system-compressed files of Windows, and WIM archives
 *
 * [MS-PATCH] has the format, and how WIM archives differ is known from wimlib: each chunk of 32 KiB
 * stands alone, a bit tells that a block has 32768 bytes, and the addresses of x86 calls are
 * always turned into relative ones, as of a file of 12000000 bytes.
 *
 * Words of 16 bits, little-endian, of which the highest bit is the first.  A block: its kind in
 * 3 bits, its length, its codes, its symbols.  Lengths of codes are given as differences from
 * those of the block before.  A symbol below 256 is a byte; of others, bits 0-2 are the length of
 * a match less 2 (7: a symbol of a second code is added), the rest the slot of its distance.
 * Slots 0-2 mean the last three distances.
 */
#include "codec.h"
#include "copy-match.h"
#include "huffman.h"
#include "per-thread.h"

#define WINDOW      KIB(32)
#define NR_SLOTS    30
#define NR_MAIN     (256 + 8 * NR_SLOTS)
#define NR_LENGTH   249
#define NR_ALIGNED  8
#define NR_PRE      20
#define MIN_MATCH   2
#define CALL_FILE   12000000
#define CALL_OPCODE 0xe8

enum {
	BLOCK_VERBATIM = 1,
	BLOCK_ALIGNED,
	BLOCK_STORED,
};

struct context {
	struct pl_huffman main, length, aligned, pre;
	uint8_t main_lengths[NR_MAIN], length_lengths[NR_LENGTH];
	uint32_t recent[3];
};

struct input {
	const uint8_t *p, *end;
	uint64_t bits; /* the next ones, from the highest */
	unsigned nr;   /* of them that are there, */
	unsigned made; /* and how many of those stand for what is behind the end */
};

/* At least 32 bits; zeros behind the end. */
static inline void
fill(struct input *in)
{
	while (in->nr <= 48) {
		uint64_t word = 0;

		if (in->end - in->p >= 2) {
			word = get_le16(in->p);
			in->p += 2;
		} else {
			in->made += 16;
		}
		in->bits |= word << (48 - in->nr);
		in->nr += 16;
	}
}

static inline void
skip_bits(struct input *in, unsigned n)
{
	in->bits <<= n;
	in->nr -= n;
}

/* n <= 17 bits. */
static inline uint32_t
take_bits(struct input *in, unsigned n)
{
	uint32_t v;

	fill(in);
	v = n ? (uint32_t)(in->bits >> (64 - n)) : 0;
	skip_bits(in, n);
	return v;
}

/* Was more taken than there is? */
static inline bool
is_over(const struct input *in)
{
	return in->made > in->nr;
}

static inline int
take_symbol(const struct pl_huffman *h, struct input *in)
{
	unsigned length;
	int symbol;

	fill(in);
	symbol = pl_huffman_find(h, (uint32_t)(in->bits >> 48), &length);
	if (symbol >= 0)
		skip_bits(in, length);
	return symbol;
}

/* Lengths of `nr` codes, from those that they had. */
static int
take_lengths(struct context *c, struct input *in, uint8_t *lengths, unsigned nr)
{
	uint8_t pre[NR_PRE];
	unsigned i = 0;

	for (unsigned k = 0; k < NR_PRE; k++)
		pre[k] = (uint8_t)take_bits(in, 4);
	if (!pl_huffman_init(&c->pre, pre, NR_PRE, 6))
		return -1;
	while (i < nr) {
		int symbol = take_symbol(&c->pre, in);
		unsigned run = 1, length = 0;

		if (symbol < 0 || is_over(in))
			return -1;
		if (symbol == 17) {
			run = 4 + take_bits(in, 4);
		} else if (symbol == 18) {
			run = 20 + take_bits(in, 5);
		} else if (symbol == 19) {
			run = 4 + take_bits(in, 1);
			symbol = take_symbol(&c->pre, in);
			if (symbol < 0 || symbol > 16)
				return -1;
		}
		if (symbol <= 16)
			length = (lengths[i] + 17u - (unsigned)symbol) % 17;
		if (run > nr - i)
			return -1;
		memset(lengths + i, (int)length, run);
		i += run;
	}
	return 0;
}

static int
take_codes(struct context *c, struct input *in, unsigned kind)
{
	if (kind == BLOCK_ALIGNED) {
		uint8_t aligned[NR_ALIGNED];

		for (unsigned i = 0; i < NR_ALIGNED; i++)
			aligned[i] = (uint8_t)take_bits(in, 3);
		if (!pl_huffman_init(&c->aligned, aligned, NR_ALIGNED, 7))
			return -1;
	}
	if (take_lengths(c, in, c->main_lengths, 256) < 0 ||
	    take_lengths(c, in, c->main_lengths + 256, NR_MAIN - 256) < 0 ||
	    take_lengths(c, in, c->length_lengths, NR_LENGTH) < 0)
		return -1;
	return pl_huffman_init(&c->main, c->main_lengths, NR_MAIN, 11) &&
			       pl_huffman_init(&c->length, c->length_lengths, NR_LENGTH, 10)
		       ? 0
		       : -1;
}

/* The distance of a match, which becomes the most recent one; 0: damaged. */
static inline uint32_t
take_distance(struct context *c, struct input *in, unsigned slot, unsigned kind)
{
	uint32_t distance;
	unsigned extra;
	int low;

	if (slot < 3) {
		distance = c->recent[slot];
		c->recent[slot] = c->recent[0];
		c->recent[0] = distance;
		return distance;
	}
	/* Two slots for each power of two. */
	extra = slot < 4 ? 0 : slot / 2 - 1;
	distance = slot < 4 ? slot : (2 + (slot & 1)) << extra;
	if (kind == BLOCK_ALIGNED && extra >= 3) {
		distance += take_bits(in, extra - 3) << 3;
		low = take_symbol(&c->aligned, in);
		if (low < 0)
			return 0;
		distance += (uint32_t)low;
	} else {
		distance += take_bits(in, extra);
	}
	distance -= 2;
	c->recent[2] = c->recent[1];
	c->recent[1] = c->recent[0];
	c->recent[0] = distance;
	return distance;
}

static int
decode_block(struct context *c, struct input *in, unsigned kind, uint8_t *out, size_t n, size_t end)
{
	while (n < end) {
		int symbol = take_symbol(&c->main, in), more;
		uint32_t length, distance;

		if (symbol < 0 || is_over(in))
			return -1;
		if (symbol < 256) {
			out[n++] = (uint8_t)symbol;
			continue;
		}
		length = (symbol & 7) + MIN_MATCH;
		if (length == 7 + MIN_MATCH) {
			more = take_symbol(&c->length, in);
			if (more < 0)
				return -1;
			length += (uint32_t)more;
		}
		distance = take_distance(c, in, (unsigned)(symbol - 256) >> 3, kind);
		if (!distance || distance > n || length > end - n)
			return -1;
		pl_copy_match(out + n, distance, length, end - n);
		n += length;
	}
	return 0;
}

/* Bytes as they are, at the next word; a full word of padding where one begins already. */
static int
copy_stored(struct context *c, struct input *in, uint8_t *out, size_t length)
{
	const uint8_t *p = in->p;

	/* Give back whole words, but one that was begun; if none was, it is the padding. */
	if (in->made > in->nr)
		return -1;
	p -= (in->nr - in->made) / 16 * 2;
	if ((in->nr - in->made) % 16 == 0)
		p += 2;
	if (p > in->end || (size_t)(in->end - p) < 12 || (size_t)(in->end - p) - 12 < length)
		return -1;
	for (unsigned i = 0; i < 3; i++)
		c->recent[i] = get_le32(p + 4 * i);
	p += 12;
	memcpy(out, p, length);
	p += length;
	if (length & 1 && p < in->end)
		p++;
	*in = (struct input){ .p = p, .end = in->end };
	return 0;
}

/* What follows the opcode of a call was made absolute before it was compressed. */
static void
restore_calls(uint8_t *out, size_t size)
{
	for (size_t i = 0; size > 10 && i < size - 10; i++) {
		int32_t absolute, at = (int32_t)i;

		if (out[i] != CALL_OPCODE)
			continue;
		absolute = (int32_t)get_le32(out + i + 1);
		if (absolute >= -at && absolute < CALL_FILE)
			put_le32(out + i + 1,
				 (uint32_t)(absolute >= 0 ? absolute - at : absolute + CALL_FILE));
		i += 4;
	}
}

static int
decode_blocks(struct context *c, struct input *in, uint8_t *out, size_t out_size)
{
	size_t n = 0;

	c->recent[0] = c->recent[1] = c->recent[2] = 1;
	memset(c->main_lengths, 0, sizeof c->main_lengths);
	memset(c->length_lengths, 0, sizeof c->length_lengths);
	while (n < out_size) {
		unsigned kind = take_bits(in, 3);
		size_t length = take_bits(in, 1) ? WINDOW : take_bits(in, 16);
		int r;

		if (is_over(in) || !length || length > out_size - n)
			return -1;
		if (kind == BLOCK_STORED) {
			r = copy_stored(c, in, out + n, length);
		} else {
			r = kind == BLOCK_VERBATIM || kind == BLOCK_ALIGNED
				    ? take_codes(c, in, kind)
				    : -1;
			if (r == 0)
				r = decode_block(c, in, kind, out, n, n + length);
		}
		if (r < 0)
			return -1;
		n += length;
	}
	restore_calls(out, out_size);
	return 0;
}

static struct pl_per_thread contexts = PL_PER_THREAD_INIT(struct context, free);

static int
decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
       size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	struct context *c = pl_per_thread_get(&contexts);
	struct input all = { .p = in, .end = in + in_size };

	if (!c)
		return pl_no_memory(err);
	if (out_size > WINDOW)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "LZX chunk of %zu bytes, limit is %" PRIu64, out_size,
				     (uint64_t)WINDOW);
	if (decode_blocks(c, &all, out, out_size) < 0)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "damaged LZX chunk of %zu bytes",
				  in_size);
	return 0;
}

const struct pl_decoder pl_decoder_lzx = { .name = "LZX", .decode = decode };
