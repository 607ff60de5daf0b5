/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tables.c - which chunks the disk is made of
 *
 * Each `blkx` resource is a table: a header that begins with "mish", and chunks of 40 bytes in
 * the order of the disk.  They are kept in 24 bytes each, and found by halving.
 */
#include "codec.h"
#include "dmg.h"
#include "text.h"

/* A table for each partition and each part of a partition map; there are a dozen. */
#define MAX_TABLES 65536
/* What does not shrink is stored as it is: no codec makes twice as much of it, and a header. */
#define MAX_EXCESS KIB(64)

const char *
dmg_kind_code(enum dmg_kind kind)
{
	static const char *const codes[] = {
		[DMG_RAW] = "UDRO",   [DMG_ADC] = "UDCO",   [DMG_ZLIB] = "UDZO",
		[DMG_BZIP2] = "UDBZ", [DMG_LZFSE] = "ULFO", [DMG_LZMA] = "ULMO",
	};

	return codes[kind];
}

const char *
dmg_kind_name(enum dmg_kind kind)
{
	static const char *const names[] = {
		[DMG_ADC] = "ADC",     [DMG_ZLIB] = "zlib", [DMG_BZIP2] = "bzip2",
		[DMG_LZFSE] = "LZFSE", [DMG_LZMA] = "LZMA",
	};

	return names[kind];
}

const struct pl_decoder *
dmg_decoder(enum dmg_kind kind)
{
	switch (kind) {
	case DMG_ADC: return &pl_decoder_adc;
	case DMG_ZLIB: return pl_codec_zlib.decoder;
	case DMG_BZIP2: return pl_codec_bzip2.decoder;
	case DMG_LZFSE: return &pl_decoder_lzfse;
	case DMG_LZMA: return pl_codec_xz.decoder;
	default: return NULL;
	}
}

void
dmg_tables_done(struct dmg_tables *t)
{
	for (size_t i = 0; i < t->nr; i++)
		free(t->list[i].name);
	free(t->list);
	free(t->chunks);
	free(t->order);
	*t = (struct dmg_tables){ 0 };
}

void
dmg_table_begin(struct dmg_table_reader *r, struct dmg_tables *t, uint64_t fork_size, uint64_t at)
{
	*r = (struct dmg_table_reader){ .tables = t,
					.fork_size = fork_size,
					.wanted = MISH_SIZE,
					.table = { .at = at, .first_chunk = t->nr_chunks } };
}

static int
take_header(struct dmg_table_reader *r, struct platter_error *err)
{
	struct dmg_table *t = &r->table;
	const uint8_t *b = r->buf;

	if (memcmp(b, MISH_MAGIC, 4) != 0)
		return pl_corrupt(err, t->at, "a table that does not begin with 'mish'");
	if (get_be32(b + MISH_VERSION) != 1)
		return pl_unsupported(err, t->at, "a table of version %" PRIu32 "; 1 is known",
				      get_be32(b + MISH_VERSION));
	t->first = get_be64(b + MISH_FIRST);
	t->nr_sectors = get_be64(b + MISH_NR_SECTORS);
	if (!pl_in_range(t->first, t->nr_sectors, DMG_MAX_SECTORS))
		return pl_over_limit(err, t->at,
				     "a table of %" PRIu64 " sectors at sector %" PRIu64
				     ", limit is %" PRIu64,
				     t->nr_sectors, t->first, DMG_MAX_SECTORS);
	t->descriptor = (int32_t)get_be32(b + MISH_DESCRIPTOR);
	t->sum = dmg_sum_decode(b + MISH_SUM);
	r->data_offset = get_be64(b + MISH_DATA_OFFSET);
	r->nr_chunks = get_be32(b + MISH_NR_CHUNKS);
	r->next = t->first;
	return 0;
}

/* Zeros, ignored chunks and gaps that follow each other are one. */
static int
add_chunk(struct dmg_table_reader *r, const struct dmg_chunk *chunk, struct platter_error *err)
{
	struct dmg_tables *t = r->tables;
	struct dmg_chunk *last =
		t->nr_chunks > r->table.first_chunk ? &t->chunks[t->nr_chunks - 1] : NULL;

	t->kinds |= 1u << chunk->kind;
	if (last && last->kind == chunk->kind && !dmg_is_stored(chunk->kind))
		return 0;
	if (t->nr_chunks == t->chunk_room) {
		size_t room = t->chunk_room + t->chunk_room / 2 + 64;
		struct dmg_chunk *bigger = pl_realloc_array(t->chunks, room, sizeof *bigger);

		if (!bigger)
			return pl_no_memory(err);
		t->chunks = bigger;
		t->chunk_room = room;
	}
	t->chunks[t->nr_chunks++] = *chunk;
	return 0;
}

static int
kind_of(const struct dmg_table_reader *r, uint32_t type, uint8_t *ret, struct platter_error *err)
{
	if (type == TYPE_ZERO)
		*ret = DMG_ZERO;
	else if (type == TYPE_RAW)
		*ret = DMG_RAW;
	else if (type == TYPE_IGNORE)
		*ret = DMG_IGNORE;
	else if (type - (uint32_t)TYPE_FIRST_CODEC < DMG_NR_KINDS - DMG_ADC)
		*ret = (uint8_t)(DMG_ADC + (type - (uint32_t)TYPE_FIRST_CODEC));
	else
		return pl_unsupported(err, r->table.at,
				      "chunk %" PRIu64 " is of type %#" PRIx32
				      ", which is not known",
				      r->number, type);
	return 0;
}

/* Where it is stored is in the file, and as much as can be decoded at once. */
static int
check_stored(struct dmg_table_reader *r, struct dmg_chunk *c, uint64_t nr_sectors, uint64_t length,
	     struct platter_error *err)
{
	if (c->kind == DMG_RAW && length != nr_sectors * DMG_SECTOR)
		return pl_corrupt(err, r->table.at,
				  "chunk %" PRIu64 " has %" PRIu64
				  " sectors as they are in %" PRIu64 " bytes",
				  r->number, nr_sectors, length);
	if (c->offset > UINT64_MAX - r->data_offset ||
	    !pl_in_range(c->offset + r->data_offset, length, r->fork_size))
		return pl_corrupt(err, r->table.at,
				  "chunk %" PRIu64 " is stored in %" PRIu64
				  " bytes at byte %" PRIu64
				  " of a data fork with room for %" PRIu64,
				  r->number, length, c->offset, r->fork_size);
	if (c->kind != DMG_RAW && (nr_sectors > PL_MAX_CHUNK / DMG_SECTOR ||
				   length > 2 * nr_sectors * DMG_SECTOR + MAX_EXCESS))
		return pl_over_limit(err, r->table.at,
				     "chunk %" PRIu64 " of %" PRIu64 " sectors stored in %" PRIu64
				     " bytes, limit is %" PRIu64 " bytes, in twice as many",
				     r->number, nr_sectors, length, (uint64_t)PL_MAX_CHUNK);
	c->offset += r->data_offset;
	c->stored = c->kind == DMG_RAW ? 0 : (uint32_t)length;
	r->tables->stored_end = PL_MAX(r->tables->stored_end, c->offset + length);
	return 0;
}

/* The chunk begins where the last one ended, or sectors are left out in front of it. */
static int
pass_gap(struct dmg_table_reader *r, uint64_t to, struct platter_error *err)
{
	struct dmg_chunk gap = { .sector = r->next, .kind = DMG_GAP };

	if (to <= r->next)
		return 0;
	r->tables->gap_sectors += to - r->next;
	r->next = to;
	return add_chunk(r, &gap, err);
}

static int
take_chunk(struct dmg_table_reader *r, struct platter_error *err)
{
	const struct dmg_table *t = &r->table;
	const uint8_t *b = r->buf;
	uint32_t type = get_be32(b + CHUNK_TYPE);
	uint64_t first = get_be64(b + CHUNK_FIRST), nr = get_be64(b + CHUNK_NR_SECTORS);
	struct dmg_chunk c = { .offset = get_be64(b + CHUNK_OFFSET) };
	int ret;

	if (r->terminated)
		return pl_corrupt(err, t->at, "chunk %" PRIu64 " stands behind the terminator",
				  r->number);
	r->terminated = type == (uint32_t)TYPE_TERMINATOR;
	if (r->terminated || type == TYPE_COMMENT || !nr)
		return 0;
	ret = kind_of(r, type, &c.kind, err);
	if (ret < 0)
		return ret;
	if (!pl_in_range(first, nr, t->nr_sectors) || t->first + first < r->next)
		return pl_corrupt(err, t->at,
				  "chunk %" PRIu64 " has %" PRIu64 " sectors at sector %" PRIu64
				  " of a table that expects sectors %" PRIu64 " to %" PRIu64,
				  r->number, nr, first, r->next - t->first, t->nr_sectors);
	ret = pass_gap(r, t->first + first, err);
	if (ret == 0 && dmg_is_stored(c.kind))
		ret = check_stored(r, &c, nr, get_be64(b + CHUNK_LENGTH), err);
	if (ret < 0)
		return ret;
	c.sector = r->next;
	r->next += nr;
	return add_chunk(r, &c, err);
}

int
dmg_table_feed(struct dmg_table_reader *r, const uint8_t *bytes, size_t n,
	       struct platter_error *err)
{
	while (n) {
		size_t part = PL_MIN(n, r->wanted - r->have);
		int ret = 0;

		memcpy(r->buf + r->have, bytes, part);
		r->have += part;
		bytes += part;
		n -= part;
		if (r->have < r->wanted)
			break;
		if (r->wanted == MISH_SIZE) {
			ret = take_header(r, err);
		} else if (r->number == r->nr_chunks) {
			ret = pl_corrupt(err, r->table.at,
					 "bytes stand behind the %" PRIu64 " chunks of a table",
					 r->nr_chunks);
		} else {
			ret = take_chunk(r, err);
			r->number++;
		}
		if (ret < 0)
			return ret;
		r->have = 0;
		r->wanted = CHUNK_SIZE;
	}
	return 0;
}

static int
add_table(struct dmg_table_reader *r, char *name, struct platter_error *err)
{
	struct dmg_tables *t = r->tables;

	if (t->nr == MAX_TABLES)
		return pl_over_limit(err, r->table.at, "more than %d tables", MAX_TABLES);
	if (t->nr == t->room) {
		size_t room = t->room * 2 + 16;
		struct dmg_table *bigger = pl_realloc_array(t->list, room, sizeof *bigger);

		if (!bigger)
			return pl_no_memory(err);
		t->list = bigger;
		t->room = room;
	}
	r->table.nr_chunks = t->nr_chunks - r->table.first_chunk;
	r->table.name = name;
	t->list[t->nr++] = r->table;
	return 0;
}

int
dmg_table_end(struct dmg_table_reader *r, char *name, struct platter_error *err)
{
	int ret = 0;

	if (r->wanted != CHUNK_SIZE || r->have || r->number != r->nr_chunks)
		ret = pl_corrupt(err, r->table.at,
				 "a table that ends after %" PRIu64 " of %" PRIu64 " chunks",
				 r->number, r->nr_chunks);
	else if (!r->terminated)
		ret = pl_corrupt(err, r->table.at, "a table without a terminator");
	if (ret == 0)
		ret = pass_gap(r, r->table.first + r->table.nr_sectors, err);
	if (ret == 0)
		ret = add_table(r, name, err);
	if (ret < 0)
		free(name);
	return ret;
}

/* qsort() passes no closure; tables are few. */
static int
by_first(const void *a, const void *b, void *with)
{
	const struct dmg_table *list = with, *x = &list[*(const size_t *)a],
			       *y = &list[*(const size_t *)b];

	return x->first < y->first ? -1 : x->first > y->first;
}

int
dmg_tables_order(struct dmg_tables *t, struct platter_error *err)
{
	uint64_t end = 0;

	t->order = calloc(t->nr + 1, sizeof *t->order);
	if (!t->order)
		return pl_no_memory(err);
	for (size_t i = 0; i < t->nr; i++)
		if (t->list[i].nr_sectors)
			t->order[t->nr_ordered++] = i;
	qsort_r(t->order, t->nr_ordered, sizeof *t->order, by_first, t->list);
	for (size_t i = 0; i < t->nr_ordered; i++) {
		const struct dmg_table *table = &t->list[t->order[i]];

		if (table->first < end)
			return pl_corrupt(err, table->at,
					  "the table '%s' begins at sector %" PRIu64
					  ", where another holds sectors up to %" PRIu64,
					  table->name ? table->name : "", table->first, end);
		t->gap_sectors += table->first - end;
		end = table->first + table->nr_sectors;
	}
	t->nr_sectors = end;
	return 0;
}

uint64_t
dmg_chunk_end(const struct dmg_tables *t, const struct dmg_table *table,
	      const struct dmg_chunk *chunk)
{
	size_t next = (size_t)(chunk - t->chunks) + 1;

	return next < table->first_chunk + table->nr_chunks ? t->chunks[next].sector
							    : table->first + table->nr_sectors;
}

/* The last table that begins at the sector or before; NULL: none does. */
static const struct dmg_table *
find_table(const struct dmg_tables *t, uint64_t sector, size_t *ret_after)
{
	size_t low = 0, high = t->nr_ordered;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->list[t->order[middle]].first <= sector)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_after = low;
	return low ? &t->list[t->order[low - 1]] : NULL;
}

bool
dmg_find(const struct dmg_tables *t, uint64_t sector, const struct dmg_table **ret_table,
	 const struct dmg_chunk **ret_chunk, uint64_t *ret_end)
{
	size_t after, low, high;
	const struct dmg_table *table = find_table(t, sector, &after);

	if (!table || sector - table->first >= table->nr_sectors) {
		*ret_end = after < t->nr_ordered ? t->list[t->order[after]].first : UINT64_MAX;
		return false;
	}
	/* A table with sectors has chunks for all of them, and the first begins where it does. */
	low = table->first_chunk;
	high = low + table->nr_chunks;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (t->chunks[middle].sector <= sector)
			low = middle;
		else
			high = middle;
	}
	*ret_table = table;
	*ret_chunk = &t->chunks[low];
	*ret_end = dmg_chunk_end(t, table, *ret_chunk);
	return true;
}
