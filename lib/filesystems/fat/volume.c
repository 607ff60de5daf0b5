/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fat/volume.c - the files of FAT12, FAT16 and FAT32
 *
 * Reserved sectors with the boot sector, one to four copies of the table, the root folder (in
 * FAT32 it is a chain like any other), then the clusters.  See "Microsoft FAT Specification"
 * (2005) and "FAT: General Overview of On-Disk Format" 1.03 (2000).
 */
#include "content.h"
#include "fat.h"

/* Bits of the second entry of the table. */
enum {
	CLEAN_16 = 0x8000,
	GOOD_16 = 0x4000,
	CLEAN_32 = 0x08000000,
	GOOD_32 = 0x04000000,
};

enum {
	STATE_DIRTY = 1,
	STATE_BAD_SECTORS = 2
};

#define FSINFO_SIZE    512
#define FSINFO_UNKNOWN UINT32_MAX
enum {
	FSINFO_SECOND = 484,
	FSINFO_FREE = 488
};

static struct fat *
fat_of(struct pl_volume *v)
{
	return pl_container_of(v, struct fat, volume);
}

static uint64_t
used_bytes(const struct fat *f, uint64_t size)
{
	return pl_div_round_up(size, f->clusters.size) * f->clusters.size;
}

bool
pl_fat_entry_is_plausible(const struct fat *f, const uint8_t *raw)
{
	unsigned attributes = raw[ENTRY_ATTRIBUTES];
	uint32_t cluster = entry_cluster(f, raw), size = get_le32(raw + ENTRY_SIZE);

	if (attributes & ~(unsigned)ATTRIBUTE_MASK)
		return false;
	if (attributes == ATTRIBUTE_LONG_NAME)
		return !raw[ENTRY_CASE] && !get_le16(raw + ENTRY_CLUSTER_LOW) &&
		       (raw[0] == ENTRY_DELETED ||
			(raw[0] & 0x3f && (raw[0] & 0x3f) <= LONG_PARTS));
	for (int i = 1; i < 11; i++)
		if (raw[i] < ' ' || (raw[i] < 0x80 && strchr("\"*+,./:;<=>?[\\]|", raw[i])))
			return false;
	if (cluster && !pl_cluster_exists(&f->clusters, cluster))
		return false;
	return attributes & ATTRIBUTE_FOLDER ? cluster && !size : cluster || !size;
}

int
pl_fat_file(struct fat *f, const uint8_t *raw, struct pl_node_id id, struct platter_file *ret,
	    struct platter_error *err)
{
	static const struct {
		uint8_t stored;
		uint32_t attribute;
	} attributes[] = {
		{ ATTRIBUTE_READ_ONLY, PLATTER_FILE_READ_ONLY },
		{ ATTRIBUTE_HIDDEN, PLATTER_FILE_HIDDEN },
		{ ATTRIBUTE_SYSTEM, PLATTER_FILE_SYSTEM },
		{ ATTRIBUTE_ARCHIVE, PLATTER_FILE_ARCHIVE },
	};
	bool deleted = id.inode & FAT_WAS_DELETED;
	uint32_t cluster = entry_cluster(f, raw);

	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
		if (raw[ENTRY_ATTRIBUTES] & attributes[i].stored)
			ret->attributes |= attributes[i].attribute;
	if (deleted)
		ret->attributes |= PLATTER_FILE_DELETED;
	ret->inode = id.inode & ~(uint64_t)FAT_WAS_DELETED;
	ret->modified = pl_dos_time(get_le16(raw + ENTRY_DATE), get_le16(raw + ENTRY_TIME), 0);
	ret->accessed = pl_dos_time(get_le16(raw + ENTRY_ACCESSED_DATE), 0, 0);
	ret->created =
		pl_dos_time(get_le16(raw + ENTRY_CREATED_DATE), get_le16(raw + ENTRY_CREATED_TIME),
			    raw[ENTRY_CREATED_HUNDREDTHS]);
	ret->allocated = 0;
	if (raw[ENTRY_ATTRIBUTES] & ATTRIBUTE_FOLDER) {
		ret->type = PLATTER_FILE_FOLDER;
		if (!deleted) {
			struct pl_runs runs = { 0 };
			struct pl_chain chain;
			int r = pl_fat_folder_runs(f, id, &runs, &chain, &cluster, err);

			pl_runs_done(&runs);
			if (r < 0)
				return r;
			ret->size = ret->allocated = chain.nr * f->clusters.size;
			if (chain.end != PL_CHAIN_ENDS)
				ret->attributes |= PLATTER_FILE_DAMAGED;
		}
		return 0;
	}
	ret->type = PLATTER_FILE_REGULAR;
	ret->size = get_le32(raw + ENTRY_SIZE);
	if (cluster && !deleted)
		ret->allocated = used_bytes(f, ret->size);
	if (ret->size && !pl_cluster_exists(&f->clusters, cluster))
		ret->attributes |= PLATTER_FILE_DAMAGED;
	return 0;
}

static int
fat_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	 struct platter_error *err)
{
	struct fat *f = fat_of(v);
	uint8_t raw[FAT_ENTRY_SIZE];
	struct pl_runs runs = { 0 };
	struct pl_chain chain;
	uint32_t first;
	int r;

	if (id.inode != FAT_ROOT) {
		r = pl_fat_read_entry(f, id, raw, err);
		return r < 0 ? r : pl_fat_file(f, raw, id, ret, err);
	}
	r = pl_fat_folder_runs(f, id, &runs, &chain, &first, err);
	if (r < 0)
		return r;
	ret->type = PLATTER_FILE_FOLDER;
	ret->inode = 0;
	ret->allocated = 0;
	for (size_t i = 0; i < runs.nr; i++)
		ret->allocated += runs.run[i].length;
	ret->size = ret->allocated;
	pl_runs_done(&runs);
	if (chain.end != PL_CHAIN_ENDS)
		ret->attributes |= PLATTER_FILE_DAMAGED;
	return 0;
}

struct lister {
	struct fat *fat;
	pl_entry_fn *fn;
	void *closure;
};

static struct pl_node_id
id_of(const struct fat_entry *e)
{
	return (struct pl_node_id){ .inode = e->at | (e->deleted ? FAT_WAS_DELETED : 0) };
}

static int
give_name(void *closure, const struct fat_entry *e, struct platter_error *err)
{
	const struct lister *l = closure;
	char name[MAX_FAT_NAME];
	struct pl_entry entry = {
		.name = name,
		.length = pl_fat_name(l->fat, e, name),
		.id = id_of(e),
		.type = e->raw[ENTRY_ATTRIBUTES] & ATTRIBUTE_FOLDER ? PLATTER_FILE_FOLDER
								    : PLATTER_FILE_REGULAR,
	};

	return l->fn(l->closure, &entry, err);
}

static int
fat_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	 struct platter_error *err)
{
	struct lister l = { fat_of(v), fn, closure };

	return pl_fat_scan(l.fat, folder, false, give_name, &l, err);
}

struct finder {
	struct fat *fat;
	const char *name;
	size_t n;
	int found; /* the best: 3 exactly, 2 but for case, 1 by its short name */
	struct pl_node_id id;
};

static int
compare_name(void *closure, const struct fat_entry *e, struct platter_error *err)
{
	struct finder *w = closure;
	char name[MAX_FAT_NAME];
	size_t n = pl_fat_name(w->fat, e, name);
	int found = 0;

	(void)err;
	if (n == w->n && !memcmp(name, w->name, n))
		found = 3;
	else if (w->found < 2 && pl_names_equal_folded(name, n, w->name, w->n))
		found = 2;
	else if (w->found < 1 && e->units) {
		n = pl_fat_short_name(w->fat, e->raw, name);
		found = pl_names_equal_folded(name, n, w->name, w->n);
	}
	if (found > w->found) {
		w->found = found;
		w->id = id_of(e);
	}
	return found == 3;
}

static int
fat_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
	   struct pl_node_id *ret, struct platter_error *err)
{
	struct finder w = { .fat = fat_of(v), .name = name, .n = n };
	int r = pl_fat_scan(w.fat, folder, false, compare_name, &w, err);

	if (!w.found)
		return r < 0 ? r : -ENOENT;
	*ret = w.id;
	return 0;
}

static int
deleted_runs(struct fat *f, uint32_t cluster, uint64_t size, const char *name, struct pl_runs *runs,
	     struct platter_error *err)
{
	int r = size ? pl_fat_map(f, err) : 0;

	if (r < 0 || !size)
		return r;
	if (pl_cluster_map_used(&f->map, cluster, 1))
		return pl_fail(err, -ENODATA, "where '%s' began is not known, or is another file's",
			       name);
	return pl_cluster_map_runs(&f->map, &f->clusters, cluster, size, runs, err);
}

static int
fat_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
	      struct pl_disk **ret, struct platter_error *err)
{
	struct fat *f = fat_of(v);
	uint8_t raw[FAT_ENTRY_SIZE];
	struct pl_runs runs = { 0 };
	uint32_t size, cluster;
	int r;

	(void)stream;
	if (id.inode == FAT_ROOT)
		return pl_fail(err, -EISDIR, "'%s' is a folder", name);
	r = pl_fat_read_entry(f, id, raw, err);
	if (r < 0)
		return r;
	if (raw[ENTRY_ATTRIBUTES] & ATTRIBUTE_FOLDER)
		return pl_fail(err, -EISDIR, "'%s' is a folder", name);
	size = get_le32(raw + ENTRY_SIZE);
	cluster = entry_cluster(f, raw);
	if (id.inode & FAT_WAS_DELETED)
		r = deleted_runs(f, cluster, size, name, &runs, err);
	else
		r = pl_chain_runs(&f->clusters, cluster, size, &runs, err);
	if (r < 0) {
		pl_runs_done(&runs);
		return r;
	}
	return pl_file_new(v->disk, &runs, size, name, ret, err);
}

/* A set bit for each cluster whose entry is not 0; those that cannot be read are in use. */
static void
fill_map(struct fat *f, uint8_t *bits)
{
	struct pl_table_window w = { 0 };
	uint32_t bad = pl_table_last(&f->clusters) - 8, entry;

	for (uint64_t i = 0; i < f->clusters.nr; i++) {
		if (pl_table_get(&f->clusters, &w, (uint32_t)i + PL_FIRST_CLUSTER, &entry, NULL) <
		    0)
			entry = 1;
		if (entry)
			bits[i / 8] |= (uint8_t)(1 << i % 8);
		f->nr_bad += entry == bad && !pl_cluster_exists(&f->clusters, entry);
	}
}

int
pl_fat_map(struct fat *f, struct platter_error *err)
{
	int r = 0;

	pthread_mutex_lock(&f->lock);
	if (!f->mapped) {
		/* At most 32 MiB: the table has 2^28 entries. */
		uint8_t *bits = calloc(1, ((size_t)f->clusters.nr + 7) / 8 + 1);

		if (bits) {
			fill_map(f, bits);
			r = pl_cluster_map_init(&f->map, bits, f->clusters.nr, err);
		} else {
			r = pl_no_memory(err);
		}
		f->mapped = r == 0;
	}
	pthread_mutex_unlock(&f->lock);
	return r;
}

static int
fat_used(struct pl_volume *v, struct pl_ranges *used, struct platter_error *err)
{
	struct fat *f = fat_of(v);
	uint64_t end = f->clusters.heap + (uint64_t)f->clusters.nr * f->clusters.size;
	int r = pl_fat_map(f, err);

	if (r == 0)
		r = pl_ranges_add(used, 0, PL_MIN(f->clusters.heap, v->size), err);
	if (r == 0)
		r = pl_ranges_add_bits(used, f->map.bits, f->map.nr, PL_LSB_FIRST, true,
				       f->clusters.heap, f->clusters.size, err);
	/* Clusters that the table has no entry for, and what is less than one. */
	if (r == 0 && end < v->size)
		r = pl_ranges_add(used, end, v->size - end, err);
	return r;
}

/* FSInfo counts free clusters; it is a hint. */
static void
describe_free(struct fat *f, struct pl_facts *facts)
{
	uint64_t free = f->map.nr - f->map.nr_used;
	uint8_t info[FSINFO_SIZE];
	uint32_t said;

	if (!f->boot.fsinfo || f->boot.fsinfo >= f->boot.reserved ||
	    pl_meta_read(f->volume.meta, info, sizeof info,
			 (uint64_t)f->boot.fsinfo * f->boot.sector_size, NULL) < 0 ||
	    memcmp(info, "RRaA", 4) || memcmp(info + FSINFO_SECOND, "rrAa", 4))
		return;
	said = get_le32(info + FSINFO_FREE);
	if (said != FSINFO_UNKNOWN && said != free)
		pl_warn(facts,
			"FSInfo says %" PRIu32 " free clusters, the FAT has %" PRIu64 " free", said,
			free);
}

static void
describe_backup(struct fat *f, struct pl_facts *facts)
{
	uint8_t boot[FAT_BOOT_SIZE], copy[FAT_BOOT_SIZE];

	if (f->backup) {
		pl_warn(facts, "the boot sector is gone: its copy in sector 6 was used");
		return;
	}
	if (f->boot.bits != 32 || !f->boot.backup_boot || f->boot.backup_boot >= f->boot.reserved)
		return;
	pl_fact_number(facts, "backup_boot", "copy of the boot sector", f->boot.backup_boot);
	if (pl_meta_read(f->volume.meta, boot, sizeof boot, 0, NULL) < 0 ||
	    pl_meta_read(f->volume.meta, copy, sizeof copy,
			 (uint64_t)f->boot.backup_boot * f->boot.sector_size, NULL) < 0)
		return;
	/* The state is kept up in the first alone. */
	boot[FAT_EXT_32 + EXT_STATE] = copy[FAT_EXT_32 + EXT_STATE];
	if (memcmp(boot + FAT_SECTOR_SIZE, copy + FAT_SECTOR_SIZE,
		   FAT_EXT_32 + EXT_TYPE - FAT_SECTOR_SIZE))
		pl_warn(facts, "the boot sector and its copy in sector %" PRIu32 " differ",
			f->boot.backup_boot);
}

/* As long as they are not long: two tables of 16 MiB are for 4 Mi clusters. */
#define COMPARE_LIMIT MIB(16)

static void
describe_copies(struct fat *f, struct pl_facts *facts)
{
	uint64_t size = (uint64_t)f->boot.fat_sectors * f->boot.sector_size;
	PL_AUTOFREE uint8_t *a = malloc(KIB(32)), *b = malloc(KIB(32));

	if (f->boot.active >= 0 || f->boot.fats < 2 || size > COMPARE_LIMIT || !a || !b)
		return;
	for (uint64_t i = 0; i < size; i += KIB(32)) {
		size_t n = (size_t)PL_MIN(KIB(32), size - i);

		if (pl_meta_read(f->volume.meta, a, n, f->clusters.table[0] + i, NULL) < 0 ||
		    pl_meta_read(f->volume.meta, b, n, f->clusters.table[1] + i, NULL) < 0)
			return;
		if (memcmp(a, b, n)) {
			pl_warn(facts, "the first FAT and its copy differ");
			return;
		}
	}
}

static void
fat_describe(struct pl_volume *v, struct pl_facts *facts)
{
	struct fat *f = fat_of(v);

	pl_fact_number(facts, "fats", "FATs", f->boot.fats);
	if (f->boot.active >= 0)
		pl_fact_number(facts, "active_fat", "the one in use, from 0",
			       (uint64_t)f->boot.active);
	if (f->boot.hidden)
		pl_fact_number(facts, "hidden_sectors", "sectors in front of it", f->boot.hidden);
	if (f->boot.version)
		pl_warn(facts, "unknown version %" PRIu32 ".%" PRIu32, f->boot.version >> 8,
			f->boot.version & 255);
	describe_backup(f, facts);
	if (pl_fat_map(f, NULL) == 0) {
		if (f->nr_bad)
			pl_fact_number(facts, "bad_clusters", "bad clusters", f->nr_bad);
		describe_free(f, facts);
	}
	describe_copies(f, facts);
	if (v->state == PLATTER_STATE_DIRTY)
		pl_warn(facts, "it was not unmounted: what was written last may be missing");
	if (f->boot.state & STATE_BAD_SECTORS)
		pl_warn(facts, "its boot sector asks for a check of the surface");
}

static void
fat_free(struct pl_volume *v)
{
	struct fat *f = fat_of(v);

	pl_cluster_map_done(&f->map);
	pthread_mutex_destroy(&f->lock);
	pl_volume_done(v);
	free(f);
}

static const struct pl_volume_ops fat_ops = {
	.stat = fat_stat,
	.list = fat_list,
	.lookup = fat_lookup,
	.open = fat_open_file,
	.used = fat_used,
	.deleted = pl_fat_deleted,
	.describe = fat_describe,
	.free = fat_free,
};

static int
read_boot(struct fat *f, struct platter_error *err)
{
	size_t size = KIB(32);
	PL_AUTOFREE uint8_t *head = malloc(size);
	int r;

	if (!head)
		return pl_no_memory(err);
	r = pl_read_padded(f->volume.disk, head, size, 0, NULL, err);
	if (r < 0) { /* a bad sector somewhere behind it */
		size = FAT_BOOT_SIZE;
		r = pl_read_padded(f->volume.disk, head, size, 0, NULL, err);
	}
	if (r < 0)
		return r;
	r = pl_fat_boot_decode(head, &f->boot, err);
	if (r < 0 && pl_fat_backup_boot(head, size, &f->boot)) {
		f->backup = true;
		r = 0;
	}
	return r;
}

static void
set_clusters(struct fat *f)
{
	struct pl_clusters *c = &f->clusters;
	uint64_t fat_size = (uint64_t)f->boot.fat_sectors * f->boot.sector_size;
	unsigned first = f->boot.active >= 0 ? (unsigned)f->boot.active : 0;
	uint64_t entries = fat_size * 8 / (unsigned)f->boot.bits;

	c->disk = f->volume.disk;
	c->meta = f->volume.meta;
	c->bits = f->boot.bits == 32 ? 28 : (unsigned)f->boot.bits;
	c->size = f->boot.sector_size * f->boot.cluster_sectors;
	c->heap = (uint64_t)f->boot.data_start * f->boot.sector_size;
	entries = PL_MIN(entries, pl_table_last(c) - 8);
	if (entries > PL_FIRST_CLUSTER)
		c->nr = (uint32_t)PL_MIN(entries - PL_FIRST_CLUSTER, f->boot.clusters);
	c->table[c->nr_tables++] = fat_at(&f->boot) + first * fat_size;
	/* Copies that are not kept up are of no use. */
	for (unsigned i = 1; f->boot.active < 0 && i < f->boot.fats; i++)
		c->table[c->nr_tables++] = fat_at(&f->boot) + i * fat_size;
}

static void
read_state(struct fat *f)
{
	struct pl_table_window w = { 0 };
	uint32_t entry;

	if (f->boot.bits != 12 && pl_table_get(&f->clusters, &w, 1, &entry, NULL) == 0)
		f->volume.state = entry & (f->boot.bits == 16 ? CLEAN_16 : CLEAN_32)
					  ? PLATTER_STATE_CLEAN
					  : PLATTER_STATE_DIRTY;
	if (f->boot.state & STATE_DIRTY)
		f->volume.state = PLATTER_STATE_DIRTY;
}

const char *const pl_fat_views[] = { "vfat-cp850", NULL };

int
pl_fat_open(const struct pl_volume_request *request, struct pl_volume **ret,
	    struct platter_error *err)
{
	struct fat *f = calloc(1, sizeof *f);
	int r;

	if (!f)
		return pl_no_memory(err);
	pthread_mutex_init(&f->lock, NULL);
	r = pl_volume_init(&f->volume, &fat_ops, request, err);
	if (r == 0)
		r = read_boot(f, err);
	if (r < 0) {
		fat_free(&f->volume);
		return r;
	}
	set_clusters(f);
	f->code_page = request->view && !strcmp(request->view, pl_fat_views[0]) ? pl_code_page_850
										: pl_code_page_437;
	f->volume.root.inode = FAT_ROOT;
	f->volume.size = PL_MIN(f->volume.size, (uint64_t)f->boot.sectors * f->boot.sector_size);
	f->volume.block_size = f->clusters.size;
	f->volume.folds_case = true;
	read_state(f);
	*ret = &f->volume;
	return 0;
}
