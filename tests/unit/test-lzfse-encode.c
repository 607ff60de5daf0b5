/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-lzfse-encode.c - LZVN and LZFSE: what is encoded, at every limit of the formats */
#include "codec-inputs.h"

static struct platter_error err = PLATTER_ERROR_INIT;

static const struct pl_codec *const codecs[] = { &pl_codec_lzvn, &pl_codec_lzfse };

/* Encodes in just the room that bound() says, decodes, compares; returns the encoded length. */
static size_t
expect_same(const struct pl_codec *codec, int level, const uint8_t *in, size_t n)
{
	size_t capacity = codec->bound(n), length;
	PL_AUTOFREE uint8_t *packed = malloc(capacity), *out = malloc(n ? n : 1);
	/* Exactly as long as it is, so that reading past it is seen. */
	PL_AUTOFREE uint8_t *copy = malloc(n ? n : 1);

	if (n)
		memcpy(copy, in, n);
	length = codec->encode(level, copy, n, packed, capacity);
	EXPECT(length > 0 && length <= capacity);
	EXPECT_OK(decoder_guarded(codec->decoder, packed, length, out, n, &err));
	EXPECT_MEM(out, in, n);
	/* One byte less is not enough. */
	EXPECT_EQ(codec->encode(level, copy, n, packed, length - 1), 0);
	return length;
}

static void
expect_same_in_all(const uint8_t *in, size_t n)
{
	for (size_t k = 0; k < ARRAY_SIZE(codecs); k++)
		expect_same(codecs[k], codecs[k]->default_level, in, n);
}

TEST(every_short_input_comes_back)
{
	for (enum content content = 0; content < NR_CONTENTS; content++)
		for (size_t n = 0; n < 700; n++) {
			PL_AUTOFREE uint8_t *in = make_content(content, n);

			expect_same_in_all(in, n);
		}
}

TEST(patterns_of_every_period_come_back)
{
	PL_AUTOFREE uint8_t *in = malloc(6000);

	for (size_t period = 1; period < 600; period++) {
		PL_AUTOFREE uint8_t *pattern = make_content(RANDOM, period);

		for (size_t i = 0; i < 6000; i++)
			in[i] = pattern[i % period];
		for (size_t k = 0; k < ARRAY_SIZE(codecs); k++)
			EXPECT(expect_same(codecs[k], 3, in, 6000) < period + 1000);
	}
}

/* Literals, matched bytes and distances at the ends of what one instruction or symbol can say. */
TEST(runs_of_every_length_come_back)
{
	static const size_t literals[] = { 0,   1,   2,   3,   4,   15,  16,  17,  19,
					   20,  27,  28,  59,  60,  61,  270, 271, 272,
					   274, 275, 314, 315, 316, 542, 543, 630, 631 };
	static const size_t lengths[] = { 3,   4,   5,   6,   7,   8,    9,    10,   11,   12,
					  15,  16,  17,  18,  19,  20,   23,   24,   25,   26,
					  27,  33,  34,  35,  55,  56,   57,   280,  281,  282,
					  311, 312, 313, 550, 553, 2358, 2359, 2360, 4718, 4719 };
	static const size_t distances[] = { 8000,  0x5ff, 0x600, 0x601,  0x3fff, 0x4000, 0x4001,
					    65534, 65535, 65536, 262138, 262139, 262140 };
	PL_AUTOFREE uint8_t *noise = make_content(RANDOM, KIB(300)), *in = malloc(KIB(300));

	for (size_t i = 0; i < ARRAY_SIZE(distances); i++)
		for (size_t k = 0; k < ARRAY_SIZE(literals); k++) {
			size_t distance = distances[i], n = distance;
			size_t length =
				lengths[(i * ARRAY_SIZE(literals) + k) % ARRAY_SIZE(lengths)];

			length = PL_MIN(length, distance - 700);
			memcpy(in, noise, n + literals[k]);
			n += literals[k];
			memcpy(in + n, in + n - distance, length);
			n += length;
			/* The same distance again, behind one other byte. */
			in[n] = (uint8_t)~in[n - distance];
			n++;
			memcpy(in + n, in + n - distance, 40);
			n += 40;
			memcpy(in + n, noise + KIB(299), 20);
			expect_same_in_all(in, n + 20);
		}
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		memset(in, 'z', lengths[i] + 1);
		memcpy(in + lengths[i] + 1, noise, 5000);
		expect_same_in_all(in, lengths[i] + 5001);
	}
}

/* How often an encoder's output has blocks of each kind. */
static void
count_blocks(const uint8_t *in, size_t n, unsigned count[static 128])
{
	size_t at = 0;

	memset(count, 0, 128 * sizeof *count);
	while (at < n) {
		uint64_t v0, v1;

		EXPECT(n - at >= 4 && !memcmp(in + at, "bvx", 3));
		count[in[at + 3]]++;
		switch (in[at + 3]) {
		case '-': at += 8 + get_le32(in + at + 4); break;
		case 'n': at += 12 + get_le32(in + at + 8); break;
		case '2':
			v0 = get_le64(in + at + 8);
			v1 = get_le64(in + at + 16);
			EXPECT((v0 & 0xfffff) % 4 == 0 && (v0 & 0xfffff) <= 40000);
			EXPECT((v0 >> 40 & 0xfffff) <= 10000);
			at += get_le32(in + at + 24) + (v0 >> 20 & 0xfffff) + (v1 >> 40 & 0xfffff);
			break;
		default: at += 4;
		}
	}
	EXPECT_EQ(at, n);
	EXPECT_EQ(count['$'], 1);
}

TEST(lzfse_has_blocks_of_every_kind)
{
	PL_AUTOFREE uint8_t *text = make_content(TEXT, MIB(1)),
			    *noise = make_content(RANDOM, MIB(1));
	PL_AUTOFREE uint8_t *packed = malloc(MIB(2));
	unsigned count[128];

	count_blocks(packed, pl_codec_lzfse.encode(3, text, 4095, packed, MIB(2)), count);
	EXPECT_EQ(count['n'], 1);
	count_blocks(packed, pl_codec_lzfse.encode(3, noise, 4095, packed, MIB(2)), count);
	EXPECT_EQ(count['-'], 1);
	count_blocks(packed, pl_codec_lzfse.encode(3, text, 4096, packed, MIB(2)), count);
	EXPECT_EQ(count['2'], 1);
	count_blocks(packed, pl_codec_lzfse.encode(3, text, 0, packed, MIB(2)), count);
	EXPECT_EQ(count['-'] + count['n'] + count['2'], 0);
	/* A block is full when it has 40,000 literals or 10,000 matches. */
	count_blocks(packed, pl_codec_lzfse.encode(3, noise, MIB(1), packed, MIB(2)), count);
	EXPECT(count['-'] == 1 && count['2'] == 0);
	count_blocks(packed, pl_codec_lzfse.encode(3, text, MIB(1), packed, MIB(2)), count);
	EXPECT(count['2'] > 5 && count['-'] == 0);
	expect_same(&pl_codec_lzfse, 3, text, MIB(1));
	/* Matches that reach back over blocks that are hardly shorter. */
	memcpy(text + KIB(200), noise, KIB(200));
	memcpy(text + KIB(430), noise + KIB(30), KIB(100));
	count_blocks(packed, pl_codec_lzfse.encode(3, text, KIB(600), packed, MIB(2)), count);
	EXPECT(count['2'] > 5 && count['-'] == 0);
	expect_same_in_all(text, KIB(600));
}

TEST(inputs_around_the_limits_of_a_block_come_back)
{
	static const size_t limits[] = { 4096, 40000, 80000 };
	PL_AUTOFREE uint8_t *in = make_content(RANDOM, KIB(128));

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		for (size_t n = limits[i] - 6; n < limits[i] + 6; n++)
			expect_same(&pl_codec_lzfse, 3, in, n);
	/* Half of each byte: blocks without matches that are packed all the same. */
	for (size_t i = 0; i < KIB(128); i++)
		in[i] &= 15;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		for (size_t n = limits[i] - 6; n < limits[i] + 6; n++)
			EXPECT(expect_same(&pl_codec_lzfse, 1, in, n) < n);
	/* 4 bytes from here and there: many matches. */
	for (size_t at = KIB(1); at + 4 < KIB(128); at += 4)
		memcpy(in + at, in + at * 31 % KIB(1), 4);
	for (size_t n = 39990; n < 40100; n++)
		EXPECT(expect_same(&pl_codec_lzfse, 3, in, n) < n);
}

TEST(lzvn_uses_all_instructions)
{
	PL_AUTOFREE uint8_t *in = make_content(RANDOM, KIB(64)), *packed = malloc(KIB(80));
	size_t n = KIB(40), length, at = 0;
	bool seen[7] = { false };
	static const struct {
		size_t literals, length, distance;
	} steps[] = {
		{ 2, 5, 100 },     { 1, 30, 0x2000 }, { 2, 60, 0x6000 }, { 3, 9, 0x6000 },
		{ 20, 300, 0x90 }, { 5, 4, 0x5ff },   { 0, 400, 7 },     { 1, 9, 7 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		n += steps[i].literals;
		for (size_t k = 0; k < steps[i].length; k++, n++)
			in[n] = in[n - steps[i].distance];
		in[n] = (uint8_t)~in[n - steps[i].distance];
		n++;
	}
	expect_same(&pl_codec_lzvn, 9, in, n);
	length = pl_codec_lzvn.encode(9, in, n, packed, KIB(80));
	while (at < length && packed[at] != 6) {
		uint8_t op = packed[at];

		if (op >= 0xf0) {
			seen[0] = true;
			at += 1 + !(op & 15);
		} else if (op >= 0xe0) {
			seen[1] = true;
			at += op & 15 ? 1u + (op & 15) : 2u + packed[at + 1] + 16u;
		} else if (op >> 5 == 5) {
			seen[2] = true;
			at += 3u + (op >> 3 & 3);
		} else {
			seen[(op & 7) == 6 ? 3 : (op & 7) == 7 ? 4 : 5] = true;
			at += ((op & 7) == 6 ? 1u : (op & 7) == 7 ? 3u : 2u) + (op >> 6);
		}
	}
	EXPECT_EQ(at, length - 8);
	seen[6] = !memcmp(packed + at, "\6\0\0\0\0\0\0\0", 8);
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
		EXPECT_EQ(seen[i] ? -1 : (int)i, -1);
}

TEST(higher_levels_pack_tighter)
{
	PL_AUTOFREE uint8_t *in = make_content(TEXT, KIB(256));

	for (size_t i = 0; i < KIB(256); i += 37)
		in[i] = (uint8_t)(in[i] + i / 977);
	for (size_t k = 0; k < ARRAY_SIZE(codecs); k++) {
		size_t fast = expect_same(codecs[k], codecs[k]->min_level, in, KIB(256));
		size_t usual = expect_same(codecs[k], codecs[k]->default_level, in, KIB(256));
		size_t best = expect_same(codecs[k], codecs[k]->max_level, in, KIB(256));

		EXPECT(best < usual && usual < fast && fast < KIB(256));
	}
}
