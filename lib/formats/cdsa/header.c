/* SPDX-License-Identifier: GPL-3.0-or-later */
/* header.c - the header of an encrypted image, and the keys in it; cdsa.h has the layout */
#include <openssl/evp.h>

#include "layout.h"
#include "secret.h"
#include "text.h"

#define MAX_REFERENCES 64u /* Apple's tools write one for each pass phrase and certificate */
#define MAX_SALT       32u
#define MIN_WRAPPED    48u /* AES-128 */
#define MAX_WRAPPED    512u
/* Of all records together, some seconds; Apple's tools ask for hundreds of thousands. */
#define MAX_ITERATIONS 10000000u

/* A key record that a pass phrase opens. */
struct record {
	uint64_t at; /* in the file */
	uint32_t iterations, salt_bytes, wrapped_bytes;
	uint8_t salt[MAX_SALT], iv[WRAP_IV_SIZE], wrapped[MAX_WRAPPED];
};

/* A field that has one value known. */
struct known {
	unsigned at;
	uint32_t value;
	const char *what;
};

static int
check_known(const uint8_t *bytes, uint64_t at, const struct known *k, size_t nr,
	    struct platter_error *err)
{
	for (size_t i = 0; i < nr; i++)
		if (get_be32(bytes + k[i].at) != k[i].value)
			return pl_unsupported(err, at + k[i].at,
					      "%s 0x%" PRIx32 ", only 0x%" PRIx32 " is known",
					      k[i].what, get_be32(bytes + k[i].at), k[i].value);
	return 0;
}

static int
check_identity(const uint8_t *h, size_t have, struct platter_error *err)
{
	static const struct known known[] = {
		{ VERSION, THIS_VERSION, "version" },
		{ IV_BYTES, AES_IV_SIZE, "initialization vectors of bytes" },
		{ MODE, MODE_CBC, "mode of the cipher" },
		{ CIPHER, CIPHER_AES, "cipher" },
		{ IV_MAKER, MAKER_HMAC, "maker of initialization vectors" },
		{ IV_KEY_BITS, 8 * SHA_DIGEST_LENGTH, "key bits for initialization vectors" },
	};

	if (have < HEADER_SIZE)
		return pl_corrupt(err, 0,
				  "file of %zu bytes is too short for the header of an encrypted"
				  " image",
				  have);
	if (memcmp(h, CDSA_MAGIC, CDSA_MAGIC_SIZE) != 0)
		return pl_corrupt(err, 0, "no magic of an encrypted image");
	return check_known(h, 0, known, ARRAY_SIZE(known), err);
}

static int
check_layout(const struct pl_cdsa_header *h, struct platter_error *err)
{
	if (h->key_bits != 128 && h->key_bits != 256)
		return pl_unsupported(err, KEY_BITS,
				      "key of %" PRIu32 " bits, only 128 and 256 are known",
				      h->key_bits);
	if (!pl_is_power_of_two(h->block_size) || h->block_size < CDSA_MIN_BLOCK ||
	    h->block_size > CDSA_MAX_BLOCK)
		return pl_corrupt(err, BLOCK_SIZE,
				  "blocks of %" PRIu32
				  " bytes, must be a power of two from %u to %u",
				  h->block_size, CDSA_MIN_BLOCK, CDSA_MAX_BLOCK);
	if (h->nr_keys > MAX_REFERENCES)
		return pl_over_limit(err, NR_KEYS, "%" PRIu32 " key records, limit is %u",
				     h->nr_keys, MAX_REFERENCES);
	return 0;
}

/* Where key record `index` is; *ret_kind: whether a pass phrase opens it. */
static int
read_reference(struct pl_disk *file, uint32_t index, uint32_t *ret_kind, uint64_t *ret_at,
	       uint64_t *ret_length, struct platter_error *err)
{
	uint64_t at = HEADER_SIZE + (uint64_t)REFERENCE_SIZE * index;
	uint8_t bytes[REFERENCE_SIZE];
	int r = pl_read_padded(file, bytes, sizeof bytes, at, NULL, err);

	if (r < 0)
		return r;
	*ret_kind = get_be32(bytes + REFERENCE_KIND);
	*ret_at = get_be64(bytes + REFERENCE_OFFSET);
	*ret_length = get_be64(bytes + REFERENCE_LENGTH);
	if (!pl_in_range(*ret_at, *ret_length, file->size))
		return pl_corrupt(err, at + REFERENCE_OFFSET,
				  "key record of %" PRIu64 " bytes at byte %" PRIu64
				  " passes the end of the file (%" PRIu64 " bytes)",
				  *ret_length, *ret_at, file->size);
	return 0;
}

static int
decode_record(const uint8_t *b, uint64_t at, uint64_t length, struct record *ret,
	      struct platter_error *err)
{
	static const struct known known[] = {
		{ DERIVATION, PBKDF2, "derivation of keys" },
		{ FUNCTION, HMAC_SHA1, "function that derives keys" },
		{ WRAP_IV_BYTES, WRAP_IV_SIZE, "initialization vector of bytes" },
		{ WRAP_KEY_BITS, 8 * WRAP_KEY_SIZE, "key bits" },
		{ WRAP_CIPHER, TRIPLE_DES, "cipher" },
		{ WRAP_PADDING, PADDING_PKCS, "padding" },
		{ WRAP_MODE, WRAP_MODE_CBC, "mode of the cipher" },
	};
	int r = check_known(b, at, known, ARRAY_SIZE(known), err);

	if (r < 0)
		return r;
	*ret = (struct record){ .at = at,
				.iterations = get_be32(b + ITERATIONS),
				.salt_bytes = get_be32(b + SALT_BYTES),
				.wrapped_bytes = get_be32(b + WRAPPED_BYTES) };
	if (ret->salt_bytes > MAX_SALT)
		return pl_corrupt(err, at + SALT_BYTES, "salt of %" PRIu32 " bytes, limit is %u",
				  ret->salt_bytes, MAX_SALT);
	if (!ret->iterations)
		return pl_corrupt(err, at + ITERATIONS, "keys derived in no iterations");
	if (ret->wrapped_bytes < MIN_WRAPPED || ret->wrapped_bytes > MAX_WRAPPED ||
	    ret->wrapped_bytes % WRAP_IV_SIZE || ret->wrapped_bytes > length - RECORD_SIZE)
		return pl_corrupt(err, at + WRAPPED_BYTES,
				  "%" PRIu32
				  " bytes of wrapped keys, must be whole blocks of %u from %u to"
				  " %u, in a record of %" PRIu64,
				  ret->wrapped_bytes, WRAP_IV_SIZE, MIN_WRAPPED, MAX_WRAPPED,
				  length);
	memcpy(ret->salt, b + SALT, MAX_SALT);
	memcpy(ret->iv, b + WRAP_IV, WRAP_IV_SIZE);
	memcpy(ret->wrapped, b + RECORD_SIZE, ret->wrapped_bytes);
	return 0;
}

/* Key record `index`, if a pass phrase opens it; *ret_other is set for others. */
static int
read_record(struct pl_disk *file, uint32_t index, struct record *ret, bool *ret_other,
	    struct platter_error *err)
{
	uint8_t bytes[RECORD_SIZE + MAX_WRAPPED];
	uint64_t at, length;
	uint32_t kind;
	int r = read_reference(file, index, &kind, &at, &length, err);

	*ret_other = r == 0 && kind != KEY_PASSPHRASE;
	if (r < 0 || *ret_other)
		return r;
	if (length < RECORD_SIZE)
		return pl_corrupt(err, HEADER_SIZE + REFERENCE_SIZE * index + REFERENCE_LENGTH,
				  "key record of %" PRIu64 " bytes, minimum is %u", length,
				  RECORD_SIZE);
	r = pl_read_padded(file, bytes, sizeof bytes, at, NULL, err);
	return r < 0 ? r : decode_record(bytes, at, length, ret, err);
}

/* What a pass phrase is tried on. */
struct unlocking {
	struct pl_disk *file;
	const struct pl_cdsa_header *header;
	struct pl_cdsa_keys *ret;
};

static bool
unwrap(const struct record *k, const uint8_t *wrap_key, uint8_t *out, size_t *ret_n)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, rest = 0;
	/* The padding is checked with the rest: a wrong key is no error of the library's. */
	bool done = ctx &&
		    EVP_DecryptInit_ex(ctx, EVP_des_ede3_cbc(), NULL, wrap_key, k->iv) == 1 &&
		    EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
		    EVP_DecryptUpdate(ctx, out, &n, k->wrapped, (int)k->wrapped_bytes) == 1 &&
		    EVP_DecryptFinal_ex(ctx, out + n, &rest) == 1;

	EVP_CIPHER_CTX_free(ctx);
	*ret_n = (size_t)(n + rest);
	return done;
}

/* The keys stand in front of a mark and padding of 1 to 8 bytes that tell their number. */
static bool
take_keys(const uint8_t *plain, size_t n, const struct pl_cdsa_header *h, struct pl_cdsa_keys *ret)
{
	size_t key = h->key_bits / 8, whole = key + SHA_DIGEST_LENGTH + END_MARK_SIZE;
	uint8_t pad = n ? plain[n - 1] : 0;

	if (pad < 1 || pad > WRAP_IV_SIZE || n != whole + pad)
		return false;
	for (size_t i = whole; i < n; i++)
		if (plain[i] != pad)
			return false;
	if (memcmp(plain + key + SHA_DIGEST_LENGTH, END_MARK, END_MARK_SIZE) != 0)
		return false;
	memset(ret, 0, sizeof *ret);
	memcpy(ret->aes, plain, key);
	memcpy(ret->hmac, plain + key, SHA_DIGEST_LENGTH);
	return true;
}

static int
try_record(const struct record *k, const char *secret, size_t n, const struct unlocking *u,
	   struct platter_error *err)
{
	uint8_t wrap_key[WRAP_KEY_SIZE], plain[MAX_WRAPPED + WRAP_IV_SIZE];
	size_t length = 0;
	int r = 0;

	if (PKCS5_PBKDF2_HMAC_SHA1(secret, (int)n, k->salt, (int)k->salt_bytes, (int)k->iterations,
				   WRAP_KEY_SIZE, wrap_key) != 1 ||
	    !unwrap(k, wrap_key, plain, &length))
		r = pl_cdsa_refused("PBKDF2 with SHA-1, or triple DES", err);
	else if (!take_keys(plain, length, u->header, u->ret))
		r = -EKEYREJECTED;
	pl_cdsa_wipe(wrap_key, sizeof wrap_key);
	pl_cdsa_wipe(plain, sizeof plain);
	return r;
}

static int
try_secret(void *closure, const char *secret, size_t n, struct platter_error *err)
{
	struct unlocking *u = closure;
	int r = -EKEYREJECTED;

	for (uint32_t i = 0; i < u->header->nr_keys && r == -EKEYREJECTED; i++) {
		struct record k;
		bool other;

		r = read_record(u->file, i, &k, &other, err);
		if (r == 0)
			r = other ? -EKEYREJECTED : try_record(&k, secret, n, u, err);
	}
	return r;
}

/* Is there a record to try a pass phrase on, and may all of them be tried? */
static int
check_records(struct pl_disk *file, struct pl_cdsa_header *h, struct platter_error *err)
{
	uint64_t iterations = 0;
	struct record k;
	bool other;

	for (uint32_t i = 0; i < h->nr_keys; i++) {
		int r = read_record(file, i, &k, &other, err);

		if (r < 0)
			return r;
		if (other)
			continue;
		if (!iterations)
			h->iterations = k.iterations;
		iterations += k.iterations;
		if (iterations > MAX_ITERATIONS)
			return pl_over_limit(err, k.at + ITERATIONS,
					     "keys derived in %" PRIu64 " iterations, limit is %u",
					     iterations, MAX_ITERATIONS);
	}
	return 0;
}

int
pl_cdsa_read_header(struct pl_disk *file, struct pl_cdsa_header *ret, struct platter_error *err)
{
	uint8_t h[HEADER_SIZE];
	size_t have;
	int r = pl_read_padded(file, h, sizeof h, 0, &have, err);

	if (r == 0)
		r = check_identity(h, have, err);
	if (r < 0)
		return r;
	*ret = (struct pl_cdsa_header){ .key_bits = get_be32(h + KEY_BITS),
					.block_size = get_be32(h + BLOCK_SIZE),
					.length = get_be64(h + LENGTH),
					.data_offset = get_be64(h + DATA_OFFSET),
					.nr_keys = get_be32(h + NR_KEYS) };
	memcpy(ret->uuid, h + UUID, sizeof ret->uuid);
	r = check_layout(ret, err);
	return r < 0 ? r : check_records(file, ret, err);
}

int
pl_cdsa_check_place(const struct pl_cdsa_header *h, struct platter_error *err)
{
	/* Blocks have numbers of 32 bits. */
	if (pl_div_round_up(h->length, h->block_size) > UINT64_C(1) << 32)
		return pl_corrupt(err, LENGTH,
				  "%" PRIu64 " bytes are more than 2^32 blocks of %" PRIu32,
				  h->length, h->block_size);
	if (h->data_offset < HEADER_SIZE + REFERENCE_SIZE * h->nr_keys)
		return pl_corrupt(err, DATA_OFFSET,
				  "what is encrypted begins at byte %" PRIu64 ", within the header",
				  h->data_offset);
	if (h->data_offset > INT64_MAX - CDSA_MAX_BLOCK)
		return pl_corrupt(err, DATA_OFFSET,
				  "what is encrypted begins at byte %" PRIu64 ", past any file",
				  h->data_offset);
	return 0;
}

int
pl_cdsa_unlock(struct pl_disk *file, const struct pl_cdsa_header *header, struct pl_cdsa_keys *ret,
	       struct platter_error *err)
{
	struct unlocking u = { file, header, ret };
	int r;

	if (header->iterations)
		return pl_secret_try(file->name, try_secret, &u, err);
	r = pl_unsupported(err, NR_KEYS,
			   "no pass phrase opens '%s': its keys are for certificates or a keychain",
			   file->name);
	pl_hint(err, "on a Mac that has the certificate, add a pass phrase or convert the image");
	return r;
}

void
pl_cdsa_describe(const struct pl_cdsa_header *header, struct pl_facts *facts)
{
	char uuid[PL_UUID_TEXT];

	pl_uuid_text(header->uuid, uuid);
	pl_fact_text(facts, "encryption", "Encryption", "AES-%" PRIu32, header->key_bits);
	pl_fact_size(facts, "encrypted_block_size", "Encrypted in blocks of", header->block_size);
	pl_fact_number(facts, "key_iterations", "Iterations of PBKDF2", header->iterations);
	pl_fact_number(facts, "key_records", "Key records", header->nr_keys);
	pl_fact_text(facts, "uuid", "UUID", "%s", uuid);
}
