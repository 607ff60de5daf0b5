/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * codec.h - compression, buffer to buffer
 *
 * Encoders keep their contexts per thread: creating one for each 64 KiB costs more than
 * half of the work with zstd.  Decoders are `struct pl_decoder`s that a driver puts into
 * its extents.
 */
#ifndef PL_CODEC_H
#define PL_CODEC_H

#include "disk.h"

struct pl_codec {
	const char *name;
	int min_level, max_level, default_level;
	/* The most bytes that n can be encoded to. */
	size_t (*bound)(size_t n);
	/*
	 * Encode n bytes.  Returns the encoded length, 0 if it does not fit into `capacity`.
	 * Any thread.
	 */
	size_t (*encode)(int level, const uint8_t *in, size_t n, uint8_t *out, size_t capacity);
	const struct pl_decoder *decoder;
};

/* Raw deflate, RFC 1951, no header; what QCOW2 calls zlib. */
extern const struct pl_codec pl_codec_deflate;
/* The same between zlib's header and Adler-32, RFC 1950, which decoding checks. */
extern const struct pl_codec pl_codec_zlib;
/* A zstd frame, RFC 8878. */
extern const struct pl_codec pl_codec_zstd;
/* bzip2 streams; a level is the size of blocks in units of 100,000 bytes. */
extern const struct pl_codec pl_codec_bzip2;
/* One .xz stream of LZMA2 with a CRC-32; any that is whole is decoded. */
extern const struct pl_codec pl_codec_xz;

/*
 * The codec that a user calls by the first n bytes of `name`, its own or another that it goes by
 * ("lzma" is xz); NULL: none.  Which of them a format has, and in which wrapping, is the format's
 * matter.  pl_codec_at() lists them: NULL after the last one.
 */
const struct pl_codec *pl_codec_by_name(const char *name, size_t n);
const struct pl_codec *pl_codec_at(size_t i);
/* A block of LZ4 without a frame. */
extern const struct pl_codec pl_codec_lz4;

/*
 * What is only unpacked.  unpack() decodes all of `in`, which holds one piece, into at most
 * `room` bytes; *ret: how many.  The decoder wants just as many as there are.
 */
struct pl_unpacker {
	struct pl_decoder decoder;
	int (*unpack)(const uint8_t *in, size_t n, uint8_t *out, size_t room, size_t *ret,
		      struct platter_error *err);
};
extern const struct pl_unpacker pl_unpack_zlib; /* RFC 1950 */
extern const struct pl_unpacker pl_unpack_zstd; /* RFC 8878 */
extern const struct pl_unpacker pl_unpack_lz4;  /* a block without a frame */
extern const struct pl_unpacker pl_unpack_lzo;  /* LZO1X */
/* LZO1X, also with the runs of zeros of Linux' lzo-rle. */
extern const struct pl_unpacker pl_unpack_lzo_rle;
extern const struct pl_unpacker pl_unpack_xz;   /* the .xz container, with filters */
extern const struct pl_unpacker pl_unpack_lzma; /* the .lzma container of the LZMA SDK */

/* xz and lzma take their dictionary from the header; more than any image format asks for is refused. */
#define PL_LZMA_MEMORY MIB(192)

/*
 * LZMA without a header: `properties` are the five bytes of one.  Decodes until `out` is full,
 * whether or not there is a mark of the end.
 */
int pl_lzma_decode(const uint8_t properties[static 5], const uint8_t *in, size_t n, uint8_t *out,
		   size_t out_size, struct platter_error *err);

/* The addresses of x86's calls and jumps as they were before the SDK's filter of that name. */
void pl_bcj_x86_decode(uint8_t *bytes, size_t n);

/* What a pl_unpacker's decoder does. */
int pl_unpack_exactly(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size,
		      uint8_t *out, size_t out_size, uint64_t chunk_offset,
		      struct platter_error *err);
/* What Windows' file systems and WIM archives are compressed with; only decoded. */
extern const struct pl_decoder pl_decoder_lznt1;
/* With Huffman codes; chunks of at most 64 KiB. */
extern const struct pl_decoder pl_decoder_xpress;
/* Chunks of at most 32 KiB, as in WIM archives. */
extern const struct pl_decoder pl_decoder_lzx;
/* Apple Data Compression, of old disk images. */
extern const struct pl_decoder pl_decoder_adc;

/*
 * Apple's LZVN and LZFSE, which are decoded until their end or until `out` is full; *ret_n
 * tells how much of it is filled.  Of LZVN, `before` bytes in front of `out` may be referred to.
 */
int pl_lzvn_decode(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size, size_t before,
		   size_t *ret_n, struct platter_error *err);
int pl_lzfse_decode(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size, size_t *ret_n,
		    struct platter_error *err);
extern const struct pl_decoder pl_decoder_lzvn;
extern const struct pl_decoder pl_decoder_lzfse;
/* They end with the marks of their ends, which the decoders can do without. */
extern const struct pl_codec pl_codec_lzvn;
extern const struct pl_codec pl_codec_lzfse;

/*
 * The beginning of what a piece holds, `out_size` bytes of it.  Zeros may stand in front of
 * the padded ones.
 */
extern const struct pl_decoder *const pl_decoder_lz4_from_start;
extern const struct pl_decoder *const pl_decoder_padded_lz4;
extern const struct pl_decoder *const pl_decoder_padded_microlzma;
extern const struct pl_decoder *const pl_decoder_padded_deflate;
extern const struct pl_decoder *const pl_decoder_padded_zstd;

#endif
