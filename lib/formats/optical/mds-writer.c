/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mds-writer.c - Alcohol 120%'s images: writing; mds.h has the layout */
#include "mds.h"

enum {
	NR_POINTS = 3, /* A0, A1, A2 */
	EXTRA = 8,
	TYPE_XA = 0x20,
};

/* Where the tables are, and the next of each. */
struct tables {
	struct pl_sheet_writer *w;
	uint8_t *bytes;
	size_t session, block, extra, footer, name;
};

static bool
is_ascii(const char *text)
{
	while (*text && !(*text & 0x80))
		text++;
	return !*text;
}

static void
put_msf(uint8_t *p, int64_t lba)
{
	int64_t frames = lba + PL_DISC_PREGAP;

	p[0] = (uint8_t)(frames / 4500);
	p[1] = (uint8_t)(frames / 75 % 60);
	p[2] = (uint8_t)(frames % 75);
}

/* The next block, of a point with these three bytes for a time. */
static uint8_t *
add_block(struct tables *t, unsigned control, unsigned point)
{
	uint8_t *b = t->bytes + t->block;

	b[MDS_CONTROL] = (uint8_t)(0x10 | control);
	b[MDS_POINT] = (uint8_t)point;
	t->block += MDS_BLOCK;
	return b;
}

static uint8_t
mode_code(const struct platter_track *track)
{
	switch (track->mode) {
	case PLATTER_TRACK_AUDIO: return 0xa9;
	case PLATTER_TRACK_MODE2: return 0xac;
	default: return 0xaa;
	}
}

static void
add_track(struct tables *t, const struct platter_track *track, bool is_first)
{
	const struct pl_disc *disc = t->w->disc;
	uint8_t *b = add_block(t, pl_reader_control(track), track->number);
	uint64_t pregap = track->pregap;

	/* That of a session's first track, which is on the disc whether or not it is stored. */
	if (is_first)
		pregap = track->session == 1 ? (uint64_t)(track->start + PL_DISC_PREGAP)
					     : PL_MAX(pregap, (uint64_t)PL_DISC_PREGAP);
	b[MDS_MODE] = mode_code(track);
	put_msf(b + MDS_PMIN, track->start);
	put_le32(b + MDS_EXTRA, (uint32_t)t->extra);
	put_le16(b + MDS_SECTOR_BYTES, PL_SECTOR_RAW);
	put_le32(b + MDS_START, (uint32_t)track->start);
	put_le64(b + MDS_OFFSET, (uint64_t)pl_disc_position(disc, track->start) * PL_SECTOR_RAW);
	put_le32(b + MDS_NR_FILES, 1);
	put_le32(b + MDS_FOOTERS, (uint32_t)t->footer);
	put_le32(t->bytes + t->extra, (uint32_t)pregap);
	put_le32(t->bytes + t->extra + 4, (uint32_t)track->length);
	t->extra += EXTRA;
}

static void
add_session(struct tables *t, const struct platter_session *s)
{
	const struct pl_disc *disc = t->w->disc;
	uint8_t *p = t->bytes + t->session, *first, *last;
	unsigned control = 0, nr = 0;

	put_le32(p + MDS_SESSION_START,
		 (uint32_t)(s->number == 1 ? -PL_DISC_PREGAP : s->start - PL_DISC_PREGAP));
	put_le32(p + MDS_SESSION_END, (uint32_t)s->end);
	put_le16(p + MDS_SESSION_NUMBER, (uint16_t)s->number);
	put_le16(p + MDS_FIRST_TRACK, (uint16_t)s->first_track);
	put_le16(p + MDS_LAST_TRACK, (uint16_t)s->last_track);
	put_le32(p + MDS_BLOCKS, (uint32_t)t->block);
	p[MDS_NR_POINTS] = NR_POINTS;
	t->session += MDS_SESSION;
	first = add_block(t, 0, 0xa0);
	last = add_block(t, 0, 0xa1);
	put_msf(add_block(t, 0, 0xa2) + MDS_PMIN, s->end);
	first[MDS_PMIN] = (uint8_t)s->first_track;
	last[MDS_PMIN] = (uint8_t)s->last_track;
	for (size_t i = 0; i < disc->info.nr_tracks; i++) {
		const struct platter_track *track = &disc->tracks[i];

		if (track->session != s->number)
			continue;
		if (!nr)
			control = pl_reader_control(track);
		if (track->mode == PLATTER_TRACK_MODE2)
			first[MDS_PMIN + 1] = TYPE_XA;
		add_track(t, track, nr++ == 0);
	}
	for (unsigned i = 0; i < NR_POINTS; i++)
		first[i * MDS_BLOCK + MDS_CONTROL] = (uint8_t)(0x10 | control);
	p[MDS_NR_BLOCKS] = (uint8_t)(NR_POINTS + nr);
}

static int
add_name(struct tables *t, size_t *ret_n, struct platter_error *err)
{
	const char *name = t->w->data_name;
	uint8_t *f = t->bytes + t->footer;
	size_t nr = 0;

	put_le32(f + MDS_NAME, (uint32_t)t->name);
	if (is_ascii(name)) {
		memcpy(t->bytes + t->name, name, strlen(name));
		*ret_n = t->name + strlen(name) + 1;
		return 0;
	}
	PL_AUTOFREE uint8_t *units = pl_utf16le_from_text(name, &nr);

	if (!units)
		return pl_no_memory(err);
	put_le32(f + MDS_NAME_IS_WIDE, 1);
	memcpy(t->bytes + t->name, units, 2 * nr);
	*ret_n = t->name + 2 * nr + 2;
	return 0;
}

static void
put_header(uint8_t *bytes, unsigned medium, size_t nr_sessions)
{
	memcpy(bytes, MDS_MAGIC, 16);
	bytes[MDS_VERSION] = 1;
	bytes[MDS_VERSION + 1] = 3;
	put_le16(bytes + MDS_MEDIUM, (uint16_t)medium);
	put_le16(bytes + MDS_NR_SESSIONS, (uint16_t)nr_sessions);
	put_le32(bytes + MDS_SESSIONS, MDS_HEADER);
}

static int
finish_mds(struct pl_sheet_writer *w, struct platter_error *err)
{
	const struct platter_disc *d = &w->disc->info;
	struct tables t = { .w = w, .session = MDS_HEADER };
	PL_AUTOFREE uint8_t *bytes = NULL;
	size_t n;
	int r;

	t.block = t.session + d->nr_sessions * MDS_SESSION;
	t.extra = t.block + (NR_POINTS * d->nr_sessions + d->nr_tracks) * MDS_BLOCK;
	t.footer = t.extra + d->nr_tracks * EXTRA;
	t.name = t.footer + MDS_FOOTER;
	/* A character of UTF-8 has no more units of UTF-16 than bytes. */
	bytes = calloc(1, t.name + 2 * strlen(w->data_name) + 2);
	if (!bytes)
		return pl_no_memory(err);
	t.bytes = bytes;
	put_header(bytes, 0, d->nr_sessions);
	for (size_t i = 0; i < d->nr_sessions; i++)
		add_session(&t, &d->sessions[i]);
	r = add_name(&t, &n, err);
	return r < 0 ? r : pl_write(w->sheet, bytes, n, 0, err);
}

/* One session with one block, and none of points, which a DVD has not. */
static int
finish_dvd(struct pl_sheet_writer *w, struct platter_error *err)
{
	struct tables t = { .w = w, .session = MDS_HEADER };
	uint32_t nr = (uint32_t)(w->writer.size / PL_SECTOR_DATA);
	PL_AUTOFREE uint8_t *bytes = NULL;
	uint8_t *s, *b;
	size_t n;
	int r;

	t.block = t.session + MDS_SESSION;
	t.footer = t.block + MDS_BLOCK;
	t.name = t.footer + MDS_FOOTER;
	bytes = calloc(1, t.name + 2 * strlen(w->data_name) + 2);
	if (!bytes)
		return pl_no_memory(err);
	t.bytes = bytes;
	put_header(bytes, MDS_MEDIUM_DVD, 1);
	s = bytes + t.session;
	put_le32(s + MDS_SESSION_END, nr);
	put_le16(s + MDS_SESSION_NUMBER, 1);
	put_le16(s + MDS_FIRST_TRACK, 1);
	put_le16(s + MDS_LAST_TRACK, 1);
	put_le32(s + MDS_BLOCKS, (uint32_t)t.block);
	s[MDS_NR_BLOCKS] = 1;
	b = add_block(&t, PL_CONTROL_DATA, 1);
	b[MDS_MODE] = MDS_MODE_DVD;
	put_le32(b + MDS_EXTRA, nr);
	put_le16(b + MDS_SECTOR_BYTES, PL_SECTOR_DATA);
	put_le32(b + MDS_NR_FILES, 1);
	put_le32(b + MDS_FOOTERS, (uint32_t)t.footer);
	r = add_name(&t, &n, err);
	return r < 0 ? r : pl_write(w->sheet, bytes, n, 0, err);
}

int
pl_mds_create(const struct pl_create_request *request, struct pl_writer **ret,
	      struct platter_error *err)
{
	if (pl_sheet_is_dvd(request->disc))
		return pl_sheet_writer_new_dvd(request, "mds", "mdf", finish_dvd, ret, err);
	return pl_sheet_writer_new(request, "mdf", finish_mds, ret, err);
}
