/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * f2fs/used.c - which blocks are in use: all before the main area, and there those of the SIT
 *
 * Each segment has an entry: the number of blocks in use (10 bits) and its kind (6), a bit for
 * each block, the highest first, and a time.  Each block of the SIT has two places, and a bit in
 * the checkpoint tells which one holds; its journal has what changed since.
 */
#include "f2fs.h"

enum {
	SIT_MAP = 2,
	SIT_MAP_SIZE = 64,
};

#define NR_BLOCKS 0x3ff
#define KIND_BITS 10

/* Kinds from here on are of nodes. */
#define FIRST_NODES 3

struct counter {
	uint64_t blocks, nodes;
};

static const uint8_t *
in_journal(const struct f2fs *fs, uint32_t segment)
{
	const uint8_t *found = NULL;

	for (size_t i = 0; i < fs->sit_journal.nr; i++) {
		const uint8_t *p = fs->sit_journal.entries + i * (4 + F2FS_SIT_ENTRY);

		if (get_le32(p) == segment)
			found = p + 4;
	}
	return found;
}

static int
add_segment(struct f2fs *fs, uint32_t segment, const uint8_t *entry, struct pl_ranges *used,
	    struct counter *counter, struct platter_error *err)
{
	unsigned nr = get_le16(entry) & NR_BLOCKS, kind = get_le16(entry) >> KIND_BITS, found = 0;
	uint64_t first = fs->main + ((uint64_t)segment << F2FS_SEGMENT_BITS);

	for (size_t i = 0; i < SIT_MAP_SIZE; i++)
		found += (unsigned)__builtin_popcount(entry[SIT_MAP + i]);
	if (found != nr)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "segment %" PRIu32 " counts %u blocks in use and its map %u",
				  segment, nr, found);
	counter->blocks += nr;
	if (kind >= FIRST_NODES)
		counter->nodes += nr;
	return pl_ranges_add_bits(used, entry + SIT_MAP, F2FS_SEGMENT, PL_MSB_FIRST, true,
				  first << fs->block_bits, 1u << fs->block_bits, err);
}

static int
add_main(struct f2fs *fs, struct pl_ranges *used, struct counter *counter,
	 struct platter_error *err)
{
	uint32_t per_block = fs->volume.block_size / F2FS_SIT_ENTRY;
	PL_AUTOFREE uint8_t *b = malloc(fs->volume.block_size);
	int r = 0;

	if (!b)
		return pl_no_memory(err);
	for (uint32_t s = 0; s < fs->main_segments && r == 0; s++) {
		uint32_t index = s / per_block;
		const uint8_t *changed = in_journal(fs, s);

		if (s % per_block == 0)
			r = f2fs_read_block(
				fs,
				fs->sit + index +
					(f2fs_bit(fs->sit_bitmap, index) ? fs->sit_blocks : 0),
				b, err);
		if (r == 0)
			r = add_segment(fs, s,
					changed ? changed
						: b + (size_t)(s % per_block) * F2FS_SIT_ENTRY,
					used, counter, err);
	}
	return r;
}

int
f2fs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	const uint32_t bad = F2FS_CP_ERROR | F2FS_CP_FSCK | F2FS_CP_DISABLED | F2FS_CP_RESIZING;
	struct f2fs *fs = f2fs_of(v);
	struct counter counter = { 0 };
	int r;

	if (!(fs->flags & F2FS_CP_UMOUNT))
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "it was not unmounted: what was synced since its last "
				      "checkpoint is still to be recovered");
	if (fs->flags & bad)
		return pl_unsupported(err, PLATTER_NO_OFFSET, "its checkpoint has the flags %#x",
				      fs->flags & bad);
	if (fs->several_devices || fs->features & F2FS_ZONED)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "it is on several devices, or on a zoned one");
	r = pl_ranges_add(used, 0, (uint64_t)fs->main << fs->block_bits, err);
	if (r == 0)
		r = add_main(fs, used, &counter, err);
	/* Blocks that are reserved and were never written are counted, and not in the map. */
	if (r == 0 && (counter.blocks > fs->valid_blocks || counter.nodes != fs->nr_nodes))
		r = pl_corrupt(err, PLATTER_NO_OFFSET,
			       "%" PRIu64 " blocks are in use, %" PRIu64
			       " of nodes, where the checkpoint counts %" PRIu64 " and %" PRIu32,
			       counter.blocks, counter.nodes, fs->valid_blocks, fs->nr_nodes);
	return r;
}
