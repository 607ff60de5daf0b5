/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-sparseimage.c - sparse images in view, with one field broken, made, and changed */
#include "writes.h"

/* Bands of 1024 bytes: a header, and two index nodes behind 1008 and 1010 slots. */
#define BAND     1024u
#define NODE     4096u
#define SECOND   (NODE + 1008 * BAND)
#define THIRD    (SECOND + NODE + 1010 * BAND)
#define BYTES    (THIRD + NODE + BAND)
#define NR_BANDS 3000u
#define SIZE     ((NR_BANDS - 1) * BAND + 512)

static uint8_t *image;

/* Where the bands of test images are: the file's slots, and what is in them. */
static const struct {
	unsigned at, id_at, band;
	uint8_t byte;
} stored[] = {
	{ NODE, 64, 2, 'c' },
	{ NODE + BAND, 68, 0, 'a' },
	{ NODE + 1007 * BAND, 64 + 4 * 1007, 1500, 'm' },
	{ SECOND + NODE, SECOND + 56, 1, 'b' },
	{ SECOND + NODE + 1009 * BAND, SECOND + 56 + 4 * 1009, 2000, 't' },
	{ THIRD + NODE, THIRD + 56, 2999, 'z' },
};

static void
make_image(void)
{
	free(image);
	image = calloc(1, BYTES);
	EXPECT(image);
	memcpy(image, "sprs", 4);
	put_be32(image + 4, 3);
	put_be32(image + 8, BAND / 512);
	put_be32(image + 12, 1);
	put_be32(image + 16, SIZE / 512);
	put_be64(image + 20, SECOND);
	put_be64(image + 28, SIZE / 512);
	memcpy(image + SECOND, "sprs", 4);
	put_be32(image + SECOND + 4, 1);
	put_be32(image + SECOND + 8, 1);
	put_be64(image + SECOND + 12, THIRD);
	memcpy(image + THIRD, "sprs", 4);
	put_be32(image + THIRD + 4, 2);
	put_be32(image + THIRD + 8, 1);
	for (size_t i = 0; i < ARRAY_SIZE(stored); i++) {
		put_be32(image + stored[i].id_at, stored[i].band + 1);
		memset(image + stored[i].at, stored[i].byte, BAND);
	}
}

static uint8_t *
contents(void)
{
	uint8_t *bytes = calloc(1, NR_BANDS * BAND);

	EXPECT(bytes);
	for (size_t i = 0; i < ARRAY_SIZE(stored); i++)
		memset(bytes + stored[i].band * BAND, stored[i].byte, BAND);
	return bytes;
}

TEST(bands_are_found_through_every_node)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE uint8_t *wanted = contents();
	struct pl_extent e;

	make_image();
	EXPECT_OK(try_bytes(image, BYTES, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "sparseimage");
	expect_equal(disk, wanted, SIZE);
	expect_whole_map(disk);
	EXPECT_OK(pl_map(disk, 3 * BAND, SIZE, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	EXPECT_OK(pl_map(disk, 2999 * BAND, SIZE, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_DATA);
	EXPECT_EQ(e.stored_offset, THIRD + NODE);
	EXPECT_EQ(e.length, 512);
	expect_findings(disk, 0, 1); /* slots without a band */
}

TEST(the_short_field_counts_where_the_long_one_is_not_set)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_image();
	put_be64(image + 28, 0);
	EXPECT_OK(try_bytes(image, BYTES, NULL, &disk));
	EXPECT_EQ(disk->size, SIZE);
}

TEST(a_broken_field_is_refused_where_it_is_broken)
{
	static const struct {
		size_t at;
		uint32_t value;
		int code;
	} fields[] = {
		{ 0, 0x73707271, -EUCLEAN },
		{ 4, 2, -ENOTSUP },
		{ 4, 4, -ENOTSUP },
		{ 8, 0, -EUCLEAN },
		{ 8, (256 << 11) + 1, -EUCLEAN },
		{ 12, 2, -ENOTSUP },
		{ 28, 0x80000000, -EUCLEAN },
		{ 20, 1, -EUCLEAN },        /* the next node is past the end */
		{ 24, NODE - 1, -EUCLEAN }, /* or within this one */
		{ 64, NR_BANDS + 1, -EUCLEAN },
		{ SECOND, 0, -EUCLEAN },
		{ SECOND + 16, SECOND, -EUCLEAN }, /* it names itself */
		{ SECOND + 16, NODE, -EUCLEAN },   /* or what is before it */
		{ SECOND + 56 + 4 * 5, 0xffffffff, -EUCLEAN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		size_t at = fields[i].at;

		/* The places of nodes are numbers of 64 bits. */
		if (at == 24)
			at = 20;
		if (at == SECOND + 16)
			at = SECOND + 12;
		make_image();
		put_be32(image + fields[i].at, fields[i].value);
		printf("# field at %zu\n", fields[i].at);
		expect_refused(image, BYTES, "sparseimage", fields[i].code, at);
	}
	make_image();
	expect_refused(image, NODE - 1, "sparseimage", -EUCLEAN, 0);
}

TEST(a_band_past_the_end_of_the_file_cannot_be_read)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t byte;

	make_image();
	EXPECT_OK(try_bytes(image, BYTES - BAND, NULL, &disk));
	EXPECT_EQ(pl_read(disk, &byte, 1, 2999 * BAND, &err), -EUCLEAN);
	EXPECT_OK(pl_read(disk, &byte, 1, 2000 * BAND, &err));
	expect_findings(disk, 1, 1);
}

/* As a kill leaves it while the band moves. */
TEST(of_two_slots_of_one_band_the_first_counts_for_good)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL, *file = NULL;
	uint8_t byte;

	make_image();
	put_be32(image + SECOND + 56 + 4 * 7, 1);
	memset(image + SECOND + NODE + 7 * BAND, 'X', BAND);
	EXPECT_OK(try_bytes(image, BYTES, NULL, &disk));
	EXPECT_OK(pl_read(disk, &byte, 1, 0, &err));
	EXPECT_EQ(byte, 'a');
	EXPECT(warns_of(disk, "twice"));
	expect_findings(disk, 0, 1);
	pl_disk_unref(PL_STEAL(disk));

	/* Given up, it does not come back as what the other slot holds. */
	EXPECT_OK(pl_memory_new(image, BYTES, "image", &file, &err));
	EXPECT_OK(pl_image_open(file, NULL, NULL, NULL, PLATTER_OPEN_WRITE, &disk, &err));
	EXPECT_OK(pl_discard(disk, 0, BAND, &err));
	EXPECT_OK(pl_flush(disk, &err));
	pl_disk_unref(PL_STEAL(disk));
	EXPECT_OK(pl_image_open(file, NULL, NULL, NULL, 0, &disk, &err));
	EXPECT_OK(pl_read(disk, &byte, 1, 0, &err));
	EXPECT_EQ(byte, 0);
}

TEST(bands_that_lie_over_each_other_are_found)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	make_image();
	/* A node within the slots of the header, over a band. */
	memmove(image + NODE + 500 * BAND, image + SECOND, NODE);
	put_be64(image + 20, NODE + 500 * BAND);
	put_be32(image + 64 + 4 * 501, 100);
	EXPECT_OK(try_bytes(image, BYTES, NULL, &disk));
	expect_findings(disk, 1, 1);
}

/* 65 nodes of ids cost 270 KiB of a file, and would cost 4 GiB of memory. */
TEST(bands_all_over_a_disk_take_no_more_than_so_much_memory)
{
	size_t n = 67 * NODE;
	PL_AUTOFREE uint8_t *many = calloc(1, n);
	uint32_t id = 1;

	memcpy(many, "sprs", 4);
	put_be32(many + 4, 3);
	put_be32(many + 8, 1);
	put_be32(many + 12, 1);
	put_be64(many + 20, NODE);
	put_be64(many + 28, 0xffffffff);
	for (size_t i = 1; i < 66; i++) {
		memcpy(many + i * NODE, "sprs", 4);
		put_be64(many + i * NODE + 12, (i + 1) * NODE);
		for (size_t k = 0; k < 1010; k++, id += 65000)
			put_be32(many + i * NODE + 56 + 4 * k, id);
	}
	memcpy(many + 66 * NODE, "sprs", 4);
	expect_refused(many, n, NULL, -EFBIG, PLATTER_NO_OFFSET);
}

/* Others compute where the bands are; what is read by its own list need not be so. */
TEST(an_image_whose_nodes_stand_elsewhere_is_only_read)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE uint8_t *wanted = contents();

	make_image();
	/* The second node goes to where the third is, and with it two of its bands. */
	memcpy(image + THIRD + 56, image + SECOND + 56, 4);
	put_be64(image + 20, THIRD);
	put_be32(image + THIRD + 4, 1);
	memset(wanted + BAND, 'z', BAND);
	memset(wanted + 2000 * BAND, 0, BAND);
	memset(wanted + 2999 * BAND, 0, BAND);
	write_file("x", image, BYTES);
	EXPECT_OK(try_open("x", PLATTER_OPEN_WRITE, &disk));
	expect_equal(disk, wanted, SIZE);
	EXPECT_EQ(pl_write(disk, "x", 1, 0, &err), -ENOTSUP);
	EXPECT_EQ(err.offset, THIRD);
	EXPECT_EQ(pl_resize(disk, SIZE + 512, &err), -ENOTSUP);
	expect_equal(disk, wanted, SIZE);
}

TEST(petabytes_cost_nothing)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_extent e;
	uint64_t size = UINT64_C(0xffffffff) * (256 << 20);

	make_image();
	put_be32(image + 8, 256 << 11);
	put_be64(image + 28, size / 512);
	put_be64(image + 20, 0);
	memset(image + 64, 0, NODE - 64);
	EXPECT_OK(try_bytes(image, NODE, NULL, &disk));
	EXPECT_EQ(disk->size, size);
	EXPECT_OK(pl_map(disk, 0, size, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	expect_findings(disk, 0, 0);
	pl_disk_unref(PL_STEAL(disk));
	put_be64(image + 28, size / 512 + 1);
	expect_refused(image, NODE, NULL, -EUCLEAN, 28);
}

/* Written through all slots of two nodes, so that a third comes, and given up again. */
TEST(nodes_follow_when_slots_are_used_and_go_when_bands_are_given_up)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL, *file = NULL, *again = NULL;
	PL_AUTOFREE uint8_t *wanted = calloc(1, SIZE);
	uint64_t most;

	free(image);
	image = calloc(1, NODE);
	memcpy(image, "sprs", 4);
	put_be32(image + 4, 3);
	put_be32(image + 8, BAND / 512);
	put_be32(image + 12, 1);
	put_be64(image + 28, SIZE / 512);
	EXPECT_OK(pl_memory_new(image, NODE, "image", &file, &err));
	EXPECT_OK(pl_image_open(file, NULL, NULL, NULL, PLATTER_OPEN_WRITE, &disk, &err));
	for (uint32_t i = 0; i < NR_BANDS; i++) {
		uint64_t band = (i * 1777ull) % NR_BANDS, n = PL_MIN(BAND, SIZE - band * BAND);

		memset(wanted + band * BAND, (int)(band % 255 + 1), n);
		EXPECT_OK(pl_write(disk, wanted + band * BAND, n, band * BAND, &err));
	}
	EXPECT_OK(pl_flush(disk, &err));
	expect_equal(disk, wanted, SIZE);
	EXPECT_OK(pl_image_open(file, NULL, NULL, NULL, 0, &again, &err));
	expect_equal(again, wanted, SIZE);
	expect_findings(again, 0, 0);
	pl_disk_unref(PL_STEAL(again));
	most = file->size;

	for (uint32_t i = 0; i < NR_BANDS; i++)
		if (i % 7) {
			memset(wanted + i * BAND, 0, PL_MIN(BAND, SIZE - i * BAND));
			EXPECT_OK(pl_discard(disk, (uint64_t)i * BAND,
					     PL_MIN(BAND, SIZE - i * BAND), &err));
		}
	EXPECT_OK(pl_format_of(disk)->change->compact(disk, &err));
	EXPECT(file->size < most / 6);
	expect_equal(disk, wanted, SIZE);
	expect_findings(disk, 0, 0);
	EXPECT_OK(pl_image_open(file, NULL, NULL, NULL, 0, &again, &err));
	expect_equal(again, wanted, SIZE);
	expect_findings(again, 0, 0);
	pl_disk_unref(PL_STEAL(again));

	/* And it grows on from there. */
	memset(wanted, 'w', SIZE);
	EXPECT_OK(pl_write(disk, wanted, SIZE, 0, &err));
	EXPECT_OK(pl_flush(disk, &err));
	EXPECT_OK(pl_image_open(file, NULL, NULL, NULL, 0, &again, &err));
	expect_equal(again, wanted, SIZE);
	expect_findings(again, 0, 0);
}

TEST(what_the_writer_makes_reads_as_it_was)
{
	static const size_t sizes[] = { 512, 1 << 20, (5 << 20) + 512, 20000256 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		PL_AUTOFREE uint8_t *raw = make_raw("raw", sizes[i]);

		write_image("w.sparseimage", pl_format_by_name("sparseimage"), raw, sizes[i], NULL,
			    0);
		expect_reads("w.sparseimage", "sparseimage", raw, sizes[i]);
	}
}

/* Data far apart, more than two nodes have slots for, laid out without being written. */
TEST(the_writer_places_bands_around_nodes)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	const struct pl_format *format = pl_format_by_name("sparseimage");
	struct pl_create_request request = { .size = TIB(4) };
	struct pl_writer *w;
	uint64_t at, length, n = 0;

	EXPECT_OK(pl_storage_count(&file, &err));
	request.file = file;
	EXPECT_OK(format->create(&request, &w, &err));
	for (uint64_t offset = 0; n < 2500; offset += MIB(700), n++) {
		EXPECT_OK(w->ops->place(w, offset, 65536, 0, &at, &length, &err));
		EXPECT_EQ(length, 65536);
		EXPECT_EQ(at, n < 1008   ? 4096 + n * MIB(1)
			      : n < 2018 ? 8192 + n * MIB(1)
					 : 12288 + n * MIB(1));
	}
	EXPECT_OK(w->ops->finish(w, &err));
	EXPECT_EQ(file->size, 12288 + n * MIB(1));
	w->ops->free(w);
}

TEST(a_disk_that_ids_cannot_count_is_refused_before_anything_is_written)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_create_request request = { .size = (UINT64_C(1) << 32) * MIB(1) };
	struct pl_writer *w;

	EXPECT_OK(pl_storage_count(&file, &err));
	request.file = file;
	EXPECT_EQ(pl_format_by_name("sparseimage")->create(&request, &w, &err), -EFBIG);
}
