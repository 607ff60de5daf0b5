/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lock.c - keeping others from an image that is being changed
 *
 * In QEMU's way (RAW_LOCK_PERM_BASE and RAW_LOCK_SHARED_BASE of its block/file-posix.c), so
 * that its programs and ours keep out each other.  Locks of open file descriptions on single
 * bytes, which need not exist, say
 *
 *	byte 100 + n	somebody does n
 *	byte 200 + n	somebody needs that no other does n
 *
 * All are shared locks; whether another has one is asked as if to lock the byte alone.  Each
 * first tells what it does and then looks at the others, so of two at once one gives way.
 */
#include <fcntl.h>

#include "part.h"

enum {
	READS = 0, /* and relies on what it read to stay */
	WRITES = 1,
	RESIZES = 3,
};
#define DOES(n)    (100 + (n))
#define FORBIDS(n) (200 + (n))

static struct flock
byte_lock(short type, off_t byte)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
}

static int
tell(int fd, off_t byte)
{
	struct flock lock = byte_lock(F_RDLCK, byte);

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static bool
is_told_by_another(int fd, off_t byte)
{
	struct flock lock = byte_lock(F_WRLCK, byte);

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int
busy(const struct pl_part *part, bool writes, struct platter_error *err)
{
	int r = pl_fail(err, -EBUSY, "'%s' is in use: another program %s", part->path,
			writes ? "has it open to write it"
			       : "reads it and keeps others from writing it");

	pl_hint(err,
		"shut down the virtual machine, or wait for the qemu-img, qemu-nbd or platter, that"
		" uses it; 'fuser -v %s' shows which",
		part->path);
	return r;
}

int
pl_part_check_unwritten(const struct pl_part *part, struct platter_error *err)
{
	if (is_told_by_another(part->fd, DOES(WRITES)) ||
	    is_told_by_another(part->fd, DOES(RESIZES)))
		return busy(part, true, err);
	return 0;
}

int
pl_part_lock(struct pl_part *part, struct platter_error *err)
{
	static const off_t ours[] = { DOES(READS), DOES(WRITES), DOES(RESIZES), FORBIDS(WRITES),
				      FORBIDS(RESIZES) };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		r = tell(part->fd, ours[i]);

		if (r == -EAGAIN || r == -EACCES)
			return busy(part, true, err);
		/* Without locks (some network file systems) nobody is kept out. */
		if (r < 0)
			return 0;
	}
	r = pl_part_check_unwritten(part, err);
	if (r < 0)
		return r;
	if (is_told_by_another(part->fd, FORBIDS(READS)) ||
	    is_told_by_another(part->fd, FORBIDS(WRITES)) ||
	    is_told_by_another(part->fd, FORBIDS(RESIZES)))
		return busy(part, false, err);
	part->locked = true;
	return 0;
}
