/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext/inode.c - inodes
 *
 * 128 bytes of which all revisions have the same, and more as the superblock says.  See
 * Documentation/filesystems/ext4/inodes.rst of the Linux kernel.
 */
#include "checksums.h"
#include "ext.h"

enum {
	I_MODE = 0,
	I_UID = 2,
	I_SIZE = 4,
	I_ATIME = 8,
	I_CTIME = 12,
	I_MTIME = 16,
	I_DTIME = 20,
	I_GID = 24,
	I_LINKS = 26,
	I_BLOCKS = 28, /* of 512 bytes */
	I_FLAGS = 32,
	I_GENERATION = 100,
	I_XATTR_BLOCK = 104,
	I_SIZE_HIGH = 108,
	I_BLOCKS_HIGH = 116,
	I_XATTR_BLOCK_HIGH = 118,
	I_UID_HIGH = 120,
	I_GID_HIGH = 122,
	I_CHECKSUM = 124,
	I_OLD_SIZE = 128,
	I_EXTRA_SIZE = 128, /* with what follows, behind the first 128 bytes */
	I_CHECKSUM_HIGH = 130,
	I_CTIME_EXTRA = 132,
	I_MTIME_EXTRA = 136,
	I_ATIME_EXTRA = 140,
	I_CRTIME = 144,
	I_CRTIME_EXTRA = 148,
};

enum {
	MODE_FIFO = 0x1,
	MODE_CHARACTER = 0x2,
	MODE_FOLDER = 0x4,
	MODE_BLOCK = 0x6,
	MODE_REGULAR = 0x8,
	MODE_SYMLINK = 0xa,
	MODE_SOCKET = 0xc,
};

/* A field behind the first 128 bytes is there if extra_size reaches its end. */
static bool
has_field(const struct ext_inode *inode, uint32_t at, uint32_t n)
{
	return at + n <= I_OLD_SIZE + inode->extra_size;
}

static bool
checksum_matches(const struct ext *fs, const struct ext_inode *inode)
{
	const uint8_t *raw = inode->raw;
	uint32_t crc = pl_crc32c_raw(inode->checksum_seed, raw, I_CHECKSUM);
	uint32_t stored = get_le16(raw + I_CHECKSUM);

	crc = pl_crc32c_raw(crc, "\0", 2);
	crc = pl_crc32c_raw(crc, raw + I_CHECKSUM + 2, I_OLD_SIZE - I_CHECKSUM - 2);
	if (fs->sb.inode_size > I_OLD_SIZE) {
		bool high = has_field(inode, I_CHECKSUM_HIGH, 2);

		crc = pl_crc32c_raw(crc, raw + I_OLD_SIZE, 2);
		crc = pl_crc32c_raw(crc, high ? (const uint8_t *)"\0" : raw + I_CHECKSUM_HIGH, 2);
		crc = pl_crc32c_raw(crc, raw + I_CTIME_EXTRA, fs->sb.inode_size - I_CTIME_EXTRA);
		if (high)
			return (stored | (uint32_t)get_le16(raw + I_CHECKSUM_HIGH) << 16) == crc;
	}
	return (crc & 0xffff) == stored;
}

enum platter_file_type
ext_inode_type(const struct ext_inode *inode)
{
	switch (inode->mode >> 12) {
	case MODE_FIFO: return PLATTER_FILE_FIFO;
	case MODE_CHARACTER: return PLATTER_FILE_CHARACTER_DEVICE;
	case MODE_FOLDER: return PLATTER_FILE_FOLDER;
	case MODE_BLOCK: return PLATTER_FILE_BLOCK_DEVICE;
	case MODE_REGULAR: return PLATTER_FILE_REGULAR;
	case MODE_SYMLINK: return PLATTER_FILE_SYMLINK;
	case MODE_SOCKET: return PLATTER_FILE_SOCKET;
	default: return PLATTER_FILE_OTHER;
	}
}

int
ext_inode_decode(const struct ext *fs, uint32_t number, struct ext_inode *inode,
		 struct platter_error *err)
{
	const struct ext_super *sb = &fs->sb;
	const uint8_t *raw = inode->raw;
	uint32_t blocks_high = 0;
	uint8_t le[4];

	inode->number = number;
	inode->mode = get_le16(raw + I_MODE);
	inode->uid = get_le16(raw + I_UID) | (uint32_t)get_le16(raw + I_UID_HIGH) << 16;
	inode->gid = get_le16(raw + I_GID) | (uint32_t)get_le16(raw + I_GID_HIGH) << 16;
	inode->links = get_le16(raw + I_LINKS);
	inode->flags = get_le32(raw + I_FLAGS);
	inode->generation = get_le32(raw + I_GENERATION);
	inode->deleted_at = get_le32(raw + I_DTIME);
	inode->xattr_block = get_le32(raw + I_XATTR_BLOCK);
	if (sb->incompat & INCOMPAT_64BIT)
		inode->xattr_block |= (uint64_t)get_le16(raw + I_XATTR_BLOCK_HIGH) << 32;
	inode->size = get_le32(raw + I_SIZE);
	/* The high half was something else for all but regular files. */
	if (inode->mode >> 12 == MODE_REGULAR || (sb->incompat & INCOMPAT_LARGE_DIR))
		inode->size |= (uint64_t)get_le32(raw + I_SIZE_HIGH) << 32;
	if (sb->ro_compat & RO_COMPAT_HUGE_FILE)
		blocks_high = get_le16(raw + I_BLOCKS_HIGH);
	inode->allocated = get_le32(raw + I_BLOCKS) | (uint64_t)blocks_high << 32;
	inode->allocated <<=
		(sb->ro_compat & RO_COMPAT_HUGE_FILE) && (inode->flags & INODE_HUGE_FILE)
			? sb->block_bits
			: 9;
	inode->extra_size = sb->inode_size > I_OLD_SIZE ? get_le16(raw + I_EXTRA_SIZE) : 0;
	inode->block = raw + EXT_I_BLOCK;
	inode->bad_checksum = false;
	put_le32(le, number);
	inode->checksum_seed = pl_crc32c_raw(sb->checksum_seed, le, 4);
	put_le32(le, inode->generation);
	inode->checksum_seed = pl_crc32c_raw(inode->checksum_seed, le, 4);
	if (sb->metadata_csum && !checksum_matches(fs, inode)) {
		inode->bad_checksum = true;
		if (!fs->volume.ignore_checksums)
			return pl_corrupt(err, inode->at + I_CHECKSUM,
					  "checksum of inode %" PRIu32 " does not match", number);
	}
	if (inode->extra_size % 4 || inode->extra_size > sb->inode_size - I_OLD_SIZE) {
		if (!fs->volume.ignore_checksums)
			return pl_corrupt(err, inode->at + I_EXTRA_SIZE,
					  "inode %" PRIu32 " of %" PRIu32 " bytes has %" PRIu32
					  " more than 128",
					  number, sb->inode_size, inode->extra_size);
		inode->extra_size = 0;
	}
	return 0;
}

int
ext_inode_offset(const struct ext *fs, uint64_t number, uint64_t *ret, struct platter_error *err)
{
	const struct ext_super *sb = &fs->sb;
	uint64_t into, table;
	uint32_t group;
	int r;

	if (number == 0 || number > sb->inodes)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "inode %" PRIu64 " of %" PRIu32, number,
				  sb->inodes);
	group = (uint32_t)((number - 1) / sb->inodes_per_group);
	into = (number - 1) % sb->inodes_per_group * sb->inode_size;
	r = ext_group_inodes(fs, group, &table, err);
	if (r < 0)
		return r;
	/* A table of 16-bit numbers of 4096 bytes: cannot wrap. */
	if ((into >> sb->block_bits) >= sb->blocks - table)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "inodes of group %" PRIu32 " in block %" PRIu64 " of %" PRIu64,
				  group, table, sb->blocks);
	*ret = ext_block_offset(fs, table) + into;
	return 0;
}

int
ext_inode_read(const struct ext *fs, uint64_t number, struct ext_inode *ret,
	       struct platter_error *err)
{
	int r = ext_inode_offset(fs, number, &ret->at, err);

	if (r == 0)
		r = pl_meta_read(fs->volume.meta, ret->raw, fs->sb.inode_size, ret->at, err);
	if (r == 0)
		r = ext_inode_decode(fs, (uint32_t)number, ret, err);
	return r;
}

/*
 * Seconds are signed 32 bits; two bits of the extra field count 2^32 s on top, the other 30
 * are nanoseconds.
 */
static struct platter_time
get_time(const struct ext_inode *inode, uint32_t at, uint32_t extra_at)
{
	struct platter_time t = { .seconds = (int32_t)get_le32(inode->raw + at) };

	if (has_field(inode, extra_at, 4)) {
		uint32_t extra = get_le32(inode->raw + extra_at);

		t.seconds += (int64_t)(extra & 3) << 32;
		t.nanoseconds = extra >> 2 < 1000000000 ? extra >> 2 : 0;
	}
	return t;
}

static uint32_t
attributes(const struct ext *fs, const struct ext_inode *inode, enum platter_file_type type)
{
	uint32_t a = 0;

	if (inode->flags & INODE_IMMUTABLE)
		a |= PLATTER_FILE_IMMUTABLE;
	if (inode->flags & INODE_APPEND)
		a |= PLATTER_FILE_APPEND_ONLY;
	if (inode->flags & INODE_COMPRESSED)
		a |= PLATTER_FILE_COMPRESSED;
	if (inode->flags & INODE_ENCRYPTED)
		a |= PLATTER_FILE_ENCRYPTED;
	if (inode->number < fs->sb.first_inode && inode->number != EXT_ROOT_INODE)
		a |= PLATTER_FILE_METADATA;
	if (inode->links == 0)
		a |= PLATTER_FILE_DELETED;
	if (inode->bad_checksum)
		a |= PLATTER_FILE_DAMAGED;
	if (type == PLATTER_FILE_REGULAR && !(inode->flags & INODE_INLINE_DATA) &&
	    inode->allocated < pl_round_down(inode->size, fs->sb.block_size))
		a |= PLATTER_FILE_SPARSE;
	return a;
}

/* The older of two ways has 8 bits for each part and is used where they do. */
static void
get_device(const struct ext_inode *inode, struct platter_file *ret)
{
	uint32_t old = get_le32(inode->block), now = get_le32(inode->block + 4);

	ret->major = old ? old >> 8 & 0xff : (now & 0xfff00) >> 8;
	ret->minor = old ? old & 0xff : (now & 0xff) | (now >> 12 & 0xfff00);
}

void
ext_inode_tell(const struct ext *fs, const struct ext_inode *inode, struct platter_file *ret)
{
	ret->type = ext_inode_type(inode);
	ret->attributes = attributes(fs, inode, ret->type);
	ret->has_mode = ret->has_owner = true;
	ret->mode = inode->mode & 07777;
	ret->uid = inode->uid;
	ret->gid = inode->gid;
	ret->links = inode->links;
	ret->inode = inode->number;
	ret->allocated = inode->allocated;
	if (ret->type == PLATTER_FILE_CHARACTER_DEVICE || ret->type == PLATTER_FILE_BLOCK_DEVICE)
		get_device(inode, ret);
	else
		ret->size = inode->size;
	ret->modified = get_time(inode, I_MTIME, I_MTIME_EXTRA);
	ret->accessed = get_time(inode, I_ATIME, I_ATIME_EXTRA);
	ret->changed = get_time(inode, I_CTIME, I_CTIME_EXTRA);
	if (has_field(inode, I_CRTIME, 4))
		ret->created = get_time(inode, I_CRTIME, I_CRTIME_EXTRA);
}
