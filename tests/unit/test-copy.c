/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-copy.c - the copy engine: order, errors, cancelling, resuming, hashes */
#include <stdlib.h>

#include "copy.h"
#include "hash.h"
#include "test.h"

#define SIZE (MIB(9) + 777)

/* Noise with zeros in it: every third 100 KiB. */
static uint8_t *
noise(void)
{
	uint8_t *bytes = calloc(1, SIZE);
	uint32_t seed = 1;

	EXPECT(bytes);
	for (size_t i = 0; i < SIZE; i++) {
		seed = seed * 1664525 + 1013904223;
		if (i / 102400 % 3)
			bytes[i] = (uint8_t)(seed >> 24);
	}
	return bytes;
}

static struct pl_disk *
disk_of(const uint8_t *bytes, size_t n)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_disk *disk;

	EXPECT_OK(pl_memory_new(bytes, n, "memory", &disk, &err));
	return disk;
}

static void
expect_bytes(struct pl_disk *disk, const uint8_t *bytes)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *got = malloc(SIZE);

	EXPECT_EQ(disk->size, SIZE);
	EXPECT_OK(pl_read(disk, got, SIZE, 0, &err));
	EXPECT_MEM(got, bytes, SIZE);
}

TEST(every_byte_arrives_whatever_the_threads_and_the_sparseness)
{
	PL_AUTOFREE uint8_t *bytes = noise();
	PL_AUTOUNREF struct pl_disk *source = disk_of(bytes, SIZE);

	for (unsigned threads = 0; threads < 9; threads += 2)
		for (int sparse = PLATTER_SPARSE_AUTO; sparse <= PLATTER_SPARSE_NEVER; sparse++) {
			struct platter_error err = PLATTER_ERROR_INIT;
			PL_AUTOUNREF struct pl_disk *target = disk_of(NULL, 0);
			struct pl_copy copy = { .source = source,
						.target = target,
						.target_is_zero = true,
						.threads = threads,
						.sparse = (enum platter_sparse)sparse };

			EXPECT_OK(pl_resize(target, SIZE, &err));
			EXPECT_OK(pl_copy_run(&copy, &err));
			expect_bytes(target, bytes);
			EXPECT_EQ(copy.size, SIZE);
			EXPECT_EQ(copy.data + copy.zero, SIZE);
			EXPECT(sparse == PLATTER_SPARSE_NEVER ? !copy.zero : copy.zero > MIB(1));
		}
}

TEST(zeros_clear_a_target_that_held_something)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *bytes = noise(), *old = malloc(SIZE);
	PL_AUTOUNREF struct pl_disk *source = disk_of(bytes, SIZE), *target = NULL;
	struct pl_copy copy = { .source = source };

	memset(old, 0x55, SIZE);
	copy.target = target = disk_of(old, SIZE);
	EXPECT_OK(pl_copy_run(&copy, &err));
	expect_bytes(target, bytes);
}

/* Writes through to a disk below and counts them. */
struct counting {
	struct pl_disk disk;
	struct pl_disk *below;
	atomic_size_t written;
	uint64_t fails_at; /* reading this byte fails */
};

static int
counting_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	     struct platter_error *err)
{
	*ret = (struct pl_extent){ .length = length, .kind = PLATTER_DATA };
	return 0;
}

static int
counting_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	struct counting *c = pl_container_of(disk, struct counting, disk);

	if (c->fails_at - offset < n)
		return pl_fail_at(err, -EIO, c->fails_at, "a bad sector");
	return pl_read(c->below, buf, n, offset, err);
}

static int
counting_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	       struct platter_error *err)
{
	struct counting *c = pl_container_of(disk, struct counting, disk);

	atomic_fetch_add(&c->written, n);
	return pl_write(c->below, buf, n, offset, err);
}

static void
counting_free(struct pl_disk *disk)
{
	pl_disk_unref(pl_container_of(disk, struct counting, disk)->below);
	pl_disk_done(disk);
	free(disk);
}

static const struct pl_disk_ops counting_ops = {
	.name = "counting",
	.map = counting_map,
	.read = counting_read,
	.write = counting_write,
	.free = counting_free,
};

static struct counting *
counting_new(const uint8_t *bytes, uint64_t fails_at)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct counting *c = calloc(1, sizeof *c);

	EXPECT(c);
	EXPECT_OK(pl_disk_init(&c->disk, &counting_ops, "counting", &err));
	c->below = disk_of(bytes, SIZE);
	c->disk.size = SIZE;
	c->disk.writable = true;
	c->fails_at = fails_at;
	return c;
}

TEST(a_resumed_copy_writes_only_what_differs)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *bytes = noise(), *part = noise();
	PL_AUTOUNREF struct pl_disk *source = disk_of(bytes, SIZE);
	struct counting *target;
	struct pl_copy copy = { .source = source, .update = true };

	/* Three bytes were lost, and zeros became something. */
	part[MIB(2) + 5] ^= 1;
	part[SIZE - 1] ^= 1;
	part[210000] = 9;
	target = counting_new(part, UINT64_MAX);
	copy.target = &target->disk;
	EXPECT_OK(pl_copy_run(&copy, &err));
	expect_bytes(&target->disk, bytes);
	EXPECT(copy.kept > MIB(4));
	EXPECT(atomic_load(&target->written) < MIB(3));
	pl_disk_unref(&target->disk);
}

TEST(what_is_withheld_stays_as_it_was)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *bytes = noise(), *old = malloc(SIZE), *got = malloc(SIZE);
	PL_AUTOUNREF struct pl_disk *source = disk_of(bytes, SIZE), *target = NULL;
	struct pl_copy copy = { .source = source, .withhold = MIB(1) };

	memset(old, 0x55, SIZE);
	copy.target = target = disk_of(old, SIZE);
	EXPECT_OK(pl_copy_run(&copy, &err));
	EXPECT_OK(pl_read(target, got, SIZE, 0, &err));
	EXPECT_MEM(got, old, MIB(1));
	EXPECT_MEM(got + MIB(1), bytes + MIB(1), SIZE - MIB(1));
}

TEST(a_hole_that_begins_in_what_is_withheld_is_cleared_past_it)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *old = malloc(SIZE), *got = malloc(SIZE);
	PL_AUTOUNREF struct pl_disk *nothing = disk_of(NULL, 0), *source = NULL, *target = NULL;
	struct pl_copy copy = { .withhold = MIB(1) };

	memset(old, 0x55, SIZE);
	copy.target = target = disk_of(old, SIZE);
	EXPECT_OK(pl_slice_new(nothing, 0, SIZE, "hole", &source, &err));
	copy.source = source;
	EXPECT_OK(pl_copy_run(&copy, &err));
	EXPECT_OK(pl_read(target, got, SIZE, 0, &err));
	EXPECT_MEM(got, old, MIB(1));
	EXPECT(pl_is_zero(got + MIB(1), SIZE - MIB(1)));
}

TEST(a_bad_sector_ends_the_copy_with_its_place)
{
	PL_AUTOFREE uint8_t *bytes = noise();

	for (unsigned threads = 1; threads < 8; threads += 3) {
		struct platter_error err = PLATTER_ERROR_INIT;
		struct counting *source = counting_new(bytes, MIB(5) + 17);
		PL_AUTOUNREF struct pl_disk *target = disk_of(bytes, SIZE);
		struct pl_copy copy = { .source = &source->disk,
					.target = target,
					.threads = threads };

		EXPECT_EQ(pl_copy_run(&copy, &err), -EIO);
		EXPECT_EQ(err.offset, MIB(5) + 17);
		EXPECT_STR(err.place, "counting");
		pl_disk_unref(&source->disk);
	}
}

static void
cancel_at_once(const struct platter_progress_event *event, void *closure)
{
	platter_cancel(closure);
}

TEST(a_cancelled_copy_stops)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *bytes = noise();
	PL_AUTOUNREF struct pl_disk *source = disk_of(bytes, SIZE), *target = disk_of(bytes, SIZE);
	struct platter_progress progress = { .report = cancel_at_once, .closure = &progress };
	struct pl_copy copy = { .source = source, .target = target, .progress = &progress };

	platter_cancel(&progress);
	EXPECT_EQ(pl_copy_run(&copy, &err), -ECANCELED);
}

TEST(hashes_see_every_byte_in_order)
{
	static const char *const names[] = { "sha256", "md5", "sha1" };
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOFREE uint8_t *bytes = noise();
	PL_AUTOUNREF struct pl_disk *source = disk_of(bytes, SIZE), *target = disk_of(NULL, 0);
	struct platter_hash got[PLATTER_MAX_HASHES], want[PLATTER_MAX_HASHES];
	struct pl_copy copy = { .source = source, .target = target, .target_is_zero = true };
	size_t nr;

	EXPECT_OK(pl_resize(target, SIZE, &err));
	EXPECT_OK(pl_hasher_new("sha256,md5,sha1", &copy.hasher, &err));
	EXPECT_OK(pl_copy_run(&copy, &err));
	pl_hasher_finish(copy.hasher, got, &nr);
	pl_hasher_free(copy.hasher);
	EXPECT_EQ(nr, 3);
	for (size_t i = 0; i < nr; i++) {
		struct pl_hasher *h;
		size_t one;

		EXPECT_OK(pl_hasher_new(names[i], &h, &err));
		pl_hasher_update(h, 0, bytes, SIZE);
		pl_hasher_finish(h, want, &one);
		pl_hasher_free(h);
		EXPECT_STR(got[i].name, names[i]);
		EXPECT_STR(got[i].hex, want[0].hex);
	}
}

/* A writer that checks what it is promised: chunks, in order, none twice, none missing. */
struct checking {
	struct pl_writer writer;
	uint64_t next, placed;
};

static int
checking_encode(struct pl_writer *w, uint64_t offset, const uint8_t *in, size_t n,
		struct pl_encoded *out, struct platter_error *err)
{
	EXPECT_EQ(offset % w->chunk, 0);
	EXPECT(n == w->chunk || offset + n == w->size);
	EXPECT(out->capacity >= w->encoded_max);
	/* Every other chunk is worth encoding: to its number. */
	out->as_is = offset / w->chunk % 2;
	out->length = 8;
	put_le64(out->bytes, offset);
	return 0;
}

static int
checking_place(struct pl_writer *w, uint64_t offset, uint64_t length, size_t stored,
	       uint64_t *ret_at, uint64_t *ret_length, struct platter_error *err)
{
	struct checking *c = pl_container_of(w, struct checking, writer);

	EXPECT_EQ(offset, c->next);
	EXPECT(!stored || stored == 8);
	*ret_at = c->placed;
	*ret_length = length;
	c->placed += stored ? stored : length;
	c->next += length;
	return 0;
}

static int
checking_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	      struct platter_error *err)
{
	struct checking *c = pl_container_of(w, struct checking, writer);

	EXPECT_EQ(offset, c->next);
	EXPECT_EQ(kind, PLATTER_ZERO);
	EXPECT(length % w->chunk == 0 || offset + length == w->size);
	c->next += length;
	return 0;
}

static const struct pl_writer_ops checking_ops = {
	.encode = checking_encode,
	.place = checking_place,
	.skip = checking_skip,
};

TEST(a_writer_is_fed_whole_chunks_in_order)
{
	PL_AUTOFREE uint8_t *bytes = noise();
	PL_AUTOUNREF struct pl_disk *source = disk_of(bytes, SIZE);

	for (unsigned threads = 1; threads < 7; threads++) {
		struct platter_error err = PLATTER_ERROR_INIT;
		PL_AUTOUNREF struct pl_disk *file = disk_of(NULL, 0);
		struct checking c = { .writer = { .ops = &checking_ops,
						  .file = file,
						  .size = SIZE,
						  .chunk = KIB(4) << threads,
						  .encoded_max = 64 } };
		struct pl_copy copy = { .source = source, .writer = &c.writer, .threads = threads };

		EXPECT_OK(pl_copy_run(&copy, &err));
		EXPECT_EQ(c.next, SIZE);
		EXPECT_EQ(file->size, c.placed);
	}
}

/* A writer that sees all bytes, and stores each chunk that it has not noted before. */
struct seeing {
	struct pl_writer writer;
	uint64_t next, seen, placed;
	const uint8_t *bytes;
};

static struct seeing *
seeing_of(struct pl_writer *w)
{
	return pl_container_of(w, struct seeing, writer);
}

static int
seeing_encode(struct pl_writer *w, uint64_t offset, const uint8_t *in, size_t n,
	      struct pl_encoded *out, struct platter_error *err)
{
	EXPECT(pl_is_zero(out->note, sizeof out->note));
	EXPECT(n == w->chunk || offset + n == w->size);
	memcpy(out->bytes, in, n);
	out->length = n;
	put_le64(out->note, offset);
	return 0;
}

static int
seeing_place(struct pl_writer *w, uint64_t offset, const struct pl_encoded *chunk, uint64_t *ret_at,
	     struct platter_error *err)
{
	struct seeing *s = seeing_of(w);

	EXPECT_EQ(offset, s->next);
	EXPECT_EQ(get_le64(chunk->note), offset);
	EXPECT_MEM(chunk->bytes, s->bytes + offset, chunk->length);
	s->next += chunk->length;
	*ret_at = offset / w->chunk % 3 ? s->placed : PL_NOWHERE;
	s->placed += *ret_at == PL_NOWHERE ? 0 : chunk->length;
	return 0;
}

static int
seeing_skip(struct pl_writer *w, uint64_t offset, uint64_t length, enum platter_kind kind,
	    struct platter_error *err)
{
	struct seeing *s = seeing_of(w);

	EXPECT_EQ(offset, s->next);
	EXPECT(length % w->chunk == 0 || offset + length == w->size);
	s->next += length;
	return 0;
}

static int
seeing_see(struct pl_writer *w, const uint8_t *bytes, uint64_t n, struct platter_error *err)
{
	struct seeing *s = seeing_of(w);

	if (bytes)
		EXPECT_MEM(bytes, s->bytes + s->seen, n);
	else
		EXPECT(pl_is_zero(s->bytes + s->seen, n));
	s->seen += n;
	return 0;
}

static const struct pl_writer_ops seeing_ops = {
	.encode = seeing_encode,
	.place_chunk = seeing_place,
	.skip = seeing_skip,
	.see = seeing_see,
};

TEST(a_writer_of_odd_chunks_sees_all_bytes_in_order)
{
	PL_AUTOFREE uint8_t *bytes = noise();
	PL_AUTOUNREF struct pl_disk *source = disk_of(bytes, SIZE);

	for (unsigned threads = 1; threads < 7; threads++) {
		struct platter_error err = PLATTER_ERROR_INIT;
		PL_AUTOUNREF struct pl_disk *file = disk_of(NULL, 0);
		struct seeing s = { .writer = { .ops = &seeing_ops,
						.file = file,
						.size = SIZE,
						.chunk = 2448 * threads,
						.encoded_max = 2448 * threads },
				    .bytes = bytes };
		struct pl_copy copy = { .source = source, .writer = &s.writer, .threads = threads };

		EXPECT_OK(pl_copy_run(&copy, &err));
		EXPECT_EQ(s.next, SIZE);
		EXPECT_EQ(s.seen, SIZE);
		EXPECT_EQ(file->size, s.placed);
	}
}
