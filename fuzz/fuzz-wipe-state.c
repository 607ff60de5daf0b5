/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fuzz-wipe-state.c - take apart what tells how far a wipe came
 *
 * The input is taken as it is, and with the checksum that it lacks.  What is accepted is written
 * again, and that must say the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checksums.h"
#include "fuzz.h"
#include "wipe-state.h"

static void
take(const char *text, size_t n)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_wipe_state state, again;
	char *first, *second;

	if (pl_wipe_state_parse(text, n, &state, &err) < 0)
		return;
	first = pl_wipe_state_text(&state);
	if (!first || pl_wipe_state_parse(first, strlen(first), &again, &err) < 0)
		abort();
	second = pl_wipe_state_text(&again);
	if (!second || strcmp(first, second) != 0)
		abort();
	free(first);
	free(second);
	pl_wipe_state_done(&state);
	pl_wipe_state_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *whole;

	take((const char *)data, size);
	whole = malloc(size + 16);
	if (!whole)
		return 0;
	memcpy(whole, data, size);
	snprintf(whole + size, 16, "end %08" PRIx32 "\n", pl_crc32(0, data, size));
	take(whole, size + 13);
	free(whole);
	return 0;
}
