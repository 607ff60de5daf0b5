/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * luks/identify.c - the header of LUKS, big-endian, at byte 0, and of LUKS2 also where the
 * copy may be ("LUKS2 On-Disk Format Specification", 1.1; LUKS1 1.2.3)
 */
#include "superblock.h"

enum {
	LUKS_VERSION = 6,
	LUKS_UUID = 168,
	LUKS_UUID_SIZE = 40
};
enum {
	LUKS1_CIPHER = 8,
	LUKS1_MODE = 40,
	LUKS1_HASH = 72,
	LUKS1_PAYLOAD = 104,
	LUKS1_KEY_BYTES = 108,
	LUKS1_SLOTS = 208,
	LUKS1_SLOT_SIZE = 48,
	LUKS1_NR_SLOTS = 8
};
enum {
	LUKS2_HEADER_SIZE = 8,
	LUKS2_SEQUENCE = 16,
	LUKS2_LABEL = 24,
	LUKS2_SUBSYSTEM = 208,
	LUKS2_OFFSET = 256
};
#define LUKS1_SLOT_ACTIVE 0x00ac71f3

static void
tell_luks1(struct pl_content *c, const uint8_t *h)
{
	unsigned slots = 0;

	c->content.longname = "LUKS version 1 encryption";
	pl_fact_text(&c->facts, "cipher", "cipher", "%.32s-%.32s", (const char *)h + LUKS1_CIPHER,
		     (const char *)h + LUKS1_MODE);
	pl_fact_text(&c->facts, "hash", "hash", "%.32s", (const char *)h + LUKS1_HASH);
	pl_fact_number(&c->facts, "key_bits", "key bits",
		       get_be32(h + LUKS1_KEY_BYTES) * UINT64_C(8));
	for (int i = 0; i < LUKS1_NR_SLOTS; i++)
		slots += get_be32(h + LUKS1_SLOTS + i * LUKS1_SLOT_SIZE) == LUKS1_SLOT_ACTIVE;
	pl_fact_number(&c->facts, "key_slots", "key slots in use", slots);
	pl_fact_size(&c->facts, "payload", "payload begins at byte",
		     get_be32(h + LUKS1_PAYLOAD) * UINT64_C(512));
}

static void
tell_luks2(struct pl_content *c, const uint8_t *h)
{
	c->content.longname = "LUKS version 2 encryption";
	pl_super_label(c, h + LUKS2_LABEL, 48);
	if (h[LUKS2_SUBSYSTEM])
		pl_fact_text(&c->facts, "subsystem", "subsystem", "%.48s",
			     (const char *)h + LUKS2_SUBSYSTEM);
	pl_fact_size(&c->facts, "header_size", "size of a header", get_be64(h + LUKS2_HEADER_SIZE));
	pl_fact_number(&c->facts, "sequence", "sequence number", get_be64(h + LUKS2_SEQUENCE));
}

/*
 * The second header of LUKS2 stands at one of nine places, 16 KiB to 4 MiB.  It says where
 * it was written, which is another place after the disk in front of it was cut or moved.
 */
static bool
find_copy(struct pl_disk *disk, uint8_t *h)
{
	for (uint64_t at = KIB(16); at <= MIB(4); at *= 2) {
		uint64_t own;

		if (!pl_in_range(at, 512, disk->size) || pl_read(disk, h, 512, at, NULL) < 0 ||
		    memcmp(h, "SKUL\xba\xbe\0\x02", 8))
			continue;
		own = get_be64(h + LUKS2_OFFSET);
		if (pl_is_power_of_two(own) && own >= KIB(16) && own <= MIB(4))
			return true;
	}
	return false;
}

static int
luks_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *h = c->head;
	uint8_t copy[512];
	uint16_t version;

	if (memcmp(h, "LUKS\xba\xbe", 6)) {
		if (!find_copy(disk, copy))
			return -ENOENT;
		pl_warn(&c->facts, "the first header is gone; told from its copy");
		h = copy;
	}
	version = get_be16(h + LUKS_VERSION);
	if (version != 1 && version != 2)
		return -ENOENT;
	c->evidence = 64;
	pl_super_uuid_text(c, "%.*s", LUKS_UUID_SIZE, (const char *)h + LUKS_UUID);
	pl_fact_number(&c->facts, "version", "version", version);
	if (version == 1)
		tell_luks1(c, h);
	else
		tell_luks2(c, h);
	return 0;
}

const struct pl_content_driver pl_content_luks = {
	.info = { .name = "crypto_LUKS", .longname = "LUKS encryption" },
	.usage = "crypto",
	.identify = luks_identify,
};
