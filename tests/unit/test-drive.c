/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-drive.c - what is decided of discs, how they are read, and written, without hardware */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "burn.h"
#include "disc.h"
#include "fake-drive.h"
#include "sound.h"
#include "storage.h"

static struct platter_error err;

/* ---- what has to be done ---- */

static const struct pl_burn_shape small = { .bytes = MIB(1), .nr_tracks = 1, .nr_sessions = 1 };

static int
plan(enum pl_profile profile, enum platter_disc_state state,
     const struct platter_burn_options *options, struct pl_burn_plan *ret)
{
	struct fake *f = fake_new(profile, state, 1000);
	int r;

	if (state == PLATTER_DISC_APPENDABLE) {
		f->drive.info.disc.free = MIB(2);
		f->drive.info.disc.nr_sessions = 1;
	}
	err = (struct platter_error)PLATTER_ERROR_INIT;
	r = pl_burn_plan(&f->drive, &small, options, ret, &err);
	pl_drive_close(&f->drive, false);
	return r;
}

static const struct platter_drive_read_options once = { .size = sizeof once };
static const struct platter_burn_options nothing,
	append = { .append = true }, blank = { .blank = PLATTER_BLANK_FAST },
	full = { .blank = PLATTER_BLANK_FULL }, format = { .format = true };

TEST(each_kind_of_disc_is_written_only_where_it_can_be)
{
	/* "words" is in the message or the hint of a refusal. */
	static const struct {
		enum pl_profile profile;
		enum platter_disc_state state;
		const struct platter_burn_options *options;
		int result;
		bool lost;
		const char *words;
	} rows[] = {
		{ PL_PROFILE_CD_R, PLATTER_DISC_NONE, &nothing, -ENOMEDIUM, false, "put one in" },
		{ PL_PROFILE_CD_R, PLATTER_DISC_UNKNOWN, &nothing, -ENOTSUP, false, "list" },
		{ PL_PROFILE_CD_R, PLATTER_DISC_BLANK, &nothing, 0, false, NULL },
		{ PL_PROFILE_CD_R, PLATTER_DISC_APPENDABLE, &nothing, -EEXIST, false, "--append" },
		{ PL_PROFILE_CD_R, PLATTER_DISC_APPENDABLE, &append, 0, false, NULL },
		{ PL_PROFILE_CD_R, PLATTER_DISC_CLOSED, &nothing, -EROFS, false, "another disc" },
		{ PL_PROFILE_CD_R, PLATTER_DISC_CLOSED, &append, -EROFS, false, "another disc" },
		{ PL_PROFILE_CD_R, PLATTER_DISC_CLOSED, &blank, -EROFS, false,
		  "cannot be blanked" },
		{ PL_PROFILE_CD_R, PLATTER_DISC_BLANK, &format, -ENOTSUP, false, "not formatted" },
		{ PL_PROFILE_CD_RW, PLATTER_DISC_CLOSED, &nothing, -EROFS, false, "--blank=fast" },
		{ PL_PROFILE_CD_RW, PLATTER_DISC_APPENDABLE, &nothing, -EEXIST, false,
		  "--blank=fast" },
		{ PL_PROFILE_CD_RW, PLATTER_DISC_CLOSED, &blank, 0, true, NULL },
		{ PL_PROFILE_CD_RW, PLATTER_DISC_BLANK, &full, 0, false, NULL },
		{ PL_PROFILE_CD_ROM, PLATTER_DISC_CLOSED, &nothing, -EROFS, false, "another disc" },
		{ PL_PROFILE_DVD_RW, PLATTER_DISC_CLOSED, &format, 0, true, NULL },
		{ PL_PROFILE_DVD_PLUS_RW, PLATTER_DISC_OVERWRITABLE, &nothing, 0, true, NULL },
		{ PL_PROFILE_DVD_PLUS_RW, PLATTER_DISC_OVERWRITABLE, &blank, 0, true, NULL },
		{ PL_PROFILE_DVD_PLUS_RW, PLATTER_DISC_OVERWRITABLE, &append, -ENOTSUP, false,
		  "without --append" },
		{ PL_PROFILE_BD_RE, PLATTER_DISC_OVERWRITABLE, &format, 0, true, NULL },
		{ PL_PROFILE_BD_R, PLATTER_DISC_BLANK, &blank, -EROFS, false, "cannot be blanked" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pl_burn_plan p = { 0 };

		if (plan(rows[i].profile, rows[i].state, rows[i].options, &p) != rows[i].result)
			pl_test_fail(__FILE__, __LINE__, "row %zu: '%s'", i, err.message);
		if (rows[i].words && !strstr(err.message, rows[i].words) &&
		    !strstr(err.hint, rows[i].words))
			pl_test_fail(__FILE__, __LINE__, "row %zu: '%s', '%s'", i, err.message,
				     err.hint);
		if (p.lost != rows[i].lost)
			pl_test_fail(__FILE__, __LINE__, "row %zu: lost is %d", i, p.lost);
	}
}

TEST(overwritable_disc_is_wiped_where_a_rewritable_one_is_blanked)
{
	struct pl_burn_plan p;

	EXPECT_OK(plan(PL_PROFILE_DVD_PLUS_RW, PLATTER_DISC_OVERWRITABLE, &full, &p));
	EXPECT(p.wipe && !p.blank && !p.fast && p.write);
	EXPECT_OK(plan(PL_PROFILE_DVD_RW, PLATTER_DISC_CLOSED, &blank, &p));
	EXPECT(!p.wipe && p.blank && p.fast && p.write);
}

TEST(options_that_contradict_each_other_are_refused)
{
	static const struct platter_burn_options rows[] = {
		{ .multi = true, .close = true },
		{ .append = true, .blank = PLATTER_BLANK_FAST },
		{ .append = true, .format = true },
		{ .simulate = true, .blank = PLATTER_BLANK_FULL },
		{ .simulate = true, .format = true },
		{ .simulate = true, .verify = true },
	};
	struct pl_burn_plan p;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		EXPECT_EQ(plan(PL_PROFILE_DVD_RW, PLATTER_DISC_BLANK, &rows[i], &p), -EINVAL);
}

TEST(without_an_image_a_disc_is_only_emptied_or_closed)
{
	struct fake *f = fake_new(PL_PROFILE_CD_RW, PLATTER_DISC_APPENDABLE, 10);
	static const struct platter_burn_options close = { .close = true },
						 multi = { .multi = true };
	struct pl_burn_plan p;

	EXPECT_EQ(pl_burn_plan(&f->drive, NULL, &nothing, &p, &err), -EINVAL);
	EXPECT_EQ(pl_burn_plan(&f->drive, NULL, &multi, &p, &err), -EINVAL);
	EXPECT_OK(pl_burn_plan(&f->drive, NULL, &close, &p, &err));
	EXPECT(p.close && !p.write && !p.lost);
	EXPECT_OK(pl_burn_plan(&f->drive, NULL, &blank, &p, &err));
	EXPECT(p.blank && !p.write && p.lost);
	f->drive.info.disc.state = PLATTER_DISC_CLOSED;
	EXPECT_EQ(pl_burn_plan(&f->drive, NULL, &close, &p, &err), -EINVAL);
	pl_drive_close(&f->drive, false);
}

TEST(sound_and_several_tracks_go_to_cds_only)
{
	static const struct pl_burn_shape sound = { MIB(1), 1, 1, true },
					  two = { MIB(1), 2, 1, false };
	struct fake *dvd = fake_new(PL_PROFILE_DVD_R, PLATTER_DISC_BLANK, 1000);
	struct fake *cd = fake_new(PL_PROFILE_CD_R, PLATTER_DISC_BLANK, 1000);
	struct pl_burn_plan p;

	EXPECT_EQ(pl_burn_plan(&dvd->drive, &sound, &nothing, &p, &err), -ENOTSUP);
	EXPECT_EQ(pl_burn_plan(&dvd->drive, &two, &nothing, &p, &err), -ENOTSUP);
	EXPECT_OK(pl_burn_plan(&cd->drive, &sound, &nothing, &p, &err));
	EXPECT_OK(pl_burn_plan(&cd->drive, &two, &nothing, &p, &err));
	pl_drive_close(&dvd->drive, false);
	pl_drive_close(&cd->drive, false);
}

TEST(image_fits_exactly_or_not)
{
	struct pl_burn_shape shape = { 1000 * PL_DISC_SECTOR, 1, 1, false };
	struct fake *f = fake_new(PL_PROFILE_DVD_R, PLATTER_DISC_BLANK, 1000);
	static const struct platter_burn_options simulate = { .simulate = true },
						 multi = { .multi = true };
	struct pl_burn_plan p;

	EXPECT_OK(pl_burn_plan(&f->drive, &shape, &nothing, &p, &err));
	shape.bytes += PL_DISC_SECTOR;
	EXPECT_EQ(pl_burn_plan(&f->drive, &shape, &nothing, &p, &err), -ENOSPC);
	shape.bytes = 0;
	EXPECT_EQ(pl_burn_plan(&f->drive, &shape, &nothing, &p, &err), -EINVAL);
	shape.bytes = 1;
	f->drive.can_simulate = f->drive.can_append = false;
	EXPECT_EQ(pl_burn_plan(&f->drive, &shape, &simulate, &p, &err), -ENOTSUP);
	EXPECT_EQ(pl_burn_plan(&f->drive, &shape, &multi, &p, &err), -ENOTSUP);
	pl_drive_close(&f->drive, false);
}

/* ---- reading ---- */

static struct pl_disk *
leaf_of(struct fake *f, unsigned retries)
{
	const struct pl_drive_leaf_options how = { .retries = retries,
						   .nr = f->nr,
						   .name = "fake" };
	struct pl_disk *leaf;

	EXPECT_OK(pl_drive_leaf(&f->drive, &how, &leaf, &err));
	return leaf;
}

/* Sectors [start, start + nr) of the leaf are those of the disc, or zeros where it is bad. */
static void
expect_sectors(struct fake *f, struct pl_disk *leaf, uint64_t start, uint64_t nr)
{
	uint8_t *buf = malloc((size_t)nr * PL_DISC_SECTOR);

	EXPECT(buf);
	EXPECT_OK(pl_read(leaf, buf, (size_t)nr * PL_DISC_SECTOR, start * PL_DISC_SECTOR, &err));
	for (uint64_t i = 0; i < nr; i++) {
		static const uint8_t zeros[PL_DISC_SECTOR];
		uint64_t s = start + i;
		bool bad = s >= f->bad_start && s < f->bad_start + f->bad_nr && !f->bad_times;

		EXPECT_MEM(buf + i * PL_DISC_SECTOR, bad ? zeros : f->bytes + s * PL_AUDIO_SECTOR,
			   PL_DISC_SECTOR);
	}
	free(buf);
}

static void
done(struct fake *f, struct pl_disk *leaf)
{
	pl_disk_unref(leaf);
	pl_drive_close(&f->drive, false);
}

TEST(sectors_come_whatever_the_order_they_are_asked_in)
{
	struct fake *f = fake_new(PL_PROFILE_DVD_ROM, PLATTER_DISC_CLOSED, 10000);
	struct pl_disk *leaf = leaf_of(f, 0);

	expect_sectors(f, leaf, 0, 10000);
	/* More windows than are kept. */
	for (uint64_t at = 9990; at >= 700; at -= 490)
		expect_sectors(f, leaf, at, 10);
	expect_sectors(f, leaf, 508, 8);
	done(f, leaf);
}

TEST(bad_sectors_are_zeros_and_bad_in_the_map)
{
	struct fake *f = fake_new(PL_PROFILE_DVD_ROM, PLATTER_DISC_CLOSED, 2000);
	struct pl_disk *leaf = leaf_of(f, 1);
	uint64_t length, offset;
	enum platter_kind kind;

	/* Over the end of a window. */
	f->bad_start = 510;
	f->bad_nr = 5;
	EXPECT_OK(pl_span(leaf, 0, leaf->size, &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_DATA);
	EXPECT_EQ(length, 510 * PL_DISC_SECTOR);
	EXPECT_OK(pl_span(leaf, length, leaf->size - length, &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_BAD);
	EXPECT_EQ(length, 5 * PL_DISC_SECTOR);
	expect_sectors(f, leaf, 0, 2000);
	EXPECT(pl_drive_leaf_bad(leaf, 0, &offset, &length));
	EXPECT_EQ(offset, 510 * PL_DISC_SECTOR);
	EXPECT_EQ(length, 5 * PL_DISC_SECTOR);
	EXPECT(!pl_drive_leaf_bad(leaf, 1, &offset, &length));
	done(f, leaf);
}

TEST(runs_of_bad_sectors_are_joined_in_any_order)
{
	struct fake *f = fake_new(PL_PROFILE_DVD_ROM, PLATTER_DISC_CLOSED, 3000);
	struct pl_disk *leaf = leaf_of(f, 0);
	static const uint64_t order[] = { 2100, 1600, 20, 1100, 600 };
	uint64_t offset, length;

	f->bad_start = 100;
	f->bad_nr = 2400;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		expect_sectors(f, leaf, order[i], 1);
	expect_sectors(f, leaf, 2600, 1);
	EXPECT(pl_drive_leaf_bad(leaf, 0, &offset, &length));
	EXPECT_EQ(offset, 100 * PL_DISC_SECTOR);
	EXPECT_EQ(length, 2400 * PL_DISC_SECTOR);
	EXPECT(!pl_drive_leaf_bad(leaf, 1, &offset, &length));
	done(f, leaf);
}

TEST(sector_that_fails_now_and_then_is_tried_again)
{
	/* It fails once in a block, then alone. */
	for (unsigned retries = 0; retries < 4; retries++) {
		struct fake *f = fake_new(PL_PROFILE_CD_ROM, PLATTER_DISC_CLOSED, 100);
		struct pl_disk *leaf = leaf_of(f, retries);
		uint64_t offset, length;

		f->bad_start = 50;
		f->bad_nr = 1;
		f->bad_times = 3;
		if (retries >= 2)
			expect_sectors(f, leaf, 0, 100);
		else
			EXPECT_OK(pl_read(leaf, &(uint8_t){ 0 }, 1, 0, &err));
		EXPECT_EQ(pl_drive_leaf_bad(leaf, 0, &offset, &length), retries < 2);
		done(f, leaf);
	}
}

TEST(drive_that_reads_less_than_asked_for_is_asked_again)
{
	struct fake *f = fake_new(PL_PROFILE_DVD_ROM, PLATTER_DISC_CLOSED, 1000);
	struct pl_disk *leaf = leaf_of(f, 0);
	uint64_t offset, length;

	f->at_once = 7;
	expect_sectors(f, leaf, 0, 1000);
	EXPECT(!pl_drive_leaf_bad(leaf, 0, &offset, &length));
	done(f, leaf);
}

TEST(disc_that_is_gone_ends_the_reading)
{
	struct fake *f = fake_new(PL_PROFILE_DVD_ROM, PLATTER_DISC_CLOSED, 1000);
	struct pl_disk *leaf = leaf_of(f, 5);
	uint8_t byte;

	f->gone = true;
	EXPECT_EQ(pl_read(leaf, &byte, 1, 0, &err), -ENODEV);
	f->gone = false;
	EXPECT_OK(pl_read(leaf, &byte, 1, 0, &err));
	done(f, leaf);
}

TEST(gap_between_sessions_of_a_cd_is_a_hole_that_is_not_read)
{
	struct fake *f = fake_new(PL_PROFILE_CD_ROM, PLATTER_DISC_CLOSED, 13000);
	uint64_t length, before, offset;
	enum platter_kind kind;
	struct pl_disk *leaf;

	fake_add_track(f, 0, 600, false, 1);
	fake_add_track(f, 12000, 1000, false, 2);
	leaf = leaf_of(f, 0);
	EXPECT_OK(pl_span(leaf, 0, leaf->size, &kind, &length, &err));
	EXPECT(kind == PLATTER_DATA);
	EXPECT_OK(pl_span(leaf, 600 * PL_DISC_SECTOR, leaf->size, &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_ZERO);
	before = f->reads;
	/* And once more the last one of the track. */
	EXPECT_EQ(before, 601);
	for (uint64_t at = 600; at < 11000; at += 500)
		EXPECT_OK(pl_read(leaf, &(uint8_t){ 0 }, 1, at * PL_DISC_SECTOR, &err));
	EXPECT(f->reads <= 1200);
	expect_sectors(f, leaf, 12000, 1000);
	EXPECT(!pl_drive_leaf_bad(leaf, 0, &offset, &length));
	done(f, leaf);
}

static void *
read_all(void *leaf)
{
	uint8_t sector[PL_DISC_SECTOR];

	for (uint64_t at = 0; at < 2000; at += 100)
		EXPECT_OK(pl_read(leaf, sector, sizeof sector, at * PL_AUDIO_SECTOR, NULL));
	return NULL;
}

TEST(drive_is_read_through_one_leaf_at_a_time)
{
	struct fake *f = fake_new(PL_PROFILE_CD_R, PLATTER_DISC_CLOSED, 4000);
	struct pl_drive_leaf_options how = { .nr = 4000, .audio = true, .name = "disc" };
	struct pl_disk *data = leaf_of(f, 0), *sound;
	pthread_t thread;

	EXPECT_OK(pl_drive_leaf(&f->drive, &how, &sound, &err));
	f->slow = true;
	EXPECT_EQ(pthread_create(&thread, NULL, read_all, data), 0);
	read_all(sound);
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	EXPECT(!f->overlapped);
	pl_disk_unref(sound);
	done(f, data);
}

TEST(map_file_has_every_byte_once)
{
	struct fake *f = fake_new(PL_PROFILE_DVD_ROM, PLATTER_DISC_CLOSED, 1024);
	struct pl_disk *leaf = leaf_of(f, 0);
	struct pl_mapfile m;
	char *text;

	f->bad_start = 512;
	f->bad_nr = 2;
	expect_sectors(f, leaf, 0, 1024);
	EXPECT_OK(pl_drive_mapfile(leaf, NULL, &m, &err));
	text = pl_mapfile_text(&m);
	EXPECT(text);
	pl_mapfile_done(&m);
	EXPECT_STR(strchr(text, '\n') + 1, "# current_pos  current_status  current_pass\n"
					   "0x00200000     +               1\n"
					   "#      pos        size  status\n"
					   "0x00000000  0x00100000  +\n"
					   "0x00100000  0x00001000  -\n"
					   "0x00101000  0x000FF000  +\n");
	free(text);
	done(f, leaf);
}

/* Two sectors of each session's end cannot be read, and a third is damaged. */
TEST(run_out_of_earlier_sessions_is_a_hole)
{
	struct fake *f = fake_new(PL_PROFILE_CD_R, PLATTER_DISC_CLOSED, 13000);
	uint64_t length, offset;
	enum platter_kind kind;
	struct pl_disk *leaf;

	fake_add_track(f, 0, 600, false, 1);
	fake_add_track(f, 12000, 1000, false, 2);
	leaf = leaf_of(f, 0);
	f->bad_start = 598;
	f->bad_nr = 2;
	EXPECT_OK(pl_span(leaf, 590 * PL_DISC_SECTOR, MIB(1), &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_DATA);
	EXPECT_EQ(length, 8 * PL_DISC_SECTOR);
	EXPECT_OK(pl_span(leaf, 598 * PL_DISC_SECTOR, MIB(1), &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_ZERO);
	EXPECT(!pl_drive_leaf_bad(leaf, 0, &offset, &length));
	pl_disk_unref(leaf);

	leaf = leaf_of(f, 0);
	f->bad_start = 597;
	f->bad_nr = 3;
	EXPECT_OK(pl_read(leaf, &(uint8_t){ 0 }, 1, 0, &err));
	EXPECT_OK(pl_read(leaf, &(uint8_t){ 0 }, 1, 599 * PL_DISC_SECTOR, &err));
	EXPECT(pl_drive_leaf_bad(leaf, 0, &offset, &length));
	EXPECT_EQ(offset, 597 * PL_DISC_SECTOR);
	EXPECT_EQ(length, 3 * PL_DISC_SECTOR);
	done(f, leaf);
}

TEST(pregap_of_sound_behind_data_is_not_damage)
{
	/* Sectors that cannot be read before the second track, and how many of them are bad. */
	static const struct {
		uint64_t unreadable, bad;
	} rows[] = { { 0, 0 },   { 1, 0 },   { 2, 0 },   { 3, 3 },   { 149, 149 },
		     { 150, 0 }, { 152, 0 }, { 153, 3 }, { 200, 50 } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake *f = fake_new(PL_PROFILE_CD_R, PLATTER_DISC_CLOSED, 1000);
		struct pl_disk *leaf;
		uint64_t offset, length = 0;

		fake_add_track(f, 0, 400, false, 1);
		fake_add_track(f, 400, 600, true, 1);
		leaf = leaf_of(f, 0);
		f->bad_nr = rows[i].unreadable;
		f->bad_start = 400 - f->bad_nr;
		EXPECT_OK(pl_read(leaf, &(uint8_t){ 0 }, 1, 0, &err));
		if (!pl_drive_leaf_bad(leaf, 0, &offset, &length))
			length = 0;
		EXPECT_EQ(length, rows[i].bad * PL_DISC_SECTOR);
		done(f, leaf);
	}
}

TEST(run_out_of_a_track_is_no_part_of_the_disc)
{
	struct fake *f = fake_new(PL_PROFILE_CD_R, PLATTER_DISC_CLOSED, 402);
	struct pl_place *place;

	fake_add_track(f, 0, 402, false, 1);
	f->bad_start = 400;
	f->bad_nr = 2;
	EXPECT_OK(pl_drive_place(&f->drive, &once, &place, &err));
	EXPECT_EQ(place->disk->size, 400 * PL_DISC_SECTOR);
	pl_place_close(place);
	f->bad_start = 401;
	EXPECT_OK(pl_drive_place(&f->drive, &once, &place, &err));
	EXPECT_EQ(place->disk->size, 401 * PL_DISC_SECTOR);
	pl_place_close(place);
	pl_drive_close(&f->drive, false);
}

/* ---- writing ---- */

static struct pl_disk *
image_of(size_t n)
{
	uint8_t *bytes = malloc(n);
	struct pl_disk *image;

	EXPECT(bytes);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 17 + (i >> 9));
	EXPECT_OK(pl_memory_new(bytes, n, "image", &image, &err));
	free(bytes);
	return image;
}

static int
burn(struct fake *f, struct pl_disk *image, const struct platter_burn_options *options,
     struct platter_burn_result *ret)
{
	err = (struct platter_error)PLATTER_ERROR_INIT;
	return pl_burn(image, &f->drive, options, NULL, ret, &err);
}

static const struct platter_burn_options verify = { .verify = true };

TEST(what_is_burned_is_verified)
{
	struct fake *f = fake_new(PL_PROFILE_DVD_R, PLATTER_DISC_BLANK, 1000);
	struct pl_disk *image = image_of(100 * PL_DISC_SECTOR + 5);
	struct platter_burn_result result;

	EXPECT_OK(burn(f, image, &verify, &result));
	EXPECT(result.verified && result.tracks == 1);
	EXPECT_EQ(result.size, 100 * PL_DISC_SECTOR + 5);
	EXPECT_EQ(result.written, 101 * PL_DISC_SECTOR);
	EXPECT_EQ(result.lowest_buffer, 70);
	EXPECT(f->looks > 0);
	done(f, image);
}

TEST(wrong_bit_and_unreadable_sector_are_found)
{
	struct pl_disk *image = image_of(100 * PL_DISC_SECTOR);
	struct fake *f = fake_new(PL_PROFILE_DVD_R, PLATTER_DISC_BLANK, 1000);
	struct platter_burn_result result;

	f->flips = true;
	EXPECT_EQ(burn(f, image, &verify, &result), -EILSEQ);
	EXPECT_EQ(err.offset, 5 * PL_DISC_SECTOR + 7);
	EXPECT(!result.verified);
	pl_drive_close(&f->drive, false);

	f = fake_new(PL_PROFILE_DVD_R, PLATTER_DISC_BLANK, 1000);
	f->bad_start = 42;
	f->bad_nr = 1;
	EXPECT_EQ(burn(f, image, &verify, &result), -EILSEQ);
	EXPECT(strstr(err.message, "cannot be read back"));
	EXPECT_EQ(err.offset, 42 * PL_DISC_SECTOR);
	done(f, image);
}

TEST(failure_of_the_drive_is_reported)
{
	struct pl_disk *image = image_of(50 * PL_DISC_SECTOR);
	struct fake *f = fake_new(PL_PROFILE_DVD_R, PLATTER_DISC_BLANK, 1000);
	struct platter_burn_result result;

	f->write_result = -EIO;
	EXPECT_EQ(burn(f, image, &verify, &result), -EIO);
	EXPECT_STR(err.message, "the laser is tired");
	EXPECT(f->looks > 0);
	done(f, image);
}

TEST(rewritable_disc_is_blanked_and_then_written)
{
	static const struct platter_burn_options both = { .blank = PLATTER_BLANK_FAST,
							  .verify = true };
	struct pl_disk *image = image_of(50 * PL_DISC_SECTOR);
	struct fake *f = fake_new(PL_PROFILE_CD_RW, PLATTER_DISC_CLOSED, 1000);
	struct platter_burn_result result;

	EXPECT_EQ(burn(f, image, &verify, &result), -EROFS);
	EXPECT_EQ(f->nr_sessions, 0);
	EXPECT_OK(burn(f, image, &both, &result));
	EXPECT(result.blanked && result.verified);
	EXPECT_EQ(f->blanks, 1);
	pl_drive_close(&f->drive, false);

	/* What has room only then is told only then. */
	f = fake_new(PL_PROFILE_CD_RW, PLATTER_DISC_CLOSED, 1000);
	f->after_blank = 49 * PL_DISC_SECTOR;
	EXPECT_EQ(burn(f, image, &both, &result), -ENOSPC);
	EXPECT(result.blanked && !result.tracks);
	done(f, image);
}

TEST(overwritable_disc_is_wiped_with_zeros)
{
	struct fake *f = fake_new(PL_PROFILE_DVD_PLUS_RW, PLATTER_DISC_OVERWRITABLE, 1000);
	struct platter_burn_result result;

	EXPECT_OK(burn(f, NULL, &blank, &result));
	EXPECT(result.blanked && !result.tracks);
	EXPECT(pl_is_zero(f->bytes + 31 * PL_AUDIO_SECTOR, PL_DISC_SECTOR));
	EXPECT(!pl_is_zero(f->bytes + 32 * PL_AUDIO_SECTOR, PL_DISC_SECTOR));
	EXPECT_OK(burn(f, NULL, &full, &result));
	EXPECT(pl_is_zero(f->bytes + 999 * PL_AUDIO_SECTOR, PL_DISC_SECTOR));
	EXPECT_EQ(f->blanks, 0);
	pl_drive_close(&f->drive, false);
}

TEST(formatting_and_closing_are_done_by_the_drive)
{
	static const struct platter_burn_options close = { .close = true };
	struct fake *f = fake_new(PL_PROFILE_DVD_RW, PLATTER_DISC_APPENDABLE, 1000);
	struct platter_burn_result result;

	EXPECT_OK(burn(f, NULL, &format, &result));
	EXPECT(result.formatted);
	EXPECT_EQ(f->formats, 1);
	f->drive.info.disc.state = PLATTER_DISC_APPENDABLE;
	EXPECT_OK(burn(f, NULL, &close, &result));
	EXPECT_EQ(f->closes, 1);
	pl_drive_close(&f->drive, false);
}

/* Zeros that can be read up to some byte. */
struct broken {
	struct pl_disk disk;
	uint64_t end;
};

static int
broken_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *e)
{
	(void)disk, (void)offset, (void)e;
	*ret = (struct pl_extent){ .kind = PLATTER_DATA, .length = length };
	return 0;
}

static int
broken_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *e)
{
	memset(buf, 0x55, n);
	if (offset + n <= pl_container_of(disk, struct broken, disk)->end)
		return 0;
	return pl_fail_at(e, -EIO, offset, "the source is broken");
}

static void
broken_free(struct pl_disk *disk)
{
	pl_disk_done(disk);
	free(pl_container_of(disk, struct broken, disk));
}

/* With the real driver: nothing follows what could be read. */
TEST(source_that_breaks_ends_the_burning)
{
	static const struct pl_disk_ops ops = {
		.name = "broken", .map = broken_map, .read = broken_read, .free = broken_free
	};
	static const struct platter_burn_options plain = { .size = sizeof plain };
	struct broken *image = calloc(1, sizeof *image);
	struct platter_burn_result result;
	struct pl_drive *drive;
	char address[256];
	struct stat st;

	EXPECT(image);
	EXPECT_OK(pl_disk_init(&image->disk, &ops, "broken", &err));
	image->disk.size = GIB(1);
	image->end = MIB(20);
	snprintf(address, sizeof address, "stdio:%s/disc", pl_test_folder());
	EXPECT_OK(pl_drive_open(address, true, &drive, &err));
	EXPECT_EQ(pl_burn(&image->disk, drive, &plain, NULL, &result, &err), -EIO);
	EXPECT_STR(err.message, "the source is broken");
	EXPECT(result.written == 0);
	EXPECT(stat(pl_drive_path(address), &st) == 0);
	EXPECT(st.st_size <= (off_t)image->end);
	pl_drive_close(drive, false);
	pl_disk_unref(&image->disk);
}

static void
cancel_when_burning(const struct platter_progress_event *event, void *closure)
{
	struct platter_progress *progress = closure;

	if (!strcmp(event->phase, "burning"))
		platter_cancel(progress);
}

TEST(cancelling_waits_until_the_drive_is_idle)
{
	struct platter_progress progress = { .report = cancel_when_burning, .closure = &progress };
	struct fake *f = fake_new(PL_PROFILE_DVD_R, PLATTER_DISC_BLANK, 1000);
	struct pl_disk *image = image_of(50 * PL_DISC_SECTOR);
	struct platter_burn_result result;
	struct pl_drive_state state;

	f->endless = true;
	EXPECT_EQ(pl_burn(image, &f->drive, &verify, &progress, &result, &err), -ECANCELED);
	EXPECT_EQ(f->cancels, 1);
	fake_poll(&f->drive, &state);
	EXPECT(!state.busy);
	done(f, image);
}

TEST(bad_sectors_of_the_image_are_counted)
{
	struct fake *from = fake_new(PL_PROFILE_DVD_ROM, PLATTER_DISC_CLOSED, 600);
	struct fake *to = fake_new(PL_PROFILE_DVD_R, PLATTER_DISC_BLANK, 1000);
	struct pl_disk *image = leaf_of(from, 0);
	struct platter_burn_result result;

	from->bad_start = 10;
	from->bad_nr = 3;
	EXPECT_OK(burn(to, image, &verify, &result));
	EXPECT_EQ(result.bad, 3 * PL_DISC_SECTOR);
	EXPECT(result.verified);
	pl_drive_close(&to->drive, false);
	done(from, image);
}

TEST(what_an_appended_session_is_written_over_is_told)
{
	/* Sectors from 320 on that are zeros, and from where on something is lost. */
	static const struct {
		uint64_t zeros;
		int64_t lost;
	} rows[] = { { 0, 320 }, { 49, 320 }, { 50, -1 }, { 400, -1 } };
	struct pl_disk *image = image_of(50 * PL_DISC_SECTOR);
	int64_t lost;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake *f = fake_new(PL_PROFILE_DVD_PLUS_RW, PLATTER_DISC_OVERWRITABLE, 1000);
		static const struct platter_burn_options simulated = { .append = true,
								       .simulate = true };

		memset(f->bytes + 320 * PL_AUDIO_SECTOR, 0, rows[i].zeros * PL_AUDIO_SECTOR);
		f->drive.info.disc.next_writable = 320;
		EXPECT_OK(pl_burn_check(image, &f->drive, &append, &lost, &err));
		EXPECT_EQ(lost, rows[i].lost);
		EXPECT_OK(pl_burn_check(image, &f->drive, &simulated, &lost, &err));
		EXPECT_EQ(lost, -1);
		EXPECT_OK(pl_burn_check(image, &f->drive, &nothing, &lost, &err));
		EXPECT_EQ(lost, 0);
		/* What cannot be read may be something. */
		f->bad_start = 330;
		f->bad_nr = 1;
		EXPECT_OK(pl_burn_check(image, &f->drive, &append, &lost, &err));
		EXPECT_EQ(lost, 320);
		/* The disc ends where the session begins. */
		f->drive.info.disc.size = 320 * PL_DISC_SECTOR;
		EXPECT_OK(pl_burn_check(image, &f->drive, &append, &lost, &err));
		EXPECT_EQ(lost, -1);
		pl_drive_close(&f->drive, false);
	}
	pl_disk_unref(image);
}

TEST(appended_session_begins_where_the_drive_says)
{
	struct fake *f = fake_new(PL_PROFILE_DVD_PLUS_R, PLATTER_DISC_APPENDABLE, 1000);
	static const struct platter_burn_options more = { .append = true,
							  .multi = true,
							  .verify = true };
	struct pl_disk *image = image_of(50 * PL_DISC_SECTOR);
	struct platter_burn_result result;

	f->drive.info.disc.free = 500 * PL_DISC_SECTOR;
	f->drive.info.disc.next_writable = 304;
	EXPECT_OK(burn(f, image, &more, &result));
	EXPECT_EQ(result.start, 304);
	EXPECT(result.verified && f->sessions[0].multi);
	EXPECT_EQ(f->sessions[0].start, -1);
	EXPECT_EQ(f->overwrites, 0);
	done(f, image);
}

/* ---- rip ---- */

static bool
exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

TEST(rip_lists_what_could_not_be_read)
{
	static const struct platter_drive_read_options how = { .size = sizeof how, .retries = 1 };
	struct platter_create_options options = { .size = sizeof options };
	struct fake *f = fake_new(PL_PROFILE_DVD_ROM, PLATTER_DISC_CLOSED, 1000);
	struct platter_rip_result result = { 0 };
	char target[256], map[264];

	snprintf(target, sizeof target, "%s/disc.iso", pl_test_folder());
	snprintf(map, sizeof map, "%s.map", target);
	/* Less than is written at once, and not where that begins. */
	f->bad_start = 701;
	f->bad_nr = 1;
	EXPECT_OK(pl_rip(&f->drive, target, &how, &options, NULL, &result, &err));
	EXPECT_EQ(result.copy.bad, PL_DISC_SECTOR);
	EXPECT_EQ(result.copy.size, 1000 * PL_DISC_SECTOR);
	EXPECT(exists(map) && result.mapped);
	f->bad_nr = 0;
	options.overwrite = true;
	result = (struct platter_rip_result){ 0 };
	EXPECT_OK(pl_rip(&f->drive, target, &how, &options, NULL, &result, &err));
	EXPECT_EQ(result.copy.bad, 0);
	EXPECT(!exists(map) && !result.mapped);
	pl_drive_close(&f->drive, false);
}

static void
put_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	EXPECT(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

TEST(file_that_is_called_like_the_map_is_left_alone)
{
	static const struct platter_drive_read_options how = { .size = sizeof how };
	struct platter_create_options options = { .size = sizeof options };
	struct fake *f = fake_new(PL_PROFILE_DVD_ROM, PLATTER_DISC_CLOSED, 1000);
	struct platter_rip_result result = { 0 };
	char target[256], map[264], line[16] = "";
	FILE *in;

	snprintf(target, sizeof target, "%s/disc.iso", pl_test_folder());
	snprintf(map, sizeof map, "%s.map", target);
	put_text(map, "a town\n");
	for (f->bad_nr = 0; f->bad_nr < 2; f->bad_nr++) {
		options.overwrite = f->bad_nr;
		EXPECT_EQ(pl_rip(&f->drive, target, &how, &options, NULL, &result, &err), -EEXIST);
		EXPECT(strstr(err.message, map));
	}
	/* Nothing was read for it, which takes long. */
	EXPECT(!exists(target));
	EXPECT_EQ(f->reads, 0);
	EXPECT((in = fopen(map, "r")) && fgets(line, sizeof line, in) && fclose(in) == 0);
	EXPECT_STR(line, "a town\n");
	pl_drive_close(&f->drive, false);
}

TEST(rip_of_no_disc_or_nothing_is_refused)
{
	static const struct platter_drive_read_options how = { .size = sizeof how };
	static const struct platter_create_options options = { .size = sizeof options };
	struct fake *f = fake_new(PL_PROFILE_DVD_R, PLATTER_DISC_BLANK, 10);
	struct platter_rip_result result = { 0 };
	char target[256];

	snprintf(target, sizeof target, "%s/disc.iso", pl_test_folder());
	EXPECT_EQ(pl_rip(&f->drive, target, &how, &options, NULL, &result, &err), -ENODATA);
	f->drive.info.disc.state = PLATTER_DISC_NONE;
	EXPECT_EQ(pl_rip(&f->drive, target, &how, &options, NULL, &result, &err), -ENOMEDIUM);
	EXPECT(!exists(target));
	pl_drive_close(&f->drive, false);
}

/* ---- sound ---- */

TEST(disc_of_sound_becomes_a_cue_sheet_with_all_that_is_known_of_it)
{
	static const struct platter_drive_read_options how = { .size = sizeof how, .retries = 1 };
	struct platter_create_options options = { .size = sizeof options };
	struct fake *f = fake_new(PL_PROFILE_CD_R, PLATTER_DISC_CLOSED, 1500);
	PL_AUTOUNREF struct pl_disk *file = NULL, *image = NULL;
	struct platter_rip_result result = { 0 };
	const struct platter_disc *info;
	char target[256];
	uint8_t sector[PL_AUDIO_SECTOR];

	fake_add_track(f, 0, 700, true, 1);
	fake_add_track(f, 700, 800, true, 1);
	f->bad_start = 1000;
	f->bad_nr = 1;
	snprintf(target, sizeof target, "%s/album.cue", pl_test_folder());
	EXPECT_OK(pl_rip(&f->drive, target, &how, &options, NULL, &result, &err));
	EXPECT_EQ(result.copy.bad, PL_AUDIO_SECTOR);
	EXPECT_EQ(result.copy.size, 1500 * PL_AUDIO_SECTOR);
	EXPECT_OK(pl_storage_open(target, 0, &file, &err));
	EXPECT_OK(pl_image_open(file, target, NULL, NULL, 0, &image, &err));
	EXPECT(pl_disc_of(image));
	info = &pl_disc_of(image)->info;
	EXPECT_EQ(info->nr_tracks, 2);
	EXPECT_STR(info->mcn, "4006381333931");
	EXPECT_STR(info->tracks[0].isrc, "DEXYZ0512345");
	EXPECT_EQ(info->tracks[1].start, 700);
	EXPECT_EQ(info->tracks[1].mode, PLATTER_TRACK_AUDIO);
	for (uint64_t s = 0; s < 1500; s++) {
		EXPECT_OK(pl_read(image, sector, sizeof sector, s * PL_AUDIO_SECTOR, &err));
		if (s == 1000)
			EXPECT(pl_is_zero(sector, sizeof sector));
		else
			EXPECT_MEM(sector, f->bytes + s * PL_AUDIO_SECTOR, sizeof sector);
	}
	pl_drive_close(&f->drive, false);
}

TEST(map_of_a_mixed_disc_has_what_is_bad_of_both_kinds)
{
	static const struct platter_drive_read_options how = { .size = sizeof how };
	static const struct platter_create_options options = { .size = sizeof options };
	struct fake *f = fake_new(PL_PROFILE_CD_R, PLATTER_DISC_CLOSED, 13000);
	struct platter_rip_result result = { 0 };
	char target[256], line[80], blocks[400] = "";
	FILE *in;

	fake_add_track(f, 0, 600, true, 1);
	fake_add_track(f, 12000, 1000, false, 2);
	/* The last of sound, and the first of data. */
	f->bad_start = 599;
	f->bad_nr = 12000 + 3 - 599;
	snprintf(target, sizeof target, "%s/extra.cue", pl_test_folder());
	EXPECT_OK(pl_rip(&f->drive, target, &how, &options, NULL, &result, &err));
	EXPECT(result.mapped);
	snprintf(target, sizeof target, "%s/extra.cue.map", pl_test_folder());
	EXPECT((in = fopen(target, "r")));
	while (fgets(line, sizeof line, in))
		if (strstr(line, "0x") == line && line[strlen(line) - 2] == '-')
			snprintf(blocks + strlen(blocks), sizeof blocks - strlen(blocks), "%s",
				 line);
	EXPECT(fclose(in) == 0);
	snprintf(line, sizeof line, "0x%08X  0x%08X  -\n0x%08X  0x%08X  -\n", 599 * PL_AUDIO_SECTOR,
		 PL_AUDIO_SECTOR, 12000 * PL_AUDIO_SECTOR, 3 * PL_AUDIO_SECTOR);
	EXPECT_STR(blocks, line);
	pl_drive_close(&f->drive, false);
}

TEST(data_behind_sound_is_both_in_a_cue_sheet_and_alone)
{
	static const struct platter_drive_read_options how = { .size = sizeof how };
	static const struct platter_create_options options = { .size = sizeof options };
	struct fake *f = fake_new(PL_PROFILE_CD_R, PLATTER_DISC_CLOSED, 13000);
	PL_AUTOUNREF struct pl_disk *file = NULL, *image = NULL;
	struct platter_rip_result result = { 0 };
	struct pl_place *place;
	char target[256];

	fake_add_track(f, 0, 600, true, 1);
	fake_add_track(f, 12000, 1000, false, 2);
	snprintf(target, sizeof target, "%s/extra.cue", pl_test_folder());
	EXPECT_OK(pl_rip(&f->drive, target, &how, &options, NULL, &result, &err));
	EXPECT_OK(pl_storage_open(target, 0, &file, &err));
	EXPECT_OK(pl_image_open(file, target, NULL, NULL, 0, &image, &err));
	EXPECT_EQ(pl_disc_of(image)->info.nr_sessions, 2);
	EXPECT_EQ(pl_disc_of(image)->info.tracks[1].start, 12000);
	EXPECT_OK(pl_drive_place(&f->drive, &once, &place, &err));
	EXPECT_EQ(place->disk->size, 13000 * PL_DISC_SECTOR);
	expect_sectors(f, place->disk, 12000, 1000);
	pl_place_close(place);
	pl_drive_close(&f->drive, false);
}

/* libcdio reads a cue sheet as if it were a drive. */
TEST(sound_is_read_exactly_in_any_order)
{
	enum {
		NR = 300
	};
	uint8_t *samples = malloc(NR * PL_AUDIO_SECTOR), buf[10 * PL_AUDIO_SECTOR];
	char path[256], number[PL_DRIVE_NUMBER];
	struct pl_sound *sound;
	uint32_t noise = 1;
	FILE *out;
	size_t nr;

	EXPECT(samples);
	for (size_t i = 0; i < NR * PL_AUDIO_SECTOR / 2; i++) {
		noise = noise * 1664525 + 1013904223;
		put_le16(samples + 2 * i, (uint16_t)((i % 200) * 100 + (noise >> 22)));
	}
	snprintf(path, sizeof path, "%s/a.bin", pl_test_folder());
	EXPECT((out = fopen(path, "wb")) && fwrite(samples, PL_AUDIO_SECTOR, NR, out) == NR);
	EXPECT(fclose(out) == 0);
	snprintf(path, sizeof path, "%s/a.cue", pl_test_folder());
	EXPECT((out = fopen(path, "w")));
	fputs("CATALOG 4006381333931\nFILE \"a.bin\" BINARY\n  TRACK 01 AUDIO\n"
	      "    ISRC DEXYZ0512345\n    INDEX 01 00:00:00\n"
	      "  TRACK 02 AUDIO\n    INDEX 01 00:02:00\n",
	      out);
	EXPECT(fclose(out) == 0);
	EXPECT_OK(pl_sound_open(path, &sound, &err));
	for (int64_t lba = 0; lba < NR; lba += 10) {
		pl_sound_read(sound, 0, NR, lba, 10, buf, &nr);
		EXPECT_EQ(nr, 10);
		EXPECT_MEM(buf, samples + lba * PL_AUDIO_SECTOR, sizeof buf);
	}
	pl_sound_read(sound, 0, NR, 100, 3, buf, &nr);
	EXPECT_EQ(nr, 3);
	EXPECT_MEM(buf, samples + 100 * PL_AUDIO_SECTOR, 3 * PL_AUDIO_SECTOR);
	pl_sound_number(sound, 0, number);
	EXPECT_STR(number, "4006381333931");
	pl_sound_number(sound, 1, number);
	EXPECT_STR(number, "DEXYZ0512345");
	pl_sound_number(sound, 2, number);
	EXPECT_STR(number, "");
	pl_sound_close(sound);
	free(samples);
	EXPECT_EQ(pl_sound_open("/nonexistent", &sound, &err), -EIO);
}

/* A cue sheet of three tracks of sound, and the samples that are behind it. */
static struct pl_disk *
open_album(const char *sheet, uint8_t **ret_samples, size_t nr_sectors, const char *track)
{
	uint8_t *samples = malloc(nr_sectors * PL_AUDIO_SECTOR);
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_disk *image;
	char path[256];
	FILE *out;

	EXPECT(samples);
	for (size_t i = 0; i < nr_sectors * PL_AUDIO_SECTOR; i++)
		samples[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 15));
	snprintf(path, sizeof path, "%s/a.bin", pl_test_folder());
	EXPECT((out = fopen(path, "wb")) &&
	       fwrite(samples, PL_AUDIO_SECTOR, nr_sectors, out) == nr_sectors);
	EXPECT(fclose(out) == 0);
	snprintf(path, sizeof path, "%s/a.cue", pl_test_folder());
	EXPECT((out = fopen(path, "w")) && fputs(sheet, out) >= 0 && fclose(out) == 0);
	EXPECT_OK(pl_storage_open(path, 0, &file, &err));
	EXPECT_OK(pl_image_open_given(file, path, NULL, NULL, track, 0, NULL, &image, &err));
	*ret_samples = samples;
	return image;
}

static const char album[] = "CATALOG 4006381333931\nTITLE \"Album\"\nPERFORMER \"Band\"\n"
			    "FILE \"a.bin\" BINARY\n"
			    "  TRACK 01 AUDIO\n    TITLE \"One\"\n    ISRC DEXYZ0512345\n"
			    "    INDEX 01 00:00:00\n"
			    "  TRACK 02 AUDIO\n    TITLE \"Two\"\n    FLAGS DCP PRE\n"
			    "    INDEX 00 00:04:00\n    INDEX 01 00:06:00\n    INDEX 02 00:08:00\n"
			    "  TRACK 03 AUDIO\n    INDEX 01 00:10:00\n";

TEST(album_is_burned_with_pregaps_indexes_and_texts)
{
	struct fake *f = fake_new(PL_PROFILE_CD_R, PLATTER_DISC_BLANK, 1200);
	struct platter_burn_result result;
	const struct pl_burn_track *t;
	uint8_t *samples;
	struct pl_disk *image = open_album(album, &samples, 1000, NULL);

	EXPECT_OK(burn(f, image, &nothing, &result));
	EXPECT_EQ(f->nr_sessions, 1);
	EXPECT_EQ(result.tracks, 3);
	EXPECT_EQ(result.written, 1000 * PL_AUDIO_SECTOR);
	EXPECT_EQ(f->sessions[0].nr_tracks, 3);
	t = f->written[0];
	/* The pregap of the second track is its index 0. */
	EXPECT_EQ(t[0].length, 300 * PL_AUDIO_SECTOR);
	EXPECT_EQ(t[1].length, 450 * PL_AUDIO_SECTOR);
	EXPECT_EQ(t[1].nr_indexes, 3);
	EXPECT_EQ(t[1].first_index, 0);
	EXPECT_EQ(t[2].length, 250 * PL_AUDIO_SECTOR);
	EXPECT_EQ(t[2].nr_indexes, 0);
	EXPECT_EQ(t[1].flags, PLATTER_TRACK_COPY | PLATTER_TRACK_PREEMPHASIS);
	for (size_t i = 0; i < 1000; i++)
		EXPECT_MEM(f->bytes + i * PL_AUDIO_SECTOR, samples + i * PL_AUDIO_SECTOR,
			   PL_AUDIO_SECTOR);
	free(samples);
	done(f, image);
}

TEST(sound_is_verified_though_the_drive_shifts_it)
{
	for (int shift = -2; shift <= 2; shift++) {
		struct fake *f = fake_new(PL_PROFILE_CD_R, PLATTER_DISC_BLANK, 1200);
		struct platter_burn_result result;
		uint8_t *samples;
		struct pl_disk *image = open_album(album, &samples, 1000, NULL);

		fake_add_track(f, 0, 450, true, 1);
		fake_add_track(f, 450, 300, true, 1);
		fake_add_track(f, 750, 250, true, 1);
		f->shift = shift * 1000 + (shift != 0) * 4;
		EXPECT_OK(burn(f, image, &verify, &result));
		EXPECT(result.verified);
		f->drive.info.disc.size = 0;
		f->drive.info.disc.free = 1200 * PL_DISC_SECTOR;
		f->flips = true;
		EXPECT_EQ(burn(f, image, &verify, &result), -EILSEQ);
		free(samples);
		done(f, image);
	}
}

TEST(single_track_of_sound_is_a_disc_of_its_own)
{
	struct fake *f = fake_new(PL_PROFILE_CD_R, PLATTER_DISC_BLANK, 1200);
	struct platter_burn_result result;
	uint8_t *samples;
	struct pl_disk *image = open_album(album, &samples, 1000, "2");

	EXPECT_OK(burn(f, image, &nothing, &result));
	EXPECT_EQ(f->written[0][0].mode, PLATTER_TRACK_AUDIO);
	EXPECT_EQ(result.tracks, 1);
	EXPECT_MEM(f->bytes, samples + 450 * PL_AUDIO_SECTOR, PL_AUDIO_SECTOR);
	free(samples);
	done(f, image);
}

TEST(data_and_sound_in_one_session_are_refused)
{
	static const char mixed[] =
		"FILE \"a.bin\" BINARY\n  TRACK 01 MODE1/2352\n    INDEX 01 00:00:00\n"
		"  TRACK 02 AUDIO\n    INDEX 01 00:06:00\n";
	struct fake *f = fake_new(PL_PROFILE_CD_R, PLATTER_DISC_BLANK, 1200);
	struct platter_burn_result result;
	uint8_t *samples;
	struct pl_disk *image = open_album(mixed, &samples, 1000, NULL);

	EXPECT_EQ(burn(f, image, &nothing, &result), -ENOTSUP);
	EXPECT(strstr(err.message, "session 1 has data and sound"));
	EXPECT_EQ(f->nr_sessions, 0);
	free(samples);
	done(f, image);
}
