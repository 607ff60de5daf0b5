/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nrg-writer.c - Nero Burning ROM's images, version 2: writing; nrg.c has the layout */
#include "disc-view.h"
#include "nrg.h"

/* Sectors that come before those of LBA 0. */
#define BEFORE PL_DISC_PREGAP

enum {
	MODE_1 = 5,
	MODE_2 = 6,
	AUDIO = 7,
	TOC_AUDIO = 0x0000,
	TOC_DATA = 0x0001,
	TOC_XA = 0x2001,
	MEDIUM_CD = 1,
	MEDIUM_DVD = 0x1c, /* -R and -RW, +R and +RW, -RAM */
	COOKED = 0,        /* mode of a track at once */
};

static void
add_be(struct pl_str *s, uint64_t n, unsigned bytes)
{
	while (bytes--) {
		char byte = (char)(n >> 8 * bytes);

		pl_str_add_bytes(s, &byte, 1);
	}
}

/* So many bytes of a text, zeros behind it. */
static void
add_padded(struct pl_str *s, const char *text, size_t n)
{
	size_t have = PL_MIN(strlen(text), n);

	pl_str_add_bytes(s, text, have);
	for (; have < n; have++)
		pl_str_add_bytes(s, "", 1);
}

static void
add_chunk(struct pl_str *s, const char *id, const struct pl_str *data)
{
	pl_str_add(s, id);
	add_be(s, data->length, 4);
	if (data->length)
		pl_str_add_bytes(s, data->text, data->length);
	s->failed = s->failed || data->failed;
}

static void
add_cue(struct pl_str *s, unsigned control, unsigned track, unsigned index, int64_t lba)
{
	add_be(s, control << 4 | 1, 1);
	add_be(s, track, 1);
	add_be(s, index, 1);
	add_be(s, 0, 1);
	add_be(s, (uint32_t)lba, 4);
}

/* LBA of the first sector of a track in the file. */
static int64_t
first_of(const struct pl_disc *disc, const struct platter_track *t)
{
	return t == disc->tracks ? -BEFORE : pl_sheet_track_start(disc, t);
}

static void
add_cues(struct pl_str *s, const struct pl_disc *disc, const struct platter_session *session)
{
	struct pl_str data = { 0 };
	unsigned control = 0;

	for (size_t i = 0; i < disc->info.nr_tracks; i++) {
		const struct platter_track *t = &disc->tracks[i];

		if (t->session != session->number)
			continue;
		control = pl_reader_control(t);
		if (t->number == session->first_track)
			add_cue(&data, control, 0, 0, first_of(disc, t));
		add_cue(&data, control, pl_to_bcd(t->number), 0, first_of(disc, t));
		add_cue(&data, control, pl_to_bcd(t->number), 1, t->start);
		for (size_t k = 0; k < t->nr_indexes; k++)
			add_cue(&data, control, pl_to_bcd(t->number), pl_to_bcd((uint32_t)k + 2),
				t->indexes[k]);
	}
	add_cue(&data, control, 0xaa, 1, session->end);
	add_chunk(s, "CUEX", &data);
	pl_str_done(&data);
}

static uint64_t
offset_of(const struct pl_disc *disc, int64_t lba)
{
	int64_t position = pl_disc_position(disc, lba);

	return (uint64_t)(BEFORE + (position < 0 ? lba : position)) * PL_SECTOR_RAW;
}

static void
add_dao_track(struct pl_str *s, const struct pl_disc *disc, const struct platter_track *t)
{
	int64_t last = t->start + (int64_t)t->length - 1;

	add_padded(s, t->isrc, 12);
	add_be(s, PL_SECTOR_RAW, 2);
	add_be(s,
	       t->mode == PLATTER_TRACK_AUDIO   ? AUDIO
	       : t->mode == PLATTER_TRACK_MODE2 ? MODE_2
						: MODE_1,
	       1);
	add_be(s, 1, 3);
	add_be(s, offset_of(disc, first_of(disc, t)), 8);
	add_be(s, offset_of(disc, t->start), 8);
	add_be(s, offset_of(disc, last) + PL_SECTOR_RAW, 8);
}

/* Returns how many tracks the session has. */
static unsigned
add_dao(struct pl_str *s, const struct pl_disc *disc, const struct platter_session *session)
{
	struct pl_str tracks = { 0 }, data = { 0 };
	unsigned toc = TOC_AUDIO, nr = 0;

	for (size_t i = 0; i < disc->info.nr_tracks; i++) {
		const struct platter_track *t = &disc->tracks[i];

		if (t->session != session->number)
			continue;
		if (t->mode == PLATTER_TRACK_MODE2)
			toc = TOC_XA;
		else if (t->mode != PLATTER_TRACK_AUDIO && toc == TOC_AUDIO)
			toc = TOC_DATA;
		add_dao_track(&tracks, disc, t);
		nr++;
	}
	add_be(&data, 22 + tracks.length, 4);
	add_padded(&data, disc->info.mcn, 14);
	add_be(&data, toc, 2);
	add_be(&data, session->first_track, 1);
	add_be(&data, session->last_track, 1);
	pl_str_add_bytes(&data, tracks.text, tracks.length);
	data.failed = data.failed || tracks.failed;
	add_chunk(s, "DAOX", &data);
	pl_str_done(&tracks);
	pl_str_done(&data);
	return nr;
}

static void
add_number(struct pl_str *s, const char *id, uint32_t number)
{
	pl_str_add(s, id);
	add_be(s, 4, 4);
	add_be(s, number, 4);
}

static int
add_chunks(struct pl_str *s, const struct pl_disc *disc, struct platter_error *err)
{
	const struct platter_disc *d = &disc->info;
	PL_AUTOFREE uint8_t *packs = NULL;
	size_t n;
	int r = pl_disc_make_cdtext(disc, &packs, &n, err);

	for (size_t i = 0; i < d->nr_sessions && r == 0; i++) {
		unsigned nr;

		add_cues(s, disc, &d->sessions[i]);
		nr = add_dao(s, disc, &d->sessions[i]);
		if (i == 0 && n) {
			pl_str_add(s, "CDTX");
			add_be(s, n, 4);
			pl_str_add_bytes(s, packs, n);
		}
		add_number(s, "SINF", nr);
	}
	add_number(s, "MTYP", MEDIUM_CD);
	pl_str_add(s, "END!");
	add_be(s, 0, 4);
	return r;
}

/* What lies before LBA 0 is part of every track 1. */
static int
write_pregap(struct pl_sheet_writer *w, struct platter_error *err)
{
	uint8_t sector[PL_SECTOR_RAW];
	int r = 0;

	for (int64_t lba = -BEFORE; lba < 0 && r == 0; lba++) {
		pl_disc_build_empty(w->disc->tracks[0].mode, lba, sector);
		r = pl_write(w->data, sector, sizeof sector,
			     (uint64_t)(lba + BEFORE) * PL_SECTOR_RAW, err);
	}
	return r;
}

/* The chunks, and where they are, behind the sectors. */
static int
write_chunks(struct pl_sheet_writer *w, struct pl_str *chunks, struct platter_error *err)
{
	uint64_t at = w->data_at + w->writer.size;

	pl_str_add(chunks, "NER5");
	add_be(chunks, at, 8);
	if (chunks->failed)
		return pl_no_memory(err);
	return pl_write(w->data, chunks->text, chunks->length, at, err);
}

/* A track at once, which stores no pregap: from the first byte of the file on. */
static int
finish_dvd(struct pl_sheet_writer *w, struct platter_error *err)
{
	struct pl_str s = { 0 }, track = { 0 };
	int r;

	add_be(&track, 0, 8);
	add_be(&track, w->writer.size, 8);
	add_be(&track, COOKED, 4);
	add_be(&track, 0, 4);
	add_be(&track, 0, 8);
	add_chunk(&s, "ETN2", &track);
	add_number(&s, "SINF", 1);
	add_number(&s, "MTYP", MEDIUM_DVD);
	pl_str_add(&s, "END!");
	add_be(&s, 0, 4);
	r = write_chunks(w, &s, err);
	pl_str_done(&track);
	pl_str_done(&s);
	return r;
}

static int
finish_nrg(struct pl_sheet_writer *w, struct platter_error *err)
{
	struct pl_str s = { 0 };
	int r = write_pregap(w, err);

	if (r == 0)
		r = add_chunks(&s, w->disc, err);
	if (r == 0)
		r = write_chunks(w, &s, err);
	pl_str_done(&s);
	return r;
}

int
pl_nrg_create(const struct pl_create_request *request, struct pl_writer **ret,
	      struct platter_error *err)
{
	int r;

	if (pl_sheet_is_dvd(request->disc))
		return pl_sheet_writer_new_dvd(request, "nrg", NULL, finish_dvd, ret, err);
	r = pl_sheet_writer_new(request, NULL, finish_nrg, ret, err);
	if (r == 0)
		pl_sheet_writer_of(*ret)->data_at = (uint64_t)BEFORE * PL_SECTOR_RAW;
	return r;
}
