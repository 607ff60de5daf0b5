/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-lzma.c - LZMA without a header, and the filter for x86, against liblzma's encoders */
#include <lzma.h>
#include <stdlib.h>

#include "codec.h"
#include "test.h"

#define N KIB(256)

static uint64_t seed = 88172645463325252u;

static uint32_t
rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed % n);
}

/* What looks like a program: opcodes and signs are common, near each other too. */
static void
make_program(uint8_t *bytes, size_t n, uint32_t common)
{
	static const uint8_t special[] = { 0xe8, 0xe9, 0x00, 0xff, 0xe8 };

	for (size_t i = 0; i < n; i++)
		bytes[i] = rnd(100) < common ? special[rnd(sizeof special)] : (uint8_t)rnd(256);
}

static size_t
encode(const uint8_t *in, size_t n, bool x86, uint8_t properties[static 5], uint8_t *out,
       size_t room)
{
	lzma_options_lzma options;
	lzma_filter filters[3] = { { .id = LZMA_FILTER_X86 }, { .id = LZMA_FILTER_LZMA1 } };
	lzma_filter *first = filters + !x86;
	size_t at = 0;

	EXPECT(!lzma_lzma_preset(&options, 1));
	options.dict_size = KIB(64);
	filters[1].options = &options;
	filters[2].id = LZMA_VLI_UNKNOWN;
	EXPECT_EQ(lzma_raw_buffer_encode(first, NULL, in, n, out, &at, room), LZMA_OK);
	EXPECT_EQ(lzma_properties_encode(&filters[1], properties), LZMA_OK);
	return at;
}

TEST(what_liblzma_encodes_is_decoded)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *in = malloc(N), *packed = malloc(2 * N), *out = malloc(N);

	for (uint32_t common = 0; common <= 100; common += 10)
		for (int x86 = 0; x86 < 2; x86++) {
			static const size_t sizes[] = { 1, 4, 5, 6, 9, 1000, N };

			for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
				uint8_t properties[5];
				size_t n = sizes[i], length;

				make_program(in, n, common);
				length = encode(in, n, x86, properties, packed, 2 * N);
				EXPECT_OK(pl_lzma_decode(properties, packed, length, out, n, &err));
				if (x86)
					pl_bcj_x86_decode(out, n);
				EXPECT_MEM(out, in, n);
			}
		}
}

/* The last chunk of a disc is filled up, and a mark of the end may be cut off. */
TEST(the_beginning_of_a_piece_is_decoded)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *in = malloc(N), *packed = malloc(2 * N), *out = malloc(N);
	uint8_t properties[5];
	size_t length;

	make_program(in, N, 20);
	length = encode(in, N, false, properties, packed, 2 * N);
	EXPECT_OK(pl_lzma_decode(properties, packed, length, out, 1000, &err));
	EXPECT_MEM(out, in, 1000);
}

TEST(what_is_damaged_is_told)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *in = malloc(N), *packed = malloc(2 * N), *out = malloc(N);
	uint8_t properties[5];
	size_t length;

	make_program(in, N, 20);
	length = encode(in, N, false, properties, packed, 2 * N);
	EXPECT_EQ(pl_lzma_decode(properties, packed, length / 2, out, N, &err), -EUCLEAN);
	EXPECT_EQ(pl_lzma_decode(properties, packed, 0, out, N, &err), -EUCLEAN);
	put_le32(properties + 1, 0x40000000);
	EXPECT_EQ(pl_lzma_decode(properties, packed, length, out, N, &err), -EFBIG);
	properties[0] = 0xff;
	EXPECT_EQ(pl_lzma_decode(properties, packed, length, out, N, &err), -EUCLEAN);
}
