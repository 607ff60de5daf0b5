/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * apfs/subvolume.c - the volumes of a container, and their snapshots
 *
 * The container's superblock lists up to a hundred volumes; its object map tells where their
 * superblocks are.  A volume has an object map of its own, which keeps what snapshots need:
 * a snapshot is a superblock of then, and a transaction as of which the map is asked.
 */
#include <stdio.h>

#include "apfs.h"
#include "text.h"

/* Of a snapshot's record (j_snap_metadata_val_t). */
enum {
	SNAPSHOT_SUPER = 8,
	SNAPSHOT_CREATED = 16,
	SNAPSHOT_FLAGS = 44,
	SNAPSHOT_NAME_LENGTH = 48,
	SNAPSHOT_NAME = 50
};

/* Of a sealed volume's integrity_meta_phys_t. */
enum {
	INTEGRITY_HASH_TYPE = 40,
	INTEGRITY_ROOT_HASH = 44
};
#define HASH_SHA256 1

/* Time Machine keeps some dozens. */
#define MAX_SNAPSHOTS (1u << 20)

const char *
pl_apfs_role(uint16_t role)
{
	static const char *const bits[] = { "system",         "user",    "recovery",
					    "virtual memory", "preboot", "installer" };
	/* Apple keeps 7, 8 and 10 to itself. */
	static const char *const numbers[] = { NULL,       "data",       "baseband", "update",
					       "xART",     "hardware",   "backup",   "sidecar",
					       "reserved", "enterprise", "reserved", "prelogin" };

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (role == 1u << i)
			return bits[i];
	return role % 64 == 0 && role / 64 < ARRAY_SIZE(numbers) ? numbers[role / 64] : NULL;
}

static int
read_snapshot(const struct apfs_record *record, char *name, struct apfs_snapshot *ret,
	      struct platter_error *err)
{
	size_t length;

	if (record->value_length < SNAPSHOT_NAME)
		return pl_corrupt(err, record->at, "snapshot record of %" PRIu32 " bytes",
				  record->value_length);
	length = PL_MIN(get_le16(record->value + SNAPSHOT_NAME_LENGTH),
			record->value_length - SNAPSHOT_NAME);
	length = PL_MIN(length, APFS_MAX_NAME);
	memcpy(name, record->value + SNAPSHOT_NAME, length);
	name[length] = '\0';
	*ret = (struct apfs_snapshot){
		.name = name,
		.xid = record->key.id,
		.super_block = get_le64(record->value + SNAPSHOT_SUPER),
		.flags = get_le32(record->value + SNAPSHOT_FLAGS),
		.created = (int64_t)get_le64(record->value + SNAPSHOT_CREATED),
	};
	return 0;
}

int
pl_apfs_snapshots(struct apfs *fs, const struct apfs_subvolume *s, apfs_snapshot_fn *fn,
		  void *closure, struct platter_error *err)
{
	const struct apfs_key first = { .name = "" };
	uint64_t root = get_le64(s->super + FS_SNAPSHOTS_TREE);
	struct apfs_record record;
	struct apfs_cursor c;
	int r = 0, end;

	/* Of a snapshot's superblock there is none. */
	if (!root)
		return 0;
	pl_apfs_cursor_seek(&c, fs, &s->snapshots, &first);
	for (uint32_t i = 0; r == 0 && pl_apfs_cursor_next(&c, &record); i++) {
		char name[APFS_MAX_NAME + 1];
		struct apfs_snapshot snapshot;

		if (record.key.type != RECORD_SNAPSHOT)
			continue;
		if (i == MAX_SNAPSHOTS)
			r = pl_over_limit(err, record.at, "more than %u snapshots", MAX_SNAPSHOTS);
		if (r == 0)
			r = read_snapshot(&record, name, &snapshot, err);
		if (r == 0)
			r = fn(closure, &snapshot);
	}
	end = pl_apfs_cursor_end(&c, r ? NULL : err);
	return r ? r : end;
}

/* '/' and names that no path can have become something else; two of one name get numbers. */
static void
name_subvolume(const struct apfs *fs, struct apfs_subvolume *s)
{
	char stored[FS_NAME_SIZE + 1] = { 0 };
	bool taken;

	memcpy(stored, s->super + FS_NAME, FS_NAME_SIZE);
	for (char *p = stored; *p; p++)
		if (*p == '/')
			*p = ':';
	if (!*stored || !strcmp(stored, ".") || !strcmp(stored, ".."))
		snprintf(stored, sizeof stored, "volume %u", s->index + 1);
	snprintf(s->name, sizeof s->name, "%s", stored);
	for (unsigned number = 2; number < 2 * APFS_MAX_VOLUMES; number++) {
		taken = false;
		for (unsigned i = 0; i < s->index; i++)
			if (fs->subvolume[i] && !strcmp(fs->subvolume[i]->name, s->name))
				taken = true;
		if (!taken)
			return;
		snprintf(s->name, sizeof s->name, "%s (%u)", stored, number);
	}
}

static int
read_super(struct apfs *fs, uint64_t block, uint8_t super[static FS_SIZE],
	   struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = malloc(fs->block_size);
	int r;

	if (!buf)
		return pl_no_memory(err);
	r = pl_apfs_read_object(fs, block, fs->block_size, TYPE_VOLUME, "volume superblock", buf,
				err);
	if (r < 0)
		return r;
	if (memcmp(buf + FS_MAGIC, "APSB", 4))
		return pl_corrupt(err, block * fs->block_size + FS_MAGIC,
				  "volume superblock at block %" PRIu64 " has no 'APSB'", block);
	memcpy(super, buf, FS_SIZE);
	return 0;
}

/* The root node's hash, from the object that seals the volume. */
static int
read_seal(struct apfs *fs, struct apfs_subvolume *s, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = malloc(fs->block_size);
	struct apfs_mapping m;
	uint32_t at;
	int r;

	if (!buf)
		return pl_no_memory(err);
	r = pl_apfs_omap_find(fs, &s->omap, get_le64(s->super + FS_INTEGRITY), s->catalog.xid, &m,
			      err);
	if (r == 0)
		r = pl_apfs_read_object(fs, m.block, fs->block_size, TYPE_INTEGRITY,
					"integrity metadata", buf, err);
	if (r < 0)
		return r;
	at = get_le32(buf + INTEGRITY_ROOT_HASH);
	if (get_le32(buf + INTEGRITY_HASH_TYPE) != HASH_SHA256)
		return 0;
	if (!pl_in_range(at, 32, fs->block_size))
		return pl_corrupt(err, m.block * fs->block_size + INTEGRITY_ROOT_HASH,
				  "hash of a sealed volume at byte %" PRIu32, at);
	memcpy(s->catalog.root_hash, buf + at, 32);
	s->catalog.has_root_hash = true;
	return 0;
}

/* What a superblock says, and the trees that it names, as of transaction `xid`. */
static int
open_trees(struct apfs *fs, struct apfs_subvolume *s, uint64_t xid, struct platter_error *err)
{
	uint64_t incompat = get_le64(s->super + FS_INCOMPAT);
	uint32_t root_type = get_le32(s->super + FS_ROOT_TYPE);
	struct apfs_node *root;
	int r;

	s->encrypted = !(get_le64(s->super + FS_FLAGS) & FS_FLAG_UNENCRYPTED);
	s->sealed = incompat & FS_SEALED;
	s->folds_case = incompat & FS_CASE_INSENSITIVE;
	s->folds_normalization = incompat & (FS_CASE_INSENSITIVE | FS_NORMALIZATION_INSENSITIVE);
	if (incompat & ~(uint64_t)FS_INCOMPAT_KNOWN)
		return pl_unsupported(err, s->block_at + FS_INCOMPAT,
				      "volume '%s' has unknown features 0x%" PRIx64, s->name,
				      incompat & ~(uint64_t)FS_INCOMPAT_KNOWN);
	if (s->encrypted)
		return pl_unsupported(err, s->block_at + FS_FLAGS,
				      "volume '%s' is encrypted, and cannot be unlocked", s->name);
	pl_apfs_tree_init(fs, &s->catalog, KEYS_CATALOG, get_le64(s->super + FS_ROOT));
	s->catalog.hashed_names = s->folds_normalization;
	s->catalog.sealed = s->sealed;
	s->catalog.xid = xid;
	if ((root_type & TYPE_STORAGE) != TYPE_PHYSICAL)
		s->catalog.omap = &s->omap;
	pl_apfs_tree_init(fs, &s->extents, KEYS_EXTENTS, get_le64(s->super + FS_EXTENTS_TREE));
	r = s->sealed && get_le64(s->super + FS_INTEGRITY) ? read_seal(fs, s, err) : 0;
	if (r == 0)
		r = pl_apfs_node_get(fs, &s->catalog, s->catalog.root,
				     s->catalog.has_root_hash ? s->catalog.root_hash : NULL, &root,
				     err);
	if (r == 0)
		pl_apfs_node_unref(root);
	return r;
}

struct finder {
	const char *name;
	struct apfs_snapshot found;
	bool is_found;
};

static int
find_snapshot(void *closure, const struct apfs_snapshot *snapshot)
{
	struct finder *f = closure;

	if (strcmp(snapshot->name, f->name) != 0)
		return 0;
	f->found = *snapshot;
	f->is_found = true;
	return 1;
}

/* -ENOENT: the volume has no such snapshot. */
static int
go_to_snapshot(struct apfs *fs, struct apfs_subvolume *s, const char *name, uint64_t *ret_xid,
	       struct platter_error *err)
{
	struct finder f = { .name = name };
	int r = pl_apfs_snapshots(fs, s, find_snapshot, &f, err);

	if (!f.is_found)
		return r < 0 ? r : -ENOENT;
	if (f.found.flags & SNAPSHOT_DATALESS)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "snapshot '%s' of volume '%s' has no data any more", name,
				      s->name);
	*ret_xid = f.found.xid;
	s->block_at = f.found.super_block * fs->block_size;
	return read_super(fs, f.found.super_block, s->super, err);
}

static int
open_subvolume(struct apfs *fs, struct apfs_subvolume *s, const char *snapshot,
	       struct platter_error *err)
{
	uint64_t xid = fs->checkpoint.xid;
	struct apfs_mapping m;
	int r = pl_apfs_omap_find(fs, &fs->omap,
				  get_le64(fs->checkpoint.super + NX_VOLUMES + 8 * s->index), xid,
				  &m, err);

	if (r == 0)
		r = read_super(fs, m.block, s->super, err);
	name_subvolume(fs, s);
	if (r < 0)
		return r;
	s->block_at = m.block * fs->block_size;
	s->role = get_le16(s->super + FS_ROLE);
	pl_apfs_tree_init(fs, &s->snapshots, KEYS_CATALOG, get_le64(s->super + FS_SNAPSHOTS_TREE));
	r = pl_apfs_omap_open(fs, get_le64(s->super + FS_OMAP), &s->omap, err);
	if (r == 0 && snapshot)
		r = go_to_snapshot(fs, s, snapshot, &xid, err);
	return r < 0 ? r : open_trees(fs, s, xid, err);
}

/* Snapshots that a message lists before it only says that there are more. */
#define MAX_LISTED 16

struct lister {
	struct pl_str names;
	unsigned nr;
};

static int
list_snapshot(void *closure, const struct apfs_snapshot *snapshot)
{
	struct lister *l = closure;

	if (l->nr++ == MAX_LISTED) {
		pl_str_add(&l->names, ", and more");
		return 1;
	}
	pl_str_addf(&l->names, "%s%s", l->nr > 1 ? ", " : "", snapshot->name);
	return 0;
}

static int
no_such_snapshot(struct apfs *fs, const char *snapshot, struct platter_error *err)
{
	struct lister l = { .nr = 0 };
	int r = pl_fail(err, -ENOENT, "no volume has a snapshot called '%s'", snapshot);

	for (unsigned i = 0; i < APFS_MAX_VOLUMES && l.nr <= MAX_LISTED; i++)
		if (fs->subvolume[i] && fs->subvolume[i]->absent)
			pl_apfs_snapshots(fs, fs->subvolume[i], list_snapshot, &l, NULL);
	pl_hint(err, "the snapshots are %s", l.names.text ? l.names.text : "none");
	pl_str_done(&l.names);
	return r;
}

int
pl_apfs_subvolumes_open(struct apfs *fs, const char *snapshot, struct platter_error *err)
{
	uint32_t max =
		PL_MIN(get_le32(fs->checkpoint.super + NX_MAX_VOLUMES), (uint32_t)APFS_MAX_VOLUMES);

	for (unsigned i = 0; i < max; i++) {
		struct apfs_subvolume *s;

		if (!get_le64(fs->checkpoint.super + NX_VOLUMES + 8 * (size_t)i))
			continue;
		s = calloc(1, sizeof *s);
		if (!s)
			return pl_no_memory(err);
		fs->subvolume[i] = s;
		fs->nr_subvolumes++;
		s->index = i;
		s->why = (struct platter_error)PLATTER_ERROR_INIT;
		s->broken = open_subvolume(fs, s, snapshot, &s->why);
		if (s->broken == -ENOMEM)
			return pl_no_memory(err);
		s->absent = s->broken == -ENOENT;
		fs->nr_shown += !s->absent;
	}
	if (snapshot && !fs->nr_shown)
		return no_such_snapshot(fs, snapshot, err);
	return 0;
}

int
pl_apfs_subvolume(struct apfs *fs, struct pl_node_id id, const struct apfs_subvolume **ret,
		  struct platter_error *err)
{
	const struct apfs_subvolume *s = id.tree < APFS_MAX_VOLUMES ? fs->subvolume[id.tree] : NULL;

	if (!s || s->absent)
		return pl_fail(err, -ENOENT, "no volume %" PRIu64 " in the container", id.tree);
	*ret = s;
	if (s->broken < 0 && err)
		*err = s->why;
	return s->broken;
}
