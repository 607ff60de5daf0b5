/* SPDX-License-Identifier: GPL-3.0-or-later */
/* burn.h - discs written and read; see platter_burn() and platter_rip() */
#ifndef PL_BURN_H
#define PL_BURN_H

#include <platter/drive.h>

#include "drive.h"
#include "place.h"

/* `image` NULL: none. */
int pl_burn_check(struct pl_disk *image, struct pl_drive *drive,
		  const struct platter_burn_options *options, int64_t *ret_lost,
		  struct platter_error *err);
int pl_burn(struct pl_disk *image, struct pl_drive *drive,
	    const struct platter_burn_options *options, struct platter_progress *progress,
	    struct platter_burn_result *ret, struct platter_error *err);

/* The data on a disc as a place of one layer. */
int pl_drive_place(struct pl_drive *drive, const struct platter_drive_read_options *how,
		   struct pl_place **ret, struct platter_error *err);
int pl_rip(struct pl_drive *drive, const char *target, const struct platter_drive_read_options *how,
	   const struct platter_create_options *options, struct platter_progress *progress,
	   struct platter_rip_result *ret, struct platter_error *err);

#endif
