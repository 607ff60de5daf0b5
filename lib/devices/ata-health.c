/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ata-health.c - SMART and the device statistics
 *
 * SMART READ DATA (ATA8-ACS, 7.53.6) is 512 bytes whose first 362 every maker fills alike:
 *
 *	0    2  revision
 *	2  360  30 attributes: number, flags (2), value, worst value, raw value (6), reserved
 *	511  1  checksum
 *
 * Raw values are little-endian numbers of 48 bits, whose upper half some makers use for other
 * things.  Device statistics (ACS-4, 9.5), log 04h, have pages of 512 bytes:
 *
 *	2    1  number of the page
 *	8 ...   statistics of 8 bytes: 0-47 value, 62 valid, 63 supported
 */
#include "ata.h"
#include "health.h"

enum {
	SMART = 0xb0,
	SMART_READ_DATA = 0xd0,
	SMART_RETURN_STATUS = 0xda,
	SMART_LBA = 0xc24f00,       /* what the command is known by */
	SMART_THRESHOLD = 0x2cf400, /* the answer when a threshold is passed */
	SMART_LBA_MASK = 0xffff00,

	ATTRIBUTES = 2,
	ATTRIBUTE_SIZE = 12,
	NR_ATTRIBUTES = 30,
	ATTRIBUTE_VALUE = 3,
	ATTRIBUTE_RAW = 5,

	READ_LOG_EXT = 0x2f,
	LOG_STATISTICS = 0x04,
	STATISTIC_VALID = 0xc0, /* supported and valid, in the last byte */
	STATISTIC_FLAGS = 7,

	SMART_TIMEOUT = 20 * PL_SECOND,
};

static uint32_t
raw_low(const uint8_t *attribute)
{
	return get_le32(attribute + ATTRIBUTE_RAW);
}

/* The value, which begins at 100 or a little above, is what is left of the flash's life. */
static void
take_wear(const uint8_t *attribute, struct pl_hardware_info *info)
{
	uint8_t left = attribute[ATTRIBUTE_VALUE];

	if (!info->rotational && left > 0 && left <= 100)
		info->percent_used = PL_MAX(info->percent_used, 100 - left);
}

static void
take_temperature(const uint8_t *attribute, struct pl_hardware_info *info)
{
	/* The bytes above are the lowest and highest temperatures so far. */
	uint8_t degrees = attribute[ATTRIBUTE_RAW];

	if (degrees > 0 && degrees < 128)
		info->temperature = degrees;
}

static void
take_attribute(const uint8_t *attribute, struct pl_hardware_info *info)
{
	switch (attribute[0]) {
	case 5: info->reallocated = raw_low(attribute); break;
	case 9: info->power_on_hours = raw_low(attribute) & 0xffffff; break;
	case 190:
		if (info->temperature == INT32_MIN)
			take_temperature(attribute, info);
		break;
	case 194: take_temperature(attribute, info); break;
	case 197: info->pending = raw_low(attribute); break;
	case 198: info->uncorrectable = raw_low(attribute); break;
	case 231: /* life left */
	case 233: /* media wearout indicator */ take_wear(attribute, info); break;
	default: break;
	}
}

static int
read_attributes(struct pl_transport *t, struct pl_hardware_info *info, struct platter_error *err)
{
	uint8_t block[PL_ATA_BLOCK], sum = 0;
	int r = pl_ata_read_block(t,
				  &(struct pl_ata_command){ .command = SMART,
							    .features = SMART_READ_DATA,
							    .count = 1,
							    .lba = SMART_LBA,
							    .timeout = SMART_TIMEOUT },
				  "SMART READ DATA", block, err);

	if (r < 0)
		return pl_ata_declined(r) ? 0 : r;
	for (size_t i = 0; i < PL_ATA_BLOCK; i++)
		sum = (uint8_t)(sum + block[i]);
	if (sum != 0)
		return 0;
	for (size_t i = 0; i < NR_ATTRIBUTES; i++)
		take_attribute(block + ATTRIBUTES + i * ATTRIBUTE_SIZE, info);
	return 0;
}

/* *ret_told: it answered at all. */
static int
return_status(struct pl_transport *t, bool *ret_told, bool *ret_failing, struct platter_error *err)
{
	struct pl_ata_reply reply;
	int r;

	*ret_told = *ret_failing = false;
	r = pl_ata_run(t,
		       &(struct pl_ata_command){ .command = SMART,
						 .features = SMART_RETURN_STATUS,
						 .lba = SMART_LBA,
						 .timeout = SMART_TIMEOUT },
		       "SMART RETURN STATUS", &reply, err);
	if (r < 0)
		return pl_ata_declined(r) ? 0 : r;
	if (!reply.known)
		return 0;
	*ret_failing = (reply.lba & SMART_LBA_MASK) == SMART_THRESHOLD;
	*ret_told = *ret_failing || (reply.lba & SMART_LBA_MASK) == SMART_LBA;
	return 0;
}

/* ---- device statistics ---- */

enum {
	STATISTICS_LIST = 0x00,
	STATISTICS_GENERAL = 0x01,
	STATISTICS_ROTATING = 0x03,
	STATISTICS_ERRORS = 0x04,
	STATISTICS_TEMPERATURE = 0x05,
	STATISTICS_SOLID_STATE = 0x07,
	NR_STATISTICS = 8,
};

/* *ret_there: the drive has the page. */
static int
read_statistics(struct pl_transport *t, uint8_t page, uint8_t ret[static PL_ATA_BLOCK],
		bool *ret_there, struct platter_error *err)
{
	int r = pl_ata_read_block(t,
				  &(struct pl_ata_command){ .command = READ_LOG_EXT,
							    .count = 1,
							    .lba = LOG_STATISTICS | (uint64_t)page
											    << 8,
							    .extended = true,
							    .timeout = SMART_TIMEOUT },
				  "READ LOG EXT", ret, err);

	*ret_there = r == 0 && ret[2] == page && get_le16(ret) != 0;
	return pl_ata_declined(r) ? 0 : r;
}

/* A statistic of 32 bits, or false. */
static bool
statistic(const uint8_t *block, size_t at, uint32_t *ret)
{
	if ((block[at + STATISTIC_FLAGS] & STATISTIC_VALID) != STATISTIC_VALID)
		return false;
	*ret = get_le32(block + at);
	return true;
}

static void
take_statistics(const uint8_t *block, struct pl_hardware_info *info)
{
	uint32_t value;

	switch (block[2]) {
	case STATISTICS_GENERAL:
		if (statistic(block, 0x10, &value))
			info->power_on_hours = value;
		break;
	case STATISTICS_ROTATING:
		if (statistic(block, 0x20, &value))
			info->reallocated = value;
		if (statistic(block, 0x38, &value))
			info->pending = value;
		break;
	case STATISTICS_ERRORS:
		if (statistic(block, 0x08, &value))
			info->uncorrectable = value;
		break;
	case STATISTICS_TEMPERATURE:
		if (statistic(block, 0x08, &value))
			info->temperature = (int)(value & 0x7f) - (int)(value & 0x80); /* signed */
		break;
	case STATISTICS_SOLID_STATE:
		if (statistic(block, 0x08, &value))
			info->percent_used = (uint8_t)value;
		break;
	default: break;
	}
}

static int
read_all_statistics(struct pl_transport *t, struct pl_hardware_info *info,
		    struct platter_error *err)
{
	static const uint8_t wanted[] = { STATISTICS_GENERAL, STATISTICS_ROTATING,
					  STATISTICS_ERRORS, STATISTICS_TEMPERATURE,
					  STATISTICS_SOLID_STATE };
	uint8_t list[PL_ATA_BLOCK], block[PL_ATA_BLOCK];
	bool there;
	int r = read_statistics(t, STATISTICS_LIST, list, &there, err);

	if (r < 0 || !there)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		if (!memchr(list + 9, wanted[i], list[8]))
			continue;
		r = read_statistics(t, wanted[i], block, &there, err);
		if (r < 0)
			return r;
		if (there)
			take_statistics(block, info);
	}
	return 0;
}

int
pl_ata_health(struct pl_transport *t, const struct pl_ata_identity *id,
	      struct pl_hardware_info *info, struct platter_error *err)
{
	bool told = false, failing = false;
	int r = 0;

	if (id->smart)
		r = return_status(t, &told, &failing, err);
	if (r == 0 && id->smart)
		r = read_attributes(t, info, err);
	if (r == 0 && id->logs)
		r = read_all_statistics(t, info, err);
	if (r < 0)
		return r;
	pl_health_judge(info, told, failing ? "SMART says that the drive is about to fail" : NULL,
			NULL);
	return 0;
}
