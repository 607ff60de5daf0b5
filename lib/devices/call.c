/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "call.h"

#include <linux/nvme_ioctl.h>
#include <poll.h>
#include <scsi/sg.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "transport.h"

enum {
	/* For the kernel's error handling, which resets the drive and its bus first. */
	GRACE = 30 * PL_SECOND,
};

/* In memory that both processes have. */
struct shared {
	bool done;
	int result; /* of ioctl(2), or a negative errno */
	union {
		sg_io_hdr_t sg;
		struct nvme_passthru_cmd nvme;
	} io;
	uint8_t cdb[16], sense[PL_SENSE_SIZE];
	uint8_t data[];
};

/* What of a call's argument points elsewhere. */
struct parts {
	void *data;
	size_t length;
	bool out; /* the data is sent out */
	uint64_t timeout;
};

static struct parts
parts_of(unsigned long request, const void *argument)
{
	if (request == SG_IO) {
		const sg_io_hdr_t *io = argument;

		return (struct parts){ io->dxferp, io->dxfer_len,
				       io->dxfer_direction == SG_DXFER_TO_DEV, io->timeout };
	}
	const struct nvme_passthru_cmd *io = argument;

	return (struct parts){ (void *)(uintptr_t)io->addr, io->data_len, false, io->timeout_ms };
}

static void
copy_in(struct shared *s, unsigned long request, const void *argument, const struct parts *parts)
{
	if (parts->out)
		memcpy(s->data, parts->data, parts->length);
	if (request == SG_IO) {
		s->io.sg = *(const sg_io_hdr_t *)argument;
		memcpy(s->cdb, s->io.sg.cmdp, PL_MIN(s->io.sg.cmd_len, sizeof s->cdb));
		s->io.sg.cmdp = s->cdb;
		s->io.sg.sbp = s->sense;
		s->io.sg.dxferp = parts->length ? s->data : NULL;
	} else {
		s->io.nvme = *(const struct nvme_passthru_cmd *)argument;
		s->io.nvme.addr = parts->length ? (uint64_t)(uintptr_t)s->data : 0;
	}
}

static void
copy_out(const struct shared *s, unsigned long request, void *argument, const struct parts *parts)
{
	if (parts->length && !parts->out)
		memcpy(parts->data, s->data, parts->length);
	if (request == SG_IO) {
		sg_io_hdr_t *io = argument, before = *io;

		*io = s->io.sg;
		io->cmdp = before.cmdp;
		io->sbp = before.sbp;
		io->dxferp = before.dxferp;
		memcpy(io->sbp, s->sense, PL_MIN(io->sb_len_wr, sizeof s->sense));
	} else {
		((struct nvme_passthru_cmd *)argument)->result = s->io.nvme.result;
	}
}

/* In the other process.  What it keeps open besides would stay so for as long as it hangs. */
static _Noreturn void
make_call(int fd, unsigned long request, struct shared *s)
{
	int r;

	if (fd > 0)
		close_range(0, (unsigned)fd - 1, 0);
	close_range((unsigned)fd + 1, ~0u, 0);
	r = ioctl(fd, request, &s->io);
	s->result = r < 0 ? -errno : r;
	__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	_exit(0);
}

/* False: it has not ended by then. */
static bool
wait_for(pid_t child, uint64_t milliseconds)
{
	struct pollfd p = { (int)syscall(SYS_pidfd_open, child, 0), POLLIN, 0 };
	int r = 1;

	if (p.fd >= 0) {
		do
			r = poll(&p, 1, (int)PL_MIN(milliseconds, INT32_MAX));
		while (r < 0 && errno == EINTR);
		close(p.fd);
	}
	if (r == 0)
		return false;
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		continue;
	return true;
}

static int
call_with(struct shared *s, int fd, unsigned long request, uint64_t timeout)
{
	sigset_t all, before;
	pid_t child;

	/* A signal to the terminal's processes is for the other one. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	child = _Fork();
	if (child == 0)
		make_call(fd, request, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (child < 0)
		return -errno;
	if (!wait_for(child, timeout + GRACE))
		return -ETIMEDOUT;
	return __atomic_load_n(&s->done, __ATOMIC_ACQUIRE) ? s->result : -EIO;
}

int
pl_call_drive(int fd, unsigned long request, void *argument)
{
	struct parts parts = parts_of(request, argument);
	size_t size = sizeof(struct shared) + parts.length;
	struct shared *s =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r;

	if (s == MAP_FAILED)
		return -errno;
	copy_in(s, request, argument, &parts);
	r = call_with(s, fd, request, parts.timeout);
	if (r >= 0)
		copy_out(s, request, argument, &parts);
	munmap(s, size);
	return r;
}
