/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verify.c - platter/job.h: verify and compare */
#include "verify.h"

#include "api.h"
#include "compare.h"

int
platter_verify(struct platter_disk *disk, const char *hashes,
	       void (*found)(const struct platter_finding *finding, void *closure), void *closure,
	       struct platter_progress *progress, struct platter_verify_result *ret,
	       struct platter_error *err)
{
	if (!disk || !ret)
		return pl_invalid(err, "no disk to verify");
	return pl_verify(disk->place, hashes, found, closure, progress, ret, err);
}

int
platter_compare(struct platter_disk *a, struct platter_disk *b, struct platter_progress *progress,
		struct platter_compare_result *ret, struct platter_error *err)
{
	if (!a || !b || !ret)
		return pl_invalid(err, "no two disks to compare");
	return pl_compare(a->place->disk, b->place->disk, "comparing", progress, ret, err);
}
