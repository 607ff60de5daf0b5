/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-nvme.c - what is sent to NVMe controllers, and what is made of their answers */
#include "fake-hardware.h"
#include "health.h"
#include "nvme.h"

static struct platter_error err;

enum {
	ALL = -1,
	NAMESPACE = 3,
	SMART_DWORD = 0x007f0002,
	SANITIZE_DWORD = 0x007f0081,
};

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

static void
put_text(uint8_t *p, size_t n, const char *text)
{
	memset(p, ' ', n);
	memcpy(p, text, strlen(text));
}

/* One that formats with crypto erase, and sanitizes in all ways. */
static void
make_controller(uint8_t *id)
{
	memset(id, 0, 4096);
	put_text(id + 4, 20, "S4EWNX0N123456");
	put_text(id + 24, 40, "Samsung SSD 970 EVO Plus 1TB");
	put_text(id + 64, 8, "2B2QEXM7");
	put_le16(id + 256, 0x0017);
	put_le32(id + 328, 0x00000007);
	put_le32(id + 516, 4);
	put_le16(id + 520, 0x005f);
	id[524] = 0x04;
}

/* Format 1 of two: 4096 bytes a block and 8 of metadata, protection of type 1 at the start. */
static void
make_namespace(uint8_t *id)
{
	memset(id, 0, 4096);
	put_le64(id, 244190646);
	put_le64(id + 8, 244190646);
	id[25] = 1;
	id[26] = 0x11;
	id[29] = 0x09;
	id[128 + 2] = 9;
	put_le16(id + 132, 8);
	id[132 + 2] = 12;
}

static void
make_smart(uint8_t *log)
{
	memset(log, 0, 512);
	put_le16(log + 1, 273 + 41);
	log[3] = 100;
	log[4] = 10;
	log[5] = 7;
	put_le64(log + 128, 12345);
}

static void
identifies_controller(struct fake *f, const uint8_t *id)
{
	want_nvme(f, 0x06, 0, 1, 4096);
	gives_data(f, id, 4096);
}

/* Erasing begins with looking whether the controller has it. */
static struct fake *
erasing(void)
{
	struct fake *f = fresh();
	uint8_t id[4096];

	make_controller(id);
	identifies_controller(f, id);
	return f;
}

static void
identifies_namespace(struct fake *f, const uint8_t *id)
{
	is_namespace(f, NAMESPACE);
	want_nvme(f, 0x06, NAMESPACE, 0, 4096);
	gives_data(f, id, 4096);
}

static void
tells_log(struct fake *f, uint32_t dword, const uint8_t *log)
{
	want_nvme(f, 0x02, (uint32_t)ALL, dword, 512);
	gives_data(f, log, 512);
}

static void
tells_sanitize(struct fake *f, uint16_t progress, uint16_t status, uint32_t dword)
{
	uint8_t log[512] = { 0 };

	put_le16(log, progress);
	put_le16(log + 2, status);
	put_le32(log + 4, dword);
	tells_log(f, SANITIZE_DWORD, log);
}

static void
lists(struct fake *f, unsigned nr_namespaces)
{
	uint8_t list[4096] = { 0 };

	for (unsigned i = 0; i < nr_namespaces; i++)
		put_le32(list + 4 * (size_t)i, i + NAMESPACE);
	want_nvme(f, 0x06, 0, 2, 4096);
	gives_data(f, list, sizeof list);
}

static int
look(struct fake *f, struct pl_hardware_info *info)
{
	int r;

	*info = (struct pl_hardware_info){ .protocol = PL_PROTOCOL_NVME };
	pl_health_unknown(info);
	r = pl_nvme_look(f->transport, info, &err);
	finish(f);
	return r;
}

static const struct pl_watch nobody = { NULL, NULL };

/* ---- looking ---- */

TEST(drive_that_formats_and_sanitizes)
{
	struct fake *f = fresh();
	struct pl_hardware_info info;
	uint8_t id[4096], log[512];

	make_controller(id);
	identifies_controller(f, id);
	make_namespace(id);
	identifies_namespace(f, id);
	lists(f, 1);
	tells_sanitize(f, 0xffff, 0, 0);
	make_smart(log);
	tells_log(f, SMART_DWORD, log);
	EXPECT_OK(look(f, &info));
	EXPECT_STR(info.model, "Samsung SSD 970 EVO Plus 1TB");
	EXPECT_STR(info.serial, "S4EWNX0N123456");
	EXPECT_STR(info.firmware, "2B2QEXM7");
	EXPECT_EQ(info.size, UINT64_C(244190646) * 4096);
	EXPECT(info.rotational_known && !info.rotational && info.encrypts);
	EXPECT_EQ(info.erases, PL_ERASE_NVME_FORMAT | PL_ERASE_NVME_FORMAT_CRYPTO |
				       PL_ERASE_NVME_SANITIZE_BLOCK |
				       PL_ERASE_NVME_SANITIZE_CRYPTO |
				       PL_ERASE_NVME_SANITIZE_OVERWRITE | PL_ERASE_TRIM);
	EXPECT_EQ(info.erases_beyond, 0);
	EXPECT_EQ(info.health, PL_HEALTH_GOOD);
	EXPECT_EQ(info.temperature, 41);
	EXPECT_EQ(info.percent_used, 7);
	EXPECT_EQ(info.power_on_hours, 12345);
	EXPECT_EQ(info.uncorrectable, 0);
}

/* SANITIZE is of the whole drive; FORMAT NVM is where the controller says so. */
TEST(other_namespaces_that_would_be_erased_too_are_told)
{
	struct pl_hardware_info info;
	uint8_t id[4096], log[512];

	for (unsigned all = 0; all < 2; all++) {
		struct fake *f = fresh();

		make_controller(id);
		id[524] = all ? 0x02 : 0;
		put_le32(id + 328, 0x00000002);
		identifies_controller(f, id);
		make_namespace(id);
		identifies_namespace(f, id);
		if (all) {
			/* It does not list them: those that there may be count. */
			want_nvme(f, 0x06, 0, 2, 4096);
			gives_result(f, 0x4002);
		} else {
			lists(f, 2);
		}
		tells_sanitize(f, 0xffff, 1, 0);
		make_smart(log);
		tells_log(f, SMART_DWORD, log);
		EXPECT_OK(look(f, &info));
		EXPECT_EQ(info.erases,
			  PL_ERASE_NVME_FORMAT | PL_ERASE_NVME_SANITIZE_BLOCK | PL_ERASE_TRIM);
		EXPECT_EQ(info.erases_beyond, PL_ERASE_NVME_SANITIZE_BLOCK |
						      (all ? (unsigned)PL_ERASE_NVME_FORMAT : 0));
		EXPECT(!info.encrypts);
	}
}

TEST(worn_and_failing_drives)
{
	static const struct {
		uint8_t warnings, used;
		enum pl_health health;
		const char *reason;
	} rows[] = {
		{ 0x00, 89, PL_HEALTH_GOOD, "" },
		{ 0x00, 120, PL_HEALTH_WARNING, "120 % of its life is used" },
		{ 0x01, 0, PL_HEALTH_FAILING, "the drive has hardly any spare blocks left" },
		{ 0x02, 0, PL_HEALTH_WARNING, "the drive says that it is too hot" },
		{ 0x04, 0, PL_HEALTH_FAILING, "the drive says that it is no longer reliable" },
		{ 0x0a, 0, PL_HEALTH_FAILING, "the drive can only be read" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake *f = fresh();
		struct pl_hardware_info info;
		uint8_t id[4096] = { 0 }, log[512];

		identifies_controller(f, id);
		make_namespace(id);
		identifies_namespace(f, id);
		lists(f, 1);
		make_smart(log);
		log[0] = rows[i].warnings;
		log[5] = rows[i].used;
		tells_log(f, SMART_DWORD, log);
		EXPECT_OK(look(f, &info));
		EXPECT_EQ(info.erases, 0);
		EXPECT_EQ(info.health, rows[i].health);
		EXPECT_STR(info.health_reason, rows[i].reason);
	}
}

TEST(drive_that_sanitizes_cannot_be_erased)
{
	struct fake *f = fresh();
	struct pl_hardware_info info;
	uint8_t id[4096];

	make_controller(id);
	identifies_controller(f, id);
	make_namespace(id);
	identifies_namespace(f, id);
	lists(f, 2);
	tells_sanitize(f, 0x8000, 2, 0x0a);
	want_nvme(f, 0x02, (uint32_t)ALL, SMART_DWORD, 512);
	gives_result(f, 0x401d);
	EXPECT_OK(look(f, &info));
	EXPECT_EQ(info.erases, PL_ERASE_TRIM);
	EXPECT_EQ(info.erases_beyond, 0);
	EXPECT_STR(info.erase_reason, "sanitizing");
	EXPECT_EQ(info.health, PL_HEALTH_UNKNOWN);
}

TEST(hostile_namespaces_are_refused)
{
	static const struct {
		uint64_t nr_blocks;
		uint8_t log2;
		const char *message;
	} rows[] = {
		{ 1000, 0, "blocks of 2^0 bytes" },
		{ 1000, 255, "blocks of 2^255 bytes" },
		{ UINT64_MAX, 12, "18446744073709551615 blocks" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake *f = fresh();
		struct pl_hardware_info info;
		uint8_t id[4096];

		make_controller(id);
		identifies_controller(f, id);
		make_namespace(id);
		put_le64(id, rows[i].nr_blocks);
		id[134] = rows[i].log2;
		identifies_namespace(f, id);
		expect_error(look(f, &info), -EIO, rows[i].message, "");
	}
}

/* ---- FORMAT NVM ---- */

/* The format (1), its metadata in the blocks, its protection: all as they were. */
TEST(format_keeps_everything_but_the_data)
{
	static const struct {
		enum pl_erase how;
		uint32_t dword;
		unsigned timeout;
	} rows[] = {
		{ PL_ERASE_NVME_FORMAT, 0x00000331, 24 * 60 * 60 * 1000 },
		{ PL_ERASE_NVME_FORMAT_CRYPTO, 0x00000531, 60 * 60 * 1000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake *f = erasing();
		uint8_t id[4096];

		make_namespace(id);
		is_namespace(f, NAMESPACE);
		identifies_namespace(f, id);
		want_nvme(f, 0x80, NAMESPACE, rows[i].dword, 0);
		want_timeout(f, rows[i].timeout);
		identifies_namespace(f, id);
		EXPECT_OK(pl_nvme_erase(f->transport, rows[i].how, &nobody, &err));
		finish(f);
	}
}

/* NVM Express 2.0 has up to 64 formats: the upper bits of the index are apart from the lower. */
TEST(format_beyond_the_sixteenth)
{
	struct fake *f = erasing();
	uint8_t id[4096];

	make_namespace(id);
	id[26] = 0x45; /* 37 */
	id[29] = 0;
	id[128 + 4 * 37 + 2] = 12;
	is_namespace(f, NAMESPACE);
	identifies_namespace(f, id);
	want_nvme(f, 0x80, NAMESPACE, 0x00002205, 0);
	identifies_namespace(f, id);
	EXPECT_OK(pl_nvme_erase(f->transport, PL_ERASE_NVME_FORMAT, &nobody, &err));
	finish(f);
}

static void
format_fails(int status, int code, const char *message)
{
	struct fake *f = erasing();
	uint8_t id[4096];

	make_namespace(id);
	is_namespace(f, NAMESPACE);
	identifies_namespace(f, id);
	want_nvme(f, 0x80, NAMESPACE, 0x00000331, 0);
	gives_result(f, status);
	expect_error(pl_nvme_erase(f->transport, PL_ERASE_NVME_FORMAT, &nobody, &err), code,
		     message, "");
	finish(f);
}

TEST(failures_of_format)
{
	format_fails(0x4001, -ENOTSUP, "FORMAT NVM: the drive does not know it (status 001h)");
	format_fails(0x4002, -ENOTSUP, "does not take it this way");
	format_fails(0x4286, -EACCES, "locked");
	format_fails(0x4015, -EACCES, "locked");
	format_fails(0x0006, -EIO, "the drive failed (status 006h)");
	format_fails(0x4020, -EIO, "write-protected");
	format_fails(-EINTR, -ETIMEDOUT, "FORMAT NVM: no answer from the drive");
}

TEST(format_that_changes_the_size_is_noticed)
{
	struct fake *f = erasing();
	uint8_t id[4096];

	make_namespace(id);
	is_namespace(f, NAMESPACE);
	identifies_namespace(f, id);
	want_nvme(f, 0x80, NAMESPACE, 0x00000331, 0);
	put_le64(id, 1000);
	identifies_namespace(f, id);
	expect_error(pl_nvme_erase(f->transport, PL_ERASE_NVME_FORMAT, &nobody, &err), -EIO,
		     "has 1000", "");
	finish(f);
}

/* ---- SANITIZE ---- */

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
		uint32_t dword;
		uint16_t done;
	} rows[] = {
		{ PL_ERASE_NVME_SANITIZE_BLOCK, 0x0a, 1 },
		{ PL_ERASE_NVME_SANITIZE_CRYPTO, 0x0c, 4 },
		{ PL_ERASE_NVME_SANITIZE_OVERWRITE, 0x1b, 0x101 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fake *f = erasing();
		struct seen seen = { 0 };
		struct pl_watch watch = { count, &seen };

		want_nvme(f, 0x84, 0, rows[i].dword, 0);
		for (unsigned progress = 0; progress < 0x10000; progress += 0x4000)
			tells_sanitize(f, (uint16_t)progress, 2, rows[i].dword);
		tells_sanitize(f, 0xffff, rows[i].done, rows[i].dword);
		EXPECT_OK(pl_nvme_erase(f->transport, rows[i].how, &watch, &err));
		EXPECT_EQ(seen.nr, 4);
		EXPECT(seen.last > 0.74 && seen.last < 0.76);
		finish(f);
	}
}

TEST(sanitize_that_fails_says_so_and_leaves_failure_mode)
{
	struct fake *f = erasing();

	want_nvme(f, 0x84, 0, 0x0a, 0);
	tells_sanitize(f, 0x2000, 2, 0x0a);
	tells_sanitize(f, 0x2000, 3, 0x0a);
	want_nvme(f, 0x84, 0, 0x01, 0);
	expect_error(pl_nvme_erase(f->transport, PL_ERASE_NVME_SANITIZE_BLOCK, &nobody, &err), -EIO,
		     "began, and then failed", "may still be there");
	finish(f);
}

TEST(sanitize_that_is_not_what_was_asked_for)
{
	struct fake *f = erasing();

	want_nvme(f, 0x84, 0, 0x0c, 0);
	tells_sanitize(f, 0xffff, 1, 0x0a);
	expect_error(pl_nvme_erase(f->transport, PL_ERASE_NVME_SANITIZE_CRYPTO, &nobody, &err),
		     -EIO, "another operation (0xa, not 0xc)", "");
	finish(f);
	f = erasing();
	want_nvme(f, 0x84, 0, 0x0c, 0);
	tells_sanitize(f, 0xffff, 0, 0);
	expect_error(pl_nvme_erase(f->transport, PL_ERASE_NVME_SANITIZE_CRYPTO, &nobody, &err),
		     -EIO, "did nothing", "");
	finish(f);
	f = erasing();
	want_nvme(f, 0x84, 0, 0x0c, 0);
	gives_result(f, 0x4001);
	expect_error(pl_nvme_erase(f->transport, PL_ERASE_NVME_SANITIZE_CRYPTO, &nobody, &err),
		     -ENOTSUP, "SANITIZE: the drive does not know it", "");
	finish(f);
}

TEST(ways_that_a_controller_does_not_claim_are_not_tried)
{
	struct fake *f = fresh();
	uint8_t id[4096];

	make_controller(id);
	id[524] = 0;
	put_le32(id + 328, 0x00000004);
	identifies_controller(f, id);
	expect_error(pl_nvme_erase(f->transport, PL_ERASE_NVME_FORMAT_CRYPTO, &nobody, &err),
		     -ENOTSUP, "does not have NVMe FORMAT NVM, cryptographic erase", "");
	identifies_controller(f, id);
	expect_error(pl_nvme_erase(f->transport, PL_ERASE_NVME_SANITIZE_BLOCK, &nobody, &err),
		     -ENOTSUP, "does not have NVMe SANITIZE, block erase", "");
	finish(f);
}
