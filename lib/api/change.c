/* SPDX-License-Identifier: GPL-3.0-or-later */
/* change.c - platter/change.h: resize, snapshots, compact, repair */
#include "change.h"

#include "api.h"
#include "progress.h"

int
platter_resize(struct platter_disk *disk, uint64_t size,
	       const struct platter_resize_options *options, struct platter_error *err)
{
	struct platter_resize_options o;
	int r;

	if (!disk)
		return pl_invalid(err, "no disk to resize");
	if (size > INT64_MAX)
		return pl_invalid(err, "a disk of %" PRIu64 " bytes, limit is %" PRId64, size,
				  INT64_MAX);
	r = pl_api_options(&o, sizeof o, options, err);
	return r < 0 ? r : pl_resize_image(disk->place, size, &o, err);
}

static int
change_snapshot(struct platter_disk *disk, enum pl_snapshot_action action, const char *name,
		struct platter_error *err)
{
	if (!disk || !name)
		return pl_invalid(err, "no disk or no name of a snapshot");
	return pl_snapshot_change(disk->place, action, name, err);
}

int
platter_snapshot_create(struct platter_disk *disk, const char *name, struct platter_error *err)
{
	return change_snapshot(disk, PL_SNAPSHOT_CREATE, name, err);
}

int
platter_snapshot_apply(struct platter_disk *disk, const char *snapshot, struct platter_error *err)
{
	return change_snapshot(disk, PL_SNAPSHOT_APPLY, snapshot, err);
}

int
platter_snapshot_delete(struct platter_disk *disk, const char *snapshot, struct platter_error *err)
{
	return change_snapshot(disk, PL_SNAPSHOT_DELETE, snapshot, err);
}

int
platter_compact(const char *image, const struct platter_compact_options *options,
		struct platter_progress *progress, struct platter_change_result *ret,
		struct platter_error *err)
{
	struct platter_change_result result = { 0 };
	struct platter_compact_options o;
	struct pl_meter clock;
	int r;

	if (!image || !*image)
		return pl_invalid(err, "no image to compact");
	r = pl_api_options(&o, sizeof o, options, err);
	if (r < 0)
		return r;
	pl_meter_start(&clock, NULL, "", 0);
	r = pl_compact(image, &o, progress, &result, err);
	result.seconds = pl_meter_seconds(&clock);
	if (ret)
		*ret = result;
	return r;
}

int
platter_repair(const char *image, const struct platter_repair_options *options,
	       void (*found)(const struct platter_finding *finding, void *closure), void *closure,
	       struct platter_repair_result *ret, struct platter_error *err)
{
	struct platter_repair_options o;
	int r;

	if (!image || !*image || !ret)
		return pl_invalid(err, "no image to repair");
	r = pl_api_options(&o, sizeof o, options, err);
	return r < 0 ? r : pl_repair(image, &o, found, closure, ret, err);
}
