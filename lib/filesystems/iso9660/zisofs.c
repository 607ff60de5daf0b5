/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * iso9660/zisofs.c - files that are stored compressed (mkzftree, libisofs)
 *
 *	offset  size  header, little-endian		version 2
 *	     0     8  37 e4 53 96 c9 db d6 07		ef 22 55 a1 bc 1b 95 a0
 *	     8     4  size				0, header / 4, algorithm, log2 of blocks
 *	    12     1  size of the header / 4		size, 8 bytes
 *	    13     1  log2 of the block size: 15 to 17	(up to 20)
 *	    16						24
 *
 * The header is followed by where each block begins in the file, and where the last one ends,
 * 4 bytes each, in version 2 8; a block of no bytes is of zeros.  See doc/zisofs_format.txt and
 * doc/zisofs2_format.txt of libisofs.
 */
#include "codec.h"
#include "iso9660.h"

#define V1_HEADER 16
#define V2_HEADER 24

/* Read at a time. */
#define POINTERS KIB(32)

static const uint8_t v1_magic[8] = { 0x37, 0xe4, 0x53, 0x96, 0xc9, 0xdb, 0xd6, 0x07 };
static const uint8_t v2_magic[8] = { 0xef, 0x22, 0x55, 0xa1, 0xbc, 0x1b, 0x95, 0xa0 };

struct zisofs {
	uint64_t size, pointers; /* of the contents; where they are */
	unsigned block_bits, pointer_size;
	const struct pl_decoder *decoder;
};

static int
decode_header(const uint8_t h[static V2_HEADER], struct zisofs *ret, struct platter_error *err)
{
	bool v2 = !memcmp(h, v2_magic, sizeof v2_magic);
	uint8_t algorithm = v2 ? h[10] : 1;

	if (!v2 && memcmp(h, v1_magic, sizeof v1_magic))
		return pl_corrupt(err, 0, "compressed file without the mark of zisofs");
	*ret = (struct zisofs){
		.size = v2 ? get_le64(h + 12) : get_le32(h + 8),
		.pointers = 4ull * (v2 ? h[9] : h[12]),
		.block_bits = v2 ? h[11] : h[13],
		.pointer_size = v2 ? 8 : 4,
	};
	if (ret->pointers < (v2 ? V2_HEADER : V1_HEADER))
		return pl_corrupt(err, v2 ? 9 : 12, "zisofs header of %" PRIu64 " bytes",
				  ret->pointers);
	if (ret->block_bits < 15 || ret->block_bits > 20)
		return pl_corrupt(err, v2 ? 11 : 13, "zisofs blocks of 2^%u bytes",
				  ret->block_bits);
	if (ret->size > (uint64_t)PL_MAX_RUNS << ret->block_bits)
		return pl_over_limit(err, v2 ? 12 : 8, "zisofs file of %" PRIu64 " bytes",
				     ret->size);
	switch (algorithm) {
	case 1: ret->decoder = pl_codec_zlib.decoder; return 0;
	case 2: ret->decoder = &pl_unpack_xz.decoder; return 0;
	case 4: ret->decoder = pl_codec_zstd.decoder; return 0;
	default:
		return pl_unsupported(err, 10,
				      "zisofs with algorithm %u: zlib (1), xz (2) and zstd"
				      " (4) are read",
				      algorithm);
	}
}

/* A block stored at [from, to) of the file. */
static int
add_block(const struct zisofs *z, uint64_t offset, uint64_t from, uint64_t to, uint64_t stored_size,
	  struct pl_runs *runs, struct platter_error *err)
{
	uint64_t length = PL_MIN(z->size - offset, UINT64_C(1) << z->block_bits);
	struct pl_run run = {
		.offset = offset,
		.length = length,
		.stored = from,
		.decoder = z->decoder,
		.chunk_length = (uint32_t)length,
		.kind = PLATTER_DATA,
	};

	if (from > to || to > stored_size || to - from > (UINT64_C(2) << z->block_bits))
		return pl_corrupt(err, from,
				  "zisofs block from byte %" PRIu64 " to %" PRIu64
				  " of a file of %" PRIu64,
				  from, to, stored_size);
	if (from == to)
		return pl_runs_add_zero(runs, offset, length, err);
	run.stored_length = (uint32_t)(to - from);
	return pl_runs_add(runs, &run, err);
}

static int
read_pointers(const struct zisofs *z, struct pl_disk *stored, struct pl_runs *runs,
	      struct platter_error *err)
{
	uint64_t stored_size = pl_disk_size(stored), at = z->pointers, from = 0;
	uint64_t nr = (z->size >> z->block_bits) +
		      ((z->size & ((UINT64_C(1) << z->block_bits) - 1)) != 0) + 1;
	uint8_t buf[POINTERS];
	int r = 0;

	if (z->size && !pl_in_range(at, nr * z->pointer_size, stored_size))
		return pl_corrupt(err, at,
				  "zisofs table of %" PRIu64 " blocks passes the file's %" PRIu64
				  " bytes",
				  nr - 1, stored_size);
	for (uint64_t i = 0; z->size && i < nr && r == 0; i++, at += z->pointer_size) {
		size_t into = (size_t)(i * z->pointer_size % sizeof buf);
		uint64_t to;

		if (!into)
			r = pl_read(stored, buf,
				    (size_t)PL_MIN(sizeof buf, (nr - i) * z->pointer_size), at,
				    err);
		if (r < 0)
			break;
		to = z->pointer_size == 8 ? get_le64(buf + into) : get_le32(buf + into);
		if (i)
			r = add_block(z, (i - 1) << z->block_bits, from, to, stored_size, runs,
				      err);
		from = to;
	}
	return r;
}

int
pl_iso_zisofs_open(struct pl_disk *stored, uint64_t size, const char *name, struct pl_disk **ret,
		   struct platter_error *err)
{
	struct pl_runs runs = { 0 };
	uint8_t header[V2_HEADER];
	struct zisofs z;
	int r = pl_read_padded(stored, header, sizeof header, 0, NULL, err);

	if (r == 0)
		r = decode_header(header, &z, err);
	if (r == 0 && z.size != size)
		r = pl_corrupt(err, 0,
			       "zisofs file of %" PRIu64 " bytes that its folder says has %" PRIu64,
			       z.size, size);
	if (r == 0)
		r = read_pointers(&z, stored, &runs, err);
	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	return pl_file_new(stored, &runs, z.size, name, ret, err);
}
