/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cue.c - cue sheets, which describe a disc in text, and the files that store it
 *
 * From CDRWIN (its user's guide, 1998, is the specification) and written by nearly every program
 * since.  Keywords in any case, one command a line; times are minutes:seconds:frames.
 *
 *	CATALOG 1234567890123			media catalogue number
 *	CDTEXTFILE "disc.cdt"			CD-TEXT, as packs of 18 bytes
 *	TITLE, PERFORMER, SONGWRITER "..."	of the disc, or of the track before
 *	FILE "disc.bin" BINARY			what follows is in it; MOTOROLA, WAVE, AIFF, FLAC, MP3
 *	TRACK 01 MODE1/2352			and AUDIO, CDG, MODE1/2048, MODE2/2048, /2324, /2336,
 *						/2352, CDI/2336, CDI/2352
 *	FLAGS DCP 4CH PRE SCMS
 *	ISRC ABCDE1234567
 *	PREGAP 00:02:00				silence that is in no file
 *	INDEX 00 03:14:15			where an index is in the file; 01 is where the track begins
 *	POSTGAP 00:02:00
 *	REM SESSION 02				what follows is in another session
 *	REM GENRE "..."				of the disc
 *
 * Times in a file count its sectors, each of which has the size of its track.
 */
#include <ctype.h>
#include <strings.h>

#include "reader.h"

/* Indexes of 99 tracks; no sheet has more commands that count. */
#define MAX_INDEXES (PL_DISC_MAX_TRACKS * 100)

/* One INDEX: from here on in a file, sectors of a track. */
struct position {
	size_t track;
	unsigned index;
	int64_t frame; /* in the file */
};

struct cue_file {
	struct pl_disk *disk; /* a reference */
	bool big_endian;
	size_t first, nr; /* its positions */
};

struct cue_track {
	struct platter_track track;
	uint32_t main_bytes;
	enum pl_subchannel sub;
	int64_t pregap, postgap; /* in no file */
	unsigned last_index;     /* the highest so far; none: UINT_MAX */
	int64_t indexes[PL_DISC_MAX_INDEXES];
};

struct cue {
	const struct pl_open_request *request;
	struct pl_disc *disc;
	struct cue_file files[PL_DISC_MAX_TRACKS + 1];
	size_t nr_files;
	struct cue_track *tracks;
	size_t nr_tracks;
	struct position *positions;
	size_t nr_positions;
	uint32_t session;
	unsigned line;

	int64_t lba;     /* where the next sector goes */
	uint8_t *cdtext; /* packs of the file that the sheet names, or NULL */
	size_t cdtext_bytes;
};

static const struct {
	const char *name;
	enum platter_track_mode mode;
	uint32_t main_bytes;
	enum pl_subchannel sub;
} modes[] = {
	{ "AUDIO", PLATTER_TRACK_AUDIO, 2352, PL_SUB_NONE },
	{ "CDG", PLATTER_TRACK_AUDIO, 2352, PL_SUB_RAW96 },
	{ "MODE1/2048", PLATTER_TRACK_MODE1, 2048, PL_SUB_NONE },
	{ "MODE1/2352", PLATTER_TRACK_MODE1, 2352, PL_SUB_NONE },
	{ "MODE1/2448", PLATTER_TRACK_MODE1, 2352, PL_SUB_RAW96 },
	{ "MODE2/2048", PLATTER_TRACK_MODE2, 2048, PL_SUB_NONE },
	{ "MODE2/2324", PLATTER_TRACK_MODE2, 2324, PL_SUB_NONE },
	{ "MODE2/2336", PLATTER_TRACK_MODE2, 2336, PL_SUB_NONE },
	{ "MODE2/2352", PLATTER_TRACK_MODE2, 2352, PL_SUB_NONE },
	{ "MODE2/2448", PLATTER_TRACK_MODE2, 2352, PL_SUB_RAW96 },
	{ "CDI/2336", PLATTER_TRACK_MODE2, 2336, PL_SUB_NONE },
	{ "CDI/2352", PLATTER_TRACK_MODE2, 2352, PL_SUB_NONE },
};

/* What a file is stored as, by the type that the sheet gives. */
static const struct {
	const char *name, *format;
	bool big_endian;
} file_types[] = {
	{ "BINARY", "raw", false }, { "MOTOROLA", "raw", true }, { "WAVE", "wav", false },
	{ "FLAC", "flac", false },  { "AIFF", "aiff", false },
};

static int
wrong_line(const struct cue *c, struct platter_error *err, const char *what, const char *have)
{
	PL_AUTOFREE char *clean = pl_text_from_bytes(have ? have : "", have ? strlen(have) : 0);

	return pl_corrupt(err, PLATTER_NO_OFFSET, "line %u of the cue sheet: %s '%.60s'", c->line,
			  what, clean ? clean : "");
}

static struct cue_track *
last_track(struct cue *c)
{
	return c->nr_tracks ? &c->tracks[c->nr_tracks - 1] : NULL;
}

static const char *
keep(struct cue *c, const char *text)
{
	return pl_disc_text(c->disc, text, strlen(text));
}

/* ---- commands ---- */

static int
do_file(struct cue *c, char *rest, struct platter_error *err)
{
	char *name = pl_sheet_word(&rest, false), *type = pl_sheet_word(&rest, false);
	struct cue_file *f = &c->files[c->nr_files];
	size_t i = 0;
	int r;

	if (!name)
		return wrong_line(c, err, "no name of a file", name);
	while (i < ARRAY_SIZE(file_types) && type && strcasecmp(file_types[i].name, type) != 0)
		i++;
	if (!type)
		i = 0;
	if (i == ARRAY_SIZE(file_types)) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "the cue sheet's file '%s' is of type '%s', and BINARY,"
				   " MOTOROLA, WAVE, AIFF and FLAC are read",
				   keep(c, name), keep(c, type));
		pl_hint(err, "make a WAVE file of it with a sound program, and name that");
		return r;
	}
	if (c->nr_files == ARRAY_SIZE(c->files))
		return wrong_line(c, err, "too many files, with", name);
	r = pl_sheet_open_file(c->request, name, file_types[i].format, &f->disk, err);
	if (r < 0)
		return r;
	f->big_endian = file_types[i].big_endian;
	f->first = c->nr_positions;
	f->nr = 0;
	c->nr_files++;
	return 0;
}

static int
do_track(struct cue *c, char *rest, struct platter_error *err)
{
	const char *number = pl_sheet_word(&rest, false), *mode = pl_sheet_word(&rest, false);
	struct cue_track *t;
	size_t i = 0;

	if (!number || !mode || strspn(number, "0123456789") != strlen(number) ||
	    strlen(number) > 2)
		return wrong_line(c, err, "not a track:", number);
	while (i < ARRAY_SIZE(modes) && strcasecmp(modes[i].name, mode) != 0)
		i++;
	if (i == ARRAY_SIZE(modes))
		return wrong_line(c, err, "unknown mode", mode);
	if (c->nr_tracks == PL_DISC_MAX_TRACKS)
		return wrong_line(c, err, "too many tracks, with", number);
	if (!c->nr_files)
		return wrong_line(c, err, "no FILE comes before track", number);
	t = &c->tracks[c->nr_tracks++];
	*t = (struct cue_track){
		.track = { .number = (uint32_t)strtoul(number, NULL, 10),
			   .session = c->session,
			   .mode = modes[i].mode },
		.main_bytes = modes[i].main_bytes,
		.sub = modes[i].sub,
		.last_index = UINT32_MAX,
	};
	return 0;
}

static int
do_index(struct cue *c, char *rest, struct platter_error *err)
{
	const char *number = pl_sheet_word(&rest, false), *time = pl_sheet_word(&rest, false), *end;
	struct cue_track *t = last_track(c);
	struct cue_file *f = c->nr_files ? &c->files[c->nr_files - 1] : NULL;
	const struct position *before = f && f->nr ? &c->positions[c->nr_positions - 1] : NULL;
	int64_t frame = time ? pl_msf_parse(time, &end) : -1;
	unsigned index;

	if (!t)
		return wrong_line(c, err, "no track comes before index", number);
	if (frame < 0 || *end)
		return wrong_line(c, err, "not a time:", time);
	if (strspn(number, "0123456789") != strlen(number) || strlen(number) > 2)
		return wrong_line(c, err, "not the number of an index:", number);
	index = (unsigned)strtoul(number, NULL, 10);
	if (t->last_index != UINT32_MAX ? index != t->last_index + 1 : index > 1)
		return wrong_line(c, err, "out of order is index", number);
	if (before && frame < before->frame)
		return wrong_line(c, err, "earlier than the index before is", time);
	if (c->nr_positions == MAX_INDEXES)
		return wrong_line(c, err, "too many indexes, with", time);
	t->last_index = index;
	c->positions[c->nr_positions++] =
		(struct position){ .track = c->nr_tracks - 1, .index = index, .frame = frame };
	f->nr++;
	return 0;
}

static int
do_gap(struct cue *c, char *rest, bool after, struct platter_error *err)
{
	const char *time = pl_sheet_word(&rest, false), *end;
	struct cue_track *t = last_track(c);
	int64_t n = time ? pl_msf_parse(time, &end) : -1;

	if (!t)
		return wrong_line(c, err, "no track comes before the gap of", time);
	if (n < 0 || *end)
		return wrong_line(c, err, "not a time:", time);
	*(after ? &t->postgap : &t->pregap) = n;
	return 0;
}

static int
do_flags(struct cue *c, char *rest)
{
	static const struct {
		const char *name;
		unsigned flag;
	} flags[] = { { "DCP", PLATTER_TRACK_COPY },
		      { "4CH", PLATTER_TRACK_FOUR_CHANNELS },
		      { "PRE", PLATTER_TRACK_PREEMPHASIS },
		      { "SCMS", PLATTER_TRACK_SCMS } };
	struct cue_track *t = last_track(c);
	const char *word;

	while (t && (word = pl_sheet_word(&rest, false)))
		for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
			if (strcasecmp(word, flags[i].name) == 0)
				t->track.flags |= flags[i].flag;
	return 0;
}

static void
do_text(struct cue *c, const char *which, char *rest)
{
	struct platter_disc_text *text =
		c->nr_tracks ? &last_track(c)->track.text : &c->disc->info.text;
	const char *word = pl_sheet_word(&rest, false);

	if (!word)
		return;
	if (strcasecmp(which, "TITLE") == 0)
		text->title = keep(c, word);
	else if (strcasecmp(which, "PERFORMER") == 0)
		text->performer = keep(c, word);
	else
		text->songwriter = keep(c, word);
}

static void
do_isrc(struct cue *c, char *rest)
{
	const char *word = pl_sheet_word(&rest, false);

	if (word && c->nr_tracks && pl_is_isrc(word))
		last_track(c)->track.isrc = keep(c, word);
}

static void
do_catalog(struct cue *c, char *rest)
{
	const char *word = pl_sheet_word(&rest, false);

	if (word && pl_is_mcn(word))
		c->disc->info.mcn = keep(c, word);
}

/* Texts beside the sheet are worth having, and the disc can be read without them. */
static void
do_cdtextfile(struct cue *c, char *rest)
{
	const char *name = pl_sheet_word(&rest, false);
	PL_AUTOUNREF struct pl_disk *file = NULL;
	size_t n;

	if (!name || c->cdtext || pl_sheet_open_file(c->request, name, "raw", &file, NULL) < 0)
		return;
	n = (size_t)PL_MIN(file->size, (uint64_t)KIB(256));
	if (pl_read_alloc(file, n, 0, &c->cdtext, NULL) == 0)
		c->cdtext_bytes = n;
}

static int
do_remark(struct cue *c, char *rest, struct platter_error *err)
{
	const char *word = pl_sheet_word(&rest, false);
	const char *value = word ? pl_sheet_word(&rest, false) : NULL;

	if (!word || !value)
		return 0;
	if (strcasecmp(word, "SESSION") == 0) {
		unsigned long n = strtoul(value, NULL, 10);

		if (n < c->session || n > PL_DISC_MAX_SESSIONS)
			return wrong_line(c, err, "out of order is session", value);
		c->session = (uint32_t)n;
	} else if (strcasecmp(word, "GENRE") == 0 && !c->nr_tracks) {
		c->disc->info.text.genre = keep(c, value);
	} else if (strcasecmp(word, "ORIGINAL") == 0 && strcasecmp(value, "MEDIA-TYPE:") == 0) {
		value = pl_sheet_word(&rest, false);
		if (value && strncasecmp(value, "DVD", 3) == 0)
			c->disc->info.medium = "DVD";
		else if (value && strncasecmp(value, "BD", 2) == 0)
			c->disc->info.medium = "BD";
	}
	return 0;
}

static int
do_line(struct cue *c, char *line, struct platter_error *err)
{
	const char *word = pl_sheet_word(&line, false);

	if (!word || *word == ';')
		return 0;
	if (strcasecmp(word, "FILE") == 0)
		return do_file(c, line, err);
	if (strcasecmp(word, "TRACK") == 0)
		return do_track(c, line, err);
	if (strcasecmp(word, "INDEX") == 0)
		return do_index(c, line, err);
	if (strcasecmp(word, "PREGAP") == 0 || strcasecmp(word, "POSTGAP") == 0)
		return do_gap(c, line, toupper((unsigned char)word[1]) == 'O', err);
	if (strcasecmp(word, "REM") == 0)
		return do_remark(c, line, err);
	if (strcasecmp(word, "FLAGS") == 0)
		return do_flags(c, line);
	if (strcasecmp(word, "ISRC") == 0)
		do_isrc(c, line);
	else if (strcasecmp(word, "CATALOG") == 0)
		do_catalog(c, line);
	else if (strcasecmp(word, "CDTEXTFILE") == 0)
		do_cdtextfile(c, line);
	else if (strcasecmp(word, "TITLE") == 0 || strcasecmp(word, "PERFORMER") == 0 ||
		 strcasecmp(word, "SONGWRITER") == 0)
		do_text(c, word, line);
	return 0;
}

static int
do_lines(struct cue *c, char *text, struct platter_error *err)
{
	int r = 0;

	/* A byte order mark. */
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	for (char *line = text, *next; line && r == 0; line = next) {
		size_t n = strcspn(line, "\r\n");

		char ending = line[n];

		next = ending ? line + n + 1 : NULL;
		line[n] = '\0';
		r = do_line(c, line, err);
		c->line += ending == '\n';
	}
	return r;
}

/* ---- where everything lies ---- */

/* Sectors from a position to the next in the file, or to its end. */
static uint64_t
count_sectors(const struct cue *c, const struct cue_file *f, size_t i, uint64_t offset,
	      uint32_t stride)
{
	const struct position *p = &c->positions[f->first + i];

	if (i + 1 < f->nr)
		return (uint64_t)(p[1].frame - p->frame);
	/* Of a file that was cut short nothing may be left: describe tells what is missing. */
	return offset < f->disk->size ? (f->disk->size - offset) / stride : 0;
}

static int
add_run(struct cue *c, const struct cue_file *f, const struct position *p, uint64_t offset,
	uint64_t nr, struct platter_error *err)
{
	const struct cue_track *t = &c->tracks[p->track];
	struct pl_disc_run run = { .lba = c->lba,
				   .nr = nr,
				   .track = p->track,
				   .file = f ? f->disk : NULL,
				   .offset = offset,
				   .main_bytes = t->main_bytes,
				   .sub = t->sub,
				   .big_endian = f && f->big_endian };

	c->lba += (int64_t)nr;
	return nr ? pl_disc_add_run(c->disc, &run, err) : 0;
}

/* The first position of a track: what lies between it and the track before. */
static int
begin_track(struct cue *c, const struct position *p, struct platter_error *err)
{
	struct cue_track *t = &c->tracks[p->track];
	struct cue_track *before = p->track ? t - 1 : NULL;
	struct position gap = { .track = p->track ? p->track - 1 : 0 };
	int r = 0;

	if (before && before->postgap)
		r = add_run(c, NULL, &gap, 0, (uint64_t)before->postgap, err);
	if (r == 0 && before && t->track.session != before->track.session) {
		int64_t pregap =
			p->index == 0 && p[1].track == p->track ? p[1].frame - p->frame : 0;

		c->lba += before->track.session == 1 ? PL_DISC_FIRST_GAP : PL_DISC_OTHER_GAP;
		/* A pregap that is stored is part of what lies between. */
		c->lba -= PL_MAX(PL_MIN(pregap, PL_DISC_PREGAP), 0) + t->pregap;
	}
	if (r == 0 && t->pregap)
		r = add_run(c, NULL, p, 0, (uint64_t)t->pregap, err);
	return r;
}

static void
note_index(struct cue *c, const struct position *p)
{
	struct cue_track *t = &c->tracks[p->track];

	if (p->index == 1)
		t->track.start = c->lba;
	else if (p->index > 1)
		t->indexes[t->track.nr_indexes++] = c->lba;
}

static int
lay_out_file(struct cue *c, const struct cue_file *f, struct platter_error *err)
{
	uint64_t offset = 0, nr;
	int r = 0;

	for (size_t i = 0; i < f->nr && r == 0; i++) {
		const struct position *p = &c->positions[f->first + i];
		const struct cue_track *t = &c->tracks[p->track];
		uint32_t stride = t->main_bytes + (t->sub == PL_SUB_NONE ? 0 : 96);
		bool is_first = f->first + i == 0 || p[-1].track != p->track;

		/* What comes before the first index of a file belongs to its track's pregap. */
		if (is_first)
			r = begin_track(c, p, err);
		if (i == 0 && p->frame > 0 && r == 0) {
			r = add_run(c, f, p, 0, (uint64_t)p->frame, err);
			offset = (uint64_t)p->frame * stride;
		}
		if (r < 0)
			return r;
		nr = count_sectors(c, f, i, offset, stride);
		note_index(c, p);
		r = add_run(c, f, p, offset, nr, err);
		offset += nr * stride;
	}
	return r;
}

static int
add_tracks(struct cue *c, struct platter_error *err)
{
	for (size_t i = 0; i < c->nr_tracks; i++) {
		struct cue_track *t = &c->tracks[i];
		int r;

		if (t->last_index == UINT32_MAX || t->last_index == 0)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "track %" PRIu32 " of the cue sheet has no index 01",
					  t->track.number);
		r = pl_disc_add_track(c->disc, &t->track, NULL, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
lay_out(struct cue *c, struct platter_error *err)
{
	int r = add_tracks(c, err);

	if (r == 0 && c->cdtext)
		pl_disc_take_cdtext(c->disc, c->cdtext, c->cdtext_bytes);
	for (size_t i = 0; i < c->nr_files && r == 0; i++)
		r = lay_out_file(c, &c->files[i], err);
	if (r == 0 && c->nr_tracks && last_track(c)->postgap) {
		struct position last = { .track = c->nr_tracks - 1 };

		r = add_run(c, NULL, &last, 0, (uint64_t)last_track(c)->postgap, err);
	}
	for (size_t i = 0; i < c->nr_tracks && r == 0; i++) {
		const struct platter_track *t = &c->tracks[i].track;

		c->disc->tracks[i].start = t->start;
		r = pl_disc_set_indexes(c->disc, i, c->tracks[i].indexes, t->nr_indexes, err);
	}
	return r;
}

static int
read_sheet(struct cue *c, struct platter_error *err)
{
	PL_AUTOFREE char *text = NULL;
	int r = pl_sheet_read(c->request->file, &text, err);

	if (r < 0)
		return r;
	c->tracks = calloc(PL_DISC_MAX_TRACKS, sizeof *c->tracks);
	c->positions = calloc(MAX_INDEXES + 1, sizeof *c->positions);
	if (!c->tracks || !c->positions)
		return pl_no_memory(err);
	r = do_lines(c, text, err);
	return r < 0 ? r : lay_out(c, err);
}

static int
cue_read(const struct pl_open_request *request, struct pl_disc *disc, struct platter_error *err)
{
	struct cue c = { .request = request, .session = 1, .line = 1, .disc = disc };
	int r = read_sheet(&c, err);

	for (size_t i = 0; i < c.nr_files; i++)
		pl_disk_unref(c.files[i].disk);
	free(c.tracks);
	free(c.positions);
	free(c.cdtext);
	return r;
}

static const struct pl_disk_ops cue_ops = PL_DISC_OPS("cue");

static int
cue_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	return pl_reader_open(request, &cue_ops, cue_read, ret, err);
}

/* Does a line of the head begin with these words? */
static bool
has_line(const uint8_t *head, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++) {
		size_t k = i;

		if (i && head[i - 1] != '\n' && head[i - 1] != '\r')
			continue;
		while (k < n && (head[k] == ' ' || head[k] == '\t'))
			k++;
		if (k + strlen(word) < n &&
		    !strncasecmp((const char *)head + k, word, strlen(word)))
			return true;
	}
	return false;
}

static int
cue_probe(const struct pl_probe *probe)
{
	size_t n = (size_t)PL_MIN(probe->size, (uint64_t)PL_PROBE_HEAD);

	if (!n || probe->size > PL_SHEET_MAX || memchr(probe->head, 0, n))
		return 0;
	if (has_line(probe->head, n, "FILE \"") || has_line(probe->head, n, "FILE "))
		return has_line(probe->head, n, "TRACK 0") || has_line(probe->head, n, "TRACK 1") ||
				       strcasecmp(probe->extension, "cue") == 0
			       ? 64
			       : 0;
	return strcasecmp(probe->extension, "cue") == 0 ? 40 : 0;
}

/* ---- writing ---- */

static const char *
mode_name(const struct platter_track *t)
{
	return t->mode == PLATTER_TRACK_AUDIO   ? "AUDIO"
	       : t->mode == PLATTER_TRACK_MODE1 ? "MODE1/2352"
						: "MODE2/2352";
}

/* Quotes cannot be in a text of a cue sheet. */
static void
add_text(struct pl_str *s, const char *indent, const char *key, const char *text)
{
	if (!text[0])
		return;
	pl_str_addf(s, "%s%s \"", indent, key);
	for (; *text; text++)
		pl_str_add_bytes(s, *text == '"' ? "'" : text, 1);
	pl_str_add(s, "\"\r\n");
}

static void
add_index(struct pl_str *s, const struct pl_disc *disc, unsigned index, int64_t lba)
{
	char msf[PL_MSF_TEXT];

	pl_str_addf(s, "    INDEX %02u %s\r\n", index,
		    pl_msf_text(pl_disc_position(disc, lba), msf));
}

static void
add_track(struct pl_str *s, const struct pl_disc *disc, const struct platter_track *t)
{
	int64_t first = pl_sheet_track_start(disc, t);

	pl_str_addf(s, "  TRACK %02" PRIu32 " %s\r\n", t->number, mode_name(t));
	add_text(s, "    ", "TITLE", t->text.title);
	add_text(s, "    ", "PERFORMER", t->text.performer);
	add_text(s, "    ", "SONGWRITER", t->text.songwriter);
	if (t->flags)
		pl_str_addf(s, "    FLAGS%s%s%s%s\r\n", t->flags & PLATTER_TRACK_COPY ? " DCP" : "",
			    t->flags & PLATTER_TRACK_FOUR_CHANNELS ? " 4CH" : "",
			    t->flags & PLATTER_TRACK_PREEMPHASIS ? " PRE" : "",
			    t->flags & PLATTER_TRACK_SCMS ? " SCMS" : "");
	if (t->isrc[0])
		pl_str_addf(s, "    ISRC %s\r\n", t->isrc);
	/* Of the first track's pregap only what is at LBA 0 and behind it is in the image. */
	if (first < t->start)
		add_index(s, disc, 0, first);
	add_index(s, disc, 1, t->start);
	for (size_t i = 0; i < t->nr_indexes; i++)
		add_index(s, disc, 2 + (unsigned)i, t->indexes[i]);
}

static int
finish_cue(struct pl_sheet_writer *w, struct platter_error *err)
{
	const struct platter_disc *d = &w->disc->info;
	struct pl_str s = { 0 };
	int r;

	if (d->mcn[0])
		pl_str_addf(&s, "CATALOG %s\r\n", d->mcn);
	add_text(&s, "", "TITLE", d->text.title);
	add_text(&s, "", "PERFORMER", d->text.performer);
	add_text(&s, "", "SONGWRITER", d->text.songwriter);
	add_text(&s, "", "REM GENRE", d->text.genre);
	pl_str_addf(&s, "FILE \"%s\" BINARY\r\n", w->data_name);
	for (size_t i = 0; i < d->nr_tracks; i++) {
		if (d->nr_sessions > 1 && (!i || d->tracks[i].session != d->tracks[i - 1].session))
			pl_str_addf(&s, "REM SESSION %02" PRIu32 "\r\n", d->tracks[i].session);
		add_track(&s, w->disc, &d->tracks[i]);
	}
	r = pl_sheet_write(w, &s, err);
	pl_str_done(&s);
	return r;
}

static int
cue_create(const struct pl_create_request *request, struct pl_writer **ret,
	   struct platter_error *err)
{
	PL_AUTOFREE char *data = pl_sheet_named_like(request->file, "bin");
	int r = data ? pl_sheet_needs_cd(request, "cue", err) : pl_no_memory(err);

	if (r < 0)
		return r;
	if (strpbrk(data, "\"\r\n")) {
		r = pl_invalid(err,
			       "a cue sheet cannot name the file of its sectors '%s': there are no"
			       " quotes and line ends in its names",
			       data);
		pl_hint(err, "give the sheet another name, or write a .ccd, .mds, .nrg or .toc");
		return r;
	}
	return pl_sheet_writer_new(request, "bin", finish_cue, ret, err);
}

static const char *const extensions[] = { "cue", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_cue = {
	.info = {
		.name = "cue",
		.longname = "disc described by a cue sheet",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CREATE | PLATTER_CAN_CHECK,
		.holds = PLATTER_HOLDS_DISC,
		.options = options,
	},
	.probe = cue_probe,
	.open = cue_open,
	.create = cue_create,
	.check = pl_disc_check,
	.many_disks = true,
	.takes = PL_TAKES_DISC,
	.disk_ops = &cue_ops,
};
