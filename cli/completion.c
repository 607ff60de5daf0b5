/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * completion.c - the completion scripts of the shells, made from the tables that the
 * parser uses
 *
 * The build runs `platter --completion SHELL` and installs what it prints.
 */
#include <string.h>

#include <platter/format.h>

#include "commands.h"
#include "output.h"

static void
print_format_names(void)
{
	const struct platter_format_info *info;

	for (size_t i = 0; (info = platter_format_info(i)); i++)
		printf("%s%s", i ? " " : "", info->name);
}

static bool
has_values(const struct option_info *info)
{
	return info->values || info->kind == OPTION_FORMAT;
}

/* What may stand as the argument of an option, with spaces between. */
static void
print_values(const struct option_info *info)
{
	const char *value;
	size_t n;

	if (info->kind == OPTION_FORMAT)
		print_format_names();
	for (size_t i = 0; info->values && (n = value_at(info->values, i, &value)); i++)
		printf("%s%.*s", i ? " " : "", (int)n, value);
}

/* `text` between single quotes; what is in `special` gets a backslash. */
static void
print_escaped(const char *text, const char *special, const char *quote)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs(quote, stdout);
		else if (strchr(special, *text))
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

static bool
takes_formats(const struct verb *verb)
{
	return !strcmp(verb->name, "formats");
}

static void
print_verb_names(void)
{
	for (const struct verb *v = verb_table; v->name; v++)
		printf("%s%s", v == verb_table ? "" : " ", v->name);
}

static void
print_bash_verb(const struct verb *verb)
{
	printf("\t%s)\n\t\toptions='", verb->name);
	for (const enum option_id *o = verb->options;; o++) {
		const struct option_info *info = &option_table[*o];
		bool equals = info->argument && info->kind != OPTION_MAYBE_TEXT;

		printf("--%s%s", info->name, equals ? "=" : "");
		if (*o == OPT_HELP)
			break;
		putchar(' ');
	}
	fputs("'\n", stdout);
	if (takes_formats(verb)) {
		fputs("\t\toperands='", stdout);
		print_format_names();
		fputs("'\n", stdout);
	}
	fputs("\t\t;;\n", stdout);
}

static void
print_bash_option(const struct option_info *info)
{
	if (!info->argument)
		return;
	/* An argument that may be left out is never a word of its own. */
	if (info->kind == OPTION_MAYBE_TEXT)
		printf("\t--%s=)", info->name);
	else if (info->letter)
		printf("\t-%c | --%s | --%s=)", info->letter, info->name, info->name);
	else
		printf("\t--%s | --%s=)", info->name, info->name);
	fputs(" argument=yes values='", stdout);
	print_values(info);
	fputs("' ;;\n", stdout);
}

static void
print_bash(void)
{
	fputs("# bash completion for platter, made from its tables of verbs and options\n"
	      "_platter()\n"
	      "{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal options= operands= argument= values=\n"
	      "\n"
	      "\tif [ \"$cur\" = = ]; then\n"
	      "\t\tcur= prev+==\n"
	      "\telif [ \"$prev\" = = ]; then\n"
	      "\t\tprev=${COMP_WORDS[COMP_CWORD-2]}=\n"
	      "\tfi\n"
	      "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W '",
	      stdout);
	print_verb_names();
	fputs(" help --help --version' -- \"$cur\")\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tcase ${COMP_WORDS[1]} in\n",
	      stdout);
	for (const struct verb *v = verb_table; v->name; v++)
		print_bash_verb(v);
	fputs("\thelp)\n\t\toperands='", stdout);
	print_verb_names();
	fputs("'\n\t\t;;\n\tesac\n\tcase $prev in\n", stdout);
	for (size_t i = 0; i < NR_OPTIONS; i++)
		print_bash_option(&option_table[i]);
	fputs("\tesac\n"
	      "\tif [ -n \"$argument\" ]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$values\" -- \"$cur\")\n"
	      "\telif [[ $cur == -* ]]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
	      "\t\t[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace\n"
	      "\telif [ -n \"$operands\" ]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$operands\" -- \"$cur\")\n"
	      "\telse\n"
	      "\t\tcompopt -o filenames\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	      "\tfi\n"
	      "}\n"
	      "complete -F _platter platter\n",
	      stdout);
}

static void
print_zsh_option(const struct option_info *info)
{
	const char *mark = !info->argument ? "" : info->kind == OPTION_MAYBE_TEXT ? "=-" : "=";
	const char *letter_mark = !info->argument                   ? ""
				  : info->kind == OPTION_MAYBE_TEXT ? "-"
								    : "+";

	if (info->kind == OPTION_LIST)
		printf("\t\t\t'*--%s%s[", info->name, mark);
	else if (info->kind == OPTION_PAIRS)
		printf("\t\t\t'*'{-%c%s,--%s%s}'[", info->letter, letter_mark, info->name, mark);
	else if (info->letter)
		printf("\t\t\t'(-%c --%s)'{-%c%s,--%s%s}'[", info->letter, info->name, info->letter,
		       letter_mark, info->name, mark);
	else
		printf("\t\t\t'--%s%s[", info->name, mark);
	print_escaped(info->help, "[]", "'\\''");
	putchar(']');
	if (info->argument) {
		fputs(info->kind == OPTION_MAYBE_TEXT ? "::" : ":", stdout);
		print_escaped(info->argument, ":[]", "'\\''");
		fputs(":", stdout);
		if (has_values(info)) {
			putchar('(');
			print_values(info);
			putchar(')');
		}
	}
	fputs("' \\\n", stdout);
}

static void
print_zsh_verb(const struct verb *verb)
{
	printf("\t%s)\n\t\t_arguments -s -S \\\n", verb->name);
	for (const enum option_id *o = verb->options;; o++) {
		print_zsh_option(&option_table[*o]);
		if (*o == OPT_HELP)
			break;
	}
	if (takes_formats(verb)) {
		fputs("\t\t\t'*:format:(", stdout);
		print_format_names();
		fputs(")'\n", stdout);
	} else {
		fputs("\t\t\t'*:place:_files'\n", stdout);
	}
	fputs("\t\t;;\n", stdout);
}

static void
print_zsh(void)
{
	fputs("#compdef platter\n"
	      "# zsh completion for platter, made from its tables of verbs and options\n"
	      "\n"
	      "local -a verbs=(\n",
	      stdout);
	for (const struct verb *v = verb_table; v->name; v++) {
		printf("\t'%s:", v->name);
		print_escaped(v->summary, ":", "'\\''");
		fputs("'\n", stdout);
	}
	fputs("\t'help:options and examples of a verb'\n"
	      ")\n"
	      "if (( CURRENT == 2 )); then\n"
	      "\t_describe -t verbs verb verbs\n"
	      "\treturn\n"
	      "fi\n"
	      "shift words\n"
	      "(( CURRENT-- ))\n"
	      "case $words[1] in\n",
	      stdout);
	for (const struct verb *v = verb_table; v->name; v++)
		print_zsh_verb(v);
	fputs("\thelp)\n\t\t_describe -t verbs verb verbs\n\t\t;;\nesac\n", stdout);
}

static void
print_fish_option(const struct verb *verb, const struct option_info *info)
{
	printf("complete -c platter -n '__fish_seen_subcommand_from %s' -l %s", verb->name,
	       info->name);
	if (info->letter)
		printf(" -s %c", info->letter);
	if (info->argument && info->kind != OPTION_MAYBE_TEXT)
		fputs(" -x", stdout);
	if (has_values(info)) {
		fputs(" -a '", stdout);
		print_values(info);
		putchar('\'');
	}
	fputs(" -d '", stdout);
	print_escaped(info->help, "\\", "\\'");
	fputs("'\n", stdout);
}

static void
print_fish_verb(const struct verb *verb)
{
	printf("complete -c platter -n __fish_use_subcommand -f -a %s -d '", verb->name);
	print_escaped(verb->summary, "\\", "\\'");
	fputs("'\n", stdout);
	for (const enum option_id *o = verb->options;; o++) {
		print_fish_option(verb, &option_table[*o]);
		if (*o == OPT_HELP)
			break;
	}
	if (takes_formats(verb)) {
		printf("complete -c platter -n '__fish_seen_subcommand_from %s' -f -a '",
		       verb->name);
		print_format_names();
		fputs("'\n", stdout);
	}
}

static void
print_fish(void)
{
	fputs("# fish completion for platter, made from its tables of verbs and options\n", stdout);
	for (const struct verb *v = verb_table; v->name; v++)
		print_fish_verb(v);
	fputs("complete -c platter -n __fish_use_subcommand -f -a help"
	      " -d 'options and examples of a verb'\n"
	      "complete -c platter -n '__fish_seen_subcommand_from help' -f -a '",
	      stdout);
	print_verb_names();
	fputs("'\n", stdout);
}

int
print_completion(const char *shell)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };
	const struct arguments none = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
		if (!strcmp(shells[i].name, shell)) {
			shells[i].print();
			return STATUS_DONE;
		}
	return report_usage(&none, "no completion for '%s': bash, zsh and fish have one", shell);
}
