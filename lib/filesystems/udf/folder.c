/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * udf/folder.c - folders of UDF: a file of identifiers (ECMA-167 4/14.4)
 *
 *	offset  size  file identifier
 *	     0    16  tag
 *	    18     1  characteristics
 *	    19     1  bytes of the name
 *	    20    16  ICB
 *	    36     2  bytes of what is for the implementation
 *	    38        that, then the name, padded to a multiple of 4
 *
 * They cross blocks, and extents.
 */
#include "udf.h"

enum {
	FID_CHARACTERISTICS = 18,
	FID_NAME_LENGTH = 19,
	FID_ICB = 20,
	FID_IMPLEMENTATION = 36,
	FID_HEADER = 38
};

/* Read at a time; an identifier is at most a block. */
#define WINDOW (UDF_MAX_BLOCK + KIB(8))

/* How far behind damage another identifier is looked for. */
#define SEARCH MIB(16)

struct window {
	const struct udf *fs;
	const struct pl_runs *runs;
	uint64_t start, end, size; /* of the folder: what is here, all */
	uint8_t bytes[WINDOW];
};

/* n bytes at `pos`, or what is left of the folder. */
static int
fill_window(struct window *w, uint64_t pos, size_t n, struct platter_error *err)
{
	size_t wanted = (size_t)PL_MIN(WINDOW, w->size - pos);
	int r;

	if (pos >= w->start && pos + PL_MIN(n, w->size - pos) <= w->end)
		return 0;
	r = pl_udf_read(w->fs, w->runs, w->bytes, wanted, pos, NULL);
	if (r < 0) {
		/* Up to where the next block begins, which may be better. */
		wanted = (size_t)PL_MIN(wanted, w->fs->block_size - pos % w->fs->block_size);
		r = pl_udf_read(w->fs, w->runs, w->bytes, wanted, pos, err);
	}
	w->start = pos;
	w->end = r < 0 ? pos : pos + wanted;
	return r;
}

/* The identifier at `pos`; *ret_length: what it takes up.  `room` bytes are there. */
static int
decode_entry(const struct udf *fs, const uint8_t *p, size_t room, uint64_t pos,
	     struct udf_entry *ret, size_t *ret_length, struct platter_error *err)
{
	size_t implementation, length;

	if (room < FID_HEADER)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "identifier at byte %" PRIu64 " of a folder is cut short", pos);
	implementation = get_le16(p + FID_IMPLEMENTATION);
	length = pl_round_up(FID_HEADER + implementation + p[FID_NAME_LENGTH], 4);
	if (length > room)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "identifier of %zu bytes at byte %" PRIu64
				  " of a folder, where %zu are left",
				  length, pos, room);
	*ret = (struct udf_entry){
		.characteristics = p[FID_CHARACTERISTICS],
		.name = p + FID_HEADER + implementation,
		.name_length = p[FID_NAME_LENGTH],
		.icb = udf_address_at(p + FID_ICB),
	};
	*ret_length = length;
	/* Which block it says it is in is wrong on too many discs. */
	return pl_udf_check_tag(fs, p, length, TAG_FILE_IDENTIFIER, get_le32(p + 12), 0, err);
}

/* Nothing marks where the next one begins but its tag, at a multiple of 4; the end if none is near. */
static uint64_t
find_next(struct window *w, uint64_t pos)
{
	uint64_t end = w->size - pos > SEARCH ? pos + SEARCH : w->size;

	for (pos += 4; pos < end; pos += 4) {
		struct udf_entry e;
		size_t length;

		if (fill_window(w, pos, w->fs->block_size, NULL) < 0) {
			pos = pl_round_up(pos + 1, w->fs->block_size) - 4;
			continue;
		}
		/* Looked at once for each window. */
		if (pos == w->start && pl_is_zero(w->bytes, (size_t)(w->end - pos))) {
			pos = pl_round_down(w->end - 4, 4);
			continue;
		}
		if (get_le16(w->bytes + (pos - w->start)) == TAG_FILE_IDENTIFIER &&
		    decode_entry(w->fs, w->bytes + (pos - w->start), (size_t)(w->end - pos), pos,
				 &e, &length, NULL) == 0)
			return pos;
	}
	return w->size;
}

static int
walk(struct window *w, udf_entry_fn *fn, void *closure, struct platter_error *err)
{
	uint64_t pos = 0;
	int first = 0;

	while (pos < w->size) {
		struct platter_error *why = first ? NULL : err;
		struct udf_entry e;
		size_t length = 0;
		int r = fill_window(w, pos, w->fs->block_size, why);

		/* Zeros up to the end are room for more, in whole blocks. */
		if (r == 0 && w->end == w->size &&
		    pl_is_zero(w->bytes + (pos - w->start), (size_t)(w->end - pos)))
			break;
		if (r == 0)
			r = decode_entry(w->fs, w->bytes + (pos - w->start), (size_t)(w->end - pos),
					 pos, &e, &length, why);
		if (r < 0) {
			first = first ? first : r;
			pos = find_next(w, pos);
			continue;
		}
		pos += length;
		if (e.characteristics & (ENTRY_DELETED | ENTRY_PARENT))
			continue;
		r = fn(closure, &e, why);
		if (r)
			return r;
	}
	return first;
}

int
pl_udf_each_entry(const struct udf *fs, const struct udf_icb *folder, udf_entry_fn *fn,
		  void *closure, struct platter_error *err)
{
	struct pl_runs runs = { 0 };
	struct window *w;
	int r;

	if (folder->size > pl_disk_size(fs->volume.disk))
		return pl_corrupt(err, folder->at, "folder of %" PRIu64 " bytes", folder->size);
	r = pl_udf_runs(fs, folder, &runs, err);
	if (r < 0)
		return r;
	w = malloc(sizeof *w);
	if (w) {
		w->fs = fs;
		w->runs = &runs;
		w->start = w->end = 0;
		w->size = folder->size;
		r = walk(w, fn, closure, err);
	} else {
		r = pl_no_memory(err);
	}
	free(w);
	pl_runs_done(&runs);
	return r;
}
