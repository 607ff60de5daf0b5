/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * burn-disc.c - a disc with several tracks, or with sound, made into sessions to burn
 *
 * A track of sound is written from the begin of its pregap, whose sectors are index 0: what the image
 * holds there is kept.  The first 150 sectors before a session are the drive's.
 */
#include "burn-disc.h"

#include <stdio.h>

static bool
is_sound(struct pl_disk *image)
{
	const struct platter_track *track = pl_disc_track_of(image);
	const struct pl_format *format = pl_format_of(image);

	if (track)
		return track->mode == PLATTER_TRACK_AUDIO;
	return format && format->takes == PL_TAKES_SOUND;
}

static bool
has_sound(const struct platter_disc *info)
{
	for (size_t i = 0; i < info->nr_tracks; i++)
		if (info->tracks[i].mode == PLATTER_TRACK_AUDIO)
			return true;
	return false;
}

bool
pl_burn_is_disc(struct pl_disk *image)
{
	const struct pl_disc *disc = pl_disc_of(image);

	if (is_sound(image))
		return true;
	if (!disc || pl_disc_track_of(image))
		return false;
	return disc->info.nr_tracks > 1 || has_sound(&disc->info);
}

/* A file of sound, or one track of a disc. */
static void
take_single(struct pl_burn_disc *d, struct pl_disk *image)
{
	const struct platter_track *track = pl_disc_track_of(image);

	d->raw = pl_disk_ref(image);
	d->tracks[0] = (struct pl_burn_track){
		.source = image,
		.length = image->size,
		.mode = PLATTER_TRACK_AUDIO,
		.flags = track ? track->flags : 0,
		.pregap = -1,
		.isrc = track ? track->isrc : "",
		.text = track ? &track->text : NULL,
	};
	d->shape = (struct pl_burn_shape){
		.bytes = pl_div_round_up(image->size, PL_AUDIO_SECTOR) * PL_DISC_SECTOR,
		.nr_tracks = 1,
		.nr_sessions = 1,
		.audio = true,
	};
}

/* Where the sectors of a track begin that come from the image. */
static int64_t
begin_of(const struct platter_disc *info, size_t index)
{
	const struct platter_track *t = &info->tracks[index];
	bool first = !index || info->tracks[index - 1].session != t->session;

	if (t->mode != PLATTER_TRACK_AUDIO || (first && t->session > 1))
		return t->start;
	return first ? PL_MIN(t->start, 0) : t->start - (int64_t)t->pregap;
}

static void
take_indexes(struct pl_burn_disc *d, size_t index, int64_t begin)
{
	const struct platter_track *t = &d->disc->tracks[index];
	struct pl_burn_track *to = &d->tracks[index];
	uint32_t *list = d->indexes[index];
	size_t nr = 0;

	if (begin == t->start && !t->nr_indexes)
		return;
	to->first_index = begin < t->start ? 0 : 1;
	if (begin < t->start)
		list[nr++] = 0;
	list[nr++] = (uint32_t)(t->start - begin);
	for (size_t i = 0; i < t->nr_indexes && i < PL_DISC_MAX_INDEXES; i++)
		list[nr++] = (uint32_t)(t->indexes[i] - begin);
	to->indexes = list;
	to->nr_indexes = nr;
}

/* The user data of a track. */
static int
open_data(struct pl_burn_disc *d, size_t index, struct pl_disk *image, struct platter_error *err)
{
	static const struct pl_disk_ops ops = PL_DISC_OPS("disc");
	struct pl_open_request request = { .file = image };
	char number[16];

	snprintf(number, sizeof number, "%" PRIu32, d->disc->tracks[index].number);
	request.disk = number;
	return pl_disc_open(pl_disc_ref(d->disc), &ops, &request, &d->data[index], err);
}

static int
take_track(struct pl_burn_disc *d, size_t index, struct pl_disk *image, struct platter_error *err)
{
	const struct platter_track *t = &d->disc->tracks[index];
	int64_t begin = begin_of(&d->disc->info, index);
	struct pl_burn_track *to = &d->tracks[index];
	int r;

	*to = (struct pl_burn_track){
		.mode = t->mode,
		.flags = t->flags,
		.pregap = -1,
		.isrc = t->isrc,
		.text = &t->text,
	};
	if (t->mode == PLATTER_TRACK_AUDIO) {
		to->source = d->raw;
		to->offset = (uint64_t)pl_disc_position(d->disc, begin) * PL_AUDIO_SECTOR;
		to->length = (uint64_t)(t->start + (int64_t)t->length - begin) * PL_AUDIO_SECTOR;
		take_indexes(d, index, begin);
		return 0;
	}
	if (t->mode != PLATTER_TRACK_MODE1)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "track %" PRIu32 " is in mode %s, which is not burned",
				      t->number, t->mode == PLATTER_TRACK_MODE2 ? "2" : "0");
	r = open_data(d, index, image, err);
	if (r < 0)
		return r;
	to->source = d->data[index];
	to->length = d->data[index]->size;
	return 0;
}

/*
 * Tracks of data and of sound in one session cannot be written at once, and written one by one there
 * would be gaps between them that the image does not have.
 */
static int
check_sessions(const struct platter_disc *info, struct platter_error *err)
{
	for (size_t i = 1; i < info->nr_tracks; i++) {
		const struct platter_track *a = &info->tracks[i - 1], *b = &info->tracks[i];

		if (a->session == b->session &&
		    (a->mode == PLATTER_TRACK_AUDIO) != (b->mode == PLATTER_TRACK_AUDIO))
			return pl_unsupported(
				err, PLATTER_NO_OFFSET,
				"session %" PRIu32
				" has data and sound, which cannot be burned together",
				a->session);
	}
	return 0;
}

int
pl_burn_disc_init(struct pl_burn_disc *d, struct pl_disk *image, struct platter_error *err)
{
	const struct platter_disc *info;
	int r;

	*d = (struct pl_burn_disc){ 0 };
	if (is_sound(image)) {
		take_single(d, image);
		return 0;
	}
	d->disc = pl_disc_ref(pl_disc_of(image));
	info = &d->disc->info;
	r = check_sessions(info, err);
	if (r == 0)
		r = pl_disc_raw(d->disc, false, image->name, &d->raw, err);
	for (size_t i = 0; i < info->nr_tracks && r == 0; i++)
		r = take_track(d, i, image, err);
	d->shape = (struct pl_burn_shape){
		.bytes = (uint64_t)PL_MAX(info->sessions[info->nr_sessions - 1].end, 0) *
			 PL_DISC_SECTOR,
		.nr_tracks = info->nr_tracks,
		.nr_sessions = info->nr_sessions,
		.audio = has_sound(info),
	};
	return r;
}

void
pl_burn_disc_done(struct pl_burn_disc *d)
{
	for (size_t i = 0; i < ARRAY_SIZE(d->data); i++)
		pl_disk_unref(d->data[i]);
	pl_disk_unref(d->raw);
	pl_disc_unref(d->disc);
	*d = (struct pl_burn_disc){ 0 };
}

void
pl_burn_disc_session(struct pl_burn_disc *d, size_t index, struct pl_burn_session *ret,
		     int64_t *ret_start)
{
	const struct platter_disc *info;
	size_t first = 0;

	*ret = (struct pl_burn_session){
		.tracks = d->tracks, .nr_tracks = 1, .first_number = 1, .mcn = "", .start = -1
	};
	*ret_start = -1;
	if (!d->disc)
		return;
	info = &d->disc->info;
	while (info->tracks[first].session != info->sessions[index].number)
		first++;
	ret->tracks = &d->tracks[first];
	ret->nr_tracks = 0;
	while (first + ret->nr_tracks < info->nr_tracks &&
	       info->tracks[first + ret->nr_tracks].session == info->sessions[index].number)
		ret->nr_tracks++;
	ret->first_number = info->tracks[first].number;
	ret->mcn = info->mcn;
	ret->text = &info->text;
	/* Sound may stand anywhere; data names its sectors. */
	if (info->tracks[first].mode != PLATTER_TRACK_AUDIO)
		*ret_start = info->tracks[first].start;
}
