/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-adc.c - every instruction of ADC, its limits, and damage */
#include "codec-inputs.h"

static struct platter_error err = PLATTER_ERROR_INIT;

static int
decode(const uint8_t *in, size_t in_size, uint8_t *out, size_t n)
{
	return decoder_guarded(&pl_decoder_adc, in, in_size, out, n, &err);
}

/* As short literals as there are, and matches of every kind. */
static const uint8_t mixed[] = {
	0x82, 'a', 'b', 'c', /* 3 literals */
	0x00, 2,             /* 3 bytes from 3 back */
	0x3c, 0,             /* 18 bytes from 1 back */
	0x81, 'd', 'e',      /* 2 literals */
	0x40, 0,   24,       /* 4 bytes from 25 back */
	0x7f, 0,   5,        /* 67 bytes from 6 back */
};
static const char mixed_decoded[] = "abcabc"
				    "cccccccccccccccccc"
				    "debcab"
				    "debcabdebcabdebcabdebcabdebcab"
				    "debcabdebcabdebcabdebcabdebcabdebcab"
				    "d";

TEST(every_instruction_of_adc_is_understood)
{
	uint8_t out[sizeof mixed_decoded - 1];

	EXPECT_OK(decode(mixed, sizeof mixed, out, sizeof out));
	EXPECT_MEM(out, mixed_decoded, sizeof out);
}

TEST(the_largest_distances_and_lengths_of_adc)
{
	PL_AUTOFREE uint8_t *data = make_content(RANDOM, KIB(64) + 67 + 18);
	PL_AUTOFREE uint8_t *in = malloc(KIB(70)), *out = malloc(KIB(64) + 67 + 18);
	size_t n = 0;

	for (size_t i = 0; i < KIB(64); i += 128) {
		in[n++] = 0xff;
		memcpy(in + n, data + i, 128);
		n += 128;
	}
	/* From 65536 back; then 18 bytes from 1024 back. */
	memcpy(in + n, (const uint8_t[]){ 0x7f, 0xff, 0xff, 0x3f, 0xff }, 5);
	n += 5;
	memcpy(data + KIB(64), data, 67);
	memcpy(data + KIB(64) + 67, data + KIB(63) + 67, 18);
	EXPECT_OK(decode(in, n, out, KIB(64) + 67 + 18));
	EXPECT_MEM(out, data, KIB(64) + 67 + 18);
}

TEST(nothing_is_decoded_from_nothing)
{
	EXPECT_OK(decode(NULL, 0, NULL, 0));
	EXPECT_EQ(decode(NULL, 0, NULL, 1), -EUCLEAN);
	EXPECT_STR(err.message, "ADC data holds 0 bytes, expected 1");
}

TEST(adc_that_is_not_valid_is_refused)
{
	static const struct {
		const char *why;
		size_t n, expected;
		uint8_t in[4];
	} rows[] = {
		{ "ADC match 1 bytes back after 0 bytes", 2, 8, { 0x00, 0 } },
		{ "ADC match 2 bytes back after 1 bytes", 4, 8, { 0x80, 'a', 0x00, 1 } },
		{ "ADC match 65536 bytes back after 0 bytes", 3, 8, { 0x40, 0xff, 0xff } },
		{ "ADC data of 1 bytes ends within an instruction", 1, 8, { 0x00 } },
		{ "ADC data of 2 bytes ends within an instruction", 2, 8, { 0x40, 0 } },
		{ "ADC data of 3 bytes ends within literals", 3, 8, { 0x82, 'a', 'b' } },
		{ "ADC data holds more than the expected 2 bytes", 4, 2, { 0x82, 1, 2, 3 } },
		{ "ADC data holds more than the expected 1 bytes", 4, 1, { 0x80, 'a', 0, 0 } },
		{ "ADC data holds 1 bytes, expected 2", 2, 2, { 0x80, 'a' } },
		{ "ADC data holds more than the expected 1 bytes", 4, 1, { 0x80, 1, 0x80, 2 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		EXPECT_EQ(decode(rows[i].in, rows[i].n, NULL, rows[i].expected), -EUCLEAN);
		EXPECT_STR(err.message, rows[i].why);
	}
}

TEST(damaged_adc_stays_in_its_buffers)
{
	size_t n = sizeof mixed_decoded - 1;
	uint8_t in[sizeof mixed];

	for (size_t cut = 0; cut < sizeof mixed; cut++)
		EXPECT_EQ(decode(mixed, cut, NULL, n), -EUCLEAN);
	for (size_t bit = 0; bit < 8 * sizeof mixed; bit++) {
		memcpy(in, mixed, sizeof in);
		in[bit / 8] ^= (uint8_t)(1u << bit % 8);
		decode(in, sizeof in, NULL, n);
	}
}
