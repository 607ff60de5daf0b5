/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * table.c - partitions put into the table of a disk that is there
 *
 * libfdisk writes the new table to a sparse file that has those sectors of the disk in which
 * tables are.  What differs from the disk then is kept in files and written: no sector of any
 * partition is among it.  The beginning of the disk is written last, so that an interruption
 * leaves the old table or none.
 */
#include "table.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "facts.h"
#include "fdisk.h"
#include "gpt.h"
#include "guard.h"
#include "identity.h"
#include "place.h"
#include "ranges.h"
#include "scheme.h"
#include "storage.h"
#include "target.h"
#include "text.h"
#include "walk.h"

/* Where tables are: at both ends, and in front of logical partitions. */
#define TABLE_AREA  MIB(1)
#define LOGICAL_GAP MIB(4)
/* What a table takes up, with a record for each logical partition; more is no table. */
#define MAX_CHANGED MIB(8)

struct change {
	struct pl_place *place;      /* the disk */
	struct pl_place *draft;      /* the file that libfdisk wrote */
	struct pl_ranges partitions; /* that are there, and that are to be */
	struct pl_ranges changed;
	bool keep; /* the table that is there; else a new one is begun */
	const struct platter_table_options *options;
};

/* Copy a range of the disk to the draft. */
static int
copy_range(struct pl_disk *from, struct pl_disk *to, uint64_t offset, uint64_t length,
	   struct platter_error *err)
{
	PL_AUTOFREE uint8_t *buf = NULL;
	int r;

	if (offset >= from->size)
		return 0;
	length = PL_MIN(length, from->size - offset);
	r = pl_read_alloc(from, (size_t)length, offset, &buf, err);
	if (r == 0 && !pl_is_zero(buf, (size_t)length))
		r = pl_write(to, buf, (size_t)length, offset, err);
	return r;
}

static int
by_start(const void *a, const void *b)
{
	const struct pl_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* A table of another kind would hide the partitions that are there. */
static int
check_table(struct change *c, const struct platter_table *table, struct platter_error *err)
{
	const char *wanted = c->options->gpt ? "gpt" : "mbr";
	size_t nr = 0;
	int r;

	for (size_t i = 0; i < table->nr_partitions; i++)
		nr += table->partitions[i].role == PLATTER_PARTITION ||
		      table->partitions[i].role == PLATTER_PARTITION_LOGICAL;
	c->keep = !strcmp(table->name, wanted);
	if (c->keep || !nr)
		return 0;
	r = pl_invalid(err, "'%s' has a partition table of another kind, %s, with %zu partition%s",
		       c->place->name, table->name, nr, nr == 1 ? "" : "s");
	if (!strcmp(table->name, "gpt") || !strcmp(table->name, "mbr"))
		pl_hint(err, "add to that: --table=%s", table->name);
	return r;
}

/*
 * Without a protective MBR in front of it libfdisk takes no GPT for one, and would begin a new
 * one on top of a copy that is good.  (UEFI 2.10, 5.2.3)
 */
static int
protect(struct pl_disk *draft, struct platter_error *err)
{
	static const uint8_t entry[8] = { 0, 0, 2, 0, MBR_PROTECTIVE, 0xff, 0xff, 0xff };
	uint64_t last = draft->size / draft->sector_size - 1;
	uint8_t mbr[512];
	int r = pl_read(draft, mbr, sizeof mbr, 0, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < 4; i++)
		if (get_le16(mbr + 510) == 0xaa55 &&
		    mbr[MBR_ENTRIES + i * MBR_ENTRY + 4] == MBR_PROTECTIVE)
			return 0;
	memset(mbr + MBR_ENTRIES, 0, 4 * MBR_ENTRY);
	memcpy(mbr + MBR_ENTRIES, entry, sizeof entry);
	put_le32(mbr + MBR_ENTRIES + 8, 1);
	put_le32(mbr + MBR_ENTRIES + 12, (uint32_t)PL_MIN(last, UINT32_MAX));
	put_le16(mbr + 510, 0xaa55);
	return pl_write(draft, mbr, sizeof mbr, 0, err);
}

/* The sectors with tables, and the ranges of the partitions that are there. */
static int
copy_tables(struct change *c, struct pl_disk *draft, struct platter_error *err)
{
	struct pl_disk *disk = c->place->disk;
	struct pl_range logical[PL_MAX_PARTITIONS];
	const struct platter_table *tables;
	struct pl_arena arena = { 0 };
	uint64_t end = 0;
	size_t nr = 0, nr_logical = 0;
	int r = copy_range(disk, draft, 0, TABLE_AREA, err);

	if (r == 0 && disk->size > 2 * TABLE_AREA)
		r = copy_range(disk, draft, disk->size - TABLE_AREA, TABLE_AREA, err);
	if (pl_tables_read(disk, 0, &arena, &tables, &nr, NULL, NULL) < 0)
		nr = 0;
	if (r == 0 && nr)
		r = check_table(c, &tables[0], err);
	if (r == 0 && c->keep && c->options->gpt)
		r = protect(draft, err);
	for (size_t i = 0; nr && i < tables[0].nr_partitions && r == 0; i++) {
		const struct platter_partition *p = &tables[0].partitions[i];

		if (p->role == PLATTER_PARTITION_EXTENDED)
			end = p->offset;
		if (p->role == PLATTER_PARTITION_LOGICAL)
			logical[nr_logical++] =
				(struct pl_range){ p->offset, p->offset + p->length };
		if (p->role == PLATTER_PARTITION || p->role == PLATTER_PARTITION_LOGICAL)
			r = pl_ranges_add(&c->partitions, p->offset, p->length, err);
	}
	qsort(logical, nr_logical, sizeof *logical, by_start);
	for (size_t i = 0; i < nr_logical && r == 0; i++) {
		if (logical[i].start > end)
			r = copy_range(disk, draft, end,
				       PL_MIN(logical[i].start - end, LOGICAL_GAP), err);
		end = logical[i].end;
	}
	pl_arena_done(&arena);
	return r;
}

static const char *
type_of(const struct platter_lost_partition *p, bool gpt)
{
	if (gpt || strcmp(p->type, "fat") != 0)
		return p->type;
	if (!strcmp(p->structure.longname, "FAT16"))
		return "0e";
	return !strcmp(p->structure.longname, "FAT12") ? "01" : "0c";
}

static int
draw_table(struct change *c, const char *file, const struct platter_lost_partition *partitions,
	   size_t nr, struct platter_error *err)
{
	PL_AUTOFREE struct pl_new_partition *list = calloc(nr + 1, sizeof *list);
	size_t nr_list = 0;
	int r = 0;

	if (!list)
		return pl_no_memory(err);
	for (size_t i = 0; i < nr && r == 0; i++) {
		const struct platter_lost_partition *p = &partitions[i];

		if (!p->fits)
			continue;
		list[nr_list++] = (struct pl_new_partition){ p->offset, p->length,
							     type_of(p, c->options->gpt), NULL };
		r = pl_ranges_add(&c->partitions, p->offset, p->length, err);
	}
	return r < 0 ? r
		     : pl_fdisk_add(file, c->options->gpt, c->keep, c->place->disk->sector_size,
				    list, nr_list, err);
}

/* Which sectors of the draft are not those of the disk. */
static int
compare_draft(struct change *c, struct platter_error *err)
{
	struct pl_disk *draft = c->draft->disk, *disk = c->place->disk;
	struct pl_walk walk = { .disk = draft };
	uint32_t sector = disk->sector_size;
	uint64_t changed = 0, n;
	int r = 0;

	for (uint64_t at = 0; at < disk->size && r == 0; at += n) {
		PL_AUTOFREE uint8_t *new = NULL;
		PL_AUTOFREE uint8_t *old = NULL;
		enum platter_kind kind;

		r = pl_walk_at(&walk, at, disk->size - at, &kind, &n, err);
		if (r < 0 || kind != PLATTER_DATA)
			continue;
		n = PL_MIN(n, TABLE_AREA - at % TABLE_AREA);
		r = pl_read_alloc(draft, (size_t)n, at, &new, err);
		if (r == 0)
			r = pl_read_alloc(disk, (size_t)n, at, &old, err);
		for (uint64_t i = 0; i < n && r == 0; i += sector) {
			if (!memcmp(new + i, old + i, (size_t)PL_MIN(sector, n - i)))
				continue;
			r = pl_ranges_add(&c->changed, at + i, PL_MIN(sector, n - i), err);
			changed += sector;
		}
		if (r == 0 && changed > MAX_CHANGED)
			r = pl_over_limit(err, at,
					  "the table would take more than %" PRIu64 " bytes",
					  (uint64_t)MAX_CHANGED);
	}
	pl_ranges_finish(&c->changed, disk->size);
	return r;
}

/* No sector of a partition may be written. */
static int
check_changed(struct change *c, struct platter_error *err)
{
	pl_ranges_finish(&c->partitions, c->place->disk->size);
	for (size_t i = 0; i < c->changed.nr; i++) {
		const struct pl_range *range = &c->changed.range[i];
		const struct pl_range *p = pl_ranges_find(&c->partitions, range->start);
		int r;

		if (!p || p->start >= range->end)
			continue;
		r = pl_invalid(err,
			       "the table would overwrite byte %" PRIu64
			       " of the partition at byte %" PRIu64,
			       PL_MAX(range->start, p->start), p->start);
		pl_hint(err, "there is no room for it%s",
			c->options->gpt ? "" : "; try --table=gpt");
		return r;
	}
	return 0;
}

static char *
save_name(const struct change *c, size_t index)
{
	return pl_format("%s-0x%08" PRIx64 ".bak", c->options->save, c->changed.range[index].start);
}

static int
save_range(struct change *c, size_t index, struct platter_error *err)
{
	const struct pl_range *range = &c->changed.range[index];
	size_t n = (size_t)(range->end - range->start);
	PL_AUTOFREE char *name = save_name(c, index);
	PL_AUTOFREE uint8_t *old = NULL;
	int fd, r;

	if (!name)
		return pl_no_memory(err);
	r = pl_read_alloc(c->place->disk, n, range->start, &old, err);
	if (r < 0)
		return r;
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0) {
		r = pl_fail_errno(err, -errno, "keep the old sectors in '%s'", name);
		pl_hint(err, "it may be from an earlier repair: move it away");
		return r;
	}
	if (write(fd, old, n) != (ssize_t)n || fsync(fd) < 0)
		r = pl_fail_errno(err, errno ? -errno : -EIO, "write '%s'", name);
	close(fd);
	if (r == 0 && c->options->saved)
		c->options->saved(name, range->start, n, c->options->closure);
	return r;
}

/* From the end to the beginning, which names the rest. */
static int
write_changes(struct change *c, struct platter_error *err)
{
	struct pl_disk *disk = c->place->disk;
	int r = 0;

	for (size_t i = c->changed.nr; i-- && r == 0;) {
		const struct pl_range *range = &c->changed.range[i];
		size_t n = (size_t)(range->end - range->start);
		PL_AUTOFREE uint8_t *new = NULL;

		r = pl_read_alloc(c->draft->disk, n, range->start, &new, err);
		if (r == 0)
			r = pl_write(disk, new, n, range->start, err);
		if (r == 0)
			r = pl_flush(disk, err);
	}
	if (r == 0 && disk == c->place->storage)
		r = pl_storage_reread_table(c->place->storage, err);
	return r;
}

static int
change_table(struct change *c, const char *file, const struct platter_lost_partition *partitions,
	     size_t nr, struct platter_error *err)
{
	struct pl_place *draft;
	int r = pl_work_file(file, c->place->disk->size, err);

	if (r == 0)
		r = pl_place_open(file, "raw", PLATTER_OPEN_WRITE, &draft, err);
	if (r < 0)
		return r;
	r = copy_tables(c, draft->disk, err);
	pl_place_close(draft);
	if (r == 0)
		r = draw_table(c, file, partitions, nr, err);
	if (r == 0)
		r = pl_place_open(file, "raw", 0, &c->draft, err);
	if (r == 0)
		r = compare_draft(c, err);
	if (r == 0)
		r = check_changed(c, err);
	for (size_t i = 0; i < c->changed.nr && r == 0 && c->options->save && !c->options->dry_run;
	     i++)
		r = save_range(c, i, err);
	return r == 0 && !c->options->dry_run ? write_changes(c, err) : r;
}

static int
check_target(const char *target, struct platter_error *err)
{
	struct stat st;

	if (stat(target, &st) == 0 && (S_ISBLK(st.st_mode) || S_ISREG(st.st_mode)))
		return pl_guard_device(target, err);
	return 0;
}

int
pl_write_table(const char *target, const struct platter_lost_partition *partitions, size_t nr,
	       const struct platter_table_options *options, struct platter_error *err)
{
	struct change c = { .options = options };
	char *folder = NULL;
	int r = check_target(target, err);

	if (r == 0)
		r = pl_place_open(target, options->format,
				  PLATTER_OPEN_WRITE | PLATTER_OPEN_EXCLUSIVE, &c.place, err);
	if (r < 0)
		return r;
	if (!c.place->disk->writable)
		r = pl_fail(err, -EROFS, "'%s' cannot be written", target);
	else if (options->identity)
		r = pl_identity_check(&options->identity->identity, c.place->storage, err);
	if (r == 0)
		r = pl_work_folder("-", &folder, err);
	if (r == 0) {
		PL_AUTOFREE char *file = pl_format("%s/table", folder);

		r = file ? change_table(&c, file, partitions, nr, err) : pl_no_memory(err);
	}
	pl_place_close(c.draft);
	pl_place_close(c.place);
	pl_work_folder_remove(folder);
	pl_ranges_done(&c.partitions);
	pl_ranges_done(&c.changed);
	return r;
}
