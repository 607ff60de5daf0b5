/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-vdi.c - VDI: qemu-img both ways, differences, and an image in view with one field broken */
#include "images.h"

/* Blocks of 4 KiB: header, block map at 512, data at 1024. */
#define BLOCK 4096
#define MAP   512
#define DATA  1024
#define NR    6
#define SIZE  (NR * BLOCK - 512)
#define BYTES (DATA + 2 * BLOCK)

static uint8_t image[BYTES];

static void
make_image(void)
{
	memset(image, 0, sizeof image);
	put_le32(image + 64, 0xbeda107f);
	put_le32(image + 68, 0x00010001);
	put_le32(image + 72, 400);
	put_le32(image + 76, 1);
	put_le32(image + 340, MAP);
	put_le32(image + 344, DATA);
	put_le32(image + 360, 512);
	put_le64(image + 368, SIZE);
	put_le32(image + 376, BLOCK);
	put_le32(image + 384, NR);
	put_le32(image + 388, 2);
	memset(image + 392, 'u', 16);
	memset(image + MAP, 0xff, NR * 4);
	put_le32(image + MAP + 4 * 2, 1);
	put_le32(image + MAP + 4 * 3, 0xfffffffe);
	put_le32(image + MAP + 4 * 5, 0);
	memset(image + DATA, 'l', BLOCK); /* the last */
	memset(image + DATA + BLOCK, 'm', BLOCK);
}

static void
expect_kind(struct pl_disk *disk, uint64_t offset, enum platter_kind kind, uint64_t length)
{
	struct pl_extent e;

	EXPECT_OK(pl_map(disk, offset, disk->size - offset, &e, &err));
	EXPECT_EQ(e.kind, kind);
	EXPECT_EQ(e.length, length);
}

TEST(an_image_in_view_reads_as_its_map_says)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t buf[SIZE];

	make_image();
	EXPECT_OK(try_bytes(image, sizeof image, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "vdi");
	EXPECT_EQ(disk->size, SIZE);
	EXPECT_OK(pl_read(disk, buf, sizeof buf, 0, &err));
	EXPECT(pl_is_zero(buf, 2 * BLOCK));
	EXPECT_MEM(buf + 2 * BLOCK, image + DATA + BLOCK, BLOCK);
	EXPECT(pl_is_zero(buf + 3 * BLOCK, 2 * BLOCK));
	EXPECT_MEM(buf + 5 * BLOCK, image + DATA, BLOCK - 512);
	expect_kind(disk, 100, PLATTER_HOLE, 2 * BLOCK - 100);
	expect_kind(disk, 2 * BLOCK, PLATTER_DATA, BLOCK);
	expect_kind(disk, 3 * BLOCK, PLATTER_ZERO, BLOCK);
	expect_kind(disk, 4 * BLOCK + 1, PLATTER_HOLE, BLOCK - 1);
	expect_kind(disk, 5 * BLOCK, PLATTER_DATA, BLOCK - 512);
	expect_whole_map(disk);
	expect_findings(disk, 0, 0);
}

TEST(bytes_in_front_of_each_block_are_passed_over)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t buf[16];

	make_image();
	put_le32(image + 380, 512);
	put_le32(image + MAP + 4 * 2, 0xffffffff);
	put_le32(image + 388, 1);
	EXPECT_OK(try_bytes(image, sizeof image, NULL, &disk));
	EXPECT_OK(pl_read(disk, buf, sizeof buf, 5 * BLOCK + BLOCK - 512 - 16, &err));
	EXPECT_MEM(buf, image + DATA + BLOCK - 16, 16);
}

TEST(a_broken_header_is_refused_where_it_is_broken)
{
	static const struct {
		size_t at;
		uint32_t value;
		int code;
	} fields[] = {
		{ 64, 0xbeda107e, -EUCLEAN },
		{ 68, 0x00010000, -ENOTSUP },
		{ 68, 0x00000001, -ENOTSUP },
		{ 72, 383, -EUCLEAN },
		{ 76, 0, -ENOTSUP },
		{ 76, 3, -ENOTSUP },
		{ 76, 5, -ENOTSUP },
		{ 340, 455, -EUCLEAN },
		{ 344, 455, -EUCLEAN },
		{ 360, 4096, -ENOTSUP },
		{ 368, SIZE + 1024, -EUCLEAN },
		{ 376, 256, -EUCLEAN },
		{ 376, 4095, -EUCLEAN },
		{ 376, 1u << 29, -EUCLEAN },
		{ 380, BLOCK + 1, -EUCLEAN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		make_image();
		put_le32(image + fields[i].at, fields[i].value);
		printf("# field at %zu\n", fields[i].at);
		expect_refused(image, sizeof image, "vdi", fields[i].code, fields[i].at);
	}
	make_image();
	put_le32(image + 340, BYTES - 8); /* the map passes the end of the file */
	expect_refused(image, sizeof image, "vdi", -EUCLEAN, BYTES - 8);
	make_image();
	put_le32(image + 384, UINT32_MAX);
	expect_refused(image, sizeof image, "vdi", -EUCLEAN, MAP);
	make_image();
	put_le32(image + 76, 4); /* a difference from nothing */
	expect_refused(image, sizeof image, "vdi", -EUCLEAN, 424);
	make_image();
	expect_refused(image, 455, "vdi", -EUCLEAN, 0);
}

TEST(an_entry_past_the_end_is_refused_where_it_stands)
{
	make_image();
	put_le32(image + MAP + 4, 2);
	expect_unreadable(image, sizeof image, "vdi", BLOCK, -EUCLEAN, MAP + 4);
	put_le32(image + MAP + 4, 0xfffffffd);
	expect_unreadable(image, sizeof image, "vdi", BLOCK, -EUCLEAN, MAP + 4);
}

TEST(what_is_wrong_with_the_map_is_found)
{
	static const struct {
		size_t at;
		uint32_t value;
		uint64_t damages, leaks;
	} cases[] = {
		{ MAP, 0, 2, 0 },              /* one block for two, one more than counted */
		{ MAP + 8, 0xffffffff, 0, 2 }, /* one used by nothing, one less than counted */
		{ MAP + 8, 2, 1, 1 },          /* past the end, and its place used by nothing */
		{ 388, 3, 0, 1 },              /* counted too high */
		{ 388, 1, 1, 0 },              /* counted too low */
		{ 344, 512, 1, 1 },            /* the data over the map */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		make_image();
		put_le32(image + cases[i].at, cases[i].value);
		printf("# case %zu\n", i);
		EXPECT_OK(try_bytes(image, sizeof image, "vdi", &disk));
		expect_findings(disk, cases[i].damages, cases[i].leaks);
	}
}

/* Where anything may follow the map, it moves before it gets longer. */
TEST(a_map_behind_the_data_leaves_what_follows_alone_when_the_disk_grows)
{
	static const size_t places[] = { 1, 3, 5 }; /* of the map, in blocks */

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		size_t at = DATA + places[i] * BLOCK, n = DATA + 8 * BLOCK;
		PL_AUTOUNREF struct pl_disk *disk = NULL, *file = NULL;
		PL_AUTOFREE uint8_t *bytes = calloc(1, n);
		uint8_t buf[BLOCK];

		printf("# map in block %zu\n", places[i]);
		make_image();
		memcpy(bytes, image, MAP);
		put_le32(bytes + 340, (uint32_t)at);
		put_le32(bytes + 388, 8);
		memset(bytes + at, 0xff, NR * 4);
		put_le32(bytes + at, 0);
		put_le32(bytes + at + 4, 7);
		put_le32(bytes + at + 8, (uint32_t)places[i] + 1); /* next to the map */
		memset(bytes + DATA, 'a', BLOCK);
		memset(bytes + DATA + 7 * BLOCK, 'b', BLOCK);
		memset(bytes + at + BLOCK, 'c', BLOCK);
		EXPECT_OK(pl_memory_new(bytes, n, "image", &file, &err));
		EXPECT_OK(pl_image_open(file, NULL, "vdi", NULL, PLATTER_OPEN_WRITE, &disk, &err));
		EXPECT_OK(pl_resize(disk, 5000 * BLOCK, &err));
		pl_disk_unref(PL_STEAL(disk));
		EXPECT_OK(pl_image_open(file, NULL, "vdi", NULL, 0, &disk, &err));
		EXPECT_EQ(disk->size, 5000 * BLOCK);
		for (size_t k = 0; k < 3; k++) {
			EXPECT_OK(pl_read(disk, buf, BLOCK, k * BLOCK, &err));
			EXPECT_EQ(buf[0], "abc"[k]);
			EXPECT(!memcmp(buf, buf + 1, BLOCK - 1));
		}
		expect_kind(disk, 3 * BLOCK, PLATTER_HOLE, 4997 * BLOCK);
	}
}

static const size_t sizes[] = { 512, 1536, MIB(1), MIB(2) + 512, MIB(9) + 37 * 512 };

TEST(what_qemu_converts_reads_the_same)
{
	need_qemu();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (int fixed = 0; fixed < 2; fixed++) {
			PL_AUTOFREE uint8_t *bytes = make_raw("raw.img", sizes[i]);

			run("qemu-img convert -f raw -O vdi -o static=%s raw.img image.vdi",
			    fixed ? "on" : "off");
			expect_reads("image.vdi", "vdi", bytes, sizes[i]);
		}
}

TEST(qemu_reads_what_is_written)
{
	need_qemu();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (int fixed = 0; fixed < 2; fixed++) {
			struct platter_key_value option = { "static", fixed ? "on" : "off" };
			PL_AUTOFREE uint8_t *bytes = make_raw("raw.img", sizes[i]);

			printf("# %zu bytes, static=%s\n", sizes[i], option.value);
			write_image("image.vdi", pl_format_by_name("vdi"), bytes, sizes[i], &option,
				    1);
			run("qemu-img check -f vdi image.vdi && "
			    "qemu-img compare -f raw -F vdi raw.img image.vdi");
			expect_reads("image.vdi", "vdi", bytes, sizes[i]);
		}
}

TEST(a_fixed_image_holds_the_disk_in_order)
{
	struct platter_key_value option = { "static", "on" };
	PL_AUTOFREE uint8_t *bytes = make_raw("raw.img", MIB(3));
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	write_image("image.vdi", pl_format_by_name("vdi"), bytes, MIB(3), &option, 1);
	EXPECT_OK(try_open("image.vdi", 0, &disk));
	expect_kind(disk, 0, PLATTER_DATA, MIB(3));
}

/* A differencing image of the one in view, under a folder of its own or not. */
static void
write_difference(const char *name, const char *parent_modification)
{
	uint8_t child[DATA + BLOCK];

	make_image();
	memcpy(child, image, sizeof child);
	put_le32(child + 76, 4);
	put_le32(child + 388, 1);
	memset(child + 392, 'c', 16);
	memset(child + 424, 'u', 16);
	memcpy(child + 440, parent_modification, 16);
	memset(child + MAP, 0xff, NR * 4);
	put_le32(child + MAP, 0);
	put_le32(child + MAP + 4 * 2, 0xfffffffe);
	memset(child + DATA, 'C', BLOCK);
	write_file(name, child, sizeof child);
}

static void
expect_difference(const char *name)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t buf[SIZE];

	EXPECT_OK(try_open(name, 0, &disk));
	EXPECT_OK(pl_read(disk, buf, sizeof buf, 0, &err));
	EXPECT_EQ(buf[0], 'C');
	EXPECT_EQ(buf[BLOCK - 1], 'C');
	EXPECT(pl_is_zero(buf + BLOCK, 4 * BLOCK)); /* the discarded block hides the parent's */
	EXPECT_EQ(buf[5 * BLOCK], 'l');
}

TEST(a_difference_finds_its_parent_by_uuid)
{
	make_image();
	memset(image + 408, 'm', 16);
	write_file("base.vdi", image, sizeof image);
	memset(image + 392, 'x', 16);
	write_file("another.vdi", image, sizeof image);
	write_file("no-image.vdi", "text", 4);
	run("mkdir folder.vdi Snapshots; mkfifo pipe.vdi");
	write_difference("child.vdi", "mmmmmmmmmmmmmmmm");
	expect_difference("child.vdi");
	write_difference("Snapshots/{child}.vdi", "mmmmmmmmmmmmmmmm");
	expect_difference("Snapshots/{child}.vdi");
	write_difference("child.vdi", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
	expect_difference("child.vdi");
}

TEST(a_parent_that_was_changed_or_is_missing_is_named)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOUNREF struct pl_disk *forced = NULL;
	uint8_t byte;

	make_image();
	memset(image + 408, 'n', 16);
	write_file("base.vdi", image, sizeof image);
	write_difference("child.vdi", "mmmmmmmmmmmmmmmm");
	EXPECT_EQ(try_open("child.vdi", 0, &disk), -EUCLEAN);
	EXPECT_EQ(err.offset, 440);
	EXPECT(strstr(err.message, "base.vdi") && strstr(err.hint, "backing=no"));
	EXPECT_OK(try_open("child.vdi", PLATTER_OPEN_IGNORE_CHECKSUMS, &forced));
	run("rm base.vdi");
	EXPECT_EQ(try_open("child.vdi", 0, &disk), -ENOENT);
	EXPECT(strstr(err.message, "75757575-7575-7575-7575-757575757575"));
	EXPECT(strstr(err.hint, "backing=no"));
	EXPECT_OK(try_open("child.vdi", PLATTER_OPEN_NO_BACKING, &disk));
	EXPECT_OK(pl_read(disk, &byte, 1, 5 * BLOCK, &err));
	EXPECT_EQ(byte, 0);
}

TEST(images_that_differ_from_each_other_are_refused)
{
	struct pl_disk *disk;

	write_difference("child.vdi", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
	run("cp child.vdi base.vdi");
	patch_file("base.vdi", 392, "uuuuuuuuuuuuuuuu", 16);
	patch_file("base.vdi", 424, "cccccccccccccccc", 16);
	EXPECT_EQ(try_open("child.vdi", 0, &disk), -EUCLEAN);
	EXPECT(strstr(err.message, "its own chain"));
}
