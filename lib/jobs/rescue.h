/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rescue.h - saving what a failing drive still gives; see platter/rescue.h */
#ifndef PL_RESCUE_H
#define PL_RESCUE_H

#include <platter/rescue.h>

#include "mapfile.h"
#include "progress.h"
#include "ranges.h"
#include "rescue-reader.h"

/* How reads have gone lately, and what follows for the next ones. */
struct pl_rescue_pace {
	size_t read_size;    /* bytes of the next read */
	unsigned window;     /* reads at once */
	unsigned good;       /* reads that went well, one after the other */
	unsigned grow_after; /* so many of them: the next are larger, or more at once */
	unsigned bad;        /* reads that failed, one after the other */
	uint64_t skip;       /* bytes that the next failure skips */
	uint64_t base;       /* bytes that the first failure skips, as this drive has taught */
	unsigned jumps;      /* since the last good read */
	double usual;        /* seconds that a read takes, older ones fading; 0: not known */
};

/* What a failing read has changed, until it is known that the device is still alive. */
#define PL_RESCUE_UNDO 64

struct pl_rescue {
	const struct platter_rescue_options *options;
	double timeout; /* seconds */
	struct pl_mapfile map;
	const char *map_path;
	struct pl_disk *image;
	bool fresh; /* the image holds zeros where nothing was read */
	struct pl_reader *reader;
	struct pl_ranges wanted; /* what is to be read of this device now; finished */
	uint64_t end;            /* of the device */
	uint32_t sector_size;
	struct pl_rescue_pace pace;
	bool worked; /* some phase had something to do */
	bool other;  /* not what was read when the mapfile was last saved */
	bool again; /* what is bad may be read from another copy: it is tried in large pieces too */

	uint64_t
		last_good; /* a sector that was read, by which a dead device is told; UINT64_MAX: none */
	struct pl_block undo[PL_RESCUE_UNDO];
	size_t nr_undo;

	struct pl_meter meter;
	double watched, saved, save_took; /* seconds of the steady clock */
	char *cells;                      /* of the picture */
	uint64_t reads, bytes;            /* of the devices before this one */
};

/* rescue-phases.c: read all that is wanted of this device, phase by phase. */
int pl_rescue_phases(struct pl_rescue *e, struct platter_error *err);

/*
 * Read [offset, offset + n) at once, which is at most the largest read and lies on sectors, and
 * note how that went.  *ret_good: it was read.
 */
int pl_rescue_read(struct pl_rescue *e, uint64_t offset, size_t n, bool *ret_good,
		   struct platter_error *err);

/* rescue.c: save the mapfile, after what it tells of. */
int pl_rescue_save(struct pl_rescue *e, struct platter_error *err);
/* Between reads: save and tell if it is time to; -ECANCELED. */
int pl_rescue_pause(struct pl_rescue *e, struct platter_error *err);

/*
 * rescue-used.c: what file systems on the device use.  What is read for that is kept like all that
 * is read.  *ret starts from {0}.
 */
int pl_rescue_used(struct pl_rescue *e, struct pl_ranges *ret, struct platter_error *err);

int pl_rescue(const char *device, const char *image, const struct platter_rescue_options *options,
	      struct platter_progress *progress, struct platter_rescue_result *ret,
	      struct platter_error *err);

/* lost-files.c */
int pl_find_lost_files(struct pl_disk *disk, unsigned flags,
		       void (*found)(const struct platter_lost_file *file, void *closure),
		       void *closure, struct platter_progress *progress,
		       struct platter_lost_files *ret, struct platter_error *err);

#endif
