/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-exfat.c - the files of exFAT, from an image built in view */
#include "content.h"
#include "test.h"
#include "text.h"
#include "volume.h"

static struct platter_error err = PLATTER_ERROR_INIT;

/*
 * 128 sectors of 512 bytes, a cluster each: boot regions, the FAT in sector 24, cluster 2 at
 * sector 25.  Bitmap in cluster 2, up-case table in 3, root folder in 4 and 6.
 */
enum {
	SECTOR = 512,
	SIZE = 128 * SECTOR,
	FAT = 24 * SECTOR,
	HEAP = 25 * SECTOR,
	CLUSTERS = 103,
	ENTRY = 32,
	BITMAP = HEAP,
	UPCASE = HEAP + SECTOR,
	ROOT = HEAP + 2 * SECTOR,
	FILES = ROOT + 3 * ENTRY, /* behind the three entries of the volume */
};
#define END 0xffffffffu

static void
sign_boot(uint8_t *region)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < 11 * SECTOR; i++)
		if (i != 106 && i != 107 && i != 112)
			sum = (sum << 31 | sum >> 1) + region[i];
	for (size_t i = 0; i < SECTOR; i += 4)
		put_le32(region + 11 * (size_t)SECTOR + i, sum);
}

static void
link_to(uint8_t *image, unsigned cluster, uint32_t next)
{
	put_le32(image + FAT + 4 * (size_t)cluster, next);
}

static void
take(uint8_t *image, unsigned first, unsigned nr)
{
	for (unsigned i = first - 2; i < first - 2 + nr; i++)
		image[BITMAP + i / 8] |= (uint8_t)(1 << i % 8);
}

static uint8_t *
cluster_of(uint8_t *image, unsigned cluster)
{
	return image + HEAP + (size_t)(cluster - 2) * SECTOR;
}

static void
make_exfat(uint8_t image[static SIZE])
{
	/* Characters up to '`' are their own, then 26 letters, then the rest. */
	uint8_t *table = image + UPCASE;
	uint32_t sum = 0;
	size_t n = 0;

	memset(image, 0, SIZE);
	memcpy(image,
	       "\xeb\x76\x90"
	       "EXFAT   ",
	       11);
	put_le64(image + 72, SIZE / SECTOR);
	put_le32(image + 80, 24);
	put_le32(image + 84, 1);
	put_le32(image + 88, 25);
	put_le32(image + 92, CLUSTERS);
	put_le32(image + 96, 4);
	put_le32(image + 100, 0x12345678);
	put_le16(image + 104, 0x100);
	image[108] = 9;
	image[110] = 1;
	put_le16(image + 510, 0xaa55);
	sign_boot(image);
	memcpy(image + 12 * (size_t)SECTOR, image, 12 * (size_t)SECTOR);
	put_le32(image + FAT, 0xfffffff8);
	put_le32(image + FAT + 4, END);
	link_to(image, 2, END);
	link_to(image, 3, END);
	link_to(image, 4, 6);
	link_to(image, 6, END);
	take(image, 2, 3);
	take(image, 6, 1);
	put_le16(table, 0xffff);
	put_le16(table + 2, 'a');
	for (n = 4; n < 4 + 2 * 26; n += 2)
		put_le16(table + n, (uint16_t)('A' + (n - 4) / 2));
	put_le16(table + n, 0xffff);
	put_le16(table + n + 2, 0xffff - 'z');
	n += 4;
	for (size_t i = 0; i < n; i++)
		sum = (sum << 31 | sum >> 1) + table[i];
	image[ROOT] = 0x81;
	put_le32(image + ROOT + 20, 2);
	put_le64(image + ROOT + 24, (CLUSTERS + 7) / 8);
	image[ROOT + ENTRY] = 0x82;
	put_le32(image + ROOT + ENTRY + 4, sum);
	put_le32(image + ROOT + ENTRY + 20, 3);
	put_le64(image + ROOT + ENTRY + 24, n);
	image[ROOT + 2 * ENTRY] = 0xa0;
	memset(image + ROOT + 2 * ENTRY + 6, 0x11, 16);
}

static void
sign_set(uint8_t *set)
{
	uint16_t sum = 0;

	for (int i = 0; i < (set[1] + 1) * ENTRY; i++)
		if (i != 2 && i != 3)
			sum = (uint16_t)((sum << 15 | sum >> 1) + set[i]);
	put_le16(set + 2, sum);
}

enum {
	FOLDER = 16,
	CHAIN = 1,
	CONTIGUOUS = 3
};

/* The entries of a file; returns what comes behind them. */
static uint8_t *
put_file(uint8_t *set, const char *name, unsigned attributes, unsigned flags, uint32_t cluster,
	 uint64_t size)
{
	size_t n, entries;
	PL_AUTOFREE uint8_t *units = pl_utf16le_from_text(name, &n);

	EXPECT(units);
	entries = (n + 14) / 15;
	memset(set, 0, (2 + entries) * ENTRY);
	set[0] = 0x85;
	set[1] = (uint8_t)(1 + entries);
	put_le16(set + 4, (uint16_t)attributes);
	set[ENTRY] = 0xc0;
	set[ENTRY + 1] = (uint8_t)flags;
	set[ENTRY + 3] = (uint8_t)n;
	put_le64(set + ENTRY + 8, size);
	put_le32(set + ENTRY + 20, cluster);
	put_le64(set + ENTRY + 24, size);
	for (size_t i = 0; i < n; i++) {
		set[(2 + i / 15) * ENTRY] = 0xc1;
		memcpy(set + (2 + i / 15) * ENTRY + 2 + i % 15 * 2, units + 2 * i, 2);
	}
	sign_set(set);
	return set + (2 + entries) * ENTRY;
}

static struct pl_volume *
open_image(const uint8_t *image, const char *name)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_volume *v = NULL;

	EXPECT_OK(pl_memory_new(image, SIZE, "disk", &disk, &err));
	EXPECT_OK(pl_volume_open(disk, name, NULL, 0, &v, &err));
	return v;
}

static int
add_name(void *closure, const struct pl_entry *e, struct platter_error *why)
{
	struct pl_str *s = closure;

	(void)why;
	pl_str_add_bytes(s, e->name, e->length);
	pl_str_add(s, "|");
	return 0;
}

static int
expect_names(struct pl_volume *v, struct pl_node_id folder, const char *wanted)
{
	struct pl_str s = { 0 };
	int r = pl_volume_list(v, folder, add_name, &s, &err);

	EXPECT_STR(s.text ? s.text : "", wanted);
	pl_str_done(&s);
	return r;
}

static struct pl_node_id
find(struct pl_volume *v, const char *name)
{
	struct pl_node_id id = { 0 };

	EXPECT_OK(pl_volume_lookup(v, v->root, name, strlen(name), &id, &err));
	return id;
}

static size_t
read_file(struct pl_volume *v, struct pl_node_id id, uint8_t *buf, size_t size, int *ret_code)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	size_t done = 0;

	*ret_code = pl_volume_open_file(v, id, NULL, "file", &file, &err);
	while (*ret_code == 0 && done < file->size && done < size) {
		size_t n = PL_MIN(file->size - done, (size_t)64);

		*ret_code = pl_read(file, buf + done, n, done, &err);
		done += *ret_code ? 0 : n;
	}
	return done;
}

TEST(exfat_sets_go_on_in_the_next_cluster)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	uint8_t set[20 * ENTRY], *e;
	struct platter_file file;
	size_t first;

	make_exfat(image);
	/* 3 entries of the volume, 12 of files: one is left for the file entry of the last. */
	e = put_file(image + FILES, "first", 32, CONTIGUOUS, 20, 600);
	e = put_file(e, "a name with more than fifteen characters", 32, CHAIN, 0, 0);
	e = put_file(e, "Ünïcödé 😀", 1 | 2 | 4 | 32, CHAIN, 0, 0);
	e[0] = 0x03; /* an unused entry, two of them */
	e[ENTRY] = 0x21;
	e += 2 * ENTRY;
	first = (size_t)(ROOT + SECTOR - (e - image)) / ENTRY;
	EXPECT(first == 0 || first < 5);
	put_file(set, "goes on in the second cluster of the root", 32, CHAIN, 0, 0);
	memcpy(e, set, first * ENTRY);
	memcpy(cluster_of(image, 6), set + first * ENTRY, (5 - first) * ENTRY);
	v = open_image(image, NULL);
	EXPECT_OK(expect_names(v, v->root,
			       "first|a name with more than fifteen characters|Ünïcödé 😀|"
			       "goes on in the second cluster of the root|"));
	EXPECT_OK(pl_volume_stat(v, find(v, "goes on in the second cluster of the root"), &file,
				 &err));
	EXPECT_EQ(file.attributes, PLATTER_FILE_ARCHIVE);
	EXPECT_OK(pl_volume_stat(v, find(v, "FIRST"), &file, &err));
	EXPECT_EQ(file.allocated, 1024);
	EXPECT_EQ(file.inode, FILES);
	/* The table has no capital letters but of 'a' to 'z'. */
	EXPECT_EQ(pl_volume_lookup(v, v->root, "ÜnïcÖdé 😀", strlen("ÜnïcÖdé 😀"), &v->root, &err),
		  -ENOENT);
	EXPECT_OK(pl_volume_stat(v, find(v, "ÜNïCöDé 😀"), &file, &err));
	EXPECT_EQ(file.attributes, PLATTER_FILE_READ_ONLY | PLATTER_FILE_HIDDEN |
					   PLATTER_FILE_SYSTEM | PLATTER_FILE_ARCHIVE);
}

TEST(exfat_times_have_their_offset_from_utc)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct platter_file file;
	uint32_t noon = (uint32_t)((46 << 9 | 2 << 5 | 28) << 16 | 12 << 11);

	make_exfat(image);
	put_file(image + FILES, "file", 32, CHAIN, 0, 0);
	put_le32(image + FILES + 8, noon);
	put_le32(image + FILES + 12, noon);
	put_le32(image + FILES + 16, noon);
	image[FILES + 20] = 199;
	image[FILES + 21] = 50;
	image[FILES + 22] = 0x80 | 4;          /* an hour before UTC's */
	image[FILES + 23] = 0x80 | (128 - 20); /* five hours behind it */
	image[FILES + 24] = 4;                 /* not valid */
	sign_set(image + FILES);
	v = open_image(image, NULL);
	EXPECT_OK(pl_volume_stat(v, find(v, "file"), &file, &err));
	EXPECT_EQ(file.created.seconds, 1772280000 - 3600 + 1);
	EXPECT_EQ(file.created.nanoseconds, 990000000);
	EXPECT_EQ(file.modified.seconds, 1772280000 + 5 * 3600);
	EXPECT_EQ(file.modified.nanoseconds, 500000000);
	EXPECT_EQ(file.accessed.seconds, 1772280000);
}

/* A file of 1500 bytes that begins in cluster 20: how much of it can be read. */
static const struct {
	const char *label;
	unsigned flags, cluster;
	uint32_t chain[3]; /* what clusters 20, 21, 22 lead to */
	uint64_t valid;
	size_t readable;
	int code;
} files[] = {
	{ "in one piece, no chain", CONTIGUOUS, 20, { 0, 0, 0 }, 1500, 1500, 0 },
	{ "a chain", CHAIN, 20, { 22, END, 21 }, 1500, 1500, 0 },
	{ "partly valid", CONTIGUOUS, 20, { 0, 0, 0 }, 700, 1500, 0 },
	{ "a chain of which no more is valid", CHAIN, 20, { END, 0, 0 }, 500, 1500, 0 },
	{ "past the last cluster", CONTIGUOUS, CLUSTERS + 1, { 0, 0, 0 }, 1500, 512, -EUCLEAN },
	{ "a chain too short", CHAIN, 20, { 21, END, 0 }, 1500, 1024, -EUCLEAN },
	{ "a chain in a circle", CHAIN, 20, { 21, 20, 0 }, 1500, 1024, -EUCLEAN },
	{ "to a free cluster", CHAIN, 20, { 0, 0, 0 }, 1500, 512, -EUCLEAN },
	{ "to a bad cluster", CHAIN, 20, { 0xfffffff7, 0, 0 }, 1500, 512, -EUCLEAN },
	{ "no first cluster", CHAIN, 0, { 0, 0, 0 }, 1500, 0, -EUCLEAN },
};

TEST(exfat_files_are_read_as_far_as_they_are_there)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		PL_AUTOFREE uint8_t *image = malloc(SIZE);
		PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
		uint8_t buf[1500];
		int code;

		make_exfat(image);
		put_file(image + FILES, "file", 32, files[i].flags, files[i].cluster, sizeof buf);
		put_le64(image + FILES + ENTRY + 8, files[i].valid);
		sign_set(image + FILES);
		for (unsigned k = 0; k < 3; k++) {
			link_to(image, 20 + k, files[i].chain[k]);
			memset(cluster_of(image, 20 + k), 20 + (int)k, SECTOR);
		}
		v = open_image(image, NULL);
		EXPECT_EQ(read_file(v, find(v, "file"), buf, sizeof buf, &code), files[i].readable);
		EXPECT_EQ(code, files[i].code);
		if (files[i].valid < 1500)
			EXPECT_EQ(buf[files[i].valid], 0);
		if (code == 0 && files[i].valid == 1500)
			EXPECT_EQ(buf[SECTOR], files[i].flags == CHAIN ? 22 : 21);
	}
}

/* Each row breaks one byte of the set of the second of three files. */
static const struct {
	const char *label;
	unsigned at;
	uint8_t value;
	const char *names;
} sets[] = {
	{ "wrong checksum", 2, 0x55, "one|two|three|" },
	{ "fewer entries than it says", 1, 3, "one|three|" },
	{ "no stream", ENTRY, 0xc1, "one|three|" },
	{ "no name", 2 * ENTRY, 0xc0, "one|three|" },
	{ "a longer name", ENTRY + 3, 16, "one|three|" },
	{ "a name of nothing", ENTRY + 3, 0, "one|three|" },
};

TEST(exfat_damaged_sets_do_not_hide_others)
{
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		PL_AUTOFREE uint8_t *image = malloc(SIZE);
		PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
		uint8_t *two, *three;

		make_exfat(image);
		two = put_file(image + FILES, "one", 32, CHAIN, 0, 0);
		three = put_file(two, "two", 32, CHAIN, 0, 0);
		put_file(three, "three", 32, CHAIN, 0, 0);
		two[sets[i].at] = sets[i].value;
		v = open_image(image, NULL);
		EXPECT_EQ(expect_names(v, v->root, sets[i].names), -EUCLEAN);
	}
}

TEST(exfat_skips_entries_that_it_does_not_know)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	uint8_t *e;

	make_exfat(image);
	e = put_file(image + FILES, "with more", 32, CHAIN, 0, 0);
	/* A vendor's extension behind the name, and a benign primary entry of its own. */
	e[0] = 0xe0;
	image[FILES + 1] = 3;
	sign_set(image + FILES);
	e[ENTRY] = 0xa5;
	put_file(e + 2 * ENTRY, "last", 32, CHAIN, 0, 0);
	v = open_image(image, NULL);
	EXPECT_OK(expect_names(v, v->root, "with more|last|"));
}

TEST(exfat_knows_what_is_in_use)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL, *none = NULL;
	struct pl_ranges used = { 0 };
	PL_AUTOFREE char *why = NULL, *no = NULL;
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };

	make_exfat(image);
	take(image, 50, 2);
	image[106] = 2;
	v = open_image(image, NULL);
	EXPECT_EQ(v->state, PLATTER_STATE_DIRTY);
	EXPECT_OK(pl_volume_used(v, &used, &why, &err));
	EXPECT(!why);
	EXPECT_EQ(used.nr, 3);
	EXPECT_EQ(used.range[0].end, HEAP + 3 * SECTOR);
	EXPECT_EQ(used.range[1].start, HEAP + 4 * SECTOR);
	EXPECT_EQ(used.range[1].end, HEAP + 5 * SECTOR);
	EXPECT_EQ(used.range[2].start, HEAP + 48 * SECTOR);
	EXPECT_EQ(used.range[2].end, HEAP + 50 * SECTOR);
	pl_ranges_done(&used);
	v->ops->describe(v, &facts);
	for (size_t i = 0; i < facts.list.nr_facts; i++)
		if (!strcmp(facts.list.facts[i].key, "volume_guid"))
			EXPECT_STR(facts.list.facts[i].text,
				   "11111111-1111-1111-1111-111111111111");
	EXPECT_EQ(facts.list.nr_warnings, 1);
	pl_arena_done(&arena);
	/* Without a bitmap everything is. */
	put_le64(image + ROOT + 24, 5);
	none = open_image(image, NULL);
	EXPECT_OK(pl_volume_used(none, &used, &no, &err));
	EXPECT(no && strstr(no, "allocation bitmap of 5 bytes"));
	EXPECT_EQ(pl_ranges_bytes(&used), SIZE);
	pl_ranges_done(&used);
}

struct deleted {
	size_t nr;
	char paths[8][40];
	enum platter_recovery recovery[8];
	struct pl_node_id id[8];
};

static int
take_deleted(void *closure, const struct pl_deleted *d, struct platter_error *e)
{
	struct deleted *all = closure;

	(void)e;
	EXPECT(all->nr < 8);
	snprintf(all->paths[all->nr], sizeof all->paths[0], "%s", d->path);
	all->recovery[all->nr] = d->recovery;
	all->id[all->nr++] = d->id;
	return 0;
}

TEST(exfat_finds_what_was_deleted)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct deleted all = { .nr = 0 };
	uint8_t buf[1500], *e;
	int code;

	make_exfat(image);
	/* In one piece; a chain that is left; one whose clusters have other owners; a folder. */
	e = put_file(image + FILES, "piece", 32, CONTIGUOUS, 20, 1500);
	e = put_file(e, "chain", 32, CHAIN, 30, 1500);
	e = put_file(e, "reused", 32, CONTIGUOUS, 40, 600);
	put_file(e, "folder", FOLDER, CONTIGUOUS, 50, SECTOR);
	put_file(cluster_of(image, 50), "inside", 32, CONTIGUOUS, 40, 1500);
	for (e = image + FILES; e < image + ROOT + SECTOR; e += ENTRY)
		*e &= 0x7f;
	for (e = cluster_of(image, 50); *e; e += ENTRY)
		*e &= 0x7f;
	link_to(image, 30, 35);
	link_to(image, 35, 33);
	link_to(image, 33, END);
	take(image, 31, 1);
	take(image, 40, 2);
	memset(cluster_of(image, 22), 22, SECTOR);
	memset(cluster_of(image, 33), 33, SECTOR);
	v = open_image(image, NULL);
	EXPECT_OK(expect_names(v, v->root, ""));
	EXPECT_OK(v->ops->deleted(v, take_deleted, &all, &err));
	EXPECT_EQ(all.nr, 5);
	EXPECT_STR(all.paths[0], "piece");
	EXPECT_EQ(all.recovery[0], PLATTER_RECOVERY_WHOLE);
	EXPECT_EQ(read_file(v, all.id[0], buf, sizeof buf, &code), 1500);
	EXPECT_EQ(buf[1499], 22);
	EXPECT_STR(all.paths[1], "chain");
	EXPECT_EQ(all.recovery[1], PLATTER_RECOVERY_WHOLE);
	EXPECT_EQ(read_file(v, all.id[1], buf, sizeof buf, &code), 1500);
	EXPECT_EQ(buf[1499], 33);
	EXPECT_STR(all.paths[2], "reused");
	EXPECT_EQ(all.recovery[2], PLATTER_RECOVERY_NOTHING);
	EXPECT_EQ(read_file(v, all.id[2], buf, sizeof buf, &code), 0);
	EXPECT_EQ(code, -ENODATA);
	EXPECT_STR(all.paths[3], "folder");
	EXPECT_STR(all.paths[4], "folder/inside");
	EXPECT_EQ(all.recovery[4], PLATTER_RECOVERY_PARTLY);
}

TEST(exfat_is_opened_by_its_second_boot_region_when_it_is_named)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_exfat(image);
	memset(image, 0, SECTOR);
	EXPECT_OK(pl_memory_new(image, SIZE, "disk", &disk, &err));
	EXPECT_EQ(pl_volume_open(disk, NULL, NULL, 0, &v, &err), -ENOENT);
	EXPECT_OK(pl_volume_open(disk, "exfat", NULL, 0, &v, &err));
}

TEST(exfat_takes_the_table_and_bitmap_that_texfat_uses)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_ranges used = { 0 };

	make_exfat(image);
	/* The second FAT is where the first cluster would be: the heap goes behind it. */
	memmove(image + HEAP + SECTOR, image + HEAP, SIZE - HEAP - SECTOR);
	memcpy(image + FAT + SECTOR, image + FAT, SECTOR);
	memset(image + FAT, 0, SECTOR);
	put_le32(image + 88, 26);
	put_le32(image + 92, CLUSTERS - 1);
	image[106] = 1;
	image[110] = 2;
	image[ROOT + SECTOR + 1] = 1;
	sign_boot(image);
	put_file(image + FILES + SECTOR, "file", 32, CHAIN, 0, 0);
	v = open_image(image, NULL);
	EXPECT_OK(expect_names(v, v->root, "file|"));
	EXPECT_OK(pl_volume_used(v, &used, NULL, &err));
	EXPECT_EQ(pl_ranges_bytes(&used), 26 * SECTOR + 4 * SECTOR);
	pl_ranges_done(&used);
}

/* Each row breaks one field of the boot sector. */
static const struct {
	unsigned at;
	uint8_t value;
} broken[] = {
	{ 3, 'X' }, { 11, 1 }, { 72, 0 }, { 80, 5 }, { 88, 3 }, { 108, 8 }, { 109, 17 }, { 110, 3 },
};

TEST(exfat_names_the_broken_field)
{
	extern const struct pl_content_driver pl_content_exfat;

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		PL_AUTOFREE uint8_t *image = malloc(SIZE);
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		struct pl_volume_request request = { 0 };
		struct pl_volume *v;

		make_exfat(image);
		image[broken[i].at] = broken[i].value;
		memset(image + 12 * (size_t)SECTOR, 0, SECTOR);
		EXPECT_OK(pl_memory_new(image, SIZE, "disk", &disk, &err));
		request.disk = disk;
		EXPECT_EQ(pl_content_exfat.open(&request, &v, &err), -EUCLEAN);
		/* Without a sector there is no room for clusters. */
		EXPECT_EQ(err.offset, broken[i].at == 72 ? 88 : broken[i].at);
	}
}
