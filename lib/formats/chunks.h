/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * chunks.h - discs cut into chunks of one size that are stored one behind another
 *
 * A table tells only how long each is stored, and how; where is the sum of those before it.
 * What ISZ and DAA have in common.
 */
#ifndef PL_CHUNKS_H
#define PL_CHUNKS_H

#include "format.h"

/* Chunks of one image: 1 TiB in chunks of 64 KiB, and 64 MiB of memory. */
#define PL_MAX_CHUNKS (1u << 24)

/* How a chunk is stored; from PL_CHUNK_ENCODED on by the decoders of the image. */
enum {
	PL_CHUNK_ZERO, /* not at all: it is zeros */
	PL_CHUNK_AS_IS,
	PL_CHUNK_ENCODED,
	PL_CHUNK_METHODS = 8
};

struct pl_chunks {
	uint32_t size;                                      /* of a chunk on the disk */
	const struct pl_decoder *methods[PL_CHUNK_METHODS]; /* those that are encoded; borrowed */
	uint32_t *entries;
	uint64_t *starts; /* of some of them, in the stored bytes */
	size_t nr, room;
	uint64_t stored; /* bytes of all */
};

/* The caller has set `size` (> 0, at most PL_MAX_CHUNK) and `methods` of a zeroed one. */
void pl_chunks_done(struct pl_chunks *c);

/* The next chunk, whose entry of the table stands at byte `at` of the file. */
int pl_chunks_add(struct pl_chunks *c, unsigned method, uint64_t length, uint64_t at,
		  struct platter_error *err);

/* Where the chunk's stored bytes begin in those of all; `index` may be `nr`: where they end. */
uint64_t pl_chunks_start(const struct pl_chunks *c, size_t index);

/* For pl_blocks_map(): the extent at `offset` of the disk, whose stored bytes are `below`. */
int pl_chunks_run(const struct pl_chunks *c, const struct pl_disk *disk, struct pl_disk *below,
		  uint64_t offset, struct pl_extent *ret, struct platter_error *err);

/* Report chunks that are not within the stored bytes. */
void pl_chunks_check(const struct pl_chunks *c, const struct pl_disk *disk, struct pl_disk *below,
		     struct pl_findings *findings);

#endif
