/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * hardware.c - ask, and erase, the drives of the emulated PC
 *
 * usage: hardware look DEVICE            what it tells, as JSON
 *        hardware erase DEVICE WAY       one of its erases, by its bit
 *        hardware hpa|dco DEVICE         have it removed
 *        hardware read-cd DEVICE LBA C2  a raw sector, to the standard output
 *        hardware prepare DEVICE         SECURITY ERASE PREPARE, whatever IDENTIFY says of it
 *        hardware read DEVICE            256 KiB twice, each within 8 seconds
 * A failure is "error CODE: MESSAGE; HINT", status 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ata.h"
#include "hardware.h"
#include "scsi.h"

static struct platter_error err = PLATTER_ERROR_INIT;

static int
failed(void)
{
	printf("error %s: %s; %s\n", strerrorname_np(-err.code), err.message, err.hint);
	return 1;
}

/* Numbers that are not known are left out. */
static void
number(const char *name, uint64_t value)
{
	if (value != UINT64_MAX)
		printf(", \"%s\": %" PRIu64, name, value);
}

static int
look(struct pl_hardware *hw)
{
	static const char *const protocols[] = { "none", "ata", "scsi", "nvme" };
	static const char *const healths[] = { "unknown", "good", "warning", "failing" };
	const struct pl_hardware_info *info;

	if (pl_hardware_look(hw, &info, &err) < 0)
		return failed();
	printf("{\"protocol\": \"%s\", \"model\": \"%s\", \"serial\": \"%s\", \"firmware\": \"%s\"",
	       protocols[info->protocol], info->model, info->serial, info->firmware);
	number("size", info->size);
	number("native_size", info->native_size);
	number("real_size", info->real_size);
	if (info->rotational_known)
		printf(", \"rotational\": %s", info->rotational ? "true" : "false");
	printf(", \"erases\": [");
	for (unsigned how = 1, n = 0; how <= PL_ERASE_TRIM; how <<= 1)
		if (info->erases & how)
			printf("%s\"%s\"", n++ ? ", " : "", pl_erase_name((enum pl_erase)how));
	printf("], \"health\": \"%s\", \"reason\": \"%s\"", healths[info->health],
	       info->health_reason);
	number("reallocated", info->reallocated);
	number("pending", info->pending);
	number("uncorrectable", info->uncorrectable);
	number("power_on_hours", info->power_on_hours);
	if (info->temperature != INT32_MIN)
		printf(", \"temperature\": %d", info->temperature);
	if (info->percent_used >= 0)
		printf(", \"percent_used\": %d", info->percent_used);
	printf("}\n");
	return 0;
}

static int
read_cd(const char *path, uint32_t lba, enum pl_cd_c2 c2)
{
	uint8_t sector[PL_CD_SECTOR + PL_CD_C2_BLOCK_SIZE];
	struct pl_transport *t;
	struct pl_sense sense;
	int r = pl_transport_open(path, &t, &err);

	if (r < 0)
		return failed();
	r = pl_scsi_read_cd(t, lba, 1, c2, sector, &sense, &err);
	pl_transport_close(t);
	if (r < 0)
		return failed();
	return fwrite(sector, pl_cd_sector_size(c2), 1, stdout) != 1;
}

/* A transport that is used once, and a failure told. */
static int
send(const char *path, int (*run)(struct pl_transport *t))
{
	struct pl_transport *t;
	int r = pl_transport_open(path, &t, &err);

	if (r < 0)
		return failed();
	r = run(t);
	pl_transport_close(t);
	return r < 0 ? failed() : 0;
}

static int
prepare(struct pl_transport *t)
{
	struct pl_ata_reply reply;

	return pl_ata_run(t, &(struct pl_ata_command){ .command = 0xf3, .timeout = 8000 },
			  "SECURITY ERASE PREPARE", &reply, &err);
}

static int
read_slowly(struct pl_transport *t)
{
	static uint8_t data[256 << 10];
	const struct pl_scsi_command c = {
		.cdb = { 0x28, [7] = sizeof data / 512 >> 8 },
		.cdb_length = 10,
		.direction = PL_DATA_IN,
		.data = data,
		.length = sizeof data,
		.timeout = 8000,
	};
	struct pl_scsi_reply reply;
	int r = 0;

	/* What a throttled drive lets pass at first is never the second one too. */
	for (unsigned i = 0; i < 2 && r == 0; i++)
		r = pl_scsi_run(t, &c, "READ (10)", &reply, &err);
	return r;
}

int
main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "";
	struct pl_hardware *hw;
	int r;

	if (strcmp(verb, "read-cd") == 0 && argc == 5)
		return read_cd(argv[2], (uint32_t)atol(argv[3]), (enum pl_cd_c2)atoi(argv[4]));
	if (strcmp(verb, "prepare") == 0)
		return send(argv[2], prepare);
	if (strcmp(verb, "read") == 0)
		return send(argv[2], read_slowly);
	if (!*verb || pl_hardware_open(argv[2], &hw, &err) < 0)
		return *verb ? failed() : 2;
	if (strcmp(verb, "look") == 0) {
		r = look(hw);
	} else {
		if (strcmp(verb, "erase") == 0 && argc == 4)
			r = pl_hardware_erase(hw, (enum pl_erase)atoi(argv[3]), NULL, NULL, &err);
		else if (strcmp(verb, "hpa") == 0)
			r = pl_hardware_remove_hpa(hw, &err);
		else
			r = pl_hardware_remove_dco(hw, &err);
		r = r < 0 ? failed() : 0;
	}
	pl_hardware_close(hw);
	return r;
}
