/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * xfs/volume.c - the files and used ranges of XFS, versions 4 and 5, big-endian
 *
 * A file system is cut into allocation groups of equal size; each keeps trees of its free
 * extents.  See "XFS Algorithms & Data Structures", 3rd edition, of kernel.org.
 */
#include "xfs.h"

#include <stdio.h>

enum {
	SB_BLOCK_SIZE = 4,
	SB_BLOCKS = 8,
	SB_RT_BLOCKS = 16,
	SB_UUID = 32,
	SB_LOG_START = 48,
	SB_ROOT = 56,
	SB_AG_BLOCKS = 84,
	SB_AG_COUNT = 88,
	SB_LOG_BLOCKS = 96,
	SB_VERSION = 100,
	SB_SECTOR_SIZE = 102,
	SB_INODE_SIZE = 104,
	SB_BLOCK_BITS = 120,
	SB_INODE_BITS = 122,
	SB_INODES_PER_BLOCK_BITS = 123,
	SB_AG_BLOCK_BITS = 124,
	SB_IN_PROGRESS = 126,
	SB_FREE_BLOCKS = 144,
	SB_FOLDER_BLOCK_BITS = 192,
	SB_FEATURES2 = 200,
	SB_INCOMPAT = 216,
	SB_SIZE = 264,
};

enum {
	FEATURES2_FTYPE = 0x200,
	INCOMPAT_FTYPE = 0x1,
	INCOMPAT_NEEDS_REPAIR = 0x10,
	/* FTYPE, SPINODES, META_UUID, BIGTIME, NEEDSREPAIR, NREXT64, EXCHRANGE, PARENT */
	INCOMPAT_KNOWN = 0xff,
};

#define FLAG_REALTIME 1

/* ---- files ---- */

static int
xfs_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	 struct platter_error *err)
{
	static const enum platter_file_type types[16] = {
		[001] = PLATTER_FILE_FIFO,    [002] = PLATTER_FILE_CHARACTER_DEVICE,
		[004] = PLATTER_FILE_FOLDER,  [006] = PLATTER_FILE_BLOCK_DEVICE,
		[010] = PLATTER_FILE_REGULAR, [012] = PLATTER_FILE_SYMLINK,
		[014] = PLATTER_FILE_SOCKET,
	};
	static const struct {
		uint16_t flag;
		uint32_t attribute;
	} attributes[] = {
		{ 0x0008, PLATTER_FILE_IMMUTABLE },
		{ 0x0010, PLATTER_FILE_APPEND_ONLY },
	};
	struct xfs_inode i;
	int r = xfs_inode_read(xfs_of(v), id.inode, &i, err);

	if (r < 0)
		return r;
	ret->type = types[i.mode >> 12] ? types[i.mode >> 12] : PLATTER_FILE_OTHER;
	ret->has_mode = ret->has_owner = true;
	ret->mode = i.mode & 07777;
	ret->uid = i.uid;
	ret->gid = i.gid;
	ret->links = i.links;
	ret->size = i.size;
	ret->allocated =
		i.blocks <= UINT64_MAX / v->block_size ? i.blocks * v->block_size : UINT64_MAX;
	/* As SYSV encodes device numbers: 14 bits and 18. */
	ret->major = i.device >> 18;
	ret->minor = i.device & 0x3ffff;
	ret->accessed = i.accessed;
	ret->modified = i.modified;
	ret->changed = i.changed;
	ret->created = i.created;
	for (size_t k = 0; k < ARRAY_SIZE(attributes); k++)
		if (i.flags & attributes[k].flag)
			ret->attributes |= attributes[k].attribute;
	return 0;
}

static int
xfs_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	 struct platter_error *err)
{
	struct xfs_inode i;
	int r = xfs_inode_read(xfs_of(v), folder.inode, &i, err);

	if (r < 0)
		return r;
	if (i.mode >> 12 != 004)
		return pl_fail(err, -ENOTDIR, "XFS inode %" PRIu64 " is no folder", folder.inode);
	return xfs_folder_list(xfs_of(v), &i, fn, closure, err);
}

/* A long target is in extents, each of which has a header since version 5. */
static int
read_remote_link(struct xfs *fs, const struct xfs_inode *i, char *target, struct platter_error *err)
{
	size_t header = fs->v5 ? 56 : 0, done = 0, size = (size_t)i->size;
	struct pl_runs runs = { 0 };
	int r = xfs_fork_runs(fs, i, false, &runs, err);

	for (size_t k = 0; k < runs.nr && done < size && r == 0; k++) {
		size_t n = (size_t)PL_MIN(runs.run[k].length - header, size - done);

		r = pl_meta_read(fs->volume.meta, target + done, n, runs.run[k].stored + header,
				 err);
		done += n;
	}
	pl_runs_done(&runs);
	if (r == 0 && done < size)
		r = pl_corrupt(err, PLATTER_NO_OFFSET,
			       "XFS inode %" PRIu64 ": target of %zu bytes in %zu", i->number, size,
			       done);
	return r;
}

static int
xfs_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	struct xfs *fs = xfs_of(v);
	PL_AUTOFREE char *target = NULL;
	struct xfs_inode i;
	int r = xfs_inode_read(fs, id.inode, &i, err);

	if (r < 0)
		return r;
	if (i.mode >> 12 != 012)
		return pl_invalid(err, "XFS inode %" PRIu64 " is no symbolic link", id.inode);
	if (i.size > PL_MAX_TARGET || (i.format == XFS_LOCAL && i.size > i.fork_size))
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "XFS inode %" PRIu64 ": target of %" PRIu64 " bytes", id.inode,
				  i.size);
	target = calloc(1, (size_t)i.size + 1);
	if (!target)
		return pl_no_memory(err);
	if (i.format == XFS_LOCAL)
		memcpy(target, i.raw + i.fork, (size_t)i.size);
	else
		r = read_remote_link(fs, &i, target, err);
	if (r == 0)
		*ret = PL_STEAL(target);
	return r;
}

static int
xfs_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
	      struct pl_disk **ret, struct platter_error *err)
{
	struct xfs *fs = xfs_of(v);
	struct xfs_inode i;
	int r = xfs_inode_read(fs, id.inode, &i, err);

	if (r < 0)
		return r;
	(void)stream;
	if (i.mode >> 12 != 010)
		return pl_fail(err, i.mode >> 12 == 004 ? -EISDIR : -EINVAL,
			       "'%s' is no regular file", name);
	if (i.flags & FLAG_REALTIME)
		return pl_unsupported(err, PLATTER_NO_OFFSET, "'%s' is stored on a realtime device",
				      name);
	if (i.format == XFS_LOCAL)
		return pl_file_of_bytes(i.raw + i.fork, (size_t)PL_MIN(i.size, i.fork_size), name,
					ret, err);
	return xfs_fork_open(fs, &i, false, i.size, name, ret, err);
}

static int
xfs_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	   struct platter_error *err)
{
	struct xfs_inode i;
	int r = xfs_inode_read(xfs_of(v), id.inode, &i, err);

	return r < 0 ? r : xfs_attributes_list(xfs_of(v), &i, fn, closure, err);
}

/* ---- used ranges ---- */

/* A block of an allocation group's tree of free extents, and all below it. */
static int
walk_free(struct xfs *fs, uint32_t ag, uint32_t block, unsigned level, uint64_t *budget,
	  struct pl_ranges *free_ranges, struct platter_error *err)
{
	size_t header = fs->v5 ? 56 : 16, size = fs->volume.block_size, nr, most;
	uint64_t first = (uint64_t)ag * fs->ag_blocks, at = (first + block) << fs->block_bits;
	PL_AUTOFREE uint8_t *b = malloc(size);
	int r = 0;

	if (!b)
		return pl_no_memory(err);
	if (block >= fs->ag_blocks || !(*budget)--)
		return pl_corrupt(err, at,
				  "XFS tree of free extents leads to block %" PRIu32
				  " of group %" PRIu32,
				  block, ag);
	r = pl_meta_read(fs->volume.meta, b, size, at, err);
	if (r < 0)
		return r;
	nr = get_be16(b + 6);
	most = (size - header) / (level ? 12 : 8);
	if (memcmp(b, fs->v5 ? "AB3B" : "ABTB", 4) != 0 || get_be16(b + 4) != level || nr > most)
		return pl_corrupt(err, at, "no block of level %u of an XFS tree of free extents",
				  level);
	if (fs->v5 && !fs->volume.ignore_checksums && !xfs_checksum_matches(b, size, 52))
		return pl_corrupt(err, at + 52, "checksum of an XFS tree block does not match");
	for (size_t i = 0; i < nr && r == 0; i++) {
		const uint8_t *p = b + header;

		if (level) {
			r = walk_free(fs, ag, get_be32(p + most * 8 + i * 4), level - 1, budget,
				      free_ranges, err);
			continue;
		}
		if (!pl_in_range(get_be32(p + i * 8), get_be32(p + i * 8 + 4), fs->ag_blocks))
			return pl_corrupt(err, at, "free extent past the end of group %" PRIu32,
					  ag);
		r = pl_ranges_add(free_ranges, (first + get_be32(p + i * 8)) << fs->block_bits,
				  (uint64_t)get_be32(p + i * 8 + 4) << fs->block_bits, err);
	}
	return r;
}

static int
add_free(struct xfs *fs, uint32_t ag, struct pl_ranges *free_ranges, struct platter_error *err)
{
	uint64_t at = (((uint64_t)ag * fs->ag_blocks) << fs->block_bits) + fs->sector_size;
	uint64_t budget = fs->ag_blocks;
	uint8_t agf[64];
	int r = pl_meta_read(fs->volume.meta, agf, sizeof agf, at, err);

	if (r < 0)
		return r;
	if (memcmp(agf, "XAGF", 4) != 0 || get_be32(agf + 28) < 1 ||
	    get_be32(agf + 28) > XFS_MAX_LEVELS)
		return pl_corrupt(err, at, "no header of the free space of XFS group %" PRIu32, ag);
	return walk_free(fs, ag, get_be32(agf + 16), get_be32(agf + 28) - 1, &budget, free_ranges,
			 err);
}

static int
xfs_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	struct xfs *fs = xfs_of(v);
	struct pl_ranges free_ranges = { 0 };
	bool clean = false;
	int r = xfs_log_is_clean(fs, &clean, err);

	if (r == 0 && !clean)
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "its log holds changes that are not in place yet");
	if (r == 0 && (fs->incompat & INCOMPAT_NEEDS_REPAIR || fs->incompat & ~INCOMPAT_KNOWN))
		r = pl_unsupported(err, SB_INCOMPAT,
				   "it needs repair, or has unknown features 0x%x", fs->incompat);
	for (uint32_t ag = 0; ag < fs->nr_ags && r == 0; ag++)
		r = add_free(fs, ag, &free_ranges, err);
	pl_ranges_finish(&free_ranges, v->size);
	if (r == 0)
		r = pl_ranges_invert(&free_ranges, v->size, used, err);
	pl_ranges_done(&free_ranges);
	return r;
}

static void
xfs_describe(struct pl_volume *v, struct pl_facts *facts)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {
		{ 0x1, "ftype" },   { 0x2, "sparse inodes" }, { 0x4, "meta_uuid" },
		{ 0x8, "bigtime" }, { 0x20, "nrext64" },      { 0x40, "exchange" },
		{ 0x80, "parent" }, { 0x100, "metadir" },     { 0x200, "zoned" },
	};
	struct xfs *fs = xfs_of(v);
	char text[128] = "";
	bool clean;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (fs->incompat & names[i].bit)
			snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
				 *text ? ", " : "", names[i].name);
	if (*text)
		pl_fact_text(facts, "features", "features", "%s", text);
	pl_fact_number(facts, "allocation_groups", "allocation groups", fs->nr_ags);
	pl_fact_size(facts, "inode_size", "inode size", fs->inode_size);
	if (xfs_log_is_clean(fs, &clean, NULL) < 0)
		return;
	pl_fact_flag(facts, "clean", "unmounted cleanly", clean);
	if (!clean)
		pl_warn(facts, "the log holds changes that are not in place yet, and are not seen");
}

static void
xfs_free(struct pl_volume *v)
{
	pl_volume_done(v);
	free(xfs_of(v));
}

static const struct pl_volume_ops xfs_ops = {
	.stat = xfs_stat,
	.list = xfs_list,
	.read_link = xfs_read_link,
	.open = xfs_open_file,
	.xattrs = xfs_xattrs,
	.used = xfs_used,
	.describe = xfs_describe,
	.free = xfs_free,
};

static int
check_geometry(const struct xfs *fs, struct platter_error *err)
{
	const struct pl_volume *v = &fs->volume;

	if (fs->block_bits < 9 || fs->block_bits > 16 || v->block_size != 1u << fs->block_bits)
		return pl_corrupt(err, SB_BLOCK_SIZE, "XFS block size %" PRIu32 " of %u bits",
				  v->block_size, fs->block_bits);
	if (fs->inode_bits < 8 || fs->inode_bits > 11 || fs->inode_size != 1u << fs->inode_bits ||
	    fs->inodes_per_block_bits != fs->block_bits - fs->inode_bits)
		return pl_corrupt(err, SB_INODE_SIZE, "XFS inode size %u of %u bits",
				  fs->inode_size, fs->inode_bits);
	if (fs->sector_size < 512 || fs->sector_size > KIB(32))
		return pl_corrupt(err, SB_SECTOR_SIZE, "XFS sector size %u", fs->sector_size);
	if (!fs->ag_blocks || fs->ag_block_bits > 31 || fs->ag_blocks > 1u << fs->ag_block_bits ||
	    !fs->nr_ags)
		return pl_corrupt(err, SB_AG_BLOCKS,
				  "%" PRIu32 " XFS groups of %" PRIu32 " blocks, of %u bits",
				  fs->nr_ags, fs->ag_blocks, fs->ag_block_bits);
	if (!fs->blocks || fs->blocks > (uint64_t)INT64_MAX >> fs->block_bits ||
	    fs->blocks > (uint64_t)fs->nr_ags * fs->ag_blocks)
		return pl_corrupt(err, SB_BLOCKS, "XFS of %" PRIu64 " blocks", fs->blocks);
	return 0;
}

static int
read_superblock(struct xfs *fs, struct platter_error *err)
{
	struct pl_volume *v = &fs->volume;
	uint8_t sb[SB_SIZE];
	unsigned folder_bits;
	int r = pl_meta_read(v->meta, sb, sizeof sb, 0, err);

	if (r < 0)
		return r;
	if (memcmp(sb, "XFSB", 4) != 0)
		return pl_corrupt(err, 0, "no XFS: it does not begin with 'XFSB'");
	v->block_size = get_be32(sb + SB_BLOCK_SIZE);
	fs->blocks = get_be64(sb + SB_BLOCKS);
	fs->rt_blocks = get_be64(sb + SB_RT_BLOCKS) != 0;
	memcpy(fs->uuid, sb + SB_UUID, sizeof fs->uuid);
	fs->log_start = get_be64(sb + SB_LOG_START);
	v->root.inode = get_be64(sb + SB_ROOT);
	fs->ag_blocks = get_be32(sb + SB_AG_BLOCKS);
	fs->nr_ags = get_be32(sb + SB_AG_COUNT);
	fs->log_blocks = get_be32(sb + SB_LOG_BLOCKS);
	fs->sector_size = get_be16(sb + SB_SECTOR_SIZE);
	fs->inode_size = get_be16(sb + SB_INODE_SIZE);
	fs->block_bits = sb[SB_BLOCK_BITS];
	fs->inode_bits = sb[SB_INODE_BITS];
	fs->inodes_per_block_bits = sb[SB_INODES_PER_BLOCK_BITS];
	fs->ag_block_bits = sb[SB_AG_BLOCK_BITS];
	fs->free_blocks = get_be64(sb + SB_FREE_BLOCKS);
	fs->v5 = (get_be16(sb + SB_VERSION) & 0xf) == 5;
	fs->incompat = fs->v5 ? get_be32(sb + SB_INCOMPAT) : 0;
	fs->has_types = fs->v5 ? fs->incompat & INCOMPAT_FTYPE
			       : get_be32(sb + SB_FEATURES2) & FEATURES2_FTYPE;
	r = check_geometry(fs, err);
	if (r < 0)
		return r;
	folder_bits = fs->block_bits + sb[SB_FOLDER_BLOCK_BITS];
	if (folder_bits > 16)
		return pl_corrupt(err, SB_FOLDER_BLOCK_BITS, "XFS folder blocks of %u bits",
				  folder_bits);
	fs->folder_block = 1u << folder_bits;
	v->size = PL_MIN(v->size, fs->blocks << fs->block_bits);
	if (fs->free_blocks <= fs->blocks)
		v->free = fs->free_blocks << fs->block_bits;
	return 0;
}

int
pl_xfs_open(const struct pl_volume_request *request, struct pl_volume **ret,
	    struct platter_error *err)
{
	struct xfs *fs = calloc(1, sizeof *fs);
	struct xfs_inode root;
	int r;

	if (!fs)
		return pl_no_memory(err);
	r = pl_volume_init(&fs->volume, &xfs_ops, request, err);
	if (r == 0)
		r = read_superblock(fs, err);
	if (r == 0)
		r = xfs_inode_read(fs, fs->volume.root.inode, &root, err);
	if (r < 0)
		xfs_free(&fs->volume);
	else
		*ret = &fs->volume;
	return r;
}
