/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * f2fs/super.c - the superblock of F2FS: include/linux/f2fs_fs.h of the Linux kernel,
 * struct f2fs_super_block
 *
 * Areas follow each other, in segments of 512 blocks: checkpoints, SIT (which blocks are in
 * use), NAT (where nodes are), SSA (whose blocks are), and the main area of files and nodes.
 */
#include "checksums.h"
#include "f2fs.h"

uint32_t
f2fs_crc(uint32_t seed, const void *bytes, size_t n)
{
	return ~pl_crc32(~seed, bytes, n);
}

bool
f2fs_checkpoint_matches(const uint8_t *block, size_t size)
{
	uint32_t at = get_le32(block + F2FS_CP_CHECKSUM_OFFSET), crc;

	if (at < F2FS_CP_BITMAPS || at > size - 4)
		return false;
	crc = f2fs_crc(F2FS_MAGIC, block, at);
	/* What is behind it counts too. */
	crc = f2fs_crc(crc, block + at + 4, size - at - 4);
	return crc == get_le32(block + at);
}

static int
check_checksum(const struct f2fs *fs, const uint8_t *sb, uint64_t at, struct platter_error *err)
{
	if (!(get_le32(sb + F2FS_FEATURES) & F2FS_SUPER_CHECKSUM) || fs->volume.ignore_checksums)
		return 0;
	if (get_le32(sb + F2FS_CHECKSUM_OFFSET) != F2FS_CHECKSUM)
		return pl_corrupt(err, at + F2FS_CHECKSUM_OFFSET,
				  "checksum of the F2FS superblock at its byte %" PRIu32
				  ", expected %d",
				  get_le32(sb + F2FS_CHECKSUM_OFFSET), F2FS_CHECKSUM);
	if (get_le32(sb + F2FS_CHECKSUM) != f2fs_crc(F2FS_MAGIC, sb, F2FS_CHECKSUM))
		return pl_corrupt(err, at + F2FS_CHECKSUM,
				  "checksum of the F2FS superblock does not match");
	return 0;
}

/* Each area begins where the one before it ends, and the last within the file system. */
static int
check_areas(const uint8_t *sb, uint64_t at, struct platter_error *err)
{
	static const struct {
		int segments, next;
	} areas[] = {
		{ F2FS_SEGMENTS_CHECKPOINT, F2FS_SIT },
		{ F2FS_SEGMENTS_SIT, F2FS_NAT },
		{ F2FS_SEGMENTS_NAT, F2FS_SSA },
		{ F2FS_SEGMENTS_SSA, F2FS_MAIN },
	};
	uint64_t end = get_le32(sb + F2FS_CHECKPOINT);

	if (!end)
		return pl_corrupt(err, at + F2FS_CHECKPOINT, "F2FS checkpoints at block 0");
	for (size_t i = 0; i < ARRAY_SIZE(areas); i++) {
		uint32_t segments = get_le32(sb + areas[i].segments);
		uint32_t next = get_le32(sb + areas[i].next);

		end += (uint64_t)segments << F2FS_SEGMENT_BITS;
		/* Two of each, but for the SSA, which what is never written has none of. */
		if ((segments < 2 && areas[i].next != F2FS_MAIN) || next != end)
			return pl_corrupt(err, at + (unsigned)areas[i].next,
					  "F2FS area at block %" PRIu32 " behind one of %" PRIu32
					  " segments that ends at %" PRIu64,
					  next, segments, end);
	}
	end += (uint64_t)get_le32(sb + F2FS_SEGMENTS_MAIN) << F2FS_SEGMENT_BITS;
	if (!get_le32(sb + F2FS_SEGMENTS_MAIN) || end > get_le64(sb + F2FS_BLOCKS) ||
	    end > UINT32_MAX)
		return pl_corrupt(err, at + F2FS_SEGMENTS_MAIN,
				  "F2FS main area ends at block %" PRIu64 " of %" PRIu64, end,
				  get_le64(sb + F2FS_BLOCKS));
	return 0;
}

static int
decode(struct f2fs *fs, const uint8_t *sb, uint64_t at, struct platter_error *err)
{
	struct pl_volume *v = &fs->volume;
	uint32_t log_block = get_le32(sb + F2FS_LOG_BLOCK);
	int r;

	if (get_le32(sb) != F2FS_MAGIC)
		return pl_corrupt(err, at, "no F2FS superblock: its magic is %#" PRIx32,
				  get_le32(sb));
	r = check_checksum(fs, sb, at, err);
	if (r < 0)
		return r;
	if (log_block < 12 || log_block > 16)
		return pl_corrupt(err, at + F2FS_LOG_BLOCK, "F2FS blocks of 2^%" PRIu32 " bytes",
				  log_block);
	if (get_le32(sb + F2FS_LOG_SEGMENT) != F2FS_SEGMENT_BITS)
		return pl_corrupt(err, at + F2FS_LOG_SEGMENT,
				  "F2FS segments of 2^%" PRIu32 " blocks, expected 2^%d",
				  get_le32(sb + F2FS_LOG_SEGMENT), F2FS_SEGMENT_BITS);
	r = check_areas(sb, at, err);
	if (r < 0)
		return r;
	fs->features = get_le32(sb + F2FS_FEATURES);
	if (log_block > 12 && fs->features & F2FS_PACKED_SSA)
		return pl_unsupported(err, at + F2FS_FEATURES,
				      "F2FS with packed summaries (packed_ssa) is not read");
	fs->block_bits = (uint8_t)log_block;
	v->block_size = 1u << log_block;
	fs->checkpoint_block = get_le32(sb + F2FS_CHECKPOINT);
	fs->sit = get_le32(sb + F2FS_SIT);
	fs->nat = get_le32(sb + F2FS_NAT);
	fs->main = get_le32(sb + F2FS_MAIN);
	fs->main_segments = get_le32(sb + F2FS_SEGMENTS_MAIN);
	fs->sit_blocks = get_le32(sb + F2FS_SEGMENTS_SIT) / 2 << F2FS_SEGMENT_BITS;
	fs->nat_blocks = get_le32(sb + F2FS_SEGMENTS_NAT) / 2 << F2FS_SEGMENT_BITS;
	fs->checkpoint_payload = get_le32(sb + F2FS_CHECKPOINT_PAYLOAD);
	fs->encoding = get_le16(sb + F2FS_ENCODING);
	fs->several_devices = sb[F2FS_DEVICES] != 0;
	fs->inode_seed = f2fs_crc(~0u, sb + F2FS_UUID, 16);
	if (fs->main_segments > (uint64_t)fs->sit_blocks * (v->block_size / F2FS_SIT_ENTRY))
		return pl_corrupt(err, at + F2FS_SEGMENTS_SIT,
				  "F2FS table of %" PRIu32 " blocks for %" PRIu32 " segments",
				  fs->sit_blocks, fs->main_segments);
	/* Beside the two blocks of a checkpoint and six summaries. */
	if (fs->checkpoint_payload > F2FS_SEGMENT - 8)
		return pl_corrupt(err, at + F2FS_CHECKPOINT_PAYLOAD,
				  "F2FS checkpoint of %" PRIu32 " more blocks",
				  fs->checkpoint_payload);
	v->root.inode = get_le32(sb + F2FS_ROOT);
	v->size = PL_MIN(v->size, get_le64(sb + F2FS_BLOCKS) > UINT64_MAX >> log_block
					  ? UINT64_MAX
					  : get_le64(sb + F2FS_BLOCKS) << log_block);
	return 0;
}

int
f2fs_read_super(struct f2fs *fs, struct platter_error *err)
{
	uint8_t sb[F2FS_SUPER_SIZE];
	int r = pl_meta_read(fs->volume.meta, sb, sizeof sb, F2FS_SUPER_OFFSET, err);

	if (r == 0)
		r = decode(fs, sb, F2FS_SUPER_OFFSET, err);
	/* The copy is in block 1, however large that is. */
	for (unsigned bits = 12; r == -EUCLEAN && bits <= 16; bits++) {
		uint64_t at = (1u << bits) + F2FS_SUPER_OFFSET;

		if (pl_meta_read(fs->volume.meta, sb, sizeof sb, at, NULL) < 0 ||
		    get_le32(sb) != F2FS_MAGIC || decode(fs, sb, at, NULL) < 0)
			continue;
		fs->from_copy = true;
		return 0;
	}
	return r;
}
