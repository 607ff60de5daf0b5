/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hash-files.c - hashes of files inside, several files at once
 *
 * The walk gathers files into batches; each batch is hashed on all processors and told in
 * order before the next is gathered.
 */
#include "hash-files.h"

#include "hash.h"
#include "pool.h"
#include "progress.h"
#include "text.h"
#include "tree.h"

#define MAX_BATCH   256      /* files, */
#define BATCH_BYTES MIB(256) /* or so many bytes of them */
#define PIECE       MIB(1)

struct one {
	char *path;
	struct pl_node_id id;
	struct platter_hashed_file result;
	struct platter_error err;
};

struct batch {
	struct pl_volume *v;
	const char *hashes;
	void (*each)(const struct platter_hashed_file *file, void *closure);
	void *closure;
	struct pl_meter meter;
	struct one *file;
	size_t nr;
	uint64_t bytes;
};

static int
hash_disk(struct batch *b, struct pl_disk *disk, struct pl_hasher *h, struct platter_error *err)
{
	size_t n = (size_t)PL_MIN(PIECE, disk->size), nr = pl_hasher_count(h);
	PL_AUTOFREE uint8_t *piece = malloc(n + 1);
	int r = 0;

	if (!piece)
		return pl_no_memory(err);
	for (uint64_t at = 0; at < disk->size && r == 0; at += n) {
		enum platter_kind kind;
		uint64_t length;

		if (pl_meter_cancelled(&b->meter))
			return pl_fail(err, -ECANCELED, "cancelled");
		r = pl_span(disk, at, disk->size - at, &kind, &length, err);
		if (r < 0)
			break;
		if (kind != PLATTER_DATA) {
			for (size_t i = 0; i < nr; i++)
				pl_hasher_update_zeros(h, i, length);
			at += length - n;
			continue;
		}
		n = (size_t)PL_MIN(PIECE, PL_MIN(length, disk->size - at));
		r = pl_read_once(disk, piece, n, at, err);
		for (size_t i = 0; i < nr && r == 0; i++)
			pl_hasher_update(h, i, piece, n);
		pl_meter_add(&b->meter, n, n);
	}
	return r;
}

static int
hash_one(struct batch *b, struct one *f)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_hasher *h = NULL;
	int r = pl_hasher_new(b->hashes, &h, &f->err);

	if (r == 0)
		r = pl_volume_open_file(b->v, f->id, NULL, f->path, &disk, &f->err);
	if (r == 0)
		r = hash_disk(b, disk, h, &f->err);
	if (r == 0) {
		f->result.size = disk->size;
		pl_hasher_finish(h, f->result.hashes, &f->result.nr_hashes);
	}
	pl_hasher_free(h);
	return r;
}

static void
hash_nth(void *closure, size_t index)
{
	struct batch *b = closure;
	struct one *f = &b->file[index];

	if (!f->result.error && hash_one(b, f) < 0)
		f->result.error = &f->err;
}

/* Hash what was gathered, and tell. */
static int
flush(struct batch *b, struct platter_error *err)
{
	int r = 0;

	pl_parallel(b->nr, hash_nth, b);
	if (pl_meter_cancelled(&b->meter))
		r = pl_fail(err, -ECANCELED, "cancelled");
	for (size_t i = 0; i < b->nr; i++) {
		b->file[i].result.path = b->file[i].path;
		if (r == 0)
			b->each(&b->file[i].result, b->closure);
		free(b->file[i].path);
	}
	b->nr = 0;
	b->bytes = 0;
	return r;
}

static int
gather(void *closure, const struct pl_visited *visited, struct platter_error *err)
{
	struct batch *b = closure;
	struct one *f = &b->file[b->nr];

	if (pl_meter_cancelled(&b->meter))
		return pl_fail(err, -ECANCELED, "cancelled");
	if (visited->what != PL_VISIT_ERROR &&
	    (visited->what != PL_VISIT_FILE || visited->file->type != PLATTER_FILE_REGULAR))
		return 0;
	*f = (struct one){ .id = visited->id, .path = strdup(visited->path) };
	if (!f->path)
		return pl_no_memory(err);
	b->nr++;
	if (visited->error) {
		f->err = *visited->error;
		f->result.error = &f->err;
	} else {
		b->bytes += PL_MIN(visited->file->size, BATCH_BYTES);
	}
	return b->nr == MAX_BATCH || b->bytes >= BATCH_BYTES ? flush(b, err) : 0;
}

int
pl_hash_files(struct pl_volume *v, struct pl_node_id start, const char *hashes,
	      void (*each)(const struct platter_hashed_file *file, void *closure), void *closure,
	      struct platter_progress *progress, struct platter_error *err)
{
	struct batch b = { .v = v, .hashes = hashes, .each = each, .closure = closure };
	struct pl_hasher *known = NULL;
	int r = pl_hasher_new(hashes, &known, err);

	pl_hasher_free(known);
	if (r < 0)
		return r;
	b.file = calloc(MAX_BATCH, sizeof *b.file);
	if (!b.file)
		return pl_no_memory(err);
	pl_meter_start(&b.meter, progress, "hashing", UINT64_MAX);
	r = pl_walk_tree(v, start, PL_WALK_SORTED, gather, &b, err);
	if (r == 0)
		r = flush(&b, err);
	for (size_t i = 0; i < b.nr; i++)
		free(b.file[i].path);
	pl_meter_finish(&b.meter);
	free(b.file);
	return r;
}
