/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reader.h - what the readers of disc images share */
#ifndef PL_READER_H
#define PL_READER_H

#include "sheet.h"

/* Sheets are kilobytes; with tables of a disc's angular positions, some megabytes. */
#define PL_READER_MAX MIB(16)

/*
 * The whole file of a sheet, malloc()ed.  -EUCLEAN: it has less than `least` bytes (> 0); -EFBIG:
 * it has more than PL_READER_MAX.
 */
int pl_reader_load(struct pl_disk *file, size_t least, uint8_t **ret, size_t *ret_n,
		   struct platter_error *err);

/*
 * A driver's open(): `read` fills in a new disc with tracks and runs, which is then finished and
 * opened as what the request asks for.
 */
int pl_reader_open(const struct pl_open_request *request, const struct pl_disk_ops *ops,
		   int (*read)(const struct pl_open_request *request, struct pl_disc *disc,
			       struct platter_error *err),
		   struct pl_disk **ret, struct platter_error *err);

/* The control bits of a track in Q, as flags; bit 2 says that it is data. */
#define PL_CONTROL_DATA 4u
unsigned pl_reader_flags(unsigned control);
/* The other way. */
unsigned pl_reader_control(const struct platter_track *track);

/* An ISRC of 12 bytes, or an MCN of 13, as a text of the disc; "" if it is none. */
const char *pl_reader_isrc(struct pl_disc *disc, const uint8_t *bytes);
const char *pl_reader_mcn(struct pl_disc *disc, const uint8_t *bytes);

#endif
