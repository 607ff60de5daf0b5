/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs/used.c - what of the device is in use
 *
 * The extent tree names every extent, of data and of nodes: all copies of them are in use.
 * Where it cannot be trusted, or says less than where things are (striping, a log that was not
 * replayed, whose nodes are in no tree), the device tree names the parts of the device that are
 * in some chunk, and all of those are taken.
 */
#include "btrfs.h"

/* Boot loaders live in front, and Linux allocates nothing there. */
#define RESERVED MIB(1)

enum {
	DEVICE_EXTENT_LENGTH = 24,
	DEVICE_EXTENT_SIZE = 48,
};

struct user {
	struct btrfs *fs;
	struct pl_ranges *used;
	uint64_t sum; /* of the extents, each counted once */
};

static int
add_copies(struct user *u, uint64_t logical, uint64_t length, struct platter_error *err)
{
	while (length) {
		const struct btrfs_chunk *c = pl_btrfs_find_chunk(u->fs, logical);
		uint64_t into, n;

		if (!c)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "extent at logical byte %" PRIu64 " is in no chunk",
					  logical);
		into = logical - c->logical;
		n = PL_MIN(length, c->length - into);
		for (unsigned i = 0; i < c->copies; i++) {
			uint64_t start;
			int r;

			if (__builtin_add_overflow(c->physical[i], into, &start))
				return pl_corrupt(err, PLATTER_NO_OFFSET,
						  "chunk at physical byte %" PRIu64,
						  c->physical[i]);
			r = pl_ranges_add(u->used, start, n, err);
			if (r < 0)
				return r;
		}
		logical += n;
		length -= n;
	}
	return 0;
}

static int
add_extent(struct user *u, const struct btrfs_key *key, uint64_t length, struct platter_error *err)
{
	uint64_t end;

	if (__builtin_add_overflow(key->objectid, length, &end) ||
	    __builtin_add_overflow(u->sum, length, &u->sum))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "extent of %" PRIu64 " bytes at logical byte %" PRIu64, length,
				  key->objectid);
	return add_copies(u, key->objectid, length, err);
}

/* The whole tree in one walk: both types of items stand mixed. */
static int
use_extent_tree(struct user *u, struct platter_error *err)
{
	struct btrfs_key first = { 0 }, last = { UINT64_MAX, UINT64_MAX, UINT8_MAX };
	struct btrfs_root root;
	struct btrfs_cursor c;
	int r = pl_btrfs_find_tree(u->fs, BTRFS_EXTENT_TREE, &root, err);

	if (r < 0)
		return r;
	for (r = pl_btrfs_seek(u->fs, &root, &first, &last, &c, err); r > 0;
	     r = pl_btrfs_next(&c, err)) {
		int added = 0;

		if (c.key.type == BTRFS_EXTENT_ITEM)
			added = add_extent(u, &c.key, c.key.offset, err);
		else if (c.key.type == BTRFS_METADATA_ITEM)
			added = add_extent(u, &c.key, u->fs->node_size, err);
		if (added < 0) {
			r = added;
			break;
		}
	}
	pl_btrfs_leave(&c);
	if (r == 0 && u->sum != get_le64(u->fs->sb + BTRFS_USED))
		r = pl_corrupt(err, u->fs->superblock + BTRFS_USED,
			       "%" PRIu64 " bytes in extents, the superblock says %" PRIu64, u->sum,
			       get_le64(u->fs->sb + BTRFS_USED));
	return r;
}

static int
add_device_extent(void *closure, const struct btrfs_cursor *c, struct platter_error *err)
{
	struct user *u = closure;

	if (c->size < DEVICE_EXTENT_SIZE)
		return pl_corrupt(err, c->at, "device extent of %" PRIu32 " bytes", c->size);
	return pl_ranges_add(u->used, c->key.offset, get_le64(c->data + DEVICE_EXTENT_LENGTH), err);
}

static int
use_device_tree(struct user *u, struct platter_error *err)
{
	struct btrfs_root root;
	int r = pl_btrfs_find_tree(u->fs, BTRFS_DEVICE_TREE, &root, err);

	if (r == -ENOENT)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "there is no device tree");
	if (r < 0)
		return r;
	r = pl_btrfs_each(u->fs, &root, u->fs->device_id, BTRFS_DEVICE_EXTENT, add_device_extent, u,
			  err);
	/* Whatever the superblock leads to is somewhere in there. */
	if (r == 0 && !u->used->nr)
		r = pl_corrupt(err, PLATTER_NO_OFFSET, "the device tree names no extents");
	return r;
}

static bool
tells_extents(const struct btrfs *fs)
{
	if (get_le64(fs->sb + BTRFS_LOG_ROOT) || fs->chunks_damaged ||
	    fs->incompatible & (BTRFS_EXTENT_TREE_V2 | BTRFS_RAID_STRIPE_TREE))
		return false;
	for (size_t i = 0; i < fs->nr_chunks; i++)
		if (fs->chunks[i].striped && fs->chunks[i].local)
			return false;
	return true;
}

int
pl_btrfs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	struct user u = { .fs = pl_btrfs_of(v), .used = used };
	int r = -ENOTSUP;

	if (tells_extents(u.fs))
		r = use_extent_tree(&u, err);
	if (r < 0 && r != -ENOMEM) {
		pl_ranges_done(used);
		r = use_device_tree(&u, err);
	}
	if (r == 0)
		r = pl_ranges_add(used, 0, RESERVED, err);
	for (size_t i = 0; r == 0 && i < BTRFS_NR_SUPERBLOCKS; i++)
		r = pl_ranges_add(used, pl_btrfs_superblocks[i], BTRFS_SUPERBLOCK_SIZE, err);
	return r;
}
