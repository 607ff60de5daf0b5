/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "output.h"

/* In the order of the values of --progress. */
enum how {
	HOW_AUTO,
	HOW_BAR,
	HOW_JSON,
	HOW_NONE
};

/* Work that is over sooner shows no bar at all. */
#define SECONDS_BEFORE_BAR 0.5

static const int stopping_signals[] = { SIGINT, SIGTERM, SIGHUP };
static struct sigaction earlier[ARRAY_SIZE(stopping_signals)];
static struct platter_progress *volatile running;

static void
stop(int number)
{
	struct platter_progress *job = running;

	(void)number;
	if (job)
		platter_cancel(job);
	for (size_t i = 0; i < ARRAY_SIZE(stopping_signals); i++)
		signal(stopping_signals[i], SIG_DFL);
}

static void
catch_signals(struct platter_progress *job)
{
	struct sigaction action = { .sa_handler = stop, .sa_flags = SA_RESTART };

	running = job;
	for (size_t i = 0; i < ARRAY_SIZE(stopping_signals); i++) {
		sigaction(stopping_signals[i], NULL, &earlier[i]);
		/* What was ignored stays so: nohup, a shell's background job. */
		if (earlier[i].sa_handler != SIG_IGN)
			sigaction(stopping_signals[i], &action, NULL);
	}
}

static void
release_signals(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(stopping_signals); i++)
		sigaction(stopping_signals[i], &earlier[i], NULL);
	running = NULL;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
fraction_done(const struct platter_progress_event *event)
{
	if (event->total == UINT64_MAX || event->total == 0)
		return -1;
	return event->done >= event->total ? 1 : (double)event->done / (double)event->total;
}

static void
report_json(const struct platter_progress_event *event, void *closure)
{
	const struct progress *p = closure;
	json_t *line = json_answer(p->args);
	AUTOFREE char *text = NULL;

	json_put(line, "event", json_text("progress"));
	json_put(line, "phase", json_text(event->phase));
	json_put(line, "done", json_number(event->done));
	json_put(line, "total", json_number(event->total));
	json_put(line, "moved", json_number(event->moved));
	json_put(line, "seconds", json_real(event->seconds));
	json_put(line, "rate", json_real(event->rate));
	json_put(line, "left", event->left < 0 ? json_null() : json_real(event->left));
	if (event->buffer >= 0)
		json_put(line, "buffer", json_integer(event->buffer));
	if (event->ahead >= 0)
		json_put(line, "ahead", json_integer(event->ahead));
	text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_decref(line);
	if (text)
		fprintf(stderr, "%s\n", text);
}

/* "[#####.....]", as wide as fits beside `used` columns; "" where there is no room. */
static void
draw_bar(char *to, size_t room, double fraction)
{
	size_t full;

	*to = '\0';
	if (room < 12 || fraction < 0)
		return;
	room = room > 42 ? 40 : room - 2;
	full = (size_t)(fraction * (double)room);
	*to++ = '[';
	memset(to, '#', full);
	memset(to + full, '.', room - full);
	strcpy(to + room, "] ");
}

/* ", 45 s left, buffer 98 %", as far as it is known. */
static void
add_rest(char *to, size_t room, const struct platter_progress_event *event)
{
	int n = 0;

	*to = '\0';
	if (event->left >= 0 && event->left < 60)
		n = snprintf(to, room, ", %d s left", (int)(event->left + 0.9));
	else if (event->left >= 0)
		n = snprintf(to, room, ", %s left", duration_text(event->left).text);
	if (event->buffer >= 0)
		snprintf(to + n, room - (size_t)n, ", buffer %d %%", event->buffer);
}

static void
report_bar(const struct platter_progress_event *event, void *closure)
{
	struct progress *p = closure;
	double fraction = fraction_done(event);
	size_t width = line_width(stderr);
	char head[40], bar[48], tail[128];
	int n;

	if (now() - p->started < SECONDS_BEFORE_BAR)
		return;
	if (fraction >= 0) {
		snprintf(head, sizeof head, "%.24s %3.0f%% ", event->phase, fraction * 100);
		n = snprintf(tail, sizeof tail, "%s of %s, %s/s", size_text(event->done).text,
			     size_text(event->total).text, size_text((uint64_t)event->rate).text);
	} else {
		snprintf(head, sizeof head, "%.24s ", event->phase);
		n = snprintf(tail, sizeof tail, "%s, %s/s", size_text(event->done).text,
			     size_text((uint64_t)event->rate).text);
	}
	add_rest(tail + n, sizeof tail - (size_t)n, event);
	/* The tail grows and shrinks; the bar in front of it should not. */
	draw_bar(bar, width > strlen(head) + 52 ? width - strlen(head) - 52 : 0, fraction);
	fprintf(stderr, "\r%s%s%.*s\033[K", head, bar,
		(int)(width > strlen(head) + strlen(bar) + 1
			      ? width - strlen(head) - strlen(bar) - 1
			      : 0),
		tail);
	p->drawn = true;
}

static void
report_nothing(const struct platter_progress_event *event, void *closure)
{
	(void)event, (void)closure;
}

/* A terminal that can go back to the start of its line. */
static bool
is_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

static enum how
how_to_report(const struct arguments *args)
{
	enum how how = (enum how)args->option[OPT_PROGRESS].number;

	if (how != HOW_AUTO)
		return how;
	return !args->option[OPT_QUIET].given && is_terminal() ? HOW_BAR : HOW_NONE;
}

void
progress_start(struct progress *p, const struct arguments *args)
{
	*p = (struct progress){ .args = args, .started = now() };
	p->job.closure = p;
	switch (how_to_report(args)) {
	case HOW_BAR: p->job.report = report_bar; break;
	case HOW_JSON: p->job.report = report_json; break;
	default: p->job.report = report_nothing; break;
	}
	catch_signals(&p->job);
}

bool
progress_takes_terminal(struct progress *p)
{
	if (p->job.report != report_bar)
		return false;
	p->job.report = report_nothing;
	return true;
}

void
progress_end(struct progress *p)
{
	release_signals();
	if (p->drawn)
		fputs("\r\033[K", stderr);
}
