/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ata.h - ATA drives: what IDENTIFY DEVICE and the logs tell, and the commands that erase */
#ifndef PL_ATA_H
#define PL_ATA_H

#include "hardware.h"
#include "transport.h"

enum {
	PL_ATA_BLOCK = 512 /* bytes of IDENTIFY DEVICE data, and of a page of a log */
};

/* What of IDENTIFY DEVICE is used. */
struct pl_ata_identity {
	char model[64], serial[64], firmware[16];
	uint64_t nr_sectors; /* that can be addressed now */
	uint32_t sector_size;
	uint16_t rotation; /* 1: does not rotate; 0: not told; else revolutions a minute */
	bool lba48, logs, smart, trim, encrypts;
	bool hpa, dco, amac; /* AMAC: accessible max address configuration, the HPA of ACS-3 */
	bool security, enhanced;
	bool enabled, locked, frozen;             /* of the security feature set */
	unsigned erase_minutes, enhanced_minutes; /* 0: not told */
	bool sanitize, sanitize_block, sanitize_crypto, sanitize_overwrite;
};

/* -EIO: the block is damaged, or no drive's. */
int pl_ata_identity_decode(const uint8_t block[static PL_ATA_BLOCK], struct pl_ata_identity *ret,
			   struct platter_error *err);

/* Is there a drive that takes ATA commands?  -ENOTSUP: none. */
int pl_ata_identify(struct pl_transport *t, struct pl_ata_identity *ret, struct platter_error *err);

/* As pl_hardware_look(), pl_hardware_erase() and so on. */
int pl_ata_look(struct pl_transport *t, struct pl_hardware_info *ret, struct platter_error *err);
int pl_ata_erase(struct pl_transport *t, enum pl_erase how, const struct pl_watch *watch,
		 struct platter_error *err);
int pl_ata_remove_hpa(struct pl_transport *t, struct platter_error *err);
int pl_ata_remove_dco(struct pl_transport *t, struct platter_error *err);

/* ---- for the files that ata.c is made of ---- */

/* -EIO with the registers in words if the drive says that it failed; NAME is of the command. */
int pl_ata_run(struct pl_transport *t, const struct pl_ata_command *command, const char *name,
	       struct pl_ata_reply *ret, struct platter_error *err);
/* Reads one block.  -EIO also if the drive sends less. */
int pl_ata_read_block(struct pl_transport *t, const struct pl_ata_command *command,
		      const char *name, uint8_t ret[static PL_ATA_BLOCK],
		      struct platter_error *err);
/* True: the drive does not have it, or will not tell; not so if it is gone or hangs. */
bool pl_ata_declined(int r);

/* The health that SMART and the device statistics tell; `info` has the rest already. */
int pl_ata_health(struct pl_transport *t, const struct pl_ata_identity *id,
		  struct pl_hardware_info *info, struct platter_error *err);

/* How many sectors there are with what an HPA, and a DCO, hides: never less than `nr_sectors`. */
int pl_ata_native_sectors(struct pl_transport *t, const struct pl_ata_identity *id, uint64_t *ret,
			  struct platter_error *err);
int pl_ata_real_sectors(struct pl_transport *t, const struct pl_ata_identity *id, uint64_t native,
			uint64_t *ret, struct platter_error *err);

struct pl_ata_sanitize {
	bool done, running, frozen, failed;
	double fraction; /* while it is running */
};
int pl_ata_sanitize_status(struct pl_transport *t, struct pl_ata_sanitize *ret,
			   struct platter_error *err);

#endif
