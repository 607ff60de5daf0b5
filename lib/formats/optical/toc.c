/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * toc.c - the TOC files of cdrdao, and the files that store what they describe
 *
 * Specified by cdrdao's manual page.  Text, in which line ends mean nothing:
 *
 *	CD_DA | CD_ROM | CD_ROM_XA | CD_I
 *	CATALOG "1234567890123"
 *	CD_TEXT { LANGUAGE_MAP { 0 : EN } LANGUAGE 0 { TITLE "..." PERFORMER "..." ... } }
 *	TRACK AUDIO | MODE0 | MODE1 | MODE1_RAW | MODE2 | MODE2_RAW | MODE2_FORM1 | MODE2_FORM2 |
 *	      MODE2_FORM_MIX  [RW | RW_RAW]
 *	[NO] COPY, [NO] PRE_EMPHASIS, TWO_CHANNEL_AUDIO, FOUR_CHANNEL_AUDIO, ISRC "..."
 *	FILE "f" [SWAP] [#OFFSET] START [LENGTH]	also AUDIOFILE; LENGTH 0: all that is left
 *	DATAFILE "f" [#OFFSET] [LENGTH]
 *	SILENCE LENGTH, ZERO [MODE [RW]] LENGTH
 *	PREGAP LENGTH, START [TIME], INDEX TIME
 *
 * Times are minutes:seconds:frames, or plain numbers: samples of sound in FILE and SILENCE, bytes in
 * DATAFILE and ZERO.  Samples are big-endian unless swapped.
 */
#include <ctype.h>
#include <strings.h>

#include "reader.h"

#define SAMPLES      588 /* in a sector */
#define SAMPLE_BYTES 4

/* Statements of a track that store or make sectors. */
#define MAX_PARTS 10000

struct part {
	struct pl_disk *file; /* a reference; NULL: silence or zeros */
	uint64_t offset, nr;
	bool big_endian;
};

struct toc_track {
	struct platter_track track;
	uint32_t main_bytes;
	enum pl_subchannel sub;
	bool has_rw; /* packs of R to W behind each sector, 96 bytes, and no subchannel */
	size_t first_part, nr_parts;
	uint64_t length;
	int64_t start; /* of index 1, in sectors from the track's begin; -1: not told */
	int64_t indexes[PL_DISC_MAX_INDEXES];
	size_t nr_indexes;
};

struct toc {
	const struct pl_open_request *request;
	struct pl_disc *disc;
	char *at;      /* what is left of the text */
	char *line_of; /* the text as it was, to count lines */
	struct toc_track *tracks;
	size_t nr_tracks;
	struct part *parts;
	size_t nr_parts, parts_capacity;
};

static const struct {
	const char *name;
	enum platter_track_mode mode;
	uint32_t main_bytes;
} modes[] = {
	{ "AUDIO", PLATTER_TRACK_AUDIO, 2352 },
	{ "MODE0", PLATTER_TRACK_MODE0, 2336 },
	{ "MODE1", PLATTER_TRACK_MODE1, 2048 },
	{ "MODE1_RAW", PLATTER_TRACK_MODE1, 2352 },
	{ "MODE2", PLATTER_TRACK_MODE2, 2336 },
	{ "MODE2_RAW", PLATTER_TRACK_MODE2, 2352 },
	{ "MODE2_FORM1", PLATTER_TRACK_MODE2, 2048 },
	{ "MODE2_FORM2", PLATTER_TRACK_MODE2, 2324 },
	{ "MODE2_FORM_MIX", PLATTER_TRACK_MODE2, 2336 },
};

/* A word, a text between quotes, or a bracket. */
struct token {
	char *text; /* NULL: the end */
	bool quoted;
};

static void
skip_blanks(struct toc *t)
{
	for (;;) {
		t->at += strspn(t->at, " \t\r\n,");
		if (t->at[0] != '/' || t->at[1] != '/')
			return;
		t->at += strcspn(t->at, "\n");
	}
}

/* The next token, which stays the next. */
static struct token
peek(struct toc *t, char word[static 32])
{
	struct token token = { 0 };
	size_t n;

	skip_blanks(t);
	if (!*t->at)
		return token;
	token.quoted = *t->at == '"';
	token.text = word;
	n = *t->at == '{' || *t->at == '}' ? 1 : strcspn(t->at, " \t\r\n{}\"");
	n = token.quoted ? 0 : PL_MIN(n, (size_t)31);
	memcpy(word, t->at, n);
	word[n] = '\0';
	return token;
}

static void
skip(struct toc *t)
{
	char word[32];
	struct token token = peek(t, word);

	if (token.text)
		t->at += *t->at == '{' || *t->at == '}' ? 1 : strcspn(t->at + 1, " \t\r\n{}\"") + 1;
}

/* Take the next token if it is this word. */
static bool
take(struct toc *t, const char *wanted)
{
	char word[32];
	struct token token = peek(t, word);

	if (!token.text || token.quoted || strcasecmp(word, wanted) != 0)
		return false;
	skip(t);
	return true;
}

static int
wrong(struct toc *t, struct platter_error *err, const char *what)
{
	unsigned line = 1;
	PL_AUTOFREE char *clean = NULL;

	for (const char *c = t->line_of; c < t->at; c++)
		line += *c == '\n';
	clean = pl_text_from_bytes(t->at, strcspn(t->at, "\r\n"));
	return pl_corrupt(err, PLATTER_NO_OFFSET, "line %u of the TOC: %s, at '%.60s'", line, what,
			  clean ? clean : "");
}

/* The next text between quotes, malloc()ed. */
static int
take_text(struct toc *t, char **ret, struct platter_error *err)
{
	struct pl_str s = { 0 };
	const char *c;

	skip_blanks(t);
	if (*t->at != '"')
		return wrong(t, err, "a text between quotes is expected");
	pl_str_add(&s, "");
	for (c = t->at + 1; *c && *c != '"'; c++) {
		bool octal = c[0] == '\\' && c[1] >= '0' && c[1] <= '3' && isdigit((uint8_t)c[2]) &&
			     isdigit((uint8_t)c[3]);
		char byte = *c;

		if (octal) {
			byte = (char)((c[1] - '0') * 64 + (c[2] - '0') * 8 + (c[3] - '0'));
			c += 3;
		} else if (*c == '\\' && c[1]) {
			byte = *++c;
		}
		pl_str_add_bytes(&s, &byte, 1);
	}
	if (!*c || s.failed) {
		pl_str_done(&s);
		return *c ? pl_no_memory(err) : wrong(t, err, "a text has no end");
	}
	t->at += c + 1 - t->at;
	*ret = s.text;
	return 0;
}

static uint32_t
stride_of(const struct toc_track *track)
{
	return track->main_bytes + (track->sub == PL_SUB_NONE && !track->has_rw ? 0 : 96);
}

/*
 * A time, as bytes of a file that stores the last track.  Plain numbers count bytes, or samples if
 * it is `samples` that are expected.  False: the next token is none.
 */
static bool
take_length(struct toc *t, bool samples, uint64_t *ret)
{
	uint32_t stride = stride_of(&t->tracks[t->nr_tracks - 1]);
	char word[32];
	struct token token = peek(t, word);
	const char *end;
	int64_t sectors;

	if (!token.text || token.quoted || !isdigit((unsigned char)word[0]))
		return false;
	sectors = pl_msf_parse(word, &end);
	if (sectors >= 0 && !*end) {
		*ret = (uint64_t)sectors * stride;
	} else if (strspn(word, "0123456789") == strlen(word) && strlen(word) < 15) {
		*ret = strtoull(word, NULL, 10);
		if (samples)
			*ret = *ret / SAMPLES * stride + *ret % SAMPLES * SAMPLE_BYTES;
	} else {
		return false;
	}
	skip(t);
	return true;
}

/* The same in sectors, of which the last may be told to be cut short. */
static bool
take_sectors(struct toc *t, bool samples, uint64_t *ret)
{
	uint64_t bytes;

	if (!take_length(t, samples, &bytes))
		return false;
	*ret = pl_div_round_up(bytes, stride_of(&t->tracks[t->nr_tracks - 1]));
	return true;
}

static bool
take_offset(struct toc *t, uint64_t *ret)
{
	char word[32];
	struct token token = peek(t, word);

	if (!token.text || word[0] != '#' || strlen(word) > 19 ||
	    strspn(word + 1, "0123456789") != strlen(word) - 1)
		return false;
	*ret = strtoull(word + 1, NULL, 10);
	skip(t);
	return true;
}

static int
add_part(struct toc *t, struct pl_disk *file, uint64_t offset, uint64_t nr, bool big_endian,
	 struct platter_error *err)
{
	struct toc_track *track = &t->tracks[t->nr_tracks - 1];

	if (nr > PL_DISC_MAX_SECTORS || track->length > PL_DISC_MAX_SECTORS)
		return wrong(t, err, "the track is too long");
	if (t->nr_parts == MAX_PARTS)
		return wrong(t, err, "too many pieces of tracks");
	if (t->nr_parts == t->parts_capacity) {
		size_t capacity = t->parts_capacity ? 2 * t->parts_capacity : 64;
		struct part *parts = realloc(t->parts, capacity * sizeof *parts);

		if (!parts)
			return pl_no_memory(err);
		t->parts = parts;
		t->parts_capacity = capacity;
	}
	t->parts[t->nr_parts++] = (struct part){ .file = file ? pl_disk_ref(file) : NULL,
						 .offset = offset,
						 .nr = nr,
						 .big_endian = big_endian };
	track->nr_parts++;
	track->length += nr;
	return 0;
}

static bool
is_wave(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && strcasecmp(dot, ".wav") == 0;
}

/* FILE and DATAFILE, whose keyword was taken. */
static int
do_file(struct toc *t, bool is_data, struct platter_error *err)
{
	const struct toc_track *track = &t->tracks[t->nr_tracks - 1];
	bool is_audio = track->track.mode == PLATTER_TRACK_AUDIO, swap, wave;
	bool samples = is_audio && !is_data;
	uint64_t offset = 0, skipped = 0, nr = 0, all;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOFREE char *name = NULL;
	int r = take_text(t, &name, err);

	if (r < 0)
		return r;
	swap = take(t, "SWAP");
	take_offset(t, &offset);
	if (!is_data && !take_length(t, samples, &skipped))
		return wrong(t, err, "a time is expected");
	if (!take_sectors(t, samples, &nr))
		nr = 0;
	wave = is_audio && is_wave(name);
	r = pl_sheet_open_file(t->request, name, wave ? "wav" : "raw", &file, err);
	if (r < 0)
		return r;
	if (offset > file->size || file->size - offset < skipped)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "track %" PRIu32 " begins at byte %" PRIu64
				  " of '%s', which has %" PRIu64,
				  track->track.number, offset + skipped, file->name, file->size);
	all = (file->size - offset - skipped) / stride_of(track);
	return add_part(t, file, offset + skipped, nr ? nr : all, samples && !wave && !swap, err);
}

static int
do_gap(struct toc *t, bool samples, struct platter_error *err)
{
	char word[32];
	uint64_t nr;

	/* ZERO may name a mode and a subchannel, which are the track's anyhow. */
	while (peek(t, word).text && !isdigit((unsigned char)word[0]) &&
	       isupper((unsigned char)word[0]))
		skip(t);
	if (!take_sectors(t, samples, &nr))
		return wrong(t, err, "a time is expected");
	return add_part(t, NULL, 0, nr, false, err);
}

static int
do_track(struct toc *t, struct platter_error *err)
{
	struct toc_track *track = &t->tracks[t->nr_tracks];
	char word[32];
	size_t i = 0;

	if (t->nr_tracks == PL_DISC_MAX_TRACKS)
		return wrong(t, err, "too many tracks");
	if (peek(t, word).text)
		while (i < ARRAY_SIZE(modes) && strcasecmp(modes[i].name, word) != 0)
			i++;
	else
		i = ARRAY_SIZE(modes);
	if (i == ARRAY_SIZE(modes))
		return wrong(t, err, "an unknown mode of a track");
	skip(t);
	*track = (struct toc_track){ .track = { .number = (uint32_t)t->nr_tracks + 1,
						.session = 1,
						.mode = modes[i].mode },
				     .main_bytes = modes[i].main_bytes,
				     .first_part = t->nr_parts,
				     .start = -1 };
	t->nr_tracks++;
	if (take(t, "RW_RAW"))
		track->sub = PL_SUB_RAW96;
	else
		track->has_rw = take(t, "RW");
	return 0;
}

/* The texts of one language, of which the first counts. */
static int
do_language(struct toc *t, bool keep, struct platter_error *err)
{
	struct platter_disc_text *text =
		t->nr_tracks ? &t->tracks[t->nr_tracks - 1].track.text : &t->disc->info.text;
	const struct {
		const char *name;
		const char **to;
	} fields[] = { { "TITLE", &text->title },           { "PERFORMER", &text->performer },
		       { "SONGWRITER", &text->songwriter }, { "COMPOSER", &text->composer },
		       { "ARRANGER", &text->arranger },     { "MESSAGE", &text->message } };
	int r = 0;

	while (r == 0 && !take(t, "}")) {
		PL_AUTOFREE char *value = NULL;
		char word[32];
		size_t i = 0;

		if (!peek(t, word).text)
			return wrong(t, err, "CD_TEXT has no end");
		while (i < ARRAY_SIZE(fields) && strcasecmp(fields[i].name, word) != 0)
			i++;
		if (*word == '{') {
			/* Bytes of a field that is not text. */
			while (*t->at && *t->at != '}')
				t->at++;
			skip(t);
			continue;
		}
		if (*t->at == '"')
			r = take_text(t, &value, err);
		else
			skip(t);
		if (i < ARRAY_SIZE(fields) && r == 0) {
			skip_blanks(t);
			if (*t->at == '"')
				r = take_text(t, &value, err);
			if (r == 0 && value && keep && !(*fields[i].to && **fields[i].to))
				*fields[i].to = pl_disc_text(t->disc, value, strlen(value));
		}
	}
	return r;
}

static int
do_cd_text(struct toc *t, struct platter_error *err)
{
	bool first = true;
	int r = 0;

	if (!take(t, "{"))
		return wrong(t, err, "'{' is expected");
	while (r == 0 && !take(t, "}")) {
		if (!*t->at)
			return wrong(t, err, "CD_TEXT has no end");
		if (take(t, "LANGUAGE")) {
			skip(t);
			if (!take(t, "{"))
				return wrong(t, err, "'{' is expected");
			r = do_language(t, first, err);
			first = false;
		} else if (*t->at == '{') {
			/* The map of languages. */
			while (*t->at && *t->at != '}')
				t->at++;
			skip(t);
		} else {
			skip(t);
		}
	}
	return r;
}

static int
do_code(struct toc *t, bool is_mcn, struct platter_error *err)
{
	PL_AUTOFREE char *text = NULL;
	int r = take_text(t, &text, err);

	if (r < 0)
		return r;
	if (is_mcn && pl_is_mcn(text))
		t->disc->info.mcn = pl_disc_text(t->disc, text, strlen(text));
	if (!is_mcn && t->nr_tracks && pl_is_isrc(text))
		t->tracks[t->nr_tracks - 1].track.isrc = pl_disc_text(t->disc, text, strlen(text));
	return 0;
}

static int
do_start(struct toc *t)
{
	struct toc_track *track = &t->tracks[t->nr_tracks - 1];
	uint64_t start;

	track->start = take_sectors(t, true, &start) ? (int64_t)start : (int64_t)track->length;
	return 0;
}

static int
do_index(struct toc *t, struct platter_error *err)
{
	struct toc_track *track = &t->tracks[t->nr_tracks - 1];
	uint64_t index;

	if (!take_sectors(t, true, &index))
		return wrong(t, err, "a time is expected");
	if (track->nr_indexes == PL_DISC_MAX_INDEXES)
		return wrong(t, err, "too many indexes");
	track->indexes[track->nr_indexes++] = (int64_t)index;
	return 0;
}

static int
do_pregap(struct toc *t, struct platter_error *err)
{
	int r = do_gap(t, true, err);

	if (r == 0)
		t->tracks[t->nr_tracks - 1].start = (int64_t)t->tracks[t->nr_tracks - 1].length;
	return r;
}

/* What may stand in a track only. */
static int
do_in_track(struct toc *t, struct platter_error *err)
{
	struct platter_track *track = &t->tracks[t->nr_tracks - 1].track;

	if (take(t, "FILE") || take(t, "AUDIOFILE"))
		return do_file(t, false, err);
	if (take(t, "DATAFILE"))
		return do_file(t, true, err);
	if (take(t, "SILENCE"))
		return do_gap(t, true, err);
	if (take(t, "ZERO"))
		return do_gap(t, false, err);
	if (take(t, "PREGAP"))
		return do_pregap(t, err);
	if (take(t, "START"))
		return do_start(t);
	if (take(t, "INDEX"))
		return do_index(t, err);
	if (take(t, "NO")) {
		skip(t);
		return 0;
	}
	if (take(t, "COPY"))
		track->flags |= PLATTER_TRACK_COPY;
	else if (take(t, "PRE_EMPHASIS"))
		track->flags |= PLATTER_TRACK_PREEMPHASIS;
	else if (take(t, "FOUR_CHANNEL_AUDIO"))
		track->flags |= PLATTER_TRACK_FOUR_CHANNELS;
	else if (!take(t, "TWO_CHANNEL_AUDIO"))
		return wrong(t, err, "an unknown statement");
	return 0;
}

static int
do_statement(struct toc *t, struct platter_error *err)
{
	if (take(t, "TRACK"))
		return do_track(t, err);
	if (take(t, "CATALOG"))
		return do_code(t, true, err);
	if (take(t, "ISRC"))
		return do_code(t, false, err);
	if (take(t, "CD_TEXT"))
		return do_cd_text(t, err);
	if (take(t, "CD_DA") || take(t, "CD_ROM") || take(t, "CD_ROM_XA") || take(t, "CD_I"))
		return 0;
	if (!t->nr_tracks)
		return wrong(t, err, "an unknown statement");
	return do_in_track(t, err);
}

static int
add_runs(struct toc *t, size_t index, int64_t lba, struct platter_error *err)
{
	const struct toc_track *track = &t->tracks[index];
	int r = 0;

	for (size_t i = 0; i < track->nr_parts && r == 0; i++) {
		const struct part *part = &t->parts[track->first_part + i];
		struct pl_disc_run run = { .lba = lba,
					   .nr = part->nr,
					   .track = index,
					   .file = part->file,
					   .offset = part->offset,
					   .main_bytes = track->main_bytes,
					   .stride = stride_of(track),
					   .sub = track->sub,
					   .big_endian = part->big_endian };

		if (part->nr)
			r = pl_disc_add_run(t->disc, &run, err);
		lba += (int64_t)part->nr;
	}
	return r;
}

static int
lay_out(struct toc *t, struct platter_error *err)
{
	int64_t lba = 0;
	int r = 0;

	for (size_t i = 0; i < t->nr_tracks && r == 0; i++) {
		struct toc_track *track = &t->tracks[i];
		int64_t start = PL_MAX(track->start, 0);

		if (start > (int64_t)track->length)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "track %" PRIu32 " starts at its sector %" PRId64
					  " and has %" PRIu64,
					  track->track.number, start, track->length);
		track->track.start = lba + start;
		track->track.pregap = (uint64_t)start;
		for (size_t k = 0; k < track->nr_indexes; k++)
			track->indexes[k] += track->track.start;
		r = pl_disc_add_track(t->disc, &track->track, NULL, err);
		if (r == 0)
			r = pl_disc_set_indexes(t->disc, i, track->indexes, track->nr_indexes, err);
		if (r == 0)
			r = add_runs(t, i, lba, err);
		lba += (int64_t)track->length;
	}
	return r;
}

static int
read_sheet(struct toc *t, struct platter_error *err)
{
	PL_AUTOFREE char *text = NULL;
	int r = pl_sheet_read(t->request->file, &text, err);

	if (r < 0)
		return r;
	t->tracks = calloc(PL_DISC_MAX_TRACKS, sizeof *t->tracks);
	if (!t->tracks)
		return pl_no_memory(err);
	t->at = t->line_of = text;
	for (skip_blanks(t); *t->at && r == 0; skip_blanks(t))
		r = do_statement(t, err);
	return r < 0 ? r : lay_out(t, err);
}

static int
toc_read(const struct pl_open_request *request, struct pl_disc *disc, struct platter_error *err)
{
	struct toc t = { .request = request, .disc = disc };
	int r = read_sheet(&t, err);

	for (size_t i = 0; i < t.nr_parts; i++)
		pl_disk_unref(t.parts[i].file);
	free(t.parts);
	free(t.tracks);
	return r;
}

static const struct pl_disk_ops toc_ops = PL_DISC_OPS("toc");

static int
toc_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	return pl_reader_open(request, &toc_ops, toc_read, ret, err);
}

static int
toc_probe(const struct pl_probe *probe)
{
	static const char *const types[] = { "CD_DA", "CD_ROM", "CD_ROM_XA", "CD_I" };
	size_t n = (size_t)PL_MIN(probe->size, (uint64_t)PL_PROBE_HEAD), at = 0;
	const char *head = (const char *)probe->head;

	if (!n || probe->size > PL_SHEET_MAX || memchr(head, 0, n))
		return 0;
	/* Comments before it. */
	for (; at < n && (isspace((unsigned char)head[at]) || head[at] == '/'); at++)
		if (head[at] == '/')
			while (at + 1 < n && head[at + 1] != '\n')
				at++;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		size_t length = strlen(types[i]);

		if (at + length < n && !strncmp(head + at, types[i], length) &&
		    isspace((unsigned char)head[at + length]))
			return 40 + (int)length;
	}
	return strcasecmp(probe->extension, "toc") == 0 && memmem(head, n, "TRACK ", 6) ? 40 : 0;
}

/* ---- writing ---- */

static void
add_quoted(struct pl_str *s, const char *text)
{
	pl_str_add(s, "\"");
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			pl_str_add(s, "\\");
		pl_str_add_bytes(s, text, 1);
	}
	pl_str_add(s, "\"");
}

#define NR_FIELDS 6
static const char *const field_names[NR_FIELDS] = { "TITLE",    "PERFORMER", "SONGWRITER",
						    "COMPOSER", "ARRANGER",  "MESSAGE" };

static const char *
field_of(const struct platter_disc_text *text, size_t field)
{
	const char *const fields[NR_FIELDS] = { text->title,    text->performer, text->songwriter,
						text->composer, text->arranger,  text->message };

	return fields[field];
}

/* Bits of the fields that the disc or any track has. */
static unsigned
fields_in_use(const struct platter_disc *d)
{
	unsigned used = 0;

	for (size_t field = 0; field < NR_FIELDS; field++) {
		if (field_of(&d->text, field)[0])
			used |= 1u << field;
		for (size_t i = 0; i < d->nr_tracks; i++)
			if (field_of(&d->tracks[i].text, field)[0])
				used |= 1u << field;
	}
	return used;
}

/* A field that one track has cdrdao wants of all, and of the disc. */
static void
add_texts(struct pl_str *s, const struct platter_disc_text *text, unsigned used, bool of_disc)
{

	pl_str_add(s, "CD_TEXT {\n");
	if (of_disc)
		pl_str_add(s, "  LANGUAGE_MAP {\n    0 : EN\n  }\n");
	pl_str_add(s, "  LANGUAGE 0 {\n");
	for (size_t i = 0; i < NR_FIELDS; i++) {
		if (!(used >> i & 1))
			continue;
		pl_str_addf(s, "    %s ", field_names[i]);
		add_quoted(s, field_of(text, i));
		pl_str_add(s, "\n");
	}
	pl_str_add(s, "  }\n}\n");
}

static const char *
mode_name(enum platter_track_mode mode)
{
	return mode == PLATTER_TRACK_AUDIO   ? "AUDIO"
	       : mode == PLATTER_TRACK_MODE2 ? "MODE2_RAW"
					     : "MODE1_RAW";
}

static void
add_track(struct pl_str *s, const struct pl_sheet_writer *w, const struct platter_track *t,
	  unsigned used)
{
	int64_t end = t->start + (int64_t)t->length, first = pl_sheet_track_start(w->disc, t);
	int64_t at = pl_disc_position(w->disc, first), start = pl_disc_position(w->disc, t->start);
	char msf[PL_MSF_TEXT], length[PL_MSF_TEXT];

	pl_str_addf(s, "\n// Track %" PRIu32 "\nTRACK %s\n%sCOPY\n", t->number, mode_name(t->mode),
		    t->flags & PLATTER_TRACK_COPY ? "" : "NO ");
	if (t->mode == PLATTER_TRACK_AUDIO)
		pl_str_addf(s, "%sPRE_EMPHASIS\n%s\n",
			    t->flags & PLATTER_TRACK_PREEMPHASIS ? "" : "NO ",
			    t->flags & PLATTER_TRACK_FOUR_CHANNELS ? "FOUR_CHANNEL_AUDIO"
								   : "TWO_CHANNEL_AUDIO");
	if (t->isrc[0])
		pl_str_addf(s, "ISRC \"%s\"\n", t->isrc);
	if (used)
		add_texts(s, &t->text, used, false);
	pl_str_add(s, t->mode == PLATTER_TRACK_AUDIO ? "FILE " : "DATAFILE ");
	add_quoted(s, w->data_name);
	if (t->mode == PLATTER_TRACK_AUDIO)
		pl_str_addf(s, " SWAP %s %s\n", pl_msf_text(at, msf),
			    pl_msf_text(end - first, length));
	else
		pl_str_addf(s, " #%" PRIu64 " %s\n", (uint64_t)at * PL_SECTOR_RAW,
			    pl_msf_text(end - first, length));
	if (start > at)
		pl_str_addf(s, "START %s\n", pl_msf_text(start - at, msf));
	for (size_t i = 0; i < t->nr_indexes; i++)
		pl_str_addf(s, "INDEX %s\n", pl_msf_text(t->indexes[i] - t->start, msf));
}

static int
finish_toc(struct pl_sheet_writer *w, struct platter_error *err)
{
	const struct platter_disc *d = &w->disc->info;
	unsigned used = fields_in_use(d);
	bool data = false, xa = false;
	struct pl_str s = { 0 };
	int r;

	for (size_t i = 0; i < d->nr_tracks; i++) {
		data |= d->tracks[i].mode != PLATTER_TRACK_AUDIO;
		xa |= d->tracks[i].mode == PLATTER_TRACK_MODE2;
	}
	pl_str_addf(&s, "%s\n", xa ? "CD_ROM_XA" : data ? "CD_ROM" : "CD_DA");
	if (d->mcn[0])
		pl_str_addf(&s, "CATALOG \"%s\"\n", d->mcn);
	if (used)
		add_texts(&s, &d->text, used, true);
	for (size_t i = 0; i < d->nr_tracks; i++)
		add_track(&s, w, &d->tracks[i], used);
	r = pl_sheet_write(w, &s, err);
	pl_str_done(&s);
	return r;
}

static int
toc_create(const struct pl_create_request *request, struct pl_writer **ret,
	   struct platter_error *err)
{
	int r;

	if (request->disc->info.nr_sessions > 1) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "a TOC describes one session, and the disc has %zu",
				   request->disc->info.nr_sessions);

		pl_hint(err, "write a .cue, .ccd, .mds or .nrg");
		return r;
	}
	r = pl_sheet_needs_cd(request, "toc", err);
	return r < 0 ? r : pl_sheet_writer_new(request, "bin", finish_toc, ret, err);
}

static const char *const extensions[] = { "toc", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_toc = {
	.info = {
		.name = "toc",
		.longname = "disc described by a TOC of cdrdao",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_CREATE | PLATTER_CAN_CHECK,
		.holds = PLATTER_HOLDS_DISC,
		.options = options,
	},
	.probe = toc_probe,
	.open = toc_open,
	.create = toc_create,
	.check = pl_disc_check,
	.many_disks = true,
	.takes = PL_TAKES_DISC,
	.disk_ops = &toc_ops,
};
