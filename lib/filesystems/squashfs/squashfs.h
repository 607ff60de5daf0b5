/* SPDX-License-Identifier: GPL-3.0-or-later */
/* squashfs.h - what the files of the SquashFS driver share */
#ifndef PL_SQUASHFS_H
#define PL_SQUASHFS_H

#include "codec.h"
#include "volume.h"

/* What a block of the tables holds when it is unpacked. */
#define SQ_METADATA 8192

/* Where a byte of a table is: the block's offset on the disk, and the byte in it. */
struct sq_position {
	uint64_t block;
	uint32_t offset;
};

/* Types of inodes, those of entries too. */
enum {
	TYPE_FOLDER = 1,
	TYPE_FILE,
	TYPE_SYMLINK,
	TYPE_BLOCK,
	TYPE_CHARACTER,
	TYPE_FIFO,
	TYPE_SOCKET,
	EXTENDED = 7, /* more: the same with more fields */
	MAX_TYPE = 14,
};

#define NO_FRAGMENT 0xffffffffu
#define NO_XATTRS   0xffffffffu

/* Of a block's stored length: it is not compressed. */
#define STORED_AS_IS (1u << 24)

struct sq_inode {
	unsigned type;           /* a basic one */
	uint16_t mode, uid, gid; /* indexes of owners */
	uint32_t mtime, links, xattr;
	uint32_t number;   /* 0: it has none */
	uint64_t size;     /* of a folder: of its entries */
	uint64_t start;    /* of a file: its blocks on the disk; of a folder: its block, */
	uint32_t offset;   /* and byte in that; of a file: in its fragment */
	uint32_t fragment; /* NO_FRAGMENT: none */
	uint32_t device;
	struct sq_position rest; /* what follows: block lengths, or a link's target */
};

/* Entries of a folder whose inodes are in one block of the table. */
struct sq_run {
	uint32_t nr_entries, block;
	size_t size; /* of what was read */
};

/* An entry, with its name behind it. */
struct sq_entry_head {
	unsigned offset, type;
	size_t length; /* of the name */
	size_t size;   /* of what was read */
};

struct squashfs;

/* How a version stores what all of them have.  What is read at a position moves it on. */
struct sq_layout {
	/* Fills in what *fs has of it; the caller checks it. */
	int (*superblock)(struct squashfs *fs, struct platter_error *err);
	/* `type` and what depends on it; *at is behind the inode. */
	int (*inode)(struct squashfs *fs, struct sq_position *at, struct sq_inode *ret,
		     struct platter_error *err);
	int (*owners)(struct squashfs *fs, const struct sq_inode *i, uint32_t *uid, uint32_t *gid,
		      struct platter_error *err);
	int (*run)(struct squashfs *fs, struct sq_position *at, struct sq_run *ret,
		   struct platter_error *err);
	int (*entry)(struct squashfs *fs, struct sq_position *at, struct sq_entry_head *ret,
		     struct platter_error *err);
	/* The stored length of a block of a file, with STORED_AS_IS; 0: it is a hole. */
	int (*block_length)(struct squashfs *fs, struct sq_position *at, uint32_t *ret,
			    struct platter_error *err);
	/* Of a fragment, and where it is. */
	int (*fragment)(struct squashfs *fs, uint32_t index, uint64_t *start, uint32_t *length,
			struct platter_error *err);
};
extern const struct sq_layout sq_layout_4;
extern const struct sq_layout sq_layout_old; /* versions 1 to 3 */

struct sq_cache;

struct squashfs {
	struct pl_volume volume;
	const struct sq_layout *layout;
	const struct pl_unpacker *unpacker;
	struct sq_cache *cache;
	struct pl_disk *fragments; /* unpacked, one every block_size + 4 bytes; see volume.c */
	uint64_t bytes;            /* that it covers */
	uint64_t ids, inodes, folders, fragment_table, xattr_ids; /* offsets; UINT64_MAX: none */
	uint64_t xattrs;
	uint64_t groups; /* before version 4, which has one table of IDs */
	uint32_t nr_ids, nr_groups, nr_inodes, nr_fragments, nr_xattrs;
	uint32_t created;
	uint16_t flags, codec, version;
	uint8_t pointer_size; /* of lists of a table's blocks */
	uint8_t head_size;    /* in front of each */
	bool big_endian;
};

int sq_cache_new(struct squashfs *fs, struct platter_error *err);
void sq_cache_free(struct sq_cache *c);

/*
 * n bytes of a table from *at on, across blocks; *at is where they end.  `buf` NULL: they are
 * only passed.
 */
int sq_read(struct squashfs *fs, struct sq_position *at, void *buf, size_t n,
	    struct platter_error *err);

/*
 * Entry `index` of a table of `size`-byte entries that is found through a list of blocks at
 * byte `list` of the disk: IDs, fragments, extended attributes.
 */
int sq_entry(struct squashfs *fs, uint64_t list, uint32_t index, void *buf, size_t size,
	     struct platter_error *err);

/*
 * A number of n bits, `at` bits into a structure: from its low end if the file system is
 * little-endian, else from its high end.
 */
uint64_t sq_bits(bool big_endian, const uint8_t *b, unsigned at, unsigned n);

int pl_squashfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
		     struct platter_error *err);

#endif
