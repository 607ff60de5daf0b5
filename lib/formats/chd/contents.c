/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contents.c - what a new CHD says of its data */
#include <stdio.h>

#include "disc.h"
#include "text.h"
#include "writer.h"

#define DATA_BYTES 2048 /* of a sector of a data track */

/* As chdman guesses: the largest tracks, and then the most heads, that leave no rest. */
static void
guess_geometry(uint64_t nr, uint64_t *ret_cylinders, unsigned *ret_heads, unsigned *ret_sectors)
{
	for (unsigned sectors = 63; sectors > 1; sectors--)
		for (unsigned heads = 16; heads > 1 && nr % sectors == 0; heads--)
			if (nr / sectors % heads == 0) {
				*ret_cylinders = nr / sectors / heads;
				*ret_heads = heads;
				*ret_sectors = sectors;
				return;
			}
	*ret_cylinders = pl_div_round_up(nr, 16 * 63);
	*ret_heads = 16;
	*ret_sectors = 63;
}

int
pl_chd_add_geometry(struct metadata_list *m, uint64_t size, uint32_t sector_size,
		    struct platter_error *err)
{
	unsigned heads, sectors;
	uint64_t cylinders;
	char text[96];

	guess_geometry(size / sector_size, &cylinders, &heads, &sectors);
	if (cylinders > INT32_MAX)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a disk of %" PRIu64 " cylinders, limit is %d", cylinders,
				     INT32_MAX);
	snprintf(text, sizeof text, "CYLS:%" PRIu64 ",HEADS:%u,SECS:%u,BPS:%" PRIu32, cylinders,
		 heads, sectors, sector_size);
	return pl_chd_metadata_add(m, TAG_HARD_DISK, text, strlen(text) + 1, err);
}

static int
add_track(struct metadata_list *m, unsigned number, const char *type, const char *subtype,
	  uint64_t frames, uint64_t pregap, bool pregap_stored, struct platter_error *err)
{
	char text[256];

	snprintf(text, sizeof text,
		 "TRACK:%u TYPE:%s SUBTYPE:%s FRAMES:%" PRIu64 " PREGAP:%" PRIu64
		 " PGTYPE:%s%s PGSUB:%s POSTGAP:0",
		 number, type, subtype, frames, pregap, pregap_stored ? "V" : "",
		 pregap_stored ? type : "MODE1", pregap_stored ? subtype : "NONE");
	return pl_chd_metadata_add(m, TAG_CD_TRACK, text, strlen(text) + 1, err);
}

/* Is anything stored of the sectors before index 1? */
static bool
has_stored_pregap(const struct pl_disc *disc, size_t track)
{
	for (size_t i = 0; i < disc->nr_runs; i++)
		if (disc->runs[i].track == track && disc->runs[i].file &&
		    disc->runs[i].lba < disc->tracks[track].start)
			return true;
	return false;
}

static const char *
type_of(const struct platter_track *t)
{
	switch (t->mode) {
	case PLATTER_TRACK_AUDIO: return "AUDIO";
	case PLATTER_TRACK_MODE2: return "MODE2_RAW";
	default: return "MODE1_RAW";
	}
}

/* A track of the disc: which of its sectors are stored, and its metadata. */
static int
plan_track(const struct pl_disc *disc, size_t index, bool with_sub, struct metadata_list *m,
	   struct frames_track *ret, struct platter_error *err)
{
	const struct platter_track *t = &disc->tracks[index];
	bool stored = has_stored_pregap(disc, index);
	int64_t position = pl_disc_position(disc, t->start);
	uint64_t pregap = PL_MIN(t->pregap, (uint64_t)PL_MAX(position, 0));

	if (position < 0 || !t->length)
		return pl_unsupported(err, PLATTER_NO_OFFSET, "track %" PRIu32 " has no sectors",
				      t->number);
	*ret = (struct frames_track){ .position = (uint64_t)position - (stored ? pregap : 0),
				      .nr = t->length + (stored ? pregap : 0),
				      .swap = t->mode == PLATTER_TRACK_AUDIO };
	return add_track(m, (unsigned)index + 1, type_of(t), with_sub ? "RW_RAW" : "NONE", ret->nr,
			 pregap, stored && pregap, err);
}

static int
plan_disc(const struct pl_create_request *request, struct metadata_list *m, struct pl_disk **ret,
	  struct platter_error *err)
{
	const struct pl_disc *disc = request->disc;
	struct frames_track tracks[PL_DISC_MAX_TRACKS];
	bool with_sub = pl_disc_has_sub(disc);
	int r = 0;

	if (disc->info.nr_sessions > 1) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "a CHD holds one session, and '%s' has %zu",
				   request->source->name, disc->info.nr_sessions);
		pl_hint(err, "write it as toc, ccd or mds, or one track of it: ?disk=1");
		return r;
	}
	for (size_t i = 0; i < disc->info.nr_tracks && r == 0; i++)
		r = plan_track(disc, i, with_sub, m, &tracks[i], err);
	if (r < 0)
		return r;
	return pl_chd_frames_new(request->source, with_sub ? FRAME_BYTES : SECTOR_BYTES, tracks,
				 disc->info.nr_tracks, ret, err);
}

static int
plan_data(const struct pl_create_request *request, struct metadata_list *m, struct pl_disk **ret,
	  struct platter_error *err)
{
	struct frames_track track = { 0 };
	int r;

	if (!request->source || request->size == UINT64_MAX || !request->size ||
	    request->size % DATA_BYTES)
		return pl_invalid(err,
				  "option type=cd: a CD has sectors of %d bytes, and is made of a"
				  " whole number of them",
				  DATA_BYTES);
	track.nr = request->size / DATA_BYTES;
	if (track.nr > INT32_MAX)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a CD of %" PRIu64 " sectors, limit is %d", track.nr,
				     INT32_MAX);
	r = add_track(m, 1, "MODE1", "NONE", track.nr, 0, false, err);
	if (r < 0)
		return r;
	return pl_chd_frames_new(request->source, DATA_BYTES, &track, 1, ret, err);
}

int
pl_chd_plan_cd(const struct pl_create_request *request, struct metadata_list *m,
	       struct pl_disk **ret_frames, struct platter_error *err)
{
	if (request->disc && !request->track && request->source)
		return plan_disc(request, m, ret_frames, err);
	return plan_data(request, m, ret_frames, err);
}
