/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-parallels.c - Parallels images: qemu-img both ways, and one in view with one field broken */
#include "images.h"

/* Clusters of 8 sectors: header and BAT in the first, then three of data. */
#define CLUSTER 4096
#define BAT     64
#define NR      6
#define SECTORS (NR * 8 - 1)
#define SIZE    (SECTORS * 512)
#define BYTES   (4 * CLUSTER)

static uint8_t image[BYTES];

static void
make_image(void)
{
	memset(image, 0, sizeof image);
	memcpy(image, "WithouFreSpacExt", 16);
	put_le32(image + 16, 2);
	put_le32(image + 28, CLUSTER / 512);
	put_le32(image + 32, NR);
	put_le64(image + 36, SECTORS);
	put_le32(image + 48, CLUSTER / 512);
	put_le32(image + BAT + 4 * 1, 1);
	put_le32(image + BAT + 4 * 2, 2);
	put_le32(image + BAT + 4 * 5, 3);
	for (int i = 1; i < 4; i++)
		memset(image + i * CLUSTER, 'a' + i, CLUSTER);
}

static void
expect_disk(void)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_extent e;
	uint8_t buf[SIZE];

	EXPECT_OK(try_bytes(image, sizeof image, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "parallels");
	EXPECT_EQ(disk->size, SIZE);
	EXPECT_OK(pl_read(disk, buf, sizeof buf, 0, &err));
	EXPECT(pl_is_zero(buf, CLUSTER));
	EXPECT_MEM(buf + CLUSTER, image + CLUSTER, 2 * CLUSTER);
	EXPECT(pl_is_zero(buf + 3 * CLUSTER, 2 * CLUSTER));
	EXPECT_MEM(buf + 5 * CLUSTER, image + 3 * CLUSTER, CLUSTER - 512);
	EXPECT_OK(pl_map(disk, CLUSTER + 1, SIZE - CLUSTER - 1, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_DATA);
	EXPECT_EQ(e.length, 2 * CLUSTER - 1);
	EXPECT_OK(pl_map(disk, 3 * CLUSTER + 7, SIZE - 3 * CLUSTER - 7, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	EXPECT_EQ(e.length, 2 * CLUSTER - 7);
	expect_whole_map(disk);
	expect_findings(disk, 0, 0);
}

TEST(an_image_in_view_reads_as_its_table_says)
{
	make_image();
	expect_disk();
}

TEST(entries_of_the_old_magic_count_sectors)
{
	make_image();
	memcpy(image, "WithoutFreeSpace", 16);
	put_le32(image + 40, 0xdeadbeef); /* of the size only the low half counts */
	for (int i = 0; i < NR; i++)
		put_le32(image + BAT + 4 * i, get_le32(image + BAT + 4 * i) * 8);
	expect_disk();
}

TEST(clusters_of_an_odd_number_of_sectors_read)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t bytes[(1 + 2 * 63) * 512] = { 0 }, buf[63 * 512];

	memcpy(bytes, "WithoutFreeSpace", 16);
	put_le32(bytes + 16, 2);
	put_le32(bytes + 28, 63);
	put_le32(bytes + 32, 3);
	put_le32(bytes + 36, 3 * 63);
	put_le32(bytes + BAT + 4, 1); /* data begins behind the first sector */
	put_le32(bytes + BAT + 8, 64);
	memset(bytes + 512, 'x', 63 * 512);
	memset(bytes + 64 * 512, 'y', 63 * 512);
	EXPECT_OK(try_bytes(bytes, sizeof bytes, NULL, &disk));
	EXPECT_OK(pl_read(disk, buf, sizeof buf, 63 * 512 + 100, &err));
	EXPECT_EQ(buf[0], 'x');
	EXPECT_EQ(buf[sizeof buf - 101], 'x');
	EXPECT_EQ(buf[sizeof buf - 100], 'y');
	expect_findings(disk, 0, 0);
}

TEST(a_broken_header_is_refused_where_it_is_broken)
{
	static const struct {
		size_t at;
		uint32_t value;
		int code;
	} fields[] = {
		{ 0, 0, -EUCLEAN },         { 16, 3, -ENOTSUP },      { 28, 0, -EUCLEAN },
		{ 28, 1u << 22, -EUCLEAN }, { 32, NR - 1, -EUCLEAN }, { 36, NR * 8 + 1, -EUCLEAN },
		{ 40, 1, -EUCLEAN },        { 56, 32, -EUCLEAN },     { 60, UINT32_MAX, -EUCLEAN },
	};
	/* Too small a table is told by the size that it is too small for. */
	static const uint64_t told_at[] = { 0, 16, 28, 28, 36, 36, 36, 56, 56 };

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		make_image();
		put_le32(image + fields[i].at, fields[i].value);
		printf("# field at %zu\n", fields[i].at);
		expect_refused(image, sizeof image, "parallels", fields[i].code, told_at[i]);
	}
	make_image();
	put_le32(image + 32, UINT32_MAX); /* the table passes the end of the file */
	expect_refused(image, sizeof image, "parallels", -EUCLEAN, BAT);
	expect_refused(image, 63, "parallels", -EUCLEAN, 0);
}

TEST(an_entry_outside_of_the_file_is_refused_where_it_stands)
{
	make_image();
	put_le32(image + BAT, 4);
	expect_unreadable(image, sizeof image, "parallels", 0, -EUCLEAN, BAT);
	put_le32(image + BAT, UINT32_MAX);
	expect_unreadable(image, sizeof image, "parallels", 0, -EUCLEAN, BAT);
	/* Cut within a cluster: what is left reads, the rest does not. */
	make_image();
	expect_unreadable(image, BYTES - 1024, "parallels", 6 * CLUSTER - 1024, -EUCLEAN,
			  BAT + 5 * 4);
}

static void
expect_check(uint64_t damages, uint64_t leaks)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	EXPECT_OK(try_bytes(image, sizeof image, "parallels", &disk));
	expect_findings(disk, damages, leaks);
}

TEST(what_is_wrong_with_the_table_is_found)
{
	make_image();
	put_le32(image + BAT, 3); /* used twice */
	expect_check(1, 0);
	put_le32(image + BAT, 4); /* past the end */
	expect_check(1, 0);
	put_le32(image + BAT, 0);
	put_le32(image + BAT + 4, 0); /* used by nothing */
	expect_check(0, 1);
	make_image();
	memcpy(image, "WithoutFreeSpace", 16);
	for (int i = 0; i < NR; i++)
		put_le32(image + BAT + 4 * i, get_le32(image + BAT + 4 * i) * 8);
	put_le32(image + BAT + 4 * 5, 23); /* a sector before it should */
	expect_check(1, 1);
}

/* The last cluster becomes a format extension with a bitmap, whose bits are in the first. */
static void
add_extension(void)
{
	uint8_t *ext = image + 3 * CLUSTER;

	make_image();
	put_le64(image + 56, 3 * CLUSTER / 512);
	put_le32(image + BAT + 4 * 5, 0);
	put_le32(image + BAT + 4 * 1, 0);
	memset(ext, 0, CLUSTER);
	put_le64(ext, 0xab234cef23dcea87u);
	put_le64(ext + 24, 0x20385fae252cb34au);
	put_le32(ext + 24 + 16, 32 + 8);
	put_le64(ext + 48, SECTORS);
	memset(ext + 56, 'i', 16);
	put_le32(ext + 72, 16);
	put_le32(ext + 76, 1);
	put_le64(ext + 80, CLUSTER / 512);
}

static bool
has_bitmap(const char *text)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };
	bool found = false;

	EXPECT_OK(try_bytes(image, sizeof image, "parallels", &disk));
	disk->ops->describe(disk, &facts);
	for (size_t i = 0; i < facts.list.nr_facts; i++)
		found |= !strcmp(facts.list.facts[i].key, "bitmap") &&
			 strstr(facts.list.facts[i].text, text);
	pl_arena_done(&arena);
	return found;
}

TEST(dirty_bitmaps_are_listed_and_their_clusters_are_used)
{
	add_extension();
	EXPECT(has_bitmap("69696969-6969-6969-6969-696969696969, one bit for 8.0 KiB"));
	expect_check(0, 0);
	put_le64(image + 3 * CLUSTER + 80, UINT64_MAX); /* bits outside of the file */
	expect_check(1, 0);
	add_extension();
	put_le32(image + 3 * CLUSTER + 40, CLUSTER); /* a section larger than the extension */
	EXPECT(!has_bitmap(""));
	expect_check(1, 0);
	add_extension();
	image[3 * CLUSTER] = 0;
	expect_check(1, 0);
}

TEST(an_image_that_is_open_elsewhere_warns)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_image();
	put_le32(image + 44, 0x746f6e59);
	EXPECT_OK(try_bytes(image, sizeof image, "parallels", &disk));
	EXPECT(warns_of(disk, "not closed"));
}

static const size_t sizes[] = { 512, 1536, MIB(1), MIB(2) + 512, MIB(9) + 37 * 512 };
static const char *const cluster_sizes[] = { "1M", "64k", "4k" };

TEST(what_qemu_converts_reads_the_same)
{
	need_qemu();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t c = 0; c < ARRAY_SIZE(cluster_sizes); c++) {
			PL_AUTOFREE uint8_t *bytes = make_raw("raw.img", sizes[i]);

			run("qemu-img convert -f raw -O parallels -o cluster_size=%s raw.img "
			    "image.hds",
			    cluster_sizes[c]);
			expect_reads("image.hds", "parallels", bytes, sizes[i]);
		}
}

TEST(qemu_reads_what_is_written)
{
	need_qemu();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t c = 0; c < ARRAY_SIZE(cluster_sizes); c++) {
			struct platter_key_value option = { "cluster_size", cluster_sizes[c] };
			PL_AUTOFREE uint8_t *bytes = make_raw("raw.img", sizes[i]);

			printf("# %zu bytes, clusters of %s\n", sizes[i], option.value);
			write_image("image.hds", pl_format_by_name("parallels"), bytes, sizes[i],
				    &option, 1);
			run("qemu-img check -f parallels image.hds && "
			    "qemu-img compare -f raw -F parallels raw.img image.hds");
			expect_reads("image.hds", "parallels", bytes, sizes[i]);
		}
}
