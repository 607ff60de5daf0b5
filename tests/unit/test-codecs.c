/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-codecs.c - codecs against zlib, libzstd and wimlib, and against damaged input */
#include <lzo/lzo1x.h>
#include <lz4.h>
#include <lzma.h>
#include <pthread.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "codec-inputs.h"
#include "test.h"
#include "wim-chunks.h"

static const struct pl_codec *const codecs[] = {
	&pl_codec_deflate, &pl_codec_zstd,  &pl_codec_xz,
	&pl_codec_lzvn,    &pl_codec_lzfse, &pl_codec_bzip2
};
static const size_t sizes[] = { 1, 511, KIB(64), MIB(2) };

static int
decode_guarded(const struct pl_codec *codec, const uint8_t *in, size_t in_size, uint8_t *out,
	       size_t n, struct platter_error *err)
{
	return decoder_guarded(codec->decoder, in, in_size, out, n, err);
}

TEST(codecs_go_by_their_names)
{
	static const struct {
		const char *name;
		const struct pl_codec *codec;
	} rows[] = {
		{ "zstd", &pl_codec_zstd },
		{ "zlib", &pl_codec_zlib },
		{ "deflate", &pl_codec_zlib },
		{ "bz2", &pl_codec_bzip2 },
		{ "lzfse", &pl_codec_lzfse },
		{ "lzvn", &pl_codec_lzvn },
		{ "xz", &pl_codec_xz },
		{ "lzma", &pl_codec_xz },
		{ "lz4", &pl_codec_lz4 },
		{ "", NULL },
		{ "zst", NULL },
		{ "zstd:3", NULL },
	};
	size_t nr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		EXPECT(pl_codec_by_name(rows[i].name, strlen(rows[i].name)) == rows[i].codec);
	EXPECT(pl_codec_by_name("zstd:3", 4) == &pl_codec_zstd);
	for (; pl_codec_at(nr); nr++)
		EXPECT(pl_codec_by_name(pl_codec_at(nr)->name, strlen(pl_codec_at(nr)->name)) ==
		       pl_codec_at(nr));
	EXPECT_EQ(nr, 7);
}

TEST(what_is_encoded_decodes_to_the_same_at_every_size_and_level)
{
	struct platter_error err = PLATTER_ERROR_INIT;

	for (size_t k = 0; k < ARRAY_SIZE(codecs); k++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
			for (enum content content = 0; content < NR_CONTENTS; content++) {
				const struct pl_codec *codec = codecs[k];
				size_t n = sizes[i], capacity = codec->bound(n);
				PL_AUTOFREE uint8_t *in = make_content(content, n);
				PL_AUTOFREE uint8_t *out = malloc(n), *packed = malloc(capacity);
				int step = n > KIB(64) ? codec->max_level : 1;

				for (int level = codec->min_level; level <= codec->max_level;
				     level += step) {
					size_t length =
						codec->encode(level, in, n, packed, capacity);

					EXPECT(length > 0);
					EXPECT_OK(decode_guarded(codec, packed, length, out, n,
								 &err));
					EXPECT_MEM(out, in, n);
				}
			}
}

TEST(what_follows_the_encoded_bytes_is_ignored)
{
	struct platter_error err = PLATTER_ERROR_INIT;

	for (size_t k = 0; k < ARRAY_SIZE(codecs); k++) {
		const struct pl_codec *codec = codecs[k];
		size_t n = KIB(64), capacity = codec->bound(n) + 512;
		PL_AUTOFREE uint8_t *in = make_content(TEXT, n);
		PL_AUTOFREE uint8_t *out = malloc(n), *packed = malloc(capacity);
		size_t length = codec->encode(codec->default_level, in, n, packed, capacity);
		static const uint8_t fill[] = { 0x00, 0xff, 0x5a };

		for (size_t i = 0; i < ARRAY_SIZE(fill); i++) {
			memset(packed + length, fill[i], 511);
			EXPECT_OK(decode_guarded(codec, packed, length + 511, out, n, &err));
			EXPECT_MEM(out, in, n);
		}
	}
}

TEST(an_encoder_says_zero_when_the_room_is_too_small)
{
	for (size_t k = 0; k < ARRAY_SIZE(codecs); k++) {
		PL_AUTOFREE uint8_t *in = make_content(RANDOM, KIB(64));
		PL_AUTOFREE uint8_t *packed = malloc(KIB(64));

		EXPECT_EQ(codecs[k]->encode(codecs[k]->default_level, in, KIB(64), packed,
					    KIB(64) - 1),
			  0);
	}
}

TEST(a_stream_of_another_length_than_the_chunk)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *in = make_content(TEXT, KIB(64)), *packed = malloc(KIB(80));

	for (size_t k = 0; k < ARRAY_SIZE(codecs); k++) {
		const struct pl_codec *codec = codecs[k];
		size_t length = codec->encode(codec->default_level, in, KIB(64), packed, KIB(80));

		EXPECT_EQ(decode_guarded(codec, packed, length, NULL, KIB(64) + 1, &err), -EUCLEAN);
		EXPECT(strstr(err.message, "65536"));
	}
	/* zlib's readers stop when the buffer is full; a zstd frame is whole or wrong. */
	EXPECT_OK(decode_guarded(&pl_codec_deflate, packed,
				 pl_codec_deflate.encode(2, in, KIB(64), packed, KIB(80)), NULL,
				 KIB(64) - 1, &err));
	EXPECT_EQ(decode_guarded(&pl_codec_zstd, packed,
				 pl_codec_zstd.encode(3, in, KIB(64), packed, KIB(80)), NULL,
				 KIB(64) - 1, &err),
		  -EUCLEAN);
}

/* Raw deflate by zlib; `flush` Z_FINISH ends the stream, Z_SYNC_FLUSH leaves it open. */
static size_t
zlib_encode(int window_bits, int flush, const uint8_t *in, size_t n, uint8_t *out, size_t capacity)
{
	z_stream s = { 0 };
	size_t length;

	EXPECT_EQ(deflateInit2(&s, 6, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY), Z_OK);
	s.next_in = (z_const Bytef *)(uintptr_t)in;
	s.avail_in = (uInt)n;
	s.next_out = out;
	s.avail_out = (uInt)capacity;
	EXPECT(deflate(&s, flush) >= 0);
	length = capacity - s.avail_out;
	deflateEnd(&s);
	return length;
}

TEST(streams_made_by_zlib_are_read_even_without_their_end)
{
	static const struct {
		int window_bits, flush;
	} made[] = {
		{ -12, Z_FINISH },
		{ -15, Z_FINISH },
		{ -12, Z_SYNC_FLUSH },
		{ -15, Z_SYNC_FLUSH },
	};
	struct platter_error err = PLATTER_ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(made); i++)
		for (enum content content = 0; content < NR_CONTENTS; content++) {
			PL_AUTOFREE uint8_t *in = make_content(content, KIB(64));
			PL_AUTOFREE uint8_t *out = malloc(KIB(64)), *packed = calloc(1, KIB(80));
			size_t length = zlib_encode(made[i].window_bits, made[i].flush, in, KIB(64),
						    packed, KIB(80));

			/* As QCOW2 hands it over: up to the end of the last sector and of a next stream's start. */
			memset(packed + length, 0x5a, 300);
			EXPECT_OK(decode_guarded(&pl_codec_deflate, packed, length + 300, out,
						 KIB(64), &err));
			EXPECT_MEM(out, in, KIB(64));
			EXPECT_OK(decode_guarded(&pl_codec_deflate, packed, length, out, KIB(64),
						 &err));
			EXPECT_MEM(out, in, KIB(64));
		}
}

TEST(streams_made_here_are_read_by_zlib_and_libzstd)
{
	PL_AUTOFREE uint8_t *in = make_content(TEXT, KIB(64));
	PL_AUTOFREE uint8_t *out = malloc(KIB(64)), *packed = malloc(KIB(80));
	size_t length = pl_codec_deflate.encode(2, in, KIB(64), packed, KIB(80));
	z_stream s = {
		.next_in = packed, .avail_in = (uInt)length, .next_out = out, .avail_out = KIB(64)
	};

	EXPECT_EQ(inflateInit2(&s, -12), Z_OK);
	EXPECT_EQ(inflate(&s, Z_FINISH), Z_STREAM_END);
	inflateEnd(&s);
	EXPECT_MEM(out, in, KIB(64));

	length = pl_codec_zstd.encode(3, in, KIB(64), packed, KIB(80));
	memset(out, 0, KIB(64));
	EXPECT_EQ(ZSTD_getFrameContentSize(packed, length), KIB(64));
	EXPECT_EQ(ZSTD_decompress(out, KIB(64), packed, length), KIB(64));
	EXPECT_MEM(out, in, KIB(64));
}

/* A frame as a streaming writer makes it: no content size, and a checksum. */
static size_t
zstd_stream_encode(int window_log, const uint8_t *in, size_t n, uint8_t *out, size_t capacity)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_inBuffer from = { in, n / 2, 0 };
	ZSTD_outBuffer to = { out, capacity, 0 };

	ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
	ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	ZSTD_compressStream2(c, &to, &from, ZSTD_e_continue);
	from.size = n;
	EXPECT_EQ(ZSTD_compressStream2(c, &to, &from, ZSTD_e_end), 0);
	ZSTD_freeCCtx(c);
	return to.pos;
}

TEST(zstd_frames_without_a_size_or_in_several_parts)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 0xaa, 0xbb };
	PL_AUTOFREE uint8_t *in = make_content(TEXT, KIB(64));
	PL_AUTOFREE uint8_t *out = malloc(KIB(64)), *packed = malloc(KIB(160));
	size_t length = zstd_stream_encode(10, in, KIB(64), packed, KIB(80)), n;

	EXPECT_EQ(ZSTD_getFrameContentSize(packed, length), (intmax_t)ZSTD_CONTENTSIZE_UNKNOWN);
	EXPECT_OK(decode_guarded(&pl_codec_zstd, packed, length, out, KIB(64), &err));
	EXPECT_MEM(out, in, KIB(64));

	/* A window of 1 GiB takes no memory. */
	length = zstd_stream_encode(30, in, KIB(64), packed, KIB(80));
	EXPECT_OK(decode_guarded(&pl_codec_zstd, packed, length, out, KIB(64), &err));

	memcpy(packed, skippable, sizeof skippable);
	length = sizeof skippable;
	n = zstd_stream_encode(20, in, KIB(10), packed + length, KIB(80));
	length += n;
	length += zstd_stream_encode(20, in + KIB(10), KIB(54), packed + length, KIB(80));
	memset(out, 0, KIB(64));
	EXPECT_OK(decode_guarded(&pl_codec_zstd, packed, length, out, KIB(64), &err));
	EXPECT_MEM(out, in, KIB(64));
}

TEST(a_zstd_frame_of_an_ancient_version_is_refused)
{
	/* Magic numbers of the versions 0.1 to 0.7. */
	static const uint8_t last[] = { 0x1e, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27 };
	struct platter_error err = PLATTER_ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(last); i++) {
		uint8_t in[64] = { last[i], 0xb5, 0x2f, 0xfd };

		EXPECT_EQ(decode_guarded(&pl_codec_zstd, in, sizeof in, NULL, 512, &err), -EUCLEAN);
	}
}

TEST(an_xz_stream_must_be_whole_and_small)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *in = make_content(TEXT, KIB(64));
	PL_AUTOFREE uint8_t *out = malloc(KIB(64)), *packed = malloc(KIB(80));
	size_t n = pl_codec_xz.encode(6, in, KIB(64), packed, KIB(80)), used = 0, made = 0;
	lzma_options_lzma options;
	lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	uint64_t memory = KIB(256);

	/* The library reads it; the dictionary is not larger than what is in it. */
	EXPECT_EQ(lzma_stream_buffer_decode(&memory, 0, NULL, packed, &used, n, out, &made,
					    KIB(64)),
		  LZMA_OK);
	EXPECT_EQ(used, n);
	EXPECT_MEM(out, in, KIB(64));
	EXPECT_EQ(packed[7], LZMA_CHECK_CRC32);

	/* All of the data is there before the index, which a cut leaves out. */
	for (size_t cut = n - 12; cut < n; cut++)
		EXPECT_EQ(decode_guarded(&pl_codec_xz, packed, cut, NULL, KIB(64), &err), -EUCLEAN);
	EXPECT_EQ(decode_guarded(&pl_codec_xz, packed, n, NULL, KIB(64) - 1, &err), -EUCLEAN);
	EXPECT_STR(err.message, "xz stream holds more than the expected 65535 bytes");

	lzma_lzma_preset(&options, 0);
	options.dict_size = 1u << 30;
	n = 0;
	EXPECT_EQ(lzma_stream_buffer_encode(filters, LZMA_CHECK_NONE, NULL, in, 100, packed, &n,
					    KIB(80)),
		  LZMA_OK);
	EXPECT_EQ(decode_guarded(&pl_codec_xz, packed, n, NULL, 100, &err), -EFBIG);
	EXPECT(strstr(err.message, "limit is 201326592"));
	options.dict_size = 1u << 26;
	n = 0;
	EXPECT_EQ(lzma_stream_buffer_encode(filters, LZMA_CHECK_NONE, NULL, in, 100, packed, &n,
					    KIB(80)),
		  LZMA_OK);
	EXPECT_OK(decode_guarded(&pl_codec_xz, packed, n, out, 100, &err));
	EXPECT_MEM(out, in, 100);
}

TEST(nothing_is_encoded_and_decoded)
{
	struct platter_error err = PLATTER_ERROR_INIT;

	for (size_t k = 0; k < ARRAY_SIZE(codecs); k++) {
		const struct pl_codec *codec = codecs[k];
		uint8_t packed[256];
		size_t n = codec->encode(codec->default_level, (const uint8_t *)"", 0, packed, 256);

		EXPECT(n > 0);
		EXPECT_OK(decode_guarded(codec, packed, n, NULL, 0, &err));
	}
}

TEST(truncated_input_fails_and_stays_in_its_buffer)
{
	struct platter_error err = PLATTER_ERROR_INIT;

	for (size_t k = 0; k < ARRAY_SIZE(codecs); k++)
		for (enum content content = 0; content < NR_CONTENTS; content++) {
			const struct pl_codec *codec = codecs[k];
			size_t n = KIB(16), capacity = codec->bound(n);
			PL_AUTOFREE uint8_t *in = make_content(content, n),
					    *packed = malloc(capacity);
			size_t length =
				codec->encode(codec->default_level, in, n, packed, capacity);
			size_t step = PL_MAX(length / 64, 1);

			for (size_t cut = 0; cut < length - PL_MIN(length, 8); cut += step) {
				int r = decode_guarded(codec, packed, cut, NULL, n, &err);

				EXPECT_EQ(r, -EUCLEAN);
				EXPECT(err.message[0]);
			}
		}
}

TEST(flipped_bits_never_reach_past_the_buffer)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	uint64_t state = 7;

	for (size_t k = 0; k < ARRAY_SIZE(codecs); k++)
		for (enum content content = 0; content < NR_CONTENTS; content++) {
			const struct pl_codec *codec = codecs[k];
			size_t n = KIB(8), capacity = codec->bound(n);
			PL_AUTOFREE uint8_t *in = make_content(content, n),
					    *packed = malloc(capacity);
			size_t length =
				codec->encode(codec->default_level, in, n, packed, capacity);

			for (int i = 0; i < 500; i++) {
				size_t bit = next_random(&state) % (length * 8);
				int r;

				packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
				r = decode_guarded(codec, packed, length, NULL, n, &err);
				EXPECT(r == 0 || r == -EUCLEAN);
				/* Every other flip stays, so that damage adds up. */
				if (i % 2)
					packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
			}
		}
}

TEST(noise_is_refused)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *noise = make_content(RANDOM, KIB(64));

	for (size_t k = 0; k < ARRAY_SIZE(codecs); k++)
		EXPECT_EQ(decode_guarded(codecs[k], noise, KIB(64), NULL, MIB(2), &err), -EUCLEAN);
}

static void *
round_trips(void *p)
{
	bool *ok = p;
	struct platter_error err;
	PL_AUTOFREE uint8_t *in = make_content(TEXT, KIB(64));
	PL_AUTOFREE uint8_t *out = malloc(KIB(64)), *packed = malloc(KIB(80));

	*ok = true;
	for (int i = 0; i < 40; i++) {
		const struct pl_codec *codec = codecs[(size_t)i % ARRAY_SIZE(codecs)];
		int level = 1 + i % 5;
		size_t n = KIB(64) - (size_t)i * 100;
		size_t length = codec->encode(level, in, n, packed, KIB(80));

		if (!length ||
		    codec->decoder->decode(codec->decoder, packed, length, out, n, 0, &err) < 0 ||
		    memcmp(in, out, n) != 0)
			*ok = false;
	}
	return NULL;
}

TEST(threads_do_not_share_contexts)
{
	pthread_t threads[4];
	bool ok[4];

	for (int i = 0; i < 4; i++)
		EXPECT_EQ(pthread_create(&threads[i], NULL, round_trips, &ok[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 4; i++)
		EXPECT(ok[i]);
}

#define NUMBERS 4000

/* Squares, and calls of a few places as x86 code has them. */
static void
make_numbers(uint8_t out[static NUMBERS + 32])
{
	size_t n = 0;

	for (unsigned i = 1; n < NUMBERS; i++) {
		n += (size_t)sprintf((char *)out + n, "%u", i * i);
		if (i % 5 == 0) {
			out[n] = 0xe8;
			put_le32(out + n + 1, 1000 * (i % 7) - (uint32_t)n);
			n += 5;
		} else {
			out[n++] = '\n';
		}
	}
}

/* What wimlib made, and a chunk of LZNT1 from [MS-XCA] 3.3. */
static const uint8_t lznt1_notes[] = {
	0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00, 0x10, 0xa2, 0x47,
	0x01, 0xa0, 0x45, 0x20, 0x44, 0x00, 0x08, 0x45, 0x01, 0x50, 0x79, 0x00, 0xc0, 0x45, 0x20,
	0x05, 0x24, 0x13, 0x88, 0x05, 0xb4, 0x02, 0x4a, 0x44, 0xef, 0x03, 0x58, 0x02, 0x8c, 0x09,
	0x16, 0x01, 0x48, 0x45, 0x00, 0xbe, 0x00, 0x9e, 0x00, 0x04, 0x01, 0x18, 0x90, 0x00,
};
static const char notes[] =
	"F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E "
	"E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D";

static const struct made {
	const struct pl_decoder *decoder;
	const uint8_t *bytes;
	size_t length, decoded;
} made_elsewhere[] = {
	{ &pl_decoder_xpress, xpress_numbers, sizeof xpress_numbers, NUMBERS },
	{ &pl_decoder_lzx, lzx_numbers, sizeof lzx_numbers, NUMBERS },
	{ &pl_decoder_lznt1, lznt1_notes, sizeof lznt1_notes, 4096 },
};

TEST(chunks_of_windows_formats_decode)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	uint8_t out[4096], numbers[NUMBERS + 32];

	make_numbers(numbers);
	for (size_t i = 0; i < 2; i++) {
		const struct made *m = &made_elsewhere[i];

		EXPECT_OK(decoder_guarded(m->decoder, m->bytes, m->length, out, NUMBERS, &err));
		EXPECT_MEM(out, numbers, NUMBERS);
	}
	EXPECT_OK(decoder_guarded(&pl_decoder_lznt1, lznt1_notes, sizeof lznt1_notes, out, 4096,
				  &err));
	EXPECT_MEM(out, notes, sizeof notes - 1);
	EXPECT(pl_is_zero(out + sizeof notes, 4096 - sizeof notes));
}

/* A stored block of 5 bytes, its padding, and one more block that begins behind it. */
TEST(stored_blocks_of_lzx_are_copied)
{
	static const uint8_t in[] = {
		0x00, 0x60, 0x00, 0x50,                           /* kind 3, 16 bits of length: 5 */
		1,    0,    0,    0,    1,   0, 0, 0, 1, 0, 0, 0, /* distances */
		'f',  'i',  'r',  's',  't', 0,                   /* and a byte to be even */
		0x00, 0x60, 0x00, 0x20, 1,   0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 'o', 'k',
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	uint8_t out[7];

	EXPECT_OK(decoder_guarded(&pl_decoder_lzx, in, sizeof in, out, sizeof out, &err));
	EXPECT_MEM(out, "firstok", 7);
	EXPECT_EQ(decoder_guarded(&pl_decoder_lzx, in, sizeof in - 1, NULL, sizeof out, &err),
		  -EUCLEAN);
}

TEST(lznt1_ends_early_with_zeros)
{
	static const uint8_t in[] = { 0x02, 0x30, 'a', 'b', 'c', 0x03, 0xb0, 2, 'x', 0xfc, 0x0f };
	struct platter_error err = PLATTER_ERROR_INIT;
	uint8_t out[3 * 4096];

	EXPECT_OK(decoder_guarded(&pl_decoder_lznt1, in, sizeof in, out, sizeof out, &err));
	EXPECT_MEM(out, "abc", 3);
	EXPECT(pl_is_zero(out + 3, 4093));
	for (size_t i = 4096; i < 8192; i++)
		EXPECT_EQ(out[i], 'x');
	EXPECT(pl_is_zero(out + 8192, 4096));
	/* A match that goes back to before the chunk. */
	EXPECT_EQ(decoder_guarded(&pl_decoder_lznt1, (const uint8_t[]){ 0x02, 0xb0, 1, 0xfc, 0x0f },
				  5, NULL, 4096, &err),
		  -EUCLEAN);
}

TEST(damaged_chunks_of_windows_formats_stay_in_their_buffers)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	uint64_t state = 11;

	for (size_t k = 0; k < ARRAY_SIZE(made_elsewhere); k++) {
		const struct made *m = &made_elsewhere[k];
		PL_AUTOFREE uint8_t *packed = malloc(m->length);

		for (size_t cut = 0; cut < m->length; cut++) {
			int r = decoder_guarded(m->decoder, m->bytes, cut, NULL, m->decoded, &err);

			EXPECT(r == 0 || r == -EUCLEAN);
			if (m->decoder != &pl_decoder_lznt1 && cut + 8 < m->length)
				EXPECT_EQ(r, -EUCLEAN);
		}
		for (int i = 0; i < 3000; i++) {
			size_t bit = next_random(&state) % (m->length * 8);
			int r;

			if (i % 16 == 0)
				memcpy(packed, m->bytes, m->length);
			packed[bit / 8] ^= (uint8_t)(1 << bit % 8);
			r = decoder_guarded(m->decoder, packed, m->length, NULL, m->decoded, &err);
			EXPECT(r == 0 || r == -EUCLEAN);
		}
	}
}

TEST(lzo_rle_reads_what_the_library_packs)
{
	PL_AUTOFREE uint8_t *packed = malloc(MIB(3)), *out = malloc(MIB(2));
	PL_AUTOFREE uint8_t *memory = malloc(LZO1X_1_MEM_COMPRESS);

	for (enum content content = 0; content < NR_CONTENTS; content++) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			PL_AUTOFREE uint8_t *in = make_content(content, sizes[i]);
			struct platter_error err = PLATTER_ERROR_INIT;
			lzo_uint length = MIB(3);
			size_t n = 0;

			lzo1x_1_compress(in, sizes[i], packed, &length, memory);
			EXPECT_EQ(pl_unpack_lzo_rle.unpack(packed, length, out, sizes[i], &n, &err),
				  0);
			EXPECT_EQ(n, sizes[i]);
			EXPECT(!memcmp(in, out, sizes[i]));
			EXPECT_EQ(pl_unpack_lzo_rle.unpack(packed, length - 1, out, sizes[i], &n,
							   &err),
				  -EUCLEAN);
			EXPECT_EQ(pl_unpack_lzo_rle.unpack(packed, length, out, sizes[i] - 1, &n,
							   &err),
				  -EUCLEAN);
		}
	}
}

TEST(lzo_rle_knows_runs_of_zeros)
{
	/* A version, "hello", 4 + 5 + 3 * 8 zeros, "ab", 3 bytes from 3 back, the end. */
	static const uint8_t packed[] = { 17,   1, 22,  'h', 'e', 'l', 'l', 'o', 0x1d, 0xfe,
					  0xff, 3, 'a', 'b', 33,  8,   0,   17,  0,    0 };
	uint8_t out[64], want[43] = "hello";
	struct platter_error err = PLATTER_ERROR_INIT;
	size_t n = 0;

	memcpy(want + 38, "ab\0ab", 5);
	EXPECT_EQ(pl_unpack_lzo_rle.unpack(packed, sizeof packed, out, sizeof out, &n, &err), 0);
	EXPECT_EQ(n, sizeof want);
	EXPECT(!memcmp(out, want, sizeof want));
	for (size_t i = 0; i < sizeof packed; i++)
		EXPECT_EQ(pl_unpack_lzo_rle.unpack(packed, i, out, sizeof out, &n, &err), -EUCLEAN);
	for (size_t i = 0; i < sizeof want; i++)
		EXPECT_EQ(pl_unpack_lzo_rle.unpack(packed, sizeof packed, out, i, &n, &err),
			  -EUCLEAN);
}
/* ---- pieces behind zeros ---- */

#define PIECE   KIB(64)
#define ROOM    KIB(128)
#define PADDING 777

static size_t
pack_lz4(const uint8_t *in, size_t n, uint8_t *out)
{
	return (size_t)LZ4_compress_default((const char *)in, (char *)out, (int)n, ROOM);
}

static size_t
pack_microlzma(const uint8_t *in, size_t n, uint8_t *out)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	lzma_lzma_preset(&options, 1);
	EXPECT_EQ(lzma_microlzma_encoder(&s, &options), LZMA_OK);
	s.next_in = in;
	s.avail_in = n;
	s.next_out = out;
	s.avail_out = ROOM;
	EXPECT_EQ(lzma_code(&s, LZMA_FINISH), LZMA_STREAM_END);
	lzma_end(&s);
	return ROOM - s.avail_out;
}

static size_t
pack_deflate(const uint8_t *in, size_t n, uint8_t *out)
{
	return pl_codec_deflate.encode(6, in, n, out, ROOM);
}

static size_t
pack_zstd(const uint8_t *in, size_t n, uint8_t *out)
{
	return ZSTD_compress(out, ROOM, in, n, 3);
}

/* A piece decodes whole and in part, and not to more than it holds. */
TEST(padded_pieces_are_decoded_from_behind_their_zeros)
{
	const struct {
		const struct pl_decoder *decoder;
		size_t (*pack)(const uint8_t *in, size_t n, uint8_t *out);
		size_t zeros;
	} rows[] = {
		{ pl_decoder_lz4_from_start, pack_lz4, 0 },
		{ pl_decoder_padded_lz4, pack_lz4, PADDING },
		{ pl_decoder_padded_lz4, pack_lz4, 0 },
		{ pl_decoder_padded_microlzma, pack_microlzma, PADDING },
		{ pl_decoder_padded_deflate, pack_deflate, PADDING },
		{ pl_decoder_padded_zstd, pack_zstd, PADDING },
	};
	PL_AUTOFREE uint8_t *in = make_content(TEXT, PIECE), *packed = malloc(ROOM + PADDING);
	PL_AUTOFREE uint8_t *out = malloc(PIECE);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		static const size_t wanted[] = { PIECE, PIECE - 1, 100, 1 };
		struct platter_error err = PLATTER_ERROR_INIT;
		size_t zeros = rows[i].zeros, n;

		memset(packed, 0, zeros);
		n = zeros + rows[i].pack(in, PIECE, packed + zeros);
		for (size_t k = 0; k < ARRAY_SIZE(wanted); k++) {
			EXPECT_OK(
				decoder_guarded(rows[i].decoder, packed, n, out, wanted[k], &err));
			EXPECT(!memcmp(in, out, wanted[k]));
		}
		EXPECT_EQ(decoder_guarded(rows[i].decoder, packed, n, NULL, PIECE + 1, &err),
			  -EUCLEAN);
		EXPECT_EQ(decoder_guarded(rows[i].decoder, packed, n / 2, NULL, PIECE, &err),
			  -EUCLEAN);
		EXPECT_EQ(decoder_guarded(rows[i].decoder, packed, zeros, NULL, 1, &err), -EUCLEAN);
	}
}

TEST(lz4_decodes_to_what_was_encoded)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	const struct pl_codec *codec = &pl_codec_lz4;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (enum content content = 0; content < NR_CONTENTS; content++) {
			size_t n = sizes[i], capacity = codec->bound(n), length;
			PL_AUTOFREE uint8_t *in = make_content(content, n);
			PL_AUTOFREE uint8_t *out = malloc(n), *packed = malloc(capacity);

			length = codec->encode(codec->default_level, in, n, packed, capacity);
			EXPECT(length > 0);
			EXPECT_OK(decode_guarded(codec, packed, length, out, n, &err));
			EXPECT_MEM(out, in, n);
			if (length < n)
				EXPECT_EQ(codec->encode(codec->max_level, in, n, packed,
							length / 4),
					  0);
		}
}
