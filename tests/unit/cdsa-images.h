/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cdsa-images.h - Apple's encryption, by OpenSSL's plain functions: images to be read */
#ifndef PL_TEST_CDSA_IMAGES_H
#define PL_TEST_CDSA_IMAGES_H

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "images.h"
#include "secret.h"

#define CDSA_REFERENCE 76
#define CDSA_RECORD    96
#define CDSA_DATA      2048

/* The answer to every question for a pass phrase, and how many there were. */
static const char *passphrase = "platter";
static unsigned questions;

static inline int
provide_passphrase(const struct platter_passphrase_request *request, char *buf, size_t room,
		   void *closure)
{
	size_t n = strlen(passphrase);

	(void)closure;
	questions++;
	if (request->attempt > 1 || n > room)
		return -ENOKEY;
	memcpy(buf, passphrase, n);
	return (int)n;
}

__attribute__((constructor)) static inline void
set_provider(void)
{
	pl_secret_set_provider(provide_passphrase, NULL);
}

static inline void
cipher_once(const EVP_CIPHER *cipher, int encrypt, const uint8_t *key, const uint8_t *iv,
	    const uint8_t *in, size_t n, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int done;

	EXPECT(ctx && EVP_CipherInit_ex(ctx, cipher, NULL, key, iv, encrypt) == 1);
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	EXPECT(EVP_CipherUpdate(ctx, out, &done, in, (int)n) == 1 && done == (int)n);
	EVP_CIPHER_CTX_free(ctx);
}

/* Keys of test images: AES, then HMAC-SHA1. */
static const uint8_t cdsa_keys[52] = "0123456789abcdef0123456789ABCDEFkey of the IVs, 160b";

static inline void
cdsa_block(unsigned bits, int encrypt, uint32_t number, const uint8_t *in, size_t n, uint8_t *out)
{
	uint8_t iv[20], counted[4];
	unsigned iv_size;

	put_be32(counted, number);
	HMAC(EVP_sha1(), cdsa_keys + 32, 20, counted, 4, iv, &iv_size);
	cipher_once(bits == 128 ? EVP_aes_128_cbc() : EVP_aes_256_cbc(), encrypt, cdsa_keys, iv, in,
		    n, out);
}

/* A header of CDSA_DATA bytes that "platter" opens. */
static inline void
cdsa_header(uint8_t *h, unsigned bits, uint32_t block, uint64_t length)
{
	uint8_t wrap[24], blob[64], iv[8] = "12345678", salt[20] = "salt of the keys, 20";
	size_t key = bits / 8, n = key + 25, pad = 8 - n % 8;
	uint8_t *k = h + CDSA_RECORD;

	memset(h, 0, CDSA_DATA);
	memcpy(h, "encrcdsa", 8);
	put_be32(h + 8, 2);
	put_be32(h + 12, 16);
	put_be32(h + 16, 5);
	put_be32(h + 20, 0x80000001);
	put_be32(h + 24, bits);
	put_be32(h + 28, 91);
	put_be32(h + 32, 160);
	memset(h + 36, 'u', 16);
	put_be32(h + 52, block);
	put_be64(h + 56, length);
	put_be64(h + 64, CDSA_DATA);
	put_be32(h + 72, 1);
	put_be32(h + CDSA_REFERENCE, 1);
	put_be64(h + CDSA_REFERENCE + 4, CDSA_RECORD);
	put_be64(h + CDSA_REFERENCE + 12, 616);

	put_be32(k, 103);
	put_be32(k + 8, 10);
	put_be32(k + 12, sizeof salt);
	memcpy(k + 16, salt, sizeof salt);
	put_be32(k + 48, 8);
	memcpy(k + 52, iv, sizeof iv);
	put_be32(k + 84, 192);
	put_be32(k + 88, 17);
	put_be32(k + 92, 7);
	put_be32(k + 96, 6);
	put_be32(k + 100, (uint32_t)(n + pad));
	memcpy(blob, cdsa_keys, key);
	memcpy(blob + key, cdsa_keys + 32, 20);
	memcpy(blob + key + 20, "CKIE", 5);
	memset(blob + n, (int)pad, pad);
	EXPECT(PKCS5_PBKDF2_HMAC("platter", 7, salt, sizeof salt, 10, EVP_sha1(), 24, wrap) == 1);
	cipher_once(EVP_des_ede3_cbc(), 1, wrap, iv, blob, n + pad, k + 104);
}

/* An encrypted image of `plain`, malloc()ed, of *ret_size bytes. */
static inline uint8_t *
cdsa_image(unsigned bits, uint32_t block, const uint8_t *plain, size_t n, size_t *ret_size)
{
	size_t whole = (size_t)pl_round_up(n, block);
	uint8_t *image = calloc(1, CDSA_DATA + whole), *last = calloc(1, whole + 1);

	EXPECT(image && last);
	memcpy(last, plain, n);
	cdsa_header(image, bits, block, n);
	for (size_t at = 0; at < whole; at += block)
		cdsa_block(bits, 1, (uint32_t)(at / block), last + at, block,
			   image + CDSA_DATA + at);
	free(last);
	*ret_size = CDSA_DATA + whole;
	return image;
}

#endif
