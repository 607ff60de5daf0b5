/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-chd.c - CHD: images in view with one field broken, every codec both ways, and Huffman codes */
#include "chd/chd.h"
#include "chd/huffman.h"
#include "checksums.h"
#include "images.h"

/* Not compressed, version 5: header, map at 128, metadata at 160, hunks from 512 on. */
#define HUNK  512
#define MAP   128
#define META  160
#define NR    4
#define SIZE  (NR * HUNK - 100)
#define BYTES (4 * HUNK)

static uint8_t image[64 * 1024];

static void
put_entry(size_t at, const char *tag, const char *text, uint64_t next)
{
	memcpy(image + at, tag, 4);
	put_be32(image + at + 4, 1u << 24 | (uint32_t)(strlen(text) + 1));
	put_be64(image + at + 8, next);
	strcpy((char *)image + at + 16, text);
}

static void
make_header(uint64_t size, uint32_t hunk, uint32_t unit, uint64_t map, uint64_t meta)
{
	memset(image, 0, sizeof image);
	memcpy(image, "MComprHD", 8);
	put_be32(image + 8, 124);
	put_be32(image + 12, 5);
	put_be64(image + 32, size);
	put_be64(image + 40, map);
	put_be64(image + 48, meta);
	put_be32(image + 56, hunk);
	put_be32(image + 60, unit);
}

static void
make_plain(void)
{
	make_header(SIZE, HUNK, 512, MAP, META);
	put_be32(image + MAP, 2);
	put_be32(image + MAP + 4, 0);
	put_be32(image + MAP + 8, 1);
	put_be32(image + MAP + 12, 3);
	put_entry(META, "GDDD", "CYLS:1,HEADS:1,SECS:4,BPS:512", 0);
	memset(image + HUNK, 'c', HUNK);
	memset(image + 2 * HUNK, 'a', HUNK);
	memset(image + 3 * HUNK, 'd', HUNK);
}

TEST(an_image_in_view_reads_as_its_map_says)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t buf[SIZE];

	make_plain();
	EXPECT_OK(try_bytes(image, BYTES, NULL, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, "chd");
	EXPECT_EQ(disk->size, SIZE);
	EXPECT_OK(pl_read(disk, buf, sizeof buf, 0, &err));
	EXPECT_MEM(buf, image + 2 * HUNK, HUNK);
	EXPECT(pl_is_zero(buf + HUNK, HUNK));
	EXPECT_MEM(buf + 2 * HUNK, image + HUNK, HUNK);
	EXPECT_MEM(buf + 3 * HUNK, image + 3 * HUNK, HUNK - 100);
	expect_whole_map(disk);
	expect_findings(disk, 0, 0);
}

TEST(a_broken_header_is_refused_where_it_is_broken)
{
	static const struct {
		size_t at;
		uint32_t value;
		int code;
	} fields[] = {
		{ 0, 0, -EUCLEAN },           { 8, 120, -EUCLEAN },
		{ 12, 1, -ENOTSUP },          { 12, 2, -ENOTSUP },
		{ 12, 0, -ENOTSUP },          { 12, 6, -ENOTSUP },
		{ 16, 0x61766875, -ENOTSUP }, { 28, 0x62616421, -ENOTSUP },
		{ 32, 0x7fffffff, -EFBIG },   { 56, 0, -EUCLEAN },
		{ 56, 1u << 24, -EUCLEAN },   { 60, 0, -EUCLEAN },
		{ 60, 500, -EUCLEAN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		make_plain();
		put_be32(image + fields[i].at, fields[i].value);
		printf("# field at %zu\n", fields[i].at);
		expect_refused(image, BYTES, "chd", fields[i].code, fields[i].at);
	}
	make_plain();
	put_be64(image + 40, BYTES - 8); /* the map passes the end of the file */
	expect_refused(image, BYTES, "chd", -EUCLEAN, BYTES - 8);
	make_plain();
	memcpy(image + 16, "cdzl", 4); /* of frames, which hunks of 512 bytes have not */
	expect_refused(image, BYTES, "chd", -EUCLEAN, 56);
	make_plain();
	expect_refused(image, 123, "chd", -EUCLEAN, 0);
}

TEST(metadata_outside_of_the_file_and_in_circles_is_refused)
{
	make_plain();
	put_be64(image + 48, BYTES - 15);
	expect_refused(image, BYTES, "chd", -EUCLEAN, BYTES - 15);
	make_plain();
	put_be32(image + META + 4, 0xffffff);
	expect_refused(image, BYTES, "chd", -EUCLEAN, META + 4);
	make_plain();
	put_be64(image + META + 8, META);
	expect_refused(image, BYTES, "chd", -EFBIG, META);
}

TEST(a_hunk_past_the_end_is_an_error_where_it_is_read)
{
	make_plain();
	put_be32(image + MAP + 8, 100);
	expect_unreadable(image, BYTES, "chd", 2 * HUNK, -EUCLEAN, 100 * HUNK);
}

TEST(a_parent_that_cannot_be_reached_is_named)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL, *file = NULL;
	struct pl_open_request request = { .flags = PLATTER_OPEN_NO_BACKING };
	struct pl_extent e;

	make_plain();
	memset(image + 104, 0x5a, 20);
	EXPECT_EQ(try_bytes(image, BYTES, "chd", &disk), -ENOTSUP);
	EXPECT(strstr(err.message, "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"));
	EXPECT_OK(pl_memory_new(image, BYTES, "child", &file, &err));
	request.file = file;
	EXPECT_OK(pl_format_by_name("chd")->open(&request, &disk, &err));
	EXPECT_OK(pl_map(disk, HUNK, HUNK, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
}

/*
 * A compressed map, of types with codes of 3 bits and fields as they come: hunks of 512 bytes are
 * stored from 512 on.
 */
struct map_bits {
	struct pl_bit_sink sink;
	struct pl_huffman code;
};

#define CMAP     256
#define CMAP_END 512

static void
begin_map(struct map_bits *m, unsigned nr_hunks)
{
	static const uint8_t used[] = { 0, 4, 5, 7, 9, 10, 11, 15 };
	uint32_t counts[16] = { 0 };

	make_header((uint64_t)nr_hunks * HUNK, HUNK, 512, CMAP, 0);
	memcpy(image + 16, "zlib", 4);
	*m = (struct map_bits){ .code = { .nr = 16, .max_bits = 8 } };
	for (size_t i = 0; i < ARRAY_SIZE(used); i++)
		counts[used[i]] = 1;
	pl_huffman_build(&m->code, counts);
	pl_bit_sink_init(&m->sink, image + CMAP + 16, CMAP_END - CMAP - 16);
	pl_huffman_write_runs(&m->code, &m->sink);
}

static void
end_map(struct map_bits *m, const uint8_t *entries, size_t nr)
{
	uint8_t *end = pl_bit_sink_flush(&m->sink);

	put_be32(image + CMAP, (uint32_t)(end - image) - CMAP - 16);
	put_be16(image + CMAP + 4, 0);
	put_be32(image + CMAP + 6, CMAP_END);
	put_be16(image + CMAP + 10, pl_crc16_ccitt(0xffff, entries, nr * 12));
	image[CMAP + 12] = 12;
	image[CMAP + 13] = 8;
	image[CMAP + 14] = 8;
}

static void
put_expanded(uint8_t *entry, uint32_t type, uint32_t length, uint32_t offset, uint16_t crc)
{
	put_be32(entry, type << 24 | length);
	put_be16(entry + 4, 0);
	put_be32(entry + 6, offset);
	put_be16(entry + 10, crc);
}

/* Hunks: stored, as hunk 0, the same, the same, stored. */
static void
make_compressed(void)
{
	struct map_bits m;
	uint8_t entries[5 * 12];
	uint16_t crc[2];

	begin_map(&m, 5);
	memset(image + CMAP_END, 'x', HUNK);
	memset(image + CMAP_END + HUNK, 'y', HUNK);
	for (int i = 0; i < 2; i++)
		crc[i] = pl_crc16_ccitt(0xffff, image + CMAP_END + i * HUNK, HUNK);
	pl_huffman_encode(&m.code, &m.sink, 4);
	pl_huffman_encode(&m.code, &m.sink, 5);
	pl_huffman_encode(&m.code, &m.sink, 9);
	pl_huffman_encode(&m.code, &m.sink, 9);
	pl_huffman_encode(&m.code, &m.sink, 4);
	pl_bit_sink_put(&m.sink, crc[0], 16);
	pl_bit_sink_put(&m.sink, 0, 8);
	pl_bit_sink_put(&m.sink, crc[1], 16);
	put_expanded(entries, 4, HUNK, CMAP_END, crc[0]);
	for (int i = 1; i < 4; i++)
		put_expanded(entries + 12 * i, 5, 0, 0, 0);
	put_expanded(entries + 48, 4, HUNK, CMAP_END + HUNK, crc[1]);
	end_map(&m, entries, 5);
}

TEST(a_compressed_map_in_view_is_expanded)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t buf[5 * HUNK];

	make_compressed();
	EXPECT_OK(try_bytes(image, CMAP_END + 2 * HUNK, NULL, &disk));
	EXPECT_OK(pl_read(disk, buf, sizeof buf, 0, &err));
	for (int i = 0; i < 4; i++)
		EXPECT_MEM(buf + i * HUNK, image + CMAP_END, HUNK);
	EXPECT_MEM(buf + 4 * HUNK, image + CMAP_END + HUNK, HUNK);
	expect_whole_map(disk);
}

TEST(a_damaged_map_is_refused)
{
	make_compressed();
	image[CMAP + 10] ^= 1;
	expect_refused(image, CMAP_END + 2 * HUNK, "chd", -EUCLEAN, CMAP + 10);
	make_compressed();
	put_be32(image + CMAP, 4); /* ends early */
	expect_refused(image, CMAP_END + 2 * HUNK, "chd", -EUCLEAN, CMAP + 16);
	make_compressed();
	put_be32(image + CMAP, 9);
	expect_refused(image, CMAP_END + 2 * HUNK, "chd", -EUCLEAN, CMAP);
	make_compressed();
	put_be32(image + CMAP, 0x10000000);
	expect_refused(image, CMAP_END + 2 * HUNK, "chd", -EUCLEAN, CMAP);
	make_compressed();
	image[CMAP + 12] = 25;
	expect_refused(image, CMAP_END + 2 * HUNK, "chd", -EUCLEAN, CMAP + 12);
	make_compressed();
	memset(image + CMAP + 16, 0xff, 8); /* no code */
	expect_refused(image, CMAP_END + 2 * HUNK, "chd", -EUCLEAN, CMAP + 16);
	make_compressed();
	expect_refused(image, CMAP_END + HUNK, "chd", -EUCLEAN, CMAP); /* hunk 4 is cut off */
}

TEST(a_hunk_with_another_checksum_is_an_error)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t buf[HUNK];

	make_compressed();
	image[CMAP_END + 7] = 'z';
	EXPECT_OK(try_bytes(image, CMAP_END + 2 * HUNK, NULL, &disk));
	EXPECT_EQ(pl_read(disk, buf, HUNK, 0, &err), -EUCLEAN);
	EXPECT_EQ(pl_read(disk, buf, HUNK, 2 * HUNK, &err), -EUCLEAN);
	EXPECT_OK(pl_read(disk, buf, HUNK, 4 * HUNK, &err));
}

TEST(a_hunk_that_refers_to_a_later_one_is_refused)
{
	struct map_bits m;
	uint8_t entries[24];

	begin_map(&m, 2);
	pl_huffman_encode(&m.code, &m.sink, 5);
	pl_huffman_encode(&m.code, &m.sink, 5);
	pl_bit_sink_put(&m.sink, 1, 8);
	pl_bit_sink_put(&m.sink, 0, 8);
	put_expanded(entries, 5, 0, 1, 0);
	put_expanded(entries + 12, 5, 0, 0, 0);
	end_map(&m, entries, 2);
	expect_unreadable(image, CMAP_END, "chd", 0, -EUCLEAN, CMAP);
}

/* Versions 3 and 4: compressed, stored, 8 bytes again and again, as hunk 0, no checksum. */
static size_t
make_old(uint32_t version)
{
	size_t n = version == 3 ? 120 : 108, at = n + 5 * 16;
	static const uint8_t zeros_deflated[] = { 0x63, 0x60, 0x18, 0x05, 0xa3,
						  0x60, 0x14, 0x0c, 0x75, 0x00 };
	uint8_t *e = image + n;

	memset(image, 0, sizeof image);
	memcpy(image, "MComprHD", 8);
	put_be32(image + 8, (uint32_t)n);
	put_be32(image + 12, version);
	put_be32(image + 20, 1);
	put_be32(image + 24, 5);
	put_be64(image + 28, 5 * HUNK);
	put_be32(image + (version == 3 ? 76 : 44), HUNK);
	memset(image + at, 's', HUNK);
	memcpy(image + at + HUNK, zeros_deflated, sizeof zeros_deflated);
	put_be64(e, at + HUNK);
	put_be32(e + 8, 0xb2aa7578); /* of 512 zeros */
	put_be16(e + 12, sizeof zeros_deflated);
	e[15] = 1;
	put_be64(e + 16, at);
	put_be32(e + 24, pl_crc32(0, image + at, HUNK));
	put_be16(e + 28, HUNK);
	e[31] = 2;
	memcpy(e + 32, "8 bytes!", 8);
	e[47] = 3 | 16;
	put_be64(e + 48, 1);
	e[63] = 4 | 16;
	put_be64(e + 64, at);
	e[79] = 2 | 16;
	return at + HUNK + sizeof zeros_deflated;
}

TEST(versions_3_and_4_are_read)
{
	for (uint32_t version = 3; version <= 4; version++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		size_t n = make_old(version);
		uint8_t buf[5 * HUNK];

		EXPECT_OK(try_bytes(image, n, NULL, &disk));
		EXPECT_OK(pl_read(disk, buf, sizeof buf, 0, &err));
		EXPECT(pl_is_zero(buf, HUNK));
		for (int i = 1; i < 5; i++)
			EXPECT_EQ(buf[i * HUNK + 8], i == 2 ? '8' : 's');
		EXPECT_MEM(buf + 2 * HUNK + 504, "8 bytes!", 8);
		expect_whole_map(disk);
	}
}

TEST(old_hunks_are_checked)
{
	size_t n = make_old(4);
	uint8_t *map = image + 108;

	map[8] ^= 1;
	expect_unreadable(image, n, "chd", 0, -EUCLEAN, get_be64(map));
	make_old(4);
	map[16 * 3 + 7] = 3; /* as itself */
	expect_unreadable(image, n, "chd", 3 * HUNK, -EUCLEAN, 108);
	make_old(4);
	map[15] = 9;
	expect_unreadable(image, n, "chd", 0, -EUCLEAN, 108 + 15);
	make_old(4);
	map[15] = 6;
	expect_unreadable(image, n, "chd", 0, -ENOTSUP, 108);
	make_old(4);
	put_be32(image + 20, 3);
	expect_refused(image, n, "chd", -ENOTSUP, 20);
	make_old(4);
	put_be32(image + 24, 4);
	expect_refused(image, n, "chd", -EUCLEAN, 24);
}

/* Huffman codes: whatever the counts, what is written is read. */
TEST(huffman_codes_are_read_as_they_are_written)
{
	static struct pl_huffman out, in;
	static uint8_t bytes[1 << 16];

	for (int round = 0; round < 400; round++) {
		bool map = round % 2;
		unsigned nr = map ? 16 : 256, used = 1 + (unsigned)rnd(nr);
		uint32_t counts[256] = { 0 };
		uint8_t symbols[2000];
		struct pl_bit_sink sink;
		struct pl_bits bits;

		for (size_t i = 0; i < sizeof symbols; i++) {
			/* Some codes are of one symbol, some far too deep to be taken as they are. */
			unsigned s = (unsigned)rnd(used) >> rnd(9);

			symbols[i] = (uint8_t)s;
			counts[s] += round % 3 ? 1 : 1u << (s % 24);
		}
		out = in = (struct pl_huffman){ .nr = nr, .max_bits = map ? 8 : 16 };
		pl_huffman_build(&out, counts);
		pl_bit_sink_init(&sink, bytes, sizeof bytes);
		(map ? pl_huffman_write_runs : pl_huffman_write_coded)(&out, &sink);
		for (size_t i = 0; i < sizeof symbols; i++)
			pl_huffman_encode(&out, &sink, symbols[i]);
		pl_bits_init(&bits, bytes, (size_t)(pl_bit_sink_flush(&sink) - bytes));
		EXPECT(!sink.overrun);
		EXPECT((map ? pl_huffman_read_runs : pl_huffman_read_coded)(&in, &bits));
		for (size_t i = 0; i < sizeof symbols; i++)
			EXPECT_EQ(pl_huffman_decode(&in, &bits), symbols[i]);
		EXPECT(!bits.overrun);
		pl_bits_read(&bits, 32);
		EXPECT(bits.overrun);
	}
}

/* 2^44 units of 2^20 bytes are 2^64 bytes: nothing is left of it in 64 bits. */
TEST(a_reference_past_any_parent_is_refused)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL, *file = NULL;
	struct pl_open_request request = { .flags = PLATTER_OPEN_NO_BACKING };
	struct pl_huffman code = { .nr = 16, .max_bits = 8 };
	uint32_t counts[16] = { [MAP_PARENT] = 1, [MAP_PARENT_NEXT] = 1 };
	struct pl_bit_sink sink;
	uint8_t entry[12] = { 0 };
	struct pl_extent e;

	make_header(1u << 20, 1u << 20, 1u << 20, CMAP, 0);
	memcpy(image + 16, "zlib", 4);
	memset(image + 104, 0x5a, 20);
	pl_huffman_build(&code, counts);
	pl_bit_sink_init(&sink, image + CMAP + 16, CMAP_END - CMAP - 16);
	pl_huffman_write_runs(&code, &sink);
	pl_huffman_encode(&code, &sink, MAP_PARENT);
	pl_bit_sink_put(&sink, 1ull << 44, 45);
	put_be32(image + CMAP, (uint32_t)(pl_bit_sink_flush(&sink) - image) - CMAP - 16);
	put_be32(entry, MAP_PARENT << 24);
	put_be16(entry + 4, 1u << 12);
	put_be16(image + CMAP + 10, pl_crc16_ccitt(0xffff, entry, sizeof entry));
	image[CMAP + 14] = 45;
	EXPECT_OK(pl_memory_new(image, CMAP_END, "child", &file, &err));
	request.file = file;
	EXPECT_OK(pl_format_by_name("chd")->open(&request, &disk, &err));
	EXPECT_EQ(pl_map(disk, 0, HUNK, &e, &err), -EUCLEAN);
	EXPECT_EQ(err.offset, CMAP);
}

/* Bits that alternate between references are runs of 16 bytes each in memory. */
TEST(a_map_of_too_many_runs_is_refused)
{
	struct hunk_map m = { .nr = MAX_RUNS, .capacity = MAX_RUNS };
	const struct hunk_run run = { .first = MAX_RUNS, .type = MAP_SELF };

	EXPECT_EQ(pl_chd_map_add(&m, &run, &err), -EFBIG);
	EXPECT_STR(err.message, "a map of more than 67108864 runs");
}

struct watched {
	struct pl_findings findings;
	uint64_t read;
	bool stop;
};

static bool
watch(struct pl_findings *findings, uint64_t bytes)
{
	struct watched *w = pl_container_of(findings, struct watched, findings);

	w->read += bytes;
	return !w->stop;
}

TEST(whoever_checks_a_chd_is_told_what_was_read_and_may_stop)
{
	struct watched w = { .findings = { .found = tell, .go_on = watch } };
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	size_t n = make_old(3);

	memset(image + V3_SHA1, 0x5a, SHA1_BYTES);
	EXPECT_OK(try_bytes(image, n, "chd", &disk));
	EXPECT_OK(pl_format_of(disk)->check(disk, &w.findings, &err));
	EXPECT_EQ(w.read, 5 * HUNK);
	EXPECT(w.findings.data_read);
	EXPECT_EQ(w.findings.count[PLATTER_DAMAGE], 1);
	w.findings.data_read = false;
	w.stop = true;
	EXPECT_EQ(pl_format_of(disk)->check(disk, &w.findings, &err), -ECANCELED);
	EXPECT(!w.findings.data_read);
}
