/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * erofs/contents.c - the contents of files that are not compressed: one extent, whose last
 * block may stand behind the inode, or chunks that are anywhere
 */
#include "erofs.h"

enum {
	CHUNK_BITS_MASK = 0x1f, /* blocks in a chunk, by their logarithm */
	CHUNK_INDEXES = 0x20,   /* 8 bytes: upper part, device, block; else 4: the block */
	CHUNK_48_BITS = 0x40,
	CHUNK_KNOWN = 0x7f,
};

/* Of a list, read at once. */
#define CHUNKS_AT_ONCE 512

int
erofs_check_blocks(const struct erofs *fs, uint64_t start, uint64_t nr, struct platter_error *err)
{
	if (pl_in_range(start, nr, fs->blocks))
		return 0;
	if (fs->extra_devices)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "block %" PRIu64 " is on one of %u other devices", start,
				      fs->extra_devices);
	return pl_corrupt(err, PLATTER_NO_OFFSET, "blocks %" PRIu64 " to %" PRIu64 " of %" PRIu64,
			  start, start + nr, fs->blocks);
}

int
erofs_add_data(const struct erofs_inode *i, struct pl_runs *runs, uint64_t offset, uint64_t n,
	       uint64_t stored, struct platter_error *err)
{
	const struct pl_run run = {
		.offset = offset,
		.length = n,
		.stored = stored,
		.below = i->area->disk,
		.kind = PLATTER_DATA,
	};

	return pl_runs_add(runs, &run, err);
}

static int
add_flat(struct erofs *fs, const struct erofs_inode *i, struct pl_runs *runs,
	 struct platter_error *err)
{
	uint32_t block_size = fs->volume.block_size;
	uint64_t nr = pl_div_round_up(i->size, block_size), tail;
	int r = 0;

	if (!i->size || (i->layout == LAYOUT_PLAIN && i->start == UINT64_MAX))
		return 0;
	if (i->layout == LAYOUT_INLINE)
		nr--;
	if (nr)
		r = erofs_check_blocks(fs, i->start, nr, err);
	if (r == 0 && nr)
		r = pl_runs_add_data(runs, 0, PL_MIN(nr << fs->block_bits, i->size),
				     i->start << fs->block_bits, err);
	if (r < 0 || i->layout != LAYOUT_INLINE)
		return r;
	tail = i->size - (nr << fs->block_bits);
	if (i->end % block_size + tail > block_size)
		return pl_corrupt(err, i->end, "%" PRIu64 " bytes of a file pass a block's end",
				  tail);
	return erofs_add_data(i, runs, nr << fs->block_bits, tail, i->end, err);
}

/* Chunk `index` of a file, by its entry in the list. */
static int
add_chunk(struct erofs *fs, const struct erofs_inode *i, uint64_t index, unsigned bits,
	  const uint8_t *entry, struct pl_runs *runs, struct platter_error *err)
{
	bool indexes = i->chunk_format & CHUNK_INDEXES, wide = i->chunk_format & CHUNK_48_BITS;
	uint64_t offset = index << bits, length = PL_MIN(1ull << bits, i->size - offset);
	uint64_t block = get_le32(indexes ? entry + 4 : entry), none = UINT32_MAX;
	unsigned device = indexes ? get_le16(entry + 2) & fs->device_mask : 0;
	int r;

	if (indexes && wide) {
		block |= (uint64_t)get_le16(entry) << 32;
		none = 0xffffffffffff;
	}
	if (block == none)
		return 0;
	if (device)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "byte %" PRIu64 " of the file is on device %u of %u", offset,
				      device, fs->extra_devices);
	r = erofs_check_blocks(fs, block, pl_div_round_up(length, fs->volume.block_size), err);
	if (r < 0)
		return r;
	return pl_runs_add_data(runs, offset, length, block << fs->block_bits, err);
}

static int
add_chunks(struct erofs *fs, const struct erofs_inode *i, struct pl_runs *runs,
	   struct platter_error *err)
{
	unsigned bits = fs->block_bits + (i->chunk_format & CHUNK_BITS_MASK);
	unsigned each = i->chunk_format & CHUNK_INDEXES ? 8 : 4;
	uint64_t nr = (i->size >> bits) + !!(i->size & ((1ull << bits) - 1));
	uint64_t at = pl_round_up(i->end, each);
	uint8_t entries[CHUNKS_AT_ONCE * 8];
	int r = 0;

	if (i->chunk_format & ~CHUNK_KNOWN)
		return pl_unsupported(err, i->xattrs, "chunks of format 0x%x", i->chunk_format);
	if (nr > EROFS_MAX_PIECES)
		return pl_over_limit(err, i->xattrs, "file in %" PRIu64 " chunks", nr);
	for (uint64_t k = 0; k < nr && r == 0; k += CHUNKS_AT_ONCE) {
		unsigned some = (unsigned)PL_MIN(nr - k, CHUNKS_AT_ONCE);

		r = pl_meta_read(i->area->meta, entries, some * each, at + k * each, err);
		for (unsigned j = 0; j < some && r == 0; j++)
			r = add_chunk(fs, i, k + j, bits, entries + j * each, runs, err);
	}
	return r;
}

int
erofs_open_contents(struct erofs *fs, const struct erofs_inode *i, const char *name,
		    struct pl_disk **ret, struct platter_error *err)
{
	struct pl_runs runs = { 0 };
	int r;

	if (i->layout == LAYOUT_CHUNKS)
		r = add_chunks(fs, i, &runs, err);
	else if (i->layout == LAYOUT_COMPRESSED || i->layout == LAYOUT_COMPACT)
		r = erofs_add_compressed(fs, i, &runs, err);
	else
		r = add_flat(fs, i, &runs, err);
	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	return pl_file_new(fs->volume.disk, &runs, i->size, name, ret, err);
}

int
erofs_open_inner(struct erofs *fs, uint64_t nid, const char *name, struct pl_disk **ret,
		 struct platter_error *err)
{
	struct erofs_inode i;
	int r = erofs_inode_read(fs, nid, &i, err);

	return r < 0 ? r : erofs_open_contents(fs, &i, name, ret, err);
}
