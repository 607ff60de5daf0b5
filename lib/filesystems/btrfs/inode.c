/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs/inode.c - files, folders, attributes
 *
 *	offset  size  directory entry (DIR_INDEX in the order of a folder, DIR_ITEM and XATTR_ITEM
 *	              by the hash of the name, where several may follow each other)
 *	     0    17  key of the inode, or of the root of a subvolume
 *	    25     2  size of the value (of an attribute)
 *	    27     2  size of the name
 *	    29     1  type
 *	    30        name, value
 *
 * A node's number is its inode's, its tree that of the subvolume.
 */
#include "btrfs.h"
#include "checksums.h"

enum {
	ENTRY_TARGET = 0,
	ENTRY_VALUE_SIZE = 25,
	ENTRY_NAME_SIZE = 27,
	ENTRY_TYPE = 29,
	ENTRY_NAME = 30,
};

enum {
	FLAG_IMMUTABLE = 1 << 6,
	FLAG_APPEND_ONLY = 1 << 7,
	FLAG_COMPRESSED = 1 << 11,
};

/*
 * What stands in a snapshot for a subvolume that was in the one it was made of: an empty
 * folder, of inode 2, as Linux shows it.  The subvolume's number below this bit tells one from
 * the other here.
 */
#define EMPTY_FOLDER       ((uint64_t)1 << 63)
#define EMPTY_FOLDER_INODE 2

static bool
is_empty_folder(struct pl_node_id id)
{
	return id.inode >= EMPTY_FOLDER && id.inode - EMPTY_FOLDER <= UINT32_MAX;
}

int
pl_btrfs_read_inode(struct btrfs *fs, struct pl_node_id id, struct btrfs_inode *ret,
		    struct platter_error *err)
{
	struct btrfs_key key = { .objectid = id.inode, .type = BTRFS_INODE_ITEM };
	struct btrfs_cursor c;
	int r = pl_btrfs_find_tree(fs, id.tree, &ret->tree, err);

	if (r == -ENOENT)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "no subvolume has the number %" PRIu64,
				  id.tree);
	if (r < 0)
		return r;
	r = pl_btrfs_find(fs, &ret->tree, &key, &c, err);
	if (r == -ENOENT)
		r = pl_corrupt(err, PLATTER_NO_OFFSET,
			       "subvolume %" PRIu64 " has no inode %" PRIu64, id.tree, id.inode);
	else if (r == 0 && c.size < INODE_ITEM_SIZE)
		r = pl_corrupt(err, c.at, "inode item of %" PRIu32 " bytes", c.size);
	if (r == 0)
		memcpy(ret->item, c.data, INODE_ITEM_SIZE);
	pl_btrfs_leave(&c);
	return r;
}

static struct platter_time
get_time(const uint8_t *p)
{
	return (struct platter_time){ .seconds = (int64_t)get_le64(p),
				      .nanoseconds = PL_MIN(get_le32(p + 8), 999999999u) };
}

static enum platter_file_type
type_of_mode(uint32_t mode)
{
	switch (mode & 0170000) {
	case 0100000: return PLATTER_FILE_REGULAR;
	case 0040000: return PLATTER_FILE_FOLDER;
	case 0120000: return PLATTER_FILE_SYMLINK;
	case 0010000: return PLATTER_FILE_FIFO;
	case 0140000: return PLATTER_FILE_SOCKET;
	case 0020000: return PLATTER_FILE_CHARACTER_DEVICE;
	case 0060000: return PLATTER_FILE_BLOCK_DEVICE;
	default: return PLATTER_FILE_OTHER;
	}
}

static int
btrfs_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	   struct platter_error *err)
{
	struct btrfs_inode inode;
	const uint8_t *p = inode.item;
	uint64_t flags, device;
	uint32_t mode;
	int r;

	ret->inode = id.inode;
	if (is_empty_folder(id)) {
		ret->inode = EMPTY_FOLDER_INODE;
		ret->type = PLATTER_FILE_FOLDER;
		ret->has_mode = ret->has_owner = true;
		ret->mode = 0755;
		ret->allocated = 0;
		ret->note = "subvolume that is not in this snapshot";
		return 0;
	}
	r = pl_btrfs_read_inode(pl_btrfs_of(v), id, &inode, err);
	if (r < 0)
		return r;
	mode = get_le32(p + INODE_MODE);
	flags = get_le64(p + INODE_FLAGS);
	device = get_le64(p + INODE_DEVICE);
	ret->type = type_of_mode(mode);
	ret->has_mode = ret->has_owner = true;
	ret->mode = mode & 07777;
	ret->uid = get_le32(p + INODE_UID);
	ret->gid = get_le32(p + INODE_GID);
	ret->links = get_le32(p + INODE_LINKS);
	ret->size = get_le64(p + INODE_SIZE);
	ret->allocated = get_le64(p + INODE_BYTES);
	ret->accessed = get_time(p + INODE_ACCESSED);
	ret->changed = get_time(p + INODE_CHANGED);
	ret->modified = get_time(p + INODE_MODIFIED);
	/* Old ones do not record it. */
	if (get_le64(p + INODE_CREATED))
		ret->created = get_time(p + INODE_CREATED);
	if (ret->type == PLATTER_FILE_CHARACTER_DEVICE || ret->type == PLATTER_FILE_BLOCK_DEVICE) {
		/* As the kernel keeps it: 12 and 20 bits. */
		ret->major = (uint32_t)(device >> 20 & 0xfff);
		ret->minor = (uint32_t)(device & 0xfffff);
	}
	if (flags & FLAG_IMMUTABLE)
		ret->attributes |= PLATTER_FILE_IMMUTABLE;
	if (flags & FLAG_APPEND_ONLY)
		ret->attributes |= PLATTER_FILE_APPEND_ONLY;
	if (flags & FLAG_COMPRESSED)
		ret->attributes |= PLATTER_FILE_COMPRESSED;
	if (id.inode == BTRFS_FIRST_FREE && id.tree != BTRFS_TOP_TREE)
		ret->note = "subvolume";
	return 0;
}

/* The entry at the front of n bytes; *ret_size: all that it takes. */
static int
check_entry(const uint8_t *p, size_t n, uint64_t at, size_t *ret_size, struct platter_error *err)
{
	size_t name, value;

	if (n < ENTRY_NAME)
		return pl_corrupt(err, at, "directory entry of %zu bytes", n);
	name = get_le16(p + ENTRY_NAME_SIZE);
	value = get_le16(p + ENTRY_VALUE_SIZE);
	if (name + value > n - ENTRY_NAME)
		return pl_corrupt(err, at,
				  "directory entry of %zu bytes with a name of %zu and a "
				  "value of %zu",
				  n, name, value);
	*ret_size = ENTRY_NAME + name + value;
	return 0;
}

/* Is subvolume `id` really at that place of that tree, and not only in what it is a snapshot of? */
static int
is_mounted(struct btrfs *fs, struct pl_node_id folder, uint64_t id, const uint8_t *name, size_t n,
	   struct platter_error *err)
{
	struct btrfs_key key = { folder.tree, id, BTRFS_ROOT_REF };
	struct btrfs_cursor c;
	int r = pl_btrfs_find(fs, &fs->root_tree, &key, &c, err);

	if (r == 0)
		r = c.size >= ROOT_REF_NAME + n &&
		    get_le64(c.data + ROOT_REF_FOLDER) == folder.inode &&
		    get_le16(c.data + ROOT_REF_NAME_LENGTH) == n &&
		    !memcmp(c.data + ROOT_REF_NAME, name, n);
	else if (r == -ENOENT)
		r = 0;
	pl_btrfs_leave(&c);
	return r;
}

/* What an entry of `folder` leads to. */
static int
resolve(struct btrfs *fs, struct pl_node_id folder, const uint8_t *entry, uint64_t at,
	struct pl_node_id *ret, struct platter_error *err)
{
	struct btrfs_key key = pl_btrfs_get_key(entry + ENTRY_TARGET);
	int r;

	if (key.type == BTRFS_INODE_ITEM) {
		*ret = (struct pl_node_id){ .inode = key.objectid, .tree = folder.tree };
		return 0;
	}
	if (key.type != BTRFS_ROOT_ITEM || key.objectid > UINT32_MAX)
		return pl_corrupt(err, at, "directory entry leads to an item of type %u", key.type);
	r = is_mounted(fs, folder, key.objectid, entry + ENTRY_NAME,
		       get_le16(entry + ENTRY_NAME_SIZE), err);
	if (r < 0)
		return r;
	if (r > 0)
		*ret = (struct pl_node_id){ .inode = BTRFS_FIRST_FREE, .tree = key.objectid };
	else
		*ret = (struct pl_node_id){ .inode = EMPTY_FOLDER | key.objectid,
					    .tree = folder.tree };
	return 0;
}

struct lister {
	struct btrfs *fs;
	struct pl_node_id folder;
	pl_entry_fn *fn;
	void *closure;
	int answer; /* what ended the listing */
};

static int
list_item(void *closure, const struct btrfs_cursor *c, struct platter_error *err)
{
	static const enum platter_file_type types[] = {
		PLATTER_FILE_UNKNOWN,          PLATTER_FILE_REGULAR,      PLATTER_FILE_FOLDER,
		PLATTER_FILE_CHARACTER_DEVICE, PLATTER_FILE_BLOCK_DEVICE, PLATTER_FILE_FIFO,
		PLATTER_FILE_SOCKET,           PLATTER_FILE_SYMLINK,
	};
	struct lister *l = closure;
	struct pl_entry e = { 0 };
	size_t size;
	int r = check_entry(c->data, c->size, c->at, &size, err);

	if (r == 0)
		r = resolve(l->fs, l->folder, c->data, c->at, &e.id, err);
	if (r < 0)
		return r;
	e.name = (const char *)c->data + ENTRY_NAME;
	e.length = get_le16(c->data + ENTRY_NAME_SIZE);
	if (c->data[ENTRY_TYPE] < ARRAY_SIZE(types))
		e.type = types[c->data[ENTRY_TYPE]];
	l->answer = l->fn(l->closure, &e, err);
	return l->answer != 0;
}

static int
expect_folder(const struct btrfs_inode *inode, struct platter_error *err)
{
	if (type_of_mode(get_le32(inode->item + INODE_MODE)) != PLATTER_FILE_FOLDER)
		return pl_fail(err, -ENOTDIR, "Btrfs inode is no folder");
	return 0;
}

static int
btrfs_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	   struct platter_error *err)
{
	struct lister l = { pl_btrfs_of(v), folder, fn, closure, 0 };
	struct btrfs_inode inode;
	int r;

	if (is_empty_folder(folder))
		return 0;
	r = pl_btrfs_read_inode(l.fs, folder, &inode, err);
	if (r == 0)
		r = expect_folder(&inode, err);
	if (r == 0)
		r = pl_btrfs_each(l.fs, &inode.tree, folder.inode, BTRFS_DIR_INDEX, list_item, &l,
				  err);
	return l.answer ? l.answer : r;
}

/* Seeds the checksum of a name. */
#define NAME_SEED 0xfffffffeu

static int
btrfs_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
	     struct pl_node_id *ret, struct platter_error *err)
{
	struct btrfs *fs = pl_btrfs_of(v);
	struct btrfs_key key = { folder.inode, pl_crc32c_raw(NAME_SEED, name, n), BTRFS_DIR_ITEM };
	struct btrfs_inode inode;
	struct btrfs_cursor c;
	int r;

	if (is_empty_folder(folder))
		return -ENOENT;
	r = pl_btrfs_read_inode(fs, folder, &inode, err);
	if (r == 0)
		r = expect_folder(&inode, err);
	if (r < 0)
		return r;
	r = pl_btrfs_find(fs, &inode.tree, &key, &c, err);
	for (size_t done = 0, size; r == 0; done += size) {
		const uint8_t *entry = c.data + done;

		if (done == c.size) {
			r = -ENOENT;
			break;
		}
		r = check_entry(entry, c.size - done, c.at + done, &size, err);
		if (r == 0 && get_le16(entry + ENTRY_NAME_SIZE) == n &&
		    !memcmp(entry + ENTRY_NAME, name, n)) {
			r = resolve(fs, folder, entry, c.at + done, ret, err);
			break;
		}
	}
	pl_btrfs_leave(&c);
	return r;
}

struct attributes {
	pl_attribute_fn *fn;
	void *closure;
	int answer;
};

static int
list_attribute(void *closure, const struct btrfs_cursor *c, struct platter_error *err)
{
	struct attributes *l = closure;
	char name[PL_MAX_NAME];
	size_t size;

	for (size_t done = 0; done < c->size; done += size) {
		const uint8_t *entry = c->data + done;
		struct pl_attribute a = { .name = name };
		size_t n;
		int r = check_entry(entry, c->size - done, c->at + done, &size, err);

		if (r < 0)
			return r;
		n = get_le16(entry + ENTRY_NAME_SIZE);
		if (n >= sizeof name)
			return pl_corrupt(err, c->at + done, "attribute's name of %zu bytes", n);
		memcpy(name, entry + ENTRY_NAME, n);
		name[n] = '\0';
		a.value = entry + ENTRY_NAME + n;
		a.size = get_le16(entry + ENTRY_VALUE_SIZE);
		l->answer = l->fn(l->closure, &a, err);
		if (l->answer)
			return 1;
	}
	return 0;
}

static int
btrfs_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	     struct platter_error *err)
{
	struct attributes l = { fn, closure, 0 };
	struct btrfs_inode inode;
	int r;

	if (is_empty_folder(id))
		return 0;
	r = pl_btrfs_read_inode(pl_btrfs_of(v), id, &inode, err);
	if (r == 0)
		r = pl_btrfs_each(pl_btrfs_of(v), &inode.tree, id.inode, BTRFS_XATTR_ITEM,
				  list_attribute, &l, err);
	return l.answer ? l.answer : r;
}

static void
btrfs_free(struct pl_volume *v)
{
	struct btrfs *fs = pl_btrfs_of(v);

	pl_btrfs_nodes_done(fs);
	pthread_mutex_destroy(&fs->lock);
	free(fs->chunks);
	pl_volume_done(v);
	free(fs);
}

static const struct pl_volume_ops btrfs_ops = {
	.stat = btrfs_stat,
	.list = btrfs_list,
	.lookup = btrfs_lookup,
	.read_link = pl_btrfs_read_link,
	.open = pl_btrfs_open_file,
	.xattrs = btrfs_xattrs,
	.used = pl_btrfs_used,
	.describe = pl_btrfs_describe,
	.free = btrfs_free,
};

int
pl_btrfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
	      struct platter_error *err)
{
	struct btrfs *fs = calloc(1, sizeof *fs);
	struct pl_volume *v;
	struct btrfs_root top;
	uint64_t total, used;
	int r;

	if (!fs)
		return pl_no_memory(err);
	v = &fs->volume;
	pthread_mutex_init(&fs->lock, NULL);
	r = pl_volume_init(v, &btrfs_ops, request, err);
	if (r == 0)
		r = pl_btrfs_choose_superblock(fs, err);
	if (r == 0)
		r = pl_btrfs_nodes_init(fs, err);
	if (r == 0)
		r = pl_btrfs_load_chunks(fs, err);
	v->root = (struct pl_node_id){ .inode = BTRFS_FIRST_FREE, .tree = BTRFS_TOP_TREE };
	if (r == 0 && request->snapshot)
		r = pl_btrfs_find_subvolume(fs, request->snapshot, &v->root.tree, err);
	if (r == 0) {
		r = pl_btrfs_find_tree(fs, v->root.tree, &top, err);
		if (r == -ENOENT)
			r = pl_corrupt(err, PLATTER_NO_OFFSET, "there is no tree of files");
	}
	if (r < 0) {
		btrfs_free(v);
		return r;
	}
	total = get_le64(fs->sb + BTRFS_TOTAL);
	used = get_le64(fs->sb + BTRFS_USED);
	v->size = PL_MIN(v->size, get_le64(fs->sb + BTRFS_DEVICE_SIZE));
	v->block_size = fs->sector_size;
	/* Of several devices the free space is not told for each. */
	if (get_le64(fs->sb + BTRFS_DEVICES) == 1 && used <= total)
		v->free = total - used;
	v->state = get_le64(fs->sb + BTRFS_LOG_ROOT) ? PLATTER_STATE_DIRTY : PLATTER_STATE_CLEAN;
	*ret = v;
	return 0;
}
