/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext/xattr.c - extended attributes, in the inode's rest and in a block
 *
 * Behind the inode's fields, with a magic of 4 bytes before them, or in a block behind a
 * header of 32:
 *
 *	offset  size  entry
 *	     0     1  length of the name
 *	     1     1  what the name begins with
 *	     2     2  where the value is: from the first entry in an inode, else from the block
 *	     4     4  inode that has the value (ea_inode), 0: none
 *	     8     4  size of the value
 *	    12     4  hash
 *	    16        name, padded to 4
 *
 * Four zeros end the entries; values are put from the other end.
 */
#include "acl.h"
#include "checksums.h"
#include "ext.h"

enum {
	XATTR_MAGIC = 0xea020000u,
	BLOCK_HEADER = 32,
	BLOCK_CHECKSUM = 16,
	ENTRY = 16,
	I_EXTRA = 128,
	MAX_SHOWN = 16 + 255 + 1, /* the longest of what names begin with, a name, NUL */
};

enum {
	INDEX_USER = 1,
	INDEX_ACL_ACCESS = 2,
	INDEX_ACL_DEFAULT = 3,
	INDEX_TRUSTED = 4,
	INDEX_SECURITY = 6,
	INDEX_SYSTEM = 7,
	INDEX_HURD = 10,
};

/* Names that Linux does not show (system.data, encryption contexts, ...) have none. */
static const char *const prefixes[] = {
	[INDEX_USER] = "user.",
	[INDEX_ACL_ACCESS] = "system.posix_acl_access",
	[INDEX_ACL_DEFAULT] = "system.posix_acl_default",
	[INDEX_TRUSTED] = "trusted.",
	[INDEX_SECURITY] = "security.",
	[INDEX_HURD] = "gnu.",
};

struct xattr {
	const uint8_t *name;
	unsigned length, index;
	uint32_t value_at, value_inode, size;
};

/* Where entries are, and what their values are counted from. */
struct region {
	const uint8_t *base;
	uint32_t size;  /* of what base points to */
	uint32_t first; /* the first entry */
	uint64_t at;    /* of base on the disk */
};

/* The next entry at *i: 1, at the end 0. */
static int
next_entry(const struct region *region, uint32_t *i, struct xattr *ret, struct platter_error *err)
{
	const uint8_t *p = region->base + *i;
	uint32_t left = region->size - *i, length;

	if (left < 4 || get_le32(p) == 0)
		return 0;
	length = (uint32_t)pl_round_up(ENTRY + (uint32_t)p[0], 4);
	if (left < ENTRY || left < length)
		return pl_corrupt(err, region->at + *i,
				  "extended attribute of %" PRIu32 " bytes, %" PRIu32 " are left",
				  length, left);
	*ret = (struct xattr){
		.name = p + ENTRY,
		.length = p[0],
		.index = p[1],
		.value_at = get_le16(p + 2),
		.value_inode = get_le32(p + 4),
		.size = get_le32(p + 8),
	};
	*i += length;
	if (ret->value_inode)
		return 1;
	if (ret->size && !pl_in_range(ret->value_at, ret->size, region->size))
		return pl_corrupt(err, region->at + *i - length + 2,
				  "extended attribute's value of %" PRIu32 " bytes at %" PRIu32
				  " of %" PRIu32,
				  ret->size, ret->value_at, region->size);
	return 1;
}

/* The entries in the inode; false: there are none. */
static bool
inode_region(const struct ext *fs, const struct ext_inode *inode, struct region *ret)
{
	uint32_t at = I_EXTRA + inode->extra_size;

	if (!inode->extra_size || at + 8 > fs->sb.inode_size ||
	    get_le32(inode->raw + at) != XATTR_MAGIC)
		return false;
	at += 4;
	*ret = (struct region){ .base = inode->raw + at,
				.size = fs->sb.inode_size - at,
				.at = inode->at + at };
	return true;
}

int
ext_xattr_inline_data(const struct ext *fs, const struct ext_inode *inode, const uint8_t **ret,
		      uint32_t *ret_n, struct platter_error *err)
{
	struct region region;
	struct xattr x;
	uint32_t i = 0;
	int r = 0;

	*ret = NULL;
	*ret_n = 0;
	if (inode_region(fs, inode, &region))
		while ((r = next_entry(&region, &i, &x, err)) > 0)
			if (x.index == INDEX_SYSTEM && x.length == 4 &&
			    !memcmp(x.name, "data", 4) && !x.value_inode) {
				*ret = region.base + x.value_at;
				*ret_n = x.size;
				return 0;
			}
	return r;
}

/* A value in an inode of its own. */
static int
read_value(const struct ext *fs, const struct xattr *x, uint8_t **ret, struct platter_error *err)
{
	PL_AUTOFREE struct ext_inode *inode = NULL;
	int r;

	if (x->size > PL_MAX_XATTR)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "extended attribute's value of %" PRIu32
				     " bytes, limit is %" PRIu64,
				     x->size, (uint64_t)PL_MAX_XATTR);
	inode = malloc(sizeof *inode);
	if (!inode)
		return pl_no_memory(err);
	r = ext_inode_read(fs, x->value_inode, inode, err);
	if (r < 0)
		return r;
	if (!(inode->flags & INODE_EA_INODE) || inode->size < x->size)
		return pl_corrupt(err, inode->at,
				  "inode %" PRIu32 " of %" PRIu64
				  " bytes holds no extended attribute's value of %" PRIu32,
				  x->value_inode, inode->size, x->size);
	*ret = malloc(PL_MAX(x->size, 1));
	if (!*ret)
		return pl_no_memory(err);
	r = ext_read(fs, inode, *ret, x->size, err);
	if (r < 0)
		free(PL_STEAL(*ret));
	return r;
}

/* Pass one on; *ended is what fn returned. */
static int
show(const struct ext *fs, const struct region *region, const struct xattr *x, pl_attribute_fn *fn,
     void *closure, int *ended, struct platter_error *err)
{
	const char *prefix = x->index < ARRAY_SIZE(prefixes) ? prefixes[x->index] : NULL;
	bool is_acl = x->index == INDEX_ACL_ACCESS || x->index == INDEX_ACL_DEFAULT;
	PL_AUTOFREE uint8_t *value = NULL, *acl = NULL;
	char name[MAX_SHOWN + 16];
	struct pl_attribute a = { .name = name, .size = x->size };
	size_t length;
	int r;

	if (!prefix || (is_acl ? x->length : !x->length) || memchr(x->name, 0, x->length))
		return 0;
	length = strlen(prefix);
	memcpy(name, prefix, length);
	memcpy(name + length, x->name, x->length);
	name[length + x->length] = '\0';
	/* An empty one has no place. */
	a.value = x->size ? region->base + x->value_at : (const uint8_t *)"";
	if (x->value_inode) {
		r = read_value(fs, x, &value, err);
		if (r < 0)
			return r;
		a.value = value;
	}
	if (is_acl) {
		uint32_t n;

		r = pl_acl_show(a.value, x->size, region->at, &acl, &n, err);
		if (r < 0)
			return r;
		a.value = acl;
		a.size = n;
	}
	*ended = fn(closure, &a, err);
	return 0;
}

/* All of a region: damage to one value does not hide the others. */
static int
show_region(const struct ext *fs, const struct region *region, pl_attribute_fn *fn, void *closure,
	    int *ended, struct platter_error *err)
{
	uint32_t i = region->first;
	struct xattr x;
	int failed = 0, r;

	do {
		uint32_t before = i;

		r = next_entry(region, &i, &x, failed ? NULL : err);
		if (r > 0)
			r = show(fs, region, &x, fn, closure, ended, failed ? NULL : err);
		else if (r == 0)
			break;
		if (r < 0 && !failed)
			failed = r;
		if (i == before)
			break;
	} while (!*ended);
	return failed;
}

static int
read_block(const struct ext *fs, const struct ext_inode *inode, uint8_t *block,
	   struct platter_error *err)
{
	const struct ext_super *sb = &fs->sb;
	uint64_t at = ext_block_offset(fs, inode->xattr_block);
	uint8_t number[8];
	uint32_t crc;
	int r;

	if (inode->xattr_block <= sb->first_data_block || inode->xattr_block >= sb->blocks)
		return pl_corrupt(err, inode->at,
				  "extended attributes of inode %" PRIu32 " in block %" PRIu64
				  " of %" PRIu64,
				  inode->number, inode->xattr_block, sb->blocks);
	r = pl_meta_read(fs->volume.meta, block, sb->block_size, at, err);
	if (r < 0)
		return r;
	/* Before Linux 2.5 they had another form; no one has it any more. */
	if (get_le32(block) != XATTR_MAGIC || get_le32(block + 8) != 1)
		return pl_corrupt(err, at,
				  "extended attributes of inode %" PRIu32
				  " have the magic %#" PRIx32 " and %" PRIu32 " blocks",
				  inode->number, get_le32(block), get_le32(block + 8));
	if (!sb->metadata_csum || fs->volume.ignore_checksums)
		return 0;
	put_le64(number, inode->xattr_block);
	crc = pl_crc32c_raw(sb->checksum_seed, number, 8);
	crc = pl_crc32c_raw(crc, block, BLOCK_CHECKSUM);
	crc = pl_crc32c_raw(crc, "\0\0\0", 4);
	crc = pl_crc32c_raw(crc, block + BLOCK_CHECKSUM + 4, sb->block_size - BLOCK_CHECKSUM - 4);
	if (crc == get_le32(block + BLOCK_CHECKSUM))
		return 0;
	return pl_corrupt(err, at + BLOCK_CHECKSUM,
			  "checksum of the extended attributes of inode %" PRIu32 " does not match",
			  inode->number);
}

int
ext_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	   struct platter_error *err)
{
	const struct ext *fs = ext_of(v);
	PL_AUTOFREE struct ext_inode *inode = malloc(sizeof *inode);
	PL_AUTOFREE uint8_t *block = NULL;
	struct region region;
	int ended = 0, failed = 0, r;

	if (!inode)
		return pl_no_memory(err);
	r = ext_inode_read(fs, id.inode, inode, err);
	if (r < 0)
		return r;
	if (inode_region(fs, inode, &region))
		failed = show_region(fs, &region, fn, closure, &ended, err);
	if (inode->xattr_block && !ended) {
		block = malloc(fs->sb.block_size);
		if (!block)
			return pl_no_memory(err);
		r = read_block(fs, inode, block, failed ? NULL : err);
		region = (struct region){ .base = block,
					  .size = fs->sb.block_size,
					  .first = BLOCK_HEADER,
					  .at = ext_block_offset(fs, inode->xattr_block) };
		if (r == 0)
			r = show_region(fs, &region, fn, closure, &ended, failed ? NULL : err);
		failed = failed ? failed : r;
	}
	return ended ? ended : failed;
}
