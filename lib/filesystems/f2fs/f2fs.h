/* SPDX-License-Identifier: GPL-3.0-or-later */
/* f2fs.h - what the files of the F2FS driver share */
#ifndef PL_F2FS_H
#define PL_F2FS_H

#include "volume.h"

#define F2FS_MAGIC 0xf2f52010

/* Of the superblock, at byte 1024 of blocks 0 and 1. */
enum {
	F2FS_SUPER_OFFSET = 1024,
	F2FS_MAJOR = 4,
	F2FS_MINOR = 6,
	F2FS_LOG_SECTOR = 8,
	F2FS_LOG_BLOCK = 16,
	F2FS_LOG_SEGMENT = 20,
	F2FS_CHECKSUM_OFFSET = 32,
	F2FS_BLOCKS = 36,
	F2FS_SEGMENTS_CHECKPOINT = 52,
	F2FS_SEGMENTS_SIT = 56,
	F2FS_SEGMENTS_NAT = 60,
	F2FS_SEGMENTS_SSA = 64,
	F2FS_SEGMENTS_MAIN = 68,
	F2FS_CHECKPOINT = 76,
	F2FS_SIT = 80,
	F2FS_NAT = 84,
	F2FS_SSA = 88,
	F2FS_MAIN = 92,
	F2FS_ROOT = 96,
	F2FS_UUID = 108,
	F2FS_LABEL = 124,
	F2FS_CHECKPOINT_PAYLOAD = 1664,
	F2FS_FEATURES = 2180,
	F2FS_DEVICES = 2201,
	F2FS_ENCODING = 2758,
	F2FS_CHECKSUM = 3068,
	F2FS_SUPER_SIZE = 3072,
};

enum f2fs_features {
	F2FS_ENCRYPT = 0x1,
	F2FS_ZONED = 0x2,
	F2FS_INODE_CHECKSUM = 0x20,
	F2FS_FLEXIBLE_XATTR = 0x40,
	F2FS_CREATED = 0x100,
	F2FS_SUPER_CHECKSUM = 0x800,
	F2FS_CASEFOLD = 0x1000,
	F2FS_COMPRESSION = 0x2000,
	F2FS_PACKED_SSA = 0x10000,
};

/* Of a checkpoint. */
enum {
	F2FS_CP_VERSION = 0,
	F2FS_CP_USER_BLOCKS = 8,
	F2FS_CP_VALID_BLOCKS = 16,
	F2FS_CP_FLAGS = 132,
	F2FS_CP_PACK_BLOCKS = 136,
	F2FS_CP_SUMMARIES = 140,
	F2FS_CP_VALID_NODES = 144,
	F2FS_CP_VALID_INODES = 148,
	F2FS_CP_SIT_BITMAP = 156,
	F2FS_CP_NAT_BITMAP = 160,
	F2FS_CP_CHECKSUM_OFFSET = 164,
	F2FS_CP_BITMAPS = 192,
};

enum f2fs_checkpoint_flags {
	F2FS_CP_UMOUNT = 0x1,
	F2FS_CP_COMPACT = 0x4,
	F2FS_CP_ERROR = 0x8,
	F2FS_CP_FSCK = 0x10,
	F2FS_CP_FASTBOOT = 0x20,
	F2FS_CP_LARGE_NAT = 0x400,
	F2FS_CP_DISABLED = 0x1000,
	F2FS_CP_RESIZING = 0x4000,
};

/* Blocks of a segment: other numbers were never made. */
#define F2FS_SEGMENT_BITS 9
#define F2FS_SEGMENT      (1u << F2FS_SEGMENT_BITS)

/* What the map of a segment takes, and the first bytes of an inode and the last of a node. */
enum {
	F2FS_SIT_ENTRY = 74,
	F2FS_NODE_FOOTER = 24,
	F2FS_NR_NODES = 5, /* that an inode names */
};

/* Addresses of blocks that are none. */
#define F2FS_HOLE       0u
#define F2FS_COMPRESSED 0xfffffffeu /* what follows holds a compressed cluster */
#define F2FS_NEW        0xffffffffu /* reserved, nothing written */

/* Changes of the NAT or SIT that the checkpoint holds. */
struct f2fs_journal {
	const uint8_t *entries;
	size_t nr;
};

struct f2fs {
	struct pl_volume volume;
	uint32_t features, checkpoint_block, sit, nat, main, main_segments;
	uint32_t sit_blocks, nat_blocks; /* of one copy each */
	uint32_t checkpoint_payload, encoding;
	uint32_t inode_seed; /* of the inodes' checksums */
	uint8_t block_bits;
	bool from_copy;       /* the first superblock is damaged */
	bool several_devices; /* this is the first of them */
	/* The checkpoint. */
	uint8_t *checkpoint;
	uint32_t flags, nr_nodes, nr_inodes;
	uint64_t version, valid_blocks, user_blocks;
	const uint8_t *sit_bitmap,
		*nat_bitmap; /* which copy of each block is valid, in `checkpoint` */
	uint8_t *summaries;
	struct f2fs_journal sit_journal, nat_journal; /* in `summaries` */
};

/* One that was read, malloc()ed; its block is `raw`. */
struct f2fs_inode {
	uint32_t number, uid, gid, links, depth, xattr_node, flags;
	uint16_t mode;
	uint8_t advise, inlined, folder_level;
	uint64_t at; /* on the disk */
	uint64_t size, blocks;
	struct platter_time accessed, changed, modified, created;
	/* Of `raw`: addresses of blocks, or what is inline in their place. */
	size_t addresses, nr_addresses;
	size_t nr_per_node; /* addresses in the other nodes */
	size_t xattrs, xattrs_size;
	bool compressed;
	uint8_t method, cluster_bits;
	uint16_t compression_flags;
	uint8_t raw[];
};

enum f2fs_advise {
	F2FS_ADVISE_ENCRYPTED = 0x4,
};

enum f2fs_inlined {
	F2FS_INLINE_XATTRS = 0x1,
	F2FS_INLINE_DATA = 0x2,
	F2FS_INLINE_FOLDER = 0x4,
	F2FS_EXTRA = 0x20,
};

enum f2fs_inode_flags {
	F2FS_FLAG_COMPRESSED = 0x4,
	F2FS_FLAG_IMMUTABLE = 0x10,
	F2FS_FLAG_APPEND = 0x20,
	F2FS_FLAG_CASEFOLD = 0x40000000,
	F2FS_FLAG_DEVICE = 0x80000000,
};

static inline struct f2fs *
f2fs_of(struct pl_volume *v)
{
	return pl_container_of(v, struct f2fs, volume);
}

/* The first `bit` of a bitmap is the highest of its byte. */
static inline bool
f2fs_bit(const uint8_t *bitmap, uint32_t bit)
{
	return bitmap[bit / 8] & 0x80 >> bit % 8;
}

/* super.c */

/* CRC-32 begun with a seed, the magic as a rule, and not inverted. */
uint32_t f2fs_crc(uint32_t seed, const void *bytes, size_t n);
/* Of the first or last block of a checkpoint. */
bool f2fs_checkpoint_matches(const uint8_t *block, size_t size);
/* The superblock that is valid; fills in all but what the checkpoint tells. */
int f2fs_read_super(struct f2fs *fs, struct platter_error *err);

/* checkpoint.c */
int f2fs_read_checkpoint(struct f2fs *fs, struct platter_error *err);

/* node.c */

/* A whole block of metadata. */
int f2fs_read_block(struct f2fs *fs, uint32_t block, uint8_t *buf, struct platter_error *err);
/* Is it in the area of files and their nodes? */
bool f2fs_is_main(const struct f2fs *fs, uint32_t block);
/* Node `nid` of inode `ino`, a block; *ret_at (may be NULL): where it is on the disk. */
int f2fs_read_node(struct f2fs *fs, uint32_t nid, uint32_t ino, uint8_t *buf, uint64_t *ret_at,
		   struct platter_error *err);
int f2fs_read_inode(struct f2fs *fs, uint64_t number, struct f2fs_inode **ret,
		    struct platter_error *err);
/* What stands in the place of addresses; *ret_n: the most bytes of it. */
const uint8_t *f2fs_inline(const struct f2fs_inode *i, size_t *ret_n);

/* map.c */

/* The address of one block of a file; *ret F2FS_HOLE: it has none. */
int f2fs_map_block(struct f2fs *fs, const struct f2fs_inode *i, uint64_t index, uint32_t *ret,
		   struct platter_error *err);
/*
 * The contents as a disk.  `in_part`: what damaged nodes hide is a hole, and with an error *ret
 * may be there.
 */
int f2fs_open_contents(struct f2fs *fs, const struct f2fs_inode *i, bool in_part, const char *name,
		       struct pl_disk **ret, struct platter_error *err);

/* compression.c */

/* The decoder of a file's clusters. */
int f2fs_decoder(const struct f2fs *fs, const struct f2fs_inode *i, const struct pl_decoder **ret,
		 struct platter_error *err);

/* folder.c */
int f2fs_list_folder(struct f2fs *fs, const struct f2fs_inode *i, pl_entry_fn *fn, void *closure,
		     struct platter_error *err);
int f2fs_lookup(struct f2fs *fs, const struct f2fs_inode *i, const char *name, size_t n,
		struct pl_node_id *ret, struct platter_error *err);

/* xattr.c */
int f2fs_list_xattrs(struct f2fs *fs, const struct f2fs_inode *i, pl_attribute_fn *fn,
		     void *closure, struct platter_error *err);

/* used.c */
int f2fs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err);

int pl_f2fs_open(const struct pl_volume_request *request, struct pl_volume **ret,
		 struct platter_error *err);

#endif
