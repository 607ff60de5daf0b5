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

struct sq_cache;

struct squashfs {
	struct pl_volume volume;
	const struct pl_unpacker *unpacker;
	struct sq_cache *cache;
	struct pl_disk *fragments; /* unpacked, one every block_size + 4 bytes; see volume.c */
	uint64_t ids, inodes, folders, fragment_table, xattr_ids; /* offsets; UINT64_MAX: none */
	uint64_t xattrs;
	uint32_t nr_ids, nr_inodes, nr_fragments, nr_xattrs;
	uint32_t created;
	uint16_t flags, codec;
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

int pl_squashfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
		     struct platter_error *err);

#endif
