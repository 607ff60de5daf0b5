/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer.h - formats that are produced front to back
 *
 * The copy engine cuts the source into chunks and drives a writer through them:
 *
 *	encode	disk bytes -> stored bytes; on any thread, several at once
 *	place	where those go in the file; one at a time, in order of disk offset
 *	skip	a run of zeros, holes or bad sectors; in order, like place
 *	see	all bytes of the disk, in order, for formats that sum them up
 *	finish	write what metadata is left and the header
 *
 * The engine itself writes the stored bytes where place said, from any thread, so
 * that only the bookkeeping is serial.  `file` is a growable leaf of the storage
 * room, which makes it appear under its name afterwards; the request's file, or others
 * beside it that hold the stored bytes.
 */
#ifndef PL_WRITER_H
#define PL_WRITER_H

#include "disk.h"

struct pl_writer;

#define PL_NOTE_BYTES 32
/* In place of an offset in the file: nothing is to be stored. */
#define PL_NOWHERE UINT64_MAX

/* One encoded chunk. */
struct pl_encoded {
	uint8_t *bytes;  /* in: room for `capacity` bytes; out: what to store */
	size_t capacity; /* at least pl_writer.encoded_max */
	size_t length;   /* out */
	bool as_is;      /* out: not worth encoding; `bytes` is unused, store the chunk itself */
	uint8_t note[PL_NOTE_BYTES]; /* out, zeros at first: what place_chunk() is to know of it */
};

struct pl_writer_ops {
	/*
	 * Encode disk bytes [offset, offset + n); n is the chunk, or less at the disk's end.
	 * NULL: nothing is ever encoded, and place() is called for runs of any length.
	 */
	int (*encode)(struct pl_writer *w, uint64_t offset, const uint8_t *in, size_t n,
		      struct pl_encoded *out, struct platter_error *err);
	/*
	 * Find room for disk bytes [offset, offset + length): `stored` bytes encoded, or
	 * stored == 0: as is.  An as-is run may be longer than can be placed at once: *ret_length
	 * says how much of it *ret_at holds (a multiple of the chunk, or all).
	 */
	int (*place)(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored,
		     uint64_t *ret_at, uint64_t *ret_length, struct platter_error *err);
	/*
	 * Instead of place(), for formats that want to know of each chunk what encode() noted and
	 * never say as_is.  *ret_at is PL_NOWHERE if it is stored already.
	 */
	int (*place_chunk)(struct pl_writer *w, uint64_t offset, const struct pl_encoded *chunk,
			   uint64_t *ret_at, struct platter_error *err);
	/*
	 * The next n bytes of the disk (`bytes` NULL: zeros).  One call at a time, in order, on any
	 * thread, while other functions run.  NULL: not wanted.
	 */
	int (*see)(struct pl_writer *w, const uint8_t *bytes, uint64_t n,
		   struct platter_error *err);
	/* ZERO, HOLE or BAD; any length, at chunk boundaries or the disk's end. */
	int (*skip)(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
		    struct platter_error *err);
	/*
	 * Everything below `offset` has been written: make an interrupted file resumable up to
	 * here.  Called in order, now and then.  NULL: the format cannot be resumed.
	 */
	int (*checkpoint)(struct pl_writer *w, uint64_t offset, struct platter_error *err);
	/* All placed bytes are in the file.  The file is whole after this. */
	int (*finish)(struct pl_writer *w, struct platter_error *err);
	void (*free)(struct pl_writer *w);
};

struct pl_writer {
	const struct pl_writer_ops *ops;
	struct pl_disk *file; /* borrowed: where the stored bytes go */
	uint64_t size;  /* bytes of the disk; UINT64_MAX: told by pl_writer.size before finish */
	uint32_t chunk; /* bytes: what encode takes, what skip aligns to */
	size_t encoded_max;     /* room that encode may need for one chunk */
	struct pl_disk *source; /* to be copied in place of the disk, or NULL; the writer's own */
	uint64_t resumed; /* disk bytes before this are already in the file, from an earlier run */
};

#endif
