/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * xfs/folder.c - the folders of XFS
 *
 * Small ones stand in their inode.  Larger ones are files whose first 32 GiB are blocks of
 * entries; what is behind is an index by hashes, which a listing does not need.  A folder of
 * one block has its index at the end of that.
 */
#include "xfs.h"

/* Where the index of a folder begins in its file. */
#define INDEX_OFFSET GIB(32)

/* Of an unused stretch of a block, in place of an inode's first 16 bits. */
#define FREE_TAG 0xffff

/* Count, count of 8-byte numbers, parent; then length, offset, name, [type,] number. */
static int
list_local(struct xfs *fs, const struct xfs_inode *i, pl_entry_fn *fn, void *closure,
	   struct platter_error *err)
{
	struct pl_cursor c = { i->raw + i->fork, i->raw + i->fork + PL_MIN(i->fork_size, i->size) };
	const uint8_t *head = pl_take(&c, 2);
	size_t number_size;
	int r = 0;

	if (!head)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "XFS folder %" PRIu64 " of %" PRIu64 " bytes", i->number,
				  i->size);
	number_size = head[1] ? 8 : 4;
	pl_take(&c, number_size);
	for (unsigned k = 0; k < head[0] && r == 0; k++) {
		const uint8_t *p = pl_take(&c, 3);
		struct pl_entry e = { .length = p ? p[0] : 0 };
		const uint8_t *name = pl_take(&c, e.length);
		const uint8_t *type = fs->has_types ? pl_take(&c, 1) : NULL;
		const uint8_t *number = pl_take(&c, number_size);

		if (!number)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "XFS folder %" PRIu64 ": entry %u passes its end",
					  i->number, k);
		e.name = (const char *)name;
		e.type = type ? pl_type_of_entry(*type) : PLATTER_FILE_UNKNOWN;
		e.id.inode = number_size == 8 ? get_be64(number) : get_be32(number);
		r = fn(closure, &e, err);
	}
	return r;
}

/* What a block's header says of it: 0, and where entries begin and end. */
static int
check_block(struct xfs *fs, const struct xfs_inode *i, const uint8_t *b, uint64_t offset,
	    size_t *ret_begin, size_t *ret_end, struct platter_error *err)
{
	size_t size = fs->folder_block;
	bool single = !memcmp(b, fs->v5 ? "XDB3" : "XD2B", 4);
	uint64_t count;

	if (!single && memcmp(b, fs->v5 ? "XDD3" : "XD2D", 4) != 0)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "XFS folder %" PRIu64
				  ": no block of entries at its byte %" PRIu64,
				  i->number, offset);
	if (fs->v5 && !fs->volume.ignore_checksums && !xfs_checksum_matches(b, size, 4))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "XFS folder %" PRIu64 ": checksum of its block at byte %" PRIu64
				  " does not match",
				  i->number, offset);
	*ret_begin = fs->v5 ? 64 : 16;
	*ret_end = size;
	if (single) {
		count = get_be32(b + size - 8);
		if (count > (size - *ret_begin - 8) / 8)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "XFS folder %" PRIu64 ": index of %" PRIu64
					  " entries in a block of %zu bytes",
					  i->number, count, size);
		*ret_end = size - 8 - (size_t)count * 8;
	}
	return 0;
}

static int
list_block(struct xfs *fs, const struct xfs_inode *i, const uint8_t *b, uint64_t offset,
	   pl_entry_fn *fn, void *closure, struct platter_error *err)
{
	size_t at, end;
	int r = check_block(fs, i, b, offset, &at, &end, err);

	while (r == 0 && at + 8 <= end) {
		const uint8_t *p = b + at;
		struct pl_entry e = { .name = (const char *)p + 9 };
		size_t length;

		if (get_be16(p) == FREE_TAG) {
			length = get_be16(p + 2);
		} else {
			e.length = at + 9 <= end ? p[8] : 0;
			length = (size_t)pl_round_up(8 + 1 + e.length + fs->has_types + 2, 8);
		}
		if (length < 8 || length % 8 || length > end - at)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "XFS folder %" PRIu64 ": entry of %zu bytes at byte "
					  "%" PRIu64 ", room is %zu",
					  i->number, length, offset + at, end - at);
		if (get_be16(p) != FREE_TAG) {
			e.id.inode = get_be64(p);
			if (fs->has_types)
				e.type = pl_type_of_entry(p[9 + e.length]);
			r = fn(closure, &e, err);
		}
		at += length;
	}
	return r;
}

int
xfs_folder_list(struct xfs *fs, const struct xfs_inode *i, pl_entry_fn *fn, void *closure,
		struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOFREE uint8_t *b = NULL;
	size_t size = fs->folder_block;
	int first = 0, r;

	if (i->format == XFS_LOCAL)
		return list_local(fs, i, fn, closure, err);
	r = xfs_fork_open(fs, i, false, pl_round_up(PL_MIN(i->size, INDEX_OFFSET), size), "folder",
			  &file, err);
	if (r < 0)
		return r;
	b = malloc(size);
	if (!b)
		return pl_no_memory(err);
	for (uint64_t at = 0; at < file->size; at += size) {
		struct platter_error why = PLATTER_ERROR_INIT;
		enum platter_kind kind;
		uint64_t n;

		/* A sparse folder that claims to be large is passed at once. */
		r = pl_span(file, at, file->size - at, &kind, &n, &why);
		if (r == 0 && kind != PLATTER_DATA) {
			at += pl_round_down(n, size) - (n >= size ? size : 0);
			continue;
		}
		if (r == 0)
			r = pl_read(file, b, size, at, &why);
		if (r == 0)
			r = list_block(fs, i, b, at, fn, closure, &why);
		/* Only damage lets the rest be listed; what ends the listing is fn's. */
		if (r != 0 && !first) {
			first = r;
			if (err)
				*err = why;
		}
		if (r != 0 && r != -EUCLEAN && r != -EIO)
			break;
	}
	return first;
}
