/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-text.c - text from images, sizes, checksums, zero tests */
#include <errno.h>
#include <stdlib.h>

#include "bytes.h"
#include "checksums.h"
#include "normalize.h"
#include "test.h"
#include "text.h"

TEST(text_from_an_image_cannot_drive_a_terminal)
{
	PL_AUTOFREE char *a = pl_text_from_bytes("a\x1b[31mred\x7f\xc2\x9b", 12);
	PL_AUTOFREE char *b = pl_text_from_bytes("caf\xe9 \xff", 6);
	PL_AUTOFREE char *c = pl_text_from_bytes("na\xc3\xafve   ", 9);
	PL_AUTOFREE char *d = pl_text_from_bytes("\xed\xa0\x80\xf8\x80\0x", 7);

	EXPECT_STR(a, "a [31mred");
	EXPECT_STR(b, "caf\xc3\xa9 \xc3\xbf");
	EXPECT_STR(c, "na\xc3\xafve");
	EXPECT_STR(d, "\xc3\xad\xc2\xa0 \xc3\xb8");
}

TEST(names_are_decomposed)
{
	static const struct {
		const char *text, *decomposed;
	} rows[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "\u00e4", "a\u0308" },
		/* One that is made of three; two marks the wrong way round; one of a class of its own. */
		{ "\u1ec7", "e\u0323\u0302" },
		{ "q\u0307\u0323", "q\u0323\u0307" },
		{ "\u212b\u2126", "A\u030a\u03a9" },
		{ "\uac01\uac00", "\u1100\u1161\u11a8\u1100\u1161" },
		{ "\U0001d15e", "\U0001d157\U0001d165" },
		{ "\xff\xc3(\xe4\xf0\x80\x80\x80", "\xff\xc3(\xe4\xf0\x80\x80\x80" },
		{ "a\xc3", "a\xc3" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t n = 0;
		PL_AUTOFREE char *d = pl_text_decompose(rows[i].text, strlen(rows[i].text), &n);

		EXPECT_STR(d, rows[i].decomposed);
		EXPECT_EQ(n, strlen(rows[i].decomposed));
	}
}

TEST(utf16_becomes_utf8_and_lone_surrogates_are_marked)
{
	PL_AUTOFREE char *a = pl_text_from_utf16le("E\0F\0I\0\0\0x\0", 5);
	PL_AUTOFREE char *b = pl_text_from_utf16be("\xd8\x3d\xdc\xbe", 2);
	PL_AUTOFREE char *c = pl_text_from_utf16le("\x3d\xd8", 1);

	EXPECT_STR(a, "EFI");
	EXPECT_STR(b, "\xf0\x9f\x92\xbe");
	EXPECT_STR(c, "\xef\xbf\xbd");
}

TEST(text_becomes_utf16_of_either_byte_order_and_back)
{
	static const char text[] = "caf\xc3\xa9 \xf0\x9f\x92\xbe x";
	size_t nr_le, nr_be;
	PL_AUTOFREE uint8_t *le = pl_utf16le_from_text(text, &nr_le);
	PL_AUTOFREE uint8_t *be = pl_utf16be_from_text(text, &nr_be);
	PL_AUTOFREE char *from_le = pl_text_from_utf16le(le, nr_le);
	PL_AUTOFREE char *from_be = pl_text_from_utf16be(be, nr_be);
	PL_AUTOFREE uint8_t *latin = pl_utf16le_from_text("\xe9", &nr_be);

	EXPECT_EQ(nr_le, 9);
	EXPECT_MEM(be + 10, "\xd8\x3d\xdc\xbe", 4);
	EXPECT_STR(from_le, text);
	EXPECT_STR(from_be, text);
	EXPECT_EQ(nr_be, 1);
	EXPECT_MEM(latin, "\xe9\0", 2);
}

static const struct {
	const char *text;
	int result;
	uint64_t bytes;
} sizes[] = {
	{ "0", 0, 0 },
	{ "512", 0, 512 },
	{ "4K", 0, 4096 },
	{ "4KiB", 0, 4096 },
	{ "4kb", 0, 4000 },
	{ "1.5G", 0, 1610612736 },
	{ "1.5 GB", 0, 1500000000 },
	{ "8s", 0, 4096 },
	{ "7E", 0, 8070450532247928832u },
	{ "8E", -ERANGE, 0 },
	{ "99999999999999999999", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ "G", -EINVAL, 0 },
	{ "-1", -EINVAL, 0 },
	{ "4Q", -EINVAL, 0 },
	{ "4GiBs", -EINVAL, 0 },
};

TEST(sizes_are_read_as_people_write_them)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t bytes = 0;
		int r = pl_parse_size(sizes[i].text, &bytes);

		if (r != sizes[i].result || (r == 0 && bytes != sizes[i].bytes))
			pl_test_fail(__FILE__, __LINE__, "'%s' gives %d, %" PRIu64, sizes[i].text,
				     r, bytes);
	}
}

TEST(sizes_are_shown_for_people)
{
	char buf[32];

	EXPECT_STR(pl_format_size(0, buf, sizeof buf), "0 B");
	EXPECT_STR(pl_format_size(1023, buf, sizeof buf), "1023 B");
	EXPECT_STR(pl_format_size(1024, buf, sizeof buf), "1.0 KiB");
	EXPECT_STR(pl_format_size(MIB(1) - 1, buf, sizeof buf), "1.0 MiB");
	EXPECT_STR(pl_format_size(GIB(4), buf, sizeof buf), "4.0 GiB");
	EXPECT_STR(pl_format_size(UINT64_MAX, buf, sizeof buf), "16.0 EiB");
}

TEST(guids_and_uuids_differ_in_byte_order)
{
	static const uint8_t esp[16] = { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
					 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b };
	char text[PL_UUID_TEXT];
	uint8_t back[16];

	pl_guid_text(esp, text);
	EXPECT(pl_guid_parse(text, back));
	EXPECT_MEM(back, esp, 16);
	EXPECT(pl_guid_parse("c12a7328-f81f-11d2-ba4b-00a0c93ec93b}", back));
	EXPECT_MEM(back, esp, 16);
	EXPECT(!pl_guid_parse("C12A7328-F81F-11D2-BA4B-00A0C93EC9", back));
	EXPECT(!pl_guid_parse("C12A7328F81F11D2BA4B00A0C93EC93B", back));
	EXPECT(!pl_guid_parse("C12A7328-F81F-11D2-BA4B-00A0C93EC9+1", back));
	EXPECT_STR(text, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
	pl_uuid_text(esp, text);
	EXPECT_STR(text, "28732ac1-1ff8-d211-ba4b-00a0c93ec93b");
}

TEST(checksums_match_their_check_values)
{
	EXPECT_EQ(pl_crc32(0, "123456789", 9), 0xcbf43926);
	EXPECT_EQ(pl_crc32c(0, "123456789", 9), 0xe3069283);
	EXPECT_EQ(pl_crc32c(pl_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

TEST(a_crc32_is_put_together_from_those_of_its_pieces)
{
	static const size_t lengths[] = { 0, 1, 7, 64, 511, 4096 };
	static const uint8_t zeros[4096];
	uint8_t bytes[8192];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * i >> 3);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		size_t n = lengths[i];
		uint32_t first = pl_crc32(0, bytes, 4000), second = pl_crc32(0, bytes + 4000, n);

		EXPECT_EQ(pl_crc32_combine(first, second, n), pl_crc32(0, bytes, 4000 + n));
		EXPECT_EQ(pl_crc32_zeros(first, n), pl_crc32(first, zeros, n));
		EXPECT_EQ(pl_crc32_zeros(0, n), pl_crc32(0, zeros, n));
	}
	/* A length of more than 32 bits is that of its halves. */
	EXPECT_EQ(pl_crc32_zeros(7, UINT64_C(3) << 40),
		  pl_crc32_zeros(pl_crc32_zeros(7, UINT64_C(1) << 41), UINT64_C(1) << 40));
}

TEST(zero_tests_see_a_single_byte_anywhere)
{
	PL_AUTOFREE uint8_t *buf = calloc(1, 5000);

	for (size_t start = 0; start < 9; start++)
		for (size_t n = 0; n < 1100; n += 1 + n / 40) {
			EXPECT(pl_is_zero(buf + start, n));
			buf[start + n] = 1;
			EXPECT(pl_is_zero(buf + start, n));
			buf[start + n] = 0;
			if (n) {
				buf[start + n - 1] = 1;
				EXPECT(!pl_is_zero(buf + start, n));
				buf[start + n - 1] = 0;
			}
		}
}

TEST(zero_runs_end_at_block_boundaries)
{
	PL_AUTOFREE uint8_t *buf = calloc(1, 1000);
	bool zero;

	buf[300] = 1;
	EXPECT_EQ(pl_zero_run(buf, 1000, 100, &zero), 300);
	EXPECT(zero);
	EXPECT_EQ(pl_zero_run(buf + 300, 700, 100, &zero), 100);
	EXPECT(!zero);
	EXPECT_EQ(pl_zero_run(buf + 400, 550, 100, &zero), 550);
	EXPECT(zero);
}
