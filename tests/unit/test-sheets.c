/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * test-sheets.c - images of discs of six programs, each with two sectors of sound in view, and
 * broken field by field
 */
#include "beside.h"
#include "disc.h"
#include "test.h"
#include "text.h"

#define RAW PL_SECTOR_RAW

static struct platter_error err = PLATTER_ERROR_INIT;

/* An image as it is built; numbers go in at its end. */
struct image {
	uint8_t bytes[8 * RAW];
	size_t n;
};

static uint8_t sound[2 * RAW];

static void
put(struct image *m, const void *bytes, size_t n)
{
	EXPECT(m->n + n <= sizeof m->bytes);
	memcpy(m->bytes + m->n, bytes, n);
	m->n += n;
}

static void
put_zeros(struct image *m, size_t n)
{
	static const uint8_t zeros[512];

	put(m, zeros, n);
}

static void
put_be(struct image *m, uint64_t n, unsigned bytes)
{
	while (bytes--)
		put(m, &(uint8_t){ (uint8_t)(n >> 8 * bytes) }, 1);
}

static void
put_le(struct image *m, uint64_t n, unsigned bytes)
{
	for (; bytes; bytes--, n >>= 8)
		put(m, &(uint8_t){ (uint8_t)n }, 1);
}

static void
put_text(struct image *m, const char *text)
{
	put(m, text, strlen(text));
}

/* The sectors, which every image begins with or has beside it. */
static void
begin(struct image *m, bool with_sound)
{
	for (size_t i = 0; i < sizeof sound; i++)
		sound[i] = (uint8_t)(i * 7 + i / 256 + 1);
	m->n = 0;
	if (with_sound)
		put(m, sound, sizeof sound);
}

static int
open_image(const struct image *m, const char *format, const char *select, struct pl_disk **ret)
{
	static const char *const names[] = { "disc.img", "disc.mdf", "disc.b5i" };
	struct file list[ARRAY_SIZE(names)];
	struct files files = { { .open = open_file, .find = find_file }, list, ARRAY_SIZE(list) };
	struct pl_open_request request = { .disk = select, .related = &files.related };
	PL_AUTOFREE char *name = pl_format("disc.%s", format);
	PL_AUTOUNREF struct pl_disk *file = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		list[i] = (struct file){ names[i], sound, sizeof sound };
	err = (struct platter_error)PLATTER_ERROR_INIT;
	EXPECT_OK(pl_memory_new(m->bytes, m->n, name, &file, &err));
	request.file = file;
	return pl_format_by_name(format)->open(&request, ret, &err);
}

static void
expect_sound(const struct image *m, const char *format)
{
	PL_AUTOUNREF struct pl_disk *file = NULL, *disk = NULL, *raw = NULL;
	const struct pl_format *found;
	const struct platter_disc *info;
	uint8_t have[sizeof sound];

	EXPECT_OK(open_image(m, format, "1", &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, format);
	EXPECT_EQ(disk->size, sizeof sound);
	EXPECT_OK(pl_read(disk, have, sizeof have, 0, &err));
	EXPECT_MEM(have, sound, sizeof have);
	info = &pl_disc_of(disk)->info;
	EXPECT_EQ(info->nr_tracks, 1);
	EXPECT_EQ(info->tracks[0].number, 1);
	EXPECT_EQ(info->tracks[0].start, 0);
	EXPECT_EQ(info->tracks[0].length, 2);
	EXPECT_EQ(info->tracks[0].mode, PLATTER_TRACK_AUDIO);
	EXPECT_EQ(info->tracks[0].flags, PLATTER_TRACK_COPY);
	EXPECT_OK(open_image(m, format, "raw", &raw));
	EXPECT_EQ(raw->size, sizeof sound);
	/* And it is known by what it holds. */
	EXPECT_OK(pl_memory_new(m->bytes, m->n, "disc", &file, &err));
	EXPECT_OK(pl_format_probe(file, &found, &err));
	EXPECT_STR(found->info.name, format);
}

/* A field of a valid image with another value; the error points to `where`. */
struct broken {
	const char *label;
	size_t at;
	unsigned bytes;
	uint64_t value;
	int code;
	uint64_t where;
};

static void
expect_broken(void (*make)(struct image *m), const char *format, bool is_big_endian,
	      const struct broken *list, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const struct broken *b = &list[i];
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		struct image m, value = { .n = 0 };

		printf("# %s\n", b->label);
		make(&m);
		if (is_big_endian)
			put_be(&value, b->value, b->bytes);
		else
			put_le(&value, b->value, b->bytes);
		EXPECT(b->at + b->bytes <= m.n);
		memcpy(m.bytes + b->at, value.bytes, b->bytes);
		EXPECT_EQ(open_image(&m, format, NULL, &disk), b->code);
		EXPECT_EQ(err.offset, b->where);
		EXPECT(b->where == PLATTER_NO_OFFSET || strstr(err.place, format));
	}
}

/* However much of it is left, it is refused, and nothing is read past its end. */
static void
expect_cuts(void (*make)(struct image *m), const char *format, size_t from)
{
	struct image m;

	make(&m);
	for (size_t n = from; n < m.n; n++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		struct image cut = m;

		cut.n = n;
		if (open_image(&cut, format, NULL, &disk) == 0)
			EXPECT(disk->size <= sizeof sound);
		else
			EXPECT(err.message[0]);
	}
}

/* ---- Nero ---- */

#define NRG_CUE (2 * RAW)
#define NRG_DAO (NRG_CUE + 8 + 32)
#define NRG_END (NRG_DAO + 8 + 64)

static void
put_cue(struct image *m, unsigned track, unsigned index, int32_t lba)
{
	put_be(m, 0x21, 1);
	put_be(m, track, 1);
	put_be(m, index, 1);
	put_be(m, 0, 1);
	put_be(m, (uint32_t)lba, 4);
}

static void
make_nrg(struct image *m)
{
	begin(m, true);
	put_text(m, "CUEX");
	put_be(m, 32, 4);
	put_cue(m, 0, 0, -150);
	put_cue(m, 1, 0, -150);
	put_cue(m, 1, 1, 0);
	put_cue(m, 0xaa, 1, 2);
	put_text(m, "DAOX");
	put_be(m, 64, 4);
	put_be(m, 64, 4);
	put_text(m, "1234567890123");
	put_zeros(m, 3);
	put_be(m, 0x0101, 2);
	put_text(m, "ABCDE1234567");
	put_be(m, RAW, 2);
	put_be(m, 7, 1);
	put_zeros(m, 3);
	put_be(m, 0, 8);
	put_be(m, 0, 8);
	put_be(m, sizeof sound, 8);
	put_text(m, "END!");
	put_be(m, 0, 4);
	put_text(m, "NER5");
	put_be(m, NRG_CUE, 8);
}

TEST(a_nero_image_in_view_is_read)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct image m;

	make_nrg(&m);
	expect_sound(&m, "nrg");
	EXPECT_OK(open_image(&m, "nrg", NULL, &disk));
	EXPECT_STR(pl_disc_of(disk)->info.mcn, "1234567890123");
	EXPECT_STR(pl_disc_of(disk)->tracks[0].isrc, "ABCDE1234567");
}

TEST(a_broken_nero_image_is_refused_where_it_is_broken)
{
	static const struct broken list[] = {
		{ "no trailer", NRG_END + 8, 4, 0x4e455236, -EUCLEAN, NRG_END + 8 },
		{ "chunks behind the end", NRG_END + 12, 8, 1u << 20, -EUCLEAN, NRG_END + 12 },
		{ "chunks end where they begin", NRG_END + 12, 8, NRG_END + 8, -EUCLEAN,
		  NRG_END + 12 },
		{ "chunk too long", NRG_CUE + 4, 4, 3000, -EUCLEAN, NRG_CUE + 4 },
		{ "no positions", NRG_CUE, 4, 0x58585858, -EUCLEAN, NRG_DAO + 8 },
		{ "no tracks", NRG_DAO, 4, 0x58585858, -EUCLEAN, NRG_CUE + 8 },
		{ "position of another track", NRG_CUE + 8 + 17, 1, 2, -EUCLEAN, NRG_CUE + 8 },
		{ "sectors of no bytes", NRG_DAO + 8 + 34, 2, 0, -EUCLEAN, NRG_DAO + 8 + 34 },
		{ "sectors of other bytes", NRG_DAO + 8 + 34, 2, 2448, -EUCLEAN, NRG_DAO + 8 + 36 },
		{ "unknown mode", NRG_DAO + 8 + 36, 1, 9, -ENOTSUP, NRG_DAO + 8 + 36 },
		{ "index 0 behind index 1", NRG_DAO + 8 + 40, 8, 1, -EUCLEAN, NRG_DAO + 8 + 40 },
		{ "index 1 behind the end", NRG_DAO + 8 + 48, 8, 1u << 20, -EUCLEAN,
		  NRG_DAO + 8 + 40 },
		{ "an end past any disc", NRG_DAO + 8 + 56, 8, UINT64_MAX, -EUCLEAN,
		  NRG_DAO + 8 + 40 },
		{ "lead-out within the track", NRG_CUE + 8 + 24 + 4, 4, 1, -EUCLEAN,
		  PLATTER_NO_OFFSET },
	};

	expect_broken(make_nrg, "nrg", true, list, ARRAY_SIZE(list));
	expect_cuts(make_nrg, "nrg", 0);
}

TEST(the_times_of_old_nero_images_are_bcd_or_not)
{
	static const uint8_t times[][2] = { { 0x12, 12 }, { 0x0c, 12 } };

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		struct image m;

		make_nrg(&m);
		m.bytes[NRG_CUE + 3] = 'S';
		/* 00:00:00, 00:00:00, 00:12:00, 00:12:02 */
		for (size_t k = 0; k < 4; k++)
			put_be32(m.bytes + NRG_CUE + 12 + 8 * k,
				 (k < 2 ? 0u : (uint32_t)times[i][0] << 8) | (k == 3 ? 2 : 0));
		EXPECT_OK(open_image(&m, "nrg", NULL, &disk));
		EXPECT_EQ(pl_disc_of(disk)->tracks[0].start, times[i][1] * 75 - 150);
	}
}

TEST(a_claim_of_many_sectors_is_no_allocation)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct image m;
	uint8_t have[16];

	make_nrg(&m);
	/* Two billion sectors, of which two are there. */
	put_be64(m.bytes + NRG_DAO + 8 + 56, (uint64_t)INT32_MAX * RAW - RAW);
	put_be32(m.bytes + NRG_CUE + 8 + 28, INT32_MAX - 1);
	EXPECT_OK(open_image(&m, "nrg", "raw", &disk));
	EXPECT_EQ(disk->size, (uint64_t)(INT32_MAX - 1) * RAW);
	EXPECT_OK(pl_read(disk, have, sizeof have, disk->size - sizeof have, &err));
	EXPECT(pl_is_zero(have, sizeof have));
}

/* ---- DiscJuggler ---- */

#define CDI_DESCRIPTOR (2 * RAW)
#define CDI_MARK       (CDI_DESCRIPTOR + 8)
#define CDI_INDEXES    (CDI_MARK + 20 + 4 + 2 + 19 + 4 + 8)

static void
make_cdi(struct image *m)
{
	static const uint8_t mark[] = { 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };

	begin(m, true);
	put_le(m, 1, 2);
	put_le(m, 1, 2);
	put_zeros(m, 4);
	put(m, mark, sizeof mark);
	put(m, mark, sizeof mark);
	put_zeros(m, 4);
	put_text(m, "\1n");
	put_zeros(m, 19);
	put_le(m, 0x80000000, 4);
	put_zeros(m, 6);
	put_le(m, 0x98, 2);
	put_le(m, 2, 2); /* indexes: no pregap, two sectors */
	put_le(m, 0, 4);
	put_le(m, 2, 4);
	put_le(m, 0, 4); /* no texts */
	put_zeros(m, 2);
	put_le(m, 0, 4); /* audio */
	put_zeros(m, 12);
	put_le(m, 150, 4); /* begins at LBA 0 */
	put_le(m, 2, 4);
	put_zeros(m, 16);
	put_le(m, 2, 4); /* 2352 bytes */
	put_le(m, 2, 4); /* copying is permitted */
	put_zeros(m, 9 + 12 + 4 + 5);
	put_le(m, 0xffffffff, 4);
	put_zeros(m, 78 + 13);
	put_le(m, 0x80000006, 4);
	put_le(m, m->n + 4 - CDI_DESCRIPTOR, 4);
}

TEST(a_discjuggler_image_in_view_is_read)
{
	struct image m;

	make_cdi(&m);
	expect_sound(&m, "cdi");
	/* Version 3 has the place of the descriptor where version 4 has its length. */
	put_le32(m.bytes + m.n - 8, 0x80000005);
	put_le32(m.bytes + m.n - 4, CDI_DESCRIPTOR);
	expect_sound(&m, "cdi");
}

TEST(a_broken_discjuggler_image_is_refused_where_it_is_broken)
{
	struct image m;
	size_t end;

	make_cdi(&m);
	end = m.n - 8;
	const struct broken list[] = {
		{ "unknown version", end, 4, 0x80000007, -EUCLEAN, end },
		{ "descriptor before the file", end + 4, 4, 1u << 30, -EUCLEAN, end + 4 },
		{ "descriptor of the trailer alone", end + 4, 4, 8, -EUCLEAN, end + 4 },
		{ "too many sessions", CDI_DESCRIPTOR, 2, 100, -EUCLEAN, CDI_DESCRIPTOR },
		{ "more sessions than there are", CDI_DESCRIPTOR, 2, 2, 0, 0 },
		{ "no mark", CDI_MARK + 13, 1, 7, -EUCLEAN, CDI_MARK + 10 },
		{ "too many indexes", CDI_INDEXES, 2, 101, -EUCLEAN, CDI_INDEXES },
		{ "pregap longer than the track", CDI_INDEXES + 2, 4, 3, -EUCLEAN, CDI_INDEXES },
		{ "too many texts", CDI_INDEXES + 10, 4, 65, -EFBIG, CDI_INDEXES + 10 },
		{ "unknown mode", CDI_INDEXES + 16, 4, 3, -ENOTSUP, CDI_INDEXES },
		{ "unknown sectors", CDI_INDEXES + 56, 4, 5, -ENOTSUP, CDI_INDEXES },
		{ "no sectors", CDI_INDEXES + 36, 4, 0, -EUCLEAN, PLATTER_NO_OFFSET },
	};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		if (list[i].code)
			expect_broken(make_cdi, "cdi", false, &list[i], 1);
	expect_cuts(make_cdi, "cdi", 0);
}

/* ---- Easy CD Creator ---- */

#define CIF_OFS   (2 * RAW + 12)
#define CIF_DISC  (CIF_OFS + 12 + 10 + 22)
#define CIF_TRACK (CIF_DISC + 12 + 8 + 20 + 4)

static void
make_cif(struct image *m)
{
	begin(m, false);
	put_text(m, "RIFF");
	put_le(m, 4 + sizeof sound, 4);
	put_text(m, "imag");
	put(m, sound, sizeof sound);
	put_text(m, "RIFF");
	put_le(m, 4 + 10 + 22, 4);
	put_text(m, "ofs ");
	put_zeros(m, 8);
	put_le(m, 1, 2);
	put_text(m, "RIFF");
	put_le(m, 4 + sizeof sound, 4);
	put_text(m, "adio");
	put_le(m, 8, 4);
	put_zeros(m, 6);
	put_text(m, "RIFF");
	put_le(m, 4 + 8 + 20 + 4 + 24, 4);
	put_text(m, "disc");
	put_zeros(m, 8);
	put_le(m, 20, 2); /* the disc */
	put_le(m, 1, 2);
	put_le(m, 1, 2);
	put_le(m, 2, 2);
	put_zeros(m, 8);
	put_text(m, "T1P");
	put_zeros(m, 1);
	put_le(m, 4, 2); /* the session */
	put_le(m, 1, 2);
	put_le(m, 24, 2); /* the track */
	put_zeros(m, 2);
	put_le(m, 2, 4);
	put_zeros(m, 2 + 14);
}

TEST(an_easy_cd_creator_image_in_view_is_read)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL, *file = NULL;
	const struct pl_format *found;
	struct image m;
	uint8_t have[sizeof sound];

	make_cif(&m);
	EXPECT_OK(open_image(&m, "cif", "1", &disk));
	EXPECT_OK(pl_read(disk, have, sizeof have, 0, &err));
	EXPECT_MEM(have, sound, sizeof have);
	EXPECT_STR(pl_disc_of(disk)->info.text.title, "T1");
	EXPECT_STR(pl_disc_of(disk)->info.text.performer, "P");
	EXPECT_OK(pl_memory_new(m.bytes, m.n, "disc", &file, &err));
	EXPECT_OK(pl_format_probe(file, &found, &err));
	EXPECT_STR(found->info.name, "cif");
}

TEST(a_broken_easy_cd_creator_image_is_refused_where_it_is_broken)
{
	static const struct broken list[] = {
		{ "not an image", 8, 4, 0, -EUCLEAN, 0 },
		{ "no chunk", CIF_OFS, 4, 0, -EUCLEAN, CIF_OFS },
		{ "chunk of no type", CIF_OFS + 4, 4, 3, -EUCLEAN, CIF_OFS + 4 },
		{ "no offset of the track", CIF_OFS + 20, 2, 0, -EUCLEAN, CIF_OFS + 12 },
		{ "no chunk of the track", CIF_OFS + 22, 4, 0, -EUCLEAN, CIF_OFS + 22 },
		{ "track longer than its chunk", CIF_TRACK + 4, 4, 3, -EUCLEAN, CIF_OFS + 26 },
		{ "unknown type", CIF_TRACK + 10, 2, 3, -ENOTSUP, CIF_TRACK + 10 },
		{ "short descriptor", CIF_TRACK, 2, 23, -EUCLEAN, CIF_TRACK },
		{ "long descriptor", CIF_TRACK, 2, 25, -EUCLEAN, CIF_TRACK },
		{ "two tracks, one there", CIF_TRACK - 2, 2, 2, -EUCLEAN, CIF_TRACK + 24 },
		{ "long chunk", CIF_DISC + 4, 4, 1000, -EUCLEAN, CIF_DISC + 4 },
		{ "chunk past the limit", CIF_DISC + 4, 4, 1u << 30, -EFBIG, CIF_DISC + 4 },
	};

	expect_broken(make_cif, "cif", false, list, ARRAY_SIZE(list));
	expect_cuts(make_cif, "cif", 0);
}

/* ---- Alcohol 120% ---- */

#define MDS_TRACK  (88 + 24)
#define MDS_EXTRA  (MDS_TRACK + 80)
#define MDS_FOOTER (MDS_EXTRA + 8)
#define MDS_NAME   (MDS_FOOTER + 16)

static void
make_mds(struct image *m)
{
	begin(m, false);
	put_text(m, "MEDIA DESCRIPTOR\1\3");
	put_le(m, 0, 2);
	put_le(m, 1, 2);
	put_zeros(m, 80 - 22);
	put_le(m, 88, 4);
	put_zeros(m, 4);
	put_le(m, (uint32_t)-150, 4); /* the session */
	put_le(m, 2, 4);
	put_le(m, 1, 2);
	put_le(m, 1, 1);
	put_zeros(m, 1 + 4 + 4);
	put_le(m, MDS_TRACK, 4);
	put_le(m, 0xa9, 1); /* the track */
	put_zeros(m, 1);
	put_le(m, 0x12, 1);
	put_zeros(m, 1);
	put_le(m, 1, 1);
	put_zeros(m, 7);
	put_le(m, MDS_EXTRA, 4);
	put_le(m, RAW, 2);
	put_zeros(m, 18 + 4 + 8);
	put_le(m, 1, 4);
	put_le(m, MDS_FOOTER, 4);
	put_zeros(m, 24);
	put_le(m, 150, 4);
	put_le(m, 2, 4);
	put_le(m, MDS_NAME, 4);
	put_zeros(m, 12);
	put_text(m, "*.mdf");
	put_zeros(m, 1);
}

TEST(an_alcohol_image_in_view_is_read)
{
	struct image m;

	make_mds(&m);
	expect_sound(&m, "mds");
}

TEST(a_broken_alcohol_image_is_refused_where_it_is_broken)
{
	static const struct broken list[] = {
		{ "no magic", 0, 1, 'm', -EUCLEAN, 0 },
		{ "version 2", 16, 1, 2, -ENOTSUP, 16 },
		{ "too many sessions", 20, 2, 100, -EUCLEAN, 20 },
		{ "sessions behind the end", 80, 4, 300, -EUCLEAN, 80 },
		{ "session 0", 88 + 8, 2, 0, -EUCLEAN, PLATTER_NO_OFFSET },
		{ "blocks behind the end", 88 + 20, 4, 250, -EUCLEAN, 88 + 20 },
		{ "too many blocks", 88 + 10, 1, 3, -EUCLEAN, 88 + 20 },
		{ "no such mode", MDS_TRACK, 1, 0xae, -ENOTSUP, MDS_TRACK },
		{ "unknown subchannel", MDS_TRACK + 1, 1, 4, -ENOTSUP, MDS_TRACK + 1 },
		{ "length behind the end", MDS_TRACK + 12, 4, MDS_NAME, -EUCLEAN, MDS_TRACK + 12 },
		{ "sectors of no bytes", MDS_TRACK + 16, 2, 0, -EUCLEAN, MDS_TRACK + 16 },
		{ "sectors of one byte", MDS_TRACK + 16, 2, 1, -EUCLEAN, PLATTER_NO_OFFSET },
		{ "sectors past any file", MDS_TRACK + 40, 8, UINT64_MAX, -EUCLEAN,
		  MDS_TRACK + 40 },
		{ "sectors behind the file", MDS_TRACK + 40, 8, 1u << 20, -EUCLEAN,
		  PLATTER_NO_OFFSET },
		{ "no files", MDS_TRACK + 48, 4, 0, -EUCLEAN, MDS_TRACK + 48 },
		{ "too many files", MDS_TRACK + 48, 4, 257, -EUCLEAN, MDS_TRACK + 48 },
		{ "footer behind the end", MDS_TRACK + 52, 4, MDS_NAME, -EUCLEAN, MDS_TRACK + 52 },
		{ "name behind the end", MDS_FOOTER, 4, 1000, -EUCLEAN, MDS_FOOTER },
		{ "no name", MDS_NAME, 1, 0, -EUCLEAN, MDS_FOOTER },
	};

	expect_broken(make_mds, "mds", false, list, ARRAY_SIZE(list));
	expect_cuts(make_mds, "mds", 0);
}

/* ---- BlindWrite ---- */

#define B6T_BLOCKS 260
#define B6T_BLOCK  (B6T_BLOCKS + 8)
#define B6T_NAME   (B6T_BLOCK + 52)
#define B6T_TRACK  (B6T_NAME + 16 + 4 + 16)

static void
make_b6t(struct image *m)
{
	begin(m, false);
	put_text(m, "BWT5 STREAM SIGN");
	put_zeros(m, 32);
	put_le(m, 8, 2);
	put_le(m, 1, 2);
	put_zeros(m, 260 - 52);
	put_le(m, 1, 4); /* data blocks */
	put_le(m, 0, 4);
	put_le(m, 0x8000, 4);
	put_le(m, sizeof sound, 4);
	put_zeros(m, 16 + 4 + 12);
	put_le(m, 0, 4);
	put_le(m, 2, 4);
	put_le(m, 16, 4);
	for (const char *p = "disc.b5i"; *p; p++)
		put_le(m, (uint8_t)*p, 2);
	put_zeros(m, 4);
	put_le(m, 1, 2); /* the session */
	put_le(m, 1, 1);
	put_zeros(m, 5);
	put_le(m, 2, 4);
	put_zeros(m, 4);
	put_le(m, 1, 1); /* the track */
	put_zeros(m, 9);
	put_le(m, 2, 1);
	put_zeros(m, 1);
	put_le(m, 1, 1);
	put_zeros(m, 9 + 20 + 4);
	put_le(m, 2, 4);
	put_zeros(m, 14 + 8);
	put_text(m, "BWT5 STREAM FOOT");
}

TEST(a_blindwrite_image_in_view_is_read)
{
	struct image m;

	make_b6t(&m);
	expect_sound(&m, "b6t");
}

TEST(a_broken_blindwrite_image_is_refused_where_it_is_broken)
{
	static const struct broken list[] = {
		{ "no signature", 0, 1, 'b', -EUCLEAN, 0 },
		{ "description behind the end", 240, 4, 1u << 30, -EUCLEAN, PLATTER_NO_OFFSET },
		{ "too many blocks", B6T_BLOCKS, 4, 1025, -EFBIG, B6T_BLOCKS },
		{ "path behind the end", B6T_BLOCKS + 4, 4, 5000, -EUCLEAN, PLATTER_NO_OFFSET },
		{ "block of no sectors", B6T_BLOCK + 44, 4, 0, -EUCLEAN, B6T_BLOCK + 44 },
		{ "block of odd bytes", B6T_BLOCK + 4, 4, 4703, -EUCLEAN, B6T_BLOCK + 44 },
		{ "block of no bytes", B6T_BLOCK + 4, 4, 0, -EUCLEAN, B6T_BLOCK + 44 },
		{ "long name", B6T_BLOCK + 48, 4, 5000, -EUCLEAN, B6T_BLOCK + 48 },
		{ "no name", B6T_NAME, 2, 0, -EUCLEAN, B6T_NAME },
		{ "unknown kind", B6T_TRACK, 1, 7, -ENOTSUP, B6T_TRACK },
		{ "pregap longer than the track", B6T_TRACK + 22, 4, 3, -EUCLEAN, B6T_TRACK + 22 },
		{ "track that no block has", B6T_TRACK + 42, 4, 500, -EUCLEAN, PLATTER_NO_OFFSET },
	};

	expect_broken(make_b6t, "b6t", false, list, ARRAY_SIZE(list));
	expect_cuts(make_b6t, "b6t", 0);
}

/* ---- CloneCD ---- */

static const char ccd_text[] = "[CloneCD]\r\nVersion=3\r\n[Disc]\r\nCATALOG=1234567890123\r\n"
			       "[Entry 0]\r\nSession=1\r\nPoint=0xa2\r\nPLBA=2\r\n"
			       "[Entry 1]\r\nSession=1\r\nPoint=0x01\r\nControl=0x02\r\nPLBA=0\r\n"
			       "[TRACK 1]\r\nMODE=0\r\nINDEX 1=0\r\nISRC=ABCDE1234567\r\n";

static void
make_ccd(struct image *m)
{
	begin(m, false);
	put_text(m, ccd_text);
}

TEST(a_clonecd_image_in_view_is_read)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct image m;

	make_ccd(&m);
	expect_sound(&m, "ccd");
	EXPECT_OK(open_image(&m, "ccd", NULL, &disk));
	EXPECT_STR(pl_disc_of(disk)->info.mcn, "1234567890123");
	EXPECT_STR(pl_disc_of(disk)->tracks[0].isrc, "ABCDE1234567");
}

TEST(a_broken_clonecd_sheet_is_refused_with_its_reason)
{
	static const struct {
		const char *from, *to;
		int code;
		const char *says;
	} list[] = {
		{ "PLBA=2", "PLBA=x", -EUCLEAN, "'PLBA' has the value 'x'" },
		{ "PLBA=2", "PLBA=99999999999", -EUCLEAN, "not a number" },
		{ "PLBA=2", "PLBA=0", -EUCLEAN, "goes from sector 0 to sector 0" },
		{ "Point=0xa2", "Point=0xa1", -EUCLEAN, "no lead-out of session 1" },
		{ "Point=0x01", "Point=0xb0", -EUCLEAN, "no tracks" },
		{ "Point=0xa2", "Point=0x01", -EUCLEAN, "two entries of track 1" },
		{ "Session=1", "Session=0", -EUCLEAN, "session 0" },
		{ "Session=1", "Session=100", -EUCLEAN, "session 100" },
		{ "CATALOG", "DataTracksScrambled", -EUCLEAN, "not a number" },
		{ "CATALOG=1234567890123", "DataTracksScrambled=1", -ENOTSUP, "scrambled" },
		{ "INDEX 1=0", "INDEX 0=2\r\nINDEX 1=0", -EUCLEAN, "pregap of -2" },
		{ "INDEX 1=0", "INDEX 0=0\r\nINDEX 1=151", -EUCLEAN, "pregap of 151" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		const char *at = strstr(ccd_text, list[i].from);
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		struct image m;

		printf("# %s\n", list[i].says);
		begin(&m, false);
		EXPECT(at);
		put(&m, ccd_text, (size_t)(at - ccd_text));
		put_text(&m, list[i].to);
		put_text(&m, at + strlen(list[i].from));
		EXPECT_EQ(open_image(&m, "ccd", NULL, &disk), list[i].code);
		EXPECT(strstr(err.message, list[i].says));
	}
	expect_cuts(make_ccd, "ccd", 0);
}
