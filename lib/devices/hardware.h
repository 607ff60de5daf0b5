/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hardware.h - what a drive tells of itself, and how it is told to erase itself
 *
 * ATA, SCSI and NVMe drives are asked through one transport (transport.h), which in the tests is
 * a scripted drive.  Commands are built, and replies taken apart, in ata.c, scsi.c and nvme.c,
 * each beside the table of the standard that it follows: ACS-4, SBC-4/SPC-5, NVM Express 1.4.
 */
#ifndef PL_HARDWARE_H
#define PL_HARDWARE_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

enum pl_protocol {
	PL_PROTOCOL_NONE, /* takes no commands of its own: a loop device, virtio, a file */
	PL_PROTOCOL_ATA,  /* also behind a SATA or USB bridge that passes commands through */
	PL_PROTOCOL_SCSI,
	PL_PROTOCOL_NVME,
};

/* Ways of erasing that the drive itself has; bits. */
enum pl_erase {
	PL_ERASE_ATA_SECURITY = 1 << 0,          /* SECURITY ERASE UNIT, normal */
	PL_ERASE_ATA_SECURITY_ENHANCED = 1 << 1, /* the same, enhanced */
	PL_ERASE_ATA_SANITIZE_BLOCK = 1 << 2,    /* SANITIZE DEVICE */
	PL_ERASE_ATA_SANITIZE_CRYPTO = 1 << 3,
	PL_ERASE_ATA_SANITIZE_OVERWRITE = 1 << 4,
	PL_ERASE_NVME_FORMAT = 1 << 5, /* FORMAT NVM with user data erase */
	PL_ERASE_NVME_FORMAT_CRYPTO = 1 << 6,
	PL_ERASE_NVME_SANITIZE_BLOCK = 1 << 7,
	PL_ERASE_NVME_SANITIZE_CRYPTO = 1 << 8,
	PL_ERASE_NVME_SANITIZE_OVERWRITE = 1 << 9,
	PL_ERASE_SCSI_SANITIZE_BLOCK = 1 << 10,
	PL_ERASE_SCSI_SANITIZE_CRYPTO = 1 << 11,
	PL_ERASE_SCSI_SANITIZE_OVERWRITE = 1 << 12,
	PL_ERASE_TRIM = 1 << 13, /* TRIM, UNMAP, DEALLOCATE: promises nothing about what is left */
};

enum pl_health {
	PL_HEALTH_UNKNOWN,
	PL_HEALTH_GOOD,
	PL_HEALTH_WARNING, /* worn, hot, or sectors were reallocated or wait for it */
	PL_HEALTH_FAILING, /* the drive itself says that it is about to fail */
};

struct pl_hardware_info {
	enum pl_protocol protocol;
	char model[64], serial[64], firmware[16]; /* "" not known; plain text, blanks trimmed */
	uint64_t size;                            /* bytes that can be addressed now */
	uint64_t native_size; /* bytes with what an HPA hides; `size` if none or not known */
	uint64_t real_size;   /* the same with what a DCO hides */
	bool rotational, rotational_known;
	unsigned erases;        /* enum pl_erase: those that can be begun now */
	unsigned erases_beyond; /* those of them that erase other namespaces of the drive too */
	/* Why none of the purging ones can, or NULL: "frozen", "locked", "password", "sanitizing". */
	const char *erase_reason;
	unsigned erase_minutes; /* of SECURITY ERASE, as the drive estimates; 0 unknown */
	bool security_enabled, security_locked, security_frozen;
	bool encrypts; /* always encrypts what is stored, by its own account */

	enum pl_health health;
	char health_reason[160]; /* one phrase; "" if good or unknown */
	/* UINT64_MAX: the drive does not tell. */
	uint64_t reallocated, pending, uncorrectable; /* sectors */
	uint64_t power_on_hours;
	int temperature;  /* degrees Celsius; INT32_MIN: not told */
	int percent_used; /* of the life of flash; -1: not told */
};

struct pl_hardware;
struct pl_transport;

/*
 * Open the drive behind a block device (the whole one) for commands.  A device that takes none
 * opens too, with PL_PROTOCOL_NONE.  Errors: -ENOENT, -EACCES, -EPERM, -ENOTBLK, -EINVAL (a
 * partition), -ENODEV, -ETIMEDOUT.
 */
int pl_hardware_open(const char *path, struct pl_hardware **ret, struct platter_error *err);
/* The same behind a transport, which is its own from now on, also if it fails. */
int pl_hardware_new(struct pl_transport *t, struct pl_hardware **ret, struct platter_error *err);
void pl_hardware_close(struct pl_hardware *hw); /* NULL is allowed */

/* Ask again; borrowed, valid until the next call or until it is closed. */
int pl_hardware_look(struct pl_hardware *hw, const struct pl_hardware_info **ret,
		     struct platter_error *err);

/*
 * Erase with one of `info.erases`.  Returns when the drive has finished, asking it how far it is
 * where it tells; `progress` (NULL is allowed) is called with 0 to 1, or -1 while that is not
 * known, and may answer false to stop waiting: what the drive does goes on, and -ECANCELED is
 * returned.  The status and error registers, and what IDENTIFY says afterwards, decide whether it
 * worked, never that a command was accepted.
 * Errors: -ENOTSUP, -EACCES (locked, frozen), -EIO (the drive reports failure), -ETIMEDOUT.
 */
int pl_hardware_erase(struct pl_hardware *hw, enum pl_erase how,
		      bool (*progress)(double fraction, void *closure), void *closure,
		      struct platter_error *err);

/*
 * Make addressable, for good, what an HPA, and what a DCO, hides; an HPA goes first.  IDENTIFY says
 * afterwards whether it worked.  The kernel may know the old size until the drive is connected
 * again.  Errors: -ENOTSUP (there is no such feature), -EIO (refused: the hint says what to do).
 */
int pl_hardware_remove_hpa(struct pl_hardware *hw, struct platter_error *err);
int pl_hardware_remove_dco(struct pl_hardware *hw, struct platter_error *err);

/* "ATA SECURITY ERASE UNIT", "NVMe FORMAT NVM, cryptographic erase"; for one bit. */
const char *pl_erase_name(enum pl_erase how);

#endif
