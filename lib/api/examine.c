/* SPDX-License-Identifier: GPL-3.0-or-later */
/* examine.c - platter/examine.h: is anything left on a disk? */
#include "examine.h"

#include "api.h"

int
platter_examine(struct platter_disk *disk, const struct platter_examine_options *options,
		struct platter_progress *progress, struct platter_examination **ret,
		struct platter_error *err)
{
	struct platter_examine_options o;
	int r;

	if (!disk || !ret)
		return pl_invalid(err, "no disk to examine");
	r = pl_api_options(&o, sizeof o, options, err);
	return r < 0 ? r : pl_examine(disk->place, &o, progress, ret, err);
}

void
platter_examination_free(struct platter_examination *examination)
{
	pl_examination_free(examination);
}
