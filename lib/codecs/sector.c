/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sector.c - EDC and ECC of CD sectors (ECMA-130, annex A)
 *
 * The EDC is a CRC of 32 bits, reflected, with the polynomial 0x8001801b, no initial value and
 * no final exclusive-or.  The ECC is a product code over GF(2^8), polynomial 0x11d, of the bytes
 * from 12 on seen as 16-bit words, low and high bytes apart.  In rows of 43 words, P covers the
 * columns (24 rows, with its own two 26) and Q the diagonals through 26 rows.  Each codeword
 * has two parity symbols: its symbols sum to 0, and so do they times falling powers of 2.  That
 * finds and corrects one wrong symbol in each.
 */
#include "sector.h"

#include <pthread.h>
#include <string.h>

#include "bytes.h"

enum {
	AREA = PL_SECTOR_HEADER, /* where what ECC covers begins */
	EDC_MODE1_AT = 2064,
	EDC_FORM1_AT = 2072,
	EDC_FORM2_AT = 2348,
	P_AT = PL_SECTOR_PARITY,
	Q_AT = 2248,
	ROW = 86,         /* bytes: 43 words */
	P_ROWS = 24,      /* of data, */
	P_ALL = 26,       /* and with the two of parity */
	Q_DIAGONALS = 52, /* 26 words */
	Q_WORDS = 43,     /* in a diagonal, */
	Q_ALL = 45,       /* and with the two of parity */
	Q_AREA = P_ALL * ROW,
	ALL = Q_AREA + 2 * Q_DIAGONALS,
};

/* Rounds of correcting by P, then by Q: each may open the way for the other. */
#define MAX_ROUNDS 8

/* Frames of a CD are addressed up to 99:59:74. */
#define FRAMES_PER_SECOND 75
#define MAX_FRAMES        (100 * 60 * FRAMES_PER_SECOND)
#define FIRST_FRAME       150 /* of LBA 0 */

static struct {
	uint32_t edc[8][256];
	uint8_t power[512]; /* 2^i */
	uint8_t log[256];
	uint8_t inverse3[256]; /* i / 3, which is i / (2 ^ 1) */
	uint8_t scramble[PL_SECTOR_RAW - PL_SECTOR_SYNC];
} tables;

static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void
make_edc(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint32_t edc = i;

		for (int bit = 0; bit < 8; bit++)
			edc = edc >> 1 ^ (edc & 1 ? 0xd8018001u : 0);
		tables.edc[0][i] = edc;
	}
	for (unsigned k = 1; k < 8; k++)
		for (unsigned i = 0; i < 256; i++)
			tables.edc[k][i] = tables.edc[k - 1][i] >> 8 ^
					   tables.edc[0][tables.edc[k - 1][i] & 0xff];
}

static void
make_field(void)
{
	unsigned x = 1;

	for (unsigned i = 0; i < 255; i++) {
		tables.power[i] = tables.power[i + 255] = (uint8_t)x;
		tables.log[x] = (uint8_t)i;
		x <<= 1;
		if (x & 0x100)
			x ^= 0x11d;
	}
	for (unsigned i = 1; i < 256; i++) {
		unsigned twice = i << 1 ^ (i & 0x80 ? 0x11d : 0);

		tables.inverse3[(i ^ twice) & 0xff] = (uint8_t)i;
	}
}

/* x^15 + x + 1, begun as 1. */
static void
make_scramble(void)
{
	unsigned shift = 1;

	for (size_t i = 0; i < sizeof tables.scramble; i++) {
		tables.scramble[i] = (uint8_t)shift;
		for (int bit = 0; bit < 8; bit++)
			shift = shift >> 1 | ((shift ^ shift >> 1) & 1) << 14;
	}
}

static void
make_tables(void)
{
	make_edc();
	make_field();
	make_scramble();
}

static void
need_tables(void)
{
	pthread_once(&tables_once, make_tables);
}

uint32_t
pl_sector_edc(uint32_t edc, const uint8_t *bytes, size_t n)
{
	need_tables();
	for (; n >= 8; bytes += 8, n -= 8) {
		uint32_t a = get_le32(bytes) ^ edc, b = get_le32(bytes + 4);

		edc = tables.edc[7][a & 0xff] ^ tables.edc[6][a >> 8 & 0xff] ^
		      tables.edc[5][a >> 16 & 0xff] ^ tables.edc[4][a >> 24] ^
		      tables.edc[3][b & 0xff] ^ tables.edc[2][b >> 8 & 0xff] ^
		      tables.edc[1][b >> 16 & 0xff] ^ tables.edc[0][b >> 24];
	}
	while (n--)
		edc = edc >> 8 ^ tables.edc[0][(edc ^ *bytes++) & 0xff];
	return edc;
}

static const uint8_t sync_pattern[PL_SECTOR_SYNC] = { 0,    0xff, 0xff, 0xff, 0xff, 0xff,
						      0xff, 0xff, 0xff, 0xff, 0xff, 0 };

bool
pl_sector_has_sync(const uint8_t *sector)
{
	return !memcmp(sector, sync_pattern, sizeof sync_pattern);
}

void
pl_sector_put_sync(uint8_t *sector)
{
	memcpy(sector, sync_pattern, sizeof sync_pattern);
}

enum pl_sector_kind
pl_sector_kind(const uint8_t sector[static PL_SECTOR_RAW])
{
	const uint8_t *sub = sector + PL_SECTOR_SUBHEADER;

	if (!pl_sector_has_sync(sector))
		return PL_SECTOR_UNKNOWN;
	/* The upper bits tell of run-in and run-out blocks. */
	switch (sector[PL_SECTOR_MODE] & 3) {
	case 0: return PL_SECTOR_MODE0;
	case 1: return PL_SECTOR_MODE1;
	case 2:
		if (memcmp(sub, sub + 4, 4) != 0)
			return PL_SECTOR_MODE2;
		return sub[2] & PL_SUBMODE_FORM2 ? PL_SECTOR_FORM2 : PL_SECTOR_FORM1;
	default: return PL_SECTOR_UNKNOWN;
	}
}

static void
put_address(uint8_t out[static 3], int64_t lba)
{
	unsigned frame = (unsigned)((lba + FIRST_FRAME) % MAX_FRAMES);

	out[0] = pl_to_bcd(frame / FRAMES_PER_SECOND / 60);
	out[1] = pl_to_bcd(frame / FRAMES_PER_SECOND % 60);
	out[2] = pl_to_bcd(frame % FRAMES_PER_SECOND);
}

void
pl_sector_put_header(uint8_t sector[static PL_SECTOR_RAW], int64_t lba, unsigned mode)
{
	memcpy(sector, sync_pattern, sizeof sync_pattern);
	put_address(sector + PL_SECTOR_HEADER, lba);
	sector[PL_SECTOR_MODE] = (uint8_t)mode;
}

bool
pl_sector_is_at(const uint8_t sector[static PL_SECTOR_RAW], int64_t lba)
{
	uint8_t address[3];

	put_address(address, lba);
	return !memcmp(sector + PL_SECTOR_HEADER, address, sizeof address);
}

bool
pl_sector_address(const uint8_t sector[static PL_SECTOR_RAW], int64_t *ret_lba)
{
	unsigned part[3];

	for (size_t i = 0; i < 3; i++) {
		uint8_t b = sector[PL_SECTOR_HEADER + i];

		if (!pl_is_bcd(b))
			return false;
		part[i] = pl_from_bcd(b);
	}
	if (part[1] > 59 || part[2] >= FRAMES_PER_SECOND)
		return false;
	*ret_lba = (int64_t)((part[0] * 60 + part[1]) * FRAMES_PER_SECOND + part[2]) - FIRST_FRAME;
	return true;
}

/* Vectors of symbols: those of all columns, or of all diagonals, are computed at once. */
typedef uint8_t vector __attribute__((vector_size(16), aligned(1), may_alias));
typedef int8_t signed_vector __attribute__((vector_size(16)));

static inline vector
twice(vector a)
{
	vector carry = (vector)((signed_vector)a < 0) & 0x1d;

	return (vector)(a << 1) ^ carry;
}

enum {
	P_VECTORS = 6, /* 96 bytes, of which 86 count */
	Q_VECTORS = 4, /* 64 bytes, of which 52 count */
};

/* Both parities of the columns, in vectors that may read past a row: `area` has room for it. */
static void
p_parity(const uint8_t *area, uint8_t ret[static 2 * ROW])
{
	vector a[P_VECTORS] = { 0 }, b[P_VECTORS] = { 0 };
	const uint8_t *fa = (const uint8_t *)a, *fb = (const uint8_t *)b;

	for (unsigned row = 0; row < P_ROWS; row++)
		for (unsigned v = 0; v < P_VECTORS; v++) {
			vector t = *(const vector *)(area + row * ROW + v * sizeof t);

			a[v] = twice(a[v] ^ t);
			b[v] ^= t;
		}
	for (unsigned v = 0; v < P_VECTORS; v++)
		a[v] = twice(a[v]) ^ b[v];
	for (unsigned i = 0; i < ROW; i++) {
		ret[i] = tables.inverse3[fa[i]];
		ret[ROW + i] = ret[i] ^ fb[i];
	}
}

/*
 * The j-th word of the diagonal that begins in row k is in row k + j of column j, so what
 * all diagonals have j-th is a column, turned by j rows.
 */
static void
q_parity(const uint8_t *area, uint8_t ret[static 2 * Q_DIAGONALS])
{
	uint8_t column[2 * Q_DIAGONALS + sizeof(vector)] = { 0 };
	vector a[Q_VECTORS] = { 0 }, b[Q_VECTORS] = { 0 };
	const uint8_t *fa = (const uint8_t *)a, *fb = (const uint8_t *)b;

	for (unsigned j = 0; j < Q_WORDS; j++) {
		for (unsigned row = 0; row < P_ALL; row++)
			memcpy(column + 2 * row, area + row * ROW + 2 * j, 2);
		memcpy(column + Q_DIAGONALS, column, Q_DIAGONALS);
		for (unsigned v = 0; v < Q_VECTORS; v++) {
			vector t = *(const vector *)(column + 2 * (j % P_ALL) + v * sizeof t);

			a[v] = twice(a[v] ^ t);
			b[v] ^= t;
		}
	}
	for (unsigned v = 0; v < Q_VECTORS; v++)
		a[v] = twice(a[v]) ^ b[v];
	for (unsigned i = 0; i < Q_DIAGONALS; i++) {
		ret[i] = tables.inverse3[fa[i]];
		ret[Q_DIAGONALS + i] = ret[i] ^ fb[i];
	}
}

static bool
has_parity(enum pl_sector_kind kind)
{
	return kind == PL_SECTOR_MODE1 || kind == PL_SECTOR_FORM1;
}

/* What ECC covers, with room behind it for whole vectors. */
struct area {
	uint8_t bytes[ALL + 2 * sizeof(vector)];
};

static void
take_area(struct area *a, const uint8_t *sector, enum pl_sector_kind kind)
{
	memcpy(a->bytes, sector + AREA, ALL);
	memset(a->bytes + ALL, 0, sizeof a->bytes - ALL);
	if (kind == PL_SECTOR_FORM1)
		memset(a->bytes, 0, 4);
}

static void
put_parity(struct area *a)
{
	p_parity(a->bytes, a->bytes + P_AT - AREA);
	q_parity(a->bytes, a->bytes + Q_AT - AREA);
}

void
pl_sector_put_parity(uint8_t sector[static PL_SECTOR_RAW], enum pl_sector_kind kind)
{
	struct area a;

	if (!has_parity(kind))
		return;
	need_tables();
	take_area(&a, sector, kind);
	put_parity(&a);
	memcpy(sector + P_AT, a.bytes + P_AT - AREA, PL_SECTOR_RAW - P_AT);
}

void
pl_sector_protect(uint8_t sector[static PL_SECTOR_RAW], enum pl_sector_kind kind)
{
	need_tables();
	if (kind == PL_SECTOR_MODE1) {
		put_le32(sector + EDC_MODE1_AT, pl_sector_edc(0, sector, EDC_MODE1_AT));
		memset(sector + EDC_MODE1_AT + 4, 0, 8);
	} else if (kind == PL_SECTOR_FORM1) {
		put_le32(sector + EDC_FORM1_AT, pl_sector_edc(0, sector + PL_SECTOR_SUBHEADER,
							      EDC_FORM1_AT - PL_SECTOR_SUBHEADER));
	} else if (kind == PL_SECTOR_FORM2) {
		put_le32(sector + EDC_FORM2_AT, pl_sector_edc(0, sector + PL_SECTOR_SUBHEADER,
							      EDC_FORM2_AT - PL_SECTOR_SUBHEADER));
	}
	pl_sector_put_parity(sector, kind);
}

bool
pl_sector_parity_fits(const uint8_t sector[static PL_SECTOR_RAW], enum pl_sector_kind kind)
{
	struct area a;

	if (!has_parity(kind))
		return true;
	need_tables();
	take_area(&a, sector, kind);
	put_parity(&a);
	return !memcmp(sector + P_AT, a.bytes + P_AT - AREA, PL_SECTOR_RAW - P_AT);
}

bool
pl_sector_is_good(const uint8_t sector[static PL_SECTOR_RAW], enum pl_sector_kind kind)
{
	const uint8_t *sub = sector + PL_SECTOR_SUBHEADER;

	switch (kind) {
	case PL_SECTOR_MODE1:
		return pl_sector_edc(0, sector, EDC_MODE1_AT) == get_le32(sector + EDC_MODE1_AT);
	case PL_SECTOR_FORM1:
		return pl_sector_edc(0, sub, EDC_FORM1_AT - PL_SECTOR_SUBHEADER) ==
		       get_le32(sector + EDC_FORM1_AT);
	case PL_SECTOR_FORM2:
		return get_le32(sector + EDC_FORM2_AT) == 0 ||
		       pl_sector_edc(0, sub, EDC_FORM2_AT - PL_SECTOR_SUBHEADER) ==
			       get_le32(sector + EDC_FORM2_AT);
	default: return true;
	}
}

/* Byte of the area that is the i-th symbol of a codeword. */
static unsigned
p_symbol(unsigned column, unsigned i)
{
	return i * ROW + column;
}

static unsigned
q_symbol(unsigned diagonal, unsigned i)
{
	if (i >= Q_WORDS)
		return Q_AREA + (i - Q_WORDS) * Q_DIAGONALS + diagonal;
	return ((diagonal >> 1) * ROW + (diagonal & 1) + i * (ROW + 2)) % Q_AREA;
}

/* Correct one symbol of a codeword.  1: done; 0: nothing is wrong; -1: more than one is. */
static int
correct_word(uint8_t *area, unsigned (*symbol)(unsigned word, unsigned i), unsigned word,
	     unsigned n)
{
	uint8_t sum = 0, weighted = 0;
	unsigned place;

	for (unsigned i = 0; i < n; i++) {
		uint8_t s = area[symbol(word, i)];

		sum ^= s;
		weighted = (uint8_t)(weighted << 1 ^ (weighted & 0x80 ? 0x1d : 0) ^ s);
	}
	if (!sum && !weighted)
		return 0;
	if (!sum || !weighted)
		return -1;
	place = (tables.log[weighted] + 255u - tables.log[sum]) % 255;
	if (place >= n)
		return -1;
	area[symbol(word, n - 1 - place)] ^= sum;
	return 1;
}

/* True: something was corrected. */
static bool
correct_round(uint8_t *area)
{
	bool changed = false;

	for (unsigned i = 0; i < ROW; i++)
		changed |= correct_word(area, p_symbol, i, P_ALL) > 0;
	for (unsigned i = 0; i < Q_DIAGONALS; i++)
		changed |= correct_word(area, q_symbol, i, Q_ALL) > 0;
	return changed;
}

enum pl_sector_state
pl_sector_correct(uint8_t sector[static PL_SECTOR_RAW], enum pl_sector_kind kind)
{
	uint8_t header[4];
	struct area a;

	if (pl_sector_is_good(sector, kind))
		return PL_SECTOR_GOOD;
	if (!has_parity(kind))
		return PL_SECTOR_BAD;
	need_tables();
	memcpy(header, sector + PL_SECTOR_HEADER, sizeof header);
	take_area(&a, sector, kind);
	for (int round = 0; round < MAX_ROUNDS && correct_round(a.bytes); round++) {
		uint8_t fixed[PL_SECTOR_RAW];

		memcpy(fixed, sector, PL_SECTOR_SYNC);
		memcpy(fixed + AREA, a.bytes, ALL);
		/* Of form 1 the header is not covered. */
		if (kind == PL_SECTOR_FORM1)
			memcpy(fixed + PL_SECTOR_HEADER, header, sizeof header);
		if (!pl_sector_is_good(fixed, kind))
			continue;
		memcpy(sector, fixed, PL_SECTOR_RAW);
		return PL_SECTOR_CORRECTED;
	}
	return PL_SECTOR_BAD;
}

void
pl_sector_scramble(uint8_t sector[static PL_SECTOR_RAW])
{
	need_tables();
	for (size_t i = 0; i < sizeof tables.scramble; i++)
		sector[PL_SECTOR_SYNC + i] ^= tables.scramble[i];
}

static bool
has_plain_header(const uint8_t *sector)
{
	int64_t lba;

	return sector[PL_SECTOR_MODE] <= 2 && pl_sector_address(sector, &lba);
}

bool
pl_sector_is_scrambled(const uint8_t sector[static PL_SECTOR_RAW])
{
	uint8_t turned[PL_SECTOR_RAW];

	if (!pl_sector_has_sync(sector) || has_plain_header(sector))
		return false;
	memcpy(turned, sector, sizeof turned);
	pl_sector_scramble(turned);
	return has_plain_header(turned);
}
