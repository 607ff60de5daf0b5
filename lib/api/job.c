/* SPDX-License-Identifier: GPL-3.0-or-later */
/* job.c - platter/job.h: images made, disks put back */
#include <platter/job.h>

#include "api.h"
#include "create.h"
#include "measure.h"
#include "progress.h"
#include "used.h"

static int
create_used(struct pl_place *source, const char *target,
	    const struct platter_create_options *options, struct platter_progress *progress,
	    struct platter_copy_result *ret, struct platter_error *err)
{
	struct pl_place *used;
	uint64_t unused;
	int r = pl_place_used(source, options->each_volume, options->closure, &used, &unused, err);

	if (r < 0)
		return r;
	r = pl_create(used, target, options, progress, ret, err);
	ret->unused = unused;
	pl_place_close(used);
	return r;
}

int
platter_create(struct platter_disk *source, const char *target,
	       const struct platter_create_options *options, struct platter_progress *progress,
	       struct platter_copy_result *ret, struct platter_error *err)
{
	struct platter_copy_result result = { 0 };
	struct platter_create_options o;
	struct pl_meter clock;
	int r;

	if (!source || !target || !*target)
		return pl_invalid(err, "no source or no target to create");
	r = pl_api_options(&o, sizeof o, options, err);
	if (r < 0)
		return r;
	pl_meter_start(&clock, NULL, "", 0);
	r = o.used_only ? create_used(source->place, target, &o, progress, &result, err)
			: pl_create(source->place, target, &o, progress, &result, err);
	result.seconds = pl_meter_seconds(&clock);
	if (ret)
		*ret = result;
	return r;
}

int
platter_create_empty(const char *target, uint64_t size,
		     const struct platter_create_options *options, struct platter_error *err)
{
	struct platter_create_options o;
	int r;

	if (!target || !*target || size > INT64_MAX)
		return pl_invalid(err, "no target, or a size that is too large, to create");
	r = pl_api_options(&o, sizeof o, options, err);
	return r < 0 ? r : pl_create_empty(target, size, &o, err);
}

/* `source` NULL: an empty disk of `size` bytes. */
static int
measure(struct platter_disk *source, uint64_t size, const struct platter_measure_options *options,
	struct platter_progress *progress, struct platter_measure_result *ret,
	struct platter_error *err)
{
	struct platter_measure_result result = { 0 };
	struct platter_measure_options o;
	struct pl_meter clock;
	int r = pl_api_options(&o, sizeof o, options, err);

	if (r < 0)
		return r;
	pl_meter_start(&clock, NULL, "", 0);
	r = source ? pl_measure(source->place->disk, &o, progress, &result, err)
		   : pl_measure_empty(size, &o, progress, &result, err);
	result.seconds = pl_meter_seconds(&clock);
	if (r == 0)
		*ret = result;
	return r;
}

int
platter_measure(struct platter_disk *source, const struct platter_measure_options *options,
		struct platter_progress *progress, struct platter_measure_result *ret,
		struct platter_error *err)
{
	if (!source || !ret)
		return pl_invalid(err, "no source to measure");
	return measure(source, 0, options, progress, ret, err);
}

int
platter_measure_empty(uint64_t size, const struct platter_measure_options *options,
		      struct platter_progress *progress, struct platter_measure_result *ret,
		      struct platter_error *err)
{
	if (size > INT64_MAX || !ret)
		return pl_invalid(err, "a size that is too large to measure");
	return measure(NULL, size, options, progress, ret, err);
}

int
platter_restore_check(struct platter_disk *source, const char *target,
		      const struct platter_restore_options *options, struct platter_error *err)
{
	struct platter_restore_options o;
	int r;

	if (!source || !target || !*target)
		return pl_invalid(err, "no source or no target to restore");
	r = pl_api_options(&o, sizeof o, options, err);
	return r < 0 ? r : pl_restore_check(source->place, target, &o, err);
}

int
platter_restore(struct platter_disk *source, const char *target,
		const struct platter_restore_options *options, struct platter_progress *progress,
		struct platter_copy_result *ret, struct platter_error *err)
{
	struct platter_copy_result result = { 0 };
	struct platter_restore_options o;
	struct pl_meter clock;
	int r;

	if (!source || !target || !*target)
		return pl_invalid(err, "no source or no target to restore");
	r = pl_api_options(&o, sizeof o, options, err);
	if (r < 0)
		return r;
	pl_meter_start(&clock, NULL, "", 0);
	r = pl_restore(source->place, target, &o, progress, &result, err);
	result.seconds = pl_meter_seconds(&clock);
	if (ret)
		*ret = result;
	return r;
}
