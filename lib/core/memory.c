/* SPDX-License-Identifier: GPL-3.0-or-later */
/* memory.c - a disk in memory, for tests and fuzz targets */
#include <string.h>

#include "disk.h"

/* What tests need; hostile images ask for more. */
#define MAX_SIZE MIB(128)

struct memory {
	struct pl_disk disk;
	uint8_t *bytes; /* room for `capacity`, zeros past the size */
	uint64_t capacity;
};

static int
memory_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *err)
{
	*ret = (struct pl_extent){ .length = length, .kind = PLATTER_DATA };
	return 0;
}

static int
memory_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	memcpy(buf, pl_container_of(disk, struct memory, disk)->bytes + offset, n);
	return 0;
}

static int
memory_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	struct memory *m = pl_container_of(disk, struct memory, disk);
	uint64_t capacity;
	uint8_t *bytes;

	if (size > MAX_SIZE)
		return pl_fail(err, -ENOSPC, "a disk in memory of %" PRIu64 " bytes", size);
	if (size > m->capacity) {
		capacity = PL_MIN(PL_MAX(size, m->capacity * 2), MAX_SIZE);
		bytes = realloc(m->bytes, capacity);
		if (!bytes)
			return pl_no_memory(err);
		memset(bytes + m->capacity, 0, capacity - m->capacity);
		m->bytes = bytes;
		m->capacity = capacity;
	}
	if (size < disk->size)
		memset(m->bytes + size, 0, disk->size - size);
	disk->size = size;
	return 0;
}

static int
memory_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	     struct platter_error *err)
{
	struct memory *m = pl_container_of(disk, struct memory, disk);
	int r = offset + n > disk->size ? memory_resize(disk, offset + n, err) : 0;

	if (r == 0)
		memcpy(m->bytes + offset, buf, n);
	return r;
}

static void
memory_free(struct pl_disk *disk)
{
	struct memory *m = pl_container_of(disk, struct memory, disk);

	free(m->bytes);
	pl_disk_done(disk);
	free(m);
}

static const struct pl_disk_ops memory_ops = {
	.name = "memory",
	.map = memory_map,
	.read = memory_read,
	.write = memory_write,
	.resize = memory_resize,
	.free = memory_free,
};

int
pl_memory_new(const void *bytes, size_t n, const char *name, struct pl_disk **ret,
	      struct platter_error *err)
{
	struct memory *m = calloc(1, sizeof *m);
	uint8_t *copy = malloc(n ? n : 1);
	int r;

	if (!m || !copy) {
		free(m);
		free(copy);
		return pl_no_memory(err);
	}
	r = pl_disk_init(&m->disk, &memory_ops, name, err);
	if (r < 0) {
		free(m);
		free(copy);
		return r;
	}
	if (n)
		memcpy(copy, bytes, n);
	m->bytes = copy;
	m->disk.size = m->capacity = n;
	m->disk.writable = m->disk.growable = true;
	*ret = &m->disk;
	return 0;
}
