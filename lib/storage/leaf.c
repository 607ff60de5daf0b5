/* SPDX-License-Identifier: GPL-3.0-or-later */
/* leaf.c - a disk made of one file or device, or of several end to end */
#include "leaf.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Files kept open at once; the usual limit for a process is 1024. */
#define MAX_OPEN 64

void
pl_leaf_free(struct pl_leaf *leaf)
{
	if (!leaf)
		return;
	for (size_t i = 0; i < leaf->nr_parts; i++)
		pl_part_free(leaf->parts[i]);
	free(leaf->parts);
	free(leaf->output.target);
	free(leaf->output.inside);
	free(leaf->output.also);
	free(leaf->output.base);
	free(leaf->output.ending);
	if (leaf->output.beside)
		pl_disk_unref(&leaf->output.beside->disk);
	pthread_rwlock_destroy(&leaf->grow);
	pthread_mutex_destroy(&leaf->lock);
	pl_disk_done(&leaf->disk);
	free(leaf);
}

static size_t
nr_parts(const struct pl_leaf *leaf)
{
	return __atomic_load_n(&leaf->nr_parts, __ATOMIC_ACQUIRE);
}

/* Close the part that was used longest ago.  The first stays: its lock names the writer. */
static void
close_idle(struct pl_leaf *leaf)
{
	struct pl_part *oldest = NULL;

	for (size_t i = 1; i < leaf->nr_parts; i++) {
		struct pl_part *part = leaf->parts[i];

		if (part->fd >= 0 && !part->users && (!oldest || part->last_use < oldest->last_use))
			oldest = part;
	}
	if (oldest) {
		pl_part_suspend(oldest);
		leaf->nr_open--;
	}
}

void
pl_leaf_add(struct pl_leaf *leaf, struct pl_part *part)
{
	pthread_mutex_lock(&leaf->lock);
	if (leaf->split)
		part->start = leaf->nr_parts * leaf->split;
	else if (leaf->nr_parts)
		part->start = leaf->parts[leaf->nr_parts - 1]->start +
			      leaf->parts[leaf->nr_parts - 1]->size;
	if (leaf->nr_open >= MAX_OPEN)
		close_idle(leaf);
	leaf->nr_open++;
	leaf->parts[leaf->nr_parts] = part;
	__atomic_store_n(&leaf->nr_parts, leaf->nr_parts + 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&leaf->lock);
}

void
pl_leaf_ready(struct pl_leaf *leaf, bool writable)
{
	const struct pl_part *first = leaf->parts[0], *last = leaf->parts[leaf->nr_parts - 1];

	leaf->disk.size = last->start + last->size;
	leaf->disk.sector_size = first->sector_size;
	leaf->disk.physical_sector_size = first->physical_sector_size;
	leaf->disk.writable = writable;
	leaf->disk.growable = writable && !first->device && (leaf->nr_parts == 1 || leaf->split);
}

int
pl_leaf_get(struct pl_leaf *leaf, size_t index, struct pl_part **ret, struct platter_error *err)
{
	struct pl_part *part = leaf->parts[index];
	int r = 0;

	/* The first is never closed. */
	if (index == 0) {
		*ret = part;
		return 0;
	}
	pthread_mutex_lock(&leaf->lock);
	if (part->fd < 0) {
		if (leaf->nr_open >= MAX_OPEN)
			close_idle(leaf);
		r = pl_part_resume(part, err);
		if (r == 0)
			leaf->nr_open++;
	}
	if (r == 0) {
		part->users++;
		part->last_use = ++leaf->clock;
		*ret = part;
	}
	pthread_mutex_unlock(&leaf->lock);
	return r;
}

void
pl_leaf_put(struct pl_leaf *leaf, struct pl_part *part)
{
	if (part == leaf->parts[0])
		return;
	pthread_mutex_lock(&leaf->lock);
	part->users--;
	pthread_mutex_unlock(&leaf->lock);
}

/* The part that holds byte `offset` of the disk; the last one past the end. */
static size_t
part_at(const struct pl_leaf *leaf, uint64_t offset)
{
	size_t low = 0, high = nr_parts(leaf);

	if (leaf->split)
		return (size_t)PL_MIN(offset / leaf->split, high - 1);
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (leaf->parts[middle]->start <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Where the part at `index` ends on the disk; the last one of a growing file never does. */
static uint64_t
part_end(const struct pl_leaf *leaf, size_t index)
{
	if (leaf->split)
		return (index + 1) * leaf->split;
	if (index + 1 < leaf->nr_parts)
		return leaf->parts[index + 1]->start;
	return leaf->disk.growable ? UINT64_MAX : pl_disk_size(&leaf->disk);
}

typedef int part_fn(struct pl_part *part, uint64_t at, uint64_t n, void *closure,
		    struct platter_error *err);

/* Call fn for each part of a range, with the offset in the part. */
static int
each_part(struct pl_leaf *leaf, uint64_t offset, uint64_t length, part_fn *fn, void *closure,
	  struct platter_error *err)
{
	int r = 0;

	while (length && r == 0) {
		size_t index = part_at(leaf, offset);
		uint64_t n = PL_MIN(length, part_end(leaf, index) - offset);
		struct pl_part *part = NULL;

		r = pl_leaf_get(leaf, index, &part, err);
		if (r < 0)
			break;
		r = fn(part, offset - part->start, n, closure, err);
		if (r < 0 && r != -ENOTSUP && err && err->offset != PLATTER_NO_OFFSET)
			err->offset += part->start;
		pl_leaf_put(leaf, part);
		offset += n;
		length -= n;
	}
	return r;
}

void
pl_leaf_grown(struct pl_leaf *leaf, uint64_t size)
{
	uint64_t now = pl_disk_size(&leaf->disk);

	while (now < size && !__atomic_compare_exchange_n(&leaf->disk.size, &now, size, false,
							  __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

static int
leaf_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *err)
{
	struct pl_leaf *leaf = pl_container_of(disk, struct pl_leaf, disk);
	size_t index = part_at(leaf, offset);
	struct pl_part *part;
	uint64_t run;
	bool hole;
	int r = pl_leaf_get(leaf, index, &part, err);

	if (r < 0)
		return r;
	pl_part_map(part, offset - part->start, &hole, &run);
	pl_leaf_put(leaf, part);
	*ret = (struct pl_extent){ .kind = hole ? PLATTER_HOLE : PLATTER_DATA,
				   .length = PL_MIN(run, part_end(leaf, index) - offset) };
	return 0;
}

static int
read_part(struct pl_part *part, uint64_t at, uint64_t n, void *closure, struct platter_error *err)
{
	uint8_t **buf = closure;
	int r = pl_part_read(part, *buf, (size_t)n, at, err);

	*buf += n;
	return r;
}

static int
leaf_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	return each_part(pl_container_of(disk, struct pl_leaf, disk), offset, n, read_part, &buf,
			 err);
}

/* Between this and end_growth(), [.., end) may be written although the disk ends before it. */
static int
begin_growth(struct pl_leaf *leaf, uint64_t end, bool *ret_grows, struct platter_error *err)
{
	int r = leaf->split ? pl_output_add_parts(leaf, end, err) : 0;

	*ret_grows = r == 0 && end > pl_disk_size(&leaf->disk);
	if (*ret_grows)
		pthread_rwlock_rdlock(&leaf->grow);
	return r;
}

static void
end_growth(struct pl_leaf *leaf, uint64_t end, bool grows, int r)
{
	if (!grows)
		return;
	if (r == 0)
		pl_leaf_grown(leaf, end);
	pthread_rwlock_unlock(&leaf->grow);
}

static int
write_part(struct pl_part *part, uint64_t at, uint64_t n, void *closure, struct platter_error *err)
{
	const uint8_t **buf = closure;
	int r = pl_part_write(part, *buf, (size_t)n, at, err);

	*buf += n;
	return r;
}

static int
leaf_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	   struct platter_error *err)
{
	struct pl_leaf *leaf = pl_container_of(disk, struct pl_leaf, disk);
	bool grows;
	int r = begin_growth(leaf, offset + n, &grows, err);

	if (r < 0)
		return r;
	r = each_part(leaf, offset, n, write_part, &buf, err);
	end_growth(leaf, offset + n, grows, r);
	return r;
}

/* A file's new end reads as zeros by itself. */
static int
extend(struct pl_leaf *leaf, uint64_t size, struct platter_error *err)
{
	struct pl_part *part;
	int r;

	pthread_rwlock_wrlock(&leaf->grow);
	r = pl_leaf_get(leaf, nr_parts(leaf) - 1, &part, err);
	if (r == 0) {
		r = pl_part_extend(part, size > part->start ? size - part->start : 0, err);
		pl_leaf_put(leaf, part);
	}
	if (r == 0)
		pl_leaf_grown(leaf, size);
	pthread_rwlock_unlock(&leaf->grow);
	return r;
}

static int
zero_part(struct pl_part *part, uint64_t at, uint64_t n, void *closure, struct platter_error *err)
{
	return pl_part_zero(part, at, n, *(unsigned *)closure, err);
}

static int
leaf_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	  struct platter_error *err)
{
	struct pl_leaf *leaf = pl_container_of(disk, struct pl_leaf, disk);
	uint64_t end = offset + length;
	int r = leaf->split ? pl_output_add_parts(leaf, end, err) : 0;

	if (r == 0)
		r = each_part(leaf, offset, length, zero_part, &flags, err);
	return r == 0 && end > pl_disk_size(&leaf->disk) ? extend(leaf, end, err) : r;
}

static int
discard_part(struct pl_part *part, uint64_t at, uint64_t n, void *closure,
	     struct platter_error *err)
{
	return pl_part_discard(part, at, n, err);
}

static int
leaf_discard(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	struct pl_leaf *leaf = pl_container_of(disk, struct pl_leaf, disk);
	uint64_t size = pl_disk_size(&leaf->disk);

	if (offset >= size)
		return 0;
	return each_part(leaf, offset, PL_MIN(length, size - offset), discard_part, NULL, err);
}

static int
leaf_flush(struct pl_disk *disk, struct platter_error *err)
{
	struct pl_leaf *leaf = pl_container_of(disk, struct pl_leaf, disk);
	int r = 0;

	for (size_t i = 0; i < nr_parts(leaf) && r == 0; i++) {
		struct pl_part *part;

		r = pl_leaf_get(leaf, i, &part, err);
		if (r == 0) {
			r = pl_part_flush(part, err);
			pl_leaf_put(leaf, part);
		}
	}
	return r;
}

/* Remove the parts of a set that begin at or past `size`; the first stays. */
static int
drop_parts(struct pl_leaf *leaf, uint64_t size, struct platter_error *err)
{
	while (leaf->nr_parts > 1 && leaf->parts[leaf->nr_parts - 1]->start >= size) {
		struct pl_part *part = leaf->parts[leaf->nr_parts - 1];

		if (unlink(part->path) < 0)
			return pl_fail_errno(err, -errno, "remove '%s'", part->path);
		pthread_mutex_lock(&leaf->lock);
		leaf->nr_open -= part->fd >= 0;
		leaf->nr_parts--;
		pthread_mutex_unlock(&leaf->lock);
		pl_part_free(part);
	}
	return 0;
}

static int
leaf_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	struct pl_leaf *leaf = pl_container_of(disk, struct pl_leaf, disk);
	struct pl_part *part;
	int r;

	if (size > INT64_MAX)
		return pl_fail(err, -EFBIG, "a file of %" PRIu64 " bytes", size);
	r = leaf->split ? pl_output_add_parts(leaf, size, err) : 0;
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&leaf->grow);
	r = drop_parts(leaf, size, err);
	if (r == 0)
		r = pl_leaf_get(leaf, leaf->nr_parts - 1, &part, err);
	if (r == 0) {
		r = pl_part_cut(part, size - part->start, err);
		pl_leaf_put(leaf, part);
	}
	if (r == 0)
		__atomic_store_n(&disk->size, size, __ATOMIC_RELEASE);
	pthread_rwlock_unlock(&leaf->grow);
	return r;
}

static void
leaf_free(struct pl_disk *disk)
{
	pl_leaf_free(pl_container_of(disk, struct pl_leaf, disk));
}

static const struct pl_disk_ops leaf_ops = {
	.name = "file",
	.map = leaf_map,
	.read = leaf_read,
	.write = leaf_write,
	.zero = leaf_zero,
	.discard = leaf_discard,
	.flush = leaf_flush,
	.resize = leaf_resize,
	.free = leaf_free,
	.parallel_writes = true,
};

int
pl_leaf_new(const char *name, size_t max_parts, struct pl_leaf **ret, struct platter_error *err)
{
	struct pl_leaf *leaf = calloc(1, sizeof *leaf);
	int r;

	/* Untouched pages of a large calloc() cost nothing. */
	if (!leaf || !(leaf->parts = calloc(max_parts, sizeof *leaf->parts))) {
		free(leaf);
		return pl_no_memory(err);
	}
	r = pl_disk_init(&leaf->disk, &leaf_ops, name, err);
	if (r < 0) {
		free(leaf->parts);
		free(leaf);
		return r;
	}
	leaf->max_parts = max_parts;
	pthread_rwlock_init(&leaf->grow, NULL);
	pthread_mutex_init(&leaf->lock, NULL);
	*ret = leaf;
	return 0;
}

struct pl_leaf *
pl_leaf_of(struct pl_disk *disk)
{
	return disk->ops == &leaf_ops ? pl_container_of(disk, struct pl_leaf, disk) : NULL;
}

uint64_t
pl_storage_allocated(struct pl_disk *disk)
{
	struct pl_leaf *leaf = pl_leaf_of(disk);
	uint64_t sum = 0;

	if (pl_bands_allocated(disk, &sum))
		return sum;
	if (leaf && leaf->output.inside && !leaf->output.pending)
		return pl_folder_allocated(leaf->output.target);
	for (size_t i = 0; leaf && i < nr_parts(leaf); i++) {
		struct pl_part *part = NULL;
		struct stat st;
		int r;

		if (leaf->parts[i]->device)
			return pl_disk_size(&leaf->disk);
		if (pl_leaf_get(leaf, i, &part, NULL) < 0)
			return UINT64_MAX;
		r = fstat(part->fd, &st);
		pl_leaf_put(leaf, part);
		if (r < 0)
			return UINT64_MAX;
		sum += (uint64_t)st.st_blocks * 512;
	}
	if (leaf && leaf->output.beside) {
		uint64_t more = pl_storage_allocated(&leaf->output.beside->disk);

		return more == UINT64_MAX ? more : sum + more;
	}
	return leaf ? sum : UINT64_MAX;
}

const char *
pl_storage_path(struct pl_disk *disk, size_t index)
{
	struct pl_leaf *leaf = pl_leaf_of(disk);

	return leaf && index < nr_parts(leaf) ? leaf->parts[index]->path : NULL;
}

bool
pl_storage_id(struct pl_disk *disk, size_t index, struct pl_file_id *ret)
{
	struct pl_leaf *leaf = pl_leaf_of(disk);

	if (!leaf)
		return pl_bands_id(disk, index, ret);
	if (index >= nr_parts(leaf))
		return false;
	*ret = leaf->parts[index]->id;
	return true;
}

bool
pl_storage_is_device(struct pl_disk *disk)
{
	struct pl_leaf *leaf = pl_leaf_of(disk);

	return leaf && leaf->parts[0]->device;
}

int
pl_storage_check_unwritten(struct pl_disk *disk, struct platter_error *err)
{
	struct pl_leaf *leaf = pl_leaf_of(disk);
	int r = 0;

	for (size_t i = 0; leaf && i < nr_parts(leaf) && r == 0; i++) {
		struct pl_part *part = NULL;

		r = pl_leaf_get(leaf, i, &part, err);
		if (r < 0)
			break;
		r = pl_part_check_unwritten(part, err);
		pl_leaf_put(leaf, part);
	}
	return r;
}

int
pl_storage_reread_table(struct pl_disk *disk, struct platter_error *err)
{
	struct pl_leaf *leaf = pl_leaf_of(disk);
	const struct pl_part *part;
	int r;

	if (!leaf || !leaf->parts[0]->device)
		return 0;
	part = leaf->parts[0];
	if (ioctl(part->fd, BLKRRPART) == 0)
		return 0;
	switch (errno) {
	case EINVAL: /* a partition, or a loop device that is not scanned */
	case ENOTTY: return 0;
	case EBUSY:
		r = pl_fail(err, -EBUSY,
			    "the kernel keeps the old partition table of '%s': one of its "
			    "partitions is in use",
			    part->path);
		pl_hint(err, "unmount them and run 'blockdev --rereadpt %s', or restart",
			part->path);
		return r;
	default:
		return pl_fail_errno(err, -errno, "have the partition table of '%s' read again",
				     part->path);
	}
}

void
pl_storage_write_direct(struct pl_disk *disk)
{
	struct pl_leaf *leaf = pl_leaf_of(disk);

	for (size_t i = 0; leaf && i < nr_parts(leaf); i++) {
		struct pl_part *part = NULL;

		if (pl_leaf_get(leaf, i, &part, NULL) < 0)
			continue;
		if (part->writable && !part->device && part->direct_fd < 0)
			pl_part_write_direct(part);
		pl_leaf_put(leaf, part);
	}
}

void
pl_storage_drop_cache(struct pl_disk *disk)
{
	struct pl_leaf *leaf = pl_leaf_of(disk);

	for (size_t i = 0; leaf && i < nr_parts(leaf); i++) {
		struct pl_part *part = NULL;

		if (pl_leaf_get(leaf, i, &part, NULL) < 0)
			continue;
		if (part->writable)
			fdatasync(part->fd);
		if (part->device)
			ioctl(part->fd, BLKFLSBUF, 0);
		posix_fadvise(part->fd, 0, 0, POSIX_FADV_DONTNEED);
		pl_leaf_put(leaf, part);
	}
	if (leaf && leaf->output.beside)
		pl_storage_drop_cache(&leaf->output.beside->disk);
}
