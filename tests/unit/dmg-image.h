/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dmg-image.h - UDIF images built in view: data fork, property list, trailer */
#ifndef DMG_IMAGE_H
#define DMG_IMAGE_H

#include "checksums.h"
#include "codec.h"
#include "images.h"

/*
 * 15 sectors: 0 and 1 are stored as they are, 2 and 3 are zeros, 4 to 7 go through zlib; no table
 * tells of 8 and 9; 10 to 12 are ignored, 13 is stored as it is; 14 is behind all tables.
 */
#define SECTORS 15
#define SIZE    (SECTORS * 512)
#define MISH    204
#define CHUNK   40

/* Two tables: 3 chunks, and a comment and 2; each with its terminator. */
#define CHUNKS_A 4
#define CHUNKS_B 4
static uint8_t table_a[MISH + CHUNKS_A * CHUNK], table_b[MISH + CHUNKS_B * CHUNK];

static uint8_t fork_bytes[4096]; /* the data fork */
static size_t fork_length;
static uint8_t koly[512];
static uint8_t disk_bytes[SIZE];

/* The file that is put together of them. */
static uint8_t image[1 << 18];
static size_t image_length;

#define FIELD(table, chunk, at) ((table) + MISH + (chunk)*CHUNK + (at))

static inline void
put_chunk(uint8_t *table, size_t index, uint32_t type, uint64_t first, uint64_t nr, uint64_t offset,
	  uint64_t length)
{
	uint8_t *c = FIELD(table, index, 0);

	put_be32(c, type);
	put_be64(c + 8, first);
	put_be64(c + 16, nr);
	put_be64(c + 24, offset);
	put_be64(c + 32, length);
}

static inline void
put_sum(uint8_t *to, uint32_t crc)
{
	put_be32(to, 2);
	put_be32(to + 4, 32);
	put_be32(to + 8, crc);
}

static inline void
put_mish(uint8_t *table, uint64_t first, uint64_t nr, uint32_t nr_chunks, uint32_t crc)
{
	memcpy(table, "mish", 4);
	put_be32(table + 4, 1);
	put_be64(table + 8, first);
	put_be64(table + 16, nr);
	put_sum(table + 64, crc);
	put_be32(table + 200, nr_chunks);
}

static inline void
sign(void)
{
	uint8_t sums[8];

	memcpy(sums, table_a + 72, 4);
	memcpy(sums + 4, table_b + 72, 4);
	put_sum(koly + 0x160, pl_crc32(0, sums, sizeof sums));
	put_sum(koly + 0x50, pl_crc32(0, fork_bytes, fork_length));
}

/* Everything valid; what a test wants to break, it breaks before assemble(). */
static inline void
make_parts(void)
{
	size_t n;

	memset(table_a, 0, sizeof table_a);
	memset(table_b, 0, sizeof table_b);
	memset(koly, 0, sizeof koly);
	memset(disk_bytes, 0, sizeof disk_bytes);
	memset(disk_bytes, 'a', 2 * 512);
	for (size_t i = 0; i < 4 * 512; i++)
		disk_bytes[4 * 512 + i] = (uint8_t)(i / 7);
	memset(disk_bytes + 13 * 512, 'b', 512);

	memcpy(fork_bytes, disk_bytes, 1024);
	n = pl_codec_zlib.encode(6, disk_bytes + 4 * 512, 4 * 512, fork_bytes + 1024, 2048);
	memcpy(fork_bytes + 1024 + n, disk_bytes + 13 * 512, 512);
	fork_length = 1024 + n + 512;

	put_mish(table_a, 0, 8, CHUNKS_A, pl_crc32(0, disk_bytes, 8 * 512));
	put_chunk(table_a, 0, 1, 0, 2, 0, 1024);
	put_chunk(table_a, 1, 0, 2, 2, 99999, 0); /* where zeros are stored means nothing */
	put_chunk(table_a, 2, 0x80000005, 4, 4, 1024, n);
	put_chunk(table_a, 3, 0xffffffff, 8, 0, 1024 + n, 0);

	put_mish(table_b, 10, 4, CHUNKS_B, pl_crc32(0, disk_bytes + 13 * 512, 512));
	put_chunk(table_b, 0, 0x7ffffffe, 0, 0, 0, 0);
	memcpy(FIELD(table_b, 0, 4), "+beg", 4);
	put_chunk(table_b, 1, 2, 0, 3, 0, 0);
	put_chunk(table_b, 2, 1, 3, 1, 24 + n, 512);
	put_be64(table_b + 24, 1000); /* to add to all offsets */
	put_chunk(table_b, 3, 0xffffffff, 4, 0, 0, 0);

	memcpy(koly, "koly", 4);
	put_be32(koly + 4, 4);
	put_be32(koly + 8, 512);
	put_be32(koly + 12, 1);
	put_be64(koly + 0x20, fork_length);
	put_be32(koly + 0x38, 1);
	put_be32(koly + 0x3c, 1);
	memset(koly + 0x40, 'i', 16);
	put_be32(koly + 0x1e8, 1);
	put_be64(koly + 0x1ec, SECTORS);
	sign();
}

static inline void
add_base64(struct pl_str *s, const uint8_t *bytes, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		uint32_t bits = (uint32_t)bytes[i] << 16;

		bits |= i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0;
		bits |= i + 2 < n ? bytes[i + 2] : 0;
		pl_str_addf(s, "%s%c%c%c%c", i % 30 ? "" : "\n\t\t", digits[bits >> 18],
			    digits[bits >> 12 & 63], i + 1 < n ? digits[bits >> 6 & 63] : '=',
			    i + 2 < n ? digits[bits & 63] : '=');
	}
}

static inline void
add_resource(struct pl_str *s, const char *name, int id, const uint8_t *bytes, size_t n)
{
	pl_str_addf(s,
		    "<dict><key>Attributes</key><string>0x0050</string>\n<key>Data</key>\n<data>");
	add_base64(s, bytes, n);
	pl_str_addf(s,
		    "\n</data><key>ID</key><string>%d</string><key>Name</key><string>%s</string>"
		    "</dict>\n",
		    id, name);
}

#define PLIST_HEAD                                                                                \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD\">\n" \
	"<plist version=\"1.0\">\n<dict>\n<!-- x > y -->\n<key>resource-fork</key>\n<dict>\n"
#define PLIST_TAIL "</dict></dict></plist>\n"

/* The property list, with `more` behind the array of tables. */
static inline void
add_plist(struct pl_str *s, const char *more)
{
	pl_str_add(s, PLIST_HEAD "<key>blkx</key><array>\n");
	add_resource(s, "first &amp; best (Test : 0)", -1, table_a, sizeof table_a);
	add_resource(s, " (Apple_Free : 1)", 0, table_b, sizeof table_b);
	pl_str_addf(s, "</array>%s" PLIST_TAIL, more);
}

/* Data fork, `text`, trailer. */
static inline void
assemble_with(const char *text)
{
	size_t n = strlen(text);

	memcpy(image, fork_bytes, fork_length);
	memcpy(image + fork_length, text, n);
	put_be64(koly + 0xd8, fork_length);
	put_be64(koly + 0xe0, n);
	memcpy(image + fork_length + n, koly, sizeof koly);
	image_length = fork_length + n + sizeof koly;
}

static inline void
assemble(void)
{
	struct pl_str s = { 0 };

	add_plist(&s, "");
	assemble_with(s.text);
	pl_str_done(&s);
}

/* Where in the image the text of the index-th data element begins. */
static inline uint64_t
data_at(size_t index)
{
	const uint8_t *p = image;

	for (size_t i = 0; i <= index; i++) {
		p = memmem(p, (size_t)(image + image_length - p), "<data>", 6);
		EXPECT(p);
		p += 6;
	}
	return (uint64_t)(p - image);
}

#endif
