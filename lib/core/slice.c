/* SPDX-License-Identifier: GPL-3.0-or-later */
/* slice.c - a part of a disk as a disk: a partition */
#include "disk.h"

struct slice {
	struct pl_disk disk;
	struct pl_disk *below;
	uint64_t start;
};

static int
slice_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	  struct platter_error *err)
{
	struct slice *s = pl_container_of(disk, struct slice, disk);
	uint64_t end = pl_disk_size(s->below);
	uint64_t have = end > s->start ? end - s->start : 0;

	/* A partition of an image that was cut short: the rest of it was never stored. */
	if (offset >= have)
		*ret = (struct pl_extent){ .length = length, .kind = PLATTER_BAD };
	else
		*ret = (struct pl_extent){ .length = PL_MIN(length, have - offset),
					   .kind = PLATTER_DATA,
					   .below = s->below,
					   .stored_offset = s->start + offset };
	return 0;
}

static int
slice_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	    struct platter_error *err)
{
	struct slice *s = pl_container_of(disk, struct slice, disk);

	return pl_write(s->below, buf, n, s->start + offset, err);
}

static int
slice_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	   struct platter_error *err)
{
	struct slice *s = pl_container_of(disk, struct slice, disk);

	return pl_zero(s->below, s->start + offset, length, flags, err);
}

static int
slice_discard(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	struct slice *s = pl_container_of(disk, struct slice, disk);

	return pl_discard(s->below, s->start + offset, length, err);
}

static int
slice_flush(struct pl_disk *disk, struct platter_error *err)
{
	return pl_flush(pl_container_of(disk, struct slice, disk)->below, err);
}

static struct pl_disk *
slice_below(struct pl_disk *disk, size_t index)
{
	return index ? NULL : pl_container_of(disk, struct slice, disk)->below;
}

static void
slice_free(struct pl_disk *disk)
{
	struct slice *s = pl_container_of(disk, struct slice, disk);

	pl_disk_unref(s->below);
	pl_disk_done(disk);
	free(s);
}

static const struct pl_disk_ops slice_ops = {
	.name = "partition",
	.map = slice_map,
	.write = slice_write,
	.zero = slice_zero,
	.discard = slice_discard,
	.flush = slice_flush,
	.below = slice_below,
	.free = slice_free,
	.parallel_writes = true,
};

int
pl_slice_new(struct pl_disk *below, uint64_t offset, uint64_t length, const char *name,
	     struct pl_disk **ret, struct platter_error *err)
{
	struct slice *s;
	uint64_t end;
	int r;

	if (__builtin_add_overflow(offset, length, &end))
		return pl_fail(err, -ERANGE,
			       "partition of %" PRIu64 " bytes at %" PRIu64 " wraps round", length,
			       offset);
	s = calloc(1, sizeof *s);
	if (!s)
		return pl_no_memory(err);
	r = pl_disk_init(&s->disk, &slice_ops, name, err);
	if (r == 0)
		r = pl_disk_stack(&s->disk, below, err);
	if (r < 0) {
		pl_disk_done(&s->disk);
		free(s);
		return r;
	}
	s->below = pl_disk_ref(below);
	s->start = offset;
	s->disk.size = length;
	s->disk.sector_size = below->sector_size;
	s->disk.physical_sector_size = below->physical_sector_size;
	/* Writing past the end of a cut image would fail halfway: refuse it from the start. */
	s->disk.writable = below->writable && end <= below->size;
	*ret = &s->disk;
	return 0;
}
