/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * gpt-fit.c - a GUID partition table moved to the size of the disk that it is on now
 *
 * After a restore onto a larger disk the backup stands in the middle and the space behind
 * it cannot be used.  UEFI 2.10, section 5.3.2, tells the order in which to write: whatever
 * moment the power fails, one copy is whole.
 */
#include "gpt.h"
#include "scheme.h"

#include "checksums.h"

/* What is to be written. */
struct fit {
	struct pl_disk *disk;
	const struct pl_gpt *old;
	const struct pl_gpt_header *header; /* of the copy that is believed */
	uint32_t sector_size;
	uint64_t old_last, last; /* LBA of the backup header: before, and after */
	uint64_t array_sectors;
	uint64_t primary_array, backup_array; /* LBAs */
	uint64_t last_usable;
};

static uint64_t
entry_first(const struct fit *f, uint32_t i)
{
	return get_le64(f->old->use->array + (size_t)i * f->header->entry_size + GPT_FIRST_LBA);
}

static uint64_t
entry_last(const struct fit *f, uint32_t i)
{
	return get_le64(f->old->use->array + (size_t)i * f->header->entry_size + GPT_LAST_LBA);
}

static bool
entry_is_used(const struct fit *f, uint32_t i)
{
	return !pl_is_zero(f->old->use->array + (size_t)i * f->header->entry_size + GPT_TYPE, 16);
}

/* The table covers no more than the source had, and was written for sectors of this size. */
static int
check_source(const struct fit *f, uint64_t source_size, struct platter_error *err)
{
	uint64_t needed = PL_MAX(f->old_last, f->header->last_usable) + 1;
	int r;

	if (needed > source_size / f->sector_size) {
		r = pl_corrupt(err, f->old->use->lba * f->sector_size,
			       "partition table of a disk of %" PRIu64
			       " sectors, the source has only %" PRIu64,
			       needed, source_size / f->sector_size);
		pl_hint(err, "the source was cut short: its last part, with the backup table, is "
			     "missing");
		return r;
	}
	if (f->sector_size != f->disk->sector_size) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "partition table for sectors of %" PRIu32
				   " bytes on a disk whose sectors have %" PRIu32,
				   f->sector_size, f->disk->sector_size);
		pl_hint(err,
			"restore to a disk with sectors of %" PRIu32
			" bytes; most file systems do not survive the change",
			f->sector_size);
		return r;
	}
	return 0;
}

/* Both arrays have room, and no partition is in their way. */
static int
check_room(const struct fit *f, struct platter_error *err)
{
	if (f->last < f->array_sectors + 2 || f->last_usable < f->header->first_usable)
		return pl_fail(err, -ENOSPC,
			       "no room for two partition tables on %" PRIu64 " sectors",
			       f->last + 1);
	if (f->primary_array < 2 ||
	    !pl_in_range(f->primary_array, f->array_sectors, f->header->first_usable))
		return pl_corrupt(err, f->old->use->lba * f->sector_size + GPT_ARRAY_LBA,
				  "array of %" PRIu64 " sectors at LBA %" PRIu64
				  " is not in front of the first usable LBA, %" PRIu64,
				  f->array_sectors, f->primary_array, f->header->first_usable);
	for (uint32_t i = 0; i < f->header->nr_entries; i++)
		if (entry_is_used(f, i) &&
		    (entry_last(f, i) > f->last_usable || entry_first(f, i) > entry_last(f, i)))
			return pl_corrupt(err, PLATTER_NO_OFFSET,
					  "partition %" PRIu32 " from LBA %" PRIu64 " to %" PRIu64
					  ", this disk has room up to LBA %" PRIu64,
					  i + 1, entry_first(f, i), entry_last(f, i),
					  f->last_usable);
	return 0;
}

static int
write_array(const struct fit *f, uint64_t lba, struct platter_error *err)
{
	size_t n = (size_t)(f->array_sectors * f->sector_size);
	PL_AUTOFREE uint8_t *buf = pl_alloc_aligned(n);

	if (!buf)
		return pl_no_memory(err);
	memset(buf, 0, n);
	memcpy(buf, f->old->use->array, (size_t)f->header->nr_entries * f->header->entry_size);
	return pl_write(f->disk, buf, n, lba * f->sector_size, err);
}

/* The header as it was, but for what depends on the size of the disk. */
static int
write_header(const struct fit *f, uint64_t my_lba, uint64_t alternate_lba, uint64_t array_lba,
	     struct platter_error *err)
{
	uint8_t sector[GPT_MAX_SECTOR];

	memcpy(sector, f->old->use->sector, f->sector_size);
	put_le64(sector + GPT_MY_LBA, my_lba);
	put_le64(sector + GPT_ALTERNATE_LBA, alternate_lba);
	put_le64(sector + GPT_LAST_USABLE, f->last_usable);
	put_le64(sector + GPT_ARRAY_LBA, array_lba);
	put_le32(sector + GPT_HEADER_CRC, pl_gpt_header_crc(sector, f->header->size));
	return pl_write(f->disk, sector, f->sector_size, my_lba * f->sector_size, err);
}

static int
write_backup(const struct fit *f, struct platter_error *err)
{
	int r = write_array(f, f->backup_array, err);

	if (r == 0)
		r = write_header(f, f->last, 1, f->backup_array, err);
	return r < 0 ? r : pl_flush(f->disk, err);
}

static int
write_primary(const struct fit *f, struct platter_error *err)
{
	int r = write_array(f, f->primary_array, err);

	if (r == 0)
		r = write_header(f, 1, f->last, f->primary_array, err);
	return r < 0 ? r : pl_flush(f->disk, err);
}

/* Entries of a hybrid MBR, and one that covers everything as FFFFFFFF, stay as they are. */
static int
fit_mbr(const struct fit *f, uint64_t source_size, struct platter_error *err)
{
	uint32_t by_table = (uint32_t)PL_MIN(f->old_last, UINT32_MAX);
	uint32_t by_size = (uint32_t)PL_MIN(source_size / f->sector_size - 1, UINT32_MAX);
	uint8_t sector[GPT_MAX_SECTOR];
	bool changed = false;
	int r = pl_read(f->disk, sector, f->sector_size, 0, err);

	if (r < 0)
		return r;
	for (int i = 0; i < 4 && f->old->has_mbr; i++) {
		uint8_t *e = sector + MBR_ENTRIES + i * MBR_ENTRY;
		uint32_t count = get_le32(e + 12);

		if (e[4] != MBR_PROTECTIVE || get_le32(e + 8) != 1 || count == UINT32_MAX ||
		    (count != by_table && count != by_size))
			continue;
		put_le32(e + 12, (uint32_t)PL_MIN(f->last, UINT32_MAX));
		/* Cylinder, head and sector of the end: past what they can say. */
		memset(e + 5, 0xff, 3);
		changed = true;
	}
	return changed ? pl_write(f->disk, sector, f->sector_size, 0, err) : 0;
}

/* True if the sector is free now: neither in a partition nor in a table. */
static bool
is_free(const struct fit *f, uint64_t lba)
{
	if (lba < f->header->first_usable || lba > f->last_usable)
		return false;
	for (uint32_t i = 0; i < f->header->nr_entries; i++)
		if (entry_is_used(f, i) && lba >= entry_first(f, i) && lba <= entry_last(f, i))
			return false;
	return true;
}

/* Left where it was, the old backup would be found by tools that search for one. */
static int
zero_old_backup(const struct fit *f, struct platter_error *err)
{
	const struct pl_gpt_copy *b = &f->old->backup;
	uint64_t array = pl_gpt_array_sectors(&b->header, f->sector_size);
	int r = 0;

	if (b->state < PL_GPT_BAD_CHECKSUM || b->sector_size != f->sector_size)
		return 0;
	if (is_free(f, b->lba))
		r = pl_zero(f->disk, b->lba * f->sector_size, f->sector_size, 0, err);
	for (uint64_t i = 0; i < array && r == 0; i++)
		if (is_free(f, b->header.array_lba + i))
			r = pl_zero(f->disk, (b->header.array_lba + i) * f->sector_size,
				    f->sector_size, 0, err);
	return r < 0 ? r : pl_flush(f->disk, err);
}

/* Read back what was written. */
static int
check_written(const struct fit *f, struct platter_error *err)
{
	struct pl_gpt now;
	int r = pl_gpt_load(f->disk, f->disk->size, 0, &now, err);

	if (r < 0)
		return r;
	if (now.primary.state != PL_GPT_GOOD || now.backup.state != PL_GPT_GOOD ||
	    now.primary.sector_size != f->sector_size ||
	    now.primary.header.alternate_lba != f->last || now.backup.lba != f->last ||
	    now.primary.header.array_crc != f->header->array_crc ||
	    now.backup.header.array_crc != f->header->array_crc)
		r = pl_fail(err, -EIO, "the partition table that was written does not read back");
	pl_gpt_done(&now);
	return r;
}

static int
rebuild(const struct fit *f, uint64_t source_size, struct platter_error *err)
{
	/* With the primary damaged, the old backup must stand until there is another copy. */
	bool primary_first = f->old->use == &f->old->backup;
	int r = primary_first ? write_primary(f, err) : write_backup(f, err);

	if (r == 0)
		r = primary_first ? write_backup(f, err) : write_primary(f, err);
	if (r == 0)
		r = fit_mbr(f, source_size, err);
	if (r == 0)
		r = zero_old_backup(f, err);
	return r < 0 ? r : check_written(f, err);
}

static int
fit(struct pl_disk *disk, uint64_t source_size, const struct pl_gpt *g, bool *ret_changed,
    struct platter_error *err)
{
	bool from_primary = g->use == &g->primary;
	const struct pl_gpt_header *h = &g->use->header;
	struct fit f = {
		.disk = disk,
		.old = g,
		.header = h,
		.sector_size = g->use->sector_size,
		.old_last = from_primary ? h->alternate_lba : g->use->lba,
		.last = disk->size / g->use->sector_size - 1,
		.array_sectors = pl_gpt_array_sectors(h, g->use->sector_size),
		.primary_array = from_primary ? h->array_lba : 2,
	};
	int r;

	*ret_changed = false;
	if (f.old_last == f.last && source_size == disk->size)
		return 0;
	f.backup_array = f.last - f.array_sectors;
	f.last_usable = f.backup_array - 1;
	r = check_source(&f, source_size, err);
	if (r == 0)
		r = check_room(&f, err);
	if (r == 0)
		r = rebuild(&f, source_size, err);
	*ret_changed = r == 0;
	return r;
}

int
pl_gpt_fit(struct pl_disk *disk, uint64_t source_size, bool *ret_changed, struct platter_error *err)
{
	struct pl_gpt g;
	bool stale = false;
	int r;

	if (source_size > disk->size)
		return pl_invalid(err, "source of %" PRIu64 " bytes on a disk of %" PRIu64,
				  source_size, disk->size);
	r = pl_gpt_load(disk, source_size, 0, &g, err);
	if (r < 0)
		return r;
	if (g.use)
		r = pl_gpt_is_stale(&g, disk, &stale, err);
	if (r == 0 && !g.use)
		r = pl_gpt_explain_none(&g, err);
	if (r == -ENOENT || (r == 0 && stale)) {
		*ret_changed = false;
		r = 0;
	} else if (r == 0) {
		r = fit(disk, source_size, &g, ret_changed, err);
	}
	pl_gpt_done(&g);
	return r;
}
