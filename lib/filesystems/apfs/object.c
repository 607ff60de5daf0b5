/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * apfs/object.c - objects and their checksums; the cache of B-tree nodes
 *
 *	offset  size  header of an object (obj_phys_t)
 *	     0     8  checksum
 *	     8     8  its number
 *	    16     8  transaction that wrote it
 *	    24     4  type; bits 30, 31: physical, ephemeral; neither: virtual
 *	    28     4  subtype: of a tree what it holds
 *
 *	offset  size  node of a B-tree, behind the header (btree_node_phys_t)
 *	    32     2  flags: 1 root, 2 leaf, 4 keys and values of fixed size, 8 hashed,
 *	              16 without a header
 *	    34     2  level; 0: leaf
 *	    36     4  records
 *	    40     2  table of contents: offset behind byte 56,
 *	    42     2  and length; keys follow it
 *	    56        table: where keys begin, counted from the first, and values, counted back
 *	              from the end, each with a length unless those are fixed
 *
 * A root node ends with 40 bytes (btree_info_t) that describe the tree; values end there.
 */
#include <openssl/evp.h>

#include "apfs.h"

enum {
	NODE_FLAGS = 32,
	NODE_LEVEL = 34,
	NODE_RECORDS = 36,
	NODE_TABLE = 40,
	NODE_TABLE_LENGTH = 42,
	NODE_DATA = 56,
	NODE_INFO = 40
};
enum {
	NODE_ROOT = 1,
	NODE_LEAF = 2,
	NODE_FIXED = 4
};

#define NR_WAYS     4
#define CACHE_BYTES MIB(16) /* the nodes of a million files, as a system has them */

struct slot {
	struct apfs_node *node;
	uint64_t oid;
	uint32_t tree;
	unsigned used; /* the set's clock when it was last wanted */
};
struct set {
	pthread_mutex_t lock; /* guards what follows */
	unsigned clock;
	struct slot way[NR_WAYS];
};
struct apfs_cache {
	size_t nr_sets; /* a power of two */
	struct set set[];
};

/*
 * Two sums modulo 2^32 - 1, the second of the first's values.  Up to 64 KiB the sums fit 64
 * bits: 2^14 words of 2^32 are 2^46, and 2^14 of those are 2^60.
 */
bool
pl_apfs_checksum_matches(const uint8_t *object, size_t size)
{
	const uint64_t modulus = UINT32_MAX;
	uint64_t a = 0, b = 0, check_a, check_b;

	for (size_t i = 8, end; i < size; i = end) {
		end = PL_MIN(size, i + KIB(32));
		for (size_t k = i; k < end; k += 4) {
			a += get_le32(object + k);
			b += a;
		}
		a %= modulus;
		b %= modulus;
	}
	/* The stored words are such that both sums over the whole object come out as zero. */
	check_a = modulus - (a + b) % modulus;
	check_b = modulus - (a + check_a) % modulus;
	return get_le64(object) == (check_b << 32 | check_a);
}

int
pl_apfs_locate(struct apfs *fs, uint64_t block, uint64_t nr_blocks, const char *what,
	       uint64_t *ret_at, struct platter_error *err)
{
	/* The second device of a Fusion drive begins at byte 2^62. */
	if (fs->fusion && block >= (UINT64_C(1) << 62) / fs->block_size)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "%s is on the other device of a Fusion drive", what);
	if (!pl_in_range(block, nr_blocks, fs->nr_blocks))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "%s at block %" PRIu64 " of a container of %" PRIu64 " blocks",
				  what, block, fs->nr_blocks);
	*ret_at = block * fs->block_size;
	return 0;
}

int
pl_apfs_read_object(struct apfs *fs, uint64_t block, size_t size, enum object_type type,
		    const char *what, uint8_t *buf, struct platter_error *err)
{
	uint64_t at;
	int r = pl_apfs_locate(fs, block, pl_div_round_up(size, fs->block_size), what, &at, err);

	if (r == 0)
		r = pl_meta_read(fs->volume.meta, buf, size, at, err);
	if (r < 0)
		return r;
	if (!fs->volume.ignore_checksums && !pl_apfs_checksum_matches(buf, size))
		return pl_corrupt(err, at, "checksum of %s at block %" PRIu64 " does not match",
				  what, block);
	if (type != TYPE_ANY && (get_le32(buf + OBJ_TYPE) & TYPE_MASK) != type)
		return pl_corrupt(err, at + OBJ_TYPE,
				  "%s at block %" PRIu64 " has type %" PRIu32 ", not %d", what,
				  block, get_le32(buf + OBJ_TYPE) & TYPE_MASK, (int)type);
	return 0;
}

int
pl_apfs_cache_new(struct apfs *fs, struct platter_error *err)
{
	size_t nr = PL_MAX(16, CACHE_BYTES / fs->block_size / NR_WAYS);
	struct apfs_cache *c = calloc(1, sizeof *c + nr * sizeof c->set[0]);

	if (!c)
		return pl_no_memory(err);
	c->nr_sets = nr;
	for (size_t i = 0; i < nr; i++)
		pthread_mutex_init(&c->set[i].lock, NULL);
	fs->cache = c;
	return 0;
}

void
pl_apfs_cache_free(struct apfs *fs)
{
	struct apfs_cache *c = fs->cache;

	for (size_t i = 0; c && i < c->nr_sets; i++) {
		for (size_t k = 0; k < NR_WAYS; k++)
			pl_apfs_node_unref(c->set[i].way[k].node);
		pthread_mutex_destroy(&c->set[i].lock);
	}
	free(c);
	fs->cache = NULL;
}

void
pl_apfs_node_unref(struct apfs_node *node)
{
	if (node && atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) == 1)
		free(node);
}

static struct set *
set_of(struct apfs_cache *c, uint32_t tree, uint64_t oid)
{
	return &c->set[((oid + ((uint64_t)tree << 40)) * 0x9e3779b97f4a7c15u >> 32) &
		       (c->nr_sets - 1)];
}

static struct apfs_node *
find_kept(struct apfs_cache *c, uint32_t tree, uint64_t oid)
{
	struct set *s = set_of(c, tree, oid);
	struct apfs_node *found = NULL;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < NR_WAYS && !found; i++) {
		struct slot *w = &s->way[i];

		if (w->node && w->oid == oid && w->tree == tree) {
			found = w->node;
			atomic_fetch_add_explicit(&found->refs, 1, memory_order_relaxed);
			w->used = ++s->clock;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return found;
}

/* Keep a node, with a reference of the cache's own, in place of the one not wanted for longest. */
static void
keep(struct apfs_cache *c, uint32_t tree, uint64_t oid, struct apfs_node *node)
{
	struct set *s = set_of(c, tree, oid);
	struct slot *oldest = &s->way[0];

	atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < NR_WAYS; i++) {
		struct slot *w = &s->way[i];

		/* Another thread was faster. */
		if (w->node && w->oid == oid && w->tree == tree) {
			oldest = w;
			break;
		}
		if (!w->node || (oldest->node && s->clock - w->used > s->clock - oldest->used))
			oldest = w;
	}
	pl_apfs_node_unref(oldest->node);
	*oldest = (struct slot){ node, oid, tree, ++s->clock };
	pthread_mutex_unlock(&s->lock);
}

/* Where the parts of a node are. */
static int
parse_node(struct apfs_node *n, uint64_t at, struct platter_error *err)
{
	uint32_t length = get_le16(n->bytes + NODE_TABLE_LENGTH);

	n->flags = get_le16(n->bytes + NODE_FLAGS);
	n->level = get_le16(n->bytes + NODE_LEVEL);
	n->nr = get_le32(n->bytes + NODE_RECORDS);
	n->table = NODE_DATA + get_le16(n->bytes + NODE_TABLE);
	n->keys = n->table + length;
	n->end = n->size - (n->flags & NODE_ROOT ? NODE_INFO : 0);
	if (n->keys > n->end)
		return pl_corrupt(err, at + NODE_TABLE,
				  "B-tree node's table of %" PRIu32 " bytes ends past its %" PRIu32,
				  length, n->end);
	if (n->nr > length / (n->flags & NODE_FIXED ? 4 : 8))
		return pl_corrupt(err, at + NODE_RECORDS,
				  "B-tree node of %" PRIu32 " records in a table of %" PRIu32
				  " bytes",
				  n->nr, length);
	if (n->level >= APFS_MAX_LEVELS || !n->level != !!(n->flags & NODE_LEAF))
		return pl_corrupt(err, at + NODE_LEVEL, "B-tree node of level %u with flags 0x%x",
				  n->level, n->flags);
	return 0;
}

static int
check_hash(const struct apfs_node *n, uint64_t at, const uint8_t *hash, struct platter_error *err)
{
	uint8_t computed[EVP_MAX_MD_SIZE];
	unsigned length = 0;

	if (!EVP_Digest(n->bytes, n->size, computed, &length, EVP_sha256(), NULL) || length != 32)
		return pl_fail(err, -EIO, "SHA-256 cannot be computed");
	if (memcmp(computed, hash, 32))
		return pl_corrupt(err, at, "SHA-256 of sealed B-tree node does not match");
	return 0;
}

static int
read_node(struct apfs *fs, const struct apfs_tree *tree, uint64_t oid, const uint8_t *hash,
	  struct apfs_node *n, struct platter_error *err)
{
	uint64_t at;
	int r;

	if (!tree->sealed) {
		uint32_t type;

		r = pl_apfs_read_object(fs, n->block, n->size, TYPE_ANY, "B-tree node", n->bytes,
					err);
		if (r < 0)
			return r;
		at = n->block * fs->block_size;
		type = get_le32(n->bytes + OBJ_TYPE) & TYPE_MASK;
		if (fs->volume.ignore_checksums)
			return parse_node(n, at, err);
		if (type != TYPE_BTREE && type != TYPE_BTREE_NODE)
			return pl_corrupt(err, at + OBJ_TYPE,
					  "B-tree node at block %" PRIu64 " has type %" PRIu32,
					  n->block, type);
		if (get_le64(n->bytes + OBJ_OID) != oid)
			return pl_corrupt(err, at + OBJ_OID,
					  "B-tree node at block %" PRIu64 " is object %" PRIu64
					  ", not %" PRIu64,
					  n->block, get_le64(n->bytes + OBJ_OID), oid);
		return parse_node(n, at, err);
	}
	r = pl_apfs_locate(fs, n->block, n->size / fs->block_size, "B-tree node", &at, err);
	if (r == 0)
		r = pl_meta_read(fs->volume.meta, n->bytes, n->size, at, err);
	if (r == 0 && hash && !fs->volume.ignore_checksums)
		r = check_hash(n, at, hash, err);
	return r < 0 ? r : parse_node(n, at, err);
}

int
pl_apfs_node_get(struct apfs *fs, const struct apfs_tree *tree, uint64_t oid, const uint8_t *hash,
		 struct apfs_node **ret, struct platter_error *err)
{
	struct apfs_node *n = find_kept(fs->cache, tree->id, oid);
	struct apfs_mapping m = { .block = oid, .size = fs->block_size };
	int r;

	if (n) {
		*ret = n;
		return 0;
	}
	if (tree->omap) {
		r = pl_apfs_omap_find(fs, tree->omap, oid, tree->xid, &m, err);
		if (r < 0)
			return r;
		if (m.flags & MAPPING_ENCRYPTED)
			return pl_unsupported(err, PLATTER_NO_OFFSET,
					      "B-tree node %" PRIu64 " is encrypted", oid);
		if (!m.size || m.size > APFS_MAX_BLOCK || m.size % fs->block_size)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "B-tree node %" PRIu64 " of %" PRIu32
					  " bytes, blocks have %" PRIu32,
					  oid, m.size, fs->block_size);
	}
	n = malloc(sizeof *n + m.size);
	if (!n)
		return pl_no_memory(err);
	atomic_init(&n->refs, 1);
	n->block = m.block;
	n->size = m.size;
	r = read_node(fs, tree, oid, hash, n, err);
	if (r < 0) {
		pl_apfs_node_unref(n);
		return r;
	}
	keep(fs->cache, tree->id, oid, n);
	*ret = n;
	return 0;
}
