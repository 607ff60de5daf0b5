/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * apm.c - the Apple partition map
 *
 * From the Macintosh II of 1987 to the last PowerPC, on installer discs until 2011, in disk
 * images (.dmg), and beside other tables on discs that start everywhere.  Described
 * in "Inside Macintosh: Devices", chapter 3, "The Partition Map".  Big-endian.
 *
 *	offset  size  block 0		offset  size  map entry, one block each from block 1
 *	     0     2  "ER"		     0     2  "PM"
 *	     2     2  block size	     4     4  entries in the map, the same in all
 *	     4     4  blocks		     8     4  first block
 *					    12     4  blocks
 *					    16    32  name
 *					    48    32  type
 *					    88     4  status
 *
 * Block 0 is not to be relied on: the size of the disk in it is often 0, "ER" may be missing,
 * and its block size may not be the one that the map was written for.  Discs may carry one
 * map in 512-byte blocks and another in 2048-byte blocks in the same place.  So each
 * way to read it is tried, and the one is taken in which the map makes most sense.
 */
#include "scheme.h"

#include "text.h"
#include "types.h"

enum {
	APM_BLOCK_SIZE = 2,
	APM_NR_ENTRIES = 4,
	APM_START = 8,
	APM_COUNT = 12,
	APM_NAME = 16,
	APM_TYPE = 48,
	APM_TEXT = 32,
	APM_STATUS = 88,
	APM_ENTRY = 92, /* what of an entry is looked at */
};

enum {
	APM_BOOTABLE = 1 << 3,
	APM_READABLE = 1 << 4,
	APM_WRITABLE = 1 << 5,
	APM_AT_STARTUP = 1 << 30,
};

/* The map that Apple's tools make has room for 62 entries; four times that is plenty. */
#define APM_MAX_ENTRIES 256

/* One way to read the map, and how much sense it makes. */
struct reading {
	uint32_t spacing; /* bytes from entry to entry */
	uint32_t unit;    /* bytes of a block that start and count are in */
	uint32_t nr;      /* entries that the map says it has; 0: there is none */
	uint32_t nr_good; /* entries that are there and agree on `nr` */
	uint32_t nr_past; /* entries that pass the end of the disk */
};

static int
read_entry(struct pl_disk *disk, const struct reading *r, uint32_t index,
	   uint8_t ret[static APM_ENTRY], struct platter_error *err)
{
	return pl_read_padded(disk, ret, APM_ENTRY, (uint64_t)(index + 1) * r->spacing, NULL, err);
}

static bool
is_entry(const uint8_t *p)
{
	return p[0] == 'P' && p[1] == 'M';
}

static bool
is_type(const uint8_t *p, const char *type)
{
	return !strncmp((const char *)p + APM_TYPE, type, APM_TEXT);
}

static bool
is_free(const uint8_t *p)
{
	return is_type(p, "Apple_Free") || is_type(p, "Apple_Extra");
}

static int
try_reading(struct pl_disk *disk, struct reading *r, struct platter_error *err)
{
	uint8_t p[APM_ENTRY];
	uint32_t nr;
	int res = read_entry(disk, r, 0, p, err);

	if (res < 0)
		return res;
	nr = get_be32(p + APM_NR_ENTRIES);
	if (!is_entry(p) || !nr || nr > APM_MAX_ENTRIES)
		return 0;
	r->nr = nr;
	for (uint32_t i = 0; i < nr; i++) {
		res = read_entry(disk, r, i, p, err);
		if (res < 0)
			return res;
		if (!is_entry(p) || get_be32(p + APM_NR_ENTRIES) != nr)
			continue;
		r->nr_good++;
		if (!is_free(p) &&
		    !pl_in_range((uint64_t)get_be32(p + APM_START) * r->unit,
				 (uint64_t)get_be32(p + APM_COUNT) * r->unit, disk->size))
			r->nr_past++;
	}
	return 0;
}

/* True if `a` makes more sense than `b`; with a tie the one tried first stays. */
static bool
is_better(const struct reading *a, const struct reading *b)
{
	if (!a->nr || !b->nr)
		return a->nr;
	/* Entries missing from the map, as shares: a.good / a.nr against b.good / b.nr. */
	if ((uint64_t)a->nr_good * b->nr != (uint64_t)b->nr_good * a->nr)
		return (uint64_t)a->nr_good * b->nr > (uint64_t)b->nr_good * a->nr;
	return a->nr_past < b->nr_past;
}

/* Block size by block 0, 0 if it says none that can be. */
static uint32_t
block_size(const uint8_t *block)
{
	uint32_t size = get_be16(block + APM_BLOCK_SIZE);

	return block[0] == 'E' && block[1] == 'R' && pl_is_power_of_two(size) && size >= 512 &&
			       size <= 4096
		       ? size
		       : 0;
}

/* The reading that makes most sense; ret->nr = 0 if there is no map. */
static int
find_map(struct pl_disk *disk, uint32_t said, struct reading *ret, struct platter_error *err)
{
	const struct {
		uint32_t spacing, unit;
	} ways[] = { { said, said }, { 512, 512 }, { 2048, 2048 }, { 2048, 512 } };

	*ret = (struct reading){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct reading r = { .spacing = ways[i].spacing, .unit = ways[i].unit };
		int res = r.spacing ? try_reading(disk, &r, err) : 0;

		if (res < 0)
			return res;
		if (is_better(&r, ret))
			*ret = r;
	}
	return 0;
}

static const char *
status_words(uint32_t status)
{
	bool read_only = (status & APM_READABLE) && !(status & APM_WRITABLE);

	if (status & APM_BOOTABLE)
		return read_only ? "bootable, read-only" : "bootable";
	if (status & APM_AT_STARTUP)
		return read_only ? "mounted at startup, read-only" : "mounted at startup";
	return read_only ? "read-only" : "";
}

static int
add_entry(struct pl_table *t, const struct reading *r, uint32_t number, const uint8_t *p,
	  struct platter_error *err)
{
	struct platter_partition part = {
		.number = number,
		.offset = (uint64_t)get_be32(p + APM_START) * r->unit,
		.length = (uint64_t)get_be32(p + APM_COUNT) * r->unit,
		.type = pl_arena_take(t->arena, pl_text_from_bytes(p + APM_TYPE, APM_TEXT)),
		.name = pl_arena_take(t->arena, pl_text_from_bytes(p + APM_NAME, APM_TEXT)),
		.flags = status_words(get_be32(p + APM_STATUS)),
		.raw_flags = get_be32(p + APM_STATUS),
	};

	if (!part.length)
		return 0;
	if (t->arena->failed)
		return pl_no_memory(err);
	part.type_name = pl_apm_type_name(part.type);
	if (is_type(p, "Apple_partition_map")) {
		part.role = PLATTER_PARTITION_META;
		pl_table_own(t, part.offset, part.length);
	} else if (is_free(p)) {
		part.role = PLATTER_PARTITION_FREE;
	}
	return pl_table_add(t, &part, err);
}

static int
add_entries(struct pl_disk *disk, struct pl_table *t, const struct reading *r,
	    struct platter_error *err)
{
	for (uint32_t i = 0; i < r->nr; i++) {
		uint8_t p[APM_ENTRY];
		int res = read_entry(disk, r, i, p, err);

		if (res == 0 && is_entry(p))
			res = add_entry(t, r, i + 1, p, err);
		if (res < 0)
			return res;
	}
	return 0;
}

static int
apm_read(struct pl_disk *disk, struct pl_table *t, struct platter_error *err)
{
	uint8_t block[512];
	struct reading map;
	uint32_t said;
	int r = pl_read_padded(disk, block, sizeof block, 0, NULL, err);

	if (r < 0)
		return r;
	said = block_size(block);
	r = find_map(disk, said, &map, err);
	if (r < 0)
		return r;
	if (!map.nr)
		return -ENOENT;
	t->table.sector_size = map.unit;
	pl_table_own(t, 0, map.spacing);
	pl_table_own(t, map.spacing, (uint64_t)map.nr * map.spacing);
	if (said && said != map.unit)
		pl_warn(&t->facts,
			"block 0 says blocks of %" PRIu32 " bytes, the map is written for %" PRIu32,
			said, map.unit);
	if (map.nr_good < map.nr)
		pl_warn(&t->facts, "%" PRIu32 " of %" PRIu32 " entries of the map are damaged",
			map.nr - map.nr_good, map.nr);
	return add_entries(disk, t, &map, err);
}

const struct pl_scheme pl_scheme_apm = {
	.info = { .name = "apm", .longname = "Apple partition map", .abilities = PLATTER_CAN_READ },
	.read = apm_read,
};
