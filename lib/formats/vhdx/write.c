/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * write.c - random writes into a VHDX
 *
 * Data goes in its place, or into blocks appended to the file; the table and the bitmaps that
 * name it follow through the log.
 */
#include "vhdx-image.h"
#include "staged.h"

static struct vhdx *
vhdx_of_store(struct pl_store *s)
{
	return pl_container_of(s, struct vhdx, store);
}

static bool
overlap(uint64_t a, uint64_t a_length, uint64_t b, uint64_t b_length)
{
	return a < b + b_length && b < a + a_length;
}

/* What is written there must not be the image's own structure. */
static int
check_place(struct vhdx *v, uint64_t index, uint64_t block, uint64_t place,
	    struct platter_error *err)
{
	const struct vhdx_info *info = &v->info;

	if (place < VHDX_UNIT || place >= v->file->size)
		return pl_vhdx_bad_entry(v, index, block, "is not within the file", err);
	if (overlap(place, info->block_size, info->bat.offset, info->bat.length) ||
	    overlap(place, info->block_size, info->metadata.offset, info->metadata.length) ||
	    overlap(place, info->block_size, info->header.log_offset, info->header.log_length))
		return pl_vhdx_bad_entry(v, index, block,
					 "lies over the log, the metadata or the block table", err);
	return 0;
}

static int
get_block(struct pl_store *s, uint64_t block, struct pl_stored_block *ret,
	  struct platter_error *err)
{
	struct vhdx *v = vhdx_of_store(s);
	uint64_t index = vhdx_entry_of_block(v, block), entry;
	unsigned state;
	int r = pl_vhdx_get_entry(v, index, &entry, err);

	if (r < 0)
		return r;
	state = (unsigned)(entry & VHDX_STATE_MASK);
	if (state == 4)
		return pl_vhdx_bad_entry(v, index, block, "is in state 4, which is not known", err);
	*ret = (struct pl_stored_block){ .kind = PLATTER_ZERO };
	if (state == VHDX_NOT_PRESENT)
		ret->kind = PLATTER_HOLE;
	if (state != VHDX_FULLY_PRESENT && state != VHDX_PARTIALLY_PRESENT)
		return 0;
	ret->kind = PLATTER_DATA;
	ret->at = entry & VHDX_OFFSET_MASK;
	ret->partial = state == VHDX_PARTIALLY_PRESENT;
	if (ret->partial && !v->disk.parent)
		return pl_vhdx_bad_entry(v, index, block,
					 "is partly there in a disk without a parent", err);
	return check_place(v, index, block, ret->at, err);
}

static int
set_entry(struct vhdx *v, uint64_t index, uint64_t entry, struct platter_error *err)
{
	uint8_t b[8];

	put_le64(b, entry);
	return pl_block_table_set(&v->bat, index * 8, sizeof b, b, err);
}

/* Where the bits of a block begin in the bitmap at `bitmap`. */
static uint64_t
bits_at(const struct vhdx *v, uint64_t block, uint64_t bitmap)
{
	return bitmap +
	       block % v->info.chunk_ratio * (v->info.block_size / v->info.sector_size / 8);
}

/* Whatever the bitmap holds for a block that was not there. */
static int
clear_bits(struct vhdx *v, uint64_t block, struct platter_error *err)
{
	size_t n = v->info.block_size / v->info.sector_size / 8;
	PL_AUTOFREE uint8_t *bits = NULL;
	uint64_t bitmap;
	int r = pl_vhdx_find_bitmap(v, block, &bitmap, err);

	if (r < 0 || !bitmap)
		return r;
	r = pl_read_alloc(v->meta, n, bits_at(v, block, bitmap), &bits, err);
	if (r < 0 || pl_is_zero(bits, n))
		return r;
	memset(bits, 0, n);
	return pl_write(v->meta, bits, n, bits_at(v, block, bitmap), err);
}

static int
set_block(struct pl_store *s, uint64_t block, const struct pl_stored_block *stored, bool fresh,
	  struct platter_error *err)
{
	struct vhdx *v = vhdx_of_store(s);
	uint64_t entry = VHDX_ZERO;
	int r = 0;

	if (stored->kind == PLATTER_DATA)
		entry = stored->at |
			(stored->partial ? VHDX_PARTIALLY_PRESENT : VHDX_FULLY_PRESENT);
	if (stored->partial && fresh)
		r = clear_bits(v, block, err);
	return r < 0 ? r : set_entry(v, vhdx_entry_of_block(v, block), entry, err);
}

/* The bitmap of a block's chunk, a new one if there is none. */
static int
get_bitmap(struct vhdx *v, uint64_t block, uint64_t *ret, struct platter_error *err)
{
	int r = pl_vhdx_find_bitmap(v, block, ret, err);

	if (r < 0 || *ret)
		return r;
	r = pl_store_extend(&v->store, VHDX_UNIT, ret, err);
	if (r < 0)
		return r;
	return set_entry(v, vhdx_entry_of_bitmap(v, block), *ret | VHDX_FULLY_PRESENT, err);
}

static void
set_bits(uint8_t *bits, uint32_t first, uint32_t nr)
{
	for (uint32_t i = first; i < first + nr; i++) {
		if (i % 8 == 0 && first + nr - i >= 8) {
			bits[i / 8] = 0xff;
			i += 7;
		} else {
			bits[i / 8] |= (uint8_t)(1u << i % 8);
		}
	}
}

static int
own_sectors(struct pl_store *s, uint64_t block, uint32_t first, uint32_t nr,
	    struct platter_error *err)
{
	struct vhdx *v = vhdx_of_store(s);
	size_t n = (first + nr - 1) / 8 - first / 8 + 1;
	PL_AUTOFREE uint8_t *bits = NULL;
	struct pl_stored_block stored;
	uint64_t bitmap;
	int r;

	if (nr == v->info.block_size / v->info.sector_size) {
		r = get_block(s, block, &stored, err);
		stored.partial = false;
		return r < 0 ? r : set_block(s, block, &stored, false, err);
	}
	r = get_bitmap(v, block, &bitmap, err);
	if (r < 0)
		return r;
	bitmap = bits_at(v, block, bitmap) + first / 8;
	r = pl_read_alloc(v->meta, n, bitmap, &bits, err);
	if (r < 0)
		return r;
	set_bits(bits, first % 8, nr);
	return pl_write(v->meta, bits, n, bitmap, err);
}

/* A log to write to, that lies over nothing else. */
static int
check_log(const struct vhdx *v, struct platter_error *err)
{
	const struct vhdx_info *info = &v->info;
	const struct vhdx_header *h = &info->header;

	if (!h->log_length || h->log_length % VHDX_UNIT || h->log_offset < VHDX_UNIT ||
	    h->log_offset % VHDX_UNIT || !pl_in_range(h->log_offset, h->log_length, v->file->size))
		return pl_corrupt(err, h->at + VHDX_LOG_LENGTH,
				  "log of %" PRIu32 " bytes at byte %" PRIu64
				  ": not in whole MiB after the first within the file (%" PRIu64
				  " bytes)",
				  h->log_length, h->log_offset, v->file->size);
	if (overlap(h->log_offset, h->log_length, info->bat.offset, info->bat.length) ||
	    overlap(h->log_offset, h->log_length, info->metadata.offset, info->metadata.length) ||
	    overlap(info->bat.offset, info->bat.length, info->metadata.offset,
		    info->metadata.length))
		return pl_corrupt(err, h->at + VHDX_LOG_OFFSET,
				  "the log, the metadata or the block table lie over each other");
	return 0;
}

static int
check_changeable(const struct vhdx *v, struct platter_error *err)
{
	int r;

	if (v->info.flags & VHDX_HAS_PARENT && !v->disk.parent)
		return pl_fail(err, -ENOTSUP,
			       "a differencing disk cannot be written without its parent");
	if (!(v->info.damage & VHDX_HEADERS_DIFFER))
		return check_log(v, err);
	r = pl_corrupt(err, VHDX_HEADER_1,
		       "the two headers differ and have the same sequence number: which of them"
		       " counts cannot be told");
	pl_hint(err, "convert what can be read of it into a new image");
	return r;
}

/* Where the last thing in the file ends, which cannot be told by its size. */
static int
find_end(struct vhdx *v, uint64_t *ret, struct platter_error *err)
{
	const struct vhdx_info *info = &v->info;
	uint64_t end = info->header.log_offset + info->header.log_length, index = 0, entry;
	int r;

	end = PL_MAX(end, info->bat.offset + info->bat.length);
	end = PL_MAX(end, info->metadata.offset + info->metadata.length);
	for (;; index++) {
		uint64_t place, state;

		r = pl_vhdx_next_entry(v, &index, &entry, err);
		if (r < 0 || index == info->nr_entries)
			break;
		place = entry & VHDX_OFFSET_MASK;
		state = entry & VHDX_STATE_MASK;
		if (place < v->file->size &&
		    (state == VHDX_FULLY_PRESENT || state == VHDX_PARTIALLY_PRESENT))
			end = PL_MAX(end, place + (vhdx_is_bitmap(v, index) ? VHDX_UNIT
									    : info->block_size));
	}
	*ret = info->other_regions ? v->file->size : end;
	return r;
}

static int
begin(struct pl_store *s, struct platter_error *err)
{
	struct vhdx *v = vhdx_of_store(s);
	const unsigned regions = VHDX_REGIONS_LOST | VHDX_REGIONS_DIFFER;
	int r = check_changeable(v, err);

	s->frontier = pl_round_up(v->file->size, VHDX_UNIT);
	if (r == 0 && !v->file->growable)
		r = find_end(v, &s->frontier, err);
	if (r == 0)
		r = pl_vhdx_header_update(v->file, &v->info.header,
					  VHDX_CHANGES_FILE | (v->touched ? VHDX_CHANGES_DATA : 0),
					  err);
	/* What only one of them names must not be lost with it, nor what the other does count. */
	if (r == 0 && v->info.damage & regions) {
		r = pl_vhdx_write_regions(v->file, &v->info, &v->info.bat, err);
		if (r == 0)
			r = pl_flush(v->file, err);
	}
	if (r == 0)
		v->info.damage &= ~(regions | VHDX_HEADER_LOST);
	return r;
}

int
pl_vhdx_touch(struct vhdx *v, struct platter_error *err)
{
	int r;

	if (v->touched)
		return 0;
	v->touched = true;
	if (v->store.begun)
		r = pl_vhdx_header_update(v->file, &v->info.header, VHDX_CHANGES_DATA, err);
	else
		r = pl_store_begin(&v->store, err);
	if (r < 0)
		v->touched = false;
	return r;
}

static int
extended(struct pl_store *s, struct platter_error *err)
{
	(void)err;
	s->staged->size = s->file->size;
	return 0;
}

static const struct pl_store_ops ops = {
	.get = get_block,
	.set = set_block,
	.begin = begin,
	.extended = extended,
	.commit = pl_vhdx_commit,
};

static const struct pl_store_ops differencing_ops = {
	.get = get_block,
	.set = set_block,
	.own = own_sectors,
	.begin = begin,
	.extended = extended,
	.commit = pl_vhdx_commit,
};

/* Replay the log for good; it was found to lead to a sound image. */
static int
replay_for_good(struct vhdx *v, struct platter_error *err)
{
	struct vhdx_header *h = &v->info.header;
	int r;

	if (vhdx_is_zero_guid(h->log_guid))
		return 0;
	r = pl_vhdx_header_update(v->file, h, VHDX_CHANGES_FILE, err);
	if (r == 0)
		r = pl_vhdx_replay_in_place(v->stored, err);
	if (r < 0)
		return r;
	memset(h->log_guid, 0, 16);
	r = pl_vhdx_header_update(v->file, h, 0, err);
	if (r < 0)
		return r;
	pl_disk_unref(v->stored);
	v->stored = pl_disk_ref(v->file);
	v->meta = v->stored;
	return 0;
}

int
pl_vhdx_open_store(struct vhdx *v, struct platter_error *err)
{
	int r = replay_for_good(v, err);

	if (r < 0)
		return r;
	v->store = (struct pl_store){
		.ops = v->info.flags & VHDX_HAS_PARENT ? &differencing_ops : &ops,
		.disk = &v->disk,
		.file = v->file,
		.block_size = v->info.block_size,
		.align = (uint32_t)VHDX_UNIT,
		.sector_size = v->info.sector_size,
		.can_zero = true,
		.limit = INT64_MAX,
	};
	r = pl_store_init(&v->store, err);
	if (r < 0)
		return r;
	v->meta = v->store.staged;
	v->disk.writable = true;
	return 0;
}

void
pl_vhdx_close_store(struct vhdx *v)
{
	/* Nobody can be told what fails; with the log as it is, nothing that was flushed is lost. */
	if (v->store.begun && pl_store_commit(&v->store, NULL) == 0)
		(void)pl_vhdx_close_log(v, NULL);
	pl_store_done(&v->store);
}

int
pl_vhdx_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	      struct platter_error *err)
{
	struct vhdx *v = vhdx_of(disk);
	int r = pl_vhdx_touch(v, err);

	return r < 0 ? r : pl_store_write(&v->store, buf, n, offset, err);
}

/* A fixed disk keeps its blocks. */
static unsigned
allowed(const struct vhdx *v, unsigned flags)
{
	return v->info.flags & VHDX_LEAVE_ALLOCATED ? flags & ~(unsigned)PL_ZERO_MAY_UNMAP : flags;
}

int
pl_vhdx_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	     struct platter_error *err)
{
	struct vhdx *v = vhdx_of(disk);
	int r = pl_vhdx_touch(v, err);

	return r < 0 ? r : pl_store_zero(&v->store, offset, length, allowed(v, flags), err);
}

int
pl_vhdx_discard(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	return pl_vhdx_zero(disk, offset, length, PL_ZERO_MAY_UNMAP, err);
}

int
pl_vhdx_flush(struct pl_disk *disk, struct platter_error *err)
{
	return pl_store_flush(&vhdx_of(disk)->store, err);
}
