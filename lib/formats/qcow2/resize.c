/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * resize.c - a QCOW2 image becomes longer or shorter
 *
 * What is added reads as zeros: whatever the tables hold for it, and the bytes of a longer
 * parent, are zeroed before the header names the new size.  What falls off is given up
 * in the step that names it.
 */
#include "image.h"

/* Snapshots that do not know their own size would get the new one. */
static int
check_snapshots(struct qcow2 *q, struct platter_error *err)
{
	struct qcow2_snapshots all;
	bool unsized_one = false;
	int r = pl_qcow2_snapshots_read(q->file, &q->header, &all, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < all.nr; i++)
		unsized_one |= !all.list[i].has_size;
	pl_qcow2_snapshots_done(&all);
	if (!q->header.nr_snapshots || (q->header.version >= 3 && !unsized_one))
		return 0;
	r = pl_unsupported(err, QCOW2_NR_SNAPSHOTS,
			   "a version %" PRIu32
			   " image with snapshots cannot be resized: they do not keep their size",
			   q->header.version);
	pl_hint(err, "delete the snapshots, or convert the image with -o compat=1.1");
	return r;
}

/* An L1 table for `size` bytes, if that in use is too short. */
static int
lengthen_l1(struct qcow2 *q, uint64_t size, struct platter_error *err)
{
	const struct qcow2_header *h = &q->header;
	uint64_t needed = qcow2_l1_needed(size, h->cluster_bits, q->l2_bits);
	struct qcow2_shadow s;
	int r;

	if (needed * 8 > QCOW2_MAX_L1_BYTES) {
		r = pl_over_limit(err, PLATTER_NO_OFFSET,
				  "a disk of %" PRIu64 " bytes needs an L1 table of %" PRIu64
				  " bytes, limit is %" PRIu64,
				  size, needed * 8, (uint64_t)QCOW2_MAX_L1_BYTES);
		pl_hint(err, "convert the image with larger clusters: -o cluster_size=2M");
		return r;
	}
	if (needed <= q->nr_l1)
		return 0;
	r = pl_qcow2_shadow_begin(&s, q, 0, err);
	if (r < 0)
		return r;
	r = pl_qcow2_read_l1(q, h->l1_offset, h->l1_size, (uint32_t)needed, &s.l1, err);
	if (r == 0)
		r = pl_qcow2_shadow_count(&s, h->l1_offset, (uint64_t)h->l1_size * 8, false, err);
	if (r < 0) {
		pl_qcow2_shadow_abandon(&s);
		return r;
	}
	s.header.l1_size = PL_MAX(h->l1_size, (uint32_t)needed);
	return pl_qcow2_shadow_commit(&s, err);
}

/* Make [start, end), which the disk does not have yet, read as zeros when it does. */
static int
zero_added(struct qcow2 *q, uint64_t start, uint64_t end, struct platter_error *err)
{
	uint32_t shift = q->header.cluster_bits + q->l2_bits;
	uint64_t parent_size = q->disk.parent ? q->disk.parent->size : 0;
	int r = pl_qcow2_prepare(q, err);

	for (uint64_t at = start, next; r == 0 && at < end; at = next) {
		next = PL_MIN(end, ((at >> shift) + 1) << shift);
		if (q->l1[at >> shift] || at < parent_size)
			r = pl_qcow2_zero_range(q, at, next, PL_ZERO_MAY_UNMAP, err);
	}
	return r == 0 ? pl_qcow2_flush(&q->disk, err) : r;
}

static int
write_size(struct qcow2 *q, uint64_t size, struct platter_error *err)
{
	uint8_t field[8];
	int r;

	put_be64(field, size);
	r = pl_write(q->file, field, sizeof field, QCOW2_SIZE, err);
	if (r == 0)
		r = pl_flush(q->file, err);
	if (r == 0)
		q->header.size = size;
	return r;
}

/* An external file has the disk's length, and nothing of its own past the disk that was. */
static int
resize_data(struct qcow2 *q, uint64_t size, struct platter_error *err)
{
	int r = 0;

	if (!q->external)
		return 0;
	if (!q->data->growable && size > q->data->size)
		return pl_fail(err, -ENOSPC, "data file '%s' has %" PRIu64 " bytes only",
			       q->data->name, q->data->size);
	if (!q->data->growable)
		return 0;
	if (size > q->disk.size && q->data->size > q->disk.size)
		r = pl_resize(q->data, q->disk.size, err);
	return r == 0 ? pl_resize(q->data, size, err) : r;
}

static int
grow(struct qcow2 *q, uint64_t size, struct platter_error *err)
{
	uint64_t old = q->disk.size;
	int r = lengthen_l1(q, size, err);

	if (r == 0)
		r = pl_qcow2_prepare(q, err);
	if (r == 0)
		r = resize_data(q, size, err);
	if (r < 0)
		return r;
	/* The tables are written to for bytes past the end, which nobody is told of yet. */
	q->disk.size = size;
	r = zero_added(q, old, size, err);
	if (r == 0)
		r = write_size(q, size, err);
	if (r < 0)
		q->disk.size = old;
	return r;
}

/* The last L2 table, without what lies past `keep` entries. */
static int
cut_l2(struct qcow2_shadow *s, uint64_t *entry, uint64_t offset, uint32_t keep,
       struct platter_error *err)
{
	struct qcow2 *q = s->q;
	PL_AUTOFREE uint8_t *bytes = malloc(q->cluster_size);
	size_t kept_bytes = (size_t)keep * q->l2_entry_size;
	struct qcow2_table *l2;
	int r;

	if (!bytes)
		return pl_no_memory(err);
	r = pl_qcow2_table_get(q, offset, &l2, err);
	if (r < 0)
		return r;
	memcpy(bytes, l2->bytes, q->cluster_size);
	r = pl_qcow2_shadow_count_l2(s, l2, keep, false, err);
	pl_qcow2_table_put(q, l2);
	if (r < 0 || pl_is_zero(bytes + kept_bytes, q->cluster_size - kept_bytes))
		return r;
	memset(bytes + kept_bytes, 0, q->cluster_size - kept_bytes);
	r = pl_qcow2_shadow_count(s, offset, 1, false, err);
	return r == 0 ? pl_qcow2_shadow_add_l2(s, bytes, entry, err) : r;
}

/* Tables of a disk of `size` bytes. */
static int
cut_tables(struct qcow2_shadow *s, uint64_t size, struct platter_error *err)
{
	struct qcow2 *q = s->q;
	const struct qcow2_header *h = &q->header;
	uint64_t clusters = pl_div_round_up(size, q->cluster_size), l2;
	uint32_t whole = (uint32_t)(clusters >> q->l2_bits);
	uint32_t keep = (uint32_t)(clusters & ((1u << q->l2_bits) - 1));
	uint32_t needed = whole + (keep != 0);
	int r = pl_qcow2_read_l1(q, h->l1_offset, h->l1_size, 1, &s->l1, err);

	if (r == 0)
		r = pl_qcow2_shadow_release(s, h->l1_offset, needed, h->l1_size, err);
	if (r == 0 && keep)
		r = pl_qcow2_l1_decode(q, s->l1[whole], h->l1_offset + (uint64_t)whole * 8, &l2,
				       err);
	if (r == 0 && keep && l2)
		r = cut_l2(s, &s->l1[whole], l2, keep, err);
	if (r == 0)
		r = pl_qcow2_shadow_count(s, h->l1_offset, (uint64_t)h->l1_size * 8, false, err);
	if (r < 0)
		return r;
	if (!needed)
		s->l1[0] = 0;
	s->header.l1_size = PL_MAX(needed, 1);
	s->header.size = size;
	return 0;
}

/* What is left in the last cluster past the end must not come back when the disk grows. */
static int
clear_tail(struct qcow2 *q, struct platter_error *err)
{
	uint64_t size = q->disk.size, end = pl_round_up(size, q->cluster_size);
	int r;

	if (end == size)
		return 0;
	r = pl_qcow2_prepare(q, err);
	q->disk.size = end;
	if (r == 0)
		r = pl_qcow2_zero_range(q, size, end, 0, err);
	q->disk.size = size;
	return r == 0 ? pl_qcow2_flush(&q->disk, err) : r;
}

static int
cut(struct qcow2 *q, uint64_t size, struct platter_error *err)
{
	struct qcow2_shadow s;
	int r = pl_qcow2_shadow_begin(&s, q, 0, err);

	if (r < 0)
		return r;
	r = cut_tables(&s, size, err);
	if (r < 0) {
		pl_qcow2_shadow_abandon(&s);
		return r;
	}
	r = pl_qcow2_shadow_commit(&s, err);
	if (r == 0)
		r = clear_tail(q, err);
	return r == 0 ? resize_data(q, size, err) : r;
}

int
pl_qcow2_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	struct qcow2 *q = qcow2_of(disk);
	int r;

	/* QEMU cuts a size to whole sectors; rounded up, the last bytes are kept. */
	size = pl_round_up(size, 512);
	if (size > INT64_MAX)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "disk of %" PRIu64 " bytes, limit is %" PRId64, size,
				     INT64_MAX);
	if (size == disk->size)
		return 0;
	r = check_snapshots(q, err);
	/* Bitmaps are of the old size. */
	if (r == 0)
		r = pl_qcow2_prepare(q, err);
	if (r == 0)
		r = pl_qcow2_flush(disk, err);
	if (r < 0)
		return r;
	return size > disk->size ? grow(q, size, err) : cut(q, size, err);
}
