/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-explain.c - rules are whole, and what is concluded has its reason */
#include <string.h>

#include "explain.h"
#include "storage.h"
#include "test.h"

static struct platter_error err;
static struct pl_arena arena;

static struct pl_clues
clues_of(const struct pl_clue *list, size_t nr)
{
	struct pl_clues c = { .arena = &arena };

	for (size_t i = 0; i < nr; i++)
		pl_clue_add(&c, list[i].kind, list[i].value, list[i].shown);
	return c;
}

static bool
is_sentence(const char *text)
{
	return text && *text >= 'A' && *text <= 'Z' && text[strlen(text) - 1] == '.';
}

TEST(every_rule_says_all_that_it_has_to)
{
	for (size_t i = 0; i < pl_nr_purpose_rules; i++) {
		const struct pl_purpose_rule *r = &pl_purpose_rules[i];
		bool last = i + 1 == pl_nr_purpose_rules;

		EXPECT(r->id && strspn(r->id, "abcdefghijklmnopqrstuvwxyz-") == strlen(r->id));
		EXPECT(is_sentence(r->purpose) && is_sentence(r->removal));
		/* Only the last holds without a condition, and it is there. */
		EXPECT_EQ(r->when[0].kind == PL_CLUE_NONE, last);
		if (r->how == PL_DATA_FIXED)
			EXPECT(r->data_because && *r->data_because &&
			       !is_sentence(r->data_because));
		else
			EXPECT(!r->data_because && !r->data);
	}
	for (size_t i = 0; i < pl_nr_origin_rules; i++)
		EXPECT(is_sentence(pl_origin_rules[i].origin));
	EXPECT_EQ(pl_origin_rules[pl_nr_origin_rules - 1].when[0].kind, PL_CLUE_NONE);
	for (size_t i = 0; i < pl_nr_advice_rules; i++)
		EXPECT(pl_advice_rules[i].when[0].kind && pl_advice_rules[i].what &&
		       pl_advice_rules[i].command && pl_advice_rules[i].system);
}

/* An advice that erases or deletes must be tied to what kind of thing it erases. */
TEST(advice_that_destroys_says_of_what)
{
	for (size_t i = 0; i < pl_nr_advice_rules; i++) {
		const struct pl_advice_rule *r = &pl_advice_rules[i];
		bool destroys = !strncmp(r->command, "rm ", 3) || strstr(r->command, " wipe ") ||
				strstr(r->command, "--delete");
		bool whole_or_part = false;

		for (size_t c = 0; c < PL_MAX_CONDITIONS; c++)
			whole_or_part = whole_or_part || r->when[c].kind == PL_CLUE_SIZE;
		EXPECT(!destroys || (r->when[0].kind == PL_CLUE_KIND && whole_or_part));
	}
}

TEST(reasons_are_the_clues_that_met_the_conditions)
{
	static const struct pl_clue list[] = {
		{ PL_CLUE_TYPE, "0x07", "0x07 (NTFS, exFAT or HPFS)" },
		{ PL_CLUE_CONTENT, "ntfs", "ntfs (NTFS)" },
		{ PL_CLUE_PATH, "Windows/System32", NULL },
		{ PL_CLUE_BESIDE, "0xaf", "0xaf (Apple HFS or HFS+)" },
	};
	struct pl_clues c = clues_of(list, ARRAY_SIZE(list));
	static const struct pl_condition both[PL_MAX_CONDITIONS] = {
		{ PL_CLUE_PATH, "nothing|windows/SYSTEM32" }, { PL_CLUE_BESIDE, "0xab|0xaf" }
	};
	static const struct pl_condition third[PL_MAX_CONDITIONS] = {
		{ PL_CLUE_PATH, "Windows/System32" }, { PL_CLUE_LABEL, "*" }
	};
	static const struct pl_condition all[PL_MAX_CONDITIONS] = {
		{ PL_CLUE_TYPE, "0x07" },
		{ PL_CLUE_CONTENT, "nt*" },
		{ PL_CLUE_PATH, "*" },
		{ PL_CLUE_BESIDE, "*" },
	};
	static const struct pl_condition none[PL_MAX_CONDITIONS] = { { PL_CLUE_NONE, NULL } };
	const char *because = NULL;

	EXPECT(pl_clues_meet(&c, both, &because));
	EXPECT_STR(because,
		   "it has '/Windows/System32', and on the same disk is a partition of type "
		   "0xaf (Apple HFS or HFS+)");
	EXPECT(!pl_clues_meet(&c, third, &because));
	EXPECT(pl_clues_meet(&c, all, NULL));
	EXPECT(pl_clues_meet(&c, none, &because));
	EXPECT_STR(because, "");
	pl_arena_done(&arena);
}

/* A pattern longer than there is room for, and none at all, match nothing. */
TEST(patterns_without_sense_match_nothing)
{
	char pattern[400];
	static const struct pl_clue list[] = { { PL_CLUE_LABEL, "x", NULL } };
	struct pl_clues c = clues_of(list, 1);
	struct pl_condition when[PL_MAX_CONDITIONS] = { { PL_CLUE_LABEL, "" } };

	EXPECT(!pl_clues_meet(&c, when, NULL));
	memset(pattern, '*', sizeof pattern - 1);
	pattern[sizeof pattern - 1] = '\0';
	when[0].patterns = pattern;
	EXPECT(!pl_clues_meet(&c, when, NULL));
	pl_arena_done(&arena);
}

/* An MBR with these types, a MiB each from the first MiB on. */
static struct pl_place *
mbr_disk(const uint8_t *types, size_t nr)
{
	uint8_t *bytes = calloc(1, MIB(5));
	struct pl_place *place;
	struct pl_disk *disk;

	EXPECT(bytes);
	for (size_t i = 0; i < nr; i++) {
		uint8_t *entry = bytes + 446 + 16 * i;

		entry[4] = types[i];
		put_le32(entry + 8, (uint32_t)(2048 * (i + 1)));
		put_le32(entry + 12, 2048);
	}
	put_le16(bytes + 510, 0xaa55);
	EXPECT_OK(pl_memory_new(bytes, MIB(5), "disk", &disk, &err));
	free(bytes);
	EXPECT_OK(pl_place_of_leaf(disk, &place, &err));
	return place;
}

TEST(types_of_an_mbr_are_told_apart)
{
	static const uint8_t types[] = { 0x27, 0x12, 0xab, 0x42 };
	static const char *const ids[] = { "windows-recovery", "oem-restore", "apple-boot",
					   "windows-dynamic" };
	struct pl_place *place = mbr_disk(types, ARRAY_SIZE(types));
	struct platter_explained e = { 0 };

	EXPECT_OK(pl_explain_disk(place, NULL, NULL, &arena, &e, &err));
	EXPECT_STR(e.id, "disk");
	EXPECT_STR(e.because, "it has a partition table (MBR partition table)");
	EXPECT_EQ(e.nr_parts, ARRAY_SIZE(ids));
	for (size_t i = 0; i < e.nr_parts; i++)
		EXPECT_STR(e.parts[i].id, ids[i]);
	EXPECT_EQ(e.data, PLATTER_DATA_UNKNOWN);
	EXPECT_EQ(e.parts[2].data, PLATTER_DATA_NONE);
	EXPECT_EQ(e.parts[2].size, MIB(1));
	EXPECT(strstr(e.parts[2].because, "0xab (Apple boot)"));
	pl_place_close(place);
	pl_arena_done(&arena);
}

/* The disk ends in the second partition, and before the third. */
TEST(disk_that_is_cut_short_is_explained)
{
	static const uint8_t types[] = { 0x27, 0x12, 0xab };
	struct pl_place *place = mbr_disk(types, ARRAY_SIZE(types));
	struct platter_explained e = { 0 };

	place->disk->size = MIB(2) + 512;
	EXPECT_OK(pl_explain_disk(place, NULL, NULL, &arena, &e, &err));
	EXPECT_EQ(e.nr_parts, 3);
	EXPECT_STR(e.parts[2].id, "apple-boot");
	pl_place_close(place);
	pl_arena_done(&arena);
}
