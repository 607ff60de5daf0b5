/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * direct.h - reading a device that may fail, or may be gone
 *
 * Reads go past the page cache, so that one bad sector costs one sector: through the cache a page
 * of eight is lost with it, and what is read ahead.  What a failing read returns differs by
 * transport; here it is one of three answers.
 */
#ifndef PL_DIRECT_H
#define PL_DIRECT_H

#include "disk.h"

struct pl_direct {
	char *path;
	int fd;
	bool device;
	bool cached; /* its file system knows no direct I/O */
	uint32_t
		sector_size; /* what reads begin and end at multiples of, but for the end of a file */
	uint64_t size;
	uint64_t id_major, id_minor; /* of a device */
};

enum pl_direct_answer {
	PL_DIRECT_READ, /* all of it */
	PL_DIRECT_BAD,  /* some sector of it cannot be read */
	PL_DIRECT_GONE, /* the device is no longer there */
};

/* A block device or a regular file. */
int pl_direct_open(const char *path, struct pl_direct *ret, struct platter_error *err);
void pl_direct_close(struct pl_direct *d);

/*
 * Read [offset, offset + n), which begins and ends at a sector or the end, into a buffer of
 * pl_alloc_aligned() with room for whole sectors.  Any thread.  *ret_done: so much of it was read,
 * whole sectors before the first that could not be.
 */
enum pl_direct_answer pl_direct_read(const struct pl_direct *d, void *buf, size_t n,
				     uint64_t offset, size_t *ret_done);

/*
 * Of a file: the hole or data that begins at `offset`.  False: it cannot tell, or is a device.
 */
bool pl_direct_span(const struct pl_direct *d, uint64_t offset, bool *ret_hole, uint64_t *ret_end);

#endif
