/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bsd.c - BSD disklabels
 *
 * FreeBSD, NetBSD and OpenBSD divide a disk, or a slice of it, this way.  Described in
 * disklabel(5) and <sys/disklabel.h>.  Written in the byte order of the machine.
 *
 *	offset  size  label			offset  size  entry
 *	     0     4  magic, 82564557		     0     4  sectors
 *	    24    16  pack name			     4     4  first sector
 *	    40     4  bytes of a sector		     8     4  fragment size
 *	    60     4  sectors of the disk	    12     1  fstype
 *	   132     4  magic again		    13     1  fragments of a block
 *	   136     2  checksum			    14     2  cylinders of a group
 *	   138     2  number of entries
 *	   148  n*16  entries, a, b, c, ...
 *
 * The label stands in sector 1 (PC), or at byte 64 (Alpha) or 128 (SPARC) of sector 0.  Entry
 * c or d covers the whole disk.  Places are as stored: they count from the start of the
 * disk, also in the label of a slice, unless FreeBSD 10 or later wrote it.
 */
#include "scheme.h"

#include "text.h"
#include "types.h"

#define BSD_MAGIC 0x82564557

enum {
	BSD_PACK_NAME = 24,
	BSD_SECTOR_SIZE = 40,
	BSD_MAGIC2 = 132,
	BSD_NR_ENTRIES = 138,
	BSD_ENTRIES = 148,
	BSD_ENTRY_SIZE = 16,
};

/* Systems have 8, 16 or 22; 52 is what Linux has letters for. */
#define BSD_MAX_ENTRIES 52
#define BSD_MAX_LABEL   (BSD_ENTRIES + BSD_MAX_ENTRIES * BSD_ENTRY_SIZE)

struct label {
	uint8_t bytes[BSD_MAX_LABEL];
	uint64_t at;
	bool big_endian;
	uint32_t sector_size;
	uint16_t nr_entries;
};

static uint32_t
get32(const struct label *l, size_t offset)
{
	return l->big_endian ? get_be32(l->bytes + offset) : get_le32(l->bytes + offset);
}

static uint16_t
get16(const struct label *l, size_t offset)
{
	return l->big_endian ? get_be16(l->bytes + offset) : get_le16(l->bytes + offset);
}

/* True if a label stands at `at`. */
static int
read_label(struct pl_disk *disk, uint64_t at, struct label *l, bool *ret, struct platter_error *err)
{
	int r = pl_read_padded(disk, l->bytes, sizeof l->bytes, at, NULL, err);

	*ret = false;
	if (r < 0)
		return r;
	l->at = at;
	l->big_endian = get_be32(l->bytes) == BSD_MAGIC;
	*ret = get32(l, 0) == BSD_MAGIC && get32(l, BSD_MAGIC2) == BSD_MAGIC;
	return 0;
}

static int
find_label(struct pl_disk *disk, struct label *l, struct platter_error *err)
{
	const uint64_t places[] = { disk->sector_size, 512, 64, 128 };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		bool found;
		int r = read_label(disk, places[i], l, &found, err);

		if (r < 0 || found)
			return r;
	}
	return -ENOENT;
}

/* XOR of everything in 16-bit words: 0. */
static uint16_t
checksum(const struct label *l)
{
	uint16_t sum = 0;

	for (size_t i = 0; i < BSD_ENTRIES + (size_t)l->nr_entries * BSD_ENTRY_SIZE; i += 2)
		sum ^= get16(l, i);
	return sum;
}

static int
check_label(struct label *l, struct pl_table *t, struct platter_error *err)
{
	l->sector_size = get32(l, BSD_SECTOR_SIZE);
	l->nr_entries = get16(l, BSD_NR_ENTRIES);
	if (!pl_is_power_of_two(l->sector_size) || l->sector_size < 512 || l->sector_size > 4096)
		return pl_corrupt(err, l->at + BSD_SECTOR_SIZE,
				  "sectors of %" PRIu32 " bytes, 512 to 4096 are possible",
				  l->sector_size);
	if (l->nr_entries > BSD_MAX_ENTRIES)
		return pl_over_limit(err, l->at + BSD_NR_ENTRIES, "%u entries, limit is %d",
				     l->nr_entries, BSD_MAX_ENTRIES);
	if (checksum(l) == 0)
		return 0;
	if (!(t->flags & PLATTER_OPEN_IGNORE_CHECKSUMS))
		return pl_corrupt(err, l->at, "checksum of the label is wrong");
	pl_warn(&t->facts, "checksum of the label is wrong");
	return 0;
}

static int
add_entry(struct pl_table *t, const struct label *l, uint32_t index, struct platter_error *err)
{
	size_t at = BSD_ENTRIES + (size_t)index * BSD_ENTRY_SIZE;
	uint8_t fstype = l->bytes[at + 12];
	struct platter_partition p = {
		.number = index + 1,
		/* What is unused and has a size is entry c or d, the whole disk. */
		.role = fstype ? PLATTER_PARTITION : PLATTER_PARTITION_META,
		.offset = (uint64_t)get32(l, at + 4) * l->sector_size,
		.length = (uint64_t)get32(l, at) * l->sector_size,
		.type = pl_arena_format(t->arena, "%x", fstype),
		.type_name = pl_bsd_type_name(fstype),
		.name = pl_arena_format(t->arena, "%c", (index < 26 ? 'a' : 'A' - 26) + (int)index),
	};

	if (!p.length)
		return 0;
	if (p.role == PLATTER_PARTITION_META && p.offset)
		pl_warn(&t->facts,
			"the label is of a slice that starts at byte %" PRIu64
			" of a larger disk, and counts from there",
			p.offset);
	return pl_table_add(t, &p, err);
}

static int
bsd_read(struct pl_disk *disk, struct pl_table *t, struct platter_error *err)
{
	struct label l;
	char *name;
	int r = find_label(disk, &l, err);

	if (r == 0)
		r = check_label(&l, t, err);
	if (r < 0)
		return r;
	t->table.sector_size = l.sector_size;
	name = pl_arena_take(t->arena, pl_text_from_bytes(l.bytes + BSD_PACK_NAME, 16));
	if (name && *name)
		pl_fact_text(&t->facts, "pack_name", "Pack name", "%s", name);
	/* From the start of the disk: boot code stands in front of it. */
	pl_table_own(t, 0, pl_round_up(l.at + BSD_ENTRIES, l.sector_size));
	for (uint32_t i = 0; i < l.nr_entries && r == 0; i++)
		r = add_entry(t, &l, i, err);
	return r;
}

const struct pl_scheme pl_scheme_bsd = {
	.info = { .name = "bsd", .longname = "BSD disklabel", .abilities = PLATTER_CAN_READ },
	.read = bsd_read,
};
