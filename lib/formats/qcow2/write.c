/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * write.c - random writes into a QCOW2 image
 *
 * Data goes into the file at once, into clusters that only this disk uses or that were
 * allocated for it; the tables that name them change in memory and follow with the next
 * commit.  What a new cluster does not get from the caller is copied from what the disk
 * held there: a backing file, compressed data, or a cluster shared with a snapshot.
 */
#include "image.h"

/* Given up clusters that are kept before they are counted down in the file. */
#define MAX_UNUSED 65536

/* Compressed data of one cluster touches three host clusters at most. */
#define MAX_HOST_CLUSTERS 4

/* Subclusters [first, last] as a mask. */
static uint32_t
mask_of(uint32_t first, uint32_t last)
{
	return (uint32_t)(((2ull << last) - 1) & ~((1ull << first) - 1));
}

/* Dirty bitmaps will not know of what is written now: say so in each. */
static int
mark_bitmaps(struct qcow2 *q, struct platter_error *err)
{
	struct qcow2_bitmaps bitmaps;
	int r = pl_qcow2_bitmaps_read(q->file, &q->header, &bitmaps, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < bitmaps.nr; i++) {
		uint8_t flags[4];

		put_be32(flags, bitmaps.list[i].flags | QCOW2_BITMAP_IN_USE);
		r = pl_write(q->file, flags, sizeof flags, bitmaps.list[i].at + 12, err);
	}
	pl_qcow2_bitmaps_done(&bitmaps);
	return r;
}

int
pl_qcow2_prepare(struct qcow2 *q, struct platter_error *err)
{
	uint64_t kept = q->header.autoclear & (QCOW2_AUTOCLEAR_BITMAPS |
					       (q->external ? QCOW2_AUTOCLEAR_DATA_FILE_RAW : 0));
	uint8_t field[8];
	int r = 0;

	if (q->prepared)
		return 0;
	if (q->needs_repair)
		return pl_fail(err, -EROFS, "'%s' is open to be repaired only", q->file->name);
	r = pl_qcow2_refcounts_load(q, err);
	if (r < 0)
		return r;
	if (!q->l1_dirty)
		q->l1_dirty = calloc(q->nr_l1 / 64 + 1, sizeof *q->l1_dirty);
	if (!q->refcount_table_dirty)
		q->refcount_table_dirty =
			calloc(q->nr_refcount_table / 64 + 1, sizeof *q->refcount_table_dirty);
	if (!q->l1_dirty || !q->refcount_table_dirty)
		return pl_no_memory(err);
	if (kept & QCOW2_AUTOCLEAR_BITMAPS && mark_bitmaps(q, NULL) < 0)
		kept &= ~(uint64_t)QCOW2_AUTOCLEAR_BITMAPS;
	if (kept != q->header.autoclear) {
		put_be64(field, kept);
		r = pl_write(q->file, field, sizeof field, QCOW2_AUTOCLEAR, err);
	}
	if (r == 0 && q->header.autoclear)
		r = pl_flush(q->file, err);
	if (r < 0)
		return r;
	q->header.autoclear = kept;
	q->prepared = true;
	return 0;
}

static void
set_l1(struct qcow2 *q, uint32_t index, uint64_t offset)
{
	pthread_rwlock_wrlock(&q->lock);
	q->l1[index] = offset | QCOW2_COPIED;
	pthread_rwlock_unlock(&q->lock);
	q->l1_dirty[index / 64] = true;
	q->l1_changed = true;
}

/* A new L2 table for this L1 entry, a copy of the one at `old` unless that is 0. */
static int
new_l2(struct qcow2 *q, uint32_t index, uint64_t old, struct qcow2_table **ret,
       struct platter_error *err)
{
	struct qcow2_table *table, *from;
	uint64_t offset, nr;
	int r = pl_qcow2_reserve_unused(q, 2, err);

	if (r == 0)
		r = pl_qcow2_allocate(q, 1, &offset, &nr, err);
	if (r < 0)
		return r;
	r = pl_qcow2_table_new(q, offset, QCOW2_TABLE_L2, &table, err);
	if (r == 0 && old) {
		r = pl_qcow2_table_get(q, old, &from, err);
		if (r == 0) {
			memcpy(table->bytes, from->bytes, q->cluster_size);
			pl_qcow2_table_put(q, from);
			pl_qcow2_unuse(q, old, q->cluster_size);
		} else {
			pl_qcow2_table_put(q, table);
			pl_qcow2_table_forget(q, offset);
		}
	}
	if (r < 0) {
		pl_qcow2_unuse(q, offset, q->cluster_size);
		return r;
	}
	set_l1(q, index, offset);
	*ret = table;
	return 0;
}

/* The L2 table for a byte of the disk, which may be changed. */
static int
get_l2(struct qcow2 *q, uint64_t guest, struct qcow2_table **ret, struct platter_error *err)
{
	uint32_t index = (uint32_t)(guest >> (q->header.cluster_bits + q->l2_bits));
	uint64_t offset;
	int r = pl_qcow2_l1_decode(q, q->l1[index], q->l1_offset + (uint64_t)index * 8, &offset,
				   err);

	if (r < 0)
		return r;
	if (offset && q->l1[index] & QCOW2_COPIED)
		return pl_qcow2_table_get(q, offset, ret, err);
	return new_l2(q, index, offset, ret, err);
}

static uint32_t
l2_index(const struct qcow2 *q, uint64_t guest)
{
	return (uint32_t)(guest >> q->header.cluster_bits) & ((1u << q->l2_bits) - 1);
}

static void
set_entry(struct qcow2 *q, struct qcow2_table *table, uint32_t index, uint64_t word,
	  uint64_t bitmap)
{
	size_t at = (size_t)index * q->l2_entry_size;

	pthread_rwlock_wrlock(&q->lock);
	put_be64(table->bytes + at, word);
	if (q->extended)
		put_be64(table->bytes + at + 8, bitmap);
	pthread_rwlock_unlock(&q->lock);
	pl_qcow2_table_dirty(q, table, QCOW2_TABLE_L2, at, at + q->l2_entry_size);
}

/* Give up what an entry, that was just replaced, stored in the file. */
static void
unuse_entry(struct qcow2 *q, const struct qcow2_entry *e)
{
	if (e->kind == QCOW2_ENTRY_COMPRESSED)
		pl_qcow2_unuse(q, e->host, e->stored);
	else if (e->kind == QCOW2_ENTRY_NORMAL && !q->external)
		pl_qcow2_unuse(q, e->host, q->cluster_size);
}

/* Can the host cluster be written, as far as the entry is concerned? */
static bool
is_ours(const struct qcow2 *q, const struct qcow2_entry *e)
{
	return e->kind == QCOW2_ENTRY_NORMAL && (e->copied || q->external);
}

/* An entry that points at the header or a table would have them overwritten with data. */
static int
check_host(const struct qcow2 *q, uint64_t host, uint64_t at, struct platter_error *err)
{
	uint64_t table = q->header.refcount_table_offset;

	if (q->external ||
	    (host >= q->cluster_size && host < q->file->size &&
	     (host < table || host >= table + q->nr_refcount_table * 8) &&
	     (host < q->l1_offset || host >= q->l1_offset + (uint64_t)q->header.l1_size * 8)))
		return 0;
	return pl_corrupt(err, at,
			  "data at byte %" PRIu64 " would be written over a table or past the end",
			  host);
}

/*
 * How much of [guest, guest + n) lies in clusters of our own that follow each other in
 * the file, with nothing but data to change; 0: none.
 */
static int
in_place_run(struct qcow2 *q, struct qcow2_table *table, uint64_t guest, uint64_t n, uint64_t *ret,
	     uint64_t *ret_host, struct platter_error *err)
{
	uint64_t done = 0, in_cluster = guest & (q->cluster_size - 1);

	for (uint32_t i = l2_index(q, guest); done < n && i < 1u << q->l2_bits; i++) {
		uint64_t length = PL_MIN(n - done, q->cluster_size - in_cluster);
		struct qcow2_entry e;
		uint32_t mask = mask_of((uint32_t)(in_cluster / q->subcluster_size),
					(uint32_t)((in_cluster + length - 1) / q->subcluster_size));
		int r = pl_qcow2_entry_decode(q, table->bytes, table->offset, i, &e, err);

		if (r < 0)
			return r;
		if (!is_ours(q, &e) || (e.allocated & mask) != mask ||
		    (done && e.host != *ret_host + done))
			break;
		r = check_host(q, e.host, table->offset + (uint64_t)i * q->l2_entry_size, err);
		if (r < 0)
			return r;
		if (!done)
			*ret_host = e.host + in_cluster;
		done += length;
		in_cluster = 0;
	}
	*ret = done;
	return 0;
}

/* Whole clusters from `guest` on that need new host clusters: how many, at most `max`. */
static int
count_new(struct qcow2 *q, struct qcow2_table *table, uint64_t guest, uint64_t max, uint64_t *ret,
	  struct platter_error *err)
{
	uint32_t index = l2_index(q, guest);
	uint64_t nr = 0;

	while (nr < max && index + nr < 1u << q->l2_bits) {
		struct qcow2_entry e;
		int r = pl_qcow2_entry_decode(q, table->bytes, table->offset, index + (uint32_t)nr,
					      &e, err);

		if (r < 0)
			return r;
		if (is_ours(q, &e))
			break;
		nr++;
	}
	*ret = nr;
	return 0;
}

/* Host clusters for `want` clusters of the disk, or for fewer. */
static int
allocate_data(struct qcow2 *q, uint64_t guest, uint64_t want, uint64_t *ret_host, uint64_t *ret_nr,
	      struct platter_error *err)
{
	if (!q->external)
		return pl_qcow2_allocate(q, want, ret_host, ret_nr, err);
	*ret_host = guest;
	*ret_nr = want;
	return 0;
}

/* Write up to `nr` whole clusters into new host clusters; *ret says how many. */
static int
write_new_clusters(struct qcow2 *q, struct qcow2_table *table, const uint8_t *buf, uint64_t guest,
		   uint64_t nr, uint64_t *ret, struct platter_error *err)
{
	uint64_t bitmap = UINT32_MAX, host;
	uint32_t index = l2_index(q, guest);
	int r = pl_qcow2_reserve_unused(q, (size_t)nr * MAX_HOST_CLUSTERS, err);

	if (r == 0)
		r = allocate_data(q, guest, nr, &host, &nr, err);
	if (r < 0)
		return r;
	r = pl_write(q->data, buf, (size_t)(nr << q->header.cluster_bits), host, err);
	if (r < 0) {
		if (!q->external)
			pl_qcow2_unuse(q, host, nr << q->header.cluster_bits);
		return r;
	}
	for (uint64_t i = 0; i < nr; i++) {
		struct qcow2_entry old;

		/* It was decoded before; what fails cannot have been in use. */
		if (pl_qcow2_entry_decode(q, table->bytes, table->offset, index + (uint32_t)i, &old,
					  NULL) == 0)
			unuse_entry(q, &old);
		set_entry(q, table, index + (uint32_t)i,
			  (host + (i << q->header.cluster_bits)) | QCOW2_COPIED, bitmap);
	}
	*ret = nr;
	return 0;
}

/* Bytes [start, end) of a cluster as the disk holds them, zeros past its end. */
static int
read_old(struct qcow2 *q, uint8_t *cluster, uint64_t guest, uint64_t start, uint64_t end,
	 struct platter_error *err)
{
	uint64_t size = q->disk.size;

	if (start >= end)
		return 0;
	memset(cluster + start, 0, (size_t)(end - start));
	if (guest + start >= size)
		return 0;
	return pl_read(&q->disk, cluster + start, (size_t)PL_MIN(end - start, size - guest - start),
		       guest + start, err);
}

/* Write the subclusters of `mask`: the caller's bytes [in, in + n), the rest from the disk. */
static int
write_subclusters(struct qcow2 *q, const uint8_t *buf, uint64_t guest, uint64_t in, uint64_t n,
		  uint32_t mask, uint64_t host, struct platter_error *err)
{
	uint32_t nr = (uint32_t)(q->cluster_size / q->subcluster_size);
	PL_AUTOFREE uint8_t *cluster = malloc(q->cluster_size);

	if (!cluster)
		return pl_no_memory(err);
	for (uint32_t first = 0, last; first < nr; first = last) {
		uint64_t start, end;
		int r;

		for (last = first; last < nr && mask >> last & 1;)
			last++;
		if (last == first) {
			last++;
			continue;
		}
		start = first * q->subcluster_size;
		end = last * q->subcluster_size;
		r = read_old(q, cluster, guest, start, PL_MIN(end, PL_MAX(in, start)), err);
		if (r == 0)
			r = read_old(q, cluster, guest, PL_MAX(start, PL_MIN(in + n, end)), end,
				     err);
		if (r < 0)
			return r;
		if (in < end && in + n > start) {
			uint64_t from = PL_MAX(in, start), to = PL_MIN(in + n, end);

			memcpy(cluster + from, buf + (from - in), (size_t)(to - from));
		}
		r = pl_write(q->data, cluster + start, (size_t)(end - start), host + start, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Write a part of one cluster whose entry has to change for it. */
static int
write_part(struct qcow2 *q, struct qcow2_table *table, const uint8_t *buf, uint64_t guest,
	   uint64_t n, struct platter_error *err)
{
	uint64_t in = guest & (q->cluster_size - 1), start = guest - in, host, nr;
	uint32_t index = l2_index(q, guest);
	uint32_t mask = mask_of((uint32_t)(in / q->subcluster_size),
				(uint32_t)((in + n - 1) / q->subcluster_size));
	struct qcow2_entry e;
	bool ours;
	int r = pl_qcow2_entry_decode(q, table->bytes, table->offset, index, &e, err);

	if (r == 0)
		r = pl_qcow2_reserve_unused(q, MAX_HOST_CLUSTERS, err);
	if (r < 0)
		return r;
	ours = is_ours(q, &e);
	if (ours) {
		host = e.host;
		r = check_host(q, host, table->offset + (uint64_t)index * q->l2_entry_size, err);
	} else {
		r = allocate_data(q, start, 1, &host, &nr, err);
		mask |= e.allocated;
	}
	if (r < 0)
		return r;
	r = write_subclusters(q, buf, start, in, n, mask, host, err);
	if (r < 0) {
		if (!ours && !q->external)
			pl_qcow2_unuse(q, host, q->cluster_size);
		return r;
	}
	set_entry(q, table, index, host | QCOW2_COPIED,
		  (uint64_t)(e.zero & ~mask) << 32 | mask | (ours ? e.allocated : 0));
	if (!ours)
		unuse_entry(q, &e);
	return 0;
}

/* Write the first bytes of a range that one L2 table maps; *ret says how many. */
static int
write_some(struct qcow2 *q, struct qcow2_table *table, const uint8_t *buf, uint64_t n,
	   uint64_t guest, uint64_t *ret, struct platter_error *err)
{
	uint64_t in = guest & (q->cluster_size - 1), host = 0, nr = 0;
	int r = in_place_run(q, table, guest, n, ret, &host, err);

	if (r < 0)
		return r;
	if (*ret)
		return pl_write(q->data, buf, (size_t)*ret, host, err);
	if (!in && n >= q->cluster_size) {
		r = count_new(q, table, guest, n >> q->header.cluster_bits, &nr, err);
		if (r < 0)
			return r;
	}
	if (nr) {
		r = write_new_clusters(q, table, buf, guest, nr, &nr, err);
		*ret = nr << q->header.cluster_bits;
		return r;
	}
	*ret = PL_MIN(n, q->cluster_size - in);
	return write_part(q, table, buf, guest, *ret, err);
}

/* Not too much may be left to a later commit. */
static int
commit_if_much(struct qcow2 *q, struct platter_error *err)
{
	if (q->tables.nr_dirty * q->cluster_size <= QCOW2_MAX_DIRTY_BYTES &&
	    q->nr_unused <= MAX_UNUSED)
		return 0;
	return pl_qcow2_commit(q, err);
}

static uint64_t
table_reach(const struct qcow2 *q, uint64_t guest)
{
	uint64_t reach = 1ull << (q->header.cluster_bits + q->l2_bits);

	return reach - (guest & (reach - 1));
}

static int
write_range(struct qcow2 *q, const uint8_t *buf, uint64_t n, uint64_t guest,
	    struct platter_error *err)
{
	while (n) {
		struct qcow2_table *table;
		uint64_t done = 0;
		int r = get_l2(q, guest, &table, err);

		if (r < 0)
			return r;
		r = write_some(q, table, buf, PL_MIN(n, table_reach(q, guest)), guest, &done, err);
		pl_qcow2_table_put(q, table);
		if (r == 0)
			r = commit_if_much(q, err);
		if (r < 0)
			return r;
		buf += done;
		guest += done;
		n -= done;
	}
	return 0;
}

int
pl_qcow2_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	       struct platter_error *err)
{
	struct qcow2 *q = qcow2_of(disk);
	int r = pl_qcow2_prepare(q, err);

	return r == 0 ? write_range(q, buf, n, offset, err) : r;
}

/* Write zeros as data, unless the range reads as zeros already. */
static int
store_zeros(struct qcow2 *q, uint64_t guest, uint64_t n, struct platter_error *err)
{
	static const uint8_t zeros[4096];

	n = PL_MIN(n, q->disk.size - guest);
	while (n) {
		enum platter_kind kind;
		uint64_t length;
		int r = pl_span(&q->disk, guest, n, &kind, &length, err);

		if (r < 0)
			return r;
		if (kind == PLATTER_DATA) {
			length = PL_MIN(length, sizeof zeros);
			r = write_range(q, zeros, length, guest, err);
			if (r < 0)
				return r;
		}
		guest += length;
		n -= length;
	}
	return 0;
}

/* What an entry becomes whose subclusters of `mask` are to read as zeros. */
static void
zero_entry(const struct qcow2 *q, const struct qcow2_entry *e, uint32_t mask, bool keep,
	   uint64_t *ret_word, uint64_t *ret_bitmap)
{
	uint32_t all = q->extended ? UINT32_MAX : 1;
	uint32_t allocated = e->allocated & ~mask & all, zero = e->zero | mask;
	bool stays =
		e->kind == QCOW2_ENTRY_NORMAL && (allocated || q->external || (keep && e->copied));

	if (e->kind == QCOW2_ENTRY_COMPRESSED)
		allocated = 0;
	*ret_word = stays ? e->host | (e->copied || q->external ? QCOW2_COPIED : 0) : 0;
	/* Without a backing file, nothing reads as zeros too. */
	if (!stays && !q->header.backing_name && zero == all)
		zero = 0;
	if (q->header.version >= 3 && !q->extended && zero)
		*ret_word |= QCOW2_ZERO;
	*ret_bitmap = (uint64_t)zero << 32 | allocated;
}

/* Make whole subclusters of one cluster read as zeros by their entry; *ret false: it cannot say that. */
static int
zero_in_entry(struct qcow2 *q, uint64_t guest, uint64_t n, unsigned flags, bool *ret,
	      struct platter_error *err)
{
	uint64_t in = guest & (q->cluster_size - 1), word, bitmap;
	uint32_t index = l2_index(q, guest), first = (uint32_t)(in / q->subcluster_size);
	uint32_t mask = mask_of(first, (uint32_t)((in + n - 1) / q->subcluster_size));
	uint32_t all = q->extended ? UINT32_MAX : 1;
	struct qcow2_table *table;
	struct qcow2_entry e;
	int r = get_l2(q, guest, &table, err);

	if (r < 0)
		return r;
	r = pl_qcow2_reserve_unused(q, MAX_HOST_CLUSTERS, err);
	if (r == 0)
		r = pl_qcow2_entry_decode(q, table->bytes, table->offset, index, &e, err);
	if (r < 0) {
		pl_qcow2_table_put(q, table);
		return r;
	}
	*ret = (q->header.version >= 3 || (!q->header.backing_name && mask == all)) &&
	       (e.kind != QCOW2_ENTRY_COMPRESSED || mask == all);
	if (*ret && (e.zero & mask) != mask &&
	    (e.kind != QCOW2_ENTRY_NONE || q->header.backing_name)) {
		bool keep = !(flags & PL_ZERO_MAY_UNMAP) && q->header.version >= 3;

		zero_entry(q, &e, mask, keep, &word, &bitmap);
		set_entry(q, table, index, word, bitmap);
		if (!(word & QCOW2_OFFSET_MASK))
			unuse_entry(q, &e);
	} else if (*ret && e.kind == QCOW2_ENTRY_NORMAL && flags & PL_ZERO_MAY_UNMAP &&
		   mask == all) {
		/* Zero already, but still stored. */
		zero_entry(q, &e, mask, false, &word, &bitmap);
		set_entry(q, table, index, word, bitmap);
		if (!(word & QCOW2_OFFSET_MASK))
			unuse_entry(q, &e);
	}
	pl_qcow2_table_put(q, table);
	return 0;
}

/* A raw external file must read like the disk by itself. */
static int
zero_raw_data(struct qcow2 *q, uint64_t guest, uint64_t n, unsigned flags,
	      struct platter_error *err)
{
	if (!q->external || !(q->header.autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW) ||
	    guest >= q->data->size)
		return 0;
	return pl_zero(q->data, guest, PL_MIN(n, q->data->size - guest),
		       flags & ~(unsigned)PL_ZERO_NO_FALLBACK, err);
}

/* Is there nothing at all for this stretch, which then reads as zeros? */
static bool
is_unmapped(const struct qcow2 *q, uint64_t guest)
{
	return !q->header.backing_name && !q->l1[guest >> (q->header.cluster_bits + q->l2_bits)];
}

int
pl_qcow2_zero_range(struct qcow2 *q, uint64_t offset, uint64_t end, unsigned flags,
		    struct platter_error *err)
{
	uint64_t unit = q->subcluster_size;
	int r = 0;

	/* What lies past the disk in its last cluster may be lost with it. */
	if (end == q->disk.size)
		end = pl_round_up(end, unit);
	while (r == 0 && offset < end) {
		uint64_t n = PL_MIN(end - offset, table_reach(q, offset));
		bool said = false;

		if (is_unmapped(q, offset)) {
			offset += n;
			continue;
		}
		n = PL_MIN(n, q->cluster_size - (offset & (q->cluster_size - 1)));
		if (offset & (unit - 1) || n < unit) {
			n = PL_MIN(n, unit - (offset & (unit - 1)));
		} else {
			n = pl_round_down(n, unit);
			r = zero_in_entry(q, offset, n, flags, &said, err);
		}
		if (r == 0 && !said)
			r = store_zeros(q, offset, n, err);
		if (r == 0)
			r = commit_if_much(q, err);
		offset += n;
	}
	return r;
}

int
pl_qcow2_zero(struct pl_disk *disk, uint64_t offset, uint64_t length, unsigned flags,
	      struct platter_error *err)
{
	struct qcow2 *q = qcow2_of(disk);
	int r;

	if (flags & PL_ZERO_NO_FALLBACK && q->header.version < 3 && q->header.backing_name)
		return pl_fail(err, -ENOTSUP,
			       "version 2 images with a backing file store zeros as data");
	r = pl_qcow2_prepare(q, err);
	if (r == 0)
		r = zero_raw_data(q, offset, length, flags, err);
	return r == 0 ? pl_qcow2_zero_range(q, offset, offset + length, flags, err) : r;
}

int
pl_qcow2_discard(struct pl_disk *disk, uint64_t offset, uint64_t length, struct platter_error *err)
{
	return pl_qcow2_zero(disk, offset, length, PL_ZERO_MAY_UNMAP, err);
}

int
pl_qcow2_flush(struct pl_disk *disk, struct platter_error *err)
{
	struct qcow2 *q = qcow2_of(disk);
	int r = q->prepared ? pl_qcow2_commit(q, err) : 0;

	if (r == 0 && q->external)
		r = pl_flush(q->data, err);
	return r == 0 ? pl_flush(q->file, err) : r;
}
