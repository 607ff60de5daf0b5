/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cache.c - decoded chunks, bounded and single flight
 *
 * One cache serves every disk of the process.  The first thread that wants a chunk
 * decodes it; others that want it meanwhile wait for that one.  The least recently
 * used chunks make room for new ones.
 */
#include <pthread.h>
#include <string.h>

#include "disk.h"

#define NR_BUCKETS 4096

struct entry {
	uint64_t disk, chunk_offset; /* the key, with: */
	unsigned generation;
	uint8_t *bytes; /* NULL while it is being decoded */
	uint32_t length;
	unsigned users; /* threads that decode, wait or copy; not evicted while any */
	int failed;     /* result of the decoding, when < 0: no longer in the table */
	struct platter_error *err;
	struct entry *next;          /* in its bucket */
	struct entry *older, *newer; /* in order of use, ready entries only */
};

/* Guards everything below and in the entries, but for the bytes of ready ones. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t decoded = PTHREAD_COND_INITIALIZER;
static struct entry *buckets[NR_BUCKETS];
static struct entry *oldest, *newest;
static size_t used, limit = MIB(64);

static struct entry **
bucket_of(uint64_t disk, uint64_t chunk_offset)
{
	uint64_t h = (disk * 0x9e3779b97f4a7c15u) ^ (chunk_offset * 0xff51afd7ed558ccdu);

	return &buckets[(h >> 40) % NR_BUCKETS];
}

static void
list_remove(struct entry *e)
{
	*(e->older ? &e->older->newer : &oldest) = e->newer;
	*(e->newer ? &e->newer->older : &newest) = e->older;
	e->older = e->newer = NULL;
}

static void
list_add_newest(struct entry *e)
{
	e->older = newest;
	*(newest ? &newest->newer : &oldest) = e;
	newest = e;
}

static void
table_remove(struct entry *e)
{
	struct entry **p = bucket_of(e->disk, e->chunk_offset);

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
}

static void
entry_free(struct entry *e)
{
	free(e->bytes);
	free(e->err);
	free(e);
}

/* Forget old entries until the cache keeps its limit. */
static void
evict(void)
{
	struct entry *e = oldest;

	while (used > limit && e) {
		struct entry *newer = e->newer;

		if (!e->users) {
			used -= e->length;
			list_remove(e);
			table_remove(e);
			entry_free(e);
		}
		e = newer;
	}
}

/* Decode into `e`, which is in the table and has no bytes yet.  Called and left with the lock. */
static void
fill(struct entry *e, const struct pl_extent *extent)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	uint8_t *bytes;
	int r;

	pthread_mutex_unlock(&lock);
	bytes = extent->chunk_length <= PL_MAX_CHUNK ? malloc(extent->chunk_length) : NULL;
	r = bytes ? pl_decode_chunk(extent, bytes, &err) : pl_no_memory(&err);
	pthread_mutex_lock(&lock);

	if (r < 0) {
		free(bytes);
		e->failed = r;
		e->err = malloc(sizeof err);
		if (e->err)
			*e->err = err;
		table_remove(e);
	} else {
		e->bytes = bytes;
		used += e->length;
		list_add_newest(e);
		evict();
	}
	pthread_cond_broadcast(&decoded);
}

int
pl_cache_read(struct pl_disk *owner, const struct pl_extent *extent, void *buf, size_t n,
	      size_t skip, struct platter_error *err)
{
	unsigned generation = atomic_load(&owner->generation);
	struct entry **bucket, *e;
	int r;

	pthread_mutex_lock(&lock);
	bucket = bucket_of(owner->id, extent->chunk_offset);
	for (e = *bucket; e; e = e->next)
		if (e->disk == owner->id && e->chunk_offset == extent->chunk_offset &&
		    e->generation == generation && e->length == extent->chunk_length)
			break;
	if (e) {
		e->users++;
		while (!e->bytes && !e->failed)
			pthread_cond_wait(&decoded, &lock);
		if (e->bytes && e != newest) {
			list_remove(e);
			list_add_newest(e);
		}
	} else {
		e = calloc(1, sizeof *e);
		if (!e) {
			pthread_mutex_unlock(&lock);
			return pl_no_memory(err);
		}
		*e = (struct entry){ .disk = owner->id,
				     .chunk_offset = extent->chunk_offset,
				     .generation = generation,
				     .length = extent->chunk_length,
				     .users = 1,
				     .next = *bucket };
		*bucket = e;
		fill(e, extent);
	}
	r = e->failed;
	if (r < 0 && err) {
		if (e->err)
			*err = *e->err;
		else
			(void)pl_no_memory(err);
	}
	if (r == 0) {
		pthread_mutex_unlock(&lock);
		memcpy(buf, e->bytes + skip, n);
		pthread_mutex_lock(&lock);
	}
	if (--e->users == 0) {
		if (e->failed)
			entry_free(e);
		else
			evict();
	}
	pthread_mutex_unlock(&lock);
	return r;
}

void
pl_cache_set_limit(size_t bytes)
{
	pthread_mutex_lock(&lock);
	limit = bytes;
	evict();
	pthread_mutex_unlock(&lock);
}
