/* SPDX-License-Identifier: GPL-3.0-or-later */
/* write.c - random writes into VDI images */
#include "parent.h"
#include "vdi.h"

static struct vdi *
vdi_of_store(struct pl_store *s)
{
	return pl_container_of(s, struct vdi, store);
}

static int
get_block(struct pl_store *s, uint64_t index, struct pl_stored_block *ret,
	  struct platter_error *err)
{
	struct vdi *v = vdi_of_store(s);
	struct pl_extent e;
	int r = pl_vdi_run(&v->disk, index * v->block_size, 1, &e, err);

	if (r < 0)
		return r;
	*ret = (struct pl_stored_block){ .kind = e.kind, .at = e.stored_offset };
	if (e.kind == PLATTER_DATA && e.stored_offset < v->data_offset)
		return pl_corrupt(err, v->map.offset + index * 4,
				  "block %" PRIu64 " is stored before the data area", index);
	return 0;
}

static int
set_block(struct pl_store *s, uint64_t index, const struct pl_stored_block *block, bool fresh,
	  struct platter_error *err)
{
	struct vdi *v = vdi_of_store(s);
	uint8_t entry[4];

	(void)fresh;
	if (block->kind == PLATTER_DATA)
		put_le32(entry, (uint32_t)((block->at - v->extra - v->data_offset) /
					   (v->block_size + v->extra)));
	else
		put_le32(entry, block->kind == PLATTER_ZERO ? DISCARDED : ABSENT);
	return pl_block_table_set(&v->map, index * 4, 4, entry, err);
}

/* Children that were made of the image as it was can tell by its modification's UUID. */
static int
begin_changes(struct pl_store *s, struct platter_error *err)
{
	struct vdi *v = vdi_of_store(s);
	uint64_t unit = (uint64_t)v->block_size + v->extra;
	uint64_t in_file = v->file->growable && v->file->size > v->data_offset
				   ? pl_div_round_up(v->file->size - v->data_offset, unit)
				   : 0;
	int r = v->modified ? 0 : pl_new_guid(v->header + MODIFICATION, err);

	s->frontier = v->data_offset + PL_MAX(in_file, v->nr_allocated) * unit;
	return r < 0 ? r : pl_write(v->file, v->header + MODIFICATION, 16, MODIFICATION, err);
}

/* Counted in the file before the map names them. */
static int
count_blocks(struct pl_store *s, struct platter_error *err)
{
	struct vdi *v = vdi_of_store(s);

	v->nr_allocated = (uint32_t)((s->frontier - v->data_offset) / (v->block_size + v->extra));
	put_le32(v->header + NR_ALLOCATED, v->nr_allocated);
	return pl_write(v->file, v->header + NR_ALLOCATED, 4, NR_ALLOCATED, err);
}

const struct pl_store_ops pl_vdi_store_ops = {
	.get = get_block,
	.set = set_block,
	.begin = begin_changes,
	.extended = count_blocks,
};

int
pl_vdi_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	     struct platter_error *err)
{
	return pl_store_write(&vdi_of(disk)->store, buf, n, offset, err);
}

int
pl_vdi_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	    struct platter_error *err)
{
	return pl_store_zero(&vdi_of(disk)->store, offset, length, flags, err);
}

int
pl_vdi_discard(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	return pl_store_zero(&vdi_of(disk)->store, offset, length, PL_ZERO_MAY_UNMAP, err);
}

int
pl_vdi_flush(struct pl_disk *disk, struct platter_error *err)
{
	return pl_store_flush(&vdi_of(disk)->store, err);
}

/* The header's fields that tell sizes and places lie in one sector: they change at once. */
static int
switch_header(struct vdi *v, uint64_t map_offset, struct platter_error *err)
{
	uint8_t *h = v->header;
	int r = pl_flush(v->file, err);

	put_le32(h + MAP_OFFSET, (uint32_t)map_offset);
	put_le32(h + DATA_OFFSET, v->data_offset);
	put_le64(h + SIZE, v->disk.size);
	put_le32(h + NR_BLOCKS, v->nr_blocks);
	put_le32(h + NR_ALLOCATED, v->nr_allocated);
	if (r == 0)
		r = pl_write(v->file, h, HEADER_BYTES, 0, err);
	return r == 0 ? pl_flush(v->file, err) : r;
}

/* The map again, from the file. */
static int
reload_map(struct vdi *v, uint64_t map_offset, struct platter_error *err)
{
	return pl_store_reload(&v->store, &v->map, map_offset, (uint64_t)v->nr_blocks * 4, err);
}

/*
 * A map that has no room where it is goes into the room of the first blocks, which move; behind
 * itself, if it stands there.
 */
static int
move_map(struct vdi *v, uint64_t nr, uint64_t *ret_at, struct platter_error *err)
{
	uint64_t unit = (uint64_t)v->block_size + v->extra, first = v->data_offset, at = first;
	uint64_t gone, data;
	uint8_t entry[4];
	int r;

	if (v->map.offset >= first && v->map.offset < at + nr * 4)
		at = v->map.offset + v->map.bytes;
	gone = pl_div_round_up(at - first + nr * 4, unit);
	data = first + gone * unit;
	if (data > UINT32_MAX)
		return pl_over_limit(err, DATA_OFFSET, "a block map of %" PRIu64 " bytes", nr * 4);
	/* What waits is for the map that is there. */
	r = pl_store_commit(&v->store, err);
	if (r == 0 && v->store.frontier < data)
		r = pl_store_extend(&v->store, data - v->store.frontier, &(uint64_t){ 0 }, err);
	if (r == 0)
		r = pl_store_vacate(&v->store, first, data, err);
	if (r == 0)
		r = pl_block_table_blank(v->file, at, nr * 4, err);
	for (uint64_t i = 0; i < v->nr_blocks && r == 0; i++) {
		const uint8_t *p;
		uint32_t old;

		r = pl_block_table_get(&v->map, i * 4, 4, &p, err);
		old = r == 0 ? get_le32(p) : ABSENT;
		put_le32(entry, old < DISCARDED ? old - (uint32_t)gone : old);
		if (r == 0 && old != ABSENT)
			r = pl_write(v->file, entry, 4, at + i * 4, err);
	}
	if (r < 0)
		return r;
	v->data_offset = (uint32_t)data;
	v->nr_allocated = (uint32_t)((v->store.frontier - data) / unit);
	*ret_at = at;
	return 0;
}

/* Make the map hold `nr` entries; the header names it later. */
static int
grow_map(struct vdi *v, uint64_t nr, struct platter_error *err)
{
	uint64_t at = v->map.offset;
	int r;

	if (nr <= v->nr_blocks)
		return 0;
	if (nr > DISCARDED)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "%" PRIu64 " blocks, limit of VDI is %u", nr, DISCARDED);
	/* What is between the map and the data is nobody's; behind the data anything may be. */
	if (at >= v->data_offset || at + nr * 4 > v->data_offset)
		r = move_map(v, nr, &at, err);
	else
		r = pl_block_table_blank(v->file, at + v->nr_blocks * 4ull, (nr - v->nr_blocks) * 4,
					 err);
	if (r < 0)
		return r;
	v->nr_blocks = (uint32_t)nr;
	return reload_map(v, at, err);
}

/* A fixed image has all of its blocks, in the order of the disk as far as they follow it. */
static int
add_blocks(struct vdi *v, uint64_t first, struct platter_error *err)
{
	int r = 0;

	for (uint64_t i = first; i < v->nr_blocks && r == 0; i++) {
		struct pl_stored_block block = { .kind = PLATTER_DATA };

		r = pl_store_extend(&v->store, (uint64_t)v->block_size + v->extra, &block.at, err);
		block.at += v->extra;
		if (r == 0)
			r = set_block(&v->store, i, &block, true, err);
	}
	return r;
}

static int
grow(struct vdi *v, uint64_t size, struct platter_error *err)
{
	uint64_t old = v->disk.size, nr = v->nr_blocks;
	int r = grow_map(v, pl_div_round_up(size, v->block_size), err);

	if (r < 0)
		return r;
	v->disk.size = size;
	r = pl_store_clear_from(&v->store, old, err);
	if (r == 0 && v->type == TYPE_FIXED)
		r = add_blocks(v, nr, err);
	if (r == 0)
		r = pl_store_commit(&v->store, err);
	if (r == 0)
		return switch_header(v, v->map.offset, err);
	v->disk.size = old;
	return r;
}

static int
shrink(struct vdi *v, uint64_t size, struct platter_error *err)
{
	int r = pl_store_cut(&v->store, size, err);

	if (r < 0)
		return r;
	v->disk.size = size;
	v->nr_blocks = (uint32_t)pl_div_round_up(size, v->block_size);
	r = switch_header(v, v->map.offset, err);
	return r == 0 ? reload_map(v, v->map.offset, err) : r;
}

int
pl_vdi_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	struct vdi *v = vdi_of(disk);
	int r;

	if (size % 512)
		return pl_invalid(err, "a disk of %" PRIu64 " bytes is not whole sectors of 512",
				  size);
	r = pl_store_begin(&v->store, err);
	if (r < 0 || size == disk->size)
		return r;
	return size > disk->size ? grow(v, size, err) : shrink(v, size, err);
}

int
pl_vdi_compact(struct pl_disk *disk, struct platter_error *err)
{
	struct vdi *v = vdi_of(disk);
	struct pl_range kept[] = { { 0, PL_MAX((uint64_t)v->data_offset,
					       v->map.offset + v->map.bytes) } };

	return pl_store_compact(&v->store, kept, ARRAY_SIZE(kept), err);
}
