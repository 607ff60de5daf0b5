/* SPDX-License-Identifier: GPL-3.0-or-later */
/* df.c - platter df: how full the file systems inside are */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "files.h"

/* In the order of enum platter_volume_state. */
static const char *const states[] = { "unknown", "clean", "dirty", "recovered", "hibernated" };

struct filling {
	const struct arguments *args;
	struct table table;
	json_t *volumes; /* with --json */
	size_t nr;
};

static void
cell_of_size(struct table *t, uint64_t bytes)
{
	table_cell(t, "%s", bytes == UINT64_MAX ? "-" : size_text(bytes).text);
}

static void
add_row(struct filling *f, const char *place, const struct platter_space *s)
{
	struct table *t = &f->table;

	table_cell(t, "%s", place);
	table_cell(t, "%s", s->content);
	cell_of_size(t, s->size);
	cell_of_size(t, s->used);
	cell_of_size(t, s->free);
	if (s->used == UINT64_MAX || !s->size)
		table_cell(t, "%s", "-");
	else
		table_cell(t, "%.0f %%", 100.0 * (double)s->used / (double)s->size);
	table_cell(t, "%s", states[s->state]);
}

static void
add_json(struct filling *f, const char *place, const struct platter_space *s)
{
	json_t *one = json_object();

	json_put(one, "place", json_text(place));
	json_put(one, "content", json_text(s->content));
	json_put(one, "size", json_number(s->size));
	json_put(one, "used", json_number(s->used));
	json_put(one, "free", json_number(s->free));
	json_put(one, "block_size", json_number(s->block_size));
	json_put(one, "state", json_text(states[s->state]));
	json_array_append_new(f->volumes, one);
}

/* The volume at `place`; 0 if there is none there, or it has been told. */
static int
add_volume(struct filling *f, const char *place, struct platter_error *err)
{
	struct platter_volume *volume;
	struct platter_space space;
	int r = try_volume(f->args, place, &volume, err);

	if (r < 0)
		return r;
	r = platter_volume_space(volume, &space, err);
	if (r == 0) {
		f->nr++;
		if (f->volumes)
			add_json(f, place, &space);
		else
			add_row(f, place, &space);
	}
	platter_volume_close(volume);
	return r;
}

/* A disk, its partitions, their logical volumes, partitions of those. */
#define MAX_LEVELS 4

static void add_parts(struct filling *f, const char *place, const struct platter_description *d,
		      unsigned level);

/* What holds no files is no file system, or one that is not read; it may hold others. */
static void
add_part(struct filling *f, const char *place, bool divided, unsigned level)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_description *d;
	struct platter_disk *disk;

	if (add_volume(f, place, &err) == 0 || !divided || level == MAX_LEVELS ||
	    try_open(f->args, place, &disk, &err) < 0)
		return;
	if (platter_describe(disk, &d, &err) == 0) {
		add_parts(f, place, d, level);
		platter_description_free(d);
	}
	platter_close(disk);
}

static void
add_parts(struct filling *f, const char *place, const struct platter_description *d, unsigned level)
{
	for (size_t i = 0; d->nr_tables && i < d->tables[0].nr_partitions; i++) {
		const struct platter_partition *p = &d->tables[0].partitions[i];
		AUTOFREE char *inside = text_of("%s@%" PRIu32, place, p->number);

		if (p->number)
			add_part(f, inside, p->nr_contents && p->contents[0].nr_volumes, level + 1);
	}
	for (size_t i = 0; d->nr_contents && i < d->contents[0].nr_volumes; i++) {
		const struct platter_logical_volume *v = &d->contents[0].volumes[i];

		if (*v->place)
			add_part(f, v->place, *v->table, level + 1);
	}
}

/* Every partition and logical volume of a disk whose files are read. */
static int
add_partitions(struct filling *f, const char *place)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_description *d;
	struct platter_disk *disk;

	if (open_operand(f->args, place, &disk) < 0)
		return STATUS_FAILED;
	if (platter_describe(disk, &d, &err) < 0) {
		platter_close(disk);
		return report(f->args, &err, "cannot describe '%s'", place);
	}
	add_parts(f, place, d, 0);
	platter_description_free(d);
	platter_close(disk);
	return STATUS_DONE;
}

static int
add_place(struct filling *f, const char *place)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	size_t before = f->nr;
	int r = add_volume(f, place, &err), status;

	if (r == 0)
		return STATUS_DONE;
	if (r != -ENOTSUP)
		return report(f->args, &err, "cannot look into '%s'", place);
	status = add_partitions(f, place);
	if (status == STATUS_DONE && f->nr == before)
		return report(f->args, &err, "cannot look into '%s'", place);
	return status;
}

int
command_df(const struct arguments *args)
{
	static const char *const headings[] = { "Place", "Holds", ">Size", ">Used",
						">Free", ">Used", "State" };
	struct filling f = { .args = args, .volumes = args->json ? json_array() : NULL };
	int worst = STATUS_DONE;

	table_init(&f.table, headings, ARRAY_SIZE(headings));
	for (size_t i = 0; i < args->nr_operands; i++) {
		int status = add_place(&f, args->operands[i]);

		worst = status ? status : worst;
	}
	if (!args->json) {
		table_print(&f.table, stdout, "");
	} else if (worst == STATUS_DONE) {
		json_t *answer = json_answer(args);

		json_put(answer, "volumes", f.volumes);
		json_print(answer, stdout);
	} else {
		json_decref(f.volumes);
	}
	return worst;
}
