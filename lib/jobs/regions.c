/* SPDX-License-Identifier: GPL-3.0-or-later */
/* regions.c - what the partition table of a disk divides it into */
#include "regions.h"

#include "scheme.h"

/* Borders that are no sectors of disk images belong to no region. */
#define UNIT 512

static int
by_offset(const void *a, const void *b)
{
	const struct pl_region *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static bool
has_region(const struct platter_partition *p)
{
	return p->length && p->role != PLATTER_PARTITION_EXTENDED;
}

/* Partitions and gaps, in the order of the disk. */
static size_t
gather(const struct platter_table *t, struct pl_region *ret)
{
	size_t nr = 0;

	for (size_t i = 0; i < t->nr_partitions; i++) {
		const struct platter_partition *p = &t->partitions[i];

		if (has_region(p))
			ret[nr++] = (struct pl_region){
				.offset = p->offset,
				.length = p->length,
				.role = p->role == PLATTER_PARTITION_FREE ? PL_REGION_FREE
									  : PL_REGION_PARTITION,
				.name = p->name,
				.type = p->type,
			};
	}
	for (size_t i = 0; i < t->nr_gaps; i++)
		ret[nr++] = (struct pl_region){ .offset = t->gaps[i].offset,
						.length = t->gaps[i].length,
						.role = PL_REGION_FREE,
						.name = "",
						.type = "" };
	qsort(ret, nr, sizeof *ret, by_offset);
	return nr;
}

/* With the table itself where nothing else is.  0: they contradict each other. */
static size_t
fill_up(const struct pl_region *have, size_t nr, uint64_t size, struct pl_region *ret)
{
	uint64_t at = 0;
	size_t n = 0;

	for (size_t i = 0; i <= nr; i++) {
		uint64_t start = i < nr ? have[i].offset : size;

		if (start < at || start > size || start % UNIT ||
		    (i < nr && (have[i].length > size - start || have[i].length % UNIT)))
			return 0;
		if (start > at)
			ret[n++] = (struct pl_region){ .offset = at,
						       .length = start - at,
						       .role = PL_REGION_TABLE,
						       .name = "",
						       .type = "" };
		if (i < nr) {
			ret[n++] = have[i];
			at = start + have[i].length;
		}
	}
	return n;
}

int
pl_regions_of(struct pl_disk *source, const struct pl_format *format, struct pl_arena *arena,
	      struct pl_create_request *request, struct platter_error *err)
{
	const struct platter_table *tables;
	struct pl_region *have, *all;
	size_t nr = 0;
	int r;

	if (!format->wants_regions || !source || source->sequential)
		return 0;
	r = pl_tables_read(source, 0, arena, &tables, &nr, NULL, err);
	if (r < 0 || !nr)
		return r == -ENOMEM ? r : 0;
	nr = tables[0].nr_partitions + tables[0].nr_gaps;
	have = pl_arena_alloc(arena, (nr + 1) * sizeof *have);
	all = pl_arena_alloc(arena, (2 * nr + 1) * sizeof *all);
	if (!have || !all)
		return pl_no_memory(err);
	request->nr_regions = fill_up(have, gather(&tables[0], have), source->size, all);
	request->regions = all;
	request->scheme = tables[0].name;
	request->table_sector_size = tables[0].sector_size;
	return 0;
}
