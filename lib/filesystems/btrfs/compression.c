/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs/compression.c - what compressed extents decode to
 *
 * What is stored is filled up to whole sectors, and what it decodes to may end before the
 * sector does: the rest reads as zeros.  LZO has a framing of its own: the length of it all in
 * 4 bytes, and for every sector of contents the length of its piece in 4 bytes, which do not
 * cross a sector's end, and the piece, which may.
 */
#include "btrfs.h"
#include "codec.h"

static int
finish(int r, uint8_t *out, size_t out_size, size_t n)
{
	if (r == 0)
		memset(out + n, 0, out_size - n);
	return r;
}

static int
decode_zlib(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	    size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	const struct pl_decoder *zlib = pl_codec_zlib.decoder;
	size_t n = 0;

	(void)decoder;
	if (pl_unpack_zlib.unpack(in, in_size, out, out_size, &n, NULL) == 0)
		return finish(0, out, out_size, n);
	/* It may hold more than is wanted. */
	return zlib->decode(zlib, in, in_size, out, out_size, chunk_offset, err);
}

static int
decode_zstd(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	    size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	size_t n = 0;
	int r = pl_unpack_zstd.unpack(in, in_size, out, out_size, &n, err);

	(void)decoder, (void)chunk_offset;
	return finish(r, out, out_size, n);
}

struct lzo_decoder {
	struct pl_decoder decoder;
	uint32_t sector_size;
};

static int
decode_lzo(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	   size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	/* Its first member. */
	uint32_t sector = ((const struct lzo_decoder *)(const void *)decoder)->sector_size;
	size_t total = in_size < 4 ? 0 : get_le32(in), at = 4, done = 0;

	(void)chunk_offset;
	if (total < 4 || total > in_size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "LZO extent of %zu bytes says that it has %zu", in_size, total);
	while (done < out_size && total - at >= 4) {
		uint32_t length = get_le32(in + at);
		size_t n = 0;
		int r;

		at += 4;
		if (!length || length > total - at)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "LZO piece of %" PRIu32 " bytes where %zu are left",
					  length, total - at);
		r = pl_unpack_lzo.unpack(in + at, length, out + done,
					 PL_MIN(sector, out_size - done), &n, err);
		if (r < 0)
			return r;
		done += n;
		at += length;
		if (sector - at % sector < 4)
			at = PL_MIN(pl_round_up(at, sector), total);
	}
	return finish(0, out, out_size, done);
}

/* They outlive the volume: files do. */
#define LZO(size)                                                                       \
	{                                                                               \
		.decoder = { .name = "LZO", .decode = decode_lzo }, .sector_size = size \
	}
static const struct lzo_decoder lzo[] = {
	LZO(512), LZO(1024), LZO(2048), LZO(4096), LZO(8192), LZO(16384), LZO(32768), LZO(65536),
};
static const struct pl_decoder zlib = { .name = "zlib", .decode = decode_zlib };
static const struct pl_decoder zstd = { .name = "zstd", .decode = decode_zstd };

enum {
	METHOD_ZLIB = 1,
	METHOD_LZO = 2,
	METHOD_ZSTD = 3,
};

const struct pl_decoder *
pl_btrfs_decoder(const struct btrfs *fs, unsigned method)
{
	switch (method) {
	case METHOD_ZLIB: return &zlib;
	case METHOD_ZSTD: return &zstd;
	case METHOD_LZO:
		for (size_t i = 0; i < ARRAY_SIZE(lzo); i++)
			if (lzo[i].sector_size == fs->sector_size)
				return &lzo[i].decoder;
		return NULL;
	default: return NULL;
	}
}
