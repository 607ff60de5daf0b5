/* SPDX-License-Identifier: GPL-3.0-or-later */
/* share.c - copying without moving bytes: reflinks, and copies that a server makes itself */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "leaf.h"

/* File systems that copy on the server.  The numbers are those that statfs(2) lists. */
static bool
copies_by_itself(const struct statfs *fs)
{
	/* Signed and 32 bits wide on some processors. */
	switch ((uint32_t)fs->f_type) {
	case 0x6969:                  /* NFS */
	case 0xff534d42:              /* CIFS */
	case 0xfe534d42:              /* SMB2 */
	case 0x00c36400:              /* Ceph */
	case 0x65735546: return true; /* FUSE */
	default: return false;
	}
}

static int
refuse(struct pl_disk *source, struct pl_disk *target, struct platter_error *err)
{
	return pl_unsupported(err, PLATTER_NO_OFFSET, "'%s' and '%s' cannot share blocks",
			      source->name, target->name);
}

static bool
means_cannot(int code)
{
	switch (code) {
	case EOPNOTSUPP:
	case EXDEV:
	case EINVAL:
	case ENOTTY:
	case ENOSYS:
	case EPERM:
	case ETXTBSY:
	case EBADF: return true;
	default: return false;
	}
}

/* A few bytes at the ends that blocks do not cover. */
static int
copy_bytes(struct pl_disk *source, uint64_t from, struct pl_disk *target, uint64_t to, uint64_t n,
	   struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = NULL;
	int r;

	if (!n)
		return 0;
	buf = malloc((size_t)n);
	if (!buf)
		return pl_no_memory(err);
	r = pl_read(source, buf, (size_t)n, from, err);
	return r < 0 ? r : pl_write(target, buf, (size_t)n, to, err);
}

/* Whole blocks of files on one file system. */
static int
clone_blocks(struct pl_leaf *source, uint64_t from, struct pl_leaf *target, uint64_t to,
	     uint64_t length, struct platter_error *err)
{
	struct file_clone_range range = { .src_fd = source->parts[0]->fd,
					  .src_offset = from,
					  .src_length = length,
					  .dest_offset = to };
	int code = 0;

	pthread_rwlock_rdlock(&target->grow);
	if (ioctl(target->parts[0]->fd, FICLONERANGE, &range) < 0)
		code = errno;
	else
		pl_leaf_grown(target, to + length);
	pthread_rwlock_unlock(&target->grow);
	pl_part_forget_holes(target->parts[0]);
	if (!code)
		return 0;
	return means_cannot(code) ? refuse(&source->disk, &target->disk, err)
				  : pl_part_write_failed(target->parts[0], -code, length, to, err);
}

static int
share_blocks(struct pl_leaf *source, uint64_t from, struct pl_leaf *target, uint64_t to,
	     uint64_t length, uint64_t block, struct platter_error *err)
{
	uint64_t head = pl_round_up(from, block) - from, blocks;
	int r;

	if (from % block != to % block || length < head + block)
		return refuse(&source->disk, &target->disk, err);
	blocks = pl_round_down(length - head, block);
	r = clone_blocks(source, from + head, target, to + head, blocks, err);
	if (r == 0)
		r = copy_bytes(&source->disk, from, &target->disk, to, head, err);
	head += blocks;
	if (r == 0)
		r = copy_bytes(&source->disk, from + head, &target->disk, to + head, length - head,
			       err);
	return r;
}

/* Have the file system copy. */
static int
copy_inside(struct pl_leaf *source, uint64_t from, struct pl_leaf *target, uint64_t to,
	    uint64_t length, struct platter_error *err)
{
	off_t in = (off_t)from, out = (off_t)to;
	uint64_t left = length;
	int code = 0;

	pthread_rwlock_rdlock(&target->grow);
	while (left && !code) {
		ssize_t n = copy_file_range(source->parts[0]->fd, &in, target->parts[0]->fd, &out,
					    (size_t)PL_MIN(left, GIB(1)), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			code = n < 0 ? errno : EINVAL;
		else
			left -= (size_t)n;
	}
	if (left < length)
		pl_leaf_grown(target, to + (length - left));
	pthread_rwlock_unlock(&target->grow);
	pl_part_forget_holes(target->parts[0]);
	if (!code)
		return 0;
	/* What was copied is right, and may be written again. */
	return means_cannot(code)
		       ? refuse(&source->disk, &target->disk, err)
		       : pl_part_write_failed(target->parts[0], -code, left, (uint64_t)out, err);
}

int
pl_storage_share(struct pl_disk *source, uint64_t from, struct pl_disk *target, uint64_t to,
		 uint64_t length, struct platter_error *err)
{
	struct pl_leaf *s = pl_leaf_of(source), *t = pl_leaf_of(target);
	struct statfs fs;
	uint64_t end;

	if (!pl_in_range(from, length, source->size) || __builtin_add_overflow(to, length, &end) ||
	    end > INT64_MAX || (!target->growable && end > target->size))
		return pl_fail(err, -ERANGE,
			       "%" PRIu64 " bytes at %" PRIu64 " pass the end of a disk", length,
			       PL_MAX(from, to));
	if (!s || !t || s->nr_parts != 1 || t->nr_parts != 1 || t->split || !target->writable ||
	    s->parts[0]->device || t->parts[0]->device || fstatfs(t->parts[0]->fd, &fs) < 0)
		return refuse(source, target, err);
	if (!length)
		return 0;
	/* Elsewhere the kernel would only read and write, on one thread. */
	if (copies_by_itself(&fs))
		return s->parts[0]->id.device == t->parts[0]->id.device
			       ? copy_inside(s, from, t, to, length, err)
			       : refuse(source, target, err);
	if (fs.f_bsize < 512 || fs.f_bsize > INT32_MAX || !pl_is_power_of_two((uint64_t)fs.f_bsize))
		return refuse(source, target, err);
	return share_blocks(s, from, t, to, length, (uint64_t)fs.f_bsize, err);
}
