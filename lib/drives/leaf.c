/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * leaf.c - sectors of the disc in a drive, as a disk
 *
 * Which sectors are bad is known only when they were read, and a map has to tell before.  So
 * map() reads a window of sectors, and keeps it: the copy engine asks for the map of a range and
 * then for its bytes, front to back.  A few windows are kept, for the threads that lag behind; one
 * that is wanted again later is read again.
 *
 * Within a window sectors are read many at once.  Where that fails they are read one by one, each
 * tried again some times, until enough in a row were good.  What lies between the tracks of a CD,
 * such as the lead-outs of its sessions, is not tried at all: it is a hole; and so is what no track of
 * data has at its end (track.c).
 */
#include "drive.h"

#include <stdlib.h>

#define WINDOW_BYTES MIB(1)
#define NR_WINDOWS   16

/* Sectors in a row that have to be good before many are read at once again. */
#define GOOD_IN_A_ROW 16

struct window {
	uint64_t first; /* sector */
	uint64_t used;  /* when; 0: it holds nothing */
	uint8_t *bytes;
	uint8_t *kinds; /* enum kind of each sector */
};

enum kind {
	SECTOR_GOOD,
	SECTOR_BAD,
	SECTOR_OUTSIDE, /* of all tracks */
};

struct run {
	uint64_t start, nr; /* sectors */
};

struct leaf {
	struct pl_disk disk;
	struct pl_drive *drive;
	bool audio;
	unsigned retries;
	int64_t start;
	uint64_t nr;    /* sectors */
	uint32_t bytes; /* of a sector */
	uint32_t window_sectors;
	/* The drive's lock guards all below, as it does the drive. */
	struct window windows[NR_WINDOWS];
	uint64_t clock;
	struct run *bad; /* in order, neither overlapping nor adjacent */
	size_t nr_bad;
	uint64_t *lengths; /* of each track of a CD, as far as it can be there; 0: not known yet */
};

static const struct pl_disk_ops leaf_ops;

/* Sectors [start, start + nr) are bad. */
static int
add_bad(struct leaf *l, uint64_t start, uint64_t nr, struct platter_error *err)
{
	size_t i = 0, joined;
	struct run run = { start, nr };
	struct run *list;

	while (i < l->nr_bad && l->bad[i].start + l->bad[i].nr < start)
		i++;
	for (joined = i; joined < l->nr_bad && l->bad[joined].start <= start + nr; joined++) {
		uint64_t end = PL_MAX(run.start + run.nr, l->bad[joined].start + l->bad[joined].nr);

		run.start = PL_MIN(run.start, l->bad[joined].start);
		run.nr = end - run.start;
	}
	if (joined == i) {
		list = pl_realloc_array(l->bad, l->nr_bad + 1, sizeof *list);
		if (!list)
			return pl_no_memory(err);
		l->bad = list;
		memmove(list + i + 1, list + i, (l->nr_bad - i) * sizeof *list);
		l->nr_bad++;
	} else {
		memmove(l->bad + i + 1, l->bad + joined, (l->nr_bad - joined) * sizeof *l->bad);
		l->nr_bad -= joined - i - 1;
	}
	l->bad[i] = run;
	return 0;
}

/* One sector, tried again and again; *ret_good: it was read. */
static int
read_one(struct leaf *l, uint64_t sector, uint8_t *buf, bool *ret_good, struct platter_error *err)
{
	*ret_good = false;
	for (unsigned i = 0; i <= l->retries && !*ret_good; i++) {
		size_t got;
		int r = l->drive->ops->read(l->drive, l->audio, l->start + (int64_t)sector, 1, buf,
					    &got, err);

		if (r < 0)
			return r;
		*ret_good = got == 1;
	}
	if (!*ret_good)
		memset(buf, 0, l->bytes);
	return 0;
}

/* From the sector at `at` of a window one by one, until enough in a row are good; *ret_at is behind. */
static int
read_around(struct leaf *l, struct window *w, size_t nr, size_t at, size_t *ret_at,
	    struct platter_error *err)
{
	size_t in_a_row = 0;

	for (; at < nr && in_a_row < GOOD_IN_A_ROW; at++) {
		bool good;
		int r = read_one(l, w->first + at, w->bytes + at * l->bytes, &good, err);

		if (r == 0 && !good)
			r = add_bad(l, w->first + at, 1, err);
		if (r < 0)
			return r;
		w->kinds[at] = good ? SECTOR_GOOD : SECTOR_BAD;
		in_a_row = good ? in_a_row + 1 : 0;
	}
	*ret_at = at;
	return 0;
}

/* The sectors of a track that can be there; those of data are looked for once. */
static int
track_length(struct leaf *l, size_t index, uint64_t *ret, struct platter_error *err)
{
	int r = 0;

	*ret = l->drive->info.disc.tracks[index].length;
	if (l->audio)
		return 0;
	if (!l->lengths[index])
		r = pl_drive_data_sectors(l->drive, index, &l->lengths[index], err);
	*ret = l->lengths[index];
	return r;
}

/*
 * Is a sector on a track of the kind that is read, and where does that end?  Only the tracks of CDs
 * are asked: elsewhere all sectors can be read.
 */
static int
find_track(struct leaf *l, uint64_t sector, bool *ret_there, uint64_t *ret_end,
	   struct platter_error *err)
{
	const struct platter_drive_disc *disc = &l->drive->info.disc;
	int64_t lba = l->start + (int64_t)sector;

	*ret_end = l->nr;
	*ret_there = !l->lengths;
	for (size_t i = 0; i < disc->nr_tracks && l->lengths; i++) {
		const struct platter_drive_track *t = &disc->tracks[i];
		uint64_t length;
		int r;

		if (t->audio != l->audio)
			continue;
		if (t->start > lba) {
			*ret_end = PL_MIN(*ret_end, (uint64_t)(t->start - l->start));
			continue;
		}
		if (lba - t->start >= (int64_t)t->length)
			continue;
		r = track_length(l, i, &length, err);
		if (r < 0)
			return r;
		*ret_there = lba - t->start < (int64_t)length;
		if (!*ret_there)
			length = t->length;
		*ret_end = PL_MIN(l->nr, (uint64_t)(t->start + (int64_t)length - l->start));
		return 0;
	}
	return 0;
}

/* Sectors [at, end) of a window, which are all on one track. */
static int
read_run(struct leaf *l, struct window *w, size_t at, size_t end, struct platter_error *err)
{
	while (at < end) {
		size_t got;
		int r = l->drive->ops->read(l->drive, l->audio, l->start + (int64_t)(w->first + at),
					    end - at, w->bytes + at * l->bytes, &got, err);

		if (r == 0) {
			at += PL_MIN(got, end - at);
			r = at < end ? read_around(l, w, end, at, &at, err) : 0;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int
fill(struct leaf *l, struct window *w, struct platter_error *err)
{
	size_t nr = (size_t)PL_MIN(l->window_sectors, l->nr - w->first), end;

	memset(w->kinds, SECTOR_GOOD, l->window_sectors);
	for (size_t at = 0; at < nr; at = end) {
		uint64_t run_end;
		bool there;
		int r = find_track(l, w->first + at, &there, &run_end, err);

		if (r < 0)
			return r;
		end = (size_t)PL_MIN(nr, run_end - w->first);
		if (there) {
			r = read_run(l, w, at, end, err);
		} else {
			memset(w->kinds + at, SECTOR_OUTSIDE, end - at);
			memset(w->bytes + at * l->bytes, 0, (end - at) * l->bytes);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* The window that holds a sector, read if it is not there; the caller holds the lock. */
static int
window_of(struct leaf *l, uint64_t sector, struct window **ret, struct platter_error *err)
{
	uint64_t first = sector - sector % l->window_sectors;
	struct window *oldest = &l->windows[0];
	int r;

	for (size_t i = 0; i < NR_WINDOWS; i++) {
		struct window *w = &l->windows[i];

		if (w->used && w->first == first) {
			w->used = ++l->clock;
			*ret = w;
			return 0;
		}
		if (w->used < oldest->used)
			oldest = w;
	}
	if (!oldest->bytes) {
		oldest->bytes = pl_alloc_aligned((size_t)l->window_sectors * l->bytes);
		oldest->kinds = malloc(l->window_sectors);
		if (!oldest->bytes || !oldest->kinds) {
			free(oldest->bytes);
			free(oldest->kinds);
			oldest->bytes = oldest->kinds = NULL;
			return pl_no_memory(err);
		}
	}
	oldest->used = 0;
	oldest->first = first;
	r = fill(l, oldest, err);
	if (r < 0)
		return r;
	oldest->used = ++l->clock;
	*ret = oldest;
	return 0;
}

static int
leaf_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	static const enum platter_kind kinds[] = { PLATTER_DATA, PLATTER_BAD, PLATTER_HOLE };
	struct leaf *l = pl_container_of(disk, struct leaf, disk);
	uint64_t sector = offset / l->bytes;
	struct window *w;
	size_t at, end;
	int r;

	pthread_mutex_lock(&l->drive->lock);
	r = window_of(l, sector, &w, err);
	if (r == 0) {
		at = end = (size_t)(sector - w->first);
		while (end < l->window_sectors && w->first + end < l->nr &&
		       w->kinds[end] == w->kinds[at])
			end++;
		*ret = (struct pl_extent){
			.kind = kinds[w->kinds[at]],
			.length = (w->first + end) * l->bytes - offset,
		};
	}
	pthread_mutex_unlock(&l->drive->lock);
	return r;
}

static int
leaf_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	struct leaf *l = pl_container_of(disk, struct leaf, disk);
	uint64_t window_bytes = (uint64_t)l->window_sectors * l->bytes;
	uint8_t *to = buf;
	int r = 0;

	while (n && r == 0) {
		uint64_t in_window = offset % window_bytes;
		size_t part = (size_t)PL_MIN(n, window_bytes - in_window);
		struct window *w;

		pthread_mutex_lock(&l->drive->lock);
		r = window_of(l, offset / l->bytes, &w, err);
		if (r == 0)
			memcpy(to, w->bytes + in_window, part);
		pthread_mutex_unlock(&l->drive->lock);
		to += part;
		offset += part;
		n -= part;
	}
	return r;
}

static void
leaf_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	const struct leaf *l = pl_container_of(disk, struct leaf, disk);
	const struct platter_drive_info *info = &l->drive->info;

	pl_fact_text(facts, "model", "drive", "%s %s", info->vendor, info->model);
	pl_fact_text(facts, "profile", "disc", "%s", info->disc.profile_name);
}

static void
leaf_free(struct pl_disk *disk)
{
	struct leaf *l = pl_container_of(disk, struct leaf, disk);

	for (size_t i = 0; i < NR_WINDOWS; i++) {
		free(l->windows[i].bytes);
		free(l->windows[i].kinds);
	}
	free(l->bad);
	free(l->lengths);
	pl_disk_done(disk);
	free(l);
}

static const struct pl_disk_ops leaf_ops = {
	.name = "drive",
	.map = leaf_map,
	.read = leaf_read,
	.describe = leaf_describe,
	.free = leaf_free,
};

int
pl_drive_leaf(struct pl_drive *drive, const struct pl_drive_leaf_options *o, struct pl_disk **ret,
	      struct platter_error *err)
{
	const struct platter_drive_disc *disc = &drive->info.disc;
	PL_AUTOFREE struct leaf *l = calloc(1, sizeof *l);
	int r = l ? 0 : pl_no_memory(err);

	if (r == 0 && !strcmp(disc->medium, "CD") && disc->nr_tracks) {
		l->lengths = calloc(disc->nr_tracks, sizeof *l->lengths);
		r = l->lengths ? 0 : pl_no_memory(err);
	}
	if (r == 0)
		r = pl_disk_init(&l->disk, &leaf_ops, o->name, err);
	if (r < 0) {
		if (l)
			free(l->lengths);
		return r;
	}
	l->drive = drive;
	l->audio = o->audio;
	l->retries = o->retries;
	l->start = o->start;
	l->nr = o->nr;
	l->bytes = o->audio ? PL_AUDIO_SECTOR : PL_DISC_SECTOR;
	l->window_sectors = (uint32_t)(WINDOW_BYTES / l->bytes);
	l->disk.size = l->nr * l->bytes;
	l->disk.sector_size = o->audio ? 512 : PL_DISC_SECTOR;
	l->disk.physical_sector_size = l->disk.sector_size;
	l->disk.look_ahead = WINDOW_BYTES;
	*ret = &PL_STEAL(l)->disk;
	return 0;
}

bool
pl_drive_leaf_bad(struct pl_disk *disk, size_t index, uint64_t *ret_offset, uint64_t *ret_length)
{
	struct leaf *l = pl_container_of(disk, struct leaf, disk);
	bool there;

	pthread_mutex_lock(&l->drive->lock);
	there = index < l->nr_bad;
	if (there) {
		*ret_offset = l->bad[index].start * l->bytes;
		*ret_length = l->bad[index].nr * l->bytes;
	}
	pthread_mutex_unlock(&l->drive->lock);
	return there;
}
