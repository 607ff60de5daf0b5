/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wipe-drive.c - which drive a target is on, what it hides and how it can erase itself
 *
 * The drive itself is asked, the kernel and udev where it does not tell.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "guard.h"
#include "hardware.h"
#include "identity.h"
#include "wipe.h"

/* Tenths of a second that the kernel may take to see that a drive has become larger. */
#define PATIENCE 50

/*
 * What Rev. 1 of SP 800-88 and IEEE 2883 count as Purge, what can be verified best first; ended
 * by 0.
 */
static const unsigned flash_purges[] = {
	PL_ERASE_NVME_SANITIZE_BLOCK,     PL_ERASE_ATA_SANITIZE_BLOCK,
	PL_ERASE_SCSI_SANITIZE_BLOCK,     PL_ERASE_NVME_SANITIZE_CRYPTO,
	PL_ERASE_ATA_SANITIZE_CRYPTO,     PL_ERASE_SCSI_SANITIZE_CRYPTO,
	PL_ERASE_NVME_FORMAT_CRYPTO,      PL_ERASE_NVME_FORMAT,
	PL_ERASE_NVME_SANITIZE_OVERWRITE, 0,
};
static const unsigned disk_purges[] = {
	PL_ERASE_ATA_SANITIZE_CRYPTO,    PL_ERASE_SCSI_SANITIZE_CRYPTO,
	PL_ERASE_ATA_SANITIZE_OVERWRITE, PL_ERASE_SCSI_SANITIZE_OVERWRITE,
	PL_ERASE_ATA_SECURITY_ENHANCED,  0,
};

unsigned
pl_wipe_best_purge(unsigned erases, bool hard_disk)
{
	const unsigned *best = hard_disk ? disk_purges : flash_purges;

	while (*best && !(erases & *best))
		best++;
	return *best;
}

static void
copy_text(char *to, size_t n, const char *from)
{
	if (*from)
		snprintf(to, n, "%s", from);
}

/* 1, 0, or -1: it has no medium of its own, of which the kernel says anything. */
static int
rotational_by_kernel(const struct pl_blocks *blocks, size_t disk, const char *bus)
{
	uint64_t told;

	if (!*bus || !strcmp(bus, "virtio"))
		return -1;
	told = pl_block_number(blocks, disk, "queue/rotational", UINT64_MAX);
	/* Of memory sticks, which do not tell, the kernel says that they rotate. */
	if (told == UINT64_MAX || (told && !strcmp(bus, "usb")))
		return -1;
	return told != 0;
}

static void
ask_kernel(struct pl_wipe *w, const struct pl_blocks *blocks, dev_t number)
{
	struct platter_wipe_drive *d = &w->report.drive;
	size_t index = pl_blocks_by_number(blocks, number);
	struct pl_drive_names names;

	if (index == PL_NO_BLOCK)
		return;
	pl_drive_names_read(blocks, index, &names);
	copy_text(w->model, sizeof w->model, names.model);
	copy_text(w->serial, sizeof w->serial, names.serial);
	copy_text(w->firmware, sizeof w->firmware, names.revision);
	copy_text(w->bus, sizeof w->bus, names.bus);
	if (blocks->list[index].disk != PL_NO_BLOCK) {
		w->partition = true;
		w->node_offset = blocks->list[index].start;
		index = blocks->list[index].disk;
		d->size = blocks->list[index].size;
	}
	d->rotational = rotational_by_kernel(blocks, index, names.bus);
}

static void
ask_drive(struct pl_wipe *w)
{
	const struct pl_hardware_info *info;

	if (pl_hardware_open(w->path, &w->hardware, NULL) < 0)
		return;
	if (pl_hardware_look(w->hardware, &info, NULL) < 0 || info->protocol == PL_PROTOCOL_NONE)
		return;
	copy_text(w->model, sizeof w->model, info->model);
	copy_text(w->serial, sizeof w->serial, info->serial);
	copy_text(w->firmware, sizeof w->firmware, info->firmware);
	if (info->rotational_known)
		w->report.drive.rotational = info->rotational;
	w->erases = info->erases;
	w->erases_beyond = info->erases_beyond;
	w->erase_reason = info->erase_reason;
	w->erase_minutes = info->erase_minutes;
	w->real_size = PL_MAX(info->native_size, info->real_size);
}

void
pl_wipe_identify(struct pl_wipe *w)
{
	struct platter_wipe_drive *d = &w->report.drive;
	struct pl_blocks *blocks = NULL;
	struct stat st;

	d->rotational = -1;
	if (fstat(w->fd, &st) == 0 && S_ISBLK(st.st_mode)) {
		if (pl_blocks_read("", &blocks, NULL) == 0)
			ask_kernel(w, blocks, st.st_rdev);
		pl_blocks_free(blocks);
		ask_drive(w);
	}
	d->model = w->model;
	d->serial = w->serial;
	d->firmware = w->firmware;
	d->bus = w->bus;
	d->hidden = w->real_size > d->size ? w->real_size - d->size : 0;
}

/* "nvme0n" of "nvme0n1": what all namespaces of a controller begin with; 0: it is none. */
static size_t
controller_length(const char *name)
{
	size_t n = strncmp(name, "nvme", 4) == 0 ? 4 + strspn(name + 4, "0123456789") : 0;

	return n > 4 && name[n] == 'n' ? n + 1 : 0;
}

int
pl_wipe_check_namespaces(struct pl_wipe *w, struct platter_error *err)
{
	struct pl_blocks *blocks;
	struct stat st;
	size_t index, n;
	int r;

	if (!(w->erases_beyond & w->erase))
		return 0;
	r = pl_wipe_warn(w, err, "all namespaces of the drive are erased, not this one alone");
	if (r == 0)
		r = pl_blocks_read("", &blocks, err);
	if (r < 0)
		return r;
	index = fstat(w->fd, &st) == 0 ? pl_blocks_by_number(blocks, st.st_rdev) : PL_NO_BLOCK;
	n = index == PL_NO_BLOCK ? 0 : controller_length(blocks->list[index].name);
	for (size_t i = 0; i < blocks->nr && n && r == 0; i++) {
		const struct pl_block_device *b = &blocks->list[i];

		if (i == index || b->disk != PL_NO_BLOCK ||
		    strncmp(b->name, blocks->list[index].name, n) != 0)
			continue;
		r = pl_guard_device(b->path, err);
		if (r < 0)
			pl_context(err, "it would be erased too");
	}
	pl_blocks_free(blocks);
	return r;
}

/* Have the kernel ask the drive for its size again. */
static void
rescan(const struct pl_wipe *w)
{
	struct stat st;
	char path[80];
	int fd;

	if (fstat(w->fd, &st) < 0)
		return;
	snprintf(path, sizeof path, "/sys/dev/block/%u:%u/device/rescan", major(st.st_rdev),
		 minor(st.st_rdev));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* Whether it worked is seen by the size. */
	dprintf(fd, "1");
	close(fd);
}

static int
wait_for_size(struct pl_wipe *w, uint64_t *ret, struct platter_error *err)
{
	const struct timespec tenth = { 0, 100000000 };
	int r;

	rescan(w);
	for (unsigned i = 0; i < PATIENCE; i++) {
		if (ioctl(w->fd, BLKGETSIZE64, ret) == 0 && *ret >= w->real_size)
			return 0;
		nanosleep(&tenth, NULL);
	}
	r = pl_fail(err, -EAGAIN,
		    "'%s' hides nothing any more, but the system still takes it for smaller",
		    w->path);
	pl_hint(err, "switch the drive's power off and on, and wipe it then");
	return r;
}

int
pl_wipe_unhide(struct pl_wipe *w, struct platter_error *err)
{
	const struct pl_hardware_info *info;
	uint64_t size;
	int r;

	if (!w->hidden_areas || !w->report.drive.hidden || w->state.resumed)
		return 0;
	r = pl_hardware_look(w->hardware, &info, err);
	if (r == 0 && info->native_size > info->size)
		r = pl_hardware_remove_hpa(w->hardware, err);
	if (r == 0)
		r = pl_hardware_look(w->hardware, &info, err);
	if (r == 0 && info->real_size > info->native_size)
		r = pl_hardware_remove_dco(w->hardware, err);
	if (r == 0)
		r = wait_for_size(w, &size, err);
	if (r < 0)
		return r;
	w->report.drive.size = w->state.drive_size = size;
	w->report.drive.hidden = 0;
	w->report.size = w->size = w->state.size = size;
	r = pl_wipe_find_extents(w, err);
	w->report.bytes = w->state.bytes = w->extents.bytes;
	w->state.nr_extents = w->extents.nr;
	w->state.extents_crc = pl_extents_crc(&w->extents);
	return r;
}
