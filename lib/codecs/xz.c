/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * xz.c - .xz container streams, with liblzma
 *
 * What is encoded is one stream with one block of LZMA2 and a CRC-32, which every reader of .xz
 * knows; CRC-64 and SHA-256 may be left out of one.
 */
#include <lzma.h>

#include "codec.h"

static size_t
bound(size_t n)
{
	return lzma_stream_buffer_bound(n);
}

static size_t
encode(int level, const uint8_t *in, size_t n, uint8_t *out, size_t capacity)
{
	lzma_options_lzma options;
	const lzma_filter filters[] = {
		{ .id = LZMA_FILTER_LZMA2, .options = &options },
		{ .id = LZMA_VLI_UNKNOWN },
	};
	size_t length = 0;

	if (lzma_lzma_preset(&options, (uint32_t)level))
		return 0;
	/* What is larger than the input only costs memory, here and in each reader. */
	if (options.dict_size > n)
		options.dict_size = (uint32_t)PL_MAX(n, LZMA_DICT_SIZE_MIN);
	return lzma_stream_buffer_encode((lzma_filter *)(uintptr_t)filters, LZMA_CHECK_CRC32, NULL,
					 in, n, out, &length, capacity) == LZMA_OK
		       ? length
		       : 0;
}

/* What follows the stream is not looked at. */
static int
unpack(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *ret,
       struct platter_error *err)
{
	uint64_t memory = PL_LZMA_MEMORY;
	size_t used = 0;
	lzma_ret r;

	*ret = 0;
	r = lzma_stream_buffer_decode(&memory, 0, NULL, in, &used, n, out, ret, room);
	switch (r) {
	case LZMA_OK: return 0;
	case LZMA_MEM_ERROR: return pl_no_memory(err);
	case LZMA_MEMLIMIT_ERROR:
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "xz stream that takes %" PRIu64
				     " bytes of memory to decode, limit is %" PRIu64,
				     memory, PL_LZMA_MEMORY);
	case LZMA_BUF_ERROR:
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "xz stream holds more than the expected %zu bytes", room);
	default:
		return pl_corrupt(err, PLATTER_NO_OFFSET, "damaged xz stream of %zu bytes (%d)", n,
				  (int)r);
	}
}

const struct pl_unpacker pl_unpack_xz = {
	.decoder = { .name = "xz", .decode = pl_unpack_exactly },
	.unpack = unpack,
};

const struct pl_codec pl_codec_xz = {
	.name = "xz",
	.min_level = 0,
	.max_level = 9,
	.default_level = LZMA_PRESET_DEFAULT,
	.bound = bound,
	.encode = encode,
	.decoder = &pl_unpack_xz.decoder,
};
