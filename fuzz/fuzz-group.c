/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fuzz-group.c - open a hostile volume group, map and read its logical volumes; built once for
 * each GROUP, the name of a content
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "group.h"
#include "unfold.h"

#define UNFOLDED_MAX MIB(16)
#define VOLUMES      64
#define MAP_STEPS    64
#define READS        4
#define READ_SIZE    KIB(16)

static void
read_logical(struct pl_group *g, size_t index)
{
	static uint8_t buf[READ_SIZE];
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint64_t offset = 0;

	if (pl_group_open_logical(g, index, "logical", &disk, &err) < 0)
		return;
	if (disk->size != g->volume[index].size)
		abort();
	for (int i = 0; i < MAP_STEPS && offset < disk->size; i++) {
		struct pl_extent e;

		if (pl_map(disk, offset, disk->size - offset, &e, &err) < 0)
			break;
		offset += e.length;
	}
	for (uint64_t i = 0; i < READS; i++) {
		offset = disk->size / READS * i;
		if (offset < disk->size)
			pl_read(disk, buf, (size_t)PL_MIN(READ_SIZE, disk->size - offset), offset,
				&err);
	}
}

static const struct pl_content_driver *
driver(void)
{
	for (size_t i = 0; pl_content_drivers[i]; i++)
		if (!strcmp(pl_content_drivers[i]->info.name, GROUP) &&
		    pl_content_drivers[i]->group)
			return pl_content_drivers[i];
	fputs("nothing with logical volumes is called " GROUP "\n", stderr);
	abort();
}

static void
try_group(struct pl_disk *disk, unsigned flags)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_ranges used = { 0 };
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };
	struct pl_group *g;
	size_t index;

	if (driver()->group(disk, flags, &g, &err) < 0)
		return;
	pl_group_find(g, "a", &index, &err);
	for (size_t i = 0; i < g->nr && i < VOLUMES; i++)
		read_logical(g, i);
	if (g->ops->used(g, &used, &err) == 0)
		pl_ranges_finish(&used, disk->size);
	pl_ranges_done(&used);
	g->ops->describe(g, &facts);
	pl_arena_done(&arena);
	pl_group_close(g);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE uint8_t *image = unfold(data, size, UNFOLDED_MAX, &size);

	if (pl_memory_new(image ? image : data, size, "input", &disk, &err) < 0)
		return 0;
	try_group(disk, 0);
	try_group(disk, PLATTER_OPEN_IGNORE_CHECKSUMS);
	return 0;
}
