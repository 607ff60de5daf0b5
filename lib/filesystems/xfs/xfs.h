/* SPDX-License-Identifier: GPL-3.0-or-later */
/* xfs.h - what the files of the XFS driver share */
#ifndef PL_XFS_H
#define PL_XFS_H

#include "volume.h"

/* Inodes are 256 bytes to 2 KiB. */
#define XFS_MAX_INODE 2048

/* A tree of extents is never deeper: each level holds hundreds of the next. */
#define XFS_MAX_LEVELS 9

struct xfs {
	struct pl_volume volume;
	uint64_t blocks, log_start, free_blocks;
	uint32_t ag_blocks, nr_ags, log_blocks, rt_blocks;
	uint32_t folder_block; /* bytes of a block of a folder */
	uint32_t incompat;
	uint16_t sector_size, inode_size;
	uint8_t block_bits, inode_bits, inodes_per_block_bits, ag_block_bits;
	bool v5, has_types; /* folders tell the types of what is in them */
	uint8_t uuid[16];
};

enum xfs_format {
	XFS_DEVICE,
	XFS_LOCAL,
	XFS_EXTENTS,
	XFS_BTREE,
};

struct xfs_inode {
	uint64_t number, size, blocks, nr_extents;
	uint64_t flags2;
	uint32_t uid, gid, links, nr_attr_extents, device;
	uint16_t mode, flags;
	enum xfs_format format, attr_format;
	struct platter_time accessed, modified, changed, created;
	/* The forks, in `raw`: of the contents, and of the extended attributes (size 0: none). */
	size_t fork, fork_size, attr_fork, attr_fork_size;
	uint8_t raw[XFS_MAX_INODE];
};

static inline struct xfs *
xfs_of(struct pl_volume *v)
{
	return pl_container_of(v, struct xfs, volume);
}

/* The CRC-32C that version 5 keeps at byte `at` of a structure of n bytes, itself taken as zero. */
bool xfs_checksum_matches(const uint8_t *bytes, size_t n, size_t at);

/* The byte of the disk where a block is that is numbered by its group and its place in that. */
int xfs_block_offset(const struct xfs *fs, uint64_t block, uint64_t *ret,
		     struct platter_error *err);

int xfs_inode_read(struct xfs *fs, uint64_t number, struct xfs_inode *ret,
		   struct platter_error *err);

/* The extents of a fork of n bytes as runs of the disk; `nr` is how many the inode counts. */
int xfs_fork_runs(struct xfs *fs, const struct xfs_inode *i, bool attributes, struct pl_runs *runs,
		  struct platter_error *err);
/* The same as a disk of `size` bytes. */
int xfs_fork_open(struct xfs *fs, const struct xfs_inode *i, bool attributes, uint64_t size,
		  const char *name, struct pl_disk **ret, struct platter_error *err);

int xfs_folder_list(struct xfs *fs, const struct xfs_inode *i, pl_entry_fn *fn, void *closure,
		    struct platter_error *err);

int xfs_attributes_list(struct xfs *fs, const struct xfs_inode *i, pl_attribute_fn *fn,
			void *closure, struct platter_error *err);

/* Does the log end with a record that it was unmounted?  -ENOTSUP: it cannot be told. */
int xfs_log_is_clean(struct xfs *fs, bool *ret, struct platter_error *err);

int pl_xfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
		struct platter_error *err);

#endif
