/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "bytes.h"
#include "hash.h"

static const struct {
	const char *name, *of_abc;
} vectors[] = {
	{ "sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "sha1", "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ "md5", "900150983cd24fb0d6963f7d28e17f72" },
	{ "sha384", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
		    "8086072ba1e7cc2358baeca134c825a7" },
	{ "sha512", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
	{ "blake2b512", "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
			"7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923" },
	{ "crc32", "352441c2" },
};

TEST(each_hash_gives_its_published_vector)
{
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct platter_error err = PLATTER_ERROR_INIT;
		struct platter_hash result[PLATTER_MAX_HASHES];
		struct pl_hasher *h;
		size_t nr;

		EXPECT_OK(pl_hasher_new(vectors[i].name, &h, &err));
		pl_hasher_update(h, 0, "ab", 2);
		pl_hasher_update(h, 0, "c", 1);
		pl_hasher_finish(h, result, &nr);
		pl_hasher_free(h);
		EXPECT_EQ(nr, 1);
		EXPECT_STR(result[0].name, vectors[i].name);
		EXPECT_STR(result[0].hex, vectors[i].of_abc);
	}
}

TEST(zeros_hash_as_a_buffer_of_zeros_does)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_hash result[PLATTER_MAX_HASHES];
	size_t n = (size_t)MIB(2) + 12345, nr;
	PL_AUTOFREE uint8_t *zeros = calloc(1, n);
	struct pl_hasher *h;
	char first[129];

	EXPECT_OK(pl_hasher_new("sha256", &h, &err));
	pl_hasher_update(h, 0, zeros, n);
	pl_hasher_finish(h, result, &nr);
	pl_hasher_free(h);
	strcpy(first, result[0].hex);
	EXPECT_OK(pl_hasher_new("sha256", &h, &err));
	pl_hasher_update_zeros(h, 0, n);
	pl_hasher_finish(h, result, &nr);
	pl_hasher_free(h);
	EXPECT_STR(result[0].hex, first);
}

TEST(several_hashes_come_in_the_order_asked_for_however_they_are_spelt)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_hash result[PLATTER_MAX_HASHES];
	struct pl_hasher *h;
	size_t nr;

	EXPECT_OK(pl_hasher_new("MD5,SHA-256,sha-1,Blake2b-512", &h, &err));
	EXPECT_EQ(pl_hasher_count(h), 4);
	pl_hasher_finish(h, result, &nr);
	pl_hasher_free(h);
	EXPECT_EQ(nr, 4);
	EXPECT_STR(result[0].name, "md5");
	EXPECT_STR(result[0].hex, "d41d8cd98f00b204e9800998ecf8427e");
	EXPECT_STR(result[1].name, "sha256");
	EXPECT_STR(result[2].name, "sha1");
	EXPECT_STR(result[3].name, "blake2b512");
}

TEST(lists_that_make_no_sense_are_refused_in_words)
{
	static const struct {
		const char *list, *says;
	} rows[] = {
		{ "crc64", "unknown hash 'crc64'" },
		{ "sha256,", "unknown hash ''" },
		{ "", "unknown hash ''" },
		{ "sha25", "unknown hash 'sha25'" },
		{ "sha256,SHA-256", "hash 'sha256' is asked for twice" },
		{ "sha256,md5,sha1,sha512,sha384", "more than 4 hashes at once" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct platter_error err = PLATTER_ERROR_INIT;
		struct pl_hasher *h;

		EXPECT_EQ(pl_hasher_new(rows[i].list, &h, &err), -EINVAL);
		EXPECT_STR(err.message, rows[i].says);
	}
}
