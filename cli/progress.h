/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * progress.h - the progress of a job on standard error, and its end by a signal
 *
 * Between progress_start() and progress_end() the first SIGINT, SIGTERM or SIGHUP
 * cancels the job; a second one ends the program at once.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <platter/progress.h>

#include "options.h"

struct progress {
	struct platter_progress job; /* what the library is given */
	const struct arguments *args;
	double started;
	bool drawn; /* the bar stands on the terminal's last line */
};

/* One at a time.  `p` must stay where it is until progress_end(). */
void progress_start(struct progress *p, const struct arguments *args);
void progress_end(struct progress *p);

/* True if it would draw a bar, which it leaves to the caller from then on. */
bool progress_takes_terminal(struct progress *p);

#endif
