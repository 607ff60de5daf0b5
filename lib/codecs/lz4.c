/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lz4.c - blocks of LZ4 without a frame, made with the searches of LZ4 HC */
#include <lz4hc.h>

#include "codec.h"
#include "per-thread.h"

/* Its tables take 256 KiB, and clearing them costs more than to encode a block of 2 KiB. */
struct context {
	LZ4_streamHC_t *stream;
};

static void
free_context(void *p)
{
	struct context *c = p;

	LZ4_freeStreamHC(c->stream);
	free(c);
}

static struct pl_per_thread contexts = PL_PER_THREAD_INIT(struct context, free_context);

static size_t
bound(size_t n)
{
	return n > LZ4_MAX_INPUT_SIZE ? 0 : (size_t)LZ4_compressBound((int)n);
}

static size_t
encode(int level, const uint8_t *in, size_t n, uint8_t *out, size_t capacity)
{
	struct context *c = pl_per_thread_get(&contexts);
	int made;

	if (c && !c->stream)
		c->stream = LZ4_createStreamHC();
	if (!c || !c->stream || n > LZ4_MAX_INPUT_SIZE)
		return 0;
	LZ4_resetStreamHC_fast(c->stream, level);
	made = LZ4_compress_HC_continue(c->stream, (const char *)in, (char *)out, (int)n,
					(int)PL_MIN(capacity, INT32_MAX));
	return made > 0 ? (size_t)made : 0;
}

const struct pl_codec pl_codec_lz4 = {
	.name = "lz4",
	.min_level = LZ4HC_CLEVEL_MIN,
	.max_level = LZ4HC_CLEVEL_MAX,
	.default_level = LZ4HC_CLEVEL_DEFAULT,
	.bound = bound,
	.encode = encode,
	.decoder = &pl_unpack_lz4.decoder,
};
