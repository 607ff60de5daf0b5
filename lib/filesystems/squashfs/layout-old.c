/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * squashfs/layout-old.c - the structures of SquashFS 1 to 3, of either byte order
 *
 * They are bit fields, packed without gaps.  What is compressed is so with zlib.  Owners and groups
 * are two plain tables of 32-bit numbers; a group's index may say that it is the owner's.
 * Version 1 has no fragments, 16 bits for a block's length, and indexes of 4 bits for owners,
 * of whose table the type tells the third: types from 6 on are those from 1 on again.
 */
#include "squashfs.h"

enum {
	SB_INODES = 4,
	SB_BYTES_32 = 8,
	SB_IDS_32 = 12,
	SB_GROUPS_32 = 16,
	SB_INODE_TABLE_32 = 20,
	SB_FOLDER_TABLE_32 = 24,
	SB_BLOCK_SIZE_16 = 32,
	SB_FLAGS = 36,
	SB_NR_IDS = 37,
	SB_NR_GROUPS = 38,
	SB_TIME = 39,
	SB_ROOT = 43,
	SB_SIZE_1 = 51,
	SB_BLOCK_SIZE = 51,
	SB_FRAGMENTS = 55,
	SB_FRAGMENT_TABLE_32 = 59,
	SB_SIZE_2 = 63,
	SB_BYTES = 63,
	SB_IDS = 71,
	SB_GROUPS = 79,
	SB_INODE_TABLE = 87,
	SB_FOLDER_TABLE = 95,
	SB_FRAGMENT_TABLE = 103,
	SB_SIZE_3 = 119,
};

/* Blocks of the tables have a byte to check behind their length. */
#define FLAG_CHECK 0x4

#define CODEC_ZLIB 1

/* Types of version 1, and that of its pipes and sockets. */
enum {
	TYPES_1 = 5,
	TYPE_IPC = 0,
};
#define OWNERS_PER_TYPE 16

struct bits {
	uint16_t at, n; /* n 0: it is not there */
};

/* The fields of a type: the bytes that it takes, and where they are, in bits. */
struct fields {
	uint8_t bytes;
	struct bits mtime, number, links, size, start, offset, fragment, device;
};

static const struct fields fields_1[] = {
	[TYPE_IPC] = { .bytes = 4 },
	[TYPE_FOLDER] = { .bytes = 14,
			  .size = { 24, 19 },
			  .offset = { 43, 13 },
			  .mtime = { 56, 32 },
			  .start = { 88, 24 } },
	[TYPE_FILE] = { .bytes = 15, .mtime = { 24, 32 }, .start = { 56, 32 }, .size = { 88, 32 } },
	[TYPE_SYMLINK] = { .bytes = 5, .size = { 24, 16 } },
	[TYPE_BLOCK] = { .bytes = 5, .device = { 24, 16 } },
	[TYPE_CHARACTER] = { .bytes = 5, .device = { 24, 16 } },
};

static const struct fields fields_2[] = {
	[TYPE_FOLDER] = { .bytes = 15,
			  .size = { 32, 19 },
			  .offset = { 51, 13 },
			  .mtime = { 64, 32 },
			  .start = { 96, 24 } },
	[TYPE_FILE] = { .bytes = 24,
			.mtime = { 32, 32 },
			.start = { 64, 32 },
			.fragment = { 96, 32 },
			.offset = { 128, 32 },
			.size = { 160, 32 } },
	[TYPE_SYMLINK] = { .bytes = 6, .size = { 32, 16 } },
	[TYPE_BLOCK] = { .bytes = 6, .device = { 32, 16 } },
	[TYPE_CHARACTER] = { .bytes = 6, .device = { 32, 16 } },
	[TYPE_FIFO] = { .bytes = 4 },
	[TYPE_SOCKET] = { .bytes = 4 },
	[EXTENDED + TYPE_FOLDER] = { .bytes = 18,
				     .size = { 32, 27 },
				     .offset = { 59, 13 },
				     .mtime = { 72, 32 },
				     .start = { 104, 24 } },
};

#define COMMON_3 .mtime = { 32, 32 }, .number = { 64, 32 }

static const struct fields fields_3[] = {
	[TYPE_FOLDER] = { .bytes = 28,
			  COMMON_3,
			  .links = { 96, 32 },
			  .size = { 128, 19 },
			  .offset = { 147, 13 },
			  .start = { 160, 32 } },
	[TYPE_FILE] = { .bytes = 32,
			COMMON_3,
			.start = { 96, 64 },
			.fragment = { 160, 32 },
			.offset = { 192, 32 },
			.size = { 224, 32 } },
	[TYPE_SYMLINK] = { .bytes = 18, COMMON_3, .links = { 96, 32 }, .size = { 128, 16 } },
	[TYPE_BLOCK] = { .bytes = 18, COMMON_3, .links = { 96, 32 }, .device = { 128, 16 } },
	[TYPE_CHARACTER] = { .bytes = 18, COMMON_3, .links = { 96, 32 }, .device = { 128, 16 } },
	[TYPE_FIFO] = { .bytes = 16, COMMON_3, .links = { 96, 32 } },
	[TYPE_SOCKET] = { .bytes = 16, COMMON_3, .links = { 96, 32 } },
	[EXTENDED + TYPE_FOLDER] = { .bytes = 31,
				     COMMON_3,
				     .links = { 96, 32 },
				     .size = { 128, 27 },
				     .offset = { 155, 13 },
				     .start = { 168, 32 } },
	[EXTENDED + TYPE_FILE] = { .bytes = 40,
				   COMMON_3,
				   .links = { 96, 32 },
				   .start = { 128, 64 },
				   .fragment = { 192, 32 },
				   .offset = { 224, 32 },
				   .size = { 256, 64 } },
};

#define LONGEST_INODE 40

static uint64_t
get(const struct squashfs *fs, const uint8_t *b, struct bits bits)
{
	return sq_bits(fs->big_endian, b, bits.at, bits.n);
}

static uint64_t
number(const struct squashfs *fs, const uint8_t *b, unsigned at, unsigned bytes)
{
	return sq_bits(fs->big_endian, b, at * 8, bytes * 8);
}

static int
superblock(struct squashfs *fs, struct platter_error *err)
{
	static const uint8_t sizes[] = { 0, SB_SIZE_1, SB_SIZE_2, SB_SIZE_3 };
	struct pl_volume *v = &fs->volume;
	bool wide = fs->version == 3;
	uint8_t sb[SB_SIZE_3] = { 0 };
	int r = pl_meta_read(v->meta, sb, sizes[fs->version], 0, err);

	if (r < 0)
		return r;
	fs->codec = CODEC_ZLIB;
	fs->unpacker = &pl_unpack_zlib;
	fs->pointer_size = wide ? 8 : 4;
	fs->flags = sb[SB_FLAGS];
	fs->head_size = fs->flags & FLAG_CHECK ? 3 : 2;
	fs->nr_inodes = (uint32_t)number(fs, sb, SB_INODES, 4);
	fs->nr_ids = sb[SB_NR_IDS];
	fs->nr_groups = sb[SB_NR_GROUPS];
	fs->created = (uint32_t)number(fs, sb, SB_TIME, 4);
	v->root.inode = number(fs, sb, SB_ROOT, 8);
	fs->xattr_ids = UINT64_MAX;
	fs->bytes = number(fs, sb, SB_BYTES_32, 4);
	fs->ids = number(fs, sb, SB_IDS_32, 4);
	fs->groups = number(fs, sb, SB_GROUPS_32, 4);
	fs->inodes = number(fs, sb, SB_INODE_TABLE_32, 4);
	fs->folders = number(fs, sb, SB_FOLDER_TABLE_32, 4);
	v->block_size = (uint32_t)number(fs, sb, SB_BLOCK_SIZE_16, 2);
	if (fs->version == 1)
		return 0;
	v->block_size = (uint32_t)number(fs, sb, SB_BLOCK_SIZE, 4);
	fs->nr_fragments = (uint32_t)number(fs, sb, SB_FRAGMENTS, 4);
	fs->fragment_table = number(fs, sb, SB_FRAGMENT_TABLE_32, 4);
	if (!wide)
		return 0;
	fs->bytes = number(fs, sb, SB_BYTES, 8);
	fs->ids = number(fs, sb, SB_IDS, 8);
	fs->groups = number(fs, sb, SB_GROUPS, 8);
	fs->inodes = number(fs, sb, SB_INODE_TABLE, 8);
	fs->folders = number(fs, sb, SB_FOLDER_TABLE, 8);
	fs->fragment_table = number(fs, sb, SB_FRAGMENT_TABLE, 8);
	return 0;
}

/* What version 1 says by its types; *type becomes one of the others. */
static void
decode_type_1(const struct squashfs *fs, struct sq_inode *i, const uint8_t *b, unsigned type)
{
	unsigned third;

	if (type == TYPE_IPC) {
		i->type =
			sq_bits(fs->big_endian, b, 24, 4) == TYPE_SOCKET ? TYPE_SOCKET : TYPE_FIFO;
		third = (unsigned)sq_bits(fs->big_endian, b, 28, 4);
	} else {
		i->type = (type - 1) % TYPES_1 + 1;
		third = (type - 1) / TYPES_1;
	}
	i->uid = (uint16_t)(sq_bits(fs->big_endian, b, 16, 4) + third * OWNERS_PER_TYPE);
	i->gid = (uint16_t)sq_bits(fs->big_endian, b, 20, 4);
}

static const struct fields *
fields_of(const struct squashfs *fs, unsigned type)
{
	if (fs->version == 1)
		return &fields_1[type ? (type - 1) % TYPES_1 + 1 : TYPE_IPC];
	if (fs->version == 2)
		return type < ARRAY_SIZE(fields_2) ? &fields_2[type] : NULL;
	return type < ARRAY_SIZE(fields_3) ? &fields_3[type] : NULL;
}

static int
inode(struct squashfs *fs, struct sq_position *at, struct sq_inode *ret, struct platter_error *err)
{
	struct sq_position start = *at;
	const struct fields *f;
	uint8_t b[LONGEST_INODE];
	unsigned type;
	int r = sq_read(fs, at, b, 1, err);

	if (r < 0)
		return r;
	type = (unsigned)sq_bits(fs->big_endian, b, 0, 4);
	f = fields_of(fs, type);
	if (!f || !f->bytes)
		return pl_corrupt(err, start.block, "inode of type %u", type);
	*at = start;
	r = sq_read(fs, at, b, f->bytes, err);
	if (r < 0)
		return r;
	*ret = (struct sq_inode){
		.type = type > EXTENDED ? type - EXTENDED : type,
		.mode = (uint16_t)sq_bits(fs->big_endian, b, 4, 12),
		.mtime = f->mtime.n ? (uint32_t)get(fs, b, f->mtime) : fs->created,
		.number = (uint32_t)get(fs, b, f->number),
		.links = f->links.n ? (uint32_t)get(fs, b, f->links) : 1,
		.size = get(fs, b, f->size),
		.start = get(fs, b, f->start),
		.offset = (uint32_t)get(fs, b, f->offset),
		.fragment = f->fragment.n ? (uint32_t)get(fs, b, f->fragment) : NO_FRAGMENT,
		.device = (uint32_t)get(fs, b, f->device),
		.xattr = NO_XATTRS,
		.rest = *at,
	};
	if (fs->version == 1) {
		decode_type_1(fs, ret, b, type);
	} else {
		ret->uid = (uint16_t)sq_bits(fs->big_endian, b, 16, 8);
		ret->gid = (uint16_t)sq_bits(fs->big_endian, b, 24, 8);
	}
	/* As in version 4, it counts 3 bytes for "." and "..". */
	if (fs->version == 3 && ret->type == TYPE_FOLDER)
		ret->size -= PL_MIN(ret->size, 3);
	return 0;
}

static int
read_id(struct squashfs *fs, uint64_t table, uint32_t nr, unsigned index, uint32_t *ret,
	struct platter_error *err)
{
	uint8_t b[4];
	int r;

	if (index >= nr)
		return pl_corrupt(err, table, "owner %u of %" PRIu32, index, nr);
	r = pl_meta_read(fs->volume.meta, b, sizeof b, table + index * 4ull, err);
	*ret = (uint32_t)number(fs, b, 0, 4);
	return r;
}

static int
owners(struct squashfs *fs, const struct sq_inode *i, uint32_t *uid, uint32_t *gid,
       struct platter_error *err)
{
	unsigned that_of_owner = fs->version == 1 ? 15 : 255;
	int r = read_id(fs, fs->ids, fs->nr_ids, i->uid, uid, err);

	if (r < 0)
		return r;
	*gid = *uid;
	if (i->gid == that_of_owner)
		return 0;
	return read_id(fs, fs->groups, fs->nr_groups, i->gid, gid, err);
}

static int
run(struct squashfs *fs, struct sq_position *at, struct sq_run *ret, struct platter_error *err)
{
	bool wide = fs->version == 3;
	uint8_t b[9];
	int r;

	ret->size = wide ? 9 : 4;
	r = sq_read(fs, at, b, ret->size, err);
	if (r < 0)
		return r;
	ret->nr_entries = b[0] + 1u;
	ret->block = (uint32_t)sq_bits(fs->big_endian, b, 8, wide ? 32 : 24);
	return 0;
}

static int
entry(struct squashfs *fs, struct sq_position *at, struct sq_entry_head *ret,
      struct platter_error *err)
{
	uint8_t b[5];
	int r;

	ret->size = fs->version == 3 ? 5 : 3;
	r = sq_read(fs, at, b, ret->size, err);
	if (r < 0)
		return r;
	ret->offset = (unsigned)sq_bits(fs->big_endian, b, 0, 13);
	ret->type = (unsigned)sq_bits(fs->big_endian, b, 13, 3);
	ret->length = b[2] + 1u;
	return 0;
}

/* In version 1 as in front of the tables' blocks; what says 0 is as long as can be. */
static int
block_length(struct squashfs *fs, struct sq_position *at, uint32_t *ret, struct platter_error *err)
{
	uint8_t b[4] = { 0 };
	unsigned size = fs->version == 1 ? 2 : 4;
	uint32_t told;
	int r = sq_read(fs, at, b, size, err);

	told = (uint32_t)number(fs, b, 0, size);
	*ret = told;
	if (fs->version == 1) {
		*ret = told & 0x7fff ? told & 0x7fff : 0x8000;
		*ret |= told & 0x8000 ? STORED_AS_IS : 0;
	}
	return r;
}

static int
fragment(struct squashfs *fs, uint32_t index, uint64_t *start, uint32_t *length,
	 struct platter_error *err)
{
	unsigned wide = fs->version == 3 ? 8 : 4;
	uint8_t b[16] = { 0 };
	int r = sq_entry(fs, fs->fragment_table, index, b, wide * 2, err);

	*start = number(fs, b, 0, wide);
	*length = (uint32_t)number(fs, b, wide, 4);
	return r;
}

const struct sq_layout sq_layout_old = {
	.superblock = superblock,
	.inode = inode,
	.owners = owners,
	.run = run,
	.entry = entry,
	.block_length = block_length,
	.fragment = fragment,
};
