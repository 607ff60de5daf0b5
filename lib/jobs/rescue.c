/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rescue.c - a failing drive becomes an image, with a mapfile beside it
 *
 * The image is written in place; the mapfile says what of it is true.  It is saved every few
 * seconds, always after the bytes that it calls finished are on stable storage, so that a kill or a
 * power cut loses at most the work of these seconds, which is done again.
 */
#include "rescue.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "create.h"
#include "guard.h"
#include "identity.h"
#include "storage.h"
#include "text.h"

/* Seconds between two mapfiles; longer where to write one, and the data before it, takes long. */
#define SAVE_EVERY 5.0
#define SAVE_SHARE 10

#define WATCH_EVERY 0.4
#define WATCH_CELLS 1024

#define DEFAULT_TIMEOUT 30

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- saving and telling ---- */

int
pl_rescue_save(struct pl_rescue *e, struct platter_error *err)
{
	double begun = now();
	int r = pl_flush(e->image, err);

	if (r == 0)
		r = pl_storage_save_mapfile(&e->map, e->map_path, err);
	e->saved = now();
	e->save_took = e->saved - begun;
	return r;
}

/* Worse is larger. */
static int
badness(char status)
{
	static const char order[] = "+?*/-";

	return (int)(strchr(order, status) - order);
}

/* The worst status of each of many equal parts. */
static size_t
draw(const struct pl_rescue *e, char *cells)
{
	uint64_t size = e->map.size;
	size_t nr = (size_t)PL_MIN(size, (uint64_t)WATCH_CELLS);

	memset(cells, '+', nr);
	for (size_t i = 0; i < e->map.nr; i++) {
		const struct pl_block *b = pl_mapfile_block(&e->map, i);
		__extension__ unsigned __int128 first = b->offset, last;
		size_t from, to;

		last = first + b->length - 1;
		from = (size_t)(first * nr / size);
		to = (size_t)(last * nr / size);
		for (size_t cell = from; cell <= to; cell++)
			if (badness((char)b->status) > badness(cells[cell]))
				cells[cell] = (char)b->status;
	}
	return nr;
}

static void
watch(struct pl_rescue *e)
{
	struct platter_rescue_state state = {
		.phase = e->meter.phase,
		.pass = e->map.pass,
		.position = e->map.position,
		.size = e->map.size,
		.finished = pl_mapfile_bytes(&e->map, PL_BLOCK_FINISHED),
		.untried = pl_mapfile_bytes(&e->map, PL_BLOCK_UNTRIED),
		.untrimmed = pl_mapfile_bytes(&e->map, PL_BLOCK_UNTRIMMED),
		.unscraped = pl_mapfile_bytes(&e->map, PL_BLOCK_UNSCRAPED),
		.bad = pl_mapfile_bytes(&e->map, PL_BLOCK_BAD),
		.rate = (uint64_t)e->meter.rate,
		.cells = e->cells,
	};

	e->watched = now();
	state.nr_cells = draw(e, e->cells);
	e->options->watch(&state, e->options->closure);
}

int
pl_rescue_pause(struct pl_rescue *e, struct platter_error *err)
{
	double at = now();

	pl_meter_add(&e->meter, 0, 0);
	if (e->options->watch && at - e->watched >= WATCH_EVERY)
		watch(e);
	if (pl_meter_cancelled(&e->meter))
		return pl_fail(err, -ECANCELED, "stopped");
	if (at - e->saved >= PL_MAX(SAVE_EVERY, SAVE_SHARE * e->save_took))
		return pl_rescue_save(e, err);
	return 0;
}

/* ---- the image and its mapfile ---- */

static int
no_mapfile(const char *image, const char *map_path, struct platter_error *err)
{
	int r = pl_fail(err, -EEXIST, "'%s' is there, but no mapfile '%s' that tells what it holds",
			image, map_path);

	pl_hint(err, "name the mapfile behind the image, or begin anew with --force");
	return r;
}

static int
create_file(const char *path, struct platter_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);

	if (fd < 0)
		return pl_fail_errno(err, -errno, "create '%s'", path);
	close(fd);
	return 0;
}

static int
open_device(struct pl_rescue *e, const char *image, struct platter_error *err)
{
	int r = pl_guard_device(image, err);

	if (r == 0)
		r = pl_storage_open(image,
				    PLATTER_OPEN_WRITE | PLATTER_OPEN_EXCLUSIVE | PL_STORAGE_SINGLE,
				    &e->image, err);
	if (r == 0 && e->options->identity)
		r = pl_identity_check(&e->options->identity->identity, e->image, err);
	if (r == 0 && e->image->size < e->map.size)
		r = pl_fail(err, -ENOSPC,
			    "'%s' is too small: it has %" PRIu64 " bytes, the disk %" PRIu64, image,
			    e->image->size, e->map.size);
	return r;
}

/*
 * Open the image, or make it.  The mapfile is there first: an image without one would pass for a
 * whole one.
 */
static int
open_image(struct pl_rescue *e, const char *image, bool anew, struct platter_error *err)
{
	struct stat st;
	int r = anew ? pl_storage_check_mapfile(e->map_path, err) : 0;

	if (r == 0 && anew)
		r = pl_storage_save_mapfile(&e->map, e->map_path, err);
	if (r < 0)
		return r;
	if (stat(image, &st) == 0 && S_ISBLK(st.st_mode))
		return open_device(e, image, err);
	e->fresh = anew;
	if (anew)
		r = create_file(image, err);
	if (r == 0)
		r = pl_storage_open(image, PLATTER_OPEN_WRITE | PL_STORAGE_SINGLE, &e->image, err);
	if (r == 0)
		pl_storage_write_direct(e->image);
	if (r == 0 && e->image->size < e->map.size)
		r = pl_resize(e->image, e->map.size, err);
	return r;
}

/* What an earlier run left, or a map of nothing yet. */
static int
prepare(struct pl_rescue *e, const char *image, uint64_t size, bool *ret_anew,
	struct platter_error *err)
{
	bool overwrite = e->options->overwrite;
	struct stat st, map_st;
	bool there = stat(image, &st) == 0, is_device = there && S_ISBLK(st.st_mode);
	bool has_map = stat(e->map_path, &map_st) == 0;
	int r;

	if (there && !is_device && !S_ISREG(st.st_mode))
		return pl_invalid(err, "'%s' is neither a file nor a block device", image);
	*ret_anew = overwrite || !has_map;
	if (!overwrite && !has_map && there && !is_device)
		return no_mapfile(image, e->map_path, err);
	if (*ret_anew)
		return pl_mapfile_init(&e->map, size, err);
	r = pl_storage_load_mapfile(e->map_path, &e->map, err);
	pl_mapfile_cut_open_end(&e->map, size);
	if (r < 0 || there)
		return r;
	/* Stopped before there was an image. */
	*ret_anew = !pl_mapfile_bytes(&e->map, PL_BLOCK_FINISHED);
	if (*ret_anew)
		return 0;
	r = pl_fail(err, -ENOENT, "there is a mapfile '%s', but no image '%s'", e->map_path, image);
	pl_hint(err, "put the image back, or begin anew with --force");
	return r;
}

/* ---- a device, or another image ---- */

/* It may be shorter: a copy that ends early has the rest elsewhere. */
static int
check_size(const struct pl_rescue *e, const struct pl_direct *d, struct platter_error *err)
{
	int r;

	if (d->size <= e->map.size)
		return 0;
	r = pl_invalid(err,
		       "'%s' has %" PRIu64 " bytes, but the mapfile '%s' is of a disk of %" PRIu64,
		       d->path, d->size, e->map_path, e->map.size);
	pl_hint(err, "is it the same disk?  --length=%" PRIu64 " takes only so much of it",
		e->map.size);
	return r;
}

/* What is asked for of this device. */
static int
choose_wanted(const struct pl_rescue *e, struct pl_ranges *ret, struct platter_error *err)
{
	uint64_t offset = e->options->offset;
	uint64_t length = e->options->length ? e->options->length : UINT64_MAX;
	int r = pl_ranges_add(ret, offset, length, err);

	pl_ranges_finish(ret, e->end);
	return r;
}

/* Of an image with a mapfile beside it, only what that calls finished. */
static int
leave_out_lost(struct pl_rescue *e, const char *source, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_ranges lost = { 0 }, known = { 0 };
	const struct pl_block *b;
	int r = pl_storage_open(source, PL_STORAGE_SINGLE, &file, err);

	if (r == 0)
		r = pl_storage_set_lost(file, source, NULL, err);
	if (r < 0 || !file->lost)
		return r;
	for (size_t i = 0; r == 0 && (b = pl_mapfile_block(file->lost, i)); i++)
		if (b->status != PL_BLOCK_FINISHED)
			r = pl_ranges_add(&lost, b->offset, b->length, err);
	pl_ranges_finish(&lost, e->end);
	if (r == 0)
		r = pl_ranges_invert(&lost, e->end, &known, err);
	pl_ranges_finish(&known, e->end);
	if (r == 0)
		r = pl_ranges_intersect(&e->wanted, &known, err);
	pl_ranges_done(&lost);
	pl_ranges_done(&known);
	return r;
}

/* What is missing of a hole reads as zeros. */
static int
take_hole(struct pl_rescue *e, uint64_t from, uint64_t to, struct platter_error *err)
{
	struct pl_block run;
	int r = 0;

	while (r == 0 && pl_mapfile_next(&e->map, from, to, PL_BLOCKS_UNFINISHED, &run)) {
		if (!e->fresh)
			r = pl_zero(e->image, run.offset, run.length, PL_ZERO_MAY_UNMAP, err);
		if (r == 0)
			r = pl_mapfile_set(&e->map, run.offset, run.length, PL_BLOCK_FINISHED, err);
		from = run.offset + run.length;
	}
	return r;
}

/* The holes of a file need not be read. */
static int
take_holes(struct pl_rescue *e, struct platter_error *err)
{
	const struct pl_direct *d = pl_reader_source(e->reader);
	int r = 0;

	for (size_t i = 0; i < e->wanted.nr && r == 0; i++) {
		uint64_t at = e->wanted.range[i].start, to = e->wanted.range[i].end, end;
		bool hole;

		for (; at < to && r == 0 && pl_direct_span(d, at, &hole, &end); at = end)
			if (hole)
				r = take_hole(e, at, PL_MIN(end, to), err);
	}
	return r;
}

/* What another copy could not give is tried with this one as if for the first time. */
static int
forget_failures(struct pl_rescue *e, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; i < e->wanted.nr && r == 0; i++)
		r = pl_mapfile_set_unfinished(&e->map, e->wanted.range[i].start,
					      e->wanted.range[i].end - e->wanted.range[i].start,
					      PL_BLOCK_UNTRIED, err);
	e->map.phase = PL_BLOCK_UNTRIED;
	e->map.pass = 1;
	e->map.position = 0;
	return r;
}

/* Every phase for what file systems use, and then for the rest. */
static int
read_used(struct pl_rescue *e, struct platter_error *err)
{
	struct pl_ranges used = { 0 }, all = { 0 };
	int r = pl_rescue_used(e, &used, err);

	if (r == 0)
		r = pl_ranges_copy(&e->wanted, &all, err);
	if (r == 0)
		r = pl_ranges_intersect(&e->wanted, &used, err);
	pl_ranges_done(&used);
	if (r == 0)
		r = pl_rescue_phases(e, err);
	if (r < 0 || e->options->used_only) {
		pl_ranges_done(&all);
		return r;
	}
	pl_ranges_done(&e->wanted);
	e->wanted = all;
	if (e->worked) {
		e->map.phase = PL_BLOCK_UNTRIED;
		e->map.pass = 1;
		e->map.position = 0;
	}
	return pl_rescue_phases(e, err);
}

static int
read_wanted(struct pl_rescue *e, const char *source, bool first, struct platter_error *err)
{
	bool tried_all = !pl_mapfile_bytes(&e->map, PL_BLOCK_UNTRIED) &&
			 !pl_mapfile_bytes(&e->map, PL_BLOCK_UNTRIMMED) &&
			 !pl_mapfile_bytes(&e->map, PL_BLOCK_UNSCRAPED);
	int r;

	e->other = !first || (e->map.device && strcmp(e->map.device, source) != 0);
	r = e->other ? forget_failures(e, err) : 0;

	if (r < 0)
		return r;
	free(e->map.device);
	e->map.device = strdup(source);
	if (!e->map.device)
		return pl_no_memory(err);
	e->again = tried_all && !e->other;
	e->worked = false;
	r = take_holes(e, err);
	if (r < 0)
		return r;
	return e->options->used_first || e->options->used_only ? read_used(e, err)
							       : pl_rescue_phases(e, err);
}

static int
read_from(struct pl_rescue *e, struct pl_direct *d, bool first, struct platter_error *err)
{
	PL_AUTOFREE char *source = strdup(d->path);
	uint64_t reads, bytes;
	int r = source ? 0 : pl_no_memory(err);

	e->end = PL_MIN(d->size, e->map.size);
	e->sector_size = d->sector_size;
	e->last_good = UINT64_MAX;
	e->nr_undo = 0;
	if (r == 0)
		r = choose_wanted(e, &e->wanted, err);
	if (r == 0 && !d->device)
		r = leave_out_lost(e, source, err);
	if (r == 0)
		r = pl_reader_new(d, pl_rescue_cd_open(d), e->image, e->fresh, e->timeout,
				  &e->reader, err);
	if (r == 0)
		r = read_wanted(e, source, first, err);
	if (e->reader) {
		pl_reader_counts(e->reader, &reads, &bytes);
		e->reads += reads;
		e->bytes += bytes;
		pl_reader_free(e->reader);
		e->reader = NULL;
	}
	pl_ranges_done(&e->wanted);
	return r;
}

/* One after the other, as long as something is missing. */
static int
read_all(struct pl_rescue *e, struct pl_direct *first, struct platter_error *err)
{
	const struct platter_rescue_options *o = e->options;
	int r = read_from(e, first, true, err);

	for (size_t i = 0; i < o->nr_also && r == 0; i++) {
		struct pl_direct d = { .fd = -1 };

		if (pl_mapfile_bytes(&e->map, PL_BLOCK_FINISHED) == e->map.size)
			break;
		r = pl_direct_open(o->also[i], &d, err);
		if (r == 0)
			r = check_size(e, &d, err);
		if (r == 0)
			r = read_from(e, &d, false, err);
		pl_direct_close(&d);
	}
	return r;
}

/* ---- the whole ---- */

static void
fill_result(const struct pl_rescue *e, uint64_t before, struct platter_rescue_result *ret)
{
	uint64_t offset = PL_MIN(e->options->offset, e->map.size);
	uint64_t end = e->map.size, *sums[] = { &ret->untried, &ret->untrimmed, &ret->unscraped,
						&ret->bad, &ret->finished };
	static const char statuses[] = "?*/-+";
	const struct pl_block *b;
	bool in_area = false;

	if (e->options->length)
		end = PL_MIN(end, offset + PL_MIN(e->options->length, end - offset));
	ret->size = e->map.size;
	ret->wanted = end - offset;
	ret->before = before;
	ret->reads = e->reads;
	ret->bytes = e->bytes;
	for (size_t i = 0; (b = pl_mapfile_block(&e->map, i)); i++) {
		uint64_t from = PL_MAX(b->offset, offset), to = PL_MIN(b->offset + b->length, end);

		if (from >= to)
			continue;
		*sums[strchr(statuses, (int)b->status) - statuses] += to - from;
		ret->areas += b->status != PL_BLOCK_FINISHED && !in_area;
		in_area = b->status != PL_BLOCK_FINISHED;
	}
}

static int
refuse_same(const char *device, const char *image, struct platter_error *err)
{
	struct stat a, b;

	if (stat(device, &a) < 0 || stat(image, &b) < 0)
		return 0;
	if (S_ISBLK(a.st_mode) ? S_ISBLK(b.st_mode) && a.st_rdev == b.st_rdev
			       : a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return pl_invalid(err, "'%s' and '%s' are the same", device, image);
	return 0;
}

static int
run(struct pl_rescue *e, struct pl_direct *d, const char *image, struct platter_rescue_result *ret,
    struct platter_error *err)
{
	bool anew;
	uint64_t before;
	int r = prepare(e, image, d->size, &anew, err);

	if (r == 0)
		r = check_size(e, d, err);
	if (r == 0)
		r = open_image(e, image, anew, err);
	if (r < 0)
		return r;
	before = pl_mapfile_bytes(&e->map, PL_BLOCK_FINISHED);
	e->saved = now();
	r = read_all(e, d, err);
	if (r == 0) {
		e->map.phase = PL_BLOCK_FINISHED;
		e->map.position = e->map.size;
	}
	/* An image that cannot be written cannot be flushed either. */
	if (r != -ENOSPC && r != -EIO) {
		struct platter_error late = PLATTER_ERROR_INIT;
		int saved = pl_rescue_save(e, &late);

		if (saved < 0 && (r == 0 || r == -ECANCELED)) {
			r = saved;
			if (err)
				*err = late;
		}
	}
	fill_result(e, before, ret);
	return r;
}

int
pl_rescue(const char *device, const char *image, const struct platter_rescue_options *options,
	  struct platter_progress *progress, struct platter_rescue_result *ret,
	  struct platter_error *err)
{
	PL_AUTOFREE char *map_path =
		options->mapfile ? strdup(options->mapfile) : pl_format("%s.map", image);
	struct pl_rescue e = {
		.options = options,
		.timeout = options->timeout ? options->timeout : DEFAULT_TIMEOUT,
		.map_path = map_path,
		.cells = malloc(WATCH_CELLS),
	};
	struct pl_direct d = { .fd = -1 };
	struct stat st;
	int r = map_path && e.cells ? refuse_same(device, image, err) : pl_no_memory(err);

	if (r == 0 && !options->mapfile && stat(image, &st) == 0 && S_ISBLK(st.st_mode)) {
		r = pl_invalid(err, "the mapfile of the device '%s' has to be named", image);
		pl_hint(err, "put it behind the device");
	}
	if (r == 0)
		r = pl_direct_open(device, &d, err);
	pl_meter_start(&e.meter, progress, "copying", d.fd >= 0 ? d.size : 0);
	if (r == 0)
		r = run(&e, &d, image, ret, err);
	pl_meter_finish(&e.meter);
	pl_direct_close(&d);
	pl_disk_unref(e.image);
	pl_mapfile_done(&e.map);
	free(e.cells);
	return r;
}
