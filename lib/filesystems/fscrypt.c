/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fscrypt.c - names in encrypted folders whose key is not known, of all file systems that use
 * Linux' fscrypt
 *
 * Linux shows such a name as base64url, without padding, of its hash in the folder, its
 * first 149 encrypted bytes, and the SHA-256 of what is left: see the comment above
 * struct fscrypt_nokey_name in fs/crypto/fname.c.  Here it is the same.
 */
#include <openssl/evp.h>

#include "fscrypt.h"

enum {
	HASHES = 8,
	SHOWN = 149,
	DIGEST = 32,
	MIN_ENCRYPTED = 16, /* AES works on no less */
};

static size_t
base64url(const uint8_t *bytes, size_t n, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32_t bits = 0;
	unsigned nr_bits = 0;
	size_t length = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | bytes[i];
		for (nr_bits += 8; nr_bits >= 6; nr_bits -= 6)
			out[length++] = digits[bits >> (nr_bits - 6) & 63];
	}
	if (nr_bits)
		out[length++] = digits[bits << (6 - nr_bits) & 63];
	out[length] = '\0';
	return length;
}

size_t
pl_fscrypt_name(const uint8_t *name, size_t n, uint32_t hash, uint32_t minor_hash,
		char out[static PL_FSCRYPT_NAME])
{
	uint8_t shown[HASHES + SHOWN + DIGEST];
	size_t length = HASHES + PL_MIN(n, SHOWN);

	if ((n == 1 && name[0] == '.') || (n == 2 && name[0] == '.' && name[1] == '.')) {
		memcpy(out, name, n);
		out[n] = '\0';
		return n;
	}
	if (n < MIN_ENCRYPTED)
		return 0;
	put_le32(shown, hash);
	put_le32(shown + 4, minor_hash);
	memcpy(shown + HASHES, name, length - HASHES);
	if (n > SHOWN) {
		if (!EVP_Digest(name + SHOWN, n - SHOWN, shown + length, NULL, EVP_sha256(), NULL))
			return 0;
		length += DIGEST;
	}
	return base64url(shown, length, out);
}
