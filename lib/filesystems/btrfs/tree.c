/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * btrfs/tree.c - nodes, and walking the trees that they make
 *
 *	offset  size  node
 *	     0    32  checksum of all behind it
 *	    32    16  file system's UUID
 *	    48     8  its own logical byte
 *	    96     4  items
 *	   100     1  level, 0 a leaf
 *	   101        leaf: key 17, offset of the data (from here) 4, its size 4
 *	              else: key 17, logical byte of the node below 8, its generation 8
 *
 * Keys ascend, and the key that leads to a node is the first one in it.  Both are verified, so
 * that no node is met twice in one walk and every walk ends.
 */
#include "btrfs.h"

enum {
	NODE_SELF = 48,
	NODE_ITEMS = 96,
	NODE_LEVEL = 100,
	NODE_HEADER = 101,
	ITEM_OFFSET = 17,
	ITEM_SIZE = 21,
	ITEM_LENGTH = 25,
	POINTER_LOGICAL = 17,
	POINTER_LENGTH = 33,
};

/* Verified nodes that are kept. */
#define CACHE_BYTES MIB(8)

/* Nodes that one walk steps over because they cannot be read. */
#define MAX_DAMAGED 256

struct btrfs_node {
	uint64_t logical, physical;
	atomic_uint refs;
	uint32_t nr;
	unsigned level;
	uint8_t bytes[];
};

struct btrfs_key
pl_btrfs_get_key(const uint8_t *p)
{
	return (struct btrfs_key){ .objectid = get_le64(p),
				   .type = p[8],
				   .offset = get_le64(p + 9) };
}

int
pl_btrfs_compare_keys(const struct btrfs_key *a, const struct btrfs_key *b)
{
	if (a->objectid != b->objectid)
		return a->objectid < b->objectid ? -1 : 1;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return (a->offset > b->offset) - (a->offset < b->offset);
}

static void
node_unref(struct btrfs_node *node)
{
	if (node && atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) == 1)
		free(node);
}

int
pl_btrfs_nodes_init(struct btrfs *fs, struct platter_error *err)
{
	fs->nr_nodes = (uint32_t)(CACHE_BYTES / fs->node_size);
	fs->nodes = calloc(fs->nr_nodes, sizeof(struct btrfs_node *));
	return fs->nodes ? 0 : pl_no_memory(err);
}

void
pl_btrfs_nodes_done(struct btrfs *fs)
{
	for (uint32_t i = 0; fs->nodes && i < fs->nr_nodes; i++)
		node_unref(fs->nodes[i]);
	free(fs->nodes);
}

static struct btrfs_node **
cache_slot(struct btrfs *fs, uint64_t logical)
{
	return &fs->nodes[logical / fs->node_size % fs->nr_nodes];
}

static struct btrfs_node *
cache_get(struct btrfs *fs, uint64_t logical)
{
	struct btrfs_node *node;

	pthread_mutex_lock(&fs->lock);
	node = *cache_slot(fs, logical);
	if (node && node->logical == logical)
		atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
	else
		node = NULL;
	pthread_mutex_unlock(&fs->lock);
	return node;
}

static void
cache_put(struct btrfs *fs, struct btrfs_node *node)
{
	struct btrfs_node **slot = cache_slot(fs, node->logical), *old;

	atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
	pthread_mutex_lock(&fs->lock);
	old = *slot;
	*slot = node;
	pthread_mutex_unlock(&fs->lock);
	node_unref(old);
}

static const uint8_t *
entry(const struct btrfs_node *node, uint32_t slot)
{
	return node->bytes + NODE_HEADER +
	       (size_t)slot * (node->level ? POINTER_LENGTH : ITEM_LENGTH);
}

static struct btrfs_key
key_at(const struct btrfs_node *node, uint32_t slot)
{
	return pl_btrfs_get_key(entry(node, slot));
}

static int
check_node(const struct btrfs *fs, struct btrfs_node *node, struct platter_error *err)
{
	uint32_t room = fs->node_size - NODE_HEADER;
	uint64_t at = node->physical;
	struct btrfs_key last = { 0 };

	if (!pl_btrfs_checksum_matches(fs, node->bytes, fs->node_size))
		return pl_corrupt(err, at, "tree node has a wrong checksum");
	if (get_le64(node->bytes + NODE_SELF) != node->logical)
		return pl_corrupt(err, at + NODE_SELF,
				  "tree node says that it is at logical byte %" PRIu64
				  ", expected %" PRIu64,
				  get_le64(node->bytes + NODE_SELF), node->logical);
	node->level = node->bytes[NODE_LEVEL];
	node->nr = get_le32(node->bytes + NODE_ITEMS);
	if (node->level > BTRFS_MAX_LEVEL)
		return pl_corrupt(err, at + NODE_LEVEL, "tree node of level %u, limit is %u",
				  node->level, BTRFS_MAX_LEVEL);
	if (node->nr > room / (node->level ? POINTER_LENGTH : ITEM_LENGTH))
		return pl_corrupt(err, at + NODE_ITEMS, "tree node of %" PRIu32 " items", node->nr);
	for (uint32_t i = 0; i < node->nr; i++) {
		const uint8_t *p = entry(node, i);
		struct btrfs_key key = pl_btrfs_get_key(p);

		if (i && pl_btrfs_compare_keys(&last, &key) >= 0)
			return pl_corrupt(err, at,
					  "keys %" PRIu32 " and %" PRIu32
					  " of a tree node do not ascend",
					  i - 1, i);
		last = key;
		if (!node->level &&
		    !pl_in_range(get_le32(p + ITEM_OFFSET), get_le32(p + ITEM_SIZE), room))
			return pl_corrupt(err, at + (uint64_t)(p - node->bytes),
					  "item of %" PRIu32 " bytes at %" PRIu32
					  " of a leaf of %" PRIu32,
					  get_le32(p + ITEM_SIZE), get_le32(p + ITEM_OFFSET), room);
	}
	return 0;
}

/* `first`: the key that led here, or NULL for a root. */
static int
check_place(const struct btrfs_node *node, unsigned level, const struct btrfs_key *first,
	    struct platter_error *err)
{
	struct btrfs_key key;

	if (node->level != level)
		return pl_corrupt(err, node->physical + NODE_LEVEL,
				  "tree node of level %u, expected %u", node->level, level);
	if (!node->nr && (first || level))
		return pl_corrupt(err, node->physical + NODE_ITEMS, "tree node without items");
	if (!first)
		return 0;
	key = key_at(node, 0);
	if (pl_btrfs_compare_keys(&key, first))
		return pl_corrupt(err, node->physical + NODE_HEADER,
				  "tree node begins with another key than the one above it");
	return 0;
}

static int
get_node(struct btrfs *fs, uint64_t logical, unsigned level, const struct btrfs_key *first,
	 struct btrfs_node **ret, struct platter_error *err)
{
	struct btrfs_node *node = cache_get(fs, logical);
	struct platter_error why = PLATTER_ERROR_INIT;
	const struct btrfs_chunk *chunk;
	int r = 0, failed = 0;

	if (node) {
		r = check_place(node, level, first, err);
		if (r < 0)
			node_unref(node);
		else
			*ret = node;
		return r;
	}
	r = pl_btrfs_map(fs, logical, &chunk, err);
	if (r < 0)
		return r;
	if (chunk->length - (logical - chunk->logical) < fs->node_size)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "tree node at logical byte %" PRIu64 " passes the end of its "
				  "chunk",
				  logical);
	node = malloc(sizeof *node + fs->node_size);
	if (!node)
		return pl_no_memory(err);
	for (unsigned i = 0; i < chunk->copies; i++) {
		node->logical = logical;
		atomic_init(&node->refs, 1);
		r = 0;
		if (__builtin_add_overflow(chunk->physical[i], logical - chunk->logical,
					   &node->physical) ||
		    !pl_in_range(node->physical, fs->node_size, pl_disk_size(fs->volume.disk)))
			r = pl_corrupt(&why, PLATTER_NO_OFFSET,
				       "tree node at logical byte %" PRIu64
				       " is past the end of the disk",
				       logical);
		if (r == 0)
			r = pl_read(fs->volume.disk, node->bytes, fs->node_size, node->physical,
				    &why);
		if (r == 0)
			r = check_node(fs, node, &why);
		if (r == 0)
			r = check_place(node, level, first, &why);
		if (r == 0) {
			cache_put(fs, node);
			*ret = node;
			return 0;
		}
		/* The first copy's error says most. */
		if (!failed) {
			failed = r;
			if (err)
				*err = why;
		}
	}
	node_unref(node);
	return failed;
}

void
pl_btrfs_leave(struct btrfs_cursor *c)
{
	for (unsigned i = 0; i <= BTRFS_MAX_LEVEL; i++) {
		node_unref(c->node[i]);
		c->node[i] = NULL;
	}
}

static void
show_item(struct btrfs_cursor *c)
{
	const struct btrfs_node *leaf = c->node[0];
	const uint8_t *p = entry(leaf, c->slot[0]);
	uint32_t offset = NODE_HEADER + get_le32(p + ITEM_OFFSET);

	c->key = pl_btrfs_get_key(p);
	c->data = leaf->bytes + offset;
	c->size = get_le32(p + ITEM_SIZE);
	c->at = leaf->physical + offset;
}

static void
drop(struct btrfs_cursor *c, unsigned level)
{
	node_unref(c->node[level]);
	c->node[level] = NULL;
}

/* The node below slot[level] of node[level]. */
static int
descend(struct btrfs_cursor *c, unsigned level, struct platter_error *err)
{
	const struct btrfs_node *node = c->node[level];
	struct btrfs_key first = key_at(node, c->slot[level]);
	int r = get_node(c->fs, get_le64(entry(node, c->slot[level]) + POINTER_LOGICAL), level - 1,
			 &first, &c->node[level - 1], err);

	if (r < 0)
		c->damaged++;
	return r;
}

/* To the first item that is not before the cursor's slots, the lowest node at `level`. */
static int
settle(struct btrfs_cursor *c, unsigned level, struct platter_error *err)
{
	const struct btrfs_key before = c->key;

	for (;;) {
		struct btrfs_key key;
		int r;

		if (c->slot[level] >= c->node[level]->nr) {
			drop(c, level);
			if (level == c->level)
				return 0;
			c->slot[++level]++;
			continue;
		}
		key = key_at(c->node[level], c->slot[level]);
		if (pl_btrfs_compare_keys(&key, &c->last) > 0) {
			pl_btrfs_leave(c);
			return 0;
		}
		if (!level)
			break;
		c->slot[level - 1] = 0;
		r = descend(c, level, err);
		if (r < 0)
			return r;
		level--;
	}
	show_item(c);
	/* Only nodes that are out of order lead back. */
	if (pl_btrfs_compare_keys(&before, &c->key) > 0) {
		c->damaged++;
		c->key = before;
		drop(c, 0);
		return pl_corrupt(err, c->at, "leaves of a tree are out of order");
	}
	return 1;
}

/* The first slot whose key is at or behind `key`. */
static uint32_t
search(const struct btrfs_node *node, const struct btrfs_key *key)
{
	uint32_t low = 0, high = node->nr;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		struct btrfs_key k = key_at(node, mid);

		if (pl_btrfs_compare_keys(&k, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int
pl_btrfs_seek(struct btrfs *fs, const struct btrfs_root *root, const struct btrfs_key *key,
	      const struct btrfs_key *last, struct btrfs_cursor *c, struct platter_error *err)
{
	unsigned level = root->level;
	int r;

	*c = (struct btrfs_cursor){ .fs = fs, .level = level, .key = *key, .last = *last };
	r = get_node(fs, root->logical, level, NULL, &c->node[level], err);
	if (r < 0)
		return r;
	for (;; level--) {
		struct btrfs_key k;

		c->slot[level] = search(c->node[level], key);
		if (!level)
			return settle(c, 0, err);
		/* The node before may hold it, if its own first key is not the one. */
		if (c->slot[level] == c->node[level]->nr)
			c->slot[level]--;
		k = key_at(c->node[level], c->slot[level]);
		if (c->slot[level] && pl_btrfs_compare_keys(&k, key) > 0)
			c->slot[level]--;
		r = descend(c, level, err);
		if (r < 0)
			return r;
	}
}

int
pl_btrfs_next(struct btrfs_cursor *c, struct platter_error *err)
{
	for (unsigned level = 0; level <= c->level; level++) {
		if (!c->node[level])
			continue;
		if (c->damaged > MAX_DAMAGED) {
			pl_btrfs_leave(c);
			return 0;
		}
		c->slot[level]++;
		return settle(c, level, err);
	}
	return 0;
}

int
pl_btrfs_find(struct btrfs *fs, const struct btrfs_root *root, const struct btrfs_key *key,
	      struct btrfs_cursor *c, struct platter_error *err)
{
	int r = pl_btrfs_seek(fs, root, key, key, c, err);

	return r < 0 ? r : r == 0 ? -ENOENT : 0;
}

int
pl_btrfs_find_tree(struct btrfs *fs, uint64_t tree, struct btrfs_root *ret,
		   struct platter_error *err)
{
	/* That of a snapshot has the generation that it was made in as its offset. */
	struct btrfs_key key = { .objectid = tree, .type = BTRFS_ROOT_ITEM };
	struct btrfs_key last = { tree, UINT64_MAX, BTRFS_ROOT_ITEM };
	struct btrfs_cursor c;
	int r = pl_btrfs_seek(fs, &fs->root_tree, &key, &last, &c, err);

	if (r >= 0)
		r = r ? 0 : -ENOENT;
	if (r == 0 && (c.size < ROOT_ITEM_SIZE || c.data[ROOT_LEVEL] > BTRFS_MAX_LEVEL))
		r = pl_corrupt(err, c.at, "root item of %" PRIu32 " bytes or of a level above %u",
			       c.size, BTRFS_MAX_LEVEL);
	if (r == 0) {
		ret->logical = get_le64(c.data + ROOT_BYTES);
		ret->level = c.data[ROOT_LEVEL];
	}
	pl_btrfs_leave(&c);
	return r;
}

int
pl_btrfs_each(struct btrfs *fs, const struct btrfs_root *root, uint64_t objectid, uint8_t type,
	      pl_btrfs_item_fn *fn, void *closure, struct platter_error *err)
{
	bool all = objectid == UINT64_MAX;
	struct btrfs_key key = { .objectid = all ? 0 : objectid, .type = all ? 0 : type };
	struct btrfs_key last = { objectid, UINT64_MAX, all ? UINT8_MAX : type };
	struct platter_error why = PLATTER_ERROR_INIT;
	struct btrfs_cursor c;
	int r = pl_btrfs_seek(fs, root, &key, &last, &c, &why), failed = 0;

	while (r) {
		if (r > 0 && c.key.type == type) {
			r = fn(closure, &c, &why);
			if (r > 0 || r == -ENOMEM) {
				failed = r;
				if (err)
					*err = why;
				break;
			}
		}
		if (r < 0 && !failed) {
			failed = r;
			if (err)
				*err = why;
		}
		if (r < 0 && !c.node[c.level])
			break;
		r = pl_btrfs_next(&c, &why);
	}
	pl_btrfs_leave(&c);
	return failed;
}
