/* SPDX-License-Identifier: GPL-3.0-or-later */
/* disk.c - platter/disk.h: opening disks and moving their bytes */
#include <platter/disk.h>

#include "api.h"
#include "disk.h"
#include "format.h"

#define ALL_OPEN_FLAGS                                                                 \
	(PLATTER_OPEN_WRITE | PLATTER_OPEN_EXCLUSIVE | PLATTER_OPEN_IGNORE_CHECKSUMS | \
	 PLATTER_OPEN_NO_BACKING | PLATTER_OPEN_DIRECT)

int
pl_api_options(void *ret, size_t known, const void *given, struct platter_error *err)
{
	size_t size;

	memset(ret, 0, known);
	if (!given)
		return 0;
	memcpy(&size, given, sizeof size);
	if (size < sizeof size)
		return pl_invalid(err, "options of %zu bytes: their size is not set", size);
	if (size > known && !pl_is_zero((const uint8_t *)given + known, size - known))
		return pl_invalid(err, "options of a later version of the library than %s",
				  PLATTER_VERSION);
	memcpy(ret, given, PL_MIN(size, known));
	return 0;
}

int
pl_api_open_options(struct platter_open_options *ret, const struct platter_open_options *given,
		    struct pl_parents *ret_parents, struct platter_error *err)
{
	int r = pl_api_options(ret, sizeof *ret, given, err);

	if (r < 0)
		return r;
	if (ret->flags & ~(unsigned)ALL_OPEN_FLAGS)
		return pl_invalid(err, "unknown flags 0x%x",
				  ret->flags & ~(unsigned)ALL_OPEN_FLAGS);
	if (ret->nr_parents && !ret->parents)
		return pl_invalid(err, "%zu parents, and no list of them", ret->nr_parents);
	*ret_parents = (struct pl_parents){ .paths = ret->parents, .nr = ret->nr_parents };
	return 0;
}

int
platter_open(const char *place, const struct platter_open_options *options,
	     struct platter_disk **ret_disk, struct platter_error *err)
{
	PL_AUTOFREE struct platter_disk *disk = NULL;
	struct platter_open_options o;
	struct pl_parents parents;
	int r;

	if (!place || !ret_disk)
		return pl_invalid(err, "no place to open");
	r = pl_api_open_options(&o, options, &parents, err);
	if (r < 0)
		return r;
	disk = malloc(sizeof *disk);
	if (!disk)
		return pl_no_memory(err);
	r = pl_place_open_given(place, o.format, o.flags, &parents, &disk->place, err);
	if (r < 0)
		return r;
	*ret_disk = PL_STEAL(disk);
	return 0;
}

int
pl_api_disk_of(const struct pl_place *place, struct pl_disk *file, const char *name,
	       struct platter_disk **ret, struct platter_error *err)
{
	PL_AUTOFREE struct platter_disk *disk = malloc(sizeof *disk);
	int r = disk ? pl_place_of_disk(place, file, true, name, &disk->place, err)
		     : pl_no_memory(err);

	if (r < 0) {
		pl_disk_unref(file);
		return r;
	}
	*ret = PL_STEAL(disk);
	return 0;
}

void
platter_close(struct platter_disk *disk)
{
	if (!disk)
		return;
	pl_flush(disk->place->disk, NULL);
	pl_place_close(disk->place);
	free(disk);
}

uint64_t
platter_size(const struct platter_disk *disk)
{
	return disk->place->disk->size;
}

uint32_t
platter_sector_size(const struct platter_disk *disk)
{
	return disk->place->disk->sector_size;
}

uint32_t
platter_physical_sector_size(const struct platter_disk *disk)
{
	return disk->place->disk->physical_sector_size;
}

const char *
platter_name(const struct platter_disk *disk)
{
	return disk->place->name;
}

const char *
platter_format_name(const struct platter_disk *disk)
{
	const struct pl_format *format = pl_format_of(disk->place->disk);

	/* A partition, or a file that is taken as it is. */
	return format ? format->info.name : "raw";
}

int
platter_read(struct platter_disk *disk, void *buf, size_t n, uint64_t offset,
	     struct platter_error *err)
{
	if (!disk || (!buf && n))
		return pl_invalid(err, "no disk or no buffer to read");
	return pl_read(disk->place->disk, buf, n, offset, err);
}

/* A raw image is its file, which would grow: a disk has the size that it has. */
static int
check_range(const struct platter_disk *disk, uint64_t offset, uint64_t length,
	    struct platter_error *err)
{
	const struct pl_disk *d = disk->place->disk;

	if (pl_in_range(offset, length, d->size))
		return 0;
	return pl_fail_at(err, -ERANGE, offset,
			  "%" PRIu64 " bytes at %" PRIu64 " pass the end of '%s' (%" PRIu64
			  " bytes)",
			  length, offset, disk->place->name, d->size);
}

int
platter_write(struct platter_disk *disk, const void *buf, size_t n, uint64_t offset,
	      struct platter_error *err)
{
	int r;

	if (!disk || (!buf && n))
		return pl_invalid(err, "no disk or no buffer to write");
	r = check_range(disk, offset, n, err);
	return r < 0 ? r : pl_write(disk->place->disk, buf, n, offset, err);
}

int
platter_zero(struct platter_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	int r;

	if (!disk)
		return pl_invalid(err, "no disk to write");
	r = check_range(disk, offset, length, err);
	return r < 0 ? r : pl_zero(disk->place->disk, offset, length, PL_ZERO_MAY_UNMAP, err);
}

int
platter_discard(struct platter_disk *disk, uint64_t offset, uint64_t length,
		struct platter_error *err)
{
	int r;

	if (!disk)
		return pl_invalid(err, "no disk to write");
	r = check_range(disk, offset, length, err);
	return r < 0 ? r : pl_discard(disk->place->disk, offset, length, err);
}

int
platter_flush(struct platter_disk *disk, struct platter_error *err)
{
	if (!disk)
		return pl_invalid(err, "no disk to flush");
	return pl_flush(disk->place->disk, err);
}

/* Where the bytes of a piece of data are. */
static int
find_stored(const struct pl_piece *p, struct platter_extent *ret, struct platter_error *err)
{
	struct pl_piece below;
	int r;

	if (p->leaf) {
		ret->stored_in = p->leaf->name;
		ret->stored_offset = p->leaf_offset;
		ret->stored_length = p->length;
		return 0;
	}
	ret->compressed = true;
	ret->stored_length = p->extent.stored_length;
	if (!ret->stored_length)
		return 0;
	r = pl_resolve(p->extent.below, p->extent.stored_offset, p->extent.stored_length, 0, &below,
		       err);
	/* An image in a compressed image: there is no byte of a file to name. */
	if (r < 0 || below.kind != PLATTER_DATA || !below.leaf)
		return r;
	ret->stored_in = below.leaf->name;
	ret->stored_offset = below.leaf_offset;
	return 0;
}

int
platter_map(struct platter_disk *disk, uint64_t offset, uint64_t length, struct platter_extent *ret,
	    struct platter_error *err)
{
	struct pl_piece p;
	int r;

	if (!disk || !ret)
		return pl_invalid(err, "no disk to map");
	if (!length)
		return pl_invalid(err, "a map of no bytes");
	if (disk->place->disk->sequential)
		return pl_unsupported(err, PLATTER_NO_OFFSET, "a stream has no map");
	r = pl_resolve(disk->place->disk, offset, length, PL_RESOLVE_LEAF_HOLES, &p, err);
	if (r < 0)
		return r;
	*ret = (struct platter_extent){
		.offset = offset,
		.length = p.length,
		.kind = p.kind,
		.depth = p.depth,
		.stored_offset = UINT64_MAX,
	};
	return p.kind == PLATTER_DATA ? find_stored(&p, ret, err) : 0;
}
