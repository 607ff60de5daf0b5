/* SPDX-License-Identifier: GPL-3.0-or-later */
/* info-json.c - the description of a disk as a JSON object: docs/json.md, "info" */
#include <inttypes.h>

#include "commands.h"
#include "output.h"

static json_t *
json_warnings(const struct platter_facts *facts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < facts->nr_warnings; i++)
		json_array_append_new(array, json_text(facts->warnings[i]));
	return array;
}

static json_t *
json_logical(const struct platter_logical_volume *v)
{
	json_t *one = json_object(), *table = json_null();

	if (*v->table) {
		table = json_object();
		json_put(table, "name", json_text(v->table));
		json_put(table, "partitions", json_number(v->nr_partitions));
	}
	json_put(one, "name", json_text(v->name));
	json_put(one, "uuid", json_text(v->uuid));
	json_put(one, "type", json_text(v->type));
	json_put(one, "size", json_number(v->size));
	json_put(one, "place", json_text(*v->place ? v->place : NULL));
	json_put(one, "reason", json_text(*v->reason ? v->reason : NULL));
	json_put(one, "table", table);
	json_put(one, "contents", json_contents(v->contents, v->nr_contents));
	return one;
}

static json_t *
json_content(const struct platter_content *c)
{
	json_t *one = json_object(), *volumes = json_array();

	for (size_t i = 0; i < c->nr_volumes; i++)
		json_array_append_new(volumes, json_logical(&c->volumes[i]));
	json_put(one, "name", json_text(c->name));
	json_put(one, "description", json_text(c->longname));
	json_put(one, "usage", json_text(c->usage));
	json_put(one, "label", json_text(c->label));
	json_put(one, "uuid", json_text(c->uuid));
	json_put(one, "size", c->size ? json_number(c->size) : json_null());
	json_put(one, "free", json_number(c->free));
	json_put(one, "block_size", c->block_size ? json_number(c->block_size) : json_null());
	json_put(one, "facts", json_facts(&c->facts));
	json_put(one, "warnings", json_warnings(&c->facts));
	json_put(one, "volumes", volumes);
	return one;
}

json_t *
json_contents(const struct platter_content *contents, size_t nr)
{
	json_t *array = json_array();

	for (size_t i = 0; i < nr; i++)
		json_array_append_new(array, json_content(&contents[i]));
	return array;
}

json_t *
json_partition(const struct platter_partition *p)
{
	static const char *const roles[] = { "partition", "extended", "logical", "meta", "free" };
	json_t *one = json_object();
	AUTOFREE char *raw_flags = text_of("0x%" PRIx64, p->raw_flags);

	json_put(one, "number", p->number ? json_number(p->number) : json_null());
	json_put(one, "role", json_text(roles[p->role]));
	json_put(one, "offset", json_number(p->offset));
	json_put(one, "length", json_number(p->length));
	json_put(one, "type", json_text(p->type));
	json_put(one, "type_name", json_text(p->type_name));
	json_put(one, "name", json_text(p->name));
	json_put(one, "uuid", json_text(p->uuid));
	json_put(one, "flags", json_text(p->flags));
	json_put(one, "raw_flags", json_text(raw_flags));
	json_put(one, "contents", json_contents(p->contents, p->nr_contents));
	return one;
}

static json_t *
json_table(const struct platter_table *t)
{
	json_t *one = json_object(), *partitions = json_array(), *gaps = json_array();

	for (size_t i = 0; i < t->nr_partitions; i++)
		json_array_append_new(partitions, json_partition(&t->partitions[i]));
	for (size_t i = 0; i < t->nr_gaps; i++) {
		json_t *gap = json_object();

		json_put(gap, "offset", json_number(t->gaps[i].offset));
		json_put(gap, "length", json_number(t->gaps[i].length));
		json_array_append_new(gaps, gap);
	}
	json_put(one, "name", json_text(t->name));
	json_put(one, "description", json_text(t->longname));
	json_put(one, "uuid", json_text(t->uuid));
	json_put(one, "size", json_number(t->size));
	json_put(one, "sector_size", json_number(t->sector_size));
	json_put(one, "facts", json_facts(&t->facts));
	json_put(one, "warnings", json_warnings(&t->facts));
	json_put(one, "partitions", partitions);
	json_put(one, "gaps", gaps);
	return one;
}

static json_t *
json_layer_facts(const struct platter_layer *l, bool license)
{
	json_t *facts = json_facts(&l->facts);

	if (!license)
		json_object_del(facts, LICENSE_KEY);
	return facts;
}

static json_t *
json_layers(const struct platter_layer *layers, size_t nr, bool license)
{
	static const char *const kinds[] = { "storage", "format", "partition", "file", "logical" };
	json_t *array = json_array();

	for (size_t i = 0; i < nr; i++) {
		const struct platter_layer *l = &layers[i];
		json_t *one = json_object();

		json_put(one, "kind", json_text(kinds[l->kind]));
		json_put(one, "name", json_text(l->name));
		json_put(one, "description", json_text(l->longname));
		json_put(one, "place", json_text(l->place));
		json_put(one, "size", json_number(l->size));
		json_put(one, "backing", json_text(l->backing));
		json_put(one, "facts", json_layer_facts(l, license));
		json_put(one, "warnings", json_warnings(&l->facts));
		json_array_append_new(array, one);
	}
	return array;
}

json_t *
json_snapshots(const struct platter_description *d)
{
	const struct platter_snapshot *snapshots = d->snapshots;
	json_t *array = json_array();

	for (size_t i = 0; i < d->nr_snapshots; i++) {
		json_t *one = json_object();

		json_put(one, "id", json_text(snapshots[i].id));
		json_put(one, "name", json_text(snapshots[i].name));
		json_put(one, "size", json_number(snapshots[i].size));
		json_put(one, "seconds", json_integer(snapshots[i].seconds));
		json_put(one, "vm_state_size", json_number(snapshots[i].vm_state_size));
		json_array_append_new(array, one);
	}
	return array;
}

static json_t *
json_disc_text(const struct platter_disc_text *text)
{
	json_t *one = json_object();

	json_put(one, "title", json_text(text->title));
	json_put(one, "performer", json_text(text->performer));
	json_put(one, "songwriter", json_text(text->songwriter));
	json_put(one, "composer", json_text(text->composer));
	json_put(one, "arranger", json_text(text->arranger));
	json_put(one, "message", json_text(text->message));
	json_put(one, "genre", json_text(text->genre));
	return one;
}

static json_t *
json_track(const struct platter_track *t)
{
	json_t *one = json_object(), *indexes = json_array();

	for (size_t i = 0; i < t->nr_indexes; i++)
		json_array_append_new(indexes, json_integer(t->indexes[i]));
	json_put(one, "number", json_number(t->number));
	json_put(one, "session", json_number(t->session));
	json_put(one, "mode", json_text(track_mode_name(t->mode)));
	json_put(one, "start", json_integer(t->start));
	json_put(one, "pregap", json_number(t->pregap));
	json_put(one, "length", json_number(t->length));
	json_put(one, "indexes", indexes);
	json_put(one, "preemphasis", json_boolean(t->flags & PLATTER_TRACK_PREEMPHASIS));
	json_put(one, "copy", json_boolean(t->flags & PLATTER_TRACK_COPY));
	json_put(one, "four_channels", json_boolean(t->flags & PLATTER_TRACK_FOUR_CHANNELS));
	json_put(one, "isrc", json_text(t->isrc));
	json_put(one, "stored_bytes", json_number(t->stored_bytes));
	json_put(one, "stored_subchannel", json_number(t->stored_subchannel));
	json_put(one, "text", json_disc_text(&t->text));
	return one;
}

static json_t *
json_disc(const struct platter_disc *d)
{
	json_t *one, *sessions, *tracks;

	if (!d)
		return json_null();
	one = json_object();
	sessions = json_array();
	tracks = json_array();
	for (size_t i = 0; i < d->nr_sessions; i++) {
		const struct platter_session *s = &d->sessions[i];
		json_t *session = json_object();

		json_put(session, "number", json_number(s->number));
		json_put(session, "start", json_integer(s->start));
		json_put(session, "end", json_integer(s->end));
		json_put(session, "first_track", json_number(s->first_track));
		json_put(session, "last_track", json_number(s->last_track));
		json_array_append_new(sessions, session);
	}
	for (size_t i = 0; i < d->nr_tracks; i++)
		json_array_append_new(tracks, json_track(&d->tracks[i]));
	json_put(one, "medium", json_text(d->medium));
	json_put(one, "mcn", json_text(d->mcn));
	json_put(one, "text", json_disc_text(&d->text));
	json_put(one, "sessions", sessions);
	json_put(one, "tracks", tracks);
	return one;
}

json_t *
json_tables(const struct platter_description *d)
{
	json_t *tables = json_array();

	for (size_t i = 0; i < d->nr_tables; i++)
		json_array_append_new(tables, json_table(&d->tables[i]));
	return tables;
}

json_t *
json_description(const struct platter_description *d, bool license)
{
	json_t *one = json_object();

	json_put(one, "place", json_text(d->place));
	json_put(one, "format", json_null());
	for (size_t i = 0; i < d->nr_layers; i++)
		if (d->layers[i].kind == PLATTER_LAYER_FORMAT)
			json_put(one, "format", json_text(d->layers[i].name));
	json_put(one, "size", json_number(d->size));
	json_put(one, "stored", json_number(d->stored));
	json_put(one, "sector_size", json_number(d->sector_size));
	json_put(one, "physical_sector_size", json_number(d->physical_sector_size));
	json_put(one, "layers", json_layers(d->layers, d->nr_layers, license));
	json_put(one, "chain", json_layers(d->chain, d->nr_chain, license));
	json_put(one, "snapshots", json_snapshots(d));
	json_put(one, "disc", json_disc(d->disc));
	json_put(one, "tables", json_tables(d));
	json_put(one, "contents", json_contents(d->contents, d->nr_contents));
	return one;
}
