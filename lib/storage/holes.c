/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * holes.c - where a file has holes
 *
 * SEEK_HOLE takes as long as the data up to the next hole is: on tmpfs every page of it is
 * looked at.  So answers are kept, and files inside an image, which are read in any order,
 * cost one look for each run of data.
 */
#include <unistd.h>

#include "part.h"

#define MAX_KNOWN   256
#define LOOK_BEFORE MIB(64)

/* Sorted, none overlaps; [start, end) is all hole, or has none. */
struct pl_known_run {
	uint64_t start, end;
	bool hole;
};

void
pl_part_forget_holes(struct pl_part *part)
{
	pthread_mutex_lock(&part->hole_lock);
	part->nr_known = 0;
	pthread_mutex_unlock(&part->hole_lock);
}

/* The index of the first known run that ends after `at`. */
static size_t
first_after(const struct pl_part *part, uint64_t at)
{
	size_t low = 0, high = part->nr_known;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (part->known[middle].end > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Put `run`, which begins where nothing is known, at `index`, in place of all that it covers. */
static void
remember(struct pl_part *part, size_t index, struct pl_known_run run)
{
	size_t covered = 0;

	if (!part->known && !(part->known = malloc(MAX_KNOWN * sizeof *part->known)))
		return;
	while (index + covered < part->nr_known && part->known[index + covered].start < run.end)
		covered++;
	if (!covered && part->nr_known == MAX_KNOWN)
		part->nr_known = index = 0;
	memmove(&part->known[index + 1], &part->known[index + covered],
		(part->nr_known - index - covered) * sizeof run);
	part->known[index] = run;
	part->nr_known = part->nr_known - covered + 1;
}

/*
 * Files inside that are read from the last to the first would look through the same data again and
 * again: look from some way before, but not at what is known.
 */
static uint64_t
begin_before(const struct pl_part *part, size_t index, uint64_t at)
{
	uint64_t known = index ? part->known[index - 1].end : 0;

	return PL_MAX(known, at - PL_MIN(at, LOOK_BEFORE));
}

/* By the file system, the run that holds `at`; it begins at `from` or later. */
static struct pl_known_run
look_for_hole(struct pl_part *part, uint64_t from, uint64_t at)
{
	struct pl_known_run run = { .start = from, .end = INT64_MAX };
	off_t data = part->no_holes ? (off_t)from : lseek(part->fd, (off_t)from, SEEK_DATA);
	off_t end = -1;

	if (data < 0 && errno != ENXIO) {
		part->no_holes = true;
		data = (off_t)from;
	}
	run.hole = data < 0 || (uint64_t)data > at;
	if (run.hole) {
		end = data;
	} else if (!part->no_holes) {
		run.start = (uint64_t)data;
		end = lseek(part->fd, data, SEEK_HOLE);
	}
	if (end >= 0 && (uint64_t)end <= at && run.start < at)
		return look_for_hole(part, at, at);
	/* A file that is cut while it is read: the read will say so. */
	if (end > (off_t)at)
		run.end = (uint64_t)end;
	return run;
}

void
pl_part_map(struct pl_part *part, uint64_t at, bool *ret_hole, uint64_t *ret_length)
{
	struct pl_known_run run = { .end = INT64_MAX };
	size_t i;

	if (part->device) {
		*ret_hole = false;
		*ret_length = INT64_MAX;
		return;
	}
	/*
	 * Asked under the lock too, so that no answer is kept that a write, which forgets them
	 * when done, has made stale.
	 */
	pthread_mutex_lock(&part->hole_lock);
	i = first_after(part, at);
	if (i < part->nr_known && part->known[i].start <= at) {
		run = part->known[i];
	} else {
		run = look_for_hole(part, begin_before(part, i, at), at);
		remember(part, i, run);
	}
	pthread_mutex_unlock(&part->hole_lock);
	*ret_hole = run.hole;
	*ret_length = run.end - at;
}
