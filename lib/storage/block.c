/* SPDX-License-Identifier: GPL-3.0-or-later */
/* block.c - what is different with block devices */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "part.h"

/* A number from the queue of a device, or of the disk that a partition is on; 0: unknown. */
static uint64_t
queue_limit(dev_t device, const char *name)
{
	static const char *const folders[] = { "queue", "../queue" };
	unsigned long long value = 0;

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		char path[128];
		FILE *f;

		snprintf(path, sizeof path, "/sys/dev/block/%u:%u/%s/%s", major(device),
			 minor(device), folders[i], name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fscanf(f, "%llu", &value) != 1)
			value = 0;
		fclose(f);
		break;
	}
	return value;
}

int
pl_block_describe(struct pl_part *part, const struct stat *st, struct platter_error *err)
{
	unsigned physical = 0;
	int logical = 0, read_only = 0, r;
	uint64_t size;

	if (ioctl(part->fd, BLKGETSIZE64, &size) < 0)
		return pl_fail_errno(err, -errno, "get the size of '%s'", part->path);
	part->size = size;
	if (ioctl(part->fd, BLKSSZGET, &logical) == 0 && logical >= 512 &&
	    pl_is_power_of_two((uint64_t)logical))
		part->sector_size = part->physical_sector_size = (uint32_t)logical;
	if (ioctl(part->fd, BLKPBSZGET, &physical) == 0 && physical > part->sector_size)
		part->physical_sector_size = physical;
	if (!part->writable)
		return 0;
	/* Some drivers let a write-protected device be opened, and fail the first write. */
	if (ioctl(part->fd, BLKROGET, &read_only) == 0 && read_only) {
		r = pl_fail(err, -EROFS, "'%s' is read-only", part->path);
		pl_hint(err, "look for a write-protect switch, or see 'blockdev --setrw %s'",
			part->path);
		return r;
	}
	part->no_zero_command = queue_limit(st->st_rdev, "write_zeroes_max_bytes") == 0;
	return 0;
}

static int
write_zeros(struct pl_part *part, uint64_t at, uint64_t length, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *zeros = NULL;

	if (!length)
		return 0;
	zeros = calloc(1, (size_t)length);
	return zeros ? pl_part_write(part, zeros, (size_t)length, at, err) : pl_no_memory(err);
}

static int
zero_command(struct pl_part *part, uint64_t at, uint64_t length, unsigned flags)
{
	if (flags & PL_ZERO_MAY_UNMAP &&
	    fallocate(part->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
		      (off_t)length) == 0)
		return 0;
	/* The kernel itself writes zeros where the device has no command for it. */
	if (flags & PL_ZERO_NO_FALLBACK && part->no_zero_command)
		return -ENOTSUP;
	if (fallocate(part->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)at,
		      (off_t)length) == 0)
		return 0;
	return errno == EOPNOTSUPP || errno == EINVAL || errno == ENODEV ? -ENOTSUP : -errno;
}

int
pl_block_zero(struct pl_part *part, uint64_t at, uint64_t length, unsigned flags,
	      struct platter_error *err)
{
	uint64_t end = at + length;
	uint64_t first = pl_round_up(at, part->sector_size);
	uint64_t last = pl_round_down(end, part->sector_size);
	int r;

	/* Within two neighbouring sectors: less than both. */
	if (first >= last)
		return write_zeros(part, at, length, err);
	r = zero_command(part, first, last - first, flags);
	if (r < 0)
		return r == -ENOTSUP ? r : pl_part_write_failed(part, r, last - first, first, err);
	r = write_zeros(part, at, first - at, err);
	return r < 0 ? r : write_zeros(part, last, end - last, err);
}

int
pl_block_discard(struct pl_part *part, uint64_t at, uint64_t length, struct platter_error *err)
{
	uint64_t range[2] = { pl_round_up(at, part->sector_size) };
	uint64_t last = pl_round_down(at + length, part->sector_size);

	if (range[0] >= last)
		return 0;
	range[1] = last - range[0];
	if (ioctl(part->fd, BLKDISCARD, range) == 0)
		return 0;
	return errno == EOPNOTSUPP || errno == ENOTTY || errno == EINVAL ? -ENOTSUP : -errno;
}
