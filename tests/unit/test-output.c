/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the command prints: nothing a hostile name holds reaches the terminal raw. */
#include "output.h"

#include <inttypes.h>
#include <stdlib.h>

#include "test.h"

static char *printed;
static size_t printed_length;

static FILE *
page(void)
{
	free(printed);
	printed = NULL;
	return open_memstream(&printed, &printed_length);
}

static const char *
said(const char *text)
{
	FILE *f = page();

	say(f, "%s", text);
	fclose(f);
	printed[strcspn(printed, "\n")] = '\0';
	return printed;
}

TEST(control_characters_and_broken_utf8_are_shown_as_bytes)
{
	EXPECT_STR(said("home"), "home");
	EXPECT_STR(said("h\xc3\xb6me \xe2\x82\xac \xf0\x9f\x92\xbe"),
		   "h\xc3\xb6me \xe2\x82\xac \xf0\x9f\x92\xbe");
	EXPECT_STR(said("a\033[31mb\r\nc\x7f"), "a\\x1b[31mb\\x0d\\x0ac\\x7f");
	EXPECT_STR(said("\xc2\x9b"), "\\xc2\\x9b");          /* C1 control */
	EXPECT_STR(said("\xe2\x80\xae"), "\\xe2\\x80\\xae"); /* right-to-left override */
	EXPECT_STR(said("\xff"), "\\xff");
	EXPECT_STR(said("\xc3"), "\\xc3");                            /* cut short */
	EXPECT_STR(said("\xc0\xaf"), "\\xc0\\xaf");                   /* overlong */
	EXPECT_STR(said("\xed\xa0\x80"), "\\xed\\xa0\\x80");          /* surrogate */
	EXPECT_STR(said("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"); /* past U+10FFFF */
}

TEST(shell_words_are_quoted_where_they_must_be)
{
	static const char *const words[][2] = {
		{ "disk-1.img@2", "disk-1.img@2" }, { "", "''" },         { "a b", "'a b'" },
		{ "it's", "'it'\\''s'" },           { "$(x)", "'$(x)'" }, { "a?b=c", "'a?b=c'" }
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		AUTOFREE char *quoted = shell_quoted(words[i][0]);

		EXPECT_STR(quoted, words[i][1]);
	}
}

TEST(articles_follow_the_sound_of_the_word)
{
	static const char *const words[][2] = {
		{ "a", "QCOW2" },
		{ "a", "raw image" },
		{ "an", "MBR" },
		{ "a", "GPT" },
		{ "an", "APM" },
		{ "an", "NTFS" },
		{ "a", "FAT32" },
		{ "a", "UDF" },
		{ "a", "LUKS" },
		{ "an", "ISO 9660" },
		{ "an", "Apple HFS Plus" },
		{ "a", "Linux ext4" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		EXPECT_STR(article(words[i][1]), words[i][0]);
}

TEST(tables_align_and_leave_out_empty_columns)
{
	static const char *const headings[] = { ">No", "Name", "Flags", "Size" };
	struct table t;
	FILE *f = page();

	table_init(&t, headings, ARRAY_SIZE(headings));
	for (int i = 9; i <= 10; i++) {
		table_cell(&t, "%d", i);
		table_cell(&t, "%s", i == 9 ? "a" : "");
		table_cell(&t, "%s", "");
		table_cell(&t, "%s", "1K");
	}
	table_print(&t, f, " ");
	fclose(f);
	EXPECT_STR(printed, " No  Name  Size\n"
			    "  9  a     1K\n"
			    " 10        1K\n");
}

/* Print a bar of `nr` parts of equal length from malloc()ed memory; returns its columns. */
static size_t
bar(uint64_t size, uint64_t length, size_t nr)
{
	struct bar_part *parts = calloc(nr + 1, sizeof *parts);
	FILE *f = page();

	for (size_t i = 0; i < nr; i++)
		parts[i] =
			(struct bar_part){ i * length, length, i % 2 ? NULL : text_of("%zu", i) };
	bar_print(f, "  ", size, parts, nr);
	fclose(f);
	printed[strcspn(printed, "\n")] = '\0';
	return text_width(printed);
}

TEST(bars_keep_within_the_line_whatever_the_table_says)
{
	EXPECT_EQ(bar(100, 50, 2), 79);
	EXPECT_EQ(bar(100, 1, 100), 79);
	EXPECT_EQ(bar(100, 0, 5), 79);
	EXPECT_EQ(bar(1, UINT64_MAX, 1), 79);
	EXPECT_EQ(bar(1, UINT64_MAX / 2, 3), 79);
	EXPECT_EQ(bar(0, 0, 1), 0);
	EXPECT_EQ(bar(100, 10, 0), 0);
}

TEST(json_numbers_keep_their_value)
{
	json_t *n = json_number(INT64_MAX);

	EXPECT_EQ(json_integer_value(n), INT64_MAX);
	json_decref(n);
	n = json_number((uint64_t)INT64_MAX + 1);
	EXPECT_STR(json_string_value(n), "9223372036854775808");
	json_decref(n);
	EXPECT(json_is_null(json_number(UINT64_MAX)));
}

TEST(json_text_replaces_what_is_no_utf8)
{
	json_t *text = json_text("a\xff\xc3\xb6");

	EXPECT_STR(json_string_value(text), "a\xef\xbf\xbd\xc3\xb6");
	json_decref(text);
	EXPECT(json_is_null(json_text(NULL)));
}

TEST(a_fact_told_twice_is_an_array)
{
	const struct platter_fact list[] = {
		{ "feature", "Feature", PLATTER_FACT_TEXT, "dirty", 0 },
		{ "version", "Version", PLATTER_FACT_NUMBER, "", 3 },
		{ "feature", "Feature", PLATTER_FACT_TEXT, "corrupt", 0 },
		{ "feature", "Feature", PLATTER_FACT_FLAG, "", 1 },
	};
	json_t *facts = json_facts(&(struct platter_facts){ list, ARRAY_SIZE(list), NULL, 0 });
	AUTOFREE char *text = json_dumps(facts, JSON_COMPACT);

	EXPECT_STR(text, "{\"feature\":[\"dirty\",\"corrupt\",true],\"version\":3}");
	json_decref(facts);
}
