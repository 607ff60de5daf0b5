/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tables.c - metadata clusters of a QCOW2 image in memory, bounded; written when told */
#include "image.h"

/* 16 MiB of L2 tables map 128 GiB with 64 KiB clusters. */
#define CACHE_BYTES MIB(16)
#define MIN_TABLES  8

static struct qcow2_table **
bucket_of(struct qcow2_tables *t, uint64_t offset)
{
	return &t->buckets[((offset * 0x9e3779b97f4a7c15u) >> 32) & (t->nr_buckets - 1)];
}

static void
list_remove(struct qcow2_tables *t, struct qcow2_table *e)
{
	*(e->older ? &e->older->newer : &t->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &t->newest) = e->older;
	e->older = e->newer = NULL;
}

static void
list_add_newest(struct qcow2_tables *t, struct qcow2_table *e)
{
	e->older = t->newest;
	*(t->newest ? &t->newest->newer : &t->oldest) = e;
	t->newest = e;
}

static void
drop(struct qcow2_tables *t, struct qcow2_table *e)
{
	struct qcow2_table **p = bucket_of(t, e->offset);

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	list_remove(t, e);
	t->nr--;
	free(e->bytes);
	free(e);
}

/* Forget the longest unused until there is room for one more, if that can be. */
static void
evict(struct qcow2_tables *t)
{
	struct qcow2_table *e = t->oldest;

	while (e && t->nr >= t->limit) {
		struct qcow2_table *newer = e->newer;

		if (!e->users && !e->dirty)
			drop(t, e);
		e = newer;
	}
}

int
pl_qcow2_tables_init(struct qcow2_tables *t, uint64_t cluster_size, struct platter_error *err)
{
	t->limit = (size_t)PL_MAX(CACHE_BYTES / cluster_size, (uint64_t)MIN_TABLES);
	for (t->nr_buckets = MIN_TABLES; t->nr_buckets < t->limit;)
		t->nr_buckets *= 2;
	t->buckets = calloc(t->nr_buckets, sizeof(struct qcow2_table *));
	if (!t->buckets)
		return pl_no_memory(err);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->loaded, NULL);
	return 0;
}

void
pl_qcow2_tables_done(struct qcow2_tables *t)
{
	if (!t->buckets)
		return;
	while (t->oldest)
		drop(t, t->oldest);
	pthread_cond_destroy(&t->loaded);
	pthread_mutex_destroy(&t->lock);
	free(t->buckets);
	t->buckets = NULL;
}

static struct qcow2_table *
find(struct qcow2_tables *t, uint64_t offset)
{
	struct qcow2_table *e = *bucket_of(t, offset);

	while (e && e->offset != offset)
		e = e->next;
	return e;
}

/* An entry in the table that is being loaded, used once. */
static struct qcow2_table *
add(struct qcow2_tables *t, uint64_t offset, size_t size)
{
	struct qcow2_table *e = calloc(1, sizeof *e), **bucket = bucket_of(t, offset);

	if (!e)
		return NULL;
	e->bytes = malloc(size);
	if (!e->bytes) {
		free(e);
		return NULL;
	}
	evict(t);
	e->offset = offset;
	e->users = 1;
	e->loading = true;
	e->next = *bucket;
	*bucket = e;
	list_add_newest(t, e);
	t->nr++;
	return e;
}

int
pl_qcow2_table_get(struct qcow2 *q, uint64_t offset, struct qcow2_table **ret,
		   struct platter_error *err)
{
	struct qcow2_tables *t = &q->tables;
	struct qcow2_table *e;
	int r;

	pthread_mutex_lock(&t->lock);
	while ((e = find(t, offset)) && e->loading)
		pthread_cond_wait(&t->loaded, &t->lock);
	if (e) {
		e->users++;
		if (e != t->newest) {
			list_remove(t, e);
			list_add_newest(t, e);
		}
		pthread_mutex_unlock(&t->lock);
		*ret = e;
		return 0;
	}
	e = add(t, offset, q->cluster_size);
	if (!e) {
		pthread_mutex_unlock(&t->lock);
		return pl_no_memory(err);
	}
	pthread_mutex_unlock(&t->lock);
	r = pl_read(q->file, e->bytes, q->cluster_size, offset, err);
	pthread_mutex_lock(&t->lock);
	e->loading = false;
	if (r < 0)
		drop(t, e);
	else
		*ret = e;
	pthread_cond_broadcast(&t->loaded);
	pthread_mutex_unlock(&t->lock);
	return r;
}

void
pl_qcow2_table_put(struct qcow2 *q, struct qcow2_table *e)
{
	pthread_mutex_lock(&q->tables.lock);
	e->users--;
	pthread_mutex_unlock(&q->tables.lock);
}

int
pl_qcow2_table_new(struct qcow2 *q, uint64_t offset, enum qcow2_table_kind kind,
		   struct qcow2_table **ret, struct platter_error *err)
{
	struct qcow2_tables *t = &q->tables;
	struct qcow2_table *e;

	pl_qcow2_table_forget(q, offset);
	pthread_mutex_lock(&t->lock);
	e = add(t, offset, q->cluster_size);
	if (e) {
		e->loading = false;
		memset(e->bytes, 0, q->cluster_size);
	}
	pthread_mutex_unlock(&t->lock);
	if (!e)
		return pl_no_memory(err);
	e->fresh = true;
	pl_qcow2_table_dirty(q, e, kind, 0, q->cluster_size);
	*ret = e;
	return 0;
}

void
pl_qcow2_table_forget(struct qcow2 *q, uint64_t offset)
{
	struct qcow2_tables *t = &q->tables;
	struct qcow2_table *e;

	pthread_mutex_lock(&t->lock);
	e = find(t, offset);
	if (e && e->dirty) {
		struct qcow2_table **p = &t->dirty[e->kind];

		while (*p != e)
			p = &(*p)->next_dirty;
		*p = e->next_dirty;
		t->nr_dirty--;
		e->dirty = false;
	}
	if (e && !e->users)
		drop(t, e);
	pthread_mutex_unlock(&t->lock);
}

void
pl_qcow2_table_dirty(struct qcow2 *q, struct qcow2_table *e, enum qcow2_table_kind kind,
		     size_t start, size_t end)
{
	struct qcow2_tables *t = &q->tables;

	pthread_mutex_lock(&t->lock);
	if (!e->dirty) {
		e->dirty = true;
		e->kind = kind;
		e->dirty_start = start;
		e->dirty_end = end;
		e->next_dirty = t->dirty[kind];
		t->dirty[kind] = e;
		t->nr_dirty++;
	} else {
		e->dirty_start = PL_MIN(e->dirty_start, start);
		e->dirty_end = PL_MAX(e->dirty_end, end);
	}
	pthread_mutex_unlock(&t->lock);
}

int
pl_qcow2_tables_write(struct qcow2 *q, enum qcow2_table_kind kind, bool fresh_only,
		      struct platter_error *err)
{
	struct qcow2_tables *t = &q->tables;
	struct qcow2_table **p = &t->dirty[kind], *e;

	/* Only the writing thread changes this list. */
	while ((e = *p)) {
		size_t start = e->dirty_start & ~(size_t)511;
		size_t end = (size_t)pl_round_up(e->dirty_end, 512);
		int r;

		if (fresh_only && !e->fresh) {
			p = &e->next_dirty;
			continue;
		}
		r = pl_write(q->file, e->bytes + start, end - start, e->offset + start, err);
		if (r < 0)
			return r;
		pthread_mutex_lock(&t->lock);
		*p = e->next_dirty;
		e->next_dirty = NULL;
		e->dirty = e->fresh = false;
		t->nr_dirty--;
		pthread_mutex_unlock(&t->lock);
	}
	return 0;
}
