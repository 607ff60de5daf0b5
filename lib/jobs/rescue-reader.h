/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rescue-reader.h - reads of a failing device that are waited for only so long
 *
 * A read can be stuck in the kernel for minutes, and nothing can end it.  So each is done by a
 * thread, which writes what it read into the image itself, and whoever waits gives up on it when its
 * time is over; when it ends after all, that is told too, for what it read is good.
 */
#ifndef PL_RESCUE_READER_H
#define PL_RESCUE_READER_H

#include "direct.h"
#include "rescue-cd.h"

/* The largest read. */
#define PL_READER_BYTES MIB(1)

enum pl_reader_answer {
	PL_READER_READ,
	PL_READER_BAD,
	PL_READER_SLOW,      /* its time is over, and it goes on */
	PL_READER_GONE,      /* the device is */
	PL_READER_UNWRITTEN, /* the image could not be written: see pl_reader_error() */
};

struct pl_reader_result {
	uint64_t offset;
	size_t length;
	size_t done;    /* of BAD: bytes at its start that were read and written */
	double seconds; /* that it took, or takes already */
	bool late;      /* SLOW was told of it before */
	enum pl_reader_answer answer;
};

struct pl_reader;

/*
 * Takes over `source`, and `cd`, through which its bad sectors are read raw; NULL: they are not.
 * `image` NULL: what is read is written nowhere.  `fresh`: the image holds zeros where nothing was
 * written, and so they need not be.
 */
int pl_reader_new(struct pl_direct *source, struct pl_rescue_cd *cd, struct pl_disk *image,
		  bool fresh, double timeout, struct pl_reader **ret, struct platter_error *err);
/* What is stuck in the kernel is left behind, and frees itself when it ends. */
void pl_reader_free(struct pl_reader *r);

const struct pl_direct *pl_reader_source(const struct pl_reader *r);

/* Begin to read.  -ETIMEDOUT: so many reads are stuck that the device does not answer at all. */
int pl_reader_begin(struct pl_reader *r, uint64_t offset, size_t n, struct platter_error *err);

/* Reads begun whose end, or SLOW, was not told yet. */
unsigned pl_reader_pending(struct pl_reader *r);

/* Wait for the next end of one, for `seconds` at most; false: there was none. */
bool pl_reader_wait(struct pl_reader *r, double seconds, struct pl_reader_result *ret);

/* Why the image could not be written. */
int pl_reader_error(struct pl_reader *r, struct platter_error *err);

/* Reads so far, and bytes that they gave. */
void pl_reader_counts(struct pl_reader *r, uint64_t *ret_reads, uint64_t *ret_bytes);

/* Write `buf` to the image, its zeros as holes. */
int pl_reader_store(struct pl_disk *image, bool fresh, const uint8_t *buf, size_t n,
		    uint64_t offset, struct platter_error *err);

#endif
