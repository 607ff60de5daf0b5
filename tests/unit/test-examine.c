/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "examine.h"

#define SIZE MIB(20)

static struct platter_error err = PLATTER_ERROR_INIT;
static uint64_t state;

static void
fill_random(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		state ^= state >> 12;
		state ^= state << 25;
		state ^= state >> 27;
		p[i] = (uint8_t)(state * UINT64_C(2685821657736338717) >> 56);
	}
}

/* Bytes of a disk that cannot be read. */
static uint64_t bad_start, bad_end;

struct leaf {
	struct pl_disk disk;
	const uint8_t *bytes;
};

static int
leaf_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	 struct platter_error *e)
{
	(void)disk, (void)offset, (void)e;
	*ret = (struct pl_extent){ .kind = PLATTER_DATA,
				   .length = length,
				   .stored_offset = offset };
	return 0;
}

static int
leaf_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *e)
{
	if (offset < bad_end && bad_start < offset + n)
		return pl_fail(e, -EIO, "bad sector");
	memcpy(buf, pl_container_of(disk, struct leaf, disk)->bytes + offset, n);
	return 0;
}

static void
leaf_free(struct pl_disk *disk)
{
	pl_disk_done(disk);
	free(pl_container_of(disk, struct leaf, disk));
}

static const struct pl_disk_ops leaf_ops = {
	.name = "leaf",
	.map = leaf_map,
	.read = leaf_read,
	.free = leaf_free,
};

static struct platter_examination *
examine(const uint8_t *bytes, size_t n, const struct platter_examine_options *options)
{
	static const struct platter_examine_options defaults;
	struct platter_examination *e = NULL;
	struct leaf *leaf = calloc(1, sizeof *leaf);
	struct pl_place *place = NULL;

	EXPECT_OK(pl_disk_init(&leaf->disk, &leaf_ops, "test", &err));
	leaf->bytes = bytes;
	leaf->disk.size = n;
	EXPECT_OK(pl_place_of_leaf(&leaf->disk, &place, &err));
	EXPECT_OK(pl_examine(place, options ? options : &defaults, NULL, &e, &err));
	pl_place_close(place);
	return e;
}

/* Every byte is in one class and in one region. */
static void
expect_consistent(const struct platter_examination *e)
{
	uint64_t sum = 0, at = 0, in_regions[PLATTER_NR_CLASSES] = { 0 };

	for (int k = 0; k < PLATTER_NR_CLASSES; k++)
		sum += e->bytes[k];
	EXPECT_EQ(sum, e->examined);
	for (size_t i = 0; i < e->nr_regions; i++) {
		EXPECT_EQ(e->regions[i].offset, at);
		at += e->regions[i].length;
		for (int k = 0; k < PLATTER_NR_CLASSES; k++)
			in_regions[k] += e->regions[i].bytes[k];
	}
	EXPECT_EQ(at, e->size);
	for (int k = 0; k < PLATTER_NR_CLASSES; k++)
		EXPECT_EQ(in_regions[k], e->bytes[k]);
}

TEST(zeros_patterns_and_random_bytes_are_told_apart)
{
	PL_AUTOFREE uint8_t *bytes = calloc(SIZE, 1);
	struct platter_examination *e;

	state = 1;
	e = examine(bytes, SIZE, NULL);
	EXPECT_STR(e->verdict_name, "zeros");
	EXPECT(!e->left);
	expect_consistent(e);
	platter_examination_free(e);

	memset(bytes, 0xaa, SIZE);
	e = examine(bytes, SIZE, NULL);
	EXPECT_STR(e->verdict_name, "pattern");
	EXPECT(!e->left);
	EXPECT_EQ(e->nr_patterns, 1);
	EXPECT_EQ(e->patterns[0].bytes[0], 0xaa);
	EXPECT_EQ(e->patterns[0].size, SIZE);
	platter_examination_free(e);

	fill_random(bytes, SIZE);
	e = examine(bytes, SIZE, NULL);
	EXPECT_STR(e->verdict_name, "random");
	EXPECT(!e->left);
	EXPECT(e->even);
	EXPECT_EQ(e->bytes[PLATTER_CLASS_RANDOM], SIZE);
	EXPECT_EQ(e->nr_types, 0);
	EXPECT_EQ(e->nr_structures, 0);
	EXPECT_EQ(e->mail_addresses, 0);
	expect_consistent(e);
	platter_examination_free(e);
}

TEST(one_sector_of_text_among_zeros_is_left)
{
	static const char text[] = "Dear Sir, my address is jane.roe@example.com, please write.\n";
	static const uint64_t places[] = { 0, 512, MIB(1) - 512, MIB(7) + 1536, SIZE - 512 };
	PL_AUTOFREE uint8_t *bytes = calloc(SIZE, 1);

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const struct platter_examine_options options = { .examples = 2 };
		struct platter_examination *e;
		uint64_t region = 0;

		memcpy(bytes + places[i], text, sizeof text);
		e = examine(bytes, SIZE, &options);
		memset(bytes + places[i], 0, sizeof text);
		EXPECT(e->left);
		EXPECT_EQ(e->bytes[PLATTER_CLASS_TEXT], 512);
		EXPECT_EQ(e->mail_addresses, 1);
		EXPECT_EQ(e->nr_examples, 1);
		EXPECT_STR(e->examples[0].text, "j*******@e******.com");
		EXPECT_EQ(e->examples[0].offset, places[i] + 24);
		for (size_t k = 0; k < e->nr_regions; k++)
			if (e->regions[k].main == PLATTER_CLASS_TEXT)
				region = e->regions[k].offset + e->regions[k].length;
		EXPECT(region > places[i]);
		expect_consistent(e);
		platter_examination_free(e);
	}
}

TEST(a_wiped_beginning_makes_a_partly_wiped_disk)
{
	PL_AUTOFREE uint8_t *bytes = calloc(SIZE, 1);
	struct platter_examination *e;

	memcpy(bytes + MIB(9), "%PDF-1.4\n", 9);
	e = examine(bytes, SIZE, NULL);
	EXPECT_STR(e->verdict_name, "partly-wiped");
	EXPECT_EQ(e->nr_types, 1);
	EXPECT_STR(e->types[0].name, "pdf");
	EXPECT_EQ(e->types[0].first, MIB(9));
	EXPECT_EQ(e->remains[PLATTER_REMAINS_DOCUMENTS], 1);
	platter_examination_free(e);
}

TEST(random_bytes_with_a_header_are_encrypted)
{
	PL_AUTOFREE uint8_t *bytes = malloc(SIZE);
	struct platter_examination *e;

	state = 7;
	fill_random(bytes, SIZE);
	memset(bytes, 0, 592);
	memcpy(bytes, "LUKS\xba\xbe\0\1", 8);
	memcpy(bytes + 8, "aes", 3);
	memcpy(bytes + 40, "xts-plain64", 11);
	e = examine(bytes, SIZE, NULL);
	EXPECT_STR(e->verdict_name, "encrypted");
	EXPECT(e->left);
	EXPECT_EQ(e->nr_structures, 1);
	EXPECT(e->structures[0].present);
	platter_examination_free(e);
}

TEST(even_counts_do_not_make_compressed_bytes_random)
{
	PL_AUTOFREE uint8_t *bytes = malloc(SIZE);
	struct platter_examination *e;

	/* One value a little more often than it should be: no block shows it, all together do. */
	state = 9;
	fill_random(bytes, SIZE);
	for (size_t i = 0; i < SIZE; i += 1000)
		bytes[i] = 0x20;
	e = examine(bytes, SIZE, NULL);
	EXPECT_EQ(e->bytes[PLATTER_CLASS_RANDOM], SIZE);
	EXPECT(!e->even);
	EXPECT_STR(e->verdict_name, "contents");
	platter_examination_free(e);
}

TEST(sectors_that_cannot_be_read_are_counted_to_the_sector)
{
	PL_AUTOFREE uint8_t *bytes = calloc(SIZE, 1);
	struct platter_examination *e;

	bad_start = MIB(3) + 512 * 5;
	bad_end = bad_start + 512 * 3;
	e = examine(bytes, SIZE, NULL);
	bad_start = bad_end = 0;
	EXPECT_EQ(e->bytes[PLATTER_CLASS_UNREADABLE], 512 * 3);
	EXPECT_EQ(e->bytes[PLATTER_CLASS_ZERO], SIZE - 512 * 3);
	EXPECT(!e->left);
	expect_consistent(e);
	platter_examination_free(e);
}

TEST(a_seed_gives_the_same_sample_again)
{
	const struct platter_examine_options options = { .sample = MIB(2), .seed = 42 };
	PL_AUTOFREE uint8_t *bytes = malloc(SIZE);
	struct platter_examination *a, *b;

	state = 5;
	for (size_t at = 0; at < SIZE; at += KIB(64))
		memset(bytes + at, (int)(at / KIB(64) % 251), KIB(64));
	a = examine(bytes, SIZE, &options);
	b = examine(bytes, SIZE, &options);
	EXPECT_EQ(a->samples, 32);
	EXPECT_EQ(a->seed, 42);
	EXPECT(a->examined >= MIB(3) && a->examined <= MIB(5));
	EXPECT_EQ(a->nr_patterns, b->nr_patterns);
	EXPECT_MEM(a->bytes, b->bytes, sizeof a->bytes);
	/* (1 - x)^32 = 0.01 */
	EXPECT(a->missed > 0.1339 && a->missed < 0.1342);
	expect_consistent(a);
	platter_examination_free(a);
	platter_examination_free(b);
}

/* How often a sample misses data on a share of the disk is what it says, or less. */
TEST(a_sample_misses_no_more_than_it_says)
{
	PL_AUTOFREE uint8_t *bytes = calloc(SIZE, 1);
	int missed = 0;

	/* An eighth of the disk, at random places of 256 KiB. */
	state = 3;
	for (int i = 0; i < 10; i++) {
		uint8_t place[1];

		fill_random(place, 1);
		memset(bytes + MIB(1) + (place[0] % 72) * KIB(256), 'x', KIB(256));
		bytes[MIB(1) + (place[0] % 72) * KIB(256) + 17] = 0;
	}
	for (uint64_t seed = 1; seed <= 60; seed++) {
		const struct platter_examine_options options = { .sample = MIB(2), .seed = seed };
		struct platter_examination *e = examine(bytes, SIZE, &options);

		missed += !e->bytes[PLATTER_CLASS_PATTERN];
		platter_examination_free(e);
	}
	EXPECT(missed <= 3);
}

TEST(an_empty_disk_has_nothing_left)
{
	struct platter_examination *e = examine((const uint8_t *)"", 0, NULL);

	EXPECT(!e->left);
	EXPECT_EQ(e->examined, 0);
	platter_examination_free(e);
}
