/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hfs/identify.c - Apple's HFS and HFS Plus (HFSX), big-endian, at byte 1024
 *
 * An HFS Plus volume may be wrapped: an HFS volume as large as the disk, for old Macs to
 * show a message, holds it.  That is told as what it is, HFS Plus.
 * "Inside Macintosh: Files", chapter 2; Apple Technical Note TN1150.
 */
#include "hfs.h"
#include "md5.h"
#include "superblock.h"

/* Seconds since 1904 in local or universal time; 0 when never. */
static void
tell_time(struct pl_content *c, uint32_t seconds)
{
	if (seconds)
		pl_fact_time(&c->facts, "written", "last written", (int64_t)seconds - HFS_EPOCH);
}

/* A name-based UUID (version 3) of the volume's eight bytes in Apple's name space. */
static void
tell_uuid(struct pl_content *c, const uint8_t id[static 8])
{
	uint8_t name[24] = { 0xb3, 0xe2, 0x0f, 0x39, 0xf2, 0x92, 0x11, 0xd6,
			     0x97, 0xa4, 0x00, 0x30, 0x65, 0x43, 0xec, 0xac };
	uint8_t uuid[16];

	if (pl_is_zero(id, 8))
		return;
	memcpy(name + 16, id, 8);
	pl_md5_short(name, sizeof name, uuid);
	uuid[6] = (uuid[6] & 0x0f) | 0x30;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
	pl_super_uuid(c, uuid);
}

/* HFS names are in the script of the system, most often Mac Roman. */
static void
tell_roman_label(struct pl_content *c, const uint8_t *name, size_t n)
{
	uint8_t units[54];

	n = PL_MIN(n, sizeof units / 2);
	pl_hfs_from_roman(name, n, units);
	pl_super_label_utf16be(c, units, n);
}

static bool
hfs_plausible(const uint8_t *mdb)
{
	uint32_t block_size = get_be32(mdb + MDB_BLOCK_SIZE);

	return mdb[0] == 'B' && mdb[1] == 'D' && block_size >= 512 && block_size % 512 == 0 &&
	       get_be16(mdb + MDB_BLOCKS) && mdb[MDB_LABEL] && mdb[MDB_LABEL] <= 27 &&
	       get_be16(mdb + MDB_BITMAP) >= 3 && get_be16(mdb + MDB_FIRST_BLOCK) &&
	       get_be16(mdb + MDB_FREE) <= get_be16(mdb + MDB_BLOCKS);
}

static bool
hfs_wraps(const uint8_t *mdb)
{
	return mdb[MDB_EMBEDDED] == 'H' &&
	       (mdb[MDB_EMBEDDED + 1] == '+' || mdb[MDB_EMBEDDED + 1] == 'X');
}

static void
tell_state(struct pl_content *c, uint32_t attributes)
{
	pl_fact_flag(&c->facts, "clean", "unmounted cleanly",
		     (attributes & VOLUME_UNMOUNTED) && !(attributes & VOLUME_INCONSISTENT));
	if (attributes & VOLUME_INCONSISTENT)
		pl_warn(&c->facts, "marked as inconsistent: it needs fsck");
}

/* The copy of a header, at the end of the disk. */
static bool
read_copy(struct pl_disk *disk, uint8_t copy[static HFS_HEADER_SIZE], uint64_t *ret_end)
{
	*ret_end = pl_round_down(pl_disk_size(disk), 512);
	return *ret_end >= 4 * HFS_HEADER_AT &&
	       pl_read(disk, copy, HFS_HEADER_SIZE, *ret_end - HFS_HEADER_AT, NULL) == 0;
}

/*
 * It stands for one that is gone if the volume fills the disk: the last partition of a
 * disk ends with one, too.
 */
static bool
copy_fits(struct pl_content *c, uint64_t size, uint64_t end, uint32_t block_size)
{
	if (size > end || end - size >= block_size)
		return false;
	c->leftover = true;
	pl_warn(&c->facts, "the header is gone: its copy at the end is told");
	return true;
}

static bool
hfs_copy(struct pl_disk *disk, struct pl_content *c, uint8_t copy[static HFS_HEADER_SIZE])
{
	uint64_t end, blocks;

	if (!read_copy(disk, copy, &end) || !hfs_plausible(copy))
		return false;
	blocks = get_be16(copy + MDB_BLOCKS) * (uint64_t)get_be32(copy + MDB_BLOCK_SIZE);
	return copy_fits(c, get_be16(copy + MDB_FIRST_BLOCK) * UINT64_C(512) + blocks + 1024, end,
			 get_be32(copy + MDB_BLOCK_SIZE));
}

static int
hfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *mdb = c->head + HFS_HEADER_AT;
	uint8_t copy[HFS_HEADER_SIZE];
	uint32_t block_size;
	uint16_t blocks;

	if (!hfs_plausible(mdb)) {
		if (!hfs_copy(disk, c, copy))
			return -ENOENT;
		mdb = copy;
	}
	if (hfs_wraps(mdb))
		return -ENOENT;
	block_size = get_be32(mdb + MDB_BLOCK_SIZE);
	blocks = get_be16(mdb + MDB_BLOCKS);
	c->evidence = 16 + 9 + 3 + 8;
	tell_roman_label(c, mdb + MDB_LABEL + 1, mdb[MDB_LABEL]);
	tell_uuid(c, mdb + MDB_VOLUME_ID);
	/* The blocks begin behind the bitmap, and the copy of this block ends the volume. */
	pl_super_size(disk, c, get_be16(mdb + MDB_FIRST_BLOCK) * UINT64_C(512), blocks, block_size);
	pl_super_free(c, get_be16(mdb + MDB_FREE), block_size);
	tell_state(c, get_be16(mdb + MDB_ATTRIBUTES));
	pl_fact_number(&c->facts, "files", "files", get_be32(mdb + MDB_FILES));
	pl_fact_number(&c->facts, "folders", "folders", get_be32(mdb + MDB_FOLDERS));
	tell_time(c, get_be32(mdb + MDB_MODIFIED));
	return 0;
}

const struct pl_content_driver pl_content_hfs = {
	.info = { .name = "hfs", .longname = "Apple HFS" },
	.usage = "filesystem",
	.identify = hfs_identify,
	.open = pl_hfs_open,
};

struct hfsplus {
	uint64_t start; /* of the volume on the disk */
	uint32_t block_size, blocks;
	const uint8_t *header;
};

/*
 * Reads n bytes at `offset` of the catalog file, through the eight extents that the volume
 * header lists.  A range that is not wholly in one of them is not looked for.
 */
static bool
catalog_read(struct pl_disk *disk, struct pl_content *c, const struct hfsplus *h, uint8_t *buf,
	     size_t n, uint64_t offset)
{
	const uint8_t *extent = h->header + VH_CATALOG + 16;

	for (int i = 0; i < 8; i++, extent += 8) {
		uint64_t length = (uint64_t)get_be32(extent + 4) * h->block_size;
		uint64_t at;

		if (offset >= length) {
			offset -= length;
			continue;
		}
		if (!pl_in_range(offset, n, length) || get_be32(extent) >= h->blocks)
			return false;
		at = (uint64_t)get_be32(extent) * h->block_size + offset;
		return !__builtin_add_overflow(at, h->start, &at) &&
		       pl_super_read(disk, c, buf, n, at, "the catalog");
	}
	return false;
}

/* The first key of the first leaf belongs to the root folder, whose name is the label. */
static void
tell_label(struct pl_disk *disk, struct pl_content *c, const struct hfsplus *h)
{
	PL_AUTOFREE uint8_t *node = NULL;
	uint8_t header[512];
	uint32_t node_size, leaf, at, name;

	if (!catalog_read(disk, c, h, header, sizeof header, 0) || header[8] != 1)
		return;
	leaf = get_be32(header + 14 + 10);
	node_size = get_be16(header + 14 + 18);
	if (!pl_is_power_of_two(node_size) || node_size < 512 || node_size > HFS_MAX_NODE)
		return;
	node = malloc(node_size);
	if (!node || !catalog_read(disk, c, h, node, node_size, (uint64_t)leaf * node_size))
		return;
	/* Leaves are of kind -1; record offsets are counted from the end of the node. */
	if (node[8] != 0xff || !get_be16(node + 10))
		return;
	at = get_be16(node + node_size - 2);
	if (!pl_in_range(at, 8, node_size) || get_be32(node + at + 2) != 1)
		return;
	name = get_be16(node + at + 6);
	if (name <= 255 && pl_in_range(at + 8, name * 2, node_size))
		pl_super_label_utf16be(c, node + at + 8, name);
}

static bool
hfsplus_decode(const uint8_t *header, uint64_t start, struct hfsplus *ret)
{
	bool plus = header[0] == 'H' && header[1] == '+' && get_be16(header + VH_VERSION) == 4;
	bool x = header[0] == 'H' && header[1] == 'X' && get_be16(header + VH_VERSION) == 5;

	*ret = (struct hfsplus){
		.start = start,
		.block_size = get_be32(header + VH_BLOCK_SIZE),
		.blocks = get_be32(header + VH_BLOCKS),
		.header = header,
	};
	return (plus || x) && pl_is_power_of_two(ret->block_size) && ret->block_size >= 512 &&
	       ret->blocks && get_be32(header + VH_FREE) <= ret->blocks;
}

static bool
hfsplus_copy(struct pl_disk *disk, struct pl_content *c, uint8_t copy[static HFS_HEADER_SIZE],
	     struct hfsplus *ret)
{
	uint64_t end;

	return read_copy(disk, copy, &end) && hfsplus_decode(copy, 0, ret) &&
	       copy_fits(c, (uint64_t)ret->blocks * ret->block_size, end, ret->block_size);
}

static int
hfsplus_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *mdb = c->head + HFS_HEADER_AT, *header = mdb;
	uint8_t embedded[HFS_HEADER_SIZE]; /* or the copy */
	struct hfsplus h;
	uint64_t start = 0;

	if (hfs_plausible(mdb) && hfs_wraps(mdb)) {
		start = get_be16(mdb + MDB_FIRST_BLOCK) * UINT64_C(512) +
			get_be16(mdb + MDB_EMBEDDED_START) *
				(uint64_t)get_be32(mdb + MDB_BLOCK_SIZE);
		if (!pl_super_read(disk, c, embedded, sizeof embedded, start + HFS_HEADER_AT,
				   "the embedded HFS Plus volume"))
			return -ENOENT;
		header = embedded;
		pl_fact_size(&c->facts, "wrapped_at", "wrapped in HFS, begins at byte", start);
	}
	if (!hfsplus_decode(header, start, &h)) {
		if (start || !hfsplus_copy(disk, c, embedded, &h))
			return -ENOENT;
		header = embedded;
	}
	c->evidence = 32 + 26 + 8;
	if (header[1] == 'X')
		c->content.longname = "Apple HFSX";
	pl_super_size(disk, c, start, h.blocks, h.block_size);
	pl_super_free(c, get_be32(header + VH_FREE), h.block_size);
	tell_label(disk, c, &h);
	tell_uuid(c, header + VH_VOLUME_ID);
	tell_state(c, get_be32(header + VH_ATTRIBUTES));
	pl_fact_flag(&c->facts, "journaled", "has a journal",
		     get_be32(header + VH_ATTRIBUTES) & VOLUME_JOURNALED);
	pl_fact_number(&c->facts, "files", "files", get_be32(header + VH_FILES));
	pl_fact_number(&c->facts, "folders", "folders", get_be32(header + VH_FOLDERS));
	pl_fact_text(&c->facts, "last_mounted", "last mounted by", "%.4s",
		     (const char *)header + VH_LAST_MOUNTED);
	tell_time(c, get_be32(header + VH_MODIFIED));
	return 0;
}

const struct pl_content_driver pl_content_hfsplus = {
	.info = { .name = "hfsplus", .longname = "Apple HFS Plus" },
	.usage = "filesystem",
	.identify = hfsplus_identify,
	.open = pl_hfsplus_open,
};
