/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz-scheme.c - read a hostile partition table; built once for each SCHEME */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "scheme.h"

/* What a GPT is moved to fit: a larger disk that begins with the input. */
#define LARGER_BY KIB(64)

static void
read_one(struct pl_disk *disk, const struct pl_scheme *scheme, unsigned flags)
{
	struct pl_arena arena = { 0 };
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_table table = {
		.arena = &arena,
		.facts.arena = &arena,
		.flags = flags,
		.table = { .name = scheme->info.name,
			   .longname = scheme->info.longname,
			   .uuid = "",
			   .size = disk->size,
			   .sector_size = disk->sector_size },
	};

	scheme->read(disk, &table, &err);
	pl_arena_done(&arena);
}

static void
read_all(struct pl_disk *disk, unsigned flags)
{
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };
	struct platter_error err = PLATTER_ERROR_INIT;
	const struct platter_table *tables;
	size_t nr;

	pl_tables_read(disk, flags, &arena, &tables, &nr, &facts, &err);
	pl_arena_done(&arena);
}

static void
move_gpt(const uint8_t *data, size_t size)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE uint8_t *larger = calloc(1, size + LARGER_BY);
	bool changed;

	if (!larger)
		return;
	memcpy(larger, data, size);
	if (pl_memory_new(larger, size + LARGER_BY, "larger", &disk, &err) == 0)
		pl_gpt_fit(disk, size, &changed, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	const struct pl_scheme *scheme = NULL;

	for (size_t i = 0; pl_schemes[i]; i++)
		if (strcmp(pl_schemes[i]->info.name, SCHEME) == 0)
			scheme = pl_schemes[i];
	if (!scheme) {
		fputs("no partition scheme is called " SCHEME "\n", stderr);
		abort();
	}
	if (pl_memory_new(data, size, "input", &disk, &err) < 0)
		return 0;
	read_one(disk, scheme, 0);
	read_one(disk, scheme, PLATTER_OPEN_IGNORE_CHECKSUMS);
	disk->sector_size = 4096;
	read_all(disk, PLATTER_OPEN_IGNORE_CHECKSUMS);
	if (strcmp(SCHEME, "gpt") == 0)
		move_gpt(data, size);
	return 0;
}
