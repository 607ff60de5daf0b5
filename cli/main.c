/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * main.c - the command: finds the verb, shows help, ends with the right status
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <platter/platter.h>

#include "commands.h"
#include "output.h"
#include "passphrase.h"

static const struct {
	const char *verb;
	int (*run)(const struct arguments *args);
} runners[] = {
	{ "info", command_info },       { "create", command_create },
	{ "convert", command_create },  { "restore", command_restore },
	{ "clone", command_clone },     { "list", command_list },
	{ "burn", command_burn },       { "rip", command_rip },
	{ "verify", command_verify },   { "compare", command_compare },
	{ "map", command_map },         { "measure", command_measure },
	{ "resize", command_resize },   { "snapshot", command_snapshot },
	{ "repair", command_repair },   { "compact", command_compact },
	{ "commit", command_commit },   { "flatten", command_flatten },
	{ "rebase", command_rebase },   { "ls", command_ls },
	{ "tree", command_tree },       { "find", command_find },
	{ "cat", command_cat },         { "hash", command_hash },
	{ "extract", command_extract }, { "export", command_export },
	{ "df", command_df },           { "new", command_new },
	{ "explain", command_explain }, { "rescue", command_rescue },
	{ "examine", command_examine }, { "wipe", command_wipe },
	{ "formats", command_formats },
};

int
try_open(const struct arguments *args, const char *place, struct platter_disk **ret,
	 struct platter_error *err)
{
	struct platter_open_options options = {
		.size = sizeof options,
		.format = args->option[OPT_INPUT_FORMAT].text,
		.parents = args->parents,
		.nr_parents = args->nr_parents,
	};

	if (args->option[OPT_IGNORE_CHECKSUMS].given)
		options.flags |= PLATTER_OPEN_IGNORE_CHECKSUMS;
	return platter_open(place, &options, ret, err);
}

int
open_operand(const struct arguments *args, const char *place, struct platter_disk **ret)
{
	struct platter_error err = PLATTER_ERROR_INIT;

	if (try_open(args, place, ret, &err) < 0) {
		report(args, &err, "cannot open '%s'", place);
		return -1;
	}
	return 0;
}

int
open_to_change(const struct arguments *args, const char *place, struct platter_disk **ret)
{
	struct platter_open_options options = {
		.size = sizeof options,
		.format = args->option[OPT_INPUT_FORMAT].text,
		.flags = PLATTER_OPEN_WRITE,
	};
	struct platter_error err = PLATTER_ERROR_INIT;

	if (platter_open(place, &options, ret, &err) < 0) {
		report(args, &err, "cannot open '%s'", place);
		return -1;
	}
	return 0;
}

static void
print_overview(FILE *to)
{
	fputs("Usage: platter VERB [OPTION]... ARGUMENT...\n"
	      "Make, open, explain, convert, verify and restore disk images, and look into "
	      "them.\n\n",
	      to);
	for (const struct verb *v = verb_table; v->name; v++)
		fprintf(to, "  %-8s %-14s %s\n", v->name, v->operands, v->summary);
	fputs("\n"
	      "  platter help VERB         options and examples of a verb\n"
	      "  platter --version         the version\n"
	      "\n"
	      "Exit status: 0 done; 1 the answer is no (differs, damaged); 2 wrong usage;\n"
	      "3 could not do it; 4 done, but some sectors could not be read.\n"
	      "The manual: man platter\n",
	      to);
}

static void
print_option(const struct option_info *info)
{
	char left[64];
	int n = snprintf(left, sizeof left, info->letter ? "-%c, " : "    ", info->letter);

	n += snprintf(left + n, sizeof left - (size_t)n, "--%s", info->name);
	if (info->argument)
		snprintf(left + n, sizeof left - (size_t)n,
			 info->kind == OPTION_MAYBE_TEXT ? "[=%s]" : "=%s", info->argument);
	printf("  %-28s %s\n", left, info->help);
}

static void
print_help(const struct verb *verb)
{
	printf("Usage: platter %s [OPTION]... %s\n", verb->name, verb->operands);
	printf("%c%s.\n%s\n", verb->summary[0] - 'a' + 'A', verb->summary + 1, verb->details);
	for (const enum option_id *o = verb->options;; o++) {
		print_option(&option_table[*o]);
		if (*o == OPT_HELP)
			break;
	}
	printf("\n%s:\n%s", strchr(verb->examples, '\n')[1] ? "Examples" : "Example",
	       verb->examples);
}

static const struct verb *
find_verb(const char *name)
{
	const struct verb *verb = verb_by_name(name);
	const struct arguments none = { 0 };

	if (!verb)
		report_usage(&none, "unknown verb '%s'", name);
	return verb;
}

static int
help(int argc, char **argv)
{
	const struct verb *verb;

	if (argc < 3) {
		print_overview(stdout);
		return STATUS_DONE;
	}
	verb = find_verb(argv[2]);
	if (!verb)
		return STATUS_USAGE;
	print_help(verb);
	return STATUS_DONE;
}

static int
run_verb(const struct verb *verb, int argc, char **argv)
{
	struct arguments args;
	char *why = NULL;
	int status = STATUS_USAGE;

	if (arguments_parse(verb, argc, argv, &args, &why) < 0) {
		report_usage(&args, "%s", why ? why : "out of memory");
	} else if (args.option[OPT_HELP].given) {
		print_help(verb);
		status = STATUS_DONE;
	} else if (passphrase_begin(&args) == 0) {
		for (size_t i = 0; i < ARRAY_SIZE(runners); i++)
			if (!strcmp(runners[i].verb, verb->name))
				status = runners[i].run(&args);
		passphrase_end();
	}
	free(why);
	arguments_done(&args);
	return status;
}

static int
run(int argc, char **argv)
{
	const struct verb *verb;

	if (argc < 2) {
		print_overview(stderr);
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return help(argc, argv);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("platter %s\n", platter_version());
		return STATUS_DONE;
	}
	/* For the build, which makes the completion scripts with it. */
	if (!strcmp(argv[1], "--completion") && argc == 3)
		return print_completion(argv[2]);
	verb = find_verb(argv[1]);
	return verb ? run_verb(verb, argc - 1, argv + 1) : STATUS_USAGE;
}

int
main(int argc, char **argv)
{
	int status = run(argc, argv);

	/* An answer that did not arrive is no answer: a full disk, a closed pipe. */
	if (fflush(stdout) != 0 || ferror(stdout)) {
		say(stderr, "platter: cannot write to standard output: %s", strerror(errno));
		return STATUS_FAILED;
	}
	return status;
}
