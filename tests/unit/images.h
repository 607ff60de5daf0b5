/* SPDX-License-Identifier: GPL-3.0-or-later */
/* images.h - images made by qemu-img, or byte by byte, and read back */
#ifndef PL_TEST_IMAGES_H
#define PL_TEST_IMAGES_H

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "format.h"
#include "storage.h"
#include "test.h"
#include "text.h"

static struct platter_error err = PLATTER_ERROR_INIT;

static uint64_t seed = 0x9e3779b97f4a7c15u;

static inline uint64_t
rnd(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

/* Run a command in the test's folder; its output is shown only when it fails. */
__attribute__((format(printf, 1, 2))) static inline void
run(const char *format, ...)
{
	PL_AUTOFREE char *line = NULL;
	PL_AUTOFREE char *command = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&line, format, args) < 0)
		line = NULL;
	va_end(args);
	command =
		pl_format("cd %s && { %s; } >log 2>&1 || { tail -50 log | sed 's/^/# /'; false; }",
			  pl_test_folder(), line);
	if (system(command) != 0)
		pl_test_fail(__FILE__, __LINE__, "failed: %s", line);
}

static inline void
need_qemu(void)
{
	if (system("qemu-img --version >/dev/null 2>&1 && qemu-io --version >/dev/null 2>&1") != 0)
		SKIP("qemu-img and qemu-io are not installed");
}

static inline void
write_file(const char *name, const void *bytes, size_t n)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	FILE *f = fopen(path, "wb");

	EXPECT(f && fwrite(bytes, 1, n, f) == n);
	fclose(f);
}

/* Put n bytes over what stands at byte `at` of a file. */
static inline void
patch_file(const char *name, size_t at, const void *bytes, size_t n)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	FILE *f = fopen(path, "r+b");

	EXPECT(f && fseek(f, (long)at, SEEK_SET) == 0 && fwrite(bytes, 1, n, f) == n);
	fclose(f);
}

/* A disk of random runs of random bytes, text, zeros and holes, in the file `name`. */
static inline uint8_t *
make_raw(const char *name, size_t size)
{
	static const uint8_t text[] = "all work and no play ";
	uint8_t *bytes = calloc(1, size + 1);
	uint64_t longest = PL_MIN(PL_MAX(size / 8, (size_t)9000), (size_t)3000000);

	EXPECT(bytes);
	for (size_t at = 0; at < size;) {
		uint64_t want = 1 + rnd(rnd(4) ? 9000 : longest), kind = rnd(4);
		size_t n = (size_t)PL_MIN(size - at, want);

		for (size_t i = 0; kind < 2 && i < n; i++)
			bytes[at + i] = kind ? (uint8_t)rnd(256) : text[i % 21];
		at += n;
	}
	write_file(name, bytes, size);
	return bytes;
}

/* snapshot NULL: the disk as it is now. */
static inline int
try_open_snapshot(const char *name, const char *snapshot, unsigned flags, struct pl_disk **ret)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	PL_AUTOUNREF struct pl_disk *file = NULL;
	int r = pl_storage_open(path, flags & PLATTER_OPEN_WRITE, &file, &err);

	return r < 0 ? r : pl_image_open(file, path, NULL, snapshot, flags, ret, &err);
}

static inline int
try_open(const char *name, unsigned flags, struct pl_disk **ret)
{
	return try_open_snapshot(name, NULL, flags, ret);
}

/* Open n bytes in memory as an image of the named format. */
static inline int
try_bytes(const void *bytes, size_t n, const char *format, struct pl_disk **ret)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;

	EXPECT_OK(pl_memory_new(bytes, n, "image", &file, &err));
	return pl_image_open(file, NULL, format, NULL, 0, ret, &err);
}

/* Opening these bytes fails with `code`, and what is wrong stands at byte `at`. */
static inline void
expect_refused(const void *bytes, size_t n, const char *format, int code, uint64_t at)
{
	struct pl_disk *disk = NULL;
	int r = try_bytes(bytes, n, format, &disk);

	pl_disk_unref(disk);
	EXPECT_EQ(r, code);
	EXPECT_EQ(err.offset, at);
}

/* They open, but byte `offset` of the disk cannot be read, by what stands at byte `at`. */
static inline void
expect_unreadable(const void *bytes, size_t n, const char *format, uint64_t offset, int code,
		  uint64_t at)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	uint8_t byte;

	EXPECT_OK(try_bytes(bytes, n, format, &disk));
	EXPECT_EQ(pl_read(disk, &byte, 1, offset, &err), code);
	EXPECT_EQ(err.offset, at);
}

static inline void
expect_equal(struct pl_disk *disk, const uint8_t *bytes, size_t size)
{
	PL_AUTOFREE uint8_t *buf = malloc(size + 1);

	EXPECT_EQ(disk->size, size);
	EXPECT_OK(pl_read(disk, buf, size, 0, &err));
	EXPECT_MEM(buf, bytes, size);
	for (int i = 0; i < 100; i++) {
		uint64_t at = rnd(size + 1), want = rnd(rnd(3) ? 3000 : 400000);
		size_t n = (size_t)PL_MIN(size - at, want);

		EXPECT_OK(pl_read(disk, buf, n, at, &err));
		EXPECT_MEM(buf, bytes + at, n);
	}
}

/* The map covers the disk without gaps, and its stored extents lie in the file. */
static inline void
expect_whole_map(struct pl_disk *disk)
{
	struct pl_extent e;

	for (uint64_t at = 0; at < disk->size; at += e.length) {
		EXPECT_OK(pl_map(disk, at, disk->size - at, &e, &err));
		EXPECT(e.length > 0);
		if (e.kind == PLATTER_DATA)
			EXPECT(pl_in_range(e.stored_offset, e.decoder ? e.stored_length : e.length,
					   e.below->size));
	}
}

static inline void
tell(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
     const char *message)
{
	static const char *const names[] = { "note", "leak", "damage", "repaired" };

	printf("# %s at %" PRIu64 ": %s\n", names[severity], offset, message);
}

static inline void
expect_findings(struct pl_disk *disk, uint64_t damages, uint64_t leaks)
{
	struct pl_findings findings = { .found = tell };

	EXPECT_OK(pl_format_of(disk)->check(disk, &findings, &err));
	EXPECT_EQ(findings.count[PLATTER_DAMAGE], damages);
	EXPECT_EQ(findings.count[PLATTER_LEAK], leaks);
}

/* The file is whole, of this format, and the snapshot holds these bytes. */
static inline void
expect_snapshot_reads(const char *name, const char *format, const char *snapshot,
		      const uint8_t *bytes, size_t size)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;

	EXPECT_OK(try_open_snapshot(name, snapshot, 0, &disk));
	EXPECT_STR(pl_format_of(disk)->info.name, format);
	expect_equal(disk, bytes, size);
	expect_whole_map(disk);
	expect_findings(disk, 0, 0);
}

static inline void
expect_reads(const char *name, const char *format, const uint8_t *bytes, size_t size)
{
	expect_snapshot_reads(name, format, NULL, bytes, size);
}

/* Does a warning of the description contain `text`? */
static inline bool
warns_of(struct pl_disk *disk, const char *text)
{
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };
	bool found = false;

	disk->ops->describe(disk, &facts);
	for (size_t i = 0; i < facts.list.nr_warnings; i++)
		found |= strstr(facts.list.warnings[i], text) != NULL;
	pl_arena_done(&arena);
	return found;
}

/* Write the disk with these bytes as the file `name`, the way the copy engine does. */
static inline void
write_image(const char *name, const struct pl_format *format, const uint8_t *bytes, size_t size,
	    const struct platter_key_value *options, size_t nr_options)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	struct pl_storage_create how = { .overwrite = true };
	struct pl_create_request request = {
		.size = size, .sector_size = 512, .options = options, .nr_options = nr_options
	};
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_writer *w;
	uint64_t at, length;

	EXPECT_OK(pl_storage_create(path, &how, &file, &err));
	request.file = file;
	EXPECT_OK(format->create(&request, &w, &err));
	for (uint64_t offset = 0; offset < size; offset += length) {
		bool zero;

		length = pl_zero_run(bytes + offset, size - offset, w->chunk, &zero);
		if (zero) {
			EXPECT_OK(w->ops->skip(w, offset, length, PLATTER_ZERO, &err));
			continue;
		}
		EXPECT_OK(w->ops->place(w, offset, length, 0, &at, &length, &err));
		EXPECT_OK(pl_write(file, bytes + offset, length, at, &err));
	}
	EXPECT_OK(w->ops->finish(w, &err));
	w->ops->free(w);
	EXPECT_OK(pl_storage_commit(file, false, &err));
}

#endif
