/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hfs/open.c - from the header to the trees and the root */
#include <stdio.h>

#include "hfs.h"

/* Of Apple's names, in UTF-16: four NULs, and a carriage return at the end. */
#define PRIVATE_FILES   "\0\0\0\0HFS+ Private Data"
#define PRIVATE_FOLDERS ".HFS+ Private Directory Data\r"

static int
find_root(void *closure, const struct hfs_record *record, struct platter_error *err)
{
	struct hfs *fs = closure;
	struct hfs_node node;

	if (pl_hfs_record_type(fs, record) != RECORD_FOLDER ||
	    pl_hfs_node_decode(fs, record, &node, NULL) < 0 || node.cnid != CNID_ROOT)
		return 0;
	fs->volume.root.inode = record->at;
	return 1;
}

/* A tree without which the files can be listed. */
static int
open_other_tree(struct hfs *fs, const struct hfs_fork *fork, uint32_t cnid, const char *name,
		struct hfs_tree *ret, struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	int r;

	if (!fork->size)
		return 0;
	r = pl_hfs_tree_open(fs, fork, cnid, name, ret, &why);
	if (r == -ENOMEM)
		return pl_no_memory(err);
	if (r < 0 && !fs->problem[0])
		snprintf(fs->problem, sizeof fs->problem, "%.159s", why.message);
	return 0;
}

static int
open_trees(struct hfs *fs, const struct hfs_fork *extents, const struct hfs_fork *catalog,
	   struct platter_error *err)
{
	int r = open_other_tree(fs, extents, CNID_EXTENTS, "extents overflow file", &fs->extents,
				err);

	if (r == 0)
		r = pl_hfs_tree_open(fs, catalog, CNID_CATALOG, "catalog", &fs->catalog, err);
	if (r < 0)
		return r;
	r = pl_hfs_folder_walk(fs, CNID_ROOT_PARENT, find_root, fs, err);
	if (r == 0)
		r = pl_corrupt(err, PLATTER_NO_OFFSET, "the catalog has no root folder");
	return PL_MIN(r, 0);
}

/* The folders that hold what hard links stand for; without them there are no links. */
static int
find_private(struct hfs *fs, const char *name, size_t n, uint32_t *ret, struct platter_error *err)
{
	uint8_t units[2 * 32];
	struct hfs_node node;
	uint64_t at;
	int r;

	for (size_t i = 0; i < n; i++)
		put_be16(units + 2 * i, (uint8_t)name[i]);
	r = pl_hfs_find(fs, CNID_ROOT, units, (unsigned)n, &at, err);
	if (r == 0)
		r = pl_hfs_node_read(fs, at, &node, err);
	if (r == 0 && node.folder)
		*ret = node.cnid;
	return r == -ENOMEM ? r : 0;
}

static enum platter_volume_state
state_of(const struct hfs *fs, uint32_t attributes)
{
	if (fs->journal.replayed)
		return PLATTER_STATE_RECOVERED;
	if (fs->journal.problem[0] && !fs->journal.elsewhere)
		return PLATTER_STATE_DIRTY;
	if ((attributes & VOLUME_UNMOUNTED) && !(attributes & VOLUME_INCONSISTENT))
		return PLATTER_STATE_CLEAN;
	/* A journal with nothing in it means that all is where it belongs. */
	if (fs->journal.present && !fs->journal.problem[0] && !(attributes & VOLUME_INCONSISTENT))
		return PLATTER_STATE_CLEAN;
	return PLATTER_STATE_DIRTY;
}

static void
fork_of_file(const struct hfs *fs, unsigned size, unsigned extents, struct hfs_fork *ret)
{
	uint32_t bytes = get_be32(fs->header + size);

	pl_hfs_fork_old(fs, bytes, bytes, fs->header + extents, ret);
}

static int
check_mdb(const uint8_t *mdb, uint64_t at, struct platter_error *err)
{
	uint32_t block_size = get_be32(mdb + MDB_BLOCK_SIZE);

	if (mdb[0] != 'B' || mdb[1] != 'D')
		return pl_corrupt(err, at, "no HFS: its header does not begin with 'BD'");
	if (!block_size || block_size % 512)
		return pl_corrupt(err, at + MDB_BLOCK_SIZE, "HFS blocks of %" PRIu32 " bytes",
				  block_size);
	if (!get_be16(mdb + MDB_BLOCKS) || !get_be16(mdb + MDB_FIRST_BLOCK))
		return pl_corrupt(err, at + MDB_BLOCKS, "HFS volume of %u blocks from sector %u",
				  get_be16(mdb + MDB_BLOCKS), get_be16(mdb + MDB_FIRST_BLOCK));
	return 0;
}

static int
check_header(const uint8_t *h, uint64_t at, struct platter_error *err)
{
	uint32_t block_size = get_be32(h + VH_BLOCK_SIZE);
	unsigned version = get_be16(h + VH_VERSION);

	if (h[0] != 'H' || (h[1] != '+' && h[1] != 'X'))
		return pl_corrupt(err, at,
				  "no HFS Plus: its header does not begin with 'H+' or 'HX'");
	if (version != 4 && version != 5)
		return pl_unsupported(err, at + VH_VERSION, "version %u of HFS Plus", version);
	if (!pl_is_power_of_two(block_size) || block_size < 512)
		return pl_corrupt(err, at + VH_BLOCK_SIZE, "HFS Plus blocks of %" PRIu32 " bytes",
				  block_size);
	if (!get_be32(h + VH_BLOCKS))
		return pl_corrupt(err, at + VH_BLOCKS, "HFS Plus volume without blocks");
	return 0;
}

/* The header of the volume [start, end) into fs->header, or the copy near the end. */
static int
read_header(struct hfs *fs, uint64_t start, uint64_t end,
	    int (*check)(const uint8_t *h, uint64_t at, struct platter_error *err),
	    struct platter_error *err)
{
	uint64_t copy = pl_round_down(end, 512) - HFS_HEADER_AT;
	int r = pl_meta_read(fs->volume.meta, fs->header, HFS_HEADER_SIZE, start + HFS_HEADER_AT,
			     err);

	if (r == 0)
		r = check(fs->header, start + HFS_HEADER_AT, err);
	if (r == 0 || r == -ENOTSUP || end < start + 2 * HFS_HEADER_AT)
		return r;
	if (pl_meta_read(fs->volume.meta, fs->header, HFS_HEADER_SIZE, copy, NULL) < 0 ||
	    check(fs->header, copy, NULL) < 0)
		return r;
	fs->from_backup = true;
	return 0;
}

static int
open_old(struct hfs *fs, struct platter_error *err)
{
	struct pl_volume *v = &fs->volume;
	struct hfs_fork extents, catalog;
	const uint8_t *mdb = fs->header;
	int r = read_header(fs, 0, v->size, check_mdb, err);

	if (r < 0)
		return r;
	fs->block_size = v->block_size = get_be32(mdb + MDB_BLOCK_SIZE);
	fs->nr_blocks = get_be16(mdb + MDB_BLOCKS);
	fs->start = get_be16(mdb + MDB_FIRST_BLOCK) * UINT64_C(512);
	/* The copy of the header comes behind the blocks. */
	fs->end = fs->start + (uint64_t)fs->nr_blocks * fs->block_size + 1024;
	v->size = PL_MIN(v->size, fs->end);
	v->free = (uint64_t)get_be16(mdb + MDB_FREE) * fs->block_size;
	v->folds_case = true;
	v->state = state_of(fs, get_be16(mdb + MDB_ATTRIBUTES));
	fork_of_file(fs, MDB_EXTENTS_SIZE, MDB_EXTENTS, &extents);
	fork_of_file(fs, MDB_CATALOG_SIZE, MDB_CATALOG, &catalog);
	return open_trees(fs, &extents, &catalog, err);
}

/* Where in an HFS volume another is embedded; false: there is none. */
static bool
find_embedded(struct hfs *fs, uint64_t *start, uint64_t *end)
{
	uint8_t mdb[HFS_HEADER_SIZE];
	uint64_t block_size;

	if (pl_meta_read(fs->volume.meta, mdb, sizeof mdb, HFS_HEADER_AT, NULL) < 0 ||
	    check_mdb(mdb, HFS_HEADER_AT, NULL) < 0 || mdb[MDB_EMBEDDED] != 'H')
		return false;
	block_size = get_be32(mdb + MDB_BLOCK_SIZE);
	*start = get_be16(mdb + MDB_FIRST_BLOCK) * UINT64_C(512) +
		 get_be16(mdb + MDB_EMBEDDED_START) * block_size;
	*end = *start + get_be16(mdb + MDB_EMBEDDED_COUNT) * block_size;
	fs->wrapped = *start;
	fs->volume.size =
		PL_MIN(fs->volume.size, get_be16(mdb + MDB_FIRST_BLOCK) * UINT64_C(512) +
						get_be16(mdb + MDB_BLOCKS) * block_size + 1024);
	return true;
}

static void
decode_plus(struct hfs *fs)
{
	struct pl_volume *v = &fs->volume;
	const uint8_t *h = fs->header;

	fs->block_size = v->block_size = get_be32(h + VH_BLOCK_SIZE);
	fs->nr_blocks = get_be32(h + VH_BLOCKS);
	fs->end = fs->start + (uint64_t)fs->nr_blocks * fs->block_size;
	v->free = (uint64_t)get_be32(h + VH_FREE) * fs->block_size;
}

static int
open_plus(struct hfs *fs, struct platter_error *err)
{
	struct pl_volume *v = &fs->volume;
	struct hfs_fork extents, catalog, attributes;
	uint64_t start = 0, end = v->size;
	int r;

	find_embedded(fs, &start, &end);
	fs->start = start;
	r = read_header(fs, start, PL_MIN(end, v->size), check_header, err);
	if (r < 0)
		return r;
	decode_plus(fs);
	if (get_be32(fs->header + VH_ATTRIBUTES) & VOLUME_JOURNALED) {
		r = pl_hfs_journal(fs, err);
		/* The header is among what the journal may hold. */
		if (r == 0 && fs->journal.replayed)
			r = read_header(fs, start, PL_MIN(end, v->size), check_header, err);
		if (r < 0)
			return r;
		decode_plus(fs);
	}
	if (!fs->wrapped)
		v->size = PL_MIN(v->size, fs->end);
	v->state = state_of(fs, get_be32(fs->header + VH_ATTRIBUTES));
	pl_hfs_fork_plus(fs->header + VH_EXTENTS, &extents);
	pl_hfs_fork_plus(fs->header + VH_CATALOG, &catalog);
	pl_hfs_fork_plus(fs->header + VH_ATTRIBUTES_FILE, &attributes);
	r = open_trees(fs, &extents, &catalog, err);
	if (r == 0)
		r = open_other_tree(fs, &attributes, CNID_ATTRIBUTES, "attributes file",
				    &fs->attributes, err);
	if (r == 0)
		r = find_private(fs, PRIVATE_FILES, sizeof PRIVATE_FILES - 1, &fs->private_files,
				 err);
	if (r == 0)
		r = find_private(fs, PRIVATE_FOLDERS, sizeof PRIVATE_FOLDERS - 1,
				 &fs->private_folders, err);
	v->folds_case = !fs->catalog.binary;
	return r;
}

static int
open_volume(const struct pl_volume_request *request, bool plus, struct pl_volume **ret,
	    struct platter_error *err)
{
	struct hfs *fs = calloc(1, sizeof *fs);
	int r;

	if (!fs)
		return pl_no_memory(err);
	fs->plus = plus;
	r = pl_volume_init(&fs->volume, plus ? &pl_hfsplus_ops : &pl_hfs_ops, request, err);
	if (r == 0)
		r = plus ? open_plus(fs, err) : open_old(fs, err);
	if (r < 0) {
		pl_hfs_free(&fs->volume);
		return r;
	}
	*ret = &fs->volume;
	return 0;
}

int
pl_hfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
	    struct platter_error *err)
{
	return open_volume(request, false, ret, err);
}

int
pl_hfsplus_open(const struct pl_volume_request *request, struct pl_volume **ret,
		struct platter_error *err)
{
	return open_volume(request, true, ret, err);
}
