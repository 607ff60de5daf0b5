/* SPDX-License-Identifier: GPL-3.0-or-later */
/* describe.c - platter/describe.h: what a disk is, layer by layer */
#include "describe.h"

#include "api.h"

int
platter_describe(struct platter_disk *disk, struct platter_description **ret,
		 struct platter_error *err)
{
	if (!disk || !ret)
		return pl_invalid(err, "no disk to describe");
	return pl_describe(disk->place, ret, err);
}

void
platter_description_free(struct platter_description *description)
{
	pl_description_free(description);
}
