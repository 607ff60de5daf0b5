/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-packs.c - CD-TEXT that is made of a disc's texts */
#include "disc.h"
#include "test.h"

static struct platter_error err = PLATTER_ERROR_INIT;

TEST(texts_made_into_packs_are_the_same_texts)
{
	struct pl_disc *disc = pl_disc_new(&err), *again = pl_disc_new(&err);
	struct platter_track t = { .session = 1, .mode = PLATTER_TRACK_AUDIO };
	struct pl_disc_run run = { .nr = 10 };
	PL_AUTOFREE uint8_t *packs = NULL;
	size_t n;

	disc->info.text.title = "A title that is longer than one pack";
	disc->info.text.genre = "Noise";
	for (uint32_t i = 0; i < 3; i++) {
		t.number = i + 5;
		t.start = run.lba = 10 * (int64_t)i;
		t.text.title = i == 1 ? ""
				      : "Stra\xc3\x9f"
					"e \xe2\x82\xac";
		t.text.performer = i == 1 ? "Exactly 11c" : "";
		EXPECT_OK(pl_disc_add_track(disc, &t, &run.track, &err));
		EXPECT_OK(pl_disc_add_run(disc, &run, &err));
		t.text = (struct platter_disc_text){ 0 };
		EXPECT_OK(pl_disc_add_track(again, &t, NULL, &err));
	}
	EXPECT_OK(pl_disc_finish(disc, &err));
	EXPECT_OK(pl_disc_make_cdtext(disc, &packs, &n, &err));
	EXPECT_EQ(n % 18, 0);
	pl_disc_take_cdtext(again, packs, n);
	EXPECT_STR(again->info.text.title, disc->info.text.title);
	EXPECT_STR(again->info.text.genre, "Noise");
	/* ISO 8859-1 has no euro sign. */
	EXPECT_STR(again->tracks[0].text.title, "Stra\xc3\x9f"
						"e ?");
	EXPECT_STR(again->tracks[1].text.title, "");
	EXPECT_STR(again->tracks[1].text.performer, "Exactly 11c");
	EXPECT_STR(again->tracks[2].text.title, "Stra\xc3\x9f"
						"e ?");
	/* The last three packs tell how many there are of each kind. */
	EXPECT_EQ(packs[n - 54], 0x8f);
	EXPECT_EQ(packs[n - 54 + 5], 5);
	EXPECT_EQ(packs[n - 54 + 6], 7);
	EXPECT_EQ(packs[n - 36 + 4 + 7], 3);
	EXPECT_EQ(packs[n - 36 + 4 + 8], n / 18 - 1);
	pl_disc_unref(disc);
	pl_disc_unref(again);
}

TEST(a_disc_without_texts_has_no_packs)
{
	struct pl_disc *disc = pl_disc_new(&err);
	struct platter_track t = { .number = 1, .session = 1, .mode = PLATTER_TRACK_AUDIO };
	struct pl_disc_run run = { .nr = 10 };
	PL_AUTOFREE uint8_t *packs = NULL;
	size_t n = 1;

	EXPECT_OK(pl_disc_add_track(disc, &t, NULL, &err));
	EXPECT_OK(pl_disc_add_run(disc, &run, &err));
	EXPECT_OK(pl_disc_finish(disc, &err));
	EXPECT_OK(pl_disc_make_cdtext(disc, &packs, &n, &err));
	EXPECT_EQ(n, 0);
	pl_disc_unref(disc);
}
