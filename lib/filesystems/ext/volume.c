/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ext/volume.c - the files of ext2, ext3 and ext4 */
#include "ext.h"
#include "fscrypt.h"

/* How names are written in entries; others are unknown. */
static const enum platter_file_type types[] = {
	PLATTER_FILE_UNKNOWN,          PLATTER_FILE_REGULAR,      PLATTER_FILE_FOLDER,
	PLATTER_FILE_CHARACTER_DEVICE, PLATTER_FILE_BLOCK_DEVICE, PLATTER_FILE_FIFO,
	PLATTER_FILE_SOCKET,           PLATTER_FILE_SYMLINK,
};

static int
ext_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	 struct platter_error *err)
{
	const struct ext *fs = ext_of(v);
	struct ext_inode inode;
	int r = ext_inode_read(fs, id.inode, &inode, err);

	if (r < 0)
		return r;
	if (!inode.mode)
		return pl_corrupt(err, inode.at, "inode %" PRIu32 " is not in use", inode.number);
	ext_inode_tell(fs, &inode, ret);
	return 0;
}

static int
read_folder(const struct ext *fs, struct pl_node_id id, struct ext_inode *ret,
	    struct platter_error *err)
{
	int r = ext_inode_read(fs, id.inode, ret, err);

	if (r == 0 && ext_inode_type(ret) != PLATTER_FILE_FOLDER)
		return pl_fail_at(err, -ENOTDIR, ret->at, "inode %" PRIu32 " is no folder",
				  ret->number);
	return r;
}

/* ---- listing ---- */

struct lister {
	const struct ext *fs;
	const struct ext_inode *dir;
	pl_entry_fn *fn;
	void *closure;
	bool hashes; /* names are shown with their hashes */
	unsigned hash_version;
	size_t nr_damaged; /* encrypted names too short to be any */
};

/* Hashes are part of what an encrypted name is shown as where Linux keeps the folder by them. */
static void
prepare_encrypted(struct lister *l)
{
	const struct ext_super *sb = &l->fs->sb;
	struct ext_dir_node root;
	struct pl_runs runs = { 0 };
	PL_AUTOFREE uint8_t *block = NULL;
	uint64_t at;

	l->hash_version = sb->default_hash;
	l->hashes = (sb->compat & COMPAT_DIR_INDEX) &&
		    ((l->dir->flags & (INODE_INDEX | INODE_INLINE_DATA)) ||
		     l->dir->size >> sb->block_bits == 1);
	if (!ext_dir_has_index(l->fs, l->dir))
		return;
	block = malloc(sb->block_size);
	if (block && ext_map(l->fs, l->dir, &runs, NULL) == 0 &&
	    ext_dir_block_read(l->fs, l->dir, &runs, 0, block, &at, NULL) == 0 &&
	    ext_dir_node_decode(l->fs, block, true, &root))
		l->hash_version = root.hash_version;
	pl_runs_done(&runs);
}

static int
list_entry(void *closure, const struct ext_entry *e, struct platter_error *err)
{
	struct lister *l = closure;
	struct pl_entry entry = { .name = (const char *)e->name,
				  .length = e->length,
				  .id.inode = e->inode };
	char shown[PL_FSCRYPT_NAME];

	if (e->type < ARRAY_SIZE(types))
		entry.type = types[e->type];
	if (l->dir->flags & INODE_ENCRYPTED) {
		uint32_t hash = e->hash, minor = e->minor_hash;

		if (!l->hashes)
			hash = minor = 0;
		else if (!ext_dir_stores_hashes(l->dir))
			ext_hash_name(&l->fs->sb, l->hash_version, e->name, e->length, &hash,
				      &minor);
		entry.length = pl_fscrypt_name(e->name, e->length, hash, minor, shown);
		entry.name = shown;
		if (!entry.length) {
			l->nr_damaged++;
			return 0;
		}
	}
	return l->fn(l->closure, &entry, err);
}

static int
list_folder(const struct ext *fs, const struct ext_inode *dir, pl_entry_fn *fn, void *closure,
	    struct platter_error *err)
{
	struct lister l = { .fs = fs, .dir = dir, .fn = fn, .closure = closure };
	struct ext_dir_visitor v = { .entry = list_entry, .closure = &l };
	int r;

	if (dir->flags & INODE_ENCRYPTED)
		prepare_encrypted(&l);
	r = ext_dir_walk(fs, dir, &v, err);
	if (r == 0 && l.nr_damaged)
		r = pl_corrupt(err, dir->at,
			       "folder %" PRIu32 " has %zu encrypted names that are too short",
			       dir->number, l.nr_damaged);
	return r;
}

static int
ext_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	 struct platter_error *err)
{
	const struct ext *fs = ext_of(v);
	struct ext_inode dir;
	int r = read_folder(fs, folder, &dir, err);

	return r < 0 ? r : list_folder(fs, &dir, fn, closure, err);
}

/* ---- looking one name up ---- */

struct finder {
	const char *name;
	size_t n;
	bool folds_case;
	uint64_t found, found_folded; /* inodes, 0: none */
};

static int
find_entry(void *closure, const struct pl_entry *e, struct platter_error *err)
{
	struct finder *f = closure;

	(void)err;
	if (e->length == f->n && !memcmp(e->name, f->name, f->n)) {
		f->found = e->id.inode;
		return 1;
	}
	if (f->folds_case && !f->found_folded &&
	    pl_names_equal_folded(e->name, e->length, f->name, f->n))
		f->found_folded = e->id.inode;
	return 0;
}

static int
find_in_index(void *closure, const struct ext_entry *e, struct platter_error *err)
{
	const struct pl_entry entry = { .name = (const char *)e->name,
					.length = e->length,
					.id.inode = e->inode };

	return find_entry(closure, &entry, err);
}

/*
 * Hashes of folders without regard to case are those of the folded names; without Unicode's
 * tables that is known of ASCII alone.  False: the index does not help.
 */
static bool
hashed_name(const struct ext_inode *dir, const char *name, size_t n, char out[static EXT_MAX_NAME])
{
	if (n > EXT_MAX_NAME)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool upper = name[i] >= 'A' && name[i] <= 'Z';

		if ((dir->flags & INODE_CASEFOLD) && (name[i] & 0x80))
			return false;
		out[i] = (dir->flags & INODE_CASEFOLD) && upper ? (char)(name[i] + 32) : name[i];
	}
	return true;
}

static int
ext_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
	   struct pl_node_id *ret, struct platter_error *err)
{
	const struct ext *fs = ext_of(v);
	struct finder f = { .name = name, .n = n };
	struct ext_dir_visitor visitor = { .entry = find_in_index, .closure = &f };
	char hashed[EXT_MAX_NAME];
	struct ext_inode dir;
	int r = read_folder(fs, folder, &dir, err);

	if (r < 0)
		return r;
	f.folds_case = dir.flags & INODE_CASEFOLD;
	r = -ENOENT;
	if (ext_dir_has_index(fs, &dir) && !(dir.flags & INODE_ENCRYPTED) &&
	    hashed_name(&dir, name, n, hashed))
		r = ext_index_walk(fs, &dir, hashed, n, &visitor, NULL) < 0 ? -EUCLEAN : 0;
	/* The list has everything, and tells what is damaged. */
	if (r < 0)
		r = list_folder(fs, &dir, find_entry, &f, err);
	if (!f.found && !f.found_folded)
		return r < 0 ? r : -ENOENT;
	*ret = (struct pl_node_id){ .inode = f.found ? f.found : f.found_folded };
	return 0;
}

/* ---- contents ---- */

/* Contents in the inode: in the place of the map, then in an extended attribute. */
static int
read_inline(const struct ext *fs, const struct ext_inode *inode, uint8_t buf[static EXT_MAX_INODE],
	    struct platter_error *err)
{
	const uint8_t *more;
	uint32_t n;
	int r = ext_xattr_inline_data(fs, inode, &more, &n, err);

	if (r < 0)
		return r;
	if (inode->size > EXT_NR_INLINE + (uint64_t)n)
		return pl_corrupt(err, inode->at,
				  "inode %" PRIu32 " of %" PRIu64 " bytes holds %" PRIu32,
				  inode->number, inode->size, EXT_NR_INLINE + n);
	memcpy(buf, inode->block, EXT_NR_INLINE);
	if (n)
		memcpy(buf + EXT_NR_INLINE, more, n);
	return 0;
}

static int
ext_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
	      struct pl_disk **ret, struct platter_error *err)
{
	const struct ext *fs = ext_of(v);
	struct pl_runs runs = { 0 };
	enum platter_file_type type;
	struct ext_inode inode;
	int r = ext_inode_read(fs, id.inode, &inode, err);

	if (r < 0)
		return r;
	type = ext_inode_type(&inode);
	(void)stream;
	if (type != PLATTER_FILE_REGULAR)
		return pl_fail(err, type == PLATTER_FILE_FOLDER ? -EISDIR : -EINVAL,
			       "'%s' is no regular file", name);
	if (inode.flags & INODE_ENCRYPTED)
		return pl_unsupported(err, inode.at, "'%s' is encrypted, and its key not known",
				      name);
	if ((fs->sb.incompat & INCOMPAT_COMPRESSION) && (inode.flags & INODE_COMPRESSED_BLOCKS))
		return pl_unsupported(err, inode.at, "'%s' is compressed by e2compr", name);
	if (inode.flags & INODE_INLINE_DATA) {
		uint8_t bytes[EXT_MAX_INODE];

		r = read_inline(fs, &inode, bytes, err);
		return r < 0 ? r : pl_file_of_bytes(bytes, (size_t)inode.size, name, ret, err);
	}
	r = ext_map(fs, &inode, &runs, err);
	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	return pl_file_new(v->disk, &runs, inode.size, name, ret, err);
}

/*
 * Short targets stand in the place of the map.  Which those are was told by the number of
 * blocks in use until the values of extended attributes could count among them.
 */
static bool
is_fast_symlink(const struct ext *fs, const struct ext_inode *inode)
{
	const struct ext_super *sb = &fs->sb;
	uint64_t cluster = (uint64_t)sb->cluster_ratio << sb->block_bits;

	if ((inode->flags & (INODE_INLINE_DATA | INODE_EXTENTS)) || inode->size >= EXT_NR_INLINE)
		return false;
	if ((sb->incompat & INCOMPAT_EA_INODE) || !inode->allocated)
		return true;
	/* Some counted an attribute's block, others its cluster. */
	return inode->xattr_block &&
	       (inode->allocated == cluster || inode->allocated == sb->block_size);
}

static int
ext_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	const struct ext *fs = ext_of(v);
	PL_AUTOFREE char *target = NULL;
	uint8_t bytes[EXT_MAX_INODE];
	struct ext_inode inode;
	int r = ext_inode_read(fs, id.inode, &inode, err);

	if (r < 0)
		return r;
	if (ext_inode_type(&inode) != PLATTER_FILE_SYMLINK)
		return pl_invalid(err, "inode %" PRIu32 " is no symbolic link", inode.number);
	if (inode.flags & INODE_ENCRYPTED)
		return pl_unsupported(err, inode.at,
				      "the symbolic link is encrypted, and its key not known");
	if (inode.size > PL_MAX_TARGET)
		return pl_over_limit(err, inode.at,
				     "target of %" PRIu64 " bytes, limit is %" PRIu64, inode.size,
				     (uint64_t)PL_MAX_TARGET);
	target = calloc(1, (size_t)inode.size + 1);
	if (!target)
		return pl_no_memory(err);
	if (inode.flags & INODE_INLINE_DATA) {
		r = read_inline(fs, &inode, bytes, err);
		if (r == 0)
			memcpy(target, bytes, (size_t)inode.size);
	} else if (is_fast_symlink(fs, &inode)) {
		memcpy(target, inode.block, (size_t)inode.size);
	} else {
		r = ext_read(fs, &inode, (uint8_t *)target, (size_t)inode.size, err);
	}
	if (r < 0)
		return r;
	if (!target[0])
		return pl_corrupt(err, inode.at, "symbolic link %" PRIu32 " has no target",
				  inode.number);
	*ret = PL_STEAL(target);
	return 0;
}

/* ---- opening ---- */

static void
ext_free(struct pl_volume *v)
{
	struct ext *fs = ext_of(v);

	pl_volume_done(v);
	free(fs->journal.problem);
	free(fs);
}

static const struct pl_volume_ops ext_ops = {
	.stat = ext_stat,
	.list = ext_list,
	.lookup = ext_lookup,
	.read_link = ext_read_link,
	.open = ext_open_file,
	.xattrs = ext_xattrs,
	.used = ext_used,
	.deleted = ext_deleted,
	.describe = ext_describe,
	.free = ext_free,
};

static int
read_super(struct ext *fs, struct platter_error *err)
{
	uint8_t raw[EXT_SUPERBLOCK_SIZE];
	int r = pl_meta_read(fs->volume.meta, raw, sizeof raw, EXT_SUPERBLOCK, err);

	return r < 0 ? r : ext_super_decode(raw, fs->volume.ignore_checksums, &fs->sb, err);
}

/* Everything is read from `disk` from here on; takes the reference. */
static int
stand_on(struct pl_volume *v, struct pl_disk *disk, struct platter_error *err)
{
	struct pl_meta *meta;
	int r = pl_meta_new(disk, &meta, err);

	if (r < 0) {
		pl_disk_unref(disk);
		return r;
	}
	pl_meta_free(v->meta);
	pl_disk_unref(v->disk);
	v->disk = disk;
	v->meta = meta;
	return 0;
}

static int
replay(struct ext *fs, struct platter_error *err)
{
	struct pl_disk *replayed;
	uint32_t block_bits = fs->sb.block_bits;
	int r = ext_journal_replay(fs, &replayed, err);

	if (r < 0 || !replayed)
		return r;
	r = stand_on(&fs->volume, replayed, err);
	if (r == 0)
		r = read_super(fs, err);
	if (r == 0 && fs->sb.block_bits != block_bits)
		r = pl_corrupt(err, EXT_SUPERBLOCK,
			       "the journal has another superblock, with blocks of %" PRIu32
			       " bytes",
			       fs->sb.block_size);
	if (r < 0)
		pl_context(err, "after the journal was replayed");
	return r;
}

/* The superblock's counts are brought up to date when it is unmounted, the groups' always are. */
static void
count_free(struct ext *fs)
{
	uint64_t clusters = 0, inodes = 0;
	struct ext_group g;

	for (uint32_t group = 0; group < fs->sb.nr_groups; group++) {
		if (ext_group_read(fs, group, &g, NULL) < 0)
			return;
		clusters += g.free_blocks;
		inodes += g.free_inodes;
	}
	fs->sb.free_blocks = clusters * fs->sb.cluster_ratio;
	fs->sb.free_inodes = (uint32_t)PL_MIN(inodes, fs->sb.inodes);
}

static void
tell_volume(struct ext *fs, bool recover)
{
	struct pl_volume *v = &fs->volume;

	v->size = PL_MIN(pl_disk_size(v->disk), fs->sb.blocks << fs->sb.block_bits);
	v->block_size = fs->sb.block_size;
	v->root.inode = EXT_ROOT_INODE;
	if (recover && !fs->journal.problem && !fs->journal.fast_commits)
		v->state = PLATTER_STATE_RECOVERED;
	else
		v->state = !recover && (fs->sb.state & STATE_CLEAN) ? PLATTER_STATE_CLEAN
								    : PLATTER_STATE_DIRTY;
	if (v->state != PLATTER_STATE_CLEAN)
		count_free(fs);
	v->free = PL_MIN(fs->sb.free_blocks, fs->sb.blocks) << fs->sb.block_bits;
}

int
pl_ext_open(const struct pl_volume_request *request, struct pl_volume **ret,
	    struct platter_error *err)
{
	struct ext *fs = calloc(1, sizeof *fs);
	bool recover = false;
	int r;

	if (!fs)
		return pl_no_memory(err);
	r = pl_volume_init(&fs->volume, &ext_ops, request, err);
	if (r == 0)
		r = read_super(fs, err);
	if (r == 0 && (fs->sb.incompat & INCOMPAT_RECOVER)) {
		recover = true;
		r = replay(fs, err);
	}
	if (r < 0) {
		ext_free(&fs->volume);
		return r;
	}
	tell_volume(fs, recover);
	*ret = &fs->volume;
	return 0;
}
