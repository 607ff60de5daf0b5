/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ext-times.h"

#include <stdio.h>

#include "tool.h"

/* A path between quotes as debugfs reads it: a quote is there twice. */
static void
put_path(FILE *to, const char *path)
{
	fputs("\"/", to);
	for (; *path; path++) {
		if (*path == '"')
			fputc('"', to);
		fputc(*path, to);
	}
	fputc('"', to);
}

static int
put_times(FILE *to, const struct pl_item *item, int64_t epoch, struct platter_error *err)
{
	static const char *const fields[] = { "atime", "ctime", "mtime" };
	PL_AUTOFREE char *path = pl_item_path(item);
	int64_t time = PL_MIN(item->file.modified.seconds, epoch);

	if (!path)
		return pl_no_memory(err);
	/* A command is a line; such a file keeps its times. */
	if (strchr(path, '\n'))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fputs("sif ", to);
		put_path(to, path);
		fprintf(to, " %s @%" PRId64 "\n", fields[i], time);
	}
	return 0;
}

static int
put_items(FILE *to, const struct pl_item *folder, int64_t epoch, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < folder->nr_items; i++) {
		r = put_times(to, &folder->items[i], epoch, err);
		if (r == 0)
			r = put_items(to, &folder->items[i], epoch, err);
	}
	return r;
}

static int
write_script(const char *script, const struct pl_source *source, int64_t epoch,
	     struct platter_error *err)
{
	FILE *to = fopen(script, "we");
	int r;

	if (!to)
		return pl_fail_errno(err, -errno, "create '%s'", script);
	r = put_times(to, &source->root, epoch, err);
	if (r == 0)
		r = put_items(to, &source->root, epoch, err);
	if (fclose(to) != 0 && r == 0)
		r = pl_fail_errno(err, -errno, "write '%s'", script);
	return r;
}

int
pl_ext_set_times(const char *image, const struct pl_source *source, const char *script,
		 int64_t epoch, struct platter_progress *progress, struct platter_error *err)
{
	struct pl_command c = { .package = "e2fsprogs" };
	int r = write_script(script, source, epoch, err);

	if (r < 0)
		return r;
	pl_command_add(&c, "debugfs");
	pl_command_add(&c, "-w");
	pl_command_add(&c, "-f");
	pl_command_add_path(&c, script);
	pl_command_add_path(&c, image);
	r = pl_command_run(&c, progress, err);
	pl_command_done(&c);
	return r;
}
