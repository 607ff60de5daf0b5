/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * udf/partition.c - partition maps: from blocks of a partition to bytes of the disk
 *
 * (ECMA-167 3/10.7, OSTA UDF 2.2.8 to 2.2.13) A logical volume has a list of maps; every
 * address names one of them.  Kinds:
 *
 *	physical	blocks of the partition
 *	virtual		on media written once: a table, in a file whose entry is the last block
 *			that was written, says where each block is now
 *	sparable	on rewritable media: packets that went bad have others instead
 *	metadata	blocks of a file, of which there may be a copy
 */
#include "udf.h"

enum {
	LOGICAL_NR_MAPS = 268,
	LOGICAL_MAPS_LENGTH = 264,
	LOGICAL_MAPS = 440
};
enum {
	MAP_ID = 5,
	MAP_PARTITION = 38,
	MAP_PACKET = 40,
	MAP_NR_TABLES = 42,
	MAP_TABLE_SIZE = 44,
	MAP_TABLES = 48,
	MAP_METADATA_FILE = 40,
	MAP_MIRROR_FILE = 44,
	MAP_SIZE = 64,
};
enum {
	SPARING_ID = 17,
	SPARING_NR = 48,
	SPARING_SEQUENCE = 52,
	SPARING_ENTRIES = 56
};

/* UDF 1.50 has an identifier behind the table, later revisions a header before it. */
#define VAT_TRAILER 36

/* Of entries of a sparing table in use none is so large: it is free, or bad itself. */
#define SPARE_UNUSED 0xfffffff0u

/* Blocks before the end where the last one that was written is looked for: 32 MiB of padding. */
#define MAX_UNWRITTEN 16384

static const struct pl_run *
find_run(const struct pl_runs *runs, uint64_t offset)
{
	size_t low = 0, high = runs->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (runs->run[mid].offset + runs->run[mid].length <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low < runs->nr && runs->run[low].offset <= offset ? &runs->run[low] : NULL;
}

static int
translate_virtual(const struct udf *fs, const struct udf_map *m, uint32_t block, uint64_t *ret_at,
		  uint64_t *ret_length, struct platter_error *err)
{
	uint8_t entry[4];
	int r;

	if (block >= m->nr_virtual)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "virtual block %" PRIu32 " of %" PRIu32,
				  block, m->nr_virtual);
	r = pl_meta_read(m->vat_cache, entry, sizeof entry, m->vat_header + UINT64_C(4) * block,
			 err);
	if (r < 0)
		return r;
	if (get_le32(entry) == UINT32_MAX)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "virtual block %" PRIu32 " is nowhere",
				  block);
	r = pl_udf_translate(fs, m->base, get_le32(entry), false, ret_at, ret_length, err);
	*ret_length = fs->block_size;
	return r;
}

/* The packet that stands for the one that begins at `block`, or NULL. */
static const struct udf_spare *
find_spare(const struct udf_map *m, uint32_t block)
{
	size_t low = 0, high = m->nr_spares;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->spare[mid].original < block)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->nr_spares && m->spare[low].original == block ? &m->spare[low] : NULL;
}

static int
translate_metadata(const struct udf *fs, const struct udf_map *m, uint32_t block, bool mirror,
		   uint64_t *ret_at, uint64_t *ret_length, struct platter_error *err)
{
	const struct pl_runs *runs = mirror || !m->metadata.nr ? &m->mirror : &m->metadata;
	uint64_t offset = (uint64_t)block * fs->block_size;
	const struct pl_run *run = find_run(runs, offset);

	if (!run || run->kind != PLATTER_DATA)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "block %" PRIu32 " is not in the metadata file", block);
	*ret_at = run->stored + (offset - run->offset);
	*ret_length = run->length - (offset - run->offset);
	return 0;
}

int
pl_udf_translate(const struct udf *fs, unsigned map, uint32_t block, bool mirror, uint64_t *ret_at,
		 uint64_t *ret_length, struct platter_error *err)
{
	const struct udf_map *m;
	uint32_t packet;

	if (map >= fs->nr_maps)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "partition map %u of %u", map,
				  fs->nr_maps);
	m = &fs->map[map];
	if (m->kind == MAP_UNKNOWN)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "partition map %u is of a kind, or on a volume, that is not"
				      " read",
				      map);
	if (m->kind == MAP_VIRTUAL)
		return translate_virtual(fs, m, block, ret_at, ret_length, err);
	if (m->kind == MAP_METADATA)
		return translate_metadata(fs, m, block, mirror, ret_at, ret_length, err);
	if (block >= m->nr_blocks)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "block %" PRIu32 " of a partition of %" PRIu32, block,
				  m->nr_blocks);
	*ret_at = m->start + (uint64_t)block * fs->block_size;
	*ret_length = (uint64_t)(m->nr_blocks - block) * fs->block_size;
	if (!m->nr_spares)
		return 0;
	packet = block % m->packet_blocks;
	*ret_length = PL_MIN(*ret_length, (uint64_t)(m->packet_blocks - packet) * fs->block_size);
	if (find_spare(m, block - packet))
		*ret_at =
			((uint64_t)find_spare(m, block - packet)->mapped + packet) * fs->block_size;
	return 0;
}

static const struct udf_partition *
find_partition(const struct udf *fs, unsigned number)
{
	for (unsigned i = 0; i < fs->seq.nr_partitions; i++)
		if (fs->seq.partition[i].number == number)
			return &fs->seq.partition[i];
	return NULL;
}

static bool
has_id(const uint8_t *id, const char *text)
{
	return !strncmp((const char *)id, text, 23);
}

/* A table that has a higher sequence number replaces what was found so far. */
static int
take_sparing_table(struct udf_map *m, const uint8_t *table, size_t n, struct platter_error *err)
{
	unsigned nr = get_le16(table + SPARING_NR);
	struct udf_spare *spare;

	nr = (unsigned)PL_MIN((size_t)nr, (n - SPARING_ENTRIES) / sizeof *spare);
	spare = calloc(nr + 1, sizeof *spare);
	if (!spare)
		return pl_no_memory(err);
	free(m->spare);
	m->spare = spare;
	m->nr_spares = 0;
	for (unsigned i = 0; i < nr; i++) {
		const uint8_t *e = table + SPARING_ENTRIES + 8 * (size_t)i;

		if (get_le32(e) < SPARE_UNUSED)
			m->spare[m->nr_spares++] =
				(struct udf_spare){ get_le32(e), get_le32(e + 4) };
	}
	return 0;
}

static int
compare_spares(const void *a, const void *b)
{
	const struct udf_spare *x = a, *y = b;

	return x->original < y->original ? -1 : x->original > y->original;
}

static int
read_sparing_tables(struct udf *fs, struct udf_map *m, const uint8_t *map,
		    struct platter_error *err)
{
	unsigned nr = PL_MIN(map[MAP_NR_TABLES], 4u);
	size_t n = PL_MIN(get_le32(map + MAP_TABLE_SIZE), SPARING_ENTRIES + 8u * UINT16_MAX);
	PL_AUTOFREE uint8_t *table = NULL;
	uint32_t newest = 0;
	bool any = false;
	int r = 0;

	m->packet_blocks = get_le16(map + MAP_PACKET);
	if (!m->packet_blocks || n < SPARING_ENTRIES)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "packets of %" PRIu32 " blocks, sparing tables of %zu bytes",
				  m->packet_blocks, n);
	table = malloc(n);
	if (!table)
		return pl_no_memory(err);
	for (unsigned i = 0; i < nr && r == 0; i++) {
		uint32_t sector = get_le32(map + MAP_TABLES + 4 * (size_t)i);
		uint64_t at = (uint64_t)sector * fs->sector_size;

		/* Its tag has no identifier of its own. */
		if (pl_meta_read(fs->volume.meta, table, n, at, NULL) < 0 ||
		    pl_udf_check_tag(fs, table, n, 0, sector, at, NULL) < 0 ||
		    !has_id(table + SPARING_ID, "*UDF Sparing Table") ||
		    (any && get_le32(table + SPARING_SEQUENCE) <= newest))
			continue;
		newest = get_le32(table + SPARING_SEQUENCE);
		any = true;
		r = take_sparing_table(m, table, n, err);
	}
	if (r < 0)
		return r;
	if (!any && nr)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "none of %u sparing tables can be read",
				  nr);
	if (m->nr_spares)
		qsort(m->spare, m->nr_spares, sizeof *m->spare, compare_spares);
	return 0;
}

static void
read_map(struct udf *fs, struct udf_map *m, const uint8_t *p)
{
	bool physical = p[0] == 1 && p[1] == 6;
	const struct udf_partition *partition;

	m->kind = MAP_UNKNOWN;
	m->partition = get_le16(p + (physical ? 4 : MAP_PARTITION));
	partition = find_partition(fs, m->partition);
	if (!partition)
		return;
	m->start = (uint64_t)partition->start * fs->sector_size;
	m->nr_blocks =
		(uint32_t)PL_MIN((uint64_t)partition->nr_blocks * fs->sector_size / fs->block_size,
				 UINT32_MAX);
	if (physical)
		m->kind = MAP_PHYSICAL;
	else if (has_id(p + MAP_ID, "*UDF Virtual Partition"))
		m->kind = MAP_VIRTUAL;
	else if (has_id(p + MAP_ID, "*UDF Sparable Partition"))
		m->kind = MAP_SPARABLE;
	else if (has_id(p + MAP_ID, "*UDF Metadata Partition"))
		m->kind = MAP_METADATA;
	m->metadata_block = get_le32(p + MAP_METADATA_FILE);
	m->mirror_block = get_le32(p + MAP_MIRROR_FILE);
}

/* The map that a virtual or metadata one stands on. */
static int
find_base(struct udf *fs, struct udf_map *m, struct platter_error *err)
{
	for (unsigned i = 0; i < fs->nr_maps; i++)
		if (fs->map[i].partition == m->partition &&
		    (fs->map[i].kind == MAP_PHYSICAL || fs->map[i].kind == MAP_SPARABLE)) {
			m->base = i;
			return 0;
		}
	return pl_corrupt(err, PLATTER_NO_OFFSET, "partition map without one of partition %u below",
			  m->partition);
}

static int
take_vat(struct udf *fs, struct udf_map *m, const struct udf_icb *icb, struct platter_error *err)
{
	struct pl_runs runs = { 0 };
	uint8_t trailer[VAT_TRAILER], header[2];
	uint64_t end = icb->size;
	int r = pl_udf_runs(fs, icb, &runs, err);

	if (r == 0 && (end < VAT_TRAILER || end > UINT32_MAX))
		r = pl_corrupt(err, icb->at, "virtual allocation table of %" PRIu64 " bytes", end);
	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	r = pl_file_new(fs->volume.disk, &runs, end, "virtual allocation table", &m->vat, err);
	if (r == 0)
		r = pl_meta_new(m->vat, &m->vat_cache, err);
	if (r == 0)
		r = pl_meta_read(m->vat_cache, trailer, sizeof trailer, end - VAT_TRAILER, err);
	if (r == 0)
		r = pl_meta_read(m->vat_cache, header, sizeof header, 0, err);
	if (r < 0)
		return r;
	if (icb->type == UDF_VAT) {
		m->vat_header = get_le16(header);
	} else if (has_id(trailer + 1, "*UDF Virtual Alloc Tbl")) {
		end -= VAT_TRAILER;
	} else {
		return pl_corrupt(err, icb->at, "file that is no virtual allocation table");
	}
	if (m->vat_header > end)
		return pl_corrupt(err, icb->at,
				  "virtual allocation table of %" PRIu64
				  " bytes with a header of %" PRIu32,
				  end, m->vat_header);
	m->nr_virtual = (uint32_t)((end - m->vat_header) / 4);
	return 0;
}

static void
drop_vat(struct udf_map *m)
{
	pl_meta_free(m->vat_cache);
	pl_disk_unref(m->vat);
	m->vat_cache = NULL;
	m->vat = NULL;
	m->vat_header = m->nr_virtual = 0;
}

/* The last table counts: each session ends with one. */
static int
find_vat(struct udf *fs, struct udf_map *m, struct platter_error *err)
{
	const struct udf_map *base = &fs->map[m->base];
	uint64_t end = pl_disk_size(fs->volume.disk) / fs->block_size;
	uint64_t start = base->start / fs->block_size;
	bool ignored = fs->volume.ignore_checksums;
	int r = -ENOENT;

	end = PL_MIN(end, start + base->nr_blocks);
	/* A tag without its checksums is found everywhere. */
	fs->volume.ignore_checksums = false;
	for (uint64_t i = 1; i <= MAX_UNWRITTEN && i <= end - PL_MIN(end, start) && r < 0; i++) {
		struct udf_icb icb;

		if (pl_udf_read_icb(fs, m->base, (uint32_t)(end - i - start), &icb, NULL) < 0)
			continue;
		if (icb.type == UDF_VAT || icb.type == 0) {
			r = take_vat(fs, m, &icb, NULL);
			if (r < 0)
				drop_vat(m);
		}
		pl_udf_icb_done(&icb);
	}
	fs->volume.ignore_checksums = ignored;
	if (r < 0)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "no virtual allocation table in the last %u blocks: the disc was"
				  " not finished, or the image is cut short",
				  MAX_UNWRITTEN);
	return 0;
}

static int
read_metadata_file(const struct udf *fs, const struct udf_map *m, uint32_t block,
		   struct pl_runs *ret, struct platter_error *err)
{
	struct udf_icb icb;
	int r = pl_udf_read_icb(fs, m->base, block, &icb, err);

	if (r < 0)
		return r;
	r = pl_udf_runs(fs, &icb, ret, err);
	pl_udf_icb_done(&icb);
	return r;
}

static int
read_metadata_files(const struct udf *fs, struct udf_map *m, struct platter_error *err)
{
	int r = read_metadata_file(fs, m, m->metadata_block, &m->metadata, err);
	int second = m->mirror_block == UINT32_MAX
			     ? -ENOENT
			     : read_metadata_file(fs, m, m->mirror_block, &m->mirror, NULL);

	return r < 0 && second < 0 ? r : 0;
}

int
pl_udf_read_maps(struct udf *fs, struct platter_error *err)
{
	const uint8_t *d = fs->seq.logical, *maps = d + LOGICAL_MAPS;
	uint32_t nr = get_le32(d + LOGICAL_NR_MAPS);
	struct pl_cursor c = { maps, maps + PL_MIN(get_le32(d + LOGICAL_MAPS_LENGTH),
						   fs->sector_size - LOGICAL_MAPS) };
	const uint8_t *raw[UDF_MAX_MAPS];
	int r = 0;

	if (nr > UDF_MAX_MAPS)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "%" PRIu32 " partition maps, limit is"
				     " %u",
				     nr, UDF_MAX_MAPS);
	for (uint32_t i = 0; i < nr; i++) {
		const uint8_t *p = c.end - c.p < 2 ? NULL : pl_take(&c, c.p[1]);

		if (!p || p[1] < 6 || (p[0] != 1 && p[1] < MAP_SIZE))
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "partition map %" PRIu32 " of %" PRIu32 " is cut short",
					  i, nr);
		raw[i] = p;
		read_map(fs, &fs->map[i], p);
		fs->nr_maps++;
	}
	for (unsigned i = 0; i < nr && r == 0; i++)
		if (fs->map[i].kind == MAP_SPARABLE)
			r = read_sparing_tables(fs, &fs->map[i], raw[i], err);
	for (unsigned i = 0; i < nr && r == 0; i++) {
		struct udf_map *m = &fs->map[i];

		if (m->kind != MAP_VIRTUAL && m->kind != MAP_METADATA)
			continue;
		r = find_base(fs, m, err);
		if (r == 0)
			r = m->kind == MAP_VIRTUAL ? find_vat(fs, m, err)
						   : read_metadata_files(fs, m, err);
	}
	return r;
}

void
pl_udf_maps_done(struct udf *fs)
{
	for (unsigned i = 0; i < fs->nr_maps; i++) {
		struct udf_map *m = &fs->map[i];

		drop_vat(m);
		free(m->spare);
		pl_runs_done(&m->metadata);
		pl_runs_done(&m->mirror);
	}
}
