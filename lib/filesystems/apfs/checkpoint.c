/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * apfs/checkpoint.c - the newest state of a container that is whole
 *
 * Nothing is written in place.  A transaction ends with a checkpoint: its ephemeral objects
 * go into one ring of blocks (the data area), and into another (the descriptor area) go the
 * blocks that map them and a copy of the container's superblock.  Block 0 has a copy too, as
 * new as the last clean unmount; it tells where the rings are.  So there is no journal: the
 * newest checkpoint of which everything verifies *is* the state after a crash.
 *
 *	offset  size  checkpoint map, behind the header (checkpoint_map_phys_t)
 *	    32     4  flags; 1: the last one
 *	    36     4  entries of 40 bytes, from byte 40: type, subtype, size (4 each), 4 unused,
 *	              volume, object, block (8 each)
 */
#include "apfs.h"

enum {
	MAP_ENTRIES = 36,
	MAP_FIRST = 40,
	MAP_ENTRY = 40
};
enum {
	ENTRY_TYPE = 0,
	ENTRY_SIZE = 8,
	ENTRY_OID = 24,
	ENTRY_BLOCK = 32
};

/* Of the counts of blocks in the rings: the ring is in pieces, which a tree lists. */
#define IN_PIECES UINT32_C(0x80000000)

/* Systems make descriptor areas of a few hundred blocks, even for many terabytes. */
#define MAX_DESC_BLOCKS (1u << 16)

/* So many of the newest are tried: the data area has room for four at least, and few more. */
#define MAX_TRIED 8

/* 64 times as many as a busy container has. */
#define MAX_EPHEMERAL (1u << 16)

/* The largest is the space manager: two million addresses of chunk information fit. */
#define MAX_EPHEMERAL_SIZE MIB(16)

/* All of a checkpoint; that of 8 TiB has a few MiB. */
#define MAX_EPHEMERAL_BYTES MIB(128)

struct candidate {
	uint64_t xid;
	uint32_t index; /* in the descriptor area */
};

static int
newest_first(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return x->xid > y->xid ? -1 : x->xid < y->xid;
}

static uint64_t
ring_block(const uint8_t *super, unsigned base_at, unsigned blocks_at, uint64_t index)
{
	uint32_t blocks = get_le32(super + blocks_at);

	return get_le64(super + base_at) + (blocks ? index % blocks : index);
}

/* What open needs of a superblock is within reason. */
static int
check_super(const uint8_t *super, struct platter_error *err)
{
	uint64_t incompat = get_le64(super + NX_INCOMPAT), bytes;
	uint32_t size = get_le32(super + NX_BLOCK_SIZE);

	if (memcmp(super + NX_MAGIC, "NXSB", 4))
		return pl_corrupt(err, NX_MAGIC, "no APFS container: no 'NXSB' at byte 32");
	if (!pl_is_power_of_two(size) || size < NX_SIZE || size > APFS_MAX_BLOCK)
		return pl_corrupt(err, NX_BLOCK_SIZE,
				  "APFS blocks of %" PRIu32 " bytes, not of %d to %" PRIu64, size,
				  (int)NX_SIZE, (uint64_t)APFS_MAX_BLOCK);
	if (__builtin_mul_overflow(get_le64(super + NX_BLOCKS), (uint64_t)size, &bytes))
		return pl_corrupt(err, NX_BLOCKS,
				  "APFS container of %" PRIu64 " blocks of %" PRIu32 " bytes",
				  get_le64(super + NX_BLOCKS), size);
	if (incompat & NX_INCOMPAT_VERSION1)
		return pl_unsupported(err, NX_INCOMPAT,
				      "APFS of the first beta versions, which nothing reads now");
	if (incompat & ~(uint64_t)(NX_INCOMPAT_VERSION2 | NX_INCOMPAT_FUSION))
		return pl_unsupported(err, NX_INCOMPAT,
				      "APFS container with unknown features 0x%" PRIx64, incompat);
	return 0;
}

/* The data area is a ring, and an object may go round its end. */
static int
read_ephemeral(struct apfs *fs, const struct apfs_ephemeral *e, uint8_t *buf,
	       struct platter_error *err)
{
	const uint8_t *super = fs->checkpoint.super;
	uint64_t base = get_le64(super + NX_DATA_BASE), at = 0;
	uint32_t blocks = get_le32(super + NX_DATA_BLOCKS);
	bool ring = !(blocks & IN_PIECES) && e->block >= base && e->block - base < blocks;

	for (uint64_t i = 0; i < e->size / fs->block_size; i++) {
		uint64_t block = ring ? base + (e->block - base + i) % blocks : e->block + i;
		int r = pl_apfs_locate(fs, block, 1, "ephemeral object", &at, err);

		if (r == 0)
			r = pl_meta_read(fs->volume.meta, buf + i * fs->block_size, fs->block_size,
					 at, err);
		if (r < 0)
			return r;
	}
	if (fs->volume.ignore_checksums)
		return 0;
	if (!pl_apfs_checksum_matches(buf, e->size))
		return pl_corrupt(err, e->block * fs->block_size,
				  "checksum of ephemeral object %" PRIu64 " at block %" PRIu64
				  " does not match",
				  e->oid, e->block);
	if (get_le64(buf + OBJ_OID) != e->oid ||
	    (get_le32(buf + OBJ_TYPE) & TYPE_MASK) != (e->type & TYPE_MASK))
		return pl_corrupt(err, e->block * fs->block_size,
				  "ephemeral object %" PRIu64 " of type %" PRIu32
				  " is not at block %" PRIu64,
				  e->oid, e->type & TYPE_MASK, e->block);
	return 0;
}

static int
check_ephemeral(struct apfs *fs, const struct apfs_ephemeral *e, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = malloc(e->size);

	return buf ? read_ephemeral(fs, e, buf, err) : pl_no_memory(err);
}

static int
add_entry(struct apfs *fs, struct apfs_checkpoint *ck, const uint8_t *entry, uint64_t at,
	  struct platter_error *err)
{
	struct apfs_ephemeral e = {
		.oid = get_le64(entry + ENTRY_OID),
		.block = get_le64(entry + ENTRY_BLOCK),
		.type = get_le32(entry + ENTRY_TYPE),
		.size = get_le32(entry + ENTRY_SIZE),
	};
	struct apfs_ephemeral *p;

	if (!e.size || e.size % fs->block_size || e.size > MAX_EPHEMERAL_SIZE ||
	    e.size / fs->block_size > (get_le32(ck->super + NX_DATA_BLOCKS) & ~IN_PIECES) ||
	    e.size > MAX_EPHEMERAL_BYTES - ck->ephemeral_bytes)
		return pl_corrupt(err, at + ENTRY_SIZE,
				  "ephemeral object %" PRIu64 " of %" PRIu32 " bytes", e.oid,
				  e.size);
	if (ck->nr_ephemeral == MAX_EPHEMERAL)
		return pl_over_limit(err, at, "checkpoint of more than %u objects", MAX_EPHEMERAL);
	/* In steps of powers of two. */
	if (pl_is_power_of_two(ck->nr_ephemeral) || !ck->nr_ephemeral) {
		p = pl_realloc_array(ck->ephemeral, PL_MAX(16, 2 * ck->nr_ephemeral), sizeof *p);
		if (!p)
			return pl_no_memory(err);
		ck->ephemeral = p;
	}
	ck->ephemeral_bytes += e.size;
	ck->ephemeral[ck->nr_ephemeral++] = e;
	return 0;
}

static int
read_map(struct apfs *fs, struct apfs_checkpoint *ck, uint64_t block, uint8_t *buf,
	 struct platter_error *err)
{
	uint64_t at;
	uint32_t nr;
	int r = pl_apfs_read_object(fs, block, fs->block_size, TYPE_CHECKPOINT_MAP,
				    "checkpoint map", buf, err);

	if (r < 0)
		return r;
	at = block * fs->block_size;
	nr = get_le32(buf + MAP_ENTRIES);
	if (get_le64(buf + OBJ_XID) != ck->xid)
		return pl_corrupt(err, at + OBJ_XID,
				  "checkpoint map of transaction %" PRIu64 ", not %" PRIu64,
				  get_le64(buf + OBJ_XID), ck->xid);
	if (nr > (fs->block_size - MAP_FIRST) / MAP_ENTRY)
		return pl_corrupt(err, at + MAP_ENTRIES, "checkpoint map of %" PRIu32 " entries",
				  nr);
	for (uint32_t i = 0; i < nr && r == 0; i++)
		r = add_entry(fs, ck, buf + MAP_FIRST + (size_t)i * MAP_ENTRY,
			      at + MAP_FIRST + (uint64_t)i * MAP_ENTRY, err);
	return r;
}

/* Of a checkpoint whose superblock is known: its maps, its objects, the object map. */
static int
verify(struct apfs *fs, struct platter_error *err)
{
	struct apfs_checkpoint *ck = &fs->checkpoint;
	PL_AUTOFREE uint8_t *buf = malloc(fs->block_size);
	uint32_t blocks = get_le32(ck->super + NX_DESC_BLOCKS);
	uint32_t index = get_le32(ck->super + NX_DESC_INDEX);
	uint32_t length = get_le32(ck->super + NX_DESC_LENGTH);
	struct apfs_node *root;
	int r = 0;

	if (!buf)
		return pl_no_memory(err);
	if (blocks & IN_PIECES)
		return pl_unsupported(err, NX_DESC_BLOCKS, "checkpoints in pieces are not read");
	if (index >= blocks || length < 2 || length > PL_MIN(blocks, MAX_DESC_BLOCKS))
		return pl_corrupt(err, NX_DESC_INDEX,
				  "checkpoint of %" PRIu32 " blocks at %" PRIu32 " of %" PRIu32,
				  length, index, blocks);
	/* The last block is the superblock. */
	for (uint32_t i = 0; i + 1 < length && r == 0; i++)
		r = read_map(fs, ck,
			     ring_block(ck->super, NX_DESC_BASE, NX_DESC_BLOCKS,
					(uint64_t)index + i),
			     buf, err);
	for (size_t i = 0; i < ck->nr_ephemeral && r == 0 && !fs->volume.ignore_checksums; i++)
		r = check_ephemeral(fs, &ck->ephemeral[i], err);
	if (r == 0)
		r = pl_apfs_omap_open(fs, get_le64(ck->super + NX_OMAP), &fs->omap, err);
	if (r == 0)
		r = pl_apfs_node_get(fs, &fs->omap, fs->omap.root, NULL, &root, err);
	if (r == 0)
		pl_apfs_node_unref(root);
	return r;
}

static void
use_super(struct apfs *fs, const uint8_t *super)
{
	struct apfs_checkpoint *ck = &fs->checkpoint;

	memcpy(ck->super, super, NX_SIZE);
	ck->xid = get_le64(super + OBJ_XID);
	ck->nr_ephemeral = 0;
	ck->ephemeral_bytes = 0;
	fs->nr_blocks = get_le64(super + NX_BLOCKS);
	fs->fusion = get_le64(super + NX_INCOMPAT) & NX_INCOMPAT_FUSION;
}

/* Superblocks in the descriptor area, the newest first. */
static int
find_candidates(struct apfs *fs, const uint8_t *first, struct candidate **ret, size_t *ret_nr,
		struct platter_error *err)
{
	uint32_t blocks = get_le32(first + NX_DESC_BLOCKS);
	PL_AUTOFREE struct candidate *found = NULL;
	PL_AUTOFREE uint8_t *buf = malloc(fs->block_size);
	size_t nr = 0;

	if (blocks & IN_PIECES || blocks > MAX_DESC_BLOCKS)
		blocks = 0;
	found = calloc(blocks + (size_t)1, sizeof *found);
	if (!buf || !found)
		return pl_no_memory(err);
	for (uint32_t i = 0; i < blocks; i++) {
		uint64_t block = ring_block(first, NX_DESC_BASE, NX_DESC_BLOCKS, i);

		if (pl_apfs_read_object(fs, block, fs->block_size, TYPE_CONTAINER, "superblock",
					buf, NULL) < 0 ||
		    check_super(buf, NULL) < 0 || get_le32(buf + NX_BLOCK_SIZE) != fs->block_size)
			continue;
		found[nr++] = (struct candidate){ get_le64(buf + OBJ_XID), i };
	}
	qsort(found, nr, sizeof *found, newest_first);
	*ret = PL_STEAL(found);
	*ret_nr = nr;
	return 0;
}

/* Take the superblock of a candidate; NULL: that of block 0. */
static int
use_candidate(struct apfs *fs, const uint8_t *first, const struct candidate *c,
	      struct platter_error *err)
{
	PL_AUTOFREE uint8_t *super = malloc(NX_SIZE);
	uint64_t block;
	int r;

	if (!super)
		return pl_no_memory(err);
	if (!c) {
		use_super(fs, first);
		return 0;
	}
	block = ring_block(first, NX_DESC_BASE, NX_DESC_BLOCKS, c->index);
	r = pl_meta_read(fs->volume.meta, super, NX_SIZE, block * fs->block_size, err);
	if (r == 0)
		use_super(fs, super);
	return r;
}

/* Where nothing verifies the newest is taken: files may be there although a map is broken. */
static int
choose(struct apfs *fs, const uint8_t *first, const struct candidate *found, size_t nr,
       struct platter_error *err)
{
	struct apfs_checkpoint *ck = &fs->checkpoint;
	int r;

	for (size_t i = 0; i < PL_MIN(nr, MAX_TRIED); i++) {
		r = use_candidate(fs, first, &found[i], err);
		if (r == 0)
			r = verify(fs, err);
		if (r == -ENOMEM)
			return r;
		if (r == 0) {
			ck->whole = true;
			ck->skipped = (unsigned)i;
			return 0;
		}
	}
	r = use_candidate(fs, first, nr ? found : NULL, err);
	if (r == 0)
		r = verify(fs, err);
	ck->whole = r == 0;
	if (r < 0 && pl_apfs_omap_open(fs, get_le64(ck->super + NX_OMAP), &fs->omap, NULL) == 0)
		r = 0;
	return r;
}

int
pl_apfs_checkpoint_open(struct apfs *fs, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *first = malloc(NX_SIZE);
	PL_AUTOFREE struct candidate *found = NULL;
	PL_AUTOFREE uint8_t *whole = NULL;
	size_t nr = 0;
	int r;

	if (!first)
		return pl_no_memory(err);
	r = pl_meta_read(fs->volume.meta, first, NX_SIZE, 0, err);
	if (r == 0)
		r = check_super(first, err);
	if (r < 0)
		return r;
	fs->block_size = get_le32(first + NX_BLOCK_SIZE);
	use_super(fs, first);
	r = pl_apfs_cache_new(fs, err);
	if (r == 0)
		r = find_candidates(fs, first, &found, &nr, err);
	if (r == 0)
		r = choose(fs, first, found, nr, err);
	if (r < 0)
		return r;
	whole = malloc(fs->block_size);
	if (!whole)
		return pl_no_memory(err);
	fs->checkpoint.newer = pl_apfs_read_object(fs, 0, fs->block_size, TYPE_CONTAINER,
						   "superblock", whole, NULL) < 0 ||
			       fs->checkpoint.xid > get_le64(first + OBJ_XID);
	return 0;
}

int
pl_apfs_ephemeral_read(struct apfs *fs, uint64_t oid, enum object_type type, uint8_t **ret,
		       size_t *ret_size, struct platter_error *err)
{
	const struct apfs_checkpoint *ck = &fs->checkpoint;

	for (size_t i = 0; i < ck->nr_ephemeral; i++) {
		const struct apfs_ephemeral *e = &ck->ephemeral[i];
		PL_AUTOFREE uint8_t *buf = NULL;
		int r;

		if (e->oid != oid || (e->type & TYPE_MASK) != type)
			continue;
		buf = malloc(e->size);
		if (!buf)
			return pl_no_memory(err);
		r = read_ephemeral(fs, e, buf, err);
		if (r < 0)
			return r;
		*ret = PL_STEAL(buf);
		*ret_size = e->size;
		return 0;
	}
	return pl_corrupt(err, PLATTER_NO_OFFSET,
			  "ephemeral object %" PRIu64 " is not in the checkpoint's map", oid);
}
