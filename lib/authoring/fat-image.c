/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fat-image.h"

#include "target.h"
#include "tool.h"

/* Clusters, tables and folders: an eighth more than the files, in whole MiB. */
#define SLACK(n) (pl_round_up((n) + (n) / 8, MIB(1)) + MIB(1))

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
	pl_command_add(&c, "--");
	pl_command_add(&c, image);
	r = pl_command_run(&c, progress, err);
	pl_command_done(&c);
	return r;
}

int
pl_fat_fill(const char *image, const char *from, struct platter_progress *progress,
	    struct platter_error *err)
{
	static const char *const environment[] = { "MTOOLS_SKIP_CHECK=1", "TZ=UTC", NULL };
	const struct pl_exclude none = { 0 };
	struct pl_source *source;
	int r = pl_source_open(from, &none, progress, &source, err);

	/* In the order of the names, whatever order the folder has. */
	for (size_t i = 0; r == 0 && i < source->root.nr_items; i++) {
		struct pl_command c = { .package = "mtools", .environment = environment };

		pl_command_add(&c, "mcopy");
		pl_command_add(&c, "-s"); /* folders */
		pl_command_add(&c, "-m"); /* keep times */
		pl_command_add(&c, "-Q"); /* end at the first error */
		pl_command_add(&c, "-i");
		pl_command_add(&c, image);
		pl_command_addf(&c, "%s/%s", from, source->root.items[i].name);
		pl_command_add(&c, "::");
		r = pl_command_run(&c, progress, err);
		pl_command_done(&c);
	}
	if (r == 0 || source)
		pl_source_close(source);
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
	uint64_t size;
	int r = pl_source_open(from, &none, progress, &source, err);

	if (r < 0)
		return r;
	size = SLACK(space_of(&source->root));
	pl_source_close(source);
	r = pl_work_file(image, size, err);
	if (r == 0)
		r = pl_fat_make(image, 0, "EFI", epoch, progress, err);
	return r < 0 ? r : pl_fat_fill(image, from, progress, err);
}
