/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * rescue-cd.h - sectors of a CD that the drive could not correct, made from what it took them for
 *
 * Asked for the 2048 bytes of a sector that it cannot correct, a drive gives none.  Asked for the
 * sector raw, it gives all 2352 as it took them, parity among them, and where it has C2 error
 * pointers a bit for each byte that its first corrector, CIRC, is not sure of.  Which bytes these are
 * differs from one reading to the next, so that several make a better sector than any one.
 */
#ifndef PL_RESCUE_CD_H
#define PL_RESCUE_CD_H

#include "direct.h"
#include "sector.h"
#include "transport.h"

/* Readings of the sector at `lba`, put together byte by byte; starts as { .lba = ... }. */
struct pl_cd_readings {
	int64_t lba;
	uint8_t bytes[PL_SECTOR_RAW];
	uint8_t votes
		[PL_SECTOR_RAW]; /* readings that were sure of the byte, less those of another */
};

/*
 * One more, at most 255.  `c2`: its error pointers, PL_CD_C2_SIZE bytes; NULL: the drive has none,
 * and the reading stands for itself.  True: EDC and address prove that the sector is whole now, and
 * `ret_data` is its user data, which is else as before.
 */
bool pl_cd_readings_add(struct pl_cd_readings *r, const uint8_t raw[static PL_SECTOR_RAW],
			const uint8_t *c2, uint8_t ret_data[static PL_SECTOR_DATA]);

struct pl_rescue_cd;

/*
 * The drive that `d` is; NULL: it is no optical drive with a disc of a CD's size, or takes no
 * commands.
 */
struct pl_rescue_cd *pl_rescue_cd_open(const struct pl_direct *d);

/* One behind `transport`, which is its own from now on; NULL: there is no memory for it. */
struct pl_rescue_cd *pl_rescue_cd_new(struct pl_transport *transport);

/* NULL is allowed. */
void pl_rescue_cd_close(struct pl_rescue_cd *cd);

/*
 * The user data of a sector that could not be read in `took` seconds; false: not so either.
 * Nothing is begun that would not end within `timeout` seconds, those included, if it took as long
 * as what came before.  A drive that refuses such reads, or hangs in one, is not asked again.  Any
 * thread; where another one is at it, false at once.
 */
bool pl_rescue_cd_read(struct pl_rescue_cd *cd, uint32_t lba, double took, double timeout,
		       uint8_t ret_data[static PL_SECTOR_DATA]);

#endif
