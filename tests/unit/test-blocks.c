/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-blocks.c - tables of blocks, bitmaps, runs that join, blocks that are appended */
#include <stdlib.h>

#include "blocks.h"
#include "test.h"

static struct platter_error err;

static struct pl_disk *
memory(const void *bytes, size_t n)
{
	struct pl_disk *disk;

	EXPECT_OK(pl_memory_new(bytes, n, "memory", &disk, &err));
	return disk;
}

TEST(a_table_gives_entries_and_skips_what_is_absent)
{
	/* Three pages of 64 KiB; all is absent but one entry on the last. */
	size_t n = 3 * 65536, at = 2 * 65536 + 40;
	PL_AUTOFREE uint8_t *bytes = malloc(512 + n);
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_block_table t = { 0 };
	const uint8_t *entry;
	uint64_t end;

	memset(bytes, 0xff, 512 + n);
	put_be32(bytes + 512 + at, 7);
	file = memory(bytes, 512 + n);
	EXPECT_OK(pl_block_table_init(&t, file, 512, n, 0xff, &err));
	EXPECT_OK(pl_block_table_get(&t, at, 4, &entry, &err));
	EXPECT_EQ(get_be32(entry), 7);
	EXPECT_OK(pl_block_table_get(&t, 0, 4, &entry, &err));
	EXPECT_EQ(get_be32(entry), 0xffffffffu);
	EXPECT_OK(pl_block_table_skip(&t, 0, n, &end, &err));
	EXPECT_EQ(end / 4 * 4, at);
	EXPECT_OK(pl_block_table_skip(&t, at + 4, n, &end, &err));
	EXPECT_EQ(end, n);
	EXPECT_EQ(pl_block_table_get(&t, n, 4, &entry, &err), -EUCLEAN);
	pl_block_table_done(&t);
}

TEST(a_table_that_passes_the_end_of_the_file_is_refused)
{
	PL_AUTOUNREF struct pl_disk *file = memory("0123456789", 10);
	struct pl_block_table t = { 0 };

	EXPECT_EQ(pl_block_table_init(&t, file, 4, 7, 0, &err), -EUCLEAN);
	EXPECT_EQ(err.offset, 4);
	EXPECT_EQ(pl_block_table_init(&t, file, UINT64_MAX, 2, 0, &err), -EUCLEAN);
	pl_block_table_done(&t);
}

TEST(bits_run_in_either_order)
{
	static const uint8_t bits[] = { 0xf0, 0x00, 0xff, 0xff, 0x01 };
	bool set;

	EXPECT_EQ(pl_bit_run(bits, 0, 40, PL_MSB_FIRST, &set), 4);
	EXPECT(set);
	EXPECT_EQ(pl_bit_run(bits, 4, 40, PL_MSB_FIRST, &set), 12);
	EXPECT(!set);
	EXPECT_EQ(pl_bit_run(bits, 16, 40, PL_MSB_FIRST, &set), 16);
	EXPECT_EQ(pl_bit_run(bits, 16, 40, PL_LSB_FIRST, &set), 17);
	EXPECT(set);
	EXPECT_EQ(pl_bit_run(bits, 0, 40, PL_LSB_FIRST, &set), 4);
	EXPECT(!set);
	EXPECT_EQ(pl_bit_run(bits, 16, 20, PL_LSB_FIRST, &set), 4);
}

static unsigned nr_found;
static char last_found[200];

static void
count(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
      const char *message)
{
	(void)findings, (void)severity, (void)offset;
	nr_found++;
	snprintf(last_found, sizeof last_found, "%s", message);
}

TEST(claims_that_overlap_are_found_whatever_their_order)
{
	struct pl_findings findings = { .found = count };
	struct pl_claims claims = { 0 };

	nr_found = 0;
	EXPECT_OK(pl_claim(&claims, 300, 100, "block", 3, &err));
	EXPECT_OK(pl_claim(&claims, 0, 100, "the header", PL_ONLY, &err));
	EXPECT_OK(pl_claim(&claims, 100, 200, "block", 2, &err));
	pl_claims_report(&claims, &findings);
	EXPECT_EQ(nr_found, 0);
	/* Within a large one, behind a small one that is in it too. */
	EXPECT_OK(pl_claim(&claims, 110, 5, "block", 4, &err));
	EXPECT_OK(pl_claim(&claims, 299, 1, "block", 5, &err));
	pl_claims_report(&claims, &findings);
	EXPECT_EQ(nr_found, 2);
	EXPECT_STR(last_found, "block 5 lies over block 2 in the file");
	pl_claims_done(&claims);
}

TEST(blocks_are_appended_in_the_order_they_are_begun)
{
	struct pl_block_writer b;
	uint64_t at, n;

	pl_block_writer_init(&b, 4096, 0);
	b.frontier = 8192;
	/* Block 5, then two that follow each other and are written as one run. */
	EXPECT_OK(pl_block_writer_place(&b, 5 * 4096 + 512, 512, &at, &n, &err));
	EXPECT_EQ(at, 8192 + 512);
	EXPECT_EQ(n, 512);
	EXPECT_OK(pl_block_writer_place(&b, 7 * 4096, 8192, &at, &n, &err));
	EXPECT_EQ(at, 8192 + 4096);
	EXPECT_EQ(n, 8192);
	/* Into a block that is there, and on into one that is not. */
	EXPECT_OK(pl_block_writer_place(&b, 5 * 4096 + 2048, 4096, &at, &n, &err));
	EXPECT_EQ(at, 8192 + 2048);
	EXPECT_EQ(n, 2048);
	EXPECT_EQ(pl_block_writer_at(&b, 4), 0);
	EXPECT_EQ(pl_block_writer_at(&b, 8), 8192 + 2 * 4096);
	pl_block_writer_done(&b);
}

TEST(begun_and_zero_blocks_are_known_in_any_order)
{
	enum {
		NR = 500
	};
	uint64_t places[NR] = { 0 };
	struct pl_block_writer b;
	uint64_t at, n;

	pl_block_writer_init(&b, 4096, 512);
	b.frontier = 1024;
	srand(1);
	for (int i = 0; i < 400; i++) {
		uint64_t index = (uint64_t)rand() % NR;

		/* Half of them go on where the one before ended, as in a disk that is copied. */
		if (i % 2 && index + 1 < NR && places[index])
			index++;
		if (rand() % 4 == 0 && !places[index]) {
			EXPECT_OK(pl_block_writer_mark_zero(&b, index * 4096, 4096, &err));
			places[index] = PL_BLOCK_ZERO;
		} else if (places[index] != PL_BLOCK_ZERO) {
			EXPECT_OK(pl_block_writer_place(&b, index * 4096, 4096, &at, &n, &err));
			EXPECT_EQ(n, 4096);
			EXPECT(!places[index] || places[index] == at);
			places[index] = at;
		}
	}
	for (uint64_t i = 0; i < NR; i++)
		EXPECT_EQ(pl_block_writer_at(&b, i), places[i]);
	EXPECT_EQ(pl_block_writer_at(&b, UINT64_MAX / 2), 0);
	pl_block_writer_done(&b);
}

TEST(a_full_disk_costs_no_more_to_know_than_one_block)
{
	struct pl_block_writer b;
	uint64_t at, n;

	pl_block_writer_init(&b, (uint32_t)MIB(1), 0);
	EXPECT_OK(pl_block_writer_place(&b, 0, TIB(1), &at, &n, &err));
	EXPECT_EQ(n, TIB(1));
	EXPECT_EQ(b.nr_runs, 1);
	EXPECT_EQ(b.nr_begun, 1 << 20);
	EXPECT_OK(pl_block_writer_mark_zero(&b, TIB(2), TIB(64), &err));
	EXPECT_EQ(b.nr_runs, 2);
	EXPECT_EQ(pl_block_writer_at(&b, (1 << 20) - 1), TIB(1) - MIB(1));
	EXPECT_EQ(pl_block_writer_at(&b, 1 << 20), 0);
	pl_block_writer_done(&b);
}

TEST(what_leads_a_block_ends_a_run)
{
	struct pl_block_writer b;
	uint64_t at, n;

	pl_block_writer_init(&b, 4096, 512);
	b.frontier = 1024;
	b.limit = 1024 + 2 * (4096 + 512);
	EXPECT_OK(pl_block_writer_place(&b, 0, 8192, &at, &n, &err));
	EXPECT_EQ(at, 1024 + 512);
	EXPECT_EQ(n, 4096);
	EXPECT_OK(pl_block_writer_place(&b, 4096, 4096, &at, &n, &err));
	EXPECT_EQ(at, 1024 + 512 + 4096 + 512);
	EXPECT_EQ(pl_block_writer_place(&b, 8192, 1, &at, &n, &err), -EFBIG);
	EXPECT_OK(pl_block_writer_mark_zero(&b, 4 * 4096, 5000, &err));
	EXPECT_EQ(pl_block_writer_at(&b, 4), PL_BLOCK_ZERO);
	EXPECT_EQ(pl_block_writer_at(&b, 5), PL_BLOCK_ZERO);
	EXPECT_EQ(pl_block_writer_at(&b, 6), 0);
	pl_block_writer_done(&b);
}
