/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-read.c - maps resolved down a stack, the generic reader, the cache of decoded chunks */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "disk.h"
#include "test.h"

/*
 * A disk made of extents given in view.  Its decoder stores a chunk as one byte: the
 * decoded bytes count up from it.
 */
struct extents {
	struct pl_disk disk;
	const struct pl_extent *list; /* one after the other from offset 0 */
	size_t nr;
};

static int
extents_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	    struct platter_error *err)
{
	struct extents *x = pl_container_of(disk, struct extents, disk);
	uint64_t start = 0;

	for (size_t i = 0; i < x->nr; start += x->list[i++].length) {
		uint64_t skip = offset - start;

		if (skip >= x->list[i].length)
			continue;
		*ret = x->list[i];
		ret->length -= skip;
		if (!ret->decoder)
			ret->stored_offset += skip;
		else
			ret->chunk_offset = start;
		return 0;
	}
	return pl_corrupt(err, offset, "no extent");
}

static void
extents_free(struct pl_disk *disk)
{
	pl_disk_done(disk);
	free(disk);
}

static const struct pl_disk_ops extents_ops = {
	.name = "extents",
	.map = extents_map,
	.free = extents_free,
};

static struct pl_disk *
extents_new(const struct pl_extent *list, size_t nr, struct pl_disk *parent)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct extents *x = calloc(1, sizeof *x);

	EXPECT(x);
	EXPECT_OK(pl_disk_init(&x->disk, &extents_ops, "extents", &err));
	x->list = list;
	x->nr = nr;
	for (size_t i = 0; i < nr; i++)
		x->disk.size += list[i].length;
	if (parent)
		x->disk.parent = pl_disk_ref(parent);
	EXPECT_OK(pl_disk_stack(&x->disk, parent, &err));
	return &x->disk;
}

static atomic_uint decoded;

static int
count_up(const struct pl_decoder *decoder, const uint8_t *in, size_t in_size, uint8_t *out,
	 size_t out_size, uint64_t chunk_offset, struct platter_error *err)
{
	atomic_fetch_add(&decoded, 1);
	usleep(2000);
	if (in[0] == 0xff)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "a chunk that cannot be decoded");
	for (size_t i = 0; i < out_size; i++)
		out[i] = (uint8_t)(in[0] + i);
	return 0;
}

static const struct pl_decoder counting = { "counting", count_up };

static struct pl_disk *
numbers(size_t n)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *bytes = malloc(n);
	struct pl_disk *disk;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	EXPECT_OK(pl_memory_new(bytes, n, "numbers", &disk, &err));
	return disk;
}

TEST(reads_are_exact_at_every_boundary)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *below = numbers(300);
	PL_AUTOUNREF struct pl_disk *parent = numbers(450);
	const struct pl_extent list[] = {
		{ .length = 100, .kind = PLATTER_DATA, .below = below, .stored_offset = 200 },
		{ .length = 60, .kind = PLATTER_ZERO },
		{ .length = 64,
		  .kind = PLATTER_DATA,
		  .below = below,
		  .stored_offset = 5,
		  .decoder = &counting,
		  .stored_length = 1,
		  .chunk_length = 64 },
		{ .length = 300, .kind = PLATTER_HOLE },
		{ .length = 7, .kind = PLATTER_BAD },
	};
	PL_AUTOUNREF struct pl_disk *disk = extents_new(list, ARRAY_SIZE(list), parent);
	uint8_t want[531], seed;

	EXPECT_EQ(disk->size, sizeof want);
	memset(want, 0, sizeof want);
	EXPECT_OK(pl_read(below, want, 100, 200, &err));
	EXPECT_OK(pl_read(below, &seed, 1, 5, &err));
	for (size_t i = 0; i < 64; i++)
		want[160 + i] = (uint8_t)(seed + i);
	/* The hole shows the parent, which ends within it. */
	EXPECT_OK(pl_read(parent, want + 224, 226, 224, &err));

	for (size_t at = 0; at <= sizeof want; at += 3)
		for (size_t n = 0; n <= sizeof want - at; n += 1 + n / 5) {
			uint8_t got[sizeof want + 2];

			memset(got, 0xaa, sizeof got);
			EXPECT_OK(pl_read(disk, got + 1, n, at, &err));
			EXPECT_MEM(got + 1, want + at, n);
			EXPECT_EQ(got[0], 0xaa);
			EXPECT_EQ(got[n + 1], 0xaa);
		}
	EXPECT_EQ(pl_read(disk, want, 2, sizeof want - 1, &err), -ERANGE);
	EXPECT_EQ(pl_read(disk, want, 1, UINT64_MAX, &err), -ERANGE);
}

TEST(a_map_resolves_to_the_leaf_through_any_depth)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *leaf = numbers(4096);
	struct pl_disk *disk = pl_disk_ref(leaf);
	struct pl_piece piece;
	uint8_t a, b;

	for (int i = 0; i < PL_MAX_DEPTH; i++) {
		struct pl_disk *slice;

		EXPECT_OK(pl_slice_new(disk, 1, disk->size - 2, "slice", &slice, &err));
		pl_disk_unref(disk);
		disk = slice;
	}
	EXPECT_OK(pl_resolve(disk, 10, 100, 0, &piece, &err));
	EXPECT(piece.leaf == leaf);
	EXPECT_EQ(piece.leaf_offset, 10 + PL_MAX_DEPTH);
	EXPECT_EQ(piece.length, 100);
	EXPECT_OK(pl_read(disk, &a, 1, 10, &err));
	EXPECT_OK(pl_read(leaf, &b, 1, 10 + PL_MAX_DEPTH, &err));
	EXPECT_EQ(a, b);
	{
		struct pl_disk *slice;

		EXPECT_EQ(pl_slice_new(disk, 0, 1, "one too many", &slice, &err), -EFBIG);
	}
	pl_disk_unref(disk);
}

TEST(data_past_the_end_of_its_file_is_an_error_that_says_where)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *below = numbers(100);
	const struct pl_extent list[] = {
		{ .length = 50, .kind = PLATTER_DATA, .below = below, .stored_offset = 70 },
	};
	PL_AUTOUNREF struct pl_disk *disk = extents_new(list, 1, NULL);
	uint8_t buf[50];

	EXPECT_OK(pl_read(disk, buf, 30, 0, &err));
	EXPECT_EQ(pl_read(disk, buf, 31, 0, &err), -EUCLEAN);
	EXPECT_EQ(err.offset, 70);
	EXPECT_STR(err.place, "numbers");
}

TEST(a_partition_of_a_disk_cut_short_ends_in_bad_sectors)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *below = numbers(1000);
	PL_AUTOUNREF struct pl_disk *slice = NULL;
	enum platter_kind kind;
	uint64_t length;
	uint8_t buf[200];

	EXPECT_OK(pl_slice_new(below, 900, 200, "slice", &slice, &err));
	EXPECT_OK(pl_span(slice, 0, 200, &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_DATA);
	EXPECT_EQ(length, 100);
	EXPECT_OK(pl_span(slice, 100, 100, &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_BAD);
	EXPECT_OK(pl_read(slice, buf, 200, 0, &err));
	EXPECT(pl_is_zero(buf + 100, 100));
	EXPECT(!slice->writable);
}

struct reader {
	struct pl_disk *disk;
	pthread_barrier_t *start;
	uint64_t offset;
	int result;
};

static void *
read_one(void *closure)
{
	struct reader *r = closure;
	uint8_t buf[16];

	pthread_barrier_wait(r->start);
	r->result = pl_read(r->disk, buf, sizeof buf, r->offset, NULL);
	return NULL;
}

/* 16 threads read one chunk at once; how often was it decoded, and what did they get? */
static unsigned
decodings_of_many_readers(struct pl_disk *disk, int want)
{
	struct reader readers[16];
	pthread_t threads[16];
	pthread_barrier_t start;

	atomic_store(&decoded, 0);
	pthread_barrier_init(&start, NULL, ARRAY_SIZE(threads));
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		readers[i] = (struct reader){ disk, &start, i * 16, 1 };
		EXPECT_EQ(pthread_create(&threads[i], NULL, read_one, &readers[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(readers[i].result, want);
	}
	pthread_barrier_destroy(&start);
	return atomic_load(&decoded);
}

TEST(a_chunk_that_many_threads_want_is_decoded_once)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *below = NULL;
	struct pl_extent list[] = {
		{ .length = 4096,
		  .kind = PLATTER_DATA,
		  .decoder = &counting,
		  .stored_length = 1,
		  .chunk_length = 4096 },
	};

	EXPECT_OK(pl_memory_new("\x05", 1, "below", &below, &err));
	list[0].below = below;
	PL_AUTOUNREF struct pl_disk *disk = extents_new(list, 1, NULL);
	EXPECT_EQ(decodings_of_many_readers(disk, 0), 1);
	/* It stays in the cache, until it has to make room. */
	EXPECT_EQ(decodings_of_many_readers(disk, 0), 0);
	pl_cache_set_limit(0);
	pl_cache_set_limit(MIB(64));
	EXPECT_EQ(decodings_of_many_readers(disk, 0), 1);
}

TEST(a_chunk_that_fails_to_decode_fails_for_all_and_is_tried_again)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *below = NULL;
	struct pl_extent list[] = {
		{ .length = 4096,
		  .kind = PLATTER_DATA,
		  .decoder = &counting,
		  .stored_length = 1,
		  .chunk_length = 4096 },
	};

	EXPECT_OK(pl_memory_new("\xff", 1, "below", &below, &err));
	list[0].below = below;
	PL_AUTOUNREF struct pl_disk *disk = extents_new(list, 1, NULL);
	EXPECT(decodings_of_many_readers(disk, -EUCLEAN) >= 1);
	EXPECT(decodings_of_many_readers(disk, -EUCLEAN) >= 1);
}

TEST(an_absurd_chunk_is_refused_before_memory_is_taken)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *below = numbers(10);
	const struct pl_extent list[] = {
		{ .length = 1000,
		  .kind = PLATTER_DATA,
		  .below = below,
		  .decoder = &counting,
		  .stored_length = UINT64_MAX,
		  .chunk_length = UINT32_MAX },
	};
	PL_AUTOUNREF struct pl_disk *disk = extents_new(list, 1, NULL);
	uint8_t buf[1];

	EXPECT_EQ(pl_read(disk, buf, 1, 0, &err) < 0, true);
}

TEST(spans_merge_neighbours_of_one_kind)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *below = numbers(100);
	const struct pl_extent list[] = {
		{ .length = 10, .kind = PLATTER_DATA, .below = below, .stored_offset = 50 },
		{ .length = 20, .kind = PLATTER_DATA, .below = below, .stored_offset = 0 },
		{ .length = 5, .kind = PLATTER_ZERO },
		{ .length = 5, .kind = PLATTER_HOLE },
		{ .length = 1, .kind = PLATTER_DATA, .below = below, .stored_offset = 0 },
	};
	PL_AUTOUNREF struct pl_disk *disk = extents_new(list, ARRAY_SIZE(list), NULL);
	enum platter_kind kind;
	uint64_t length;

	EXPECT_OK(pl_span(disk, 3, 1000, &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_DATA);
	EXPECT_EQ(length, 27);
	EXPECT_OK(pl_span(disk, 30, 1000, &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_ZERO);
	EXPECT_EQ(length, 10);
	EXPECT_OK(pl_span(disk, 0, 4, &kind, &length, &err));
	EXPECT_EQ(length, 4);
}
