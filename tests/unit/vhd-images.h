/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vhd-images.h - images in memory for the tests of VHD and VHDX, and what other tools say */
#ifndef PL_TEST_VHD_IMAGES_H
#define PL_TEST_VHD_IMAGES_H

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <platter/platter.h>

#include "format.h"
#include "test.h"

static struct platter_error err;

/* Stands for the folder of an image: disks by the names under which they are there. */
struct folder {
	struct pl_related related;
	const char *names[4];
	struct pl_disk *files[4];
	char asked[1000]; /* names that were looked for, each in front of a ';' */
};

static int
folder_open(struct pl_related *related, const char *name, const char *format, bool writable,
	    struct pl_disk **ret, struct platter_error *e)
{
	struct folder *f = pl_container_of(related, struct folder, related);
	struct pl_open_request request = { .related = related };
	size_t used = strlen(f->asked);

	(void)writable;
	snprintf(f->asked + used, sizeof f->asked - used, "%s;", name);
	for (size_t i = 0; i < ARRAY_SIZE(f->names) && f->names[i]; i++) {
		if (strcmp(f->names[i], name) != 0)
			continue;
		request.file = f->files[i];
		related->missing = false;
		return pl_format_by_name(format)->open(&request, ret, e);
	}
	related->missing = true;
	return pl_fail(e, -ENOENT, "no file '%s'", name);
}

static inline struct pl_disk *
memory_file(const void *bytes, size_t n, const char *name)
{
	struct pl_disk *disk;

	EXPECT_OK(pl_memory_new(bytes, n, name, &disk, &err));
	return disk;
}

/* Open an image in memory; `folder` may be NULL. */
static inline int
open_image(const char *format, struct pl_disk *file, struct folder *folder, unsigned flags,
	   struct pl_disk **ret)
{
	struct pl_open_request request = { .file = file, .flags = flags };

	if (folder) {
		folder->related.open = folder_open;
		request.related = &folder->related;
	}
	err = (struct platter_error)PLATTER_ERROR_INIT;
	return pl_format_by_name(format)->open(&request, ret, &err);
}

/* What verify would say of an open image, each in front of a newline. */
static char findings_text[4000];

static void
note_finding(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
	     const char *message)
{
	size_t used = strlen(findings_text);

	(void)findings;
	snprintf(findings_text + used, sizeof findings_text - used, "%s %" PRIu64 " %s\n",
		 severity == PLATTER_DAMAGE ? "damage"
		 : severity == PLATTER_LEAK ? "leak"
					    : "note",
		 offset, message);
}

static inline const char *
check_image(const char *format, struct pl_disk *disk)
{
	struct pl_findings findings = { .found = note_finding };

	findings_text[0] = '\0';
	EXPECT_OK(pl_format_by_name(format)->check(disk, &findings, &err));
	return findings_text;
}

/* Does a byte range of the disk hold `n` times `value`? */
static inline bool
holds(struct pl_disk *disk, uint64_t offset, size_t n, uint8_t value)
{
	PL_AUTOFREE uint8_t *buf = malloc(n);

	EXPECT_OK(pl_read(disk, buf, n, offset, &err));
	return buf[0] == value && !memcmp(buf, buf + 1, n - 1);
}

/* Run a program, quietly; its exit status. */
static inline int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline int
run(const char *format, ...)
{
	char command[2000];
	va_list args;
	int n;

	n = snprintf(command, sizeof command, "cd '%s' && { ", pl_test_folder());
	va_start(args, format);
	n += vsnprintf(command + n, sizeof command - (size_t)n, format, args);
	va_end(args);
	snprintf(command + n, sizeof command - (size_t)n, "; } >/dev/null 2>&1");
	n = system(command);
	return n < 0 || (n & 0x7f) ? -1 : n >> 8;
}

/* A path in the test's folder. */
static inline const char *
in_folder(const char *name)
{
	static char paths[8][200];
	static unsigned next;
	char *p = paths[next++ % ARRAY_SIZE(paths)];

	snprintf(p, sizeof paths[0], "%s/%s", pl_test_folder(), name);
	return p;
}

/* Convert by the library; `option` is "KEY=VALUE" or NULL, twice. */
static inline int
convert(const char *source, const char *target, const char *option, const char *second)
{
	struct platter_create_options options = {
		.size = sizeof options, .verify = true, .overwrite = true, .no_sync = true
	};
	struct platter_key_value values[2];
	struct platter_copy_result result;
	const char *given[] = { option, second };
	struct platter_disk *disk;
	char keys[2][40];
	int r;

	for (size_t i = 0; i < 2; i++) {
		const char *equals = given[i] ? strchr(given[i], '=') : NULL;

		if (!equals)
			continue;
		snprintf(keys[i], sizeof keys[i], "%.*s", (int)(equals - given[i]), given[i]);
		values[options.nr_options++] =
			(struct platter_key_value){ .key = keys[i], .value = equals + 1 };
	}
	options.options = values;
	err = (struct platter_error)PLATTER_ERROR_INIT;
	EXPECT_OK(platter_open(source, NULL, &disk, &err));
	r = platter_create(disk, target, &options, NULL, &result, &err);
	platter_close(disk);
	return r;
}

/* Both disks, as platter reads them, are equal but for zeros that one of them has more. */
static inline bool
same_disk(const char *a, const char *b)
{
	struct platter_compare_result result;
	struct platter_disk *x, *y;

	EXPECT_OK(platter_open(a, NULL, &x, &err));
	EXPECT_OK(platter_open(b, NULL, &y, &err));
	EXPECT_OK(platter_compare(x, y, NULL, &result, &err));
	platter_close(x);
	platter_close(y);
	return result.equal || result.equal_but_zero_tail;
}

/* A raw file with data here and there, at the end too. */
static inline void
make_raw(const char *path, uint64_t size, unsigned seed)
{
	FILE *f = fopen(path, "wb");

	EXPECT(f);
	EXPECT_EQ(ftruncate(fileno(f), (off_t)size), 0);
	for (uint64_t i = 0; i < 10; i++) {
		uint64_t at = i == 9 ? size - PL_MIN(size, 700)
				     : size / 10 * i + (seed * 7919 * i) % 4096;
		uint64_t n = PL_MIN(size - PL_MIN(size, at), 3000 + 50000 * (i % 3));

		EXPECT_EQ(fseeko(f, (off_t)at, SEEK_SET), 0);
		while (n--)
			fputc((int)(n * (i + seed) % 251 + 1), f);
	}
	EXPECT_EQ(fclose(f), 0);
}

#endif
