/* SPDX-License-Identifier: GPL-3.0-or-later */
/* disc-check.c - every sector's header, EDC and ECC, on all processors */
#include <stdio.h>

#include "disc-view.h"
#include "pool.h"

/* Sectors that one thread looks at, and pieces that are looked at between reports. */
#define PIECE     256
#define NR_PIECES 64

/* Ranges that are reported; the others are only counted. */
#define MAX_REPORTS 1000

enum state {
	FINE,
	CORRECTED,  /* EDC was wrong, ECC corrects it */
	WRONG,      /* EDC is wrong, ECC does not help */
	PARITY,     /* EDC is right, ECC is not that of the data */
	ADDRESS,    /* the header says that it is another sector */
	NO_SYNC,    /* no header where there should be one */
	UNREADABLE, /* the file could not be read there */
	NR_STATES,
};

static const struct {
	enum platter_severity severity;
	const char *what;
} reports[NR_STATES] = {
	[CORRECTED] = { PLATTER_NOTE, "wrong EDC, which ECC corrects" },
	[WRONG] = { PLATTER_DAMAGE, "wrong EDC, and ECC cannot correct the data" },
	[PARITY] = { PLATTER_NOTE, "an ECC that does not fit the data, whose EDC is right" },
	[ADDRESS] = { PLATTER_NOTE, "a header with another address" },
	[NO_SYNC] = { PLATTER_NOTE, "no header" },
	[UNREADABLE] = { PLATTER_DAMAGE, "data that cannot be read" },
};

struct check {
	struct pl_disc *disc;
	struct pl_findings *findings;
	const struct pl_disc_run *run;
	uint64_t first; /* sector of the run where the batch begins */
	uint8_t states[NR_PIECES * PIECE];

	/* The range that is put together. */
	enum state state;
	int64_t lba;
	uint64_t nr, nr_reports;
};

static enum state
look_at(const struct check *c, int64_t lba, const uint8_t *stored)
{
	uint8_t sector[PL_SECTOR_RAW];
	enum pl_sector_kind kind;
	enum pl_sector_state state;
	bool has_sync;

	pl_disc_build_raw(c->disc, c->run, lba, stored, sector);
	if (pl_is_zero(sector, sizeof sector))
		return FINE;
	has_sync = pl_sector_has_sync(sector);
	state = pl_disc_settle_sector(c->disc, c->run, sector, &kind);
	if (state == PL_SECTOR_BAD)
		return WRONG;
	if (!has_sync)
		return NO_SYNC;
	if (state == PL_SECTOR_CORRECTED)
		return CORRECTED;
	if (!pl_sector_is_at(sector, lba))
		return ADDRESS;
	return pl_sector_parity_fits(sector, kind) ? FINE : PARITY;
}

static void
check_piece(void *closure, size_t index)
{
	struct check *c = closure;
	uint64_t first = c->first + index * PIECE;
	size_t nr = (size_t)PL_MIN(PIECE, c->run->nr - first);
	size_t n = (nr - 1) * c->run->stride + c->run->main_bytes;
	PL_AUTOFREE uint8_t *stored = malloc(n);
	uint8_t *states = c->states + index * PIECE;

	if (!stored || pl_read_once(c->run->file, stored, n,
				    c->run->offset + first * c->run->stride, NULL) < 0) {
		memset(states, UNREADABLE, nr);
		return;
	}
	for (size_t i = 0; i < nr; i++)
		states[i] = (uint8_t)look_at(c, c->run->lba + (int64_t)(first + i),
					     stored + i * c->run->stride);
}

static void
report(struct check *c)
{
	if (c->nr && c->state != FINE) {
		enum platter_severity severity = reports[c->state].severity;

		if (++c->nr_reports > MAX_REPORTS)
			c->findings->count[severity]++;
		else if (c->nr == 1)
			pl_found(c->findings, severity, PLATTER_NO_OFFSET,
				 "sector %" PRId64 " has %s", c->lba, reports[c->state].what);
		else
			pl_found(c->findings, severity, PLATTER_NO_OFFSET,
				 "%" PRIu64 " sectors from %" PRId64 " on have %s", c->nr, c->lba,
				 reports[c->state].what);
	}
	c->nr = 0;
}

static int
check_run(struct check *c, struct platter_error *err)
{
	uint64_t nr;
	int r = 0;

	for (c->first = 0; c->first < c->run->nr && r == 0; c->first += nr) {
		nr = PL_MIN((uint64_t)PIECE * NR_PIECES, c->run->nr - c->first);
		pl_parallel((size_t)pl_div_round_up(nr, PIECE), check_piece, c);
		for (uint64_t i = 0; i < nr; i++) {
			int64_t lba = c->run->lba + (int64_t)(c->first + i);

			if (c->nr && (c->states[i] != c->state || c->lba + (int64_t)c->nr != lba))
				report(c);
			if (!c->nr)
				c->lba = lba;
			c->state = c->states[i];
			c->nr++;
		}
		r = pl_check_goes_on(c->findings, nr * PL_SECTOR_DATA, err);
	}
	return r;
}

int
pl_disc_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct check *c = calloc(1, sizeof *c);
	int r = 0;

	if (!c)
		return pl_no_memory(err);
	c->disc = pl_disc_of(disk);
	c->findings = findings;
	if (c->disc->nr_missing)
		pl_found(findings, PLATTER_DAMAGE, PLATTER_NO_OFFSET,
			 "%" PRIu64 " sectors that the tracks should have are not stored",
			 c->disc->nr_missing);
	for (size_t i = 0; i < c->disc->nr_runs && r == 0; i++) {
		c->run = &c->disc->runs[i];
		if (pl_disc_run_has_edc(c->disc, c->run))
			r = check_run(c, err);
	}
	report(c);
	free(c);
	return r;
}
