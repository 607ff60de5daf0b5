/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * count.c - files that are not there: what is written to them is counted and thrown away
 *
 * A writer that writes to one tells how long its file would be.
 */
#include "leaf.h"
#include "text.h"

/* Files beside one that are counted by themselves: 64 TiB of 4 MiB each. */
#define MAX_ENDS (16u << 20)

struct count {
	struct pl_disk disk;
	uint64_t written;
	struct count *beside; /* a reference, or NULL */

	/* Of files beside another: see struct pl_storage_beside. */
	char *tag;
	uint64_t split; /* 0: one file */
	bool loose;     /* they end where they were written to */
	uint64_t *ends; /* and this is where, of the first nr_ends of them */
	uint64_t nr_ends;
};

static int
nothing_to_read(struct pl_disk *disk, uint64_t offset, struct platter_error *err)
{
	return pl_unsupported(err, offset, "nothing can be read back of '%s'", disk->name);
}

static int
count_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	  struct platter_error *err)
{
	return nothing_to_read(disk, offset, err);
}

static int
count_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	return nothing_to_read(disk, offset, err);
}

/* Room for the end of file `index`; without memory for it, it is not counted. */
static bool
reserve_end(struct count *c, uint64_t index)
{
	uint64_t nr = PL_MAX(index + 1, c->nr_ends * 2), *ends;

	if (index < c->nr_ends)
		return true;
	if (index >= MAX_ENDS)
		return false;
	ends = pl_realloc_array(c->ends, (size_t)nr, sizeof *ends);
	if (!ends)
		return false;
	memset(ends + c->nr_ends, 0, (size_t)(nr - c->nr_ends) * sizeof *ends);
	c->ends = ends;
	c->nr_ends = nr;
	return true;
}

/* [at, end) is there: the file is at least so long now, and so is each that the range is in. */
static void
reach(struct count *c, uint64_t at, uint64_t end)
{
	c->disk.size = PL_MAX(c->disk.size, end);
	while (c->loose && at < end) {
		uint64_t index = at / c->split, in = PL_MIN(end - index * c->split, c->split);

		if (!reserve_end(c, index))
			break;
		c->ends[index] = PL_MAX(c->ends[index], in);
		at = index * c->split + in;
	}
}

static int
count_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	    struct platter_error *err)
{
	pl_storage_count_range(disk, offset, n);
	return 0;
}

/* Zeros are holes. */
static int
count_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	   struct platter_error *err)
{
	reach(pl_container_of(disk, struct count, disk), offset, offset + length);
	return 0;
}

static int
count_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	disk->size = size;
	/* Of files beside it the last alone becomes longer. */
	reach(pl_container_of(disk, struct count, disk), size ? size - 1 : 0, size);
	return 0;
}

static void
count_free(struct pl_disk *disk)
{
	struct count *c = pl_container_of(disk, struct count, disk);

	if (c->beside)
		pl_disk_unref(&c->beside->disk);
	free(c->tag);
	free(c->ends);
	pl_disk_done(disk);
	free(c);
}

static const struct pl_disk_ops count_ops = {
	.name = "count",
	.map = count_map,
	.read = count_read,
	.write = count_write,
	.zero = count_zero,
	.resize = count_resize,
	.free = count_free,
};

static struct count *
count_of(struct pl_disk *disk)
{
	return disk->ops == &count_ops ? pl_container_of(disk, struct count, disk) : NULL;
}

int
pl_storage_count(struct pl_disk **ret, struct platter_error *err)
{
	struct count *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return pl_no_memory(err);
	r = pl_disk_init(&c->disk, &count_ops, "image", err);
	if (r < 0) {
		free(c);
		return r;
	}
	c->disk.writable = c->disk.growable = true;
	*ret = &c->disk;
	return 0;
}

void
pl_storage_count_range(struct pl_disk *disk, uint64_t at, uint64_t n)
{
	struct count *c = count_of(disk);

	c->written += n;
	reach(c, at, at + n);
}

static uint64_t
length_of(const struct count *c)
{
	uint64_t length = 0;

	if (!c->loose)
		return c->disk.size;
	for (size_t i = 0; i < c->nr_ends; i++)
		length += c->ends[i];
	return length;
}

void
pl_storage_counted(struct pl_disk *disk, uint64_t *ret_length, uint64_t *ret_written)
{
	const struct count *c = count_of(disk);

	*ret_length = *ret_written = 0;
	for (; c; c = c->beside) {
		*ret_length += length_of(c);
		*ret_written += c->written;
	}
}

int
pl_count_beside(struct pl_disk *file, const struct pl_storage_beside *how, struct pl_disk **ret,
		struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct count *first = count_of(file), *c;
	int r;

	if (!first)
		return -ENOTSUP;
	r = pl_storage_count(&disk, err);
	if (r < 0)
		return r;
	c = count_of(disk);
	c->split = how->split;
	c->tag = strdup(how->tag);
	c->loose = how->loose && how->split;
	if (!c->tag)
		return pl_no_memory(err);
	first->beside = c;
	*ret = PL_STEAL(disk);
	return 0;
}

char *
pl_count_beside_path(struct pl_disk *file, size_t index)
{
	const struct count *c = count_of(file);
	uint64_t nr = 1;

	c = c ? c->beside : NULL;
	if (c && c->split)
		nr = PL_MAX(pl_div_round_up(c->disk.size, c->split), (uint64_t)1);
	if (!c || index >= nr)
		return NULL;
	return c->split ? pl_format("%s%s%03zu", file->name, c->tag, index + 1)
			: pl_format("%s%s", file->name, c->tag);
}
