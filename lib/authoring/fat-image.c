/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fat-image.h"

#include <string.h>

#include "fat-names.h"
#include "target.h"
#include "tool.h"

/* Clusters, tables and folders: an eighth more than the files, in whole MiB. */
#define SLACK(n) (pl_round_up((n) + (n) / 8, MIB(1)) + MIB(1))

/* Bytes of names that one program is given: a command line has 128 KiB at least. */
#define MAX_WORDS KIB(64)

int
pl_fat_make(const char *image, unsigned bits, const char *label, int64_t epoch,
	    struct platter_progress *progress, struct platter_error *err)
{
	struct pl_command c = { .package = "dosfstools" };
	int r;

	pl_command_add(&c, "mkfs.vfat");
	if (bits)
		pl_command_addf(&c, "-F%u", bits);
	if (label && *label) {
		pl_command_add(&c, "-n");
		pl_command_add(&c, label);
	}
	if (epoch >= 0) {
		pl_command_addf(&c, "-i%08x", (unsigned)epoch);
		pl_command_add(&c, "--invariant");
	}
	pl_command_add_path(&c, image);
	r = pl_command_run(&c, progress, err);
	pl_command_done(&c);
	return r;
}

/* The `nr` items from the first on, at once. */
static int
copy_items(const char *image, const struct pl_source *source, const struct pl_item *first,
	   size_t nr, struct platter_progress *progress, struct platter_error *err)
{
	static const char *const environment[] = { "MTOOLS_SKIP_CHECK=1", "TZ=UTC", NULL };
	struct pl_command c = { .package = "mtools", .environment = environment };
	int r;

	pl_command_add(&c, "mcopy");
	pl_command_add(&c, "-s"); /* folders */
	pl_command_add(&c, "-m"); /* keep times */
	pl_command_add(&c, "-Q"); /* end at the first error */
	pl_command_add(&c, "-i");
	pl_command_add_path(&c, image);
	for (size_t i = 0; i < nr; i++)
		pl_command_addf(&c, "%s%s/%s", pl_path_prefix(source->path), source->path,
				first[i].name);
	pl_command_add(&c, "::");
	r = pl_command_run(&c, progress, err);
	pl_command_done(&c);
	return r;
}

int
pl_fat_fill(const char *image, const struct pl_source *source, struct platter_progress *progress,
	    struct platter_error *err)
{
	const struct pl_item *folder = &source->root;
	int r = 0;

	/* In the order of the names, whatever order the folder has. */
	for (size_t i = 0, nr; r == 0 && i < folder->nr_items; i += nr) {
		size_t bytes = 0;

		for (nr = 0; i + nr < folder->nr_items && bytes < MAX_WORDS; nr++)
			bytes += strlen(source->path) + strlen(folder->items[i + nr].name) + 2;
		r = copy_items(image, source, &folder->items[i], nr, progress, err);
	}
	return r;
}

/* Bytes that the files take in clusters of 4 KiB, which no small disk passes. */
static uint64_t
space_of(const struct pl_item *folder)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < folder->nr_items; i++) {
		const struct pl_item *item = &folder->items[i];

		sum += item->file.type == PLATTER_FILE_FOLDER
			       ? KIB(4) + space_of(item)
			       : pl_round_up(item->file.size, KIB(4));
	}
	return sum;
}

int
pl_fat_of_folder(const char *image, const char *from, int64_t epoch,
		 struct platter_progress *progress, struct platter_error *err)
{
	const struct pl_exclude none = { 0 };
	struct pl_source *source;
	int r = pl_source_open(from, &none, progress, &source, err);

	if (r < 0)
		return r;
	r = pl_fat_check_names(source, err);
	if (r == 0)
		r = pl_work_file(image, SLACK(space_of(&source->root)), err);
	if (r == 0)
		r = pl_fat_make(image, 0, "EFI", epoch, progress, err);
	if (r == 0)
		r = pl_fat_fill(image, source, progress, err);
	pl_source_close(source);
	return r;
}
