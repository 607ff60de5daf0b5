/* SPDX-License-Identifier: GPL-3.0-or-later */
/* file.c - the contents of a file as a disk */
#include "file.h"

/* Room in the address space of `pieces` for what one run decodes to. */
#define PIECE PL_MAX_CHUNK

/*
 * A run may show a part of a chunk that does not begin with it, and several runs parts of
 * one chunk: then the chunks stand on a disk of their own, that of run i at i * PIECE, and
 * the runs on that.
 */
struct pieces {
	struct pl_disk disk;
	struct file *file; /* whose they are; lives longer */
};

struct file {
	struct pl_disk disk;
	struct pl_disk *below;
	struct pl_runs runs;
	struct pieces *pieces; /* NULL: no run has a `skip` */
};

void
pl_runs_done(struct pl_runs *runs)
{
	free(runs->run);
	*runs = (struct pl_runs){ 0 };
}

static bool
goes_on(const struct pl_run *last, const struct pl_run *run)
{
	if (last->kind != run->kind || last->offset + last->length != run->offset ||
	    last->decoder || run->decoder || last->below != run->below)
		return false;
	return run->kind != PLATTER_DATA || last->stored + last->length == run->stored;
}

int
pl_runs_add(struct pl_runs *runs, const struct pl_run *run, struct platter_error *err)
{
	struct pl_run *last = runs->nr ? &runs->run[runs->nr - 1] : NULL;
	uint64_t end;

	if (!run->length)
		return 0;
	if (__builtin_add_overflow(run->offset, run->length, &end) ||
	    (last && run->offset < last->offset + last->length))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "run of %" PRIu64 " bytes at byte %" PRIu64
				  " of the file overlaps another or wraps round",
				  run->length, run->offset);
	if (run->decoder && (run->chunk_length > PL_MAX_CHUNK ||
			     !pl_in_range(run->skip, run->length, run->chunk_length)))
		return pl_corrupt(err, run->stored,
				  "run of %" PRIu64 " bytes at %" PRIu32
				  " of a compressed piece of %" PRIu32,
				  run->length, run->skip, run->chunk_length);
	if (last && goes_on(last, run)) {
		last->length += run->length;
		return 0;
	}
	if (runs->nr == runs->capacity) {
		size_t capacity = PL_MAX(8, runs->capacity * 2);
		struct pl_run *p;

		if (runs->nr == PL_MAX_RUNS)
			return pl_over_limit(err, PLATTER_NO_OFFSET, "file in more than %u pieces",
					     PL_MAX_RUNS);
		p = pl_realloc_array(runs->run, capacity, sizeof *p);
		if (!p)
			return pl_no_memory(err);
		runs->run = p;
		runs->capacity = capacity;
	}
	runs->run[runs->nr++] = *run;
	return 0;
}

int
pl_runs_add_data(struct pl_runs *runs, uint64_t offset, uint64_t length, uint64_t stored,
		 struct platter_error *err)
{
	const struct pl_run run = {
		.offset = offset, .length = length, .stored = stored, .kind = PLATTER_DATA
	};

	return pl_runs_add(runs, &run, err);
}

int
pl_runs_add_zero(struct pl_runs *runs, uint64_t offset, uint64_t length, struct platter_error *err)
{
	const struct pl_run run = { .offset = offset, .length = length, .kind = PLATTER_ZERO };

	return pl_runs_add(runs, &run, err);
}

/* The run that holds `offset`, or the first behind it; NULL: none. */
static const struct pl_run *
find_run(const struct pl_runs *runs, uint64_t offset)
{
	size_t low = 0, high = runs->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (runs->run[mid].offset + runs->run[mid].length <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low < runs->nr ? &runs->run[low] : NULL;
}

static int
file_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	struct file *f = pl_container_of(disk, struct file, disk);
	const struct pl_run *run = find_run(&f->runs, offset);
	uint64_t into;

	(void)err;
	if (!run || run->offset > offset) {
		*ret = (struct pl_extent){ .kind = PLATTER_HOLE,
					   .length = run ? run->offset - offset : length };
		return 0;
	}
	into = offset - run->offset;
	*ret = (struct pl_extent){ .kind = run->kind, .length = run->length - into };
	if (run->kind != PLATTER_DATA)
		return 0;
	ret->below = f->below;
	if (run->below)
		ret->below = run->below;
	if (!run->decoder) {
		ret->stored_offset = run->stored + into;
	} else if (run->skip) {
		ret->below = &f->pieces->disk;
		ret->stored_offset = (uint64_t)(run - f->runs.run) * PIECE + run->skip + into;
	} else {
		ret->stored_offset = run->stored;
		ret->decoder = run->decoder;
		ret->stored_length = run->stored_length;
		ret->chunk_offset = run->offset;
		ret->chunk_length = run->chunk_length;
	}
	return 0;
}

static struct pl_disk *
file_below(struct pl_disk *disk, size_t index)
{
	return index ? NULL : pl_container_of(disk, struct file, disk)->below;
}

static void
file_free(struct pl_disk *disk)
{
	struct file *f = pl_container_of(disk, struct file, disk);

	if (f->pieces)
		pl_disk_unref(&f->pieces->disk);
	for (size_t i = 0; i < f->runs.nr; i++)
		pl_disk_unref(f->runs.run[i].below);
	pl_runs_done(&f->runs);
	pl_disk_unref(f->below);
	pl_disk_done(disk);
	free(f);
}

static const struct pl_disk_ops file_ops = {
	.name = "file inside",
	.map = file_map,
	.below = file_below,
	.free = file_free,
};

static int
pieces_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *err)
{
	struct file *f = pl_container_of(disk, struct pieces, disk)->file;
	const struct pl_run *run = &f->runs.run[offset / PIECE];
	uint64_t into = offset % PIECE;

	(void)length, (void)err;
	if (!run->decoder || into >= run->chunk_length) {
		*ret = (struct pl_extent){ .kind = PLATTER_HOLE, .length = PIECE - into };
		return 0;
	}
	*ret = (struct pl_extent){
		.length = run->chunk_length - into,
		.kind = PLATTER_DATA,
		.below = run->below ? run->below : f->below,
		.stored_offset = run->stored,
		.decoder = run->decoder,
		.stored_length = run->stored_length,
		.chunk_offset = offset - into,
		.chunk_length = run->chunk_length,
	};
	return 0;
}

static void
pieces_free(struct pl_disk *disk)
{
	pl_disk_done(disk);
	free(pl_container_of(disk, struct pieces, disk));
}

static const struct pl_disk_ops pieces_ops = {
	.name = "compressed pieces",
	.map = pieces_map,
	.free = pieces_free,
};

static int
add_pieces(struct file *f, struct platter_error *err)
{
	struct pieces *p = calloc(1, sizeof *p);
	int r;

	if (!p)
		return pl_no_memory(err);
	r = pl_disk_init(&p->disk, &pieces_ops, f->disk.name, err);
	if (r == 0)
		r = pl_disk_stack(&p->disk, f->below, err);
	if (r < 0) {
		pieces_free(&p->disk);
		return r;
	}
	p->file = f;
	p->disk.size = f->runs.nr * PIECE;
	f->pieces = p;
	return pl_disk_stack(&f->disk, &p->disk, err);
}

int
pl_file_new(struct pl_disk *below, struct pl_runs *runs, uint64_t size, const char *name,
	    struct pl_disk **ret, struct platter_error *err)
{
	struct file *f;
	bool skips = false;
	int r;

	if (size > INT64_MAX) {
		pl_runs_done(runs);
		return pl_corrupt(err, PLATTER_NO_OFFSET, "file of %" PRIu64 " bytes", size);
	}
	f = calloc(1, sizeof *f);
	if (!f) {
		pl_runs_done(runs);
		return pl_no_memory(err);
	}
	f->runs = *runs;
	*runs = (struct pl_runs){ 0 };
	f->below = pl_disk_ref(below);
	r = pl_disk_init(&f->disk, &file_ops, name, err);
	f->disk.size = size;
	if (r == 0)
		r = pl_disk_stack(&f->disk, below, err);
	for (size_t i = 0; i < f->runs.nr; i++) {
		const struct pl_run *run = &f->runs.run[i];

		skips |= run->skip > 0;
		if (run->below)
			pl_disk_ref(run->below);
		if (run->below && r == 0)
			r = pl_disk_stack(&f->disk, run->below, err);
	}
	if (r == 0 && skips)
		r = add_pieces(f, err);
	if (r < 0) {
		file_free(&f->disk);
		return r;
	}
	*ret = &f->disk;
	return 0;
}

int
pl_file_of_bytes(const void *bytes, size_t n, const char *name, struct pl_disk **ret,
		 struct platter_error *err)
{
	int r = pl_memory_new(bytes, n, name, ret, err);

	if (r == 0)
		(*ret)->writable = (*ret)->growable = false;
	return r;
}
