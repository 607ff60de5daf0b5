/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sparse.c - sparse extents of VMDK disks: header, grain directory, grain tables
 *
 * A directory names grain tables, and these name grains, the unit of allocation.  Hosted
 * extents may have both twice; where the first copy cannot be right, the second is used.
 *
 *	hosted, COWD	4 bytes, a sector of the file; 0 none, in tables of hosted extents with
 *			the flag 1 zeros
 *	SESPARSE	8 bytes; in the directory 0x10000000 and the table's number; in tables by
 *			the upper four bits: 0 none, 1 and 2 zeros, 3 the grain's number, whose
 *			lower 12 bits come before the upper 48
 */
#include "blocks.h"
#include "codec.h"
#include "vmdk.h"

/* QEMU and VMware write 64 KiB; nothing may be larger than what one decoder takes. */
#define MAX_GRAIN_SECTORS (PL_MAX_CHUNK / VMDK_SECTOR)
/* As much as COWD has; hosted extents have 512. */
#define MAX_GT_ENTRIES (VMDK_MAX_TABLE / 8)
/* 128 MiB in memory: 512 TiB of disk in grains of 64 KiB. */
#define MAX_TABLES (UINT64_C(1) << 24)

/* Before the end of a streamOptimized extent: marker of the footer, footer, marker of the end. */
#define FOOTER_FROM_END (2 * VMDK_SECTOR)

/* Sectors as bytes; false: that cannot be a place in a file. */
static bool
to_bytes(uint64_t sectors, uint64_t *ret)
{
	*ret = sectors * VMDK_SECTOR;
	return sectors <= INT64_MAX / VMDK_SECTOR;
}

static int
read_geometry(struct vmdk_sparse *s, uint64_t capacity, uint64_t capacity_at, uint64_t grain,
	      uint64_t grain_at, struct platter_error *err)
{
	if (!pl_is_power_of_two(grain) || grain > MAX_GRAIN_SECTORS)
		return pl_corrupt(err, grain_at,
				  "grains of %" PRIu64 " sectors; a power of two up to %" PRIu64
				  " is expected",
				  grain, (uint64_t)MAX_GRAIN_SECTORS);
	s->grain = grain * VMDK_SECTOR;
	s->table_bytes = s->gt_entries * s->entry_size;
	if (!to_bytes(capacity, &s->capacity) ||
	    pl_div_round_up(s->capacity, s->grain * s->gt_entries) > MAX_TABLES)
		return pl_over_limit(err, capacity_at,
				     "a capacity of %" PRIu64 " sectors needs more than %" PRIu64
				     " grain tables",
				     capacity, (uint64_t)MAX_TABLES);
	s->nr_tables = (size_t)pl_div_round_up(s->capacity, s->grain * s->gt_entries);
	return 0;
}

/* The header at byte `at`, or its copy at the end. */
static int
read_hosted(struct vmdk_sparse *s, uint64_t at, unsigned flags, struct platter_error *err)
{
	uint8_t h[VMDK_SECTOR];
	uint64_t directory, redundant, descriptor, descriptor_bytes, overhead;
	int r = pl_read_padded(s->file, h, sizeof h, at, NULL, err);

	if (r < 0)
		return r;
	if (get_le32(h) != HOSTED_MAGIC)
		return pl_corrupt(err, at, "no header of a sparse extent");
	s->version = get_le32(h + HOSTED_VERSION);
	if (s->version < 1 || s->version > 3)
		return pl_unsupported(err, at + HOSTED_VERSION,
				      "sparse extent of version %" PRIu32 ", known are 1 to 3",
				      s->version);
	s->flags = get_le32(h + HOSTED_FLAGS);
	if (s->flags & HOSTED_FLAG_NEWLINES &&
	    memcmp(h + HOSTED_NEWLINES, HOSTED_NEWLINE_TEXT, 4) &&
	    !(flags & PLATTER_OPEN_IGNORE_CHECKSUMS)) {
		r = pl_corrupt(err, at + HOSTED_NEWLINES,
			       "the file was changed by a transfer as text");
		pl_hint(err, "transfer the original again as binary");
		return r;
	}
	if (s->flags & HOSTED_FLAG_COMPRESSED && get_le16(h + HOSTED_COMPRESSION) != 1)
		return pl_unsupported(err, at + HOSTED_COMPRESSION,
				      "compression of type %" PRIu16 ", known is 1 (deflate)",
				      get_le16(h + HOSTED_COMPRESSION));
	s->gt_entries = get_le32(h + HOSTED_GT_ENTRIES);
	if (!s->gt_entries || s->gt_entries > MAX_GT_ENTRIES)
		return pl_corrupt(err, at + HOSTED_GT_ENTRIES,
				  "grain tables of %" PRIu32 " entries, limit is %u", s->gt_entries,
				  MAX_GT_ENTRIES);
	s->entry_size = 4;
	s->unclean = h[HOSTED_UNCLEAN];
	s->directory_field = at + HOSTED_DIRECTORY;
	directory = get_le64(h + HOSTED_DIRECTORY);
	redundant = s->flags & HOSTED_FLAG_REDUNDANT ? get_le64(h + HOSTED_REDUNDANT) : 0;
	descriptor = get_le64(h + HOSTED_DESCRIPTOR);
	/* What a damaged field says is found out when its table is looked for. */
	if (directory == HOSTED_AT_END)
		s->directory_at = HOSTED_AT_END;
	else if (!to_bytes(directory, &s->directory_at))
		s->directory_at = INT64_MAX;
	if (!to_bytes(redundant, &s->redundant_at))
		s->redundant_at = 0;
	if (to_bytes(get_le64(h + HOSTED_OVERHEAD), &overhead))
		s->overhead = overhead;
	if (descriptor) {
		if (!to_bytes(descriptor, &s->descriptor_at) ||
		    !to_bytes(get_le64(h + HOSTED_DESCRIPTOR_SECTORS), &descriptor_bytes) ||
		    !pl_in_range(s->descriptor_at, descriptor_bytes, s->file->size))
			return pl_corrupt(err, at + HOSTED_DESCRIPTOR,
					  "descriptor at sector %" PRIu64
					  " passes the end of the file (%" PRIu64 " bytes)",
					  descriptor, s->file->size);
		s->descriptor_bytes = descriptor_bytes;
	}
	return read_geometry(s, get_le64(h + HOSTED_CAPACITY), at + HOSTED_CAPACITY,
			     get_le64(h + HOSTED_GRAIN), at + HOSTED_GRAIN, err);
}

static int
read_cowd(struct vmdk_sparse *s, struct platter_error *err)
{
	uint8_t h[VMDK_SECTOR];
	int r = pl_read_padded(s->file, h, sizeof h, 0, NULL, err);

	if (r < 0)
		return r;
	s->version = get_le32(h + COWD_VERSION);
	if (s->version != 1)
		return pl_unsupported(err, COWD_VERSION,
				      "COWD extent of version %" PRIu32 ", known is 1", s->version);
	s->gt_entries = COWD_GT_ENTRIES;
	s->entry_size = 4;
	s->directory_at = (uint64_t)get_le32(h + COWD_DIRECTORY) * VMDK_SECTOR;
	s->directory_field = COWD_DIRECTORY;
	r = read_geometry(s, get_le32(h + COWD_CAPACITY), COWD_CAPACITY, get_le32(h + COWD_GRAIN),
			  COWD_GRAIN, err);
	if (r == 0 && get_le32(h + COWD_DIRECTORY_ENTRIES) < s->nr_tables)
		r = pl_corrupt(err, COWD_DIRECTORY_ENTRIES,
			       "a grain directory of %" PRIu32 " entries, %zu are needed",
			       get_le32(h + COWD_DIRECTORY_ENTRIES), s->nr_tables);
	return r;
}

/* The journal of a SESPARSE extent holds what its tables lack. */
static int
read_volatile(struct vmdk_sparse *s, uint64_t sector, struct platter_error *err)
{
	uint8_t h[VMDK_SECTOR];
	uint64_t at;
	int r;

	if (!to_bytes(sector, &at) || !pl_in_range(at, sizeof h, s->file->size))
		return pl_corrupt(err, SE_VOLATILE,
				  "volatile header at sector %" PRIu64
				  " passes the end of the file (%" PRIu64 " bytes)",
				  sector, s->file->size);
	r = pl_read(s->file, h, sizeof h, at, err);
	if (r < 0)
		return r;
	if (get_le64(h) != SE_VOLATILE_MAGIC)
		return pl_corrupt(err, at, "no volatile header of a SESPARSE extent");
	if (h[SE_REPLAY]) {
		r = pl_unsupported(err, at + SE_REPLAY,
				   "the journal of the SESPARSE extent was not replayed");
		pl_hint(err, "start and shut down the virtual machine once where it ran");
		return r;
	}
	return 0;
}

static int
read_sesparse(struct vmdk_sparse *s, struct platter_error *err)
{
	uint8_t h[VMDK_SECTOR];
	uint64_t table_sectors, directory, grains, entries;
	int r = pl_read_padded(s->file, h, sizeof h, 0, NULL, err);

	if (r < 0)
		return r;
	if (get_le64(h + SE_VERSION) != SE_VERSION_2_1)
		return pl_unsupported(err, SE_VERSION,
				      "SESPARSE extent of version 0x%" PRIx64
				      ", known is 0x%" PRIx64,
				      get_le64(h + SE_VERSION), (uint64_t)SE_VERSION_2_1);
	table_sectors = get_le64(h + SE_TABLE_SECTORS);
	if (!table_sectors || table_sectors > MAX_GT_ENTRIES * 8 / VMDK_SECTOR)
		return pl_corrupt(err, SE_TABLE_SECTORS,
				  "grain tables of %" PRIu64 " sectors, limit is %u", table_sectors,
				  MAX_GT_ENTRIES * 8 / VMDK_SECTOR);
	s->version = 2;
	s->entry_size = 8;
	s->gt_entries = (uint32_t)(table_sectors * VMDK_SECTOR / s->entry_size);
	directory = get_le64(h + SE_DIRECTORY);
	grains = get_le64(h + SE_GRAINS);
	if (!to_bytes(directory, &s->directory_at))
		return pl_corrupt(err, SE_DIRECTORY, "grain directory at sector %" PRIu64,
				  directory);
	if (!to_bytes(grains, &s->grains_at))
		return pl_corrupt(err, SE_GRAINS, "grains at sector %" PRIu64, grains);
	r = read_geometry(s, get_le64(h + SE_CAPACITY), SE_CAPACITY, get_le64(h + SE_GRAIN),
			  SE_GRAIN, err);
	if (r < 0)
		return r;
	entries = get_le64(h + SE_DIRECTORY_SECTORS);
	if (entries < pl_div_round_up(s->nr_tables * 8, VMDK_SECTOR))
		return pl_corrupt(err, SE_DIRECTORY_SECTORS,
				  "a grain directory of %" PRIu64
				  " sectors has to hold %zu entries",
				  entries, s->nr_tables);
	return read_volatile(s, get_le64(h + SE_VOLATILE), err);
}

/* A table's place that the directory gives, as far as it can be one. */
static bool
table_fits(const struct vmdk_sparse *s, uint64_t at)
{
	return at && pl_in_range(at, s->table_bytes, s->file->size);
}

/* A directory as it is, in bytes of the file. */
static int
load_directory(struct vmdk_sparse *s, uint64_t at, uint64_t **ret, struct platter_error *err)
{
	PL_AUTOFREE uint64_t *tables = NULL;
	PL_AUTOFREE uint8_t *bytes = NULL;
	uint64_t n = (uint64_t)s->nr_tables * s->entry_size;
	int r;

	if (!pl_in_range(at, n, s->file->size))
		return pl_corrupt(err, s->directory_field,
				  "grain directory of %" PRIu64 " bytes at byte %" PRIu64
				  " passes the end of the file (%" PRIu64 " bytes)",
				  n, at, s->file->size);
	r = pl_read_alloc(s->file, (size_t)n, at, &bytes, err);
	if (r < 0)
		return r;
	tables = calloc(s->nr_tables + 1, sizeof *tables);
	if (!tables)
		return pl_no_memory(err);
	for (size_t i = 0; i < s->nr_tables; i++)
		tables[i] = (uint64_t)get_le32(bytes + i * 4) * VMDK_SECTOR;
	*ret = PL_STEAL(tables);
	return 0;
}

/* The same of a SESPARSE extent. */
static int
load_se_directory(struct vmdk_sparse *s, struct platter_error *err)
{
	PL_AUTOFREE uint8_t *bytes = NULL;
	uint8_t h[16];
	uint64_t first, sectors;
	int r = pl_read_alloc(s->file, s->nr_tables * 8, s->directory_at, &bytes, err);

	if (r == 0)
		r = pl_read(s->file, h, sizeof h, SE_TABLES, err);
	if (r < 0)
		return r;
	first = get_le64(h);
	sectors = get_le64(h + 8);
	if (!pl_in_range(first, sectors, INT64_MAX / VMDK_SECTOR))
		return pl_corrupt(err, SE_TABLES, "grain tables at sector %" PRIu64, first);
	s->tables_at = calloc(s->nr_tables + 1, sizeof *s->tables_at);
	if (!s->tables_at)
		return pl_no_memory(err);
	for (size_t i = 0; i < s->nr_tables; i++) {
		uint64_t e = get_le64(bytes + i * 8);
		uint64_t offset = (e & UINT32_MAX) * s->table_bytes;

		if (!e)
			continue;
		if (e >> 32 != 0x10000000 ||
		    !pl_in_range(offset, s->table_bytes, sectors * VMDK_SECTOR))
			return pl_corrupt(err, s->directory_at + i * 8,
					  "grain directory entry %zu is 0x%016" PRIx64, i, e);
		s->tables_at[i] = first * VMDK_SECTOR + offset;
	}
	return 0;
}

/* Take from the copy of the directory what the directory cannot mean. */
static void
mend_directory(struct vmdk_sparse *s)
{
	for (size_t i = 0; i < s->nr_tables; i++)
		if (!table_fits(s, s->tables_at[i]) && table_fits(s, s->redundant_tables_at[i])) {
			s->tables_at[i] = s->redundant_tables_at[i];
			s->nr_replaced++;
		}
}

static int
load_directories(struct vmdk_sparse *s, struct platter_error *err)
{
	struct platter_error ignored = PLATTER_ERROR_INIT;
	int r, second = -ENOENT;

	if (s->type == VMDK_SESPARSE)
		return load_se_directory(s, err);
	r = load_directory(s, s->directory_at, &s->tables_at, err);
	if (s->redundant_at && r != -ENOMEM)
		second = load_directory(s, s->redundant_at, &s->redundant_tables_at, &ignored);
	if (second < 0)
		return r;
	if (r == 0) {
		mend_directory(s);
		return 0;
	}
	s->lost_directory = true;
	s->tables_at = calloc(s->nr_tables + 1, sizeof *s->tables_at);
	if (!s->tables_at)
		return pl_no_memory(err);
	memcpy(s->tables_at, s->redundant_tables_at, s->nr_tables * sizeof *s->tables_at);
	return 0;
}

/* Is the header's copy where a whole streamOptimized extent has it? */
static bool
has_footer(struct vmdk_sparse *s, uint64_t *ret)
{
	struct platter_error err = PLATTER_ERROR_INIT;
	uint8_t tail[3 * VMDK_SECTOR];

	if (s->file->size < sizeof tail)
		return false;
	*ret = s->file->size - FOOTER_FROM_END;
	return pl_read(s->file, tail, sizeof tail, s->file->size - sizeof tail, &err) == 0 &&
	       !get_le32(tail + MARKER_SIZE) && get_le32(tail + MARKER_TYPE) == MARKER_FOOTER &&
	       get_le32(tail + VMDK_SECTOR) == HOSTED_MAGIC &&
	       get_le64(tail + VMDK_SECTOR + HOSTED_DIRECTORY) != HOSTED_AT_END;
}

/* The directory of a streamOptimized extent is told by its footer, else by its grains. */
static int
find_directory(struct vmdk_sparse *s, unsigned flags, struct platter_error *err)
{
	struct vmdk_sparse start = *s;
	uint64_t footer = 0;
	int r = 0;

	if (s->type != VMDK_SPARSE || s->directory_at != HOSTED_AT_END)
		return 0;
	if (!has_footer(s, &footer)) {
		if (!(s->flags & HOSTED_FLAG_MARKERS))
			return pl_corrupt(
				err, HOSTED_DIRECTORY,
				"no footer at the end, which is to tell the grain directory");
		r = pl_vmdk_salvage(s, &footer, err);
		if (r < 0 || s->salvaged)
			return r;
	}
	r = read_hosted(s, footer, flags, err);
	if (r == 0 && s->directory_at == HOSTED_AT_END)
		r = pl_corrupt(err, footer + HOSTED_DIRECTORY,
			       "a footer without a grain directory");
	if (r == 0 && !s->descriptor_bytes) {
		s->descriptor_at = start.descriptor_at;
		s->descriptor_bytes = start.descriptor_bytes;
	}
	return r;
}

static int
open_parts(struct vmdk_sparse *s, unsigned flags, struct platter_error *err)
{
	uint8_t magic[8];
	int r = pl_read_padded(s->file, magic, sizeof magic, 0, NULL, err);

	if (r < 0)
		return r;
	if (get_le32(magic) == HOSTED_MAGIC) {
		s->type = VMDK_SPARSE;
		r = read_hosted(s, 0, flags, err);
	} else if (get_le32(magic) == COWD_MAGIC) {
		s->type = VMDK_COWD;
		r = read_cowd(s, err);
	} else if (get_le64(magic) == SE_MAGIC) {
		s->type = VMDK_SESPARSE;
		r = read_sesparse(s, err);
	} else {
		return pl_unsupported(err, 0, "'%s' is not a sparse extent of a VMDK disk",
				      s->file->name);
	}
	if (r == 0)
		r = find_directory(s, flags, err);
	/* Without a capacity it is only the descriptor's container. */
	if (r == 0 && !s->salvaged && s->capacity)
		r = load_directories(s, err);
	return r;
}

int
pl_vmdk_sparse_open(struct pl_disk *file, unsigned flags, struct vmdk_sparse **ret,
		    struct platter_error *err)
{
	struct vmdk_sparse *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return pl_no_memory(err);
	s->file = s->tables = file;
	r = open_parts(s, flags, err);
	if (r < 0) {
		pl_error_place(err, file->name);
		pl_vmdk_sparse_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void
pl_vmdk_sparse_free(struct vmdk_sparse *s)
{
	if (!s)
		return;
	free(s->tables_at);
	free(s->redundant_tables_at);
	free(s->found);
	free(s);
}

/* Salvage. */

static int
add_found(struct vmdk_sparse *s, uint64_t grain, uint64_t at, struct platter_error *err)
{
	/* A power of two: time to make room. */
	if (!(s->nr_found & (s->nr_found - 1))) {
		size_t room = s->nr_found ? s->nr_found * 2 : 1;
		struct vmdk_found *found = pl_realloc_array(s->found, room, sizeof *found);

		if (!found)
			return pl_no_memory(err);
		s->found = found;
	}
	s->found[s->nr_found++] =
		(struct vmdk_found){ (uint32_t)grain, (uint32_t)(at / VMDK_SECTOR) };
	return 0;
}

static int
compare_found(const void *a, const void *b)
{
	const struct vmdk_found *x = a, *y = b;

	if (x->grain != y->grain)
		return x->grain < y->grain ? -1 : 1;
	return x->sector < y->sector ? -1 : x->sector > y->sector;
}

/*
 * What the marker at *at is; *at becomes where the next one is.  False: it is none, or what
 * follows it is not all there.
 */
static bool
step(struct vmdk_sparse *s, const uint8_t *marker, uint64_t *at, uint64_t *ret_grain,
     uint32_t *ret_type)
{
	uint64_t value = get_le64(marker + MARKER_VALUE), n;
	uint32_t size = get_le32(marker + MARKER_SIZE);

	*ret_grain = UINT64_MAX;
	*ret_type = get_le32(marker + MARKER_TYPE);
	if (size) {
		uint64_t unit = s->grain / VMDK_SECTOR;

		if (value % unit || value >= s->capacity / VMDK_SECTOR ||
		    value / unit > UINT32_MAX || *at / VMDK_SECTOR > UINT32_MAX)
			return false;
		*ret_grain = value / unit;
		n = pl_round_up(MARKER_DATA + (uint64_t)size, VMDK_SECTOR);
		/* The last sector need not be all there. */
		if (!pl_in_range(*at, MARKER_DATA + (uint64_t)size, s->file->size))
			return false;
	} else {
		if (value > INT64_MAX / VMDK_SECTOR - 1)
			return false;
		n = (value + 1) * VMDK_SECTOR;
		if (!pl_in_range(*at, n, s->file->size))
			return false;
	}
	*at += n;
	return true;
}

int
pl_vmdk_salvage(struct vmdk_sparse *s, uint64_t *ret_footer, struct platter_error *err)
{
	uint64_t at = pl_round_up(PL_MAX(s->overhead, s->descriptor_at + s->descriptor_bytes),
				  VMDK_SECTOR);
	bool sorted = true;

	at = PL_MAX(at, (uint64_t)VMDK_SECTOR);
	while (pl_in_range(at, VMDK_SECTOR, s->file->size)) {
		uint8_t marker[16];
		uint64_t here = at, grain;
		uint32_t type;
		int r = pl_read(s->file, marker, sizeof marker, at, err);

		if (r < 0)
			return r;
		if (!step(s, marker, &at, &grain, &type))
			break;
		if (grain != UINT64_MAX) {
			if (s->nr_found && grain <= s->found[s->nr_found - 1].grain)
				sorted = false;
			r = add_found(s, grain, here, err);
			if (r < 0)
				return r;
		} else if (type == MARKER_FOOTER) {
			/* It is there, but not at the end: something was added to the file. */
			*ret_footer = here + VMDK_SECTOR;
			free(s->found);
			s->found = NULL;
			s->nr_found = 0;
			return 0;
		} else if (type == MARKER_END) {
			s->whole = true;
			break;
		}
	}
	if (!sorted)
		qsort(s->found, s->nr_found, sizeof *s->found, compare_found);
	s->salvaged = true;
	return 0;
}

/* Grains. */

static int
decode_se(const struct vmdk_sparse *s, uint64_t e, uint64_t at, uint32_t index,
	  struct vmdk_grain *ret, struct platter_error *err)
{
	uint64_t number;

	*ret = (struct vmdk_grain){ VMDK_GRAIN_NONE, 0 };
	if (!e)
		return 0;
	switch (e >> 60) {
	case 1:
	case 2: ret->kind = VMDK_GRAIN_ZERO; return 0;
	case 3: break;
	default:
		return pl_corrupt(err, at, "grain table entry %" PRIu32 " is 0x%016" PRIx64, index,
				  e);
	}
	number = (e & 0x0fff000000000000u) >> 48 | (e & 0x0000ffffffffffffu) << 12;
	if (__builtin_mul_overflow(number, s->grain, &ret->at) ||
	    __builtin_add_overflow(ret->at, s->grains_at, &ret->at))
		ret->at = UINT64_MAX;
	ret->kind = VMDK_GRAIN_DATA;
	return 0;
}

int
pl_vmdk_grain_decode(const struct vmdk_sparse *s, const uint8_t *table, uint64_t table_at,
		     uint32_t index, uint64_t first_grain, struct vmdk_grain *ret,
		     struct platter_error *err)
{
	const uint8_t *p = table + (size_t)index * s->entry_size;
	uint64_t at = table_at + (uint64_t)index * s->entry_size, n;
	struct vmdk_grain g = { VMDK_GRAIN_NONE, 0 };
	int r;

	if (s->type == VMDK_SESPARSE) {
		r = decode_se(s, get_le64(p), at, index, &g, err);
		if (r < 0)
			return r;
	} else if (get_le32(p) == 1 && s->flags & HOSTED_FLAG_ZEROED) {
		g.kind = VMDK_GRAIN_ZERO;
	} else if (get_le32(p)) {
		g.kind = VMDK_GRAIN_DATA;
		g.at = (uint64_t)get_le32(p) * VMDK_SECTOR;
	}
	if (g.kind == VMDK_GRAIN_DATA) {
		/* The last one may end where the disk does. */
		n = s->flags & HOSTED_FLAG_COMPRESSED
			    ? 1
			    : PL_MIN(s->grain, s->capacity - (first_grain + index) * s->grain);
		if (!pl_in_range(g.at, n, s->file->size)) {
			r = pl_corrupt(err, at,
				       "grain table entry %" PRIu32 ": a grain at byte %" PRIu64
				       " passes the end of the file (%" PRIu64 " bytes)",
				       index, g.at, s->file->size);
			pl_hint(err, "the file is cut short: compare its size with the original");
			return r;
		}
	}
	*ret = g;
	return 0;
}

int
pl_vmdk_grain_stored(const struct vmdk_sparse *s, uint64_t number, uint64_t at, uint64_t *ret_at,
		     uint64_t *ret_n, struct platter_error *err)
{
	uint64_t sector = number * (s->grain / VMDK_SECTOR), n;
	uint8_t marker[MARKER_DATA];
	int r;

	if (!(s->flags & HOSTED_FLAG_MARKERS)) {
		/* Its end is known to the decoder alone. */
		*ret_at = at;
		*ret_n = PL_MIN(2 * s->grain, s->file->size - at);
		return 0;
	}
	if (!pl_in_range(at, sizeof marker, s->file->size))
		return pl_corrupt(err, at, "the marker of a grain passes the end of the file");
	r = pl_read(s->file, marker, sizeof marker, at, err);
	if (r < 0)
		return r;
	if (get_le64(marker + MARKER_VALUE) != sector)
		return pl_corrupt(err, at,
				  "marker of the grain at sector %" PRIu64
				  " of the disk, expected is %" PRIu64,
				  get_le64(marker + MARKER_VALUE), sector);
	n = get_le32(marker + MARKER_SIZE);
	if (!n || !pl_in_range(at + MARKER_DATA, n, s->file->size)) {
		r = pl_corrupt(err, at + MARKER_SIZE,
			       "a grain of %" PRIu64 " bytes passes the end of the file (%" PRIu64
			       " bytes)",
			       n, s->file->size);
		return r;
	}
	*ret_at = at + MARKER_DATA;
	*ret_n = n;
	return 0;
}

/* The extent that a compressed grain makes. */
static int
map_compressed(const struct vmdk_sparse *s, uint64_t base, uint64_t offset, uint64_t at,
	       struct pl_extent *ret, struct platter_error *err)
{
	uint64_t number = offset / s->grain, start = number * s->grain;
	uint64_t n = PL_MIN(s->grain, s->capacity - start);
	uint64_t stored_at, stored;
	int r = pl_vmdk_grain_stored(s, number, at, &stored_at, &stored, err);

	if (r < 0)
		return r;
	*ret = (struct pl_extent){ .length = n - (offset - start),
				   .kind = PLATTER_DATA,
				   .below = s->file,
				   .stored_offset = stored_at,
				   .decoder = pl_codec_zlib.decoder,
				   .stored_length = stored,
				   .chunk_offset = base + start,
				   .chunk_length = (uint32_t)n };
	return 0;
}

/* By the list of what was found. */
static int
map_salvaged(const struct vmdk_sparse *s, uint64_t base, uint64_t offset, struct pl_extent *ret,
	     struct platter_error *err)
{
	uint64_t number = offset / s->grain;
	size_t low = 0, high = s->nr_found;

	/* The first that is not before it; of several the last in the file is the newest. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->found[middle].grain < number)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + 1 < s->nr_found && s->found[low].grain == number &&
	       s->found[low + 1].grain == number)
		low++;
	if (low < s->nr_found && s->found[low].grain == number)
		return map_compressed(s, base, offset, (uint64_t)s->found[low].sector * VMDK_SECTOR,
				      ret, err);
	*ret = (struct pl_extent){ .kind = PLATTER_HOLE };
	if (low < s->nr_found) {
		ret->length = s->found[low].grain * s->grain - offset;
	} else {
		ret->length = s->capacity - offset;
		if (!s->whole)
			ret->kind = PLATTER_BAD;
	}
	return 0;
}

int
pl_vmdk_table_read(const struct vmdk_sparse *s, uint64_t at, uint8_t ret[static VMDK_MAX_TABLE],
		   struct platter_error *err)
{
	return pl_block_cached(s->tables, s->tables, at, s->table_bytes, ret, err);
}

/* An entry of the copy of a table; -ENOENT: there is no other. */
static __attribute__((noinline)) int
get_copied_grain(const struct vmdk_sparse *s, size_t number, uint32_t index, struct vmdk_grain *ret)
{
	uint64_t at = s->redundant_tables_at ? s->redundant_tables_at[number] : 0;
	uint8_t table[VMDK_MAX_TABLE];
	int r;

	if (!table_fits(s, at) || at == s->tables_at[number])
		return -ENOENT;
	r = pl_vmdk_table_read(s, at, table, NULL);
	if (r < 0)
		return r;
	return pl_vmdk_grain_decode(s, table, at, index, (uint64_t)number * s->gt_entries, ret,
				    NULL);
}

/* An entry of a table, or of its copy if it cannot be right. */
static int
get_grain(const struct vmdk_sparse *s, const uint8_t *table, size_t number, uint32_t index,
	  struct vmdk_grain *ret, struct platter_error *err)
{
	int r = pl_vmdk_grain_decode(s, table, s->tables_at[number], index,
				     (uint64_t)number * s->gt_entries, ret, err);

	return r < 0 && get_copied_grain(s, number, index, ret) == 0 ? 0 : r;
}

static int
map_in_table(const struct vmdk_sparse *s, const uint8_t *table, uint64_t base, uint64_t offset,
	     uint64_t length, struct pl_extent *ret, struct platter_error *err)
{
	static const enum platter_kind kinds[] = { PLATTER_HOLE, PLATTER_ZERO, PLATTER_DATA };
	size_t number = (size_t)(offset / s->grain / s->gt_entries);
	uint32_t index = (uint32_t)(offset / s->grain % s->gt_entries), last = index;
	uint64_t in_grain = offset % s->grain, run;
	struct vmdk_grain g, next;
	int r = get_grain(s, table, number, index, &g, err);

	if (r < 0)
		return r;
	if (g.kind == VMDK_GRAIN_DATA && s->flags & HOSTED_FLAG_COMPRESSED)
		return map_compressed(s, base, offset, g.at, ret, err);
	/* Neighbours that cannot be read are reported when they are asked for. */
	for (run = s->grain - in_grain; run < length && ++last < s->gt_entries; run += s->grain) {
		if (run >= s->capacity - offset ||
		    get_grain(s, table, number, last, &next, NULL) < 0 || next.kind != g.kind ||
		    (g.kind == VMDK_GRAIN_DATA && next.at != g.at + (last - index) * s->grain))
			break;
	}
	*ret = (struct pl_extent){ .length = PL_MIN(run, s->capacity - offset),
				   .kind = kinds[g.kind] };
	if (g.kind == VMDK_GRAIN_DATA) {
		ret->below = s->file;
		ret->stored_offset = g.at + in_grain;
	}
	return 0;
}

/* The table with that number, from its copy if it cannot be read. */
static int
get_table(const struct vmdk_sparse *s, size_t number, uint8_t ret[static VMDK_MAX_TABLE],
	  struct platter_error *err)
{
	uint64_t at = s->tables_at[number], copy = 0;
	int r;

	if (!table_fits(s, at)) {
		r = pl_corrupt(err, s->directory_at + (uint64_t)number * s->entry_size,
			       "grain table %zu at byte %" PRIu64
			       " passes the end of the file (%" PRIu64 " bytes)",
			       number, at, s->file->size);
		pl_hint(err, "the file is cut short: compare its size with the original");
		return r;
	}
	r = pl_vmdk_table_read(s, at, ret, err);
	if (r < 0 && s->redundant_tables_at)
		copy = s->redundant_tables_at[number];
	if (r < 0 && table_fits(s, copy) && pl_vmdk_table_read(s, copy, ret, NULL) == 0)
		r = 0;
	return r;
}

/*
 * The number of tables from `number` on, up to `nr`, that are blank without being read: they
 * follow each other in a hole of the file.  Of an empty disk of 64 TiB these are 4 GiB.
 */
static size_t
tables_in_hole(const struct vmdk_sparse *s, size_t number, uint64_t nr)
{
	uint64_t at = number < s->nr_tables ? s->tables_at[number] : 0;
	struct pl_piece p;
	size_t i = 0;

	nr = PL_MIN(nr, s->nr_tables - number);
	if (!nr || !table_fits(s, at) ||
	    pl_resolve(s->file, at, nr * s->table_bytes, PL_RESOLVE_LEAF_HOLES, &p, NULL) < 0 ||
	    p.kind == PLATTER_DATA || p.kind == PLATTER_BAD)
		return 0;
	nr = PL_MIN(nr, p.length / s->table_bytes);
	while (i < nr && s->tables_at[number + i] == at + (uint64_t)i * s->table_bytes)
		i++;
	return i;
}

int
pl_vmdk_grain_get(const struct vmdk_sparse *s, uint64_t number, struct vmdk_grain *ret,
		  struct platter_error *err)
{
	size_t table_number = (size_t)(number / s->gt_entries);
	uint8_t table[VMDK_MAX_TABLE];
	int r;

	*ret = (struct vmdk_grain){ VMDK_GRAIN_NONE, 0 };
	if (!s->tables_at[table_number])
		return 0;
	r = get_table(s, table_number, table, err);
	return r < 0 ? r
		     : get_grain(s, table, table_number, (uint32_t)(number % s->gt_entries), ret,
				 err);
}

int
pl_vmdk_sparse_map(const struct vmdk_sparse *s, uint64_t base, uint64_t offset, uint64_t length,
		   struct pl_extent *ret, struct platter_error *err)
{
	uint64_t span = s->grain * s->gt_entries;
	size_t number = (size_t)(offset / span), end;
	uint8_t table[VMDK_MAX_TABLE];
	int r;

	if (s->salvaged)
		return map_salvaged(s, base, offset, ret, err);
	if (!s->tables_at[number]) {
		for (end = number + 1; end < s->nr_tables && !s->tables_at[end]; end++)
			if (end * span - offset >= length)
				break;
		*ret = (struct pl_extent){ .length = PL_MIN(end * span, s->capacity) - offset,
					   .kind = PLATTER_HOLE };
		return 0;
	}
	r = get_table(s, number, table, err);
	if (r < 0)
		return r;
	if (pl_is_zero(table, s->table_bytes)) {
		end = number + 1;
		if (end * span - offset < length)
			end += tables_in_hole(s, end, length / span + 1);
		*ret = (struct pl_extent){ .length = PL_MIN(end * span, s->capacity) - offset,
					   .kind = PLATTER_HOLE };
		return 0;
	}
	return map_in_table(s, table, base, offset, length, ret, err);
}
