/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * create.c - a disk becomes an image
 *
 * The image is written as TARGET.part.  A raw target that is resumed is compared with
 * the source and only what differs is written; a format with a writer says how far its
 * earlier part can be trusted, and that is compared with the source too before the
 * work goes on.  So a resumed image is exact whatever happened to it in between.
 */
#include "create.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdsa.h"
#include "codec.h"
#include "compare.h"
#include "copy.h"
#include "disc-source.h"
#include "format.h"
#include "guard.h"
#include "hash.h"
#include "parent.h"
#include "regions.h"
#include "storage.h"
#include "text.h"

/* What pl_create() holds while it works. */
struct creation {
	struct pl_place *source;
	struct pl_place *view; /* that is what is copied of a disc: the same; owned */
	struct pl_disc_source disc;
	const char *target;
	const struct platter_create_options *options;
	const struct pl_format *format;
	struct pl_disk *file;
	struct pl_disk *inner; /* what the format writes to: the file, or what is encrypted in it */
	struct pl_related *related;
	struct pl_arena arena;    /* holds what the writer wants to know of the source */
	struct pl_writer *writer; /* NULL: raw */
	struct pl_hasher *hasher;
	struct pl_copy copy;
	struct platter_key_value *pairs; /* the options, and the parent as one of them */
	size_t nr_pairs;
	char *parent_name;
	bool again;          /* the source is what the target is to replace */
	bool hash_to_verify; /* the only hash is for ourselves: the source is a stream */
};

static int
choose_format(const char *target, const struct platter_create_options *o,
	      const struct pl_format **ret, struct platter_error *err)
{
	const struct pl_format *format =
		o->format ? pl_format_by_name(o->format) : pl_format_by_extension(target);

	if (!format && o->format) {
		int r = pl_invalid(err, "there is no format '%s'", o->format);

		pl_hint(err, "'platter formats' lists what can be created");
		return r;
	}
	if (!format)
		format = pl_format_by_name("raw");
	if (!(format->info.abilities & PLATTER_CAN_CREATE))
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "images of format '%s' cannot be created", format->info.name);
	*ret = format;
	return 0;
}

static bool
takes(const struct pl_format *format, const char *key)
{
	const struct platter_option_info *known = format->info.options;

	while (known && known->key && strcmp(known->key, key) != 0)
		known++;
	return known && known->key;
}

static int
check_options(const struct pl_format *format, const struct platter_create_options *o,
	      struct platter_error *err)
{
	for (size_t i = 0; i < o->nr_options; i++)
		if (!takes(format, o->options[i].key)) {
			int r = pl_invalid(err, "format '%s' has no option '%s'", format->info.name,
					   o->options[i].key);

			pl_hint(err, "'platter formats' lists the options of each format");
			return r;
		}
	if (o->compress && !(format->info.abilities & PLATTER_CAN_COMPRESS))
		return pl_invalid(err, "format '%s' stores nothing compressed", format->info.name);
	return 0;
}

int
pl_create_format(const char *target, const struct platter_create_options *options,
		 const struct pl_format **ret, struct platter_error *err)
{
	const struct pl_format *format = NULL;
	int r = choose_format(target, options, &format, err);

	if (r == 0)
		r = check_options(format, options, err);
	if (r == 0)
		*ret = format;
	return r;
}

/* Can a new image of the format stand on the one at the path `parent`?  *ret_size: its disk's. */
static int
look_at_parent(const struct creation *c, uint64_t *ret_size, struct platter_error *err)
{
	const struct platter_create_options *o = c->options;
	PL_AUTOUNREF struct pl_disk *file = NULL, *disk = NULL;
	const struct pl_format *format;
	int r = pl_storage_open(o->parent, PL_STORAGE_SINGLE, &file, err);

	if (r == 0)
		r = pl_image_open(file, o->parent, o->parent_format, NULL, 0, &disk, err);
	if (r < 0) {
		pl_context(err, "parent '%s'", o->parent);
		return r;
	}
	format = pl_format_of(disk);
	/* Only where the format of the parent can be told may it be another. */
	if (format != c->format && !takes(c->format, "backing_fmt")) {
		r = pl_invalid(
			err, "the parent of an image of format %s must have it too, and '%s' is %s",
			c->format->info.name, o->parent, format ? format->info.name : "raw");
		pl_hint(err, "an overlay in format qcow2 stands on any other");
		return r;
	}
	*ret_size = disk->size;
	return 0;
}

/* The parent that is asked for, as options of the format. */
static int
add_parent(struct creation *c, uint64_t *size, struct platter_error *err)
{
	const struct platter_create_options *o = c->options;
	uint64_t parent_size;
	int r;

	c->nr_pairs = o->nr_options;
	c->pairs = calloc(o->nr_options + 2, sizeof *c->pairs);
	if (!c->pairs)
		return pl_no_memory(err);
	if (o->nr_options)
		memcpy(c->pairs, o->options, o->nr_options * sizeof *c->pairs);
	if (!o->parent)
		return 0;
	if (!takes(c->format, "backing_file")) {
		r = pl_invalid(err, "images of format '%s' have no parents", c->format->info.name);
		pl_hint(err, "make it a qcow2, vhd, vhdx, vmdk or vdi");
		return r;
	}
	for (size_t i = 0; i < o->nr_options; i++)
		if (!strncmp(o->options[i].key, "backing_", 8))
			return pl_invalid(err, "a parent is given, and by option %s=%s too",
					  o->options[i].key, o->options[i].value);
	r = look_at_parent(c, &parent_size, err);
	if (r == 0)
		r = pl_parent_name(c->target, o->parent, &c->parent_name, err);
	if (r < 0)
		return r;
	c->pairs[c->nr_pairs++] = (struct platter_key_value){ "backing_file", c->parent_name };
	if (o->parent_format && takes(c->format, "backing_fmt"))
		c->pairs[c->nr_pairs++] =
			(struct platter_key_value){ "backing_fmt", o->parent_format };
	if (!*size)
		*size = parent_size;
	return 0;
}

static void
creation_done(struct creation *c)
{
	if (c->writer)
		c->writer->ops->free(c->writer);
	pl_related_free(c->related);
	pl_hasher_free(c->hasher);
	pl_disk_unref(c->inner);
	pl_disk_unref(c->file);
	pl_place_close(c->view);
	pl_disc_source_done(&c->disc);
	pl_arena_done(&c->arena);
	free(c->pairs);
	free(c->parent_name);
}

static int
unknown_codec(const char *text, size_t n, struct platter_error *err)
{
	char known[128] = "";
	int r = pl_invalid(err, "there is no compression '%.*s'", (int)PL_MIN(n, 64), text);

	for (size_t i = 0; pl_codec_at(i); i++) {
		size_t at = strlen(known);

		snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "",
			 pl_codec_at(i)->name);
	}
	pl_hint(err, "known are %s; each format has some of them", known);
	return r;
}

/* "zstd:7" -> "zstd", 7; "" is the format's own, which has no level. */
static int
parse_compress(const char *text, const char **ret_codec, int *ret_level, struct platter_error *err)
{
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : strlen(text);
	const struct pl_codec *known = pl_codec_by_name(text, n);
	char *end;
	long level;

	*ret_level = INT_MIN;
	*ret_codec = known ? known->name : "";
	if (!known && n)
		return unknown_codec(text, n, err);
	if (!colon)
		return 0;
	level = strtol(colon + 1, &end, 10);
	if (!known || end == colon + 1 || *end || level < known->min_level ||
	    level > known->max_level)
		return pl_invalid(err, "compression level '%s' of %s is not between %d and %d",
				  colon + 1, known ? known->name : "the default codec",
				  known ? known->min_level : 0, known ? known->max_level : 0);
	*ret_level = (int)level;
	return 0;
}

bool
pl_stands_on(struct pl_disk *disk, struct pl_file_id id)
{
	struct pl_file_id have;
	struct pl_disk *below;

	if (disk->ops->read) {
		for (size_t i = 0; pl_storage_id(disk, i, &have); i++)
			if (have.device == id.device && have.inode == id.inode)
				return true;
		return false;
	}
	for (size_t i = 0; disk->ops->below && (below = disk->ops->below(disk, i)); i++)
		if (pl_stands_on(below, id))
			return true;
	return disk->parent && pl_stands_on(disk->parent, id);
}

int
pl_refuse_same_file(const struct pl_place *source, const char *target, struct platter_error *err)
{
	struct pl_file_id id;
	struct stat st;

	if (!strcmp(target, "-") || stat(target, &st) < 0)
		return 0;
	id = S_ISBLK(st.st_mode) ? (struct pl_file_id){ .device = st.st_rdev }
				 : (struct pl_file_id){ st.st_dev, st.st_ino };
	if (pl_stands_on(source->disk, id) ||
	    (pl_loop_file(target, &id) && pl_stands_on(source->disk, id)))
		return pl_invalid(err, "'%s' is part of the source itself", target);
	return 0;
}

int
pl_refuse_empty(const struct pl_format *format, struct platter_error *err)
{
	if (format->takes != PL_TAKES_DISC && format->takes != PL_TAKES_SOUND)
		return 0;
	return pl_invalid(err, "images of format '%s' are made of something, not of a size alone",
			  format->info.name);
}

int
pl_create_writer(const struct pl_format *format, const struct platter_create_options *o,
		 struct pl_create_request *request, struct pl_writer **ret,
		 struct platter_error *err)
{
	int r;

	request->options = o->options;
	request->nr_options = o->nr_options;
	request->level = INT_MIN;
	if (o->compress) {
		r = parse_compress(o->compress, &request->codec, &request->level, err);
		if (r < 0)
			return r;
	}
	return format->create(request, ret, err);
}

int
pl_create_encryption(const struct pl_format *format, const struct platter_create_options *o,
		     uint32_t *ret_bits, struct platter_error *err)
{
	const char *text = NULL;

	/* Of an image of several files the format knows what of it to encrypt. */
	for (size_t i = 0; i < o->nr_options && !format->creates_folder; i++)
		if (strcmp(o->options[i].key, "encryption") == 0)
			text = o->options[i].value;
	return pl_cdsa_read_option(text, ret_bits, err);
}

/* What the format writes to. */
static int
open_inner(struct creation *c, struct platter_error *err)
{
	uint32_t key_bits;
	int r = pl_create_encryption(c->format, c->options, &key_bits, err);

	if (r < 0)
		return r;
	pl_disk_unref(c->inner);
	c->inner = NULL;
	if (key_bits)
		return pl_cdsa_create(c->file, key_bits, &c->inner, err);
	c->inner = pl_disk_ref(c->file);
	return 0;
}

/* What the writer leaves to be brought into the file. */
static int
finish_inner(struct creation *c, struct platter_error *err)
{
	return c->inner == c->file ? 0 : pl_flush(c->inner, err);
}

static int
make_writer(struct creation *c, uint64_t size, uint32_t sector_size, struct platter_error *err)
{
	struct pl_create_request request = {
		.size = size,
		.sector_size = sector_size,
		.resume = c->options->resume,
		.like = c->again ? c->source->disk : NULL,
		.source = c->source ? c->source->disk : NULL,
		.disc = c->disc.disc,
		.track = c->disc.disk ? pl_disc_track_of(c->disc.disk) : NULL,
	};
	struct platter_create_options o = *c->options;
	int r = pl_regions_of(c->source ? c->source->disk : NULL, c->format, &c->arena, &request,
			      err);

	if (r == 0)
		r = open_inner(c, err);
	if (r < 0)
		return r;
	request.file = c->inner;
	request.dense = c->inner != c->file;
	c->related = pl_related_new(c->target, err);
	if (!c->related)
		return err ? err->code : -ENOMEM;
	request.related = c->related;
	o.options = c->pairs;
	o.nr_options = c->nr_pairs;
	return pl_create_writer(c->format, &o, &request, &c->writer, err);
}

static int
open_written(struct creation *c, struct pl_disk **ret, struct platter_error *err)
{
	return pl_image_open_given(c->file, c->target, c->format->info.name, NULL, c->disc.select,
				   0, NULL, ret, err);
}

/* Does the part that an earlier run left hold the source's bytes up to where its writer goes on? */
static int
check_resumed(struct creation *c, bool *ret_good, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *image = NULL, *prefix = NULL, *original = NULL;
	struct platter_compare_result compared;
	int r;

	*ret_good = false;
	r = open_written(c, &image, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	r = pl_slice_new(image, 0, c->writer->resumed, c->file->name, &prefix, err);
	if (r == 0)
		r = pl_slice_new(c->source->disk, 0, c->writer->resumed, c->source->name, &original,
				 err);
	if (r < 0)
		return r;
	r = pl_compare(prefix, original, "checking", c->copy.progress, &compared, err);
	/* Clusters that were never written may fail to decode: that is a difference too. */
	if (r == -EUCLEAN)
		return 0;
	if (r == 0)
		*ret_good = compared.equal;
	return r;
}

/* Feed the hashes what a resumed copy will not read again. */
static int
hash_prefix(struct creation *c, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *prefix = NULL;
	struct pl_copy copy = { .hasher = c->hasher,
				.progress = c->copy.progress,
				.phase = "hashing" };
	int r = pl_slice_new(c->source->disk, 0, c->writer->resumed, c->source->name, &prefix, err);

	if (r < 0)
		return r;
	copy.source = prefix;
	return pl_copy_run(&copy, err);
}

static int
prepare_writer(struct creation *c, struct platter_error *err)
{
	const struct pl_disk *disk = c->source->disk;
	bool good = false;
	int r = make_writer(c, disk->size, disk->sector_size, err);

	if (r < 0 || !c->writer->resumed)
		return r;
	r = check_resumed(c, &good, err);
	if (r < 0)
		return r;
	if (good) {
		c->copy.kept = c->writer->resumed;
		return c->hasher ? hash_prefix(c, err) : 0;
	}
	/* The earlier part is not of this source, or did not reach the file: start over. */
	c->writer->ops->free(c->writer);
	c->writer = NULL;
	pl_related_free(c->related);
	c->related = NULL;
	r = pl_resize(c->file, 0, err);
	return r < 0 ? r : make_writer(c, disk->size, disk->sector_size, err);
}

/* Files beside the target would replace what is read. */
static int
refuse_files_beside(struct creation *c, struct platter_error *err)
{
	char *path;
	int r = 0;

	for (size_t i = 0; r == 0 && (path = pl_storage_beside_path(c->file, i)); i++) {
		r = pl_refuse_same_file(c->source, path, err);
		free(path);
	}
	return r;
}

/* Feed the hashes the disk, where the writer is fed another. */
static int
hash_disk(struct creation *c, struct platter_error *err)
{
	struct pl_copy copy = { .source = c->source->disk,
				.hasher = c->hasher,
				.threads = c->copy.threads,
				.progress = c->copy.progress,
				.phase = "hashing" };

	return pl_copy_run(&copy, err);
}

/* A writer that makes a disk of its own out of what it is given. */
static int
run_own_source(struct creation *c, struct platter_error *err)
{
	struct pl_copy copy = c->copy;
	int r = c->hasher ? hash_disk(c, err) : 0;

	copy.source = c->writer->source;
	copy.hasher = NULL;
	if (r == 0)
		r = pl_copy_run(&copy, err);
	copy.source = c->copy.source;
	copy.hasher = c->hasher;
	c->copy = copy;
	c->writer->size = copy.size;
	c->copy.size = copy.size ? c->source->disk->size : 0;
	return r;
}

static int
run_writer(struct creation *c, struct platter_error *err)
{
	int r = prepare_writer(c, err);

	if (r == 0)
		r = refuse_files_beside(c, err);
	if (r < 0)
		return r;
	if (c->file->sequential && c->file->size != 0)
		return pl_invalid(err, "cannot go on with a stream");
	c->copy.writer = c->writer;
	if (c->writer->source) {
		r = run_own_source(c, err);
		return r < 0 ? r : c->writer->ops->finish(c->writer, err);
	}
	r = pl_copy_run(&c->copy, err);
	if (r < 0)
		return r;
	c->writer->size = c->copy.size;
	r = c->writer->ops->finish(c->writer, err);
	return r == 0 ? finish_inner(c, err) : r;
}

/* A raw image of a raw file: the file system may be able to share its blocks. */
static bool
share(struct creation *c)
{
	struct pl_disk *source = c->source->disk;

	if (source != c->source->storage || source->sequential || c->file->sequential ||
	    c->options->sparse == PLATTER_SPARSE_NEVER || c->options->split || c->options->resume ||
	    source->lost || pl_storage_is_device(source))
		return false;
	if (pl_storage_share(source, 0, c->file, 0, source->size, NULL) < 0)
		return false;
	c->copy.shared = c->copy.size = source->size;
	return true;
}

static int
run_raw(struct creation *c, struct platter_error *err)
{
	struct pl_disk *source = c->source->disk;
	int r = 0;

	if (!share(c)) {
		/* At its full size from the start: extending writes would wait for each other. */
		if (!source->sequential && !c->file->sequential && c->file->size != source->size)
			r = pl_resize(c->file, source->size, err);
		c->copy.target = c->file;
		c->copy.update = c->options->resume;
		c->copy.target_is_zero = true;
	} else if (!c->hasher) {
		return 0;
	}
	if (r == 0)
		r = pl_copy_run(&c->copy, err);
	if (r == 0 && !c->file->sequential && c->file->size != c->copy.size)
		r = pl_resize(c->file, c->copy.size, err);
	return r;
}

int
pl_verify_copy(struct pl_disk *source, struct pl_disk *written, const struct platter_hash *expected,
	       struct platter_progress *progress, struct platter_error *err)
{
	struct platter_compare_result compared;
	int r;

	if (expected) {
		struct platter_hash hashes[PLATTER_MAX_HASHES];
		struct pl_copy copy = { .source = written,
					.progress = progress,
					.phase = "verifying" };
		size_t nr;

		r = pl_hasher_new(expected->name, &copy.hasher, err);
		if (r < 0)
			return r;
		r = pl_copy_run(&copy, err);
		pl_hasher_finish(copy.hasher, hashes, &nr);
		pl_hasher_free(copy.hasher);
		if (r == 0 && strcmp(hashes[0].hex, expected->hex) != 0)
			r = pl_fail(err, -EILSEQ,
				    "what was written reads back differently (%s %s, not %s)",
				    expected->name, hashes[0].hex, expected->hex);
	} else {
		r = pl_compare(source, written, "verifying", progress, &compared, err);
		if (r == 0 && !compared.equal)
			r = pl_fail_at(err, -EILSEQ, compared.first_difference,
				       "what was written differs from the source in %" PRIu64
				       " bytes, first at byte %" PRIu64,
				       compared.different_bytes, compared.first_difference);
	}
	if (r == -EILSEQ)
		pl_hint(err, "the source changed meanwhile, or memory or the target is faulty");
	return r;
}

static int
verify(struct creation *c, const struct platter_hash *hash, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *image = NULL, *whole = NULL;
	int r = 0;

	if (c->file->sequential)
		return pl_invalid(err, "what goes to a stream cannot be read back to verify it");
	pl_storage_drop_cache(c->file);
	if (c->writer)
		r = open_written(c, &whole, err);
	else
		whole = pl_disk_ref(c->file);
	/* A format may have rounded the size up, to whole sectors at least. */
	if (r == 0)
		r = pl_slice_new(whole, 0, c->copy.size, c->file->name, &image, err);
	if (r < 0)
		return r;
	return pl_verify_copy(c->source->disk, image, c->source->disk->sequential ? hash : NULL,
			      c->copy.progress, err);
}

static int
make_hasher(struct creation *c, struct platter_error *err)
{
	const char *names = c->options->hashes;

	/* A stream cannot be read twice: what was written is checked against its hash. */
	if (!names && c->options->verify && c->source->disk->sequential) {
		names = "sha256";
		c->hash_to_verify = true;
	}
	return names ? pl_hasher_new(names, &c->hasher, err) : 0;
}

static bool
resumable(const struct creation *c)
{
	if (!c->file || c->file->sequential || c->source->disk->sequential)
		return false;
	return !c->writer || c->writer->ops->checkpoint;
}

/* Make what a format of discs or sound is written from the source. */
static int
choose_view(struct creation *c, struct platter_error *err)
{
	int r = pl_disc_source_init(&c->disc, c->format, c->source->disk, err);

	if (r < 0 || c->disc.disk == c->source->disk)
		return r;
	r = pl_place_of_disk(c->source, c->disc.disk, false, c->source->name, &c->view, err);
	if (r < 0)
		return r;
	pl_disk_ref(c->disc.disk);
	c->source = c->view;
	c->copy.source = c->view->disk;
	return 0;
}

/* Everything but committing. */
static int
produce(struct creation *c, struct platter_copy_result *ret, struct platter_error *err)
{
	const struct platter_create_options *o = c->options;
	struct pl_storage_create how = {
		.split = o->split,
		.resume = o->resume,
		.overwrite = o->overwrite,
		.anew = c->again,
		.direct = !o->no_sync, /* else the page cache is the quicker place */
		.inside = c->format->creates_folder ? c->format->bundle.file : NULL,
		.also = c->format->creates_folder ? c->format->bundle.also : NULL,
	};
	int r = make_hasher(c, err);

	if (r == 0)
		r = pl_storage_create(c->target, &how, &c->file, err);
	if (r == 0 && c->again)
		r = pl_storage_mode_like(c->file, c->target, err);
	if (r < 0)
		return r;
	c->copy.hasher = c->hasher;
	r = c->format->create ? run_writer(c, err) : run_raw(c, err);
	if (c->hasher)
		pl_hasher_finish(c->hasher, ret->hashes, &ret->nr_hashes);
	if (r == 0 && o->verify) {
		r = verify(c, &ret->hashes[0], err);
		ret->verified = r == 0;
	}
	if (c->hash_to_verify)
		ret->nr_hashes = 0;
	/* Files beside it are there only now. */
	return r == 0 && c->again ? pl_storage_mode_like(c->file, c->target, err) : r;
}

static void
fill_result(const struct creation *c, struct platter_copy_result *ret)
{
	ret->size = c->copy.size;
	ret->data = c->copy.data;
	ret->zero = c->copy.zero;
	ret->bad = c->copy.bad;
	ret->kept = c->copy.kept;
	ret->shared = c->copy.shared;
}

/* Is the file at `path` named after the image `target`, as those that are made beside it are? */
static bool
is_named_after(const char *path, const char *target)
{
	const char *name = strrchr(path, '/'), *base = strrchr(target, '/'), *dot;
	size_t n;

	name = name ? name + 1 : path;
	base = base ? base + 1 : target;
	dot = strrchr(base, '.');
	n = dot && dot > base ? (size_t)(dot - base) : strlen(base);
	return !strncmp(name, base, n) && name[n] == '-';
}

/*
 * The files beside an image that was made anew, when the new one has others.  One under a foreign
 * name may be another's too, and a name that leads elsewhere by now is not theirs.
 */
static void
remove_replaced(const struct creation *c)
{
	PL_AUTOFREE char *beside = pl_storage_beside_path(c->file, 0);
	struct pl_disk *old = c->source->disk, *file;

	for (size_t i = 1; beside && old->ops->below && (file = old->ops->below(old, i)); i++) {
		const char *path = pl_storage_path(file, 0);
		struct pl_file_id id;
		struct stat st;

		if (path && is_named_after(path, c->target) && pl_storage_id(file, 0, &id) &&
		    lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == id.device &&
		    st.st_ino == id.inode)
			unlink(path);
	}
}

/* The mapfile of a new image: beside it, or beside the first of its parts. */
static char *
mapfile_name(const char *target, bool split)
{
	size_t n = strlen(target);
	bool named = n > 4 && !strcmp(target + n - 4, ".001");

	return pl_format("%s%s.map", target, split && !named ? ".001" : "");
}

/* What of the source could not be read once, and so is not in its copy either. */
static int
map_of_lost(struct pl_disk *source, struct pl_mapfile *ret, struct platter_error *err)
{
	int r = pl_mapfile_init(ret, 0, err);

	while (r == 0 && ret->size < source->size) {
		enum platter_kind kind;
		uint64_t n;

		r = pl_span(source, ret->size, source->size - ret->size, &kind, &n, err);
		if (r == 0)
			r = pl_mapfile_append(ret, n,
					      kind == PLATTER_BAD ? PL_BLOCK_BAD
								  : PL_BLOCK_FINISHED,
					      err);
	}
	ret->phase = PL_BLOCK_FINISHED;
	ret->position = ret->size;
	if (r < 0)
		pl_mapfile_done(ret);
	return r;
}

/*
 * Formats have no room to tell what is bad: a mapfile beside the image does.  One of an earlier image
 * of that name goes.  What a drive tells of its disc costs reading it: see pl_rip().
 */
static int
write_mapfile(const struct creation *c, struct pl_disk *source, struct platter_error *err)
{
	PL_AUTOFREE char *path = mapfile_name(c->target, c->options->split);
	struct pl_mapfile m;
	int r;

	if (!path)
		return pl_no_memory(err);
	if (c->file->sequential || !strcmp(c->target, "-") || source->look_ahead)
		return 0;
	if (!c->copy.bad) {
		/* A disk that was opened to be changed has forgotten what was bad. */
		if (!c->again)
			pl_storage_remove_mapfile(path);
		return 0;
	}
	r = pl_storage_check_mapfile(path, err);
	if (r == 0)
		r = map_of_lost(source, &m, err);
	if (r < 0)
		return r;
	r = pl_storage_save_mapfile(&m, path, err);
	pl_mapfile_done(&m);
	return r;
}

static int
create(struct pl_place *source, const char *target, const struct platter_create_options *options,
       bool again, struct platter_progress *progress, struct platter_copy_result *ret,
       struct platter_error *err)
{
	struct creation c = {
		.source = source,
		.again = again,
		.target = target,
		.options = options,
		.copy = { .source = source->disk,
			  .sparse = options->sparse,
			  .threads = options->threads,
			  .progress = progress },
	};
	uint64_t size = source->disk->size;
	int r;

	r = pl_create_format(target, options, &c.format, err);
	if (r == 0 && !again)
		r = pl_refuse_same_file(source, target, err);
	if (r == 0)
		r = choose_view(&c, err);
	if (r == 0)
		r = add_parent(&c, &size, err);
	if (r == 0 && options->resume && source->disk->sequential)
		r = pl_invalid(err, "a stream cannot be resumed: it is gone");
	if (r < 0) {
		creation_done(&c);
		return r;
	}

	r = produce(&c, ret, err);
	fill_result(&c, ret);
	/* First: without it the image would pass for a whole one. */
	if (r == 0)
		r = write_mapfile(&c, source->disk, err);
	if (r == 0)
		r = pl_storage_commit(c.file, !options->no_sync, err);
	if (r == 0)
		ret->stored = pl_storage_allocated(c.file);
	if (r == 0 && again)
		remove_replaced(&c);
	if (r < 0 && c.file)
		pl_storage_abandon(c.file, (r == -ECANCELED || c.copy.size) && resumable(&c));
	creation_done(&c);
	return r;
}

int
pl_create(struct pl_place *source, const char *target, const struct platter_create_options *options,
	  struct platter_progress *progress, struct platter_copy_result *ret,
	  struct platter_error *err)
{
	return create(source, target, options, false, progress, ret, err);
}

int
pl_create_again(struct pl_place *source, const char *target,
		const struct platter_create_options *options, struct platter_progress *progress,
		struct platter_copy_result *ret, struct platter_error *err)
{
	return create(source, target, options, true, progress, ret, err);
}

int
pl_create_empty(const char *target, uint64_t size, const struct platter_create_options *options,
		struct platter_error *err)
{
	struct creation c = { .target = target, .options = options };
	struct pl_storage_create how = { .split = options->split, .overwrite = options->overwrite };
	int r;

	r = pl_create_format(target, options, &c.format, err);
	if (r == 0 && c.format->creates_folder) {
		how.inside = c.format->bundle.file;
		how.also = c.format->bundle.also;
	}
	if (r == 0)
		r = pl_refuse_empty(c.format, err);
	if (r == 0)
		r = add_parent(&c, &size, err);
	if (r == 0)
		r = pl_storage_create(target, &how, &c.file, err);
	if (r < 0) {
		creation_done(&c);
		return r;
	}
	if (c.format->create) {
		r = make_writer(&c, size, 512, err);
		if (r == 0 && size)
			r = c.writer->ops->skip(c.writer, 0, size, PLATTER_HOLE, err);
		if (r == 0 && c.writer->ops->see)
			r = c.writer->ops->see(c.writer, NULL, size, err);
		if (r == 0)
			r = c.writer->ops->finish(c.writer, err);
		if (r == 0)
			r = finish_inner(&c, err);
	} else {
		r = pl_resize(c.file, size, err);
	}
	if (r == 0)
		r = pl_storage_commit(c.file, !options->no_sync, err);
	if (r < 0)
		pl_storage_abandon(c.file, false);
	creation_done(&c);
	return r;
}
