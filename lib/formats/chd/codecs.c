/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * codecs.c - how hunks are compressed
 *
 *	zlib	raw deflate
 *	lzma	raw LZMA
 *	zstd	a zstd frame
 *	huff	lengths of a Huffman code of bytes, and the bytes in it
 *	flac	'L' or 'B', the order of the bytes of a sample, then FLAC frames
 *
 * Those of CDs split the frames into sectors and subchannels, and compress each by itself:
 *
 *	cdzl, cdlz, cdzs	a bit for each frame (the lowest is the first): sync pattern and ECC
 *				are as they must be, and left out; bytes of the compressed sectors,
 *				16 bits or for hunks from 64 KiB on 24; those by zlib, lzma, zstd;
 *				subchannels, by zlib (of cdzs by zstd)
 *	cdfl			FLAC frames of the sectors; subchannels, by zlib
 */
#include "chd.h"
#include "codec.h"
#include "huffman.h"
#include "per-thread.h"
#include "sector.h"

/* As chdman compresses: as well as it goes. */
#define DEFLATE_LEVEL 9
#define ZSTD_LEVEL    22
/* Samples of a frame of FLAC, as MAME has them. */
#define FLAC_BLOCK    2048
#define CD_FLAC_BLOCK 2352

/* What one thread keeps between hunks. */
struct context {
	struct pl_huffman huffman;
	uint8_t *sectors; /* of a hunk, and behind them its subchannels */
	size_t size;
};

static void
free_context(void *p)
{
	struct context *c = p;

	free(c->sectors);
	free(c);
}

static struct pl_per_thread contexts = PL_PER_THREAD_INIT(struct context, free_context);

static int
decode_zlib(const uint8_t *in, size_t n, uint8_t *out, size_t out_size, struct platter_error *err)
{
	const struct pl_decoder *d = pl_codec_deflate.decoder;

	return d->decode(d, in, n, out, out_size, 0, err);
}

static size_t
encode_zlib(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	return pl_codec_deflate.encode(DEFLATE_LEVEL, in, n, out, room);
}

static int
decode_zstd(const uint8_t *in, size_t n, uint8_t *out, size_t out_size, struct platter_error *err)
{
	const struct pl_decoder *d = pl_codec_zstd.decoder;

	return d->decode(d, in, n, out, out_size, 0, err);
}

static size_t
encode_zstd(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	return pl_codec_zstd.encode(ZSTD_LEVEL, in, n, out, room);
}

static int
decode_huff(const uint8_t *in, size_t n, uint8_t *out, size_t out_size, struct platter_error *err)
{
	struct context *c = pl_per_thread_get(&contexts);
	struct pl_bits bits;

	if (!c)
		return pl_no_memory(err);
	c->huffman.nr = 256;
	c->huffman.max_bits = PL_HUFFMAN_MAX_BITS;
	pl_bits_init(&bits, in, n);
	if (!pl_huffman_read_coded(&c->huffman, &bits))
		return pl_corrupt(err, PLATTER_NO_OFFSET, "no valid Huffman code");
	for (size_t i = 0; i < out_size; i++) {
		unsigned symbol = pl_huffman_decode(&c->huffman, &bits);

		if (symbol == 256 || bits.overrun)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "damaged Huffman codes after %zu of %zu bytes", i,
					  out_size);
		out[i] = (uint8_t)symbol;
	}
	return 0;
}

static size_t
encode_huff(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	struct context *c = pl_per_thread_get(&contexts);
	uint32_t counts[256] = { 0 };
	struct pl_bit_sink sink;

	if (!c)
		return 0;
	for (size_t i = 0; i < n; i++)
		counts[in[i]]++;
	c->huffman.nr = 256;
	c->huffman.max_bits = PL_HUFFMAN_MAX_BITS;
	pl_huffman_build(&c->huffman, counts);
	pl_bit_sink_init(&sink, out, room);
	pl_huffman_write_coded(&c->huffman, &sink);
	for (size_t i = 0; i < n && !sink.overrun; i++)
		pl_huffman_encode(&c->huffman, &sink, in[i]);
	pl_bit_sink_flush(&sink);
	return sink.overrun ? 0 : (size_t)(sink.p - out);
}

static int
decode_flac(const uint8_t *in, size_t n, uint8_t *out, size_t out_size, struct platter_error *err)
{
	if (!n || (in[0] != 'L' && in[0] != 'B'))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "FLAC frames that do not tell their order of bytes");
	return pl_chd_decode_frames(in + 1, n - 1, in[0] == 'B', out, out_size, NULL, err);
}

/* Whichever order is the right one: it is not known what the data is. */
static size_t
encode_flac(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	PL_AUTOFREE uint8_t *other = malloc(room);
	size_t little, big;

	if (!other || !room || n % 4)
		return 0;
	little = pl_chd_encode_frames(in, n, false, FLAC_BLOCK, out + 1, room - 1);
	big = pl_chd_encode_frames(in, n, true, FLAC_BLOCK, other, room - 1);
	if (!little && !big)
		return 0;
	if (!little || (big && big < little)) {
		memcpy(out + 1, other, big);
		out[0] = 'B';
		return big + 1;
	}
	out[0] = 'L';
	return little + 1;
}

/* CDs. */

/* Room for the sectors and subchannels of a hunk; NULL: no memory. */
static uint8_t *
take_sectors(size_t n)
{
	struct context *c = pl_per_thread_get(&contexts);

	if (!c)
		return NULL;
	if (c->size < n) {
		free(c->sectors);
		c->sectors = malloc(n);
		c->size = c->sectors ? n : 0;
	}
	return c->sectors;
}

/* MAME knows the ECC by the mode alone, whatever the form. */
static enum pl_sector_kind
kind_of(const uint8_t *sector)
{
	return sector[PL_SECTOR_MODE] == 2 ? PL_SECTOR_FORM1 : PL_SECTOR_MODE1;
}

static void
put_frames(const uint8_t *sectors, const uint8_t *subs, const uint8_t *fits, uint8_t *out,
	   size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		uint8_t *frame = out + i * FRAME_BYTES;

		memcpy(frame, sectors + i * SECTOR_BYTES, SECTOR_BYTES);
		memcpy(frame + SECTOR_BYTES, subs + i * SUB_BYTES, SUB_BYTES);
		if (!fits || !(fits[i / 8] >> i % 8 & 1))
			continue;
		pl_sector_put_sync(frame);
		pl_sector_put_parity(frame, kind_of(frame));
	}
}

/* Bytes in front of the compressed sectors of `nr` frames. */
static size_t
cd_lead(size_t nr, size_t *ret_length_bytes)
{
	*ret_length_bytes = nr * FRAME_BYTES < 65536 ? 2 : 3;
	return (nr + 7) / 8 + *ret_length_bytes;
}

typedef int (*decode_fn)(const uint8_t *in, size_t n, uint8_t *out, size_t out_size,
			 struct platter_error *err);
typedef size_t (*encode_fn)(const uint8_t *in, size_t n, uint8_t *out, size_t room);

static int
decode_cd(const uint8_t *in, size_t n, uint8_t *out, size_t out_size, decode_fn sectors_by,
	  decode_fn subs_by, struct platter_error *err)
{
	size_t nr = out_size / FRAME_BYTES, length_bytes, lead = cd_lead(nr, &length_bytes);
	size_t length = 0;
	uint8_t *sectors = take_sectors(out_size), *subs = sectors + nr * SECTOR_BYTES;
	int r;

	if (!sectors)
		return pl_no_memory(err);
	if (n < lead)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "%zu bytes for %zu frames", n, nr);
	for (size_t i = lead - length_bytes; i < lead; i++)
		length = length << 8 | in[i];
	if (length > n - lead)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "sectors of %zu bytes in a hunk stored in %zu", length, n);
	r = sectors_by(in + lead, length, sectors, nr * SECTOR_BYTES, err);
	if (r == 0)
		r = subs_by(in + lead + length, n - lead - length, subs, nr * SUB_BYTES, err);
	if (r == 0)
		put_frames(sectors, subs, in, out, nr);
	return r;
}

static int
decode_cdzl(const uint8_t *in, size_t n, uint8_t *out, size_t out_size, struct platter_error *err)
{
	return decode_cd(in, n, out, out_size, decode_zlib, decode_zlib, err);
}

static int
decode_cdlz(const uint8_t *in, size_t n, uint8_t *out, size_t out_size, struct platter_error *err)
{
	return decode_cd(in, n, out, out_size, pl_chd_decode_lzma, decode_zlib, err);
}

static int
decode_cdzs(const uint8_t *in, size_t n, uint8_t *out, size_t out_size, struct platter_error *err)
{
	return decode_cd(in, n, out, out_size, decode_zstd, decode_zstd, err);
}

static int
decode_cdfl(const uint8_t *in, size_t n, uint8_t *out, size_t out_size, struct platter_error *err)
{
	size_t nr = out_size / FRAME_BYTES, used;
	uint8_t *sectors = take_sectors(out_size), *subs = sectors + nr * SECTOR_BYTES;
	int r;

	if (!sectors)
		return pl_no_memory(err);
	r = pl_chd_decode_frames(in, n, true, sectors, nr * SECTOR_BYTES, &used, err);
	if (r == 0)
		r = decode_zlib(in + used, n - used, subs, nr * SUB_BYTES, err);
	if (r == 0)
		put_frames(sectors, subs, NULL, out, nr);
	return r;
}

/* Take frames apart; `fits` (NULL: leave sectors whole) gets a bit for each that can be made again. */
static void
take_frames(const uint8_t *in, size_t nr, uint8_t *sectors, uint8_t *subs, uint8_t *fits)
{
	for (size_t i = 0; i < nr; i++) {
		uint8_t *sector = sectors + i * SECTOR_BYTES;

		memcpy(sector, in + i * FRAME_BYTES, SECTOR_BYTES);
		memcpy(subs + i * SUB_BYTES, in + i * FRAME_BYTES + SECTOR_BYTES, SUB_BYTES);
		if (!fits || !pl_sector_has_sync(sector) ||
		    !pl_sector_parity_fits(sector, kind_of(sector)))
			continue;
		fits[i / 8] |= (uint8_t)(1 << i % 8);
		memset(sector, 0, PL_SECTOR_SYNC);
		memset(sector + PL_SECTOR_PARITY, 0, SECTOR_BYTES - PL_SECTOR_PARITY);
	}
}

static size_t
encode_cd(const uint8_t *in, size_t n, uint8_t *out, size_t room, encode_fn sectors_by,
	  encode_fn subs_by)
{
	size_t nr = n / FRAME_BYTES, length_bytes, lead = cd_lead(nr, &length_bytes), length, sub;
	uint8_t *sectors = take_sectors(n), *subs = sectors + nr * SECTOR_BYTES;

	if (!sectors || room < lead)
		return 0;
	memset(out, 0, lead);
	take_frames(in, nr, sectors, subs, out);
	length = sectors_by(sectors, nr * SECTOR_BYTES, out + lead, room - lead);
	if (!length || length >> (8 * length_bytes))
		return 0;
	for (size_t i = 0; i < length_bytes; i++)
		out[lead - 1 - i] = (uint8_t)(length >> (8 * i));
	sub = subs_by(subs, nr * SUB_BYTES, out + lead + length, room - lead - length);
	return sub ? lead + length + sub : 0;
}

static size_t
encode_cdzl(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	return encode_cd(in, n, out, room, encode_zlib, encode_zlib);
}

static size_t
encode_cdlz(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	return encode_cd(in, n, out, room, pl_chd_encode_lzma, encode_zlib);
}

static size_t
encode_cdzs(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	return encode_cd(in, n, out, room, encode_zstd, encode_zstd);
}

static size_t
encode_cdfl(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	size_t nr = n / FRAME_BYTES, length, sub;
	uint8_t *sectors = take_sectors(n), *subs = sectors + nr * SECTOR_BYTES;

	if (!sectors)
		return 0;
	take_frames(in, nr, sectors, subs, NULL);
	length = pl_chd_encode_frames(sectors, nr * SECTOR_BYTES, true, CD_FLAC_BLOCK, out, room);
	if (!length)
		return 0;
	sub = encode_zlib(subs, nr * SUB_BYTES, out + length, room - length);
	return sub ? length + sub : 0;
}

const struct chd_codec *const pl_chd_codecs[] = {
	&(const struct chd_codec){ TAG('z', 'l', 'i', 'b'), "zlib", false, decode_zlib,
				   encode_zlib },
	&(const struct chd_codec){ TAG('l', 'z', 'm', 'a'), "lzma", false, pl_chd_decode_lzma,
				   pl_chd_encode_lzma },
	&(const struct chd_codec){ TAG('h', 'u', 'f', 'f'), "huff", false, decode_huff,
				   encode_huff },
	&(const struct chd_codec){ TAG('f', 'l', 'a', 'c'), "flac", false, decode_flac,
				   encode_flac },
	&(const struct chd_codec){ TAG('z', 's', 't', 'd'), "zstd", false, decode_zstd,
				   encode_zstd },
	&(const struct chd_codec){ TAG('c', 'd', 'z', 'l'), "cdzl", true, decode_cdzl,
				   encode_cdzl },
	&(const struct chd_codec){ TAG('c', 'd', 'l', 'z'), "cdlz", true, decode_cdlz,
				   encode_cdlz },
	&(const struct chd_codec){ TAG('c', 'd', 'f', 'l'), "cdfl", true, decode_cdfl,
				   encode_cdfl },
	&(const struct chd_codec){ TAG('c', 'd', 'z', 's'), "cdzs", true, decode_cdzs,
				   encode_cdzs },
	NULL,
};

const struct chd_codec *
pl_chd_codec_by_tag(uint32_t tag)
{
	for (size_t i = 0; pl_chd_codecs[i]; i++)
		if (pl_chd_codecs[i]->tag == tag)
			return pl_chd_codecs[i];
	return NULL;
}

const struct chd_codec *
pl_chd_codec_by_name(const char *name, size_t n)
{
	return n == 4 ? pl_chd_codec_by_tag(TAG(name[0], name[1], name[2], name[3])) : NULL;
}
