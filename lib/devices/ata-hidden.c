/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ata-hidden.c - sectors that a host protected area, or a device configuration overlay, hides
 *
 * The host protected area (ATA8-ACS, 4.11) ends what can be addressed at a lower sector than the
 * native maximum; ACS-3 has accessible max address configuration (4.2) in its place.  The overlay
 * (ATA8-ACS, 4.10, DEVICE CONFIGURATION) lowers the native maximum itself.  DEVICE CONFIGURATION
 * IDENTIFY tells of the drive as it was made: words 3-6 are its last sector, and word 255 is A5h
 * and a checksum.
 */
#include "ata.h"

enum {
	READ_NATIVE_MAX = 0xf8,
	READ_NATIVE_MAX_EXT = 0x27,
	SET_MAX = 0xf9,
	SET_MAX_EXT = 0x37,
	SET_MAX_KEPT = 1, /* in COUNT: also after the power was off */
	ACCESSIBLE_MAX = 0x78,
	ACCESSIBLE_MAX_GET_NATIVE = 0x0000,
	ACCESSIBLE_MAX_SET = 0x0001,

	DEVICE_CONFIGURATION = 0xb1,
	DEVICE_CONFIGURATION_RESTORE = 0xc0,
	DEVICE_CONFIGURATION_IDENTIFY = 0xc2,
	CONFIGURATION_SIGNATURE = 0xa5,

	USES_LBA = 0x40, /* in DEVICE */

	ADDRESS_TIMEOUT = 20 * PL_SECOND,
	RESTORE_TIMEOUT = 1 * PL_MINUTE,
};

static const char *
native_name(const struct pl_ata_identity *id)
{
	if (id->amac)
		return "GET NATIVE MAX ADDRESS EXT";
	return id->lba48 ? "READ NATIVE MAX ADDRESS EXT" : "READ NATIVE MAX ADDRESS";
}

static struct pl_ata_command
native_command(const struct pl_ata_identity *id)
{
	if (id->amac)
		return (struct pl_ata_command){ .command = ACCESSIBLE_MAX,
						.features = ACCESSIBLE_MAX_GET_NATIVE,
						.extended = true,
						.timeout = ADDRESS_TIMEOUT };
	return (struct pl_ata_command){ .command =
						id->lba48 ? READ_NATIVE_MAX_EXT : READ_NATIVE_MAX,
					.device = USES_LBA,
					.extended = id->lba48,
					.timeout = ADDRESS_TIMEOUT };
}

/* A last sector that makes sense, or what is known without it. */
static uint64_t
sectors_up_to(uint64_t last, const struct pl_ata_identity *id, uint64_t at_least)
{
	if (last >= UINT64_MAX / id->sector_size)
		return at_least;
	return PL_MAX(last + 1, at_least);
}

/* The last sector of all that an HPA can hide; *ret_told is false if the drive will not tell. */
static int
read_native_max(struct pl_transport *t, const struct pl_ata_identity *id, uint64_t *ret_last,
		bool *ret_told, struct platter_error *err)
{
	struct pl_ata_command command = native_command(id);
	struct pl_ata_reply reply;
	int r;

	*ret_told = false;
	r = pl_ata_run(t, &command, native_name(id), &reply, err);
	if (r < 0)
		return pl_ata_declined(r) ? 0 : r;
	/* Without registers, or half of them, there is no number. */
	if (!reply.known || (command.extended && !reply.upper_known))
		return 0;
	*ret_last = command.extended
			    ? reply.lba
			    : (uint64_t)(reply.device & 0x0f) << 24 | (reply.lba & 0xffffff);
	*ret_told = true;
	return 0;
}

int
pl_ata_native_sectors(struct pl_transport *t, const struct pl_ata_identity *id, uint64_t *ret,
		      struct platter_error *err)
{
	uint64_t last;
	bool told;
	int r;

	*ret = id->nr_sectors;
	if (!id->hpa && !id->amac)
		return 0;
	r = read_native_max(t, id, &last, &told, err);
	if (r == 0 && told)
		*ret = sectors_up_to(last, id, id->nr_sectors);
	return r;
}

static bool
configuration_fits(const uint8_t *block)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < PL_ATA_BLOCK; i++)
		sum = (uint8_t)(sum + block[i]);
	return block[510] == CONFIGURATION_SIGNATURE && sum == 0;
}

int
pl_ata_real_sectors(struct pl_transport *t, const struct pl_ata_identity *id, uint64_t native,
		    uint64_t *ret, struct platter_error *err)
{
	uint8_t block[PL_ATA_BLOCK];
	int r;

	*ret = native;
	if (!id->dco)
		return 0;
	r = pl_ata_read_block(t,
			      &(struct pl_ata_command){ .command = DEVICE_CONFIGURATION,
							.features = DEVICE_CONFIGURATION_IDENTIFY,
							.count = 1,
							.timeout = ADDRESS_TIMEOUT },
			      "DEVICE CONFIGURATION IDENTIFY", block, err);
	if (r < 0)
		return pl_ata_declined(r) ? 0 : r;
	if (configuration_fits(block))
		*ret = sectors_up_to(get_le64(block + 6), id, native);
	return 0;
}

/* ---- making them addressable ---- */

/* SET MAX ADDRESS counts only right after READ NATIVE MAX ADDRESS. */
static int
set_max(struct pl_transport *t, const struct pl_ata_identity *id, uint64_t last,
	struct platter_error *err)
{
	struct pl_ata_command command = {
		.command = id->lba48 ? SET_MAX_EXT : SET_MAX,
		.count = SET_MAX_KEPT,
		.lba = last,
		.device = USES_LBA,
		.extended = id->lba48,
		.timeout = ADDRESS_TIMEOUT,
	};
	struct pl_ata_reply reply;
	const char *name = id->lba48 ? "SET MAX ADDRESS EXT" : "SET MAX ADDRESS";
	int r;

	if (id->amac) {
		name = "SET ACCESSIBLE MAX ADDRESS EXT";
		command.command = ACCESSIBLE_MAX;
		command.features = ACCESSIBLE_MAX_SET;
		command.extended = true;
		command.count = command.device = 0;
	} else if (!id->lba48) {
		command.device |= (uint8_t)(last >> 24 & 0x0f);
		command.lba &= 0xffffff;
	}
	r = pl_ata_run(t, &command, name, &reply, err);
	if (r == -EIO && reply.known && reply.error & PL_ATA_ERROR_IDNF)
		pl_hint(err, "drives do this once after they are switched on: switch its power off "
			     "and on, and try again");
	else if (r == -EIO)
		pl_hint(err, "the firmware of the computer may have frozen the drive, or set a "
			     "password for this: try in another computer, or behind a USB bridge");
	return r;
}

/* IDENTIFY has the last word on whether it worked. */
static int
expect_sectors(struct pl_transport *t, uint64_t nr, const char *name, struct platter_error *err)
{
	struct pl_ata_identity id;
	int r = pl_ata_identify(t, &id, err);

	if (r < 0 || id.nr_sectors >= nr)
		return r;
	r = pl_fail(err, -EIO,
		    "%s: the drive took it, but has %" PRIu64 " sectors and not %" PRIu64, name,
		    id.nr_sectors, nr);
	pl_hint(err, "switch its power off and on, and look again");
	return r;
}

int
pl_ata_remove_hpa(struct pl_transport *t, struct platter_error *err)
{
	struct pl_ata_identity id;
	uint64_t last;
	bool told;
	int r = pl_ata_identify(t, &id, err);

	if (r < 0)
		return r;
	if (!id.hpa && !id.amac)
		return pl_fail(err, -ENOTSUP, "the drive has no host protected area");
	r = read_native_max(t, &id, &last, &told, err);
	if (r < 0)
		return r;
	if (!told)
		return pl_fail(err, -ENOTSUP, "the drive does not tell its native size");
	if (sectors_up_to(last, &id, id.nr_sectors) == id.nr_sectors)
		return 0;
	r = set_max(t, &id, last, err);
	return r < 0 ? r : expect_sectors(t, last + 1, "SET MAX ADDRESS", err);
}

int
pl_ata_remove_dco(struct pl_transport *t, struct platter_error *err)
{
	struct pl_ata_identity id;
	struct pl_ata_reply reply;
	uint64_t real;
	int r = pl_ata_identify(t, &id, err);

	if (r < 0)
		return r;
	if (!id.dco)
		return pl_fail(err, -ENOTSUP, "the drive has no device configuration overlay");
	r = pl_ata_real_sectors(t, &id, id.nr_sectors, &real, err);
	if (r < 0)
		return r;
	r = pl_ata_run(t,
		       &(struct pl_ata_command){ .command = DEVICE_CONFIGURATION,
						 .features = DEVICE_CONFIGURATION_RESTORE,
						 .timeout = RESTORE_TIMEOUT },
		       "DEVICE CONFIGURATION RESTORE", &reply, err);
	if (r == -EIO)
		pl_hint(err, "drives refuse it while there is a host protected area, and after the "
			     "computer's firmware has frozen it: try behind a USB bridge");
	return r < 0 ? r : expect_sectors(t, real, "DEVICE CONFIGURATION RESTORE", err);
}
