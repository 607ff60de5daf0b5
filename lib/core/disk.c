/* SPDX-License-Identifier: GPL-3.0-or-later */
/* disk.c - the life of a disk, its map and how maps are resolved down the stack */
#include "disk.h"

#include <string.h>

#include "mapfile.h"

static atomic_uint_fast64_t next_id = 1;

int
pl_disk_init(struct pl_disk *disk, const struct pl_disk_ops *ops, const char *name,
	     struct platter_error *err)
{
	disk->ops = ops;
	disk->name = strdup(name);
	if (!disk->name)
		return pl_no_memory(err);
	disk->sector_size = disk->physical_sector_size = 512;
	disk->id = atomic_fetch_add(&next_id, 1);
	atomic_init(&disk->refs, 1);
	atomic_init(&disk->generation, 0);
	pthread_mutex_init(&disk->write_lock, NULL);
	return 0;
}

void
pl_disk_done(struct pl_disk *disk)
{
	pl_disk_unref(disk->parent);
	disk->parent = NULL;
	if (disk->name)
		pthread_mutex_destroy(&disk->write_lock);
	free(disk->name);
	disk->name = NULL;
	pl_disk_set_lost(disk, NULL);
}

void
pl_disk_set_lost(struct pl_disk *disk, struct pl_mapfile *lost)
{
	if (disk->lost)
		pl_mapfile_done(disk->lost);
	free(disk->lost);
	disk->lost = lost;
}

struct pl_disk *
pl_disk_ref(struct pl_disk *disk)
{
	atomic_fetch_add_explicit(&disk->refs, 1, memory_order_relaxed);
	return disk;
}

void
pl_disk_unref(struct pl_disk *disk)
{
	if (disk && atomic_fetch_sub_explicit(&disk->refs, 1, memory_order_acq_rel) == 1)
		disk->ops->free(disk);
}

int
pl_disk_stack(struct pl_disk *disk, const struct pl_disk *below, struct platter_error *err)
{
	if (below && below->look_ahead)
		disk->look_ahead = below->look_ahead;
	if (!below || below->depth < disk->depth)
		return 0;
	if (below->depth + 1 > PL_MAX_DEPTH)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "more than %d layers of images on each other", PL_MAX_DEPTH);
	disk->depth = below->depth + 1;
	return 0;
}

/* Refuse a range that is not wholly on the disk. */
static int
check_range(const struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	if (pl_in_range(offset, length, pl_disk_size(disk)))
		return 0;
	return pl_fail_at(err, -ERANGE, offset,
			  "%" PRIu64 " bytes at %" PRIu64 " pass the end of '%s' (%" PRIu64
			  " bytes)",
			  length, offset, disk->name, pl_disk_size(disk));
}

/*
 * The run at `offset` that is lost, or is not: up to `length`, which is cut.  What lies behind the
 * map is not lost.
 */
static bool
is_lost(const struct pl_disk *disk, uint64_t offset, uint64_t *length)
{
	const struct pl_block *b;

	if (!disk->lost || offset >= disk->lost->size)
		return false;
	b = pl_mapfile_block(disk->lost, pl_mapfile_find(disk->lost, offset));
	*length = PL_MIN(*length, b->offset + b->length - offset);
	return b->status != PL_BLOCK_FINISHED;
}

int
pl_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
       struct platter_error *err)
{
	struct pl_extent e = { 0 };
	int r;

	if (offset >= pl_disk_size(disk) || !length)
		return pl_fail_at(err, -ERANGE, offset,
				  "offset %" PRIu64 " is past the end of '%s'", offset, disk->name);
	length = PL_MIN(length, pl_disk_size(disk) - offset);
	if (is_lost(disk, offset, &length)) {
		*ret = (struct pl_extent){ .length = length, .kind = PLATTER_BAD };
		return 0;
	}
	r = disk->ops->map(disk, offset, length, &e, err);
	if (r < 0) {
		pl_error_place(err, disk->name);
		return r;
	}
	e.length = PL_MIN(e.length, length);
	*ret = e;
	return 0;
}

int
pl_resolve(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	   struct pl_piece *ret, struct platter_error *err)
{
	struct pl_piece p = { 0 };

	/* Disks stand only on disks that were there before them: this walk ends. */
	for (;;) {
		struct pl_extent e = { 0 };
		int r;

		if (disk->ops->read && !(flags & PL_RESOLVE_LEAF_HOLES)) {
			if (offset >= pl_disk_size(disk))
				return check_range(disk, offset, 1, err);
			length = PL_MIN(length, pl_disk_size(disk) - offset);
			if (is_lost(disk, offset, &length))
				e.kind = PLATTER_BAD;
			e.length = length;
		} else {
			r = pl_map(disk, offset, length, &e, err);
			if (r < 0)
				return r;
		}
		length = e.length;

		if (e.kind == PLATTER_HOLE && disk->parent) {
			struct pl_disk *parent = disk->parent;

			p.depth++;
			if (offset < pl_disk_size(parent)) {
				length = PL_MIN(length, pl_disk_size(parent) - offset);
				disk = parent;
				continue;
			}
			e.kind = PLATTER_ZERO;
		}
		p.kind = e.kind;
		p.length = length;
		if (e.kind != PLATTER_DATA)
			break;
		if (e.decoder) {
			p.owner = disk;
			p.owner_offset = offset;
			p.extent = e;
			break;
		}
		if (!e.below) {
			p.leaf = disk;
			p.leaf_offset = offset;
			break;
		}
		if (!pl_in_range(e.stored_offset, length, pl_disk_size(e.below))) {
			r = pl_corrupt(err, e.stored_offset,
				       "byte %" PRIu64
				       " of '%s' is stored past the end of '%s' (%" PRIu64
				       " bytes)",
				       offset, disk->name, e.below->name, pl_disk_size(e.below));
			pl_hint(err, "the file is cut short: compare its size with the original");
			pl_error_place(err, e.below->name);
			return r;
		}
		offset = e.stored_offset;
		disk = e.below;
	}
	*ret = p;
	return 0;
}

int
pl_span(struct pl_disk *disk, uint64_t offset, uint64_t length, enum platter_kind *ret_kind,
	uint64_t *ret_length, struct platter_error *err)
{
	enum platter_kind kind = PLATTER_DATA;
	uint64_t done = 0;

	if (disk->look_ahead)
		length = PL_MIN(length, disk->look_ahead);
	while (done < length && offset + done < pl_disk_size(disk)) {
		struct pl_piece p;
		int r = pl_resolve(disk, offset + done, length - done, PL_RESOLVE_LEAF_HOLES, &p,
				   err);

		if (r < 0)
			return r;
		if (p.kind == PLATTER_HOLE)
			p.kind = PLATTER_ZERO;
		if (!done)
			kind = p.kind;
		else if (p.kind != kind)
			break;
		done += p.length;
	}
	*ret_kind = kind;
	*ret_length = done;
	return 0;
}

/* What every writing call checks; returns with the disk locked where its driver needs that. */
static int
begin_write(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	uint64_t end;

	if (!disk->writable || !disk->ops->write)
		return pl_fail(err, -EROFS, "'%s' is open for reading only", disk->name);
	if (disk->growable ? __builtin_add_overflow(offset, length, &end) || end > INT64_MAX
			   : !pl_in_range(offset, length, pl_disk_size(disk)))
		return check_range(disk, offset, length, err) ? -ERANGE : -EFBIG;
	if (!disk->ops->parallel_writes)
		pthread_mutex_lock(&disk->write_lock);
	return 0;
}

static int
end_write(struct pl_disk *disk, int r, struct platter_error *err)
{
	atomic_fetch_add(&disk->generation, 1);
	if (!disk->ops->parallel_writes)
		pthread_mutex_unlock(&disk->write_lock);
	if (r < 0)
		pl_error_place(err, disk->name);
	return r;
}

int
pl_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	 struct platter_error *err)
{
	int r = begin_write(disk, offset, n, err);

	if (r < 0)
		return r;
	return end_write(disk, n ? disk->ops->write(disk, buf, n, offset, err) : 0, err);
}

static int
write_zeros(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *zeros = calloc(1, PL_MIN(length, MIB(1)));
	int r = 0;

	if (!zeros)
		return pl_no_memory(err);
	while (length && r == 0) {
		size_t n = (size_t)PL_MIN(length, MIB(1));

		r = disk->ops->write(disk, zeros, n, offset, err);
		offset += n;
		length -= n;
	}
	return r;
}

int
pl_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	struct platter_error *err)
{
	int r = begin_write(disk, offset, length, err);

	if (r < 0)
		return r;
	if (length) {
		r = disk->ops->zero ? disk->ops->zero(disk, offset, length, flags, err) : -ENOTSUP;
		if (r == -ENOTSUP && !(flags & PL_ZERO_NO_FALLBACK))
			r = write_zeros(disk, offset, length, err);
	}
	return end_write(disk, r, err);
}

int
pl_discard(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	int r = begin_write(disk, offset, length, err);

	if (r < 0)
		return r;
	return end_write(disk,
			 length && disk->ops->discard
				 ? disk->ops->discard(disk, offset, length, err)
				 : 0,
			 err);
}

int
pl_flush(struct pl_disk *disk, struct platter_error *err)
{
	int r;

	if (!disk->writable || !disk->ops->flush)
		return 0;
	if (!disk->ops->parallel_writes)
		pthread_mutex_lock(&disk->write_lock);
	r = disk->ops->flush(disk, err);
	if (!disk->ops->parallel_writes)
		pthread_mutex_unlock(&disk->write_lock);
	return r;
}

int
pl_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	bool is_leaf = disk->ops->read, locked = !disk->ops->parallel_writes;
	int r;

	if (!disk->writable || !disk->ops->resize || (is_leaf && !disk->growable))
		return pl_fail(err, -ENOTSUP, "the size of '%s' cannot be changed", disk->name);
	if (locked)
		pthread_mutex_lock(&disk->write_lock);
	r = disk->ops->resize(disk, size, err);
	atomic_fetch_add(&disk->generation, 1);
	if (locked)
		pthread_mutex_unlock(&disk->write_lock);
	return r;
}
