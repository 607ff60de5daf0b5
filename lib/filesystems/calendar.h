/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calendar.h - dates that are stored as year, month, day, ... */
#ifndef PL_CALENDAR_H
#define PL_CALENDAR_H

#include <platter/files.h>

/*
 * Seconds since 1970 of a date in UTC; PLATTER_NO_TIME if there is no such date or time of
 * day.  A leap second is the first of the next minute.
 */
int64_t pl_seconds_of_date(int year, unsigned month, unsigned day, unsigned hour, unsigned minute,
			   unsigned second);

#endif
