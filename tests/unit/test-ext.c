/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-ext.c - ext2, ext3 and ext4: small file systems built in view, and then broken */
#include "checksums.h"
#include "content.h"
#include "ext/ext.h"
#include "fscrypt.h"
#include "test.h"
#include "volume.h"

static struct platter_error err = PLATTER_ERROR_INIT;

/*
 * One group of 128 blocks of 1 KiB.  Blocks: 1 superblock, 2 descriptors, 3 and 4 bitmaps,
 * 5-8 32 inodes of 128 bytes, then what the tests put there.
 */
enum {
	BLOCK = 1024,
	NR_BLOCKS = 128,
	SIZE = NR_BLOCKS * BLOCK,
	NR_INODES = 32,
	INODE_SIZE = 128,
	SUPER = 1024,
	DESCRIPTOR = 2 * BLOCK,
	BLOCK_BITMAP = 3 * BLOCK,
	INODE_BITMAP = 4 * BLOCK,
	INODES = 5 * BLOCK,
	FIRST_FREE = 9,
	ROOT_BLOCK = 9,
	JOURNAL_BLOCK = 64, /* and 31 more */
	NR_JOURNAL = 32,
	FILE_INODE = 12,
	FOLDER_INODE = 13,
	LINK_INODE = 14,
	DEVICE_INODE = 15,
	DELETED_INODE = 16,
	SECOND_INODE = 17,
};

struct image {
	uint8_t bytes[SIZE];
};

static uint8_t *
inode_of(struct image *im, unsigned number)
{
	return im->bytes + INODES + (number - 1) * INODE_SIZE;
}

static void
mark_used(struct image *im, unsigned block)
{
	im->bytes[BLOCK_BITMAP + (block - 1) / 8] |= (uint8_t)(1 << (block - 1) % 8);
}

static uint8_t *
put_inode(struct image *im, unsigned number, unsigned mode, unsigned links, uint32_t size)
{
	uint8_t *p = inode_of(im, number);

	put_le16(p, (uint16_t)mode);
	put_le16(p + 26, (uint16_t)links);
	put_le32(p + 4, size);
	put_le32(p + 28, size / 512);
	im->bytes[INODE_BITMAP + (number - 1) / 8] |= (uint8_t)(1 << (number - 1) % 8);
	return p;
}

/* An entry at `at` of a folder's block; returns where the next one goes. */
static unsigned
put_entry(uint8_t *block, unsigned at, uint32_t inode, unsigned length, unsigned type,
	  const char *name)
{
	put_le32(block + at, inode);
	put_le16(block + at + 4, (uint16_t)length);
	block[at + 6] = (uint8_t)strlen(name);
	block[at + 7] = (uint8_t)type;
	memcpy(block + at + 8, name, strlen(name));
	return at + length;
}

static void
put_dots(uint8_t *block, uint32_t self, uint32_t parent)
{
	put_entry(block, 0, self, 12, 2, ".");
	put_entry(block, 12, parent, 12, 2, "..");
}

/* "/file" of 3 blocks, "/folder" with nothing in it, "/link" to "file", "/device". */
static void
make_image(struct image *im)
{
	uint8_t *sb = im->bytes + SUPER, *root = im->bytes + ROOT_BLOCK * BLOCK, *p;
	unsigned at = 24;

	memset(im, 0, sizeof *im);
	put_le32(sb, NR_INODES);
	put_le32(sb + 4, NR_BLOCKS);
	put_le32(sb + 12, 50);
	put_le32(sb + 20, 1);
	put_le32(sb + 32, 8192);
	put_le32(sb + 36, 8192);
	put_le32(sb + 40, NR_INODES);
	put_le16(sb + 56, 0xef53);
	put_le16(sb + 58, 1);
	put_le32(sb + 76, 1);
	put_le32(sb + 84, 11);
	put_le16(sb + 88, INODE_SIZE);
	put_le32(sb + 96, INCOMPAT_FILETYPE);
	put_le32(im->bytes + DESCRIPTOR, 3);
	put_le32(im->bytes + DESCRIPTOR + 4, 4);
	put_le32(im->bytes + DESCRIPTOR + 8, 5);
	for (unsigned block = 1; block <= 16; block++)
		mark_used(im, block);

	put_le32(put_inode(im, EXT_ROOT_INODE, 040755, 3, BLOCK) + 40, ROOT_BLOCK);
	put_dots(root, EXT_ROOT_INODE, EXT_ROOT_INODE);
	at = put_entry(root, at, FILE_INODE, 12, 1, "file");
	at = put_entry(root, at, FOLDER_INODE, 16, 2, "folder");
	at = put_entry(root, at, LINK_INODE, 12, 7, "link");
	put_entry(root, at, DEVICE_INODE, BLOCK - at, 4, "device");

	p = put_inode(im, FILE_INODE, 0100640, 1, 3 * BLOCK - 24);
	put_le32(p + 40, 10);
	put_le32(p + 48, 11); /* the second block is a hole */
	put_le16(p + 2, 0x1234);
	put_le16(p + 120, 1); /* uid, high */
	memset(im->bytes + 10 * BLOCK, 'a', BLOCK);
	memset(im->bytes + 11 * BLOCK, 'c', BLOCK);

	put_le32(put_inode(im, FOLDER_INODE, 040700, 2, BLOCK) + 40, 12);
	put_dots(im->bytes + 12 * BLOCK, FOLDER_INODE, EXT_ROOT_INODE);
	put_le16(im->bytes + 12 * BLOCK + 16, BLOCK - 12);
	memcpy(put_inode(im, LINK_INODE, 0120777, 1, 4) + 40, "file", 4);
	put_le32(put_inode(im, DEVICE_INODE, 060600, 1, 0) + 44, 0x11234056);
}

struct opened {
	struct pl_disk *disk;
	struct pl_volume *v;
};

static void
done(struct opened *o)
{
	pl_volume_unref(o->v);
	pl_disk_unref(o->disk);
}
#define AUTO_DONE __attribute__((cleanup(done)))

static int
open_image(const struct image *im, unsigned flags, struct opened *ret)
{
	struct pl_volume_request request = { .flags = flags };
	int r;

	*ret = (struct opened){ 0 };
	EXPECT_OK(pl_memory_new(im->bytes, SIZE, "disk", &ret->disk, &err));
	request.disk = ret->disk;
	err = (struct platter_error)PLATTER_ERROR_INIT;
	r = pl_ext_open(&request, &ret->v, &err);
	return r;
}

static struct pl_node_id
node(uint64_t inode)
{
	return (struct pl_node_id){ .inode = inode };
}

struct listing {
	char names[4096];
	size_t nr;
};

static int
add_name(void *closure, const struct pl_entry *e, struct platter_error *er)
{
	struct listing *l = closure;
	size_t n = strlen(l->names);

	(void)er;
	l->nr++;
	snprintf(l->names + n, sizeof l->names - n, "%.*s ", (int)e->length, e->name);
	return 0;
}

/* The first byte of block `i` of a file. */
static char
byte_of(struct pl_volume *v, uint64_t inode, unsigned i)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	char c;

	EXPECT_OK(pl_volume_open_file(v, node(inode), NULL, "file", &file, &err));
	EXPECT_OK(pl_read(file, &c, 1, (uint64_t)i * BLOCK, &err));
	return c;
}

TEST(files_folders_links_and_devices_are_read)
{
	static struct image im;
	AUTO_DONE struct opened o;
	PL_AUTOFREE char *target = NULL;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct listing l = { 0 };
	struct platter_file info;
	struct pl_node_id found;
	struct pl_extent e;

	make_image(&im);
	EXPECT_OK(open_image(&im, 0, &o));
	EXPECT_EQ(o.v->size, SIZE);
	EXPECT_EQ(o.v->free, 50 * BLOCK);
	EXPECT_EQ(o.v->state, PLATTER_STATE_CLEAN);
	EXPECT_OK(pl_volume_list(o.v, o.v->root, add_name, &l, &err));
	EXPECT_STR(l.names, "file folder link device ");
	EXPECT_OK(pl_volume_lookup(o.v, o.v->root, "file", 4, &found, &err));
	EXPECT_EQ(found.inode, FILE_INODE);
	EXPECT_EQ(pl_volume_lookup(o.v, o.v->root, "File", 4, &found, &err), -ENOENT);
	EXPECT_EQ(pl_volume_list(o.v, found, add_name, &l, &err), -ENOTDIR);
	EXPECT_OK(pl_volume_stat(o.v, found, &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_REGULAR);
	EXPECT_EQ(info.mode, 0640);
	EXPECT_EQ(info.uid, 0x11234);
	EXPECT_EQ(info.created.seconds, PLATTER_NO_TIME);
	EXPECT_OK(pl_volume_open_file(o.v, found, NULL, "file", &file, &err));
	EXPECT_EQ(file->size, 3 * BLOCK - 24);
	EXPECT_EQ(byte_of(o.v, FILE_INODE, 0), 'a');
	EXPECT_EQ(byte_of(o.v, FILE_INODE, 1), 0);
	EXPECT_EQ(byte_of(o.v, FILE_INODE, 2), 'c');
	EXPECT_OK(pl_map(file, BLOCK, BLOCK, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	EXPECT_OK(pl_volume_read_link(o.v, node(LINK_INODE), &target, &err));
	EXPECT_STR(target, "file");
	EXPECT_OK(pl_volume_stat(o.v, node(DEVICE_INODE), &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_BLOCK_DEVICE);
	EXPECT_EQ(info.major, 0x340);
	EXPECT_EQ(info.minor, 0x11256);
	EXPECT_EQ(pl_volume_open_file(o.v, o.v->root, NULL, "root", &file, &err), -EISDIR);
	EXPECT_EQ(pl_volume_open_file(o.v, found, "stream", "file", &file, &err), -ENOENT);
}

/* Each row breaks one field of the superblock. */
static const struct {
	const char *label;
	unsigned at, bytes;
	uint32_t value;
	int code;
	unsigned where;
} broken_super[] = {
	{ "magic", 56, 2, 0xef54, -EUCLEAN, 56 },
	{ "revision", 76, 4, 2, -ENOTSUP, 76 },
	{ "unknown feature", 96, 4, 0x80000002, -ENOTSUP, 96 },
	{ "journal device", 96, 4, 0xa, -ENOTSUP, 96 },
	{ "blocks of 128 KiB", 24, 4, 7, -EUCLEAN, 24 },
	{ "no blocks", 4, 4, 0, -EUCLEAN, 4 },
	{ "groups of no blocks", 32, 4, 0, -EUCLEAN, 32 },
	{ "groups larger than a bitmap", 32, 4, 8193, -EUCLEAN, 32 },
	{ "groups of no inodes", 40, 4, 0, -EUCLEAN, 40 },
	{ "more inodes than groups hold", 0, 4, NR_INODES + 1, -EUCLEAN, 0 },
	{ "inodes of 96 bytes", 88, 2, 96, -EUCLEAN, 88 },
	{ "inodes larger than a block", 88, 2, 2048, -EUCLEAN, 88 },
	{ "groups begin at block 9", 20, 4, 9, -EUCLEAN, 20 },
};

TEST(the_broken_field_of_the_superblock_is_named)
{
	static struct image im;

	for (size_t i = 0; i < ARRAY_SIZE(broken_super); i++) {
		AUTO_DONE struct opened o;
		uint8_t *field = im.bytes + SUPER + broken_super[i].at;

		make_image(&im);
		if (broken_super[i].bytes == 2)
			put_le16(field, (uint16_t)broken_super[i].value);
		else
			put_le32(field, broken_super[i].value);
		EXPECT_EQ(open_image(&im, 0, &o), broken_super[i].code);
		EXPECT_EQ(err.offset, SUPER + broken_super[i].where);
	}
}

/* Each row breaks 4 bytes; what opening the file, listing the root and its length come to. */
static const struct {
	const char *label;
	unsigned at;
	uint32_t value;
	int open, list;
	unsigned names;
} broken[] = {
	{ "inodes past the end", DESCRIPTOR + 8, NR_BLOCKS, -EUCLEAN, -EUCLEAN, 0 },
	{ "block past the end", INODES + 11 * INODE_SIZE + 40, NR_BLOCKS, -EUCLEAN, 0, 4 },
	{ "block map in itself", INODES + 11 * INODE_SIZE + 40 + 56, 20, -EUCLEAN, 0, 4 },
	{ "entry of 5 bytes", ROOT_BLOCK *BLOCK + 40, 0x05060005, 0, -EUCLEAN, 1 },
	{ "entry past the block", ROOT_BLOCK *BLOCK + 40, 0x02060410, 0, -EUCLEAN, 1 },
	{ "entry for inode 33", ROOT_BLOCK *BLOCK + 36, 33, 0, -EUCLEAN, 3 },
	{ "name with a slash", ROOT_BLOCK *BLOCK + 44, 0x61612f61, 0, -EUCLEAN, 3 },
	{ "folder in a hole", INODES + 1 * INODE_SIZE + 40, 0, 0, -EUCLEAN, 0 },
	{ "folder twice as long", INODES + 1 * INODE_SIZE + 4, 2 * BLOCK, 0, -EUCLEAN, 4 },
};

TEST(damage_hides_only_itself)
{
	static struct image im;

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		AUTO_DONE struct opened o;
		PL_AUTOUNREF struct pl_disk *file = NULL;
		struct listing l = { 0 };

		make_image(&im);
		/* A triple indirect block that points to itself, for the row that needs it. */
		for (unsigned k = 0; k < BLOCK; k += 4)
			put_le32(im.bytes + 20 * BLOCK + k, 20);
		put_le32(im.bytes + broken[i].at, broken[i].value);
		EXPECT_OK(open_image(&im, 0, &o));
		EXPECT_EQ(pl_volume_open_file(o.v, node(FILE_INODE), NULL, "file", &file, &err),
			  broken[i].open);
		EXPECT_EQ(pl_volume_list(o.v, o.v->root, add_name, &l, &err), broken[i].list);
		EXPECT_EQ(l.nr, broken[i].names);
	}
}

static void
put_extent(uint8_t *p, uint32_t first, unsigned n, uint32_t start)
{
	put_le32(p, first);
	put_le16(p + 4, (uint16_t)n);
	put_le32(p + 8, start);
}

static void
put_node(uint8_t *p, unsigned nr, unsigned room, unsigned depth)
{
	memset(p, 0, 12);
	put_le16(p, 0xf30a);
	put_le16(p + 2, (uint16_t)nr);
	put_le16(p + 4, (uint16_t)room);
	put_le16(p + 6, (uint16_t)depth);
}

TEST(extents_are_read_and_unwritten_ones_are_zeros)
{
	static struct image im;
	AUTO_DONE struct opened o;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	uint8_t *p, *leaf = im.bytes + 30 * BLOCK;
	struct pl_extent e;

	make_image(&im);
	p = inode_of(&im, FILE_INODE);
	put_le32(p + 4, 100 * BLOCK);
	put_le32(p + 32, INODE_EXTENTS);
	memset(p + 40, 0, 60);
	put_node(p + 40, 1, 4, 1);
	put_le32(p + 40 + 12 + 4, 30);
	put_node(leaf, 3, 84, 0);
	put_extent(leaf + 12, 0, 1, 11);
	put_extent(leaf + 24, 5, 32768 + 2, 10);
	put_extent(leaf + 36, 99, 1, 10);
	EXPECT_OK(open_image(&im, 0, &o));
	EXPECT_EQ(byte_of(o.v, FILE_INODE, 0), 'c');
	EXPECT_EQ(byte_of(o.v, FILE_INODE, 5), 0);
	EXPECT_EQ(byte_of(o.v, FILE_INODE, 99), 'a');
	EXPECT_OK(pl_volume_open_file(o.v, node(FILE_INODE), NULL, "file", &file, &err));
	EXPECT_OK(pl_map(file, 5 * BLOCK, SIZE, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_ZERO);
	EXPECT_EQ(e.length, 2 * BLOCK);
}

static const struct {
	const char *label;
	unsigned at; /* of the leaf's block */
	uint32_t value;
} broken_leaf[] = {
	{ "magic", 0, 0xf30b },
	{ "more entries than fit", 2, 85 | 84 << 16 },
	{ "more than the block holds", 4, 200 },
	{ "depth", 6, 1 },
	{ "extent of no blocks", 16, 0 },
	{ "extents that overlap", 24, 0 },
	{ "extent past the end", 20, NR_BLOCKS },
};

TEST(broken_extents_are_refused)
{
	static struct image im;

	for (size_t i = 0; i < ARRAY_SIZE(broken_leaf); i++) {
		AUTO_DONE struct opened o;
		PL_AUTOUNREF struct pl_disk *file = NULL;
		uint8_t *p, *leaf = im.bytes + 30 * BLOCK;

		make_image(&im);
		p = inode_of(&im, FILE_INODE);
		put_le32(p + 32, INODE_EXTENTS);
		put_node(p + 40, 1, 4, 1);
		put_le32(p + 40 + 12 + 4, 30);
		put_node(leaf, 2, 84, 0);
		put_extent(leaf + 12, 0, 1, 11);
		put_extent(leaf + 24, 1, 1, 10);
		put_le32(leaf + broken_leaf[i].at, broken_leaf[i].value);
		EXPECT_OK(open_image(&im, 0, &o));
		EXPECT_EQ(pl_volume_open_file(o.v, node(FILE_INODE), NULL, "file", &file, &err),
			  -EUCLEAN);
	}
}

TEST(what_is_in_use_is_what_the_bitmap_says)
{
	static struct image im;
	AUTO_DONE struct opened o, dirty;
	struct pl_ranges used = { 0 };

	make_image(&im);
	mark_used(&im, 100);
	EXPECT_OK(open_image(&im, 0, &o));
	EXPECT_OK(pl_volume_used(o.v, &used, NULL, &err));
	EXPECT_EQ(used.nr, 2);
	EXPECT_EQ(used.range[0].start, 0);
	EXPECT_EQ(used.range[0].end, 17 * BLOCK);
	EXPECT_EQ(used.range[1].start, 100 * BLOCK);
	EXPECT_EQ(used.range[1].end, 101 * BLOCK);
	pl_ranges_done(&used);
	/* Not unmounted, or with errors: the bitmap is not to be trusted. */
	put_le16(im.bytes + SUPER + 58, 0);
	EXPECT_OK(open_image(&im, 0, &dirty));
	EXPECT_EQ(dirty.v->state, PLATTER_STATE_DIRTY);
	EXPECT_EQ(dirty.v->ops->used(dirty.v, &used, &err), -ENOTSUP);
}

struct found_deleted {
	char path[64];
	uint64_t inode;
	enum platter_recovery recovery;
	size_t nr;
};

static int
take_deleted(void *closure, const struct pl_deleted *d, struct platter_error *er)
{
	struct found_deleted *f = closure;

	(void)er;
	snprintf(f->path, sizeof f->path, "%s", d->path);
	f->inode = d->id.inode;
	f->recovery = d->recovery;
	f->nr++;
	EXPECT(d->file.attributes & PLATTER_FILE_DELETED);
	return 0;
}

TEST(deleted_files_are_found_with_names_and_judged)
{
	static const struct {
		unsigned first, second; /* blocks given to others */
		enum platter_recovery recovery;
	} rows[] = {
		{ 0, 0, PLATTER_RECOVERY_WHOLE },
		{ 40, 0, PLATTER_RECOVERY_PARTLY },
		{ 40, 41, PLATTER_RECOVERY_NOTHING },
	};
	static struct image im;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_DONE struct opened o;
		struct found_deleted f = { 0 };
		uint8_t *p;

		make_image(&im);
		p = put_inode(&im, DELETED_INODE, 0100600, 0, 2 * BLOCK);
		im.bytes[INODE_BITMAP + (DELETED_INODE - 1) / 8] &=
			(uint8_t) ~(1 << (DELETED_INODE - 1) % 8);
		put_le32(p + 20, 12345);
		put_le32(p + 40, 40);
		put_le32(p + 44, 41);
		/* Behind ".." of the folder. */
		put_entry(im.bytes + 12 * BLOCK, 24, DELETED_INODE, BLOCK - 24, 1, "gone");
		if (rows[i].first)
			mark_used(&im, rows[i].first);
		if (rows[i].second)
			mark_used(&im, rows[i].second);
		EXPECT_OK(open_image(&im, 0, &o));
		EXPECT_OK(o.v->ops->deleted(o.v, take_deleted, &f, &err));
		EXPECT_EQ(f.nr, 1);
		EXPECT_STR(f.path, "folder/gone");
		EXPECT_EQ(f.inode, DELETED_INODE);
		EXPECT_EQ(f.recovery, rows[i].recovery);
	}
}

/* ---- metadata_csum and inodes of 256 bytes ---- */

enum {
	BIG_FILE = 12,
};

static uint8_t *
big_inode(struct image *im, unsigned number)
{
	return im->bytes + INODES + (number - 1) * 256;
}

static uint32_t
seed_of(const struct image *im)
{
	return pl_crc32c_raw(~0u, im->bytes + SUPER + 104, 16);
}

static void
sign_inode(struct image *im, unsigned number)
{
	uint8_t *p = big_inode(im, number), le[4];
	uint32_t crc;

	put_le16(p + 124, 0);
	put_le16(p + 130, 0);
	put_le32(le, number);
	crc = pl_crc32c_raw(seed_of(im), le, 4);
	crc = pl_crc32c_raw(crc, p + 100, 4);
	crc = pl_crc32c_raw(crc, p, 256);
	put_le16(p + 124, (uint16_t)crc);
	put_le16(p + 130, (uint16_t)(crc >> 16));
}

static void
sign_super(struct image *im)
{
	uint8_t *sb = im->bytes + SUPER, *gd = im->bytes + DESCRIPTOR, le[4] = { 0 };
	uint32_t crc;

	put_le16(gd + 30, 0);
	crc = pl_crc32c_raw(pl_crc32c_raw(seed_of(im), le, 4), gd, 32);
	put_le16(gd + 30, (uint16_t)crc);
	sb[373] = 1;
	put_le32(sb + 1020, pl_crc32c_raw(~0u, sb, 1020));
}

/* "/file" alone, in inodes of 256 bytes with checksums. */
static void
make_big(struct image *im)
{
	uint8_t *sb = im->bytes + SUPER, *root = im->bytes + ROOT_BLOCK * BLOCK, *p;
	uint8_t le[4];
	uint32_t seed;

	make_image(im);
	memset(im->bytes + INODES, 0, 4 * BLOCK);
	memset(root, 0, BLOCK);
	put_le32(sb, 16);
	put_le32(sb + 40, 16);
	put_le16(sb + 88, 256);
	put_le32(sb + 96, INCOMPAT_FILETYPE | INCOMPAT_EXTENTS | INCOMPAT_INLINE_DATA);
	put_le32(sb + 100, RO_COMPAT_METADATA_CSUM);
	memcpy(sb + 104, "0123456789abcdef", 16);
	for (unsigned number = 1; number <= 16; number++)
		if (number == EXT_ROOT_INODE || number == BIG_FILE)
			put_le16(big_inode(im, number) + 128, 32);
	p = big_inode(im, EXT_ROOT_INODE);
	put_le16(p, 040755);
	put_le16(p + 26, 2);
	put_le32(p + 4, BLOCK);
	put_le32(p + 40, ROOT_BLOCK);
	put_dots(root, EXT_ROOT_INODE, EXT_ROOT_INODE);
	put_entry(root, 24, BIG_FILE, BLOCK - 24 - 12, 1, "file");
	put_entry(root, BLOCK - 12, 0, 12, 0xde, "");
	put_le32(le, EXT_ROOT_INODE);
	seed = pl_crc32c_raw(pl_crc32c_raw(seed_of(im), le, 4), "\0\0\0", 4);
	put_le32(root + BLOCK - 4, pl_crc32c_raw(seed, root, BLOCK - 12));
	sign_inode(im, EXT_ROOT_INODE);
	p = big_inode(im, BIG_FILE);
	put_le16(p, 0100644);
	put_le16(p + 26, 1);
	put_le32(p + 4, 100);
	put_le32(p + 32, INODE_INLINE_DATA);
	memset(p + 40, 'i', 60);
	/* mtime: 2^32 - 1 + 2^32 s; 123456789 ns.  crtime: before 1970. */
	put_le32(p + 16, 0xffffffff);
	put_le32(p + 136, 123456789u << 2 | 2);
	put_le32(p + 144, (uint32_t)-2);
	/* Attributes: system.data and user.u, values from byte 0x2c on. */
	put_le32(p + 160, 0xea020000);
	memcpy(p + 164, "\4\7\x2c\0\0\0\0\0\x28\0\0\0\0\0\0\0data", 20);
	memcpy(p + 184, "\1\1\x54\0\0\0\0\0\2\0\0\0\0\0\0\0u\0\0\0", 20);
	memset(p + 164 + 0x2c, 'j', 40);
	memcpy(p + 164 + 0x54, "vw", 2);
	sign_inode(im, BIG_FILE);
	sign_super(im);
}

static int
take_xattr(void *closure, const struct pl_attribute *a, struct platter_error *er)
{
	struct listing *l = closure;

	(void)er;
	l->nr++;
	snprintf(l->names, sizeof l->names, "%s=%.*s", a->name, (int)a->size,
		 (const char *)a->value);
	return 0;
}

TEST(inline_data_times_and_attributes_of_large_inodes_are_read)
{
	static struct image im;
	AUTO_DONE struct opened o;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct platter_file info;
	struct listing l = { 0 };
	char text[100];

	make_big(&im);
	EXPECT_OK(open_image(&im, 0, &o));
	EXPECT_OK(pl_volume_list(o.v, o.v->root, add_name, &l, &err));
	EXPECT_STR(l.names, "file ");
	EXPECT_OK(pl_volume_stat(o.v, node(BIG_FILE), &info, &err));
	EXPECT_EQ(info.modified.seconds, -1 + (2ll << 32));
	EXPECT_EQ(info.modified.nanoseconds, 123456789);
	EXPECT_EQ(info.created.seconds, -2);
	EXPECT_OK(pl_volume_open_file(o.v, node(BIG_FILE), NULL, "file", &file, &err));
	EXPECT_OK(pl_read(file, text, sizeof text, 0, &err));
	EXPECT_EQ(text[59], 'i');
	EXPECT_EQ(text[60], 'j');
	EXPECT_EQ(text[99], 'j');
	l = (struct listing){ 0 };
	EXPECT_OK(o.v->ops->xattrs(o.v, node(BIG_FILE), take_xattr, &l, &err));
	EXPECT_EQ(l.nr, 1);
	EXPECT_STR(l.names, "user.u=vw");
}

TEST(checksums_are_verified_and_can_be_ignored)
{
	/* What is flipped, and what comes of opening, listing the root, stat of the file. */
	static const struct {
		const char *label;
		unsigned at;
		int open, list, stat;
	} rows[] = {
		{ "superblock", SUPER + 120, -EUCLEAN, 0, 0 },
		{ "descriptor", DESCRIPTOR + 12, 0, -EUCLEAN, -EUCLEAN },
		{ "inode", INODES + (BIG_FILE - 1) * 256 + 8, 0, 0, -EUCLEAN },
		{ "folder's block", ROOT_BLOCK * BLOCK + 500, 0, -EUCLEAN, 0 },
	};
	static struct image im;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO_DONE struct opened strict, lax;
		struct platter_file info;
		struct listing l = { 0 };

		make_big(&im);
		im.bytes[rows[i].at] ^= 1;
		EXPECT_EQ(open_image(&im, 0, &strict), rows[i].open);
		if (rows[i].open == 0) {
			EXPECT_EQ(pl_volume_list(strict.v, strict.v->root, add_name, &l, &err),
				  rows[i].list);
			EXPECT_EQ(pl_volume_stat(strict.v, node(BIG_FILE), &info, &err),
				  rows[i].stat);
		}
		l = (struct listing){ 0 };
		EXPECT_OK(open_image(&im, PLATTER_OPEN_IGNORE_CHECKSUMS, &lax));
		EXPECT_OK(pl_volume_list(lax.v, lax.v->root, add_name, &l, &err));
		EXPECT_STR(l.names, "file ");
		EXPECT_OK(pl_volume_stat(lax.v, node(BIG_FILE), &info, &err));
		EXPECT_EQ(!!(info.attributes & PLATTER_FILE_DAMAGED), rows[i].stat && i == 2);
	}
}

/* ---- the journal ---- */

#define MAGIC 0xc03b3998u

enum tag_form {
	TAG_V1,
	TAG_64BIT,
	TAG_CSUM_V2,
	TAG_CSUM_V3,
	NR_FORMS
};

struct journal {
	struct image *im;
	enum tag_form form;
	unsigned at; /* block of the journal that is written next */
	uint32_t seed;
};

static uint8_t *
journal_block(struct journal *j, unsigned i)
{
	return j->im->bytes + (JOURNAL_BLOCK + i) * BLOCK;
}

static void
put_header(uint8_t *p, uint32_t type, uint32_t sequence)
{
	put_be32(p, MAGIC);
	put_be32(p + 4, type);
	put_be32(p + 8, sequence);
}

/* The ring is blocks 1 to 31; it begins near its end, so that it wraps. */
static void
start_journal(struct journal *j, struct image *im, enum tag_form form)
{
	static const uint32_t features[NR_FORMS] = { 1, 1 | 2, 1 | 8, 1 | 2 | 0x10 };
	uint8_t *p, *js;

	*j = (struct journal){ .im = im, .form = form, .at = 29 };
	p = put_inode(im, EXT_JOURNAL_INODE, 0100600, 1, NR_JOURNAL * BLOCK);
	put_le32(p + 32, INODE_EXTENTS);
	put_node(p + 40, 1, 4, 0);
	put_extent(p + 52, 0, NR_JOURNAL, JOURNAL_BLOCK);
	put_le32(im->bytes + SUPER + 92, COMPAT_JOURNAL);
	put_le32(im->bytes + SUPER + 96, INCOMPAT_FILETYPE | INCOMPAT_EXTENTS | INCOMPAT_RECOVER);
	put_le32(im->bytes + SUPER + 224, EXT_JOURNAL_INODE);
	js = journal_block(j, 0);
	put_header(js, 4, 0);
	put_be32(js + 12, BLOCK);
	put_be32(js + 16, NR_JOURNAL);
	put_be32(js + 20, 1);
	put_be32(js + 24, 7);
	put_be32(js + 28, 29);
	put_be32(js + 40, features[form]);
	memcpy(js + 48, "fedcba9876543210", 16);
	j->seed = pl_crc32c_raw(~0u, js + 48, 16);
	if (form >= TAG_CSUM_V2) {
		js[80] = 4;
		put_be32(js + 252, pl_crc32c_raw(~0u, js, 1024));
	}
}

static uint8_t *
next_block(struct journal *j)
{
	uint8_t *p = journal_block(j, j->at);

	j->at = j->at + 1 == NR_JOURNAL ? 1 : j->at + 1;
	memset(p, 0, BLOCK);
	return p;
}

static void
sign_block(const struct journal *j, uint8_t *p, unsigned at)
{
	if (j->form >= TAG_CSUM_V2)
		put_be32(p + at, pl_crc32c_raw(j->seed, p, BLOCK));
}

/* A descriptor and one block full of `c`, or of what begins with the magic, for `block`. */
static void
log_block(struct journal *j, uint32_t sequence, uint32_t block, char c, bool escaped)
{
	uint8_t *d = next_block(j), *data = next_block(j), *tag = d + 12, be[4];
	unsigned flags = 8 | (escaped ? 1 : 0);
	uint32_t crc;

	memset(data, c, BLOCK);
	if (escaped)
		memset(data, 0, 4);
	put_header(d, 1, sequence);
	put_be32(be, sequence);
	crc = pl_crc32c_raw(pl_crc32c_raw(j->seed, be, 4), data, BLOCK);
	put_be32(tag, block);
	put_be16(tag + 6, (uint16_t)flags);
	if (j->form == TAG_CSUM_V2)
		put_be16(tag + 4, (uint16_t)crc);
	if (j->form == TAG_CSUM_V3)
		put_be32(tag + 12, crc);
	sign_block(j, d, BLOCK - 4);
}

static void
log_revoke(struct journal *j, uint32_t sequence, uint32_t block)
{
	bool wide = j->form == TAG_64BIT || j->form == TAG_CSUM_V3;
	uint8_t *p = next_block(j);

	put_header(p, 5, sequence);
	put_be32(p + 12, wide ? 24 : 20);
	put_be32(p + (wide ? 20 : 16), block);
	sign_block(j, p, BLOCK - 4);
}

static void
log_commit(struct journal *j, uint32_t sequence)
{
	uint8_t *p = next_block(j);

	put_header(p, 2, sequence);
	put_be64(p + 48, 1000 + sequence);
	sign_block(j, p, 16);
}

/* Transaction 7 and 8 are whole, 9 has no commit block. */
static void
write_log(struct journal *j)
{
	log_block(j, 7, 10, 'A', false);
	log_block(j, 7, 11, 'B', false);
	log_commit(j, 7);
	log_block(j, 8, 10, 'D', false);
	log_revoke(j, 8, 11);
	log_block(j, 8, 50, 'E', true);
	log_commit(j, 8);
	log_block(j, 9, 10, 'F', false);
}

TEST(the_journal_is_seen_as_replayed)
{
	static struct image im;

	for (int form = 0; form < NR_FORMS; form++) {
		AUTO_DONE struct opened o;
		struct ext *fs;
		struct journal j;
		uint8_t buf[8];

		make_image(&im);
		start_journal(&j, &im, (enum tag_form)form);
		write_log(&j);
		EXPECT_OK(open_image(&im, 0, &o));
		EXPECT_EQ(o.v->state, PLATTER_STATE_RECOVERED);
		fs = ext_of(o.v);
		EXPECT(!fs->journal.problem);
		EXPECT_EQ(fs->journal.nr_transactions, 2);
		EXPECT_EQ(fs->journal.nr_blocks, 2);
		EXPECT_EQ(byte_of(o.v, FILE_INODE, 0), 'D');
		/* Revoked: as it was. */
		EXPECT_EQ(byte_of(o.v, FILE_INODE, 2), 'c');
		EXPECT_OK(pl_read(o.v->disk, buf, 8, 50 * BLOCK, &err));
		EXPECT_MEM(buf,
			   "\xc0\x3b\x39\x98"
			   "EEEE",
			   8);
	}
}

/* Each row damages a byte of the journal; what is seen of the file then, and the state. */
static const struct {
	const char *label;
	unsigned block, at;
	char first;
	enum platter_volume_state state;
} broken_journal[] = {
	{ "superblock's magic", 0, 0, 'a', PLATTER_STATE_DIRTY },
	{ "superblock's checksum", 0, 252, 'a', PLATTER_STATE_DIRTY },
	{ "first descriptor's magic", 29, 0, 'a', PLATTER_STATE_RECOVERED },
	{ "first descriptor's checksum", 29, BLOCK - 1, 'a', PLATTER_STATE_DIRTY },
	{ "data", 30, 100, 'D', PLATTER_STATE_DIRTY },
	{ "second transaction's commit block", 8, 20, 'A', PLATTER_STATE_DIRTY },
};

TEST(a_broken_journal_is_not_replayed_and_said_so)
{
	static struct image im;

	for (size_t i = 0; i < ARRAY_SIZE(broken_journal); i++) {
		AUTO_DONE struct opened o;
		struct pl_ranges used = { 0 };
		struct journal j;

		make_image(&im);
		start_journal(&j, &im, TAG_CSUM_V3);
		write_log(&j);
		journal_block(&j, broken_journal[i].block)[broken_journal[i].at] ^= 1;
		EXPECT_OK(open_image(&im, 0, &o));
		EXPECT_EQ(byte_of(o.v, FILE_INODE, 0), broken_journal[i].first);
		EXPECT_EQ(o.v->state, broken_journal[i].state);
		if (o.v->state == PLATTER_STATE_DIRTY) {
			EXPECT(ext_of(o.v)->journal.problem);
			EXPECT_EQ(o.v->ops->used(o.v, &used, &err), -ENOTSUP);
		}
		pl_ranges_done(&used);
	}
}

TEST(the_journal_elsewhere_is_said)
{
	static struct image im;
	AUTO_DONE struct opened o;

	make_image(&im);
	put_le32(im.bytes + SUPER + 92, COMPAT_JOURNAL);
	put_le32(im.bytes + SUPER + 96, INCOMPAT_FILETYPE | INCOMPAT_RECOVER);
	put_le32(im.bytes + SUPER + 228, 0x801);
	EXPECT_OK(open_image(&im, 0, &o));
	EXPECT_EQ(o.v->state, PLATTER_STATE_DIRTY);
	EXPECT(ext_of(o.v)->journal.external);
	EXPECT_EQ(byte_of(o.v, FILE_INODE, 0), 'a');
}

/* ---- names ---- */

/* From debugfs, dx_hash -h KIND -s 00010203-0405-0607-0809-0a0b0c0d0e0f NAME. */
static const struct {
	unsigned version;
	const char *name;
	uint32_t hash, minor;
} hashes[] = {
	{ HASH_LEGACY, "a", 0xe74b53e2, 0x0 },
	{ HASH_LEGACY, "hello", 0x32252546, 0x0 },
	{ HASH_LEGACY, "k\xc3\xa4se-that-is-longer-than-thirty-two-bytes", 0xfa461fec, 0x0 },
	{ HASH_LEGACY, "exactly-sixteen.", 0xb3e0e354, 0x0 },
	{ HASH_LEGACY, "12345678901234567890123456789012", 0x2fe0dd02, 0x0 },
	{ HASH_HALF_MD4, "a", 0xa2fa3a0, 0x6b8ed956 },
	{ HASH_HALF_MD4, "hello", 0xaf3d0524, 0x4eeb19be },
	{ HASH_HALF_MD4, "k\xc3\xa4se-that-is-longer-than-thirty-two-bytes", 0xd0f1f2fe,
	  0x4e6adc74 },
	{ HASH_HALF_MD4, "exactly-sixteen.", 0xf486c950, 0xab87068d },
	{ HASH_HALF_MD4, "12345678901234567890123456789012", 0xf3f59742, 0xf2bd29ce },
	{ HASH_TEA, "a", 0xd963696, 0x3ea7b5e },
	{ HASH_TEA, "hello", 0xf73b8f7c, 0xfdb2fa7f },
	{ HASH_TEA, "k\xc3\xa4se-that-is-longer-than-thirty-two-bytes", 0xa901e54, 0x65ffa11b },
	{ HASH_TEA, "exactly-sixteen.", 0x69e0e0a4, 0x283ffceb },
	{ HASH_TEA, "12345678901234567890123456789012", 0x5f67fc9c, 0x98e9552f },
	{ HASH_LEGACY_UNSIGNED, "a", 0xe74b53e2, 0x0 },
	{ HASH_LEGACY_UNSIGNED, "hello", 0x32252546, 0x0 },
	{ HASH_LEGACY_UNSIGNED, "k\xc3\xa4se-that-is-longer-than-thirty-two-bytes", 0x665355d8,
	  0x0 },
	{ HASH_LEGACY_UNSIGNED, "exactly-sixteen.", 0xb3e0e354, 0x0 },
	{ HASH_LEGACY_UNSIGNED, "12345678901234567890123456789012", 0x2fe0dd02, 0x0 },
	{ HASH_HALF_MD4_UNSIGNED, "a", 0xa2fa3a0, 0x6b8ed956 },
	{ HASH_HALF_MD4_UNSIGNED, "hello", 0xaf3d0524, 0x4eeb19be },
	{ HASH_HALF_MD4_UNSIGNED, "k\xc3\xa4se-that-is-longer-than-thirty-two-bytes", 0x7eeff814,
	  0x6d0ddb8c },
	{ HASH_HALF_MD4_UNSIGNED, "exactly-sixteen.", 0xf486c950, 0xab87068d },
	{ HASH_HALF_MD4_UNSIGNED, "12345678901234567890123456789012", 0xf3f59742, 0xf2bd29ce },
	{ HASH_TEA_UNSIGNED, "a", 0xd963696, 0x3ea7b5e },
	{ HASH_TEA_UNSIGNED, "hello", 0xf73b8f7c, 0xfdb2fa7f },
	{ HASH_TEA_UNSIGNED, "k\xc3\xa4se-that-is-longer-than-thirty-two-bytes", 0x214cfaee,
	  0xf529df16 },
	{ HASH_TEA_UNSIGNED, "exactly-sixteen.", 0x69e0e0a4, 0x283ffceb },
	{ HASH_TEA_UNSIGNED, "12345678901234567890123456789012", 0x5f67fc9c, 0x98e9552f },
};

TEST(hashes_of_names_are_those_of_e2fsprogs)
{
	struct ext_super sb = { .hash_seed = { 0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c } };

	for (size_t i = 0; i < ARRAY_SIZE(hashes); i++) {
		uint32_t hash, minor;

		EXPECT(ext_hash_name(&sb, hashes[i].version, (const uint8_t *)hashes[i].name,
				     strlen(hashes[i].name), &hash, &minor));
		EXPECT_EQ(hash, hashes[i].hash);
		EXPECT_EQ(minor, hashes[i].minor);
	}
	EXPECT(!ext_hash_name(&sb, HASH_SIPHASH, (const uint8_t *)"a", 1, &(uint32_t){ 0 }, NULL));
}

TEST(encrypted_names_are_shown_as_linux_shows_them)
{
	char out[PL_FSCRYPT_NAME];
	uint8_t name[255];

	for (size_t i = 0; i < sizeof name; i++)
		name[i] = (uint8_t)i;
	EXPECT_EQ(pl_fscrypt_name(name, 15, 0, 0, out), 0);
	EXPECT_EQ(pl_fscrypt_name(name, 16, 0x04030201, 0xfffefdfc, out), 32);
	EXPECT_STR(out, "AQIDBPz9_v8AAQIDBAUGBwgJCgsMDQ4P");
	EXPECT_EQ(pl_fscrypt_name(name, 149, 0, 0, out), 210);
	EXPECT_EQ(pl_fscrypt_name(name, 255, 0, 0, out), 252);
	EXPECT_EQ(pl_fscrypt_name((const uint8_t *)"..", 2, 1, 1, out), 2);
	EXPECT_STR(out, "..");
}
