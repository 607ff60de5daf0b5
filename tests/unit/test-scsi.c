/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-scsi.c - what is sent to SCSI disks and drives for discs, and what is made of their answers */
#include "ata.h"
#include "fake-hardware.h"
#include "health.h"
#include "scsi.h"

static struct platter_error err;

#define INQUIRY         "12 00 00 00 24 00"
#define VPD(page)       "12 01 " page " 00 ff 00"
#define CAPACITY_16     "9e 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00"
#define CAPACITY_10     "25 00 00 00 00 00 00 00 00 00"
#define OPERATION(kind) "a3 0c 02 48 00 " kind " 00 00 00 14 00 00"
#define REQUEST_SENSE   "03 00 00 00 40 00"
#define READY           "00 00 00 00 00 00"
#define LOG(page)       "4d 00 " page " 00 00 00 00 02 00 00"
#define DEFECTS         "b7 0d 00 00 00 00 00 00 00 08 00 00"
#define MODE            "5a 08 1c 00 00 00 00 00 20 00"

#define ILLEGAL   "70 00 05 00 00 00 00 0a 00 00 00 00 20 00 00 00 00 00"
#define ATTENTION "70 00 06 00 00 00 00 0a 00 00 00 00 29 00 00 00 00 00"

static struct fake *
fresh(void)
{
	err = (struct platter_error)PLATTER_ERROR_INIT;
	return fake_new();
}

static void
finish(struct fake *f)
{
	done(f);
	pl_transport_close(f->transport);
}

static void
expect_error(int got, int wanted, const char *message, const char *hint)
{
	EXPECT_EQ(got, wanted);
	EXPECT_EQ(err.code, wanted);
	if (!strstr(err.message, message))
		pl_test_fail(__FILE__, __LINE__, "'%s' does not say '%s'", err.message, message);
	if (!strstr(err.hint, hint))
		pl_test_fail(__FILE__, __LINE__, "'%s' does not say '%s'", err.hint, hint);
}

/* Commands that bring data, and what they bring. */
static void
asks(struct fake *f, const char *cdb, const char *answer)
{
	want_cdb(f, cdb, PL_DATA_IN);
	gives_hex(f, answer);
}

static void
refuses(struct fake *f, const char *cdb)
{
	want_cdb(f, cdb, PL_DATA_IN);
	gives_sense(f, ILLEGAL);
}

static void
inquires(struct fake *f, uint8_t type, uint8_t rmb, uint8_t version, const char *words)
{
	uint8_t data[36] = { type, rmb, version, 0x12, 31 };

	EXPECT_EQ(strlen(words), 28);
	memcpy(data + 8, words, 28);
	want_cdb(f, INQUIRY, PL_DATA_IN);
	gives_data(f, data, sizeof data);
}

static int
look(struct fake *f, struct pl_hardware_info *info)
{
	int r;

	*info = (struct pl_hardware_info){ .protocol = PL_PROTOCOL_SCSI };
	pl_health_unknown(info);
	r = pl_scsi_look(f->transport, info, &err);
	finish(f);
	return r;
}

/* ---- looking ---- */

/* A disk of 600 GB with 512-byte blocks that turns 15000 times a minute. */
static void
sas_disk(struct fake *f)
{
	inquires(f, 0, 0, 6, "SEAGATE ST600MP0006     N003");
	asks(f, VPD("00"), "00 00 00 04 00 80 b1 b2");
	asks(f, VPD("80"), "00 80 00 08 53 37 4d 31 31 32 32 20");
	asks(f, CAPACITY_16,
	     "00 00 00 00 45 dd 2f af 00 00 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
	     "00 00 00 00");
	asks(f, VPD("b1"), "00 b1 00 3c 3a 98");
	asks(f, VPD("b2"), "00 b2 00 04 00 80 00 00");
}

TEST(disk_with_sanitize)
{
	struct fake *f = fresh();
	struct pl_hardware_info info;

	sas_disk(f);
	asks(f, OPERATION("01"), "00 03 00 0a 48 e1 00 00");
	asks(f, OPERATION("02"), "00 01 00 00");
	asks(f, OPERATION("03"), "00 03 00 0a 48 e3 00 00");
	asks(f, REQUEST_SENSE, "70 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 00 00 00");
	asks(f, LOG("40"), "00 00 00 07 00 02 03 05 0d 15 2f");
	asks(f, LOG("42"), "02 00 00 08 00 06 00 04 00 00 00 01");
	/* A shorter parameter before it. */
	asks(f, LOG("43"), "03 00 00 12 00 03 00 02 ff ff 00 06 00 08 00 00 00 00 00 00 00 02");
	asks(f, LOG("45"), "05 00 00 08 00 06 00 04 ff ff ff ff 00");
	asks(f, LOG("4d"), "0d 00 00 06 00 00 00 02 00 26");
	asks(f, LOG("55"), "15 00 00 13 00 00 00 0f 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00");
	asks(f, LOG("6f"), "2f 00 00 08 00 00 00 04 00 00 26 00");
	asks(f, DEFECTS, "00 0d 00 00 00 00 00 18");
	asks(f, MODE, "00 16 00 00 00 00 00 00 1c 0a 00 00");
	EXPECT_OK(look(f, &info));
	EXPECT_STR(info.model, "SEAGATE ST600MP0006");
	EXPECT_STR(info.serial, "S7M1122");
	EXPECT_STR(info.firmware, "N003");
	EXPECT_EQ(info.size, UINT64_C(0x45dd2fb0) * 512);
	EXPECT(info.rotational_known && info.rotational);
	EXPECT_EQ(info.erases,
		  PL_ERASE_SCSI_SANITIZE_OVERWRITE | PL_ERASE_SCSI_SANITIZE_CRYPTO | PL_ERASE_TRIM);
	EXPECT(!info.erase_reason);
	EXPECT_EQ(info.uncorrectable, 3);
	EXPECT_EQ(info.temperature, 38);
	EXPECT_EQ(info.power_on_hours, 0x15180 / 60);
	EXPECT_EQ(info.reallocated, 3);
	EXPECT_EQ(info.health, PL_HEALTH_WARNING);
	EXPECT_STR(info.health_reason, "3 uncorrectable errors");
}

static void
predicts(struct fake *f, const char *exception, const char *mode)
{
	inquires(f, 0, 0, 5, "HGST    HUSMM1680ASS204 K0C2");
	asks(f, VPD("00"), "00 00 00 01 00");
	asks(f, CAPACITY_16, "00 00 00 00 00 00 00 ff 00 00 10 00");
	refuses(f, OPERATION("01"));
	asks(f, LOG("40"), "00 00 00 02 11 2f");
	asks(f, LOG("51"), "11 00 00 08 00 01 03 04 00 00 00 5f");
	asks(f, LOG("6f"), exception);
	refuses(f, DEFECTS);
	if (mode)
		asks(f, MODE, mode);
	else
		refuses(f, MODE);
}

TEST(disk_that_predicts_its_failure)
{
	struct fake *f = fresh();
	struct pl_hardware_info info;

	predicts(f, "2f 00 00 07 00 00 03 03 5d 10 20", NULL);
	EXPECT_OK(look(f, &info));
	EXPECT_EQ(info.health, PL_HEALTH_FAILING);
	EXPECT_EQ(info.percent_used, 95);
	EXPECT_EQ(info.size, 256 * 4096);
	EXPECT_EQ(info.reallocated, UINT64_MAX);
	f = fresh();
	predicts(f, "2f 00 00 07 00 00 03 03 00 00 20", NULL);
	EXPECT_OK(look(f, &info));
	EXPECT_EQ(info.health, PL_HEALTH_WARNING);
	EXPECT_STR(info.health_reason, "95 % of its life is used");
	f = fresh();
	predicts(f, "2f 00 00 07 00 00 03 03 0b 01 20", NULL);
	EXPECT_OK(look(f, &info));
	EXPECT_STR(info.health_reason, "the drive gives a warning");
}

/* With DEXCPT a clean page means nothing. */
TEST(disk_that_was_told_not_to_tell)
{
	struct fake *f = fresh();
	struct pl_hardware_info info;

	inquires(f, 0, 0, 5, "HGST    HUSMM1680ASS204 K0C2");
	asks(f, VPD("00"), "00 00 00 01 00");
	refuses(f, CAPACITY_16);
	asks(f, CAPACITY_10, "00 00 00 ff 00 00 02 00");
	refuses(f, OPERATION("01"));
	asks(f, LOG("40"), "00 00 00 01 2f");
	asks(f, LOG("6f"), "2f 00 00 07 00 00 03 03 00 00 20");
	refuses(f, DEFECTS);
	/* Behind a block descriptor of 8 bytes. */
	asks(f, MODE, "00 1e 00 00 00 00 00 08 00 00 00 00 00 00 00 00 9c 0a 08 00");
	EXPECT_OK(look(f, &info));
	EXPECT_EQ(info.health, PL_HEALTH_UNKNOWN);
	EXPECT_EQ(info.size, 256 * 512);
}

TEST(disk_that_sanitizes_cannot_be_erased)
{
	struct fake *f = fresh();
	struct pl_hardware_info info;

	sas_disk(f);
	asks(f, OPERATION("01"), "00 03 00 0a");
	asks(f, OPERATION("02"), "00 03 00 0a");
	asks(f, OPERATION("03"), "00 03 00 0a");
	asks(f, REQUEST_SENSE, "70 00 02 00 00 00 00 0a 00 00 00 00 04 1b 00 80 10 00");
	refuses(f, LOG("40"));
	refuses(f, DEFECTS);
	EXPECT_OK(look(f, &info));
	EXPECT_EQ(info.erases, PL_ERASE_TRIM);
	EXPECT_STR(info.erase_reason, "sanitizing");
}

TEST(unit_attention_and_busy_are_waited_for)
{
	struct fake *f = fresh();
	struct pl_scsi_identity id;

	want_cdb(f, INQUIRY, PL_DATA_IN);
	gives_sense(f, ATTENTION);
	want_cdb(f, INQUIRY, PL_DATA_IN);
	f->steps[f->nr - 1].status = 0x08;
	inquires(f, 0, 0x80, 2, "KingstonDT Elite        PMAP");
	EXPECT_OK(pl_scsi_identify(f->transport, &id, &err));
	EXPECT_EQ(f->nr_sleeps, 1);
	/* Not even of SPC: it is not asked for what it may hang on. */
	EXPECT(!id.has_pages && id.removable);
	EXPECT_STR(id.model, "Kingston DT Elite");
	EXPECT_STR(id.firmware, "PMAP");
	finish(f);
	f = fresh();
	for (unsigned i = 0; i < 4; i++) {
		want_cdb(f, INQUIRY, PL_DATA_IN);
		gives_sense(f, ATTENTION);
	}
	expect_error(pl_scsi_identify(f->transport, &id, &err), -EIO, "unit attention (29/00)", "");
	finish(f);
}

TEST(name_where_there_is_no_serial)
{
	struct fake *f = fresh();
	struct pl_scsi_identity id;

	inquires(f, 0, 0, 5, "LIO-ORG disk            4.0 ");
	asks(f, VPD("00"), "00 00 00 02 00 83");
	/* Of the port; in ASCII; NAA. */
	asks(f, VPD("83"),
	     "00 83 00 1a 01 93 00 04 11 22 33 44 02 01 00 02 41 42 01 03 00 08 60 01 40 5a bc de "
	     "f0 12");
	EXPECT_OK(pl_scsi_identify(f->transport, &id, &err));
	EXPECT_STR(id.serial, "6001405abcdef012");
	finish(f);
}

TEST(hostile_replies_are_cut)
{
	struct fake *f = fresh();
	struct pl_scsi_identity id;
	struct pl_hardware_info info;

	/* A list of pages and a serial that pass their data, a designator that passes its page. */
	inquires(f, 0, 0, 5, "\x1b]0;x\x07  \xff\x01                  ");
	asks(f, VPD("00"), "00 00 ff ff 00 80 83");
	asks(f, VPD("80"), "00 80 ff ff 20 20");
	asks(f, VPD("83"), "00 83 00 08 01 03 00 f0 41 42 43 44");
	EXPECT_OK(pl_scsi_identify(f->transport, &id, &err));
	EXPECT_STR(id.serial, "");
	EXPECT_STR(id.model, "?]0;x? ??");
	EXPECT_EQ(id.nr_pages, 3);
	finish(f);
	f = fresh();
	want_cdb(f, INQUIRY, PL_DATA_IN);
	gives_hex(f, "00 00 05 02 1f 00 00 00 41");
	expect_error(pl_scsi_identify(f->transport, &id, &err), -EIO, "9 bytes", "");
	finish(f);
	/* 2^64 blocks, and parameters of logs that end after their page. */
	f = fresh();
	inquires(f, 0, 0, 5, "ACME    Disk            1.0 ");
	asks(f, VPD("00"), "00 00 00 00");
	asks(f, CAPACITY_16, "ff ff ff ff ff ff ff fe ff ff ff ff");
	asks(f, OPERATION("01"), "00 03");
	asks(f, OPERATION("02"), "");
	asks(f, OPERATION("03"), "00 02 00 00");
	asks(f, LOG("40"), "00 00 ff ff 02 0d 2f");
	asks(f, LOG("42"), "02 00 00 08 00 06 00 ff 00 00 00 01");
	asks(f, LOG("4d"), "0d 00 00 03 00 00 00");
	asks(f, LOG("6f"), "2f 00 00 40 00 00 00 01 5d");
	asks(f, DEFECTS, "00 0d 00 00");
	EXPECT_OK(look(f, &info));
	EXPECT_EQ(info.size, 0);
	EXPECT_EQ(info.erases, 0);
	EXPECT_EQ(info.health, PL_HEALTH_UNKNOWN);
	EXPECT_EQ(info.uncorrectable, UINT64_MAX);
	EXPECT_EQ(info.temperature, INT32_MIN);
}

/* ---- bridges ---- */

static void
make_identity(uint8_t *block)
{
	memset(block, 0, PL_ATA_BLOCK);
	for (size_t i = 0; i < 40; i++)
		block[54 + (i ^ 1)] = (uint8_t)(i < 8 ? "ATADRIVE"[i] : ' ');
	put_le32(block + 120, 1000);
}

static enum pl_protocol
protocol_of(struct fake *f)
{
	const struct pl_hardware_info *info;
	struct pl_hardware *hw;
	enum pl_protocol p;

	EXPECT_OK(pl_hardware_new(f->transport, &hw, &err));
	done(f);
	/* Only the protocol is wanted: what look() asks is not scripted. */
	f->nr = f->next;
	p = pl_hardware_look(hw, &info, NULL) == 0 ? info->protocol : PL_PROTOCOL_NONE;
	pl_hardware_close(hw);
	return p;
}

TEST(usb_bridge_that_passes_ata_commands_on)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];
	const struct pl_hardware_info *info;
	struct pl_hardware *hw;

	make_identity(block);
	inquires(f, 0, 0, 6, "ASMT    2115            0   ");
	asks(f, VPD("00"), "00 00 00 03 00 80 89");
	asks(f, VPD("80"), "00 80 00 04 41 42 43 44");
	want_cdb(f, "85 08 0e 00 00 00 01 00 00 00 00 00 00 00 ec 00", PL_DATA_IN);
	gives_data(f, block, sizeof block);
	EXPECT_OK(pl_hardware_new(f->transport, &hw, &err));
	want_cdb(f, "85 08 0e 00 00 00 01 00 00 00 00 00 00 00 ec 00", PL_DATA_IN);
	gives_data(f, block, sizeof block);
	EXPECT_OK(pl_hardware_look(hw, &info, &err));
	EXPECT_EQ(info->protocol, PL_PROTOCOL_ATA);
	EXPECT_STR(info->model, "ATADRIVE");
	EXPECT_EQ(info->size, 512000);
	EXPECT_EQ(info->native_size, 512000);
	EXPECT_EQ(info->real_size, 512000);
	expect_error(pl_hardware_erase(hw, PL_ERASE_NVME_FORMAT, NULL, NULL, &err), -ENOTSUP,
		     "does not take NVMe FORMAT NVM", "");
	expect_error(pl_hardware_erase(hw, PL_ERASE_TRIM, NULL, NULL, &err), -ENOTSUP, "TRIM", "");
	done(f);
	pl_hardware_close(hw);
}

TEST(bridge_that_passes_none_is_a_scsi_disk)
{
	struct fake *f = fresh();
	const struct pl_hardware_info *info;
	struct pl_hardware *hw;

	inquires(f, 0, 0, 6, "ATA     VBOX HARDDISK   1.0 ");
	refuses(f, VPD("00"));
	want_cdb(f, "85 08 0e 00 00 00 01 00 00 00 00 00 00 00 ec 00", PL_DATA_IN);
	gives_sense(f, ILLEGAL);
	EXPECT_OK(pl_hardware_new(f->transport, &hw, &err));
	inquires(f, 0, 0, 2, "ATA     VBOX HARDDISK   1.0 ");
	refuses(f, VPD("00"));
	asks(f, CAPACITY_16, "00 00 00 00 00 00 00 ff 00 00 02 00");
	EXPECT_OK(pl_hardware_look(hw, &info, &err));
	EXPECT_EQ(info->protocol, PL_PROTOCOL_SCSI);
	EXPECT_STR(info->model, "ATA VBOX HARDDISK");
	EXPECT_EQ(info->size, 131072);
	expect_error(pl_hardware_remove_hpa(hw, &err), -ENOTSUP, "no host protected area", "");
	expect_error(pl_hardware_remove_dco(hw, &err), -ENOTSUP, "no device configuration", "");
	done(f);
	pl_hardware_close(hw);
}

TEST(device_without_commands)
{
	struct fake *f = fresh();

	want_cdb(f, INQUIRY, PL_DATA_IN);
	gives_result(f, -ENOTTY);
	EXPECT_EQ(protocol_of(f), PL_PROTOCOL_NONE);
}

/* ---- SANITIZE ---- */

static const struct pl_watch nobody = { NULL, NULL };

struct seen {
	double last;
	unsigned nr;
};

static bool
count(double fraction, void *closure)
{
	struct seen *seen = closure;

	seen->last = fraction;
	return ++seen->nr < 5;
}

#define RUNNING(progress) "70 00 02 00 00 00 00 0a 00 00 00 00 04 1b 00 80 " progress
#define NO_SENSE          "70 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 00 00 00"

TEST(sanitize_is_asked_until_it_is_done)
{
	static const struct {
		enum pl_erase how;
		const char *cdb;
	} rows[] = {
		{ PL_ERASE_SCSI_SANITIZE_BLOCK, "48 a2 00 00 00 00 00 00 00 00" },
		{ PL_ERASE_SCSI_SANITIZE_CRYPTO, "48 a3 00 00 00 00 00 00 00 00" },
		{ PL_ERASE_SCSI_SANITIZE_OVERWRITE, "48 a1 00 00 00 00 00 00 08 00" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool overwrite = rows[i].how == PL_ERASE_SCSI_SANITIZE_OVERWRITE;
		struct fake *f = fresh();
		struct seen seen = { 0 };
		struct pl_watch watch = { count, &seen };

		want_cdb(f, rows[i].cdb, overwrite ? PL_DATA_OUT : PL_DATA_NONE);
		if (overwrite)
			want_out(f, "01 00 00 04 00 00 00 00", "", 8);
		asks(f, REQUEST_SENSE, RUNNING("40 00"));
		asks(f, REQUEST_SENSE, RUNNING("80 00"));
		/* Between two states: nothing more to say, but not ready yet. */
		asks(f, REQUEST_SENSE, NO_SENSE);
		want_cdb(f, READY, PL_DATA_NONE);
		gives_sense(f, RUNNING("f0 00"));
		asks(f, REQUEST_SENSE, NO_SENSE);
		want_cdb(f, READY, PL_DATA_NONE);
		EXPECT_OK(pl_scsi_erase(f->transport, rows[i].how, &watch, &err));
		EXPECT_EQ(seen.nr, 3);
		EXPECT_EQ(f->now, 3000);
		finish(f);
	}
}

TEST(waiting_for_sanitize_can_be_ended)
{
	struct fake *f = fresh();
	struct seen seen = { 0 };
	struct pl_watch watch = { count, &seen };

	want_cdb(f, "48 a2 00 00 00 00 00 00 00 00", PL_DATA_NONE);
	for (unsigned i = 0; i < 5; i++)
		asks(f, REQUEST_SENSE, RUNNING("40 00"));
	expect_error(pl_scsi_erase(f->transport, PL_ERASE_SCSI_SANITIZE_BLOCK, &watch, &err),
		     -ECANCELED, "was ended", "goes on");
	EXPECT(seen.last > 0.24 && seen.last < 0.26);
	finish(f);
}

TEST(sanitize_that_fails_says_so_and_leaves_failure_mode)
{
	struct fake *f = fresh();

	want_cdb(f, "48 a2 00 00 00 00 00 00 00 00", PL_DATA_NONE);
	asks(f, REQUEST_SENSE, RUNNING("40 00"));
	asks(f, REQUEST_SENSE, "70 00 03 00 00 00 00 0a 00 00 00 00 31 03 00 00 00 00");
	want_cdb(f, READY, PL_DATA_NONE);
	gives_sense(f, "70 00 03 00 00 00 00 0a 00 00 00 00 31 03 00 00 00 00");
	want_cdb(f, "48 1f 00 00 00 00 00 00 00 00", PL_DATA_NONE);
	expect_error(pl_scsi_erase(f->transport, PL_ERASE_SCSI_SANITIZE_BLOCK, &nobody, &err), -EIO,
		     "began, and then failed", "may still be there");
	finish(f);
}

TEST(sanitize_that_is_refused)
{
	struct fake *f = fresh();

	want_cdb(f, "48 a3 00 00 00 00 00 00 00 00", PL_DATA_NONE);
	gives_sense(f, ILLEGAL);
	expect_error(pl_scsi_erase(f->transport, PL_ERASE_SCSI_SANITIZE_CRYPTO, &nobody, &err),
		     -ENOTSUP, "illegal request (20/00)", "");
	finish(f);
	f = fresh();
	want_cdb(f, "48 a3 00 00 00 00 00 00 00 00", PL_DATA_NONE);
	gives_sense(f, "70 00 02 00 00 00 00 0a 00 00 00 00 04 03 00 00 00 00");
	expect_error(pl_scsi_erase(f->transport, PL_ERASE_SCSI_SANITIZE_CRYPTO, &nobody, &err),
		     -EIO, "not ready", "");
	finish(f);
	f = fresh();
	want_cdb(f, "48 a3 00 00 00 00 00 00 00 00", PL_DATA_NONE);
	f->steps[f->nr - 1].status = 0x18;
	expect_error(pl_scsi_erase(f->transport, PL_ERASE_SCSI_SANITIZE_CRYPTO, &nobody, &err),
		     -EIO, "another host", "");
	finish(f);
}

/* ---- READ CD ---- */

static int
read_cd(struct fake *f, uint32_t nr, enum pl_cd_c2 c2, uint8_t *buf, struct pl_sense *sense)
{
	int r = pl_scsi_read_cd(f->transport, 0x01020304, nr, c2, buf, sense, &err);

	finish(f);
	return r;
}

TEST(raw_sectors_with_their_c2_pointers)
{
	static uint8_t buf[2 * (2352 + 296)];
	struct fake *f = fresh();
	struct pl_sense sense;

	want_cdb(f, "be 00 01 02 03 04 00 00 01 f8 00 00", PL_DATA_IN);
	gives_data(f, buf, 2352);
	EXPECT_OK(read_cd(f, 1, PL_CD_NO_C2, buf, &sense));
	EXPECT(!sense.valid);
	f = fresh();
	want_cdb(f, "be 00 01 02 03 04 00 00 01 fa 00 00", PL_DATA_IN);
	gives_data(f, buf, 2352 + 294);
	EXPECT_OK(read_cd(f, 1, PL_CD_C2_BITS, buf, NULL));
	f = fresh();
	memset(buf, 0x5a, sizeof buf);
	want_cdb(f, "be 00 01 02 03 04 00 00 01 fc 00 00", PL_DATA_IN);
	gives_data(f, buf, 2352 + 296);
	buf[2352 + 295] = 0;
	EXPECT_OK(read_cd(f, 1, PL_CD_C2_AND_BLOCK, buf, NULL));
	EXPECT_EQ(buf[2352 + 295], 0x5a);
	EXPECT_EQ(pl_cd_sector_size(PL_CD_C2_AND_BLOCK), 2648);
}

TEST(what_the_drive_says_of_a_sector_is_told_apart)
{
	static const struct {
		const char *sense;
		int code;
		const char *message;
		uint8_t key;
	} rows[] = {
		{ "f0 00 03 01 02 03 04 0a 00 00 00 00 11 05", -EIO, "medium error (11/05)", 3 },
		{ "70 00 04 00 00 00 00 0a 00 00 00 00 09 00", -EIO, "hardware error (09/00)", 4 },
		{ "70 00 02 00 00 00 00 0a 00 00 00 00 3a 00", -ENOMEDIUM, "not ready (3a/00)", 2 },
		{ "70 00 02 00 00 00 00 0a 00 00 00 00 04 01", -EAGAIN, "getting ready", 2 },
		{ "70 00 05 00 00 00 00 0a 00 00 00 00 21 00", -ERANGE, "16909060", 5 },
		{ "70 00 05 00 00 00 00 0a 00 00 00 00 24 00", -ENOTSUP, "(24/00)", 5 },
		{ "70 00 05 00 00 00 00 0a 00 00 00 00 64 00", -ENOTSUP, "(64/00)", 5 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint8_t buf[2352 + 294];
		struct fake *f = fresh();
		struct pl_sense sense;

		want_cdb(f, "be 00 01 02 03 04 00 00 01 fa 00 00", PL_DATA_IN);
		gives_sense(f, rows[i].sense);
		expect_error(read_cd(f, 1, PL_CD_C2_BITS, buf, &sense), rows[i].code,
			     rows[i].message, "");
		EXPECT_EQ(sense.key, rows[i].key);
		EXPECT_EQ(sense.has_information, i == 0);
		if (i == 0)
			EXPECT_EQ(sense.information, 0x01020304);
	}
}

TEST(short_and_senseless_requests_for_sectors)
{
	uint8_t buf[2352];
	struct fake *f = fresh();

	want_cdb(f, "be 00 01 02 03 04 00 00 01 f8 00 00", PL_DATA_IN);
	gives_data(f, buf, 2048);
	expect_error(read_cd(f, 1, PL_CD_NO_C2, buf, NULL), -EIO, "2048 bytes came", "");
	expect_error(read_cd(fresh(), 0, PL_CD_NO_C2, buf, NULL), -EINVAL, "0 sectors", "");
	expect_error(read_cd(fresh(), 25, PL_CD_NO_C2, buf, NULL), -EINVAL, "25 sectors", "");
}

TEST(drive_tells_whether_it_has_c2_pointers)
{
	struct fake *f = fresh();
	bool c2;

	asks(f, "46 02 00 1e 00 00 00 00 10 00", "00 00 00 10 00 00 00 08 00 1e 09 04 03 00 00 00");
	EXPECT_OK(pl_scsi_cd_tells_c2(f->transport, &c2, &err));
	EXPECT(c2);
	asks(f, "46 02 00 1e 00 00 00 00 10 00", "00 00 00 10 00 00 00 08 00 1e 09 04 01 00 00 00");
	EXPECT_OK(pl_scsi_cd_tells_c2(f->transport, &c2, &err));
	EXPECT(!c2);
	asks(f, "46 02 00 1e 00 00 00 00 10 00", "00 00 00 04 00 00 00 08");
	EXPECT_OK(pl_scsi_cd_tells_c2(f->transport, &c2, &err));
	EXPECT(!c2);
	finish(f);
}
