/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * nvme.c - NVMe namespaces and their controller
 *
 * NVM Express 1.4.  Integers are little-endian.
 *
 *	IDENTIFY controller (5.15.2.2)            SMART / health log, 02h (5.14.1.2)
 *	  4 20  serial number                       0  1  critical warnings
 *	 24 40  model number                        1  2  temperature, in Kelvin
 *	 64  8  firmware revision                   5  1  percentage used
 *	256  2  OACS: FORMAT NVM (1)              128 16  power on hours
 *	328  4  SANICAP: overwrite (2),           160 16  media errors
 *	        block (1), crypto erase (0)
 *	516  4  NN: namespaces                    sanitize status log, 81h (5.14.1.16.2)
 *	520  2  ONCS: DATASET MANAGEMENT (2)        0  2  progress, in parts of 65536
 *	524  1  FNA: crypto erase (2), erasing      2  2  status (2:0)
 *	        (1) and formatting (0) are of       4  4  the command's dword 10
 *	        all namespaces
 *
 *	IDENTIFY namespace (5.15.2.1)
 *	  0  8  size in blocks                     26  1  format: index (3:0, 6:5), metadata (4)
 *	 29  1  protection: at the start (3), type (2:0)
 *	128  4  formats, of each: metadata bytes (15:0), log2 of a block's bytes (23:16)
 */
#include "nvme.h"

#include "health.h"

enum {
	GET_LOG_PAGE = 0x02,
	IDENTIFY = 0x06,
	FORMAT_NVM = 0x80,
	SANITIZE = 0x84,

	IDENTIFY_SIZE = 4096,
	IDENTIFY_NAMESPACE = 0x00,
	IDENTIFY_CONTROLLER = 0x01,
	IDENTIFY_ACTIVE = 0x02, /* numbers of the namespaces that there are */

	ID_SERIAL = 4,
	ID_MODEL = 24,
	ID_FIRMWARE = 64,
	ID_OACS = 256,
	ID_SANICAP = 328,
	ID_NN = 516,
	ID_ONCS = 520,
	ID_FNA = 524,
	OACS_FORMAT = 1 << 1,
	SANICAP_CRYPTO = 1 << 0,
	SANICAP_BLOCK = 1 << 1,
	SANICAP_OVERWRITE = 1 << 2,
	ONCS_DSM = 1 << 2,
	FNA_ALL = 3 << 0,
	FNA_CRYPTO = 1 << 2,

	NS_SIZE = 0,
	NS_FORMAT = 26,
	NS_PROTECTION = 29,
	NS_FORMATS = 128,

	LOG_SMART = 0x02,
	LOG_SANITIZE = 0x81,
	LOG_SIZE = 512,
	ALL_NAMESPACES = -1,

	WARNING_SPARE = 1 << 0,
	WARNING_TEMPERATURE = 1 << 1,
	WARNING_RELIABILITY = 1 << 2,
	WARNING_READ_ONLY = 1 << 3,
	WARNING_BACKUP = 1 << 4,

	SANITIZE_EXIT_FAILURE = 1, /* SANACT */
	SANITIZE_BLOCK = 2,
	SANITIZE_OVERWRITE = 3,
	SANITIZE_CRYPTO = 4,
	SANITIZE_UNRESTRICTED = 1 << 3, /* AUSE: after a failure the drive can be used again */
	SANITIZE_ONE_PASS = 1 << 4,     /* OWPASS */

	SANITIZE_DONE = 1, /* SSTAT */
	SANITIZE_RUNNING = 2,
	SANITIZE_FAILED = 3,
	SANITIZE_DONE_DEALLOCATED = 4,

	STATUS_TYPE_AND_CODE = 0x7ff,
	STATUS_INVALID_OPCODE = 0x001,
	STATUS_INVALID_FIELD = 0x002,
	STATUS_OPERATION_DENIED = 0x015,
	STATUS_ACCESS_DENIED = 0x286,

	SHORT_TIMEOUT = 20 * PL_SECOND,
	SANITIZE_TIMEOUT = 2 * PL_MINUTE, /* to begin with it */
	FORMAT_CRYPTO_TIMEOUT = 60 * PL_MINUTE,
	FORMAT_TIMEOUT = 24 * 60 * PL_MINUTE,
	STANDSTILL = 4 * 60 * PL_MINUTE,
	STANDSTILL_OVERWRITE = 72 * 60 * PL_MINUTE,
};

/* ---- commands ---- */

static int
result(uint16_t status, const char *name, struct platter_error *err)
{
	static const struct {
		uint16_t status;
		const char *text;
	} texts[] = {
		{ STATUS_INVALID_OPCODE, "the drive does not know it" },
		{ STATUS_INVALID_FIELD, "the drive does not take it this way" },
		{ 0x00b, "the namespace or its format is not valid" },
		{ STATUS_OPERATION_DENIED, "the drive is locked" },
		{ 0x01c, "the drive failed to sanitize itself before" },
		{ 0x01d, "the drive is sanitizing itself" },
		{ 0x020, "the namespace is write-protected" },
		{ 0x084, "the drive is formatting itself" },
		{ 0x10a, "the drive does not have this format" },
		{ STATUS_ACCESS_DENIED, "the drive is locked" },
	};
	const char *text = "the drive failed";
	int code = -EIO;

	status &= STATUS_TYPE_AND_CODE;
	if (status == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].status == status)
			text = texts[i].text;
	if (status == STATUS_INVALID_OPCODE || status == STATUS_INVALID_FIELD)
		code = -ENOTSUP;
	else if (status == STATUS_OPERATION_DENIED || status == STATUS_ACCESS_DENIED)
		code = -EACCES;
	return pl_fail(err, code, "%s: %s (status %03xh)", name, text, status);
}

static int
run(struct pl_transport *t, const struct pl_nvme_command *command, const char *name,
    struct platter_error *err)
{
	uint16_t status;
	int r = pl_transport_nvme(t, command, &status, err);

	if (r < 0) {
		pl_context(err, "%s", name);
		return r;
	}
	return result(status, name, err);
}

/* True: the drive does not have it, or will not tell; not so if it is gone or hangs. */
static bool
declined(int r)
{
	return r == -EIO || r == -ENOTSUP || r == -EACCES;
}

static int
identify(struct pl_transport *t, uint32_t what, uint32_t nsid, uint8_t ret[static IDENTIFY_SIZE],
	 struct platter_error *err)
{
	memset(ret, 0, IDENTIFY_SIZE);
	return run(t,
		   &(struct pl_nvme_command){ .opcode = IDENTIFY,
					      .nsid = nsid,
					      .cdw10 = what,
					      .data = ret,
					      .length = IDENTIFY_SIZE,
					      .timeout = SHORT_TIMEOUT },
		   "IDENTIFY", err);
}

static int
get_log(struct pl_transport *t, uint8_t page, uint8_t ret[static LOG_SIZE],
	struct platter_error *err)
{
	memset(ret, 0, LOG_SIZE);
	return run(t,
		   &(struct pl_nvme_command){ .opcode = GET_LOG_PAGE,
					      .nsid = (uint32_t)ALL_NAMESPACES,
					      .cdw10 = page | (LOG_SIZE / 4 - 1u) << 16,
					      .data = ret,
					      .length = LOG_SIZE,
					      .timeout = SHORT_TIMEOUT },
		   "GET LOG PAGE", err);
}

/* ---- what IDENTIFY tells ---- */

struct controller {
	char model[64], serial[64], firmware[16];
	bool format, format_crypto, format_of_all, trim;
	bool sanitize_block, sanitize_crypto, sanitize_overwrite;
	uint32_t nr_namespaces; /* that there may be */
};

struct namespace
{
	uint64_t nr_blocks;
	uint32_t block_size;
	uint8_t format, protection; /* as they stand in the data */
};

static void
decode_controller(const uint8_t *data, struct controller *ret)
{
	uint32_t sanicap = get_le32(data + ID_SANICAP);
	uint8_t fna = data[ID_FNA];

	*ret = (struct controller){
		.format = get_le16(data + ID_OACS) & OACS_FORMAT,
		.format_crypto = fna & FNA_CRYPTO,
		.format_of_all = fna & FNA_ALL,
		.trim = get_le16(data + ID_ONCS) & ONCS_DSM,
		.sanitize_block = sanicap & SANICAP_BLOCK,
		.sanitize_crypto = sanicap & SANICAP_CRYPTO,
		.sanitize_overwrite = sanicap & SANICAP_OVERWRITE,
		.nr_namespaces = get_le32(data + ID_NN),
	};
	pl_identity_text(ret->serial, sizeof ret->serial, data + ID_SERIAL, 20);
	pl_identity_text(ret->model, sizeof ret->model, data + ID_MODEL, 40);
	pl_identity_text(ret->firmware, sizeof ret->firmware, data + ID_FIRMWARE, 8);
}

static unsigned
format_index(const struct namespace *ns)
{
	return (ns->format & 0x0f) | (unsigned)(ns->format >> 1 & 0x30);
}

static int
decode_namespace(const uint8_t *data, struct namespace *ret, struct platter_error *err)
{
	uint64_t bytes;
	unsigned log2;

	*ret = (struct namespace){
		.nr_blocks = get_le64(data + NS_SIZE),
		.format = data[NS_FORMAT],
		.protection = data[NS_PROTECTION],
	};
	log2 = data[NS_FORMATS + 4 * (size_t)format_index(ret) + 2];
	if (log2 < 9 || log2 > 16)
		return pl_fail(err, -EIO, "IDENTIFY: blocks of 2^%u bytes", log2);
	ret->block_size = 1u << log2;
	if (__builtin_mul_overflow(ret->nr_blocks, ret->block_size, &bytes))
		return pl_fail(err, -EIO, "IDENTIFY: %" PRIu64 " blocks", ret->nr_blocks);
	return 0;
}

static int
read_controller(struct pl_transport *t, struct controller *ret, struct platter_error *err)
{
	uint8_t data[IDENTIFY_SIZE];
	int r = identify(t, IDENTIFY_CONTROLLER, 0, data, err);

	if (r == 0)
		decode_controller(data, ret);
	return r;
}

static int
own_number(struct pl_transport *t, uint32_t *ret, struct platter_error *err)
{
	int r = pl_transport_nvme_namespace(t);

	if (r < 0)
		return pl_fail(err, -ENODEV, "the device is gone");
	*ret = (uint32_t)r;
	return 0;
}

static int
read_namespace(struct pl_transport *t, struct namespace *ret, struct platter_error *err)
{
	uint8_t data[IDENTIFY_SIZE];
	uint32_t nsid;
	int r = own_number(t, &nsid, err);

	if (r == 0)
		r = identify(t, IDENTIFY_NAMESPACE, nsid, data, err);
	return r < 0 ? r : decode_namespace(data, ret, err);
}

/* Those that there are; those that there may be, where the drive does not list them. */
static int
count_namespaces(struct pl_transport *t, const struct controller *c, unsigned *ret,
		 struct platter_error *err)
{
	uint8_t list[IDENTIFY_SIZE];
	int r = identify(t, IDENTIFY_ACTIVE, 0, list, err);

	*ret = 0;
	if (r < 0 && !declined(r))
		return r;
	while (r == 0 && *ret < IDENTIFY_SIZE / 4 && get_le32(list + 4 * (size_t)*ret))
		++*ret;
	if (*ret == 0)
		*ret = PL_MAX(c->nr_namespaces, 1);
	return 0;
}

/* ---- health ---- */

/* Counters are of 128 bits. */
static uint64_t
counter(const uint8_t *p)
{
	return get_le64(p + 8) ? UINT64_MAX - 1 : get_le64(p);
}

static const char *
why_failing(uint8_t warnings)
{
	if (warnings & WARNING_READ_ONLY)
		return "the drive can only be read";
	if (warnings & WARNING_RELIABILITY)
		return "the drive says that it is no longer reliable";
	if (warnings & WARNING_SPARE)
		return "the drive has hardly any spare blocks left";
	return warnings & WARNING_BACKUP ? "the drive's memory is not backed up" : NULL;
}

static int
read_health(struct pl_transport *t, struct pl_hardware_info *info, struct platter_error *err)
{
	uint8_t log[LOG_SIZE];
	uint16_t kelvin;
	int r = get_log(t, LOG_SMART, log, err);

	if (r < 0)
		return declined(r) ? 0 : r;
	kelvin = get_le16(log + 1);
	if (kelvin > 0 && kelvin < 1000)
		info->temperature = kelvin - 273;
	info->percent_used = log[5];
	info->power_on_hours = counter(log + 128);
	info->uncorrectable = counter(log + 160);
	pl_health_judge(info, true, why_failing(log[0]),
			log[0] & WARNING_TEMPERATURE ? "the drive says that it is too hot" : NULL);
	return 0;
}

/* ---- the whole of it ---- */

static int
sanitize_running(struct pl_transport *t, const struct controller *c, bool *ret,
		 struct platter_error *err)
{
	uint8_t log[LOG_SIZE];
	int r = 0;

	*ret = false;
	if (c->sanitize_block || c->sanitize_crypto || c->sanitize_overwrite)
		r = get_log(t, LOG_SANITIZE, log, err);
	else
		return 0;
	if (r == 0)
		*ret = (get_le16(log + 2) & 7) == SANITIZE_RUNNING;
	return declined(r) ? 0 : r;
}

static unsigned
sanitize_ways(const struct controller *c)
{
	return (c->sanitize_block ? PL_ERASE_NVME_SANITIZE_BLOCK : 0) |
	       (c->sanitize_crypto ? PL_ERASE_NVME_SANITIZE_CRYPTO : 0) |
	       (c->sanitize_overwrite ? PL_ERASE_NVME_SANITIZE_OVERWRITE : 0);
}

static unsigned
format_ways(const struct controller *c)
{
	if (!c->format)
		return 0;
	return PL_ERASE_NVME_FORMAT | (c->format_crypto ? PL_ERASE_NVME_FORMAT_CRYPTO : 0);
}

static void
tell_controller(const struct controller *c, unsigned nr_namespaces, struct pl_hardware_info *ret)
{
	memcpy(ret->model, c->model, sizeof ret->model);
	memcpy(ret->serial, c->serial, sizeof ret->serial);
	memcpy(ret->firmware, c->firmware, sizeof ret->firmware);
	ret->encrypts = c->format_crypto || c->sanitize_crypto;
	ret->erases = sanitize_ways(c) | format_ways(c);
	if (nr_namespaces > 1)
		ret->erases_beyond = sanitize_ways(c) | (c->format_of_all ? format_ways(c) : 0);
}

int
pl_nvme_look(struct pl_transport *t, struct pl_hardware_info *ret, struct platter_error *err)
{
	struct controller c;
	struct namespace ns;
	unsigned nr_namespaces;
	bool running;
	int r = read_controller(t, &c, err);

	if (r == 0)
		r = read_namespace(t, &ns, err);
	if (r == 0)
		r = count_namespaces(t, &c, &nr_namespaces, err);
	if (r == 0)
		r = sanitize_running(t, &c, &running, err);
	if (r < 0)
		return r;
	tell_controller(&c, nr_namespaces, ret);
	ret->size = ns.nr_blocks * ns.block_size;
	ret->rotational_known = true;
	if (running) {
		ret->erases = ret->erases_beyond = 0;
		ret->erase_reason = "sanitizing";
	}
	ret->erases |= c.trim ? PL_ERASE_TRIM : 0;
	return read_health(t, ret, err);
}

/* ---- erasing ---- */

enum {
	ERASE_USER_DATA = 1, /* SES */
	ERASE_CRYPTO = 2,
};

/* FORMAT NVM, 5.23: dword 10 with everything but the erasing as it is. */
static uint32_t
format_dword(const struct namespace *ns, unsigned ses)
{
	unsigned index = format_index(ns);

	return (index & 0x0f) | (uint32_t)(ns->format >> 4 & 1) << 4 |
	       (uint32_t)(ns->protection & 7) << 5 | (uint32_t)(ns->protection >> 3 & 1) << 8 |
	       ses << 9 | (index >> 4) << 12;
}

static int
format(struct pl_transport *t, unsigned ses, const struct pl_watch *watch,
       struct platter_error *err)
{
	struct pl_nvme_command command = {
		.opcode = FORMAT_NVM,
		.timeout = ses == ERASE_CRYPTO ? FORMAT_CRYPTO_TIMEOUT : FORMAT_TIMEOUT,
	};
	struct namespace before, after;
	uint16_t status = 0;
	int r = own_number(t, &command.nsid, err);

	if (r == 0)
		r = read_namespace(t, &before, err);
	if (r < 0)
		return r;
	command.cdw10 = format_dword(&before, ses);
	r = pl_transport_nvme_watched(t, &command, watch, &status, err);
	if (r == 0)
		r = result(status, "FORMAT NVM", err);
	else
		pl_context(err, "FORMAT NVM");
	if (r == 0)
		r = read_namespace(t, &after, err);
	if (r == 0 && (after.nr_blocks != before.nr_blocks || after.format != before.format))
		r = pl_fail(err, -EIO,
			    "FORMAT NVM: the namespace had %" PRIu64 " blocks and has %" PRIu64,
			    before.nr_blocks, after.nr_blocks);
	return r;
}

static int
leave_failure_mode(struct pl_transport *t, struct platter_error *err)
{
	return run(t,
		   &(struct pl_nvme_command){ .opcode = SANITIZE,
					      .cdw10 = SANITIZE_EXIT_FAILURE,
					      .timeout = SANITIZE_TIMEOUT },
		   "SANITIZE", err);
}

/* *ret_fraction: 1 if it is done.  -EIO: it failed, or the log is of something else. */
static int
sanitize_progress(struct pl_transport *t, uint32_t dword, double *ret_fraction,
		  struct platter_error *err)
{
	uint8_t log[LOG_SIZE];
	int r = get_log(t, LOG_SANITIZE, log, err);

	if (r < 0)
		return r;
	switch (get_le16(log + 2) & 7) {
	case SANITIZE_RUNNING: *ret_fraction = PL_MIN(get_le16(log) / 65536.0, 0.9999); return 0;
	case SANITIZE_DONE:
	case SANITIZE_DONE_DEALLOCATED:
		if (get_le32(log + 4) != dword)
			return pl_fail(
				err, -EIO,
				"SANITIZE: the drive tells of another operation (%#x, not %#x)",
				get_le32(log + 4), dword);
		*ret_fraction = 1;
		return 0;
	case SANITIZE_FAILED:
		leave_failure_mode(t, NULL);
		r = pl_fail(err, -EIO, "SANITIZE: the drive began, and then failed");
		pl_hint(err,
			"what was stored may still be there: erase it in another way, or destroy "
			"the drive");
		return r;
	default: return pl_fail(err, -EIO, "SANITIZE: the drive took it, but did nothing");
	}
}

static int
sanitize(struct pl_transport *t, uint32_t dword, const struct pl_watch *watch,
	 struct platter_error *err)
{
	bool overwrite = (dword & 7) == SANITIZE_OVERWRITE;
	struct pl_wait wait;
	double fraction = 0;
	int r;

	r = run(t,
		&(struct pl_nvme_command){
			.opcode = SANITIZE, .cdw10 = dword, .timeout = SANITIZE_TIMEOUT },
		"SANITIZE", err);
	if (r < 0)
		return r;
	pl_wait_begin(&wait, t, watch, overwrite ? STANDSTILL_OVERWRITE : STANDSTILL);
	for (;;) {
		r = sanitize_progress(t, dword, &fraction, err);
		if (r < 0 || fraction >= 1)
			return r;
		r = pl_wait_more(&wait, t, fraction, err);
		if (r < 0)
			return r;
	}
}

/* Controllers may take, and not do, what they do not claim to have. */
static int
expect_way(struct pl_transport *t, enum pl_erase how, struct platter_error *err)
{
	struct controller c;
	int r = read_controller(t, &c, err);

	if (r < 0 || (format_ways(&c) | sanitize_ways(&c)) & how)
		return r;
	return pl_fail(err, -ENOTSUP, "the drive does not have %s", pl_erase_name(how));
}

int
pl_nvme_erase(struct pl_transport *t, enum pl_erase how, const struct pl_watch *watch,
	      struct platter_error *err)
{
	int r = expect_way(t, how, err);

	if (r < 0)
		return r;
	switch (how) {
	case PL_ERASE_NVME_FORMAT: return format(t, ERASE_USER_DATA, watch, err);
	case PL_ERASE_NVME_FORMAT_CRYPTO: return format(t, ERASE_CRYPTO, watch, err);
	case PL_ERASE_NVME_SANITIZE_BLOCK:
		return sanitize(t, SANITIZE_BLOCK | SANITIZE_UNRESTRICTED, watch, err);
	case PL_ERASE_NVME_SANITIZE_CRYPTO:
		return sanitize(t, SANITIZE_CRYPTO | SANITIZE_UNRESTRICTED, watch, err);
	default:
		return sanitize(t, SANITIZE_OVERWRITE | SANITIZE_UNRESTRICTED | SANITIZE_ONE_PASS,
				watch, err);
	}
}
