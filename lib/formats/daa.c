/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * daa.c - PowerISO's and gBurner's compressed disc images, DAA and GBI, read only
 *
 * Not documented by its makers; daa2iso and libmirage found out.  All integers are little-endian.
 *
 *	offset  size  field
 *	     0    16  magic, "DAA" or "GBI" and zeros; in later files "DAA VOL", "GBI VOL"
 *	    16     4  chunk table: offset; in later files that of the data
 *	    20     4  version, 0x100 or 0x110
 *	    24     4  data: offset, in version 0x110 of 24 bits
 *	    28     8  1 and 0
 *	    36     4  bytes of a chunk; in version 0x110 12 bits of units of 16 KiB, and flags
 *	    40     8  bytes of the disc
 *	    48     8  bytes of the file
 *	    56     1  profile; of version 0x110, as what follows
 *	    57     4  bytes of the chunk table if that is compressed
 *	    61     1  bits of an entry: 3 for the type, above them the length's, less 10; 0: computed
 *	    62     1  filter after LZMA: 0 none, 1 x86
 *	    63     5  properties of LZMA
 *	    72     4  CRC-32 of all before
 *
 * Between header and chunk table are descriptors: type, length with these 8 bytes, contents.  1 and 2
 * belong to an image in several files, 2 counts them; 3 tells of a password.
 *
 * The table has a length for each chunk, of which they are stored one behind another.  Version 0x100:
 * 3 bytes in the order 2, 0, 1, all by deflate.  Version 0x110: packed bits, the lowest first, a length
 * less 5 and a type, 0 LZMA or 1 deflate; what is as long as a chunk or longer is as it is.
 */
#include "blocks.h"
#include "checksums.h"
#include "chunks.h"
#include "codec.h"
#include "joined.h"

#define HEADER_BYTES 76
#define VERSION_1    0x100u
#define VERSION_2    0x110u
#define MAX_PARTS    1000u
/* Two kinds are known, of which an image has one each. */
#define MAX_DESCRIPTORS 64
/* Of 2^24 chunks, of 32 bits each and a type. */
#define MAX_TABLE   MIB(72)
#define OFFSET_MASK 0xffffffu
#define CHUNK_UNIT  14

/* In the field of the chunks' size. */
#define FLAG_TABLE_COMPRESSED 0x4000u
#define FLAG_BITS_MASKED      0x20000u
#define FLAG_SWAP             (3u << 23)
#define FLAG_SWAP_GBI         (1u << 23)
#define FLAG_TABLE_MASKED     0x8000000u

enum {
	TABLE_OFFSET = 16,
	VERSION = 20,
	DATA_OFFSET = 24,
	CHUNK_SIZE = 36,
	DISC_SIZE = 40,
	ENTRY_BITS = 61,
	FILTER = 62,
	PROPERTIES = 63,
	CHECKSUM = 72,
};

enum {
	DESCRIPTOR_SPLIT = 2,
	DESCRIPTOR_ENCRYPTION = 3
};

enum {
	CHUNK_LZMA = PL_CHUNK_ENCODED,
	CHUNK_DEFLATE
};

struct lzma {
	struct pl_decoder decoder;
	uint8_t properties[5];
	bool x86;
};

struct daa {
	struct pl_disk disk;
	struct pl_disk *file; /* a reference */
	struct pl_disk *data; /* a reference; that of all parts */
	struct pl_chunks chunks;
	struct lzma lzma;
	uint8_t header[HEADER_BYTES];
	bool gbi;
	uint32_t version;
	uint64_t data_offset;
	unsigned length_bits, type_bits; /* of an entry of version 0x110 */
	unsigned nr_parts;
};

static struct daa *
daa_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct daa, disk);
}

/* 0: neither. */
static char
kind_of(const uint8_t h[static 16], bool later)
{
	static const char magics[2][2][16] = { { "DAA", "DAA VOL" }, { "GBI", "GBI VOL" } };

	for (int gbi = 0; gbi < 2; gbi++)
		if (memcmp(h, magics[gbi][later], 16) == 0)
			return gbi ? 'g' : 'd';
	return 0;
}

static int
daa_probe(const struct pl_probe *probe)
{
	if (probe->size < 40 || (!kind_of(probe->head, false) && !kind_of(probe->head, true)))
		return 0;
	return 128;
}

static int
lzma_decode(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	    size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	/* Its first member. */
	const struct lzma *l = (const void *)decoder;
	int r = pl_lzma_decode(l->properties, in, in_size, out, out_size, err);

	(void)chunk_offset;
	if (r == 0 && l->x86)
		pl_bcj_x86_decode(out, out_size);
	return r;
}

/* The disk. */

static int
daa_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	struct daa *d = daa_of(disk);

	(void)length;
	return pl_chunks_run(&d->chunks, disk, d->data, offset, ret, err);
}

static int
daa_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	struct platter_error *err)
{
	int r = pl_blocks_map(disk, daa_run, offset, length, ret, err);

	if (r < 0)
		pl_error_place(err, daa_of(disk)->file->name);
	return r;
}

static struct pl_disk *
daa_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? daa_of(disk)->data : NULL;
}

static void
daa_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct daa *d = daa_of(disk);

	pl_fact_text(facts, "kind", "Kind", d->gbi ? "gBurner (GBI)" : "PowerISO (DAA)");
	pl_fact_text(facts, "version", "Version", d->version == VERSION_1 ? "1.0" : "1.1");
	pl_fact_size(facts, "chunk_size", "Chunk size", d->chunks.size);
	if (d->nr_parts > 1)
		pl_fact_number(facts, "parts", "Parts", d->nr_parts);
}

static void
daa_free(struct pl_disk *disk)
{
	struct daa *d = daa_of(disk);

	pl_chunks_done(&d->chunks);
	pl_disk_unref(d->data);
	pl_disk_unref(d->file);
	pl_disk_done(disk);
	free(d);
}

static const struct pl_disk_ops daa_ops = {
	.name = "daa",
	.map = daa_map,
	.below = daa_below,
	.describe = daa_describe,
	.free = daa_free,
};

/* The header. */

static int
check_magic(struct daa *d, size_t have, unsigned flags, struct platter_error *err)
{
	const uint8_t *h = d->header;

	if (kind_of(h, true)) {
		int r = pl_unsupported(err, 0, "this is a later part of an image in several files");

		pl_hint(err, "open its first file, whose name ends in .daa or .part01.daa");
		return r;
	}
	if (!kind_of(h, false))
		return pl_corrupt(err, 0, "no DAA or GBI magic");
	if (have < HEADER_BYTES)
		return pl_corrupt(err, 0, "file of %zu bytes is too short for a DAA header", have);
	d->gbi = kind_of(h, false) == 'g';
	if (!(flags & PLATTER_OPEN_IGNORE_CHECKSUMS) &&
	    pl_crc32(0, h, CHECKSUM) != get_le32(h + CHECKSUM))
		return pl_corrupt(err, CHECKSUM, "header checksum does not match");
	return 0;
}

/* How the entries of version 0x110 are packed. */
static int
read_bit_widths(struct daa *d, struct platter_error *err)
{
	unsigned bits = d->header[ENTRY_BITS] >> 3;

	d->type_bits = d->header[ENTRY_BITS] & 7;
	if (bits) {
		d->length_bits = bits + 10;
	} else {
		for (uint32_t left = d->chunks.size; left > d->type_bits; left >>= 1)
			d->length_bits++;
	}
	if (d->length_bits > 32)
		return pl_corrupt(err, ENTRY_BITS,
				  "lengths of %u bits in the chunk table, limit is 32",
				  d->length_bits);
	return 0;
}

static int
read_version_2(struct daa *d, struct platter_error *err)
{
	uint32_t field = get_le32(d->header + CHUNK_SIZE);

	d->data_offset = get_le32(d->header + DATA_OFFSET) & OFFSET_MASK;
	d->chunks.size = (field & 0xfff) << CHUNK_UNIT;
	if (field & FLAG_TABLE_COMPRESSED)
		return pl_unsupported(err, CHUNK_SIZE,
				      "its chunk table is compressed, which is not read");
	if ((field & FLAG_SWAP) != (d->gbi ? FLAG_SWAP_GBI : 0))
		return pl_unsupported(err, CHUNK_SIZE,
				      "the bits of its data are swapped, which is not read");
	if (d->header[FILTER] > 1)
		return pl_unsupported(err, FILTER, "filter %u is not known", d->header[FILTER]);
	d->lzma.x86 = d->header[FILTER];
	memcpy(d->lzma.properties, d->header + PROPERTIES, 5);
	return read_bit_widths(d, err);
}

static int
read_header(struct daa *d, unsigned flags, struct platter_error *err)
{
	const uint8_t *h = d->header;
	size_t have;
	int r = pl_read_padded(d->file, d->header, HEADER_BYTES, 0, &have, err);

	if (r == 0)
		r = check_magic(d, have, flags, err);
	if (r < 0)
		return r;
	d->version = get_le32(h + VERSION);
	d->data_offset = get_le32(h + DATA_OFFSET);
	d->chunks.size = get_le32(h + CHUNK_SIZE);
	d->disk.size = get_le64(h + DISC_SIZE);
	if (d->version == VERSION_2)
		r = read_version_2(d, err);
	else if (d->version != VERSION_1)
		r = pl_unsupported(err, VERSION, "version 0x%" PRIx32 " is not known", d->version);
	if (r < 0)
		return r;
	if (!d->chunks.size || d->chunks.size > PL_MAX_CHUNK)
		return pl_corrupt(err, CHUNK_SIZE,
				  "chunks of %" PRIu32 " bytes, limits are 1 and %" PRIu64,
				  d->chunks.size, PL_MAX_CHUNK);
	if (d->disk.size > INT64_MAX)
		return pl_over_limit(err, DISC_SIZE, "disc of %" PRIu64 " bytes, limit is %" PRId64,
				     d->disk.size, INT64_MAX);
	return 0;
}

/* What is between the header and the chunk table. */
static int
read_descriptors(struct daa *d, struct platter_error *err)
{
	uint64_t at = HEADER_BYTES, end = get_le32(d->header + TABLE_OFFSET);

	d->nr_parts = 1;
	for (unsigned nr = 0; at < end; nr++) {
		uint8_t e[12];
		uint32_t length;
		int r = pl_read_padded(d->file, e, sizeof e, at, NULL, err);

		if (r < 0)
			return r;
		if (nr == MAX_DESCRIPTORS)
			return pl_over_limit(err, at, "more than %d descriptors", MAX_DESCRIPTORS);
		length = get_le32(e + 4);
		if (length < 8 || !pl_in_range(at, length, PL_MIN(end, d->file->size)))
			return pl_corrupt(err, at,
					  "descriptor of %" PRIu32
					  " bytes, limits are 8 and what is before the chunk table",
					  length);
		if (get_le32(e) == DESCRIPTOR_ENCRYPTION)
			return pl_unsupported(err, at,
					      "it is encrypted by a password, which is not read");
		if (get_le32(e) == DESCRIPTOR_SPLIT && length >= 12)
			d->nr_parts = get_le32(e + 8);
		at += length;
	}
	if (!d->nr_parts || d->nr_parts > MAX_PARTS)
		return pl_over_limit(err, HEADER_BYTES, "image in %u files, limit is %u",
				     d->nr_parts, MAX_PARTS);
	return 0;
}

/* The chunk table. */

static void
unmask(const struct daa *d, uint8_t *table, size_t n)
{
	uint64_t sectors = d->disk.size / 2048;
	uint8_t step = (uint8_t)(sectors >> 8), mask = (uint8_t)sectors;
	uint8_t crc = d->header[CHECKSUM], quarter = (uint8_t)(n / 4);

	for (size_t i = 0; d->gbi && i < n; i++)
		table[i] = (uint8_t)(table[i] - crc) ^ quarter;
	if (d->version == VERSION_1 || !(get_le32(d->header + CHUNK_SIZE) & FLAG_TABLE_MASKED))
		return;
	for (size_t i = 0; i < n; i++) {
		table[i] -= mask;
		mask += step;
	}
}

static uint32_t
take_bits(const uint8_t *table, uint64_t *at, unsigned nr)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < nr; i++, ++*at)
		value |= (uint32_t)(table[*at / 8] >> *at % 8 & 1) << i;
	return value;
}

/* The i-th entry by the mask that goes over both of its numbers. */
static uint32_t
bit_mask(const struct daa *d, size_t i)
{
	static const uint8_t masks[8] = { 0x0a, 0x35, 0x2d, 0x3f, 0x08, 0x33, 0x09, 0x15 };

	if (!(get_le32(d->header + CHUNK_SIZE) & FLAG_BITS_MASKED))
		return 0;
	return ((i ^ masks[i & 7]) & 0xff) * 0x01010101u;
}

static uint32_t
low_bits(unsigned nr)
{
	return nr == 32 ? UINT32_MAX : (1u << nr) - 1;
}

static int
add_packed(struct daa *d, const uint8_t *table, size_t i, uint64_t at, struct platter_error *err)
{
	uint64_t bit = (uint64_t)i * (d->length_bits + d->type_bits), length;
	uint32_t mask = bit_mask(d, i), type;

	length =
		(take_bits(table, &bit, d->length_bits) ^ (mask & low_bits(d->length_bits))) + 5ull;
	type = take_bits(table, &bit, d->type_bits) ^ (mask & low_bits(d->type_bits));
	if (length >= d->chunks.size)
		return pl_chunks_add(&d->chunks, PL_CHUNK_AS_IS, length, at, err);
	if (type > 1)
		return pl_unsupported(err, at,
				      "chunk %zu is of type %" PRIu32 ", which is not known", i,
				      type);
	return pl_chunks_add(&d->chunks, type ? CHUNK_DEFLATE : CHUNK_LZMA, length, at, err);
}

static int
add_chunks(struct daa *d, const uint8_t *table, uint64_t nr, struct platter_error *err)
{
	uint64_t at = get_le32(d->header + TABLE_OFFSET);
	int r = 0;

	for (size_t i = 0; i < nr && r == 0; i++) {
		const uint8_t *e = table + i * 3;

		if (d->version == VERSION_2)
			r = add_packed(d, table, i, at, err);
		else
			r = pl_chunks_add(&d->chunks, CHUNK_DEFLATE,
					  (uint32_t)e[0] << 16 | (uint32_t)e[2] << 8 | e[1],
					  at + i * 3, err);
	}
	return r;
}

static int
read_chunk_table(struct daa *d, struct platter_error *err)
{
	uint64_t at = get_le32(d->header + TABLE_OFFSET), room = d->data_offset, nr;
	unsigned bits = d->version == VERSION_2 ? d->length_bits + d->type_bits : 24;
	PL_AUTOFREE uint8_t *table = NULL;
	int r;

	if (at < HEADER_BYTES || at > room || room > d->file->size)
		return pl_corrupt(err, TABLE_OFFSET,
				  "chunk table at byte %" PRIu64 ", data at byte %" PRIu64
				  ", file of %" PRIu64 " bytes",
				  at, room, d->file->size);
	room -= at;
	nr = pl_div_round_up(d->disk.size, d->chunks.size);
	if (room > MAX_TABLE)
		return pl_over_limit(err, TABLE_OFFSET,
				     "chunk table of %" PRIu64 " bytes, limit is %" PRIu64, room,
				     MAX_TABLE);
	if (!bits || nr > room * 8 / bits)
		return pl_corrupt(err, DISC_SIZE,
				  "disc of %" PRIu64 " bytes has %" PRIu64
				  " chunks, and the chunk table has %" PRIu64 " bytes",
				  d->disk.size, nr, room);
	/* The mask of GBI depends on how many bytes whole entries take. */
	room = d->version == VERSION_2 ? (room * 8 / bits * bits + 7) / 8 : room;
	r = pl_read_alloc(d->file, (size_t)room, at, &table, err);
	if (r < 0)
		return r;
	unmask(d, table, (size_t)room);
	return add_chunks(d, table, nr, err);
}

/* The files. */

static int
open_part(struct daa *d, const struct pl_open_request *request, unsigned index,
	  struct pl_joined_part *ret, struct platter_error *err)
{
	char letter = d->gbi ? 'g' : 'd';
	PL_AUTOFREE char *name = pl_joined_name(d->file->name, letter, 0, index);
	uint8_t h[20];
	int r;

	if (!name)
		return pl_no_memory(err);
	if (!request->related)
		return pl_fail(err, -ENOTSUP, "'%s' cannot be reached from here", name);
	r = request->related->open(request->related, name, "raw", false, &ret->file, err);
	if (r < 0) {
		pl_hint(err, "put all files of the image into one folder");
		return r;
	}
	r = pl_read_padded(ret->file, h, sizeof h, 0, NULL, err);
	ret->offset = get_le32(h + TABLE_OFFSET) & OFFSET_MASK;
	if (r == 0 && (kind_of(h, true) != letter || ret->offset > ret->file->size))
		r = pl_corrupt(err, 0, "'%s' is not part %u of an image like this", name,
			       index + 1);
	if (r < 0) {
		pl_disk_unref(ret->file);
		return r;
	}
	ret->length = ret->file->size - ret->offset;
	return 0;
}

static int
join_parts(struct daa *d, const struct pl_open_request *request, struct platter_error *err)
{
	PL_AUTOFREE struct pl_joined_part *parts = calloc(d->nr_parts, sizeof *parts);

	if (!parts)
		return pl_no_memory(err);
	parts[0] = (struct pl_joined_part){ pl_disk_ref(d->file), d->data_offset,
					    d->file->size - d->data_offset };
	for (unsigned i = 1; i < d->nr_parts; i++) {
		int r = open_part(d, request, i, &parts[i], err);

		if (r < 0) {
			while (i)
				pl_disk_unref(parts[--i].file);
			return r;
		}
	}
	return pl_joined_new(d->file->name, parts, d->nr_parts, &d->data, err);
}

static int
open_parts(struct daa *d, const struct pl_open_request *request, struct platter_error *err)
{
	int r = read_header(d, request->flags, err);

	if (r == 0)
		r = read_descriptors(d, err);
	if (r == 0)
		r = read_chunk_table(d, err);
	if (r == 0)
		r = join_parts(d, request, err);
	if (r == 0)
		r = pl_disk_stack(&d->disk, d->data, err);
	if (r == 0 && request->snapshot)
		r = pl_fail(err, -ENOENT, "'%s' is a DAA image, which has no snapshots",
			    d->file->name);
	return r;
}

static int
daa_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	struct daa *d = calloc(1, sizeof *d);
	int r;

	if (!d)
		return pl_no_memory(err);
	r = pl_disk_init(&d->disk, &daa_ops, request->file->name, err);
	if (r < 0) {
		free(d);
		return r;
	}
	d->file = pl_disk_ref(request->file);
	d->lzma.decoder = (struct pl_decoder){ .name = "lzma", .decode = lzma_decode };
	d->chunks.methods[CHUNK_LZMA] = &d->lzma.decoder;
	d->chunks.methods[CHUNK_DEFLATE] = pl_codec_deflate.decoder;
	r = open_parts(d, request, err);
	if (r < 0) {
		pl_error_place(err, d->file->name);
		daa_free(&d->disk);
		return r;
	}
	*ret = &d->disk;
	return 0;
}

static int
daa_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct daa *d = daa_of(disk);

	(void)err;
	pl_chunks_check(&d->chunks, disk, d->data, findings);
	return 0;
}

static const char *const extensions[] = { "daa", "gbi", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_daa = {
	.info = {
		.name = "daa",
		.longname = "PowerISO or gBurner disc image (DAA, GBI)",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = daa_probe,
	.open = daa_open,
	.check = daa_check,
	.disk_ops = &daa_ops,
};
