/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer.c - new UDIF images, produced strictly front to back
 *
 * A chunk of the copy engine is cut where a table ends and around zeros, and its parts are encoded,
 * and all their checksums made, on any thread.  Placing it adds the parts to the tables and puts the
 * checksums together, in the order of the disk; nothing is read or written twice.
 */
#include "cdsa.h"
#include "writer.h"

#include <limits.h>

#include "checksums.h"
#include "parent.h"

/* Runs of zeros that become chunks of their own. */
#define ZERO_BLOCK KIB(64)
/* Of chunks in the property list that the reader takes, at 40 bytes in base64 with line ends. */
#define MAX_CHUNKS ((size_t)(DMG_MAX_PLIST / 56))

const struct platter_option_info dmg_options[] = {
	{ "format", "UDZO|UDBZ|ULFO|ULMO|UDRO",
	  "as hdiutil calls it: zlib, bzip2, LZFSE, LZMA or not compressed; UDZO" },
	CDSA_OPTION,
	{ 0 },
};

/* A run of a chunk that becomes one of a table. */
struct part {
	uint32_t length; /* bytes of the disk */
	uint32_t stored; /* bytes in the data fork */
	uint32_t crc;    /* of the bytes of the disk */
	uint8_t kind;
};

/* What encoding a chunk has found out, until it is placed. */
struct encoded {
	struct encoded *next;
	uint64_t offset;
	uint32_t stored_crc;
	size_t nr, room;
	struct part *parts;
};

static struct dmg_writer *
writer_of(struct pl_writer *w)
{
	return pl_container_of(w, struct dmg_writer, writer);
}

/* The table of a sector; what is past the last belongs to it. */
static size_t
table_at(const struct dmg_writer *w, uint64_t sector)
{
	size_t low = 0, high = w->nr_tables;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (w->tables[middle].first <= sector)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Bytes of the disk from `offset`, at most `length`, that are in one table. */
static uint64_t
length_in(const struct dmg_writer *w, size_t table, uint64_t offset, uint64_t length)
{
	return table + 1 < w->nr_tables
		       ? PL_MIN(length, w->tables[table + 1].first * DMG_SECTOR - offset)
		       : length;
}

/* Encoding. */

static void
encoded_free(struct encoded *e)
{
	if (e)
		free(e->parts);
	free(e);
}

static struct part *
add_part(struct encoded *e, uint32_t length, uint8_t kind)
{
	if (e->nr == e->room) {
		size_t room = e->room * 2 + 4;
		struct part *bigger = pl_realloc_array(e->parts, room, sizeof *bigger);

		if (!bigger)
			return NULL;
		e->parts = bigger;
		e->room = room;
	}
	e->parts[e->nr] = (struct part){ .length = length, .kind = kind };
	return &e->parts[e->nr++];
}

/* n bytes to store; they are encoded into `out` only if that makes them shorter. */
static bool
encode_part(struct dmg_writer *w, struct encoded *e, const uint8_t *in, size_t n,
	    struct pl_encoded *out)
{
	struct part *p = add_part(e, (uint32_t)n, DMG_RAW);
	uint8_t *to = out->bytes + out->length;
	size_t stored = 0;

	if (!p)
		return false;
	p->crc = pl_crc32(0, in, n);
	if (w->codec)
		stored = w->codec->encode(w->level, in, n, to, n - 1);
	if (stored) {
		p->kind = (uint8_t)w->kind;
	} else {
		memcpy(to, in, n);
		stored = n;
	}
	p->stored = (uint32_t)stored;
	out->length += stored;
	return true;
}

static bool
encode_zeros(struct encoded *e, size_t n, bool unused)
{
	struct part *p = add_part(e, (uint32_t)n, unused ? DMG_IGNORE : DMG_ZERO);

	if (p)
		p->crc = pl_crc32_zeros(0, n);
	return p;
}

/* Cut n bytes, whole sectors, at the ends of tables and around zeros. */
static bool
encode_parts(struct dmg_writer *w, struct encoded *e, const uint8_t *in, size_t n,
	     struct pl_encoded *out)
{
	/* Zeros get here only if they are to be stored. */
	bool all_zero = pl_is_zero(in, n);

	for (size_t at = 0, run; at < n; at += run) {
		uint64_t offset = e->offset + at;
		size_t table = table_at(w, offset / DMG_SECTOR);
		bool zero = false;

		run = (size_t)length_in(w, table, offset, n - at);
		if (!all_zero)
			run = pl_zero_run(in + at, run, ZERO_BLOCK, &zero);
		if (zero ? !encode_zeros(e, run, w->tables[table].free)
			 : !encode_part(w, e, in + at, run, out))
			return false;
	}
	return true;
}

/* Is the chunk stored as it is, all of it? */
static bool
is_as_is(const struct encoded *e)
{
	for (size_t i = 0; i < e->nr; i++)
		if (e->parts[i].kind != DMG_RAW)
			return false;
	return true;
}

static int
dmg_encode(struct pl_writer *writer, uint64_t offset, const uint8_t *in, size_t n,
	   struct pl_encoded *out, struct platter_error *err)
{
	struct dmg_writer *w = writer_of(writer);
	size_t whole = (size_t)pl_round_up(n, DMG_SECTOR);
	struct encoded *e = calloc(1, sizeof *e);
	uint8_t *padded = NULL;
	bool good;

	/* The end of a disk that has no whole sectors is filled up with zeros. */
	if (e && whole != n && (padded = calloc(1, whole)))
		in = memcpy(padded, in, n);
	good = e && (whole == n || padded);
	if (good) {
		e->offset = offset;
		out->length = 0;
		good = encode_parts(w, e, in, whole, out);
	}
	free(padded);
	if (!good) {
		encoded_free(e);
		return pl_no_memory(err);
	}
	e->stored_crc = pl_crc32(0, out->bytes, out->length);
	out->as_is = whole == n && is_as_is(e);
	pthread_mutex_lock(&w->lock);
	e->next = w->encoded;
	w->encoded = e;
	pthread_mutex_unlock(&w->lock);
	return 0;
}

/* What encoding left for the chunk, or NULL: it was not encoded, as when an image is measured. */
static struct encoded *
take_encoded(struct dmg_writer *w, uint64_t offset)
{
	struct encoded **p = &w->encoded, *e;

	pthread_mutex_lock(&w->lock);
	while (*p && (*p)->offset != offset)
		p = &(*p)->next;
	e = *p;
	if (e)
		*p = e->next;
	pthread_mutex_unlock(&w->lock);
	return e;
}

/* Placing. */

static int
too_many(struct platter_error *err)
{
	int r = pl_over_limit(err, PLATTER_NO_OFFSET,
			      "an image of more than %zu chunks, whose property list would pass"
			      " %" PRIu64 " bytes",
			      MAX_CHUNKS, (uint64_t)DMG_MAX_PLIST);

	pl_hint(err, "write a qcow2, or a raw image");
	return r;
}

/* The next sectors of the disk, all in one table. */
static int
add_chunk(struct dmg_writer *w, uint64_t nr_sectors, const struct dmg_chunk *c, uint32_t crc,
	  struct platter_error *err)
{
	size_t table = table_at(w, w->sectors);
	struct dmg_new_table *t = &w->tables[table];
	struct dmg_chunk *last;

	for (; w->current < table; w->current++)
		w->tables[w->current + 1].first_chunk = w->nr_chunks;
	if (c->kind != DMG_IGNORE)
		t->crc = pl_crc32_combine(t->crc, crc, nr_sectors * DMG_SECTOR);
	w->sectors += nr_sectors;
	last = w->nr_chunks > t->first_chunk ? &w->chunks[w->nr_chunks - 1] : NULL;
	if (last && last->kind == c->kind && !dmg_is_stored(c->kind))
		return 0;
	if (w->nr_chunks == MAX_CHUNKS)
		return too_many(err);
	if (w->nr_chunks == w->chunk_room) {
		size_t room = w->chunk_room + w->chunk_room / 2 + 256;
		struct dmg_chunk *bigger = pl_realloc_array(w->chunks, room, sizeof *bigger);

		if (!bigger)
			return pl_no_memory(err);
		w->chunks = bigger;
		w->chunk_room = room;
	}
	w->chunks[w->nr_chunks] = *c;
	w->chunks[w->nr_chunks++].sector = w->sectors - nr_sectors;
	return 0;
}

static int
add_parts(struct dmg_writer *w, const struct encoded *e, struct platter_error *err)
{
	uint64_t at = w->frontier;
	int r = 0;

	for (size_t i = 0; r == 0 && i < e->nr; i++) {
		const struct part *p = &e->parts[i];
		struct dmg_chunk c = { .offset = at, .stored = p->stored, .kind = p->kind };

		r = add_chunk(w, p->length / DMG_SECTOR, &c, p->crc, err);
		at += p->stored;
	}
	w->fork_crc = pl_crc32_combine(w->fork_crc, e->stored_crc, at - w->frontier);
	w->frontier = at;
	return r;
}

/* As one that was not encoded is laid out: cut at the ends of tables, as it is unless `stored`. */
static int
add_unseen(struct dmg_writer *w, uint64_t offset, uint64_t length, size_t stored,
	   struct platter_error *err)
{
	int r = 0;

	for (uint64_t run, left = pl_round_up(length, DMG_SECTOR); r == 0 && left; left -= run) {
		struct dmg_chunk c = { .offset = w->frontier, .kind = DMG_RAW };

		run = stored ? left : length_in(w, table_at(w, offset / DMG_SECTOR), offset, left);
		c.stored = (uint32_t)(stored ? stored : run);
		r = add_chunk(w, run / DMG_SECTOR, &c, 0, err);
		w->frontier += c.stored;
		offset += run;
	}
	return r;
}

static int
dmg_place(struct pl_writer *writer, uint64_t offset, uint64_t length, size_t stored,
	  uint64_t *ret_at, uint64_t *ret_length, struct platter_error *err)
{
	struct dmg_writer *w = writer_of(writer);
	int r = 0;

	*ret_at = w->frontier;
	*ret_length = length;
	for (uint64_t n; r == 0 && length; offset += n, length -= n) {
		struct encoded *e = take_encoded(w, offset);

		n = PL_MIN(length, DMG_NEW_CHUNK);
		r = e ? add_parts(w, e, err) : add_unseen(w, offset, n, stored, err);
		encoded_free(e);
	}
	return r;
}

static int
dmg_skip(struct pl_writer *writer, uint64_t offset, uint64_t length, enum platter_kind kind,
	 struct platter_error *err)
{
	struct dmg_writer *w = writer_of(writer);
	int r = 0;

	length = pl_round_up(length, DMG_SECTOR);
	for (uint64_t n; r == 0 && length; offset += n, length -= n) {
		size_t table = table_at(w, offset / DMG_SECTOR);
		bool unused = kind == PLATTER_HOLE || w->tables[table].free;
		struct dmg_chunk c = { .offset = w->frontier,
				       .kind = unused ? DMG_IGNORE : DMG_ZERO };

		n = length_in(w, table, offset, length);
		r = add_chunk(w, n / DMG_SECTOR, &c, pl_crc32_zeros(0, n), err);
	}
	return r;
}

static int
dmg_finish(struct pl_writer *writer, struct platter_error *err)
{
	struct dmg_writer *w = writer_of(writer);
	struct dmg_new_table *last = &w->tables[w->nr_tables - 1];

	for (; w->current + 1 < w->nr_tables; w->current++)
		w->tables[w->current + 1].first_chunk = w->nr_chunks;
	last->nr_sectors = w->sectors - PL_MIN(last->first, w->sectors);
	return dmg_write_end(w, err);
}

static void
dmg_writer_free(struct pl_writer *writer)
{
	struct dmg_writer *w = writer_of(writer);

	for (struct encoded *e = w->encoded, *next; e; e = next) {
		next = e->next;
		encoded_free(e);
	}
	for (size_t i = 0; i < w->nr_tables; i++)
		free(w->tables[i].name);
	free(w->tables);
	free(w->chunks);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* An image without its end cannot be read, so there is nothing to resume from. */
static const struct pl_writer_ops writer_ops = {
	.encode = dmg_encode,
	.place = dmg_place,
	.skip = dmg_skip,
	.finish = dmg_finish,
	.free = dmg_writer_free,
};

/* Options. */

static const struct {
	enum dmg_kind kind;
	const struct pl_codec *codec;
} ways[] = {
	{ DMG_ZLIB, &pl_codec_zlib },
	{ DMG_BZIP2, &pl_codec_bzip2 },
	{ DMG_LZFSE, &pl_codec_lzfse },
	{ DMG_LZMA, &pl_codec_xz },
	{ DMG_RAW, NULL },
};

static bool
is_called(size_t way, const char *codec)
{
	return ways[way].codec && !strcmp(ways[way].codec->name, codec);
}

static int
unknown_format(const char *text, struct platter_error *err)
{
	int r = pl_invalid(err, "option format=%s: allowed is UDZO, UDBZ, ULFO, ULMO or UDRO",
			   text);

	if (!strcmp(text, "UDTO") || !strcmp(text, "UDRW"))
		pl_hint(err, "%s is the bytes of the disk: write a raw image, %s", text,
			!strcmp(text, "UDTO") ? "named *.cdr" : "with -O raw");
	return r;
}

static int
choose_way(const struct pl_create_request *request, size_t *ret, struct platter_error *err)
{
	const char *format = pl_create_option(request, "format"), *codec = request->codec;
	size_t i = 0;

	if (format) {
		while (i < ARRAY_SIZE(ways) && strcasecmp(dmg_kind_code(ways[i].kind), format) != 0)
			i++;
		if (i == ARRAY_SIZE(ways))
			return unknown_format(format, err);
		if (codec && (!ways[i].codec || (*codec && !is_called(i, codec))))
			return pl_invalid(err, "option format=%s does not go with compression%s%s",
					  format, *codec ? " by " : "", codec);
	} else if (codec && *codec) {
		while (i < ARRAY_SIZE(ways) && !is_called(i, codec))
			i++;
		if (i == ARRAY_SIZE(ways))
			return pl_invalid(err,
					  "compression '%s': dmg has zlib, bzip2, lzfse and xz",
					  codec);
	}
	*ret = i;
	return 0;
}

static int
choose_level(const struct pl_create_request *request, struct dmg_writer *w,
	     struct platter_error *err)
{
	if (!w->codec)
		return 0;
	w->level = request->level == INT_MIN ? w->codec->default_level : request->level;
	if (w->level < w->codec->min_level || w->level > w->codec->max_level)
		return pl_invalid(err, "compression level %d: %s has %d to %d", w->level,
				  w->codec->name, w->codec->min_level, w->codec->max_level);
	return 0;
}

int
dmg_create(const struct pl_create_request *request, struct pl_writer **ret,
	   struct platter_error *err)
{
	struct dmg_writer *w;
	size_t way = 0;
	int r = choose_way(request, &way, err);

	if (r < 0)
		return r;
	w = calloc(1, sizeof *w);
	if (!w)
		return pl_no_memory(err);
	pthread_mutex_init(&w->lock, NULL);
	w->writer = (struct pl_writer){ .ops = &writer_ops,
					.file = request->file,
					.size = request->size,
					.chunk = DMG_NEW_CHUNK,
					.encoded_max = DMG_NEW_CHUNK };
	w->kind = ways[way].kind;
	w->codec = ways[way].codec;
	if (request->like) {
		memcpy(w->id, dmg_of(request->like)->koly.id, sizeof w->id);
		w->has_id = true;
	}
	r = choose_level(request, w, err);
	if (r == 0)
		r = dmg_make_tables(request, w, err);
	/* What an earlier run left is of no use. */
	if (r == 0 && !request->file->sequential)
		r = pl_resize(request->file, 0, err);
	if (r < 0) {
		dmg_writer_free(&w->writer);
		return r;
	}
	*ret = &w->writer;
	return 0;
}
