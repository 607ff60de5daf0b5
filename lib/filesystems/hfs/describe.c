/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hfs/describe.c - the blocks in use, and what there is to say of a volume */
#include "hfs.h"

/* The bitmap is read in pieces: of the largest volume it has 512 MiB. */
#define PIECE KIB(256)

/* Add the blocks in use by the bitmap that is read by `read`. */
static int
add_bitmap(struct hfs *fs, const struct pl_runs *runs, uint64_t at, struct pl_ranges *used,
	   struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bits = malloc(PIECE);
	uint64_t left = fs->nr_blocks, done = 0;
	int r = 0;

	if (!bits)
		return pl_no_memory(err);
	while (left && r == 0) {
		uint64_t nr = PL_MIN(left, PIECE * 8);
		size_t n = (size_t)pl_div_round_up(nr, 8);

		r = runs ? pl_hfs_read(fs, runs, bits, n, done / 8, err)
			 : pl_read(fs->volume.disk, bits, n, at + done / 8, err);
		if (r == 0)
			r = pl_ranges_add_bits(used, bits, nr, PL_MSB_FIRST, true,
					       fs->start + done * fs->block_size, fs->block_size,
					       err);
		left -= nr;
		done += nr;
	}
	return r;
}

static int
add_allocation(struct hfs *fs, struct pl_ranges *used, struct platter_error *err)
{
	uint64_t wanted = pl_div_round_up(fs->nr_blocks, 8);
	struct pl_runs runs = { 0 };
	struct hfs_fork fork;
	int r;

	pl_hfs_fork_plus(fs->header + VH_ALLOCATION, &fork);
	if (fork.size < wanted)
		return pl_corrupt(err, VH_ALLOCATION,
				  "allocation file of %" PRIu64 " bytes for %" PRIu32 " blocks",
				  fork.size, fs->nr_blocks);
	r = pl_hfs_fork_runs(fs, &fork, CNID_ALLOCATION, FORK_DATA, &runs, err);
	if (r == 0)
		r = add_bitmap(fs, &runs, 0, used, err);
	pl_runs_done(&runs);
	return r;
}

int
pl_hfs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	struct hfs *fs = pl_hfs(v);
	int r;

	if (v->state == PLATTER_STATE_DIRTY)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "it was not unmounted: blocks may be in use that are not marked");
	/* Boot blocks, header, what wraps the volume; the copy of the header. */
	r = pl_ranges_add(used, 0, fs->start + (fs->plus ? 1536 : 0), err);
	if (r == 0)
		r = pl_ranges_add(used, fs->end - 1024, 1024, err);
	if (r == 0 && fs->wrapped)
		r = pl_ranges_add(used, fs->end, v->size - PL_MIN(v->size, fs->end), err);
	if (r < 0)
		return r;
	return fs->plus ? add_allocation(fs, used, err)
			: add_bitmap(fs, NULL, get_be16(fs->header + MDB_BITMAP) * UINT64_C(512),
				     used, err);
}

static void
tell_time(struct pl_facts *facts, const char *key, const char *label, uint32_t seconds)
{
	if (seconds)
		pl_fact_time(facts, key, label, (int64_t)seconds - HFS_EPOCH);
}

static void
describe_journal(const struct hfs *fs, struct pl_facts *facts)
{
	const struct hfs_journal *j = &fs->journal;

	if (!j->present)
		return;
	if (j->size)
		pl_fact_size(facts, "journal_size", "size of the journal", j->size);
	if (j->nr_transactions)
		pl_fact_number(facts, "journal_transactions", "transactions taken from the journal",
			       j->nr_transactions);
	if (j->replayed)
		pl_warn(facts, "its journal holds changes that are not in their place yet: they "
			       "are seen, and not written");
	if (j->problem[0])
		pl_warn(facts, "the journal cannot be replayed: %s", j->problem);
}

void
pl_hfs_describe(struct pl_volume *v, struct pl_facts *facts)
{
	struct hfs *fs = pl_hfs(v);
	const uint8_t *h = fs->header;
	uint32_t blessed = get_be32(h + (fs->plus ? VH_FINDER_INFO : MDB_FINDER_INFO));

	if (fs->plus)
		pl_fact_flag(facts, "case_sensitive", "case-sensitive", fs->catalog.binary);
	/* Of HFS Plus too the time of creation is local. */
	tell_time(facts, "created", "created", get_be32(h + (fs->plus ? VH_CREATED : MDB_CREATED)));
	tell_time(facts, "backed_up", "backed up",
		  get_be32(h + (fs->plus ? VH_BACKED_UP : MDB_BACKED_UP)));
	if (fs->plus)
		tell_time(facts, "checked", "checked", get_be32(h + VH_CHECKED));
	if (blessed)
		pl_fact_number(facts, "blessed_folder", "CNID of the system folder", blessed);
	describe_journal(fs, facts);
	if (fs->from_backup)
		pl_warn(facts, "the header is gone: its copy was used");
	if (fs->problem[0])
		pl_warn(facts, "%s: some files or attributes cannot be read", fs->problem);
	if (v->state == PLATTER_STATE_DIRTY)
		pl_warn(facts, "it was not unmounted: what was written last may be missing");
}
