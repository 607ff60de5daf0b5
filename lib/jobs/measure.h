/* SPDX-License-Identifier: GPL-3.0-or-later */
/* measure.h - how large an image would be; see platter_measure() */
#ifndef PL_MEASURE_H
#define PL_MEASURE_H

#include <platter/job.h>

#include "disk.h"

int pl_measure(struct pl_disk *source, const struct platter_measure_options *options,
	       struct platter_progress *progress, struct platter_measure_result *ret,
	       struct platter_error *err);

int pl_measure_empty(uint64_t size, const struct platter_measure_options *options,
		     struct platter_progress *progress, struct platter_measure_result *ret,
		     struct platter_error *err);

#endif
