/* SPDX-License-Identifier: GPL-3.0-or-later */
/* disc-source.h - what formats of discs and of sound are written from */
#ifndef PL_DISC_SOURCE_H
#define PL_DISC_SOURCE_H

#include "disc.h"
#include "format.h"

struct pl_disc_source {
	struct pl_disk *disk; /* what to copy: a reference */
	struct pl_disc *disc; /* that it is all sectors of, or a track of; a reference, or NULL */
	const char *select;   /* the new image shows the same as ?disk=..., or NULL: as it opens */
};

/*
 * What a writer of `format` is to be given for `source` (see enum pl_takes): that itself, or all
 * sectors of the disc that it shows, or of one that is made of its data.
 * -EINVAL: the format is of discs or sound, and the source is not.  -EUCLEAN: a track of the disc
 * has no sectors.
 */
int pl_disc_source_init(struct pl_disc_source *s, const struct pl_format *format,
			struct pl_disk *source, struct platter_error *err);
void pl_disc_source_done(struct pl_disc_source *s);

#endif
