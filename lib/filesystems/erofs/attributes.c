/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * erofs/attributes.c - extended attributes
 *
 * Behind an inode: 12 bytes of which byte 4 is how many are shared; 4 bytes for each of
 * those, where it is from the start of the shared ones, in units of 4 bytes; then its
 * own.  Each is at a multiple of 4 bytes: length of the name, 1 byte; index of the name's
 * beginning, 1; length of the value, 2; name; value.
 */
#include "erofs.h"

#define HEADER_SIZE 12
#define ENTRY_SIZE  4
#define LONG_PREFIX 0x80

static const char *const short_prefixes[] = {
	"",   "user.",     "system.posix_acl_access", "system.posix_acl_default", "trusted.",
	NULL, "security.",
};

/* Its beginning, into `name`, which has room for the longest. */
static int
begin_name(const struct erofs *fs, unsigned index, uint64_t at, char name[300], size_t *ret_n,
	   struct platter_error *err)
{
	const struct erofs_prefix *p = NULL;
	unsigned base = index;

	if (index & LONG_PREFIX) {
		if ((index & ~LONG_PREFIX) >= fs->nr_prefixes)
			return pl_corrupt(err, at + 1, "prefix %u of %u", index & ~LONG_PREFIX,
					  fs->nr_prefixes);
		p = &fs->prefixes[index & ~LONG_PREFIX];
		base = p->base;
	}
	if (base >= ARRAY_SIZE(short_prefixes) || !short_prefixes[base])
		return pl_unsupported(err, at + 1, "extended attribute of type %u", base);
	*ret_n = strlen(short_prefixes[base]);
	memcpy(name, short_prefixes[base], *ret_n);
	if (p) {
		memcpy(name + *ret_n, p->infix, p->length);
		*ret_n += p->length;
	}
	return 0;
}

/* The one at `at`, which ends before `end`; *ret_next: where the next would be. */
static int
pass_one(const struct erofs *fs, const struct erofs_area *area, uint64_t at, uint64_t end,
	 pl_attribute_fn *fn, void *closure, uint64_t *ret_next, struct platter_error *err)
{
	char name[300 + 256];
	PL_AUTOFREE uint8_t *value = NULL;
	struct pl_attribute a = { .name = name };
	size_t n = 0, more;
	uint8_t b[ENTRY_SIZE];
	int r = pl_meta_read(area->meta, b, sizeof b, at, err);

	if (r < 0)
		return r;
	more = b[0];
	a.size = get_le16(b + 2);
	if (ENTRY_SIZE + more + a.size > end - at)
		return pl_corrupt(err, at, "extended attribute of %zu and %" PRIu64 " bytes", more,
				  a.size);
	*ret_next = at + pl_round_up(ENTRY_SIZE + more + a.size, 4);
	r = begin_name(fs, b[1], at, name, &n, err);
	if (r < 0)
		return r;
	value = malloc((size_t)a.size + 1);
	if (!value)
		return pl_no_memory(err);
	r = pl_meta_read(area->meta, name + n, more, at + ENTRY_SIZE, err);
	if (r == 0)
		r = pl_meta_read(area->meta, value, (size_t)a.size, at + ENTRY_SIZE + more, err);
	name[n + more] = '\0';
	a.value = value;
	return r < 0 ? r : fn(closure, &a, err);
}

static int
pass_shared(const struct erofs *fs, const struct erofs_inode *i, unsigned nr, pl_attribute_fn *fn,
	    void *closure, struct platter_error *err)
{
	const struct erofs_area *area =
		fs->compat & COMPAT_SHARED_XATTRS_IN_METABOX ? &fs->metabox : &fs->device;
	uint64_t next;
	int r = 0;

	if (nr && !area->disk)
		return pl_corrupt(err, i->xattrs, "shared attributes in no metabox");
	for (unsigned k = 0; k < nr && r == 0; k++) {
		uint8_t b[4];

		r = pl_meta_read(i->area->meta, b, sizeof b, i->xattrs + HEADER_SIZE + k * 4ull,
				 err);
		if (r == 0)
			r = pass_one(fs, area, fs->xattr_start + get_le32(b) * 4ull, UINT64_MAX, fn,
				     closure, &next, err);
	}
	return r;
}

int
erofs_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	     struct platter_error *err)
{
	struct erofs *fs = erofs_of(v);
	struct erofs_inode i;
	uint8_t header[HEADER_SIZE];
	uint64_t at;
	int r = erofs_inode_read(fs, id.inode, &i, err);

	if (r < 0 || i.end == i.xattrs)
		return r;
	r = pl_meta_read(i.area->meta, header, sizeof header, i.xattrs, err);
	if (r < 0)
		return r;
	at = i.xattrs + HEADER_SIZE + header[4] * 4ull;
	if (at > i.end)
		return pl_corrupt(err, i.xattrs + 4,
				  "%u shared attributes in %" PRIu64 " bytes of them", header[4],
				  i.end - i.xattrs);
	r = pass_shared(fs, &i, header[4], fn, closure, err);
	while (r == 0 && i.end - at >= ENTRY_SIZE) {
		r = pass_one(fs, i.area, at, i.end, fn, closure, &at, err);
		at = PL_MIN(at, i.end);
	}
	return r;
}

/* ---- beginnings of names that a volume has of its own ---- */

/* They are in the metabox, the packed file, or on the disk: a length of 2 bytes, then that. */
int
erofs_read_prefixes(struct erofs *fs, const uint8_t *sb, struct platter_error *err)
{
	unsigned nr = sb[SB_NR_PREFIXES];
	uint64_t at = get_le32(sb + SB_PREFIXES) * 4ull;
	bool plain = fs->compat & COMPAT_PLAIN_PREFIXES;
	struct pl_disk *disk = fs->volume.disk;
	int r = 0;

	if (!nr || !(fs->incompat & INCOMPAT_XATTR_PREFIXES))
		return 0;
	if (!plain && fs->metabox.disk)
		disk = fs->metabox.disk;
	else if (!plain && fs->packed)
		disk = fs->packed;
	fs->prefixes = calloc(nr, sizeof *fs->prefixes);
	if (!fs->prefixes)
		return pl_no_memory(err);
	for (unsigned k = 0; k < nr && r == 0; k++) {
		struct erofs_prefix *p = &fs->prefixes[k];
		uint8_t b[3];
		unsigned n;

		r = pl_read(disk, b, sizeof b, at, err);
		if (r < 0)
			break;
		n = get_le16(b);
		if (!n || n > sizeof p->infix + 1)
			return pl_corrupt(err, at, "prefix of %u bytes", n);
		p->base = b[2];
		p->length = (uint8_t)(n - 1);
		r = pl_read(disk, p->infix, p->length, at + sizeof b, err);
		if (r == 0)
			fs->nr_prefixes = k + 1;
		at = pl_round_up(at + 2 + n, 4);
	}
	return r;
}
