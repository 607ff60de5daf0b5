/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wipe.c - passes over what is to be overwritten, and reading it back
 *
 * Some threads for each drive take pieces in order and write, or read, them past the page cache,
 * so that several are always under way.  All before the first piece that is not done is what a
 * state file can count on, once the drive was told to keep it.
 */
#include "wipe.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "storage.h"

/* A multiple of three, so that patterns of three bytes begin alike in every piece. */
#define PIECE   (3 * KIB(512))
#define WORKERS 4

/* Seconds of work that a kill may cost. */
#define SAVE_EVERY 1

/* Sectors in a row that cannot be written: 32 MiB without one that can are a dead drive. */
#define MAX_FAILURES 65536

struct pass;

struct worker {
	struct pass *pass;
	pthread_t thread;
	uint8_t *bytes, *got;
	size_t filled;      /* of `bytes` that hold the pattern */
	uint64_t filled_at; /* where in the target */
	uint64_t start;     /* position of the piece that it is at, or UINT64_MAX */
};

struct pass {
	struct pl_wipe *w;
	const struct pl_extents *extents;
	unsigned number; /* whose bytes are written, or compared */
	bool reads;
	struct pl_meter *meter;
	struct worker worker[WORKERS];
	unsigned nr_workers;

	pthread_mutex_t lock; /* of what follows, and of the state */
	size_t extent;        /* the next piece is in this one, */
	uint64_t at;          /* there */
	uint64_t position;    /* and so many bytes of the extents are before it */
	uint64_t failures;    /* without a success in between */
	bool saving;
	double saved; /* on a steady clock */
	int code;
	struct platter_error err;
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Errors of one sector: what a drive says of it that cannot store it, or give it back. */
static bool
is_of_sector(int code)
{
	return code == -EIO || code == -ENODATA || code == -EREMOTEIO || code == -EILSEQ ||
	       code == -ETIMEDOUT || code == -ENOLINK;
}

static int
fd_for(const struct pl_wipe *w, uint64_t at, size_t n)
{
	return w->direct_fd >= 0 && at % w->align == 0 && n % w->align == 0 ? w->direct_fd : w->fd;
}

static int
write_fully(const struct pl_wipe *w, const uint8_t *buf, size_t n, uint64_t at)
{
	int fd = fd_for(w, at, n);

	while (n) {
		ssize_t done = pwrite(fd, buf, n, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -ENODEV;
		buf += done;
		n -= (size_t)done;
		at += (uint64_t)done;
	}
	return 0;
}

static int
read_fully(const struct pl_wipe *w, uint8_t *buf, size_t n, uint64_t at)
{
	int fd = fd_for(w, at, n);

	while (n) {
		ssize_t done = pread(fd, buf, n, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		/* Within the known size there is no end: the drive is gone. */
		if (done <= 0)
			return done < 0 ? -errno : -ENODEV;
		buf += done;
		n -= (size_t)done;
		at += (uint64_t)done;
	}
	return 0;
}

/* Half of n bytes at `at` (more than a sector), up to the boundary of a sector. */
static size_t
half_of(const struct pl_wipe *w, uint64_t at, size_t n)
{
	uint64_t middle = pl_round_down(at + n / 2, w->sector_size);

	return middle > at ? (size_t)(middle - at) : (size_t)(w->sector_size - at % w->sector_size);
}

/* Within one sector of the drive? */
static bool
is_one_sector(const struct pl_wipe *w, uint64_t at, size_t n)
{
	return at / w->sector_size == (at + n - 1) / w->sector_size;
}

static int
note(struct pass *p, struct pl_ranges *set, uint64_t offset, size_t n, struct platter_error *err)
{
	int r;

	pthread_mutex_lock(&p->lock);
	r = pl_ranges_add(set, offset, n, err);
	pthread_mutex_unlock(&p->lock);
	return r;
}

/* One sector could not be written. */
static int
note_unwritable(struct pass *p, uint64_t offset, size_t n, int code, struct platter_error *err)
{
	struct pl_wipe *w = p->w;
	bool dead;
	int r;

	pthread_mutex_lock(&p->lock);
	r = pl_ranges_add(&w->state.bad, offset, n, err);
	if (r == 0)
		r = pl_ranges_add(&w->state.now, offset, n, err);
	dead = __atomic_add_fetch(&p->failures, 1, __ATOMIC_RELAXED) > MAX_FAILURES;
	pthread_mutex_unlock(&p->lock);
	if (r == 0 && dead) {
		r = pl_fail_errno(err, code, "write %u sectors of '%s' in a row", MAX_FAILURES,
				  w->target);
		pl_hint(err, "the drive takes no writes any more; destroy it instead");
	}
	return r;
}

/* In halves around what fails, down to the sectors of the drive, which are stepped over. */
static int
write_span(struct pass *p, const uint8_t *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	struct pl_wipe *w = p->w;
	uint64_t at = w->offset + offset;
	int r = write_fully(w, buf, n, at);
	size_t half;

	if (r == 0) {
		__atomic_store_n(&p->failures, 0, __ATOMIC_RELAXED);
		return 0;
	}
	if (!is_of_sector(r)) {
		r = pl_fail_errno(err, r, "write to '%s'", w->target);
		if (r == -ENOSPC)
			pl_hint(err, "the file has holes, which are filled as it is overwritten");
		return r;
	}
	if (is_one_sector(w, at, n))
		return note_unwritable(p, offset, n, r, err);
	half = half_of(w, at, n);
	r = write_span(p, buf, half, offset, err);
	return r < 0 ? r : write_span(p, buf + half, n - half, offset + half, err);
}

/* The same for reading; `each` is told of sectors that cannot be read. */
static int
read_span(const struct pl_wipe *w, uint8_t *buf, size_t n, uint64_t offset,
	  int (*each)(void *closure, uint64_t offset, size_t n, struct platter_error *err),
	  void *closure, struct platter_error *err)
{
	uint64_t at = w->offset + offset;
	int r = read_fully(w, buf, n, at);
	size_t half;

	if (r == 0)
		return 0;
	if (!is_of_sector(r))
		return pl_fail_errno(err, r, "read from '%s'", w->target);
	if (is_one_sector(w, at, n)) {
		memset(buf, 0, n);
		return each(closure, offset, n, err);
	}
	half = half_of(w, at, n);
	r = read_span(w, buf, half, offset, each, closure, err);
	return r < 0 ? r : read_span(w, buf + half, n - half, offset + half, each, closure, err);
}

static int
unreadable_in_pass(void *closure, uint64_t offset, size_t n, struct platter_error *err)
{
	struct pass *p = closure;

	return note(p, &p->w->state.unread, offset, n, err);
}

static int
unreadable(void *closure, uint64_t offset, size_t n, struct platter_error *err)
{
	struct pl_wipe *w = closure;

	return pl_ranges_add(&w->state.unread, offset, n, err);
}

int
pl_wipe_read(struct pl_wipe *w, uint8_t *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	return read_span(w, buf, n, offset, unreadable, w, err);
}

/* The bytes of this pass at `offset`, which a pattern's next piece mostly begins with too. */
static int
make_bytes(struct worker *k, uint64_t offset, size_t n, struct platter_error *err)
{
	const struct pl_wipe *w = k->pass->w;
	struct pl_wipe_pattern pattern = w->order[k->pass->number];
	int r;

	if (pattern.nr && k->filled >= n && offset % pattern.nr == k->filled_at % pattern.nr)
		return 0;
	r = pl_wipe_bytes(pattern, k->pass->number, w->state.seed, offset, k->bytes, n, err);
	k->filled = r < 0 ? 0 : n;
	k->filled_at = offset;
	return r;
}

static bool
is_unread(const struct pass *p, uint64_t offset)
{
	const struct pl_ranges *u = &p->w->state.unread;

	for (size_t i = 0; i < u->nr; i++)
		if (offset >= u->range[i].start && offset < u->range[i].end)
			return true;
	return false;
}

static int
compare_piece(struct worker *k, size_t n, uint64_t offset, struct platter_error *err)
{
	struct pass *p = k->pass;
	uint32_t sector = p->w->sector_size;
	int r = read_span(p->w, k->got, n, offset, unreadable_in_pass, p, err);

	if (r < 0 || memcmp(k->bytes, k->got, n) == 0)
		return r;
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0, some; i < n && r == 0; i += some) {
		some = PL_MIN(n - i, sector - (size_t)((p->w->offset + offset + i) % sector));
		if (memcmp(k->bytes + i, k->got + i, some) != 0 && !is_unread(p, offset + i))
			r = pl_ranges_add(&p->w->state.now, offset + i, some, err);
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

/* The next piece: what can be written past the page cache, or what cannot, not both. */
static bool
take_piece(struct pass *p, struct worker *k, uint64_t *ret_offset, size_t *ret_n)
{
	uint32_t align = p->w->align;
	uint64_t at, n;

	pthread_mutex_lock(&p->lock);
	while (p->extent < p->extents->nr && p->at >= p->extents->range[p->extent].end) {
		p->extent++;
		if (p->extent < p->extents->nr)
			p->at = p->extents->range[p->extent].start;
	}
	if (p->extent >= p->extents->nr || p->code < 0 || pl_meter_cancelled(p->meter)) {
		pthread_mutex_unlock(&p->lock);
		return false;
	}
	n = PL_MIN(p->extents->range[p->extent].end - p->at, PIECE - p->at % PIECE);
	at = p->w->offset + p->at;
	if (at % align)
		n = PL_MIN(n, align - at % align);
	else if (n > align)
		n -= n % align;
	*ret_offset = p->at;
	*ret_n = (size_t)n;
	k->start = p->position;
	p->at += n;
	p->position += n;
	pthread_mutex_unlock(&p->lock);
	return true;
}

static uint64_t
all_done_before(const struct pass *p)
{
	uint64_t low = p->position;

	for (unsigned i = 0; i < p->nr_workers; i++)
		low = PL_MIN(low, p->worker[i].start);
	return low;
}

static int
sync_target(const struct pl_wipe *w, struct platter_error *err)
{
	return fdatasync(w->fd) < 0
		       ? pl_fail_errno(err, -errno, "bring what was written to '%s' to the drive",
				       w->target)
		       : 0;
}

/* The pass came to `done`; `lock` (may be NULL) is held and let go while the drive is waited for. */
static int
save(struct pl_wipe *w, uint64_t done, pthread_mutex_t *lock, struct platter_error *err)
{
	PL_AUTOFREE char *text = NULL;
	double at = now();
	int r;

	w->state.done = done;
	w->state.seconds += at - w->began;
	w->began = at;
	text = pl_wipe_state_text(&w->state);
	if (!text)
		return pl_no_memory(err);
	if (lock)
		pthread_mutex_unlock(lock);
	r = sync_target(w, err);
	if (r == 0 && w->state_path)
		r = pl_wipe_state_save(w->state_path, text, err);
	if (lock)
		pthread_mutex_lock(lock);
	return r;
}

static void
fail(struct pass *p, int code, const struct platter_error *err)
{
	if (code < 0 && p->code == 0) {
		p->code = code;
		p->err = *err;
	}
}

/* A piece is done, or not (code). */
static void
end_piece(struct pass *p, struct worker *k, int code, const struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;

	pthread_mutex_lock(&p->lock);
	fail(p, code, err);
	if (code == 0)
		k->start = UINT64_MAX;
	if (p->code == 0 && !p->saving && p->w->state_path && now() - p->saved > SAVE_EVERY) {
		p->saving = true;
		fail(p, save(p->w, all_done_before(p), &p->lock, &why), &why);
		p->saving = false;
		p->saved = now();
	}
	pthread_mutex_unlock(&p->lock);
}

static void *
work(void *closure)
{
	struct worker *k = closure;
	struct pass *p = k->pass;
	uint64_t offset;
	size_t n;

	while (take_piece(p, k, &offset, &n)) {
		struct platter_error err = PLATTER_ERROR_INIT;
		int r = make_bytes(k, offset, n, &err);

		if (r == 0)
			r = p->reads ? compare_piece(k, n, offset, &err)
				     : write_span(p, k->bytes, n, offset, &err);
		if (r == 0)
			pl_meter_add(p->meter, n, n);
		end_piece(p, k, r, &err);
	}
	return NULL;
}

static int
start_workers(struct pass *p, struct platter_error *err)
{
	/* Behind a page cache the lock of the file lets one writer in. */
	p->nr_workers = p->w->direct_fd >= 0 ? WORKERS : 1;
	for (unsigned i = 0; i < p->nr_workers; i++) {
		struct worker *k = &p->worker[i];

		*k = (struct worker){ .pass = p, .start = UINT64_MAX };
		k->bytes = pl_alloc_aligned(PIECE);
		k->got = p->reads ? pl_alloc_aligned(PIECE) : NULL;
		if (!k->bytes || (p->reads && !k->got))
			return pl_no_memory(err);
	}
	return 0;
}

/* One is enough: threads that cannot be had are done without. */
static void
run_workers(struct pass *p)
{
	unsigned nr = 1;

	while (nr < p->nr_workers &&
	       pthread_create(&p->worker[nr].thread, NULL, work, &p->worker[nr]) == 0)
		nr++;
	work(&p->worker[0]);
	while (nr > 1)
		pthread_join(p->worker[--nr].thread, NULL);
}

/* Go to where `position` bytes of the extents are done. */
static void
go_to(struct pass *p, uint64_t position)
{
	uint64_t rest = position;

	p->position = position;
	p->at = p->extents->nr ? p->extents->range[0].start : 0;
	for (; p->extent < p->extents->nr; p->extent++) {
		const struct pl_range *e = &p->extents->range[p->extent];

		p->at = e->start + rest;
		if (rest < e->end - e->start)
			return;
		rest -= e->end - e->start;
	}
}

/* Run one from where the state says that it is.  What came of it is in the state. */
static int
run_pass(struct pl_wipe *w, bool reads, struct pl_meter *meter, struct platter_error *err)
{
	struct pass p = {
		.w = w,
		.extents = reads && w->sample.nr ? &w->sample : &w->extents,
		.number = reads ? w->nr_passes - 1 : w->state.pass,
		.reads = reads,
		.meter = meter,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.saved = now(),
	};
	uint64_t done;
	int r = start_workers(&p, err);

	if (r == 0) {
		go_to(&p, w->state.done);
		run_workers(&p);
		done = all_done_before(&p);
		r = p.code;
		if (r < 0 && err)
			*err = p.err;
		/* What failed is told, rather than that this could not be noted either. */
		if (r < 0)
			save(w, done, NULL, NULL);
		else
			r = save(w, done, NULL, err);
		if (r == 0 && done < p.extents->bytes)
			r = pl_fail(err, -ECANCELED, "stopped");
	}
	for (unsigned i = 0; i < p.nr_workers; i++) {
		free(p.worker[i].bytes);
		free(p.worker[i].got);
	}
	pthread_mutex_destroy(&p.lock);
	return r;
}

static int
write_passes(struct pl_wipe *w, struct pl_meter *meter, struct platter_error *err)
{
	struct pl_wipe_state *s = &w->state;
	int r = 0;

	while (s->pass < w->nr_passes && r == 0) {
		struct pl_wipe_did *did = &s->did[s->pass];

		if (!did->started)
			did->started = time(NULL);
		r = run_pass(w, false, meter, err);
		pl_ranges_finish(&s->now, s->size);
		did->unwritable = pl_ranges_bytes(&s->now);
		did->written = s->done - PL_MIN(s->done, did->unwritable);
		if (r < 0)
			break;
		did->finished = time(NULL);
		s->pass++;
		pl_ranges_done(&s->now);
		r = save(w, 0, NULL, err);
	}
	return r;
}

/* What was read or written through the page cache is to come from the drive. */
static void
drop_cache(const struct pl_wipe *w)
{
	if (w->report.drive.device)
		ioctl(w->fd, BLKFLSBUF, 0);
	posix_fadvise(w->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int
read_back(struct pl_wipe *w, struct pl_meter *meter, struct platter_error *err)
{
	struct platter_wipe_report *r = &w->report;
	struct pl_wipe_state *s = &w->state;
	char what[24];
	int code;

	if (!s->verify_started)
		s->verify_started = time(NULL);
	r->verify_started = s->verify_started;
	drop_cache(w);
	code = run_pass(w, true, meter, err);
	pl_ranges_finish(&s->now, s->size);
	pl_ranges_finish(&s->unread, s->size);
	r->verified = s->done;
	r->different = pl_ranges_bytes(&s->now);
	r->unreadable = pl_ranges_bytes(&s->unread);
	if (code < 0)
		return code;
	r->verify_finished = time(NULL);
	pl_wipe_pattern_text(w->order[w->nr_passes - 1], what, sizeof what);
	if (!r->different && !r->unreadable)
		snprintf(w->verify_text, sizeof w->verify_text, "%s holds what was written: %s",
			 r->verify == PLATTER_WIPE_VERIFY_FULL ? "every byte" : "the sample", what);
	else
		snprintf(w->verify_text, sizeof w->verify_text,
			 "%" PRIu64 " bytes differ from what was written, %" PRIu64
			 " could not be read",
			 r->different, r->unreadable);
	return 0;
}

uint64_t
pl_wipe_read_back(const struct pl_wipe *w)
{
	if (w->report.verify == PLATTER_WIPE_VERIFY_NONE)
		return 0;
	return w->sample.nr ? w->sample.bytes : w->extents.bytes;
}

uint64_t
pl_wipe_work(const struct pl_wipe *w)
{
	return w->extents.bytes * PL_MAX(w->nr_passes, 1) + pl_wipe_read_back(w);
}

/* What earlier runs did. */
static uint64_t
work_kept(const struct pl_wipe *w)
{
	return w->extents.bytes * w->state.pass + w->state.done;
}

static int
overwrite(struct pl_wipe *w, struct pl_meter *meter, struct platter_error *err)
{
	struct pl_wipe_state *s = &w->state;
	int r;

	w->report.kept = work_kept(w);
	pl_meter_add(meter, w->report.kept, 0);
	/* Before anything is written: without this file nothing could go on. */
	r = save(w, s->done, NULL, err);
	if (r == 0)
		r = write_passes(w, meter, err);
	if (r == 0 && w->report.verify != PLATTER_WIPE_VERIFY_NONE)
		r = read_back(w, meter, err);
	if (r == 0 && w->report.drive.device)
		pl_storage_reread_table(w->storage, NULL);
	return r;
}

/* All sets in one list, for the report. */
static void
list_bad(struct pl_wipe *w)
{
	const struct pl_ranges *sets[] = { &w->state.bad, &w->state.now, &w->state.unread };
	struct pl_ranges all = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		for (size_t n = 0; n < sets[i]->nr; n++)
			pl_ranges_add(&all, sets[i]->range[n].start,
				      sets[i]->range[n].end - sets[i]->range[n].start, NULL);
	pl_ranges_finish(&all, UINT64_MAX);
	w->report.nr_bad = PL_MIN(all.nr, PL_WIPE_MAX_BAD);
	free(w->bad);
	w->bad = calloc(PL_MAX(w->report.nr_bad, 1), sizeof *w->bad);
	if (!w->bad)
		w->report.nr_bad = 0;
	for (size_t i = 0; i < w->report.nr_bad; i++)
		w->bad[i] = (struct platter_wipe_extent){ all.range[i].start,
							  all.range[i].end - all.range[i].start };
	w->report.bad = w->bad;
	pl_ranges_done(&all);
}

static void
fill_report(struct pl_wipe *w, int code)
{
	struct platter_wipe_report *r = &w->report;

	for (unsigned i = 0; i < w->nr_passes; i++) {
		struct platter_wipe_pass *pass = &w->passes[i];
		const struct pl_wipe_did *did = &w->state.did[i];

		pass->started = did->started;
		pass->finished = did->finished;
		pass->written = did->written;
		pass->unwritable = did->unwritable;
	}
	pl_ranges_finish(&w->state.bad, UINT64_MAX);
	r->unwritable = pl_ranges_bytes(&w->state.bad);
	list_bad(w);
	r->started = w->state.started;
	r->seconds = w->state.seconds;
	r->resumed = w->state.resumed;
	if (code < 0)
		return;
	r->finished = time(NULL);
	if (r->unwritable)
		r->outcome = PLATTER_WIPE_INCOMPLETE;
	else if (r->different || r->unreadable)
		r->outcome = PLATTER_WIPE_DIFFERS;
	else
		r->outcome = r->verify == PLATTER_WIPE_VERIFY_NONE ? PLATTER_WIPE_DONE
								   : PLATTER_WIPE_VERIFIED;
}

struct running {
	struct pl_wipe *w;
	struct pl_meter *meter;
	pthread_t thread;
	bool has_thread;
	int code;
};

static void *
run_one(void *closure)
{
	struct running *run = closure;
	struct pl_wipe *w = run->w;
	struct platter_error err = PLATTER_ERROR_INIT;

	w->began = now();
	if (!w->state.started)
		w->state.started = time(NULL);
	if (w->folder)
		run->code = pl_wipe_fill(w, run->meter, &err);
	else if (w->nr_passes)
		run->code = overwrite(w, run->meter, &err);
	else
		run->code = pl_wipe_erase(w, run->meter, &err);
	w->state.seconds += now() - w->began;
	if (run->code < 0)
		w->report.error = err;
	fill_report(w, run->code);
	return NULL;
}

int
pl_wipe_run(struct pl_wipe *const *wipes, size_t nr, struct platter_progress *progress,
	    struct platter_error *err)
{
	PL_AUTOFREE struct running *runs = calloc(PL_MAX(nr, 1), sizeof *runs);
	struct pl_meter meter;
	uint64_t total = 0;
	int r = 0;

	if (!runs)
		return pl_no_memory(err);
	for (size_t i = 0; i < nr; i++)
		total += pl_wipe_work(wipes[i]);
	pl_meter_start(&meter, progress, "wiping", total);
	for (size_t i = 0; i < nr; i++) {
		runs[i] = (struct running){ .w = wipes[i], .meter = &meter };
		runs[i].has_thread =
			nr > 1 && pthread_create(&runs[i].thread, NULL, run_one, &runs[i]) == 0;
	}
	for (size_t i = 0; i < nr; i++) {
		if (runs[i].has_thread)
			pthread_join(runs[i].thread, NULL);
		else if (runs[i].code == 0)
			run_one(&runs[i]);
		if (runs[i].code < 0 && r == 0) {
			r = runs[i].code;
			if (err)
				*err = wipes[i]->report.error;
		}
	}
	/* Not before all are done: what is finished need not be done again where others go on. */
	for (size_t i = 0; i < nr && r == 0; i++)
		if (wipes[i]->state_path)
			unlink(wipes[i]->state_path);
	pl_meter_finish(&meter);
	return r;
}
