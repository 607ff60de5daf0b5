/* SPDX-License-Identifier: GPL-3.0-or-later */
/* resize.c - the disk of an image becomes longer or shorter */
#include "change.h"

#include "format.h"
#include "guard.h"
#include "storage.h"
#include "walk.h"

/* What is read at once of data that may be zeros all the same. */
#define PIECE MIB(1)

/* The first byte of [offset, offset + length) that is not zero; UINT64_MAX: none. */
static int
find_byte(struct pl_disk *disk, uint64_t offset, uint64_t length, uint8_t *buf, uint64_t *ret,
	  struct platter_error *err)
{
	*ret = UINT64_MAX;
	for (uint64_t end = offset + length; offset < end;) {
		size_t n = (size_t)PL_MIN(end - offset, PIECE);
		int r = pl_read_once(disk, buf, n, offset, err);

		if (r < 0)
			return r;
		for (size_t i = 0; !pl_is_zero(buf, n) && i < n; i++)
			if (buf[i]) {
				*ret = offset + i;
				return 0;
			}
		offset += n;
	}
	return 0;
}

/* All that is stored past `size` is zeros. */
static int
check_unused(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	struct pl_walk walk = { .disk = disk };
	PL_AUTOFREE uint8_t *buf = malloc(PIECE);
	uint64_t length, at = UINT64_MAX;

	if (!buf)
		return pl_no_memory(err);
	for (uint64_t offset = size; offset < disk->size; offset += length) {
		enum platter_kind kind;
		int r = pl_walk_at(&walk, offset, disk->size - offset, &kind, &length, err);

		if (r == 0 && kind == PLATTER_DATA)
			r = find_byte(disk, offset, length, buf, &at, err);
		if (r < 0)
			return r;
		if (kind == PLATTER_DATA && at != UINT64_MAX) {
			r = pl_fail_at(err, -ENOTEMPTY, PLATTER_NO_OFFSET,
				       "data would fall off: byte %" PRIu64
				       " of the disk is not zero",
				       at);
			pl_hint(err, "shrink the partitions and file systems first; --discard-data "
				     "cuts the data off");
			return r;
		}
	}
	return 0;
}

/* A disk that has no other size than its own. */
static int
check_resizable(const struct pl_place *place, struct platter_error *err)
{
	struct pl_disk *disk = place->disk;
	const struct pl_format *format = pl_format_of(disk);
	int r;

	if (disk == place->storage && pl_storage_is_device(disk)) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET, "'%s' is a device: its size is its own",
				   place->name);
		pl_hint(err, "resize images; a device is changed by what made it");
		return r;
	}
	if (!format) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET, "'%s' is a part of a disk", place->name);
		pl_hint(err, "resize the image; partitions are changed by a partitioning tool");
		return r;
	}
	if (disk->ops->read && !disk->growable) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET, "'%s' is split into parts", place->name);
		pl_hint(err, "convert it to an image in one file first");
		return r;
	}
	if (!disk->ops->resize) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "images of format '%s' cannot be resized", format->info.name);
		pl_hint(err, "convert it to qcow2 or raw, resize that, and convert it back");
		return r;
	}
	return pl_storage_path(place->storage, 0)
		       ? pl_guard_device(pl_storage_path(place->storage, 0), err)
		       : 0;
}

int
pl_resize_image(struct pl_place *place, uint64_t size, const struct platter_resize_options *options,
		struct platter_error *err)
{
	struct pl_disk *disk = place->disk;
	int r = check_resizable(place, err);

	if (r == 0 && size < disk->size && !options->discard_data)
		r = check_unused(disk, size, err);
	if (r == 0)
		r = pl_resize(disk, size, err);
	return r == 0 ? pl_flush(disk, err) : r;
}
