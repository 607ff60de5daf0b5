/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * md/identify.c - the superblock of a Linux software RAID member
 *
 *	0.90	in the last whole 64 KiB but one, in the byte order of its maker
 *	1.0	8 KiB before the end, rounded down to 4 KiB; little-endian, as are the next
 *	1.1	at byte 0
 *	1.2	at byte 4096
 * (md(4); drivers/md of the Linux kernel)
 */
#include "superblock.h"
#include "text.h"

#define MD_MAGIC 0xa92b4efc
#define MD_SIZE  4096

enum {
	MD0_MINOR = 8,
	MD0_UUID_0 = 20,
	MD0_LEVEL = 28,
	MD0_SIZE = 32,
	MD0_DEVICES = 40,
	MD0_UUID_1 = 52,
	MD0_STATE = 132
};
enum {
	MD1_MAJOR = 4,
	MD1_UUID = 16,
	MD1_NAME = 32,
	MD1_LEVEL = 72,
	MD1_DEVICES = 92,
	MD1_DATA_OFFSET = 128,
	MD1_DATA_SIZE = 136,
	MD1_SUPER_OFFSET = 144,
	MD1_DEVICE_UUID = 168,
	MD1_EVENTS = 200,
	MD1_CHECKSUM = 216,
	MD1_MAX_DEVICES = 220,
	MD1_ROLES = 256
};

static void
tell_level(struct pl_content *c, int32_t level)
{
	if (level >= 0)
		pl_fact_text(&c->facts, "level", "level", "RAID %" PRId32, level);
	else
		pl_fact_text(&c->facts, "level", "level",
			     level == -1   ? "linear"
			     : level == -4 ? "multipath"
					   : "other");
}

/* The sum of all 32-bit words but the checksum itself, its upper half added to the lower. */
static bool
md1_checksum_matches(const uint8_t *sb)
{
	uint32_t roles = get_le32(sb + MD1_MAX_DEVICES), n;
	uint64_t sum = 0;

	if (roles > (MD_SIZE - MD1_ROLES) / 2)
		return false;
	n = MD1_ROLES + roles * 2;
	for (uint32_t i = 0; i + 4 <= n; i += 4)
		if (i != MD1_CHECKSUM)
			sum += get_le32(sb + i);
	if (n & 2)
		sum += get_le16(sb + n - 2);
	return (uint32_t)((sum & UINT32_MAX) + (sum >> 32)) == get_le32(sb + MD1_CHECKSUM);
}

static bool
is_md1(const uint8_t *sb, uint64_t at)
{
	return get_le32(sb) == MD_MAGIC && get_le32(sb + MD1_MAJOR) == 1 && at % 512 == 0 &&
	       get_le64(sb + MD1_SUPER_OFFSET) == at / 512;
}

static void
tell_md1(struct pl_disk *disk, struct pl_content *c, const uint8_t *sb, const char *version)
{
	char uuid[PL_UUID_TEXT];
	uint64_t start;

	c->evidence = 32 + 32 + 64;
	pl_super_checksum(c, md1_checksum_matches(sb));
	pl_super_uuid(c, sb + MD1_UUID);
	pl_super_label(c, sb + MD1_NAME, 32);
	if (!__builtin_mul_overflow(get_le64(sb + MD1_DATA_OFFSET), 512, &start))
		pl_super_size(disk, c, start, get_le64(sb + MD1_DATA_SIZE), 512);
	c->content.block_size = 0;
	pl_fact_text(&c->facts, "version", "version", "%s", version);
	tell_level(c, (int32_t)get_le32(sb + MD1_LEVEL));
	pl_fact_number(&c->facts, "devices", "devices", get_le32(sb + MD1_DEVICES));
	pl_fact_number(&c->facts, "events", "events", get_le64(sb + MD1_EVENTS));
	pl_uuid_text(sb + MD1_DEVICE_UUID, uuid);
	pl_fact_text(&c->facts, "device_uuid", "this device's UUID", "%s", uuid);
}

static void
tell_md0(struct pl_disk *disk, struct pl_content *c, const uint8_t *sb, bool big_endian)
{
	uint8_t uuid[16];

	c->evidence = 32 + 32 + 32;
	memcpy(uuid, sb + MD0_UUID_0, 4);
	memcpy(uuid + 4, sb + MD0_UUID_1, 12);
	/* The four words are shown as a little-endian machine stores them. */
	for (int i = 0; i < 16 && big_endian; i += 4)
		put_le32(uuid + i, get_be32(uuid + i));
	pl_super_uuid(c, uuid);
	pl_super_size(disk, c, 0, big_endian ? get_be32(sb + MD0_SIZE) : get_le32(sb + MD0_SIZE),
		      1024);
	c->content.block_size = 0;
	pl_fact_text(&c->facts, "version", "version", "0.90");
	tell_level(c, (int32_t)(big_endian ? get_be32(sb + MD0_LEVEL) : get_le32(sb + MD0_LEVEL)));
	pl_fact_number(&c->facts, "devices", "devices",
		       big_endian ? get_be32(sb + MD0_DEVICES) : get_le32(sb + MD0_DEVICES));
	pl_fact_flag(&c->facts, "clean", "stopped cleanly",
		     (big_endian ? get_be32(sb + MD0_STATE) : get_le32(sb + MD0_STATE)) & 1);
}

static bool
read_quietly(struct pl_disk *disk, uint8_t *sb, uint64_t at)
{
	return pl_in_range(at, MD_SIZE, disk->size) && pl_read(disk, sb, MD_SIZE, at, NULL) == 0;
}

static int
md_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	uint8_t sb[MD_SIZE];
	uint64_t at;

	if (is_md1(c->head, 0)) {
		tell_md1(disk, c, c->head, "1.1");
		return 0;
	}
	if (is_md1(c->head + 4096, 4096)) {
		tell_md1(disk, c, c->head + 4096, "1.2");
		return 0;
	}
	at = disk->size >= KIB(12) ? pl_round_down(disk->size - KIB(8), KIB(4)) : 0;
	if (at && read_quietly(disk, sb, at) && is_md1(sb, at)) {
		tell_md1(disk, c, sb, "1.0");
		return 0;
	}
	at = disk->size >= KIB(128) ? pl_round_down(disk->size, KIB(64)) - KIB(64) : 0;
	if (at && read_quietly(disk, sb, at)) {
		bool big_endian = get_be32(sb) == MD_MAGIC;

		if ((big_endian || get_le32(sb) == MD_MAGIC) && !get_le32(sb + MD1_MAJOR) &&
		    (big_endian ? get_be32(sb + MD0_MINOR) : get_le32(sb + MD0_MINOR)) <= 91) {
			tell_md0(disk, c, sb, big_endian);
			return 0;
		}
	}
	return -ENOENT;
}

const struct pl_content_driver pl_content_md = {
	.info = { .name = "linux_raid_member", .longname = "Linux software RAID member" },
	.usage = "raid",
	.identify = md_identify,
};
