/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * file.h - the contents of a file as a disk
 *
 * A driver adds the runs of a file in the order of its bytes and gets a disk.  What no
 * run covers is a hole.  Runs may pass the file's end; what does is not seen.
 */
#ifndef PL_FILE_H
#define PL_FILE_H

#include "disk.h"

/* 1 TiB in runs of 256 KiB; a file of more is refused (-EFBIG). */
#define PL_MAX_RUNS (4u << 20)

/* Bytes [offset, offset + length) of a file. */
struct pl_run {
	uint64_t offset, length;
	uint64_t stored;       /* DATA: where, in the disk below */
	struct pl_disk *below; /* DATA: another disk than the file's; the file keeps a reference */
	const struct pl_decoder *decoder; /* DATA: NULL: stored as is */
	uint32_t stored_length;           /* with a decoder: bytes stored for the chunk, */
	uint32_t chunk_length;            /* what it decodes to, */
	uint32_t skip;                    /* and how much of that comes before the run */
	uint32_t kind;                    /* DATA, ZERO, HOLE or BAD */
};

/* Start from {0}. */
struct pl_runs {
	struct pl_run *run;
	size_t nr, capacity;
};
void pl_runs_done(struct pl_runs *runs);

/*
 * Add one behind all others: -EUCLEAN if it begins before the last one ends.  Stored data
 * that goes on where the last run ended becomes part of it.  Runs of length 0 are left out.
 */
int pl_runs_add(struct pl_runs *runs, const struct pl_run *run, struct platter_error *err);

/* The common ones. */
int pl_runs_add_data(struct pl_runs *runs, uint64_t offset, uint64_t length, uint64_t stored,
		     struct platter_error *err);
int pl_runs_add_zero(struct pl_runs *runs, uint64_t offset, uint64_t length,
		     struct platter_error *err);

/*
 * The file of `size` bytes that the runs make, stored in `below` (a reference is kept),
 * called `name`.  Takes the runs over, *runs is {0} afterwards, in failure too.
 */
int pl_file_new(struct pl_disk *below, struct pl_runs *runs, uint64_t size, const char *name,
		struct pl_disk **ret, struct platter_error *err);

/* A file whose bytes are in the metadata; they are copied. */
int pl_file_of_bytes(const void *bytes, size_t n, const char *name, struct pl_disk **ret,
		     struct platter_error *err);

#endif
