/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * zstd.c - zstd frames (RFC 8878)
 *
 * Frames are decoded whole into the caller's buffer, which is also their window: no
 * memory is taken by what a frame header says about its window, so none needs a limit.
 */
#include <zstd.h>

#include "codec.h"
#include "per-thread.h"

/* What one thread keeps between calls. */
struct context {
	ZSTD_DCtx *dctx;
	ZSTD_CCtx *cctx;
};

static void
free_context(void *p)
{
	struct context *c = p;

	ZSTD_freeDCtx(c->dctx);
	ZSTD_freeCCtx(c->cctx);
	free(c);
}

static struct pl_per_thread contexts = PL_PER_THREAD_INIT(struct context, free_context);

/*
 * libzstd also decodes what it wrote before version 0.8, with old code.  No image format
 * holds such frames.
 */
static bool
has_magic(const uint8_t *in, size_t n)
{
	uint32_t magic = n >= 4 ? get_le32(in) : 0;

	return magic == ZSTD_MAGICNUMBER ||
	       (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

/*
 * One frame as a rule.  Several that follow each other are as good, and readers that use
 * the streaming interface accept them.
 */
static int
decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
       size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	struct context *c = pl_per_thread_get(&contexts);
	size_t done = 0;

	if (c && !c->dctx)
		c->dctx = ZSTD_createDCtx();
	if (!c || !c->dctx)
		return pl_no_memory(err);
	do {
		size_t frame, n;

		if (!has_magic(in, in_size))
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "no zstd frame after %zu of %zu bytes", done, out_size);
		/* `in` may go on after the frame, and ZSTD_decompressDCtx() takes no such rest. */
		frame = ZSTD_findFrameCompressedSize(in, in_size);
		n = ZSTD_isError(frame)
			    ? frame
			    : ZSTD_decompressDCtx(c->dctx, out + done, out_size - done, in, frame);
		if (ZSTD_isError(n))
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "damaged zstd frame: %s after %zu of %zu bytes",
					  ZSTD_getErrorName(n), done, out_size);
		in += frame;
		in_size -= frame;
		done += n;
	} while (done < out_size);
	return 0;
}

static size_t
bound(size_t n)
{
	return ZSTD_compressBound(n);
}

static size_t
encode(int level, const uint8_t *in, size_t n, uint8_t *out, size_t capacity)
{
	struct context *c = pl_per_thread_get(&contexts);
	size_t r;

	if (c && !c->cctx)
		c->cctx = ZSTD_createCCtx();
	if (!c || !c->cctx)
		return 0;
	/* Content size in the frame, no checksum; tables fitted to n are kept in the context. */
	r = ZSTD_compressCCtx(c->cctx, out, capacity, in, n, level);
	return ZSTD_isError(r) ? 0 : r;
}

static const struct pl_decoder decoder_zstd = { .name = "zstd", .decode = decode };

const struct pl_codec pl_codec_zstd = {
	.name = "zstd",
	.min_level = 1,
	.max_level = 22,
	.default_level = 3,
	.bound = bound,
	.encode = encode,
	.decoder = &decoder_zstd,
};

static int
unpack(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *ret,
       struct platter_error *err)
{
	struct context *c = pl_per_thread_get(&contexts);
	size_t frame, done;

	if (c && !c->dctx)
		c->dctx = ZSTD_createDCtx();
	if (!c || !c->dctx)
		return pl_no_memory(err);
	if (!has_magic(in, n))
		return pl_corrupt(err, PLATTER_NO_OFFSET, "no zstd frame in %zu bytes", n);
	frame = ZSTD_findFrameCompressedSize(in, n);
	done = ZSTD_isError(frame) ? frame : ZSTD_decompressDCtx(c->dctx, out, room, in, frame);
	if (ZSTD_isError(done))
		return pl_corrupt(err, PLATTER_NO_OFFSET, "damaged zstd frame: %s",
				  ZSTD_getErrorName(done));
	*ret = done;
	return 0;
}

const struct pl_unpacker pl_unpack_zstd = {
	.decoder = { .name = "zstd", .decode = pl_unpack_exactly },
	.unpack = unpack,
};
