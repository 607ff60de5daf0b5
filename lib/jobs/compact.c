/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * compact.c - the space of an image's file that holds zeros, or nothing, given back
 *
 * In place: stored zeros become holes of the image, and the format fills the gaps.  Or the
 * image is made anew, as small as it can be.
 */
#include "change.h"

#include <stdlib.h>

#include "chain.h"
#include "format.h"
#include "guard.h"
#include "progress.h"
#include "storage.h"
#include "stored.h"

/* Read at once, and looked at in blocks: smaller runs of zeros are not worth a hole. */
#define PIECE MIB(4)
#define BLOCK KIB(4)

/* No format has larger blocks that matter: holes join runs of zeros up to where one may end. */
#define LARGEST_BLOCK MIB(256)

struct compact {
	struct pl_disk *disk;
	struct pl_meter meter;
	uint8_t *buf;
	struct platter_change_result *result;
	/* A run of zeros that may go on, and whether some of it is stored. */
	uint64_t start, end;
	bool stored;
};

/* Give up the run. */
static int
end_run(struct compact *c, struct platter_error *err)
{
	uint64_t length = c->end - c->start;

	if (!c->stored)
		return 0;
	c->stored = false;
	return pl_zero(c->disk, c->start, length, PL_ZERO_MAY_UNMAP, err);
}

static int
begin_run(struct compact *c, uint64_t offset, struct platter_error *err)
{
	int r = offset == c->end ? 0 : end_run(c, err);

	if (offset != c->end)
		c->start = c->end = offset;
	return r;
}

static int
add_zeros(struct compact *c, uint64_t offset, uint64_t length, struct platter_error *err)
{
	int r = begin_run(c, offset, err);

	c->end = offset + length;
	c->stored = true;
	return r;
}

/* What is not stored joins what is stored before and behind it, since one block may have both. */
static int
add_hole(struct compact *c, uint64_t offset, uint64_t length, struct platter_error *err)
{
	uint64_t end = offset + length, near = pl_round_up(offset + 1, LARGEST_BLOCK);
	int r = begin_run(c, offset, err);

	c->end = PL_MIN(end, near);
	if (r < 0 || end <= near)
		return r;
	r = end_run(c, err);
	c->start = PL_MAX(near, pl_round_down(end, LARGEST_BLOCK));
	c->end = end;
	return r;
}

/* The runs of whole blocks in the buffer that are zeros. */
static int
find_zeros(struct compact *c, uint64_t offset, size_t n, struct platter_error *err)
{
	size_t start, end;
	int r = 0;

	for (size_t at = 0; at < n && r == 0; at = end) {
		start = end = at;
		while (end < n && pl_is_zero(c->buf + end, PL_MIN(n - end, BLOCK)))
			end = PL_MIN(n, end + BLOCK);
		if (end > start)
			r = add_zeros(c, offset + start, end - start, err);
		else
			end = PL_MIN(n, at + BLOCK);
	}
	return r;
}

/* Blocks of the buffer begin where blocks of any size do. */
static int
read_for_zeros(struct compact *c, uint64_t offset, uint64_t length, struct platter_error *err)
{
	uint64_t end = offset + length;
	int r = 0;

	while (offset < end && r == 0) {
		size_t n = (size_t)PL_MIN(end - offset, PIECE - offset % PIECE);

		if (pl_meter_cancelled(&c->meter))
			return pl_fail(err, -ECANCELED, "cancelled");
		r = pl_read_once(c->disk, c->buf, n, offset, err);
		if (r == 0)
			r = find_zeros(c, offset, n, err);
		pl_meter_add(&c->meter, n, n);
		offset += n;
	}
	return r;
}

/* What the image stores, of which the file may have holes: they are not read. */
static int
drop_zeros_of_extent(struct compact *c, uint64_t offset, uint64_t length, struct platter_error *err)
{
	uint64_t end = offset + length, n;
	enum platter_kind kind;
	int r = 0;

	for (; offset < end && r == 0; offset += n) {
		r = pl_span(c->disk, offset, end - offset, &kind, &n, err);
		if (r == 0 && kind == PLATTER_ZERO) {
			r = add_zeros(c, offset, n, err);
			pl_meter_add(&c->meter, n, 0);
		} else if (r == 0) {
			r = read_for_zeros(c, offset, n, err);
		}
	}
	return r;
}

enum use {
	STORED, /* as it is */
	EMPTY,  /* reads as zeros, and nothing is stored for it */
	OTHER,  /* compressed, which was looked at when it was; of a parent; bad */
};

static enum use
use_of(const struct compact *c, const struct pl_extent *e)
{
	if (e->kind == PLATTER_ZERO || (e->kind == PLATTER_HOLE && !c->disk->parent))
		return EMPTY;
	return e->kind == PLATTER_DATA && !e->decoder ? STORED : OTHER;
}

/* How far what is at `at` goes on, whatever pieces the map has it in. */
static int
next_use(const struct compact *c, uint64_t at, enum use *ret, uint64_t *ret_length,
	 struct platter_error *err)
{
	uint64_t end = at, size = PL_MIN(c->disk->size, at + LARGEST_BLOCK);
	struct pl_extent e;
	int r = 0;

	do {
		r = pl_map(c->disk, end, size - end, &e, err);
		if (r < 0 || (end > at && use_of(c, &e) != *ret))
			break;
		*ret = use_of(c, &e);
		end += e.length;
	} while (end < size);
	*ret_length = end - at;
	return r;
}

static int
drop_all_zeros(struct compact *c, struct platter_error *err)
{
	uint64_t size = c->disk->size, length;
	int r = 0;

	for (uint64_t at = 0; at < size && r == 0; at += length) {
		enum use use = OTHER;

		r = next_use(c, at, &use, &length, err);
		if (r == 0 && use == STORED) {
			r = drop_zeros_of_extent(c, at, length, err);
			continue;
		}
		if (r == 0 && use == EMPTY)
			r = add_hole(c, at, length, err);
		pl_meter_add(&c->meter, length, 0);
	}
	return r == 0 ? end_run(c, err) : r;
}

static void
count_only(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
	   const char *message)
{
}

/* Where two blocks lie on each other, or one is not counted, moving them would lose data. */
static int
check_sound(struct pl_disk *disk, struct platter_error *err)
{
	const struct pl_format *format = pl_format_of(disk);
	struct pl_findings findings = { .found = count_only };
	int r = format && format->check ? format->check(disk, &findings, err) : 0;

	if (r < 0 || !findings.count[PLATTER_DAMAGE])
		return r;
	r = pl_corrupt(err, PLATTER_NO_OFFSET, "the image is damaged in %" PRIu64 " places",
		       findings.count[PLATTER_DAMAGE]);
	pl_hint(err, "`platter verify` says where; `platter repair` it first");
	return r;
}

static int
compact_in_place(struct pl_place *place, struct platter_progress *progress,
		 struct platter_change_result *ret, struct platter_error *err)
{
	const struct pl_format *format = pl_format_of(place->disk);
	struct compact c = {
		.disk = place->disk, .meter.progress = progress, .buf = malloc(PIECE), .result = ret
	};
	int r;

	if (!c.buf)
		return pl_no_memory(err);
	ret->size = place->disk->size;
	ret->in_place = true;
	ret->stored_before = pl_stored(place->disk);
	pl_meter_start(&c.meter, progress, "compacting", place->disk->size);
	r = check_sound(place->disk, err);
	if (r == 0)
		r = drop_all_zeros(&c, err);
	if (r == 0)
		r = pl_flush(place->disk, err);
	if (r == 0 && format && format->change && format->change->compact)
		r = format->change->compact(place->disk, err);
	if (r == 0)
		r = pl_flush(place->disk, err);
	pl_meter_finish(&c.meter);
	ret->stored_after = pl_stored(place->disk);
	free(c.buf);
	return r;
}

/* What others put into the folder of an image would not be in a new one. */
static int
refuse_other_files(const char *folder, const struct pl_format *format, struct platter_error *err)
{
	PL_AUTOFREE char *other = NULL;
	int r = pl_storage_find_other(folder, format->bundle.own, &other, err);

	if (r < 0 || !other)
		return r;
	r = pl_fail(err, -EBUSY, "'%s' has '%s' in it, which a new one would not", folder, other);
	pl_hint(err, "compact it in place, without --copy, or move what is not of the image"
		     " elsewhere first");
	return r;
}

/* Anew: what a parent or snapshots have would not be in it. */
static int
compact_through_copy(struct pl_place *place, struct platter_progress *progress,
		     struct platter_change_result *ret, struct platter_error *err)
{
	const struct pl_format *format = pl_format_of(place->disk);
	PL_AUTOFREE char *path = NULL;
	const char *name = pl_storage_path(place->storage, 0);
	int r;

	if (!format || !format->create || !name || pl_storage_is_device(place->storage)) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET, "'%s' (%s) cannot be made anew",
				   place->name, format ? format->info.longname : "a raw disk");
		pl_hint(err, "convert it to a format that platter creates: platter formats");
		return r;
	}
	if (place->disk->parent) {
		r = pl_fail(err, -EBUSY, "'%s' stands on a parent, which a copy would not",
			    place->name);
		pl_hint(err, "`platter flatten` makes it whole");
		return r;
	}
	r = pl_refuse_snapshots(place->disk, place->name, err);
	if (r == 0)
		r = pl_storage_check_unwritten(place->storage, err);
	path = r == 0 ? realpath(name, NULL) : NULL;
	if (r == 0 && !path)
		r = pl_fail_errno(err, -errno, "open '%s'", name);
	if (r == 0 && format->creates_folder) {
		*strrchr(path, '/') = '\0';
		r = refuse_other_files(path, format, err);
	}
	return r == 0 ? pl_make_anew(place, path, progress, ret, err) : r;
}

static bool
can_compact_in_place(const struct pl_place *place)
{
	const struct pl_format *format = pl_format_of(place->disk);

	return place->disk->writable && place->disk->ops->zero &&
	       (place->disk->ops->read || (format && format->change && format->change->compact));
}

int
pl_compact(const char *image, const struct platter_compact_options *options,
	   struct platter_progress *progress, struct platter_change_result *ret,
	   struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	unsigned flags = options->copy ? 0 : PLATTER_OPEN_WRITE | PLATTER_OPEN_EXCLUSIVE;
	struct pl_place *place;
	const char *path;
	int r = pl_place_open(image, NULL, flags, &place, &why);

	/* What cannot be written in place can be made anew. */
	if (flags && (r == -ENOTSUP || r == -EROFS))
		r = pl_place_open(image, NULL, 0, &place, &why);
	if (r < 0) {
		if (err)
			*err = why;
		return r;
	}
	path = pl_storage_path(place->storage, 0);
	r = path ? pl_guard_device(path, err) : 0;
	if (r == 0)
		r = can_compact_in_place(place) ? compact_in_place(place, progress, ret, err)
						: compact_through_copy(place, progress, ret, err);
	pl_place_close(place);
	return r;
}
