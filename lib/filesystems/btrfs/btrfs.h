/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs.h - what the files of the Btrfs driver share
 *
 * Everything inside is addressed by logical bytes.  chunks.c finds the superblock and turns
 * logical into physical bytes, tree.c reads nodes and walks trees, the others read what is in
 * the trees.
 */
#ifndef PL_BTRFS_H
#define PL_BTRFS_H

#include <pthread.h>

#include "volume.h"

#define BTRFS_SUPERBLOCK      KIB(64)
#define BTRFS_SUPERBLOCK_SIZE KIB(4)
#define BTRFS_NR_SUPERBLOCKS  3
extern const uint64_t pl_btrfs_superblocks[BTRFS_NR_SUPERBLOCKS];

#define BTRFS_MAX_LEVEL 7 /* of a root; eight levels of nodes */

/* The superblock. */
enum {
	BTRFS_CHECKSUM = 0,
	BTRFS_FSID = 32,
	BTRFS_SELF = 48,
	BTRFS_FLAGS = 56,
	BTRFS_MAGIC = 64,
	BTRFS_GENERATION = 72,
	BTRFS_ROOT = 80,
	BTRFS_CHUNK_ROOT = 88,
	BTRFS_LOG_ROOT = 96,
	BTRFS_TOTAL = 112,
	BTRFS_USED = 120,
	BTRFS_DEVICES = 136,
	BTRFS_SECTOR_SIZE = 144,
	BTRFS_NODE_SIZE = 148,
	BTRFS_SYSTEM_CHUNKS_SIZE = 160,
	BTRFS_COMPATIBLE_RO = 180,
	BTRFS_INCOMPATIBLE = 188,
	BTRFS_CHECKSUM_TYPE = 196,
	BTRFS_ROOT_LEVEL = 198,
	BTRFS_CHUNK_ROOT_LEVEL = 199,
	BTRFS_DEVICE_ID = 201,
	BTRFS_DEVICE_SIZE = 209,
	BTRFS_DEVICE_UUID = 267,
	BTRFS_LABEL = 299,
	BTRFS_SYSTEM_CHUNKS = 811,
	BTRFS_SYSTEM_CHUNKS_ROOM = 2048,
};

enum {
	BTRFS_CRC32C = 0,
};

/* Bits of BTRFS_INCOMPATIBLE that change where things are. */
#define BTRFS_EXTENT_TREE_V2   (1u << 13)
#define BTRFS_RAID_STRIPE_TREE (1u << 14)
#define BTRFS_KNOWN_FEATURES   0x17fffu

/* Trees. */
enum {
	BTRFS_EXTENT_TREE = 2,
	BTRFS_DEVICE_TREE = 4,
	BTRFS_TOP_TREE = 5, /* the subvolume that holds all others */
	BTRFS_FIRST_FREE = 256,
};

/* Types of keys. */
enum {
	BTRFS_INODE_ITEM = 1,
	BTRFS_INODE_REF = 12,
	BTRFS_INODE_EXTREF = 13,
	BTRFS_XATTR_ITEM = 24,
	BTRFS_DIR_ITEM = 84,
	BTRFS_DIR_INDEX = 96,
	BTRFS_EXTENT_DATA = 108,
	BTRFS_ROOT_ITEM = 132,
	BTRFS_ROOT_BACKREF = 144,
	BTRFS_ROOT_REF = 156,
	BTRFS_EXTENT_ITEM = 168,
	BTRFS_METADATA_ITEM = 169,
	BTRFS_DEVICE_EXTENT = 204,
	BTRFS_CHUNK_ITEM = 228,
};

/* Inode items, which root items begin with. */
enum {
	INODE_SIZE = 16,
	INODE_BYTES = 24,
	INODE_LINKS = 40,
	INODE_UID = 44,
	INODE_GID = 48,
	INODE_MODE = 52,
	INODE_DEVICE = 56,
	INODE_FLAGS = 64,
	INODE_ACCESSED = 112,
	INODE_CHANGED = 124,
	INODE_MODIFIED = 136,
	INODE_CREATED = 148,
	INODE_ITEM_SIZE = 160,
};
enum {
	ROOT_BYTES = 176, /* where its root node is, logical */
	ROOT_FLAGS = 208, /* bit 0: read-only */
	ROOT_LEVEL = 238,
	ROOT_ITEM_SIZE = 239, /* of the first version; later ones add: */
	ROOT_PARENT_UUID = 263,
	ROOT_UUID_END = 279,
};
/* References to roots: the folder, and the name in it. */
enum {
	ROOT_REF_FOLDER = 0,
	ROOT_REF_NAME_LENGTH = 16,
	ROOT_REF_NAME = 18,
};

struct btrfs_key {
	uint64_t objectid;
	uint64_t offset;
	uint8_t type;
};
#define BTRFS_KEY_SIZE 17
struct btrfs_key pl_btrfs_get_key(const uint8_t *p);
int pl_btrfs_compare_keys(const struct btrfs_key *a, const struct btrfs_key *b);

/* Copies of a chunk that are wholly on this device; RAID1C4 with all on one has four. */
#define BTRFS_MAX_COPIES 4

struct btrfs_chunk {
	uint64_t logical, length, type;
	uint64_t physical[BTRFS_MAX_COPIES];
	unsigned copies; /* on this device */
	bool striped;    /* only parts of it are on each device */
	bool local;      /* something of it is on this device */
};

struct btrfs_root {
	uint64_t logical;
	unsigned level;
};

struct btrfs_node;

struct btrfs {
	struct pl_volume volume;
	uint8_t sb[BTRFS_SUPERBLOCK_SIZE];
	uint64_t superblock; /* where the one that was chosen is */
	uint64_t device_id;
	uint64_t incompatible;
	uint32_t node_size, sector_size;
	uint16_t checksum_type;
	struct btrfs_chunk *chunks; /* in order of `logical` */
	size_t nr_chunks, chunks_capacity;
	bool chunks_damaged; /* not all are known */
	struct btrfs_root root_tree, chunk_tree;
	pthread_mutex_t lock; /* of the nodes */
	struct btrfs_node **nodes;
	uint32_t nr_nodes;
};

static inline struct btrfs *
pl_btrfs_of(struct pl_volume *v)
{
	return pl_container_of(v, struct btrfs, volume);
}

int pl_btrfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
		  struct platter_error *err);

/* chunks.c */
int pl_btrfs_choose_superblock(struct btrfs *fs, struct platter_error *err);
/* -EUCLEAN: does not fit; `n` bytes with checksum in front. */
bool pl_btrfs_checksum_matches(const struct btrfs *fs, const uint8_t *block, size_t n);
int pl_btrfs_load_chunks(struct btrfs *fs, struct platter_error *err);
const struct btrfs_chunk *pl_btrfs_find_chunk(const struct btrfs *fs, uint64_t logical);
/*
 * The chunk that holds `logical` and can be read from this device.  -ENOTSUP: it is striped,
 * or on devices that are not at hand.
 */
int pl_btrfs_map(const struct btrfs *fs, uint64_t logical, const struct btrfs_chunk **ret,
		 struct platter_error *err);

/* tree.c */
int pl_btrfs_nodes_init(struct btrfs *fs, struct platter_error *err);
void pl_btrfs_nodes_done(struct btrfs *fs);

/* A place in a tree.  Start from {0}; every use ends with pl_btrfs_leave(). */
struct btrfs_cursor {
	struct btrfs *fs;
	struct btrfs_node *node[BTRFS_MAX_LEVEL + 1]; /* [0] the leaf; NULL at the end */
	uint32_t slot[BTRFS_MAX_LEVEL + 1];
	struct btrfs_key last; /* where the walk ends */
	unsigned level;        /* of the root */
	unsigned damaged;      /* nodes that could not be read */

	/* The item that it is at, valid until the cursor moves. */
	struct btrfs_key key;
	const uint8_t *data;
	uint32_t size;
	uint64_t at; /* where on this device the data is */
};

/*
 * Go to the first item at or behind `key`, and not behind `last`.  Returns 1, or 0 if there is
 * none.  After an error pl_btrfs_next() goes on behind what is damaged.
 */
int pl_btrfs_seek(struct btrfs *fs, const struct btrfs_root *root, const struct btrfs_key *key,
		  const struct btrfs_key *last, struct btrfs_cursor *c, struct platter_error *err);
/* The next one: 1, or 0 at the end. */
int pl_btrfs_next(struct btrfs_cursor *c, struct platter_error *err);
void pl_btrfs_leave(struct btrfs_cursor *c);

/* The item of just this key: -ENOENT without words. */
int pl_btrfs_find(struct btrfs *fs, const struct btrfs_root *root, const struct btrfs_key *key,
		  struct btrfs_cursor *c, struct platter_error *err);

/* The root of a tree, by its number; -ENOENT without words. */
int pl_btrfs_find_tree(struct btrfs *fs, uint64_t tree, struct btrfs_root *ret,
		       struct platter_error *err);

/*
 * Call `fn` for every item of (objectid, type), or of the type alone if objectid is UINT64_MAX.
 * Damage does not end it: the first error is returned when the rest has been visited.
 */
typedef int pl_btrfs_item_fn(void *closure, const struct btrfs_cursor *c,
			     struct platter_error *err);
int pl_btrfs_each(struct btrfs *fs, const struct btrfs_root *root, uint64_t objectid, uint8_t type,
		  pl_btrfs_item_fn *fn, void *closure, struct platter_error *err);

/* inode.c: the tree that a node is in, and its inode item. */
struct btrfs_inode {
	struct btrfs_root tree;
	uint8_t item[INODE_ITEM_SIZE];
};
int pl_btrfs_read_inode(struct btrfs *fs, struct pl_node_id id, struct btrfs_inode *ret,
			struct platter_error *err);

/* data.c */
int pl_btrfs_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream,
		       const char *name, struct pl_disk **ret, struct platter_error *err);
int pl_btrfs_read_link(struct pl_volume *v, struct pl_node_id id, char **ret,
		       struct platter_error *err);

/* compression.c: the decoder of a method; NULL: not known. */
const struct pl_decoder *pl_btrfs_decoder(const struct btrfs *fs, unsigned method);

/* used.c */
int pl_btrfs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err);

/* subvolumes.c */
int pl_btrfs_find_subvolume(struct btrfs *fs, const char *name, uint64_t *ret,
			    struct platter_error *err);
void pl_btrfs_describe(struct pl_volume *v, struct pl_facts *facts);

#endif
