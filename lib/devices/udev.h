/* SPDX-License-Identifier: GPL-3.0-or-later */
/* udev.h - what udev found out about a block device */
#ifndef PL_UDEV_H
#define PL_UDEV_H

#include "block-devices.h"

/* What is asked of it; NULL where it does not know, and everywhere if it does not run. */
struct pl_udev {
	char *model;  /* with its blanks, not cut to what the kernel keeps of it */
	char *vendor; /* the same; NULL for ATA */
	char *serial;
	char *wwn;
	char *revision;
	char *bus;   /* "ata", "usb", "scsi", ... */
	char *by_id; /* "/dev/disk/by-id/...": the name that stays with the drive */
};

/* Of the device at `index`; of a recorded tree, what stands in its run/udev/data. */
void pl_udev_read(const struct pl_blocks *blocks, size_t index, struct pl_udev *ret);
void pl_udev_done(struct pl_udev *udev);

#endif
