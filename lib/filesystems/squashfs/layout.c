/* SPDX-License-Identifier: GPL-3.0-or-later */
/* squashfs/layout.c - the structures of SquashFS 4.0, little-endian */
#include "squashfs.h"

enum {
	SB_INODES = 4,
	SB_TIME = 8,
	SB_BLOCK_SIZE = 12,
	SB_FRAGMENTS = 16,
	SB_COMPRESSION = 20,
	SB_FLAGS = 24,
	SB_IDS = 26,
	SB_ROOT = 32,
	SB_BYTES_USED = 40,
	SB_ID_TABLE = 48,
	SB_XATTR_TABLE = 56,
	SB_INODE_TABLE = 64,
	SB_FOLDER_TABLE = 72,
	SB_FRAGMENT_TABLE = 80,
	SB_SIZE = 96,
};

static int
superblock(struct squashfs *fs, struct platter_error *err)
{
	static const struct pl_unpacker *const unpackers[] = {
		NULL,          &pl_unpack_zlib, &pl_unpack_lzma, &pl_unpack_lzo,
		&pl_unpack_xz, &pl_unpack_lz4,  &pl_unpack_zstd,
	};
	struct pl_volume *v = &fs->volume;
	uint8_t sb[SB_SIZE];
	int r = pl_meta_read(v->meta, sb, sizeof sb, 0, err);

	if (r < 0)
		return r;
	fs->codec = get_le16(sb + SB_COMPRESSION);
	if (!fs->codec || fs->codec >= ARRAY_SIZE(unpackers))
		return pl_unsupported(err, SB_COMPRESSION, "SquashFS compressed by method %u",
				      fs->codec);
	fs->unpacker = unpackers[fs->codec];
	fs->pointer_size = 8;
	fs->head_size = 2;
	fs->nr_inodes = get_le32(sb + SB_INODES);
	fs->nr_fragments = get_le32(sb + SB_FRAGMENTS);
	fs->nr_ids = get_le16(sb + SB_IDS);
	fs->created = get_le32(sb + SB_TIME);
	fs->flags = get_le16(sb + SB_FLAGS);
	fs->ids = get_le64(sb + SB_ID_TABLE);
	fs->inodes = get_le64(sb + SB_INODE_TABLE);
	fs->folders = get_le64(sb + SB_FOLDER_TABLE);
	fs->fragment_table = get_le64(sb + SB_FRAGMENT_TABLE);
	fs->xattr_ids = get_le64(sb + SB_XATTR_TABLE);
	fs->bytes = get_le64(sb + SB_BYTES_USED);
	v->block_size = get_le32(sb + SB_BLOCK_SIZE);
	v->root.inode = get_le64(sb + SB_ROOT);
	return 0;
}

/* A folder's size counts 3 bytes for "." and "..", which are not stored. */
static uint32_t
entries_size(uint32_t size)
{
	return size > 3 ? size - 3 : 0;
}

/* The fields of each type behind the common ones, at the specification's offsets less 16. */
static int
decode_inode(struct squashfs *fs, struct sq_inode *i, unsigned type, struct sq_position *at,
	     struct platter_error *err)
{
	static const size_t lengths[MAX_TYPE + 1] = { 0,  16, 16, 8,  8,  8, 4, 4,
						      24, 40, 8,  12, 12, 8, 8 };
	uint8_t b[40];
	int r = sq_read(fs, at, b, lengths[type], err);

	if (r < 0)
		return r;
	i->links = 1;
	i->xattr = NO_XATTRS;
	i->fragment = NO_FRAGMENT;
	switch (type) {
	case TYPE_FOLDER:
		i->start = get_le32(b);
		i->links = get_le32(b + 4);
		i->size = entries_size(get_le16(b + 8));
		i->offset = get_le16(b + 10);
		break;
	case EXTENDED + TYPE_FOLDER:
		i->links = get_le32(b);
		i->size = entries_size(get_le32(b + 4));
		i->start = get_le32(b + 8);
		i->offset = get_le16(b + 18);
		i->xattr = get_le32(b + 20);
		break;
	case TYPE_FILE:
		i->start = get_le32(b);
		i->fragment = get_le32(b + 4);
		i->offset = get_le32(b + 8);
		i->size = get_le32(b + 12);
		break;
	case EXTENDED + TYPE_FILE:
		i->start = get_le64(b);
		i->size = get_le64(b + 8);
		i->links = get_le32(b + 24);
		i->fragment = get_le32(b + 28);
		i->offset = get_le32(b + 32);
		i->xattr = get_le32(b + 36);
		break;
	case TYPE_SYMLINK:
	case EXTENDED + TYPE_SYMLINK:
		i->links = get_le32(b);
		i->size = get_le32(b + 4);
		break;
	case EXTENDED + TYPE_BLOCK:
	case EXTENDED + TYPE_CHARACTER: i->xattr = get_le32(b + 8); __attribute__((fallthrough));
	case TYPE_BLOCK:
	case TYPE_CHARACTER:
		i->links = get_le32(b);
		i->device = get_le32(b + 4);
		break;
	default:
		i->links = get_le32(b);
		if (type > EXTENDED)
			i->xattr = get_le32(b + 4);
	}
	i->rest = *at;
	return 0;
}

/* A symbolic link's extended attributes stand behind its target. */
static int
read_link_xattr(struct squashfs *fs, struct sq_inode *i, struct platter_error *err)
{
	struct sq_position at = i->rest;
	uint8_t b[4];
	int r = i->size > PL_MAX_TARGET ? 0 : sq_read(fs, &at, NULL, (size_t)i->size, err);

	if (r == 0 && i->size <= PL_MAX_TARGET)
		r = sq_read(fs, &at, b, sizeof b, err);
	if (r == 0 && i->size <= PL_MAX_TARGET)
		i->xattr = get_le32(b);
	return r;
}

static int
inode(struct squashfs *fs, struct sq_position *at, struct sq_inode *ret, struct platter_error *err)
{
	uint8_t b[16];
	unsigned type;
	int r = sq_read(fs, at, b, sizeof b, err);

	if (r < 0)
		return r;
	type = get_le16(b);
	if (!type || type > MAX_TYPE)
		return pl_corrupt(err, at->block, "inode of type %u", type);
	*ret = (struct sq_inode){
		.type = type > EXTENDED ? type - EXTENDED : type,
		.mode = get_le16(b + 2),
		.uid = get_le16(b + 4),
		.gid = get_le16(b + 6),
		.mtime = get_le32(b + 8),
		.number = get_le32(b + 12),
	};
	r = decode_inode(fs, ret, type, at, err);
	if (r == 0 && type == EXTENDED + TYPE_SYMLINK)
		r = read_link_xattr(fs, ret, err);
	return r;
}

static int
read_id(struct squashfs *fs, uint16_t index, uint32_t *ret, struct platter_error *err)
{
	uint8_t b[4];
	int r;

	if (index >= fs->nr_ids)
		return pl_corrupt(err, fs->ids, "owner %u of %" PRIu32, index, fs->nr_ids);
	r = sq_entry(fs, fs->ids, index, b, sizeof b, err);
	*ret = get_le32(b);
	return r;
}

static int
owners(struct squashfs *fs, const struct sq_inode *i, uint32_t *uid, uint32_t *gid,
       struct platter_error *err)
{
	int r = read_id(fs, i->uid, uid, err);

	return r < 0 ? r : read_id(fs, i->gid, gid, err);
}

static int
run(struct squashfs *fs, struct sq_position *at, struct sq_run *ret, struct platter_error *err)
{
	uint8_t b[12];
	int r = sq_read(fs, at, b, sizeof b, err);

	if (r < 0)
		return r;
	if (get_le32(b) > 255)
		return pl_corrupt(err, at->block, "%" PRIu32 " entries in a run, limit is 255",
				  get_le32(b));
	*ret = (struct sq_run){ get_le32(b) + 1, get_le32(b + 4), sizeof b };
	return 0;
}

static int
entry(struct squashfs *fs, struct sq_position *at, struct sq_entry_head *ret,
      struct platter_error *err)
{
	uint8_t b[8];
	int r = sq_read(fs, at, b, sizeof b, err);

	if (r == 0)
		*ret = (struct sq_entry_head){ get_le16(b), get_le16(b + 4), get_le16(b + 6) + 1u,
					       sizeof b };
	return r;
}

static int
block_length(struct squashfs *fs, struct sq_position *at, uint32_t *ret, struct platter_error *err)
{
	uint8_t b[4];
	int r = sq_read(fs, at, b, sizeof b, err);

	*ret = get_le32(b);
	return r;
}

static int
fragment(struct squashfs *fs, uint32_t index, uint64_t *start, uint32_t *length,
	 struct platter_error *err)
{
	uint8_t b[16];
	int r = sq_entry(fs, fs->fragment_table, index, b, sizeof b, err);

	*start = get_le64(b);
	*length = get_le32(b + 8);
	return r;
}

const struct sq_layout sq_layout_4 = {
	.superblock = superblock,
	.inode = inode,
	.owners = owners,
	.run = run,
	.entry = entry,
	.block_length = block_length,
	.fragment = fragment,
};
