/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rip.c - the disc in a drive becomes an image
 *
 * The drive is a disk like any other, so that the copy engine does the work; only what could not be
 * read is told in a file of its own too.  A CD with sound is a disc of the formats' room, whose
 * sectors the drive has.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "burn.h"
#include "create.h"
#include "disc.h"
#include "text.h"

/*
 * Sectors of data that the disc ends with.  After a track that was written alone stand two that
 * cannot be read, although they count as its own (MMC-6, 4.2.3.4: run-out blocks).
 */
static int
data_sectors(struct pl_drive *drive, uint64_t *ret, struct platter_error *err)
{
	const struct platter_drive_disc *disc = &drive->info.disc;
	uint8_t sector[PL_DISC_SECTOR];
	uint64_t nr = disc->size / PL_DISC_SECTOR;
	bool is_cd = !strcmp(disc->medium, "CD"), data = !disc->nr_tracks || !is_cd;

	for (size_t i = 0; i < disc->nr_tracks && is_cd; i++) {
		const struct platter_drive_track *t = &disc->tracks[i];

		if (!t->audio && t->start >= 0) {
			nr = (uint64_t)t->start + t->length;
			data = true;
		}
	}
	if (!data)
		return pl_unsupported(err, PLATTER_NO_OFFSET, "the disc in '%s' holds sound only",
				      drive->info.address);
	for (unsigned i = 0; i < 2 && is_cd && nr > 0; i++) {
		size_t got;
		int r = drive->ops->read(drive, false, (int64_t)nr - 1, 1, sector, &got, err);

		if (r < 0)
			return r;
		if (got)
			break;
		nr--;
	}
	*ret = nr;
	return 0;
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
pl_drive_place(struct pl_drive *drive, unsigned retries, struct pl_place **ret,
	       struct platter_error *err)
{
	struct pl_drive_leaf_options how = { .retries = retries, .name = drive->info.address };
	struct pl_disk *leaf;
	int r = check_disc(drive, err);

	if (r == 0)
		r = data_sectors(drive, &how.nr, err);
	if (r == 0)
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

/* A disc with tracks of sound, as its images open. */
static int
open_sound(struct pl_drive *drive, unsigned retries, struct pl_disk **ret_leaf,
	   struct pl_disk **ret, struct platter_error *err)
{
	static const struct pl_disk_ops ops = PL_DISC_OPS("disc");
	const struct platter_drive_disc *toc = &drive->info.disc;
	const struct platter_drive_track *last = &toc->tracks[toc->nr_tracks - 1];
	struct pl_drive_leaf_options how = { .retries = retries,
					     .audio = true,
					     .nr = (uint64_t)(last->start + (int64_t)last->length),
					     .name = drive->info.address };
	PL_AUTOUNREF struct pl_disk *sound = NULL, *data = NULL;
	struct pl_open_request request = { 0 };
	struct pl_disc *disc = pl_disc_new(err);
	int r = disc ? pl_drive_leaf(drive, &how, &sound, err) : -ENOMEM;

	how.audio = false;
	if (r == 0)
		r = pl_drive_leaf(drive, &how, &data, err);
	if (r == 0)
		r = fill_disc(drive, disc, sound, data, err);
	if (r < 0) {
		pl_disc_unref(disc);
		return r;
	}
	request.file = sound;
	r = pl_disc_open(disc, &ops, &request, ret, err);
	if (r == 0)
		*ret_leaf = PL_STEAL(sound);
	return r;
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

/* The disc as a place; on what could not be read of it `leaf`, the place's, reports. */
static int
open_disc(struct pl_drive *drive, unsigned retries, struct pl_place **ret,
	  struct platter_error *err)
{
	struct pl_disk *leaf = NULL, *disk = NULL;
	struct pl_place *below;
	int r = check_disc(drive, err);

	if (r < 0)
		return r;
	if (!has_sound(drive))
		return pl_drive_place(drive, retries, ret, err);
	r = open_sound(drive, retries, &leaf, &disk, err);
	if (r < 0)
		return r;
	r = pl_place_of_leaf(leaf, &below, err);
	if (r < 0) {
		pl_disk_unref(leaf);
	} else {
		r = pl_place_of_disk(below, disk, false, drive->info.address, ret, err);
		pl_place_close(below);
	}
	if (r < 0)
		pl_disk_unref(disk);
	return r;
}

static int
write_all(int fd, const char *text)
{
	size_t n = strlen(text);

	while (n) {
		ssize_t done = write(fd, text, n);

		if (done < 0)
			return -errno;
		text += done;
		n -= (size_t)done;
	}
	return 0;
}

/* IMAGE.map, if there is anything to tell; else one of an earlier image is removed. */
static int
write_mapfile(struct pl_disk *leaf, const char *target, struct platter_error *err)
{
	PL_AUTOFREE char *path = pl_format("%s.map", target), *text = NULL;
	uint64_t offset, length;
	int fd, r;

	if (!path)
		return pl_no_memory(err);
	if (!pl_drive_leaf_bad(leaf, 0, &offset, &length)) {
		unlink(path);
		return 0;
	}
	text = pl_drive_leaf_mapfile(leaf);
	if (!text)
		return pl_no_memory(err);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return pl_fail_errno(err, -errno, "create '%s'", path);
	r = write_all(fd, text);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r < 0 ? pl_fail_errno(err, r, "write '%s'", path) : 0;
}

int
pl_rip(struct pl_drive *drive, const char *target, const struct platter_drive_read_options *how,
       const struct platter_create_options *options, struct platter_progress *progress,
       struct platter_copy_result *ret, struct platter_error *err)
{
	struct pl_place *place;
	int r = open_disc(drive, how->retries, &place, err);

	if (r < 0)
		return r;
	r = pl_create(place, target, options, progress, ret, err);
	if (r == 0 && strcmp(target, "-") != 0)
		r = write_mapfile(place->storage, target, err);
	pl_place_close(place);
	return r;
}
