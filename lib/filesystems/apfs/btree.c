/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * apfs/btree.c - the records of B-trees in the order of their keys, and object maps
 *
 * Keys of a volume's tree begin with 64 bits: the type in the upper four, the object in the
 * rest.  They are sorted by object, then by type, then by what the type has behind that: an
 * offset (extents), a hash and length (entries, if names are hashed) and a name.
 *
 * A node above the leaves has in each record the least key of a child, and the child's
 * number; in a sealed tree its distance from the root's number, and its SHA-256.
 */
#include "apfs.h"

#define KEY_ID_MASK     UINT64_C(0x0fffffffffffffff)
#define KEY_NAME_LENGTH 0x3ff
#define NO_VALUE        0xffff

enum {
	NODE_ROOT = 1,
	NODE_FIXED = 4
};

/* Keys and values of the trees of fixed size: an object map's, and a sealed volume's extents. */
#define FIXED_SIZE 16

/* So many nodes that cannot be read end a walk: the disk, or the tree, is past saving. */
#define MAX_FAILED 1000

void
pl_apfs_tree_init(struct apfs *fs, struct apfs_tree *tree, enum apfs_keys keys, uint64_t root)
{
	*tree = (struct apfs_tree){ .id = ++fs->nr_trees, .keys = keys, .root = root };
}

/* The name at `at` of a key of n bytes, without its NUL. */
static bool
take_name_at(const uint8_t *key, uint32_t n, uint32_t at, uint32_t length, struct apfs_key *ret)
{
	if (!pl_in_range(at, length, n))
		return false;
	if (length && !key[at + length - 1])
		length--;
	ret->name = (const char *)key + at;
	ret->name_length = length;
	return true;
}

static bool
take_name(const uint8_t *key, uint32_t n, struct apfs_key *ret)
{
	return n >= 10 && take_name_at(key, n, 10, get_le16(key + 8), ret);
}

static bool
decode_key(const struct apfs_tree *tree, const uint8_t *key, uint32_t n, struct apfs_key *ret)
{
	*ret = (struct apfs_key){ .name = "" };
	if (n < 8)
		return false;
	ret->id = get_le64(key);
	if (tree->keys != KEYS_CATALOG) {
		if (n < 16)
			return false;
		ret->number = get_le64(key + 8);
		return true;
	}
	ret->type = (unsigned)(ret->id >> 60);
	ret->id &= KEY_ID_MASK;
	switch (ret->type) {
	case RECORD_EXTENT:
	case RECORD_SIBLING:
	case RECORD_FILE_INFO:
		if (n < 16)
			return false;
		ret->number = get_le64(key + 8);
		return true;
	case RECORD_ENTRY:
		if (!tree->hashed_names)
			return take_name(key, n, ret);
		if (n < 12)
			return false;
		ret->number = get_le32(key + 8);
		return take_name_at(key, n, 12, get_le32(key + 8) & KEY_NAME_LENGTH, ret);
	case RECORD_XATTR:
	case RECORD_SNAPSHOT_NAME: return take_name(key, n, ret);
	default: return true;
	}
}

static int
compare_keys(const struct apfs_key *a, const struct apfs_key *b)
{
	int r;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	r = memcmp(a->name, b->name, PL_MIN(a->name_length, b->name_length));
	if (r)
		return r;
	return a->name_length < b->name_length ? -1 : a->name_length > b->name_length;
}

/* Record `i` < nr of a node; false: it does not lie within it, or is too short. */
static bool
get_record(const struct apfs_tree *tree, const struct apfs_node *n, uint32_t i,
	   struct apfs_record *ret)
{
	uint32_t key, key_length, back, length;

	if (n->flags & NODE_FIXED) {
		const uint8_t *entry = n->bytes + n->table + (size_t)4 * i;

		key = get_le16(entry);
		key_length = FIXED_SIZE;
		back = get_le16(entry + 2);
		length = n->level ? 8 : FIXED_SIZE;
	} else {
		const uint8_t *entry = n->bytes + n->table + (size_t)8 * i;

		key = get_le16(entry);
		key_length = get_le16(entry + 2);
		back = get_le16(entry + 4);
		length = get_le16(entry + 6);
	}
	if (back == NO_VALUE)
		back = length = 0;
	if (!pl_in_range(key, key_length, n->end - n->keys) || length > back ||
	    back > n->end - n->keys)
		return false;
	ret->value = n->bytes + n->end - back;
	ret->value_length = length;
	ret->at = n->block;
	return decode_key(tree, n->bytes + n->keys + key, key_length, &ret->key);
}

/*
 * How many records have keys less than `key`; with `or_equal`, not greater.  What cannot be
 * decoded counts as less.
 */
static uint32_t
count_before(const struct apfs_tree *tree, const struct apfs_node *n, const struct apfs_key *key,
	     bool or_equal)
{
	uint32_t low = 0, high = n->nr;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		struct apfs_record r;
		int order = get_record(tree, n, mid, &r) ? compare_keys(&r.key, key) : -1;

		if (order < 0 || (or_equal && order == 0))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int
bad_record(const struct apfs *fs, const struct apfs_node *n, uint32_t i, struct platter_error *err)
{
	return pl_corrupt(err, n->block * fs->block_size,
			  "record %" PRIu32 " of %" PRIu32 " of the B-tree node at block %" PRIu64
			  " ends past its %" PRIu32 " bytes",
			  i, n->nr, n->block, n->size);
}

/* The child that record `i` of `parent` names; its level is the next lower one. */
static int
get_child(struct apfs *fs, const struct apfs_tree *tree, const struct apfs_node *parent, uint32_t i,
	  struct apfs_node **ret, struct platter_error *err)
{
	const uint8_t *hash = NULL;
	struct apfs_record record;
	struct apfs_node *child;
	uint64_t oid;
	int r;

	if (!get_record(tree, parent, i, &record) || record.value_length < 8)
		return bad_record(fs, parent, i, err);
	oid = get_le64(record.value);
	if (tree->sealed) {
		oid += tree->root;
		hash = tree->has_root_hash && record.value_length >= 40 ? record.value + 8 : NULL;
	}
	r = pl_apfs_node_get(fs, tree, oid, hash, &child, err);
	if (r < 0)
		return r;
	if (child->level != parent->level - 1 || !child->nr || child->flags & NODE_ROOT) {
		r = pl_corrupt(err, child->block * fs->block_size,
			       "B-tree node of level %u with %" PRIu32
			       " records below one of level %u",
			       child->level, child->nr, parent->level);
		pl_apfs_node_unref(child);
		return r;
	}
	*ret = child;
	return 0;
}

static void
fail(struct apfs_cursor *c, int r, const struct platter_error *why)
{
	if (!c->error) {
		c->error = r;
		c->why = *why;
	}
	c->nr_failed++;
}

static void
push(struct apfs_cursor *c, struct apfs_node *n, uint32_t next)
{
	c->level[c->depth].node = n;
	c->level[c->depth].next = next;
	c->depth++;
}

static void
pop(struct apfs_cursor *c)
{
	pl_apfs_node_unref(c->level[--c->depth].node);
}

static void
pop_all(struct apfs_cursor *c)
{
	while (c->depth)
		pop(c);
}

void
pl_apfs_cursor_seek(struct apfs_cursor *c, struct apfs *fs, const struct apfs_tree *tree,
		    const struct apfs_key *key)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct apfs_node *n;
	int r;

	c->fs = fs;
	c->tree = tree;
	c->depth = c->nr_failed = 0;
	c->error = 0;
	c->has_last = false;
	r = pl_apfs_node_get(fs, tree, tree->root, tree->has_root_hash ? tree->root_hash : NULL, &n,
			     &why);
	while (r == 0 && n->level) {
		uint32_t i = count_before(tree, n, key, true);

		i -= i > 0;
		push(c, n, i + 1);
		if (i == n->nr)
			return;
		r = get_child(fs, tree, n, i, &n, &why);
	}
	if (r < 0)
		fail(c, r, &why);
	else
		push(c, n, count_before(tree, n, key, false));
}

/* Keep what the leaf ends with; what follows must be greater, or the tree goes in a circle. */
static void
leave_leaf(struct apfs_cursor *c, const struct apfs_node *n)
{
	struct apfs_record first, last;

	if (!n->nr || !get_record(c->tree, n, n->nr - 1, &last))
		return;
	if (get_record(c->tree, n, 0, &first) && compare_keys(&first.key, &last.key) > 0)
		last = first;
	c->last = last.key;
	c->last.name_length = PL_MIN(last.key.name_length, sizeof c->last_name);
	memcpy(c->last_name, last.key.name, c->last.name_length);
	c->last.name = c->last_name;
	c->has_last = true;
}

static bool
comes_behind(const struct apfs_cursor *c, const struct apfs_node *n)
{
	struct apfs_record first;

	return !c->has_last ||
	       (get_record(c->tree, n, 0, &first) && compare_keys(&first.key, &c->last) > 0);
}

static void
enter_child(struct apfs_cursor *c, const struct apfs_node *parent, uint32_t i)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct apfs_node *child;
	int r = get_child(c->fs, c->tree, parent, i, &child, &why);

	if (r == 0 && !child->level && !comes_behind(c, child)) {
		r = pl_corrupt(&why, child->block * c->fs->block_size,
			       "B-tree node at block %" PRIu64 " is not in the order of keys",
			       child->block);
		pl_apfs_node_unref(child);
	}
	if (r == 0) {
		push(c, child, 0);
		return;
	}
	fail(c, r, &why);
}

bool
pl_apfs_cursor_next(struct apfs_cursor *c, struct apfs_record *ret)
{
	while (c->depth) {
		struct apfs_node *n = c->level[c->depth - 1].node;
		uint32_t i = c->level[c->depth - 1].next;

		if (i >= n->nr) {
			if (!n->level)
				leave_leaf(c, n);
			pop(c);
			continue;
		}
		c->level[c->depth - 1].next++;
		if (n->level) {
			enter_child(c, n, i);
		} else if (get_record(c->tree, n, i, ret)) {
			ret->at = n->block * c->fs->block_size;
			return true;
		} else {
			struct platter_error why = PLATTER_ERROR_INIT;

			fail(c, bad_record(c->fs, n, i, &why), &why);
		}
		if (c->nr_failed >= MAX_FAILED)
			pop_all(c);
	}
	return false;
}

int
pl_apfs_cursor_end(struct apfs_cursor *c, struct platter_error *err)
{
	pop_all(c);
	if (c->error < 0 && err)
		*err = c->why;
	return c->error;
}

/* The map's newest record of `oid` that is not newer than `xid`. */
int
pl_apfs_omap_find(struct apfs *fs, const struct apfs_tree *omap, uint64_t oid, uint64_t xid,
		  struct apfs_mapping *ret, struct platter_error *err)
{
	const struct apfs_key key = { .id = oid, .number = xid, .name = "" };
	struct apfs_record record;
	struct apfs_node *n;
	uint32_t i;
	int r = pl_apfs_node_get(fs, omap, omap->root, NULL, &n, err);

	if (r < 0)
		return r;
	while (n->level) {
		struct apfs_node *child;

		i = count_before(omap, n, &key, true);
		r = i ? get_child(fs, omap, n, i - 1, &child, err) : -ENOENT;
		pl_apfs_node_unref(n);
		if (r < 0)
			goto out;
		n = child;
	}
	i = count_before(omap, n, &key, true);
	if (!i || !get_record(omap, n, i - 1, &record) || record.key.id != oid ||
	    record.value_length < 16) {
		r = -ENOENT;
	} else {
		ret->flags = get_le32(record.value);
		ret->size = get_le32(record.value + 4);
		ret->block = get_le64(record.value + 8);
		if (ret->flags & MAPPING_DELETED)
			r = -ENOENT;
	}
	pl_apfs_node_unref(n);
out:
	if (r == -ENOENT)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "object %" PRIu64 " of transaction %" PRIu64
				  " or before is not in the object map",
				  oid, xid);
	return r;
}

int
pl_apfs_omap_open(struct apfs *fs, uint64_t block, struct apfs_tree *ret, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = malloc(fs->block_size);
	int r;

	if (!buf)
		return pl_no_memory(err);
	r = pl_apfs_read_object(fs, block, fs->block_size, TYPE_OMAP, "object map", buf, err);
	if (r < 0)
		return r;
	pl_apfs_tree_init(fs, ret, KEYS_OMAP, get_le64(buf + OMAP_TREE));
	return 0;
}
