/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext.h - what the files of the ext2, ext3 and ext4 driver share
 *
 * super.c     superblock
 * group.c     group descriptors, where superblock copies and descriptors stand
 * inode.c     inodes
 * map.c       extents and block maps as runs
 * dir.c       folders, block by block
 * hash.c      hashes of names
 * index.c     finding a name by its hash
 * xattr.c     extended attributes
 * journal.c   what the journal holds, laid over the disk by overlay.c
 * used.c      block bitmaps
 * deleted.c   deleted files
 * describe.c  facts
 * volume.c    the driver's operations
 *
 * Blocks, groups and inodes are named by their numbers; everything else is bytes.
 */
#ifndef PL_EXT_H
#define PL_EXT_H

#include "volume.h"

#define EXT_SUPERBLOCK      1024
#define EXT_SUPERBLOCK_SIZE 1024
#define EXT_MAX_BLOCK       KIB(64)
#define EXT_MAX_INODE       4096
#define EXT_MAX_NAME        255

enum {
	EXT_ROOT_INODE = 2,
	EXT_JOURNAL_INODE = 8,
	EXT_I_BLOCK = 40,   /* of an inode: its map, a target, contents */
	EXT_NR_INLINE = 60, /* bytes of that */
};

enum {
	COMPAT_JOURNAL = 0x4,
	COMPAT_RESIZE_INODE = 0x10,
	COMPAT_DIR_INDEX = 0x20,
	COMPAT_SPARSE_SUPER2 = 0x200,
	COMPAT_FAST_COMMIT = 0x400,
};
enum {
	INCOMPAT_COMPRESSION = 0x1,
	INCOMPAT_FILETYPE = 0x2,
	INCOMPAT_RECOVER = 0x4,
	INCOMPAT_JOURNAL_DEV = 0x8,
	INCOMPAT_META_BG = 0x10,
	INCOMPAT_EXTENTS = 0x40,
	INCOMPAT_64BIT = 0x80,
	INCOMPAT_MMP = 0x100,
	INCOMPAT_FLEX_BG = 0x200,
	INCOMPAT_EA_INODE = 0x400,
	INCOMPAT_DIRDATA = 0x1000,
	INCOMPAT_CSUM_SEED = 0x2000,
	INCOMPAT_LARGE_DIR = 0x4000,
	INCOMPAT_INLINE_DATA = 0x8000,
	INCOMPAT_ENCRYPT = 0x10000,
	INCOMPAT_CASEFOLD = 0x20000,
	INCOMPAT_KNOWN = 0x3f7df,
};
enum {
	RO_COMPAT_SPARSE = 0x1,
	RO_COMPAT_LARGE_FILE = 0x2,
	RO_COMPAT_BTREE_DIR = 0x4,
	RO_COMPAT_HUGE_FILE = 0x8,
	RO_COMPAT_GDT_CSUM = 0x10,
	RO_COMPAT_BIGALLOC = 0x200,
	RO_COMPAT_METADATA_CSUM = 0x400,
	RO_COMPAT_KNOWN = 0x1f77f, /* all but snapshots, which Linux never took in */
};
enum {
	STATE_CLEAN = 1,
	STATE_ERRORS = 2
};

/* The superblock, in host order, every field checked. */
struct ext_super {
	uint64_t blocks, free_blocks, reserved_blocks;
	uint32_t inodes, free_inodes;
	uint32_t first_data_block;
	uint32_t block_size, block_bits;
	uint32_t cluster_ratio; /* blocks */
	uint32_t blocks_per_group, inodes_per_group;
	uint32_t nr_groups;
	uint32_t descriptor_size, descriptors_per_block;
	uint32_t first_meta_bg;
	uint32_t reserved_gdt_blocks;
	uint32_t backup_groups[2];
	uint32_t inode_size, first_inode;
	uint32_t compat, incompat, ro_compat;
	uint32_t state, flags;
	uint32_t journal_inode, journal_device;
	bool has_journal_copy;
	uint8_t journal_copy[EXT_NR_INLINE]; /* of what the journal's inode has as its map */
	uint64_t journal_size;
	uint32_t checksum_seed;
	uint32_t hash_seed[4];
	unsigned default_hash;
	bool unsigned_hash, gdt_csum, metadata_csum;
	uint8_t uuid[16];
};

/* What became of the journal. */
struct ext_journal_report {
	bool present, external, fast_commits;
	uint64_t size;
	uint32_t nr_transactions, nr_blocks;
	char *problem; /* why it could not be replayed, or not wholly; malloc()ed, or NULL */
};

struct ext {
	struct pl_volume volume;
	struct ext_super sb;
	struct ext_journal_report journal;
};

static inline struct ext *
ext_of(struct pl_volume *v)
{
	return pl_container_of(v, struct ext, volume);
}

/* Byte of the disk; a block below sb.blocks cannot wrap. */
static inline uint64_t
ext_block_offset(const struct ext *fs, uint64_t block)
{
	return block << fs->sb.block_bits;
}

/* super.c */

/* `raw` stands at EXT_SUPERBLOCK of the disk. */
int ext_super_decode(const uint8_t raw[static EXT_SUPERBLOCK_SIZE], bool ignore_checksums,
		     struct ext_super *ret, struct platter_error *err);

/* group.c */

enum {
	GROUP_INODE_UNINIT = 1,
	GROUP_BLOCK_UNINIT = 2,
};

struct ext_group {
	uint64_t block_bitmap, inode_bitmap, inode_table;
	uint32_t free_blocks; /* clusters */
	uint32_t free_inodes, unused_inodes, flags;
	uint32_t block_bitmap_csum, inode_bitmap_csum;
	bool wide_csum; /* those have 32 bits, else 16 */
};

/* Where its inodes are, by a copy of the descriptor if it is damaged. */
int ext_group_inodes(const struct ext *fs, uint32_t group, uint64_t *ret,
		     struct platter_error *err);
int ext_group_read(const struct ext *fs, uint32_t group, struct ext_group *ret,
		   struct platter_error *err);
/* Has it a copy of the superblock? */
bool ext_group_has_super(const struct ext_super *sb, uint32_t group);
uint64_t ext_group_first_block(const struct ext_super *sb, uint32_t group);
/* The last group may be shorter. */
uint32_t ext_group_nr_blocks(const struct ext_super *sb, uint32_t group);
/* Blocks of a bitmap that count, in clusters. */
uint32_t ext_group_nr_clusters(const struct ext_super *sb, uint32_t group);
/* The block that a bitmap is, its checksum verified. */
int ext_bitmap_read(const struct ext *fs, const struct ext_group *g, uint32_t group, bool of_inodes,
		    uint8_t *bits, struct platter_error *err);

/* inode.c */

enum {
	INODE_COMPRESSED = 0x4,
	INODE_IMMUTABLE = 0x10,
	INODE_APPEND = 0x20,
	INODE_COMPRESSED_BLOCKS = 0x200,
	INODE_ENCRYPTED = 0x800,
	INODE_INDEX = 0x1000,
	INODE_HUGE_FILE = 0x40000,
	INODE_EXTENTS = 0x80000,
	INODE_VERITY = 0x100000,
	INODE_EA_INODE = 0x200000,
	INODE_INLINE_DATA = 0x10000000,
	INODE_CASEFOLD = 0x40000000,
};

struct ext_inode {
	uint32_t number;
	uint64_t at; /* byte of the disk */
	uint32_t mode, uid, gid, links, flags, generation;
	uint32_t deleted_at; /* seconds; in the list of orphans the next one's number */
	uint32_t extra_size; /* of the fields behind the first 128 bytes */
	uint64_t size;
	uint64_t allocated; /* bytes */
	uint64_t xattr_block;
	uint32_t checksum_seed; /* of what belongs to it */
	bool bad_checksum;      /* which was to be ignored */
	const uint8_t *block;   /* i_block, EXT_NR_INLINE bytes of raw */
	uint8_t raw[EXT_MAX_INODE];
};

/* Where inode `number` stands. */
int ext_inode_offset(const struct ext *fs, uint64_t number, uint64_t *ret,
		     struct platter_error *err);
int ext_inode_read(const struct ext *fs, uint64_t number, struct ext_inode *ret,
		   struct platter_error *err);
/* From raw[0..inode_size) and `at`, which are filled in. */
int ext_inode_decode(const struct ext *fs, uint32_t number, struct ext_inode *inode,
		     struct platter_error *err);
void ext_inode_tell(const struct ext *fs, const struct ext_inode *inode, struct platter_file *ret);
enum platter_file_type ext_inode_type(const struct ext_inode *inode);

/* map.c */

#define EXT_NODE_MAGIC 0xf30a /* a node of extents begins with it */

/*
 * Where the contents are.  On damage the error is returned, and *runs has what comes
 * before it; pl_runs_done() in every case.
 */
int ext_map(const struct ext *fs, const struct ext_inode *inode, struct pl_runs *runs,
	    struct platter_error *err);
/* The first `n` bytes of the contents, zeros where nothing is; -EUCLEAN past their end. */
int ext_read(const struct ext *fs, const struct ext_inode *inode, uint8_t *buf, size_t n,
	     struct platter_error *err);

/* dir.c */

struct ext_entry {
	const uint8_t *name;
	uint32_t length;
	uint32_t inode;
	uint32_t type;             /* as stored; 0: unknown */
	uint32_t hash, minor_hash; /* of a folder with ext_dir_stores_hashes() */
};

typedef int ext_entry_fn(void *closure, const struct ext_entry *e, struct platter_error *err);

/* What a walk through a folder calls; other than 0 ends it. */
struct ext_dir_visitor {
	ext_entry_fn *entry;
	ext_entry_fn *slack; /* what may be entries in the room that others leave unused; or NULL */
	void *closure;
	int ended; /* what ended the walk, or 0 */
};

/*
 * Every entry in use, "." and ".." too.  Damage does not end it: what can be read is
 * shown, and the first error comes at the end.
 */
int ext_dir_walk(const struct ext *fs, const struct ext_inode *dir, struct ext_dir_visitor *visitor,
		 struct platter_error *err);
/* One block, `at` of the disk; damage ends it. */
int ext_dir_block_walk(const struct ext *fs, const struct ext_inode *dir, const uint8_t *block,
		       uint32_t length, uint64_t at, struct ext_dir_visitor *visitor,
		       struct platter_error *err);
/* Block `logical` of the folder by its runs; -EUCLEAN: a hole, or past the end. */
int ext_dir_block_read(const struct ext *fs, const struct ext_inode *dir,
		       const struct pl_runs *runs, uint32_t logical, uint8_t *buf, uint64_t *ret_at,
		       struct platter_error *err);
/* Does a block's checksum match, be it of entries or of the index? */
bool ext_dir_checksum_matches(const struct ext *fs, const struct ext_inode *dir,
			      const uint8_t *block, bool first);
bool ext_dir_has_index(const struct ext *fs, const struct ext_inode *dir);
/* The hashes of its names need the key, and so stand beside them. */
bool ext_dir_stores_hashes(const struct ext_inode *dir);

/* A node of the index: the first 8 bytes of its entries are how many fit and are in use. */
struct ext_dir_node {
	uint32_t entries_at;
	uint32_t limit, count;
	unsigned hash_version, levels; /* of the root */
};

/* False: the block is no node of an index. */
bool ext_dir_node_decode(const struct ext *fs, const uint8_t *block, bool first,
			 struct ext_dir_node *ret);

/* hash.c */

enum {
	HASH_LEGACY,
	HASH_HALF_MD4,
	HASH_TEA,
	HASH_LEGACY_UNSIGNED,
	HASH_HALF_MD4_UNSIGNED,
	HASH_TEA_UNSIGNED,
	HASH_SIPHASH,
};

/* False: the version is not known.  Bit 0 of *ret is 0; *ret_minor may be NULL. */
bool ext_hash_name(const struct ext_super *sb, unsigned version, const uint8_t *name, size_t n,
		   uint32_t *ret, uint32_t *ret_minor);

/* index.c */

/*
 * Visit the entries of every block in which the index of `dir` puts names with the hash of
 * `name`.  -EUCLEAN, -ENOTSUP: the index cannot be used.
 */
int ext_index_walk(const struct ext *fs, const struct ext_inode *dir, const char *name, size_t n,
		   struct ext_dir_visitor *visitor, struct platter_error *err);

/* xattr.c */

int ext_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	       struct platter_error *err);
/* What of inline data did not fit i_block: in inode->raw; *ret_n 0: nothing. */
int ext_xattr_inline_data(const struct ext *fs, const struct ext_inode *inode, const uint8_t **ret,
			  uint32_t *ret_n, struct platter_error *err);

/* overlay.c */

/* A block of the disk that is to be read from elsewhere. */
struct ext_moved {
	uint64_t block;
	uint64_t stored; /* byte of `below`, or of `patched` with the flag */
	bool patched;
};

/*
 * `below` with `nr` blocks replaced; they are in order, each there once.  Takes `moved` over
 * and keeps references to `below` and `patched` (may be NULL).
 */
int ext_overlay_new(struct pl_disk *below, struct pl_disk *patched, struct ext_moved *moved,
		    size_t nr, unsigned block_bits, struct pl_disk **ret,
		    struct platter_error *err);

/* journal.c */

/*
 * What the file system looks like after its journal is replayed: *ret is a disk over
 * volume.disk, or NULL if nothing is to be replayed.  fs->journal is filled in.  An error
 * that leaves no choice is returned; what only spoils the replay is in fs->journal.problem.
 */
int ext_journal_replay(struct ext *fs, struct pl_disk **ret, struct platter_error *err);

/* used.c, deleted.c, describe.c */
int ext_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err);
int ext_deleted(struct pl_volume *v, pl_deleted_fn *fn, void *closure, struct platter_error *err);
void ext_describe(struct pl_volume *v, struct pl_facts *facts);

/* volume.c */
int pl_ext_open(const struct pl_volume_request *request, struct pl_volume **ret,
		struct platter_error *err);

#endif
