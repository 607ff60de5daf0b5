/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * uif.c - MagicISO's compressed disc images, UIF, read only
 *
 * Not documented by its maker; uif2iso found out.  All integers are little-endian.  The last
 * 64 bytes of the file:
 *
 *	offset  size  field
 *	     0     4  "bbis"
 *	     8     2  version: below 3 zlib, from 3 on LZMA
 *	    10     2  kind: 8 an ISO, 9 what has tracks
 *	    16     4  sectors of the disc
 *	    20     4  bytes of a sector
 *	    24     4  bytes of the last sector, 0: all
 *	    28     8  table: offset
 *	    56     1  which fixed key encrypts it, 1 to 16; 0 none
 *	    57     1  2: encrypted in another way
 *
 * The table begins with "blhr" ("bsdr": encrypted by a password), its length with what follows from
 * byte 8 on, 4 bytes that are not 0 if it is compressed, and the number of entries:
 *
 *	     0     8  offset in the file
 *	     8     4  stored bytes
 *	    12     4  first sector
 *	    16     4  sectors
 *	    20     4  1 as it is, 3 zeros, 5 compressed
 *
 * LZMA is preceded by a byte, not 0 if it was filtered for x86, and a header of the .lzma container.
 */
#include "blocks.h"
#include "codec.h"

#define TRAILER_BYTES 64
#define TABLE_HEAD    16
#define ENTRY_BYTES   24
/* A dual-layer DVD in pieces of 2 sectors; 48 MiB of table. */
#define MAX_ENTRIES  (1u << 21)
#define LZMA_HEADER  14
#define FIRST_LZMA   3
#define FIRST_KEYS   2
#define HIGHEST_KEY  16
#define OTHER_CIPHER 2

/* In the last 64 bytes. */
enum {
	VERSION = 8,
	KIND = 10,
	SECTORS = 16,
	SECTOR_SIZE = 20,
	LAST_BYTES = 24,
	TABLE_OFFSET = 28,
	FIXED_KEY = 56,
	CIPHER = 57,
};

enum {
	AS_IS = 1,
	ZEROS = 3,
	COMPRESSED = 5
};

enum {
	KIND_ISO = 8,
	KIND_TRACKS = 9
};

struct piece {
	uint64_t at; /* in the file */
	uint32_t stored;
	uint32_t first, nr; /* sectors */
	uint32_t type;
};

struct uif {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	uint64_t trailer_at;
	uint16_t version, kind;
	uint32_t sector_size;
	struct piece *pieces; /* by their first sector */
	size_t nr;
};

static struct uif *
uif_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct uif, disk);
}

static int
uif_probe(const struct pl_probe *probe)
{
	const uint8_t *t = probe->tail + PL_PROBE_TAIL - TRAILER_BYTES;

	if (probe->size < TRAILER_BYTES + TABLE_HEAD)
		return 0;
	if (probe->size < PL_PROBE_TAIL)
		t = probe->head + probe->size - TRAILER_BYTES;
	if (memcmp(t, "bbis", 4) != 0)
		return 0;
	return get_le64(t + TABLE_OFFSET) < probe->size ? 40 : 32;
}

/* Decoding. */

static int
decode_lzma(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	    size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	int r;

	(void)decoder, (void)chunk_offset;
	if (in_size < LZMA_HEADER)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "LZMA piece of %zu bytes, its header has %d", in_size,
				  LZMA_HEADER);
	r = pl_lzma_decode(in + 1, in + LZMA_HEADER, in_size - LZMA_HEADER, out, out_size, err);
	if (r == 0 && in[0])
		pl_bcj_x86_decode(out, out_size);
	return r;
}

static const struct pl_decoder lzma_decoder = { .name = "lzma", .decode = decode_lzma };

static const struct pl_decoder *
decoder_of(const struct uif *u)
{
	return u->version < FIRST_LZMA ? pl_codec_zlib.decoder : &lzma_decoder;
}

/* The disk. */

/* The piece at the sector, or the next one; `nr` if there is none. */
static size_t
find_piece(const struct uif *u, uint64_t sector)
{
	size_t low = 0, high = u->nr;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if ((uint64_t)u->pieces[middle].first + u->pieces[middle].nr <= sector)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Bytes as they are, behind which the piece is zeros. */
static void
map_as_is(const struct uif *u, const struct piece *p, uint64_t skip, struct pl_extent *ret)
{
	if (skip >= p->stored)
		return;
	ret->length = PL_MIN(ret->length, p->stored - skip);
	ret->kind = PLATTER_DATA;
	ret->below = u->file;
	ret->stored_offset = p->at + skip;
}

static int
uif_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	struct uif *u = uif_of(disk);
	size_t i = find_piece(u, offset / u->sector_size);
	const struct piece *p = i < u->nr ? &u->pieces[i] : NULL;
	uint64_t start = p ? (uint64_t)p->first * u->sector_size : disk->size, chunk;

	(void)length;
	/* What no entry tells of was never written. */
	*ret = (struct pl_extent){ .length = PL_MIN(start, disk->size) - PL_MIN(offset, start),
				   .kind = PLATTER_ZERO };
	if (offset < start)
		return 0;
	ret->length = PL_MIN((uint64_t)p->nr * u->sector_size, disk->size - start);
	if (p->type != ZEROS && !pl_in_range(p->at, p->stored, u->trailer_at)) {
		int r = pl_corrupt(err, p->at,
				   "%" PRIu32 " bytes of sector %" PRIu32 " are at byte %" PRIu64
				   " of a file of %" PRIu64 " bytes",
				   p->stored, p->first, p->at, u->file->size);

		pl_hint(err, "the file is damaged: compare its size with the original");
		return r;
	}
	chunk = ret->length;
	ret->length -= offset - start;
	if (p->type == AS_IS)
		map_as_is(u, p, offset - start, ret);
	if (p->type != COMPRESSED)
		return 0;
	ret->kind = PLATTER_DATA;
	ret->below = u->file;
	ret->decoder = decoder_of(u);
	ret->stored_offset = p->at;
	ret->stored_length = p->stored;
	ret->chunk_offset = start;
	ret->chunk_length = (uint32_t)chunk;
	return 0;
}

static int
uif_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	int r = pl_blocks_map(disk, uif_run, offset, length, ret, err);

	if (r < 0)
		pl_error_place(err, uif_of(disk)->file->name);
	return r;
}

static struct pl_disk *
uif_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? uif_of(disk)->file : NULL;
}

static void
uif_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct uif *u = uif_of(disk);

	pl_fact_number(facts, "version", "Version", u->version);
	pl_fact_text(facts, "kind", "Kind", u->kind == KIND_TRACKS ? "disc with tracks" : "ISO");
	pl_fact_size(facts, "sector_size", "Sector size", u->sector_size);
	pl_fact_number(facts, "pieces", "Pieces", u->nr);
	if (u->kind == KIND_TRACKS)
		pl_warn(facts, "what tracks it has is not read: it is shown as one run of sectors");
}

static void
uif_free(struct pl_disk *disk)
{
	struct uif *u = uif_of(disk);

	free(u->pieces);
	pl_disk_unref(u->file);
	pl_disk_done(disk);
	free(u);
}

static const struct pl_disk_ops uif_ops = {
	.name = "uif",
	.map = uif_map,
	.below = uif_below,
	.describe = uif_describe,
	.free = uif_free,
};

/* The trailer. */

static int
check_encryption(const struct uif *u, const uint8_t *t, struct platter_error *err)
{
	if (u->version < FIRST_KEYS)
		return 0;
	if (t[CIPHER] == OTHER_CIPHER)
		return pl_unsupported(err, u->trailer_at + CIPHER,
				      "it is encrypted by MagicISO, which is not read");
	if (t[FIXED_KEY] && t[FIXED_KEY] <= HIGHEST_KEY)
		return pl_unsupported(err, u->trailer_at + FIXED_KEY,
				      "it is encrypted by fixed key %u, which is not read",
				      t[FIXED_KEY]);
	return 0;
}

static int
check_trailer(struct uif *u, const uint8_t *t, struct platter_error *err)
{
	uint32_t last = get_le32(t + LAST_BYTES), sectors = get_le32(t + SECTORS);

	if (memcmp(t, "bbis", 4) != 0)
		return pl_corrupt(err, u->trailer_at, "no 'bbis' 64 bytes before the end");
	u->version = get_le16(t + VERSION);
	u->kind = get_le16(t + KIND);
	u->sector_size = get_le32(t + SECTOR_SIZE);
	if (!u->sector_size || u->sector_size > PL_MAX_CHUNK)
		return pl_corrupt(err, u->trailer_at + SECTOR_SIZE,
				  "sectors of %" PRIu32 " bytes, limits are 1 and %" PRIu64,
				  u->sector_size, PL_MAX_CHUNK);
	if (last > u->sector_size || (last && !sectors))
		return pl_corrupt(err, u->trailer_at + LAST_BYTES,
				  "last sector of %" PRIu32 " bytes, limit is %" PRIu32, last,
				  u->sector_size);
	u->disk.size = (uint64_t)sectors * u->sector_size - (last ? u->sector_size - last : 0);
	return check_encryption(u, t, err);
}

static int
read_trailer(struct uif *u, uint64_t *ret_table, struct platter_error *err)
{
	uint8_t t[TRAILER_BYTES];
	int r;

	if (u->file->size < TRAILER_BYTES)
		return pl_corrupt(err, 0, "file of %" PRIu64 " bytes is too short for a UIF",
				  u->file->size);
	u->trailer_at = u->file->size - TRAILER_BYTES;
	r = pl_read(u->file, t, sizeof t, u->trailer_at, err);
	if (r == 0)
		r = check_trailer(u, t, err);
	*ret_table = get_le64(t + TABLE_OFFSET);
	return r;
}

/* The table. */

static int
by_sector(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static int
check_piece(const struct uif *u, const struct piece *p, uint64_t at, struct platter_error *err)
{
	uint64_t bytes = (uint64_t)p->nr * u->sector_size;

	if (p->type != AS_IS && p->type != ZEROS && p->type != COMPRESSED)
		return pl_unsupported(err, at,
				      "sector %" PRIu32 " is stored by method %" PRIu32
				      ", which is not known",
				      p->first, p->type);
	if (p->type == COMPRESSED && (bytes > PL_MAX_CHUNK || p->stored > 2 * PL_MAX_CHUNK))
		return pl_over_limit(err, at,
				     "a compressed piece of %" PRIu64 " bytes, limit is %" PRIu64,
				     bytes, PL_MAX_CHUNK);
	return 0;
}

/* `at` is where the table begins: entries that are compressed are at no byte of their own. */
static int
take_pieces(struct uif *u, const uint8_t *table, uint32_t nr, uint64_t at,
	    struct platter_error *err)
{
	u->pieces = calloc((size_t)nr + 1, sizeof *u->pieces);
	if (!u->pieces)
		return pl_no_memory(err);
	for (uint32_t i = 0; i < nr; i++, table += ENTRY_BYTES) {
		struct piece p = { .at = get_le64(table),
				   .stored = get_le32(table + 8),
				   .first = get_le32(table + 12),
				   .nr = get_le32(table + 16),
				   .type = get_le32(table + 20) };
		int r = check_piece(u, &p, at, err);

		if (r < 0)
			return r;
		if (p.nr)
			u->pieces[u->nr++] = p;
	}
	qsort(u->pieces, u->nr, sizeof *u->pieces, by_sector);
	for (size_t i = 1; i < u->nr; i++) {
		const struct piece *p = &u->pieces[i];

		if ((uint64_t)p[-1].first + p[-1].nr > p->first)
			return pl_corrupt(err, at, "sector %" PRIu32 " is stored twice", p->first);
	}
	return 0;
}

/* The entries as they are in memory: n bytes of the file hold them, compressed or not. */
static int
read_entries(struct uif *u, uint64_t at, uint64_t n, bool compressed, uint32_t nr, uint8_t **ret,
	     struct platter_error *err)
{
	PL_AUTOFREE uint8_t *stored = NULL, *table = NULL;
	size_t bytes = (size_t)nr * ENTRY_BYTES;
	int r;

	if (!pl_in_range(at, compressed ? n : bytes, u->trailer_at))
		return pl_corrupt(err, at,
				  "table of %" PRIu64 " bytes at byte %" PRIu64
				  " passes the end of the data (%" PRIu64 " bytes)",
				  compressed ? n : bytes, at, u->trailer_at);
	if (!compressed)
		return pl_read_alloc(u->file, bytes, at, ret, err);
	if (n > 2 * PL_MAX_CHUNK)
		return pl_over_limit(err, at, "table of %" PRIu64 " bytes, limit is %" PRIu64, n,
				     2 * PL_MAX_CHUNK);
	r = pl_read_alloc(u->file, (size_t)n, at, &stored, err);
	if (r < 0)
		return r;
	table = malloc(bytes + 1);
	if (!table)
		return pl_no_memory(err);
	r = decoder_of(u)->decode(decoder_of(u), stored, (size_t)n, table, bytes, 0, err);
	if (r < 0) {
		pl_context(err, "table of pieces at byte %" PRIu64, at);
		return r;
	}
	*ret = PL_STEAL(table);
	return 0;
}

static int
read_table(struct uif *u, uint64_t at, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *table = NULL;
	uint8_t h[TABLE_HEAD];
	uint32_t nr, length;
	int r = pl_in_range(at, TABLE_HEAD, u->trailer_at)
			? pl_read(u->file, h, sizeof h, at, err)
			: pl_corrupt(err, u->trailer_at + TABLE_OFFSET,
				     "table at byte %" PRIu64 " of a file of %" PRIu64 " bytes", at,
				     u->file->size);

	if (r < 0)
		return r;
	if (memcmp(h, "bsdr", 4) == 0)
		return pl_unsupported(err, at, "it is encrypted by a password, which is not read");
	length = get_le32(h + 4);
	nr = get_le32(h + 12);
	if (memcmp(h, "blhr", 4) != 0)
		return pl_corrupt(err, at, "no 'blhr' where the table begins");
	if (length < 8)
		return pl_corrupt(err, at + 4, "table of %" PRIu32 " bytes, the least is 8",
				  length);
	if (nr > MAX_ENTRIES)
		return pl_over_limit(err, at + 12, "%" PRIu32 " pieces, limit is %u", nr,
				     MAX_ENTRIES);
	if (nr)
		r = read_entries(u, at + TABLE_HEAD, length - 8, get_le32(h + 8), nr, &table, err);
	return r < 0 || !nr ? r : take_pieces(u, table, nr, at, err);
}

static int
open_parts(struct uif *u, const struct pl_open_request *request, struct platter_error *err)
{
	uint64_t table;
	int r = pl_disk_stack(&u->disk, u->file, err);

	if (r == 0)
		r = read_trailer(u, &table, err);
	if (r == 0)
		r = read_table(u, table, err);
	if (r == 0 && request->snapshot)
		r = pl_fail(err, -ENOENT, "'%s' is a UIF image, which has no snapshots",
			    u->file->name);
	return r;
}

static int
uif_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct uif *u = calloc(1, sizeof *u);
	int r;

	if (!u)
		return pl_no_memory(err);
	r = pl_disk_init(&u->disk, &uif_ops, request->file->name, err);
	if (r < 0) {
		free(u);
		return r;
	}
	u->file = pl_disk_ref(request->file);
	r = open_parts(u, request, err);
	if (r < 0) {
		pl_error_place(err, u->file->name);
		uif_free(&u->disk);
		return r;
	}
	*ret = &u->disk;
	return 0;
}

static int
uif_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct uif *u = uif_of(disk);

	(void)err;
	for (size_t i = 0; i < u->nr; i++) {
		const struct piece *p = &u->pieces[i];
		uint64_t end = ((uint64_t)p->first + p->nr - 1) * u->sector_size;

		if (end >= disk->size)
			pl_found(findings, PLATTER_DAMAGE, p->at,
				 "%" PRIu32 " sectors from sector %" PRIu32
				 " on pass the end of the disc",
				 p->nr, p->first);
		if (p->type != ZEROS && !pl_in_range(p->at, p->stored, u->trailer_at))
			pl_found(findings, PLATTER_DAMAGE, p->at,
				 "%" PRIu32 " bytes of sector %" PRIu32 " are not in the file",
				 p->stored, p->first);
	}
	return 0;
}

static const char *const extensions[] = { "uif", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_uif = {
	.info = {
		.name = "uif",
		.longname = "MagicISO disc image (UIF)",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = uif_probe,
	.open = uif_open,
	.check = uif_check,
	.disk_ops = &uif_ops,
};
