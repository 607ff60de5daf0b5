/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext/used.c - what is in use, by the block bitmaps
 *
 * Bitmaps of groups with BLOCK_UNINIT were never written: what such a group holds of the file
 * system's own is in use, and nothing else.  That is marked for all groups, which costs
 * nothing where the bitmap has it too.
 */
#include "ext.h"

/* A cluster is in use as a whole. */
static int
add_blocks(const struct ext *fs, struct pl_ranges *used, uint64_t block, uint64_t nr,
	   struct platter_error *err)
{
	const struct ext_super *sb = &fs->sb;
	uint64_t first = pl_round_down(block, sb->cluster_ratio), end;

	if (!nr || block >= sb->blocks)
		return 0;
	end = PL_MIN(pl_round_up(block + nr, sb->cluster_ratio), sb->blocks);
	return pl_ranges_add(used, ext_block_offset(fs, first), (end - first) << sb->block_bits,
			     err);
}

/* The copies of the superblock and the descriptors, and room for more of these. */
static int
add_super(const struct ext *fs, struct pl_ranges *used, uint32_t group, struct platter_error *err)
{
	const struct ext_super *sb = &fs->sb;
	uint64_t first = ext_group_first_block(sb, group);
	uint32_t index = group / sb->descriptors_per_block;
	uint32_t place = group % sb->descriptors_per_block;
	uint32_t nr_descriptors =
		(uint32_t)pl_div_round_up(sb->nr_groups, sb->descriptors_per_block);
	bool has_super = ext_group_has_super(sb, group);
	uint64_t nr = has_super;

	/* The first superblock is in block 1 of 1 KiB blocks, also when groups begin at 0. */
	if (first == 0 && sb->block_size == 1024)
		nr++;
	if (index >= sb->first_meta_bg)
		nr += place < 2 || place == sb->descriptors_per_block - 1;
	else if (has_super)
		nr += (uint64_t)PL_MIN(nr_descriptors, sb->first_meta_bg) + sb->reserved_gdt_blocks;
	return add_blocks(fs, used, first, nr, err);
}

static int
add_group(const struct ext *fs, struct pl_ranges *used, uint32_t group, uint8_t *bits,
	  struct platter_error *err)
{
	const struct ext_super *sb = &fs->sb;
	uint64_t table =
		pl_div_round_up((uint64_t)sb->inodes_per_group * sb->inode_size, sb->block_size);
	struct ext_group g;
	int r = ext_group_read(fs, group, &g, err);

	if (r < 0)
		return r;
	if (!pl_in_range(g.inode_table, table, sb->blocks) || g.block_bitmap >= sb->blocks ||
	    g.inode_bitmap >= sb->blocks)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "group %" PRIu32 " has bitmaps in blocks %" PRIu64 " and %" PRIu64
				  ", inodes in block %" PRIu64 " of %" PRIu64,
				  group, g.block_bitmap, g.inode_bitmap, g.inode_table, sb->blocks);
	r = add_super(fs, used, group, err);
	if (r == 0)
		r = add_blocks(fs, used, g.block_bitmap, 1, err);
	if (r == 0)
		r = add_blocks(fs, used, g.inode_bitmap, 1, err);
	if (r == 0)
		r = add_blocks(fs, used, g.inode_table, table, err);
	if (r < 0 || (g.flags & GROUP_BLOCK_UNINIT))
		return r;
	r = ext_bitmap_read(fs, &g, group, false, bits, err);
	if (r < 0)
		return r;
	return pl_ranges_add_bits(used, bits, ext_group_nr_clusters(sb, group), PL_LSB_FIRST, true,
				  ext_block_offset(fs, ext_group_first_block(sb, group)),
				  (uint64_t)sb->cluster_ratio << sb->block_bits, err);
}

int
ext_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	const struct ext *fs = ext_of(v);
	PL_AUTOFREE uint8_t *bits = NULL;
	int r;

	if (fs->sb.ro_compat & ~(uint32_t)RO_COMPAT_KNOWN)
		return pl_unsupported(err, PLATTER_NO_OFFSET, "unknown ext features %#" PRIx32,
				      fs->sb.ro_compat & ~(uint32_t)RO_COMPAT_KNOWN);
	if (v->state == PLATTER_STATE_DIRTY)
		return pl_unsupported(err, PLATTER_NO_OFFSET, "%s",
				      fs->journal.problem        ? fs->journal.problem
				      : fs->journal.fast_commits ? "fast commits are not replayed"
								 : "it was not unmounted cleanly");
	if (fs->sb.state & STATE_ERRORS)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "it is marked as having errors");
	bits = malloc(fs->sb.block_size);
	if (!bits)
		return pl_no_memory(err);
	/* What boots the machine, before the first group. */
	r = pl_ranges_add(used, 0, EXT_SUPERBLOCK + EXT_SUPERBLOCK_SIZE, err);
	for (uint32_t group = 0; group < fs->sb.nr_groups && r == 0; group++)
		r = add_group(fs, used, group, bits, err);
	return r;
}
