/* SPDX-License-Identifier: GPL-3.0-or-later */
/* disc-sector.c - whole sectors and their subchannel, of what an image stores of them */
#include "checksums.h"
#include "disc-view.h"

/* Bytes of a channel in a sector's subchannel. */
#define CHANNEL 12
#define Q_AT    CHANNEL

/* Every so many sectors Q tells the MCN, and behind it the ISRC, instead of the position. */
#define Q_CYCLE 100

enum {
	Q_CONTROL_DATA = 4,
	Q_CONTROL_COPY = 2,
	Q_CONTROL_PREEMPHASIS = 1,
	Q_CONTROL_FOUR_CHANNELS = 8,
	ADR_POSITION = 1,
	ADR_MCN = 2,
	ADR_ISRC = 3,
};

const struct pl_disc_run *
pl_disc_find_run(const struct pl_disc *disc, int64_t lba, uint64_t *ret_gap)
{
	size_t low = 0, high = disc->nr_runs;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (disc->runs[middle].lba <= lba)
			low = middle + 1;
		else
			high = middle;
	}
	if (low && lba - disc->runs[low - 1].lba < (int64_t)disc->runs[low - 1].nr)
		return &disc->runs[low - 1];
	*ret_gap = low < disc->nr_runs ? (uint64_t)(disc->runs[low].lba - lba) : UINT64_MAX;
	return NULL;
}

const struct platter_track *
pl_disc_track_at(const struct pl_disc *disc, int64_t lba)
{
	for (size_t i = 0; i < disc->info.nr_tracks; i++) {
		const struct platter_track *t = &disc->tracks[i];

		if (lba >= t->start - (int64_t)t->pregap && lba < t->start + (int64_t)t->length)
			return t;
	}
	return NULL;
}

static void
swap_bytes(uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i + 1 < n; i += 2) {
		uint8_t b = bytes[i];

		bytes[i] = bytes[i + 1];
		bytes[i + 1] = b;
	}
}

static void
put_subheader(uint8_t *sector, bool form2)
{
	static const uint8_t forms[2][8] = { { 0, 0, 0x08, 0, 0, 0, 0x08, 0 },
					     { 0, 0, 0x20, 0, 0, 0, 0x20, 0 } };

	memcpy(sector + PL_SECTOR_SUBHEADER, forms[form2], 8);
}

void
pl_disc_build_raw(const struct pl_disc *disc, const struct pl_disc_run *run, int64_t lba,
		  const uint8_t *stored, uint8_t out[static PL_SECTOR_RAW])
{
	enum platter_track_mode mode = disc->tracks[run->track].mode;
	enum pl_sector_kind kind = PL_SECTOR_MODE2;

	if (run->main_bytes == PL_SECTOR_RAW) {
		memcpy(out, stored, PL_SECTOR_RAW);
		if (run->big_endian)
			swap_bytes(out, PL_SECTOR_RAW);
		return;
	}
	memset(out, 0, PL_SECTOR_RAW);
	pl_sector_put_header(out, lba,
			     mode == PLATTER_TRACK_MODE2   ? 2
			     : mode == PLATTER_TRACK_MODE1 ? 1
							   : 0);
	switch (run->main_bytes) {
	case PL_SECTOR_DATA:
		kind = mode == PLATTER_TRACK_MODE1 ? PL_SECTOR_MODE1 : PL_SECTOR_FORM1;
		if (kind == PL_SECTOR_FORM1)
			put_subheader(out, false);
		memcpy(out + (kind == PL_SECTOR_FORM1 ? PL_SECTOR_XA_AT : PL_SECTOR_MODE1_AT),
		       stored, PL_SECTOR_DATA);
		break;
	case PL_SECTOR_FORM2_DATA:
	case PL_DISC_FORM2_EDC:
		kind = PL_SECTOR_FORM2;
		put_subheader(out, true);
		memcpy(out + PL_SECTOR_XA_AT, stored, PL_SECTOR_FORM2_DATA);
		break;
	case PL_DISC_FORM2_SUBHEADER:
		kind = PL_SECTOR_FORM2;
		memcpy(out + PL_SECTOR_SUBHEADER, stored, PL_DISC_FORM2_SUBHEADER);
		break;
	case PL_DISC_FORM1_SUBHEADER:
		kind = PL_SECTOR_FORM1;
		memcpy(out + PL_SECTOR_SUBHEADER, stored, PL_DISC_FORM1_SUBHEADER);
		break;
	default: /* 2336, with whatever EDC and ECC it has */
		memcpy(out + PL_SECTOR_SUBHEADER, stored, run->main_bytes);
		return;
	}
	pl_sector_protect(out, kind);
}

void
pl_disc_build_empty(enum platter_track_mode mode, int64_t lba, uint8_t out[static PL_SECTOR_RAW])
{
	memset(out, 0, PL_SECTOR_RAW);
	if (mode == PLATTER_TRACK_AUDIO)
		return;
	pl_sector_put_header(out, lba,
			     mode == PLATTER_TRACK_MODE1   ? 1
			     : mode == PLATTER_TRACK_MODE2 ? 2
							   : 0);
	if (mode == PLATTER_TRACK_MODE1)
		pl_sector_protect(out, PL_SECTOR_MODE1);
	if (mode != PLATTER_TRACK_MODE2)
		return;
	put_subheader(out, true);
	pl_sector_protect(out, PL_SECTOR_FORM2);
}

bool
pl_disc_run_has_edc(const struct pl_disc *disc, const struct pl_disc_run *run)
{
	enum platter_track_mode mode = disc->tracks[run->track].mode;

	return run->file && mode != PLATTER_TRACK_AUDIO &&
	       (run->main_bytes == PL_SECTOR_RAW || run->main_bytes == PL_SECTOR_MODE2_DATA);
}

/* Is it a good sector of this kind, but for its sync pattern and what ECC corrects? */
static bool
settle_as(enum pl_sector_kind kind, uint8_t sector[static PL_SECTOR_RAW])
{
	uint8_t tried[PL_SECTOR_RAW];

	memcpy(tried, sector, sizeof tried);
	pl_sector_put_sync(tried);
	if (pl_sector_correct(tried, kind) == PL_SECTOR_BAD)
		return false;
	memcpy(sector, tried, sizeof tried);
	return true;
}

/* The same of form 2, which has no ECC, but its subheader twice. */
static bool
settle_as_form2(uint8_t sector[static PL_SECTOR_RAW])
{
	uint8_t tried[PL_SECTOR_RAW], *sub = tried + PL_SECTOR_SUBHEADER;

	/* Without an EDC there is nothing to tell by. */
	if (pl_is_zero(sector + PL_SECTOR_RAW - 4, 4))
		return false;
	for (size_t good = 0; good <= 4; good += 4) {
		memcpy(tried, sector, sizeof tried);
		memcpy(sub + 4 - good, sub + good, 4);
		if (tried[PL_SECTOR_SUBMODE] & PL_SUBMODE_FORM2 &&
		    settle_as(PL_SECTOR_FORM2, tried)) {
			memcpy(sector, tried, sizeof tried);
			return true;
		}
	}
	return false;
}

/* Is the sector what its track says, though its header says `kind`? */
static bool
settle_as_track(enum platter_track_mode mode, uint8_t sector[static PL_SECTOR_RAW],
		enum pl_sector_kind *kind)
{
	if (mode == PLATTER_TRACK_MODE1 && *kind != PL_SECTOR_MODE1 &&
	    settle_as(PL_SECTOR_MODE1, sector))
		*kind = PL_SECTOR_MODE1;
	else if (mode == PLATTER_TRACK_MODE2 && *kind != PL_SECTOR_FORM1 &&
		 settle_as(PL_SECTOR_FORM1, sector))
		*kind = PL_SECTOR_FORM1;
	else if (mode == PLATTER_TRACK_MODE2 && settle_as_form2(sector))
		*kind = PL_SECTOR_FORM2;
	else
		return false;
	return true;
}

/* A sector that no EDC proves: there are modes without one. */
static enum pl_sector_state
judge_without_edc(enum platter_track_mode mode, const uint8_t sector[static PL_SECTOR_RAW],
		  enum pl_sector_kind *kind)
{
	bool zeros = pl_is_zero(sector + PL_SECTOR_MODE1_AT, PL_SECTOR_RAW - PL_SECTOR_MODE1_AT);

	if (*kind == PL_SECTOR_MODE2)
		return PL_SECTOR_GOOD;
	if ((*kind == PL_SECTOR_MODE0 || mode == PLATTER_TRACK_MODE0) && zeros)
		return PL_SECTOR_GOOD;
	if (*kind == PL_SECTOR_UNKNOWN)
		*kind = mode == PLATTER_TRACK_MODE2 ? PL_SECTOR_FORM1 : PL_SECTOR_MODE1;
	return PL_SECTOR_BAD;
}

enum pl_sector_state
pl_disc_settle_sector(const struct pl_disc *disc, const struct pl_disc_run *run,
		      uint8_t sector[static PL_SECTOR_RAW], enum pl_sector_kind *ret_kind)
{
	enum platter_track_mode mode = disc->tracks[run->track].mode;
	enum pl_sector_state state = PL_SECTOR_BAD;
	enum pl_sector_kind kind;

	if (pl_sector_is_scrambled(sector))
		pl_sector_scramble(sector);
	kind = pl_sector_kind(sector);
	if (pl_is_zero(sector, PL_SECTOR_RAW))
		state = PL_SECTOR_GOOD;
	else if (kind == PL_SECTOR_MODE1 || kind == PL_SECTOR_FORM1 || kind == PL_SECTOR_FORM2)
		state = pl_sector_correct(sector, kind);
	if (state == PL_SECTOR_BAD && settle_as_track(mode, sector, &kind))
		state = PL_SECTOR_CORRECTED;
	if (state == PL_SECTOR_BAD)
		state = judge_without_edc(mode, sector, &kind);
	if (ret_kind)
		*ret_kind = kind;
	return state;
}

static void
put_msf(uint8_t *out, uint64_t sectors)
{
	out[0] = pl_to_bcd((unsigned)(sectors / 4500 % 100));
	out[1] = pl_to_bcd((unsigned)(sectors / 75 % 60));
	out[2] = pl_to_bcd((unsigned)(sectors % 75));
}

/* CCITT, inverted. */
static void
put_q_crc(uint8_t q[static CHANNEL])
{
	put_be16(q + CHANNEL - 2, (uint16_t)~pl_crc16_ccitt(0, q, CHANNEL - 2));
}

/* 13 digits, two in a byte. */
static void
put_mcn(uint8_t *q, const char *mcn)
{
	for (size_t i = 0; i < 13 && mcn[i]; i++)
		q[1 + i / 2] |= (uint8_t)((mcn[i] - '0') << (i % 2 ? 0 : 4));
}

/* Five letters or digits of 6 bits, two bits of zeros, seven digits of 4. */
static void
put_isrc(uint8_t *q, const char *isrc)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < 5; i++)
		bits = bits << 6 | ((uint8_t)isrc[i] - '0');
	bits <<= 2;
	for (size_t i = 5; i < 12; i++)
		bits = bits << 4 | ((uint8_t)isrc[i] - '0');
	/* 60 bits, the last 4 of 8 bytes are zeros */
	put_be64(q + 1, bits << 4);
}

static unsigned
q_control(const struct platter_track *t)
{
	return (t->mode == PLATTER_TRACK_AUDIO ? 0u : Q_CONTROL_DATA) |
	       (t->flags & PLATTER_TRACK_COPY ? Q_CONTROL_COPY : 0u) |
	       (t->flags & PLATTER_TRACK_PREEMPHASIS ? Q_CONTROL_PREEMPHASIS : 0u) |
	       (t->flags & PLATTER_TRACK_FOUR_CHANNELS ? Q_CONTROL_FOUR_CHANNELS : 0u);
}

static void
put_position(const struct platter_track *t, int64_t lba, uint8_t *q)
{
	unsigned index = lba >= t->start;

	for (size_t i = 0; i < t->nr_indexes && lba >= t->indexes[i]; i++)
		index = 2 + (unsigned)i;
	q[1] = pl_to_bcd(t->number);
	q[2] = pl_to_bcd(index);
	/* In the pregap time runs backwards. */
	put_msf(q + 3, (uint64_t)(lba < t->start ? t->start - lba : lba - t->start));
	put_msf(q + 7, (uint64_t)(lba + PL_DISC_PREGAP));
}

static void
make_sub(const struct pl_disc *disc, int64_t lba, uint8_t out[static 96])
{
	const struct platter_track *t = pl_disc_track_at(disc, lba);
	uint8_t *q = out + Q_AT;
	unsigned adr = ADR_POSITION;

	if (!t || lba < -PL_DISC_PREGAP)
		return;
	if (lba < t->start)
		memset(out, 0xff, CHANNEL);
	if (lba >= t->start && lba % Q_CYCLE == 1 && disc->info.mcn[0])
		adr = ADR_MCN;
	else if (lba >= t->start && lba % Q_CYCLE == 2 && t->isrc[0])
		adr = ADR_ISRC;
	if (adr == ADR_MCN)
		put_mcn(q, disc->info.mcn);
	else if (adr == ADR_ISRC)
		put_isrc(q, t->isrc);
	else
		put_position(t, lba, q);
	if (adr != ADR_POSITION)
		q[9] = pl_to_bcd((unsigned)((lba + PL_DISC_PREGAP) % 75));
	q[0] = (uint8_t)(q_control(t) << 4 | adr);
	put_q_crc(q);
}

/* Bit 7 - c of byte i is bit i of channel c. */
static void
pack(const uint8_t *raw, uint8_t out[static 96])
{
	for (size_t i = 0; i < 96; i++)
		for (size_t channel = 0; channel < 8; channel++)
			out[channel * CHANNEL + i / 8] |=
				(uint8_t)((raw[i] >> (7 - channel) & 1) << (7 - i % 8));
}

void
pl_disc_put_sub(const struct pl_disc *disc, enum pl_subchannel sub, int64_t lba,
		const uint8_t *stored, uint8_t out[static 96])
{
	memset(out, 0, 96);
	if (!stored)
		make_sub(disc, lba, out);
	else if (sub == PL_SUB_Q16)
		memcpy(out + Q_AT, stored, CHANNEL);
	else if (sub == PL_SUB_RAW96)
		pack(stored, out);
	else
		memcpy(out, stored, 96);
}

bool
pl_disc_has_sub(const struct pl_disc *disc)
{
	for (size_t i = 0; i < disc->nr_runs; i++)
		if (disc->runs[i].sub != PL_SUB_NONE || disc->runs[i].sub_file)
			return true;
	return false;
}

static int
read_one_sub(struct pl_disc *disc, int64_t lba, uint8_t out[static 96], struct platter_error *err)
{
	uint64_t gap, k;
	const struct pl_disc_run *run = pl_disc_find_run(disc, lba, &gap);
	struct pl_disk *file = NULL;
	uint8_t stored[96];
	uint64_t at = 0;
	size_t n = 0, have;
	int r;

	k = run ? (uint64_t)(lba - run->lba) : 0;
	if (run && run->sub_file) {
		file = run->sub_file;
		at = run->sub_offset + k * 96;
		n = 96;
	} else if (run && run->file && run->sub != PL_SUB_NONE) {
		file = run->file;
		at = run->offset + k * run->stride + run->main_bytes;
		n = run->sub == PL_SUB_Q16 ? 16 : 96;
	}
	if (!file) {
		pl_disc_put_sub(disc, PL_SUB_NONE, lba, NULL, out);
		return 0;
	}
	r = pl_read_padded(file, stored, n, at, &have, err);
	if (r == 0)
		pl_disc_put_sub(disc, run->sub_file && !run->sub ? PL_SUB_PACKED96 : run->sub, lba,
				stored, out);
	return r;
}

int
pl_disc_read_sub(struct pl_disc *disc, int64_t lba, uint64_t nr, uint8_t *out,
		 struct platter_error *err)
{
	int r = 0;

	for (uint64_t i = 0; i < nr && r == 0; i++)
		r = read_one_sub(disc, lba + (int64_t)i, out + 96 * i, err);
	return r;
}
