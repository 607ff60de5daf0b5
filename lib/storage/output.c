/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * output.c - files that have no name until they are whole
 *
 * PATH is written as PATH.part, which a lock keeps to one process.  A set of parts is
 * written as PATH.001.part, PATH.002.part, ...; the first is renamed last, so that what
 * has a first part is whole.  Files that stand beside another get their names before it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "leaf.h"
#include "text.h"

#define SUFFIX ".part"

/* The name of a part when it is whole. */
static char *
final_name(const struct pl_leaf *leaf, size_t index)
{
	const struct pl_output *o = &leaf->output;

	if (o->inside)
		return pl_format("%s/%s", o->target, o->inside);
	if (!leaf->split)
		return strdup(o->target);
	if (o->ending)
		return pl_format("%s%03zu%s", o->base, index + 1, o->ending);
	return pl_format("%s.%03zu", o->base, index + 1);
}

static int
exists_already(const char *path, struct platter_error *err)
{
	int r = pl_fail(err, -EEXIST, "'%s' exists already", path);

	pl_hint(err, "choose another name, or replace it with --force");
	return r;
}

/* By what name a part goes until it is whole. */
static char *
part_name(const struct pl_leaf *leaf, const char *final)
{
	const struct pl_output *o = &leaf->output;

	return o->inside ? pl_format("%s" SUFFIX "/%s", o->target, o->inside)
			 : pl_format("%s" SUFFIX, final);
}

/* Only a folder that is such an image may be replaced by one: programs have an Info.plist too. */
static int
check_folder(const char *path, const struct pl_storage_create *how, struct platter_error *err)
{
	PL_AUTOFREE char *file = how->inside ? pl_format("%s/%s", path, how->inside) : NULL;
	PL_AUTOFREE char *also = how->also ? pl_format("%s/%s", path, how->also) : NULL;
	struct stat st;
	int r;

	if (how->inside && (!file || (how->also && !also)))
		return pl_no_memory(err);
	if (file && lstat(file, &st) == 0 && S_ISREG(st.st_mode) &&
	    (!also || lstat(also, &st) == 0))
		return how->overwrite ? 0 : exists_already(path, err);
	r = pl_fail(err, -EISDIR, "'%s' is a folder, and no image of this format", path);
	pl_hint(err, "choose another name, or remove the folder yourself");
	return r;
}

/* What stands under the final name may be replaced. */
static int
check_target(const char *path, const struct pl_storage_create *how, struct platter_error *err)
{
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : pl_fail_errno(err, -errno, "create '%s'", path);
	if (S_ISLNK(st.st_mode) && stat(path, &st) < 0 && errno != ENOENT)
		return pl_fail_errno(err, -errno, "create '%s'", path);
	if (S_ISDIR(st.st_mode))
		return check_folder(path, how, err);
	if (S_ISBLK(st.st_mode)) {
		r = pl_invalid(err, "'%s' is a device, not an image file", path);
		pl_hint(err, "to write an image to a device use 'platter restore'");
		return r;
	}
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return pl_invalid(err, "'%s' is a special file, not an image file", path);
	return how->overwrite ? 0 : exists_already(path, err);
}

static int
open_failed(const char *path, int code, struct platter_error *err)
{
	if (code == -ELOOP)
		return pl_fail(err, code, "'%s' is a symbolic link", path);
	if (code == -EROFS)
		return pl_fail(err, code, "'%s' is on a read-only file system", path);
	return pl_fail_errno(err, code, "create '%s'", path);
}

static int
busy(const char *path, struct platter_error *err)
{
	int r = pl_fail(err, -EBUSY, "another process is writing '%s'", path);

	pl_hint(err, "wait until it is done, or choose another name");
	return r;
}

/*
 * Open and lock PATH.part.  The other process may give the file its final name between our
 * opening and locking it: then it is no longer ours to touch.
 */
static int
open_locked(const char *path, int *ret_fd, struct platter_error *err)
{
	for (;;) {
		int fd = open(path,
			      O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW,
			      0666);
		struct stat ours, named;

		if (fd < 0)
			return open_failed(path, -errno, err);
		/* Without locks (some network file systems) nobody is kept out. */
		if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
			close(fd);
			return busy(path, err);
		}
		if (fstat(fd, &ours) == 0 && lstat(path, &named) == 0 &&
		    ours.st_dev == named.st_dev && ours.st_ino == named.st_ino) {
			*ret_fd = fd;
			return 0;
		}
		close(fd);
	}
}

/* The folder that a part is to be in, which an earlier run may have left. */
static int
make_folder(const char *name, struct platter_error *err)
{
	PL_AUTOFREE char *copy = strdup(name);
	struct stat st;

	if (!copy)
		return pl_no_memory(err);
	if (mkdir(dirname(copy), 0777) == 0 ||
	    (errno == EEXIST && lstat(copy, &st) == 0 && S_ISDIR(st.st_mode)))
		return 0;
	return open_failed(copy, -errno, err);
}

/* What an earlier run left beside the file that is locked now. */
static int
clear_folder(const struct pl_leaf *leaf, struct platter_error *err)
{
	PL_AUTOFREE char *folder = pl_format("%s" SUFFIX, leaf->output.target);

	return folder ? pl_folder_empty(folder, leaf->output.inside, err) : pl_no_memory(err);
}

/* Only the first part of a set is locked: who has it has the set. */
static int
open_part(struct pl_leaf *leaf, size_t index, bool keep, struct platter_error *err)
{
	PL_AUTOFREE char *final = final_name(leaf, index);
	PL_AUTOFREE char *name = final ? part_name(leaf, final) : NULL;
	const struct pl_storage_create plain = { .overwrite = leaf->output.overwrite };
	struct pl_part *part;
	int fd = -1, r;

	if (!name)
		return pl_no_memory(err);
	r = leaf->output.ending ? check_target(final, &plain, err) : 0;
	if (r == 0 && leaf->output.inside)
		r = make_folder(name, err);
	if (r == 0)
		r = open_locked(name, &fd, err);
	if (r < 0)
		return r;
	r = pl_part_new(name, &part, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	r = pl_part_adopt(part, fd, true, err);
	if (r == 0 && part->device)
		r = pl_invalid(err, "'%s' is a device, not an image file", name);
	if (r == 0 && !keep) {
		r = pl_part_cut(part, 0, err);
		part->size = 0;
	}
	if (r < 0) {
		pl_part_free(part);
		return r;
	}
	if (leaf->output.direct)
		pl_part_write_direct(part);
	pl_leaf_add(leaf, part);
	return 0;
}

int
pl_output_add_parts(struct pl_leaf *leaf, uint64_t size, struct platter_error *err)
{
	uint64_t need = size ? (size - 1) / leaf->split + 1 : 1;
	int r = 0;

	if (need <= __atomic_load_n(&leaf->nr_parts, __ATOMIC_ACQUIRE))
		return 0;
	if (need > PL_MAX_PARTS)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "%" PRIu64 " parts of %" PRIu64 " bytes, limit is %d", need,
				     leaf->split, PL_MAX_PARTS);
	if (!leaf->output.pending)
		return pl_fail(err, -EROFS, "'%s' is finished: it cannot grow", leaf->disk.name);
	pthread_rwlock_wrlock(&leaf->grow);
	while (r == 0 && leaf->nr_parts < need) {
		struct pl_part *last;

		r = leaf->loose ? 0 : pl_leaf_get(leaf, leaf->nr_parts - 1, &last, err);
		if (r == 0 && !leaf->loose) {
			r = pl_part_extend(last, leaf->split, err);
			pl_leaf_put(leaf, last);
		}
		if (r == 0)
			r = open_part(leaf, leaf->nr_parts, false, err);
	}
	pthread_rwlock_unlock(&leaf->grow);
	return r;
}

/*
 * A run that was killed while it gave the parts their names, which it does from the last on,
 * left whole parts without their last ones: take the name of this one back.
 */
static bool
take_back(const struct pl_leaf *leaf, size_t index, const char *final, const char *name)
{
	struct stat st;

	return !leaf->output.overwrite && leaf->parts[index - 1]->size == leaf->split &&
	       lstat(final, &st) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size <= leaf->split && rename(final, name) == 0;
}

/* What an earlier run left of the parts from `index` on: kept with `resume`, else removed. */
static int
find_more_parts(struct pl_leaf *leaf, bool resume, struct platter_error *err)
{
	for (size_t i = 1; i < PL_MAX_PARTS; i++) {
		PL_AUTOFREE char *final = final_name(leaf, i);
		PL_AUTOFREE char *name = final ? pl_format("%s" SUFFIX, final) : NULL;
		struct stat st;
		int r;

		if (!name)
			return pl_no_memory(err);
		if (lstat(name, &st) < 0 && !(resume && take_back(leaf, i, final, name)))
			return 0;
		if (!resume) {
			if (unlink(name) < 0)
				return pl_fail_errno(err, -errno, "remove '%s'", name);
			continue;
		}
		if (leaf->parts[i - 1]->size != leaf->split) {
			r = pl_invalid(err,
				       "'%s' has %" PRIu64 " bytes, not the %" PRIu64 " of a part",
				       leaf->parts[i - 1]->path, leaf->parts[i - 1]->size,
				       leaf->split);
			pl_hint(err, "continue with the same size of parts, or start again");
			return r;
		}
		r = open_part(leaf, i, true, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
open_all(struct pl_leaf *leaf, const struct pl_storage_create *how, struct platter_error *err)
{
	int r = open_part(leaf, 0, how->resume, err);

	if (r == 0 && leaf->split)
		r = find_more_parts(leaf, how->resume, err);
	if (r == 0 && leaf->output.inside)
		r = clear_folder(leaf, err);
	if (r < 0)
		return r;
	pl_leaf_ready(leaf, true);
	if (leaf->split && leaf->disk.size > leaf->nr_parts * leaf->split)
		return pl_invalid(err, "'%s' is longer than a part of %" PRIu64 " bytes",
				  leaf->parts[leaf->nr_parts - 1]->path, leaf->split);
	return 0;
}

/* Standard output as a file of which everything may be written in any order. */
static int
redirected_file(struct pl_disk **ret, struct platter_error *err)
{
	struct pl_leaf *leaf = NULL;
	struct pl_part *part;
	int fd, r;

	/* The shell opened it for writing only; formats read back what they wrote. */
	fd = open("/proc/self/fd/1", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return pl_fail_errno(err, -errno, "write to standard output");
	r = pl_part_new("standard output", &part, err);
	if (r < 0) {
		close(fd);
		return r;
	}
	r = pl_part_adopt(part, fd, true, err);
	if (r == 0)
		r = pl_part_cut(part, 0, err);
	if (r == 0)
		r = pl_leaf_new("standard output", 1, &leaf, err);
	if (r < 0) {
		pl_part_free(part);
		return r;
	}
	part->size = 0;
	pl_leaf_add(leaf, part);
	pl_leaf_ready(leaf, true);
	leaf->output.pending = leaf->output.redirected = true;
	*ret = &leaf->disk;
	return 0;
}

static int
create_on_output(struct pl_disk **ret, struct platter_error *err)
{
	struct stat st;
	int r, flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0 || fstat(STDOUT_FILENO, &st) < 0)
		return pl_fail_errno(err, -errno, "write to standard output");
	if (isatty(STDOUT_FILENO)) {
		r = pl_invalid(err, "standard output is a terminal: an image would garble it");
		pl_hint(err, "redirect it to a file or a program");
		return r;
	}
	if (S_ISBLK(st.st_mode))
		return pl_invalid(err, "standard output is a device: use 'platter restore'");
	/* ">> file" appends, wherever one asks to write; and what is there already stays. */
	if (S_ISREG(st.st_mode) && !(flags & O_APPEND) && lseek(STDOUT_FILENO, 0, SEEK_CUR) == 0)
		return redirected_file(ret, err);
	return pl_stream_output(STDOUT_FILENO, ret, err);
}

int
pl_storage_create(const char *path, const struct pl_storage_create *how, struct pl_disk **ret,
		  struct platter_error *err)
{
	PL_AUTOFREE char *base = NULL, *target = NULL, *inside = NULL, *also = NULL;
	struct pl_leaf *leaf;
	int r;

	if (how->inside && strcmp(path, "-") == 0)
		return pl_invalid(err, "an image that is a folder cannot go to standard output");
	if (strcmp(path, "-") == 0)
		return how->split ? pl_invalid(err, "standard output cannot be split into parts")
				  : create_on_output(ret, err);
	if (!path[0] || path[strlen(path) - 1] == '/')
		return pl_invalid(err, "'%s' is not the name of a file", path);
	if (how->inside && how->split)
		return pl_invalid(err, "an image that is a folder cannot be cut into parts too");
	if (how->split > INT64_MAX / PL_MAX_PARTS)
		return pl_invalid(err, "parts of %" PRIu64 " bytes are too large", how->split);
	if (how->split) {
		size_t length = pl_split_base_length(path);

		base = strndup(path, length ? length : strlen(path));
		target = base ? pl_format("%s.001", base) : NULL;
	} else {
		target = strdup(path);
	}
	inside = how->inside ? strdup(how->inside) : NULL;
	also = how->also ? strdup(how->also) : NULL;
	if (!target || (how->inside && !inside) || (how->also && !also))
		return pl_no_memory(err);
	r = check_target(target, how, err);
	if (r == 0)
		r = pl_leaf_new(target, how->split ? PL_MAX_PARTS : 1, &leaf, err);
	if (r < 0)
		return r;
	leaf->split = how->split;
	leaf->output = (struct pl_output){ .target = PL_STEAL(target),
					   .inside = PL_STEAL(inside),
					   .also = PL_STEAL(also),
					   .base = PL_STEAL(base),
					   .overwrite = how->overwrite,
					   .anew = how->overwrite && how->anew,
					   .direct = how->direct,
					   .pending = true };
	r = open_all(leaf, how, err);
	if (r < 0) {
		pl_leaf_free(leaf);
		return r;
	}
	*ret = &leaf->disk;
	return 0;
}

/* What comes before the extension of the name that `path` ends with. */
static size_t
stem_length(const char *path)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');

	return dot && dot > (slash ? slash + 1 : path) ? (size_t)(dot - path) : strlen(path);
}

static int
check_can_have_beside(const struct pl_leaf *leaf, const struct pl_disk *file,
		      struct platter_error *err)
{
	int r;

	if (!leaf || !leaf->output.pending || !leaf->output.target) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "several files cannot be written to '%s'", file->name);
		pl_hint(err, "write to a file in a folder");
		return r;
	}
	if (leaf->split)
		return pl_invalid(err, "an image of several files cannot be cut into parts too");
	return 0;
}

/* Does a name in its folder begin and end so? */
static int
is_any_there(const char *base, const char *ending, bool *ret, struct platter_error *err)
{
	const char *slash = strrchr(base, '/'), *begin = slash ? slash + 1 : base;
	PL_AUTOFREE char *folder = slash ? strndup(base, (size_t)(slash + 1 - base)) : strdup(".");
	size_t n = strlen(begin), m = strlen(ending);
	struct dirent *e;
	DIR *dir;

	if (!folder)
		return pl_no_memory(err);
	dir = opendir(folder);
	if (!dir)
		return pl_fail_errno(err, -errno, "look into '%s'", folder);
	*ret = false;
	while (!*ret && (e = readdir(dir))) {
		size_t length = strlen(e->d_name);

		*ret = length >= n + m && !memcmp(e->d_name, begin, n) &&
		       !memcmp(e->d_name + length - m, ending, m);
	}
	closedir(dir);
	return 0;
}

/* The names; afterwards the leaf has no files yet. */
static int
name_beside(struct pl_leaf *leaf, const struct pl_leaf *first, const struct pl_storage_beside *how,
	    struct platter_error *err)
{
	const char *target = first->output.target;
	size_t n = stem_length(target);
	struct pl_output *o = &leaf->output;
	bool taken = true;
	int r = 0;

	o->ending = how->extension ? pl_format(".%s", how->extension) : strdup(target + n);
	for (unsigned i = 1; taken && o->ending && r == 0; i++) {
		char number[16] = "";

		if (i > 1)
			snprintf(number, sizeof number, "-%u", i);
		free(o->base);
		o->base = pl_format("%.*s%s%s", (int)n, target, number, how->tag);
		taken = o->base && first->output.anew;
		if (taken)
			r = is_any_there(o->base, o->ending, &taken, err);
	}
	if (r == 0 && o->base && o->ending)
		o->target = pl_format("%s%s%s", o->base, how->split ? "001" : "", o->ending);
	return r < 0 || o->target ? r : pl_no_memory(err);
}

int
pl_storage_create_beside(struct pl_disk *file, const struct pl_storage_beside *how,
			 struct pl_disk **ret, struct platter_error *err)
{
	static const struct pl_storage_create afresh;
	struct pl_leaf *first = pl_leaf_of(file), *leaf;
	int r = first ? 0 : pl_count_beside(file, how, ret, NULL);

	if (!first && r != -ENOTSUP)
		return r < 0 ? pl_no_memory(err) : 0;
	r = check_can_have_beside(first, file, err);
	if (r == 0)
		r = pl_leaf_new(file->name, how->split ? PL_MAX_PARTS : 1, &leaf, err);
	if (r < 0)
		return r;
	leaf->split = how->split;
	leaf->loose = how->loose;
	leaf->output =
		(struct pl_output){ .overwrite = first->output.overwrite && !first->output.anew,
				    .direct = first->output.direct,
				    .pending = true };
	r = name_beside(leaf, first, how, err);
	if (r == 0)
		r = open_all(leaf, &afresh, err);
	if (r < 0) {
		pl_storage_abandon(&leaf->disk, false);
		pl_leaf_free(leaf);
		return r;
	}
	first->output.beside = leaf;
	*ret = &leaf->disk;
	return 0;
}

char *
pl_storage_beside_path(struct pl_disk *file, size_t index)
{
	const struct pl_leaf *leaf = pl_leaf_of(file);

	if (!leaf)
		return pl_count_beside_path(file, index);
	for (leaf = leaf->output.beside; leaf; leaf = leaf->output.beside) {
		if (index < leaf->nr_parts)
			return final_name(leaf, index);
		index -= leaf->nr_parts;
	}
	return NULL;
}

static const char *
without_dot(const char *path)
{
	return path[0] == '.' && path[1] == '/' ? path + 2 : path;
}

const char *
pl_storage_beside_now(struct pl_disk *file, const char *path)
{
	const struct pl_leaf *leaf = pl_leaf_of(file);

	for (leaf = leaf ? leaf->output.beside : NULL; leaf; leaf = leaf->output.beside)
		for (size_t i = 0; i < leaf->nr_parts; i++) {
			PL_AUTOFREE char *final = final_name(leaf, i);

			if (final && strcmp(without_dot(final), without_dot(path)) == 0)
				return leaf->parts[i]->path;
		}
	return NULL;
}

/* Make the names in the folder of `path` last. */
static int
sync_folder(const char *path, struct platter_error *err)
{
	PL_AUTOFREE char *copy = strdup(path);
	int fd, r = 0;

	if (!copy)
		return pl_no_memory(err);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* a folder that we may write but not read */
	if (fsync(fd) < 0 && errno != EINVAL)
		r = pl_fail(err, -EIO, "the name '%s' did not reach the medium: %s", path,
			    strerrordesc_np(errno));
	close(fd);
	return r;
}

static int
rename_failed(const char *from, const char *to, int code, struct platter_error *err)
{
	int r;

	if (code != -EEXIST)
		return pl_fail_errno(err, code, "rename '%s' to '%s'", from, to);
	r = pl_fail(err, code, "'%s' has appeared meanwhile; the finished image is '%s'", to, from);
	pl_hint(err, "rename one of the two by hand");
	return r;
}

/* rename() that leaves what stands under the name. */
static int
rename_new(const char *from, const char *to)
{
	struct stat st;

	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system that cannot: a second name fails as it should, where there are such. */
	if (link(from, to) == 0)
		return unlink(from) < 0 ? -errno : 0;
	if (errno == EEXIST)
		return -EEXIST;
	if (lstat(to, &st) == 0)
		return -EEXIST;
	return rename(from, to) < 0 ? -errno : 0;
}

static int
remove_old(const char *path, struct platter_error *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return pl_folder_remove(path, err);
	return unlink(path) < 0 ? pl_fail_errno(err, -errno, "remove '%s'", path) : 0;
}

/* What a run that was killed between two names left at `aside`, if it is that. */
static int
remove_left(const char *aside, const struct pl_storage_create *how, struct platter_error *err)
{
	struct stat st;

	if (lstat(aside, &st) < 0 || !S_ISDIR(st.st_mode) || check_folder(aside, how, NULL) < 0)
		return 0;
	return pl_folder_remove(aside, err);
}

/*
 * Exchange the folder `from` for what is at `to`, which is then at *ret_old.  Where the file system
 * cannot exchange, there is neither for a moment, and `aside` is the name of the old one.
 */
static int
exchange(const char *from, const char *to, const char *aside, const char **ret_old,
	 struct platter_error *err)
{
	int r;

	*ret_old = from;
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0)
		return 0;
	*ret_old = aside;
	if (rename(to, aside) < 0)
		return rename_failed(to, aside, -errno, err);
	if (rename(from, to) == 0)
		return 0;
	r = rename_failed(from, to, -errno, err);
	/* As it was; if not even that can be, the error tells where the old one is. */
	if (rename(aside, to) < 0)
		pl_hint(err, "the old image is '%s': rename it by hand", aside);
	return r;
}

/* The folder `from` in place of what is at `to`, which goes when the new name is there to stay. */
static int
replace_with_folder(const struct pl_leaf *leaf, const char *from, bool sync,
		    struct platter_error *err)
{
	const struct pl_output *o = &leaf->output;
	const struct pl_storage_create how = { .inside = o->inside,
					       .also = o->also,
					       .overwrite = true };
	const char *to = o->target;
	PL_AUTOFREE char *aside = pl_format("%s" SUFFIX ".old", to);
	const char *old = NULL;
	int r;

	if (!aside)
		return pl_no_memory(err);
	r = remove_left(aside, &how, err);
	if (r < 0)
		return r;
	if (rename(from, to) < 0) {
		if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR)
			return rename_failed(from, to, -errno, err);
		/* It may be another by now. */
		r = check_target(to, &how, err);
		if (r == 0)
			r = exchange(from, to, aside, &old, err);
	}
	if (r == 0 && sync)
		r = sync_folder(to, err);
	return r == 0 && old ? remove_old(old, err) : r;
}

/* The folder of an image gets its name. */
static int
name_folder(struct pl_leaf *leaf, bool sync, struct platter_error *err)
{
	PL_AUTOFREE char *name = pl_format("%s" SUFFIX, leaf->output.target);
	char *final = final_name(leaf, 0);
	int r = name && final ? 0 : pl_no_memory(err);

	if (r == 0 && sync)
		r = sync_folder(leaf->parts[0]->path, err);
	if (r == 0) {
		const char *target = leaf->output.target;

		if (leaf->output.overwrite)
			r = replace_with_folder(leaf, name, sync, err);
		else if ((r = rename_new(name, target)) < 0)
			r = rename_failed(name, target, r, err);
	}
	if (r < 0) {
		free(final);
		return r;
	}
	free(leaf->parts[0]->path);
	leaf->parts[0]->path = final;
	return 0;
}

static int
name_part(struct pl_leaf *leaf, size_t index, struct platter_error *err)
{
	struct pl_part *part = leaf->parts[index];
	char *final = final_name(leaf, index);
	int r;

	if (!final)
		return pl_no_memory(err);
	r = leaf->output.overwrite ? (rename(part->path, final) < 0 ? -errno : 0)
				   : rename_new(part->path, final);
	if (r < 0) {
		r = rename_failed(part->path, final, r, err);
		free(final);
		return r;
	}
	/* Under the lock: an idle part is opened again by its name. */
	pthread_mutex_lock(&leaf->lock);
	free(part->path);
	part->path = final;
	pthread_mutex_unlock(&leaf->lock);
	return 0;
}

/* Parts of an older, longer set under the same name would be taken for ours. */
static int
clear_old_set(struct pl_leaf *leaf, struct platter_error *err)
{
	if (leaf->output.overwrite && unlink(leaf->output.target) < 0 && errno != ENOENT)
		return pl_fail_errno(err, -errno, "replace '%s'", leaf->output.target);
	for (size_t i = 0; i < PL_MAX_PARTS; i++) {
		PL_AUTOFREE char *final = final_name(leaf, i);
		struct stat st;

		if (!final)
			return pl_no_memory(err);
		if (lstat(final, &st) < 0) {
			if (i >= leaf->nr_parts)
				break;
			continue;
		}
		if (!leaf->output.overwrite)
			return rename_failed(leaf->parts[0]->path, final, -EEXIST, err);
		if (i >= leaf->nr_parts && unlink(final) < 0)
			return pl_fail_errno(err, -errno, "remove '%s' of the old image", final);
	}
	return 0;
}

/*
 * Give the files beside another theirs.  The old one of that name goes first, for it would describe
 * what is not its own; unless its files stay, when it is replaced in the end.
 */
static int
name_all_beside(struct pl_leaf *first, bool sync, struct platter_error *err)
{
	struct pl_leaf *leaf = first->output.beside;
	const char *target = first->output.target;
	struct stat st;
	int r = leaf->output.beside ? name_all_beside(leaf, sync, err) : 0;

	if (r == 0 && sync)
		r = pl_flush(&leaf->disk, err);
	if (r < 0)
		return r;
	if (!first->output.overwrite && lstat(target, &st) == 0)
		return rename_failed(first->parts[0]->path, target, -EEXIST, err);
	if (first->output.overwrite && !first->output.anew && unlink(target) < 0 && errno != ENOENT)
		return pl_fail_errno(err, -errno, "replace '%s'", target);
	for (size_t i = leaf->nr_parts; i-- > 0 && r == 0;)
		r = name_part(leaf, i, err);
	if (r < 0)
		return r;
	leaf->output.pending = false;
	return sync ? sync_folder(target, err) : 0;
}

static int
name_all(struct pl_leaf *leaf, bool sync, struct platter_error *err)
{
	int r = leaf->split ? clear_old_set(leaf, err) : 0;

	if (leaf->output.inside)
		return name_folder(leaf, sync, err);
	if (r == 0 && leaf->output.beside)
		r = name_all_beside(leaf, sync, err);
	for (size_t i = leaf->nr_parts - 1; i > 0 && r == 0; i--)
		r = name_part(leaf, i, err);
	if (r == 0 && sync && leaf->nr_parts > 1)
		r = sync_folder(leaf->output.target, err);
	if (r == 0)
		r = name_part(leaf, 0, err);
	return r;
}

/* The folder alone: what is in it can be reached only through it. */
static int
mode_of_folder(struct pl_leaf *leaf, const struct stat *st, struct platter_error *err)
{
	PL_AUTOFREE char *folder = pl_storage_folder(&leaf->disk);
	mode_t mode = st->st_mode & 07777;

	if (!folder)
		return pl_no_memory(err);
	if (chown(folder, st->st_uid, st->st_gid) < 0 && chown(folder, (uid_t)-1, st->st_gid) < 0)
		mode &= 07707;
	return chmod(folder, mode) < 0 ? pl_fail_errno(err, -errno, "set the mode of '%s'", folder)
				       : 0;
}

int
pl_storage_mode_like(struct pl_disk *disk, const char *path, struct platter_error *err)
{
	struct pl_leaf *leaf = pl_leaf_of(disk);
	struct stat st;
	int r = 0;

	if (stat(path, &st) < 0)
		return pl_fail_errno(err, -errno, "look at '%s'", path);
	if (leaf && leaf->output.inside && S_ISDIR(st.st_mode))
		return mode_of_folder(leaf, &st, err);
	for (size_t i = 0; leaf && i < leaf->nr_parts && r == 0; i++) {
		mode_t mode = st.st_mode & 07777;
		struct pl_part *part = NULL;

		r = pl_leaf_get(leaf, i, &part, err);
		if (r < 0)
			break;
		/* Another's group that we are not in must not gain by what its own might do. */
		if (fchown(part->fd, st.st_uid, st.st_gid) < 0 &&
		    fchown(part->fd, (uid_t)-1, st.st_gid) < 0)
			mode &= 07707;
		if (fchmod(part->fd, mode) < 0)
			r = pl_fail_errno(err, -errno, "set the mode of '%s'", part->path);
		pl_leaf_put(leaf, part);
	}
	if (r == 0 && leaf && leaf->output.beside)
		r = pl_storage_mode_like(&leaf->output.beside->disk, path, err);
	return r;
}

int
pl_storage_commit(struct pl_disk *disk, bool sync, struct platter_error *err)
{
	struct pl_leaf *leaf = pl_leaf_of(disk);
	int r = 0;

	if (!leaf || !leaf->output.pending)
		return 0;
	if (sync)
		r = pl_flush(disk, err);
	if (r == 0 && leaf->output.target)
		r = name_all(leaf, sync, err);
	if (r < 0)
		return r;
	leaf->output.pending = false;
	if (!leaf->output.target)
		return 0;
	flock(leaf->parts[0]->fd, LOCK_UN);
	return sync ? sync_folder(leaf->output.target, err) : 0;
}

void
pl_storage_abandon(struct pl_disk *disk, bool keep)
{
	struct pl_leaf *leaf = pl_leaf_of(disk);

	if (!leaf || !leaf->output.pending)
		return;
	leaf->output.pending = false;
	if (leaf->output.inside && leaf->output.target) {
		PL_AUTOFREE char *folder = pl_storage_folder(&leaf->disk);

		if (folder)
			pl_folder_remove(folder, NULL);
		return;
	}
	if (keep)
		return;
	if (leaf->output.beside) {
		leaf->output.beside->output.pending = true;
		pl_storage_abandon(&leaf->output.beside->disk, false);
	}
	/* A redirected file cannot be removed, but need not pass for an image. */
	if (leaf->output.redirected)
		pl_part_cut(leaf->parts[0], 0, NULL);
	for (size_t i = leaf->nr_parts; leaf->output.target && i-- > 0;)
		unlink(leaf->parts[i]->path);
}
