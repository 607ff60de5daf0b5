/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fat/folder.c - the entries of a folder, and the long names in front of them
 *
 *	offset  size  entry of a file or folder
 *	     0    11  short name: 8 and 3, padded with spaces; e5 first: deleted; 0: the end
 *	    11     1  attributes
 *	    12     1  bits 3 and 4: base and extension are shown in lower case (Windows NT)
 *	    13     1  hundredths of a second, created
 *	    14     8  created (time, date), accessed (date), high half of the first cluster (FAT32)
 *	    22     6  changed (time, date), low half of the first cluster
 *	    28     4  size; 0 in folders
 *
 *	offset  size  part of a long name, in front of the entry that it belongs to, last part first
 *	     0     1  number from 1; 40 in the last part; e5: deleted
 *	     1    10  five characters
 *	    11     2  0f, 0
 *	    13     1  sum over the short name
 *	    14    12  six characters
 *	    28     4  two characters
 */
#include "fat.h"

/* "FAT: General Overview of On-Disk Format", and what every system keeps to. */
#define MAX_ENTRIES 65536u

#define PIECE KIB(16)

/* A long name whose parts come one after the other. */
struct long_name {
	uint8_t units[MAX_UNITS * 2];
	unsigned left;  /* parts that are still to come */
	unsigned total; /* 0: there is none */
	uint8_t sum;
};

struct scan {
	struct fat *fat;
	fat_entry_fn *fn;
	void *closure;
	struct long_name live, deleted;
	bool with_deleted, was_deleted, too_many;
	uint32_t nr_entries;
	int first_error;
	struct platter_error *err;
};

static void
take_units(uint8_t *units, const uint8_t *raw)
{
	memcpy(units, raw + 1, 10);
	memcpy(units + 10, raw + 14, 12);
	memcpy(units + 22, raw + 28, 4);
}

static void
take_part(struct long_name *l, const uint8_t *raw)
{
	unsigned number = raw[0] & 0x3f;

	if (raw[0] & 0x40) {
		l->total = number <= LONG_PARTS ? number : 0;
		l->left = l->total;
		l->sum = raw[LONG_CHECKSUM];
	}
	if (!l->total || !number || number != l->left || raw[LONG_CHECKSUM] != l->sum) {
		l->total = 0;
		return;
	}
	l->left--;
	take_units(l->units + (size_t)l->left * PART_UNITS * 2, raw);
}

/* Does the name end in this part?  Then it is the last one of its name. */
static bool
ends_here(const uint8_t *units)
{
	return get_le16(units + 24) == 0 || get_le16(units + 24) == 0xffff;
}

/* The number of a deleted part is lost: they are gathered from the last place down. */
static void
take_deleted_part(struct long_name *l, const uint8_t *raw)
{
	uint8_t units[PART_UNITS * 2];

	take_units(units, raw);
	if (!l->total || l->total == LONG_PARTS || raw[LONG_CHECKSUM] != l->sum || ends_here(units))
		l->total = 0;
	l->sum = raw[LONG_CHECKSUM];
	l->total++;
	memcpy(l->units + (size_t)(LONG_PARTS - l->total) * PART_UNITS * 2, units, sizeof units);
}

static size_t
count_units(const uint8_t *units, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!get_le16(units + 2 * i))
			return i;
	return nr;
}

static unsigned
upper(unsigned c)
{
	return c >= 'a' && c <= 'z' ? c - 32 : c;
}

/* Can a deleted entry's name have begun with `letter`, as the sum in its long name says? */
static bool
letter_fits(uint8_t letter, unsigned first_unit)
{
	unsigned first = upper(first_unit);
	bool plain = (first >= 'A' && first <= 'Z') || (first >= '0' && first <= '9');

	if (letter <= ' ' && letter != 0x05)
		return false;
	if (letter == ENTRY_DELETED || upper(letter) != letter ||
	    (letter < 0x80 && strchr("\"*+,./:;<=>?[\\]|", letter)))
		return false;
	return !plain || letter == first || letter >= 0x80;
}

static int
give_entry(struct scan *s, const uint8_t *raw, uint64_t at)
{
	bool deleted = raw[0] == ENTRY_DELETED;
	struct fat_entry e = { .raw = raw, .at = at, .deleted = deleted || s->was_deleted };
	struct long_name *l = deleted ? &s->deleted : &s->live;

	if (deleted && l->total) {
		const uint8_t *units = l->units + (size_t)(LONG_PARTS - l->total) * PART_UNITS * 2;

		if (letter_fits(pl_fat_first_letter(raw, l->sum), get_le16(units))) {
			e.units = units;
			e.nr_units = count_units(units, (size_t)l->total * PART_UNITS);
		}
	} else if (!deleted && l->total && !l->left && l->sum == pl_fat_checksum(raw)) {
		e.units = l->units;
		e.nr_units = count_units(l->units, (size_t)l->total * PART_UNITS);
	}
	if (!e.nr_units)
		e.units = NULL;
	if (deleted && !pl_fat_entry_is_plausible(s->fat, raw))
		return 0;
	return s->fn(s->closure, &e, s->err);
}

/* 1: the folder ends here. */
static int
take_entry(struct scan *s, const uint8_t *raw, uint64_t at)
{
	unsigned attributes = raw[ENTRY_ATTRIBUTES] & ATTRIBUTE_MASK;
	bool deleted = raw[0] == ENTRY_DELETED;
	int r = 0;

	if (!raw[0])
		return 1;
	if (deleted)
		s->live.total = 0;
	else
		s->deleted.total = 0;
	if (deleted && !s->with_deleted)
		return 0;
	if (attributes == ATTRIBUTE_LONG_NAME) {
		if (deleted)
			take_deleted_part(&s->deleted, raw);
		else
			take_part(&s->live, raw);
		return 0;
	}
	/* "." and "..": no other short name begins with a dot. */
	if (!(attributes & ATTRIBUTE_LABEL) && raw[0] != '.')
		r = give_entry(s, raw, at);
	s->live.total = s->deleted.total = 0;
	/* What ends the listing must not look like the folder's end. */
	return r > 0 ? r + 1 : r;
}

static int
scan_piece(struct scan *s, const uint8_t *piece, size_t n, uint64_t at)
{
	for (size_t i = 0; i + FAT_ENTRY_SIZE <= n; i += FAT_ENTRY_SIZE) {
		int r;

		s->too_many = piece[i] && s->nr_entries++ == MAX_ENTRIES;
		r = s->too_many ? 1 : take_entry(s, piece + i, at + i);
		if (r)
			return r;
	}
	return 0;
}

static void
keep_error(struct scan *s, int r, const struct platter_error *why)
{
	if (s->first_error)
		return;
	s->first_error = r;
	if (s->err)
		*s->err = *why;
}

/* Sectors that cannot be read do not hide the others. */
static int
scan_damaged(struct scan *s, uint8_t *buf, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i += 512) {
		struct platter_error why = PLATTER_ERROR_INIT;
		int r = pl_meta_read(s->fat->volume.meta, buf, 512, at + i, &why);

		if (r == 0) {
			r = scan_piece(s, buf, 512, at + i);
			if (r)
				return r;
			continue;
		}
		keep_error(s, r, &why);
		s->live.total = s->deleted.total = 0;
	}
	return 0;
}

static int
scan_runs(struct scan *s, const struct pl_runs *runs, uint8_t *buf)
{
	for (size_t i = 0; i < runs->nr; i++)
		for (uint64_t done = 0; done < runs->run[i].length; done += PIECE) {
			size_t n = (size_t)PL_MIN(PIECE, runs->run[i].length - done);
			uint64_t at = runs->run[i].stored + done;
			int r = pl_meta_read(s->fat->volume.meta, buf, n, at, NULL);

			r = r < 0 ? scan_damaged(s, buf, n, at) : scan_piece(s, buf, n, at);
			if (r)
				return r;
		}
	return 0;
}

int
pl_fat_read_entry(struct fat *f, struct pl_node_id id, uint8_t raw[static FAT_ENTRY_SIZE],
		  struct platter_error *err)
{
	return pl_meta_read(f->volume.meta, raw, FAT_ENTRY_SIZE,
			    id.inode & ~(uint64_t)FAT_WAS_DELETED, err);
}

/* Could these be `n` bytes of a folder?  *ret_ends: its end is among them. */
static bool
looks_like_folder(const struct fat *f, const uint8_t *bytes, size_t n, bool *ret_ends)
{
	*ret_ends = false;
	for (size_t i = 0; i < n; i += FAT_ENTRY_SIZE) {
		const uint8_t *raw = bytes + i;

		if (!raw[0]) {
			*ret_ends = true;
			return true;
		}
		/* The first entry of a folder of its own. */
		if (i == 0 && raw[0] == '.')
			return false;
		if (!pl_fat_entry_is_plausible(f, raw))
			return false;
	}
	return true;
}

/*
 * A deleted folder: its first cluster, if it is free and still begins with the entry ".",
 * and those free ones behind it that look like more of the same, up to the folder's end.
 */
static int
deleted_folder_runs(struct fat *f, uint32_t first, struct pl_runs *runs, struct pl_chain *ret,
		    struct platter_error *err)
{
	uint64_t cluster = first, max = (uint64_t)MAX_ENTRIES * FAT_ENTRY_SIZE / f->clusters.size;
	uint8_t dot[FAT_ENTRY_SIZE];
	PL_AUTOFREE uint8_t *buf = NULL;
	bool ends = false;
	int r = pl_fat_map(f, err);

	*ret = (struct pl_chain){ .end = PL_CHAIN_ENDS };
	if (r < 0 || pl_cluster_map_used(&f->map, first, 1))
		return r;
	if (pl_meta_read(f->volume.meta, dot, sizeof dot, pl_cluster_at(&f->clusters, first),
			 NULL) < 0 ||
	    memcmp(dot, ".          ", 11) || !(dot[ENTRY_ATTRIBUTES] & ATTRIBUTE_FOLDER))
		return 0;
	buf = malloc(f->clusters.size);
	if (!buf)
		return pl_no_memory(err);
	while (r == 0 && !ends && ret->nr < max) {
		uint64_t at = pl_cluster_at(&f->clusters, (uint32_t)cluster);
		size_t skip = cluster == first ? (size_t)2 * FAT_ENTRY_SIZE : 0;

		if (pl_meta_read(f->volume.meta, buf, f->clusters.size, at, NULL) < 0)
			break;
		if (!looks_like_folder(f, buf + skip, f->clusters.size - skip, &ends)) {
			if (cluster != first)
				break;
			ends = true;
		}
		r = pl_runs_add_data(runs, ret->nr * f->clusters.size, f->clusters.size, at, err);
		ret->nr++;
		cluster = pl_cluster_map_find(&f->map, cluster + 1, false);
		if (!pl_cluster_exists(&f->clusters, (uint32_t)cluster))
			break;
	}
	return r;
}

int
pl_fat_folder_runs(struct fat *f, struct pl_node_id folder, struct pl_runs *runs,
		   struct pl_chain *ret_chain, uint32_t *ret_first, struct platter_error *err)
{
	uint64_t max = (uint64_t)MAX_ENTRIES * FAT_ENTRY_SIZE / f->clusters.size + 1;
	uint8_t raw[FAT_ENTRY_SIZE];
	int r;

	*ret_first = f->boot.root_cluster;
	if (folder.inode == FAT_ROOT && f->boot.bits != 32) {
		uint64_t length = (uint64_t)f->boot.root_entries * FAT_ENTRY_SIZE;

		*ret_chain = (struct pl_chain){ .end = PL_CHAIN_ENDS };
		return pl_runs_add_data(runs, 0, length,
					fat_at(&f->boot) + (uint64_t)f->boot.fats *
								   f->boot.fat_sectors *
								   f->boot.sector_size,
					err);
	}
	if (folder.inode != FAT_ROOT) {
		r = pl_fat_read_entry(f, folder, raw, err);
		if (r < 0)
			return r;
		if (!(raw[ENTRY_ATTRIBUTES] & ATTRIBUTE_FOLDER))
			return pl_fail_at(err, -ENOTDIR, folder.inode, "FAT entry is no folder");
		*ret_first = entry_cluster(f, raw);
	}
	if (folder.inode & FAT_WAS_DELETED)
		return deleted_folder_runs(f, *ret_first, runs, ret_chain, err);
	return pl_chain_follow(&f->clusters, *ret_first, max, runs, ret_chain, err);
}

int
pl_fat_scan(struct fat *f, struct pl_node_id folder, bool deleted, fat_entry_fn *fn, void *closure,
	    struct platter_error *err)
{
	PL_AUTOFREE struct scan *s = calloc(1, sizeof *s);
	PL_AUTOFREE uint8_t *buf = malloc(PIECE);
	struct pl_runs runs = { 0 };
	struct pl_chain chain;
	uint32_t first;
	int r;

	if (!s || !buf)
		return pl_no_memory(err);
	s->fat = f;
	s->fn = fn;
	s->closure = closure;
	s->with_deleted = deleted;
	s->was_deleted = folder.inode & FAT_WAS_DELETED;
	s->err = err;
	r = pl_fat_folder_runs(f, folder, &runs, &chain, &first, err);
	if (r == 0)
		r = scan_runs(s, &runs, buf);
	pl_runs_done(&runs);
	if (r < 0 || r > 1)
		return r < 0 ? r : r - 1;
	/* The end mark was found, or there is none. */
	if (s->first_error)
		return s->first_error;
	if (s->too_many)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "FAT folder of more than %u entries",
				  MAX_ENTRIES);
	if (r == 1 && chain.nr)
		return 0;
	return pl_chain_error(&f->clusters, first, &chain, err);
}
