/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-fat.c - the files of FAT12 and FAT32, from images built in view */
#include "content.h"
#include "test.h"
#include "text.h"
#include "volume.h"

static struct platter_error err = PLATTER_ERROR_INIT;

/*
 * FAT12: 128 sectors of 512 bytes, a cluster each; boot sector, two FATs of one sector, a root
 * folder of 32 entries in two, cluster 2 at sector 5.
 */
enum {
	SECTOR = 512,
	SIZE = 128 * SECTOR,
	FAT1 = SECTOR,
	FAT2 = 2 * SECTOR,
	ROOT = 3 * SECTOR,
	HEAP = 5 * SECTOR,
	CLUSTERS = 123,
	ENTRY = 32,
	END = 0xfff
};

static void
make_fat12(uint8_t image[static SIZE])
{
	memset(image, 0, SIZE);
	memcpy(image, "\xeb\x3c\x90TESTFAT ", 11);
	put_le16(image + 11, SECTOR);
	image[13] = 1;
	put_le16(image + 14, 1);
	image[16] = 2;
	put_le16(image + 17, 32);
	put_le16(image + 19, SIZE / SECTOR);
	image[21] = 0xf8;
	put_le16(image + 22, 1);
	image[38] = 0x29;
	memcpy(image + 54, "FAT12   ", 8);
	put_le16(image + 510, 0xaa55);
	memcpy(image + FAT1, "\xf8\xff\xff", 3);
	memcpy(image + FAT2, "\xf8\xff\xff", 3);
}

static void
link_in(uint8_t *fat, unsigned cluster, unsigned next)
{
	uint8_t *p = fat + cluster * 3 / 2;
	unsigned old = get_le16(p);

	put_le16(p, (uint16_t)(cluster % 2 ? (old & 15) | next << 4 : (old & 0xf000) | next));
}

static void
link_to(uint8_t *image, unsigned cluster, unsigned next)
{
	link_in(image + FAT1, cluster, next);
	link_in(image + FAT2, cluster, next);
}

static uint8_t *
cluster_of(uint8_t *image, unsigned cluster)
{
	return image + HEAP + (size_t)(cluster - 2) * SECTOR;
}

static uint8_t *
put_short(uint8_t *e, const char *name, unsigned attributes, unsigned cluster, uint32_t size)
{
	memcpy(e, name, 11);
	e[11] = (uint8_t)attributes;
	put_le16(e + 26, (uint16_t)cluster);
	put_le32(e + 28, size);
	return e + ENTRY;
}

static uint8_t
sum_of(const char *name)
{
	uint8_t sum = 0;

	for (int i = 0; i < 11; i++)
		sum = (uint8_t)((sum << 7 | sum >> 1) + (uint8_t)name[i]);
	return sum;
}

/* The parts of a long name, the last one first; what is behind the name is all ones. */
static uint8_t *
put_long(uint8_t *e, const char *name, uint8_t sum)
{
	static const uint8_t places[] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30 };
	size_t n, parts;
	PL_AUTOFREE uint8_t *units = pl_utf16le_from_text(name, &n);

	EXPECT(units);
	parts = (n + 12) / 13;
	for (size_t part = parts; part--; e += ENTRY) {
		e[0] = (uint8_t)(part + 1 + (part + 1 == parts ? 0x40 : 0));
		e[11] = 15;
		e[13] = sum;
		for (size_t i = 0; i < 13; i++) {
			size_t k = part * 13 + i;

			put_le16(e + places[i], k < n    ? get_le16(units + 2 * k)
						: k == n ? 0
							 : 0xffff);
		}
	}
	return e;
}

static struct pl_volume *
open_image(const uint8_t *image, size_t size, const char *name)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_volume *v = NULL;

	EXPECT_OK(pl_memory_new(image, size, "disk", &disk, &err));
	EXPECT_OK(pl_volume_open(disk, name, NULL, 0, &v, &err));
	return v;
}

/* The names in a folder, each with a '|' behind it. */
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

/* Reads what can be read of a file, in pieces of 100 bytes; returns how much that was. */
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

TEST(fat_names_are_long_ones_or_short_ones_of_the_code_page)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL, *v850 = NULL;
	uint8_t *e;

	make_fat12(image);
	e = put_short(image + ROOT, "THE LABEL  ", 8, 0, 0);
	e = put_long(e, "A long name.text", sum_of("ALONGN~1TEX"));
	e = put_short(e, "ALONGN~1TEX", 32, 0, 0);
	e = put_long(e, "thirteen unit", sum_of("THIRTE~1   "));
	e = put_short(e, "THIRTE~1   ", 32, 0, 0);
	e = put_short(e, "README  TXT", 32, 0, 0);
	e[12 - ENTRY] = 8 | 16;
	e = put_short(e, "\x05\x9b\x80     \x90 ", 32, 0, 0);
	e[-ENTRY + 10] = ' ';
	e = put_short(e, "\xe5OST    TXT", 32, 0, 0);
	put_short(e, "NO EXT     ", 32, 0, 0);
	v = open_image(image, SIZE, NULL);
	EXPECT_OK(expect_names(v, v->root,
			       "A long name.text|thirteen unit|readme.txt|σ¢Ç.É|NO EXT|"));
	/* Exactly, but for case, by the short name. */
	EXPECT_EQ(find(v, "A long name.text").inode, find(v, "a LONG name.TEXT").inode);
	EXPECT_EQ(find(v, "A long name.text").inode, find(v, "alongn~1.tex").inode);
	EXPECT_EQ(pl_volume_lookup(v, v->root, "OST.TXT", 7, &v->root, &err), -ENOENT);
	v850 = open_image(image, SIZE, "vfat-cp850");
	EXPECT_OK(expect_names(v850, v850->root,
			       "A long name.text|thirteen unit|readme.txt|ÕøÇ.É|NO EXT|"));
}

TEST(fat_long_names_that_are_not_whole_are_not_shown)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	uint8_t *e, *first;

	make_fat12(image);
	/* Another file's; one whose parts are out of order; one cut off by a deleted entry. */
	e = put_long(image + ROOT, "not this one", (uint8_t)(sum_of("WRONGSUM   ") + 1));
	e = put_short(e, "WRONGSUM   ", 32, 0, 0);
	first = e;
	e = put_long(e, "out of order, in two", sum_of("ORDER      "));
	first[0] = 0x43;
	e = put_short(e, "ORDER      ", 32, 0, 0);
	e = put_long(e, "cut off", sum_of("CUTOFF     "));
	e = put_short(e, "\xe5 GONE     ", 32, 0, 0);
	e = put_short(e, "CUTOFF     ", 32, 0, 0);
	/* A surrogate that has no other. */
	first = e;
	e = put_long(e, "s?s", sum_of("SURROGAT   "));
	put_le16(first + 3, 0xd800);
	e = put_short(e, "SURROGAT   ", 32, 0, 0);
	/* No file follows. */
	put_long(e, "orphan", 1);
	v = open_image(image, SIZE, NULL);
	EXPECT_OK(expect_names(v, v->root, "WRONGSUM|ORDER|CUTOFF|s\xef\xbf\xbds|"));
}

TEST(fat_tells_sizes_times_and_attributes)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct platter_file file;

	make_fat12(image);
	put_short(image + ROOT, "FILE       ", 1 | 2 | 4 | 32, 9, 700);
	image[ROOT + 13] = 150;
	put_le16(image + ROOT + 14, 12 << 11 | 34 << 5 | 28);
	put_le16(image + ROOT + 16, (2026 - 1980) << 9 | 2 << 5 | 28);
	put_le16(image + ROOT + 18, (2000 - 1980) << 9 | 2 << 5 | 29);
	put_le16(image + ROOT + 22, 0);
	put_le16(image + ROOT + 24, 1 << 5 | 1);
	put_short(image + ROOT + ENTRY, "FOLDER     ", 16, 20, 0);
	link_to(image, 9, 10);
	link_to(image, 10, END);
	link_to(image, 20, 22);
	link_to(image, 22, END);
	put_short(cluster_of(image, 20), ".          ", 16, 20, 0);
	put_short(cluster_of(image, 20) + ENTRY, "..         ", 16, 0, 0);
	for (int i = 2; i < SECTOR / ENTRY; i++)
		put_short(cluster_of(image, 20) + i * ENTRY, "\xe5           ", 32, 0, 0);
	put_short(cluster_of(image, 22), "BEHIND     ", 32, 0, 0);
	v = open_image(image, SIZE, NULL);
	EXPECT_OK(pl_volume_stat(v, find(v, "FILE"), &file, &err));
	EXPECT_EQ(file.type, PLATTER_FILE_REGULAR);
	EXPECT_EQ(file.attributes, PLATTER_FILE_READ_ONLY | PLATTER_FILE_HIDDEN |
					   PLATTER_FILE_SYSTEM | PLATTER_FILE_ARCHIVE);
	EXPECT_EQ(file.size, 700);
	EXPECT_EQ(file.allocated, 1024);
	EXPECT_EQ(file.inode, ROOT);
	EXPECT_EQ(file.created.seconds, 1772282097); /* 2026-02-28 12:34:57.5 */
	EXPECT_EQ(file.created.nanoseconds, 500000000);
	EXPECT_EQ(file.accessed.seconds, 951782400);
	EXPECT_EQ(file.modified.seconds, 315532800);
	EXPECT_EQ(file.changed.seconds, PLATTER_NO_TIME);
	EXPECT_OK(pl_volume_stat(v, find(v, "FOLDER"), &file, &err));
	EXPECT_EQ(file.type, PLATTER_FILE_FOLDER);
	EXPECT_EQ(file.allocated, 1024);
	EXPECT_EQ(file.created.seconds, PLATTER_NO_TIME);
	EXPECT_OK(expect_names(v, find(v, "FOLDER"), "BEHIND|"));
	EXPECT_OK(pl_volume_stat(v, v->root, &file, &err));
	EXPECT_EQ(file.size, 1024);
	EXPECT_EQ(pl_volume_list(v, find(v, "FILE"), add_name, NULL, &err), -ENOTDIR);
}

/* A file of 2000 bytes that begins in cluster 10: how much of it its chain gives. */
static const struct {
	const char *label;
	unsigned chain[4]; /* what clusters 10, 11, 12, 13 lead to */
	size_t readable;
	int code;
} chains[] = {
	{ "in one piece", { 11, 12, 13, END }, 2000, 0 },
	{ "in pieces", { 13, END, 11, 12 }, 2000, 0 },
	{ "longer than the file", { 11, 12, 13, 14 }, 2000, 0 },
	{ "too short", { 11, END, 0, 0 }, 1024, -EUCLEAN },
	{ "of free clusters", { 11, 12, 0, 0 }, 1536, -EUCLEAN },
	{ "to a bad cluster", { 0xff7, 0, 0, 0 }, 512, -EUCLEAN },
	{ "to cluster 1", { 1, 0, 0, 0 }, 512, -EUCLEAN },
	{ "past the last cluster", { 11, CLUSTERS + 2, 0, 0 }, 1024, -EUCLEAN },
	{ "to itself", { 10, 0, 0, 0 }, 512, -EUCLEAN },
};

TEST(fat_files_are_read_as_far_as_their_chains_go)
{
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		PL_AUTOFREE uint8_t *image = malloc(SIZE);
		PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
		uint8_t buf[2000];
		int code;

		make_fat12(image);
		put_short(image + ROOT, "FILE       ", 32, 10, sizeof buf);
		for (unsigned k = 0; k < 4; k++) {
			link_to(image, 10 + k, chains[i].chain[k]);
			memset(cluster_of(image, 10 + k), 10 + (int)k, SECTOR);
		}
		v = open_image(image, SIZE, NULL);
		/* Pieces of 64 bytes: as many as fit before the damage. */
		EXPECT_EQ(read_file(v, find(v, "FILE"), buf, sizeof buf, &code),
			  chains[i].readable);
		EXPECT_EQ(code, chains[i].code);
		EXPECT_EQ(buf[0], 10);
		if (chains[i].readable > SECTOR)
			EXPECT_EQ(buf[SECTOR], chains[i].chain[0]);
	}
}

TEST(fat_folders_in_circles_end)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;

	make_fat12(image);
	put_short(image + ROOT, "CIRCLE     ", 16, 10, 0);
	for (unsigned k = 10; k < 13; k++)
		link_to(image, k, k + 1);
	link_to(image, 13, 11);
	for (int i = 0; i < 4 * SECTOR / ENTRY; i++)
		put_short(cluster_of(image, 10) + i * ENTRY, "\xe5           ", 32, 0, 0);
	put_short(cluster_of(image, 10), "ONCE       ", 32, 0, 0);
	put_short(image + ROOT + ENTRY, "NOWHERE    ", 16, 0, 0);
	v = open_image(image, SIZE, NULL);
	EXPECT_EQ(expect_names(v, find(v, "CIRCLE"), "ONCE|"), -EUCLEAN);
	EXPECT_EQ(expect_names(v, find(v, "NOWHERE"), ""), -EUCLEAN);
}

/* ---- a disk of which a part was bad when it was imaged ---- */

struct scratched {
	struct pl_disk disk;
	struct pl_disk *below;
	uint64_t bad, length;
};

static int
scratched_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	      struct platter_error *e)
{
	struct scratched *s = pl_container_of(disk, struct scratched, disk);
	bool bad = offset >= s->bad && offset < s->bad + s->length;

	(void)e;
	*ret = (struct pl_extent){ .kind = bad ? PLATTER_BAD : PLATTER_DATA,
				   .length = bad ? s->bad + s->length - offset
						 : (offset < s->bad ? s->bad - offset : length),
				   .below = bad ? NULL : s->below,
				   .stored_offset = offset };
	return 0;
}

static void
scratched_free(struct pl_disk *disk)
{
	pl_disk_unref(pl_container_of(disk, struct scratched, disk)->below);
	pl_disk_done(disk);
	free(pl_container_of(disk, struct scratched, disk));
}

static const struct pl_disk_ops scratched_ops = {
	.name = "scratched",
	.map = scratched_map,
	.free = scratched_free,
};

TEST(fat_uses_the_second_table_where_the_first_is_bad)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct scratched *s = calloc(1, sizeof *s);
	uint8_t buf[1000];
	int code;

	make_fat12(image);
	put_short(image + ROOT, "FILE       ", 32, 10, sizeof buf);
	link_to(image, 10, 20);
	link_to(image, 20, END);
	memset(cluster_of(image, 20), 20, SECTOR);
	memset(image + FAT1, 0, SECTOR);
	EXPECT(s);
	EXPECT_OK(pl_disk_init(&s->disk, &scratched_ops, "disk", &err));
	disk = &s->disk;
	EXPECT_OK(pl_memory_new(image, SIZE, "below", &s->below, &err));
	s->disk.size = SIZE;
	s->bad = FAT1;
	s->length = SECTOR;
	EXPECT_OK(pl_volume_open(disk, NULL, NULL, 0, &v, &err));
	EXPECT_EQ(read_file(v, find(v, "FILE"), buf, sizeof buf, &code), sizeof buf);
	EXPECT_EQ(buf[999], 20);
}

TEST(fat_knows_what_is_in_use)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_ranges used = { 0 };
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };

	make_fat12(image);
	put_le16(image + 19, SIZE / SECTOR - 1);
	link_to(image, 10, END);
	link_to(image, 11, 0xff7);
	link_to(image, CLUSTERS, END);
	v = open_image(image, SIZE, NULL);
	EXPECT_EQ(v->size, SIZE - SECTOR);
	EXPECT_EQ(v->block_size, SECTOR);
	EXPECT_EQ(v->state, PLATTER_STATE_UNKNOWN);
	EXPECT(v->folds_case);
	EXPECT_OK(pl_volume_used(v, &used, NULL, &err));
	EXPECT_EQ(used.nr, 3);
	EXPECT_EQ(used.range[0].end, HEAP);
	EXPECT_EQ(used.range[1].start, HEAP + 8 * SECTOR);
	EXPECT_EQ(used.range[1].end, HEAP + 10 * SECTOR);
	EXPECT_EQ(used.range[2].start, SIZE - 2 * SECTOR);
	EXPECT_EQ(used.range[2].end, SIZE - SECTOR);
	v->ops->describe(v, &facts);
	for (size_t i = 0; i < facts.list.nr_facts; i++)
		if (!strcmp(facts.list.facts[i].key, "bad_clusters"))
			EXPECT_EQ(facts.list.facts[i].number, 1);
	pl_arena_done(&arena);
	pl_ranges_done(&used);
}

/* ---- what was deleted ---- */

struct found {
	struct pl_node_id id;
	enum platter_recovery recovery;
	enum platter_file_type type;
	uint64_t size;
	char path[100];
};
struct deleted {
	struct found found[16];
	size_t nr;
};

static int
take_deleted(void *closure, const struct pl_deleted *d, struct platter_error *e)
{
	struct deleted *all = closure;
	struct found *f = &all->found[all->nr++];

	(void)e;
	EXPECT(all->nr <= 16);
	*f = (struct found){ d->id, d->recovery, d->file.type, d->file.size, "" };
	snprintf(f->path, sizeof f->path, "%s", d->path);
	EXPECT(d->file.attributes & PLATTER_FILE_DELETED);
	return 0;
}

/* What the system does: the first letter of each entry is lost, the chain is freed. */
static void
delete_entries(uint8_t *from, uint8_t *to)
{
	for (; from < to; from += ENTRY)
		*from = 0xe5;
}

TEST(fat_finds_what_was_deleted)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct deleted all = { .nr = 0 };
	uint8_t *e, *start, buf[1500];
	int code;

	make_fat12(image);
	/* Cluster 11 belongs to a file that was there before, or came after. */
	e = put_short(image + ROOT, "LIVES      ", 32, 11, 300);
	link_to(image, 11, END);
	start = e;
	e = put_long(e, "Deleted with a long name.txt", sum_of("DELETE~1TXT"));
	e = put_short(e, "DELETE~1TXT", 32, 20, 1000);
	e = put_short(e, "SHORT   TXT", 32, 10, 1500);
	e = put_short(e, "REUSED  TXT", 32, 11, 100);
	e = put_short(e, "FOLDER     ", 16, 30, 0);
	e = put_short(e, "EMPTY      ", 32, 0, 0);
	/* No system wrote this. */
	e = put_short(e, "\x01\x02\x03        ", 32, 500, 1);
	delete_entries(start, e);
	put_short(cluster_of(image, 30), ".          ", 16, 30, 0);
	put_short(cluster_of(image, 30) + ENTRY, "..         ", 16, 0, 0);
	put_short(cluster_of(image, 30) + 2 * ENTRY, "INSIDE     ", 32, 40, 10);
	memset(cluster_of(image, 10), 1, SECTOR);
	memset(cluster_of(image, 12), 2, SECTOR);
	memset(cluster_of(image, 13), 3, SECTOR);
	memset(cluster_of(image, 21), 4, SECTOR);
	v = open_image(image, SIZE, NULL);
	EXPECT_OK(v->ops->deleted(v, take_deleted, &all, &err));
	EXPECT_EQ(all.nr, 6);
	EXPECT_STR(all.found[0].path, "Deleted with a long name.txt");
	EXPECT_EQ(all.found[0].recovery, PLATTER_RECOVERY_WHOLE);
	EXPECT_EQ(read_file(v, all.found[0].id, buf, sizeof buf, &code), 1000);
	EXPECT_EQ(buf[999], 4);
	EXPECT_STR(all.found[1].path, "_HORT.TXT");
	EXPECT_EQ(all.found[1].recovery, PLATTER_RECOVERY_PARTLY);
	EXPECT_EQ(read_file(v, all.found[1].id, buf, sizeof buf, &code), 1500);
	EXPECT_EQ(buf[0], 1);
	EXPECT_EQ(buf[SECTOR], 2);
	EXPECT_EQ(buf[2 * SECTOR], 3);
	EXPECT_STR(all.found[2].path, "_EUSED.TXT");
	EXPECT_EQ(all.found[2].recovery, PLATTER_RECOVERY_NOTHING);
	EXPECT_EQ(read_file(v, all.found[2].id, buf, sizeof buf, &code), 0);
	EXPECT_EQ(code, -ENODATA);
	EXPECT_STR(all.found[3].path, "_OLDER");
	EXPECT_EQ(all.found[3].type, PLATTER_FILE_FOLDER);
	EXPECT_OK(expect_names(v, all.found[3].id, "INSIDE|"));
	EXPECT_STR(all.found[4].path, "_MPTY");
	EXPECT_EQ(all.found[4].recovery, PLATTER_RECOVERY_WHOLE);
	EXPECT_STR(all.found[5].path, "_OLDER/INSIDE");
	EXPECT_EQ(all.found[5].size, 10);
}

/* ---- FAT32 ---- */

/* 256 sectors, 1 a cluster: 32 reserved, two FATs of 2, root folder in clusters 2 and 5. */
enum {
	SIZE_32 = 256 * SECTOR,
	FAT1_32 = 32 * SECTOR,
	FAT2_32 = 34 * SECTOR,
	HEAP_32 = 36 * SECTOR,
	END_32 = 0x0fffffff,
	CLEAN_32 = 0x0fffffff
};

static void
make_fat32(uint8_t image[static SIZE_32])
{
	memset(image, 0, SIZE_32);
	memcpy(image, "\xeb\x58\x90TESTFAT ", 11);
	put_le16(image + 11, SECTOR);
	image[13] = 1;
	put_le16(image + 14, 32);
	image[16] = 2;
	put_le16(image + 19, SIZE_32 / SECTOR);
	image[21] = 0xf8;
	put_le32(image + 36, 2);
	put_le32(image + 44, 2);
	put_le16(image + 48, 1);
	put_le16(image + 50, 6);
	image[66] = 0x29;
	memcpy(image + 82, "FAT32   ", 8);
	put_le16(image + 510, 0xaa55);
	memcpy(image + SECTOR, "RRaA", 4);
	memcpy(image + SECTOR + 484, "rrAa", 4);
	put_le32(image + SECTOR + 488, 218);
	memcpy(image + 6 * (size_t)SECTOR, image, SECTOR);
	for (int i = 0; i < 2; i++) {
		uint8_t *fat = image + FAT1_32 + (size_t)i * 2 * SECTOR;

		put_le32(fat, 0x0ffffff8);
		put_le32(fat + 4, CLEAN_32);
		put_le32(fat + 8, 5 | 0xf0000000); /* the upper bits are no part of it */
		put_le32(fat + 20, END_32);
	}
	for (int i = 0; i < SECTOR / ENTRY; i++)
		put_short(image + HEAP_32 + i * ENTRY, "\xe5           ", 32, 0, 0);
	put_short(image + HEAP_32 + 3 * SECTOR, "FILE       ", 32, 9, 100);
	put_le32(image + FAT1_32 + 36, END_32);
	put_le32(image + FAT2_32 + 36, END_32);
}

static bool
warns(struct pl_volume *v, const char *words)
{
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };
	bool found = false;

	v->ops->describe(v, &facts);
	for (size_t i = 0; i < facts.list.nr_warnings; i++)
		found = found || strstr(facts.list.warnings[i], words);
	pl_arena_done(&arena);
	return found;
}

TEST(fat32_with_few_clusters_has_its_root_in_a_chain)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE_32);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL, *dirty = NULL, *byte = NULL;

	make_fat32(image);
	v = open_image(image, SIZE_32, NULL);
	EXPECT_OK(expect_names(v, v->root, "FILE|"));
	EXPECT_EQ(v->state, PLATTER_STATE_CLEAN);
	/* 220 clusters, 3 in use. */
	EXPECT(warns(v, "FSInfo says 218 free clusters, the FAT has 217"));
	EXPECT(!warns(v, "differ"));
	put_le32(image + FAT1_32 + 4, CLEAN_32 & ~0x08000000);
	dirty = open_image(image, SIZE_32, NULL);
	EXPECT_EQ(dirty->state, PLATTER_STATE_DIRTY);
	EXPECT(warns(dirty, "not unmounted"));
	EXPECT(warns(dirty, "the first FAT and its copy differ"));
	put_le32(image + FAT1_32 + 4, CLEAN_32);
	image[65] = 1;
	byte = open_image(image, SIZE_32, NULL);
	EXPECT_EQ(byte->state, PLATTER_STATE_DIRTY);
}

TEST(fat32_believes_the_active_table)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE_32);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;

	make_fat32(image);
	memset(image + FAT1_32, 0, 2 * (size_t)SECTOR);
	put_le16(image + 40, 0x81);
	v = open_image(image, SIZE_32, NULL);
	EXPECT_OK(expect_names(v, v->root, "FILE|"));
}

TEST(fat32_is_opened_by_its_second_boot_sector_when_it_is_named)
{
	PL_AUTOFREE uint8_t *image = malloc(SIZE_32);
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_fat32(image);
	memset(image, 0, SECTOR);
	EXPECT_OK(pl_memory_new(image, SIZE_32, "disk", &disk, &err));
	EXPECT_EQ(pl_volume_open(disk, NULL, NULL, 0, &v, &err), -ENOENT);
	EXPECT_OK(pl_volume_open(disk, "vfat", NULL, 0, &v, &err));
	EXPECT_OK(expect_names(v, v->root, "FILE|"));
	EXPECT(warns(v, "its copy"));
}

/* Each row breaks one field of the boot sector. */
static const struct {
	unsigned at;
	unsigned value;
} broken[] = {
	{ 11, 100 }, { 13, 3 }, { 13, 0 }, { 14, 0 }, { 16, 0 }, { 16, 5 }, { 21, 0x12 },
};

TEST(fat_names_the_broken_field)
{
	extern const struct pl_content_driver pl_content_fat;

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		PL_AUTOFREE uint8_t *image = malloc(SIZE);
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		struct pl_volume_request request = { 0 };
		struct pl_volume *v;

		make_fat12(image);
		if (broken[i].at == 11 || broken[i].at == 14)
			put_le16(image + broken[i].at, (uint16_t)broken[i].value);
		else
			image[broken[i].at] = (uint8_t)broken[i].value;
		EXPECT_OK(pl_memory_new(image, SIZE, "disk", &disk, &err));
		request.disk = disk;
		EXPECT_EQ(pl_content_fat.open(&request, &v, &err), -EUCLEAN);
		EXPECT_EQ(err.offset, broken[i].at);
	}
}
