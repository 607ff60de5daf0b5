/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ata.c - ATA drives: IDENTIFY DEVICE, and what of it the others need
 *
 * ACS-4, 7.13.7.  256 words, little-endian; of those that are used:
 *
 *	word     bits
 *	10-19          serial number, two characters a word, the first one in the upper byte
 *	23-26          firmware revision, 27-46 model number
 *	59       15 BLOCK ERASE EXT, 14 OVERWRITE EXT, 13 CRYPTO SCRAMBLE EXT, 12 SANITIZE DEVICE
 *	60-61          sectors of 28-bit addresses, 100-103 of 48-bit ones, 230-233 of others
 *	69       4 encrypts all user data, 3 the number in 230-233 counts
 *	82       10 HPA, 1 security, 0 SMART;  85 the same, switched on
 *	83       11 DCO, 10 48-bit addresses
 *	84       5 logs; 14 set and 15 clear, as in 83, 106 and 119: the word is valid
 *	89, 90         minutes of SECURITY ERASE UNIT, normal and enhanced
 *	106      12 logical sectors are not of 512 bytes, but of the words in 117-118
 *	119      8 accessible max address configuration
 *	128      5 enhanced erase, 3 frozen, 2 locked, 1 enabled, 0 supported
 *	169      0 TRIM
 *	217            rotation rate
 *	255            A5h, and a checksum, or nothing
 */
#include "ata.h"

#include "health.h"

enum {
	IDENTIFY_DEVICE = 0xec,
	IDENTIFY_SIGNATURE = 0xa5,
	IDENTIFY_TIMEOUT = 20 * PL_SECOND, /* a disk that was asleep may spin up first */
};

/* ---- commands ---- */

int
pl_ata_run(struct pl_transport *t, const struct pl_ata_command *command, const char *name,
	   struct pl_ata_reply *ret, struct platter_error *err)
{
	int r = pl_transport_ata(t, command, ret, err);

	if (r < 0) {
		pl_context(err, "%s", name);
		return r;
	}
	if (!ret->failed)
		return 0;
	if (!ret->known)
		return pl_fail(err, -EIO, "%s: the drive refused it", name);
	return pl_fail(err, -EIO, "%s: the drive %s (status %02xh, error %02xh)", name,
		       ret->status & PL_ATA_STATUS_DF   ? "has a fault"
		       : ret->error & PL_ATA_ERROR_ABRT ? "refused it"
							: "failed",
		       ret->status, ret->error);
}

int
pl_ata_read_block(struct pl_transport *t, const struct pl_ata_command *command, const char *name,
		  uint8_t ret[static PL_ATA_BLOCK], struct platter_error *err)
{
	struct pl_ata_command c = *command;
	struct pl_ata_reply reply;
	int r;

	c.direction = PL_DATA_IN;
	c.data = ret;
	c.length = PL_ATA_BLOCK;
	memset(ret, 0, PL_ATA_BLOCK);
	r = pl_ata_run(t, &c, name, &reply, err);
	if (r < 0)
		return r;
	if (reply.got < PL_ATA_BLOCK)
		return pl_fail(err, -EIO, "%s: %u bytes came instead of %d", name, reply.got,
			       PL_ATA_BLOCK);
	return 0;
}

bool
pl_ata_declined(int r)
{
	return r == -EIO || r == -ENOTSUP;
}

/* ---- IDENTIFY DEVICE ---- */

static uint16_t
word(const uint8_t *block, unsigned index)
{
	return get_le16(block + 2 * (size_t)index);
}

static bool
bit(const uint8_t *block, unsigned index, unsigned number)
{
	return word(block, index) >> number & 1;
}

/* Words that older drives do not have are 0000h or FFFFh. */
static bool
valid(const uint8_t *block, unsigned index)
{
	return word(block, index) >> 14 == 1;
}

static void
text_of(const uint8_t *block, unsigned first, unsigned nr_words, char *ret, size_t room)
{
	uint8_t bytes[40];

	for (unsigned i = 0; i < nr_words; i++)
		put_be16(bytes + 2 * (size_t)i, word(block, first + i));
	pl_identity_text(ret, room, bytes, 2 * (size_t)nr_words);
}

static bool
checksum_fits(const uint8_t *block)
{
	uint8_t sum = 0;

	if (block[510] != IDENTIFY_SIGNATURE)
		return true;
	for (size_t i = 0; i < PL_ATA_BLOCK; i++)
		sum = (uint8_t)(sum + block[i]);
	return sum == 0;
}

static uint64_t
sectors_of(const uint8_t *block, bool lba48)
{
	uint64_t nr = get_le32(block + 2 * 60);

	if (lba48 && get_le64(block + 2 * 100))
		nr = get_le64(block + 2 * 100);
	if (lba48 && bit(block, 69, 3) && get_le64(block + 2 * 230))
		nr = get_le64(block + 2 * 230);
	return nr;
}

/* In units of two minutes, to which ACS-3 added 7 bits and a flag that they are there. */
static unsigned
minutes_of(uint16_t value)
{
	return 2u * (value & 0x8000 ? value & 0x7fff : value & 0x00ff);
}

static void
decode_security(const uint8_t *block, struct pl_ata_identity *id)
{
	uint16_t state = word(block, 128);

	id->security = state & 1 && bit(block, 82, 1);
	if (!id->security)
		return;
	id->enabled = state >> 1 & 1;
	id->locked = state >> 2 & 1;
	id->frozen = state >> 3 & 1;
	id->enhanced = state >> 5 & 1;
	id->erase_minutes = minutes_of(word(block, 89));
	id->enhanced_minutes = minutes_of(word(block, 90));
}

static void
decode_sanitize(const uint8_t *block, struct pl_ata_identity *id)
{
	id->sanitize = bit(block, 59, 12) && word(block, 59) != 0xffff;
	if (!id->sanitize)
		return;
	id->sanitize_crypto = bit(block, 59, 13);
	id->sanitize_overwrite = bit(block, 59, 14);
	id->sanitize_block = bit(block, 59, 15);
}

int
pl_ata_identity_decode(const uint8_t block[static PL_ATA_BLOCK], struct pl_ata_identity *ret,
		       struct platter_error *err)
{
	uint64_t bytes;

	if (pl_is_zero(block, PL_ATA_BLOCK))
		return pl_fail(err, -EIO, "IDENTIFY DEVICE: nothing but zeros came");
	if (!checksum_fits(block))
		return pl_fail(err, -EIO, "IDENTIFY DEVICE: the checksum of the data is wrong");
	*ret = (struct pl_ata_identity){ .sector_size = 512 };
	text_of(block, 27, 20, ret->model, sizeof ret->model);
	text_of(block, 10, 10, ret->serial, sizeof ret->serial);
	text_of(block, 23, 4, ret->firmware, sizeof ret->firmware);
	if (valid(block, 106) && bit(block, 106, 12))
		ret->sector_size = 2 * get_le32(block + 2 * 117);
	if (ret->sector_size < 512 || ret->sector_size > KIB(64))
		return pl_fail(err, -EIO, "IDENTIFY DEVICE: sectors of %u bytes", ret->sector_size);
	ret->lba48 = valid(block, 83) && bit(block, 83, 10);
	ret->nr_sectors = sectors_of(block, ret->lba48);
	if (__builtin_mul_overflow(ret->nr_sectors, ret->sector_size, &bytes))
		return pl_fail(err, -EIO, "IDENTIFY DEVICE: %" PRIu64 " sectors", ret->nr_sectors);
	ret->rotation = word(block, 217) == 0xffff ? 0 : word(block, 217);
	ret->hpa = bit(block, 82, 10) && valid(block, 83);
	ret->smart = bit(block, 82, 0) && bit(block, 85, 0) && valid(block, 83);
	ret->dco = valid(block, 83) && bit(block, 83, 11);
	ret->logs = valid(block, 84) && bit(block, 84, 5);
	ret->amac = valid(block, 119) && bit(block, 119, 8);
	ret->trim = bit(block, 169, 0) && word(block, 169) != 0xffff;
	ret->encrypts = bit(block, 69, 4) && word(block, 69) != 0xffff;
	decode_security(block, ret);
	decode_sanitize(block, ret);
	return 0;
}

int
pl_ata_identify(struct pl_transport *t, struct pl_ata_identity *ret, struct platter_error *err)
{
	uint8_t block[PL_ATA_BLOCK];
	int r = pl_ata_read_block(t,
				  &(struct pl_ata_command){ .command = IDENTIFY_DEVICE,
							    .count = 1,
							    .timeout = IDENTIFY_TIMEOUT },
				  "IDENTIFY DEVICE", block, err);

	return r < 0 ? r : pl_ata_identity_decode(block, ret, err);
}

/* ---- the whole of it ---- */

static unsigned
ways_to_erase(const struct pl_ata_identity *id, const struct pl_ata_sanitize *state)
{
	unsigned ways = 0;

	if (id->security && !id->enabled && !id->locked && !id->frozen)
		ways |= PL_ERASE_ATA_SECURITY | (id->enhanced ? PL_ERASE_ATA_SECURITY_ENHANCED : 0);
	if (id->sanitize && !id->locked && !state->running && !state->frozen)
		ways |= (id->sanitize_block ? PL_ERASE_ATA_SANITIZE_BLOCK : 0) |
			(id->sanitize_crypto ? PL_ERASE_ATA_SANITIZE_CRYPTO : 0) |
			(id->sanitize_overwrite ? PL_ERASE_ATA_SANITIZE_OVERWRITE : 0);
	return ways;
}

static const char *
why_none(const struct pl_ata_identity *id, const struct pl_ata_sanitize *state)
{
	if (state->running)
		return "sanitizing";
	if (id->locked)
		return "locked";
	if (id->frozen || state->frozen)
		return "frozen";
	return id->enabled ? "password" : NULL;
}

static void
tell_identity(const struct pl_ata_identity *id, struct pl_hardware_info *info)
{
	memcpy(info->model, id->model, sizeof info->model);
	memcpy(info->serial, id->serial, sizeof info->serial);
	memcpy(info->firmware, id->firmware, sizeof info->firmware);
	info->size = id->nr_sectors * id->sector_size;
	info->rotational_known = id->rotation != 0;
	info->rotational = id->rotation > 1;
	info->erase_minutes = id->erase_minutes ? id->erase_minutes : id->enhanced_minutes;
	info->security_enabled = id->enabled;
	info->security_locked = id->locked;
	info->security_frozen = id->frozen;
	info->encrypts = id->encrypts || id->sanitize_crypto;
}

int
pl_ata_look(struct pl_transport *t, struct pl_hardware_info *ret, struct platter_error *err)
{
	struct pl_ata_sanitize state = { 0 };
	struct pl_ata_identity id;
	uint64_t native, real;
	int r = pl_ata_identify(t, &id, err);

	if (r < 0)
		return r;
	tell_identity(&id, ret);
	if (id.sanitize) {
		r = pl_ata_sanitize_status(t, &state, err);
		if (r < 0 && !pl_ata_declined(r))
			return r;
		/* Where its progress cannot be seen, it is not begun. */
		id.sanitize = r == 0;
	}
	ret->erases = ways_to_erase(&id, &state);
	ret->erase_reason = ret->erases ? NULL : why_none(&id, &state);
	ret->erases |= id.trim ? PL_ERASE_TRIM : 0;
	/* A drive that sanitizes, or is locked, aborts what follows. */
	r = pl_ata_native_sectors(t, &id, &native, err);
	if (r == 0)
		r = pl_ata_real_sectors(t, &id, native, &real, err);
	if (r < 0)
		return r;
	ret->native_size = native * id.sector_size;
	ret->real_size = real * id.sector_size;
	return pl_ata_health(t, &id, ret, err);
}
