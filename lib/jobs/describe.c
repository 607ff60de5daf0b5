/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * describe.c - what a disk is, layer by layer
 *
 * Drivers tell what they know; this file asks them all and puts the answers in order.  What
 * cannot be read on the way becomes a warning of the layer it was to be read from.
 */
#include "describe.h"

#include <stdio.h>

#include "content.h"
#include "disc.h"
#include "format.h"
#include "group.h"
#include "mapfile.h"
#include "scheme.h"
#include "storage.h"
#include "stored.h"
#include "text.h"

/* Partitions looked into: a table may list a thousand, each worth many reads. */
#define MAX_IDENTIFIED 256

/* Logical volumes likewise, of all volume groups together. */
#define MAX_LOGICALS 256

/* A description and the memory that all of it lives in. */
struct owned {
	struct platter_description description;
	struct pl_arena arena;
};

struct describer {
	struct pl_place *place;
	struct platter_description *d;
	struct pl_arena *arena;
	struct platter_layer *layers;
	struct pl_facts *facts; /* of each layer, until all is known */
	struct pl_facts *top;   /* those of the disk itself */
	size_t nr_logicals;     /* looked into */
	bool in_group;          /* what is looked into now is a logical volume */
};

static const char *
clean_text(struct pl_arena *arena, const char *text)
{
	return pl_arena_take(arena, pl_text_from_bytes(text, strlen(text)));
}

static const char *
format_name(const struct pl_disk *disk)
{
	const struct pl_format *format = pl_format_of(disk);

	return format ? format->info.name : "raw";
}

static const char *
format_longname(const struct pl_disk *disk)
{
	const struct pl_format *format = pl_format_of(disk);

	return format ? format->info.longname : "raw image";
}

static void
tell_storage(struct pl_disk *disk, struct platter_layer *layer, struct pl_facts *facts)
{
	const char *path = pl_storage_path(disk, 0);
	uint64_t allocated = pl_storage_allocated(disk);
	size_t nr = 0;

	while (pl_storage_path(disk, nr))
		nr++;
	if (disk->sequential) {
		layer->name = "stream";
		layer->longname = "stream, read once from front to back";
	} else if (pl_storage_is_device(disk)) {
		layer->name = "block";
		layer->longname = "block device";
	} else if (nr > 1) {
		layer->name = "split";
		layer->longname = "file in several parts";
	} else {
		layer->name = "file";
		layer->longname = "file";
	}
	if (nr > 1) {
		pl_fact_number(facts, "parts", "parts", nr);
		pl_fact_text(facts, "first_part", "first part", "%s", path);
		pl_fact_text(facts, "last_part", "last part", "%s", pl_storage_path(disk, nr - 1));
	} else if (path) {
		pl_fact_text(facts, "path", "path", "%s", path);
	}
	if (disk->size != UINT64_MAX)
		pl_fact_size(facts, "size", "size", disk->size);
	if (allocated != UINT64_MAX)
		pl_fact_size(facts, "allocated", "allocated", allocated);
	if (pl_storage_is_device(disk)) {
		pl_fact_number(facts, "sector_size", "logical sector size", disk->sector_size);
		pl_fact_number(facts, "physical_sector_size", "physical sector size",
			       disk->physical_sector_size);
	}
}

static void
tell_format(struct pl_disk *disk, struct platter_layer *layer, struct pl_arena *arena)
{
	layer->kind = PLATTER_LAYER_FORMAT;
	layer->name = format_name(disk);
	layer->longname = format_longname(disk);
	layer->backing = disk->parent ? clean_text(arena, disk->parent->name) : NULL;
}

/* The entry of partition `number` in the table of `below`; NULL if it has gone meanwhile. */
static const struct platter_partition *
find_partition(struct describer *s, struct pl_disk *below, uint32_t number)
{
	const struct platter_table *tables;
	size_t nr;

	if (pl_tables_read(below, s->place->flags, s->arena, &tables, &nr, NULL, NULL) < 0 || !nr)
		return NULL;
	for (size_t i = 0; i < tables[0].nr_partitions; i++)
		if (tables[0].partitions[i].number == number)
			return &tables[0].partitions[i];
	return NULL;
}

static void
tell_partition(struct describer *s, size_t index)
{
	uint32_t number = s->place->partition[index];
	struct platter_layer *layer = &s->layers[index];
	struct pl_facts *facts = &s->facts[index];
	const struct platter_partition *p = find_partition(s, s->place->layers[index - 1], number);

	layer->kind = PLATTER_LAYER_PARTITION;
	layer->name = "partition";
	layer->longname = pl_arena_format(s->arena, "partition %" PRIu32, number);
	pl_fact_number(facts, "number", "number", number);
	if (!p)
		return;
	pl_fact_text(facts, "type_name", "type", "%s", p->type_name);
	pl_fact_text(facts, "type", "type code", "%s", p->type);
	if (p->name[0])
		pl_fact_text(facts, "name", "name", "%s", p->name);
	if (p->uuid[0])
		pl_fact_text(facts, "uuid", "UUID", "%s", p->uuid);
	if (p->flags[0])
		pl_fact_text(facts, "flags", "flags", "%s", p->flags);
	pl_fact_size(facts, "offset", "offset", p->offset);
	if (!pl_in_range(p->offset, p->length, s->place->layers[index - 1]->size))
		pl_warn(facts,
			"ends at byte %" PRIu64 ", past the end of the disk (%" PRIu64 " bytes)",
			p->offset + p->length, s->place->layers[index - 1]->size);
}

static void
tell_file(struct platter_layer *layer)
{
	layer->kind = PLATTER_LAYER_FILE;
	layer->name = "file inside";
	layer->longname = "file in a file system";
}

static void
tell_logical(struct platter_layer *layer)
{
	layer->kind = PLATTER_LAYER_LOGICAL;
	layer->name = "logical volume";
	layer->longname = "logical volume";
}

static void
tell_lost(const struct pl_disk *disk, struct pl_facts *facts)
{
	if (disk->lost)
		pl_fact_size(facts, "lost", "Not read",
			     disk->lost->size - pl_mapfile_bytes(disk->lost, PL_BLOCK_FINISHED));
}

static void
describe_layers(struct describer *s)
{
	for (size_t i = 0; i < s->place->nr_layers; i++) {
		struct pl_disk *disk = s->place->layers[i];
		struct platter_layer *layer = &s->layers[i];

		s->facts[i].arena = s->arena;
		layer->size = disk->size;
		layer->place = clean_text(s->arena, disk->name);
		if (!i)
			tell_storage(disk, layer, &s->facts[i]);
		else if (s->place->partition[i])
			tell_partition(s, i);
		else if (s->place->is_logical[i])
			tell_logical(layer);
		else if (s->place->is_file[i])
			tell_file(layer);
		else
			tell_format(disk, layer, s->arena);
		if (disk->ops->describe)
			disk->ops->describe(disk, &s->facts[i]);
		tell_lost(disk, &s->facts[i]);
	}
	s->top = &s->facts[s->place->nr_layers - 1];
}

/* The backing files of the topmost image that has any. */
static void
describe_chain(struct describer *s)
{
	struct pl_disk *first = NULL;
	struct platter_layer *chain;
	size_t nr = 0;

	for (size_t i = s->place->nr_layers; i-- > 0 && !first;)
		first = s->place->layers[i]->parent;
	for (struct pl_disk *disk = first; disk; disk = disk->parent)
		nr++;
	chain = pl_arena_alloc(s->arena, nr * sizeof *chain);
	if (!chain || !nr)
		return;
	s->d->chain = chain;
	s->d->nr_chain = nr;
	for (struct pl_disk *disk = first; disk; disk = disk->parent, chain++) {
		struct pl_facts facts = { .arena = s->arena };

		chain->size = disk->size;
		chain->place = clean_text(s->arena, disk->name);
		tell_format(disk, chain, s->arena);
		if (disk->ops->describe)
			disk->ops->describe(disk, &facts);
		chain->facts = facts.list;
	}
}

/* Those of the topmost image that can have any. */
static void
describe_snapshots(struct describer *s)
{
	for (size_t i = s->place->nr_layers; i-- > 0;) {
		const struct pl_format *format = pl_format_of(s->place->layers[i]);
		struct platter_error err = PLATTER_ERROR_INIT;

		if (!format || !format->snapshots)
			continue;
		if (format->snapshots(s->place->layers[i], s->arena, &s->d->snapshots,
				      &s->d->nr_snapshots, &err) < 0)
			pl_warn(&s->facts[i], "snapshots: %s", err.message);
		return;
	}
}

static void
copy_text(struct pl_arena *arena, struct platter_disc_text *ret,
	  const struct platter_disc_text *text)
{
	*ret = (struct platter_disc_text){
		.title = pl_arena_strdup(arena, text->title),
		.performer = pl_arena_strdup(arena, text->performer),
		.songwriter = pl_arena_strdup(arena, text->songwriter),
		.composer = pl_arena_strdup(arena, text->composer),
		.arranger = pl_arena_strdup(arena, text->arranger),
		.message = pl_arena_strdup(arena, text->message),
		.genre = pl_arena_strdup(arena, text->genre),
	};
}

static void *
copy_bytes(struct pl_arena *arena, const void *bytes, size_t n)
{
	void *copy = n ? pl_arena_alloc(arena, n) : NULL;

	return copy ? memcpy(copy, bytes, n) : NULL;
}

static const struct platter_track *
copy_tracks(struct pl_arena *arena, const struct platter_disc *d)
{
	struct platter_track *tracks =
		copy_bytes(arena, d->tracks, d->nr_tracks * sizeof *d->tracks);

	for (size_t i = 0; tracks && i < d->nr_tracks; i++) {
		struct platter_track *t = &tracks[i];

		t->isrc = pl_arena_strdup(arena, t->isrc);
		t->indexes = copy_bytes(arena, t->indexes, t->nr_indexes * sizeof *t->indexes);
		copy_text(arena, &t->text, &d->tracks[i].text);
	}
	return tracks;
}

/* The topmost layer that is a disc, or a track of one. */
static void
describe_disc(struct describer *s)
{
	const struct platter_disc *from;
	struct pl_disc *disc = NULL;
	struct platter_disc *d;

	for (size_t i = s->place->nr_layers; i-- > 0 && !disc;)
		disc = pl_disc_of(s->place->layers[i]);
	d = disc ? pl_arena_alloc(s->arena, sizeof *d) : NULL;
	if (!d)
		return;
	from = &disc->info;
	*d = *from;
	d->mcn = pl_arena_strdup(s->arena, from->mcn);
	copy_text(s->arena, &d->text, &from->text);
	d->sessions =
		copy_bytes(s->arena, from->sessions, from->nr_sessions * sizeof *from->sessions);
	d->tracks = copy_tracks(s->arena, from);
	if (!s->arena->failed)
		s->d->disc = d;
}

/*
 * A raw image is its file, so it has no disk of its own: show it all the same, as the format
 * that was found.
 */
static void
show_raw_image(struct describer *s)
{
	struct pl_place *place = s->place;
	struct platter_layer *layers = s->layers;

	if (place->nr_layers > 1 && !place->partition[1] && !place->is_logical[1] &&
	    !place->is_file[1])
		return;
	if (place->storage->sequential || pl_storage_is_device(place->storage))
		return;
	memmove(layers + 2, layers + 1, (place->nr_layers - 1) * sizeof *layers);
	layers[1] = (struct platter_layer){ .place = layers[0].place, .size = layers[0].size };
	tell_format(place->storage, &layers[1], s->arena);
	s->d->nr_layers++;
}

/*
 * The image that a disk begins with, if any, opened alone: what it names beside itself is
 * its guest's word.
 */
static bool
identify_image(struct describer *s, struct pl_disk *disk, struct platter_content *ret)
{
	PL_AUTOUNREF struct pl_disk *image = NULL;
	struct pl_facts facts = { .arena = s->arena };
	struct platter_error err = PLATTER_ERROR_INIT;
	const struct pl_format *format;

	if (pl_format_probe(disk, &format, &err) < 0 || !format || !format->probe)
		return false;
	*ret = (struct platter_content){
		.name = format->info.name,
		.longname = format->info.longname,
		.usage = "image",
		.label = "",
		.uuid = "",
		.free = UINT64_MAX,
	};
	/* Nobody is asked for the pass phrase of what is not even opened. */
	if (format->wraps)
		return true;
	if (pl_image_open(disk, NULL, format->info.name, NULL, PLATTER_OPEN_NO_BACKING, &image,
			  &err) < 0) {
		pl_warn(&facts, "%s", err.message);
	} else {
		ret->size = image->size;
		if (image->ops->describe)
			image->ops->describe(image, &facts);
	}
	ret->facts = facts.list;
	return true;
}

/* What only a look into the file system tells: features, state, space. */
static void
describe_volume(struct pl_disk *disk, unsigned flags, struct pl_content *found, size_t nr)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_space space;
	struct pl_content *c = NULL;
	int r = nr ? pl_volume_open(disk, NULL, NULL, flags, &v, &err) : -ENOENT;

	/* Of those that are only recognised, and so not read, nothing more is expected. */
	if (r < 0 && r != -ENOENT && r != -ENOTSUP)
		pl_warn(&found[0].facts, "its files cannot be read: %s", err.message);
	for (size_t i = 0; r == 0 && i < nr && !c; i++)
		c = found[i].driver == v->driver ? &found[i] : NULL;
	if (!c)
		return;
	if (v->ops->describe)
		v->ops->describe(v, &c->facts);
	if (c->content.free == UINT64_MAX && pl_volume_space(v, &space, NULL) == 0)
		c->content.free = space.free;
	if (!c->content.size)
		c->content.size = v->size;
	if (!c->content.block_size)
		c->content.block_size = v->block_size;
}

static void identify(struct describer *s, struct pl_disk *disk, const char *place,
		     const struct platter_content **ret, size_t *ret_nr);

/* What is on a logical volume that can be opened: a partition table, or a file system. */
static void
look_into_logical(struct describer *s, struct pl_disk *disk, struct platter_logical_volume *v)
{
	const struct platter_table *tables;
	size_t nr = 0;

	if (pl_tables_read(disk, s->place->flags, s->arena, &tables, &nr, NULL, NULL) == 0 && nr) {
		v->table = tables[0].name;
		v->nr_partitions = (uint32_t)tables[0].nr_partitions;
	}
	identify(s, disk, disk->name, &v->contents, &v->nr_contents);
}

static void
describe_logical(struct describer *s, struct pl_group *g, size_t index, const char *below,
		 struct platter_logical_volume *ret)
{
	const struct pl_logical *l = &g->volume[index];
	PL_AUTOFREE char *place = pl_logical_place(below, l->name);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct platter_error err = PLATTER_ERROR_INIT;

	*ret = (struct platter_logical_volume){
		.name = pl_arena_strdup(s->arena, l->name),
		.uuid = pl_arena_strdup(s->arena, l->uuid),
		.type = pl_arena_strdup(s->arena, l->type),
		.size = l->size,
		.place = "",
		.reason = pl_arena_strdup(s->arena, l->code ? l->why : ""),
		.table = "",
	};
	if (l->code || !place)
		return;
	ret->place = clean_text(s->arena, place);
	if (pl_group_open_logical(g, index, place, &disk, &err) < 0)
		ret->reason = pl_arena_strdup(s->arena, err.message);
	else if (s->nr_logicals++ < MAX_LOGICALS)
		look_into_logical(s, disk, ret);
}

/* The logical volumes of a physical volume. */
static void
describe_group(struct describer *s, struct pl_disk *disk, const char *place, struct pl_content *c)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_logical_volume *volumes;
	struct pl_group *g;
	int r = c->driver->group(disk, s->place->flags, &g, &err);

	if (r == -ENOTSUP)
		pl_fact_text(&c->facts, "logical_volumes", "logical volumes", "not known: %s",
			     err.message);
	else if (r < 0)
		pl_warn(&c->facts, "its logical volumes cannot be told: %s", err.message);
	if (r < 0)
		return;
	if (g->ops->describe)
		g->ops->describe(g, &c->facts);
	c->content.free = g->free;
	volumes = pl_arena_alloc(s->arena, g->nr * sizeof *volumes);
	for (size_t i = 0; i < g->nr && volumes; i++)
		if (!g->volume[i].hidden)
			describe_logical(s, g, i, place, &volumes[c->content.nr_volumes++]);
	c->content.volumes = volumes;
	pl_group_close(g);
	if (s->nr_logicals > MAX_LOGICALS)
		pl_warn(s->top, "%zu logical volumes, of which only the first %d were looked into",
			s->nr_logicals, MAX_LOGICALS);
}

/* What `disk`, whose place is `place`, begins with; warnings call it by its name. */
static void
identify(struct describer *s, struct pl_disk *disk, const char *place,
	 const struct platter_content **ret, size_t *ret_nr)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_content image, *all;
	bool has_image = identify_image(s, disk, &image);
	struct pl_content *found = NULL;
	size_t nr = 0;

	if (pl_contents_find(disk, s->arena, &found, &nr, &err) < 0) {
		pl_warn(s->top, "%s: %s", disk == s->place->disk ? "contents" : disk->name,
			err.message);
		nr = 0;
	}
	/* A volume group in a logical volume of another is not looked into. */
	if (nr && found[0].driver->group && !s->in_group) {
		s->in_group = true;
		describe_group(s, disk, place, &found[0]);
		s->in_group = false;
	} else {
		describe_volume(disk, s->place->flags, found, nr);
	}
	all = pl_arena_alloc(s->arena, (nr + 1) * sizeof *all);
	if (!all)
		return;
	/* An image's header and a file system's cannot both be meant: the header came last. */
	if (has_image)
		all[0] = image;
	for (size_t i = 0; i < nr; i++) {
		all[has_image + i] = found[i].content;
		all[has_image + i].facts = found[i].facts.list;
	}
	*ret = all;
	*ret_nr = nr + has_image;
}

static void
identify_partition(struct describer *s, struct platter_partition *p)
{
	PL_AUTOUNREF struct pl_disk *slice = NULL;
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE char *place = pl_format("%s@%" PRIu32, s->place->disk->name, p->number);
	char name[32];

	snprintf(name, sizeof name, "partition %" PRIu32, p->number);
	if (pl_slice_new(s->place->disk, p->offset, p->length, name, &slice, &err) < 0)
		pl_warn(s->top, "%s: %s", name, err.message);
	else
		identify(s, slice, place, &p->contents, &p->nr_contents);
}

static bool
can_hold_content(const struct platter_partition *p)
{
	return p->length && (p->role == PLATTER_PARTITION || p->role == PLATTER_PARTITION_LOGICAL);
}

static void
describe_table(struct describer *s, struct platter_table *table)
{
	size_t n = table->nr_partitions, nr_identified = 0;
	struct platter_partition *partitions = pl_arena_alloc(s->arena, n * sizeof *partitions);

	if (!partitions || !n)
		return;
	memcpy(partitions, table->partitions, n * sizeof *partitions);
	for (size_t i = 0; i < n; i++)
		if (can_hold_content(&partitions[i]) && nr_identified++ < MAX_IDENTIFIED)
			identify_partition(s, &partitions[i]);
	if (nr_identified > MAX_IDENTIFIED)
		pl_warn(s->top, "%zu partitions, of which only the first %d were looked into",
			nr_identified, MAX_IDENTIFIED);
	table->partitions = partitions;
}

static void
describe_tables(struct describer *s)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	const struct platter_table *found;
	struct platter_table *tables;
	size_t nr;

	if (pl_tables_read(s->place->disk, s->place->flags, s->arena, &found, &nr, s->top, &err) <
	    0) {
		pl_warn(s->top, "partition table: %s", err.message);
		return;
	}
	tables = pl_arena_alloc(s->arena, nr * sizeof *tables);
	if (!tables || !nr)
		return;
	memcpy(tables, found, nr * sizeof *tables);
	for (size_t i = 0; i < nr; i++)
		describe_table(s, &tables[i]);
	s->d->tables = tables;
	s->d->nr_tables = nr;
}

static void
describe_all(struct describer *s)
{
	struct pl_place *place = s->place;
	struct platter_description *d = s->d;

	d->place = pl_arena_strdup(s->arena, place->name);
	d->size = place->disk->size;
	d->stored = pl_stored(place->disk);
	d->sector_size = place->disk->sector_size;
	d->physical_sector_size = place->disk->physical_sector_size;
	describe_layers(s);
	describe_chain(s);
	describe_snapshots(s);
	describe_disc(s);
	/* Looking at a stream would take from it what its reader wants. */
	if (!place->disk->sequential) {
		describe_tables(s);
		identify(s, place->disk, place->name, &d->contents, &d->nr_contents);
	}
	for (size_t i = 0; i < place->nr_layers; i++)
		s->layers[i].facts = s->facts[i].list;
	d->layers = s->layers;
	d->nr_layers = place->nr_layers;
	show_raw_image(s);
}

int
pl_describe(struct pl_place *place, struct platter_description **ret, struct platter_error *err)
{
	struct owned *owned = calloc(1, sizeof *owned);
	struct describer s = { .place = place };

	if (!owned)
		return pl_no_memory(err);
	s.d = &owned->description;
	s.arena = &owned->arena;
	s.layers = pl_arena_alloc(s.arena, (place->nr_layers + 1) * sizeof *s.layers);
	s.facts = pl_arena_alloc(s.arena, place->nr_layers * sizeof *s.facts);
	if (s.layers && s.facts)
		describe_all(&s);
	if (s.arena->failed) {
		pl_description_free(s.d);
		return pl_no_memory(err);
	}
	*ret = s.d;
	return 0;
}

void
pl_description_free(struct platter_description *description)
{
	struct owned *owned;

	if (!description)
		return;
	owned = pl_container_of(description, struct owned, description);
	pl_arena_done(&owned->arena);
	free(owned);
}
