/* SPDX-License-Identifier: GPL-3.0-or-later */
/* burn-verify.h - what was burned is read back and compared */
#ifndef PL_BURN_VERIFY_H
#define PL_BURN_VERIFY_H

#include "drive.h"

/* Data that begins at sector `start` of the disc.  -EILSEQ: it is not there as it should be. */
int pl_burn_verify_data(struct pl_drive *drive, const struct pl_burn_track *track, int64_t start,
			struct platter_progress *progress, struct platter_error *err);

/* The same of a track of data or sound, which the disc tells as `found`. */
int pl_burn_verify_track(struct pl_drive *drive, const struct pl_burn_track *track,
			 const struct platter_drive_track *found, struct platter_progress *progress,
			 struct platter_error *err);

#endif
