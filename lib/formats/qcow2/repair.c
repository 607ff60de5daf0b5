/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * repair.c - refcounts and copied flags of a QCOW2 image made anew
 *
 * Everything that the tables refer to is counted from scratch, new refcount blocks and a new
 * refcount table are written past the end of all that is in use, and the header is switched
 * to them; see shadow.c.  Nothing that the tables refer to is touched, and entries that
 * cannot be right stay as they are: what they meant may still be found out.
 */
#include "image.h"

/* Tables that had to be copied are believed, and counted, only in the next round. */
#define MAX_ROUNDS 4

static int
take_last(void *closure, uint64_t cluster, uint64_t users, struct platter_error *err)
{
	uint64_t *last = closure;

	(void)users, (void)err;
	*last = PL_MAX(*last, cluster);
	return 0;
}

/* The first cluster past everything in use; on files that can grow, past the file. */
static int
first_free(struct qcow2 *q, bool bitmaps, uint64_t *ret, struct platter_error *err)
{
	const struct qcow2_header *h = &q->header;
	uint64_t last = pl_div_round_up(q->file->size, q->cluster_size), offset;
	int r = 0;

	if (!q->file->growable) {
		last = (h->refcount_table_offset >> h->cluster_bits) + h->refcount_table_clusters;
		for (size_t i = 0; i < q->nr_refcount_table; i++)
			if (pl_qcow2_refcount_block(q, i, &offset, NULL) == 0)
				last = PL_MAX(last, offset >> h->cluster_bits);
		r = pl_qcow2_recount(q, bitmaps, take_last, &last, err);
	}
	/* Compressed data may seem to end one cluster past the file. */
	*ret = last + 1;
	return r;
}

static int
take_count(void *closure, uint64_t cluster, uint64_t users, struct platter_error *err)
{
	return pl_qcow2_shadow_set(closure, cluster, users, err);
}

static int
rebuild(struct qcow2 *q, const struct qcow2_diagnosis *d, struct platter_error *err)
{
	bool bitmaps = !d->drop_bitmaps;
	struct qcow2_shadow s;
	uint64_t first;
	int r = first_free(q, bitmaps, &first, err);

	if (r == 0)
		r = pl_qcow2_shadow_begin(&s, q, first, err);
	if (r < 0)
		return r;
	r = pl_qcow2_recount(q, bitmaps, take_count, &s, err);
	if (r == 0)
		r = pl_qcow2_shadow_fix_flags(&s, true, err);
	if (r < 0) {
		pl_qcow2_shadow_abandon(&s);
		return r;
	}
	if (d->drop_bitmaps)
		s.header.autoclear &= ~(uint64_t)QCOW2_AUTOCLEAR_BITMAPS;
	return pl_qcow2_shadow_commit(&s, err);
}

static int
clear_flags(struct qcow2 *q, uint32_t flags, struct platter_error *err)
{
	uint8_t field[8];
	int r;

	q->header.incompatible &= ~(uint64_t)flags;
	put_be64(field, q->header.incompatible);
	r = pl_write(q->file, field, sizeof field, QCOW2_INCOMPATIBLE, err);
	return r == 0 ? pl_flush(q->file, err) : r;
}

/* The second look is for ourselves. */
static void
ignore(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
       const char *message)
{
	(void)findings, (void)severity, (void)offset, (void)message;
}

static int
rebuild_until_right(struct qcow2 *q, struct qcow2_diagnosis d, struct platter_error *err)
{
	struct pl_findings nobody = { .found = ignore };

	for (int i = 0; d.recount; i++) {
		int r;

		if (i == MAX_ROUNDS)
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "the tables contradict each other so much that clusters "
					  "cannot be counted");
		r = rebuild(q, &d, err);
		if (r == 0)
			r = pl_qcow2_diagnose(q, &nobody, &d, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Flags that say what is wrong are right to clear when nothing is wrong. */
static uint32_t
flags_to_clear(const struct qcow2 *q, struct pl_findings *findings)
{
	uint64_t flags = q->header.incompatible;
	uint32_t clear = 0;

	if (flags & QCOW2_INCOMPAT_DIRTY) {
		clear |= QCOW2_INCOMPAT_DIRTY;
		pl_found(findings, PLATTER_REPAIRED, QCOW2_INCOMPATIBLE,
			 "the image is marked as not closed");
	}
	if (flags & QCOW2_INCOMPAT_CORRUPT && findings->count[PLATTER_DAMAGE]) {
		pl_found(findings, PLATTER_DAMAGE, QCOW2_INCOMPATIBLE,
			 "the image is marked as corrupt, and is");
	} else if (flags & QCOW2_INCOMPAT_CORRUPT) {
		clear |= QCOW2_INCOMPAT_CORRUPT;
		pl_found(findings, PLATTER_REPAIRED, QCOW2_INCOMPATIBLE,
			 "the image is marked as corrupt");
	}
	return clear;
}

int
pl_qcow2_repair(struct pl_disk *disk, bool dry_run, struct pl_findings *findings,
		struct platter_error *err)
{
	struct qcow2 *q = qcow2_of(disk);
	struct qcow2_diagnosis d;
	uint32_t clear;
	int r = pl_qcow2_diagnose(q, findings, &d, err);

	if (r < 0)
		return r;
	clear = flags_to_clear(q, findings);
	if (dry_run)
		return 0;
	r = rebuild_until_right(q, d, err);
	return r == 0 && clear ? clear_flags(q, clear, err) : r;
}
