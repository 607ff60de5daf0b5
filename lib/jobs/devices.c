/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * devices.c - what is on the block devices, and how the drives are
 *
 * A drive that is about to die may not answer for minutes, and a reader in the kernel cannot be
 * called back.  So each device is looked at by a thread of a few, and whoever waits gives up on one
 * after a while: its thread then owns what it reads, and frees it if it ever returns.
 */
#include "devices.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "describe.h"
#include "hardware.h"
#include "place.h"

/* Devices looked at together: those that hang keep their thread. */
#define MAX_THREADS 8

#define DEFAULT_TIMEOUT 10

enum task_state {
	TASK_WAITING,
	TASK_RUNNING,
	TASK_DONE,
	TASK_GIVEN_UP, /* nobody waits for it any more */
};

struct task {
	/* Set before the threads begin. */
	char *path;
	size_t index; /* in the inventory */
	bool contents, health;

	/* Guarded by the lock. */
	enum task_state state;
	struct timespec began;

	/* Of the thread while it runs, then of the survey. */
	struct platter_description *description;
	struct pl_hardware_info hardware;
	bool has_health;
	struct platter_error err;
};

/* Shared with the threads: the last who leaves frees it. */
struct work {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned users;  /* guarded, as all below: threads, and the survey */
	unsigned active; /* threads that do not hang, as far as is known */
	size_t next;
	struct task *tasks; /* the array stays as it is */
	size_t nr;
};

/* Disks and what is whole, then the partitions that no table of these has. */
#define ROUNDS 2

struct pl_survey {
	struct work *rounds[ROUNDS];
};

static void
free_work(struct work *w)
{
	for (size_t i = 0; i < w->nr; i++) {
		pl_description_free(w->tasks[i].description);
		free(w->tasks[i].path);
	}
	free(w->tasks);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static void
leave(struct work *w)
{
	bool last;

	pthread_mutex_lock(&w->lock);
	last = --w->users == 0;
	pthread_mutex_unlock(&w->lock);
	if (last)
		free_work(w);
}

static void
look_at_contents(struct task *t)
{
	struct pl_place *place;

	/* What a device holds is on it, also if it is an image that was written there. */
	if (pl_place_open(t->path, "raw", 0, &place, &t->err) < 0)
		return;
	if (pl_describe(place, &t->description, &t->err) < 0)
		t->description = NULL;
	pl_place_close(place);
}

static void
look_at_health(struct task *t)
{
	const struct pl_hardware_info *info;
	struct pl_hardware *hw;

	/* Not to be told how a drive is, is no problem: many cannot be asked. */
	if (pl_hardware_open(t->path, &hw, NULL) < 0)
		return;
	if (pl_hardware_look(hw, &info, NULL) == 0) {
		t->hardware = *info;
		t->has_health = info->protocol != PL_PROTOCOL_NONE;
	}
	pl_hardware_close(hw);
}

/* The next task; NULL: there is none left. */
static struct task *
begin(struct work *w)
{
	struct task *t = NULL;

	pthread_mutex_lock(&w->lock);
	if (w->next < w->nr) {
		t = &w->tasks[w->next++];
		t->state = TASK_RUNNING;
		clock_gettime(CLOCK_MONOTONIC, &t->began);
	}
	pthread_mutex_unlock(&w->lock);
	return t;
}

static void
end(struct work *w, struct task *t)
{
	pthread_mutex_lock(&w->lock);
	if (t->state == TASK_RUNNING)
		t->state = TASK_DONE;
	else
		w->active++;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void *
run(void *closure)
{
	struct work *w = closure;
	struct task *t;

	while ((t = begin(w))) {
		if (t->contents)
			look_at_contents(t);
		if (t->health)
			look_at_health(t);
		end(w, t);
	}
	leave(w);
	return NULL;
}

static bool
is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* Give up on what took too long, and say when to look next; false: there is nothing to wait for. */
static bool
give_up(struct work *w, unsigned timeout, struct timespec *ret_until)
{
	bool waiting = w->next < w->nr, running = false;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	*ret_until = (struct timespec){ now.tv_sec + timeout, now.tv_nsec };
	for (size_t i = 0; i < w->next; i++) {
		struct task *t = &w->tasks[i];
		struct timespec end = { t->began.tv_sec + timeout, t->began.tv_nsec };

		if (t->state != TASK_RUNNING)
			continue;
		if (is_before(&now, &end)) {
			running = true;
			*ret_until = is_before(&end, ret_until) ? end : *ret_until;
		} else {
			t->state = TASK_GIVEN_UP;
			w->active--;
		}
	}
	/* If every thread hangs, what waits is never begun. */
	return running || (waiting && w->active);
}

static void
wait_for_all(struct work *w, unsigned timeout)
{
	struct timespec until;

	pthread_mutex_lock(&w->lock);
	while (give_up(w, timeout, &until))
		pthread_cond_timedwait(&w->changed, &w->lock, &until);
	w->next = w->nr;
	pthread_mutex_unlock(&w->lock);
}

static int
start_threads(struct work *w, struct platter_error *err)
{
	size_t wanted = PL_MIN(w->nr, MAX_THREADS);
	pthread_attr_t detached;
	pthread_t thread;
	int r = 0;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < wanted && r == 0; i++) {
		r = pthread_create(&thread, &detached, run, w);
		if (r == 0) {
			w->users++;
			w->active++;
		}
	}
	/* Fewer will do. */
	if (w->active)
		r = 0;
	pthread_mutex_unlock(&w->lock);
	pthread_attr_destroy(&detached);
	return r ? pl_fail_errno(err, -r, "start a thread") : 0;
}

static int
new_work(size_t nr, struct work **ret, struct platter_error *err)
{
	struct work *w = calloc(1, sizeof *w);
	pthread_condattr_t monotonic;

	if (!w)
		return pl_no_memory(err);
	w->tasks = calloc(nr + 1, sizeof *w->tasks);
	if (!w->tasks) {
		free(w);
		return pl_no_memory(err);
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	w->users = 1;
	*ret = w;
	return 0;
}

/* Of a whole drive; the answer may need rights that its user does not have. */
static bool
has_health(const struct platter_device *d)
{
	return d->kind == PLATTER_DEVICE_DRIVE && d->nature == PLATTER_NATURE_PHYSICAL;
}

/* In the first round no partitions: the table of their disk has more to say of them. */
static bool
is_task(const struct platter_device *d, unsigned round)
{
	if (!d->attached)
		return false;
	return round ? d->partition && !d->entry : !d->partition;
}

static int
add_tasks(struct work *w, const struct pl_inventory *inventory, const bool *wanted, unsigned round,
	  const struct platter_device_list_options *o, struct platter_error *err)
{
	for (size_t i = 0; i < inventory->blocks->nr; i++) {
		const struct platter_device *d = &inventory->list[i];
		bool health = !o->no_health && has_health(d);
		struct task *t = &w->tasks[w->nr];

		if (!wanted[i] || !is_task(d, round) || (o->no_contents && !health))
			continue;
		*t = (struct task){
			.path = strdup(d->path),
			.index = i,
			.contents = !o->no_contents,
			.health = health,
			.err = PLATTER_ERROR_INIT,
		};
		if (!t->path)
			return pl_no_memory(err);
		w->nr++;
	}
	return 0;
}

static void
enter_health(struct pl_arena *arena, struct platter_device *d, const struct pl_hardware_info *i)
{
	struct platter_drive_health *h = pl_arena_alloc(arena, sizeof *h);

	if (!h)
		return;
	*h = (struct platter_drive_health){
		.health = (enum platter_health)i->health,
		.reason = pl_arena_strdup(arena, i->health_reason),
		.reallocated = i->reallocated,
		.pending = i->pending,
		.uncorrectable = i->uncorrectable,
		.power_on_hours = i->power_on_hours,
		.percent_used = i->percent_used < 0 ? UINT64_MAX : (uint64_t)i->percent_used,
		.temperature = i->temperature,
	};
	d->health = h;
}

static void
enter_task(struct pl_inventory *inventory, const struct task *t, unsigned timeout)
{
	struct platter_device *d = &inventory->list[t->index];
	struct pl_arena *arena = &inventory->arena;

	switch (t->state) {
	case TASK_GIVEN_UP:
		d->problem = pl_arena_format(arena, "it did not answer for %u seconds", timeout);
		return;
	case TASK_WAITING: d->problem = "not looked at: other devices do not answer"; return;
	default: break;
	}
	if (t->has_health)
		enter_health(arena, d, &t->hardware);
	if (!t->contents)
		return;
	if (!t->description) {
		d->problem = pl_arena_strdup(arena, t->err.message);
		return;
	}
	d->examined = true;
	d->description = t->description;
	d->contents = t->description->contents;
	d->nr_contents = t->description->nr_contents;
}

/* The entry of a partition in the table of its disk, which knows its type and name. */
static void
enter_partition(struct pl_inventory *inventory, size_t index)
{
	struct platter_device *d = &inventory->list[index];
	const struct platter_description *disk =
		d->nr_parents ? inventory->list[d->parents[0]].description : NULL;

	if (!d->partition || !disk)
		return;
	for (size_t t = 0; t < disk->nr_tables; t++)
		for (size_t i = 0; i < disk->tables[t].nr_partitions && !d->entry; i++) {
			const struct platter_partition *p = &disk->tables[t].partitions[i];

			if (p->offset == d->start && p->number == d->partition)
				d->entry = p;
		}
	if (!d->entry)
		return;
	d->examined = true;
	d->contents = d->entry->contents;
	d->nr_contents = d->entry->nr_contents;
}

static int
look(struct pl_inventory *inventory, const bool *wanted, unsigned round,
     const struct platter_device_list_options *o, struct work **ret, struct platter_error *err)
{
	unsigned timeout = o->timeout ? o->timeout : DEFAULT_TIMEOUT;
	struct work *w;
	int r = new_work(inventory->blocks->nr, &w, err);

	if (r < 0)
		return r;
	r = add_tasks(w, inventory, wanted, round, o, err);
	if (r == 0 && w->nr)
		r = start_threads(w, err);
	if (r < 0) {
		leave(w);
		return r;
	}
	wait_for_all(w, timeout);
	for (size_t i = 0; i < w->nr; i++)
		enter_task(inventory, &w->tasks[i], timeout);
	*ret = w;
	return 0;
}

int
pl_survey_devices(struct pl_inventory *inventory, const bool *wanted,
		  const struct platter_device_list_options *options, struct pl_survey **ret,
		  struct platter_error *err)
{
	struct pl_survey *survey = calloc(1, sizeof *survey);
	int r = survey ? 0 : pl_no_memory(err);

	for (unsigned round = 0; round < ROUNDS && r == 0; round++) {
		r = look(inventory, wanted, round, options, &survey->rounds[round], err);
		for (size_t i = 0; i < inventory->blocks->nr && r == 0 && !round; i++)
			enter_partition(inventory, i);
	}
	if (r < 0)
		pl_survey_free(survey);
	else
		*ret = survey;
	return r;
}

void
pl_survey_free(struct pl_survey *survey)
{
	if (!survey)
		return;
	for (unsigned round = 0; round < ROUNDS; round++)
		if (survey->rounds[round])
			leave(survey->rounds[round]);
	free(survey);
}
