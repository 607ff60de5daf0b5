/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contents.h - all that an image holds, snapshots included, as a text; after images.h */
#ifndef PL_TEST_CONTENTS_H
#define PL_TEST_CONTENTS_H

#include "format.h"
#include "storage.h"
#include "test.h"
#include "text.h"

/* The disk and its snapshots, by name, in one text; to be freed. */
static inline char *
contents_of(struct pl_disk *disk, struct pl_disk *file, const char *path)
{
	const struct platter_snapshot *list;
	struct pl_arena arena = { 0 };
	struct pl_str text = { 0 };
	size_t nr;

	EXPECT_OK(pl_format_of(disk)->snapshots(disk, &arena, &list, &nr, &err));
	for (size_t i = 0; i <= nr; i++) {
		struct pl_disk *d = disk, *then = NULL;
		uint64_t sum = 14695981039346656037u;
		uint8_t *bytes;

		if (i < nr) {
			EXPECT_OK(pl_image_open(file, path, NULL, list[i].name, 0, &then, &err));
			d = then;
		}
		bytes = malloc(d->size + 1);
		EXPECT(bytes);
		EXPECT_OK(pl_read(d, bytes, d->size, 0, &err));
		for (size_t k = 0; k < d->size; k++)
			sum = (sum ^ bytes[k]) * 1099511628211u;
		pl_str_addf(&text, "%s %" PRIu64 " %016" PRIx64 "\n", i < nr ? list[i].name : "",
			    d->size, sum);
		free(bytes);
		pl_disk_unref(then);
	}
	pl_arena_done(&arena);
	EXPECT(text.text);
	return text.text;
}

static inline char *
contents_of_file(const char *name)
{
	PL_AUTOFREE char *path = pl_format("%s/%s", pl_test_folder(), name);
	PL_AUTOUNREF struct pl_disk *file = NULL, *disk = NULL;

	EXPECT_OK(pl_storage_open(path, 0, &file, &err));
	EXPECT_OK(pl_image_open(file, path, NULL, NULL, 0, &disk, &err));
	return contents_of(disk, file, path);
}

#endif
