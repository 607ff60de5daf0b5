/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * apfs/spaceman.c - which blocks of a container are in use
 *
 * The space manager divides the container into chunks, with a block of bits for each; blocks
 * of chunk information (CIB) say where those are, and where there are many of them, blocks of
 * addresses of CIBs (CAB).  Snapshots and what a crash left behind are in use by these bits.
 *
 *	offset  size  space manager, behind the header (spaceman_phys_t)
 *	    32   4x4  block size, blocks in a chunk, chunks in a CIB, CIBs in a CAB
 *	    48  2x48  main device, and the second of a Fusion drive:
 *	               0  8  blocks           20  4  CABs
 *	               8  8  chunks           24  8  free blocks
 *	              16  4  CIBs             32  4  where the addresses begin, in this object
 *	   152     8  blocks of the pool that CIBs and bits are taken from
 *	   164     4  blocks of that pool's own bits
 *	   168     8  where those are
 *	   176     8  where the pool is
 *
 *	offset  size  CIB: an entry, from byte 40 (chunk_info_t)
 *	     8     8  first block
 *	    16     4  blocks, in the lower 20 bits
 *	    20     4  free ones, likewise
 *	    24     8  block of its bits, 1 used, from bit 0; 0: all are free
 */
#include "apfs.h"

enum {
	SM_CHUNK_BLOCKS = 36,
	SM_DEVICE = 48,
	SM_DEVICE_BLOCKS = 0,
	SM_DEVICE_CIBS = 16,
	SM_DEVICE_CABS = 20,
	SM_DEVICE_FREE = 24,
	SM_DEVICE_ADDRESSES = 32,
	SM_POOL_BLOCKS = 152,
	SM_POOL_BITS_BLOCKS = 164,
	SM_POOL_BITS = 168,
	SM_POOL = 176,
	SM_SIZE = 320
};
enum {
	LIST_COUNT = 36,
	LIST_FIRST = 40
};
enum {
	CHUNK_FIRST = 8,
	CHUNK_BLOCKS = 16,
	CHUNK_FREE = 20,
	CHUNK_BITS = 24,
	CHUNK_SIZE = 32
};
#define CHUNK_COUNT_MASK 0xfffffu

struct walk {
	struct apfs *fs;
	struct pl_ranges *used;
	uint8_t *block; /* room for one, for bits */
	uint64_t next;  /* block that the next chunk begins with, if none is left out */
	uint64_t nr_free;
};

static int
read_spaceman(struct apfs *fs, uint8_t **ret, size_t *ret_size, struct platter_error *err)
{
	/* Objects are whole blocks, so the fixed part is there. */
	return pl_apfs_ephemeral_read(fs, get_le64(fs->checkpoint.super + NX_SPACEMAN),
				      TYPE_SPACEMAN, ret, ret_size, err);
}

uint64_t
pl_apfs_free(struct apfs *fs)
{
	PL_AUTOFREE uint8_t *sm = NULL;
	size_t size;
	uint64_t bytes;

	if (read_spaceman(fs, &sm, &size, NULL) < 0 ||
	    __builtin_mul_overflow(get_le64(sm + SM_DEVICE + SM_DEVICE_FREE),
				   (uint64_t)fs->block_size, &bytes) ||
	    bytes > fs->volume.size)
		return UINT64_MAX;
	return bytes;
}

/* Blocks that are in use; what lies past the container's end is left to pl_ranges_finish(). */
static int
add_blocks(struct walk *w, uint64_t first, uint64_t nr, struct platter_error *err)
{
	uint64_t start, length;

	if (__builtin_mul_overflow(first, (uint64_t)w->fs->block_size, &start))
		return 0;
	if (__builtin_mul_overflow(nr, (uint64_t)w->fs->block_size, &length))
		length = UINT64_MAX;
	return pl_ranges_add(w->used, start, length, err);
}

static int
add_chunk(struct walk *w, const uint8_t *chunk, uint64_t at, struct platter_error *err)
{
	struct apfs *fs = w->fs;
	uint64_t first = get_le64(chunk + CHUNK_FIRST), bits = get_le64(chunk + CHUNK_BITS);
	uint32_t nr = get_le32(chunk + CHUNK_BLOCKS) & CHUNK_COUNT_MASK;
	uint32_t nr_free = get_le32(chunk + CHUNK_FREE) & CHUNK_COUNT_MASK;
	uint64_t bits_at;
	int r = 0;

	/* In order, so that none counts twice; what is left out between them is in use. */
	if (first < w->next || !pl_in_range(first, nr, fs->nr_blocks) || nr > fs->block_size * 8)
		return pl_corrupt(err, at,
				  "chunk of %" PRIu32 " blocks at block %" PRIu64
				  " of a container of %" PRIu64,
				  nr, first, fs->nr_blocks);
	r = add_blocks(w, w->next, first - w->next, err);
	w->next = first + nr;
	w->nr_free += PL_MIN(nr_free, nr);
	if (r < 0)
		return r;
	if (!bits)
		return nr_free == nr ? 0 : add_blocks(w, first, nr, err);
	r = pl_apfs_locate(fs, bits, 1, "bitmap of a chunk", &bits_at, err);
	if (r == 0)
		r = pl_meta_read(fs->volume.meta, w->block, fs->block_size, bits_at, err);
	if (r == 0)
		r = pl_ranges_add_bits(w->used, w->block, nr, PL_LSB_FIRST, true,
				       first * fs->block_size, fs->block_size, err);
	return r;
}

static int
add_cib(struct walk *w, uint64_t block, struct platter_error *err)
{
	struct apfs *fs = w->fs;
	PL_AUTOFREE uint8_t *cib = malloc(fs->block_size);
	uint32_t nr;
	int r;

	if (!cib)
		return pl_no_memory(err);
	r = pl_apfs_read_object(fs, block, fs->block_size, TYPE_CIB, "chunk information", cib, err);
	if (r < 0)
		return r;
	nr = get_le32(cib + LIST_COUNT);
	if (nr > (fs->block_size - LIST_FIRST) / CHUNK_SIZE)
		return pl_corrupt(err, block * fs->block_size + LIST_COUNT,
				  "chunk information of %" PRIu32 " chunks in %" PRIu32 " bytes",
				  nr, fs->block_size);
	for (uint32_t i = 0; i < nr && r == 0; i++)
		r = add_chunk(w, cib + LIST_FIRST + (size_t)i * CHUNK_SIZE,
			      block * fs->block_size + LIST_FIRST + (uint64_t)i * CHUNK_SIZE, err);
	return r;
}

static int
add_cab(struct walk *w, uint64_t block, struct platter_error *err)
{
	struct apfs *fs = w->fs;
	PL_AUTOFREE uint8_t *cab = malloc(fs->block_size);
	uint32_t nr;
	int r;

	if (!cab)
		return pl_no_memory(err);
	r = pl_apfs_read_object(fs, block, fs->block_size, TYPE_CAB, "list of chunk information",
				cab, err);
	if (r < 0)
		return r;
	nr = get_le32(cab + LIST_COUNT);
	if (nr > (fs->block_size - LIST_FIRST) / 8)
		return pl_corrupt(err, block * fs->block_size + LIST_COUNT,
				  "list of %" PRIu32 " blocks of chunk information in %" PRIu32
				  " bytes",
				  nr, fs->block_size);
	for (uint32_t i = 0; i < nr && r == 0; i++)
		r = add_cib(w, get_le64(cab + LIST_FIRST + (size_t)i * 8), err);
	return r;
}

static int
add_device(struct walk *w, const uint8_t *sm, size_t size, struct platter_error *err)
{
	const uint8_t *device = sm + SM_DEVICE;
	uint32_t cabs = get_le32(device + SM_DEVICE_CABS);
	uint32_t nr = cabs ? cabs : get_le32(device + SM_DEVICE_CIBS);
	uint32_t addresses = get_le32(device + SM_DEVICE_ADDRESSES);
	int r = 0;

	if (!pl_in_range(addresses, (uint64_t)nr * 8, size))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "space manager of %zu bytes with %" PRIu32
				  " addresses at byte %" PRIu32,
				  size, nr, addresses);
	for (uint32_t i = 0; i < nr && r == 0; i++) {
		uint64_t block = get_le64(sm + addresses + (size_t)i * 8);

		r = cabs ? add_cab(w, block, err) : add_cib(w, block, err);
	}
	if (r == 0 && w->next < w->fs->nr_blocks)
		r = add_blocks(w, w->next, UINT64_MAX, err);
	return r;
}

/* Kept whole although its bits may call parts free: they are, to the next transaction alone. */
static int
add_own(struct walk *w, const uint8_t *sm, struct platter_error *err)
{
	const uint8_t *super = w->fs->checkpoint.super;
	int r = add_blocks(w, 0, 1, err);

	if (r == 0)
		r = add_blocks(w, get_le64(super + NX_DESC_BASE), get_le32(super + NX_DESC_BLOCKS),
			       err);
	if (r == 0)
		r = add_blocks(w, get_le64(super + NX_DATA_BASE), get_le32(super + NX_DATA_BLOCKS),
			       err);
	if (r == 0)
		r = add_blocks(w, get_le64(sm + SM_POOL), get_le64(sm + SM_POOL_BLOCKS), err);
	if (r == 0)
		r = add_blocks(w, get_le64(sm + SM_POOL_BITS), get_le32(sm + SM_POOL_BITS_BLOCKS),
			       err);
	return r;
}

int
pl_apfs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	struct apfs *fs = apfs_of(v);
	PL_AUTOFREE uint8_t *sm = NULL, *block = malloc(fs->block_size);
	struct walk w = { .fs = fs, .used = used, .block = block };
	uint64_t nr_free;
	size_t size = 0;
	int r;

	if (!block)
		return pl_no_memory(err);
	if (!fs->checkpoint.whole)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "no checkpoint of the container is whole");
	r = read_spaceman(fs, &sm, &size, err);
	if (r == 0)
		r = add_own(&w, sm, err);
	if (r == 0)
		r = add_device(&w, sm, size, err);
	if (r < 0)
		return r;
	nr_free = get_le64(sm + SM_DEVICE + SM_DEVICE_FREE);
	if (w.nr_free > nr_free)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "%" PRIu64 " blocks are free by the chunks, %" PRIu64
				  " by the space manager",
				  w.nr_free, nr_free);
	return 0;
}
