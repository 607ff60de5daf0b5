/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * f2fs/map.c - where the contents of files are
 *
 * An inode has the addresses of the first blocks, and the numbers of five nodes: two with
 * addresses, two with numbers of such, and one with numbers of those.  In a compressed file
 * a mark in the place of a cluster's first address tells that the blocks which follow hold
 * the cluster compressed.
 */
#include "f2fs.h"

/* Nodes below each of the five: none, one level, two. */
static const unsigned levels[F2FS_NR_NODES] = { 0, 0, 1, 1, 2 };

struct mapper {
	struct f2fs *fs;
	const struct f2fs_inode *inode;
	uint64_t index, end; /* blocks of the file */
	uint64_t budget;     /* nodes that may still be read: as many as there can be */
	struct pl_runs runs;
	struct pl_runs stored; /* of clusters, as they are stored, each at its place in the file */
	const struct pl_decoder *decoder;
	int failed; /* the first error, which hides a part of the file */
	struct platter_error *err;
};

/* Blocks of a file that a node of that level leads to. */
static uint64_t
span_of(const struct f2fs *fs, const struct f2fs_inode *i, unsigned level)
{
	uint64_t span = i->nr_per_node, nr = (fs->volume.block_size - F2FS_NODE_FOOTER) / 4;

	while (level--)
		span *= nr;
	return span;
}

static const uint8_t *
node_numbers(const struct f2fs *fs, const struct f2fs_inode *i)
{
	return i->raw + fs->volume.block_size - F2FS_NODE_FOOTER - 4 * F2FS_NR_NODES;
}

/* Damage hides a part; what ends it all is returned. */
static int
note(struct mapper *m, int r, const struct platter_error *why)
{
	if (r != -EUCLEAN && r != -EIO)
		return r;
	if (!m->failed) {
		m->failed = r;
		if (m->err)
			*m->err = *why;
	}
	return 0;
}

static int
check_address(const struct mapper *m, uint32_t block, struct platter_error *err)
{
	if (f2fs_is_main(m->fs, block))
		return 0;
	return pl_corrupt(err, m->inode->at,
			  "block %" PRIu64 " of F2FS inode %" PRIu32 " is at block %" PRIu32,
			  m->index, m->inode->number, block);
}

/* The blocks of the cluster at m->index, which `nr` addresses tell, the first of them the mark. */
static int
add_cluster(struct mapper *m, const uint8_t *addresses, size_t nr, struct platter_error *err)
{
	unsigned bits = m->fs->block_bits;
	uint64_t start = m->index << bits;
	struct pl_run run = {
		.offset = start,
		.length = (uint64_t)nr << bits,
		.stored = start + (1u << bits),
		.decoder = m->decoder,
		.chunk_length = (uint32_t)nr << bits,
		.kind = PLATTER_DATA,
	};
	size_t k = 1;
	int r = 0;

	for (; k < nr && r == 0; k++) {
		uint32_t block = get_le32(addresses + 4 * k);

		if (block == F2FS_HOLE || block == F2FS_NEW)
			break;
		r = check_address(m, block, err);
		if (r == 0)
			r = pl_runs_add_data(&m->stored, start + (k << bits), 1u << bits,
					     (uint64_t)block << bits, err);
	}
	if (r == 0 && k == 1)
		r = pl_corrupt(err, m->inode->at,
			       "compressed cluster at block %" PRIu64 " of F2FS inode %" PRIu32
			       " has no blocks",
			       m->index, m->inode->number);
	run.stored_length = (uint32_t)(k - 1) << bits;
	return r < 0 ? r : pl_runs_add(&m->runs, &run, err);
}

static int
add_block(struct mapper *m, uint32_t block, struct platter_error *err)
{
	unsigned bits = m->fs->block_bits;
	int r;

	if (block == F2FS_NEW)
		return pl_runs_add_zero(&m->runs, m->index << bits, 1u << bits, err);
	r = check_address(m, block, err);
	return r < 0 ? r
		     : pl_runs_add_data(&m->runs, m->index << bits, 1u << bits,
					(uint64_t)block << bits, err);
}

static int
add_addresses(struct mapper *m, const uint8_t *addresses, size_t nr)
{
	uint32_t cluster = m->inode->compressed ? 1u << m->inode->cluster_bits : 1;

	for (size_t k = 0; k < nr && m->index < m->end;) {
		struct platter_error why = PLATTER_ERROR_INIT;
		uint32_t block = get_le32(addresses + 4 * k);
		uint32_t step = 1;
		int r = 0;

		if (block == F2FS_COMPRESSED && m->decoder && k % cluster == 0) {
			step = cluster;
			r = add_cluster(m, addresses + 4 * k, cluster, &why);
		} else if (block != F2FS_HOLE) {
			r = add_block(m, block, &why);
		}
		r = note(m, r, &why);
		if (r < 0)
			return r;
		k += step;
		m->index += step;
	}
	return 0;
}

static int
add_node(struct mapper *m, uint32_t nid, unsigned level)
{
	uint64_t after = m->index + span_of(m->fs, m->inode, level);
	struct platter_error why = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *b = NULL;
	int r;

	if (m->index >= m->end || !nid) {
		m->index = after;
		return 0;
	}
	if (!m->budget--) {
		after = m->end;
		m->budget = 0;
		r = pl_corrupt(&why, m->inode->at,
			       "F2FS inode %" PRIu32 " has more nodes than there are",
			       m->inode->number);
	} else if (!(b = malloc(m->fs->volume.block_size))) {
		r = pl_no_memory(&why);
	} else {
		r = f2fs_read_node(m->fs, nid, m->inode->number, b, NULL, &why);
	}
	if (r < 0) {
		m->index = after;
		return note(m, r, &why);
	}
	if (!level)
		return add_addresses(m, b, m->inode->nr_per_node);
	for (size_t k = 0; k < (m->fs->volume.block_size - F2FS_NODE_FOOTER) / 4 && r == 0; k++)
		r = add_node(m, get_le32(b + 4 * k), level - 1);
	return r;
}

static int
add_all(struct mapper *m)
{
	const uint8_t *nids = node_numbers(m->fs, m->inode);
	int r = add_addresses(m, m->inode->raw + m->inode->addresses, m->inode->nr_addresses);

	for (size_t k = 0; k < F2FS_NR_NODES && r == 0; k++)
		r = add_node(m, get_le32(nids + 4 * k), levels[k]);
	return r;
}

/* The runs of compressed clusters stand on a disk of what is stored. */
static int
make_file(struct mapper *m, const char *name, struct pl_disk **ret, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *stored = NULL;
	struct pl_disk *disk = m->fs->volume.disk;
	uint64_t size = m->end << m->fs->block_bits;
	int r = 0;

	if (m->stored.nr)
		r = pl_file_new(disk, &m->stored, size, name, &stored, err);
	for (size_t k = 0; k < m->runs.nr; k++)
		if (m->runs.run[k].decoder)
			m->runs.run[k].below = stored;
	return r < 0 ? r : pl_file_new(disk, &m->runs, m->inode->size, name, ret, err);
}

int
f2fs_open_contents(struct f2fs *fs, const struct f2fs_inode *i, bool in_part, const char *name,
		   struct pl_disk **ret, struct platter_error *err)
{
	struct mapper m = {
		.fs = fs,
		.inode = i,
		.budget = (uint64_t)fs->main_segments << F2FS_SEGMENT_BITS,
		.err = err,
	};
	int r = 0;

	if (i->inlined & F2FS_INLINE_DATA) {
		size_t n;
		const uint8_t *p = f2fs_inline(i, &n);

		if (i->size > n)
			return pl_corrupt(err, i->at,
					  "F2FS inode %" PRIu32 ": %" PRIu64
					  " bytes inline, room is %zu",
					  i->number, i->size, n);
		return pl_file_of_bytes(p, (size_t)i->size, name, ret, err);
	}
	if (i->size > INT64_MAX)
		return pl_corrupt(err, i->at, "F2FS inode %" PRIu32 " of %" PRIu64 " bytes",
				  i->number, i->size);
	if (i->compressed)
		r = f2fs_decoder(fs, i, &m.decoder, err);
	/* The last cluster is whole, wherever the file ends. */
	m.end = pl_div_round_up(i->size, fs->volume.block_size);
	if (i->compressed)
		m.end = pl_round_up(m.end, 1u << i->cluster_bits);
	if (r == 0)
		r = add_all(&m);
	if (r == 0 && (!m.failed || in_part))
		r = make_file(&m, name, ret, err);
	pl_runs_done(&m.runs);
	pl_runs_done(&m.stored);
	return r < 0 ? r : m.failed;
}

int
f2fs_map_block(struct f2fs *fs, const struct f2fs_inode *i, uint64_t index, uint32_t *ret,
	       struct platter_error *err)
{
	PL_AUTOFREE uint8_t *b = NULL;
	const uint8_t *nids = node_numbers(fs, i);
	unsigned k = 0, level;
	uint32_t nid;
	int r;

	*ret = F2FS_HOLE;
	if (index < i->nr_addresses) {
		*ret = get_le32(i->raw + i->addresses + 4 * index);
		return 0;
	}
	index -= i->nr_addresses;
	for (; k < F2FS_NR_NODES && index >= span_of(fs, i, levels[k]); k++)
		index -= span_of(fs, i, levels[k]);
	if (k == F2FS_NR_NODES)
		return 0;
	level = levels[k];
	nid = get_le32(nids + 4 * k);
	b = malloc(fs->volume.block_size);
	if (!b)
		return pl_no_memory(err);
	while (nid) {
		r = f2fs_read_node(fs, nid, i->number, b, NULL, err);
		if (r < 0)
			return r;
		if (!level) {
			*ret = get_le32(b + 4 * index);
			return 0;
		}
		level--;
		nid = get_le32(b + 4 * (index / span_of(fs, i, level)));
		index %= span_of(fs, i, level);
	}
	return 0;
}
