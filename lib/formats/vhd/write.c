/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * write.c - random writes into VHD images
 *
 * New blocks go where the footer stood, and the footer behind them; its copy at the start of
 * the file stands for it in between.  A fixed disk is written as it lies in the file.
 */
#include "vhd-image.h"

#define HEADER_SECTOR 512u

static struct vhd *
vhd_of_store(struct pl_store *s)
{
	return pl_container_of(s, struct vhd, store);
}

/* Are all sectors of the block its own? */
static int
is_whole(struct vhd *v, uint64_t place, bool *ret, struct platter_error *err)
{
	uint32_t nr = v->block_size / 512;
	PL_AUTOFREE uint8_t *bits = NULL;
	int r = pl_read_alloc(v->tables, v->bitmap_size, place, &bits, err);

	if (r < 0)
		return r;
	*ret = pl_bit_run(bits, 0, nr, PL_MSB_FIRST, ret) == nr && *ret;
	return 0;
}

static int
get_block(struct pl_store *s, uint64_t index, struct pl_stored_block *ret,
	  struct platter_error *err)
{
	struct vhd *v = vhd_of_store(s);
	uint64_t place, end;
	const uint8_t *entry;
	bool whole = false;
	int r = pl_block_table_get(&v->table, index * 4, 4, &entry, err);

	if (r < 0)
		return r;
	*ret = (struct pl_stored_block){ .kind = PLATTER_HOLE };
	if (get_be32(entry) == VHD_NO_BLOCK)
		return 0;
	place = (uint64_t)get_be32(entry) * 512;
	end = place + v->bitmap_size + v->block_size;
	if (end > s->frontier ||
	    (place < v->header_at + VHD_HEADER_SIZE && place + v->bitmap_size > v->header_at) ||
	    (place < v->table_offset + v->nr_blocks * 4 && end > v->table_offset))
		return pl_corrupt(err, v->table_offset + index * 4,
				  "block %" PRIu64 " at byte %" PRIu64
				  " lies over the table or passes the end of the data",
				  index, place);
	r = is_whole(v, place, &whole, err);
	*ret = (struct pl_stored_block){ .kind = PLATTER_DATA,
					 .at = place + v->bitmap_size,
					 .partial = !whole };
	return r;
}

static int
set_block(struct pl_store *s, uint64_t index, const struct pl_stored_block *block, bool fresh,
	  struct platter_error *err)
{
	struct vhd *v = vhd_of_store(s);
	uint64_t place = block->at - v->bitmap_size;
	PL_AUTOFREE uint8_t *bits = NULL;
	uint8_t entry[4];
	int r = 0;

	if (fresh) {
		bits = calloc(1, v->bitmap_size);
		if (!bits)
			return pl_no_memory(err);
		if (!block->partial)
			memset(bits, 0xff, pl_div_round_up(v->block_size / 512, 8));
		r = pl_write(v->tables, bits, v->bitmap_size, place, err);
	}
	put_be32(entry, block->kind == PLATTER_DATA ? (uint32_t)(place / 512) : VHD_NO_BLOCK);
	return r == 0 ? pl_block_table_set(&v->table, index * 4, 4, entry, err) : r;
}

static int
own_sectors(struct pl_store *s, uint64_t index, uint32_t first, uint32_t nr,
	    struct platter_error *err)
{
	struct vhd *v = vhd_of_store(s);
	uint32_t start = first / 8, n = (first + nr - 1) / 8 - start + 1;
	PL_AUTOFREE uint8_t *bits = NULL;
	const uint8_t *entry;
	uint64_t at;
	int r = pl_block_table_get(&v->table, index * 4, 4, &entry, err);

	if (r < 0)
		return r;
	at = (uint64_t)get_be32(entry) * 512 + start;
	r = pl_read_alloc(v->tables, n, at, &bits, err);
	if (r < 0)
		return r;
	for (uint32_t i = first; i < first + nr; i++)
		bits[i / 8 - start] |= (uint8_t)(0x80 >> i % 8);
	return pl_write(v->tables, bits, n, at, err);
}

static int
read_raw_footer(struct vhd *v, struct platter_error *err)
{
	/* One of 511 bytes lacks a last zero. */
	return pl_read_padded(v->file, v->raw_footer, VHD_FOOTER_SIZE, v->footer_at, NULL, err);
}

static int
begin_changes(struct pl_store *s, struct platter_error *err)
{
	struct vhd *v = vhd_of_store(s);
	uint64_t end = PL_MAX(v->header_at + VHD_HEADER_SIZE, v->table_offset + v->nr_blocks * 4);

	s->frontier = pl_round_up(PL_MAX(v->data_end, end), 512);
	return read_raw_footer(v, err);
}

static int
put_tail(struct pl_store *s, struct platter_error *err)
{
	struct vhd *v = vhd_of_store(s);

	v->data_end = s->frontier;
	return pl_write(v->file, v->raw_footer, VHD_FOOTER_SIZE, v->data_end, err);
}

const struct pl_store_ops pl_vhd_store_ops = {
	.get = get_block,
	.set = set_block,
	.own = own_sectors,
	.begin = begin_changes,
	.extended = put_tail,
};

int
pl_vhd_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	     struct platter_error *err)
{
	struct vhd *v = vhd_of(disk);

	return v->footer.type == VHD_FIXED ? pl_write(v->file, buf, n, offset, err)
					   : pl_store_write(&v->store, buf, n, offset, err);
}

int
pl_vhd_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	    struct platter_error *err)
{
	struct vhd *v = vhd_of(disk);

	return v->footer.type == VHD_FIXED ? pl_zero(v->file, offset, length, flags, err)
					   : pl_store_zero(&v->store, offset, length, flags, err);
}

int
pl_vhd_discard(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	return pl_vhd_zero(disk, offset, length, PL_ZERO_MAY_UNMAP, err);
}

int
pl_vhd_flush(struct pl_disk *disk, struct platter_error *err)
{
	struct vhd *v = vhd_of(disk);

	return v->footer.type == VHD_FIXED ? pl_flush(v->file, err)
					   : pl_store_flush(&v->store, err);
}

/*
 * The footer for a disk of so many bytes.  The creator becomes one whose current size is
 * taken as it is: that of the geometry is smaller.
 */
static void
set_size(struct vhd *v, uint64_t size)
{
	struct vhd_footer f;
	uint8_t *b = v->raw_footer;

	pl_vhd_geometry(size, &f);
	memcpy(b + VHD_CREATOR, "win ", 4);
	put_be64(b + VHD_CURRENT_SIZE, size);
	put_be16(b + VHD_GEOMETRY, f.cylinders);
	b[VHD_GEOMETRY + 2] = f.heads;
	b[VHD_GEOMETRY + 3] = f.sectors;
	put_be32(b + VHD_CHECKSUM, pl_vhd_checksum(b, VHD_FOOTER_SIZE, VHD_CHECKSUM));
	v->footer.current_size = size;
	v->footer.cylinders = f.cylinders;
	v->footer.heads = f.heads;
	v->footer.sectors = f.sectors;
	memcpy(v->footer.creator, "win ", 5);
	v->disk.size = size;
}

/* Both footers, the one that is believed last. */
static int
write_footers(struct vhd *v, struct platter_error *err)
{
	int r = pl_flush(v->file, err);

	if (r == 0)
		r = pl_write(v->file, v->raw_footer, VHD_FOOTER_SIZE, 0, err);
	if (r == 0)
		r = pl_flush(v->file, err);
	if (r == 0)
		r = pl_write(v->file, v->raw_footer, VHD_FOOTER_SIZE, v->data_end, err);
	return r == 0 ? pl_flush(v->file, err) : r;
}

/* The dynamic header's fields lie in its first sector: the switch is whole or did not happen. */
static int
switch_table(struct vhd *v, uint64_t offset, uint32_t nr, struct platter_error *err)
{
	uint8_t b[VHD_HEADER_SIZE];
	int r = pl_flush(v->file, err);

	if (r == 0)
		r = pl_read(v->file, b, sizeof b, v->header_at, err);
	if (r < 0)
		return r;
	put_be64(b + VHD_TABLE_OFFSET, offset);
	put_be32(b + VHD_MAX_ENTRIES, nr);
	put_be32(b + VHD_HEADER_CHECKSUM, pl_vhd_checksum(b, sizeof b, VHD_HEADER_CHECKSUM));
	r = pl_write(v->file, b, HEADER_SECTOR, v->header_at, err);
	if (r == 0)
		r = pl_flush(v->file, err);
	if (r < 0)
		return r;
	v->table_offset = offset;
	v->max_entries = nr;
	return 0;
}

static int
reload_table(struct vhd *v, struct platter_error *err)
{
	return pl_store_reload(&v->store, &v->table, v->table_offset, v->nr_blocks * 4, err);
}

/* A longer table behind the blocks, with what the old one says. */
static int
move_table(struct vhd *v, uint32_t nr, struct platter_error *err)
{
	uint64_t at, room = pl_round_up((uint64_t)nr * 4, 512);
	int r = pl_store_commit(&v->store, err);

	if (r == 0)
		r = pl_store_extend(&v->store, room, &at, err);
	if (r == 0)
		r = pl_block_table_blank(v->file, at, room, err);
	for (uint64_t i = 0; i < v->nr_blocks && r == 0; i++) {
		const uint8_t *entry;

		r = pl_block_table_get(&v->table, i * 4, 4, &entry, err);
		if (r == 0 && get_be32(entry) != VHD_NO_BLOCK)
			r = pl_write(v->file, entry, 4, at + i * 4, err);
	}
	return r == 0 ? switch_table(v, at, nr, err) : r;
}

/*
 * Can the table hold `nr` entries where it is?  That the header counts them says nothing of what
 * stands there: they must be blank.
 */
static int
has_room(struct vhd *v, uint64_t nr, bool *ret, struct platter_error *err)
{
	uint64_t at = v->table_offset + v->nr_blocks * 4, end = v->table_offset + nr * 4;
	uint8_t piece[4096];
	int r = 0;

	*ret = nr <= v->max_entries && end <= v->file->size;
	for (; *ret && at < end && r == 0; at += sizeof piece) {
		size_t n = (size_t)PL_MIN(sizeof piece, end - at);

		r = pl_read(v->file, piece, n, at, err);
		for (size_t i = 0; i < n && r == 0; i++)
			*ret &= piece[i] == 0xff;
	}
	return r;
}

static int
grow(struct vhd *v, uint64_t size, struct platter_error *err)
{
	uint64_t nr = pl_div_round_up(size, v->block_size), old = v->disk.size;
	bool room;
	int r = has_room(v, nr, &room, err);

	if (r == 0 && nr > v->nr_blocks && !room)
		r = move_table(v, (uint32_t)nr, err);
	if (r < 0)
		return r;
	v->nr_blocks = nr;
	r = reload_table(v, err);
	if (r < 0)
		return r;
	v->disk.size = size;
	r = pl_store_clear_from(&v->store, old, err);
	if (r == 0)
		r = pl_store_commit(&v->store, err);
	if (r < 0) {
		v->disk.size = old;
		return r;
	}
	set_size(v, size);
	return write_footers(v, err);
}

static int
shrink(struct vhd *v, uint64_t size, struct platter_error *err)
{
	int r = pl_store_cut(&v->store, size, err);

	if (r < 0)
		return r;
	set_size(v, size);
	v->nr_blocks = pl_div_round_up(size, v->block_size);
	r = write_footers(v, err);
	return r == 0 ? reload_table(v, err) : r;
}

/* A fixed disk has one footer, which moves with the end. */
static int
resize_fixed(struct vhd *v, uint64_t size, struct platter_error *err)
{
	uint64_t old = v->disk.size, old_end = v->data_end;
	int r = read_raw_footer(v, err);

	if (r < 0)
		return r;
	set_size(v, size);
	v->data_end = v->footer_at = size;
	r = pl_write(v->file, v->raw_footer, VHD_FOOTER_SIZE, size, err);
	if (r == 0)
		r = pl_flush(v->file, err);
	if (r == 0 && size < old)
		r = pl_resize(v->file, size + VHD_FOOTER_SIZE, err);
	else if (r == 0)
		r = pl_zero(v->file, old, PL_MIN(old_end + VHD_FOOTER_SIZE, size) - old,
			    PL_ZERO_MAY_UNMAP, err);
	return r == 0 ? pl_flush(v->file, err) : r;
}

int
pl_vhd_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	struct vhd *v = vhd_of(disk);
	bool fixed = v->footer.type == VHD_FIXED;
	int r;

	if (size % 512 || !size)
		return pl_invalid(err, "a disk of %" PRIu64 " bytes is not whole sectors of 512",
				  size);
	if (size > VHD_MAX_SIZE)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a disk of %" PRIu64 " bytes, limit of VHD is %" PRIu64, size,
				     (uint64_t)VHD_MAX_SIZE);
	if (!v->file->growable)
		return pl_fail(err, -ENOTSUP, "the size of '%s' cannot be changed", disk->name);
	r = fixed ? 0 : pl_store_begin(&v->store, err);
	if (r < 0 || size == disk->size)
		return r;
	if (fixed)
		return resize_fixed(v, size, err);
	return size > disk->size ? grow(v, size, err) : shrink(v, size, err);
}

/* The data of the parent locators, which takes whole sectors. */
static int
keep_locators(struct vhd *v, struct pl_range *kept, size_t *nr, struct platter_error *err)
{
	uint8_t b[VHD_HEADER_SIZE];
	int r = pl_read(v->file, b, sizeof b, v->header_at, err);

	for (size_t i = 0; i < VHD_NR_LOCATORS && r == 0; i++) {
		const uint8_t *l = b + VHD_LOCATORS + i * VHD_LOCATOR_SIZE;
		uint64_t at = get_be64(l + 16), n = get_be32(l + 8);

		if (get_be32(l) && n && pl_in_range(at, n, v->data_end))
			kept[(*nr)++] = (struct pl_range){ at, pl_round_up(at + n, 512) };
	}
	return r;
}

int
pl_vhd_compact(struct pl_disk *disk, struct platter_error *err)
{
	struct vhd *v = vhd_of(disk);
	struct pl_range kept[3 + VHD_NR_LOCATORS] = {
		{ 0, VHD_FOOTER_SIZE },
		{ v->header_at, v->header_at + VHD_HEADER_SIZE },
		{ v->table_offset, pl_round_up(v->table_offset + v->max_entries * 4ull, 512) },
	};
	size_t nr = 3;
	int r;

	if (v->footer.type == VHD_FIXED)
		return 0;
	r = v->footer.type == VHD_DIFFERENCING ? keep_locators(v, kept, &nr, err) : 0;
	return r == 0 ? pl_store_compact(&v->store, kept, nr, err) : r;
}

/* Where the last block ends, as far as the table can be read. */
static uint64_t
end_of_blocks(struct vhd *v)
{
	uint64_t at = 0, end = 0, bytes = (uint64_t)v->bitmap_size + v->block_size;
	const uint8_t *entry;

	for (;; at += 4) {
		if (pl_block_table_skip(&v->table, at, v->table.bytes, &at, NULL) < 0)
			return UINT64_MAX;
		at = pl_round_down(at, 4);
		if (at >= v->table.bytes)
			return end;
		if (pl_block_table_get(&v->table, at, 4, &entry, NULL) < 0)
			return UINT64_MAX;
		end = PL_MAX(end, (uint64_t)get_be32(entry) * 512 + bytes);
	}
}

int
pl_vhd_rewrite_ends(struct vhd *v, struct platter_error *err)
{
	uint8_t b[VHD_HEADER_SIZE];
	int r = read_raw_footer(v, err);

	if (r < 0)
		return r;
	put_be32(v->raw_footer + VHD_CHECKSUM,
		 pl_vhd_checksum(v->raw_footer, VHD_FOOTER_SIZE, VHD_CHECKSUM));
	if (v->footer.type == VHD_FIXED) {
		r = pl_write(v->file, v->raw_footer, VHD_FOOTER_SIZE, v->data_end, err);
		return r == 0 ? pl_flush(v->file, err) : r;
	}
	/* What stands where the footer should may be what is left of it, or data. */
	if (v->damage & VHD_TAIL_MISSING && v->data_end % 512 == 0 &&
	    end_of_blocks(v) <= v->data_end - VHD_FOOTER_SIZE)
		v->data_end -= VHD_FOOTER_SIZE;
	v->data_end = pl_round_up(v->data_end, 512);
	r = write_footers(v, err);
	if (r == 0 && v->damage & VHD_HEADER_SUM)
		r = pl_read(v->file, b, sizeof b, v->header_at, err);
	if (r < 0 || !(v->damage & VHD_HEADER_SUM))
		return r;
	put_be32(b + VHD_HEADER_CHECKSUM, pl_vhd_checksum(b, sizeof b, VHD_HEADER_CHECKSUM));
	r = pl_write(v->file, b, HEADER_SECTOR, v->header_at, err);
	return r == 0 ? pl_flush(v->file, err) : r;
}
