/* SPDX-License-Identifier: GPL-3.0-or-later */
/* author.c - platter/author.h: discs and disks made of files */
#include <platter/author.h>

#include "api.h"
#include "disk-image.h"
#include "dmg.h"
#include "iso.h"
#include "mkfs.h"
#include "progress.h"

int
platter_author_iso(const char *target, const char *from, const struct platter_iso_options *options,
		   struct platter_progress *progress, struct platter_author_result *ret,
		   struct platter_error *err)
{
	struct platter_author_result result = { 0 };
	struct platter_iso_options o;
	struct pl_meter clock;
	int r;

	if (!target || !*target || !from || !*from)
		return pl_invalid(err, "no target, or no folder, to make a disc of");
	r = pl_api_options(&o, sizeof o, options, err);
	if (r < 0)
		return r;
	pl_meter_start(&clock, NULL, "", 0);
	r = pl_author_iso(target, from, &o, progress, &result, err);
	result.seconds = pl_meter_seconds(&clock);
	if (ret)
		*ret = result;
	return r;
}

int
platter_author_dmg(const char *target, const char *from, const struct platter_iso_options *disc,
		   const struct platter_create_options *image, struct platter_progress *progress,
		   struct platter_author_result *ret, struct platter_error *err)
{
	struct platter_author_result result = { 0 };
	struct platter_create_options how;
	struct platter_iso_options o;
	struct pl_meter clock;
	int r;

	if (!target || !*target || !from || !*from)
		return pl_invalid(err, "no target, or no folder, to make a disk image of");
	r = pl_api_options(&o, sizeof o, disc, err);
	if (r == 0)
		r = pl_api_options(&how, sizeof how, image, err);
	if (r < 0)
		return r;
	pl_meter_start(&clock, NULL, "", 0);
	r = pl_author_dmg(target, from, &o, &how, progress, &result, err);
	result.seconds = pl_meter_seconds(&clock);
	if (ret)
		*ret = result;
	return r;
}

int
platter_author_disk(const char *target, const struct platter_new_disk_options *options,
		    struct platter_progress *progress, struct platter_author_result *ret,
		    struct platter_error *err)
{
	struct platter_author_result result = { 0 };
	struct platter_new_disk_options o;
	struct pl_meter clock;
	int r;

	if (!target || !*target)
		return pl_invalid(err, "no target to make a disk of");
	r = pl_api_options(&o, sizeof o, options, err);
	if (r < 0)
		return r;
	if (o.nr_partitions && !o.partitions)
		return pl_invalid(err, "%zu partitions, and no list of them", o.nr_partitions);
	pl_meter_start(&clock, NULL, "", 0);
	r = pl_author_disk(target, &o, progress, &result, err);
	result.seconds = pl_meter_seconds(&clock);
	if (ret)
		*ret = result;
	return r;
}

const char *
platter_new_fs_name(size_t index)
{
	for (size_t i = 0; pl_mkfs_kinds[i].name; i++)
		if (i == index)
			return pl_mkfs_kinds[i].name;
	return NULL;
}
