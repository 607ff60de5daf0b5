/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * plan.c - what has to be done to the disc in the drive, and whether it can be
 *
 * Discs that are written once keep what is on them; those that are rewritable lose it only when
 * that was asked for, by `blank` or `format`.  An overwritable disc is simply written over.
 */
#include "drive.h"

static int
refuse_state(const struct pl_drive *drive, struct platter_error *err)
{
	const struct platter_drive_info *info = &drive->info;
	int r;

	switch (info->disc.state) {
	case PLATTER_DISC_NONE:
		r = pl_fail(err, -ENOMEDIUM, "there is no disc in '%s'", info->address);
		pl_hint(err, "put one in, and close the tray");
		return r;
	case PLATTER_DISC_UNKNOWN:
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "'%s' cannot tell what disc is in it, or not write it",
				   info->address);
		pl_hint(err, "'platter list' says what it writes");
		return r;
	default: return 0;
	}
}

/* Which of the ways to make a disc empty does this one have? */
static int
plan_emptying(const struct pl_drive *drive, const struct platter_burn_options *o,
	      struct pl_burn_plan *plan, struct platter_error *err)
{
	const struct platter_drive_disc *disc = &drive->info.disc;
	int r = 0;

	if (o->format && !pl_profile_can_format(disc->profile)) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET, "a disc of kind %s is not formatted",
				   disc->profile_name);
		pl_hint(err, "DVD-RW, DVD+RW, DVD-RAM, BD-R and BD-RE are");
		return r;
	}
	plan->format = o->format;
	plan->fast = o->blank == PLATTER_BLANK_FAST;
	if (o->blank == PLATTER_BLANK_NONE)
		return 0;
	if (pl_profile_can_blank(disc->profile)) {
		plan->blank = true;
	} else if (disc->state == PLATTER_DISC_OVERWRITABLE) {
		plan->wipe = true;
	} else {
		r = pl_fail(err, -EROFS, "a disc of kind %s cannot be blanked", disc->profile_name);
		pl_hint(err, "what is written on it stays; take another disc");
	}
	return r;
}

static int
check_state(const struct pl_drive *drive, const struct platter_burn_options *o,
	    struct platter_error *err)
{
	const struct platter_drive_disc *disc = &drive->info.disc;
	int r;

	if (disc->state == PLATTER_DISC_CLOSED) {
		r = pl_fail(err, -EROFS, "the disc is closed: nothing can be added to it");
		pl_hint(err, disc->rewritable
				     ? "--blank=fast makes it empty, and what is on it is lost"
				     : "take another disc");
		return r;
	}
	if (disc->state == PLATTER_DISC_APPENDABLE && !o->append) {
		r = pl_fail(err, -EEXIST, "the disc has %" PRIu32 " sessions on it already",
			    disc->nr_sessions);
		pl_hint(err,
			disc->rewritable
				? "--append adds another, --blank=fast makes the disc empty first"
				: "--append adds another");
		return r;
	}
	return 0;
}

static int
check_shape(const struct pl_drive *drive, const struct pl_burn_shape *shape,
	    const struct platter_burn_options *o, struct platter_error *err)
{
	const struct platter_drive_disc *disc = &drive->info.disc;
	bool is_cd = !strcmp(disc->medium, "CD");

	if (!shape->bytes)
		return pl_invalid(err, "the image is empty: there is nothing to burn");
	if ((shape->audio || shape->nr_tracks > 1) && !is_cd)
		return pl_unsupported(
			err, PLATTER_NO_OFFSET,
			"%s can be written to a CD only, and a disc of kind %s is in '%s'",
			shape->audio ? "sound" : "several tracks", disc->profile_name,
			drive->info.address);
	if (shape->nr_sessions > 1 && o->simulate)
		return pl_unsupported(
			err, PLATTER_NO_OFFSET,
			"several sessions cannot be simulated: the second begins where "
			"the first really ended");
	if (o->simulate && !drive->can_simulate)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "'%s' cannot simulate with a disc of kind %s",
				      drive->info.address, disc->profile_name);
	if ((o->multi || shape->nr_sessions > 1) && !drive->can_append &&
	    disc->state != PLATTER_DISC_OVERWRITABLE)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "a disc of kind %s cannot stay open for another session",
				      disc->profile_name);
	return 0;
}

static int
check_room(const struct pl_drive *drive, const struct pl_burn_shape *shape,
	   const struct pl_burn_plan *plan, struct platter_error *err)
{
	uint64_t before = plan->start > 0 ? (uint64_t)plan->start * PL_DISC_SECTOR : 0;
	uint64_t room = drive->info.disc.free > before ? drive->info.disc.free - before : 0;

	/* How much a blanked or formatted disc has is known only then. */
	if (plan->blank || plan->format || shape->bytes <= room)
		return 0;
	return pl_fail(err, -ENOSPC,
		       "the image has %" PRIu64 " bytes, and there is room for %" PRIu64
		       " on the disc",
		       shape->bytes, room);
}

static int
check_options(const struct platter_burn_options *o, const struct pl_burn_shape *shape,
	      struct platter_error *err)
{
	if (o->multi && o->close)
		return pl_invalid(err, "a disc is either closed or left open for more");
	if (o->append && (o->format || o->blank != PLATTER_BLANK_NONE))
		return pl_invalid(err, "nothing can be appended to a disc that is emptied first");
	if (o->simulate && (o->format || o->blank != PLATTER_BLANK_NONE))
		return pl_invalid(err, "emptying a disc cannot be simulated");
	if (o->simulate && o->verify)
		return pl_invalid(err, "nothing is written that could be verified");
	if (!shape && !o->close && !o->format && o->blank == PLATTER_BLANK_NONE)
		return pl_invalid(err, "there is neither an image to burn nor anything else to do");
	if (!shape && (o->multi || o->append || o->verify || o->simulate))
		return pl_invalid(err,
				  "without an image a disc is only blanked, formatted or closed");
	return 0;
}

static int
plan_writing(const struct pl_drive *drive, const struct pl_burn_shape *shape,
	     const struct platter_burn_options *o, struct pl_burn_plan *plan,
	     struct platter_error *err)
{
	const struct platter_drive_disc *disc = &drive->info.disc;
	int r = 0;

	plan->write = true;
	if (!plan->blank && !plan->format)
		r = check_state(drive, o, err);
	if (r == 0)
		r = check_shape(drive, shape, o, err);
	if (r < 0)
		return r;
	if (disc->state == PLATTER_DISC_OVERWRITABLE) {
		if (o->append && disc->next_writable < 0) {
			r = pl_fail(err, -ENOTSUP,
				    "no ISO 9660 image is on the disc that another "
				    "session could follow");
			pl_hint(err, "without --append the disc is written from its start");
			return r;
		}
		plan->start = o->append ? disc->next_writable : 0;
		plan->overwrites = o->append;
		plan->lost |= !o->append && !o->simulate && disc->size > 0;
	}
	return check_room(drive, shape, plan, err);
}

int
pl_burn_plan(const struct pl_drive *drive, const struct pl_burn_shape *shape,
	     const struct platter_burn_options *o, struct pl_burn_plan *ret,
	     struct platter_error *err)
{
	const struct platter_drive_disc *disc = &drive->info.disc;
	struct pl_burn_plan plan = { .start = -1 };
	int r = check_options(o, shape, err);

	if (r == 0)
		r = refuse_state(drive, err);
	if (r == 0)
		r = plan_emptying(drive, o, &plan, err);
	if (r < 0)
		return r;
	plan.lost = (plan.blank || plan.wipe || plan.format) && disc->state != PLATTER_DISC_BLANK &&
		    (disc->size > 0 || disc->nr_sessions > 0);
	if (shape) {
		r = plan_writing(drive, shape, o, &plan, err);
	} else if (o->close) {
		if (disc->state != PLATTER_DISC_APPENDABLE)
			r = pl_invalid(err,
				       "only a disc to which more could be appended is closed");
		plan.close = true;
	}
	if (r == 0)
		*ret = plan;
	return r;
}
