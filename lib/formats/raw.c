/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * raw.c - images without a format: the bytes of the disk and nothing else
 *
 * The file itself is the disk.  There is nothing to write front to back: the copy
 * engine writes into the file.
 */
#include "format.h"

static int
raw_open(const struct pl_open_request *request, struct pl_disk **ret, struct platter_error *err)
{
	if (request->snapshot)
		return pl_fail(err, -ENOENT, "'%s' is a raw image, which has no snapshots",
			       request->file->name);
	*ret = pl_disk_ref(request->file);
	return 0;
}

static const char *const extensions[] = { "img", "raw", "dd", "bin", "iso", "cdr", "toast", NULL };
static const struct platter_option_info options[] = { { 0 } };

const struct pl_format pl_format_raw = {
	.info = {
		.name = "raw",
		.longname = "raw image",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_WRITE | PLATTER_CAN_CREATE,
		.options = options,
	},
	.open = raw_open,
};
