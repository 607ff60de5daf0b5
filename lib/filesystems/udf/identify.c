/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * udf/identify.c - the volume descriptors of UDF (ECMA-167 and OSTA UDF 2.60)
 *
 *	32768		volume recognition sequence: "BEA01", "NSR02" or "NSR03", "TEA01"
 *	block 256	anchor: where the volume descriptor sequence is; copies near the end
 *	sequence	primary, partition, logical volume, ... descriptors, the highest
 *			sequence number of a kind counts
 *	integrity	what the logical volume descriptor points to: open or closed, free space
 */
#include <ctype.h>
#include <stdio.h>

#include "superblock.h"
#include "text.h"
#include "udf.h"

enum {
	PRIMARY_SET = 72
};
enum {
	LOGICAL_LABEL = 84,
	LOGICAL_BLOCK_SIZE = 212,
	LOGICAL_REVISION = 240,
	LOGICAL_INTEGRITY = 432
};
enum {
	PARTITION_START = 188,
	PARTITION_LENGTH = 192
};
enum {
	INTEGRITY_TYPE = 28,
	INTEGRITY_NR = 72,
	INTEGRITY_FREE = 80
};

#define DSTRING 128
#define BLOCK   512 /* of a descriptor is looked at */

/* Sequences on real discs are 16 or 32 blocks long. */
#define MAX_SEQUENCE 64

struct found {
	uint32_t block_size;
	uint8_t primary[BLOCK], logical[BLOCK], partition[BLOCK];
	bool has_primary, has_logical, has_partition;
};

/* Structures of the recognition sequence are 2048 bytes apart, or a block if that is larger. */
static const uint8_t *
find_nsr(const uint8_t *head)
{
	for (size_t step = 2048; step <= KIB(32); step *= 2) {
		for (size_t at = KIB(32); at + 2048 <= PL_CONTENT_HEAD; at += step) {
			const uint8_t *id = head + at + 1;

			if (!memcmp(id, "NSR02", 5) || !memcmp(id, "NSR03", 5))
				return id;
			if (memcmp(id, "BEA01", 5) && memcmp(id, "BOOT2", 5) &&
			    memcmp(id, "CD001", 5) && memcmp(id, "CDW02", 5) &&
			    memcmp(id, "TEA01", 5))
				break;
		}
	}
	return NULL;
}

/* ECMA-167 1/7.2: the sum of the tag's other bytes, and the block that it is in. */
static bool
tag_matches(const uint8_t *d, uint32_t location)
{
	uint8_t sum = 0;

	for (int i = 0; i < 16; i++)
		if (i != 4)
			sum += d[i];
	return d[4] == sum && get_le32(d + 12) == location;
}

static bool
read_descriptor(struct pl_disk *disk, struct pl_content *c, uint32_t block_size, uint32_t block,
		uint8_t *d)
{
	uint64_t at = (uint64_t)block * block_size;

	return pl_in_range(at, BLOCK, disk->size) &&
	       pl_super_read(disk, c, d, BLOCK, at, "a descriptor") && tag_matches(d, block);
}

/* The anchor also tells the block size: its tag names the block it is in. */
static bool
find_anchor(struct pl_disk *disk, struct pl_content *c, struct found *u, uint8_t *anchor)
{
	static const uint32_t sizes[] = { 2048, 512, 4096, 1024, 8192, 16384, 32768 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t blocks = disk->size / sizes[i];
		uint64_t places[] = { 256, blocks - 257, blocks - 1, 512 };

		for (size_t k = 0; k < ARRAY_SIZE(places); k++) {
			if (places[k] >= blocks || places[k] > UINT32_MAX ||
			    !read_descriptor(disk, c, sizes[i], (uint32_t)places[k], anchor) ||
			    get_le16(anchor) != TAG_ANCHOR)
				continue;
			u->block_size = sizes[i];
			return true;
		}
	}
	return false;
}

static void
keep_newest(uint8_t *kept, bool *has, const uint8_t *d)
{
	if (*has && get_le32(kept + 16) > get_le32(d + 16))
		return;
	memcpy(kept, d, BLOCK);
	*has = true;
}

/* Volume descriptor pointers may send us on; the steps are counted all together. */
static void
read_sequence(struct pl_disk *disk, struct pl_content *c, struct found *u, const uint8_t *extent)
{
	uint32_t block = get_le32(extent + 4), left = get_le32(extent) / u->block_size;
	uint8_t d[BLOCK];

	for (int steps = 0; steps < MAX_SEQUENCE && left; steps++, left--) {
		if (!read_descriptor(disk, c, u->block_size, block, d))
			return;
		block++;
		switch (get_le16(d)) {
		case TAG_PRIMARY: keep_newest(u->primary, &u->has_primary, d); break;
		case TAG_PARTITION: keep_newest(u->partition, &u->has_partition, d); break;
		case TAG_LOGICAL: keep_newest(u->logical, &u->has_logical, d); break;
		case TAG_POINTER:
			left = get_le32(d + 20) / u->block_size + 1;
			block = get_le32(d + 24);
			break;
		case TAG_TERMINATOR: return;
		default: break;
		}
	}
}

/*
 * A dstring (OSTA UDF 2.1.3): a byte that says 8 or 16 bits a character, the characters,
 * and in the last byte how much of that is used.
 */
static char *
dstring_text(const uint8_t *s, size_t size)
{
	size_t n = PL_MIN((size_t)s[size - 1], size - 1);
	uint8_t units[2 * DSTRING];

	if (n < 2)
		return strdup("");
	if (s[0] == 16 || s[0] == 255)
		return pl_text_from_utf16be(s + 1, (n - 1) / 2);
	if (s[0] != 8 && s[0] != 254)
		return strdup("");
	for (size_t i = 0; i < n - 1; i++) {
		units[2 * i] = 0;
		units[2 * i + 1] = s[1 + i];
	}
	return pl_text_from_utf16be(units, n - 1);
}

/*
 * OSTA UDF 2.2.2.5 wants a unique number in hexadecimal digits at the start of the volume
 * set's name.  What others print as the UUID are 16 digits made from it: those digits if
 * they are 16, 8 of them and 4 bytes in hexadecimal, or else 8 bytes in hexadecimal.
 */
static void
tell_uuid(struct pl_content *c, const uint8_t *set)
{
	PL_AUTOFREE char *text = dstring_text(set, DSTRING);
	uint8_t name[16] = { 0 };
	size_t n = text ? strlen(text) : 0;
	size_t digits = 0;
	char uuid[17];

	if (n < 8)
		return;
	memcpy(name, text, PL_MIN(n, sizeof name));
	while (digits < 16 && isxdigit(name[digits]))
		digits++;
	for (int i = 0; i < 16; i++)
		uuid[i] = (char)tolower(name[i]);
	uuid[16] = '\0';
	if (digits < 8)
		for (int i = 0; i < 8; i++)
			snprintf(uuid + 2 * i, 3, "%02x", name[i]);
	else if (digits < 16)
		for (int i = 0; i < 4; i++)
			snprintf(uuid + 8 + 2 * i, 3, "%02x", name[8 + i]);
	pl_super_uuid_text(c, "%s", uuid);
}

static void
tell_integrity(struct pl_disk *disk, struct pl_content *c, const struct found *u)
{
	uint32_t location = get_le32(u->logical + LOGICAL_INTEGRITY + 4), nr;
	uint64_t free_blocks = 0;
	uint8_t d[BLOCK];

	if (get_le32(u->logical + LOGICAL_INTEGRITY) < BLOCK ||
	    !read_descriptor(disk, c, u->block_size, location, d) || get_le16(d) != TAG_INTEGRITY)
		return;
	pl_fact_flag(&c->facts, "clean", "unmounted cleanly", get_le32(d + INTEGRITY_TYPE) == 1);
	nr = PL_MIN(get_le32(d + INTEGRITY_NR), 4u);
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t v = get_le32(d + INTEGRITY_FREE + 4 * i);

		if (v == UINT32_MAX)
			return;
		free_blocks += v;
	}
	pl_super_free(c, free_blocks, u->block_size);
}

static void
tell_volume(struct pl_disk *disk, struct pl_content *c, const struct found *u)
{
	if (u->has_logical) {
		uint16_t revision = get_le16(u->logical + LOGICAL_REVISION);
		char *label = dstring_text(u->logical + LOGICAL_LABEL, DSTRING);

		c->content.label = pl_arena_take(c->arena, label);
		if (!c->content.label)
			c->content.label = "";
		pl_fact_text(&c->facts, "version", "UDF revision", "%x.%02x", revision >> 8,
			     revision & 0xff);
	} else {
		pl_warn(&c->facts, "no logical volume descriptor");
	}
	if (u->has_primary)
		tell_uuid(c, u->primary + PRIMARY_SET);
	if (u->has_partition)
		pl_super_size(disk, c, 0,
			      (uint64_t)get_le32(u->partition + PARTITION_START) +
				      get_le32(u->partition + PARTITION_LENGTH),
			      u->block_size);
	if (u->has_logical)
		tell_integrity(disk, c, u);
}

static int
udf_identify(struct pl_disk *disk, struct pl_content *c, struct platter_error *err)
{
	const uint8_t *nsr = find_nsr(c->head);
	struct found u = { 0 };
	uint8_t anchor[BLOCK];

	if (!nsr)
		return -ENOENT;
	c->evidence = 40 + 8;
	if (!find_anchor(disk, c, &u, anchor)) {
		pl_warn(&c->facts, "no anchor at block 256 or at the end: cut short?");
		return 0;
	}
	c->evidence += 16 + 8 + 32;
	c->content.block_size = u.block_size;
	read_sequence(disk, c, &u, anchor + 16);
	if (!u.has_logical || !u.has_primary)
		read_sequence(disk, c, &u, anchor + 24);
	tell_volume(disk, c, &u);
	return 0;
}

const struct pl_content_driver pl_content_udf = {
	.info = { .name = "udf", .longname = "UDF" },
	.usage = "filesystem",
	.identify = udf_identify,
	.open = pl_udf_open,
};
