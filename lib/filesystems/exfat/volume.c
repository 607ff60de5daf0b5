/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * exfat/volume.c - the files of exFAT ("exFAT file system specification", Microsoft, 2019)
 *
 * Two boot regions of 12 sectors, the FAT (in TexFAT two of them), and the clusters.  The root
 * folder, whose chain is in the FAT, has entries for the bitmap of clusters in use and for
 * the table of capital letters.
 */
#include <stdio.h>

#include "content.h"
#include "exfat.h"
#include "text.h"

/* The largest table: 65536 characters that are listed one by one. */
#define MAX_UPCASE KIB(128)

/* 2^29 clusters: a volume of 64 TiB as Windows formats them. */
#define MAX_MAP MIB(64)

static struct exfat *
exfat_of(struct pl_volume *v)
{
	return pl_container_of(v, struct exfat, volume);
}

/* A time with its hundredths; `offset` is that of the local time, in quarters of an hour. */
static struct platter_time
decode_time(uint32_t time, unsigned hundredths, unsigned offset)
{
	struct platter_time t = pl_dos_time(time >> 16, time & 0xffff, hundredths);

	if (t.seconds != PLATTER_NO_TIME && offset & 0x80)
		t.seconds -= ((int)(offset & 0x7f) - (offset & 0x40 ? 128 : 0)) * 900;
	return t;
}

void
pl_exfat_file_info(const struct exfat *x, const struct exfat_file *file, struct platter_file *ret)
{
	static const struct {
		unsigned stored;
		uint32_t attribute;
	} attributes[] = {
		{ ATTRIBUTE_READ_ONLY, PLATTER_FILE_READ_ONLY },
		{ ATTRIBUTE_HIDDEN, PLATTER_FILE_HIDDEN },
		{ ATTRIBUTE_SYSTEM, PLATTER_FILE_SYSTEM },
		{ ATTRIBUTE_ARCHIVE, PLATTER_FILE_ARCHIVE },
	};
	const uint8_t *p = file->primary;

	*ret = (struct platter_file){
		.type = file->attributes & ATTRIBUTE_FOLDER ? PLATTER_FILE_FOLDER
							    : PLATTER_FILE_REGULAR,
		.links = 1,
		.inode = file->id.inode & ~(uint64_t)EXFAT_ID_FLAGS,
		.size = file->size,
		.created = decode_time(get_le32(p + FILE_CREATED), p[FILE_CREATED_10MS],
				       p[FILE_CREATED_OFFSET]),
		.modified = decode_time(get_le32(p + FILE_MODIFIED), p[FILE_MODIFIED_10MS],
					p[FILE_MODIFIED_OFFSET]),
		.accessed = decode_time(get_le32(p + FILE_ACCESSED), 0, p[FILE_ACCESSED_OFFSET]),
		.changed.seconds = PLATTER_NO_TIME,
	};
	if (file->encrypted)
		ret->note = "encrypted by Windows";
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
		if (file->attributes & attributes[i].stored)
			ret->attributes |= attributes[i].attribute;
	if (file->deleted)
		ret->attributes |= PLATTER_FILE_DELETED;
	else if (file->cluster)
		ret->allocated = pl_round_up(file->size, x->clusters.size);
	if (file->damaged || (file->valid && !pl_cluster_exists(&x->clusters, file->cluster)))
		ret->attributes |= PLATTER_FILE_DAMAGED;
}

static int
exfat_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	   struct platter_error *err)
{
	struct exfat *x = exfat_of(v);
	uint8_t set[MAX_SET_ENTRIES * EXFAT_ENTRY_SIZE];
	struct exfat_file file;
	struct pl_chain chain;
	int r;

	if (id.inode != EXFAT_ROOT) {
		r = pl_exfat_read_file(x, id, set, &file, err);
		if (r == 0)
			pl_exfat_file_info(x, &file, ret);
		return r;
	}
	r = pl_chain_follow(&x->clusters, x->boot.root_cluster, x->clusters.nr, NULL, &chain, err);
	if (r < 0)
		return r;
	ret->type = PLATTER_FILE_FOLDER;
	ret->inode = 0;
	ret->size = ret->allocated = chain.nr * x->clusters.size;
	return 0;
}

struct lister {
	pl_entry_fn *fn;
	void *closure;
};

static int
give_name(void *closure, const struct exfat_file *file, struct platter_error *err)
{
	const struct lister *l = closure;
	char name[MAX_EXFAT_NAME];
	struct pl_entry e = {
		.name = name,
		.length = pl_name_from_utf16le(file->units, file->nr_units, name),
		.id = file->id,
		.type = file->attributes & ATTRIBUTE_FOLDER ? PLATTER_FILE_FOLDER
							    : PLATTER_FILE_REGULAR,
	};

	return l->fn(l->closure, &e, err);
}

static int
exfat_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	   struct platter_error *err)
{
	struct lister l = { fn, closure };

	return pl_exfat_scan(exfat_of(v), folder, false, give_name, NULL, &l, err);
}

struct finder {
	const struct exfat *exfat;
	const char *name;
	size_t n;
	uint8_t *units;
	size_t nr_units;
	int found; /* the best: 2 exactly, 1 but for case */
	struct pl_node_id id;
};

static bool
equal_but_for_case(const struct finder *w, const struct exfat_file *file, const char *name,
		   size_t n)
{
	const uint16_t *upcase = w->exfat->upcase;

	if (!upcase)
		return pl_names_equal_folded(name, n, w->name, w->n);
	if (file->nr_units != w->nr_units)
		return false;
	for (size_t i = 0; i < file->nr_units; i++)
		if (upcase[get_le16(file->units + 2 * i)] != upcase[get_le16(w->units + 2 * i)])
			return false;
	return true;
}

static int
compare_name(void *closure, const struct exfat_file *file, struct platter_error *err)
{
	struct finder *w = closure;
	char name[MAX_EXFAT_NAME];
	size_t n = pl_name_from_utf16le(file->units, file->nr_units, name);
	int found;

	(void)err;
	if (n == w->n && !memcmp(name, w->name, n))
		found = 2;
	else
		found = !w->found && equal_but_for_case(w, file, name, n);
	if (found > w->found) {
		w->found = found;
		w->id = file->id;
	}
	return found == 2;
}

static int
exfat_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
	     struct pl_node_id *ret, struct platter_error *err)
{
	struct finder w = { .exfat = exfat_of(v), .name = name, .n = n };
	PL_AUTOFREE char *text = strndup(name, n);
	int r;

	if (!text)
		return pl_no_memory(err);
	w.units = pl_utf16le_from_text(text, &w.nr_units);
	if (!w.units)
		return pl_no_memory(err);
	r = pl_exfat_scan(exfat_of(v), folder, false, compare_name, NULL, &w, err);
	free(w.units);
	if (!w.found)
		return r < 0 ? r : -ENOENT;
	*ret = w.id;
	return 0;
}

static int
file_runs(struct exfat *x, const struct exfat_file *file, const char *name, struct pl_runs *runs,
	  struct platter_error *err)
{
	uint64_t budget = UINT64_MAX;
	int r = file->deleted ? pl_exfat_map(x, err) : 0;

	if (r < 0)
		return r;
	if (file->deleted && pl_exfat_judge(x, file, &budget) == PLATTER_RECOVERY_NOTHING)
		return pl_fail(err, -ENODATA, "where '%s' was is not known, or is another file's",
			       name);
	r = pl_exfat_runs(x, file, file->valid, runs, err);
	if (r < 0)
		return r;
	return pl_runs_add_zero(runs, file->valid, file->size - file->valid, err);
}

static int
exfat_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
		struct pl_disk **ret, struct platter_error *err)
{
	struct exfat *x = exfat_of(v);
	uint8_t set[MAX_SET_ENTRIES * EXFAT_ENTRY_SIZE];
	struct pl_runs runs = { 0 };
	struct exfat_file file;
	int r;

	(void)stream;
	if (id.inode == EXFAT_ROOT)
		return pl_fail(err, -EISDIR, "'%s' is a folder", name);
	r = pl_exfat_read_file(x, id, set, &file, err);
	if (r < 0)
		return r;
	if (file.attributes & ATTRIBUTE_FOLDER)
		return pl_fail(err, -EISDIR, "'%s' is a folder", name);
	if (file.size > INT64_MAX)
		return pl_corrupt(err, id.inode & ~(uint64_t)EXFAT_ID_FLAGS,
				  "exFAT file of %" PRIu64 " bytes", file.size);
	r = file_runs(x, &file, name, &runs, err);
	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	return pl_file_new(v->disk, &runs, file.size, name, ret, err);
}

static uint64_t
bitmap_size(const struct exfat *x)
{
	return pl_div_round_up(x->clusters.nr, 8);
}

static int
check_bitmap(const struct exfat *x, struct platter_error *err)
{
	if (!x->bitmap)
		return pl_corrupt(err, PLATTER_NO_OFFSET, "no allocation bitmap: %s",
				  x->no_bitmap ? x->no_bitmap : "the root folder has none");
	return 0;
}

int
pl_exfat_map(struct exfat *x, struct platter_error *err)
{
	uint8_t *bits;
	int r = 0;

	pthread_mutex_lock(&x->lock);
	if (!x->mapped) {
		r = check_bitmap(x, err);
		if (r == 0 && bitmap_size(x) > MAX_MAP)
			r = pl_over_limit(err, PLATTER_NO_OFFSET,
					  "allocation bitmap of %" PRIu64
					  " bytes, limit is %" PRIu64,
					  bitmap_size(x), (uint64_t)MAX_MAP);
		if (r == 0)
			r = pl_read_alloc(x->bitmap, (size_t)bitmap_size(x), 0, &bits, err);
		if (r == 0)
			r = pl_cluster_map_init(&x->map, bits, x->clusters.nr, err);
		x->mapped = r == 0;
	}
	pthread_mutex_unlock(&x->lock);
	return r;
}

/* What the bitmap should have marked anyway. */
static int
add_system_files(struct exfat *x, struct pl_ranges *used, struct platter_error *err)
{
	struct pl_runs runs = { 0 };
	struct pl_chain chain;
	int r = pl_chain_follow(&x->clusters, x->boot.root_cluster, x->clusters.nr, &runs, &chain,
				err);

	for (size_t i = 0; i < runs.nr && r == 0; i++)
		r = pl_ranges_add(used, runs.run[i].stored, runs.run[i].length, err);
	pl_runs_done(&runs);
	return r;
}

static int
exfat_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	struct exfat *x = exfat_of(v);
	const struct pl_clusters *c = &x->clusters;
	uint64_t end = c->heap + (uint64_t)c->nr * c->size;
	PL_AUTOFREE uint8_t *bits = malloc(KIB(64));
	int r = check_bitmap(x, err);

	if (r < 0)
		return r;
	if (!bits)
		return pl_no_memory(err);
	r = pl_ranges_add(used, 0, PL_MIN(c->heap, v->size), err);
	for (uint64_t i = 0; i < bitmap_size(x) && r == 0; i += KIB(64)) {
		size_t n = (size_t)PL_MIN(KIB(64), bitmap_size(x) - i);

		r = pl_read(x->bitmap, bits, n, i, err);
		if (r == 0)
			r = pl_ranges_add_bits(used, bits, PL_MIN(n * 8, c->nr - i * 8),
					       PL_LSB_FIRST, true, c->heap + i * 8 * c->size,
					       c->size, err);
	}
	if (r == 0)
		r = add_system_files(x, used, err);
	if (r == 0 && end < v->size)
		r = pl_ranges_add(used, end, v->size - end, err);
	return r;
}

static void
describe_backup(struct exfat *x, struct pl_facts *facts)
{
	size_t size = (size_t)BOOT_REGION_SECTORS << x->boot.sector_bits;
	PL_AUTOFREE uint8_t *region = malloc(size);

	if (x->backup)
		pl_warn(facts, "the boot region is gone: its copy was used");
	else if (region && pl_meta_read(x->volume.meta, region, size, size, NULL) == 0 &&
		 !pl_exfat_boot_checksum_matches(region, x->boot.sector_bits))
		pl_warn(facts, "the checksum of the second boot region does not match");
}

static void
exfat_describe(struct pl_volume *v, struct pl_facts *facts)
{
	struct exfat *x = exfat_of(v);
	char guid[PL_UUID_TEXT];

	pl_fact_number(facts, "clusters", "clusters", x->clusters.nr);
	if (x->boot.fats == 2) {
		pl_fact_flag(facts, "texfat", "TexFAT: two FATs", true);
		pl_fact_number(facts, "active_fat", "the one in use, from 0",
			       x->boot.flags & FLAG_SECOND_FAT);
	}
	if (x->has_guid) {
		pl_guid_text(x->guid, guid);
		pl_fact_text(facts, "volume_guid", "volume GUID", "%s", guid);
	}
	if (x->boot.partition_offset)
		pl_fact_number(facts, "hidden_sectors", "sectors in front of it",
			       x->boot.partition_offset);
	describe_backup(x, facts);
	if (!x->bitmap)
		pl_warn(facts, "no allocation bitmap: %s",
			x->no_bitmap ? x->no_bitmap : "the root folder has none");
	if (!x->upcase)
		pl_warn(facts, "no up-case table that is whole: names are compared as Unicode is");
	if (v->state == PLATTER_STATE_DIRTY)
		pl_warn(facts, "it was not unmounted: what was written last may be missing");
}

static void
exfat_free(struct pl_volume *v)
{
	struct exfat *x = exfat_of(v);

	pl_disk_unref(x->bitmap);
	free(x->no_bitmap);
	free(x->upcase);
	pl_cluster_map_done(&x->map);
	pthread_mutex_destroy(&x->lock);
	pl_volume_done(v);
	free(x);
}

static const struct pl_volume_ops exfat_ops = {
	.stat = exfat_stat,
	.list = exfat_list,
	.lookup = exfat_lookup,
	.open = exfat_open_file,
	.used = exfat_used,
	.deleted = pl_exfat_deleted,
	.describe = exfat_describe,
	.free = exfat_free,
};

static int
read_boot(struct exfat *x, struct platter_error *err)
{
	size_t size = (size_t)2 * BOOT_REGION_SECTORS * 4096;
	PL_AUTOFREE uint8_t *head = malloc(size);
	int r;

	if (!head)
		return pl_no_memory(err);
	r = pl_read_padded(x->volume.disk, head, size, 0, NULL, err);
	if (r < 0) { /* a bad sector somewhere behind it */
		size = EXFAT_BOOT_SIZE;
		r = pl_read_padded(x->volume.disk, head, size, 0, NULL, err);
	}
	if (r < 0)
		return r;
	r = pl_exfat_boot_decode(head, &x->boot, err);
	if (r < 0 && pl_exfat_backup_boot(head, size, &x->boot)) {
		x->backup = true;
		r = 0;
	}
	return r;
}

static int
set_clusters(struct exfat *x, struct platter_error *err)
{
	const struct exfat_boot *b = &x->boot;
	struct pl_clusters *c = &x->clusters;
	uint64_t fat_size = (uint64_t)b->fat_length << b->sector_bits, size;
	bool second = b->fats == 2 && b->flags & FLAG_SECOND_FAT;

	if (b->fats < 1 || b->fats > 2)
		return pl_corrupt(err, EXFAT_FATS, "%u FATs, limit is 2", b->fats);
	if (b->sectors > UINT64_MAX >> b->sector_bits)
		return pl_corrupt(err, EXFAT_SECTORS, "exFAT of %" PRIu64 " sectors", b->sectors);
	size = b->sectors << b->sector_bits;
	if (b->fat_offset < BOOT_REGION_SECTORS || fat_size / 4 <= PL_FIRST_CLUSTER)
		return pl_corrupt(err, EXFAT_FAT_OFFSET,
				  "FAT of %" PRIu32 " sectors from sector %" PRIu32, b->fat_length,
				  b->fat_offset);
	if (b->heap_offset < b->fat_offset || b->heap_offset >= b->sectors)
		return pl_corrupt(err, EXFAT_HEAP_OFFSET,
				  "clusters from sector %" PRIu32 " of %" PRIu64, b->heap_offset,
				  b->sectors);
	c->disk = x->volume.disk;
	c->meta = x->volume.meta;
	c->bits = 32;
	c->size = 1u << b->cluster_bits;
	c->heap = (uint64_t)b->heap_offset << b->sector_bits;
	c->nr = (uint32_t)PL_MIN(fat_size / 4 - PL_FIRST_CLUSTER, b->clusters);
	c->nr = (uint32_t)PL_MIN(c->nr, (size - c->heap) / c->size);
	c->nr = PL_MIN(c->nr, UINT32_MAX - 10);
	c->table[0] = ((uint64_t)b->fat_offset << b->sector_bits) + second * fat_size;
	c->nr_tables = 1;
	x->volume.size = PL_MIN(x->volume.size, size);
	return 0;
}

/* The entries of the root folder that tell of the volume. */
struct system {
	struct exfat *exfat;
	uint8_t bitmap[EXFAT_ENTRY_SIZE], upcase[EXFAT_ENTRY_SIZE];
	bool has_bitmap, has_upcase;
};

static int
take_system_entry(void *closure, const uint8_t *raw, struct platter_error *err)
{
	struct system *s = closure;
	unsigned wanted = s->exfat->boot.fats == 2 ? s->exfat->boot.flags & FLAG_SECOND_FAT : 0;

	(void)err;
	if (raw[0] == ENTRY_BITMAP && (raw[1] & 1) == wanted && !s->has_bitmap) {
		memcpy(s->bitmap, raw, EXFAT_ENTRY_SIZE);
		s->has_bitmap = true;
	} else if (raw[0] == ENTRY_UPCASE && !s->has_upcase) {
		memcpy(s->upcase, raw, EXFAT_ENTRY_SIZE);
		s->has_upcase = true;
	} else if (raw[0] == ENTRY_GUID) {
		memcpy(s->exfat->guid, raw + 6, sizeof s->exfat->guid);
		s->exfat->has_guid = true;
	}
	return 0;
}

/* What an entry of the root folder points to, as a disk. */
static int
open_system_file(struct exfat *x, const uint8_t *raw, uint64_t min, uint64_t max, const char *what,
		 struct pl_disk **ret, struct platter_error *err)
{
	uint64_t size = get_le64(raw + ENTRY_DATA_LENGTH);
	struct pl_runs runs = { 0 };
	int r;

	if (size < min || size > max)
		return pl_corrupt(err, PLATTER_NO_OFFSET,
				  "%s of %" PRIu64 " bytes, limits are %" PRIu64 " and %" PRIu64,
				  what, size, min, max);
	r = pl_chain_runs(&x->clusters, get_le32(raw + ENTRY_FIRST_CLUSTER), size, &runs, err);
	if (r == 0)
		return pl_file_new(x->volume.disk, &runs, size, what, ret, err);
	pl_runs_done(&runs);
	return r;
}

static int
read_upcase(struct exfat *x, const uint8_t *raw, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *file = NULL;
	PL_AUTOFREE uint8_t *table = NULL;
	int r = open_system_file(x, raw, 2, MAX_UPCASE, "up-case table", &file, err);

	if (r == 0)
		r = pl_read_alloc(file, (size_t)file->size, 0, &table, err);
	if (r < 0)
		return r;
	return pl_exfat_upcase_decode(table, (size_t)file->size, get_le32(raw + 4), &x->upcase,
				      err);
}

/* What is damaged here costs what it is for, and no more. */
static int
read_system_files(struct exfat *x, struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct system s = { .exfat = x };
	struct pl_node_id root = { .inode = EXFAT_ROOT };
	int r = pl_exfat_scan(x, root, false, NULL, take_system_entry, &s, &why);

	if (r == -ENOMEM)
		return pl_no_memory(err);
	r = 0;
	if (s.has_bitmap)
		r = open_system_file(x, s.bitmap, bitmap_size(x), UINT32_MAX, "allocation bitmap",
				     &x->bitmap, &why);
	if (r < 0)
		x->no_bitmap = strdup(why.message);
	if (s.has_upcase && r != -ENOMEM)
		r = read_upcase(x, s.upcase, &why);
	return r == -ENOMEM ? pl_no_memory(err) : 0;
}

int
pl_exfat_open(const struct pl_volume_request *request, struct pl_volume **ret,
	      struct platter_error *err)
{
	struct exfat *x = calloc(1, sizeof *x);
	int r;

	if (!x)
		return pl_no_memory(err);
	pthread_mutex_init(&x->lock, NULL);
	r = pl_volume_init(&x->volume, &exfat_ops, request, err);
	if (r == 0)
		r = read_boot(x, err);
	if (r == 0)
		r = set_clusters(x, err);
	if (r == 0)
		r = read_system_files(x, err);
	if (r < 0) {
		exfat_free(&x->volume);
		return r;
	}
	x->volume.root.inode = EXFAT_ROOT;
	x->volume.block_size = x->clusters.size;
	x->volume.folds_case = true;
	x->volume.state = x->boot.flags & FLAG_DIRTY ? PLATTER_STATE_DIRTY : PLATTER_STATE_CLEAN;
	*ret = &x->volume;
	return 0;
}
