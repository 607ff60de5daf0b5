/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * transport.c - commands through SG_IO and NVME_IOCTL_ADMIN_CMD
 *
 * ATA commands travel in ATA PASS-THROUGH (16) (SAT-4, 12.2.2).  The drive's registers come back in
 * the sense data when it failed; with CK_COND also when it did what it was told:
 *
 *	byte  of the command block            byte  of the ATA Status Return descriptor
 *	   0  85h                                0  09h
 *	   1  protocol (4:1), extend (0)         1  0Ch
 *	   2  CK_COND (5), T_DIR (3),            2  extend (0)
 *	      BYT_BLOK (2), T_LENGTH (1:0)       3  error
 *	 3,4  features                         4,5  count
 *	 5,6  count                              6  LBA (31:24)
 *	   7  LBA (31:24)                        7  LBA (7:0)
 *	   8  LBA (7:0)                          8  LBA (39:32)
 *	   9  LBA (39:32)                        9  LBA (15:8)
 *	  10  LBA (15:8)                        10  LBA (47:40)
 *	  11  LBA (47:40)                       11  LBA (23:16)
 *	  12  LBA (23:16)                       12  device
 *	  13  device                            13  status
 *	  14  command
 */
#include "transport.h"

#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <scsi/sg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "call.h"

struct pl_transport {
	const struct pl_transport_ops *ops;
	void *closure;
	atomic_uint references;
};

/* ---- a block device ---- */

static int
fd_of(void *closure)
{
	return (int)(intptr_t)closure;
}

static int
device_control(void *closure, unsigned long request, void *argument)
{
	int r;

	if (request == SG_IO || request == NVME_IOCTL_ADMIN_CMD)
		return pl_call_drive(fd_of(closure), request, argument);
	r = ioctl(fd_of(closure), request, argument);
	return r < 0 ? -errno : r;
}

static void
device_sleep(void *closure, unsigned milliseconds)
{
	struct timespec t = { milliseconds / 1000, (long)(milliseconds % 1000) * 1000000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		continue;
}

static uint64_t
device_now(void *closure)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
device_close(void *closure)
{
	close(fd_of(closure));
}

static const struct pl_transport_ops device_ops = {
	.control = device_control,
	.sleep = device_sleep,
	.now = device_now,
	.close = device_close,
};

int
pl_transport_open(const char *path, struct pl_transport **ret, struct platter_error *err)
{
	/* Without waiting for a disc, and for reading: opening for writing wakes what watches. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), r;
	struct stat st;

	if (fd < 0) {
		r = pl_fail_errno(err, -errno, "open '%s'", path);
		if (r == -EACCES || r == -EPERM)
			pl_hint(err, "commands to drives are for root");
		return r;
	}
	if (fstat(fd, &st) < 0)
		r = pl_fail_errno(err, -errno, "look at '%s'", path);
	else if (!S_ISBLK(st.st_mode))
		r = pl_fail(err, -ENOTBLK, "'%s' is no block device", path);
	else
		return pl_transport_new(&device_ops, (void *)(intptr_t)fd, ret, err);
	close(fd);
	return r;
}

int
pl_transport_new(const struct pl_transport_ops *ops, void *closure, struct pl_transport **ret,
		 struct platter_error *err)
{
	struct pl_transport *t = calloc(1, sizeof *t);

	if (!t) {
		ops->close(closure);
		return pl_no_memory(err);
	}
	t->ops = ops;
	t->closure = closure;
	atomic_init(&t->references, 1);
	*ret = t;
	return 0;
}

struct pl_transport *
pl_transport_ref(struct pl_transport *t)
{
	atomic_fetch_add(&t->references, 1);
	return t;
}

void
pl_transport_close(struct pl_transport *t)
{
	if (t && atomic_fetch_sub(&t->references, 1) == 1) {
		t->ops->close(t->closure);
		free(t);
	}
}

int
pl_transport_control(struct pl_transport *t, unsigned long request, void *argument)
{
	return t->ops->control(t->closure, request, argument);
}

void
pl_transport_sleep(struct pl_transport *t, unsigned milliseconds)
{
	t->ops->sleep(t->closure, milliseconds);
}

uint64_t
pl_transport_now(struct pl_transport *t)
{
	return t->ops->now(t->closure);
}

/* ---- what an ioctl's failure means ---- */

static int
not_sent(int r, const char *what, struct platter_error *err)
{
	switch (r) {
	case -ENOTTY:
	case -EINVAL:
	case -ENOSYS: return pl_fail(err, -ENOTTY, "the device takes no %s commands", what);
	case -EPERM:
	case -EACCES:
		r = pl_fail(err, -EPERM, "no permission to send %s commands", what);
		pl_hint(err, "commands to drives are for root");
		return r;
	case -ENXIO: return pl_fail(err, -ENODEV, "the device is gone");
	default: return pl_fail_errno(err, r, "send the %s command", what);
	}
}

static int
timed_out(unsigned timeout, struct platter_error *err)
{
	int r = pl_fail(err, -ETIMEDOUT, "no answer from the drive in %u seconds",
			timeout / PL_SECOND);

	pl_hint(err, "switch the drive's power off and on, and look at its cable");
	return r;
}

/* ---- sense data: SPC-5, 4.4 ---- */

enum {
	SENSE_FIXED = 0x70,
	SENSE_FIXED_DEFERRED = 0x71,
	SENSE_DESCRIPTOR = 0x72,
	SENSE_DESCRIPTOR_DEFERRED = 0x73,

	SENSE_DESCRIPTORS = 8,
	DESCRIPTOR_INFORMATION = 0x00,
	DESCRIPTOR_KEY_SPECIFIC = 0x02,
	DESCRIPTOR_ATA = 0x09,
	DESCRIPTOR_ATA_LENGTH = 14,

	KEY_SPECIFIC_VALID = 0x80,
};

/* A descriptor of at least `want` bytes with its head of two, or NULL. */
static const uint8_t *
find_descriptor(const uint8_t *bytes, size_t n, uint8_t type, size_t want)
{
	size_t end = n < SENSE_DESCRIPTORS ? 0 : PL_MIN(n, (size_t)SENSE_DESCRIPTORS + bytes[7]);

	for (size_t at = SENSE_DESCRIPTORS; at + 2 <= end; at += 2 + (size_t)bytes[at + 1])
		if (bytes[at] == type)
			return pl_in_range(at, want, end) && bytes[at + 1] + 2u >= want ? bytes + at
											: NULL;
	return NULL;
}

/* Three bytes, the sense-key specific field, which is of progress with these keys. */
static void
decode_progress(const uint8_t *field, struct pl_sense *s)
{
	if (!(field[0] & KEY_SPECIFIC_VALID) ||
	    (s->key != PL_SENSE_NONE && s->key != PL_SENSE_NOT_READY))
		return;
	s->has_progress = true;
	s->progress = get_be16(field + 1);
}

static void
decode_fixed(const uint8_t *bytes, size_t n, struct pl_sense *s)
{
	s->valid = true;
	s->key = bytes[2] & 0x0f;
	s->asc = n > 12 ? bytes[12] : 0;
	s->ascq = n > 13 ? bytes[13] : 0;
	if (bytes[0] & 0x80 && n >= 7) {
		s->has_information = true;
		s->information = get_be32(bytes + 3);
	}
	if (n >= 18)
		decode_progress(bytes + 15, s);
}

static void
decode_descriptors(const uint8_t *bytes, size_t n, struct pl_sense *s)
{
	const uint8_t *d;

	s->valid = true;
	s->key = bytes[1] & 0x0f;
	s->asc = bytes[2];
	s->ascq = bytes[3];
	d = find_descriptor(bytes, n, DESCRIPTOR_INFORMATION, 12);
	if (d && d[2] & 0x80) {
		s->has_information = true;
		s->information = get_be64(d + 4);
	}
	d = find_descriptor(bytes, n, DESCRIPTOR_KEY_SPECIFIC, 7);
	if (d)
		decode_progress(d + 4, s);
}

void
pl_sense_decode(const uint8_t *bytes, size_t n, struct pl_sense *ret)
{
	*ret = (struct pl_sense){ 0 };
	if (n < 4)
		return;
	switch (bytes[0] & 0x7f) {
	case SENSE_FIXED:
	case SENSE_FIXED_DEFERRED: decode_fixed(bytes, n, ret); break;
	case SENSE_DESCRIPTOR:
	case SENSE_DESCRIPTOR_DEFERRED: decode_descriptors(bytes, n, ret); break;
	default: break;
	}
}

const char *
pl_sense_text(const struct pl_sense *sense, char *buf, size_t n)
{
	static const char *const keys[16] = {
		"no sense",       "recovered error", "not ready",      "medium error",
		"hardware error", "illegal request", "unit attention", "data protect",
		"blank check",    "vendor specific", "copy aborted",   "aborted command",
		"reserved",       "volume overflow", "miscompare",     "completed",
	};

	if (!sense->valid)
		snprintf(buf, n, "no sense data");
	else
		snprintf(buf, n, "%s (%02x/%02x)", keys[sense->key & 0x0f], sense->asc,
			 sense->ascq);
	return buf;
}

/* ---- SG_IO ---- */

/* linux/drivers/scsi: what the host adapter says of a command that got no answer. */
enum {
	DID_OK = 0x00,
	DID_NO_CONNECT = 0x01,
	DID_TIME_OUT = 0x03,
	DID_BAD_TARGET = 0x04,
	DID_PASSTHROUGH = 0x0a,
	DRIVER_TIMEOUT = 0x06,
};

static int
check_host(const sg_io_hdr_t *io, struct platter_error *err)
{
	if (io->host_status == DID_TIME_OUT || (io->driver_status & 0x0f) == DRIVER_TIMEOUT)
		return timed_out(io->timeout, err);
	switch (io->host_status) {
	case DID_OK:
	case DID_PASSTHROUGH: return 0;
	case DID_NO_CONNECT:
	case DID_BAD_TARGET: return pl_fail(err, -ENODEV, "the device is gone");
	default:
		/* Sense data came: it was the drive after all that answered. */
		if (io->sb_len_wr && io->status == PL_STATUS_CHECK_CONDITION)
			return 0;
		return pl_fail(err, -EIO, "the host adapter failed (host status %#x)",
			       io->host_status);
	}
}

int
pl_transport_scsi(struct pl_transport *t, const struct pl_scsi_command *command,
		  struct pl_scsi_reply *ret, struct platter_error *err)
{
	static const int directions[] = { SG_DXFER_NONE, SG_DXFER_FROM_DEV, SG_DXFER_TO_DEV };
	uint8_t cdb[sizeof command->cdb];
	sg_io_hdr_t io = {
		.interface_id = 'S',
		.dxfer_direction = directions[command->direction],
		.cmd_len = command->cdb_length,
		.mx_sb_len = PL_SENSE_SIZE,
		.dxfer_len = command->length,
		.dxferp = command->data,
		.cmdp = cdb,
		.sbp = ret->sense_bytes,
		.timeout = command->timeout,
	};
	int r;

	memcpy(cdb, command->cdb, sizeof cdb);
	*ret = (struct pl_scsi_reply){ 0 };
	r = pl_transport_control(t, SG_IO, &io);
	if (r == -ETIMEDOUT)
		return timed_out(command->timeout, err);
	if (r < 0)
		return not_sent(r, "SCSI", err);
	r = check_host(&io, err);
	if (r < 0)
		return r;
	ret->status = io.status;
	ret->got = command->length;
	if (io.resid > 0)
		ret->got -= PL_MIN((uint32_t)io.resid, command->length);
	ret->sense_length = PL_MIN(io.sb_len_wr, PL_SENSE_SIZE);
	pl_sense_decode(ret->sense_bytes, ret->sense_length, &ret->sense);
	return 0;
}

/* ---- ATA in SCSI ---- */

enum {
	ATA_PASS_THROUGH_16 = 0x85,
	SAT_NON_DATA = 3 << 1,
	SAT_PIO_IN = 4 << 1,
	SAT_PIO_OUT = 5 << 1,
	SAT_EXTEND = 1,
	SAT_CK_COND = 1 << 5,
	SAT_FROM_DEVICE = 1 << 3,
	SAT_BLOCKS = 1 << 2,     /* BYT_BLOK: the length is in blocks of 512 */
	SAT_LENGTH_IN_COUNT = 2, /* T_LENGTH */

	FIXED_ERROR = 3, /* error, status, device, count */
	FIXED_FLAGS = 8, /* flags, LBA (23:0) */
	FIXED_SIZE = 14,
	/* Where Linux before 6.11 puts them, of LBA mostly no more than (7:0). */
	LINUX_ERROR = 8,
	LINUX_FLAGS = 16,
	LINUX_LEAST = 18,
	FIXED_UPPER_NONZERO = 0x60, /* of count and LBA */
};

static void
wrap_ata(const struct pl_ata_command *c, struct pl_scsi_command *ret)
{
	static const uint8_t protocols[] = { SAT_NON_DATA, SAT_PIO_IN, SAT_PIO_OUT };
	uint8_t *cdb = ret->cdb;

	*ret = (struct pl_scsi_command){
		.cdb_length = 16,
		.direction = c->direction,
		.data = c->data,
		.length = c->length,
		.timeout = c->timeout,
	};
	cdb[0] = ATA_PASS_THROUGH_16;
	cdb[1] = (uint8_t)(protocols[c->direction] | (c->extended ? SAT_EXTEND : 0));
	if (c->direction != PL_DATA_NONE)
		cdb[2] |= SAT_BLOCKS | SAT_LENGTH_IN_COUNT;
	/* What comes in is an answer by itself, and some host adapters lose it for the registers. */
	cdb[2] |= c->direction == PL_DATA_IN ? SAT_FROM_DEVICE : SAT_CK_COND;
	put_be16(cdb + 3, c->features);
	put_be16(cdb + 5, c->count);
	cdb[7] = (uint8_t)(c->lba >> 24);
	cdb[8] = (uint8_t)c->lba;
	cdb[9] = (uint8_t)(c->lba >> 32);
	cdb[10] = (uint8_t)(c->lba >> 8);
	cdb[11] = (uint8_t)(c->lba >> 40);
	cdb[12] = (uint8_t)(c->lba >> 16);
	cdb[13] = c->device;
	cdb[14] = c->command;
}

static void
decode_registers(const uint8_t *d, struct pl_ata_reply *ret)
{
	ret->known = true;
	ret->upper_known = d[2] & 1;
	ret->error = d[3];
	ret->count = get_be16(d + 4);
	ret->lba = (uint64_t)d[10] << 40 | (uint64_t)d[8] << 32 | (uint64_t)d[6] << 24 |
		   (uint64_t)d[11] << 16 | (uint64_t)d[9] << 8 | d[7];
	ret->device = d[12];
	ret->status = d[13];
}

static void
decode_fixed_registers(const uint8_t *error, const uint8_t *flags, struct pl_ata_reply *ret)
{
	ret->known = true;
	ret->error = error[0];
	ret->status = error[1];
	ret->device = error[2];
	ret->count = error[3];
	ret->lba = (uint64_t)flags[3] << 16 | (uint64_t)flags[2] << 8 | flags[1];
	ret->upper_known = !(flags[0] & FIXED_UPPER_NONZERO);
}

/* Fixed format: they stand in the fields INFORMATION and COMMAND-SPECIFIC INFORMATION. */
static void
take_fixed_registers(const uint8_t *bytes, size_t n, const struct pl_sense *sense,
		     struct pl_ata_reply *ret)
{
	bool aborted = sense->key == PL_SENSE_ABORTED;

	if (n >= FIXED_SIZE && ((aborted && bytes[FIXED_ERROR + 1] & PL_ATA_STATUS_DRDY) ||
				(sense->asc == 0x00 && sense->ascq == 0x1d))) {
		decode_fixed_registers(bytes + FIXED_ERROR, bytes + FIXED_FLAGS, ret);
	} else if (n >= LINUX_LEAST && aborted && bytes[LINUX_ERROR + 1] & PL_ATA_STATUS_DRDY) {
		decode_fixed_registers(bytes + LINUX_ERROR, bytes + LINUX_FLAGS, ret);
		ret->upper_known = false;
	}
}

static void
take_registers(const struct pl_scsi_reply *scsi, struct pl_ata_reply *ret)
{
	const uint8_t *bytes = scsi->sense_bytes, *d;

	if (!scsi->sense.valid)
		return;
	if ((bytes[0] & 0x7f) < SENSE_DESCRIPTOR) {
		take_fixed_registers(bytes, scsi->sense_length, &scsi->sense, ret);
		return;
	}
	d = find_descriptor(bytes, scsi->sense_length, DESCRIPTOR_ATA, DESCRIPTOR_ATA_LENGTH);
	if (d)
		decode_registers(d, ret);
}

int
pl_transport_ata(struct pl_transport *t, const struct pl_ata_command *command,
		 struct pl_ata_reply *ret, struct platter_error *err)
{
	struct pl_scsi_command wrapped;
	struct pl_scsi_reply scsi;
	char text[40];
	int r;

	*ret = (struct pl_ata_reply){ 0 };
	wrap_ata(command, &wrapped);
	r = pl_transport_scsi(t, &wrapped, &scsi, err);
	if (r < 0)
		return r;
	take_registers(&scsi, ret);
	ret->got = scsi.got;
	if (ret->known) {
		ret->failed = ret->status & (PL_ATA_STATUS_ERR | PL_ATA_STATUS_DF);
		return 0;
	}
	/* Without the registers: some bridges give none, and say at least whether it went well. */
	if (scsi.status == PL_STATUS_GOOD)
		return 0;
	if (scsi.sense.valid && scsi.sense.key == PL_SENSE_ABORTED) {
		ret->failed = true;
		return 0;
	}
	if (scsi.sense.valid && scsi.sense.key == PL_SENSE_ILLEGAL_REQUEST)
		return pl_fail(err, -ENOTSUP, "no ATA commands pass through to the drive (%s)",
			       pl_sense_text(&scsi.sense, text, sizeof text));
	return pl_fail(err, -EIO, "the ATA command did not pass through: status %#x, %s",
		       scsi.status, pl_sense_text(&scsi.sense, text, sizeof text));
}

/* ---- NVMe ---- */

int
pl_transport_nvme(struct pl_transport *t, const struct pl_nvme_command *command,
		  uint16_t *ret_status, struct platter_error *err)
{
	struct nvme_passthru_cmd io = {
		.opcode = command->opcode,
		.nsid = command->nsid,
		.addr = (uint64_t)(uintptr_t)command->data,
		.data_len = command->length,
		.cdw10 = command->cdw10,
		.cdw11 = command->cdw11,
		.cdw12 = command->cdw12,
		.cdw13 = command->cdw13,
		.timeout_ms = command->timeout,
	};
	int r = pl_transport_control(t, NVME_IOCTL_ADMIN_CMD, &io);

	/* The driver's own words for a command that it gave up. */
	if (r == -EINTR || r == -ETIME || r == -ETIMEDOUT)
		return timed_out(command->timeout, err);
	if (r < 0)
		return not_sent(r, "NVMe", err);
	*ret_status = (uint16_t)(r & 0x7fff);
	return 0;
}

int
pl_transport_nvme_namespace(struct pl_transport *t)
{
	int r = pl_transport_control(t, NVME_IOCTL_ID, NULL);

	return r > 0 ? r : -ENOTTY;
}

/* ---- text ---- */

void
pl_identity_text(char *ret, size_t room, const uint8_t *bytes, size_t n)
{
	size_t length = 0;

	while (n && (bytes[n - 1] == ' ' || bytes[n - 1] == '\0'))
		n--;
	while (n && *bytes == ' ') {
		bytes++;
		n--;
	}
	for (; length < PL_MIN(n, room - 1); length++)
		ret[length] =
			bytes[length] >= 0x20 && bytes[length] < 0x7f ? (char)bytes[length] : '?';
	ret[length] = '\0';
}
