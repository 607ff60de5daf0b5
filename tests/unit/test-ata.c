/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-ata.c - what is sent to ATA drives, and what is made of their answers */
#include "fake-hardware.h"
#include "ata.h"
#include "health.h"

static struct platter_error err;

#define IDENTIFY        "85 08 0e 00 00 00 01 00 00 00 00 00 00 00 ec 00"
#define READ_NATIVE     "85 06 20 00 00 00 00 00 00 00 00 00 00 40 f8 00"
#define READ_NATIVE_EXT "85 07 20 00 00 00 00 00 00 00 00 00 00 40 27 00"
#define GET_NATIVE      "85 07 20 00 00 00 00 00 00 00 00 00 00 00 78 00"
#define DCO_IDENTIFY    "85 08 0e 00 c2 00 01 00 00 00 00 00 00 00 b1 00"
#define DCO_RESTORE     "85 06 20 00 c0 00 00 00 00 00 00 00 00 00 b1 00"
#define SMART_STATUS    "85 06 20 00 da 00 00 00 00 00 4f 00 c2 00 b0 00"
#define SMART_DATA      "85 08 0e 00 d0 00 01 00 00 00 4f 00 c2 00 b0 00"
#define LOG(page)       "85 09 0e 00 00 00 01 00 04 00 " page " 00 00 00 2f 00"
#define SANITIZE_STATUS "85 07 20 00 00 00 00 00 00 00 00 00 00 00 b4 00"
#define SANITIZE_CLEAR  "85 07 20 00 00 00 01 00 00 00 00 00 00 00 b4 00"
#define SET_PASSWORD    "85 0a 26 00 00 00 01 00 00 00 00 00 00 00 f1 00"
#define ERASE_PREPARE   "85 06 20 00 00 00 00 00 00 00 00 00 00 00 f3 00"
#define ERASE_UNIT      "85 0a 26 00 00 00 01 00 00 00 00 00 00 00 f4 00"
#define DISABLE         "85 0a 26 00 00 00 01 00 00 00 00 00 00 00 f6 00"

/* Words of IDENTIFY DEVICE. */
enum {
	SECURITY = 128,
	SUPPORTED = 1 << 0,
	ENABLED = 1 << 1,
	LOCKED = 1 << 2,
	FROZEN = 1 << 3,
	ENHANCED = 1 << 5,
};

static void
set_word(uint8_t *block, unsigned index, uint16_t value)
{
	put_le16(block + 2 * (size_t)index, value);
}

static uint16_t
get_word(const uint8_t *block, unsigned index)
{
	return get_le16(block + 2 * (size_t)index);
}

/* Two characters a word, the first one in the upper byte. */
static void
set_text(uint8_t *block, unsigned first, unsigned nr_words, const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < 2 * (size_t)nr_words; i++)
		block[2 * (size_t)first + (i ^ 1)] = (uint8_t)(i < n ? text[i] : ' ');
}

static void
sign(uint8_t *block)
{
	uint8_t sum = 0;

	block[510] = 0xa5;
	for (size_t i = 0; i < 511; i++)
		sum = (uint8_t)(sum + block[i]);
	block[511] = (uint8_t)-sum;
}

/* What disks and SSDs have in common. */
static void
make_drive(uint8_t *block, const char *model, const char *serial, uint64_t nr_sectors)
{
	memset(block, 0, PL_ATA_BLOCK);
	set_word(block, 0, 0x0040);
	set_text(block, 10, 10, serial);
	set_text(block, 23, 4, "CC46");
	set_text(block, 27, 20, model);
	put_le32(block + 2 * 60, (uint32_t)PL_MIN(nr_sectors, 0x0fffffff));
	put_le64(block + 2 * 100, nr_sectors);
	set_word(block, 82, 0x746b); /* SMART, security, write cache, look-ahead, HPA ... */
	set_word(block, 83, 0x7d01 | 0x0400); /* DCO, 48-bit; valid */
	set_word(block, 84, 0x4163);          /* logs; valid */
	set_word(block, 85, 0x7469);
	set_word(block, 106, 0x6003);
	set_word(block, 119, 0x4000);
	set_word(block, SECURITY, SUPPORTED | ENHANCED);
}

/* A disk of 500 GB, of which an HPA hides 1 MiB and a DCO another one. */
enum {
	HDD_SECTORS = 976773168 - 4096,
	HDD_NATIVE = HDD_SECTORS + 2048,
	HDD_REAL = HDD_NATIVE + 2048,
};

static void
make_hdd(uint8_t *block)
{
	make_drive(block, "ST500DM002-1BD142", "Z3TDAJ4E", HDD_SECTORS);
	set_word(block, 89, 41); /* 82 minutes */
	set_word(block, 90, 41);
	set_word(block, 217, 7200);
	sign(block);
}

/* An SSD of 256 GB that encrypts, and sanitizes by block and crypto erase. */
static void
make_ssd(uint8_t *block)
{
	make_drive(block, "Samsung SSD 860 PRO 256GB", "S42VNX0K", 500118192);
	set_word(block, 59, 0xb000); /* block erase, crypto scramble, sanitize */
	set_word(block, 69, 0x0010); /* encrypts all */
	set_word(block, 82, 0x706b); /* no HPA */
	set_word(block, 83, 0x7401);
	set_word(block, 89, 0x8000 | 2); /* 4 minutes, in the new way */
	set_word(block, 90, 4);
	set_word(block, 169, 1);
	set_word(block, 217, 1);
	sign(block);
}

static void
identifies(struct fake *f, const uint8_t *block)
{
	want_cdb(f, IDENTIFY, PL_DATA_IN);
	gives_data(f, block, PL_ATA_BLOCK);
}

/* The block with another security word. */
static void
identifies_with(struct fake *f, const uint8_t *block, uint16_t security)
{
	uint8_t changed[PL_ATA_BLOCK];

	memcpy(changed, block, sizeof changed);
	set_word(changed, SECURITY, security);
	sign(changed);
	identifies(f, changed);
}

static void
make_dco(uint8_t *block, uint64_t nr_sectors)
{
	memset(block, 0, PL_ATA_BLOCK);
	set_word(block, 0, 2);
	put_le64(block + 6, nr_sectors - 1);
	sign(block);
}

static struct fake *
fresh(void)
{
	err = (struct platter_error)PLATTER_ERROR_INIT;
	return fake_new();
}

static void
look(struct fake *f, struct pl_hardware_info *info)
{
	*info = (struct pl_hardware_info){ .protocol = PL_PROTOCOL_ATA };
	pl_health_unknown(info);
	EXPECT_OK(pl_ata_look(f->transport, info, &err));
	done(f);
	pl_transport_close(f->transport);
}

static const struct pl_watch nobody = { NULL, NULL };

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

static void
erase_fails(struct fake *f, enum pl_erase how, int wanted, const char *message, const char *hint)
{
	expect_error(pl_ata_erase(f->transport, how, &nobody, &err), wanted, message, hint);
	done(f);
	pl_transport_close(f->transport);
}

static void
erase_works(struct fake *f, enum pl_erase how)
{
	EXPECT_OK(pl_ata_erase(f->transport, how, &nobody, &err));
	done(f);
	pl_transport_close(f->transport);
}

/* ---- IDENTIFY DEVICE ---- */

TEST(identity_is_swapped_and_trimmed)
{
	struct pl_ata_identity id;
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	EXPECT_OK(pl_ata_identity_decode(block, &id, &err));
	EXPECT_STR(id.model, "ST500DM002-1BD142");
	EXPECT_STR(id.serial, "Z3TDAJ4E");
	EXPECT_STR(id.firmware, "CC46");
	EXPECT_EQ(id.nr_sectors, HDD_SECTORS);
	EXPECT_EQ(id.sector_size, 512);
	EXPECT_EQ(id.rotation, 7200);
	EXPECT_EQ(id.erase_minutes, 82);
	EXPECT(id.lba48 && id.hpa && id.dco && id.smart && id.logs && id.security && id.enhanced);
	EXPECT(!id.amac && !id.trim && !id.encrypts && !id.sanitize && !id.enabled && !id.locked &&
	       !id.frozen);
	make_ssd(block);
	EXPECT_OK(pl_ata_identity_decode(block, &id, &err));
	EXPECT_EQ(id.rotation, 1);
	EXPECT_EQ(id.erase_minutes, 4);
	EXPECT_EQ(id.enhanced_minutes, 8);
	EXPECT(id.trim && id.encrypts && id.sanitize && id.sanitize_block && id.sanitize_crypto &&
	       !id.sanitize_overwrite && !id.hpa && !id.dco);
}

TEST(hostile_text_is_made_printable)
{
	struct pl_ata_identity id;
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	set_text(block, 27, 20, "  \x1b[31mred\xff\n0123456789012345678901234567890");
	sign(block);
	EXPECT_OK(pl_ata_identity_decode(block, &id, &err));
	EXPECT_STR(id.model, "?[31mred??0123456789012345678901234567");
}

TEST(sectors_are_counted_in_three_ways)
{
	struct pl_ata_identity id;
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	set_word(block, 83, get_word(block, 83) & (uint16_t)~0x0400);
	sign(block);
	EXPECT_OK(pl_ata_identity_decode(block, &id, &err));
	EXPECT_EQ(id.nr_sectors, 0x0fffffff);
	make_hdd(block);
	set_word(block, 69, 1 << 3);
	put_le64(block + 2 * 230, 5000000000);
	sign(block);
	EXPECT_OK(pl_ata_identity_decode(block, &id, &err));
	EXPECT_EQ(id.nr_sectors, 5000000000);
	/* Sectors of 4096 bytes: 2048 words. */
	set_word(block, 106, 0x5000);
	set_word(block, 117, 2048);
	sign(block);
	EXPECT_OK(pl_ata_identity_decode(block, &id, &err));
	EXPECT_EQ(id.sector_size, 4096);
}

TEST(damaged_identity_is_refused)
{
	struct pl_ata_identity id;
	uint8_t block[PL_ATA_BLOCK] = { 0 };

	expect_error(pl_ata_identity_decode(block, &id, &err), -EIO, "zeros", "");
	make_hdd(block);
	block[20] ^= 1;
	expect_error(pl_ata_identity_decode(block, &id, &err), -EIO, "checksum", "");
	make_hdd(block);
	set_word(block, 106, 0x5000);
	put_le32(block + 2 * 117, 100);
	sign(block);
	expect_error(pl_ata_identity_decode(block, &id, &err), -EIO, "sectors of 200 bytes", "");
	put_le32(block + 2 * 117, 0x80000001);
	sign(block);
	expect_error(pl_ata_identity_decode(block, &id, &err), -EIO, "sectors of 2 bytes", "");
	make_hdd(block);
	put_le64(block + 2 * 100, UINT64_MAX / 512 + 1);
	sign(block);
	expect_error(pl_ata_identity_decode(block, &id, &err), -EIO, "36028797018963968 sectors",
		     "");
	/* Without the signature there is no checksum. */
	make_hdd(block);
	block[510] = block[511] = 0;
	EXPECT_OK(pl_ata_identity_decode(block, &id, &err));
}

TEST(words_that_old_drives_do_not_have_count_as_no)
{
	struct pl_ata_identity id;
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	for (unsigned i = 59; i < 255; i++)
		if (i != 60 && i != 61)
			set_word(block, i, 0xffff);
	block[510] = block[511] = 0;
	EXPECT_OK(pl_ata_identity_decode(block, &id, &err));
	EXPECT_EQ(id.nr_sectors, 0x0fffffff);
	EXPECT_EQ(id.rotation, 0);
	EXPECT(!id.sanitize && !id.trim && !id.encrypts && !id.dco && !id.hpa && !id.logs &&
	       !id.amac && !id.lba48);
}

TEST(short_identity_is_refused)
{
	struct fake *f = fresh();
	struct pl_ata_identity id;
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	want_cdb(f, IDENTIFY, PL_DATA_IN);
	gives_data(f, block, 500);
	expect_error(pl_ata_identify(f->transport, &id, &err), -EIO, "500 bytes", "");
	done(f);
	pl_transport_close(f->transport);
}

/* ---- looking ---- */

static void
add_attribute(uint8_t *block, size_t index, uint8_t number, uint8_t value, uint64_t raw)
{
	uint8_t *a = block + 2 + 12 * index;

	a[0] = number;
	a[3] = a[4] = value;
	put_le32(a + 5, (uint32_t)raw);
	put_le16(a + 9, (uint16_t)(raw >> 32));
}

static void
sum_up(uint8_t *block)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < 511; i++)
		sum = (uint8_t)(sum + block[i]);
	block[511] = (uint8_t)-sum;
}

static void
make_smart(uint8_t *block, uint64_t reallocated, uint64_t pending)
{
	memset(block, 0, PL_ATA_BLOCK);
	set_word(block, 0, 10);
	add_attribute(block, 0, 1, 100, 12345678);
	add_attribute(block, 1, 5, 100, reallocated);
	add_attribute(block, 2, 9, 80, 0x5a5a00004e20); /* 20000 hours, and something else above */
	add_attribute(block, 3, 190, 70, 0x1e21001e);
	add_attribute(block, 4, 194, 33, 0x000f00000021); /* 33 degrees, lowest 15 */
	add_attribute(block, 5, 197, 100, pending);
	add_attribute(block, 6, 198, 100, 0);
	sum_up(block);
}

static void
tells_smart(struct fake *f, uint64_t answer, const uint8_t *attributes)
{
	want_cdb(f, SMART_STATUS, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0, answer);
	want_cdb(f, SMART_DATA, PL_DATA_IN);
	gives_data(f, attributes, PL_ATA_BLOCK);
}

static void
aborts(struct fake *f, const char *cdb, enum pl_data direction)
{
	want_cdb(f, cdb, direction);
	gives_registers(f, 0x51, 0x04, 0, 0);
}

TEST(disk_with_hpa_and_dco)
{
	struct fake *f = fresh();
	struct pl_hardware_info info;
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	identifies(f, block);
	want_cdb(f, READ_NATIVE_EXT, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0, HDD_NATIVE - 1);
	want_cdb(f, DCO_IDENTIFY, PL_DATA_IN);
	make_dco(block, HDD_REAL);
	gives_data(f, block, PL_ATA_BLOCK);
	make_smart(block, 0, 0);
	tells_smart(f, 0xc24f00, block);
	aborts(f, LOG("00"), PL_DATA_IN);
	look(f, &info);
	EXPECT_STR(info.model, "ST500DM002-1BD142");
	EXPECT_EQ(info.size, (uint64_t)HDD_SECTORS * 512);
	EXPECT_EQ(info.native_size, (uint64_t)HDD_NATIVE * 512);
	EXPECT_EQ(info.real_size, (uint64_t)HDD_REAL * 512);
	EXPECT(info.rotational_known && info.rotational && !info.encrypts);
	EXPECT_EQ(info.erases, PL_ERASE_ATA_SECURITY | PL_ERASE_ATA_SECURITY_ENHANCED);
	EXPECT(!info.erase_reason);
	EXPECT_EQ(info.erase_minutes, 82);
	EXPECT_EQ(info.health, PL_HEALTH_GOOD);
	EXPECT_STR(info.health_reason, "");
	EXPECT_EQ(info.reallocated, 0);
	EXPECT_EQ(info.power_on_hours, 20000);
	EXPECT_EQ(info.temperature, 33);
	EXPECT_EQ(info.percent_used, -1);
}

TEST(numbers_below_what_is_known_are_not_believed)
{
	struct fake *f = fresh();
	struct pl_hardware_info info;
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	set_word(block, 85, 0); /* SMART is off */
	set_word(block, 84, 0x4000);
	sign(block);
	identifies(f, block);
	want_cdb(f, READ_NATIVE_EXT, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0, 0);
	want_cdb(f, DCO_IDENTIFY, PL_DATA_IN);
	make_dco(block, 7);
	gives_data(f, block, PL_ATA_BLOCK);
	look(f, &info);
	EXPECT_EQ(info.native_size, info.size);
	EXPECT_EQ(info.real_size, info.size);
	EXPECT_EQ(info.health, PL_HEALTH_UNKNOWN);
	EXPECT_EQ(info.temperature, INT32_MIN);
	EXPECT_EQ(info.reallocated, UINT64_MAX);
}

TEST(overlay_with_a_wrong_checksum_is_not_believed)
{
	struct fake *f = fresh();
	struct pl_ata_identity id = { .nr_sectors = 1000, .sector_size = 512, .dco = true };
	uint8_t block[PL_ATA_BLOCK];
	uint64_t real;

	make_dco(block, 5000);
	block[6] ^= 1;
	want_cdb(f, DCO_IDENTIFY, PL_DATA_IN);
	gives_data(f, block, PL_ATA_BLOCK);
	EXPECT_OK(pl_ata_real_sectors(f->transport, &id, 1000, &real, &err));
	EXPECT_EQ(real, 1000);
	make_dco(block, 0); /* the last sector is 2^64 - 1 */
	want_cdb(f, DCO_IDENTIFY, PL_DATA_IN);
	gives_data(f, block, PL_ATA_BLOCK);
	EXPECT_OK(pl_ata_real_sectors(f->transport, &id, 1000, &real, &err));
	EXPECT_EQ(real, 1000);
	done(f);
	pl_transport_close(f->transport);
}

/* READ NATIVE MAX ADDRESS of 28 bits: its upper ones are in DEVICE. */
TEST(old_drive_has_native_size_in_28_bits)
{
	struct fake *f = fresh();
	struct pl_ata_identity id = { .nr_sectors = 1000, .sector_size = 512, .hpa = true };
	uint64_t native;

	want_cdb(f, READ_NATIVE, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0, 0x123456);
	f->steps[0].sense[8 + 12] = 0x4a;
	EXPECT_OK(pl_ata_native_sectors(f->transport, &id, &native, &err));
	EXPECT_EQ(native, 0xa123457);
	done(f);
	pl_transport_close(f->transport);
}

static void
looks_healthy(struct fake *f)
{
	uint8_t block[PL_ATA_BLOCK];

	make_smart(block, 0, 0);
	tells_smart(f, 0xc24f00, block);
}

TEST(ssd_with_statistics)
{
	struct fake *f = fresh();
	struct pl_hardware_info info;
	uint8_t block[PL_ATA_BLOCK], page[PL_ATA_BLOCK] = { 1 };

	make_ssd(block);
	identifies(f, block);
	want_cdb(f, SANITIZE_STATUS, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0x8000, 0);
	make_smart(block, 3, 0);
	add_attribute(block, 7, 231, 97, 0);
	sum_up(block);
	tells_smart(f, 0xc24f00, block);
	want_cdb(f, LOG("00"), PL_DATA_IN);
	page[8] = 4;
	memcpy(page + 9, "\x00\x01\x05\x07", 4);
	gives_data(f, page, sizeof page);
	memset(page, 0, sizeof page);
	page[0] = 1;
	page[2] = 1;
	put_le64(page + 16, UINT64_C(0xc000000000001234));
	want_cdb(f, LOG("01"), PL_DATA_IN);
	gives_data(f, page, sizeof page);
	page[2] = 5;
	put_le64(page + 8, UINT64_C(0xc0000000000000fb)); /* -5 degrees */
	want_cdb(f, LOG("05"), PL_DATA_IN);
	gives_data(f, page, sizeof page);
	page[2] = 7;
	put_le64(page + 8, UINT64_C(0xc00000000000000b));
	want_cdb(f, LOG("07"), PL_DATA_IN);
	gives_data(f, page, sizeof page);
	look(f, &info);
	EXPECT_EQ(info.erases, PL_ERASE_ATA_SECURITY | PL_ERASE_ATA_SECURITY_ENHANCED |
				       PL_ERASE_ATA_SANITIZE_BLOCK | PL_ERASE_ATA_SANITIZE_CRYPTO |
				       PL_ERASE_TRIM);
	EXPECT(info.encrypts && info.rotational_known && !info.rotational);
	EXPECT_EQ(info.power_on_hours, 0x1234);
	EXPECT_EQ(info.temperature, -5);
	EXPECT_EQ(info.percent_used, 11);
	EXPECT_EQ(info.reallocated, 3);
	EXPECT_EQ(info.health, PL_HEALTH_WARNING);
	EXPECT_STR(info.health_reason, "3 sectors were reallocated");
}

/* The drive's own forecast is above what its counters say. */
TEST(failing_drive)
{
	struct fake *f = fresh();
	struct pl_hardware_info info = { .rotational = true, .rotational_known = true };
	struct pl_ata_identity id = { .smart = true };
	uint8_t block[PL_ATA_BLOCK];

	pl_health_unknown(&info);
	make_smart(block, 500, 1);
	tells_smart(f, 0x2cf400, block);
	EXPECT_OK(pl_ata_health(f->transport, &id, &info, &err));
	EXPECT_EQ(info.health, PL_HEALTH_FAILING);
	EXPECT_EQ(info.reallocated, 500);
	tells_smart(f, 0xc24f00, block);
	EXPECT_OK(pl_ata_health(f->transport, &id, &info, &err));
	EXPECT_EQ(info.health, PL_HEALTH_WARNING);
	EXPECT_STR(info.health_reason, "1 sector cannot be read");
	/* Attributes that are damaged count for nothing. */
	pl_health_unknown(&info);
	block[511] ^= 1;
	tells_smart(f, 0xc24f00, block);
	EXPECT_OK(pl_ata_health(f->transport, &id, &info, &err));
	EXPECT_EQ(info.health, PL_HEALTH_GOOD);
	EXPECT_EQ(info.pending, UINT64_MAX);
	done(f);
	pl_transport_close(f->transport);
}

static void
look_at_security(uint16_t security, struct pl_hardware_info *info)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	set_word(block, 83, 0x7401); /* no DCO */
	set_word(block, 82, 0x706b); /* no HPA */
	set_word(block, 84, 0x4000);
	identifies_with(f, block, security);
	looks_healthy(f);
	look(f, info);
}

TEST(frozen_and_locked_drives_cannot_be_erased)
{
	struct pl_hardware_info info;

	look_at_security(SUPPORTED | FROZEN | ENHANCED, &info);
	EXPECT_EQ(info.erases, 0);
	EXPECT_STR(info.erase_reason, "frozen");
	EXPECT(info.security_frozen && !info.security_locked && !info.security_enabled);
	look_at_security(SUPPORTED | ENABLED | LOCKED, &info);
	EXPECT_EQ(info.erases, 0);
	EXPECT_STR(info.erase_reason, "locked");
	EXPECT(info.security_locked && info.security_enabled);
	look_at_security(SUPPORTED | ENABLED, &info);
	EXPECT_EQ(info.erases, 0);
	EXPECT_STR(info.erase_reason, "password");
	look_at_security(0, &info);
	EXPECT_EQ(info.erases, 0);
	EXPECT(!info.erase_reason);
}

/* SANITIZE DEVICE is refused by locked drives too, but not by frozen ones. */
TEST(frozen_ssd_can_sanitize_and_a_locked_one_cannot)
{
	static const struct {
		uint16_t security;
		unsigned erases;
	} rows[] = {
		{ SUPPORTED | FROZEN, PL_ERASE_ATA_SANITIZE_BLOCK | PL_ERASE_ATA_SANITIZE_CRYPTO },
		{ SUPPORTED | ENABLED | LOCKED, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake *f = fresh();
		struct pl_hardware_info info;
		uint8_t block[PL_ATA_BLOCK];

		make_ssd(block);
		identifies_with(f, block, rows[i].security);
		want_cdb(f, SANITIZE_STATUS, PL_DATA_NONE);
		gives_registers(f, 0x50, 0, 0, 0);
		aborts(f, SMART_STATUS, PL_DATA_NONE);
		aborts(f, SMART_DATA, PL_DATA_IN);
		aborts(f, LOG("00"), PL_DATA_IN);
		look(f, &info);
		EXPECT_EQ(info.erases, rows[i].erases | PL_ERASE_TRIM);
		EXPECT_EQ(!info.erase_reason, rows[i].erases != 0);
	}
}

TEST(drive_that_sanitizes_cannot_be_erased_and_answers_little)
{
	struct fake *f = fresh();
	struct pl_hardware_info info;
	uint8_t block[PL_ATA_BLOCK];

	make_ssd(block);
	identifies_with(f, block, SUPPORTED | FROZEN);
	want_cdb(f, SANITIZE_STATUS, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0x4000, 0x1000);
	aborts(f, SMART_STATUS, PL_DATA_NONE);
	aborts(f, SMART_DATA, PL_DATA_IN);
	aborts(f, LOG("00"), PL_DATA_IN);
	look(f, &info);
	EXPECT_EQ(info.erases, PL_ERASE_TRIM);
	EXPECT_STR(info.erase_reason, "sanitizing");
	EXPECT_EQ(info.health, PL_HEALTH_UNKNOWN);
}

/* ---- the security feature set ---- */

static void
wants_password(struct fake *f, const char *cdb, const char *control)
{
	want_cdb(f, cdb, PL_DATA_OUT);
	want_out(f, control, "platter", PL_ATA_BLOCK);
}

/* All went well. */
static void
succeeds(struct fake *f)
{
	gives_registers(f, 0x50, 0, 0, 0);
}

static void
sets_password(struct fake *f, const uint8_t *block)
{
	identifies_with(f, block, SUPPORTED | ENHANCED);
	wants_password(f, SET_PASSWORD, "00 00");
	succeeds(f);
	identifies_with(f, block, SUPPORTED | ENABLED | ENHANCED);
}

static void
takes_password_off(struct fake *f, const uint8_t *block)
{
	wants_password(f, DISABLE, "00 00");
	succeeds(f);
	identifies_with(f, block, SUPPORTED | ENHANCED);
}

TEST(security_erase_sets_a_password_and_looks_that_it_is_gone)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	sets_password(f, block);
	want_cdb(f, ERASE_PREPARE, PL_DATA_NONE);
	succeeds(f);
	wants_password(f, ERASE_UNIT, "00 00");
	want_timeout(f, (2 * 82 + 60) * 60 * 1000);
	succeeds(f);
	identifies_with(f, block, SUPPORTED | ENHANCED);
	erase_works(f, PL_ERASE_ATA_SECURITY);
}

TEST(enhanced_security_erase)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_ssd(block);
	sets_password(f, block);
	want_cdb(f, ERASE_PREPARE, PL_DATA_NONE);
	succeeds(f);
	wants_password(f, ERASE_UNIT, "02 00");
	want_timeout(f, (2 * 8 + 60) * 60 * 1000);
	succeeds(f);
	identifies_with(f, block, SUPPORTED | ENHANCED);
	erase_works(f, PL_ERASE_ATA_SECURITY_ENHANCED);
}

TEST(failed_erase_takes_its_password_off)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	sets_password(f, block);
	want_cdb(f, ERASE_PREPARE, PL_DATA_NONE);
	succeeds(f);
	wants_password(f, ERASE_UNIT, "00 00");
	gives_registers(f, 0x51, 0x10, 0, 0);
	takes_password_off(f, block);
	erase_fails(f, PL_ERASE_ATA_SECURITY, -EIO, "status 51h, error 10h", "was taken off again");
}

TEST(refused_preparation_takes_its_password_off)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	sets_password(f, block);
	aborts(f, ERASE_PREPARE, PL_DATA_NONE);
	takes_password_off(f, block);
	erase_fails(f, PL_ERASE_ATA_SECURITY, -EIO, "SECURITY ERASE PREPARE: the drive refused it",
		    "was taken off again");
}

TEST(password_that_stays_is_told)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	sets_password(f, block);
	want_cdb(f, ERASE_PREPARE, PL_DATA_NONE);
	succeeds(f);
	wants_password(f, ERASE_UNIT, "00 00");
	gives_registers(f, 0x51, 0x10, 0, 0);
	wants_password(f, DISABLE, "00 00");
	gives_registers(f, 0x51, 0x04, 0, 0);
	erase_fails(f, PL_ERASE_ATA_SECURITY, -EIO, "SECURITY ERASE UNIT",
		    "--security-unlock platter");
}

TEST(drive_that_hangs_while_it_erases_is_told_with_its_password)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	sets_password(f, block);
	want_cdb(f, ERASE_PREPARE, PL_DATA_NONE);
	succeeds(f);
	wants_password(f, ERASE_UNIT, "00 00");
	f->steps[f->nr - 1].host_status = 3;
	wants_password(f, DISABLE, "00 00");
	f->steps[f->nr - 1].host_status = 1;
	erase_fails(f, PL_ERASE_ATA_SECURITY, -ETIMEDOUT, "no answer from the drive",
		    "--security-unlock platter");
}

/* An exit status of success is not enough. */
TEST(erase_that_leaves_the_password_has_failed)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	sets_password(f, block);
	want_cdb(f, ERASE_PREPARE, PL_DATA_NONE);
	succeeds(f);
	wants_password(f, ERASE_UNIT, "00 00");
	succeeds(f);
	identifies_with(f, block, SUPPORTED | ENABLED | ENHANCED);
	takes_password_off(f, block);
	erase_fails(f, PL_ERASE_ATA_SECURITY, -EIO, "still has the password",
		    "was taken off again");
}

TEST(password_that_is_not_set_is_noticed)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	identifies_with(f, block, SUPPORTED);
	wants_password(f, SET_PASSWORD, "00 00");
	succeeds(f);
	identifies_with(f, block, SUPPORTED);
	erase_fails(f, PL_ERASE_ATA_SECURITY, -EIO, "has no password", "");
	f = fresh();
	identifies_with(f, block, SUPPORTED);
	wants_password(f, SET_PASSWORD, "00 00");
	gives_registers(f, 0x51, 0x04, 0, 0);
	identifies_with(f, block, SUPPORTED);
	erase_fails(f, PL_ERASE_ATA_SECURITY, -EIO, "SECURITY SET PASSWORD: the drive refused it",
		    "");
}

/* The adapter failed after the drive had got the command. */
TEST(password_that_is_set_although_the_command_failed_is_taken_off)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	identifies_with(f, block, SUPPORTED);
	wants_password(f, SET_PASSWORD, "00 00");
	f->steps[f->nr - 1].host_status = 7;
	identifies_with(f, block, SUPPORTED | ENABLED);
	takes_password_off(f, block);
	erase_fails(f, PL_ERASE_ATA_SECURITY, -EIO, "the host adapter failed",
		    "was taken off again");
	/* And one that cannot even be asked afterwards. */
	f = fresh();
	identifies_with(f, block, SUPPORTED);
	wants_password(f, SET_PASSWORD, "00 00");
	f->steps[f->nr - 1].host_status = 3;
	want_cdb(f, IDENTIFY, PL_DATA_IN);
	f->steps[f->nr - 1].host_status = 3;
	wants_password(f, DISABLE, "00 00");
	f->steps[f->nr - 1].host_status = 3;
	erase_fails(f, PL_ERASE_ATA_SECURITY, -ETIMEDOUT, "SECURITY SET PASSWORD",
		    "--security-unlock platter");
}

TEST(drives_that_may_not_be_erased_are_not_touched)
{
	static const struct {
		uint16_t security;
		enum pl_erase how;
		int code;
		const char *message, *hint;
	} rows[] = {
		{ SUPPORTED | FROZEN, PL_ERASE_ATA_SECURITY, -EACCES, "frozen", "suspend" },
		{ SUPPORTED | ENABLED | LOCKED, PL_ERASE_ATA_SECURITY, -EACCES, "locked",
		  "platter" },
		{ SUPPORTED | ENABLED, PL_ERASE_ATA_SECURITY, -EACCES, "password", "platter" },
		{ SUPPORTED, PL_ERASE_ATA_SECURITY_ENHANCED, -ENOTSUP, "enhanced", "" },
		{ 0, PL_ERASE_ATA_SECURITY, -ENOTSUP, "does not have", "" },
		{ SUPPORTED, PL_ERASE_ATA_SANITIZE_BLOCK, -ENOTSUP, "SANITIZE", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake *f = fresh();
		uint8_t block[PL_ATA_BLOCK];

		make_hdd(block);
		identifies_with(f, block, rows[i].security);
		erase_fails(f, rows[i].how, rows[i].code, rows[i].message, rows[i].hint);
	}
}

static bool
stop(double fraction, void *closure)
{
	*(double *)closure = fraction;
	return false;
}

/* Whoever stops waiting leaves the drive at work, and its password with it. */
TEST(waiting_for_an_erase_can_be_ended)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];
	double told = 7;
	struct pl_watch watch = { stop, &told };

	make_hdd(block);
	sets_password(f, block);
	want_cdb(f, ERASE_PREPARE, PL_DATA_NONE);
	succeeds(f);
	wants_password(f, ERASE_UNIT, "00 00");
	succeeds(f);
	f->steps[f->nr - 1].last_for = 900;
	expect_error(pl_ata_erase(f->transport, PL_ERASE_ATA_SECURITY, &watch, &err), -ECANCELED,
		     "was ended", "platter");
	EXPECT(told < 0);
	/* The command outlives the caller's transport, and closes it in the end. */
	pl_transport_close(f->transport);
	EXPECT(f->transport);
	for (unsigned i = 0; i < 500 && f->transport; i++)
		usleep(10000);
	EXPECT(!f->transport);
	done(f);
}

/* ---- SANITIZE DEVICE ---- */

struct seen {
	double last;
	unsigned nr;
};

static bool
count(double fraction, void *closure)
{
	struct seen *seen = closure;

	seen->last = fraction;
	seen->nr++;
	return true;
}

TEST(sanitize_is_asked_until_it_is_done)
{
	static const struct {
		enum pl_erase how;
		const char *cdb;
	} rows[] = {
		{ PL_ERASE_ATA_SANITIZE_CRYPTO, "85 07 20 00 11 00 10 43 70 00 79 00 72 00 b4 00" },
		{ PL_ERASE_ATA_SANITIZE_BLOCK, "85 07 20 00 12 00 10 42 72 00 45 00 6b 00 b4 00" },
		{ PL_ERASE_ATA_SANITIZE_OVERWRITE,
		  "85 07 20 00 14 00 11 00 00 57 00 4f 00 00 b4 00" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake *f = fresh();
		struct seen seen = { 0 };
		struct pl_watch watch = { count, &seen };
		uint8_t block[PL_ATA_BLOCK];

		make_ssd(block);
		set_word(block, 59, 0xf000);
		sign(block);
		identifies(f, block);
		want_cdb(f, SANITIZE_STATUS, PL_DATA_NONE);
		gives_registers(f, 0x50, 0, 0, 0);
		want_cdb(f, rows[i].cdb, PL_DATA_NONE);
		gives_registers(f, 0x50, 0, 0x4000, 0);
		for (unsigned progress = 0; progress < 0x10000; progress += 0x4000) {
			want_cdb(f, SANITIZE_STATUS, PL_DATA_NONE);
			gives_registers(f, 0x50, 0, 0x4000, progress);
		}
		want_cdb(f, SANITIZE_STATUS, PL_DATA_NONE);
		gives_registers(f, 0x50, 0, 0x8000, 0xffff);
		identifies(f, block);
		EXPECT_OK(pl_ata_erase(f->transport, rows[i].how, &watch, &err));
		done(f);
		EXPECT_EQ(seen.nr, 4);
		EXPECT(seen.last > 0.74 && seen.last < 0.76);
		EXPECT_EQ(f->now, 4000);
		pl_transport_close(f->transport);
	}
}

static struct fake *
sanitizing(uint8_t *block)
{
	struct fake *f = fresh();

	make_ssd(block);
	identifies(f, block);
	want_cdb(f, SANITIZE_STATUS, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0, 0);
	want_cdb(f, "85 07 20 00 12 00 10 42 72 00 45 00 6b 00 b4 00", PL_DATA_NONE);
	return f;
}

TEST(sanitize_that_fails_says_so_and_leaves_failure_mode)
{
	uint8_t block[PL_ATA_BLOCK];
	struct fake *f = sanitizing(block);

	gives_registers(f, 0x50, 0, 0x4000, 0);
	want_cdb(f, SANITIZE_STATUS, PL_DATA_NONE);
	gives_registers(f, 0x51, 0x04, 0, 1);
	want_cdb(f, SANITIZE_CLEAR, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0, 0);
	erase_fails(f, PL_ERASE_ATA_SANITIZE_BLOCK, -EIO, "began, and then failed",
		    "may still be there");
}

TEST(sanitize_that_is_refused_says_why)
{
	uint8_t block[PL_ATA_BLOCK];
	struct fake *f = sanitizing(block);

	gives_registers(f, 0x51, 0x04, 0, 3);
	erase_fails(f, PL_ERASE_ATA_SANITIZE_BLOCK, -EIO, "it is frozen", "");
}

TEST(sanitize_that_does_nothing_has_failed)
{
	uint8_t block[PL_ATA_BLOCK];
	struct fake *f = sanitizing(block);

	gives_registers(f, 0x50, 0, 0, 0);
	want_cdb(f, SANITIZE_STATUS, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0, 0);
	erase_fails(f, PL_ERASE_ATA_SANITIZE_BLOCK, -EIO, "does not say that it was done", "");
}

TEST(frozen_sanitize_is_not_begun)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_ssd(block);
	identifies(f, block);
	want_cdb(f, SANITIZE_STATUS, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0x2000, 0);
	erase_fails(f, PL_ERASE_ATA_SANITIZE_CRYPTO, -EACCES, "frozen", "");
}

/* A bridge that passes commands but no registers: the end could not be seen. */
TEST(sanitize_whose_state_cannot_be_seen_is_not_begun)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_ssd(block);
	identifies(f, block);
	want_cdb(f, SANITIZE_STATUS, PL_DATA_NONE);
	erase_fails(f, PL_ERASE_ATA_SANITIZE_BLOCK, -ENOTSUP, "does not tell its state", "");
}

TEST(sanitize_that_stands_still_is_given_up)
{
	struct pl_transport *t;
	struct fake *f = fresh();
	struct pl_wait wait;
	int r = 0;

	t = f->transport;
	pl_wait_begin(&wait, t, &nobody, 4 * 60 * PL_MINUTE);
	for (unsigned i = 0; i < 100000 && r == 0; i++)
		r = pl_wait_more(&wait, t, i < 1000 ? i / 65536.0 : 0.25, &err);
	expect_error(r, -ETIMEDOUT, "no progress for 4 hours", "");
	/* 60 s by seconds; then every 10 s, first with progress. */
	EXPECT_EQ(f->now, (60 + 940 * 10 + 4 * 3600 + 10) * 1000);
	pl_transport_close(t);
}

/* ---- hidden sectors ---- */

TEST(hpa_is_removed_right_after_the_native_size_was_read)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	identifies(f, block);
	want_cdb(f, READ_NATIVE_EXT, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0, HDD_NATIVE - 1);
	EXPECT_EQ(HDD_NATIVE - 1, 0x3a38582f);
	want_cdb(f, "85 07 20 00 00 00 01 3a 2f 00 58 00 38 40 37 00", PL_DATA_NONE);
	succeeds(f);
	put_le64(block + 2 * 100, HDD_NATIVE);
	sign(block);
	identifies(f, block);
	EXPECT_OK(pl_ata_remove_hpa(f->transport, &err));
	done(f);
	pl_transport_close(f->transport);
}

TEST(hpa_that_is_not_there_needs_no_command)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	identifies(f, block);
	want_cdb(f, READ_NATIVE_EXT, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0, HDD_SECTORS - 1);
	EXPECT_OK(pl_ata_remove_hpa(f->transport, &err));
	done(f);
	make_ssd(block);
	identifies(f, block);
	expect_error(pl_ata_remove_hpa(f->transport, &err), -ENOTSUP, "no host protected area", "");
	done(f);
	pl_transport_close(f->transport);
}

static struct fake *
with_small_hpa(uint8_t *block)
{
	struct fake *f = fresh();

	make_hdd(block);
	put_le64(block + 2 * 100, 0x1000);
	sign(block);
	identifies(f, block);
	want_cdb(f, READ_NATIVE_EXT, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0, UINT64_C(0x010203040506));
	want_cdb(f, "85 07 20 00 00 00 01 03 06 02 05 01 04 40 37 00", PL_DATA_NONE);
	return f;
}

TEST(second_change_of_an_hpa_needs_a_power_cycle)
{
	uint8_t block[PL_ATA_BLOCK];
	struct fake *f = with_small_hpa(block);

	gives_registers(f, 0x51, 0x10, 0, 0);
	expect_error(pl_ata_remove_hpa(f->transport, &err), -EIO, "SET MAX ADDRESS EXT", "power");
	done(f);
	pl_transport_close(f->transport);
}

TEST(hpa_that_stays_is_noticed)
{
	uint8_t block[PL_ATA_BLOCK];
	struct fake *f = with_small_hpa(block);

	succeeds(f);
	identifies(f, block);
	expect_error(pl_ata_remove_hpa(f->transport, &err), -EIO, "has 4096 sectors", "power");
	done(f);
	pl_transport_close(f->transport);
}

TEST(hpa_of_28_bits)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_hdd(block);
	set_word(block, 83, 0x7001);
	put_le32(block + 2 * 60, 0x1000);
	sign(block);
	identifies(f, block);
	want_cdb(f, READ_NATIVE, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0, 0x123456);
	f->steps[f->nr - 1].sense[8 + 12] = 0x4a;
	want_cdb(f, "85 06 20 00 00 00 01 00 56 00 34 00 12 4a f9 00", PL_DATA_NONE);
	succeeds(f);
	put_le32(block + 2 * 60, 0xa123457);
	sign(block);
	identifies(f, block);
	EXPECT_OK(pl_ata_remove_hpa(f->transport, &err));
	done(f);
	pl_transport_close(f->transport);
}

TEST(accessible_max_address_of_new_drives)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK];

	make_ssd(block);
	set_word(block, 119, 0x4100);
	sign(block);
	identifies(f, block);
	want_cdb(f, GET_NATIVE, PL_DATA_NONE);
	gives_registers(f, 0x50, 0, 0, UINT64_C(0x010203040506));
	want_cdb(f, "85 07 20 00 01 00 00 03 06 02 05 01 04 00 78 00", PL_DATA_NONE);
	succeeds(f);
	put_le64(block + 2 * 100, UINT64_C(0x010203040507));
	sign(block);
	identifies(f, block);
	EXPECT_OK(pl_ata_remove_hpa(f->transport, &err));
	done(f);
	pl_transport_close(f->transport);
}

TEST(overlay_is_removed)
{
	struct fake *f = fresh();
	uint8_t block[PL_ATA_BLOCK], dco[PL_ATA_BLOCK];

	make_hdd(block);
	make_dco(dco, HDD_REAL);
	identifies(f, block);
	want_cdb(f, DCO_IDENTIFY, PL_DATA_IN);
	gives_data(f, dco, sizeof dco);
	want_cdb(f, DCO_RESTORE, PL_DATA_NONE);
	succeeds(f);
	put_le64(block + 2 * 100, HDD_REAL);
	sign(block);
	identifies(f, block);
	EXPECT_OK(pl_ata_remove_dco(f->transport, &err));
	done(f);
	identifies(f, block);
	want_cdb(f, DCO_IDENTIFY, PL_DATA_IN);
	gives_data(f, dco, sizeof dco);
	aborts(f, DCO_RESTORE, PL_DATA_NONE);
	expect_error(pl_ata_remove_dco(f->transport, &err), -EIO, "refused", "host protected area");
	done(f);
	pl_transport_close(f->transport);
}
