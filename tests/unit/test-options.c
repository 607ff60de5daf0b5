/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line: what is accepted, what is refused with which words, what is documented. */
#include "options.h"

#include <stdlib.h>

#include "test.h"

static struct arguments args;
static char *why;

/* Parse "create ARG..." and say whether it was accepted. */
#define PARSE(verb, ...) parse(verb, (const char *[]){ verb, ##__VA_ARGS__, NULL })

static bool
parse(const char *verb, const char **words)
{
	static char *argv[16];
	int argc = 0;

	arguments_done(&args);
	free(why);
	why = NULL;
	for (; words[argc]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc];
	argv[argc] = NULL;
	return arguments_parse(verb_by_name(verb), argc, argv, &args, &why) == 0;
}

TEST(options_and_operands_may_be_mixed)
{
	EXPECT(PARSE("create", "a", "--verify", "b", "-q"));
	EXPECT_EQ(args.nr_operands, 2);
	EXPECT_STR(args.operands[0], "a");
	EXPECT_STR(args.operands[1], "b");
	EXPECT(args.option[OPT_VERIFY].given && args.option[OPT_QUIET].given);
	EXPECT(!args.option[OPT_FORCE].given);
}

TEST(two_dashes_end_the_options_and_one_is_an_operand)
{
	EXPECT(PARSE("create", "-q", "--", "-f", "-"));
	EXPECT_STR(args.operands[0], "-f");
	EXPECT_STR(args.operands[1], "-");
	EXPECT(!args.option[OPT_FORCE].given);
	EXPECT(PARSE("create", "-", "b"));
	EXPECT_STR(args.operands[0], "-");
}

TEST(an_argument_may_be_attached_or_follow)
{
	static const char *const ways[][2] = { { "-Oqcow2", "-q" },
					       { "-O", "qcow2" },
					       { "--format=qcow2", "-q" },
					       { "--format", "qcow2" },
					       { "--form", "qcow2" } };

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		EXPECT(PARSE("create", "a", ways[i][0], ways[i][1], "b"));
		EXPECT_STR(args.option[OPT_FORMAT].text, "qcow2");
		EXPECT_EQ(args.nr_operands, 2);
	}
}

TEST(letters_may_be_bundled)
{
	EXPECT(PARSE("create", "-qfOqcow2", "a", "b"));
	EXPECT(args.option[OPT_QUIET].given && args.option[OPT_FORCE].given);
	EXPECT_STR(args.option[OPT_FORMAT].text, "qcow2");
}

TEST(the_codec_may_be_left_out_and_never_eats_an_operand)
{
	EXPECT(PARSE("create", "-c", "a", "b"));
	EXPECT(args.option[OPT_COMPRESS].given);
	EXPECT_STR(args.option[OPT_COMPRESS].text, "");
	EXPECT_EQ(args.nr_operands, 2);
	EXPECT(PARSE("create", "-czstd", "a", "b"));
	EXPECT_STR(args.option[OPT_COMPRESS].text, "zstd");
	EXPECT(PARSE("create", "-c=zlib:6", "a", "b"));
	EXPECT_STR(args.option[OPT_COMPRESS].text, "zlib:6");
	EXPECT(PARSE("create", "--compress=zstd:3", "a", "b"));
	EXPECT_STR(args.option[OPT_COMPRESS].text, "zstd:3");
}

TEST(pairs_are_cut_at_single_commas_and_add_up)
{
	EXPECT(PARSE("create", "-o", "cluster_size=2M,backing=a,,b", "-ox=", "a", "b"));
	EXPECT_EQ(args.nr_pairs, 3);
	EXPECT_STR(args.pairs[0].key, "cluster_size");
	EXPECT_STR(args.pairs[0].value, "2M");
	EXPECT_STR(args.pairs[1].key, "backing");
	EXPECT_STR(args.pairs[1].value, "a,b");
	EXPECT_STR(args.pairs[2].key, "x");
	EXPECT_STR(args.pairs[2].value, "");
}

TEST(choices_sizes_and_counts_are_read)
{
	EXPECT(PARSE("create", "--sparse=never", "--split=4G", "--threads=3", "a", "b"));
	EXPECT_EQ(args.option[OPT_SPARSE].number, PLATTER_SPARSE_NEVER);
	EXPECT_EQ(args.option[OPT_SPLIT].number, (uint64_t)4 << 30);
	EXPECT_EQ(args.option[OPT_THREADS].number, 3);
}

TEST(what_is_wrong_is_refused_in_words)
{
	static const struct {
		const char *word, *why;
	} wrong[] = {
		{ "--bogus", "unknown option '--bogus'" },
		{ "-x", "unknown option '-x'" },
		{ "--yes", "unknown option '--yes'" },
		{ "--s=auto", "option '--s' may be --sparse or --split" },
		{ "--quiet=1", "option '--quiet' takes no argument" },
		{ "--sparse=some", "--sparse is one of auto|always|never, not 'some'" },
		{ "--sparse=", "--sparse is one of auto|always|never, not ''" },
		{ "--split=0", "--split is a size like 4G, 4GiB or 650MB, not '0'" },
		{ "--threads=0", "--threads is a number from 1 to 1024, not '0'" },
		{ "--threads=-1", "--threads is a number from 1 to 1024, not '-1'" },
		{ "--threads=1x", "--threads is a number from 1 to 1024, not '1x'" },
		{ "--input-format=qcow9",
		  "--input-format is a format that 'platter formats' lists, not 'qcow9'" },
		{ "-ofoo", "option 'foo' is not KEY=VALUE" },
		{ "-o=1", "option '=1' is not KEY=VALUE" },
		{ "c", "unexpected argument 'c'" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT(!PARSE("create", "a", "b", wrong[i].word));
		EXPECT_STR(why, wrong[i].why);
	}
	EXPECT(!PARSE("compare", "a"));
	EXPECT_STR(why, "too few arguments: A B");
	EXPECT(!PARSE("create", "a", "b", "--format"));
	EXPECT_STR(why, "option '--format' needs an argument: NAME");
}

TEST(tests_of_find_may_have_one_dash)
{
	EXPECT(PARSE("find", "a", "-name", "*.c", "-size", "-1K", "-type=f", "-l"));
	EXPECT_STR(args.option[OPT_NAME].text, "*.c");
	EXPECT_STR(args.option[OPT_SIZE_TEST].text, "-1K");
	EXPECT(args.option[OPT_TYPE].given && args.option[OPT_LONG].given);
	EXPECT_EQ(args.nr_operands, 1);
	EXPECT(!PARSE("ls", "a", "-name", "b"));
}

TEST(json_is_known_where_the_rest_is_wrong)
{
	EXPECT(!PARSE("info", "--bogus", "--json"));
	EXPECT(args.json);
	EXPECT(!PARSE("compare", "--", "--json"));
	EXPECT(!args.json);
}

TEST(help_wins_over_missing_operands)
{
	EXPECT(PARSE("restore", "--help"));
	EXPECT(args.option[OPT_HELP].given);
}

TEST(no_letter_means_two_things)
{
	for (size_t i = 0; i < NR_OPTIONS; i++)
		for (size_t j = 0; j < i; j++)
			EXPECT(!option_table[i].letter ||
			       option_table[i].letter != option_table[j].letter);
}

static char *
manual(const char *verb)
{
	char path[512];
	char *text = calloc(1, 65536);
	FILE *f;

	snprintf(path, sizeof path, "%s/platter-%s.1", MANUALS, verb);
	f = fopen(path, "r");
	EXPECT(f && text);
	EXPECT(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return text;
}

/* Two options of one name mean the same to different things; one without an argument is another. */
static bool
takes_such(const struct verb *v, const struct option_info *info)
{
	for (enum option_id id = 0; id < NR_OPTIONS; id++)
		if (!strcmp(option_table[id].name, info->name) &&
		    !option_table[id].argument == !info->argument && verb_takes(v, id))
			return true;
	return false;
}

TEST(every_option_is_in_the_manual_and_no_other)
{
	for (const struct verb *v = verb_table; v->name; v++) {
		char *text = manual(v->name);

		for (enum option_id id = 0; id < NR_OPTIONS; id++) {
			const struct option_info *info = &option_table[id];
			char item[128], letter[16] = "";

			if (info->letter)
				snprintf(letter, sizeof letter, "Fl %c , ", info->letter);
			snprintf(item, sizeof item, "\n.It %sFl Fl %s%s", letter, info->name,
				 info->kind == OPTION_FLAG         ? "\n"
				 : info->kind == OPTION_MAYBE_TEXT ? " Ns Op = Ns Ar "
								   : " Ns = Ns Ar ");
			if (takes_such(v, info) != (strstr(text, item) != NULL))
				pl_test_fail(__FILE__, __LINE__, "--%s of %s", info->name, v->name);
		}
		free(text);
	}
}
