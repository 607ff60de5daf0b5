/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wipe-drive.c - which drive a target is on, as the system tells it in /sys */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "wipe.h"

/* The first line of a file below `folder` without blanks around it, and printable; "" if none. */
static void
read_attribute(const char *folder, const char *name, char *buf, size_t n)
{
	char path[PATH_MAX];
	size_t length = 0, start = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "re");
	if (!f)
		return;
	if (!fgets(buf, (int)n, f))
		buf[0] = '\0';
	fclose(f);
	while (isspace((unsigned char)buf[start]))
		start++;
	for (; buf[start] && buf[start] != '\n'; start++)
		buf[length++] = isprint((unsigned char)buf[start]) ? buf[start] : '?';
	while (length && buf[length - 1] == ' ')
		length--;
	buf[length] = '\0';
}

/* The folder of the whole device in /sys that the device `number` is, or is a partition of. */
static void
device_folder(dev_t number, char *buf, size_t n)
{
	char part[PATH_MAX];

	snprintf(buf, n, "/sys/dev/block/%u:%u", major(number), minor(number));
	snprintf(part, sizeof part, "%s/partition", buf);
	if (access(part, F_OK) == 0)
		snprintf(buf, n, "/sys/dev/block/%u:%u/..", major(number), minor(number));
}

/* What it is plugged into, by the path of the device in /sys; the innermost counts. */
static const char *
bus_of(const char *folder)
{
	static const char *const buses[][2] = {
		{ "/usb", "USB" },       { "/nvme", "NVMe" },     { "/ata", "SATA" },
		{ "/mmc", "MMC" },       { "/virtio", "virtio" }, { "/virtual/block/loop", "loop" },
		{ "/session", "iSCSI" }, { "/host", "SCSI" },
	};
	char path[PATH_MAX];

	if (!realpath(folder, path))
		return "";
	for (size_t i = 0; i < ARRAY_SIZE(buses); i++)
		if (strstr(path, buses[i][0]))
			return buses[i][1];
	return "";
}

void
pl_wipe_identify(struct pl_wipe *w)
{
	struct platter_wipe_drive *d = &w->report.drive;
	char folder[64], rotational[8] = "";
	struct stat st;

	d->rotational = -1;
	if (fstat(w->fd, &st) == 0 && S_ISBLK(st.st_mode)) {
		device_folder(st.st_rdev, folder, sizeof folder);
		read_attribute(folder, "device/model", w->model, sizeof w->model);
		read_attribute(folder, "device/serial", w->serial, sizeof w->serial);
		if (!w->serial[0])
			read_attribute(folder, "serial", w->serial, sizeof w->serial);
		read_attribute(folder, "device/firmware_rev", w->firmware, sizeof w->firmware);
		if (!w->firmware[0])
			read_attribute(folder, "device/rev", w->firmware, sizeof w->firmware);
		read_attribute(folder, "queue/rotational", rotational, sizeof rotational);
		snprintf(w->bus, sizeof w->bus, "%s", bus_of(folder));
		/* What has no medium of its own is neither; the kernel then says anything. */
		if (rotational[0] && strcmp(w->bus, "loop") != 0 && strcmp(w->bus, "virtio") != 0)
			d->rotational = rotational[0] == '1';
	}
	d->model = w->model;
	d->serial = w->serial;
	d->firmware = w->firmware;
	d->bus = w->bus;
}
