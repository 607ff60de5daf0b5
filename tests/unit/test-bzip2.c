/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-bzip2.c - bzip2 streams of libbz2: every shape, every field broken, and damage */
#include <bzlib.h>

#include "codec-inputs.h"

static struct platter_error err = PLATTER_ERROR_INIT;

static int
decode(const uint8_t *in, size_t in_size, uint8_t *out, size_t n)
{
	return decoder_guarded(pl_codec_bzip2.decoder, in, in_size, out, n, &err);
}

static size_t
pack(int level, const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	unsigned length = (unsigned)room;

	EXPECT_EQ(BZ2_bzBuffToBuffCompress((char *)out, &length, (char *)(uintptr_t)in, (unsigned)n,
					   level, 0, 0),
		  BZ_OK);
	return length;
}

static void
expect_same(int level, const uint8_t *in, size_t n)
{
	size_t room = n + n / 100 + 600, length;
	PL_AUTOFREE uint8_t *packed = malloc(room), *out = malloc(n + 1);

	length = pack(level, in, n, packed, room);
	EXPECT_OK(decode(packed, length, out, n));
	EXPECT_MEM(out, in, n);
	EXPECT_EQ(decode(packed, length, NULL, n + 1), -EUCLEAN);
	if (n)
		EXPECT_EQ(decode(packed, length, NULL, n - 1), -EUCLEAN);
}

TEST(every_short_input_comes_back)
{
	for (enum content content = 0; content < NR_CONTENTS; content++)
		for (size_t n = 0; n < 300; n++) {
			PL_AUTOFREE uint8_t *in = make_content(content, n);

			expect_same(1, in, n);
		}
}

/* Rotations of what repeats itself are alike, so that the text goes round in a short circle. */
TEST(patterns_of_every_period_come_back)
{
	PL_AUTOFREE uint8_t *in = malloc(5000);

	for (size_t period = 1; period < 300; period++) {
		PL_AUTOFREE uint8_t *pattern = make_content(RANDOM, period);

		for (size_t i = 0; i < 5000; i++)
			in[i] = pattern[i % period];
		expect_same(1, in, 5000);
		expect_same(1, in, 4096 / period * period);
	}
}

TEST(runs_of_every_length_come_back)
{
	PL_AUTOFREE uint8_t *in = malloc(MIB(1));
	size_t n = 0;

	for (size_t i = 0; i < 800; i++) {
		memset(in + n, (int)(i * 7), i);
		n += i;
		/* Without a byte between them sometimes. */
		if (i % 3)
			in[n++] = (uint8_t)i;
	}
	expect_same(1, in, n);
	expect_same(9, in, n);
	for (size_t i = 1; i < 1100; i++) {
		memset(in, 'x', i);
		expect_same(1, in, i);
	}
}

TEST(several_blocks_of_every_size_come_back)
{
	for (enum content content = 0; content < NR_CONTENTS; content++) {
		PL_AUTOFREE uint8_t *in = make_content(content, MIB(1));

		for (int level = 1; level <= 9; level += 4)
			expect_same(level, in, MIB(1));
		for (size_t n = 99970; n < 100010; n += 3)
			expect_same(1, in, n);
	}
}

TEST(streams_follow_each_other)
{
	PL_AUTOFREE uint8_t *in = make_content(TEXT, KIB(100)), *out = malloc(KIB(100));
	uint8_t packed[KIB(64)];
	size_t n = pack(9, (const uint8_t *)"", 0, packed, sizeof packed);

	EXPECT_EQ(n, 14);
	EXPECT_OK(decode(packed, n, NULL, 0));
	n += pack(1, in, 1000, packed + n, sizeof packed - n);
	n += pack(1, (const uint8_t *)"", 0, packed + n, sizeof packed - n);
	n += pack(9, in + 1000, KIB(99), packed + n, sizeof packed - n);
	EXPECT_OK(decode(packed, n, out, 1000 + KIB(99)));
	EXPECT_MEM(out, in, 1000 + KIB(99));
	EXPECT_OK(decode(packed, n, out, 1000));
	EXPECT_EQ(decode(packed, n, NULL, 1001), -EUCLEAN);
	EXPECT_EQ(decode(packed, n, NULL, KIB(100) + 1), -EUCLEAN);
	EXPECT_STR(err.message, "bzip2 data holds 102376 bytes, expected 102401");
	memset(packed + n, 0xa5, 100);
	EXPECT_OK(decode(packed, n + 100, out, 1000 + KIB(99)));
	EXPECT_EQ(decode(packed, n + 100, NULL, KIB(100)), -EUCLEAN);
	EXPECT_STR(err.message, "no bzip2 stream after 102376 of 102400 bytes");
}

static void
put_bits(uint8_t *p, size_t at, unsigned nr, uint32_t value)
{
	for (unsigned i = 0; i < nr; i++) {
		uint8_t bit = (uint8_t)(0x80 >> (at + i) % 8);

		p[(at + i) / 8] &= (uint8_t)~bit;
		if (value >> (nr - 1 - i) & 1)
			p[(at + i) / 8] |= bit;
	}
}

static uint32_t
get_bits(const uint8_t *p, size_t at, unsigned nr)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < nr; i++)
		v = v << 1 | (p[(at + i) / 8] >> (7 - (at + i) % 8) & 1);
	return v;
}

/*
 * bzip2 turned the lowest bits of some bytes over before it sorted a block that it found too
 * regular: the first of them is at 617.
 */
TEST(randomised_blocks_of_old_are_decoded)
{
	PL_AUTOFREE uint8_t *in = make_content(TEXT, 700);
	uint8_t packed[2048], right[2048], out[1000];
	size_t n, n2, at;

	pack(1, in, 700, right, sizeof right);
	in[617] ^= 1;
	n = pack(1, in, 700, packed, sizeof packed);
	in[617] ^= 1;
	put_bits(packed, 112, 1, 1);
	EXPECT_EQ(decode(packed, n, NULL, 700), -EUCLEAN);
	EXPECT_STR(err.message, "damaged bzip2 data: a randomised block is not right");
	/* The checksum of the only block is that of all too, in front of up to 7 bits. */
	for (at = 8 * n - 32; get_bits(packed, at, 32) != get_be32(packed + 10); at--)
		EXPECT(at > 8 * n - 39);
	put_bits(packed, at, 32, get_be32(right + 10));
	memcpy(packed + 10, right + 10, 4);
	EXPECT_OK(decode(packed, n, out, 700));
	EXPECT_MEM(out, in, 700);
	EXPECT_EQ(decode(packed, n, NULL, 699), -EUCLEAN);
	n2 = pack(1, in, 300, packed + n, sizeof packed - n);
	EXPECT_OK(decode(packed, n + n2, out, 1000));
	EXPECT_MEM(out + 700, in, 300);
}

static const struct {
	const char *what;
	unsigned bit, nr; /* from the beginning */
	uint32_t value;
	const char *why;
} broken[] = {
	{ "magic", 16, 8, 'g', "no bzip2 stream after 0 of 700 bytes" },
	{ "level", 24, 8, '0', "no bzip2 stream after 0 of 700 bytes" },
	{ "block", 32, 8, 0x30, "damaged bzip2 data: neither a block nor the end" },
	{ "CRC", 80, 8, 0, "damaged bzip2 data: the checksum of a block is wrong" },
	{ "start", 113, 24, 700, "damaged bzip2 data: the text is not among its rotations" },
	{ "start", 113, 24, 0xffffff, "damaged bzip2 data: the text is not among its rotations" },
	{ "bytes", 137, 16, 0, "damaged bzip2 data: a block without bytes" },
};

TEST(a_broken_field_is_named)
{
	PL_AUTOFREE uint8_t *in = make_content(TEXT, 700);
	uint8_t packed[2048];

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		size_t n = pack(1, in, 700, packed, sizeof packed);

		put_bits(packed, broken[i].bit, broken[i].nr, broken[i].value);
		EXPECT_EQ(decode(packed, n, NULL, 700), -EUCLEAN);
		EXPECT_STR(err.message, broken[i].why);
	}
}

/* Behind the bytes that occur, whose number is in the 16 + 16 * k bits from bit 137 on. */
TEST(tables_and_selectors_must_be_right)
{
	PL_AUTOFREE uint8_t *in = make_content(TEXT, 700);
	uint8_t packed[2048];
	size_t n = pack(1, in, 700, packed, sizeof packed);
	unsigned sixteenths = (unsigned)get_be16(packed + 17) << 1 & 0xffff, at;
	static const struct {
		unsigned bit, nr;
		uint32_t value;
		const char *why;
	} rows[] = {
		{ 0, 3, 0, "the number of tables or selectors is not right" },
		{ 0, 3, 1, "the number of tables or selectors is not right" },
		{ 0, 3, 7, "the number of tables or selectors is not right" },
		{ 3, 15, 0, "the number of tables or selectors is not right" },
		{ 18, 6, 63, "a selector names no table" },
	};

	at = 137 + 16 + 16 * (unsigned)__builtin_popcount(sixteenths | packed[19] >> 7);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		pack(1, in, 700, packed, sizeof packed);
		put_bits(packed, at + rows[i].bit, rows[i].nr, rows[i].value);
		EXPECT_EQ(decode(packed, n, NULL, 700), -EUCLEAN);
		EXPECT(strstr(err.message, rows[i].why));
	}
}

TEST(damaged_streams_stay_in_their_buffers)
{
	PL_AUTOFREE uint8_t *in = make_content(TEXT, 5000), *out = malloc(5000);
	uint8_t packed[4096], damaged[4096];
	size_t n = pack(1, in, 5000, packed, sizeof packed);

	for (size_t cut = 0; cut < n; cut++)
		EXPECT_EQ(decode(packed, cut, NULL, 5000), -EUCLEAN);
	/* Checksums find all that matters. */
	for (size_t bit = 0; bit < 8 * n; bit++) {
		memcpy(damaged, packed, n);
		damaged[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		if (decode(damaged, n, out, 5000) == 0)
			EXPECT_MEM(out, in, 5000);
	}
	for (size_t at = 4; at + 4 < n; at++) {
		memcpy(damaged, packed, n);
		memset(damaged + at, 0xff, 4);
		EXPECT_EQ(decode(damaged, n, NULL, 5000), -EUCLEAN);
		memset(damaged + at, 0, 4);
		decode(damaged, n, NULL, 5000);
	}
}
