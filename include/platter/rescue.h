/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/rescue.h - saving what a failing drive still gives
 *
 * A rescue reads a device into a raw image, the easy parts first, and keeps a *mapfile* beside it,
 * in the form of GNU ddrescue: which bytes were read, which could not be, which are yet to be tried.
 * It can be stopped at any time, by a kill too, and goes on where the mapfile says; ddrescue can go
 * on with it, and platter with ddrescue's.
 *
 *	struct platter_rescue_options options = { .size = sizeof options, .retries = 1 };
 *	struct platter_rescue_result result;
 *	struct platter_error err = PLATTER_ERROR_INIT;
 *
 *	if (platter_rescue("/dev/sdb", "disk.img", &options, NULL, &result, &err) < 0)
 *		fprintf(stderr, "%s\n", err.message);
 *	else if (result.finished < result.wanted)
 *		puts("some of it could not be read");
 *
 * An image with a mapfile beside it, IMAGE.map, opens as a disk on which what was not read is
 * PLATTER_BAD.
 */
#ifndef PLATTER_RESCUE_H
#define PLATTER_RESCUE_H

#include <platter/device.h>
#include <platter/disk.h>
#include <platter/progress.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How it stands, for those who watch. */
struct platter_rescue_state {
	const char *phase; /* "copying", "trimming", "scraping", "retrying" */
	unsigned pass;     /* of that phase, from 1 */
	uint64_t position; /* on the disk */
	uint64_t size;
	/* Bytes of the disk of each status; together its size. */
	uint64_t finished, untried, untrimmed, unscraped, bad;
	uint64_t rate; /* bytes a second that were read, lately */
	/*
	 * A picture of the disk: of so many equal parts the worst status, as the mapfile has it:
	 * '-' bad, '/' unscraped, '*' untrimmed, '?' untried, '+' finished.  Valid during the call.
	 */
	const char *cells;
	size_t nr_cells;
};

struct platter_rescue_options {
	size_t size;         /* sizeof(struct platter_rescue_options) */
	const char *mapfile; /* NULL: IMAGE.map; a device as image needs one */
	/*
	 * Other copies of the same disk, which are asked in turn for what is missing after the
	 * first: devices, or images, of which what their mapfiles call finished is taken.
	 */
	const char *const *also;
	size_t nr_also;
	uint64_t offset, length; /* only this part of it; length 0: to the end */
	unsigned retries;        /* passes over what is bad */
	unsigned timeout;        /* seconds after which a read is given up; 0: 30 */
	bool reverse;            /* begin at the end */
	bool no_trim;            /* only what can be read in large pieces, which is quick */
	bool no_scrape;          /* leave out what lies between bad sectors */
	bool used_first;         /* what file systems use, then the rest */
	bool used_only;          /* only the former */
	bool overwrite;          /* begin anew, whatever IMAGE and mapfile hold */
	/* What the device IMAGE was when somebody was asked about it; another is refused. */
	const struct platter_identity *identity;

	/* NULL, or called about twice a second, as the progress is. */
	void (*watch)(const struct platter_rescue_state *state, void *closure);
	void *closure;
};

struct platter_rescue_result {
	uint64_t size;   /* of the disk */
	uint64_t wanted; /* bytes of it that were asked for */
	/* Of these. */
	uint64_t finished, untried, untrimmed, unscraped, bad;
	uint64_t areas;  /* runs of what is not finished */
	uint64_t before; /* bytes that were finished before */
	uint64_t reads;  /* from devices, and bytes that they gave */
	uint64_t bytes;
	double seconds;
};

/*
 * Read `device` (a block device, or a file) into the raw image `image` (a file, or a device that
 * may be overwritten), or what is missing of it.  *ret is filled in after failures and cancellation
 * too; image and mapfile are then so that the same call goes on.
 * Errors: -ENODEV: the device went away, or does not answer any more; -EEXIST: the image has no
 * mapfile; -EINVAL: image, mapfile and device do not fit; -ECANCELED, -ENOSPC, -EIO (of the image),
 * -EUCLEAN (of the mapfile), -ENOENT, -EACCES, -EBUSY, -ENOMEM.
 */
PLATTER_API int platter_rescue(const char *device, const char *image,
			       const struct platter_rescue_options *options,
			       struct platter_progress *progress, struct platter_rescue_result *ret,
			       struct platter_error *err);

/* A file that lies in part where a disk could not be read. */
struct platter_lost_file {
	const char *path; /* in the file system, from '/'; of a disk with partitions, from theirs */
	uint64_t size, lost; /* bytes of it, and of these that were not read */
};

struct platter_lost_files {
	uint64_t files, lost; /* files that were looked at, and of these that are hit */
	uint64_t unreadable;  /* files and folders that could not be looked at */
};

/*
 * Tell of every file of the file systems on `disk` that stands in part on PLATTER_BAD.  What has no
 * file system that can be read has no files.
 * Errors: -ECANCELED, -ENOMEM.
 */
PLATTER_API int platter_find_lost_files(struct platter_disk *disk,
					void (*found)(const struct platter_lost_file *file,
						      void *closure),
					void *closure, struct platter_progress *progress,
					struct platter_lost_files *ret, struct platter_error *err);

#ifdef __cplusplus
}
#endif
#endif
