/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * implanted.c - the MD5 of an ISO 9660 image that stands in the image itself
 *
 * There is no specification but isomd5sum's source.  The application's field of the primary volume
 * descriptor, 512 bytes at 883, holds text that is filled up with blanks:
 *
 *	ISO MD5SUM = 32 digits;SKIPSECTORS = 15;RHLISOSTATUS=0;FRAGMENT SUMS = ...;
 *	FRAGMENT COUNT = 20;THIS IS NOT THE SAME AS RUNNING MD5SUM ON THIS ISO!!
 *
 * The MD5 is that of the volume without its last SKIPSECTORS sectors, with blanks in that field.  A
 * fragment's sum is the start of the MD5 of all up to some place behind each 21st of it.
 */
#include "implanted.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	SECTOR = 2048,
	DESCRIPTOR_AT = 16 * SECTOR,
	SIZE_AT = 84, /* sectors, big-endian */
	FIELD_AT = 883,
	FIELD = 512,
	SKIPPED = 15,
	FRAGMENTS = 20,
	FRAGMENT_DIGITS = 3,
	MD5_BYTES = 16,
	STEP = 16 * SECTOR, /* fragments end at multiples of it */
	BUFFER = 32 * STEP,
};

#define MAX_SKIPPED 1000

struct sums {
	char md5[2 * MD5_BYTES + 1];
	char fragments[FRAGMENTS * FRAGMENT_DIGITS + 1];
};

/* The field of the volume descriptor, and how long the volume is.  False: this is no ISO 9660. */
static bool
read_field(struct pl_disk *disk, char ret[static FIELD + 1], uint64_t *ret_size)
{
	uint8_t d[SECTOR];

	if (disk->sequential || disk->size < DESCRIPTOR_AT + SECTOR ||
	    pl_read(disk, d, sizeof d, DESCRIPTOR_AT, NULL) < 0 || memcmp(d, "\1CD001", 6) != 0)
		return false;
	memcpy(ret, d + FIELD_AT, FIELD);
	ret[FIELD] = '\0';
	*ret_size = (uint64_t)get_be32(d + SIZE_AT) * SECTOR;
	return *ret_size <= disk->size;
}

/* Blanks in place of the field, in n bytes from `at` on. */
static void
blank_field(uint8_t *bytes, size_t n, uint64_t at)
{
	for (uint64_t i = DESCRIPTOR_AT + FIELD_AT; i < DESCRIPTOR_AT + FIELD_AT + FIELD; i++)
		if (i >= at && i - at < n)
			bytes[i - at] = ' ';
}

static void
put_fragment(const EVP_MD_CTX *md5, struct sums *sums)
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	uint8_t digest[MD5_BYTES];

	if (copy && EVP_MD_CTX_copy(copy, md5) && EVP_DigestFinal_ex(copy, digest, NULL))
		for (size_t i = 0; i < FRAGMENT_DIGITS; i++) {
			char digits[3];
			size_t used = strlen(sums->fragments);

			/* Only the first digit of each byte, which may be its only one. */
			snprintf(digits, sizeof digits, "%x", digest[i]);
			if (used + 1 < sizeof sums->fragments)
				sums->fragments[used] = digits[0];
		}
	EVP_MD_CTX_free(copy);
}

static int
sum_up(struct pl_disk *disk, uint64_t end, EVP_MD_CTX *md5, uint8_t *buffer, struct pl_meter *meter,
       struct sums *ret, struct platter_error *err)
{
	uint64_t fragment = PL_MAX(end / (FRAGMENTS + 1), (uint64_t)1), before = 0;

	for (uint64_t at = 0, n; at < end; at += n) {
		int r;

		n = PL_MIN(end - at, (uint64_t)BUFFER);
		if (meter && pl_meter_cancelled(meter))
			return pl_fail(err, -ECANCELED, "stopped");
		r = pl_read_once(disk, buffer, (size_t)n, at, err);
		if (r < 0)
			return r;
		blank_field(buffer, (size_t)n, at);
		for (uint64_t i = 0; i < n; i += STEP) {
			EVP_DigestUpdate(md5, buffer + i, (size_t)PL_MIN((uint64_t)STEP, n - i));
			if ((at + i) / fragment != before)
				put_fragment(md5, ret);
			before = (at + i) / fragment;
		}
	}
	return 0;
}

static int
compute(struct pl_disk *disk, uint64_t end, struct pl_meter *meter, struct sums *ret,
	struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buffer = malloc(BUFFER);
	EVP_MD_CTX *md5 = EVP_MD_CTX_new();
	uint8_t digest[MD5_BYTES];
	int r = buffer && md5 && EVP_DigestInit_ex(md5, EVP_md5(), NULL) ? 0 : pl_no_memory(err);

	*ret = (struct sums){ 0 };
	if (r == 0)
		r = sum_up(disk, end, md5, buffer, meter, ret, err);
	if (r == 0) {
		EVP_DigestFinal_ex(md5, digest, NULL);
		for (size_t i = 0; i < MD5_BYTES; i++)
			snprintf(ret->md5 + 2 * i, 3, "%02x", digest[i]);
	}
	EVP_MD_CTX_free(md5);
	return r;
}

int
pl_implanted_check(struct pl_disk *disk, struct pl_meter *meter, struct pl_findings *findings,
		   struct platter_error *err)
{
	static const char begin[] = "ISO MD5SUM = ", skip[] = ";SKIPSECTORS = ";
	char field[FIELD + 1];
	const char *md5, *skipped;
	struct platter_error why = PLATTER_ERROR_INIT;
	struct sums have;
	uint64_t size, left_out;
	int r;

	if (!read_field(disk, field, &size) || strncmp(field, begin, strlen(begin)) != 0)
		return 0;
	md5 = field + strlen(begin);
	skipped = md5 + strspn(md5, "0123456789abcdef");
	if (skipped - md5 != 2 * MD5_BYTES || strncmp(skipped, skip, strlen(skip)) != 0)
		return 0;
	left_out = strtoull(skipped + strlen(skip), NULL, 10);
	if (left_out > MAX_SKIPPED || left_out * SECTOR >= size)
		return 0;
	r = compute(disk, size - left_out * SECTOR, meter, &have, &why);
	if (r == -ECANCELED || r == -ENOMEM)
		return pl_fail(err, r, "%s", why.message);
	if (r < 0)
		pl_found(findings, PLATTER_NOTE, PLATTER_NO_OFFSET,
			 "the implanted MD5 cannot be compared: %s", why.message);
	else if (memcmp(md5, have.md5, 2 * MD5_BYTES) != 0)
		pl_found(findings, PLATTER_DAMAGE, DESCRIPTOR_AT + FIELD_AT,
			 "the implanted MD5 is %.32s, and that of the data is %s", md5, have.md5);
	else
		pl_found(findings, PLATTER_NOTE, PLATTER_NO_OFFSET, "the implanted MD5 fits: %s",
			 have.md5);
	return 0;
}

int
pl_implant_md5(struct pl_disk *disk, struct platter_error *err)
{
	char field[FIELD + 1], text[FIELD + 1];
	struct sums have;
	uint64_t size;
	int r, n;

	if (!read_field(disk, field, &size) || size <= SKIPPED * SECTOR)
		return pl_invalid(err, "'%s' is no ISO 9660 image that an MD5 fits into",
				  disk->name);
	if (strspn(field, " ") != FIELD && !pl_is_zero(field, FIELD) &&
	    strncmp(field, "ISO MD5SUM", 10) != 0)
		return pl_fail(err, -EEXIST,
			       "the field of '%s' for an MD5 is used by its application",
			       disk->name);
	r = compute(disk, size - SKIPPED * SECTOR, NULL, &have, err);
	if (r < 0)
		return r;
	n = snprintf(text, sizeof text,
		     "ISO MD5SUM = %s;SKIPSECTORS = %d;RHLISOSTATUS=0;FRAGMENT SUMS = %s;"
		     "FRAGMENT COUNT = %d;"
		     "THIS IS NOT THE SAME AS RUNNING MD5SUM ON THIS ISO!!",
		     have.md5, SKIPPED, have.fragments, FRAGMENTS);
	memset(text + n, ' ', (size_t)(FIELD - n));
	return pl_write(disk, text, FIELD, DESCRIPTOR_AT + FIELD_AT, err);
}
