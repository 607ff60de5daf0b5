/* SPDX-License-Identifier: GPL-3.0-or-later */
/* compare.h - are two disks the same? */
#ifndef PL_COMPARE_H
#define PL_COMPARE_H

#include <platter/job.h>

#include "disk.h"

/* As platter_compare() says; `phase` is what progress events call it. */
int pl_compare(struct pl_disk *a, struct pl_disk *b, const char *phase,
	       struct platter_progress *progress, struct platter_compare_result *ret,
	       struct platter_error *err);

#endif
