/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mbr.c - the partition table of the PC's master boot record
 *
 * Never specified by one document; IBM's PC DOS 2.0 of 1983 brought it, DOS 3.3 the extended
 * partitions.  All integers are little-endian, all places logical sectors.
 *
 *	offset  size  sector 0 and EBRs		offset  size  entry
 *	     0   440  boot code			     0     1  80: active, 00: not
 *	   440     4  disk signature		     4     1  type, see types.c
 *	   446  4*16  entries			     8     4  first sector
 *	   510     2  55 AA			    12     4  number of sectors
 *
 * An extended partition holds a chain of EBRs, each in the sector before the logical
 * partition that it describes: entries with data count from the EBR, the link to the next
 * EBR counts from the start of the extended partition.  Usually data comes first and
 * the link second; Linux takes them in any of the four places, and so do we.
 *
 * 55 AA is also what boot sectors of file systems end in: see is_volume().
 */
#include "scheme.h"
#include "types.h"

enum {
	MBR_SIGNATURE = 440,
	MBR_ENTRIES = 446,
	MBR_NR_ENTRIES = 4,
	MBR_ENTRY_SIZE = 16
};

/* Linux gives up after 100 links without data; so many EBRs in all are more than anyone makes. */
#define MAX_EBRS (PL_MAX_PARTITIONS + 100)

#define FIRST_LOGICAL 5

struct entry {
	uint8_t flag, type;
	uint32_t start, count; /* sectors */
};

/* Walking the EBRs of one disk. */
struct chain {
	struct pl_disk *disk;
	struct pl_table *t;
	uint32_t sector_size;
	uint32_t number; /* of the next logical partition */
	size_t nr_seen;
	uint64_t seen[MAX_EBRS]; /* their sectors: a chain may lead back into itself */
};

static struct entry
entry_decode(const uint8_t *sector, int i)
{
	const uint8_t *p = sector + MBR_ENTRIES + i * MBR_ENTRY_SIZE;

	return (struct entry){
		.flag = p[0], .type = p[4], .start = get_le32(p + 8), .count = get_le32(p + 12)
	};
}

static bool
has_signature(const uint8_t *sector)
{
	return sector[510] == 0x55 && sector[511] == 0xaa;
}

static bool
is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* True if sector 0 has the fields of a FAT, exFAT, NTFS or BitLocker boot sector. */
static bool
has_bpb(const uint8_t *s)
{
	uint16_t bytes = get_le16(s + 11), reserved = get_le16(s + 14);
	uint8_t cluster = s[13], fats = s[16], media = s[21];

	if (!memcmp(s + 3, "NTFS    ", 8) || !memcmp(s + 3, "EXFAT   ", 8) ||
	    !memcmp(s + 3, "-FVE-FS-", 8))
		return true;
	return pl_is_power_of_two(bytes) && bytes >= 512 && bytes <= 4096 &&
	       pl_is_power_of_two(cluster) && reserved && (fats == 1 || fats == 2) &&
	       (media == 0xf0 || media >= 0xf8) && (get_le16(s + 19) || get_le32(s + 32));
}

/*
 * True if sector 0 belongs to a volume without partitions.  Sticks that boot everywhere
 * carry a table and the fields of a FAT in one sector, so those alone do not decide: what
 * stands in place of the entries in a true boot sector is code, text or nothing, and
 * does not look like a table whose every entry lies on the disk, apart from the others.
 */
static bool
is_volume(const uint8_t *sector, uint64_t nr_sectors)
{
	struct entry e[MBR_NR_ENTRIES];
	int used = 0;

	if (!has_bpb(sector))
		return false;
	for (int i = 0; i < MBR_NR_ENTRIES; i++) {
		e[i] = entry_decode(sector, i);
		if (pl_is_zero(sector + MBR_ENTRIES + i * MBR_ENTRY_SIZE, MBR_ENTRY_SIZE))
			continue;
		if (!e[i].type || !e[i].start || !e[i].count ||
		    !pl_in_range(e[i].start, e[i].count, nr_sectors))
			return true;
		used++;
		for (int j = 0; j < i; j++)
			if (e[j].count && e[i].start < (uint64_t)e[j].start + e[j].count &&
			    e[j].start < (uint64_t)e[i].start + e[i].count)
				return true;
	}
	return used == 0;
}

static bool
flags_are_valid(const uint8_t *sector)
{
	for (int i = 0; i < MBR_NR_ENTRIES; i++)
		if (entry_decode(sector, i).flag & 0x7f)
			return false;
	return true;
}

/*
 * True if a table without entries was meant as one: tools that make an empty table give the
 * disk a signature, boot sectors that only end in 55 AA have none.
 */
static bool
is_empty_table(const uint8_t *sector)
{
	return pl_is_zero(sector + MBR_ENTRIES, MBR_NR_ENTRIES * MBR_ENTRY_SIZE) &&
	       get_le32(sector + MBR_SIGNATURE);
}

/* AIX marks disks that carry its own volume groups this way ("IBMA" in EBCDIC). */
static bool
is_aix(const uint8_t *sector)
{
	return get_be32(sector) == 0xc9c2d4c1;
}

/* LVM writes its label into one of the first four sectors. */
static int
is_lvm(struct pl_disk *disk, bool *ret, struct platter_error *err)
{
	uint8_t buf[4 * 512];
	int r = pl_read_padded(disk, buf, sizeof buf, 0, NULL, err);

	*ret = false;
	for (size_t at = 0; at < sizeof buf && r == 0; at += 512)
		if (!memcmp(buf + at, "LABELONE", 8) && !memcmp(buf + at + 24, "LVM2 001", 8))
			*ret = true;
	return r;
}

static int
add(struct pl_table *t, const struct entry *e, uint64_t start, uint32_t number,
    enum platter_partition_role role, struct platter_error *err)
{
	struct platter_partition p = {
		.number = number,
		.role = role,
		.offset = start * t->table.sector_size,
		.length = (uint64_t)e->count * t->table.sector_size,
		.type = pl_arena_format(t->arena, "%x", e->type),
		.type_name = pl_mbr_type_name(e->type),
		.flags = e->flag & 0x80 ? "bootable" : "",
		.raw_flags = e->flag,
	};

	return pl_table_add(t, &p, err);
}

/* The chain of logical partitions is not as it must be. */
#define broken(c, ...) ((c)->t->damaged = true, pl_warn(&(c)->t->facts, __VA_ARGS__))

/* True, with a warning, if the chain was here before. */
static bool
seen_before(struct chain *c, uint64_t ebr)
{
	for (size_t i = 0; i < c->nr_seen; i++) {
		if (c->seen[i] != ebr)
			continue;
		broken(c, "the chain of logical partitions returns to LBA %" PRIu64, ebr);
		return true;
	}
	if (c->nr_seen == MAX_EBRS) {
		broken(c, "the chain of logical partitions is longer than %d", MAX_EBRS);
		return true;
	}
	c->seen[c->nr_seen++] = ebr;
	return false;
}

/* Read the EBR at `ebr`; false, with a warning where one is due, if the chain ends there. */
static int
read_ebr(struct chain *c, uint64_t ebr, bool first, uint8_t sector[static 512], bool *ret,
	 struct platter_error *err)
{
	uint64_t at = ebr * c->sector_size;
	size_t have;
	int r = pl_read_padded(c->disk, sector, 512, at, &have, err);

	*ret = false;
	if (r == -EIO)
		broken(c, "the table of logical partitions at byte %" PRIu64 " cannot be read", at);
	if (r < 0)
		return r == -EIO ? 0 : r;
	if (have < 512)
		broken(c,
		       "the image ends at byte %" PRIu64
		       ", before the table of logical partitions at byte %" PRIu64,
		       c->disk->size, at);
	else if (has_signature(sector))
		*ret = true;
	else if (!first || !pl_is_zero(sector, 512)) /* an extended partition may be all empty */
		broken(c, "there is no table of logical partitions at byte %" PRIu64, at);
	return 0;
}

/* The logical partitions that one EBR describes: one, as a rule. */
static int
add_logical(struct chain *c, const struct entry *ext, uint64_t ebr, const uint8_t *sector,
	    struct platter_error *err)
{
	uint64_t ext_end = (uint64_t)ext->start + ext->count;
	int r = 0;

	for (int i = 0; i < MBR_NR_ENTRIES && r == 0; i++) {
		struct entry e = entry_decode(sector, i);
		uint64_t start = ebr + e.start;
		bool inside = start >= ext->start && start + e.count <= ext_end;

		if (!e.count || is_extended(e.type))
			continue;
		/* The last two are not used today, and some tools left rubbish there. */
		if (i >= 2 && !inside)
			continue;
		if (!inside)
			broken(c, "logical partition %" PRIu32 " leaves the extended partition",
			       c->number);
		r = add(c->t, &e, start, c->number++, PLATTER_PARTITION_LOGICAL, err);
	}
	return r;
}

/* The sector of the next EBR, 0 at the end of the chain. */
static uint64_t
next_ebr(struct chain *c, const struct entry *ext, const uint8_t *sector)
{
	for (int i = 0; i < MBR_NR_ENTRIES; i++) {
		struct entry e = entry_decode(sector, i);

		if (!e.count || !is_extended(e.type))
			continue;
		if (e.start < ext->count)
			return (uint64_t)ext->start + e.start;
		broken(c,
		       "the chain of logical partitions leads to LBA %" PRIu64
		       ", out of the extended partition (LBA %" PRIu32 " to %" PRIu64 ")",
		       (uint64_t)ext->start + e.start, ext->start,
		       (uint64_t)ext->start + ext->count - 1);
		return 0;
	}
	return 0;
}

static int
walk_extended(struct chain *c, const struct entry *ext, struct platter_error *err)
{
	uint64_t ebr = ext->start;
	bool backwards = false;

	while (ebr) {
		uint64_t next;
		uint8_t sector[512];
		bool more;
		int r;

		if (seen_before(c, ebr))
			return 0;
		r = read_ebr(c, ebr, ebr == ext->start, sector, &more, err);
		if (r < 0 || !more)
			return r;
		pl_table_own(c->t, ebr * c->sector_size, c->sector_size);
		r = add_logical(c, ext, ebr, sector, err);
		if (r < 0)
			return r;
		next = next_ebr(c, ext, sector);
		if (next && next < ebr && !backwards) {
			backwards = true;
			pl_warn(&c->t->facts,
				"the chain of logical partitions leads back from LBA %" PRIu64
				" to %" PRIu64,
				ebr, next);
		}
		ebr = next;
	}
	return 0;
}

static int
add_logicals(struct pl_disk *disk, struct pl_table *t, const uint8_t *sector,
	     struct platter_error *err)
{
	PL_AUTOFREE struct chain *c = malloc(sizeof *c);
	int r = 0;

	if (!c)
		return pl_no_memory(err);
	c->disk = disk;
	c->t = t;
	c->sector_size = t->table.sector_size;
	c->number = FIRST_LOGICAL;
	c->nr_seen = 0;
	for (int i = 0; i < MBR_NR_ENTRIES && r == 0; i++) {
		struct entry e = entry_decode(sector, i);

		if (e.count && is_extended(e.type))
			r = walk_extended(c, &e, err);
	}
	return r;
}

/* Count entries in use, those of type EE apart. */
static void
count_entries(const uint8_t *sector, int *ret_protective, int *ret_other)
{
	*ret_protective = *ret_other = 0;
	for (int i = 0; i < MBR_NR_ENTRIES; i++) {
		struct entry e = entry_decode(sector, i);

		if (e.count && e.type == 0xee)
			++*ret_protective;
		else if (e.count)
			++*ret_other;
	}
}

/* Beside a GPT, the entries of a hybrid MBR repeat some of its partitions. */
static void
compare_with_gpt(struct pl_table *t)
{
	for (size_t i = 0; i < t->table.nr_partitions; i++) {
		const struct platter_partition *p = &t->table.partitions[i];
		bool same = p->role == PLATTER_PARTITION_META;

		for (size_t j = 0; j < t->gpt->nr_partitions && !same; j++)
			same = t->gpt->partitions[j].offset == p->offset &&
			       t->gpt->partitions[j].length == p->length;
		if (!same)
			pl_warn(&t->facts, "partition %" PRIu32 " of the MBR is none of the GPT's",
				p->number);
	}
}

static void
warn_protective(struct pl_table *t, int other)
{
	if (!t->gpt) {
		t->damaged = true;
		pl_warn(&t->facts, "protective MBR but no readable GPT");
		return;
	}
	pl_fact_flag(&t->facts, "hybrid", "Hybrid MBR", true);
	pl_warn(&t->facts,
		"hybrid MBR: %d partition%s beside the GPT, which other systems use instead", other,
		other == 1 ? "" : "s");
	compare_with_gpt(t);
}

static int
add_primaries(struct pl_table *t, const uint8_t *sector, struct platter_error *err)
{
	int r = 0;

	for (int i = 0; i < MBR_NR_ENTRIES && r == 0; i++) {
		struct entry e = entry_decode(sector, i);
		enum platter_partition_role role = is_extended(e.type) ? PLATTER_PARTITION_EXTENDED
						   : e.type == 0xee    ? PLATTER_PARTITION_META
								       : PLATTER_PARTITION;

		if (!e.count)
			continue;
		r = add(t, &e, e.start, (uint32_t)i + 1, role, err);
		if (role == PLATTER_PARTITION_META)
			pl_table_own(t, (uint64_t)e.start * t->table.sector_size,
				     (uint64_t)e.count * t->table.sector_size);
	}
	return r;
}

/* 0 if the sector holds a partition table to be listed, -ENOENT if not. */
static int
accept(struct pl_disk *disk, const struct pl_table *t, const uint8_t *sector,
       struct platter_error *err)
{
	int protective, other;
	bool lvm;

	if (!has_signature(sector) || is_aix(sector) || !flags_are_valid(sector) ||
	    is_volume(sector, disk->size / t->table.sector_size))
		return -ENOENT;
	count_entries(sector, &protective, &other);
	if (other)
		return 0;
	if (t->gpt || (!protective && !is_empty_table(sector)))
		return -ENOENT;
	if (!protective) {
		int r = is_lvm(disk, &lvm, err);

		if (r < 0 || lvm)
			return r < 0 ? r : -ENOENT;
	}
	return 0;
}

static int
mbr_read(struct pl_disk *disk, struct pl_table *t, struct platter_error *err)
{
	uint8_t sector[512];
	int protective, other;
	int r = pl_read_padded(disk, sector, sizeof sector, 0, NULL, err);

	if (r < 0)
		return r;
	if (t->gpt)
		t->table.sector_size = t->gpt->sector_size;
	r = accept(disk, t, sector, err);
	if (r < 0)
		return r;
	t->table.uuid = pl_arena_format(t->arena, "%08" PRIx32, get_le32(sector + MBR_SIGNATURE));
	pl_table_own(t, 0, t->table.sector_size);
	r = add_primaries(t, sector, err);
	if (r == 0)
		r = add_logicals(disk, t, sector, err);
	if (r < 0)
		return r;
	count_entries(sector, &protective, &other);
	if (protective)
		warn_protective(t, other);
	return 0;
}

const struct pl_scheme pl_scheme_mbr = {
	.info = { .name = "mbr", .longname = "MBR partition table", .abilities = PLATTER_CAN_READ },
	.read = mbr_read,
};
