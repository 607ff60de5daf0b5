/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-mapfile.c - the blocks of a mapfile, and its text */
#include <stdio.h>

#include "disk.h"
#include "mapfile.h"
#include "test.h"

static struct platter_error err;

/* As a string of one status a byte, which is what blocks are held against. */
static void
expect_statuses(const struct pl_mapfile *m, const char *wanted, size_t n)
{
	uint64_t at = 0, sums[256] = { 0 };
	const struct pl_block *b, *before = NULL;

	EXPECT_EQ(m->size, n);
	for (size_t i = 0; (b = pl_mapfile_block(m, i)); i++) {
		EXPECT_EQ(b->offset, at);
		EXPECT(b->length > 0);
		EXPECT(!before || before->status != b->status);
		for (uint64_t k = 0; k < b->length; k++)
			EXPECT_EQ((int)b->status, wanted[at + k]);
		EXPECT_EQ(pl_mapfile_find(m, at + b->length - 1), i);
		at += b->length;
		before = b;
	}
	EXPECT_EQ(at, n);
	for (size_t i = 0; i < n; i++)
		sums[(unsigned char)wanted[i]]++;
	for (const char *s = "?*/-+"; *s; s++)
		EXPECT_EQ(pl_mapfile_bytes(m, (enum pl_block_status) * s), sums[(unsigned char)*s]);
}

TEST(a_new_map_is_untried)
{
	struct pl_mapfile m;

	EXPECT_OK(pl_mapfile_init(&m, 5, &err));
	expect_statuses(&m, "?????", 5);
	pl_mapfile_done(&m);
}

/* Thousands of changes at random, each held against the string. */
TEST(blocks_are_what_was_set)
{
	static const char statuses[] = "?*/-+";
	char model[200];
	struct pl_mapfile m;
	unsigned seed = 7;

	memset(model, '?', sizeof model);
	EXPECT_OK(pl_mapfile_init(&m, sizeof model, &err));
	for (int i = 0; i < 4000; i++) {
		size_t offset = (size_t)rand_r(&seed) % sizeof model;
		size_t length = (size_t)rand_r(&seed) % (sizeof model - offset + 1);
		char status = statuses[rand_r(&seed) % 5];
		bool keep = i % 3 == 0;

		if (i % 4)
			length = PL_MIN(length, (size_t)5);
		if (keep)
			EXPECT_OK(pl_mapfile_set_unfinished(&m, offset, length,
							    (enum pl_block_status)status, &err));
		else
			EXPECT_OK(pl_mapfile_set(&m, offset, length, (enum pl_block_status)status,
						 &err));
		for (size_t k = offset; k < offset + length; k++)
			if (!keep || model[k] != '+')
				model[k] = status;
		expect_statuses(&m, model, sizeof model);
	}
	EXPECT_EQ(pl_mapfile_set(&m, 199, 2, PL_BLOCK_BAD, &err), -ERANGE);
	pl_mapfile_done(&m);
}

static const char text[] = "# Mapfile. Created by GNU ddrescue version 1.27\n"
			   "# Command line: ddrescue /dev/sdb a.img a.map\n"
			   "# Device: /dev/sdb\n"
			   "# current_pos  current_status  current_pass\n"
			   "0x00120000     *               2\n"
			   "#      pos        size  status\n"
			   "0x00000000  0x00000400  +\n"
			   "0x00000400  512  -\n"
			   "0x00000800  01000  /\n"
			   "\n"
			   "0x00000A00  0x00000600  *\n";

TEST(text_of_ddrescue_is_read)
{
	struct pl_mapfile m;
	struct pl_block run;

	EXPECT_OK(pl_mapfile_parse(text, sizeof text - 1, &m, &err));
	EXPECT_EQ(m.position, 0x120000);
	EXPECT_EQ(m.phase, '*');
	EXPECT_EQ(m.pass, 2);
	EXPECT_STR(m.device, "/dev/sdb");
	EXPECT_EQ(m.size, 0x1000);
	/* What no line tells of is untried. */
	EXPECT_EQ(pl_mapfile_bytes(&m, PL_BLOCK_UNTRIED), 0x200);
	EXPECT(pl_mapfile_next(&m, 0, m.size, "*/", &run));
	EXPECT_EQ(run.offset, 0x800);
	EXPECT(pl_mapfile_next(&m, 0x900, m.size, "/", &run));
	EXPECT_EQ(run.offset, 0x900);
	EXPECT_EQ(run.length, 0x100);
	EXPECT(pl_mapfile_previous(&m, 0, 0x500, "-", &run));
	EXPECT_EQ(run.offset, 0x400);
	EXPECT_EQ(run.length, 0x100);
	EXPECT(!pl_mapfile_previous(&m, 0x600, 0x800, "-", &run));
	EXPECT(!pl_mapfile_next(&m, 0x400, 0x400, "-", &run));
	pl_mapfile_done(&m);
}

TEST(text_comes_back)
{
	struct pl_mapfile m, again;
	char *first, *second;

	EXPECT_OK(pl_mapfile_parse(text, sizeof text - 1, &m, &err));
	first = pl_mapfile_text(&m);
	EXPECT(pl_mapfile_begins(first, strlen(first)));
	EXPECT_OK(pl_mapfile_parse(first, strlen(first), &again, &err));
	second = pl_mapfile_text(&again);
	EXPECT_STR(first, second);
	EXPECT_EQ(again.nr, m.nr);
	free(first);
	free(second);
	pl_mapfile_done(&m);
	pl_mapfile_done(&again);
}

TEST(map_without_end_is_cut)
{
	static const char open_end[] = "0 +\n0 512 +\n512 0x7ffffffffffffdff -\n";
	struct pl_mapfile m;

	EXPECT_OK(pl_mapfile_parse(open_end, strlen(open_end), &m, &err));
	EXPECT_EQ(m.size, INT64_MAX);
	pl_mapfile_cut_open_end(&m, 515);
	EXPECT_EQ(m.size, 515);
	EXPECT_EQ(pl_mapfile_bytes(&m, PL_BLOCK_BAD), 3);
	pl_mapfile_cut_open_end(&m, 5);
	EXPECT_EQ(m.size, 515);
	pl_mapfile_done(&m);
	EXPECT_OK(pl_mapfile_parse(open_end, strlen(open_end), &m, &err));
	pl_mapfile_cut_open_end(&m, 512);
	EXPECT_EQ(m.nr, 1);
	EXPECT_EQ(pl_mapfile_bytes(&m, PL_BLOCK_BAD), 0);
	pl_mapfile_done(&m);
}

/* Each is refused, with the words. */
static const struct {
	const char *text, *words;
} broken[] = {
	{ "", "no line" },
	{ "# Mapfile.\n", "no line" },
	{ "x + 1\n", "line 1" },
	{ "0 x 1\n", "line 1" },
	{ "0 + 1 1\n", "line 1" },
	{ "0 + one\n", "line 1" },
	{ "0 +\n0 512\n", "line 2" },
	{ "0 +\n0 512 ++\n", "line 2" },
	{ "0 +\n0 512 F\n", "line 2" },
	{ "0 +\n0 512 + 1\n", "line 2" },
	{ "0 +\n0 0 +\n", "line 2" },
	{ "0 +\n-1 512 +\n", "line 2" },
	{ "0 +\n0 0x1ffffffffffffffff +\n", "line 2" },
	{ "0 +\n512 0x7fffffffffffffff +\n", "line 2" },
	{ "0 +\n0 512 +\n511 512 -\n", "line 3" },
};

TEST(broken_text_is_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		struct pl_mapfile m;

		err = (struct platter_error)PLATTER_ERROR_INIT;
		EXPECT_EQ(pl_mapfile_parse(broken[i].text, strlen(broken[i].text), &m, &err),
			  -EUCLEAN);
		if (!strstr(err.message, broken[i].words))
			pl_test_fail(__FILE__, __LINE__, "'%s' does not say '%s'", err.message,
				     broken[i].words);
	}
}

/* What is lost reads as zeros, whatever stands there, on a leaf and in what stands on it. */
TEST(lost_parts_of_a_disk_are_bad)
{
	static const char lost[] = "0 +\n0 8 +\n8 4 -\n12 4 ?\n16 4 +\n";
	PL_AUTOUNREF struct pl_disk *leaf = NULL, *slice = NULL;
	struct pl_mapfile *m = malloc(sizeof *m);
	enum platter_kind kind;
	uint64_t length;
	char got[22];

	EXPECT_OK(pl_memory_new("abcdefghijklmnopqrstuvwx", 24, "leaf", &leaf, &err));
	EXPECT_OK(pl_mapfile_parse(lost, strlen(lost), m, &err));
	pl_disk_set_lost(leaf, m);
	EXPECT_OK(pl_slice_new(leaf, 2, 22, "slice", &slice, &err));
	EXPECT_OK(pl_span(slice, 0, 22, &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_DATA);
	EXPECT_EQ(length, 6);
	EXPECT_OK(pl_span(slice, 6, 16, &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_BAD);
	EXPECT_EQ(length, 8);
	EXPECT_OK(pl_read(slice, got, 22, 0, &err));
	EXPECT_MEM(got, "cdefgh\0\0\0\0\0\0\0\0qrstuvwx", 22);
}
