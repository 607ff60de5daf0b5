/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-hfs.c - HFS, HFS Plus and HFSX: what is in them, journals, damage */
#include "codec.h"
#include "content.h"
#include "hfs-images.h"
#include "test.h"
#include "text.h"

extern const struct pl_content_driver pl_content_hfs, pl_content_hfsplus;

static struct platter_error err = PLATTER_ERROR_INIT;

/* One at a time: it has 700 KiB. */
static struct maker m;

#define MODE_FILE 0100644

static struct pl_volume *
open_bytes(const struct pl_content_driver *driver, const void *bytes, size_t n)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_volume_request request = { 0 };
	struct pl_volume *v;

	EXPECT_OK(pl_memory_new(bytes, n, "disk", &disk, &err));
	request.disk = disk;
	EXPECT_OK(driver->open(&request, &v, &err));
	return v;
}

static struct pl_volume *
open_made(void)
{
	struct pl_volume *v;

	maker_finish(&m);
	v = open_bytes(&pl_content_hfsplus, m.image, (size_t)m.nr_blocks * MAKER_BLOCK);
	free(m.image);
	return v;
}

static void
expect_open_error(const struct pl_content_driver *driver, const void *bytes, size_t n, int code,
		  const char *why)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_volume_request request = { 0 };
	struct pl_volume *v;

	EXPECT_OK(pl_memory_new(bytes, n, "disk", &disk, &err));
	request.disk = disk;
	EXPECT_EQ(driver->open(&request, &v, &err), code);
	EXPECT_STR(err.message, why);
}

static int
add_name(void *closure, const struct pl_entry *e, struct platter_error *unused)
{
	struct pl_str *s = closure;

	pl_str_addf(s, "%s%.*s", s->length ? "|" : "", (int)e->length, e->name);
	return 0;
}

static void
expect_list(struct pl_volume *v, struct pl_node_id folder, const char *expected)
{
	struct pl_str s = { 0 };

	EXPECT_OK(pl_volume_list(v, folder, add_name, &s, &err));
	EXPECT_STR(s.text ? s.text : "", expected);
	pl_str_done(&s);
}

static struct pl_node_id
find(struct pl_volume *v, const char *name)
{
	struct pl_node_id id = { 0 };
	int r = pl_volume_lookup(v, v->root, name, strlen(name), &id, &err);

	if (r < 0)
		pl_test_fail(__FILE__, __LINE__, "'%s': %d", name, r);
	return id;
}

static void
expect_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const void *expected,
	    size_t n)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOFREE uint8_t *read = malloc(n + 1);

	EXPECT_OK(pl_volume_open_file(v, id, stream, "file", &file, &err));
	EXPECT_EQ(file->size, n);
	EXPECT_OK(pl_read(file, read, n, 0, &err));
	EXPECT_MEM(read, expected, n);
}

static int
add_attribute(void *closure, const struct pl_attribute *a, struct platter_error *unused)
{
	struct pl_str *s = closure;
	size_t n = (size_t)PL_MIN(a->size, 8);

	pl_str_addf(s, "%s=%" PRIu64 ":", a->name, a->size);
	for (size_t i = 0; a->value && i < n; i++)
		pl_str_addf(s, "%02x", ((const uint8_t *)a->value)[i]);
	pl_str_add(s, "\n");
	return 0;
}

static void
expect_attributes(struct pl_volume *v, struct pl_node_id id, const char *expected)
{
	struct pl_str s = { 0 };

	EXPECT_OK(v->ops->xattrs(v, id, add_attribute, &s, &err));
	EXPECT_STR(s.text ? s.text : "", expected);
	pl_str_done(&s);
}

static void
expect_fact(struct pl_volume *v, const char *expected)
{
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };
	bool found = false;

	v->ops->describe(v, &facts);
	for (size_t i = 0; i < facts.list.nr_warnings; i++)
		found = found || !strcmp(facts.list.warnings[i], expected);
	for (size_t i = 0; i < facts.list.nr_facts; i++)
		found = found || !strcmp(facts.list.facts[i].key, expected);
	if (!found)
		pl_test_fail(__FILE__, __LINE__, "nothing says '%s'", expected);
	pl_arena_done(&arena);
}

/* --- HFS, byte by byte */

static void
put_name(uint8_t *key, uint32_t folder, const char *name)
{
	size_t n = strlen(name);

	key[0] = (uint8_t)(6 + n + (n + 1) % 2);
	put_be32(key + 2, folder);
	key[6] = (uint8_t)n;
	memcpy(key + 7, name, n);
}

/* A record behind those in the leaf; returns its data. */
static uint8_t *
put_record(uint8_t *leaf, uint32_t folder, const char *name, unsigned length)
{
	unsigned nr = get_be16(leaf + 10), at = nr ? get_be16(leaf + 512 - 2 * (nr + 1)) : 14;
	uint8_t *data;

	put_name(leaf + at, folder, name);
	data = leaf + at + 1 + leaf[at];
	put_be16(leaf + 512 - 2 * (nr + 1), (uint16_t)at);
	put_be16(leaf + 512 - 2 * (nr + 2), (uint16_t)(data - leaf + length));
	put_be16(leaf + 10, (uint16_t)(nr + 1));
	return data;
}

/* 100 blocks of 512 bytes from sector 5 on; the catalog in blocks 0 and 1, a file in 2 and 3. */
static uint8_t *
make_hfs(void)
{
	uint8_t *image = calloc(110, 512), *mdb = image + 1024, *catalog = image + 5 * 512;
	uint8_t *leaf = catalog + 512, *p;

	memcpy(mdb, "BD", 2);
	put_be32(mdb + 2, MAKER_TIME);
	put_be16(mdb + 10, 0x100);
	put_be16(mdb + 14, 3);
	put_be16(mdb + 18, 100);
	put_be32(mdb + 20, 512);
	put_be16(mdb + 28, 5);
	put_be16(mdb + 34, 96);
	mdb[36] = 3;
	memcpy(mdb + 37, "Vol", 3);
	put_be32(mdb + 146, 1024);
	put_be16(mdb + 152, 2);
	image[3 * 512] = 0xf0;
	catalog[8] = 1;
	put_be16(catalog + 10, 3);
	put_be16(catalog + 14, 1);
	put_be32(catalog + 16, 1);
	put_be16(catalog + 32, 512);
	put_be16(catalog + 34, 37);
	leaf[8] = 0xff;
	leaf[9] = 1;
	p = put_record(leaf, 1, "Vol", 70);
	p[0] = 1;
	put_be32(p + 6, 2);
	p = put_record(leaf, 2, "", 46);
	p[0] = 3;
	p = put_record(leaf, 2, "\x8aum/laut", 102);
	p[0] = 2;
	p[2] = 1;
	memcpy(p + 4, "TEXTttxt\x40", 9);
	put_be32(p + 20, 16);
	put_be32(p + 26, 600);
	put_be32(p + 30, 1024);
	put_be32(p + 36, 3);
	put_be32(p + 40, 512);
	put_be32(p + 44, MAKER_TIME);
	put_be32(p + 48, MAKER_TIME + 1);
	put_be16(p + 74, 2);
	put_be16(p + 76, 2);
	put_be16(p + 86, 50);
	put_be16(p + 88, 1);
	memset(image + 7 * 512, 'd', 600);
	memset(image + 55 * 512, 'r', 3);
	return image;
}

TEST(files_have_forks_owners_times_and_names)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct platter_file f;
	uint32_t folder;

	maker_init(&m, 400);
	folder = maker_folder(&m, 2, u"Folder");
	maker_file(&m, 2, u"a/b",
		   &(struct maker_file){ .mode = 0104751,
					 .uid = 501,
					 .gid = 20,
					 .flags = 1,
					 .data = "hello",
					 .data_size = 5,
					 .resource = "fork",
					 .resource_size = 4,
					 .finder = "TEXTttxt" });
	maker_file(&m, folder, u"link",
		   &(struct maker_file){ .mode = 0120777,
					 .finder = "slnkrhap",
					 .data = "../a:b",
					 .data_size = 6 });
	maker_file(&m, folder, u"null",
		   &(struct maker_file){ .mode = 020666, .special = 3u << 24 | 2 });
	maker_file(&m, folder, u"old", &(struct maker_file){ 0 });
	v = open_made();
	EXPECT_EQ(v->state, PLATTER_STATE_CLEAN);
	EXPECT_EQ(v->block_size, MAKER_BLOCK);
	EXPECT_EQ(v->size, 400 * MAKER_BLOCK);
	EXPECT(v->folds_case);
	expect_list(v, v->root, "a:b|Folder");
	expect_list(v, find(v, "FOLDER"), "link|null|old");
	expect_file(v, find(v, "A:B"), NULL, "hello", 5);
	expect_file(v, find(v, "a:b"), "rsrc", "fork", 4);
	expect_attributes(v, find(v, "a:b"),
			  "com.apple.FinderInfo=32:5445585474747874\n"
			  "com.apple.ResourceFork=4:666f726b\n");
	EXPECT_OK(pl_volume_stat(v, find(v, "a:b"), &f, &err));
	EXPECT_EQ(f.type, PLATTER_FILE_REGULAR);
	EXPECT_EQ(f.mode, 04751);
	EXPECT_EQ(f.uid, 501);
	EXPECT_EQ(f.gid, 20);
	EXPECT_EQ(f.inode, 17);
	EXPECT_EQ(f.size, 5);
	EXPECT_EQ(f.allocated, 2 * MAKER_BLOCK);
	EXPECT_EQ(f.attributes, PLATTER_FILE_READ_ONLY);
	EXPECT_EQ(f.created.seconds, 1577836800);
	EXPECT_EQ(f.modified.seconds, 1577836801);
	EXPECT_EQ(f.changed.seconds, 1577836802);
	EXPECT_EQ(f.accessed.seconds, 1577836803);
	expect_fact(v, "created");
	expect_fact(v, "blessed_folder");
}

static void
expect_child(struct pl_volume *v, const char *folder, const char *name, struct platter_file *f,
	     struct pl_node_id *id)
{
	EXPECT_OK(pl_volume_lookup(v, find(v, folder), name, strlen(name), id, &err));
	EXPECT_OK(pl_volume_stat(v, *id, f, &err));
}

TEST(modes_tell_what_a_file_is)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOFREE char *target = NULL;
	struct pl_node_id id;
	struct platter_file f;
	uint32_t folder;

	maker_init(&m, 400);
	folder = maker_folder(&m, 2, u"f");
	maker_file(&m, folder, u"link",
		   &(struct maker_file){ .mode = 0120777,
					 .finder = "slnkrhap",
					 .data = "../a:b",
					 .data_size = 6 });
	maker_file(&m, folder, u"null",
		   &(struct maker_file){ .mode = 020666, .special = 3u << 24 | 2 });
	maker_file(&m, folder, u"old", &(struct maker_file){ 0 });
	v = open_made();
	expect_child(v, "f", "link", &f, &id);
	EXPECT_EQ(f.type, PLATTER_FILE_SYMLINK);
	EXPECT_EQ(f.size, 6);
	EXPECT_OK(pl_volume_read_link(v, id, &target, &err));
	EXPECT_STR(target, "../a:b");
	expect_attributes(v, id, "");
	expect_child(v, "f", "null", &f, &id);
	EXPECT_EQ(f.type, PLATTER_FILE_CHARACTER_DEVICE);
	EXPECT_EQ(f.major, 3);
	EXPECT_EQ(f.minor, 2);
	expect_child(v, "f", "old", &f, &id);
	EXPECT_EQ(f.type, PLATTER_FILE_REGULAR);
	EXPECT(!f.has_mode);
}

TEST(hard_links_lead_to_what_is_in_private_folders)
{
	static const char16_t files[] = u"\0\0\0\0HFS+ Private Data";
	static const char16_t folders[] = u".HFS+ Private Directory Data\r";
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_node_id id, same;
	struct platter_file f;
	uint32_t in_files, in_folders, linked;

	maker_init(&m, 400);
	in_files = maker_folder_n(&m, 2, files, ARRAY_SIZE(files) - 1, 0);
	in_folders = maker_folder_n(&m, 2, folders, ARRAY_SIZE(folders) - 1, 0);
	maker_file(&m, in_files, u"iNode77",
		   &(struct maker_file){
			   .mode = MODE_FILE, .special = 2, .data = "linked", .data_size = 6 });
	linked = maker_folder(&m, in_folders, u"dir_5");
	maker_file(&m, linked, u"inside", &(struct maker_file){ .mode = MODE_FILE });
	maker_file(&m, 2, u"one", &(struct maker_file){ .finder = "hlnkhfs+", .special = 77 });
	maker_file(&m, 2, u"two", &(struct maker_file){ .finder = "hlnkhfs+", .special = 77 });
	maker_file(&m, 2, u"lost", &(struct maker_file){ .finder = "hlnkhfs+", .special = 78 });
	maker_file(&m, 2, u"folder",
		   &(struct maker_file){ .finder = "fdrpMACS", .special = 5, .flags = 0x20 });
	maker_file(&m, 2, u"alias", &(struct maker_file){ .finder = "fdrpMACS", .special = 5 });
	v = open_made();
	expect_list(v, v->root, "alias|folder|lost|one|two");
	id = find(v, "one");
	same = find(v, "two");
	EXPECT_EQ(id.inode, same.inode);
	expect_file(v, id, NULL, "linked", 6);
	EXPECT_OK(pl_volume_stat(v, id, &f, &err));
	EXPECT_EQ(f.links, 2);
	EXPECT_EQ(f.size, 6);
	expect_list(v, find(v, "folder"), "inside");
	EXPECT_OK(pl_volume_stat(v, find(v, "lost"), &f, &err));
	EXPECT_EQ(f.attributes, PLATTER_FILE_DAMAGED);
	EXPECT_EQ(pl_volume_open_file(v, find(v, "lost"), NULL, "lost", &(struct pl_disk *){ 0 },
				      &err),
		  -EUCLEAN);
	EXPECT_STR(err.message, "hard link to number 78, which is not there");
	EXPECT_OK(pl_volume_stat(v, find(v, "alias"), &f, &err));
	EXPECT_EQ(f.type, PLATTER_FILE_REGULAR);
}

/* Names that no path could hold are shown as others, and found by these. */
TEST(names_are_found_as_they_are_shown)
{
	static const char16_t nul[] = u"x\0y";
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_node_id id;

	maker_init(&m, 400);
	maker_folder_n(&m, 2, nul, 3, 0);
	maker_folder(&m, 2, u"z\xd800");
	maker_folder(&m, 2, u"\x2400");
	v = open_made();
	expect_list(v, v->root, "x\xe2\x90\x80y|z\xef\xbf\xbd|\xe2\x90\x80");
	find(v, "x\xe2\x90\x80y");
	find(v, "z\xef\xbf\xbd");
	find(v, "\xe2\x90\x80");
	EXPECT_EQ(pl_volume_lookup(v, v->root, "z\xef\xbf\xbdz", 5, &id, &err), -ENOENT);
	EXPECT_EQ(pl_volume_lookup(v, v->root, "no", 2, &id, &err), -ENOENT);
}

TEST(hfsx_tells_names_apart_by_case)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_node_id id;

	maker_init(&m, 400);
	m.binary = true;
	maker_folder(&m, 2, u"a");
	maker_folder(&m, 2, u"B");
	maker_folder(&m, 2, u"A");
	v = open_made();
	EXPECT(!v->folds_case);
	expect_list(v, v->root, "A|B|a");
	EXPECT(find(v, "a").inode != find(v, "A").inode);
	EXPECT_EQ(pl_volume_lookup(v, v->root, "b", 1, &id, &err), -ENOENT);
	expect_fact(v, "case_sensitive");
}

/* Letters of either case, characters that do not count, and the order between them. */
TEST(names_are_ordered_as_apple_froze_it)
{
	static const char16_t *const same[][2] = {
		{ u"Zz\x00c6\x0391\x0410", u"zZ\x00e6\x03b1\x0430" },
		{ u"a\x200c"
		  u"b",
		  u"ab\xfeff" },
		{ u"\x0531\x10a0\x2160\xff21", u"\x0561\x10d0\x2170\xff41" },
	};
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	char name[32];

	maker_init(&m, 400);
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		maker_folder(&m,
			     maker_folder(&m, 2,
					  i == 0   ? u"0"
					  : i == 1 ? u"1"
						   : u"2"),
			     same[i][0]);
	v = open_made();
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		uint8_t units[20];
		unsigned n = maker_length(same[i][1]);
		struct pl_node_id id;
		size_t length;

		for (unsigned k = 0; k < n; k++)
			put_be16(units + 2 * k, same[i][1][k]);
		length = pl_name_from_utf16be(units, n, name);
		EXPECT_OK(pl_volume_lookup(v,
					   find(v, i == 0   ? "0"
						   : i == 1 ? "1"
							    : "2"),
					   name, length, &id, &err));
	}
}

TEST(trees_of_several_levels_are_searched)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	char16_t name[] = u"a file with a long name, number 00";
	struct pl_str all = { 0 };
	uint32_t folder;

	maker_init(&m, 1000);
	folder = maker_folder(&m, 2, u"many");
	for (unsigned i = 0; i < 90; i++) {
		name[ARRAY_SIZE(name) - 3] = (char16_t)('0' + i / 10);
		name[ARRAY_SIZE(name) - 2] = (char16_t)('0' + i % 10);
		maker_file(&m, folder, name,
			   &(struct maker_file){
				   .mode = MODE_FILE, .data = &i, .data_size = sizeof i });
		pl_str_addf(&all, "%sa file with a long name, number %02u", i ? "|" : "", i);
	}
	v = open_made();
	expect_list(v, find(v, "many"), all.text);
	for (unsigned i = 0; i < 90; i++) {
		PL_AUTOFREE char *text = pl_format("A FILE with a long name, number %02u", i);
		struct pl_node_id id;

		EXPECT_OK(pl_volume_lookup(v, find(v, "many"), text, strlen(text), &id, &err));
		expect_file(v, id, NULL, &i, sizeof i);
	}
	pl_str_done(&all);
}

static void
fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i / 7 + i / 512);
}

TEST(extents_overflow_into_their_tree)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_ranges used = { 0 };
	uint8_t bytes[29 * MAKER_BLOCK + 5];
	char *why;

	fill(bytes, sizeof bytes);
	maker_init(&m, 400);
	maker_file(&m, 2, u"scattered",
		   &(struct maker_file){ .mode = MODE_FILE,
					 .data = bytes,
					 .data_size = sizeof bytes,
					 .fragmented = true });
	v = open_made();
	expect_file(v, find(v, "scattered"), NULL, bytes, sizeof bytes);
	EXPECT_OK(pl_volume_used(v, &used, &why, &err));
	EXPECT(!why);
	EXPECT_EQ(pl_ranges_bytes(&used), v->size - v->free);
	EXPECT_EQ(pl_ranges_find(&used, 0)->start, 0);
	pl_ranges_done(&used);
}

TEST(attributes_are_inline_or_in_forks)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	uint8_t bytes[19 * MAKER_BLOCK + 1];
	uint32_t cnid;

	fill(bytes, sizeof bytes);
	maker_init(&m, 400);
	cnid = maker_file(&m, 2, u"f", &(struct maker_file){ .mode = MODE_FILE });
	maker_attribute(&m, cnid, u"org.test.small", "value", 5);
	maker_attribute(&m, cnid + 1, u"of another", "x", 1);
	maker_large_attribute(&m, cnid, u"large", bytes, sizeof bytes);
	maker_attribute(&m, cnid, u"empty", "", 0);
	v = open_made();
	expect_attributes(v, find(v, "f"),
			  "empty=0:\nlarge=9729:0000000000000001\norg.test.small=5:76616c7565\n");
}

TEST(compressed_files_are_read_decompressed)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	uint8_t attribute[100] = "fpmc",
		fork[8 + 7] = { 8, 0, 0, 0, 15, 0, 0, 0, 6, 'f', 'o', 'r', 'k', 'e', 'd' };
	struct pl_node_id id;
	struct platter_file f;
	uint32_t cnid;
	size_t n;

	maker_init(&m, 400);
	cnid = maker_file(&m, 2, u"inline",
			  &(struct maker_file){ .mode = MODE_FILE, .bsd_flags = 0x20 });
	put_le32(attribute + 4, 3);
	put_le64(attribute + 8, 60);
	n = pl_codec_zlib.encode(
		6, (const uint8_t *)"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		60, attribute + 16, 84);
	maker_attribute(&m, cnid, u"com.apple.decmpfs", attribute, 16 + n);
	cnid = maker_file(&m, 2, u"forked",
			  &(struct maker_file){ .mode = MODE_FILE,
						.bsd_flags = 0x20,
						.resource = fork,
						.resource_size = sizeof fork });
	put_le32(attribute + 4, 8);
	put_le64(attribute + 8, 6);
	maker_attribute(&m, cnid, u"com.apple.decmpfs", attribute, 16);
	maker_file(&m, 2, u"broken", &(struct maker_file){ .mode = MODE_FILE, .bsd_flags = 0x20 });
	v = open_made();
	id = find(v, "inline");
	EXPECT_OK(pl_volume_stat(v, id, &f, &err));
	EXPECT_EQ(f.size, 60);
	EXPECT_EQ(f.attributes, PLATTER_FILE_COMPRESSED);
	expect_file(v, id, NULL, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		    60);
	expect_attributes(v, id, "");
	id = find(v, "forked");
	expect_file(v, id, NULL, "forked", 6);
	expect_attributes(v, id, "");
	EXPECT_EQ(pl_volume_open_file(v, id, "rsrc", "x", &(struct pl_disk *){ 0 }, &err), -ENOENT);
	id = find(v, "broken");
	EXPECT_OK(pl_volume_stat(v, id, &f, &err));
	EXPECT_EQ(f.attributes, PLATTER_FILE_COMPRESSED | PLATTER_FILE_DAMAGED);
	EXPECT_EQ(pl_volume_open_file(v, id, NULL, "x", &(struct pl_disk *){ 0 }, &err), -EUCLEAN);
}

TEST(the_copy_of_the_header_will_do)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;

	maker_init(&m, 400);
	maker_folder(&m, 2, u"here");
	maker_finish(&m);
	memset(m.image + 1024, 0, 512);
	v = open_bytes(&pl_content_hfsplus, m.image, 400 * MAKER_BLOCK);
	free(m.image);
	expect_list(v, v->root, "here");
	expect_fact(v, "the header is gone: its copy was used");
}

/* By the copy alone, only where the volume fills the disk. */
static void
expect_found(const uint8_t *image, size_t n, const char *name)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_arena arena = { 0 };
	struct pl_content *found;
	size_t nr;

	EXPECT_OK(pl_memory_new(image, n, "disk", &disk, &err));
	EXPECT_OK(pl_contents_find(disk, &arena, &found, &nr, &err));
	EXPECT_EQ(nr, name ? 1 : 0);
	if (name) {
		EXPECT_STR(found->content.name, name);
		EXPECT(found->leftover);
	}
	pl_arena_done(&arena);
}

TEST(the_copy_of_the_header_is_recognised)
{
	PL_AUTOFREE uint8_t *image = make_hfs();

	maker_init(&m, 400);
	maker_finish(&m);
	memset(m.image + 1024, 0, 512);
	expect_found(m.image, 400 * MAKER_BLOCK, "hfsplus");
	expect_found(m.image + 8 * MAKER_BLOCK, 392 * MAKER_BLOCK, NULL);
	free(m.image);
	memcpy(image + 105 * 512, image + 1024, 512);
	memset(image + 1024, 0, 512);
	expect_found(image, 107 * 512, "hfs");
	expect_found(image, 110 * 512, NULL);
}

TEST(a_wrapped_volume_is_found)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	size_t start = 10 * 512 + 3 * 1024, size = 400 * MAKER_BLOCK;
	PL_AUTOFREE uint8_t *wrapper = calloc(1, start + size + 4096);
	struct pl_ranges used = { 0 };
	uint8_t *mdb = wrapper + 1024;

	maker_init(&m, 400);
	maker_folder(&m, 2, u"here");
	maker_finish(&m);
	memcpy(wrapper + start, m.image, size);
	free(m.image);
	memcpy(mdb, "BD", 2);
	put_be16(mdb + 14, 3);
	put_be16(mdb + 18, (uint16_t)(size / 1024 + 5));
	put_be32(mdb + 20, 1024);
	put_be16(mdb + 28, 10);
	mdb[36] = 1;
	memcpy(mdb + 124, "H+", 2);
	put_be16(mdb + 126, 3);
	put_be16(mdb + 128, (uint16_t)(size / 1024));
	v = open_bytes(&pl_content_hfsplus, wrapper, start + size + 4096);
	expect_list(v, v->root, "here");
	EXPECT_OK(pl_volume_used(v, &used, NULL, &err));
	/* All of the wrapper is. */
	EXPECT_EQ(pl_ranges_bytes(&used), v->size - v->free);
	pl_ranges_done(&used);
}

/* --- journals */

/*
 * A volume with the folder "old", and a journal that starts at byte `start` and says it is called
 * "new", then "now", and behind the end "end".
 */
static struct pl_volume *
open_journaled(bool little, uint32_t start, void (*spoil)(struct maker_journal *j))
{
	static const char *const names[] = { "new", "now", "end" };
	struct pl_volume *v;
	struct maker_journal j;
	size_t at = 0, size = 400 * MAKER_BLOCK;
	uint32_t end = 0;

	maker_init(&m, 400);
	maker_folder(&m, 2, u"old");
	j = maker_add_journal(&m, little, start);
	maker_finish(&m);
	while (memcmp(m.image + at, "\0\3\0o\0l\0d", 8) != 0)
		at++;
	for (int i = 0; i < 3; i++) {
		uint8_t sector[512];
		size_t in = at % 512;

		memcpy(sector, m.image + at - in, 512);
		for (int k = 0; k < 3; k++)
			sector[in + 3 + 2 * (size_t)k] = (uint8_t)names[i][k];
		if (i == 2)
			end = j.at;
		maker_transaction(&j, at / 512, sector);
	}
	maker_finish_journal(&j, start, end);
	if (spoil)
		spoil(&j);
	v = open_bytes(&pl_content_hfsplus, m.image, size);
	free(m.image);
	return v;
}

TEST(journals_are_seen_as_replayed)
{
	for (int little = 0; little < 2; little++)
		/* From its beginning; round its end, in a list and between list and sectors. */
		for (uint32_t start = 512; start < MAKER_JOURNAL_SECTORS * 512; start += 512) {
			PL_AUTOUNREF_VOLUME struct pl_volume *v =
				open_journaled(little, start, NULL);

			EXPECT_EQ(v->state, PLATTER_STATE_RECOVERED);
			expect_list(v, v->root, "end");
			expect_fact(v, "journal_transactions");
		}
}

static void
spoil_second_list(struct maker_journal *j)
{
	j->p[512 + 3 * 512 + 20] ^= 1;
}

static void
spoil_second_sector(struct maker_journal *j)
{
	j->p[512 + 5 * 512 + 100] ^= 1;
}

static void
spoil_third_sector(struct maker_journal *j)
{
	j->p[512 + 8 * 512 + 100] ^= 1;
}

static void
spoil_header(struct maker_journal *j)
{
	j->p[9] ^= 1;
}

static void
spoil_first_sector(struct maker_journal *j)
{
	j->p[512 + 2 * 512 + 100] ^= 1;
}

static void
make_it_end(struct maker_journal *j)
{
	maker_finish_journal(j, 512, 512);
}

TEST(a_damaged_transaction_ends_the_replay)
{
	static const struct {
		void (*spoil)(struct maker_journal *j);
		const char *name, *fact;
		enum platter_volume_state state;
	} rows[] = {
		/* Without the first of a list nobody knows that the one before was whole. */
		{ spoil_second_sector, "new", "journal_transactions", PLATTER_STATE_RECOVERED },
		{ spoil_third_sector, "now", "journal_transactions", PLATTER_STATE_RECOVERED },
		{ spoil_second_list, "old",
		  "the journal cannot be replayed: the checksum of a block list does not match",
		  PLATTER_STATE_DIRTY },
		{ spoil_first_sector, "old",
		  "the journal cannot be replayed: the checksum of a block does not match",
		  PLATTER_STATE_DIRTY },
		{ spoil_header, "old",
		  "the journal cannot be replayed: the checksum of its header does not match",
		  PLATTER_STATE_DIRTY },
		{ make_it_end, "old", "journal_size", PLATTER_STATE_CLEAN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		PL_AUTOUNREF_VOLUME struct pl_volume *v = open_journaled(false, 512, rows[i].spoil);

		expect_list(v, v->root, rows[i].name);
		expect_fact(v, rows[i].fact);
		EXPECT_EQ(v->state, rows[i].state);
	}
}

/* --- damage */

TEST(broken_headers_are_refused)
{
	static const struct {
		unsigned at;
		uint32_t value;
		int code;
		const char *why;
	} rows[] = {
		{ 1024, 0, -EUCLEAN, "no HFS Plus: its header does not begin with 'H+' or 'HX'" },
		{ 1024, 0x482b0006, -ENOTSUP, "version 6 of HFS Plus" },
		{ 1024 + 40, 3 * 512, -EUCLEAN, "HFS Plus blocks of 1536 bytes" },
		{ 1024 + 44, 0, -EUCLEAN, "HFS Plus volume without blocks" },
		{ 1024 + 272 + 16, 400, -EUCLEAN,
		  "catalog: extent of 4 blocks at block 400, the volume has 400" },
		{ 1024 + 272 + 20, 1, -EUCLEAN,
		  "catalog: fork of 2048 bytes of CNID 4 has only 1 blocks of 512" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		maker_init(&m, 400);
		maker_finish(&m);
		memset(m.image + (size_t)398 * MAKER_BLOCK, 0, 512);
		put_be32(m.image + rows[i].at, rows[i].value);
		expect_open_error(&pl_content_hfsplus, m.image, 400 * MAKER_BLOCK, rows[i].code,
				  rows[i].why);
		free(m.image);
	}
	expect_open_error(&pl_content_hfsplus, "", 1, -EUCLEAN,
			  "512 bytes of metadata at byte 1024 end past the volume's 1");
}

/* Of the catalog's first node, which has the header. */
TEST(broken_trees_are_refused)
{
	static const struct {
		unsigned at;
		uint16_t value;
		const char *why;
	} rows[] = {
		{ 8, 0xff03, "catalog: the first node is of kind 255" },
		{ 14, 25, "catalog: 25 levels from node 1 of 2" },
		{ 16, 1, "catalog: 1 levels from node 65537 of 2" },
		{ 32, 100, "catalog: nodes of 100 bytes" },
		{ 32, 0x8000, "catalog: 1 levels from node 1 of 0" },
		{ 14, 2, "catalog: node 1 of kind 255 and height 1, expected height 2" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t *catalog;

		maker_init(&m, 400);
		maker_finish(&m);
		catalog = m.image + (size_t)get_be32(m.image + 1024 + 272 + 16) * MAKER_BLOCK;
		put_be16(catalog + rows[i].at, rows[i].value);
		expect_open_error(&pl_content_hfsplus, m.image, 400 * MAKER_BLOCK, -EUCLEAN,
				  rows[i].why);
		free(m.image);
	}
}

TEST(a_damaged_leaf_hides_only_itself)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	char16_t name[] = u"file 00";
	struct pl_str s = { 0 };
	uint8_t *leaf;
	int names = 1;

	maker_init(&m, 1000);
	for (unsigned i = 0; i < 60; i++) {
		name[5] = (char16_t)('0' + i / 10);
		name[6] = (char16_t)('0' + i % 10);
		maker_file(&m, 2, name, &(struct maker_file){ .mode = MODE_FILE });
	}
	maker_finish(&m);
	leaf = m.image + (size_t)get_be32(m.image + 1024 + 272 + 16) * MAKER_BLOCK + 5 * MAKER_NODE;
	EXPECT_EQ(leaf[8], 0xff);
	leaf[8] = 2;
	v = open_bytes(&pl_content_hfsplus, m.image, 1000 * MAKER_BLOCK);
	EXPECT_EQ(pl_volume_list(v, v->root, add_name, &s, &err), -EUCLEAN);
	EXPECT_STR(err.message, "catalog: node 5 of kind 2 and height 1, expected height 1");
	for (size_t i = 0; i < s.length; i++)
		names += s.text[i] == '|';
	EXPECT_EQ(names, 57);
	pl_str_done(&s);
	free(m.image);
}

/* An index whose every record names one leaf, and a tree that names itself. */
TEST(circles_end)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_str s = { 0 };
	char16_t name[] = u"file 00";
	uint8_t *catalog, *root;

	maker_init(&m, 1000);
	for (unsigned i = 0; i < 60; i++) {
		name[5] = (char16_t)('0' + i / 10);
		name[6] = (char16_t)('0' + i % 10);
		maker_file(&m, 2, name, &(struct maker_file){ .mode = MODE_FILE });
	}
	maker_finish(&m);
	catalog = m.image + (size_t)get_be32(m.image + 1024 + 272 + 16) * MAKER_BLOCK;
	root = catalog + (size_t)get_be32(catalog + 16) * MAKER_NODE;
	for (unsigned i = 0; i < get_be16(root + 10); i++) {
		uint8_t *key = root + get_be16(root + MAKER_NODE - 2 * (i + 1));

		put_be32(key + 2 + get_be16(key), i % 2 ? get_be32(catalog + 16) : 1);
	}
	v = open_bytes(&pl_content_hfsplus, m.image, 1000 * MAKER_BLOCK);
	EXPECT_EQ(pl_volume_list(v, v->root, add_name, &s, &err), -EUCLEAN);
	pl_str_done(&s);
	free(m.image);
}

TEST(what_was_not_unmounted_is_all_in_use)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_ranges used = { 0 };
	PL_AUTOFREE char *why = NULL;

	maker_init(&m, 400);
	maker_finish(&m);
	put_be32(m.image + 1024 + 4, 0);
	v = open_bytes(&pl_content_hfsplus, m.image, 400 * MAKER_BLOCK);
	free(m.image);
	EXPECT_EQ(v->state, PLATTER_STATE_DIRTY);
	EXPECT_OK(pl_volume_used(v, &used, &why, &err));
	EXPECT_EQ(pl_ranges_bytes(&used), v->size);
	EXPECT_STR(why, "it was not unmounted: blocks may be in use that are not marked");
	pl_ranges_done(&used);
}

TEST(hfs_is_read)
{
	PL_AUTOFREE uint8_t *image = make_hfs();
	PL_AUTOUNREF_VOLUME struct pl_volume *v = open_bytes(&pl_content_hfs, image, 110 * 512);
	struct pl_ranges used = { 0 };
	struct platter_file f;
	uint8_t bytes[600];
	struct pl_node_id id = find(v, "\xc3\xa4um:laut");

	EXPECT_EQ(v->state, PLATTER_STATE_CLEAN);
	EXPECT_EQ(v->size, 107 * 512);
	expect_list(v, v->root, "\xc3\xa4um:laut");
	memset(bytes, 'd', sizeof bytes);
	expect_file(v, id, NULL, bytes, 600);
	expect_file(v, id, "rsrc", "rrr", 3);
	EXPECT_EQ(find(v, "\xc3\x84UM:laut").inode, id.inode);
	EXPECT_OK(pl_volume_stat(v, id, &f, &err));
	EXPECT_EQ(f.inode, 16);
	EXPECT_EQ(f.size, 600);
	EXPECT_EQ(f.allocated, 3 * 512);
	EXPECT(!f.has_mode);
	EXPECT_EQ(f.attributes, PLATTER_FILE_READ_ONLY | PLATTER_FILE_HIDDEN);
	EXPECT_EQ(f.created.seconds, 1577836800);
	EXPECT_EQ(f.modified.seconds, 1577836801);
	expect_attributes(v, id,
			  "com.apple.FinderInfo=32:5445585474747874\n"
			  "com.apple.ResourceFork=3:727272\n");
	EXPECT_OK(pl_volume_used(v, &used, NULL, &err));
	EXPECT_EQ(pl_ranges_bytes(&used), (5 + 4 + 2) * 512);
	pl_ranges_done(&used);
	/* The end of the last record, and the number of the root. */
	put_be16(image + 6 * 512 + 512 - 8, 100);
	put_be32(image + 6 * 512 + 14 + 10 + 6, 3);
	expect_open_error(&pl_content_hfs, image, 110 * 512, -EUCLEAN,
			  "catalog: record 2 of 3 in node 1 is not right");
	image[1024] = 0;
	expect_open_error(&pl_content_hfs, image, 110 * 512, -EUCLEAN,
			  "no HFS: its header does not begin with 'BD'");
}
