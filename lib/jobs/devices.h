/* SPDX-License-Identifier: GPL-3.0-or-later */
/* devices.h - what is on the block devices, and how the drives are */
#ifndef PL_DEVICES_H
#define PL_DEVICES_H

#include <platter/device.h>

#include "inventory.h"

/* What was read of devices; their descriptions live until it is gone. */
struct pl_survey;

/*
 * Look at what is on the devices of `inventory` for which `wanted` is set, several at once, each
 * for options->timeout at most, and enter it there.  One that is not readable, or does not answer,
 * gets a problem; that is no failure.
 * Errors: -ENOMEM, -EAGAIN: no thread to be had.
 */
int pl_survey_devices(struct pl_inventory *inventory, const bool *wanted,
		      const struct platter_device_list_options *options, struct pl_survey **ret,
		      struct platter_error *err);
void pl_survey_free(struct pl_survey *survey); /* NULL is allowed */

#endif
