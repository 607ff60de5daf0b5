/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * names.c - the tables of a new image, named as Apple names them
 *
 * Each has the name of what it is of, a type and a number: "disk image (Apple_HFS : 4)".  The parts
 * of a partition map have tables too, and so has free space, " (Apple_Free : 3)".
 */
#include "text.h"
#include "writer.h"

/* What Apple calls types that GPT and MBR have numbers for; the others keep these. */
static const struct {
	const char *type, *name;
} types[] = {
	{ "48465300-0000-11AA-AA11-00306543ECAC", "Apple_HFS" },
	{ "7C3457EF-0000-11AA-AA11-00306543ECAC", "Apple_APFS" },
	{ "55465300-0000-11AA-AA11-00306543ECAC", "Apple_UFS" },
	{ "426F6F74-0000-11AA-AA11-00306543ECAC", "Apple_Boot" },
	{ "53746F72-6167-11AA-AA11-00306543ECAC", "Apple_CoreStorage" },
	{ "af", "Apple_HFS" },
	{ "a8", "Apple_UFS" },
	{ "ab", "Apple_Boot" },
	{ "1", "DOS_FAT_12" },
	{ "4", "DOS_FAT_16_S" },
	{ "6", "DOS_FAT_16" },
	{ "7", "Windows_NTFS" },
	{ "b", "DOS_FAT_32" },
	{ "c", "Windows_FAT_32" },
	{ "83", "Linux" },
};

/* Of a new table: the sector where it begins; it ends where the next one does. */
static int
add_table(struct dmg_writer *w, uint64_t offset, bool free_space, const char *name,
	  const char *type, struct platter_error *err)
{
	struct dmg_new_table *t = &w->tables[w->nr_tables];

	*t = (struct dmg_new_table){ .first = offset / DMG_SECTOR, .free = free_space };
	t->name = pl_format("%s (%s : %zu)", name, type, w->nr_tables);
	if (!t->name)
		return pl_no_memory(err);
	w->nr_tables++;
	return 0;
}

static const char *
type_name(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcasecmp(types[i].type, type))
			return types[i].name;
	return type;
}

/* A GPT has a protective MBR, header and entries in front, entries and header at the end. */
static int
add_gpt(struct dmg_writer *w, const struct pl_region *g, bool last, uint32_t sector,
	struct platter_error *err)
{
	uint64_t at = g->offset;
	int r = 0;

	if (at == 0) {
		r = add_table(w, at, false, "Protective Master Boot Record", "MBR", err);
		if (r == 0 && g->length > sector)
			r = add_table(w, at + sector, false, "GPT Header", "Primary GPT Header",
				      err);
		if (r == 0 && g->length > 2 * sector)
			r = add_table(w, at + 2 * sector, false, "GPT Partition Data",
				      "Primary GPT Table", err);
		return r;
	}
	if (!last || g->length > sector)
		r = add_table(w, at, false, "GPT Partition Data",
			      last ? "Backup GPT Table" : "Primary GPT Table", err);
	if (r == 0 && last)
		r = add_table(w, at + g->length - sector, false, "GPT Header", "Backup GPT Header",
			      err);
	return r;
}

static int
add_region(struct dmg_writer *w, const struct pl_create_request *request, size_t index,
	   struct platter_error *err)
{
	const struct pl_region *g = &request->regions[index];
	const char *scheme = request->scheme;

	if (g->role == PL_REGION_FREE)
		return add_table(w, g->offset, true, "", "Apple_Free", err);
	if (g->role == PL_REGION_PARTITION)
		return add_table(w, g->offset, false, g->name, type_name(g->type), err);
	if (!strcmp(scheme, "gpt"))
		return add_gpt(w, g, index + 1 == request->nr_regions, request->table_sector_size,
			       err);
	if (!strcmp(scheme, "apm") && !g->offset)
		return add_table(w, 0, false, "Driver Descriptor Map", "DDM", err);
	return add_table(w, g->offset, false, g->offset ? "Extended" : "Master Boot Record", "MBR",
			 err);
}

/* Numbers of Apple's tables: from -1 on, and descriptors from 0 but in the map of old Macs. */
static void
number_tables(struct dmg_writer *w, const char *scheme)
{
	int32_t from = !strcmp(scheme, "apm") ? -1 : 0;

	for (size_t i = 0; i < w->nr_tables; i++) {
		w->tables[i].id = (int32_t)i - 1;
		w->tables[i].descriptor = (int32_t)i + from;
	}
}

int
dmg_make_tables(const struct pl_create_request *request, struct dmg_writer *w,
		struct platter_error *err)
{
	uint64_t end = UINT64_MAX;
	int r = 0;

	/* A region of a GPT becomes three at most. */
	w->tables = calloc(request->nr_regions * 3 + 1, sizeof *w->tables);
	if (!w->tables)
		return pl_no_memory(err);
	for (size_t i = 0; r == 0 && i < request->nr_regions; i++)
		r = add_region(w, request, i, err);
	w->partitioned = w->nr_tables > 0;
	if (w->partitioned) {
		number_tables(w, request->scheme);
	} else if (r == 0) {
		r = add_table(w, 0, false, "whole disk", "unknown partition", err);
		/* As other writers have it. */
		w->tables[0].descriptor = -2;
	}
	if (request->size != UINT64_MAX)
		end = pl_div_round_up(request->size, DMG_SECTOR);
	for (size_t i = w->nr_tables; i-- > 0; end = w->tables[i].first)
		w->tables[i].nr_sectors = end == UINT64_MAX ? end : end - w->tables[i].first;
	return r;
}
