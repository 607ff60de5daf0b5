/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-cso.c - CSO and ZSO: an image in view with one field broken, and what the writers make */
#include "codec.h"
#include "images.h"

/* Three blocks and a half; the index behind the header. */
#define BLOCK 2048
#define NR    4
#define SIZE  (3 * BLOCK + 512)
#define INDEX 24
#define DATA  (INDEX + 4 * (NR + 1))

static uint8_t image[DATA + NR * BLOCK + 100], disc[NR * BLOCK];
static size_t bytes;

/* A stored block, one of text by deflate or LZ4, one of zeros, and the half of one. */
static void
make_image(const char *magic, unsigned version, unsigned shift)
{
	const struct pl_codec *codec = *magic == 'Z' ? &pl_codec_lz4 : &pl_codec_deflate;
	size_t at = DATA;

	memset(image, 0, sizeof image);
	memset(disc, 0, sizeof disc);
	for (size_t i = 0; i < BLOCK; i++) {
		disc[i] = (uint8_t)(i * i >> 3 ^ i * 7919);
		disc[BLOCK + i] = (uint8_t)("to be or not "[i % 13]);
		disc[3 * BLOCK + i % 512] = 'e';
	}
	memcpy(image, magic, 4);
	put_le32(image + 4, 24);
	put_le64(image + 8, SIZE);
	put_le32(image + 16, BLOCK);
	image[20] = (uint8_t)version;
	image[21] = (uint8_t)shift;
	for (int i = 0; i <= NR; i++) {
		const struct pl_codec *c = version == 2 && i == 2 ? &pl_codec_lz4 : codec;
		bool flag = version == 2 ? i == 2 : i == 0;

		at = pl_round_up(at, 1u << shift);
		put_le32(image + INDEX + 4 * i, (uint32_t)(at >> shift) | (flag ? 1u << 31 : 0));
		if (i == 0)
			memcpy(image + at, disc, BLOCK);
		at += i == 0   ? BLOCK
		      : i < NR ? c->encode(c->default_level, disc + i * BLOCK, BLOCK, image + at,
					   BLOCK)
			       : 0;
	}
	bytes = at;
}

static const struct {
	const char *magic, *format;
	unsigned version;
} kinds[] = {
	{ "CISO", "cso", 0 }, { "CISO", "cso", 1 }, { "CISO", "cso", 2 }, { "ZISO", "zso", 1 }
};

TEST(an_image_in_view_reads_as_its_index_says)
{
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (unsigned shift = 0; shift < 5; shift++) {
			PL_AUTOUNREF struct pl_disk *disk = NULL;

			printf("# %s %u, shift %u\n", kinds[k].magic, kinds[k].version, shift);
			make_image(kinds[k].magic, kinds[k].version, shift);
			EXPECT_OK(try_bytes(image, bytes, NULL, &disk));
			EXPECT_STR(pl_format_of(disk)->info.name, kinds[k].format);
			expect_equal(disk, disc, SIZE);
			expect_whole_map(disk);
			expect_findings(disk, 0, 0);
		}
}

TEST(a_broken_header_is_refused_where_it_is_broken)
{
	static const struct {
		size_t at, n;
		uint64_t value;
		int code;
	} fields[] = {
		{ 0, 4, 0x4f534944, -EUCLEAN }, { 8, 8, 1ull << 63, -EFBIG },
		{ 8, 8, MIB(2), -EUCLEAN },     { 8, 8, 1ull << 62, -EUCLEAN },
		{ 16, 4, 0, -EUCLEAN },         { 16, 4, 256, -EUCLEAN },
		{ 16, 4, 3000, -EUCLEAN },      { 16, 4, 1u << 27, -EUCLEAN },
		{ 20, 1, 3, -ENOTSUP },         { 21, 1, 32, -EUCLEAN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint8_t value[8];

		make_image("CISO", 1, 0);
		put_le64(value, fields[i].value);
		memcpy(image + fields[i].at, value, fields[i].n);
		printf("# field at %zu\n", fields[i].at);
		expect_refused(image, bytes, "cso", fields[i].code, fields[i].at);
	}
	make_image("ZISO", 2, 0);
	expect_refused(image, bytes, "zso", -ENOTSUP, 20);
	expect_refused(image, bytes, "cso", -EUCLEAN, 0);
	expect_refused(image, 23, "zso", -EUCLEAN, 0);
}

TEST(others_of_the_name_are_refused_by_theirs)
{
	make_image("CISO", 1, 0);
	put_le32(image + 4, MIB(2));
	memset(image + 8, 1, 16);
	expect_refused(image, bytes, NULL, -ENOTSUP, 4);
	EXPECT(strstr(err.message, "GameCube"));
	memcpy(image, "JISO", 4);
	expect_refused(image, bytes, NULL, -ENOTSUP, 0);
	EXPECT(strstr(err.message, "JSO"));
}

TEST(a_broken_entry_is_refused_where_it_stands)
{
	make_image("CISO", 1, 0);
	put_le32(image + INDEX + 4, (uint32_t)bytes + 1);
	expect_unreadable(image, bytes, "cso", BLOCK, -EUCLEAN, INDEX + 8);
	make_image("CISO", 1, 0);
	put_le32(image + INDEX + 4 * NR, (uint32_t)bytes + 1);
	expect_unreadable(image, bytes, "cso", 3 * BLOCK, -EUCLEAN, INDEX + 4 * 3);
	/* A stored block that is too short. */
	make_image("CISO", 1, 0);
	put_le32(image + INDEX + 4, DATA + BLOCK - 1);
	expect_unreadable(image, bytes, "cso", 0, -EUCLEAN, INDEX);
	/* Damaged data. */
	make_image("CISO", 1, 0);
	memset(image + DATA + BLOCK, 0xff, 8);
	{
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		uint8_t byte;

		EXPECT_OK(try_bytes(image, bytes, "cso", &disk));
		EXPECT_EQ(pl_read(disk, &byte, 1, BLOCK, &err), -EUCLEAN);
	}
}

TEST(check_finds_blocks_outside_of_the_file_and_in_the_index)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOUNREF struct pl_disk *other = NULL;

	make_image("CISO", 1, 0);
	EXPECT_OK(try_bytes(image, bytes - 1, NULL, &disk));
	expect_findings(disk, 1, 0);
	put_le32(image + INDEX, INDEX | 1u << 31);
	EXPECT_OK(try_bytes(image, bytes, NULL, &other));
	expect_findings(other, 1, 0);
}

/* Write the disk the way the copy engine does, each block through encode(). */
static int
write_encoded(const char *name, const char *format, const uint8_t *in, size_t size,
	      const struct platter_key_value *options, size_t nr_options)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	struct pl_storage_create how = { .overwrite = true };
	struct pl_create_request request = {
		.size = size, .sector_size = 512, .options = options, .nr_options = nr_options
	};
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOFREE uint8_t *room = NULL;
	struct pl_writer *w;
	int r;

	EXPECT_OK(pl_storage_create(path, &how, &file, &err));
	request.file = file;
	r = pl_format_by_name(format)->create(&request, &w, &err);
	if (r < 0)
		return r;
	room = malloc(w->encoded_max);
	for (size_t at = 0; at < size; at += w->chunk) {
		size_t n = PL_MIN(size - at, (size_t)w->chunk);
		struct pl_encoded out = { .bytes = room, .capacity = w->encoded_max };
		uint64_t place, length;

		if (pl_is_zero(in + at, n)) {
			EXPECT_OK(w->ops->skip(w, at, n, PLATTER_ZERO, &err));
			continue;
		}
		EXPECT_OK(w->ops->encode(w, at, in + at, n, &out, &err));
		if (w->ops->place_chunk) {
			EXPECT(!out.as_is);
			EXPECT_OK(w->ops->place_chunk(w, at, &out, &place, &err));
		} else {
			EXPECT_OK(w->ops->place(w, at, n, out.as_is ? 0 : out.length, &place,
						&length, &err));
			EXPECT_EQ(length, n);
		}
		EXPECT_OK(pl_write(file, out.as_is ? in + at : room, out.as_is ? n : out.length,
				   place, &err));
	}
	EXPECT_OK(w->ops->finish(w, &err));
	w->ops->free(w);
	EXPECT_OK(pl_storage_commit(file, false, &err));
	return 0;
}

TEST(what_is_written_reads_the_same)
{
	static const struct {
		const char *format;
		struct platter_key_value options[2];
		size_t nr;
	} ways[] = {
		{ "cso", { { 0 } }, 0 },
		{ "cso", { { "version", "2" } }, 1 },
		{ "cso", { { "version", "2" }, { "block_size", "32K" } }, 2 },
		{ "cso", { { "block_size", "128K" } }, 1 },
		{ "zso", { { 0 } }, 0 },
		{ "zso", { { "block_size", "4K" } }, 1 },
	};
	static const size_t sizes[] = { 512, BLOCK, BLOCK + 512, MIB(3) + 5 * 512 };

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
			size_t rounded = (sizes[s] + BLOCK - 1) / BLOCK * BLOCK;
			PL_AUTOFREE uint8_t *in = make_raw("raw", rounded);

			printf("# %s, way %zu, %zu bytes\n", ways[i].format, i, sizes[s]);
			memset(in + sizes[s], 0, rounded - sizes[s]);
			EXPECT_OK(write_encoded("out", ways[i].format, in, sizes[s],
						ways[i].options, ways[i].nr));
			expect_reads("out", ways[i].format, in, rounded);
		}
}

TEST(what_cannot_be_written_is_refused_before)
{
	static const struct platter_key_value bad[] = { { "version", "3" },
							{ "block_size", "1K" },
							{ "block_size", "3000" },
							{ "block_size", "256K" } };
	uint8_t byte = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(write_encoded("out", "cso", &byte, 1, &bad[i], 1), -EINVAL);
	EXPECT_EQ(write_encoded("out", "cso", &byte, TIB(4), NULL, 0), -EFBIG);
	EXPECT_EQ(write_encoded("out", "zso", &byte, SIZE_MAX, NULL, 0), -ENOTSUP);
}

/* Offsets past 2 GiB are shifted, and what they point to is aligned. */
TEST(large_discs_are_written_with_shifted_offsets)
{
	static const struct {
		uint64_t size;
		unsigned shift;
	} discs[] = { { GIB(2) - MIB(16), 0 }, { GIB(2), 1 }, { GIB(8), 3 }, { GIB(1000), 9 } };

	for (size_t i = 0; i < ARRAY_SIZE(discs); i++) {
		struct pl_create_request request = { .size = discs[i].size };
		PL_AUTOUNREF struct pl_disk *file = NULL;
		struct pl_writer *w;
		uint64_t at, length;

		EXPECT_OK(pl_storage_count(&file, &err));
		request.file = file;
		EXPECT_OK(pl_format_by_name("cso")->create(&request, &w, &err));
		EXPECT_OK(w->ops->place(w, 0, BLOCK, 100, &at, &length, &err));
		EXPECT_OK(w->ops->place(w, BLOCK, BLOCK, 100, &at, &length, &err));
		EXPECT_EQ(at & ((1u << discs[i].shift) - 1), 0);
		EXPECT(at > INDEX + discs[i].size / BLOCK * 4);
		if (discs[i].shift)
			EXPECT(at % (1u << discs[i].shift) == 0);
		w->ops->free(w);
	}
}

/* What is aligned to as many bytes as a block has would read as one that is not encoded. */
TEST(zeros_of_huge_discs_read_as_zeros)
{
	static const struct {
		const char *format;
		struct platter_key_value option;
		size_t nr;
	} ways[] = { { "cso", { "version", "1" }, 1 },
		     { "cso", { "version", "2" }, 1 },
		     { "zso", { NULL, NULL }, 0 } };
	uint8_t block[BLOCK], zeros[BLOCK] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		PL_AUTOFREE char *path = pl_format("%s/huge-%zu", pl_test_folder(), i);
		struct pl_storage_create how = { .overwrite = true };
		struct pl_create_request request = { .size = TIB(3),
						     .options = &ways[i].option,
						     .nr_options = ways[i].nr };
		struct pl_open_request open = { 0 };
		PL_AUTOUNREF struct pl_disk *file = NULL, *disk = NULL;
		struct pl_writer *w;

		EXPECT_OK(pl_storage_create(path, &how, &file, &err));
		request.file = file;
		EXPECT_OK(pl_format_by_name(ways[i].format)->create(&request, &w, &err));
		EXPECT_OK(w->ops->skip(w, 0, 100 * BLOCK, PLATTER_ZERO, &err));
		EXPECT_OK(w->ops->finish(w, &err));
		w->ops->free(w);
		open.file = file;
		EXPECT_OK(pl_format_by_name(ways[i].format)->open(&open, &disk, &err));
		for (size_t at = 0; at < 100; at += 33) {
			EXPECT_OK(pl_read(disk, block, BLOCK, at * BLOCK, &err));
			EXPECT_MEM(block, zeros, BLOCK);
		}
		pl_storage_abandon(file, false);
	}
}
