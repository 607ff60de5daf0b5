/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-examine.c - classify hostile disks, look behind their traces, and for lost partitions */
#include "examine.h"
#include "fuzz.h"
#include "lost.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct platter_examine_options options = { .examples = 2 };
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_examination *examination = NULL;
	struct platter_lost *lost = NULL;
	struct pl_place *place = NULL;
	struct pl_disk *disk = NULL;

	if (pl_memory_new(data, size, "input", &disk, &err) < 0)
		return 0;
	if (pl_place_of_leaf(disk, &place, &err) < 0) {
		pl_disk_unref(disk);
		return 0;
	}
	if (pl_examine(place, &options, NULL, &examination, &err) == 0)
		pl_examination_free(examination);
	if (pl_find_lost(place, NULL, &lost, &err) == 0)
		pl_lost_free(lost);
	pl_place_close(place);
	return 0;
}
