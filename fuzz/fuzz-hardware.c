/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fuzz-hardware.c - drives that answer anything
 *
 * The first byte of the input is the way to erase that is tried (its bit's number).  What follows
 * are the answers to commands, one after the other, each led by 4 bytes:
 *
 *	0  1  0: as it should be; 1: check condition, the data is sense data; 2: a status of NVMe;
 *	      3: the kernel fails
 *	1  1  SCSI status, low byte of the status of NVMe, or errno
 *	2  2  length of the data, little-endian
 *
 * The drive is one of NVMe if the second byte of the input, the number of its namespace, is not 0.
 */
#include <linux/nvme_ioctl.h>
#include <scsi/sg.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "fuzz.h"
#include "hardware.h"
#include "scsi.h"

enum {
	ANSWER_SENSE = 1,
	ANSWER_STATUS = 2,
	ANSWER_ERRNO = 3,
	ANSWER_HEAD = 4,
};

struct drive {
	struct pl_cursor answers;
	int nsid;
	uint64_t now;
};

static int
answer_scsi(sg_io_hdr_t *io, const uint8_t *head, const uint8_t *data, size_t n)
{
	if (head[0] == ANSWER_SENSE) {
		io->status = PL_STATUS_CHECK_CONDITION;
		io->sb_len_wr = (unsigned char)PL_MIN(n, io->mx_sb_len);
		memcpy(io->sbp, data, io->sb_len_wr);
		n = 0;
	} else {
		io->status = head[1];
		if (io->dxfer_direction == SG_DXFER_FROM_DEV)
			memcpy(io->dxferp, data, PL_MIN(n, io->dxfer_len));
	}
	/* Also less than nothing is missing, by some host adapters. */
	io->resid = (int)io->dxfer_len - (int)n;
	return 0;
}

static int
answer_nvme(struct nvme_passthru_cmd *io, const uint8_t *head, const uint8_t *data, size_t n)
{
	if (io->data_len)
		memcpy((void *)(uintptr_t)io->addr, data, PL_MIN(n, io->data_len));
	return head[0] == ANSWER_STATUS ? head[1] : 0;
}

static int
drive_control(void *closure, unsigned long request, void *argument)
{
	struct drive *d = closure;
	const uint8_t *head, *data;
	size_t n;

	if (request == NVME_IOCTL_ID)
		return d->nsid ? d->nsid : -ENOTTY;
	head = pl_take(&d->answers, ANSWER_HEAD);
	n = head ? get_le16(head + 2) : 0;
	data = pl_take(&d->answers, n);
	if (!data)
		return -ENODEV;
	if (head[0] == ANSWER_ERRNO)
		return -head[1];
	if (request == SG_IO)
		return answer_scsi(argument, head, data, n);
	return request == NVME_IOCTL_ADMIN_CMD ? answer_nvme(argument, head, data, n) : -ENOTTY;
}

static void
drive_sleep(void *closure, unsigned milliseconds)
{
	((struct drive *)closure)->now += milliseconds;
}

static uint64_t
drive_now(void *closure)
{
	return ((struct drive *)closure)->now;
}

static void
drive_close(void *closure)
{
}

static const struct pl_transport_ops drive_ops = { drive_control, drive_sleep, drive_now,
						   drive_close };

static void
expect_text(const char *text, size_t room)
{
	if (strnlen(text, room) == room)
		abort();
	for (; *text; text++)
		if (*text < 0x20 || *text == 0x7f)
			abort();
}

static void
expect_sane(const struct pl_hardware_info *info)
{
	expect_text(info->model, sizeof info->model);
	expect_text(info->serial, sizeof info->serial);
	expect_text(info->firmware, sizeof info->firmware);
	expect_text(info->health_reason, sizeof info->health_reason);
	if (info->native_size < info->size || info->real_size < info->native_size)
		abort();
	if (info->erases_beyond & ~info->erases)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct drive d = { 0 };
	static uint8_t sectors[2 * (PL_CD_SECTOR + PL_CD_C2_BLOCK_SIZE)];
	const struct pl_hardware_info *info;
	struct pl_transport *t;
	struct pl_hardware *hw;
	unsigned how;

	if (size < 2)
		return 0;
	how = data[0];
	d.nsid = data[1];
	d.answers = (struct pl_cursor){ data + 2, data + size };
	if (pl_transport_new(&drive_ops, &d, &t, &err) < 0)
		return 0;
	pl_scsi_read_cd(t, 0, 2, (enum pl_cd_c2)(how % 3), sectors, NULL, &err);
	if (pl_hardware_new(t, &hw, &err) < 0)
		return 0;
	if (pl_hardware_look(hw, &info, &err) == 0)
		expect_sane(info);
	pl_hardware_erase(hw, (enum pl_erase)(1u << how % 14), NULL, NULL, &err);
	pl_hardware_remove_hpa(hw, &err);
	pl_hardware_remove_dco(hw, &err);
	pl_hardware_close(hw);
	return 0;
}
