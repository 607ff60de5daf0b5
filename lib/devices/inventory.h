/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inventory.h - the block devices of a computer, as far as they can be told without opening one
 */
#ifndef PL_INVENTORY_H
#define PL_INVENTORY_H

#include <platter/device.h>

#include "block-devices.h"
#include "facts.h"

struct pl_inventory {
	struct pl_arena arena; /* all strings and lists live in it */
	struct pl_blocks *blocks;
	struct platter_device *list; /* of blocks->nr devices, in the same order */
};

/* `root`: "" for this computer, or the folder of a recorded tree.  Errors as pl_blocks_read(). */
int pl_inventory_read(const char *root, struct pl_inventory *ret, struct platter_error *err);
void pl_inventory_done(struct pl_inventory *inventory);

#endif
