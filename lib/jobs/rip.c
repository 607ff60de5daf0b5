/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rip.c - the disc in a drive becomes an image
 *
 * The drive is a disk like any other, so that the copy engine does the work; only what could not be
 * read is told in a file of its own too.  A CD with sound is a disc of the formats' room, whose
 * sectors the drive has.
 */
#include <string.h>

#include "burn.h"
#include "create.h"
#include "disc.h"
#include "storage.h"
#include "text.h"

/* Sectors up to the end of the last track of data. */
static int
data_sectors(struct pl_drive *drive, uint64_t *ret, struct platter_error *err)
{
	const struct platter_drive_disc *disc = &drive->info.disc;
	size_t last = disc->nr_tracks;
	int r;

	*ret = disc->size / PL_DISC_SECTOR;
	if (!disc->nr_tracks || strcmp(disc->medium, "CD") != 0)
		return 0;
	while (last > 0 && (disc->tracks[last - 1].audio || disc->tracks[last - 1].start < 0))
		last--;
	if (!last)
		return pl_unsupported(err, PLATTER_NO_OFFSET, "the disc in '%s' holds sound only",
				      drive->info.address);
	r = pl_drive_data_sectors(drive, last - 1, ret, err);
	*ret += (uint64_t)disc->tracks[last - 1].start;
	return r;
}

static int
check_disc(const struct pl_drive *drive, struct platter_error *err)
{
	if (drive->info.disc.state == PLATTER_DISC_NONE)
		return pl_fail(err, -ENOMEDIUM, "there is no disc in '%s'", drive->info.address);
	if (drive->info.disc.size == 0)
		return pl_fail(err, -ENODATA, "there is nothing on the disc in '%s'",
			       drive->info.address);
	return 0;
}

int
pl_drive_place(struct pl_drive *drive, const struct platter_drive_read_options *o,
	       struct pl_place **ret, struct platter_error *err)
{
	struct pl_drive_leaf_options how = { .retries = o->retries,
					     .start = o->start,
					     .name = drive->info.address };
	struct pl_disk *leaf;
	uint64_t nr;
	int r = check_disc(drive, err);

	if (r == 0)
		r = data_sectors(drive, &nr, err);
	if (r == 0 && (o->start < 0 || (uint64_t)o->start >= PL_MAX(nr, 1)))
		r = pl_invalid(err, "sector %" PRId64 " is not among the %" PRIu64 " of the disc",
			       o->start, nr);
	if (r < 0)
		return r;
	how.nr = nr - (uint64_t)o->start;
	r = pl_drive_leaf(drive, &how, &leaf, err);
	if (r < 0)
		return r;
	r = pl_place_of_leaf(leaf, ret, err);
	if (r < 0)
		pl_disk_unref(leaf);
	return r;
}

/* The texts that the disc has of itself. */
static int
take_texts(struct pl_drive *drive, struct pl_disc *disc, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *packs = NULL;
	char mcn[PL_DRIVE_NUMBER];
	size_t n;
	int r = drive->ops->cdtext(drive, &packs, &n, err);

	if (r < 0)
		return r;
	if (n)
		pl_disc_take_cdtext(disc, packs, n);
	drive->ops->number(drive, 0, mcn);
	if (strlen(mcn) == 13)
		disc->info.mcn = pl_disc_text(disc, mcn, strlen(mcn));
	return 0;
}

static int
add_track(struct pl_drive *drive, struct pl_disc *disc, const struct platter_drive_track *t,
	  struct pl_disk *leaf, struct platter_error *err)
{
	struct platter_track track = {
		.number = t->number,
		.session = t->session,
		.mode = t->audio ? PLATTER_TRACK_AUDIO : PLATTER_TRACK_MODE1,
		.start = t->start,
		.flags = t->flags,
	};
	struct pl_disc_run run = {
		.lba = t->start,
		.nr = t->length,
		.file = leaf,
		.main_bytes = t->audio ? PL_AUDIO_SECTOR : PL_DISC_SECTOR,
	};
	char isrc[PL_DRIVE_NUMBER] = "";
	int r;

	if (t->start < 0 || !t->length)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "track %" PRIu32 " begins at sector %" PRId64
				      " and has %" PRIu64,
				      t->number, t->start, t->length);
	run.offset = (uint64_t)t->start * run.main_bytes;
	if (t->audio)
		drive->ops->number(drive, t->number, isrc);
	if (strlen(isrc) == 12)
		track.isrc = pl_disc_text(disc, isrc, strlen(isrc));
	r = pl_disc_add_track(disc, &track, &run.track, err);
	return r < 0 ? r : pl_disc_add_run(disc, &run, err);
}

/* All tracks, those of sound from one leaf, those of data from another. */
static int
fill_disc(struct pl_drive *drive, struct pl_disc *disc, struct pl_disk *sound, struct pl_disk *data,
	  struct platter_error *err)
{
	const struct platter_drive_disc *toc = &drive->info.disc;
	int r = 0;

	for (size_t i = 0; i < toc->nr_tracks && r == 0; i++)
		r = add_track(drive, disc, &toc->tracks[i], toc->tracks[i].audio ? sound : data,
			      err);
	if (r == 0)
		r = take_texts(drive, disc, err);
	return r < 0 ? r : pl_disc_finish(disc, err);
}

/* What a disc is read through; references. */
struct leaves {
	struct pl_disk *data;  /* NULL: there is none */
	struct pl_disk *sound; /* the same */
};

static void
leaves_done(struct leaves *l)
{
	pl_disk_unref(l->data);
	pl_disk_unref(l->sound);
}

/* A disc with tracks of sound, as its images open. */
static int
open_sound(struct pl_drive *drive, unsigned retries, struct leaves *ret_leaves,
	   struct pl_disk **ret, struct platter_error *err)
{
	static const struct pl_disk_ops ops = PL_DISC_OPS("disc");
	const struct platter_drive_disc *toc = &drive->info.disc;
	const struct platter_drive_track *last = &toc->tracks[toc->nr_tracks - 1];
	struct pl_drive_leaf_options how = { .retries = retries,
					     .audio = true,
					     .nr = (uint64_t)(last->start + (int64_t)last->length),
					     .name = drive->info.address };
	struct pl_open_request request = { 0 };
	struct pl_disc *disc = pl_disc_new(err);
	int r = disc ? pl_drive_leaf(drive, &how, &ret_leaves->sound, err) : -ENOMEM;

	how.audio = false;
	if (r == 0)
		r = pl_drive_leaf(drive, &how, &ret_leaves->data, err);
	if (r == 0)
		r = fill_disc(drive, disc, ret_leaves->sound, ret_leaves->data, err);
	if (r < 0) {
		pl_disc_unref(disc);
		return r;
	}
	request.file = ret_leaves->sound;
	return pl_disc_open(disc, &ops, &request, ret, err);
}

static bool
has_sound(const struct pl_drive *drive)
{
	const struct platter_drive_disc *disc = &drive->info.disc;

	for (size_t i = 0; i < disc->nr_tracks; i++)
		if (disc->tracks[i].audio)
			return true;
	return false;
}

static int
open_data(struct pl_drive *drive, const struct platter_drive_read_options *how,
	  struct leaves *leaves, struct pl_place **ret, struct platter_error *err)
{
	int r = pl_drive_place(drive, how, ret, err);

	if (r == 0)
		leaves->data = pl_disk_ref((*ret)->storage);
	return r;
}

/* The disc as a place, and the leaves that tell what could not be read of it; `leaves` starts empty. */
static int
open_disc(struct pl_drive *drive, const struct platter_drive_read_options *how,
	  struct leaves *leaves, struct pl_place **ret, struct platter_error *err)
{
	struct pl_disk *disk = NULL;
	struct pl_place *below;
	int r = check_disc(drive, err);

	if (r < 0)
		return r;
	if (!has_sound(drive))
		return open_data(drive, how, leaves, ret, err);
	r = open_sound(drive, how->retries, leaves, &disk, err);
	if (r < 0)
		return r;
	r = pl_place_of_leaf(pl_disk_ref(leaves->sound), &below, err);
	if (r < 0) {
		pl_disk_unref(leaves->sound);
	} else {
		r = pl_place_of_disk(below, disk, false, drive->info.address, ret, err);
		pl_place_close(below);
	}
	if (r < 0)
		pl_disk_unref(disk);
	return r;
}

/* IMAGE.map, if there is anything to tell; else one of an earlier image is removed. */
static int
tell_bad(const struct leaves *leaves, const char *path, bool *ret_mapped, struct platter_error *err)
{
	struct pl_mapfile m;
	uint64_t offset, length;
	int r;

	if (!(leaves->data && pl_drive_leaf_bad(leaves->data, 0, &offset, &length)) &&
	    !(leaves->sound && pl_drive_leaf_bad(leaves->sound, 0, &offset, &length))) {
		pl_storage_remove_mapfile(path);
		return 0;
	}
	r = pl_drive_mapfile(leaves->data, leaves->sound, &m, err);
	if (r < 0)
		return r;
	r = pl_storage_save_mapfile(&m, path, err);
	pl_mapfile_done(&m);
	*ret_mapped = r == 0;
	return r;
}

int
pl_rip(struct pl_drive *drive, const char *target, const struct platter_drive_read_options *how,
       const struct platter_create_options *options, struct platter_progress *progress,
       struct platter_rip_result *ret, struct platter_error *err)
{
	PL_AUTOFREE char *mapfile = pl_format("%s.map", target);
	bool to_file = strcmp(target, "-") != 0;
	struct leaves leaves = { 0 };
	struct pl_place *place = NULL;
	int r = mapfile ? 0 : pl_no_memory(err);

	if (r == 0 && how->start)
		r = pl_invalid(err, "an image is made of a disc from its start on");
	if (r == 0 && to_file)
		r = pl_storage_check_mapfile(mapfile, err);
	if (r == 0)
		r = open_disc(drive, how, &leaves, &place, err);
	if (r == 0)
		r = pl_create(place, target, options, progress, &ret->copy, err);
	if (r == 0 && to_file)
		r = tell_bad(&leaves, mapfile, &ret->mapped, err);
	pl_place_close(place);
	leaves_done(&leaves);
	return r;
}
