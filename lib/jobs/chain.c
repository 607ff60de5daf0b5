/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * chain.c - overlays: merged into their parent, made whole, put on another parent
 *
 * What an overlay holds itself is what its own level of the map says; the rest falls through.
 * The order is always: bytes, then a flush, then the name of the parent; only what a commit does
 * to the identifier of the parent comes first, see relink().  So a kill leaves an overlay that
 * reads as before, and doing the same again completes it.
 */
#include "chain.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "cdsa.h"
#include "create.h"
#include "guard.h"
#include "parent.h"
#include "progress.h"
#include "storage.h"
#include "stored.h"

/* Read and written at once. */
#define PIECE MIB(4)
/* What differs between two parents is stored in blocks of this size. */
#define BLOCK KIB(64)

/* An image and the file that it is in. */
struct opened {
	struct pl_disk *file, *disk;
};

static void
opened_done(struct opened *o)
{
	pl_disk_unref(o->disk);
	pl_disk_unref(o->file);
	*o = (struct opened){ 0 };
}
#define AUTODONE __attribute__((cleanup(opened_done)))

static int
open_path(const char *path, const char *format, unsigned flags, struct pl_parents *given,
	  struct opened *ret, struct platter_error *err)
{
	int r = pl_storage_open(path,
				(flags & (PLATTER_OPEN_WRITE | PLATTER_OPEN_EXCLUSIVE)) |
					PL_STORAGE_SINGLE,
				&ret->file, err);

	if (r == 0)
		r = pl_image_open_given(ret->file, path, format, NULL, NULL, flags, given,
					&ret->disk, err);
	return r;
}

static const char *
format_name(const struct pl_disk *disk)
{
	const struct pl_format *format = pl_format_of(disk);

	return format ? format->info.name : "raw";
}

/* The file that an image was opened from, or NULL. */
static const char *
path_of(struct pl_disk *disk)
{
	struct pl_disk *file =
		disk->ops->read || !disk->ops->below ? disk : disk->ops->below(disk, 0);

	return file ? pl_storage_path(file, 0) : NULL;
}

/* An overlay, and whether its format names parents at all. */
static int
check_overlay(const struct pl_disk *disk, const char *image, struct platter_error *err)
{
	const struct pl_format *format = pl_format_of(disk);
	int r;

	if (!format || !(format->info.abilities & PLATTER_CAN_BACK))
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "'%s' is an image of format '%s', which has no parents",
				      image, format_name(disk));
	if (disk->parent)
		return 0;
	r = pl_invalid(err, "'%s' has no parent: it is whole already", image);
	pl_hint(err, "'platter info' shows the chain of an image");
	return r;
}

/* Refuse what is attached elsewhere: its user would not notice that the bytes changed. */
static int
guard(struct pl_disk *disk, struct platter_error *err)
{
	int r = 0;

	if (disk->ops->read || !disk->ops->below) {
		const char *path;

		for (size_t i = 0; r == 0 && (path = pl_storage_path(disk, i)); i++)
			r = pl_guard_device(path, err);
		return r < 0 ? r : pl_storage_check_unwritten(disk, err);
	}
	for (size_t i = 0; r == 0 && disk->ops->below(disk, i); i++)
		r = guard(disk->ops->below(disk, i), err);
	return r;
}

static int
check_writable(const struct pl_disk *disk, const char *hint, struct platter_error *err)
{
	int r;

	if (disk->writable && disk->ops->write)
		return 0;
	r = pl_unsupported(err, PLATTER_NO_OFFSET,
			   "'%s' is an image of format '%s', which cannot be written in place",
			   disk->name, format_name(disk));
	pl_hint(err, "%s", hint);
	return r;
}

int
pl_refuse_snapshots(struct pl_disk *disk, const char *image, struct platter_error *err)
{
	const struct pl_format *format = pl_format_of(disk);
	struct pl_arena arena = { 0 };
	const struct platter_snapshot *list;
	size_t nr = 0;
	int r = 0;

	if (format && format->snapshots)
		r = format->snapshots(disk, &arena, &list, &nr, err);
	pl_arena_done(&arena);
	if (r < 0 || !nr)
		return r;
	r = pl_fail(err, -EBUSY, "'%s' holds %zu snapshots", image, nr);
	pl_hint(err, "convert what is to be kept of them, and delete them");
	return r;
}

static int
set_parent(struct pl_disk *disk, struct pl_disk *parent, const char *name,
	   struct platter_error *err)
{
	const struct pl_format *format = pl_format_of(disk);

	if (!format || !format->change || !format->change->set_parent)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "images of format '%s' cannot be given another parent",
				      format_name(disk));
	return format->change->set_parent(disk, parent, name, err);
}

/* Commit. */

struct merge {
	const char *path; /* of the overlay */
	char *parent_path;
	char *parent_format;
	struct pl_parents *given;
	size_t given_below; /* files that were given for the overlay itself */
	struct pl_meter meter;
	uint8_t *buf;
	struct platter_change_result *result;
};

/* Open the chain as it is, to learn what the parent is. */
static int
find_parent(struct merge *m, struct platter_error *err)
{
	AUTODONE struct opened top = { 0 };
	const char *path;
	int r = open_path(m->path, NULL, PL_OPEN_COMMIT, m->given, &top, err);

	if (r == 0)
		r = check_overlay(top.disk, m->path, err);
	if (r < 0)
		return r;
	path = path_of(top.disk->parent);
	if (!path)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "the parent of '%s' is not a file of its own", m->path);
	m->given_below = m->given->nr && !strcmp(m->given->paths[0], path);
	m->parent_path = strdup(path);
	m->parent_format = strdup(format_name(top.disk->parent));
	if (!m->parent_path || !m->parent_format)
		return pl_no_memory(err);
	r = guard(top.disk, err);
	return r < 0 ? r : guard(top.disk->parent, err);
}

/* One extent of the overlay's own, to where it belongs in the parent. */
static int
merge_extent(struct merge *m, struct pl_disk *top, struct pl_disk *parent, uint64_t offset,
	     const struct pl_extent *e, struct platter_error *err)
{
	uint64_t end = offset + e->length;
	int r = 0;

	if (e->kind == PLATTER_HOLE)
		return 0;
	if (e->kind != PLATTER_DATA)
		return pl_zero(parent, offset, e->length, PL_ZERO_MAY_UNMAP, err);
	while (offset < end && r == 0) {
		size_t n = (size_t)PL_MIN(end - offset, PIECE);

		if (pl_meter_cancelled(&m->meter))
			return pl_fail(err, -ECANCELED, "cancelled");
		r = pl_read_once(top, m->buf, n, offset, err);
		if (r == 0)
			r = pl_write(parent, m->buf, n, offset, err);
		pl_meter_add(&m->meter, n, n);
		m->result->moved += n;
		offset += n;
	}
	return r;
}

static int
merge_all(struct merge *m, struct pl_disk *top, struct pl_disk *parent, struct platter_error *err)
{
	struct pl_extent e;
	int r = 0;

	m->buf = pl_alloc_aligned(PIECE);
	if (!m->buf)
		return pl_no_memory(err);
	pl_meter_start(&m->meter, m->meter.progress, "merging", top->size);
	for (uint64_t at = 0; at < top->size && r == 0; at += e.length) {
		if (pl_meter_cancelled(&m->meter))
			return pl_fail(err, -ECANCELED, "cancelled");
		r = pl_map(top, at, top->size - at, &e, err);
		if (r == 0)
			r = merge_extent(m, top, parent, at, &e, err);
		if (r == 0 && e.kind != PLATTER_DATA)
			pl_meter_add(&m->meter, e.length, 0);
	}
	pl_meter_finish(&m->meter);
	return r == 0 ? pl_flush(parent, err) : r;
}

/*
 * The parent's first change gives it another identifier, where overlays know it by one.  That
 * happens here, and the overlay learns of it, before any bytes move: a kill later on leaves two
 * that fit, and one in between is recognised.
 */
static int
relink(struct merge *m, const struct pl_disk *top, struct pl_disk *parent,
       struct platter_error *err)
{
	const struct pl_format *format = pl_format_of(parent);
	AUTODONE struct opened again = { 0 };
	PL_AUTOFREE char *name = NULL;
	int r;

	if (!format || !format->change || !format->change->begin_commit || top->ops != parent->ops)
		return 0;
	r = open_path(m->path, NULL, PLATTER_OPEN_WRITE | PLATTER_OPEN_NO_BACKING | PL_OPEN_RELINK,
		      NULL, &again, err);
	if (r == 0)
		r = pl_parent_name(m->path, m->parent_path, &name, err);
	if (r == 0)
		r = format->change->begin_commit(parent, again.disk, err);
	return r == 0 ? set_parent(again.disk, parent, name, err) : r;
}

static int
merge(struct merge *m, struct platter_error *err)
{
	AUTODONE struct opened top = { 0 }, parent = { 0 };
	int r = open_path(m->path, NULL, PLATTER_OPEN_NO_BACKING, NULL, &top, err);

	m->given->used = m->given_below;
	if (r == 0)
		r = open_path(m->parent_path, m->parent_format,
			      PLATTER_OPEN_WRITE | PLATTER_OPEN_EXCLUSIVE, m->given, &parent, err);
	if (r == 0)
		r = check_writable(parent.disk, "'platter flatten' makes the overlay whole", err);
	if (r < 0) {
		pl_context(err, "parent '%s'", m->parent_path);
		return r;
	}
	m->result->size = top.disk->size;
	m->result->in_place = true;
	m->result->stored_before = pl_stored(parent.disk);
	r = relink(m, top.disk, parent.disk, err);
	if (r < 0)
		return r;
	if (top.disk->size > parent.disk->size) {
		r = pl_resize(parent.disk, top.disk->size, err);
		if (r < 0) {
			pl_context(err, "the overlay is larger than its parent");
			return r;
		}
	}
	r = merge_all(m, top.disk, parent.disk, err);
	m->result->stored_after = pl_stored(parent.disk);
	return r;
}

/* Remove the files of an image that are its own. */
static int
remove_image(const char *path, struct platter_error *err)
{
	AUTODONE struct opened top = { 0 };
	struct pl_disk *below;
	const char *name;
	int r = open_path(path, NULL, PLATTER_OPEN_NO_BACKING, NULL, &top, err);

	if (r < 0)
		return r;
	for (size_t i = 0; (below = top.disk->ops->below(top.disk, i)); i++)
		for (size_t k = 0; below->ops->read && (name = pl_storage_path(below, k)); k++)
			if (!pl_storage_is_device(below) && unlink(name) < 0 && errno != ENOENT)
				return pl_fail_errno(err, -errno, "delete '%s'", name);
	return 0;
}

int
pl_commit(const char *image, bool remove, struct pl_parents *given,
	  struct platter_progress *progress, struct platter_change_result *ret,
	  struct platter_error *err)
{
	struct merge m = {
		.path = image, .given = given, .result = ret, .meter.progress = progress
	};
	int r = find_parent(&m, err);

	if (r == 0)
		r = merge(&m, err);
	if (r == 0 && remove)
		r = remove_image(image, err);
	free(m.parent_path);
	free(m.parent_format);
	free(m.buf);
	return r;
}

/* Flatten. */

/* Is what the overlay itself holds stored through a codec? */
static bool
is_compressed(struct pl_disk *disk)
{
	struct pl_extent e;

	for (uint64_t at = 0; at < disk->size; at += e.length) {
		if (pl_map(disk, at, disk->size - at, &e, NULL) < 0)
			return false;
		if (e.kind == PLATTER_DATA)
			return e.decoder;
	}
	return false;
}

/* What is encrypted as a whole stays so: nothing of it may be seen in the new file. */
static int
keep_encryption(const struct pl_place *place, const struct pl_format *format,
		struct pl_option_list *like, struct platter_error *err)
{
	struct pl_disk *file =
		place->disk->ops->below ? place->disk->ops->below(place->disk, 0) : NULL;
	const struct platter_option_info *o = format->info.options;

	if (!file || file->ops != &pl_cdsa_disk_ops)
		return 0;
	while (o->key && strcmp(o->key, "encryption") != 0)
		o++;
	if (!o->key)
		return pl_unsupported(
			err, PLATTER_NO_OFFSET,
			"'%s' is encrypted, and a new image of format '%s' would not be",
			place->name, format->info.name);
	pl_option(like, "encryption", "AES-%" PRIu32, pl_cdsa_disk_of(file)->header.key_bits);
	return 0;
}

int
pl_make_anew(struct pl_place *place, const char *path, struct platter_progress *progress,
	     struct platter_change_result *ret, struct platter_error *err)
{
	const struct pl_format *format = pl_format_of(place->disk);
	struct pl_arena arena = { 0 };
	struct pl_option_list like = { .arena = &arena };
	struct platter_copy_result copied = { 0 };
	struct platter_create_options options = {
		.format = format->info.name,
		.overwrite = true,
		.options = like.list,
	};
	int r;

	if (format->options_of)
		format->options_of(place->disk, &like);
	r = keep_encryption(place, format, &like, err);
	if (r < 0) {
		pl_arena_done(&arena);
		return r;
	}
	options.nr_options = like.nr;
	if (format->info.abilities & PLATTER_CAN_COMPRESS && is_compressed(place->disk))
		options.compress = "";
	ret->size = place->disk->size;
	ret->stored_before = pl_stored(place->disk);
	r = arena.failed ? pl_no_memory(err)
			 : pl_create_again(place, path, &options, progress, &copied, err);
	ret->moved = copied.data;
	ret->stored_after = copied.stored;
	pl_arena_done(&arena);
	return r;
}

int
pl_flatten(const char *image, struct pl_parents *given, struct platter_progress *progress,
	   struct platter_change_result *ret, struct platter_error *err)
{
	PL_AUTOFREE char *path = realpath(image, NULL);
	struct pl_place *place;
	int r;

	if (!path)
		return pl_fail_errno(err, -errno, "open '%s'", image);
	r = pl_place_open_given(image, NULL, 0, given, &place, err);
	if (r < 0)
		return r;
	r = check_overlay(place->disk, image, err);
	if (r == 0)
		r = pl_refuse_snapshots(place->disk, image, err);
	if (r == 0)
		r = guard(place->storage, err);
	if (r == 0)
		r = pl_make_anew(place, path, progress, ret, err);
	pl_place_close(place);
	return r;
}

/* Rebase. */

struct rebase {
	struct pl_disk *top, *parent;
	struct pl_meter meter;
	uint8_t *old, *new;
	struct platter_change_result *result;
};

/* What the new parent has at `offset`; past its end are zeros. */
static int
new_piece(struct pl_disk *parent, uint64_t offset, uint64_t length, struct pl_piece *ret,
	  struct platter_error *err)
{
	if (offset < parent->size)
		return pl_resolve(parent, offset, length, PL_RESOLVE_LEAF_HOLES, ret, err);
	*ret = (struct pl_piece){ .kind = PLATTER_ZERO, .length = length };
	return 0;
}

/* Are both stored in the same place of the same file? */
static bool
same_place(const struct pl_piece *a, const struct pl_piece *b)
{
	struct pl_file_id ia, ib;

	return a->kind == PLATTER_DATA && b->kind == PLATTER_DATA && a->leaf && b->leaf &&
	       a->leaf_offset == b->leaf_offset && pl_storage_id(a->leaf, 0, &ia) &&
	       pl_storage_id(b->leaf, 0, &ib) && ia.device == ib.device && ia.inode == ib.inode &&
	       a->leaf->size == b->leaf->size;
}

static int
read_piece(struct pl_disk *disk, enum platter_kind kind, uint8_t *buf, size_t n, uint64_t offset,
	   struct platter_error *err)
{
	if (kind == PLATTER_DATA)
		return pl_read_once(disk, buf, n, offset, err);
	memset(buf, 0, n);
	return 0;
}

/*
 * Zeros of its own, also where it reads as zeros for what its parent has: there pl_zero() may
 * have had nothing to do.
 */
static int
store_zeros(struct rebase *b, uint64_t offset, const uint8_t *zeros, size_t n,
	    struct platter_error *err)
{
	uint64_t end = offset + n;
	struct pl_extent e;
	int r = pl_zero(b->top, offset, n, PL_ZERO_MAY_UNMAP, err);

	for (; offset < end && r == 0; offset += e.length) {
		r = pl_map(b->top, offset, end - offset, &e, err);
		if (r == 0 && e.kind == PLATTER_HOLE)
			r = pl_write(b->top, zeros, (size_t)e.length, offset, err);
	}
	return r;
}

/* Store what the overlay shows in [start, start + n) of the buffers, as its own. */
static int
store(struct rebase *b, uint64_t offset, size_t start, size_t n, struct platter_error *err)
{
	b->result->moved += n;
	if (pl_is_zero(b->old + start, n))
		return store_zeros(b, offset + start, b->old + start, n, err);
	return pl_write(b->top, b->old + start, n, offset + start, err);
}

/* The blocks in which the buffers differ. */
static int
store_differences(struct rebase *b, uint64_t offset, size_t n, struct platter_error *err)
{
	size_t start = 0, end, at = 0;
	int r = 0;

	/* From one multiple of the block to the next: whole clusters need no copying. */
	while (at < n && r == 0) {
		end = (size_t)PL_MIN(n, pl_round_up(offset + at + 1, BLOCK) - offset);
		if (memcmp(b->old + at, b->new + at, end - at) == 0) {
			if (start < at)
				r = store(b, offset, start, at - start, err);
			start = end;
		}
		at = end;
	}
	return r == 0 && start < n ? store(b, offset, start, n - start, err) : r;
}

/* A run that falls through: *ret_length of it is dealt with. */
static int
keep_run(struct rebase *b, uint64_t offset, uint64_t length, uint64_t *ret_length,
	 struct platter_error *err)
{
	struct pl_piece old, new;
	size_t n;
	int r = pl_resolve(b->top, offset, length, PL_RESOLVE_LEAF_HOLES, &old, err);

	if (r == 0)
		r = new_piece(b->parent, offset, old.length, &new, err);
	if (r < 0)
		return r;
	*ret_length = length = PL_MIN(old.length, new.length);
	if ((old.kind != PLATTER_DATA && new.kind != PLATTER_DATA) || same_place(&old, &new))
		return 0;
	*ret_length = n = (size_t)PL_MIN(length, PIECE);
	r = read_piece(b->top, old.kind, b->old, n, offset, err);
	if (r == 0)
		r = read_piece(b->parent, new.kind, b->new, n, offset, err);
	return r == 0 ? store_differences(b, offset, n, err) : r;
}

/* Store in the overlay what it would lose with its present parent. */
static int
keep_all(struct rebase *b, struct platter_error *err)
{
	uint64_t size = b->top->size, at = 0, n = 0;
	int r = 0;

	b->old = pl_alloc_aligned(PIECE);
	b->new = pl_alloc_aligned(PIECE);
	if (!b->old || !b->new)
		return pl_no_memory(err);
	pl_meter_start(&b->meter, b->meter.progress, "comparing", size);
	for (; at < size && r == 0; at += n) {
		struct pl_extent e = { 0 };

		if (pl_meter_cancelled(&b->meter))
			return pl_fail(err, -ECANCELED, "cancelled");
		r = pl_map(b->top, at, size - at, &e, err);
		n = e.length;
		if (r == 0 && e.kind == PLATTER_HOLE)
			r = keep_run(b, at, e.length, &n, err);
		pl_meter_add(&b->meter, n, e.kind == PLATTER_HOLE ? n : 0);
	}
	pl_meter_finish(&b->meter);
	return r == 0 ? pl_flush(b->top, err) : r;
}

/* The new parent may not need the overlay. */
static int
check_loop(struct pl_disk *top_file, struct pl_disk *parent, const char *path, const char *image,
	   struct platter_error *err)
{
	struct pl_file_id id;

	for (size_t i = 0; pl_storage_id(top_file, i, &id); i++)
		if (pl_stands_on(parent, id))
			return pl_fail(err, -ELOOP, "'%s' stands on '%s' itself", path, image);
	return 0;
}

static int
rebase(const char *image, const char *path, const struct platter_rebase_options *options,
       struct rebase *b, struct platter_error *err)
{
	unsigned flags = options->rename_only ? PLATTER_OPEN_NO_BACKING | PL_OPEN_RELINK : 0;
	AUTODONE struct opened top = { 0 }, parent = { 0 };
	PL_AUTOFREE char *name = NULL;
	int r = open_path(image, NULL, PLATTER_OPEN_WRITE | flags, NULL, &top, err);

	if (r < 0) {
		if (!flags && (r == -ENOENT || r == -EUCLEAN))
			pl_hint(err, "--unsafe names another parent without looking at this one");
		return r;
	}
	b->top = top.disk;
	b->result->size = top.disk->size;
	b->result->in_place = true;
	b->result->stored_before = pl_stored(top.disk);
	r = guard(top.disk, err);
	if (r == 0 && path)
		r = open_path(path, options->parent_format, 0, NULL, &parent, err);
	if (r == 0 && path)
		r = check_loop(top.file, parent.disk, path, image, err);
	if (r == 0 && path)
		r = pl_parent_name(image, path, &name, err);
	if (r == 0 && !options->rename_only) {
		b->parent = parent.disk;
		r = check_writable(top.disk,
				   "'platter flatten' makes it whole; --unsafe moves no data", err);
		if (r == 0)
			r = pl_refuse_snapshots(top.disk, image, err);
		if (r == 0)
			r = keep_all(b, err);
	}
	if (r == 0)
		r = set_parent(top.disk, parent.disk, name, err);
	b->result->stored_after = pl_stored(top.disk);
	return r;
}

int
pl_rebase(const char *image, const char *parent, const struct platter_rebase_options *options,
	  struct platter_progress *progress, struct platter_change_result *ret,
	  struct platter_error *err)
{
	struct rebase b = { .result = ret, .meter.progress = progress };
	struct pl_parents none = { 0 };
	int r;

	/* On no parent and reading as before: that is whole. */
	if (!parent && !options->rename_only)
		return pl_flatten(image, &none, progress, ret, err);
	r = rebase(image, parent, options, &b, err);
	free(b.old);
	free(b.new);
	return r;
}
