/* SPDX-License-Identifier: GPL-3.0-or-later */
/* registry.c - every partition scheme, and what is checked in the same way for each */
#include "scheme.h"

#include "text.h"

extern const struct pl_scheme pl_scheme_gpt, pl_scheme_apm, pl_scheme_mbr, pl_scheme_bsd,
	pl_scheme_sun, pl_scheme_sgi;

/* The one to believe first comes first. */
const struct pl_scheme *const pl_schemes[] = {
	&pl_scheme_gpt, &pl_scheme_apm, &pl_scheme_mbr, &pl_scheme_bsd,
	&pl_scheme_sun, &pl_scheme_sgi, NULL,
};

/* A table full of nonsense must not answer with thousands of warnings of one kind. */
#define MAX_WARNINGS 16

/* A bigger copy of an arena's array when it is full; NULL: no memory. */
static void *
grow(struct pl_arena *arena, void *array, size_t nr, size_t *capacity, size_t size)
{
	size_t wanted = (nr + 4) * 2;
	void *bigger;

	if (nr < *capacity)
		return array;
	bigger = pl_arena_alloc(arena, wanted * size);
	if (!bigger)
		return NULL;
	if (nr)
		memcpy(bigger, array, nr * size);
	*capacity = wanted;
	return bigger;
}

int
pl_table_add(struct pl_table *t, const struct platter_partition *partition,
	     struct platter_error *err)
{
	size_t nr = t->table.nr_partitions;
	struct platter_partition *p;

	if (nr >= PL_MAX_PARTITIONS)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "more than %d partitions in one table",
				     PL_MAX_PARTITIONS);
	if (partition->length > UINT64_MAX - partition->offset)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "partition %" PRIu32 " of %" PRIu64 " bytes at %" PRIu64
				  " wraps round",
				  partition->number, partition->length, partition->offset);
	p = grow(t->arena, (void *)(uintptr_t)t->table.partitions, nr, &t->capacity, sizeof *p);
	if (!p)
		return pl_no_memory(err);
	t->table.partitions = p;
	p[nr] = *partition;
	p[nr].type = p[nr].type ? p[nr].type : "";
	p[nr].type_name = p[nr].type_name ? p[nr].type_name : "unknown type";
	p[nr].name = p[nr].name ? p[nr].name : "";
	p[nr].uuid = p[nr].uuid ? p[nr].uuid : "";
	p[nr].flags = p[nr].flags ? p[nr].flags : "";
	t->table.nr_partitions++;
	return 0;
}

void
pl_table_own(struct pl_table *t, uint64_t offset, uint64_t length)
{
	struct platter_gap *own = grow(t->arena, t->own, t->nr_own, &t->own_capacity, sizeof *own);

	if (!own)
		return;
	own[t->nr_own++] = (struct platter_gap){ offset, PL_MIN(length, UINT64_MAX - offset) };
	t->own = own;
}

/* True for what holds data of its own: containers, free space and the table's entries do not. */
static bool
holds_data(const struct platter_partition *p)
{
	return p->role == PLATTER_PARTITION || p->role == PLATTER_PARTITION_LOGICAL;
}

/* True when the two claim the same bytes and neither is there to contain the other. */
static bool
overlap(const struct platter_partition *a, const struct platter_partition *b)
{
	if (!holds_data(a) && a->role != PLATTER_PARTITION_EXTENDED)
		return false;
	if (!holds_data(b) && b->role != PLATTER_PARTITION_EXTENDED)
		return false;
	if ((a->role == PLATTER_PARTITION_EXTENDED && b->role == PLATTER_PARTITION_LOGICAL) ||
	    (b->role == PLATTER_PARTITION_EXTENDED && a->role == PLATTER_PARTITION_LOGICAL))
		return false;
	return a->offset < b->offset + b->length && b->offset < a->offset + a->length;
}

static void
warn_overlaps(struct pl_table *t)
{
	const struct platter_partition *p = t->table.partitions;
	size_t nr = 0;

	for (size_t i = 1; i < t->table.nr_partitions; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!overlap(&p[j], &p[i]))
				continue;
			if (nr++ < MAX_WARNINGS)
				pl_warn(&t->facts, "partitions %" PRIu32 " and %" PRIu32 " overlap",
					p[j].number, p[i].number);
		}
	}
	if (nr > MAX_WARNINGS)
		pl_warn(&t->facts, "%zu more pairs of partitions overlap", nr - MAX_WARNINGS);
}

static void
warn_past_end(struct pl_table *t)
{
	size_t nr = 0;

	for (size_t i = 0; i < t->table.nr_partitions; i++) {
		const struct platter_partition *p = &t->table.partitions[i];

		if (p->role == PLATTER_PARTITION_META || p->role == PLATTER_PARTITION_FREE ||
		    pl_in_range(p->offset, p->length, t->table.size))
			continue;
		t->damaged = true;
		if (nr++ < MAX_WARNINGS)
			pl_warn(&t->facts,
				"partition %" PRIu32 " ends at byte %" PRIu64
				", past the end of the disk (%" PRIu64 " bytes)",
				p->number, p->offset + p->length, t->table.size);
	}
	if (nr > MAX_WARNINGS)
		pl_warn(&t->facts, "%zu more partitions pass the end of the disk",
			nr - MAX_WARNINGS);
}

static int
by_offset(const void *a, const void *b)
{
	const struct platter_gap *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* What no partition and no part of the table takes up. */
static void
find_gaps(struct pl_table *t)
{
	const struct platter_partition *p = t->table.partitions;
	size_t nr = 0, max = t->table.nr_partitions + t->nr_own;
	struct platter_gap *taken = pl_arena_alloc(t->arena, (max + 1) * sizeof *taken);
	struct platter_gap *gaps = pl_arena_alloc(t->arena, (max + 1) * sizeof *gaps);
	uint64_t at = 0;

	if (!taken || !gaps)
		return;
	for (size_t i = 0; i < t->table.nr_partitions; i++)
		if (holds_data(&p[i]) || p[i].role == PLATTER_PARTITION_FREE)
			taken[nr++] = (struct platter_gap){ p[i].offset, p[i].length };
	for (size_t i = 0; i < t->nr_own; i++)
		taken[nr++] = t->own[i];
	qsort(taken, nr, sizeof *taken, by_offset);
	taken[nr++] = (struct platter_gap){ .offset = t->table.size };
	t->table.gaps = gaps;
	for (size_t i = 0; i < nr; i++) {
		uint64_t start = PL_MIN(taken[i].offset, t->table.size);

		if (start > at && start - at >= t->table.sector_size)
			gaps[t->table.nr_gaps++] = (struct platter_gap){ at, start - at };
		at = PL_MAX(at, taken[i].offset + taken[i].length);
	}
}

static int
read_table(const struct pl_scheme *scheme, struct pl_disk *disk, unsigned flags,
	   const struct platter_table *gpt, struct pl_arena *arena, struct platter_table *ret,
	   struct platter_error *err)
{
	struct pl_table t = {
		.arena = arena,
		.flags = flags,
		.gpt = gpt,
		.facts.arena = arena,
		.table = { .name = scheme->info.name,
			   .longname = scheme->info.longname,
			   .uuid = "",
			   .size = disk->size,
			   .sector_size = disk->sector_size },
	};
	int r = scheme->read(disk, &t, err);

	if (r < 0)
		return r;
	warn_overlaps(&t);
	warn_past_end(&t);
	find_gaps(&t);
	if (t.damaged)
		pl_fact_flag(&t.facts, "damaged", "damaged", true);
	t.table.facts = t.facts.list;
	*ret = t.table;
	return 0;
}

int
pl_tables_read(struct pl_disk *disk, unsigned flags, struct pl_arena *arena,
	       const struct platter_table **ret, size_t *ret_nr, struct pl_facts *facts,
	       struct platter_error *err)
{
	struct platter_table *tables =
		pl_arena_alloc(arena, ARRAY_SIZE(pl_schemes) * sizeof *tables);
	const struct platter_table *gpt = NULL;
	struct platter_error unreadable = PLATTER_ERROR_INIT;
	size_t nr = 0;

	if (!tables)
		return pl_no_memory(err);
	/* What comes once, from front to back, cannot be looked at in several places. */
	for (size_t i = 0; pl_schemes[i] && !disk->sequential && disk->size != UINT64_MAX; i++) {
		struct platter_error e = PLATTER_ERROR_INIT;
		int r = read_table(pl_schemes[i], disk, flags, gpt, arena, &tables[nr], &e);

		if (r == 0) {
			if (!strcmp(pl_schemes[i]->info.name, "gpt"))
				gpt = &tables[nr];
			nr++;
		} else if (r == -ENOMEM || arena->failed) {
			return pl_no_memory(err);
		} else if (r == -EUCLEAN || r == -ENOTSUP || r == -EFBIG) {
			if (facts)
				pl_warn(facts, "%s: %s", pl_schemes[i]->info.longname, e.message);
		} else if (r != -ENOENT) {
			unreadable = e;
		}
	}
	if (arena->failed)
		return pl_no_memory(err);
	if (unreadable.code && !nr) {
		if (err)
			*err = unreadable;
		return unreadable.code;
	}
	if (unreadable.code && facts)
		pl_warn(facts, "%s", unreadable.message);
	*ret = tables;
	*ret_nr = nr;
	return 0;
}
