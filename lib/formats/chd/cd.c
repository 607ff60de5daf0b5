/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cd.c - CHDs of CDs: their tracks, as metadata tells them
 *
 *	CHT2	TRACK:1 TYPE:MODE1_RAW SUBTYPE:NONE FRAMES:302 PREGAP:0 PGTYPE:MODE1 PGSUB:NONE POSTGAP:0
 *	CHTR	the same without the gaps
 *	CHGD	of GD-ROMs: also PAD, frames of zeros at the end that FRAMES counts
 *
 * Every frame has 2448 bytes: those of the sector that TYPE says, behind them its subchannel, and
 * zeros.  The frames of a track are filled up to a multiple of 4, by frames that are not of the
 * disc.  FRAMES counts the pregap if PGTYPE begins with V; else it is stored nowhere.  Samples of
 * sound have their high byte first.
 */
#include "cd.h"

struct track_type {
	const char *name, *other_name;
	enum platter_track_mode mode;
	uint32_t main_bytes;
};

static const struct track_type types[] = {
	{ "MODE1", "MODE1/2048", PLATTER_TRACK_MODE1, 2048 },
	{ "MODE1_RAW", "MODE1/2352", PLATTER_TRACK_MODE1, 2352 },
	{ "MODE2", "MODE2/2336", PLATTER_TRACK_MODE2, 2336 },
	{ "MODE2_FORM1", "MODE2/2048", PLATTER_TRACK_MODE2, 2048 },
	{ "MODE2_FORM2", "MODE2/2324", PLATTER_TRACK_MODE2, 2324 },
	{ "MODE2_FORM_MIX", "MODE2/2336", PLATTER_TRACK_MODE2, 2336 },
	{ "MODE2_RAW", "MODE2/2352", PLATTER_TRACK_MODE2, 2352 },
	{ "CDI/2352", "CDI_RAW", PLATTER_TRACK_MODE2, 2352 },
	{ "AUDIO", "AUDIO", PLATTER_TRACK_AUDIO, 2352 },
};

static bool
is_track(const struct metadata *e)
{
	return e->tag == TAG_CD_TRACK || e->tag == TAG_CD_OLD || e->tag == TAG_GD_TRACK ||
	       e->tag == TAG_GD_OLD;
}

bool
pl_chd_is_cd(const struct chd *c)
{
	for (size_t i = 0; i < c->metadata.nr; i++)
		if (is_track(&c->metadata.list[i]))
			return true;
	return false;
}

struct chd *
pl_chd_of_image(struct pl_disk *disk)
{
	struct pl_disc *disc;

	if (disk->ops == &pl_chd_ops)
		return chd_of(disk);
	disc = disk->ops == &pl_chd_disc_ops ? pl_disc_of(disk) : NULL;
	for (size_t i = 0; disc && i < disc->nr_files; i++)
		if (disc->files[i]->ops == &pl_chd_ops)
			return chd_of(disc->files[i]);
	return NULL;
}

/* A track as its metadata tells it. */
struct told {
	uint32_t number, frames, pregap, postgap;
	const struct track_type *type;
	enum pl_subchannel sub;
	bool pregap_stored;
};

static int
read_type(const struct metadata *e, struct told *ret, struct platter_error *err)
{
	char text[16] = "", sub[16] = "";

	if (!pl_chd_metadata_word((const char *)e->bytes, "TYPE", text, sizeof text))
		return pl_corrupt(err, e->at, "track %" PRIu32 " has no TYPE", ret->number);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(text, types[i].name) || !strcmp(text, types[i].other_name))
			ret->type = &types[i];
	if (!ret->type)
		return pl_unsupported(err, e->at, "track %" PRIu32 " is of the unknown TYPE '%s'",
				      ret->number, text);
	pl_chd_metadata_word((const char *)e->bytes, "SUBTYPE", sub, sizeof sub);
	if (!strcmp(sub, "RW") || !strcmp(sub, "RW_RAW"))
		ret->sub = PL_SUB_RAW96;
	else if (*sub && strcmp(sub, "NONE") != 0)
		return pl_unsupported(err, e->at,
				      "track %" PRIu32 " is of the unknown SUBTYPE '%s'",
				      ret->number, sub);
	return 0;
}

static int
read_track(const struct metadata *e, struct told *ret, struct platter_error *err)
{
	const char *text = (const char *)e->bytes;
	char word[16];
	int r;

	*ret = (struct told){ 0 };
	if (!pl_chd_metadata_number(text, "TRACK", &ret->number) || !ret->number ||
	    ret->number > 99)
		return pl_corrupt(err, e->at, "metadata of a track without a valid number");
	if (!pl_chd_metadata_number(text, "FRAMES", &ret->frames) || !ret->frames)
		return pl_corrupt(err, e->at, "track %" PRIu32 " has no FRAMES", ret->number);
	r = read_type(e, ret, err);
	pl_chd_metadata_number(text, "PREGAP", &ret->pregap);
	pl_chd_metadata_number(text, "POSTGAP", &ret->postgap);
	ret->pregap_stored =
		pl_chd_metadata_word(text, "PGTYPE", word, sizeof word) && *word == 'V';
	/* chdman takes a pregap from a sheet even if the file is shorter. */
	if (ret->pregap_stored && ret->pregap >= ret->frames)
		ret->pregap = 0;
	return r;
}

/* Where the next track begins: on the disc, and in the data. */
struct position {
	int64_t lba;
	uint64_t frame;
};

static int
add_track(struct chd *c, struct pl_disc *disc, const struct metadata *e, struct position *p,
	  struct platter_error *err)
{
	struct pl_disc_run run = { .file = &c->disk, .stride = FRAME_BYTES };
	struct platter_track track = { .session = 1 };
	struct told t;
	int r = read_track(e, &t, err);

	if (r < 0)
		return r;
	if (!pl_in_range(p->frame, t.frames, c->disk.size / FRAME_BYTES))
		return pl_corrupt(err, e->at,
				  "track %" PRIu32 " has frames %" PRIu64 " to %" PRIu64
				  ", of %" PRIu64,
				  t.number, p->frame, p->frame + t.frames - 1,
				  c->disk.size / FRAME_BYTES);
	track.number = t.number;
	track.mode = t.type->mode;
	track.start = p->lba + t.pregap;
	track.pregap = t.pregap;
	run.lba = t.pregap_stored ? p->lba : track.start;
	run.nr = t.frames;
	run.offset = p->frame * FRAME_BYTES;
	run.main_bytes = t.type->main_bytes;
	run.sub = t.sub;
	run.big_endian = t.type->mode == PLATTER_TRACK_AUDIO;
	p->lba = run.lba + t.frames + t.postgap;
	p->frame += pl_round_up(t.frames, TRACK_PADDING);
	if (p->lba > PL_DISC_MAX_SECTORS)
		return pl_corrupt(err, e->at, "track %" PRIu32 " ends at sector %" PRId64, t.number,
				  p->lba);
	r = pl_disc_add_track(disc, &track, &run.track, err);
	return r < 0 ? r : pl_disc_add_run(disc, &run, err);
}

int
pl_chd_open_disc(struct chd *c, const struct pl_open_request *request, struct pl_disk **ret,
		 struct platter_error *err)
{
	struct pl_disc *disc = pl_disc_new(err);
	struct position p = { 0 };
	int r = disc ? 0 : -ENOMEM;

	for (size_t i = 0; i < c->metadata.nr && r == 0; i++)
		if (is_track(&c->metadata.list[i]))
			r = add_track(c, disc, &c->metadata.list[i], &p, err);
	if (r == 0)
		r = pl_disc_finish(disc, err);
	if (r < 0) {
		pl_error_place(err, c->file->name);
		pl_disc_unref(disc);
		return r;
	}
	return pl_disc_open(disc, &pl_chd_disc_ops, request, ret, err);
}

static void
describe_disc(struct pl_disk *disk, struct pl_facts *facts)
{
	struct chd *c = pl_chd_of_image(disk);

	pl_disc_view_describe(disk, facts);
	if (c)
		pl_chd_describe(&c->disk, facts);
}

const struct pl_disk_ops pl_chd_disc_ops = {
	.name = "chd",
	.map = pl_disc_view_map,
	.below = pl_disc_view_below,
	.describe = describe_disc,
	.free = pl_disc_view_free,
};
