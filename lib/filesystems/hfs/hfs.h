/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hfs.h - what the files of the HFS and HFS Plus drivers share
 *
 * The two differ in the width of their numbers and the encoding of their names; trees,
 * catalog and forks are alike.  `plus` tells them apart; HFS Plus stands for HFSX too.
 *
 * A node of the volume is named by where its record is in the catalog file, since files of HFS
 * need not have a thread by which their number (CNID) could be found.
 */
#ifndef PL_HFS_H
#define PL_HFS_H

#include "volume.h"

/* Both headers stand here, and their copies this much before the volume's end. */
#define HFS_HEADER_AT   1024
#define HFS_HEADER_SIZE 512

/* Seconds from 1904 to 1970. */
#define HFS_EPOCH 2082844800

#define HFS_MAX_UNITS 255 /* of a name; HFS has 31 bytes */
#define HFS_MAX_UTF8  (3 * HFS_MAX_UNITS)

/* Nodes of HFS Plus; those of HFS have the smallest size. */
#define HFS_MIN_NODE 512
#define HFS_MAX_NODE KIB(32)

/* Numbers (CNIDs) of what is not in a folder, but for the root. */
enum {
	CNID_ROOT_PARENT = 1,
	CNID_ROOT = 2,
	CNID_EXTENTS = 3,
	CNID_CATALOG = 4,
	CNID_ALLOCATION = 6,
	CNID_ATTRIBUTES = 8,
};

enum {
	FORK_DATA = 0,
	FORK_RESOURCE = 0xff,
};

/* Fields of the master directory block of HFS. */
enum {
	MDB_CREATED = 2,
	MDB_MODIFIED = 6,
	MDB_ATTRIBUTES = 10,
	MDB_BITMAP = 14,
	MDB_BLOCKS = 18,
	MDB_BLOCK_SIZE = 20,
	MDB_FIRST_BLOCK = 28,
	MDB_FREE = 34,
	MDB_LABEL = 36,
	MDB_BACKED_UP = 64,
	MDB_FILES = 84,
	MDB_FOLDERS = 88,
	MDB_FINDER_INFO = 92,
	MDB_VOLUME_ID = 116,
	MDB_EMBEDDED = 124,
	MDB_EMBEDDED_START = 126,
	MDB_EMBEDDED_COUNT = 128,
	MDB_EXTENTS_SIZE = 130,
	MDB_EXTENTS = 134,
	MDB_CATALOG_SIZE = 146,
	MDB_CATALOG = 150,
};

/* Fields of the volume header of HFS Plus. */
enum {
	VH_VERSION = 2,
	VH_ATTRIBUTES = 4,
	VH_LAST_MOUNTED = 8,
	VH_JOURNAL = 12,
	VH_CREATED = 16,
	VH_MODIFIED = 20,
	VH_BACKED_UP = 24,
	VH_CHECKED = 28,
	VH_FILES = 32,
	VH_FOLDERS = 36,
	VH_BLOCK_SIZE = 40,
	VH_BLOCKS = 44,
	VH_FREE = 48,
	VH_FINDER_INFO = 80,
	VH_VOLUME_ID = 104,
	VH_ALLOCATION = 112,
	VH_EXTENTS = 192,
	VH_CATALOG = 272,
	VH_ATTRIBUTES_FILE = 352,
};

/* Attributes of a volume, in both headers. */
enum {
	VOLUME_UNMOUNTED = 1 << 8,
	VOLUME_INCONSISTENT = 1 << 11,
	VOLUME_JOURNALED = 1 << 13,
	VOLUME_LOCKED = 1 << 15,
};

/* A fork as its record tells it: extents are {start, count}, 3 of 2 x 16 bits or 8 of 2 x 32. */
struct hfs_fork {
	uint64_t size;
	uint64_t blocks; /* allocated to it */
	uint8_t extents[64];
};

/* A B-tree; `size` 0: there is none. */
struct hfs_tree {
	const char *name;
	struct pl_runs runs;
	uint64_t size;
	uint32_t node_size, nr_nodes, root, depth;
	unsigned max_key; /* bytes of every key in index nodes; 0: as long as they need to be */
	bool wide_keys;   /* their length takes 2 bytes */
	bool binary;      /* names that differ in case are not one */
};

/* What the journal turned out to be. */
struct hfs_journal {
	bool present, elsewhere, replayed;
	uint64_t at, size;
	size_t nr_transactions; /* that are seen though they were never written to their place */
	char problem[160];      /* why it was not replayed; empty: it was, or need not */
};

struct hfs {
	struct pl_volume volume;
	bool plus;
	bool from_backup; /* the header that was used is the copy */
	uint64_t wrapped; /* byte where the volume begins that an HFS volume wraps; else 0 */
	uint64_t start;   /* byte of block 0 */
	uint64_t end;     /* byte where the volume ends */
	uint32_t block_size, nr_blocks;
	uint8_t header[HFS_HEADER_SIZE];
	struct hfs_tree extents, catalog, attributes;
	uint32_t private_files,
		private_folders; /* CNIDs of the folders with what is linked to; 0 */
	struct hfs_journal journal;
	char problem[160]; /* of a tree without which the files can be listed; empty: none */
};

static inline struct hfs *
pl_hfs(struct pl_volume *v)
{
	return pl_container_of(v, struct hfs, volume);
}

/* --- names.c */

/* Mac OS Roman as UTF-16BE; `units` has room for 2 * n bytes. */
void pl_hfs_from_roman(const uint8_t *bytes, size_t n, uint8_t *units);

/*
 * A name of the catalog, `n` units of UTF-16BE or bytes of Mac OS Roman, as paths show it:
 * ':' for '/' and U+2400 for NUL.  `out` has room for HFS_MAX_UTF8 + 1; returns the bytes.
 */
size_t pl_hfs_name(bool plus, const uint8_t *name, unsigned n, char *out);

/* The other way, for HFS Plus: *ret_nr units, at most HFS_MAX_UNITS of them; false: too long. */
bool pl_hfs_name_units(const char *name, size_t n, uint8_t units[static 2 * HFS_MAX_UNITS],
		       unsigned *ret_nr);

/* The order of two names of HFS Plus: < 0, 0, > 0. */
int pl_hfs_name_order(bool binary, const uint8_t *a, unsigned nr_a, const uint8_t *b,
		      unsigned nr_b);

/* --- fork.c */

void pl_hfs_fork_plus(const uint8_t p[static 80], struct hfs_fork *ret);
void pl_hfs_fork_old(const struct hfs *fs, uint64_t size, uint64_t stored,
		     const uint8_t extents[static 12], struct hfs_fork *ret);

/* Blocks of one record of extents behind `*blocks` of the fork, until `wanted` are known. */
int pl_hfs_add_extents(const struct hfs *fs, const uint8_t *extents, uint64_t wanted,
		       uint64_t *blocks, struct pl_runs *runs, struct platter_error *err);

/* Where all of a fork is; `ret` starts from {0}. */
int pl_hfs_fork_runs(struct hfs *fs, const struct hfs_fork *fork, uint32_t cnid, unsigned kind,
		     struct pl_runs *ret, struct platter_error *err);

/* n bytes at `offset` of what the runs make, through the cache of metadata. */
int pl_hfs_read(struct hfs *fs, const struct pl_runs *runs, void *buf, size_t n, uint64_t offset,
		struct platter_error *err);

/* A fork as a disk. */
int pl_hfs_fork_open(struct hfs *fs, const struct hfs_fork *fork, uint32_t cnid, unsigned kind,
		     const char *name, struct pl_disk **ret, struct platter_error *err);

/* --- tree.c */

struct hfs_record {
	const uint8_t *key; /* behind its length */
	unsigned key_length;
	const uint8_t *data;
	unsigned length;
	uint64_t at; /* of the record in the tree's file */
};

/* Is the key before (< 0), in (0) or behind (> 0) what is looked for? */
typedef int hfs_order_fn(const void *wanted, const uint8_t *key, unsigned n);
/* Other than 0 ends the walk, which returns that. */
typedef int hfs_record_fn(void *closure, const struct hfs_record *record,
			  struct platter_error *err);

/* Open the tree in a fork; `name` is for messages. */
int pl_hfs_tree_open(struct hfs *fs, const struct hfs_fork *fork, uint32_t cnid, const char *name,
		     struct hfs_tree *ret, struct platter_error *err);
void pl_hfs_tree_done(struct hfs_tree *t);

/* The records in a range of keys, in order.  Past damage it goes on, and returns it at the end. */
int pl_hfs_tree_walk(struct hfs *fs, const struct hfs_tree *t, hfs_order_fn *order,
		     const void *wanted, hfs_record_fn *fn, void *closure,
		     struct platter_error *err);

/* The key and data of a record, of which n bytes are at p.  False if it is not right. */
bool pl_hfs_record_decode(const struct hfs_tree *t, bool leaf, const uint8_t *p, unsigned n,
			  struct hfs_record *ret);

/* --- catalog.c */

/* Permissions and finder flags. */
enum {
	FLAG_LOCKED = 1 << 0,
	FLAG_LINK_CHAIN = 1 << 5,
	FINDER_INVISIBLE = 1 << 14,
	FINDER_ALIAS = 1 << 15,
};

/* A folder or file of the catalog. */
struct hfs_node {
	bool folder;
	uint32_t cnid, parent;
	unsigned flags;
	uint32_t created, modified, changed, accessed; /* since 1904; 0: not recorded */
	bool has_permissions;
	uint32_t uid, gid, special;
	unsigned mode, bsd_flags;
	uint8_t finder[32];
	struct hfs_fork data, resource;
};

/* What a record of the catalog is. */
enum {
	RECORD_FOLDER = 1,
	RECORD_FILE,
	RECORD_FOLDER_THREAD,
	RECORD_FILE_THREAD,
};
unsigned pl_hfs_record_type(const struct hfs *fs, const struct hfs_record *r);

/* The name in a record's key; its units or bytes are *ret_nr. */
const uint8_t *pl_hfs_key_name(const struct hfs *fs, const struct hfs_record *r, unsigned *ret_nr);

int pl_hfs_node_decode(const struct hfs *fs, const struct hfs_record *r, struct hfs_node *ret,
		       struct platter_error *err);

/* The folder or file whose record is at `at`. */
int pl_hfs_node_read(struct hfs *fs, uint64_t at, struct hfs_node *ret, struct platter_error *err);

/* Every record of a folder but its thread. */
int pl_hfs_folder_walk(struct hfs *fs, uint32_t cnid, hfs_record_fn *fn, void *closure,
		       struct platter_error *err);

/* One name of a folder of HFS Plus: where its record is.  -ENOENT without words. */
int pl_hfs_find(struct hfs *fs, uint32_t folder, const uint8_t *units, unsigned nr, uint64_t *ret,
		struct platter_error *err);

/*
 * Hard links of HFS Plus: files that stand for one in a private folder.  Where that is, or
 * -ENOENT without words; `node` need not be one, then *ret is not changed.
 */
int pl_hfs_follow(struct hfs *fs, const struct hfs_node *node, uint64_t *ret,
		  struct platter_error *err);
bool pl_hfs_is_link(const struct hfs_node *node);

enum platter_file_type pl_hfs_type(const struct hfs_node *node);

/* --- attributes.c */

/* The attributes in the tree, their forks read.  `wanted`: that one alone, or NULL. */
int pl_hfs_attributes(struct hfs *fs, uint32_t cnid, const char *wanted, pl_attribute_fn *fn,
		      void *closure, struct platter_error *err);

/* The whole value of one, malloc()ed.  -ENOENT without words. */
int pl_hfs_attribute(struct hfs *fs, uint32_t cnid, const char *name, uint8_t **ret, size_t *ret_n,
		     struct platter_error *err);

/* --- journal.c */

/*
 * Looks at the journal that the header names.  If it holds changes, the volume's disk is
 * replaced by one on which they are made.  Fails for want of memory only: else fs->journal
 * tells what is wrong.
 */
int pl_hfs_journal(struct hfs *fs, struct platter_error *err);

/* --- volume.c, describe.c, open.c */

extern const struct pl_volume_ops pl_hfs_ops, pl_hfsplus_ops;
int pl_hfs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err);
void pl_hfs_describe(struct pl_volume *v, struct pl_facts *facts);
void pl_hfs_free(struct pl_volume *v);
int pl_hfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
		struct platter_error *err);
int pl_hfsplus_open(const struct pl_volume_request *request, struct pl_volume **ret,
		    struct platter_error *err);

#endif
