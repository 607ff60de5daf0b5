/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fuzz-place.c - parse what a user names
 *
 * Every place is put below a folder that does not exist, so that only the parser can be
 * at fault: there is nothing to open, whatever the input says.
 */
#include <stdio.h>

#include "fuzz.h"
#include "place.h"

#define LONGEST 8192

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_place *place = NULL;
	char name[LONGEST + 32];

	if (size > LONGEST)
		return 0;
	snprintf(name, sizeof name, "/nonexistent/%.*s", (int)size, (const char *)data);
	if (pl_place_open(name, NULL, 0, &place, &err) == 0)
		pl_place_close(place);
	return 0;
}
