/* SPDX-License-Identifier: GPL-3.0-or-later */
/* live.h - how a rescue stands, as a picture on the terminal that is drawn again and again */
#ifndef LIVE_H
#define LIVE_H

#include <platter/rescue.h>

#include "progress.h"

struct live {
	bool shown;     /* there is a terminal to draw on */
	bool coloured;  /* it may have colours */
	unsigned lines; /* that the picture takes on it now */
};

/* Instead of the bar of `progress`, where that would draw one; false: there will be no picture. */
bool live_start(struct live *live, struct progress *progress);
void live_end(struct live *live);

/* platter_rescue_options.watch; `closure` is a struct live. */
void live_show(const struct platter_rescue_state *state, void *closure);

#endif
