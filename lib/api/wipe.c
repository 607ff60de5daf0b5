/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wipe.c - platter/wipe.h: what is stored is made unreadable */
#include <platter/wipe.h>

#include "api.h"
#include "wipe.h"

struct platter_wipe {
	struct pl_wipe *wipe;
};

const struct platter_wipe_method *
platter_wipe_method(size_t index)
{
	const struct pl_wipe_method *m = pl_wipe_method(index);

	return m ? &m->info : NULL;
}

struct platter_wipe_pass_text
platter_wipe_pass_text(const struct platter_wipe_method *method, unsigned pass)
{
	struct platter_wipe_pass_text ret = { "" };
	const struct pl_wipe_method *m = pl_wipe_method_by_name(method->name);

	if (m && pass < m->info.nr_passes)
		pl_wipe_pattern_text(m->pattern[pass], ret.text, sizeof ret.text);
	return ret;
}

int
platter_wipe_plan(const char *target, const struct platter_wipe_options *options,
		  struct platter_wipe **ret, struct platter_error *err)
{
	struct platter_wipe_options o;
	struct platter_wipe *wipe;
	int r;

	if (!target || !*target || !ret)
		return pl_invalid(err, "no target to wipe");
	r = pl_api_options(&o, sizeof o, options, err);
	if (r < 0)
		return r;
	wipe = calloc(1, sizeof *wipe);
	if (!wipe)
		return pl_no_memory(err);
	r = pl_wipe_plan(target, &o, &wipe->wipe, err);
	if (r < 0) {
		free(wipe);
		return r;
	}
	*ret = wipe;
	return 0;
}

const struct platter_wipe_report *
platter_wipe_report(const struct platter_wipe *wipe)
{
	return &wipe->wipe->report;
}

int
platter_wipe_run(struct platter_wipe *const *wipes, size_t nr, struct platter_progress *progress,
		 struct platter_error *err)
{
	PL_AUTOFREE struct pl_wipe **list = calloc(PL_MAX(nr, 1), sizeof *list);

	if (!list)
		return pl_no_memory(err);
	for (size_t i = 0; i < nr; i++)
		list[i] = wipes[i]->wipe;
	return pl_wipe_run(list, nr, progress, err);
}

void
platter_wipe_free(struct platter_wipe *wipe)
{
	if (!wipe)
		return;
	pl_wipe_free(wipe->wipe);
	free(wipe);
}
