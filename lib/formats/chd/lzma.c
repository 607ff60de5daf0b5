/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lzma.c - raw LZMA: no header, no mark at the end, lc 3, lp 0, pb 2
 *
 * The dictionary is as the LZMA SDK makes it of level 9 for data of the hunk's size: the next number
 * above of the form 2^n or 3 * 2^n, at least 4 KiB.  A decoder needs no more than the hunk.
 */
#include <lzma.h>

#include "chd.h"
#include "per-thread.h"

struct context {
	lzma_stream decoder, encoder;
};

static void
free_context(void *p)
{
	struct context *c = p;

	lzma_end(&c->decoder);
	lzma_end(&c->encoder);
	free(c);
}

static struct pl_per_thread contexts = PL_PER_THREAD_INIT(struct context, free_context);

static uint32_t
dictionary_size(size_t n)
{
	for (unsigned bits = 11; bits < 30; bits++) {
		if (n <= 2u << bits)
			return 2u << bits;
		if (n <= 3u << bits)
			return 3u << bits;
	}
	return 1u << 30;
}

int
pl_chd_decode_lzma(const uint8_t *in, size_t n, uint8_t *out, size_t out_size,
		   struct platter_error *err)
{
	struct context *c = pl_per_thread_get(&contexts);
	lzma_options_lzma options = {
		.dict_size = dictionary_size(out_size), .lc = 3, .lp = 0, .pb = 2
	};
	lzma_filter filters[] = { { LZMA_FILTER_LZMA1, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	lzma_ret r;

	if (!c || lzma_raw_decoder(&c->decoder, filters) != LZMA_OK)
		return pl_no_memory(err);
	c->decoder.next_in = in;
	c->decoder.avail_in = n;
	c->decoder.next_out = out;
	c->decoder.avail_out = out_size;
	do {
		r = lzma_code(&c->decoder, LZMA_RUN);
	} while (r == LZMA_OK && c->decoder.avail_out && c->decoder.avail_in);
	if (!c->decoder.avail_out)
		return 0;
	return pl_corrupt(err, PLATTER_NO_OFFSET, "damaged LZMA stream after %zu of %zu bytes",
			  out_size - c->decoder.avail_out, out_size);
}

size_t
pl_chd_encode_lzma(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	struct context *c = pl_per_thread_get(&contexts);
	lzma_options_lzma options;
	lzma_filter filters[] = { { LZMA_FILTER_LZMA1EXT, &options }, { LZMA_VLI_UNKNOWN, NULL } };

	/* What the SDK's level 9 searches with; a size of 0 stands for no mark at the end. */
	if (!c || lzma_lzma_preset(&options, 9))
		return 0;
	options.dict_size = dictionary_size(n);
	options.nice_len = 64;
	options.ext_flags = 0;
	lzma_set_ext_size(options, n);
	if (lzma_raw_encoder(&c->encoder, filters) != LZMA_OK)
		return 0;
	c->encoder.next_in = in;
	c->encoder.avail_in = n;
	c->encoder.next_out = out;
	c->encoder.avail_out = room;
	return lzma_code(&c->encoder, LZMA_FINISH) == LZMA_STREAM_END ? room - c->encoder.avail_out
								      : 0;
}
