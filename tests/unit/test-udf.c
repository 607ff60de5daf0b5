/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-udf.c - UDF on all kinds of partitions: discs built in view, and broken */
#include "checksums.h"
#include "content.h"
#include "test.h"
#include "volume.h"

static struct platter_error err = PLATTER_ERROR_INIT;

enum {
	BLOCK = 2048,
	SEQUENCE = 32,
	INTEGRITY = 48,
	SPARING_TABLE = 100,
	SPARE_PACKET = 120,
	ANCHOR = 256,
	START = 257, /* of the partition; its last block is that of the disc */
	NR_BLOCKS = 63,
	NR_SECTORS = START + NR_BLOCKS,
};

/* Blocks that hold the tree, counted in the map that has it. */
enum {
	FILE_SET,
	ROOT,
	ROOT_1, /* its contents, in two pieces */
	FILE_ENTRY,
	LINK_ENTRY,
	STREAMS_ENTRY,
	STREAM_ENTRY,
	ROOT_2,
	NR_TREE,
};

/* Blocks of the partition. */
enum {
	DATA = 10,
	EXTENTS = 15,
	BITMAP = 16,
	METADATA = 20, /* contents of the metadata file */
	MIRROR = 30,   /* and of its copy */
	METADATA_ENTRY = 50,
	MIRROR_ENTRY = 51,
	LAST = NR_BLOCKS - 1,
	PACKET = 4,
};

enum kind {
	PHYSICAL,
	VIRTUAL_150,
	VIRTUAL_200,
	SPARABLE,
	WITH_METADATA,
	NR_KINDS
};

static uint8_t image[NR_SECTORS * BLOCK];
static enum kind kind;

static uint8_t *
sector(unsigned n)
{
	return image + (size_t)n * BLOCK;
}

/* Where block n of the tree is. */
static uint8_t *
tree(unsigned n)
{
	switch (kind) {
	case VIRTUAL_150:
	case VIRTUAL_200: return sector(START + 40 - n); /* as the table has it */
	case SPARABLE:
		return n / PACKET == 1 ? sector(SPARE_PACKET + n % PACKET) : sector(START + n);
	case WITH_METADATA: return sector(START + METADATA + n);
	default: return sector(START + n);
	}
}

/* The map that the tree is in. */
static unsigned
tree_map(void)
{
	return kind == VIRTUAL_150 || kind == VIRTUAL_200 || kind == WITH_METADATA;
}

/* Sign a descriptor of n bytes. */
static void
put_tag(uint8_t *d, unsigned tag, uint32_t block, unsigned n)
{
	uint8_t sum = 0;

	memset(d, 0, 16);
	put_le16(d, (uint16_t)tag);
	put_le16(d + 2, 3);
	put_le16(d + 8, pl_crc16_ccitt(0, d + 16, n - 16));
	put_le16(d + 10, (uint16_t)(n - 16));
	put_le32(d + 12, block);
	for (int i = 0; i < 16; i++)
		sum = (uint8_t)(sum + d[i]);
	d[4] = sum;
}

static void
put_address(uint8_t *p, uint32_t length, uint32_t block, unsigned map)
{
	put_le32(p, length);
	put_le32(p + 4, block);
	put_le16(p + 8, (uint16_t)map);
}

/* An extended file entry; returns where its extents, or its contents, go. */
static uint8_t *
put_entry(uint8_t *e, unsigned type, uint64_t size, unsigned extents, unsigned extents_length)
{
	memset(e, 0, BLOCK);
	put_le16(e + 20, 4);
	put_le16(e + 24, 1);
	e[27] = (uint8_t)type;
	put_le16(e + 34, (uint16_t)extents);
	put_le32(e + 36, 1000);
	put_le32(e + 40, 100);
	put_le32(e + 44, 7 << 10 | 5 << 5 | 1);
	put_le16(e + 48, 1);
	put_le64(e + 56, size);
	put_le64(e + 72, 3);
	/* 2001-09-09 01:46:40 at 60 minutes east */
	memcpy(e + 92, "\x3c\x10\xd1\x07\x09\x09\x01\x2e\x28\x0c\x22\x38", 12);
	put_le32(e + 212, extents_length);
	return e + 216;
}

static void
sign_entry(uint8_t *e, uint32_t block)
{
	put_tag(e, 266, block, 216 + get_le32(e + 212));
}

/* A file identifier of a name in CS0, at p; returns what follows. */
static uint8_t *
put_name(uint8_t *p, unsigned characteristics, const char *name, size_t n, uint32_t entry,
	 unsigned implementation)
{
	size_t length = (38 + implementation + n + 3) & ~(size_t)3;

	memset(p, 0, length);
	put_le16(p + 16, 1);
	p[18] = (uint8_t)characteristics;
	p[19] = (uint8_t)n;
	put_address(p + 20, BLOCK, entry, tree_map());
	put_le16(p + 36, (uint16_t)implementation);
	memcpy(p + 38 + implementation, name, n);
	put_tag(p, 257, ROOT_1, (unsigned)length);
	return p + length;
}

static void
put_dstring(uint8_t *p, size_t size, const char *text)
{
	p[0] = 8;
	memcpy(p + 1, text, strlen(text));
	p[size - 1] = (uint8_t)(strlen(text) + 1);
}

static unsigned
put_map(uint8_t *p)
{
	static const char *const ids[] = {
		[VIRTUAL_150] = "*UDF Virtual Partition",
		[VIRTUAL_200] = "*UDF Virtual Partition",
		[SPARABLE] = "*UDF Sparable Partition",
		[WITH_METADATA] = "*UDF Metadata Partition",
	};

	p[0] = 2;
	p[1] = 64;
	memcpy(p + 5, ids[kind], strlen(ids[kind]));
	put_le16(p + 36, 1);
	if (kind == SPARABLE) {
		put_le16(p + 40, PACKET);
		p[42] = 1;
		put_le32(p + 44, BLOCK);
		put_le32(p + 48, SPARING_TABLE);
	}
	if (kind == WITH_METADATA) {
		put_le32(p + 40, METADATA_ENTRY);
		put_le32(p + 44, MIRROR_ENTRY);
	}
	return 64;
}

static void
put_volume_descriptors(void)
{
	uint8_t *d, *maps;

	for (int i = 0; i < 3; i++)
		memcpy(sector(16 + (unsigned)i) + 1,
		       i == 0   ? "BEA01"
		       : i == 1 ? "NSR03"
				: "TEA01",
		       5);
	d = sector(ANCHOR);
	put_le32(d + 16, 16 * BLOCK);
	put_le32(d + 20, SEQUENCE);
	put_tag(d, 2, ANCHOR, 512);
	d = sector(SEQUENCE);
	put_dstring(d + 24, 32, "volume");
	put_dstring(d + 72, 128, "0123456789abcdef");
	put_tag(d, 1, SEQUENCE, 512);
	d = sector(SEQUENCE + 1);
	put_le32(d + 56 + 8, BLOCK);
	put_le32(d + 56 + 12, BITMAP);
	put_le32(d + 184, 4);
	put_le32(d + 188, START);
	put_le32(d + 192, NR_BLOCKS);
	put_tag(d, 5, SEQUENCE + 1, 512);
	d = sector(SEQUENCE + 2);
	put_dstring(d + 84, 128, "label");
	put_le32(d + 212, BLOCK);
	put_le16(d + 240, 0x201);
	put_address(d + 248, BLOCK, FILE_SET, tree_map());
	put_le32(d + 432, BLOCK);
	put_le32(d + 436, INTEGRITY);
	maps = d + 440;
	put_le32(d + 268, kind == PHYSICAL || kind == SPARABLE ? 1 : 2);
	if (kind != SPARABLE) {
		memcpy(maps, "\1\6\1\0\0\0", 6);
		maps += 6;
	}
	if (kind != PHYSICAL)
		maps += put_map(maps);
	put_le32(d + 264, (uint32_t)(maps - d) - 440);
	put_tag(d, 6, SEQUENCE + 2, (unsigned)(maps - d));
	put_tag(sector(SEQUENCE + 3), 8, SEQUENCE + 3, 512);

	d = sector(INTEGRITY);
	put_le32(d + 28, 1);
	put_le32(d + 72, 1);
	put_le32(d + 76, 46);
	put_le32(d + 80, 5);
	put_le32(d + 84, NR_BLOCKS);
	put_le32(d + 88 + 32, 1);
	put_tag(d, 9, INTEGRITY, 88 + 46);
	d = sector(START + BITMAP);
	memset(d, 0, BLOCK);
	put_le32(d + 16, NR_BLOCKS);
	put_le32(d + 20, 8);
	d[24 + 52 / 8] = 0xf0; /* 52 to 55 are free */
	d[24 + 56 / 8] = 0x01; /* and 56 */
	put_tag(d, 264, BITMAP, 32);
}

static void
put_vat(void)
{
	bool old = kind == VIRTUAL_150;
	uint8_t *e = sector(START + LAST), *p;
	unsigned size = (old ? 36 : 152) + 4 * NR_TREE;

	p = put_entry(e, old ? 0 : 248, size, 3, size);
	if (!old) {
		put_le16(p, 152);
		p += 152;
	}
	for (unsigned i = 0; i < NR_TREE; i++, p += 4)
		put_le32(p, 40 - i);
	if (old) {
		memcpy(p + 1, "*UDF Virtual Alloc Tbl", 22);
		put_le32(p + 32, UINT32_MAX);
	}
	sign_entry(e, LAST);
}

static void
put_sparing_table(void)
{
	uint8_t *d = sector(SPARING_TABLE);

	memcpy(d + 17, "*UDF Sparing Table", 18);
	put_le16(d + 48, 2);
	put_le32(d + 52, 1);
	put_le32(d + 56, PACKET);
	put_le32(d + 60, SPARE_PACKET);
	put_le32(d + 64, UINT32_MAX);
	put_tag(d, 0, SPARING_TABLE, 72);
}

static void
put_metadata_files(void)
{
	for (unsigned i = 0; i < 2; i++) {
		unsigned block = i ? MIRROR_ENTRY : METADATA_ENTRY;
		uint8_t *p = put_entry(sector(START + block), i ? 251 : 250, NR_TREE * BLOCK, 0, 8);

		put_le32(p, NR_TREE * BLOCK);
		put_le32(p + 4, i ? MIRROR : METADATA);
		sign_entry(sector(START + block), block);
	}
}

static void
put_tree(void)
{
	static uint8_t names[2 * BLOCK];
	uint8_t *p, *e;

	e = tree(FILE_SET);
	put_address(e + 400, BLOCK, ROOT, tree_map());
	put_tag(e, 256, FILE_SET, 512);

	memset(names, 0, sizeof names);
	/* What its first name has for implementations makes the second cross the blocks. */
	p = put_name(names, 8, "", 0, ROOT, BLOCK - 38 - 20);
	p = put_name(p, 0, "\10file", 5, FILE_ENTRY, 0);
	p = put_name(p, 4, "\10gone", 5, FILE_ENTRY, 0);
	p = put_name(p, 0, "\10N\xe4", 3, LINK_ENTRY, 0);
	p = put_name(p, 2, "\20\x65\xb0", 3, ROOT, 4);
	memcpy(tree(ROOT_1), names, BLOCK);
	memcpy(tree(ROOT_2), names + BLOCK, BLOCK);
	e = tree(ROOT);
	p = put_entry(e, 4, (uint64_t)(p - names), 1, 32);
	put_address(p, BLOCK, ROOT_1, tree_map());
	put_address(p + 16, (uint32_t)get_le64(e + 56) - BLOCK, ROOT_2, tree_map());
	sign_entry(e, ROOT);

	/* Data, a hole, zeros that have a place, and more data by way of extents elsewhere. */
	e = tree(FILE_ENTRY);
	p = put_entry(e, 5, 4 * BLOCK + 10, 1, 64);
	put_address(p, BLOCK, DATA, 0);
	put_address(p + 16, BLOCK | 2u << 30, 0, 0);
	put_address(p + 32, BLOCK | 1u << 30, DATA + 1, 0);
	put_address(p + 48, BLOCK | 3u << 30, EXTENTS, 0);
	put_address(e + 152, BLOCK, STREAMS_ENTRY, tree_map());
	sign_entry(e, FILE_ENTRY);
	p = sector(START + EXTENTS);
	memset(p, 0, BLOCK);
	put_le32(p + 20, 16);
	put_address(p + 24, BLOCK + 10, DATA + 2, 0);
	put_tag(p, 258, EXTENTS, 40);
	for (unsigned i = 0; i < 4; i++)
		memset(sector(START + DATA + i), 'a' + (int)i, BLOCK);

	/* "/", "..", "x" and a character of 16 bits */
	e = tree(LINK_ENTRY);
	p = put_entry(e, 12, 19, 3, 19);
	memcpy(p, "\2\0\0\0\3\0\0\0\5\3\0\0\20\x65\xb0\4\0\0\0", 19);
	sign_entry(e, LINK_ENTRY);

	e = tree(STREAMS_ENTRY);
	p = put_entry(e, 13, 44, 3, 44);
	put_name(p, 16, "\10note", 5, STREAM_ENTRY, 0);
	sign_entry(e, STREAMS_ENTRY);
	e = tree(STREAM_ENTRY);
	p = put_entry(e, 5, 5, 3, 5);
	memcpy(p, "words", 5);
	sign_entry(e, STREAM_ENTRY);
}

static void
make_disc(enum kind of)
{
	kind = of;
	memset(image, 0, sizeof image);
	put_volume_descriptors();
	if (kind == SPARABLE)
		put_sparing_table();
	put_tree();
	if (kind == VIRTUAL_150 || kind == VIRTUAL_200)
		put_vat();
	if (kind == WITH_METADATA) {
		put_metadata_files();
		memcpy(sector(START + MIRROR), sector(START + METADATA), NR_TREE * BLOCK);
	}
}

static int
try_open(unsigned flags, struct pl_volume **ret)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	EXPECT_OK(pl_memory_new(image, sizeof image, "disc", &disk, &err));
	return pl_volume_open(disk, "udf", NULL, flags, ret, &err);
}

static struct pl_volume *
open_disc(void)
{
	struct pl_volume *v;

	EXPECT_OK(try_open(0, &v));
	return v;
}

struct names {
	char text[512];
};

static int
add_text(void *closure, const struct pl_entry *e, struct platter_error *unused)
{
	struct names *names = closure;
	size_t n = strlen(names->text);

	(void)unused;
	snprintf(names->text + n, sizeof names->text - n, "%.*s|", (int)e->length, e->name);
	return 0;
}

static struct pl_node_id
find(struct pl_volume *v, const char *name)
{
	struct pl_node_id id;

	EXPECT_OK(pl_volume_lookup(v, v->root, name, strlen(name), &id, &err));
	return id;
}

static int
take_stream(void *closure, const struct pl_attribute *a, struct platter_error *unused)
{
	(void)unused;
	EXPECT_STR(a->name, "note");
	EXPECT_EQ(a->size, 5);
	++*(unsigned *)closure;
	return 0;
}

static void
expect_whole(struct pl_volume *v)
{
	PL_AUTOUNREF struct pl_disk *file = NULL, *stream = NULL;
	PL_AUTOFREE char *target = NULL;
	struct names names = { "" };
	struct platter_file info;
	uint8_t read[4 * BLOCK + 10];
	char words[5];
	unsigned nr = 0;

	EXPECT_OK(pl_volume_list(v, v->root, add_text, &names, &err));
	EXPECT_STR(names.text, "file|N\xc3\xa4|\xe6\x96\xb0|");
	EXPECT_OK(pl_volume_stat(v, find(v, "file"), &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_REGULAR);
	EXPECT_EQ(info.mode, 0751);
	EXPECT_EQ(info.uid, 1000);
	EXPECT_EQ(info.modified.seconds, 1000000000 - 3600);
	EXPECT_EQ(info.modified.nanoseconds, 123456000);
	EXPECT_OK(pl_volume_open_file(v, find(v, "file"), NULL, "file", &file, &err));
	EXPECT_EQ(file->size, sizeof read);
	EXPECT_OK(pl_read(file, read, sizeof read, 0, &err));
	EXPECT_EQ(read[BLOCK - 1], 'a');
	EXPECT(pl_is_zero(read + BLOCK, (size_t)2 * BLOCK));
	EXPECT_EQ(read[3 * BLOCK], 'c');
	EXPECT_EQ(read[4 * BLOCK + 9], 'd');
	EXPECT_OK(pl_volume_stat(v, find(v, "N\xc3\xa4"), &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_SYMLINK);
	EXPECT_OK(pl_volume_read_link(v, find(v, "N\xc3\xa4"), &target, &err));
	EXPECT_STR(target, "/../\xe6\x96\xb0/.");
	EXPECT_EQ(info.size, strlen(target));
	EXPECT_OK(v->ops->streams(v, find(v, "file"), take_stream, &nr, &err));
	EXPECT_EQ(nr, 1);
	EXPECT_OK(pl_volume_open_file(v, find(v, "file"), "note", "note", &stream, &err));
	EXPECT_OK(pl_read(stream, words, sizeof words, 0, &err));
	EXPECT_MEM(words, "words", 5);
}

TEST(every_kind_of_partition_shows_the_same)
{
	for (enum kind k = 0; k < NR_KINDS; k++) {
		PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;

		make_disc(k);
		v = open_disc();
		expect_whole(v);
		EXPECT_EQ(v->state, PLATTER_STATE_CLEAN);
		EXPECT_EQ(v->block_size, BLOCK);
	}
}

TEST(the_copy_stands_in_for_damaged_metadata)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL, *w = NULL;

	make_disc(WITH_METADATA);
	tree(FILE_ENTRY)[300] ^= 1; /* one entry */
	tree(FILE_ENTRY)[216] ^= 1;
	v = open_disc();
	expect_whole(v);
	make_disc(WITH_METADATA);
	memset(sector(START + METADATA_ENTRY), 0, BLOCK); /* all of the file */
	w = open_disc();
	expect_whole(w);
}

TEST(used_is_all_but_what_the_bitmap_frees)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL, *dirty = NULL, *once = NULL;
	struct pl_ranges used = { 0 };
	PL_AUTOFREE char *why = NULL;

	make_disc(PHYSICAL);
	v = open_disc();
	EXPECT_EQ(v->size, sizeof image);
	EXPECT_EQ(v->free, 5 * BLOCK);
	EXPECT_OK(pl_volume_used(v, &used, &why, &err));
	EXPECT(!why);
	EXPECT_EQ(used.nr, 2);
	EXPECT_EQ(used.range[0].end, (START + 52) * BLOCK);
	EXPECT_EQ(used.range[1].start, (START + 57) * BLOCK);
	EXPECT_EQ(used.range[1].end, sizeof image);
	pl_ranges_done(&used);

	put_le32(sector(INTEGRITY) + 28, 0);
	put_tag(sector(INTEGRITY), 9, INTEGRITY, 88 + 46);
	dirty = open_disc();
	EXPECT_EQ(dirty->state, PLATTER_STATE_DIRTY);
	EXPECT_OK(pl_volume_used(dirty, &used, &why, &err));
	EXPECT(why);
	EXPECT_EQ(pl_ranges_bytes(&used), sizeof image);
	pl_ranges_done(&used);
	free(PL_STEAL(why));

	make_disc(VIRTUAL_200);
	once = open_disc();
	EXPECT_OK(pl_volume_used(once, &used, &why, &err));
	EXPECT(why);
	EXPECT_EQ(pl_ranges_bytes(&used), sizeof image);
	pl_ranges_done(&used);
}

TEST(of_several_versions_of_an_entry_the_last_counts)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct platter_file info;
	uint8_t *e;

	make_disc(PHYSICAL);
	/* The first entry, where to find the next, and that. */
	memcpy(sector(START + 42), tree(FILE_ENTRY), BLOCK);
	e = sector(START + 44);
	memcpy(e, tree(FILE_ENTRY), BLOCK);
	put_le32(e + 36, 4321);
	sign_entry(e, 44);
	e = sector(START + 42);
	put_le16(e + 20, 4096);
	sign_entry(e, 42);
	e = sector(START + 43);
	put_address(e + 36, BLOCK, 44, 0);
	put_tag(e, 259, 43, 52);
	put_name(sector(START + ROOT_1), 0, "\10file", 5, 42, BLOCK - 38 - 6);
	put_le64(tree(ROOT) + 56, BLOCK);
	sign_entry(tree(ROOT), ROOT);
	v = open_disc();
	EXPECT_OK(pl_volume_stat(v, find(v, "file"), &info, &err));
	EXPECT_EQ(info.uid, 4321);
}

TEST(damage_in_a_folder_does_not_hide_what_is_behind)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL, *rescued = NULL;
	struct names names = { "" };

	make_disc(PHYSICAL);
	/* In the name of "file", which begins 20 bytes before the second block. */
	tree(ROOT_2)[20] ^= 1;
	v = open_disc();
	EXPECT_EQ(pl_volume_list(v, v->root, add_text, &names, &err), -EUCLEAN);
	EXPECT_STR(names.text, "N\xc3\xa4|\xe6\x96\xb0|");
	EXPECT_OK(try_open(PLATTER_OPEN_IGNORE_CHECKSUMS, &rescued));
	names.text[0] = '\0';
	EXPECT_OK(pl_volume_list(rescued, rescued->root, add_text, &names, &err));
	EXPECT_STR(names.text, "fhle|N\xc3\xa4|\xe6\x96\xb0|");
}

TEST(later_anchors_are_of_later_sessions)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct names names = { "" };
	uint8_t *d;

	make_disc(PHYSICAL);
	/* A second sequence that leads to another root, where all is but "file". */
	memcpy(sector(64), sector(SEQUENCE), (size_t)4 * BLOCK);
	for (unsigned i = 0; i < 4; i++)
		put_tag(sector(64 + i), get_le16(sector(64 + i)), 64 + i, 512);
	put_address(sector(66) + 248, BLOCK, 45, 0);
	put_tag(sector(66), 6, 66, 512);
	memcpy(sector(START + 45), tree(FILE_SET), BLOCK);
	put_address(sector(START + 45) + 400, BLOCK, 46, 0);
	put_tag(sector(START + 45), 256, 45, 512);
	put_name(put_entry(sector(START + 46), 4, 44, 3, 44), 0, "\10new", 4, FILE_ENTRY, 0);
	sign_entry(sector(START + 46), 46);
	d = sector(NR_SECTORS - 1);
	memset(d, 0, BLOCK);
	put_le32(d + 16, 16 * BLOCK);
	put_le32(d + 20, 64);
	put_tag(d, 2, NR_SECTORS - 1, 512);
	v = open_disc();
	EXPECT_OK(pl_volume_list(v, v->root, add_text, &names, &err));
	EXPECT_STR(names.text, "new|");
}

static void
sign_logical(void)
{
	put_tag(sector(SEQUENCE + 2), 6, SEQUENCE + 2, 512);
}

static void
lose_anchor(void)
{
	sector(ANCHOR)[4] ^= 1;
}

static void
lose_partition(void)
{
	sector(SEQUENCE + 1)[200] ^= 1;
}

static void
wrong_block_size(void)
{
	put_le32(sector(SEQUENCE + 2) + 212, 2047);
	sign_logical();
}

static void
too_many_maps(void)
{
	put_le32(sector(SEQUENCE + 2) + 268, 1000);
	sign_logical();
}

static void
map_past_the_table(void)
{
	put_le32(sector(SEQUENCE + 2) + 268, 3);
	sign_logical();
}

static void
root_past_the_partition(void)
{
	put_address(tree(FILE_SET) + 400, BLOCK, NR_BLOCKS, tree_map());
	put_tag(tree(FILE_SET), 256, FILE_SET, 512);
}

static void
entry_longer_than_its_block(void)
{
	put_le32(tree(ROOT) + 208, UINT32_MAX);
	put_tag(tree(ROOT), 266, ROOT, BLOCK);
}

static void
no_table_at_the_end(void)
{
	memset(sector(START + LAST), 0, BLOCK);
}

static void
no_sparing_table(void)
{
	sector(SPARING_TABLE)[60] ^= 1;
}

static void
no_metadata_file(void)
{
	memset(sector(START + METADATA_ENTRY), 0, (size_t)2 * BLOCK);
}

static const struct {
	const char *label;
	enum kind kind;
	void (*break_it)(void);
	int code;
} broken[] = {
	{ "no anchor", PHYSICAL, lose_anchor, -EUCLEAN },
	{ "no partition descriptor", PHYSICAL, lose_partition, -EUCLEAN },
	{ "blocks of 2047 bytes", PHYSICAL, wrong_block_size, -EUCLEAN },
	{ "1000 partition maps", PHYSICAL, too_many_maps, -EFBIG },
	{ "maps past the table", PHYSICAL, map_past_the_table, -EUCLEAN },
	{ "root past the partition", PHYSICAL, root_past_the_partition, -EUCLEAN },
	{ "entry longer than its block", PHYSICAL, entry_longer_than_its_block, -EUCLEAN },
	{ "no virtual allocation table", VIRTUAL_200, no_table_at_the_end, -EUCLEAN },
	{ "no sparing table", SPARABLE, no_sparing_table, -EUCLEAN },
	{ "no metadata file, nor its copy", WITH_METADATA, no_metadata_file, -EUCLEAN },
};

TEST(udf_names_what_is_broken)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		struct pl_volume *v;

		make_disc(broken[i].kind);
		broken[i].break_it();
		EXPECT_EQ(try_open(0, &v), broken[i].code);
	}
}

TEST(extents_in_a_circle_end)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_disk *file;
	uint8_t *p;

	make_disc(PHYSICAL);
	p = sector(START + EXTENTS);
	put_address(p + 24, BLOCK | 3u << 30, EXTENTS, 0);
	put_tag(p, 258, EXTENTS, 40);
	v = open_disc();
	EXPECT_EQ(pl_volume_open_file(v, find(v, "file"), NULL, "file", &file, &err), -EFBIG);
}

TEST(what_the_extents_do_not_cover_is_bad)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_extent e;

	make_disc(PHYSICAL);
	put_le64(tree(FILE_ENTRY) + 56, 100 * BLOCK);
	sign_entry(tree(FILE_ENTRY), FILE_ENTRY);
	v = open_disc();
	EXPECT_OK(pl_volume_open_file(v, find(v, "file"), NULL, "file", &file, &err));
	EXPECT_OK(pl_map(file, 50 * BLOCK, BLOCK, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_BAD);
}
