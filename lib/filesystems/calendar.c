/* SPDX-License-Identifier: GPL-3.0-or-later */
/* calendar.c - dates that are stored as year, month, day, ... */
#include "calendar.h"

#include <stdbool.h>

static bool
is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int64_t
pl_seconds_of_date(int year, unsigned month, unsigned day, unsigned hour, unsigned minute,
		   unsigned second)
{
	static const uint8_t lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	static const uint16_t before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	int64_t days, past = (int64_t)year - 1; /* whole years since the year 1 */

	if (year < 1 || month < 1 || month > 12 || day < 1 ||
	    day > lengths[month - 1] + (unsigned)(month == 2 && is_leap(year)) || hour > 23 ||
	    minute > 59 || second > 60)
		return PLATTER_NO_TIME;
	/* 719162 days lie between 0001-01-01 and 1970-01-01. */
	days = past * 365 + past / 4 - past / 100 + past / 400 - 719162;
	days += before[month - 1] + (month > 2 && is_leap(year)) + day - 1;
	return ((days * 24 + hour) * 60 + minute) * 60 + second;
}
