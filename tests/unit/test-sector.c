/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-sector.c - EDC and ECC of CD sectors, held against the definition computed slowly */
#include "bytes.h"
#include "sector.h"
#include "test.h"

static void
fill(uint8_t *bytes, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		bytes[i] = (uint8_t)(seed >> 16);
	}
}

/* ECMA-130 annex A, bit by bit. */
static uint32_t
slow_edc(const uint8_t *bytes, size_t n)
{
	uint32_t edc = 0;

	for (size_t i = 0; i < n; i++) {
		edc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			edc = edc >> 1 ^ (edc & 1 ? 0xd8018001u : 0);
	}
	return edc;
}

static uint8_t
times(uint8_t a, uint8_t b)
{
	unsigned product = 0, x = a;

	for (; b; b >>= 1, x = x << 1 ^ (x & 0x80 ? 0x11d : 0))
		if (b & 1)
			product ^= x;
	return (uint8_t)product;
}

/* Does a codeword of n symbols meet both equations? */
static bool
meets(const uint8_t *symbols, size_t n)
{
	uint8_t sum = 0, weighted = 0, power = 1;

	for (size_t i = n; i-- > 0; power = times(power, 2)) {
		sum ^= symbols[i];
		weighted ^= times(power, symbols[i]);
	}
	return !sum && !weighted;
}

/* All codewords of a sector, by the places that ECMA-130 gives. */
static bool
parity_is_right(const uint8_t *sector, bool no_header)
{
	uint8_t area[2340], word[45];

	memcpy(area, sector + 12, sizeof area);
	if (no_header)
		memset(area, 0, 4);
	for (unsigned plane = 0; plane < 2; plane++) {
		for (unsigned column = 0; column < 43; column++) {
			for (unsigned row = 0; row < 26; row++)
				word[row] = area[2 * (43 * row + column) + plane];
			if (!meets(word, 26))
				return false;
		}
		for (unsigned diagonal = 0; diagonal < 26; diagonal++) {
			for (unsigned m = 0; m < 43; m++)
				word[m] = area[2 * ((44 * m + 43 * diagonal) % 1118) + plane];
			word[43] = area[2 * (1118 + diagonal) + plane];
			word[44] = area[2 * (1118 + 26 + diagonal) + plane];
			if (!meets(word, 45))
				return false;
		}
	}
	return true;
}

static void
make_sector(uint8_t *sector, enum pl_sector_kind kind, unsigned seed)
{
	fill(sector, PL_SECTOR_RAW, seed);
	pl_sector_put_header(sector, seed % 300000, kind == PL_SECTOR_MODE1 ? 1 : 2);
	if (kind != PL_SECTOR_MODE1) {
		sector[PL_SECTOR_SUBMODE] =
			kind == PL_SECTOR_FORM2 ? 0x08 | PL_SUBMODE_FORM2 : 0x08;
		memcpy(sector + 20, sector + 16, 4);
	}
	pl_sector_protect(sector, kind);
}

TEST(edc_is_that_of_the_definition)
{
	uint8_t bytes[2352];

	fill(bytes, sizeof bytes, 1);
	for (size_t n = 0; n < 40; n++)
		EXPECT_EQ(pl_sector_edc(0, bytes, n), slow_edc(bytes, n));
	EXPECT_EQ(pl_sector_edc(0, bytes, 2064), slow_edc(bytes, 2064));
	EXPECT_EQ(pl_sector_edc(pl_sector_edc(0, bytes, 77), bytes + 77, 1000),
		  slow_edc(bytes, 1077));
}

TEST(parity_meets_the_equations_of_the_standard)
{
	uint8_t sector[PL_SECTOR_RAW];

	for (unsigned seed = 0; seed < 20; seed++) {
		make_sector(sector, PL_SECTOR_MODE1, seed);
		EXPECT_EQ(pl_sector_kind(sector), PL_SECTOR_MODE1);
		EXPECT(parity_is_right(sector, false));
		EXPECT(pl_sector_is_good(sector, PL_SECTOR_MODE1));
		EXPECT(pl_sector_parity_fits(sector, PL_SECTOR_MODE1));
		make_sector(sector, PL_SECTOR_FORM1, seed);
		EXPECT_EQ(pl_sector_kind(sector), PL_SECTOR_FORM1);
		EXPECT(parity_is_right(sector, true));
		EXPECT(pl_sector_parity_fits(sector, PL_SECTOR_FORM1));
		make_sector(sector, PL_SECTOR_FORM2, seed);
		EXPECT_EQ(pl_sector_kind(sector), PL_SECTOR_FORM2);
		EXPECT(pl_sector_is_good(sector, PL_SECTOR_FORM2));
		sector[100] ^= 1;
		EXPECT(!pl_sector_is_good(sector, PL_SECTOR_FORM2));
		EXPECT_EQ(pl_sector_correct(sector, PL_SECTOR_FORM2), PL_SECTOR_BAD);
		memset(sector + 2348, 0, 4);
		EXPECT(pl_sector_is_good(sector, PL_SECTOR_FORM2));
	}
}

/* Any one byte, the parity's own too, and scratches of many. */
TEST(wrong_bytes_are_corrected_or_left)
{
	uint8_t sector[PL_SECTOR_RAW], wanted[PL_SECTOR_RAW];
	static const enum pl_sector_kind kinds[] = { PL_SECTOR_MODE1, PL_SECTOR_FORM1 };

	for (size_t k = 0; k < 2; k++) {
		unsigned end = kinds[k] == PL_SECTOR_MODE1 ? 2068 : 2076;

		make_sector(wanted, kinds[k], 7);
		for (unsigned i = kinds[k] == PL_SECTOR_MODE1 ? 12 : 16; i < PL_SECTOR_RAW; i++) {
			memcpy(sector, wanted, sizeof sector);
			sector[i] ^= 0x5a;
			/* What the EDC does not cover does not spoil the data. */
			if (i >= end)
				EXPECT_EQ(pl_sector_correct(sector, kinds[k]), PL_SECTOR_GOOD);
			else
				EXPECT_EQ(pl_sector_correct(sector, kinds[k]), PL_SECTOR_CORRECTED);
			if (i < end)
				EXPECT(!memcmp(sector, wanted, sizeof sector));
			else
				EXPECT(!pl_sector_parity_fits(sector, kinds[k]));
		}
		memcpy(sector, wanted, sizeof sector);
		for (unsigned i = 300; i < 386; i++)
			sector[i] ^= 0xff;
		EXPECT_EQ(pl_sector_correct(sector, kinds[k]), PL_SECTOR_CORRECTED);
		EXPECT(!memcmp(sector, wanted, sizeof sector));
		fill(sector + 200, 1500, 3);
		memcpy(wanted, sector, sizeof sector);
		EXPECT_EQ(pl_sector_correct(sector, kinds[k]), PL_SECTOR_BAD);
		EXPECT(!memcmp(sector, wanted, sizeof sector));
	}
}

TEST(addresses_are_bcd)
{
	uint8_t sector[PL_SECTOR_RAW] = { 0 };
	static const int64_t lbas[] = { -150, -1, 0, 74, 75, 4499, 4500, 449849 };
	int64_t lba;

	for (size_t i = 0; i < ARRAY_SIZE(lbas); i++) {
		pl_sector_put_header(sector, lbas[i], 1);
		EXPECT(pl_sector_has_sync(sector));
		EXPECT(pl_sector_address(sector, &lba));
		EXPECT_EQ(lba, lbas[i]);
	}
	pl_sector_put_header(sector, 0, 1);
	EXPECT_EQ(get_be32(sector + 12), 0x00020001);
	sector[13] = 0x60;
	EXPECT(!pl_sector_address(sector, &lba));
	sector[13] = 0x0a;
	EXPECT(!pl_sector_address(sector, &lba));
	sector[PL_SECTOR_MODE] = 3;
	EXPECT_EQ(pl_sector_kind(sector), PL_SECTOR_UNKNOWN);
	sector[PL_SECTOR_MODE] = 0;
	EXPECT_EQ(pl_sector_kind(sector), PL_SECTOR_MODE0);
}

/* ECMA-130 annex B: the first bytes of the scrambler. */
TEST(the_scrambler_begins_as_in_the_standard)
{
	static const uint8_t first[] = { 0x01, 0x80, 0x00, 0x60, 0x00, 0x28, 0x00, 0x1e,
					 0x80, 0x08, 0x60, 0x06, 0xa8, 0x02, 0xfe, 0x81 };
	uint8_t sector[PL_SECTOR_RAW] = { 0 }, again[PL_SECTOR_RAW];

	pl_sector_scramble(sector);
	EXPECT(pl_is_zero(sector, 12));
	EXPECT(!memcmp(sector + 12, first, sizeof first));
	memcpy(again, sector, sizeof again);
	pl_sector_scramble(again);
	EXPECT(pl_is_zero(again, sizeof again));
}
