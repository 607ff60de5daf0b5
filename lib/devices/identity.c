/* SPDX-License-Identifier: GPL-3.0-or-later */
/* identity.c - which device, or file, a name stood for when a question was asked about it */
#include "identity.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "text.h"
#include "udev.h"

/* Vital product data: page 0x80 (SPC-5, 7.7.10) is the unit's serial number. */
#define VPD_LENGTH 2
#define VPD_SERIAL 4

/* By the folders that lead to a device, the nearest last: the last match counts. */
static const struct {
	const char *folder, *bus;
} buses[] = {
	{ "/host", "scsi" },         { "/ata", "sata" },      { "/usb", "usb" },
	{ "/nvme", "nvme" },         { "/virtio", "virtio" }, { "/mmc_host", "mmc" },
	{ "/firewire", "firewire" }, { "/vbd-", "xen" },      { "/session", "iscsi" },
	{ "/floppy.", "floppy" },    { "/rport-", "fc" },     { "/end_device-", "sas" },
};

static void
bus_of(const char *link, char *ret, size_t n)
{
	const char *bus = NULL;

	if (strncmp(link, "/sys/devices/virtual/", 21) == 0) {
		/* NVMe with several paths to a namespace hangs below a virtual subsystem. */
		snprintf(ret, n, "%s", strstr(link, "/nvme-subsystem/") ? "nvme" : "");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(buses); i++) {
		const char *at = strstr(link, buses[i].folder);

		if (at)
			bus = buses[i].bus;
	}
	/* Disks of virtio-scsi are SCSI disks. */
	if (bus && strcmp(bus, "virtio") == 0 && strstr(link, "/host"))
		bus = "scsi";
	snprintf(ret, n, "%s", bus ? bus : "");
}

/* The first attribute of `list` (ended by NULL) that there is, made fit to print. */
static void
first_text(const struct pl_blocks *b, size_t index, const char *const *list, char *ret, size_t n)
{
	char text[256];

	*ret = '\0';
	for (; *list; list++) {
		PL_AUTOFREE char *clean = NULL;

		if (!pl_block_text(b, index, *list, text, sizeof text))
			continue;
		clean = pl_text_from_bytes(text, strlen(text));
		snprintf(ret, n, "%s", clean ? clean : "");
		return;
	}
}

static void
serial_of_vpd(const struct pl_blocks *b, size_t index, char *ret, size_t n)
{
	uint8_t page[VPD_SERIAL + 256];
	size_t got = pl_block_bytes(b, index, "device/vpd_pg80", page, sizeof page), length;
	PL_AUTOFREE char *text = NULL;
	const uint8_t *start = page + VPD_SERIAL;

	if (got < VPD_SERIAL)
		return;
	length = PL_MIN(get_be16(page + VPD_LENGTH), got - VPD_SERIAL);
	while (length && *start == ' ') {
		start++;
		length--;
	}
	text = pl_text_from_bytes(start, length);
	snprintf(ret, n, "%s", text ? text : "");
}

/* A bridge on USB has the number of the drive, or one of its own, some folders above. */
static void
serial_of_usb(const struct pl_blocks *b, size_t index, char *ret, size_t n)
{
	static const char *const up[] = { "../../../../../../", "../../../../../../../", NULL };
	char text[64], path[64];

	for (size_t i = 0; up[i]; i++) {
		snprintf(path, sizeof path, "%sidVendor", up[i]);
		if (!pl_block_text(b, index, path, text, sizeof text))
			continue;
		snprintf(path, sizeof path, "%sserial", up[i]);
		first_text(b, index, (const char *const[]){ path, NULL }, ret, n);
		return;
	}
}

static void
copy_text(char *ret, size_t n, const char *text)
{
	if (text)
		snprintf(ret, n, "%s", text);
}

/* The number of a PARTITION is not what its drive is known by, but its name in by-id is its own. */
static void
by_id_of(const struct pl_blocks *b, size_t index, char *ret, size_t n)
{
	struct pl_udev u;

	pl_udev_read(b, index, &u);
	copy_text(ret, n, u.by_id);
	pl_udev_done(&u);
}

void
pl_drive_names_read(const struct pl_blocks *b, size_t index, struct pl_drive_names *ret)
{
	static const char *const vendors[] = { "device/vendor", NULL };
	static const char *const models[] = { "device/model", "device/name", NULL };
	static const char *const serials[] = { "device/serial", "serial", NULL };
	static const char *const names[] = { "wwid", "device/wwid", NULL };
	static const char *const revisions[] = { "device/rev", "device/firmware_rev",
						 "device/fwrev", NULL };
	size_t whole = b->list[index].disk == PL_NO_BLOCK ? index : b->list[index].disk;
	struct pl_drive_names *d = ret;
	struct pl_udev u;

	*d = (struct pl_drive_names){ 0 };
	bus_of(b->list[whole].link, d->bus, sizeof d->bus);
	by_id_of(b, index, d->by_id, sizeof d->by_id);
	/* What is made by the kernel alone has no maker; "model" of others means other things. */
	if (!*d->bus)
		return;
	first_text(b, whole, vendors, d->vendor, sizeof d->vendor);
	first_text(b, whole, models, d->model, sizeof d->model);
	first_text(b, whole, serials, d->serial, sizeof d->serial);
	first_text(b, whole, names, d->wwn, sizeof d->wwn);
	first_text(b, whole, revisions, d->revision, sizeof d->revision);
	if (!*d->serial)
		serial_of_vpd(b, whole, d->serial, sizeof d->serial);
	if (!*d->serial && strcmp(d->bus, "usb") == 0)
		serial_of_usb(b, whole, d->serial, sizeof d->serial);
	pl_udev_read(b, whole, &u);
	copy_text(d->vendor, sizeof d->vendor, u.vendor);
	copy_text(d->model, sizeof d->model, u.model);
	copy_text(d->serial, sizeof d->serial, u.serial);
	copy_text(d->wwn, sizeof d->wwn, u.wwn);
	copy_text(d->revision, sizeof d->revision, u.revision);
	pl_udev_done(&u);
	/* The kernel's translation of ATA to SCSI, and PCI's number of virtio, are no makers. */
	if (strcmp(d->vendor, "ATA") == 0 || strncmp(d->vendor, "0x", 2) == 0)
		*d->vendor = '\0';
}

void
pl_identity_of_block(const struct pl_blocks *blocks, size_t index, struct pl_identity *ret)
{
	const struct pl_block_device *b = &blocks->list[index];

	*ret = (struct pl_identity){
		.is_device = true,
		.file = { .device = b->number },
		.size = b->size,
		.start = b->start,
		.sequence = b->sequence,
	};
	snprintf(ret->path, sizeof ret->path, "%s", b->path);
	pl_drive_names_read(blocks, index, &ret->names);
}

/* The device of this number; one that is gone is known by its number alone. */
static int
take_device(dev_t number, struct pl_identity *ret, struct platter_error *err)
{
	struct pl_blocks *blocks = NULL;
	size_t index;
	int r = pl_blocks_read("", &blocks, err);

	*ret = (struct pl_identity){ .is_device = true, .file = { .device = number } };
	if (r < 0 && r != -ENOENT)
		return r;
	index = blocks ? pl_blocks_by_number(blocks, number) : PL_NO_BLOCK;
	if (index != PL_NO_BLOCK)
		pl_identity_of_block(blocks, index, ret);
	pl_blocks_free(blocks);
	return 0;
}

int
pl_identity_take(const char *path, struct pl_identity *ret, struct platter_error *err)
{
	struct stat st;
	int r = 0;

	if (stat(path, &st) < 0)
		return pl_fail_errno(err, -errno, "examine '%s'", path);
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return pl_invalid(err, "'%s' is neither a device nor an image", path);
	*ret = (struct pl_identity){ .file = { st.st_dev, st.st_ino } };
	if (S_ISBLK(st.st_mode))
		r = take_device(st.st_rdev, ret, err);
	snprintf(ret->path, sizeof ret->path, "%s", path);
	return r;
}

/* What is different first, in words; NULL: nothing. */
static const char *
difference(const struct pl_identity *a, const struct pl_identity *b)
{
	if (a->is_device != b->is_device || a->file.device != b->file.device ||
	    a->file.inode != b->file.inode)
		return a->is_device ? "its name leads to another device" : "it is another file";
	if (!a->is_device)
		return NULL;
	if (strcmp(a->names.serial, b->names.serial) != 0)
		return "its serial number is another";
	if (strcmp(a->names.wwn, b->names.wwn) != 0)
		return "its world-wide name is another";
	if (strcmp(a->names.model, b->names.model) != 0)
		return "its model is another";
	if (a->size != b->size || a->start != b->start)
		return "its size is another";
	if (a->sequence != b->sequence)
		return "it was taken out, or attached anew, in between";
	return NULL;
}

int
pl_identity_compare(const struct pl_identity *taken, const struct pl_identity *now,
		    struct platter_error *err)
{
	const char *what = difference(taken, now);
	int r;

	if (!what)
		return 0;
	r = pl_fail(err, -ENODEV, "'%s' is not what it was when it was asked about: %s",
		    taken->path, what);
	pl_hint(err, "look again at what it is; nothing was written");
	return r;
}

int
pl_identity_check(const struct pl_identity *taken, struct pl_disk *storage,
		  struct platter_error *err)
{
	struct pl_identity now = { .is_device = pl_storage_is_device(storage) };
	struct pl_file_id id;
	int r = 0;

	if (!pl_storage_id(storage, 0, &id))
		return pl_invalid(err, "'%s' is neither a device nor an image", taken->path);
	if (now.is_device)
		r = take_device(id.device, &now, err);
	now.file = id;
	return r < 0 ? r : pl_identity_compare(taken, &now, err);
}

int
pl_identity_check_path(const struct pl_identity *taken, const char *path, struct platter_error *err)
{
	struct pl_identity now;
	int r = pl_identity_take(path, &now, err);

	return r < 0 ? r : pl_identity_compare(taken, &now, err);
}

const char *
pl_identity_word(const struct pl_identity *identity)
{
	const struct pl_drive_names *n = &identity->names;

	if (!identity->is_device)
		return "";
	return *n->serial ? n->serial : *n->model ? n->model : identity->path;
}
