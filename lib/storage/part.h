/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * part.h - one open file or block device
 *
 * A leaf disk (leaf.h) is one of these, or several end to end.  Offsets count from the
 * start of the file; errors name the file, with err->offset counted in it.
 */
#ifndef PL_PART_H
#define PL_PART_H

#include <sys/stat.h>

#include "disk.h"
#include "storage.h"

struct pl_known_run;

struct pl_part {
	char *path;     /* as it is named now; owned */
	uint64_t start; /* where it begins on its disk */
	int fd;         /* -1: closed for now */
	int direct_fd;  /* the same file with O_DIRECT, or -1 */
	bool writable, device;
	bool locked;          /* others are kept from writing it */
	bool direct_reads;    /* read from the medium */
	bool direct_writes;   /* aligned writes pass the page cache by */
	bool no_zero_command; /* a device that zeroes only by being written */
	uint32_t sector_size, physical_sector_size;
	uint64_t size; /* when it was opened */
	struct pl_file_id id;

	pthread_mutex_t hole_lock; /* guards what holes.c knows: */
	struct pl_known_run *known;
	size_t nr_known;
	bool no_holes; /* the file system cannot tell */

	unsigned users; /* guarded by the leaf's lock */
	uint64_t last_use;
};

/* A part with no file yet. */
int pl_part_new(const char *path, struct pl_part **ret, struct platter_error *err);
void pl_part_free(struct pl_part *part);

/* Refuse what is neither a regular file nor a block device. */
int pl_part_check_type(const char *path, const struct stat *st, struct platter_error *err);

/* Open part->path; `flags` as pl_storage_open(). */
int pl_part_open(struct pl_part *part, unsigned flags, struct platter_error *err);

/* Take over an open file descriptor, which is closed if this fails. */
int pl_part_adopt(struct pl_part *part, int fd, bool writable, struct platter_error *err);

/*
 * lock.c: keep others from writing it, or from relying on its bytes, until it is closed.
 * -EBUSY: another does that already.
 */
int pl_part_lock(struct pl_part *part, struct platter_error *err);
/* -EBUSY: another keeps it so. */
int pl_part_check_unwritten(const struct pl_part *part, struct platter_error *err);

/* Close for now, and open the same file again. */
void pl_part_suspend(struct pl_part *part);
int pl_part_resume(struct pl_part *part, struct platter_error *err);

/* Write aligned pieces past the page cache from now on, if the file system can. */
void pl_part_write_direct(struct pl_part *part);

int pl_part_read(struct pl_part *part, void *buf, size_t n, uint64_t at, struct platter_error *err);
int pl_part_write(struct pl_part *part, const void *buf, size_t n, uint64_t at,
		  struct platter_error *err);

/* As pl_disk_ops.zero; never extends a file: the part of the range past its end is left out. */
int pl_part_zero(struct pl_part *part, uint64_t at, uint64_t length, unsigned flags,
		 struct platter_error *err);
int pl_part_discard(struct pl_part *part, uint64_t at, uint64_t length, struct platter_error *err);
int pl_part_flush(struct pl_part *part, struct platter_error *err);

/* Make a file exactly, or at least, so long.  No write past its end may run meanwhile. */
int pl_part_cut(struct pl_part *part, uint64_t size, struct platter_error *err);
int pl_part_extend(struct pl_part *part, uint64_t size, struct platter_error *err);

/* holes.c: whether `at` is in a hole, and how far that goes on; the end of the file is not looked at. */
void pl_part_map(struct pl_part *part, uint64_t at, bool *ret_hole, uint64_t *ret_length);
void pl_part_forget_holes(struct pl_part *part);

/* block.c: what is different with block devices */
int pl_block_describe(struct pl_part *part, const struct stat *st, struct platter_error *err);
int pl_block_zero(struct pl_part *part, uint64_t at, uint64_t length, unsigned flags,
		  struct platter_error *err);
int pl_block_discard(struct pl_part *part, uint64_t at, uint64_t length, struct platter_error *err);

/* The error of a write of `n` bytes that failed with `code`, a negative errno. */
int pl_part_write_failed(struct pl_part *part, int code, uint64_t n, uint64_t at,
			 struct platter_error *err);

#endif
