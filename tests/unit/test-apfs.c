/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-apfs.c - APFS containers made in view, and one broken field at a time */
#include "apfs-image.h"
#include "content.h"
#include "test.h"
#include "volume.h"

static struct platter_error err = PLATTER_ERROR_INIT;

static int
try_open(const char *snapshot, unsigned flags, struct pl_volume **ret)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	EXPECT_OK(pl_memory_new(apfs_image, sizeof apfs_image, "disk", &disk, &err));
	return pl_volume_open(disk, "apfs", snapshot, flags, ret, &err);
}

static struct pl_volume *
open_image(void)
{
	struct pl_volume *v;

	EXPECT_OK(try_open(NULL, 0, &v));
	return v;
}

struct names {
	char text[512]; /* each followed by a space */
	unsigned nr;
};

static int
add_to_names(void *closure, const struct pl_entry *e, struct platter_error *unused)
{
	struct names *n = closure;

	(void)unused;
	snprintf(n->text + strlen(n->text), sizeof n->text - strlen(n->text), "%.*s ",
		 (int)e->length, e->name);
	n->nr++;
	return 0;
}

static int
add_attribute(void *closure, const struct pl_attribute *a, struct platter_error *unused)
{
	struct names *n = closure;

	(void)unused;
	snprintf(n->text + strlen(n->text), sizeof n->text - strlen(n->text), "%s=%.*s ", a->name,
		 a->value ? (int)a->size : 1, a->value ? (const char *)a->value : "-");
	n->nr++;
	return 0;
}

static struct pl_node_id
find(struct pl_volume *v, struct pl_node_id folder, const char *name)
{
	struct pl_node_id id;
	int r = pl_volume_lookup(v, folder, name, strlen(name), &id, &err);

	if (r < 0)
		pl_test_fail(__FILE__, __LINE__, "'%s' is not found: %d", name, r);
	return id;
}

static void
expect_file(struct pl_volume *v, struct pl_node_id id, char first)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	uint8_t read[3 * BLOCK + 100], expected[sizeof read] = { 0 };

	memset(expected, first, BLOCK);
	memset(expected + (size_t)3 * BLOCK, 'b', 100);
	EXPECT_OK(pl_volume_open_file(v, id, NULL, "file", &file, &err));
	EXPECT_EQ(file->size, sizeof read);
	EXPECT_OK(pl_read(file, read, sizeof read, 0, &err));
	EXPECT_MEM(read, expected, sizeof read);
}

static void
expect_tree(struct pl_volume *v, struct pl_node_id root)
{
	PL_AUTOUNREF struct pl_disk *packed = NULL, *fork = NULL;
	PL_AUTOFREE char *target = NULL;
	struct names names = { 0 }, attributes = { 0 }, streams = { 0 };
	struct pl_node_id folder, file, id;
	struct platter_file info;
	char text[5];

	EXPECT_OK(pl_volume_list(v, root, add_to_names, &names, &err));
	EXPECT_EQ(names.nr, 5);
	folder = find(v, root, "Folder");
	file = find(v, folder, "file");
	EXPECT_EQ(find(v, root, "h\xc3\xa4rd").inode, file.inode);
	expect_file(v, file, 'a');

	EXPECT_OK(pl_volume_stat(v, folder, &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_FOLDER);
	EXPECT_EQ(info.attributes, PLATTER_FILE_HIDDEN);
	EXPECT_EQ(info.mode, 0700);
	EXPECT_OK(pl_volume_stat(v, file, &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_REGULAR);
	EXPECT_EQ(info.attributes, PLATTER_FILE_IMMUTABLE | PLATTER_FILE_SPARSE);
	EXPECT_EQ(info.size, 3 * BLOCK + 100);
	EXPECT_EQ(info.allocated, 2 * BLOCK);
	EXPECT_EQ(info.links, 2);
	EXPECT_EQ(info.uid, 501);
	EXPECT_EQ(info.gid, 20);
	EXPECT_EQ(info.created.seconds, BILLION);
	EXPECT_EQ(info.modified.seconds, BILLION + 1);
	EXPECT_EQ(info.changed.seconds, BILLION + 2);
	EXPECT_EQ(info.accessed.seconds, BILLION + 3);
	EXPECT_EQ(info.accessed.nanoseconds, 10);

	EXPECT_OK(v->ops->xattrs(v, file, add_attribute, &attributes, &err));
	EXPECT_EQ(attributes.nr, 3);
	EXPECT_STR(attributes.text, "com.apple.ResourceFork=fork "
				    "long=what is in a stream of its own "
				    "small=value ");
	EXPECT_OK(v->ops->streams(v, file, add_attribute, &streams, &err));
	EXPECT_STR(streams.text, "rsrc=- ");
	EXPECT_OK(pl_volume_open_file(v, file, "rsrc", "file", &fork, &err));
	EXPECT_EQ(fork->size, 4);
	EXPECT_EQ(pl_volume_open_file(v, folder, NULL, "folder", &fork, &err), -EISDIR);
	EXPECT_EQ(pl_volume_open_file(v, file, "other", "file", &fork, &err), -ENOENT);

	id = find(v, root, "link");
	EXPECT_OK(pl_volume_read_link(v, id, &target, &err));
	EXPECT_STR(target, "Folder/file");
	EXPECT_OK(pl_volume_stat(v, id, &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_SYMLINK);
	EXPECT_EQ(info.size, 11);
	EXPECT_OK(pl_volume_stat(v, find(v, root, "device"), &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_CHARACTER_DEVICE);
	EXPECT_EQ(info.major, 4);
	EXPECT_EQ(info.minor, 64);
	id = find(v, root, "packed");
	EXPECT_OK(pl_volume_stat(v, id, &info, &err));
	EXPECT_EQ(info.size, 5);
	EXPECT_EQ(info.attributes, PLATTER_FILE_COMPRESSED);
	EXPECT_OK(pl_volume_open_file(v, id, NULL, "packed", &packed, &err));
	EXPECT_OK(pl_read(packed, text, 5, 0, &err));
	EXPECT_MEM(text, "plain", 5);
	attributes = (struct names){ 0 };
	EXPECT_OK(v->ops->xattrs(v, id, add_attribute, &attributes, &err));
	EXPECT_EQ(attributes.nr, 0);
}

TEST(a_volume_alone_is_the_root)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_node_id id;

	make_container(&one_volume);
	v = open_image();
	EXPECT_EQ(v->state, PLATTER_STATE_CLEAN);
	EXPECT_EQ(v->size, sizeof apfs_image);
	EXPECT_EQ(v->free, (BLOCKS - FIRST_FREE) * BLOCK);
	EXPECT(v->folds_case);
	expect_tree(v, v->root);
	EXPECT_EQ(find(v, v->root, "fOLDER").inode, FOLDER_INODE);
	EXPECT_EQ(find(v, v->root, "H\xc3\x84RD").inode, FILE_INODE);
	/* Its letter and accent apart; and the sign of degrees Kelvin in place of a letter. */
	EXPECT_EQ(find(v, v->root, "HA\u0308rd").inode, FILE_INODE);
	EXPECT_EQ(find(v, v->root, "lin\u212a").inode, LINK_INODE);
	EXPECT_EQ(pl_volume_lookup(v, v->root, "folders", 7, &id, &err), -ENOENT);
	EXPECT_EQ(pl_volume_lookup(v, v->root, "h\xc3\xa5rd", 5, &id, &err), -ENOENT);
}

TEST(names_without_hashes_are_found_as_they_are)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct options o = one_volume;
	struct pl_node_id id;

	o.hashed = false;
	make_container(&o);
	v = open_image();
	EXPECT(!v->folds_case);
	expect_tree(v, v->root);
	EXPECT_EQ(pl_volume_lookup(v, v->root, "folder", 6, &id, &err), -ENOENT);
}

TEST(several_volumes_are_folders_with_names_of_their_own)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	const struct options o = {
		.nr_volumes = 3, .hashed = true, .encrypted = 2, .names = { "A/B", "A/B", ".." }
	};
	struct names names = { 0 };
	struct platter_file info;
	struct pl_node_id id;

	make_container(&o);
	v = open_image();
	EXPECT_OK(pl_volume_list(v, v->root, add_to_names, &names, &err));
	EXPECT_STR(names.text, "A:B A:B (2) volume 3 ");
	expect_tree(v, find(v, v->root, "A:B"));
	expect_tree(v, find(v, v->root, "volume 3"));
	EXPECT_OK(pl_volume_stat(v, find(v, v->root, "A:B"), &info, &err));
	EXPECT_STR(info.note, "system");
	id = find(v, v->root, "A:B (2)");
	EXPECT_OK(pl_volume_stat(v, id, &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_FOLDER);
	EXPECT_EQ(info.attributes, PLATTER_FILE_ENCRYPTED);
	EXPECT_STR(info.note, "encrypted");
	EXPECT_EQ(pl_volume_list(v, id, add_to_names, &names, &err), -ENOTSUP);
}

TEST(a_snapshot_shows_what_was_then)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *now = NULL, *then = NULL;
	struct pl_volume *none;
	struct options o = one_volume;

	o.snapshot = true;
	make_container(&o);
	now = open_image();
	expect_tree(now, now->root);
	EXPECT_OK(try_open("then", 0, &then));
	expect_file(then, find(then, find(then, then->root, "Folder"), "file"), 'o');
	EXPECT_EQ(try_open("never", 0, &none), -ENOENT);
}

TEST(a_sealed_volume_is_read_by_its_hashes)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL, *broken = NULL, *damaged = NULL;
	struct options o = one_volume;
	struct names names = { 0 };

	o.sealed = true;
	make_container(&o);
	v = open_image();
	expect_tree(v, v->root);
	/* A leaf that is not what its parent says; then the root. */
	block(VOLUME + CATALOG + 1)[BLOCK - 1] ^= 1;
	broken = open_image();
	EXPECT_EQ(pl_volume_list(broken, broken->root, add_to_names, &names, &err), -EUCLEAN);
	block(VOLUME + CATALOG)[BLOCK - 41] ^= 1;
	damaged = open_image();
	EXPECT_EQ(pl_volume_list(damaged, damaged->root, add_to_names, &names, &err), -EUCLEAN);
}

TEST(the_newest_checkpoint_that_is_whole_is_shown)
{
	/* A byte that damages the newest: its map, its superblock, its space manager. */
	const unsigned damaged[] = { DESC + 4, DESC + 5, DATA + 2 };

	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
		struct pl_arena arena = { 0 };
		struct pl_facts facts = { .arena = &arena };

		make_container(&one_volume);
		put_super(0, 2, 2, 1);
		block(damaged[i])[100] ^= 1;
		v = open_image();
		v->ops->describe(v, &facts);
		EXPECT_EQ(facts.list.facts[0].number, 2);
		EXPECT_EQ(facts.list.nr_warnings, damaged[i] != DESC + 5);
		/* A superblock without its checksum was none. */
		EXPECT_EQ(v->state,
			  damaged[i] == DESC + 5 ? PLATTER_STATE_CLEAN : PLATTER_STATE_RECOVERED);
		expect_tree(v, v->root);
		pl_arena_done(&arena);
	}
}

TEST(a_checkpoint_newer_than_block_0_is_a_recovered_state)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;

	make_container(&one_volume);
	put_super(0, 1, 0, 1);
	v = open_image();
	EXPECT_EQ(v->state, PLATTER_STATE_RECOVERED);
	expect_tree(v, v->root);
}

TEST(files_are_read_where_no_checkpoint_is_whole)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_ranges used = { 0 };
	PL_AUTOFREE char *why = NULL;

	make_container(&one_volume);
	for (unsigned i = 0; i < 3; i++)
		block(DATA + i)[100] ^= 1;
	v = open_image();
	EXPECT_EQ(v->state, PLATTER_STATE_DIRTY);
	EXPECT_EQ(v->free, UINT64_MAX);
	expect_tree(v, v->root);
	EXPECT_OK(pl_volume_used(v, &used, &why, &err));
	EXPECT(why != NULL);
	EXPECT_EQ(pl_ranges_bytes(&used), sizeof apfs_image);
	pl_ranges_done(&used);
}

TEST(used_blocks_are_those_of_the_bitmaps)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOFREE char *why = NULL;
	struct pl_ranges used = { 0 };
	struct options o = one_volume;

	o.encrypted = 1;
	make_container(&o);
	/* The pool is kept whole whatever the bits say. */
	block(BITS)[POOL / 8] &= (uint8_t) ~(1u << POOL % 8);
	v = open_image();
	EXPECT_OK(pl_volume_used(v, &used, &why, &err));
	EXPECT(!why);
	EXPECT_EQ(used.nr, 1);
	EXPECT_EQ(used.range[0].start, 0);
	EXPECT_EQ(used.range[0].end, FIRST_FREE * BLOCK);
	pl_ranges_done(&used);
}

/* Each row breaks one field and signs its block again. */
static const struct {
	const char *label;
	unsigned block, at;
	uint64_t value;
	int open, list, read, used; /* what then comes */
} broken[] = {
	{ "no container", 0, 32, 0, -ENOENT, 0, 0, 0 },
	{ "blocks of 2 KiB", 0, 36, 2048, -ENOENT, 0, 0, 0 },
	{ "unknown features of the container", 0, 64, 0x8002, -ENOTSUP, 0, 0, 0 },
	{ "blocks past 64 bits", 0, 40, UINT64_MAX, -EUCLEAN, 0, 0, 0 },
	{ "object map that is none", OMAP, 24, PHYSICAL | 12, -EUCLEAN, 0, 0, 0 },
	{ "object map's tree past the end", OMAP, 48, BLOCKS, 0, -EUCLEAN, 0, 0 },
	{ "volume that is not in the map", OMAP_TREE, 56 + 32 * 4, 1, 0, -EUCLEAN, 0, 0 },
	{ "volume superblock without its magic", VOLUME, 32, 0, 0, -EUCLEAN, 0, 0 },
	{ "unknown features of the volume", VOLUME, 56, 0x10001, 0, -ENOTSUP, 0, 0 },
	{ "volume without an object map", VOLUME, 128, 0, 0, -EUCLEAN, 0, 0 },
	{ "root that is not in the map", VOLUME, 136, 77, 0, -EUCLEAN, 0, 0 },
	{ "table longer than the node", VOLUME + CATALOG, 40, 0xffff0000, 0, -EUCLEAN, 0, 0 },
	{ "more records than the table holds", VOLUME + CATALOG, 36, 1000, 0, -EUCLEAN, 0, 0 },
	{ "a level that no tree has", VOLUME + CATALOG, 32, 200u << 16 | 1, 0, -EUCLEAN, 0, 0 },
	{ "a root that is its own child", VOLUME + CATALOG, BLOCK - 40 - 8, CATALOG_OID, 0,
	  -EUCLEAN, 0, 0 },
	{ "a child that is there twice", VOLUME + CATALOG, BLOCK - 40 - 16, CATALOG_OID + 1, 0, 0,
	  -EUCLEAN, 0 },
	{ "chunk past the end", CIB, 40 + 8, BLOCKS, 0, 0, 0, -EUCLEAN },
	{ "chunk with more free blocks than all have", CIB, 40 + 20, BLOCKS - 1, 0, 0, 0,
	  -EUCLEAN },
	{ "too many chunks", CIB, 36, 1000, 0, 0, 0, -EUCLEAN },
	{ "bitmap past the end", CIB, 40 + 24, BLOCKS, 0, 0, 0, -EUCLEAN },
};

TEST(every_broken_field_is_told)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
		struct pl_ranges used = { 0 };
		struct names names = { 0 };
		int r;

		make_container(&one_volume);
		if (broken[i].value > UINT32_MAX)
			put_le64(block(broken[i].block) + broken[i].at, broken[i].value);
		else
			put_le32(block(broken[i].block) + broken[i].at, (uint32_t)broken[i].value);
		sign(broken[i].block);
		r = try_open(NULL, 0, &v);
		if (r != broken[i].open)
			pl_test_fail(__FILE__, __LINE__, "%s: %d, expected %d", broken[i].label, r,
				     broken[i].open);
		if (r < 0)
			continue;
		r = pl_volume_list(v, v->root, add_to_names, &names, &err);
		if (r != broken[i].list)
			pl_test_fail(__FILE__, __LINE__, "%s: listing %d, expected %d",
				     broken[i].label, r, broken[i].list);
		if (broken[i].used)
			EXPECT_EQ(v->ops->used(v, &used, &err), broken[i].used);
		if (broken[i].read) {
			struct pl_node_id id = { FILE_INODE, 0 };
			struct pl_disk *file;

			EXPECT_EQ(pl_volume_open_file(v, id, NULL, "file", &file, &err),
				  broken[i].read);
		}
		pl_ranges_done(&used);
	}
}

TEST(a_damaged_leaf_does_not_hide_the_others)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL, *rescued = NULL;
	struct names names = { 0 };
	struct pl_node_id root;

	make_container(&one_volume);
	/* The first has the root's inode and entries. */
	block(VOLUME + CATALOG + 1)[BLOCK - 1] ^= 1;
	v = open_image();
	root = v->root;
	EXPECT_EQ(pl_volume_list(v, root, add_to_names, &names, &err), -EUCLEAN);
	expect_file(v, (struct pl_node_id){ FILE_INODE, 0 }, 'a');
	EXPECT_OK(try_open(NULL, PLATTER_OPEN_IGNORE_CHECKSUMS, &rescued));
	expect_tree(rescued, rescued->root);
}

TEST(half_a_fusion_drive_is_named)
{
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_disk *file;

	make_container(&one_volume);
	/* Both copies that are looked at say so; the file's first block is on the other device. */
	for (unsigned i = 0; i < 6; i++) {
		unsigned at = i ? DESC + 2 * (i - 1) + 1 : 0;

		if (i > 3)
			break;
		put_le64(block(at) + 64, 0x102);
		sign(at);
	}
	for (unsigned i = 1; i <= NR_LEAVES; i++) {
		uint8_t *b = block(VOLUME + CATALOG + i);

		for (size_t k = BLOCK - 8; k > 56; k--)
			if (get_le64(b + k) == VOLUME + FILE_DATA)
				put_le64(b + k, UINT64_C(1) << 50 | 5);
		sign(VOLUME + CATALOG + i);
	}
	v = open_image();
	EXPECT_EQ(pl_volume_open_file(v, (struct pl_node_id){ FILE_INODE, 0 }, NULL, "file", &file,
				      &err),
		  -ENOTSUP);
	pl_volume_unref(v);
	for (unsigned i = 0; i < 4; i++) {
		unsigned at = i ? DESC + 2 * (i - 1) + 1 : 0;

		block(at)[1280] = 0x80;
		sign(at);
	}
	v = NULL;
	EXPECT_EQ(try_open(NULL, 0, &v), -ENOTSUP);
}
