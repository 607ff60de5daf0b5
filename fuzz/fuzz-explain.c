/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-explain.c - explain a hostile disk, with the images in its file systems */
#include <stdlib.h>

#include "explain.h"
#include "fuzz.h"
#include "unfold.h"

#define UNFOLDED_MAX MIB(16)

static void
check(const struct platter_explained *e)
{
	if (!e->place || !e->id || !e->purpose || !e->because || !e->data_because || !e->removal)
		abort();
	for (size_t i = 0; i < e->nr_parts; i++)
		check(&e->parts[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *image = unfold(data, size, UNFOLDED_MAX, &size);
	struct platter_explained e = { 0 };
	struct pl_arena arena = { 0 };
	struct pl_place *place;
	struct pl_disk *disk;

	if (pl_memory_new(image ? image : data, size, "input", &disk, &err) < 0)
		return 0;
	if (pl_place_of_leaf(disk, &place, &err) < 0) {
		pl_disk_unref(disk);
		return 0;
	}
	if (pl_explain_disk(place, NULL, NULL, &arena, &e, &err) == 0)
		check(&e);
	pl_arena_done(&arena);
	pl_place_close(place);
	return 0;
}
