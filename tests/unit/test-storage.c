/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-storage.c - files, devices, split images, streams; files made under another name */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices.h"
#include "storage.h"

static struct platter_error err;

/* The path of a file in the test's folder; good for eight calls. */
static const char *
in_folder(const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", pl_test_folder(), name);
	return path;
}

static uint8_t
byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 31 + (offset >> 9) + 1);
}

static void
fill(uint8_t *buf, size_t n, uint64_t offset)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = byte_at(offset + i);
}

static void
expect_filled(const uint8_t *buf, size_t n, uint64_t offset)
{
	for (size_t i = 0; i < n; i++)
		if (buf[i] != byte_at(offset + i))
			pl_test_fail(__FILE__, __LINE__, "byte %" PRIu64 " is %02x, expected %02x",
				     offset + i, buf[i], byte_at(offset + i));
}

/* n bytes of the pattern from `offset` of it. */
static const char *
make_file(const char *name, size_t n, uint64_t offset)
{
	const char *path = in_folder(name);
	PL_AUTOFREE uint8_t *buf = malloc(n + 1);
	FILE *f = fopen(path, "w");

	EXPECT(buf && f);
	fill(buf, n, offset);
	EXPECT_EQ(fwrite(buf, 1, n, f), n);
	EXPECT_EQ(fclose(f), 0);
	return path;
}

static uint64_t
size_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? UINT64_MAX : (uint64_t)st.st_size;
}

#define GONE UINT64_MAX

static struct pl_disk *
open_disk(const char *path, unsigned flags)
{
	struct pl_disk *disk = NULL;

	EXPECT_OK(pl_storage_open(path, flags, &disk, &err));
	return disk;
}

static struct pl_disk *
create(const char *path, struct pl_storage_create how)
{
	struct pl_disk *disk = NULL;

	EXPECT_OK(pl_storage_create(path, &how, &disk, &err));
	return disk;
}

static void
write_pattern(struct pl_disk *disk, uint64_t offset, size_t n)
{
	PL_AUTOFREE uint8_t *buf = pl_alloc_aligned(n);

	fill(buf, n, offset);
	EXPECT_OK(pl_write(disk, buf, n, offset, &err));
}

static void
expect_pattern(struct pl_disk *disk, uint64_t offset, size_t n)
{
	PL_AUTOFREE uint8_t *buf = malloc(n);

	EXPECT_OK(pl_read(disk, buf, n, offset, &err));
	expect_filled(buf, n, offset);
}

static void
expect_zeros(struct pl_disk *disk, uint64_t offset, size_t n)
{
	PL_AUTOFREE uint8_t *buf = malloc(n);

	memset(buf, 0xff, n);
	EXPECT_OK(pl_read(disk, buf, n, offset, &err));
	EXPECT(pl_is_zero(buf, n));
}

#define EXPECT_FAILS(call, errno_, words)                                                       \
	do {                                                                                    \
		err = (struct platter_error)PLATTER_ERROR_INIT;                                 \
		EXPECT_EQ((call), -(errno_));                                                   \
		if (!strstr(err.message, words))                                                \
			pl_test_fail(__FILE__, __LINE__, "'%s' does not say '%s'", err.message, \
				     words);                                                    \
	} while (0)

TEST(one_writer_keeps_out_the_next_but_no_reader)
{
	const char *path = make_file("locked", KIB(64), 0);
	struct pl_disk *writer = open_disk(path, PLATTER_OPEN_WRITE), *reader, *second;

	EXPECT_FAILS(pl_storage_open(path, PLATTER_OPEN_WRITE, &second, &err), EBUSY, "in use");
	reader = open_disk(path, 0);
	expect_pattern(reader, 0, KIB(64));
	EXPECT_FAILS(pl_storage_check_unwritten(reader, &err), EBUSY, "to write it");
	EXPECT_OK(pl_storage_check_unwritten(writer, &err));
	pl_disk_unref(writer);
	EXPECT_OK(pl_storage_check_unwritten(reader, &err));
	writer = open_disk(path, PLATTER_OPEN_WRITE);
	pl_disk_unref(writer);
	pl_disk_unref(reader);
}

TEST(file_is_read_to_its_last_byte_and_not_past_it)
{
	PL_AUTOUNREF struct pl_disk *disk = open_disk(make_file("a.img", 10001, 0), 0);
	char c;

	EXPECT_EQ(disk->size, 10001);
	EXPECT(!disk->writable);
	expect_pattern(disk, 0, 10001);
	expect_pattern(disk, 10000, 1);
	EXPECT_OK(pl_read(disk, &c, 0, 10001, &err));
	EXPECT_FAILS(pl_read(disk, &c, 1, 10001, &err), ERANGE, "10001");
	EXPECT_FAILS(pl_write(disk, "x", 1, 0, &err), EROFS, "reading only");
	EXPECT_STR(pl_storage_path(disk, 0), in_folder("a.img"));
	EXPECT(!pl_storage_path(disk, 1));
	EXPECT(!pl_storage_is_device(disk));
}

TEST(file_that_shrinks_while_read_is_an_error_with_its_new_end)
{
	const char *path = make_file("a.img", 10000, 0);
	PL_AUTOUNREF struct pl_disk *disk = open_disk(path, 0);
	char buf[10000];

	EXPECT_EQ(truncate(path, 6000), 0);
	EXPECT_FAILS(pl_read(disk, buf, 10000, 0, &err), EIO, "became shorter");
	EXPECT_EQ(err.offset, 6000);
	EXPECT_STR(err.place, path);
}

TEST(holes_of_a_file_are_mapped_and_writing_fills_them)
{
	const char *path = make_file("a.img", KIB(64), 0);
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	enum platter_kind kind;
	struct pl_extent e;
	uint64_t length;

	EXPECT_EQ(truncate(path, MIB(8)), 0);
	disk = open_disk(path, PLATTER_OPEN_WRITE);
	EXPECT_OK(pl_map(disk, 0, MIB(8), &e, &err));
	EXPECT_EQ(e.kind, PLATTER_DATA);
	if (e.length == MIB(8))
		SKIP("the file system of /tmp tells no holes");
	EXPECT_EQ(e.length, KIB(64));
	EXPECT_OK(pl_map(disk, MIB(1), MIB(8), &e, &err));
	EXPECT_EQ(e.kind, PLATTER_HOLE);
	EXPECT_EQ(e.length, MIB(7));
	/* The answer above must not outlive what makes it wrong. */
	write_pattern(disk, MIB(2), KIB(64));
	EXPECT_OK(pl_map(disk, MIB(1), MIB(8), &e, &err));
	EXPECT_EQ(e.length, MIB(1));
	EXPECT_OK(pl_map(disk, MIB(2), MIB(8), &e, &err));
	EXPECT_EQ(e.kind, PLATTER_DATA);
	EXPECT_EQ(e.length, KIB(64));
	EXPECT_OK(pl_zero(disk, 0, MIB(4), PL_ZERO_MAY_UNMAP | PL_ZERO_NO_FALLBACK, &err));
	EXPECT_OK(pl_span(disk, 0, MIB(8), &kind, &length, &err));
	EXPECT_EQ(kind, PLATTER_ZERO);
	EXPECT_EQ(length, MIB(8));
	EXPECT_EQ(pl_storage_allocated(disk), 0);
	expect_zeros(disk, 0, MIB(8));
}

TEST(zeroing_keeps_space_unless_it_may_be_unmapped)
{
	PL_AUTOUNREF struct pl_disk *disk =
		open_disk(make_file("a.img", MIB(1), 0), PLATTER_OPEN_WRITE);

	EXPECT_OK(pl_zero(disk, KIB(100) + 1, KIB(300), 0, &err));
	expect_pattern(disk, 0, KIB(100) + 1);
	expect_zeros(disk, KIB(100) + 1, KIB(300));
	expect_pattern(disk, KIB(400) + 1, MIB(1) - KIB(400) - 1);
	EXPECT(pl_storage_allocated(disk) >= MIB(1));
}

TEST(zeroing_past_the_end_extends_a_file_without_storing)
{
	PL_AUTOUNREF struct pl_disk *disk =
		open_disk(make_file("a.img", 1000, 0), PLATTER_OPEN_WRITE);

	EXPECT_OK(pl_zero(disk, 500, GIB(1), PL_ZERO_MAY_UNMAP, &err));
	EXPECT_EQ(disk->size, 500 + GIB(1));
	EXPECT_EQ(size_of(in_folder("a.img")), 500 + GIB(1));
	EXPECT(pl_storage_allocated(disk) < MIB(1));
	expect_pattern(disk, 0, 500);
	expect_zeros(disk, 500, 4000);
	EXPECT_OK(pl_resize(disk, 300, &err));
	EXPECT_EQ(size_of(in_folder("a.img")), 300);
	EXPECT_EQ(disk->size, 300);
}

#define NR_WRITERS 4

struct writer_job {
	struct pl_disk *disk;
	unsigned index;
	bool failed;
};

/* Every fourth piece is written, or zeroed if it is a multiple of 5, all of it past the end; and read. */
static void *
write_pieces(void *closure)
{
	struct writer_job *job = closure;
	uint8_t buf[5000], got[5000];

	for (unsigned i = job->index; i < 400; i += NR_WRITERS) {
		uint64_t at = (uint64_t)i * sizeof buf;

		fill(buf, sizeof buf, at);
		if ((i % 5 == 0 ? pl_zero(job->disk, at, sizeof buf, PL_ZERO_MAY_UNMAP, NULL)
				: pl_write(job->disk, buf, sizeof buf, at, NULL)) < 0)
			job->failed = true;
		if (pl_read(job->disk, got, sizeof got, at, NULL) < 0 ||
		    (i % 5 == 0 ? !pl_is_zero(got, sizeof got) : memcmp(got, buf, sizeof got)))
			job->failed = true;
	}
	return NULL;
}

static void
write_from_threads(struct pl_disk *disk)
{
	struct writer_job jobs[NR_WRITERS];
	pthread_t threads[NR_WRITERS];

	for (unsigned i = 0; i < NR_WRITERS; i++) {
		jobs[i] = (struct writer_job){ .disk = disk, .index = i };
		EXPECT_EQ(pthread_create(&threads[i], NULL, write_pieces, &jobs[i]), 0);
	}
	for (unsigned i = 0; i < NR_WRITERS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < NR_WRITERS; i++)
		EXPECT(!jobs[i].failed);
}

static void
expect_pieces(struct pl_disk *disk)
{
	EXPECT_EQ(disk->size, 400 * 5000);
	for (unsigned i = 0; i < 400; i++) {
		if (i % 5 == 0)
			expect_zeros(disk, (uint64_t)i * 5000, 5000);
		else
			expect_pattern(disk, (uint64_t)i * 5000, 5000);
	}
}

TEST(threads_extend_a_file_by_writing_and_zeroing_and_lose_nothing)
{
	for (int round = 0; round < 10; round++) {
		PL_AUTOUNREF struct pl_disk *disk =
			create(in_folder("a.img"), (struct pl_storage_create){ 0 });

		write_from_threads(disk);
		expect_pieces(disk);
		pl_storage_abandon(disk, false);
	}
}

TEST(threads_extend_a_set_of_parts_and_lose_nothing)
{
	PL_AUTOUNREF struct pl_disk *read_back = NULL;
	PL_AUTOUNREF struct pl_disk *disk =
		create(in_folder("a.img"), (struct pl_storage_create){ .split = 17000 });

	write_from_threads(disk);
	expect_pieces(disk);
	EXPECT_OK(pl_storage_commit(disk, false, &err));
	read_back = open_disk(in_folder("a.img.001"), 0);
	expect_pieces(read_back);
}

TEST(direct_reads_may_be_unaligned)
{
	PL_AUTOUNREF struct pl_disk *disk =
		open_disk(make_file("a.img", MIB(3) + 777, 0), PLATTER_OPEN_DIRECT);
	PL_AUTOFREE uint8_t *buf = pl_alloc_aligned(MIB(3) + 777);

	expect_pattern(disk, 0, MIB(3) + 777);
	expect_pattern(disk, 1, MIB(2) + 5);
	expect_pattern(disk, MIB(3) + 776, 1);
	expect_pattern(disk, 4095, 2);
	EXPECT_OK(pl_read(disk, buf, MIB(3) + 777, 0, &err));
	expect_filled(buf, MIB(3) + 777, 0);
}

TEST(direct_and_buffered_writes_meet_in_one_file)
{
	PL_AUTOUNREF struct pl_disk *disk =
		create(in_folder("a.img"), (struct pl_storage_create){ .direct = true });

	write_pattern(disk, 0, KIB(64));
	write_pattern(disk, KIB(64), 100);
	write_pattern(disk, KIB(64) + 100, KIB(64) - 100);
	write_pattern(disk, KIB(128), KIB(512));
	write_pattern(disk, KIB(640), 1);
	expect_pattern(disk, 0, KIB(640) + 1);
	EXPECT_OK(pl_storage_commit(disk, true, &err));
	EXPECT_EQ(size_of(in_folder("a.img")), KIB(640) + 1);
	pl_storage_drop_cache(disk);
	expect_pattern(disk, 0, KIB(640) + 1);
}

TEST(other_kinds_of_file_are_refused_at_once)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	struct pl_disk *disk;

	snprintf(name.sun_path, sizeof name.sun_path, "%s", in_folder("socket"));
	EXPECT_EQ(bind(s, (struct sockaddr *)&name, sizeof name), 0);
	close(s);
	EXPECT_EQ(mkfifo(in_folder("fifo"), 0600), 0);
	EXPECT_FAILS(pl_storage_open(in_folder("fifo"), 0, &disk, &err), EINVAL, "named pipe");
	EXPECT_FAILS(pl_storage_open(in_folder("socket"), 0, &disk, &err), EINVAL, "socket");
	EXPECT_FAILS(pl_storage_open(pl_test_folder(), 0, &disk, &err), EISDIR, "folder");
	EXPECT_FAILS(pl_storage_open("/dev/zero", 0, &disk, &err), EINVAL, "character device");
	EXPECT_FAILS(pl_storage_open(in_folder("none"), 0, &disk, &err), ENOENT, "cannot open");
}

TEST(new_file_has_no_name_until_it_is_committed)
{
	const char *path = in_folder("new.img"), *part = in_folder("new.img.part");
	PL_AUTOUNREF struct pl_disk *disk = create(path, (struct pl_storage_create){ 0 });

	EXPECT(disk->growable && disk->writable);
	EXPECT_EQ(disk->size, 0);
	write_pattern(disk, 100, 5000);
	EXPECT_EQ(disk->size, 5100);
	EXPECT_EQ(size_of(path), GONE);
	EXPECT_EQ(size_of(part), 5100);
	EXPECT_STR(pl_storage_path(disk, 0), part);
	EXPECT_OK(pl_storage_commit(disk, true, &err));
	EXPECT_EQ(size_of(part), GONE);
	EXPECT_EQ(size_of(path), 5100);
	EXPECT_STR(pl_storage_path(disk, 0), path);
	expect_zeros(disk, 0, 100);
	expect_pattern(disk, 100, 5000);
	/* Nothing that comes after it takes it away again. */
	pl_storage_abandon(disk, false);
	EXPECT_EQ(size_of(path), 5100);
}

TEST(abandoned_file_goes_or_stays_to_be_resumed)
{
	const char *path = in_folder("new.img"), *part = in_folder("new.img.part");
	struct pl_disk *disk = create(path, (struct pl_storage_create){ 0 });

	write_pattern(disk, 0, 5000);
	pl_storage_abandon(disk, true);
	pl_disk_unref(disk);
	EXPECT_EQ(size_of(part), 5000);

	disk = create(path, (struct pl_storage_create){ .resume = true });
	EXPECT_EQ(disk->size, 5000);
	expect_pattern(disk, 0, 5000);
	pl_storage_abandon(disk, true);
	pl_disk_unref(disk);

	disk = create(path, (struct pl_storage_create){ 0 });
	EXPECT_EQ(disk->size, 0);
	EXPECT_EQ(size_of(part), 0);
	pl_storage_abandon(disk, false);
	pl_disk_unref(disk);
	EXPECT_EQ(size_of(part), GONE);
	EXPECT_EQ(size_of(path), GONE);
}

TEST(file_that_exists_is_kept_unless_it_may_be_replaced)
{
	const char *path = make_file("new.img", 100, 7);
	struct pl_storage_create how = { 0 };
	struct pl_disk *disk;

	EXPECT_FAILS(pl_storage_create(path, &how, &disk, &err), EEXIST, "exists already");
	EXPECT(strstr(err.hint, "--force"));
	EXPECT_EQ(size_of(in_folder("new.img.part")), GONE);
	how.overwrite = true;
	disk = create(path, how);
	write_pattern(disk, 0, 50);
	EXPECT_EQ(size_of(path), 100);
	EXPECT_OK(pl_storage_commit(disk, true, &err));
	EXPECT_EQ(size_of(path), 50);
	pl_disk_unref(disk);
}

TEST(file_that_appears_meanwhile_is_not_replaced)
{
	PL_AUTOUNREF struct pl_disk *disk =
		create(in_folder("new.img"), (struct pl_storage_create){ 0 });

	write_pattern(disk, 0, 50);
	make_file("new.img", 100, 7);
	EXPECT_FAILS(pl_storage_commit(disk, false, &err), EEXIST, "meanwhile");
	EXPECT_EQ(size_of(in_folder("new.img")), 100);
	EXPECT_EQ(size_of(in_folder("new.img.part")), 50);
}

TEST(one_process_writes_a_file_at_a_time)
{
	const char *path = in_folder("new.img");
	PL_AUTOUNREF struct pl_disk *disk = create(path, (struct pl_storage_create){ 0 });
	struct pl_storage_create how = { .resume = true };
	struct pl_disk *second;

	write_pattern(disk, 0, 50);
	EXPECT_FAILS(pl_storage_create(path, &how, &second, &err), EBUSY, "another process");
	how.resume = false;
	EXPECT_FAILS(pl_storage_create(path, &how, &second, &err), EBUSY, "another process");
	expect_pattern(disk, 0, 50);
	EXPECT_OK(pl_storage_commit(disk, false, &err));
	how.overwrite = true;
	second = create(path, how);
	pl_storage_abandon(second, false);
	pl_disk_unref(second);
	EXPECT_EQ(size_of(path), 50);
}

TEST(part_file_that_is_a_link_is_not_followed)
{
	const char *victim = make_file("victim", 100, 0);
	struct pl_storage_create how = { 0 };
	struct pl_disk *disk;

	EXPECT_EQ(symlink(victim, in_folder("new.img.part")), 0);
	EXPECT_FAILS(pl_storage_create(in_folder("new.img"), &how, &disk, &err), ELOOP,
		     "symbolic link");
	EXPECT_EQ(size_of(victim), 100);
}

TEST(folders_and_devices_are_no_image_files)
{
	struct pl_storage_create how = { .overwrite = true };
	struct pl_disk *disk;

	EXPECT_FAILS(pl_storage_create(pl_test_folder(), &how, &disk, &err), EISDIR, "folder");
	EXPECT_FAILS(pl_storage_create("/dev/null", &how, &disk, &err), EINVAL, "special file");
	EXPECT_FAILS(pl_storage_create(in_folder("no/such.img"), &how, &disk, &err), ENOENT,
		     "cannot create");
}

TEST(split_image_is_written_in_parts_of_one_size)
{
	PL_AUTOUNREF struct pl_disk *disk =
		create(in_folder("d.img"), (struct pl_storage_create){ .split = 10000 });
	PL_AUTOUNREF struct pl_disk *again = NULL;
	uint8_t first[1];

	write_pattern(disk, 34000, 5000);
	EXPECT_EQ(size_of(in_folder("d.img.001.part")), 10000);
	write_pattern(disk, 9000, 12000);
	EXPECT_EQ(size_of(in_folder("d.img.001")), GONE);
	EXPECT_OK(pl_storage_commit(disk, true, &err));
	EXPECT_EQ(size_of(in_folder("d.img.001")), 10000);
	EXPECT_EQ(size_of(in_folder("d.img.002")), 10000);
	EXPECT_EQ(size_of(in_folder("d.img.004")), 9000);
	EXPECT_EQ(size_of(in_folder("d.img.005")), GONE);
	EXPECT_EQ(size_of(in_folder("d.img.001.part")), GONE);
	EXPECT_STR(pl_storage_path(disk, 3), in_folder("d.img.004"));

	again = open_disk(in_folder("d.img.001"), PLATTER_OPEN_WRITE);
	EXPECT_EQ(again->size, 39000);
	EXPECT(!again->growable);
	expect_zeros(again, 0, 9000);
	expect_pattern(again, 9000, 12000);
	expect_zeros(again, 21000, 13000);
	expect_pattern(again, 34000, 5000);
	/* Writing over the boundary goes to both parts. */
	EXPECT_OK(pl_write(again, "ab", 2, 9999, &err));
	EXPECT_FAILS(pl_write(again, "ab", 2, 38999, &err), ERANGE, "39000");
	EXPECT_EQ(run("printf b | cmp -n 1 - '%s'", in_folder("d.img.002")), 0);
	EXPECT_OK(pl_read(again, first, 1, 9999, &err));
	EXPECT_EQ(first[0], 'a');
}

TEST(split_image_is_cut_and_extended)
{
	PL_AUTOUNREF struct pl_disk *disk =
		create(in_folder("d.img.001"), (struct pl_storage_create){ .split = 1000 });

	write_pattern(disk, 0, 3500);
	EXPECT_EQ(size_of(in_folder("d.img.004.part")), 500);
	EXPECT_OK(pl_resize(disk, 1000, &err));
	EXPECT_EQ(size_of(in_folder("d.img.002.part")), GONE);
	EXPECT_OK(pl_resize(disk, 2200, &err));
	expect_pattern(disk, 0, 1000);
	expect_zeros(disk, 1000, 1200);
	EXPECT_OK(pl_zero(disk, 1500, 2500, PL_ZERO_MAY_UNMAP, &err));
	EXPECT_EQ(disk->size, 4000);
	expect_zeros(disk, 1000, 3000);
	EXPECT_OK(pl_storage_commit(disk, false, &err));
	EXPECT_EQ(size_of(in_folder("d.img.003")), 1000);
	EXPECT_EQ(size_of(in_folder("d.img.004")), 1000);
}

TEST(split_image_is_resumed_or_abandoned_as_a_whole)
{
	const char *path = in_folder("d.img");
	struct pl_storage_create how = { .split = 999, .resume = true };
	struct pl_disk *disk = create(path, (struct pl_storage_create){ .split = 1000 });

	write_pattern(disk, 0, 2500);
	pl_storage_abandon(disk, true);
	pl_disk_unref(disk);
	EXPECT_FAILS(pl_storage_create(path, &how, &disk, &err), EINVAL, "1000 bytes, not the 999");

	disk = create(path, (struct pl_storage_create){ .split = 1000, .resume = true });
	EXPECT_EQ(disk->size, 2500);
	expect_pattern(disk, 0, 2500);
	pl_storage_abandon(disk, true);
	pl_disk_unref(disk);

	/* Started again, what was left of it is no part of it. */
	disk = create(path, (struct pl_storage_create){ .split = 1000 });
	EXPECT_EQ(disk->size, 0);
	EXPECT_EQ(size_of(in_folder("d.img.002.part")), GONE);
	write_pattern(disk, 0, 1500);
	pl_storage_abandon(disk, false);
	pl_disk_unref(disk);
	EXPECT_EQ(run("test -z \"$(ls '%s')\"", pl_test_folder()), 0);
}

TEST(a_set_that_was_killed_while_it_got_its_names_is_resumed)
{
	const char *path = in_folder("d.img");
	struct pl_disk *disk = create(path, (struct pl_storage_create){ .split = 1000 });

	write_pattern(disk, 0, 3500);
	pl_storage_abandon(disk, true);
	pl_disk_unref(disk);
	EXPECT_EQ(run("cd '%s' && mv d.img.004.part d.img.004 && mv d.img.003.part d.img.003",
		      pl_test_folder()),
		  0);
	disk = create(path, (struct pl_storage_create){ .split = 1000, .resume = true });
	EXPECT_EQ(disk->size, 3500);
	expect_pattern(disk, 0, 3500);
	EXPECT_OK(pl_storage_commit(disk, false, &err));
	pl_disk_unref(disk);
	EXPECT_EQ(size_of(in_folder("d.img.004")), 500);

	/* One of whose parts not all were written was not there yet: that is somebody else's. */
	path = in_folder("e.img");
	disk = create(path, (struct pl_storage_create){ .split = 1000 });
	write_pattern(disk, 0, 500);
	pl_storage_abandon(disk, true);
	pl_disk_unref(disk);
	EXPECT_EQ(run("truncate -s 5 '%s/e.img.002'", pl_test_folder()), 0);
	disk = create(path, (struct pl_storage_create){ .split = 1000, .resume = true });
	EXPECT_EQ(disk->size, 500);
	pl_storage_abandon(disk, false);
	pl_disk_unref(disk);
	EXPECT_EQ(size_of(in_folder("e.img.002")), 5);
}

TEST(shorter_set_replaces_a_longer_one_wholly)
{
	struct pl_storage_create how = { .split = 1000 };
	struct pl_disk *disk = create(in_folder("d.img"), how);

	write_pattern(disk, 0, 4500);
	EXPECT_OK(pl_storage_commit(disk, false, &err));
	pl_disk_unref(disk);
	EXPECT_FAILS(pl_storage_create(in_folder("d.img"), &how, &disk, &err), EEXIST, "d.img.001");
	how.overwrite = true;
	disk = create(in_folder("d.img"), how);
	write_pattern(disk, 0, 1500);
	EXPECT_OK(pl_storage_commit(disk, false, &err));
	pl_disk_unref(disk);
	EXPECT_EQ(size_of(in_folder("d.img.003")), GONE);
	disk = open_disk(in_folder("d.img.001"), 0);
	EXPECT_EQ(disk->size, 1500);
	pl_disk_unref(disk);
}

TEST(stray_part_of_an_older_set_keeps_a_new_one_from_its_name)
{
	PL_AUTOUNREF struct pl_disk *disk =
		create(in_folder("d.img"), (struct pl_storage_create){ .split = 1000 });

	write_pattern(disk, 0, 1500);
	make_file("d.img.003", 1000, 0);
	EXPECT_FAILS(pl_storage_commit(disk, false, &err), EEXIST, "d.img.003");
	EXPECT_EQ(size_of(in_folder("d.img.001")), GONE);
	EXPECT_EQ(size_of(in_folder("d.img.002")), GONE);
}

/* Files "d-sNNN.vmdk" beside "d.vmdk", each of 1000 bytes of the disk at most. */
static struct pl_disk *
create_beside(struct pl_disk *file, bool loose)
{
	struct pl_storage_beside how = { .tag = "-s", .split = 1000, .loose = loose };
	struct pl_disk *beside;

	EXPECT_OK(pl_storage_create_beside(file, &how, &beside, &err));
	return beside;
}

TEST(files_beside_a_new_one_appear_before_it)
{
	PL_AUTOUNREF struct pl_disk *file =
		create(in_folder("d.vmdk"), (struct pl_storage_create){ 0 });
	struct pl_disk *beside = create_beside(file, true);
	PL_AUTOFREE char *path = NULL;

	write_pattern(file, 0, 10);
	write_pattern(beside, 0, 10);
	EXPECT(!pl_storage_beside_path(file, 1));
	write_pattern(beside, 1000, 400);
	write_pattern(beside, 10, 30);
	path = pl_storage_beside_path(file, 1);
	EXPECT_STR(path, in_folder("d-s002.vmdk"));
	EXPECT_EQ(size_of(in_folder("d-s001.vmdk")), GONE);
	EXPECT_STR(pl_storage_beside_now(file, in_folder("d-s002.vmdk")),
		   in_folder("d-s002.vmdk.part"));
	EXPECT(!pl_storage_beside_now(file, in_folder("d-s003.vmdk")));
	EXPECT(!pl_storage_beside_now(file, in_folder("d.vmdk")));
	EXPECT_OK(pl_storage_commit(file, true, &err));
	EXPECT_EQ(size_of(in_folder("d-s001.vmdk")), 40);
	EXPECT_EQ(size_of(in_folder("d-s002.vmdk")), 400);
	EXPECT_EQ(size_of(in_folder("d-s001.vmdk.part")), GONE);
	EXPECT_EQ(size_of(in_folder("d-s002.vmdk.part")), GONE);
	EXPECT_EQ(size_of(in_folder("d.vmdk")), 10);
}

TEST(files_beside_are_as_long_as_their_part_unless_loose)
{
	PL_AUTOUNREF struct pl_disk *file =
		create(in_folder("d.vmdk"), (struct pl_storage_create){ 0 });
	struct pl_disk *beside = create_beside(file, false);

	EXPECT_OK(pl_resize(beside, 2500, &err));
	EXPECT_OK(pl_storage_commit(file, false, &err));
	EXPECT_EQ(size_of(in_folder("d-s001.vmdk")), 1000);
	EXPECT_EQ(size_of(in_folder("d-s002.vmdk")), 1000);
	EXPECT_EQ(size_of(in_folder("d-s003.vmdk")), 500);
}

TEST(files_beside_go_with_the_one_that_is_abandoned)
{
	struct pl_disk *file = create(in_folder("d.vmdk"), (struct pl_storage_create){ 0 });
	struct pl_disk *beside = create_beside(file, true);

	write_pattern(beside, 0, 1700);
	pl_storage_abandon(file, false);
	pl_disk_unref(file);
	EXPECT_EQ(size_of(in_folder("d.vmdk.part")), GONE);
	EXPECT_EQ(size_of(in_folder("d-s001.vmdk.part")), GONE);
	EXPECT_EQ(size_of(in_folder("d-s002.vmdk.part")), GONE);
}

TEST(files_beside_replace_others_only_if_they_may)
{
	struct pl_storage_beside flat = { .tag = "-flat" };
	struct pl_storage_create how = { 0 };
	struct pl_disk *file, *beside;

	make_file("d-flat.vmdk", 100, 0);
	make_file("d-s002.vmdk", 100, 0);
	file = create(in_folder("d.vmdk"), how);
	EXPECT_FAILS(pl_storage_create_beside(file, &flat, &beside, &err), EEXIST, "d-flat.vmdk");
	EXPECT_EQ(size_of(in_folder("d-flat.vmdk.part")), GONE);
	beside = create_beside(file, true);
	EXPECT_FAILS(pl_write(beside, "x", 1, 1500, &err), EEXIST, "d-s002.vmdk");
	pl_storage_abandon(file, false);
	pl_disk_unref(file);
	EXPECT_EQ(size_of(in_folder("d-s002.vmdk")), 100);

	how.overwrite = true;
	make_file("d.vmdk", 100, 0);
	file = create(in_folder("d.vmdk"), how);
	EXPECT_OK(pl_storage_create_beside(file, &flat, &beside, &err));
	write_pattern(beside, 0, 70);
	EXPECT_EQ(size_of(in_folder("d-flat.vmdk")), 100);
	EXPECT_OK(pl_storage_commit(file, false, &err));
	pl_disk_unref(file);
	EXPECT_EQ(size_of(in_folder("d-flat.vmdk")), 70);
	EXPECT_EQ(size_of(in_folder("d.vmdk")), 0);
}

TEST(what_is_made_anew_leaves_what_is_beside_the_old_one)
{
	struct pl_storage_create how = { .overwrite = true, .anew = true };
	struct pl_disk *file, *beside;
	struct stat st;

	make_file("d.vmdk", 100, 0);
	EXPECT_EQ(chmod(in_folder("d.vmdk"), 0600), 0);
	make_file("d-s001.vmdk", 100, 0);
	make_file("d-2-s003.vmdk", 100, 0);
	make_file("d-3-f001.vmdk", 100, 0);
	file = create(in_folder("d.vmdk"), how);
	beside = create_beside(file, true);
	write_pattern(beside, 0, 1700);
	write_pattern(file, 0, 10);
	EXPECT_OK(pl_storage_mode_like(file, in_folder("d.vmdk"), &err));
	EXPECT_EQ(size_of(in_folder("d.vmdk")), 100);
	EXPECT_OK(pl_storage_commit(file, false, &err));
	pl_disk_unref(file);
	EXPECT_EQ(size_of(in_folder("d.vmdk")), 10);
	EXPECT_EQ(size_of(in_folder("d-s001.vmdk")), 100);
	EXPECT_EQ(size_of(in_folder("d-3-s001.vmdk")), 1000);
	EXPECT_EQ(size_of(in_folder("d-3-s002.vmdk")), 700);
	EXPECT(stat(in_folder("d-3-s002.vmdk"), &st) == 0 && (st.st_mode & 07777) == 0600);
	/* Where nothing is beside it, the names are the usual ones. */
	make_file("e.vmdk", 100, 0);
	file = create(in_folder("e.vmdk"), how);
	beside = create_beside(file, true);
	write_pattern(beside, 0, 10);
	EXPECT_OK(pl_storage_commit(file, false, &err));
	pl_disk_unref(file);
	EXPECT_EQ(size_of(in_folder("e-s001.vmdk")), 10);
}

TEST(file_that_appears_beside_meanwhile_is_not_replaced)
{
	struct pl_disk *file = create(in_folder("d.vmdk"), (struct pl_storage_create){ 0 });
	struct pl_disk *beside = create_beside(file, true);

	write_pattern(beside, 0, 1700);
	make_file("d-s001.vmdk", 100, 0);
	EXPECT_FAILS(pl_storage_commit(file, false, &err), EEXIST, "appeared meanwhile");
	pl_storage_abandon(file, false);
	pl_disk_unref(file);
	EXPECT_EQ(size_of(in_folder("d-s001.vmdk")), 100);
	EXPECT_EQ(size_of(in_folder("d-s002.vmdk")), GONE);
	EXPECT_EQ(size_of(in_folder("d.vmdk")), GONE);
}

TEST(only_one_file_with_a_name_can_have_others_beside_it)
{
	struct pl_storage_beside how = { .tag = "-flat" };
	PL_AUTOUNREF struct pl_disk *split =
		create(in_folder("d.img"), (struct pl_storage_create){ .split = 1000 });
	PL_AUTOUNREF struct pl_disk *memory = NULL;
	struct pl_disk *beside;

	EXPECT_FAILS(pl_storage_create_beside(split, &how, &beside, &err), EINVAL, "cut into");
	pl_storage_abandon(split, false);
	EXPECT_OK(pl_memory_new("x", 1, "memory", &memory, &err));
	EXPECT_FAILS(pl_storage_create_beside(memory, &how, &beside, &err), ENOTSUP, "memory");
}

TEST(missing_part_is_named)
{
	struct pl_disk *disk;

	make_file("d.001", 1000, 0);
	make_file("d.002", 1000, 1000);
	make_file("d.005", 10, 4000);
	EXPECT_FAILS(pl_storage_open(in_folder("d.001"), 0, &disk, &err), ENOENT, "d.003'");
	disk = open_disk(in_folder("d.001"), PL_STORAGE_SINGLE);
	EXPECT_EQ(disk->size, 1000);
	pl_disk_unref(disk);
	disk = open_disk(in_folder("d.002"), 0);
	EXPECT_EQ(disk->size, 1000);
	pl_disk_unref(disk);
}

TEST(part_that_was_cut_short_is_named)
{
	struct pl_disk *disk;

	make_file("d.000", 1000, 0);
	make_file("d.001", 999, 1000);
	make_file("d.002", 1000, 2000);
	EXPECT_FAILS(pl_storage_open(in_folder("d.000"), 0, &disk, &err), EUCLEAN,
		     "d.001' has 999 bytes");
}

TEST(lone_first_part_is_a_plain_file)
{
	PL_AUTOUNREF struct pl_disk *disk =
		open_disk(make_file("d.001", 1000, 0), PLATTER_OPEN_WRITE);
	PL_AUTOUNREF struct pl_disk *banana = open_disk(make_file("bananaa", 1000, 0), 0);

	EXPECT_EQ(disk->size, 1000);
	EXPECT(disk->growable);
	EXPECT_EQ(banana->size, 1000);
}

/* split(1) is the judge of its own names: up to 1401 parts, more than are kept open. */
TEST(sets_of_split_are_read_whatever_their_suffixes)
{
	static const struct {
		const char *options, *prefix, *first;
	} sets[] = {
		{ "-b 1000", "x", "xaa" }, /* ... xyz, xzaaa ... */
		{ "-b 20000 -a 3", "d.", "d.aaa" },
		{ "-b 2100 -a 2", "img", "imgaa" }, /* ... imgyz, imgza ... */
		{ "-b 9000 -a 4 --numeric-suffixes=1", "d.img.", "d.img.0001" },
		{ "-b 12000 -a 3 -d", "d.img.", "d.img.000" },
		{ "-n 3 -a 3 -d", "r.", "r.000" }, /* the last part is the longest */
	};
	size_t size = 1400 * 1000 + 1;

	make_file("whole", size, 0);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		EXPECT_EQ(run("cd '%s' && rm -f x* d* img* r* && split %s whole %s",
			      pl_test_folder(), sets[i].options, sets[i].prefix),
			  0);
		disk = open_disk(in_folder(sets[i].first), 0);
		EXPECT_EQ(disk->size, size);
		expect_pattern(disk, 0, size);
		for (uint64_t at = 999; at + 2 < size; at += 100000)
			expect_pattern(disk, at, 2);
	}
}

/* Run `body` with a file on a standard descriptor, and put that back. */
static void
with_descriptor(int fd, int replacement, void (*body)(void))
{
	int saved = dup(fd);

	fflush(stdout);
	EXPECT(saved >= 0 && dup2(replacement, fd) == fd);
	close(replacement);
	body();
	fflush(stdout);
	EXPECT_EQ(dup2(saved, fd), fd);
	close(saved);
}

#define STREAM_SIZE 300001

static int pipe_ends[2];

static void *
feed(void *closure)
{
	uint8_t buf[1777];

	for (uint64_t at = 0; at < STREAM_SIZE; at += sizeof buf) {
		size_t n = PL_MIN(sizeof buf, STREAM_SIZE - at);

		fill(buf, n, at);
		if (write(pipe_ends[1], buf, n) != (ssize_t)n)
			break;
	}
	close(pipe_ends[1]);
	return NULL;
}

static int body_failed;
#define CHECK(cond) ((cond) ? (void)0 : (void)(body_failed = body_failed ? body_failed : __LINE__))

static void
read_stream(void)
{
	static uint8_t buf[STREAM_SIZE];
	struct pl_disk *disk = NULL;
	size_t n = 0;

	CHECK(pl_storage_open("-", 0, &disk, &err) == 0);
	if (!disk)
		return;
	CHECK(disk->sequential && disk->size == UINT64_MAX);
	CHECK(pl_read(disk, buf, 100000, 0, &err) == 0);
	CHECK(pl_read(disk, buf, 1, 5, &err) == -ESPIPE);
	CHECK(pl_stream_read(disk, buf + 100000, 100000, &n, &err) == 0 && n == 100000);
	CHECK(disk->size == UINT64_MAX);
	CHECK(pl_stream_read(disk, buf + 200000, 200000, &n, &err) == 0 &&
	      n == STREAM_SIZE - 200000);
	CHECK(disk->size == STREAM_SIZE);
	CHECK(pl_stream_read(disk, buf, 1, &n, &err) == 0 && n == 0);
	for (size_t i = 0; i < STREAM_SIZE; i++)
		CHECK(buf[i] == byte_at(i));
	pl_disk_unref(disk);
}

TEST(pipe_is_a_disk_that_is_read_once_and_ends_somewhere)
{
	pthread_t thread;

	EXPECT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
	EXPECT_EQ(pthread_create(&thread, NULL, feed, NULL), 0);
	body_failed = 0;
	with_descriptor(STDIN_FILENO, pipe_ends[0], read_stream);
	pthread_join(thread, NULL);
	EXPECT_EQ(body_failed, 0);
}

static void
read_redirected(void)
{
	struct pl_disk *disk = NULL;
	char c[2];

	CHECK(pl_storage_open("-", 0, &disk, &err) == 0);
	if (!disk)
		return;
	CHECK(!disk->sequential && disk->size == 5000);
	CHECK(pl_read(disk, c, 2, 4000, &err) == 0 && (uint8_t)c[0] == byte_at(4000));
	CHECK(pl_read(disk, c, 2, 40, &err) == 0 && (uint8_t)c[1] == byte_at(41));
	CHECK(pl_storage_path(disk, 0)[0] == '/');
	pl_disk_unref(disk);
}

TEST(redirected_input_is_a_file)
{
	body_failed = 0;
	with_descriptor(STDIN_FILENO, open(make_file("in.img", 5000, 0), O_RDONLY),
			read_redirected);
	EXPECT_EQ(body_failed, 0);
}

static void
write_forwards(void)
{
	struct pl_storage_create how = { 0 };
	struct pl_disk *disk = NULL;
	char c;

	CHECK(pl_storage_create("-", &how, &disk, &err) == 0);
	if (!disk)
		return;
	CHECK(disk->sequential);
	CHECK(pl_write(disk, "abc", 3, 0, &err) == 0);
	CHECK(pl_write(disk, "xyz", 3, 10, &err) == 0);
	CHECK(pl_write(disk, "!", 1, 5, &err) == -ESPIPE);
	CHECK(pl_read(disk, &c, 1, 0, &err) == -ESPIPE);
	CHECK(pl_zero(disk, 13, 3, PL_ZERO_MAY_UNMAP, &err) == 0);
	CHECK(disk->size == 16);
	CHECK(pl_storage_commit(disk, true, &err) == 0);
	pl_disk_unref(disk);
}

static void
write_anywhere(void)
{
	struct pl_storage_create how = { 0 };
	struct pl_disk *disk = NULL;
	char c[3];

	CHECK(pl_storage_create("-", &how, &disk, &err) == 0);
	if (!disk)
		return;
	CHECK(!disk->sequential && disk->size == 0);
	CHECK(pl_write(disk, "xyz", 3, 10, &err) == 0);
	CHECK(pl_write(disk, "abc", 3, 0, &err) == 0);
	CHECK(pl_read(disk, c, 3, 10, &err) == 0 && memcmp(c, "xyz", 3) == 0);
	CHECK(pl_storage_commit(disk, true, &err) == 0);
	pl_disk_unref(disk);
}

TEST(pipe_is_written_forwards_with_zeros_between)
{
	char got[32];

	EXPECT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
	body_failed = 0;
	with_descriptor(STDOUT_FILENO, pipe_ends[1], write_forwards);
	EXPECT_EQ(body_failed, 0);
	EXPECT_EQ(read(pipe_ends[0], got, sizeof got), 16);
	EXPECT_MEM(got, "abc\0\0\0\0\0\0\0xyz\0\0\0", 16);
	close(pipe_ends[0]);
}

TEST(redirected_output_is_a_file)
{
	const char *path = make_file("out.img", 100, 0);

	body_failed = 0;
	with_descriptor(STDOUT_FILENO, open(path, O_WRONLY), write_anywhere);
	EXPECT_EQ(body_failed, 0);
	EXPECT_EQ(run("printf 'abc\\0\\0\\0\\0\\0\\0\\0xyz' | cmp - '%s'", path), 0);
}

TEST(output_that_appends_keeps_what_was_there)
{
	const char *path = make_file("out.img", 100, 0);

	body_failed = 0;
	with_descriptor(STDOUT_FILENO, open(path, O_WRONLY | O_APPEND), write_forwards);
	EXPECT_EQ(body_failed, 0);
	EXPECT_EQ(size_of(path), 116);
}

static const char *
backing_file(const char *name, uint64_t size)
{
	const char *path = make_file(name, KIB(64), 0);

	EXPECT_EQ(truncate(path, (off_t)size), 0);
	return path;
}

TEST(device_is_a_disk_with_its_sector_size)
{
	const char *loop = loop_on(backing_file("b.img", MIB(4)), "-b 4096");
	PL_AUTOUNREF struct pl_disk *disk = open_disk(loop, PLATTER_OPEN_WRITE);
	struct pl_file_id id;
	struct stat st;

	EXPECT_EQ(disk->size, MIB(4));
	EXPECT_EQ(disk->sector_size, 4096);
	EXPECT(disk->writable && !disk->growable);
	EXPECT(pl_storage_is_device(disk));
	EXPECT_EQ(pl_storage_allocated(disk), MIB(4));
	EXPECT_EQ(stat(loop, &st), 0);
	EXPECT(pl_storage_id(disk, 0, &id));
	EXPECT(id.device == st.st_rdev && id.inode == 0);
	expect_pattern(disk, 0, KIB(64));
	/* Ends within sectors, and wholly within one. */
	write_pattern(disk, 100, 20001);
	EXPECT_OK(pl_zero(disk, 5000, 10000, PL_ZERO_NO_FALLBACK, &err));
	EXPECT_OK(pl_zero(disk, 20000, 13, PL_ZERO_MAY_UNMAP, &err));
	expect_pattern(disk, 0, 5000);
	expect_zeros(disk, 5000, 10000);
	expect_pattern(disk, 15000, 5000);
	expect_zeros(disk, 20000, 13);
	expect_pattern(disk, 20013, KIB(64) - 20013);
	EXPECT_OK(pl_discard(disk, MIB(1) + 1, MIB(1), &err));
	EXPECT_OK(pl_flush(disk, &err));
	EXPECT_OK(pl_storage_reread_table(disk, &err));
	pl_storage_drop_cache(disk);
	expect_pattern(disk, 0, 5000);
	EXPECT_FAILS(pl_write(disk, "ab", 2, MIB(4) - 1, &err), ERANGE, "4194304");
	EXPECT_FAILS(pl_resize(disk, MIB(8), &err), ENOTSUP, "size");
}

TEST(device_is_read_directly_to_its_odd_end)
{
	const char *loop = loop_on(backing_file("b.img", MIB(1) + 512), "");
	PL_AUTOUNREF struct pl_disk *disk = open_disk(loop, PLATTER_OPEN_DIRECT);

	EXPECT_EQ(disk->size, MIB(1) + 512);
	expect_pattern(disk, 1, KIB(64) - 1);
	expect_zeros(disk, MIB(1) - 100, 612);
}

TEST(write_protected_device_opens_only_for_reading)
{
	const char *loop = loop_on(backing_file("b.img", MIB(4)), "-r");
	PL_AUTOUNREF struct pl_disk *disk = open_disk(loop, 0);
	struct pl_disk *second;

	EXPECT(!disk->writable);
	EXPECT_FAILS(pl_storage_open(loop, PLATTER_OPEN_WRITE, &second, &err), EROFS,
		     "is read-only");
}

TEST(mounted_device_does_not_open_exclusively)
{
	const char *loop;
	struct pl_disk *disk;

	EXPECT_EQ(run("mke2fs -q '%s'", backing_file("b.img", MIB(4))), 0);
	loop = loop_on(in_folder("b.img"), "");
	mount_on(loop);
	EXPECT_FAILS(pl_storage_open(loop, PLATTER_OPEN_WRITE | PLATTER_OPEN_EXCLUSIVE, &disk,
				     &err),
		     EBUSY, "is in use");
	take_down();
	loop = loop_on(in_folder("b.img"), "");
	disk = open_disk(loop, PLATTER_OPEN_WRITE | PLATTER_OPEN_EXCLUSIVE);
	pl_disk_unref(disk);
	take_down();
}

TEST(image_file_is_not_made_over_a_device)
{
	const char *loop = loop_on(backing_file("b.img", MIB(4)), "");
	struct pl_storage_create how = { .overwrite = true };
	struct pl_disk *disk;

	EXPECT_FAILS(pl_storage_create(loop, &how, &disk, &err), EINVAL, "is a device");
	EXPECT(strstr(err.hint, "restore"));
}

static void
expect_shared(const char *mkfs)
{
	const char *folder;
	PL_AUTOUNREF struct pl_disk *from = NULL, *to = NULL;
	char path[256];

	if (run("%s '%s'", mkfs, backing_file("fs.img", MIB(320))) != 0)
		SKIP("no %s", mkfs);
	folder = mount_on(loop_on(in_folder("fs.img"), ""));
	snprintf(path, sizeof path, "%s/a", folder);
	EXPECT_EQ(run("cp '%s' '%s'", make_file("a", MIB(4) + 100, 0), path), 0);
	from = open_disk(path, 0);
	snprintf(path, sizeof path, "%s/b", folder);
	to = create(path, (struct pl_storage_create){ 0 });
	/* Block 3 on, into the middle of block 4 of an empty file. */
	EXPECT_OK(pl_storage_share(from, 4096 * 3 + 100, to, 4096 * 4 + 100, MIB(4) - 4096 * 3,
				   &err));
	EXPECT_EQ(to->size, MIB(4) + 4096 + 100);
	for (uint64_t at = 4096 * 3 + 100; at < MIB(4) + 100; at += 4096) {
		uint8_t buf[4096];
		size_t n = (size_t)PL_MIN(sizeof buf, MIB(4) + 100 - at);

		EXPECT_OK(pl_read(to, buf, n, at + 4096, &err));
		expect_filled(buf, n, at);
	}
	EXPECT_OK(pl_storage_commit(to, true, &err));
	EXPECT_EQ(run("filefrag -v '%s' | grep -q shared", path), 0);
	EXPECT_FAILS(pl_storage_share(from, 1, to, 0, MIB(1), &err), ENOTSUP, "cannot share");
	EXPECT_FAILS(pl_storage_share(from, MIB(4), to, 0, MIB(1), &err), ERANGE, "pass the end");
	pl_disk_unref(PL_STEAL(from));
	pl_disk_unref(PL_STEAL(to));
	take_down();
}

TEST(blocks_are_shared_on_xfs)
{
	expect_shared("mkfs.xfs -q -m reflink=1");
}

TEST(blocks_are_shared_on_btrfs)
{
	expect_shared("mkfs.btrfs -q");
}

TEST(files_without_reflinks_say_so)
{
	PL_AUTOUNREF struct pl_disk *from = NULL, *to = NULL;
	const char *folder;
	char path[256];

	EXPECT_EQ(run("mke2fs -q '%s'", backing_file("fs.img", MIB(16))), 0);
	folder = mount_on(loop_on(in_folder("fs.img"), ""));
	snprintf(path, sizeof path, "%s/b", folder);
	from = open_disk(make_file("a", MIB(1), 0), 0);
	to = create(path, (struct pl_storage_create){ 0 });
	EXPECT_FAILS(pl_storage_share(from, 0, to, 0, MIB(1), &err), ENOTSUP, "cannot share");
	EXPECT_EQ(to->size, 0);
	/* A full file system is named as such. */
	{
		PL_AUTOFREE uint8_t *buf = malloc(MIB(32));

		memset(buf, 1, MIB(32));
		EXPECT_FAILS(pl_write(to, buf, MIB(32), 0, &err), ENOSPC, "no space left");
	}
	pl_disk_unref(PL_STEAL(to));
	take_down();
}
