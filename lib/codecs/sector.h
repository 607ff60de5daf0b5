/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sector.h - what a CD stores around the user data of a sector (ECMA-130, 14 and annex A)
 *
 *	offset  size  in a sector of 2352 bytes
 *	     0    12  sync pattern: 00 ff..ff 00
 *	    12     4  header: minute, second, frame in BCD, mode
 *	mode 1
 *	    16  2048  user data
 *	  2064     4  EDC of all before
 *	  2068     8  zeros
 *	  2076   172  P parity; 2248: 104 bytes of Q parity
 *	mode 2, form 1
 *	    16     8  subheader: file, channel, submode, coding, all twice
 *	    24  2048  user data
 *	  2072     4  EDC from byte 16 on; 2076: P, 2248: Q, both as if the header were zeros
 *	mode 2, form 2
 *	    16     8  subheader
 *	    24  2324  user data
 *	  2348     4  EDC from byte 16 on, or zeros
 *
 * Mode 2 without forms has 2336 bytes of user data, mode 0 as many zeros, and sound the 2352.
 * Nothing here keeps state: any thread may call it.
 */
#ifndef PL_SECTOR_H
#define PL_SECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PL_SECTOR_RAW = 2352,
	PL_SECTOR_SYNC = 12,
	PL_SECTOR_HEADER = 12,    /* where the header is, */
	PL_SECTOR_MODE = 15,      /* and the mode in it */
	PL_SECTOR_SUBHEADER = 16, /* of mode 2 */
	PL_SECTOR_SUBMODE = 18,
	PL_SECTOR_DATA = 2048,       /* user data of mode 1 and form 1, */
	PL_SECTOR_FORM2_DATA = 2324, /* of form 2, */
	PL_SECTOR_MODE2_DATA = 2336, /* and of mode 2: all behind the header */
	PL_SECTOR_MODE1_AT = 16,     /* where it is, mode 1 */
	PL_SECTOR_XA_AT = 24,        /* and with a subheader */
	PL_SECTOR_PARITY = 2076,     /* P and Q, to the end */
	PL_SUBMODE_FORM2 = 0x20,
};

/* Kinds of data sector; which it is stands in its header and subheader. */
enum pl_sector_kind {
	PL_SECTOR_MODE0,
	PL_SECTOR_MODE1,
	PL_SECTOR_MODE2, /* without forms: its subheader is not twice the same */
	PL_SECTOR_FORM1,
	PL_SECTOR_FORM2,
	PL_SECTOR_UNKNOWN, /* no sync pattern, or another mode */
};

/* Two decimal digits in a byte, as times on discs have them; n is less than 100. */
static inline uint8_t
pl_to_bcd(unsigned n)
{
	return (uint8_t)(n / 10 << 4 | n % 10);
}

static inline bool
pl_is_bcd(uint8_t bcd)
{
	return bcd >> 4 <= 9 && (bcd & 15) <= 9;
}

static inline unsigned
pl_from_bcd(uint8_t bcd)
{
	return (bcd >> 4) * 10u + (bcd & 15u);
}

/* EDC of n more bytes; begins as 0. */
uint32_t pl_sector_edc(uint32_t edc, const uint8_t *bytes, size_t n);

bool pl_sector_has_sync(const uint8_t *sector);
enum pl_sector_kind pl_sector_kind(const uint8_t sector[static PL_SECTOR_RAW]);

/* The sync pattern alone, and P and Q alone, whatever EDC says; nothing for kinds without. */
void pl_sector_put_sync(uint8_t *sector);
void pl_sector_put_parity(uint8_t sector[static PL_SECTOR_RAW], enum pl_sector_kind kind);

/*
 * Sync pattern and header for the sector at `lba`, -150 or more.  `mode` is 0 to 2.
 * Addresses past 99:59:74, of DVDs, are counted on from 0.
 */
void pl_sector_put_header(uint8_t sector[static PL_SECTOR_RAW], int64_t lba, unsigned mode);

/* The address in the header; false if it is not BCD. */
bool pl_sector_address(const uint8_t sector[static PL_SECTOR_RAW], int64_t *ret_lba);

/* Is it that of the sector at `lba`, as pl_sector_put_header() puts it? */
bool pl_sector_is_at(const uint8_t sector[static PL_SECTOR_RAW], int64_t lba);

/* EDC, and where the kind has it ECC, of a sector that has everything else. */
void pl_sector_protect(uint8_t sector[static PL_SECTOR_RAW], enum pl_sector_kind kind);

enum pl_sector_state {
	PL_SECTOR_GOOD,      /* EDC is right, or there is none */
	PL_SECTOR_CORRECTED, /* it is now: ECC told which bytes were wrong */
	PL_SECTOR_BAD,       /* EDC is wrong, and ECC cannot correct it */
};

/* Is the EDC right?  Of form 2 that is also so where none is stored. */
bool pl_sector_is_good(const uint8_t sector[static PL_SECTOR_RAW], enum pl_sector_kind kind);

/* Correct a sector in place as far as ECC goes, and say how it is. */
enum pl_sector_state pl_sector_correct(uint8_t sector[static PL_SECTOR_RAW],
				       enum pl_sector_kind kind);

/* Are the P and Q parities those of the sector?  True for kinds without. */
bool pl_sector_parity_fits(const uint8_t sector[static PL_SECTOR_RAW], enum pl_sector_kind kind);

/* Is it as it is on the disc, scrambled?  Its header then makes sense only without. */
bool pl_sector_is_scrambled(const uint8_t sector[static PL_SECTOR_RAW]);

/* Scramble, or unscramble, all behind the sync pattern (ECMA-130, annex B). */
void pl_sector_scramble(uint8_t sector[static PL_SECTOR_RAW]);

#endif
