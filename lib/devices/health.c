/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "health.h"

#include <stdio.h>

enum {
	WORN = 90, /* percent of its life */
	/* Makers allow 60 degrees for disks with motors and 70 for others. */
	HOT_ROTATING = 60,
	HOT_FLASH = 70,
};

void
pl_health_unknown(struct pl_hardware_info *info)
{
	info->health = PL_HEALTH_UNKNOWN;
	info->health_reason[0] = '\0';
	info->reallocated = info->pending = info->uncorrectable = UINT64_MAX;
	info->power_on_hours = UINT64_MAX;
	info->temperature = INT32_MIN;
	info->percent_used = -1;
}

static bool
some(uint64_t sectors)
{
	return sectors != 0 && sectors != UINT64_MAX;
}

static const char *
plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* The worst of what is worth a warning. */
static bool
warn(struct pl_hardware_info *info)
{
	char *reason = info->health_reason;
	size_t room = sizeof info->health_reason;

	if (some(info->pending))
		snprintf(reason, room, "%" PRIu64 " sector%s cannot be read", info->pending,
			 plural(info->pending));
	else if (some(info->uncorrectable))
		snprintf(reason, room, "%" PRIu64 " uncorrectable error%s", info->uncorrectable,
			 plural(info->uncorrectable));
	else if (some(info->reallocated))
		snprintf(reason, room, "%" PRIu64 " sector%s reallocated", info->reallocated,
			 info->reallocated == 1 ? " was" : "s were");
	else if (info->percent_used >= WORN)
		snprintf(reason, room, "%d %% of its life is used", info->percent_used);
	else if (info->temperature >
		 (info->rotational_known && info->rotational ? HOT_ROTATING : HOT_FLASH))
		snprintf(reason, room, "%d degrees Celsius", info->temperature);
	else
		return false;
	return true;
}

void
pl_health_judge(struct pl_hardware_info *info, bool told, const char *failing, const char *warning)
{
	info->health_reason[0] = '\0';
	if (failing) {
		info->health = PL_HEALTH_FAILING;
		snprintf(info->health_reason, sizeof info->health_reason, "%s", failing);
	} else if (warning) {
		info->health = PL_HEALTH_WARNING;
		snprintf(info->health_reason, sizeof info->health_reason, "%s", warning);
	} else if (warn(info)) {
		info->health = PL_HEALTH_WARNING;
	} else {
		info->health = told ? PL_HEALTH_GOOD : PL_HEALTH_UNKNOWN;
	}
}
