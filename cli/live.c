/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

#define ROWS 6

/* From good to bad; what is worse hides what is better. */
static const struct look {
	char status;
	const char *plain, *drawn;
	unsigned colour; /* of ANSI */
} looks[] = {
	{ '+', "#", "█", 32 }, { '?', ".", "·", 90 }, { '*', "*", "▒", 33 },
	{ '/', "/", "▓", 35 }, { '-', "X", "█", 31 },
};

bool
live_start(struct live *live, struct progress *progress)
{
	const char *no_colour = getenv("NO_COLOR");

	*live = (struct live){
		.shown = progress_takes_terminal(progress),
		.coloured = !no_colour || !*no_colour,
	};
	return live->shown;
}

/* To where the picture begins. */
static void
go_up(struct live *live)
{
	if (live->lines)
		fprintf(stderr, "\033[%uA", live->lines);
	fputc('\r', stderr);
	live->lines = 0;
}

void
live_end(struct live *live)
{
	if (!live->shown)
		return;
	go_up(live);
	fputs("\033[J", stderr);
	fflush(stderr);
}

static size_t
look_of(char status)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(looks) - 1 && looks[i].status != status)
		i++;
	return i;
}

/* The worst of the cells that one character stands for. */
static size_t
worst(const struct platter_rescue_state *state, size_t at, size_t nr)
{
	size_t from = at * state->nr_cells / nr, to = (at + 1) * state->nr_cells / nr, found = 0;

	for (size_t i = from; i < to || i == from; i++)
		if (look_of(state->cells[i]) > found)
			found = look_of(state->cells[i]);
	return found;
}

static void
end_line(struct live *live)
{
	fputs("\033[K\n", stderr);
	live->lines++;
}

static void
draw_row(struct live *live, const struct platter_rescue_state *state, size_t row, size_t width)
{
	bool drawn = locale_is_utf8();
	unsigned colour = 0;

	for (size_t i = 0; i < width; i++) {
		const struct look *look = &looks[worst(state, row * width + i, ROWS * width)];

		if (live->coloured && look->colour != colour)
			fprintf(stderr, "\033[%um", look->colour);
		colour = look->colour;
		fputs(drawn ? look->drawn : look->plain, stderr);
	}
	if (live->coloured)
		fputs("\033[0m", stderr);
	end_line(live);
}

static void
show_numbers(struct live *live, const struct platter_rescue_state *s, unsigned width)
{
	char line[512];

	snprintf(line, sizeof line, "%s, pass %u, at %s: %s of %s read, %s/s", s->phase, s->pass,
		 size_text(s->position).text, size_text(s->finished).text, size_text(s->size).text,
		 size_text(s->rate).text);
	fprintf(stderr, "%.*s", (int)width, line);
	end_line(live);
	snprintf(line, sizeof line, "untried %s, failed %s, between bad ones %s, bad %s",
		 size_text(s->untried).text, size_text(s->untrimmed).text,
		 size_text(s->unscraped).text, size_text(s->bad).text);
	fprintf(stderr, "%.*s", (int)width, line);
	end_line(live);
}

void
live_show(const struct platter_rescue_state *state, void *closure)
{
	struct live *live = closure;
	unsigned width = line_width(stderr);

	if (width < 2 || !state->nr_cells)
		return;
	go_up(live);
	for (size_t row = 0; row < ROWS; row++)
		draw_row(live, state, row, width - 1);
	show_numbers(live, state, width - 1);
	fflush(stderr);
}
