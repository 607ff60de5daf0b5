/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fuzz-volume.c - open a hostile file system, walk its tree, read its files; built once for
 * each VOLUME, the name of a content
 */
#include <stdio.h>
#include <stdlib.h>

#include "content.h"
#include "fuzz.h"
#include "unfold.h"

#define UNFOLDED_MAX MIB(64)
#define FOLDERS      64
#define ENTRIES      512 /* looked at, all folders together */
#define LOOKUPS      32
#define READS        4
#define READ_SIZE    KIB(16)
#define MAP_STEPS    64

struct walk {
	struct pl_volume *volume;
	struct pl_node_id folders[FOLDERS];
	size_t nr_folders, nr_entries;
};

/* For AddressSanitizer: reads every byte. */
static void
touch(const void *bytes, size_t n)
{
	static volatile uint8_t sum;
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		sum = (uint8_t)(sum + p[i]);
}

static int
take_attribute(void *closure, const struct pl_attribute *a, struct platter_error *err)
{
	size_t *left = closure;

	(void)err;
	if (a->value && a->size)
		touch(a->value, (size_t)a->size);
	return --*left == 0;
}

static void
read_file(struct pl_volume *v, struct pl_node_id id, const char *stream)
{
	static uint8_t buf[READ_SIZE];
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *file = NULL;
	uint64_t offset = 0;

	if (pl_volume_open_file(v, id, stream, "file", &file, &err) < 0)
		return;
	for (int i = 0; i < MAP_STEPS && offset < file->size; i++) {
		struct pl_extent e;

		if (pl_map(file, offset, file->size - offset, &e, &err) < 0)
			break;
		offset += e.length;
	}
	for (uint64_t i = 0; i < READS; i++) {
		offset = file->size / READS * i;
		if (offset < file->size)
			pl_read(file, buf, (size_t)PL_MIN(READ_SIZE, file->size - offset), offset,
				&err);
	}
}

static int
visit(void *closure, const struct pl_entry *e, struct platter_error *err)
{
	struct walk *w = closure;
	struct pl_volume *v = w->volume;
	struct platter_file file;
	struct pl_node_id found;
	size_t left = 16;
	char *target;

	touch(e->name, e->length);
	if (++w->nr_entries > ENTRIES)
		return 1;
	/* Each may look through a folder that is as large as the disk. */
	if (w->nr_entries <= LOOKUPS)
		pl_volume_lookup(v, e->id, "a", 1, &found, err);
	if (v->ops->xattrs)
		v->ops->xattrs(v, e->id, take_attribute, &left, err);
	left = 16;
	if (v->ops->streams)
		v->ops->streams(v, e->id, take_attribute, &left, err);
	if (pl_volume_stat(v, e->id, &file, err) < 0)
		return 0;
	if (file.type == PLATTER_FILE_FOLDER && w->nr_folders < FOLDERS)
		w->folders[w->nr_folders++] = e->id;
	if (file.type == PLATTER_FILE_SYMLINK && pl_volume_read_link(v, e->id, &target, err) == 0) {
		touch(target, strlen(target));
		free(target);
	}
	if (file.type == PLATTER_FILE_REGULAR)
		read_file(v, e->id, NULL);
	return 0;
}

static int
take_deleted(void *closure, const struct pl_deleted *d, struct platter_error *err)
{
	struct walk *w = closure;

	(void)err;
	if (++w->nr_entries > 2 * ENTRIES)
		return 1;
	read_file(w->volume, d->id, NULL);
	return 0;
}

static const struct pl_content_driver *
driver(void)
{
	for (size_t i = 0; pl_content_drivers[i]; i++)
		if (!strcmp(pl_content_drivers[i]->info.name, VOLUME) &&
		    pl_content_drivers[i]->open)
			return pl_content_drivers[i];
	fputs("no file system that can be opened is called " VOLUME "\n", stderr);
	abort();
}

static void
try_view(struct pl_disk *disk, const char *view, unsigned flags)
{
	struct pl_volume_request request = { .disk = disk, .view = view, .flags = flags };
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF_VOLUME struct pl_volume *v = NULL;
	struct pl_ranges used = { 0 };
	struct pl_arena arena = { 0 };
	struct pl_facts facts = { .arena = &arena };
	struct walk w = { 0 };

	if (driver()->open(&request, &v, &err) < 0)
		return;
	w.volume = v;
	w.folders[w.nr_folders++] = v->root;
	for (size_t i = 0; i < w.nr_folders; i++)
		pl_volume_list(v, w.folders[i], visit, &w, &err);
	if (v->ops->deleted)
		v->ops->deleted(v, take_deleted, &w, &err);
	if (pl_volume_used(v, &used, NULL, &err) == 0)
		for (size_t i = 0; i < used.nr; i++)
			if (used.range[i].end > v->size)
				abort();
	pl_ranges_done(&used);
	if (v->ops->describe)
		v->ops->describe(v, &facts);
	pl_arena_done(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE uint8_t *image = unfold(data, size, UNFOLDED_MAX, &size);

	if (pl_memory_new(image ? image : data, size, "input", &disk, &err) < 0)
		return 0;
	try_view(disk, NULL, PLATTER_OPEN_IGNORE_CHECKSUMS);
	for (const char *const *view = driver()->views; view && *view; view++)
		try_view(disk, *view, PLATTER_OPEN_IGNORE_CHECKSUMS);
	return 0;
}
