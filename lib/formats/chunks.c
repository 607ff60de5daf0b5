/* SPDX-License-Identifier: GPL-3.0-or-later */
/* chunks.c - chunks stored one behind another */
#include "chunks.h"

/* Every so many chunks it is noted where they begin; between these, lengths are added up. */
#define EVERY 64

/* An entry: the method above the length. */
#define LENGTH_BITS 28
#define LENGTH_MASK ((1u << LENGTH_BITS) - 1)

void
pl_chunks_done(struct pl_chunks *c)
{
	free(c->entries);
	free(c->starts);
}

static int
grow(struct pl_chunks *c, struct platter_error *err)
{
	size_t room = c->room ? c->room * 2 : 4096;
	uint32_t *entries = pl_realloc_array(c->entries, room, sizeof *entries);
	uint64_t *starts;

	if (!entries)
		return pl_no_memory(err);
	c->entries = entries;
	starts = pl_realloc_array(c->starts, room / EVERY, sizeof *starts);
	if (!starts)
		return pl_no_memory(err);
	c->starts = starts;
	c->room = room;
	return 0;
}

int
pl_chunks_add(struct pl_chunks *c, unsigned method, uint64_t length, uint64_t at,
	      struct platter_error *err)
{
	int r;

	if (length > 2 * PL_MAX_CHUNK || length > LENGTH_MASK)
		return pl_over_limit(err, at,
				     "chunk %zu is stored in %" PRIu64 " bytes, limit is %" PRIu64,
				     c->nr, length, 2 * PL_MAX_CHUNK);
	if (c->nr == PL_MAX_CHUNKS)
		return pl_over_limit(err, at, "more than %u chunks", PL_MAX_CHUNKS);
	if (c->nr == c->room) {
		r = grow(c, err);
		if (r < 0)
			return r;
	}
	if (c->nr % EVERY == 0)
		c->starts[c->nr / EVERY] = c->stored;
	c->entries[c->nr++] = (uint32_t)length | method << LENGTH_BITS;
	if (method != PL_CHUNK_ZERO)
		c->stored += length;
	return 0;
}

/* Bytes that the chunk takes: a length may be told of zeros too. */
static uint32_t
stored_length(const struct pl_chunks *c, size_t index)
{
	uint32_t entry = c->entries[index];

	return entry >> LENGTH_BITS == PL_CHUNK_ZERO ? 0 : entry & LENGTH_MASK;
}

uint64_t
pl_chunks_start(const struct pl_chunks *c, size_t index)
{
	size_t i = index / EVERY * EVERY;
	uint64_t start;

	if (index == c->nr)
		return c->stored;
	for (start = c->starts[i / EVERY]; i < index; i++)
		start += stored_length(c, i);
	return start;
}

static int
find(const struct pl_chunks *c, const struct pl_disk *disk, struct pl_disk *below, size_t index,
     struct pl_extent *ret, struct platter_error *err)
{
	uint64_t first = (uint64_t)index * c->size, start;
	uint32_t n = (uint32_t)PL_MIN(c->size, disk->size - first), length;
	unsigned method;

	*ret = (struct pl_extent){ .length = n, .kind = PLATTER_ZERO };
	if (index >= c->nr)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "there is no chunk %zu: the table has %zu", index, c->nr);
	method = c->entries[index] >> LENGTH_BITS;
	if (method == PL_CHUNK_ZERO)
		return 0;
	start = pl_chunks_start(c, index);
	length = stored_length(c, index);
	if (!pl_in_range(start, length, below->size) || (method == PL_CHUNK_AS_IS && length < n)) {
		int r = pl_corrupt(err, PLATTER_NO_OFFSET,
				   "chunk %zu has %" PRIu32 " bytes at byte %" PRIu64
				   " of the data, which has %" PRIu64,
				   index, length, start, below->size);

		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	ret->kind = PLATTER_DATA;
	ret->below = below;
	ret->stored_offset = start;
	if (method == PL_CHUNK_AS_IS)
		return 0;
	ret->decoder = c->methods[method];
	ret->stored_length = length;
	ret->chunk_offset = first;
	ret->chunk_length = n;
	return 0;
}

int
pl_chunks_run(const struct pl_chunks *c, const struct pl_disk *disk, struct pl_disk *below,
	      uint64_t offset, struct pl_extent *ret, struct platter_error *err)
{
	uint64_t skip = offset % c->size;
	int r = find(c, disk, below, (size_t)(offset / c->size), ret, err);

	if (r < 0)
		return r;
	ret->length -= skip;
	if (ret->kind == PLATTER_DATA && !ret->decoder)
		ret->stored_offset += skip;
	return 0;
}

void
pl_chunks_check(const struct pl_chunks *c, const struct pl_disk *disk, struct pl_disk *below,
		struct pl_findings *findings)
{
	struct platter_error found = PLATTER_ERROR_INIT;
	struct pl_extent e;

	for (size_t i = 0; i < c->nr && (uint64_t)i * c->size < disk->size; i++)
		if (find(c, disk, below, i, &e, &found) < 0)
			pl_found(findings, PLATTER_DAMAGE, PLATTER_NO_OFFSET, "%s", found.message);
	if (c->stored < below->size)
		pl_found(findings, PLATTER_NOTE, PLATTER_NO_OFFSET,
			 "%" PRIu64 " bytes follow the last chunk", below->size - c->stored);
}
