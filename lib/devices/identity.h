/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * identity.h - which device, or file, a name stood for when a question was asked about it
 *
 * Names move: a drive is pulled and another plugged in while somebody reads what will be lost.  So
 * an identity is taken when the question is asked, and compared when the device was opened for
 * writing, which keeps its name from moving.
 */
#ifndef PL_IDENTITY_H
#define PL_IDENTITY_H

#include "block-devices.h"
#include "disk.h"

/* Of a drive, as far as the kernel and udev tell; "" not known. */
struct pl_drive_names {
	char vendor[64], model[64], serial[128], wwn[128], revision[32];
	char bus[16];    /* "sata", "ata", "usb", "nvme", "scsi", "virtio", "mmc", ...; "" none */
	char by_id[256]; /* "/dev/disk/by-id/...", of this device, also a partition */
};

struct pl_identity {
	char path[512];              /* as it was given */
	bool is_device;              /* a block device; else a file */
	struct pl_file_id file;      /* of a device: st_rdev, and inode 0 */
	uint64_t size;               /* of a device, in bytes */
	uint64_t start;              /* of a partition: where it begins on its disk */
	uint64_t sequence;           /* 0: the kernel does not tell */
	struct pl_drive_names names; /* of the whole drive */
};

/* What platter/device.h calls it. */
struct platter_identity {
	struct pl_identity identity;
};

/* What is known of the drive that the device at `index` is, or is a partition of. */
void pl_drive_names_read(const struct pl_blocks *blocks, size_t index, struct pl_drive_names *ret);

/* Errors: -ENOENT, -EACCES; -EINVAL: neither a device nor a file. */
int pl_identity_take(const char *path, struct pl_identity *ret, struct platter_error *err);
/* Of a device of a tree that was read. */
void pl_identity_of_block(const struct pl_blocks *blocks, size_t index, struct pl_identity *ret);

/*
 * Is what was opened for writing, or what the name stands for now, still the same?
 * -ENODEV: it is not, and nothing may be written.
 */
int pl_identity_check(const struct pl_identity *taken, struct pl_disk *storage,
		      struct platter_error *err);
int pl_identity_check_path(const struct pl_identity *taken, const char *path,
			   struct platter_error *err);
int pl_identity_compare(const struct pl_identity *taken, const struct pl_identity *now,
			struct platter_error *err);

/* The word by which somebody shows that he means this device: its serial number, else its model,
 * else its path; "" of a file. */
const char *pl_identity_word(const struct pl_identity *identity);

#endif
