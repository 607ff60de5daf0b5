/* SPDX-License-Identifier: GPL-3.0-or-later */
/* health.h - from what a drive counts to one word about it */
#ifndef PL_HEALTH_H
#define PL_HEALTH_H

#include "hardware.h"

/* Nothing is known yet. */
void pl_health_unknown(struct pl_hardware_info *info);

/*
 * Judge by the numbers in `info` and by what the drive itself says: that it fails, or warns of,
 * each in words or NULL.  `told`: it was asked and answered.
 */
void pl_health_judge(struct pl_hardware_info *info, bool told, const char *failing,
		     const char *warning);

#endif
