/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hfs/identify.c - Apple's HFS and HFS Plus (HFSX), big-endian, at byte 1024
 *
 * An HFS Plus volume may be wrapped: an HFS volume as large as the disk, for old Macs to
 * show a message, holds it.  That is told as what it is, HFS Plus.
 * "Inside Macintosh: Files", chapter 2; Apple Technical Note TN1150.
 */
#include "md5.h"
#include "superblock.h"

#define HFS_HEADER 1024

enum {
	HFS_WRITTEN = 6,
	HFS_ATTRIBUTES = 10,
	HFS_BITMAP = 14,
	HFS_BLOCKS = 18,
	HFS_BLOCK_SIZE = 20,
	HFS_FIRST_BLOCK = 28,
	HFS_FREE = 34,
	HFS_LABEL = 36,
	HFS_FILES = 84,
	HFS_FOLDERS = 88,
	HFS_VOLUME_ID = 116,
	HFS_EMBEDDED = 124,
	HFS_EMBEDDED_START = 126,
	HFS_EMBEDDED_COUNT = 128,
};
enum {
	HFSP_VERSION = 2,
	HFSP_ATTRIBUTES = 4,
	HFSP_LAST_MOUNTED = 8,
	HFSP_WRITTEN = 20,
	HFSP_FILES = 32,
	HFSP_FOLDERS = 36,
	HFSP_BLOCK_SIZE = 40,
	HFSP_BLOCKS = 44,
	HFSP_FREE = 48,
	HFSP_VOLUME_ID = 104,
	HFSP_CATALOG = 272,
	HFSP_EXTENTS = 16,
	HFSP_SIZE = 512,
};
enum {
	UNMOUNTED = 0x100,
	INCONSISTENT = 0x800,
	JOURNALED = 0x2000
};

/* B-tree nodes are 512 bytes to 32 KiB. */
#define MAX_NODE KIB(32)

/* Seconds since 1904 in local or universal time; 0 when never. */
static void
tell_time(struct pl_content *c, uint32_t seconds)
{
	if (seconds)
		pl_fact_time(&c->facts, "written", "last written", (int64_t)seconds - 2082844800);
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
	static const uint16_t roman[128] = {
		0x00c4, 0x00c5, 0x00c7, 0x00c9, 0x00d1, 0x00d6, 0x00dc, 0x00e1, 0x00e0, 0x00e2,
		0x00e4, 0x00e3, 0x00e5, 0x00e7, 0x00e9, 0x00e8, 0x00ea, 0x00eb, 0x00ed, 0x00ec,
		0x00ee, 0x00ef, 0x00f1, 0x00f3, 0x00f2, 0x00f4, 0x00f6, 0x00f5, 0x00fa, 0x00f9,
		0x00fb, 0x00fc, 0x2020, 0x00b0, 0x00a2, 0x00a3, 0x00a7, 0x2022, 0x00b6, 0x00df,
		0x00ae, 0x00a9, 0x2122, 0x00b4, 0x00a8, 0x2260, 0x00c6, 0x00d8, 0x221e, 0x00b1,
		0x2264, 0x2265, 0x00a5, 0x00b5, 0x2202, 0x2211, 0x220f, 0x03c0, 0x222b, 0x00aa,
		0x00ba, 0x03a9, 0x00e6, 0x00f8, 0x00bf, 0x00a1, 0x00ac, 0x221a, 0x0192, 0x2248,
		0x2206, 0x00ab, 0x00bb, 0x2026, 0x00a0, 0x00c0, 0x00c3, 0x00d5, 0x0152, 0x0153,
		0x2013, 0x2014, 0x201c, 0x201d, 0x2018, 0x2019, 0x00f7, 0x25ca, 0x00ff, 0x0178,
		0x2044, 0x20ac, 0x2039, 0x203a, 0xfb01, 0xfb02, 0x2021, 0x00b7, 0x201a, 0x201e,
		0x2030, 0x00c2, 0x00ca, 0x00c1, 0x00cb, 0x00c8, 0x00cd, 0x00ce, 0x00cf, 0x00cc,
		0x00d3, 0x00d4, 0xf8ff, 0x00d2, 0x00da, 0x00db, 0x00d9, 0x0131, 0x02c6, 0x02dc,
		0x00af, 0x02d8, 0x02d9, 0x02da, 0x00b8, 0x02dd, 0x02db, 0x02c7,
	};
	uint8_t units[54];

	n = PL_MIN(n, sizeof units / 2);
	for (size_t i = 0; i < n; i++) {
		uint16_t u = name[i] < 0x80 ? name[i] : roman[name[i] - 0x80];

		units[2 * i] = (uint8_t)(u >> 8);
		units[2 * i + 1] = (uint8_t)u;
	}
	pl_super_label_utf16be(c, units, n);
}

static bool
hfs_plausible(const uint8_t *mdb)
{
	uint32_t block_size = get_be32(mdb + HFS_BLOCK_SIZE);

	return mdb[0] == 'B' && mdb[1] == 'D' && block_size >= 512 && block_size % 512 == 0 &&
	       get_be16(mdb + HFS_BLOCKS) && mdb[HFS_LABEL] && mdb[HFS_LABEL] <= 27 &&
	       get_be16(mdb + HFS_BITMAP) >= 3 && get_be16(mdb + HFS_FIRST_BLOCK) &&
	       get_be16(mdb + HFS_FREE) <= get_be16(mdb + HFS_BLOCKS);
}

static bool
hfs_wraps(const uint8_t *mdb)
{
	return mdb[HFS_EMBEDDED] == 'H' &&
	       (mdb[HFS_EMBEDDED + 1] == '+' || mdb[HFS_EMBEDDED + 1] == 'X');
}

static void
tell_state(struct pl_content *c, uint32_t attributes)
{
	pl_fact_flag(&c->facts, "clean", "unmounted cleanly",
		     (attributes & UNMOUNTED) && !(attributes & INCONSISTENT));
	if (attributes & INCONSISTENT)
		pl_warn(&c->facts, "marked as inconsistent: it needs fsck");
}

static int
hfs_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *mdb = c->head + HFS_HEADER;
	uint32_t block_size = get_be32(mdb + HFS_BLOCK_SIZE);
	uint16_t blocks = get_be16(mdb + HFS_BLOCKS);

	if (!hfs_plausible(mdb) || hfs_wraps(mdb))
		return -ENOENT;
	c->evidence = 16 + 9 + 3 + 8;
	tell_roman_label(c, mdb + HFS_LABEL + 1, mdb[HFS_LABEL]);
	tell_uuid(c, mdb + HFS_VOLUME_ID);
	/* The blocks begin behind the bitmap, and the copy of this block ends the volume. */
	pl_super_size(disk, c, get_be16(mdb + HFS_FIRST_BLOCK) * UINT64_C(512), blocks, block_size);
	pl_super_free(c, get_be16(mdb + HFS_FREE), block_size);
	tell_state(c, get_be16(mdb + HFS_ATTRIBUTES));
	pl_fact_number(&c->facts, "files", "files", get_be32(mdb + HFS_FILES));
	pl_fact_number(&c->facts, "folders", "folders", get_be32(mdb + HFS_FOLDERS));
	tell_time(c, get_be32(mdb + HFS_WRITTEN));
	return 0;
}

const struct pl_content_driver pl_content_hfs = {
	.info = { .name = "hfs", .longname = "Apple HFS" },
	.usage = "filesystem",
	.identify = hfs_identify,
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
	const uint8_t *extent = h->header + HFSP_CATALOG + HFSP_EXTENTS;

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
	if (!pl_is_power_of_two(node_size) || node_size < 512 || node_size > MAX_NODE)
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
	bool plus = header[0] == 'H' && header[1] == '+' && get_be16(header + HFSP_VERSION) == 4;
	bool x = header[0] == 'H' && header[1] == 'X' && get_be16(header + HFSP_VERSION) == 5;

	*ret = (struct hfsplus){
		.start = start,
		.block_size = get_be32(header + HFSP_BLOCK_SIZE),
		.blocks = get_be32(header + HFSP_BLOCKS),
		.header = header,
	};
	return (plus || x) && pl_is_power_of_two(ret->block_size) && ret->block_size >= 512 &&
	       ret->blocks && get_be32(header + HFSP_FREE) <= ret->blocks;
}

static int
hfsplus_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *mdb = c->head + HFS_HEADER, *header = mdb;
	uint8_t embedded[HFSP_SIZE];
	struct hfsplus h;
	uint64_t start = 0;

	if (hfs_plausible(mdb) && hfs_wraps(mdb)) {
		start = get_be16(mdb + HFS_FIRST_BLOCK) * UINT64_C(512) +
			get_be16(mdb + HFS_EMBEDDED_START) *
				(uint64_t)get_be32(mdb + HFS_BLOCK_SIZE);
		if (!pl_super_read(disk, c, embedded, sizeof embedded, start + HFS_HEADER,
				   "the embedded HFS Plus volume"))
			return -ENOENT;
		header = embedded;
		pl_fact_size(&c->facts, "wrapped_at", "wrapped in HFS, begins at byte", start);
	}
	if (!hfsplus_decode(header, start, &h))
		return -ENOENT;
	c->evidence = 32 + 26 + 8;
	if (header[1] == 'X')
		c->content.longname = "Apple HFSX";
	pl_super_size(disk, c, start, h.blocks, h.block_size);
	pl_super_free(c, get_be32(header + HFSP_FREE), h.block_size);
	tell_label(disk, c, &h);
	tell_uuid(c, header + HFSP_VOLUME_ID);
	tell_state(c, get_be32(header + HFSP_ATTRIBUTES));
	pl_fact_flag(&c->facts, "journaled", "has a journal",
		     get_be32(header + HFSP_ATTRIBUTES) & JOURNALED);
	pl_fact_number(&c->facts, "files", "files", get_be32(header + HFSP_FILES));
	pl_fact_number(&c->facts, "folders", "folders", get_be32(header + HFSP_FOLDERS));
	pl_fact_text(&c->facts, "last_mounted", "last mounted by", "%.4s",
		     (const char *)header + HFSP_LAST_MOUNTED);
	tell_time(c, get_be32(header + HFSP_WRITTEN));
	return 0;
}

const struct pl_content_driver pl_content_hfsplus = {
	.info = { .name = "hfsplus", .longname = "Apple HFS Plus" },
	.usage = "filesystem",
	.identify = hfsplus_identify,
};
