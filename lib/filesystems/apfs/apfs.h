/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * apfs.h - what the files of the APFS driver share
 *
 * A container is a pool of blocks with up to a hundred volumes in it.  Everything but file
 * data is an *object*, with a header of 32 bytes; how it is reached depends on its kind:
 *
 *	physical   its number is its block
 *	virtual    an object map, a B-tree, tells the block for its number and a transaction
 *	ephemeral  a checkpoint's map tells where it was written when the system last did so
 *
 * "Apple File System Reference" (Apple, 2020) calls the structures nx_superblock_t,
 * omap_phys_t, btree_node_phys_t, apfs_superblock_t, j_inode_val_t and so on; all integers
 * are little-endian.
 *
 * The files, from the bottom up:
 *
 *	object.c      headers, checksums, the cache of B-tree nodes
 *	btree.c       keys, nodes, cursors, object maps
 *	checkpoint.c  which state of the container is the newest that is whole
 *	subvolume.c   a volume of the container and its snapshots
 *	catalog.c     inodes, folders' entries, extended attributes, extents
 *	volume.c      the operations of struct pl_volume
 *	spaceman.c    which blocks are in use
 *	describe.c    what there is to tell
 */
#ifndef PL_APFS_H
#define PL_APFS_H

#include <pthread.h>

#include "volume.h"

#define APFS_MAX_BLOCK   KIB(64)
#define APFS_MAX_VOLUMES 100

/* `tree` of the made-up folder that holds the volumes where there are several. */
#define APFS_TOP APFS_MAX_VOLUMES

/* A tree of 16 levels of 64 entries would have more nodes than a disk has blocks. */
#define APFS_MAX_LEVELS 16

/* The longest name, with its NUL, that a key has bits for. */
#define APFS_MAX_NAME 1023

enum {
	OBJ_OID = 8,
	OBJ_XID = 16,
	OBJ_TYPE = 24,
	OBJ_SUBTYPE = 28,
	OBJ_HEADER = 32
};
enum object_type {
	TYPE_ANY = 0,
	TYPE_CONTAINER = 1,
	TYPE_BTREE = 2,
	TYPE_BTREE_NODE = 3,
	TYPE_SPACEMAN = 5,
	TYPE_CAB = 6,
	TYPE_CIB = 7,
	TYPE_OMAP = 11,
	TYPE_CHECKPOINT_MAP = 12,
	TYPE_VOLUME = 13,
	TYPE_INTEGRITY = 30,
	TYPE_MASK = 0xffff
};
#define TYPE_PHYSICAL 0x40000000u
#define TYPE_STORAGE  0xc0000000u /* the bits that tell; neither: virtual */

/* Of the container superblock. */
enum {
	NX_MAGIC = 32,
	NX_BLOCK_SIZE = 36,
	NX_BLOCKS = 40,
	NX_FEATURES = 48,
	NX_RO_COMPAT = 56,
	NX_INCOMPAT = 64,
	NX_UUID = 72,
	NX_DESC_BLOCKS = 104,
	NX_DATA_BLOCKS = 108,
	NX_DESC_BASE = 112,
	NX_DATA_BASE = 120,
	NX_DESC_INDEX = 136,
	NX_DESC_LENGTH = 140,
	NX_SPACEMAN = 152,
	NX_OMAP = 160,
	NX_MAX_VOLUMES = 180,
	NX_VOLUMES = 184,
	NX_BLOCKED = 1240,
	NX_FLAGS = 1264,
	NX_JUMPSTART = 1272,
	NX_FUSION_UUID = 1280,
	NX_KEYLOCKER = 1296,
	NX_SIZE = 4096 /* the smallest block, more than any field needs */
};
enum {
	NX_INCOMPAT_VERSION1 = 1,
	NX_INCOMPAT_VERSION2 = 2,
	NX_INCOMPAT_FUSION = 0x100
};

/* Of an object map. */
enum {
	OMAP_TREE = 48
};

/* Of a volume's superblock. */
enum {
	FS_MAGIC = 32,
	FS_INDEX = 36,
	FS_FEATURES = 40,
	FS_INCOMPAT = 56,
	FS_UNMOUNTED = 64,
	FS_RESERVE = 72,
	FS_QUOTA = 80,
	FS_ALLOCATED = 88,
	FS_ROOT_TYPE = 116,
	FS_OMAP = 128,
	FS_ROOT = 136,
	FS_SNAPSHOTS_TREE = 152,
	FS_REVERT_XID = 160,
	FS_FILES = 184,
	FS_FOLDERS = 192,
	FS_SYMLINKS = 200,
	FS_OTHERS = 208,
	FS_SNAPSHOTS = 216,
	FS_UUID = 240,
	FS_MODIFIED = 256,
	FS_FLAGS = 264,
	FS_FORMATTED_BY = 272,
	FS_MODIFIED_BY = 320,
	FS_NAME = 704,
	FS_NAME_SIZE = 256,
	FS_ROLE = 964,
	FS_ROOT_TO_XID = 968,
	FS_ENCRYPTION_STATE = 976,
	FS_GROUP = 1008,
	FS_INTEGRITY = 1024,
	FS_EXTENTS_TREE = 1032,
	FS_SIZE = 4096
};
enum {
	FS_FLAG_UNENCRYPTED = 1,
	FS_FLAG_ONE_KEY = 8
};
enum {
	FS_FEATURE_HARD_LINK_MAP = 2,
	FS_FEATURE_DEFRAG = 4,
	FS_FEATURE_STRICT_ATIME = 8,
	FS_FEATURE_GROUP_INODES = 16
};
enum {
	FS_CASE_INSENSITIVE = 1,
	FS_DATALESS_SNAPSHOTS = 2,
	FS_ENCRYPTION_ROLLED = 4,
	FS_NORMALIZATION_INSENSITIVE = 8,
	FS_INCOMPLETE_RESTORE = 0x10,
	FS_SEALED = 0x20,
	FS_INCOMPAT_KNOWN = 0x1ff
};

/* The kinds of records in a volume's tree. */
enum record_type {
	RECORD_SNAPSHOT = 1,
	RECORD_INODE = 3,
	RECORD_XATTR = 4,
	RECORD_SIBLING = 5,
	RECORD_EXTENT = 8,
	RECORD_ENTRY = 9,
	RECORD_SNAPSHOT_NAME = 11,
	RECORD_FILE_INFO = 13
};

enum apfs_inode_number {
	INODE_ROOT = 2
};

/* What a tree's keys look like. */
enum apfs_keys {
	KEYS_OMAP,    /* object, transaction */
	KEYS_CATALOG, /* object and type, then what the type has */
	KEYS_EXTENTS, /* data stream, offset */
};

struct apfs_tree {
	uint32_t id; /* in the cache of nodes */
	enum apfs_keys keys;
	bool hashed_names; /* KEYS_CATALOG: entries are sorted by their names' hashes */
	bool sealed;       /* nodes have no headers; their parents have their SHA-256 */
	bool has_root_hash;
	uint8_t root_hash[32];
	uint64_t root;                /* its root node's object; a block where `omap` is NULL */
	const struct apfs_tree *omap; /* what tells where its nodes are */
	uint64_t xid;                 /* and as of when */
};

struct apfs_key {
	uint64_t id;     /* object, inode, data stream */
	unsigned type;   /* enum record_type */
	uint64_t number; /* transaction, offset, hash with length: what the type has */
	const char *name;
	size_t name_length;
};

/* A node of a B-tree, checked so far that its parts lie within it. */
struct apfs_node {
	atomic_uint refs;
	uint64_t block;
	uint32_t size;
	unsigned flags, level;
	uint32_t nr;    /* records */
	uint32_t table; /* where what locates them begins, */
	uint32_t keys;  /* keys, */
	uint32_t end;   /* and where values end: they are counted backwards from there */
	uint8_t bytes[];
};

struct apfs_record {
	struct apfs_key key;
	const uint8_t *value;
	uint32_t value_length;
	uint64_t at; /* byte of the disk: of its node */
};

struct apfs_ephemeral {
	uint64_t oid, block;
	uint32_t type, size;
};

struct apfs_checkpoint {
	uint8_t super[NX_SIZE];
	uint64_t xid;
	struct apfs_ephemeral *ephemeral;
	size_t nr_ephemeral;
	uint64_t ephemeral_bytes;
	bool whole;       /* everything that it consists of verifies */
	bool newer;       /* than the copy in block 0 */
	unsigned skipped; /* newer ones that do not verify */
};

/* One of the container's volumes. */
struct apfs_subvolume {
	bool absent; /* it has not the snapshot that is shown */
	bool encrypted, sealed, folds_case, folds_normalization;
	unsigned index;
	uint16_t role;
	char name[FS_NAME_SIZE + 16]; /* unique in the container, without '/' */
	uint8_t super[FS_SIZE];
	uint64_t block_at; /* byte of its superblock */
	struct apfs_tree omap, snapshots, catalog, extents;
	int broken; /* its files cannot be read: this, and why */
	struct platter_error why;
};

struct apfs {
	struct pl_volume volume;
	uint32_t block_size;
	uint64_t nr_blocks; /* that may be pointed to */
	bool fusion;
	uint32_t nr_trees; /* ids given */
	struct apfs_checkpoint checkpoint;
	struct apfs_tree omap; /* of the container */
	struct apfs_cache *cache;
	unsigned nr_subvolumes, nr_shown;
	struct apfs_subvolume *subvolume[APFS_MAX_VOLUMES]; /* by index; NULL: none */
};

static inline struct apfs *
apfs_of(struct pl_volume *v)
{
	return pl_container_of(v, struct apfs, volume);
}

/* object.c */

/* Fletcher's sums over the object's 32-bit words; `size` is a multiple of 4. */
bool pl_apfs_checksum_matches(const uint8_t *object, size_t size);

/* The byte at which block `block` begins, if `nr_blocks` from there may be pointed to. */
int pl_apfs_locate(struct apfs *fs, uint64_t block, uint64_t nr_blocks, const char *what,
		   uint64_t *ret_at, struct platter_error *err);

/* An object of `size` bytes at `block`: its checksum, and its type if that is not TYPE_ANY. */
int pl_apfs_read_object(struct apfs *fs, uint64_t block, size_t size, enum object_type type,
			const char *what, uint8_t *buf, struct platter_error *err);

int pl_apfs_cache_new(struct apfs *fs, struct platter_error *err);
void pl_apfs_cache_free(struct apfs *fs);

/*
 * The node `oid` of a tree.  `hash`: of a sealed one what its parent says, else NULL.
 * Release with pl_apfs_node_unref().
 */
int pl_apfs_node_get(struct apfs *fs, const struct apfs_tree *tree, uint64_t oid,
		     const uint8_t *hash, struct apfs_node **ret, struct platter_error *err);
void pl_apfs_node_unref(struct apfs_node *node); /* NULL is allowed */

/* btree.c */

/* A physical tree; what else it has is set by the caller. */
void pl_apfs_tree_init(struct apfs *fs, struct apfs_tree *tree, enum apfs_keys keys, uint64_t root);

/*
 * A walk over a tree's records, in the order of their keys.  Nodes that cannot be read are
 * passed over; pl_apfs_cursor_end() then returns the first error.
 */
struct apfs_cursor {
	struct apfs *fs;
	const struct apfs_tree *tree;
	struct {
		struct apfs_node *node;
		uint32_t next;
	} level[APFS_MAX_LEVELS];
	unsigned depth;
	unsigned nr_failed;
	int error;
	struct platter_error why;
	struct apfs_key last; /* of the leaf before; its name in `last_name` */
	bool has_last;
	char last_name[APFS_MAX_NAME];
};

/* Stand before the first record whose key is not less than `key`.  End with _end(), always. */
void pl_apfs_cursor_seek(struct apfs_cursor *c, struct apfs *fs, const struct apfs_tree *tree,
			 const struct apfs_key *key);
/* The next record, valid until the next call; false: no more. */
bool pl_apfs_cursor_next(struct apfs_cursor *c, struct apfs_record *ret);
int pl_apfs_cursor_end(struct apfs_cursor *c, struct platter_error *err);

/* Where a virtual object is. */
struct apfs_mapping {
	uint64_t block;
	uint32_t size, flags;
};
enum {
	MAPPING_DELETED = 1,
	MAPPING_ENCRYPTED = 4,
	MAPPING_NO_HEADER = 8
};
int pl_apfs_omap_find(struct apfs *fs, const struct apfs_tree *omap, uint64_t oid, uint64_t xid,
		      struct apfs_mapping *ret, struct platter_error *err);

/* The object map at `block`, as a tree. */
int pl_apfs_omap_open(struct apfs *fs, uint64_t block, struct apfs_tree *ret,
		      struct platter_error *err);

/* checkpoint.c */

/* Choose the checkpoint; sets block_size, nr_blocks, omap and checkpoint. */
int pl_apfs_checkpoint_open(struct apfs *fs, struct platter_error *err);
/*
 * The whole of an ephemeral object, checked; it may go round the end of the checkpoints' data.
 * malloc()ed, *ret_size bytes.
 */
int pl_apfs_ephemeral_read(struct apfs *fs, uint64_t oid, enum object_type type, uint8_t **ret,
			   size_t *ret_size, struct platter_error *err);

/* subvolume.c */

struct apfs_snapshot {
	const char *name; /* NUL-terminated */
	uint64_t xid, super_block, flags;
	int64_t created; /* nanoseconds since 1970 */
};
enum {
	SNAPSHOT_DATALESS = 1
};
/* Other than 0 ends the walk, which returns that. */
typedef int apfs_snapshot_fn(void *closure, const struct apfs_snapshot *snapshot);
int pl_apfs_snapshots(struct apfs *fs, const struct apfs_subvolume *s, apfs_snapshot_fn *fn,
		      void *closure, struct platter_error *err);

/* All volumes, as they are now or as `snapshot` has them. */
int pl_apfs_subvolumes_open(struct apfs *fs, const char *snapshot, struct platter_error *err);

/* The volume of a node: -ENOENT without one, or why its files cannot be read. */
int pl_apfs_subvolume(struct apfs *fs, struct pl_node_id id, const struct apfs_subvolume **ret,
		      struct platter_error *err);
const char *pl_apfs_role(uint16_t role); /* NULL: none */

/* catalog.c */

enum {
	BSD_IMMUTABLE = 0x2,
	BSD_APPEND = 0x4,
	BSD_COMPRESSED = 0x20,
	BSD_HIDDEN = 0x8000,
	BSD_SYSTEM_IMMUTABLE = 0x20000,
	BSD_SYSTEM_APPEND = 0x40000,
	BSD_FIRMLINK = 0x800000,
	BSD_DATALESS = 0x40000000
};

struct apfs_inode {
	uint64_t parent, data_id;
	int64_t created, modified, changed, accessed; /* nanoseconds since 1970 */
	uint32_t links, bsd_flags, uid, gid, mode, device;
	bool has_data, compressed;
	uint64_t size, allocated, sparse;
};

#define APFS_SYMLINK       "com.apple.fs.symlink"
#define APFS_RESOURCE_FORK "com.apple.ResourceFork"

/* An extended attribute: its bytes, or the stream that holds them. */
struct apfs_xattr {
	char name[APFS_MAX_NAME + 1];
	uint8_t *value; /* malloc()ed; NULL: in a stream */
	uint64_t size, stream_id, allocated;
};
void pl_apfs_xattr_done(struct apfs_xattr *x);

/* `size` is that of the contents, or of a symbolic link's target. */
int pl_apfs_inode(struct apfs *fs, const struct apfs_subvolume *s, uint64_t number,
		  struct apfs_inode *ret, struct platter_error *err);

/* One attribute by name: -ENOENT without words. */
int pl_apfs_xattr_find(struct apfs *fs, const struct apfs_subvolume *s, uint64_t number,
		       const char *name, struct apfs_xattr *ret, struct platter_error *err);

/* All of them; other than 0 ends it. */
typedef int apfs_xattr_fn(void *closure, const struct apfs_xattr *x, struct platter_error *err);
int pl_apfs_xattrs(struct apfs *fs, const struct apfs_subvolume *s, uint64_t number,
		   apfs_xattr_fn *fn, void *closure, struct platter_error *err);

/* A stream of `size` bytes as a disk. */
int pl_apfs_stream_open(struct apfs *fs, const struct apfs_subvolume *s, uint64_t stream_id,
			uint64_t size, const char *name, struct pl_disk **ret,
			struct platter_error *err);
/* The same of an attribute, wherever it is. */
int pl_apfs_xattr_open(struct apfs *fs, const struct apfs_subvolume *s, const struct apfs_xattr *x,
		       const char *name, struct pl_disk **ret, struct platter_error *err);

int pl_apfs_list(struct apfs *fs, const struct apfs_subvolume *s, uint64_t folder, pl_entry_fn *fn,
		 void *closure, struct platter_error *err);
int pl_apfs_lookup(struct apfs *fs, const struct apfs_subvolume *s, uint64_t folder,
		   const char *name, size_t n, uint64_t *ret, struct platter_error *err);

/* spaceman.c */

/* Free bytes by its own count; UINT64_MAX: not known. */
uint64_t pl_apfs_free(struct apfs *fs);
int pl_apfs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err);

/* describe.c */
void pl_apfs_describe(struct pl_volume *v, struct pl_facts *facts);

/* volume.c */
int pl_apfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
		 struct platter_error *err);

#endif
