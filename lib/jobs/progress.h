/* SPDX-License-Identifier: GPL-3.0-or-later */
/* progress.h - how a job's threads tell what they did: rate, time left, cancelling */
#ifndef PL_PROGRESS_H
#define PL_PROGRESS_H

#include <platter/progress.h>

#include <pthread.h>
#include <stdatomic.h>

/* Any thread; `progress` may be NULL. */
bool pl_cancelled(const struct platter_progress *progress);

/* One phase of a job.  Kept by the job; its fields are the meter's own. */
struct pl_meter {
	struct platter_progress *progress;
	const char *phase;
	uint64_t total;
	double started; /* seconds of a steady clock */
	_Atomic uint64_t done, moved;
	_Atomic int buffer, ahead; /* percent, or -1; see pl_meter_set_fill() */
	_Atomic uint64_t due;      /* nanoseconds of that clock: no report before */
	pthread_mutex_t lock;      /* of what follows, and of report() */
	double sampled;            /* when the rate was last brought up to date, */
	uint64_t sampled_done;     /* and how far the work was then */
	double rate;               /* bytes a second, older samples fading; 0 not known yet */
};

/* Begin a phase.  `progress` may be NULL; `total` UINT64_MAX: not known. */
void pl_meter_start(struct pl_meter *m, struct platter_progress *progress, const char *phase,
		    uint64_t total);
/* Any thread: so many bytes more were dealt with, and of these so many really read. */
void pl_meter_add(struct pl_meter *m, uint64_t done, uint64_t moved);
/* How far a drive's buffer, and what is read ahead for it, are filled, in percent; -1: not known. */
void pl_meter_set_fill(struct pl_meter *m, int buffer, int ahead);
bool pl_meter_cancelled(const struct pl_meter *m);
/* End the phase with a last report.  No other thread uses the meter any more. */
void pl_meter_finish(struct pl_meter *m);
/* Since pl_meter_start(). */
double pl_meter_seconds(const struct pl_meter *m);

#endif
