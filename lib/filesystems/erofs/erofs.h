/* SPDX-License-Identifier: GPL-3.0-or-later */
/* erofs.h - what the files of the EROFS driver share */
#ifndef PL_EROFS_H
#define PL_EROFS_H

#include "volume.h"

#define EROFS_MAGIC      0xe0f5e1e2
#define EROFS_SUPERBLOCK 1024

/* Fields of the superblock. */
enum {
	SB_CHECKSUM = 4,
	SB_COMPAT = 8,
	SB_BLOCK_BITS = 12,
	SB_EXTRA_SLOTS = 13, /* of 16 bytes, behind the first 128 */
	SB_ROOT_16 = 14,     /* with 48 bits: the upper part of the blocks' count */
	SB_INODES = 16,
	SB_EPOCH = 24,
	SB_EPOCH_NSEC = 32,
	SB_BLOCKS = 36,
	SB_META_BLOCK = 40,
	SB_XATTR_BLOCK = 44,
	SB_UUID = 48,
	SB_LABEL = 64,
	SB_INCOMPAT = 80,
	SB_ALGORITHMS = 84,
	SB_EXTRA_DEVICES = 86,
	SB_FOLDER_BLOCK_BITS = 90,
	SB_NR_PREFIXES = 91,
	SB_PREFIXES = 92,
	SB_PACKED = 96,
	SB_BUILD_TIME = 108,
	SB_ROOT_64 = 112,
	SB_METABOX = 128,
	SB_SIZE = 144,
};

enum {
	COMPAT_CHECKSUM = 0x1,
	COMPAT_MTIME = 0x2,
	COMPAT_XATTR_FILTER = 0x4,
	COMPAT_SHARED_XATTRS_IN_METABOX = 0x8,
	COMPAT_PLAIN_PREFIXES = 0x10,
};
enum {
	INCOMPAT_PADDED_LZ4 = 0x1,
	INCOMPAT_ALGORITHMS = 0x2, /* and physical clusters of several blocks */
	INCOMPAT_CHUNKS = 0x4,
	INCOMPAT_DEVICES = 0x8, /* and a second algorithm in a file */
	INCOMPAT_TAIL_PACKING = 0x10,
	INCOMPAT_FRAGMENTS = 0x20, /* and data that is stored once */
	INCOMPAT_XATTR_PREFIXES = 0x40,
	INCOMPAT_48_BITS = 0x80,
	INCOMPAT_METABOX = 0x100,
	INCOMPAT_KNOWN = 0x1ff,
};

/* Of a node's number: its inode is in the metabox. */
#define EROFS_IN_METABOX (1ull << 63)

/* 1 TiB in blocks of 4 KiB; larger files of other layouts than flat are refused. */
#define EROFS_MAX_PIECES (1u << 28)

/* Where inodes are: the disk, or the contents of a file, the metabox. */
struct erofs_area {
	struct pl_meta *meta;
	struct pl_disk *disk;
};

/* The beginning of names of extended attributes: an index of the short ones, and more. */
struct erofs_prefix {
	uint8_t base, length;
	char infix[255];
};

struct erofs {
	struct pl_volume volume;
	struct erofs_area device, metabox; /* the latter's are NULL: there is none */
	struct pl_disk *packed;            /* what files have in common; NULL: nothing */
	struct erofs_prefix *prefixes;
	unsigned nr_prefixes;
	unsigned block_bits;
	uint64_t blocks; /* of this device */
	uint64_t meta_start, xattr_start;
	int64_t epoch;
	uint64_t nr_inodes;
	uint32_t epoch_nsec, build_time;
	uint32_t compat, incompat;
	uint16_t algorithms, extra_devices, device_mask;
};

enum erofs_layout {
	LAYOUT_PLAIN,
	LAYOUT_COMPRESSED, /* an index of 8 bytes for each logical cluster, or extents */
	LAYOUT_INLINE,     /* the last block is behind the inode */
	LAYOUT_COMPACT,    /* compressed, with indexes of 2 and 4 bytes */
	LAYOUT_CHUNKS,
	NR_LAYOUTS,
};

struct erofs_inode {
	const struct erofs_area *area;
	uint64_t xattrs, end; /* in the area: what follows the inode, and what follows that */
	uint64_t size;
	uint64_t start; /* block; UINT64_MAX: all of it is a hole */
	int64_t mtime;
	uint32_t nsec, uid, gid, links;
	uint32_t device;
	enum platter_file_type type;
	enum erofs_layout layout;
	uint16_t mode, chunk_format;
};

static inline struct erofs *
erofs_of(struct pl_volume *v)
{
	return pl_container_of(v, struct erofs, volume);
}

/* inode.c */
int erofs_inode_read(struct erofs *fs, uint64_t nid, struct erofs_inode *ret,
		     struct platter_error *err);

/* contents.c */
int erofs_open_contents(struct erofs *fs, const struct erofs_inode *i, const char *name,
			struct pl_disk **ret, struct platter_error *err);
/* The contents of a file of the file system's own. */
int erofs_open_inner(struct erofs *fs, uint64_t nid, const char *name, struct pl_disk **ret,
		     struct platter_error *err);
/* Blocks that a file says are its own: -ENOTSUP if they are on another device. */
int erofs_check_blocks(const struct erofs *fs, uint64_t start, uint64_t nr,
		       struct platter_error *err);
/* n bytes of an area as bytes of a file. */
int erofs_add_data(const struct erofs_inode *i, struct pl_runs *runs, uint64_t offset, uint64_t n,
		   uint64_t stored, struct platter_error *err);

/* compressed.c: the runs of a compressed file */
int erofs_add_compressed(struct erofs *fs, const struct erofs_inode *i, struct pl_runs *runs,
			 struct platter_error *err);

/* folder.c */
int erofs_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	       struct platter_error *err);
int erofs_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
		 struct pl_node_id *ret, struct platter_error *err);

/* attributes.c */
int erofs_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
		 struct platter_error *err);
int erofs_read_prefixes(struct erofs *fs, const uint8_t *sb, struct platter_error *err);

/* identify.c: its own four bytes count as zeros; `n` bytes from the superblock on */
bool erofs_checksum_matches(const uint8_t *sb, size_t n);
static inline size_t
erofs_checksummed(uint32_t block_size)
{
	return block_size > EROFS_SUPERBLOCK ? block_size - EROFS_SUPERBLOCK : block_size;
}

int pl_erofs_open(const struct pl_volume_request *request, struct pl_volume **ret,
		  struct platter_error *err);

#endif
