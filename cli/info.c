/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * info.c - platter info: what a disk is, in plain words first, then layer by layer
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "output.h"

/* "qcow2" as people write it: QCOW2.  Words are no abbreviations. */
static char *
format_title(const char *name)
{
	static const struct {
		const char *name, *title;
	} words[] = {
		{ "raw", "raw" },
		{ "parallels", "Parallels" },
		{ "sparseimage", "sparse" },
		{ "sparsebundle", "sparse bundle" },
		{ "encrcdsa", "encrypted Apple" },
	};
	char *title = text_of("%s", name);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(name, words[i].name)) {
			free(title);
			return text_of("%s", words[i].title);
		}
	for (char *c = title; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return title;
}

/* `text` and `more` joined by `between`; frees `text`. */
static char *
joined(char *text, const char *between, const char *more)
{
	char *both = text_of("%s%s%s", text, *text ? between : "", more);

	free(text);
	return both;
}

static bool
is_file_system(const struct platter_content *c)
{
	return !strcmp(c->usage, "filesystem") && !strstr(c->longname, "file system");
}

char *
contents_text(const struct platter_content *contents, size_t nr)
{
	char *text = text_of("%s", "");

	for (size_t i = 0; i < nr; i++) {
		const struct platter_content *c = &contents[i];
		AUTOFREE char *one = *c->label ? text_of("%s \"%s\"", c->name, c->label)
					       : text_of("%s", c->name);

		text = joined(text, " or ", one);
	}
	return text;
}

/* "Linux ext4 file system "home", 3.1 GiB of 4.0 GiB free". */
static char *
content_sentence(const struct platter_content *c)
{
	char *text = text_of("%s%s", c->longname, is_file_system(c) ? " file system" : "");

	if (*c->label) {
		AUTOFREE char *label = text_of("\"%s\"", c->label);

		text = joined(text, " ", label);
	}
	if (c->free != UINT64_MAX && c->size) {
		AUTOFREE char *free_text =
			text_of("%s of %s free", size_text(c->free).text, size_text(c->size).text);

		text = joined(text, ", ", free_text);
	}
	return text;
}

/* "(version 3, zstd)": the facts that tell one image of a format from another. */
static char *
particulars(const struct platter_layer *layer)
{
	char *text = text_of("%s", "");

	for (size_t i = 0; i < layer->facts.nr_facts; i++) {
		const struct platter_fact *f = &layer->facts.facts[i];
		AUTOFREE char *one = NULL;

		if (!strcmp(f->key, "version"))
			one = f->type == PLATTER_FACT_TEXT ? text_of("version %s", f->text)
							   : text_of("version %" PRIu64, f->number);
		else if (f->type == PLATTER_FACT_TEXT &&
			 (!strcmp(f->key, "compression") || !strcmp(f->key, "subformat")))
			one = text_of("%s", f->text);
		if (one)
			text = joined(text, ", ", one);
	}
	return text;
}

/* "QCOW2 image (version 3, zstd)", with its article. */
static char *
image_text(const struct platter_layer *layer)
{
	AUTOFREE char *title = format_title(layer->name), *more = particulars(layer);

	return text_of("%s %s image%s%s%s", article(title), title, *more ? " (" : "", more,
		       *more ? ")" : "");
}

static bool
is_device(const struct platter_layer *layer)
{
	return layer->kind == PLATTER_LAYER_STORAGE && !strcmp(layer->name, "block");
}

static const char *
kind_text(enum platter_layer_kind kind)
{
	switch (kind) {
	case PLATTER_LAYER_PARTITION: return "partition";
	case PLATTER_LAYER_LOGICAL: return "logical volume";
	case PLATTER_LAYER_FILE: return "file";
	default: return "disk";
	}
}

/* What the layer at `i` says of where the disk above it is: " in a QCOW2 image". */
static char *
where_text(const struct platter_layer *layers, size_t i)
{
	const struct platter_layer *l = &layers[i];
	const struct platter_layer *below = i ? l - 1 : NULL;
	AUTOFREE char *image = NULL;

	if (l->kind == PLATTER_LAYER_PARTITION)
		return text_of(" of a %s disk", below ? size_text(below->size).text : "larger");
	if (l->kind == PLATTER_LAYER_LOGICAL)
		return text_of(" on a %s physical volume",
			       below ? size_text(below->size).text : "larger");
	if (l->kind == PLATTER_LAYER_FILE)
		return text_of(" on a %s %s", below ? size_text(below->size).text : "larger",
			       below ? kind_text(below->kind) : "disk");
	if (is_device(l))
		return text_of(" on the device %s", l->place);
	if (l->kind == PLATTER_LAYER_STORAGE)
		return text_of("%s", strcmp(l->name, "split") ? "" : " in parts");
	if (!strcmp(l->name, "raw") && below && is_device(below))
		return text_of("%s", "");
	image = image_text(l);
	if (below &&
	    (below->kind == PLATTER_LAYER_PARTITION || below->kind == PLATTER_LAYER_LOGICAL))
		return text_of(" in %s in a %s %s", image, size_text(below->size).text,
			       kind_text(below->kind));
	if (below && below->kind == PLATTER_LAYER_FILE)
		return text_of(" in %s in a file", image);
	return text_of(" in %s", image);
}

/* "A 4.0 GiB disk in a QCOW2 image (version 3), stored in 1.2 GiB." */
static void
say_what_it_is(FILE *to, const struct platter_description *d)
{
	enum platter_layer_kind top =
		d->nr_layers ? d->layers[d->nr_layers - 1].kind : PLATTER_LAYER_STORAGE;
	AUTOFREE char *stored = d->stored == UINT64_MAX
					? text_of("%s", "")
					: text_of(", stored in %s", size_text(d->stored).text);
	char *text = d->size == UINT64_MAX
			     ? text_of("A stream of unknown size")
			     : text_of("A %s %s", size_text(d->size).text, kind_text(top));

	for (size_t i = d->nr_layers; i-- > 0;) {
		AUTOFREE char *where = where_text(d->layers, i);

		text = joined(text, "", where);
	}
	say(to, "%s%s.", text, d->nr_layers && is_device(&d->layers[0]) ? "" : stored);
	free(text);
}

static size_t
count_partitions(const struct platter_table *t)
{
	size_t nr = 0;

	for (size_t i = 0; i < t->nr_partitions; i++)
		nr += t->partitions[i].role == PLATTER_PARTITION ||
		      t->partitions[i].role == PLATTER_PARTITION_LOGICAL;
	return nr;
}

void
say_what_is_on_it(FILE *to, const struct platter_description *d)
{
	for (size_t i = 0; i < d->nr_tables; i++) {
		AUTOFREE char *title = format_title(d->tables[i].name);

		say(to, "It %shas %s %s partition table with %s.", i ? "also " : "", article(title),
		    title,
		    count_text(count_partitions(&d->tables[i]), "partition", "partitions").text);
	}
	for (size_t i = 0; i < d->nr_contents; i++) {
		AUTOFREE char *what = content_sentence(&d->contents[i]);

		/* Beside a table: a hybrid disc, or what is left from before the table was made. */
		say(to, "%s %s %s.",
		    d->nr_tables ? "Its start can also be read as"
		    : i          ? "It may also hold"
				 : "It holds",
		    article(what), what);
	}
	if (d->size == UINT64_MAX)
		say(to, "It can be read only once, so nothing was looked at.");
	else if (d->nr_tables == 0 && d->nr_contents == 0)
		say(to, "It has no partition table and no file system that platter knows.");
}

static size_t
count_warnings_of(const struct platter_content *c)
{
	size_t nr = c->facts.nr_warnings;

	for (size_t i = 0; i < c->nr_volumes; i++)
		for (size_t k = 0; k < c->volumes[i].nr_contents; k++)
			nr += count_warnings_of(&c->volumes[i].contents[k]);
	return nr;
}

static size_t
count_warnings(const struct platter_description *d)
{
	size_t nr = 0;

	for (size_t i = 0; i < d->nr_layers; i++)
		nr += d->layers[i].facts.nr_warnings;
	for (size_t i = 0; i < d->nr_chain; i++)
		nr += d->chain[i].facts.nr_warnings;
	for (size_t i = 0; i < d->nr_contents; i++)
		nr += count_warnings_of(&d->contents[i]);
	for (size_t i = 0; i < d->nr_tables; i++) {
		nr += d->tables[i].facts.nr_warnings;
		for (size_t p = 0; p < d->tables[i].nr_partitions; p++)
			for (size_t c = 0; c < d->tables[i].partitions[p].nr_contents; c++)
				nr += count_warnings_of(&d->tables[i].partitions[p].contents[c]);
	}
	return nr;
}

static void
say_summary(FILE *to, const struct platter_description *d)
{
	say_what_it_is(to, d);
	if (d->nr_chain)
		say(to, "What it does not hold itself comes from %s.",
		    count_text(d->nr_chain, "backing file", "backing files").text);
	if (d->nr_snapshots)
		say(to, "It holds %s.", count_text(d->nr_snapshots, "snapshot", "snapshots").text);
	say_what_is_on_it(to, d);
}

/* One line of details; the label gets its capital here, since drivers may write it either way. */
PRINTF(2, 3) static void say_detail(const char *label, const char *format, ...)
{
	AUTOFREE char *value = NULL;
	va_list args;

	va_start(args, format);
	value = format_text(format, args);
	va_end(args);
	say(stdout, "    %c%-25s %s", toupper((unsigned char)label[0]), label + (*label != '\0'),
	    value);
}

static void
say_fact(const struct platter_fact *f)
{
	switch (f->type) {
	case PLATTER_FACT_TEXT: say_detail(f->label, "%s", f->text); break;
	case PLATTER_FACT_SIZE: say_detail(f->label, "%s", exact_size_text(f->number).text); break;
	case PLATTER_FACT_FLAG: say_detail(f->label, "%s", f->number ? "yes" : "no"); break;
	case PLATTER_FACT_TIME:
		say_detail(f->label, "%s", time_text((int64_t)f->number).text);
		break;
	default: say_detail(f->label, "%" PRIu64, f->number); break;
	}
}

static void
say_facts(const struct platter_facts *facts)
{
	for (size_t i = 0; i < facts->nr_facts; i++)
		if (strcmp(facts->facts[i].key, LICENSE_KEY) != 0)
			say_fact(&facts->facts[i]);
	for (size_t i = 0; i < facts->nr_warnings; i++)
		say(stdout, "    WARNING: %s", facts->warnings[i]);
}

static bool
has_fact(const struct platter_facts *facts, const char *key)
{
	for (size_t i = 0; i < facts->nr_facts; i++)
		if (!strcmp(facts->facts[i].key, key))
			return true;
	return false;
}

const char *
track_mode_name(enum platter_track_mode mode)
{
	static const char *const names[] = { "audio", "mode0", "mode1", "mode2" };

	return names[mode];
}

/* Time of `sectors` of a CD: "04:31.12". */
static char *
playing_time(uint64_t sectors)
{
	return text_of("%02" PRIu64 ":%02" PRIu64 ".%02" PRIu64, sectors / 4500, sectors / 75 % 60,
		       sectors % 75 * 4 / 3);
}

/* "Title, by performer", with a blank before it; or nothing. */
static char *
title_text(const struct platter_disc_text *text)
{
	return text_of("%s%s%s%s", *text->title ? "  " : "", text->title,
		       *text->performer ? (*text->title ? ", by " : "  by ") : "", text->performer);
}

static void
say_track(const struct platter_track *t, bool is_cd)
{
	AUTOFREE char *title = title_text(&t->text);
	AUTOFREE char *time = is_cd ? playing_time(t->length) : text_of("%s", "");

	say(stdout,
	    "  %7" PRIu32 " %7" PRIu32 "  %-6s %10" PRId64 " %10" PRIu64 " %9s %7" PRIu64 "%s%s%s",
	    t->number, t->session, track_mode_name(t->mode), t->start, t->length, time, t->pregap,
	    *t->isrc ? "  ISRC " : "", t->isrc, title);
}

static void
say_disc(const struct platter_disc *d)
{
	AUTOFREE char *title = title_text(&d->text);
	bool is_cd = !strcmp(d->medium, "CD");

	putchar('\n');
	say(stdout, "Tracks of the %s%s (PLACE?disk=NUMBER opens one; in sectors)", d->medium,
	    title);
	say(stdout, "  %7s %7s  %-6s %10s %10s %9s %7s", "Track", "Session", "Mode", "Start",
	    "Length", is_cd ? "Time" : "", "Pregap");
	for (size_t i = 0; i < d->nr_tracks; i++)
		say_track(&d->tracks[i], is_cd);
	for (size_t i = 0; i < d->nr_sessions; i++)
		say(stdout, "  Lead-out of session %" PRIu32 " at %" PRId64, d->sessions[i].number,
		    d->sessions[i].end);
}

static void
say_layers(const char *title, const struct platter_layer *layers, size_t nr)
{
	putchar('\n');
	say(stdout, "%s", title);
	for (size_t i = 0; i < nr; i++) {
		const struct platter_layer *l = &layers[i];

		say(stdout, "  %s: %s", l->longname, l->place);
		if (l->size != UINT64_MAX && !has_fact(&l->facts, "size"))
			say_detail("Size", "%s", exact_size_text(l->size).text);
		say_facts(&l->facts);
		if (l->backing)
			say_detail("Backing file", "%s", l->backing);
	}
}

void
print_snapshots(const struct platter_description *d, const char *indent)
{
	static const char *const headings[] = { ">ID", "Name", "When", ">Size", ">Memory" };
	struct table t;

	table_init(&t, headings, ARRAY_SIZE(headings));
	for (size_t i = 0; i < d->nr_snapshots; i++) {
		const struct platter_snapshot *s = &d->snapshots[i];

		table_cell(&t, "%s", s->id);
		table_cell(&t, "%s", s->name);
		table_cell(&t, "%s", time_text(s->seconds).text);
		table_cell(&t, "%s", size_text(s->size).text);
		table_cell(&t, "%s", s->vm_state_size ? size_text(s->vm_state_size).text : "");
	}
	table_print(&t, stdout, indent);
}

/* A line of a partition table: a partition, or the gap between two. */
struct row {
	uint64_t offset, length;
	const struct platter_partition *partition; /* NULL: a gap */
};

static int
compare_rows(const void *a, const void *b)
{
	const struct row *p = a, *q = b;

	if (p->offset != q->offset)
		return p->offset < q->offset ? -1 : 1;
	/* What contains others stands in front of them. */
	if (p->length != q->length)
		return p->length > q->length ? -1 : 1;
	return p->partition < q->partition ? -1 : p->partition > q->partition;
}

static struct row *
rows_of(const struct platter_table *t, size_t *ret_nr)
{
	struct row *rows = grown(NULL, t->nr_partitions + t->nr_gaps + 1, sizeof *rows);
	size_t nr = 0;

	for (size_t i = 0; i < t->nr_partitions; i++)
		rows[nr++] = (struct row){ t->partitions[i].offset, t->partitions[i].length,
					   &t->partitions[i] };
	for (size_t i = 0; i < t->nr_gaps; i++)
		rows[nr++] = (struct row){ t->gaps[i].offset, t->gaps[i].length, NULL };
	qsort(rows, nr, sizeof *rows, compare_rows);
	*ret_nr = nr;
	return rows;
}

/* Containers and the table's own entries are left out: their room is drawn by what is in it. */
static void
draw_table(const struct platter_table *t, const struct row *rows, size_t nr)
{
	struct bar_part *parts = grown(NULL, nr + 1, sizeof *parts);
	size_t nr_parts = 0;

	for (size_t i = 0; i < nr; i++) {
		const struct platter_partition *p = rows[i].partition;
		AUTOFREE char *contents = p ? contents_text(p->contents, p->nr_contents) : NULL;
		char *label = NULL;

		if (p &&
		    (p->role == PLATTER_PARTITION_EXTENDED || p->role == PLATTER_PARTITION_META))
			continue;
		if (p && p->role != PLATTER_PARTITION_FREE)
			label = text_of("%" PRIu32 "%s%s", p->number, *contents ? " " : "",
					contents);
		/* The alignment gaps that every table has say nothing. */
		if (!label && rows[i].length < t->size / 100)
			continue;
		parts[nr_parts++] = (struct bar_part){ rows[i].offset, rows[i].length, label };
	}
	bar_print(stdout, "  ", t->size, parts, nr_parts);
}

static void
add_type(struct table *t, const struct platter_partition *p)
{
	if (!strcmp(p->type_name, "unknown type"))
		table_cell(t, "unknown type %s", p->type);
	else
		table_cell(t, "%s", p->type_name);
}

static void
add_row(struct table *t, const struct row *row, uint32_t unit)
{
	const struct platter_partition *p = row->partition;
	AUTOFREE char *contents = p ? contents_text(p->contents, p->nr_contents) : NULL;

	if (p && p->number)
		table_cell(t, "%" PRIu32, p->number);
	else
		table_cell(t, "-");
	table_cell(t, "%" PRIu64, row->offset / unit);
	table_cell(t, "%" PRIu64, row->length / unit);
	table_cell(t, "%s", size_text(row->length).text);
	if (p)
		add_type(t, p);
	else
		table_cell(t, "(free)");
	table_cell(t, "%s", contents ? contents : "");
	table_cell(t, "%s", p ? p->name : "");
	table_cell(t, "%s", p ? p->flags : "");
}

static void say_content(const char *number, const struct platter_content *c);

/* The logical volumes as a table, then what is on each. */
static void
say_volumes(const struct platter_content *c)
{
	static const char *const headings[] = { "Volume", ">Size", "Type",  "Contents",
						">Used",  ">Free", "Place", "" };
	struct table t;

	table_init(&t, headings, ARRAY_SIZE(headings));
	for (size_t i = 0; i < c->nr_volumes; i++) {
		const struct platter_logical_volume *v = &c->volumes[i];
		const struct platter_content *on = v->nr_contents ? v->contents : NULL;
		AUTOFREE char *contents = contents_text(v->contents, v->nr_contents);
		bool counted = on && on->free != UINT64_MAX && on->free <= on->size;

		table_cell(&t, "%s", v->name);
		table_cell(&t, "%s", size_text(v->size).text);
		table_cell(&t, "%s", v->type);
		if (*v->table)
			table_cell(&t, "%s table, %s", v->table,
				   count_text(v->nr_partitions, "partition", "partitions").text);
		else
			table_cell(&t, "%s", contents);
		table_cell(&t, "%s", counted ? size_text(on->size - on->free).text : "");
		table_cell(&t, "%s", counted ? size_text(on->free).text : "");
		table_cell(&t, "%s", v->place);
		table_cell(&t, "%s", v->reason);
	}
	table_print(&t, stdout, "    ");
	for (size_t i = 0; i < c->nr_volumes; i++) {
		AUTOFREE char *name = text_of("Logical volume %s", c->volumes[i].name);

		for (size_t k = 0; k < c->volumes[i].nr_contents; k++)
			say_content(name, &c->volumes[i].contents[k]);
	}
}

static void
say_content(const char *number, const struct platter_content *c)
{
	AUTOFREE char *what = content_sentence(c);

	say(stdout, "  %s%s%s", number, *number ? ": " : "", what);
	if (*c->uuid)
		say_detail("UUID", "%s", c->uuid);
	if (c->size)
		say_detail("Size", "%s", exact_size_text(c->size).text);
	if (c->free != UINT64_MAX)
		say_detail("Free", "%s", exact_size_text(c->free).text);
	if (c->block_size)
		say_detail("Block size", "%s", exact_size_text(c->block_size).text);
	say_facts(&c->facts);
	if (c->nr_volumes)
		say_volumes(c);
}

static void
say_partitions(const struct platter_table *t)
{
	for (size_t i = 0; i < t->nr_partitions; i++) {
		const struct platter_partition *p = &t->partitions[i];
		AUTOFREE char *number = text_of("Partition %" PRIu32, p->number);

		for (size_t c = 0; c < p->nr_contents; c++)
			say_content(number, &p->contents[c]);
		if (!*p->uuid || p->number == 0)
			continue;
		if (p->nr_contents == 0)
			say(stdout, "  %s", number);
		say_detail("Partition GUID", "%s", p->uuid);
	}
}

static void
print_table(const struct platter_table *t)
{
	static const char *const headings[] = { ">No",  ">Start",   ">Sectors", ">Size",
						"Type", "Contents", "Name",     "Flags" };
	uint32_t unit = t->sector_size ? t->sector_size : 512;
	struct table table;
	size_t nr;
	AUTOFREE struct row *rows = rows_of(t, &nr);

	putchar('\n');
	say(stdout, "%s, sectors of %" PRIu32 " bytes", t->longname, unit);
	if (*t->uuid)
		say_detail("Identifier", "%s", t->uuid);
	say_facts(&t->facts);
	draw_table(t, rows, nr);
	table_init(&table, headings, ARRAY_SIZE(headings));
	for (size_t i = 0; i < nr; i++)
		add_row(&table, &rows[i], unit);
	if (nr)
		table_print(&table, stdout, "  ");
	say_partitions(t);
}

static void
print_description(const struct platter_description *d)
{
	size_t nr_warnings = count_warnings(d);

	say(stdout, "%s", d->place);
	say_summary(stdout, d);
	if (nr_warnings)
		say(stdout, "WARNING: not all is as it should be: %s below.",
		    count_text(nr_warnings, "warning", "warnings").text);
	say_layers("Layers", d->layers, d->nr_layers);
	if (d->sector_size)
		say_detail("Sectors", "%" PRIu32 " bytes, physical %" PRIu32, d->sector_size,
			   d->physical_sector_size);
	if (d->nr_chain)
		say_layers("Backing files, nearest first", d->chain, d->nr_chain);
	if (d->disc)
		say_disc(d->disc);
	if (d->nr_snapshots) {
		putchar('\n');
		say(stdout, "Snapshots (PLACE?snapshot=NAME opens one)");
		print_snapshots(d, "  ");
	}
	for (size_t i = 0; i < d->nr_tables; i++)
		print_table(&d->tables[i]);
	if (d->nr_contents)
		fputs("\nContents\n", stdout);
	for (size_t i = 0; i < d->nr_contents; i++)
		say_content("", &d->contents[i]);
}

static void
print_license(const struct platter_description *d)
{
	bool found = false;

	for (size_t i = 0; i < d->nr_layers; i++)
		for (size_t k = 0; k < d->layers[i].facts.nr_facts; k++) {
			const struct platter_fact *f = &d->layers[i].facts.facts[k];

			if (strcmp(f->key, LICENSE_KEY) != 0)
				continue;
			if (!found)
				fputs("\nLicence agreement\n", stdout);
			found = true;
			say(stdout, "  %s", f->text);
		}
	if (!found)
		fputs("\nThere is no licence agreement.\n", stdout);
}

static int
describe(const struct arguments *args, const char *place, struct platter_description **ret,
	 struct platter_error *err)
{
	struct platter_disk *disk;
	int r = try_open(args, place, &disk, err);

	if (r < 0)
		return r;
	r = platter_describe(disk, ret, err);
	platter_close(disk);
	return r;
}

/* With --json the disk's object goes to `disks`; else it is told at once. */
static int
info(const struct arguments *args, const char *place, json_t *disks)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	bool license = args->option[OPT_LICENSE].given;
	struct platter_lost *lost = NULL;
	struct platter_description *d;
	int r = describe(args, place, &d, &err);

	if (r == 0 && args->option[OPT_LOST].given) {
		r = find_lost(args, place, &lost, &err);
		if (r < 0)
			platter_description_free(d);
	}
	if (r < 0) {
		if (!disks)
			return report(args, &err, "cannot open '%s'", place);
		json_t *one = json_object();

		json_put(one, "place", json_text(place));
		json_put(one, "error", json_error(&err, "cannot open"));
		json_array_append_new(disks, one);
		return STATUS_FAILED;
	}
	if (disks) {
		json_t *one = json_description(d, license);

		if (lost)
			json_put(one, "lost", json_lost(lost));
		json_array_append_new(disks, one);
	} else if (!args->option[OPT_QUIET].given) {
		print_description(d);
		if (lost)
			say_lost(place, lost);
	}
	platter_lost_free(lost);
	if (!disks && license && !args->option[OPT_QUIET].given)
		print_license(d);
	platter_description_free(d);
	return STATUS_DONE;
}

int
command_info(const struct arguments *args)
{
	json_t *disks = args->json ? json_array() : NULL;
	int worst = STATUS_DONE;

	for (size_t i = 0; i < args->nr_operands; i++) {
		int status;

		if (i && !disks && !args->option[OPT_QUIET].given)
			putchar('\n');
		status = info(args, args->operands[i], disks);
		worst = status > worst ? status : worst;
	}
	if (disks) {
		json_t *answer = json_answer(args);

		json_put(answer, "disks", disks);
		json_print(answer, stdout);
	}
	return worst;
}
