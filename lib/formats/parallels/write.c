/* SPDX-License-Identifier: GPL-3.0-or-later */
/* write.c - random writes into Parallels images */
#include "parallels.h"

static struct parallels *
parallels_of_store(struct pl_store *s)
{
	return pl_container_of(s, struct parallels, store);
}

static int
get_block(struct pl_store *s, uint64_t index, struct pl_stored_block *ret,
	  struct platter_error *err)
{
	struct parallels *p = parallels_of_store(s);
	const uint8_t *entry;
	int r = pl_block_table_get(&p->bat, index * 4, 4, &entry, err);

	*ret = (struct pl_stored_block){ .kind = PLATTER_HOLE };
	if (r < 0 || !get_le32(entry))
		return r;
	ret->kind = PLATTER_DATA;
	return pl_parallels_entry(p, index, get_le32(entry), &ret->at, err);
}

static int
set_block(struct pl_store *s, uint64_t index, const struct pl_stored_block *block, bool fresh,
	  struct platter_error *err)
{
	struct parallels *p = parallels_of_store(s);
	uint8_t entry[4];

	(void)fresh;
	put_le32(entry, block->kind == PLATTER_DATA ? (uint32_t)(block->at / p->unit) : 0);
	return pl_block_table_set(&p->bat, index * 4, 4, entry, err);
}

int
pl_parallels_set_state(struct parallels *p, uint32_t state, struct platter_error *err)
{
	uint8_t field[4];
	int r;

	put_le32(field, state);
	r = pl_write(p->file, field, sizeof field, STATE, err);
	return r == 0 ? pl_flush(p->file, err) : r;
}

/* The end of the last cluster, and where clusters begin modulo their size. */
static int
find_end(struct parallels *p, uint64_t *ret, struct platter_error *err)
{
	uint64_t at = 0, place, end = 0;
	const uint8_t *entry;

	for (;; at += 4) {
		int r = pl_block_table_skip(&p->bat, at, p->bat.bytes, &at, err);

		at = pl_round_down(at, 4);
		if (r < 0)
			return r;
		if (at >= p->bat.bytes)
			break;
		r = pl_block_table_get(&p->bat, at, 4, &entry, err);
		if (r == 0)
			r = pl_parallels_entry(p, at / 4, get_le32(entry), &place, err);
		if (r < 0)
			return r;
		p->anchor = place % p->cluster;
		end = PL_MAX(end, place + p->cluster);
	}
	*ret = end;
	return 0;
}

/* The first place for a cluster at or behind `at`. */
static uint64_t
cluster_behind(const struct parallels *p, uint64_t at)
{
	uint64_t below = at % p->cluster;

	return at - below + p->anchor + (below > p->anchor ? p->cluster : 0);
}

/* In use, and without dirty bitmaps, which will not know of what is written now. */
static int
begin_changes(struct pl_store *s, struct platter_error *err)
{
	struct parallels *p = parallels_of_store(s);
	uint64_t end = 0;
	uint8_t no_extension[8] = { 0 };
	int r;

	p->anchor = p->old ? p->data_offset % p->cluster : 0;
	r = find_end(p, &end, err);
	if (r == 0)
		r = pl_parallels_set_state(p, IN_USE, err);
	if (r == 0 && p->extension)
		r = pl_write(p->file, no_extension, sizeof no_extension, EXTENSION, err);
	p->extension = 0;
	s->frontier = PL_MAX(end, cluster_behind(p, p->data_offset));
	return r;
}

const struct pl_store_ops pl_parallels_store_ops = {
	.get = get_block,
	.set = set_block,
	.begin = begin_changes,
};

int
pl_parallels_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
		   struct platter_error *err)
{
	return pl_store_write(&parallels_of(disk)->store, buf, n, offset, err);
}

int
pl_parallels_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
		  struct platter_error *err)
{
	return pl_store_zero(&parallels_of(disk)->store, offset, length, flags, err);
}

int
pl_parallels_discard(struct pl_disk *disk, uint64_t offset, uint64_t length,
		     struct platter_error *err)
{
	return pl_parallels_zero(disk, offset, length, PL_ZERO_MAY_UNMAP, err);
}

int
pl_parallels_flush(struct pl_disk *disk, struct platter_error *err)
{
	return pl_store_flush(&parallels_of(disk)->store, err);
}

/* Sizes and the start of the data lie in one sector: they change at once. */
static int
switch_header(struct parallels *p, struct platter_error *err)
{
	uint64_t sectors = p->disk.size / SECTOR;
	uint8_t h[HEADER_SIZE];
	int r = pl_flush(p->file, err);

	if (r == 0)
		r = pl_read(p->file, h, sizeof h, 0, err);
	if (r < 0)
		return r;
	put_le32(h + CYLINDERS, (uint32_t)PL_MIN(sectors / (16 * 32), UINT32_MAX));
	put_le32(h + NR_ENTRIES, (uint32_t)((p->bat_end - HEADER_SIZE) / 4));
	if (p->old)
		put_le32(h + NR_SECTORS, (uint32_t)sectors);
	else
		put_le64(h + NR_SECTORS, sectors);
	if (get_le32(h + DATA_OFFSET))
		put_le32(h + DATA_OFFSET, (uint32_t)(p->data_offset / SECTOR));
	r = pl_write(p->file, h, sizeof h, 0, err);
	return r == 0 ? pl_flush(p->file, err) : r;
}

/* The table with `nr` entries, which the file has room for. */
static int
reload_bat(struct parallels *p, uint64_t nr, struct platter_error *err)
{
	int r = pl_store_reload(&p->store, &p->bat, HEADER_SIZE, nr * 4, err);

	if (r < 0)
		return r;
	p->bat_end = HEADER_SIZE + nr * 4;
	return 0;
}

/* Make the table hold `nr` entries: clusters that are in its way move to the end. */
static int
grow_bat(struct parallels *p, uint64_t nr, struct platter_error *err)
{
	uint64_t end = HEADER_SIZE + nr * 4, data = pl_round_up(end, SECTOR), at;
	uint64_t unit = p->old ? SECTOR : p->cluster;
	int r = pl_store_commit(&p->store, err);

	if (r < 0 || end <= p->bat_end)
		return r;
	data = PL_MAX(p->data_offset, pl_div_round_up(data, unit) * unit);
	at = cluster_behind(p, data);
	if (p->store.frontier < at)
		r = pl_store_extend(&p->store, at - p->store.frontier, &at, err);
	if (r == 0)
		r = pl_store_vacate(&p->store, p->bat_end, data, err);
	if (r == 0)
		r = pl_zero(p->file, p->bat_end, data - p->bat_end, PL_ZERO_MAY_UNMAP, err);
	if (r < 0)
		return r;
	p->data_offset = data;
	return reload_bat(p, nr, err);
}

static int
grow(struct parallels *p, uint64_t size, struct platter_error *err)
{
	uint64_t nr = pl_div_round_up(size, p->cluster), old = p->disk.size;
	int r;

	if (nr > UINT32_MAX || (p->old && size / SECTOR > UINT32_MAX))
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a disk of %" PRIu64
				     " bytes is more than this image can count",
				     size);
	r = grow_bat(p, nr, err);
	if (r < 0)
		return r;
	p->disk.size = size;
	r = pl_store_clear_from(&p->store, old, err);
	if (r == 0)
		r = pl_store_commit(&p->store, err);
	if (r == 0)
		return switch_header(p, err);
	p->disk.size = old;
	return r;
}

int
pl_parallels_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	struct parallels *p = parallels_of(disk);
	int r;

	if (size % SECTOR)
		return pl_invalid(err, "a disk of %" PRIu64 " bytes is not whole sectors of 512",
				  size);
	r = pl_store_begin(&p->store, err);
	if (r < 0 || size == disk->size)
		return r;
	if (size > disk->size)
		return grow(p, size, err);
	r = pl_store_cut(&p->store, size, err);
	if (r < 0)
		return r;
	disk->size = size;
	r = reload_bat(p, pl_div_round_up(size, p->cluster), err);
	return r == 0 ? switch_header(p, err) : r;
}

int
pl_parallels_compact(struct pl_disk *disk, struct platter_error *err)
{
	struct parallels *p = parallels_of(disk);
	int r = pl_store_begin(&p->store, err);
	struct pl_range kept = { 0, cluster_behind(p, p->data_offset) };

	return r == 0 ? pl_store_compact(&p->store, &kept, 1, err) : r;
}
