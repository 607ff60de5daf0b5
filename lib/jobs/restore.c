/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * restore.c - a disk is put back on a device, or on an image that exists
 *
 * Nothing is written before every reason to refuse has been looked at.  The first MiB,
 * with the partition table, is cleared first and written last, so that a restore that was
 * interrupted never looks complete.
 */
#include <string.h>
#include <sys/stat.h>

#include "copy.h"
#include "create.h"
#include "facts.h"
#include "guard.h"
#include "hash.h"
#include "identity.h"
#include "scheme.h"
#include "storage.h"

/* Where boot code and partition tables live; what tools align the first partition to. */
#define TABLE_AREA MIB(1)

static int
check_users(const char *target, struct platter_error *err)
{
	struct stat st;
	int r;

	if (stat(target, &st) < 0) {
		/* TARGET@2: the place parser says what is wrong with it, if anything is. */
		PL_AUTOFREE char *path = strdup(target);
		char *at = path ? strrchr(path, '@') : NULL;

		if (!at)
			return errno == ENOENT ? pl_fail_errno(err, -ENOENT, "find '%s'", target)
					       : 0;
		*at = '\0';
		return check_users(path, err);
	}
	if (S_ISBLK(st.st_mode) || S_ISREG(st.st_mode))
		return pl_guard_device(target, err);
	r = pl_invalid(err, "'%s' is neither a device nor an image", target);
	pl_hint(err, "'platter create' makes new images");
	return r;
}

/* What the source's GPT counts in, 0: it has none. */
static uint32_t
gpt_sector_size(struct pl_disk *source)
{
	struct pl_arena arena = { 0 };
	const struct platter_table *tables;
	uint32_t size = 0;
	size_t nr;

	if (source->sequential)
		return 0;
	if (pl_tables_read(source, 0, &arena, &tables, &nr, NULL, NULL) == 0 && nr &&
	    !strcmp(tables[0].name, "gpt"))
		size = tables[0].sector_size;
	pl_arena_done(&arena);
	return size;
}

/* Sector addresses of a GPT mean another place on a disk with other sectors. */
static int
check_sectors(struct pl_disk *source, struct pl_disk *target, bool device,
	      struct platter_error *err)
{
	uint32_t size = gpt_sector_size(source);
	int r;

	if (!size || size == target->sector_size)
		return 0;
	/* A file has no sectors of its own: it takes those of what is written to it. */
	if (!device) {
		target->sector_size = size;
		return 0;
	}
	r = pl_unsupported(err, PLATTER_NO_OFFSET,
			   "the source's GPT counts sectors of %" PRIu32
			   " bytes, '%s' has sectors of %" PRIu32,
			   size, target->name, target->sector_size);
	pl_hint(err,
		"no system would find the partitions; --no-gpt-fix copies the bytes all the same");
	return r;
}

static int
open_target(struct pl_place *source, const char *target, const struct platter_restore_options *o,
	    struct pl_place **ret, struct platter_error *err)
{
	struct pl_place *place = NULL;
	struct stat st;
	int r = check_users(target, err);

	if (r == 0)
		r = pl_refuse_same_file(source, target, err);
	/* What a device holds is about to go: it is not an image to write into. */
	if (r == 0)
		r = pl_place_open(target,
				  stat(target, &st) == 0 && S_ISBLK(st.st_mode) ? "raw" : NULL,
				  PLATTER_OPEN_WRITE | PLATTER_OPEN_EXCLUSIVE, &place, err);
	if (r < 0)
		return r;
	if (o->identity)
		r = pl_identity_check(&o->identity->identity, place->storage, err);
	/* A raw image is filled, not enlarged: a stream's size is known only at its end. */
	place->disk->growable = false;
	if (r == 0 && !place->disk->writable) {
		r = pl_fail(err, -EROFS, "'%s' cannot be written", target);
	} else if (r == 0 && source->disk->size != UINT64_MAX &&
		   source->disk->size > place->disk->size) {
		r = pl_fail(err, -ENOSPC,
			    "'%s' is too small: it has %" PRIu64 " bytes, the source %" PRIu64,
			    target, place->disk->size, source->disk->size);
	} else if (r == 0 && !o->no_gpt_fix) {
		r = check_sectors(source->disk, place->disk, pl_storage_is_device(place->storage),
				  err);
	}
	if (r < 0)
		pl_place_close(place);
	else
		*ret = place;
	return r;
}

int
pl_restore_check(struct pl_place *source, const char *target,
		 const struct platter_restore_options *options, struct platter_error *err)
{
	struct pl_place *place;
	int r = open_target(source, target, options, &place, err);

	if (r == 0)
		pl_place_close(place);
	return r;
}

/* The first MiB of the source, in its place at last. */
static int
write_table_area(struct pl_disk *source, struct pl_disk *target, struct platter_error *err)
{
	size_t n = (size_t)PL_MIN(TABLE_AREA, source->size);
	PL_AUTOFREE uint8_t *buf = pl_alloc_aligned(n);
	int r;

	if (!buf)
		return pl_no_memory(err);
	r = pl_read(source, buf, n, 0, err);
	if (r == 0)
		r = pl_flush(target, err);
	if (r == 0)
		r = pl_write(target, buf, n, 0, err);
	return r == 0 ? pl_flush(target, err) : r;
}

static int
copy_disk(struct pl_place *source, struct pl_disk *target, const struct platter_restore_options *o,
	  struct pl_copy *copy, struct platter_error *err)
{
	int r;

	if (!source->disk->sequential) {
		copy->withhold = TABLE_AREA;
		r = pl_zero(target, 0, PL_MIN(TABLE_AREA, source->disk->size), 0, err);
		if (r == 0)
			r = pl_flush(target, err);
		if (r < 0)
			return r;
	}
	r = pl_copy_run(copy, err);
	if (r == -ERANGE && source->disk->sequential)
		return pl_fail(err, -ENOSPC,
			       "'%s' is too small: it has %" PRIu64
			       " bytes, the source more, and it was filled with their beginning",
			       target->name, target->size);
	if (r == 0 && copy->withhold)
		r = write_table_area(source->disk, target, err);
	if (r == 0 && o->wipe_rest && copy->size < target->size)
		r = pl_zero(target, copy->size, target->size - copy->size, PL_ZERO_MAY_UNMAP, err);
	return r == 0 ? pl_flush(target, err) : r;
}

static int
restore_to(struct pl_place *source, struct pl_place *target,
	   const struct platter_restore_options *o, struct platter_progress *progress,
	   struct platter_copy_result *ret, struct platter_error *err)
{
	bool stream = source->disk->sequential;
	const char *hashes = o->hashes ? o->hashes : o->verify && stream ? "sha256" : NULL;
	struct pl_copy copy = {
		.source = source->disk,
		.target = target->disk,
		.update = o->resume,
		.threads = o->threads,
		.progress = progress,
	};
	bool changed;
	int r = hashes ? pl_hasher_new(hashes, &copy.hasher, err) : 0;

	if (r < 0)
		return r;
	r = copy_disk(source, target->disk, o, &copy, err);
	if (copy.hasher)
		pl_hasher_finish(copy.hasher, ret->hashes, &ret->nr_hashes);
	pl_hasher_free(copy.hasher);
	if (r == 0 && o->verify) {
		PL_AUTOUNREF struct pl_disk *written = NULL;

		pl_storage_drop_cache(target->storage);
		r = pl_slice_new(target->disk, 0, copy.size, target->name, &written, err);
		if (r == 0)
			r = pl_verify_copy(source->disk, written, stream ? &ret->hashes[0] : NULL,
					   progress, err);
		ret->verified = r == 0;
	}
	if (!o->hashes)
		ret->nr_hashes = 0;
	ret->size = copy.size;
	ret->data = copy.data;
	ret->zero = copy.zero;
	ret->bad = copy.bad;
	ret->kept = copy.kept;
	ret->stored = copy.data;
	if (r == 0 && !o->no_gpt_fix)
		r = pl_gpt_fit(target->disk, copy.size, &changed, err);
	if (r == 0)
		r = pl_flush(target->disk, err);
	if (r == 0 && target->disk == target->storage)
		r = pl_storage_reread_table(target->storage, err);
	return r;
}

int
pl_restore(struct pl_place *source, const char *target,
	   const struct platter_restore_options *options, struct platter_progress *progress,
	   struct platter_copy_result *ret, struct platter_error *err)
{
	struct pl_place *place;
	int r = open_target(source, target, options, &place, err);

	if (r < 0)
		return r;
	r = restore_to(source, place, options, progress, ret, err);
	pl_place_close(place);
	return r;
}
