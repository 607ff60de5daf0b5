/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * gpt.c - the GUID partition table
 *
 * Made by everything that boots through UEFI.  Spec: UEFI Specification 2.10, chapter 5,
 * "GUID Partition Table (GPT) Disk Layout".  All integers are little-endian, all places
 * are logical sectors (LBA).
 *
 *	LBA 0		protective MBR: one entry of type EE over everything
 *	LBA 1		primary header
 *	LBA 2 ...	primary array of entries, 128 of 128 bytes as a rule
 *	...		partitions, between FirstUsable and LastUsable
 *	last - n ...	backup array
 *	last		backup header
 *
 *	offset  size  header field		offset  size  entry field
 *	     0     8  "EFI PART"		     0    16  type GUID, zero: unused
 *	     8     4  revision, 1.0		    16    16  unique GUID
 *	    12     4  header size, >= 92	    32     8  first LBA
 *	    16     4  CRC-32 of the header	    40     8  last LBA, inclusive
 *	    24     8  MyLBA			    48     8  attributes
 *	    32     8  AlternateLBA		    56    72  name, UTF-16
 *	    40     8  FirstUsable
 *	    48     8  LastUsable
 *	    56    16  disk GUID
 *	    72     8  LBA of the array
 *	    80     4  number of entries
 *	    84     4  size of an entry
 *	    88     4  CRC-32 of the array
 *
 * An image file does not say for which sector size its table was written: each is tried,
 * and the one is believed whose checksum and MyLBA agree.
 */
#include "gpt.h"

#include <stdio.h>

#include "checksums.h"
#include "scheme.h"
#include "text.h"
#include "types.h"

#define GPT_MIN_HEADER 92
#define GPT_MIN_ENTRY  128

/* 8192 entries of 128 bytes, 64 times what tools write. */
#define GPT_MAX_ARRAY MIB(1)

/* Bridges and RAID controllers hide sectors at the end: the backup may stand before it. */
#define SEARCHED_TAIL KIB(64)

static const uint32_t sector_sizes[] = { 512, 4096, 2048, 1024 };

uint32_t
pl_gpt_header_crc(const uint8_t *sector, uint32_t size)
{
	static const uint8_t zero[4];
	uint32_t crc = pl_crc32(0, sector, GPT_HEADER_CRC);

	crc = pl_crc32(crc, zero, sizeof zero);
	return pl_crc32(crc, sector + GPT_HEADER_CRC + 4, size - GPT_HEADER_CRC - 4);
}

static void
header_decode(const uint8_t *p, struct pl_gpt_header *ret)
{
	*ret = (struct pl_gpt_header){
		.revision = get_le32(p + GPT_REVISION),
		.size = get_le32(p + GPT_HEADER_SIZE),
		.crc = get_le32(p + GPT_HEADER_CRC),
		.my_lba = get_le64(p + GPT_MY_LBA),
		.alternate_lba = get_le64(p + GPT_ALTERNATE_LBA),
		.first_usable = get_le64(p + GPT_FIRST_USABLE),
		.last_usable = get_le64(p + GPT_LAST_USABLE),
		.array_lba = get_le64(p + GPT_ARRAY_LBA),
		.nr_entries = get_le32(p + GPT_NR_ENTRIES),
		.entry_size = get_le32(p + GPT_ENTRY_SIZE),
		.array_crc = get_le32(p + GPT_ARRAY_CRC),
	};
	memcpy(ret->guid, p + GPT_DISK_GUID, sizeof ret->guid);
}

#define damaged(copy, ...) \
	(snprintf((copy)->why, sizeof(copy)->why, __VA_ARGS__), (copy)->state = PL_GPT_DAMAGED)

/* Everything about the header but where it stands in a disk of `nr_sectors`. */
static bool
header_is_sane(struct pl_gpt_copy *c, uint64_t nr_sectors)
{
	const struct pl_gpt_header *h = &c->header;
	/* An image that was cut short still tells where the disk ended. */
	uint64_t last = PL_MAX(nr_sectors - 1, PL_MAX(h->alternate_lba, c->lba));

	if (h->my_lba != c->lba)
		damaged(c, "header says that it is at LBA %" PRIu64 ", it is at %" PRIu64,
			h->my_lba, c->lba);
	else if (h->first_usable > h->last_usable)
		damaged(c, "first usable LBA %" PRIu64 " is after the last, %" PRIu64,
			h->first_usable, h->last_usable);
	else if (h->last_usable > last)
		damaged(c, "last usable LBA %" PRIu64 " passes the last LBA, %" PRIu64,
			h->last_usable, last);
	else if (c->lba >= h->first_usable && c->lba <= h->last_usable)
		damaged(c,
			"header at LBA %" PRIu64 " is inside of the usable LBAs %" PRIu64
			" to %" PRIu64,
			c->lba, h->first_usable, h->last_usable);
	else if (h->entry_size < GPT_MIN_ENTRY || !pl_is_power_of_two(h->entry_size))
		damaged(c, "entries of %" PRIu32 " bytes, not 128 times a power of two",
			h->entry_size);
	else if ((uint64_t)h->nr_entries * h->entry_size > GPT_MAX_ARRAY)
		damaged(c, "array of %" PRIu64 " bytes, limit is %" PRIu64,
			(uint64_t)h->nr_entries * h->entry_size, (uint64_t)GPT_MAX_ARRAY);
	else if (!h->array_lba || h->array_lba >= nr_sectors)
		damaged(c, "array at LBA %" PRIu64 ", the disk has %" PRIu64 " sectors",
			h->array_lba, nr_sectors);
	else
		return true;
	return false;
}

/* Read the array of a header that is sane.  What the image does not hold reads as zeros. */
static int
read_array(struct pl_disk *disk, struct pl_gpt_copy *c, struct platter_error *err)
{
	const struct pl_gpt_header *h = &c->header;
	size_t n = (size_t)h->nr_entries * h->entry_size;
	PL_AUTOFREE uint8_t *array = malloc(n ? n : 1);
	uint32_t crc;

	if (!array)
		return pl_no_memory(err);
	if (pl_read_padded(disk, array, n, h->array_lba * c->sector_size, NULL, NULL) < 0) {
		damaged(c, "array at LBA %" PRIu64 " cannot be read", h->array_lba);
		return 0;
	}
	crc = pl_crc32(0, array, n);
	if (crc != h->array_crc) {
		/* A header's own checksum, if wrong, was said before. */
		if (c->state == PL_GPT_GOOD)
			damaged(c, "array checksum is %08" PRIx32 ", the header says %08" PRIx32,
				crc, h->array_crc);
		c->state = PL_GPT_BAD_CHECKSUM;
	}
	free(c->array);
	c->array = PL_STEAL(array);
	return 0;
}

/*
 * Read the copy whose header stands at `lba` in sectors of `sector_size` bytes.  Damage, also
 * of the medium, is told in the copy's state; only a want of memory is an error.
 */
static int
read_copy(struct pl_disk *disk, uint64_t size, uint32_t sector_size, uint64_t lba,
	  struct pl_gpt_copy *ret, struct platter_error *err)
{
	uint64_t nr_sectors = size / sector_size;
	struct pl_gpt_copy c = { .sector_size = sector_size, .lba = lba };
	uint32_t crc;

	if (lba >= nr_sectors)
		goto done;
	if (pl_read(disk, c.sector, sector_size, lba * sector_size, NULL) < 0) {
		damaged(&c, "header at LBA %" PRIu64 " cannot be read", lba);
		goto done;
	}
	if (memcmp(c.sector, "EFI PART", 8) != 0)
		goto done;
	header_decode(c.sector, &c.header);
	if (c.header.size < GPT_MIN_HEADER || c.header.size > sector_size) {
		damaged(&c, "header of %" PRIu32 " bytes, %d to %" PRIu32 " are allowed",
			c.header.size, GPT_MIN_HEADER, sector_size);
		goto done;
	}
	if (!header_is_sane(&c, nr_sectors))
		goto done;
	c.state = PL_GPT_GOOD;
	crc = pl_gpt_header_crc(c.sector, c.header.size);
	if (crc != c.header.crc) {
		damaged(&c, "header checksum is %08" PRIx32 ", the header says %08" PRIx32, crc,
			c.header.crc);
		c.state = PL_GPT_BAD_CHECKSUM;
	}
	if (read_array(disk, &c, err) < 0)
		return pl_no_memory(err);
done:
	free(ret->array);
	*ret = c;
	return 0;
}

/* Read a copy into `best` if it is in a better state than what stands there. */
static int
try_copy(struct pl_disk *disk, uint64_t size, uint32_t sector_size, uint64_t lba,
	 struct pl_gpt_copy *best, struct platter_error *err)
{
	struct pl_gpt_copy c = { 0 };
	int r;

	if (best->state == PL_GPT_GOOD)
		return 0;
	r = read_copy(disk, size, sector_size, lba, &c, err);
	if (r < 0)
		return r;
	if (c.state > best->state) {
		free(best->array);
		*best = c;
	} else {
		free(c.array);
	}
	return 0;
}

static int
find_primary(struct pl_disk *disk, uint64_t size, struct pl_gpt *g, struct platter_error *err)
{
	int r = 0;

	if (disk->sector_size > 512 && disk->sector_size <= GPT_MAX_SECTOR)
		r = try_copy(disk, size, disk->sector_size, 1, &g->primary, err);
	for (size_t i = 0; i < ARRAY_SIZE(sector_sizes) && r == 0; i++)
		r = try_copy(disk, size, sector_sizes[i], 1, &g->primary, err);
	return r;
}

/* Look through the end of the disk for a header that says where it is. */
static int
search_tail(struct pl_disk *disk, uint64_t size, uint32_t sector_size, struct pl_gpt *g,
	    struct platter_error *err)
{
	uint64_t start = pl_round_down(size > SEARCHED_TAIL ? size - SEARCHED_TAIL : 0, 512);
	size_t n = (size_t)(size - start);
	PL_AUTOFREE uint8_t *tail = malloc(n ? n : 1);
	int r = 0;

	if (!tail)
		return pl_no_memory(err);
	if (pl_read(disk, tail, n, start, NULL) < 0)
		return 0;
	for (size_t at = pl_round_down(n, 512); at >= 512 && r == 0; at -= 512) {
		const uint8_t *p = tail + at - 512;
		uint64_t offset = start + at - 512;

		if (memcmp(p, "EFI PART", 8) != 0 || offset % sector_size != 0 ||
		    offset / sector_size < 2 || get_le64(p + GPT_MY_LBA) != offset / sector_size)
			continue;
		r = try_copy(disk, size, sector_size, offset / sector_size, &g->backup, err);
	}
	return r;
}

/* The backup of a table for this sector size: where the primary says, or where it should be. */
static int
find_backup_for(struct pl_disk *disk, uint64_t size, uint32_t sector_size, uint64_t protected_end,
		struct pl_gpt *g, struct platter_error *err)
{
	uint64_t nr_sectors = size / sector_size;
	const uint64_t places[] = {
		g->primary.state == PL_GPT_ABSENT || g->primary.sector_size != sector_size
			? 0
			: g->primary.header.alternate_lba,
		nr_sectors ? nr_sectors - 1 : 0,
		protected_end,
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(places) && r == 0; i++)
		if (places[i] > 1)
			r = try_copy(disk, size, sector_size, places[i], &g->backup, err);
	return r == 0 && g->backup.state != PL_GPT_GOOD
		       ? search_tail(disk, size, sector_size, g, err)
		       : r;
}

/* The protective MBR: is there one, and at which LBA did the disk end when it was made? */
static void
look_at_mbr(const uint8_t *sector, struct pl_gpt *g, uint64_t *ret_end)
{
	*ret_end = 0;
	g->has_mbr = sector[510] == 0x55 && sector[511] == 0xaa;
	for (int i = 0; i < 4 && g->has_mbr; i++) {
		const uint8_t *e = sector + MBR_ENTRIES + i * MBR_ENTRY;
		uint32_t count = get_le32(e + 12);

		if (!count)
			continue;
		if (e[4] != MBR_PROTECTIVE) {
			g->other_entries = true;
			continue;
		}
		g->protective = true;
		if (count != UINT32_MAX)
			*ret_end = (uint64_t)get_le32(e + 8) + count - 1;
	}
}

int
pl_gpt_load(struct pl_disk *disk, uint64_t size, unsigned flags, struct pl_gpt *ret,
	    struct platter_error *err)
{
	struct pl_gpt g = { 0 };
	uint8_t mbr[512];
	uint64_t protected_end;
	int r = pl_read_padded(disk, mbr, sizeof mbr, 0, NULL, err);

	if (r < 0)
		return r;
	look_at_mbr(mbr, &g, &protected_end);
	r = find_primary(disk, size, &g, err);
	if (r == 0 && g.primary.state == PL_GPT_GOOD)
		r = find_backup_for(disk, size, g.primary.sector_size, protected_end, &g, err);
	for (size_t i = 0; i < ARRAY_SIZE(sector_sizes) && g.primary.state != PL_GPT_GOOD && r == 0;
	     i++)
		r = find_backup_for(disk, size, sector_sizes[i], protected_end, &g, err);
	if (r < 0) {
		pl_gpt_done(&g);
		return r;
	}
	*ret = g;
	if (ret->primary.state == PL_GPT_GOOD)
		ret->use = &ret->primary;
	else if (ret->backup.state == PL_GPT_GOOD)
		ret->use = &ret->backup;
	else if (flags & PLATTER_OPEN_IGNORE_CHECKSUMS)
		ret->use = ret->primary.state == PL_GPT_BAD_CHECKSUM  ? &ret->primary
			   : ret->backup.state == PL_GPT_BAD_CHECKSUM ? &ret->backup
								      : NULL;
	if (ret->use)
		ret->nr_sectors = size / ret->use->sector_size;
	return 0;
}

void
pl_gpt_done(struct pl_gpt *g)
{
	free(g->primary.array);
	free(g->backup.array);
	*g = (struct pl_gpt){ 0 };
}

int
pl_gpt_is_stale(const struct pl_gpt *g, struct pl_disk *disk, bool *ret, struct platter_error *err)
{
	/* Where a primary header and its array would be. */
	uint8_t start[33 * 512];
	int r;

	*ret = false;
	if (g->use == &g->primary || g->primary.state != PL_GPT_ABSENT || g->protective)
		return 0;
	*ret = true;
	if (g->other_entries)
		return 0;
	r = pl_read_padded(disk, start, sizeof start, g->use->sector_size, NULL, err);
	if (r == 0)
		*ret = !pl_is_zero(start, sizeof start);
	return r;
}

int
pl_gpt_explain_none(const struct pl_gpt *g, struct platter_error *err)
{
	const struct pl_gpt_copy *p = &g->primary, *b = &g->backup;

	if (p->state == PL_GPT_ABSENT && b->state == PL_GPT_ABSENT)
		return -ENOENT;
	/* A medium that cannot be read there is no sign of a table. */
	if (!p->header.size && !b->header.size)
		return -ENOENT;
	pl_set_error(err, -EUCLEAN, PLATTER_NO_OFFSET, "primary copy: %s; backup copy: %s",
		     p->why[0] ? p->why : "missing", b->why[0] ? b->why : "missing");
	if (p->state == PL_GPT_BAD_CHECKSUM || b->state == PL_GPT_BAD_CHECKSUM)
		pl_hint(err, "it can be read all the same if checksums are ignored");
	return -EUCLEAN;
}

struct bit_name {
	unsigned bit;
	const char *name;
};

static void
add_bits(struct pl_str *s, uint64_t *bits, const struct bit_name *names, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (!(*bits >> names[i].bit & 1))
			continue;
		pl_str_addf(s, "%s%s", s->length ? ", " : "", names[i].name);
		*bits &= ~(UINT64_C(1) << names[i].bit);
	}
}

/* Attributes in words, as the partition's type gives them meaning. */
static char *
attribute_words(struct pl_arena *arena, const char *type, uint64_t bits)
{
	static const struct bit_name common[] = { { 0, "required" },
						  { 1, "ignored by firmware" },
						  { 2, "legacy BIOS bootable" } };
	static const struct bit_name microsoft[] = { { 60, "read-only" },
						     { 61, "shadow copy" },
						     { 62, "hidden" },
						     { 63, "no drive letter" } };
	static const struct bit_name lnx[] = { { 59, "grows" },
					       { 60, "read-only" },
					       { 63, "no automount" } };
	struct pl_str s = { 0 };

	add_bits(&s, &bits, common, ARRAY_SIZE(common));
	switch (pl_gpt_type_attributes(type)) {
	case PL_GPT_ATTRIBUTES_MICROSOFT:
		add_bits(&s, &bits, microsoft, ARRAY_SIZE(microsoft));
		break;
	case PL_GPT_ATTRIBUTES_LINUX: add_bits(&s, &bits, lnx, ARRAY_SIZE(lnx)); break;
	case PL_GPT_ATTRIBUTES_CHROMEOS:
		pl_str_addf(&s, "%spriority %u, tries %u%s", s.length ? ", " : "",
			    (unsigned)(bits >> 48 & 15), (unsigned)(bits >> 52 & 15),
			    bits >> 56 & 1 ? ", successful" : "");
		bits &= ~(UINT64_C(0x1ff) << 48);
		break;
	case PL_GPT_ATTRIBUTES_NONE: break;
	}
	for (unsigned bit = 0; bit < 64; bit++)
		if (bits >> bit & 1)
			pl_str_addf(&s, "%sbit %u", s.length ? ", " : "", bit);
	return pl_arena_take(arena, s.text);
}

/* One used entry of the array. */
static int
add_entry(struct pl_table *t, const struct pl_gpt *g, const uint8_t *e, uint32_t number,
	  struct platter_error *err)
{
	const struct pl_gpt_header *h = &g->use->header;
	uint64_t first = get_le64(e + GPT_FIRST_LBA), last = get_le64(e + GPT_LAST_LBA);
	struct platter_partition p = { .number = number,
				       .raw_flags = get_le64(e + GPT_ATTRIBUTES) };
	char type[PL_UUID_TEXT], unique[PL_UUID_TEXT];

	if (last < first || last >= UINT64_MAX / g->use->sector_size) {
		pl_warn(&t->facts,
			"entry %" PRIu32 " from LBA %" PRIu64 " to %" PRIu64 " is left out", number,
			first, last);
		return 0;
	}
	if (first < h->first_usable || last > h->last_usable)
		pl_warn(&t->facts,
			"partition %" PRIu32 " from LBA %" PRIu64 " to %" PRIu64
			" leaves the usable LBAs %" PRIu64 " to %" PRIu64,
			number, first, last, h->first_usable, h->last_usable);
	p.offset = first * g->use->sector_size;
	p.length = (last - first + 1) * g->use->sector_size;
	pl_guid_text(e + GPT_TYPE, type);
	pl_guid_text(e + GPT_UNIQUE, unique);
	p.type = pl_arena_strdup(t->arena, type);
	p.uuid = pl_arena_strdup(t->arena, unique);
	p.type_name = pl_gpt_type_name(type);
	p.flags = attribute_words(t->arena, type, p.raw_flags);
	p.name = pl_arena_take(t->arena, pl_text_from_utf16le(e + GPT_NAME, GPT_NAME_UNITS));
	return pl_table_add(t, &p, err);
}

static int
add_entries(struct pl_table *t, const struct pl_gpt *g, struct platter_error *err)
{
	const struct pl_gpt_header *h = &g->use->header;
	int r = 0;

	for (uint32_t i = 0; i < h->nr_entries && r == 0; i++) {
		const uint8_t *e = g->use->array + (size_t)i * h->entry_size;

		if (!pl_is_zero(e + GPT_TYPE, 16))
			r = add_entry(t, g, e, i + 1, err);
	}
	return r;
}

static int
by_uuid(const void *a, const void *b)
{
	const struct platter_partition *const *x = a, *const *y = b;
	int r = strcmp((*x)->uuid, (*y)->uuid);

	return r ? r : (*x)->number < (*y)->number ? -1 : 1;
}

/* Two partitions of one GUID: what is meant by PARTUUID= depends on who looks first. */
static void
warn_duplicates(struct pl_table *t)
{
	size_t nr = t->table.nr_partitions;
	const struct platter_partition **sorted =
		pl_arena_alloc(t->arena, (nr + 1) * sizeof *sorted);

	if (!sorted || t->arena->failed)
		return;
	for (size_t i = 0; i < nr; i++)
		sorted[i] = &t->table.partitions[i];
	qsort(sorted, nr, sizeof *sorted, by_uuid);
	for (size_t i = 1; i < nr; i++)
		if (!strcmp(sorted[i - 1]->uuid, sorted[i]->uuid))
			pl_warn(&t->facts,
				"partitions %" PRIu32 " and %" PRIu32 " have the same GUID, %s",
				sorted[i - 1]->number, sorted[i]->number, sorted[i]->uuid);
}

/* What of the disk is the table's own. */
static void
own_structures(struct pl_table *t, const struct pl_gpt *g)
{
	const struct pl_gpt_copy *copies[] = { &g->primary, &g->backup };
	uint32_t sector = g->use->sector_size;

	pl_table_own(t, 0, sector);
	pl_table_own(t, sector, sector);
	for (size_t i = 0; i < ARRAY_SIZE(copies); i++) {
		const struct pl_gpt_copy *c = copies[i];

		if (c->state < PL_GPT_BAD_CHECKSUM || c->sector_size != sector)
			continue;
		pl_table_own(t, c->lba * sector, sector);
		pl_table_own(t, c->header.array_lba * sector,
			     pl_gpt_array_sectors(&c->header, sector) * sector);
	}
}

static void
warn_lost_primary(struct pl_table *t, const struct pl_gpt *g)
{
	const struct pl_gpt_copy *b = &g->backup;

	if (g->primary.state == PL_GPT_ABSENT)
		pl_warn(&t->facts,
			"the primary GPT is missing; the backup at byte %" PRIu64 " is used",
			b->lba * b->sector_size);
	else
		pl_warn(&t->facts,
			"the primary GPT is damaged: %s; the backup at byte %" PRIu64 " is used",
			g->primary.why, b->lba * b->sector_size);
}

static void
warn_lost_backup(struct pl_table *t, const struct pl_gpt *g)
{
	const struct pl_gpt_header *h = &g->primary.header;
	uint32_t sector = g->primary.sector_size;

	if (h->alternate_lba >= g->nr_sectors && h->alternate_lba < UINT64_MAX / sector)
		pl_warn(&t->facts,
			"the backup GPT is missing: the image ends at byte %" PRIu64
			", but the table says that the disk has %" PRIu64 " bytes",
			t->table.size, (h->alternate_lba + 1) * sector);
	else if (g->backup.state == PL_GPT_ABSENT)
		pl_warn(&t->facts, "the backup GPT is missing: there is none at LBA %" PRIu64,
			h->alternate_lba);
	else
		pl_warn(&t->facts, "the backup GPT at byte %" PRIu64 " is damaged: %s",
			g->backup.lba * g->backup.sector_size, g->backup.why);
}

/* Both are good: do they say the same, and does the backup stand where it should? */
static void
compare_copies(struct pl_table *t, const struct pl_gpt *g)
{
	const struct pl_gpt_header *p = &g->primary.header, *b = &g->backup.header;
	uint64_t last = g->nr_sectors - 1;

	if (memcmp(p->guid, b->guid, sizeof p->guid) != 0)
		pl_warn(&t->facts, "primary and backup GPT differ: disk GUID");
	if (p->first_usable != b->first_usable || p->last_usable != b->last_usable)
		pl_warn(&t->facts,
			"primary and backup GPT differ: usable LBAs %" PRIu64 " to %" PRIu64
			" and %" PRIu64 " to %" PRIu64,
			p->first_usable, p->last_usable, b->first_usable, b->last_usable);
	if (p->nr_entries != b->nr_entries || p->entry_size != b->entry_size)
		pl_warn(&t->facts,
			"primary and backup GPT differ: %" PRIu32 " entries of %" PRIu32
			" bytes and %" PRIu32 " of %" PRIu32,
			p->nr_entries, p->entry_size, b->nr_entries, b->entry_size);
	else if (p->array_crc != b->array_crc)
		pl_warn(&t->facts, "primary and backup GPT differ: partitions");
	if (b->alternate_lba != g->primary.lba)
		pl_warn(&t->facts,
			"the backup GPT places the primary at LBA %" PRIu64 ", it is at %" PRIu64,
			b->alternate_lba, g->primary.lba);
	if (p->alternate_lba != g->backup.lba)
		pl_warn(&t->facts,
			"the primary GPT places the backup at LBA %" PRIu64 ", it is at %" PRIu64,
			p->alternate_lba, g->backup.lba);
	if (g->backup.lba < last)
		pl_warn(&t->facts,
			"the disk is larger than when the table was made: the backup GPT is at LBA "
			"%" PRIu64 ", the last is %" PRIu64,
			g->backup.lba, last);
}

static void
add_facts(struct pl_table *t, const struct pl_gpt *g)
{
	const struct pl_gpt_copy *c = g->use;
	bool both = g->primary.state == PL_GPT_GOOD && g->backup.state == PL_GPT_GOOD;

	pl_fact_text(&t->facts, "copies", "Copies", "%s",
		     both               ? "primary and backup"
		     : c == &g->primary ? "primary only"
					: "backup only");
	t->damaged |= !both;
	pl_fact_number(&t->facts, "entries", "Entries", c->header.nr_entries);
	pl_fact_number(&t->facts, "first_usable", "First usable sector", c->header.first_usable);
	pl_fact_number(&t->facts, "last_usable", "Last usable sector", c->header.last_usable);
	if (c->state == PL_GPT_BAD_CHECKSUM)
		pl_warn(&t->facts, "the %s GPT is damaged and used all the same: %s",
			c == &g->primary ? "primary" : "backup", c->why);
	else if (c == &g->backup)
		warn_lost_primary(t, g);
	else if (g->backup.state != PL_GPT_GOOD)
		warn_lost_backup(t, g);
	else
		compare_copies(t, g);
	if (c->header.revision != 0x10000)
		pl_warn(&t->facts, "revision of the header is %08" PRIx32 ", 00010000 is known",
			c->header.revision);
	if (!g->has_mbr)
		pl_warn(&t->facts, "there is no protective MBR");
	else if (!g->protective)
		pl_warn(&t->facts,
			"the MBR has no protective entry: some systems do not see the GPT");
}

static int
read_found(struct pl_disk *disk, const struct pl_gpt *g, struct pl_table *t,
	   struct platter_error *err)
{
	char guid[PL_UUID_TEXT];
	bool stale;
	int r;

	if (!g->use)
		return pl_gpt_explain_none(g, err);
	r = pl_gpt_is_stale(g, disk, &stale, err);
	if (r < 0)
		return r;
	if (stale)
		return pl_corrupt(err, g->backup.lba * g->backup.sector_size,
				  "a backup at byte %" PRIu64
				  " is ignored: nothing at the start of the disk belongs to it",
				  g->backup.lba * g->backup.sector_size);
	pl_guid_text(g->use->header.guid, guid);
	t->table.uuid = pl_arena_strdup(t->arena, guid);
	t->table.sector_size = g->use->sector_size;
	r = add_entries(t, g, err);
	if (r < 0)
		return r;
	own_structures(t, g);
	add_facts(t, g);
	warn_duplicates(t);
	return 0;
}

static int
gpt_read(struct pl_disk *disk, struct pl_table *t, struct platter_error *err)
{
	struct pl_gpt g;
	int r = pl_gpt_load(disk, disk->size, t->flags, &g, err);

	if (r < 0)
		return r;
	r = read_found(disk, &g, t, err);
	pl_gpt_done(&g);
	return r;
}

const struct pl_scheme pl_scheme_gpt = {
	.info = { .name = "gpt",
		  .longname = "GUID partition table",
		  .abilities = PLATTER_CAN_READ },
	.read = gpt_read,
};
