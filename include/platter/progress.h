/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/progress.h - how long work reports and is stopped
 *
 * Fill in a `struct platter_progress` and hand it to a job.  `report` is called
 * from a thread of the job, never from two at once, about ten times a second and
 * once at each change of phase; it must return quickly and may call only
 * platter_cancel().  Cancelling is the one thing that may be done from a signal
 * handler.
 */
#ifndef PLATTER_PROGRESS_H
#define PLATTER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct platter_progress_event {
	/*
	 * "copying", "verifying", "comparing", "checking", "reading", "hashing", "measuring",
	 * "merging", "compacting", "extracting", "exporting", "writing", "burning", "blanking",
	 * "formatting", "closing", "wiping", "trimming", "scraping", "retrying", "examining",
	 * "searching"
	 */
	const char *phase;
	uint64_t done;  /* bytes of the disk dealt with in this phase */
	uint64_t total; /* of so many, or UINT64_MAX if not known */
	uint64_t moved; /* bytes really read: holes are dealt with but not moved */
	double seconds; /* since the phase began */
	double rate;    /* bytes a second dealt with, lately */
	double left;    /* seconds to go as far as can be told, or -1 */
	int buffer;     /* of a drive that writes: percent of its buffer that is filled, or -1 */
	int ahead;      /* the same of what was read ahead for it */
};

struct platter_progress {
	void (*report)(const struct platter_progress_event *event, void *closure);
	void *closure;
	bool cancelled; /* set by platter_cancel() alone; the job then ends with -ECANCELED */
};

/* Ask the job that uses `progress` to stop.  Async-signal-safe. */
static inline void
platter_cancel(struct platter_progress *progress)
{
	__atomic_store_n(&progress->cancelled, true, __ATOMIC_RELAXED);
}

#ifdef __cplusplus
}
#endif
#endif
