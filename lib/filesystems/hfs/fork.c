/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hfs/fork.c - where a fork's bytes are
 *
 * A fork's record has its first extents, 3 of HFS and 8 of HFS Plus.  More of them are in the
 * extents overflow file, a tree with the keys
 *
 *	HFS	   1 length, 1 fork, 4 CNID, 2 first block of the fork
 *	HFS Plus   2 length, 1 fork, 1 nothing, 4 CNID, 4 first block of the fork
 */
#include "hfs.h"

struct extents_key {
	uint32_t cnid;
	unsigned kind;
	bool plus;
};

struct overflow {
	const struct hfs *fs;
	uint64_t wanted, blocks;
	struct pl_runs *runs;
};

void
pl_hfs_fork_plus(const uint8_t p[static 80], struct hfs_fork *ret)
{
	ret->size = get_be64(p);
	ret->blocks = get_be32(p + 12);
	memcpy(ret->extents, p + 16, 64);
}

void
pl_hfs_fork_old(const struct hfs *fs, uint64_t size, uint64_t stored,
		const uint8_t extents[static 12], struct hfs_fork *ret)
{
	*ret = (struct hfs_fork){ .size = size, .blocks = stored / fs->block_size };
	memcpy(ret->extents, extents, 12);
}

int
pl_hfs_add_extents(const struct hfs *fs, const uint8_t *extents, uint64_t wanted, uint64_t *blocks,
		   struct pl_runs *runs, struct platter_error *err)
{
	int nr = fs->plus ? 8 : 3, r = 0;

	for (int i = 0; r == 0 && i < nr && *blocks < wanted; i++) {
		uint32_t start = fs->plus ? get_be32(extents + 8 * i) : get_be16(extents + 4 * i);
		uint32_t count =
			fs->plus ? get_be32(extents + 8 * i + 4) : get_be16(extents + 4 * i + 2);

		if (!count)
			break;
		if (!pl_in_range(start, count, fs->nr_blocks))
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "extent of %" PRIu32 " blocks at block %" PRIu32
					  ", the volume has %" PRIu32,
					  count, start, fs->nr_blocks);
		r = pl_runs_add_data(runs, *blocks * fs->block_size,
				     (uint64_t)count * fs->block_size,
				     fs->start + (uint64_t)start * fs->block_size, err);
		*blocks += count;
	}
	return r;
}

static int
order_extents(const void *wanted, const uint8_t *key, unsigned n)
{
	const struct extents_key *w = wanted;
	uint32_t cnid;

	if (n < (w->plus ? 10 : 7))
		return -1;
	cnid = get_be32(key + (w->plus ? 2 : 1));
	if (cnid != w->cnid)
		return cnid < w->cnid ? -1 : 1;
	return (key[0] > w->kind) - (key[0] < w->kind);
}

static int
take_extents(void *closure, const struct hfs_record *record, struct platter_error *err)
{
	struct overflow *o = closure;
	uint32_t first = o->fs->plus ? get_be32(record->key + 6) : get_be16(record->key + 5);

	/* More may be allocated than is used. */
	if (o->blocks >= o->wanted)
		return 1;
	if (record->length < (o->fs->plus ? 64 : 12))
		return pl_corrupt(err, PLATTER_NO_OFFSET, "extents of %u bytes", record->length);
	/* HFS has 16 bits for what may be more. */
	if (o->fs->plus ? first != o->blocks : first != (o->blocks & 0xffff))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "extents of block %" PRIu32
				  " of a fork follow those up to block %" PRIu64,
				  first, o->blocks);
	return pl_hfs_add_extents(o->fs, record->data, o->wanted, &o->blocks, o->runs, err);
}

int
pl_hfs_fork_runs(struct hfs *fs, const struct hfs_fork *fork, uint32_t cnid, unsigned kind,
		 struct pl_runs *ret, struct platter_error *err)
{
	struct overflow o = { .fs = fs,
			      .wanted = pl_div_round_up(fork->size, fs->block_size),
			      .runs = ret };
	const struct extents_key key = { cnid, kind, fs->plus };
	int r = pl_hfs_add_extents(fs, fork->extents, o.wanted, &o.blocks, ret, err);

	if (r == 0 && o.blocks < o.wanted && fs->extents.size)
		r = pl_hfs_tree_walk(fs, &fs->extents, order_extents, &key, take_extents, &o, err);
	if (r >= 0 && o.blocks < o.wanted)
		r = pl_corrupt(err, PLATTER_NO_OFFSET,
			       "fork of %" PRIu64 " bytes of CNID %" PRIu32 " has only %" PRIu64
			       " blocks of %" PRIu32,
			       fork->size, cnid, o.blocks, fs->block_size);
	if (r < 0)
		pl_runs_done(ret);
	return PL_MIN(r, 0);
}

int
pl_hfs_read(struct hfs *fs, const struct pl_runs *runs, void *buf, size_t n, uint64_t offset,
	    struct platter_error *err)
{
	size_t low = 0, high = runs->nr;
	uint8_t *p = buf;
	int r = 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (runs->run[mid].offset + runs->run[mid].length <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	for (; n && r == 0 && low < runs->nr; low++) {
		const struct pl_run *run = &runs->run[low];
		uint64_t into = offset - run->offset;
		size_t part = (size_t)PL_MIN(n, run->length - into);

		r = pl_meta_read(fs->volume.meta, p, part, run->stored + into, err);
		p += part;
		offset += part;
		n -= part;
	}
	if (r == 0 && n)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "%zu bytes at byte %" PRIu64 " of a fork are past its blocks", n,
				  offset);
	return r;
}

int
pl_hfs_fork_open(struct hfs *fs, const struct hfs_fork *fork, uint32_t cnid, unsigned kind,
		 const char *name, struct pl_disk **ret, struct platter_error *err)
{
	struct pl_runs runs = { 0 };
	int r = pl_hfs_fork_runs(fs, fork, cnid, kind, &runs, err);

	return r < 0 ? r : pl_file_new(fs->volume.disk, &runs, fork->size, name, ret, err);
}
