/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wipe-fill.c - the free space of a mounted file system
 *
 * A folder is filled with files until nothing fits any more; they are read back and removed.  What
 * a killed run left behind goes first: its folder is not locked any more.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "wipe.h"

#define PREFIX ".platter-wipe-"

/* FAT has no files of 4 GiB; in small ones less is lost where one cannot be read back. */
#define FILE_SIZE GIB(1)
#define MAX_FILES 1000000
#define PIECE     MIB(1)
#define SMALLEST  512

/* Rounds of writing what became free when the last one had reached the disk. */
#define MAX_ROUNDS 8

struct fill {
	struct pl_wipe *w;
	struct pl_meter *meter;
	int dir; /* the folder of our files */
	char name[64];
	uint8_t *bytes, *got;
	uint64_t *length; /* of each file */
	unsigned nr_files;
	unsigned pass;
};

static void
file_name(unsigned index, char *buf, size_t n)
{
	snprintf(buf, n, "%06u", index);
}

/* Only what has a name that we give: digits. */
static void
empty_folder(int dir)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strspn(e->d_name, "0123456789") == strlen(e->d_name))
			unlinkat(dir, e->d_name, 0);
	if (d)
		closedir(d);
	else if (copy >= 0)
		close(copy);
}

static void
remove_leftover(int parent, const char *name)
{
	int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (dir < 0)
		return;
	if (fstat(dir, &st) == 0 && st.st_uid == geteuid() && flock(dir, LOCK_EX | LOCK_NB) == 0) {
		empty_folder(dir);
		unlinkat(parent, name, AT_REMOVEDIR);
	}
	close(dir);
}

static void
remove_leftovers(const struct pl_wipe *w)
{
	int copy = openat(w->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) == 0)
			remove_leftover(w->fd, e->d_name);
	if (d)
		closedir(d);
	else if (copy >= 0)
		close(copy);
}

static int
make_folder(struct fill *f, struct platter_error *err)
{
	snprintf(f->name, sizeof f->name, PREFIX "%d", (int)getpid());
	if (mkdirat(f->w->fd, f->name, 0700) < 0)
		return pl_fail_errno(err, -errno, "make a folder in '%s'", f->w->path);
	f->dir = openat(f->w->fd, f->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (f->dir < 0 || flock(f->dir, LOCK_EX | LOCK_NB) < 0)
		return pl_fail_errno(err, -errno, "open the folder in '%s'", f->w->path);
	return 0;
}

static void
remove_folder(struct fill *f)
{
	if (f->dir < 0)
		return;
	empty_folder(f->dir);
	unlinkat(f->w->fd, f->name, AT_REMOVEDIR);
	close(f->dir);
	f->dir = -1;
	f->nr_files = 0;
	syncfs(f->w->fd);
}

static bool
is_full(int code)
{
	return code == -ENOSPC || code == -EDQUOT;
}

/* Add to a file until it is as long as may be, or nothing fits: *ret_full. */
static int
fill_file(struct fill *f, int fd, unsigned index, bool *ret_full, struct platter_error *err)
{
	uint64_t *length = &f->length[index];
	size_t n = PIECE;

	*ret_full = false;
	while (*length < FILE_SIZE) {
		size_t want = PL_MIN(n, PIECE - *length % PIECE);
		ssize_t done;
		int r;

		if (pl_meter_cancelled(f->meter))
			return pl_fail(err, -ECANCELED, "stopped");
		r = pl_wipe_bytes(f->w->order[f->pass], f->pass, f->w->state.seed,
				  index * FILE_SIZE + *length, f->bytes, want, err);
		if (r < 0)
			return r;
		done = write(fd, f->bytes, want);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && !is_full(-errno))
			return pl_fail_errno(err, -errno, "write to a file in '%s'", f->w->path);
		if (done <= 0 && n <= SMALLEST) {
			*ret_full = true;
			return 0;
		}
		if (done <= 0) {
			n /= 2;
			continue;
		}
		*length += (uint64_t)done;
		pl_meter_add(f->meter, (uint64_t)done, (uint64_t)done);
	}
	return 0;
}

/* Go on with one file, or make it; -ENOSPC without words: not even that fits. */
static int
next_file(struct fill *f, unsigned index, bool *ret_full, struct platter_error *err)
{
	char name[16];
	int fd, r;

	if (index == f->nr_files) {
		uint64_t *more = pl_realloc_array(f->length, index + 1, sizeof *more);

		if (!more)
			return pl_no_memory(err);
		f->length = more;
		f->length[index] = 0;
	}
	file_name(index, name, sizeof name);
	fd = openat(f->dir, name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	*ret_full = fd < 0 && is_full(-errno);
	if (fd < 0)
		return *ret_full ? 0
				 : pl_fail_errno(err, -errno, "make a file in '%s'", f->w->path);
	if (index == f->nr_files)
		f->nr_files++;
	r = fill_file(f, fd, index, ret_full, err);
	if (r == 0 && fdatasync(fd) < 0 && !is_full(-errno))
		r = pl_fail_errno(err, -errno, "bring a file in '%s' to the drive", f->w->path);
	close(fd);
	return r;
}

static uint64_t
bytes_written(const struct fill *f)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < f->nr_files; i++)
		n += f->length[i];
	return n;
}

/* What looks full may have room again once its blocks are really given out. */
static int
fill_up(struct fill *f, struct platter_error *err)
{
	unsigned index = 0;
	int r = 0;

	for (unsigned round = 0; round < MAX_ROUNDS && r == 0; round++) {
		uint64_t before = bytes_written(f);
		bool full = false;

		while (!full && r == 0 && index < MAX_FILES) {
			r = next_file(f, index, &full, err);
			if (r == 0 && !full)
				index++;
		}
		syncfs(f->w->fd);
		if (round && bytes_written(f) == before)
			break;
	}
	return r;
}

static int
compare_piece(struct fill *f, int fd, unsigned index, uint64_t at, size_t n,
	      struct platter_error *err)
{
	struct platter_wipe_report *report = &f->w->report;
	ssize_t got = pread(fd, f->got, n, (off_t)at);
	int r;

	if (got < 0 || (size_t)got < n) {
		report->unreadable += n;
		return 0;
	}
	r = pl_wipe_bytes(f->w->order[f->pass], f->pass, f->w->state.seed, index * FILE_SIZE + at,
			  f->bytes, n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i += SMALLEST)
		if (memcmp(f->bytes + i, f->got + i, PL_MIN(SMALLEST, n - i)) != 0)
			report->different += PL_MIN(SMALLEST, n - i);
	report->verified += n;
	return 0;
}

/* Of a sample the pieces that a throw of dice takes. */
static bool
is_taken(const struct fill *f, unsigned index, uint64_t at)
{
	uint8_t dice[8];

	if (f->w->report.verify == PLATTER_WIPE_VERIFY_FULL)
		return true;
	if (pl_wipe_bytes((struct pl_wipe_pattern){ 0 }, UINT32_MAX - 1, f->w->state.seed,
			  (index * FILE_SIZE + at) / PIECE * sizeof dice, dice, sizeof dice,
			  NULL) < 0)
		return true;
	return (double)get_be64(dice) < f->w->state.share * 0x1p64;
}

static int
read_back(struct fill *f, struct platter_error *err)
{
	int r = 0;

	f->w->report.verify_started = time(NULL);
	for (unsigned i = 0; i < f->nr_files && r == 0; i++) {
		char name[16];
		int fd;

		file_name(i, name, sizeof name);
		fd = openat(f->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return pl_fail_errno(err, -errno, "read a file in '%s'", f->w->path);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		for (uint64_t at = 0; at < f->length[i] && r == 0; at += PIECE) {
			size_t n = (size_t)PL_MIN(PIECE, f->length[i] - at);

			if (pl_meter_cancelled(f->meter))
				r = pl_fail(err, -ECANCELED, "stopped");
			else if (is_taken(f, i, at))
				r = compare_piece(f, fd, i, at, n, err);
			pl_meter_add(f->meter, n, n);
		}
		close(fd);
	}
	f->w->report.verify_finished = time(NULL);
	return r;
}

static int
fill_passes(struct fill *f, struct platter_error *err)
{
	struct pl_wipe *w = f->w;
	int r = 0;

	for (f->pass = 0; f->pass < w->nr_passes && r == 0; f->pass++) {
		struct pl_wipe_did *did = &w->state.did[f->pass];

		did->started = time(NULL);
		r = make_folder(f, err);
		if (r == 0)
			r = fill_up(f, err);
		did->written = bytes_written(f);
		did->finished = r < 0 ? 0 : time(NULL);
		if (r == 0 && f->pass + 1 == w->nr_passes &&
		    w->report.verify != PLATTER_WIPE_VERIFY_NONE)
			r = read_back(f, err);
		remove_folder(f);
	}
	return r;
}

int
pl_wipe_fill(struct pl_wipe *w, struct pl_meter *meter, struct platter_error *err)
{
	struct fill f = { .w = w, .meter = meter, .dir = -1 };
	struct platter_wipe_report *report = &w->report;
	int r;

	f.bytes = pl_alloc_aligned(PIECE);
	f.got = pl_alloc_aligned(PIECE);
	if (!f.bytes || !f.got) {
		r = pl_no_memory(err);
	} else {
		remove_leftovers(w);
		r = fill_passes(&f, err);
	}
	if (r == 0 && report->verify != PLATTER_WIPE_VERIFY_NONE)
		snprintf(w->verify_text, sizeof w->verify_text,
			 report->different || report->unreadable
				 ? "%" PRIu64 " bytes of the files differ, %" PRIu64
				   " could not be read"
				 : "the files held what was written",
			 report->different, report->unreadable);
	free(f.bytes);
	free(f.got);
	free(f.length);
	return r;
}
