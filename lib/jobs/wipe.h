/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wipe.h - what is stored is made unreadable: a plan, and its work
 *
 *	wipe-plan.c     finds the target, chooses the method, goes on by a state file
 *	wipe-extents.c  what of the target is to be overwritten
 *	wipe.c          passes over that, reading back, several drives at once
 *	wipe-fill.c     the free space of a mounted file system
 *	wipe-erase.c    what the drive itself does
 */
#ifndef PL_WIPE_H
#define PL_WIPE_H

#include <pthread.h>

#include "hardware.h"
#include "place.h"
#include "progress.h"
#include "ranges.h"
#include "wipe-state.h"

/*
 * Extents of the target in order, apart from each other.  Not a pl_ranges: that may close gaps
 * where it holds very many, and here that would overwrite what is between them.
 */
struct pl_extents {
	struct pl_range *range;
	size_t nr, capacity;
	uint64_t bytes;
};

/* Behind all others; what touches the last one becomes part of it.  -EFBIG: too many. */
int pl_extents_add(struct pl_extents *x, uint64_t start, uint64_t end, struct platter_error *err);
void pl_extents_done(struct pl_extents *x);
/* To tell whether they are the same as at another time. */
uint32_t pl_extents_crc(const struct pl_extents *x);

#define PL_WIPE_MAX_WARNINGS 8

struct pl_wipe {
	struct platter_wipe_report report;
	const struct pl_wipe_method *method;
	struct pl_wipe_pattern order[PL_WIPE_MAX_PASSES];
	struct platter_wipe_pass passes[PL_WIPE_MAX_PASSES];
	unsigned nr_passes;
	bool hidden_areas;

	char *target, *path; /* as given; of the device, file or folder */
	const char *warnings[PL_WIPE_MAX_WARNINGS];
	char *strings[PL_WIPE_MAX_WARNINGS + 8]; /* owned, of the report */
	size_t nr_strings;
	char model[64], serial[128], firmware[32], bus[16];
	char verify_text[160];
	char seed_text[2 * PL_WIPE_SEED + 1];
	struct platter_wipe_extent *bad;

	bool folder;                 /* the file system that `path` is on is to be filled */
	struct pl_disk *storage;     /* keeps others from using it; NULL of a folder */
	int fd, direct_fd;           /* the latter -1: the file system knows no direct I/O */
	uint64_t offset, size;       /* of the target on the device or file */
	uint32_t sector_size, align; /* what direct I/O counts in */
	bool partition;              /* it is not a whole drive */
	uint64_t node_offset;        /* where a partition that is a device begins on its drive */

	struct pl_extents extents, sample;
	char *state_path; /* NULL: what is done cannot be resumed */
	struct pl_wipe_state state;
	double began; /* on a steady clock, this run */

	struct pl_hardware *hardware; /* NULL: no drive that could be asked */
	uint64_t real_size;           /* bytes of the drive with what it hides; 0 not known */
	unsigned erase_minutes;       /* that SECURITY ERASE takes, by the drive; 0 not known */
	unsigned erases;              /* enum pl_erase: those that the drive can begin now */
	unsigned erases_beyond;       /* of these, those that other namespaces of it go with */
	const char *erase_reason;     /* why it can begin none of those that purge, or NULL */
	unsigned erase;               /* the one that is to be done; 0: none */
};

int pl_wipe_plan(const char *target, const struct platter_wipe_options *options,
		 struct pl_wipe **ret, struct platter_error *err);
int pl_wipe_run(struct pl_wipe *const *wipes, size_t nr, struct platter_progress *progress,
		struct platter_error *err);
void pl_wipe_free(struct pl_wipe *w);

/* wipe-plan.c: add what holds of this target, once; the text is copied. */
int pl_wipe_warn(struct pl_wipe *w, struct platter_error *err, const char *format, ...)
	PL_PRINTF(3, 4);

/* wipe-drive.c: what the system, and the drive itself, tell of it; fills in the report. */
void pl_wipe_identify(struct pl_wipe *w);
/* Make what the drive hides addressable and part of the target, if that was asked for. */
int pl_wipe_unhide(struct pl_wipe *w, struct platter_error *err);
/* Where other namespaces of the drive are erased too: refuse if one is in use, else warn. */
int pl_wipe_check_namespaces(struct pl_wipe *w, struct platter_error *err);
/* The best of these erases, enum pl_erase, that counts as Purge; 0: none does. */
unsigned pl_wipe_best_purge(unsigned erases, bool hard_disk);

/* wipe-extents.c */
int pl_wipe_find_extents(struct pl_wipe *w, struct platter_error *err);
/* The sample that is read back: about `share` of the bytes, from everywhere, both ends too. */
int pl_wipe_find_sample(struct pl_wipe *w, double share, struct platter_error *err);

/* wipe.c: how many bytes the meter will be told of. */
uint64_t pl_wipe_work(const struct pl_wipe *w);
/* Bytes that are to be read back. */
uint64_t pl_wipe_read_back(const struct pl_wipe *w);

/*
 * wipe-fill.c: fill the file system with files, read them back, and remove them.
 */
int pl_wipe_fill(struct pl_wipe *w, struct pl_meter *meter, struct platter_error *err);

/* wipe-erase.c: have the drive erase or discard it, and look at what is then read. */
int pl_wipe_erase(struct pl_wipe *w, struct pl_meter *meter, struct platter_error *err);

/*
 * wipe.c, for those: read [offset, offset + n) of the target from the medium, sector by sector
 * where it must be; what cannot be read becomes zeros and is added to state.unread.
 */
int pl_wipe_read(struct pl_wipe *w, uint8_t *buf, size_t n, uint64_t offset,
		 struct platter_error *err);

#endif
