/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-encrcdsa.c - encrypted images in view, read, written, and with one field broken */
#include "cdsa-images.h"
#include "writes.h"

#define SIZE 200100u

static uint8_t plain[SIZE];

static uint8_t *
make_image(unsigned bits, uint32_t block, size_t *ret_n)
{
	for (size_t i = 0; i < SIZE; i++)
		plain[i] = (uint8_t)(i * i >> 7);
	return cdsa_image(bits, block, plain, SIZE, ret_n);
}

TEST(images_of_either_key_and_any_block_size_read_as_what_was_encrypted)
{
	static const struct {
		unsigned bits;
		uint32_t block;
	} kinds[] = { { 128, 512 }, { 256, 512 }, { 128, 4096 }, { 256, 65536 } };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		size_t n;
		PL_AUTOFREE uint8_t *image = make_image(kinds[i].bits, kinds[i].block, &n);

		EXPECT_OK(try_bytes(image, n, NULL, &disk));
		EXPECT_STR(pl_format_of(disk)->info.name, "encrcdsa");
		EXPECT_EQ(disk->size, SIZE);
		expect_equal(disk, plain, SIZE);
		expect_whole_map(disk);
		for (int j = 0; j < 100; j++) {
			uint8_t buf[3000];
			size_t length = 1 + rnd(sizeof buf), at = rnd(SIZE - length);

			EXPECT_OK(pl_read(disk, buf, length, at, &err));
			EXPECT_MEM(buf, plain + at, length);
		}
	}
}

TEST(a_wrong_pass_phrase_is_told_from_damage)
{
	struct pl_disk *disk;
	size_t n;
	PL_AUTOFREE uint8_t *image = make_image(128, 512, &n);

	passphrase = "Platter";
	EXPECT_EQ(try_bytes(image, n, NULL, &disk), -EKEYREJECTED);
	passphrase = "";
	EXPECT_EQ(try_bytes(image, n, NULL, &disk), -EKEYREJECTED);
	pl_secret_set_provider(NULL, NULL);
	EXPECT_EQ(try_bytes(image, n, NULL, &disk), -ENOKEY);
	set_provider();
	passphrase = "platter";
}

TEST(a_broken_field_is_named_before_anybody_is_asked)
{
	static const struct {
		size_t at;
		uint32_t value;
		int code;
	} fields[] = {
		{ 0, 0x656e6373, -EUCLEAN },
		{ 8, 1, -ENOTSUP },
		{ 12, 8, -ENOTSUP },
		{ 16, 6, -ENOTSUP },
		{ 20, 0x80000002, -ENOTSUP },
		{ 24, 192, -ENOTSUP },
		{ 28, 90, -ENOTSUP },
		{ 32, 128, -ENOTSUP },
		{ 52, 0, -EUCLEAN },
		{ 52, 256, -EUCLEAN },
		{ 52, 1000, -EUCLEAN },
		{ 52, 131072, -EUCLEAN },
		{ 56, 0x201, -EUCLEAN }, /* more than 2^32 blocks */
		{ 64, 0x80000000, -EUCLEAN },
		{ 72, 65, -EFBIG },
		{ 72, 0, -ENOTSUP },
		{ CDSA_REFERENCE, 2, -ENOTSUP },
		{ CDSA_REFERENCE + 4, 1, -EUCLEAN },
		{ CDSA_REFERENCE + 12, 1, -EUCLEAN },
		{ CDSA_REFERENCE + 16, 103, -EUCLEAN },
		{ CDSA_RECORD, 104, -ENOTSUP },
		{ CDSA_RECORD + 4, 1, -ENOTSUP },
		{ CDSA_RECORD + 8, 0, -EUCLEAN },
		{ CDSA_RECORD + 8, 10000001, -EFBIG },
		{ CDSA_RECORD + 8, 0xffffffff, -EFBIG },
		{ CDSA_RECORD + 12, 33, -EUCLEAN },
		{ CDSA_RECORD + 48, 16, -ENOTSUP },
		{ CDSA_RECORD + 84, 128, -ENOTSUP },
		{ CDSA_RECORD + 88, 16, -ENOTSUP },
		{ CDSA_RECORD + 92, 0, -ENOTSUP },
		{ CDSA_RECORD + 96, 5, -ENOTSUP },
		{ CDSA_RECORD + 100, 40, -EUCLEAN },
		{ CDSA_RECORD + 100, 49, -EUCLEAN },
		{ CDSA_RECORD + 100, 520, -EUCLEAN },
	};
	size_t n;
	PL_AUTOFREE uint8_t *image = make_image(128, 512, &n);

	questions = 0;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint8_t kept[4];
		/* A certificate stands in the list of keys, and so does what is wrong with it. */
		size_t at = fields[i].at == CDSA_REFERENCE || !fields[i].value ? 72 : fields[i].at;

		if (fields[i].at == 52 || fields[i].at == CDSA_RECORD + 8)
			at = fields[i].at;
		if (fields[i].at == CDSA_REFERENCE + 12)
			at = CDSA_REFERENCE + 4;
		if (fields[i].at == CDSA_REFERENCE + 16)
			at = CDSA_REFERENCE + 12;
		if (fields[i].at == CDSA_RECORD + 92)
			at = fields[i].at;
		printf("# field at %zu\n", fields[i].at);
		memcpy(kept, image + fields[i].at, 4);
		put_be32(image + fields[i].at, fields[i].value);
		expect_refused(image, n, "encrcdsa", fields[i].code, at);
		memcpy(image + fields[i].at, kept, 4);
	}
	expect_refused(image, 50, "encrcdsa", -EUCLEAN, 0);
	EXPECT_EQ(questions, 0);
}

/* Records that a pass phrase does not open, or not this one, are passed over. */
TEST(any_key_record_may_be_the_one)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	size_t n;
	PL_AUTOFREE uint8_t *image = make_image(256, 512, &n);

	memcpy(image + 1000, image + CDSA_RECORD, 616);
	memset(image + CDSA_REFERENCE, 0, 60 + 616);
	put_be32(image + 72, 3);
	put_be32(image + CDSA_REFERENCE, 2);
	put_be64(image + CDSA_REFERENCE + 4, 200);
	put_be64(image + CDSA_REFERENCE + 12, 10);
	for (int i = 1; i < 3; i++) {
		put_be32(image + CDSA_REFERENCE + 20 * i, 1);
		put_be64(image + CDSA_REFERENCE + 20 * i + 4, i == 1 ? 200 : 1000);
		put_be64(image + CDSA_REFERENCE + 20 * i + 12, 616);
	}
	memcpy(image + 200, image + 1000, 616);
	image[200 + 104 + 60] ^= 1;
	EXPECT_OK(try_bytes(image, n, NULL, &disk));
	expect_equal(disk, plain, SIZE);
}

/* Only of what is in the file can be told what it is; to rescue that is another matter. */
TEST(what_is_cut_short_is_opened_to_rescue_it_alone)
{
	PL_AUTOUNREF struct pl_disk *file = NULL, *disk = NULL;
	size_t n;
	PL_AUTOFREE uint8_t *image = make_image(128, 512, &n);

	expect_refused(image, CDSA_DATA + KIB(64) + 512, NULL, -EUCLEAN, n - 3584);
	EXPECT_OK(pl_memory_new(image, CDSA_DATA + KIB(64) + 700, "image", &file, &err));
	EXPECT_OK(
		pl_image_open(file, NULL, NULL, NULL, PLATTER_OPEN_IGNORE_CHECKSUMS, &disk, &err));
	expect_equal(disk, plain, KIB(64) + 512);
}

TEST(petabytes_that_a_header_claims_cost_nothing)
{
	size_t n;
	PL_AUTOFREE uint8_t *image = make_image(128, 65536, &n);

	put_be64(image + 56, UINT64_C(1) << 48);
	expect_refused(image, n, NULL, -EUCLEAN, (UINT64_C(1) << 48) - KIB(64) + CDSA_DATA);
}

TEST(the_first_version_is_refused_by_its_name)
{
	uint8_t old[2000] = { 0 };

	memcpy(old + sizeof old - 8, "cdsaencr", 8);
	expect_refused(old, sizeof old, NULL, -ENOTSUP, sizeof old - 8);
	EXPECT(strstr(err.message, "cdsaencr"));
}

TEST(what_is_encrypted_twice_is_refused)
{
	size_t n, twice;
	PL_AUTOFREE uint8_t *image = make_image(128, 512, &n);
	PL_AUTOFREE uint8_t *outer = cdsa_image(128, 512, image, n, &twice);
	struct pl_disk *disk;

	EXPECT_EQ(try_bytes(outer, twice, NULL, &disk), -ENOTSUP);
}

/* Format names are of what is inside, but for the encryption's own and raw. */
TEST(a_format_that_is_named_is_that_of_what_is_encrypted)
{
	PL_AUTOUNREF struct pl_disk *raw = NULL;
	size_t n;
	PL_AUTOFREE uint8_t *image = make_image(128, 512, &n);
	struct pl_disk *disk;

	EXPECT_OK(try_bytes(image, n, "raw", &raw));
	EXPECT_EQ(raw->size, n);
	EXPECT_EQ(try_bytes(image, n, "vdi", &disk), -EUCLEAN);
	EXPECT(strstr(err.message, "VDI signature"));
}

static void
expect_decrypts(const char *name, unsigned bits, uint32_t block, const uint8_t *wanted, size_t n)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOFREE uint8_t *stored = malloc(block), *out = malloc(block);

	EXPECT_OK(pl_storage_open(path, 0, &file, &err));
	for (size_t at = 0; at < n; at += block) {
		EXPECT_OK(pl_read(file, stored, block, CDSA_DATA + at, &err));
		cdsa_block(bits, 0, (uint32_t)(at / block), stored, block, out);
		EXPECT_MEM(out, wanted + at, PL_MIN(n - at, (size_t)block));
	}
}

TEST(random_writes_decrypt_as_what_was_written)
{
	static const uint32_t blocks[] = { 512, 4096 };

	for (size_t k = 0; k < ARRAY_SIZE(blocks); k++) {
		size_t n;
		PL_AUTOFREE uint8_t *image = make_image(256, blocks[k], &n);
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		uint8_t buf[20000];

		write_file("w.dmg", image, n);
		EXPECT_OK(try_open("w.dmg", PLATTER_OPEN_WRITE, &disk));
		for (int i = 0; i < 300; i++) {
			size_t length = 1 + rnd(rnd(2) ? 700 : sizeof buf), at = rnd(SIZE - length);
			bool zero = rnd(4) == 0;

			memset(buf, zero ? 0 : (int)rnd(256), length);
			memcpy(plain + at, buf, length);
			EXPECT_OK(zero ? pl_zero(disk, at, length, 0, &err)
				       : pl_write(disk, buf, length, at, &err));
			if (i % 30 == 0)
				expect_equal(disk, plain, SIZE);
		}
		EXPECT_OK(pl_flush(disk, &err));
		expect_equal(disk, plain, SIZE);
		expect_decrypts("w.dmg", 256, blocks[k], plain, SIZE);
	}
}

TEST(it_grows_with_zeros_and_its_header_follows)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL, *again = NULL;
	size_t n;
	PL_AUTOFREE uint8_t *image = make_image(128, 512, &n);
	PL_AUTOFREE uint8_t *wanted = calloc(1, 3 * SIZE);

	write_file("g.dmg", image, n);
	memcpy(wanted, plain, SIZE);
	EXPECT_OK(try_open("g.dmg", PLATTER_OPEN_WRITE, &disk));
	EXPECT_OK(pl_resize(disk, 2 * SIZE + 77, &err));
	memset(wanted + 2 * SIZE + 77, 'e', 1000);
	EXPECT_OK(pl_write(disk, wanted + 2 * SIZE + 77, 1000, 2 * SIZE + 77, &err));
	EXPECT_EQ(disk->size, 2 * SIZE + 1077);
	expect_equal(disk, wanted, 2 * SIZE + 1077);
	EXPECT_OK(pl_flush(disk, &err));
	EXPECT_OK(try_open("g.dmg", 0, &again));
	EXPECT_EQ(again->size, 2 * SIZE + 1077);
	expect_equal(again, wanted, 2 * SIZE + 1077);
	EXPECT_OK(pl_resize(disk, 1000, &err));
	expect_equal(disk, wanted, 1000);
	expect_decrypts("g.dmg", 128, 512, wanted, 1000);
}

/* What its header tells of is there, whatever of it a power cut has kept. */
TEST(a_header_is_not_ahead_of_what_it_tells_of)
{
	for (int i = 0; i < 8; i++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL, *again = NULL;
		size_t n;
		PL_AUTOFREE uint8_t *image = make_image(128, 512, &n);
		PL_AUTOFREE uint8_t *more = malloc(KIB(64)), *all = calloc(1, SIZE + KIB(64));
		struct fragile *f;

		write_file("p.dmg", image, n);
		f = new_fragile("p.dmg");
		EXPECT_OK(pl_image_open(&f->disk, NULL, "encrcdsa", NULL, PLATTER_OPEN_WRITE, &disk,
					&err));
		memset(more, 'm', KIB(64));
		EXPECT_OK(pl_write(disk, more, KIB(64), SIZE, &err));
		f->writes_left = 1;
		EXPECT_OK(pl_flush(disk, &err));
		EXPECT_EQ(f->writes_left, 0);
		save_cut(f, "cut");
		pl_disk_unref(&f->disk);
		memcpy(all, plain, SIZE);
		memset(all + SIZE, 'm', KIB(64));
		EXPECT_OK(try_open("cut", 0, &again));
		expect_equal(again, all, (size_t)again->size);
	}
}

TEST(it_does_not_grow_past_the_numbers_of_its_blocks)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	size_t n;
	PL_AUTOFREE uint8_t *image = make_image(128, 512, &n);
	struct fragile *f;

	write_file("l.dmg", image, n);
	f = new_fragile("l.dmg");
	EXPECT_OK(pl_image_open(&f->disk, NULL, "encrcdsa", NULL, PLATTER_OPEN_WRITE, &disk, &err));
	EXPECT_EQ(pl_resize(disk, (UINT64_C(1) << 41) + 1, &err), -EFBIG);
	EXPECT_EQ(disk->size, SIZE);
	EXPECT_EQ(f->disk.size, n);
	pl_disk_unref(&f->disk);
}

/* As in FIPS mode, which knows no triple DES; once refused, always. */
TEST(an_algorithm_that_openssl_refuses_is_named)
{
	struct pl_disk *disk = NULL;
	size_t n;
	PL_AUTOFREE uint8_t *image = make_image(128, 512, &n);
	int r;

	EXPECT(EVP_set_default_properties(NULL, "fips=yes") == 1);
	r = try_bytes(image, n, NULL, &disk);
	EXPECT(EVP_set_default_properties(NULL, "") == 1);
	EXPECT_EQ(r, -ENOTSUP);
	EXPECT(strstr(err.message, "OpenSSL") && strstr(err.hint, "FIPS"));
}
