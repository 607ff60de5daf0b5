/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rip.c - the disc in a drive becomes an image
 *
 * The drive is a disk like any other, so that the copy engine does the work; only what could not be
 * read is told in a file of its own too.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "burn.h"
#include "create.h"
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

int
pl_drive_place(struct pl_drive *drive, unsigned retries, struct pl_place **ret,
	       struct platter_error *err)
{
	struct pl_drive_leaf_options how = { .retries = retries, .name = drive->info.address };
	struct pl_disk *leaf;
	int r;

	if (drive->info.disc.state == PLATTER_DISC_NONE)
		return pl_fail(err, -ENOMEDIUM, "there is no disc in '%s'", drive->info.address);
	if (drive->info.disc.size == 0)
		return pl_fail(err, -ENODATA, "there is nothing on the disc in '%s'",
			       drive->info.address);
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
	int r = pl_drive_place(drive, how->retries, &place, err);

	if (r < 0)
		return r;
	r = pl_create(place, target, options, progress, ret, err);
	if (r == 0 && strcmp(target, "-") != 0)
		r = write_mapfile(place->storage, target, err);
	pl_place_close(place);
	return r;
}
