/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * check.c - is a QCOW2 image what its refcounts say?
 *
 * Every structure is walked and each cluster's users are counted; then the counts are
 * compared with the refcounts.  The counters cover a window of the file; what does not
 * fit into one is walked again for the next, so that memory stays bounded.
 */
#include "image.h"

/* 64 MiB of counters: 1 TiB of file with 64 KiB clusters. */
#define WINDOW      (1u << 24)
#define MAX_WINDOWS 64

/* What a cluster is used for: clusters of one use may be shared, those of several never. */
enum use {
	USE_NONE,
	USE_METADATA,  /* has exactly one user */
	USE_REFCOUNTS, /* the same; can be made again */
	USE_L2,        /* shared by the L1 tables of snapshots */
	USE_DATA,
};
#define COUNT_BITS 29
#define COUNT_MAX  ((1u << COUNT_BITS) - 1)

static const char *const use_names[] = { "nothing", "metadata", "refcounts", "an L2 table",
					 "data" };

/* What would put a finding right. */
enum fix {
	FIX_NONE,
	FIX_RECOUNT,
	FIX_BITMAPS, /* give them up */
};

struct check {
	struct qcow2 *q;
	struct pl_findings *findings;
	uint64_t nr_clusters; /* of the file */
	uint64_t first;       /* cluster of the window */
	uint32_t *counts;     /* use << COUNT_BITS | users */
	uint32_t nr_counts;
	uint32_t nr_l1_tables; /* walked so far */
	bool quiet;            /* not the first window: structure was reported already */
	bool repairing;        /* say of what can be put right that it is */
	bool in_bitmaps;       /* what is found is about them */
	bool old_refcounts;    /* their clusters are in use */
	bool bitmaps;          /* theirs, too */
	struct qcow2_diagnosis diagnosis;
};

/* How a finding is reported. */
static enum platter_severity
judge(struct check *c, enum platter_severity severity, enum fix fix)
{
	if (fix == FIX_NONE && c->in_bitmaps)
		fix = FIX_BITMAPS;
	c->diagnosis.recount |= fix != FIX_NONE;
	c->diagnosis.drop_bitmaps |= fix == FIX_BITMAPS;
	return fix == FIX_NONE || !c->repairing ? severity : PLATTER_REPAIRED;
}

/* Report what is wrong and has a place, once. */
#define WRONG(c, fix, at, ...)                                                                   \
	do {                                                                                     \
		if (!(c)->quiet)                                                                 \
			pl_found((c)->findings, judge(c, PLATTER_DAMAGE, fix), at, __VA_ARGS__); \
	} while (0)
#define DAMAGE(c, at, ...) WRONG(c, FIX_NONE, at, __VA_ARGS__)

static void
damage_from(struct check *c, const struct platter_error *err)
{
	DAMAGE(c, err->offset, "%s", err->message);
}

/*
 * Count one user of a cluster, which the field at byte `at` names.  False: the use
 * contradicts another, and what stands there should not be believed.
 */
static bool
count_cluster(struct check *c, uint64_t cluster, enum use use, uint64_t at)
{
	uint32_t *count, users;
	enum use other;
	bool fits;

	if (cluster < c->first || cluster - c->first >= c->nr_counts)
		return true;
	count = &c->counts[cluster - c->first];
	users = *count & COUNT_MAX;
	other = (enum use)(*count >> COUNT_BITS);
	fits = other == USE_NONE || (other == use && use > USE_REFCOUNTS);
	if (!fits)
		pl_found(c->findings,
			 judge(c, PLATTER_DAMAGE,
			       other == USE_REFCOUNTS || use == USE_REFCOUNTS ? FIX_RECOUNT
									      : FIX_NONE),
			 at, "cluster at byte %" PRIu64 " is used for %s and for %s",
			 cluster << c->q->header.cluster_bits, use_names[other],
			 other == use ? "other metadata" : use_names[use]);
	/* Refcounts are written anew: whatever else stands there may be believed. */
	if (other == USE_REFCOUNTS)
		fits = use != USE_REFCOUNTS;
	if (use == USE_L2 && users >= c->nr_l1_tables && fits && users) {
		pl_found(c->findings, judge(c, PLATTER_DAMAGE, FIX_NONE), at,
			 "L2 table at byte %" PRIu64 " is used twice by one L1 table",
			 cluster << c->q->header.cluster_bits);
		fits = false;
	}
	if (users < COUNT_MAX)
		users++;
	*count = (uint32_t)(other == USE_NONE ? use : other) << COUNT_BITS | users;
	return fits;
}

/* The same for the clusters of [offset, offset + n), which may end past the file only by slack. */
static bool
count_range(struct check *c, uint64_t offset, uint64_t n, enum use use, uint64_t at,
	    const char *what)
{
	uint32_t bits = c->q->header.cluster_bits;
	uint64_t first = offset >> bits, last;
	bool fits = true;

	if (!n)
		return true;
	if (!pl_in_range(offset, 1, c->q->file->size) ||
	    (use != USE_DATA && !pl_in_range(offset, n, c->q->file->size))) {
		WRONG(c, use == USE_REFCOUNTS ? FIX_RECOUNT : FIX_NONE, at,
		      "%s of %" PRIu64 " bytes at byte %" PRIu64 " is outside of the file (%" PRIu64
		      " bytes)",
		      what, n, offset, c->q->file->size);
		return false;
	}
	last = (offset + n - 1) >> bits;
	for (uint64_t cluster = first; cluster <= last; cluster++)
		fits &= count_cluster(c, cluster, use, at);
	return fits;
}

/* An entry of the L1 that is in use must say truly whether the cluster has only this user. */
static void
check_copied(struct check *c, uint64_t offset, bool copied, uint64_t at, const char *what)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	uint64_t refcount;

	if (c->quiet ||
	    pl_qcow2_refcount_get(c->q, offset >> c->q->header.cluster_bits, &refcount, &err) < 0)
		return;
	if (copied != (refcount == 1))
		WRONG(c, FIX_RECOUNT, at,
		      "%s at byte %" PRIu64 " has refcount %" PRIu64 " and is %smarked as copied",
		      what, offset, refcount, copied ? "" : "not ");
}

static void
check_l2(struct check *c, uint64_t offset, uint64_t guest, bool active)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct qcow2 *q = c->q;
	struct qcow2_table *table;

	if (pl_qcow2_table_get(q, offset, &table, &err) < 0) {
		damage_from(c, &err);
		return;
	}
	for (uint32_t i = 0; i < 1u << q->l2_bits; i++, guest += q->cluster_size) {
		uint64_t at = offset + (uint64_t)i * q->l2_entry_size;
		struct qcow2_entry e;

		if (!get_be64(table->bytes + (size_t)i * q->l2_entry_size) && !q->extended)
			continue;
		if (pl_qcow2_entry_decode(q, table->bytes, offset, i, &e, &err) < 0) {
			damage_from(c, &err);
		} else if (e.kind == QCOW2_ENTRY_COMPRESSED) {
			(void)count_range(c, e.host, e.stored, USE_DATA, at, "compressed data");
		} else if (e.kind == QCOW2_ENTRY_NORMAL && q->external) {
			if (e.host != guest)
				DAMAGE(c, at,
				       "byte %" PRIu64 " of the disk is at byte %" PRIu64
				       " of the data file, where it must be at its own",
				       guest, e.host);
		} else if (e.kind == QCOW2_ENTRY_NORMAL) {
			(void)count_range(c, e.host, q->cluster_size, USE_DATA, at, "data");
			if (active)
				check_copied(c, e.host, e.copied, at, "data");
		}
	}
	pl_qcow2_table_put(q, table);
}

/* An L1 table and all below; `at` is the field that names it. */
static void
check_l1(struct check *c, uint64_t offset, uint32_t nr, uint64_t at, bool active)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct qcow2 *q = c->q;
	uint8_t part[4096];

	c->nr_l1_tables++;
	if (offset & (q->cluster_size - 1)) {
		DAMAGE(c, at, "L1 table at byte %" PRIu64 " does not begin a cluster", offset);
		return;
	}
	if (!count_range(c, offset, (uint64_t)nr * 8, USE_METADATA, at, "L1 table"))
		return;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t in_part = i % (sizeof part / 8);
		uint64_t entry, entry_at = offset + (uint64_t)i * 8, l2;

		if (in_part == 0) {
			size_t n = (size_t)PL_MIN(sizeof part, (uint64_t)(nr - i) * 8);

			if (pl_read(q->file, part, n, entry_at, &err) < 0) {
				damage_from(c, &err);
				return;
			}
		}
		entry = get_be64(part + in_part * 8);
		if (pl_qcow2_l1_decode(q, entry, entry_at, &l2, &err) < 0) {
			damage_from(c, &err);
			continue;
		}
		if (!l2 && entry)
			DAMAGE(c, entry_at, "L1 entry 0x%016" PRIx64 " names no L2 table", entry);
		if (!l2)
			continue;
		if (active)
			check_copied(c, l2, entry & QCOW2_COPIED, entry_at, "L2 table");
		if (count_cluster(c, l2 >> q->header.cluster_bits, USE_L2, entry_at))
			check_l2(c, l2, (uint64_t)i << (q->header.cluster_bits + q->l2_bits),
				 active);
	}
}

static void
check_snapshots(struct check *c)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct qcow2 *q = c->q;
	struct qcow2_snapshots s;

	if (pl_qcow2_snapshots_read(q->file, &q->header, &s, &err) < 0) {
		damage_from(c, &err);
		return;
	}
	(void)count_range(c, q->header.snapshots_offset, s.table_size, USE_METADATA,
			  QCOW2_SNAPSHOTS_OFFSET, "snapshot table");
	for (size_t i = 0; i < s.nr; i++) {
		if (s.list[i].l1_size > MIB(32) / 8)
			DAMAGE(c, s.list[i].at + 8,
			       "snapshot %zu has an L1 table of %" PRIu32 " entries", i + 1,
			       s.list[i].l1_size);
		else
			check_l1(c, s.list[i].l1_offset, s.list[i].l1_size, s.list[i].at, false);
	}
	pl_qcow2_snapshots_done(&s);
}

static void
check_bitmap(struct check *c, const struct qcow2_bitmap *b)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct qcow2 *q = c->q;
	uint8_t part[4096];

	if (b->table_offset & (q->cluster_size - 1)) {
		DAMAGE(c, b->at, "bitmap table at byte %" PRIu64 " does not begin a cluster",
		       b->table_offset);
		return;
	}
	if (!count_range(c, b->table_offset, (uint64_t)b->table_entries * 8, USE_METADATA, b->at,
			 "bitmap table"))
		return;
	for (uint32_t i = 0; i < b->table_entries; i++) {
		uint32_t in_part = i % (sizeof part / 8);
		uint64_t at = b->table_offset + (uint64_t)i * 8, entry, offset;

		if (in_part == 0 &&
		    pl_read(q->file, part,
			    (size_t)PL_MIN(sizeof part, (uint64_t)(b->table_entries - i) * 8), at,
			    &err) < 0) {
			damage_from(c, &err);
			return;
		}
		entry = get_be64(part + in_part * 8);
		offset = entry & QCOW2_OFFSET_MASK;
		if (entry & ~QCOW2_OFFSET_MASK & (offset ? ~0ull : ~1ull) ||
		    offset & (q->cluster_size - 1))
			DAMAGE(c, at, "bitmap table entry 0x%016" PRIx64 " has reserved bits set",
			       entry);
		else if (offset)
			(void)count_range(c, offset, q->cluster_size, USE_METADATA, at, "bitmap");
	}
}

static void
check_bitmaps(struct check *c)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct qcow2_header *h = &c->q->header;
	struct qcow2_bitmaps bitmaps;

	c->in_bitmaps = true;
	if (pl_qcow2_bitmaps_read(c->q->file, h, &bitmaps, &err) < 0) {
		damage_from(c, &err);
		c->in_bitmaps = false;
		return;
	}
	if (bitmaps.nr)
		(void)count_range(c, h->bitmaps_offset, h->bitmaps_size, USE_METADATA,
				  h->bitmaps_offset, "bitmap directory");
	for (size_t i = 0; i < bitmaps.nr; i++)
		check_bitmap(c, &bitmaps.list[i]);
	pl_qcow2_bitmaps_done(&bitmaps);
	c->in_bitmaps = false;
}

static void
check_refcount_blocks(struct check *c)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct qcow2 *q = c->q;

	(void)count_range(c, q->header.refcount_table_offset, (uint64_t)q->nr_refcount_table * 8,
			  USE_REFCOUNTS, QCOW2_REFCOUNT_TABLE_OFFSET, "refcount table");
	for (size_t i = 0; i < q->nr_refcount_table; i++) {
		uint64_t offset;

		if (pl_qcow2_refcount_block(q, i, &offset, &err) < 0)
			WRONG(c, FIX_RECOUNT, err.offset, "%s", err.message);
		else if (offset)
			(void)count_cluster(c, offset >> q->header.cluster_bits, USE_REFCOUNTS,
					    q->header.refcount_table_offset + i * 8);
	}
}

/* Everything that uses clusters. */
static void
count_all(struct check *c)
{
	const struct qcow2_header *h = &c->q->header;

	c->nr_l1_tables = 0;
	(void)count_cluster(c, 0, USE_METADATA, 0);
	if (c->old_refcounts)
		check_refcount_blocks(c);
	check_l1(c, h->l1_offset, h->l1_size, QCOW2_L1_OFFSET, true);
	if (h->nr_snapshots)
		check_snapshots(c);
	if (c->bitmaps)
		check_bitmaps(c);
	if (h->luks_length)
		(void)count_range(c, h->luks_offset, h->luks_length, USE_METADATA, h->luks_offset,
				  "LUKS header");
}

static void
report_leak(struct check *c, uint64_t first, uint64_t nr)
{
	if (nr)
		pl_found(c->findings, judge(c, PLATTER_LEAK, FIX_RECOUNT),
			 first << c->q->header.cluster_bits,
			 "%" PRIu64 " clusters (%" PRIu64
			 " bytes) are counted as used, but by nothing or less often than counted",
			 nr, nr << c->q->header.cluster_bits);
}

static void
compare(struct check *c)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	uint64_t leak = 0, nr_leaks = 0;
	bool unreadable = false;

	for (uint32_t i = 0; i < c->nr_counts; i++) {
		uint64_t cluster = c->first + i, refcount = 0, users = c->counts[i] & COUNT_MAX;

		if (cluster >= c->nr_clusters && !users)
			break;
		if (pl_qcow2_refcount_get(c->q, cluster, &refcount, &err) < 0) {
			/* A block that is not there is told once, by the table's check. */
			unreadable = true;
			continue;
		}
		if (refcount > users) {
			if (leak + nr_leaks != cluster) {
				report_leak(c, leak, nr_leaks);
				leak = cluster;
				nr_leaks = 0;
			}
			nr_leaks++;
		} else if (refcount < users) {
			pl_found(c->findings, judge(c, PLATTER_DAMAGE, FIX_RECOUNT),
				 cluster << c->q->header.cluster_bits,
				 "cluster at byte %" PRIu64 " has refcount %" PRIu64
				 " but is used %" PRIu64 " times",
				 cluster << c->q->header.cluster_bits, refcount, users);
		}
	}
	report_leak(c, leak, nr_leaks);
	if (unreadable && !c->repairing)
		pl_found(c->findings, PLATTER_NOTE, PLATTER_NO_OFFSET,
			 "clusters whose refcounts cannot be read were not compared");
}

/* Call visit() with the counts of each window.  -EFBIG: there are more than can be looked at. */
static int
each_window(struct check *c,
	    int (*visit)(struct check *c, void *closure, struct platter_error *err), void *closure,
	    struct platter_error *err)
{
	PL_AUTOFREE uint32_t *counts = NULL;
	int r = 0;

	c->nr_clusters = pl_div_round_up(c->q->file->size, c->q->cluster_size);
	/* Compressed data is measured in sectors and may seem to end one cluster past the file. */
	c->nr_counts = (uint32_t)PL_MIN(c->nr_clusters + 1, (uint64_t)WINDOW);
	c->counts = counts = calloc(c->nr_counts, sizeof *counts);
	if (!counts)
		return pl_no_memory(err);
	for (unsigned i = 0; i < MAX_WINDOWS && c->first <= c->nr_clusters && r == 0; i++) {
		memset(counts, 0, c->nr_counts * sizeof *counts);
		count_all(c);
		r = visit(c, closure, err);
		c->first += c->nr_counts;
		c->quiet = true;
	}
	c->counts = NULL;
	if (r == 0 && c->first <= c->nr_clusters)
		r = pl_over_limit(err, c->first << c->q->header.cluster_bits,
				  "the refcounts of clusters from byte %" PRIu64
				  " on were not compared",
				  c->first << c->q->header.cluster_bits);
	return r;
}

static int
visit_compare(struct check *c, void *closure, struct platter_error *err)
{
	(void)closure, (void)err;
	compare(c);
	return 0;
}

static int
check_image(struct check *c, struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct qcow2 *q = c->q;
	int r;

	if (!q->header.refcount_table_clusters)
		WRONG(c, FIX_RECOUNT, QCOW2_REFCOUNT_TABLE_OFFSET,
		      "there is no refcount table, or it cannot be where the header says");
	c->old_refcounts = c->bitmaps = true;
	r = each_window(c, visit_compare, NULL, &why);
	if (r == -EFBIG) {
		pl_found(c->findings, PLATTER_NOTE, why.offset, "%s", why.message);
		return 0;
	}
	return r == -ENOMEM ? pl_no_memory(err) : r;
}

int
pl_qcow2_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct qcow2 *q = qcow2_of(disk);
	struct check c = { .q = q, .findings = findings };
	struct platter_error why = PLATTER_ERROR_INIT;
	int r = pl_flush(disk, &why);

	if (r == 0)
		r = pl_qcow2_refcounts_load(q, &why);
	if (r == -ENOMEM)
		return pl_no_memory(err);
	if (r < 0) {
		damage_from(&c, &why);
		return 0;
	}
	if (q->header.incompatible & QCOW2_INCOMPAT_DIRTY)
		pl_found(findings, PLATTER_NOTE, QCOW2_INCOMPATIBLE,
			 "the image was not closed: its refcounts may be out of date");
	if (q->header.incompatible & QCOW2_INCOMPAT_CORRUPT)
		pl_found(findings, PLATTER_DAMAGE, QCOW2_INCOMPATIBLE,
			 "the image is marked as corrupt");
	return check_image(&c, err);
}

int
pl_qcow2_diagnose(struct qcow2 *q, struct pl_findings *findings, struct qcow2_diagnosis *ret,
		  struct platter_error *err)
{
	struct check c = { .q = q, .findings = findings, .repairing = true };
	int r = pl_qcow2_refcounts_load(q, err);

	if (r == 0)
		r = check_image(&c, err);
	*ret = c.diagnosis;
	return r;
}

/* Nobody wants to know again. */
static void
ignore(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
       const char *message)
{
	(void)findings, (void)severity, (void)offset, (void)message;
}

struct taker {
	int (*take)(void *closure, uint64_t cluster, uint64_t users, struct platter_error *err);
	void *closure;
};

static int
visit_take(struct check *c, void *closure, struct platter_error *err)
{
	const struct taker *t = closure;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < c->nr_counts; i++)
		if (c->counts[i] & COUNT_MAX)
			r = t->take(t->closure, c->first + i, c->counts[i] & COUNT_MAX, err);
	return r;
}

int
pl_qcow2_recount(struct qcow2 *q, bool bitmaps,
		 int (*take)(void *closure, uint64_t cluster, uint64_t users,
			     struct platter_error *err),
		 void *closure, struct platter_error *err)
{
	struct pl_findings nobody = { .found = ignore };
	struct check c = { .q = q, .findings = &nobody, .quiet = true, .bitmaps = bitmaps };
	struct taker taker = { take, closure };

	return each_window(&c, visit_take, &taker, err);
}
