/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * transport.h - command blocks to a drive, and what comes back
 *
 * Three kinds of commands are sent through the kernel's driver of a block device: SCSI commands and
 * ATA ones wrapped into them (SG_IO), and NVMe admin commands (NVME_IOCTL_ADMIN_CMD).  A command
 * that the drive refuses was still sent: these functions fail only where no answer came, and the
 * answer is in the reply.  Every command has a time-out, after which the kernel aborts it.
 */
#ifndef PL_TRANSPORT_H
#define PL_TRANSPORT_H

#include "bytes.h"
#include "error.h"

enum {
	PL_SENSE_SIZE = 64,
	PL_SECOND = 1000, /* time-outs are in milliseconds */
	PL_MINUTE = 60 * PL_SECOND,
};

/* What stands below the transport; tests put a scripted drive here. */
struct pl_transport_ops {
	/* ioctl(2): 0 or more, or a negative errno.  May be called by a thread of its own. */
	int (*control)(void *closure, unsigned long request, void *argument);
	/* Let some time pass between two questions. */
	void (*sleep)(void *closure, unsigned milliseconds);
	/* Milliseconds since any moment. */
	uint64_t (*now)(void *closure);
	void (*close)(void *closure);
};

struct pl_transport;

/*
 * A block device, opened for commands only.  Errors: -ENOENT, -EACCES, -EPERM, -ENOTBLK, or what
 * else open(2) says.
 */
int pl_transport_open(const char *path, struct pl_transport **ret, struct platter_error *err);

/* One on anything else; `closure` is its own from now on, also if it fails. */
int pl_transport_new(const struct pl_transport_ops *ops, void *closure, struct pl_transport **ret,
		     struct platter_error *err);

struct pl_transport *pl_transport_ref(struct pl_transport *t);
/* A command whose waiting was ended keeps what stands below open.  NULL is allowed. */
void pl_transport_close(struct pl_transport *t);

int pl_transport_control(struct pl_transport *t, unsigned long request, void *argument);
void pl_transport_sleep(struct pl_transport *t, unsigned milliseconds);
uint64_t pl_transport_now(struct pl_transport *t);

enum pl_data {
	PL_DATA_NONE,
	PL_DATA_IN, /* from the drive */
	PL_DATA_OUT,
};

/* SPC-5, "Sense data": why a command was not done. */
enum pl_sense_key {
	PL_SENSE_NONE = 0x0,
	PL_SENSE_RECOVERED = 0x1,
	PL_SENSE_NOT_READY = 0x2,
	PL_SENSE_MEDIUM_ERROR = 0x3,
	PL_SENSE_HARDWARE_ERROR = 0x4,
	PL_SENSE_ILLEGAL_REQUEST = 0x5,
	PL_SENSE_UNIT_ATTENTION = 0x6,
	PL_SENSE_DATA_PROTECT = 0x7,
	PL_SENSE_ABORTED = 0xb,
};

/* Sense data of either format, decoded. */
struct pl_sense {
	bool valid;
	uint8_t key;       /* enum pl_sense_key */
	uint8_t asc, ascq; /* additional sense code and its qualifier */
	bool has_progress; /* of what the drive is at; in parts of 65536 */
	uint16_t progress;
	bool has_information; /* the INFORMATION field: the LBA of a medium error */
	uint64_t information;
};

enum pl_scsi_status {
	PL_STATUS_GOOD = 0x00,
	PL_STATUS_CHECK_CONDITION = 0x02,
	PL_STATUS_BUSY = 0x08,
	PL_STATUS_RESERVATION_CONFLICT = 0x18,
};

struct pl_scsi_command {
	uint8_t cdb[16];
	uint8_t cdb_length; /* 6, 10, 12 or 16 */
	enum pl_data direction;
	void *data; /* `length` bytes */
	uint32_t length;
	unsigned timeout; /* milliseconds */
};

struct pl_scsi_reply {
	uint8_t status; /* enum pl_scsi_status */
	uint32_t got;   /* bytes that were transferred, at most `length` */
	uint8_t sense_bytes[PL_SENSE_SIZE];
	size_t sense_length;
	struct pl_sense sense;
};

/*
 * Errors: -ENOTTY (a device that takes no SCSI commands), -EPERM, -ETIMEDOUT, -ENODEV, -EIO (the
 * host adapter).  `command->data` may hold anything where less came than was asked for.
 */
int pl_transport_scsi(struct pl_transport *t, const struct pl_scsi_command *command,
		      struct pl_scsi_reply *ret, struct platter_error *err);

/* Sense data of `n` bytes in fixed or descriptor format; of others, `valid` is false. */
void pl_sense_decode(const uint8_t *bytes, size_t n, struct pl_sense *ret);

/* "medium error (11/00)"; at most 40 bytes. */
const char *pl_sense_text(const struct pl_sense *sense, char *buf, size_t n);

/* ACS-4: what goes into the registers.  Values wider than 8 and 28 bits need `extended`. */
struct pl_ata_command {
	uint8_t command;
	uint16_t features, count;
	uint64_t lba; /* 48 bits */
	uint8_t device;
	bool extended; /* a 48-bit command */
	enum pl_data direction;
	void *data; /* count * 512 bytes, by PIO; NULL: none */
	uint32_t length;
	unsigned timeout;
};

enum {
	PL_ATA_STATUS_ERR = 0x01,
	PL_ATA_STATUS_DF = 0x20, /* device fault */
	PL_ATA_STATUS_DRDY = 0x40,
	PL_ATA_STATUS_BSY = 0x80,
	PL_ATA_ERROR_ABRT = 0x04,
	PL_ATA_ERROR_IDNF = 0x10,
};

/* What the drive left in its registers. */
struct pl_ata_reply {
	bool known; /* the registers came back; otherwise only `failed` is known */
	bool failed;
	uint8_t status, error, device;
	uint16_t count;
	uint64_t lba;
	bool upper_known; /* of count and lba: the bytes of a 48-bit command */
	uint32_t got;     /* bytes that were transferred */
};

/*
 * ATA PASS-THROUGH (16), SAT-4 12.2.2.  Errors: those of pl_transport_scsi(), and -ENOTSUP: what
 * is before the drive passes no ATA commands through.
 */
int pl_transport_ata(struct pl_transport *t, const struct pl_ata_command *command,
		     struct pl_ata_reply *ret, struct platter_error *err);

struct pl_nvme_command {
	uint8_t opcode;
	uint32_t nsid;
	uint32_t cdw10, cdw11, cdw12, cdw13;
	void *data; /* `length` bytes from the controller; NULL: none */
	uint32_t length;
	unsigned timeout;
};

/*
 * *ret_status: the status of the completion, without the phase: 0 success, or status code (7:0)
 * and its type (10:8) and whether a retry is useless (14).  Errors: -ENOTTY, -EPERM, -ETIMEDOUT,
 * -ENODEV, -EIO.
 */
int pl_transport_nvme(struct pl_transport *t, const struct pl_nvme_command *command,
		      uint16_t *ret_status, struct platter_error *err);
/* The number of the namespace that the device is, or -ENOTTY: it is none of NVMe. */
int pl_transport_nvme_namespace(struct pl_transport *t);

/* What waits for a drive tells, and can be told: `progress` of pl_hardware_erase(). */
struct pl_watch {
	bool (*progress)(double fraction, void *closure); /* NULL is allowed */
	void *closure;
};

/* -ECANCELED if it is told to stop. */
int pl_watch_tell(const struct pl_watch *watch, double fraction, struct platter_error *err);

/* Waiting for what a drive does by itself, which it is asked about from time to time. */
struct pl_wait {
	const struct pl_watch *watch;
	uint64_t patience;     /* milliseconds without progress, after which it hangs */
	double fraction;       /* when it was last asked */
	uint64_t since, begun; /* when that changed; when it began */
};
void pl_wait_begin(struct pl_wait *w, struct pl_transport *t, const struct pl_watch *watch,
		   uint64_t patience);
/* Between two questions; `fraction` is the last answer.  Errors: -ECANCELED, -ETIMEDOUT. */
int pl_wait_more(struct pl_wait *w, struct pl_transport *t, double fraction,
		 struct platter_error *err);

/*
 * The same as above for commands that take minutes or hours: `watch` is asked while they last.
 * On -ECANCELED the command goes on, and only the waiting has ended.  Up to 512
 * bytes go out, none come in.
 */
int pl_transport_ata_watched(struct pl_transport *t, const struct pl_ata_command *command,
			     const struct pl_watch *watch, struct pl_ata_reply *ret,
			     struct platter_error *err);
int pl_transport_nvme_watched(struct pl_transport *t, const struct pl_nvme_command *command,
			      const struct pl_watch *watch, uint16_t *ret_status,
			      struct platter_error *err);

/*
 * Identifications are padded with blanks, and hostile: printable ASCII of `n` bytes, blanks at
 * both ends cut, what is not printable as '?'.  At most room - 1 bytes of it.
 */
void pl_identity_text(char *ret, size_t room, const uint8_t *bytes, size_t n);

#endif
