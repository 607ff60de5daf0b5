/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * resize.c - a longer or shorter VMDK disk
 *
 * The last extent becomes longer or shorter; a disk in pieces of 2 GiB gets more files, or loses
 * some.  What a descriptor in a file of its own lists is there before it, and goes after it, and
 * the new descriptor takes the place of the old one in one step: so a kill leaves a disk of the
 * old size or of the new one, and beside it at worst a file that no descriptor names.
 */
#include <limits.h>
#include <strings.h>
#include <unistd.h>

#include "storage.h"
#include "text.h"
#include "vmdk-store.h"
#include "writer.h"

/* Names that are tried for a new extent. */
#define MAX_NUMBER 65535u

/* Is the descriptor a file of its own? */
static bool
has_own_file(const struct vmdk *v)
{
	return v->descriptor.text && !v->text_at && v->extents[0].file != v->files[0];
}

/* The text. */

/* The number after `key`, or `fallback`. */
static uint64_t
number_after(const char *text, const char *key, uint64_t fallback)
{
	const char *p = strstr(text, key);
	uint64_t n = p ? strtoull(p + strlen(key), NULL, 10) : 0;

	return n ? n : fallback;
}

static uint64_t
cylinders_of(const char *text, uint64_t size)
{
	uint64_t heads = number_after(text, "ddb.geometry.heads = \"", 16);
	uint64_t sectors = number_after(text, "ddb.geometry.sectors = \"", 63), cylinders;

	if (heads > UINT8_MAX || sectors > UINT8_MAX)
		return 16383;
	cylinders = size / VMDK_SECTOR / (heads * sectors);
	return heads == 16 ? PL_MIN(cylinders, 16383u) : cylinders;
}

/* A line with the number behind its first word, or behind `skip` bytes, replaced. */
static void
add_with_number(struct pl_str *s, const char *line, size_t n, size_t skip, uint64_t number)
{
	size_t at = skip;

	if (!at) {
		at = strspn(line, " \t");
		at += strcspn(line + at, " \t\n");
		at += strspn(line + at, " \t");
	}
	pl_str_add_bytes(s, line, at);
	pl_str_addf(s, "%" PRIu64, number);
	at += strspn(line + at, "0123456789");
	pl_str_add_bytes(s, line + at, n - at);
}

/* How the list of extents changes. */
struct edit {
	size_t keep;      /* lines that stay, */
	uint64_t sectors; /* the last with so many; */
	const char *more; /* lines that follow; */
	size_t nr_more;
	uint64_t size; /* of the disk then */
};

static void
edit_text(const struct vmdk *v, const char *text, const struct edit *edit, struct pl_str *ret)
{
	static const char cylinders[] = "ddb.geometry.cylinders = \"";
	const struct vmdk_descriptor *d = &v->descriptor;
	size_t i = 0;

	for (const char *line = text, *next; *line; line = next) {
		const char *newline = strchr(line, '\n');
		size_t n = newline ? (size_t)(newline + 1 - line) : strlen(line);

		next = line + n;
		if (i < d->nr_lines && d->lines[i].at == v->text_at + (uint64_t)(line - text)) {
			i++;
			if (i < edit->keep)
				pl_str_add_bytes(ret, line, n);
			if (i != edit->keep)
				continue;
			add_with_number(ret, line, n, 0, edit->sectors);
			pl_str_add(ret, newline || !edit->nr_more ? "" : "\n");
			pl_str_add(ret, edit->more);
		} else if (!strncasecmp(line, cylinders, sizeof cylinders - 1)) {
			add_with_number(ret, line, n, sizeof cylinders - 1,
					cylinders_of(text, edit->size));
		} else {
			pl_str_add_bytes(ret, line, n);
		}
	}
}

/* Put a descriptor in the place of the one that is a file of its own. */
static int
replace_file(struct vmdk *v, const struct pl_str *text, struct platter_error *err)
{
	struct pl_storage_create how = { .overwrite = true };
	PL_AUTOFREE char *path = realpath(pl_storage_path(v->files[0], 0), NULL);
	struct pl_disk *next, *again;
	int r;

	if (!path)
		return pl_fail_errno(err, -errno, "find '%s'", v->files[0]->name);
	r = pl_storage_create(path, &how, &next, err);
	if (r < 0)
		return r;
	r = pl_write(next, text->text, text->length, 0, err);
	if (r == 0)
		r = pl_storage_mode_like(next, path, err);
	if (r == 0)
		r = pl_storage_commit(next, true, err);
	if (r < 0) {
		pl_storage_abandon(next, false);
		pl_disk_unref(next);
		return r;
	}
	/* Opened as the old one was, which keeps others from it, unless they were faster. */
	if (pl_storage_open(path, PLATTER_OPEN_WRITE | PL_STORAGE_SINGLE, &again, NULL) == 0) {
		pl_disk_unref(next);
		next = again;
	}
	pl_disk_unref(v->files[0]);
	v->files[0] = next;
	v->text_room = text->length;
	return 0;
}

/* In the room that there is for it inside of an extent. */
static int
write_text(struct vmdk *v, const struct pl_str *text, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = calloc(1, (size_t)v->text_room + 1);
	int r;

	if (!bytes)
		return pl_no_memory(err);
	if (text->length > v->text_room)
		return pl_over_limit(err, v->text_at,
				     "a descriptor of %zu bytes has room for %" PRIu64,
				     text->length, v->text_room);
	memcpy(bytes, text->text, text->length);
	r = pl_write(v->files[0], bytes, (size_t)v->text_room, v->text_at, err);
	return r == 0 ? pl_flush(v->files[0], err) : r;
}

/* Does the new text say what it is meant to? */
static int
check_text(const struct vmdk *v, const struct pl_str *text, const struct edit *edit,
	   struct vmdk_descriptor *ret, struct platter_error *err)
{
	int r;

	if (text->failed || !text->text)
		return pl_no_memory(err);
	if (text->length > VMDK_MAX_DESCRIPTOR)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a descriptor of %zu bytes, limit is %" PRIu64, text->length,
				     (uint64_t)VMDK_MAX_DESCRIPTOR);
	r = pl_vmdk_descriptor_parse((const uint8_t *)text->text, text->length, v->text_at, ret,
				     err);
	if (r < 0)
		return r;
	if (ret->nr_lines == edit->keep + edit->nr_more &&
	    ret->lines[edit->keep - 1].sectors == edit->sectors)
		return 0;
	pl_vmdk_descriptor_done(ret);
	return pl_corrupt(err, v->text_at, "the list of extents cannot be changed");
}

static int
change_descriptor(struct vmdk *v, const struct edit *edit, struct platter_error *err)
{
	struct vmdk_descriptor d = { 0 };
	PL_AUTOFREE char *old = NULL;
	struct pl_str text = { 0 };
	int r;

	/* What one inside of an extent says of that is no matter. */
	if (!v->descriptor.nr_lines || (!has_own_file(v) && v->descriptor.nr_lines != 1))
		return 0;
	r = pl_vmdk_read_text(v, &old, err);
	if (r < 0)
		return r;
	edit_text(v, old, edit, &text);
	r = check_text(v, &text, edit, &d, err);
	if (r == 0) {
		r = has_own_file(v) ? replace_file(v, &text, err) : write_text(v, &text, err);
		if (r == 0) {
			pl_vmdk_descriptor_done(&v->descriptor);
			v->descriptor = d;
		} else {
			pl_vmdk_descriptor_done(&d);
		}
	}
	pl_str_done(&text);
	return r;
}

/* The extents. */

/* The header's fields lie in one sector: the switch is whole or did not happen. */
static int
switch_header(struct vmdk_sparse *s, struct platter_error *err)
{
	uint8_t h[VMDK_SECTOR];
	int r = pl_flush(s->file, err);

	if (r == 0)
		r = pl_read(s->file, h, sizeof h, 0, err);
	if (r < 0)
		return r;
	put_le64(h + HOSTED_CAPACITY, s->capacity / VMDK_SECTOR);
	put_le64(h + HOSTED_DIRECTORY, s->directory_at / VMDK_SECTOR);
	if (s->redundant_at)
		put_le64(h + HOSTED_REDUNDANT, s->redundant_at / VMDK_SECTOR);
	r = pl_write(s->file, h, sizeof h, 0, err);
	return r == 0 ? pl_flush(s->file, err) : r;
}

/* A directory of `nr` entries at the end of the file, with those that there are. */
static int
move_directory(struct pl_store *s, const uint64_t *tables_at, size_t have, size_t nr, uint64_t *at,
	       struct platter_error *err)
{
	size_t room = pl_round_up((uint64_t)nr * 4, VMDK_SECTOR);
	PL_AUTOFREE uint8_t *bytes = calloc(1, room);
	int r;

	if (!bytes)
		return pl_no_memory(err);
	for (size_t i = 0; i < have; i++)
		put_le32(bytes + i * 4, (uint32_t)(tables_at[i] / VMDK_SECTOR));
	r = pl_store_extend(s, room, at, err);
	return r == 0 ? pl_write(s->file, bytes, room, *at, err) : r;
}

static int
widen(uint64_t **tables_at, size_t have, size_t nr, struct platter_error *err)
{
	uint64_t *wider = pl_realloc_array(*tables_at, nr + 1, sizeof *wider);

	if (!wider)
		return pl_no_memory(err);
	memset(wider + have, 0, (nr + 1 - have) * sizeof *wider);
	*tables_at = wider;
	return 0;
}

/* Room for `nr` entries in the directories. */
static int
grow_directories(struct pl_store *store, size_t nr, struct platter_error *err)
{
	struct vmdk_sparse *s = vmdk_store_of(store)->sparse;
	size_t have = s->nr_tables;
	int r = pl_store_commit(store, err);

	if (r < 0 || nr <= have)
		return r;
	r = widen(&s->tables_at, have, nr, err);
	if (r == 0 && s->redundant_tables_at)
		r = widen(&s->redundant_tables_at, have, nr, err);
	if (r == 0)
		r = move_directory(store, s->tables_at, have, nr, &s->directory_at, err);
	if (r == 0 && s->redundant_tables_at)
		r = move_directory(store, s->redundant_tables_at, have, nr, &s->redundant_at, err);
	if (r == 0)
		s->nr_tables = nr;
	return r;
}

/* The last extent is so long from now on, and ends the disk. */
static void
set_length(struct vmdk *v, struct vmdk_extent *e, uint64_t length)
{
	e->length = length;
	if (e->store)
		e->store->store.length = length;
	v->disk.size = e->start + length;
}

/* What follows `old` in an extent that was just made longer becomes zeros. */
static int
clear_sparse(struct vmdk_extent *e, uint64_t old, uint64_t old_capacity, struct platter_error *err)
{
	struct pl_store *store = &e->store->store;
	uint64_t end = PL_MIN(old_capacity, e->length);
	int r = pl_store_clear_from(store, e->start + old, err);

	/* The file may hold more than the descriptor takes of it. */
	if (r == 0 && end > old)
		r = pl_store_zero(store, e->start + old, end - old, PL_ZERO_MAY_UNMAP, err);
	return r == 0 ? pl_store_commit(store, err) : r;
}

static int
lengthen_sparse(struct vmdk *v, struct vmdk_extent *e, uint64_t length, struct platter_error *err)
{
	struct vmdk_sparse *s = e->sparse;
	uint64_t old = e->length, old_capacity = s->capacity;
	uint64_t capacity = PL_MAX(length, old_capacity);
	uint64_t nr = pl_div_round_up(capacity, s->grain * s->gt_entries);
	int r = pl_store_begin(&e->store->store, err);

	if (r == 0 && nr > UINT32_MAX)
		r = pl_over_limit(err, PLATTER_NO_OFFSET,
				  "a disk of %" PRIu64 " bytes needs %" PRIu64 " grain tables",
				  e->start + length, nr);
	if (r == 0)
		r = grow_directories(&e->store->store, (size_t)nr, err);
	if (r < 0)
		return r;
	s->capacity = capacity;
	set_length(v, e, length);
	r = clear_sparse(e, old, old_capacity, err);
	if (r == 0)
		r = switch_header(s, err);
	if (r < 0) {
		s->capacity = old_capacity;
		set_length(v, e, old);
	}
	return r;
}

static int
lengthen_flat(struct vmdk *v, struct vmdk_extent *e, uint64_t length, struct platter_error *err)
{
	uint64_t end = e->file_offset + e->length, new_end = e->file_offset + length;
	uint64_t stale = PL_MIN(e->file->size, new_end);
	int r = stale > end ? pl_zero(e->file, end, stale - end, PL_ZERO_MAY_UNMAP, err) : 0;

	if (r == 0 && new_end > e->file->size)
		r = pl_resize(e->file, new_end, err);
	if (r == 0)
		r = pl_flush(e->file, err);
	if (r == 0)
		set_length(v, e, length);
	return r;
}

static int
lengthen(struct vmdk *v, struct vmdk_extent *e, uint64_t length, struct platter_error *err)
{
	if (length == e->length)
		return 0;
	return e->store ? lengthen_sparse(v, e, length, err) : lengthen_flat(v, e, length, err);
}

static int
shorten(struct vmdk *v, struct vmdk_extent *e, uint64_t length, struct platter_error *err)
{
	set_length(v, e, length);
	if (e->store) {
		struct vmdk_sparse *s = e->sparse;

		s->capacity = length;
		s->nr_tables = (size_t)pl_div_round_up(length, s->grain * s->gt_entries);
		return switch_header(s, err);
	}
	/* One that does not begin its file need not end it. */
	if (e->type == VMDK_FLAT && !e->file_offset) {
		int r = pl_resize(e->file, length, err);

		return r == 0 ? pl_flush(e->file, err) : r;
	}
	return 0;
}

/* More extents. */

/* How the files of extents are called: disk-s001.vmdk, disk-s002.vmdk, ... */
struct names {
	char *folder; /* of the descriptor */
	char *stem;   /* as in the descriptor, without the number */
	unsigned number;
	const char *ending;
};

static void
names_done(struct names *n)
{
	free(n->folder);
	free(n->stem);
}

static int
learn_names(const struct vmdk *v, struct names *n, struct platter_error *err)
{
	const struct vmdk_line *last = &v->descriptor.lines[v->descriptor.nr_lines - 1];
	const char *path = pl_storage_path(v->files[0], 0), *slash = strrchr(path, '/');
	const char *base = strrchr(last->name, '/'), *dot, *p;

	base = base ? base + 1 : last->name;
	dot = strrchr(base, '.');
	n->ending = dot ? dot : base + strlen(base);
	for (p = n->ending; p > base && n->ending - p < 4 && p[-1] >= '0' && p[-1] <= '9';)
		p--;
	n->number = p < n->ending ? (unsigned)strtoul(p, NULL, 10) : 1;
	n->folder = slash ? strndup(path, (size_t)(slash + 1 - path)) : strdup("");
	n->stem = pl_format("%.*s%s", (int)(p - last->name), last->name,
			    p < n->ending             ? ""
			    : last->type == VMDK_FLAT ? "-f"
						      : "-s");
	return n->folder && n->stem ? 0 : pl_no_memory(err);
}

/* A new file under the next name that is free.  *ret_name: as in the descriptor. */
static int
create_next(struct names *n, struct pl_disk **ret, char **ret_name, char **ret_path,
	    struct platter_error *err)
{
	static const struct pl_storage_create how;
	int r = -EEXIST;

	while (r == -EEXIST && n->number < MAX_NUMBER) {
		PL_AUTOFREE char *name = pl_format("%s%03u%s", n->stem, ++n->number, n->ending);
		PL_AUTOFREE char *path = name ? pl_format("%s%s", n->folder, name) : NULL;

		if (!path)
			return pl_no_memory(err);
		r = pl_storage_create(path, &how, ret, err);
		if (r < 0)
			continue;
		*ret_name = PL_STEAL(name);
		*ret_path = PL_STEAL(path);
	}
	return r;
}

/* A sparse extent that reads as zeros, over a parent too. */
static int
write_sparse(const struct vmdk *v, struct pl_disk *file, uint64_t length, struct platter_error *err)
{
	const struct pl_disk *parent = v->disk.parent;
	uint64_t start = v->disk.size;
	uint64_t hidden = parent && parent->size > start ? parent->size - start : 0;
	struct vmdk_new_extent e = { 0 };
	int r = pl_vmdk_extent_begin(&e, length, err);

	for (uint64_t at = 0; at < PL_MIN(hidden, length) && r == 0; at += VMDK_GRAIN)
		pl_vmdk_extent_set(&e, at, VMDK_ENTRY_ZERO);
	if (r == 0)
		r = pl_vmdk_extent_write(&e, length, parent, file, 0, err);
	free(e.head);
	return r;
}

/* Open what was just made as the next extent. */
static int
open_added(struct vmdk *v, const char *path, enum vmdk_type type, uint64_t length,
	   struct platter_error *err)
{
	struct vmdk_extent *e = &v->extents[v->nr_extents];
	int r;

	*e = (struct vmdk_extent){ .type = type, .start = v->disk.size, .length = length };
	r = pl_storage_open(path, PLATTER_OPEN_WRITE | PL_STORAGE_SINGLE, &e->file, err);
	if (r < 0)
		return r;
	v->files[v->nr_files++] = e->file;
	v->nr_extents++;
	v->disk.size += length;
	r = pl_disk_stack(&v->disk, e->file, err);
	if (r == 0 && type == VMDK_SPARSE)
		r = pl_vmdk_sparse_open(e->file, 0, &e->sparse, err);
	return r == 0 && e->sparse ? pl_vmdk_prepare_extent(v, e, err) : r;
}

static int
add_extent(struct vmdk *v, struct names *names, enum vmdk_type type, uint64_t length,
	   struct pl_str *more, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOFREE char *name = NULL;
	PL_AUTOFREE char *path = NULL;
	int r = create_next(names, &file, &name, &path, err);

	if (r < 0)
		return r;
	r = type == VMDK_FLAT ? pl_resize(file, length, err) : write_sparse(v, file, length, err);
	if (r == 0)
		r = pl_storage_mode_like(file, pl_storage_path(v->files[0], 0), err);
	if (r == 0)
		r = pl_storage_commit(file, true, err);
	if (r < 0) {
		pl_storage_abandon(file, false);
		return r;
	}
	r = open_added(v, path, type, length, err);
	pl_str_addf(more, "RW %" PRIu64 " %s \"%s\"%s\n", length / VMDK_SECTOR,
		    type == VMDK_FLAT ? "FLAT" : "SPARSE", name, type == VMDK_FLAT ? " 0" : "");
	return r;
}

/* Is the file of an extent nothing else? */
static bool
is_all_of_file(const struct vmdk_extent *e)
{
	return e->sparse || (!e->file_offset && e->file->size == e->length);
}

/* Extents from `keep` on are no longer in the descriptor, or not yet. */
static void
drop_extents(struct vmdk *v, size_t keep, bool remove)
{
	while (v->nr_extents > keep) {
		struct vmdk_extent *e = &v->extents[--v->nr_extents];
		bool alone = e->file && is_all_of_file(e);

		pl_vmdk_close(e);
		pl_vmdk_sparse_free(e->sparse);
		v->disk.size = e->start;
		if (!e->file)
			continue;
		if (remove && alone)
			unlink(pl_storage_path(e->file, 0));
		pl_disk_unref(v->files[--v->nr_files]);
	}
}

/* Room for `nr` more extents. */
static int
reserve(struct vmdk *v, size_t nr, struct platter_error *err)
{
	struct vmdk_extent *extents;
	struct pl_disk **files;

	extents = pl_realloc_array(v->extents, v->nr_extents + nr, sizeof *extents);
	if (extents)
		v->extents = extents;
	files = pl_realloc_array(v->files, v->nr_files + nr, sizeof *files);
	if (files)
		v->files = files;
	return extents && files ? 0 : pl_no_memory(err);
}

/* How long an extent may become: of pieces as long as the longest, for QEMU's have 2 GiB. */
static uint64_t
piece_of(const struct vmdk *v)
{
	const char *type = v->descriptor.create_type;
	uint64_t piece = VMDK_PIECE;

	if (!has_own_file(v) || !type || strncasecmp(type, "twoGb", 5) != 0)
		return UINT64_MAX;
	for (size_t i = 0; i < v->nr_extents; i++)
		if (v->extents[i].length <= GIB(2))
			piece = PL_MAX(piece, v->extents[i].length);
	return piece;
}

static int
add_extents(struct vmdk *v, uint64_t size, uint64_t piece, struct pl_str *more,
	    struct platter_error *err)
{
	enum vmdk_type type = v->extents[v->nr_extents - 1].type;
	struct names names = { 0 };
	int r = learn_names(v, &names, err);

	while (v->disk.size < size && r == 0)
		r = add_extent(v, &names, type, PL_MIN(size - v->disk.size, piece), more, err);
	names_done(&names);
	return r;
}

static int
grow(struct vmdk *v, uint64_t size, struct platter_error *err)
{
	size_t keep = v->nr_extents;
	uint64_t piece = piece_of(v), start = v->extents[keep - 1].start;
	uint64_t old = v->extents[keep - 1].length;
	uint64_t length = PL_MIN(size - start, PL_MAX(piece, old));
	uint64_t nr = pl_div_round_up(size - start - length, piece);
	struct pl_str more = { 0 };
	struct edit edit = { .keep = keep, .sectors = length / VMDK_SECTOR, .size = size };
	bool failed_early;
	int r;

	if (v->extents[keep - 1].type == VMDK_ZERO) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "the last extent has no file: it is zeros by the descriptor");
		pl_hint(err, "convert it to a monolithicSparse one: platter convert -O vmdk");
		return r;
	}
	if (keep + nr > VMDK_MAX_EXTENTS)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "a disk of %" PRIu64 " bytes needs %" PRIu64
				     " extents, limit is %u",
				     size, keep + nr, VMDK_MAX_EXTENTS);
	r = reserve(v, (size_t)nr, err);
	if (r == 0)
		r = lengthen(v, &v->extents[keep - 1], length, err);
	if (r == 0 && nr)
		r = add_extents(v, size, piece, &more, err);
	edit.more = more.text ? more.text : "";
	edit.nr_more = (size_t)nr;
	if (r == 0 && more.failed)
		r = pl_no_memory(err);
	failed_early = r < 0;
	if (r == 0)
		r = change_descriptor(v, &edit, err);
	pl_str_done(&more);
	if (r < 0 && has_own_file(v)) {
		/* The new descriptor may be there, only not known to last. */
		drop_extents(v, keep, failed_early);
		set_length(v, &v->extents[keep - 1], old);
	}
	return r;
}

static int
shrink(struct vmdk *v, uint64_t size, struct platter_error *err)
{
	struct vmdk_extent *e = pl_vmdk_extent_at(v, size ? size - 1 : 0);
	uint64_t length = size - e->start;
	struct edit edit = { .keep = (size_t)(e - v->extents) + 1,
			     .sectors = length / VMDK_SECTOR,
			     .more = "",
			     .size = size };
	int r = e->store ? pl_store_cut(&e->store->store, size, err) : 0;

	if (r == 0)
		r = change_descriptor(v, &edit, err);
	if (r < 0)
		return r;
	drop_extents(v, edit.keep, true);
	return shorten(v, e, length, err);
}

int
pl_vmdk_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	struct vmdk *v = vmdk_of(disk);
	int r;

	if (size % VMDK_SECTOR)
		return pl_invalid(err, "a disk of %" PRIu64 " bytes is not whole sectors of 512",
				  size);
	if ((v->nr_extents > 1 || v->extents[0].type == VMDK_FLAT) &&
	    (!has_own_file(v) || !pl_storage_path(v->files[0], 0) ||
	     pl_storage_is_device(v->files[0]))) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "the descriptor of '%s' is not a file of its own, and cannot be"
				   " exchanged for another",
				   disk->name);
		pl_hint(err, "convert it to a monolithicSparse one: platter convert -O vmdk");
		return r;
	}
	r = pl_vmdk_begin(v, err);
	if (r < 0 || size == disk->size)
		return r;
	return size > disk->size ? grow(v, size, err) : shrink(v, size, err);
}
