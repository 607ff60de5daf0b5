/* SPDX-License-Identifier: GPL-3.0-or-later */
/* beside.h - files in memory that an image may name */
#ifndef PL_TEST_BESIDE_H
#define PL_TEST_BESIDE_H

#include "format.h"
#include "test.h"

/* Files that a sheet may name. */
struct file {
	const char *name;
	const uint8_t *bytes;
	size_t n;
};

struct files {
	struct pl_related related;
	const struct file *list;
	size_t nr;
};

static inline int
open_file(struct pl_related *related, const char *name, const char *format, bool writable,
	  struct pl_disk **ret, struct platter_error *e)
{
	const struct files *files = pl_container_of(related, struct files, related);

	(void)writable;
	related->missing = false;
	for (size_t i = 0; i < files->nr; i++) {
		PL_AUTOUNREF struct pl_disk *file = NULL;
		struct pl_open_request request = { 0 };
		int r;

		if (strcmp(files->list[i].name, name) != 0)
			continue;
		r = pl_memory_new(files->list[i].bytes, files->list[i].n, name, &file, e);
		request.file = file;
		return r < 0 ? r : pl_format_by_name(format)->open(&request, ret, e);
	}
	related->missing = true;
	return pl_fail(e, -ENOENT, "no file '%s'", name);
}

/* What a folder is looked through for: names that differ in case. */
static inline int
find_file(struct pl_related *related, const char *folder, const char *extension,
	  int (*look)(struct pl_disk *file, const void *wanted), const void *wanted,
	  char **ret_name, struct platter_error *e)
{
	const struct files *files = pl_container_of(related, struct files, related);

	(void)folder, (void)extension;
	*ret_name = NULL;
	for (size_t i = 0; i < files->nr && !*ret_name; i++) {
		PL_AUTOUNREF struct pl_disk *file = NULL;
		int r = pl_memory_new("", 0, files->list[i].name, &file, e);

		if (r < 0)
			return r;
		if (look(file, wanted) > 0)
			*ret_name = strdup(files->list[i].name);
	}
	return 0;
}

#endif
