/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * snapshot-change.c - snapshots created, applied and deleted
 *
 * A snapshot keeps an L1 table.  Creating one gives it the L1 that is in use, and the disk
 * a new one which refers to the same data; each cluster then has a user more.  All of it
 * takes effect at once; see shadow.c.
 */
#include <stdio.h>
#include <time.h>

#include "image.h"

#define ENTRY_SIZE 40
#define EXTRA_SIZE 24
/* What QEMU keeps of a name. */
#define MAX_NAME 255
/* What QEMU reads: so many snapshots, with 1 KiB each. */
#define MAX_SNAPSHOTS   65536
#define MAX_TABLE_BYTES MIB(64)

/* A snapshot operation under way. */
struct operation {
	struct qcow2 *q;
	struct qcow2_snapshots all;
	const struct qcow2_snapshot *which; /* NULL: a new one */
	struct qcow2_shadow shadow;
};

/* Does an entry claim a cluster for itself?  It may not, once a snapshot uses it too. */
static int
any_copied(const struct qcow2 *q, const struct qcow2_table *l2, bool *ret,
	   struct platter_error *err)
{
	*ret = false;
	for (uint32_t i = 0; i < 1u << q->l2_bits && !*ret; i++) {
		struct qcow2_entry e;
		int r = pl_qcow2_entry_decode(q, l2->bytes, l2->offset, i, &e, err);

		if (r < 0)
			return r;
		*ret = e.kind == QCOW2_ENTRY_NORMAL && e.copied;
	}
	return 0;
}

static int
add_copy(struct operation *o, const struct qcow2_table *l2, uint64_t *ret_entry,
	 struct platter_error *err)
{
	struct qcow2 *q = o->q;
	PL_AUTOFREE uint8_t *bytes = malloc(q->cluster_size);

	if (!bytes)
		return pl_no_memory(err);
	memcpy(bytes, l2->bytes, q->cluster_size);
	for (size_t at = 0; at < q->cluster_size; at += q->l2_entry_size)
		put_be64(bytes + at, get_be64(bytes + at) & ~QCOW2_COPIED);
	return pl_qcow2_shadow_add_l2(&o->shadow, bytes, ret_entry, err);
}

/* Use what an L2 table refers to once more; *ret_entry is for the new L1. */
static int
share_l2(struct operation *o, uint64_t offset, uint64_t *ret_entry, struct platter_error *err)
{
	struct qcow2_table *l2;
	bool copied;
	int r = pl_qcow2_table_get(o->q, offset, &l2, err);

	if (r < 0)
		return r;
	r = pl_qcow2_shadow_count_l2(&o->shadow, l2, 0, true, err);
	if (r == 0)
		r = any_copied(o->q, l2, &copied, err);
	if (r == 0 && copied) {
		r = add_copy(o, l2, ret_entry, err);
	} else if (r == 0) {
		*ret_entry = offset;
		r = pl_qcow2_shadow_count(&o->shadow, offset, 1, true, err);
	}
	pl_qcow2_table_put(o->q, l2);
	return r;
}

/* The new active L1: as the table at `offset`, of which a disk of `size` bytes needs a part. */
static int
share_l1(struct operation *o, uint64_t offset, uint64_t size, struct platter_error *err)
{
	struct qcow2 *q = o->q;
	uint32_t needed = (uint32_t)qcow2_l1_needed(size, q->header.cluster_bits, q->l2_bits);
	uint64_t *l1;
	int r = pl_qcow2_read_l1(q, offset, needed, 1, &l1, err);

	if (r < 0)
		return r;
	o->shadow.l1 = l1;
	o->shadow.header.l1_size = PL_MAX(needed, 1);
	o->shadow.header.size = size;
	for (uint32_t i = 0; r == 0 && i < needed; i++) {
		uint64_t l2;

		r = pl_qcow2_l1_decode(q, l1[i], offset + (uint64_t)i * 8, &l2, err);
		l1[i] = 0;
		if (r == 0 && l2)
			r = share_l2(o, l2, &l1[i], err);
	}
	return r;
}

/* Give up an L1 table and what it refers to. */
static int
release_l1(struct operation *o, uint64_t offset, uint32_t nr, struct platter_error *err)
{
	int r = pl_qcow2_shadow_release(&o->shadow, offset, 0, nr, err);

	return r == 0 ? pl_qcow2_shadow_count(&o->shadow, offset, (uint64_t)nr * 8, false, err) : r;
}

/* The table without entry `without`, if that is there, and with `entry` at its end. */
static int
write_table(struct operation *o, const uint8_t *entry, size_t entry_size, struct platter_error *err)
{
	const struct qcow2_header *h = &o->q->header;
	struct qcow2_shadow *s = &o->shadow;
	uint64_t bytes = pl_round_up(o->all.table_size, 8) + entry_size;
	uint64_t allocated = pl_round_up(bytes, o->q->cluster_size);
	PL_AUTOFREE uint8_t *table = calloc(1, allocated + 8);
	size_t at = 0;
	int r = 0;

	if (!table)
		return pl_no_memory(err);
	for (size_t i = 0; i < o->all.nr; i++) {
		size_t start = (size_t)(o->all.list[i].at - h->snapshots_offset);
		size_t end = i + 1 < o->all.nr
				     ? (size_t)(o->all.list[i + 1].at - h->snapshots_offset)
				     : (size_t)o->all.table_size;

		if (&o->all.list[i] == o->which)
			continue;
		memcpy(table + at, o->all.buffer + start, end - start);
		at += (size_t)pl_round_up(end - start, 8);
	}
	if (entry_size)
		memcpy(table + at, entry, entry_size);
	at += entry_size;
	if (o->all.nr)
		r = pl_qcow2_shadow_count(s, h->snapshots_offset, o->all.table_size, false, err);
	s->header.snapshots_offset = 0;
	if (r < 0 || !at)
		return r;
	allocated = pl_round_up(at, o->q->cluster_size);
	r = pl_qcow2_shadow_allocate(s, allocated >> h->cluster_bits, &s->header.snapshots_offset,
				     err);
	return r == 0 ? pl_write(o->q->file, table, (size_t)allocated, s->header.snapshots_offset,
				 err)
		      : r;
}

/* The image is well, and everything is in the file. */
static int
begin(struct operation *o, struct qcow2 *q, struct platter_error *err)
{
	int r;

	*o = (struct operation){ .q = q };
	if (q->external)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "an image whose data is in another file has no snapshots");
	if (q->needs_repair)
		return pl_fail(err, -EROFS, "'%s' is open to be repaired only", q->file->name);
	r = pl_qcow2_flush(&q->disk, err);
	if (r == 0)
		r = pl_qcow2_snapshots_read(q->file, &q->header, &o->all, err);
	if (r == 0)
		r = pl_qcow2_shadow_begin(&o->shadow, q, 0, err);
	/* Other programs' promises about the image are theirs to keep. */
	o->shadow.header.autoclear &= QCOW2_AUTOCLEAR_BITMAPS;
	if (r < 0)
		pl_qcow2_snapshots_done(&o->all);
	return r;
}

static int
finish(struct operation *o, int r, struct platter_error *err)
{
	if (r == 0)
		r = pl_qcow2_shadow_commit(&o->shadow, err);
	else
		pl_qcow2_shadow_abandon(&o->shadow);
	pl_qcow2_snapshots_done(&o->all);
	if (r < 0)
		pl_error_place(err, o->q->file->name);
	return r;
}

static int
check_name(const struct operation *o, const char *name, struct platter_error *err)
{
	size_t n = strlen(name);

	if (!n || n > MAX_NAME)
		return pl_invalid(err, "the name of a snapshot has 1 to %d bytes, not %zu",
				  MAX_NAME, n);
	if (pl_qcow2_snapshot_find(&o->all, name))
		return pl_fail(err, -EEXIST, "'%s' has a snapshot with the name or id '%s'",
			       o->q->file->name, name);
	if (o->all.nr >= MAX_SNAPSHOTS)
		return pl_over_limit(err, QCOW2_NR_SNAPSHOTS, "%d snapshots are the limit",
				     MAX_SNAPSHOTS);
	if (o->all.table_size > MAX_TABLE_BYTES - KIB(1))
		return pl_over_limit(err, QCOW2_SNAPSHOTS_OFFSET,
				     "the snapshot table has reached its limit of %" PRIu64
				     " bytes",
				     (uint64_t)MAX_TABLE_BYTES);
	return 0;
}

/* One more than the largest number that is an id. */
static uint64_t
free_id(const struct operation *o)
{
	uint64_t largest = 0;

	for (size_t i = 0; i < o->all.nr; i++) {
		const struct qcow2_snapshot *s = &o->all.list[i];
		uint64_t id = 0;

		/* 18 digits leave room for one more. */
		for (uint16_t k = 0; k < s->id_size && k <= 18; k++) {
			if (s->id[k] < '0' || s->id[k] > '9' || k == 18) {
				id = 0;
				break;
			}
			id = id * 10 + (uint64_t)(s->id[k] - '0');
		}
		largest = PL_MAX(largest, id);
	}
	return largest + 1;
}

/* The entry of a new snapshot, which keeps the L1 table in use; returns its padded size. */
static size_t
build_entry(const struct operation *o, const char *name,
	    uint8_t entry[static ENTRY_SIZE + EXTRA_SIZE + 32 + MAX_NAME + 8])
{
	const struct qcow2_header *h = &o->q->header;
	struct timespec now = { 0 };
	char id[32];
	size_t id_size = (size_t)snprintf(id, sizeof id, "%" PRIu64, free_id(o));
	size_t name_size = strlen(name);
	uint8_t *p = entry;

	clock_gettime(CLOCK_REALTIME, &now);
	memset(p, 0, ENTRY_SIZE + EXTRA_SIZE);
	put_be64(p, h->l1_offset);
	put_be32(p + 8, h->l1_size);
	put_be16(p + 12, (uint16_t)id_size);
	put_be16(p + 14, (uint16_t)name_size);
	put_be32(p + 16, (uint32_t)now.tv_sec);
	put_be32(p + 20, (uint32_t)now.tv_nsec);
	put_be32(p + 36, EXTRA_SIZE);
	p += ENTRY_SIZE;
	put_be64(p + 8, h->size);
	put_be64(p + 16, UINT64_MAX); /* no count of instructions */
	p += EXTRA_SIZE;
	memcpy(p, id, id_size);
	memcpy(p + id_size, name, name_size);
	p += id_size + name_size;
	while ((p - entry) % 8)
		*p++ = 0;
	return (size_t)(p - entry);
}

int
pl_qcow2_snapshot_create(struct pl_disk *disk, const char *name, struct platter_error *err)
{
	uint8_t entry[ENTRY_SIZE + EXTRA_SIZE + 32 + MAX_NAME + 8];
	struct qcow2 *q = qcow2_of(disk);
	struct operation o;
	int r = begin(&o, q, err);

	if (r < 0)
		return r;
	r = check_name(&o, name, err);
	if (r == 0)
		r = share_l1(&o, q->header.l1_offset, q->header.size, err);
	if (r == 0)
		r = write_table(&o, entry, build_entry(&o, name, entry), err);
	o.shadow.header.nr_snapshots++;
	return finish(&o, r, err);
}

/* The snapshot that is to be dealt with, fit for it. */
static int
choose(struct operation *o, const char *snapshot, struct platter_error *err)
{
	int r;

	o->which = pl_qcow2_snapshot_find(&o->all, snapshot);
	if (!o->which) {
		r = pl_fail(err, -ENOENT, "'%s' has no snapshot '%s'", o->q->file->name, snapshot);
		pl_hint(err, "`platter snapshot` lists the snapshots");
		return r;
	}
	return pl_qcow2_snapshot_check(o->q, o->which, err);
}

int
pl_qcow2_snapshot_apply(struct pl_disk *disk, const char *snapshot, struct platter_error *err)
{
	struct qcow2 *q = qcow2_of(disk);
	struct operation o;
	int r = pl_qcow2_prepare(q, err);

	if (r == 0)
		r = begin(&o, q, err);
	if (r < 0)
		return r;
	r = choose(&o, snapshot, err);
	if (r == 0)
		r = release_l1(&o, q->header.l1_offset, q->header.l1_size, err);
	if (r == 0)
		r = share_l1(&o, o.which->l1_offset, o.which->size, err);
	return finish(&o, r, err);
}

int
pl_qcow2_snapshot_delete(struct pl_disk *disk, const char *snapshot, struct platter_error *err)
{
	struct qcow2 *q = qcow2_of(disk);
	struct operation o;
	int r = begin(&o, q, err);

	if (r < 0)
		return r;
	r = choose(&o, snapshot, err);
	if (r == 0)
		r = release_l1(&o, o.which->l1_offset, o.which->l1_size, err);
	if (r == 0)
		r = pl_qcow2_shadow_fix_flags(&o.shadow, false, err);
	if (r == 0)
		r = write_table(&o, NULL, 0, err);
	o.shadow.header.nr_snapshots--;
	return finish(&o, r, err);
}
