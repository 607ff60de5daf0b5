/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-vhdx.c - VHDX images: each field broken by itself, logs, parents, and other tools' view */
#include <limits.h>

#include "vhd-images.h"
#include "writer.h"
#include "vhdx/vhdx.h"

/*
 * A disk of five blocks of 1 MiB as the writer lays it out:
 *
 *	1 MiB  log
 *	2 MiB  metadata
 *	3 MiB  block table
 *	4 MiB  block 1, all 'a'
 *	5 MiB  block 3, all 'c'
 */
#define LOG       MIB(1)
#define METADATA  MIB(2)
#define BAT       MIB(3)
#define BLOCK_1   MIB(4)
#define BLOCK_3   MIB(5)
#define FILE_SIZE MIB(6)
#define DISK_SIZE MIB(5)
/* Where the writer puts the items of the metadata. */
#define PARAMETERS (METADATA + 65536)
#define SIZE       (PARAMETERS + 8)
#define SECTORS    (SIZE + 24)
#define PHYSICAL   (SECTORS + 8)
#define LOCATOR    (PHYSICAL + 8)

static void
fill(struct pl_disk *file, uint64_t at, uint8_t value, size_t n)
{
	PL_AUTOFREE uint8_t *bytes = malloc(n);

	memset(bytes, value, n);
	EXPECT_OK(pl_write(file, bytes, n, at, &err));
}

static void
put32(struct pl_disk *file, uint64_t at, uint32_t value)
{
	uint8_t b[4];

	put_le32(b, value);
	EXPECT_OK(pl_write(file, b, sizeof b, at, &err));
}

static void
put64(struct pl_disk *file, uint64_t at, uint64_t value)
{
	put32(file, at, (uint32_t)value);
	put32(file, at + 4, (uint32_t)(value >> 32));
}

/* Make the CRC at byte 4 of n bytes right again. */
static void
sign(struct pl_disk *file, uint64_t at, size_t n)
{
	PL_AUTOFREE uint8_t *b = malloc(n);

	EXPECT_OK(pl_read(file, b, n, at, &err));
	put32(file, at + VHDX_CRC, pl_vhdx_crc(b, n));
}

static void
sign_all(struct pl_disk *file)
{
	sign(file, VHDX_HEADER_1, VHDX_HEADER_SIZE);
	sign(file, VHDX_HEADER_2, VHDX_HEADER_SIZE);
	sign(file, VHDX_REGIONS_1, VHDX_TABLE_SIZE);
	sign(file, VHDX_REGIONS_2, VHDX_TABLE_SIZE);
}

/* `parent`: the name of one in `folder`, or NULL. */
static struct pl_disk *
make_image(const char *name, const char *parent, struct folder *folder)
{
	struct platter_key_value options[] = { { "block_size", "1M" }, { "backing_file", parent } };
	struct pl_disk *file = memory_file(NULL, 0, name);
	struct pl_create_request request = { .file = file,
					     .size = DISK_SIZE,
					     .sector_size = 512,
					     .options = options,
					     .nr_options = parent ? 2 : 1,
					     .level = INT_MIN };
	struct pl_writer *w;
	uint64_t at, n;

	if (folder) {
		folder->related.open = folder_open;
		request.related = &folder->related;
	}
	EXPECT_OK(pl_format_by_name("vhdx")->create(&request, &w, &err));
	EXPECT_OK(w->ops->place(w, MIB(1), MIB(1), 0, &at, &n, &err));
	fill(file, at, 'a', MIB(1));
	EXPECT_OK(w->ops->place(w, MIB(3), MIB(1), 0, &at, &n, &err));
	fill(file, at, 'c', MIB(1));
	EXPECT_OK(w->ops->finish(w, &err));
	w->ops->free(w);
	EXPECT_EQ(file->size, FILE_SIZE);
	return file;
}

static int
open_file(struct pl_disk *file, struct pl_disk **ret)
{
	*ret = NULL;
	return open_image("vhdx", file, NULL, 0, ret);
}

TEST(a_dynamic_disk_reads_its_blocks_and_zeros_elsewhere)
{
	PL_AUTOUNREF struct pl_disk *file = make_image("disk.vhdx", NULL, NULL), *disk = NULL;
	struct pl_extent e;

	EXPECT_OK(open_file(file, &disk));
	EXPECT_EQ(disk->size, DISK_SIZE);
	EXPECT(holds(disk, 0, MIB(1), 0));
	EXPECT(holds(disk, MIB(1), MIB(1), 'a'));
	EXPECT(holds(disk, MIB(2), MIB(1), 0));
	EXPECT(holds(disk, MIB(3), MIB(1), 'c'));
	EXPECT_OK(pl_map(disk, MIB(3) + 5, MIB(2), &e, &err));
	EXPECT_EQ(e.stored_offset, BLOCK_3 + 5);
	EXPECT_EQ(e.length, MIB(1) - 5);
	EXPECT_STR(check_image("vhdx", disk), "");
}

/* Each row breaks one field; checksums are made right again. */
static const struct {
	const char *label;
	uint64_t at;
	uint32_t value;
	int code;
	uint64_t where;
} broken[] = {
	{ "signature", 0, 0, -EUCLEAN, 0 },
	{ "both headers' signature", VHDX_HEADER_1, 0, -EUCLEAN, VHDX_HEADER_1 },
	{ "version", VHDX_HEADER_2 + 64, 2u << 16, -ENOTSUP, VHDX_HEADER_2 + VHDX_VERSION },
	{ "region table signature", VHDX_REGIONS_1, 0, -EUCLEAN, VHDX_REGIONS_1 },
	{ "too many regions", VHDX_REGIONS_1 + 8, 2048, -EUCLEAN, VHDX_REGIONS_1 + 8 },
	{ "no regions", VHDX_REGIONS_1 + 8, 0, -EUCLEAN, VHDX_REGIONS_1 + 8 },
	{ "unknown region", VHDX_REGIONS_1 + 16, 7, -ENOTSUP, VHDX_REGIONS_1 + 16 },
	{ "table past the end", VHDX_REGIONS_1 + 32, FILE_SIZE, -EUCLEAN, VHDX_REGIONS_1 + 32 },
	{ "table far past the end", VHDX_REGIONS_1 + 36, 0xffffffff, -EUCLEAN,
	  VHDX_REGIONS_1 + 32 },
	{ "table in the first MiB", VHDX_REGIONS_1 + 32, 0, -EUCLEAN, VHDX_REGIONS_1 + 32 },
	{ "table of half a MiB", VHDX_REGIONS_1 + 40, 1 << 19, -EUCLEAN, VHDX_REGIONS_1 + 32 },
	{ "metadata signature", METADATA, 0, -EUCLEAN, METADATA },
	{ "too many items", METADATA + 8, 2048u << 16, -EUCLEAN, METADATA + 10 },
	{ "no items", METADATA + 8, 0, -EUCLEAN, METADATA },
	{ "unknown required item", METADATA + 32, 7, -ENOTSUP, METADATA + 32 },
	{ "item in the table", METADATA + 48, 100, -EUCLEAN, METADATA + 48 },
	{ "item past the region", METADATA + 48, MIB(1) - 4, -EUCLEAN, METADATA + 48 },
	{ "item that is too short", METADATA + 52, 7, -EUCLEAN, METADATA + 52 },
	{ "block size 0", PARAMETERS, 0, -EUCLEAN, PARAMETERS },
	{ "block size 3 MiB", PARAMETERS, 3 << 20, -EUCLEAN, PARAMETERS },
	{ "block size 512 MiB", PARAMETERS, 512 << 20, -EUCLEAN, PARAMETERS },
	{ "size of no sectors", SIZE, 513, -EUCLEAN, SIZE },
	{ "size beyond the limit", SIZE + 4, 0x4001, -EFBIG, SIZE },
	{ "size beyond the table", SIZE + 4, 0x3000, -EUCLEAN, SIZE },
	{ "sectors of 520 bytes", SECTORS, 520, -ENOTSUP, SECTORS },
	{ "physical sectors of 0 bytes", PHYSICAL, 0, -ENOTSUP, PHYSICAL },
	{ "a parent without a locator", PARAMETERS + 4, 2, -EUCLEAN, METADATA },
};

TEST(a_broken_field_is_named)
{
	PL_AUTOUNREF struct pl_disk *good = make_image("disk.vhdx", NULL, NULL);
	PL_AUTOFREE uint8_t *bytes = malloc(FILE_SIZE);

	EXPECT_OK(pl_read(good, bytes, FILE_SIZE, 0, &err));
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		PL_AUTOUNREF struct pl_disk *file = memory_file(bytes, FILE_SIZE, "disk.vhdx");
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		printf("# %s\n", broken[i].label);
		put32(file, broken[i].at, broken[i].value);
		/* The other copy must not help. */
		if (broken[i].at == VHDX_HEADER_1)
			put32(file, VHDX_HEADER_2, 0);
		else if (broken[i].at >= VHDX_REGIONS_1 && broken[i].at < VHDX_REGIONS_2)
			put32(file, broken[i].at + KIB(64), broken[i].value);
		sign_all(file);
		EXPECT_EQ(open_file(file, &disk), broken[i].code);
		EXPECT_EQ(err.offset, broken[i].where);
		EXPECT_STR(err.place, "disk.vhdx");
	}
}

TEST(either_header_and_either_region_table_will_do)
{
	static const struct {
		uint64_t at;
		const char *finding;
	} damaged[] = {
		{ VHDX_HEADER_1,
		  "note 65536 one of the two headers is not sound, as after a crash\n" },
		{ VHDX_HEADER_2,
		  "note 65536 one of the two headers is not sound, as after a crash\n" },
		{ VHDX_REGIONS_1, "damage 196608 one of the two region tables is not sound\n" },
		{ VHDX_REGIONS_2, "damage 196608 one of the two region tables is not sound\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		PL_AUTOUNREF struct pl_disk *file = make_image("disk.vhdx", NULL, NULL),
					    *disk = NULL;

		put32(file, damaged[i].at + 100, 1);
		EXPECT_OK(open_file(file, &disk));
		EXPECT(holds(disk, MIB(3), MIB(1), 'c'));
		EXPECT_STR(check_image("vhdx", disk), damaged[i].finding);
	}
}

TEST(checksums_can_be_ignored_to_rescue_data)
{
	PL_AUTOUNREF struct pl_disk *file = make_image("disk.vhdx", NULL, NULL), *disk = NULL,
				    *rescued = NULL;

	put32(file, VHDX_HEADER_1 + 100, 1);
	put32(file, VHDX_HEADER_2 + 100, 1);
	EXPECT_EQ(open_file(file, &disk), -EUCLEAN);
	EXPECT_OK(open_image("vhdx", file, NULL, PLATTER_OPEN_IGNORE_CHECKSUMS, &rescued));
	EXPECT(holds(rescued, MIB(3), MIB(1), 'c'));
}

TEST(every_state_of_a_block_reads_as_the_specification_has_it)
{
	PL_AUTOUNREF struct pl_disk *file = make_image("disk.vhdx", NULL, NULL);

	for (uint32_t state = 0; state < 8; state++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;
		char byte;

		put32(file, BAT + 24, (uint32_t)BLOCK_3 | state);
		EXPECT_OK(open_file(file, &disk));
		if (state == VHDX_FULLY_PRESENT)
			EXPECT(holds(disk, MIB(3), MIB(1), 'c'));
		else if (state == 4 || state == VHDX_PARTIALLY_PRESENT)
			EXPECT_EQ(pl_read(disk, &byte, 1, MIB(3), &err), -EUCLEAN);
		else
			EXPECT(holds(disk, MIB(3), MIB(1), 0));
		EXPECT(holds(disk, MIB(1), MIB(1), 'a'));
	}
}

TEST(blocks_outside_of_the_file_or_over_others_are_found)
{
	PL_AUTOUNREF struct pl_disk *file = make_image("disk.vhdx", NULL, NULL), *disk = NULL;
	char byte;

	put64(file, BAT, FILE_SIZE | VHDX_FULLY_PRESENT);
	put64(file, BAT + 16, BLOCK_1 | VHDX_FULLY_PRESENT);
	put64(file, BAT + 32, VHDX_FULLY_PRESENT | 8);
	EXPECT_OK(open_file(file, &disk));
	EXPECT_EQ(pl_read(disk, &byte, 1, 0, &err), -EUCLEAN);
	EXPECT_EQ(err.offset, BAT);
	EXPECT_EQ(pl_read(disk, &byte, 1, MIB(4), &err), -EUCLEAN);
	EXPECT_EQ(err.offset, BAT + 32);
	EXPECT_STR(
		check_image("vhdx", disk),
		"damage 3145728 block 0 at byte 6291456 is not within the file (6291456 bytes)\n"
		"damage 3145760 block 4: reserved bits of its entry (0x000000000000000e) are set\n"
		"damage 3145760 block 4 at byte 0 is not within the file (6291456 bytes)\n"
		"damage 4194304 block 2 lies over block 1 in the file\n");
}

/* Logs. */

#define LOG_SECTOR 4096u
#define NR_SECTORS (MIB(1) / LOG_SECTOR)

static const uint8_t log_guid[16] = { 1, 2, 3 };

static void
mark_log(struct pl_disk *file)
{
	EXPECT_OK(pl_write(file, log_guid, 16, VHDX_HEADER_2 + VHDX_LOG_GUID, &err));
	sign(file, VHDX_HEADER_2, VHDX_HEADER_SIZE);
}

/* What one log entry does: writes `value` as the entry of a block, and zeros. */
struct change {
	uint64_t sequence;
	uint32_t at, tail; /* sectors of the log */
	uint32_t block;
	uint64_t value;
	uint64_t zero_at, zero_length; /* length 0: not */
	uint64_t flushed, last;
};

/* Two sectors: the entry with its descriptors, and the BAT's first sector as it will be. */
static void
log_entry(struct pl_disk *file, const struct change *c)
{
	uint8_t b[2 * LOG_SECTOR] = { 0 }, sector[LOG_SECTOR], *d = b + 64;

	EXPECT_OK(pl_read(file, sector, sizeof sector, BAT, &err));
	put_le64(sector + c->block * 8, c->value);
	memcpy(b, "loge", 4);
	put_le32(b + 8, sizeof b);
	put_le32(b + 12, c->tail * LOG_SECTOR);
	put_le64(b + 16, c->sequence);
	put_le32(b + 24, c->zero_length ? 2 : 1);
	memcpy(b + 32, log_guid, 16);
	put_le64(b + 48, c->flushed ? c->flushed : FILE_SIZE);
	put_le64(b + 56, c->last ? c->last : FILE_SIZE);
	memcpy(d, "desc", 4);
	memcpy(d + 4, sector + LOG_SECTOR - 4, 4);
	memcpy(d + 8, sector, 8);
	put_le64(d + 16, BAT);
	put_le64(d + 24, c->sequence);
	if (c->zero_length) {
		memcpy(d + 32, "zero", 4);
		put_le64(d + 40, c->zero_length);
		put_le64(d + 48, c->zero_at);
		put_le64(d + 56, c->sequence);
	}
	memcpy(b + LOG_SECTOR, "data", 4);
	put_le32(b + LOG_SECTOR + 4, (uint32_t)(c->sequence >> 32));
	memcpy(b + LOG_SECTOR + 8, sector + 8, LOG_SECTOR - 12);
	put_le32(b + 2 * LOG_SECTOR - 4, (uint32_t)c->sequence);
	put_le32(b + 4, pl_vhdx_crc(b, sizeof b));
	for (uint32_t i = 0; i < 2; i++)
		EXPECT_OK(pl_write(file, b + i * LOG_SECTOR, LOG_SECTOR,
				   LOG + (c->at + i) % NR_SECTORS * LOG_SECTOR, &err));
}

#define ENTRY_OF(place) ((place) | VHDX_FULLY_PRESENT)

TEST(a_log_is_replayed_in_memory_and_the_file_is_left_alone)
{
	PL_AUTOUNREF struct pl_disk *file = make_image("disk.vhdx", NULL, NULL), *disk = NULL;
	PL_AUTOFREE uint8_t *before = malloc(FILE_SIZE), *after = malloc(FILE_SIZE);

	mark_log(file);
	log_entry(file, &(struct change){ .sequence = 5, .block = 0, .value = ENTRY_OF(BLOCK_3) });
	EXPECT_OK(pl_read(file, before, FILE_SIZE, 0, &err));
	EXPECT_OK(open_file(file, &disk));
	EXPECT(holds(disk, 0, MIB(1), 'c'));
	EXPECT(holds(disk, MIB(1), MIB(1), 'a'));
	EXPECT_OK(pl_read(file, after, FILE_SIZE, 0, &err));
	EXPECT_MEM(before, after, FILE_SIZE);
}

TEST(a_log_sequence_wraps_round_and_stale_entries_are_left_out)
{
	PL_AUTOUNREF struct pl_disk *file = make_image("disk.vhdx", NULL, NULL), *disk = NULL;
	uint32_t first = NR_SECTORS - 3;

	mark_log(file);
	/* 8 passes the end of the log; 7 is done with, and 3 is from long ago. */
	log_entry(file, &(struct change){ .sequence = 3,
					  .at = 20,
					  .tail = 20,
					  .block = 2,
					  .value = ENTRY_OF(BLOCK_1) });
	log_entry(file, &(struct change){ .sequence = 7,
					  .at = first,
					  .tail = first,
					  .block = 4,
					  .value = ENTRY_OF(BLOCK_1) });
	log_entry(file, &(struct change){ .sequence = 8,
					  .at = first + 2,
					  .tail = first + 2,
					  .block = 0,
					  .value = ENTRY_OF(BLOCK_3) });
	log_entry(file, &(struct change){ .sequence = 9,
					  .at = 1,
					  .tail = first + 2,
					  .block = 2,
					  .value = ENTRY_OF(BLOCK_3) });
	EXPECT_OK(open_file(file, &disk));
	/* The later of two copies of a sector is the one that counts. */
	EXPECT(holds(disk, 0, MIB(1), 0));
	EXPECT(holds(disk, MIB(2), MIB(1), 'c'));
	EXPECT(holds(disk, MIB(4), MIB(1), 0));
	EXPECT_STR(check_image("vhdx", disk),
		   "note 1048576 log entries that had to be replayed in memory: 2\n"
		   "damage 5242880 block 3 lies over block 2 in the file\n");
}

TEST(zeros_in_a_log_cover_what_was_there_but_not_what_comes_later)
{
	PL_AUTOUNREF struct pl_disk *file = make_image("disk.vhdx", NULL, NULL), *disk = NULL;

	mark_log(file);
	/* The first entry clears the table, which the second writes again; half of block 3 too. */
	log_entry(file, &(struct change){ .sequence = 1,
					  .block = 0,
					  .value = ENTRY_OF(BLOCK_3),
					  .zero_at = BLOCK_3,
					  .zero_length = MIB(1) / 2 });
	log_entry(file, &(struct change){ .sequence = 2,
					  .at = 2,
					  .block = 1,
					  .value = ENTRY_OF(BLOCK_1),
					  .zero_at = BLOCK_1,
					  .zero_length = LOG_SECTOR });
	EXPECT_OK(open_file(file, &disk));
	EXPECT(holds(disk, MIB(1), LOG_SECTOR, 0));
	EXPECT(holds(disk, MIB(1) + LOG_SECTOR, MIB(1) - LOG_SECTOR, 'a'));
	EXPECT(holds(disk, MIB(3), MIB(1) / 2, 0));
	EXPECT(holds(disk, MIB(3) + MIB(1) / 2, MIB(1) / 2, 'c'));
}

TEST(a_torn_log_entry_is_not_replayed)
{
	PL_AUTOUNREF struct pl_disk *file = make_image("disk.vhdx", NULL, NULL), *disk = NULL,
				    *first = NULL;

	mark_log(file);
	log_entry(file, &(struct change){ .sequence = 1, .block = 0, .value = ENTRY_OF(BLOCK_3) });
	log_entry(file, &(struct change){
				.sequence = 2, .at = 2, .block = 2, .value = ENTRY_OF(BLOCK_3) });
	put32(file, LOG + 3 * LOG_SECTOR + 1000, 1);
	EXPECT_OK(open_file(file, &disk));
	EXPECT(holds(disk, 0, MIB(1), 'c'));
	EXPECT(holds(disk, MIB(2), MIB(1), 0));
	/* With the first one torn too, nothing has been changed yet. */
	put32(file, LOG + LOG_SECTOR + 1000, 1);
	EXPECT_OK(open_file(file, &first));
	EXPECT(holds(first, 0, MIB(1), 0));
	EXPECT_EQ(strncmp(check_image("vhdx", first), "note 65536 the log is not marked", 32), 0);
}

TEST(a_log_knows_how_long_the_file_was_and_will_be)
{
	PL_AUTOUNREF struct pl_disk *file = make_image("disk.vhdx", NULL, NULL), *disk = NULL,
				    *cut = NULL;

	mark_log(file);
	/* The block's bytes were to be written after the file was extended. */
	log_entry(file, &(struct change){ .sequence = 1,
					  .block = 0,
					  .value = ENTRY_OF(FILE_SIZE),
					  .last = FILE_SIZE + MIB(1) });
	EXPECT_OK(open_file(file, &disk));
	EXPECT(holds(disk, 0, MIB(1), 0));
	EXPECT_STR(check_image("vhdx", disk),
		   "note 1048576 log entries that had to be replayed in memory: 1\n");
	log_entry(file, &(struct change){ .sequence = 1,
					  .block = 0,
					  .value = ENTRY_OF(BLOCK_3),
					  .flushed = FILE_SIZE + MIB(1) });
	EXPECT_EQ(open_file(file, &cut), -EUCLEAN);
	EXPECT_EQ(err.offset, LOG + 48);
}

TEST(a_broken_log_is_refused)
{
	static const struct {
		unsigned field;
		uint32_t value;
		int code;
		unsigned where;
	} rows[] = {
		{ VHDX_LOG_OFFSET, 4096, -EUCLEAN, VHDX_LOG_OFFSET },
		{ VHDX_LOG_OFFSET, FILE_SIZE, -EUCLEAN, VHDX_LOG_OFFSET },
		{ VHDX_LOG_OFFSET + 4, 0xffffffff, -EUCLEAN, VHDX_LOG_OFFSET },
		{ VHDX_LOG_OFFSET, 0, -EUCLEAN, VHDX_LOG_OFFSET },
		{ VHDX_LOG_LENGTH, 4096, -EUCLEAN, VHDX_LOG_LENGTH },
		{ VHDX_LOG_LENGTH, 0, -EUCLEAN, VHDX_LOG_LENGTH },
		{ VHDX_LOG_VERSION, 0x10001, -ENOTSUP, VHDX_LOG_VERSION },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		PL_AUTOUNREF struct pl_disk *file = make_image("disk.vhdx", NULL, NULL),
					    *disk = NULL;

		put32(file, VHDX_HEADER_2 + rows[i].field, rows[i].value);
		mark_log(file);
		EXPECT_EQ(open_file(file, &disk), rows[i].code);
		EXPECT_EQ(err.offset, VHDX_HEADER_2 + rows[i].where);
	}
}

/* Parents. */

/* A parent of 'a' and 'c' as above, and a child with the same two blocks of 'x'. */
static void
make_pair(struct folder *folder, struct pl_disk **parent, struct pl_disk **child)
{
	*parent = make_image("base.vhdx", NULL, NULL);
	folder->names[0] = "./base.vhdx";
	folder->files[0] = *parent;
	*child = make_image("child.vhdx", "./base.vhdx", folder);
	fill(*child, BLOCK_1, 'x', MIB(1));
	fill(*child, BLOCK_3, 'x', MIB(1));
	folder->names[0] = "base.vhdx";
	folder->asked[0] = '\0';
}

TEST(sector_bitmaps_decide_between_child_and_parent)
{
	struct folder folder = { 0 };
	PL_AUTOUNREF struct pl_disk *parent, *child, *disk = NULL, *lost = NULL;
	char byte;

	make_pair(&folder, &parent, &child);
	/* Block 1 holds its sectors 8 to 15, block 3 none; the bitmap is appended to the file. */
	put64(child, BAT + 8, BLOCK_1 | VHDX_PARTIALLY_PRESENT);
	put64(child, BAT + 24, BLOCK_3 | VHDX_PARTIALLY_PRESENT);
	put64(child, BAT + 4096 * 8, FILE_SIZE | VHDX_FULLY_PRESENT);
	fill(child, FILE_SIZE, 0, MIB(1));
	fill(child, FILE_SIZE + (MIB(1) / 512 + 8) / 8, 0xff, 1);
	EXPECT_OK(open_image("vhdx", child, &folder, 0, &disk));
	EXPECT(holds(disk, MIB(1), 4096, 'a'));
	EXPECT(holds(disk, MIB(1) + 4096, 4096, 'x'));
	EXPECT(holds(disk, MIB(1) + 8192, MIB(1) - 8192, 'a'));
	EXPECT(holds(disk, MIB(3), MIB(1), 'c'));
	EXPECT_STR(check_image("vhdx", disk), "");
	put64(child, BAT + 4096 * 8, 0);
	EXPECT_OK(open_image("vhdx", child, &folder, 0, &lost));
	EXPECT_EQ(pl_read(lost, &byte, 1, MIB(1), &err), -EUCLEAN);
	EXPECT_EQ(err.offset, BAT + 4096 * 8);
}

TEST(a_block_that_is_zero_hides_the_parent_and_one_not_present_does_not)
{
	struct folder folder = { 0 };
	PL_AUTOUNREF struct pl_disk *parent, *child, *disk = NULL, *alone = NULL;

	make_pair(&folder, &parent, &child);
	put64(child, BAT + 8, VHDX_ZERO);
	put64(child, BAT + 24, 0);
	EXPECT_OK(open_image("vhdx", child, &folder, 0, &disk));
	EXPECT(holds(disk, MIB(1), MIB(1), 0));
	EXPECT(holds(disk, MIB(3), MIB(1), 'c'));
	EXPECT_OK(open_image("vhdx", child, &folder, PLATTER_OPEN_NO_BACKING, &alone));
	EXPECT(holds(alone, MIB(3), MIB(1), 0));
}

TEST(a_parent_that_was_changed_is_refused)
{
	struct folder folder = { 0 };
	PL_AUTOUNREF struct pl_disk *parent, *child, *disk = NULL;

	make_pair(&folder, &parent, &child);
	fill(parent, VHDX_HEADER_2 + VHDX_DATA_WRITE_GUID, 0xab, 16);
	sign(parent, VHDX_HEADER_2, VHDX_HEADER_SIZE);
	EXPECT_EQ(open_image("vhdx", child, &folder, 0, &disk), -EUCLEAN);
	EXPECT_EQ(err.offset, LOCATOR);
	EXPECT(strstr(err.message, "ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB"));
	EXPECT_STR(folder.asked, "base.vhdx;");
}

TEST(a_broken_parent_locator_is_named)
{
	static const struct {
		unsigned field;
		uint32_t value;
		int code;
		unsigned where;
	} rows[] = {
		{ 0, 1, -ENOTSUP, 0 },
		{ 16, 0xffff0000, -EUCLEAN, 18 },
		{ 20, 0xfffffff0, -EUCLEAN, 20 },
		{ 24 + 12, 10000, -EUCLEAN, 20 + 12 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct folder folder = { 0 };
		PL_AUTOUNREF struct pl_disk *parent, *child, *disk = NULL;

		make_pair(&folder, &parent, &child);
		put32(child, LOCATOR + rows[i].field, rows[i].value);
		EXPECT_EQ(open_image("vhdx", child, &folder, 0, &disk), rows[i].code);
		EXPECT_EQ(err.offset, LOCATOR + rows[i].where);
	}
}

/* Writing. */

TEST(what_is_written_reads_the_same_in_qemu)
{
	static const uint64_t sizes[] = { 512,          1000,        MIB(2), MIB(37) + 3 * 512,
					  GIB(2) - 512, GIB(9) + 512 };
	static const char *const options[] = { "subformat=dynamic", "subformat=fixed",
					       "block_size=1M", "block_size=256M", "log_size=3M" };

	if (run("command -v qemu-img") != 0)
		SKIP("no qemu-img");
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_raw(in_folder("s.raw"), sizes[i], (unsigned)i);
		for (size_t k = 0; k < ARRAY_SIZE(options); k++) {
			printf("# %" PRIu64 " bytes, %s\n", sizes[i], options[k]);
			EXPECT_OK(
				convert(in_folder("s.raw"), in_folder("s.vhdx"), options[k], NULL));
			EXPECT(same_disk(in_folder("s.raw"), in_folder("s.vhdx")));
			EXPECT_EQ(run("qemu-img check -f vhdx s.vhdx"), 0);
			/* QEMU reads sizes in whole sectors. */
			EXPECT_EQ(run("truncate -s %%512 s.raw && qemu-img compare -f raw -F vhdx"
				      " s.raw s.vhdx"),
				  0);
		}
	}
}

TEST(sectors_of_4096_bytes_are_kept)
{
	struct platter_disk *disk;

	make_raw(in_folder("s.raw"), MIB(3) + 512, 2);
	EXPECT_OK(convert(in_folder("s.raw"), in_folder("s.vhdx"), "sector_size=4096", NULL));
	EXPECT_OK(platter_open(in_folder("s.vhdx"), NULL, &disk, &err));
	EXPECT_EQ(platter_sector_size(disk), 4096);
	EXPECT_EQ(platter_size(disk), MIB(3) + 4096);
	platter_close(disk);
	EXPECT(same_disk(in_folder("s.raw"), in_folder("s.vhdx")));
	/* A copy of it keeps them without being told. */
	EXPECT_OK(convert(in_folder("s.vhdx"), in_folder("t.vhdx"), NULL, NULL));
	EXPECT_OK(platter_open(in_folder("t.vhdx"), NULL, &disk, &err));
	EXPECT_EQ(platter_sector_size(disk), 4096);
	platter_close(disk);
}

TEST(options_out_of_their_range_are_refused)
{
	static const char *const options[] = { "block_size=3M",   "block_size=512K",
					       "block_size=512M", "sector_size=1024",
					       "log_size=1500K",  "subformat=sparse" };

	make_raw(in_folder("s.raw"), 4096, 1);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		EXPECT_EQ(convert(in_folder("s.raw"), in_folder("s.vhdx"), options[i], NULL),
			  -EINVAL);
	EXPECT_EQ(convert(in_folder("s.raw"), in_folder("s.vhdx"), "backing_file=a.vhdx",
			  "subformat=fixed"),
		  -EINVAL);
	EXPECT_EQ(convert(in_folder("s.raw"), in_folder("s.vhdx"), "backing_file=a.vhdx", NULL),
		  -ENOENT);
}

TEST(a_disk_of_64_tib_is_the_largest)
{
	struct platter_create_options options = { .size = sizeof options, .no_sync = true };

	EXPECT_OK(platter_create_empty(in_folder("big.vhdx"), TIB(64), &options, &err));
	EXPECT_EQ(platter_create_empty(in_folder("more.vhdx"), TIB(64) + 512, &options, &err),
		  -EFBIG);
	if (run("command -v qemu-img") == 0)
		EXPECT_EQ(run("qemu-img info big.vhdx | grep -q '(70368744177664 bytes)'"), 0);
}

TEST(a_child_three_deep_reads_as_what_it_was_made_from)
{
	static const char *const names[] = { "a", "b", "sub/c" };

	EXPECT_EQ(run("mkdir sub"), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		char raw[40], vhdx[40], backing[40];

		snprintf(raw, sizeof raw, "%s.raw", names[i]);
		snprintf(vhdx, sizeof vhdx, "%s.vhdx", names[i]);
		snprintf(backing, sizeof backing, "backing_file=%s%s.vhdx", i == 2 ? "../" : "",
			 i ? names[i - 1] : "");
		make_raw(in_folder(raw), MIB(9) + 512 * i, i * 7 + 1);
		EXPECT_OK(convert(in_folder(raw), in_folder(vhdx), i ? backing : NULL, NULL));
		EXPECT(same_disk(in_folder(raw), in_folder(vhdx)));
	}
	/* Moved as a whole, they still find each other. */
	EXPECT_EQ(run("mkdir moved && mv a.vhdx b.vhdx sub moved"), 0);
	EXPECT(same_disk(in_folder("moved/sub/c.raw"), in_folder("moved/sub/c.vhdx")));
}

TEST(libvhdi_reads_what_is_written)
{
	if (run("command -v vhdiinfo") != 0)
		SKIP("no vhdiinfo");
	make_raw(in_folder("s.raw"), MIB(5), 3);
	EXPECT_OK(convert(in_folder("s.raw"), in_folder("base.vhdx"), NULL, NULL));
	EXPECT_OK(
		convert(in_folder("s.raw"), in_folder("top.vhdx"), "backing_file=base.vhdx", NULL));
	EXPECT_EQ(run("vhdiinfo base.vhdx | grep -q Dynamic"), 0);
	EXPECT_EQ(
		run("vhdiinfo top.vhdx >info; grep -q Differential info && grep -q base.vhdx info"),
		0);
}
