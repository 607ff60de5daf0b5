/* SPDX-License-Identifier: GPL-3.0-or-later */
/* examine.c - platter examine: is anything left on it? */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <platter/examine.h>
#include <platter/text.h>

#include "commands.h"
#include "output.h"
#include "picture.h"
#include "progress.h"

/* Rows of the picture on a terminal, and structures that people want to see listed. */
#define ROWS            8
#define MAX_LISTED      40
#define EXAMPLES        3
#define DEFAULT_PERCENT 1

static const struct picture_class classes[PLATTER_NR_CLASSES] = {
	[PLATTER_CLASS_ZERO] = { .label = "zeros", .rgb = 0xe6eaec },
	[PLATTER_CLASS_PATTERN] = { .label = "pattern", .rgb = 0xb0bec5 },
	[PLATTER_CLASS_RANDOM] = { .label = "random", .rgb = 0x6a4c93 },
	[PLATTER_CLASS_TEXT] = { .label = "text", .rgb = 0xf9a825 },
	[PLATTER_CLASS_OTHER] = { .label = "data", .rgb = 0x2e7d32 },
	[PLATTER_CLASS_UNREADABLE] = { .label = "unreadable", .rgb = 0xc62828, .always = true },
};
static const char marks[PLATTER_NR_CLASSES] = { '.', '-', '?', 't', '#', 'X' };

static const char *const class_names[PLATTER_NR_CLASSES] = { "zero", "pattern", "random",
							     "text", "other",   "unreadable" };
static const char *const class_words[PLATTER_NR_CLASSES] = {
	"zeros",
	"a short pattern, repeated",
	"random-looking: encrypted, compressed or random",
	"text",
	"other data",
	"unreadable",
};

static const char *const remains_names[PLATTER_NR_REMAINS] = {
	"documents", "pictures", "video",  "sound", "mail",        "databases",
	"archives",  "programs", "system", "keys",  "disk-images", "metadata",
};
static const char *const remains_words[PLATTER_NR_REMAINS] = {
	"documents", "pictures", "videos",       "sounds", "mail",        "databases",
	"archives",  "programs", "system files", "keys",   "disk images", "records of file systems",
};

/* ---- options ---- */

/* "2%" of the disk, or a size; nothing: a hundredth.  False: it is neither. */
static bool
sample_size(const char *text, uint64_t size, uint64_t *ret)
{
	char *end;
	double percent = DEFAULT_PERCENT;

	if (*text) {
		percent = strtod(text, &end);
		if (strcmp(end, "%") != 0)
			return platter_parse_size(text, ret) == 0 && *ret;
	}
	if (!(percent > 0 && percent <= 100))
		return false;
	*ret = (uint64_t)((double)size / 100 * percent);
	*ret = *ret ? *ret : 1;
	return true;
}

static bool
seed_number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *ret;
}

/* ---- for people ---- */

static void
say_shares(const struct platter_examination *e)
{
	static const char *const headings[] = { ">Share", ">Size", "" };
	struct table t;

	table_init(&t, headings, ARRAY_SIZE(headings));
	for (int k = 0; k < PLATTER_NR_CLASSES; k++) {
		if (!e->bytes[k])
			continue;
		table_cell(&t, "%.2f %%", (double)e->bytes[k] * 100 / (double)e->examined);
		table_cell(&t, "%s", size_text(e->bytes[k]).text);
		table_cell(&t, "%s", class_words[k]);
	}
	table_print(&t, stdout, "  ");
	for (size_t i = 0; i < e->nr_patterns && i < 4; i++) {
		char hex[3 * PLATTER_MAX_PATTERN + 1];

		for (unsigned k = 0; k < e->patterns[i].length; k++)
			snprintf(hex + 3 * k, 4, " %02x", e->patterns[i].bytes[k]);
		say(stdout, "  Pattern%s: %s", hex, size_text(e->patterns[i].size).text);
	}
}

/* Each character stands for an equal part of the disk. */
static void
draw(const struct platter_examination *e)
{
	unsigned width = line_width(stdout), columns = (width > 100 ? 100 : width) - 4;
	struct picture p;
	size_t shown[PLATTER_NR_CLASSES] = { 0 };

	if (!e->size)
		return;
	picture_init_cells(&p, e->size, classes, PLATTER_NR_CLASSES, (size_t)columns * ROWS);
	for (size_t i = 0; i < e->nr_regions; i++)
		picture_fill(&p, e->regions[i].offset, e->regions[i].length, e->regions[i].main);
	for (size_t i = 0; i < p.nr_cells; i++) {
		size_t class = picture_cell(&p, i);

		if (i % columns == 0)
			fputs("  ", stdout);
		putchar(class == SIZE_MAX ? ' ' : marks[class]);
		if (class != SIZE_MAX)
			shown[class]++;
		if (i % columns == columns - 1 || i + 1 == p.nr_cells)
			putchar('\n');
	}
	fputs(" ", stdout);
	for (int k = 0; k < PLATTER_NR_CLASSES; k++)
		if (shown[k])
			printf(" %c %s ", marks[k], classes[k].label);
	say(stdout, " a character is %s", size_text(e->size / p.nr_cells).text);
	picture_done(&p);
}

static const char *
state_of(const struct platter_structure *s)
{
	return s->present  ? "present"
	       : s->backup ? "from a copy"
	       : s->opens  ? "lost, whole"
			   : "lost";
}

static void
say_structures(const struct platter_examination *e)
{
	static const char *const headings[] = { ">Offset", ">Length", "What",
						"Label",   "State",   "Told by" };
	struct table t;

	if (!e->nr_structures)
		return;
	putchar('\n');
	say(stdout, "Tables and file systems");
	table_init(&t, headings, ARRAY_SIZE(headings));
	for (size_t i = 0; i < e->nr_structures && i < MAX_LISTED; i++) {
		const struct platter_structure *s = &e->structures[i];

		table_cell(&t, "%" PRId64, s->offset);
		table_cell(&t, "%s", s->length ? size_text(s->length).text : "");
		table_cell(&t, "%s", s->longname);
		table_cell(&t, "%s", s->label);
		table_cell(&t, "%s", state_of(s));
		table_cell(&t, "%s at %" PRIu64, s->evidence, s->at);
	}
	table_print(&t, stdout, "  ");
	if (e->structures_found > MAX_LISTED)
		say(stdout, "  and %" PRIu64 " more", e->structures_found - MAX_LISTED);
}

static void
say_remains(const struct platter_examination *e)
{
	static const char *const headings[] = { ">Found", ">Unused", "What", "", "First at" };
	struct table t;

	if (!e->nr_types && !e->mail_addresses)
		return;
	putchar('\n');
	say(stdout, "Recognised beginnings of files");
	table_init(&t, headings, ARRAY_SIZE(headings));
	for (int kind = 0; kind < PLATTER_NR_REMAINS; kind++)
		for (size_t i = 0; i < e->nr_types; i++) {
			const struct platter_remains_type *type = &e->types[i];

			if (type->kind != (enum platter_remains)kind)
				continue;
			table_cell(&t, "%" PRIu64, type->count);
			table_cell(&t, "%" PRIu64, type->unused);
			table_cell(&t, "%s", remains_words[kind]);
			table_cell(&t, "%s", type->longname);
			table_cell(&t, "%" PRIu64, type->first);
		}
	table_print(&t, stdout, "  ");
	if (e->mail_addresses)
		say(stdout, "  %s",
		    count_text(e->mail_addresses, "mail address", "mail addresses").text);
	say(stdout, "  (%.2g false alarms are expected)", e->false_alarms);
	for (size_t i = 0; i < e->nr_examples; i++)
		say(stdout, "  e.g. %s%s%s at %" PRIu64, e->examples[i].what,
		    *e->examples[i].text ? " " : "", e->examples[i].text, e->examples[i].offset);
}

static void
say_hidden(const struct platter_hidden *h)
{
	if (!h->asked)
		return;
	if (h->hpa)
		say(stdout, "  The drive hides %s in a host protected area: it was not examined",
		    exact_size_text(h->hpa).text);
	if (h->dco)
		say(stdout,
		    "  The drive hides %s by a device configuration overlay: it was not"
		    " examined",
		    exact_size_text(h->dco).text);
	if (h->reallocated && h->reallocated != UINT64_MAX)
		say(stdout, "  The drive replaced %s: their old contents cannot be examined",
		    count_text(h->reallocated, "sector", "sectors").text);
}

static void
say_all(const struct arguments *args, const struct platter_examination *e)
{
	say(stdout, "%s", args->operands[0]);
	say(stdout, "%s", e->verdict_text);
	for (size_t i = 0; i < e->nr_notes; i++)
		say(stdout, "  %s", e->notes[i]);
	say_hidden(&e->hidden);
	if (e->samples)
		say(stdout, "  Seed %" PRIu64 " looks at the same places again", e->seed);
	putchar('\n');
	say(stdout, "%s, %s examined, %s read in %s", exact_size_text(e->size).text,
	    size_text(e->examined).text, size_text(e->read).text, duration_text(e->seconds).text);
	say_shares(e);
	draw(e);
	say_structures(e);
	say_remains(e);
}

/* ---- for programs ---- */

static json_t *
json_classes(const uint64_t bytes[PLATTER_NR_CLASSES])
{
	json_t *object = json_object();

	for (int k = 0; k < PLATTER_NR_CLASSES; k++)
		json_put(object, class_names[k], json_number(bytes[k]));
	return object;
}

static json_t *
json_patterns(const struct platter_examination *e)
{
	json_t *array = json_array();

	for (size_t i = 0; i < e->nr_patterns; i++) {
		json_t *one = json_object();
		char hex[2 * PLATTER_MAX_PATTERN + 1];

		for (unsigned k = 0; k < e->patterns[i].length; k++)
			snprintf(hex + 2 * k, 3, "%02x", e->patterns[i].bytes[k]);
		json_put(one, "bytes", json_text(hex));
		json_put(one, "size", json_number(e->patterns[i].size));
		json_array_append_new(array, one);
	}
	return array;
}

static json_t *
json_regions(const struct platter_examination *e)
{
	json_t *array = json_array();

	for (size_t i = 0; i < e->nr_regions; i++) {
		json_t *one = json_object();

		json_put(one, "offset", json_number(e->regions[i].offset));
		json_put(one, "length", json_number(e->regions[i].length));
		json_put(one, "main", json_text(class_names[e->regions[i].main]));
		json_put(one, "bytes", json_classes(e->regions[i].bytes));
		json_array_append_new(array, one);
	}
	return array;
}

json_t *
json_structure(const struct platter_structure *s)
{
	json_t *one = json_object();

	json_put(one, "type",
		 json_text(s->type == PLATTER_STRUCTURE_TABLE ? "table" : "filesystem"));
	json_put(one, "name", json_text(s->name));
	json_put(one, "description", json_text(s->longname));
	json_put(one, "label", json_text(s->label));
	json_put(one, "uuid", json_text(s->uuid));
	json_put(one, "offset", json_integer(s->offset));
	json_put(one, "length", s->length ? json_number(s->length) : json_null());
	json_put(one, "at", json_number(s->at));
	json_put(one, "evidence", json_text(s->evidence));
	json_put(one, "present", json_boolean(s->present));
	json_put(one, "backup", json_boolean(s->backup));
	json_put(one, "opens", json_boolean(s->opens));
	return one;
}

static json_t *
json_remains(const struct platter_examination *e)
{
	json_t *object = json_object(), *types = json_array(), *kinds = json_object();

	for (int k = 0; k < PLATTER_NR_REMAINS; k++)
		json_put(kinds, remains_names[k], json_number(e->remains[k]));
	for (size_t i = 0; i < e->nr_types; i++) {
		json_t *one = json_object();

		json_put(one, "name", json_text(e->types[i].name));
		json_put(one, "description", json_text(e->types[i].longname));
		json_put(one, "kind", json_text(remains_names[e->types[i].kind]));
		json_put(one, "count", json_number(e->types[i].count));
		json_put(one, "unused", json_number(e->types[i].unused));
		json_put(one, "first", json_number(e->types[i].first));
		json_array_append_new(types, one);
	}
	json_put(object, "kinds", kinds);
	json_put(object, "types", types);
	json_put(object, "mail_addresses", json_number(e->mail_addresses));
	json_put(object, "false_alarms", json_real(e->false_alarms));
	return object;
}

static json_t *
json_examples(const struct platter_examination *e)
{
	json_t *array = json_array();

	for (size_t i = 0; i < e->nr_examples; i++) {
		json_t *one = json_object();

		json_put(one, "what", json_text(e->examples[i].what));
		json_put(one, "text", json_text(e->examples[i].text));
		json_put(one, "offset", json_number(e->examples[i].offset));
		json_array_append_new(array, one);
	}
	return array;
}

static json_t *
json_sample(const struct platter_examination *e)
{
	json_t *object;

	if (!e->samples)
		return json_null();
	object = json_object();
	json_put(object, "places", json_number(e->samples));
	json_put(object, "seed", json_number(e->seed));
	json_put(object, "missed", json_real(e->missed));
	return object;
}

static json_t *
json_hidden(const struct platter_hidden *h)
{
	json_t *object;

	if (!h->asked)
		return json_null();
	object = json_object();
	json_put(object, "hpa", json_number(h->hpa));
	json_put(object, "dco", json_number(h->dco));
	json_put(object, "reallocated", json_number(h->reallocated));
	json_put(object, "pending", json_number(h->pending));
	return object;
}

static void
print_json(const struct arguments *args, const struct platter_examination *e)
{
	json_t *answer = json_answer(args), *notes = json_array(), *structures = json_array();

	for (size_t i = 0; i < e->nr_notes; i++)
		json_array_append_new(notes, json_text(e->notes[i]));
	for (size_t i = 0; i < e->nr_structures; i++)
		json_array_append_new(structures, json_structure(&e->structures[i]));
	json_put(answer, "place", json_text(args->operands[0]));
	json_put(answer, "verdict", json_text(e->verdict_name));
	json_put(answer, "left", json_boolean(e->left));
	json_put(answer, "text", json_text(e->verdict_text));
	json_put(answer, "notes", notes);
	json_put(answer, "size", json_number(e->size));
	json_put(answer, "examined", json_number(e->examined));
	json_put(answer, "read", json_number(e->read));
	json_put(answer, "seconds", json_real(e->seconds));
	json_put(answer, "sample", json_sample(e));
	json_put(answer, "bytes", json_classes(e->bytes));
	json_put(answer, "patterns", json_patterns(e));
	json_put(answer, "even", json_boolean(e->even));
	json_put(answer, "chi_square", json_real(e->chi_square));
	json_put(answer, "unused", json_number(e->unused));
	json_put(answer, "unused_data", json_number(e->unused_data));
	json_put(answer, "structures_found", json_number(e->structures_found));
	json_put(answer, "structures", structures);
	json_put(answer, "remains", json_remains(e));
	json_put(answer, "examples", json_examples(e));
	json_put(answer, "hidden", json_hidden(&e->hidden));
	json_put(answer, "granularity", json_number(e->granularity));
	json_put(answer, "regions", json_regions(e));
	json_print(answer, stdout);
}

/* ---- the verb ---- */

static int
save_pictures(const struct arguments *args, const struct platter_examination *e,
	      struct platter_error *err)
{
	const struct option_value *png = &args->option[OPT_PNG], *svg = &args->option[OPT_SVG];
	struct picture p;
	int r = 0;

	if (!png->given && !svg->given)
		return 0;
	picture_init(&p, e->size, classes, PLATTER_NR_CLASSES);
	for (size_t i = 0; i < e->nr_regions; i++)
		picture_fill(&p, e->regions[i].offset, e->regions[i].length, e->regions[i].main);
	if (png->given)
		r = picture_save_png(&p, png->text, args->operands[0], err);
	if (r == 0 && svg->given)
		r = picture_save_svg(&p, svg->text, args->operands[0], err);
	picture_done(&p);
	return r;
}

static int
examine(const struct arguments *args, struct platter_disk *disk,
	const struct platter_examine_options *options)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_examination *e = NULL;
	struct progress progress;
	int r, status;

	progress_start(&progress, args);
	r = platter_examine(disk, options, &progress.job, &e, &err);
	progress_end(&progress);
	if (r == 0)
		r = save_pictures(args, e, &err);
	if (r < 0) {
		platter_examination_free(e);
		return report(args, &err, "cannot examine '%s'", args->operands[0]);
	}
	if (args->json)
		print_json(args, e);
	else if (!args->option[OPT_QUIET].given)
		say_all(args, e);
	status = e->left                              ? STATUS_NO
		 : e->bytes[PLATTER_CLASS_UNREADABLE] ? STATUS_BAD_SECTORS
						      : STATUS_DONE;
	platter_examination_free(e);
	return status;
}

int
command_examine(const struct arguments *args)
{
	const struct option_value *sample = &args->option[OPT_SAMPLE],
				  *seed = &args->option[OPT_SEED];
	struct platter_examine_options options = {
		.size = sizeof options,
		.examples = args->option[OPT_EXAMPLES].given ? EXAMPLES : 0,
	};
	struct platter_disk *disk;
	int status;

	if (seed->given && !seed_number(seed->text, &options.seed))
		return report_usage(args, "--seed=%s is no number above 0", seed->text);
	if (seed->given && !sample->given)
		return report_usage(args, "--seed is for a --sample");
	if (open_operand(args, args->operands[0], &disk) < 0)
		return STATUS_FAILED;
	if (sample->given && !sample_size(sample->text, platter_size(disk), &options.sample))
		status = report_usage(args, "--sample=%s is neither a share as 2%% nor a size",
				      sample->text);
	else
		status = examine(args, disk, &options);
	platter_close(disk);
	return status;
}
