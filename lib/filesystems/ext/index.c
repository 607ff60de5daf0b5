/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext/index.c - finding a name by its hash
 *
 * The first block of an indexed folder is the root: behind "." and ".." stand the kind of
 * hash and the number of levels below.  A node's entries are pairs of a hash and a block of
 * the folder, in order; the first has no hash, its place tells how many entries fit and are
 * in use.  Names whose hash is that of an entry or higher are in its block; names of one
 * hash may fill several blocks, then bit 0 of the hash of those that go on is set.
 *
 * Whoever finds the index damaged can still read the folder as a list.
 */
#include "ext.h"

#define MAX_LEVELS 4 /* the root and, with large_dir, three more */

/* Names of one hash in more blocks are an attack on the index. */
#define MAX_SAME_HASH 1024

struct node {
	uint8_t *block;
	struct ext_dir_node info;
	uint32_t chosen;
};

struct search {
	const struct ext *fs;
	const struct ext_inode *dir;
	struct pl_runs runs;
	struct node node[MAX_LEVELS];
	unsigned nr_nodes;
	uint8_t *blocks; /* of the nodes, and one more */
	struct platter_error *err;
};

static uint32_t
entry_hash(const struct node *n, uint32_t i)
{
	return get_le32(n->block + n->info.entries_at + 8 * (size_t)i);
}

static uint32_t
entry_block(const struct node *n, uint32_t i)
{
	return get_le32(n->block + n->info.entries_at + 8 * (size_t)i + 4) & 0x0fffffff;
}

static int
damaged(struct search *s, const char *what)
{
	return pl_corrupt(s->err, PLATTER_NO_OFFSET, "index of folder %" PRIu32 ": %s",
			  s->dir->number, what);
}

static int
read_node(struct search *s, unsigned level, uint32_t logical)
{
	struct node *n = &s->node[level];
	uint64_t at;
	int r = ext_dir_block_read(s->fs, s->dir, &s->runs, logical, n->block, &at, s->err);

	if (r < 0)
		return r;
	if (!ext_dir_node_decode(s->fs, n->block, level == 0, &n->info))
		return damaged(s, "a node has another form");
	if (!ext_dir_checksum_matches(s->fs, s->dir, n->block, level == 0))
		return damaged(s, "a node's checksum does not match");
	for (uint32_t i = 2; i < n->info.count; i++)
		if (entry_hash(n, i) < entry_hash(n, i - 1))
			return damaged(s, "hashes are not in order");
	return 0;
}

/* The last entry whose hash is not higher. */
static uint32_t
choose(const struct node *n, uint32_t hash)
{
	uint32_t low = 1, high = n->info.count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (entry_hash(n, mid) > hash)
			high = mid;
		else
			low = mid + 1;
	}
	return low - 1;
}

/* From the root to the node above the leaf for `hash`. */
static int
descend(struct search *s, uint32_t hash)
{
	int r = 0;

	for (unsigned level = 0; level < s->nr_nodes && r == 0; level++) {
		if (level > 0)
			r = read_node(s, level,
				      entry_block(&s->node[level - 1], s->node[level - 1].chosen));
		if (r == 0)
			s->node[level].chosen = choose(&s->node[level], hash);
	}
	return r;
}

/* Go to the next leaf if it goes on with the same hash: 1, else 0. */
static int
next_leaf(struct search *s, uint32_t hash)
{
	unsigned level = s->nr_nodes - 1;
	int r = 0;

	while (s->node[level].chosen + 1 >= s->node[level].info.count) {
		if (level == 0)
			return 0;
		level--;
	}
	s->node[level].chosen++;
	if (entry_hash(&s->node[level], s->node[level].chosen) != (hash | 1))
		return 0;
	while (++level < s->nr_nodes && r == 0) {
		r = read_node(s, level,
			      entry_block(&s->node[level - 1], s->node[level - 1].chosen));
		s->node[level].chosen = 0;
	}
	return r < 0 ? r : 1;
}

static int
visit_leaves(struct search *s, uint32_t hash, struct ext_dir_visitor *v)
{
	const struct node *last = &s->node[s->nr_nodes - 1];
	uint8_t *leaf = s->blocks + (size_t)MAX_LEVELS * s->fs->sb.block_size;
	int r = 1;

	for (unsigned i = 0; i < MAX_SAME_HASH && r > 0 && !v->ended; i++) {
		uint64_t at;

		r = ext_dir_block_read(s->fs, s->dir, &s->runs, entry_block(last, last->chosen),
				       leaf, &at, s->err);
		if (r == 0 && !ext_dir_checksum_matches(s->fs, s->dir, leaf, false))
			r = damaged(s, "a block's checksum does not match");
		if (r == 0)
			r = ext_dir_block_walk(s->fs, s->dir, leaf, s->fs->sb.block_size, at, v,
					       s->err);
		if (r == 0 && !v->ended)
			r = next_leaf(s, hash);
	}
	return r;
}

static int
search(struct search *s, const char *name, size_t n, struct ext_dir_visitor *v)
{
	uint32_t hash;
	int r = ext_map(s->fs, s->dir, &s->runs, s->err);

	for (unsigned i = 0; i < MAX_LEVELS; i++)
		s->node[i].block = s->blocks + (size_t)i * s->fs->sb.block_size;
	if (r == 0)
		r = read_node(s, 0, 0);
	if (r < 0)
		return r;
	if (s->node[0].info.levels >= MAX_LEVELS)
		return damaged(s, "it is too deep");
	s->nr_nodes = s->node[0].info.levels + 1;
	if (!ext_hash_name(&s->fs->sb, s->node[0].info.hash_version, (const uint8_t *)name, n,
			   &hash, NULL))
		return pl_unsupported(s->err, PLATTER_NO_OFFSET,
				      "index of folder %" PRIu32 " has hashes of kind %u",
				      s->dir->number, s->node[0].info.hash_version);
	r = descend(s, hash);
	return r < 0 ? r : visit_leaves(s, hash, v);
}

int
ext_index_walk(const struct ext *fs, const struct ext_inode *dir, const char *name, size_t n,
	       struct ext_dir_visitor *v, struct platter_error *err)
{
	struct search s = { .fs = fs, .dir = dir, .err = err };
	int r;

	v->ended = 0;
	s.blocks = malloc((MAX_LEVELS + 1) * (size_t)fs->sb.block_size);
	if (!s.blocks)
		return pl_no_memory(err);
	r = search(&s, name, n, v);
	free(s.blocks);
	pl_runs_done(&s.runs);
	return v->ended ? v->ended : r;
}
