/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "target.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "create.h"
#include "text.h"

int
pl_target_check(const char *target, const struct platter_create_options *options,
		struct platter_error *err)
{
	const struct pl_format *format;
	struct stat st;
	int r = pl_create_format(target, options, &format, err);

	if (r == 0 && !options->overwrite && strcmp(target, "-") && lstat(target, &st) == 0) {
		r = pl_fail(err, -EEXIST, "'%s' exists already", target);
		pl_hint(err, "choose another name, or replace it with --force");
	}
	return r;
}

int
pl_refuse_target_inside(const char *target, const char *from, struct platter_error *err)
{
	const char *slash = strrchr(target, '/');
	PL_AUTOFREE char *above =
		slash ? strndup(target, (size_t)(slash + 1 - target)) : strdup(".");
	PL_AUTOFREE char *folder = above ? realpath(above, NULL) : NULL;
	PL_AUTOFREE char *source = from ? realpath(from, NULL) : NULL;
	size_t n;
	int r;

	/* One that is not there is another's error. */
	if (!strcmp(target, "-") || !folder || !source)
		return 0;
	n = strlen(source);
	if (strncmp(folder, source, n) != 0 || (folder[n] && folder[n] != '/' && n > 1))
		return 0;
	r = pl_invalid(err, "'%s' would stand in '%s', which it is made of", target, from);
	pl_hint(err, "choose a name in another folder");
	return r;
}

int
pl_work_folder(const char *target, char **ret, struct platter_error *err)
{
	const char *slash = strrchr(target, '/'), *temporary = getenv("TMPDIR");
	PL_AUTOFREE char *folder = NULL;

	if (!strcmp(target, "-"))
		folder = pl_format("%s/platter-XXXXXX", temporary ? temporary : "/var/tmp");
	else
		folder = pl_format("%.*s.platter-XXXXXX", slash ? (int)(slash + 1 - target) : 0,
				   target);
	if (!folder)
		return pl_no_memory(err);
	if (!mkdtemp(folder))
		return pl_fail_errno(err, -errno, "make a folder beside '%s'", target);
	*ret = PL_STEAL(folder);
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	remove(path);
	return 0;
}

void
pl_work_folder_remove(char *folder)
{
	if (folder)
		nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(folder);
}

int
pl_work_file(const char *path, uint64_t size, struct platter_error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), r = 0;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		r = pl_fail_errno(err, -errno, "create '%s'", path);
	if (fd >= 0)
		close(fd);
	return r;
}
