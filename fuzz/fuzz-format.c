/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fuzz-format.c - open, describe, map, read, check, write, change and repair a hostile image;
 * built once for each FORMAT
 *
 * The image may name other files: each file of sectors or sound is the input itself, and nothing
 * else can be opened here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "fuzz.h"
#include "secret.h"
#include "unfold.h"

#define MAP_STEPS    512
#define READS        16
#define READ_SIZE    KIB(64)
#define UNFOLDED_MAX MIB(32)
#define RESIZED_MAX  GIB(16)

static void
ignore(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
       const char *message)
{
	(void)findings, (void)severity, (void)offset, (void)message;
}

static void
describe(struct pl_disk *disk)
{
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };

	if (disk->ops->describe)
		disk->ops->describe(disk, &facts);
	pl_arena_done(&arena);
}

static void
walk_map(struct pl_disk *disk)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	uint64_t offset = 0;

	for (int i = 0; i < MAP_STEPS && offset < disk->size; i++) {
		struct pl_extent extent;

		if (pl_map(disk, offset, disk->size - offset, &extent, &err) < 0)
			return;
		offset += extent.length;
	}
}

static void
read_some(struct pl_disk *disk)
{
	static uint8_t buf[READ_SIZE];
	struct platter_error err = PLATTER_ERROR_INIT;

	for (uint64_t i = 0; i < READS; i++) {
		uint64_t offset = disk->size / READS * i + i;
		size_t n = READ_SIZE;

		if (offset >= disk->size)
			break;
		n = PL_MIN(n, disk->size - offset);
		pl_read(disk, buf, n, offset, &err);
	}
}

static void
write_some(struct pl_disk *disk)
{
	static const uint8_t bytes[3000] = { 1, 2, 3 };
	struct platter_error err = PLATTER_ERROR_INIT;

	for (uint64_t i = 0; i < 4; i++) {
		uint64_t offset = disk->size / 4 * i + 100 * i;

		if (!pl_in_range(offset, sizeof bytes, disk->size))
			break;
		pl_write(disk, bytes, sizeof bytes, offset, &err);
		pl_zero(disk, offset + 500, 1000, PL_ZERO_MAY_UNMAP, &err);
		pl_discard(disk, offset, sizeof bytes, &err);
	}
	pl_flush(disk, &err);
}

static void
snapshots(const struct pl_format *format, struct pl_disk *disk, struct pl_disk *file,
	  unsigned flags)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct pl_arena arena = { 0 };
	const struct platter_snapshot *list;
	size_t nr = 0;

	if (format->snapshots && format->snapshots(disk, &arena, &list, &nr, &err) == 0 && nr > 0) {
		struct pl_open_request request = { .file = file,
						   .flags = flags,
						   .snapshot = list[0].id };
		PL_AUTOUNREF struct pl_disk *then = NULL;

		if (format->open(&request, &then, &err) == 0)
			read_some(then);
	}
	pl_arena_done(&arena);
}

static void
check(const struct pl_format *format, struct pl_disk *disk)
{
	struct pl_findings findings = { .found = ignore };
	struct platter_error err = PLATTER_ERROR_INIT;

	if (format->check)
		format->check(disk, &findings, &err);
}

/* Changes in place, each of what the one before has left. */
static void
change(const struct pl_format *format, struct pl_disk *disk)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	const struct pl_change_ops *ops = format->change;

	if (ops && ops->snapshot_create) {
		ops->snapshot_create(disk, "fuzz", &err);
		write_some(disk);
		ops->snapshot_apply(disk, "1", &err);
	}
	if (disk->ops->resize && disk->size < RESIZED_MAX) {
		/* Whole sectors of any size. */
		pl_resize(disk, pl_round_down(disk->size / 2, 4096) + 4096, &err);
		pl_resize(disk, disk->size * 3, &err);
		write_some(disk);
	}
	if (ops && ops->compact)
		ops->compact(disk, &err);
	if (ops && ops->snapshot_delete)
		ops->snapshot_delete(disk, "1", &err);
}

static void
repair(const struct pl_format *format, const uint8_t *data, size_t size)
{
	struct pl_findings findings = { .found = ignore };
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct pl_open_request request = { .flags = PLATTER_OPEN_WRITE | PLATTER_OPEN_NO_BACKING |
						    PLATTER_OPEN_IGNORE_CHECKSUMS };

	if (!format->change || !format->change->repair ||
	    pl_memory_new(data, size, "input", &file, &err) < 0)
		return;
	request.file = file;
	if (format->open(&request, &disk, &err) == 0 && disk->writable)
		format->change->repair(disk, false, &findings, &err);
}

/* Where the files come from that the image names. */
struct beside {
	struct pl_related related;
	struct pl_disk *input;
};

static int
open_beside(struct pl_related *related, const char *name, const char *format, bool writable,
	    struct pl_disk **ret, struct platter_error *err)
{
	struct beside *beside = pl_container_of(related, struct beside, related);
	struct pl_open_request request = { .file = beside->input };

	related->missing = !format || !strcmp(name, "missing.bin");
	if (related->missing || writable)
		return pl_fail(err, -ENOENT, "no file '%s'", name);
	if (strcmp(format, "raw") != 0 && strcmp(format, "wav") != 0 &&
	    strcmp(format, "flac") != 0 && strcmp(format, "aiff") != 0)
		return pl_fail(err, -ENOTSUP, "'%s' is not opened", name);
	return pl_format_by_name(format)->open(&request, ret, err);
}

static int
find_beside(struct pl_related *related, const char *folder, const char *extension,
	    int (*look)(struct pl_disk *file, const void *wanted), const void *wanted,
	    char **ret_name, struct platter_error *err)
{
	struct beside *beside = pl_container_of(related, struct beside, related);

	(void)folder, (void)extension, (void)err;
	*ret_name = look(beside->input, wanted) > 0 ? strdup("input") : NULL;
	return 0;
}

/* All that a disc can be opened as. */
static void
try_disks(const struct pl_format *format, const struct pl_open_request *like)
{
	static const char *const selects[] = { "1", "raw", "raw+sub" };

	for (size_t i = 0; format->many_disks && i < 3; i++) {
		struct platter_error err = PLATTER_ERROR_INIT;
		struct pl_open_request request = *like;
		PL_AUTOUNREF struct pl_disk *disk = NULL;

		request.disk = selects[i];
		if (format->open(&request, &disk, &err) < 0)
			continue;
		walk_map(disk);
		read_some(disk);
	}
}

static void
try_with(const struct pl_format *format, const uint8_t *data, size_t size, unsigned flags)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct beside beside = { .related = { .open = open_beside, .find = find_beside } };
	struct pl_open_request request = { .flags = flags, .related = &beside.related };

	if (pl_memory_new(data, size, "input", &file, &err) < 0)
		return;
	request.file = beside.input = file;
	try_disks(format, &request);
	if (format->open(&request, &disk, &err) < 0)
		return;
	describe(disk);
	walk_map(disk);
	read_some(disk);
	check(format, disk);
	snapshots(format, disk, file, flags);
	if (flags & PLATTER_OPEN_WRITE) {
		write_some(disk);
		read_some(disk);
		check(format, disk);
		if (disk->writable)
			change(format, disk);
		read_some(disk);
		check(format, disk);
	}
}

/* What the seeds are encrypted with. */
static int
passphrase(const struct platter_passphrase_request *request, char *buf, size_t room, void *closure)
{
	static const char text[] = "platter";

	(void)room, (void)closure;
	if (request->attempt > 1)
		return -ENOKEY;
	memcpy(buf, text, sizeof text - 1);
	return sizeof text - 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pl_format *format = pl_format_by_name(FORMAT);
	PL_AUTOFREE uint8_t *image = unfold(data, size, UNFOLDED_MAX, &size);

	if (!format) {
		fputs("no image format is called " FORMAT "\n", stderr);
		abort();
	}
	if (image)
		data = image;
	pl_secret_set_provider(passphrase, NULL);
	try_with(format, data, size, PLATTER_OPEN_NO_BACKING | PLATTER_OPEN_IGNORE_CHECKSUMS);
	try_with(format, data, size, PLATTER_OPEN_NO_BACKING | PLATTER_OPEN_WRITE);
	repair(format, data, size);
	return 0;
}
