/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fake-hardware.h - a scripted drive below the transport
 *
 * A test says in order what it expects to be sent, byte for byte, and what the drive answers:
 *
 *	want_cdb(f, "85 08 0e ...", PL_DATA_IN);
 *	gives_data(f, identify, 512);
 *
 * It stands in the place of ioctl(2), so that what is checked is what the kernel would get.  What
 * does not fit fails the test in done().  Its clock is moved by sleeping alone.
 */
#ifndef PL_TEST_FAKE_HARDWARE_H
#define PL_TEST_FAKE_HARDWARE_H

#include <linux/fs.h>
#include <linux/nvme_ioctl.h>
#include <scsi/sg.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "hardware.h"
#include "test.h"
#include "transport.h"

enum {
	MOST_STEPS = 64,
	MOST_DATA = 4096
};

struct step {
	unsigned long request;
	/* SG_IO */
	uint8_t cdb[16];
	size_t cdb_length;
	enum pl_data direction;
	bool check_out;
	uint8_t out[512];
	size_t out_length;
	/* NVME_IOCTL_ADMIN_CMD, or the answer to NVME_IOCTL_ID */
	struct nvme_passthru_cmd nvme;
	unsigned timeout; /* 0: any */
	/* What comes back. */
	int result;
	uint8_t status, sense[PL_SENSE_SIZE];
	size_t sense_length;
	unsigned host_status, driver_status;
	uint8_t data[MOST_DATA];
	size_t length;
	unsigned last_for; /* real milliseconds that the answer takes */
};

struct fake {
	struct step *steps;
	size_t nr, next;
	uint64_t now;
	unsigned nr_sleeps;
	char failure[600];
	struct pl_transport *volatile transport; /* NULL: closed, by whichever thread */
};

__attribute__((format(printf, 2, 3))) static void
complain(struct fake *f, const char *format, ...)
{
	va_list args;
	int n;

	if (*f->failure)
		return;
	n = snprintf(f->failure, sizeof f->failure, "command %zu: ", f->next);
	va_start(args, format);
	vsnprintf(f->failure + n, sizeof f->failure - (size_t)n, format, args);
	va_end(args);
}

static void
hex(char *out, const uint8_t *bytes, size_t n)
{
	*out = '\0';
	for (size_t i = 0; i < n; i++)
		sprintf(out + 3 * i, "%02x ", bytes[i]);
}

static size_t
from_hex(const char *text, uint8_t *ret, size_t room)
{
	size_t n = 0;
	char *end;

	for (;; text = end) {
		unsigned long byte = strtoul(text, &end, 16);

		if (end == text)
			return n;
		EXPECT(n < room && byte < 256);
		ret[n++] = (uint8_t)byte;
	}
}

static int
answer_scsi(struct fake *f, const struct step *s, sg_io_hdr_t *io)
{
	static const int directions[] = { SG_DXFER_NONE, SG_DXFER_FROM_DEV, SG_DXFER_TO_DEV };
	char got[3 * 16 + 1], wanted[3 * 16 + 1];

	if (io->cmd_len != s->cdb_length || memcmp(io->cmdp, s->cdb, s->cdb_length) != 0) {
		hex(got, io->cmdp, PL_MIN(io->cmd_len, 16));
		hex(wanted, s->cdb, s->cdb_length);
		complain(f, "sent %s, expected %s", got, wanted);
		return -EIO;
	}
	if (io->interface_id != 'S' || io->dxfer_direction != directions[s->direction] ||
	    io->mx_sb_len < 32 || io->iovec_count || io->flags || !io->sbp ||
	    (s->timeout ? io->timeout != s->timeout : io->timeout < 1000))
		complain(f, "sg_io_hdr: direction %d, time-out %u", io->dxfer_direction,
			 io->timeout);
	if (s->direction == PL_DATA_NONE ? io->dxfer_len != 0 : !io->dxferp || !io->dxfer_len)
		complain(f, "sg_io_hdr: %u bytes", io->dxfer_len);
	if (s->direction == PL_DATA_OUT &&
	    (io->dxfer_len != s->out_length || memcmp(io->dxferp, s->out, s->out_length) != 0))
		complain(f, "other data of %u bytes is sent out", io->dxfer_len);
	io->status = s->status;
	io->host_status = (unsigned short)s->host_status;
	io->driver_status = (unsigned short)s->driver_status;
	io->sb_len_wr = (unsigned char)PL_MIN(s->sense_length, io->mx_sb_len);
	memcpy(io->sbp, s->sense, io->sb_len_wr);
	if (s->direction == PL_DATA_IN) {
		size_t n = PL_MIN(s->length, io->dxfer_len);

		memcpy(io->dxferp, s->data, n);
		io->resid = (int)(io->dxfer_len - n);
	}
	return 0;
}

static int
answer_nvme(struct fake *f, const struct step *s, struct nvme_passthru_cmd *io)
{
	struct nvme_passthru_cmd got = *io;

	got.addr = 0;
	if (!s->timeout)
		got.timeout_ms = 0;
	if (memcmp(&got, &s->nvme, sizeof got) != 0) {
		complain(f, "NVMe %02x nsid %u cdw10 %#x cdw11 %#x, %u bytes, time-out %u",
			 got.opcode, got.nsid, got.cdw10, got.cdw11, got.data_len, io->timeout_ms);
		return -EIO;
	}
	if (io->timeout_ms < 1000 || !io->addr != !io->data_len)
		complain(f, "nvme_passthru_cmd: time-out %u", io->timeout_ms);
	if (io->data_len)
		memcpy((void *)(uintptr_t)io->addr, s->data, PL_MIN(s->length, io->data_len));
	return 0;
}

static int
fake_control(void *closure, unsigned long request, void *argument)
{
	struct fake *f = closure;
	const struct step *s = &f->steps[f->next];
	int r = 0;

	/* Comes after every erasing, and is the kernel's. */
	if (request == BLKFLSBUF)
		return 0;
	if (f->next == f->nr || s->request != request) {
		if (request == NVME_IOCTL_ID)
			return -ENOTTY;
		complain(f, "request %#lx is not expected", request);
		return -EIO;
	}
	if (request == SG_IO)
		r = answer_scsi(f, s, argument);
	else if (request == NVME_IOCTL_ADMIN_CMD)
		r = answer_nvme(f, s, argument);
	if (s->last_for)
		usleep(s->last_for * 1000);
	f->next++;
	return r < 0 ? r : s->result;
}

static void
fake_sleep(void *closure, unsigned milliseconds)
{
	struct fake *f = closure;

	f->now += milliseconds;
	f->nr_sleeps++;
}

static uint64_t
fake_now(void *closure)
{
	return ((struct fake *)closure)->now;
}

static void
fake_close(void *closure)
{
	struct fake *f = closure;

	f->transport = NULL;
}

static const struct pl_transport_ops fake_ops = { fake_control, fake_sleep, fake_now, fake_close };

/* Good until the test program ends; `transport` is to be closed. */
static struct fake *
fake_new(void)
{
	static struct step steps[MOST_STEPS];
	static struct fake f;
	struct pl_transport *transport;

	f = (struct fake){ .steps = steps };
	EXPECT_EQ(pl_transport_new(&fake_ops, &f, &transport, NULL), 0);
	f.transport = transport;
	return &f;
}

/* All that was expected has been sent, and nothing else. */
static void
done(struct fake *f)
{
	if (*f->failure)
		pl_test_fail(__FILE__, __LINE__, "%s", f->failure);
	EXPECT_EQ(f->next, f->nr);
}

static struct step *
add_step(struct fake *f, unsigned long request)
{
	struct step *s = &f->steps[f->nr++];

	EXPECT(f->nr < MOST_STEPS);
	*s = (struct step){ .request = request };
	return s;
}

__attribute__((unused)) static struct step *
want_cdb(struct fake *f, const char *cdb, enum pl_data direction)
{
	struct step *s = add_step(f, SG_IO);

	s->cdb_length = from_hex(cdb, s->cdb, sizeof s->cdb);
	s->direction = direction;
	return s;
}

/* The last command sends these bytes out, and zeros up to `length`. */
__attribute__((unused)) static void
want_out(struct fake *f, const char *bytes, const char *text, size_t length)
{
	struct step *s = &f->steps[f->nr - 1];
	size_t n = from_hex(bytes, s->out, sizeof s->out);

	memcpy(s->out + n, text, strlen(text));
	s->out_length = length;
}

__attribute__((unused)) static void
want_timeout(struct fake *f, unsigned milliseconds)
{
	struct step *s = &f->steps[f->nr - 1];

	s->timeout = milliseconds;
	if (s->request == NVME_IOCTL_ADMIN_CMD)
		s->nvme.timeout_ms = milliseconds;
}

__attribute__((unused)) static void
want_nvme(struct fake *f, uint8_t opcode, uint32_t nsid, uint32_t cdw10, uint32_t length)
{
	struct step *s = add_step(f, NVME_IOCTL_ADMIN_CMD);

	s->nvme.opcode = opcode;
	s->nvme.nsid = nsid;
	s->nvme.cdw10 = cdw10;
	s->nvme.data_len = length;
}

/* ---- answers to the last command ---- */

__attribute__((unused)) static void
gives_data(struct fake *f, const uint8_t *data, size_t n)
{
	struct step *s = &f->steps[f->nr - 1];

	EXPECT(n <= sizeof s->data);
	memcpy(s->data, data, n);
	s->length = n;
}

__attribute__((unused)) static void
gives_hex(struct fake *f, const char *bytes)
{
	struct step *s = &f->steps[f->nr - 1];

	s->length = from_hex(bytes, s->data, sizeof s->data);
}

__attribute__((unused)) static void
gives_sense(struct fake *f, const char *bytes)
{
	struct step *s = &f->steps[f->nr - 1];

	s->status = 0x02;
	s->sense_length = from_hex(bytes, s->sense, sizeof s->sense);
}

/* ATA registers in an ATA Status Return descriptor, of a 48-bit command. */
__attribute__((unused)) static void
gives_registers(struct fake *f, uint8_t status, uint8_t error, uint16_t count, uint64_t lba)
{
	struct step *s = &f->steps[f->nr - 1];
	uint8_t *d = s->sense + 8;

	s->status = 0x02;
	s->sense_length = 22;
	s->sense[0] = 0x72;
	s->sense[1] = status & 1 ? 0x0b : 0x01;
	s->sense[3] = status & 1 ? 0x00 : 0x1d;
	s->sense[7] = 14;
	d[0] = 0x09;
	d[1] = 0x0c;
	d[2] = s->cdb[1] & 1;
	d[3] = error;
	put_be16(d + 4, count);
	d[6] = (uint8_t)(lba >> 24);
	d[7] = (uint8_t)lba;
	d[8] = (uint8_t)(lba >> 32);
	d[9] = (uint8_t)(lba >> 8);
	d[10] = (uint8_t)(lba >> 40);
	d[11] = (uint8_t)(lba >> 16);
	d[12] = 0x40;
	d[13] = status;
}

__attribute__((unused)) static void
gives_result(struct fake *f, int result)
{
	f->steps[f->nr - 1].result = result;
}

/* The next question for the namespace is answered with its number. */
__attribute__((unused)) static void
is_namespace(struct fake *f, int number)
{
	add_step(f, NVME_IOCTL_ID)->result = number;
}

#endif
