/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-qcow2-writer.c - images written front to back, judged by qemu-img */
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "qcow2/qcow2.h"
#include "test.h"

#define MAX_EXTENTS 64

/* What the disk holds: extents at chunk boundaries, zeros between. */
struct source {
	uint64_t size;
	size_t nr;
	struct {
		uint64_t offset, length;
		uint8_t *bytes;
	} extents[MAX_EXTENTS];
};

static uint64_t random_state;

static uint32_t
next_random(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33);
}

/*
 * One chunk of noise, of words, or of noise that repeats after 16 KiB, so that deflate finds
 * matches at distances of more than 4 KiB and no others.
 */
static void
fill(uint8_t *p, size_t n)
{
	unsigned style = next_random() % 4;

	for (size_t i = 0; i < n; i++) {
		if (style == 0)
			p[i] = (uint8_t)next_random();
		else if (style == 1)
			p[i] = i >= KIB(16) ? p[i - KIB(16)] : (uint8_t)next_random();
		else
			p[i] = (uint8_t) "the map of a disk "[(i + i / 37) % 18];
	}
	p[0] |= 1;
}

static void
add_extent(struct source *s, uint64_t offset, uint64_t length, size_t chunk)
{
	uint8_t *bytes = malloc(length);

	for (uint64_t i = 0; i < length; i += chunk)
		fill(bytes + i, (size_t)PL_MIN(chunk, length - i));
	s->extents[s->nr].offset = offset;
	s->extents[s->nr].length = length;
	s->extents[s->nr++].bytes = bytes;
}

/* Extents of 1 to 8 chunks spread over the disk; the last one ends it. */
static struct source *
make_source(uint64_t size, size_t chunk, size_t nr_extents)
{
	struct source *s = calloc(1, sizeof *s);
	uint64_t chunks = pl_div_round_up(size, chunk), spacing = chunks / nr_extents, at = 0;

	s->size = size;
	random_state = size + chunk;
	for (size_t i = 0; i < nr_extents && at < chunks; i++) {
		uint64_t gap = spacing > 4 ? next_random() % (spacing - 4) : next_random() % 3;
		uint64_t length = 1 + next_random() % 8;

		at = i == nr_extents - 1 ? chunks - PL_MIN(length, chunks - at) : at + gap;
		if (at >= chunks)
			break;
		length = PL_MIN(length, chunks - at);
		add_extent(s, at * chunk, PL_MIN(length * chunk, size - at * chunk), chunk);
		at += length;
	}
	return s;
}

static void
free_source(struct source **s)
{
	for (size_t i = 0; i < (*s)->nr; i++)
		free((*s)->extents[i].bytes);
	free(*s);
}
#define AUTO_SOURCE __attribute__((cleanup(free_source)))

static const char *
path_of(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *p = paths[next++ % ARRAY_SIZE(paths)];

	snprintf(p, sizeof paths[0], "%s/%s", pl_test_folder(), name);
	return p;
}

static void
write_raw(const struct source *s, const char *path)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	EXPECT(fd >= 0);
	EXPECT_EQ(ftruncate(fd, (off_t)s->size), 0);
	for (size_t i = 0; i < s->nr; i++)
		EXPECT_EQ(pwrite(fd, s->extents[i].bytes, s->extents[i].length,
				 (off_t)s->extents[i].offset),
			  s->extents[i].length);
	close(fd);
}

static void
write_disk(struct pl_disk *disk, const char *path)
{
	PL_AUTOFREE uint8_t *bytes = malloc(disk->size);
	FILE *f = fopen(path, "wb");
	struct platter_error err = PLATTER_ERROR_INIT;

	EXPECT_OK(pl_read(disk, bytes, disk->size, 0, &err));
	EXPECT(f && fwrite(bytes, 1, disk->size, f) == disk->size);
	fclose(f);
}

/* Run a command; its output, and whether it exited with 0. */
__attribute__((format(printf, 3, 4))) static bool
run(char *output, size_t n, const char *format, ...)
{
	char command[1024];
	va_list args;
	size_t length;
	FILE *p;

	va_start(args, format);
	vsnprintf(command, sizeof command, format, args);
	va_end(args);
	strcat(command, " 2>&1");
	p = popen(command, "r");
	EXPECT(p);
	length = fread(output, 1, n - 1, p);
	output[length] = '\0';
	return pclose(p) == 0;
}

static void
need_qemu_img(void)
{
	char output[256];

	if (!run(output, sizeof output, "qemu-img --version"))
		SKIP("qemu-img is not installed");
}

static void
expect_qemu_check(const char *image)
{
	char output[4096];

	if (!run(output, sizeof output, "qemu-img check -f qcow2 %s", image) ||
	    !strstr(output, "No errors were found"))
		pl_test_fail(__FILE__, __LINE__, "qemu-img check: %s", output);
}

static void
expect_qemu_same(const char *raw, const char *image)
{
	char output[4096];

	expect_qemu_check(image);
	if (!run(output, sizeof output, "qemu-img compare -f raw -F qcow2 %s %s", raw, image))
		pl_test_fail(__FILE__, __LINE__, "qemu-img compare: %s", output);
}

#define EXPECT_CONTAINS(text, part)                                                     \
	do {                                                                            \
		if (!strstr(text, part))                                                \
			pl_test_fail(__FILE__, __LINE__, "no '%s' in: %s", part, text); \
	} while (0)

/* A copy engine of one thread. */

static int
put_extent(struct pl_writer *w, uint64_t offset, const uint8_t *bytes, uint64_t length,
	   struct platter_error *err)
{
	PL_AUTOFREE uint8_t *room = malloc(w->encoded_max);

	while (length) {
		struct pl_encoded e = { .bytes = room, .capacity = w->encoded_max, .as_is = true };
		uint64_t n = w->ops->encode ? PL_MIN(length, w->chunk) : length, at;
		const uint8_t *stored = bytes;
		uint64_t placed;
		int r = 0;

		if (w->ops->encode)
			r = w->ops->encode(w, offset, bytes, (size_t)n, &e, err);
		if (r == 0)
			r = w->ops->place(w, offset, n, e.as_is ? 0 : e.length, &at, &placed, err);
		if (r < 0)
			return r;
		if (!e.as_is)
			stored = room;
		r = pl_write(w->file, stored, e.as_is ? placed : e.length, at, err);
		if (r < 0)
			return r;
		offset += placed;
		bytes += placed;
		length -= placed;
	}
	return 0;
}

/* Feed disk bytes [from, to); both at chunks, or `to` at the end. */
static int
feed(struct pl_writer *w, const struct source *s, uint64_t from, uint64_t to,
     enum platter_kind kind, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->nr && from < to; i++) {
		uint64_t start = s->extents[i].offset, end = start + s->extents[i].length;

		if (end <= from)
			continue;
		if (start > from) {
			r = w->ops->skip(w, from, PL_MIN(start, to) - from, kind, err);
			from = PL_MIN(start, to);
		}
		end = PL_MIN(end, to);
		if (r == 0 && from < end) {
			r = put_extent(w, from, s->extents[i].bytes + (from - start), end - from,
				       err);
			from = end;
		}
	}
	return r == 0 && from < to ? w->ops->skip(w, from, to - from, kind, err) : r;
}

#define MAX_OPTIONS 8
struct setup {
	const char *codec;
	const char *options[MAX_OPTIONS]; /* "key=value" */
};

static int
create(const struct setup *setup, struct pl_disk *file, uint64_t size, bool resume,
       struct pl_related *related, struct pl_writer **ret, struct platter_error *err)
{
	struct platter_key_value options[MAX_OPTIONS];
	char keys[MAX_OPTIONS][64];
	struct pl_create_request request = { .file = file,
					     .size = size,
					     .options = options,
					     .codec = setup->codec,
					     .level = INT_MIN,
					     .resume = resume,
					     .related = related };

	for (; request.nr_options < MAX_OPTIONS && setup->options[request.nr_options];
	     request.nr_options++) {
		const char *o = setup->options[request.nr_options], *value = strchr(o, '=');
		char *key = keys[request.nr_options];

		snprintf(key, sizeof keys[0], "%.*s", (int)(value - o), o);
		options[request.nr_options] = (struct platter_key_value){ key, value + 1 };
	}
	return pl_qcow2_create(&request, ret, err);
}

/* Write all of `s` to `image` in one go; `stream`: without knowing the size before the end. */
static void
write_image(const struct setup *setup, const struct source *s, const char *image, bool stream,
	    struct pl_related *related, enum platter_kind gaps)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_writer *w;

	EXPECT_OK(pl_memory_new(NULL, 0, "image", &file, &err));
	EXPECT_OK(create(setup, file, stream ? UINT64_MAX : s->size, false, related, &w, &err));
	EXPECT_OK(feed(w, s, 0, s->size, gaps, &err));
	w->size = s->size;
	EXPECT_OK(w->ops->finish(w, &err));
	w->ops->free(w);
	write_disk(file, image);
}

static const struct {
	const char *codec, *cluster_size, *compat, *refcount_bits;
	uint64_t size;
	size_t nr_extents;
} images[] = {
	{ NULL, "64K", "1.1", "16", MIB(8), 12 },
	{ "zstd", "64K", "1.1", "16", MIB(8), 12 },
	{ "zlib", "64K", "1.1", "16", MIB(8), 12 },
	{ "", "64K", "0.10", "16", MIB(8), 12 },
	{ NULL, "64K", "0.10", "16", MIB(8), 12 },
	{ NULL, "512", "1.1", "16", KIB(200), 24 },
	{ "zlib", "512", "1.1", "16", KIB(200), 24 },
	{ "zstd", "512", "1.1", "64", KIB(200), 24 },
	{ "zlib", "512", "0.10", "16", KIB(200), 24 },
	{ "zstd", "512", "1.1", "1", KIB(200), 24 },
	{ NULL, "512", "1.1", "64", KIB(1500), 60 },
	{ NULL, "4K", "1.1", "8", MIB(2), 24 },
	{ "zlib", "4K", "1.1", "1", MIB(2), 24 },
	{ "zstd", "4K", "1.1", "2", MIB(2), 24 },
	{ "zlib", "4K", "1.1", "4", MIB(2), 24 },
	{ "zstd", "4K", "1.1", "8", MIB(2), 24 },
	{ "zlib", "4K", "1.1", "32", MIB(2), 24 },
	{ "zstd", "4K", "1.1", "64", MIB(4), 60 },
	{ NULL, "2M", "1.1", "16", MIB(24), 2 },
	{ "zlib", "2M", "1.1", "16", MIB(24), 2 },
	{ "zstd", "2M", "1.1", "1", MIB(24), 2 },
	{ "zlib", "2M", "0.10", "16", MIB(24), 2 },
	/* Odd sizes, and none. */
	{ "zstd", "64K", "1.1", "16", 512, 1 },
	{ NULL, "64K", "1.1", "16", 512, 1 },
	{ NULL, "64K", "1.1", "16", KIB(64) + 513, 1 },
	{ "zlib", "64K", "1.1", "16", KIB(64) + 513, 1 },
	{ NULL, "512", "1.1", "16", KIB(64) + 513, 8 },
	{ NULL, "64K", "1.1", "16", 0, 0 },
	{ "zstd", "512", "1.1", "16", 0, 0 },
	/* Several L2 tables, most of the disk holes. */
	{ NULL, "64K", "1.1", "16", GIB(2), 12 },
	{ "zstd", "64K", "1.1", "16", GIB(2) + KIB(64), 12 },
	{ "zlib", "4K", "1.1", "16", GIB(2), 40 },
};

static void
try_image(size_t i, bool stream)
{
	char options[3][64];
	const struct setup setup = { images[i].codec, { options[0], options[1], options[2] } };
	uint64_t chunk;
	AUTO_SOURCE struct source *s = NULL;
	const char *raw = path_of("raw"), *image = path_of("image");

	printf("# codec %s, clusters of %s, compat %s, refcount_bits %s, %" PRIu64 " bytes%s\n",
	       images[i].codec ? images[i].codec : "none", images[i].cluster_size, images[i].compat,
	       images[i].refcount_bits, images[i].size, stream ? ", a stream" : "");
	snprintf(options[0], sizeof options[0], "cluster_size=%s", images[i].cluster_size);
	snprintf(options[1], sizeof options[1], "compat=%s", images[i].compat);
	snprintf(options[2], sizeof options[2], "refcount_bits=%s", images[i].refcount_bits);
	chunk = strtoull(images[i].cluster_size, NULL, 10);
	chunk <<= strchr(images[i].cluster_size, 'K')   ? 10
		  : strchr(images[i].cluster_size, 'M') ? 20
							: 0;
	s = images[i].nr_extents ? make_source(images[i].size, chunk, images[i].nr_extents)
				 : calloc(1, sizeof *s);
	write_raw(s, raw);
	write_image(&setup, s, image, stream, NULL, i % 2 ? PLATTER_ZERO : PLATTER_HOLE);
	expect_qemu_same(raw, image);
}

TEST(qemu_img_finds_no_fault_and_the_same_bytes)
{
	need_qemu_img();
	for (size_t i = 0; i < ARRAY_SIZE(images); i++)
		try_image(i, false);
}

TEST(a_stream_of_unknown_size_becomes_as_good_an_image)
{
	need_qemu_img();
	for (size_t i = 0; i < ARRAY_SIZE(images); i += 2)
		try_image(i, true);
}

TEST(qemu_img_shows_what_was_asked_for)
{
	static const struct {
		struct setup setup;
		const char *shown[6];
	} cases[] = {
		{ { NULL, { 0 } },
		  { "\"compat\": \"1.1\"", "\"cluster-size\": 65536", "\"refcount-bits\": 16",
		    "\"compression-type\": \"zlib\"", "\"lazy-refcounts\": false",
		    "\"corrupt\": false" } },
		{ { "", { 0 } }, { "\"compression-type\": \"zstd\"", "\"compat\": \"1.1\"" } },
		{ { "zlib", { 0 } }, { "\"compression-type\": \"zlib\"" } },
		{ { "", { "compat=0.10" } }, { "\"compat\": \"0.10\"" } },
		{ { NULL, { "compression_type=zstd" } }, { "\"compression-type\": \"zstd\"" } },
		{ { "", { "compression_type=zlib" } }, { "\"compression-type\": \"zlib\"" } },
		{ { NULL, { "refcount_bits=1", "cluster_size=2M" } },
		  { "\"refcount-bits\": 1,", "\"cluster-size\": 2097152" } },
		{ { NULL, { "lazy_refcounts=on" } }, { "\"lazy-refcounts\": true" } },
	};
	AUTO_SOURCE struct source *s = make_source(MIB(1) + 512, KIB(64), 3);
	const char *image = path_of("image");
	char output[8192];

	need_qemu_img();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_image(&cases[i].setup, s, image, false, NULL, PLATTER_HOLE);
		EXPECT(run(output, sizeof output, "qemu-img info -f qcow2 --output=json %s",
			   image));
		EXPECT_CONTAINS(output, "\"virtual-size\": 1049088");
		if (!strstr(output, "\"compat\": \"0.10\""))
			EXPECT(!strstr(output, "dirty-flag\": true"));
		for (size_t k = 0; k < ARRAY_SIZE(cases[i].shown) && cases[i].shown[k]; k++)
			EXPECT_CONTAINS(output, cases[i].shown[k]);
	}
}

TEST(a_disk_of_64_tib_with_little_in_it)
{
	static const struct setup setups[] = { { NULL, { 0 } },
					       { "zstd", { 0 } },
					       { "zlib", { "cluster_size=2M" } } };
	const char *image = path_of("image");
	char output[4096];

	need_qemu_img();
	for (size_t i = 0; i < ARRAY_SIZE(setups); i++) {
		AUTO_SOURCE struct source *s = calloc(1, sizeof *s);

		s->size = TIB(64);
		add_extent(s, 0, MIB(2), KIB(64));
		add_extent(s, TIB(31), MIB(4), KIB(64));
		add_extent(s, TIB(64) - MIB(2), MIB(2), KIB(64));
		for (size_t k = 0; k < s->nr; k++)
			memset(s->extents[k].bytes, 0x50 + (int)k, s->extents[k].length);
		write_image(&setups[i], s, image, false, NULL, PLATTER_ZERO);
		expect_qemu_check(image);
		EXPECT(run(output, sizeof output,
			   "qemu-io -r -f qcow2 -c 'read -P 0x50 0 2M' -c 'read -P 0 2M 2M'"
			   " -c 'read -P 0x51 34084860461056 4M' -c 'read -P 0 34084864655360 1M'"
			   " -c 'read -P 0x52 70368742080512 2M' %s",
			   image));
		EXPECT(!strstr(output, "failed"));
	}
}

TEST(a_disk_too_large_for_its_clusters_is_refused_with_advice)
{
	static const struct setup setup = { NULL, { "cluster_size=512" } };
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_writer *w = NULL;

	EXPECT_OK(pl_memory_new(NULL, 0, "image", &file, &err));
	EXPECT_EQ(create(&setup, file, GIB(128) + 1, false, NULL, &w, &err), -EFBIG);
	EXPECT_CONTAINS(err.message, "137438953472 bytes at most");
	EXPECT_CONTAINS(err.hint, "cluster_size");
	EXPECT_OK(create(&setup, file, GIB(128), false, NULL, &w, &err));
	w->ops->free(w);
}

TEST(a_wrong_option_is_named_with_what_is_allowed)
{
	static const struct {
		struct setup setup;
		const char *named;
	} wrong[] = {
		{ { NULL, { "cluster_size=3000" } },
		  "cluster_size=3000: allowed is a power of two from 512 to 2M" },
		{ { NULL, { "cluster_size=256" } }, "cluster_size=256" },
		{ { NULL, { "cluster_size=4M" } }, "cluster_size=4M" },
		{ { NULL, { "cluster_size=x" } }, "cluster_size=x" },
		{ { NULL, { "compat=1.0" } }, "compat=1.0: allowed is 0.10 or 1.1" },
		{ { NULL, { "refcount_bits=7" } }, "refcount_bits=7" },
		{ { NULL, { "refcount_bits=128" } }, "refcount_bits=128" },
		{ { NULL, { "refcount_bits=1", "compat=0.10" } }, "compat=0.10 allows only 16" },
		{ { NULL, { "lazy_refcounts=yes" } }, "lazy_refcounts=yes: allowed is on or off" },
		{ { NULL, { "lazy_refcounts=on", "compat=0.10" } }, "compat=0.10 allows only off" },
		{ { NULL, { "compression_type=lz4" } }, "'lz4': qcow2 has zlib and zstd" },
		{ { "zstd", { "compat=0.10" } }, "allows only zlib" },
		{ { "zstd", { "compression_type=zlib" } }, "contradict" },
		{ { "bzip2", { 0 } }, "'bzip2'" },
		{ { NULL, { "extended_l2=on" } }, "extended_l2=on" },
		{ { NULL, { "preallocation=full" } }, "preallocation=full" },
		{ { NULL, { "backing_fmt=raw" } }, "backing_fmt=raw without backing_file" },
		{ { NULL, { "backing_file=x" } }, "backing_file=x" },
		{ { NULL, { "colour=red" } }, "'colour'" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct platter_error err = PLATTER_ERROR_INIT;
		PL_AUTOUNREF struct pl_disk *file = NULL;
		struct pl_writer *w;

		EXPECT_OK(pl_memory_new(NULL, 0, "image", &file, &err));
		EXPECT_EQ(create(&wrong[i].setup, file, MIB(1), false, NULL, &w, &err), -EINVAL);
		EXPECT_CONTAINS(err.message, wrong[i].named);
		EXPECT_EQ(file->size, 0);
	}
}

/* Opens any name as zeros of a certain size. */
struct zero_backing {
	struct pl_related related;
	uint64_t size;
};

static int
open_zeros(struct pl_related *related, const char *name, const char *format, bool writable,
	   struct pl_disk **ret, struct platter_error *err)
{
	int r = pl_memory_new(NULL, 0, name, ret, err);

	return r < 0 ? r
		     : pl_resize(*ret, pl_container_of(related, struct zero_backing, related)->size,
				 err);
}

/* What shows through `over` where it has nothing. */
static struct source *
overlaid(const struct source *base, const struct source *over, uint64_t chunk)
{
	struct source *s = calloc(1, sizeof *s);
	size_t b = 0;

	s->size = over->size;
	for (uint64_t at = 0; at < over->size; at += chunk) {
		const struct source *from = over;
		size_t i = 0;
		uint64_t n;

		while (i < over->nr && over->extents[i].offset + over->extents[i].length <= at)
			i++;
		if (i == over->nr || over->extents[i].offset > at) {
			from = base;
			for (i = b; i < base->nr &&
				    base->extents[i].offset + base->extents[i].length <= at;
			     i++)
				b = i;
			if (i == base->nr || base->extents[i].offset > at)
				continue;
		}
		n = PL_MIN(chunk, from->extents[i].offset + from->extents[i].length - at);
		s->extents[s->nr].bytes = malloc(n);
		memcpy(s->extents[s->nr].bytes,
		       from->extents[i].bytes + (at - from->extents[i].offset), n);
		s->extents[s->nr].offset = at;
		s->extents[s->nr++].length = n;
	}
	return s;
}

TEST(an_overlay_shows_its_backing_file_through_holes_but_not_through_zeros)
{
	static const struct setup setups[] = {
		{ NULL, { "backing_file=base", "backing_fmt=raw" } },
		{ "zstd", { "backing_file=base", "backing_fmt=raw" } },
		{ NULL, { "backing_file=base", "backing_fmt=raw", "compat=0.10" } },
		{ "zlib", { "backing_file=base", "backing_fmt=raw", "compat=0.10" } },
		{ "zlib",
		  { "backing_file=base", "backing_fmt=raw", "cluster_size=64K",
		    "refcount_bits=64" } },
	};
	const char *raw = path_of("raw"), *image = path_of("overlay");
	char output[8192];

	need_qemu_img();
	for (size_t i = 0; i < ARRAY_SIZE(setups); i++) {
		AUTO_SOURCE struct source *base = make_source(MIB(2), KIB(64), 5);
		AUTO_SOURCE struct source *over = make_source(MIB(3) + 512, KIB(64), 5);
		AUTO_SOURCE struct source *both = overlaid(base, over, KIB(64));
		struct zero_backing backing = { { .open = open_zeros }, base->size };

		write_raw(base, path_of("base"));
		write_image(&setups[i], over, image, false, &backing.related, PLATTER_HOLE);
		write_raw(both, raw);
		expect_qemu_same(raw, image);
		EXPECT(run(output, sizeof output, "qemu-img info -f qcow2 --output=json %s",
			   image));
		EXPECT_CONTAINS(output, "\"backing-filename\": \"base\"");
		EXPECT_CONTAINS(output, "\"backing-filename-format\": \"raw\"");

		write_image(&setups[i], over, image, false, &backing.related, PLATTER_ZERO);
		write_raw(over, raw);
		expect_qemu_same(raw, image);
	}
}

TEST(the_name_of_a_backing_file_must_fit_into_the_first_cluster)
{
	static char option[700] = "backing_file=";
	const struct setup setup = { NULL, { "cluster_size=512", "backing_fmt=raw", option } };
	struct zero_backing backing = { { .open = open_zeros }, MIB(1) };
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_writer *w;

	memset(option + 13, 'b', 352);
	EXPECT_OK(pl_memory_new(NULL, 0, "image", &file, &err));
	EXPECT_OK(create(&setup, file, MIB(1), false, &backing.related, &w, &err));
	w->ops->free(w);
	option[13 + 352] = 'b';
	EXPECT_EQ(create(&setup, file, MIB(1), false, &backing.related, &w, &err), -EFBIG);
	EXPECT_CONTAINS(err.message, "353 bytes");
}

/* The unfinished image in `file` opens, and reads as the source up to `end`. */
static void
expect_prefix(struct pl_disk *file, const struct source *s, uint64_t end)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	const struct pl_open_request request = { .file = file };
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE uint8_t *expected = calloc(1, end + 1), *bytes = malloc(end + 1);

	for (size_t i = 0; i < s->nr && s->extents[i].offset < end; i++)
		memcpy(expected + s->extents[i].offset, s->extents[i].bytes,
		       PL_MIN(s->extents[i].length, end - s->extents[i].offset));
	EXPECT_OK(pl_format_by_name("qcow2")->open(&request, &disk, &err));
	EXPECT_EQ(disk->size, pl_round_up(s->size, 512));
	EXPECT_OK(pl_read(disk, bytes, end, 0, &err));
	EXPECT_MEM(bytes, expected, end);
}

static const struct setup resumable[] = {
	{ NULL, { "cluster_size=4K" } },
	{ "zstd", { "cluster_size=4K" } },
	{ "zlib", { "cluster_size=4K", "compat=0.10" } },
	{ NULL, { "cluster_size=512", "refcount_bits=64" } },
	{ "zlib", { "cluster_size=512", "refcount_bits=2" } },
	{ "zstd", { 0 } },
};

TEST(an_interrupted_image_goes_on_where_it_was_checkpointed)
{
	const char *raw = path_of("raw"), *image = path_of("image");
	struct platter_error err = PLATTER_ERROR_INIT;

	need_qemu_img();
	for (size_t i = 0; i < ARRAY_SIZE(resumable) * 4; i++) {
		const struct setup *setup = &resumable[i / 4];
		uint64_t chunk = setup->options[0]
					 ? (strstr(setup->options[0], "512") ? 512 : KIB(4))
					 : KIB(64);
		AUTO_SOURCE struct source *s = make_source(chunk * 2000 + 100, chunk, 60);
		PL_AUTOUNREF struct pl_disk *file = NULL;
		uint64_t at = 0;
		struct pl_writer *w;

		EXPECT_OK(pl_memory_new(NULL, 0, "image", &file, &err));
		random_state = i;
		/* Three interruptions, the last checkpoint of each some way before it. */
		for (int part = 0; part < 3; part++) {
			uint64_t stop = at + next_random() % (s->size / 4) / chunk * chunk;
			uint64_t lost = stop + next_random() % (s->size / 4) / chunk * chunk;

			EXPECT_OK(create(setup, file, s->size, true, NULL, &w, &err));
			EXPECT_EQ(w->resumed, at);
			EXPECT_OK(feed(w, s, at, stop, PLATTER_HOLE, &err));
			if (i % 2) {
				EXPECT_OK(w->ops->checkpoint(w, stop, &err));
				EXPECT_OK(feed(w, s, stop, lost, PLATTER_HOLE, &err));
			} else {
				EXPECT_OK(feed(w, s, stop, lost, PLATTER_HOLE, &err));
				EXPECT_OK(w->ops->checkpoint(w, stop, &err));
			}
			w->ops->free(w);
			at = stop;
			expect_prefix(file, s, at);
		}
		EXPECT_OK(create(setup, file, s->size, true, NULL, &w, &err));
		EXPECT_EQ(w->resumed, at);
		expect_prefix(file, s, at);
		EXPECT_OK(feed(w, s, at, s->size, PLATTER_HOLE, &err));
		EXPECT_OK(w->ops->finish(w, &err));
		w->ops->free(w);
		write_raw(s, raw);
		write_disk(file, image);
		expect_qemu_same(raw, image);
		/* A whole image is not one to go on with. */
		EXPECT_OK(create(setup, file, s->size, true, NULL, &w, &err));
		EXPECT_EQ(w->resumed, 0);
		w->ops->free(w);
	}
}

TEST(zeros_over_a_backing_file_are_resumed_in_version_2_too)
{
	static const struct setup setup = {
		NULL, { "compat=0.10", "backing_file=base", "backing_fmt=raw" }
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	struct zero_backing backing = { { .open = open_zeros }, MIB(2) };
	PL_AUTOUNREF struct pl_disk *file = NULL;
	struct pl_writer *w;

	EXPECT_OK(pl_memory_new(NULL, 0, "image", &file, &err));
	EXPECT_OK(create(&setup, file, MIB(2), true, &backing.related, &w, &err));
	EXPECT_OK(w->ops->skip(w, 0, MIB(1), PLATTER_ZERO, &err));
	EXPECT_OK(w->ops->checkpoint(w, MIB(1), &err));
	w->ops->free(w);
	EXPECT_OK(create(&setup, file, MIB(2), true, &backing.related, &w, &err));
	EXPECT_EQ(w->resumed, MIB(1));
	w->ops->free(w);
}

TEST(an_unfinished_image_is_not_taken_for_a_finished_one)
{
	static const struct setup setups[] = { { NULL, { 0 } }, { "zlib", { "compat=0.10" } } };
	const char *image = path_of("image");
	char output[4096];

	need_qemu_img();
	for (size_t i = 0; i < ARRAY_SIZE(setups); i++) {
		struct platter_error err = PLATTER_ERROR_INIT;
		AUTO_SOURCE struct source *s = make_source(MIB(4), KIB(64), 8);
		PL_AUTOUNREF struct pl_disk *file = NULL;
		struct pl_writer *w;

		EXPECT_OK(pl_memory_new(NULL, 0, "image", &file, &err));
		EXPECT_OK(create(&setups[i], file, s->size, false, NULL, &w, &err));
		EXPECT_OK(feed(w, s, 0, MIB(2), PLATTER_HOLE, &err));
		EXPECT_OK(w->ops->checkpoint(w, MIB(2), &err));
		w->ops->free(w);
		write_disk(file, image);
		EXPECT(!run(output, sizeof output, "qemu-img check -f qcow2 %s", image));
	}
}

TEST(what_was_made_in_another_way_or_is_damaged_is_begun_again)
{
	static const struct setup made = { "zstd", { "cluster_size=4K" } };
	static const struct setup others[] = {
		{ "zlib", { "cluster_size=4K" } },
		{ NULL, { "cluster_size=4K", "compression_type=zstd" } },
		{ "zstd", { "cluster_size=8K" } },
		{ "zstd", { "cluster_size=4K", "refcount_bits=8" } },
		{ "zstd", { "cluster_size=4K", "lazy_refcounts=on" } },
	};
	struct platter_error err = PLATTER_ERROR_INIT;
	AUTO_SOURCE struct source *s = make_source(MIB(4), KIB(4), 40);
	struct pl_writer *w;

	for (size_t i = 0; i < ARRAY_SIZE(others) + 100; i++) {
		bool damaged = i >= ARRAY_SIZE(others);
		PL_AUTOUNREF struct pl_disk *file = NULL;

		EXPECT_OK(pl_memory_new(NULL, 0, "image", &file, &err));
		EXPECT_OK(create(&made, file, s->size, false, NULL, &w, &err));
		EXPECT_OK(feed(w, s, 0, MIB(3), PLATTER_HOLE, &err));
		EXPECT_OK(w->ops->checkpoint(w, MIB(3), &err));
		w->ops->free(w);
		if (damaged) {
			/* Somewhere in the L1 table or the first L2 table, which follow the header and a block. */
			uint8_t byte = (uint8_t)(1 + next_random() % 255);

			EXPECT_OK(pl_write(file, &byte, 1,
					   KIB(8) + next_random() % (i % 2 ? 16 : KIB(8)), &err));
		}
		EXPECT_OK(
			create(damaged ? &made : &others[i], file, s->size, true, NULL, &w, &err));
		EXPECT(w->resumed == 0 || damaged);
		if (!w->resumed)
			EXPECT_EQ(file->size % KIB(4), 0);
		w->ops->free(w);
	}
}

TEST(seven_zip_reads_matches_farther_than_4_kib)
{
	static const char *const cluster_sizes[] = { "cluster_size=64K", "cluster_size=2M" };
	AUTO_SOURCE struct source *s = make_source(MIB(8), MIB(2), 2);
	const char *image = path_of("image"), *raw = path_of("raw");
	char output[4096];

	if (!run(output, sizeof output, "7zz i >/dev/null"))
		SKIP("7zz is not installed");
	write_raw(s, raw);
	for (size_t i = 0; i < ARRAY_SIZE(cluster_sizes); i++) {
		const struct setup setup = { "zlib", { cluster_sizes[i] } };

		write_image(&setup, s, image, false, NULL, PLATTER_HOLE);
		EXPECT(run(output, sizeof output, "7zz x -so -tqcow %s 2>/dev/null | cmp - %s",
			   image, raw));
	}
}
