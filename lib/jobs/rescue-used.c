/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rescue-used.c - what file systems on a failing drive use
 *
 * The drive is a disk for the drivers of partitions and file systems, whose reads are reads of the
 * rescue: what was read is taken from the image, and what is read goes there.
 */
#include "rescue.h"

#include <pthread.h>

#include "used.h"

/* What is read at once, so that metadata that stands together is. */
#define PIECE KIB(64)

struct failing {
	struct pl_disk disk;
	struct pl_rescue *rescue;
	pthread_mutex_t lock; /* drivers may read from several threads; the rescue has one */
	int fatal;            /* the rescue cannot go on */
	struct platter_error error;
};

static int
failing_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	    struct platter_error *err)
{
	(void)disk, (void)offset, (void)err;
	*ret = (struct pl_extent){ .length = length };
	return 0;
}

static bool
is_finished(const struct pl_rescue *e, uint64_t from, uint64_t to)
{
	struct pl_block run;

	return !pl_mapfile_next(&e->map, from, to, PL_BLOCKS_UNFINISHED, &run);
}

static int
read_missing(struct pl_rescue *e, uint64_t from, uint64_t to, size_t step,
	     enum pl_block_status failed, struct platter_error *err)
{
	int r = 0;

	for (uint64_t at = pl_round_down(from, step), n; at < to && r == 0; at += n) {
		bool good;

		n = PL_MIN(step, e->end - at);
		if (is_finished(e, at, at + n))
			continue;
		r = pl_rescue_read(e, at, (size_t)n, &good, err);
		if (r == 0 && !good)
			r = pl_mapfile_set_unfinished(&e->map, at, n, failed, err);
	}
	return r;
}

/* In pieces; if one fails, of that the sectors that are asked for. */
static int
make_finished(struct pl_rescue *e, uint64_t from, uint64_t to, struct platter_error *err)
{
	struct pl_block run;
	int r = 0;

	while (r == 0 && pl_mapfile_next(&e->map, from, to, "?", &run))
		r = read_missing(e, run.offset, run.offset + 1, PIECE, PL_BLOCK_UNTRIMMED, err);
	for (uint64_t at = from; r == 0 && pl_mapfile_next(&e->map, at, to, "*/", &run);
	     at = run.offset + run.length)
		r = read_missing(e, run.offset, PL_MIN(run.offset + run.length, to), e->sector_size,
				 PL_BLOCK_BAD, err);
	return r;
}

static int
failing_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	struct failing *f = pl_container_of(disk, struct failing, disk);
	struct pl_rescue *e = f->rescue;
	uint64_t end = offset + n;
	int r;

	pthread_mutex_lock(&f->lock);
	if (f->fatal == 0 && !is_finished(e, offset, end))
		f->fatal = make_finished(e, offset, end, &f->error);
	if (f->fatal < 0)
		r = pl_fail(err, -EIO, "%s", f->error.message);
	else if (!is_finished(e, offset, end))
		r = pl_fail_at(err, -EIO, offset, "%zu bytes at %" PRIu64 " cannot be read", n,
			       offset);
	else
		r = pl_read(e->image, buf, n, offset, err);
	pthread_mutex_unlock(&f->lock);
	return r;
}

static void
failing_free(struct pl_disk *disk)
{
	struct failing *f = pl_container_of(disk, struct failing, disk);

	pthread_mutex_destroy(&f->lock);
	pl_disk_done(disk);
	free(f);
}

static const struct pl_disk_ops failing_ops = {
	.name = "failing device",
	.map = failing_map,
	.read = failing_read,
	.free = failing_free,
};

static int
failing_new(struct pl_rescue *e, struct failing **ret, struct platter_error *err)
{
	struct failing *f = calloc(1, sizeof *f);
	int r = f ? pl_disk_init(&f->disk, &failing_ops, pl_reader_source(e->reader)->path, err)
		  : pl_no_memory(err);

	if (r < 0) {
		free(f);
		return r;
	}
	pthread_mutex_init(&f->lock, NULL);
	f->rescue = e;
	f->disk.size = e->end;
	f->disk.sector_size = f->disk.physical_sector_size = e->sector_size;
	*ret = f;
	return 0;
}

/* The ranges that are no holes. */
static int
take_ranges(struct pl_disk *used, struct pl_ranges *ret, struct platter_error *err)
{
	int r = 0;

	for (uint64_t at = 0; at < used->size && r == 0;) {
		struct pl_extent extent;

		r = pl_map(used, at, used->size - at, &extent, err);
		if (r < 0)
			break;
		if (extent.kind == PLATTER_DATA)
			r = pl_ranges_add(ret, at, extent.length, err);
		at += extent.length;
	}
	pl_ranges_finish(ret, used->size);
	return r;
}

int
pl_rescue_used(struct pl_rescue *e, struct pl_ranges *ret, struct platter_error *err)
{
	struct pl_place *place = NULL, *used = NULL;
	struct failing *f;
	uint64_t unused;
	int r = failing_new(e, &f, err);

	if (r < 0)
		return r;
	r = pl_place_of_leaf(&f->disk, &place, err);
	if (r < 0) {
		pl_disk_unref(&f->disk);
		return r;
	}
	r = pl_place_used(place, NULL, NULL, &used, &unused, err);
	if (r == 0)
		r = take_ranges(used->disk, ret, err);
	if (f->fatal < 0) {
		r = f->fatal;
		if (err)
			*err = f->error;
	}
	pl_place_close(used);
	pl_place_close(place);
	return r;
}
