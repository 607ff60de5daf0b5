/* SPDX-License-Identifier: GPL-3.0-or-later */
/* burn-disc.h - a disc with several tracks, or with sound, made into sessions to burn */
#ifndef PL_BURN_DISC_H
#define PL_BURN_DISC_H

#include "disc.h"
#include "drive.h"

struct pl_burn_disc {
	struct pl_disc *disc;                     /* NULL: a single track of sound */
	struct pl_disk *raw;                      /* all sectors as 2352 bytes each; a reference */
	struct pl_disk *data[PL_DISC_MAX_TRACKS]; /* user data of the tracks that are data */
	struct pl_burn_track tracks[PL_DISC_MAX_TRACKS];
	uint32_t indexes[PL_DISC_MAX_TRACKS][PL_DISC_MAX_INDEXES + 2];
	struct pl_burn_shape shape;
};

/* Is `image` one of these?  Else it is burned as data. */
bool pl_burn_is_disc(struct pl_disk *image);

/* Errors: -ENOTSUP: tracks that are not burned. */
int pl_burn_disc_init(struct pl_burn_disc *d, struct pl_disk *image, struct platter_error *err);
void pl_burn_disc_done(struct pl_burn_disc *d); /* of a half-made one too */

/*
 * Session `index`: tracks, numbers and texts are filled in; they are borrowed from `d`.  *ret_start:
 * where it has to begin, or -1: anywhere.
 */
void pl_burn_disc_session(struct pl_burn_disc *d, size_t index, struct pl_burn_session *ret,
			  int64_t *ret_start);

#endif
