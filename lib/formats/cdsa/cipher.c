/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cipher.c - blocks encrypted by themselves
 *
 * Of HMAC-SHA1 each block needs two rounds over a few bytes, behind states that the key alone
 * makes.  OpenSSL's present interface allocates for each, which costs more than the work: here
 * is what it calls the low level one.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "layout.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

void
pl_cdsa_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

int
pl_cdsa_refused(const char *what, struct platter_error *err)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);
	int r;

	ERR_clear_error();
	if (!code || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
		return pl_no_memory(err);
	r = pl_unsupported(err, PLATTER_NO_OFFSET, "OpenSSL refuses %s: %s", what,
			   reason ? reason : "unknown reason");
	pl_hint(err, "it may run in FIPS mode, which forbids what these images are encrypted with;"
		     " a configuration without it can be named in OPENSSL_CONF");
	return r;
}

/* RFC 2104: the key, padded with zeros to a block of the hash, over `byte`. */
static void
begin_hash(SHA_CTX *ctx, const uint8_t *key, uint8_t byte)
{
	uint8_t pad[SHA_CBLOCK];

	memset(pad, byte, sizeof pad);
	for (size_t i = 0; i < SHA_DIGEST_LENGTH; i++)
		pad[i] ^= key[i];
	SHA1_Init(ctx);
	SHA1_Update(ctx, pad, sizeof pad);
	pl_cdsa_wipe(pad, sizeof pad);
}

void
pl_cdsa_cipher_init(struct pl_cdsa_cipher *c, const struct pl_cdsa_header *header,
		    const struct pl_cdsa_keys *keys)
{
	memcpy(c->key, keys->aes, sizeof c->key);
	c->key_bits = header->key_bits;
	c->block_size = header->block_size;
	begin_hash(&c->inner, keys->hmac, 0x36);
	begin_hash(&c->outer, keys->hmac, 0x5c);
}

static void
make_iv(const struct pl_cdsa_cipher *c, uint32_t block, uint8_t digest[static SHA_DIGEST_LENGTH])
{
	SHA_CTX ctx = c->inner;
	uint8_t number[4];

	put_be32(number, block);
	SHA1_Update(&ctx, number, sizeof number);
	SHA1_Final(digest, &ctx);
	ctx = c->outer;
	SHA1_Update(&ctx, digest, SHA_DIGEST_LENGTH);
	SHA1_Final(digest, &ctx);
}

static bool
run_blocks(const struct pl_cdsa_cipher *c, EVP_CIPHER_CTX *ctx, const uint8_t *in, uint8_t *out,
	   size_t n, uint64_t block)
{
	uint8_t digest[SHA_DIGEST_LENGTH];

	for (size_t at = 0; at < n; at += c->block_size, block++) {
		int done;

		make_iv(c, (uint32_t)block, digest);
		if (EVP_CipherInit_ex(ctx, NULL, NULL, NULL, digest, -1) != 1 ||
		    EVP_CipherUpdate(ctx, out + at, &done, in + at, (int)c->block_size) != 1)
			return false;
	}
	return true;
}

static int
run_cipher(const struct pl_cdsa_cipher *c, const uint8_t *in, uint8_t *out, size_t n,
	   uint64_t block, int encrypt, struct platter_error *err)
{
	const EVP_CIPHER *aes = c->key_bits == 128 ? EVP_aes_128_cbc() : EVP_aes_256_cbc();
	static const uint8_t no_iv[AES_IV_SIZE];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool done = ctx && EVP_CipherInit_ex(ctx, aes, NULL, c->key, no_iv, encrypt) == 1 &&
		    EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
		    run_blocks(c, ctx, in, out, n, block);

	EVP_CIPHER_CTX_free(ctx);
	return done ? 0 : pl_cdsa_refused("AES in CBC mode", err);
}

int
pl_cdsa_decrypt(const struct pl_cdsa_cipher *c, const uint8_t *in, uint8_t *out, size_t n,
		uint64_t block, struct platter_error *err)
{
	return run_cipher(c, in, out, n, block, 0, err);
}

int
pl_cdsa_encrypt(const struct pl_cdsa_cipher *c, const uint8_t *in, uint8_t *out, size_t n,
		uint64_t block, struct platter_error *err)
{
	return run_cipher(c, in, out, n, block, 1, err);
}
