/* SPDX-License-Identifier: GPL-3.0-or-later */
/* metadata.c - region tables, metadata and parent locator of a VHDX */
#include "text.h"
#include "vhdx.h"

#define ENTRY_SIZE       32u
#define REGION_ENTRIES   16u
#define METADATA_ENTRIES 32u
/* The largest item known is a parent locator with a handful of paths. */
#define MAX_ITEM            MIB(1)
#define MAX_LOCATOR_ENTRIES 256u

static bool
is_table(const uint8_t *table)
{
	return memcmp(table, "regi", 4) == 0;
}

static int
region_table(struct pl_disk *file, uint64_t at, uint8_t *table, bool *ret_good,
	     struct platter_error *err)
{
	int r;

	*ret_good = false;
	if (!pl_in_range(at, VHDX_TABLE_SIZE, file->size))
		return 0;
	r = pl_read(file, table, VHDX_TABLE_SIZE, at, err);
	*ret_good = r == 0 && is_table(table) &&
		    get_le32(table + VHDX_CRC) == pl_vhdx_crc(table, VHDX_TABLE_SIZE);
	return r;
}

/* The first table, or if that is damaged the second; `ret` is one of the two buffers. */
static int
choose_table(struct pl_disk *file, unsigned flags, struct vhdx_info *info, uint8_t *t1, uint8_t *t2,
	     const uint8_t **ret, uint64_t *ret_at, struct platter_error *err)
{
	bool good1 = false, good2 = false;
	int r = region_table(file, VHDX_REGIONS_1, t1, &good1, err);

	if (r == 0)
		r = region_table(file, VHDX_REGIONS_2, t2, &good2, err);
	if (r < 0)
		return r;
	if (!good1 && !good2 && flags & PLATTER_OPEN_IGNORE_CHECKSUMS) {
		good1 = is_table(t1);
		good2 = is_table(t2);
		info->damage |= VHDX_CRC_IGNORED;
	}
	if (!good1 && !good2)
		return pl_corrupt(err, VHDX_REGIONS_1, "neither region table of the VHDX is sound");
	if (!good1 || !good2)
		info->damage |= VHDX_REGIONS_LOST;
	else if (memcmp(t1, t2, VHDX_TABLE_SIZE) != 0)
		info->damage |= VHDX_REGIONS_DIFFER;
	*ret = good1 ? t1 : t2;
	*ret_at = good1 ? VHDX_REGIONS_1 : VHDX_REGIONS_2;
	return 0;
}

static int
take_region(const struct pl_disk *file, const uint8_t *e, uint64_t at, struct vhdx_info *info,
	    struct platter_error *err)
{
	struct vhdx_region region = { .offset = get_le64(e + 16), .length = get_le32(e + 24) };
	struct vhdx_region *known = NULL;
	char guid[PL_UUID_TEXT];

	if (!memcmp(e, pl_vhdx_guid_bat, 16))
		known = &info->bat;
	else if (!memcmp(e, pl_vhdx_guid_metadata, 16))
		known = &info->metadata;
	if (!known && !(get_le32(e + 28) & 1)) {
		info->other_regions = true;
		return 0;
	}
	pl_guid_text(e, guid);
	if (!known)
		return pl_unsupported(err, at, "image needs region {%s}, which is not known", guid);
	if (known->length)
		return pl_corrupt(err, at, "region {%s} is there twice", guid);
	if (!region.length || region.length % VHDX_UNIT || region.offset % VHDX_UNIT ||
	    region.offset < VHDX_UNIT || !pl_in_range(region.offset, region.length, file->size))
		return pl_corrupt(err, at + 16,
				  "region {%s} of %" PRIu64 " bytes at byte %" PRIu64
				  ": not in whole MiB after the first within the file (%" PRIu64
				  " bytes)",
				  guid, region.length, region.offset, file->size);
	*known = region;
	return 0;
}

static int
read_regions(struct pl_disk *file, unsigned flags, struct vhdx_info *info,
	     struct platter_error *err)
{
	PL_AUTOFREE uint8_t *tables = malloc(2 * VHDX_TABLE_SIZE);
	const uint8_t *table;
	uint64_t at;
	uint32_t nr;
	int r;

	if (!tables)
		return pl_no_memory(err);
	r = choose_table(file, flags, info, tables, tables + VHDX_TABLE_SIZE, &table, &at, err);
	if (r < 0)
		return r;
	info->regions_at = at;
	nr = get_le32(table + 8);
	if (nr > VHDX_MAX_ENTRIES)
		return pl_corrupt(err, at + 8, "%" PRIu32 " regions, limit is %u", nr,
				  VHDX_MAX_ENTRIES);
	for (uint32_t i = 0; i < nr && r == 0; i++) {
		uint32_t in_table = REGION_ENTRIES + i * ENTRY_SIZE;

		r = take_region(file, table + in_table, at + in_table, info, err);
	}
	if (r == 0 && (!info->bat.length || !info->metadata.length))
		r = pl_corrupt(err, at + 8, "the region of the %s is not listed",
			       info->bat.length ? "metadata" : "block allocation table");
	return r;
}

/* Put the place of the BAT into a table. */
static void
place_bat(uint8_t *table, const struct vhdx_region *bat)
{
	uint32_t nr = PL_MIN(get_le32(table + 8), VHDX_MAX_ENTRIES);

	for (uint32_t i = 0; i < nr; i++) {
		uint8_t *e = table + REGION_ENTRIES + i * ENTRY_SIZE;

		if (memcmp(e, pl_vhdx_guid_bat, 16) != 0)
			continue;
		put_le64(e + 16, bat->offset);
		put_le32(e + 24, (uint32_t)bat->length);
	}
	put_le32(table + VHDX_CRC, pl_vhdx_crc(table, VHDX_TABLE_SIZE));
}

int
pl_vhdx_write_regions(struct pl_disk *file, const struct vhdx_info *info,
		      const struct vhdx_region *bat, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *table = NULL;
	int r = pl_read_alloc(file, VHDX_TABLE_SIZE, info->regions_at, &table, err);

	if (r < 0)
		return r;
	place_bat(table, bat);
	r = pl_write(file, table, VHDX_TABLE_SIZE, VHDX_REGIONS_1, err);
	return r < 0 ? r : pl_write(file, table, VHDX_TABLE_SIZE, VHDX_REGIONS_2, err);
}

/* An item of the metadata. */
struct item {
	const uint8_t *guid;
	uint32_t length; /* expected, 0: any */
	bool found;
	uint64_t at; /* in the file */
	uint32_t size;
	uint8_t bytes[16]; /* unless length is 0 */
};

enum {
	PARAMETERS,
	SIZE,
	DISK_ID,
	SECTOR_SIZE,
	PHYSICAL_SIZE,
	LOCATOR,
	NR_ITEMS
};

static int
take_item(struct pl_disk *file, const struct vhdx_info *info, const uint8_t *e, uint64_t at,
	  struct item *items, struct platter_error *err)
{
	uint32_t offset = get_le32(e + 16), length = get_le32(e + 20), flags = get_le32(e + 24);
	struct item *item = NULL;
	char guid[PL_UUID_TEXT];

	for (size_t i = 0; i < NR_ITEMS; i++)
		if (!memcmp(e, items[i].guid, 16) && !(flags & VHDX_META_USER))
			item = &items[i];
	pl_guid_text(e, guid);
	if (!item) {
		if (flags & VHDX_META_REQUIRED)
			return pl_unsupported(err, at,
					      "image needs metadata {%s}, which is not known",
					      guid);
		return 0;
	}
	if (item->found)
		return pl_corrupt(err, at, "metadata {%s} is there twice", guid);
	if (offset < VHDX_TABLE_SIZE || !pl_in_range(offset, length, info->metadata.length) ||
	    length > MAX_ITEM)
		return pl_corrupt(err, at + 16,
				  "metadata {%s} of %" PRIu32 " bytes at byte %" PRIu32
				  " of its region of %" PRIu64 " bytes",
				  guid, length, offset, info->metadata.length);
	if (item->length && length < item->length)
		return pl_corrupt(err, at + 20,
				  "metadata {%s} of %" PRIu32 " bytes, needs %" PRIu32, guid,
				  length, item->length);
	item->found = true;
	item->at = info->metadata.offset + offset;
	item->size = length;
	return item->length ? pl_read(file, item->bytes, item->length, item->at, err) : 0;
}

static int
read_items(struct pl_disk *file, const struct vhdx_info *info, struct item *items,
	   struct platter_error *err)
{
	uint64_t at = info->metadata.offset;
	PL_AUTOFREE uint8_t *table = NULL;
	uint16_t nr;
	int r = pl_read_alloc(file, VHDX_TABLE_SIZE, at, &table, err);

	if (r < 0)
		return r;
	if (memcmp(table, "metadata", 8) != 0)
		return pl_corrupt(err, at, "no metadata table where the region table says");
	nr = get_le16(table + 10);
	if (nr > VHDX_MAX_ENTRIES)
		return pl_corrupt(err, at + 10, "%u metadata items, limit is %u", nr,
				  VHDX_MAX_ENTRIES);
	for (uint32_t i = 0; i < nr && r == 0; i++) {
		uint32_t in_table = METADATA_ENTRIES + i * ENTRY_SIZE;

		r = take_item(file, info, table + in_table, at + in_table, items, err);
	}
	return r;
}

static int
check_sector_size(const struct item *item, const char *what, uint32_t *ret,
		  struct platter_error *err)
{
	uint32_t size = item->found ? get_le32(item->bytes) : 512;

	if (size != 512 && size != 4096)
		return pl_unsupported(err, item->at,
				      "%s sectors of %" PRIu32 " bytes, known are 512 and 4096",
				      what, size);
	*ret = size;
	return 0;
}

void
pl_vhdx_count_entries(struct vhdx_info *info)
{
	uint32_t ratio =
		(uint32_t)((uint64_t)VHDX_BITMAP_BITS * info->sector_size / info->block_size);
	uint64_t nr = pl_div_round_up(info->size, info->block_size);

	info->chunk_ratio = ratio;
	info->nr_blocks = nr;
	if (info->flags & VHDX_HAS_PARENT)
		info->nr_entries = pl_div_round_up(nr, ratio) * (ratio + 1);
	else
		info->nr_entries = nr ? nr + (nr - 1) / ratio : 0;
}

static int
take_values(const struct item *items, struct vhdx_info *info, struct platter_error *err)
{
	static const char *const names[] = { "file parameters", "disk size", "disk id",
					     "logical sector size" };
	int r;

	for (size_t i = PARAMETERS; i <= SECTOR_SIZE; i++)
		if (!items[i].found && i != DISK_ID)
			return pl_corrupt(err, info->metadata.offset, "the metadata lacks the %s",
					  names[i]);
	info->block_size = get_le32(items[PARAMETERS].bytes);
	info->flags = get_le32(items[PARAMETERS].bytes + 4);
	info->size = get_le64(items[SIZE].bytes);
	info->size_at = items[SIZE].at;
	memcpy(info->disk_id, items[DISK_ID].bytes, 16);
	if (info->block_size < MIB(1) || info->block_size > MIB(256) ||
	    !pl_is_power_of_two(info->block_size))
		return pl_corrupt(err, items[PARAMETERS].at,
				  "block size of %" PRIu32
				  " bytes is no power of two from 1 to 256 MiB",
				  info->block_size);
	r = check_sector_size(&items[SECTOR_SIZE], "logical", &info->sector_size, err);
	if (r == 0)
		r = check_sector_size(&items[PHYSICAL_SIZE], "physical",
				      &info->physical_sector_size, err);
	if (r < 0)
		return r;
	if (info->size > VHDX_MAX_SIZE)
		return pl_over_limit(err, items[SIZE].at,
				     "disk of %" PRIu64 " bytes, limit is %" PRIu64, info->size,
				     (uint64_t)VHDX_MAX_SIZE);
	if (info->size % info->sector_size)
		return pl_corrupt(err, items[SIZE].at,
				  "disk of %" PRIu64 " bytes is no number of sectors of %" PRIu32,
				  info->size, info->sector_size);
	pl_vhdx_count_entries(info);
	if (info->nr_entries > info->bat.length / 8)
		return pl_corrupt(err, items[SIZE].at,
				  "disk of %" PRIu64 " bytes needs %" PRIu64
				  " block table entries, there are %" PRIu64,
				  info->size, info->nr_entries, info->bat.length / 8);
	return 0;
}

/* UTF-16 without a NUL, compared with ASCII. */
static bool
key_is(const uint8_t *units, uint32_t n, const char *key)
{
	if (n != 2 * strlen(key))
		return false;
	for (; *key; key++, units += 2)
		if (get_le16(units) != (uint8_t)*key)
			return false;
	return true;
}

static int
take_pair(const uint8_t *b, size_t size, const uint8_t *e, uint64_t at, struct vhdx_info *info,
	  struct platter_error *err)
{
	uint32_t key = get_le32(e), value = get_le32(e + 4);
	uint16_t key_size = get_le16(e + 8), value_size = get_le16(e + 10);
	const struct {
		const char *key;
		char **value;
	} known[] = {
		{ "parent_linkage", &info->linkage },
		{ "parent_linkage2", &info->linkage2 },
		{ "relative_path", &info->relative_path },
		{ "volume_path", &info->volume_path },
		{ "absolute_win32_path", &info->absolute_path },
	};

	if (!pl_in_range(key, key_size, size) || !pl_in_range(value, value_size, size))
		return pl_corrupt(err, at, "parent locator entry passes the end of the locator");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (!key_is(b + key, key_size, known[i].key) || *known[i].value)
			continue;
		*known[i].value = pl_text_from_utf16le(b + value, value_size / 2);
		if (!*known[i].value)
			return pl_no_memory(err);
	}
	return 0;
}

static int
read_locator(struct pl_disk *file, const struct item *item, struct vhdx_info *info,
	     struct platter_error *err)
{
	PL_AUTOFREE uint8_t *b = NULL;
	uint16_t nr;
	int r;

	if (!item->found)
		return pl_corrupt(err, info->metadata.offset,
				  "the image has a parent and no locator that names it");
	info->locator_at = item->at;
	if (item->size < 20)
		return pl_corrupt(err, item->at, "parent locator of %" PRIu32 " bytes, needs 20",
				  item->size);
	r = pl_read_alloc(file, item->size, item->at, &b, err);
	if (r < 0)
		return r;
	if (memcmp(b, pl_vhdx_guid_locator_type, 16) != 0) {
		char guid[PL_UUID_TEXT];

		pl_guid_text(b, guid);
		return pl_unsupported(err, item->at, "parent locator of type {%s} is not known",
				      guid);
	}
	nr = get_le16(b + 18);
	if (nr > MAX_LOCATOR_ENTRIES || 20 + 12u * nr > item->size)
		return pl_corrupt(err, item->at + 18,
				  "parent locator of %" PRIu32 " bytes with %u entries", item->size,
				  nr);
	for (uint32_t i = 0; i < nr && r == 0; i++)
		r = take_pair(b, item->size, b + 20 + i * 12, item->at + 20 + i * 12, info, err);
	return r;
}

int
pl_vhdx_metadata_read(struct pl_disk *file, unsigned flags, struct vhdx_info *info,
		      struct platter_error *err)
{
	struct item items[NR_ITEMS] = {
		[PARAMETERS] = { .guid = pl_vhdx_guid_parameters, .length = 8 },
		[SIZE] = { .guid = pl_vhdx_guid_size, .length = 8 },
		[DISK_ID] = { .guid = pl_vhdx_guid_id, .length = 16 },
		[SECTOR_SIZE] = { .guid = pl_vhdx_guid_sector, .length = 4 },
		[PHYSICAL_SIZE] = { .guid = pl_vhdx_guid_physical, .length = 4 },
		[LOCATOR] = { .guid = pl_vhdx_guid_locator },
	};
	int r = read_regions(file, flags, info, err);

	if (r == 0)
		r = read_items(file, info, items, err);
	if (r == 0)
		r = take_values(items, info, err);
	if (r == 0 && info->flags & VHDX_HAS_PARENT)
		r = read_locator(file, &items[LOCATOR], info, err);
	return r;
}

void
pl_vhdx_info_done(struct vhdx_info *info)
{
	free(info->creator);
	free(info->linkage);
	free(info->linkage2);
	free(info->relative_path);
	free(info->volume_path);
	free(info->absolute_path);
}
