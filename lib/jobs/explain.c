/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * explain.c - what a disk and its parts are for, and whether data of people is on them
 *
 * Clues are gathered from the partition table, superblocks and, in file systems that can be read,
 * from paths that rules ask for; then the rules are gone through.  What is nested is gone into by
 * the same way: partitions, logical volumes, and disk images in files that a rule names.
 */
#include "explain.h"

#include <ctype.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>

#include "content.h"
#include "format.h"
#include "group.h"
#include "scheme.h"
#include "text.h"
#include "tree.h"

/* Disks in files in file systems: no real layout has more. */
#define MAX_NESTED 4

/* Parts of one disk that are explained; more are no layout that people made. */
#define MAX_PARTS 128

/* Names of a top folder that become clues, and folders of people that are named. */
#define MAX_ENTRIES 256
#define MAX_PEOPLE  8

struct explainer {
	struct pl_arena *arena;
	unsigned flags;
	unsigned depth;
};

/* A thing that is being explained. */
struct subject {
	struct explainer *x;
	struct pl_disk *disk;
	const char *place;
	bool is_partition; /* of a table: no other is looked for on it */
	struct pl_clues clues;
	struct platter_explained *ret;
	struct platter_explained *parts;
	size_t nr_parts;
	bool reads_files;
	size_t nr_files;   /* names in the top folder that no system put there */
	const char *files; /* some of them, in words */
};

void
pl_clue_add(struct pl_clues *c, enum pl_clue_kind kind, const char *value, const char *shown)
{
	if (c->nr == c->capacity) {
		size_t capacity = 2 * c->capacity + 16;
		struct pl_clue *list = pl_arena_alloc(c->arena, capacity * sizeof *list);

		if (!list)
			return;
		if (c->nr)
			memcpy(list, c->list, c->nr * sizeof *list);
		c->list = list;
		c->capacity = capacity;
	}
	c->list[c->nr++] = (struct pl_clue){ kind, pl_arena_strdup(c->arena, value),
					     shown ? pl_arena_strdup(c->arena, shown) : NULL };
}

/* The index-th of "a|b|c" in `ret`; false past the last. */
static bool
alternative(const char *patterns, size_t index, char *ret, size_t n)
{
	size_t length;

	for (; index; index--) {
		patterns = strchr(patterns, '|');
		if (!patterns)
			return false;
		patterns++;
	}
	length = strcspn(patterns, "|");
	if (length >= n)
		return false;
	memcpy(ret, patterns, length);
	ret[length] = '\0';
	return true;
}

static const struct pl_clue *
find_clue(const struct pl_clues *c, const struct pl_condition *condition)
{
	char pattern[256];

	for (size_t p = 0; alternative(condition->patterns, p, pattern, sizeof pattern); p++)
		for (size_t i = 0; i < c->nr; i++)
			if (c->list[i].kind == condition->kind &&
			    fnmatch(pattern, c->list[i].value, FNM_CASEFOLD) == 0)
				return &c->list[i];
	return NULL;
}

/* How a clue is told as a reason; "%s" is what it says. */
static const char *const reasons[] = {
	[PL_CLUE_TYPE] = "its partition type is %s",
	[PL_CLUE_NAME] = "the partition table calls it '%s'",
	[PL_CLUE_CONTENT] = "it holds %s",
	[PL_CLUE_LABEL] = "its volume is called '%s'",
	[PL_CLUE_PATH] = "it has '/%s'",
	[PL_CLUE_ENTRY] = "it has '/%s'",
	[PL_CLUE_PEOPLE] = "it has the folder '/%s'",
	[PL_CLUE_BESIDE] = "on the same disk is a partition of type %s",
	[PL_CLUE_TABLE] = "it has %s",
	[PL_CLUE_FORMAT] = "its format is %s",
	[PL_CLUE_EMPTY] = "no file is on it%s",
	[PL_CLUE_KIND] = "it is %s",
	[PL_CLUE_NATURE] = "it is %s",
	[PL_CLUE_BUS] = "it is attached by %s",
	[PL_CLUE_MAKER] = "it calls itself '%s'",
	[PL_CLUE_DRIVER] = "the kernel made it: %s",
	[PL_CLUE_BACKING] = "it shows '%s'",
};

static void
add_reason(struct pl_str *s, const struct pl_clue *clue)
{
	const char *what = clue->shown ? clue->shown : clue->value;
	const char *format = clue->kind < ARRAY_SIZE(reasons) ? reasons[clue->kind] : NULL;
	const char *hole = format ? strstr(format, "%s") : NULL;

	if (!hole)
		return;
	if (s->length)
		pl_str_add(s, ", and ");
	pl_str_add_bytes(s, format, (size_t)(hole - format));
	pl_str_add(s, what);
	pl_str_add(s, hole + 2);
}

bool
pl_clues_meet(const struct pl_clues *clues, const struct pl_condition *when,
	      const char **ret_because)
{
	const struct pl_clue *met[PL_MAX_CONDITIONS];
	struct pl_str because = { 0 };
	size_t nr = 0;

	for (; nr < PL_MAX_CONDITIONS && when[nr].kind != PL_CLUE_NONE; nr++) {
		met[nr] = find_clue(clues, &when[nr]);
		if (!met[nr])
			return false;
	}
	if (!ret_because)
		return true;
	for (size_t i = 0; i < nr; i++)
		add_reason(&because, met[i]);
	*ret_because = pl_arena_strdup(clues->arena, because.text ? because.text : "");
	pl_str_done(&because);
	return true;
}

static bool
is_listed(const char *const *list, const char *name)
{
	for (; *list; list++)
		if (fnmatch(*list, name, FNM_CASEFOLD) == 0)
			return true;
	return false;
}

/* Types of an MBR are bytes: "0x07", apart from the numbers of other tables. */
static const char *
type_code(struct subject *s, const struct platter_table *t, const struct platter_partition *p)
{
	return strcmp(t->name, "mbr") == 0 ? pl_arena_format(s->x->arena, "0x%s", p->type)
					   : p->type;
}

static void
add_entry_clues(struct subject *s, const struct platter_table *t,
		const struct platter_partition *entry)
{
	const char *type = type_code(s, t, entry);

	pl_clue_add(&s->clues, PL_CLUE_TYPE, type,
		    pl_arena_format(s->x->arena, "%s (%s)", type, entry->type_name));
	if (*entry->name)
		pl_clue_add(&s->clues, PL_CLUE_NAME, entry->name, NULL);
	for (size_t i = 0; i < t->nr_partitions; i++) {
		const struct platter_partition *p = &t->partitions[i];

		type = type_code(s, t, p);
		if (p != entry)
			pl_clue_add(&s->clues, PL_CLUE_BESIDE, type,
				    pl_arena_format(s->x->arena, "%s (%s)", type, p->type_name));
	}
}

static void
add_content_clues(struct subject *s, const struct platter_content *c)
{
	pl_clue_add(&s->clues, PL_CLUE_CONTENT, c->name,
		    pl_arena_format(s->x->arena, "%s (%s)", c->name, c->longname));
	pl_clue_add(&s->clues, PL_CLUE_USAGE, c->usage, NULL);
	if (*c->label)
		pl_clue_add(&s->clues, PL_CLUE_LABEL, c->label, NULL);
}

/* A name in the top folder. */
static int
take_entry(void *closure, const struct pl_entry *e, struct platter_error *err)
{
	struct subject *s = closure;
	PL_AUTOFREE char *name = pl_text_from_bytes(e->name, e->length);

	if (!name)
		return pl_no_memory(err);
	if (s->clues.nr < MAX_ENTRIES)
		pl_clue_add(&s->clues, PL_CLUE_ENTRY, name, NULL);
	if (is_listed(pl_system_entries, name))
		return 0;
	if (s->nr_files < 4)
		s->files = pl_arena_format(s->x->arena, "%s%s'%s'", s->nr_files ? s->files : "",
					   s->nr_files ? ", " : "", name);
	s->nr_files++;
	return 0;
}

struct people {
	struct subject *s;
	const char *folder;
	size_t nr;
};

static int
take_person(void *closure, const struct pl_entry *e, struct platter_error *err)
{
	struct people *p = closure;
	PL_AUTOFREE char *name = pl_text_from_bytes(e->name, e->length);

	if (!name)
		return pl_no_memory(err);
	if (is_listed(pl_nobodies, name) || *name == '.' ||
	    (e->type != PLATTER_FILE_FOLDER && e->type != PLATTER_FILE_UNKNOWN))
		return 0;
	if (p->nr++ < MAX_PEOPLE)
		pl_clue_add(&p->s->clues, PL_CLUE_PEOPLE, name,
			    pl_arena_format(p->s->x->arena, "%s/%s", p->folder, name));
	return 0;
}

static bool
has_path(struct pl_volume *v, const char *path, struct pl_node_id *ret)
{
	struct platter_file file;

	return pl_path_find(v, v->root, path, 0, ret, &file, NULL) == 0;
}

/* The paths that any rule asks for. */
static void
add_path_clues(struct subject *s, struct pl_volume *v)
{
	struct pl_node_id id;
	char path[256];

	for (size_t r = 0; r < pl_nr_purpose_rules; r++)
		for (size_t c = 0; c < PL_MAX_CONDITIONS; c++) {
			const struct pl_condition *when = &pl_purpose_rules[r].when[c];

			if (when->kind != PL_CLUE_PATH)
				continue;
			for (size_t i = 0; alternative(when->patterns, i, path, sizeof path); i++)
				if (has_path(v, path, &id))
					pl_clue_add(&s->clues, PL_CLUE_PATH, path, NULL);
		}
}

static void
add_people_clues(struct subject *s, struct pl_volume *v)
{
	struct pl_node_id id;

	for (size_t i = 0; pl_people_folders[i]; i++) {
		struct people people = { s, pl_people_folders[i], 0 };

		if (has_path(v, people.folder, &id))
			pl_volume_list(v, id, take_person, &people, NULL);
	}
}

static int explain(struct subject *s, const struct pl_purpose_rule **ret_rule,
		   struct platter_error *err);

static struct platter_explained *
add_part(struct subject *s)
{
	if (!s->parts)
		s->parts = pl_arena_alloc(s->x->arena, MAX_PARTS * sizeof *s->parts);
	return s->parts && s->nr_parts < MAX_PARTS ? &s->parts[s->nr_parts++] : NULL;
}

/* What stands in or on the subject, on a disk of its own. */
static int
explain_part(struct subject *s, struct pl_disk *disk, const char *place,
	     const struct platter_table *table, const struct platter_partition *entry,
	     const struct pl_format *format, struct platter_error *err)
{
	struct platter_explained *ret = add_part(s);
	struct subject part = {
		.x = s->x,
		.disk = disk,
		.place = place,
		.is_partition = entry,
		.clues = { .arena = s->x->arena },
		.ret = ret,
	};

	if (!ret)
		return 0;
	if (entry)
		add_entry_clues(&part, table, entry);
	if (format)
		pl_clue_add(&part.clues, PL_CLUE_FORMAT, format->info.name, format->info.longname);
	return explain(&part, NULL, err);
}

static bool
is_real(const struct platter_partition *p)
{
	return p->length && (p->role == PLATTER_PARTITION || p->role == PLATTER_PARTITION_LOGICAL);
}

static int
explain_partitions(struct subject *s, const struct platter_table *t, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; i < t->nr_partitions && r == 0; i++) {
		const struct platter_partition *p = &t->partitions[i];
		PL_AUTOUNREF struct pl_disk *slice = NULL;
		const char *place;

		if (!is_real(p))
			continue;
		place = pl_arena_format(s->x->arena, "%s@%" PRIu32, s->place, p->number);
		/* A disk that is cut short lacks its last partitions: they are told of all the same. */
		if (!place || pl_slice_new(s->disk, PL_MIN(p->offset, s->disk->size),
					   p->offset < s->disk->size
						   ? PL_MIN(p->length, s->disk->size - p->offset)
						   : 0,
					   place, &slice, err) < 0)
			return place ? -ENOMEM : pl_no_memory(err);
		r = explain_part(s, slice, place, t, p, NULL, err);
		if (r == 0 && s->nr_parts)
			s->parts[s->nr_parts - 1].size = p->length;
	}
	return r;
}

static int
explain_logicals(struct subject *s, struct pl_group *g, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; i < g->nr && r == 0; i++) {
		PL_AUTOFREE char *text = pl_logical_place(s->place, g->volume[i].name);
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		const char *place = pl_arena_take(s->x->arena, PL_STEAL(text));

		if (g->volume[i].hidden || g->volume[i].code ||
		    pl_group_open_logical(g, i, place, &disk, NULL) < 0)
			continue;
		r = explain_part(s, disk, place, NULL, NULL, NULL, err);
	}
	return r;
}

/* A file that the rule names, if it is an image of a disk. */
static int
explain_file(struct subject *s, struct pl_volume *v, const char *path, struct platter_error *err)
{
	const char *place = pl_arena_format(s->x->arena, "%s:/%s", s->place, path);
	PL_AUTOUNREF struct pl_disk *file = NULL, *image = NULL;
	const struct pl_format *format;
	struct pl_node_id id;
	int r;

	if (!place)
		return pl_no_memory(err);
	/* What cannot be opened is a file like others. */
	if (!has_path(v, path, &id) || pl_volume_open_file(v, id, NULL, place, &file, NULL) < 0 ||
	    pl_format_probe(file, &format, NULL) < 0 || !format->probe || format->wraps ||
	    pl_image_open(file, NULL, format->info.name, NULL,
			  s->x->flags | PLATTER_OPEN_NO_BACKING, &image, NULL) < 0)
		return 0;
	s->x->depth++;
	r = explain_part(s, image, place, NULL, NULL, format, err);
	s->x->depth--;
	return r;
}

static int
explain_inside(struct subject *s, struct pl_volume *v, const char *inside,
	       struct platter_error *err)
{
	char path[256];
	int r = 0;

	for (size_t i = 0; r == 0 && alternative(inside, i, path, sizeof path); i++)
		r = explain_file(s, v, path, err);
	return r;
}

static const struct pl_purpose_rule *
find_rule(struct subject *s)
{
	size_t last = pl_nr_purpose_rules - 1;

	for (size_t i = 0; i < last; i++)
		if (pl_clues_meet(&s->clues, pl_purpose_rules[i].when, &s->ret->because))
			return &pl_purpose_rules[i];
	s->ret->because = "none of the signs that platter knows is there";
	return &pl_purpose_rules[last];
}

/* "it has the folders '/Users/anna', '/Users/ben'". */
static const char *
people_text(struct subject *s)
{
	struct pl_str text = { 0 };
	const char *ret;
	size_t nr = 0;

	for (size_t i = 0; i < s->clues.nr; i++) {
		const struct pl_clue *c = &s->clues.list[i];

		if (c->kind == PL_CLUE_PEOPLE)
			pl_str_addf(&text, "%s'/%s'", nr++ ? ", " : "", c->shown);
	}
	if (!nr)
		return NULL;
	ret = pl_arena_format(s->x->arena, "it has the %s %s", nr > 1 ? "folders" : "folder",
			      text.text ? text.text : "");
	pl_str_done(&text);
	return ret;
}

/* What its files say of people. */
static void
judge_files(struct subject *s, const struct pl_purpose_rule *rule)
{
	struct platter_explained *ret = s->ret;

	if (!s->reads_files) {
		ret->data = PLATTER_DATA_UNKNOWN;
		ret->data_because = "its files could not be read";
	} else if (s->nr_files) {
		ret->data = PLATTER_DATA_POSSIBLE;
		ret->data_because = pl_arena_format(s->x->arena, "it has the %s %s%s",
						    s->nr_files > 1 ? "names" : "name", s->files,
						    s->nr_files > 4 ? " and others" : "");
	} else {
		ret->data = PLATTER_DATA_NONE;
		ret->data_because = "no file is on it";
	}
}

/* The part with the most of it speaks for all. */
static void
judge_parts(struct subject *s, const struct pl_purpose_rule *rule)
{
	struct platter_explained *ret = s->ret;
	const struct platter_explained *most = NULL;

	for (size_t i = 0; i < s->nr_parts; i++)
		if (!most || s->parts[i].data > most->data)
			most = &s->parts[i];
	ret->data = most ? most->data : PLATTER_DATA_UNKNOWN;
	ret->data_because =
		most ? pl_arena_format(s->x->arena, "of %s: %s", most->place, most->data_because)
		     : "nothing is known of what is on it";
}

static void
judge_data(struct subject *s, const struct pl_purpose_rule *rule)
{
	const char *people = people_text(s);

	if (people && rule->how != PL_DATA_PARTS) {
		s->ret->data = PLATTER_DATA_LIKELY;
		s->ret->data_because = people;
	} else if (rule->how == PL_DATA_FILES) {
		judge_files(s, rule);
	} else if (rule->how == PL_DATA_PARTS) {
		judge_parts(s, rule);
	} else {
		s->ret->data = rule->data;
		s->ret->data_because = rule->data_because;
	}
}

/* Both tables say where partitions are: Boot Camp's way to start Windows. */
static void
add_table_clues(struct subject *s, const struct platter_table *tables, size_t nr)
{
	size_t real = 0;

	if (!nr)
		return;
	pl_clue_add(&s->clues, PL_CLUE_TABLE, tables[0].name,
		    pl_arena_format(s->x->arena, "a partition table (%s)", tables[0].longname));
	for (size_t i = 0; nr > 1 && i < tables[1].nr_partitions; i++)
		real += is_real(&tables[1].partitions[i]);
	if (real && strcmp(tables[0].name, "gpt") == 0 && strcmp(tables[1].name, "mbr") == 0)
		pl_clue_add(&s->clues, PL_CLUE_TABLE, "hybrid",
			    "a GPT, and an MBR with partitions of the same disk beside it");
}

/* What is in the file system: clues first, since rules need them. */
static int
look_into_files(struct subject *s, struct pl_volume **ret_volume, struct platter_error *err)
{
	struct pl_volume *v;

	*ret_volume = NULL;
	if (pl_volume_open(s->disk, NULL, NULL, s->x->flags, &v, NULL) < 0)
		return 0;
	s->reads_files = pl_volume_list(v, v->root, take_entry, s, NULL) == 0;
	if (s->reads_files && !s->nr_files)
		pl_clue_add(&s->clues, PL_CLUE_EMPTY, "", NULL);
	add_path_clues(s, v);
	add_people_clues(s, v);
	*ret_volume = v;
	return 0;
}

static int
explain_contents(struct subject *s, const struct pl_purpose_rule **ret_rule,
		 struct platter_error *err)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_content *found = NULL;
	const struct pl_format *format = NULL;
	struct pl_group *g = NULL;
	size_t nr = 0;
	int r = 0;

	/* An image that was written to a device or partition as it is. */
	if (pl_format_probe(s->disk, &format, NULL) == 0 && format && format->probe) {
		pl_clue_add(&s->clues, PL_CLUE_CONTENT, format->info.name, format->info.longname);
		pl_clue_add(&s->clues, PL_CLUE_USAGE, "image", NULL);
	}
	if (pl_contents_find(s->disk, s->x->arena, &found, &nr, NULL) < 0)
		nr = 0;
	for (size_t i = 0; i < nr; i++)
		add_content_clues(s, &found[i].content);
	if (nr && found[0].driver->group &&
	    found[0].driver->group(s->disk, s->x->flags, &g, NULL) < 0)
		g = NULL;
	if (g)
		r = explain_logicals(s, g, err);
	pl_group_close(g);
	if (r == 0 && nr)
		r = look_into_files(s, &v, err);
	if (r < 0)
		return r;
	*ret_rule = find_rule(s);
	if (v && (*ret_rule)->inside && s->x->depth < MAX_NESTED)
		r = explain_inside(s, v, (*ret_rule)->inside, err);
	return r;
}

static int
explain(struct subject *s, const struct pl_purpose_rule **ret_rule, struct platter_error *err)
{
	const struct platter_table *tables = NULL;
	const struct pl_purpose_rule *rule = NULL;
	size_t nr = 0;
	int r;

	s->ret->place = s->place;
	s->ret->size = s->disk->size;
	if (s->disk->size && !s->is_partition &&
	    pl_tables_read(s->disk, s->x->flags, s->x->arena, &tables, &nr, NULL, NULL) < 0)
		nr = 0;
	add_table_clues(s, tables, nr);
	r = nr ? explain_partitions(s, &tables[0], err) : 0;
	if (r == 0)
		r = explain_contents(s, &rule, err);
	if (r < 0)
		return r;
	s->ret->id = rule->id;
	s->ret->purpose = rule->purpose;
	s->ret->removal = rule->removal;
	s->ret->parts = s->parts;
	s->ret->nr_parts = s->nr_parts;
	judge_data(s, rule);
	if (ret_rule)
		*ret_rule = rule;
	return s->x->arena->failed ? pl_no_memory(err) : 0;
}

int
pl_explain_disk(struct pl_place *place, const struct platter_table *table,
		const struct platter_partition *entry, struct pl_arena *arena,
		struct platter_explained *ret, struct platter_error *err)
{
	struct explainer x = { .arena = arena, .flags = place->flags };
	struct subject s = {
		.x = &x,
		.disk = place->disk,
		.place = pl_arena_strdup(arena, place->name),
		.is_partition = entry,
		.clues = { .arena = arena },
		.ret = ret,
	};
	const struct pl_format *format = pl_format_of(place->disk);

	if (entry)
		add_entry_clues(&s, table, entry);
	if (format)
		pl_clue_add(&s.clues, PL_CLUE_FORMAT, format->info.name, format->info.longname);
	return explain(&s, NULL, err);
}
