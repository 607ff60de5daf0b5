/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs/chunks.c - the superblock, and where logical bytes are
 *
 * The superblock stands at 64 KiB, 64 MiB and 256 GiB; the valid copy of the highest
 * generation counts.  It holds the chunks of the tree that holds all chunks.
 *
 *	offset  size  chunk item, whose key's offset is the logical byte that it begins at
 *	     0     8  length
 *	     8     8  owner
 *	    16     8  stripe length
 *	    24     8  type: what it holds (bits 0-2), how it is spread (bits 3-10)
 *	    44     2  stripes
 *	    46     2  sub stripes: copies in RAID10
 *	    48        stripes: device id, physical byte, device UUID
 */
#include "btrfs.h"
#include "checksums.h"

const uint64_t pl_btrfs_superblocks[BTRFS_NR_SUPERBLOCKS] = { KIB(64), MIB(64), GIB(256) };

enum {
	CHUNK_LENGTH = 0,
	CHUNK_TYPE = 24,
	CHUNK_STRIPES = 44,
	CHUNK_SUB_STRIPES = 46,
	CHUNK_STRIPE = 48,
	STRIPE_DEVICE = 0,
	STRIPE_OFFSET = 8,
	STRIPE_SIZE = 32,
};

enum {
	TYPE_DATA = 1 << 0,
	TYPE_RAID0 = 1 << 3,
	TYPE_RAID1 = 1 << 4,
	TYPE_DUP = 1 << 5,
	TYPE_RAID10 = 1 << 6,
	TYPE_RAID5 = 1 << 7,
	TYPE_RAID6 = 1 << 8,
	TYPE_RAID1C3 = 1 << 9,
	TYPE_RAID1C4 = 1 << 10,
	TYPE_KNOWN = 0x7ff,
	TYPE_MIRRORED = TYPE_RAID1 | TYPE_DUP | TYPE_RAID1C3 | TYPE_RAID1C4,
	TYPE_STRIPED = TYPE_RAID0 | TYPE_RAID10 | TYPE_RAID5 | TYPE_RAID6,
};

/* Chunks are of 8 MiB at least but for the smallest disks, and of 1 GiB on large ones. */
#define MAX_CHUNKS (1u << 20)

bool
pl_btrfs_checksum_matches(const struct btrfs *fs, const uint8_t *block, size_t n)
{
	/* Those of other types are not verified. */
	if (fs->volume.ignore_checksums || fs->checksum_type != BTRFS_CRC32C)
		return true;
	return pl_crc32c(0, block + BTRFS_FSID, n - BTRFS_FSID) == get_le32(block);
}

static int
check_superblock(struct btrfs *fs, const uint8_t *sb, uint64_t at, struct platter_error *err)
{
	uint32_t sector_size = get_le32(sb + BTRFS_SECTOR_SIZE);
	uint32_t node_size = get_le32(sb + BTRFS_NODE_SIZE);

	if (memcmp(sb + BTRFS_MAGIC, "_BHRfS_M", 8))
		return pl_corrupt(err, at + BTRFS_MAGIC, "no Btrfs: no '_BHRfS_M'");
	if (get_le64(sb + BTRFS_SELF) != at)
		return pl_corrupt(err, at + BTRFS_SELF,
				  "superblock says that it is at byte %" PRIu64,
				  get_le64(sb + BTRFS_SELF));
	fs->checksum_type = get_le16(sb + BTRFS_CHECKSUM_TYPE);
	if (!pl_btrfs_checksum_matches(fs, sb, BTRFS_SUPERBLOCK_SIZE))
		return pl_corrupt(err, at, "superblock has a wrong checksum");
	if (!pl_is_power_of_two(sector_size) || sector_size < 512 || sector_size > KIB(64))
		return pl_corrupt(err, at + BTRFS_SECTOR_SIZE,
				  "sectors of %" PRIu32 " bytes, must be a power of two from 512 "
				  "to 65536",
				  sector_size);
	if (!pl_is_power_of_two(node_size) || node_size < sector_size || node_size < 1024 ||
	    node_size > KIB(64))
		return pl_corrupt(err, at + BTRFS_NODE_SIZE,
				  "nodes of %" PRIu32 " bytes, must be a power of two from 1024 or "
				  "the sector size to 65536",
				  node_size);
	if (sb[BTRFS_ROOT_LEVEL] > BTRFS_MAX_LEVEL || sb[BTRFS_CHUNK_ROOT_LEVEL] > BTRFS_MAX_LEVEL)
		return pl_corrupt(err, at + BTRFS_ROOT_LEVEL, "root of level %u or %u, limit is %u",
				  sb[BTRFS_ROOT_LEVEL], sb[BTRFS_CHUNK_ROOT_LEVEL],
				  BTRFS_MAX_LEVEL);
	return 0;
}

int
pl_btrfs_choose_superblock(struct btrfs *fs, struct platter_error *err)
{
	struct platter_error first = PLATTER_ERROR_INIT;
	uint64_t generation = 0;
	int failed = 0;

	for (size_t i = 0; i < BTRFS_NR_SUPERBLOCKS; i++) {
		struct platter_error why = PLATTER_ERROR_INIT;
		uint8_t sb[BTRFS_SUPERBLOCK_SIZE];
		uint64_t at = pl_btrfs_superblocks[i];
		int r;

		if (!pl_in_range(at, sizeof sb, fs->volume.size))
			break;
		r = pl_read(fs->volume.disk, sb, sizeof sb, at, &why);
		if (r == 0)
			r = check_superblock(fs, sb, at, &why);
		if (r < 0 && !failed) {
			failed = r;
			first = why;
		}
		if (r < 0 || (fs->superblock && get_le64(sb + BTRFS_GENERATION) <= generation))
			continue;
		/* What an earlier, larger file system left behind is no copy. */
		if (fs->superblock && (memcmp(sb + BTRFS_FSID, fs->sb + BTRFS_FSID, 16) ||
				       at >= get_le64(fs->sb + BTRFS_DEVICE_SIZE)))
			continue;
		generation = get_le64(sb + BTRFS_GENERATION);
		fs->superblock = at;
		memcpy(fs->sb, sb, sizeof sb);
	}
	if (!fs->superblock) {
		if (!failed)
			return pl_corrupt(err, PLATTER_NO_OFFSET, "too small for Btrfs");
		if (err)
			*err = first;
		return failed;
	}
	fs->checksum_type = get_le16(fs->sb + BTRFS_CHECKSUM_TYPE);
	fs->sector_size = get_le32(fs->sb + BTRFS_SECTOR_SIZE);
	fs->node_size = get_le32(fs->sb + BTRFS_NODE_SIZE);
	fs->device_id = get_le64(fs->sb + BTRFS_DEVICE_ID);
	fs->incompatible = get_le64(fs->sb + BTRFS_INCOMPATIBLE);
	fs->root_tree.logical = get_le64(fs->sb + BTRFS_ROOT);
	fs->root_tree.level = fs->sb[BTRFS_ROOT_LEVEL];
	fs->chunk_tree.logical = get_le64(fs->sb + BTRFS_CHUNK_ROOT);
	fs->chunk_tree.level = fs->sb[BTRFS_CHUNK_ROOT_LEVEL];
	if (fs->incompatible & ~(uint64_t)BTRFS_KNOWN_FEATURES)
		return pl_unsupported(err, fs->superblock + BTRFS_INCOMPATIBLE,
				      "unknown incompatible features %#" PRIx64,
				      fs->incompatible & ~(uint64_t)BTRFS_KNOWN_FEATURES);
	return 0;
}

/* *ret_size: bytes of the item, stripes included. */
static int
add_chunk(struct btrfs *fs, uint64_t logical, const uint8_t *p, size_t n, uint64_t at,
	  size_t *ret_size, struct platter_error *err)
{
	struct btrfs_chunk chunk = { .logical = logical };
	unsigned stripes, sub_stripes, rows = 1;

	if (n < CHUNK_STRIPE)
		return pl_corrupt(err, at, "chunk item of %zu bytes", n);
	chunk.length = get_le64(p + CHUNK_LENGTH);
	chunk.type = get_le64(p + CHUNK_TYPE);
	stripes = get_le16(p + CHUNK_STRIPES);
	sub_stripes = get_le16(p + CHUNK_SUB_STRIPES);
	if (!stripes || (n - CHUNK_STRIPE) / STRIPE_SIZE < stripes)
		return pl_corrupt(err, at + CHUNK_STRIPES,
				  "chunk item of %zu bytes with %u stripes", n, stripes);
	if (!chunk.length || logical + chunk.length < logical)
		return pl_corrupt(err, at + CHUNK_LENGTH,
				  "chunk of %" PRIu64 " bytes at logical byte %" PRIu64,
				  chunk.length, logical);
	if (chunk.type & TYPE_RAID10)
		rows = sub_stripes ? stripes / sub_stripes : 2;
	else if (chunk.type & TYPE_RAID0 || !(chunk.type & TYPE_MIRRORED))
		rows = stripes;
	chunk.striped = rows != 1 || chunk.type & (TYPE_RAID5 | TYPE_RAID6) ||
			chunk.type & ~(uint64_t)TYPE_KNOWN;
	/* Where data is then stands in that tree. */
	if (fs->incompatible & BTRFS_RAID_STRIPE_TREE && chunk.type & TYPE_DATA &&
	    chunk.type & (TYPE_MIRRORED | TYPE_STRIPED))
		chunk.striped = true;
	for (unsigned i = 0; i < stripes; i++) {
		const uint8_t *stripe = p + CHUNK_STRIPE + (size_t)i * STRIPE_SIZE;

		if (get_le64(stripe + STRIPE_DEVICE) != fs->device_id)
			continue;
		if (get_le64(stripe + STRIPE_OFFSET) > UINT64_MAX - chunk.length)
			return pl_corrupt(err, at + CHUNK_STRIPE,
					  "chunk of %" PRIu64 " bytes at byte %" PRIu64,
					  chunk.length, get_le64(stripe + STRIPE_OFFSET));
		chunk.local = true;
		if (!chunk.striped && chunk.copies < BTRFS_MAX_COPIES)
			chunk.physical[chunk.copies++] = get_le64(stripe + STRIPE_OFFSET);
	}
	if (fs->nr_chunks == fs->chunks_capacity) {
		size_t capacity = PL_MAX(16, fs->chunks_capacity * 2);
		struct btrfs_chunk *grown;

		if (fs->nr_chunks >= MAX_CHUNKS)
			return pl_over_limit(err, at, "more than %u chunks", MAX_CHUNKS);
		grown = pl_realloc_array(fs->chunks, capacity, sizeof *grown);
		if (!grown)
			return pl_no_memory(err);
		fs->chunks = grown;
		fs->chunks_capacity = capacity;
	}
	fs->chunks[fs->nr_chunks++] = chunk;
	if (ret_size)
		*ret_size = CHUNK_STRIPE + (size_t)stripes * STRIPE_SIZE;
	return 0;
}

static int
load_system_chunks(struct btrfs *fs, struct platter_error *err)
{
	uint32_t n = get_le32(fs->sb + BTRFS_SYSTEM_CHUNKS_SIZE);
	uint64_t at = fs->superblock + BTRFS_SYSTEM_CHUNKS;
	const uint8_t *p = fs->sb + BTRFS_SYSTEM_CHUNKS;

	if (n > BTRFS_SYSTEM_CHUNKS_ROOM)
		return pl_corrupt(err, fs->superblock + BTRFS_SYSTEM_CHUNKS_SIZE,
				  "%" PRIu32 " bytes of system chunks, limit is %u", n,
				  BTRFS_SYSTEM_CHUNKS_ROOM);
	for (size_t done = 0, size = 0; done < n; done += BTRFS_KEY_SIZE + size) {
		struct btrfs_key key;
		int r;

		if (n - done < BTRFS_KEY_SIZE)
			return pl_corrupt(err, at + done, "system chunks end within a key");
		key = pl_btrfs_get_key(p + done);
		if (key.type != BTRFS_CHUNK_ITEM)
			return pl_corrupt(err, at + done, "item of type %u among system chunks",
					  key.type);
		r = add_chunk(fs, key.offset, p + done + BTRFS_KEY_SIZE, n - done - BTRFS_KEY_SIZE,
			      at + done + BTRFS_KEY_SIZE, &size, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
by_logical(const void *a, const void *b)
{
	const struct btrfs_chunk *x = a, *y = b;

	return (x->logical > y->logical) - (x->logical < y->logical);
}

static void
sort_chunks(struct btrfs *fs)
{
	size_t kept = 0;

	if (fs->nr_chunks)
		qsort(fs->chunks, fs->nr_chunks, sizeof *fs->chunks, by_logical);
	for (size_t i = 0; i < fs->nr_chunks; i++)
		if (!kept || fs->chunks[i].logical != fs->chunks[kept - 1].logical)
			fs->chunks[kept++] = fs->chunks[i];
	fs->nr_chunks = kept;
}

static int
load_chunk(void *closure, const struct btrfs_cursor *c, struct platter_error *err)
{
	return add_chunk(closure, c->key.offset, c->data, c->size, c->at, NULL, err);
}

int
pl_btrfs_load_chunks(struct btrfs *fs, struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct btrfs *all;
	int r = load_system_chunks(fs, err);

	if (r < 0)
		return r;
	sort_chunks(fs);
	/* The system chunks stay as they are while the tree is read through them. */
	all = calloc(1, sizeof *all);
	if (!all)
		return pl_no_memory(err);
	all->device_id = fs->device_id;
	all->incompatible = fs->incompatible;
	r = pl_btrfs_each(fs, &fs->chunk_tree, UINT64_MAX, BTRFS_CHUNK_ITEM, load_chunk, all, &why);
	if (r < 0 && (r == -ENOMEM || !all->nr_chunks)) {
		if (err)
			*err = why;
		free(all->chunks);
		free(all);
		return r;
	}
	fs->chunks_damaged = r < 0;
	free(fs->chunks);
	fs->chunks = all->chunks;
	fs->nr_chunks = all->nr_chunks;
	fs->chunks_capacity = all->chunks_capacity;
	free(all);
	sort_chunks(fs);
	return 0;
}

const struct btrfs_chunk *
pl_btrfs_find_chunk(const struct btrfs *fs, uint64_t logical)
{
	size_t low = 0, high = fs->nr_chunks;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (fs->chunks[mid].logical <= logical)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || logical - fs->chunks[low - 1].logical >= fs->chunks[low - 1].length)
		return NULL;
	return &fs->chunks[low - 1];
}

static const char *
profile(const struct btrfs_chunk *c)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {
		{ TYPE_RAID0, "RAID0" },     { TYPE_RAID1, "RAID1" },     { TYPE_DUP, "DUP" },
		{ TYPE_RAID10, "RAID10" },   { TYPE_RAID5, "RAID5" },     { TYPE_RAID6, "RAID6" },
		{ TYPE_RAID1C3, "RAID1C3" }, { TYPE_RAID1C4, "RAID1C4" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (c->type & names[i].bit)
			return names[i].name;
	return c->type & ~(uint64_t)TYPE_KNOWN ? "an unknown layout" : "single";
}

int
pl_btrfs_map(const struct btrfs *fs, uint64_t logical, const struct btrfs_chunk **ret,
	     struct platter_error *err)
{
	const struct btrfs_chunk *c = pl_btrfs_find_chunk(fs, logical);

	if (!c)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "logical byte %" PRIu64 " is in no chunk",
				  logical);
	if (c->striped)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "logical byte %" PRIu64 " is in a chunk of %s, which is not "
				      "read",
				      logical, profile(c));
	if (!c->copies)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "logical byte %" PRIu64 " (%s) is on another device", logical,
				      profile(c));
	*ret = c;
	return 0;
}
