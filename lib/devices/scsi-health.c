/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * scsi-health.c - what SCSI disks count, and what they think of it
 *
 * LOG SENSE (SPC-5, 6.8, 7.3) sends pages of parameters: 0 2 code, 3 1 length, 4 value.
 *
 *	00h  pages that there are                 11h  0001h  7 1 percentage used of flash
 *	02h, 03h, 05h  errors of writing,         15h  0000h  4 4 minutes switched on
 *	     reading, verifying; 0006h  those     2Fh  0000h  4 1 additional sense code, 5 1 its
 *	     that could not be corrected                      qualifier: the exception
 *	0Dh  0000h  5 1 degrees Celsius
 *
 * READ DEFECT DATA (12) (SBC-4, 5.19) begins with the number of bytes that list the grown defects.
 * MODE SENSE (10), page 1Ch: DEXCPT (3) in its byte 2: the disk tells of no exceptions.
 */
#include "scsi.h"

#include "health.h"

enum {
	LOG_SENSE = 0x4d,
	LOG_CURRENT = 1 << 6, /* cumulative values */
	MODE_SENSE_10 = 0x5a,
	MODE_NO_BLOCKS = 0x08, /* DBD */
	READ_DEFECT_12 = 0xb7,
	DEFECT_GROWN = 0x08,
	DEFECT_PHYSICAL = 0x05, /* the format that most disks have */

	LOG_SIZE = 512,
	LOG_PAGES = 0x00,
	LOG_WRITE_ERRORS = 0x02,
	LOG_READ_ERRORS = 0x03,
	LOG_VERIFY_ERRORS = 0x05,
	LOG_TEMPERATURE = 0x0d,
	LOG_SOLID_STATE = 0x11,
	LOG_BACKGROUND_SCAN = 0x15,
	LOG_EXCEPTIONS = 0x2f,
	MODE_EXCEPTIONS = 0x1c,

	PREDICTED_FAILURE = 0x5d, /* additional sense codes */
	WARNING = 0x0b,

	SHORT_TIMEOUT = 20 * PL_SECOND,
};

struct log_page {
	uint8_t bytes[LOG_SIZE];
	size_t length; /* 0: the disk does not have it */
};

static int
read_log(struct pl_transport *t, uint8_t page, struct log_page *ret, struct platter_error *err)
{
	struct pl_scsi_command c = {
		.cdb = { LOG_SENSE, 0, (uint8_t)(LOG_CURRENT | page), [7] = LOG_SIZE >> 8 },
		.cdb_length = 10,
		.direction = PL_DATA_IN,
		.data = ret->bytes,
		.length = LOG_SIZE,
		.timeout = SHORT_TIMEOUT,
	};
	struct pl_scsi_reply reply;
	int r;

	memset(ret->bytes, 0, LOG_SIZE);
	ret->length = 0;
	r = pl_scsi_run(t, &c, "LOG SENSE", &reply, err);
	if (r < 0)
		return pl_scsi_declined(r) ? 0 : r;
	if (reply.got >= 4 && (ret->bytes[0] & 0x3f) == page)
		ret->length = PL_MIN(reply.got, 4 + (size_t)get_be16(ret->bytes + 2));
	return 0;
}

/* The value of a parameter, at least `want` bytes; *ret_length has how many.  Or NULL. */
static const uint8_t *
parameter(const struct log_page *page, uint16_t code, size_t want, size_t *ret_length)
{
	for (size_t at = 4; at + 4 <= page->length; at += 4 + (size_t)page->bytes[at + 3]) {
		const uint8_t *p = page->bytes + at;

		if (get_be16(p) != code)
			continue;
		if (p[3] < want || !pl_in_range(at + 4, p[3], page->length))
			return NULL;
		*ret_length = p[3];
		return p + 4;
	}
	return NULL;
}

static void
take_errors(const struct log_page *page, struct pl_hardware_info *info)
{
	size_t n;
	const uint8_t *p = parameter(page, 0x0006, 1, &n);
	uint64_t value = 0;

	if (!p || n > 8)
		return;
	for (size_t i = 0; i < n; i++)
		value = value << 8 | p[i];
	/* Unused counters have all their bits set; no other one gets that far. */
	if (value == UINT64_MAX >> (64 - 8 * n) || value >> 48)
		return;
	info->uncorrectable = value + (info->uncorrectable == UINT64_MAX ? 0 : info->uncorrectable);
}

struct exceptions {
	bool told;
	uint8_t asc, ascq;
};

static void
take_page(const struct log_page *page, struct pl_hardware_info *info, struct exceptions *ret)
{
	const uint8_t *p;
	size_t n;

	switch (page->bytes[0] & 0x3f) {
	case LOG_WRITE_ERRORS:
	case LOG_READ_ERRORS:
	case LOG_VERIFY_ERRORS: take_errors(page, info); break;
	case LOG_TEMPERATURE:
		p = parameter(page, 0x0000, 2, &n);
		if (p && p[1] != 0xff)
			info->temperature = p[1];
		break;
	case LOG_SOLID_STATE:
		p = parameter(page, 0x0001, 4, &n);
		if (p)
			info->percent_used = p[3];
		break;
	case LOG_BACKGROUND_SCAN:
		p = parameter(page, 0x0000, 4, &n);
		if (p)
			info->power_on_hours = get_be32(p) / 60;
		break;
	case LOG_EXCEPTIONS:
		p = parameter(page, 0x0000, 2, &n);
		if (p)
			*ret = (struct exceptions){ true, p[0], p[1] };
		break;
	default: break;
	}
}

static int
read_logs(struct pl_transport *t, struct pl_hardware_info *info, struct exceptions *ret,
	  struct platter_error *err)
{
	static const uint8_t wanted[] = { LOG_WRITE_ERRORS, LOG_READ_ERRORS, LOG_VERIFY_ERRORS,
					  LOG_TEMPERATURE,  LOG_SOLID_STATE, LOG_BACKGROUND_SCAN,
					  LOG_EXCEPTIONS };
	struct log_page list, page;
	int r = read_log(t, LOG_PAGES, &list, err);

	for (size_t i = 0; r == 0 && list.length > 4 && i < ARRAY_SIZE(wanted); i++) {
		if (!memchr(list.bytes + 4, wanted[i], list.length - 4))
			continue;
		r = read_log(t, wanted[i], &page, err);
		if (r == 0 && page.length)
			take_page(&page, info, ret);
	}
	return r;
}

static int
count_defects(struct pl_transport *t, struct pl_hardware_info *info, struct platter_error *err)
{
	uint8_t data[8] = { 0 };
	struct pl_scsi_command c = {
		.cdb = { READ_DEFECT_12, DEFECT_GROWN | DEFECT_PHYSICAL, [9] = sizeof data },
		.cdb_length = 12,
		.direction = PL_DATA_IN,
		.data = data,
		.length = sizeof data,
		.timeout = SHORT_TIMEOUT,
	};
	struct pl_scsi_reply reply;
	int r = pl_scsi_run(t, &c, "READ DEFECT DATA", &reply, err);

	if (r < 0)
		return pl_scsi_declined(r) ? 0 : r;
	/* Numbers of blocks have 4 bytes in the short form; all other forms have 8. */
	if (reply.got == sizeof data && data[1] & DEFECT_GROWN)
		info->reallocated = get_be32(data + 4) / ((data[1] & 7) == 0 ? 4 : 8);
	return 0;
}

/* *ret: the disk was told not to tell. */
static int
exceptions_off(struct pl_transport *t, bool *ret, struct platter_error *err)
{
	uint8_t data[32] = { 0 };
	struct pl_scsi_command c = {
		.cdb = { MODE_SENSE_10, MODE_NO_BLOCKS, MODE_EXCEPTIONS, [8] = sizeof data },
		.cdb_length = 10,
		.direction = PL_DATA_IN,
		.data = data,
		.length = sizeof data,
		.timeout = SHORT_TIMEOUT,
	};
	struct pl_scsi_reply reply;
	size_t at;
	int r = pl_scsi_run(t, &c, "MODE SENSE", &reply, err);

	*ret = false;
	if (r < 0)
		return pl_scsi_declined(r) ? 0 : r;
	at = 8 + (size_t)get_be16(data + 6);
	if (pl_in_range(at, 3, reply.got) && (data[at] & 0x3f) == MODE_EXCEPTIONS)
		*ret = data[at + 2] & 0x08;
	return 0;
}

int
pl_scsi_health(struct pl_transport *t, struct pl_hardware_info *info, struct platter_error *err)
{
	struct exceptions e = { 0 };
	bool off = false;
	int r = read_logs(t, info, &e, err);

	if (r == 0)
		r = count_defects(t, info, err);
	if (r == 0 && e.told)
		r = exceptions_off(t, &off, err);
	if (r < 0)
		return r;
	pl_health_judge(info, e.told && !off,
			e.asc == PREDICTED_FAILURE && e.ascq != 0xff
				? "the drive predicts its failure"
				: NULL,
			e.asc == WARNING ? "the drive gives a warning" : NULL);
	return 0;
}
