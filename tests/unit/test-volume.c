/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-volume.c - what all file systems share: ranges, runs, cached metadata, names; and romfs */
#include "content.h"
#include "test.h"
#include "volume.h"

static struct platter_error err = PLATTER_ERROR_INIT;

static void
expect_ranges(const struct pl_ranges *r, size_t nr, const struct pl_range *wanted)
{
	EXPECT_EQ(r->nr, nr);
	for (size_t i = 0; i < nr; i++) {
		EXPECT_EQ(r->range[i].start, wanted[i].start);
		EXPECT_EQ(r->range[i].end, wanted[i].end);
	}
}

TEST(ranges_are_put_in_order_joined_and_cut)
{
	struct pl_ranges r = { 0 }, rest = { 0 };

	EXPECT_OK(pl_ranges_add(&r, 100, 50, &err));
	EXPECT_OK(pl_ranges_add(&r, 0, 10, &err));
	EXPECT_OK(pl_ranges_add(&r, 10, 5, &err));
	EXPECT_OK(pl_ranges_add(&r, 140, 20, &err));
	EXPECT_OK(pl_ranges_add(&r, 300, UINT64_MAX, &err));
	EXPECT_OK(pl_ranges_add(&r, 50, 0, &err));
	pl_ranges_finish(&r, 1000);
	expect_ranges(&r, 3, (const struct pl_range[]){ { 0, 15 }, { 100, 160 }, { 300, 1000 } });
	EXPECT_EQ(pl_ranges_bytes(&r), 15 + 60 + 700);
	EXPECT_EQ(pl_ranges_find(&r, 14)->start, 0);
	EXPECT_EQ(pl_ranges_find(&r, 15)->start, 100);
	EXPECT(!pl_ranges_find(&r, 1000));
	EXPECT_OK(pl_ranges_invert(&r, 2000, &rest, &err));
	expect_ranges(&rest, 3,
		      (const struct pl_range[]){ { 15, 100 }, { 160, 300 }, { 1000, 2000 } });
	pl_ranges_done(&r);
	pl_ranges_done(&rest);
}

TEST(ranges_of_bits_are_those_of_each_bit)
{
	uint8_t bits[64];

	for (unsigned seed = 0; seed < 200; seed++) {
		enum pl_bit_order order = seed % 2 ? PL_LSB_FIRST : PL_MSB_FIRST;
		uint64_t nr = 512 - seed % 70, bytes = 0;
		struct pl_ranges r = { 0 };

		for (size_t i = 0; i < sizeof bits; i++)
			bits[i] =
				(uint8_t)(seed % 3 == 0 ? 0xff * (i / 9 % 2) : i * 37 * seed >> 3);
		EXPECT_OK(pl_ranges_add_bits(&r, bits, nr, order, true, 1000, 10, &err));
		pl_ranges_finish(&r, UINT64_MAX);
		for (uint64_t i = 0; i < nr; i++) {
			unsigned shift = order == PL_LSB_FIRST ? i % 8 : 7 - i % 8;
			bool set = bits[i / 8] >> shift & 1;
			const struct pl_range *found = pl_ranges_find(&r, 1000 + 10 * i);

			EXPECT_EQ(found && found->start <= 1000 + 10 * i, set);
			bytes += set ? 10 : 0;
		}
		EXPECT_EQ(pl_ranges_bytes(&r), bytes);
		pl_ranges_done(&r);
	}
}

TEST(ranges_stay_few_and_only_grow)
{
	struct pl_ranges r = { 0 };

	for (uint64_t i = 0; i < 3u << 20; i++)
		EXPECT_OK(pl_ranges_add(&r, i * MIB(1), KIB(4), &err));
	EXPECT(r.nr <= 1u << 20);
	pl_ranges_finish(&r, UINT64_MAX);
	for (uint64_t i = 0; i < 3u << 20; i += 1001)
		EXPECT(pl_ranges_find(&r, i * MIB(1) + 4095)->start <= i * MIB(1));
	pl_ranges_done(&r);
}

/* Decodes to the stored byte, again and again. */
static int
decode_repeated(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
		size_t out_size, uint64_t chunk_offset, struct platter_error *e)
{
	(void)decoder, (void)in_size, (void)chunk_offset, (void)e;
	memset(out, in[0], out_size);
	return 0;
}
static const struct pl_decoder repeated = { "repeated", decode_repeated };

TEST(a_file_is_made_of_its_runs)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL, *file = NULL;
	uint8_t stored[256], read[120], expected[120] = { 0 };
	struct pl_runs runs = { 0 };
	struct pl_run packed = { .kind = PLATTER_DATA, .decoder = &repeated, .stored_length = 1 };

	for (size_t i = 0; i < sizeof stored; i++)
		stored[i] = (uint8_t)i;
	EXPECT_OK(pl_memory_new(stored, sizeof stored, "disk", &disk, &err));
	EXPECT_OK(pl_runs_add_data(&runs, 0, 10, 100, &err));
	EXPECT_OK(pl_runs_add_data(&runs, 10, 10, 110, &err));
	EXPECT_EQ(runs.nr, 1);
	/* A hole, then two runs that show parts of chunks, then a whole one. */
	packed.offset = 30;
	packed.length = 20;
	packed.stored = 7;
	packed.chunk_length = 64;
	packed.skip = 40;
	EXPECT_OK(pl_runs_add(&runs, &packed, &err));
	packed.offset = 50;
	packed.stored = 8;
	EXPECT_OK(pl_runs_add(&runs, &packed, &err));
	packed.offset = 70;
	packed.length = packed.chunk_length = 30;
	packed.skip = 0;
	packed.stored = 9;
	EXPECT_OK(pl_runs_add(&runs, &packed, &err));
	EXPECT_OK(pl_runs_add_zero(&runs, 100, 10, &err));
	EXPECT_OK(pl_runs_add_data(&runs, 110, 100, 1, &err));
	EXPECT_EQ(pl_runs_add_data(&runs, 200, 1, 1, &err), -EUCLEAN);

	EXPECT_OK(pl_file_new(disk, &runs, sizeof read, "file", &file, &err));
	EXPECT_EQ(file->size, sizeof read);
	EXPECT_OK(pl_read(file, read, sizeof read, 0, &err));
	memcpy(expected, stored + 100, 20);
	memset(expected + 30, 7, 20);
	memset(expected + 50, 8, 20);
	memset(expected + 70, 9, 30);
	memcpy(expected + 110, stored + 1, 10);
	EXPECT_MEM(read, expected, sizeof read);
}

TEST(cached_metadata_is_what_the_disk_holds)
{
	size_t size = MIB(3) + 123;
	PL_AUTOFREE uint8_t *bytes = malloc(size);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_meta *m;
	uint8_t buf[40000];

	EXPECT(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	EXPECT_OK(pl_memory_new(bytes, size, "disk", &disk, &err));
	EXPECT_OK(pl_meta_new(disk, &m, &err));
	for (unsigned i = 0; i < 3000; i++) {
		size_t n = i * 7919u % sizeof buf, at = i * 1000003u % (size - n);

		EXPECT_OK(pl_meta_read(m, buf, n, at, &err));
		EXPECT_MEM(buf, bytes + at, n);
	}
	EXPECT_OK(pl_meta_read(m, buf, 0, size, &err));
	EXPECT_EQ(pl_meta_read(m, buf, 2, size - 1, &err), -EUCLEAN);
	pl_meta_free(m);
}

TEST(names_are_one_without_regard_to_case)
{
	EXPECT(pl_names_equal_folded("Readme", 6, "README", 6));
	EXPECT(pl_names_equal_folded("\xc3\xa4"
				     "b",
				     3,
				     "\xc3\x84"
				     "B",
				     3));
	EXPECT(pl_names_equal_folded("\xd1\x82\xd0\xb5\xd1\x81\xd1\x82", 8,
				     "\xd0\xa2\xd0\x95\xd0\xa1\xd0\xa2", 8));
	EXPECT(!pl_names_equal_folded("a", 1, "ab", 2));
	EXPECT(!pl_names_equal_folded("\xe4", 1, "\xc4", 1));
	EXPECT(pl_names_equal_folded("\xe4", 1, "\xe4", 1));
	EXPECT(!pl_names_equal_folded("\xc3", 1, "\xc3\xa4", 2));
}

/* A folder "a" with a file "f", a hard link and a symbolic link to it; headers in view. */
enum {
	ROOT = 32,
	FOLDER = 64,
	FILE_F = 96,
	HARD_LINK = 160,
	SYMLINK = 192,
	ROMFS_END = 256
};

static void
put_header(uint8_t *image, unsigned at, unsigned next_and_type, uint32_t spec, uint32_t size,
	   const char *name)
{
	put_be32(image + at, next_and_type);
	put_be32(image + at + 4, spec);
	put_be32(image + at + 8, size);
	memcpy(image + at + 16, name, strlen(name) + 1);
}

static void
make_romfs(uint8_t image[static 1024])
{
	memset(image, 0, 1024);
	memcpy(image, "-rom1fs-", 8);
	put_be32(image + 8, ROMFS_END);
	memcpy(image + 16, "label", 6);
	put_header(image, ROOT, FOLDER | 9, ROOT, 0, ".");
	put_header(image, FOLDER, 0 | 9, FILE_F, 0, "a");
	put_header(image, FILE_F, HARD_LINK | 2, 0, 25, "f");
	memcpy(image + FILE_F + 32, "twenty-five bytes of text", 25);
	put_header(image, HARD_LINK, SYMLINK | 0, FILE_F, 0, "h");
	put_header(image, SYMLINK, 0 | 3, 0, 1, "s");
	image[SYMLINK + 32] = 'f';
}

static int
count_entry(void *closure, const struct pl_entry *entry, struct platter_error *e)
{
	(void)entry, (void)e;
	++*(size_t *)closure;
	return 0;
}

TEST(romfs_lists_reads_and_links)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL, *file = NULL;
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	PL_AUTOFREE char *target = NULL;
	struct pl_node_id folder, f, h, s;
	struct platter_file info;
	uint8_t image[1024];
	char text[25];
	size_t nr = 0;

	make_romfs(image);
	EXPECT_OK(pl_memory_new(image, sizeof image, "disk", &disk, &err));
	EXPECT_OK(pl_volume_open(disk, NULL, NULL, 0, &v, &err));
	EXPECT_EQ(v->size, ROMFS_END);
	EXPECT_OK(pl_volume_lookup(v, v->root, "a", 1, &folder, &err));
	EXPECT_OK(pl_volume_list(v, folder, count_entry, &nr, &err));
	EXPECT_EQ(nr, 3);
	EXPECT_OK(pl_volume_lookup(v, folder, "f", 1, &f, &err));
	EXPECT_OK(pl_volume_lookup(v, folder, "h", 1, &h, &err));
	EXPECT_EQ(f.inode, h.inode);
	EXPECT_OK(pl_volume_lookup(v, folder, "s", 1, &s, &err));
	EXPECT_EQ(pl_volume_lookup(v, folder, "S", 1, &s, &err), -ENOENT);
	EXPECT_OK(pl_volume_stat(v, f, &info, &err));
	EXPECT_EQ(info.type, PLATTER_FILE_REGULAR);
	EXPECT_EQ(info.size, 25);
	EXPECT_OK(pl_volume_open_file(v, h, NULL, "h", &file, &err));
	EXPECT_OK(pl_read(file, text, sizeof text, 0, &err));
	EXPECT_MEM(text, "twenty-five bytes of text", 25);
	EXPECT_OK(pl_volume_read_link(v, s, &target, &err));
	EXPECT_STR(target, "f");
	EXPECT_EQ(pl_volume_list(v, f, count_entry, &nr, &err), -ENOTDIR);
}

/* Each row breaks one field; the error, if any, comes where the field is used. */
static const struct {
	const char *label;
	unsigned at;
	uint32_t value;
	int list, read;
} broken[] = {
	{ "next header past the end", FILE_F, 0x10000 | 2, -EUCLEAN, 0 },
	{ "folder whose entries are its own chain", SYMLINK, FILE_F | 3, -EUCLEAN, 0 },
	{ "contents past the end", FILE_F + 8, 0x7fffffff, 0, -EUCLEAN },
};

TEST(romfs_names_the_broken_field)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL, *file = NULL;
		PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
		struct pl_node_id folder, f;
		uint8_t image[1024];
		char last;
		size_t nr = 0;

		make_romfs(image);
		put_be32(image + broken[i].at, broken[i].value);
		EXPECT_OK(pl_memory_new(image, sizeof image, "disk", &disk, &err));
		EXPECT_OK(pl_volume_open(disk, "romfs", NULL, 0, &v, &err));
		EXPECT_OK(pl_volume_lookup(v, v->root, "a", 1, &folder, &err));
		EXPECT_EQ(pl_volume_list(v, folder, count_entry, &nr, &err), broken[i].list);
		EXPECT_OK(pl_volume_lookup(v, folder, "f", 1, &f, &err));
		EXPECT_OK(pl_volume_open_file(v, f, NULL, "f", &file, &err));
		EXPECT_EQ(pl_read(file, &last, 1, file->size - 1, &err), broken[i].read);
	}
}
