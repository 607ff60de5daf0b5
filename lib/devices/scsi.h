/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scsi.h - SCSI disks, and reading compact discs sector by sector */
#ifndef PL_SCSI_H
#define PL_SCSI_H

#include "hardware.h"
#include "transport.h"

/* What INQUIRY tells. */
struct pl_scsi_identity {
	uint8_t type;    /* peripheral device type: 0 disk, 5 CD and DVD */
	uint8_t version; /* of SPC; 0: none, 5: SPC-3 */
	bool removable;
	char model[64], serial[64], firmware[16];
	bool has_pages; /* vital product data pages may be asked for */
	uint8_t nr_pages, pages[64];
	bool translates_ata; /* there is an ATA drive behind it, by its own account */
};

/* Errors: those of pl_transport_scsi(), -ENOTTY among them. */
int pl_scsi_identify(struct pl_transport *t, struct pl_scsi_identity *ret,
		     struct platter_error *err);

/* As pl_hardware_look() and pl_hardware_erase(). */
int pl_scsi_look(struct pl_transport *t, struct pl_hardware_info *ret, struct platter_error *err);
int pl_scsi_erase(struct pl_transport *t, enum pl_erase how, const struct pl_watch *watch,
		  struct platter_error *err);

/* ---- compact discs: MMC-6, 6.19, READ CD ---- */

enum pl_cd_c2 {
	PL_CD_NO_C2,
	PL_CD_C2_BITS,      /* 294 bytes: a bit for each of the 2352 that could not be corrected */
	PL_CD_C2_AND_BLOCK, /* 296: the same, and 2 bytes of sums, before or after it as drives like */
};

enum {
	PL_CD_SECTOR = 2352,
	PL_CD_C2_SIZE = 294,
	PL_CD_C2_BLOCK_SIZE = 296,
	PL_CD_MOST = 24, /* sectors at once: what all host adapters can transfer */
};

/* Bytes of a sector with what was asked for beside it. */
size_t pl_cd_sector_size(enum pl_cd_c2 c2);

/*
 * Read 1 <= nr <= PL_CD_MOST raw sectors of any kind: each is 2352 bytes (sync, headers, user
 * data, EDC and ECC, or sound), and `c2` after it.  `buf` has nr * pl_cd_sector_size(c2) bytes, and is
 * undefined after an error.  ret_sense (NULL is allowed) is what the drive said in its own words.
 * Errors:
 *	-EIO        medium or hardware error: at least one of the sectors cannot be read;
 *	            ret_sense->information is its LBA where has_information
 *	-ENOMEDIUM  not ready: no disc, the tray is open; -EAGAIN while the drive spins up
 *	-ERANGE     illegal request: a sector past the end of the disc, or between sessions
 *	-ENOTSUP    illegal request: not this drive (no C2), or not on this track
 *	-ETIMEDOUT, -ENODEV and the others of pl_transport_scsi()
 */
int pl_scsi_read_cd(struct pl_transport *t, uint32_t lba, uint32_t nr, enum pl_cd_c2 c2, void *buf,
		    struct pl_sense *ret_sense, struct platter_error *err);

/* Does the drive promise C2 error pointers?  Some that do not still answer a request for them. */
int pl_scsi_cd_tells_c2(struct pl_transport *t, bool *ret, struct platter_error *err);

/* ---- for the files that scsi.c is made of ---- */

/*
 * Send it, and again where the drive first reports a unit attention, or is busy.  The reply may
 * be any status.
 */
int pl_scsi_send(struct pl_transport *t, const struct pl_scsi_command *command, const char *name,
		 struct pl_scsi_reply *ret, struct platter_error *err);
/* The same; -EIO, -ENOTSUP (illegal request) or -ENOMEDIUM in words if it was not done. */
int pl_scsi_run(struct pl_transport *t, const struct pl_scsi_command *command, const char *name,
		struct pl_scsi_reply *ret, struct platter_error *err);
/* The error that pl_scsi_run() makes of a reply; 0: it was done. */
int pl_scsi_result(const struct pl_scsi_reply *reply, const char *name, struct platter_error *err);
/* True: the drive does not have it, or will not tell; not so if it is gone or hangs. */
bool pl_scsi_declined(int r);

/* `info` has the rest already. */
int pl_scsi_health(struct pl_transport *t, struct pl_hardware_info *info,
		   struct platter_error *err);

/* Which of PL_ERASE_SCSI_SANITIZE_* the drive has. */
int pl_scsi_sanitize_ways(struct pl_transport *t, unsigned *ret, struct platter_error *err);
/* *ret_running: a sanitize operation is under way, *ret_fraction of it (-1: not told) is done. */
int pl_scsi_sanitize_status(struct pl_transport *t, bool *ret_running, double *ret_fraction,
			    struct platter_error *err);

#endif
