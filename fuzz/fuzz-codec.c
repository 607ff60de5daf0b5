/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fuzz-codec.c - decode hostile bytes; what is encoded must come back
 *
 * The first byte of the input chooses what is done, by its place in these tables, and three more
 * are a length, little-endian: of what the rest decodes to, or the level to encode it with.
 */
#include <stdio.h>
#include <stdlib.h>

#include "codec.h"
#include "fuzz.h"

#define MAX_OUT MIB(4)

enum {
	HEADER = 4
};

static const struct pl_codec *const codecs[] = { &pl_codec_deflate, &pl_codec_zlib,
						 &pl_codec_zstd,    &pl_codec_xz,
						 &pl_codec_bzip2,   &pl_codec_lzfse,
						 &pl_codec_lzvn };

static const struct {
	const struct pl_decoder *decoder;
	size_t max_out;
} decoders[] = {
	{ &pl_decoder_adc, MAX_OUT },
	{ &pl_decoder_lznt1, MAX_OUT },
	{ &pl_decoder_xpress, KIB(64) },
	{ &pl_decoder_lzx, KIB(32) },
	{ &pl_unpack_lz4.decoder, MAX_OUT },
	{ &pl_unpack_lzo.decoder, MAX_OUT },
	{ &pl_unpack_lzo_rle.decoder, MAX_OUT },
	{ &pl_unpack_lzma.decoder, MAX_OUT },
};

static void
decode(const struct pl_decoder *decoder, const uint8_t *in, size_t n, size_t out_size)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *out = malloc(out_size ? out_size : 1);

	if (out)
		decoder->decode(decoder, in, n, out, out_size, 0, &err);
}

static void
round_trip(const struct pl_codec *codec, int level, const uint8_t *in, size_t n)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	size_t room = codec->bound(n), length;
	PL_AUTOFREE uint8_t *packed = malloc(room), *out = malloc(n ? n : 1);

	if (!packed || !out)
		return;
	length = codec->encode(level, in, n, packed, room);
	if (!length ||
	    codec->decoder->decode(codec->decoder, packed, length, out, n, 0, &err) < 0 ||
	    (n && memcmp(in, out, n) != 0)) {
		fprintf(stderr, "%s, level %d: %zu bytes do not come back: %s\n", codec->name,
			level, n, err.message);
		abort();
	}
	/* Less room is refused or enough, and never overrun. */
	codec->encode(level, in, n, out, n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t choice, n, value;

	if (size < HEADER)
		return 0;
	choice = data[0];
	value = get_le32(data) >> 8;
	data += HEADER;
	n = size - HEADER;
	if (choice < ARRAY_SIZE(codecs)) {
		decode(codecs[choice]->decoder, data, n, PL_MIN(value, MAX_OUT));
		return 0;
	}
	choice -= ARRAY_SIZE(codecs);
	if (choice < ARRAY_SIZE(decoders)) {
		decode(decoders[choice].decoder, data, n, PL_MIN(value, decoders[choice].max_out));
		return 0;
	}
	choice -= ARRAY_SIZE(decoders);
	if (choice < ARRAY_SIZE(codecs)) {
		const struct pl_codec *codec = codecs[choice];
		size_t levels = (size_t)(codec->max_level - codec->min_level) + 1;

		round_trip(codec, codec->min_level + (int)(value % levels), data, n);
	}
	return 0;
}
