/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "direct.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "part.h"

/* What a file system takes as alignment of direct I/O; the second where 512 is refused. */
static const uint32_t alignments[] = { 512, 4096 };

static int
open_failed(const char *path, int code, struct platter_error *err)
{
	int r;

	if (code == -ENOMEDIUM)
		return pl_fail(err, code, "there is no medium in '%s'", path);
	if (code == -ENXIO || code == -ENODEV)
		return pl_fail(err, code, "there is no device behind '%s'", path);
	r = pl_fail_errno(err, code, "open '%s'", path);
	if (code == -EACCES || code == -EPERM)
		pl_hint(err, "devices need administrator rights: try with sudo");
	return r;
}

static int
describe_device(struct pl_direct *d, const struct stat *st, struct platter_error *err)
{
	int logical = 0;

	d->device = true;
	d->id_major = major(st->st_rdev);
	d->id_minor = minor(st->st_rdev);
	if (ioctl(d->fd, BLKGETSIZE64, &d->size) < 0)
		return pl_fail_errno(err, -errno, "get the size of '%s'", d->path);
	if (ioctl(d->fd, BLKSSZGET, &logical) == 0 && logical >= 512 &&
	    pl_is_power_of_two((uint64_t)logical))
		d->sector_size = (uint32_t)logical;
	return 0;
}

/* The smallest alignment that the file system takes; none: the page cache. */
static int
choose_alignment(struct pl_direct *d, struct platter_error *err)
{
	PL_AUTOFREE void *buf = pl_alloc_aligned(KIB(8));

	if (!buf)
		return pl_no_memory(err);
	for (size_t i = 0; i < ARRAY_SIZE(alignments); i++)
		if (d->size <= alignments[i] ||
		    pread(d->fd, buf, alignments[i], (off_t)alignments[i]) >= 0 ||
		    errno != EINVAL) {
			d->sector_size = alignments[i];
			return 0;
		}
	d->cached = fcntl(d->fd, F_SETFL, 0) == 0;
	return 0;
}

int
pl_direct_open(const char *path, struct pl_direct *ret, struct platter_error *err)
{
	struct pl_direct d = { .fd = -1, .sector_size = 512 };
	int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return open_failed(path, -errno, err);
	r = pl_part_check_type(path, &st, err);
	if (r < 0)
		return r;
	/* A drive whose tray is open answers at once only so; of a device it changes nothing else. */
	d.fd = open(path, flags | O_DIRECT);
	if (d.fd < 0 && errno == EINVAL) {
		d.cached = true;
		d.fd = open(path, flags);
	}
	if (d.fd < 0)
		return open_failed(path, -errno, err);
	d.path = strdup(path);
	d.size = (uint64_t)st.st_size;
	r = d.path ? 0 : pl_no_memory(err);
	if (r == 0 && S_ISBLK(st.st_mode))
		r = describe_device(&d, &st, err);
	else if (r == 0 && !d.cached)
		r = choose_alignment(&d, err);
	if (r < 0)
		pl_direct_close(&d);
	else
		*ret = d;
	return r;
}

void
pl_direct_close(struct pl_direct *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	*d = (struct pl_direct){ .fd = -1 };
}

/*
 * Measured with a USB stick that is pulled: its reads end at once as if at the end, others' fail
 * with EIO; its folder in /sys is gone in both cases.
 */
static bool
is_gone(const struct pl_direct *d)
{
	char path[64];
	uint64_t size;

	if (!d->device)
		return false;
	snprintf(path, sizeof path, "/sys/dev/block/%" PRIu64 ":%" PRIu64, d->id_major,
		 d->id_minor);
	if (access("/sys/dev/block", F_OK) == 0 && access(path, F_OK) < 0 && errno == ENOENT)
		return true;
	return ioctl(d->fd, BLKGETSIZE64, &size) < 0 || size == 0;
}

/* What a code of pread() means.  -ENODATA: a medium error of SCSI and NVMe. */
static enum pl_direct_answer
answer_of(const struct pl_direct *d, int code)
{
	switch (code) {
	case ENODEV:
	case ENXIO:
	case ENOMEDIUM:
	case ESHUTDOWN: return PL_DIRECT_GONE;
	default: return is_gone(d) ? PL_DIRECT_GONE : PL_DIRECT_BAD;
	}
}

enum pl_direct_answer
pl_direct_read(const struct pl_direct *d, void *buf, size_t n, uint64_t offset, size_t *ret_done)
{
	size_t done = 0;
	int code = 0;

	while (done < n) {
		/* Whole sectors: at the end of a file the read is cut there. */
		size_t want = d->cached ? n - done : (size_t)pl_round_up(n - done, d->sector_size);
		ssize_t got = pread(d->fd, (uint8_t *)buf + done, want, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			code = got < 0 ? errno : ENODEV;
			break;
		}
		done += (size_t)got;
		/* The next read could not begin within a sector. */
		if (done < n && !d->cached && done % d->sector_size) {
			code = EIO;
			break;
		}
	}
	if (d->cached && !d->device)
		posix_fadvise(d->fd, (off_t)offset, (off_t)n, POSIX_FADV_DONTNEED);
	*ret_done = done >= n ? n : (size_t)pl_round_down(done, d->sector_size);
	if (done >= n)
		return PL_DIRECT_READ;
	return answer_of(d, code);
}

bool
pl_direct_span(const struct pl_direct *d, uint64_t offset, bool *ret_hole, uint64_t *ret_end)
{
	off_t data, hole;

	if (d->device)
		return false;
	data = lseek(d->fd, (off_t)offset, SEEK_DATA);
	if (data < 0 && errno != ENXIO)
		return false;
	*ret_hole = data < 0 || (uint64_t)data > offset;
	if (*ret_hole) {
		*ret_end = data < 0 ? d->size : (uint64_t)data;
		return true;
	}
	hole = lseek(d->fd, (off_t)offset, SEEK_HOLE);
	*ret_end = hole < 0 ? d->size : (uint64_t)hole;
	return hole > (off_t)offset;
}
