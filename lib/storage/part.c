/* SPDX-License-Identifier: GPL-3.0-or-later */
/* part.c - one open file or block device: opening, reading, writing, holes */
#include "part.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

/* What every file system takes as alignment of direct I/O, and no drive has larger sectors. */
#define DIRECT_ALIGN 4096

/* An unaligned direct read goes through a buffer of at most this size. */
#define BOUNCE_SIZE MIB(1)

/*
 * Writes of this size go to the device at once, so that the flush at the end finds little to
 * do.  Only the range just written: to have the whole file looked through took twice as long.
 */
#define SEND_FROM MIB(1)

int
pl_part_new(const char *path, struct pl_part **ret, struct platter_error *err)
{
	struct pl_part *part = calloc(1, sizeof *part);

	if (!part || !(part->path = strdup(path))) {
		free(part);
		return pl_no_memory(err);
	}
	part->fd = part->direct_fd = -1;
	part->sector_size = part->physical_sector_size = 512;
	pthread_mutex_init(&part->hole_lock, NULL);
	*ret = part;
	return 0;
}

void
pl_part_suspend(struct pl_part *part)
{
	if (part->fd >= 0)
		close(part->fd);
	if (part->direct_fd >= 0)
		close(part->direct_fd);
	part->fd = part->direct_fd = -1;
	free(PL_STEAL(part->known));
	part->nr_known = 0;
}

void
pl_part_free(struct pl_part *part)
{
	if (!part)
		return;
	pl_part_suspend(part);
	pthread_mutex_destroy(&part->hole_lock);
	free(part->path);
	free(part);
}

int
pl_part_check_type(const char *path, const struct stat *st, struct platter_error *err)
{
	const char *what;
	int r;

	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
	case S_IFBLK: return 0;
	case S_IFDIR:
		return pl_fail(err, -EISDIR, "'%s' is a folder, not an image or a device", path);
	case S_IFCHR: what = "character device"; break;
	case S_IFIFO: what = "named pipe"; break;
	case S_IFSOCK: what = "socket"; break;
	default: what = "special file"; break;
	}
	r = pl_invalid(err, "'%s' is a %s, not an image or a block device", path, what);
	if (S_ISFIFO(st->st_mode))
		pl_hint(err, "to read from a pipe, redirect it to standard input and name it '-'");
	return r;
}

static int
describe_open(struct pl_part *part, const struct stat *st, struct platter_error *err)
{
	part->device = S_ISBLK(st->st_mode);
	if (part->device) {
		part->id = (struct pl_file_id){ .device = st->st_rdev };
		return pl_block_describe(part, st, err);
	}
	part->id = (struct pl_file_id){ .device = st->st_dev, .inode = st->st_ino };
	part->size = (uint64_t)st->st_size;
	return 0;
}

int
pl_part_adopt(struct pl_part *part, int fd, bool writable, struct platter_error *err)
{
	struct stat st;
	int r;

	part->fd = fd;
	part->writable = writable;
	r = fstat(fd, &st) < 0 ? pl_fail_errno(err, -errno, "examine '%s'", part->path)
			       : pl_part_check_type(part->path, &st, err);
	if (r == 0)
		r = describe_open(part, &st, err);
	if (r < 0)
		pl_part_suspend(part);
	return r;
}

static int
open_failed(const char *path, int code, bool device, bool writing, struct platter_error *err)
{
	int r;

	switch (code) {
	case -EBUSY:
		r = pl_fail(err, code, "'%s' is in use (mounted, or part of another device)", path);
		pl_hint(err, "unmount it first; 'lsblk %s' shows what uses it", path);
		return r;
	case -ENOMEDIUM: return pl_fail(err, code, "there is no medium in '%s'", path);
	case -ENXIO:
	case -ENODEV: return pl_fail(err, code, "there is no device behind '%s'", path);
	case -EROFS:
		return pl_fail(err, code,
			       device ? "'%s' is read-only" : "'%s' is on a read-only file system",
			       path);
	case -ETXTBSY: return pl_fail(err, code, "'%s' is a program that is running", path);
	default: break;
	}
	r = pl_fail_errno(err, code, "open '%s'%s", path, writing ? " for writing" : "");
	if ((code == -EACCES || code == -EPERM) && device)
		pl_hint(err, "devices need administrator rights: try with sudo");
	return r;
}

int
pl_part_open(struct pl_part *part, unsigned flags, struct platter_error *err)
{
	bool writing = flags & PLATTER_OPEN_WRITE;
	int mode = O_CLOEXEC | O_NOCTTY | (writing ? O_RDWR : O_RDONLY);
	struct stat st;
	int fd, r;

	/* Asked before opening: to open a pipe may block, a tape or a watchdog has effects. */
	if (stat(part->path, &st) < 0)
		return open_failed(part->path, -errno, false, writing, err);
	r = pl_part_check_type(part->path, &st, err);
	if (r < 0)
		return r;
	if (!S_ISBLK(st.st_mode))
		/* What has taken its place since must not block either. */
		mode |= O_NONBLOCK;
	else if (flags & PLATTER_OPEN_EXCLUSIVE)
		mode |= O_EXCL;
	fd = open(part->path, mode);
	if (fd < 0)
		return open_failed(part->path, -errno, S_ISBLK(st.st_mode), writing, err);
	r = pl_part_adopt(part, fd, writing, err);
	if (r == 0 && writing)
		r = pl_part_lock(part, err);
	if (r < 0 || !(flags & PLATTER_OPEN_DIRECT))
		return r;
	part->direct_reads = true;
	part->direct_fd = open(part->path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return 0;
}

int
pl_part_resume(struct pl_part *part, struct platter_error *err)
{
	struct stat st;
	int r;

	part->fd = open(part->path,
			O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (part->writable ? O_RDWR : O_RDONLY));
	if (part->fd < 0)
		return open_failed(part->path, -errno, false, part->writable, err);
	if (fstat(part->fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_dev != part->id.device ||
	    st.st_ino != part->id.inode) {
		pl_part_suspend(part);
		return pl_fail(err, -EIO, "'%s' was replaced by another file while it was used",
			       part->path);
	}
	if (part->locked && (r = pl_part_lock(part, err)) < 0) {
		pl_part_suspend(part);
		return r;
	}
	if (part->direct_reads)
		part->direct_fd = open(part->path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK);
	if (part->direct_writes)
		pl_part_write_direct(part);
	return 0;
}

void
pl_part_write_direct(struct pl_part *part)
{
	part->direct_fd = open(part->path, O_WRONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK);
	part->direct_writes = part->direct_fd >= 0;
}

static int
read_failed(struct pl_part *part, int code, size_t n, uint64_t at, struct platter_error *err)
{
	char why[128];

	if (code == -ENOMEM)
		return pl_no_memory(err);
	return pl_fail_at(err, -EIO, at, "cannot read %zu bytes at byte %" PRIu64 " of '%s': %s", n,
			  at, part->path, strerror_r(-code, why, sizeof why));
}

static int
ended_early(struct pl_part *part, uint64_t at, struct platter_error *err)
{
	return pl_fail_at(err, -EIO, at, "'%s' ends at byte %" PRIu64 ": %s", part->path, at,
			  part->device ? "the device is gone, or its medium was changed"
				       : "the file became shorter while it was read");
}

static int
read_buffered(struct pl_part *part, uint8_t *buf, size_t n, uint64_t at, struct platter_error *err)
{
	while (n) {
		ssize_t got = pread(part->fd, buf, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return read_failed(part, -errno, n, at, err);
		if (got == 0)
			return ended_early(part, at, err);
		buf += got;
		at += (size_t)got;
		n -= (size_t)got;
	}
	return 0;
}

/* One aligned direct read; returns what was read, 0 at the end, or a negative errno. */
static ssize_t
read_aligned(struct pl_part *part, uint8_t *buf, size_t n, uint64_t at)
{
	ssize_t got;

	do
		got = pread(part->direct_fd, buf, n, (off_t)at);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* Past the page cache.  -ENOTSUP, without words: the file system refuses. */
static int
read_direct(struct pl_part *part, uint8_t *buf, size_t n, uint64_t at, struct platter_error *err)
{
	uint8_t *bounce = NULL;
	int r = 0;

	while (n) {
		size_t skip = at % DIRECT_ALIGN, want, have;
		bool straight = !skip && n >= DIRECT_ALIGN && (uintptr_t)buf % DIRECT_ALIGN == 0;
		ssize_t got;

		if (!straight && !bounce && !(bounce = pl_alloc_aligned(BOUNCE_SIZE))) {
			r = pl_no_memory(err);
			break;
		}
		/* Rounded up past the end of the file: the read then ends there. */
		want = straight ? (size_t)pl_round_down(n, DIRECT_ALIGN)
				: (size_t)PL_MIN(pl_round_up(skip + n, DIRECT_ALIGN), BOUNCE_SIZE);
		got = read_aligned(part, straight ? buf : bounce, want, at - skip);
		if (got < 0) {
			r = got == -EINVAL ? -ENOTSUP : read_failed(part, (int)got, n, at, err);
			break;
		}
		if ((size_t)got <= skip) {
			r = ended_early(part, at, err);
			break;
		}
		have = PL_MIN((size_t)got - skip, n);
		if (!straight)
			memcpy(buf, bounce + skip, have);
		buf += have;
		at += have;
		n -= have;
	}
	free(bounce);
	return r;
}

int
pl_part_read(struct pl_part *part, void *buf, size_t n, uint64_t at, struct platter_error *err)
{
	if (part->direct_reads) {
		int r = part->direct_fd >= 0 ? read_direct(part, buf, n, at, err) : -ENOTSUP;

		if (r != -ENOTSUP)
			return r;
		/* The nearest to it: pages that need no writing are dropped and read again. */
		posix_fadvise(part->fd, (off_t)at, (off_t)n, POSIX_FADV_DONTNEED);
	}
	return read_buffered(part, buf, n, at, err);
}

int
pl_part_write_failed(struct pl_part *part, int code, uint64_t n, uint64_t at,
		     struct platter_error *err)
{
	char why[128];
	int r;

	switch (code) {
	case -ENOSPC:
		r = pl_fail_at(err, -ENOSPC, at,
			       "no space left for '%s' on its file system after %" PRIu64 " bytes",
			       part->path, at);
		pl_hint(err, "free some space, or write to another file system");
		return r;
	case -EDQUOT:
		return pl_fail_at(err, -ENOSPC, at,
				  "your quota is used up: '%s' stops at byte %" PRIu64, part->path,
				  at);
	case -EFBIG:
		r = pl_fail_at(err, -EFBIG, at,
			       "'%s' cannot grow past byte %" PRIu64
			       ": its file system or a limit forbids it",
			       part->path, at);
		pl_hint(err, "write the image in parts (--split), or to another file system");
		return r;
	case -EROFS:
	case -EPERM: return pl_fail_at(err, -EROFS, at, "'%s' is write-protected", part->path);
	case -ENOMEM: return pl_no_memory(err);
	default:
		return pl_fail_at(err, -EIO, at,
				  "cannot write %" PRIu64 " bytes at byte %" PRIu64 " of '%s': %s",
				  n, at, part->path, strerror_r(-code, why, sizeof why));
	}
}

static bool
is_aligned(const void *buf, size_t n, uint64_t at)
{
	return ((uintptr_t)buf | n | at) % DIRECT_ALIGN == 0;
}

/*
 * Direct and buffered writes meet in one file: the first cover whole pages, and the kernel
 * writes out and drops what the cache holds of these before and after, under the inode's lock.
 */
int
pl_part_write(struct pl_part *part, const void *buf, size_t n, uint64_t at,
	      struct platter_error *err)
{
	bool direct = part->direct_writes && part->direct_fd >= 0 && is_aligned(buf, n, at);
	const uint8_t *p = buf;
	size_t left = n;
	int r = 0;

	while (left) {
		ssize_t put = pwrite(direct ? part->direct_fd : part->fd, p, left, (off_t)at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == EINVAL && direct) {
			direct = false;
			continue;
		}
		if (put <= 0) {
			r = pl_part_write_failed(part, put < 0 ? -errno : -EIO, left, at, err);
			break;
		}
		p += put;
		at += (size_t)put;
		left -= (size_t)put;
		direct = direct && is_aligned(p, left, at);
	}
	pl_part_forget_holes(part);
	if (r == 0 && !direct && n >= SEND_FROM)
		sync_file_range(part->fd, (off_t)(at - n), (off_t)n, SYNC_FILE_RANGE_WRITE);
	return r;
}

static bool
is_unsupported(int code)
{
	return code == -EOPNOTSUPP || code == -ENOSYS || code == -ENODEV || code == -EINVAL;
}

static int
fallocate_range(struct pl_part *part, int mode, uint64_t at, uint64_t length)
{
	int r;

	do
		r = fallocate(part->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)length);
	while (r < 0 && errno == EINTR);
	r = r < 0 ? -errno : 0;
	pl_part_forget_holes(part);
	return is_unsupported(r) ? -ENOTSUP : r;
}

static int
file_size(struct pl_part *part, uint64_t *ret, struct platter_error *err)
{
	struct stat st;

	if (fstat(part->fd, &st) < 0)
		return pl_fail_errno(err, -errno, "examine '%s'", part->path);
	*ret = (uint64_t)st.st_size;
	return 0;
}

int
pl_part_zero(struct pl_part *part, uint64_t at, uint64_t length, unsigned flags,
	     struct platter_error *err)
{
	uint64_t size = 0;
	int r;

	if (part->device)
		return pl_block_zero(part, at, length, flags, err);
	r = file_size(part, &size, err);
	if (r < 0 || at >= size)
		return r;
	length = PL_MIN(length, size - at);
	r = fallocate_range(part,
			    flags & PL_ZERO_MAY_UNMAP ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE,
			    at, length);
	if (r < 0 && r != -ENOTSUP)
		return pl_part_write_failed(part, r, length, at, err);
	return r;
}

int
pl_part_discard(struct pl_part *part, uint64_t at, uint64_t length, struct platter_error *err)
{
	int r = part->device ? pl_block_discard(part, at, length, err)
			     : fallocate_range(part, FALLOC_FL_PUNCH_HOLE, at, length);

	if (r < 0 && r != -ENOTSUP)
		return pl_part_write_failed(part, r, length, at, err);
	return 0;
}

int
pl_part_flush(struct pl_part *part, struct platter_error *err)
{
	int r;

	do
		r = fdatasync(part->fd);
	while (r < 0 && errno == EINTR);
	if (r == 0 || errno == EINVAL)
		return 0;
	if (errno == ENOSPC || errno == EDQUOT)
		return pl_fail(err, -ENOSPC, "no space left on the file system of '%s'",
			       part->path);
	return pl_fail(err, -EIO, "what was written to '%s' did not reach the medium: %s",
		       part->path, strerrordesc_np(errno));
}

int
pl_part_cut(struct pl_part *part, uint64_t size, struct platter_error *err)
{
	int r;

	do
		r = ftruncate(part->fd, (off_t)size);
	while (r < 0 && errno == EINTR);
	r = r < 0 ? -errno : 0;
	pl_part_forget_holes(part);
	return r < 0 ? pl_part_write_failed(part, r, 0, size, err) : 0;
}

int
pl_part_extend(struct pl_part *part, uint64_t size, struct platter_error *err)
{
	uint64_t now = 0;
	int r = file_size(part, &now, err);

	return r < 0 || now >= size ? r : pl_part_cut(part, size, err);
}
