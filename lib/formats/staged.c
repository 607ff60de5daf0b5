/* SPDX-License-Identifier: GPL-3.0-or-later */
/* staged.c - changes of metadata that wait in memory for what they name */
#include "staged.h"

#include <stdlib.h>
#include <string.h>

#define UNIT PL_STAGED_UNIT

#define NR_BUCKETS 4096u /* a power of two */

struct unit {
	uint64_t offset;
	struct unit *next; /* in its bucket */
	uint8_t bytes[UNIT];
};

struct staged {
	struct pl_disk disk;
	struct pl_disk *file;  /* a reference */
	pthread_rwlock_t lock; /* guards what follows: one writes, many read */
	struct unit *buckets[NR_BUCKETS];
	size_t nr;
};

static struct staged *
staged_of(struct pl_disk *disk)
{
	return pl_container_of(disk, struct staged, disk);
}

static struct unit **
bucket_of(struct staged *s, uint64_t offset)
{
	return &s->buckets[offset / UNIT & (NR_BUCKETS - 1)];
}

static struct unit *
find(struct staged *s, uint64_t offset)
{
	struct unit *u = *bucket_of(s, offset);

	while (u && u->offset != offset)
		u = u->next;
	return u;
}

static int
staged_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *err)
{
	*ret = (struct pl_extent){ .length = length, .kind = PLATTER_DATA };
	return 0;
}

static int
staged_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	struct staged *s = staged_of(disk);
	uint64_t end = offset + n;
	int r;

	pthread_rwlock_rdlock(&s->lock);
	r = pl_read_padded(s->file, buf, n, offset, NULL, err);
	for (uint64_t at = pl_round_down(offset, UNIT); r == 0 && s->nr && at < end; at += UNIT) {
		const struct unit *u = find(s, at);
		uint64_t from = PL_MAX(at, offset), to = PL_MIN(at + UNIT, end);

		if (u)
			memcpy((uint8_t *)buf + (from - offset), u->bytes + (from - at),
			       (size_t)(to - from));
	}
	pthread_rwlock_unlock(&s->lock);
	return r;
}

/* The unit at `offset`, as it is in the file if it did not wait yet. */
static int
get_unit(struct staged *s, uint64_t offset, bool whole, struct unit **ret,
	 struct platter_error *err)
{
	struct unit *u = find(s, offset), **bucket = bucket_of(s, offset);
	int r;

	if (!u) {
		u = malloc(sizeof *u);
		if (!u)
			return pl_no_memory(err);
		r = whole ? 0 : pl_read_padded(s->file, u->bytes, UNIT, offset, NULL, err);
		if (r < 0) {
			free(u);
			return r;
		}
		u->offset = offset;
		u->next = *bucket;
		*bucket = u;
		s->nr++;
	}
	*ret = u;
	return 0;
}

static int
staged_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	     struct platter_error *err)
{
	struct staged *s = staged_of(disk);
	uint64_t end = offset + n;
	int r = 0;

	pthread_rwlock_wrlock(&s->lock);
	for (uint64_t at = pl_round_down(offset, UNIT); r == 0 && at < end; at += UNIT) {
		uint64_t from = PL_MAX(at, offset), to = PL_MIN(at + UNIT, end);
		struct unit *u;

		r = get_unit(s, at, to - from == UNIT, &u, err);
		if (r == 0)
			memcpy(u->bytes + (from - at), (const uint8_t *)buf + (from - offset),
			       (size_t)(to - from));
	}
	if (r == 0)
		disk->size = PL_MAX(disk->size, end);
	pthread_rwlock_unlock(&s->lock);
	return r;
}

static void
forget_all(struct staged *s)
{
	for (size_t i = 0; i < NR_BUCKETS; i++)
		while (s->buckets[i]) {
			struct unit *u = s->buckets[i];

			s->buckets[i] = u->next;
			free(u);
		}
	s->nr = 0;
}

static void
staged_free(struct pl_disk *disk)
{
	struct staged *s = staged_of(disk);

	forget_all(s);
	pthread_rwlock_destroy(&s->lock);
	pl_disk_unref(s->file);
	pl_disk_done(disk);
	free(s);
}

static const struct pl_disk_ops staged_ops = {
	.name = "staged",
	.map = staged_map,
	.read = staged_read,
	.write = staged_write,
	.free = staged_free,
};

int
pl_staged_new(struct pl_disk *file, struct pl_disk **ret, struct platter_error *err)
{
	struct staged *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return pl_no_memory(err);
	r = pl_disk_init(&s->disk, &staged_ops, file->name, err);
	if (r < 0) {
		free(s);
		return r;
	}
	pthread_rwlock_init(&s->lock, NULL);
	s->file = pl_disk_ref(file);
	s->disk.size = file->size;
	s->disk.writable = file->writable;
	s->disk.growable = true;
	*ret = &s->disk;
	return 0;
}

void
pl_staged_follow(struct pl_disk *staged)
{
	struct staged *s = staged_of(staged);

	pthread_rwlock_wrlock(&s->lock);
	staged->size = PL_MAX(staged->size, s->file->size);
	pthread_rwlock_unlock(&s->lock);
}

uint64_t
pl_staged_bytes(struct pl_disk *staged)
{
	return (uint64_t)staged_of(staged)->nr * UNIT;
}

static int
by_offset(const void *a, const void *b)
{
	uint64_t x = (*(const struct unit *const *)a)->offset;
	uint64_t y = (*(const struct unit *const *)b)->offset;

	return (x > y) - (x < y);
}

/* All that wait, in ascending order; NULL: no memory. */
static const struct unit **
sorted(struct staged *s)
{
	const struct unit **list = pl_realloc_array(NULL, s->nr + 1, sizeof *list);
	size_t nr = 0;

	if (!list)
		return NULL;
	for (size_t i = 0; i < NR_BUCKETS; i++)
		for (const struct unit *u = s->buckets[i]; u; u = u->next)
			list[nr++] = u;
	qsort(list, nr, sizeof *list, by_offset);
	return list;
}

int
pl_staged_visit(struct pl_disk *staged, uint32_t most,
		int (*visit)(void *closure, uint64_t offset, const uint8_t *bytes, size_t n,
			     struct platter_error *err),
		void *closure, struct platter_error *err)
{
	struct staged *s = staged_of(staged);
	PL_AUTOFREE const struct unit **list = sorted(s);
	PL_AUTOFREE uint8_t *run = malloc(most);
	int r = 0;

	if (!list || !run)
		return pl_no_memory(err);
	for (size_t i = 0, nr; i < s->nr && r == 0; i += nr) {
		for (nr = 0; i + nr < s->nr && nr < most / UNIT; nr++) {
			if (list[i + nr]->offset != list[i]->offset + nr * UNIT)
				break;
			memcpy(run + nr * UNIT, list[i + nr]->bytes, UNIT);
		}
		r = visit(closure, list[i]->offset, run, nr * UNIT, err);
	}
	return r;
}

/* Metadata may end within a unit, where the file does. */
static int
write_run(void *closure, uint64_t offset, const uint8_t *bytes, size_t n, struct platter_error *err)
{
	struct staged *s = closure;
	uint64_t end = PL_MAX(s->disk.size, s->file->size);

	return pl_write(s->file, bytes, (size_t)PL_MIN(n, end - offset), offset, err);
}

int
pl_staged_commit(struct pl_disk *staged, struct platter_error *err)
{
	struct staged *s = staged_of(staged);
	int r = s->nr ? pl_staged_visit(staged, KIB(256), write_run, s, err) : 0;

	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&s->lock);
	forget_all(s);
	pthread_rwlock_unlock(&s->lock);
	return 0;
}
