/* SPDX-License-Identifier: GPL-3.0-or-later */
/* formats.c - platter formats: what can be read, written, created and recognised */
#include <string.h>

#include <platter/format.h>

#include "commands.h"
#include "output.h"

typedef const struct platter_format_info *(*registry_fn)(size_t index);

static const struct {
	enum platter_ability ability;
	const char *key, *words;
} abilities[] = {
	{ PLATTER_CAN_READ, "read", "read" },
	{ PLATTER_CAN_CREATE, "create", "create" },
	{ PLATTER_CAN_WRITE, "write", "write in place" },
	{ PLATTER_CAN_COMPRESS, "compress", "compress" },
	{ PLATTER_CAN_BACK, "backing", "backing files" },
	{ PLATTER_CAN_SNAPSHOT, "snapshots", "read snapshots" },
	{ PLATTER_CAN_CHECK, "check", "check structure" },
};

static const char *
holds_text(const struct platter_format_info *info)
{
	return info->holds == PLATTER_HOLDS_DISC    ? "disc"
	       : info->holds == PLATTER_HOLDS_SOUND ? "sound"
						    : "disk";
}

static char *
extensions_text(const struct platter_format_info *info)
{
	char *text = text_of("%s", "");

	for (const char *const *e = info->extensions; e && *e; e++) {
		AUTOFREE char *earlier = text;

		text = text_of("%s%s.%s", earlier, *earlier ? " " : "", *e);
	}
	return text;
}

static void
print_formats(void)
{
	static const char *const headings[] = { "Format",    "Description", "Extensions", "Read",
						"Create",    "Write",       "Compress",   "Backing",
						"Snapshots", "Check" };
	const struct platter_format_info *info;
	struct table t;

	table_init(&t, headings, ARRAY_SIZE(headings));
	for (size_t i = 0; (info = platter_format_info(i)); i++) {
		AUTOFREE char *extensions = extensions_text(info);

		table_cell(&t, "%s", info->name);
		table_cell(&t, "%s", info->longname);
		table_cell(&t, "%s", extensions);
		for (size_t a = 0; a < ARRAY_SIZE(abilities); a++)
			table_cell(&t, "%s", info->abilities & abilities[a].ability ? "yes" : "");
	}
	puts("Image formats");
	table_print(&t, stdout, "  ");
}

static void
print_recognised(const char *title, registry_fn registry)
{
	static const char *const headings[] = { "Name", "Description", "Files" };
	const struct platter_format_info *info;
	bool contents = registry == platter_content_info;
	struct table t;

	table_init(&t, headings, ARRAY_SIZE(headings));
	for (size_t i = 0; (info = registry(i)); i++) {
		table_cell(&t, "%s", info->name);
		table_cell(&t, "%s", info->longname);
		table_cell(&t, "%s", contents && platter_content_has_files(info) ? "read" : "");
	}
	if (t.nr_cells)
		printf("\n%s\n", title);
	if (t.nr_cells)
		table_print(&t, stdout, "  ");
}

static void
print_one(const struct platter_format_info *info)
{
	static const char *const headings[] = { "-o", "Values", "Meaning" };
	AUTOFREE char *extensions = extensions_text(info);
	struct table t;

	say(stdout, "%s: %s", info->name, info->longname);
	if (*extensions)
		say(stdout, "  extensions: %s", extensions);
	say(stdout, "  holds: %s", holds_text(info));
	fputs("  can:", stdout);
	for (size_t a = 0, nr = 0; a < ARRAY_SIZE(abilities); a++)
		if (info->abilities & abilities[a].ability)
			printf("%s %s", nr++ ? "," : "", abilities[a].words);
	putchar('\n');
	table_init(&t, headings, ARRAY_SIZE(headings));
	for (const struct platter_option_info *o = info->options; o && o->key; o++) {
		table_cell(&t, "%s", o->key);
		table_cell(&t, "%s", o->values ? o->values : "");
		table_cell(&t, "%s", o->help ? o->help : "");
	}
	if (t.nr_cells)
		table_print(&t, stdout, "  ");
}

static json_t *
json_options(const struct platter_option_info *options)
{
	json_t *array = json_array();

	for (; options && options->key; options++) {
		json_t *one = json_object();

		json_put(one, "key", json_text(options->key));
		json_put(one, "values", json_text(options->values));
		json_put(one, "help", json_text(options->help));
		json_array_append_new(array, one);
	}
	return array;
}

static json_t *
json_format(const struct platter_format_info *info)
{
	json_t *one = json_object(), *extensions = json_array();

	json_put(one, "name", json_text(info->name));
	json_put(one, "description", json_text(info->longname));
	for (const char *const *e = info->extensions; e && *e; e++)
		json_array_append_new(extensions, json_text(*e));
	json_put(one, "extensions", extensions);
	for (size_t a = 0; a < ARRAY_SIZE(abilities); a++)
		json_put(one, abilities[a].key,
			 json_boolean((info->abilities & abilities[a].ability) != 0));
	json_put(one, "holds", json_text(holds_text(info)));
	json_put(one, "options", json_options(info->options));
	return one;
}

static json_t *
json_recognised(registry_fn registry)
{
	json_t *array = json_array();
	const struct platter_format_info *info;

	for (size_t i = 0; (info = registry(i)); i++) {
		json_t *one = json_object();

		json_put(one, "name", json_text(info->name));
		json_put(one, "description", json_text(info->longname));
		json_array_append_new(array, one);
	}
	return array;
}

static json_t *
json_contents_known(void)
{
	json_t *array = json_recognised(platter_content_info), *one;
	size_t i;

	json_array_foreach(array, i, one)
		json_put(one, "files",
			 json_boolean(platter_content_has_files(platter_content_info(i))));
	return array;
}

static const struct platter_format_info *
format_by_name(const char *name)
{
	const struct platter_format_info *info;

	for (size_t i = 0; (info = platter_format_info(i)); i++)
		if (!strcmp(info->name, name))
			return info;
	return NULL;
}

/* What is asked for: the named formats, or all. */
static json_t *
json_formats(const struct arguments *args)
{
	json_t *array = json_array();
	const struct platter_format_info *info;

	for (size_t i = 0; i < args->nr_operands; i++)
		json_array_append_new(array, json_format(format_by_name(args->operands[i])));
	for (size_t i = 0; args->nr_operands == 0 && (info = platter_format_info(i)); i++)
		json_array_append_new(array, json_format(info));
	return array;
}

int
command_formats(const struct arguments *args)
{
	for (size_t i = 0; i < args->nr_operands; i++)
		if (!format_by_name(args->operands[i]))
			return report_usage(args, "unknown format '%s'", args->operands[i]);
	if (args->json) {
		json_t *answer = json_answer(args);

		json_put(answer, "formats", json_formats(args));
		if (args->nr_operands == 0) {
			json_put(answer, "tables", json_recognised(platter_table_info));
			json_put(answer, "contents", json_contents_known());
		}
		json_print(answer, stdout);
		return STATUS_DONE;
	}
	for (size_t i = 0; i < args->nr_operands; i++)
		print_one(format_by_name(args->operands[i]));
	if (args->nr_operands == 0) {
		print_formats();
		print_recognised("Partition tables", platter_table_info);
		print_recognised("Recognised contents", platter_content_info);
	}
	return STATUS_DONE;
}
