/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bzip2.c - bzip2 streams, encoded by libbz2 and decoded by our own */
#include <bzlib.h>
#include <limits.h>

#include "bzip2-decode.h"

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

static const struct pl_decoder decoder_bzip2 = { .name = "bzip2", .decode = pl_bzip2_decode };

const struct pl_codec pl_codec_bzip2 = {
	.name = "bzip2",
	.min_level = 1,
	.max_level = 9,
	.default_level = 9,
	.bound = bound,
	.encode = encode,
	.decoder = &decoder_bzip2,
};
