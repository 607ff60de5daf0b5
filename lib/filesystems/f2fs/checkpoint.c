/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * f2fs/checkpoint.c - the checkpoint that holds, and the changes of SIT and NAT in it
 *
 * There are two packs, a segment apart, written in turns: a block of checkpoint (with more
 * behind it), orphans, summaries of the segments that are being written, and the first block
 * again.  A pack whose first and last block agree is whole.
 *
 * What is left of a summary's block behind its entries is a journal:
 *
 *	offset  size  in
 *	     0     2  number of entries
 *	     2        entries: inode or segment (4), and an entry of the NAT (9) or SIT (74)
 *
 * The first data segment's has the NAT's changes, the third's those of the SIT; compact
 * summaries begin with both.
 */
#include "f2fs.h"

enum {
	SUMMARY = 7, /* bytes for each of 1/8 of a block's bytes */
	SUMMARY_FOOTER = 5,
	NAT_CHANGE = 4 + 9,
	SIT_CHANGE = 4 + F2FS_SIT_ENTRY,
};

static uint64_t
offset_of(const struct f2fs *fs, uint64_t block)
{
	return block << fs->block_bits;
}

/* A block that should be the first or last of a pack. */
static int
check_block(const struct f2fs *fs, const uint8_t *buf, uint64_t block, struct platter_error *err)
{
	if (fs->volume.ignore_checksums || f2fs_checkpoint_matches(buf, fs->volume.block_size))
		return 0;
	return pl_corrupt(err, offset_of(fs, block),
			  "checksum of the F2FS checkpoint at block %" PRIu64 " does not match",
			  block);
}

/* Read a pack's first block, 1 + payload blocks in all, into `buf`, if it is whole. */
static int
read_pack(struct f2fs *fs, uint64_t block, uint8_t *buf, struct platter_error *err)
{
	size_t size = fs->volume.block_size;
	PL_AUTOFREE uint8_t *last = malloc(size);
	uint32_t nr;
	int r = last ? pl_meta_read(fs->volume.meta, buf, (1 + fs->checkpoint_payload) * size,
				    offset_of(fs, block), err)
		     : pl_no_memory(err);

	if (r == 0)
		r = check_block(fs, buf, block, err);
	if (r < 0)
		return r;
	nr = get_le32(buf + F2FS_CP_PACK_BLOCKS);
	if (nr < 2 + fs->checkpoint_payload || nr > F2FS_SEGMENT)
		return pl_corrupt(err, offset_of(fs, block) + F2FS_CP_PACK_BLOCKS,
				  "F2FS checkpoint of %" PRIu32 " blocks", nr);
	r = pl_meta_read(fs->volume.meta, last, size, offset_of(fs, block + nr - 1), err);
	if (r == 0)
		r = check_block(fs, last, block + nr - 1, err);
	if (r == 0 && get_le64(last) != get_le64(buf))
		r = pl_corrupt(err, offset_of(fs, block + nr - 1),
			       "F2FS checkpoint %" PRIu64 " ends with %" PRIu64, get_le64(buf),
			       get_le64(last));
	return r;
}

/* Bitmaps that tell which of two copies holds, one bit for each block of a table. */
static int
find_bitmaps(struct f2fs *fs, uint64_t at, struct platter_error *err)
{
	size_t size = (1ul + fs->checkpoint_payload) << fs->block_bits;
	uint64_t sit_size = get_le32(fs->checkpoint + F2FS_CP_SIT_BITMAP);
	uint64_t nat_size = get_le32(fs->checkpoint + F2FS_CP_NAT_BITMAP);
	uint64_t sit_at = F2FS_CP_BITMAPS, nat_at = F2FS_CP_BITMAPS;

	if (fs->flags & F2FS_CP_LARGE_NAT) {
		/* Behind the checksum, which then comes first. */
		nat_at += 4;
		sit_at = nat_at + nat_size;
	} else if (fs->checkpoint_payload) {
		sit_at = fs->volume.block_size;
	} else {
		nat_at += sit_size;
	}
	if (sit_size * 8 < fs->sit_blocks || !pl_in_range(sit_at, sit_size, size))
		return pl_corrupt(err, at + F2FS_CP_SIT_BITMAP,
				  "F2FS bitmap of %" PRIu64 " bytes for a SIT of %" PRIu32
				  " blocks",
				  sit_size, fs->sit_blocks);
	if (nat_size * 8 < fs->nat_blocks || !pl_in_range(nat_at, nat_size, size))
		return pl_corrupt(err, at + F2FS_CP_NAT_BITMAP,
				  "F2FS bitmap of %" PRIu64 " bytes for a NAT of %" PRIu32
				  " blocks",
				  nat_size, fs->nat_blocks);
	fs->sit_bitmap = fs->checkpoint + sit_at;
	fs->nat_bitmap = fs->checkpoint + nat_at;
	return 0;
}

static int
find_journal(const uint8_t *p, size_t size, size_t change, struct f2fs_journal *ret, uint64_t at,
	     struct platter_error *err)
{
	*ret = (struct f2fs_journal){ .entries = p + 2, .nr = get_le16(p) };
	if (ret->nr > (size - 2) / change)
		return pl_corrupt(err, at, "%zu changes in an F2FS journal, limit is %zu", ret->nr,
				  (size - 2) / change);
	return 0;
}

/* The two blocks that have journals, or the one that has both. */
static int
read_journals(struct f2fs *fs, uint64_t block, struct platter_error *err)
{
	size_t size = fs->volume.block_size, entries = size / 8 * SUMMARY;
	size_t journal = size - SUMMARY_FOOTER - entries;
	uint32_t nr = get_le32(fs->checkpoint + F2FS_CP_PACK_BLOCKS);
	uint32_t start = get_le32(fs->checkpoint + F2FS_CP_SUMMARIES);
	bool compact = fs->flags & F2FS_CP_COMPACT;
	uint64_t nat, sit;
	int r;

	if (!compact) {
		/* Those of data alone, or of nodes too, stand before the last block. */
		uint32_t back = fs->flags & (F2FS_CP_UMOUNT | F2FS_CP_FASTBOOT) ? 7 : 4;

		start = nr < back ? 0 : nr - back;
	}
	if (start < 1 + fs->checkpoint_payload || start + (compact ? 1 : 3) >= nr)
		return pl_corrupt(err, offset_of(fs, block) + F2FS_CP_SUMMARIES,
				  "F2FS summaries at block %" PRIu32 " of a checkpoint of %" PRIu32,
				  start, nr);
	fs->summaries = malloc(2 * size);
	if (!fs->summaries)
		return pl_no_memory(err);
	nat = offset_of(fs, block + start);
	sit = compact ? nat : offset_of(fs, block + start + 2);
	r = pl_meta_read(fs->volume.meta, fs->summaries, size, nat, err);
	if (r == 0)
		r = pl_meta_read(fs->volume.meta, fs->summaries + size, size, sit, err);
	nat = compact ? 0 : entries;
	sit = compact ? journal : entries;
	if (r == 0)
		r = find_journal(fs->summaries + nat, journal, NAT_CHANGE, &fs->nat_journal,
				 offset_of(fs, block + start) + nat, err);
	if (r == 0)
		r = find_journal(fs->summaries + size + sit, journal, SIT_CHANGE, &fs->sit_journal,
				 offset_of(fs, block + start + (compact ? 0 : 2)) + sit, err);
	return r;
}

int
f2fs_read_checkpoint(struct f2fs *fs, struct platter_error *err)
{
	size_t size = (1ul + fs->checkpoint_payload) << fs->block_bits;
	uint64_t first = fs->checkpoint_block, second = first + F2FS_SEGMENT, block = first;
	PL_AUTOFREE uint8_t *a = malloc(size), *b = malloc(size);
	int r, second_r;

	if (!a || !b)
		return pl_no_memory(err);
	r = read_pack(fs, first, a, err);
	second_r = read_pack(fs, second, b, NULL);
	if (r < 0 && second_r < 0)
		return r;
	if (r < 0 || (second_r == 0 && get_le64(b) > get_le64(a)))
		block = second;
	fs->checkpoint = block == first ? PL_STEAL(a) : PL_STEAL(b);
	fs->version = get_le64(fs->checkpoint + F2FS_CP_VERSION);
	fs->user_blocks = get_le64(fs->checkpoint + F2FS_CP_USER_BLOCKS);
	fs->valid_blocks = get_le64(fs->checkpoint + F2FS_CP_VALID_BLOCKS);
	fs->flags = get_le32(fs->checkpoint + F2FS_CP_FLAGS);
	fs->nr_nodes = get_le32(fs->checkpoint + F2FS_CP_VALID_NODES);
	fs->nr_inodes = get_le32(fs->checkpoint + F2FS_CP_VALID_INODES);
	r = find_bitmaps(fs, offset_of(fs, block), err);
	return r < 0 ? r : read_journals(fs, block, err);
}
