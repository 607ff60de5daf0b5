/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * udf/space.c - which blocks of UDF are in use (ECMA-167 4/10.1, 14.11, 14.12)
 *
 * A partition that can be written to has a bitmap of what is free, with ones, or a table of
 * free extents.  Everything else is in use, blocks of the metadata file that hold nothing
 * too, and so is all of it where the volume was not closed.
 */
#include "udf.h"

enum {
	BITMAP_NR_BITS = 16,
	BITMAP_NR_BYTES = 20,
	BITMAP_BITS = 24
};
enum {
	SPACE_FLAGS = 34,
	SPACE_LENGTH = 36,
	SPACE_EXTENTS = 40
};

#define PIECE KIB(64)

/* What a checksum can be over: 65535 bytes behind the tag. */
#define CHECKED (KIB(64) + 16)

static int
read_checked(const struct udf *fs, uint64_t at, size_t n, unsigned tag, uint32_t block,
	     uint8_t *buf, struct platter_error *err)
{
	int r = pl_meta_read(fs->volume.meta, buf, n, at, err);

	return r < 0 ? r : pl_udf_check_tag(fs, buf, n, tag, block, at, err);
}

static int
add_bitmap(const struct udf *fs, const struct udf_map *m, struct udf_extent extent,
	   struct pl_ranges *unused, uint8_t *buf, struct platter_error *err)
{
	uint64_t at = m->start + (uint64_t)extent.sector * fs->block_size, nr;
	uint32_t length = extent.length & 0x3fffffff;
	int r;

	if (length < BITMAP_BITS)
		return pl_corrupt(err, at, "space bitmap of %" PRIu32 " bytes", length);
	r = read_checked(fs, at, (size_t)PL_MIN(length, CHECKED), TAG_SPACE_BITMAP, extent.sector,
			 buf, err);
	if (r < 0)
		return r;
	nr = get_le32(buf + BITMAP_NR_BITS);
	nr = PL_MIN(PL_MIN(nr, UINT64_C(8) * get_le32(buf + BITMAP_NR_BYTES)),
		    PL_MIN(UINT64_C(8) * (length - BITMAP_BITS), (uint64_t)m->nr_blocks));
	at += BITMAP_BITS;
	for (uint64_t bit = 0; bit < nr && r == 0; bit += 8 * PIECE) {
		uint64_t bits = PL_MIN(nr - bit, 8 * PIECE);

		r = pl_meta_read(fs->volume.meta, buf, (size_t)pl_div_round_up(bits, 8),
				 at + bit / 8, err);
		if (r == 0)
			r = pl_ranges_add_bits(unused, buf, bits, PL_LSB_FIRST, true,
					       m->start + bit * fs->block_size, fs->block_size,
					       err);
	}
	return r;
}

static int
add_table(const struct udf *fs, const struct udf_map *m, struct udf_extent extent,
	  struct pl_ranges *unused, uint8_t *buf, struct platter_error *err)
{
	uint64_t at = m->start + (uint64_t)extent.sector * fs->block_size;
	uint32_t n;
	int r = read_checked(fs, at, fs->block_size, TAG_UNALLOCATED_SPACE, extent.sector, buf,
			     err);

	if (r < 0)
		return r;
	n = get_le32(buf + SPACE_LENGTH);
	if (get_le16(buf + SPACE_FLAGS) & 7 || n > fs->block_size - SPACE_EXTENTS)
		return pl_unsupported(err, at, "table of free space in another form");
	for (uint32_t i = 0; i + 8 <= n && r == 0; i += 8) {
		const uint8_t *e = buf + SPACE_EXTENTS + i;
		uint32_t length = get_le32(e) & 0x3fffffff, block = get_le32(e + 4);

		/* More extents elsewhere stay in use. */
		if (!length || get_le32(e) >> 30 == 3)
			break;
		if (block < m->nr_blocks && length / fs->block_size <= m->nr_blocks - block)
			r = pl_ranges_add(unused, m->start + (uint64_t)block * fs->block_size,
					  pl_round_down(length, fs->block_size), err);
	}
	return r;
}

static int
find_unused(const struct udf *fs, struct pl_ranges *unused, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = malloc(CHECKED);
	int r = 0;

	if (!buf)
		return pl_no_memory(err);
	for (unsigned i = 0; i < fs->nr_maps && r == 0; i++) {
		const struct udf_map *m = &fs->map[i];
		const struct udf_partition *p = NULL;

		/* What a spared packet would be is not worth knowing. */
		if ((m->kind != MAP_PHYSICAL && m->kind != MAP_SPARABLE) || m->nr_spares)
			continue;
		for (unsigned k = 0; k < fs->seq.nr_partitions; k++)
			if (fs->seq.partition[k].number == m->partition)
				p = &fs->seq.partition[k];
		if (p && p->space_bitmap.length)
			r = add_bitmap(fs, m, p->space_bitmap, unused, buf, err);
		else if (p && p->space_table.length)
			r = add_table(fs, m, p->space_table, unused, buf, err);
	}
	return r;
}

int
pl_udf_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	const struct udf *fs = udf_of(v);
	struct pl_ranges unused = { 0 };
	int r;

	for (unsigned i = 0; i < fs->nr_maps; i++)
		if (fs->map[i].kind == MAP_VIRTUAL)
			return pl_unsupported(err, PLATTER_NO_OFFSET,
					      "a disc written once has no map of free space");
	if (v->state == PLATTER_STATE_DIRTY)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "it was not closed, so its map of free space may be behind");
	r = find_unused(fs, &unused, err);
	if (r == 0) {
		pl_ranges_finish(&unused, v->size);
		r = pl_ranges_invert(&unused, v->size, used, err);
	}
	pl_ranges_done(&unused);
	return r;
}
