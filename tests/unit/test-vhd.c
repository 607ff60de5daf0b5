/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-vhd.c - VHD images: each field broken by itself, sizes, parents, and other tools' view */
#include "vhd-images.h"
#include "vhd/vhd.h"

/*
 * A dynamic disk of five blocks of 4096 bytes:
 *
 *	    0  copy of the footer
 *	  512  dynamic header
 *	 1536  block table
 *	 2048  bitmap and data of block 1, whose sectors 0 to 3 are 'a', 6 is 'b'
 *	 6656  bitmap and data of block 3, all 'c'
 *	11264  footer
 */
#define BLOCK     4096u
#define TABLE     1536u
#define BLOCK_1   2048u
#define BLOCK_3   (BLOCK_1 + 512 + BLOCK)
#define TAIL      (BLOCK_3 + 512 + BLOCK)
#define FILE_SIZE (TAIL + 512)
#define DISK_SIZE (5 * BLOCK)
#define HEADER    512u

static void
sign(uint8_t *b, size_t n, size_t field)
{
	put_be32(b + field, pl_vhd_checksum(b, n, field));
}

static void
make_footer(uint8_t *b, uint32_t type, uint64_t size)
{
	memset(b, 0, 512);
	memcpy(b, "conectix", 8);
	put_be32(b + VHD_FEATURES, 2);
	put_be32(b + VHD_VERSION, VHD_VERSION_1);
	put_be64(b + VHD_DATA_OFFSET, type == VHD_FIXED ? UINT64_MAX : HEADER);
	memcpy(b + VHD_CREATOR, "win ", 4);
	put_be64(b + VHD_ORIGINAL_SIZE, size);
	put_be64(b + VHD_CURRENT_SIZE, size);
	put_be32(b + VHD_DISK_TYPE, type);
	memset(b + VHD_UUID, (int)type, 16);
	sign(b, 512, VHD_CHECKSUM);
}

static void
sign_header(uint8_t *file)
{
	sign(file + HEADER, VHD_HEADER_SIZE, VHD_HEADER_CHECKSUM);
}

static void
sign_footers(uint8_t *file)
{
	sign(file + TAIL, 512, VHD_CHECKSUM);
	memcpy(file, file + TAIL, 512);
}

static uint8_t *
make_dynamic(uint32_t type)
{
	uint8_t *file = calloc(1, FILE_SIZE), *h = file + HEADER;

	make_footer(file + TAIL, type, DISK_SIZE);
	memcpy(file, file + TAIL, 512);
	memcpy(h, "cxsparse", 8);
	put_be64(h + 8, UINT64_MAX);
	put_be64(h + VHD_TABLE_OFFSET, TABLE);
	put_be32(h + VHD_HEADER_VERSION, VHD_VERSION_1);
	put_be32(h + VHD_MAX_ENTRIES, 5);
	put_be32(h + VHD_BLOCK_SIZE, BLOCK);
	sign_header(file);
	memset(file + TABLE, 0xff, 512);
	put_be32(file + TABLE + 4, BLOCK_1 / 512);
	put_be32(file + TABLE + 12, BLOCK_3 / 512);
	file[BLOCK_1] = 0xf2;
	memset(file + BLOCK_1 + 512, 'x', BLOCK);
	memset(file + BLOCK_1 + 512, 'a', 2048);
	memset(file + BLOCK_1 + 512 + 6 * 512, 'b', 512);
	file[BLOCK_3] = 0xff;
	memset(file + BLOCK_3 + 512, 'c', BLOCK);
	return file;
}

static int
open_bytes(const uint8_t *bytes, size_t n, unsigned flags, struct pl_disk **ret)
{
	PL_AUTOUNREF struct pl_disk *file = memory_file(bytes, n, "disk.vhd");

	*ret = NULL;
	return open_image("vhd", file, NULL, flags, ret);
}

TEST(a_dynamic_disk_reads_its_blocks_and_zeros_elsewhere)
{
	PL_AUTOFREE uint8_t *file = make_dynamic(VHD_DYNAMIC);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_extent e;

	EXPECT_OK(open_bytes(file, FILE_SIZE, 0, &disk));
	EXPECT_EQ(disk->size, DISK_SIZE);
	EXPECT(holds(disk, 0, BLOCK, 0));
	EXPECT(holds(disk, BLOCK, 2048, 'a'));
	EXPECT(holds(disk, BLOCK + 2048, 1024, 0));
	EXPECT(holds(disk, BLOCK + 3072, 512, 'b'));
	EXPECT(holds(disk, BLOCK + 3584, 512 + BLOCK, 0));
	EXPECT(holds(disk, 3 * BLOCK, BLOCK, 'c'));
	EXPECT(holds(disk, 4 * BLOCK, BLOCK, 0));
	/* What is not there joins over the ends of blocks and bitmaps. */
	EXPECT_OK(pl_map(disk, BLOCK + 3584, DISK_SIZE, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	EXPECT_EQ(e.length, 512 + BLOCK);
	EXPECT_OK(pl_map(disk, BLOCK + 100, DISK_SIZE, &e, &err));
	EXPECT_EQ(e.stored_offset, BLOCK_1 + 512 + 100);
	EXPECT_EQ(e.length, 1948);
	EXPECT_STR(check_image("vhd", disk), "");
}

/* The disk of make_dynamic() at another size, in `file`. */
static void
grow_dynamic(struct pl_disk *file, uint64_t size)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	EXPECT_OK(open_image("vhd", file, NULL, PLATTER_OPEN_WRITE, &disk));
	EXPECT_OK(pl_resize(disk, size, &err));
	pl_disk_unref(PL_STEAL(disk));
	EXPECT_OK(open_image("vhd", file, NULL, 0, &disk));
	EXPECT_EQ(disk->size, size);
	EXPECT(holds(disk, 0, BLOCK, 0));
	EXPECT(holds(disk, BLOCK, 2048, 'a'));
	EXPECT(holds(disk, 3 * BLOCK, BLOCK, 'c'));
	EXPECT(holds(disk, 4 * BLOCK, (size_t)size - 4 * BLOCK, 0));
	EXPECT_STR(check_image("vhd", disk), "");
}

TEST(a_table_without_room_moves_behind_the_blocks)
{
	PL_AUTOFREE uint8_t *bytes = make_dynamic(VHD_DYNAMIC);
	PL_AUTOUNREF struct pl_disk *file = memory_file(bytes, FILE_SIZE, "disk.vhd");

	grow_dynamic(file, 3000 * BLOCK);
}

/* The header counts entries that the table has no room for, or that say something. */
TEST(a_table_that_is_counted_longer_than_it_is_leaves_what_follows_alone_when_the_disk_grows)
{
	static const uint32_t counts[] = { 128, 200, 100000 };

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		PL_AUTOFREE uint8_t *bytes = make_dynamic(VHD_DYNAMIC);
		PL_AUTOUNREF struct pl_disk *file = NULL;

		put_be32(bytes + HEADER + VHD_MAX_ENTRIES, counts[i]);
		sign_header(bytes);
		memset(bytes + TABLE + 4 * 5, 0, 512 - 4 * 5);
		file = memory_file(bytes, FILE_SIZE, "disk.vhd");
		grow_dynamic(file, PL_MIN(counts[i], 3000u) * BLOCK);
	}
}

/* Each row breaks one field of both footers; the error points there. */
static const struct {
	const char *label;
	unsigned field;
	uint32_t value;
	int code;
	uint64_t at;
} broken_footers[] = {
	{ "version 2", VHD_VERSION, 0x20000, -ENOTSUP, TAIL + VHD_VERSION },
	{ "type 5", VHD_DISK_TYPE, 5, -ENOTSUP, TAIL + VHD_DISK_TYPE },
	{ "type 0", VHD_DISK_TYPE, 0, -ENOTSUP, TAIL + VHD_DISK_TYPE },
	{ "header past the end", VHD_DATA_OFFSET + 4, FILE_SIZE - 1023, -EUCLEAN,
	  TAIL + VHD_DATA_OFFSET },
	{ "header far past the end", VHD_DATA_OFFSET, 0xfffffff0, -EUCLEAN,
	  TAIL + VHD_DATA_OFFSET },
	{ "header elsewhere", VHD_DATA_OFFSET + 4, 1024, -EUCLEAN, 1024 },
	{ "size of no sectors", VHD_CURRENT_SIZE + 4, DISK_SIZE - 1, -EUCLEAN,
	  TAIL + VHD_CURRENT_SIZE },
	{ "size beyond the table", VHD_CURRENT_SIZE + 4, DISK_SIZE + 512, -EUCLEAN,
	  TAIL + VHD_CURRENT_SIZE },
	{ "immense size", VHD_CURRENT_SIZE, 0xffffffff, -EUCLEAN, TAIL + VHD_CURRENT_SIZE },
};

TEST(a_broken_field_of_the_footer_is_named)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken_footers); i++) {
		PL_AUTOFREE uint8_t *file = make_dynamic(VHD_DYNAMIC);
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		printf("# %s\n", broken_footers[i].label);
		put_be32(file + TAIL + broken_footers[i].field, broken_footers[i].value);
		sign_footers(file);
		EXPECT_EQ(open_bytes(file, FILE_SIZE, 0, &disk), broken_footers[i].code);
		EXPECT_EQ(err.offset, broken_footers[i].at);
		EXPECT_STR(err.place, "disk.vhd");
	}
}

/* The same for the dynamic header. */
static const struct {
	const char *label;
	unsigned field;
	uint32_t value;
	int code;
	uint64_t at;
} broken_headers[] = {
	{ "cookie", 0, 0x12345678, -EUCLEAN, HEADER },
	{ "version 2", VHD_HEADER_VERSION, 0x20000, -ENOTSUP, HEADER + VHD_HEADER_VERSION },
	{ "block size 0", VHD_BLOCK_SIZE, 0, -EUCLEAN, HEADER + VHD_BLOCK_SIZE },
	{ "block size 256", VHD_BLOCK_SIZE, 256, -EUCLEAN, HEADER + VHD_BLOCK_SIZE },
	{ "block size 4097", VHD_BLOCK_SIZE, 4097, -EUCLEAN, HEADER + VHD_BLOCK_SIZE },
	{ "too few entries", VHD_MAX_ENTRIES, 4, -EUCLEAN, TAIL + VHD_CURRENT_SIZE },
	{ "table past the end", VHD_TABLE_OFFSET + 4, FILE_SIZE - 19, -EUCLEAN,
	  HEADER + VHD_TABLE_OFFSET },
	{ "table far past the end", VHD_TABLE_OFFSET, 0xffffffff, -EUCLEAN,
	  HEADER + VHD_TABLE_OFFSET },
};

TEST(a_broken_field_of_the_dynamic_header_is_named)
{
	for (size_t i = 0; i < ARRAY_SIZE(broken_headers); i++) {
		PL_AUTOFREE uint8_t *file = make_dynamic(VHD_DYNAMIC);
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		printf("# %s\n", broken_headers[i].label);
		put_be32(file + HEADER + broken_headers[i].field, broken_headers[i].value);
		sign_header(file);
		EXPECT_EQ(open_bytes(file, FILE_SIZE, 0, &disk), broken_headers[i].code);
		EXPECT_EQ(err.offset, broken_headers[i].at);
	}
}

TEST(a_block_outside_of_the_file_is_an_error_where_it_is_read)
{
	PL_AUTOFREE uint8_t *file = make_dynamic(VHD_DYNAMIC);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	char byte;

	put_be32(file + TABLE + 12, 0xfffffffe);
	EXPECT_OK(open_bytes(file, FILE_SIZE, 0, &disk));
	EXPECT(holds(disk, BLOCK, 2048, 'a'));
	EXPECT_EQ(pl_read(disk, &byte, 1, 3 * BLOCK, &err), -EUCLEAN);
	EXPECT_EQ(err.offset, TABLE + 12);
	EXPECT_STR(check_image("vhd", disk),
		   "damage 1548 block 3 at byte 2199023254528 passes the end of the data at byte"
		   " 11264\n");
}

TEST(a_block_that_is_cut_reads_as_far_as_it_goes)
{
	PL_AUTOFREE uint8_t *file = make_dynamic(VHD_DYNAMIC);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	char byte;

	/* The tail is gone with the second half of block 3; the copy of the footer is there. */
	EXPECT_OK(open_bytes(file, BLOCK_3 + 512 + 2048, 0, &disk));
	EXPECT(holds(disk, 3 * BLOCK, 2048, 'c'));
	EXPECT_EQ(pl_read(disk, &byte, 1, 3 * BLOCK + 2048, &err), -EUCLEAN);
	EXPECT(err.hint[0]);
}

TEST(blocks_that_share_bytes_are_found)
{
	PL_AUTOFREE uint8_t *file = make_dynamic(VHD_DYNAMIC);
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	put_be32(file + TABLE, TABLE / 512 - 1);
	put_be32(file + TABLE + 16, BLOCK_3 / 512);
	EXPECT_OK(open_bytes(file, FILE_SIZE, 0, &disk));
	EXPECT_STR(check_image("vhd", disk),
		   "damage 1024 block 0 lies over the dynamic header in the file\n"
		   "damage 1536 the block table lies over block 0 in the file\n"
		   "damage 2048 block 1 lies over block 0 in the file\n"
		   "damage 6656 block 4 lies over block 3 in the file\n");
}

TEST(either_footer_stands_in_for_the_other)
{
	for (int which = 0; which < 2; which++) {
		PL_AUTOFREE uint8_t *file = make_dynamic(VHD_DYNAMIC);
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		file[(which ? TAIL : 0) + VHD_CURRENT_SIZE + 5]++;
		EXPECT_OK(open_bytes(file, FILE_SIZE, 0, &disk));
		EXPECT_EQ(disk->size, DISK_SIZE);
		EXPECT_STR(check_image("vhd", disk),
			   which ? "damage 11264 checksum of the footer at the end of the file does"
				   " not match\n"
				 : "damage 0 checksum of the footer's copy at the start of the file"
				   " does not match\n");
	}
}

TEST(two_damaged_footers_are_refused_unless_they_say_the_same)
{
	PL_AUTOFREE uint8_t *file = make_dynamic(VHD_DYNAMIC);
	PL_AUTOUNREF struct pl_disk *disk = NULL, *rescued = NULL, *same = NULL;

	file[VHD_UUID]++;
	file[TAIL + VHD_UUID + 1]++;
	EXPECT_EQ(open_bytes(file, FILE_SIZE, 0, &disk), -EUCLEAN);
	EXPECT_EQ(err.offset, TAIL + VHD_CHECKSUM);
	EXPECT_OK(open_bytes(file, FILE_SIZE, PLATTER_OPEN_IGNORE_CHECKSUMS, &rescued));
	EXPECT(holds(rescued, 3 * BLOCK, BLOCK, 'c'));
	memcpy(file, file + TAIL, 512);
	EXPECT_OK(open_bytes(file, FILE_SIZE, 0, &same));
	EXPECT_EQ(strncmp(check_image("vhd", same), "damage", 6), 0);
}

TEST(a_fixed_disk_is_its_bytes)
{
	PL_AUTOFREE uint8_t *file = malloc(2048 + 512);
	PL_AUTOUNREF struct pl_disk *disk = NULL, *shorter = NULL, *damaged = NULL, *larger = NULL;
	struct pl_extent e;

	memset(file, 'd', 2048);
	make_footer(file + 2048, VHD_FIXED, 2048);
	EXPECT_OK(open_bytes(file, 2560, 0, &disk));
	EXPECT_EQ(disk->size, 2048);
	EXPECT_OK(pl_map(disk, 3, 2000, &e, &err));
	EXPECT_EQ(e.stored_offset, 3);
	EXPECT_STR(check_image("vhd", disk), "");
	/* Old releases of Virtual PC end it one byte early. */
	EXPECT_OK(open_bytes(file, 2559, 0, &shorter));
	EXPECT(holds(shorter, 0, 2048, 'd'));
	EXPECT_EQ(strncmp(check_image("vhd", shorter), "note 2048 the footer has 511", 28), 0);
	file[2048 + VHD_UUID]++;
	EXPECT_EQ(open_bytes(file, 2560, 0, &damaged), -EUCLEAN);
	EXPECT_EQ(err.offset, 2048 + VHD_CHECKSUM);
	make_footer(file + 2048, VHD_FIXED, 2560);
	EXPECT_EQ(open_bytes(file, 2560, 0, &larger), -EUCLEAN);
	EXPECT_EQ(err.offset, 2048 + VHD_CURRENT_SIZE);
}

TEST(a_raw_disk_that_ends_in_the_footer_of_another_is_no_vhd)
{
	PL_AUTOFREE uint8_t *file = calloc(1, KIB(64) + 2048);
	struct pl_probe probe = {
		.size = 2560, .head = file, .tail = file + 1536, .extension = "dd"
	};

	make_footer(file + 2048, VHD_FIXED, 2048);
	EXPECT(pl_format_by_name("vhd")->probe(&probe) > 0);
	make_footer(file + 2048, VHD_FIXED, 4096);
	EXPECT_EQ(pl_format_by_name("vhd")->probe(&probe), 0);
	probe.extension = "vhd";
	EXPECT(pl_format_by_name("vhd")->probe(&probe) > 0);
}

/* In sectors; the table has room for 5 blocks of 8. */
static const struct {
	const char *creator;
	uint64_t current;
	uint16_t cylinders;
	uint8_t heads, sectors;
	uint64_t expected;
} sizes[] = {
	{ "win ", 40, 1, 2, 17, 40 }, /* the geometry is the nearest below */
	{ "vpc ", 40, 1, 2, 17, 40 }, /* which Virtual PC rounds the size to itself */
	{ "qemu", 34, 1, 2, 17, 34 },
	{ "vpc ", 30, 1, 2, 17, 34 }, /* where it did not, it counts the geometry */
	{ "win ", 30, 1, 2, 17, 30 }, /* and Hyper-V the size */
	{ "d2v", 30, 1, 2, 17, 30 },
	{ "vpc ", 30, 65535, 16, 255, 30 }, /* geometry at its limit says nothing */
	{ "vpc ", 30, 1, 3, 17, 30 },       /* nor does more than the image has room for */
};

TEST(the_size_is_the_one_that_its_creator_meant)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		PL_AUTOFREE uint8_t *file = make_dynamic(VHD_DYNAMIC);
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		memset(file + TAIL + VHD_CREATOR, 0, 4);
		memcpy(file + TAIL + VHD_CREATOR, sizes[i].creator, strlen(sizes[i].creator));
		put_be64(file + TAIL + VHD_CURRENT_SIZE, sizes[i].current * 512);
		put_be16(file + TAIL + VHD_GEOMETRY, sizes[i].cylinders);
		file[TAIL + VHD_GEOMETRY + 2] = sizes[i].heads;
		file[TAIL + VHD_GEOMETRY + 3] = sizes[i].sectors;
		sign_footers(file);
		EXPECT_OK(open_bytes(file, FILE_SIZE, 0, &disk));
		EXPECT_EQ(disk->size / 512, sizes[i].expected);
	}
}

/* Parents. */

/* Put a locator's path into the unused sectors of the header's bytes 256 to 511 of the table. */
static void
put_locator(uint8_t *file, unsigned index, const char *code, const char *path)
{
	uint8_t *l = file + HEADER + VHD_LOCATORS + index * VHD_LOCATOR_SIZE;
	uint32_t at = TABLE + 128 + index * 128, n = 0;

	for (; path[n]; n++)
		put_le16(file + at + n * 2, (uint8_t)path[n]);
	memcpy(l, code, 4);
	put_be32(l + 4, 128);
	put_be32(l + 8, n * 2);
	put_be64(l + 16, at);
}

static void
put_parent_name(uint8_t *file, const char *name)
{
	for (size_t i = 0; name[i]; i++)
		put_be16(file + HEADER + VHD_PARENT_NAME + i * 2, (uint8_t)name[i]);
}

/* A child of make_dynamic(VHD_DYNAMIC) by its UUID, and the parent that has it, under `name`. */
static uint8_t *
make_child(struct folder *folder, const char *name)
{
	PL_AUTOFREE uint8_t *parent = make_dynamic(VHD_DYNAMIC);
	uint8_t *child = make_dynamic(VHD_DIFFERENCING);

	memset(parent + BLOCK_1 + 512, 'P', BLOCK);
	memset(parent + BLOCK_1, 0xff, 1);
	memset(child + HEADER + VHD_PARENT_UUID, VHD_DYNAMIC, 16);
	put_be32(child + TABLE + 12, VHD_NO_BLOCK);
	folder->names[0] = name;
	folder->files[0] = memory_file(parent, FILE_SIZE, name);
	return child;
}

static const struct {
	const char *there; /* name of the parent's file */
	const char *relative, *absolute, *name;
} found[] = {
	{ "base.vhd", ".\\base.vhd", NULL, "base.vhd" },
	{ "../old/base.vhd", "..\\old\\base.vhd", "C:\\old\\base.vhd", "base.vhd" },
	{ "/images/base.vhd", NULL, "\\images\\base.vhd", "other.vhd" },
	/* Paths of another machine: the bare name is beside the child. */
	{ "base.vhd", "..\\old\\base.vhd", "C:\\old\\base.vhd", "C:\\old\\base.vhd" },
	{ "base.vhd", NULL, "\\\\server\\share\\base.vhd", "" },
	{ "base.vhd", NULL, NULL, "base.vhd" },
	{ "./a:b.vhd", NULL, NULL, "aa\\a:b.vhd" },
};

TEST(a_parent_is_found_by_any_of_its_names)
{
	for (size_t i = 0; i < ARRAY_SIZE(found); i++) {
		struct folder folder = { 0 };
		PL_AUTOFREE uint8_t *child = make_child(&folder, found[i].there);
		PL_AUTOUNREF struct pl_disk *parent = folder.files[0], *disk = NULL, *file = NULL;

		printf("# %s\n", found[i].there);
		if (found[i].absolute)
			put_locator(child, 0, "W2ku", found[i].absolute);
		if (found[i].relative)
			put_locator(child, 1, "W2ru", found[i].relative);
		put_parent_name(child, found[i].name);
		sign_header(child);
		file = memory_file(child, FILE_SIZE, "child.vhd");
		EXPECT_OK(open_image("vhd", file, &folder, 0, &disk));
		EXPECT(holds(disk, BLOCK, 2048, 'a'));
		EXPECT(holds(disk, BLOCK + 2048, 1024, 'P'));
		EXPECT(holds(disk, BLOCK + 3072, 512, 'b'));
		EXPECT(holds(disk, 3 * BLOCK, BLOCK, 'c'));
		EXPECT_EQ(parent->size, FILE_SIZE);
	}
}

TEST(a_parent_that_is_not_there_is_named_with_what_can_be_done)
{
	struct folder folder = { 0 };
	PL_AUTOFREE uint8_t *child = make_child(&folder, "elsewhere.vhd");
	PL_AUTOUNREF struct pl_disk *parent = folder.files[0], *disk = NULL, *file = NULL,
				    *alone = NULL;

	put_locator(child, 0, "W2ku", "C:\\old\\base.vhd");
	sign_header(child);
	file = memory_file(child, FILE_SIZE, "child.vhd");
	EXPECT_EQ(open_image("vhd", file, &folder, 0, &disk), -ENOENT);
	/* A drive of Windows is never looked for. */
	EXPECT_STR(folder.asked, "base.vhd;");
	EXPECT(strstr(err.message, "C:\\old\\base.vhd") && strstr(err.hint, "base.vhd"));
	EXPECT_OK(open_image("vhd", file, &folder, PLATTER_OPEN_NO_BACKING, &alone));
	EXPECT(holds(alone, BLOCK + 2048, 1024, 0));
	EXPECT_EQ(parent->size, FILE_SIZE);
}

TEST(another_image_under_the_parents_name_is_refused_with_both_uuids)
{
	struct folder folder = { 0 };
	PL_AUTOFREE uint8_t *child = make_child(&folder, "base.vhd");
	PL_AUTOUNREF struct pl_disk *parent = folder.files[0], *disk = NULL, *file = NULL;

	child[HEADER + VHD_PARENT_UUID] = 0xee;
	put_parent_name(child, "base.vhd");
	sign_header(child);
	file = memory_file(child, FILE_SIZE, "child.vhd");
	EXPECT_EQ(open_image("vhd", file, &folder, 0, &disk), -EUCLEAN);
	EXPECT_EQ(err.offset, HEADER + VHD_PARENT_UUID);
	EXPECT(strstr(err.message, "ee030303-0303") && strstr(err.message, "03030303-0303"));
	EXPECT_EQ(parent->size, FILE_SIZE);
}

TEST(hostile_locators_are_left_out)
{
	struct folder folder = { 0 };
	PL_AUTOFREE uint8_t *child = make_child(&folder, "base.vhd");
	PL_AUTOUNREF struct pl_disk *parent = folder.files[0], *disk = NULL, *file = NULL;
	uint8_t *l = child + HEADER + VHD_LOCATORS;

	memcpy(l, "W2ru", 4);
	put_be32(l + 8, 0xfffffffe);
	put_be64(l + 16, 100);
	memcpy(l + 24, "W2ku", 4);
	put_be32(l + 24 + 8, 20);
	put_be64(l + 24 + 16, UINT64_MAX - 5);
	put_parent_name(child, "base.vhd");
	sign_header(child);
	file = memory_file(child, FILE_SIZE, "child.vhd");
	EXPECT_OK(open_image("vhd", file, &folder, 0, &disk));
	EXPECT_EQ(parent->size, FILE_SIZE);
}

/* Writing. */

static const uint64_t written_sizes[] = {
	512, 1000, MIB(2), MIB(2) + 512, MIB(37) + 3 * 512, GIB(2) - 512, GIB(2) + 512
};

TEST(what_is_written_reads_the_same_in_qemu)
{
	static const char *const options[] = { "subformat=dynamic", "subformat=fixed",
					       "force_size=off", "azure=on" };

	if (run("command -v qemu-img") != 0)
		SKIP("no qemu-img");
	for (size_t i = 0; i < ARRAY_SIZE(written_sizes); i++) {
		make_raw(in_folder("s.raw"), written_sizes[i], (unsigned)i);
		for (size_t k = 0; k < ARRAY_SIZE(options); k++) {
			printf("# %" PRIu64 " bytes, %s\n", written_sizes[i], options[k]);
			EXPECT_OK(
				convert(in_folder("s.raw"), in_folder("s.vhd"), options[k], NULL));
			EXPECT(same_disk(in_folder("s.raw"), in_folder("s.vhd")));
			/* QEMU reads sizes in whole sectors. */
			EXPECT_EQ(run("truncate -s %%512 s.raw && qemu-img compare -f raw -F vpc"
				      " s.raw s.vhd"),
				  0);
		}
		EXPECT_EQ(run("test $(($(stat -c %%s s.vhd) %% 1048576)) = 512"), 0);
	}
}

TEST(sizes_are_exact_unless_a_geometry_is_asked_for)
{
	struct platter_disk *disk;

	make_raw(in_folder("s.raw"), MIB(37) + 512, 1);
	EXPECT_OK(convert(in_folder("s.raw"), in_folder("s.vhd"), NULL, NULL));
	EXPECT_OK(platter_open(in_folder("s.vhd"), NULL, &disk, &err));
	EXPECT_EQ(platter_size(disk), MIB(37) + 512);
	platter_close(disk);
	EXPECT_OK(convert(in_folder("s.raw"), in_folder("s.vhd"), "force_size=off", NULL));
	EXPECT_OK(platter_open(in_folder("s.vhd"), NULL, &disk, &err));
	/* 892 cylinders, 5 heads, 17 sectors. */
	EXPECT_EQ(platter_size(disk), 892 * 5 * 17 * 512);
	platter_close(disk);
	EXPECT_OK(convert(in_folder("s.raw"), in_folder("s.vhd"), "azure=on", NULL));
	EXPECT_OK(platter_open(in_folder("s.vhd"), NULL, &disk, &err));
	EXPECT_EQ(platter_size(disk), MIB(38));
	platter_close(disk);
}

TEST(options_that_contradict_each_other_are_refused)
{
	make_raw(in_folder("s.raw"), 4096, 1);
	EXPECT_EQ(convert(in_folder("s.raw"), in_folder("s.vhd"), "azure=on", "subformat=dynamic"),
		  -EINVAL);
	EXPECT_EQ(convert(in_folder("s.raw"), in_folder("s.vhd"), "azure=on", "force_size=off"),
		  -EINVAL);
	EXPECT_EQ(convert(in_folder("s.raw"), in_folder("s.vhd"), "subformat=sparse", NULL),
		  -EINVAL);
	EXPECT_EQ(convert(in_folder("s.raw"), in_folder("s.vhd"), "azure=yes", NULL), -EINVAL);
	EXPECT_EQ(convert(in_folder("s.raw"), in_folder("s.vhd"), "backing_file=s.raw", NULL),
		  -EUCLEAN);
}

TEST(a_disk_of_more_than_2040_gib_is_refused)
{
	struct platter_create_options options = { .size = sizeof options, .no_sync = true };

	EXPECT_OK(platter_create_empty(in_folder("big.vhd"), GIB(2040), &options, &err));
	EXPECT_EQ(platter_create_empty(in_folder("more.vhd"), GIB(2040) + 512, &options, &err),
		  -EFBIG);
	if (run("command -v qemu-img") == 0)
		EXPECT_EQ(run("qemu-img info -f vpc big.vhd | grep -q '(2190433320960 bytes)'"), 0);
}

TEST(a_child_three_deep_reads_as_what_it_was_made_from)
{
	static const char *const names[] = { "a", "b", "sub/c" };

	EXPECT_EQ(run("mkdir sub"), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		char raw[40], vhd[40], backing[40];

		snprintf(raw, sizeof raw, "%s.raw", names[i]);
		snprintf(vhd, sizeof vhd, "%s.vhd", names[i]);
		snprintf(backing, sizeof backing, "backing_file=%s%s.vhd", i == 2 ? "../" : "",
			 i ? names[i - 1] : "");
		make_raw(in_folder(raw), MIB(9) + 512 * i, i * 7 + 1);
		EXPECT_OK(convert(in_folder(raw), in_folder(vhd), i ? backing : NULL, NULL));
		EXPECT(same_disk(in_folder(raw), in_folder(vhd)));
	}
	/* Moved as a whole, they still find each other. */
	EXPECT_EQ(run("mkdir moved && mv a.vhd b.vhd sub moved"), 0);
	EXPECT(same_disk(in_folder("moved/sub/c.raw"), in_folder("moved/sub/c.vhd")));
}

TEST(an_empty_overlay_reads_as_its_parent)
{
	struct platter_key_value backing = { "backing_file", "base.vhd" };
	struct platter_create_options options = {
		.size = sizeof options, .no_sync = true, .options = &backing, .nr_options = 1
	};

	make_raw(in_folder("s.raw"), MIB(5), 3);
	EXPECT_OK(convert(in_folder("s.raw"), in_folder("base.vhd"), NULL, NULL));
	EXPECT_OK(platter_create_empty(in_folder("top.vhd"), MIB(5), &options, &err));
	EXPECT(same_disk(in_folder("s.raw"), in_folder("top.vhd")));
	EXPECT_EQ(run("test $(stat -c %%s top.vhd) -lt 10000"), 0);
}

TEST(libvhdi_reads_what_is_written)
{
	if (run("command -v vhdiinfo") != 0)
		SKIP("no vhdiinfo");
	make_raw(in_folder("s.raw"), MIB(5), 3);
	EXPECT_OK(convert(in_folder("s.raw"), in_folder("base.vhd"), NULL, NULL));
	EXPECT_OK(convert(in_folder("s.raw"), in_folder("top.vhd"), "backing_file=base.vhd", NULL));
	EXPECT_EQ(run("vhdiinfo base.vhd | grep -q Dynamic"), 0);
	EXPECT_EQ(run("vhdiinfo top.vhd >info; grep -q Differential info && grep -q base.vhd info"),
		  0);
}
