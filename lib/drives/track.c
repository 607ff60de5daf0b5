/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * track.c - where the data of a track of a CD ends
 *
 * The table of contents counts as a track's all that stands before the next one.  Two kinds of
 * sectors are among them that are no data and cannot be read as such:
 *
 *	run-out blocks	two behind a track that was written alone (MMC-6, 4.2.3.4)
 *	a pregap	of the track of sound that follows, at least 150 sectors (Red Book)
 *
 * Others that cannot be read are damaged.
 */
#include "drive.h"

#define NR_RUN_OUT 2
#define NR_PREGAP  150

/* Sectors at the end of a track, one behind the other, that cannot be read; `max` at most. */
static int
count_unreadable(struct pl_drive *drive, const struct platter_drive_track *t, uint64_t max,
		 uint64_t *ret, struct platter_error *err)
{
	uint8_t sector[PL_DISC_SECTOR];

	for (*ret = 0; *ret < PL_MIN(max, t->length); ++*ret) {
		int64_t lba = t->start + (int64_t)(t->length - 1 - *ret);
		size_t got;
		int r = drive->ops->read(drive, false, lba, 1, sector, &got, err);

		if (r < 0)
			return r;
		if (got)
			break;
	}
	return 0;
}

int
pl_drive_data_sectors(struct pl_drive *drive, size_t track, uint64_t *ret,
		      struct platter_error *err)
{
	const struct platter_drive_disc *disc = &drive->info.disc;
	const struct platter_drive_track *t = &disc->tracks[track], *next = t + 1;
	bool before_sound =
		track + 1 < disc->nr_tracks && next->audio && next->session == t->session;
	uint64_t max = NR_RUN_OUT + (before_sound ? NR_PREGAP : 0), nr, none = 0;
	int r = count_unreadable(drive, t, max + 1, &nr, err);

	if (r < 0)
		return r;
	if (before_sound && nr >= NR_PREGAP)
		none = nr > max ? NR_PREGAP : nr;
	else if (nr <= NR_RUN_OUT)
		none = nr;
	*ret = t->length - none;
	return 0;
}
