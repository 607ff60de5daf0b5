/* SPDX-License-Identifier: GPL-3.0-or-later */
/* disc.c - the model of an optical disc that sheets are read into */
#include "disc.h"

#include <ctype.h>
#include <stdio.h>

#include "text.h"

/* Real sheets have a few for each track. */
#define MAX_RUNS 20000

/* No image has more of a sector than this.  Stripes of sectors are read as a whole. */
#define MAX_STRIDE (PL_SECTOR_RAW + 96)

struct pl_disc *
pl_disc_new(struct platter_error *err)
{
	struct pl_disc *disc = calloc(1, sizeof *disc);
	uint8_t byte = 0;

	if (!disc) {
		(void)pl_no_memory(err);
		return NULL;
	}
	atomic_init(&disc->refs, 1);
	disc->info.medium = "CD";
	disc->info.mcn = "";
	disc->info.text = (struct platter_disc_text){ "", "", "", "", "", "", "" };
	if (pl_memory_new(&byte, 1, "nothing", &disc->nothing, err) < 0) {
		free(disc);
		return NULL;
	}
	return disc;
}

struct pl_disc *
pl_disc_ref(struct pl_disc *disc)
{
	atomic_fetch_add(&disc->refs, 1);
	return disc;
}

void
pl_disc_unref(struct pl_disc *disc)
{
	if (!disc || atomic_fetch_sub(&disc->refs, 1) > 1)
		return;
	for (size_t i = 0; i < disc->nr_files; i++)
		pl_disk_unref(disc->files[i]);
	free(disc->files);
	free(disc->runs);
	pl_disk_unref(disc->nothing);
	pl_arena_done(&disc->arena);
	free(disc);
}

const char *
pl_disc_text(struct pl_disc *disc, const char *bytes, size_t n)
{
	PL_AUTOFREE char *text = NULL;
	struct pl_str s = { 0 };
	bool utf8 = true;

	/* What is not UTF-8 was written by a program of its time, in ISO 8859-1. */
	for (size_t i = 0; i < n && utf8;) {
		uint8_t c = (uint8_t)bytes[i];
		size_t more = c < 0x80                ? 0
			      : c >= 0xc2 && c < 0xe0 ? 1
			      : c >= 0xe0 && c < 0xf0 ? 2
						      : 3;

		utf8 = c < 0x80 || (c >= 0xc2 && c < 0xf5 && more < n - i);
		for (size_t k = 1; utf8 && k <= more; k++)
			utf8 = ((uint8_t)bytes[i + k] & 0xc0) == 0x80;
		i += more + 1;
	}
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)bytes[i];
		char two[2] = { (char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f)) };

		if (utf8 || c < 0x80)
			pl_str_add_bytes(&s, bytes + i, 1);
		else
			pl_str_add_bytes(&s, two, 2);
	}
	text = s.text ? pl_text_from_bytes(s.text, s.length) : NULL;
	pl_str_done(&s);
	return text ? pl_arena_strdup(&disc->arena, text) : "";
}

bool
pl_is_isrc(const char *text)
{
	for (size_t i = 0; i < 12; i++)
		if (i < 5 ? !isupper((unsigned char)text[i]) && !isdigit((unsigned char)text[i])
			  : !isdigit((unsigned char)text[i]))
			return false;
	return !text[12];
}

bool
pl_is_mcn(const char *text)
{
	return strspn(text, "0123456789") == 13 && !text[13];
}

static void
no_null_texts(struct platter_disc_text *t)
{
	const char **all[] = { &t->title,    &t->performer, &t->songwriter, &t->composer,
			       &t->arranger, &t->message,   &t->genre };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (!*all[i])
			*all[i] = "";
}

int
pl_disc_add_track(struct pl_disc *disc, const struct platter_track *track, size_t *ret,
		  struct platter_error *err)
{
	const struct platter_track *last =
		disc->info.nr_tracks ? &disc->tracks[disc->info.nr_tracks - 1] : NULL;
	struct platter_track *t = &disc->tracks[disc->info.nr_tracks];

	if (disc->info.nr_tracks == PL_DISC_MAX_TRACKS)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "more than %d tracks",
				  PL_DISC_MAX_TRACKS);
	if (track->number < 1 || track->number > PL_DISC_MAX_TRACKS)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "track %" PRIu32 ", 1 to %d are allowed",
				  track->number, PL_DISC_MAX_TRACKS);
	if (track->session < 1 || track->session > PL_DISC_MAX_SESSIONS)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "session %" PRIu32 ", 1 to %d are allowed", track->session,
				  PL_DISC_MAX_SESSIONS);
	if (last && (track->number <= last->number || track->session < last->session))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "track %" PRIu32 " of session %" PRIu32
				  " comes after track %" PRIu32 " of session %" PRIu32,
				  track->number, track->session, last->number, last->session);
	if (track->start < -PL_DISC_PREGAP || track->start > PL_DISC_MAX_SECTORS ||
	    track->pregap > PL_DISC_MAX_SECTORS || track->nr_indexes > PL_DISC_MAX_INDEXES)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "track %" PRIu32 " begins at sector %" PRId64, track->number,
				  track->start);
	*t = *track;
	if (!t->isrc)
		t->isrc = "";
	no_null_texts(&t->text);
	if (ret)
		*ret = disc->info.nr_tracks;
	disc->info.nr_tracks++;
	return 0;
}

int
pl_disc_set_indexes(struct pl_disc *disc, size_t index, const int64_t *lbas, size_t nr,
		    struct platter_error *err)
{
	int64_t *copy;

	disc->tracks[index].indexes = NULL;
	disc->tracks[index].nr_indexes = 0;
	if (!nr)
		return 0;
	if (nr > PL_DISC_MAX_INDEXES)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "track %" PRIu32 " has more than %d indexes",
				  disc->tracks[index].number, PL_DISC_MAX_INDEXES);
	copy = pl_arena_alloc(&disc->arena, nr * sizeof *copy);
	if (!copy)
		return pl_no_memory(err);
	memcpy(copy, lbas, nr * sizeof *copy);
	disc->tracks[index].indexes = copy;
	disc->tracks[index].nr_indexes = nr;
	return 0;
}

/* One reference to each file. */
static int
hold_file(struct pl_disc *disc, struct pl_disk *file, struct platter_error *err)
{
	struct pl_disk **files;

	if (!file)
		return 0;
	for (size_t i = disc->nr_files; i-- > 0;)
		if (disc->files[i] == file)
			return 0;
	files = realloc(disc->files, (disc->nr_files + 1) * sizeof *files);
	if (!files)
		return pl_no_memory(err);
	disc->files = files;
	files[disc->nr_files++] = pl_disk_ref(file);
	return 0;
}

static uint32_t
sub_bytes(enum pl_subchannel sub)
{
	return sub == PL_SUB_NONE ? 0 : sub == PL_SUB_Q16 ? 16 : 96;
}

/* What can be stored of a sector in this mode? */
static bool
is_layout(enum platter_track_mode mode, uint32_t main_bytes)
{
	switch (main_bytes) {
	case PL_SECTOR_RAW: return true;
	case PL_SECTOR_DATA: return mode == PLATTER_TRACK_MODE1 || mode == PLATTER_TRACK_MODE2;
	case PL_SECTOR_MODE2_DATA:
		return mode == PLATTER_TRACK_MODE2 || mode == PLATTER_TRACK_MODE0;
	case PL_SECTOR_FORM2_DATA:
	case PL_DISC_FORM2_EDC:
	case PL_DISC_FORM2_SUBHEADER:
	case PL_DISC_FORM1_SUBHEADER: return mode == PLATTER_TRACK_MODE2;
	default: return false;
	}
}

static int
check_run(const struct pl_disc *disc, const struct pl_disc_run *run, struct platter_error *err)
{
	const struct platter_track *t = &disc->tracks[run->track];

	if (!run->nr || run->nr > PL_DISC_MAX_SECTORS || run->lba < -PL_DISC_PREGAP ||
	    run->lba > PL_DISC_MAX_SECTORS - (int64_t)run->nr)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "track %" PRIu32 ": %" PRIu64 " sectors at sector %" PRId64,
				  t->number, run->nr, run->lba);
	if (!run->file)
		return 0;
	if (!is_layout(t->mode, run->main_bytes))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "track %" PRIu32 " stores %" PRIu32
				  " bytes of each sector, which its mode does not allow",
				  t->number, run->main_bytes);
	if (run->stride && (run->stride < run->main_bytes || run->stride > MAX_STRIDE))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "track %" PRIu32 " has sectors of %" PRIu32
				  " bytes that are %" PRIu32 " bytes apart",
				  t->number, run->main_bytes, run->stride);
	return 0;
}

int
pl_disc_add_run(struct pl_disc *disc, const struct pl_disc_run *run, struct platter_error *err)
{
	struct pl_disc_run *added;
	int r = check_run(disc, run, err);

	if (r < 0)
		return r;
	if (disc->nr_runs == MAX_RUNS)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "more than %d pieces of tracks",
				     MAX_RUNS);
	if (disc->nr_runs == disc->runs_capacity) {
		size_t capacity = disc->runs_capacity ? 2 * disc->runs_capacity : 16;
		struct pl_disc_run *runs = realloc(disc->runs, capacity * sizeof *runs);

		if (!runs)
			return pl_no_memory(err);
		disc->runs = runs;
		disc->runs_capacity = capacity;
	}
	r = hold_file(disc, run->file, err);
	if (r == 0)
		r = hold_file(disc, run->sub_file, err);
	if (r < 0)
		return r;
	added = &disc->runs[disc->nr_runs++];
	*added = *run;
	if (!added->stride)
		added->stride = added->main_bytes + sub_bytes(added->sub);
	return 0;
}

int
pl_disc_end_session(struct pl_disc *disc, uint32_t session, int64_t end, struct platter_error *err)
{
	if (session < 1 || session > PL_DISC_MAX_SESSIONS)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "session %" PRIu32 ", limit is %d",
				  session, PL_DISC_MAX_SESSIONS);
	if (end < -PL_DISC_PREGAP || end > PL_DISC_MAX_SECTORS)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "session %" PRIu32 " ends at sector %" PRId64, session, end);
	disc->told_end[session] = end;
	disc->is_told[session] = true;
	return 0;
}

static int
by_lba(const void *a, const void *b)
{
	const struct pl_disc_run *x = a, *y = b;

	return x->lba < y->lba ? -1 : x->lba > y->lba;
}

/* How many sectors of the run its file really holds. */
static uint64_t
stored_sectors(const struct pl_disc_run *run)
{
	uint64_t room;

	if (!run->file)
		return run->nr;
	if (run->offset >= run->file->size || run->file->size - run->offset < run->main_bytes)
		return 0;
	/* The last may lack its subchannel. */
	room = run->file->size - run->offset - run->main_bytes;
	return PL_MIN(run->nr, room / run->stride + 1);
}

static int
order_runs(struct pl_disc *disc, struct platter_error *err)
{
	size_t kept = 0;

	if (disc->nr_runs)
		qsort(disc->runs, disc->nr_runs, sizeof *disc->runs, by_lba);
	for (size_t i = 0; i < disc->nr_runs; i++) {
		struct pl_disc_run run = disc->runs[i];
		uint64_t stored = stored_sectors(&run);
		const struct pl_disc_run *before = kept ? &disc->runs[kept - 1] : NULL;

		disc->nr_missing += run.nr - stored;
		run.nr = stored;
		if (!run.nr)
			continue;
		if (before && before->lba + (int64_t)before->nr > run.lba)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "tracks %" PRIu32 " and %" PRIu32
					  " both have sector %" PRId64,
					  disc->tracks[before->track].number,
					  disc->tracks[run.track].number, run.lba);
		if (before && before->track > run.track)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "track %" PRIu32 " lies behind track %" PRIu32,
					  disc->tracks[run.track].number,
					  disc->tracks[before->track].number);
		disc->runs[kept++] = run;
	}
	disc->nr_runs = kept;
	return 0;
}

/* LBA behind the last sector that track `index` can have. */
static int64_t
limit_of_track(const struct pl_disc *disc, size_t index)
{
	const struct platter_track *t = &disc->tracks[index], *next = t + 1;

	if (index + 1 == disc->info.nr_tracks)
		return disc->is_told[t->session] ? disc->told_end[t->session] : INT64_MAX;
	if (next->session == t->session)
		return next->start - (int64_t)next->pregap;
	return disc->is_told[t->session] ? disc->told_end[t->session] : INT64_MAX;
}

static int
measure_track(struct pl_disc *disc, size_t index, struct platter_error *err)
{
	struct platter_track *t = &disc->tracks[index];
	int64_t limit = limit_of_track(disc, index), end = INT64_MIN, first = INT64_MAX;
	const struct pl_disc_run *stored = NULL;

	for (size_t i = 0; i < disc->nr_runs; i++) {
		const struct pl_disc_run *run = &disc->runs[i];

		if (run->track != index)
			continue;
		first = PL_MIN(first, run->lba);
		end = PL_MAX(end, run->lba + (int64_t)run->nr);
		if (run->file && !stored)
			stored = run;
	}
	if (end == INT64_MIN)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "nothing of track %" PRIu32 " is stored: its file is too short",
				  t->number);
	if (end > limit)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "track %" PRIu32 " reaches to sector %" PRId64
				  ", past what follows it at %" PRId64,
				  t->number, end, limit);
	if (first < t->start && (uint64_t)(t->start - first) > t->pregap)
		t->pregap = (uint64_t)(t->start - first);
	if (limit != INT64_MAX)
		end = limit;
	t->length = end > t->start ? (uint64_t)(end - t->start) : 0;
	if (stored) {
		t->stored_bytes = stored->main_bytes;
		t->stored_subchannel = stored->sub_file ? 96 : sub_bytes(stored->sub);
	}
	return 0;
}

/*
 * Whoever asks for a code may count on its length and on what it is made of, and whoever asks for
 * indexes on their order: those that do not ascend within the track are cut off.
 */
static void
settle_track(struct platter_track *t)
{
	int64_t before = t->start, end = t->start + (int64_t)t->length;
	size_t nr = 0;

	if (!pl_is_isrc(t->isrc))
		t->isrc = "";
	for (; nr < t->nr_indexes && t->indexes[nr] > before && t->indexes[nr] < end; nr++)
		before = t->indexes[nr];
	t->nr_indexes = nr;
}

static void
find_sessions(struct pl_disc *disc)
{
	size_t nr = 0;

	for (size_t i = 0; i < disc->info.nr_tracks; i++) {
		const struct platter_track *t = &disc->tracks[i];
		struct platter_session *s = &disc->sessions[nr];

		if (!nr || s[-1].number != t->session) {
			*s = (struct platter_session){ .number = t->session,
						       .start = t->start,
						       .first_track = t->number };
			nr++;
		}
		s = &disc->sessions[nr - 1];
		s->last_track = t->number;
		s->end = t->start + (int64_t)t->length;
	}
	disc->info.sessions = disc->sessions;
	disc->info.nr_sessions = nr;
}

int
pl_disc_finish(struct pl_disc *disc, struct platter_error *err)
{
	int r = 0;

	if (!disc->info.nr_tracks)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "the disc has no tracks");
	r = order_runs(disc, err);
	/* From the last one on, so that pregaps of those that follow are known. */
	for (size_t i = disc->info.nr_tracks; i-- > 0 && r == 0;)
		r = measure_track(disc, i, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < disc->info.nr_tracks; i++)
		settle_track(&disc->tracks[i]);
	if (!pl_is_mcn(disc->info.mcn))
		disc->info.mcn = "";
	find_sessions(disc);
	disc->info.tracks = disc->tracks;
	if (disc->arena.failed)
		return pl_no_memory(err);
	return 0;
}

int
pl_disc_of_data(struct pl_disk *data, struct pl_disc **ret, struct platter_error *err)
{
	struct pl_disc *disc = pl_disc_new(err);
	struct platter_track track = { .number = 1, .session = 1, .mode = PLATTER_TRACK_MODE1 };
	struct pl_disc_run run = { .nr = data->size / PL_SECTOR_DATA,
				   .file = data,
				   .main_bytes = PL_SECTOR_DATA };
	int r;

	if (!disc)
		return -ENOMEM;
	if (data->size == UINT64_MAX || !data->size || data->size % PL_SECTOR_DATA)
		r = pl_invalid(err,
			       "a disc has sectors of 2048 bytes, and '%s' is not a number of them",
			       data->name);
	else
		r = pl_disc_add_track(disc, &track, NULL, err);
	if (r == 0)
		r = pl_disc_add_run(disc, &run, err);
	if (r == 0)
		r = pl_disc_finish(disc, err);
	if (r < 0)
		pl_disc_unref(disc);
	else
		*ret = disc;
	return r;
}

const char *
pl_msf_text(int64_t sectors, char ret[static PL_MSF_TEXT])
{
	uint64_t n = sectors < 0 ? (uint64_t)-sectors : (uint64_t)sectors;

	snprintf(ret, PL_MSF_TEXT, "%02" PRIu32 ":%02" PRIu32 ":%02" PRIu32, (uint32_t)(n / 4500),
		 (uint32_t)(n / 75 % 60), (uint32_t)(n % 75));
	return ret;
}

int64_t
pl_msf_parse(const char *text, const char **ret_end)
{
	uint32_t part[3];

	for (size_t i = 0; i < 3; i++) {
		size_t digits = 0;

		part[i] = 0;
		while (isdigit((unsigned char)*text) && digits++ < 6)
			part[i] = part[i] * 10 + (uint32_t)(*text++ - '0');
		if (!digits || isdigit((unsigned char)*text))
			return -1;
		if (i < 2 && *text++ != ':')
			return -1;
	}
	if (part[1] > 59 || part[2] > 74)
		return -1;
	*ret_end = text;
	return ((int64_t)part[0] * 60 + part[1]) * 75 + part[2];
}
