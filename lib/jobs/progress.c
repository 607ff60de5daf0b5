/* SPDX-License-Identifier: GPL-3.0-or-later */
/* progress.c - how a job's threads tell what they did */
#include "progress.h"

#include <time.h>

#define REPORT_EVERY 0.1 /* seconds */
#define RATE_MEMORY  3.0 /* seconds: a sample that long counts as much as all before */

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
sample(struct pl_meter *m, double at, uint64_t done)
{
	double passed = at - m->sampled, weight;

	if (passed <= 0)
		return;
	weight = m->rate > 0 ? passed / (passed + RATE_MEMORY) : 1;
	m->rate += weight * ((double)(done - m->sampled_done) / passed - m->rate);
	m->sampled = at;
	m->sampled_done = done;
}

/* The caller holds the lock, or is alone. */
static void
report(struct pl_meter *m, double at)
{
	uint64_t done = atomic_load(&m->done);
	struct platter_progress_event event = {
		.phase = m->phase,
		.done = done,
		.total = m->total,
		.moved = atomic_load(&m->moved),
		.seconds = at - m->started,
		.left = -1,
		.buffer = atomic_load(&m->buffer),
		.ahead = atomic_load(&m->ahead),
	};

	sample(m, at, done);
	event.rate = m->rate;
	if (m->total != UINT64_MAX && done <= m->total && m->rate > 0)
		event.left = (double)(m->total - done) / m->rate;
	atomic_store(&m->due, (uint64_t)((at + REPORT_EVERY) * 1e9));
	m->progress->report(&event, m->progress->closure);
}

void
pl_meter_start(struct pl_meter *m, struct platter_progress *progress, const char *phase,
	       uint64_t total)
{
	double at = now();

	*m = (struct pl_meter){
		.progress = progress,
		.phase = phase,
		.total = total,
		.started = at,
		.sampled = at,
		.buffer = -1,
		.ahead = -1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	if (progress && progress->report)
		report(m, at);
}

void
pl_meter_add(struct pl_meter *m, uint64_t done, uint64_t moved)
{
	double at;

	atomic_fetch_add_explicit(&m->done, done, memory_order_relaxed);
	atomic_fetch_add_explicit(&m->moved, moved, memory_order_relaxed);
	if (!m->progress || !m->progress->report)
		return;
	at = now();
	if (at * 1e9 < (double)atomic_load_explicit(&m->due, memory_order_relaxed))
		return;
	/* Whoever holds the lock is reporting: nobody waits to do it again. */
	if (pthread_mutex_trylock(&m->lock) != 0)
		return;
	if (at * 1e9 >= (double)atomic_load(&m->due))
		report(m, at);
	pthread_mutex_unlock(&m->lock);
}

void
pl_meter_set_fill(struct pl_meter *m, int buffer, int ahead)
{
	atomic_store_explicit(&m->buffer, buffer, memory_order_relaxed);
	atomic_store_explicit(&m->ahead, ahead, memory_order_relaxed);
}

bool
pl_cancelled(const struct platter_progress *progress)
{
	return progress && __atomic_load_n(&progress->cancelled, __ATOMIC_RELAXED);
}

bool
pl_meter_cancelled(const struct pl_meter *m)
{
	return pl_cancelled(m->progress);
}

void
pl_meter_finish(struct pl_meter *m)
{
	if (m->progress && m->progress->report)
		report(m, now());
}

double
pl_meter_seconds(const struct pl_meter *m)
{
	return now() - m->started;
}
