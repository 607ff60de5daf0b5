/* SPDX-License-Identifier: GPL-3.0-or-later */
/* chain.c - platter/change.h: overlays and what they stand on */
#include "chain.h"

#include "api.h"
#include "progress.h"

static int
check_parents(const char *const *parents, size_t nr, struct platter_error *err)
{
	return nr && !parents ? pl_invalid(err, "%zu parents, and no list of them", nr) : 0;
}

/* `result` is told also of what failed: how far it came. */
static int
finish(int r, struct platter_change_result *result, const struct pl_meter *clock,
       struct platter_change_result *ret)
{
	result->seconds = pl_meter_seconds(clock);
	if (ret)
		*ret = *result;
	return r;
}

int
platter_commit(const char *image, const struct platter_commit_options *options,
	       struct platter_progress *progress, struct platter_change_result *ret,
	       struct platter_error *err)
{
	struct platter_change_result result = { 0 };
	struct platter_commit_options o;
	struct pl_parents given;
	struct pl_meter clock;
	int r = image && *image ? 0 : pl_invalid(err, "no image to merge");

	if (r == 0)
		r = pl_api_options(&o, sizeof o, options, err);
	if (r == 0)
		r = check_parents(o.parents, o.nr_parents, err);
	if (r < 0)
		return r;
	given = (struct pl_parents){ .paths = o.parents, .nr = o.nr_parents };
	pl_meter_start(&clock, NULL, "", 0);
	r = pl_commit(image, o.remove, &given, progress, &result, err);
	return finish(r, &result, &clock, ret);
}

int
platter_flatten(const char *image, const struct platter_flatten_options *options,
		struct platter_progress *progress, struct platter_change_result *ret,
		struct platter_error *err)
{
	struct platter_change_result result = { 0 };
	struct platter_flatten_options o;
	struct pl_parents given;
	struct pl_meter clock;
	int r = image && *image ? 0 : pl_invalid(err, "no image to make whole");

	if (r == 0)
		r = pl_api_options(&o, sizeof o, options, err);
	if (r == 0)
		r = check_parents(o.parents, o.nr_parents, err);
	if (r < 0)
		return r;
	given = (struct pl_parents){ .paths = o.parents, .nr = o.nr_parents };
	pl_meter_start(&clock, NULL, "", 0);
	r = pl_flatten(image, &given, progress, &result, err);
	return finish(r, &result, &clock, ret);
}

int
platter_rebase(const char *image, const char *parent, const struct platter_rebase_options *options,
	       struct platter_progress *progress, struct platter_change_result *ret,
	       struct platter_error *err)
{
	struct platter_change_result result = { 0 };
	struct platter_rebase_options o;
	struct pl_meter clock;
	int r = image && *image && (!parent || *parent)
			? 0
			: pl_invalid(err, "no image, or no parent for it");

	if (r == 0)
		r = pl_api_options(&o, sizeof o, options, err);
	if (r < 0)
		return r;
	pl_meter_start(&clock, NULL, "", 0);
	r = pl_rebase(image, parent, &o, progress, &result, err);
	return finish(r, &result, &clock, ret);
}
