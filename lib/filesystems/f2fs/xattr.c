/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * f2fs/xattr.c - extended attributes, at the end of the inode's addresses and in a node
 *
 * Both together are one stretch of bytes, an entry of which may begin in the one and end in the
 * other: a header of 24 (magic), then entries, each padded to 4, until four zeros:
 *
 *	offset  size  entry
 *	     0     1  what the name begins with
 *	     1     1  length of the name
 *	     2     2  size of the value
 *	     4        the rest of the name, the value
 *
 * See fs/f2fs/xattr.h of the Linux kernel.
 */
#include "acl.h"
#include "f2fs.h"

enum {
	MAGIC = 0xf2f52011u,
	HEADER = 24,
	ENTRY = 4,
};

/* Names that Linux does not show (encryption contexts, hashes of verity) have none. */
static const char *const prefixes[] = {
	[1] = "user.",
	[2] = "system.posix_acl_access",
	[3] = "system.posix_acl_default",
	[4] = "trusted.",
	[6] = "security.",
};

static bool
is_acl(unsigned index)
{
	return index == 2 || index == 3;
}

static int
show(const struct f2fs_inode *i, const uint8_t *p, pl_attribute_fn *fn, void *closure, int *ended,
     struct platter_error *err)
{
	unsigned index = p[0], length = p[1];
	const char *prefix = index < ARRAY_SIZE(prefixes) ? prefixes[index] : NULL;
	char name[32 + 255];
	struct pl_attribute a = {
		.name = name,
		.value = p + ENTRY + length,
		.size = get_le16(p + 2),
	};
	PL_AUTOFREE uint8_t *acl = NULL;
	size_t n;

	if (!prefix || (is_acl(index) ? length : !length) || memchr(p + ENTRY, 0, length))
		return 0;
	n = strlen(prefix);
	memcpy(name, prefix, n);
	memcpy(name + n, p + ENTRY, length);
	name[n + length] = '\0';
	if (is_acl(index)) {
		uint32_t shown;
		int r = pl_acl_show(a.value, (uint32_t)a.size, i->at, &acl, &shown, err);

		if (r < 0)
			return r;
		a.value = acl;
		a.size = shown;
	}
	*ended = fn(closure, &a, err);
	return 0;
}

/* Damage to one value does not hide the others. */
static int
show_all(const struct f2fs_inode *i, const uint8_t *bytes, size_t n, pl_attribute_fn *fn,
	 void *closure, struct platter_error *err)
{
	int ended = 0, failed = 0;
	size_t at = HEADER;

	while (!ended && n - at >= ENTRY && get_le32(bytes + at) != 0) {
		const uint8_t *p = bytes + at;
		size_t length = (size_t)pl_round_up(ENTRY + (size_t)p[1] + get_le16(p + 2), 4);
		int r;

		if (length > n - at)
			return failed ? failed
				      : pl_corrupt(err, i->at,
						   "extended attribute of %zu bytes in F2FS inode "
						   "%" PRIu32 ", %zu are left",
						   length, i->number, n - at);
		r = show(i, p, fn, closure, &ended, failed ? NULL : err);
		failed = failed ? failed : r;
		at += length;
	}
	return ended ? ended : failed;
}

int
f2fs_list_xattrs(struct f2fs *fs, const struct f2fs_inode *i, pl_attribute_fn *fn, void *closure,
		 struct platter_error *err)
{
	size_t n = i->xattrs_size;
	PL_AUTOFREE uint8_t *bytes = calloc(1, n + fs->volume.block_size);
	struct platter_error why = PLATTER_ERROR_INIT;
	int failed = 0, r;

	if (!bytes)
		return pl_no_memory(err);
	memcpy(bytes, i->raw + i->xattrs, n);
	if (i->xattr_node) {
		failed = f2fs_read_node(fs, i->xattr_node, i->number, bytes + n, NULL, &why);
		if (failed == 0)
			n += fs->volume.block_size - F2FS_NODE_FOOTER;
		else if (err)
			*err = why;
	}
	/* Zeros: none were ever set. */
	if (n < HEADER || (!failed && get_le32(bytes) == 0))
		return failed;
	if (get_le32(bytes) != MAGIC)
		return failed ? failed
			      : pl_corrupt(err, i->at,
					   "extended attributes of F2FS inode %" PRIu32
					   " have the magic %#" PRIx32,
					   i->number, get_le32(bytes));
	r = show_all(i, bytes, n, fn, closure, failed ? NULL : err);
	return failed ? failed : r;
}
