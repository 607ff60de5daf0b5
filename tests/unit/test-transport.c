/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-transport.c - what the kernel is given, and what its answers mean */
#include "fake-hardware.h"

static struct platter_error err;

static struct fake *
fresh(void)
{
	err = (struct platter_error)PLATTER_ERROR_INIT;
	return fake_new();
}

static void
expect_error(int got, int wanted, const char *message)
{
	EXPECT_EQ(got, wanted);
	EXPECT_EQ(err.code, wanted);
	if (!strstr(err.message, message))
		pl_test_fail(__FILE__, __LINE__, "'%s' does not say '%s'", err.message, message);
}

/* ---- the bytes of the structures ---- */

static sg_io_hdr_t sg_seen;
static struct nvme_passthru_cmd nvme_seen;

static int
remember(void *closure, unsigned long request, void *argument)
{
	if (request == SG_IO) {
		sg_io_hdr_t *io = argument;

		sg_seen = *io;
		io->resid = 100;
		return 0;
	}
	EXPECT_EQ(request, NVME_IOCTL_ADMIN_CMD);
	nvme_seen = *(struct nvme_passthru_cmd *)argument;
	return 0x6002;
}

static void
forget(void *closure)
{
}

static const struct pl_transport_ops remembering = { .control = remember, .close = forget };

TEST(sg_io_hdr_down_to_the_bytes)
{
	static uint8_t data[512];
	const struct pl_scsi_command c = {
		.cdb = { 0x12, 0x01, 0x80, 0x00, 0xff, 0x00 },
		.cdb_length = 6,
		.direction = PL_DATA_IN,
		.data = data,
		.length = sizeof data,
		.timeout = 20000,
	};
	struct pl_scsi_reply reply;
	struct pl_transport *t;
	sg_io_hdr_t wanted = {
		.interface_id = 'S',
		.dxfer_direction = SG_DXFER_FROM_DEV,
		.cmd_len = 6,
		.mx_sb_len = 64,
		.dxfer_len = 512,
		.dxferp = data,
		.sbp = reply.sense_bytes,
		.timeout = 20000,
	};

	EXPECT_OK(pl_transport_new(&remembering, NULL, &t, &err));
	EXPECT_OK(pl_transport_scsi(t, &c, &reply, &err));
	wanted.cmdp = sg_seen.cmdp;
	EXPECT(wanted.cmdp);
	/* There are holes before usr_ptr, and at the end. */
	EXPECT_MEM(&sg_seen, &wanted, offsetof(sg_io_hdr_t, pack_id) + sizeof wanted.pack_id);
	EXPECT_MEM(&sg_seen.usr_ptr, &wanted.usr_ptr,
		   offsetof(sg_io_hdr_t, info) + sizeof wanted.info -
			   offsetof(sg_io_hdr_t, usr_ptr));
	EXPECT_EQ(reply.got, 412);
	EXPECT_EQ(reply.status, 0);
	pl_transport_close(t);
}

TEST(nvme_passthru_cmd_down_to_the_bytes)
{
	static uint8_t data[512];
	const struct pl_nvme_command c = {
		.opcode = 0x02,
		.nsid = 0xffffffff,
		.cdw10 = 0x007f0002,
		.cdw11 = 0x11,
		.cdw12 = 0x12,
		.cdw13 = 0x13,
		.data = data,
		.length = sizeof data,
		.timeout = 20000,
	};
	uint8_t wanted[72] = { 0 };
	struct pl_transport *t;
	uint16_t status;

	EXPECT_EQ(sizeof nvme_seen, sizeof wanted);
	wanted[0] = 0x02;
	put_le32(wanted + 4, 0xffffffff);
	put_le64(wanted + 24, (uint64_t)(uintptr_t)data);
	put_le32(wanted + 36, 512);
	put_le32(wanted + 40, 0x007f0002);
	put_le32(wanted + 44, 0x11);
	put_le32(wanted + 48, 0x12);
	put_le32(wanted + 52, 0x13);
	put_le32(wanted + 64, 20000);
	EXPECT_OK(pl_transport_new(&remembering, NULL, &t, &err));
	EXPECT_OK(pl_transport_nvme(t, &c, &status, &err));
	EXPECT_MEM(&nvme_seen, wanted, sizeof wanted);
	EXPECT_EQ(status, 0x6002);
	pl_transport_close(t);
}

/* Every field of a 48-bit command is somewhere else in the block. */
TEST(ata_pass_through_down_to_the_bytes)
{
	struct fake *f = fresh();
	uint8_t block[1024] = { 0 };
	struct pl_ata_reply reply;

	want_cdb(f, "85 07 20 0a 0b 0c 0d 03 06 02 05 01 04 a0 b4 00", PL_DATA_NONE);
	gives_registers(f, 0x50, 0x00, 0x0c0d, UINT64_C(0x010203040506));
	EXPECT_OK(pl_transport_ata(f->transport,
				   &(struct pl_ata_command){ .command = 0xb4,
							     .features = 0x0a0b,
							     .count = 0x0c0d,
							     .lba = UINT64_C(0x010203040506),
							     .device = 0xa0,
							     .extended = true,
							     .timeout = 5000 },
				   &reply, &err));
	EXPECT(reply.known && !reply.failed && reply.upper_known);
	EXPECT_EQ(reply.count, 0x0c0d);
	EXPECT_EQ(reply.lba, 0x010203040506);
	EXPECT_EQ(reply.device, 0x40);
	want_cdb(f, "85 08 0e 00 00 00 02 00 00 00 00 00 00 00 ec 00", PL_DATA_IN);
	gives_data(f, (const uint8_t[1024]){ 1 }, 1024);
	EXPECT_OK(pl_transport_ata(f->transport,
				   &(struct pl_ata_command){ .command = 0xec,
							     .count = 2,
							     .direction = PL_DATA_IN,
							     .data = block,
							     .length = sizeof block,
							     .timeout = 5000 },
				   &reply, &err));
	EXPECT(!reply.known && !reply.failed);
	EXPECT_EQ(reply.got, 1024);
	want_cdb(f, "85 0a 26 00 00 00 01 00 00 00 00 00 00 00 f1 00", PL_DATA_OUT);
	want_out(f, "01", "", 512);
	gives_registers(f, 0x51, 0x04, 0, 0);
	EXPECT_OK(pl_transport_ata(f->transport,
				   &(struct pl_ata_command){ .command = 0xf1,
							     .count = 1,
							     .direction = PL_DATA_OUT,
							     .data = block,
							     .length = 512,
							     .timeout = 5000 },
				   &reply, &err));
	EXPECT(reply.known && reply.failed);
	EXPECT_EQ(reply.status, 0x51);
	EXPECT_EQ(reply.error, 0x04);
	done(f);
	pl_transport_close(f->transport);
}

/* ---- registers in sense data ---- */

#define NON_DATA "85 06 20 00 00 00 00 00 00 00 00 00 00 00 e5 00"

static int
ask(struct fake *f, struct pl_ata_reply *ret)
{
	int r = pl_transport_ata(f->transport,
				 &(struct pl_ata_command){ .command = 0xe5, .timeout = 5000 }, ret,
				 &err);

	done(f);
	pl_transport_close(f->transport);
	return r;
}

TEST(registers_in_fixed_format)
{
	struct fake *f = fresh();
	struct pl_ata_reply reply;

	want_cdb(f, NON_DATA, PL_DATA_NONE);
	gives_sense(f, "f0 00 01 04 50 a0 ff 0a 20 11 22 33 00 1d");
	EXPECT_OK(ask(f, &reply));
	EXPECT(reply.known && !reply.failed && !reply.upper_known);
	EXPECT_EQ(reply.error, 0x04);
	EXPECT_EQ(reply.status, 0x50);
	EXPECT_EQ(reply.device, 0xa0);
	EXPECT_EQ(reply.count, 0xff);
	EXPECT_EQ(reply.lba, 0x332211);
}

/* What Linux 6.1 passed on of a command that an emulated disk refused. */
TEST(registers_where_old_linux_puts_them)
{
	struct fake *f = fresh();
	struct pl_ata_reply reply;

	want_cdb(f, NON_DATA, PL_DATA_NONE);
	gives_sense(f, "70 00 0b 00 00 00 00 0a 04 41 e0 01 00 00 00 00 80 11");
	EXPECT_OK(ask(f, &reply));
	EXPECT(reply.known && reply.failed && !reply.upper_known);
	EXPECT_EQ(reply.error, 0x04);
	EXPECT_EQ(reply.status, 0x41);
	EXPECT_EQ(reply.count, 0x01);
	EXPECT_EQ(reply.lba, 0x11);
}

TEST(command_without_registers_is_judged_by_its_status)
{
	struct fake *f = fresh();
	struct pl_ata_reply reply;

	want_cdb(f, NON_DATA, PL_DATA_NONE);
	EXPECT_OK(ask(f, &reply));
	EXPECT(!reply.known && !reply.failed);
	f = fresh();
	want_cdb(f, NON_DATA, PL_DATA_NONE);
	gives_sense(f, "70 00 0b 00 00 00 00 0a 00 00 00 00 00 00");
	EXPECT_OK(ask(f, &reply));
	EXPECT(!reply.known && reply.failed);
	f = fresh();
	want_cdb(f, NON_DATA, PL_DATA_NONE);
	gives_sense(f, "70 00 05 00 00 00 00 0a 00 00 00 00 20 00");
	expect_error(ask(f, &reply), -ENOTSUP, "illegal request (20/00)");
	f = fresh();
	want_cdb(f, NON_DATA, PL_DATA_NONE);
	gives_sense(f, "72 04 44 00 00 00 00 00");
	expect_error(ask(f, &reply), -EIO, "hardware error (44/00)");
}

/* ---- sense data ---- */

static struct pl_sense
sense_of(const char *text)
{
	uint8_t bytes[PL_SENSE_SIZE];
	struct pl_sense sense;

	pl_sense_decode(bytes, from_hex(text, bytes, sizeof bytes), &sense);
	return sense;
}

TEST(sense_data_of_both_formats)
{
	struct pl_sense s = sense_of("70 00 02 00 00 00 00 0a 00 00 00 00 04 1b 00 80 40 00");
	char text[40];

	EXPECT(s.valid && s.has_progress && !s.has_information);
	EXPECT_EQ(s.key, PL_SENSE_NOT_READY);
	EXPECT_EQ(s.asc << 8 | s.ascq, 0x041b);
	EXPECT_EQ(s.progress, 0x4000);
	EXPECT_STR(pl_sense_text(&s, text, sizeof text), "not ready (04/1b)");
	s = sense_of("72 02 04 1b 00 00 00 08 02 06 00 00 80 c0 00 00");
	EXPECT(s.valid && s.has_progress);
	EXPECT_EQ(s.progress, 0xc000);
	s = sense_of("f0 00 03 00 01 02 03 0a 00 00 00 00 11 00");
	EXPECT(s.has_information && !s.has_progress);
	EXPECT_EQ(s.information, 0x010203);
	s = sense_of("73 03 11 00 00 00 00 0c 00 0a 80 00 00 00 00 01 02 03 04 05");
	EXPECT(s.has_information);
	EXPECT_EQ(s.information, 0x0102030405);
	s = sense_of("");
	EXPECT(!s.valid);
	EXPECT_STR(pl_sense_text(&s, text, sizeof text), "no sense data");
}

TEST(hostile_sense_data)
{
	/* Cut short; descriptors that pass the end, or have no length; formats that there are not. */
	static const char *const texts[] = {
		"72 02 04",
		"72 02 04 1b 00 00 00 ff 02 06 00 00 80",
		"72 02 04 1b 00 00 00 10 05 00 05 00 05 00 02",
		"72 02 04 1b 00 00 00 08 02 01 00",
		"70 00 02 00",
		"70 00 02 00 00 00 00 0a 00 00 00 00 04 1b 00 80",
		"7f 00 02 00 00 00 00 0a",
		"00 00 02 00 00 00 00 0a",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct pl_sense s = sense_of(texts[i]);

		EXPECT(!s.has_progress && !s.has_information);
	}
}

/* ---- failures ---- */

static int
scsi_with(int result, unsigned host_status, unsigned driver_status)
{
	struct fake *f = fresh();
	struct pl_scsi_reply reply;
	int r;

	want_cdb(f, "00 00 00 00 00 00", PL_DATA_NONE);
	gives_result(f, result);
	f->steps[0].host_status = host_status;
	f->steps[0].driver_status = driver_status;
	r = pl_transport_scsi(f->transport,
			      &(struct pl_scsi_command){ .cdb_length = 6, .timeout = 7000 }, &reply,
			      &err);
	done(f);
	pl_transport_close(f->transport);
	return r;
}

TEST(commands_that_get_no_answer)
{
	expect_error(scsi_with(0, 3, 0), -ETIMEDOUT, "no answer from the drive in 7 seconds");
	expect_error(scsi_with(0, 0, 6), -ETIMEDOUT, "no answer from the drive in 7 seconds");
	expect_error(scsi_with(0, 1, 0), -ENODEV, "gone");
	expect_error(scsi_with(0, 7, 0), -EIO, "host status 0x7");
	expect_error(scsi_with(-ENOTTY, 0, 0), -ENOTTY, "takes no SCSI commands");
	expect_error(scsi_with(-EINVAL, 0, 0), -ENOTTY, "takes no SCSI commands");
	expect_error(scsi_with(-EPERM, 0, 0), -EPERM, "no permission");
	EXPECT(strstr(err.hint, "root"));
	expect_error(scsi_with(-ENXIO, 0, 0), -ENODEV, "gone");
	expect_error(scsi_with(-ENOMEM, 0, 0), -ENOMEM, "send the SCSI command");
	EXPECT_EQ(scsi_with(0, 0, 0), 0);
}

TEST(nvme_commands_that_get_no_answer)
{
	static const struct {
		int result, code;
	} rows[] = { { -EINTR, -ETIMEDOUT },
		     { -ETIME, -ETIMEDOUT },
		     { -ENOTTY, -ENOTTY },
		     { -EACCES, -EPERM },
		     { -ENODEV, -ENODEV } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake *f = fresh();
		uint16_t status;

		want_nvme(f, 0x06, 0, 1, 0);
		gives_result(f, rows[i].result);
		EXPECT_EQ(pl_transport_nvme(f->transport,
					    &(struct pl_nvme_command){
						    .opcode = 6, .cdw10 = 1, .timeout = 5000 },
					    &status, &err),
			  rows[i].code);
		done(f);
		pl_transport_close(f->transport);
	}
}

/* More than was asked for cannot have come, whatever the adapter says is missing. */
TEST(residue_is_bounded)
{
	struct fake *f = fresh();
	uint8_t data[4] = { 0 };
	struct pl_scsi_reply reply;

	want_cdb(f, "12 00 00 00 04 00", PL_DATA_IN);
	gives_hex(f, "00 00 05 1f 20 21");
	EXPECT_OK(pl_transport_scsi(f->transport,
				    &(struct pl_scsi_command){ .cdb = { 0x12, 0, 0, 0, 4 },
							       .cdb_length = 6,
							       .direction = PL_DATA_IN,
							       .data = data,
							       .length = sizeof data,
							       .timeout = 7000 },
				    &reply, &err));
	EXPECT_EQ(reply.got, 4);
	done(f);
	pl_transport_close(f->transport);
}

TEST(what_is_no_drive_is_refused_or_takes_no_commands)
{
	struct pl_transport *t;
	struct pl_hardware *hw;
	char path[300];

	expect_error(pl_transport_open("/nonexistent", &t, &err), -ENOENT, "/nonexistent");
	expect_error(pl_hardware_open("/dev/null", &hw, &err), -ENOTBLK, "no block device");
	snprintf(path, sizeof path, "%s/file", pl_test_folder());
	fclose(fopen(path, "w"));
	expect_error(pl_hardware_open(path, &hw, &err), -ENOTBLK, "no block device");
}

/* ---- names ---- */

TEST(every_way_to_erase_has_a_name)
{
	for (unsigned how = 1; how <= PL_ERASE_TRIM; how <<= 1)
		EXPECT(strcmp(pl_erase_name((enum pl_erase)how), "unknown") != 0);
	EXPECT_STR(pl_erase_name(PL_ERASE_ATA_SECURITY), "ATA SECURITY ERASE UNIT");
	EXPECT_STR(pl_erase_name(PL_ERASE_NVME_FORMAT_CRYPTO),
		   "NVMe FORMAT NVM, cryptographic erase");
	EXPECT_STR(pl_erase_name((enum pl_erase)0), "unknown");
}
