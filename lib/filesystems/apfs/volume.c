/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * apfs/volume.c - the files of an APFS container
 *
 * A container with one volume shows that volume's root.  With several, or none, the root is
 * a folder that is nowhere on the disk and has a folder for each volume.  `tree` of a node is
 * its volume's index, `inode` the number there; 2 is a volume's root.
 */
#include "apfs.h"

#include "decmpfs.h"

#define RESOURCE_FORK_STREAM "rsrc"

static bool
is_top(struct pl_node_id id)
{
	return id.tree == APFS_TOP;
}

static enum platter_file_type
type_of(uint32_t mode)
{
	static const enum platter_file_type types[] = {
		[1] = PLATTER_FILE_FIFO,     [2] = PLATTER_FILE_CHARACTER_DEVICE,
		[4] = PLATTER_FILE_FOLDER,   [6] = PLATTER_FILE_BLOCK_DEVICE,
		[8] = PLATTER_FILE_REGULAR,  [10] = PLATTER_FILE_SYMLINK,
		[12] = PLATTER_FILE_SOCKET,  [14] = PLATTER_FILE_OTHER,
		[15] = PLATTER_FILE_UNKNOWN,
	};
	enum platter_file_type type = types[mode >> 12 & 15];

	return type == PLATTER_FILE_UNKNOWN ? PLATTER_FILE_OTHER : type;
}

static struct platter_time
time_of(int64_t nanoseconds)
{
	int64_t seconds = nanoseconds / 1000000000, rest = nanoseconds % 1000000000;

	if (rest < 0) {
		seconds--;
		rest += 1000000000;
	}
	return (struct platter_time){ seconds, (uint32_t)rest };
}

static uint32_t
attributes_of(const struct apfs_inode *inode)
{
	static const struct {
		uint32_t bsd, attribute;
	} flags[] = {
		{ BSD_IMMUTABLE | BSD_SYSTEM_IMMUTABLE, PLATTER_FILE_IMMUTABLE },
		{ BSD_APPEND | BSD_SYSTEM_APPEND, PLATTER_FILE_APPEND_ONLY },
		{ BSD_HIDDEN, PLATTER_FILE_HIDDEN },
	};
	uint32_t attributes = 0;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (inode->bsd_flags & flags[i].bsd)
			attributes |= flags[i].attribute;
	if (inode->compressed)
		attributes |= PLATTER_FILE_COMPRESSED;
	if (inode->sparse)
		attributes |= PLATTER_FILE_SPARSE;
	return attributes;
}

static const char *
note_of(const struct apfs_subvolume *s, uint64_t number, const struct apfs_inode *inode)
{
	if (number == INODE_ROOT)
		return pl_apfs_role(s->role);
	if (inode->bsd_flags & BSD_FIRMLINK)
		return "firmlink";
	if (inode->bsd_flags & BSD_DATALESS)
		return "dataless";
	return (inode->mode & 0170000) == 0160000 ? "whiteout" : NULL;
}

/* A volume's folder is there even where nothing in it can be read. */
static void
stat_broken(const struct apfs_subvolume *s, struct platter_file *ret)
{
	ret->type = PLATTER_FILE_FOLDER;
	ret->allocated = 0;
	ret->attributes = s->encrypted ? PLATTER_FILE_ENCRYPTED : PLATTER_FILE_DAMAGED;
	ret->note = s->encrypted ? "encrypted" : pl_apfs_role(s->role);
}

static int
apfs_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	  struct platter_error *err)
{
	struct apfs *fs = apfs_of(v);
	const struct apfs_subvolume *s = NULL;
	struct apfs_inode inode;
	int r;

	if (is_top(id)) {
		ret->type = PLATTER_FILE_FOLDER;
		ret->allocated = 0;
		return 0;
	}
	r = pl_apfs_subvolume(fs, id, &s, err);
	if (s && r < 0 && id.inode == INODE_ROOT) {
		stat_broken(s, ret);
		return 0;
	}
	if (r == 0)
		r = pl_apfs_inode(fs, s, id.inode, &inode, err);
	if (r < 0)
		return r;
	ret->type = type_of(inode.mode);
	ret->attributes = attributes_of(&inode);
	ret->mode = inode.mode & 07777;
	ret->uid = inode.uid;
	ret->gid = inode.gid;
	ret->has_mode = ret->has_owner = true;
	ret->modified = time_of(inode.modified);
	ret->accessed = time_of(inode.accessed);
	ret->changed = time_of(inode.changed);
	ret->created = time_of(inode.created);
	ret->note = note_of(s, id.inode, &inode);
	ret->allocated = inode.allocated - PL_MIN(inode.sparse, inode.allocated);
	if (ret->type == PLATTER_FILE_FOLDER)
		return 0;
	ret->links = PL_MAX(inode.links, 1u);
	if (ret->type == PLATTER_FILE_REGULAR || ret->type == PLATTER_FILE_SYMLINK)
		ret->size = inode.size;
	if (ret->type == PLATTER_FILE_BLOCK_DEVICE || ret->type == PLATTER_FILE_CHARACTER_DEVICE) {
		ret->major = inode.device >> 24;
		ret->minor = inode.device & 0xffffff;
	}
	return 0;
}

static struct pl_entry
subvolume_entry(const struct apfs_subvolume *s)
{
	return (struct pl_entry){
		.name = s->name,
		.length = strlen(s->name),
		.id = { INODE_ROOT, s->index },
		.type = PLATTER_FILE_FOLDER,
	};
}

static int
list_top(struct apfs *fs, pl_entry_fn *fn, void *closure, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; i < APFS_MAX_VOLUMES && r == 0; i++)
		if (fs->subvolume[i] && !fs->subvolume[i]->absent) {
			struct pl_entry e = subvolume_entry(fs->subvolume[i]);

			r = fn(closure, &e, err);
		}
	return r;
}

static int
apfs_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	  struct platter_error *err)
{
	struct apfs *fs = apfs_of(v);
	struct platter_error why = PLATTER_ERROR_INIT;
	const struct apfs_subvolume *s;
	struct apfs_inode inode;
	int r, first;

	if (is_top(folder))
		return list_top(fs, fn, closure, err);
	r = pl_apfs_subvolume(fs, folder, &s, err);
	if (r < 0)
		return r;
	/* Where only the inode is damaged there are entries nevertheless. */
	first = pl_apfs_inode(fs, s, folder.inode, &inode, &why);
	if (first == 0 && type_of(inode.mode) != PLATTER_FILE_FOLDER)
		return pl_fail(err, -ENOTDIR, "inode %" PRIu64 " is no folder", folder.inode);
	r = pl_apfs_list(fs, s, folder.inode, fn, closure, err);
	if (r == 0 && first < 0) {
		if (err)
			*err = why;
		r = first;
	}
	return r;
}

static int
lookup_top(struct apfs *fs, const char *name, size_t n, struct pl_node_id *ret)
{
	const struct apfs_subvolume *found = NULL;

	for (size_t i = 0; i < APFS_MAX_VOLUMES; i++) {
		const struct apfs_subvolume *s = fs->subvolume[i];

		if (!s || s->absent)
			continue;
		if (strlen(s->name) == n && !memcmp(s->name, name, n)) {
			found = s;
			break;
		}
		if (!found && pl_names_equal_folded(s->name, strlen(s->name), name, n))
			found = s;
	}
	if (!found)
		return -ENOENT;
	*ret = (struct pl_node_id){ INODE_ROOT, found->index };
	return 0;
}

static int
apfs_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
	    struct pl_node_id *ret, struct platter_error *err)
{
	struct apfs *fs = apfs_of(v);
	const struct apfs_subvolume *s;
	uint64_t inode;
	int r;

	if (is_top(folder))
		return lookup_top(fs, name, n, ret);
	r = pl_apfs_subvolume(fs, folder, &s, err);
	if (r == 0)
		r = pl_apfs_lookup(fs, s, folder.inode, name, n, &inode, err);
	if (r == 0)
		*ret = (struct pl_node_id){ inode, folder.tree };
	return r;
}

/* All of an attribute's bytes, malloc()ed, and a NUL. */
static int
load_xattr(struct apfs *fs, const struct apfs_subvolume *s, struct apfs_xattr *x, uint64_t limit,
	   struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *stream = NULL;
	PL_AUTOFREE uint8_t *value = NULL;
	int r;

	if (x->size > limit)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "attribute '%s' of %" PRIu64 " bytes, limit is %" PRIu64,
				     x->name, x->size, limit);
	if (x->value)
		return 0;
	r = pl_apfs_xattr_open(fs, s, x, x->name, &stream, err);
	if (r < 0)
		return r;
	value = malloc((size_t)x->size + 1);
	if (!value)
		return pl_no_memory(err);
	value[x->size] = '\0';
	r = pl_read(stream, value, (size_t)x->size, 0, err);
	if (r == 0)
		x->value = PL_STEAL(value);
	return r;
}

static int
apfs_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	struct apfs *fs = apfs_of(v);
	const struct apfs_subvolume *s;
	struct apfs_xattr x;
	int r;

	if (is_top(id))
		return pl_invalid(err, "the container's root is no symbolic link");
	r = pl_apfs_subvolume(fs, id, &s, err);
	if (r < 0)
		return r;
	r = pl_apfs_xattr_find(fs, s, id.inode, APFS_SYMLINK, &x, err);
	if (r == -ENOENT)
		return pl_invalid(err, "inode %" PRIu64 " is no symbolic link", id.inode);
	if (r == 0)
		r = load_xattr(fs, s, &x, PL_MAX_TARGET, err);
	if (r == 0) {
		*ret = (char *)x.value;
		return 0;
	}
	pl_apfs_xattr_done(&x);
	return r;
}

/* The resource fork: -ENOENT without words if there is none. */
static int
open_fork(struct apfs *fs, const struct apfs_subvolume *s, uint64_t number, const char *name,
	  struct pl_disk **ret, struct platter_error *err)
{
	struct apfs_xattr x;
	int r = pl_apfs_xattr_find(fs, s, number, APFS_RESOURCE_FORK, &x, err);

	if (r < 0)
		return r;
	r = pl_apfs_xattr_open(fs, s, &x, name, ret, err);
	pl_apfs_xattr_done(&x);
	return r;
}

static int
open_compressed(struct apfs *fs, const struct apfs_subvolume *s, uint64_t number, const char *name,
		struct pl_disk **ret, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *fork = NULL;
	struct apfs_xattr x;
	int r = pl_apfs_xattr_find(fs, s, number, PL_DECMPFS_ATTRIBUTE, &x, err);

	if (r < 0)
		return r;
	r = load_xattr(fs, s, &x, PL_DECMPFS_MAX, err);
	if (r == 0)
		r = open_fork(fs, s, number, name, &fork, err);
	if (r == 0 || r == -ENOENT)
		r = pl_decmpfs_open(x.value, (size_t)x.size, fork, name, ret, err);
	pl_apfs_xattr_done(&x);
	return r;
}

/* Has the inode a resource fork that is not where its own compressed bytes are? */
static int
has_fork(struct apfs *fs, const struct apfs_subvolume *s, uint64_t number,
	 const struct apfs_inode *inode, bool *ret, struct platter_error *err)
{
	struct pl_decmpfs header = { 0 };
	struct apfs_xattr x;
	int r;

	*ret = true;
	if (!inode->compressed)
		return 0;
	r = pl_apfs_xattr_find(fs, s, number, PL_DECMPFS_ATTRIBUTE, &x, err);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = load_xattr(fs, s, &x, PL_DECMPFS_MAX, err);
	if (r == 0)
		r = pl_decmpfs_decode(x.value, (size_t)x.size, &header, err);
	*ret = !header.in_fork;
	pl_apfs_xattr_done(&x);
	return r;
}

static int
open_stream(struct apfs *fs, const struct apfs_subvolume *s, uint64_t number, const char *stream,
	    const struct apfs_inode *inode, const char *name, struct pl_disk **ret,
	    struct platter_error *err)
{
	bool fork = false;
	int r = -ENOENT;

	if (!strcmp(stream, RESOURCE_FORK_STREAM)) {
		r = has_fork(fs, s, number, inode, &fork, err);
		if (r == 0)
			r = fork ? open_fork(fs, s, number, name, ret, err) : -ENOENT;
	}
	return r == -ENOENT ? pl_fail(err, r, "'%s' has no stream '%s'", name, stream) : r;
}

static int
apfs_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
	       struct pl_disk **ret, struct platter_error *err)
{
	struct apfs *fs = apfs_of(v);
	const struct apfs_subvolume *s;
	struct apfs_inode inode;
	enum platter_file_type type;
	int r;

	if (is_top(id))
		return pl_fail(err, stream ? -ENOENT : -EISDIR, "'%s' is a folder", name);
	r = pl_apfs_subvolume(fs, id, &s, err);
	if (r == 0)
		r = pl_apfs_inode(fs, s, id.inode, &inode, err);
	if (r < 0)
		return r;
	type = type_of(inode.mode);
	if (stream)
		return open_stream(fs, s, id.inode, stream, &inode, name, ret, err);
	if (type != PLATTER_FILE_REGULAR)
		return pl_fail(err, type == PLATTER_FILE_FOLDER ? -EISDIR : -EINVAL,
			       "'%s' is no regular file", name);
	if (inode.bsd_flags & BSD_DATALESS)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "'%s' is dataless: its contents are kept elsewhere", name);
	if (inode.compressed)
		return open_compressed(fs, s, id.inode, name, ret, err);
	return pl_apfs_stream_open(fs, s, inode.data_id, inode.size, name, ret, err);
}

struct attributes {
	struct apfs *fs;
	const struct apfs_subvolume *s;
	const struct apfs_inode *inode;
	pl_attribute_fn *fn;
	void *closure;
	bool shows_fork;
	struct platter_error why;
	int first; /* error, and its words */
};

static int
pass_xattr(void *closure, const struct apfs_xattr *x, struct platter_error *err)
{
	struct attributes *a = closure;
	struct apfs_xattr loaded = *x;
	struct pl_attribute attribute = { .name = x->name, .size = x->size };
	int r;

	/* What read_link() and open() show; a larger resource fork is a stream alone. */
	if (!strcmp(x->name, APFS_SYMLINK) ||
	    (a->inode->compressed && !strcmp(x->name, PL_DECMPFS_ATTRIBUTE)) ||
	    (!strcmp(x->name, APFS_RESOURCE_FORK) && (!a->shows_fork || x->size > PL_MAX_XATTR)))
		return 0;
	r = load_xattr(a->fs, a->s, &loaded, PL_MAX_XATTR, a->first ? NULL : &a->why);
	if (r < 0) {
		a->first = a->first ? a->first : r;
		return r == -ENOMEM ? pl_no_memory(err) : 0;
	}
	attribute.value = loaded.value;
	r = a->fn(a->closure, &attribute, err);
	if (!x->value)
		pl_apfs_xattr_done(&loaded);
	return r;
}

static int
apfs_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	    struct platter_error *err)
{
	struct apfs *fs = apfs_of(v);
	const struct apfs_subvolume *s;
	struct apfs_inode inode;
	struct attributes a = { .fs = fs, .fn = fn, .closure = closure, .inode = &inode };
	int r;

	if (is_top(id))
		return 0;
	r = pl_apfs_subvolume(fs, id, &s, err);
	if (r == 0)
		r = pl_apfs_inode(fs, s, id.inode, &inode, err);
	if (r == 0)
		r = has_fork(fs, s, id.inode, &inode, &a.shows_fork, err);
	if (r < 0)
		return r;
	a.s = s;
	a.why = (struct platter_error)PLATTER_ERROR_INIT;
	r = pl_apfs_xattrs(fs, s, id.inode, pass_xattr, &a, err);
	if (r || !a.first)
		return r;
	if (err)
		*err = a.why;
	return a.first;
}

static int
apfs_streams(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	     struct platter_error *err)
{
	struct apfs *fs = apfs_of(v);
	struct pl_attribute stream = { .name = RESOURCE_FORK_STREAM };
	const struct apfs_subvolume *s;
	struct apfs_inode inode;
	struct apfs_xattr x;
	bool fork = false;
	int r;

	if (is_top(id))
		return 0;
	r = pl_apfs_subvolume(fs, id, &s, err);
	if (r == 0)
		r = pl_apfs_inode(fs, s, id.inode, &inode, err);
	if (r == 0)
		r = has_fork(fs, s, id.inode, &inode, &fork, err);
	if (r < 0 || !fork)
		return r;
	r = pl_apfs_xattr_find(fs, s, id.inode, APFS_RESOURCE_FORK, &x, err);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	stream.size = x.size;
	pl_apfs_xattr_done(&x);
	return fn(closure, &stream, err);
}

static void
apfs_free(struct pl_volume *v)
{
	struct apfs *fs = apfs_of(v);

	if (fs->cache)
		pl_apfs_cache_free(fs);
	for (size_t i = 0; i < APFS_MAX_VOLUMES; i++)
		free(fs->subvolume[i]);
	free(fs->checkpoint.ephemeral);
	pl_volume_done(v);
	free(fs);
}

static const struct pl_volume_ops apfs_ops = {
	.stat = apfs_stat,
	.list = apfs_list,
	.lookup = apfs_lookup,
	.read_link = apfs_read_link,
	.open = apfs_open_file,
	.xattrs = apfs_xattrs,
	.streams = apfs_streams,
	.used = pl_apfs_used,
	.describe = pl_apfs_describe,
	.free = apfs_free,
};

/* The second device of a Fusion drive has a superblock too, but no checkpoints. */
static int
check_device(const struct apfs *fs, struct platter_error *err)
{
	if (fs->fusion && fs->checkpoint.super[NX_FUSION_UUID] & 0x80)
		return pl_unsupported(
			err, NX_FUSION_UUID,
			"the second device of a Fusion drive: its files are listed on "
			"the first");
	return 0;
}

static void
choose_root(struct apfs *fs)
{
	struct pl_volume *v = &fs->volume;

	v->root = (struct pl_node_id){ 0, APFS_TOP };
	v->folds_case = fs->nr_shown > 0;
	for (unsigned i = 0; i < APFS_MAX_VOLUMES; i++) {
		const struct apfs_subvolume *s = fs->subvolume[i];

		if (!s || s->absent)
			continue;
		if (fs->nr_subvolumes == 1)
			v->root = (struct pl_node_id){ INODE_ROOT, i };
		v->folds_case = v->folds_case && s->folds_case;
	}
}

int
pl_apfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
	     struct platter_error *err)
{
	struct apfs *fs = calloc(1, sizeof *fs);
	struct pl_volume *v;
	int r;

	if (!fs)
		return pl_no_memory(err);
	v = &fs->volume;
	r = pl_volume_init(v, &apfs_ops, request, err);
	if (r == 0)
		r = pl_apfs_checkpoint_open(fs, err);
	if (r == 0)
		r = check_device(fs, err);
	if (r == 0)
		r = pl_apfs_subvolumes_open(fs, request->snapshot, err);
	if (r < 0) {
		apfs_free(v);
		return r;
	}
	v->size = PL_MIN(v->size, fs->nr_blocks * fs->block_size);
	v->block_size = fs->block_size;
	v->free = pl_apfs_free(fs);
	v->state = !fs->checkpoint.whole    ? PLATTER_STATE_DIRTY
		   : fs->checkpoint.newer   ? PLATTER_STATE_RECOVERED
		   : fs->checkpoint.skipped ? PLATTER_STATE_RECOVERED
					    : PLATTER_STATE_CLEAN;
	choose_root(fs);
	*ret = v;
	return 0;
}
