/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * map.c - where the hunks of a CHD are
 *
 *	offset  size  header of a compressed map
 *	     0     4  bytes of what follows the header
 *	     4     6  where the first hunk is stored; the others follow it
 *	    10     2  CRC-16 of the expanded map
 *	    12     1  bits of a stored length
 *	    13     1  bits of a reference to a hunk
 *	    14     1  bits of a reference to a unit of the parent
 *	    15     1  0
 *
 *	              entry of the expanded map, which stands nowhere but is what the CRC is of
 *	     0     1  type: 0 to 3 codec, 4 stored, 5 as another hunk, 6 as bytes of the parent
 *	     1     3  bytes stored
 *	     4     6  offset in the file, number of the hunk, or of the parent's unit
 *	    10     2  CRC-16 of the hunk
 *
 * A Huffman code, then in it the types of all hunks with runs, then bit by bit what each type wants
 * to know.  Types that only go on with what was before take no more bits, so that a small map may
 * stand for very many hunks: it is kept in runs, which its bits bound.
 *
 * A map that is not compressed has 4 bytes a hunk, its offset in hunks.  That of versions 3 and 4:
 *
 *	     0     8  offset in the file, or number of the hunk, or 8 bytes of data
 *	     8     4  CRC-32 of the hunk
 *	    12     2  bytes stored, low; 14: 1 byte, high
 *	    15     1  type: 1 codec, 2 stored, 3 data of 8 bytes, 4 as another hunk, 5 as in the
 *	              parent, 6 a second codec; 16 is added: there is no CRC
 */
#include "checksums.h"
#include "chd.h"
#include "huffman.h"

#define OLD_ENTRY_BYTES 16
enum {
	OLD_COMPRESSED = 1,
	OLD_STORED = 2,
	OLD_REPEAT = 3,
	OLD_SELF = 4,
	OLD_PARENT = 5,
	OLD_SECOND = 6,
	OLD_TYPE = 15,
	OLD_NO_CRC = 16,
};

/* References to hunks that refer to others: chdman makes none. */
#define MAX_REFERENCES 64
/* Larger maps are summed up by check() alone. */
#define MAX_HUNKS_SUMMED (1u << 24)

static int
too_many_runs(struct platter_error *err)
{
	int r = pl_over_limit(err, PLATTER_NO_OFFSET, "a map of more than %u runs", MAX_RUNS);

	pl_hint(err, "the same disk has fewer in larger hunks: -o hunk=64K");
	return r;
}

int
pl_chd_map_add(struct hunk_map *m, const struct hunk_run *run, struct platter_error *err)
{
	if (m->nr == MAX_RUNS)
		return too_many_runs(err);
	if (m->nr == m->capacity) {
		size_t capacity = m->capacity ? m->capacity * 2 : 64;
		struct hunk_run *runs = pl_realloc_array(m->runs, capacity, sizeof *runs);

		if (!runs)
			return pl_no_memory(err);
		m->runs = runs;
		m->capacity = capacity;
	}
	m->runs[m->nr++] = *run;
	return 0;
}

int
pl_chd_map_add_references(struct hunk_map *m, uint64_t hunk, uint32_t type, uint64_t value,
			  uint32_t step, struct platter_error *err)
{
	const struct hunk_run *last = m->nr ? &m->runs[m->nr - 1] : NULL;
	struct hunk_run run = {
		.first = (uint32_t)hunk, .type = type, .length = step, .value = value
	};

	if (last && last->type == type && last->length == step &&
	    last->value + (hunk - last->first) * step == value)
		return 0;
	return pl_chd_map_add(m, &run, err);
}

static uint64_t
get_be48(const uint8_t *p)
{
	return (uint64_t)get_be16(p) << 32 | get_be32(p + 2);
}

/* Hunks in a row that have one type. */
struct type_run {
	uint32_t type, nr;
};

struct map_reader {
	struct chd *c;
	struct pl_bits bits;
	struct type_run *types;
	size_t nr, capacity;
	unsigned length_bits, self_bits, parent_bits;
	uint64_t offset;       /* of the next hunk that is stored */
	uint64_t self, parent; /* last referred to */
	uint32_t units;        /* of a hunk */
	uint64_t hunk;
};

static int
ends_early(const struct map_reader *r, struct platter_error *err)
{
	return pl_corrupt(err, r->c->map.offset, "the map of %" PRIu64 " hunks ends early",
			  r->c->nr_hunks);
}

static int
add_types(struct map_reader *r, uint32_t type, uint64_t nr, struct platter_error *err)
{
	struct type_run *last = r->nr ? &r->types[r->nr - 1] : NULL;

	if (last && last->type == type) {
		last->nr += (uint32_t)nr;
		return 0;
	}
	if (r->nr == MAX_RUNS)
		return too_many_runs(err);
	if (r->nr == r->capacity) {
		size_t capacity = r->capacity ? r->capacity * 2 : 256;
		struct type_run *types = pl_realloc_array(r->types, capacity, sizeof *types);

		if (!types)
			return pl_no_memory(err);
		r->types = types;
		r->capacity = capacity;
	}
	r->types[r->nr++] = (struct type_run){ type, (uint32_t)nr };
	return 0;
}

static int
read_types(struct map_reader *r, struct platter_error *err)
{
	PL_AUTOFREE struct pl_huffman *h = calloc(1, sizeof *h);
	uint32_t last = 0;
	int result = 0;

	if (!h)
		return pl_no_memory(err);
	h->nr = MAP_NR_TYPES;
	h->max_bits = 8;
	if (!pl_huffman_read_runs(h, &r->bits))
		return pl_corrupt(err, r->c->map.offset + MAP_HEADER_BYTES,
				  "the map has no valid Huffman code");
	for (uint64_t hunk = 0, nr; hunk < r->c->nr_hunks && result == 0; hunk += nr) {
		unsigned type = pl_huffman_decode(h, &r->bits);

		nr = 1;
		if (type == MAP_REPEAT_SHORT) {
			nr = 3 + pl_huffman_decode(h, &r->bits);
		} else if (type == MAP_REPEAT_LONG) {
			nr = 19 + (pl_huffman_decode(h, &r->bits) << 4);
			nr += pl_huffman_decode(h, &r->bits);
		} else if (type > MAP_PARENT_NEXT) {
			return pl_corrupt(err, r->c->map.offset,
					  "hunk %" PRIu64 " has no valid type", hunk);
		} else {
			last = type;
		}
		if (r->bits.overrun)
			return ends_early(r, err);
		result = add_types(r, last, PL_MIN(nr, r->c->nr_hunks - hunk), err);
	}
	return result;
}

/* References of one kind, all of which are told by the first. */
static int
add_references(struct map_reader *r, uint32_t type, uint64_t value, uint32_t step, uint32_t nr,
	       struct platter_error *err)
{
	int result;

	if (value + (uint64_t)step * nr >= 1ull << 48)
		return pl_corrupt(err, r->c->map.offset, "hunk %" PRIu64 " refers too far",
				  r->hunk);
	result = pl_chd_map_add_references(&r->c->map, r->hunk, type, value, step, err);
	r->hunk += nr;
	if (type == MAP_SELF)
		r->self = value + (uint64_t)step * (nr - 1);
	else
		r->parent = value + (uint64_t)step * (nr - 1);
	return result;
}

static int
add_stored(struct map_reader *r, uint32_t type, struct platter_error *err)
{
	uint32_t length = type == MAP_STORED ? r->c->hunk_size
					     : (uint32_t)pl_bits_read(&r->bits, r->length_bits);
	uint16_t crc = (uint16_t)pl_bits_read(&r->bits, 16);
	struct hunk_run run;
	int result;

	if (!pl_in_range(r->offset, length, r->c->file->size)) {
		result = pl_corrupt(err, r->c->map.offset,
				    "hunk %" PRIu64 " is stored in %" PRIu32
				    " bytes at byte %" PRIu64 ", past the end of the file (%" PRIu64
				    " bytes)",
				    r->hunk, length, r->offset, r->c->file->size);
		pl_hint(err, "the file is cut short: compare its size with the original");
		return result;
	}
	run = (struct hunk_run){ .first = (uint32_t)r->hunk,
				 .type = type,
				 .length = length,
				 .value = r->offset,
				 .crc = crc };
	result = pl_chd_map_add(&r->c->map, &run, err);
	r->offset += length;
	r->hunk++;
	return result;
}

static int
add_hunks(struct map_reader *r, const struct type_run *run, struct platter_error *err)
{
	uint64_t end = r->hunk + run->nr;
	int result = 0;

	switch (run->type) {
	case MAP_SELF_SAME: return add_references(r, MAP_SELF, r->self, 0, run->nr, err);
	case MAP_SELF_NEXT: return add_references(r, MAP_SELF, r->self + 1, 1, run->nr, err);
	case MAP_PARENT_SELF:
		return add_references(r, MAP_PARENT, r->hunk * r->units, r->units, run->nr, err);
	case MAP_PARENT_SAME: return add_references(r, MAP_PARENT, r->parent, 0, run->nr, err);
	case MAP_PARENT_NEXT:
		return add_references(r, MAP_PARENT, r->parent + r->units, r->units, run->nr, err);
	default: break;
	}
	while (r->hunk < end && result == 0) {
		if (run->type == MAP_SELF)
			result = add_references(r, MAP_SELF, pl_bits_read(&r->bits, r->self_bits),
						0, 1, err);
		else if (run->type == MAP_PARENT)
			result = add_references(r, MAP_PARENT,
						pl_bits_read(&r->bits, r->parent_bits), 0, 1, err);
		else
			result = add_stored(r, run->type, err);
		if (result == 0 && r->bits.overrun)
			return ends_early(r, err);
	}
	return result;
}

static int
read_compressed(struct map_reader *r, struct platter_error *err)
{
	int result = read_types(r, err);

	for (size_t i = 0; i < r->nr && result == 0; i++)
		result = add_hunks(r, &r->types[i], err);
	return result;
}

static int
open_compressed(struct chd *c, struct platter_error *err)
{
	uint8_t h[MAP_HEADER_BYTES];
	PL_AUTOFREE uint8_t *bytes = NULL;
	struct map_reader r = { .c = c, .units = c->hunk_size / c->unit_size };
	uint64_t at = c->map.offset;
	uint32_t n;
	int result;

	if (!pl_in_range(at, sizeof h, c->file->size))
		return pl_corrupt(err, MAP_OFFSET,
				  "map at byte %" PRIu64 " passes the end of the file (%" PRIu64
				  " bytes)",
				  at, c->file->size);
	result = pl_read(c->file, h, sizeof h, at, err);
	if (result < 0)
		return result;
	n = get_be32(h);
	if (!pl_in_range(at + sizeof h, n, c->file->size))
		return pl_corrupt(err, at,
				  "map of %" PRIu32 " bytes at byte %" PRIu64
				  " passes the end of the file (%" PRIu64 " bytes)",
				  n, at, c->file->size);
	r.offset = get_be48(h + 4);
	c->map.crc = get_be16(h + 10);
	r.length_bits = h[12];
	r.self_bits = h[13];
	r.parent_bits = h[14];
	if (r.length_bits > 24 || r.self_bits > 32 || r.parent_bits > 47)
		return pl_corrupt(err, at + 12,
				  "fields of %u, %u and %u bits in the map, at most 24, 32 and 47",
				  r.length_bits, r.self_bits, r.parent_bits);
	result = pl_read_alloc(c->file, n, at + sizeof h, &bytes, err);
	if (result < 0)
		return result;
	pl_bits_init(&r.bits, bytes, n);
	result = read_compressed(&r, err);
	free(r.types);
	if (result == 0 && c->nr_hunks <= MAX_HUNKS_SUMMED && !c->ignore_checksums)
		result = pl_chd_map_check_crc(c, err);
	return result;
}

int
pl_chd_map_open(struct chd *c, struct platter_error *err)
{
	if (c->compressed_map)
		return open_compressed(c, err);
	if (c->version < 5)
		return pl_block_table_init(&c->map.table, c->file, c->map.offset,
					   c->nr_hunks * OLD_ENTRY_BYTES, 0, err);
	return pl_block_table_init(&c->map.table, c->file, c->map.offset, c->nr_hunks * 4, 0, err);
}

void
pl_chd_map_done(struct chd *c)
{
	pl_block_table_done(&c->map.table);
	free(c->map.runs);
}

/* The run that a hunk is in. */
static const struct hunk_run *
find_run(const struct hunk_map *m, uint64_t index)
{
	size_t low = 0, high = m->nr;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (m->runs[middle].first <= index)
			low = middle;
		else
			high = middle;
	}
	return &m->runs[low];
}

static int
bad_reference(const struct chd *c, uint64_t index, uint64_t to, struct platter_error *err)
{
	return pl_corrupt(err, c->map.offset,
			  "hunk %" PRIu64 " is said to be as hunk %" PRIu64
			  ", which is not before it",
			  index, to);
}

static int
endless(const struct chd *c, uint64_t index, struct platter_error *err)
{
	return pl_corrupt(err, c->map.offset,
			  "hunk %" PRIu64 " is reached through more than %d references", index,
			  MAX_REFERENCES);
}

/* Units of the parent as bytes of it. */
static int
refer_to_parent(const struct chd *c, uint64_t index, uint64_t unit, struct hunk *ret,
		struct platter_error *err)
{
	if (unit > INT64_MAX / c->unit_size)
		return pl_corrupt(err, c->map.offset,
				  "hunk %" PRIu64 " is said to be unit %" PRIu64
				  " of the parent, of %" PRIu32 " bytes",
				  index, unit, c->unit_size);
	*ret = (struct hunk){ .kind = HUNK_PARENT, .offset = unit * c->unit_size };
	return 0;
}

static int
look_compressed(struct chd *c, uint64_t index, struct hunk *ret, struct platter_error *err)
{
	uint64_t asked = index;

	for (int i = 0; i < MAX_REFERENCES; i++) {
		const struct hunk_run *run = find_run(&c->map, index);
		uint64_t value = run->value;

		if (run->type == MAP_SELF || run->type == MAP_PARENT)
			value += (index - run->first) * run->length;
		if (run->type == MAP_SELF) {
			if (value >= index)
				return bad_reference(c, index, value, err);
			index = value;
			continue;
		}
		if (run->type == MAP_PARENT)
			return refer_to_parent(c, index, value, ret, err);
		*ret = (struct hunk){ .kind = HUNK_CODEC,
				      .codec = (uint8_t)run->type,
				      .offset = value,
				      .length = run->length,
				      .has_crc = true,
				      .crc = run->crc };
		if (run->type == MAP_STORED) {
			ret->kind = HUNK_STORED;
			ret->length = c->hunk_size;
		}
		return 0;
	}
	return endless(c, asked, err);
}

static int
look_plain(struct chd *c, uint64_t index, struct hunk *ret, struct platter_error *err)
{
	const uint8_t *p;
	int r = pl_block_table_get(&c->map.table, index * 4, 4, &p, err);

	if (r < 0)
		return r;
	*ret = (struct hunk){ .kind = get_be32(p) ? HUNK_STORED : HUNK_ZERO,
			      .offset = (uint64_t)get_be32(p) * c->hunk_size,
			      .length = c->hunk_size };
	return 0;
}

static int
look_old(struct chd *c, uint64_t index, struct hunk *ret, struct platter_error *err)
{
	uint64_t asked = index;

	for (int i = 0; i < MAX_REFERENCES; i++) {
		uint64_t at = index * OLD_ENTRY_BYTES;
		const uint8_t *p;
		int r = pl_block_table_get(&c->map.table, at, OLD_ENTRY_BYTES, &p, err);

		if (r < 0)
			return r;
		*ret = (struct hunk){ .kind = HUNK_CODEC,
				      .offset = get_be64(p),
				      .length = get_be16(p + 12) | (uint32_t)p[14] << 16,
				      .has_crc = !(p[OLD_TYPE] & OLD_NO_CRC),
				      .crc = get_be32(p + 8) };
		switch (p[OLD_TYPE] & 15) {
		case OLD_COMPRESSED: return 0;
		case OLD_STORED:
			ret->kind = HUNK_STORED;
			ret->length = c->hunk_size;
			return 0;
		case OLD_REPEAT:
			ret->kind = HUNK_REPEAT;
			ret->offset = c->map.offset + at;
			ret->length = 8;
			return 0;
		case OLD_SELF:
			if (ret->offset >= index)
				return bad_reference(c, index, ret->offset, err);
			index = ret->offset;
			continue;
		case OLD_PARENT:
			if (ret->offset >= MAX_HUNKS)
				return pl_corrupt(err, c->map.offset + at,
						  "hunk %" PRIu64 " is hunk %" PRIu64
						  " of the parent, limit is %u",
						  index, ret->offset, MAX_HUNKS);
			ret->kind = HUNK_PARENT;
			ret->offset *= c->hunk_size;
			return 0;
		case OLD_SECOND:
			return pl_unsupported(err, c->map.offset + at,
					      "hunk %" PRIu64 " is stored as old FLAC", index);
		default:
			return pl_corrupt(err, c->map.offset + at + OLD_TYPE,
					  "hunk %" PRIu64 " is of type %u", index,
					  p[OLD_TYPE] & 15);
		}
	}
	return endless(c, asked, err);
}

int
pl_chd_map_look(struct chd *c, uint64_t index, struct hunk *ret, struct platter_error *err)
{
	if (c->compressed_map)
		return look_compressed(c, index, ret, err);
	return c->version < 5 ? look_old(c, index, ret, err) : look_plain(c, index, ret, err);
}

uint16_t
pl_chd_map_crc(const struct hunk_run *runs, size_t nr, uint64_t nr_hunks)
{
	uint16_t crc = 0xffff;

	for (size_t i = 0; i < nr; i++) {
		uint64_t end = i + 1 < nr ? runs[i + 1].first : nr_hunks, value = runs[i].value;
		bool reference = runs[i].type == MAP_SELF || runs[i].type == MAP_PARENT;

		for (uint64_t hunk = runs[i].first; hunk < end; hunk++) {
			uint8_t e[MAP_ENTRY_BYTES];

			put_be32(e,
				 (uint32_t)runs[i].type << 24 | (reference ? 0 : runs[i].length));
			put_be16(e + 4, (uint16_t)(value >> 32));
			put_be32(e + 6, (uint32_t)value);
			put_be16(e + 10, (uint16_t)runs[i].crc);
			crc = pl_crc16_ccitt(crc, e, sizeof e);
			value += reference ? runs[i].length : 0;
		}
	}
	return crc;
}

int
pl_chd_map_check_crc(const struct chd *c, struct platter_error *err)
{
	uint16_t crc = pl_chd_map_crc(c->map.runs, c->map.nr, c->nr_hunks);

	if (crc == c->map.crc)
		return 0;
	return pl_corrupt(err, c->map.offset + 10,
			  "the map has the checksum %04x, and %04x is stored", crc, c->map.crc);
}
