/* SPDX-License-Identifier: GPL-3.0-or-later */
/* meta.c - cached reading of a file system's metadata */
#include "meta.h"

#include <pthread.h>

#define WINDOW  KIB(16)
#define NR_SETS 256 /* each has a lock of its own */
#define NR_WAYS 4
#define LONGEST KIB(64) /* longer reads go past the cache */

struct window {
	uint8_t *bytes; /* NULL: empty */
	uint64_t number;
	uint32_t length; /* less than WINDOW at the disk's end */
	unsigned used;   /* the set's clock when it was last wanted */
};

struct set {
	pthread_mutex_t lock; /* guards what follows */
	unsigned clock;
	struct window way[NR_WAYS];
};

struct pl_meta {
	struct pl_disk *disk; /* borrowed: the volume has the reference */
	struct set set[NR_SETS];
};

int
pl_meta_new(struct pl_disk *disk, struct pl_meta **ret, struct platter_error *err)
{
	struct pl_meta *m = calloc(1, sizeof *m);

	if (!m)
		return pl_no_memory(err);
	m->disk = disk;
	for (size_t i = 0; i < NR_SETS; i++)
		pthread_mutex_init(&m->set[i].lock, NULL);
	*ret = m;
	return 0;
}

void
pl_meta_free(struct pl_meta *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < NR_SETS; i++) {
		for (size_t k = 0; k < NR_WAYS; k++)
			free(m->set[i].way[k].bytes);
		pthread_mutex_destroy(&m->set[i].lock);
	}
	free(m);
}

static struct set *
set_of(struct pl_meta *m, uint64_t number)
{
	return &m->set[number * 0x9e3779b97f4a7c15u >> 56];
}

/* Copy `n` bytes at `skip` of a window that is kept; false if it is not. */
static bool
copy_kept(struct pl_meta *m, uint64_t number, uint8_t *buf, size_t n, size_t skip)
{
	struct set *s = set_of(m, number);
	bool found = false;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < NR_WAYS && !found; i++) {
		struct window *w = &s->way[i];

		if (w->bytes && w->number == number && pl_in_range(skip, n, w->length)) {
			memcpy(buf, w->bytes + skip, n);
			w->used = ++s->clock;
			found = true;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return found;
}

/* Keep a window in place of the one not wanted for longest. */
static void
keep(struct pl_meta *m, uint64_t number, uint8_t *bytes, size_t length)
{
	struct set *s = set_of(m, number);
	struct window *oldest = &s->way[0];

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < NR_WAYS; i++) {
		struct window *w = &s->way[i];

		/* Another thread was faster. */
		if (w->bytes && w->number == number) {
			oldest = w;
			break;
		}
		if (!w->bytes || (oldest->bytes && s->clock - w->used > s->clock - oldest->used))
			oldest = w;
	}
	free(oldest->bytes);
	*oldest = (struct window){ bytes, number, (uint32_t)length, ++s->clock };
	pthread_mutex_unlock(&s->lock);
}

static int
read_window(struct pl_meta *m, uint64_t number, uint8_t *buf, size_t n, size_t skip,
	    struct platter_error *err)
{
	uint64_t start = number * WINDOW;
	size_t length = (size_t)PL_MIN(WINDOW, pl_disk_size(m->disk) - start);
	uint8_t *bytes;

	if (copy_kept(m, number, buf, n, skip))
		return 0;
	bytes = malloc(length);
	if (!bytes)
		return pl_no_memory(err);
	if (pl_read(m->disk, bytes, length, start, NULL) < 0) {
		free(bytes);
		return pl_read(m->disk, buf, n, start + skip, err);
	}
	memcpy(buf, bytes + skip, n);
	keep(m, number, bytes, length);
	return 0;
}

int
pl_meta_read(struct pl_meta *m, void *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	uint8_t *p = buf;
	int r = 0;

	if (!pl_in_range(offset, n, pl_disk_size(m->disk))) {
		r = pl_corrupt(err, offset,
			       "%zu bytes of metadata at byte %" PRIu64
			       " end past the volume's %" PRIu64,
			       n, offset, pl_disk_size(m->disk));
		pl_error_place(err, m->disk->name);
		return r;
	}
	if (n > LONGEST)
		return pl_read(m->disk, buf, n, offset, err);
	while (n && r == 0) {
		size_t skip = (size_t)(offset % WINDOW), part = PL_MIN(n, WINDOW - skip);

		r = read_window(m, offset / WINDOW, p, part, skip, err);
		p += part;
		offset += part;
		n -= part;
	}
	return r;
}
