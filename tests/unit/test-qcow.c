/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-qcow.c - QCOW version 1: what qemu-img makes, and an image in view with one field broken */
#include "images.h"

/* Clusters of 512 bytes, L2 tables of 64 entries: header, L1 at 48; L2 at 1024 (what is between belongs to L1); data at 1536. */
#define L1    48
#define L2    1024
#define DATA  1536
#define BYTES 2048
#define SIZE  (3 * 64 * 512 - 512)

static uint8_t image[BYTES];

static void
make_image(void)
{
	memset(image, 0, sizeof image);
	put_be32(image, 0x514649fb);
	put_be32(image + 4, 1);
	put_be64(image + 24, SIZE);
	image[32] = 9;
	image[33] = 6;
	put_be64(image + 40, L1);
	put_be64(image + L1 + 8, L2); /* the second of three tables */
	put_be64(image + L2 + 5 * 8, DATA);
	memset(image + DATA, 'd', 512);
}

TEST(an_image_in_view_reads_as_its_tables_say)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint64_t at = 64 * 512 + 5 * 512;
	struct pl_extent e;
	uint8_t buf[514];

	make_image();
	EXPECT_OK(try_bytes(image, sizeof image, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "qcow");
	EXPECT_EQ(disk->size, SIZE);
	EXPECT_OK(pl_read(disk, buf, sizeof buf, at - 1, &err));
	EXPECT_EQ(buf[0], 0);
	EXPECT_MEM(buf + 1, image + DATA, 512);
	EXPECT_EQ(buf[513], 0);
	EXPECT_OK(pl_map(disk, 100, SIZE - 100, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	EXPECT_EQ(e.length, at - 100);
	EXPECT_OK(pl_map(disk, at + 512, SIZE - at - 512, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	EXPECT_EQ(e.length, SIZE - at - 512);
	expect_whole_map(disk);
	expect_findings(disk, 0, 0);
}

TEST(a_broken_header_is_refused_where_it_is_broken)
{
	static const struct {
		size_t at;
		uint8_t value;
		int code;
	} fields[] = {
		{ 0, 'q', -EUCLEAN }, { 7, 2, -ENOTSUP },  { 32, 8, -EUCLEAN },
		{ 32, 17, -EUCLEAN }, { 33, 5, -EUCLEAN }, { 33, 14, -EUCLEAN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		make_image();
		image[fields[i].at] = fields[i].value;
		expect_refused(image, sizeof image, "qcow", fields[i].code,
			       fields[i].at == 7 ? 4 : fields[i].at);
	}
	make_image();
	put_be32(image + 36, 2);
	expect_refused(image, sizeof image, "qcow", -ENOTSUP, 36);
	make_image();
	put_be64(image + 24, UINT64_MAX);
	expect_refused(image, sizeof image, "qcow", -EFBIG, 24);
	make_image();
	put_be64(image + 8, BYTES - 3);
	put_be32(image + 16, 4);
	expect_refused(image, sizeof image, "qcow", -EUCLEAN, 8);
	make_image();
	put_be64(image + 8, 100);
	put_be32(image + 16, 1024);
	expect_refused(image, sizeof image, "qcow", -EUCLEAN, 16);
	make_image();
	put_be64(image + 40, BYTES - 16);
	expect_refused(image, sizeof image, "qcow", -EUCLEAN, BYTES - 16);
	expect_refused(image, 47, "qcow", -EUCLEAN, 0);
	make_image();
	put_be64(image + 24, INT64_MAX);
	expect_refused(image, sizeof image, "qcow", -EFBIG, PLATTER_NO_OFFSET);
}

TEST(a_broken_entry_is_refused_where_it_stands)
{
	uint64_t offset = (64 + 5) * 512;

	make_image();
	put_be64(image + L1 + 8, BYTES - 511);
	expect_unreadable(image, sizeof image, "qcow", offset, -EUCLEAN, L1 + 8);
	make_image();
	put_be64(image + L2 + 40, BYTES);
	expect_unreadable(image, sizeof image, "qcow", offset, -EUCLEAN, L2 + 40);
	make_image();
	put_be64(image + L2 + 40, 40); /* the header */
	expect_unreadable(image, sizeof image, "qcow", offset, -EUCLEAN, L2 + 40);
	make_image();
	put_be64(image + L2 + 40, 1ull << 63 | 100ull << 54 | (BYTES - 99));
	expect_unreadable(image, sizeof image, "qcow", offset, -EUCLEAN, L2 + 40);
	make_image();
	put_be64(image + L2 + 40, 1ull << 63 | DATA);
	expect_unreadable(image, sizeof image, "qcow", offset, -EUCLEAN, L2 + 40);
}

TEST(clusters_used_twice_and_never_are_found)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOUNREF struct pl_disk *other = NULL;

	make_image();
	put_be64(image + L2, DATA);
	EXPECT_OK(try_bytes(image, sizeof image, NULL, &disk));
	expect_findings(disk, 1, 0);
	make_image();
	put_be64(image + L2 + 40, 0);
	EXPECT_OK(try_bytes(image, sizeof image, NULL, &other));
	expect_findings(other, 0, 1);
}

TEST(aes_is_named_and_its_data_refused)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t buf[16];

	make_image();
	put_be32(image + 36, 1);
	EXPECT_OK(try_bytes(image, sizeof image, NULL, &disk));
	EXPECT(warns_of(disk, "AES"));
	EXPECT_OK(pl_read(disk, buf, sizeof buf, 0, &err));
	EXPECT_EQ(pl_read(disk, buf, sizeof buf, (64 + 5) * 512, &err), -ENOTSUP);
	EXPECT(strstr(err.message, "AES"));
}

TEST(what_qemu_converts_reads_the_same)
{
	static const size_t sizes[] = { 512, 1536, MIB(2) + 512, MIB(5) + 37 * 512 };

	need_qemu();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (int compress = 0; compress < 2; compress++) {
			PL_AUTOFREE uint8_t *bytes = make_raw("raw.img", sizes[i]);

			/* QEMU 7.2 fails without a word after it wrote all compressed clusters. */
			run("qemu-img convert -f raw -O qcow %s raw.img image.qcow; "
			    "qemu-img compare -f raw -F qcow raw.img image.qcow",
			    compress ? "-c" : "");
			expect_reads("image.qcow", "qcow", bytes, sizes[i]);
		}
}

TEST(a_chain_reads_through_its_backing_file)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	PL_AUTOUNREF struct pl_disk *alone = NULL;
	uint8_t buf[512];

	need_qemu();
	bytes = make_raw("base.img", MIB(2));
	run("qemu-img create -f qcow -b base.img -F raw top.qcow 3M && "
	    "qemu-io -f qcow -c 'write -P 7 100k 700k' top.qcow");
	bytes = realloc(bytes, MIB(3));
	memset(bytes + MIB(2), 0, MIB(1));
	memset(bytes + KIB(100), 7, KIB(700));
	expect_reads("top.qcow", "qcow", bytes, MIB(3));
	run("rm base.img");
	EXPECT_EQ(try_open("top.qcow", 0, &alone), -ENOENT);
	EXPECT(strstr(err.message, "base.img") && strstr(err.hint, "backing=no"));
	EXPECT_OK(try_open("top.qcow", PLATTER_OPEN_NO_BACKING, &alone));
	EXPECT_OK(pl_read(alone, buf, sizeof buf, 0, &err));
	EXPECT(pl_is_zero(buf, sizeof buf));
}
