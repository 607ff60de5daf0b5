/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rescue-cd.h"

#include <linux/major.h>
#include <pthread.h>

#include "scsi.h"

/* Readings of a sector by a drive with error pointers; without, they cannot be put together. */
#define MOST_READINGS  8
#define PLAIN_READINGS 2
/* So many that bring nothing, one after the other, are enough. */
#define MOST_FAILURES 2

/* Addresses on a CD end with 99:59:74, and begin 2 seconds before LBA 0. */
#define MOST_SECTORS (100 * 60 * 75 - 150)

/* ---- one sector from several readings ---- */

/* EDC of form 1 is 0 if all else is, so that it fits what a drive has never read. */
static bool
is_blank(const uint8_t *sector)
{
	const uint8_t *bytes = sector + PL_SECTOR_SUBHEADER;

	return !bytes[0] && !memcmp(bytes, bytes + 1, PL_SECTOR_PARITY - PL_SECTOR_SUBHEADER - 1);
}

/*
 * Take it for a sector of this kind.  EDC of mode 1 covers the header, so that the one that
 * belongs there may stand in for what was read.  That of form 1 does not, and the address read is
 * the only one.
 */
static bool
take_as(const uint8_t *raw, int64_t lba, enum pl_sector_kind kind, uint8_t *ret_data)
{
	bool mode1 = kind == PL_SECTOR_MODE1;
	uint8_t s[PL_SECTOR_RAW];

	memcpy(s, raw, sizeof s);
	if (mode1)
		pl_sector_put_header(s, lba, 1);
	else
		pl_sector_put_sync(s);
	if (pl_sector_correct(s, kind) == PL_SECTOR_BAD)
		return false;
	/* What was corrected may be a header, and tell of another sector. */
	if (pl_sector_kind(s) != kind || s[PL_SECTOR_MODE] != (mode1 ? 1 : 2) ||
	    !pl_sector_is_at(s, lba) || (!mode1 && is_blank(s)))
		return false;
	memcpy(ret_data, s + (mode1 ? PL_SECTOR_MODE1_AT : PL_SECTOR_XA_AT), PL_SECTOR_DATA);
	return true;
}

static bool
take(const uint8_t *raw, int64_t lba, uint8_t *ret_data)
{
	return take_as(raw, lba, PL_SECTOR_MODE1, ret_data) ||
	       take_as(raw, lba, PL_SECTOR_FORM1, ret_data);
}

/* The byte that most of those that are sure agree on; else any. */
static void
vote(uint8_t *byte, uint8_t *votes, uint8_t other, bool sure)
{
	if (*votes == 0)
		*byte = other;
	if (!sure)
		return;
	if (*byte == other)
		++*votes;
	else
		--*votes;
}

bool
pl_cd_readings_add(struct pl_cd_readings *r, const uint8_t raw[static PL_SECTOR_RAW],
		   const uint8_t *c2, uint8_t ret_data[static PL_SECTOR_DATA])
{
	if (take(raw, r->lba, ret_data))
		return true;
	/* It may be of another sector, of which nothing must be mixed with this one. */
	if (!c2 || !pl_sector_is_at(raw, r->lba))
		return false;
	for (size_t i = 0; i < PL_SECTOR_RAW; i++)
		vote(&r->bytes[i], &r->votes[i], raw[i], !(c2[i / 8] & 0x80 >> i % 8));
	return take(r->bytes, r->lba, ret_data);
}

/* ---- the drive ---- */

struct pl_rescue_cd {
	pthread_mutex_t lock; /* guards all below, and is held while the drive reads */
	struct pl_transport *transport;
	bool asked; /* whether it has error pointers */
	bool never; /* ask for raw sectors again */
	enum pl_cd_c2 c2;
};

struct pl_rescue_cd *
pl_rescue_cd_new(struct pl_transport *transport)
{
	struct pl_rescue_cd *cd = calloc(1, sizeof *cd);

	if (!cd) {
		pl_transport_close(transport);
		return NULL;
	}
	pthread_mutex_init(&cd->lock, NULL);
	cd->transport = transport;
	return cd;
}

struct pl_rescue_cd *
pl_rescue_cd_open(const struct pl_direct *d)
{
	struct pl_transport *transport;

	if (!d->device || d->id_major != SCSI_CDROM_MAJOR || d->sector_size != PL_SECTOR_DATA ||
	    d->size / PL_SECTOR_DATA > MOST_SECTORS ||
	    pl_transport_open(d->path, &transport, NULL) < 0)
		return NULL;
	return pl_rescue_cd_new(transport);
}

void
pl_rescue_cd_close(struct pl_rescue_cd *cd)
{
	if (!cd)
		return;
	pl_transport_close(cd->transport);
	pthread_mutex_destroy(&cd->lock);
	free(cd);
}

/* After this error, would the next sector be worth a try? */
static bool
ends_all(int r)
{
	return r == -ENOTSUP || r == -ENOTTY || r == -EPERM || r == -ENODEV || r == -ETIMEDOUT;
}

static int
ask(struct pl_rescue_cd *cd)
{
	bool has_c2;
	int r = cd->asked ? 0 : pl_scsi_cd_tells_c2(cd->transport, &has_c2, NULL);

	if (r == 0 && !cd->asked) {
		cd->c2 = has_c2 ? PL_CD_C2_BITS : PL_CD_NO_C2;
		cd->asked = true;
	}
	return r;
}

/* One reading, without error pointers where the drive has promised them and refuses. */
static int
read_raw(struct pl_rescue_cd *cd, uint32_t lba, uint8_t *buf)
{
	int r = pl_scsi_read_cd(cd->transport, lba, 1, cd->c2, buf, NULL, NULL);

	if (r != -ENOTSUP || cd->c2 == PL_CD_NO_C2)
		return r;
	cd->c2 = PL_CD_NO_C2;
	return pl_scsi_read_cd(cd->transport, lba, 1, cd->c2, buf, NULL, NULL);
}

static double
seconds(const struct pl_rescue_cd *cd)
{
	return (double)pl_transport_now(cd->transport) / PL_SECOND;
}

/* With the lock. */
static bool
read_often(struct pl_rescue_cd *cd, uint32_t lba, double took, double timeout, uint8_t *ret_data)
{
	struct pl_cd_readings readings = { .lba = lba };
	double begun = seconds(cd) - took, longest = took;
	unsigned failures = 0, n = 0;
	int r = 0;

	while (r == 0 && failures < MOST_FAILURES) {
		uint8_t buf[PL_CD_SECTOR + PL_CD_C2_SIZE];
		double at = seconds(cd);

		if (at - begun + longest > timeout)
			break;
		r = ask(cd);
		if (r == 0 && n++ == (cd->c2 ? MOST_READINGS : PLAIN_READINGS))
			break;
		if (r == 0)
			r = read_raw(cd, lba, buf);
		if (r == 0 && pl_cd_readings_add(&readings, buf, cd->c2 ? buf + PL_CD_SECTOR : NULL,
						 ret_data))
			return true;
		failures = r == -EIO ? failures + 1 : 0;
		if (r == -EIO)
			r = 0;
		longest = PL_MAX(longest, seconds(cd) - at);
	}
	cd->never = ends_all(r);
	return false;
}

bool
pl_rescue_cd_read(struct pl_rescue_cd *cd, uint32_t lba, double took, double timeout,
		  uint8_t ret_data[static PL_SECTOR_DATA])
{
	bool good;

	if (pthread_mutex_trylock(&cd->lock))
		return false;
	good = !cd->never && read_often(cd, lba, took, timeout, ret_data);
	pthread_mutex_unlock(&cd->lock);
	return good;
}
