/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test.h"

#include "bytes.h"
#include "compare.h"

/* Longer than a batch of pieces, and not a multiple of anything. */
#define SIZE (MIB(18) + 777)

/* A disk of pseudo-random bytes with zeros in its second MiB. */
static uint8_t *
make_bytes(void)
{
	uint8_t *bytes = malloc(SIZE);
	uint32_t x = 1;

	for (size_t i = 0; i < SIZE; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(x >> 24);
	}
	memset(bytes + MIB(1), 0, MIB(1));
	return bytes;
}

static struct platter_compare_result
compare(const uint8_t *a, size_t size_a, const uint8_t *b, size_t size_b)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_compare_result result = { 0 };
	PL_AUTOUNREF struct pl_disk *disk_a = NULL;
	PL_AUTOUNREF struct pl_disk *disk_b = NULL;

	EXPECT_OK(pl_memory_new(a, size_a, "a", &disk_a, &err));
	EXPECT_OK(pl_memory_new(b, size_b, "b", &disk_b, &err));
	EXPECT_OK(pl_compare(disk_a, disk_b, "comparing", NULL, &result, &err));
	EXPECT_EQ(result.size_a, size_a);
	EXPECT_EQ(result.size_b, size_b);
	return result;
}

TEST(copies_are_equal)
{
	PL_AUTOFREE uint8_t *a = make_bytes();
	struct platter_compare_result r = compare(a, SIZE, a, SIZE);

	EXPECT(r.equal);
	EXPECT(!r.equal_but_zero_tail);
	EXPECT_EQ(r.first_difference, PLATTER_NO_OFFSET);
	EXPECT_EQ(r.different_bytes, 0);
	EXPECT_EQ(r.different_extents, 0);
}

TEST(empty_disks_are_equal)
{
	EXPECT(compare((const uint8_t *)"", 0, (const uint8_t *)"", 0).equal);
}

TEST(one_byte_is_found_wherever_it_is)
{
	static const uint64_t offsets[] = { 0,      511,         512,     KIB(256) - 1, KIB(256),
					    MIB(1), MIB(16) - 1, MIB(16), SIZE - 778,   SIZE - 1 };
	PL_AUTOFREE uint8_t *a = make_bytes();
	PL_AUTOFREE uint8_t *b = make_bytes();

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		struct platter_compare_result r;

		b[offsets[i]] ^= 0x40;
		r = compare(a, SIZE, b, SIZE);
		b[offsets[i]] ^= 0x40;
		EXPECT(!r.equal);
		EXPECT_EQ(r.first_difference, offsets[i]);
		EXPECT_EQ(r.different_bytes, 1);
		EXPECT_EQ(r.different_extents, 1);
	}
}

TEST(a_run_across_pieces_and_batches_counts_once)
{
	PL_AUTOFREE uint8_t *a = make_bytes();
	PL_AUTOFREE uint8_t *b = make_bytes();
	struct platter_compare_result r;

	for (uint64_t i = MIB(15) + 100; i < MIB(17); i++)
		b[i] ^= 1;
	b[MIB(17) + 512] ^= 1; /* one equal block lies between */
	r = compare(a, SIZE, b, SIZE);
	EXPECT_EQ(r.first_difference, MIB(15) + 100);
	EXPECT_EQ(r.different_bytes, MIB(2) - 100 + 1);
	EXPECT_EQ(r.different_extents, 2);
}

TEST(many_differences_are_counted_as_byte_by_byte)
{
	PL_AUTOFREE uint8_t *a = make_bytes();
	PL_AUTOFREE uint8_t *b = make_bytes();
	struct platter_compare_result r;
	uint64_t bytes = 0, extents = 0, last = UINT64_MAX;
	uint32_t x = 7;

	for (size_t i = 0; i < 3000; i++) {
		x = x * 1664525 + 1013904223;
		b[(uint64_t)x % SIZE] ^= (uint8_t)(x >> 8);
	}
	for (uint64_t i = 0; i < SIZE; i++) {
		if (a[i] == b[i])
			continue;
		bytes++;
		extents += last == UINT64_MAX || i / 512 > last + 1;
		last = i / 512;
	}
	r = compare(a, SIZE, b, SIZE);
	EXPECT_EQ(r.different_bytes, bytes);
	EXPECT_EQ(r.different_extents, extents);
}

TEST(a_tail_of_zeros_is_told_from_a_difference)
{
	PL_AUTOFREE uint8_t *a = make_bytes();
	PL_AUTOFREE uint8_t *b = calloc(1, SIZE + MIB(5));
	struct platter_compare_result r;

	memcpy(b, a, SIZE);
	r = compare(a, SIZE, b, SIZE + MIB(5));
	EXPECT(!r.equal);
	EXPECT(r.equal_but_zero_tail);
	EXPECT_EQ(r.nonzero_tail_offset, PLATTER_NO_OFFSET);

	b[SIZE + MIB(3) + 5] = 1;
	b[SIZE + MIB(4)] = 1;
	for (int swap = 0; swap < 2; swap++) {
		r = swap ? compare(b, SIZE + MIB(5), a, SIZE) : compare(a, SIZE, b, SIZE + MIB(5));
		EXPECT(!r.equal && !r.equal_but_zero_tail);
		EXPECT_EQ(r.nonzero_tail_offset, SIZE + MIB(3) + 5);
		EXPECT_EQ(r.first_difference, PLATTER_NO_OFFSET);
		EXPECT_EQ(r.different_bytes, 0);
	}
}

static void
remember(const struct platter_progress_event *event, void *closure)
{
	*(struct platter_progress_event *)closure = *event;
}

TEST(a_disk_and_itself_are_equal_unread)
{
	PL_AUTOFREE uint8_t *a = make_bytes();
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_progress_event last = { 0 };
	struct platter_progress progress = { .report = remember, .closure = &last };
	struct platter_compare_result r;
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOUNREF struct pl_disk *part = NULL;

	EXPECT_OK(pl_memory_new(a, SIZE, "a", &disk, &err));
	EXPECT_OK(pl_slice_new(disk, 0, SIZE, "part", &part, &err));
	EXPECT_OK(pl_compare(disk, part, "comparing", &progress, &r, &err));
	EXPECT(r.equal);
	EXPECT_EQ(last.done, SIZE);
	EXPECT_EQ(last.total, SIZE);
	EXPECT_EQ(last.moved, 0);
	EXPECT_STR(last.phase, "comparing");
}

static void
cancel(const struct platter_progress_event *event, void *closure)
{
	platter_cancel(*(struct platter_progress **)closure);
}

TEST(a_cancelled_comparison_says_so)
{
	PL_AUTOFREE uint8_t *a = make_bytes();
	struct platter_error err = PLATTER_ERROR_INIT;
	struct platter_progress progress = { .report = cancel }, *closure = &progress;
	struct platter_compare_result r;
	PL_AUTOUNREF struct pl_disk *disk_a = NULL;
	PL_AUTOUNREF struct pl_disk *disk_b = NULL;

	progress.closure = &closure;
	EXPECT_OK(pl_memory_new(a, SIZE, "a", &disk_a, &err));
	EXPECT_OK(pl_memory_new(a, SIZE, "b", &disk_b, &err));
	EXPECT_EQ(pl_compare(disk_a, disk_b, "comparing", &progress, &r, &err), -ECANCELED);
}
