/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rescue.c - platter/rescue.h: failing drives */
#include <platter/rescue.h>

#include "api.h"
#include "rescue.h"

int
platter_rescue(const char *device, const char *image, const struct platter_rescue_options *options,
	       struct platter_progress *progress, struct platter_rescue_result *ret,
	       struct platter_error *err)
{
	struct platter_rescue_result result = { 0 };
	struct platter_rescue_options o;
	struct pl_meter clock;
	int r;

	if (!device || !*device || !image || !*image)
		return pl_invalid(err, "no device or no image to rescue to");
	r = pl_api_options(&o, sizeof o, options, err);
	if (r < 0)
		return r;
	pl_meter_start(&clock, NULL, "", 0);
	r = pl_rescue(device, image, &o, progress, &result, err);
	result.seconds = pl_meter_seconds(&clock);
	if (ret)
		*ret = result;
	return r;
}

int
platter_find_lost_files(struct platter_disk *disk,
			void (*found)(const struct platter_lost_file *file, void *closure),
			void *closure, struct platter_progress *progress,
			struct platter_lost_files *ret, struct platter_error *err)
{
	struct platter_lost_files sum = { 0 };
	int r;

	if (!disk || !found)
		return pl_invalid(err, "no disk to look for files on");
	r = pl_find_lost_files(disk->place->disk, disk->place->flags, found, closure, progress,
			       &sum, err);
	if (ret)
		*ret = sum;
	return r;
}
