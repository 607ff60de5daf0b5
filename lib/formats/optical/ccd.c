/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ccd.c - CloneCD's images: a sheet in text, raw sectors, and their subchannel
 *
 * There is no specification; layout as known from libmirage and DiscImageCreator.
 *
 *	[CloneCD]	Version=
 *	[Disc]		TocEntries=, Sessions=, DataTracksScrambled=, CDTextLength=, CATALOG= (MCN)
 *	[Session 1]	PreGapMode=, PreGapSubC=
 *	[Entry 0]	of the table of contents, as in Q: Session=, Point= (01 to 99: a track; a2:
 *			the lead-out), ADR=, Control=, TrackNo=, AMin=, ASec=, AFrame=, ALBA=, Zero=,
 *			PMin=, PSec=, PFrame=, PLBA= (where it begins)
 *	[TRACK 1]	MODE=, INDEX 0=, INDEX 1=, FLAGS=, ISRC=
 *	[CDText]	Entries=, Entry 0= (16 bytes in hexadecimal)
 *
 * NAME.img has 2352 bytes a sector, NAME.sub, which may be missing, 96 bytes a sector, channel
 * after channel.  Both begin with LBA 0, and sessions follow each other without what lies between
 * them.  Indexes count from wherever the program likes: only their distances are used.
 */
#include "ccd.h"

#include <strings.h>

#include "text.h"

#define NR_TRACKS (PL_DISC_MAX_TRACKS + 1)
#define NR_INDEX  (PL_DISC_MAX_INDEXES + 2)
/* Eight languages of 256 packs. */
#define MAX_PACKS 2048

/* What the sheet says of a track, in its [Entry n] and [TRACK n]. */
struct ccd_track {
	bool is_there;
	int64_t session, control, start;
	int64_t mode; /* -1: not told */
	bool has[NR_INDEX];
	int64_t index[NR_INDEX];
	const char *isrc;
};

struct ccd {
	struct pl_disc *disc;
	struct ccd_track tracks[NR_TRACKS];
	bool has_end[PL_DISC_MAX_SESSIONS + 1];
	int64_t end[PL_DISC_MAX_SESSIONS + 1];
	uint8_t packs[MAX_PACKS][18];
	size_t nr_packs;

	/* While lines are read. */
	enum {
		IN_NOTHING,
		IN_DISC,
		IN_ENTRY,
		IN_TRACK,
		IN_TEXT
	} section;
	struct ccd_track *track; /* of the section; NULL: of no track */
	int64_t entry_session, entry_point, entry_control, entry_start;
	uint64_t at; /* of the line */

	/* While tracks are added. */
	struct pl_disk *img, *sub; /* references; no sub: NULL */
	int64_t session, base;     /* LBA where the session's sectors begin, */
	uint64_t position;         /* and how many sectors come before them in the files */
};

static int
ccd_probe(const struct pl_probe *probe)
{
	const uint8_t *p = probe->head;
	size_t i = memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	while (i < 256 && (p[i] == ' ' || p[i] == '\t' || p[i] == '\r' || p[i] == '\n'))
		i++;
	return strncasecmp((const char *)p + i, "[CloneCD]", 9) == 0 ? 72 : 0;
}

/* ---- the sheet ---- */

/* A number, decimal or after 0x, that is all of the text. */
static bool
read_number(const char *text, int64_t *ret)
{
	const char *digits = text + (*text == '-');
	int base = strncasecmp(digits, "0x", 2) == 0 ? 16 : 10;
	char *end;
	long long n;

	if (!strchr("0123456789", *digits) || !*digits)
		return false;
	errno = 0;
	n = strtoll(text, &end, base);
	end += strspn(end, " \t\r");
	if (errno || *end || n < -PL_DISC_MAX_SECTORS || n > PL_DISC_MAX_SECTORS)
		return false;
	*ret = n;
	return true;
}

static int
take_number(const struct ccd *c, const char *key, const char *text, int64_t *ret,
	    struct platter_error *err)
{
	if (read_number(text, ret))
		return 0;
	return pl_corrupt(err, c->at, "'%.20s' has the value '%.20s', which is not a number", key,
			  text);
}

/* A section of the table of contents is over: a track, or a lead-out. */
static int
end_entry(struct ccd *c, struct platter_error *err)
{
	struct ccd_track *t;

	if (c->section != IN_ENTRY)
		return 0;
	if (c->entry_session < 1 || c->entry_session > PL_DISC_MAX_SESSIONS)
		return pl_corrupt(err, c->at, "session %" PRId64 ", 1 to %d are allowed",
				  c->entry_session, PL_DISC_MAX_SESSIONS);
	if (c->entry_point == CCD_LEAD_OUT) {
		c->has_end[c->entry_session] = true;
		c->end[c->entry_session] = c->entry_start;
	}
	if (c->entry_point < 1 || c->entry_point > PL_DISC_MAX_TRACKS)
		return 0;
	t = &c->tracks[c->entry_point];
	if (t->is_there)
		return pl_corrupt(err, c->at, "two entries of track %" PRId64, c->entry_point);
	t->is_there = true;
	t->session = c->entry_session;
	t->control = c->entry_control;
	t->start = c->entry_start;
	return 0;
}

static int
begin_section(struct ccd *c, const char *name, struct platter_error *err)
{
	unsigned long n;
	int r = end_entry(c, err);

	c->section = IN_NOTHING;
	if (strcasecmp(name, "Disc") == 0) {
		c->section = IN_DISC;
	} else if (strncasecmp(name, "Entry ", 6) == 0) {
		c->section = IN_ENTRY;
		c->entry_session = c->entry_point = c->entry_control = c->entry_start = 0;
	} else if (strncasecmp(name, "TRACK ", 6) == 0) {
		n = strtoul(name + 6, NULL, 10);
		c->section = IN_TRACK;
		c->track = n >= 1 && n <= PL_DISC_MAX_TRACKS ? &c->tracks[n] : NULL;
	} else if (strcasecmp(name, "CDText") == 0) {
		c->section = IN_TEXT;
	}
	return r;
}

static int
disc_value(struct ccd *c, const char *key, char *value, struct platter_error *err)
{
	int64_t scrambled = 0;
	int r;

	if (strcasecmp(key, "CATALOG") == 0) {
		if (pl_is_mcn(value) && strspn(value, "0") < 13)
			c->disc->info.mcn = pl_disc_text(c->disc, value, 13);
		return 0;
	}
	if (strcasecmp(key, "DataTracksScrambled") != 0)
		return 0;
	r = take_number(c, key, value, &scrambled, err);
	if (r == 0 && scrambled)
		return pl_unsupported(err, c->at, "the image has its data tracks scrambled");
	return r;
}

static int
entry_value(struct ccd *c, const char *key, const char *value, struct platter_error *err)
{
	const struct {
		const char *key;
		int64_t *to;
	} keys[] = {
		{ "Session", &c->entry_session },
		{ "Point", &c->entry_point },
		{ "Control", &c->entry_control },
		{ "PLBA", &c->entry_start },
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcasecmp(key, keys[i].key) == 0)
			return take_number(c, key, value, keys[i].to, err);
	return 0;
}

static int
track_value(struct ccd *c, const char *key, const char *value, struct platter_error *err)
{
	struct ccd_track *t = c->track;
	unsigned long n;

	if (!t)
		return 0;
	if (strcasecmp(key, "MODE") == 0)
		return take_number(c, key, value, &t->mode, err);
	if (strcasecmp(key, "ISRC") == 0 && pl_is_isrc(value))
		t->isrc = pl_disc_text(c->disc, value, 12);
	if (strncasecmp(key, "INDEX ", 6) != 0)
		return 0;
	n = strtoul(key + 6, NULL, 10);
	if (n >= NR_INDEX)
		return 0;
	t->has[n] = true;
	return take_number(c, key, value, &t->index[n], err);
}

/* A pack, maybe with its CRC. */
static void
text_value(struct ccd *c, const char *key, const char *value)
{
	uint8_t *pack = c->packs[c->nr_packs];
	size_t n = 0;

	if (strncasecmp(key, "Entry ", 6) != 0 || c->nr_packs == MAX_PACKS)
		return;
	memset(pack, 0, sizeof c->packs[0]);
	while (n < sizeof c->packs[0]) {
		char *end;
		unsigned long byte = strtoul(value, &end, 16);

		if (end == value || byte > 255)
			break;
		pack[n++] = (uint8_t)byte;
		value = end;
	}
	if (n >= CCD_PACK)
		c->nr_packs++;
}

static char *
trim(char *text)
{
	size_t n;

	text += strspn(text, " \t");
	n = strlen(text);
	while (n && strchr(" \t\r", text[n - 1]))
		n--;
	text[n] = '\0';
	return text;
}

static int
take_line(struct ccd *c, char *line, struct platter_error *err)
{
	char *value, *end;

	line = trim(line);
	if (*line == '[') {
		end = strchr(line, ']');
		if (end)
			*end = '\0';
		return begin_section(c, trim(line + 1), err);
	}
	value = strchr(line, '=');
	if (!value)
		return 0;
	*value++ = '\0';
	line = trim(line);
	value = trim(value);
	switch (c->section) {
	case IN_DISC: return disc_value(c, line, value, err);
	case IN_ENTRY: return entry_value(c, line, value, err);
	case IN_TRACK: return track_value(c, line, value, err);
	case IN_TEXT: text_value(c, line, value); return 0;
	default: return 0;
	}
}

static int
take_sheet(struct ccd *c, char *text, struct platter_error *err)
{
	int r = 0;

	for (char *line = text, *next; line && r == 0; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		c->at = (uint64_t)(line - text);
		r = take_line(c, line, err);
	}
	return r < 0 ? r : end_entry(c, err);
}

/* ---- tracks ---- */

static uint32_t
next_track(const struct ccd *c, uint32_t number)
{
	for (number++; number < NR_TRACKS; number++)
		if (c->tracks[number].is_there)
			return number;
	return 0;
}

/* Sectors before index 1 that belong to the track. */
static int
pregap_of(const struct ccd *c, uint32_t number, int64_t *ret, struct platter_error *err)
{
	const struct ccd_track *t = &c->tracks[number];

	*ret = 0;
	if (t->has[0] && t->has[1])
		*ret = t->index[1] - t->index[0];
	else if (number == next_track(c, 0) && t->session == 1 && t->has[1] &&
		 t->index[1] == t->start)
		/* The first track of the disc; the image begins with LBA 0. */
		*ret = t->start;
	if (*ret < 0 || *ret > t->start + PL_DISC_PREGAP)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "track %" PRIu32 " begins at sector %" PRId64
				  " and has a pregap of %" PRId64 " sectors",
				  number, t->start, *ret);
	return 0;
}

/* LBA behind the track's last sector. */
static int
end_of(const struct ccd *c, uint32_t number, int64_t *ret, struct platter_error *err)
{
	const struct ccd_track *t = &c->tracks[number];
	uint32_t next = next_track(c, number);
	int64_t pregap = 0;
	int r = 0;

	if (next && c->tracks[next].session == t->session) {
		r = pregap_of(c, next, &pregap, err);
		*ret = c->tracks[next].start - pregap;
		return r;
	}
	if (!c->has_end[t->session])
		return pl_corrupt(err, PLATTER_NO_OFFSET, "no lead-out of session %" PRId64,
				  t->session);
	*ret = c->end[t->session];
	return 0;
}

/* The mode that the sector at index 1 has; what sheets say of it is often wrong. */
static enum platter_track_mode
mode_of(const struct ccd *c, const struct ccd_track *t, uint64_t offset)
{
	uint8_t head[16];

	if (!(t->control & PL_CONTROL_DATA))
		return PLATTER_TRACK_AUDIO;
	if (pl_in_range(offset, sizeof head, c->img->size) &&
	    pl_read(c->img, head, sizeof head, offset, NULL) == 0 && pl_sector_has_sync(head) &&
	    (head[PL_SECTOR_MODE] == 1 || head[PL_SECTOR_MODE] == 2))
		return head[PL_SECTOR_MODE] == 1 ? PLATTER_TRACK_MODE1 : PLATTER_TRACK_MODE2;
	return t->mode == 2 ? PLATTER_TRACK_MODE2 : PLATTER_TRACK_MODE1;
}

static int
set_indexes(struct ccd *c, const struct ccd_track *t, size_t track, struct platter_error *err)
{
	int64_t list[PL_DISC_MAX_INDEXES];
	size_t nr = 0;

	for (; nr < ARRAY_SIZE(list) && t->has[1] && t->has[nr + 2]; nr++)
		list[nr] = t->start + t->index[nr + 2] - t->index[1];
	return pl_disc_set_indexes(c->disc, track, list, nr, err);
}

/* Sectors [first, end) of a track; the files go on with them. */
static int
add_sectors(struct ccd *c, uint32_t number, int64_t first, int64_t end, struct platter_error *err)
{
	const struct ccd_track *t = &c->tracks[number];
	uint64_t position = c->position + (uint64_t)(first - c->base);
	struct platter_track track = {
		.number = number,
		.session = (uint32_t)t->session,
		.start = t->start,
		.pregap = (uint64_t)(t->start - first),
		.flags = pl_reader_flags((unsigned)t->control),
		.isrc = t->isrc,
	};
	struct pl_disc_run run = {
		.lba = first,
		.nr = (uint64_t)(end - first),
		.file = c->img,
		.offset = position * PL_SECTOR_RAW,
		.main_bytes = PL_SECTOR_RAW,
		.sub = c->sub ? PL_SUB_PACKED96 : PL_SUB_NONE,
		.sub_file = c->sub,
		.sub_offset = position * 96,
		.stride = PL_SECTOR_RAW,
	};
	int r;

	track.mode = mode_of(c, t, run.offset + track.pregap * PL_SECTOR_RAW);
	r = pl_disc_add_track(c->disc, &track, &run.track, err);
	if (r == 0)
		r = set_indexes(c, t, run.track, err);
	return r < 0 ? r : pl_disc_add_run(c->disc, &run, err);
}

static int
add_track(struct ccd *c, uint32_t number, struct platter_error *err)
{
	const struct ccd_track *t = &c->tracks[number];
	int64_t pregap = 0, end = 0;
	int r = pregap_of(c, number, &pregap, err);

	if (r == 0)
		r = end_of(c, number, &end, err);
	if (r < 0)
		return r;
	if (t->session != c->session) {
		if (c->session)
			c->position += (uint64_t)(c->end[c->session] - c->base);
		c->base = t->start - pregap;
		c->session = t->session;
	}
	if (end <= t->start - pregap || t->start - pregap < c->base)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "track %" PRIu32 " goes from sector %" PRId64
				  " to sector %" PRId64,
				  number, t->start - pregap, end);
	return add_sectors(c, number, t->start - pregap, end, err);
}

static int
add_tracks(struct ccd *c, struct platter_error *err)
{
	int r = 0;

	for (uint32_t i = next_track(c, 0); i && r == 0; i = next_track(c, i))
		r = add_track(c, i, err);
	for (uint32_t i = 1; i <= PL_DISC_MAX_SESSIONS && r == 0; i++)
		if (c->has_end[i])
			r = pl_disc_end_session(c->disc, i, c->end[i], err);
	return r;
}

static int
open_files(struct ccd *c, const struct pl_open_request *request, struct platter_error *err)
{
	PL_AUTOFREE char *img = pl_sheet_named_like(request->file, "img");
	PL_AUTOFREE char *sub = pl_sheet_named_like(request->file, "sub");
	int r;

	if (!img || !sub)
		return pl_no_memory(err);
	r = pl_sheet_open_file(request, img, "raw", &c->img, err);
	/* What is not stored of it is made. */
	if (r == 0 && pl_sheet_open_file(request, sub, "raw", &c->sub, NULL) < 0)
		c->sub = NULL;
	return r;
}

static int
ccd_read(const struct pl_open_request *request, struct pl_disc *disc, struct platter_error *err)
{
	PL_AUTOFREE struct ccd *c = calloc(1, sizeof *c);
	PL_AUTOFREE char *text = NULL;
	int r = c ? pl_sheet_read(request->file, &text, err) : pl_no_memory(err);

	if (r < 0)
		return r;
	c->disc = disc;
	for (size_t i = 0; i < NR_TRACKS; i++)
		c->tracks[i].mode = -1;
	r = take_sheet(c, text, err);
	if (r == 0)
		r = open_files(c, request, err);
	if (r == 0)
		r = add_tracks(c, err);
	if (r == 0)
		pl_disc_take_cdtext(disc, c->packs[0], c->nr_packs * sizeof c->packs[0]);
	pl_disk_unref(c->img);
	pl_disk_unref(c->sub);
	return r;
}

static const struct pl_disk_ops ccd_ops = PL_DISC_OPS("ccd");

static int
ccd_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	return pl_reader_open(request, &ccd_ops, ccd_read, ret, err);
}

static const char *const extensions[] = { "ccd", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_ccd = {
	.info = {
		.name = "ccd",
		.longname = "CloneCD image",
		.extensions = extensions,
		.holds = PLATTER_HOLDS_DISC,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CREATE | PLATTER_CAN_CHECK,
		.options = options,
	},
	.probe = ccd_probe,
	.open = ccd_open,
	.create = pl_ccd_create,
	.check = pl_disc_check,
	.many_disks = true,
	.takes = PL_TAKES_DISC,
	.disk_ops = &ccd_ops,
};
