/* SPDX-License-Identifier: GPL-3.0-or-later */
/* explain.c - platter/explain.h: what a device or image is for */
#include <platter/explain.h>

#include "api.h"
#include "explain.h"

int
platter_explain(const char *place, const struct platter_open_options *options,
		struct platter_explanation **ret, struct platter_error *err)
{
	struct platter_open_options o;
	struct pl_parents given;
	int r;

	if (!place || !*place || !ret)
		return pl_invalid(err, "nothing to explain");
	r = pl_api_open_options(&o, options, &given, err);
	return r < 0 ? r : pl_explain(place, o.format, o.flags, &given, ret, err);
}

void
platter_explanation_free(struct platter_explanation *explanation)
{
	pl_explanation_free(explanation);
}
