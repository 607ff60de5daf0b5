/* SPDX-License-Identifier: GPL-3.0-or-later */
/* levels.c - clusters mapped by a table of tables */
#include "levels.h"
#include "uses.h"

/* Maps 8 TiB with the smallest tables of 512-byte clusters. */
#define MAX_L1_BYTES GIB(2)
/* What is read of a table at once, and copied for each entry. */
#define PIECE 4096u

int
pl_levels_init(struct pl_levels *l, uint64_t offset, uint64_t size, struct platter_error *err)
{
	uint64_t nr = pl_div_round_up(size, 1ull << (l->cluster_bits + l->l2_bits));
	int r;

	if (nr > MAX_L1_BYTES / 8)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "L1 table of %" PRIu64 " entries, limit is %" PRIu64, nr,
				     (uint64_t)MAX_L1_BYTES / 8);
	r = pl_block_table_init(&l->l1, l->file, nr ? offset : 0, nr * 8, 0, err);
	if (r < 0)
		return r;
	l->piece = (uint32_t)PL_MIN(8ull << l->l2_bits, PIECE);
	/* Not the file, which may be an image with chunks of its own in the cache. */
	return pl_slice_new(l->file, 0, l->file->size, l->file->name, &l->owner, err);
}

void
pl_levels_done(struct pl_levels *l)
{
	pl_block_table_done(&l->l1);
	pl_disk_unref(l->owner);
	l->owner = NULL;
}

static uint64_t
get_entry(const struct pl_levels *l, const uint8_t *p)
{
	return l->big_endian ? get_be64(p) : get_le64(p);
}

/* Where the table is that the index-th L1 entry names; 0: there is none. */
static int
table_of(struct pl_levels *l, uint64_t index, uint64_t *ret, struct platter_error *err)
{
	uint64_t bytes = 8ull << l->l2_bits, offset;
	const uint8_t *p;
	int r = pl_block_table_get(&l->l1, index * 8, 8, &p, err);

	if (r < 0)
		return r;
	offset = get_entry(l, p);
	if (offset & (l->align - 1))
		return pl_corrupt(err, l->l1.offset + index * 8,
				  "L1 entry %" PRIu64 ": table at byte %" PRIu64
				  " is not at a multiple of %" PRIu64 " bytes",
				  index, offset, l->align);
	if (offset && !pl_in_range(offset, bytes, l->file->size)) {
		r = pl_corrupt(err, l->l1.offset + index * 8,
			       "L1 entry %" PRIu64 ": table of %" PRIu64 " bytes at byte %" PRIu64
			       " passes the end of the file (%" PRIu64 " bytes)",
			       index, bytes, offset, l->file->size);
		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	*ret = offset;
	return 0;
}

int
pl_levels_get(struct pl_levels *l, uint64_t offset, uint64_t length, struct pl_level_entry *ret,
	      struct platter_error *err)
{
	uint32_t shift = l->cluster_bits + l->l2_bits;
	uint64_t index = offset >> shift, in_table, table_at, end;
	uint8_t piece[PIECE];
	int r = table_of(l, index, &table_at, err);

	if (r < 0)
		return r;
	*ret = (struct pl_level_entry){ 0 };
	if (!table_at) {
		/* A byte that is set may be any of its entry. */
		end = ((offset + PL_MIN(length, INT64_MAX - offset)) >> shift) + 1;
		r = pl_block_table_skip(&l->l1, index * 8, end * 8, &end, err);
		ret->absent = (PL_MAX(end / 8, index + 1) << shift) - offset;
		return r;
	}
	in_table = (offset >> l->cluster_bits & ((1ull << l->l2_bits) - 1)) * 8;
	ret->at = table_at + in_table;
	r = pl_block_cached(l->owner, l->file, table_at + pl_round_down(in_table, l->piece),
			    l->piece, piece, err);
	if (r < 0)
		return r;
	in_table %= l->piece;
	ret->value = get_entry(l, piece + in_table);
	for (ret->same = 1; in_table + ret->same * 8 < l->piece; ret->same++)
		if (get_entry(l, piece + in_table + ret->same * 8) != ret->value)
			break;
	return 0;
}

struct check {
	struct pl_levels *l;
	struct pl_findings *findings;
	int (*decode)(struct pl_levels *l, const struct pl_level_entry *entry,
		      struct pl_extent *ret, struct platter_error *err);
	struct pl_uses uses;
	bool compressed; /* there is data that was not counted */
};

/* Note [offset, offset + n) as used; false: part of it was. */
static bool
use(struct check *c, uint64_t offset, uint64_t n, uint64_t at, const char *what)
{
	uint64_t taken;

	if (!n || pl_use(&c->uses, offset >> c->l->cluster_bits,
			 (offset + n - 1) >> c->l->cluster_bits, &taken))
		return true;
	pl_found(c->findings, PLATTER_DAMAGE, at,
		 "%s: cluster at byte %" PRIu64 " is used for something else too", what,
		 taken << c->l->cluster_bits);
	return false;
}

static void
check_table(struct check *c, uint64_t guest)
{
	struct pl_levels *l = c->l;

	for (uint64_t i = 0, step; i < 1ull << l->l2_bits; i += step) {
		struct platter_error err = PLATTER_ERROR_INIT;
		struct pl_level_entry entry;
		struct pl_extent extent = { 0 };
		int r = pl_levels_get(l, guest + (i << l->cluster_bits), 1, &entry, &err);

		step = r == 0 && !entry.value ? entry.same : 1;
		if (r == 0 && !entry.value)
			continue;
		if (r == 0)
			r = c->decode(l, &entry, &extent, &err);
		if (r < 0)
			pl_found(c->findings, PLATTER_DAMAGE, err.offset, "%s", err.message);
		else if (extent.decoder)
			c->compressed = true;
		else if (extent.kind == PLATTER_DATA)
			(void)use(c, extent.stored_offset, extent.length, entry.at, "data");
	}
}

static void
report_unused(struct check *c, uint64_t header)
{
	uint64_t first = 0, nr;

	nr = pl_unused(&c->uses, pl_div_round_up(header, 1ull << c->l->cluster_bits), &first);
	if (nr)
		pl_found(c->findings, PLATTER_LEAK, first << c->l->cluster_bits,
			 "%" PRIu64 " clusters (%" PRIu64 " bytes) are used by nothing", nr,
			 nr << c->l->cluster_bits);
}

static int
check_levels(struct check *c, uint64_t header, struct platter_error *err)
{
	struct pl_levels *l = c->l;
	uint64_t at = 0, table = 0;
	int r;

	if (l->l1.offset >= header)
		(void)use(c, l->l1.offset, PL_MAX(l->l1.bytes, l->l1_room), l->l1.offset,
			  "L1 table");
	for (;; at = pl_round_down(at, 8) + 8) {
		struct platter_error e = PLATTER_ERROR_INIT;

		r = pl_block_table_skip(&l->l1, at, l->l1.bytes, &at, err);
		if (r < 0 || at >= l->l1.bytes)
			return r;
		if (table_of(l, at / 8, &table, &e) < 0)
			pl_found(c->findings, PLATTER_DAMAGE, e.offset, "%s", e.message);
		/* Not twice: all of L1 may name the same table. */
		else if (use(c, table, 8ull << l->l2_bits, l->l1.offset + pl_round_down(at, 8),
			     "L2 table"))
			check_table(c, (at / 8) << (l->cluster_bits + l->l2_bits));
	}
}

int
pl_levels_check(struct pl_levels *l, uint64_t header,
		int (*decode)(struct pl_levels *l, const struct pl_level_entry *entry,
			      struct pl_extent *ret, struct platter_error *err),
		struct pl_findings *findings, struct platter_error *err)
{
	struct check c = { .l = l, .findings = findings, .decode = decode };
	int r;

	r = pl_uses_init(&c.uses, pl_div_round_up(l->file->size, 1ull << l->cluster_bits), findings,
			 err);
	if (r)
		return r < 0 ? r : 0;
	(void)use(&c, 0, header, 0, "header");
	r = check_levels(&c, header, err);
	if (r == 0 && !c.compressed)
		report_unused(&c, header);
	pl_uses_done(&c.uses);
	return r;
}
