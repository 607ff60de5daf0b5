/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * disc-view.c - the disks that a disc opens as
 *
 * A view is a row of spans of sectors, each of which gives the same number of bytes.  Where a run
 * stores just those, the map leads to them; else sectors are decoded by the stripe.  A sector is
 * bad if anything that it is made of is bad in the file.  The map of user data tells also which
 * are by their EDC, so stripes that have it are looked through the first time that they are
 * mapped; what was found is kept.
 */
#include "disc-view.h"

#include <stdio.h>
#include <strings.h>

#include "text.h"

/* Sectors decoded at once: as many as a mask of bad ones has bits. */
#define STRIPE 32

/* How far it is looked through when somebody asks for a span, which is all data as a rule. */
#define LOOK_AHEAD MIB(1)

enum view_kind {
	VIEW_USER, /* 2048 bytes of user data */
	VIEW_RAW,  /* 2352 bytes */
	VIEW_SUB,  /* 2352 bytes, and 96 of subchannel */
};

struct span {
	uint64_t position; /* of its first sector in the view */
	int64_t lba;
	uint64_t nr;
};

/* Decodes what is stored in one run, or, without one, makes what is nowhere. */
struct run_decoder {
	struct pl_decoder decoder;
	const struct view *view;
	const struct pl_disc_run *run;
};

/* What is known of the sectors of a stripe. */
struct stripe {
	atomic_bool known;
	atomic_uint bad; /* bit i: sector i */
};

struct view {
	struct pl_disk disk;
	struct pl_disc *disc;
	const struct platter_track *track; /* or NULL: of all */
	enum view_kind kind;
	uint32_t unit; /* bytes of a sector */
	struct span spans[PL_DISC_MAX_SESSIONS + 2];
	size_t nr_spans;
	struct run_decoder *decoders; /* of each run, and one more */
	struct stripe **stripes;      /* of each run that has EDC, NULL of others */
};

static struct view *
view_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct view, disk);
}

static const struct view *
const_view_of(const struct pl_disk *disk)
{
	return (const void *)((const char *)disk - offsetof(struct view, disk));
}

/* ---- what is decoded ---- */

static const struct span *
span_at(const struct view *v, uint64_t position)
{
	for (size_t i = 0; i < v->nr_spans; i++)
		if (position - v->spans[i].position < v->spans[i].nr)
			return &v->spans[i];
	return NULL;
}

static int64_t
lba_at(const struct view *v, uint64_t position)
{
	const struct span *s = span_at(v, position);

	return s ? s->lba + (int64_t)(position - s->position) : 0;
}

static void
take_user(const struct view *v, const struct pl_disc_run *run, int64_t lba, const uint8_t *stored,
	  uint8_t *out)
{
	uint8_t sector[PL_SECTOR_RAW];
	enum pl_sector_kind kind;

	switch (run->main_bytes) {
	case PL_SECTOR_RAW:
	case PL_SECTOR_MODE2_DATA: break;
	case PL_DISC_FORM1_SUBHEADER:
	case PL_DISC_FORM2_SUBHEADER: memcpy(out, stored + 8, PL_SECTOR_DATA); return;
	default: memcpy(out, stored, PL_SECTOR_DATA); return;
	}
	pl_disc_build_raw(v->disc, run, lba, stored, sector);
	pl_disc_settle_sector(v->disc, run, sector, &kind);
	memcpy(out,
	       sector + (kind == PL_SECTOR_FORM1 || kind == PL_SECTOR_FORM2 ? PL_SECTOR_XA_AT
									    : PL_SECTOR_MODE1_AT),
	       PL_SECTOR_DATA);
}

static void
make_sector(const struct view *v, const struct pl_disc_run *run, int64_t lba, const uint8_t *stored,
	    uint8_t *out)
{
	const struct platter_track *t;

	if (v->kind == VIEW_USER) {
		take_user(v, run, lba, stored, out);
	} else if (run && run->file) {
		pl_disc_build_raw(v->disc, run, lba, stored, out);
	} else {
		t = pl_disc_track_at(v->disc, lba);
		pl_disc_build_empty(t ? t->mode : PLATTER_TRACK_AUDIO, lba, out);
	}
}

static int
put_stored_sub(const struct view *v, const struct pl_disc_run *run, int64_t lba,
	       const uint8_t *stored, size_t left, uint8_t *out, struct platter_error *err)
{
	uint8_t sub[96] = { 0 };

	if (!run || !run->file || run->sub == PL_SUB_NONE || run->sub_file)
		return pl_disc_read_sub(v->disc, lba, 1, out, err);
	/* The last sector of a file may lack it. */
	if (left > run->main_bytes)
		memcpy(sub, stored + run->main_bytes, PL_MIN(left - run->main_bytes, sizeof sub));
	pl_disc_put_sub(v->disc, run->sub, lba, sub, out);
	return 0;
}

static int
decode_run(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	   size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	const struct run_decoder *d =
		(const void *)((const char *)decoder - offsetof(struct run_decoder, decoder));
	const struct view *v = d->view;
	const struct pl_disc_run *run = d->run;
	uint32_t stride = run && run->file ? run->stride : 0;
	int64_t lba = lba_at(v, chunk_offset / v->unit);
	int r = 0;

	for (size_t i = 0; i < out_size / v->unit && r == 0; i++) {
		const uint8_t *stored = in + i * stride;
		size_t left = in_size - i * stride;

		if (stride && (i * stride > in_size || left < run->main_bytes))
			return pl_corrupt(err, PLATTER_NO_OFFSET, "a sector is cut short");
		make_sector(v, run, lba + (int64_t)i, stored, out + i * v->unit);
		if (v->kind == VIEW_SUB)
			r = put_stored_sub(v, run, lba + (int64_t)i, stored, left,
					   out + i * v->unit + PL_SECTOR_RAW, err);
	}
	return r;
}

/* ---- the map ---- */

/* Is what the run stores just what the view gives? */
static bool
is_stored_so(const struct view *v, const struct pl_disc_run *run)
{
	if (!run->file || run->stride != v->unit || run->main_bytes != v->unit)
		return false;
	return v->kind == VIEW_USER || !run->big_endian;
}

/* Sectors that lie alike from `lba` on, in the view and on the disc. */
struct stretch {
	const struct pl_disc_run *run; /* NULL: nothing is stored */
	int64_t lba, first, end;       /* within span and run */
};

static struct stretch
stretch_at(const struct view *v, const struct span *s, uint64_t position)
{
	int64_t lba = s->lba + (int64_t)(position - s->position);
	int64_t end = s->lba + (int64_t)s->nr;
	struct stretch ret = { .lba = lba, .first = lba };
	uint64_t gap = 0;
	const struct pl_disc_run *run = pl_disc_find_run(v->disc, lba, &gap);

	if (run) {
		ret.first = PL_MAX(run->lba, s->lba);
		ret.end = PL_MIN(run->lba + (int64_t)run->nr, end);
	} else {
		ret.end = gap < (uint64_t)(end - lba) ? lba + (int64_t)gap : end;
	}
	if (run && run->file)
		ret.run = run;
	return ret;
}

/* Find out which sectors of a stripe are bad by their EDC. */
static int
look_through(const struct view *v, const struct pl_disc_run *run, uint64_t index, unsigned *ret,
	     struct platter_error *err)
{
	struct stripe *known = &v->stripes[run - v->disc->runs][index];
	uint64_t first = index * STRIPE, nr = PL_MIN(STRIPE, run->nr - first);
	size_t n = (size_t)((nr - 1) * run->stride + run->main_bytes);
	PL_AUTOFREE uint8_t *stored = NULL;
	unsigned bad = 0;
	int r;

	if (atomic_load(&known->known)) {
		*ret = atomic_load(&known->bad);
		return 0;
	}
	stored = malloc(n);
	if (!stored)
		return pl_no_memory(err);
	r = pl_read(run->file, stored, n, run->offset + first * run->stride, err);
	if (r < 0)
		return r;
	for (uint64_t i = 0; i < nr; i++) {
		uint8_t sector[PL_SECTOR_RAW];

		pl_disc_build_raw(v->disc, run, run->lba + (int64_t)(first + i),
				  stored + i * run->stride, sector);
		if (pl_disc_settle_sector(v->disc, run, sector, NULL) == PL_SECTOR_BAD)
			bad |= 1u << i;
	}
	atomic_store(&known->bad, bad);
	atomic_store(&known->known, true);
	*ret = bad;
	return 0;
}

/* Mark those of `nr` sectors that touch a bad byte of the file: `used` of every `stride` bytes. */
static int
add_bad_bytes(struct pl_disk *file, uint64_t offset, uint32_t stride, uint32_t used, uint64_t nr,
	      unsigned *bad, struct platter_error *err)
{
	uint64_t end = PL_MIN(offset + nr * stride, file->size), length;

	for (uint64_t at = offset; at < end; at += length) {
		enum platter_kind kind;
		int r = pl_span(file, at, end - at, &kind, &length, err);

		if (r < 0)
			return r;
		for (uint64_t i = (at - offset) / stride; kind == PLATTER_BAD && i < nr; i++) {
			uint64_t sector = offset + i * stride;

			if (sector < at + length && sector + used > at)
				*bad |= 1u << i;
		}
	}
	return 0;
}

/* Find out which sectors of a stripe are bad in the files that they are made of. */
static int
look_below(const struct view *v, const struct pl_disc_run *run, uint64_t index, unsigned *bad,
	   struct platter_error *err)
{
	uint64_t first = index * STRIPE, nr = PL_MIN(STRIPE, run->nr - first);
	uint32_t used = v->kind == VIEW_SUB && !run->sub_file ? run->stride : run->main_bytes;
	int r = add_bad_bytes(run->file, run->offset + first * run->stride, run->stride, used, nr,
			      bad, err);

	if (r == 0 && v->kind == VIEW_SUB && run->sub_file)
		r = add_bad_bytes(run->sub_file, run->sub_offset + first * 96, 96, 96, nr, bad,
				  err);
	return r;
}

/* Sectors [first, end) around `at` that are all bad, or all good. */
static void
narrow(unsigned bad, int64_t at, int64_t base, int64_t *first, int64_t *end)
{
	unsigned wanted = bad >> (at - base) & 1;
	int64_t low = at, high = at + 1;

	while (low > *first && (bad >> (low - 1 - base) & 1) == wanted)
		low--;
	while (high < *end && (bad >> (high - base) & 1) == wanted)
		high++;
	*first = low;
	*end = high;
}

static void
answer(const struct view *v, const struct span *s, const struct stretch *st, uint64_t offset,
       struct pl_extent *ret)
{
	const struct pl_disc_run *run = st->run;
	uint64_t position = s->position + (uint64_t)(st->first - s->lba);
	uint64_t stored;

	ret->chunk_offset = position * v->unit;
	ret->chunk_length = (uint32_t)(st->end - st->first) * v->unit;
	ret->length = ret->chunk_offset + ret->chunk_length - offset;
	ret->kind = PLATTER_DATA;
	if (!run) {
		ret->decoder = &v->decoders[v->disc->nr_runs].decoder;
		ret->below = v->disc->nothing;
		return;
	}
	ret->decoder = &v->decoders[run - v->disc->runs].decoder;
	ret->below = run->file;
	ret->stored_offset = run->offset + (uint64_t)(st->first - run->lba) * run->stride;
	stored = (uint64_t)(st->end - st->first) * run->stride;
	ret->stored_length = PL_MIN(stored, run->file->size - ret->stored_offset);
}

/* The stripe of `st` that has its sector; BAD where that is bad. */
static int
map_stripe(const struct view *v, const struct span *s, struct stretch st, uint64_t offset,
	   struct pl_extent *ret, struct platter_error *err)
{
	const struct pl_disc_run *run = st.run;
	int64_t origin = run ? run->lba : s->lba;
	int64_t base = origin + (st.lba - origin) / STRIPE * STRIPE;
	uint64_t index = (uint64_t)(st.lba - origin) / STRIPE;
	unsigned bad = 0;
	int r = 0;

	st.first = PL_MAX(st.first, base);
	st.end = PL_MIN(st.end, base + STRIPE);
	if (run && v->stripes && v->stripes[run - v->disc->runs])
		r = look_through(v, run, index, &bad, err);
	if (run && r == 0)
		r = look_below(v, run, index, &bad, err);
	if (r < 0)
		return r;
	if (bad)
		narrow(bad, st.lba, base, &st.first, &st.end);
	answer(v, s, &st, offset, ret);
	if (bad >> (st.lba - base) & 1)
		*ret = (struct pl_extent){ .length = ret->length, .kind = PLATTER_BAD };
	return 0;
}

int
pl_disc_view_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
		 struct platter_error *err)
{
	const struct view *v = view_of(disk);
	const struct span *s = span_at(v, offset / v->unit);
	struct stretch st = stretch_at(v, s, offset / v->unit);
	const struct platter_track *t = pl_disc_track_at(v->disc, st.lba);
	bool is_sound = !t || t->mode == PLATTER_TRACK_AUDIO;

	(void)length;
	*ret = (struct pl_extent){ .length = (uint64_t)(st.end - st.lba) * v->unit -
					     offset % v->unit };
	/* No data, and what is silent: nothing to be decoded. */
	if ((v->kind == VIEW_USER && (is_sound || !st.run)) ||
	    (v->kind == VIEW_RAW && is_sound && !st.run)) {
		ret->kind = PLATTER_ZERO;
		return 0;
	}
	if (st.run && is_stored_so(v, st.run)) {
		ret->kind = PLATTER_DATA;
		ret->below = st.run->file;
		ret->stored_offset = st.run->offset +
				     (uint64_t)(st.lba - st.run->lba) * st.run->stride +
				     offset % v->unit;
		return 0;
	}
	return map_stripe(v, s, st, offset, ret, err);
}

struct pl_disk *
pl_disc_view_below(struct pl_disk *disk, size_t index)
{
	const struct pl_disc *disc = view_of(disk)->disc;

	return index < disc->nr_files ? disc->files[index] : NULL;
}

static void
describe_text(struct pl_facts *facts, const char *key, const char *label, const char *text)
{
	if (text[0])
		pl_fact_text(facts, key, label, "%s", text);
}

void
pl_disc_view_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	const struct view *v = view_of(disk);
	const struct platter_disc *d = &v->disc->info;

	pl_fact_text(facts, "medium", "medium", "%s", d->medium);
	pl_fact_number(facts, "sessions", "sessions", d->nr_sessions);
	pl_fact_number(facts, "tracks", "tracks", d->nr_tracks);
	if (v->track)
		pl_fact_number(facts, "track", "this track", v->track->number);
	describe_text(facts, "mcn", "catalogue number", d->mcn);
	describe_text(facts, "title", "title", d->text.title);
	describe_text(facts, "performer", "performer", d->text.performer);
	if (v->disc->nr_missing)
		pl_warn(facts, "%" PRIu64 " sectors that the tracks should have are not stored",
			v->disc->nr_missing);
}

void
pl_disc_view_free(struct pl_disk *disk)
{
	struct view *v = view_of(disk);

	for (size_t i = 0; v->stripes && i < v->disc->nr_runs; i++)
		free(v->stripes[i]);
	free(v->stripes);
	free(v->decoders);
	pl_disc_unref(v->disc);
	pl_disk_done(disk);
	free(v);
}

struct pl_disc *
pl_disc_of(const struct pl_disk *disk)
{
	if (disk->ops->map != pl_disc_view_map)
		return NULL;
	return const_view_of(disk)->disc;
}

const struct platter_track *
pl_disc_track_of(const struct pl_disk *disk)
{
	if (disk->ops->map != pl_disc_view_map)
		return NULL;
	return const_view_of(disk)->track;
}

/* ---- opening one ---- */

static void
add_span(struct view *v, int64_t lba, int64_t end)
{
	struct span *s = &v->spans[v->nr_spans], *last = s - 1;

	if (end <= lba)
		return;
	*s = (struct span){ .position = v->nr_spans ? last->position + last->nr : 0,
			    .lba = lba,
			    .nr = (uint64_t)(end - lba) };
	v->nr_spans++;
	v->disk.size = (s->position + s->nr) * v->unit;
}

static int64_t
track_end(const struct platter_track *t)
{
	return t->start + (int64_t)t->length;
}

/*
 * As a drive shows the data, by LBA.  Where the disc begins with sound, the volume descriptors
 * of the first data track stand in for it, which has room for nothing else: what they say
 * counts from LBA 0 in any case, so that the file system is found where every reader looks.
 */
static void
span_data(struct view *v)
{
	const struct platter_track *first = NULL, *last = NULL;
	const struct pl_disc *disc = v->disc;
	int64_t head = 0;

	for (size_t i = 0; i < disc->info.nr_tracks; i++) {
		if (disc->tracks[i].mode == PLATTER_TRACK_AUDIO)
			continue;
		if (!first)
			first = &disc->tracks[i];
		last = &disc->tracks[i];
	}
	if (!first)
		return;
	if (first->start > STRIPE) {
		head = PL_MIN((int64_t)first->length, STRIPE);
		add_span(v, first->start, first->start + head);
	}
	add_span(v, head, track_end(last));
}

/* From where to where a session has sectors in ?disk=raw. */
static void
session_bounds(const struct pl_disc *disc, size_t index, int64_t *ret_lba, int64_t *ret_end)
{
	const struct platter_session *s = &disc->sessions[index];
	int64_t lba = s->start;

	/* The pregap of 150 sectors before LBA 0 belongs to every disc, and is in no image of this kind. */
	if (index == 0 && lba >= 0)
		lba = 0;
	for (size_t i = 0; index && i < disc->nr_runs; i++)
		if (disc->tracks[disc->runs[i].track].number == s->first_track) {
			lba = PL_MIN(lba, disc->runs[i].lba);
			break;
		}
	*ret_lba = lba;
	*ret_end = s->end;
}

static void
span_raw(struct view *v)
{
	for (size_t i = 0; i < v->disc->info.nr_sessions; i++) {
		int64_t lba, end;

		session_bounds(v->disc, i, &lba, &end);
		add_span(v, lba, end);
	}
}

int64_t
pl_disc_position(const struct pl_disc *disc, int64_t lba)
{
	int64_t position = 0;

	for (size_t i = 0; i < disc->info.nr_sessions; i++) {
		int64_t start, end;

		session_bounds(disc, i, &start, &end);
		if (lba >= start && lba < end)
			return position + lba - start;
		position += PL_MAX(end - start, 0);
	}
	return -1;
}

static int
make_decoders(struct view *v, struct platter_error *err)
{
	v->decoders = calloc(v->disc->nr_runs + 1, sizeof *v->decoders);
	if (!v->decoders)
		return pl_no_memory(err);
	for (size_t i = 0; i <= v->disc->nr_runs; i++)
		v->decoders[i] = (struct run_decoder){
			.decoder = { .name = "sectors", .decode = decode_run },
			.view = v,
			.run = i < v->disc->nr_runs ? &v->disc->runs[i] : NULL
		};
	return 0;
}

static int
make_stripes(struct view *v, struct platter_error *err)
{
	v->stripes = calloc(v->disc->nr_runs + 1, sizeof *v->stripes);
	if (!v->stripes)
		return pl_no_memory(err);
	for (size_t i = 0; i < v->disc->nr_runs; i++) {
		const struct pl_disc_run *run = &v->disc->runs[i];

		if (!pl_disc_run_has_edc(v->disc, run))
			continue;
		/* Bounded by the file that holds the sectors. */
		v->stripes[i] =
			calloc((size_t)pl_div_round_up(run->nr, STRIPE), sizeof **v->stripes);
		if (!v->stripes[i])
			return pl_no_memory(err);
		v->disk.look_ahead =
			v->disk.look_ahead ? PL_MIN(v->disk.look_ahead, LOOK_AHEAD) : LOOK_AHEAD;
	}
	return 0;
}

/* An empty view of the disc, whose reference is taken over also in failure. */
static int
view_new(struct pl_disc *disc, const struct pl_disk_ops *ops, enum view_kind kind, const char *name,
	 struct view **ret, struct platter_error *err)
{
	struct view *v = calloc(1, sizeof *v);
	int r = v ? pl_disk_init(&v->disk, ops, name, err) : pl_no_memory(err);

	if (r < 0) {
		free(v);
		pl_disc_unref(disc);
		return r;
	}
	v->disc = disc;
	v->kind = kind;
	v->unit = kind == VIEW_USER  ? PL_SECTOR_DATA
		  : kind == VIEW_RAW ? PL_SECTOR_RAW
				     : PL_SECTOR_RAW + 96;
	if (kind == VIEW_USER)
		v->disk.sector_size = v->disk.physical_sector_size = PL_SECTOR_DATA;
	for (size_t i = 0; i < disc->nr_files && r == 0; i++)
		r = pl_disk_stack(&v->disk, disc->files[i], err);
	if (r == 0)
		r = make_decoders(v, err);
	if (r == 0 && kind == VIEW_USER)
		r = make_stripes(v, err);
	if (r < 0)
		pl_disc_view_free(&v->disk);
	else
		*ret = v;
	return r;
}

static const struct platter_track *
find_track(const struct pl_disc *disc, const char *select)
{
	size_t n = strlen(select);

	for (size_t i = 0; i < disc->info.nr_tracks && n < 3; i++)
		if (strspn(select, "0123456789") == n &&
		    strtoul(select, NULL, 10) == disc->tracks[i].number)
			return &disc->tracks[i];
	return NULL;
}

static int
no_such_disk(const struct pl_disc *disc, const char *select, struct platter_error *err)
{
	int r = pl_fail(err, -ENOENT, "there is no track '%s' on the disc", select);

	pl_hint(err,
		"its tracks are %" PRIu32 " to %" PRIu32 "; disk=raw and disk=raw+sub are all"
		" sectors as they are",
		disc->tracks[0].number, disc->tracks[disc->info.nr_tracks - 1].number);
	return r;
}

static bool
has_data(const struct pl_disc *disc)
{
	for (size_t i = 0; i < disc->info.nr_tracks; i++)
		if (disc->tracks[i].mode != PLATTER_TRACK_AUDIO)
			return true;
	return false;
}

int
pl_disc_open(struct pl_disc *disc, const struct pl_disk_ops *ops,
	     const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	const char *select = request->disk;
	const struct platter_track *track = NULL;
	enum view_kind kind = has_data(disc) ? VIEW_USER : VIEW_RAW;
	struct view *v;
	int r = 0;

	if (request->snapshot)
		r = pl_fail(err, -ENOENT, "'%s' is a disc, which has no snapshots",
			    request->file->name);
	if (r == 0 && select && strcasecmp(select, "raw") == 0) {
		kind = VIEW_RAW;
	} else if (r == 0 && select && strcasecmp(select, "raw+sub") == 0) {
		kind = VIEW_SUB;
	} else if (r == 0 && select) {
		track = find_track(disc, select);
		r = track ? 0 : no_such_disk(disc, select, err);
		if (track)
			kind = track->mode == PLATTER_TRACK_AUDIO ? VIEW_RAW : VIEW_USER;
	}
	if (r < 0) {
		pl_disc_unref(disc);
		return r;
	}
	r = view_new(disc, ops, kind, request->file->name, &v, err);
	if (r < 0)
		return r;
	v->track = track;
	if (track)
		add_span(v, track->start, track_end(track));
	else if (kind == VIEW_USER)
		span_data(v);
	else
		span_raw(v);
	*ret = &v->disk;
	return 0;
}

/* A view of the whole disc that is of no format. */
static int
whole_disc(struct pl_disc *disc, enum view_kind kind, const char *name, struct pl_disk **ret,
	   struct platter_error *err)
{
	static const struct pl_disk_ops ops = PL_DISC_OPS("disc");
	struct view *v;
	int r = view_new(pl_disc_ref(disc), &ops, kind, name, &v, err);

	if (r < 0)
		return r;
	if (kind == VIEW_USER)
		span_data(v);
	else
		span_raw(v);
	*ret = &v->disk;
	return 0;
}

int
pl_disc_raw(struct pl_disc *disc, bool with_sub, const char *name, struct pl_disk **ret,
	    struct platter_error *err)
{
	return whole_disc(disc, with_sub ? VIEW_SUB : VIEW_RAW, name, ret, err);
}

int
pl_disc_user(struct pl_disc *disc, const char *name, struct pl_disk **ret,
	     struct platter_error *err)
{
	return whole_disc(disc, VIEW_USER, name, ret, err);
}
