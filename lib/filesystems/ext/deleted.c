/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext/deleted.c - inodes without links, and the names that folders still have for them
 *
 * A deleted inode keeps its mode and times.  What it tells of its contents depends on who
 * deleted it: debugfs and old drivers of ext2 left the map as it was; Linux clears it and
 * the size, and then the name is all that is left.  Names stand in the slack of folders.
 */
#include <stdio.h>

#include "ext.h"
#include "fscrypt.h"
#include "text.h"

/* 64 MiB of inodes, and as much of names. */
#define MAX_NODES (4u << 20)
#define MAX_NAMES MIB(64)

#define NO_NAME UINT32_MAX

#define PIECE KIB(64)

/* A folder, or what was deleted. */
struct node {
	uint32_t inode, parent; /* parent 0: not known */
	uint32_t name;          /* in names, NO_NAME: not known */
	uint8_t length;
	bool deleted, folder;
};

struct scan {
	const struct ext *fs;
	struct node *node; /* by inode */
	size_t nr, capacity;
	struct pl_str names;
	const struct ext_inode *dir; /* being walked */
	bool in_deleted;             /* it is a deleted one */
	int failed;                  /* first error */
	struct platter_error *err;
	/* The bitmap that was wanted last. */
	uint32_t group;
	bool has_group, is_uninit;
	uint8_t *bits;
};

static int
by_inode(const void *key, const void *element)
{
	uint32_t inode = *(const uint32_t *)key;
	const struct node *n = element;

	return (inode > n->inode) - (inode < n->inode);
}

static struct node *
find(const struct scan *s, uint32_t inode)
{
	return s->nr ? bsearch(&inode, s->node, s->nr, sizeof *s->node, by_inode) : NULL;
}

static struct platter_error *
words(const struct scan *s)
{
	return s->failed ? NULL : s->err;
}

static void
failed(struct scan *s, int r)
{
	if (r < 0 && !s->failed)
		s->failed = r;
}

static int
add_node(struct scan *s, const struct ext_inode *inode)
{
	if (s->nr == s->capacity) {
		size_t capacity = PL_MAX(1024, s->capacity * 2);
		struct node *p;

		if (capacity > MAX_NODES)
			return pl_over_limit(words(s), PLATTER_NO_OFFSET,
					     "more than %u folders and deleted files", MAX_NODES);
		p = pl_realloc_array(s->node, capacity, sizeof *p);
		if (!p)
			return pl_no_memory(words(s));
		s->node = p;
		s->capacity = capacity;
	}
	s->node[s->nr++] = (struct node){
		.inode = inode->number,
		.name = NO_NAME,
		.deleted = inode->links == 0,
		.folder = ext_inode_type(inode) == PLATTER_FILE_FOLDER,
	};
	return 0;
}

/* The inodes of one group: folders and what was deleted are noted. */
static int
scan_group(struct scan *s, uint32_t group, uint8_t *buf, struct ext_inode *inode)
{
	const struct ext_super *sb = &s->fs->sb;
	uint64_t first = (uint64_t)group * sb->inodes_per_group, nr = sb->inodes_per_group, at;
	uint32_t per_piece = (uint32_t)PIECE / sb->inode_size;
	struct ext_group g;
	int r = first < sb->inodes ? ext_group_read(s->fs, group, &g, words(s)) : -ENOENT;

	if (r < 0 || (g.flags & GROUP_INODE_UNINIT))
		return r == -ENOENT ? 0 : r;
	nr = PL_MIN(nr - PL_MIN(nr, g.unused_inodes), sb->inodes - first);
	at = ext_block_offset(s->fs, g.inode_table);
	for (uint64_t i = 0; i < nr; i += per_piece) {
		uint32_t n = (uint32_t)PL_MIN(per_piece, nr - i);
		uint64_t from = at + i * sb->inode_size;

		r = pl_meta_read(s->fs->volume.meta, buf, (size_t)n * sb->inode_size, from,
				 words(s));
		failed(s, r);
		for (uint32_t k = 0; k < n && r == 0; k++) {
			uint32_t number = (uint32_t)(first + i + k + 1);

			inode->at = from + (uint64_t)k * sb->inode_size;
			memcpy(inode->raw, buf + (size_t)k * sb->inode_size, sb->inode_size);
			if (!get_le16(inode->raw) ||
			    (number < sb->first_inode && number != EXT_ROOT_INODE))
				continue;
			if (ext_inode_decode(s->fs, number, inode, NULL) < 0)
				continue;
			if (inode->links && ext_inode_type(inode) != PLATTER_FILE_FOLDER)
				continue;
			r = add_node(s, inode);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* The name goes to the node that has none yet. */
static int
take_name(struct scan *s, const struct ext_entry *e, bool slack)
{
	struct node *n = find(s, e->inode);
	const char *name = (const char *)e->name;
	char shown[PL_FSCRYPT_NAME];
	size_t length = e->length;
	bool dots = length <= 2 && name[0] == '.' && (length == 1 || name[1] == '.');

	if (!n || n->name != NO_NAME || dots || n->inode == s->dir->number)
		return 0;
	/* A folder in use is named by an entry in use. */
	if (!n->deleted && (slack || s->in_deleted))
		return 0;
	if (s->dir->flags & INODE_ENCRYPTED) {
		length = pl_fscrypt_name(e->name, e->length, e->hash, e->minor_hash, shown);
		name = shown;
		if (!length)
			return 0;
	}
	if (s->names.length + length > MAX_NAMES)
		return 0;
	n->name = (uint32_t)s->names.length;
	n->length = (uint8_t)length;
	n->parent = s->dir->number;
	pl_str_add_bytes(&s->names, name, length);
	return 0;
}

static int
take_entry(void *closure, const struct ext_entry *e, struct platter_error *err)
{
	(void)err;
	return take_name(closure, e, false);
}

static int
take_slack(void *closure, const struct ext_entry *e, struct platter_error *err)
{
	(void)err;
	return take_name(closure, e, true);
}

/* What is damaged in folders, listing tells; here it only leaves names unknown. */
static void
scan_folders(struct scan *s, bool of_deleted, struct ext_inode *dir)
{
	s->dir = dir;
	s->in_deleted = of_deleted;
	for (size_t i = 0; i < s->nr; i++) {
		struct ext_dir_visitor v = { .entry = take_entry,
					     .slack = take_slack,
					     .closure = s };

		if (s->node[i].folder && s->node[i].deleted == of_deleted &&
		    ext_inode_read(s->fs, s->node[i].inode, dir, NULL) == 0)
			ext_dir_walk(s->fs, dir, &v, NULL);
	}
}

/* From the root, or from what is known to be nearest to it; malloc()ed. */
static char *
make_path(const struct scan *s, const struct node *n)
{
	const struct node *way[PL_MAX_FOLDERS];
	struct pl_str path = { 0 };
	size_t depth = 0;

	/* A circle of folders ends at the limit. */
	while (n && n->inode != EXT_ROOT_INODE && depth < ARRAY_SIZE(way)) {
		way[depth++] = n;
		n = n->name == NO_NAME ? NULL : find(s, n->parent);
	}
	while (depth--) {
		if (way[depth]->name == NO_NAME)
			pl_str_addf(&path, "#%" PRIu32, way[depth]->inode);
		else
			pl_str_add_bytes(&path, s->names.text + way[depth]->name,
					 way[depth]->length);
		if (depth)
			pl_str_add(&path, "/");
	}
	return path.text;
}

/* Is bit `bit` of a group's bitmap set? */
static bool
is_set(const uint8_t *bits, uint32_t bit)
{
	return bits[bit / 8] >> (bit % 8) & 1;
}

/* Blocks [block, block + nr) that are in use; those of which that is not known are. */
static uint64_t
count_used(struct scan *s, uint64_t block, uint64_t nr)
{
	const struct ext_super *sb = &s->fs->sb;
	uint64_t used = 0;

	for (uint64_t b = block; b < block + nr; b++) {
		uint32_t group = (uint32_t)((b - sb->first_data_block) / sb->blocks_per_group);
		uint32_t bit = (uint32_t)((b - sb->first_data_block) % sb->blocks_per_group) /
			       sb->cluster_ratio;

		if (!s->has_group || s->group != group) {
			struct ext_group g;

			s->has_group = true;
			s->group = group;
			s->is_uninit = false;
			if (ext_group_read(s->fs, group, &g, NULL) < 0 ||
			    ((s->is_uninit = g.flags & GROUP_BLOCK_UNINIT) == 0 &&
			     ext_bitmap_read(s->fs, &g, group, false, s->bits, NULL) < 0))
				memset(s->bits, 0xff, sb->block_size);
		}
		used += !s->is_uninit && is_set(s->bits, bit);
	}
	return used;
}

/* Programs may have it open still: then it is deleted, but nothing was taken from it. */
static bool
is_still_allocated(struct scan *s, uint32_t inode)
{
	const struct ext_super *sb = &s->fs->sb;
	uint32_t group = (inode - 1) / sb->inodes_per_group;
	PL_AUTOFREE uint8_t *bits = malloc(sb->block_size);
	struct ext_group g;

	return bits && ext_group_read(s->fs, group, &g, NULL) == 0 &&
	       !(g.flags & GROUP_INODE_UNINIT) &&
	       ext_bitmap_read(s->fs, &g, group, true, bits, NULL) == 0 &&
	       is_set(bits, (inode - 1) % sb->inodes_per_group);
}

static enum platter_recovery
judge(struct scan *s, const struct ext_inode *inode)
{
	enum platter_file_type type = ext_inode_type(inode);
	bool fast = type == PLATTER_FILE_SYMLINK && inode->size && !inode->allocated;
	unsigned bits = s->fs->sb.block_bits;
	uint64_t all = 0, used = 0;
	struct pl_runs runs = { 0 };
	int r;

	if (fast || (inode->size && (inode->flags & INODE_INLINE_DATA)))
		return PLATTER_RECOVERY_WHOLE;
	if (type != PLATTER_FILE_REGULAR && type != PLATTER_FILE_FOLDER &&
	    type != PLATTER_FILE_SYMLINK)
		return PLATTER_RECOVERY_WHOLE;
	r = inode->size ? ext_map(s->fs, inode, &runs, NULL) : 0;
	for (size_t i = 0; i < runs.nr; i++) {
		const struct pl_run *run = &runs.run[i];

		if (run->kind != PLATTER_DATA)
			continue;
		all += run->length >> bits;
		used += count_used(s, run->stored >> bits, run->length >> bits);
	}
	pl_runs_done(&runs);
	if (all && used && is_still_allocated(s, inode->number))
		used = 0;
	if (all == 0 || used == all)
		return PLATTER_RECOVERY_NOTHING;
	return r < 0 || used ? PLATTER_RECOVERY_PARTLY : PLATTER_RECOVERY_WHOLE;
}

/* Tell of all that is deleted; what fn returned. */
static int
report(struct scan *s, struct ext_inode *inode, pl_deleted_fn *fn, void *closure)
{
	int ended = 0;

	for (size_t i = 0; i < s->nr && !ended; i++) {
		struct pl_deleted d = { .id.inode = s->node[i].inode };
		PL_AUTOFREE char *path = NULL;

		if (!s->node[i].deleted)
			continue;
		path = make_path(s, &s->node[i]);
		if (!path) {
			failed(s, pl_no_memory(words(s)));
			break;
		}
		if (ext_inode_read(s->fs, s->node[i].inode, inode, NULL) < 0)
			continue;
		d.file = (struct platter_file){ .created.seconds = PLATTER_NO_TIME };
		ext_inode_tell(s->fs, inode, &d.file);
		d.path = path;
		d.recovery = judge(s, inode);
		ended = fn(closure, &d, words(s));
	}
	return ended;
}

int
ext_deleted(struct pl_volume *v, pl_deleted_fn *fn, void *closure, struct platter_error *err)
{
	const struct ext *fs = ext_of(v);
	PL_AUTOFREE struct ext_inode *inode = malloc(sizeof *inode);
	PL_AUTOFREE uint8_t *buf = malloc(PIECE);
	PL_AUTOFREE uint8_t *bits = malloc(fs->sb.block_size);
	struct scan s = { .fs = fs, .err = err, .bits = bits };
	int ended = 0;

	if (!inode || !buf || !bits)
		return pl_no_memory(err);
	for (uint32_t group = 0; group < fs->sb.nr_groups; group++) {
		int r = scan_group(&s, group, buf, inode);

		failed(&s, r);
		if (r == -ENOMEM || r == -EFBIG)
			break;
	}
	scan_folders(&s, false, inode);
	scan_folders(&s, true, inode);
	if (s.names.failed)
		failed(&s, pl_no_memory(words(&s)));
	else
		ended = report(&s, inode, fn, closure);
	free(s.node);
	pl_str_done(&s.names);
	return ended ? ended : s.failed;
}
