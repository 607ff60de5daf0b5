/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * used.c - a disk without what nothing on it uses
 *
 * Everything is in use until a file system proves that it is not: gaps between partitions,
 * boot areas, tables and their copies belong to no volume and stay; so does what a volume
 * covers beyond its end.  A range that two partitions claim is free only if both say so.
 *
 * A logical volume is surveyed like a disk of its own, and what it uses is then looked up in
 * its map.
 */
#include "used.h"

#include "content.h"
#include "group.h"
#include "guard.h"
#include "scheme.h"
#include "storage.h"
#include "text.h"

struct used_disk {
	struct pl_disk disk;
	struct pl_disk *below;
	struct pl_ranges used;
};

static int
used_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	struct used_disk *u = pl_container_of(disk, struct used_disk, disk);
	const struct pl_range *range = pl_ranges_find(&u->used, offset);

	(void)err;
	if (!range || range->start > offset)
		*ret = (struct pl_extent){ .kind = PLATTER_HOLE,
					   .length = range ? range->start - offset : length };
	else
		*ret = (struct pl_extent){ .kind = PLATTER_DATA,
					   .length = range->end - offset,
					   .below = u->below,
					   .stored_offset = offset };
	return 0;
}

static struct pl_disk *
used_below(struct pl_disk *disk, size_t index)
{
	return index ? NULL : pl_container_of(disk, struct used_disk, disk)->below;
}

static void
used_free(struct pl_disk *disk)
{
	struct used_disk *u = pl_container_of(disk, struct used_disk, disk);

	pl_ranges_done(&u->used);
	pl_disk_unref(u->below);
	pl_disk_done(disk);
	free(u);
}

static const struct pl_disk_ops used_ops = {
	.name = "what is in use",
	.map = used_map,
	.below = used_below,
	.free = used_free,
};

struct survey {
	const struct pl_place *place;
	struct pl_disk *disk;
	struct pl_ranges used;
	void (*each)(const struct platter_used_volume *volume, void *closure);
	void *closure;
	const char *in_use; /* what the device is used for now, or NULL */
	/* Of the survey of a logical volume: */
	const char *logical; /* its name in its group, "vg/root"; else NULL */
	uint32_t partition;  /* that its group is on, or 0 */
};

static const char *
state_text(const struct pl_volume *v)
{
	switch (v->state) {
	case PLATTER_STATE_DIRTY:
		return "it was not unmounted: what was written last may be missing";
	case PLATTER_STATE_HIBERNATED:
		return "a hibernated system is on it: restore it to the same disk, and resume";
	default: return NULL;
	}
}

static void
tell(const struct survey *s, struct platter_used_volume *u)
{
	if (!u->warning)
		u->warning = s->in_use;
	u->logical = s->logical;
	if (s->logical)
		u->partition = s->partition;
	if (s->each)
		s->each(u, s->closure);
}

/* All of a volume is in use, and why. */
static int
keep_whole(struct survey *s, struct platter_used_volume *u, const char *why,
	   struct platter_error *err)
{
	u->used = u->size;
	u->whole = why;
	tell(s, u);
	u->whole = NULL; /* `why` is the caller's */
	return pl_ranges_add(&s->used, u->offset, u->size, err);
}

/* `used` counts from the start of a volume, and is spent afterwards. */
static int
keep_used(struct survey *s, struct platter_used_volume *u, struct pl_ranges *used,
	  struct platter_error *err)
{
	int r = 0;

	pl_ranges_finish(used, u->size);
	u->used = pl_ranges_bytes(used);
	tell(s, u);
	for (size_t i = 0; i < used->nr && r == 0; i++)
		r = pl_ranges_add(&s->used, u->offset + used->range[i].start,
				  used->range[i].end - used->range[i].start, err);
	pl_ranges_done(used);
	return r;
}

/* What the file system on `disk` uses, which is at u->offset of the whole. */
static int
survey_volume(struct survey *s, struct pl_volume *v, struct platter_used_volume *u,
	      struct platter_error *err)
{
	PL_AUTOFREE char *why = NULL;
	struct pl_ranges used = { 0 };
	int r = pl_volume_used(v, &used, &why, err);

	/* What is behind the file system is nobody's, and may be a backup or a label. */
	if (r == 0 && v->size < u->size)
		r = pl_ranges_add(&used, v->size, u->size - v->size, err);
	u->warning = state_text(v);
	if (r == 0 && !why)
		return keep_used(s, u, &used, err);
	pl_ranges_done(&used);
	return r < 0 ? r : keep_whole(s, u, why, err);
}

/* What of `disk`, which is at u->offset of the whole, a driver without files says is in use. */
static int
survey_ranges(struct survey *s, const struct pl_content_driver *driver, struct pl_disk *disk,
	      struct platter_used_volume *u, struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct pl_ranges used = { 0 };
	int r = driver->used(disk, &used, &why);

	if (r < 0) {
		pl_ranges_done(&used);
		return keep_whole(s, u, why.message, err);
	}
	return keep_used(s, u, &used, err);
}

static int survey_disk(struct survey *s, struct platter_error *err);

/* Add what is at [start, end) of a logical volume, where its map says that it is on `below`. */
static int
add_mapped(struct pl_disk *logical, const struct pl_disk *below, uint64_t start, uint64_t end,
	   struct pl_ranges *used, struct platter_error *err)
{
	while (start < end) {
		struct pl_extent e;
		int r = pl_map(logical, start, end - start, &e, err);

		if (r == 0 && e.kind == PLATTER_DATA && e.below == below)
			r = pl_ranges_add(used, e.stored_offset, e.length, err);
		if (r < 0)
			return r;
		start += e.length;
	}
	return 0;
}

static int
survey_logical(struct survey *s, struct pl_group *g, size_t index, uint32_t partition,
	       struct pl_ranges *used, struct platter_error *err)
{
	PL_AUTOFREE char *name = pl_format("%s/%s", g->name, g->volume[index].name);
	PL_AUTOFREE char *place = pl_logical_place(g->disk->name, g->volume[index].name);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct survey inside = *s;
	int r;

	if (!name || !place)
		return pl_no_memory(err);
	r = pl_group_open_logical(g, index, place, &disk, err);
	if (r < 0)
		return r;
	inside.disk = disk;
	inside.used = (struct pl_ranges){ 0 };
	inside.logical = name;
	inside.partition = partition;
	r = survey_disk(&inside, err);
	pl_ranges_finish(&inside.used, disk->size);
	for (size_t i = 0; i < inside.used.nr && r == 0; i++)
		r = add_mapped(disk, g->disk, inside.used.range[i].start, inside.used.range[i].end,
			       used, err);
	pl_ranges_done(&inside.used);
	return r;
}

static void
tell_whole(const struct survey *s, const struct pl_group *g, const struct pl_logical *l,
	   uint32_t partition, const char *why)
{
	PL_AUTOFREE char *name = pl_format("%s/%s", g->name, l->name);
	struct survey inside = *s;
	struct platter_used_volume u = {
		.content = "", .label = "", .size = l->size, .used = l->size, .whole = why
	};

	inside.logical = name;
	inside.partition = partition;
	if (name)
		tell(&inside, &u);
}

/* The group's own, then what is used of each logical volume that can be looked into. */
static int
survey_group(struct survey *s, struct pl_group *g, struct platter_used_volume *u,
	     struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct pl_ranges used = { 0 };
	int r = g->ops->used(g, &used, &why);

	if (r < 0) {
		pl_ranges_done(&used);
		return r == -ENOMEM ? pl_no_memory(err) : keep_whole(s, u, why.message, err);
	}
	for (size_t i = 0; i < g->nr && r == 0; i++) {
		const struct pl_logical *l = &g->volume[i];

		if (pl_logical_stands_alone(l))
			r = survey_logical(s, g, i, u->partition, &used, err);
		else if (!l->hidden)
			tell_whole(s, g, l, u->partition,
				   l->code ? l->why : "other logical volumes are made of it");
	}
	if (r == 0)
		return keep_used(s, u, &used, err);
	pl_ranges_done(&used);
	return r;
}

static int
survey_content(struct survey *s, struct pl_disk *disk, struct platter_used_volume *u,
	       struct platter_error *err)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct platter_error why = PLATTER_ERROR_INIT;
	struct pl_content *contents = NULL;
	struct pl_arena arena = { 0 };
	struct pl_group *g = NULL;
	size_t nr = 0;
	bool in_group = s->logical;
	int r;

	if (pl_contents_find(disk, &arena, &contents, &nr, &why) == 0 && nr) {
		u->content = contents[0].content.name;
		u->label = contents[0].content.label;
	}
	/* What is in a group goes before what else shows: that is of its volumes, or an old one. */
	if (nr && contents[0].driver->group)
		r = in_group ? pl_unsupported(&why, PLATTER_NO_OFFSET,
					      "it is a volume group in a logical volume")
			     : contents[0].driver->group(disk, s->place->flags, &g, &why);
	else
		r = pl_volume_open(disk, NULL, NULL, s->place->flags, &v, &why);
	if (r == 0 && g)
		r = survey_group(s, g, u, err);
	else if (r == -ENOMEM)
		r = pl_no_memory(err);
	else if (r == 0)
		r = survey_volume(s, v, u, err);
	else if (nr && contents[0].driver->used)
		r = survey_ranges(s, contents[0].driver, disk, u, err);
	else
		r = keep_whole(s, u, nr ? why.message : "what it holds is not known", err);
	pl_group_close(g);
	pl_arena_done(&arena);
	return r;
}

static int
survey_partition(struct survey *s, const struct platter_partition *p, struct platter_error *err)
{
	struct platter_used_volume u = {
		.partition = p->number,
		.content = "",
		.label = "",
		.offset = p->offset,
		.size = p->length,
	};
	PL_AUTOFREE char *name = pl_format("%s@%" PRIu32, s->disk->name, p->number);
	PL_AUTOUNREF struct pl_disk *slice = NULL;
	int r;

	if (!name)
		return pl_no_memory(err);
	if (!pl_in_range(p->offset, p->length, s->disk->size))
		return keep_whole(s, &u, "the disk is cut short", err);
	r = pl_slice_new(s->disk, p->offset, p->length, name, &slice, err);
	return r < 0 ? r : survey_content(s, slice, &u, err);
}

static bool
holds_volume(const struct platter_partition *p)
{
	return p->number && p->length &&
	       (p->role == PLATTER_PARTITION || p->role == PLATTER_PARTITION_LOGICAL);
}

/* Everything outside of partitions, then what is used inside of each. */
static int
survey_table(struct survey *s, const struct platter_table *t, struct platter_error *err)
{
	struct pl_ranges inside = { 0 };
	int r = 0;

	for (size_t i = 0; i < t->nr_partitions && r == 0; i++)
		if (holds_volume(&t->partitions[i]))
			r = pl_ranges_add(&inside, t->partitions[i].offset, t->partitions[i].length,
					  err);
	pl_ranges_finish(&inside, s->disk->size);
	if (r == 0)
		r = pl_ranges_invert(&inside, s->disk->size, &s->used, err);
	pl_ranges_done(&inside);
	for (size_t i = 0; i < t->nr_partitions && r == 0; i++)
		if (holds_volume(&t->partitions[i]))
			r = survey_partition(s, &t->partitions[i], err);
	return r;
}

/* Of two tables only one can be right, and a disc may be a file system and have a table. */
static int
survey_disk(struct survey *s, struct platter_error *err)
{
	struct platter_used_volume whole = { .content = "", .label = "", .size = s->disk->size };
	const struct platter_content *contents;
	const struct platter_table *tables;
	struct pl_arena arena = { 0 };
	size_t nr = 0, nr_contents = 0;
	int r;

	if (pl_tables_read(s->disk, s->place->flags, &arena, &tables, &nr, NULL, NULL) < 0)
		nr = 0;
	if (pl_contents_identify(s->disk, &arena, &contents, &nr_contents, NULL) < 0)
		nr_contents = 0;
	if (!nr || !tables[0].nr_partitions)
		r = survey_content(s, s->disk, &whole, err);
	else if (nr_contents)
		r = keep_whole(s, &whole, "it has a partition table and a file system of its own",
			       err);
	else
		r = survey_table(s, &tables[0], err);
	pl_arena_done(&arena);
	return r;
}

static int
used_disk_new(struct survey *s, struct pl_disk **ret, struct platter_error *err)
{
	struct used_disk *u = calloc(1, sizeof *u);
	int r;

	if (!u)
		return pl_no_memory(err);
	r = pl_disk_init(&u->disk, &used_ops, s->disk->name, err);
	if (r == 0)
		r = pl_disk_stack(&u->disk, s->disk, err);
	if (r < 0) {
		pl_disk_done(&u->disk);
		free(u);
		return r;
	}
	u->below = pl_disk_ref(s->disk);
	u->used = s->used;
	s->used = (struct pl_ranges){ 0 };
	u->disk.size = s->disk->size;
	u->disk.sector_size = s->disk->sector_size;
	u->disk.physical_sector_size = s->disk->physical_sector_size;
	*ret = &u->disk;
	return 0;
}

int
pl_place_used(const struct pl_place *place,
	      void (*each)(const struct platter_used_volume *volume, void *closure), void *closure,
	      struct pl_place **ret, uint64_t *ret_unused, struct platter_error *err)
{
	struct survey s = { .place = place, .disk = place->disk, .each = each, .closure = closure };
	struct platter_error busy = PLATTER_ERROR_INIT;
	const char *path = pl_storage_path(place->storage, 0);
	struct pl_disk *disk = NULL;
	int r;

	if (place->disk->sequential)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "what of a stream is in use cannot be told");
	if (path && pl_storage_is_device(place->storage) && pl_guard_device(path, &busy) < 0)
		s.in_use = busy.message;
	r = survey_disk(&s, err);
	pl_ranges_finish(&s.used, s.disk->size);
	if (r == 0) {
		*ret_unused = s.disk->size - pl_ranges_bytes(&s.used);
		r = used_disk_new(&s, &disk, err);
	}
	pl_ranges_done(&s.used);
	if (r < 0)
		return r;
	r = pl_place_of_disk(place, disk, false, place->name, ret, err);
	if (r < 0)
		pl_disk_unref(disk);
	return r;
}
