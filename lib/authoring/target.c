/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "target.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
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

/* The folder for files on the way to standard output. */
static const char *
temporary_folder(void)
{
	const char *folder = getenv("TMPDIR");

	return folder ? folder : "/var/tmp";
}

/* Is this folder the other one, or in it?  One that is not there is another's error. */
static bool
is_inside(const char *folder, const char *other)
{
	PL_AUTOFREE char *a = realpath(folder, NULL);
	PL_AUTOFREE char *b = realpath(other, NULL);
	size_t n = b ? strlen(b) : 0;

	return a && b && !strncmp(a, b, n) && (!a[n] || a[n] == '/' || n == 1);
}

static bool
is_file_inside(const char *path, const char *other)
{
	const char *slash = strrchr(path, '/');
	PL_AUTOFREE char *above = slash ? strndup(path, (size_t)(slash + 1 - path)) : strdup(".");

	return above && is_inside(above, other);
}

/* Is standard output redirected to a file in the folder? */
static bool
is_output_inside(const char *other)
{
	char path[PATH_MAX + 1];
	struct stat st;
	ssize_t n;

	if (fstat(STDOUT_FILENO, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	n = readlink("/proc/self/fd/1", path, sizeof path - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return is_file_inside(path, other);
}

int
pl_refuse_target_inside(const char *target, const char *from, struct platter_error *err)
{
	bool to_output = !strcmp(target, "-");
	int r;

	if (!from)
		return 0;
	if (to_output ? is_output_inside(from) : is_file_inside(target, from)) {
		r = pl_invalid(err, "%s%s%s would stand in '%s', which it is made of",
			       to_output ? "" : "'", to_output ? "standard output" : target,
			       to_output ? "" : "'", from);
		pl_hint(err, "choose a name in another folder");
		return r;
	}
	if (to_output && is_inside(temporary_folder(), from)) {
		r = pl_invalid(err, "files on the way would stand in '%s', which is read",
			       temporary_folder());
		pl_hint(err, "name another folder for them in the environment variable TMPDIR");
		return r;
	}
	return 0;
}

int
pl_work_folder(const char *target, char **ret, struct platter_error *err)
{
	const char *slash = strrchr(target, '/');
	PL_AUTOFREE char *folder = NULL;

	if (!strcmp(target, "-"))
		folder = pl_format("%s/platter-XXXXXX", temporary_folder());
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
