/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * xfs/attributes.c - the extended attributes of XFS
 *
 * Few stand in the inode; more in the blocks of a file of their own, of which the leaves are
 * looked at in order: the nodes above are an index by hashes.  Large values have blocks there,
 * too.
 */
#include "xfs.h"

#include <stdio.h>

enum {
	FLAG_LOCAL = 1,
	FLAG_ROOT = 2,
	FLAG_SECURE = 4,
	FLAG_PARENT = 8,
	FLAG_INCOMPLETE = 0x80,
};

#define LEAF_MAGIC    0xfbee
#define LEAF_MAGIC_V5 0x3bee

/* Blocks of attributes of one file; Linux allows 64 KiB of names and values of 64 KiB. */
#define MAX_FORK GIB(1)

struct lister {
	pl_attribute_fn *fn;
	void *closure;
};

/* Access control lists as Linux shows them: XFS keeps them in its own, big-endian form. */
static int
pass_acl(const struct lister *l, const char *name, const uint8_t *value, size_t n,
	 struct platter_error *err)
{
	size_t nr = n >= 4 ? get_be32(value) : 0;
	struct pl_attribute a = { .name = name };
	PL_AUTOFREE uint8_t *acl = NULL;

	if (n < 4 || nr > (n - 4) / 12)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "XFS access control list of %zu bytes",
				  n);
	acl = malloc(4 + nr * 8);
	if (!acl)
		return pl_no_memory(err);
	put_le32(acl, 2);
	for (size_t i = 0; i < nr; i++) {
		const uint8_t *from = value + 4 + 12 * i;
		uint8_t *to = acl + 4 + 8 * i;
		uint32_t tag = get_be32(from);

		put_le16(to, (uint16_t)tag);
		put_le16(to + 2, get_be16(from + 8));
		/* Only those of a user or group have an ID. */
		put_le32(to + 4, tag == 2 || tag == 8 ? get_be32(from + 4) : UINT32_MAX);
	}
	a.value = acl;
	a.size = 4 + nr * 8;
	return l->fn(l->closure, &a, err);
}

static int
pass(const struct lister *l, unsigned flags, const void *name, size_t name_length,
     const uint8_t *value, size_t n, struct platter_error *err)
{
	const char *prefix = flags & FLAG_ROOT     ? "trusted."
			     : flags & FLAG_SECURE ? "security."
						   : "user.";
	struct pl_attribute a = { .value = value, .size = n };
	char full[300];

	if (flags & (FLAG_PARENT | FLAG_INCOMPLETE) || memchr(name, 0, name_length))
		return 0;
	if (flags & FLAG_ROOT && name_length == 12 && !memcmp(name, "SGI_ACL_FILE", 12))
		return pass_acl(l, "system.posix_acl_access", value, n, err);
	if (flags & FLAG_ROOT && name_length == 15 && !memcmp(name, "SGI_ACL_DEFAULT", 15))
		return pass_acl(l, "system.posix_acl_default", value, n, err);
	snprintf(full, sizeof full, "%s%.*s", prefix, (int)name_length, (const char *)name);
	a.name = full;
	return l->fn(l->closure, &a, err);
}

static int
list_local(const struct xfs_inode *i, const struct lister *l, struct platter_error *err)
{
	struct pl_cursor c = { i->raw + i->attr_fork, i->raw + i->attr_fork + i->attr_fork_size };
	const uint8_t *head = pl_take(&c, 4);
	int r = 0;

	for (unsigned k = 0; head && k < head[2] && r == 0; k++) {
		const uint8_t *p = pl_take(&c, 3);
		const uint8_t *name = pl_take(&c, p ? p[0] : 0);
		const uint8_t *value = pl_take(&c, p ? p[1] : 0);

		if (!value)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "XFS inode %" PRIu64 ": attribute %u passes its end",
					  i->number, k);
		r = pass(l, p[2], name, p[0], value, p[1], err);
	}
	return r;
}

/* A value in blocks of its own, each with a header since version 5. */
static int
read_remote(struct xfs *fs, struct pl_disk *file, uint32_t block, uint32_t n, uint8_t **ret,
	    struct platter_error *err)
{
	size_t size = fs->volume.block_size, header = fs->v5 ? 56 : 0, done = 0;
	uint64_t at = (uint64_t)block * size;
	PL_AUTOFREE uint8_t *value = NULL;

	if (n > PL_MAX_XATTR)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "attribute of %" PRIu32 " bytes", n);
	value = malloc(n + 1ul);
	if (!value)
		return pl_no_memory(err);
	for (; done < n; at += size) {
		size_t part = PL_MIN(size - header, n - done);
		int r;

		if (!pl_in_range(at, size, file->size))
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "value of an XFS attribute at block %" PRIu32, block);
		r = pl_read(file, value + done, part, at + header, err);
		if (r < 0)
			return r;
		done += part;
	}
	*ret = PL_STEAL(value);
	return 0;
}

static int
list_entry(struct xfs *fs, struct pl_disk *file, const uint8_t *b, const uint8_t *entry,
	   const struct lister *l, struct platter_error *err)
{
	size_t size = fs->volume.block_size, at = get_be16(entry + 4), fixed;
	PL_AUTOFREE uint8_t *remote = NULL;
	unsigned flags = entry[6];
	const uint8_t *value;
	size_t n, name_length;
	int r;

	fixed = flags & FLAG_LOCAL ? 3 : 9;
	if (!pl_in_range(at, fixed, size))
		return pl_corrupt(err, PLATTER_NO_OFFSET, "XFS attribute at byte %zu of its block",
				  at);
	name_length = b[at + fixed - 1];
	n = flags & FLAG_LOCAL ? get_be16(b + at) : get_be32(b + at + 4);
	value = b + at + fixed + name_length;
	if (!pl_in_range(at + fixed, name_length + (flags & FLAG_LOCAL ? n : 0), size))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "XFS attribute of %zu bytes at byte %zu of its block", n, at);
	if (!(flags & FLAG_LOCAL)) {
		if (flags & FLAG_INCOMPLETE)
			return 0;
		r = read_remote(fs, file, get_be32(b + at), (uint32_t)n, &remote, err);
		if (r < 0)
			return r;
		value = remote;
	}
	return pass(l, flags, b + at + fixed, name_length, value, n, err);
}

static int
list_leaf(struct xfs *fs, struct pl_disk *file, const uint8_t *b, const struct lister *l,
	  struct platter_error *err)
{
	size_t header = fs->v5 ? 80 : 32, nr = get_be16(b + (fs->v5 ? 56 : 12));
	int r = 0;

	if (nr > (fs->volume.block_size - header) / 8)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "%zu XFS attributes in a block", nr);
	for (size_t k = 0; k < nr && r == 0; k++)
		r = list_entry(fs, file, b, b + header + k * 8, l, err);
	return r;
}

int
xfs_attributes_list(struct xfs *fs, const struct xfs_inode *i, pl_attribute_fn *fn, void *closure,
		    struct platter_error *err)
{
	const struct lister l = { fn, closure };
	PL_AUTOUNREF struct pl_disk *file = NULL;
	size_t size = fs->volume.block_size;
	PL_AUTOFREE uint8_t *b = NULL;
	int r;

	if (!i->attr_fork_size)
		return 0;
	if (i->attr_format == XFS_LOCAL)
		return list_local(i, &l, err);
	if (!i->nr_attr_extents)
		return 0;
	r = xfs_fork_open(fs, i, true, MAX_FORK, "attributes", &file, err);
	b = malloc(size);
	if (r == 0 && !b)
		r = pl_no_memory(err);
	for (uint64_t at = 0; r == 0 && at < file->size; at += size) {
		enum platter_kind kind;
		uint64_t n;

		r = pl_span(file, at, file->size - at, &kind, &n, err);
		if (r == 0 && kind != PLATTER_DATA) {
			at += n - size;
			continue;
		}
		if (r == 0)
			r = pl_read(file, b, size, at, err);
		if (r == 0 && get_be16(b + 8) == (fs->v5 ? LEAF_MAGIC_V5 : LEAF_MAGIC))
			r = list_leaf(fs, file, b, &l, err);
	}
	return r;
}
