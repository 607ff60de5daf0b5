/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ccd-writer.c - CloneCD's images: writing; ccd.c has the layout */
#include "ccd.h"

#define SUB_BYTES 96
/* Sectors whose subchannel is made at once. */
#define SUB_BATCH 512

/* Type of the disc in the entry of its first track. */
#define TYPE_XA 0x20

static int
write_sub(struct pl_sheet_writer *w, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *sub = malloc(SUB_BATCH * SUB_BYTES);
	const struct platter_disc *d = &w->disc->info;
	uint64_t at = 0;
	int r = sub ? 0 : pl_no_memory(err);

	for (size_t i = 0; i < d->nr_sessions && r == 0; i++) {
		int64_t lba = pl_sheet_session_start(w->disc, i), end = d->sessions[i].end;

		while (lba < end && r == 0) {
			uint64_t nr = (uint64_t)PL_MIN(end - lba, SUB_BATCH);

			r = pl_disc_read_sub(w->disc, lba, nr, sub, err);
			if (r == 0)
				r = pl_write(w->more, sub, nr * SUB_BYTES, at, err);
			at += nr * SUB_BYTES;
			lba += (int64_t)nr;
		}
	}
	return r;
}

/* The next entry of the table of contents. */
static void
add_entry(struct pl_str *s, unsigned *number, uint32_t session, unsigned point, unsigned control,
	  int64_t lba)
{
	int64_t frames = lba + PL_DISC_PREGAP;

	pl_str_addf(s,
		    "[Entry %u]\r\nSession=%" PRIu32 "\r\nPoint=0x%02x\r\nADR=0x01\r\n"
		    "Control=0x%02x\r\nTrackNo=0\r\nAMin=0\r\nASec=0\r\nAFrame=0\r\nALBA=-150\r\n"
		    "Zero=0\r\nPMin=%" PRId64 "\r\nPSec=%" PRId64 "\r\nPFrame=%" PRId64
		    "\r\nPLBA=%" PRId64 "\r\n",
		    (*number)++, session, point, control, frames / 4500, frames / 75 % 60,
		    frames % 75, lba);
}

/* Minutes, and in the entry of the first track seconds, say something that is no time. */
static int64_t
as_time(uint32_t minutes, unsigned seconds)
{
	return ((int64_t)minutes * 60 + seconds) * 75 - PL_DISC_PREGAP;
}

static void
add_session(struct pl_str *s, const struct pl_disc *disc, const struct platter_session *session,
	    unsigned *number)
{
	unsigned control = 0, type = 0;

	for (size_t i = 0; i < disc->info.nr_tracks; i++) {
		const struct platter_track *t = &disc->tracks[i];

		if (t->session == session->number && t->number == session->first_track)
			control = pl_reader_control(t);
		if (t->session == session->number && t->mode == PLATTER_TRACK_MODE2)
			type = TYPE_XA;
	}
	add_entry(s, number, session->number, CCD_FIRST_TRACK, control,
		  as_time(session->first_track, type));
	add_entry(s, number, session->number, CCD_LAST_TRACK, control,
		  as_time(session->last_track, 0));
	add_entry(s, number, session->number, CCD_LEAD_OUT, control, session->end);
	for (size_t i = 0; i < disc->info.nr_tracks; i++) {
		const struct platter_track *t = &disc->tracks[i];

		if (t->session == session->number)
			add_entry(s, number, session->number, t->number, pl_reader_control(t),
				  t->start);
	}
}

static unsigned
mode_number(enum platter_track_mode mode)
{
	return mode == PLATTER_TRACK_MODE1 ? 1 : mode == PLATTER_TRACK_MODE2 ? 2 : 0;
}

/* Indexes count from where the session begins in the image. */
static void
add_track(struct pl_str *s, const struct pl_disc *disc, const struct platter_track *t)
{
	int64_t first = pl_sheet_track_start(disc, t), base = 0;

	for (size_t i = 0; i < disc->info.nr_sessions; i++)
		if (disc->sessions[i].number == t->session)
			base = pl_sheet_session_start(disc, i);
	pl_str_addf(s, "[TRACK %" PRIu32 "]\r\nMODE=%u\r\n", t->number, mode_number(t->mode));
	if (t->isrc[0])
		pl_str_addf(s, "ISRC=%s\r\n", t->isrc);
	if (first < t->start)
		pl_str_addf(s, "INDEX 0=%" PRId64 "\r\n", first - base);
	pl_str_addf(s, "INDEX 1=%" PRId64 "\r\n", t->start - base);
	for (size_t i = 0; i < t->nr_indexes; i++)
		pl_str_addf(s, "INDEX %zu=%" PRId64 "\r\n", i + 2, t->indexes[i] - base);
}

static void
add_packs(struct pl_str *s, const uint8_t *packs, size_t n)
{
	if (!n)
		return;
	pl_str_addf(s, "[CDText]\r\nEntries=%zu\r\n", n / 18);
	for (size_t i = 0; i < n / 18; i++) {
		pl_str_addf(s, "Entry %zu=", i);
		for (size_t k = 0; k < CCD_PACK; k++)
			pl_str_addf(s, "%s%02x", k ? " " : "", packs[i * 18 + k]);
		pl_str_add(s, "\r\n");
	}
}

/* That of the session's first track, as MODE= of a track has it. */
static unsigned
pregap_mode(const struct pl_disc *disc, const struct platter_session *session)
{
	for (size_t i = 0; i < disc->info.nr_tracks; i++)
		if (disc->tracks[i].number == session->first_track)
			return mode_number(disc->tracks[i].mode);
	return 0;
}

static int
finish_ccd(struct pl_sheet_writer *w, struct platter_error *err)
{
	const struct platter_disc *d = &w->disc->info;
	PL_AUTOFREE uint8_t *packs = NULL;
	struct pl_str s = { 0 };
	unsigned number = 0;
	size_t n;
	int r = pl_disc_make_cdtext(w->disc, &packs, &n, err);

	if (r == 0)
		r = write_sub(w, err);
	if (r < 0)
		return r;
	pl_str_addf(&s,
		    "[CloneCD]\r\nVersion=3\r\n[Disc]\r\nTocEntries=%zu\r\nSessions=%zu\r\n"
		    "DataTracksScrambled=0\r\nCDTextLength=%zu\r\n",
		    3 * d->nr_sessions + d->nr_tracks, d->nr_sessions, n);
	if (d->mcn[0])
		pl_str_addf(&s, "CATALOG=%s\r\n", d->mcn);
	for (size_t i = 0; i < d->nr_sessions; i++)
		pl_str_addf(&s, "[Session %" PRIu32 "]\r\nPreGapMode=%u\r\nPreGapSubC=0\r\n",
			    d->sessions[i].number, pregap_mode(w->disc, &d->sessions[i]));
	for (size_t i = 0; i < d->nr_sessions; i++)
		add_session(&s, w->disc, &d->sessions[i], &number);
	for (size_t i = 0; i < d->nr_tracks; i++)
		add_track(&s, w->disc, &d->tracks[i]);
	add_packs(&s, packs, n);
	r = pl_sheet_write(w, &s, err);
	pl_str_done(&s);
	return r;
}

int
pl_ccd_create(const struct pl_create_request *request, struct pl_writer **ret,
	      struct platter_error *err)
{
	const struct pl_storage_beside how = { .tag = "", .extension = "sub" };
	struct pl_writer *writer;
	struct pl_sheet_writer *w;
	int r = pl_sheet_needs_cd(request, "ccd", err);

	if (r == 0)
		r = pl_sheet_writer_new(request, "img", finish_ccd, &writer, err);
	if (r < 0)
		return r;
	w = pl_sheet_writer_of(writer);
	r = pl_storage_create_beside(w->data, &how, &w->more, err);
	if (r < 0)
		writer->ops->free(writer);
	else
		*ret = writer;
	return r;
}
