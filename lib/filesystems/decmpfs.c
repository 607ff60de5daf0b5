/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * decmpfs.c - files that macOS compressed
 *
 * There is no specification; bsd/sys/decmpfs.h of Apple's XNU has the header and the first
 * types.  The others are as other readers (libfsapfs, afsctool) found them.
 *
 *	offset  size  attribute, little-endian
 *	     0     4  'fpmc'
 *	     4     4  type
 *	     8     8  size of the file
 *	    16        of the odd types: the compressed bytes, all in one chunk
 *
 *	type  stored   what a chunk that did not get smaller begins with
 *	   1  as is    nothing
 *	 3/4  zlib     0xff (any low nibble of 0xf)
 *	 7/8  LZVN     0x06
 *	9/10  as is    one byte, always (0xcc)
 *	11/12 LZFSE    0xff; LZFSE itself begins with 'b'
 *	 5: kept by a store of generations; 13/14: LZBITMAP
 *
 * The even types have chunks of 64 KiB in the resource fork.  Types 4 and 10 have a resource
 * there: a big-endian header whose first 4 bytes tell where the resource is, which is its length
 * (4 bytes, big-endian), the number of chunks (4 bytes, little-endian) and for each chunk
 * the offset, counted from that number, and the length.  Types 8 and 12 begin with
 * the offset of each chunk and of the end.
 */
#include "decmpfs.h"

#include "codec.h"
#include "file.h"

#define CHUNK KIB(64)

/* No chunk is stored in more than this; what is longer is damage, and need not be read. */
#define MAX_STORED (2 * CHUNK)

enum {
	TYPE = 4,
	SIZE = 8,
};

/* Bytes as they are, behind one that says so. */
static int
copy_marked(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size,
	    struct platter_error *err)
{
	if (in_size <= out_size)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "%zu bytes stored for %zu uncompressed",
				  in_size ? in_size - 1 : 0, out_size);
	memcpy(out, in + 1, out_size);
	return 0;
}

static int
decode_zlib(const struct pl_decoder *d, const uint8_t *in, size_t in_size, uint8_t *out,
	    size_t out_size, uint64_t offset, struct platter_error *err)
{
	const struct pl_decoder *zlib = pl_codec_zlib.decoder;

	if (in_size && (in[0] & 0x0f) == 0x0f)
		return copy_marked(in, in_size, out, out_size, err);
	return zlib->decode(zlib, in, in_size, out, out_size, offset, err);
}

static int
decode_lzvn(const struct pl_decoder *d, const uint8_t *in, size_t in_size, uint8_t *out,
	    size_t out_size, uint64_t offset, struct platter_error *err)
{
	if (in_size && in[0] == 0x06)
		return copy_marked(in, in_size, out, out_size, err);
	return pl_decoder_lzvn.decode(&pl_decoder_lzvn, in, in_size, out, out_size, offset, err);
}

static int
decode_lzfse(const struct pl_decoder *d, const uint8_t *in, size_t in_size, uint8_t *out,
	     size_t out_size, uint64_t offset, struct platter_error *err)
{
	if (in_size && in[0] != 'b')
		return copy_marked(in, in_size, out, out_size, err);
	return pl_decoder_lzfse.decode(&pl_decoder_lzfse, in, in_size, out, out_size, offset, err);
}

static int
decode_marked(const struct pl_decoder *d, const uint8_t *in, size_t in_size, uint8_t *out,
	      size_t out_size, uint64_t offset, struct platter_error *err)
{
	return copy_marked(in, in_size, out, out_size, err);
}

static const struct pl_decoder zlib = { .name = "zlib", .decode = decode_zlib };
static const struct pl_decoder lzvn = { .name = "LZVN", .decode = decode_lzvn };
static const struct pl_decoder lzfse = { .name = "LZFSE", .decode = decode_lzfse };
static const struct pl_decoder marked = { .name = "uncompressed", .decode = decode_marked };

enum layout {
	INLINE,       /* behind the header */
	IN_RESOURCE,  /* of the resource fork */
	IN_FORK,      /* as a whole */
	NOT_READABLE, /* somewhere else, or in a way that is not known */
};

static const struct method {
	const char *how;
	const struct pl_decoder *decoder; /* NULL: stored as is */
	enum layout layout;
} methods[] = {
	[1] = { "uncompressed", NULL, INLINE },
	[3] = { "zlib", &zlib, INLINE },
	[4] = { "zlib", &zlib, IN_RESOURCE },
	[5] = { "a store of generations", NULL, NOT_READABLE },
	[7] = { "LZVN", &lzvn, INLINE },
	[8] = { "LZVN", &lzvn, IN_FORK },
	[9] = { "uncompressed", &marked, INLINE },
	[10] = { "uncompressed", &marked, IN_RESOURCE },
	[11] = { "LZFSE", &lzfse, INLINE },
	[12] = { "LZFSE", &lzfse, IN_FORK },
	[13] = { "LZBITMAP", NULL, NOT_READABLE },
	[14] = { "LZBITMAP", NULL, NOT_READABLE },
};

static const struct method *
find_method(uint32_t type)
{
	return type < ARRAY_SIZE(methods) && methods[type].how ? &methods[type] : NULL;
}

int
pl_decmpfs_decode(const void *value, size_t n, struct pl_decmpfs *ret, struct platter_error *err)
{
	const uint8_t *p = value;
	const struct method *m;

	if (n < PL_DECMPFS_HEADER)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "%s of %zu bytes, its header has %u",
				  PL_DECMPFS_ATTRIBUTE, n, PL_DECMPFS_HEADER);
	if (memcmp(p, "fpmc", 4))
		return pl_corrupt(err, PLATTER_NO_OFFSET, "%s begins with 0x%08" PRIx32,
				  PL_DECMPFS_ATTRIBUTE, get_be32(p));
	*ret = (struct pl_decmpfs){ .type = get_le32(p + TYPE), .size = get_le64(p + SIZE) };
	if (ret->size > INT64_MAX)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "compressed file of %" PRIu64 " bytes",
				  ret->size);
	m = find_method(ret->type);
	if (m && m->layout != NOT_READABLE) {
		ret->how = m->how;
		ret->in_fork = m->layout != INLINE;
	}
	return 0;
}

/* All of it in one chunk, which the attribute holds. */
static int
open_inline(const struct pl_decmpfs *c, const struct pl_decoder *decoder, const uint8_t *bytes,
	    size_t n, const char *name, struct pl_disk **ret, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *stored = NULL;
	struct pl_runs runs = { 0 };
	struct pl_run run = {
		.length = c->size,
		.decoder = decoder,
		.stored_length = (uint32_t)n,
		.chunk_length = (uint32_t)c->size,
		.kind = PLATTER_DATA,
	};
	int r;

	if (!decoder && c->size > n)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "%zu bytes stored for %" PRIu64 " uncompressed", n, c->size);
	if (c->size > PL_MAX_CHUNK)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "%" PRIu64 " bytes compressed in one piece, limit is %" PRIu64,
				     c->size, (uint64_t)PL_MAX_CHUNK);
	r = pl_file_of_bytes(bytes, n, name, &stored, err);
	if (r == 0)
		r = pl_runs_add(&runs, &run, err);
	if (r == 0)
		return pl_file_new(stored, &runs, c->size, name, ret, err);
	pl_runs_done(&runs);
	return r;
}

/* Add chunk i, `length` bytes at `stored` of the fork. */
static int
add_chunk(const struct pl_decmpfs *c, const struct pl_decoder *decoder, const struct pl_disk *fork,
	  uint64_t i, uint64_t stored, uint64_t length, struct pl_runs *runs,
	  struct platter_error *err)
{
	uint64_t room = PL_MIN(CHUNK, c->size - i * CHUNK);
	struct pl_run run = {
		.offset = i * CHUNK,
		.length = room,
		.stored = stored,
		.decoder = decoder,
		.stored_length = (uint32_t)PL_MIN(length, MAX_STORED),
		.chunk_length = (uint32_t)room,
		.kind = PLATTER_DATA,
	};

	if (!length || !pl_in_range(stored, length, fork->size))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "compressed chunk %" PRIu64 " of %" PRIu64
				  " bytes at byte %" PRIu64 " of a resource fork of %" PRIu64,
				  i, length, stored, fork->size);
	return pl_runs_add(runs, &run, err);
}

/* A table of `nr` entries of `size` bytes of the fork, which has room for it. */
static int
read_table(struct pl_disk *fork, uint64_t at, uint64_t nr, size_t size, uint8_t **ret,
	   struct platter_error *err)
{
	if (!pl_in_range(at, nr * size, fork->size))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "table of %" PRIu64 " compressed chunks at byte %" PRIu64
				  " of a resource fork of %" PRIu64 " bytes",
				  nr, at, fork->size);
	return pl_read_alloc(fork, (size_t)nr * size, at, ret, err);
}

static int
add_resource(const struct pl_decmpfs *c, const struct pl_decoder *decoder, struct pl_disk *fork,
	     uint64_t nr, struct pl_runs *runs, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *head = NULL, *table = NULL;
	uint64_t at;
	int r = read_table(fork, 0, 1, 4, &head, err);

	if (r < 0)
		return r;
	at = get_be32(head) + UINT64_C(4);
	r = read_table(fork, at + 4, nr, 8, &table, err);
	for (uint64_t i = 0; r == 0 && i < nr; i++)
		r = add_chunk(c, decoder, fork, i, at + get_le32(table + 8 * i),
			      get_le32(table + 8 * i + 4), runs, err);
	return r;
}

static int
add_fork(const struct pl_decmpfs *c, const struct pl_decoder *decoder, struct pl_disk *fork,
	 uint64_t nr, struct pl_runs *runs, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *table = NULL;
	int r = read_table(fork, 0, nr + 1, 4, &table, err);

	for (uint64_t i = 0; r == 0 && i < nr; i++) {
		uint32_t start = get_le32(table + 4 * i), end = get_le32(table + 4 * i + 4);

		r = add_chunk(c, decoder, fork, i, start, end > start ? end - start : 0, runs, err);
	}
	return r;
}

static int
open_chunks(const struct pl_decmpfs *c, const struct method *m, struct pl_disk *fork,
	    const char *name, struct pl_disk **ret, struct platter_error *err)
{
	uint64_t nr = pl_div_round_up(c->size, CHUNK);
	struct pl_runs runs = { 0 };
	int r;

	if (nr > PL_MAX_RUNS)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "compressed file of %" PRIu64 " chunks, limit is %u", nr,
				     PL_MAX_RUNS);
	if (m->layout == IN_RESOURCE)
		r = add_resource(c, m->decoder, fork, nr, &runs, err);
	else
		r = add_fork(c, m->decoder, fork, nr, &runs, err);
	if (r == 0)
		return pl_file_new(fork, &runs, c->size, name, ret, err);
	pl_runs_done(&runs);
	return r;
}

int
pl_decmpfs_open(const void *value, size_t n, struct pl_disk *fork, const char *name,
		struct pl_disk **ret, struct platter_error *err)
{
	const struct method *m;
	struct pl_decmpfs c;
	int r = pl_decmpfs_decode(value, n, &c, err);

	if (r < 0)
		return r;
	m = find_method(c.type);
	if (!m)
		return pl_unsupported(
			err, PLATTER_NO_OFFSET,
			"file is compressed in a way that is not known, type %" PRIu32, c.type);
	if (m->layout == NOT_READABLE)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "file is compressed with %s, type %" PRIu32
				      ", which cannot be read",
				      m->how, c.type);
	if (!c.size)
		return pl_file_of_bytes("", 0, name, ret, err);
	if (m->layout == INLINE)
		return open_inline(&c, m->decoder, (const uint8_t *)value + PL_DECMPFS_HEADER,
				   n - PL_DECMPFS_HEADER, name, ret, err);
	if (!fork || !fork->size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "compressed file of type %" PRIu32 " without a resource fork",
				  c.type);
	return open_chunks(&c, m, fork, name, ret, err);
}
