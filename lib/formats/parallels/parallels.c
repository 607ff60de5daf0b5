/* SPDX-License-Identifier: GPL-3.0-or-later */
/* parallels.c - Parallels expanding images: reading and checking; parallels.h has the layout */
#include "parallels.h"
#include "text.h"
#include "uses.h"

/* The format extension: a magic, an MD5, then sections. */
#define EXTENSION_MAGIC  0xab234cef23dcea87u
#define EXTENSION_HEADER 24
#define SECTION_HEADER   24
#define MAX_SECTIONS     64
#define BITMAP_MAGIC     0x20385fae252cb34au
#define BITMAP_HEADER    32

static bool
has_magic(const uint8_t *h)
{
	return memcmp(h, OLD_MAGIC, MAGIC_SIZE) == 0 || memcmp(h, NEW_MAGIC, MAGIC_SIZE) == 0;
}

static int
parallels_probe(const struct pl_probe *probe)
{
	return probe->size >= HEADER_SIZE && has_magic(probe->head) ? 8 * MAGIC_SIZE : 0;
}

int
pl_parallels_entry(const struct parallels *p, uint64_t index, uint32_t entry, uint64_t *ret,
		   struct platter_error *err)
{
	uint64_t at = entry * p->unit;

	if (at < p->bat_end)
		return pl_corrupt(err, p->bat.offset + index * 4,
				  "cluster %" PRIu64 " is stored at byte %" PRIu64
				  ", within the table that ends at byte %" PRIu64,
				  index, at, p->bat_end);
	if (at >= p->file->size) {
		int r = pl_corrupt(err, p->bat.offset + index * 4,
				   "cluster %" PRIu64 " is stored at byte %" PRIu64
				   ", past the end of the file (%" PRIu64 " bytes)",
				   index, at, p->file->size);

		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	*ret = at;
	return 0;
}

static int
cluster_run(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	    struct platter_error *err)
{
	struct parallels *p = parallels_of(disk);
	uint64_t index = offset / p->cluster, in_cluster = offset % p->cluster, end, at = 0;
	const uint8_t *bytes;
	int r = pl_block_table_get(&p->bat, index * 4, 4, &bytes, err);

	if (r < 0)
		return r;
	*ret = (struct pl_extent){ .length = p->cluster - in_cluster, .kind = PLATTER_HOLE };
	if (!get_le32(bytes)) {
		end = pl_div_round_up(PL_MIN(length, disk->size) + in_cluster, p->cluster);
		r = pl_block_table_skip(&p->bat, index * 4, (index + end) * 4, &end, err);
		ret->length = PL_MAX(end / 4, index + 1) * p->cluster - offset;
		return r;
	}
	r = pl_parallels_entry(p, index, get_le32(bytes), &at, err);
	if (r < 0)
		return r;
	at += in_cluster;
	if (at >= p->file->size) {
		r = pl_corrupt(err, p->bat.offset + index * 4,
			       "cluster %" PRIu64 " passes the end of the file (%" PRIu64 " bytes)",
			       index, p->file->size);
		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	ret->kind = PLATTER_DATA;
	ret->below = p->file;
	ret->stored_offset = at;
	ret->length = PL_MIN(ret->length, p->file->size - at);
	return 0;
}

static int
parallels_map(struct pl_disk *disk, uint64_t offset, uint64_t length, struct pl_extent *ret,
	      struct platter_error *err)
{
	int r = pl_blocks_map(disk, cluster_run, offset, length, ret, err);

	if (r < 0)
		pl_error_place(err, parallels_of(disk)->file->name);
	return r;
}

static struct pl_disk *
parallels_below(struct pl_disk *disk, size_t index)
{
	return index == 0 ? parallels_of(disk)->file : NULL;
}

/* A dirty bitmap of the format extension. */
struct bitmap {
	uint8_t id[16];
	uint32_t granularity; /* sectors */
	uint64_t table;       /* byte of the file; entries of 8 bytes: 0, 1 or a sector */
	uint32_t nr_entries;
};

/*
 * Hand over each dirty bitmap.  The MD5 of the extension is not looked at: nothing is
 * read by what it says.
 */
static int
each_bitmap(struct parallels *p,
	    int (*take)(struct parallels *p, const struct bitmap *b, void *with,
			struct platter_error *err),
	    void *with, struct platter_error *err)
{
	uint64_t at = p->extension + EXTENSION_HEADER, end = p->extension + p->cluster;
	uint8_t h[SECTION_HEADER + BITMAP_HEADER];
	int r = pl_read_padded(p->file, h, 8, p->extension, NULL, err);

	if (r < 0)
		return r;
	if (get_le64(h) != EXTENSION_MAGIC)
		return pl_corrupt(err, p->extension, "the format extension has no magic");
	for (int i = 0; i < MAX_SECTIONS && pl_in_range(at, sizeof h, end); i++) {
		uint32_t size;
		struct bitmap b;

		r = pl_read_padded(p->file, h, sizeof h, at, NULL, err);
		if (r < 0 || !get_le64(h))
			return r;
		size = get_le32(h + 16);
		if (!pl_in_range(at + SECTION_HEADER, size, end))
			return pl_corrupt(err, at + 16,
					  "section of %" PRIu32
					  " bytes passes the end of the format extension",
					  size);
		if (get_le64(h) == BITMAP_MAGIC && size >= BITMAP_HEADER) {
			b = (struct bitmap){ .granularity = get_le32(h + SECTION_HEADER + 24),
					     .nr_entries = get_le32(h + SECTION_HEADER + 28),
					     .table = at + SECTION_HEADER + BITMAP_HEADER };
			memcpy(b.id, h + SECTION_HEADER + 8, sizeof b.id);
			b.nr_entries = PL_MIN(b.nr_entries, (size - BITMAP_HEADER) / 8);
			r = take(p, &b, with, err);
			if (r < 0)
				return r;
		}
		at += SECTION_HEADER + pl_round_up(size, 8);
	}
	return 0;
}

static int
describe_bitmap(struct parallels *p, const struct bitmap *b, void *with, struct platter_error *err)
{
	char id[PL_UUID_TEXT], size[32];

	pl_uuid_text(b->id, id);
	pl_format_size((uint64_t)b->granularity * SECTOR, size, sizeof size);
	pl_fact_text(with, "bitmap", "Dirty bitmap", "%s, one bit for %s%s", id, size,
		     p->state == IN_USE ? ", out of date" : "");
	return 0;
}

static void
parallels_describe(struct pl_disk *disk, struct pl_facts *facts)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	struct parallels *p = parallels_of(disk);

	pl_fact_text(facts, "magic", "Magic", "%s", p->old ? OLD_MAGIC : NEW_MAGIC);
	pl_fact_size(facts, "cluster_size", "Cluster size", p->cluster);
	if (p->extension && each_bitmap(p, describe_bitmap, facts, &err) < 0)
		pl_warn(facts, "%s", err.message);
	if (p->state == IN_USE)
		pl_warn(facts, "it was not closed: clusters may be lost or used twice");
}

static void
parallels_free(struct pl_disk *disk)
{
	struct parallels *p = parallels_of(disk);

	/* Whoever opens it next may trust it, unless changes were lost. */
	if (p->store.begun && pl_parallels_flush(disk, NULL) == 0)
		(void)pl_parallels_set_state(p, CLOSED, NULL);
	pl_block_table_done(&p->bat);
	pl_store_done(&p->store);
	pl_disk_unref(p->file);
	pl_disk_done(disk);
	free(p);
}

static const struct pl_disk_ops parallels_ops = {
	.name = "parallels",
	.map = parallels_map,
	.write = pl_parallels_write,
	.zero = pl_parallels_zero,
	.discard = pl_parallels_discard,
	.flush = pl_parallels_flush,
	.resize = pl_parallels_resize,
	.below = parallels_below,
	.describe = parallels_describe,
	.free = parallels_free,
};

static int
check_fields(const uint8_t *h, size_t have, struct platter_error *err)
{
	uint32_t cluster = get_le32(h + CLUSTER_SECTORS);

	if (have < HEADER_SIZE)
		return pl_corrupt(err, 0, "file of %zu bytes is too short for a Parallels header",
				  have);
	if (!has_magic(h))
		return pl_corrupt(err, 0, "no Parallels magic");
	if (get_le32(h + VERSION) != 2)
		return pl_unsupported(err, VERSION, "Parallels version %" PRIu32 " is not known",
				      get_le32(h + VERSION));
	if (!cluster || cluster > MAX_CLUSTER_SECTORS)
		return pl_corrupt(err, CLUSTER_SECTORS,
				  "clusters of %" PRIu32 " sectors, limits are 1 and %u", cluster,
				  MAX_CLUSTER_SECTORS);
	return 0;
}

static int
read_size(struct parallels *p, const uint8_t *h, struct platter_error *err)
{
	uint64_t sectors = p->old ? get_le32(h + NR_SECTORS) : get_le64(h + NR_SECTORS);
	uint32_t nr = get_le32(h + NR_ENTRIES);

	/* A table of 2^32 entries for clusters of 2^30 bytes stays within 64 bits. */
	if (sectors > nr * (p->cluster / SECTOR))
		return pl_corrupt(err, NR_SECTORS,
				  "disk of %" PRIu64 " sectors, its table of %" PRIu32
				  " entries holds %" PRIu64,
				  sectors, nr, nr * (p->cluster / SECTOR));
	if (sectors > INT64_MAX / SECTOR)
		return pl_over_limit(err, NR_SECTORS,
				     "disk of %" PRIu64 " sectors, limit is %" PRId64, sectors,
				     INT64_MAX / SECTOR);
	p->disk.size = sectors * SECTOR;
	return 0;
}

static int
read_header(struct parallels *p, struct platter_error *err)
{
	uint8_t h[HEADER_SIZE];
	uint64_t extension, bat_size;
	size_t have;
	int r = pl_read_padded(p->file, h, sizeof h, 0, &have, err);

	if (r == 0)
		r = check_fields(h, have, err);
	if (r < 0)
		return r;
	p->old = memcmp(h, OLD_MAGIC, MAGIC_SIZE) == 0;
	p->cluster = (uint64_t)get_le32(h + CLUSTER_SECTORS) * SECTOR;
	p->unit = p->old ? SECTOR : p->cluster;
	p->state = get_le32(h + STATE);
	r = read_size(p, h, err);
	if (r < 0)
		return r;
	bat_size = (uint64_t)get_le32(h + NR_ENTRIES) * 4;
	p->bat_end = HEADER_SIZE + bat_size;
	p->data_offset = PL_MAX((uint64_t)get_le32(h + DATA_OFFSET) * SECTOR,
				pl_round_up(p->bat_end, SECTOR));
	extension = get_le64(h + EXTENSION);
	if (extension && (extension > INT64_MAX / SECTOR ||
			  !pl_in_range(extension * SECTOR, EXTENSION_HEADER, p->file->size)))
		return pl_corrupt(err, EXTENSION,
				  "format extension at sector %" PRIu64
				  " is outside of the file (%" PRIu64 " bytes)",
				  extension, p->file->size);
	p->extension = extension * SECTOR;
	return 0;
}

/* The table, and what writing takes. */
static int
open_bat(struct parallels *p, bool writable, struct platter_error *err)
{
	struct pl_disk *file = p->file;
	int r;

	if (writable) {
		p->store = (struct pl_store){
			.ops = &pl_parallels_store_ops,
			.disk = &p->disk,
			.file = p->file,
			.block_size = (uint32_t)p->cluster,
			.align = SECTOR,
			.limit = UINT32_MAX * p->unit,
		};
		r = pl_store_init(&p->store, err);
		if (r < 0)
			return r;
		p->disk.writable = true;
		file = p->store.staged;
	}
	return pl_block_table_init(&p->bat, file, HEADER_SIZE, p->bat_end - HEADER_SIZE, 0, err);
}

static int
open_parts(struct parallels *p, const struct pl_open_request *request, struct platter_error *err)
{
	int r = pl_disk_stack(&p->disk, p->file, err);

	if (r == 0)
		r = read_header(p, err);
	if (r == 0)
		r = open_bat(p, request->flags & PLATTER_OPEN_WRITE && p->file->writable, err);
	if (r == 0 && request->snapshot) {
		r = pl_fail(err, -ENOENT, "'%s' is one Parallels image, which has no snapshots",
			    p->file->name);
		pl_hint(err, "snapshots are listed in DiskDescriptor.xml: open that");
	}
	return r;
}

static int
parallels_open(const struct pl_open_request *request, struct pl_disk **ret,
	       struct platter_error *err)
{
	struct parallels *p = calloc(1, sizeof *p);
	int r;

	if (!p)
		return pl_no_memory(err);
	r = pl_disk_init(&p->disk, &parallels_ops, request->file->name, err);
	if (r < 0) {
		free(p);
		return r;
	}
	p->file = pl_disk_ref(request->file);
	r = open_parts(p, request, err);
	if (r < 0) {
		pl_error_place(err, p->file->name);
		parallels_free(&p->disk);
		return r;
	}
	*ret = &p->disk;
	return 0;
}

struct check {
	struct pl_findings *findings;
	struct pl_uses uses;
	uint64_t anchor; /* where clusters begin, modulo their size */
	bool anchored;
};

/* The old magic lets clusters begin at any sector: the first tells where the others must. */
static void
use_cluster(struct parallels *p, struct check *c, uint64_t at, uint64_t entry_at)
{
	uint64_t taken;

	if (!c->anchored)
		c->anchor = at % p->cluster;
	c->anchored = true;
	if (at % p->cluster != c->anchor)
		pl_found(c->findings, PLATTER_DAMAGE, entry_at,
			 "cluster at byte %" PRIu64 " lies over the end of another", at);
	else if (!pl_use(&c->uses, at / p->cluster, at / p->cluster, &taken))
		pl_found(c->findings, PLATTER_DAMAGE, entry_at,
			 "cluster at byte %" PRIu64 " is used twice", at);
}

static void
check_entry(struct parallels *p, struct check *c, uint64_t index, uint32_t entry)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	uint64_t entry_at = p->bat.offset + index * 4, at;
	uint64_t end = PL_MIN(p->cluster, p->disk.size - PL_MIN(p->disk.size, index * p->cluster));

	if (pl_parallels_entry(p, index, entry, &at, &err) < 0)
		pl_found(c->findings, PLATTER_DAMAGE, err.offset, "%s", err.message);
	else if (!pl_in_range(at, end, p->file->size))
		pl_found(c->findings, PLATTER_DAMAGE, entry_at,
			 "cluster %" PRIu64 " at byte %" PRIu64
			 " passes the end of the file (%" PRIu64 " bytes)",
			 index, at, p->file->size);
	else
		use_cluster(p, c, at, entry_at);
}

static int
check_bat(struct parallels *p, struct check *c, struct platter_error *err)
{
	const uint8_t *bytes;
	uint64_t at = 0;
	int r;

	for (;; at += 4) {
		r = pl_block_table_skip(&p->bat, at, p->bat.bytes, &at, err);
		at = pl_round_down(at, 4);
		if (r < 0 || at >= p->bat.bytes)
			return r;
		r = pl_block_table_get(&p->bat, at, 4, &bytes, err);
		if (r < 0)
			return r;
		check_entry(p, c, at / 4, get_le32(bytes));
	}
}

static int
use_bitmap(struct parallels *p, const struct bitmap *b, void *with, struct platter_error *err)
{
	for (uint32_t i = 0; i < b->nr_entries; i++) {
		uint64_t at = b->table + (uint64_t)i * 8;
		uint8_t entry[8];
		int r = pl_read_padded(p->file, entry, sizeof entry, at, NULL, err);

		if (r < 0)
			return r;
		if (get_le64(entry) > p->file->size / SECTOR)
			return pl_corrupt(err, at,
					  "dirty bitmap at sector %" PRIu64
					  " is outside of the file",
					  get_le64(entry));
		if (get_le64(entry) > 1)
			use_cluster(p, with, get_le64(entry) * SECTOR, at);
	}
	return 0;
}

static void
report_unused(struct parallels *p, struct check *c)
{
	uint64_t start = p->data_offset, first = 0, nr;

	/* The first cluster at or behind the start of the data. */
	if (start % p->cluster > c->anchor)
		start += p->cluster;
	c->uses.nr = p->file->size > c->anchor ? (p->file->size - c->anchor) / p->cluster : 0;
	nr = pl_unused(&c->uses, start / p->cluster, &first);
	if (nr)
		pl_found(c->findings, PLATTER_LEAK, first * p->cluster + c->anchor,
			 "%" PRIu64 " clusters (%" PRIu64 " bytes) are used by nothing", nr,
			 nr * p->cluster);
}

static int
parallels_check(struct pl_disk *disk, struct pl_findings *findings, struct platter_error *err)
{
	struct platter_error damage = PLATTER_ERROR_INIT;
	struct parallels *p = parallels_of(disk);
	struct check c = { .findings = findings };
	bool whole = true;
	int r;

	if (p->state == IN_USE)
		pl_found(findings, PLATTER_NOTE, STATE, "the image was not closed");
	r = pl_uses_init(&c.uses, pl_div_round_up(p->file->size, p->cluster), findings, err);
	if (r)
		return r < 0 ? r : 0;
	r = check_bat(p, &c, err);
	if (r == 0 && p->extension) {
		use_cluster(p, &c, p->extension, EXTENSION);
		whole = each_bitmap(p, use_bitmap, &c, &damage) == 0;
		if (!whole)
			pl_found(findings, PLATTER_DAMAGE, damage.offset, "%s", damage.message);
	}
	if (r == 0 && whole)
		report_unused(p, &c);
	pl_uses_done(&c.uses);
	return r;
}

static void
count_only(struct pl_findings *findings, enum platter_severity severity, uint64_t offset,
	   const char *message)
{
}

/* An image that was not closed and is sound can be marked as closed. */
static int
parallels_repair(struct pl_disk *disk, bool dry_run, struct pl_findings *findings,
		 struct platter_error *err)
{
	struct pl_findings silent = { .found = count_only };
	struct parallels *p = parallels_of(disk);
	int r = p->state == IN_USE ? parallels_check(disk, &silent, err) : 0;

	if (r < 0)
		return r;
	if (p->state == IN_USE && !silent.count[PLATTER_DAMAGE]) {
		if (!dry_run)
			r = pl_parallels_set_state(p, CLOSED, err);
		if (r < 0)
			return r;
		p->state = CLOSED;
		pl_found(findings, PLATTER_REPAIRED, STATE, "the image was not closed");
	}
	return parallels_check(disk, findings, err);
}

static const struct pl_change_ops change_ops = {
	.repair = parallels_repair,
	.compact = pl_parallels_compact,
};

static const char *const extensions[] = { "hds", "hdd", NULL };
const struct pl_format pl_format_parallels = {
	.info = {
		.name = "parallels",
		.longname = "Parallels disk image",
		.extensions = extensions,
		.abilities = PLATTER_CAN_READ | PLATTER_CAN_WRITE | PLATTER_CAN_CREATE | PLATTER_CAN_CHECK,
		.options = pl_parallels_options,
	},
	.probe = parallels_probe,
	.open = parallels_open,
	.create = pl_parallels_create,
	.check = parallels_check,
	.change = &change_ops,
	.disk_ops = &parallels_ops,
};
