/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * watch.c - commands that last, and somebody who wants to know that they do
 *
 * SECURITY ERASE UNIT and FORMAT NVM answer when they are done, hours later.  The kernel's call
 * cannot be left before that, so a thread makes it.
 */
#include <pthread.h>
#include <time.h>

#include "transport.h"

enum {
	TELL_EVERY = 500 /* milliseconds */
};

/* Owned by both threads; the last one that leaves frees it. */
struct errand {
	struct pl_transport *transport;
	int (*run)(struct errand *e);
	union {
		struct pl_ata_command ata;
		struct pl_nvme_command nvme;
	} command;
	uint8_t data[512]; /* what goes out: the caller's may be gone */

	union {
		struct pl_ata_reply ata;
		uint16_t nvme;
	} reply;
	struct platter_error err;
	int result;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	bool done, alone;
};

static void
errand_free(struct errand *e)
{
	pl_transport_close(e->transport);
	pthread_cond_destroy(&e->changed);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

static struct errand *
errand_new(struct pl_transport *t, int (*run)(struct errand *e))
{
	struct errand *e = calloc(1, sizeof *e);
	pthread_condattr_t attributes;

	if (!e)
		return NULL;
	e->transport = pl_transport_ref(t);
	e->run = run;
	e->err = (struct platter_error)PLATTER_ERROR_INIT;
	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&e->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	return e;
}

static void *
errand_thread(void *closure)
{
	struct errand *e = closure;
	int r = e->run(e);
	bool alone;

	pthread_mutex_lock(&e->lock);
	e->result = r;
	e->done = true;
	alone = e->alone;
	pthread_cond_signal(&e->changed);
	pthread_mutex_unlock(&e->lock);
	if (alone)
		errand_free(e);
	return NULL;
}

/* A while, or until it is done: whether it is. */
static bool
wait_a_while(struct errand *e)
{
	struct timespec until;
	bool done;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += TELL_EVERY * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&e->lock);
	while (!e->done && r == 0)
		r = pthread_cond_timedwait(&e->changed, &e->lock, &until);
	done = e->done;
	pthread_mutex_unlock(&e->lock);
	return done;
}

/* False: it was done after all. */
static bool
leave_alone(struct errand *e)
{
	bool left;

	pthread_mutex_lock(&e->lock);
	left = !e->done;
	e->alone = left;
	pthread_mutex_unlock(&e->lock);
	return left;
}

/* On -ECANCELED the errand is no longer the caller's. */
static int
errand_watch(struct errand *e, const struct pl_watch *watch, struct platter_error *err)
{
	pthread_t thread;
	int r;

	r = pthread_create(&thread, NULL, errand_thread, e);
	if (r != 0) {
		errand_free(e);
		return pl_fail_errno(err, -r, "start a thread");
	}
	while (!wait_a_while(e)) {
		r = pl_watch_tell(watch, -1, err);
		if (r < 0 && leave_alone(e)) {
			pthread_detach(thread);
			return r;
		}
	}
	pthread_join(thread, NULL);
	if (e->result < 0 && err)
		*err = e->err;
	return 0;
}

int
pl_watch_tell(const struct pl_watch *watch, double fraction, struct platter_error *err)
{
	int r;

	if (!watch->progress || watch->progress(fraction, watch->closure))
		return 0;
	r = pl_fail(err, -ECANCELED, "waiting for the drive was ended");
	pl_hint(err, "the drive goes on erasing itself; do not take its power away");
	return r;
}

/* ---- what the drive does by itself ---- */

enum {
	ASK_SOON = 1 * PL_SECOND,
	ASK_LATER = 10 * PL_SECOND, /* after a minute */
};

void
pl_wait_begin(struct pl_wait *w, struct pl_transport *t, const struct pl_watch *watch,
	      uint64_t patience)
{
	uint64_t now = pl_transport_now(t);

	*w = (struct pl_wait){ watch, patience, -1, now, now };
}

int
pl_wait_more(struct pl_wait *w, struct pl_transport *t, double fraction, struct platter_error *err)
{
	uint64_t now = pl_transport_now(t);
	int r = pl_watch_tell(w->watch, fraction, err);

	if (r < 0)
		return r;
	if (fraction < w->fraction || fraction > w->fraction) {
		w->fraction = fraction;
		w->since = now;
	}
	if (now - w->since > w->patience) {
		r = pl_fail(err, -ETIMEDOUT, "the drive reports no progress for %" PRIu64 " hours",
			    w->patience / (60 * PL_MINUTE));
		pl_hint(err,
			"it may still be at work; do not use it before it says that it is done");
		return r;
	}
	pl_transport_sleep(t, now - w->begun < PL_MINUTE ? ASK_SOON : ASK_LATER);
	return 0;
}

/* ---- what answers at the end ---- */

static int
run_ata(struct errand *e)
{
	return pl_transport_ata(e->transport, &e->command.ata, &e->reply.ata, &e->err);
}

int
pl_transport_ata_watched(struct pl_transport *t, const struct pl_ata_command *command,
			 const struct pl_watch *watch, struct pl_ata_reply *ret,
			 struct platter_error *err)
{
	struct errand *e = errand_new(t, run_ata);
	int r;

	if (!e)
		return pl_no_memory(err);
	e->command.ata = *command;
	if (command->data) {
		memcpy(e->data, command->data, PL_MIN(command->length, sizeof e->data));
		e->command.ata.data = e->data;
	}
	r = errand_watch(e, watch, err);
	if (r < 0)
		return r;
	r = e->result;
	*ret = e->reply.ata;
	errand_free(e);
	return r;
}

static int
run_nvme(struct errand *e)
{
	return pl_transport_nvme(e->transport, &e->command.nvme, &e->reply.nvme, &e->err);
}

int
pl_transport_nvme_watched(struct pl_transport *t, const struct pl_nvme_command *command,
			  const struct pl_watch *watch, uint16_t *ret_status,
			  struct platter_error *err)
{
	struct errand *e = errand_new(t, run_nvme);
	int r;

	if (!e)
		return pl_no_memory(err);
	e->command.nvme = *command;
	r = errand_watch(e, watch, err);
	if (r < 0)
		return r;
	r = e->result;
	*ret_status = e->reply.nvme;
	errand_free(e);
	return r;
}
