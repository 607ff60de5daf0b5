/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * examine.c - is anything left on a disk?
 *
 * The disk is read in pieces on all processors, a batch at a time; each piece is divided into
 * runs of one class, and its sectors are searched for the beginnings of files and for traces of
 * file systems.  What the pieces found is added up in the order of the disk.  Holes are not
 * read.  Memory does not grow with the disk: classes are kept for some thousand cells of it.
 */
#include "examine.h"

#include <sys/random.h>

#include "classify.h"
#include "examination.h"
#include "pool.h"
#include "progress.h"
#include "text.h"
#include "walk.h"

/* What one thread reads at once, and what it looks at behind that. */
#define PIECE     MIB(1)
#define AHEAD     KIB(4)
#define NR_PIECES 32
/* A sample is taken in blocks of this; both ends of the disk are read as a whole. */
#define SAMPLE_BLOCK KIB(64)
#define SAMPLE_ENDS  MIB(1)
/* Traces that are looked behind, each with some reads. */
#define MAX_LOOKS 4096
/* Finds in one piece: one for each sector. */
#define MAX_HITS (PIECE / PL_CLASS_SECTOR)

struct hit {
	uint32_t at;                       /* in the piece */
	int16_t type;                      /* signature, or -1 */
	const struct pl_trace_kind *trace; /* or NULL */
};

struct piece {
	uint64_t offset, length; /* DATA: PIECE at most */
	enum platter_kind kind;  /* of anything else there is nothing to read */
	int result;
	struct platter_error err;
	struct pl_class_run *runs;
	size_t nr_runs;
	struct hit *hits;
	size_t nr_hits;
	uint64_t mail_addresses, read;
	uint64_t mail_at[4]; /* the first of them */
	uint8_t mail_length[4];
	uint64_t histogram[256];
};

struct examine {
	struct pl_examination *x;
	struct pl_disk *disk;
	struct pl_meter meter;
	struct piece pieces[NR_PIECES];
	size_t nr_pieces;
	atomic_size_t next;
	uint8_t *buffers;    /* one for each worker */
	struct pl_walk used; /* of the disk without what is not in use */
	size_t nr_looks;
	unsigned examples; /* of each kind */
	unsigned nr_mail_examples;
	struct platter_example *example_list;
};

/* ---- on any thread ---- */

static void
add_hit(struct piece *p, size_t at, int type, const struct pl_trace_kind *trace)
{
	if (p->nr_hits < MAX_HITS)
		p->hits[p->nr_hits++] = (struct hit){ (uint32_t)at, (int16_t)type, trace };
}

/* Search the sectors of a run; `n` bytes of the buffer can be looked at. */
static void
search_run(struct piece *p, const uint8_t *buf, size_t n, const struct pl_class_run *run)
{
	size_t end = run->start + run->length;

	for (size_t at = run->start; at + PL_CLASS_SECTOR <= end; at += PL_CLASS_SECTOR) {
		int type = pl_signature_find(buf + at, n - at);
		const struct pl_trace_kind *trace =
			n - at >= PL_TRACE_LOOK ? pl_trace_find(buf + at) : NULL;

		if (type >= 0 || trace)
			add_hit(p, at, type, trace);
	}
}

static void
note_mail(size_t at, size_t length, void *closure)
{
	struct piece *p = closure;

	if (p->mail_addresses < ARRAY_SIZE(p->mail_at)) {
		p->mail_at[p->mail_addresses] = at;
		p->mail_length[p->mail_addresses] = (uint8_t)PL_MIN(length, UINT8_MAX);
	}
	p->mail_addresses++;
}

/* Text and the like is searched for addresses, runs that touch as one. */
static void
search_mail(struct piece *p, const uint8_t *buf)
{
	for (size_t i = 0; i < p->nr_runs;) {
		size_t start = p->runs[i].start, end = start;

		while (i < p->nr_runs && (p->runs[i].kind == PLATTER_CLASS_TEXT ||
					  p->runs[i].kind == PLATTER_CLASS_OTHER)) {
			end = p->runs[i].start + p->runs[i].length;
			i++;
		}
		if (end > start) {
			uint64_t before = p->mail_addresses;

			pl_mail_addresses(buf + start, end - start, note_mail, p);
			for (uint64_t k = before;
			     k < PL_MIN(p->mail_addresses, ARRAY_SIZE(p->mail_at)); k++)
				p->mail_at[k] += p->offset + start;
		} else {
			i++;
		}
	}
}

static void
add_bad_run(struct piece *p, size_t start, size_t length)
{
	struct pl_class_run *last = p->nr_runs ? &p->runs[p->nr_runs - 1] : NULL;

	if (last && last->kind == PLATTER_CLASS_UNREADABLE)
		last->length += (uint32_t)length;
	else
		p->runs[p->nr_runs++] = (struct pl_class_run){ .start = (uint32_t)start,
							       .length = (uint32_t)length,
							       .kind = PLATTER_CLASS_UNREADABLE };
}

/* Classify what was read to buf + start, behind the runs that are there. */
static void
classify_part(struct piece *p, const uint8_t *buf, size_t start, size_t length)
{
	size_t nr = pl_classify(buf + start, length, p->runs + p->nr_runs, p->histogram);

	for (size_t i = p->nr_runs; i < p->nr_runs + nr; i++)
		p->runs[i].start += (uint32_t)start;
	p->nr_runs += nr;
	p->read += length;
}

/* Read in smaller and smaller steps, down to a sector, what could not be read at once. */
static int
read_by_halves(struct examine *e, struct piece *p, uint8_t *buf, size_t start, size_t length)
{
	size_t sector = PL_MAX((size_t)PL_CLASS_SECTOR, e->disk->sector_size), half;
	int r;

	if (pl_meter_cancelled(&e->meter))
		return -ECANCELED;
	r = pl_read_once(e->disk, buf + start, length, p->offset + start, &p->err);
	if (r == 0) {
		classify_part(p, buf, start, length);
		return 0;
	}
	if (r == -ENOMEM)
		return r;
	memset(buf + start, 0, length);
	if (length <= sector) {
		add_bad_run(p, start, length);
		return 0;
	}
	half = (size_t)PL_MAX(pl_round_down(length / 2, sector), sector);
	r = read_by_halves(e, p, buf, start, half);
	return r < 0 ? r : read_by_halves(e, p, buf, start + half, length - half);
}

static int
examine_piece(struct examine *e, struct piece *p, uint8_t *buf)
{
	size_t length = (size_t)p->length;
	size_t n = length + (size_t)PL_MIN(AHEAD, e->disk->size - p->offset - length);
	int r = pl_read_once(e->disk, buf, n, p->offset, &p->err);

	if (r < 0 && n > length) {
		n = length;
		r = pl_read_once(e->disk, buf, n, p->offset, &p->err);
	}
	if (r == 0)
		classify_part(p, buf, 0, length);
	else
		r = read_by_halves(e, p, buf, 0, length);
	if (r < 0)
		return r;
	/* What is behind the end is looked at as zeros. */
	if (n < length + AHEAD)
		memset(buf + n, 0, length + AHEAD - n);
	for (size_t i = 0; i < p->nr_runs; i++)
		if (p->runs[i].kind == PLATTER_CLASS_RANDOM ||
		    p->runs[i].kind == PLATTER_CLASS_TEXT || p->runs[i].kind == PLATTER_CLASS_OTHER)
			search_run(p, buf, length + AHEAD, &p->runs[i]);
	search_mail(p, buf);
	return 0;
}

static void
work(void *closure, size_t index)
{
	struct examine *e = closure;
	uint8_t *buf = e->buffers + index * (PIECE + AHEAD);
	size_t i;

	while ((i = atomic_fetch_add(&e->next, 1)) < e->nr_pieces) {
		struct piece *p = &e->pieces[i];

		if (pl_meter_cancelled(&e->meter))
			return;
		if (p->kind == PLATTER_DATA)
			p->result = examine_piece(e, p, buf);
		pl_meter_add(&e->meter, p->length, p->kind == PLATTER_DATA ? p->length : 0);
	}
}

/* ---- adding up, in the order of the disk ---- */

static void
add_to_cells(struct pl_examination *x, uint64_t offset, uint64_t length, enum platter_class kind)
{
	x->e.bytes[kind] += length;
	x->e.examined += length;
	while (length) {
		uint64_t cell = offset / x->e.granularity;
		uint64_t n = PL_MIN(length, (cell + 1) * x->e.granularity - offset);

		x->cells[cell].bytes[kind] += n;
		offset += n;
		length -= n;
	}
}

static void
add_pattern(struct pl_examination *x, const struct pl_class_run *run)
{
	struct platter_pattern *p = x->patterns;
	size_t i = 0;

	while (i < x->e.nr_patterns &&
	       (p[i].length != run->period || memcmp(p[i].bytes, run->pattern, run->period) != 0))
		i++;
	if (i == PL_EXAMINE_PATTERNS)
		return;
	if (i == x->e.nr_patterns) {
		x->e.nr_patterns++;
		p[i].length = run->period;
		memcpy(p[i].bytes, run->pattern, run->period);
	}
	p[i].size += run->length;
}

/* What the disk begins with, as long as it is of one kind. */
static void
follow_beginning(struct pl_examination *x, uint64_t offset, uint64_t length,
		 enum platter_class kind)
{
	bool blank = kind <= PLATTER_CLASS_PATTERN;

	if (x->leading_ended)
		return;
	if (blank && offset == x->leading_blank)
		x->leading_blank += length;
	else if (kind == PLATTER_CLASS_RANDOM && offset == x->leading_random)
		x->leading_random += length;
	else
		x->leading_ended = true;
}

/* Is the byte where a file system says that it uses nothing? */
static int
is_unused(struct examine *e, uint64_t offset, uint64_t length, bool *ret_unused,
	  uint64_t *ret_length, struct platter_error *err)
{
	struct pl_extent extent;
	int r;

	*ret_unused = false;
	*ret_length = length;
	if (!e->x->used)
		return 0;
	r = pl_map(e->x->used->disk, offset, length, &extent, err);
	if (r == 0) {
		*ret_unused = extent.kind == PLATTER_HOLE;
		*ret_length = PL_MIN(length, extent.length);
	}
	return r;
}

static int
add_unused(struct examine *e, uint64_t offset, uint64_t length, struct platter_error *err)
{
	while (length) {
		uint64_t n;
		bool unused;
		int r = is_unused(e, offset, length, &unused, &n, err);

		if (r < 0)
			return r;
		if (unused)
			e->x->e.unused_data += n;
		offset += n;
		length -= n;
	}
	return 0;
}

static int
add_range(struct examine *e, uint64_t offset, uint64_t length, enum platter_class kind,
	  struct platter_error *err)
{
	add_to_cells(e->x, offset, length, kind);
	follow_beginning(e->x, offset, length, kind);
	if (kind == PLATTER_CLASS_RANDOM || kind == PLATTER_CLASS_TEXT ||
	    kind == PLATTER_CLASS_OTHER)
		return add_unused(e, offset, length, err);
	return 0;
}

static int
add_file(struct examine *e, uint64_t at, int type, struct platter_error *err)
{
	struct platter_remains_type *t = &e->x->types[type];
	uint64_t n;
	bool unused;
	int r = is_unused(e, at, 1, &unused, &n, err);

	if (r < 0)
		return r;
	if (!t->count)
		t->first = at;
	if (t->count < e->examples)
		e->example_list[e->x->e.nr_examples++] =
			(struct platter_example){ t->longname, "", at };
	t->count++;
	t->unused += unused;
	return 0;
}

/* Is it known already, or a copy of something that is? */
static bool
is_known(const struct pl_examination *x, const struct platter_structure *s)
{
	for (size_t i = 0; i < x->e.nr_structures; i++) {
		const struct platter_structure *have = &x->structures[i];

		if (have->offset == s->offset && !strcmp(have->name, s->name) &&
		    (have->opens || have->backup <= s->backup))
			return true;
	}
	return false;
}

static bool
is_present(const struct pl_examination *x, const struct platter_structure *s)
{
	if (s->type == PLATTER_STRUCTURE_TABLE)
		return x->table && s->offset == 0 && !strcmp(x->table, s->name);
	for (size_t i = 0; i < x->nr_volumes; i++)
		if (s->offset >= 0 && x->volumes[i].offset == (uint64_t)s->offset)
			return true;
	return false;
}

/* Is the byte in use by the files of a volume?  What is in them is none of the disk's own. */
static bool
is_in_file(struct examine *e, uint64_t at)
{
	for (size_t i = 0; i < e->x->nr_volumes; i++) {
		const struct pl_examined_volume *v = &e->x->volumes[i];
		bool unused;
		uint64_t n;

		if (v->opens && v->entries && at > v->offset + PL_CONTENT_HEAD &&
		    at - v->offset < v->size)
			return is_unused(e, at, 1, &unused, &n, NULL) == 0 && !unused;
	}
	return false;
}

static void
add_trace(struct examine *e, uint64_t at, const struct pl_trace_kind *kind)
{
	struct pl_examination *x = e->x;
	struct pl_traced traced;

	if (is_in_file(e, at))
		return;
	if (e->nr_looks >= MAX_LOOKS) {
		x->e.structures_found++;
		return;
	}
	e->nr_looks++;
	if (!pl_trace_look(e->disk, kind, at, &x->arena, &traced) || is_known(x, &traced.structure))
		return;
	x->e.structures_found++;
	if (x->e.nr_structures == PL_EXAMINE_STRUCTURES)
		return;
	traced.structure.present = is_present(x, &traced.structure);
	x->structures[x->e.nr_structures++] = traced.structure;
}

/* "j***@e******.com": enough to see what it is, too little to use it. */
static char *
mask(struct pl_arena *arena, const uint8_t *text, size_t n)
{
	char *copy = pl_arena_alloc(arena, n + 1);
	size_t sign = 0, dot = n;

	if (!copy)
		return NULL;
	memcpy(copy, text, n);
	while (sign < n && copy[sign] != '@')
		sign++;
	while (dot > sign && copy[dot - 1] != '.')
		dot--;
	for (size_t i = 1; i + 1 < dot; i++)
		if (i != sign && i != sign + 1)
			copy[i] = '*';
	return copy;
}

static void
keep_mail(struct examine *e, const struct piece *p)
{
	for (size_t i = 0; i < PL_MIN(p->mail_addresses, ARRAY_SIZE(p->mail_at)); i++) {
		uint8_t text[UINT8_MAX];
		char *masked;

		if (e->nr_mail_examples >= e->examples ||
		    pl_read(e->disk, text, p->mail_length[i], p->mail_at[i], NULL) < 0)
			return;
		masked = mask(&e->x->arena, text, p->mail_length[i]);
		if (!masked)
			return;
		e->nr_mail_examples++;
		e->example_list[e->x->e.nr_examples++] =
			(struct platter_example){ "mail address", masked, p->mail_at[i] };
	}
}

static int
add_piece(struct examine *e, const struct piece *p, struct platter_error *err)
{
	struct pl_examination *x = e->x;
	int r = 0;

	if (p->kind != PLATTER_DATA)
		return add_range(e, p->offset, p->length,
				 p->kind == PLATTER_BAD ? PLATTER_CLASS_UNREADABLE
							: PLATTER_CLASS_ZERO,
				 err);
	for (size_t i = 0; i < p->nr_runs && r == 0; i++) {
		const struct pl_class_run *run = &p->runs[i];

		if (run->kind == PLATTER_CLASS_PATTERN)
			add_pattern(x, run);
		r = add_range(e, p->offset + run->start, run->length, run->kind, err);
	}
	for (size_t i = 0; i < p->nr_hits && r == 0; i++) {
		const struct hit *h = &p->hits[i];

		if (h->trace)
			add_trace(e, p->offset + h->at, h->trace);
		if (h->type >= 0)
			r = add_file(e, p->offset + h->at, h->type, err);
	}
	for (unsigned i = 0; i < 256; i++)
		x->histogram[i] += p->histogram[i];
	x->e.mail_addresses += p->mail_addresses;
	x->e.read += p->read;
	keep_mail(e, p);
	return r;
}

static int
run_pieces(struct examine *e, struct platter_error *err)
{
	size_t nr = e->nr_pieces;
	int r = 0;

	atomic_store(&e->next, 0);
	pl_parallel(pl_nr_processors(), work, e);
	e->nr_pieces = 0;
	if (pl_meter_cancelled(&e->meter))
		return pl_fail(err, -ECANCELED, "examining was cancelled");
	for (size_t i = 0; i < nr && r == 0; i++) {
		if (e->pieces[i].result < 0) {
			if (err)
				*err = e->pieces[i].err;
			return e->pieces[i].result;
		}
		r = add_piece(e, &e->pieces[i], err);
	}
	return r;
}

static int
add_task(struct examine *e, uint64_t offset, uint64_t length, enum platter_kind kind,
	 struct platter_error *err)
{
	struct piece *p = &e->pieces[e->nr_pieces++];

	p->offset = offset;
	p->length = length;
	p->kind = kind;
	p->result = 0;
	p->nr_runs = p->nr_hits = 0;
	p->mail_addresses = p->read = 0;
	memset(p->histogram, 0, sizeof p->histogram);
	return e->nr_pieces == NR_PIECES ? run_pieces(e, err) : 0;
}

/* Look at all of [offset, offset + length). */
static int
examine_range(struct examine *e, struct pl_walk *walk, uint64_t offset, uint64_t length,
	      struct platter_error *err)
{
	uint64_t end = offset + length;
	int r = 0;

	while (offset < end && r == 0) {
		enum platter_kind kind = PLATTER_DATA;
		uint64_t n;

		r = pl_walk_at(walk, offset, end - offset, &kind, &n, err);
		/* Where the map is damaged, reading tells what is left. */
		if (r < 0 && r != -ENOMEM) {
			kind = PLATTER_DATA;
			n = PL_MIN(KIB(64), end - offset);
			r = 0;
		}
		if (r < 0)
			break;
		if (kind == PLATTER_DATA)
			n = PL_MIN(n, PIECE - offset % PIECE);
		r = add_task(e, offset, n, kind, err);
		offset += n;
	}
	return r;
}

/* ---- what is looked at ---- */

/* A generator of Marsaglia's, which a seed sets off the same way everywhere. */
static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/*
 * Both ends, where tables and superblocks are, and between them one block at a random place of
 * each of so many equal strata.
 */
static int
examine_sample(struct examine *e, uint64_t wanted, uint64_t seed, struct platter_error *err)
{
	struct pl_walk walk = { .disk = e->disk };
	uint64_t size = e->disk->size, ends = PL_MIN(SAMPLE_ENDS, size / 2);
	uint64_t middle = size - 2 * ends, nr = PL_MAX(wanted / SAMPLE_BLOCK, 1), state = seed;
	uint64_t stratum;
	int r;

	nr = PL_MIN(nr, PL_MAX(middle / (2 * SAMPLE_BLOCK), 1));
	stratum = middle / nr / PL_CLASS_SECTOR * PL_CLASS_SECTOR;
	r = examine_range(e, &walk, 0, ends, err);
	for (uint64_t i = 0; i < nr && stratum > SAMPLE_BLOCK && r == 0; i++) {
		uint64_t places = (stratum - SAMPLE_BLOCK) / PL_CLASS_SECTOR + 1;
		uint64_t at = next_random(&state) % places * PL_CLASS_SECTOR;

		r = examine_range(e, &walk, ends + i * stratum + at, SAMPLE_BLOCK, err);
	}
	if (r == 0)
		r = examine_range(e, &walk, size - ends, ends, err);
	e->x->e.samples = nr;
	return r;
}

/* x in (1 - x)^n = 0.01: the share that n places all miss once in a hundred times. */
static double
missed_share(uint64_t n)
{
	double low = 0, high = 1;

	for (int i = 0; i < 60; i++) {
		double middle = (low + high) / 2, all = 1, base = 1 - middle;

		for (uint64_t k = n; k; k >>= 1, base *= base)
			if (k & 1)
				all *= base;
		*(all > 0.01 ? &low : &high) = middle;
	}
	return high;
}

static int
make_room(struct examine *e, struct platter_error *err)
{
	struct pl_examination *x = e->x;
	uint64_t unit = pl_div_round_up(PL_MAX(x->e.size, 1), PL_EXAMINE_CELLS);

	x->e.granularity = pl_round_up(unit, KIB(4));
	x->nr_cells = (size_t)pl_div_round_up(x->e.size, x->e.granularity);
	x->cells = pl_arena_alloc(&x->arena, (x->nr_cells + 1) * sizeof *x->cells);
	x->structures = pl_arena_alloc(&x->arena, PL_EXAMINE_STRUCTURES * sizeof *x->structures);
	x->types = pl_arena_alloc(&x->arena, pl_nr_signatures * sizeof *x->types);
	e->example_list =
		pl_arena_alloc(&x->arena, (pl_nr_signatures + 1) * (e->examples + (size_t)1) *
						  sizeof *e->example_list);
	e->buffers = pl_alloc_aligned((PIECE + AHEAD) * pl_nr_processors());
	if (x->arena.failed || !e->buffers)
		return pl_no_memory(err);
	for (size_t i = 0; i < NR_PIECES; i++) {
		struct piece *p = &e->pieces[i];

		p->runs = malloc(pl_class_runs(PIECE) * sizeof *p->runs);
		p->hits = malloc(MAX_HITS * sizeof *p->hits);
		if (!p->runs || !p->hits)
			return pl_no_memory(err);
	}
	for (size_t i = 0; i < pl_nr_signatures; i++)
		x->types[i] = (struct platter_remains_type){ .name = pl_signatures[i].name,
							     .longname = pl_signatures[i].longname,
							     .kind = pl_signatures[i].kind };
	return 0;
}

static void
done(struct examine *e)
{
	for (size_t i = 0; i < NR_PIECES; i++) {
		free(e->pieces[i].runs);
		free(e->pieces[i].hits);
	}
	free(e->buffers);
	pl_place_close(e->x->used);
	e->x->used = NULL;
	free(e);
}

static int
examine_disk(struct examine *e, const struct platter_examine_options *o,
	     struct platter_progress *progress, struct platter_error *err)
{
	struct pl_walk walk = { .disk = e->disk };
	struct pl_examination *x = e->x;
	uint64_t seed = o->seed, size = e->disk->size;
	bool sample = o->sample && o->sample < size && size > 4 * SAMPLE_ENDS;
	int r;

	while (sample && !seed)
		if (getrandom(&seed, 4, 0) != 4)
			seed = 1;
	pl_meter_start(&e->meter, progress, "examining",
		       sample ? o->sample + 2 * SAMPLE_ENDS : size);
	if (sample)
		r = examine_sample(e, o->sample, seed, err);
	else
		r = examine_range(e, &walk, 0, size, err);
	if (r == 0)
		r = run_pieces(e, err);
	pl_meter_finish(&e->meter);
	x->e.seconds = pl_meter_seconds(&e->meter);
	if (sample) {
		x->e.seed = seed;
		x->e.missed = missed_share(x->e.samples);
	}
	x->e.examples = e->example_list;
	return r;
}

int
pl_examine(struct pl_place *place, const struct platter_examine_options *options,
	   struct platter_progress *progress, struct platter_examination **ret,
	   struct platter_error *err)
{
	struct pl_examination *x = calloc(1, sizeof *x);
	struct examine *e = calloc(1, sizeof *e);
	int r;

	if (!x || !e) {
		free(x);
		free(e);
		return pl_no_memory(err);
	}
	e->x = x;
	e->disk = x->disk = place->disk;
	e->examples = PL_MIN(options->examples, 16);
	x->e.size = place->disk->size;
	if (place->disk->sequential || place->disk->size == UINT64_MAX) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET, "a stream cannot be examined");
		pl_hint(err, "save the stream as a file first");
	} else {
		r = make_room(e, err);
	}
	pl_examine_hidden(place, &x->e.hidden);
	if (r == 0)
		r = pl_examine_layout(x, place, err);
	if (r == 0)
		r = examine_disk(e, options, progress, err);
	if (r == 0)
		r = pl_examine_judge(x, err);
	done(e);
	if (r < 0)
		pl_examination_free(&x->e);
	else
		*ret = &x->e;
	return r;
}

void
pl_examination_free(struct platter_examination *examination)
{
	struct pl_examination *x;

	if (!examination)
		return;
	x = pl_container_of(examination, struct pl_examination, e);
	pl_arena_done(&x->arena);
	free(x);
}
