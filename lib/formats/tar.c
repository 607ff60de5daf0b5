/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tar.c - the files in a tar archive
 *
 * Spec: POSIX.1-2017, "pax", "ustar Interchange Format" and "pax Header Block"; the additions of
 * GNU tar are in its manual, "Basic Tar Format".
 *
 *	offset  size  header, followed by the file in whole blocks of 512 bytes
 *	     0   100  name
 *	   124    12  size: octal digits, or a binary number after 0x80
 *	   148     8  checksum: sum of all bytes of the header, these as spaces; octal
 *	   156     1  type
 *	   257     6  "ustar" and NUL, or two spaces with GNU
 *	   345   155  ustar: what comes before the name, with a '/' between
 */
#include "tar.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK PL_TAR_BLOCK
enum {
	TAR_NAME = 0,
	TAR_SIZE = 124,
	TAR_CHECKSUM = 148,
	TAR_TYPE = 156,
	TAR_MAGIC = 257,
	TAR_PREFIX = 345,
	GNU_EXTENDED = 482,      /* a sparse file's header is followed by more of it, */
	GNU_EXTENDED_MORE = 504, /* and so is this */
};
#define NAME_BYTES   100
#define PREFIX_BYTES 155

/* An appliance has a few files; its disks may be in pieces of 2 GB. */
#define MAX_MEMBERS 65536
/* Headers, of files or not: what a hostile archive of empty ones can make us do. */
#define MAX_HEADERS (4 * MAX_MEMBERS)
/* Of long names and pax records; paths have 4095 bytes. */
#define MAX_EXTRA KIB(64)

/* What the headers before that of a file say of it. */
struct extra {
	char *name; /* owned */
	bool has_size, sparse;
	uint64_t size;
};

struct walk {
	struct pl_disk *file;
	struct pl_tar *tar;
	struct extra extra;
	uint64_t at;
	unsigned nr_headers;
};

/* Octal digits among blanks, up to a blank or NUL. */
static bool
get_octal(const uint8_t *p, size_t n, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i = 0, digits = 0;

	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++, digits++)
		value = value << 3 | (uint64_t)(p[i] - '0');
	*ret = value;
	return digits && (i == n || p[i] == ' ' || p[i] == '\0');
}

static bool
get_size(const uint8_t *p, uint64_t *ret)
{
	if (p[0] != 0x80)
		return get_octal(p, 12, ret);
	*ret = get_be64(p + 4);
	return !p[1] && !p[2] && !p[3] && *ret <= INT64_MAX;
}

static bool
checksum_fits(const uint8_t *h)
{
	uint64_t expected;
	uint32_t sum = 0;
	int32_t sum_signed = 0;

	if (!get_octal(h + TAR_CHECKSUM, 8, &expected))
		return false;
	for (size_t i = 0; i < BLOCK; i++) {
		uint8_t c = i >= TAR_CHECKSUM && i < TAR_CHECKSUM + 8 ? ' ' : h[i];

		sum += c;
		sum_signed += (int8_t)c; /* as some old programs counted */
	}
	return expected == sum || (int64_t)expected == sum_signed;
}

bool
pl_tar_decode(const uint8_t block[static PL_TAR_BLOCK], struct pl_tar_header *ret)
{
	size_t n = 0, length = strnlen((const char *)block + TAR_PREFIX, PREFIX_BYTES);

	if (!checksum_fits(block) || !get_size(block + TAR_SIZE, &ret->size))
		return false;
	if (memcmp(block + TAR_MAGIC, "ustar", 6) == 0 && length) {
		memcpy(ret->name, block + TAR_PREFIX, length);
		ret->name[length] = '/';
		n = length + 1;
	}
	length = strnlen((const char *)block + TAR_NAME, NAME_BYTES);
	memcpy(ret->name + n, block + TAR_NAME, length);
	ret->name[n + length] = '\0';
	ret->type = (char)block[TAR_TYPE];
	return true;
}

static void
extra_done(struct extra *e)
{
	free(e->name);
	*e = (struct extra){ 0 };
}

static int
set_name(struct extra *e, const void *name, size_t n, struct platter_error *err)
{
	free(e->name);
	e->name = strndup(name, n);
	return e->name ? 0 : pl_no_memory(err);
}

/* One record, KEY=VALUE, of a pax header. */
static int
take_record(struct walk *w, const char *record, size_t n, struct platter_error *err)
{
	const char *equals = memchr(record, '=', n), *value;
	size_t key = equals ? (size_t)(equals - record) : n, length;

	if (!equals)
		return 0;
	value = equals + 1;
	length = n - key - 1;
	if (key == 4 && !memcmp(record, "path", 4))
		return set_name(&w->extra, value, length, err);
	if (key == 4 && !memcmp(record, "size", 4)) {
		uint64_t size = 0;

		for (size_t i = 0; i < length; i++)
			if (value[i] < '0' || value[i] > '9' || size > INT64_MAX / 10 - 1)
				return pl_corrupt(err, w->at, "the size in a pax header");
			else
				size = size * 10 + (uint64_t)(value[i] - '0');
		w->extra.size = size;
		w->extra.has_size = true;
	}
	if (key > 10 && !memcmp(record, "GNU.sparse", 10))
		w->extra.sparse = true;
	if (key == 15 && !memcmp(record, "GNU.sparse.name", 15))
		return set_name(&w->extra, value, length, err);
	return 0;
}

/* "27 path=a/long/name.vmdk\n" */
static int
take_records(struct walk *w, const char *p, size_t n, struct platter_error *err)
{
	int r = 0;

	for (size_t at = 0; r == 0 && at < n && p[at];) {
		size_t length = 0, i = at;

		for (; i < n && p[i] >= '0' && p[i] <= '9' && length <= n; i++)
			length = length * 10 + (size_t)(p[i] - '0');
		if (i == n || p[i] != ' ' || length > n - at || length < i - at + 2 ||
		    p[at + length - 1] != '\n')
			return pl_corrupt(err, w->at + BLOCK + at, "a record of a pax header");
		i++;
		r = take_record(w, p + i, at + length - 1 - i, err);
		at += length;
	}
	return r;
}

/* A header that tells of the file that follows: type 'x' (pax), 'L' (GNU's long name). */
static int
take_extra(struct walk *w, const struct pl_tar_header *h, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	int r;

	if (h->size > MAX_EXTRA)
		return pl_over_limit(err, w->at + TAR_SIZE,
				     "a header of %" PRIu64
				     " bytes in the archive, limit is %" PRIu64,
				     h->size, (uint64_t)MAX_EXTRA);
	if (!pl_in_range(w->at + BLOCK, h->size, w->file->size))
		return 0;
	r = pl_read_alloc(w->file, (size_t)h->size, w->at + BLOCK, &bytes, err);
	if (r < 0)
		return r;
	if (h->type == 'L')
		return set_name(&w->extra, bytes, (size_t)h->size, err);
	return take_records(w, (const char *)bytes, (size_t)h->size, err);
}

static int
add_member(struct walk *w, const struct pl_tar_header *h, struct platter_error *err)
{
	const char *name = w->extra.name ? w->extra.name : h->name;
	struct pl_tar *t = w->tar;
	struct pl_tar_member m = { .offset = w->at + BLOCK,
				   .size = h->size,
				   .sparse = w->extra.sparse || h->type == 'S' };

	if (t->nr == MAX_MEMBERS)
		return pl_over_limit(err, w->at, "more than %d files in the archive", MAX_MEMBERS);
	if (t->nr == t->capacity) {
		size_t capacity = t->capacity ? t->capacity * 2 : 16;
		struct pl_tar_member *members = pl_realloc_array(t->members, capacity, sizeof m);

		if (!members)
			return pl_no_memory(err);
		t->members = members;
		t->capacity = capacity;
	}
	m.offset = PL_MIN(m.offset, w->file->size);
	if (m.size > w->file->size - m.offset) {
		m.size = w->file->size - m.offset;
		m.cut = true;
	}
	while (name[0] == '.' && name[1] == '/')
		name += 2;
	m.name = strdup(name);
	if (!m.name)
		return pl_no_memory(err);
	t->members[t->nr++] = m;
	return 0;
}

/* Pass what a GNU header of a sparse file goes on with. */
static int
pass_extensions(struct walk *w, const uint8_t *header, struct platter_error *err)
{
	bool more = header[GNU_EXTENDED];
	uint8_t block[BLOCK];
	int r = 0;

	while (r == 0 && more && ++w->nr_headers <= MAX_HEADERS &&
	       pl_in_range(w->at + BLOCK, BLOCK, w->file->size)) {
		w->at += BLOCK;
		r = pl_read(w->file, block, sizeof block, w->at, err);
		more = block[GNU_EXTENDED_MORE];
	}
	return r;
}

/* The header at w->at, and what it is of. */
static int
take_header(struct walk *w, const uint8_t *block, struct platter_error *err)
{
	struct pl_tar_header h;
	int r = 0;

	if (!pl_tar_decode(block, &h)) {
		if (!w->tar->nr)
			return pl_corrupt(err, w->at, "no header of a file in the archive");
		w->tar->damaged_at = w->at;
		w->at = w->file->size;
		return 0;
	}
	switch (h.type) {
	case 'x':
	case 'L': r = take_extra(w, &h, err); break;
	case 'g': /* for all files that follow: nothing that matters here */
	case 'K': /* the name that a link leads to */ break;
	case '1': /* links, devices and folders have no contents, whatever their size says */
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
		h.size = 0;
		extra_done(&w->extra);
		break;
	default:
		if (w->extra.has_size)
			h.size = w->extra.size;
		if (h.type == 'S')
			r = pass_extensions(w, block, err);
		if (r == 0 && (h.type == '0' || !h.type || h.type == '7' || h.type == 'S'))
			r = add_member(w, &h, err);
		extra_done(&w->extra);
	}
	if (r < 0)
		return r;
	/* At most 2^63 each. */
	w->at = PL_MIN(w->at + BLOCK + pl_round_up(h.size, BLOCK), w->file->size);
	return 0;
}

int
pl_tar_read(struct pl_disk *file, struct pl_tar *ret, struct platter_error *err)
{
	struct pl_tar tar = { 0 };
	struct walk w = { .file = file, .tar = &tar };
	int r = 0;

	while (r == 0 && pl_in_range(w.at, BLOCK, file->size)) {
		uint8_t block[BLOCK];

		r = pl_read(file, block, sizeof block, w.at, err);
		if (r < 0 || pl_is_zero(block, sizeof block))
			break;
		if (++w.nr_headers > MAX_HEADERS)
			r = pl_over_limit(err, w.at, "more than %d headers in the archive",
					  MAX_HEADERS);
		else
			r = take_header(&w, block, err);
	}
	extra_done(&w.extra);
	if (r < 0) {
		pl_tar_done(&tar);
		return r;
	}
	*ret = tar;
	return 0;
}

void
pl_tar_done(struct pl_tar *tar)
{
	for (size_t i = 0; i < tar->nr; i++)
		free(tar->members[i].name);
	free(tar->members);
	*tar = (struct pl_tar){ 0 };
}
