/* SPDX-License-Identifier: GPL-3.0-or-later */
/* read.c - the generic reader: resolve, decode, fill the caller's buffer */
#include <pthread.h>
#include <string.h>

#include "disk.h"
#include "per-thread.h"
#include "pool.h"

/* A read that must decode is spread over the processors in parts of this size. */
#define PART KIB(256)

/* Buffer for stored bytes, kept by each thread between chunks. */
struct scratch {
	uint8_t *bytes;
	size_t size;
	bool busy; /* decoding may read through another decoder below */
};

static void
scratch_free(void *p)
{
	struct scratch *s = p;

	free(s->bytes);
	free(s);
}

static struct pl_per_thread scratches = PL_PER_THREAD_INIT(struct scratch, scratch_free);

/* At least n bytes that stay the caller's until scratch_put(); larger ones are not kept. */
static uint8_t *
scratch_take(struct scratch *s, size_t n)
{
	if (s && !s->busy && n <= MIB(4)) {
		if (s->size < n) {
			free(s->bytes);
			s->size = (size_t)pl_round_up(n, KIB(64));
			s->bytes = malloc(s->size);
			if (!s->bytes)
				s->size = 0;
		}
		if (s->bytes) {
			s->busy = true;
			return s->bytes;
		}
	}
	return malloc(n);
}

static void
scratch_put(struct scratch *s, uint8_t *bytes)
{
	if (s && bytes == s->bytes)
		s->busy = false;
	else
		free(bytes);
}

int
pl_decode_chunk(const struct pl_extent *e, uint8_t *out, struct platter_error *err)
{
	struct scratch *s = pl_per_thread_get(&scratches);
	uint8_t *stored;
	int r;

	/* No codec stores a chunk in more than twice its size; absurd lengths stop here. */
	if (e->chunk_length > PL_MAX_CHUNK || e->stored_length > 2 * PL_MAX_CHUNK)
		return pl_over_limit(err, e->stored_offset,
				     "compressed piece of %" PRIu64 " bytes (%" PRIu32
				     " decoded), limit is %" PRIu64,
				     e->stored_length, e->chunk_length, (uint64_t)PL_MAX_CHUNK);
	stored = scratch_take(s, (size_t)PL_MAX(e->stored_length, (uint64_t)1));
	if (!stored)
		return pl_no_memory(err);
	r = pl_read_once(e->below, stored, (size_t)e->stored_length, e->stored_offset, err);
	if (r == 0) {
		r = e->decoder->decode(e->decoder, stored, (size_t)e->stored_length, out,
				       e->chunk_length, e->chunk_offset, err);
		if (r < 0 && err) {
			if (err->offset == PLATTER_NO_OFFSET)
				err->offset = e->stored_offset;
			pl_error_place(err, e->below->name);
		}
	}
	scratch_put(s, stored);
	return r;
}

static int
read_encoded(const struct pl_piece *p, uint8_t *buf, bool once, struct platter_error *err)
{
	const struct pl_extent *e = &p->extent;
	uint64_t skip = p->owner_offset - e->chunk_offset;

	if (p->owner_offset < e->chunk_offset || !pl_in_range(skip, p->length, e->chunk_length))
		return pl_corrupt(err, e->stored_offset, "extent outside of its compressed piece");
	if (once && skip == 0 && p->length == e->chunk_length)
		return pl_decode_chunk(e, buf, err);
	return pl_cache_read(p->owner, e, buf, (size_t)p->length, (size_t)skip, err);
}

/* On this thread only. */
static int
read_range(struct pl_disk *disk, uint8_t *buf, size_t n, uint64_t offset, bool once,
	   struct platter_error *err)
{
	while (n) {
		struct pl_piece p;
		int r = pl_resolve(disk, offset, n, 0, &p, err);

		if (r < 0)
			return r;
		if (p.kind != PLATTER_DATA)
			memset(buf, 0, (size_t)p.length);
		else if (p.leaf)
			r = p.leaf->ops->read(p.leaf, buf, (size_t)p.length, p.leaf_offset, err);
		else
			r = read_encoded(&p, buf, once, err);
		if (r < 0) {
			if (p.leaf)
				pl_error_place(err, p.leaf->name);
			return r;
		}
		buf += p.length;
		offset += p.length;
		n -= (size_t)p.length;
	}
	return 0;
}

struct parallel_read {
	struct pl_disk *disk;
	uint8_t *buf;
	size_t n;
	uint64_t offset;
	bool once;
	pthread_mutex_t lock;
	int result; /* of the first part that failed */
	struct platter_error err;
};

static void
read_part(void *closure, size_t index)
{
	struct parallel_read *pr = closure;
	/* Parts end at multiples of PART on the disk, so that chunks are not split between them. */
	uint64_t base = pl_round_down(pr->offset, PART) + index * PART;
	uint64_t start = PL_MAX(base, pr->offset);
	uint64_t end = PL_MIN(base + PART, pr->offset + pr->n);
	struct platter_error err = PLATTER_ERROR_INIT;
	int r = read_range(pr->disk, pr->buf + (start - pr->offset), (size_t)(end - start), start,
			   pr->once, &err);

	if (r == 0)
		return;
	pthread_mutex_lock(&pr->lock);
	if (pr->result == 0) {
		pr->result = r;
		pr->err = err;
	}
	pthread_mutex_unlock(&pr->lock);
}

static int
read_any(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, bool once,
	 struct platter_error *err)
{
	struct parallel_read pr = { .disk = disk,
				    .buf = buf,
				    .n = n,
				    .offset = offset,
				    .once = once,
				    .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pl_piece first;
	int r;

	if (!pl_in_range(offset, n, pl_disk_size(disk)))
		return pl_fail_at(err, -ERANGE, offset,
				  "%zu bytes at %" PRIu64 " pass the end of '%s' (%" PRIu64
				  " bytes)",
				  n, offset, disk->name, pl_disk_size(disk));
	if (!n)
		return 0;
	if (n < 2 * PART || pl_on_worker())
		return read_range(disk, buf, n, offset, once, err);
	r = pl_resolve(disk, offset, n, 0, &first, err);
	if (r < 0)
		return r;
	if (first.kind == PLATTER_DATA && first.leaf && first.length == n)
		return read_range(disk, buf, n, offset, once, err);
	pl_parallel((size_t)((pl_round_up(offset + n, PART) - pl_round_down(offset, PART)) / PART),
		    read_part, &pr);
	if (pr.result < 0 && err)
		*err = pr.err;
	return pr.result;
}

int
pl_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	return read_any(disk, buf, n, offset, false, err);
}

int
pl_read_once(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	return read_any(disk, buf, n, offset, true, err);
}

int
pl_read_padded(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, size_t *ret_n,
	       struct platter_error *err)
{
	size_t have =
		offset >= pl_disk_size(disk) ? 0 : (size_t)PL_MIN(n, pl_disk_size(disk) - offset);
	int r = pl_read(disk, buf, have, have ? offset : 0, err);

	if (r < 0)
		return r;
	memset((uint8_t *)buf + have, 0, n - have);
	if (ret_n)
		*ret_n = have;
	return 0;
}

int
pl_read_alloc(struct pl_disk *disk, size_t n, uint64_t offset, uint8_t **ret,
	      struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = NULL;
	int r;

	/* Before allocating: a table that the file cannot hold must not cost its size. */
	if (!pl_in_range(offset, n, pl_disk_size(disk)))
		return pl_corrupt(err, offset,
				  "table of %zu bytes at byte %" PRIu64
				  " passes the end of '%s' (%" PRIu64 " bytes)",
				  n, offset, disk->name, pl_disk_size(disk));
	buf = malloc(n ? n : 1);
	if (!buf)
		return pl_no_memory(err);
	r = pl_read(disk, buf, n, offset, err);
	if (r < 0)
		return r;
	*ret = PL_STEAL(buf);
	return 0;
}
