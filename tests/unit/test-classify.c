/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "classify.h"

#define SIZE KIB(256)

static uint64_t state = 0x9e3779b97f4a7c15;

static uint8_t *
make_random(size_t n)
{
	uint8_t *bytes = malloc(n);

	/* xorshift64*: its high bytes pass every test of randomness that matters here. */
	for (size_t i = 0; i < n; i++) {
		state ^= state >> 12;
		state ^= state << 25;
		state ^= state >> 27;
		bytes[i] = (uint8_t)(state * UINT64_C(2685821657736338717) >> 56);
	}
	return bytes;
}

/* The classes of n bytes: so many bytes of each. */
static void
count(const uint8_t *bytes, size_t n, uint64_t ret[PLATTER_NR_CLASSES])
{
	PL_AUTOFREE struct pl_class_run *runs = calloc(pl_class_runs(n), sizeof *runs);
	uint64_t histogram[256] = { 0 };
	uint32_t at = 0;
	size_t nr = pl_classify(bytes, n, runs, histogram);

	memset(ret, 0, PLATTER_NR_CLASSES * sizeof *ret);
	EXPECT(nr <= pl_class_runs(n));
	for (size_t i = 0; i < nr; i++) {
		EXPECT_EQ(runs[i].start, at);
		EXPECT(runs[i].length > 0);
		at += runs[i].length;
		ret[runs[i].kind] += runs[i].length;
	}
	EXPECT_EQ(at, n);
}

static void
expect_all(const uint8_t *bytes, size_t n, enum platter_class kind)
{
	uint64_t counts[PLATTER_NR_CLASSES];

	count(bytes, n, counts);
	EXPECT_EQ(counts[kind], n);
}

TEST(zeros_are_zero_at_any_length)
{
	static const size_t sizes[] = { 1, 511, 512, 513, 4096, 5000, SIZE };
	PL_AUTOFREE uint8_t *bytes = calloc(SIZE, 1);

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		expect_all(bytes, sizes[i], PLATTER_CLASS_ZERO);
}

TEST(patterns_of_every_length_are_one_run_and_named)
{
	PL_AUTOFREE uint8_t *bytes = malloc(SIZE);
	PL_AUTOFREE struct pl_class_run *runs = calloc(pl_class_runs(SIZE), sizeof *runs);
	uint64_t histogram[256];

	for (unsigned period = 1; period <= PLATTER_MAX_PATTERN; period++) {
		for (size_t i = 0; i < SIZE; i++)
			bytes[i] = (uint8_t)(0x11 + i % period);
		EXPECT_EQ(pl_classify(bytes, SIZE, runs, histogram), 1);
		EXPECT_EQ(runs[0].kind, PLATTER_CLASS_PATTERN);
		EXPECT_EQ(runs[0].period, period);
		for (unsigned i = 0; i < period; i++)
			EXPECT_EQ(runs[0].pattern[i], 0x11 + i);
		/* Cut anywhere it is the same. */
		EXPECT_EQ(pl_classify(bytes + 5, KIB(8), runs, histogram), 1);
		EXPECT_EQ(runs[0].pattern[0], 0x11);
	}
}

TEST(a_pattern_with_one_other_byte_is_none)
{
	PL_AUTOFREE uint8_t *bytes = malloc(KIB(4));
	uint64_t counts[PLATTER_NR_CLASSES];

	memset(bytes, 0xff, KIB(4));
	bytes[700] = 0;
	count(bytes, KIB(4), counts);
	EXPECT_EQ(counts[PLATTER_CLASS_PATTERN], KIB(4) - 512);
	EXPECT_EQ(counts[PLATTER_CLASS_OTHER], 512);
}

TEST(random_bytes_are_random_in_blocks_and_in_sectors)
{
	PL_AUTOFREE uint8_t *bytes = make_random(MIB(8));

	expect_all(bytes, MIB(8), PLATTER_CLASS_RANDOM);
	for (size_t at = 0; at < MIB(2); at += 512)
		expect_all(bytes + at, 512, PLATTER_CLASS_RANDOM);
}

TEST(even_bytes_that_follow_a_rule_are_not_random)
{
	PL_AUTOFREE uint8_t *bytes = malloc(SIZE);

	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)i;
	expect_all(bytes, SIZE, PLATTER_CLASS_OTHER);
	for (size_t i = 0; i < SIZE; i += 4)
		put_le32(bytes + i, (uint32_t)(i * 2654435761u));
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] &= 0x7f;
	expect_all(bytes, SIZE, PLATTER_CLASS_OTHER);
}

TEST(a_sector_among_others_is_found)
{
	PL_AUTOFREE uint8_t *bytes = calloc(SIZE, 1);
	PL_AUTOFREE uint8_t *noise = make_random(512);
	uint64_t counts[PLATTER_NR_CLASSES];

	memcpy(bytes + 512 * 77, noise, 512);
	count(bytes, SIZE, counts);
	EXPECT_EQ(counts[PLATTER_CLASS_RANDOM], 512);
	EXPECT_EQ(counts[PLATTER_CLASS_ZERO], SIZE - 512);
}

TEST(text_is_text_in_ascii_utf8_and_utf16)
{
	static const char *const lines[] = {
		"The quick brown fox jumps over the lazy dog.\r\n",
		"Gr\xc3\xb6\xc3\x9f-und \xe2\x82\xac 5, na\xc3\xafve caf\xc3\xa9.\n",
		"\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, \xd0\xbc\xd0\xb8\xd1\x80\n",
	};
	PL_AUTOFREE uint8_t *bytes = malloc(SIZE);

	for (size_t l = 0; l < ARRAY_SIZE(lines); l++) {
		size_t n = strlen(lines[l]);

		for (size_t i = 0; i < SIZE; i++)
			bytes[i] = (uint8_t)lines[l][i % n];
		expect_all(bytes, SIZE - SIZE % n, PLATTER_CLASS_TEXT);
	}
	for (size_t i = 0; i < SIZE; i += 2) {
		bytes[i] = (uint8_t)lines[0][i / 2 % strlen(lines[0])];
		bytes[i + 1] = 0;
	}
	expect_all(bytes, SIZE, PLATTER_CLASS_TEXT);
	/* The end of a file, and the slack behind it. */
	memset(bytes, 0, 512);
	memcpy(bytes, lines[0], strlen(lines[0]));
	expect_all(bytes, 512, PLATTER_CLASS_TEXT);
	bytes[300] = 1;
	expect_all(bytes, 512, PLATTER_CLASS_OTHER);
}

TEST(chi_square_of_random_bytes_is_near_its_mean)
{
	PL_AUTOFREE uint8_t *bytes = make_random(MIB(8));
	PL_AUTOFREE struct pl_class_run *runs = calloc(pl_class_runs(MIB(8)), sizeof *runs);
	uint64_t histogram[256] = { 0 };
	double chi;

	pl_classify(bytes, MIB(8), runs, histogram);
	chi = pl_chi_square(histogram, MIB(8));
	EXPECT(chi > 150 && chi < 391);
	/* A thousandth more of one value shows in so many. */
	histogram[7] += MIB(8) / 1000;
	EXPECT(pl_chi_square(histogram, MIB(8) + MIB(8) / 1000) > 391);
	EXPECT(pl_chi_square(histogram, 0) == 0);
}
