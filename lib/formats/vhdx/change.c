/* SPDX-License-Identifier: GPL-3.0-or-later */
/* change.c - other sizes for a VHDX, no gaps in it, and what is damaged made whole again */
#include "vhdx-image.h"
#include "staged.h"

/* A piece of the table: 512 entries. */
#define PIECE      4096u
#define MAX_STAGED MIB(1)

/* Room for a table of `nr` entries at the end of the file, with what the present one says. */
static int
move_table(struct vhdx *v, uint64_t nr, struct platter_error *err)
{
	struct vhdx_region bat = { .length = pl_round_up(nr * 8, VHDX_UNIT) };
	uint8_t b[PIECE];
	int r = pl_store_extend(&v->store, bat.length, &bat.offset, err);

	for (uint64_t at = 0; at < v->bat.bytes && r == 0; at += PIECE) {
		size_t n = (size_t)PL_MIN(PIECE, v->bat.bytes - at);

		r = pl_read(v->meta, b, n, v->bat.offset + at, err);
		if (r == 0 && !pl_is_zero(b, n))
			r = pl_write(v->file, b, n, bat.offset + at, err);
	}
	if (r == 0)
		r = pl_vhdx_write_regions(v->meta, &v->info, &bat, err);
	if (r == 0)
		r = pl_store_commit(&v->store, err);
	if (r < 0)
		return r;
	v->info.bat = bat;
	return pl_vhdx_load_table(v, err);
}

/* The index-th entry of a disk that has grown to be as `grown` says. */
static int
entry_of_grown(struct vhdx *v, const struct vhdx_info *grown, uint64_t index, uint64_t *entry,
	       struct platter_error *err)
{
	uint64_t block = index - index / (v->info.chunk_ratio + 1u);
	int r;

	if (index < v->info.nr_entries && (vhdx_is_bitmap(v, index) || block < v->info.nr_blocks))
		return 0;
	*entry = VHDX_NOT_PRESENT;
	if (vhdx_is_bitmap(v, index) || block >= grown->nr_blocks)
		return 0;
	/* The parent may be longer than this disk was, which must not show. */
	if (v->disk.parent && block * v->info.block_size < v->disk.parent->size)
		*entry = VHDX_ZERO;
	if (!(v->info.flags & VHDX_LEAVE_ALLOCATED))
		return 0;
	r = pl_store_extend(&v->store, v->info.block_size, entry, err);
	*entry |= VHDX_FULLY_PRESENT;
	return r;
}

static int
add_entries(struct vhdx *v, const struct vhdx_info *grown, struct platter_error *err)
{
	uint64_t first = pl_round_down(vhdx_entry_of_block(v, v->info.nr_blocks), PIECE / 8);
	uint8_t b[PIECE], was[PIECE];
	int r = 0;

	for (; first < grown->nr_entries && r == 0; first += PIECE / 8) {
		uint64_t at = v->info.bat.offset + first * 8;
		uint32_t nr = (uint32_t)PL_MIN(PIECE / 8, grown->nr_entries - first);

		r = pl_read(v->meta, was, nr * 8, at, err);
		for (uint32_t i = 0; i < nr && r == 0; i++) {
			uint64_t entry = get_le64(was + i * 8);

			r = entry_of_grown(v, grown, first + i, &entry, err);
			put_le64(b + i * 8, entry);
		}
		if (r == 0 && memcmp(b, was, nr * 8) != 0)
			r = pl_write(v->meta, b, nr * 8, at, err);
		if (r == 0 && pl_staged_bytes(v->meta) > MAX_STAGED)
			r = pl_store_commit(&v->store, err);
	}
	return r == 0 ? pl_store_commit(&v->store, err) : r;
}

/* From here on the disk has the new size. */
static int
switch_size(struct vhdx *v, const struct vhdx_info *next, struct platter_error *err)
{
	uint8_t b[8];
	int r;

	put_le64(b, next->size);
	r = pl_write(v->meta, b, sizeof b, v->info.size_at, err);
	if (r == 0)
		r = pl_store_flush(&v->store, err);
	if (r < 0)
		return r;
	v->info.size = v->disk.size = next->size;
	v->info.nr_blocks = next->nr_blocks;
	v->info.nr_entries = next->nr_entries;
	return pl_vhdx_load_table(v, err);
}

/* What follows the old end in its block was nobody's; and a parent may be longer. */
static int
clear_after(struct vhdx *v, uint64_t old, struct platter_error *err)
{
	uint64_t end = PL_MIN(pl_round_up(old, v->info.block_size), v->disk.size);
	int r = old < end ? pl_store_zero(&v->store, old, end - old, 0, err) : 0;

	return r == 0 ? pl_store_commit(&v->store, err) : r;
}

static int
grow(struct vhdx *v, const struct vhdx_info *next, struct platter_error *err)
{
	uint64_t old = v->disk.size;
	int r;

	v->disk.size = next->size;
	r = clear_after(v, old, err);
	if (r == 0 && next->nr_entries > v->info.bat.length / 8)
		r = move_table(v, next->nr_entries, err);
	if (r == 0)
		r = add_entries(v, next, err);
	if (r == 0)
		r = switch_size(v, next, err);
	if (r < 0)
		v->disk.size = v->info.size;
	return r;
}

static int
shrink(struct vhdx *v, const struct vhdx_info *next, struct platter_error *err)
{
	/* The rest of the last block is cleared when the disk grows again. */
	int r = pl_store_cut(&v->store, pl_round_up(next->size, v->info.block_size), err);

	return r == 0 ? switch_size(v, next, err) : r;
}

/* Places of the file change hands: no entry may be left in the log that writes to them. */
static int
begin_change(struct vhdx *v, struct platter_error *err)
{
	int r = pl_store_begin(&v->store, err);

	if (r == 0)
		r = pl_store_commit(&v->store, err);
	if (r == 0)
		r = pl_vhdx_close_log(v, err);
	v->keep_log_empty = r == 0;
	return r;
}

int
pl_vhdx_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	struct vhdx *v = vhdx_of(disk);
	struct vhdx_info next = v->info;
	int r;

	if (size % v->info.sector_size)
		return pl_invalid(err,
				  "a disk of %" PRIu64 " bytes is not whole sectors of %" PRIu32,
				  size, v->info.sector_size);
	if (size > VHDX_MAX_SIZE)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "disk of %" PRIu64 " bytes, a VHDX holds at most %" PRIu64,
				     size, (uint64_t)VHDX_MAX_SIZE);
	if (size == disk->size)
		return 0;
	next.size = size;
	pl_vhdx_count_entries(&next);
	r = pl_vhdx_touch(v, err);
	if (r == 0)
		r = begin_change(v, err);
	if (r == 0)
		r = size > disk->size ? grow(v, &next, err) : shrink(v, &next, err);
	v->keep_log_empty = false;
	return r;
}

struct kept {
	struct pl_range *list;
	size_t nr, capacity;
};

static int
keep(struct kept *k, uint64_t start, uint64_t length, struct platter_error *err)
{
	if (k->nr == k->capacity) {
		size_t capacity = k->capacity ? k->capacity * 2 : 16;
		struct pl_range *list = pl_realloc_array(k->list, capacity, sizeof *list);

		if (!list)
			return pl_no_memory(err);
		k->list = list;
		k->capacity = capacity;
	}
	k->list[k->nr++] = (struct pl_range){ start, start + length };
	return 0;
}

static int
keep_bitmaps(struct vhdx *v, struct kept *k, struct platter_error *err)
{
	uint64_t index, entry, place;
	int r;

	for (index = 0;; index++) {
		r = pl_vhdx_next_entry(v, &index, &entry, err);
		if (r < 0 || index == v->info.nr_entries)
			return r;
		place = entry & VHDX_OFFSET_MASK;
		if (!vhdx_is_bitmap(v, index) || (entry & VHDX_STATE_MASK) != VHDX_FULLY_PRESENT ||
		    place >= v->file->size)
			continue;
		r = keep(k, place, VHDX_UNIT, err);
		if (r < 0)
			return r;
	}
}

static int
keep_structure(struct vhdx *v, struct kept *k, struct platter_error *err)
{
	const struct vhdx_info *info = &v->info;
	int r = keep(k, 0, VHDX_UNIT, err);

	if (r == 0)
		r = keep(k, info->header.log_offset, info->header.log_length, err);
	if (r == 0)
		r = keep(k, info->bat.offset, info->bat.length, err);
	if (r == 0)
		r = keep(k, info->metadata.offset, info->metadata.length, err);
	return r == 0 ? keep_bitmaps(v, k, err) : r;
}

int
pl_vhdx_compact(struct pl_disk *disk, struct platter_error *err)
{
	struct vhdx *v = vhdx_of(disk);
	struct kept kept = { 0 };
	int r;

	if (v->info.other_regions)
		return pl_unsupported(err, v->info.regions_at,
				      "the image has regions that are not known, and may not move");
	r = begin_change(v, err);
	if (r == 0)
		r = keep_structure(v, &kept, err);
	if (r == 0)
		r = pl_store_compact(&v->store, kept.list, kept.nr, err);
	v->keep_log_empty = false;
	free(kept.list);
	return r;
}

/* Opening for writing has replayed the log already. */
static void
tell_of_log(struct vhdx *v, bool dry_run, struct pl_findings *findings)
{
	uint64_t at = v->info.header.log_offset;

	if (v->nr_replayed)
		pl_found(findings, PLATTER_REPAIRED, at, "log entries that %s replayed: %zu",
			 dry_run ? "are to be" : "were", v->nr_replayed);
	if (v->info.damage & VHDX_LOG_EMPTY)
		pl_found(findings, PLATTER_REPAIRED, at,
			 "the log has no whole entry to replay, and %s marked as empty",
			 dry_run ? "is to be" : "was");
	v->nr_replayed = 0;
	v->info.damage &= ~(unsigned)VHDX_LOG_EMPTY;
}

static int
mend_header(struct vhdx *v, bool dry_run, struct pl_findings *findings, struct platter_error *err)
{
	struct vhdx_header *h = &v->info.header;
	uint64_t lost = h->at == VHDX_HEADER_1 ? VHDX_HEADER_2 : VHDX_HEADER_1;
	int r = 0;

	if (!(v->info.damage & VHDX_HEADER_LOST))
		return 0;
	/* A replayed log has brought the other header up to date. */
	if (!dry_run)
		r = pl_vhdx_header_update(v->file, h, VHDX_CHANGES_FILE, err);
	if (r < 0)
		return r;
	pl_found(findings, PLATTER_REPAIRED, lost,
		 "one of the two headers is not sound, and %s made from the other",
		 dry_run ? "is to be" : "was");
	v->info.damage &= ~(unsigned)VHDX_HEADER_LOST;
	return 0;
}

static int
mend_regions(struct vhdx *v, bool dry_run, struct pl_findings *findings, struct platter_error *err)
{
	const unsigned regions = VHDX_REGIONS_LOST | VHDX_REGIONS_DIFFER;
	bool first = v->info.regions_at == VHDX_REGIONS_1;
	int r = 0;

	if (!(v->info.damage & regions))
		return 0;
	if (!dry_run)
		r = pl_vhdx_write_regions(v->file, &v->info, &v->info.bat, err);
	if (r == 0)
		r = pl_flush(v->file, err);
	if (r < 0)
		return r;
	pl_found(findings, PLATTER_REPAIRED, first ? VHDX_REGIONS_2 : VHDX_REGIONS_1,
		 "the %s region table %s, and %s made from the %s", first ? "second" : "first",
		 v->info.damage & VHDX_REGIONS_LOST ? "is not sound" : "differs",
		 dry_run ? "is to be" : "was", first ? "first" : "second");
	v->info.damage &= ~regions;
	return 0;
}

int
pl_vhdx_repair(struct pl_disk *disk, bool dry_run, struct pl_findings *findings,
	       struct platter_error *err)
{
	struct vhdx *v = vhdx_of(disk);
	int r = 0;

	/* With no sound copy of something, or two, there is nothing to mend it from. */
	if (!(v->info.damage & (VHDX_CRC_IGNORED | VHDX_HEADERS_DIFFER))) {
		tell_of_log(v, dry_run, findings);
		r = mend_header(v, dry_run, findings, err);
		if (r == 0)
			r = mend_regions(v, dry_run, findings, err);
	}
	return r == 0 ? pl_vhdx_check(disk, findings, err) : r;
}
