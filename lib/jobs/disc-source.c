/* SPDX-License-Identifier: GPL-3.0-or-later */
/* disc-source.c - what formats of discs and of sound are written from */
#include "disc-source.h"

static bool
is_sound(const struct pl_disk *disk)
{
	const struct platter_track *track = pl_disc_track_of(disk);
	const struct pl_format *format = pl_format_of(disk);

	if (track)
		return track->mode == PLATTER_TRACK_AUDIO;
	return format && format->takes == PL_TAKES_SOUND;
}

/* Discs have no such tracks, which sheets may tell of, and no format has a way to say it. */
static int
refuse_empty_tracks(const struct pl_disc *disc, const char *name, struct platter_error *err)
{
	for (size_t i = 0; i < disc->info.nr_tracks; i++) {
		int r;

		if (disc->tracks[i].length)
			continue;
		r = pl_corrupt(err, PLATTER_NO_OFFSET, "track %" PRIu32 " of '%s' has no sectors",
			       disc->tracks[i].number, name);
		pl_hint(err, "its other tracks can be written one by one: ?disk=%" PRIu32,
			disc->tracks[i ? 0 : disc->info.nr_tracks - 1].number);
		return r;
	}
	return 0;
}

/* All sectors of a disc, or of one that is made of a track's or a plain disk's data. */
static int
take_disc(struct pl_disc_source *s, struct pl_disk *source, bool with_sub,
	  struct platter_error *err)
{
	struct pl_disc *disc = pl_disc_track_of(source) ? NULL : pl_disc_of(source);
	int r = 0;

	if (disc)
		s->disc = pl_disc_ref(disc);
	else if (is_sound(source))
		r = pl_invalid(err, "'%s' is sound, and a disc is made of data", source->name);
	else
		r = pl_disc_of_data(source, &s->disc, err);
	if (r == 0)
		r = refuse_empty_tracks(s->disc, source->name, err);
	if (r == 0)
		r = pl_disc_raw(s->disc, with_sub, source->name, &s->disk, err);
	s->select = with_sub ? "raw+sub" : "raw";
	return r;
}

int
pl_disc_source_init(struct pl_disc_source *s, const struct pl_format *format,
		    struct pl_disk *source, struct platter_error *err)
{
	*s = (struct pl_disc_source){ 0 };
	if (format->takes == PL_TAKES_DISC)
		return take_disc(s, source, false, err);
	if (format->takes == PL_TAKES_BOTH && pl_disc_of(source) && !pl_disc_track_of(source))
		return take_disc(s, source, pl_disc_has_sub(pl_disc_of(source)), err);
	if (format->takes == PL_TAKES_SOUND && !is_sound(source)) {
		int r = pl_invalid(err, "'%s' is not sound, which is what %s holds", source->name,
				   format->info.name);

		pl_hint(err, "name an audio track: disc.cue?disk=2");
		return r;
	}
	if (pl_disc_of(source))
		s->disc = pl_disc_ref(pl_disc_of(source));
	s->disk = pl_disk_ref(source);
	return 0;
}

void
pl_disc_source_done(struct pl_disc_source *s)
{
	pl_disk_unref(s->disk);
	pl_disc_unref(s->disc);
}
