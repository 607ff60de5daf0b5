/* SPDX-License-Identifier: GPL-3.0-or-later */
/* unpack.c - lz4, LZO and lzma, by their libraries, buffer to buffer */
#include <lz4.h>
#include <lzma.h>
#include <lzo/lzo1x.h>

#include "codec.h"

int
pl_unpack_exactly(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
		  size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	/* Its first member. */
	const struct pl_unpacker *u = (const void *)decoder;
	size_t n = 0;
	int r = u->unpack(in, in_size, out, out_size, &n, err);

	(void)chunk_offset;
	if (r == 0 && n != out_size)
		r = pl_corrupt(err, PLATTER_NO_OFFSET, "%s piece holds %zu bytes, expected %zu",
			       decoder->name, n, out_size);
	return r;
}

static int
unpack_lz4(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *ret,
	   struct platter_error *err)
{
	int done;

	if (n > INT32_MAX || room > INT32_MAX)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "lz4 block of %zu bytes", n);
	done = LZ4_decompress_safe((const char *)in, (char *)out, (int)n, (int)room);
	if (done < 0)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "damaged lz4 block of %zu bytes", n);
	*ret = (size_t)done;
	return 0;
}

static int
unpack_lzo(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *ret,
	   struct platter_error *err)
{
	lzo_uint done = room;
	int r = lzo1x_decompress_safe(in, n, out, &done, NULL);

	/* Kernels pad what they store. */
	if (r != LZO_E_OK && r != LZO_E_INPUT_NOT_CONSUMED)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "damaged LZO piece of %zu bytes (%d)", n,
				  r);
	*ret = done;
	return 0;
}

static int
run_lzma(lzma_stream *s, const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *ret,
	 struct platter_error *err)
{
	lzma_ret r;

	s->next_in = in;
	s->avail_in = n;
	s->next_out = out;
	s->avail_out = room;
	r = lzma_code(s, LZMA_FINISH);
	*ret = room - s->avail_out;
	lzma_end(s);
	/* An .lzma that does not know its length has no end but that of the room. */
	if (r == LZMA_STREAM_END || (r == LZMA_OK && *ret == room))
		return 0;
	return r == LZMA_MEM_ERROR ? pl_no_memory(err)
				   : pl_corrupt(err, PLATTER_NO_OFFSET,
						"damaged LZMA piece of %zu bytes (%d)", n, (int)r);
}

static int
unpack_lzma(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *ret,
	    struct platter_error *err)
{
	lzma_stream s = LZMA_STREAM_INIT;

	if (lzma_alone_decoder(&s, PL_LZMA_MEMORY) != LZMA_OK)
		return pl_no_memory(err);
	return run_lzma(&s, in, n, out, room, ret, err);
}

#define UNPACKER(id, title, function)                                        \
	const struct pl_unpacker pl_unpack_##id = {                          \
		.decoder = { .name = (title), .decode = pl_unpack_exactly }, \
		.unpack = (function),                                        \
	}

UNPACKER(lz4, "lz4", unpack_lz4);
UNPACKER(lzo, "LZO", unpack_lzo);
UNPACKER(lzma, "lzma", unpack_lzma);
