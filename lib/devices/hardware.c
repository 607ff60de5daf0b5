/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hardware.c - which commands a drive takes, and by whom its questions are answered */
#include "hardware.h"

#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ata.h"
#include "health.h"
#include "nvme.h"
#include "scsi.h"

struct pl_hardware {
	struct pl_transport *transport;
	enum pl_protocol protocol;
	struct pl_hardware_info info;
};

/* The commands of one protocol; NULL: it has none for it. */
static const struct protocol {
	int (*look)(struct pl_transport *t, struct pl_hardware_info *ret,
		    struct platter_error *err);
	int (*erase)(struct pl_transport *t, enum pl_erase how, const struct pl_watch *watch,
		     struct platter_error *err);
	int (*remove_hpa)(struct pl_transport *t, struct platter_error *err);
	int (*remove_dco)(struct pl_transport *t, struct platter_error *err);
} protocols[] = {
	[PL_PROTOCOL_NONE] = { NULL, NULL, NULL, NULL },
	[PL_PROTOCOL_ATA] = { pl_ata_look, pl_ata_erase, pl_ata_remove_hpa, pl_ata_remove_dco },
	[PL_PROTOCOL_SCSI] = { pl_scsi_look, pl_scsi_erase, NULL, NULL },
	[PL_PROTOCOL_NVME] = { pl_nvme_look, pl_nvme_erase, NULL, NULL },
};

static const struct {
	enum pl_erase how;
	enum pl_protocol protocol;
	const char *name;
} ways[] = {
	{ PL_ERASE_ATA_SECURITY, PL_PROTOCOL_ATA, "ATA SECURITY ERASE UNIT" },
	{ PL_ERASE_ATA_SECURITY_ENHANCED, PL_PROTOCOL_ATA, "ATA SECURITY ERASE UNIT, enhanced" },
	{ PL_ERASE_ATA_SANITIZE_BLOCK, PL_PROTOCOL_ATA, "ATA SANITIZE DEVICE, block erase" },
	{ PL_ERASE_ATA_SANITIZE_CRYPTO, PL_PROTOCOL_ATA,
	  "ATA SANITIZE DEVICE, cryptographic erase" },
	{ PL_ERASE_ATA_SANITIZE_OVERWRITE, PL_PROTOCOL_ATA, "ATA SANITIZE DEVICE, overwrite" },
	{ PL_ERASE_NVME_FORMAT, PL_PROTOCOL_NVME, "NVMe FORMAT NVM, user data erase" },
	{ PL_ERASE_NVME_FORMAT_CRYPTO, PL_PROTOCOL_NVME, "NVMe FORMAT NVM, cryptographic erase" },
	{ PL_ERASE_NVME_SANITIZE_BLOCK, PL_PROTOCOL_NVME, "NVMe SANITIZE, block erase" },
	{ PL_ERASE_NVME_SANITIZE_CRYPTO, PL_PROTOCOL_NVME, "NVMe SANITIZE, cryptographic erase" },
	{ PL_ERASE_NVME_SANITIZE_OVERWRITE, PL_PROTOCOL_NVME, "NVMe SANITIZE, overwrite" },
	{ PL_ERASE_SCSI_SANITIZE_BLOCK, PL_PROTOCOL_SCSI, "SCSI SANITIZE, block erase" },
	{ PL_ERASE_SCSI_SANITIZE_CRYPTO, PL_PROTOCOL_SCSI, "SCSI SANITIZE, cryptographic erase" },
	{ PL_ERASE_SCSI_SANITIZE_OVERWRITE, PL_PROTOCOL_SCSI, "SCSI SANITIZE, overwrite" },
	{ PL_ERASE_TRIM, PL_PROTOCOL_NONE, "TRIM" },
};

const char *
pl_erase_name(enum pl_erase how)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (ways[i].how == how)
			return ways[i].name;
	return "unknown";
}

/* ---- opening ---- */

static int
find_protocol(struct pl_transport *t, enum pl_protocol *ret, struct platter_error *err)
{
	struct pl_scsi_identity scsi;
	struct pl_ata_identity ata;
	int r;

	*ret = PL_PROTOCOL_NONE;
	if (pl_transport_nvme_namespace(t) > 0) {
		*ret = PL_PROTOCOL_NVME;
		return 0;
	}
	r = pl_scsi_identify(t, &scsi, err);
	if (r == -ENOTTY)
		return 0;
	if (r < 0)
		return r;
	*ret = PL_PROTOCOL_SCSI;
	if (!scsi.translates_ata)
		return 0;
	/* A bridge that does not pass it on leaves the drive a SCSI one. */
	r = pl_ata_identify(t, &ata, err);
	if (r == 0)
		*ret = PL_PROTOCOL_ATA;
	return pl_ata_declined(r) ? 0 : r;
}

int
pl_hardware_new(struct pl_transport *t, struct pl_hardware **ret, struct platter_error *err)
{
	PL_AUTOFREE struct pl_hardware *hw = calloc(1, sizeof *hw);
	int r = hw ? find_protocol(t, &hw->protocol, err) : pl_no_memory(err);

	if (r < 0) {
		pl_transport_close(t);
		return r;
	}
	hw->transport = t;
	*ret = PL_STEAL(hw);
	return 0;
}

/* Commands reach the whole drive, whichever of its partitions they are sent to. */
static int
refuse_partition(const char *path, struct platter_error *err)
{
	char folder[80];
	struct stat st;
	int r;

	if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return 0; /* opening it says why */
	snprintf(folder, sizeof folder, "/sys/dev/block/%u:%u/partition", major(st.st_rdev),
		 minor(st.st_rdev));
	if (access(folder, F_OK) < 0)
		return 0;
	r = pl_invalid(err, "'%s' is a partition, and commands are for the whole drive", path);
	pl_hint(err, "name the drive: 'lsblk -s %s' shows it", path);
	return r;
}

int
pl_hardware_open(const char *path, struct pl_hardware **ret, struct platter_error *err)
{
	struct pl_transport *t;
	int r = refuse_partition(path, err);

	if (r == 0)
		r = pl_transport_open(path, &t, err);
	if (r < 0)
		return r;
	r = pl_hardware_new(t, ret, err);
	if (r < 0)
		pl_context(err, "ask '%s'", path);
	return r;
}

void
pl_hardware_close(struct pl_hardware *hw)
{
	if (!hw)
		return;
	pl_transport_close(hw->transport);
	free(hw);
}

/* ---- asking ---- */

int
pl_hardware_look(struct pl_hardware *hw, const struct pl_hardware_info **ret,
		 struct platter_error *err)
{
	struct pl_hardware_info *info = &hw->info;
	const struct protocol *p = &protocols[hw->protocol];
	uint64_t size = 0;
	int r = 0;

	*info = (struct pl_hardware_info){ .protocol = hw->protocol };
	pl_health_unknown(info);
	if (p->look)
		r = p->look(hw->transport, info, err);
	else if (pl_transport_control(hw->transport, BLKGETSIZE64, &size) >= 0)
		info->size = size;
	if (r < 0)
		return r;
	info->native_size = PL_MAX(info->native_size, info->size);
	info->real_size = PL_MAX(info->real_size, info->native_size);
	*ret = info;
	return 0;
}

/* ---- telling ---- */

int
pl_hardware_erase(struct pl_hardware *hw, enum pl_erase how,
		  bool (*progress)(double fraction, void *closure), void *closure,
		  struct platter_error *err)
{
	const struct protocol *p = &protocols[hw->protocol];
	struct pl_watch watch = { progress, closure };
	enum pl_protocol its = PL_PROTOCOL_NONE;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (ways[i].how == how)
			its = ways[i].protocol;
	if (its == PL_PROTOCOL_NONE || its != hw->protocol)
		return pl_fail(err, -ENOTSUP, "the drive does not take %s", pl_erase_name(how));
	r = p->erase(hw->transport, how, &watch, err);
	/* What the kernel remembers of the drive is no longer on it. */
	pl_transport_control(hw->transport, BLKFLSBUF, NULL);
	return r;
}

int
pl_hardware_remove_hpa(struct pl_hardware *hw, struct platter_error *err)
{
	const struct protocol *p = &protocols[hw->protocol];

	return p->remove_hpa ? p->remove_hpa(hw->transport, err)
			     : pl_fail(err, -ENOTSUP, "the drive has no host protected area");
}

int
pl_hardware_remove_dco(struct pl_hardware *hw, struct platter_error *err)
{
	const struct protocol *p = &protocols[hw->protocol];

	return p->remove_dco
		       ? p->remove_dco(hw->transport, err)
		       : pl_fail(err, -ENOTSUP, "the drive has no device configuration overlay");
}
