/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ccd.h - inside the driver of CloneCD's images: ccd.c reads, ccd-writer.c writes */
#ifndef PL_CCD_H
#define PL_CCD_H

#include "reader.h"

/* Points of a table of contents that are no tracks. */
enum {
	CCD_FIRST_TRACK = 0xa0,
	CCD_LAST_TRACK = 0xa1,
	CCD_LEAD_OUT = 0xa2,
};

/* CD-TEXT packs are there without their CRC. */
#define CCD_PACK 16

int pl_ccd_create(const struct pl_create_request *request, struct pl_writer **ret,
		  struct platter_error *err);

#endif
