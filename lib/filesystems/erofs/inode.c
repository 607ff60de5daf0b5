/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * erofs/inode.c - inodes: 32 or 64 bytes each, at multiples of 32 bytes from the start of
 * the metadata, or in the metabox
 *
 *	offset  size  compact          extended
 *	     0     2  format           the same
 *	     2     2  xattr count      the same
 *	     4     2  mode             the same
 *	     6     2  links or block   upper part of the block
 *	     8     4  size             8 bytes
 *	    12     4  time             -
 *	    16     4  block, device or chunk format
 *	    20     4  number           the same
 *	    24     4  owner, group     4 bytes each
 *	    32        -                time, 8 bytes; nanoseconds, 4; links, 4
 */
#include <sys/stat.h>

#include "erofs.h"

#define COMPACT_SIZE  32
#define EXTENDED_SIZE 64

enum {
	FORMAT_EXTENDED = 1 << 0,
	FORMAT_LAYOUT_SHIFT = 1,
	FORMAT_LAYOUT_MASK = 7,
	FORMAT_ONE_LINK = 1 << 4, /* compact, no folder; a folder: "." is left out */
	FORMAT_KNOWN = 0x1f,
};

/* Returns whether the block's address has an upper part. */
static bool
decode_compact(const struct erofs *fs, struct erofs_inode *i, const uint8_t *b)
{
	bool one_link = get_le16(b) & FORMAT_ONE_LINK && i->type != PLATTER_FILE_FOLDER;

	i->links = one_link ? 1 : get_le16(b + 6);
	i->size = get_le32(b + 8);
	/* What wraps is damage, and only a time. */
	i->mtime = (int64_t)((uint64_t)fs->epoch + get_le32(b + 12));
	i->nsec = fs->epoch_nsec;
	i->uid = get_le16(b + 24);
	i->gid = get_le16(b + 26);
	return one_link;
}

static bool
decode_extended(struct erofs_inode *i, const uint8_t *b)
{
	i->size = get_le64(b + 8);
	i->uid = get_le32(b + 24);
	i->gid = get_le32(b + 28);
	i->mtime = (int64_t)get_le64(b + 32);
	i->nsec = get_le32(b + 40);
	i->links = get_le32(b + 44);
	return true;
}

static void
decode_start(struct erofs_inode *i, const uint8_t *b, bool has_upper)
{
	uint32_t low = get_le32(b + 16);
	uint64_t none = has_upper ? 0xffffffffffff : 0xffffffff;

	i->start = has_upper ? (uint64_t)get_le16(b + 6) << 32 | low : low;
	if (i->start == none)
		i->start = UINT64_MAX;
	i->device = low;
	i->chunk_format = get_le16(b + 16);
}

int
erofs_inode_read(struct erofs *fs, uint64_t nid, struct erofs_inode *ret, struct platter_error *err)
{
	struct erofs_inode i = { .area = &fs->device };
	uint64_t slot = nid & ~EROFS_IN_METABOX, at;
	uint8_t b[EXTENDED_SIZE];
	unsigned format, count;
	int r;

	if (nid & EROFS_IN_METABOX)
		i.area = &fs->metabox;
	if (!i.area->disk)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "inode %" PRIu64 " in a metabox that is not there", slot);
	if (slot > INT64_MAX / COMPACT_SIZE / 2)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "inode %" PRIu64, slot);
	at = slot * COMPACT_SIZE + (i.area == &fs->device ? fs->meta_start : 0);
	r = pl_meta_read(i.area->meta, b, COMPACT_SIZE, at, err);
	if (r < 0)
		return r;
	format = get_le16(b);
	if (format & FORMAT_EXTENDED)
		r = pl_meta_read(i.area->meta, b + COMPACT_SIZE, EXTENDED_SIZE - COMPACT_SIZE,
				 at + COMPACT_SIZE, err);
	if (r < 0)
		return r;
	i.layout = format >> FORMAT_LAYOUT_SHIFT & FORMAT_LAYOUT_MASK;
	if (format & ~FORMAT_KNOWN || i.layout >= NR_LAYOUTS)
		return pl_unsupported(err, at, "inode %" PRIu64 " of format 0x%x", slot, format);
	i.mode = get_le16(b + 4);
	i.type = pl_type_of_mode(i.mode);
	if (i.type == PLATTER_FILE_UNKNOWN)
		return pl_corrupt(err, at + 4, "inode %" PRIu64 " of mode 0%o", slot, i.mode);
	decode_start(&i, b,
		     format & FORMAT_EXTENDED ? decode_extended(&i, b) : decode_compact(fs, &i, b));
	if (i.size > INT64_MAX)
		return pl_corrupt(err, at + 8, "inode %" PRIu64 " of %" PRIu64 " bytes", slot,
				  i.size);
	count = get_le16(b + 2);
	i.xattrs = at + (format & FORMAT_EXTENDED ? EXTENDED_SIZE : COMPACT_SIZE);
	i.end = i.xattrs + (count ? 12 + (count - 1) * 4 : 0);
	*ret = i;
	return 0;
}
