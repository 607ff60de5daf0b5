/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * isz.c - compressed disc images of UltraISO, read only
 *
 * Spec: EZB Systems, "ISZ File Format Specification" 1.00, and what libmirage found that it does
 * not say.  All integers are little-endian.
 *
 *	offset  size  field
 *	     0     4  magic, "IsZ!"
 *	     4     1  bytes of the header, 48 or 64
 *	     5     1  version
 *	     6     4  serial number of the volume
 *	    10     2  bytes of a sector
 *	    12     4  sectors of the disc
 *	    16     1  encryption: 0 none, 1 password, 2 to 4 AES with 128, 192, 256 bits
 *	    17     8  bytes of a segment, 0 if there is one
 *	    25     4  chunks
 *	    29     4  bytes of a chunk
 *	    33     1  bytes of an entry of the chunk table
 *	    34     1  number of this segment, 0 the first
 *	    35     4  chunk table: offset, 0 none
 *	    39     4  segment table: offset, 0 none
 *	    43     4  data: offset
 *	    48     4  of 64: CRC-32 of the disc, inverted
 *
 * Both tables are XORed with the inverse of the magic.  An entry of the chunk table has the method
 * in its two highest bits: zeros, stored, zlib, bzip2, whose own magic is overwritten; the rest is the
 * stored length, which takes no bytes for zeros.  An entry of the segment table has 24 bytes:
 *
 *	     0     8  bytes of the segment; 0 ends the table
 *	     8     4  chunks that begin in it
 *	    12     4  number of the first
 *	    16     4  where that begins in the file of the segment
 *	    20     4  bytes of its last chunk that are in the next segment, before the first of that
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "blocks.h"
#include "chunks.h"
#include "codec.h"
#include "joined.h"
#include "secret.h"

#define MAGIC        0x215a7349u
#define HEADER_BYTES 48
#define LONG_HEADER  64
#define SEGMENT      24
#define MAX_SEGMENTS 100
/* Pieces of the chunk table that are read at once: a multiple of every length of an entry. */
#define TABLE_PIECE 49152

enum {
	HEADER_SIZE = 4,
	SERIAL = 6,
	SECTOR_SIZE = 10,
	SECTORS = 12,
	ENCRYPTION = 16,
	NR_CHUNKS = 25,
	CHUNK_SIZE = 29,
	ENTRY_SIZE = 33,
	SEGMENT_NUMBER = 34,
	CHUNK_TABLE = 35,
	SEGMENT_TABLE = 39,
	DATA_OFFSET = 43,
	CHECKSUM = 48,
};

enum {
	ENCRYPTION_NONE,
	ENCRYPTION_PASSWORD,
	ENCRYPTION_AES128,
	ENCRYPTION_AES192,
	ENCRYPTION_AES256
};

/* In the order of the chunk table; stored chunks that are encrypted come after these. */
enum {
	CHUNK_ZLIB = PL_CHUNK_ENCODED,
	CHUNK_BZIP2,
	CHUNK_ENCRYPTED,
	NR_METHODS
};

struct isz;

struct method {
	struct pl_decoder decoder;
	const struct pl_decoder *inner; /* NULL: as it is */
	const struct isz *isz;
	bool lacks_magic;
};

struct isz {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	struct pl_disk *data; /* a reference; all segments' */
	struct pl_chunks chunks;
	struct method methods[NR_METHODS];
	uint8_t header[LONG_HEADER];
	unsigned nr_segments;
	uint8_t key[32];
	const EVP_CIPHER *cipher; /* NULL: not encrypted */
};

static struct isz *
isz_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct isz, disk);
}

static int
isz_probe(const struct pl_probe *probe)
{
	unsigned size = probe->head[HEADER_SIZE];

	if (probe->size < HEADER_BYTES || get_le32(probe->head) != MAGIC)
		return 0;
	return size == HEADER_BYTES || size == LONG_HEADER ? 40 : 32;
}

static void
unmask(uint8_t *table, size_t n)
{
	uint8_t mask[4];

	put_le32(mask, ~MAGIC);
	for (size_t i = 0; i < n; i++)
		table[i] ^= mask[i % 4];
}

/* Decoding. */

/* ECB, whole blocks only: what is left over at the end was not encrypted.  `to` may be `from`. */
static int
decrypt(const struct isz *z, const uint8_t *from, size_t n, uint8_t *to, struct platter_error *err)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t whole = n & ~(size_t)15;
	int done = 0;
	bool ok = ctx && EVP_DecryptInit_ex(ctx, z->cipher, NULL, z->key, NULL) &&
		  EVP_CIPHER_CTX_set_padding(ctx, 0) &&
		  EVP_DecryptUpdate(ctx, to, &done, from, (int)whole);

	EVP_CIPHER_CTX_free(ctx);
	if (to != from)
		memcpy(to + whole, from + whole, n - whole);
	return ok ? 0 : pl_fail(err, -EIO, "cannot decrypt a chunk of %zu bytes", n);
}

/* What has to be changed before it is decoded is, in a copy. */
static int
decode_changed(const struct method *m, const uint8_t *in, size_t in_size, uint8_t *out,
	       size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *copy = malloc(in_size + 1);
	int r = 0;

	if (!copy)
		return pl_no_memory(err);
	if (m->isz->cipher)
		r = decrypt(m->isz, in, in_size, copy, err);
	else
		memcpy(copy, in, in_size);
	if (r < 0)
		return r;
	if (m->lacks_magic && in_size >= 3)
		memcpy(copy, "BZh", 3);
	if (m->inner)
		return m->inner->decode(m->inner, copy, in_size, out, out_size, chunk_offset, err);
	memcpy(out, copy, out_size);
	return 0;
}

static int
isz_decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	   size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	/* Its first member. */
	const struct method *m = (const void *)decoder;

	if (!m->inner && in_size < out_size)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "chunk of %zu bytes, expected %zu",
				  in_size, out_size);
	if (!m->inner && in_size == out_size)
		return decrypt(m->isz, in, in_size, out, err);
	if (m->inner && !m->isz->cipher && !m->lacks_magic)
		return m->inner->decode(m->inner, in, in_size, out, out_size, chunk_offset, err);
	return decode_changed(m, in, in_size, out, out_size, chunk_offset, err);
}

static void
set_methods(struct isz *z)
{
	static const char *const names[] = {
		[CHUNK_ZLIB] = "zlib", [CHUNK_BZIP2] = "bzip2", [CHUNK_ENCRYPTED] = "aes"
	};

	for (unsigned i = PL_CHUNK_ENCODED; i < NR_METHODS; i++) {
		z->methods[i] = (struct method){
			.decoder = { .name = names[i], .decode = isz_decode },
			.isz = z,
		};
		z->chunks.methods[i] = &z->methods[i].decoder;
	}
	z->methods[CHUNK_ZLIB].inner = pl_codec_zlib.decoder;
	z->methods[CHUNK_BZIP2].inner = pl_codec_bzip2.decoder;
	z->methods[CHUNK_BZIP2].lacks_magic = true;
}

/* The disk. */

static int
isz_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	struct isz *z = isz_of(disk);

	(void)length;
	if (z->chunks.nr)
		return pl_chunks_run(&z->chunks, disk, z->data, offset, ret, err);
	*ret = (struct pl_extent){ .length = disk->size - offset,
				   .kind = PLATTER_DATA,
				   .below = z->data,
				   .stored_offset = offset };
	return 0;
}

static int
isz_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	int r = pl_blocks_map(disk, isz_run, offset, length, ret, err);

	if (r < 0)
		pl_error_place(err, isz_of(disk)->file->name);
	return r;
}

static struct pl_disk *
isz_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? isz_of(disk)->data : NULL;
}

static void
isz_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	static const char *const ciphers[] = { [ENCRYPTION_AES128] = "AES-128",
					       [ENCRYPTION_AES192] = "AES-192",
					       [ENCRYPTION_AES256] = "AES-256" };
	struct isz *z = isz_of(disk);

	pl_fact_text(facts, "serial", "Serial number", "%08" PRIx32, get_le32(z->header + SERIAL));
	pl_fact_size(facts, "sector_size", "Sector size", get_le16(z->header + SECTOR_SIZE));
	if (z->chunks.nr)
		pl_fact_size(facts, "chunk_size", "Chunk size", z->chunks.size);
	if (z->nr_segments > 1)
		pl_fact_number(facts, "segments", "Segments", z->nr_segments);
	if (z->header[HEADER_SIZE] >= LONG_HEADER && get_le32(z->header + CHECKSUM))
		pl_fact_text(facts, "crc32", "CRC-32 of the disc", "%08" PRIx32,
			     ~get_le32(z->header + CHECKSUM));
	if (z->cipher)
		pl_fact_text(facts, "encryption", "Encryption", "%s",
			     ciphers[z->header[ENCRYPTION]]);
}

static void
isz_free(struct pl_disk *disk)
{
	struct isz *z = isz_of(disk);

	OPENSSL_cleanse(z->key, sizeof z->key);
	pl_chunks_done(&z->chunks);
	pl_disk_unref(z->data);
	pl_disk_unref(z->file);
	pl_disk_done(disk);
	free(z);
}

static const struct pl_disk_ops isz_ops = {
	.name = "isz",
	.map = isz_map,
	.below = isz_below,
	.describe = isz_describe,
	.free = isz_free,
};

/* The header. */

static int
check_fields(const uint8_t *h, size_t have, struct platter_error *err)
{
	uint32_t chunk = get_le32(h + CHUNK_SIZE);

	if (have < HEADER_BYTES)
		return pl_corrupt(err, 0, "file of %zu bytes is too short for an ISZ header", have);
	if (get_le32(h) != MAGIC)
		return pl_corrupt(err, 0, "no ISZ magic");
	if (h[HEADER_SIZE] < HEADER_BYTES)
		return pl_corrupt(err, HEADER_SIZE, "header of %u bytes, must be %d or %d",
				  h[HEADER_SIZE], HEADER_BYTES, LONG_HEADER);
	if (h[SEGMENT_NUMBER]) {
		int r = pl_unsupported(err, SEGMENT_NUMBER,
				       "this is part %u of an ISZ image, counted from 0",
				       h[SEGMENT_NUMBER]);

		pl_hint(err, "open its first file, whose name ends in .isz");
		return r;
	}
	if (!get_le16(h + SECTOR_SIZE))
		return pl_corrupt(err, SECTOR_SIZE, "sectors of 0 bytes");
	if (h[ENCRYPTION] == ENCRYPTION_PASSWORD || h[ENCRYPTION] > ENCRYPTION_AES256)
		return pl_unsupported(err, ENCRYPTION,
				      "encryption method %u, which is not AES, is not read",
				      h[ENCRYPTION]);
	if (!get_le32(h + CHUNK_TABLE))
		return 0;
	if (!chunk || chunk > PL_MAX_CHUNK)
		return pl_corrupt(err, CHUNK_SIZE,
				  "chunks of %" PRIu32 " bytes, limits are 1 and %" PRIu64, chunk,
				  PL_MAX_CHUNK);
	if (h[ENTRY_SIZE] < 1 || h[ENTRY_SIZE] > 4)
		return pl_corrupt(err, ENTRY_SIZE,
				  "entries of %u bytes in the chunk table, limits are 1 and 4",
				  h[ENTRY_SIZE]);
	return 0;
}

static int
read_header(struct isz *z, struct platter_error *err)
{
	uint8_t *h = z->header;
	size_t have;
	int r = pl_read_padded(z->file, h, sizeof z->header, 0, &have, err);

	if (r == 0)
		r = check_fields(h, have, err);
	if (r < 0)
		return r;
	z->disk.size = (uint64_t)get_le32(h + SECTORS) * get_le16(h + SECTOR_SIZE);
	z->chunks.size = get_le32(h + CHUNK_SIZE);
	z->nr_segments = 1;
	return 0;
}

/* The chunk table. */

static int
add_chunks(struct isz *z, const uint8_t *table, size_t nr, uint64_t at, struct platter_error *err)
{
	unsigned n = z->header[ENTRY_SIZE], bits = 8 * n - 2;
	int r = 0;

	for (size_t i = 0; i < nr && r == 0; i++) {
		uint8_t wide[4] = { 0 };
		uint32_t entry;
		unsigned method;

		memcpy(wide, table + i * n, n);
		entry = get_le32(wide);
		method = entry >> bits;
		if (method == PL_CHUNK_AS_IS && z->header[ENCRYPTION])
			method = CHUNK_ENCRYPTED;
		r = pl_chunks_add(&z->chunks, method, entry & ((1u << bits) - 1), at + i * n, err);
	}
	return r;
}

static int
read_chunk_table(struct isz *z, struct platter_error *err)
{
	uint64_t nr = get_le32(z->header + NR_CHUNKS), at = get_le32(z->header + CHUNK_TABLE);
	uint64_t bytes = nr * z->header[ENTRY_SIZE];
	PL_AUTOFREE uint8_t *piece = malloc(TABLE_PIECE);
	int r = 0;

	if (!piece)
		return pl_no_memory(err);
	if (nr < pl_div_round_up(z->disk.size, z->chunks.size))
		return pl_corrupt(err, NR_CHUNKS,
				  "%" PRIu64 " chunks of %" PRIu32
				  " bytes are less than the disc's %" PRIu64 " bytes",
				  nr, z->chunks.size, z->disk.size);
	if (!pl_in_range(at, bytes, z->file->size))
		return pl_corrupt(err, CHUNK_TABLE,
				  "chunk table of %" PRIu64 " bytes at byte %" PRIu64
				  " passes the end of the file (%" PRIu64 " bytes)",
				  bytes, at, z->file->size);
	for (uint64_t done = 0; done < bytes && r == 0; done += TABLE_PIECE) {
		size_t n = (size_t)PL_MIN(bytes - done, TABLE_PIECE);

		r = pl_read(z->file, piece, n, at + done, err);
		if (r < 0)
			return r;
		unmask(piece, n);
		r = add_chunks(z, piece, n / z->header[ENTRY_SIZE], at + done, err);
	}
	return r;
}

/* The segments. */

struct segment {
	uint32_t nr, first, offset, left;
};

/* *ret_nr: 0 without a table. */
static int
read_segments(struct isz *z, struct segment *ret, unsigned *ret_nr, struct platter_error *err)
{
	uint64_t at = get_le32(z->header + SEGMENT_TABLE);

	*ret_nr = 0;
	for (; at && *ret_nr < MAX_SEGMENTS; at += SEGMENT) {
		uint8_t e[SEGMENT];
		int r = pl_in_range(at, SEGMENT, z->file->size)
				? pl_read(z->file, e, SEGMENT, at, err)
				: pl_corrupt(err, SEGMENT_TABLE,
					     "segment table passes the end of the file (%" PRIu64
					     " bytes)",
					     z->file->size);

		if (r < 0)
			return r;
		unmask(e, SEGMENT);
		if (!get_le64(e))
			return 0;
		ret[(*ret_nr)++] = (struct segment){ get_le32(e + 8), get_le32(e + 12),
						     get_le32(e + 16), get_le32(e + 20) };
	}
	return at ? pl_over_limit(err, SEGMENT_TABLE, "more than %d segments", MAX_SEGMENTS) : 0;
}

static int
open_segment(struct isz *z, const struct pl_open_request *request, unsigned index,
	     struct pl_disk **ret, struct platter_error *err)
{
	PL_AUTOFREE char *name = NULL;
	uint8_t h[HEADER_BYTES];
	int r;

	if (!index) {
		*ret = pl_disk_ref(z->file);
		return 0;
	}
	name = pl_joined_name(z->file->name, 'i', 1, index);
	if (!name)
		return pl_no_memory(err);
	if (!request->related)
		return pl_fail(err, -ENOTSUP, "'%s' cannot be reached from here", name);
	r = request->related->open(request->related, name, "raw", false, ret, err);
	if (r < 0) {
		pl_hint(err, "put all files of the image into one folder");
		return r;
	}
	r = pl_read_padded(*ret, h, sizeof h, 0, NULL, err);
	if (r == 0 && (get_le32(h) != MAGIC || h[SEGMENT_NUMBER] != index ||
		       memcmp(h + SERIAL, z->header + SERIAL, 4) != 0))
		r = pl_corrupt(err, SERIAL, "'%s' is not part %u of this image", name, index);
	if (r < 0) {
		pl_disk_unref(*ret);
		*ret = NULL;
	}
	return r;
}

/* Where the bytes of chunks that are in the segment end, among those of all. */
static int
segment_end(const struct isz *z, const struct segment *s, uint64_t start, uint64_t *ret,
	    struct platter_error *err)
{
	uint64_t next = (uint64_t)s->first + s->nr, end;

	if (next > z->chunks.nr)
		return pl_corrupt(err, SEGMENT_TABLE,
				  "a segment ends before chunk %" PRIu64 ", and there are %zu",
				  next, z->chunks.nr);
	end = pl_chunks_start(&z->chunks, (size_t)next);
	if (end < start || end - start < s->left)
		return pl_corrupt(err, SEGMENT_TABLE,
				  "segments contradict each other at chunk %" PRIu64, next);
	*ret = end - s->left;
	return 0;
}

static int
find_part(struct isz *z, const struct pl_open_request *request, const struct segment *s,
	  unsigned nr, unsigned index, uint64_t *position, struct pl_joined_part *ret,
	  struct platter_error *err)
{
	uint32_t before = index ? s[index - 1].left : 0;
	uint64_t end = z->chunks.stored;
	int r = index + 1 < nr ? segment_end(z, &s[index], *position, &end, err) : 0;

	if (r == 0 && before > s[index].offset)
		r = pl_corrupt(err, SEGMENT_TABLE,
			       "%" PRIu32 " bytes are to be before byte %" PRIu32 " of segment %u",
			       before, s[index].offset, index);
	if (r == 0)
		r = open_segment(z, request, index, &ret->file, err);
	if (r < 0)
		return r;
	ret->offset = s[index].offset - before;
	ret->length = end - *position;
	/* Of the last one it is told later, chunk by chunk, that it is cut short. */
	if (index + 1 == nr && ret->offset <= ret->file->size)
		ret->length = PL_MIN(ret->length, ret->file->size - ret->offset);
	*position = end;
	return 0;
}

static int
join_segments(struct isz *z, const struct pl_open_request *request, const struct segment *s,
	      unsigned nr, struct platter_error *err)
{
	struct pl_joined_part parts[MAX_SEGMENTS];
	uint64_t position = 0;

	for (unsigned i = 0; i < nr; i++) {
		int r = find_part(z, request, s, nr, i, &position, &parts[i], err);

		if (r < 0) {
			while (i)
				pl_disk_unref(parts[--i].file);
			return r;
		}
	}
	z->nr_segments = nr;
	return pl_joined_new(z->file->name, parts, nr, &z->data, err);
}

/* Without a table everything is in this file, and without a chunk table as it is. */
static int
open_data(struct isz *z, const struct pl_open_request *request, struct platter_error *err)
{
	struct segment segments[MAX_SEGMENTS];
	unsigned nr;
	bool plain = !get_le32(z->header + CHUNK_TABLE);
	int r = read_segments(z, segments, &nr, err);

	if (r < 0)
		return r;
	if (plain && (nr > 1 || z->header[ENCRYPTION]))
		return pl_unsupported(err, CHUNK_TABLE, "%s without a chunk table is not read",
				      nr > 1 ? "an image in several files" : "an encrypted image");
	if (nr)
		segments[0].offset =
			segments[0].offset ? segments[0].offset : get_le32(z->header + DATA_OFFSET);
	else
		segments[nr++] = (struct segment){ .offset = get_le32(z->header + DATA_OFFSET) };
	if (plain)
		z->chunks.stored = z->disk.size;
	if (plain && !pl_in_range(segments[0].offset, z->disk.size, z->file->size))
		return pl_corrupt(err, SECTORS,
				  "disc of %" PRIu64 " bytes in a file of %" PRIu64 " bytes",
				  z->disk.size, z->file->size);
	return join_segments(z, request, segments, nr, err);
}

/* Encryption. */

/* The pass phrase is the key itself; the first chunk that can tell does so. */
static int
try_key(void *closure, const char *secret, size_t n, struct platter_error *err)
{
	struct isz *z = closure;
	PL_AUTOFREE uint8_t *out = NULL;
	struct pl_extent e;
	int r = 0;

	memset(z->key, 0, sizeof z->key);
	memcpy(z->key, secret, PL_MIN(n, (size_t)EVP_CIPHER_get_key_length(z->cipher)));
	for (uint64_t at = 0; at < z->disk.size; at += z->chunks.size) {
		r = pl_chunks_run(&z->chunks, &z->disk, z->data, at, &e, err);
		if (r < 0)
			return r;
		if (e.decoder && e.decoder != &z->methods[CHUNK_ENCRYPTED].decoder)
			break;
		e.decoder = NULL;
	}
	if (!z->disk.size || !e.decoder)
		return 0;
	out = malloc(e.chunk_length);
	if (!out)
		return pl_no_memory(err);
	r = pl_decode_chunk(&e, out, err);
	if (r == -EUCLEAN)
		return pl_fail(err, -EKEYREJECTED, "the pass phrase is not that of '%s'",
			       z->file->name);
	return r;
}

static int
unlock(struct isz *z, struct platter_error *err)
{
	switch (z->header[ENCRYPTION]) {
	case ENCRYPTION_AES128: z->cipher = EVP_aes_128_ecb(); break;
	case ENCRYPTION_AES192: z->cipher = EVP_aes_192_ecb(); break;
	case ENCRYPTION_AES256: z->cipher = EVP_aes_256_ecb(); break;
	default: return 0;
	}
	return pl_secret_try(z->file->name, try_key, z, err);
}

static int
open_parts(struct isz *z, const struct pl_open_request *request, struct platter_error *err)
{
	int r = read_header(z, err);

	if (r == 0 && get_le32(z->header + CHUNK_TABLE))
		r = read_chunk_table(z, err);
	if (r == 0)
		r = open_data(z, request, err);
	if (r == 0)
		r = pl_disk_stack(&z->disk, z->data, err);
	if (r == 0)
		r = unlock(z, err);
	if (r == 0 && request->snapshot)
		r = pl_fail(err, -ENOENT, "'%s' is an ISZ image, which has no snapshots",
			    z->file->name);
	return r;
}

static int
isz_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct isz *z = calloc(1, sizeof *z);
	int r;

	if (!z)
		return pl_no_memory(err);
	r = pl_disk_init(&z->disk, &isz_ops, request->file->name, err);
	if (r < 0) {
		free(z);
		return r;
	}
	z->file = pl_disk_ref(request->file);
	set_methods(z);
	r = open_parts(z, request, err);
	if (r < 0) {
		pl_error_place(err, z->file->name);
		isz_free(&z->disk);
		return r;
	}
	*ret = &z->disk;
	return 0;
}

static int
isz_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct isz *z = isz_of(disk);

	(void)err;
	if (z->chunks.nr)
		pl_chunks_check(&z->chunks, disk, z->data, findings);
	return 0;
}

static const char *const extensions[] = { "isz", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_isz = {
	.info = {
		.name = "isz",
		.longname = "UltraISO compressed disc image",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = isz_probe,
	.open = isz_open,
	.check = isz_check,
	.disk_ops = &isz_ops,
};
