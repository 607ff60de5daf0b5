/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * burn-verify.c - what was burned is read back and compared
 *
 * Data is compared byte for byte.  A drive writes and reads sound some samples beside where it
 * should, always as many: that shift is found first, and then all samples are compared that it
 * leaves on the track.
 */
#include "burn-verify.h"

#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "progress.h"

/* How often a sector that is verified is tried again. */
#define VERIFY_RETRIES 3

/* Drives are off by some hundred samples; 588 of them are a sector. */
#define MAX_SHIFT (4 * PL_AUDIO_SECTOR)
/* So much of the sound tells its place. */
#define SAMPLE_BYTES 4096
#define BLOCK_BYTES  (400 * PL_AUDIO_SECTOR)

static int
differs(struct pl_disk *leaf, uint64_t at, struct platter_error *err)
{
	uint64_t offset, length;
	int r;

	if (pl_drive_leaf_bad(leaf, 0, &offset, &length))
		r = pl_fail_at(err, -EILSEQ, offset,
			       "what was written cannot be read back, first at byte %" PRIu64,
			       offset);
	else
		r = pl_fail_at(err, -EILSEQ, at,
			       "what was written reads back differently, first at byte %" PRIu64,
			       at);
	pl_hint(err,
		"the disc may be faulty, or written too fast: try another, or a lower --speed");
	return r;
}

int
pl_burn_verify_data(struct pl_drive *drive, const struct pl_burn_track *track, int64_t start,
		    struct platter_progress *progress, struct platter_error *err)
{
	struct pl_drive_leaf_options how = {
		.retries = VERIFY_RETRIES,
		.start = start,
		.nr = pl_div_round_up(track->length, PL_DISC_SECTOR),
		.name = drive->info.address,
	};
	PL_AUTOUNREF struct pl_disk *leaf = NULL, *written = NULL, *source = NULL;
	struct platter_compare_result compared = { 0 };
	uint64_t offset, length;
	int r = pl_drive_leaf(drive, &how, &leaf, err);

	if (r == 0)
		r = pl_slice_new(leaf, 0, track->length, how.name, &written, err);
	if (r == 0)
		r = pl_slice_new(track->source, track->offset, track->length, how.name, &source,
				 err);
	if (r == 0)
		r = pl_compare(source, written, "verifying", progress, &compared, err);
	if (r < 0)
		return r;
	if (!compared.equal || pl_drive_leaf_bad(leaf, 0, &offset, &length))
		return differs(leaf, compared.first_difference, err);
	return 0;
}

/* The first place of the track that is not silent.  UINT64_MAX: there is none. */
static int
find_sound(const struct pl_burn_track *t, uint8_t *buf, uint64_t *ret, struct platter_error *err)
{
	*ret = UINT64_MAX;
	for (uint64_t at = MAX_SHIFT; at + MAX_SHIFT + SAMPLE_BYTES <= t->length;
	     at += SAMPLE_BYTES) {
		int r = pl_read(t->source, buf, SAMPLE_BYTES, t->offset + at, err);

		if (r < 0)
			return r;
		if (!pl_is_zero(buf, SAMPLE_BYTES / 4)) {
			*ret = at;
			return 0;
		}
	}
	return 0;
}

/* How far behind its place the sound of a track is read, in bytes. */
static int
find_shift(const struct pl_burn_track *t, struct pl_disk *leaf, int64_t *ret,
	   struct platter_error *err)
{
	PL_AUTOFREE uint8_t *sample = malloc(SAMPLE_BYTES),
			    *read = malloc(2 * MAX_SHIFT + SAMPLE_BYTES);
	const uint8_t *found;
	uint64_t at;
	int r;

	*ret = 0;
	if (!sample || !read)
		return pl_no_memory(err);
	r = find_sound(t, sample, &at, err);
	if (r == 0 && at != UINT64_MAX)
		r = pl_read(leaf, read, 2 * MAX_SHIFT + SAMPLE_BYTES, at - MAX_SHIFT, err);
	if (r < 0 || at == UINT64_MAX)
		return r;
	/* Where it should be comes first: sound may repeat itself. */
	if (!memcmp(read + MAX_SHIFT, sample, SAMPLE_BYTES))
		return 0;
	found = memmem(read, 2 * MAX_SHIFT + SAMPLE_BYTES, sample, SAMPLE_BYTES);
	if (!found)
		return differs(leaf, at, err);
	*ret = found - read - MAX_SHIFT;
	return 0;
}

static int
compare_shifted(const struct pl_burn_track *t, struct pl_disk *leaf, int64_t shift,
		struct platter_progress *progress, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *a = malloc(BLOCK_BYTES), *b = malloc(BLOCK_BYTES);
	uint64_t at = shift < 0 ? (uint64_t)-shift : 0;
	uint64_t end = shift > 0 ? t->length - (uint64_t)shift : t->length;
	struct pl_meter meter;
	int r = a && b ? 0 : pl_no_memory(err);

	pl_meter_start(&meter, progress, "verifying", end - at);
	while (at < end && r == 0) {
		size_t n = (size_t)PL_MIN(end - at, BLOCK_BYTES), i = 0;

		if (pl_meter_cancelled(&meter)) {
			r = pl_fail(err, -ECANCELED, "stopped");
			break;
		}
		r = pl_read(t->source, a, n, t->offset + at, err);
		if (r == 0)
			r = pl_read(leaf, b, n, (uint64_t)((int64_t)at + shift), err);
		while (r == 0 && i < n && a[i] == b[i])
			i++;
		if (r == 0 && i < n)
			r = differs(leaf, at + i, err);
		pl_meter_add(&meter, n, n);
		at += n;
	}
	pl_meter_finish(&meter);
	return r;
}

int
pl_burn_verify_track(struct pl_drive *drive, const struct pl_burn_track *track,
		     const struct platter_drive_track *found, struct platter_progress *progress,
		     struct platter_error *err)
{
	bool sound = track->mode == PLATTER_TRACK_AUDIO;
	/* The track begins at its index 1, what was written with its pregap. */
	uint32_t before = track->nr_indexes && !track->first_index ? track->indexes[1] : 0;
	struct pl_drive_leaf_options how = {
		.retries = VERIFY_RETRIES,
		.audio = true,
		.start = found->start - before,
		.nr = pl_div_round_up(track->length, PL_AUDIO_SECTOR),
		.name = drive->info.address,
	};
	PL_AUTOUNREF struct pl_disk *leaf = NULL;
	int64_t shift = 0;
	int r;

	if (sound != found->audio)
		return pl_fail(err, -EILSEQ, "track %" PRIu32 " reads back as %s", found->number,
			       found->audio ? "sound" : "data");
	if (!sound)
		return pl_burn_verify_data(drive, track, found->start, progress, err);
	r = pl_drive_leaf(drive, &how, &leaf, err);
	if (r == 0)
		r = find_shift(track, leaf, &shift, err);
	return r < 0 ? r : compare_shifted(track, leaf, shift, progress, err);
}
