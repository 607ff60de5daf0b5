/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rescue-reader.h"

#include <pthread.h>
#include <time.h>

/* Reads that may be stuck before the device counts as one that does not answer. */
#define MAX_STUCK 16
/* Reads at once, with those that are stuck. */
#define MAX_READS (MAX_STUCK + 16)

/* Zeros are left out in blocks of this size. */
#define SPARSE_BLOCK KIB(4)

enum state {
	UNUSED,
	WAITING, /* for a thread */
	READING,
	ENDED, /* and not told yet */
};

struct read {
	enum state state;
	bool slow; /* told so */
	double started;
	struct pl_reader_result result;
};

struct pl_reader {
	struct pl_direct source;
	struct pl_rescue_cd *cd; /* NULL: bad sectors are not read raw */
	struct pl_disk *image;
	bool fresh;
	double timeout;

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work, ended;
	struct read reads[MAX_READS];
	unsigned nr_threads, nr_idle;
	bool stop, abandoned;
	uint64_t nr_reads, nr_bytes;
	int write_result;
	struct platter_error write_error;
};

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int
pl_reader_store(struct pl_disk *image, bool fresh, const uint8_t *buf, size_t n, uint64_t offset,
		struct platter_error *err)
{
	int r = 0;

	for (size_t at = 0; at < n && r == 0;) {
		bool zero;
		size_t run = pl_zero_run(buf + at, n - at, SPARSE_BLOCK, &zero);

		if (!zero)
			r = pl_write(image, buf + at, run, offset + at, err);
		else if (!fresh)
			r = pl_zero(image, offset + at, run, PL_ZERO_MAY_UNMAP, err);
		at += run;
	}
	return r;
}

/* A sector of a CD that the drive could not correct.  Without the lock. */
static bool
read_cd_sector(struct pl_reader *r, const struct pl_reader_result *result, double took,
	       uint8_t *buf)
{
	return r->cd && result->answer == PL_READER_BAD && result->length == PL_SECTOR_DATA &&
	       pl_rescue_cd_read(r->cd, (uint32_t)(result->offset / PL_SECTOR_DATA), took,
				 r->timeout, buf);
}

/* Without the lock. */
static void
do_read(struct pl_reader *r, struct read *read, uint8_t *buf)
{
	static const enum pl_reader_answer answers[] = {
		[PL_DIRECT_READ] = PL_READER_READ,
		[PL_DIRECT_BAD] = PL_READER_BAD,
		[PL_DIRECT_GONE] = PL_READER_GONE,
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_reader_result *result = &read->result;
	double begun = now();
	int code = 0;

	result->answer = answers[pl_direct_read(&r->source, buf, result->length, result->offset,
						&result->done)];
	if (read_cd_sector(r, result, now() - begun, buf)) {
		result->answer = PL_READER_READ;
		result->done = result->length;
	}
	if (result->done && r->image)
		code = pl_reader_store(r->image, r->fresh, buf, result->done, result->offset, &err);
	if (code == 0)
		return;
	result->answer = PL_READER_UNWRITTEN;
	pthread_mutex_lock(&r->lock);
	if (r->write_result == 0) {
		r->write_result = code;
		r->write_error = err;
	}
	pthread_mutex_unlock(&r->lock);
}

static struct read *
find_read(struct pl_reader *r, enum state state)
{
	struct read *found = NULL;

	for (size_t i = 0; i < MAX_READS; i++)
		if (r->reads[i].state == state && (!found || r->reads[i].started < found->started))
			found = &r->reads[i];
	return found;
}

static void
destroy(struct pl_reader *r)
{
	pl_direct_close(&r->source);
	pl_rescue_cd_close(r->cd);
	pl_disk_unref(r->image);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->work);
	pthread_cond_destroy(&r->ended);
	free(r);
}

/* One read after the other, until told to stop.  With the lock. */
static void
work(struct pl_reader *r, uint8_t *buf)
{
	while (!r->stop) {
		struct read *read = find_read(r, WAITING);

		if (!read) {
			r->nr_idle++;
			pthread_cond_wait(&r->work, &r->lock);
			r->nr_idle--;
			continue;
		}
		read->state = READING;
		read->started = now();
		pthread_mutex_unlock(&r->lock);
		do_read(r, read, buf);
		pthread_mutex_lock(&r->lock);
		read->result.seconds = now() - read->started;
		read->state = ENDED;
		r->nr_reads++;
		r->nr_bytes += read->result.done;
		pthread_cond_signal(&r->ended);
	}
}

struct start {
	struct pl_reader *reader;
	uint8_t *buf;
};

static void *
thread(void *closure)
{
	struct start *start = closure;
	struct pl_reader *r = start->reader;
	bool last;

	pthread_mutex_lock(&r->lock);
	work(r, start->buf);
	free(start->buf);
	free(start);
	r->nr_threads--;
	pthread_cond_signal(&r->ended);
	last = r->abandoned && r->nr_threads == 0;
	pthread_mutex_unlock(&r->lock);
	if (last)
		destroy(r);
	return NULL;
}

int
pl_reader_new(struct pl_direct *source, struct pl_rescue_cd *cd, struct pl_disk *image, bool fresh,
	      double timeout, struct pl_reader **ret, struct platter_error *err)
{
	struct pl_reader *r = calloc(1, sizeof *r);
	pthread_condattr_t attributes;

	if (!r) {
		pl_direct_close(source);
		pl_rescue_cd_close(cd);
		return pl_no_memory(err);
	}
	r->source = *source;
	r->cd = cd;
	*source = (struct pl_direct){ .fd = -1 };
	r->image = image ? pl_disk_ref(image) : NULL;
	r->fresh = fresh;
	r->timeout = timeout;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&r->work, NULL);
	pthread_cond_init(&r->ended, &attributes);
	pthread_condattr_destroy(&attributes);
	*ret = r;
	return 0;
}

const struct pl_direct *
pl_reader_source(const struct pl_reader *r)
{
	return &r->source;
}

static unsigned
count(struct pl_reader *r, bool slow)
{
	unsigned nr = 0;

	for (size_t i = 0; i < MAX_READS; i++)
		nr += r->reads[i].state != UNUSED && r->reads[i].slow == slow;
	return nr;
}

static unsigned
count_waiting(struct pl_reader *r)
{
	unsigned nr = 0;

	for (size_t i = 0; i < MAX_READS; i++)
		nr += r->reads[i].state == WAITING;
	return nr;
}

/* With the lock. */
static void
wait_until(struct pl_reader *r, double until)
{
	struct timespec t = { .tv_sec = (time_t)until };

	t.tv_nsec = (long)((until - (double)t.tv_sec) * 1e9);
	pthread_cond_timedwait(&r->ended, &r->lock, &t);
}

void
pl_reader_free(struct pl_reader *r)
{
	double until;
	bool last;

	if (!r)
		return;
	until = now() + r->timeout;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->work);
	while (r->nr_threads > count(r, true) && now() < until)
		wait_until(r, until);
	r->abandoned = true;
	last = r->nr_threads == 0;
	pthread_mutex_unlock(&r->lock);
	if (last)
		destroy(r);
}

/* With the lock. */
static int
add_thread(struct pl_reader *r, struct platter_error *err)
{
	struct start *start = malloc(sizeof *start);
	pthread_attr_t attributes;
	pthread_t id;
	int code;

	if (!start || !(start->buf = pl_alloc_aligned(PL_READER_BYTES))) {
		free(start);
		return pl_no_memory(err);
	}
	start->reader = r;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	code = pthread_create(&id, &attributes, thread, start);
	pthread_attr_destroy(&attributes);
	if (code) {
		free(start->buf);
		free(start);
		return pl_fail_errno(err, -code, "start a thread");
	}
	r->nr_threads++;
	return 0;
}

int
pl_reader_begin(struct pl_reader *r, uint64_t offset, size_t n, struct platter_error *err)
{
	struct read *read;
	int result = 0;

	pthread_mutex_lock(&r->lock);
	read = find_read(r, UNUSED);
	if (!read || count(r, true) >= MAX_STUCK) {
		result = pl_fail(err, -ETIMEDOUT, "'%s' does not answer any more: %u reads hang",
				 r->source.path, count(r, true));
	} else {
		*read = (struct read){
			.state = WAITING,
			.started = now(),
			.result = { .offset = offset, .length = n },
		};
		if (count_waiting(r) > r->nr_idle)
			result = add_thread(r, err);
		if (result < 0)
			read->state = UNUSED;
		pthread_cond_signal(&r->work);
	}
	pthread_mutex_unlock(&r->lock);
	return result;
}

unsigned
pl_reader_pending(struct pl_reader *r)
{
	unsigned nr;

	pthread_mutex_lock(&r->lock);
	nr = count(r, false);
	pthread_mutex_unlock(&r->lock);
	return nr;
}

/* One that has ended, or whose time is over; the first such time in *next.  With the lock. */
static bool
take_result(struct pl_reader *r, struct pl_reader_result *ret, double *next)
{
	struct read *ended = find_read(r, ENDED);
	double at = now();

	if (ended) {
		*ret = ended->result;
		ret->late = ended->slow;
		ended->state = UNUSED;
		ended->slow = false;
		return true;
	}
	for (size_t i = 0; i < MAX_READS; i++) {
		struct read *read = &r->reads[i];
		double due = read->started + r->timeout;

		if (read->state != READING || read->slow)
			continue;
		if (due <= at) {
			read->slow = true;
			*ret = (struct pl_reader_result){ .offset = read->result.offset,
							  .length = read->result.length,
							  .seconds = at - read->started,
							  .answer = PL_READER_SLOW };
			return true;
		}
		*next = PL_MIN(*next, due);
	}
	return false;
}

bool
pl_reader_wait(struct pl_reader *r, double seconds, struct pl_reader_result *ret)
{
	double until = now() + seconds;
	bool found;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		double next = until;

		found = take_result(r, ret, &next);
		if (found || now() >= until)
			break;
		wait_until(r, next);
	}
	pthread_mutex_unlock(&r->lock);
	return found;
}

int
pl_reader_error(struct pl_reader *r, struct platter_error *err)
{
	int result;

	pthread_mutex_lock(&r->lock);
	result = r->write_result;
	if (result < 0 && err)
		*err = r->write_error;
	pthread_mutex_unlock(&r->lock);
	return result;
}

void
pl_reader_counts(struct pl_reader *r, uint64_t *ret_reads, uint64_t *ret_bytes)
{
	pthread_mutex_lock(&r->lock);
	*ret_reads = r->nr_reads;
	*ret_bytes = r->nr_bytes;
	pthread_mutex_unlock(&r->lock);
}
