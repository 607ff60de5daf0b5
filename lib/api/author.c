/* SPDX-License-Identifier: GPL-3.0-or-later */
/* author.c - platter/author.h: discs and disks made of files */
#include <platter/author.h>

#include "api.h"
#include "iso.h"
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
