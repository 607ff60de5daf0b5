/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * explain.c - platter explain: what a device or image is for, whether data of people is on it, and
 * how to get rid of it
 */
#include <ctype.h>
#include <string.h>

#include <platter/explain.h>

#include "commands.h"
#include "output.h"

/* In the order of enum platter_data_of_people: for programs, and as the answer to a question. */
static const struct {
	const char *name, *text;
} data_words[] = {
	{ "none", "No" },        { "unlikely", "Hardly" },       { "unknown", "Unknown" },
	{ "possible", "Maybe" }, { "sealed", "Cannot be told" }, { "likely", "Yes, likely" },
};

/* Lines as wide as the terminal, each with this many blanks in front. */
PRINTF(2, 3)
static void
say_paragraph(int indent, const char *format, ...)
{
	AUTOFREE char *text = NULL, *line = text_of("%*s", indent, "");
	size_t width = line_width(stdout), used = 0;
	char *word, *rest;
	va_list args;

	va_start(args, format);
	text = format_text(format, args);
	rest = text;
	va_end(args);
	while ((word = strsep(&rest, " "))) {
		char *longer;

		if (used && text_width(line) + 1 + text_width(word) > width) {
			say(stdout, "%s", line);
			free(line);
			line = text_of("%*s", indent, "");
			used = 0;
		}
		longer = text_of("%s%s%s", line, used ? " " : "", word);
		free(line);
		line = longer;
		used += strlen(word) + 1;
	}
	say(stdout, "%s", line);
}

/* "it has" as the beginning of a sentence. */
static char *
sentence(const char *text)
{
	char *s = text_of("%s", text);

	*s = (char)toupper((unsigned char)*s);
	return s;
}

static void
say_thing(const struct platter_explained *e, int indent)
{
	say(stdout, "%*s%s  %s", indent, "", e->place, size_text(e->size).text);
	say_paragraph(indent + 2, "%s", e->purpose);
	if (*e->because)
		say_paragraph(indent + 2, "Because %s.", e->because);
	say_paragraph(indent + 2, "Data of people: %s, because %s.", data_words[e->data].text,
		      e->data_because);
	say_paragraph(indent + 2, "If it is removed: %s", e->removal);
	for (size_t i = 0; i < e->nr_parts; i++) {
		putchar('\n');
		say_thing(&e->parts[i], indent + 2);
	}
}

static void
say_advice(const struct platter_explanation *e)
{
	putchar('\n');
	if (e->system)
		say_paragraph(0,
			      "The running system is on it: it cannot be removed or erased while "
			      "this system runs.");
	else if (e->nr_advice)
		say(stdout, "What can be done with it, at your own choice:");
	for (size_t i = 0; i < e->nr_advice; i++) {
		AUTOFREE char *what = sentence(e->advice[i].what);

		say_paragraph(2, "%s:", what);
		say(stdout, "      %s", e->advice[i].command);
	}
}

static void
say_explanation(const struct platter_explanation *e)
{
	say_paragraph(0, "%s", e->origin);
	if (*e->because)
		say_paragraph(0, "Because %s.", e->because);
	if (e->in_use)
		say_paragraph(0, "It is in use now.");
	putchar('\n');
	say_thing(&e->top, 0);
	say_advice(e);
}

static json_t *
json_known(const char *text)
{
	return json_text(*text ? text : NULL);
}

static json_t *
json_thing(const struct platter_explained *e)
{
	json_t *one = json_object(), *parts = json_array();

	for (size_t i = 0; i < e->nr_parts; i++)
		json_array_append_new(parts, json_thing(&e->parts[i]));
	json_put(one, "place", json_text(e->place));
	json_put(one, "size", json_number(e->size));
	json_put(one, "id", json_text(e->id));
	json_put(one, "purpose", json_text(e->purpose));
	json_put(one, "because", json_known(e->because));
	json_put(one, "data", json_text(data_words[e->data].name));
	json_put(one, "data_because", json_text(e->data_because));
	json_put(one, "removal", json_text(e->removal));
	json_put(one, "parts", parts);
	return one;
}

static void
print_json(const struct arguments *args, const struct platter_explanation *e)
{
	json_t *answer = json_answer(args), *advice = json_array();

	for (size_t i = 0; i < e->nr_advice; i++) {
		json_t *one = json_object();

		json_put(one, "what", json_text(e->advice[i].what));
		json_put(one, "command", json_text(e->advice[i].command));
		json_put(one, "system", json_text(e->advice[i].system));
		json_array_append_new(advice, one);
	}
	json_put(answer, "place", json_text(e->place));
	json_put(answer, "origin", json_text(e->origin));
	json_put(answer, "because", json_known(e->because));
	json_put(answer, "in_use", json_boolean(e->in_use));
	json_put(answer, "system", json_boolean(e->system));
	json_put(answer, "explained", json_thing(&e->top));
	json_put(answer, "advice", advice);
	json_print(answer, stdout);
}

int
command_explain(const struct arguments *args)
{
	struct platter_open_options options = {
		.size = sizeof options,
		.flags = args->option[OPT_IGNORE_CHECKSUMS].given ? PLATTER_OPEN_IGNORE_CHECKSUMS
								  : 0,
		.format = args->option[OPT_INPUT_FORMAT].text,
		.parents = args->parents,
		.nr_parents = args->nr_parents,
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_explanation *e;

	if (platter_explain(args->operands[0], &options, &e, &err) < 0)
		return report(args, &err, "cannot explain '%s'", args->operands[0]);
	if (args->json)
		print_json(args, e);
	else if (!args->option[OPT_QUIET].given)
		say_explanation(e);
	platter_explanation_free(e);
	return STATUS_DONE;
}
