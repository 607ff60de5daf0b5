/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-disc.c - discs from cue sheets and TOCs, and every view of them */
#include "beside.h"
#include "disc.h"
#include "test.h"
#include "text.h"

static struct platter_error err = PLATTER_ERROR_INIT;

static int
open_sheet(const char *format, const char *sheet, const struct file *list, size_t nr,
	   const char *select, struct pl_disk **ret)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct files files = { { .open = open_file, .find = find_file }, list, nr };
	struct pl_open_request request = { .disk = select, .related = &files.related };

	err = (struct platter_error)PLATTER_ERROR_INIT;
	EXPECT_EQ(pl_memory_new(sheet, strlen(sheet), "disc.cue", &file, &err), 0);
	request.file = file;
	return pl_format_by_name(format)->open(&request, ret, &err);
}

static void
fill(uint8_t *bytes, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		bytes[i] = (uint8_t)(seed >> 16);
	}
}

/* nr sectors of mode 1 from `lba` on, with their user data apart. */
static void
make_mode1(uint8_t *raw, uint8_t *user, int64_t lba, size_t nr)
{
	fill(user, nr * 2048, (unsigned)lba + 1);
	for (size_t i = 0; i < nr; i++, raw += 2352) {
		memset(raw, 0, 2352);
		pl_sector_put_header(raw, lba + (int64_t)i, 1);
		memcpy(raw + 16, user + i * 2048, 2048);
		pl_sector_protect(raw, PL_SECTOR_MODE1);
	}
}

#define NR 100

static uint8_t data_raw[NR * 2352], data_user[NR * 2048], sound[NR * 2352];

static void
make_files(void)
{
	make_mode1(data_raw, data_user, 0, NR);
	fill(sound, sizeof sound, 99);
}

static void
expect_bytes(struct pl_disk *disk, uint64_t offset, const uint8_t *wanted, size_t n)
{
	PL_AUTOFREE uint8_t *have = malloc(n);

	EXPECT_EQ(pl_read(disk, have, n, offset, &err), 0);
	EXPECT_MEM(have, wanted, n);
}

TEST(a_data_track_is_its_user_data)
{
	const struct file files[] = { { "disc.bin", data_raw, sizeof data_raw } };
	static const char sheet[] = "FILE \"disc.bin\" BINARY\r\n  TRACK 01 MODE1/2352\r\n"
				    "    INDEX 01 00:00:00\r\n";
	PL_AUTOUNREF struct pl_disk *disk = NULL, *raw = NULL, *track = NULL;

	make_files();
	EXPECT_EQ(open_sheet("cue", sheet, files, 1, NULL, &disk), 0);
	EXPECT_EQ(disk->size, sizeof data_user);
	EXPECT_EQ(disk->sector_size, 2048);
	expect_bytes(disk, 0, data_user, sizeof data_user);
	expect_bytes(disk, 70001, data_user + 70001, 5);
	EXPECT_EQ(open_sheet("cue", sheet, files, 1, "raw", &raw), 0);
	EXPECT_EQ(raw->size, sizeof data_raw);
	expect_bytes(raw, 0, data_raw, sizeof data_raw);
	EXPECT_EQ(open_sheet("cue", sheet, files, 1, "1", &track), 0);
	expect_bytes(track, 0, data_user, sizeof data_user);
	EXPECT(pl_disc_track_of(track) && !pl_disc_track_of(raw));
	EXPECT_EQ(open_sheet("cue", sheet, files, 1, "2", &track), -ENOENT);
	EXPECT_STR(err.message, "there is no track '2' on the disc");
}

/* What is stored as 2048 bytes gets the headers, EDC and ECC that a pressed disc has. */
TEST(raw_sectors_are_made_of_user_data)
{
	const struct file files[] = { { "disc.iso", data_user, sizeof data_user } };
	PL_AUTOUNREF struct pl_disk *raw = NULL;

	make_files();
	EXPECT_EQ(open_sheet("cue",
			     "FILE disc.iso BINARY\nTRACK 01 MODE1/2048\nINDEX 01 00:00:00\n",
			     files, 1, "raw", &raw),
		  0);
	EXPECT_EQ(raw->size, sizeof data_raw);
	expect_bytes(raw, 0, data_raw, sizeof data_raw);
}

TEST(names_need_not_fit_exactly)
{
	const struct file files[] = { { "Disc.Bin", data_raw, sizeof data_raw } };
	PL_AUTOUNREF struct pl_disk *a = NULL, *b = NULL, *c = NULL;

	make_files();
	EXPECT_EQ(open_sheet("cue", "FILE \"DISC.BIN\" BINARY\nTRACK 1 AUDIO\nINDEX 1 0:0:0\n",
			     files, 1, NULL, &a),
		  0);
	EXPECT_EQ(open_sheet("cue",
			     "FILE \"C:\\rips\\disc.bin\" BINARY\nTRACK 1 AUDIO\nINDEX 1 0:0:0\n",
			     files, 1, NULL, &b),
		  0);
	EXPECT_EQ(open_sheet("cue", "FILE \"other.bin\" BINARY\nTRACK 1 AUDIO\nINDEX 1 0:0:0\n",
			     files, 1, NULL, &c),
		  0);
	EXPECT_EQ(open_sheet("cue", "FILE \"other.img\" BINARY\nTRACK 1 AUDIO\nINDEX 1 0:0:0\n",
			     files, 1, NULL, &c),
		  -ENOENT);
	EXPECT_STR(err.message, "no file 'other.img'");
}

/* A file for each track, the second's pregap at the end of the first, gaps in no file, indexes. */
TEST(gaps_and_indexes_are_where_the_sheet_says)
{
	const struct file files[] = { { "1.bin", data_raw, sizeof data_raw },
				      { "2.bin", sound, sizeof sound } };
	static const char sheet[] =
		"FILE \"1.bin\" BINARY\n TRACK 01 MODE1/2352\n  INDEX 01 00:00:00\n"
		" TRACK 02 AUDIO\n  FLAGS DCP PRE\n  ISRC ABCDE1234567\n  INDEX 00 00:01:05\n"
		"FILE \"2.bin\" BINARY\n  INDEX 01 00:00:00\n  INDEX 02 00:00:10\n  POSTGAP "
		"00:00:04\n"
		" TRACK 03 AUDIO\n  PREGAP 00:00:02\n  INDEX 01 00:01:00\n";
	PL_AUTOUNREF struct pl_disk *disk = NULL, *raw = NULL;
	const struct platter_disc *d;
	static const uint8_t silence[6 * 2352];

	make_files();
	EXPECT_EQ(open_sheet("cue", sheet, files, 2, NULL, &disk), 0);
	d = &pl_disc_of(disk)->info;
	EXPECT_EQ(d->nr_tracks, 3);
	EXPECT_EQ(d->tracks[0].start, 0);
	EXPECT_EQ(d->tracks[0].length, 80);
	EXPECT_EQ(d->tracks[1].start, 100);
	EXPECT_EQ(d->tracks[1].pregap, 20);
	EXPECT_EQ(d->tracks[1].nr_indexes, 1);
	EXPECT_EQ(d->tracks[1].indexes[0], 110);
	EXPECT_EQ(d->tracks[1].flags, PLATTER_TRACK_COPY | PLATTER_TRACK_PREEMPHASIS);
	EXPECT_STR(d->tracks[1].isrc, "ABCDE1234567");
	/* 75 sectors and 4 of silence. */
	EXPECT_EQ(d->tracks[1].length, 79);
	EXPECT_EQ(d->tracks[2].start, 181);
	EXPECT_EQ(d->tracks[2].pregap, 2);
	EXPECT_EQ(d->tracks[2].length, 25);
	EXPECT_EQ(d->sessions[0].end, 206);
	EXPECT_EQ(disk->size, 80 * 2048);
	EXPECT_EQ(open_sheet("cue", sheet, files, 2, "raw", &raw), 0);
	EXPECT_EQ(raw->size, 206 * 2352);
	expect_bytes(raw, 0, data_raw, sizeof data_raw);
	expect_bytes(raw, 100 * 2352, sound, 75 * 2352);
	expect_bytes(raw, 175 * 2352, silence, sizeof silence);
	expect_bytes(raw, 181 * 2352, sound + 75 * 2352, 25 * 2352);
}

/* A disc of sound with data in its second session: the file system is found at sector 16. */
TEST(a_second_session_comes_behind_lead_out_and_lead_in)
{
	const struct file files[] = { { "a.bin", sound, sizeof sound },
				      { "b.bin", data_raw, sizeof data_raw } };
	static const char sheet[] =
		"FILE a.bin BINARY\nTRACK 01 AUDIO\nINDEX 01 00:00:00\nREM SESSION 02\n"
		"FILE b.bin BINARY\nTRACK 02 MODE1/2352\nINDEX 01 00:00:00\n";
	PL_AUTOUNREF struct pl_disk *disk = NULL, *raw = NULL;
	const struct platter_disc *d;

	make_files();
	EXPECT_EQ(open_sheet("cue", sheet, files, 2, NULL, &disk), 0);
	d = &pl_disc_of(disk)->info;
	EXPECT_EQ(d->nr_sessions, 2);
	EXPECT_EQ(d->sessions[0].end, NR);
	EXPECT_EQ(d->tracks[1].start, NR + 11400);
	EXPECT_EQ(disk->size, (NR + 11400 + NR) * 2048);
	expect_bytes(disk, 0, data_user, 32 * 2048);
	expect_bytes(disk, (NR + 11400) * 2048, data_user, sizeof data_user);
	EXPECT_EQ(open_sheet("cue", sheet, files, 2, "raw", &raw), 0);
	EXPECT_EQ(raw->size, 2 * NR * 2352);
	expect_bytes(raw, NR * 2352, data_raw, sizeof data_raw);
	EXPECT_EQ(pl_disc_position(pl_disc_of(raw), NR + 11400), NR);
	EXPECT_EQ(pl_disc_position(pl_disc_of(raw), NR + 1), -1);
}

TEST(wrong_edc_is_corrected_or_bad_in_the_map)
{
	PL_AUTOFREE uint8_t *damaged = malloc(sizeof data_raw);
	const struct file files[] = { { "disc.bin", damaged, sizeof data_raw } };
	static const uint8_t zeros[2048];
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_extent e;

	make_files();
	memcpy(damaged, data_raw, sizeof data_raw);
	damaged[40 * 2352 + 777] ^= 0x10;
	fill(damaged + 50 * 2352 + 30, 2000, 5);
	EXPECT_EQ(open_sheet("cue", "FILE disc.bin BINARY\nTRACK 1 MODE1/2352\nINDEX 1 0:0:0\n",
			     files, 1, NULL, &disk),
		  0);
	expect_bytes(disk, 0, data_user, 50 * 2048);
	expect_bytes(disk, 50 * 2048, zeros, 2048);
	expect_bytes(disk, 51 * 2048, data_user + 51 * 2048, 49 * 2048);
	EXPECT_EQ(pl_map(disk, 50 * 2048 + 5, MIB(1), &e, &err), 0);
	EXPECT_EQ(e.kind, PLATTER_BAD);
	EXPECT_EQ(e.length, 2043);
	EXPECT_EQ(pl_map(disk, 49 * 2048, MIB(1), &e, &err), 0);
	EXPECT_EQ(e.kind, PLATTER_DATA);
	EXPECT_EQ(e.length, 2048);
}

/* Every Q that is made has the right CRC and tells where it is. */
TEST(subchannel_is_made)
{
	const struct file files[] = { { "a.bin", sound, sizeof sound } };
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t sector[2448];

	make_files();
	EXPECT_EQ(open_sheet(
			  "cue",
			  "CATALOG 1234567890123\nFILE a.bin BINARY\nTRACK 7 AUDIO\nINDEX 0 0:0:0\n"
			  "INDEX 1 0:0:20\n",
			  files, 1, "raw+sub", &disk),
		  0);
	EXPECT_EQ(disk->size, NR * 2448);
	for (unsigned i = 0; i < NR; i++) {
		const uint8_t *q = sector + 2352 + 12;
		unsigned crc = 0;

		EXPECT_EQ(pl_read(disk, sector, sizeof sector, i * 2448, &err), 0);
		EXPECT_MEM(sector, sound + i * 2352, 2352);
		for (unsigned bit = 0; bit < 80; bit++) {
			crc ^= (q[bit / 8] >> (7 - bit % 8) & 1u) << 15;
			crc = crc << 1 ^ (crc & 0x8000 ? 0x11021 : 0);
		}
		EXPECT_EQ(get_be16(q + 10), (uint16_t)~crc);
		EXPECT_EQ(sector[2352], i < 20 ? 0xff : 0);
		if (q[0] == 1) {
			unsigned distance = i < 20 ? 20 - i : i - 20;

			EXPECT_EQ(q[1], 7);
			EXPECT_EQ(q[2], i >= 20);
			EXPECT_EQ(q[5], (distance % 75 / 10) << 4 | distance % 75 % 10);
		} else {
			EXPECT_EQ(q[0], 2);
			EXPECT_EQ(q[1], 0x12);
			EXPECT_EQ(q[7], 0x30);
		}
	}
}

TEST(samples_of_the_other_byte_order_are_turned)
{
	PL_AUTOFREE uint8_t *turned = malloc(sizeof sound);
	const struct file files[] = { { "a.bin", turned, sizeof sound } };
	PL_AUTOUNREF struct pl_disk *disk = NULL, *toc = NULL;

	make_files();
	for (size_t i = 0; i < sizeof sound; i++)
		turned[i] = sound[i ^ 1];
	EXPECT_EQ(open_sheet("cue", "FILE a.bin MOTOROLA\nTRACK 1 AUDIO\nINDEX 1 0:0:0\n", files, 1,
			     "1", &disk),
		  0);
	expect_bytes(disk, 0, sound, sizeof sound);
	EXPECT_EQ(open_sheet("toc", "CD_DA TRACK AUDIO FILE \"a.bin\" 0", files, 1, "1", &toc), 0);
	expect_bytes(toc, 0, sound, sizeof sound);
}

TEST(wrong_cue_sheets_are_refused)
{
	static const struct {
		const char *sheet, *message;
	} sheets[] = {
		{ "", "the disc has no tracks" },
		{ "TRACK 01 AUDIO\n", "line 1 of the cue sheet: no FILE comes before track '01'" },
		{ "FILE\n", "line 1 of the cue sheet: no name of a file ''" },
		{ "FILE a.bin MP3\n",
		  "the cue sheet's file 'a.bin' is of type 'MP3', and BINARY, MOTOROLA, WAVE,"
		  " AIFF and FLAC are read" },
		{ "FILE a.bin BINARY\n\nTRACK 01 MODE3/2352\n",
		  "line 3 of the cue sheet: unknown mode 'MODE3/2352'" },
		{ "FILE a.bin BINARY\nTRACK xx AUDIO\n",
		  "line 2 of the cue sheet: not a track: 'xx'" },
		{ "FILE a.bin BINARY\nTRACK 0 AUDIO\nINDEX 1 0:0:0\n",
		  "track 0, 1 to 99 are allowed" },
		{ "FILE a.bin BINARY\nTRACK 1 AUDIO\nINDEX 2 0:0:0\n",
		  "line 3 of the cue sheet: out of order is index '2'" },
		{ "FILE a.bin BINARY\nTRACK 1 AUDIO\nINDEX 1 0:0:75\n",
		  "line 3 of the cue sheet: not a time: '0:0:75'" },
		{ "FILE a.bin BINARY\nTRACK 1 AUDIO\nINDEX 0 0:0:0\n",
		  "track 1 of the cue sheet has no index 01" },
		{ "FILE a.bin BINARY\nTRACK 1 AUDIO\nINDEX 1 0:0:9\nTRACK 2 AUDIO\nINDEX 1 0:0:8\n",
		  "line 5 of the cue sheet: earlier than the index before is '0:0:8'" },
		{ "FILE a.bin BINARY\nTRACK 2 AUDIO\nINDEX 1 0:0:0\nTRACK 1 AUDIO\nINDEX 1 0:0:8\n",
		  "track 1 of session 1 comes after track 2 of session 1" },
		{ "REM SESSION 100\n", "line 1 of the cue sheet: out of order is session '100'" },
	};
	const struct file files[] = { { "a.bin", sound, sizeof sound } };

	for (size_t i = 0; i < ARRAY_SIZE(sheets); i++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		EXPECT(open_sheet("cue", sheets[i].sheet, files, 1, NULL, &disk) < 0);
		EXPECT_STR(err.message, sheets[i].message);
	}
}

TEST(a_toc_is_read)
{
	const struct file files[] = { { "a.bin", sound, sizeof sound },
				      { "b.bin", data_raw, sizeof data_raw } };
	static const char sheet[] =
		"CD_ROM\nCATALOG \"1234567890123\"\n// a comment \"\n"
		"CD_TEXT { LANGUAGE_MAP { 0 : EN }\n LANGUAGE 0 { TITLE \"Songs \\\"of\\\" "
		"\\351\"\n"
		"  SIZE_INFO { 1, 2,\n 3 } PERFORMER \"Me\" } LANGUAGE 1 { TITLE \"Lieder\" } }\n"
		"TRACK MODE1_RAW NO COPY DATAFILE \"b.bin\" #4704 00:00:50\n"
		"TRACK AUDIO RW COPY PRE_EMPHASIS ISRC \"ABCDE1234567\"\n"
		"CD_TEXT { LANGUAGE 0 { TITLE \"One\" } }\n"
		"PREGAP 00:00:03 SILENCE 00:00:04 FILE \"a.bin\" SWAP #2448 00:00:01 00:00:20\n"
		"INDEX 00:00:05\n";
	PL_AUTOUNREF struct pl_disk *disk = NULL, *track = NULL;
	const struct platter_disc *d;

	make_files();
	EXPECT_EQ(open_sheet("toc", sheet, files, 2, NULL, &disk), 0);
	d = &pl_disc_of(disk)->info;
	EXPECT_STR(d->mcn, "1234567890123");
	EXPECT_STR(d->text.title, "Songs \"of\" \xc3\xa9");
	EXPECT_STR(d->text.performer, "Me");
	EXPECT_EQ(d->nr_tracks, 2);
	EXPECT_EQ(d->tracks[0].length, 50);
	EXPECT_EQ(d->tracks[0].flags, 0);
	EXPECT_EQ(d->tracks[1].start, 53);
	EXPECT_EQ(d->tracks[1].pregap, 3);
	EXPECT_EQ(d->tracks[1].length, 24);
	EXPECT_EQ(d->tracks[1].indexes[0], 58);
	EXPECT_EQ(d->tracks[1].stored_subchannel, 0);
	EXPECT_STR(d->tracks[1].text.title, "One");
	expect_bytes(disk, 0, data_user + 2 * 2048, 50 * 2048);
	EXPECT_EQ(open_sheet("toc", sheet, files, 2, "2", &track), 0);
	expect_bytes(track, 4 * 2352, sound + 2 * 2448, 2352);
}

TEST(wrong_tocs_are_refused)
{
	static const struct {
		const char *sheet, *message;
	} sheets[] = {
		{ "CD_DA", "the disc has no tracks" },
		{ "CD_DA\nSILENCE 0:0:1",
		  "line 2 of the TOC: an unknown statement, at 'SILENCE 0:0:1'" },
		{ "CD_DA TRACK MODE9",
		  "line 1 of the TOC: an unknown mode of a track, at 'MODE9'" },
		{ "CD_DA TRACK AUDIO FILE a.bin",
		  "line 1 of the TOC: a text between quotes is expected, at 'a.bin'" },
		{ "CD_DA TRACK AUDIO FILE \"a.bin",
		  "line 1 of the TOC: a text has no end, at '\"a.bin'" },
		{ "CD_DA TRACK AUDIO FILE \"a.bin\" START",
		  "line 1 of the TOC: a time is expected, at 'START'" },
		{ "CD_DA TRACK AUDIO FILE \"a.bin\" #999999999 0",
		  "track 1 begins at byte 999999999 of 'a.bin', which has 235200" },
		{ "CD_DA TRACK AUDIO SILENCE 00:00:10 START 00:00:11",
		  "track 1 starts at its sector 11 and has 10" },
		{ "CD_DA CD_TEXT { LANGUAGE 0 { TITLE",
		  "line 1 of the TOC: CD_TEXT has no end, at ''" },
		{ "CD_DA TRACK AUDIO SILENCE 999999:00:00",
		  "line 1 of the TOC: the track is too long, at ''" },
	};
	const struct file files[] = { { "a.bin", sound, sizeof sound } };

	for (size_t i = 0; i < ARRAY_SIZE(sheets); i++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		EXPECT(open_sheet("toc", sheets[i].sheet, files, 1, NULL, &disk) < 0);
		EXPECT_STR(err.message, sheets[i].message);
	}
}

static uint16_t
crc_of(const uint8_t *bytes, size_t n)
{
	unsigned crc = 0;

	for (size_t i = 0; i < n * 8; i++) {
		crc ^= (bytes[i / 8] >> (7 - i % 8) & 1u) << 15;
		crc = crc << 1 ^ (crc & 0x8000 ? 0x11021 : 0);
	}
	return (uint16_t)~crc;
}

static void
put_pack(uint8_t *pack, uint8_t type, uint8_t track, uint8_t number, const char *text)
{
	memset(pack, 0, 18);
	pack[0] = type;
	pack[1] = track;
	pack[2] = number;
	memcpy(pack + 4, text, 12);
	put_be16(pack + 16, crc_of(pack, 16));
}

TEST(cdtext_goes_on_from_pack_to_pack)
{
	uint8_t packs[5 * 18];
	struct pl_disc *disc = pl_disc_new(&err);
	struct platter_track track = { .number = 1, .session = 1 };

	EXPECT_EQ(pl_disc_add_track(disc, &track, NULL, &err), 0);
	track.number = 2;
	EXPECT_EQ(pl_disc_add_track(disc, &track, NULL, &err), 0);
	put_pack(packs, 0x80, 0, 0, "An album\0Fir");
	put_pack(packs + 18, 0x80, 1, 1, "st\0A longer ");
	put_pack(packs + 36, 0x80, 2, 2, "second one\0\0");
	put_pack(packs + 54, 0x81, 0, 3, "Me\0\0\t\0\0\0\0\0\0");
	put_pack(packs + 72, 0x81, 1, 4, "Not counted\0");
	packs[80] ^= 1;
	pl_disc_take_cdtext(disc, packs, sizeof packs);
	EXPECT_STR(disc->info.text.title, "An album");
	EXPECT_STR(disc->tracks[0].text.title, "First");
	EXPECT_STR(disc->tracks[1].text.title, "A longer second one");
	EXPECT_STR(disc->info.text.performer, "Me");
	pl_disc_unref(disc);
}

TEST(runs_that_cannot_be_are_refused)
{
	struct pl_disc *disc = pl_disc_new(&err);
	struct platter_track track = { .number = 1, .session = 1 };
	struct pl_disc_run run = { .nr = 10, .main_bytes = 2352 };
	PL_AUTOUNREF struct pl_disk *file = NULL;

	make_files();
	EXPECT_EQ(pl_memory_new(sound, sizeof sound, "sound", &file, &err), 0);
	run.file = file;
	EXPECT_EQ(pl_disc_finish(disc, &err), -EUCLEAN);
	EXPECT_EQ(pl_disc_add_track(disc, &track, NULL, &err), 0);
	run.main_bytes = 2048;
	EXPECT_EQ(pl_disc_add_run(disc, &run, &err), -EUCLEAN);
	EXPECT_STR(err.message, "track 1 stores 2048 bytes of each sector, which its mode does not"
				" allow");
	run.main_bytes = 2352;
	run.stride = 100;
	EXPECT_EQ(pl_disc_add_run(disc, &run, &err), -EUCLEAN);
	run.stride = 0;
	run.nr = 0;
	EXPECT_EQ(pl_disc_add_run(disc, &run, &err), -EUCLEAN);
	run.nr = UINT64_MAX;
	EXPECT_EQ(pl_disc_add_run(disc, &run, &err), -EUCLEAN);
	run.nr = 10;
	run.lba = INT64_MAX;
	EXPECT_EQ(pl_disc_add_run(disc, &run, &err), -EUCLEAN);
	run.lba = 0;
	EXPECT_EQ(pl_disc_add_run(disc, &run, &err), 0);
	run.lba = 9;
	EXPECT_EQ(pl_disc_add_run(disc, &run, &err), 0);
	EXPECT_EQ(pl_disc_finish(disc, &err), -EUCLEAN);
	EXPECT_STR(err.message, "tracks 1 and 1 both have sector 9");
	pl_disc_unref(disc);
}

TEST(times_are_parsed_and_told)
{
	static const char *const wrong[] = { "",       "1",      "1:2",   "1:2:",
					     "1:60:0", "1:2:75", "a:b:c", "1234567:0:0" };
	char text[PL_MSF_TEXT];
	const char *end;

	EXPECT_EQ(pl_msf_parse("01:02:03x", &end), (60 + 2) * 75 + 3);
	EXPECT_STR(end, "x");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_EQ(pl_msf_parse(wrong[i], &end), -1);
	EXPECT_STR(pl_msf_text(4500 + 75 + 1, text), "01:01:01");
}

static int
open_alone(const char *format, const void *bytes, size_t n, const char *select,
	   struct pl_disk **ret)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_open_request request = { .disk = select };

	err = (struct platter_error)PLATTER_ERROR_INIT;
	EXPECT_EQ(pl_memory_new(bytes, n, "file", &file, &err), 0);
	request.file = file;
	return pl_format_by_name(format)->open(&request, ret, &err);
}

static void
expect_format(const void *bytes, size_t n, const char *name)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	const struct pl_format *format;

	EXPECT_EQ(pl_memory_new(bytes, n, "file", &file, &err), 0);
	EXPECT_EQ(pl_format_probe(file, &format, &err), 0);
	EXPECT_STR(format->info.name, name);
}

/* With subchannel behind each, scrambled, and cut in the middle of a sector. */
TEST(sectors_without_a_sheet_are_known_by_their_sync_patterns)
{
	PL_AUTOFREE uint8_t *with_sub = calloc(NR, 2448), *scrambled = malloc(sizeof data_raw);
	PL_AUTOUNREF struct pl_disk *plain = NULL, *sub = NULL, *turned = NULL, *none = NULL;

	make_files();
	for (size_t i = 0; i < NR; i++)
		memcpy(with_sub + i * 2448, data_raw + i * 2352, 2352);
	memcpy(scrambled, data_raw, sizeof data_raw);
	for (size_t i = 0; i < NR; i++)
		pl_sector_scramble(scrambled + i * 2352);
	expect_format(data_raw, sizeof data_raw, "sectors");
	expect_format(with_sub, NR * 2448, "sectors");
	expect_format(sound, sizeof sound, "raw");
	EXPECT_EQ(open_alone("sectors", data_raw, sizeof data_raw - 1000, NULL, &plain), 0);
	EXPECT_EQ(plain->size, (NR - 1) * 2048);
	expect_bytes(plain, 0, data_user, (NR - 1) * 2048);
	EXPECT_EQ(open_alone("sectors", with_sub, NR * 2448, NULL, &sub), 0);
	expect_bytes(sub, 0, data_user, sizeof data_user);
	EXPECT_EQ(open_alone("sectors", scrambled, sizeof data_raw, NULL, &turned), 0);
	expect_bytes(turned, 0, data_user, sizeof data_user);
	EXPECT_EQ(open_alone("sectors", sound, sizeof sound, NULL, &none), -EUCLEAN);
	EXPECT_STR(err.message, "no sectors of a data track: sync patterns are missing");
}

/* A WAVE file of n bytes of samples; `h` is its header of 44 bytes. */
static void
make_wav(uint8_t *h, uint32_t n)
{
	memcpy(h, "RIFF", 4);
	put_le32(h + 4, n + 36);
	memcpy(h + 8, "WAVEfmt ", 8);
	put_le32(h + 16, 16);
	put_le16(h + 20, 1);
	put_le16(h + 22, 2);
	put_le32(h + 24, 44100);
	put_le32(h + 28, 176400);
	put_le16(h + 32, 4);
	put_le16(h + 34, 16);
	memcpy(h + 36, "data", 4);
	put_le32(h + 40, n);
}

TEST(samples_of_a_wave_file_are_the_disk)
{
	uint8_t bytes[44 + 4000];
	PL_AUTOUNREF struct pl_disk *disk = NULL, *cut = NULL, *open_end = NULL, *none = NULL;

	fill(bytes, sizeof bytes, 4);
	make_wav(bytes, 4000);
	expect_format(bytes, sizeof bytes, "wav");
	EXPECT_EQ(open_alone("wav", bytes, sizeof bytes, NULL, &disk), 0);
	EXPECT_EQ(disk->size, 4000);
	expect_bytes(disk, 0, bytes + 44, 4000);
	EXPECT_EQ(open_alone("wav", bytes, 1047, NULL, &cut), 0);
	EXPECT_EQ(cut->size, 1000);
	put_le32(bytes + 40, UINT32_MAX);
	EXPECT_EQ(open_alone("wav", bytes, sizeof bytes, NULL, &open_end), 0);
	EXPECT_EQ(open_end->size, 4000);
	put_le32(bytes + 24, 48000);
	EXPECT_EQ(open_alone("wav", bytes, sizeof bytes, NULL, &none), -ENOTSUP);
	EXPECT_EQ(err.offset, 20);
	make_wav(bytes, 4000);
	put_le32(bytes + 16, 15);
	EXPECT_EQ(open_alone("wav", bytes, sizeof bytes, NULL, &none), -EUCLEAN);
	EXPECT_STR(err.message, "format of 15 bytes, 16 are expected");
	EXPECT_EQ(open_alone("wav", bytes, 11, NULL, &none), -EUCLEAN);
	EXPECT_EQ(open_alone("wav", bytes, 36, NULL, &none), -EUCLEAN);
}

/* What the header says is checked; that samples are decoded right is for tests with flac itself. */
TEST(headers_of_flac_files_are_checked)
{
	uint8_t h[64] = "fLaC";
	PL_AUTOUNREF struct pl_disk *disk = NULL, *none = NULL;
	uint8_t sample[4];

	put_be32(h + 4, 0x80000000u | 34);
	put_be64(h + 18, 44100ull << 44 | 1ull << 41 | 15ull << 36 | 1000);
	expect_format(h, sizeof h, "flac");
	EXPECT_EQ(open_alone("flac", h, sizeof h, NULL, &disk), 0);
	EXPECT_EQ(disk->size, 4000);
	EXPECT_EQ(pl_read(disk, sample, 4, 0, &err), -EUCLEAN);
	EXPECT_STR(err.message,
		   "FLAC: of the sound at sample 0 only 0 of 4000 bytes can be decoded");
	put_be64(h + 18, 44100ull << 44 | 1ull << 41 | 15ull << 36);
	EXPECT_EQ(open_alone("flac", h, sizeof h, NULL, &none), -ENOTSUP);
	put_be64(h + 18, 96000ull << 44 | 1ull << 41 | 23ull << 36 | 1000);
	EXPECT_EQ(open_alone("flac", h, sizeof h, NULL, &none), -ENOTSUP);
	EXPECT_EQ(err.offset, 18);
	EXPECT_EQ(open_alone("flac", h, 41, NULL, &none), -EUCLEAN);
	h[4] = 0x81;
	EXPECT_EQ(open_alone("flac", h, sizeof h, NULL, &none), -EUCLEAN);
}

/* Index 1 then counts from LBA 0, and is where the track begins. */
TEST(clonecd_images_that_tell_no_index_0_are_read)
{
	const struct file files[] = { { "disc.img", sound, sizeof sound } };
	static const char entries[] = "[CloneCD]\nVersion=3\n"
				      "[Entry 0]\nSession=1\nPoint=0xa2\nPLBA=100\n"
				      "[Entry 1]\nSession=1\nPoint=1\nPLBA=%d\n"
				      "[Entry 2]\nSession=1\nPoint=2\nPLBA=40\n"
				      "[TRACK 1]\nMODE=0\nINDEX 1=%d\n"
				      "[TRACK 2]\nMODE=0\nINDEX 1=40\n";

	make_files();
	for (int start = 0; start <= 30; start += 30) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		const struct platter_track *t;
		char sheet[512];

		snprintf(sheet, sizeof sheet, entries, start, start);
		EXPECT_OK(open_sheet("ccd", sheet, files, 1, "raw", &disk));
		expect_bytes(disk, 0, sound, sizeof sound);
		t = pl_disc_of(disk)->tracks;
		EXPECT_EQ(t[0].start, start);
		EXPECT_EQ(t[0].pregap, start);
		EXPECT_EQ(t[0].length, 40 - start);
		EXPECT_EQ(t[1].start, 40);
		EXPECT_EQ(t[1].pregap, 0);
		EXPECT_EQ(t[1].length, 60);
	}
}

/* A track of silence, so that a disc can be finished. */
static struct pl_disc *
disc_of_one_track(const struct platter_track *track)
{
	struct pl_disc *disc = pl_disc_new(&err);
	const struct pl_disc_run run = { .lba = track->start, .nr = NR, .main_bytes = 2352 };

	EXPECT_OK(pl_disc_add_track(disc, track, NULL, &err));
	EXPECT_OK(pl_disc_add_run(disc, &run, &err));
	return disc;
}

/* Of CD-TEXT and of drives comes anything, and Q has room for real codes alone. */
TEST(codes_that_are_none_are_left_out)
{
	struct platter_track track = { .number = 1, .session = 1, .isrc = "DEABC" };
	struct pl_disc *disc = disc_of_one_track(&track);
	uint8_t packs[3 * 18], sub[NR * 96];

	disc->info.mcn = "12";
	EXPECT_OK(pl_disc_finish(disc, &err));
	EXPECT_STR(disc->tracks[0].isrc, "");
	EXPECT_STR(disc->info.mcn, "");
	pl_disc_unref(disc);

	track.isrc = NULL;
	disc = disc_of_one_track(&track);
	put_pack(packs, 0x8e, 0, 0, "123456789012");
	put_pack(packs + 18, 0x8e, 0, 1, "x\0DE abc0412");
	put_pack(packs + 36, 0x8e, 1, 2, "34\0\0\0\0\0\0\0\0\0\0");
	pl_disc_take_cdtext(disc, packs, sizeof packs);
	EXPECT_STR(disc->info.mcn, "123456789012x");
	EXPECT_OK(pl_disc_finish(disc, &err));
	EXPECT_STR(disc->tracks[0].isrc, "");
	EXPECT_STR(disc->info.mcn, "");
	EXPECT_OK(pl_disc_read_sub(disc, 0, NR, sub, &err));
	for (size_t i = 0; i < NR; i++)
		EXPECT_EQ(sub[i * 96 + 12], 1);
	pl_disc_unref(disc);
}

/* Before its pregap of 150 sectors a disc has its lead-in, which no address of these tells. */
TEST(sectors_of_the_lead_in_are_refused)
{
	struct platter_track track = { .number = 1, .session = 1, .start = -151 };
	struct pl_disc_run run = { .lba = -151, .nr = 200, .main_bytes = 2352 };
	struct pl_disc *disc = pl_disc_new(&err);

	EXPECT_EQ(pl_disc_add_track(disc, &track, NULL, &err), -EUCLEAN);
	EXPECT_STR(err.message, "track 1 begins at sector -151");
	track.start = -150;
	EXPECT_OK(pl_disc_add_track(disc, &track, NULL, &err));
	EXPECT_EQ(pl_disc_add_run(disc, &run, &err), -EUCLEAN);
	run.lba = -150;
	EXPECT_OK(pl_disc_add_run(disc, &run, &err));
	EXPECT_EQ(pl_disc_end_session(disc, 1, -151, &err), -EUCLEAN);
	EXPECT_OK(pl_disc_end_session(disc, 1, 50, &err));
	EXPECT_OK(pl_disc_finish(disc, &err));
	EXPECT_EQ(disc->tracks[0].length, 200);
	pl_disc_unref(disc);
}

TEST(sectors_too_far_apart_are_refused)
{
	struct platter_track track = { .number = 1, .session = 1 };
	struct pl_disc_run run = { .nr = 10, .main_bytes = 2352, .stride = 2352 + 96 + 1 };
	struct pl_disc *disc = pl_disc_new(&err);
	PL_AUTOUNREF struct pl_disk *file = NULL;

	EXPECT_OK(pl_memory_new(sound, sizeof sound, "sound", &file, &err));
	run.file = file;
	EXPECT_OK(pl_disc_add_track(disc, &track, NULL, &err));
	EXPECT_EQ(pl_disc_add_run(disc, &run, &err), -EUCLEAN);
	EXPECT_STR(err.message, "track 1 has sectors of 2352 bytes that are 2449 bytes apart");
	run.stride = 2352 + 96;
	EXPECT_OK(pl_disc_add_run(disc, &run, &err));
	pl_disc_unref(disc);
}

TEST(indexes_end_where_they_do_not_ascend_within_the_track)
{
	static const struct {
		int64_t lbas[4];
		size_t wanted;
	} lists[] = {
		{ { 10, 20, 30, 99 }, 4 }, { { 0, 20, 30, 40 }, 0 },   { { 10, 20, 20, 30 }, 2 },
		{ { 10, 20, 5, 30 }, 2 },  { { 10, 20, 30, 100 }, 3 }, { { -20, 20, 30, 40 }, 0 },
	};
	const struct platter_track track = { .number = 1, .session = 1 };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		struct pl_disc *disc = disc_of_one_track(&track);

		EXPECT_OK(pl_disc_set_indexes(disc, 0, lists[i].lbas, 4, &err));
		EXPECT_OK(pl_disc_finish(disc, &err));
		EXPECT_EQ(disc->tracks[0].nr_indexes, lists[i].wanted);
		pl_disc_unref(disc);
	}
}

/* nr sectors of mode 2 from LBA 0 on; every third is of form 2. */
static void
make_mode2(uint8_t *raw, uint8_t *user, size_t nr)
{
	fill(user, nr * 2048, 4711);
	for (size_t i = 0; i < nr; i++, raw += 2352) {
		bool form2 = i % 3 == 2;

		memset(raw, 0, 2352);
		pl_sector_put_header(raw, (int64_t)i, 2);
		raw[18] = raw[22] = form2 ? 0x20 : 8;
		memcpy(raw + 24, user + i * 2048, 2048);
		pl_sector_protect(raw, form2 ? PL_SECTOR_FORM2 : PL_SECTOR_FORM1);
	}
}

static void
expect_kind(struct pl_disk *disk, uint64_t sector, enum platter_kind kind)
{
	struct pl_extent e;

	EXPECT_OK(pl_map(disk, sector * 2048, 2048, &e, &err));
	EXPECT_EQ(e.kind, kind);
}

/* What a sector is stands in bytes that may be damaged too; its EDC and its track tell. */
TEST(damaged_headers_of_mode_1_are_seen_through)
{
	PL_AUTOFREE uint8_t *damaged = malloc(sizeof data_raw);
	const struct file files[] = { { "disc.bin", damaged, sizeof data_raw } };
	static const char sheet[] = "FILE disc.bin BINARY\nTRACK 1 MODE1/2352\nINDEX 1 0:0:0\n";
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	static const uint8_t zeros[2048];

	make_files();
	memcpy(damaged, data_raw, sizeof data_raw);
	damaged[10 * 2352 + 3] = 0x5a; /* sync */
	damaged[11 * 2352] = 1;
	damaged[11 * 2352 + 500] ^= 0xff; /* and data that ECC corrects */
	damaged[12 * 2352 + 15] = 0;      /* mode 0 */
	damaged[13 * 2352 + 15] = 2;
	damaged[14 * 2352 + 15] = 3;
	damaged[15 * 2352 + 15] = 0;
	fill(damaged + 15 * 2352 + 100, 1900, 8);
	memset(damaged + 16 * 2352 + 15, 0, 2337); /* mode 0, indeed */
	EXPECT_OK(open_sheet("cue", sheet, files, 1, NULL, &disk));
	for (unsigned i = 0; i < 20; i++)
		expect_kind(disk, i, i == 15 ? PLATTER_BAD : PLATTER_DATA);
	expect_bytes(disk, 0, data_user, 15 * 2048);
	expect_bytes(disk, 15 * 2048, zeros, 2048);
	expect_bytes(disk, 16 * 2048, zeros, 2048);
	expect_bytes(disk, 17 * 2048, data_user + 17 * 2048, 83 * 2048);
}

TEST(damaged_subheaders_of_mode_2_are_seen_through)
{
	static uint8_t raw[21 * 2352], user[21 * 2048];
	const struct file files[] = { { "disc.bin", raw, sizeof raw } };
	static const char sheet[] = "FILE disc.bin BINARY\nTRACK 1 MODE2/2352\nINDEX 1 0:0:0\n";
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_mode2(raw, user, 21);
	raw[3 * 2352 + 5] = 0;       /* sync of form 1, */
	raw[5 * 2352 + 5] = 0;       /* and of form 2 */
	raw[6 * 2352 + 18] ^= 4;     /* subheader of form 1, */
	raw[8 * 2352 + 18] ^= 0x24;  /* and of form 2: the first, */
	raw[11 * 2352 + 23] = 1;     /* the second */
	raw[12 * 2352 + 15] = 1;     /* mode 1 */
	raw[15 * 2352 + 15] = 0;     /* mode 0 */
	raw[18 * 2352 + 18] ^= 0x20; /* both say form 2 */
	raw[18 * 2352 + 22] ^= 0x20;
	memset(raw + 20 * 2352 + 16, 3, 2336); /* without forms */
	raw[20 * 2352 + 16] = 4;
	EXPECT_OK(open_sheet("cue", sheet, files, 1, NULL, &disk));
	for (unsigned i = 0; i < 21; i++)
		expect_kind(disk, i, PLATTER_DATA);
	expect_bytes(disk, 0, user, 20 * 2048);
	expect_bytes(disk, 20 * 2048, raw + 20 * 2352 + 16, 2048);
}

static void
count_finding(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
	      const char *message)
{
	(void)findings, (void)severity, (void)offset;
	printf("# %s\n", message);
}

/* The address in headers has two digits of minutes, and that of a DVD begins anew. */
TEST(addresses_past_99_minutes_are_those_of_their_sectors)
{
	struct platter_track track = {
		.number = 1, .session = 1, .mode = PLATTER_TRACK_MODE1, .start = 449847
	};
	struct pl_disc_run run = { .lba = 449847, .nr = 6, .main_bytes = 2352 };
	static const struct pl_disk_ops ops = PL_DISC_OPS("cue");
	struct pl_findings findings = { .found = count_finding };
	PL_AUTOUNREF struct pl_disk *file = NULL, *disk = NULL;
	struct pl_open_request request = { .disk = "1" };
	struct pl_disc *disc = pl_disc_new(&err);
	static uint8_t raw[6 * 2352], user[6 * 2048];

	/* That of sector 449849 is 99:59:74. */
	make_mode1(raw, user, run.lba, 6);
	EXPECT_OK(pl_memory_new(raw, sizeof raw, "raw", &file, &err));
	run.file = request.file = file;
	EXPECT_OK(pl_disc_add_track(disc, &track, NULL, &err));
	EXPECT_OK(pl_disc_add_run(disc, &run, &err));
	EXPECT_OK(pl_disc_finish(disc, &err));
	EXPECT_OK(pl_disc_open(disc, &ops, &request, &disk, &err));
	EXPECT_OK(pl_disc_check(disk, &findings, &err));
	EXPECT_EQ(findings.count[PLATTER_DAMAGE], 0);
	EXPECT_EQ(findings.count[PLATTER_NOTE], 0);
}

/* A file with bytes that cannot be read. */
struct partly_bad {
	struct pl_disk disk;
	struct pl_disk *file;
	struct {
		uint64_t at, n;
	} bad[3];
};

static int
partly_bad_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	       struct platter_error *e)
{
	const struct partly_bad *p = pl_container_of(disk, struct partly_bad, disk);
	uint64_t end = disk->size;

	(void)length, (void)e;
	*ret = (struct pl_extent){ .kind = PLATTER_DATA,
				   .below = p->file,
				   .stored_offset = offset };
	for (size_t i = 0; i < ARRAY_SIZE(p->bad); i++) {
		uint64_t at = p->bad[i].at, n = p->bad[i].n;

		if (offset >= at && offset < at + n) {
			*ret = (struct pl_extent){ .kind = PLATTER_BAD };
			end = at + n;
		} else if (offset < at) {
			end = PL_MIN(end, at);
		}
	}
	ret->length = end - offset;
	return 0;
}

static void
partly_bad_free(struct pl_disk *disk)
{
	struct partly_bad *p = pl_container_of(disk, struct partly_bad, disk);

	pl_disk_unref(p->file);
	pl_disk_done(disk);
	free(p);
}

/* Within a sector, over a border, and two whole sectors; of `stride` bytes. */
static struct pl_disk *
partly_bad_new(const uint8_t *bytes, size_t n, size_t stride)
{
	static const struct pl_disk_ops ops = { .name = "partly bad",
						.map = partly_bad_map,
						.free = partly_bad_free };
	struct partly_bad *p = calloc(1, sizeof *p);

	EXPECT(p);
	EXPECT_OK(pl_disk_init(&p->disk, &ops, "partly bad", &err));
	EXPECT_OK(pl_memory_new(bytes, n, "file", &p->file, &err));
	EXPECT_OK(pl_disk_stack(&p->disk, p->file, &err));
	p->disk.size = n;
	p->bad[0].at = 10 * stride + 100;
	p->bad[0].n = 10;
	p->bad[1].at = 40 * stride - 1;
	p->bad[1].n = 2;
	p->bad[2].at = 63 * stride;
	p->bad[2].n = 2 * stride;
	return &p->disk;
}

static void
expect_bad_sectors(struct pl_disk *disk, const uint8_t *bytes, size_t stride)
{
	for (size_t i = 0; i < NR; i++) {
		bool bad = i == 10 || i == 39 || i == 40 || i == 63 || i == 64;
		enum platter_kind kind;
		uint64_t n;

		EXPECT_OK(pl_span(disk, i * stride, stride, &kind, &n, &err));
		EXPECT_EQ(kind, bad ? PLATTER_BAD : PLATTER_DATA);
		EXPECT_EQ(n, stride);
		if (!bad)
			expect_bytes(disk, i * stride, bytes + i * stride, stride);
	}
}

/* Whether sectors are made of what is stored, or it is checked what they are. */
TEST(what_cannot_be_read_below_is_bad_in_what_is_made_of_it)
{
	PL_AUTOUNREF struct pl_disk *cooked = NULL, *raw = NULL, *stored = NULL, *user = NULL;
	static const struct pl_disk_ops ops = PL_DISC_OPS("cue");
	const struct platter_track track = { .number = 1,
					     .session = 1,
					     .mode = PLATTER_TRACK_MODE1 };
	struct pl_disc_run run = { .nr = NR, .main_bytes = 2352 };
	struct pl_open_request request = { 0 };
	struct pl_disc *disc;

	make_files();
	cooked = partly_bad_new(data_user, sizeof data_user, 2048);
	EXPECT_OK(pl_disc_of_data(cooked, &disc, &err));
	EXPECT_OK(pl_disc_raw(disc, false, "raw", &raw, &err));
	expect_bad_sectors(raw, data_raw, 2352);
	EXPECT_EQ(raw->look_ahead, 0);
	pl_disc_unref(disc);

	stored = partly_bad_new(data_raw, sizeof data_raw, 2352);
	disc = pl_disc_new(&err);
	run.file = request.file = stored;
	EXPECT_OK(pl_disc_add_track(disc, &track, NULL, &err));
	EXPECT_OK(pl_disc_add_run(disc, &run, &err));
	EXPECT_OK(pl_disc_finish(disc, &err));
	EXPECT_OK(pl_disc_open(disc, &ops, &request, &user, &err));
	expect_bad_sectors(user, data_user, 2048);
}

/* Its map looks at every sector: whoever asks for a span must not wait for all of a disc. */
TEST(the_map_of_what_has_edc_is_asked_for_by_the_piece)
{
	const struct file files[] = { { "disc.bin", data_raw, sizeof data_raw } };
	static const char sheet[] = "FILE disc.bin BINARY\nTRACK 1 MODE1/2352\nINDEX 1 0:0:0\n";
	PL_AUTOUNREF struct pl_disk *user = NULL, *raw = NULL;

	make_files();
	EXPECT_OK(open_sheet("cue", sheet, files, 1, NULL, &user));
	EXPECT_EQ(user->look_ahead, MIB(1));
	EXPECT_OK(open_sheet("cue", sheet, files, 1, "raw", &raw));
	EXPECT_EQ(raw->look_ahead, 0);
}

/* cdrdao counts samples in what stores sound, and bytes in what stores data. */
TEST(plain_numbers_of_a_toc_count_samples_or_bytes)
{
	const struct file files[] = { { "a.bin", sound, sizeof sound },
				      { "b.bin", data_user, sizeof data_user } };
	static const char sheet[] = "CD_ROM\nTRACK MODE1 DATAFILE \"b.bin\" 20480 ZERO 4096\n"
				    "TRACK AUDIO SILENCE 1176 FILE \"a.bin\" SWAP 147 5880\n"
				    "TRACK AUDIO DATAFILE \"a.bin\" 4704\n";
	PL_AUTOUNREF struct pl_disk *disk = NULL, *first = NULL, *second = NULL;
	const struct platter_disc *d;

	make_files();
	EXPECT_OK(open_sheet("toc", sheet, files, 2, "raw", &disk));
	d = &pl_disc_of(disk)->info;
	EXPECT_EQ(d->tracks[0].length, 12);
	EXPECT_EQ(d->tracks[1].length, 12);
	EXPECT_EQ(d->tracks[2].length, 2);
	EXPECT_OK(open_sheet("toc", sheet, files, 2, "1", &first));
	expect_bytes(first, 0, data_user, 20480);
	EXPECT_OK(open_sheet("toc", sheet, files, 2, "2", &second));
	expect_bytes(second, 2 * 2352, sound + 147 * 4, 10 * 2352);
}

/* The 96 bytes of RW are packs that were taken out of the subchannel, and are no subchannel. */
TEST(rw_packs_of_a_toc_are_passed_over)
{
	static uint8_t stored[3 * 2448];
	const struct file files[] = { { "a.bin", stored, sizeof stored } };
	static const char *const modes[] = { "RW", "RW_RAW" };

	make_files();
	memset(stored, 0x55, sizeof stored);
	for (size_t i = 0; i < 3; i++)
		memcpy(stored + i * 2448, sound + i * 2352, 2352);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		PL_AUTOFREE char *sheet =
			pl_format("CD_DA TRACK AUDIO %s FILE \"a.bin\" SWAP 0", modes[i]);
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		uint8_t q[96];

		EXPECT_OK(open_sheet("toc", sheet, files, 1, "1", &disk));
		EXPECT_EQ(disk->size, 3 * 2352);
		expect_bytes(disk, 0, sound, 3 * 2352);
		EXPECT_EQ(pl_disc_has_sub(pl_disc_of(disk)), i == 1);
		EXPECT_OK(pl_disc_read_sub(pl_disc_of(disk), 1, 1, q, &err));
		EXPECT_EQ(q[13], i == 1 ? 0xff : 1);
	}
}

TEST(a_file_of_slashes_is_probed_within_its_bounds)
{
	PL_AUTOFREE uint8_t *head = malloc(PL_PROBE_HEAD);
	struct pl_probe probe = { .size = PL_PROBE_HEAD, .head = head, .extension = "" };

	memset(head, '/', PL_PROBE_HEAD);
	EXPECT_EQ(pl_format_by_name("toc")->probe(&probe), 0);
}

struct watched {
	struct pl_findings findings;
	uint64_t read;
	bool stop;
};

static bool
watch(struct pl_findings *findings, uint64_t bytes)
{
	struct watched *w = pl_container_of(findings, struct watched, findings);

	w->read += bytes;
	return !w->stop;
}

/* Sound has nothing to be checked by. */
TEST(whoever_checks_a_disc_is_told_what_was_read_and_may_stop)
{
	const struct file files[] = { { "1.bin", data_raw, sizeof data_raw },
				      { "2.bin", sound, sizeof sound } };
	static const char sheet[] = "FILE 1.bin BINARY\nTRACK 1 MODE1/2352\nINDEX 1 0:0:0\n"
				    "FILE 2.bin BINARY\nTRACK 2 AUDIO\nINDEX 1 0:0:0\n";
	struct watched w = { .findings = { .found = count_finding, .go_on = watch } };
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_files();
	EXPECT_OK(open_sheet("cue", sheet, files, 2, NULL, &disk));
	EXPECT_OK(pl_disc_check(disk, &w.findings, &err));
	EXPECT_EQ(w.read, sizeof data_user);
	w.stop = true;
	EXPECT_EQ(pl_disc_check(disk, &w.findings, &err), -ECANCELED);
}

static void
put_chunk(uint8_t **p, const char *name, const void *bytes, uint32_t n)
{
	memcpy(*p, name, 4);
	put_be32(*p + 4, n);
	memcpy(*p + 8, bytes, n);
	*p += 8 + n;
}

/* An AIFF file of 1000 samples, its format behind them or before. */
static size_t
make_aiff(uint8_t *bytes, const uint8_t *samples, const char *codec, bool format_first)
{
	uint8_t *p = bytes + 12, comm[22] = { 0, 2 }, ssnd[8 + 4000] = { 0 };

	put_be32(comm + 2, 1000);
	put_be16(comm + 6, 16);
	put_be16(comm + 8, 0x400e);
	put_be16(comm + 10, 44100);
	if (codec)
		memcpy(comm + 18, codec, 4);
	for (size_t i = 0; i < 4000; i++)
		ssnd[8 + i] = samples[codec && !strcmp(codec, "sowt") ? i : i ^ 1];
	memcpy(bytes, "FORM", 4);
	memcpy(bytes + 8, codec ? "AIFC" : "AIFF", 4);
	if (format_first)
		put_chunk(&p, "COMM", comm, codec ? 22 : 18);
	put_chunk(&p, "SSND", ssnd, sizeof ssnd);
	if (!format_first)
		put_chunk(&p, "COMM", comm, codec ? 22 : 18);
	put_be32(bytes + 4, (uint32_t)(p - bytes) - 8);
	return (size_t)(p - bytes);
}

TEST(samples_of_an_aiff_file_are_the_disk)
{
	static const char *const codecs[] = { NULL, "NONE", "twos", "sowt" };
	uint8_t samples[4000], bytes[5000];

	fill(samples, sizeof samples, 6);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(codecs); i++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		size_t n = make_aiff(bytes, samples, codecs[i / 2], i % 2);

		expect_format(bytes, n, "aiff");
		EXPECT_OK(open_alone("aiff", bytes, n, NULL, &disk));
		EXPECT_EQ(disk->size, 4000);
		expect_bytes(disk, 0, samples, 4000);
		expect_bytes(disk, 1001, samples + 1001, 7);
	}
}

TEST(broken_aiff_files_are_refused_where_they_are_broken)
{
	static const struct {
		size_t at;
		uint32_t value;
		int code;
		uint64_t where;
	} fields[] = {
		{ 0, 0, -EUCLEAN, 0 },
		{ 8, 0x41494646 + 1, -EUCLEAN, 0 },
		{ 16, 17, -EUCLEAN, 20 },           /* COMM is short */
		{ 20, 0x00010000, -ENOTSUP, 20 },   /* one channel */
		{ 26, 0x0018400e, -ENOTSUP, 20 },   /* 24 bits */
		{ 28, 0x400ebb80, -ENOTSUP, 20 },   /* 48000 Hz */
		{ 28, 0x7fffac44, -ENOTSUP, 20 },   /* infinitely many */
		{ 38, 0x53534e45, -EUCLEAN, 4054 }, /* no SSND */
		{ 42, 7, -EUCLEAN, 46 },            /* a short one */
		{ 46, 4001, -EUCLEAN, 46 },         /* samples begin behind it */
		{ 42, 0xffffffff, 0, 0 },           /* a file that was cut */
	};
	uint8_t samples[4000] = { 0 }, bytes[5000];

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		size_t n = make_aiff(bytes, samples, NULL, true);

		put_be32(bytes + fields[i].at, fields[i].value);
		printf("# field at %zu\n", fields[i].at);
		EXPECT_EQ(open_alone("aiff", bytes, n, NULL, &disk), fields[i].code);
		if (fields[i].code)
			EXPECT_EQ(err.offset, fields[i].where);
		else
			EXPECT_EQ(disk->size, 4000);
	}
	for (size_t n = 0; n < 60; n++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		make_aiff(bytes, samples, "sowt", true);
		EXPECT_EQ(open_alone("aiff", bytes, n, NULL, &disk), n < 58 ? -EUCLEAN : 0);
	}
}

TEST(a_cue_sheet_may_name_aiff_files)
{
	static uint8_t bytes[5000];
	struct file files[] = { { "a.aiff", bytes, 0 } };
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_files();
	files[0].n = make_aiff(bytes, sound, NULL, true);
	EXPECT_OK(open_sheet("cue", "FILE a.aiff AIFF\nTRACK 1 AUDIO\nINDEX 1 0:0:0\n", files, 1,
			     "1", &disk));
	EXPECT_EQ(disk->size, 2352);
	expect_bytes(disk, 0, sound, 2352);
}
