/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * shadow.c - a change of many tables that takes effect at once
 *
 * The header's first sector names the L1 table, the refcount table and the snapshot table.
 * So whoever writes new ones beside the old, counts everything in new refcount blocks, and
 * then writes that sector, changes all in one step: before it the new tables are bytes that
 * nothing counts, after it the old ones are.  Only blocks whose counts change are written
 * anew.
 *
 * What is handed out lies past everything that was in use before, so nothing of the old
 * state is overwritten, whatever is counted down meanwhile.
 */
#include "image.h"

static uint64_t
max_users(const struct qcow2 *q)
{
	return q->header.refcount_order == 6 ? UINT64_MAX
					     : (1ull << (1u << q->header.refcount_order)) - 1;
}

/* The cluster after the last one that is counted. */
static int
end_of_counted(struct qcow2 *q, uint64_t *ret, struct platter_error *err)
{
	uint64_t per_block = 1ull << qcow2_refcount_bits(q);

	for (size_t i = q->nr_refcount_table; i-- > 0;) {
		struct qcow2_table *block;
		uint64_t offset, n;
		int r = pl_qcow2_refcount_block(q, i, &offset, err);

		if (r < 0)
			return r;
		if (!offset)
			continue;
		r = pl_qcow2_table_get(q, offset, &block, err);
		if (r < 0)
			return r;
		n = pl_is_zero(block->bytes, q->cluster_size) ? 0 : per_block;
		while (n &&
		       !pl_qcow2_refcount_decode(block->bytes, n - 1, q->header.refcount_order))
			n--;
		pl_qcow2_table_put(q, block);
		if (n) {
			*ret = i * per_block + n;
			return 0;
		}
	}
	*ret = 1;
	return 0;
}

/* Room for a refcount table of nr entries. */
static int
reserve(struct qcow2_shadow *s, uint64_t nr, struct platter_error *err)
{
	uint64_t limit = PL_MAX(QCOW2_MAX_REFCOUNT_TABLE_BYTES, s->q->cluster_size) / 8;
	size_t capacity;
	uint64_t *table;
	bool *ours;

	if (nr <= s->capacity)
		return 0;
	if (nr > limit)
		return pl_fail(err, -EFBIG, "'%s' has reached the largest size of its format",
			       s->q->file->name);
	capacity = (size_t)PL_MIN(limit, PL_MAX(nr, (uint64_t)s->capacity * 2));
	table = pl_realloc_array(s->table, capacity, sizeof *table);
	if (table)
		s->table = table;
	ours = table ? pl_realloc_array(s->ours, capacity, sizeof *ours) : NULL;
	if (!ours)
		return pl_no_memory(err);
	s->ours = ours;
	memset(table + s->capacity, 0, (capacity - s->capacity) * sizeof *table);
	memset(ours + s->capacity, 0, (capacity - s->capacity) * sizeof *ours);
	s->capacity = capacity;
	return 0;
}

int
pl_qcow2_shadow_begin(struct qcow2_shadow *s, struct qcow2 *q, uint64_t first,
		      struct platter_error *err)
{
	uint64_t file_end = pl_div_round_up(q->file->size, q->cluster_size);
	int r = 0;

	*s = (struct qcow2_shadow){
		.q = q,
		.header = q->header,
		.empty = first,
		.next = first,
		.old_size = q->file->size,
	};
	if (!first) {
		r = pl_qcow2_refcounts_load(q, err);
		if (r == 0)
			r = end_of_counted(q, &s->next, err);
		if (r == 0 && q->file->growable)
			s->next = PL_MAX(s->next, file_end);
	}
	if (r < 0)
		return r;
	r = reserve(s, PL_MAX(q->nr_refcount_table, 1), err);
	if (r < 0) {
		pl_qcow2_shadow_abandon(s);
		return r;
	}
	if (!first && q->nr_refcount_table)
		memcpy(s->table, q->refcount_table, q->nr_refcount_table * sizeof *s->table);
	return 0;
}

static void
done(struct qcow2_shadow *s)
{
	free(s->l1);
	free(s->table);
	free(s->ours);
	free(s->pending);
	s->l1 = s->table = NULL;
	s->ours = NULL;
	s->pending = NULL;
}

void
pl_qcow2_shadow_abandon(struct qcow2_shadow *s)
{
	struct qcow2 *q = s->q;

	/* Nothing was dirty before: whatever is belongs to tables that will not be. */
	for (size_t kind = 0; kind < ARRAY_SIZE(q->tables.dirty); kind++)
		while (q->tables.dirty[kind])
			pl_qcow2_table_forget(q, q->tables.dirty[kind]->offset);
	if (q->file->growable && q->file->size > s->old_size)
		(void)pl_resize(q->file, s->old_size, NULL);
	done(s);
}

/* Hand out clusters; they are not counted yet. */
static int
take(struct qcow2_shadow *s, uint64_t nr, uint64_t *ret_cluster, struct platter_error *err)
{
	const struct qcow2 *q = s->q;
	uint64_t end;

	if (__builtin_add_overflow(s->next, nr, &end) ||
	    end > QCOW2_MAX_FILE_SIZE >> q->header.cluster_bits)
		return pl_fail(err, -EFBIG, "'%s' has reached the largest size of its format",
			       q->file->name);
	if (!q->file->growable && end > q->file->size >> q->header.cluster_bits)
		return pl_fail(err, -ENOSPC,
			       "'%s' has no room for the new tables (%" PRIu64 " bytes)",
			       q->file->name, q->file->size);
	*ret_cluster = s->next;
	s->next = end;
	return 0;
}

static int
remember(struct qcow2_shadow *s, uint64_t cluster, bool up, struct platter_error *err)
{
	if (s->nr_pending == s->pending_capacity) {
		size_t capacity = s->pending_capacity * 2 + 64;
		struct qcow2_count *more =
			pl_realloc_array(s->pending, capacity, sizeof *s->pending);

		if (!more)
			return pl_no_memory(err);
		s->pending = more;
		s->pending_capacity = capacity;
	}
	s->pending[s->nr_pending++] = (struct qcow2_count){ cluster, up };
	return 0;
}

/* The block that counts clusters of region `index` now, to be read; *ret NULL: all are 0. */
static int
old_block(struct qcow2_shadow *s, size_t index, struct qcow2_table **ret, struct platter_error *err)
{
	uint64_t offset = 0;
	int r = s->empty ? 0 : pl_qcow2_refcount_block(s->q, index, &offset, err);

	*ret = NULL;
	if (r < 0 || !offset)
		return r;
	return pl_qcow2_table_get(s->q, offset, ret, err);
}

/* The new block of region `index`, made if it is not there. */
static int
new_block(struct qcow2_shadow *s, size_t index, struct qcow2_table **ret, struct platter_error *err)
{
	struct qcow2 *q = s->q;
	struct qcow2_table *from;
	uint64_t cluster;
	int r;

	if (s->ours[index])
		return pl_qcow2_table_get(q, s->table[index], ret, err);
	r = old_block(s, index, &from, err);
	if (r < 0)
		return r;
	r = take(s, 1, &cluster, err);
	if (r == 0)
		r = remember(s, cluster, true, err);
	if (r == 0 && from)
		r = remember(s, from->offset >> q->header.cluster_bits, false, err);
	if (r == 0)
		r = pl_qcow2_table_new(q, cluster << q->header.cluster_bits, QCOW2_TABLE_REFCOUNTS,
				       ret, err);
	if (r == 0 && from)
		memcpy((*ret)->bytes, from->bytes, q->cluster_size);
	if (from)
		pl_qcow2_table_put(q, from);
	if (r < 0)
		return r;
	s->table[index] = cluster << q->header.cluster_bits;
	s->ours[index] = true;
	return 0;
}

/* New tables may go into the file at any time: nothing there names them yet. */
static int
write_tables(struct qcow2_shadow *s, struct platter_error *err)
{
	int r = pl_qcow2_tables_write(s->q, QCOW2_TABLE_REFCOUNTS, false, err);

	return r == 0 ? pl_qcow2_tables_write(s->q, QCOW2_TABLE_L2, false, err) : r;
}

/* What the counts contradict cannot be changed safely. */
static int
wrong_count(const struct qcow2_shadow *s, uint64_t cluster, struct platter_error *err)
{
	(void)pl_corrupt(err, cluster << s->q->header.cluster_bits,
			 "a cluster that is in use has refcount 0");
	pl_hint(err, "repair the image with `platter repair` first");
	return -EUCLEAN;
}

static int
too_many_users(const struct qcow2_shadow *s, uint64_t cluster, struct platter_error *err)
{
	(void)pl_fail_at(err, -EFBIG, cluster << s->q->header.cluster_bits,
			 "refcounts of %u bits cannot count more than %" PRIu64
			 " users of a cluster",
			 1u << s->q->header.refcount_order, max_users(s->q));
	pl_hint(err, "convert the image with -o refcount_bits=16, or delete a snapshot");
	return -EFBIG;
}

enum how {
	UP,
	DOWN,
	SET,
};

static int
change(struct qcow2_shadow *s, uint64_t cluster, enum how how, uint64_t users,
       struct platter_error *err)
{
	struct qcow2 *q = s->q;
	uint32_t rb = qcow2_refcount_bits(q), order = q->header.refcount_order;
	uint64_t in_block = cluster & ((1ull << rb) - 1), value;
	struct qcow2_table *block;
	int r;

	r = reserve(s, (cluster >> rb) + 1, err);
	if (r == 0)
		r = new_block(s, (size_t)(cluster >> rb), &block, err);
	if (r < 0)
		return r;
	value = pl_qcow2_refcount_decode(block->bytes, in_block, order);
	if (how == DOWN && !value)
		r = wrong_count(s, cluster, err);
	else if ((how == UP && value == max_users(q)) || (how == SET && users > max_users(q)))
		r = too_many_users(s, cluster, err);
	if (r == 0) {
		value = how == UP ? value + 1 : how == DOWN ? value - 1 : users;
		pl_qcow2_refcount_encode(block->bytes, in_block, order, value);
		pl_qcow2_table_dirty(q, block, QCOW2_TABLE_REFCOUNTS,
				     (size_t)((in_block << order) / 8),
				     (size_t)((((in_block + 1) << order) + 7) / 8));
	}
	pl_qcow2_table_put(q, block);
	if (r == 0 && q->tables.nr_dirty * q->cluster_size > QCOW2_MAX_DIRTY_BYTES)
		r = write_tables(s, err);
	return r;
}

int
pl_qcow2_shadow_get(struct qcow2_shadow *s, uint64_t cluster, uint64_t *ret,
		    struct platter_error *err)
{
	struct qcow2 *q = s->q;
	uint32_t rb = qcow2_refcount_bits(q);
	size_t index = (size_t)(cluster >> rb);
	struct qcow2_table *block = NULL;
	int r = 0;

	*ret = 0;
	if (cluster >> rb >= s->capacity)
		return 0;
	if (s->ours[index])
		r = pl_qcow2_table_get(q, s->table[index], &block, err);
	else
		r = old_block(s, index, &block, err);
	if (r < 0 || !block)
		return r;
	*ret = pl_qcow2_refcount_decode(block->bytes, cluster & ((1ull << rb) - 1),
					q->header.refcount_order);
	pl_qcow2_table_put(q, block);
	return 0;
}

int
pl_qcow2_shadow_set(struct qcow2_shadow *s, uint64_t cluster, uint64_t users,
		    struct platter_error *err)
{
	return change(s, cluster, SET, users, err);
}

int
pl_qcow2_shadow_count(struct qcow2_shadow *s, uint64_t offset, uint64_t n, bool up,
		      struct platter_error *err)
{
	uint32_t bits = s->q->header.cluster_bits;
	int r = 0;

	for (uint64_t c = offset >> bits; r == 0 && n && c <= (offset + n - 1) >> bits; c++)
		r = change(s, c, up ? UP : DOWN, 0, err);
	return r;
}

/* Nothing is counted that cannot be there. */
static int
check_host(const struct qcow2_shadow *s, uint64_t host, uint64_t at, struct platter_error *err)
{
	if (host < s->q->file->size)
		return 0;
	(void)pl_corrupt(err, at,
			 "data at byte %" PRIu64 " is outside of the file (%" PRIu64 " bytes)",
			 host, s->q->file->size);
	pl_hint(err,
		"`platter verify` says what else is wrong; `platter convert` rescues the rest");
	return -EUCLEAN;
}

int
pl_qcow2_shadow_count_l2(struct qcow2_shadow *s, const struct qcow2_table *l2, uint32_t first,
			 bool up, struct platter_error *err)
{
	const struct qcow2 *q = s->q;
	int r = 0;

	for (uint32_t i = first; r == 0 && i < 1u << q->l2_bits; i++) {
		struct qcow2_entry e;

		r = pl_qcow2_entry_decode(q, l2->bytes, l2->offset, i, &e, err);
		if (r == 0 && e.kind == QCOW2_ENTRY_COMPRESSED)
			r = pl_qcow2_shadow_count(s, e.host, e.stored, up, err);
		if (r < 0 || e.kind != QCOW2_ENTRY_NORMAL || q->external)
			continue;
		r = check_host(s, e.host, l2->offset + (uint64_t)i * q->l2_entry_size, err);
		if (r == 0)
			r = pl_qcow2_shadow_count(s, e.host, q->cluster_size, up, err);
	}
	return r;
}

int
pl_qcow2_read_l1(struct qcow2 *q, uint64_t l1_offset, uint32_t nr, uint32_t room, uint64_t **ret,
		 struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	int r = pl_read_alloc(q->file, (size_t)nr * 8, nr ? l1_offset : 0, &bytes, err);

	if (r < 0)
		return r;
	*ret = calloc((size_t)PL_MAX(nr, room) + 1, sizeof **ret);
	if (!*ret)
		return pl_no_memory(err);
	for (uint32_t i = 0; i < nr; i++)
		(*ret)[i] = get_be64(bytes + (size_t)i * 8);
	return 0;
}

static int
release_l2(struct qcow2_shadow *s, uint64_t offset, struct platter_error *err)
{
	struct qcow2_table *l2;
	int r = pl_qcow2_table_get(s->q, offset, &l2, err);

	if (r < 0)
		return r;
	r = pl_qcow2_shadow_count_l2(s, l2, 0, false, err);
	pl_qcow2_table_put(s->q, l2);
	return r == 0 ? pl_qcow2_shadow_count(s, offset, 1, false, err) : r;
}

int
pl_qcow2_shadow_release(struct qcow2_shadow *s, uint64_t l1_offset, uint32_t first, uint32_t nr,
			struct platter_error *err)
{
	PL_AUTOFREE uint64_t *l1 = NULL;
	int r = pl_qcow2_read_l1(s->q, l1_offset, nr, 0, &l1, err);

	for (uint32_t i = first; r == 0 && i < nr; i++) {
		uint64_t l2;

		r = pl_qcow2_l1_decode(s->q, l1[i], l1_offset + (uint64_t)i * 8, &l2, err);
		if (r == 0 && l2)
			r = release_l2(s, l2, err);
	}
	return r;
}

int
pl_qcow2_shadow_allocate(struct qcow2_shadow *s, uint64_t nr, uint64_t *ret_offset,
			 struct platter_error *err)
{
	uint64_t cluster;
	int r = take(s, nr, &cluster, err);

	for (uint64_t i = 0; r == 0 && i < nr; i++)
		r = change(s, cluster + i, UP, 0, err);
	if (r == 0)
		*ret_offset = cluster << s->q->header.cluster_bits;
	return r;
}

int
pl_qcow2_shadow_add_l2(struct qcow2_shadow *s, const uint8_t *bytes, uint64_t *ret_entry,
		       struct platter_error *err)
{
	struct qcow2_table *l2;
	uint64_t offset;
	int r = pl_qcow2_shadow_allocate(s, 1, &offset, err);

	if (r == 0)
		r = pl_qcow2_table_new(s->q, offset, QCOW2_TABLE_L2, &l2, err);
	if (r < 0)
		return r;
	memcpy(l2->bytes, bytes, s->q->cluster_size);
	pl_qcow2_table_put(s->q, l2);
	*ret_entry = offset | QCOW2_COPIED;
	return 0;
}

/* Put right which entries of an L2 table are marked as copied, in `bytes`. */
static int
fix_l2_flags(struct qcow2_shadow *s, uint8_t *bytes, uint64_t offset, bool lenient,
	     bool *ret_changed, struct platter_error *err)
{
	const struct qcow2 *q = s->q;

	*ret_changed = false;
	for (uint32_t i = 0; !q->external && i < 1u << q->l2_bits; i++) {
		uint8_t *p = bytes + (size_t)i * q->l2_entry_size;
		struct qcow2_entry e;
		uint64_t users;
		int r = pl_qcow2_entry_decode(q, bytes, offset, i, &e, err);

		if (r < 0 && !lenient)
			return r;
		if (r < 0 || e.kind != QCOW2_ENTRY_NORMAL)
			continue;
		r = pl_qcow2_shadow_get(s, e.host >> q->header.cluster_bits, &users, err);
		if (r < 0)
			return r;
		if (e.copied == (users == 1))
			continue;
		put_be64(p, get_be64(p) ^ QCOW2_COPIED);
		*ret_changed = true;
	}
	return 0;
}

/* What the active L1 says of the L2 table that `*entry` names. */
static int
fix_l1_entry(struct qcow2_shadow *s, uint64_t *entry, uint64_t l2, bool lenient,
	     struct platter_error *err)
{
	struct qcow2 *q = s->q;
	PL_AUTOFREE uint8_t *bytes = malloc(q->cluster_size);
	struct qcow2_table *table;
	uint64_t users;
	bool changed;
	int r;

	if (!bytes)
		return pl_no_memory(err);
	r = pl_qcow2_table_get(q, l2, &table, err);
	if (r < 0)
		return r;
	memcpy(bytes, table->bytes, q->cluster_size);
	pl_qcow2_table_put(q, table);
	r = fix_l2_flags(s, bytes, l2, lenient, &changed, err);
	if (r < 0)
		return r;
	if (changed) {
		r = pl_qcow2_shadow_count(s, l2, 1, false, err);
		return r == 0 ? pl_qcow2_shadow_add_l2(s, bytes, entry, err) : r;
	}
	r = pl_qcow2_shadow_get(s, l2 >> q->header.cluster_bits, &users, err);
	*entry = l2 | (users == 1 ? QCOW2_COPIED : 0);
	return r;
}

int
pl_qcow2_shadow_fix_flags(struct qcow2_shadow *s, bool lenient, struct platter_error *err)
{
	struct qcow2 *q = s->q;
	const struct qcow2_header *h = &q->header;
	bool changed = false;
	int r = pl_qcow2_read_l1(q, h->l1_offset, h->l1_size, 0, &s->l1, err);

	for (uint32_t i = 0; r == 0 && i < h->l1_size; i++) {
		uint64_t before = s->l1[i], l2 = 0;

		r = pl_qcow2_l1_decode(q, before, h->l1_offset + (uint64_t)i * 8, &l2, err);
		if (r < 0 && lenient)
			r = 0;
		else if (r == 0 && l2)
			r = fix_l1_entry(s, &s->l1[i], l2, lenient, err);
		changed |= s->l1[i] != before;
	}
	if (r < 0)
		return r;
	if (changed)
		return pl_qcow2_shadow_count(s, h->l1_offset, (uint64_t)h->l1_size * 8, false, err);
	free(s->l1);
	s->l1 = NULL;
	return 0;
}

/* A table of u64, padded to whole clusters. */
static int
write_table(struct qcow2 *q, const uint64_t *table, uint64_t nr, uint64_t offset, uint64_t bytes,
	    struct platter_error *err)
{
	PL_AUTOFREE uint8_t *raw = calloc(1, bytes);

	if (!raw)
		return pl_no_memory(err);
	for (uint64_t i = 0; i < nr; i++)
		put_be64(raw + i * 8, table[i]);
	return pl_write(q->file, raw, (size_t)bytes, offset, err);
}

static int
place_l1(struct qcow2_shadow *s, struct platter_error *err)
{
	struct qcow2 *q = s->q;
	uint64_t bytes = pl_round_up((uint64_t)s->header.l1_size * 8, q->cluster_size);
	int r = pl_qcow2_shadow_allocate(s, bytes >> q->header.cluster_bits, &s->header.l1_offset,
					 err);

	return r == 0 ? write_table(q, s->l1, s->header.l1_size, s->header.l1_offset, bytes, err)
		      : r;
}

/* Count what new blocks take up and old ones leave; that may need more of them. */
static int
settle(struct qcow2_shadow *s, struct platter_error *err)
{
	int r = 0;

	while (r == 0 && s->nr_pending) {
		struct qcow2_count c = s->pending[--s->nr_pending];

		r = change(s, c.cluster, c.up ? UP : DOWN, 0, err);
	}
	return r;
}

/* Place the refcount table: blocks that count it make it longer. */
static int
place_refcount_table(struct qcow2_shadow *s, uint64_t *ret_nr, struct platter_error *err)
{
	struct qcow2 *q = s->q;
	uint32_t bits = q->header.cluster_bits, rb = qcow2_refcount_bits(q);
	uint64_t old_bytes = (uint64_t)q->header.refcount_table_clusters << bits, nr = 1, needed;
	int r = 0;

	if (!s->empty) {
		nr = PL_MAX(nr, q->header.refcount_table_clusters);
		r = pl_qcow2_shadow_count(s, q->header.refcount_table_offset, old_bytes, false,
					  err);
	}
	if (r == 0)
		r = settle(s, err);
	while (r == 0) {
		uint64_t at;

		/* The table counts itself, and a block or two more. */
		while ((needed = pl_div_round_up((((s->next + nr) >> rb) + 2) * 8,
						 q->cluster_size)) > nr)
			nr = needed;
		if (nr > 1 && nr << bits > QCOW2_MAX_REFCOUNT_TABLE_BYTES)
			return pl_fail(err, -EFBIG,
				       "'%s' has reached the largest size of its format",
				       q->file->name);
		r = pl_qcow2_shadow_allocate(s, nr, &at, err);
		if (r == 0)
			r = settle(s, err);
		for (needed = s->capacity; needed && !s->table[needed - 1];)
			needed--;
		if (r == 0 && (nr << bits) / 8 >= needed) {
			s->header.refcount_table_offset = at;
			s->header.refcount_table_clusters = (uint32_t)nr;
			*ret_nr = needed;
			return 0;
		}
		if (r == 0)
			r = pl_qcow2_shadow_count(s, at, nr << bits, false, err);
		nr = PL_MAX(nr + 1, pl_div_round_up(needed * 8, q->cluster_size));
	}
	return r;
}

/* The sector that makes it so. */
static int
write_header(struct qcow2_shadow *s, struct platter_error *err)
{
	const struct qcow2_header *h = &s->header;
	struct qcow2 *q = s->q;
	uint8_t sector[512];
	int r = pl_flush(q->file, err);

	if (r == 0)
		r = pl_read(q->file, sector, sizeof sector, 0, err);
	if (r < 0)
		return r;
	put_be64(sector + QCOW2_SIZE, h->size);
	put_be32(sector + QCOW2_L1_SIZE, h->l1_size);
	put_be64(sector + QCOW2_L1_OFFSET, h->l1_offset);
	put_be64(sector + QCOW2_REFCOUNT_TABLE_OFFSET, h->refcount_table_offset);
	put_be32(sector + QCOW2_REFCOUNT_TABLE_CLUSTERS, h->refcount_table_clusters);
	put_be32(sector + QCOW2_NR_SNAPSHOTS, h->nr_snapshots);
	put_be64(sector + QCOW2_SNAPSHOTS_OFFSET, h->snapshots_offset);
	if (h->version >= 3) {
		put_be64(sector + QCOW2_INCOMPATIBLE, h->incompatible);
		put_be64(sector + QCOW2_AUTOCLEAR, h->autoclear);
	}
	r = pl_write(q->file, sector, sizeof sector, 0, err);
	if (r == 0)
		r = pl_flush(q->file, err);
	/* Nobody can know which state the file is in: what is in memory must not go there. */
	if (r < 0)
		q->disk.writable = false;
	return r;
}

/* Clusters of one region that were in use and are not any more need not be stored. */
static void
discard_unused(struct qcow2_shadow *s, size_t index)
{
	struct qcow2 *q = s->q;
	uint32_t order = q->header.refcount_order, bits = q->header.cluster_bits;
	uint64_t per_block = 1ull << qcow2_refcount_bits(q), base = index * per_block;
	struct qcow2_table *old = NULL, *new = NULL;
	uint64_t nr = 0;

	if (old_block(s, index, &old, NULL) < 0 || !old)
		return;
	if (pl_qcow2_table_get(q, s->table[index], &new, NULL) == 0) {
		for (uint64_t i = 0; i <= per_block; i++) {
			if (i < per_block && pl_qcow2_refcount_decode(old->bytes, i, order) &&
			    !pl_qcow2_refcount_decode(new->bytes, i, order)) {
				nr++;
			} else if (nr) {
				if ((base + i) << bits <= q->file->size)
					(void)pl_discard(q->file, (base + i - nr) << bits,
							 nr << bits, NULL);
				nr = 0;
			}
		}
		pl_qcow2_table_put(q, new);
	}
	pl_qcow2_table_put(q, old);
}

/* The image in memory becomes what the file is now. */
static void
adopt(struct qcow2_shadow *s, uint64_t nr_blocks)
{
	struct qcow2 *q = s->q;

	for (size_t i = 0; !s->empty && i < q->nr_refcount_table; i++)
		if (s->ours[i])
			discard_unused(s, i);
	pthread_rwlock_wrlock(&q->lock);
	q->header = s->header;
	if (s->l1) {
		free(q->l1);
		q->l1 = PL_STEAL(s->l1);
		q->l1_offset = q->header.l1_offset;
		q->nr_l1 = q->header.l1_size;
	}
	q->disk.size = q->header.size;
	pthread_rwlock_unlock(&q->lock);
	free(q->refcount_table);
	q->refcount_table = PL_STEAL(s->table);
	q->nr_refcount_table =
		(size_t)(((uint64_t)q->header.refcount_table_clusters << q->header.cluster_bits) /
			 8);
	memset(q->refcount_table + nr_blocks, 0,
	       (q->nr_refcount_table - nr_blocks) * sizeof *q->refcount_table);
	q->free_hint = 0;
	/* Whoever writes next prepares again, with tables of these lengths. */
	free(q->l1_dirty);
	free(q->refcount_table_dirty);
	q->l1_dirty = q->refcount_table_dirty = NULL;
	q->l1_changed = q->refcount_table_changed = q->prepared = false;
}

int
pl_qcow2_shadow_commit(struct qcow2_shadow *s, struct platter_error *err)
{
	struct qcow2 *q = s->q;
	uint64_t nr_blocks = 0;
	int r = s->l1 ? place_l1(s, err) : 0;

	if (r == 0)
		r = place_refcount_table(s, &nr_blocks, err);
	if (r == 0)
		r = write_tables(s, err);
	if (r == 0)
		r = write_table(q, s->table, nr_blocks, s->header.refcount_table_offset,
				(uint64_t)s->header.refcount_table_clusters
					<< q->header.cluster_bits,
				err);
	/* As long as the table in the file is. */
	if (r == 0)
		r = reserve(
			s,
			((uint64_t)s->header.refcount_table_clusters << q->header.cluster_bits) / 8,
			err);
	if (r < 0) {
		pl_qcow2_shadow_abandon(s);
		return r;
	}
	r = write_header(s, err);
	if (r == 0)
		adopt(s, nr_blocks);
	done(s);
	return r;
}
