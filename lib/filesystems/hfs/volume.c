/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hfs/volume.c - folders, files, their forks and attributes */
#include "decmpfs.h"
#include "hfs.h"
#include "normalize.h"

#define RESOURCE_STREAM    "rsrc"
#define RESOURCE_ATTRIBUTE "com.apple.ResourceFork"
#define FINDER_ATTRIBUTE   "com.apple.FinderInfo"

/* In the file's BSD flags. */
enum {
	UF_IMMUTABLE = 0x2,
	UF_APPEND = 0x4,
	SF_IMMUTABLE = 0x20000,
	SF_APPEND = 0x40000,
};

static bool
is_compressed(const struct hfs_node *node)
{
	return (node->bsd_flags & PL_UF_COMPRESSED) && pl_hfs_type(node) == PLATTER_FILE_REGULAR;
}

static void
set_time(struct platter_time *ret, uint32_t seconds)
{
	if (seconds)
		ret->seconds = (int64_t)seconds - HFS_EPOCH;
}

static uint32_t
attributes_of(const struct hfs_node *n)
{
	unsigned finder = get_be16(n->finder + 8);
	uint32_t a = 0;

	if (n->flags & FLAG_LOCKED)
		a |= PLATTER_FILE_READ_ONLY;
	if (n->bsd_flags & (UF_IMMUTABLE | SF_IMMUTABLE))
		a |= PLATTER_FILE_IMMUTABLE;
	if (n->bsd_flags & (UF_APPEND | SF_APPEND))
		a |= PLATTER_FILE_APPEND_ONLY;
	if (finder & FINDER_INVISIBLE)
		a |= PLATTER_FILE_HIDDEN;
	if (is_compressed(n))
		a |= PLATTER_FILE_COMPRESSED;
	return a;
}

/* How large a compressed file is when it is read. */
static int
stat_compressed(struct hfs *fs, const struct hfs_node *n, struct platter_file *ret,
		struct platter_error *err)
{
	PL_AUTOFREE uint8_t *value = NULL;
	struct pl_decmpfs c;
	size_t length;
	int r = pl_hfs_attribute(fs, n->cnid, PL_DECMPFS_ATTRIBUTE, &value, &length, err);

	if (r == 0)
		r = pl_decmpfs_decode(value, length, &c, err);
	if (r == -ENOMEM)
		return r;
	if (r == 0)
		ret->size = c.size;
	else if (!n->data.size)
		ret->attributes |= PLATTER_FILE_DAMAGED;
	return 0;
}

static int
hfs_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	 struct platter_error *err)
{
	struct hfs *fs = pl_hfs(v);
	struct hfs_node n;
	int r = pl_hfs_node_read(fs, id.inode, &n, err);

	if (r < 0)
		return r;
	ret->type = pl_hfs_type(&n);
	ret->inode = n.cnid;
	ret->attributes = attributes_of(&n);
	ret->has_mode = ret->has_owner = n.has_permissions;
	ret->mode = n.mode & 07777;
	ret->uid = n.uid;
	ret->gid = n.gid;
	set_time(&ret->created, n.created);
	set_time(&ret->modified, n.modified);
	set_time(&ret->changed, n.changed);
	set_time(&ret->accessed, n.accessed);
	if (n.parent && (n.parent == fs->private_files || n.parent == fs->private_folders))
		ret->links = PL_MAX(1, n.special);
	if (ret->type == PLATTER_FILE_CHARACTER_DEVICE || ret->type == PLATTER_FILE_BLOCK_DEVICE) {
		/* 8 and 24 bits; Linux writes its own 12 and 20. */
		unsigned bits = memcmp(fs->header + VH_LAST_MOUNTED, "H+Lx", 4) ? 24 : 20;

		ret->major = n.special >> bits;
		ret->minor = n.special & ((1u << bits) - 1);
	}
	if (ret->type == PLATTER_FILE_OTHER)
		ret->note = "whiteout";
	ret->allocated = (n.data.blocks + n.resource.blocks) * fs->block_size;
	if (n.folder)
		return 0;
	ret->size = n.data.size;
	if (fs->plus && pl_hfs_is_link(&n)) {
		ret->attributes |= PLATTER_FILE_DAMAGED;
		ret->note = "hard link to nothing";
	} else if (get_be16(n.finder + 8) & FINDER_ALIAS) {
		ret->note = "alias";
	}
	return is_compressed(&n) ? stat_compressed(fs, &n, ret, err) : 0;
}

/*
 * A record's node: of a hard link, what it stands for.  Links to nothing stand for
 * themselves, since their names are there.
 */
static int
resolve(struct hfs *fs, const struct hfs_record *record, struct hfs_node *n, uint64_t *ret_at,
	struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct hfs_node target;
	uint64_t at = record->at;
	int r = pl_hfs_node_decode(fs, record, n, err);

	*ret_at = record->at;
	if (r < 0 || !fs->plus || !pl_hfs_is_link(n))
		return r;
	r = pl_hfs_follow(fs, n, &at, &why);
	if (r == 0)
		r = pl_hfs_node_read(fs, at, &target, &why);
	if (r == -ENOMEM)
		return pl_no_memory(err);
	/* What is linked to is no link itself. */
	if (r == 0 && !pl_hfs_is_link(&target)) {
		*n = target;
		*ret_at = at;
	}
	return 0;
}

struct list {
	struct hfs *fs;
	bool is_root;
	pl_entry_fn *fn;
	void *closure;
	bool ended; /* by what takes the entries */
	int damage;
	struct platter_error first;
};

/* Apple's systems do not show these, of the root. */
static bool
is_hidden(const struct hfs *fs, const struct hfs_node *n, const char *name)
{
	if (n->folder)
		return n->cnid == fs->private_files || n->cnid == fs->private_folders;
	return fs->journal.present &&
	       (!strcmp(name, ".journal") || !strcmp(name, ".journal_info_block"));
}

static int
list_record(void *closure, const struct hfs_record *record, struct platter_error *err)
{
	struct list *l = closure;
	char name[HFS_MAX_UTF8 + 1];
	struct pl_entry e = { .name = name };
	struct hfs_node n;
	const uint8_t *units;
	unsigned nr;
	int r;

	r = resolve(l->fs, record, &n, &e.id.inode, l->damage ? NULL : &l->first);
	if (r == -ENOMEM)
		return pl_no_memory(err);
	if (r < 0) {
		l->damage = l->damage ? l->damage : r;
		return 0;
	}
	units = pl_hfs_key_name(l->fs, record, &nr);
	e.length = pl_hfs_name(l->fs->plus, units, nr, name);
	if (!nr || (l->is_root && l->fs->plus && is_hidden(l->fs, &n, name)))
		return 0;
	e.type = pl_hfs_type(&n);
	r = l->fn(l->closure, &e, err);
	l->ended = r != 0;
	return r;
}

static int
hfs_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	 struct platter_error *err)
{
	struct hfs *fs = pl_hfs(v);
	struct list l = { .fs = fs, .fn = fn, .closure = closure, .first = PLATTER_ERROR_INIT };
	struct hfs_node n;
	int r = pl_hfs_node_read(fs, folder.inode, &n, err);

	if (r < 0)
		return r;
	if (!n.folder)
		return pl_fail(err, -ENOTDIR, "CNID %" PRIu32 " is no folder", n.cnid);
	l.is_root = n.cnid == CNID_ROOT;
	r = pl_hfs_folder_walk(fs, n.cnid, list_record, &l, err);
	if (r == 0 && l.damage) {
		if (err)
			*err = l.first;
		return l.damage;
	}
	return r;
}

struct search {
	const char *name;
	size_t n;
	struct pl_node_id id;
};

static int
match_entry(void *closure, const struct pl_entry *e, struct platter_error *err)
{
	struct search *s = closure;

	if (e->length != s->n || memcmp(e->name, s->name, s->n) != 0)
		return 0;
	s->id = e->id;
	return 1;
}

static int
find_name(struct hfs *fs, uint32_t folder, const char *name, size_t n, uint64_t *ret,
	  struct platter_error *err)
{
	uint8_t units[2 * HFS_MAX_UNITS];
	unsigned nr;

	if (!pl_hfs_name_units(name, n, units, &nr) || !nr)
		return -ENOENT;
	return pl_hfs_find(fs, folder, units, nr, ret, err);
}

/* Names stand in the tree with their accents apart; people and other systems join them. */
static int
find_name_decomposed(struct hfs *fs, uint32_t folder, const char *name, size_t n, uint64_t *ret,
		     struct platter_error *err)
{
	size_t length;
	PL_AUTOFREE char *decomposed = pl_text_decompose(name, n, &length);

	if (!decomposed)
		return pl_no_memory(err);
	return find_name(fs, folder, decomposed, length, ret, err);
}

static int
hfsplus_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
	       struct pl_node_id *ret, struct platter_error *err)
{
	struct hfs *fs = pl_hfs(v);
	struct search s = { .name = name, .n = n };
	struct hfs_node node;
	uint64_t at = 0;
	int r = pl_hfs_node_read(fs, folder.inode, &node, err);

	if (r < 0)
		return r;
	if (!node.folder)
		return pl_fail(err, -ENOTDIR, "CNID %" PRIu32 " is no folder", node.cnid);
	r = find_name(fs, node.cnid, name, n, &at, err);
	if (r == -ENOENT)
		r = find_name_decomposed(fs, node.cnid, name, n, &at, err);
	if (r == 0) {
		r = pl_hfs_node_read(fs, at, &node, err);
		if (r == 0 && pl_hfs_is_link(&node) &&
		    pl_hfs_follow(fs, &node, &at, NULL) == -ENOMEM)
			r = pl_no_memory(err);
		ret->inode = at;
		ret->tree = 0;
		return r;
	}
	/* Some names are shown as others could be: surrogates that are alone, U+2400 itself. */
	if (r != -ENOENT || !memmem(name, n, "\xef\xbf\xbd", 3))
		if (r != -ENOENT || !memmem(name, n, "\xe2\x90\x80", 3))
			return r;
	r = hfs_list(v, folder, match_entry, &s, err);
	if (r > 0)
		*ret = s.id;
	return r > 0 ? 0 : r < 0 ? r : -ENOENT;
}

static int
hfsplus_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	struct hfs *fs = pl_hfs(v);
	struct pl_runs runs = { 0 };
	struct hfs_node n;
	char *target;
	int r = pl_hfs_node_read(fs, id.inode, &n, err);

	if (r < 0)
		return r;
	if (pl_hfs_type(&n) != PLATTER_FILE_SYMLINK)
		return pl_invalid(err, "CNID %" PRIu32 " is no symbolic link", n.cnid);
	if (n.data.size > PL_MAX_TARGET)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "target of %" PRIu64 " bytes, limit is %" PRIu64, n.data.size,
				     (uint64_t)PL_MAX_TARGET);
	target = calloc(1, (size_t)n.data.size + 1);
	if (!target)
		return pl_no_memory(err);
	r = pl_hfs_fork_runs(fs, &n.data, n.cnid, FORK_DATA, &runs, err);
	if (r == 0)
		r = pl_hfs_read(fs, &runs, target, (size_t)n.data.size, 0, err);
	pl_runs_done(&runs);
	if (r < 0)
		free(target);
	else
		*ret = target;
	return r;
}

static int
open_compressed(struct hfs *fs, const struct hfs_node *n, const char *name, struct pl_disk **ret,
		struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *fork = NULL;
	PL_AUTOFREE uint8_t *value = NULL;
	size_t length;
	int r = pl_hfs_attribute(fs, n->cnid, PL_DECMPFS_ATTRIBUTE, &value, &length, err);

	if (r == -ENOENT && n->data.size)
		return pl_hfs_fork_open(fs, &n->data, n->cnid, FORK_DATA, name, ret, err);
	if (r == -ENOENT)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "compressed file without the attribute " PL_DECMPFS_ATTRIBUTE);
	if (r == 0 && n->resource.size)
		r = pl_hfs_fork_open(fs, &n->resource, n->cnid, FORK_RESOURCE, name, &fork, err);
	return r < 0 ? r : pl_decmpfs_open(value, length, fork, name, ret, err);
}

static int
hfs_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
	      struct pl_disk **ret, struct platter_error *err)
{
	struct hfs *fs = pl_hfs(v);
	struct hfs_node n;
	int r = pl_hfs_node_read(fs, id.inode, &n, err);

	if (r < 0)
		return r;
	if (n.folder)
		return pl_fail(err, -EISDIR, "'%s' is a folder", name);
	if (stream) {
		if (strcmp(stream, RESOURCE_STREAM) != 0 || !n.resource.size || is_compressed(&n))
			return pl_fail(err, -ENOENT, "'%s' has no stream '%s'", name, stream);
		return pl_hfs_fork_open(fs, &n.resource, n.cnid, FORK_RESOURCE, name, ret, err);
	}
	if (pl_hfs_type(&n) != PLATTER_FILE_REGULAR)
		return pl_invalid(err, "'%s' is no regular file", name);
	if (fs->plus && pl_hfs_is_link(&n))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "hard link to number %" PRIu32 ", which is not there", n.special);
	if (is_compressed(&n))
		return open_compressed(fs, &n, name, ret, err);
	return pl_hfs_fork_open(fs, &n.data, n.cnid, FORK_DATA, name, ret, err);
}

/*
 * Finder's information as macOS gives it: without what the file system keeps there of its own
 * (when it was added, a number, a generation), and the type that makes a file a symbolic link.
 */
static bool
finder_info(const struct hfs *fs, const struct hfs_node *n, uint8_t info[static 32])
{
	memcpy(info, n->finder, 32);
	if (fs->plus) {
		memset(info + 16, 0, 8);
		memset(info + 28, 0, 4);
	}
	if (pl_hfs_type(n) == PLATTER_FILE_SYMLINK)
		memset(info, 0, 8);
	return !pl_is_zero(info, 32);
}

static int
pass_resource(struct hfs *fs, const struct hfs_node *n, pl_attribute_fn *fn, void *closure,
	      struct platter_error *err)
{
	struct pl_attribute a = { .name = RESOURCE_ATTRIBUTE, .size = n->resource.size };
	PL_AUTOFREE uint8_t *value = NULL;
	struct pl_runs runs = { 0 };
	int r;

	/* A larger one is seen as a stream alone. */
	if (!n->resource.size || n->resource.size > PL_MAX_XATTR || is_compressed(n))
		return 0;
	value = malloc((size_t)a.size);
	if (!value)
		return pl_no_memory(err);
	r = pl_hfs_fork_runs(fs, &n->resource, n->cnid, FORK_RESOURCE, &runs, err);
	if (r == 0)
		r = pl_hfs_read(fs, &runs, value, (size_t)a.size, 0, err);
	pl_runs_done(&runs);
	a.value = value;
	return r < 0 ? r : fn(closure, &a, err);
}

struct xattrs {
	bool compressed;
	pl_attribute_fn *fn;
	void *closure;
};

/* How a file is compressed is of no use to who reads it decompressed. */
static int
pass_attribute(void *closure, const struct pl_attribute *a, struct platter_error *err)
{
	struct xattrs *x = closure;

	if (x->compressed && !strcmp(a->name, PL_DECMPFS_ATTRIBUTE))
		return 0;
	return x->fn(x->closure, a, err);
}

static int
hfs_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	   struct platter_error *err)
{
	struct hfs *fs = pl_hfs(v);
	struct platter_error why = PLATTER_ERROR_INIT;
	struct xattrs x = { .fn = fn, .closure = closure };
	uint8_t info[32];
	struct hfs_node n;
	int r = pl_hfs_node_read(fs, id.inode, &n, err), damage;

	if (r < 0)
		return r;
	if (finder_info(fs, &n, info)) {
		const struct pl_attribute a = { FINDER_ATTRIBUTE, info, sizeof info };

		r = fn(closure, &a, err);
		if (r)
			return r;
	}
	damage = pass_resource(fs, &n, fn, closure, &why);
	if (damage > 0 || damage == -ENOMEM) {
		if (err)
			*err = why;
		return damage;
	}
	x.compressed = is_compressed(&n);
	r = pl_hfs_attributes(fs, n.cnid, NULL, pass_attribute, &x, err);
	if (r == 0 && damage < 0) {
		if (err)
			*err = why;
		return damage;
	}
	return r;
}

static int
hfs_streams(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	    struct platter_error *err)
{
	struct pl_attribute a = { .name = RESOURCE_STREAM };
	struct hfs_node n;
	int r = pl_hfs_node_read(pl_hfs(v), id.inode, &n, err);

	if (r < 0 || n.folder || !n.resource.size || is_compressed(&n))
		return r;
	a.size = n.resource.size;
	return fn(closure, &a, err);
}

void
pl_hfs_free(struct pl_volume *v)
{
	struct hfs *fs = pl_hfs(v);

	pl_hfs_tree_done(&fs->extents);
	pl_hfs_tree_done(&fs->catalog);
	pl_hfs_tree_done(&fs->attributes);
	pl_volume_done(v);
	free(fs);
}

/* Folders of HFS are searched by listing: they are small, and their order is Mac Roman's. */
const struct pl_volume_ops pl_hfs_ops = {
	.stat = hfs_stat,
	.list = hfs_list,
	.open = hfs_open_file,
	.xattrs = hfs_xattrs,
	.streams = hfs_streams,
	.used = pl_hfs_used,
	.describe = pl_hfs_describe,
	.free = pl_hfs_free,
};

const struct pl_volume_ops pl_hfsplus_ops = {
	.stat = hfs_stat,
	.list = hfs_list,
	.lookup = hfsplus_lookup,
	.read_link = hfsplus_read_link,
	.open = hfs_open_file,
	.xattrs = hfs_xattrs,
	.streams = hfs_streams,
	.used = pl_hfs_used,
	.describe = pl_hfs_describe,
	.free = pl_hfs_free,
};
