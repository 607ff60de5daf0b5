/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rescue-phases.c - in what order a failing drive is read
 *
 * What is easy to read is read first, for every failing read may be the drive's last, and takes
 * seconds where others take milliseconds:
 *
 *	copying		large reads; after one that fails a piece is skipped, and more after each
 *			further one.  Forwards, backwards, and both again from what was left, so that
 *			bad areas are closed in on from both sides; in the fifth pass all of the rest.
 *	trimming	sector by sector from both edges of what failed, up to the first bad one
 *	scraping	sector by sector what lies between
 *	retrying	what is bad, as often as is asked for, in turn from either end
 *
 * While all goes well reads are large and several run at once.  A large one that fails marks
 * nothing: it is done again in clusters, so that no more than one cluster is given up.
 */
#include "rescue.h"

/* What is given up at once while copying; ddrescue's, whose trimming this leaves as much to do. */
#define CLUSTER KIB(64)

#define MAX_WINDOW 4
/* How large reads become with the first good ones. */
#define SOON_BYTES KIB(256)
/*
 * Good reads after which the next ones are larger, or more.  Once there was a bad spot the next is
 * not far, and a large read that fails is one that a careful reader would not have made.
 */
#define GROW_AFTER         64
#define GROW_CAREFUL_AFTER 512

/* Most that is skipped at once: a hundredth of the disk, or this. */
#define MAX_SKIP GIB(1)

/* Failing reads in a row after which a sector that was read before is read again. */
#define DOUBT_AFTER 24
/* So many are. */
#define DOUBTED 4

/* A read that took longer than this, and so many times longer than usual, shows a bad spot. */
#define SLOW_SECONDS 1.0
#define SLOW_TIMES   10

#define COPY_PASSES 5

/* How long to wait for a read before looking whether there is something else to do. */
#define TICK 0.1

/* Along the disk in one direction. */
struct sweep {
	bool backward;
	uint64_t position; /* where the rest begins; backwards, where it ends */
};

static uint64_t
minimum(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The next run of these statuses that is wanted. */
static bool
next_run(const struct pl_rescue *e, const struct sweep *s, const char *statuses,
	 struct pl_block *ret)
{
	uint64_t at = s->position;
	const struct pl_range *range = pl_ranges_find(&e->wanted, at);

	for (; range && range < e->wanted.range + e->wanted.nr; range++)
		if (pl_mapfile_next(&e->map, PL_MAX(at, range->start), range->end, statuses, ret))
			return true;
	return false;
}

/* The same, going down from the position. */
static bool
previous_run(const struct pl_rescue *e, const struct sweep *s, const char *statuses,
	     struct pl_block *ret)
{
	uint64_t to = s->position;
	const struct pl_range *range;
	size_t i;

	if (!to || !e->wanted.nr)
		return false;
	range = pl_ranges_find(&e->wanted, to - 1);
	i = range ? (size_t)(range - e->wanted.range) + 1 : e->wanted.nr;
	while (i-- > 0) {
		range = &e->wanted.range[i];
		if (range->start < to &&
		    pl_mapfile_previous(&e->map, range->start, minimum(to, range->end), statuses,
					ret))
			return true;
	}
	return false;
}

static bool
step(const struct pl_rescue *e, const struct sweep *s, const char *statuses, struct pl_block *ret)
{
	return s->backward ? previous_run(e, s, statuses, ret) : next_run(e, s, statuses, ret);
}

/* The sectors that [offset, end) touches. */
static void
to_sectors(const struct pl_rescue *e, uint64_t *offset, uint64_t *end)
{
	*offset = pl_round_down(*offset, e->sector_size);
	*end = minimum(pl_round_up(*end, e->sector_size), e->end);
}

/* ---- what a read has shown ---- */

static int
mark_good(struct pl_rescue *e, uint64_t offset, uint64_t length, struct platter_error *err)
{
	uint64_t before = pl_mapfile_bytes(&e->map, PL_BLOCK_FINISHED);
	int r;

	if (!length)
		return 0;
	r = pl_mapfile_set(&e->map, offset, length, PL_BLOCK_FINISHED, err);
	pl_meter_add(&e->meter, pl_mapfile_bytes(&e->map, PL_BLOCK_FINISHED) - before, length);
	e->last_good = pl_round_down(offset, e->sector_size);
	e->nr_undo = 0;
	return r;
}

static int
mark_bad(struct pl_rescue *e, uint64_t offset, uint64_t length, enum pl_block_status status,
	 struct platter_error *err)
{
	uint64_t end = offset + length;
	struct pl_block run;

	for (uint64_t at = offset; e->nr_undo < PL_RESCUE_UNDO &&
				   pl_mapfile_next(&e->map, at, end, PL_BLOCKS_UNFINISHED, &run);
	     at = run.offset + run.length)
		e->undo[e->nr_undo++] = run;
	return pl_mapfile_set_unfinished(&e->map, offset, length, status, err);
}

/*
 * What failed since the last good read was not the sectors' fault.  What was tried is tried again
 * when the work goes on.
 */
static void
undo(struct pl_rescue *e)
{
	while (e->nr_undo) {
		const struct pl_block *b = &e->undo[--e->nr_undo];

		pl_mapfile_set_unfinished(&e->map, b->offset, b->length, b->status, NULL);
	}
}

static int
gone(struct pl_rescue *e, const char *how, struct platter_error *err)
{
	int r;

	undo(e);
	r = pl_fail(err, -ENODEV, "'%s' %s", pl_reader_source(e->reader)->path, how);
	pl_hint(err, "what was read is safe; when the device is back, the same command goes on");
	return r;
}

/* What every answer means, whatever it is an answer to. */
static int
note(struct pl_rescue *e, const struct pl_reader_result *result, struct platter_error *err)
{
	int r;

	switch (result->answer) {
	case PL_READER_READ: return mark_good(e, result->offset, result->length, err);
	case PL_READER_GONE: return gone(e, "is gone", err);
	case PL_READER_UNWRITTEN: return pl_reader_error(e->reader, err);
	default: r = result->done ? mark_good(e, result->offset, result->done, err) : 0; return r;
	}
}

/* Wait for the answer to a read; NULL-length: none came within a tick. */
static int
wait_answer(struct pl_rescue *e, struct pl_reader_result *ret, struct platter_error *err)
{
	int r;

	*ret = (struct pl_reader_result){ 0 };
	if (pl_reader_wait(e->reader, TICK, ret)) {
		r = note(e, ret, err);
		if (r < 0)
			return r;
	}
	/* What was given up, and has come now, is noted; nobody waits for it. */
	if (ret->late)
		ret->length = 0;
	return pl_rescue_pause(e, err);
}

/* Read without conclusions. */
static int
read_plainly(struct pl_rescue *e, uint64_t offset, size_t n, struct pl_reader_result *ret,
	     struct platter_error *err)
{
	int r = pl_reader_begin(e->reader, offset, n, err);

	while (r == 0) {
		r = wait_answer(e, ret, err);
		if (r == 0 && ret->length && ret->offset == offset)
			break;
	}
	return r == -ETIMEDOUT ? gone(e, "does not answer any more", err) : r;
}

/*
 * After many failures in a row: is the device still there?  One that has died fails all reads, and
 * must not have them taken for bad sectors.  One sector that was read before may be a weak one.
 */
static int
doubt(struct pl_rescue *e, struct platter_error *err)
{
	struct pl_block pieces[PL_RESCUE_UNDO], run;
	uint64_t at = e->last_good;
	size_t nr = e->nr_undo;

	e->pace.bad = 0;
	if (at == UINT64_MAX && (e->other || !pl_mapfile_next(&e->map, 0, e->end, "+", &run)))
		return 0;
	if (at == UINT64_MAX)
		at = pl_round_down(run.offset, e->sector_size);
	memcpy(pieces, e->undo, nr * sizeof *pieces);
	for (unsigned i = 0; i < DOUBTED; i++) {
		struct pl_reader_result result;
		int r = read_plainly(e, at, (size_t)minimum(e->sector_size, e->end - at), &result,
				     err);

		if (r < 0 || result.answer == PL_READER_READ)
			return r;
		if (pl_mapfile_next(&e->map, e->end / DOUBTED * i, e->end, "+", &run))
			at = pl_round_down(run.offset, e->sector_size);
	}
	memcpy(e->undo, pieces, nr * sizeof *pieces);
	e->nr_undo = nr;
	return gone(e, "does not read any more what it has read before", err);
}

/* A read failed: mark it, and make sure that the device is alive. */
static int
failed(struct pl_rescue *e, uint64_t offset, uint64_t length, enum pl_block_status status,
       struct platter_error *err)
{
	int r = mark_bad(e, offset, length, status, err);

	e->pace.bad++;
	if (r == 0 && (e->pace.bad >= DOUBT_AFTER || e->nr_undo == PL_RESCUE_UNDO))
		r = doubt(e, err);
	return r;
}

int
pl_rescue_read(struct pl_rescue *e, uint64_t offset, size_t n, bool *ret_good,
	       struct platter_error *err)
{
	struct pl_reader_result result;
	int r = read_plainly(e, offset, n, &result, err);

	*ret_good = r == 0 && result.answer == PL_READER_READ;
	if (*ret_good)
		e->pace.bad = 0;
	return r;
}

/* ---- copying ---- */

static uint64_t
most_skip(const struct pl_rescue *e)
{
	return PL_MAX(CLUSTER, pl_round_down(minimum(e->end / 100, MAX_SKIP), CLUSTER));
}

static void
start_pace(struct pl_rescue *e)
{
	e->pace = (struct pl_rescue_pace){
		.read_size = CLUSTER,
		.grow_after = GROW_AFTER,
		.window = 1,
		.base = PL_MAX(CLUSTER, pl_round_down(e->end / 100000, CLUSTER)),
	};
	e->pace.skip = e->pace.base;
}

/* A bad area that took several jumps to leave is how they are on this drive. */
static void
learn(struct pl_rescue *e)
{
	struct pl_rescue_pace *p = &e->pace;

	if (p->jumps > 2)
		p->base = minimum(2 * p->base, most_skip(e));
	else if (p->jumps == 1)
		p->base = PL_MAX(p->base / 2, CLUSTER);
	p->jumps = 0;
	p->skip = p->base;
}

static bool
was_slow(struct pl_rescue *e, const struct pl_reader_result *result)
{
	struct pl_rescue_pace *p = &e->pace;
	bool slow = result->seconds > SLOW_SECONDS && p->usual > 0 &&
		    result->seconds > SLOW_TIMES * p->usual;

	if (!slow)
		p->usual += (p->usual > 0 ? 0.1 : 1) * (result->seconds - p->usual);
	return slow;
}

static void
went_well(struct pl_rescue *e)
{
	struct pl_rescue_pace *p = &e->pace;

	p->bad = 0;
	/* As long as no bad spot was met. */
	if (p->grow_after == GROW_AFTER && p->window < MAX_WINDOW) {
		p->window++;
		p->read_size = minimum(2 * p->read_size, SOON_BYTES);
	}
	if (++p->good < p->grow_after)
		return;
	p->good = 0;
	if (p->read_size < PL_READER_BYTES)
		p->read_size *= 2;
	else if (p->window < MAX_WINDOW)
		p->window++;
}

/* One by one from now on. */
static void
slow_down(struct pl_rescue *e)
{
	e->pace.good = 0;
	e->pace.read_size = CLUSTER;
	e->pace.grow_after = GROW_CAREFUL_AFTER;
	e->pace.window = 1;
}

/* A pass of copying. */
struct copying {
	struct sweep sweep;
	bool skips;
	bool hold; /* no new reads until those that run have ended, then go on at `rewind` */
	uint64_t rewind;
};

/* The next read: up to a multiple of its size. */
static bool
next_read(const struct pl_rescue *e, const struct sweep *s, uint64_t *ret_offset, size_t *ret_n)
{
	size_t size = e->pace.read_size;
	struct pl_block run;
	uint64_t offset, end;

	if (!step(e, s, "?", &run))
		return false;
	offset = run.offset;
	end = run.offset + run.length;
	if (s->backward)
		offset = PL_MAX(offset, pl_round_down(end - 1, size));
	else
		end = minimum(end, pl_round_down(offset, size) + size);
	to_sectors(e, &offset, &end);
	*ret_offset = offset;
	*ret_n = (size_t)(end - offset);
	return true;
}

/* The sweep goes on behind this read, and `skip` bytes more; never back. */
static void
pass_by(struct sweep *s, uint64_t offset, uint64_t length, uint64_t skip)
{
	if (s->backward)
		s->position = minimum(s->position, offset > skip ? offset - skip : 0);
	else
		s->position = PL_MAX(s->position, offset + length + skip);
}

static int
begin_reads(struct pl_rescue *e, struct copying *c, struct platter_error *err)
{
	uint64_t offset;
	size_t n;

	while (!c->hold && pl_reader_pending(e->reader) < e->pace.window &&
	       next_read(e, &c->sweep, &offset, &n)) {
		int r = pl_reader_begin(e->reader, offset, n, err);

		if (r < 0)
			return r == -ETIMEDOUT ? gone(e, "does not answer any more", err) : r;
		pass_by(&c->sweep, offset, n, 0);
	}
	return 0;
}

static void
jump(struct pl_rescue *e, struct copying *c, const struct pl_reader_result *result)
{
	if (!c->skips)
		return;
	pass_by(&c->sweep, result->offset, result->length, e->pace.skip);
	e->pace.skip = minimum(2 * e->pace.skip, most_skip(e));
	e->pace.jumps++;
}

/* Large reads that fail are done again, in clusters, from the one that comes first. */
static void
do_again(struct pl_rescue *e, struct copying *c, const struct pl_reader_result *result)
{
	uint64_t end = result->offset + result->length;

	if (c->sweep.backward)
		c->rewind = c->hold ? PL_MAX(c->rewind, end) : end;
	else
		c->rewind = c->hold ? minimum(c->rewind, result->offset) : result->offset;
	c->hold = true;
}

static int
take_copied(struct pl_rescue *e, struct copying *c, const struct pl_reader_result *result,
	    struct platter_error *err)
{
	bool good = result->answer == PL_READER_READ, slow = good && was_slow(e, result);

	e->map.position = result->offset;
	if (good && !slow) {
		learn(e);
		went_well(e);
		return 0;
	}
	if (good) {
		slow_down(e);
		jump(e, c, result);
		return 0;
	}
	slow_down(e);
	if (result->length > CLUSTER) {
		do_again(e, c, result);
		return 0;
	}
	jump(e, c, result);
	return failed(e, result->offset, result->length, PL_BLOCK_UNTRIMMED, err);
}

static int
copy_pass(struct pl_rescue *e, struct copying *c, struct platter_error *err)
{
	int r = 0;

	while (r == 0) {
		struct pl_reader_result result;

		r = begin_reads(e, c, err);
		if (r == 0 && pl_reader_pending(e->reader) == 0) {
			if (!c->hold)
				break;
			c->hold = false;
			c->sweep.position = c->rewind;
			continue;
		}
		if (r == 0)
			r = wait_answer(e, &result, err);
		if (r == 0 && result.length)
			r = take_copied(e, c, &result, err);
	}
	return r;
}

static int
copy(struct pl_rescue *e, struct platter_error *err)
{
	unsigned first = (unsigned)minimum(e->map.pass, COPY_PASSES);
	int r = 0;

	for (unsigned pass = first; pass <= COPY_PASSES && r == 0; pass++) {
		bool backward = (pass % 2 == 0) != e->options->reverse;
		struct copying c = {
			.sweep = { backward, backward ? e->end : 0 },
			.skips = pass < COPY_PASSES,
		};

		if (pass == first && e->map.position)
			c.sweep.position = minimum(e->map.position, e->end);
		e->map.pass = pass;
		/* What was left lies beside bad spots. */
		if (pass > 1)
			slow_down(e);
		if (pass > 2)
			e->pace.base = CLUSTER;
		e->pace.jumps = 0;
		e->pace.skip = e->pace.base;
		r = copy_pass(e, &c, err);
	}
	return r;
}

/* ---- trimming, scraping, retrying ---- */

/* One sector: finished, or bad. */
static int
read_sector(struct pl_rescue *e, uint64_t offset, bool *ret_good, struct platter_error *err)
{
	uint64_t n = minimum(e->sector_size, e->end - offset);
	int r = pl_rescue_read(e, offset, (size_t)n, ret_good, err);

	e->map.position = offset;
	return r < 0 || *ret_good ? r : failed(e, offset, n, PL_BLOCK_BAD, err);
}

/* From both edges to the first bad sector; what is between is for later. */
static int
trim(struct pl_rescue *e, const struct pl_block *run, struct platter_error *err)
{
	uint64_t at = run->offset, end = run->offset + run->length;
	bool good = true;
	int r = 0;

	to_sectors(e, &at, &end);
	for (; r == 0 && good && at < end; at += e->sector_size)
		r = read_sector(e, at, &good, err);
	for (good = true; r == 0 && good && at < end;) {
		end = pl_round_down(end - 1, e->sector_size);
		r = read_sector(e, end, &good, err);
	}
	if (r == 0 && at < end)
		r = pl_mapfile_set_unfinished(&e->map, at, end - at, PL_BLOCK_UNSCRAPED, err);
	return r;
}

/* Each sector of it, in the direction of the sweep. */
static int
scrape(struct pl_rescue *e, bool backward, const struct pl_block *run, struct platter_error *err)
{
	uint64_t at = run->offset, end = run->offset + run->length;
	bool good;
	int r = 0;

	to_sectors(e, &at, &end);
	while (r == 0 && at < end) {
		uint64_t sector = backward ? pl_round_down(end - 1, e->sector_size) : at;

		r = read_sector(e, sector, &good, err);
		if (backward)
			end = sector;
		else
			at = sector + e->sector_size;
	}
	return r;
}

/* All of it at once; *ret_good: that is done. */
static int
read_whole(struct pl_rescue *e, const struct pl_block *run, bool *ret_good,
	   struct platter_error *err)
{
	uint64_t at = run->offset, end = run->offset + run->length;

	*ret_good = false;
	to_sectors(e, &at, &end);
	return end - at > e->sector_size ? pl_rescue_read(e, at, (size_t)(end - at), ret_good, err)
					 : 0;
}

/* At most a cluster of a run, from where the sweep comes. */
static void
cut_run(const struct sweep *s, struct pl_block *run)
{
	uint64_t n = minimum(run->length, CLUSTER);

	if (s->backward)
		run->offset += run->length - n;
	run->length = n;
}

static int
trim_all(struct pl_rescue *e, struct platter_error *err)
{
	struct sweep s = { e->options->reverse, e->options->reverse ? e->end : 0 };
	struct pl_block run;
	int r = 0;

	while (r == 0 && step(e, &s, "*", &run)) {
		r = trim(e, &run, err);
		pass_by(&s, run.offset, run.length, 0);
	}
	return r;
}

static int
scrape_all(struct pl_rescue *e, struct platter_error *err)
{
	struct sweep s = { e->options->reverse, e->options->reverse ? e->end : 0 };
	struct pl_block run;
	int r = 0;

	while (r == 0 && step(e, &s, "/", &run)) {
		cut_run(&s, &run);
		r = scrape(e, s.backward, &run, err);
		pass_by(&s, run.offset, run.length, 0);
	}
	return r;
}

static int
retry(struct pl_rescue *e, unsigned pass, struct platter_error *err)
{
	bool backward = (pass % 2 == 0) != e->options->reverse, good;
	struct sweep s = { backward, backward ? e->end : 0 };
	struct pl_block run;
	int r = 0;

	while (r == 0 && step(e, &s, "-", &run)) {
		cut_run(&s, &run);
		good = false;
		if (e->again && pass == 1)
			r = read_whole(e, &run, &good, err);
		if (r == 0 && !good)
			r = scrape(e, backward, &run, err);
		pass_by(&s, run.offset, run.length, 0);
	}
	return r;
}

/* Bytes of what is wanted that have one of these statuses. */
static uint64_t
count(const struct pl_rescue *e, const char *statuses)
{
	struct pl_block run;
	struct sweep s = { 0 };
	uint64_t sum = 0;

	for (; next_run(e, &s, statuses, &run); s.position = run.offset + run.length)
		sum += run.length;
	return sum;
}

static void
begin_phase(struct pl_rescue *e, char status, const char *name, unsigned pass)
{
	struct platter_progress *progress = e->meter.progress;
	uint64_t total = 0, done = count(e, "+");

	for (size_t i = 0; i < e->wanted.nr; i++)
		total += e->wanted.range[i].end - e->wanted.range[i].start;
	pl_meter_start(&e->meter, progress, name, total);
	/* What was there before is no work that was done. */
	e->meter.sampled_done = done;
	atomic_store(&e->meter.done, done);
	/* Copying goes on where it was stopped, and so looks at what stood there. */
	if (status != e->map.phase || status != PL_BLOCK_UNTRIED) {
		e->map.position = 0;
		e->map.pass = pass;
	}
	e->map.phase = status;
	e->worked = true;
	start_pace(e);
}

int
pl_rescue_phases(struct pl_rescue *e, struct platter_error *err)
{
	int r = 0;

	if (count(e, "?")) {
		begin_phase(e, PL_BLOCK_UNTRIED, "copying", 1);
		r = copy(e, err);
	}
	if (r == 0 && !e->options->no_trim && count(e, "*")) {
		begin_phase(e, PL_BLOCK_UNTRIMMED, "trimming", 1);
		r = trim_all(e, err);
	}
	if (r == 0 && !e->options->no_trim && !e->options->no_scrape && count(e, "/")) {
		begin_phase(e, PL_BLOCK_UNSCRAPED, "scraping", 1);
		r = scrape_all(e, err);
	}
	for (unsigned pass = 1; pass <= e->options->retries && r == 0 && count(e, "-"); pass++) {
		begin_phase(e, PL_BLOCK_BAD, "retrying", pass);
		r = retry(e, pass, err);
	}
	return r;
}
