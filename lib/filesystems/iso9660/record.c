/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * iso9660/record.c - the records of folders, and the extents of files (ECMA-119 9.1)
 *
 *	offset  size  directory record; numbers of 8 and 4 bytes are in both byte orders
 *	     0     1  length; 0: the next record is at the beginning of the next sector
 *	     1     1  blocks of an extended attribute record before the contents
 *	     2     8  first block
 *	    10     8  size of the contents
 *	    18     7  time of recording
 *	    25     1  flags, see iso_record_flags
 *	    26     1  interleaved: blocks of a file unit, else 0
 *	    27     1  and of the gap behind each
 *	    28     4  volume of the set
 *	    32     1  length of the name
 *	    33        name; 0 and 1 are "." and ".."; padded to an even length
 *	              system use
 *
 * High Sierra has a time of 6 bytes and its flags at 24.  A file of 4 GiB or more has several
 * records in a row, which all but the last say that they are continued.
 */
#include "calendar.h"
#include "iso9660.h"

enum {
	RECORD_EXTENDED = 1,
	RECORD_BLOCK = 2,
	RECORD_SIZE = 10,
	RECORD_TIME = 18,
	RECORD_HS_FLAGS = 24,
	RECORD_FLAGS = 25,
	RECORD_UNIT = 26,
	RECORD_GAP = 27,
	RECORD_NAME_LENGTH = 32,
	RECORD_NAME = 33,
};

/* 16 EiB in sections of 4 GiB would be as many; mkisofs and libisofs write 4 GiB less a block. */
#define MAX_SECTIONS 65536

/* Nothing but zeros for so long ends a folder: every sector in use begins with a record. */
#define MAX_EMPTY KIB(64)

uint32_t
pl_iso_both32(const uint8_t *field, uint64_t limit)
{
	uint32_t little = get_le32(field), big = get_be32(field + 4);

	if (little == big || (little && little <= limit))
		return little;
	return big && big <= limit ? big : little;
}

struct platter_time
pl_iso_time(const uint8_t t[static 7])
{
	int64_t seconds = pl_seconds_of_date(1900 + t[0], t[1], t[2], t[3], t[4], t[5]);

	if (seconds != PLATTER_NO_TIME)
		seconds -= (int8_t)t[6] * 15 * 60;
	return (struct platter_time){ .seconds = seconds };
}

struct platter_time
pl_iso_long_time(const uint8_t t[static 17])
{
	static const uint8_t widths[] = { 4, 2, 2, 2, 2, 2, 2 };
	unsigned number[ARRAY_SIZE(widths)] = { 0 };
	struct platter_time ret = { .seconds = PLATTER_NO_TIME };
	const uint8_t *p = t;

	for (size_t i = 0; i < ARRAY_SIZE(widths); i++)
		for (int k = 0; k < widths[i]; k++, p++) {
			if (*p < '0' || *p > '9')
				return ret;
			number[i] = number[i] * 10 + *p - '0';
		}
	ret.seconds = pl_seconds_of_date((int)number[0], number[1], number[2], number[3], number[4],
					 number[5]);
	if (ret.seconds != PLATTER_NO_TIME) {
		ret.seconds -= (int8_t)t[16] * 15 * 60;
		ret.nanoseconds = number[6] * 10000000;
	}
	return ret;
}

int
pl_iso_block_at(const struct iso *iso, uint32_t block, uint64_t *ret, struct platter_error *err)
{
	uint64_t size = pl_disk_size(iso->volume.disk), at;

	if (block < iso->first_block)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "block %" PRIu32 " is of an earlier session, which is not here",
				  block);
	at = (uint64_t)(block - iso->first_block) * iso->block_size;
	if (at >= size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "block %" PRIu32 " is past the end of the disc at %" PRIu64,
				  block, size / iso->block_size);
	*ret = at;
	return 0;
}

/* The record at the beginning of `p`, of which `room` bytes are there, at byte `at` of the disk. */
static int
decode_record(const struct iso *iso, const uint8_t *p, size_t room, uint64_t at,
	      struct iso_record *ret, struct platter_error *err)
{
	uint64_t disk_size = pl_disk_size(iso->volume.disk);
	size_t used;

	if (room <= RECORD_NAME || p[0] > room)
		return pl_corrupt(err, at, "directory record of %u bytes where %zu are left", p[0],
				  room);
	ret->at = at;
	ret->length = p[0];
	ret->name_length = p[RECORD_NAME_LENGTH];
	used = (size_t)RECORD_NAME + ret->name_length;
	if (!ret->name_length || used > ret->length)
		return pl_corrupt(err, at + RECORD_NAME_LENGTH,
				  "name of %u bytes in a directory record of %u", ret->name_length,
				  ret->length);
	ret->block = pl_iso_both32(p + RECORD_BLOCK, disk_size / iso->block_size);
	ret->size = pl_iso_both32(p + RECORD_SIZE, disk_size);
	ret->extended = p[RECORD_EXTENDED];
	ret->unit = p[RECORD_UNIT];
	ret->gap = p[RECORD_GAP];
	ret->name = p + RECORD_NAME;
	used += !(ret->name_length & 1);
	ret->system_use = p + used;
	ret->system_use_length = (uint8_t)(used < ret->length ? ret->length - used : 0);
	if (iso->high_sierra) {
		uint8_t t[7] = { 0 };

		memcpy(t, p + RECORD_TIME, 6);
		ret->recorded = pl_iso_time(t);
		ret->flags = p[RECORD_HS_FLAGS];
	} else {
		ret->recorded = pl_iso_time(p + RECORD_TIME);
		ret->flags = p[RECORD_FLAGS];
	}
	return 0;
}

int
pl_iso_read_record(struct iso *iso, uint64_t at, struct iso_record *ret, struct platter_error *err)
{
	uint64_t size = pl_disk_size(iso->volume.disk);
	size_t room = (size_t)PL_MIN(255, size - PL_MIN(size, at));
	int r = pl_meta_read(iso->volume.meta, ret->bytes, room, at, err);

	return r < 0 ? r : decode_record(iso, ret->bytes, room, at, ret, err);
}

/* A stretch of a folder that is in memory. */
struct window {
	uint64_t start, end; /* bytes of the folder */
	uint8_t bytes[KIB(16) + 256];
};

/* Have the longest record that could be at `pos`; where a sector is bad, what comes before it. */
static int
fill_window(struct iso *iso, struct window *w, uint64_t at, uint64_t pos, uint64_t size,
	    struct platter_error *err)
{
	size_t n = (size_t)PL_MIN(sizeof w->bytes, size - pos);
	int r;

	if (pos >= w->start && (w->end == size || pos + 255 <= w->end))
		return 0;
	r = pl_meta_read(iso->volume.meta, w->bytes, n, at + pos, NULL);
	if (r < 0) {
		n = (size_t)PL_MIN(n, ISO_SECTOR - pos % ISO_SECTOR);
		r = pl_meta_read(iso->volume.meta, w->bytes, n, at + pos, err);
	}
	w->start = pos;
	w->end = r < 0 ? pos : pos + n;
	return r;
}

int
pl_iso_each_record(struct iso *iso, const struct iso_record *folder, iso_record_fn *fn,
		   void *closure, struct platter_error *err)
{
	uint64_t disk_size = pl_disk_size(iso->volume.disk), pos = 0, size = folder->size,
		 empty = 0;
	struct window w = { .start = 0, .end = 0 };
	uint64_t at;
	int first = pl_iso_block_at(iso, folder->block + folder->extended, &at, err);

	if (first < 0)
		return first;
	if (!pl_in_range(at, size, disk_size)) {
		first = pl_corrupt(err, folder->at + RECORD_SIZE,
				   "folder of %" PRIu64 " bytes at byte %" PRIu64
				   " ends past the disc's %" PRIu64,
				   size, at, disk_size);
		size = disk_size - at;
	}
	while (pos < size && empty < MAX_EMPTY) {
		int r = fill_window(iso, &w, at, pos, size, first ? NULL : err);
		const uint8_t *p = w.bytes + (pos - w.start);
		struct iso_record record;

		if (r == 0 && !*p) {
			/* Blocks are no larger than sectors: the zeros go on till the next record. */
			uint64_t next = pl_round_up(pos + 1, iso->block_size);

			empty += next - pos;
			pos = next;
			continue;
		}
		if (r == 0)
			r = decode_record(iso, p, (size_t)(w.end - pos), at + pos, &record,
					  first ? NULL : err);
		if (r < 0) {
			first = first ? first : r;
			pos = pl_round_up(pos + 1, ISO_SECTOR);
			continue;
		}
		empty = 0;
		r = fn(closure, &record, first ? NULL : err);
		if (r)
			return r;
		pos += record.length;
	}
	return first;
}

/* The record behind one that is continued. */
static int
next_section(struct iso *iso, struct iso_record *r, struct platter_error *err)
{
	uint64_t at = r->at + r->length;
	uint8_t length = 0;
	int error = 0;

	for (unsigned i = 0; i < 4 && !length && error == 0; i++) {
		if (i)
			at = pl_round_up(at + 1, iso->block_size);
		error = pl_meta_read(iso->volume.meta, &length, 1, at, err);
	}
	return error < 0 ? error : pl_iso_read_record(iso, at, r, err);
}

/*
 * The runs of one section at `offset` of its file.  Interleaved: a unit of blocks, a gap, a
 * unit, ...; an extended attribute record then has the first unit for itself (6.4.3).
 */
static int
add_section(const struct iso *iso, const struct iso_record *r, struct pl_runs *runs,
	    uint64_t offset, struct platter_error *err)
{
	uint64_t unit = (uint64_t)r->unit * iso->block_size, left = r->size, at;
	uint64_t step = unit + (uint64_t)r->gap * iso->block_size;
	int error;

	if (!left)
		return 0;
	error = pl_iso_block_at(iso, r->block, &at, err);
	if (error < 0)
		return error;
	if (!unit || !r->gap)
		return pl_runs_add_data(runs, offset, left,
					at + (uint64_t)r->extended * iso->block_size, err);
	if (r->extended)
		at += step;
	for (; left && error == 0; at += step) {
		uint64_t part = PL_MIN(unit, left);

		error = pl_runs_add_data(runs, offset, part, at, err);
		offset += part;
		left -= part;
	}
	return error;
}

/* `runs` may be NULL: only the sizes. */
static int
walk_sections(struct iso *iso, const struct iso_record *first, struct pl_runs *runs,
	      uint64_t *ret_size, uint64_t *ret_allocated, struct platter_error *err)
{
	struct iso_record next;
	const struct iso_record *r = first;
	uint64_t size = 0, allocated = 0;
	int error = 0;

	for (unsigned i = 0; error == 0; i++) {
		if (runs)
			error = add_section(iso, r, runs, size, err);
		size += r->size;
		allocated += pl_round_up(r->size, iso->block_size) +
			     (uint64_t)r->extended * iso->block_size;
		if (error || !(r->flags & RECORD_CONTINUED))
			break;
		if (i == MAX_SECTIONS)
			return pl_corrupt(err, r->at, "file of more than %u sections",
					  MAX_SECTIONS);
		if (!i) {
			next.at = first->at;
			next.length = first->length;
			r = &next;
		}
		error = next_section(iso, &next, err);
	}
	*ret_size = size;
	*ret_allocated = allocated;
	return error;
}

int
pl_iso_runs(struct iso *iso, const struct iso_record *first, struct pl_runs *ret,
	    uint64_t *ret_size, struct platter_error *err)
{
	uint64_t allocated;
	int r = walk_sections(iso, first, ret, ret_size, &allocated, err);

	if (r < 0)
		pl_runs_done(ret);
	return r;
}

int
pl_iso_file_size(struct iso *iso, const struct iso_record *first, uint64_t *ret,
		 uint64_t *ret_allocated, struct platter_error *err)
{
	return walk_sections(iso, first, NULL, ret, ret_allocated, err);
}
