/* SPDX-License-Identifier: GPL-3.0-or-later */
/* create.c - new encrypted images; cdsa.h has the layout */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <time.h>

#include "layout.h"
#include "secret.h"

/* As Apple's tools place and size the key record. */
#define RECORD        96u
#define RECORD_LENGTH 616u
#define SALT_SIZE     20u

/* A third of a second of this machine's time, but not less than is asked for elsewhere. */
#define MIN_ITERATIONS 250000u
#define MAX_ITERATIONS 5000000u
#define TRIAL          50000u
#define WANTED_SECONDS 0.3

int
pl_cdsa_read_option(const char *text, uint32_t *ret_bits, struct platter_error *err)
{
	*ret_bits = 0;
	if (!text)
		return 0;
	if (strcmp(text, "AES-128") == 0)
		*ret_bits = 128;
	else if (strcmp(text, "AES-256") == 0)
		*ret_bits = 256;
	else
		return pl_invalid(err, "option encryption=%s: allowed is AES-128 or AES-256", text);
	return 0;
}

uint64_t
pl_cdsa_stored_length(uint64_t length)
{
	return CDSA_NEW_DATA_OFFSET + pl_round_up(length, CDSA_NEW_BLOCK);
}

static int
make_random(void *bytes, size_t n, struct platter_error *err)
{
	return RAND_bytes(bytes, (int)n) == 1
		       ? 0
		       : pl_fail(err, -EIO, "the random numbers for keys cannot be made");
}

/* What a pass phrase makes a header with. */
struct making {
	uint32_t key_bits;
	uint8_t *bytes;
	const struct pl_cdsa_keys *keys;
};

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t
calibrated_iterations(void)
{
	static const uint8_t salt[SALT_SIZE];
	uint8_t key[WRAP_KEY_SIZE];
	double start = seconds(), took, wanted;

	PKCS5_PBKDF2_HMAC_SHA1("trial", 5, salt, sizeof salt, TRIAL, sizeof key, key);
	took = seconds() - start;
	wanted = took > 0 ? WANTED_SECONDS / took * TRIAL : MAX_ITERATIONS;
	if (wanted >= MAX_ITERATIONS)
		return MAX_ITERATIONS;
	return wanted <= MIN_ITERATIONS ? MIN_ITERATIONS : (uint32_t)wanted;
}

/* The keys with their mark, wrapped into `out`; returns their length, 0: it failed. */
static size_t
wrap(const struct making *m, const uint8_t *wrap_key, const uint8_t *iv, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t key = m->key_bits / 8, n = key + SHA_DIGEST_LENGTH + END_MARK_SIZE;
	uint8_t plain[sizeof m->keys->aes + SHA_DIGEST_LENGTH + END_MARK_SIZE];
	int first = 0, rest = 0;
	bool done;

	memcpy(plain, m->keys->aes, key);
	memcpy(plain + key, m->keys->hmac, SHA_DIGEST_LENGTH);
	memcpy(plain + key + SHA_DIGEST_LENGTH, END_MARK, END_MARK_SIZE);
	done = ctx && EVP_EncryptInit_ex(ctx, EVP_des_ede3_cbc(), NULL, wrap_key, iv) == 1 &&
	       EVP_EncryptUpdate(ctx, out, &first, plain, (int)n) == 1 &&
	       EVP_EncryptFinal_ex(ctx, out + first, &rest) == 1;
	EVP_CIPHER_CTX_free(ctx);
	pl_cdsa_wipe(plain, sizeof plain);
	return done ? (size_t)(first + rest) : 0;
}

static int
make_record(void *closure, const char *secret, size_t n, struct platter_error *err)
{
	const struct making *m = closure;
	uint8_t *k = m->bytes + RECORD, wrap_key[WRAP_KEY_SIZE];
	uint32_t iterations = calibrated_iterations();
	size_t wrapped = 0;
	int r = make_random(k + SALT, SALT_SIZE, err);

	if (r == 0)
		r = make_random(k + WRAP_IV, WRAP_IV_SIZE, err);
	if (r < 0)
		return r;
	if (PKCS5_PBKDF2_HMAC_SHA1(secret, (int)n, k + SALT, SALT_SIZE, (int)iterations,
				   sizeof wrap_key, wrap_key) == 1)
		wrapped = wrap(m, wrap_key, k + WRAP_IV, k + RECORD_SIZE);
	pl_cdsa_wipe(wrap_key, sizeof wrap_key);
	if (!wrapped)
		return pl_cdsa_refused("PBKDF2 with SHA-1, or triple DES", err);
	put_be32(k + DERIVATION, PBKDF2);
	put_be32(k + FUNCTION, HMAC_SHA1);
	put_be32(k + ITERATIONS, iterations);
	put_be32(k + SALT_BYTES, SALT_SIZE);
	put_be32(k + WRAP_IV_BYTES, WRAP_IV_SIZE);
	put_be32(k + WRAP_KEY_BITS, 8 * WRAP_KEY_SIZE);
	put_be32(k + WRAP_CIPHER, TRIPLE_DES);
	put_be32(k + WRAP_PADDING, PADDING_PKCS);
	put_be32(k + WRAP_MODE, WRAP_MODE_CBC);
	put_be32(k + WRAPPED_BYTES, (uint32_t)wrapped);
	return 0;
}

static void
put_header(uint8_t *h, const struct pl_cdsa_header *header)
{
	memcpy(h, CDSA_MAGIC, CDSA_MAGIC_SIZE);
	put_be32(h + VERSION, THIS_VERSION);
	put_be32(h + IV_BYTES, AES_IV_SIZE);
	put_be32(h + MODE, MODE_CBC);
	put_be32(h + CIPHER, CIPHER_AES);
	put_be32(h + KEY_BITS, header->key_bits);
	put_be32(h + IV_MAKER, MAKER_HMAC);
	put_be32(h + IV_KEY_BITS, 8 * SHA_DIGEST_LENGTH);
	memcpy(h + UUID, header->uuid, sizeof header->uuid);
	put_be32(h + BLOCK_SIZE, header->block_size);
	put_be64(h + LENGTH, header->length);
	put_be64(h + DATA_OFFSET, header->data_offset);
	put_be32(h + NR_KEYS, header->nr_keys);
	put_be32(h + HEADER_SIZE + REFERENCE_KIND, KEY_PASSPHRASE);
	put_be64(h + HEADER_SIZE + REFERENCE_OFFSET, RECORD);
	put_be64(h + HEADER_SIZE + REFERENCE_LENGTH, RECORD_LENGTH);
}

int
pl_cdsa_new_header(const char *what, uint32_t key_bits, uint8_t *ret_bytes,
		   struct pl_cdsa_header *ret, struct pl_cdsa_keys *ret_keys,
		   struct platter_error *err)
{
	struct making m = { key_bits, ret_bytes, ret_keys };
	int r;

	*ret = (struct pl_cdsa_header){ .key_bits = key_bits,
					.block_size = CDSA_NEW_BLOCK,
					.data_offset = CDSA_NEW_DATA_OFFSET,
					.nr_keys = 1 };
	memset(ret_keys, 0, sizeof *ret_keys);
	memset(ret_bytes, 0, CDSA_NEW_DATA_OFFSET);
	r = make_random(ret->uuid, sizeof ret->uuid, err);
	if (r == 0)
		r = make_random(ret_keys->aes, key_bits / 8, err);
	if (r == 0)
		r = make_random(ret_keys->hmac, sizeof ret_keys->hmac, err);
	if (r == 0)
		r = pl_secret_new(what, make_record, &m, err);
	if (r == 0)
		put_header(ret_bytes, ret);
	return r;
}

int
pl_cdsa_create(struct pl_disk *file, uint32_t key_bits, struct pl_disk **ret,
	       struct platter_error *err)
{
	const struct pl_cdsa_layout layout = { .data_offset = CDSA_NEW_DATA_OFFSET,
					       .has_header = true };
	PL_AUTOFREE uint8_t *bytes = malloc(CDSA_NEW_DATA_OFFSET);
	struct pl_cdsa_header header;
	struct pl_cdsa_keys keys;
	int r;

	if (!bytes)
		return pl_no_memory(err);
	if (file->sequential) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "an encrypted image cannot be written to a stream");
		pl_hint(err, "write it to a file");
		return r;
	}
	r = pl_cdsa_new_header(file->name, key_bits, bytes, &header, &keys, err);
	if (r == 0)
		r = pl_resize(file, 0, err);
	if (r == 0)
		r = pl_write(file, bytes, CDSA_NEW_DATA_OFFSET, 0, err);
	if (r == 0)
		r = pl_cdsa_disk_new(file, &header, &keys, &layout, true, ret, err);
	pl_cdsa_wipe(&keys, sizeof keys);
	return r;
}
