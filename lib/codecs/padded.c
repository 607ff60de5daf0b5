/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * padded.c - compressed pieces that end where their block ends: zeros fill up its beginning
 *
 * So EROFS stores them.  No piece begins with a zero, since each begins with a token, a
 * header or a block that is not empty.  A piece may hold more than is asked for: files that
 * share it use what they have in common.
 */
#include <lz4.h>
#include <lzma.h>
#include <zstd.h>

#include "codec.h"
#include "per-thread.h"

/* EROFS allows 1 MiB with zstd and 8 MiB with LZMA; no piece needs more than it decodes to. */
#define ZSTD_WINDOW_BITS 20
#define LZMA_DICTIONARY  MIB(8)

static int
ends_early(const char *name, size_t done, size_t wanted, struct platter_error *err)
{
	return pl_corrupt(err, PLATTER_NO_OFFSET, "damaged %s piece: %zu of %zu bytes", name, done,
			  wanted);
}

static int
decode_lz4(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size,
	   struct platter_error *err)
{
	int done;

	if (in_size > INT32_MAX || out_size > INT32_MAX)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "lz4 piece of %zu bytes", in_size);
	done = LZ4_decompress_safe_partial((const char *)in, (char *)out, (int)in_size,
					   (int)out_size, (int)out_size);
	if (done < 0 || (size_t)done != out_size)
		return ends_early("lz4", done < 0 ? 0 : (size_t)done, out_size, err);
	return 0;
}

static int
decode_microlzma(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size,
		 struct platter_error *err)
{
	uint32_t dictionary = (uint32_t)PL_MIN(LZMA_DICTIONARY, PL_MAX(out_size, 4096));
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret r;

	if (lzma_microlzma_decoder(&s, in_size, out_size, false, dictionary) != LZMA_OK)
		return pl_no_memory(err);
	s.next_in = in;
	s.avail_in = in_size;
	s.next_out = out;
	s.avail_out = out_size;
	r = lzma_code(&s, LZMA_FINISH);
	lzma_end(&s);
	if (r == LZMA_MEM_ERROR)
		return pl_no_memory(err);
	return s.avail_out ? ends_early("LZMA", out_size - s.avail_out, out_size, err) : 0;
}

static int
decode_deflate(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size,
	       struct platter_error *err)
{
	const struct pl_decoder *d = pl_codec_deflate.decoder;

	return d->decode(d, in, in_size, out, out_size, 0, err);
}

struct context {
	ZSTD_DCtx *dctx;
};

static void
free_context(void *p)
{
	struct context *c = p;

	ZSTD_freeDCtx(c->dctx);
	free(c);
}

static struct pl_per_thread contexts = PL_PER_THREAD_INIT(struct context, free_context);

static int
decode_zstd(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size,
	    struct platter_error *err)
{
	struct context *c = pl_per_thread_get(&contexts);
	ZSTD_inBuffer from = { .src = in, .size = in_size };
	ZSTD_outBuffer to = { .dst = out, .size = out_size };
	size_t left = 1;

	if (c && !c->dctx)
		c->dctx = ZSTD_createDCtx();
	if (!c || !c->dctx)
		return pl_no_memory(err);
	/* libzstd also decodes what it wrote before version 0.8, with old code. */
	if (in_size < 4 || get_le32(in) != ZSTD_MAGICNUMBER)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "no zstd frame in %zu bytes", in_size);
	ZSTD_DCtx_reset(c->dctx, ZSTD_reset_session_only);
	ZSTD_DCtx_setParameter(c->dctx, ZSTD_d_windowLogMax, ZSTD_WINDOW_BITS);
	while (left && to.pos < to.size) {
		size_t before = to.pos + from.pos;

		left = ZSTD_decompressStream(c->dctx, &to, &from);
		if (ZSTD_isError(left))
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "damaged zstd frame: %s after %zu of %zu bytes",
					  ZSTD_getErrorName(left), to.pos, to.size);
		if (to.pos + from.pos == before)
			break;
	}
	return to.pos < to.size ? ends_early("zstd", to.pos, to.size, err) : 0;
}

struct padded {
	struct pl_decoder decoder;
	int (*decode)(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size,
		      struct platter_error *err);
	bool has_padding;
};

static int
decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
       size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	/* Its first member. */
	const struct padded *p = (const void *)decoder;
	size_t zeros = 0;

	(void)chunk_offset;
	while (p->has_padding && zeros < in_size && !in[zeros])
		zeros++;
	if (zeros == in_size)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "%s piece of %zu zeros", decoder->name,
				  in_size);
	return p->decode(in + zeros, in_size - zeros, out, out_size, err);
}

static const struct padded lz4_from_start = { { "lz4", decode }, decode_lz4, false };
static const struct padded lz4 = { { "lz4", decode }, decode_lz4, true };
static const struct padded microlzma = { { "LZMA", decode }, decode_microlzma, true };
static const struct padded deflate = { { "deflate", decode }, decode_deflate, true };
static const struct padded zstd = { { "zstd", decode }, decode_zstd, true };

const struct pl_decoder *const pl_decoder_lz4_from_start = &lz4_from_start.decoder;
const struct pl_decoder *const pl_decoder_padded_lz4 = &lz4.decoder;
const struct pl_decoder *const pl_decoder_padded_microlzma = &microlzma.decoder;
const struct pl_decoder *const pl_decoder_padded_deflate = &deflate.decoder;
const struct pl_decoder *const pl_decoder_padded_zstd = &zstd.decoder;
