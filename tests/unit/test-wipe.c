/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-wipe.c - what passes write, where, and how far a wipe came */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "checksums.h"
#include "fake-hardware.h"
#include "wipe.h"

static struct platter_error err;
static const uint8_t no_seed[PL_WIPE_SEED];

/* Gutmann 1996, table 1, as it is printed. */
static const struct {
	unsigned pass; /* from 1 */
	uint8_t byte[3];
} gutmann[] = {
	{ 5, { 0x55, 0x55, 0x55 } },  { 6, { 0xaa, 0xaa, 0xaa } },  { 7, { 0x92, 0x49, 0x24 } },
	{ 8, { 0x49, 0x24, 0x92 } },  { 9, { 0x24, 0x92, 0x49 } },  { 10, { 0x00, 0x00, 0x00 } },
	{ 11, { 0x11, 0x11, 0x11 } }, { 12, { 0x22, 0x22, 0x22 } }, { 13, { 0x33, 0x33, 0x33 } },
	{ 14, { 0x44, 0x44, 0x44 } }, { 15, { 0x55, 0x55, 0x55 } }, { 16, { 0x66, 0x66, 0x66 } },
	{ 17, { 0x77, 0x77, 0x77 } }, { 18, { 0x88, 0x88, 0x88 } }, { 19, { 0x99, 0x99, 0x99 } },
	{ 20, { 0xaa, 0xaa, 0xaa } }, { 21, { 0xbb, 0xbb, 0xbb } }, { 22, { 0xcc, 0xcc, 0xcc } },
	{ 23, { 0xdd, 0xdd, 0xdd } }, { 24, { 0xee, 0xee, 0xee } }, { 25, { 0xff, 0xff, 0xff } },
	{ 26, { 0x92, 0x49, 0x24 } }, { 27, { 0x49, 0x24, 0x92 } }, { 28, { 0x24, 0x92, 0x49 } },
	{ 29, { 0x6d, 0xb6, 0xdb } }, { 30, { 0xb6, 0xdb, 0x6d } }, { 31, { 0xdb, 0x6d, 0xb6 } },
};

TEST(gutmann_is_the_table_with_random_passes_around_it)
{
	const struct pl_wipe_method *m = pl_wipe_method_by_name("gutmann");

	EXPECT_EQ(m->info.nr_passes, 35);
	for (unsigned i = 0; i < 4; i++)
		EXPECT(m->pattern[i].nr == 0 && m->pattern[31 + i].nr == 0);
	for (size_t i = 0; i < ARRAY_SIZE(gutmann); i++) {
		uint8_t bytes[7];

		EXPECT_OK(pl_wipe_bytes(m->pattern[gutmann[i].pass - 1], 0, no_seed, 3, bytes,
					sizeof bytes, &err));
		for (size_t k = 0; k < sizeof bytes; k++)
			EXPECT_EQ(bytes[k], gutmann[i].byte[k % 3]);
	}
}

static int
by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct pl_wipe_pattern));
}

TEST(order_of_gutmanns_passes_is_chosen_by_the_seed)
{
	const struct pl_wipe_method *m = pl_wipe_method_by_name("gutmann");
	struct pl_wipe_pattern a[PL_WIPE_MAX_PASSES], b[PL_WIPE_MAX_PASSES], table[35];
	uint8_t other[PL_WIPE_SEED] = { 1 };

	EXPECT_OK(pl_wipe_order(m, no_seed, a, &err));
	EXPECT_OK(pl_wipe_order(m, other, b, &err));
	EXPECT(memcmp(a, b, sizeof table) != 0);
	EXPECT_OK(pl_wipe_order(m, other, a, &err));
	EXPECT_MEM(a, b, sizeof table);
	for (unsigned i = 0; i < 4; i++)
		EXPECT(a[i].nr == 0 && a[31 + i].nr == 0);
	memcpy(table, m->pattern, sizeof table);
	qsort(table, 35, sizeof *table, by_bytes);
	qsort(a, 35, sizeof *a, by_bytes);
	EXPECT_MEM(a, table, sizeof table);
}

TEST(methods_of_few_passes_keep_their_order)
{
	static const char *const names[] = { "dod", "apple-3", "apple-7", "zero", "random" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct pl_wipe_method *m = pl_wipe_method_by_name(names[i]);
		struct pl_wipe_pattern order[PL_WIPE_MAX_PASSES];

		EXPECT_OK(pl_wipe_order(m, no_seed, order, &err));
		EXPECT_MEM(order, m->pattern, m->info.nr_passes * sizeof *order);
	}
}

TEST(random_bytes_are_aes_256_in_counter_mode)
{
	/* AES-256 of a block of zeros under a key of zeros. */
	static const uint8_t first[16] = { 0xdc, 0x95, 0xc0, 0x78, 0xa2, 0x40, 0x89, 0x89,
					   0xad, 0x48, 0xa2, 0x14, 0x92, 0x84, 0x20, 0x87 };
	uint8_t bytes[16], other[16];

	EXPECT_OK(pl_wipe_bytes((struct pl_wipe_pattern){ 0 }, 0, no_seed, 0, bytes, 16, &err));
	EXPECT_MEM(bytes, first, 16);
	EXPECT_OK(pl_wipe_bytes((struct pl_wipe_pattern){ 0 }, 1, no_seed, 0, other, 16, &err));
	EXPECT(memcmp(bytes, other, 16) != 0);
}

TEST(bytes_depend_on_nothing_but_their_offset)
{
	static const struct pl_wipe_pattern patterns[] = { { 0, { 0 } },
							   { 1, { 0xf6, 0, 0 } },
							   { 3, { 0x92, 0x49, 0x24 } } };
	uint8_t whole[300], part[300];

	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		EXPECT_OK(pl_wipe_bytes(patterns[i], 2, no_seed, 0, whole, sizeof whole, &err));
		for (size_t at = 0; at < 60; at++)
			for (size_t n = 0; n < 200; n += 13) {
				EXPECT_OK(
					pl_wipe_bytes(patterns[i], 2, no_seed, at, part, n, &err));
				EXPECT_MEM(part, whole + at, n);
			}
	}
}

TEST(every_method_has_a_name_and_words_of_its_own)
{
	const struct pl_wipe_method *m;

	for (size_t i = 0; (m = pl_wipe_method(i)); i++) {
		EXPECT(pl_wipe_method_by_name(m->info.name) == m);
		EXPECT(*m->info.title && *m->info.details);
		EXPECT((m->pattern != NULL) == (m->info.nr_passes > 0));
		if (m->how == PL_WIPE_ERASE)
			EXPECT(pl_wipe_method_by_erase(m->erase) == m);
	}
	EXPECT(pl_wipe_method_by_name("auto") == NULL);
}

TEST(best_purge_of_what_a_drive_offers)
{
	const unsigned all = PL_ERASE_TRIM * 2 - 1;

	EXPECT_EQ(pl_wipe_best_purge(all, false), PL_ERASE_NVME_SANITIZE_BLOCK);
	EXPECT_EQ(pl_wipe_best_purge(PL_ERASE_NVME_FORMAT | PL_ERASE_NVME_SANITIZE_CRYPTO, false),
		  PL_ERASE_NVME_SANITIZE_CRYPTO);
	EXPECT_EQ(pl_wipe_best_purge(PL_ERASE_NVME_FORMAT | PL_ERASE_TRIM, false),
		  PL_ERASE_NVME_FORMAT);
	/* What is not in a list is never found there. */
	for (unsigned how = 1; how; how <<= 1) {
		unsigned flash = pl_wipe_best_purge(how, false);
		unsigned disk = pl_wipe_best_purge(how, true);

		EXPECT((flash == 0 || flash == how) && (disk == 0 || disk == how));
	}
	EXPECT_EQ(pl_wipe_best_purge(PL_ERASE_TRIM, false), 0);
	EXPECT_EQ(pl_wipe_best_purge(0, false), 0);
	/* Rev. 1 accepts enhanced secure erase of hard disks, not of flash, and the normal one never. */
	EXPECT_EQ(pl_wipe_best_purge(PL_ERASE_ATA_SECURITY | PL_ERASE_ATA_SECURITY_ENHANCED, true),
		  PL_ERASE_ATA_SECURITY_ENHANCED);
	EXPECT_EQ(pl_wipe_best_purge(PL_ERASE_ATA_SECURITY | PL_ERASE_ATA_SECURITY_ENHANCED, false),
		  0);
	EXPECT_EQ(pl_wipe_best_purge(PL_ERASE_ATA_SECURITY | PL_ERASE_TRIM, true), 0);
}

TEST(extents_that_touch_are_one_and_others_never_join)
{
	struct pl_extents x = { 0 };
	uint32_t crc;

	EXPECT_OK(pl_extents_add(&x, 0, 10, &err));
	EXPECT_OK(pl_extents_add(&x, 10, 20, &err));
	EXPECT_OK(pl_extents_add(&x, 30, 30, &err));
	EXPECT_OK(pl_extents_add(&x, 21, 22, &err));
	EXPECT(x.nr == 2 && x.bytes == 21);
	EXPECT(x.range[0].end == 20 && x.range[1].start == 21);
	crc = pl_extents_crc(&x);
	for (uint64_t i = 100; i < 3000000; i += 2)
		EXPECT_OK(pl_extents_add(&x, i, i + 1, &err));
	EXPECT_EQ(x.nr, 2 + (3000000 - 100) / 2);
	EXPECT(pl_extents_crc(&x) != crc);
	pl_extents_done(&x);
}

static void
check_sample(struct pl_wipe *w, double share)
{
	size_t i = 0;

	EXPECT_OK(pl_wipe_find_sample(w, share, &err));
	EXPECT(w->sample.bytes >= (uint64_t)(share * (double)w->extents.bytes * 0.99));
	EXPECT(w->sample.bytes <= (uint64_t)((share + 0.05) * (double)w->extents.bytes));
	EXPECT_EQ(w->sample.range[0].start, w->extents.range[0].start);
	EXPECT_EQ(w->sample.range[w->sample.nr - 1].end, w->extents.range[w->extents.nr - 1].end);
	for (size_t s = 0; s < w->sample.nr; s++) {
		while (w->extents.range[i].end < w->sample.range[s].end)
			i++;
		EXPECT(w->sample.range[s].start >= w->extents.range[i].start);
	}
	pl_extents_done(&w->sample);
}

TEST(sample_is_the_share_that_was_asked_for_from_everywhere)
{
	struct pl_wipe w = { 0 };

	EXPECT_OK(pl_extents_add(&w.extents, MIB(1), GIB(1), &err));
	check_sample(&w, 0.1);
	check_sample(&w, 0.5);
	pl_extents_done(&w.extents);
	for (uint64_t i = 1; i < 2000; i++)
		EXPECT_OK(pl_extents_add(&w.extents, MIB(i), MIB(i) + KIB(512), &err));
	check_sample(&w, 0.1);
	pl_extents_done(&w.extents);
	EXPECT_OK(pl_extents_add(&w.extents, 0, MIB(1), &err));
	EXPECT_OK(pl_wipe_find_sample(&w, 0.1, &err));
	EXPECT_EQ(w.sample.nr, 0);
	pl_extents_done(&w.extents);
}

static struct pl_wipe_state
a_state(void)
{
	struct pl_wipe_state s = {
		.method = pl_wipe_method_by_name("dod"),
		.seed = { 1, 2, 0xff },
		.drive_size = MIB(100),
		.drive = "Model with blanks\tSERIAL",
		.offset = MIB(1),
		.size = MIB(64),
		.part = PLATTER_WIPE_FREE_SPACE,
		.nr_extents = 7,
		.bytes = MIB(32),
		.extents_crc = 0xdeadbeef,
		.verify = PLATTER_WIPE_VERIFY_SAMPLE,
		.share = 0.125,
		.started = 1796000000,
		.seconds = 12.5,
		.resumed = 2,
		.pass = 1,
		.done = MIB(3),
	};

	s.did[0] = (struct pl_wipe_did){ 1796000000, 1796000010, MIB(32) - 512, 512 };
	s.did[1] = (struct pl_wipe_did){ .started = 1796000011 };
	EXPECT_OK(pl_ranges_add(&s.bad, 4096, 512, &err));
	EXPECT_OK(pl_ranges_add(&s.now, 8192, 1024, &err));
	return s;
}

TEST(state_comes_back_as_it_was_written)
{
	struct pl_wipe_state s = a_state(), again;
	char *text = pl_wipe_state_text(&s), *second;

	EXPECT(text != NULL);
	EXPECT_OK(pl_wipe_state_parse(text, strlen(text), &again, &err));
	EXPECT(again.method == s.method);
	EXPECT_MEM(again.seed, s.seed, sizeof s.seed);
	EXPECT_STR(again.drive, s.drive);
	EXPECT(again.drive_size == s.drive_size && again.offset == s.offset &&
	       again.size == s.size && again.part == s.part);
	EXPECT(again.nr_extents == 7 && again.bytes == MIB(32) && again.extents_crc == 0xdeadbeef);
	EXPECT(again.verify == s.verify && again.share == 0.125 && again.seconds == 12.5);
	EXPECT(again.pass == 1 && again.done == MIB(3) && again.resumed == 2);
	EXPECT(again.did[0].unwritable == 512 && again.did[1].started == 1796000011);
	EXPECT(again.bad.nr == 1 && again.bad.range[0].start == 4096 && again.now.nr == 1);
	second = pl_wipe_state_text(&again);
	EXPECT_STR(second, text);
	pl_wipe_state_done(&again);
	pl_wipe_state_done(&s);
	free(second);
	free(text);
}

/* Each row puts other words in place of some, with the checksum that goes with them. */
static const struct {
	const char *old, *new;
	int code;
} broken[] = {
	{ "platter wipe state", "platter something", -EUCLEAN },
	{ "state 1\n", "state 2\n", -ENOTSUP },
	{ "method dod", "method nvme-format", -ENOTSUP },
	{ "method dod", "method aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -EUCLEAN },
	{ "seed 0102ff", "seed 0102fg", -EUCLEAN },
	{ "seed 0102ff", "seed 0102f", -EUCLEAN },
	{ "part free-space", "part free", -EUCLEAN },
	{ "part free-space\n", "", -EUCLEAN },
	{ "target 1048576", "target 99999999999999999999", -EUCLEAN },
	{ "target 1048576 67108864", "target 67108864 67108864", -EUCLEAN },
	{ "extents 7 33554432", "extents 7 99554432", -EUCLEAN },
	{ "verify sample", "verify all", -EUCLEAN },
	{ "pass 1", "pass 5", -EUCLEAN },
	{ "pass 1", "pass -1", -EUCLEAN },
	{ "pass 1 3145728", "pass 1 43145728", -EUCLEAN },
	{ "did 1", "did 36", -EUCLEAN },
	{ "did 1", "done 1", -EUCLEAN },
	{ "bad 4096 512", "bad 4096 0", -EUCLEAN },
	{ "bad 4096 512", "bad 4096 67108864", -EUCLEAN },
	{ "now 8192 1024", "now 8192 1024 7", -EUCLEAN },
};

/* `text` with `old` replaced and its last line made right; malloc()ed. */
static char *
changed(const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old), *end = strstr(text, "\nend ") + 1;
	char *out = malloc(strlen(text) + strlen(new) + 32);
	size_t n;

	EXPECT(out && at && at < end);
	n = (size_t)sprintf(out, "%.*s%s%.*s", (int)(at - text), text, new,
			    (int)(end - at - (long)strlen(old)), at + strlen(old));
	sprintf(out + n, "end %08" PRIx32 "\n", pl_crc32(0, out, n));
	return out;
}

TEST(state_that_was_changed_is_refused)
{
	struct pl_wipe_state s = a_state(), again;
	char *text = pl_wipe_state_text(&s);

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		char *wrong = changed(text, broken[i].old, broken[i].new);
		int r = pl_wipe_state_parse(wrong, strlen(wrong), &again, &err);

		if (r != broken[i].code)
			pl_test_fail(__FILE__, __LINE__, "'%s' for '%s': %d, expected %d",
				     broken[i].new, broken[i].old, r, broken[i].code);
		free(wrong);
	}
	/* Cut anywhere, or one bit changed: the checksum tells. */
	for (size_t n = 0; n < strlen(text); n++) {
		EXPECT(pl_wipe_state_parse(text, n, &again, &err) < 0);
		text[n] ^= 1;
		EXPECT(pl_wipe_state_parse(text, strlen(text), &again, &err) < 0);
		text[n] ^= 1;
	}
	pl_wipe_state_done(&s);
	free(text);
}

/* ---- what the drive itself does ---- */

#define DRIVE_SIZE MIB(1)

static int drive_fd;

/* While the drive tells how far it is, what it stores becomes zeros. */
static void
erase_meanwhile(const struct platter_progress_event *event, void *closure)
{
	static const uint8_t zeros[KIB(64)];
	bool *erases = closure;

	for (uint64_t at = 0; *erases && event->done && at < DRIVE_SIZE; at += sizeof zeros)
		EXPECT_EQ(pwrite(drive_fd, zeros, sizeof zeros, (off_t)at), sizeof zeros);
}

static void
tells_sanitize(struct fake *f, uint16_t progress, uint16_t status)
{
	uint8_t log[512] = { 0 };

	put_le16(log, progress);
	put_le16(log + 2, status);
	put_le32(log + 4, 0x0a);
	want_nvme(f, 0x02, UINT32_MAX, 0x007f0081, 512);
	gives_data(f, log, sizeof log);
}

/* An NVMe drive that says that it sanitized itself by block erase. */
static struct pl_hardware *
sanitizing_drive(struct fake *f)
{
	struct pl_hardware *hw;
	uint8_t id[4096] = { 0 };

	is_namespace(f, 1);
	put_le32(id + 328, 0x00000002);
	want_nvme(f, 0x06, 0, 1, 4096);
	gives_data(f, id, sizeof id);
	want_nvme(f, 0x84, 0, 0x0a, 0);
	tells_sanitize(f, 0x4000, 2);
	/* Long enough for the progress to be told. */
	f->steps[f->nr - 1].last_for = 150;
	tells_sanitize(f, 0xffff, 1);
	EXPECT_OK(pl_hardware_new(f->transport, &hw, &err));
	return hw;
}

static void
sanitize(bool erases, enum platter_wipe_outcome outcome, const char *words)
{
	struct platter_progress progress = { .report = erase_meanwhile, .closure = &erases };
	struct fake *f = fake_new();
	struct pl_wipe *w = calloc(1, sizeof *w);
	uint8_t *bytes = malloc(DRIVE_SIZE);
	char path[256];

	snprintf(path, sizeof path, "%s/drive", pl_test_folder());
	drive_fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	EXPECT(w && bytes && drive_fd >= 0);
	EXPECT_OK(pl_wipe_bytes((struct pl_wipe_pattern){ 0 }, 0, no_seed, 0, bytes, DRIVE_SIZE,
				&err));
	EXPECT_EQ(pwrite(drive_fd, bytes, DRIVE_SIZE, 0), DRIVE_SIZE);
	w->target = strdup("drive");
	w->method = pl_wipe_method_by_name("nvme-sanitize-block");
	w->erase = PL_ERASE_NVME_SANITIZE_BLOCK;
	w->hardware = sanitizing_drive(f);
	w->fd = drive_fd;
	w->direct_fd = -1;
	w->size = w->state.size = DRIVE_SIZE;
	w->sector_size = w->align = 512;
	EXPECT_OK(pl_extents_add(&w->extents, 0, DRIVE_SIZE, &err));
	EXPECT_OK(pl_wipe_run(&w, 1, &progress, &err));
	EXPECT_EQ(w->report.outcome, outcome);
	if (!strstr(w->verify_text, words))
		pl_test_fail(__FILE__, __LINE__, "'%s' does not say '%s'", w->verify_text, words);
	EXPECT_EQ(w->report.verified, DRIVE_SIZE);
	done(f);
	pl_wipe_free(w);
	free(bytes);
}

TEST(drive_that_sanitized_itself_holds_nothing_that_it_held)
{
	sanitize(true, PLATTER_WIPE_VERIFIED,
		 "0 of 256 places hold what they held before; all of "
		 "it reads as zeros");
}

TEST(drive_that_only_says_so_is_found_out)
{
	sanitize(false, PLATTER_WIPE_DIFFERS, "256 of 256 places");
}
