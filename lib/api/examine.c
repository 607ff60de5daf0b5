/* SPDX-License-Identifier: GPL-3.0-or-later */
/* examine.c - platter/examine.h: is anything left on a disk? */
#include "examine.h"

#include "api.h"
#include "lost.h"
#include "table.h"

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

int
platter_find_lost(struct platter_disk *disk, struct platter_progress *progress,
		  struct platter_lost **ret, struct platter_error *err)
{
	if (!disk || !ret)
		return pl_invalid(err, "no disk to search");
	return pl_find_lost(disk->place, progress, ret, err);
}

void
platter_lost_free(struct platter_lost *lost)
{
	pl_lost_free(lost);
}

int
platter_write_table(const char *target, const struct platter_lost_partition *partitions, size_t nr,
		    const struct platter_table_options *options, struct platter_error *err)
{
	struct platter_table_options o;
	int r;

	if (!target || !*target || (nr && !partitions))
		return pl_invalid(err, "no disk for a table, or no partitions");
	r = pl_api_options(&o, sizeof o, options, err);
	return r < 0 ? r : pl_write_table(target, partitions, nr, &o, err);
}
