/* SPDX-License-Identifier: GPL-3.0-or-later */
/* disc-view.h - inside of disc*.c: sectors made of what a run stores */
#ifndef PL_DISC_VIEW_H
#define PL_DISC_VIEW_H

#include "disc.h"

/* The run that holds sector `lba`, or NULL; *ret_gap: how many sectors are in none. */
const struct pl_disc_run *pl_disc_find_run(const struct pl_disc *disc, int64_t lba,
					   uint64_t *ret_gap);

/* The track that sector `lba` belongs to, pregaps included; NULL: none. */
const struct platter_track *pl_disc_track_at(const struct pl_disc *disc, int64_t lba);

/* All 2352 bytes of a sector, made of what a run stores of it. */
void pl_disc_build_raw(const struct pl_disc *disc, const struct pl_disc_run *run, int64_t lba,
		       const uint8_t *stored, uint8_t out[static PL_SECTOR_RAW]);

/* A sector of zeros as the track's mode has it. */
void pl_disc_build_empty(enum platter_track_mode mode, int64_t lba,
			 uint8_t out[static PL_SECTOR_RAW]);

/* Does the run store EDC? */
bool pl_disc_run_has_edc(const struct pl_disc *disc, const struct pl_disc_run *run);

/*
 * Bring a raw sector of a data track to order: unscramble it, correct it, and if its sync pattern,
 * header or subheader is damaged, find out by its EDC whether it is what its track says.  *ret_kind
 * (may be NULL): what it is.  Sectors that were never written, all zeros, are good.
 */
enum pl_sector_state pl_disc_settle_sector(const struct pl_disc *disc,
					   const struct pl_disc_run *run,
					   uint8_t sector[static PL_SECTOR_RAW],
					   enum pl_sector_kind *ret_kind);

/* Packed subchannel of a sector from what is stored of it (NULL: nothing, it is made). */
void pl_disc_put_sub(const struct pl_disc *disc, enum pl_subchannel sub, int64_t lba,
		     const uint8_t *stored, uint8_t out[static 96]);

#endif
