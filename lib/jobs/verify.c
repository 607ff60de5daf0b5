/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * verify.c - is the image below a disk as it should be?
 *
 * First the structure of each image, backing files included, as its format checks it; then
 * the partition tables; then all data is read and decoded on all processors, unless the check of
 * its image has done so.  What cannot be read is reported and passed over.
 *
 * Data is taken in batches of pieces.  Where hashes are wanted, a batch is kept while the
 * next one is read, and hashed meanwhile: hashing needs the order of the disk.
 */
#include "verify.h"

#include <stdio.h>

#include "format.h"
#include "hash.h"
#include "implanted.h"
#include "pool.h"
#include "progress.h"
#include "scheme.h"
#include "text.h"
#include "walk.h"

/* What one thread reads at once; it stays in the second-level cache. */
#define PIECE     KIB(256)
#define NR_PIECES 64
/* A run of zeros is hashed in pieces of this, so that it can be cancelled. */
#define ZERO_PIECE MIB(16)
/* What stays unreadable is looked for in steps of this where nothing says how it is divided. */
#define STEP KIB(64)
/* Ranges that could not be read, reported one by one; more are only counted. */
#define MAX_REPORTS 1000

/* A range that could not be read. */
struct failure {
	struct failure *next;
	uint64_t offset, length; /* on the disk */
	struct platter_error err;
};

struct piece {
	uint64_t offset, length;
	bool data;      /* else zeros, which only the hashes want */
	uint8_t *bytes; /* NULL: nobody wants them afterwards */
	uint64_t read;
	struct failure *failures, **end;
};

struct batch {
	struct piece pieces[NR_PIECES];
	size_t nr;
	uint8_t *bytes; /* room for all pieces; NULL without hashes */
};

struct verify {
	struct pl_findings findings;
	void (*found)(const struct platter_finding *finding, void *closure);
	void *closure;
	const char *prefix; /* says which image findings are about, or "" */

	struct pl_place *place;
	struct pl_walk walk;
	uint64_t next_offset; /* to be planned */
	struct pl_hasher *hasher;
	struct pl_meter meter;
	struct batch batches[2], *reading, *hashing;
	atomic_size_t next; /* piece to read */
	uint8_t *buffers;   /* a piece for each worker; NULL with hashes */
	atomic_bool no_memory;
	struct failure last; /* the run of failures being put together; length 0: none */
	uint64_t nr_failures, nr_bad;
	uint64_t read;
	uint64_t read_by_check; /* of one image */
	bool all_read;          /* all data of the disk, by the check of its image */
};

static void
forward(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
	const char *message)
{
	struct verify *v = pl_container_of(findings, struct verify, findings);
	PL_AUTOFREE char *text = v->prefix[0] ? pl_format("%s%s", v->prefix, message) : NULL;
	struct platter_finding finding = {
		.severity = severity,
		.offset = offset,
		.message = text ? text : message,
	};

	if (v->found)
		v->found(&finding, v->closure);
}

/* A check that reads data goes on unless the user cancels. */
static bool
go_on(struct pl_findings *findings, uint64_t bytes)
{
	struct verify *v = pl_container_of(findings, struct verify, findings);

	v->read_by_check += bytes;
	pl_meter_add(&v->meter, bytes, bytes);
	return !pl_meter_cancelled(&v->meter);
}

/* Check one image; what stops the check is a finding too. */
static int
check_image(struct verify *v, struct pl_disk *disk, struct platter_error *err)
{
	const struct pl_format *format = pl_format_of(disk);
	struct platter_error why = PLATTER_ERROR_INIT;
	int r;

	v->findings.data_read = false;
	v->read_by_check = 0;
	if (!format || !format->check)
		return 0;
	r = format->check(disk, &v->findings, &why);
	if (r == -ENOMEM)
		return pl_no_memory(err);
	if (r == 0 && v->findings.data_read && disk == v->place->disk) {
		v->all_read = true;
		v->read = v->read_by_check;
	}
	if (r < 0 && r != -ECANCELED)
		pl_found(&v->findings, PLATTER_DAMAGE, why.offset, "%s", why.message);
	return 0;
}

static int
check_images(struct verify *v, struct platter_error *err)
{
	int r = 0;

	for (size_t i = v->place->nr_layers; i-- > 0 && r == 0;) {
		struct pl_disk *disk = v->place->layers[i];

		r = check_image(v, disk, err);
		for (disk = disk->parent; disk && r == 0; disk = disk->parent) {
			PL_AUTOFREE char *prefix = pl_format("backing file '%s': ", disk->name);

			if (!prefix)
				return pl_no_memory(err);
			v->prefix = prefix;
			r = check_image(v, disk, err);
			v->prefix = "";
		}
		if (r == 0 && pl_meter_cancelled(&v->meter))
			r = pl_fail(err, -ECANCELED, "verifying was cancelled");
	}
	return r;
}

/* A driver marks a table that is damaged; else its warnings are worth knowing, no more. */
static enum platter_severity
table_severity(const struct platter_facts *facts)
{
	for (size_t i = 0; i < facts->nr_facts; i++)
		if (strcmp(facts->facts[i].key, "damaged") == 0 && facts->facts[i].number)
			return PLATTER_DAMAGE;
	return PLATTER_NOTE;
}

static void
report_warnings(struct verify *v, enum platter_severity severity, const struct platter_facts *facts)
{
	for (size_t i = 0; i < facts->nr_warnings; i++)
		pl_found(&v->findings, severity, PLATTER_NO_OFFSET, "partition table: %s",
			 facts->warnings[i]);
}

static int
check_tables(struct verify *v, struct platter_error *err)
{
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };
	struct platter_error why = PLATTER_ERROR_INIT;
	const struct platter_table *tables;
	size_t nr;
	int r = pl_tables_read(v->place->disk, v->place->flags, &arena, &tables, &nr, &facts, &why);

	if (r < 0 && r != -ENOMEM) {
		pl_found(&v->findings, PLATTER_DAMAGE, why.offset, "partition table: %s",
			 why.message);
	} else if (r == 0) {
		/* What is told apart from the tables is of those that cannot be read. */
		report_warnings(v, PLATTER_DAMAGE, &facts.list);
		for (size_t i = 0; i < nr; i++)
			report_warnings(v, table_severity(&tables[i].facts), &tables[i].facts);
	}
	pl_arena_done(&arena);
	return r == -ENOMEM ? pl_no_memory(err) : 0;
}

static void
report_failure(struct verify *v)
{
	const struct failure *f = &v->last;

	if (f->length && ++v->nr_failures <= MAX_REPORTS)
		pl_found(&v->findings, PLATTER_DAMAGE, f->err.offset,
			 "%" PRIu64 " bytes of the disk at %" PRIu64 " cannot be read: %s",
			 f->length, f->offset, f->err.message);
	else if (f->length)
		v->findings.count[PLATTER_DAMAGE]++;
	v->last.length = 0;
}

/* One piece of metadata that is damaged makes many reads in a row fail: report them as one. */
static void
add_failure(struct verify *v, uint64_t offset, uint64_t length, const struct platter_error *err)
{
	struct failure *f = &v->last;

	if (f->length && f->offset + f->length == offset && f->err.offset == err->offset &&
	    strcmp(f->err.message, err->message) == 0) {
		f->length += length;
		return;
	}
	report_failure(v);
	*f = (struct failure){ .offset = offset, .length = length, .err = *err };
}

/* Remember in the piece what could not be read. */
static void
piece_failed(struct verify *v, struct piece *p, uint64_t offset, uint64_t length,
	     const struct platter_error *err)
{
	struct failure *f = malloc(sizeof *f);

	if (!f) {
		atomic_store(&v->no_memory, true);
		return;
	}
	*f = (struct failure){ .offset = offset, .length = length, .err = *err };
	*p->end = f;
	p->end = &f->next;
}

/* A piece could not be read as a whole: find out which parts of it can. */
static void
read_parts(struct verify *v, struct piece *p, uint8_t *bytes)
{
	struct pl_disk *disk = v->place->disk;
	uint64_t end = p->offset + p->length, n;

	for (uint64_t at = p->offset; at < end; at += n) {
		struct platter_error err = PLATTER_ERROR_INIT;
		struct pl_piece stored;
		int r = pl_resolve(disk, at, end - at, 0, &stored, &err);

		/* Stored pieces are read or lost as a whole, and plain data by the step. */
		n = r < 0 || stored.leaf ? PL_MIN(STEP - at % STEP, end - at) : end - at;
		if (r == 0)
			n = PL_MIN(n, stored.length);
		if (r == 0)
			r = pl_read_once(disk, bytes + (at - p->offset), (size_t)n, at, &err);
		if (r < 0)
			piece_failed(v, p, at, n, &err);
		else
			p->read += n;
	}
}

static void
read_piece(struct verify *v, struct piece *p, uint8_t *buffer)
{
	uint8_t *bytes = p->bytes ? p->bytes : buffer;

	if (p->data && pl_read_once(v->place->disk, bytes, (size_t)p->length, p->offset, NULL) == 0)
		p->read = p->length;
	else if (p->data)
		read_parts(v, p, bytes);
	pl_meter_add(&v->meter, p->length, p->read);
}

static void
hash_batch(struct verify *v, size_t index)
{
	for (size_t i = 0; i < v->hashing->nr; i++) {
		const struct piece *p = &v->hashing->pieces[i];

		if (pl_meter_cancelled(&v->meter))
			return;
		if (p->bytes)
			pl_hasher_update(v->hasher, index, p->bytes, (size_t)p->length);
		else
			pl_hasher_update_zeros(v->hasher, index, p->length);
	}
}

/* The first indexes hash what was read before; the others are workers that read. */
static void
work(void *closure, size_t index)
{
	struct verify *v = closure;
	size_t nr_hashes = v->hasher ? pl_hasher_count(v->hasher) : 0, i;

	if (index < nr_hashes) {
		hash_batch(v, index);
		return;
	}
	while ((i = atomic_fetch_add(&v->next, 1)) < v->reading->nr)
		if (!pl_meter_cancelled(&v->meter))
			read_piece(v, &v->reading->pieces[i],
				   v->buffers ? v->buffers + (index - nr_hashes) * PIECE : NULL);
}

/* Report what could not be read, in the order of the disk. */
static void
settle(struct verify *v, struct batch *b)
{
	for (size_t i = 0; i < b->nr; i++) {
		struct piece *p = &b->pieces[i];

		v->read += p->read;
		for (struct failure *f = p->failures, *next; f; f = next) {
			next = f->next;
			add_failure(v, f->offset, f->length, &f->err);
			free(f);
		}
	}
}

static struct piece *
plan_piece(struct batch *b, uint64_t offset, uint64_t length, bool data)
{
	struct piece *p = &b->pieces[b->nr];

	*p = (struct piece){ .offset = offset, .length = length, .data = data };
	p->end = &p->failures;
	if (data && b->bytes)
		p->bytes = b->bytes + b->nr * PIECE;
	b->nr++;
	return p;
}

static void
report_bad(struct verify *v, uint64_t offset, uint64_t length)
{
	if (++v->nr_bad <= MAX_REPORTS)
		pl_found(&v->findings, PLATTER_NOTE, PLATTER_NO_OFFSET,
			 "%" PRIu64 " bytes of the disk at %" PRIu64
			 " are marked as unreadable in the original",
			 length, offset);
	else
		v->findings.count[PLATTER_NOTE]++;
}

/* Fill the batch from where planning stopped.  It stays empty at the end of the disk. */
static void
plan(struct verify *v, struct batch *b)
{
	uint64_t size = v->place->disk->size, offset = v->next_offset, n;

	b->nr = 0;
	while (b->nr < NR_PIECES && offset < size && !pl_meter_cancelled(&v->meter)) {
		struct platter_error err = PLATTER_ERROR_INIT;
		enum platter_kind kind = PLATTER_BAD;

		if (pl_walk_at(&v->walk, offset, size - offset, &kind, &n, &err) < 0) {
			n = PL_MIN(STEP - offset % STEP, size - offset);
			piece_failed(v, plan_piece(b, offset, n, false), offset, n, &err);
		} else if (kind == PLATTER_DATA) {
			n = PL_MIN(n, PIECE - offset % PIECE);
			plan_piece(b, offset, n, true);
		} else {
			n = v->hasher ? PL_MIN(n, ZERO_PIECE) : n;
			if (kind == PLATTER_BAD)
				report_bad(v, offset, n);
			if (v->hasher)
				plan_piece(b, offset, n, false);
			else
				pl_meter_add(&v->meter, n, 0);
		}
		offset += n;
	}
	v->next_offset = offset;
}

static void
report_rest(struct verify *v, uint64_t nr, const char *what)
{
	if (nr > MAX_REPORTS)
		pl_found(&v->findings, PLATTER_NOTE, PLATTER_NO_OFFSET, "%" PRIu64 " %s",
			 nr - MAX_REPORTS, what);
}

static int
read_all(struct verify *v, struct platter_error *err)
{
	size_t nr_workers = pl_nr_processors();

	v->reading = &v->batches[0];
	v->hashing = &v->batches[1];
	do {
		struct batch *done = v->hashing;

		v->hashing = v->reading;
		v->reading = done;
		plan(v, v->reading);
		atomic_store(&v->next, 0);
		pl_parallel(nr_workers + (v->hasher ? pl_hasher_count(v->hasher) : 0), work, v);
		settle(v, v->reading);
		if (pl_meter_cancelled(&v->meter))
			return pl_fail(err, -ECANCELED, "verifying was cancelled");
		if (atomic_load(&v->no_memory))
			return pl_no_memory(err);
	} while (v->reading->nr || v->next_offset < v->place->disk->size);
	report_failure(v);
	report_rest(v, v->nr_failures, "more ranges cannot be read");
	report_rest(v, v->nr_bad, "more ranges are marked as unreadable in the original");
	return 0;
}

static int
prepare(struct verify *v, const char *hashes, struct platter_error *err)
{
	if (hashes) {
		int r = pl_hasher_new(hashes, &v->hasher, err);

		if (r < 0)
			return r;
		v->batches[0].bytes = pl_alloc_aligned(NR_PIECES * PIECE);
		v->batches[1].bytes = pl_alloc_aligned(NR_PIECES * PIECE);
		if (!v->batches[0].bytes || !v->batches[1].bytes)
			return pl_no_memory(err);
	} else {
		v->buffers = pl_alloc_aligned(pl_nr_processors() * PIECE);
		if (!v->buffers)
			return pl_no_memory(err);
	}
	return 0;
}

static int
run(struct verify *v, struct platter_progress *progress, struct platter_verify_result *ret,
    struct platter_error *err)
{
	struct pl_meter whole;
	int r;

	pl_meter_start(&whole, NULL, "verifying", UINT64_MAX);
	pl_meter_start(&v->meter, progress, "checking", UINT64_MAX);
	r = check_images(v, err);
	if (r == 0)
		r = check_tables(v, err);
	if (r == 0)
		r = pl_implanted_check(v->place->disk, &v->meter, &v->findings, err);
	pl_meter_finish(&v->meter);
	if (r < 0)
		return r;

	if (!v->all_read || v->hasher) {
		v->read = 0;
		pl_meter_start(&v->meter, progress, "reading", v->place->disk->size);
		r = read_all(v, err);
		pl_meter_finish(&v->meter);
		if (r < 0)
			return r;
	}

	*ret = (struct platter_verify_result){
		.damages = v->findings.count[PLATTER_DAMAGE],
		.leaks = v->findings.count[PLATTER_LEAK],
		.notes = v->findings.count[PLATTER_NOTE],
		.size = v->place->disk->size,
		.read = v->read,
		.seconds = pl_meter_seconds(&whole),
	};
	/* A hash of what could not all be read would be of no disk that ever was. */
	if (v->hasher && !v->nr_failures)
		pl_hasher_finish(v->hasher, ret->hashes, &ret->nr_hashes);
	return 0;
}

int
pl_verify(struct pl_place *place, const char *hashes,
	  void (*found)(const struct platter_finding *finding, void *closure), void *closure,
	  struct platter_progress *progress, struct platter_verify_result *ret,
	  struct platter_error *err)
{
	struct verify *v;
	int r;

	if (place->disk->sequential) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET, "a stream cannot be verified");
		pl_hint(err, "save the stream as a file first");
		return r;
	}
	v = calloc(1, sizeof *v);
	if (!v)
		return pl_no_memory(err);
	v->findings.found = forward;
	v->findings.go_on = go_on;
	v->found = found;
	v->closure = closure;
	v->prefix = "";
	v->place = place;
	v->walk.disk = place->disk;
	r = prepare(v, hashes, err);
	if (r == 0)
		r = run(v, progress, ret, err);
	pl_hasher_free(v->hasher);
	free(v->batches[0].bytes);
	free(v->batches[1].bytes);
	free(v->buffers);
	free(v);
	return r;
}
