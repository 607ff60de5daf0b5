/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-rescue-cd.c - sectors of a CD that only raw readings of them can give */
#include <fcntl.h>

#include "fake-hardware.h"
#include "rescue-reader.h"
#include "storage.h"

enum {
	LBA = 0x0102,
	RAW = PL_SECTOR_RAW,
	C2 = 294,
	BURST = 400 /* more than ECC can correct */
};

#define CONFIGURATION "46 02 00 1e 00 00 00 00 10 00"
#define WITH_C2       "00 00 00 10 00 00 00 08 00 1e 09 04 03 00 00 00"
#define WITHOUT_C2    "00 00 00 10 00 00 00 08 00 1e 09 04 01 00 00 00"
#define READ_C2       "be 00 00 00 01 02 00 00 01 fa 00 00"
#define READ_PLAIN    "be 00 00 00 01 02 00 00 01 f8 00 00"
#define UNREADABLE    "70 00 03 00 00 00 00 0a 00 00 00 00 11 05"
#define NOT_READY     "70 00 02 00 00 00 00 0a 00 00 00 00 04 00"
#define ILLEGAL       "70 00 05 00 00 00 00 0a 00 00 00 00 24 00"

static struct platter_error err;

/* A sector with what a drive says of its bytes. */
struct reading {
	uint8_t raw[RAW];
	uint8_t c2[C2];
};

static uint8_t
byte_at(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static void
make_sector(struct reading *r, int64_t lba, enum pl_sector_kind kind)
{
	size_t at = kind == PL_SECTOR_MODE1 ? PL_SECTOR_MODE1_AT : PL_SECTOR_XA_AT;

	memset(r, 0, sizeof *r);
	pl_sector_put_header(r->raw, lba, kind == PL_SECTOR_MODE1 ? 1 : 2);
	if (kind == PL_SECTOR_FORM1)
		r->raw[18] = r->raw[22] = 0x08;
	for (size_t i = 0; i < PL_SECTOR_DATA; i++)
		r->raw[at + i] = byte_at(i);
	pl_sector_protect(r->raw, kind);
}

/* [at, at + n) is not what it was. */
static void
damage(struct reading *r, size_t at, size_t n, bool marked)
{
	for (size_t i = at; i < at + n; i++) {
		r->raw[i] ^= (uint8_t)(1 + i * 31 % 255);
		if (marked)
			r->c2[i / 8] |= (uint8_t)(0x80 >> i % 8);
	}
}

static void
expect_data(const uint8_t *data)
{
	for (size_t i = 0; i < PL_SECTOR_DATA; i++)
		EXPECT_EQ(data[i], byte_at(i));
}

/* ---- one sector from several readings ---- */

static const enum pl_sector_kind kinds[] = { PL_SECTOR_MODE1, PL_SECTOR_FORM1 };

TEST(few_errors_are_corrected_in_one_reading)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (int with_c2 = 0; with_c2 < 2; with_c2++) {
			struct pl_cd_readings sum = { .lba = LBA };
			uint8_t data[PL_SECTOR_DATA];
			struct reading r;

			make_sector(&r, LBA, kinds[k]);
			damage(&r, 700, 8, with_c2);
			damage(&r, 2100, 2, with_c2);
			EXPECT(pl_cd_readings_add(&sum, r.raw, with_c2 ? r.c2 : NULL, data));
			expect_data(data);
		}
}

TEST(sync_and_header_of_mode_1_may_be_lost)
{
	struct pl_cd_readings sum = { .lba = LBA };
	uint8_t data[PL_SECTOR_DATA];
	struct reading r;

	make_sector(&r, LBA, PL_SECTOR_MODE1);
	damage(&r, 0, 24, false);
	EXPECT(pl_cd_readings_add(&sum, r.raw, NULL, data));
	expect_data(data);
}

TEST(two_bursts_marked_in_different_places_are_put_together)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct pl_cd_readings sum = { .lba = LBA };
		uint8_t data[PL_SECTOR_DATA] = { 0 };
		static const uint8_t untouched[PL_SECTOR_DATA];
		struct reading r;

		make_sector(&r, LBA, kinds[k]);
		damage(&r, 100, BURST, true);
		EXPECT(!pl_cd_readings_add(&sum, r.raw, r.c2, data));
		EXPECT_MEM(data, untouched, sizeof data);
		make_sector(&r, LBA, kinds[k]);
		damage(&r, 1200, BURST, true);
		/* What no pointer tells of is left to ECC. */
		damage(&r, 900, 3, false);
		EXPECT(pl_cd_readings_add(&sum, r.raw, r.c2, data));
		expect_data(data);
	}
}

TEST(readings_that_are_sure_of_different_bytes_are_counted)
{
	struct pl_cd_readings sum = { .lba = LBA };
	static const size_t bursts[] = { 100, 600, 1100 };
	uint8_t data[PL_SECTOR_DATA];
	bool good = false;

	/* Nothing is marked: each byte is right in two of three. */
	for (size_t i = 0; i < ARRAY_SIZE(bursts); i++) {
		struct reading r;

		EXPECT(!good);
		make_sector(&r, LBA, PL_SECTOR_MODE1);
		damage(&r, bursts[i], BURST, false);
		good = pl_cd_readings_add(&sum, r.raw, r.c2, data);
	}
	EXPECT(good);
	expect_data(data);
}

TEST(without_pointers_readings_are_not_mixed)
{
	struct pl_cd_readings sum = { .lba = LBA };
	uint8_t data[PL_SECTOR_DATA];

	for (size_t i = 0; i < 6; i++) {
		struct reading r;

		make_sector(&r, LBA, PL_SECTOR_MODE1);
		damage(&r, 100 + i % 3 * 500, BURST, true);
		EXPECT(!pl_cd_readings_add(&sum, r.raw, NULL, data));
	}
}

TEST(sector_with_another_address_is_never_taken)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct pl_cd_readings sum = { .lba = LBA };
		uint8_t data[PL_SECTOR_DATA];
		struct reading r;

		make_sector(&r, LBA + 1, kinds[k]);
		EXPECT(!pl_cd_readings_add(&sum, r.raw, r.c2, data));
		/* Correcting brings its own address back, or none. */
		damage(&r, 12, 3, false);
		EXPECT(!pl_cd_readings_add(&sum, r.raw, r.c2, data));
		/* The header of one, the rest of the other. */
		make_sector(&r, LBA, kinds[k]);
		damage(&r, 15, RAW - 15, true);
		EXPECT(!pl_cd_readings_add(&sum, r.raw, r.c2, data));
		make_sector(&r, LBA + 1, kinds[k]);
		memset(r.c2, 0xff, 2);
		EXPECT(!pl_cd_readings_add(&sum, r.raw, r.c2, data));
	}
}

TEST(other_kinds_of_sector_are_never_taken)
{
	struct pl_cd_readings sum = { .lba = LBA };
	uint8_t data[PL_SECTOR_DATA];
	struct reading r;

	make_sector(&r, LBA, PL_SECTOR_FORM1);
	r.raw[18] = r.raw[22] = PL_SUBMODE_FORM2;
	for (size_t i = 0; i < PL_SECTOR_FORM2_DATA; i++)
		r.raw[24 + i] = byte_at(i);
	pl_sector_protect(r.raw, PL_SECTOR_FORM2);
	EXPECT(pl_sector_is_good(r.raw, PL_SECTOR_FORM2));
	EXPECT(!pl_cd_readings_add(&sum, r.raw, NULL, data));
	make_sector(&r, LBA, PL_SECTOR_FORM1);
	r.raw[19] ^= 1; /* its subheader is not twice the same: no forms */
	memset(r.raw + 24, 0x11, RAW - 24);
	EXPECT(!pl_cd_readings_add(&sum, r.raw, NULL, data));
	memset(r.raw, 0, RAW);
	EXPECT(!pl_cd_readings_add(&sum, r.raw, NULL, data));
	memset(r.raw, 0xaa, RAW);
	EXPECT(!pl_cd_readings_add(&sum, r.raw, NULL, data));
	make_sector(&r, LBA, PL_SECTOR_MODE1);
	r.raw[PL_SECTOR_MODE] = 0;
	memset(r.raw + 16, 0, RAW - 16);
	EXPECT(!pl_cd_readings_add(&sum, r.raw, NULL, data));
}

TEST(zeros_behind_a_header_prove_nothing)
{
	struct pl_cd_readings sum = { .lba = LBA };
	uint8_t data[PL_SECTOR_DATA];
	struct reading r = { 0 };

	for (unsigned mode = 0; mode < 3; mode++) {
		pl_sector_put_header(r.raw, LBA, mode);
		EXPECT(!pl_cd_readings_add(&sum, r.raw, NULL, data));
	}
	r.raw[1000] = 1;
	EXPECT(!pl_cd_readings_add(&sum, r.raw, NULL, data));
	/* Zeros that are meant have a subheader, or the EDC of mode 1. */
	r = (struct reading){ 0 };
	pl_sector_put_header(r.raw, LBA, 2);
	r.raw[18] = r.raw[22] = 0x08;
	pl_sector_protect(r.raw, PL_SECTOR_FORM1);
	EXPECT(pl_cd_readings_add(&sum, r.raw, NULL, data));
	r = (struct reading){ 0 };
	pl_sector_put_header(r.raw, LBA, 1);
	pl_sector_protect(r.raw, PL_SECTOR_MODE1);
	EXPECT(pl_cd_readings_add(&sum, r.raw, NULL, data));
}

/* ---- the drive ---- */

static struct pl_rescue_cd *
begin(struct fake **ret, const char *configuration)
{
	struct pl_rescue_cd *cd;

	*ret = fake_new();
	cd = pl_rescue_cd_new((*ret)->transport);
	EXPECT(cd != NULL);
	want_cdb(*ret, CONFIGURATION, PL_DATA_IN);
	gives_hex(*ret, configuration);
	return cd;
}

static void
finish(struct fake *f, struct pl_rescue_cd *cd)
{
	done(f);
	pl_rescue_cd_close(cd);
	EXPECT(!f->transport);
}

static void
reads(struct fake *f, const struct reading *r, bool c2)
{
	want_cdb(f, c2 ? READ_C2 : READ_PLAIN, PL_DATA_IN);
	gives_data(f, r->raw, c2 ? sizeof *r : sizeof r->raw);
}

static void
refuses(struct fake *f, const char *cdb, const char *sense)
{
	want_cdb(f, cdb, PL_DATA_IN);
	gives_sense(f, sense);
}

static bool
read_it(struct pl_rescue_cd *cd, uint8_t *data)
{
	return pl_rescue_cd_read(cd, LBA, 1, 30, data);
}

static void
make_bad(struct reading *r, size_t at)
{
	make_sector(r, LBA, PL_SECTOR_MODE1);
	damage(r, at, BURST, true);
}

TEST(drive_with_c2_is_asked_until_the_readings_make_a_sector)
{
	uint8_t data[PL_SECTOR_DATA];
	struct reading r;
	struct fake *f;
	struct pl_rescue_cd *cd = begin(&f, WITH_C2);

	make_bad(&r, 100);
	reads(f, &r, true);
	refuses(f, READ_C2, UNREADABLE);
	reads(f, &r, true);
	make_bad(&r, 1200);
	reads(f, &r, true);
	EXPECT(read_it(cd, data));
	expect_data(data);
	/* It is known by now what the drive can do. */
	make_sector(&r, LBA, PL_SECTOR_MODE1);
	reads(f, &r, true);
	EXPECT(read_it(cd, data));
	finish(f, cd);
}

TEST(drive_without_c2_is_asked_twice)
{
	uint8_t data[PL_SECTOR_DATA];
	struct reading r;
	struct fake *f;
	struct pl_rescue_cd *cd = begin(&f, WITHOUT_C2);

	make_bad(&r, 100);
	reads(f, &r, false);
	make_sector(&r, LBA, PL_SECTOR_MODE1);
	damage(&r, 300, 5, false);
	reads(f, &r, false);
	EXPECT(read_it(cd, data));
	expect_data(data);
	make_bad(&r, 100);
	reads(f, &r, false);
	reads(f, &r, false);
	EXPECT(!read_it(cd, data));
	finish(f, cd);
}

TEST(sector_that_stays_bad_is_read_no_more_than_eight_times)
{
	uint8_t data[PL_SECTOR_DATA];
	struct reading r;
	struct fake *f;
	struct pl_rescue_cd *cd = begin(&f, WITH_C2);

	make_sector(&r, LBA - 1, PL_SECTOR_MODE1);
	for (size_t i = 0; i < 8; i++)
		reads(f, &r, true);
	EXPECT(!read_it(cd, data));
	finish(f, cd);
}

TEST(drive_that_cannot_read_raw_either_is_asked_twice_a_sector)
{
	uint8_t data[PL_SECTOR_DATA];
	struct fake *f;
	struct pl_rescue_cd *cd = begin(&f, WITH_C2);

	for (size_t i = 0; i < 4; i++)
		refuses(f, READ_C2, UNREADABLE);
	EXPECT(!read_it(cd, data));
	EXPECT(!read_it(cd, data));
	/* Not ready: it may be for the next sector. */
	refuses(f, READ_C2, NOT_READY);
	EXPECT(!read_it(cd, data));
	refuses(f, READ_C2, NOT_READY);
	EXPECT(!read_it(cd, data));
	finish(f, cd);
}

TEST(drive_that_refuses_raw_sectors_is_not_asked_again)
{
	uint8_t data[PL_SECTOR_DATA];
	struct fake *f;
	struct pl_rescue_cd *cd = begin(&f, WITHOUT_C2);

	refuses(f, READ_PLAIN, ILLEGAL);
	EXPECT(!read_it(cd, data));
	EXPECT(!read_it(cd, data));
	finish(f, cd);
}

TEST(promised_pointers_that_are_refused_are_done_without)
{
	uint8_t data[PL_SECTOR_DATA];
	struct reading r;
	struct fake *f;
	struct pl_rescue_cd *cd = begin(&f, WITH_C2);

	make_sector(&r, LBA, PL_SECTOR_MODE1);
	damage(&r, 300, 5, false);
	refuses(f, READ_C2, ILLEGAL);
	reads(f, &r, false);
	EXPECT(read_it(cd, data));
	expect_data(data);
	reads(f, &r, false);
	EXPECT(read_it(cd, data));
	finish(f, cd);
}

TEST(drive_that_is_gone_or_hangs_is_not_asked_again)
{
	static const unsigned hosts[] = { 0x01, 0x03 }; /* DID_NO_CONNECT, DID_TIME_OUT */
	uint8_t data[PL_SECTOR_DATA];
	struct reading r;
	struct fake *f;

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct pl_rescue_cd *cd = begin(&f, WITH_C2);

		make_bad(&r, 100);
		reads(f, &r, true);
		want_cdb(f, READ_C2, PL_DATA_IN);
		f->steps[f->nr - 1].host_status = hosts[i];
		EXPECT(!read_it(cd, data));
		EXPECT(!read_it(cd, data));
		finish(f, cd);
	}
}

TEST(nothing_is_begun_that_would_last_too_long)
{
	uint8_t data[PL_SECTOR_DATA];
	struct fake *f;
	struct pl_rescue_cd *cd = begin(&f, WITH_C2);

	/* Four times busy takes 2 seconds; 1 more is left. */
	for (size_t i = 0; i < 4; i++) {
		want_cdb(f, READ_C2, PL_DATA_IN);
		f->steps[f->nr - 1].status = PL_STATUS_BUSY;
	}
	EXPECT(!pl_rescue_cd_read(cd, LBA, 1, 4, data));
	EXPECT_EQ(f->now, 2000);
	EXPECT(!pl_rescue_cd_read(cd, LBA, 2.1, 4, data));
	finish(f, cd);
}

/* ---- and the reader ---- */

/* A source of which no read is good: a folder. */
static struct pl_reader *
make_reader(struct pl_rescue_cd *cd, struct pl_disk *image)
{
	struct pl_direct d = {
		.path = strdup("drive"),
		.fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.cached = true,
		.sector_size = PL_SECTOR_DATA,
		.size = MIB(1),
	};
	struct pl_reader *reader;

	EXPECT(d.path && d.fd >= 0);
	EXPECT_OK(pl_reader_new(&d, cd, image, true, 30, &reader, &err));
	return reader;
}

static enum pl_reader_answer
answer(struct pl_reader *reader, uint64_t lba, size_t nr, size_t *ret_done)
{
	struct pl_reader_result result;

	EXPECT_OK(pl_reader_begin(reader, lba * PL_SECTOR_DATA, nr * PL_SECTOR_DATA, &err));
	EXPECT(pl_reader_wait(reader, 20, &result));
	*ret_done = result.done;
	return result.answer;
}

TEST(reader_writes_what_only_raw_readings_gave)
{
	uint8_t data[PL_SECTOR_DATA];
	char path[300];
	struct pl_disk *image;
	struct pl_reader *reader;
	struct reading r;
	struct fake *f;
	struct pl_rescue_cd *cd = begin(&f, WITH_C2);
	size_t gave;
	int fd;

	snprintf(path, sizeof path, "%s/image", pl_test_folder());
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	EXPECT(fd >= 0 && ftruncate(fd, MIB(1)) == 0);
	EXPECT_OK(pl_storage_open(path, PLATTER_OPEN_WRITE | PL_STORAGE_SINGLE, &image, &err));
	make_bad(&r, 100);
	reads(f, &r, true);
	make_bad(&r, 1200);
	reads(f, &r, true);
	refuses(f, READ_C2, ILLEGAL);
	refuses(f, READ_PLAIN, ILLEGAL);
	reader = make_reader(cd, image);
	/* Several at once are the block device's alone. */
	EXPECT_EQ(answer(reader, LBA, 2, &gave), PL_READER_BAD);
	EXPECT_EQ(f->next, 0);
	EXPECT_EQ(answer(reader, LBA, 1, &gave), PL_READER_READ);
	EXPECT_EQ(gave, PL_SECTOR_DATA);
	EXPECT_EQ(answer(reader, LBA, 1, &gave), PL_READER_BAD);
	EXPECT_EQ(gave, 0);
	pl_reader_free(reader);
	done(f);
	EXPECT(!f->transport);
	EXPECT_OK(pl_flush(image, &err));
	pl_disk_unref(image);
	EXPECT_EQ(pread(fd, data, sizeof data, (off_t)LBA * PL_SECTOR_DATA), PL_SECTOR_DATA);
	expect_data(data);
	close(fd);
}

TEST(reader_without_a_cd_leaves_bad_sectors_bad)
{
	struct pl_reader *reader = make_reader(NULL, NULL);
	size_t gave;

	EXPECT_EQ(answer(reader, LBA, 1, &gave), PL_READER_BAD);
	pl_reader_free(reader);
}
