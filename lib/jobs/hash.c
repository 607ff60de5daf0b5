/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hash.c - several hashes of one stream of bytes (OpenSSL does the work, but for CRC-32) */
#include "hash.h"

#include <ctype.h>
#include <openssl/evp.h>

#include "bytes.h"
#include "checksums.h"

/* Runs of zeros are fed in pieces of this.  Not const: that would lie in the file. */
static uint8_t zeros[MIB(1)];

/* Our names and OpenSSL's; NULL: CRC-32 as of zip. */
static const struct {
	const char *name, *evp;
} known[] = {
	{ "sha256", "SHA2-256" }, { "sha1", "SHA1" },       { "md5", "MD5" },
	{ "sha512", "SHA2-512" }, { "sha384", "SHA2-384" }, { "blake2b512", "BLAKE2B-512" },
	{ "crc32", NULL },
};

struct one {
	const char *name;
	EVP_MD *md;
	EVP_MD_CTX *ctx; /* NULL: */
	uint32_t crc;
	bool failed; /* reported by the absence of a result */
};

struct pl_hasher {
	size_t nr;
	struct one hashes[PLATTER_MAX_HASHES];
};

/* Is `given`, of n bytes, the name in any case and with any dashes? */
static bool
same_name(const char *name, const char *given, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (given[i] == '-' || given[i] == '_')
			continue;
		if (tolower((unsigned char)given[i]) != *name)
			return false;
		name++;
	}
	return !*name;
}

static int
unknown(const char *given, size_t n, struct platter_error *err)
{
	int r = pl_invalid(err, "unknown hash '%.*s'", (int)PL_MIN(n, (size_t)64), given);

	pl_hint(err, "there are sha256, sha512, sha384, sha1, md5, blake2b512 and crc32");
	return r;
}

static int
add(struct pl_hasher *h, const char *given, size_t n, struct platter_error *err)
{
	struct one *one = &h->hashes[h->nr];
	size_t i = 0;

	while (i < ARRAY_SIZE(known) && !same_name(known[i].name, given, n))
		i++;
	if (i == ARRAY_SIZE(known))
		return unknown(given, n, err);
	for (size_t j = 0; j < h->nr; j++)
		if (h->hashes[j].name == known[i].name)
			return pl_invalid(err, "hash '%s' is asked for twice", known[i].name);
	if (h->nr == PLATTER_MAX_HASHES)
		return pl_invalid(err, "more than %d hashes at once", PLATTER_MAX_HASHES);
	one->name = known[i].name;
	h->nr++;
	if (!known[i].evp)
		return 0;
	one->md = EVP_MD_fetch(NULL, known[i].evp, NULL);
	if (!one->md)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "the OpenSSL of this machine does not offer '%s'", one->name);
	one->ctx = EVP_MD_CTX_new();
	if (!one->ctx || !EVP_DigestInit_ex2(one->ctx, one->md, NULL))
		return pl_no_memory(err);
	return 0;
}

int
pl_hasher_new(const char *names, struct pl_hasher **ret, struct platter_error *err)
{
	struct pl_hasher *h = calloc(1, sizeof *h);
	int r = 0;

	if (!h)
		return pl_no_memory(err);
	while (r == 0) {
		size_t n = strcspn(names, ",");

		r = add(h, names, n, err);
		if (!names[n])
			break;
		names += n + 1;
	}
	if (r < 0)
		pl_hasher_free(h);
	else
		*ret = h;
	return r;
}

void
pl_hasher_free(struct pl_hasher *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->nr; i++) {
		EVP_MD_CTX_free(h->hashes[i].ctx);
		EVP_MD_free(h->hashes[i].md);
	}
	free(h);
}

size_t
pl_hasher_count(const struct pl_hasher *h)
{
	return h->nr;
}

void
pl_hasher_update(struct pl_hasher *h, size_t index, const void *buf, size_t n)
{
	struct one *one = &h->hashes[index];

	if (!one->ctx)
		one->crc = pl_crc32(one->crc, buf, n);
	else if (!EVP_DigestUpdate(one->ctx, buf, n))
		one->failed = true;
}

void
pl_hasher_update_zeros(struct pl_hasher *h, size_t index, uint64_t n)
{
	struct one *one = &h->hashes[index];

	if (!one->ctx) {
		one->crc = pl_crc32_zeros(one->crc, n);
		return;
	}
	while (n) {
		size_t piece = (size_t)PL_MIN(n, sizeof zeros);

		pl_hasher_update(h, index, zeros, piece);
		n -= piece;
	}
}

static bool
finish(struct one *one, uint8_t sum[static EVP_MAX_MD_SIZE], unsigned *ret_n)
{
	if (one->ctx)
		return !one->failed && EVP_DigestFinal_ex(one->ctx, sum, ret_n);
	put_be32(sum, one->crc);
	*ret_n = 4;
	return true;
}

void
pl_hasher_finish(struct pl_hasher *h, struct platter_hash ret[static PLATTER_MAX_HASHES],
		 size_t *ret_nr)
{
	size_t nr = 0;

	for (size_t i = 0; i < h->nr; i++) {
		static const char digits[] = "0123456789abcdef";
		uint8_t sum[EVP_MAX_MD_SIZE];
		struct platter_hash *out = &ret[nr];
		unsigned n;

		if (!finish(&h->hashes[i], sum, &n))
			continue;
		*out = (struct platter_hash){ 0 };
		strcpy(out->name, h->hashes[i].name);
		for (unsigned j = 0; j < n; j++) {
			out->hex[2 * j] = digits[sum[j] >> 4];
			out->hex[2 * j + 1] = digits[sum[j] & 15];
		}
		nr++;
	}
	*ret_nr = nr;
}
