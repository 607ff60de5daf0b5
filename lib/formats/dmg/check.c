/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * check.c - the three levels of checksums of a UDIF image
 *
 *	data fork	CRC-32 of its bytes as they are stored
 *	table		of its chunks, decoded; zeros count, ignored chunks do not
 *	master		of the checksums of all tables, in the order of the property list
 *
 * Every chunk is read and decoded once, in the order in which they are stored, by all processors;
 * checksums of pieces are put together afterwards.
 */
#include "checksums.h"
#include "dmg.h"
#include "pool.h"

/* Chunks that are stored as they are may be of any length. */
#define RAW_PIECE MIB(1)
#define NR_PIECES 64
/* Of all buffers together, unless that is not enough for one. */
#define MAX_BUFFERS MIB(192)
#define MAX_REPORTS 1000

struct piece {
	size_t chunk;
	uint64_t offset; /* in the data fork */
	uint64_t skip;   /* bytes of the chunk before it */
	uint32_t stored, length;
	uint32_t stored_crc, crc;
	bool was_read;             /* though it may not decode */
	struct platter_error *err; /* it cannot be read */
};

struct buffer {
	uint8_t *bytes;
	size_t room;
};

struct worker {
	struct buffer stored, decoded;
};

struct check {
	struct dmg *d;
	struct pl_findings *findings;
	size_t *order; /* stored chunks, in the order of the data fork */
	size_t nr, next;
	uint64_t next_skip;
	uint32_t *crcs; /* of each chunk */
	uint8_t *lost;  /* of each chunk: it cannot be read */
	struct piece pieces[NR_PIECES];
	size_t nr_pieces;
	atomic_size_t taken;
	atomic_bool no_memory;
	struct worker *workers;
	size_t nr_workers;

	uint64_t fork_at; /* up to here the checksum of the data fork goes */
	uint32_t fork_crc;
	bool shared; /* chunks lie over each other: it is made by itself */
	bool fork_lost;
	uint64_t nr_lost;
};

static uint64_t
chunk_bytes(const struct check *c, const struct dmg_chunk *chunk)
{
	const struct dmg_table *table;
	const struct dmg_chunk *found;
	uint64_t end;

	dmg_find(&c->d->tables, chunk->sector, &table, &found, &end);
	return (end - chunk->sector) * DMG_SECTOR;
}

static int
by_offset(const void *a, const void *b, void *with)
{
	const struct dmg_chunk *list = with, *x = &list[*(const size_t *)a],
			       *y = &list[*(const size_t *)b];

	return x->offset != y->offset ? (x->offset < y->offset ? -1 : 1) : (x > y) - (x < y);
}

/* As many as have room for the largest chunk that the tables tell of. */
static size_t
nr_workers(const struct check *c)
{
	uint64_t most = RAW_PIECE;

	for (size_t i = 0; i < c->d->tables.nr_chunks; i++) {
		const struct dmg_chunk *chunk = &c->d->tables.chunks[i];

		if (chunk->kind != DMG_RAW && dmg_is_stored(chunk->kind))
			most = PL_MAX(most, chunk->stored + chunk_bytes(c, chunk));
	}
	return (size_t)PL_MAX(PL_MIN((uint64_t)pl_nr_processors(), MAX_BUFFERS / most), 1u);
}

static int
prepare(struct check *c, struct platter_error *err)
{
	const struct dmg_tables *t = &c->d->tables;

	c->nr_workers = nr_workers(c);
	c->order = calloc(t->nr_chunks + 1, sizeof *c->order);
	c->crcs = calloc(t->nr_chunks + 1, sizeof *c->crcs);
	c->lost = calloc(t->nr_chunks + 1, 1);
	c->workers = calloc(c->nr_workers, sizeof *c->workers);
	if (!c->order || !c->crcs || !c->lost || !c->workers)
		return pl_no_memory(err);
	for (size_t i = 0; i < t->nr_chunks; i++)
		if (dmg_is_stored(t->chunks[i].kind))
			c->order[c->nr++] = i;
	qsort_r(c->order, c->nr, sizeof *c->order, by_offset, t->chunks);
	return 0;
}

static void
check_done(struct check *c)
{
	for (size_t i = 0; c->workers && i < c->nr_workers; i++) {
		free(c->workers[i].stored.bytes);
		free(c->workers[i].decoded.bytes);
	}
	for (size_t i = 0; i < c->nr_pieces; i++)
		free(c->pieces[i].err);
	free(c->workers);
	free(c->order);
	free(c->crcs);
	free(c->lost);
	free(c);
}

static void
plan(struct check *c)
{
	for (c->nr_pieces = 0; c->nr_pieces < NR_PIECES && c->next < c->nr; c->nr_pieces++) {
		struct piece *p = &c->pieces[c->nr_pieces];
		const struct dmg_chunk *chunk = &c->d->tables.chunks[c->order[c->next]];
		uint64_t bytes = chunk_bytes(c, chunk), length = bytes;

		*p = (struct piece){ .chunk = c->order[c->next],
				     .skip = c->next_skip,
				     .offset = chunk->offset + c->next_skip };
		if (chunk->kind == DMG_RAW)
			length = PL_MIN(bytes - p->skip, RAW_PIECE);
		p->length = (uint32_t)length;
		p->stored = chunk->kind == DMG_RAW ? p->length : chunk->stored;
		c->next_skip += length;
		if (c->next_skip == bytes) {
			c->next_skip = 0;
			c->next++;
		}
	}
}

static uint8_t *
buffer_of(struct buffer *b, size_t n)
{
	if (b->room < n || !b->bytes) {
		free(b->bytes);
		b->room = n + 1;
		b->bytes = malloc(b->room);
	}
	return b->bytes;
}

static int
read_piece(struct check *c, struct worker *w, struct piece *p, struct platter_error *err)
{
	const struct dmg_chunk *chunk = &c->d->tables.chunks[p->chunk];
	const struct pl_decoder *decoder = dmg_decoder(chunk->kind);
	uint8_t *stored = buffer_of(&w->stored, p->stored);
	uint8_t *out = decoder ? buffer_of(&w->decoded, p->length) : stored;
	int r;

	if (!stored || !out)
		return pl_no_memory(err);
	r = pl_read_once(c->d->fork, stored, p->stored, c->d->fork_base + p->offset, err);
	if (r < 0)
		return r;
	p->was_read = true;
	p->crc = p->stored_crc = pl_crc32(0, stored, p->stored);
	if (!decoder)
		return 0;
	r = decoder->decode(decoder, stored, p->stored, out, p->length, chunk->sector * DMG_SECTOR,
			    err);
	p->crc = r == 0 ? pl_crc32(0, out, p->length) : 0;
	return r;
}

static void
work(void *closure, size_t index)
{
	struct check *c = closure;
	size_t i;

	while ((i = atomic_fetch_add(&c->taken, 1)) < c->nr_pieces) {
		struct piece *p = &c->pieces[i];
		struct platter_error err = PLATTER_ERROR_INIT;

		if (read_piece(c, &c->workers[index], p, &err) == 0)
			continue;
		p->err = malloc(sizeof err);
		if (!p->err || err.code == -ENOMEM)
			atomic_store(&c->no_memory, true);
		else
			*p->err = err;
	}
}

/* Bytes that no chunk has: without them there is nothing to compare the fork's checksum with. */
static void
report_lost_of_fork(struct check *c, size_t n, const struct platter_error *why)
{
	uint64_t at = c->d->fork_base + c->fork_at;

	c->fork_lost = true;
	pl_found(c->findings, PLATTER_DAMAGE, why->offset == PLATTER_NO_OFFSET ? at : why->offset,
		 "%zu bytes of the data fork at byte %" PRIu64 " cannot be read: %s", n, c->fork_at,
		 why->message);
}

/* Bytes of the data fork up to `end` that no chunk has, into its checksum. */
static int
pass_bytes(struct check *c, uint64_t end, struct platter_error *err)
{
	struct worker *w = &c->workers[0];
	uint8_t *bytes = buffer_of(&w->stored, RAW_PIECE);

	if (!bytes)
		return pl_no_memory(err);
	while (c->fork_at < end) {
		size_t n = (size_t)PL_MIN(RAW_PIECE, end - c->fork_at);
		struct platter_error why = PLATTER_ERROR_INIT;
		int r = pl_read_once(c->d->fork, bytes, n, c->d->fork_base + c->fork_at, &why);

		if (r == -ENOMEM)
			return pl_no_memory(err);
		if (r < 0) {
			report_lost_of_fork(c, n, &why);
			return 0;
		}
		c->fork_crc = pl_crc32(c->fork_crc, bytes, n);
		c->fork_at += n;
	}
	return 0;
}

/* Go on with the checksum of the data fork.  Chunks of the same contents may share their bytes. */
static int
add_to_fork(struct check *c, const struct piece *p, struct platter_error *err)
{
	uint64_t end = p->offset + p->stored;
	int r;

	if (c->shared || c->fork_lost || c->d->koly.data_sum.type != SUM_CRC32 || end <= c->fork_at)
		return 0;
	c->shared = p->offset < c->fork_at || end > c->d->fork_length;
	if (c->shared)
		return 0;
	r = pass_bytes(c, p->offset, err);
	if (r < 0 || c->fork_lost)
		return r;
	c->fork_crc = pl_crc32_combine(c->fork_crc, p->stored_crc, p->stored);
	c->fork_at = end;
	return 0;
}

static void
report_lost(struct check *c, const struct piece *p)
{
	const struct dmg_chunk *chunk = &c->d->tables.chunks[p->chunk];
	uint64_t at = c->d->fork_base + p->offset;

	c->lost[p->chunk] = 1;
	/* What was read but not decoded is in the checksum of the data fork. */
	c->fork_lost = c->fork_lost || !p->was_read;
	if (++c->nr_lost <= MAX_REPORTS)
		pl_found(c->findings, PLATTER_DAMAGE,
			 p->err->offset == PLATTER_NO_OFFSET ? at : p->err->offset,
			 "%" PRIu32 " bytes of the disk at %" PRIu64 " cannot be read: %s",
			 p->length, chunk->sector * DMG_SECTOR + p->skip, p->err->message);
	else
		c->findings->count[PLATTER_DAMAGE]++;
}

static int
settle(struct check *c, struct platter_error *err)
{
	uint64_t read = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->nr_pieces; i++) {
		struct piece *p = &c->pieces[i];
		uint32_t *crc = &c->crcs[p->chunk];

		*crc = p->skip ? pl_crc32_combine(*crc, p->crc, p->length) : p->crc;
		if (p->err)
			report_lost(c, p);
		else
			read += p->length;
		r = add_to_fork(c, p, err);
		free(PL_STEAL(p->err));
	}
	return r < 0 ? r : pl_check_goes_on(c->findings, read, err);
}

static int
read_all(struct check *c, struct platter_error *err)
{
	int r = 0;

	for (plan(c); r == 0 && c->nr_pieces; plan(c)) {
		atomic_store(&c->taken, 0);
		pl_parallel(c->nr_workers, work, c);
		r = atomic_load(&c->no_memory) ? pl_no_memory(err) : settle(c, err);
	}
	if (c->nr_lost > MAX_REPORTS)
		pl_found(c->findings, PLATTER_NOTE, PLATTER_NO_OFFSET,
			 "%" PRIu64 " more ranges cannot be read", c->nr_lost - MAX_REPORTS);
	return r;
}

/* The checksums. */

/*
 * Each trailer has the checksum of its own data fork, or the first that of all: what hdiutil writes
 * is not documented.  So it is no damage if neither matches; the tables tell of that.
 */
static int
check_segments(struct check *c, struct platter_error *err)
{
	uint32_t all = 0;
	size_t nr_wrong = 0;

	c->fork_at = 0;
	for (size_t i = 0; i < c->d->koly.segments; i++) {
		const struct dmg_segment *s = &c->d->segments[i];
		uint64_t start = c->fork_at;
		int r;

		c->fork_crc = 0;
		r = pass_bytes(c, s->end, err);
		if (r < 0 || c->fork_lost)
			return r;
		if (c->findings->go_on && !c->findings->go_on(c->findings, 0))
			return pl_fail(err, -ECANCELED, "stopped");
		nr_wrong += s->data_sum.type == SUM_CRC32 && s->data_sum.crc != c->fork_crc;
		all = pl_crc32_combine(all, c->fork_crc, s->end - start);
	}
	if (nr_wrong && all != c->d->koly.data_sum.crc)
		pl_found(c->findings, PLATTER_NOTE, c->d->koly.at + KOLY_DATA_SUM,
			 "%zu of %" PRIu32
			 " segments have data forks with another checksum than their trailers say",
			 nr_wrong, c->d->koly.segments);
	return 0;
}

static int
check_fork(struct check *c, struct platter_error *err)
{
	const struct dmg_koly *k = &c->d->koly;
	int r;

	if (k->data_sum.type != SUM_CRC32 || c->fork_lost)
		return 0;
	if (c->d->segments)
		return check_segments(c, err);
	if (c->shared) {
		c->fork_at = 0;
		c->fork_crc = 0;
	}
	r = pass_bytes(c, c->d->fork_length, err);
	if (r == 0 && !c->fork_lost && c->fork_crc != k->data_sum.crc)
		pl_found(c->findings, PLATTER_DAMAGE, k->at + KOLY_DATA_SUM,
			 "the data fork has CRC-32 %08" PRIx32 ", the trailer says %08" PRIx32,
			 c->fork_crc, k->data_sum.crc);
	return r;
}

/* The checksum of a table from those of its chunks; false: not all could be read. */
static bool
table_crc(const struct check *c, const struct dmg_table *t, uint32_t *ret)
{
	uint32_t crc = 0;

	for (size_t i = t->first_chunk; i < t->first_chunk + t->nr_chunks; i++) {
		const struct dmg_chunk *chunk = &c->d->tables.chunks[i];
		uint64_t bytes =
			(dmg_chunk_end(&c->d->tables, t, chunk) - chunk->sector) * DMG_SECTOR;

		if (c->lost[i])
			return false;
		if (chunk->kind == DMG_ZERO)
			crc = pl_crc32_zeros(crc, bytes);
		else if (dmg_is_stored(chunk->kind))
			crc = pl_crc32_combine(crc, c->crcs[i], bytes);
	}
	*ret = crc;
	return true;
}

static void
check_tables(struct check *c)
{
	uint32_t crc;

	for (size_t i = 0; i < c->d->tables.nr; i++) {
		const struct dmg_table *t = &c->d->tables.list[i];

		if (t->sum.type == SUM_CRC32 && table_crc(c, t, &crc) && crc != t->sum.crc)
			pl_found(c->findings, PLATTER_DAMAGE, t->at,
				 "the table '%s' has CRC-32 %08" PRIx32 ", it says %08" PRIx32,
				 t->name ? t->name : "", crc, t->sum.crc);
	}
}

static void
check_master(struct check *c)
{
	const struct dmg_koly *k = &c->d->koly;
	uint32_t crc = 0;

	if (k->master_sum.type != SUM_CRC32 || c->d->raw)
		return;
	for (size_t i = 0; i < c->d->tables.nr; i++) {
		uint8_t bytes[4];

		put_be32(bytes, c->d->tables.list[i].sum.crc);
		if (c->d->tables.list[i].sum.type == SUM_CRC32)
			crc = pl_crc32(crc, bytes, sizeof bytes);
	}
	if (crc != k->master_sum.crc)
		pl_found(c->findings, PLATTER_DAMAGE, k->at + KOLY_MASTER_SUM,
			 "the checksums of the tables have CRC-32 %08" PRIx32
			 ", the trailer says %08" PRIx32,
			 crc, k->master_sum.crc);
}

static void
check_structure(const struct dmg *d, struct pl_findings *findings)
{
	const struct dmg_tables *t = &d->tables;

	if (d->koly.sectors && d->koly.sectors < t->nr_sectors)
		pl_found(findings, PLATTER_DAMAGE, d->koly.at + KOLY_SECTORS,
			 "the trailer says that the disk has %" PRIu64
			 " sectors, the tables have %" PRIu64,
			 d->koly.sectors, t->nr_sectors);
	if (t->gap_sectors || d->koly.sectors > t->nr_sectors)
		pl_found(findings, PLATTER_NOTE, PLATTER_NO_OFFSET,
			 "%" PRIu64 " sectors are in none of the tables",
			 t->gap_sectors + (PL_MAX(d->koly.sectors, t->nr_sectors) - t->nr_sectors));
	if (d->koly.list_moved)
		pl_found(findings, PLATTER_NOTE, d->koly.at + KOLY_XML_OFFSET,
			 "the property list is not where the trailer says, but at byte %" PRIu64,
			 d->koly.xml_offset);
	if (t->stored_end > d->fork_length)
		pl_found(findings, PLATTER_NOTE, d->koly.at + KOLY_DATA_LENGTH,
			 "chunks are stored up to byte %" PRIu64 " of a data fork of %" PRIu64
			 " bytes",
			 t->stored_end, d->fork_length);
}

int
dmg_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct check *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return pl_no_memory(err);
	c->d = dmg_of(disk);
	c->findings = findings;
	check_structure(c->d, findings);
	r = prepare(c, err);
	if (r == 0)
		r = read_all(c, err);
	if (r == 0)
		r = check_fork(c, err);
	if (r == 0) {
		check_tables(c);
		check_master(c);
		findings->data_read = true;
	}
	check_done(c);
	return r;
}
