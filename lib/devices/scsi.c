/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * scsi.c - SCSI disks: INQUIRY, its vital product data, and the capacity
 *
 * SPC-5, 6.6, standard INQUIRY data:        7.7, vital product data pages:
 *
 *	 0  1  peripheral device type (4:0)      1  1  page
 *	 1  1  RMB (7): removable                2  2  length of what follows
 *	 2  1  version                           4     00h: pages that there are
 *	 4  1  length of what follows                  80h: serial number
 *	 8  8  vendor                                  89h: SAT: there is an ATA drive behind it
 *	16 16  product                                 B1h: 4 2 rotation rate
 *	32  4  revision                                B2h: 5 1 LBPU, LBPWS, LBPWS10 (7:5)
 *
 * SBC-4, 5.20, READ CAPACITY (16): 0 8 last block, 8 4 bytes of a block.
 */
#include "scsi.h"

#include <stdio.h>

#include "health.h"

enum {
	INQUIRY = 0x12,
	READ_CAPACITY_10 = 0x25,
	SERVICE_ACTION_IN_16 = 0x9e,
	READ_CAPACITY_16 = 0x10, /* a service action of it */

	INQUIRY_SIZE = 36,
	INQUIRY_MOST = 255, /* what devices of all ages take for a length */
	VPD = 1,            /* EVPD */

	PAGE_LIST = 0x00,
	PAGE_SERIAL = 0x80,
	PAGE_DESIGNATORS = 0x83,
	PAGE_ATA = 0x89,
	PAGE_CHARACTERISTICS = 0xb1,
	PAGE_PROVISIONING = 0xb2,

	TYPE_DISK = 0x00,
	TYPE_RBC = 0x0e, /* reduced block commands: some USB and FireWire disks */
	TYPE_ZONED = 0x14,

	SHORT_TIMEOUT = 20 * PL_SECOND,
	TRIES = 4,
	BUSY_PAUSE = 500, /* milliseconds */
};

/* ---- commands ---- */

int
pl_scsi_send(struct pl_transport *t, const struct pl_scsi_command *command, const char *name,
	     struct pl_scsi_reply *ret, struct platter_error *err)
{
	for (unsigned tries = 0; tries < TRIES; tries++) {
		int r = pl_transport_scsi(t, command, ret, err);

		if (r < 0) {
			pl_context(err, "%s", name);
			return r;
		}
		if (ret->status == PL_STATUS_BUSY)
			pl_transport_sleep(t, BUSY_PAUSE);
		else if (!ret->sense.valid || ret->sense.key != PL_SENSE_UNIT_ATTENTION)
			break;
	}
	return 0;
}

int
pl_scsi_result(const struct pl_scsi_reply *reply, const char *name, struct platter_error *err)
{
	char text[40];
	int code = -EIO;

	if (reply->status == PL_STATUS_GOOD)
		return 0;
	if (reply->status == PL_STATUS_RESERVATION_CONFLICT)
		return pl_fail(err, -EIO, "%s: another host has reserved the device", name);
	if (reply->status != PL_STATUS_CHECK_CONDITION)
		return pl_fail(err, -EIO, "%s: the device answered with status %02xh", name,
			       reply->status);
	if (reply->sense.valid && reply->sense.key == PL_SENSE_RECOVERED)
		return 0;
	if (reply->sense.valid && reply->sense.key == PL_SENSE_ILLEGAL_REQUEST)
		code = -ENOTSUP;
	else if (reply->sense.valid && reply->sense.key == PL_SENSE_NOT_READY)
		code = -ENOMEDIUM;
	return pl_fail(err, code, "%s: %s", name, pl_sense_text(&reply->sense, text, sizeof text));
}

int
pl_scsi_run(struct pl_transport *t, const struct pl_scsi_command *command, const char *name,
	    struct pl_scsi_reply *ret, struct platter_error *err)
{
	int r = pl_scsi_send(t, command, name, ret, err);

	return r < 0 ? r : pl_scsi_result(ret, name, err);
}

bool
pl_scsi_declined(int r)
{
	return r == -EIO || r == -ENOTSUP || r == -ENOMEDIUM;
}

/* ---- INQUIRY ---- */

/* A page of vital product data, *ret_length bytes of it with its head; 0: it was not told. */
static int
read_page(struct pl_transport *t, uint8_t page, uint8_t ret[static INQUIRY_MOST],
	  size_t *ret_length, struct platter_error *err)
{
	struct pl_scsi_command c = {
		.cdb = { INQUIRY, VPD, page, 0, INQUIRY_MOST },
		.cdb_length = 6,
		.direction = PL_DATA_IN,
		.data = ret,
		.length = INQUIRY_MOST,
		.timeout = SHORT_TIMEOUT,
	};
	struct pl_scsi_reply reply;
	int r;

	memset(ret, 0, INQUIRY_MOST);
	*ret_length = 0;
	r = pl_scsi_run(t, &c, "INQUIRY", &reply, err);
	if (r < 0)
		return pl_scsi_declined(r) ? 0 : r;
	if (reply.got >= 4 && ret[1] == page)
		*ret_length = PL_MIN(reply.got, 4 + (size_t)get_be16(ret + 2));
	return 0;
}

static bool
has_page(const struct pl_scsi_identity *id, uint8_t page)
{
	return memchr(id->pages, page, id->nr_pages);
}

static void
decode_inquiry(const uint8_t *data, struct pl_scsi_identity *id)
{
	char vendor[9], product[17];

	*id = (struct pl_scsi_identity){
		.type = data[0] & 0x1f,
		.version = data[2],
		.removable = data[1] >> 7,
	};
	pl_identity_text(vendor, sizeof vendor, data + 8, 8);
	pl_identity_text(product, sizeof product, data + 16, 16);
	pl_identity_text(id->firmware, sizeof id->firmware, data + 32, 4);
	snprintf(id->model, sizeof id->model, "%s%s%s", vendor, *vendor && *product ? " " : "",
		 product);
	/* SAT-4, 8.1.2: what the bridge, or the kernel, makes of ATA drives. */
	id->translates_ata = memcmp(data + 8, "ATA     ", 8) == 0 && id->type == TYPE_DISK;
	/* Sticks that are not even of SPC hang when they are asked for what they do not know. */
	id->has_pages = id->version >= 3 || !id->removable;
}

static int
list_pages(struct pl_transport *t, struct pl_scsi_identity *id, struct platter_error *err)
{
	uint8_t page[INQUIRY_MOST];
	size_t n;
	int r = read_page(t, PAGE_LIST, page, &n, err);

	if (r < 0 || n <= 4)
		return r;
	id->nr_pages = (uint8_t)PL_MIN(n - 4, sizeof id->pages);
	memcpy(id->pages, page + 4, id->nr_pages);
	return 0;
}

/* SPC-5, 7.7.6: the first name that is of the device itself, as lsblk shows it without a serial. */
static void
take_designator(const uint8_t *page, size_t n, char *ret, size_t room)
{
	for (size_t at = 4; at + 4 <= n; at += 4 + (size_t)page[at + 3]) {
		const uint8_t *d = page + at;
		unsigned association = d[1] >> 4 & 3, type = d[1] & 0x0f;

		if (!pl_in_range(at + 4, d[3], n))
			return;
		/* NAA and EUI-64 names are binary. */
		if (association != 0 || (type != 2 && type != 3) || (d[0] & 0x0f) != 1)
			continue;
		for (size_t i = 0; i < d[3] && 2 * i + 3 <= room; i++)
			snprintf(ret + 2 * i, 3, "%02x", d[4 + i]);
		return;
	}
}

static int
read_serial(struct pl_transport *t, struct pl_scsi_identity *id, struct platter_error *err)
{
	uint8_t page[INQUIRY_MOST];
	size_t n = 0;
	int r = 0;

	if (has_page(id, PAGE_SERIAL))
		r = read_page(t, PAGE_SERIAL, page, &n, err);
	if (r == 0 && n > 4)
		pl_identity_text(id->serial, sizeof id->serial, page + 4, n - 4);
	if (r < 0 || *id->serial || !has_page(id, PAGE_DESIGNATORS))
		return r;
	r = read_page(t, PAGE_DESIGNATORS, page, &n, err);
	if (r == 0)
		take_designator(page, n, id->serial, sizeof id->serial);
	return r;
}

int
pl_scsi_identify(struct pl_transport *t, struct pl_scsi_identity *ret, struct platter_error *err)
{
	uint8_t data[INQUIRY_SIZE] = { 0 };
	struct pl_scsi_command c = {
		.cdb = { INQUIRY, 0, 0, 0, INQUIRY_SIZE },
		.cdb_length = 6,
		.direction = PL_DATA_IN,
		.data = data,
		.length = INQUIRY_SIZE,
		.timeout = SHORT_TIMEOUT,
	};
	struct pl_scsi_reply reply;
	int r = pl_scsi_run(t, &c, "INQUIRY", &reply, err);

	if (r < 0)
		return r;
	if (reply.got < INQUIRY_SIZE)
		return pl_fail(err, -EIO, "INQUIRY: %u bytes came instead of %d", reply.got,
			       INQUIRY_SIZE);
	decode_inquiry(data, ret);
	if (!ret->has_pages)
		return 0;
	r = list_pages(t, ret, err);
	if (r == 0 && has_page(ret, PAGE_ATA) && ret->type == TYPE_DISK)
		ret->translates_ata = true;
	return r < 0 ? r : read_serial(t, ret, err);
}

/* ---- the whole of it ---- */

static int
read_capacity_10(struct pl_transport *t, uint64_t *ret, struct platter_error *err)
{
	uint8_t data[8] = { 0 };
	struct pl_scsi_command c = {
		.cdb = { READ_CAPACITY_10 },
		.cdb_length = 10,
		.direction = PL_DATA_IN,
		.data = data,
		.length = sizeof data,
		.timeout = SHORT_TIMEOUT,
	};
	struct pl_scsi_reply reply;
	int r = pl_scsi_run(t, &c, "READ CAPACITY (10)", &reply, err);

	if (r == 0 && reply.got == sizeof data && get_be32(data) != UINT32_MAX)
		*ret = ((uint64_t)get_be32(data) + 1) * get_be32(data + 4);
	return r;
}

/* *ret_size stays if the drive has no medium, or does not tell. */
static int
read_capacity(struct pl_transport *t, uint64_t *ret_size, struct platter_error *err)
{
	uint8_t data[32] = { 0 };
	struct pl_scsi_command c = {
		.cdb = { SERVICE_ACTION_IN_16, READ_CAPACITY_16, [13] = sizeof data },
		.cdb_length = 16,
		.direction = PL_DATA_IN,
		.data = data,
		.length = sizeof data,
		.timeout = SHORT_TIMEOUT,
	};
	struct pl_scsi_reply reply;
	uint64_t size;
	int r = pl_scsi_run(t, &c, "READ CAPACITY (16)", &reply, err);

	/* Older ones, and drives for discs, may fail it in any way. */
	if (r == -ENOTSUP || r == -EIO || (r == 0 && reply.got < 12))
		r = read_capacity_10(t, ret_size, err);
	else if (r == 0 && get_be64(data) != UINT64_MAX &&
		 !__builtin_mul_overflow(get_be64(data) + 1, get_be32(data + 8), &size))
		*ret_size = size;
	return pl_scsi_declined(r) ? 0 : r;
}

static int
read_rotation(struct pl_transport *t, struct pl_hardware_info *info, struct platter_error *err)
{
	uint8_t page[INQUIRY_MOST];
	uint16_t rate;
	size_t n;
	int r = read_page(t, PAGE_CHARACTERISTICS, page, &n, err);

	if (r < 0 || n < 6)
		return r;
	rate = get_be16(page + 4);
	info->rotational_known = rate != 0 && rate != 0xffff;
	info->rotational = info->rotational_known && rate != 1;
	return 0;
}

static int
read_provisioning(struct pl_transport *t, struct pl_hardware_info *info, struct platter_error *err)
{
	uint8_t page[INQUIRY_MOST];
	size_t n;
	int r = read_page(t, PAGE_PROVISIONING, page, &n, err);

	if (r == 0 && n >= 6 && page[5] & 0xe0)
		info->erases |= PL_ERASE_TRIM;
	return r;
}

static bool
is_disk(const struct pl_scsi_identity *id)
{
	return id->type == TYPE_DISK || id->type == TYPE_RBC || id->type == TYPE_ZONED;
}

static int
look_at_disk(struct pl_transport *t, const struct pl_scsi_identity *id,
	     struct pl_hardware_info *ret, struct platter_error *err)
{
	double fraction;
	bool running = false;
	unsigned ways = 0;
	int r = 0;

	if (has_page(id, PAGE_CHARACTERISTICS))
		r = read_rotation(t, ret, err);
	if (r == 0 && has_page(id, PAGE_PROVISIONING))
		r = read_provisioning(t, ret, err);
	/* Commands that came with SPC-3; what is older may hang on them. */
	if (r < 0 || id->version < 5)
		return r;
	r = pl_scsi_sanitize_ways(t, &ways, err);
	if (r == 0 && ways)
		r = pl_scsi_sanitize_status(t, &running, &fraction, err);
	if (r < 0 && !pl_scsi_declined(r))
		return r;
	ret->erases |= running ? 0 : ways;
	ret->encrypts = ways & PL_ERASE_SCSI_SANITIZE_CRYPTO;
	ret->erase_reason = running ? "sanitizing" : NULL;
	return pl_scsi_health(t, ret, err);
}

int
pl_scsi_look(struct pl_transport *t, struct pl_hardware_info *ret, struct platter_error *err)
{
	struct pl_scsi_identity id;
	int r = pl_scsi_identify(t, &id, err);

	if (r < 0)
		return r;
	memcpy(ret->model, id.model, sizeof ret->model);
	memcpy(ret->serial, id.serial, sizeof ret->serial);
	memcpy(ret->firmware, id.firmware, sizeof ret->firmware);
	r = read_capacity(t, &ret->size, err);
	return r < 0 || !is_disk(&id) ? r : look_at_disk(t, &id, ret, err);
}
