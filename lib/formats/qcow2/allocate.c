/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * allocate.c - free clusters, and the order in which tables reach the file
 *
 * At any moment, what the file holds must count each cluster at least as often as
 * its tables name it.  So counts go up in the file before a table names the cluster,
 * and down after no table does; between the two lies a flush of the file, since power
 * cuts reorder writes.  A crash then costs leaked clusters at worst.
 *
 *	new refcount blocks
 *	-- flush --
 *	refcount table, refcounts that went up, new L2 tables; data is there already
 *	-- flush --
 *	L2 tables in use, L1
 *	-- flush, only if clusters were given up --
 *	refcounts that go down
 */
#include "image.h"

#define ENTRIES_PER_SECTOR 64

/* Make the file hold all clusters before `end_cluster`: tables are looked for inside of it. */
static int
make_room(struct qcow2 *q, uint64_t end_cluster, struct platter_error *err)
{
	uint64_t end;

	if (end_cluster > QCOW2_MAX_FILE_SIZE >> q->header.cluster_bits)
		return pl_fail(err, -EFBIG, "'%s' has reached the largest size of its format",
			       q->file->name);
	if (!q->file->growable && end_cluster > q->file->size >> q->header.cluster_bits)
		return pl_fail(err, -ENOSPC, "'%s' has no room for more data (%" PRIu64 " bytes)",
			       q->file->name, q->file->size);
	end = end_cluster << q->header.cluster_bits;
	return end > q->file->size ? pl_resize(q->file, end, err) : 0;
}

/*
 * Refcounts that are wrong may call a cluster free that holds the header or a table:
 * handing it out would destroy the image.
 */
static int
check_free(const struct qcow2 *q, uint64_t first, uint64_t nr, struct platter_error *err)
{
	uint64_t start = first << q->header.cluster_bits,
		 end = start + (nr << q->header.cluster_bits);
	uint64_t table = q->header.refcount_table_offset;

	if (start && (end <= table || start >= table + q->nr_refcount_table * 8) &&
	    (end <= q->l1_offset || start >= q->l1_offset + (uint64_t)q->header.l1_size * 8))
		return 0;
	(void)pl_corrupt(err, start, "a cluster that is in use has refcount 0");
	pl_hint(err, "repair the image with `platter repair` first");
	return -EUCLEAN;
}

static void
set_refcount_table(struct qcow2 *q, size_t index, uint64_t offset)
{
	q->refcount_table[index] = offset;
	q->refcount_table_dirty[index / ENTRIES_PER_SECTOR] = true;
	q->refcount_table_changed = true;
}

/* A refcount block for the region of cluster `at`, which is free: the block takes it. */
static int
add_block(struct qcow2 *q, size_t index, uint64_t at, struct platter_error *err)
{
	uint64_t mask = (1ull << qcow2_refcount_bits(q)) - 1;
	struct qcow2_table *block;
	int r = check_free(q, at, 1, err);

	if (r == 0)
		r = make_room(q, at + 1, err);
	if (r == 0)
		r = pl_qcow2_table_new(q, at << q->header.cluster_bits, QCOW2_TABLE_REFCOUNTS,
				       &block, err);
	if (r < 0)
		return r;
	pl_qcow2_refcount_encode(block->bytes, at & mask, q->header.refcount_order, 1);
	pl_qcow2_table_put(q, block);
	set_refcount_table(q, index, at << q->header.cluster_bits);
	return 0;
}

/* New arrays for a refcount table of nr entries, with those that there are. */
static int
widen_refcount_table(const struct qcow2 *q, size_t nr, uint64_t **ret, bool **ret_dirty,
		     struct platter_error *err)
{
	uint64_t *table = calloc(nr + 1, sizeof *table);
	bool *dirty = calloc(nr / ENTRIES_PER_SECTOR + 1, sizeof *dirty);

	if (!table || !dirty) {
		free(table);
		free(dirty);
		return pl_no_memory(err);
	}
	memcpy(table, q->refcount_table, q->nr_refcount_table * sizeof *table);
	*ret = table;
	*ret_dirty = dirty;
	return 0;
}

/* Blocks for clusters [start, start + tables + blocks), which they and the table take. */
static int
write_new_blocks(struct qcow2 *q, uint64_t *table, uint64_t start, uint64_t tables, uint64_t blocks,
		 struct platter_error *err)
{
	uint64_t per_block = 1ull << qcow2_refcount_bits(q), used = tables + blocks;

	for (uint64_t i = 0; i < blocks; i++) {
		uint64_t offset = (start + tables + i) << q->header.cluster_bits;
		struct qcow2_table *block;
		int r = pl_qcow2_table_new(q, offset, QCOW2_TABLE_REFCOUNTS, &block, err);

		if (r < 0)
			return r;
		for (uint64_t k = 0; k < PL_MIN(used, per_block); k++)
			pl_qcow2_refcount_encode(block->bytes, k, q->header.refcount_order, 1);
		used -= PL_MIN(used, per_block);
		pl_qcow2_table_put(q, block);
		table[q->nr_refcount_table + i] = offset;
	}
	return pl_qcow2_tables_write(q, QCOW2_TABLE_REFCOUNTS, false, err);
}

static int
write_refcount_table(struct qcow2 *q, const uint64_t *table, uint64_t start, uint64_t clusters,
		     struct platter_error *err)
{
	size_t bytes = (size_t)(clusters << q->header.cluster_bits);
	PL_AUTOFREE uint8_t *raw = malloc(bytes);
	uint8_t field[12];
	int r;

	if (!raw)
		return pl_no_memory(err);
	for (size_t i = 0; i < bytes / 8; i++)
		put_be64(raw + i * 8, table[i]);
	r = pl_write(q->file, raw, bytes, start << q->header.cluster_bits, err);
	if (r == 0)
		r = pl_flush(q->file, err);
	if (r < 0)
		return r;
	/* Both fields in one sector: the switch is whole or did not happen. */
	put_be64(field, start << q->header.cluster_bits);
	put_be32(field + 8, (uint32_t)clusters);
	r = pl_write(q->file, field, sizeof field, QCOW2_REFCOUNT_TABLE_OFFSET, err);
	return r == 0 ? pl_flush(q->file, err) : r;
}

/*
 * The file outgrew its refcount table: a longer one, with blocks that count it and
 * themselves, goes where the old one ends to count.
 */
static int
grow_refcount_table(struct qcow2 *q, struct platter_error *err)
{
	uint32_t bits = q->header.cluster_bits;
	uint64_t per_block = 1ull << qcow2_refcount_bits(q);
	uint64_t start = (uint64_t)q->nr_refcount_table << qcow2_refcount_bits(q);
	uint64_t clusters =
		q->header.refcount_table_clusters + q->header.refcount_table_clusters / 2 + 1;
	uint64_t blocks = 1, old = q->header.refcount_table_offset;
	size_t old_bytes = q->nr_refcount_table * 8;
	uint64_t *table = NULL;
	bool *dirty = NULL;
	int r;

	clusters = PL_MIN(clusters, QCOW2_MAX_REFCOUNT_TABLE_BYTES >> bits);
	if (clusters <= q->header.refcount_table_clusters)
		return pl_fail(err, -EFBIG, "'%s' has reached the largest size of its format",
			       q->file->name);
	while (blocks * per_block < clusters + blocks)
		blocks++;
	r = pl_qcow2_commit(q, err);
	if (r < 0 || q->free_hint < start) /* what was given up will do */
		return r;
	r = pl_qcow2_reserve_unused(q, old_bytes >> bits, err);
	if (r == 0)
		r = make_room(q, start + clusters + blocks, err);
	if (r == 0)
		r = widen_refcount_table(q, (size_t)(clusters << bits) / 8, &table, &dirty, err);
	if (r < 0)
		return r;
	r = write_new_blocks(q, table, start, clusters, blocks, err);
	if (r == 0)
		r = write_refcount_table(q, table, start, clusters, err);
	if (r < 0) {
		for (uint64_t i = 0; i < blocks; i++)
			pl_qcow2_table_forget(q, (start + clusters + i) << bits);
		free(table);
		free(dirty);
		return r;
	}
	free(q->refcount_table);
	free(q->refcount_table_dirty);
	q->refcount_table = table;
	q->refcount_table_dirty = dirty;
	q->nr_refcount_table = (size_t)(clusters << bits) / 8;
	q->header.refcount_table_offset = start << bits;
	q->header.refcount_table_clusters = (uint32_t)clusters;
	q->free_hint = start + clusters + blocks;
	pl_qcow2_unuse(q, old, old_bytes);
	return 0;
}

/* Take up to `want` free clusters in a row from a block, from `from` on; *ret_nr 0: none. */
static int
take_from_block(struct qcow2 *q, uint64_t block_offset, uint64_t from, uint64_t want,
		uint64_t *ret_first, uint64_t *ret_nr, struct platter_error *err)
{
	uint32_t order = q->header.refcount_order;
	uint64_t per_block = 1ull << qcow2_refcount_bits(q), base = from & ~(per_block - 1);
	uint64_t i = from - base, nr = 0, bit = 1ull << order;
	struct qcow2_table *block;
	int r = pl_qcow2_table_get(q, block_offset, &block, err);

	if (r < 0)
		return r;
	while (i < per_block && pl_qcow2_refcount_decode(block->bytes, i, order))
		i++;
	while (nr < want && i + nr < per_block &&
	       !pl_qcow2_refcount_decode(block->bytes, i + nr, order))
		nr++;
	if (nr) {
		r = check_free(q, base + i, nr, err);
		if (r == 0)
			r = make_room(q, base + i + nr, err);
	}
	for (uint64_t k = 0; r == 0 && k < nr; k++)
		pl_qcow2_refcount_encode(block->bytes, i + k, order, 1);
	if (r == 0 && nr)
		pl_qcow2_table_dirty(q, block, QCOW2_TABLE_REFCOUNTS, (size_t)(i * bit / 8),
				     (size_t)(((i + nr) * bit + 7) / 8));
	pl_qcow2_table_put(q, block);
	*ret_first = base + i;
	*ret_nr = nr;
	return r;
}

int
pl_qcow2_allocate(struct qcow2 *q, uint64_t want, uint64_t *ret_offset, uint64_t *ret_nr,
		  struct platter_error *err)
{
	uint32_t rb = qcow2_refcount_bits(q);

	for (;;) {
		size_t index = (size_t)(q->free_hint >> rb);
		uint64_t block, first, nr;
		int r;

		if (index >= q->nr_refcount_table) {
			r = grow_refcount_table(q, err);
			if (r < 0)
				return r;
			continue;
		}
		r = pl_qcow2_refcount_block(q, index, &block, err);
		if (r < 0)
			return r;
		if (!block) {
			r = add_block(q, index, q->free_hint, err);
			if (r < 0)
				return r;
			q->free_hint++;
			continue;
		}
		r = take_from_block(q, block, q->free_hint, want, &first, &nr, err);
		if (r < 0)
			return r;
		q->free_hint = first + nr;
		if (nr) {
			/* The cluster may have been a table once. */
			for (uint64_t i = 0; i < nr; i++)
				pl_qcow2_table_forget(q, (first + i) << q->header.cluster_bits);
			*ret_offset = first << q->header.cluster_bits;
			*ret_nr = nr;
			return 0;
		}
	}
}

int
pl_qcow2_reserve_unused(struct qcow2 *q, size_t n, struct platter_error *err)
{
	size_t capacity = q->unused_capacity;
	uint64_t *bigger;

	if (n <= capacity - q->nr_unused)
		return 0;
	capacity = PL_MAX(capacity * 2, q->nr_unused + n + 256);
	bigger = pl_realloc_array(q->unused, capacity, sizeof *bigger);
	if (!bigger)
		return pl_no_memory(err);
	q->unused = bigger;
	q->unused_capacity = capacity;
	return 0;
}

void
pl_qcow2_unuse(struct qcow2 *q, uint64_t offset, uint64_t n)
{
	uint64_t last = (offset + n - 1) >> q->header.cluster_bits;

	for (uint64_t c = offset >> q->header.cluster_bits; n && c <= last; c++)
		q->unused[q->nr_unused++] = c;
}

static int
compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Count one cluster down; *ret_free: it is used by nothing now. */
static int
count_down(struct qcow2 *q, uint64_t cluster, bool *ret_free, struct platter_error *err)
{
	uint32_t rb = qcow2_refcount_bits(q), order = q->header.refcount_order;
	uint64_t index = cluster & ((1ull << rb) - 1), offset, value = 0;
	struct qcow2_table *block = NULL;
	int r = pl_qcow2_refcount_block(q, (size_t)(cluster >> rb), &offset, err);

	if (r == 0 && offset)
		r = pl_qcow2_table_get(q, offset, &block, err);
	if (r < 0)
		return r;
	if (block)
		value = pl_qcow2_refcount_decode(block->bytes, index, order);
	if (value) {
		pl_qcow2_refcount_encode(block->bytes, index, order, value - 1);
		pl_qcow2_table_dirty(q, block, QCOW2_TABLE_REFCOUNTS,
				     (size_t)((index << order) / 8),
				     (size_t)((((index + 1) << order) + 7) / 8));
	}
	if (block)
		pl_qcow2_table_put(q, block);
	*ret_free = value == 1;
	return 0;
}

/* No table in the file names these clusters any more: count them down. */
static int
count_unused_down(struct qcow2 *q, struct platter_error *err)
{
	uint64_t first = 0, nr = 0;
	size_t done = 0;
	int r = 0;

	qsort(q->unused, q->nr_unused, sizeof *q->unused, compare_u64);
	for (; r == 0 && done < q->nr_unused; done++) {
		uint64_t cluster = q->unused[done];
		bool is_free = false;

		r = count_down(q, cluster, &is_free, err);
		if (r < 0)
			break;
		if (!is_free)
			continue;
		q->free_hint = PL_MIN(q->free_hint, cluster);
		if (first + nr != cluster) {
			/* What is free need not be stored; that it stays stored hurts nobody. */
			if (nr)
				(void)pl_discard(q->file, first << q->header.cluster_bits,
						 nr << q->header.cluster_bits, NULL);
			first = cluster;
			nr = 0;
		}
		nr++;
	}
	if (nr && (first + nr) << q->header.cluster_bits <= q->file->size)
		(void)pl_discard(q->file, first << q->header.cluster_bits,
				 nr << q->header.cluster_bits, NULL);
	memmove(q->unused, q->unused + done, (q->nr_unused - done) * sizeof *q->unused);
	q->nr_unused -= done;
	return r;
}

/* Write the sectors of a table of u64 that are dirty. */
static int
write_sectors(struct qcow2 *q, const uint64_t *table, size_t nr, uint64_t offset, bool *dirty,
	      struct platter_error *err)
{
	for (size_t s = 0; s * ENTRIES_PER_SECTOR < nr; s++) {
		size_t first = s * ENTRIES_PER_SECTOR,
		       n = PL_MIN((size_t)ENTRIES_PER_SECTOR, nr - first);
		uint8_t raw[ENTRIES_PER_SECTOR * 8];
		int r;

		if (!dirty[s])
			continue;
		for (size_t i = 0; i < n; i++)
			put_be64(raw + i * 8, table[first + i]);
		r = pl_write(q->file, raw, n * 8, offset + first * 8, err);
		if (r < 0)
			return r;
		dirty[s] = false;
	}
	return 0;
}

static bool
any_fresh(const struct qcow2_table *list)
{
	while (list && !list->fresh)
		list = list->next_dirty;
	return list;
}

/* Everything that may be in the file before any table names it. */
static int
write_unnamed(struct qcow2 *q, struct platter_error *err)
{
	int r = 0;

	if (any_fresh(q->tables.dirty[QCOW2_TABLE_REFCOUNTS])) {
		r = pl_qcow2_tables_write(q, QCOW2_TABLE_REFCOUNTS, true, err);
		if (r == 0)
			r = pl_flush(q->file, err);
	}
	if (r == 0)
		r = pl_qcow2_tables_write(q, QCOW2_TABLE_REFCOUNTS, false, err);
	if (r == 0 && q->refcount_table_changed) {
		r = write_sectors(q, q->refcount_table, q->nr_refcount_table,
				  q->header.refcount_table_offset, q->refcount_table_dirty, err);
		if (r == 0)
			q->refcount_table_changed = false;
	}
	if (r == 0)
		r = pl_qcow2_tables_write(q, QCOW2_TABLE_L2, true, err);
	return r;
}

static int
write_named(struct qcow2 *q, struct platter_error *err)
{
	int r;

	if (!q->tables.dirty[QCOW2_TABLE_L2] && !q->l1_changed)
		return 0;
	r = pl_flush(q->file, err);
	if (r == 0 && q->external)
		r = pl_flush(q->data, err);
	if (r == 0)
		r = pl_qcow2_tables_write(q, QCOW2_TABLE_L2, false, err);
	if (r == 0 && q->l1_changed) {
		r = write_sectors(q, q->l1, q->nr_l1, q->l1_offset, q->l1_dirty, err);
		if (r == 0)
			q->l1_changed = false;
	}
	return r;
}

int
pl_qcow2_commit(struct qcow2 *q, struct platter_error *err)
{
	int r = write_unnamed(q, err);

	if (r == 0)
		r = write_named(q, err);
	if (r < 0 || !q->nr_unused)
		return r;
	r = pl_flush(q->file, err);
	if (r == 0)
		r = count_unused_down(q, err);
	return r == 0 ? pl_qcow2_tables_write(q, QCOW2_TABLE_REFCOUNTS, false, err) : r;
}
