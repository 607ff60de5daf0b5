/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * scsi-cd.c - raw sectors of compact discs, and which of their bytes were not corrected
 *
 * MMC-6, 6.19, READ CD:
 *
 *	 0  BEh                                      9  sync (7), headers (6:5), user data (4),
 *	 1  expected type of sector (4:2): 0 any        EDC and ECC (3), C2: 1 bits, 2 and sums (2:1)
 *	 2  4  LBA                                  10  subchannel
 *	 6  3  sectors
 *
 * GET CONFIGURATION (6.5), feature 001Eh, CD Read: C2 flags (1) in byte 4.
 */
#include "scsi.h"

enum {
	READ_CD = 0xbe,
	ALL_OF_SECTOR = 0xf8,
	GET_CONFIGURATION = 0x46,
	ONE_FEATURE = 2,
	FEATURE_CD_READ = 0x001e,
	FEATURE_HEADER = 8,
	CD_READ_C2 = 1 << 1,

	/* A drive reads a bad place over and over before it gives up. */
	READ_TIMEOUT = 2 * PL_MINUTE,
	SHORT_TIMEOUT = 20 * PL_SECOND,
};

size_t
pl_cd_sector_size(enum pl_cd_c2 c2)
{
	static const size_t sizes[] = { 0, PL_CD_C2_SIZE, PL_CD_C2_BLOCK_SIZE };

	return PL_CD_SECTOR + sizes[c2];
}

static int
not_ready(const struct pl_sense *s, struct platter_error *err)
{
	char text[40];

	/* 04h/01h: it is on its way. */
	if (s->asc == 0x04 && s->ascq == 0x01)
		return pl_fail(err, -EAGAIN, "READ CD: the drive is getting ready");
	return pl_fail(err, -ENOMEDIUM, "READ CD: %s", pl_sense_text(s, text, sizeof text));
}

static int
refused(const struct pl_sense *s, uint32_t lba, struct platter_error *err)
{
	char text[40];

	/* 21h: LBA out of range; 63h: end of user area on this track. */
	if (s->asc == 0x21 || s->asc == 0x63)
		return pl_fail(err, -ERANGE, "READ CD: sector %u is not on the disc", lba);
	return pl_fail(err, -ENOTSUP, "READ CD: %s", pl_sense_text(s, text, sizeof text));
}

int
pl_scsi_read_cd(struct pl_transport *t, uint32_t lba, uint32_t nr, enum pl_cd_c2 c2, void *buf,
		struct pl_sense *ret_sense, struct platter_error *err)
{
	struct pl_scsi_command c = {
		.cdb = { READ_CD, [6] = 0, 0, (uint8_t)nr, (uint8_t)(ALL_OF_SECTOR | c2 << 1) },
		.cdb_length = 12,
		.direction = PL_DATA_IN,
		.data = buf,
		.length = (uint32_t)(nr * pl_cd_sector_size(c2)),
		.timeout = READ_TIMEOUT,
	};
	struct pl_scsi_reply reply = { 0 };
	int r;

	if (ret_sense)
		*ret_sense = (struct pl_sense){ 0 };
	if (nr == 0 || nr > PL_CD_MOST)
		return pl_invalid(err, "%u sectors at once, limit is %d", nr, PL_CD_MOST);
	put_be32(c.cdb + 2, lba);
	r = pl_scsi_send(t, &c, "READ CD", &reply, err);
	if (r < 0)
		return r;
	if (ret_sense)
		*ret_sense = reply.sense;
	if (reply.status == PL_STATUS_CHECK_CONDITION && reply.sense.valid) {
		if (reply.sense.key == PL_SENSE_NOT_READY)
			return not_ready(&reply.sense, err);
		if (reply.sense.key == PL_SENSE_ILLEGAL_REQUEST)
			return refused(&reply.sense, lba, err);
	}
	r = pl_scsi_result(&reply, "READ CD", err);
	if (r == 0 && reply.got < c.length)
		r = pl_fail(err, -EIO, "READ CD: %u bytes came instead of %u", reply.got, c.length);
	return r;
}

int
pl_scsi_cd_tells_c2(struct pl_transport *t, bool *ret, struct platter_error *err)
{
	uint8_t data[16] = { 0 };
	struct pl_scsi_command c = {
		.cdb = { GET_CONFIGURATION, ONE_FEATURE, 0, FEATURE_CD_READ, [8] = sizeof data },
		.cdb_length = 10,
		.direction = PL_DATA_IN,
		.data = data,
		.length = sizeof data,
		.timeout = SHORT_TIMEOUT,
	};
	struct pl_scsi_reply reply;
	int r = pl_scsi_run(t, &c, "GET CONFIGURATION", &reply, err);

	*ret = false;
	if (r < 0)
		return pl_scsi_declined(r) ? 0 : r;
	if (reply.got >= FEATURE_HEADER + 5 && get_be16(data + FEATURE_HEADER) == FEATURE_CD_READ)
		*ret = data[FEATURE_HEADER + 4] & CD_READ_C2;
	return 0;
}
