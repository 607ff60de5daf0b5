/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * f2fs/volume.c - the files of F2FS, Linux' log-structured file system for flash; little-endian
 *
 * See Documentation/filesystems/f2fs.rst and include/linux/f2fs_fs.h of the Linux kernel.
 */
#include "f2fs.h"
#include "text.h"

static enum platter_file_type
type_of(const struct f2fs_inode *i)
{
	enum platter_file_type type = pl_type_of_mode(i->mode);

	return type ? type : PLATTER_FILE_OTHER;
}

/* In the first address as old Linux encodes it, 8 bits each, or in the second. */
static void
set_device(const struct f2fs_inode *i, struct platter_file *ret)
{
	uint32_t old, new;

	if (i->nr_addresses < 2)
		return;
	old = get_le32(i->raw + i->addresses);
	new = get_le32(i->raw + i->addresses + 4);
	ret->major = old ? old >> 8 & 0xff : new >> 8 & 0xfff;
	ret->minor = old ? old & 0xff : (new & 0xff) | (new >> 12 & 0xfff00);
}

static int
f2fs_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	  struct platter_error *err)
{
	static const struct {
		uint32_t flag, attribute;
	} attributes[] = {
		{ F2FS_FLAG_IMMUTABLE, PLATTER_FILE_IMMUTABLE },
		{ F2FS_FLAG_APPEND, PLATTER_FILE_APPEND_ONLY },
	};
	PL_AUTOFREE struct f2fs_inode *i = NULL;
	int r = f2fs_read_inode(f2fs_of(v), id.inode, &i, err);

	if (r < 0)
		return r;
	ret->type = type_of(i);
	ret->has_mode = ret->has_owner = true;
	ret->mode = i->mode & 07777;
	ret->uid = i->uid;
	ret->gid = i->gid;
	ret->links = i->links;
	ret->size = i->size;
	/* The inode counts itself. */
	if (i->blocks && i->blocks - 1 <= UINT64_MAX / v->block_size)
		ret->allocated = (i->blocks - 1) * v->block_size;
	ret->accessed = i->accessed;
	ret->modified = i->modified;
	ret->changed = i->changed;
	ret->created = i->created;
	if (ret->type == PLATTER_FILE_CHARACTER_DEVICE || ret->type == PLATTER_FILE_BLOCK_DEVICE)
		set_device(i, ret);
	for (size_t k = 0; k < ARRAY_SIZE(attributes); k++)
		if (i->flags & attributes[k].flag)
			ret->attributes |= attributes[k].attribute;
	if (i->compressed)
		ret->attributes |= PLATTER_FILE_COMPRESSED;
	if (i->advise & F2FS_ADVISE_ENCRYPTED)
		ret->attributes |= PLATTER_FILE_ENCRYPTED;
	return 0;
}

/* The inode of a folder. */
static int
read_folder(struct f2fs *fs, struct pl_node_id id, struct f2fs_inode **ret,
	    struct platter_error *err)
{
	int r = f2fs_read_inode(fs, id.inode, ret, err);

	if (r == 0 && type_of(*ret) != PLATTER_FILE_FOLDER)
		r = pl_fail(err, -ENOTDIR, "F2FS inode %" PRIu64 " is no folder", id.inode);
	return r;
}

static int
f2fs_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	  struct platter_error *err)
{
	PL_AUTOFREE struct f2fs_inode *i = NULL;
	int r = read_folder(f2fs_of(v), folder, &i, err);

	return r < 0 ? r : f2fs_list_folder(f2fs_of(v), i, fn, closure, err);
}

static int
f2fs_lookup_name(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
		 struct pl_node_id *ret, struct platter_error *err)
{
	PL_AUTOFREE struct f2fs_inode *i = NULL;
	int r = read_folder(f2fs_of(v), folder, &i, err);

	return r < 0 ? r : f2fs_lookup(f2fs_of(v), i, name, n, ret, err);
}

static int
f2fs_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	PL_AUTOFREE struct f2fs_inode *i = NULL;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOFREE char *target = NULL;
	int r = f2fs_read_inode(f2fs_of(v), id.inode, &i, err);

	if (r < 0)
		return r;
	if (type_of(i) != PLATTER_FILE_SYMLINK)
		return pl_invalid(err, "F2FS inode %" PRIu64 " is no symbolic link", id.inode);
	if (i->advise & F2FS_ADVISE_ENCRYPTED)
		return pl_unsupported(err, i->at,
				      "the symbolic link is encrypted, and its key not known");
	if (i->size > PL_MAX_TARGET)
		return pl_corrupt(err, i->at, "F2FS inode %" PRIu64 ": target of %" PRIu64 " bytes",
				  id.inode, i->size);
	target = calloc(1, (size_t)i->size + 1);
	if (!target)
		return pl_no_memory(err);
	r = f2fs_open_contents(f2fs_of(v), i, false, "target", &file, err);
	if (r == 0 && i->size)
		r = pl_read(file, target, (size_t)i->size, 0, err);
	if (r == 0)
		*ret = PL_STEAL(target);
	return r;
}

static int
f2fs_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
	       struct pl_disk **ret, struct platter_error *err)
{
	struct f2fs *fs = f2fs_of(v);
	PL_AUTOFREE struct f2fs_inode *i = NULL;
	int r = f2fs_read_inode(fs, id.inode, &i, err);

	if (r < 0)
		return r;
	(void)stream;
	if (type_of(i) != PLATTER_FILE_REGULAR)
		return pl_fail(err, type_of(i) == PLATTER_FILE_FOLDER ? -EISDIR : -EINVAL,
			       "'%s' is no regular file", name);
	if (i->advise & F2FS_ADVISE_ENCRYPTED)
		return pl_unsupported(err, i->at, "'%s' is encrypted, and its key not known", name);
	if (i->flags & F2FS_FLAG_DEVICE)
		return pl_unsupported(err, i->at, "'%s' stands for a whole device", name);
	return f2fs_open_contents(fs, i, false, name, ret, err);
}

static int
f2fs_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	    struct platter_error *err)
{
	PL_AUTOFREE struct f2fs_inode *i = NULL;
	int r = f2fs_read_inode(f2fs_of(v), id.inode, &i, err);

	return r < 0 ? r : f2fs_list_xattrs(f2fs_of(v), i, fn, closure, err);
}

static void
tell_features(const struct f2fs *fs, struct pl_facts *facts)
{
	static const char *const names[32] = {
		"encryption",
		"blkzoned",
		NULL,
		"extra_attr",
		"project_quota",
		"inode_checksum",
		"flexible_inline_xattr",
		"quota",
		"inode_crtime",
		"lost_found",
		"verity",
		"sb_checksum",
		"casefold",
		"compression",
		"ro",
		"device_alias",
		"packed_ssa",
	};
	struct pl_str s = { 0 };

	for (unsigned i = 0; i < 32; i++) {
		if (!(fs->features >> i & 1))
			continue;
		if (s.length)
			pl_str_add(&s, ", ");
		if (names[i])
			pl_str_add(&s, names[i]);
		else
			pl_str_addf(&s, "%#x", 1u << i);
	}
	if (s.length)
		pl_fact_text(facts, "features", "features", "%s", s.text);
	pl_str_done(&s);
}

static void
f2fs_describe(struct pl_volume *v, struct pl_facts *facts)
{
	struct f2fs *fs = f2fs_of(v);

	tell_features(fs, facts);
	pl_fact_number(facts, "segments", "segments", fs->main_segments);
	pl_fact_number(facts, "inodes", "files and folders", fs->nr_inodes);
	pl_fact_number(facts, "checkpoint", "checkpoint", fs->version);
	if (!(fs->flags & F2FS_CP_UMOUNT))
		pl_warn(facts, "was not unmounted: what was synced since the last checkpoint is "
			       "not seen");
	if (fs->several_devices)
		pl_warn(facts, "the first of several devices: what is on the others is not read");
	if (fs->from_copy)
		pl_warn(facts, "the first superblock is damaged; its copy is taken");
}

static void
f2fs_free(struct pl_volume *v)
{
	struct f2fs *fs = f2fs_of(v);

	pl_volume_done(v);
	free(fs->checkpoint);
	free(fs->summaries);
	free(fs);
}

static const struct pl_volume_ops f2fs_ops = {
	.stat = f2fs_stat,
	.list = f2fs_list,
	.lookup = f2fs_lookup_name,
	.read_link = f2fs_read_link,
	.open = f2fs_open_file,
	.xattrs = f2fs_xattrs,
	.used = f2fs_used,
	.describe = f2fs_describe,
	.free = f2fs_free,
};

static void
set_state(struct f2fs *fs)
{
	struct pl_volume *v = &fs->volume;
	bool clean = fs->flags & F2FS_CP_UMOUNT && !(fs->flags & (F2FS_CP_ERROR | F2FS_CP_FSCK));

	v->state = clean ? PLATTER_STATE_CLEAN : PLATTER_STATE_DIRTY;
	if (fs->valid_blocks <= fs->user_blocks &&
	    fs->user_blocks - fs->valid_blocks <= v->size >> fs->block_bits)
		v->free = (fs->user_blocks - fs->valid_blocks) << fs->block_bits;
}

int
pl_f2fs_open(const struct pl_volume_request *request, struct pl_volume **ret,
	     struct platter_error *err)
{
	PL_AUTOFREE struct f2fs_inode *root = NULL;
	struct f2fs *fs = calloc(1, sizeof *fs);
	int r;

	if (!fs)
		return pl_no_memory(err);
	r = pl_volume_init(&fs->volume, &f2fs_ops, request, err);
	if (r == 0)
		r = f2fs_read_super(fs, err);
	if (r == 0)
		r = f2fs_read_checkpoint(fs, err);
	if (r == 0)
		r = read_folder(fs, fs->volume.root, &root, err);
	if (r == -ENOTDIR)
		r = pl_corrupt(err, root->at, "the root of F2FS is no folder");
	if (r < 0) {
		f2fs_free(&fs->volume);
		return r;
	}
	set_state(fs);
	*ret = &fs->volume;
	return 0;
}
