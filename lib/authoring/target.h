/* SPDX-License-Identifier: GPL-3.0-or-later */
/* target.h - where what is made will stand, and files on the way to it */
#ifndef PL_TARGET_H
#define PL_TARGET_H

#include <platter/job.h>

#include "error.h"

/*
 * Before anything is made: that there is such a format with such options, and that `target` may be written.
 * Errors: -EEXIST, -EINVAL, -ENOTSUP.
 */
int pl_target_check(const char *target, const struct platter_create_options *options,
		    struct platter_error *err);

/*
 * -EINVAL: `target`, or where pl_work_folder() would be, stands in the folder `from` (NULL is
 * allowed), and what is made would get into what it is made of.
 */
int pl_refuse_target_inside(const char *target, const char *from, struct platter_error *err);

/*
 * A folder of our own for files on the way, in that of `target` (which they may be as large as),
 * or where TMPDIR says for "-"; malloc()ed.  What is in it goes with it.
 */
int pl_work_folder(const char *target, char **ret, struct platter_error *err);
void pl_work_folder_remove(char *folder); /* frees it too; NULL is allowed */

/* A new file of `size` zeros.  -EEXIST, -ENOSPC, ... */
int pl_work_file(const char *path, uint64_t size, struct platter_error *err);

#endif
