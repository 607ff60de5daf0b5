/* SPDX-License-Identifier: GPL-3.0-or-later */
/* btrfs/subvolumes.c - subvolumes and snapshots by their paths, and what else is told */
#include "btrfs.h"
#include "text.h"

/* Subvolumes within subvolumes, and folders above one, that a path may have. */
#define MAX_PARTS 64

/* More are counted and not named. */
#define MAX_NAMED 256

/* The name of folder `inode` in the one above it, which *inode becomes. */
static int
folder_name(struct btrfs *fs, const struct btrfs_root *tree, uint64_t *inode, struct pl_str *ret,
	    struct platter_error *err)
{
	struct btrfs_key first = { *inode, 0, BTRFS_INODE_REF };
	struct btrfs_key last = { *inode, UINT64_MAX, BTRFS_INODE_REF };
	struct btrfs_cursor c;
	int r = pl_btrfs_seek(fs, tree, &first, &last, &c, err);

	/* Index 8, length 2, name. */
	if (r > 0 && c.size >= 10 && get_le16(c.data + 8) <= c.size - 10u) {
		pl_str_add_bytes(ret, c.data + 10, get_le16(c.data + 8));
		*inode = c.key.offset;
		r = 0;
	} else if (r >= 0) {
		r = pl_corrupt(err, PLATTER_NO_OFFSET, "folder %" PRIu64 " has no name", *inode);
	}
	pl_btrfs_leave(&c);
	return r;
}

/* Put the part in front of the path. */
static void
prepend(struct pl_str *path, struct pl_str *part)
{
	if (path->length) {
		pl_str_add(part, "/");
		pl_str_add_bytes(part, path->text, path->length);
	}
	part->failed |= path->failed;
	pl_str_done(path);
	*path = *part;
	*part = (struct pl_str){ 0 };
}

/* Where subvolume `id` stands below the top. */
static int
subvolume_path(struct btrfs *fs, uint64_t id, struct pl_str *path, struct platter_error *err)
{
	unsigned parts = 0;

	while (id != BTRFS_TOP_TREE) {
		struct btrfs_key first = { id, 0, BTRFS_ROOT_BACKREF };
		struct btrfs_key last = { id, UINT64_MAX, BTRFS_ROOT_BACKREF };
		struct pl_str part = { 0 };
		struct btrfs_root tree;
		struct btrfs_cursor c;
		uint64_t folder = 0;
		int r = pl_btrfs_seek(fs, &fs->root_tree, &first, &last, &c, err);

		if (r > 0 && c.size >= ROOT_REF_NAME &&
		    get_le16(c.data + ROOT_REF_NAME_LENGTH) <= c.size - ROOT_REF_NAME) {
			pl_str_add_bytes(&part, c.data + ROOT_REF_NAME,
					 get_le16(c.data + ROOT_REF_NAME_LENGTH));
			folder = get_le64(c.data + ROOT_REF_FOLDER);
			id = c.key.offset;
			r = 0;
		} else if (r >= 0) {
			r = -ENOENT;
		}
		pl_btrfs_leave(&c);
		if (r == 0) {
			prepend(path, &part);
			r = pl_btrfs_find_tree(fs, id, &tree, err);
		}
		while (r == 0 && folder != BTRFS_FIRST_FREE) {
			r = ++parts > MAX_PARTS ? -ENOENT
						: folder_name(fs, &tree, &folder, &part, err);
			if (r == 0)
				prepend(path, &part);
		}
		pl_str_done(&part);
		if (r < 0)
			return r;
		if (++parts > MAX_PARTS)
			return -ENOENT;
	}
	return path->failed ? pl_no_memory(err) : 0;
}

struct subvolumes {
	struct btrfs *fs;
	const char *wanted; /* a path; NULL: all are named */
	uint64_t found;     /* what has it, or 0 */
	uint64_t nr, snapshots;
	struct pl_str names;
};

static int
take_subvolume(void *closure, const struct btrfs_cursor *c, struct platter_error *err)
{
	struct subvolumes *s = closure;
	struct pl_str path = { 0 };
	bool snapshot;
	int r;

	/* The numbers above are those of the file system's own trees. */
	if (c->key.objectid < BTRFS_FIRST_FREE || c->key.objectid > UINT32_MAX)
		return 0;
	snapshot = c->size >= ROOT_UUID_END &&
		   !pl_is_zero(c->data + ROOT_PARENT_UUID, ROOT_UUID_END - ROOT_PARENT_UUID);
	s->nr++;
	s->snapshots += snapshot;
	if (s->nr > MAX_NAMED && !s->wanted)
		return 0;
	r = subvolume_path(s->fs, c->key.objectid, &path, err);
	/* Without a path it was deleted, and is only being cleared away. */
	if (r == -ENOENT) {
		s->nr--;
		s->snapshots -= snapshot;
	}
	if (r == 0 && s->wanted && !strcmp(path.text ? path.text : "", s->wanted)) {
		s->found = c->key.objectid;
		r = 1;
	} else if (r == 0 && !s->wanted) {
		PL_AUTOFREE char *text = pl_text_from_bytes(path.text, path.length);

		pl_str_addf(&s->names, "%s%s", s->names.length ? ", " : "", text ? text : "");
	}
	pl_str_done(&path);
	return r == -ENOENT ? 0 : r;
}

static int
no_such_subvolume(struct btrfs *fs, const char *name, struct platter_error *err)
{
	struct subvolumes s = { .fs = fs };
	int r = pl_fail(err, -ENOENT, "no subvolume or snapshot '%s'", name);

	pl_btrfs_each(fs, &fs->root_tree, UINT64_MAX, BTRFS_ROOT_ITEM, take_subvolume, &s, NULL);
	pl_hint(err, "the subvolumes are %s%s", s.names.text ? s.names.text : "none",
		s.nr > MAX_NAMED ? ", and more" : "");
	pl_str_done(&s.names);
	return r;
}

int
pl_btrfs_find_subvolume(struct btrfs *fs, const char *name, uint64_t *ret,
			struct platter_error *err)
{
	struct subvolumes s = { .fs = fs, .wanted = name + (name[0] == '/') };
	int r = pl_btrfs_each(fs, &fs->root_tree, UINT64_MAX, BTRFS_ROOT_ITEM, take_subvolume, &s,
			      err);

	if (s.found) {
		*ret = s.found;
		return 0;
	}
	return r < 0 ? r : no_such_subvolume(fs, name, err);
}

static void
tell_features(const struct btrfs *fs, struct pl_facts *facts)
{
	static const char *const names[] = {
		"mixed-backref",
		"default-subvol",
		"mixed-groups",
		"lzo",
		"zstd",
		"big-metadata",
		"extended-iref",
		"raid56",
		"skinny-metadata",
		"no-holes",
		"metadata-uuid",
		"raid1c34",
		"zoned",
		"extent-tree-v2",
		"raid-stripe-tree",
		NULL,
		"simple-quota",
	};
	static const char *const read_only[] = { "free-space-tree", "free-space-tree-valid",
						 "verity", "block-group-tree" };
	uint64_t bits = get_le64(fs->sb + BTRFS_COMPATIBLE_RO);
	struct pl_str s = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (fs->incompatible >> i & 1 && names[i])
			pl_str_addf(&s, "%s%s", s.length ? ", " : "", names[i]);
	for (size_t i = 0; i < ARRAY_SIZE(read_only); i++)
		if (bits >> i & 1)
			pl_str_addf(&s, "%s%s", s.length ? ", " : "", read_only[i]);
	if (s.length)
		pl_fact_text(facts, "features", "features", "%s", s.text);
	pl_str_done(&s);
}

/* Bits of BTRFS_FLAGS. */
#define FLAG_SEEDING  ((uint64_t)1 << 32)
#define FLAG_METADUMP ((uint64_t)3 << 33)

void
pl_btrfs_describe(struct pl_volume *v, struct pl_facts *facts)
{
	struct btrfs *fs = pl_btrfs_of(v);
	struct subvolumes s = { .fs = fs };
	struct platter_error why = PLATTER_ERROR_INIT;
	int r;

	tell_features(fs, facts);
	r = pl_btrfs_each(fs, &fs->root_tree, UINT64_MAX, BTRFS_ROOT_ITEM, take_subvolume, &s,
			  &why);
	if (s.nr) {
		pl_fact_number(facts, "subvolumes", "subvolumes", s.nr);
		if (s.snapshots)
			pl_fact_number(facts, "snapshots", "of them snapshots", s.snapshots);
		if (s.names.length)
			pl_fact_text(facts, "subvolume_names", "named", "%s%s", s.names.text,
				     s.nr > MAX_NAMED ? ", ..." : "");
	}
	pl_str_done(&s.names);
	if (r < 0)
		pl_warn(facts, "not all subvolumes can be told: %s", why.message);
	if (fs->superblock != BTRFS_SUPERBLOCK)
		pl_warn(facts,
			"the superblock at 64 KiB is damaged or old; that at byte %" PRIu64
			" is used",
			fs->superblock);
	if (fs->chunks_damaged)
		pl_warn(facts, "the chunk tree is damaged");
	if (get_le64(fs->sb + BTRFS_LOG_ROOT))
		pl_warn(facts, "was not unmounted: what programs saved in the last seconds is in a "
			       "log that is not replayed");
	if (get_le64(fs->sb + BTRFS_FLAGS) & FLAG_SEEDING)
		pl_fact_flag(facts, "seed", "seed device", true);
	if (get_le64(fs->sb + BTRFS_FLAGS) & FLAG_METADUMP)
		pl_warn(facts, "made by btrfs-image: the contents of the files are not there");
	if (fs->checksum_type != BTRFS_CRC32C)
		pl_warn(facts, "its checksums are not verified");
}
