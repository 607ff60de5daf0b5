/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-decmpfs.c - files that macOS compressed: every type, and what contradicts itself */
#include "decmpfs.h"

#include "codec.h"
#include "test.h"

#define CHUNK KIB(64)

static struct platter_error err = PLATTER_ERROR_INIT;

/* An attribute: header and `n` bytes behind it; returns its length. */
static size_t
make_attribute(uint8_t *out, uint32_t type, uint64_t size, const void *bytes, size_t n)
{
	memcpy(out, "fpmc", 4);
	put_le32(out + 4, type);
	put_le64(out + 8, size);
	if (n)
		memcpy(out + 16, bytes, n);
	return 16 + n;
}

static void
expect_file(const uint8_t *attribute, size_t n, struct pl_disk *fork, const void *expected,
	    size_t size)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOFREE uint8_t *read = malloc(size + 1);

	EXPECT_OK(pl_decmpfs_open(attribute, n, fork, "file", &file, &err));
	EXPECT_EQ(file->size, size);
	EXPECT_OK(pl_read(file, read, size, 0, &err));
	EXPECT_MEM(read, expected, size);
}

static void
expect_error(const uint8_t *attribute, size_t n, struct pl_disk *fork, int code, const char *why)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;

	EXPECT_EQ(pl_decmpfs_open(attribute, n, fork, "file", &file, &err), code);
	EXPECT_STR(err.message, why);
}

TEST(few_bytes_are_in_the_attribute)
{
	static const struct {
		uint32_t type;
		size_t n;
		const char *stored;
	} rows[] = {
		{ 1, 6, "aaaaaa" },
		{ 3, 7,
		  "\xff"
		  "aaaaaa" },
		{ 3, 7,
		  "\x0f"
		  "aaaaaa" },
		{ 7, 7,
		  "\x06"
		  "aaaaaa" },
		{ 7, 12,
		  "\xe1"
		  "a\x10\x01\x06\0\0\0\0\0\0\0" },
		{ 9, 7,
		  "\xcc"
		  "aaaaaa" },
		{ 11, 7,
		  "\xff"
		  "aaaaaa" },
		{ 11, 18,
		  "bvx-\x06\0\0\0"
		  "aaaaaa"
		  "bvx$" },
	};
	uint8_t attribute[200], packed[100];
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		n = make_attribute(attribute, rows[i].type, 6, rows[i].stored, rows[i].n);
		expect_file(attribute, n, NULL, "aaaaaa", 6);
	}
	n = pl_codec_zlib.encode(6, (const uint8_t *)"aaaaaa", 6, packed, sizeof packed);
	n = make_attribute(attribute, 3, 6, packed, n);
	expect_file(attribute, n, NULL, "aaaaaa", 6);
	/* Nothing at all needs no fork. */
	for (uint32_t type = 1; type <= 12; type++)
		if (type != 2 && type != 5 && type != 6)
			expect_file(attribute, make_attribute(attribute, type, 0, NULL, 0), NULL,
				    "", 0);
}

/* Two chunks of zlib and one that is not compressed, in a resource. */
TEST(a_resource_has_a_table_of_chunks)
{
	size_t size = 2 * CHUNK + 100, at = 256 + 4 + 4 + 3 * 8;
	PL_AUTOFREE uint8_t *contents = malloc(size), *fork = calloc(1, KIB(256));
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t attribute[16], *table = fork + 256 + 8;

	for (size_t i = 0; i < size; i++)
		contents[i] = (uint8_t)(i / 9 + i / 100);
	put_be32(fork, 256);
	put_le32(fork + 260, 3);
	for (size_t i = 0; i < 3; i++) {
		size_t n = i < 2 ? CHUNK : 100;

		put_le32(table + 8 * i, (uint32_t)at - 260);
		if (i < 2) {
			n = pl_codec_zlib.encode(6, contents + i * CHUNK, n, fork + at, CHUNK);
		} else {
			fork[at] = 0xff;
			memcpy(fork + at + 1, contents + i * CHUNK, n++);
		}
		put_le32(table + 8 * i + 4, (uint32_t)n);
		at += n;
	}
	EXPECT_OK(pl_memory_new(fork, at, "fork", &disk, &err));
	make_attribute(attribute, 4, size, NULL, 0);
	expect_file(attribute, 16, disk, contents, size);

	put_le32(table + 8, (uint32_t)at);
	pl_disk_unref(PL_STEAL(disk));
	EXPECT_OK(pl_memory_new(fork, at, "fork", &disk, &err));
	EXPECT_EQ(pl_decmpfs_open(attribute, 16, disk, "file", &disk, &err), -EUCLEAN);
	EXPECT(strstr(err.message, "compressed chunk 1 of "));
}

/* A chunk of LZVN that repeats one byte, and one that is not compressed. */
TEST(lzvn_begins_with_its_offsets)
{
	uint8_t attribute[16], fork[12 + 800 + 51] = { 0 }, *p = fork + 12;
	PL_AUTOFREE uint8_t *contents = malloc(CHUNK + 50);
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	*p++ = 0xe1;
	*p++ = 'a';
	*p++ = 0;
	*p++ = 1; /* and 3 more */
	for (size_t left = CHUNK - 4; left;) {
		size_t n = PL_MIN(left, 271);

		if (n < 16) {
			*p++ = (uint8_t)(0xf0 + n);
		} else {
			*p++ = 0xf0;
			*p++ = (uint8_t)(n - 16);
		}
		left -= n;
	}
	*p = 6;
	p += 8;
	memset(contents, 'a', CHUNK);
	memset(contents + CHUNK, 'b', 50);
	put_le32(fork, 12);
	put_le32(fork + 4, (uint32_t)(p - fork));
	*p = 6;
	memset(p + 1, 'b', 50);
	p += 51;
	put_le32(fork + 8, (uint32_t)(p - fork));
	EXPECT_OK(pl_memory_new(fork, (size_t)(p - fork), "fork", &disk, &err));
	make_attribute(attribute, 8, CHUNK + 50, NULL, 0);
	expect_file(attribute, 16, disk, contents, CHUNK + 50);
}

TEST(what_is_not_known_or_not_right_is_refused)
{
	PL_AUTOUNREF struct pl_disk *fork = NULL, *file = NULL;
	uint8_t attribute[32] = { 0 }, byte;

	EXPECT_OK(pl_memory_new(attribute, 20, "fork", &fork, &err));
	expect_error(attribute, 15, NULL, -EUCLEAN,
		     "com.apple.decmpfs of 15 bytes, its header has 16");
	expect_error(attribute, 16, NULL, -EUCLEAN, "com.apple.decmpfs begins with 0x00000000");
	make_attribute(attribute, 2, 1, NULL, 0);
	expect_error(attribute, 16, NULL, -ENOTSUP,
		     "file is compressed in a way that is not known, type 2");
	make_attribute(attribute, 5, 1, NULL, 0);
	expect_error(
		attribute, 16, NULL, -ENOTSUP,
		"file is compressed with a store of generations, type 5, which cannot be read");
	make_attribute(attribute, 14, 1, NULL, 0);
	expect_error(attribute, 16, fork, -ENOTSUP,
		     "file is compressed with LZBITMAP, type 14, which cannot be read");
	make_attribute(attribute, 4, 1, NULL, 0);
	expect_error(attribute, 16, NULL, -EUCLEAN,
		     "compressed file of type 4 without a resource fork");
	make_attribute(attribute, 8, CHUNK * 5, NULL, 0);
	expect_error(attribute, 16, fork, -EUCLEAN,
		     "table of 6 compressed chunks at byte 0 of a resource fork of 20 bytes");
	make_attribute(attribute, 8, UINT64_C(1) << 40, NULL, 0);
	expect_error(attribute, 16, fork, -EFBIG,
		     "compressed file of 16777216 chunks, limit is 4194304");
	make_attribute(attribute, 3, MIB(65), NULL, 0);
	expect_error(attribute, 16, NULL, -EFBIG,
		     "68157440 bytes compressed in one piece, limit is 67108864");
	make_attribute(attribute, 1, 3, "ab", 2);
	expect_error(attribute, 18, NULL, -EUCLEAN, "2 bytes stored for 3 uncompressed");
	/* Seen only when the bytes are wanted. */
	make_attribute(attribute, 9, 3,
		       "\xcc"
		       "ab",
		       3);
	EXPECT_OK(pl_decmpfs_open(attribute, 19, NULL, "file", &file, &err));
	EXPECT_EQ(pl_read(file, &byte, 1, 0, &err), -EUCLEAN);
}
