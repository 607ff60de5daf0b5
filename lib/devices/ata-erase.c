/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ata-erase.c - SECURITY ERASE UNIT and SANITIZE DEVICE
 *
 * A drive erases itself by the security feature set (ACS-4, 4.18) only while a password is set.
 * One is set, SECURITY ERASE PREPARE and SECURITY ERASE UNIT follow one another, and the drive
 * forgets the password when it is done.  If anything fails on the way the password is taken off again;
 * where that fails too, its owner must be told of it, or could never use the drive again.
 *
 *	SECURITY SET PASSWORD      0 2 bytes: 0 user, level high    2 32 password
 *	SECURITY ERASE UNIT        0 2 bytes: enhanced (1), user    2 32 password
 *	SECURITY DISABLE PASSWORD  0 2 bytes: 0 user                2 32 password
 *
 * SANITIZE DEVICE (ACS-4, 7.36) answers at once and goes on by itself, through switching off and
 * on.  FEATURES says what is to be done, and LBA is a word that it is meant.  SANITIZE STATUS EXT
 * answers in COUNT: done without error (15), running (14), frozen (13), and in LBA (15:0) how much
 * of 65536 is done.
 */
#include "ata.h"

enum {
	SECURITY_SET_PASSWORD = 0xf1,
	SECURITY_ERASE_PREPARE = 0xf3,
	SECURITY_ERASE_UNIT = 0xf4,
	SECURITY_DISABLE_PASSWORD = 0xf6,
	ERASE_ENHANCED = 1 << 1,
	PASSWORD_AT = 2,

	SECURITY_TIMEOUT = 30 * PL_SECOND,
	ERASE_UNKNOWN_MINUTES = 24 * 60,
	ERASE_MOST_MINUTES = 48 * 60,
	ERASE_OVER_508 = 510, /* "more than 508 minutes" */

	SANITIZE_DEVICE = 0xb4,
	SANITIZE_STATUS = 0x0000, /* in FEATURES */
	SANITIZE_CRYPTO = 0x0011,
	SANITIZE_BLOCK = 0x0012,
	SANITIZE_OVERWRITE = 0x0014,
	SANITIZE_CLEAR_FAILED = 1 << 0, /* in COUNT */
	SANITIZE_ONE_PASS = 1,
	SANITIZE_UNRESTRICTED = 1 << 4, /* after a failure the drive can be used again */
	SANITIZE_IS_DONE = 1 << 15,
	SANITIZE_IS_RUNNING = 1 << 14,
	SANITIZE_IS_FROZEN = 1 << 13,

	SANITIZE_TIMEOUT = 1 * PL_MINUTE, /* to begin with it, or to tell of it */
	STANDSTILL = 4 * 60 * PL_MINUTE,
	STANDSTILL_OVERWRITE = 72 * 60 * PL_MINUTE,
};

#define PASSWORD "platter"

/* ---- the security feature set ---- */

static void
password_block(uint8_t block[static PL_ATA_BLOCK], uint16_t control)
{
	memset(block, 0, PL_ATA_BLOCK);
	put_le16(block, control);
	memcpy(block + PASSWORD_AT, PASSWORD, strlen(PASSWORD));
}

static int
send_password(struct pl_transport *t, uint8_t command, const char *name, struct platter_error *err)
{
	uint8_t block[PL_ATA_BLOCK];
	struct pl_ata_reply reply;

	password_block(block, 0);
	return pl_ata_run(t,
			  &(struct pl_ata_command){ .command = command,
						    .count = 1,
						    .direction = PL_DATA_OUT,
						    .data = block,
						    .length = sizeof block,
						    .timeout = SECURITY_TIMEOUT },
			  name, &reply, err);
}

static void
hint_password(struct platter_error *err)
{
	pl_hint(err,
		"the drive may be locked; its password is \"" PASSWORD "\": switch its power off "
		"and on, then 'hdparm --security-unlock " PASSWORD " DEVICE' and 'hdparm "
		"--security-disable " PASSWORD " DEVICE'");
}

/* After a failure: leave no password behind.  What `err` says stays. */
static void
take_password_off(struct pl_transport *t, struct platter_error *err)
{
	struct pl_ata_identity id;
	int r = send_password(t, SECURITY_DISABLE_PASSWORD, "SECURITY DISABLE PASSWORD", NULL);

	if (r == 0)
		r = pl_ata_identify(t, &id, NULL);
	if (r < 0 || id.enabled)
		hint_password(err);
	else
		pl_hint(err, "the password that was set for this was taken off again");
}

static int
may_erase(const struct pl_ata_identity *id, bool enhanced, struct platter_error *err)
{
	int r;

	if (!id->security || (enhanced && !id->enhanced))
		return pl_fail(err, -ENOTSUP, "the drive does not have %s",
			       pl_erase_name(enhanced ? PL_ERASE_ATA_SECURITY_ENHANCED
						      : PL_ERASE_ATA_SECURITY));
	if (id->locked) {
		r = pl_fail(err, -EACCES, "the drive is locked by a password");
		pl_hint(err,
			"unlock it with 'hdparm --security-unlock PASSWORD DEVICE'; if platter "
			"was interrupted, the password is \"" PASSWORD "\"");
	} else if (id->frozen) {
		r = pl_fail(err, -EACCES, "the drive is frozen until it is switched off");
		pl_hint(err,
			"suspend the computer and wake it, or take the drive's power away for a "
			"moment while it runs");
	} else if (id->enabled) {
		r = pl_fail(err, -EACCES, "the drive has a password");
		pl_hint(err,
			"take it off with 'hdparm --security-disable PASSWORD DEVICE'; if platter "
			"was interrupted, the password is \"" PASSWORD "\"");
	} else {
		return 0;
	}
	return r;
}

/* Twice what it estimates and an hour: the time-out resets the drive in the middle of it. */
static unsigned
erase_timeout(unsigned minutes)
{
	if (minutes == 0)
		return ERASE_UNKNOWN_MINUTES * PL_MINUTE;
	if (minutes == ERASE_OVER_508)
		return ERASE_MOST_MINUTES * PL_MINUTE;
	return PL_MIN(2 * minutes + 60, 7 * ERASE_UNKNOWN_MINUTES) * (unsigned)PL_MINUTE;
}

static int
erase_unit(struct pl_transport *t, bool enhanced, unsigned timeout, const struct pl_watch *watch,
	   struct platter_error *err)
{
	uint8_t block[PL_ATA_BLOCK];
	struct pl_ata_reply reply;
	int r;

	r = pl_ata_run(t,
		       &(struct pl_ata_command){ .command = SECURITY_ERASE_PREPARE,
						 .timeout = SECURITY_TIMEOUT },
		       "SECURITY ERASE PREPARE", &reply, err);
	if (r < 0)
		return r;
	password_block(block, enhanced ? ERASE_ENHANCED : 0);
	r = pl_transport_ata_watched(t,
				     &(struct pl_ata_command){ .command = SECURITY_ERASE_UNIT,
							       .count = 1,
							       .direction = PL_DATA_OUT,
							       .data = block,
							       .length = sizeof block,
							       .timeout = timeout },
				     watch, &reply, err);
	if (r < 0) {
		pl_context(err, "SECURITY ERASE UNIT");
		return r;
	}
	return reply.failed ? pl_fail(err, -EIO,
				      "SECURITY ERASE UNIT: the drive failed (status %02xh, error "
				      "%02xh)",
				      reply.status, reply.error)
			    : 0;
}

/* Whatever comes of the command, IDENTIFY knows whether there is a password now: *ret_has. */
static int
set_password(struct pl_transport *t, bool *ret_has, struct platter_error *err)
{
	struct pl_ata_identity id;
	int r = send_password(t, SECURITY_SET_PASSWORD, "SECURITY SET PASSWORD", err);
	int asked = pl_ata_identify(t, &id, r == 0 ? err : NULL);

	*ret_has = asked < 0 || id.enabled;
	if (r == 0 && asked < 0)
		return asked;
	if (r == 0 && !*ret_has)
		return pl_fail(err, -EIO,
			       "SECURITY SET PASSWORD: the drive took it, but has no password");
	return r;
}

static int
security_erase(struct pl_transport *t, bool enhanced, const struct pl_watch *watch,
	       struct platter_error *err)
{
	struct pl_ata_identity id;
	unsigned timeout;
	bool has;
	int r = pl_ata_identify(t, &id, err);

	if (r == 0)
		r = may_erase(&id, enhanced, err);
	if (r < 0)
		return r;
	timeout = erase_timeout(enhanced ? id.enhanced_minutes : id.erase_minutes);
	r = set_password(t, &has, err);
	if (r < 0 && !has)
		return r;
	if (r == 0)
		r = erase_unit(t, enhanced, timeout, watch, err);
	if (r == -ECANCELED) {
		pl_hint(err, "the drive goes on erasing itself; if its power is taken away, it is "
			     "locked "
			     "by the password \"" PASSWORD "\" until that is taken off");
		return r;
	}
	if (r == 0) {
		r = pl_ata_identify(t, &id, err);
		if (r == 0 && id.enabled)
			r = pl_fail(
				err, -EIO,
				"SECURITY ERASE UNIT: the drive says that it is done, but still "
				"has the password");
	}
	if (r < 0)
		take_password_off(t, err);
	return r;
}

/* ---- SANITIZE DEVICE ---- */

/* ACS-4, table 149: why it was aborted, in LBA (7:0). */
static const char *
sanitize_reason(const struct pl_ata_reply *reply)
{
	static const char *const reasons[] = {
		"the drive gives no reason", "it failed the last time",
		"it does not do this",       "it is frozen until it is switched off",
		"it must not be frozen",
	};
	size_t reason = reply->lba & 0xff;

	return reasons[reason < ARRAY_SIZE(reasons) ? reason : 0];
}

/* 0: the registers are there, and if it did not fail they are complete. */
static int
run_sanitize(struct pl_transport *t, const struct pl_ata_command *command, struct pl_ata_reply *ret,
	     struct platter_error *err)
{
	int r = pl_transport_ata(t, command, ret, err);

	if (r < 0) {
		pl_context(err, "SANITIZE DEVICE");
		return r;
	}
	if (!ret->known || (!ret->failed && !ret->upper_known))
		return pl_fail(err, -ENOTSUP,
			       "SANITIZE DEVICE: what is before the drive does not tell its state");
	return 0;
}

static struct pl_ata_command
sanitize_command(uint16_t feature, uint16_t count, uint64_t lba)
{
	return (struct pl_ata_command){ .command = SANITIZE_DEVICE,
					.features = feature,
					.count = count,
					.lba = lba,
					.extended = true,
					.timeout = SANITIZE_TIMEOUT };
}

static int
ask_status(struct pl_transport *t, uint16_t count, struct pl_ata_sanitize *ret,
	   struct platter_error *err)
{
	struct pl_ata_command command = sanitize_command(SANITIZE_STATUS, count, 0);
	struct pl_ata_reply reply;
	int r = run_sanitize(t, &command, &reply, err);

	if (r < 0)
		return r;
	*ret = (struct pl_ata_sanitize){
		.failed = reply.failed,
		.done = !reply.failed && reply.count & SANITIZE_IS_DONE,
		.running = !reply.failed && reply.count & SANITIZE_IS_RUNNING,
		.frozen = !reply.failed && reply.count & SANITIZE_IS_FROZEN,
		.fraction = (double)(reply.lba & 0xffff) / 65536,
	};
	return 0;
}

int
pl_ata_sanitize_status(struct pl_transport *t, struct pl_ata_sanitize *ret,
		       struct platter_error *err)
{
	return ask_status(t, 0, ret, err);
}

static int
sanitize_failed(struct pl_transport *t, struct platter_error *err)
{
	struct pl_ata_sanitize state;
	int r;

	ask_status(t, SANITIZE_CLEAR_FAILED, &state, NULL);
	r = pl_fail(err, -EIO, "SANITIZE DEVICE: the drive began, and then failed");
	pl_hint(err, "what was stored may still be there: erase it in another way, or destroy the "
		     "drive");
	return r;
}

static int
wait_until_done(struct pl_transport *t, uint64_t patience, const struct pl_watch *watch,
		struct platter_error *err)
{
	struct pl_ata_sanitize state;
	struct pl_wait wait;

	pl_wait_begin(&wait, t, watch, patience);
	for (;;) {
		int r = ask_status(t, 0, &state, err);

		if (r < 0)
			return r;
		if (state.failed)
			return sanitize_failed(t, err);
		if (!state.running)
			break;
		r = pl_wait_more(&wait, t, state.fraction, err);
		if (r < 0)
			return r;
	}
	return state.done ? 0
			  : pl_fail(err, -EIO,
				    "SANITIZE DEVICE: the drive took it, but does not say that it "
				    "was done");
}

static int
sanitize(struct pl_transport *t, const struct pl_ata_command *command, bool has, uint64_t patience,
	 const struct pl_watch *watch, struct platter_error *err)
{
	struct pl_ata_sanitize before;
	struct pl_ata_identity id;
	struct pl_ata_reply reply;
	int r;

	if (!has)
		return pl_fail(err, -ENOTSUP,
			       "the drive does not have this kind of SANITIZE DEVICE");
	r = ask_status(t, 0, &before, err);
	if (r < 0)
		return r;
	if (before.frozen)
		return pl_fail(err, -EACCES,
			       "SANITIZE DEVICE: frozen until the drive is switched off");
	if (before.running)
		return pl_fail(err, -EIO, "SANITIZE DEVICE: the drive is at it already");
	r = run_sanitize(t, command, &reply, err);
	if (r < 0)
		return r;
	if (reply.failed)
		return pl_fail(
			err, -EIO,
			"SANITIZE DEVICE: the drive refused it: %s (status %02xh, error %02xh)",
			sanitize_reason(&reply), reply.status, reply.error);
	r = wait_until_done(t, patience, watch, err);
	return r < 0 ? r : pl_ata_identify(t, &id, err);
}

int
pl_ata_erase(struct pl_transport *t, enum pl_erase how, const struct pl_watch *watch,
	     struct platter_error *err)
{
	/* The words that it is meant are of ACS-4, 7.36.2 to 7.36.4. */
	const struct pl_ata_command crypto = sanitize_command(SANITIZE_CRYPTO,
							      SANITIZE_UNRESTRICTED, 0x43727970),
				    block = sanitize_command(SANITIZE_BLOCK, SANITIZE_UNRESTRICTED,
							     0x426b4572),
				    overwrite = sanitize_command(SANITIZE_OVERWRITE,
								 SANITIZE_UNRESTRICTED |
									 SANITIZE_ONE_PASS,
								 UINT64_C(0x4f57) << 32);
	struct pl_ata_identity id;
	int r;

	if (how == PL_ERASE_ATA_SECURITY || how == PL_ERASE_ATA_SECURITY_ENHANCED)
		return security_erase(t, how == PL_ERASE_ATA_SECURITY_ENHANCED, watch, err);
	r = pl_ata_identify(t, &id, err);
	if (r < 0)
		return r;
	if (how == PL_ERASE_ATA_SANITIZE_CRYPTO)
		return sanitize(t, &crypto, id.sanitize_crypto, STANDSTILL, watch, err);
	if (how == PL_ERASE_ATA_SANITIZE_BLOCK)
		return sanitize(t, &block, id.sanitize_block, STANDSTILL, watch, err);
	return sanitize(t, &overwrite, id.sanitize_overwrite, STANDSTILL_OVERWRITE, watch, err);
}
