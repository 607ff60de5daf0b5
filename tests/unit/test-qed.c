/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-qed.c - QED: what qemu-img makes, and an image in view with one field broken */
#include "images.h"

/* Clusters and tables of 4 KiB: header, L1, L2, data. */
#define CLUSTER 4096
#define L1      CLUSTER
#define L2      (2 * CLUSTER)
#define DATA    (3 * CLUSTER)
#define BYTES   (4 * CLUSTER)
#define SIZE    MIB(5)

static uint8_t image[BYTES];

static void
make_image(void)
{
	memset(image, 0, sizeof image);
	memcpy(image, "QED", 4);
	put_le32(image + 4, CLUSTER);
	put_le32(image + 8, 1);
	put_le32(image + 12, 1);
	put_le64(image + 40, L1);
	put_le64(image + 48, SIZE);
	put_le64(image + L1 + 8, L2); /* the second 2 MiB */
	put_le64(image + L2, 1);      /* zero */
	put_le64(image + L2 + 8 * 5, DATA);
	memset(image + DATA, 'd', CLUSTER);
}

TEST(an_image_in_view_reads_as_its_tables_say)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_extent e;
	uint8_t buf[CLUSTER];

	make_image();
	EXPECT_OK(try_bytes(image, sizeof image, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "qed");
	EXPECT_EQ(disk->size, SIZE);
	EXPECT_OK(pl_read(disk, buf, sizeof buf, MIB(2) + 5 * CLUSTER, &err));
	EXPECT_MEM(buf, image + DATA, CLUSTER);
	EXPECT_OK(pl_map(disk, 0, SIZE, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	EXPECT_EQ(e.length, MIB(2));
	EXPECT_OK(pl_map(disk, MIB(2), CLUSTER, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_ZERO);
	EXPECT_EQ(e.length, CLUSTER);
	expect_whole_map(disk);
	expect_findings(disk, 0, 0);
}

TEST(a_broken_header_is_refused_where_it_is_broken)
{
	static const struct {
		size_t at;
		uint32_t value;
		int code;
	} fields[] = {
		{ 0, 0x00444550, -EUCLEAN }, { 4, 2048, -EUCLEAN },    { 4, 5000, -EUCLEAN },
		{ 4, 1u << 27, -EUCLEAN },   { 8, 0, -EUCLEAN },       { 8, 3, -EUCLEAN },
		{ 8, 32, -EUCLEAN },         { 12, 0, -EUCLEAN },      { 12, 5, -EUCLEAN },
		{ 16, 8, -ENOTSUP },         { 40, L1 + 8, -EUCLEAN }, { 40, BYTES, -EUCLEAN },
		{ 48, 513, -EUCLEAN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		make_image();
		put_le32(image + fields[i].at, fields[i].value);
		printf("# field at %zu\n", fields[i].at);
		expect_refused(image, sizeof image, "qed", fields[i].code, fields[i].at);
	}
	make_image();
	put_le64(image + 48, 1ull << 63);
	expect_refused(image, sizeof image, "qed", -EFBIG, 48);
	put_le64(image + 48, MIB(1025)); /* 512 entries of 2 MiB */
	expect_refused(image, sizeof image, "qed", -EUCLEAN, 48);
	make_image();
	put_le64(image + 16, 1);
	expect_refused(image, sizeof image, "qed", -EUCLEAN, 60);
	put_le32(image + 56, CLUSTER - 3);
	put_le32(image + 60, 4);
	expect_refused(image, sizeof image, "qed", -EUCLEAN, 56);
	expect_refused(image, 63, "qed", -EUCLEAN, 0);
}

TEST(a_broken_entry_is_refused_where_it_stands)
{
	make_image();
	put_le64(image + L1 + 8, BYTES);
	expect_unreadable(image, sizeof image, "qed", MIB(2), -EUCLEAN, L1 + 8);
	put_le64(image + L1 + 8, L2 + 512);
	expect_unreadable(image, sizeof image, "qed", MIB(2), -EUCLEAN, L1 + 8);
	make_image();
	put_le64(image + L2 + 40, BYTES);
	expect_unreadable(image, sizeof image, "qed", MIB(2) + 5 * CLUSTER, -EUCLEAN, L2 + 40);
	put_le64(image + L2 + 40, DATA + 1);
	expect_unreadable(image, sizeof image, "qed", MIB(2) + 5 * CLUSTER, -EUCLEAN, L2 + 40);
}

TEST(clusters_used_twice_and_never_are_found)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOUNREF struct pl_disk *other = NULL;

	make_image();
	put_le64(image + L1, L2); /* one table for two places */
	EXPECT_OK(try_bytes(image, sizeof image, NULL, &disk));
	expect_findings(disk, 1, 0);
	make_image();
	put_le64(image + L2 + 40, 0);
	EXPECT_OK(try_bytes(image, sizeof image, NULL, &other));
	expect_findings(other, 0, 1);
}

TEST(an_image_that_was_not_closed_warns)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_image();
	EXPECT_OK(try_bytes(image, sizeof image, NULL, &disk));
	EXPECT(!warns_of(disk, "not closed"));
	pl_disk_unref(disk);
	disk = NULL;
	put_le64(image + 16, 2);
	EXPECT_OK(try_bytes(image, sizeof image, NULL, &disk));
	EXPECT(warns_of(disk, "not closed"));
}

TEST(what_qemu_converts_reads_the_same)
{
	static const char *const options[] = { "", "-o cluster_size=4k,table_size=2",
					       "-o cluster_size=4k,table_size=16",
					       "-o cluster_size=2M,table_size=2" };
	static const size_t sizes[] = { 512, 65536 + 512, MIB(5) + 37 * 512 };

	need_qemu();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (size_t o = 0; o < ARRAY_SIZE(options); o++) {
			PL_AUTOFREE uint8_t *bytes = make_raw("raw.img", sizes[i]);

			printf("# %zu bytes %s\n", sizes[i], options[o]);
			run("qemu-img convert -f raw -O qed %s raw.img image.qed", options[o]);
			expect_reads("image.qed", "qed", bytes, sizes[i]);
		}
}

TEST(a_chain_reads_through_its_backing_file)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	PL_AUTOUNREF struct pl_disk *none = NULL;

	need_qemu();
	bytes = make_raw("base.img", MIB(2));
	run("qemu-img create -f qed -b base.img -F raw top.qed 3M && "
	    "qemu-io -f qed -c 'write -P 7 100k 700k' -c 'write -z 1M 128k' top.qed");
	bytes = realloc(bytes, MIB(3));
	memset(bytes + MIB(2), 0, MIB(1));
	memset(bytes + KIB(100), 7, KIB(700));
	memset(bytes + MIB(1), 0, KIB(128));
	expect_reads("top.qed", "qed", bytes, MIB(3));
	run("rm base.img");
	EXPECT_EQ(try_open("top.qed", 0, &none), -ENOENT);
	EXPECT(strstr(err.message, "base.img") && strstr(err.hint, "backing=no"));
}
