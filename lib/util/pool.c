/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

struct job {
	void (*fn)(void *closure, size_t index);
	void *closure;
	size_t n;
	atomic_size_t next; /* index to take next */
	unsigned busy;      /* pool threads inside this job; guarded by `lock` */
	struct job *link;
};

static pthread_once_t started = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER; /* a job was added */
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER; /* a pool thread left a job */
static struct job *jobs;                               /* with indexes left to take */
static _Thread_local bool on_worker;

unsigned
pl_nr_processors(void)
{
	cpu_set_t set;
	int n;

	if (sched_getaffinity(0, sizeof set, &set) < 0)
		return 1;
	n = CPU_COUNT(&set);
	return n > 0 ? (unsigned)n : 1;
}

bool
pl_on_worker(void)
{
	return on_worker;
}

void
pl_set_on_worker(bool on)
{
	on_worker = on;
}

static void
run(struct job *job)
{
	size_t i;

	while ((i = atomic_fetch_add(&job->next, 1)) < job->n)
		job->fn(job->closure, i);
}

static void
unlink_job(const struct job *job)
{
	for (struct job **p = &jobs; *p; p = &(*p)->link)
		if (*p == job) {
			*p = job->link;
			return;
		}
}

static void *
pool_thread(void *unused)
{
	(void)unused;
	on_worker = true;
	pthread_mutex_lock(&lock);
	for (;;) {
		struct job *job = jobs;

		if (!job) {
			pthread_cond_wait(&work, &lock);
			continue;
		}
		job->busy++;
		pthread_mutex_unlock(&lock);
		run(job);
		pthread_mutex_lock(&lock);
		unlink_job(job);
		if (--job->busy == 0)
			pthread_cond_broadcast(&idle);
	}
	return NULL;
}

static void
start(void)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (unsigned i = 1; i < pl_nr_processors(); i++) {
		pthread_t thread;

		if (pthread_create(&thread, &attr, pool_thread, NULL))
			break;
	}
	pthread_attr_destroy(&attr);
}

void
pl_parallel(size_t n, void (*fn)(void *closure, size_t index), void *closure)
{
	struct job job = { .fn = fn, .closure = closure, .n = n };

	if (on_worker || n < 2) {
		for (size_t i = 0; i < n; i++)
			fn(closure, i);
		return;
	}
	pthread_once(&started, start);
	pthread_mutex_lock(&lock);
	job.link = jobs;
	jobs = &job;
	pthread_cond_broadcast(&work);
	pthread_mutex_unlock(&lock);

	on_worker = true;
	run(&job);
	on_worker = false;

	pthread_mutex_lock(&lock);
	unlink_job(&job);
	while (job.busy)
		pthread_cond_wait(&idle, &lock);
	pthread_mutex_unlock(&lock);
}
