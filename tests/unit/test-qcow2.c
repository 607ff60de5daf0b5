/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A QCOW2 image built in view; each test breaks one field of it. */
#include <stdlib.h>

#include "format.h"
#include "test.h"

/*
 * Clusters of 512 bytes: header, refcount table, refcount block, L1, L2, data.  The disk's
 * first cluster is stored, its second is zero, its third was never written.
 */
enum {
	CLUSTER = 512,
	REFCOUNT_TABLE = 1 * CLUSTER,
	REFCOUNTS = 2 * CLUSTER,
	L1 = 3 * CLUSTER,
	L2 = 4 * CLUSTER,
	DATA = 5 * CLUSTER,
	FILE_SIZE = 6 * CLUSTER,
	DISK_SIZE = 64 * CLUSTER,
	HEADER = 104,
};
#define COPIED (1ull << 63)

static struct platter_error err;

static void
make_image(uint8_t file[static FILE_SIZE])
{
	memset(file, 0, FILE_SIZE);
	put_be32(file, 0x514649fb);
	put_be32(file + 4, 3);
	put_be32(file + 20, 9);
	put_be64(file + 24, DISK_SIZE);
	put_be32(file + 36, 1);
	put_be64(file + 40, L1);
	put_be64(file + 48, REFCOUNT_TABLE);
	put_be32(file + 56, 1);
	put_be32(file + 96, 4);
	put_be32(file + 100, HEADER);
	put_be64(file + REFCOUNT_TABLE, REFCOUNTS);
	for (int i = 0; i < 6; i++)
		put_be16(file + REFCOUNTS + i * 2, 1);
	put_be64(file + L1, L2 | COPIED);
	put_be64(file + L2, DATA | COPIED);
	put_be64(file + L2 + 8, 1);
	memset(file + DATA, 'x', CLUSTER);
}

static void
put(uint8_t *p, unsigned width, uint64_t value)
{
	while (width--) {
		p[width] = (uint8_t)value;
		value >>= 8;
	}
}

static int
open_bytes(const uint8_t *file, size_t n, unsigned flags, struct pl_disk **ret)
{
	PL_AUTOUNREF struct pl_disk *memory = NULL;

	err = (struct platter_error)PLATTER_ERROR_INIT;
	EXPECT_OK(pl_memory_new(file, n, "test", &memory, &err));
	return pl_image_open(memory, NULL, "qcow2", NULL, flags, ret, &err);
}

struct finding {
	struct pl_findings findings;
	enum platter_severity worst;
	uint64_t offset; /* of the first of the worst */
};

static void
found(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
      const char *message)
{
	struct finding *f = pl_container_of(findings, struct finding, findings);

	if (severity > f->worst) {
		f->worst = severity;
		f->offset = offset;
	}
}

TEST(the_image_in_view_is_valid)
{
	struct finding f = { .findings.found = found };
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t file[FILE_SIZE], bytes[DISK_SIZE];

	make_image(file);
	EXPECT_OK(open_bytes(file, sizeof file, 0, &disk));
	EXPECT_EQ(disk->size, DISK_SIZE);
	EXPECT_OK(pl_read(disk, bytes, sizeof bytes, 0, &err));
	EXPECT_MEM(bytes, file + DATA, CLUSTER);
	EXPECT(pl_is_zero(bytes + CLUSTER, sizeof bytes - CLUSTER));
	EXPECT_OK(pl_format_of(disk)->check(disk, &f.findings, &err));
	EXPECT_EQ(f.findings.count[PLATTER_DAMAGE], 0);
	EXPECT_EQ(f.findings.count[PLATTER_LEAK], 0);
}

TEST(the_map_tells_data_zero_and_hole_apart)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t file[FILE_SIZE];
	struct pl_extent e;

	make_image(file);
	EXPECT_OK(open_bytes(file, sizeof file, 0, &disk));
	EXPECT_OK(pl_map(disk, 10, DISK_SIZE, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_DATA);
	EXPECT_EQ(e.length, CLUSTER - 10);
	EXPECT_EQ(e.stored_offset, DATA + 10);
	EXPECT_OK(pl_map(disk, CLUSTER, DISK_SIZE, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_ZERO);
	EXPECT_EQ(e.length, CLUSTER);
	EXPECT_OK(pl_map(disk, 2 * CLUSTER, DISK_SIZE, &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	EXPECT_EQ(e.length, DISK_SIZE - 2 * CLUSTER);
}

/* Fields whose value makes open() fail, and where the error points. */
static const struct {
	const char *label;
	unsigned field, width;
	uint64_t value;
	int code;
	uint64_t offset;
} headers[] = {
	{ "no magic", 0, 4, 0x514649fc, -EUCLEAN, 0 },
	{ "version 1", 4, 4, 1, -ENOTSUP, 4 },
	{ "version 4", 4, 4, 4, -ENOTSUP, 4 },
	{ "clusters too small", 20, 4, 8, -EUCLEAN, 20 },
	{ "clusters too large", 20, 4, 22, -EUCLEAN, 20 },
	{ "disk larger than L1", 24, 8, DISK_SIZE + 1, -EUCLEAN, 36 },
	{ "disk of 2^64 - 1 bytes", 24, 8, UINT64_MAX, -EFBIG, 24 },
	{ "unknown encryption", 32, 4, 3, -ENOTSUP, 32 },
	{ "L1 too short", 36, 4, 0, -EUCLEAN, 36 },
	{ "L1 past the file", 36, 4, 1000, -EUCLEAN, 40 },
	{ "L1 beyond all limits", 36, 4, UINT32_MAX, -EFBIG, 36 },
	{ "L1 within a cluster", 40, 8, L1 + 8, -EUCLEAN, 40 },
	{ "L1 over the header", 40, 8, 0, -EUCLEAN, 40 },
	{ "L1 at the end of all", 40, 8, UINT64_MAX - 511, -EUCLEAN, 40 },
	{ "refcount table within a cluster", 48, 8, REFCOUNT_TABLE + 1, -EUCLEAN, 48 },
	{ "refcount table past the file", 48, 8, FILE_SIZE, -EUCLEAN, 48 },
	{ "refcount table too long", 56, 4, UINT32_MAX, -EFBIG, 56 },
	{ "too many snapshots", 60, 4, 65537, -EFBIG, 60 },
	{ "snapshots past the file", 60, 4, 1, -EUCLEAN, 64 },
	{ "unknown feature", 72, 8, 1ull << 40, -ENOTSUP, 72 },
	{ "data file without a name", 72, 8, 4, -EUCLEAN, 72 },
	{ "subclusters of 16 bytes", 72, 8, 16, -EUCLEAN, 20 },
	{ "compression type without its bit", 100, 8, 0x0000007001000000, -EUCLEAN, 104 },
	{ "refcounts of 128 bits", 96, 4, 7, -EUCLEAN, 96 },
	{ "header too short", 100, 4, 96, -EUCLEAN, 100 },
	{ "header longer than a cluster", 100, 4, 520, -EUCLEAN, 100 },
	{ "extension past the cluster", HEADER, 8, 0x12345678fffffff0, -EUCLEAN, HEADER },
	{ "bitmaps extension too short", HEADER, 8, 0x2385287500000008, -EUCLEAN, HEADER + 8 },
};

TEST(open_names_the_broken_field)
{
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		struct pl_disk *disk;
		uint8_t file[FILE_SIZE];

		make_image(file);
		put(file + headers[i].field, headers[i].width, headers[i].value);
		printf("# %s\n", headers[i].label);
		EXPECT_EQ(open_bytes(file, sizeof file, 0, &disk), headers[i].code);
		EXPECT_EQ(err.offset, headers[i].offset);
		EXPECT_STR(err.place, "test");
	}
}

TEST(an_unknown_feature_is_called_by_its_name)
{
	struct pl_disk *disk;
	uint8_t file[FILE_SIZE];

	make_image(file);
	put_be64(file + 72, 1ull << 40);
	put_be32(file + HEADER, 0x6803f857);
	put_be32(file + HEADER + 4, 48);
	file[HEADER + 9] = 40;
	memcpy(file + HEADER + 10, "time travel", 11);
	EXPECT_EQ(open_bytes(file, sizeof file, 0, &disk), -ENOTSUP);
	EXPECT(strstr(err.message, "'time travel'"));
}

TEST(a_backing_file_needs_somebody_who_can_open_it)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t file[FILE_SIZE];

	make_image(file);
	put_be64(file + 8, 200);
	put_be32(file + 16, 4);
	memcpy(file + 200, "base", 4);
	EXPECT_EQ(open_bytes(file, sizeof file, 0, &disk), -ENOTSUP);
	EXPECT_OK(open_bytes(file, sizeof file, PLATTER_OPEN_NO_BACKING, &disk));
	EXPECT_EQ(open_bytes(file, sizeof file, PLATTER_OPEN_NO_BACKING | PLATTER_OPEN_WRITE,
			     &(struct pl_disk *){ NULL }),
		  -ENOTSUP);
	put_be32(file + 16, 1024);
	EXPECT_EQ(open_bytes(file, sizeof file, 0, &(struct pl_disk *){ NULL }), -EUCLEAN);
	EXPECT_EQ(err.offset, 16);
	put_be32(file + 16, 400);
	EXPECT_EQ(open_bytes(file, sizeof file, 0, &(struct pl_disk *){ NULL }), -EUCLEAN);
	EXPECT_EQ(err.offset, 8);
}

/* Entries of tables: reading byte 0 fails and points at them; check() finds them too. */
static const struct {
	const char *label;
	unsigned field;
	uint64_t value;
} entries[] = {
	{ "L1 entry with reserved bits", L1, L2 | COPIED | 2 },
	{ "L2 table within a cluster", L1, (L2 + 512 * 2) | 1ull << 56 },
	{ "L2 table past the file", L1, (uint64_t)FILE_SIZE | COPIED },
	{ "L2 table far past the file", L1, 0x00fffffffffffe00 | COPIED },
	{ "L2 entry with reserved bits", L2, DATA | COPIED | 4 },
	{ "data past the file", L2, (uint64_t)FILE_SIZE | COPIED },
	{ "data far past the file", L2, 0x00fffffffffffe00 | COPIED },
	{ "compressed data past the file", L2, 1ull << 62 | FILE_SIZE },
	{ "compressed data in the header", L2, 1ull << 62 | 8 },
	{ "compressed data that is copied", L2, 1ull << 62 | COPIED | DATA },
};

TEST(reading_and_checking_name_the_broken_entry)
{
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		struct finding f = { .findings.found = found };
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		uint8_t file[FILE_SIZE], byte;

		make_image(file);
		put_be64(file + entries[i].field, entries[i].value);
		printf("# %s\n", entries[i].label);
		EXPECT_OK(open_bytes(file, sizeof file, 0, &disk));
		EXPECT_EQ(pl_read(disk, &byte, 1, 0, &err), -EUCLEAN);
		EXPECT_EQ(err.offset, entries[i].field);
		EXPECT_OK(pl_format_of(disk)->check(disk, &f.findings, &err));
		EXPECT_EQ(f.worst, PLATTER_DAMAGE);
		EXPECT_EQ(f.offset, entries[i].field);
	}
}

/* What only the check sees. */
static const struct {
	const char *label;
	unsigned field, width;
	uint64_t value;
	enum platter_severity worst;
	uint64_t offset;
} refcounts[] = {
	{ "data counted twice", REFCOUNTS + 2 * 5, 2, 2, PLATTER_DAMAGE, L2 },
	{ "data that is not counted", REFCOUNTS + 2 * 5, 2, 0, PLATTER_DAMAGE, L2 },
	{ "a header that is not counted", REFCOUNTS, 2, 0, PLATTER_DAMAGE, 0 },
	{ "a refcount table counted twice", REFCOUNTS + 2, 2, 2, PLATTER_LEAK, REFCOUNT_TABLE },
	{ "data over the L1 table", L2, 8, L1 | COPIED, PLATTER_DAMAGE, L2 },
	{ "a refcount block past the file", REFCOUNT_TABLE, 8, FILE_SIZE, PLATTER_DAMAGE,
	  REFCOUNT_TABLE },
	{ "a refcount block within a cluster", REFCOUNT_TABLE, 8, REFCOUNTS + 8, PLATTER_DAMAGE,
	  REFCOUNT_TABLE },
	{ "data twice", L2 + 16, 8, DATA | COPIED, PLATTER_DAMAGE, DATA },
	{ "data not marked as copied", L2, 8, DATA, PLATTER_DAMAGE, L2 },
	{ "the corrupt bit", 72, 8, 2, PLATTER_DAMAGE, 72 },
};

TEST(the_check_finds_wrong_refcounts)
{
	for (size_t i = 0; i < ARRAY_SIZE(refcounts); i++) {
		struct finding f = { .findings.found = found };
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		uint8_t file[FILE_SIZE];

		make_image(file);
		put(file + refcounts[i].field, refcounts[i].width, refcounts[i].value);
		printf("# %s\n", refcounts[i].label);
		EXPECT_OK(open_bytes(file, sizeof file, 0, &disk));
		EXPECT_OK(pl_format_of(disk)->check(disk, &f.findings, &err));
		EXPECT_EQ(f.worst, refcounts[i].worst);
		EXPECT_EQ(f.offset, refcounts[i].offset);
	}
}

TEST(an_l2_table_listed_twice_is_walked_once)
{
	struct finding f = { .findings.found = found };
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t file[FILE_SIZE];

	make_image(file);
	put_be32(file + 36, 64);
	for (int i = 1; i < 64; i++)
		put_be64(file + L1 + i * 8, L2 | COPIED);
	EXPECT_OK(open_bytes(file, sizeof file, 0, &disk));
	EXPECT_OK(pl_format_of(disk)->check(disk, &f.findings, &err));
	EXPECT_EQ(f.offset, L1 + 8);
}

TEST(a_file_may_end_in_its_last_cluster)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t file[FILE_SIZE], bytes[CLUSTER];

	make_image(file);
	EXPECT_OK(open_bytes(file, DATA + 100, 0, &disk));
	EXPECT_OK(pl_read(disk, bytes, sizeof bytes, 0, &err));
	EXPECT_MEM(bytes, file + DATA, 100);
	EXPECT(pl_is_zero(bytes + 100, CLUSTER - 100));
}

TEST(truncated_files_fail_or_read)
{
	for (size_t n = 0; n < FILE_SIZE; n += 13) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		uint8_t file[FILE_SIZE], bytes[DISK_SIZE];

		make_image(file);
		if (open_bytes(file, n, 0, &disk) == 0 &&
		    pl_read(disk, bytes, sizeof bytes, 0, &err) == 0)
			EXPECT(n > DATA);
		else
			EXPECT(err.message[0]);
	}
}

TEST(encrypted_data_is_named_and_the_rest_reads)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t file[FILE_SIZE], byte;

	make_image(file);
	put_be32(file + 32, 2);
	EXPECT_OK(open_bytes(file, sizeof file, 0, &disk));
	EXPECT_EQ(pl_read(disk, &byte, 1, 0, &err), -ENOTSUP);
	EXPECT(strstr(err.message, "LUKS"));
	EXPECT_OK(pl_read(disk, &byte, 1, CLUSTER, &err));
}

TEST(damaged_images_are_not_written)
{
	static const uint64_t bits[] = { 1, 2 };

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		uint8_t file[FILE_SIZE], byte = 0;

		make_image(file);
		put_be64(file + 72, bits[i]);
		EXPECT_EQ(open_bytes(file, sizeof file, PLATTER_OPEN_WRITE, &disk), -EUCLEAN);
		EXPECT(strstr(err.hint, "platter repair"));
		EXPECT_OK(open_bytes(file, sizeof file, 0, &disk));
		EXPECT_EQ(pl_write(disk, &byte, 1, 0, &err), -EROFS);
	}
}

/* A refcount of 0 for a table must not make it data. */
TEST(a_table_that_is_not_counted_is_not_given_away)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t file[FILE_SIZE], byte = 1;

	make_image(file);
	put_be16(file + REFCOUNTS + 2 * 3, 0);
	EXPECT_OK(open_bytes(file, sizeof file, PLATTER_OPEN_WRITE, &disk));
	EXPECT_EQ(pl_write(disk, &byte, 1, 3 * CLUSTER, &err), -EUCLEAN);
	EXPECT_EQ(err.offset, L1);
}

TEST(an_unaligned_write_keeps_its_neighbours)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t file[FILE_SIZE], bytes[DISK_SIZE], want[DISK_SIZE] = { 0 };

	make_image(file);
	memset(want, 'x', CLUSTER);
	memset(want + 300, 'y', 1000);
	EXPECT_OK(open_bytes(file, sizeof file, PLATTER_OPEN_WRITE, &disk));
	EXPECT_OK(pl_write(disk, want + 300, 1000, 300, &err));
	EXPECT_OK(pl_read(disk, bytes, sizeof bytes, 0, &err));
	EXPECT_MEM(bytes, want, sizeof want);
	EXPECT_OK(pl_discard(disk, 400, 700, &err));
	memset(want + 400, 0, 700);
	EXPECT_OK(pl_read(disk, bytes, sizeof bytes, 0, &err));
	EXPECT_MEM(bytes, want, sizeof want);
}
