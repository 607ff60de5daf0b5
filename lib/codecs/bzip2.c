/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bzip2.c - bzip2 streams, with libbz2 */
#include <bzlib.h>
#include <limits.h>

#include "codec.h"

static size_t
bound(size_t n)
{
	return n + n / 100 + 600;
}

static size_t
encode(int level, const uint8_t *in, size_t n, uint8_t *out, size_t capacity)
{
	unsigned length = (unsigned)PL_MIN(capacity, UINT_MAX);

	if (n > UINT_MAX)
		return 0;
	return BZ2_bzBuffToBuffCompress((char *)out, &length, (char *)(uintptr_t)in, (unsigned)n,
					level, 0, 0) == BZ_OK
		       ? length
		       : 0;
}

static int
decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
       size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	unsigned length = (unsigned)out_size;
	int r;

	if (in_size > UINT_MAX || out_size > UINT_MAX)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "a bzip2 stream of %zu bytes",
				     in_size);
	r = BZ2_bzBuffToBuffDecompress((char *)out, &length, (char *)(uintptr_t)in,
				       (unsigned)in_size, 0, 0);
	if (r == BZ_MEM_ERROR)
		return pl_no_memory(err);
	if (r != BZ_OK)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "damaged bzip2 stream of %zu bytes, or one that holds more than "
				  "%zu (%d)",
				  in_size, out_size, r);
	if (length != out_size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "bzip2 stream holds %u bytes, expected %zu", length, out_size);
	return 0;
}

static const struct pl_decoder decoder_bzip2 = { .name = "bzip2", .decode = decode };

const struct pl_codec pl_codec_bzip2 = {
	.name = "bzip2",
	.min_level = 1,
	.max_level = 9,
	.default_level = 9,
	.bound = bound,
	.encode = encode,
	.decoder = &decoder_bzip2,
};
