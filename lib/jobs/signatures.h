/* SPDX-License-Identifier: GPL-3.0-or-later */
/* signatures.h - beginnings of files, and records of file systems, that a sector may show */
#ifndef PL_SIGNATURES_H
#define PL_SIGNATURES_H

#include <platter/examine.h>

#include "bytes.h"

/* Checks look no further than this: what is behind the end reads as zeros. */
#define PL_SIGNATURE_LOOK KIB(4)

struct pl_signature {
	const char *name, *longname;
	enum platter_remains kind;
	uint16_t at; /* of the magic in the sector */
	uint8_t length;
	const char *magic; /* NULL: a type that only the check of another one names */
	/*
	 * Bits that magic and check verify together, rounded down: random bytes pass both once in
	 * 2^bits sectors.
	 */
	uint8_t bits;
	/*
	 * Look at the structure behind the magic in PL_SIGNATURE_LOOK bytes.  The name of the type
	 * that it is, which may be a more precise one of the table; NULL: it is none.
	 */
	const char *(*check)(const uint8_t *p);
};

extern const struct pl_signature pl_signatures[];
extern const size_t pl_nr_signatures;

/*
 * What begins in the sector at p, of which n bytes (512 at least) may be looked at: an index into
 * the table, or -1.
 */
int pl_signature_find(const uint8_t *p, size_t n);

/* Sectors of random bytes in which a signature is expected to show. */
double pl_signature_false_alarms(uint64_t nr_sectors);

/*
 * Mail addresses in n bytes; `each` (may be NULL) is called with where each begins and how long
 * it is.
 */
size_t pl_mail_addresses(const uint8_t *p, size_t n,
			 void (*each)(size_t at, size_t length, void *closure), void *closure);

#endif
