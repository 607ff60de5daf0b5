/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * f2fs/compression.c - what clusters are unpacked with: fs/f2fs/compress.c of the Linux kernel,
 * struct compress_data
 *
 * Stored are the compressed length (4), the CRC-32 of what is compressed, seeded with the magic,
 * where the inode says so (4), 16 bytes for later, and that.
 */
#include "codec.h"
#include "f2fs.h"

#define HEADER 24

/* Of an inode's flags of compression. */
#define HAS_CHECKSUM 1

struct f2fs_decoder {
	struct pl_decoder decoder;
	const struct pl_unpacker *unpacker;
	bool checks;
};

static int
decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
       size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	const struct f2fs_decoder *d = (const void *)decoder;
	const struct pl_decoder *unpack = &d->unpacker->decoder;
	size_t n = in_size < HEADER ? 0 : get_le32(in);

	if (!n || n > in_size - HEADER)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "%zu bytes of an F2FS cluster compressed in %zu", n, in_size);
	if (d->checks && get_le32(in + 4) != f2fs_crc(F2FS_MAGIC, in + HEADER, n))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "checksum of a compressed F2FS cluster does not match");
	return unpack->decode(unpack, in + HEADER, n, out, out_size, chunk_offset, err);
}

/* By the number of the method, without and with a checksum. */
#define DECODERS(name, id)                                              \
	{                                                               \
		{ { "F2FS " name, decode }, &pl_unpack_##id, false },   \
		{                                                       \
			{ "F2FS " name, decode }, &pl_unpack_##id, true \
		}                                                       \
	}
static const struct f2fs_decoder decoders[][2] = {
	DECODERS("LZO", lzo),
	DECODERS("lz4", lz4),
	DECODERS("zstd", zstd),
	DECODERS("lzo-rle", lzo_rle),
};

int
f2fs_decoder(const struct f2fs *fs, const struct f2fs_inode *i, const struct pl_decoder **ret,
	     struct platter_error *err)
{
	bool checks = i->compression_flags & HAS_CHECKSUM && !fs->volume.ignore_checksums;

	if (i->method >= ARRAY_SIZE(decoders))
		return pl_unsupported(err, i->at, "F2FS inode %" PRIu32 " compressed by method %u",
				      i->number, i->method);
	*ret = &decoders[i->method][checks].decoder;
	return 0;
}
