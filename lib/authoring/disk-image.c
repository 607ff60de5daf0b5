/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * disk-image.c - new disks: a table, file systems, and all of it in any image format
 *
 * In a folder beside the target stand a sparse file of the whole disk, into which libfdisk
 * writes the table, and one for each file system, which its own program makes there.  The copy
 * engine reads them as one disk and writes the image: each byte is copied once, zeros not at all.
 */
#include "disk-image.h"

#include <stdio.h>
#include <sys/stat.h>

#include "compose.h"
#include "create.h"
#include "epoch.h"
#include "extract.h"
#include "fdisk.h"
#include "mkfs.h"
#include "source.h"
#include "target.h"
#include "text.h"

#define MAX_PARTITIONS 128
#define MAX_MBR        4
#define MAX_DISK       ((uint64_t)1 << 62)

/* A file system to be made; of the whole disk if there is no table. */
struct part {
	const struct platter_new_partition *order;
	const struct pl_mkfs *kind; /* NULL: nothing is made in it */
	struct pl_new_partition place;
	const char *from;
	struct pl_disk *disk; /* what was made */
};

struct authoring {
	const struct platter_new_disk_options *options;
	struct platter_progress *progress;
	struct platter_author_result *result;
	struct platter_new_partition whole; /* stands for a disk without a table */
	struct part parts[MAX_PARTITIONS];
	size_t nr;
	bool table, gpt;
	uint64_t size;
	int64_t epoch;
	char *work;
};

/* ---- what is wanted ---- */

static int
take_orders(struct authoring *a, struct platter_error *err)
{
	const struct platter_new_disk_options *o = a->options;
	const char *table = o->table;

	if (table && strcmp(table, "gpt") && strcmp(table, "mbr"))
		return pl_invalid(err, "a table is gpt or mbr, not '%s'", table);
	a->table = table || o->nr_partitions;
	a->gpt = !table || !strcmp(table, "gpt");
	if (a->table && o->fs)
		return pl_invalid(err, "a disk has a file system of its own, or partitions");
	if (o->nr_partitions > (a->gpt ? MAX_PARTITIONS : MAX_MBR))
		return pl_over_limit(err, PLATTER_NO_OFFSET, "%zu partitions, limit is %d",
				     o->nr_partitions, a->gpt ? MAX_PARTITIONS : MAX_MBR);
	for (; a->nr < o->nr_partitions; a->nr++)
		a->parts[a->nr].order = &o->partitions[a->nr];
	if (o->fs && *o->fs) {
		a->whole.fs = o->fs;
		a->whole.label = o->label;
		a->parts[a->nr++].order = &a->whole;
	}
	return 0;
}

static int
find_kinds(struct authoring *a, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->nr; i++) {
		struct part *p = &a->parts[i];

		if (p->order->fs && *p->order->fs)
			r = pl_mkfs_find(p->order->fs, &p->kind, err);
		p->from = p->order->from;
		p->place.name = p->order->label;
		p->place.type = p->order->type && *p->order->type ? p->order->type
				: p->kind                         ? p->kind->type
								  : "linux";
	}
	return r;
}

/* The folder without a partition of its own goes into the last file system that has none. */
static int
give_folder(struct authoring *a, struct platter_error *err)
{
	const char *from = a->options->from;

	for (size_t i = a->nr; from && i-- > 0;) {
		struct part *p = &a->parts[i];

		if (p->kind && !p->from && strcmp(p->kind->name, "swap") != 0) {
			p->from = from;
			return 0;
		}
	}
	return from ? pl_invalid(err, "no file system is made that could hold '%s'", from) : 0;
}

/* ---- where things stand ---- */

static int
add_up(const struct authoring *a, uint64_t *ret, bool *ret_rest, struct platter_error *err)
{
	*ret = 2 * PL_ALIGNMENT;
	*ret_rest = false;
	for (size_t i = 0; i < a->nr; i++) {
		uint64_t size = a->parts[i].order->size;

		if (size > MAX_DISK || *ret > MAX_DISK)
			return pl_over_limit(err, PLATTER_NO_OFFSET,
					     "a partition of %" PRIu64 " bytes", size);
		if (!size && *ret_rest)
			return pl_invalid(err, "two partitions cannot both have the rest");
		*ret_rest = *ret_rest || !size;
		*ret += pl_round_up(size, PL_ALIGNMENT);
	}
	return 0;
}

static int
lay_out(struct authoring *a, struct platter_error *err)
{
	uint64_t sum, at = PL_ALIGNMENT, rest;
	bool has_rest;
	int r;

	a->size = a->options->disk_size;
	if (!a->table) {
		if (!a->size)
			return pl_invalid(err, "no size of the disk is given");
		a->parts[0].place.length = a->size;
		return 0;
	}
	r = add_up(a, &sum, &has_rest, err);
	if (r < 0)
		return r;
	if (!a->size && has_rest)
		return pl_invalid(err, "no size of the disk is given that the rest were of");
	a->size = a->size ? a->size : sum;
	rest = pl_round_down(a->size, PL_ALIGNMENT);
	if (rest < sum + (has_rest ? PL_ALIGNMENT : 0))
		return pl_fail(err, -ENOSPC,
			       "a disk of %" PRIu64 " bytes is too small for %" PRIu64
			       " bytes of partitions and table",
			       a->size, sum + (has_rest ? PL_ALIGNMENT : 0));
	rest -= sum;
	for (size_t i = 0; i < a->nr; i++) {
		struct pl_new_partition *place = &a->parts[i].place;
		uint64_t size = a->parts[i].order->size;

		place->offset = at;
		place->length = size ? pl_round_up(size, PL_ALIGNMENT) : rest;
		at += place->length;
	}
	return 0;
}

/* ---- making it ---- */

/* The files of a place, copied out for programs that take a folder of this machine. */
static int
extract_place(struct authoring *a, const char *place, const char *folder, struct platter_error *err)
{
	const struct platter_extract_options options = { .size = sizeof options };
	struct platter_extract_result result = { 0 };
	struct pl_place *opened;
	int r = pl_place_open_files(place, NULL, 0, NULL, &opened, err);

	if (r < 0)
		return r;
	r = pl_extract(opened->volume, opened->node, NULL, folder, &options, a->progress, &result,
		       err);
	if (r == 0 && (result.failed || result.incomplete))
		r = pl_fail(err, -EIO, "%" PRIu64 " files of '%s' could not be read",
			    result.failed + result.incomplete, place);
	pl_place_close(opened);
	return r;
}

static int
find_folder(struct authoring *a, const char *from, size_t index, char **ret,
	    struct platter_error *err)
{
	struct stat st;

	*ret = NULL;
	if (!from)
		return 0;
	if (stat(from, &st) == 0 && S_ISDIR(st.st_mode)) {
		*ret = strdup(from);
		return *ret ? 0 : pl_no_memory(err);
	}
	*ret = pl_format("%s/files-%zu", a->work, index);
	return *ret ? extract_place(a, from, *ret, err) : pl_no_memory(err);
}

/* What is put in, for the result. */
static void
count(struct platter_author_result *result, const struct pl_source *source)
{
	result->files += source->nr_files;
	result->folders += source->nr_folders;
	result->links += source->nr_links;
	result->others += source->nr_others;
	result->bytes += source->bytes;
}

static int
set_uuid(struct pl_mkfs_order *order, size_t index, struct platter_error *err)
{
	uint8_t uuid[16];
	char what[32];
	int r;

	if (order->epoch < 0)
		return 0;
	snprintf(what, sizeof what, "file system %zu", index);
	r = pl_derive_guid(order->epoch, what, uuid, err);
	/* Version and variant stand in the fields as a UUID has them. */
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	if (r == 0)
		pl_uuid_text(uuid, order->uuid);
	return r;
}

static int
run_mkfs(struct authoring *a, size_t index, const char *image, const struct pl_source *source,
	 struct platter_error *err)
{
	const struct part *p = &a->parts[index];
	struct pl_mkfs_order order = {
		.image = image,
		.size = p->place.length,
		.offset = p->place.offset,
		.label = p->order->label,
		.source = source,
		.work = a->work,
		.epoch = a->epoch,
		.progress = a->progress,
	};
	int r = pl_work_file(image, order.size, err);

	if (r == 0)
		r = set_uuid(&order, index, err);
	if (r == 0)
		r = pl_mkfs_run(p->kind, &order, err);
	if (r < 0)
		pl_context(err, a->table ? "partition %zu" : "file system", index + 1);
	return r;
}

static int
make_part(struct authoring *a, size_t index, struct platter_error *err)
{
	const struct pl_exclude none = { 0 };
	struct part *p = &a->parts[index];
	PL_AUTOFREE char *image = pl_format("%s/part-%zu", a->work, index);
	PL_AUTOFREE char *folder = NULL;
	struct pl_source *source = NULL;
	int r = image ? find_folder(a, p->from, index, &folder, err) : pl_no_memory(err);

	if (r == 0 && folder)
		r = pl_source_open(folder, &none, a->progress, &source, err);
	if (r == 0)
		r = run_mkfs(a, index, image, source, err);
	if (r == 0 && source)
		count(a->result, source);
	pl_source_close(source);
	return r < 0 ? r : pl_storage_open(image, PL_STORAGE_SINGLE, &p->disk, err);
}

static int
write_table(const struct authoring *a, const char *base, struct platter_error *err)
{
	struct pl_new_partition places[MAX_PARTITIONS];

	for (size_t i = 0; i < a->nr; i++)
		places[i] = a->parts[i].place;
	return pl_fdisk_write(base, a->gpt, places, a->nr, a->epoch, err);
}

/* The table, with all that was made laid over it, as a place that an image is made of. */
static int
open_whole(struct authoring *a, const char *base, struct pl_place **ret_base, struct pl_place **ret,
	   struct platter_error *err)
{
	struct pl_component components[MAX_PARTITIONS];
	struct pl_disk *whole;
	size_t nr = 0;
	int r = pl_place_open(base, "raw", 0, ret_base, err);

	for (size_t i = 0; i < a->nr; i++)
		if (a->parts[i].disk)
			components[nr++] =
				(struct pl_component){ a->parts[i].disk, a->parts[i].place.offset };
	if (r == 0)
		r = pl_compose((*ret_base)->disk, components, nr, "new disk", &whole, err);
	if (r < 0)
		return r;
	r = pl_place_of_disk(*ret_base, whole, false, "new disk", ret, err);
	if (r < 0)
		pl_disk_unref(whole);
	return r;
}

static struct platter_create_options
create_options(const struct authoring *a)
{
	const struct platter_new_disk_options *o = a->options;

	return (struct platter_create_options){
		.size = sizeof(struct platter_create_options),
		.format = o->format,
		.options = o->format_options,
		.nr_options = o->nr_format_options,
		.sparse = PLATTER_SPARSE_ALWAYS,
		.overwrite = o->overwrite,
		.no_sync = o->no_sync,
		.threads = o->threads,
	};
}

static int
write_image(struct authoring *a, const char *base, const char *target, struct platter_error *err)
{
	const struct platter_create_options create = create_options(a);
	struct platter_copy_result copied = { 0 };
	struct pl_place *opened = NULL, *whole = NULL;
	int r = open_whole(a, base, &opened, &whole, err);

	if (r == 0)
		r = pl_create(whole, target, &create, a->progress, &copied, err);
	a->result->size = copied.size;
	a->result->stored = copied.stored;
	pl_place_close(whole);
	pl_place_close(opened);
	return r;
}

static int
author(struct authoring *a, const char *target, struct platter_error *err)
{
	PL_AUTOFREE char *base = pl_format("%s/disk", a->work);
	int r = base ? pl_work_file(base, a->size, err) : pl_no_memory(err);

	if (r == 0 && a->table)
		r = write_table(a, base, err);
	for (size_t i = 0; r == 0 && i < a->nr; i++)
		if (a->parts[i].kind)
			r = make_part(a, i, err);
	return r < 0 ? r : write_image(a, base, target, err);
}

/* Before anything is made: that it could be written under its name. */
static int
check_target(const struct authoring *a, const char *target, struct platter_error *err)
{
	const struct platter_create_options create = create_options(a);
	int r = pl_target_check(target, &create, err);

	for (size_t i = 0; r == 0 && i < a->nr; i++)
		r = pl_refuse_target_inside(target, a->parts[i].from, err);
	return r;
}

int
pl_author_disk(const char *target, const struct platter_new_disk_options *options,
	       struct platter_progress *progress, struct platter_author_result *ret,
	       struct platter_error *err)
{
	PL_AUTOFREE struct authoring *a = calloc(1, sizeof *a);
	int r;

	if (!a)
		return pl_no_memory(err);
	a->options = options;
	a->progress = progress;
	a->result = ret;
	r = pl_epoch(&a->epoch, err);
	if (r == 0)
		r = take_orders(a, err);
	if (r == 0)
		r = find_kinds(a, err);
	if (r == 0)
		r = give_folder(a, err);
	if (r == 0)
		r = lay_out(a, err);
	if (r == 0)
		r = check_target(a, target, err);
	if (r == 0)
		r = pl_work_folder(target, &a->work, err);
	if (r == 0)
		r = author(a, target, err);
	for (size_t i = 0; i < a->nr; i++)
		pl_disk_unref(a->parts[i].disk);
	pl_work_folder_remove(a->work);
	return r;
}
