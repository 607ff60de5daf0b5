/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sun.c - Sun disk labels
 *
 * SunOS and Solaris on SPARC, and Linux there.  Described in <sys/dklabel.h>.  Big-endian.
 *
 *	offset  size  label
 *	     0   128  text
 *	   128     4  version of the VTOC, 1
 *	   140     2  number of partitions
 *	   142   8*4  tag and flags of each
 *	   188     4  600DDEEE: the VTOC is there
 *	   436     2  heads
 *	   438     2  sectors of a track
 *	   444   8*8  first cylinder and number of sectors of each
 *	   508     2  DABE
 *	   510     2  checksum: the XOR of all 16-bit words is 0
 */
#include "scheme.h"

#include "text.h"
#include "types.h"

enum {
	SUN_VERSION = 128,
	SUN_NR_PARTITIONS = 140,
	SUN_TAGS = 142,
	SUN_SANE = 188,
	SUN_HEADS = 436,
	SUN_SECTORS = 438,
	SUN_PARTITIONS = 444,
	SUN_MAGIC = 508,
	SUN_MAX_PARTITIONS = 8,
};

enum {
	SUN_WHOLE_DISK = 5,
	SUN_UNMOUNTABLE = 0x01,
	SUN_READ_ONLY = 0x10,
};

#define SECTOR 512

static uint16_t
checksum(const uint8_t *label)
{
	uint16_t sum = 0;

	for (size_t i = 0; i < SECTOR; i += 2)
		sum ^= get_be16(label + i);
	return sum;
}

static bool
has_vtoc(const uint8_t *label)
{
	return get_be32(label + SUN_VERSION) == 1 && get_be32(label + SUN_SANE) == 0x600ddeee &&
	       get_be16(label + SUN_NR_PARTITIONS) <= SUN_MAX_PARTITIONS;
}

static const char *
flag_words(uint16_t flags)
{
	switch (flags & (SUN_UNMOUNTABLE | SUN_READ_ONLY)) {
	case SUN_UNMOUNTABLE: return "not mountable";
	case SUN_READ_ONLY: return "read-only";
	case SUN_UNMOUNTABLE | SUN_READ_ONLY: return "not mountable, read-only";
	default: return "";
	}
}

static int
add_partition(struct pl_table *t, const uint8_t *label, bool vtoc, uint32_t index,
	      struct platter_error *err)
{
	const uint8_t *p = label + SUN_PARTITIONS + index * 8, *tag = label + SUN_TAGS + index * 4;
	uint64_t cylinder = (uint64_t)get_be16(label + SUN_HEADS) * get_be16(label + SUN_SECTORS);
	/* Before there was a VTOC, the third partition was the disk by custom. */
	uint16_t type = vtoc ? get_be16(tag) : index == 2 ? SUN_WHOLE_DISK : 0;
	uint16_t flags = vtoc ? get_be16(tag + 2) : 0;
	struct platter_partition part = {
		.number = index + 1,
		.role = type == SUN_WHOLE_DISK ? PLATTER_PARTITION_META : PLATTER_PARTITION,
		.length = (uint64_t)get_be32(p + 4) * SECTOR,
		.type = pl_arena_format(t->arena, "%x", type),
		.type_name = pl_sun_type_name(type),
		.flags = flag_words(flags),
		.raw_flags = flags,
	};

	if (!part.length)
		return 0;
	if (__builtin_mul_overflow(cylinder * SECTOR, (uint64_t)get_be32(p), &part.offset) ||
	    part.offset > UINT64_MAX - part.length) {
		pl_warn(&t->facts, "partition %" PRIu32 " at cylinder %" PRIu32 " is left out",
			index + 1, get_be32(p));
		return 0;
	}
	return pl_table_add(t, &part, err);
}

static int
sun_read(struct pl_disk *disk, struct pl_table *t, struct platter_error *err)
{
	uint8_t label[SECTOR];
	uint32_t nr = SUN_MAX_PARTITIONS;
	char *text;
	int r = pl_read_padded(disk, label, sizeof label, 0, NULL, err);

	if (r < 0)
		return r;
	if (get_be16(label + SUN_MAGIC) != 0xdabe)
		return -ENOENT;
	if (checksum(label) != 0) {
		/* The magic alone is two bytes of what may be anything. */
		if (!(t->flags & PLATTER_OPEN_IGNORE_CHECKSUMS) || !has_vtoc(label))
			return has_vtoc(label) ? pl_corrupt(err, SUN_MAGIC + 2,
							    "checksum of the label is wrong")
					       : -ENOENT;
		pl_warn(&t->facts, "checksum of the label is wrong");
	}
	t->table.sector_size = SECTOR;
	text = pl_arena_take(t->arena, pl_text_from_bytes(label, SUN_VERSION));
	if (text && *text)
		pl_fact_text(&t->facts, "label", "Label", "%s", text);
	pl_table_own(t, 0, SECTOR);
	if (has_vtoc(label) && get_be16(label + SUN_NR_PARTITIONS))
		nr = get_be16(label + SUN_NR_PARTITIONS);
	for (uint32_t i = 0; i < nr && r == 0; i++)
		r = add_partition(t, label, has_vtoc(label), i, err);
	return r;
}

const struct pl_scheme pl_scheme_sun = {
	.info = { .name = "sun", .longname = "Sun disk label", .abilities = PLATTER_CAN_READ },
	.read = sun_read,
};
