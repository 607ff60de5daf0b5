/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-contents.c - recognise hostile superblocks */
#include "content.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_arena arena = { 0 };
	const struct platter_content *contents;
	size_t nr;

	if (pl_memory_new(data, size, "input", &disk, &err) < 0)
		return 0;
	pl_contents_identify(disk, &arena, &contents, &nr, &err);
	pl_arena_done(&arena);
	return 0;
}
