/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cd.h - CHDs of CDs: their tracks, as metadata tells them */
#ifndef PL_CHD_CD_H
#define PL_CHD_CD_H

#include "chd.h"
#include "disc.h"

extern const struct pl_disk_ops pl_chd_disc_ops;

/* Does the metadata tell of tracks? */
bool pl_chd_is_cd(const struct chd *c);

/* The disc of the CHD, which keeps a reference to it. */
int pl_chd_open_disc(struct chd *c, const struct pl_open_request *request, struct pl_disk **ret,
		     struct platter_error *err);

/* The CHD that a disk of this format stands on, be it a disc; NULL: it is of another. */
struct chd *pl_chd_of_image(struct pl_disk *disk);

#endif
