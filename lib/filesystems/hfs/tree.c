/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hfs/tree.c - B-trees
 *
 * "B-Trees" of Technical Note TN1150; those of HFS are alike, with nodes of 512 bytes and keys
 * whose length takes one byte.  Big-endian.
 *
 *	offset  size  node
 *	     0     8  the nodes behind and before it
 *	     8     1  kind: -1 leaf, 0 index, 1 header, 2 map
 *	     9     1  height: 1 of leaves
 *	    10     2  number of records
 *	    14        records: key, data; of an index node the data is a node's number
 *	   end        offset of each record, from the end towards the front, and of free space
 *
 *	offset  size  header record, the first of node 0
 *	     0     2  depth
 *	     2     4  root
 *	    18     2  node size
 *	    20     2  longest key
 *	    22     4  number of nodes
 *	    37     1  how names compare, of HFSX: 0xcf without case, 0xbc as they are
 *	    38     4  attributes: 2 keys' lengths take 2 bytes, 4 keys of index nodes vary in length
 *
 * A range of keys is walked from the root, and not along the links between leaves, so that
 * what is behind a damaged leaf is found all the same.
 */
#include "hfs.h"

enum {
	NODE_KIND = 8,
	NODE_HEIGHT = 9,
	NODE_RECORDS = 10,
	NODE_SIZE = 14,
};

enum {
	HEADER_DEPTH = NODE_SIZE,
	HEADER_ROOT = NODE_SIZE + 2,
	HEADER_NODE_SIZE = NODE_SIZE + 18,
	HEADER_MAX_KEY = NODE_SIZE + 20,
	HEADER_COMPARE = NODE_SIZE + 37,
	HEADER_ATTRIBUTES = NODE_SIZE + 38,
	HEADER_SIZE = NODE_SIZE + 106,
};

enum {
	KIND_LEAF = 0xff,
	KIND_INDEX = 0,
	KIND_HEADER = 1,
};

enum {
	WIDE_KEYS = 2,
	INDEX_KEYS_VARY = 4,
	COMPARE_BINARY = 0xbc,
};

/* 2^32 leaves with three records in each index node make 20 levels; real trees have 2 to 5. */
#define MAX_DEPTH 24

void
pl_hfs_tree_done(struct hfs_tree *t)
{
	pl_runs_done(&t->runs);
	*t = (struct hfs_tree){ 0 };
}

static int
decode_header(const struct hfs *fs, const uint8_t *h, struct hfs_tree *t, struct platter_error *err)
{
	uint32_t attributes = get_be32(h + HEADER_ATTRIBUTES);

	if (h[NODE_KIND] != KIND_HEADER)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "the first node is of kind %u",
				  h[NODE_KIND]);
	t->node_size = get_be16(h + HEADER_NODE_SIZE);
	if (!pl_is_power_of_two(t->node_size) || t->node_size < HFS_MIN_NODE ||
	    t->node_size > HFS_MAX_NODE || (!fs->plus && t->node_size != HFS_MIN_NODE))
		return pl_corrupt(err, PLATTER_NO_OFFSET, "nodes of %" PRIu32 " bytes",
				  t->node_size);
	t->nr_nodes = (uint32_t)PL_MIN(t->size / t->node_size, UINT32_MAX);
	t->depth = get_be16(h + HEADER_DEPTH);
	t->root = get_be32(h + HEADER_ROOT);
	/* A tree without records has neither. */
	if (t->depth > MAX_DEPTH || (t->depth && t->root >= t->nr_nodes))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "%" PRIu32 " levels from node %" PRIu32 " of %" PRIu32, t->depth,
				  t->root, t->nr_nodes);
	t->wide_keys = fs->plus;
	if (!fs->plus || !(attributes & INDEX_KEYS_VARY))
		t->max_key = get_be16(h + HEADER_MAX_KEY);
	if (t->max_key >= t->node_size)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "keys of %u bytes in nodes of %" PRIu32,
				  t->max_key, t->node_size);
	t->binary = fs->plus && fs->header[1] == 'X' && h[HEADER_COMPARE] == COMPARE_BINARY;
	return 0;
}

int
pl_hfs_tree_open(struct hfs *fs, const struct hfs_fork *fork, uint32_t cnid, const char *name,
		 struct hfs_tree *ret, struct platter_error *err)
{
	struct hfs_tree t = { .name = name, .size = fork->size };
	uint8_t header[HEADER_SIZE];
	int r = pl_hfs_fork_runs(fs, fork, cnid, FORK_DATA, &t.runs, err);

	if (r == 0)
		r = pl_hfs_read(fs, &t.runs, header, sizeof header, 0, err);
	if (r == 0)
		r = decode_header(fs, header, &t, err);
	if (r < 0) {
		pl_context(err, "%s", name);
		pl_hfs_tree_done(&t);
		return r;
	}
	*ret = t;
	return 0;
}

bool
pl_hfs_record_decode(const struct hfs_tree *t, bool leaf, const uint8_t *p, unsigned n,
		     struct hfs_record *ret)
{
	unsigned width = t->wide_keys ? 2 : 1, skip;

	if (n < width)
		return false;
	ret->key = p + width;
	ret->key_length = t->wide_keys ? get_be16(p) : p[0];
	/* Data begins at an even offset. */
	skip = (leaf || !t->max_key ? ret->key_length : t->max_key) + width;
	skip += skip & 1;
	if (skip > n || ret->key_length > skip - width)
		return false;
	ret->data = p + skip;
	ret->length = n - skip;
	return true;
}

struct walk {
	struct hfs *fs;
	const struct hfs_tree *tree;
	hfs_order_fn *order;
	const void *wanted;
	hfs_record_fn *fn;
	void *closure;
	struct platter_error why;   /* of the node at hand: 2 KiB that need not be on each level */
	struct platter_error first; /* damage that was passed by */
	int damage;                 /* its code */
	uint32_t steps;
};

struct node {
	uint8_t *bytes;
	unsigned nr; /* records that are right */
	uint32_t number;
	bool leaf;
};

/* Remember damage and go on; what cannot be passed by is returned. */
static int
pass_by(struct walk *w, int r, struct platter_error *err)
{
	if (r == -ENOMEM)
		return pl_no_memory(err);
	if (w->damage == 0) {
		w->damage = r;
		w->first = w->why;
	}
	return 0;
}

static bool
get_record(const struct hfs_tree *t, const struct node *n, unsigned i, struct hfs_record *ret)
{
	const uint8_t *end = n->bytes + t->node_size;
	unsigned at = get_be16(end - 2 * (i + 1)), next = get_be16(end - 2 * (i + 2));

	if (at < NODE_SIZE || at >= next || next > t->node_size - 2 * (i + 2) ||
	    !pl_hfs_record_decode(t, n->leaf, n->bytes + at, next - at, ret) ||
	    (!n->leaf && ret->length < 4))
		return false;
	ret->at = (uint64_t)n->number * t->node_size + at;
	return true;
}

/* Read a node and count the records at its beginning that are right. */
static int
read_node(struct walk *w, uint32_t number, unsigned height, struct node *n,
	  struct platter_error *err)
{
	const struct hfs_tree *t = w->tree;
	struct hfs_record record;
	unsigned nr;
	int r;

	if (number >= t->nr_nodes)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "%s: node %" PRIu32 " of %" PRIu32,
				  t->name, number, t->nr_nodes);
	r = pl_hfs_read(w->fs, &t->runs, n->bytes, t->node_size, (uint64_t)number * t->node_size,
			err);
	if (r < 0)
		return r;
	n->number = number;
	n->leaf = height == 1;
	if (n->bytes[NODE_KIND] != (n->leaf ? KIND_LEAF : KIND_INDEX) ||
	    n->bytes[NODE_HEIGHT] != height)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "%s: node %" PRIu32
				  " of kind %u and height %u, expected height %u",
				  t->name, number, n->bytes[NODE_KIND], n->bytes[NODE_HEIGHT],
				  height);
	nr = get_be16(n->bytes + NODE_RECORDS);
	for (n->nr = 0; n->nr < nr; n->nr++) {
		if (2 * (n->nr + 2) <= t->node_size - NODE_SIZE && get_record(t, n, n->nr, &record))
			continue;
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "%s: record %u of %u in node %" PRIu32 " is not right", t->name,
				  n->nr, nr, number);
	}
	return 0;
}

static int
order_of(const struct walk *w, const struct node *n, unsigned i)
{
	struct hfs_record record;

	get_record(w->tree, n, i, &record);
	return w->order(w->wanted, record.key, record.key_length);
}

/* The first record whose key is not before the range. */
static unsigned
first_record(const struct walk *w, const struct node *n)
{
	unsigned low = 0, high = n->nr;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (order_of(w, n, mid) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int
walk_leaf(struct walk *w, const struct node *n, struct platter_error *err)
{
	int r = 0;

	for (unsigned i = first_record(w, n); r == 0 && i < n->nr; i++) {
		struct hfs_record record;
		int order = order_of(w, n, i);

		if (order > 0)
			break;
		get_record(w->tree, n, i, &record);
		if (order == 0)
			r = w->fn(w->closure, &record, err);
	}
	return r;
}

/* NOLINTNEXTLINE(misc-no-recursion): the height is at most MAX_DEPTH */
static int
walk_node(struct walk *w, uint32_t number, unsigned height, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = malloc(w->tree->node_size);
	struct node n = { .bytes = bytes };
	unsigned first;
	int r;

	if (!bytes)
		return pl_no_memory(err);
	if (w->steps++ >= w->tree->nr_nodes)
		r = pl_corrupt(&w->why, PLATTER_NO_OFFSET, "%s: its nodes form a circle",
			       w->tree->name);
	else
		r = read_node(w, number, height, &n, &w->why);
	if (r < 0)
		r = pass_by(w, r, err);
	if (r < 0)
		return r;
	if (height == 1)
		return walk_leaf(w, &n, err);
	/* The node before may hold the first keys of the range. */
	first = first_record(w, &n);
	for (unsigned i = first ? first - 1 : 0; r == 0 && i < n.nr; i++) {
		struct hfs_record record;

		if (i >= first && order_of(w, &n, i) > 0)
			break;
		get_record(w->tree, &n, i, &record);
		r = walk_node(w, get_be32(record.data), height - 1, err);
	}
	return r;
}

int
pl_hfs_tree_walk(struct hfs *fs, const struct hfs_tree *t, hfs_order_fn *order, const void *wanted,
		 hfs_record_fn *fn, void *closure, struct platter_error *err)
{
	struct walk w = {
		.fs = fs,
		.tree = t,
		.order = order,
		.wanted = wanted,
		.fn = fn,
		.closure = closure,
		.why = PLATTER_ERROR_INIT,
	};
	int r;

	if (!t->depth)
		return 0;
	r = walk_node(&w, t->root, t->depth, err);
	if (r == 0 && w.damage) {
		if (err)
			*err = w.first;
		return w.damage;
	}
	return r;
}
