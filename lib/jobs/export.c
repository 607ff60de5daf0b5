/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * export.c - files inside as a tar archive
 *
 * POSIX.1-2001 "pax": a ustar header of 512 bytes for each entry, and in front of it, where
 * that has no room, an extended header of records "LENGTH KEY=VALUE\n".  Holes are written as
 * GNU tar's sparse format 1.0 has them: the map as decimal lines in front of the data, which
 * libarchive and GNU tar read.  An archive library would have to be fed every zero of a hole;
 * a file of 16 TiB with one byte in it is 2 KiB here.
 */
#include "export.h"

#include <stdio.h>
#include <unistd.h>

#include "links.h"
#include "progress.h"
#include "text.h"
#include "tree.h"

#define BLOCK     512
#define COPY_SIZE MIB(1)

/* Runs of data that are listed; a file of more is written whole between the last of them. */
#define MAX_RUNS 65536

/* What a ustar header has room for. */
#define MAX_OCTAL_7  07777777ull
#define MAX_OCTAL_11 077777777777ull

enum {
	TAR_NAME = 0,
	TAR_MODE = 100,
	TAR_UID = 108,
	TAR_GID = 116,
	TAR_SIZE = 124,
	TAR_MTIME = 136,
	TAR_CHECKSUM = 148,
	TAR_TYPE = 156,
	TAR_LINK = 157,
	TAR_MAGIC = 257,
	TAR_MAJOR = 329,
	TAR_MINOR = 337,
	TAR_NAME_SIZE = 100,
};

struct run {
	uint64_t offset, length;
};

struct exporter {
	struct pl_volume *v;
	const char *name; /* of the start, or NULL */
	int fd;
	void (*note)(const struct platter_extract_note *note, void *closure);
	void *closure;
	struct platter_export_result *result;
	struct pl_meter meter;
	struct pl_links links;
	struct pl_str pax; /* records of the entry at hand */
	uint8_t *buf;
};

static void
note(struct exporter *x, enum platter_extract_outcome outcome, const char *path,
     const char *message)
{
	const struct platter_extract_note n = { outcome, path, message };

	x->result->failed += outcome == PLATTER_EXTRACT_FAILED;
	if (x->note)
		x->note(&n, x->closure);
}

static int
put(struct exporter *x, const void *bytes, size_t n, struct platter_error *err)
{
	const uint8_t *p = bytes;

	while (n) {
		ssize_t done = write(x->fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return pl_fail_errno(err, -errno, "write the archive");
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int
put_padding(struct exporter *x, uint64_t n, struct platter_error *err)
{
	static const uint8_t zeros[BLOCK];

	return n % BLOCK ? put(x, zeros, BLOCK - (size_t)(n % BLOCK), err) : 0;
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts its own digits. */
static void
add_record(struct exporter *x, const char *key, const void *value, size_t n)
{
	size_t rest = 1 + strlen(key) + 1 + n + 1, length = rest + 1;

	while (length != rest + (size_t)snprintf(NULL, 0, "%zu", length))
		length = rest + (size_t)snprintf(NULL, 0, "%zu", length);
	pl_str_addf(&x->pax, "%zu %s=", length, key);
	pl_str_add_bytes(&x->pax, value, n);
	pl_str_add(&x->pax, "\n");
}

static void
add_number(struct exporter *x, const char *key, uint64_t number)
{
	char text[24];

	add_record(x, key, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, number));
}

/* Seconds with a fraction, also before 1970. */
static void
add_time(struct exporter *x, const char *key, struct platter_time t)
{
	int64_t seconds = t.seconds;
	uint32_t nano = t.nanoseconds;
	const char *sign = "";
	char text[40];
	int n;

	if (seconds < 0) {
		sign = "-";
		seconds = -seconds;
		if (nano) {
			seconds--;
			nano = 1000000000 - nano;
		}
	}
	n = snprintf(text, sizeof text, "%s%" PRId64 ".%09" PRIu32, sign, seconds, nano);
	add_record(x, key, text, (size_t)n);
}

static void
put_octal(uint8_t *field, size_t digits, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof text, "%0*" PRIo64, (int)digits, n);
	memcpy(field, text, digits);
}

/* What does not fit stands in the extended header. */
static void
set_number(struct exporter *x, uint8_t *field, size_t digits, uint64_t most, const char *key,
	   uint64_t n)
{
	put_octal(field, digits, n > most ? 0 : n);
	if (n > most)
		add_number(x, key, n);
}

static void
set_text(struct exporter *x, uint8_t *field, const char *key, const char *text)
{
	size_t n = strlen(text);
	bool plain = n <= TAR_NAME_SIZE;

	for (const char *p = text; *p && plain; p++)
		plain = (unsigned char)*p < 0x80;
	memcpy(field, text, PL_MIN(n, TAR_NAME_SIZE));
	if (!plain)
		add_record(x, key, text, n);
}

static void
sign_header(uint8_t *header)
{
	unsigned sum = 0;

	memcpy(header + TAR_MAGIC, "ustar\00000", 8);
	memset(header + TAR_CHECKSUM, ' ', 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += header[i];
	put_octal(header + TAR_CHECKSUM, 6, sum);
	header[TAR_CHECKSUM + 6] = '\0';
}

/* The extended header, if anything is in it, and the header. */
static int
put_headers(struct exporter *x, uint8_t *header, struct platter_error *err)
{
	uint8_t extended[BLOCK] = { 0 };
	int r = 0;

	if (x->pax.failed)
		return pl_no_memory(err);
	if (x->pax.length) {
		memcpy(extended, "././@PaxHeader", 14);
		put_octal(extended + TAR_MODE, 7, 0644);
		put_octal(extended + TAR_UID, 7, 0);
		put_octal(extended + TAR_GID, 7, 0);
		put_octal(extended + TAR_SIZE, 11, x->pax.length);
		put_octal(extended + TAR_MTIME, 11, 0);
		extended[TAR_TYPE] = 'x';
		sign_header(extended);
		r = put(x, extended, BLOCK, err);
		if (r == 0)
			r = put(x, x->pax.text, x->pax.length, err);
		if (r == 0)
			r = put_padding(x, x->pax.length, err);
		x->pax.length = 0;
	}
	sign_header(header);
	return r < 0 ? r : put(x, header, BLOCK, err);
}

static int
add_xattr(void *closure, const struct pl_attribute *a, struct platter_error *err)
{
	struct exporter *x = closure;
	PL_AUTOFREE char *key = pl_format("SCHILY.xattr.%s", a->name);

	if (!key)
		return pl_no_memory(err);
	/* The key ends at the first '='. */
	if (!strchr(a->name, '='))
		add_record(x, key, a->value, (size_t)a->size);
	return 0;
}

static const struct {
	char type;
	uint32_t mode; /* where the file system has none */
} kinds[] = {
	[PLATTER_FILE_REGULAR] = { '0', 0644 },
	[PLATTER_FILE_FOLDER] = { '5', 0755 },
	[PLATTER_FILE_SYMLINK] = { '2', 0777 },
	[PLATTER_FILE_FIFO] = { '6', 0644 },
	[PLATTER_FILE_CHARACTER_DEVICE] = { '3', 0644 },
	[PLATTER_FILE_BLOCK_DEVICE] = { '4', 0644 },
	[PLATTER_FILE_OTHER] = { 0, 0 },
};

/* All but the name's prefix, the size and what links say. */
static void
begin_header(struct exporter *x, uint8_t *header, const struct pl_visited *v)
{
	const struct platter_file *f = v->file;
	struct platter_time modified = f->modified;

	memset(header, 0, BLOCK);
	x->pax.length = 0;
	if (modified.seconds == PLATTER_NO_TIME)
		modified = (struct platter_time){ 0 };
	put_octal(header + TAR_MODE, 7, f->has_mode ? f->mode & 07777 : kinds[f->type].mode);
	set_number(x, header + TAR_UID, 7, MAX_OCTAL_7, "uid", f->has_owner ? f->uid : 0);
	set_number(x, header + TAR_GID, 7, MAX_OCTAL_7, "gid", f->has_owner ? f->gid : 0);
	put_octal(header + TAR_SIZE, 11, 0);
	if (modified.seconds >= 0 && (uint64_t)modified.seconds <= MAX_OCTAL_11 &&
	    !modified.nanoseconds) {
		put_octal(header + TAR_MTIME, 11, (uint64_t)modified.seconds);
	} else {
		put_octal(header + TAR_MTIME, 11, 0);
		add_time(x, "mtime", modified);
	}
	if (f->accessed.seconds != PLATTER_NO_TIME)
		add_time(x, "atime", f->accessed);
	header[TAR_TYPE] = (uint8_t)kinds[f->type].type;
	put_octal(header + TAR_MAJOR, 7, f->major);
	put_octal(header + TAR_MINOR, 7, f->minor);
	if (x->v->ops->xattrs)
		x->v->ops->xattrs(x->v, v->id, add_xattr, x, NULL);
}

/* The runs of data of a file, zeros and holes between them; *ret_stored: bytes in them. */
static int
find_runs(struct pl_disk *disk, struct run **ret, size_t *ret_nr, uint64_t *ret_stored,
	  struct platter_error *err)
{
	struct run *runs = NULL;
	size_t nr = 0, capacity = 0;
	uint64_t offset = 0;
	int r = 0;

	*ret_stored = 0;
	while (offset < disk->size && r == 0) {
		enum platter_kind kind;
		uint64_t n;

		r = pl_span(disk, offset, disk->size - offset, &kind, &n, err);
		if (r < 0)
			break;
		if (nr == MAX_RUNS) {
			*ret_stored += offset + n - (runs[nr - 1].offset + runs[nr - 1].length);
			runs[nr - 1].length = offset + n - runs[nr - 1].offset;
		} else if (kind == PLATTER_DATA) {
			if (nr == capacity) {
				struct run *p;

				capacity = PL_MAX(16, capacity * 2);
				p = pl_realloc_array(runs, capacity, sizeof *p);
				if (!p) {
					free(runs);
					return pl_no_memory(err);
				}
				runs = p;
			}
			runs[nr++] = (struct run){ offset, n };
			*ret_stored += n;
		}
		offset += n;
	}
	*ret = runs;
	*ret_nr = nr;
	return r;
}

/* Bytes [offset, offset + length) of a file; after a failure to read, zeros. */
static int
put_contents(struct exporter *x, struct pl_disk *disk, const struct run *run, bool *failed,
	     const char *path, struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	int r = 0;

	for (uint64_t done = 0; done < run->length && r == 0;) {
		size_t n = (size_t)PL_MIN(COPY_SIZE, run->length - done);

		if (pl_meter_cancelled(&x->meter))
			return pl_fail(err, -ECANCELED, "cancelled");
		if (*failed || pl_read_once(disk, x->buf, n, run->offset + done, &why) < 0) {
			if (!*failed)
				note(x, PLATTER_EXTRACT_INCOMPLETE, path, why.message);
			*failed = true;
			memset(x->buf, 0, n);
		}
		r = put(x, x->buf, n, err);
		pl_meter_add(&x->meter, n, n);
		done += n;
	}
	return r;
}

/* The map of a sparse file, as lines, padded to a block. */
static void
add_map(struct pl_str *s, const struct run *runs, size_t nr, uint64_t size)
{
	bool to_end = nr && runs[nr - 1].offset + runs[nr - 1].length == size;

	pl_str_addf(s, "%zu\n", nr + !to_end);
	for (size_t i = 0; i < nr; i++)
		pl_str_addf(s, "%" PRIu64 "\n%" PRIu64 "\n", runs[i].offset, runs[i].length);
	if (!to_end)
		pl_str_addf(s, "%" PRIu64 "\n0\n", size);
}

static int
put_file(struct exporter *x, uint8_t *header, const char *path, const struct pl_visited *v,
	 struct pl_disk *disk, struct platter_error *err)
{
	PL_AUTOFREE struct run *runs = NULL;
	PL_AUTOFREE char *sparse_name = NULL;
	struct pl_str map = { 0 };
	uint64_t stored, length;
	bool failed = false, sparse;
	size_t nr;
	int r = find_runs(disk, &runs, &nr, &stored, err);

	if (r < 0)
		return r;
	sparse = stored < disk->size;
	if (sparse) {
		add_map(&map, runs, nr, disk->size);
		add_record(x, "GNU.sparse.major", "1", 1);
		add_record(x, "GNU.sparse.minor", "0", 1);
		add_record(x, "GNU.sparse.name", path, strlen(path));
		add_number(x, "GNU.sparse.realsize", disk->size);
		sparse_name = pl_format("GNUSparseFile.0/%s", *v->name ? v->name : path);
	}
	length = stored + pl_round_up(map.length, BLOCK);
	set_text(x, header + TAR_NAME, "path", sparse_name ? sparse_name : path);
	set_number(x, header + TAR_SIZE, 11, MAX_OCTAL_11, "size", length);
	r = map.failed || (sparse && !sparse_name) ? pl_no_memory(err)
						   : put_headers(x, header, err);
	if (r == 0 && sparse) {
		r = put(x, map.text, map.length, err);
		if (r == 0)
			r = put_padding(x, map.length, err);
	}
	for (size_t i = 0; i < nr && r == 0; i++)
		r = put_contents(x, disk, &runs[i], &failed, v->path, err);
	pl_str_done(&map);
	x->result->bytes += disk->size;
	return r < 0 ? r : put_padding(x, length, err);
}

static int
export_regular(struct exporter *x, const char *path, const struct pl_visited *v,
	       struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	struct platter_error why = PLATTER_ERROR_INIT;
	uint8_t header[BLOCK];
	struct pl_link *first = NULL;
	size_t i;
	int r;

	if (v->file->links > 1) {
		r = pl_links_find(&x->links, v->id, &i, err);
		if (r < 0)
			return r;
		first = &x->links.link[i];
	}
	if (first && first->path) {
		begin_header(x, header, v);
		header[TAR_TYPE] = '1';
		set_text(x, header + TAR_NAME, "path", path);
		set_text(x, header + TAR_LINK, "linkpath", first->path);
		return put_headers(x, header, err);
	}
	if (pl_volume_open_file(x->v, v->id, NULL, v->path, &disk, &why) < 0) {
		note(x, PLATTER_EXTRACT_FAILED, v->path, why.message);
		return 0;
	}
	if (first) {
		first->path = strdup(path);
		if (!first->path)
			return pl_no_memory(err);
	}
	begin_header(x, header, v);
	return put_file(x, header, path, v, disk, err);
}

static int
export_node(struct exporter *x, const char *path, const struct pl_visited *v,
	    struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	PL_AUTOFREE char *target = NULL;
	PL_AUTOFREE char *folder = NULL;
	uint8_t header[BLOCK];

	if (v->file->type >= ARRAY_SIZE(kinds) || !kinds[v->file->type].type) {
		note(x, PLATTER_EXTRACT_SKIPPED, v->path,
		     v->file->note ? v->file->note : "tar has no entry of that kind");
		return 0;
	}
	x->result->entries++;
	if (v->file->type == PLATTER_FILE_REGULAR)
		return export_regular(x, path, v, err);
	if (v->file->type == PLATTER_FILE_SYMLINK &&
	    pl_volume_read_link(x->v, v->id, &target, &why) < 0) {
		note(x, PLATTER_EXTRACT_FAILED, v->path, why.message);
		return 0;
	}
	begin_header(x, header, v);
	if (v->file->type == PLATTER_FILE_FOLDER) {
		folder = pl_format("%s/", path);
		if (!folder)
			return pl_no_memory(err);
		path = folder;
	}
	set_text(x, header + TAR_NAME, "path", path);
	if (target)
		set_text(x, header + TAR_LINK, "linkpath", target);
	return put_headers(x, header, err);
}

static int
visit(void *closure, const struct pl_visited *v, struct platter_error *err)
{
	struct exporter *x = closure;
	PL_AUTOFREE char *path = NULL;

	if (pl_meter_cancelled(&x->meter))
		return pl_fail(err, -ECANCELED, "cancelled");
	if (v->what == PL_VISIT_ERROR)
		note(x, PLATTER_EXTRACT_FAILED, v->path, v->error->message);
	if (v->what == PL_VISIT_ERROR || v->what == PL_VISIT_LEAVE ||
	    (!v->depth && !x->name && v->what == PL_VISIT_FOLDER))
		return 0;
	path = pl_format("%s%s%s", x->name ? x->name : "", x->name && v->depth ? "/" : "", v->path);
	return path ? export_node(x, path, v, err) : pl_no_memory(err);
}

int
pl_export_tar(struct pl_volume *v, struct pl_node_id start, const char *name, int fd,
	      void (*each)(const struct platter_extract_note *note, void *closure), void *closure,
	      struct platter_progress *progress, struct platter_export_result *ret,
	      struct platter_error *err)
{
	struct exporter x = {
		.v = v, .name = name, .fd = fd, .note = each, .closure = closure, .result = ret
	};
	int r;

	x.buf = calloc(1, COPY_SIZE);
	if (!x.buf)
		return pl_no_memory(err);
	pl_meter_start(&x.meter, progress, "exporting", UINT64_MAX);
	r = pl_walk_tree(v, start, PL_WALK_SORTED, visit, &x, err);
	/* Two blocks of zeros end the archive. */
	memset(x.buf, 0, 2 * BLOCK);
	if (r == 0)
		r = put(&x, x.buf, 2 * BLOCK, err);
	ret->seconds = pl_meter_seconds(&x.meter);
	pl_meter_finish(&x.meter);
	pl_links_done(&x.links);
	pl_str_done(&x.pax);
	free(x.buf);
	return r;
}
