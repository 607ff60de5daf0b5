/* SPDX-License-Identifier: GPL-3.0-or-later */
/* stream.c - standard input and output when they cannot be seeked: once, front to back */
#include <poll.h>
#include <unistd.h>

#include "leaf.h"

struct stream {
	struct pl_disk disk;
	int fd;               /* the process's own, stays open */
	pthread_mutex_t lock; /* guards what is below */
	uint64_t position;
	bool ended;
};

/* Somebody else may have made the other end's pipe non-blocking. */
static void
wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	poll(&p, 1, -1);
}

/* Less than n only at the end. */
static int
read_on(struct stream *s, uint8_t *buf, size_t n, size_t *ret_n, struct platter_error *err)
{
	size_t done = 0;

	while (done < n && !s->ended) {
		ssize_t got = read(s->fd, buf + done, n - done);

		if (got < 0 && errno == EAGAIN)
			wait_for(s->fd, POLLIN);
		else if (got < 0 && errno != EINTR)
			return pl_fail_at(err, -EIO, s->position, "cannot read standard input: %s",
					  strerrordesc_np(errno));
		if (got == 0) {
			s->ended = true;
			__atomic_store_n(&s->disk.size, s->position, __ATOMIC_RELEASE);
		}
		if (got > 0) {
			done += (size_t)got;
			s->position += (size_t)got;
		}
	}
	*ret_n = done;
	return 0;
}

static int
stream_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	struct stream *s = pl_container_of(disk, struct stream, disk);
	size_t got = 0;
	int r;

	pthread_mutex_lock(&s->lock);
	if (offset != s->position)
		r = pl_fail_at(err, -ESPIPE, offset,
			       "byte %" PRIu64 " of standard input was asked for at byte %" PRIu64
			       ": a stream is read once, from front to back",
			       offset, s->position);
	else
		r = read_on(s, buf, n, &got, err);
	if (r == 0 && got < n)
		r = pl_fail_at(err, -EIO, s->position, "standard input ends at byte %" PRIu64,
			       s->position);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* Unread bytes are data, as far as anybody knows. */
static int
stream_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	   struct platter_error *err)
{
	*ret = (struct pl_extent){ .length = length, .kind = PLATTER_DATA };
	return 0;
}

static int
write_on(struct stream *s, const uint8_t *buf, size_t n, struct platter_error *err)
{
	while (n) {
		ssize_t put = write(s->fd, buf, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == EAGAIN) {
			wait_for(s->fd, POLLOUT);
			continue;
		}
		if (put < 0 && errno == EPIPE)
			return pl_fail_at(err, -EPIPE, s->position,
					  "the program that reads standard output has ended");
		if (put < 0)
			return pl_fail_at(err, errno == ENOSPC ? -ENOSPC : -EIO, s->position,
					  "cannot write to standard output: %s",
					  strerrordesc_np(errno));
		buf += put;
		n -= (size_t)put;
		s->position += (size_t)put;
	}
	return 0;
}

static int
write_gap(struct stream *s, uint64_t length, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *zeros = length ? calloc(1, PL_MIN(length, MIB(1))) : NULL;
	int r = 0;

	if (length && !zeros)
		return pl_no_memory(err);
	while (length && r == 0) {
		size_t n = (size_t)PL_MIN(length, MIB(1));

		r = write_on(s, zeros, n, err);
		length -= n;
	}
	return r;
}

static int
stream_write(struct pl_disk *disk, const void *buf, size_t n, uint64_t offset,
	     struct platter_error *err)
{
	struct stream *s = pl_container_of(disk, struct stream, disk);
	int r;

	if (offset < s->position)
		return pl_fail_at(err, -ESPIPE, offset,
				  "byte %" PRIu64
				  " of standard output is to be written at byte %" PRIu64
				  ": a stream is written once, from front to back",
				  offset, s->position);
	r = write_gap(s, offset - s->position, err);
	if (r == 0)
		r = write_on(s, buf, n, err);
	disk->size = s->position;
	return r;
}

static int
written_read(struct pl_disk *disk, void *buf, size_t n, uint64_t offset, struct platter_error *err)
{
	return pl_fail_at(err, -ESPIPE, offset,
			  "what was written to standard output cannot be read back");
}

/* Zeros up to a new end; what was written cannot be taken back. */
static int
stream_resize(struct pl_disk *disk, uint64_t size, struct platter_error *err)
{
	return size == disk->size ? 0 : stream_write(disk, NULL, 0, size, err);
}

static void
stream_free(struct pl_disk *disk)
{
	struct stream *s = pl_container_of(disk, struct stream, disk);

	pthread_mutex_destroy(&s->lock);
	pl_disk_done(disk);
	free(s);
}

static int
stream_new(const struct pl_disk_ops *ops, const char *name, int fd, struct stream **ret,
	   struct platter_error *err)
{
	struct stream *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return pl_no_memory(err);
	r = pl_disk_init(&s->disk, ops, name, err);
	if (r < 0) {
		free(s);
		return r;
	}
	pthread_mutex_init(&s->lock, NULL);
	s->fd = fd;
	s->disk.sequential = true;
	*ret = s;
	return 0;
}

static const struct pl_disk_ops input_ops = {
	.name = "stream",
	.map = stream_map,
	.read = stream_read,
	.free = stream_free,
};

static const struct pl_disk_ops output_ops = {
	.name = "stream",
	.map = stream_map,
	.read = written_read,
	.write = stream_write,
	.resize = stream_resize,
	.free = stream_free,
};

int
pl_stream_input(int fd, struct pl_disk **ret, struct platter_error *err)
{
	struct stream *s;
	int r = stream_new(&input_ops, "standard input", fd, &s, err);

	if (r < 0)
		return r;
	s->disk.size = UINT64_MAX;
	*ret = &s->disk;
	return 0;
}

int
pl_stream_output(int fd, struct pl_disk **ret, struct platter_error *err)
{
	struct stream *s;
	int r = stream_new(&output_ops, "standard output", fd, &s, err);

	if (r < 0)
		return r;
	s->disk.writable = s->disk.growable = true;
	*ret = &s->disk;
	return 0;
}

int
pl_stream_read(struct pl_disk *disk, void *buf, size_t n, size_t *ret_n, struct platter_error *err)
{
	struct stream *s;
	int r;

	if (disk->ops != &input_ops)
		return pl_invalid(err, "'%s' is no stream", disk->name);
	s = pl_container_of(disk, struct stream, disk);
	pthread_mutex_lock(&s->lock);
	r = read_on(s, buf, n, ret_n, err);
	pthread_mutex_unlock(&s->lock);
	return r;
}
