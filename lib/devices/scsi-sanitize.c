/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * scsi-sanitize.c - SANITIZE of SCSI disks
 *
 * SBC-4, 5.31.  REPORT SUPPORTED OPERATION CODES (SPC-5, 6.37) tells which kinds of it there are.
 * With IMMED it answers at once; from then on REQUEST SENSE answers NOT READY, 04h/1Bh, and how
 * far it is, until it is done.  A drive that failed answers 31h/03h to every command.
 */
#include "scsi.h"

enum {
	TEST_UNIT_READY = 0x00,
	REQUEST_SENSE = 0x03,
	SANITIZE = 0x48,
	MAINTENANCE_IN = 0xa3,
	REPORT_OPERATIONS = 0x0c, /* a service action of it */
	ONE_SERVICE_ACTION = 2,   /* what is reported on */

	SANITIZE_OVERWRITE = 0x01, /* service actions of SANITIZE */
	SANITIZE_BLOCK = 0x02,
	SANITIZE_CRYPTO = 0x03,
	SANITIZE_EXIT_FAILURE = 0x1f,
	SANITIZE_IMMEDIATE = 0x80,
	SANITIZE_UNRESTRICTED = 0x20, /* AUSE: after a failure the drive can be used again */

	SHORT_TIMEOUT = 20 * PL_SECOND,
	SANITIZE_TIMEOUT = 2 * PL_MINUTE, /* to begin with it */
	STANDSTILL = 4 * 60 * PL_MINUTE,
	STANDSTILL_OVERWRITE = 72 * 60 * PL_MINUTE,
};

static const struct {
	enum pl_erase how;
	uint8_t action;
} ways[] = {
	{ PL_ERASE_SCSI_SANITIZE_OVERWRITE, SANITIZE_OVERWRITE },
	{ PL_ERASE_SCSI_SANITIZE_BLOCK, SANITIZE_BLOCK },
	{ PL_ERASE_SCSI_SANITIZE_CRYPTO, SANITIZE_CRYPTO },
};

static int
has_operation(struct pl_transport *t, uint8_t opcode, uint8_t action, bool *ret,
	      struct platter_error *err)
{
	uint8_t data[20] = { 0 };
	struct pl_scsi_command c = {
		.cdb = { MAINTENANCE_IN, REPORT_OPERATIONS, ONE_SERVICE_ACTION, opcode, 0,
			 action, [9] = sizeof data },
		.cdb_length = 12,
		.direction = PL_DATA_IN,
		.data = data,
		.length = sizeof data,
		.timeout = SHORT_TIMEOUT,
	};
	struct pl_scsi_reply reply;
	int r = pl_scsi_run(t, &c, "REPORT SUPPORTED OPERATION CODES", &reply, err);

	/* SUPPORT: 3, as the standard has it. */
	*ret = r == 0 && reply.got >= 4 && (data[1] & 7) == 3;
	return r;
}

int
pl_scsi_sanitize_ways(struct pl_transport *t, unsigned *ret, struct platter_error *err)
{
	*ret = 0;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		bool has;
		int r = has_operation(t, SANITIZE, ways[i].action, &has, err);

		if (r < 0)
			return r;
		*ret |= has ? ways[i].how : 0;
	}
	return 0;
}

static bool
is_sanitizing(const struct pl_sense *s)
{
	return s->valid && s->key == PL_SENSE_NOT_READY && s->asc == 0x04 && s->ascq == 0x1b;
}

static bool
has_failed(const struct pl_sense *s)
{
	return s->valid && s->key == PL_SENSE_MEDIUM_ERROR && s->asc == 0x31 && s->ascq == 0x03;
}

static int
request_sense(struct pl_transport *t, struct pl_sense *ret, struct platter_error *err)
{
	uint8_t data[PL_SENSE_SIZE] = { 0 };
	struct pl_scsi_command c = {
		.cdb = { REQUEST_SENSE, 0, 0, 0, sizeof data },
		.cdb_length = 6,
		.direction = PL_DATA_IN,
		.data = data,
		.length = sizeof data,
		.timeout = SHORT_TIMEOUT,
	};
	struct pl_scsi_reply reply;
	int r = pl_scsi_run(t, &c, "REQUEST SENSE", &reply, err);

	if (r == 0)
		pl_sense_decode(data, reply.got, ret);
	return r;
}

int
pl_scsi_sanitize_status(struct pl_transport *t, bool *ret_running, double *ret_fraction,
			struct platter_error *err)
{
	struct pl_sense sense;
	int r = request_sense(t, &sense, err);

	if (r < 0)
		return r;
	*ret_running = is_sanitizing(&sense);
	*ret_fraction = sense.has_progress ? sense.progress / 65536.0 : -1;
	return 0;
}

static int
leave_failure_mode(struct pl_transport *t)
{
	struct pl_scsi_command c = {
		.cdb = { SANITIZE, SANITIZE_EXIT_FAILURE },
		.cdb_length = 10,
		.timeout = SANITIZE_TIMEOUT,
	};
	struct pl_scsi_reply reply;

	return pl_scsi_run(t, &c, "SANITIZE", &reply, NULL);
}

/* REQUEST SENSE has nothing more to say of it: did it end well?  *ret_running: not yet. */
static int
expect_done(struct pl_transport *t, bool *ret_running, struct platter_error *err)
{
	struct pl_scsi_command c = { .cdb = { TEST_UNIT_READY },
				     .cdb_length = 6,
				     .timeout = SHORT_TIMEOUT };
	struct pl_scsi_reply reply;
	int r = pl_scsi_send(t, &c, "TEST UNIT READY", &reply, err);

	if (r < 0)
		return r;
	*ret_running = is_sanitizing(&reply.sense);
	if (*ret_running || !has_failed(&reply.sense))
		return *ret_running ? 0 : pl_scsi_result(&reply, "SANITIZE", err);
	leave_failure_mode(t);
	r = pl_fail(err, -EIO, "SANITIZE: the drive began, and then failed");
	pl_hint(err, "what was stored may still be there: erase it in another way, or destroy the "
		     "drive");
	return r;
}

static int
wait_until_done(struct pl_transport *t, uint64_t patience, const struct pl_watch *watch,
		struct platter_error *err)
{
	struct pl_wait wait;
	bool running;
	double fraction;

	pl_wait_begin(&wait, t, watch, patience);
	for (;;) {
		int r = pl_scsi_sanitize_status(t, &running, &fraction, err);

		if (r == 0 && !running)
			r = expect_done(t, &running, err);
		if (r < 0 || !running)
			return r;
		r = pl_wait_more(&wait, t, fraction, err);
		if (r < 0)
			return r;
	}
}

int
pl_scsi_erase(struct pl_transport *t, enum pl_erase how, const struct pl_watch *watch,
	      struct platter_error *err)
{
	/* Once, with zeros: a count, and a pattern of 4 bytes and its length. */
	uint8_t pattern[8] = { 0x01, 0, 0, 4 };
	struct pl_scsi_command c = {
		.cdb = { SANITIZE, SANITIZE_IMMEDIATE | SANITIZE_UNRESTRICTED },
		.cdb_length = 10,
		.timeout = SANITIZE_TIMEOUT,
	};
	struct pl_scsi_reply reply;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (ways[i].how == how)
			c.cdb[1] |= ways[i].action;
	if (how == PL_ERASE_SCSI_SANITIZE_OVERWRITE) {
		c.cdb[8] = sizeof pattern;
		c.direction = PL_DATA_OUT;
		c.data = pattern;
		c.length = sizeof pattern;
	}
	r = pl_scsi_run(t, &c, "SANITIZE", &reply, err);
	if (r == -ENOMEDIUM)
		return pl_fail(err, -EIO, "SANITIZE: the drive is not ready");
	if (r < 0)
		return r;
	return wait_until_done(t,
			       how == PL_ERASE_SCSI_SANITIZE_OVERWRITE ? STANDSTILL_OVERWRITE
								       : STANDSTILL,
			       watch, err);
}
