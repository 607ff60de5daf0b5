/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fat/deleted.c - files that were deleted
 *
 * Deleting a file overwrites the first letter of its entries and frees its clusters in the
 * table: what is left is where it began and how long it was.  It is taken to be in the free
 * clusters from there on, as it is if it was written in one go.
 */
#include "fat.h"
#include "folders.h"

struct walk {
	struct fat *fat;
	pl_deleted_fn *fn;
	void *closure;
	struct pl_folders folders;
	uint8_t *seen; /* a bit for each cluster that a folder was found to begin with */
	bool stop;     /* what takes the files has had enough */
};

static enum platter_recovery
judge(const struct fat *f, const uint8_t *raw)
{
	bool folder = raw[ENTRY_ATTRIBUTES] & ATTRIBUTE_FOLDER;
	uint64_t size = folder ? 1 : get_le32(raw + ENTRY_SIZE);
	uint32_t cluster = entry_cluster(f, raw);

	if (!size)
		return PLATTER_RECOVERY_WHOLE;
	if (pl_cluster_map_used(&f->map, cluster, 1))
		return PLATTER_RECOVERY_NOTHING;
	return pl_cluster_map_used(&f->map, cluster, pl_div_round_up(size, f->clusters.size))
		       ? PLATTER_RECOVERY_PARTLY
		       : PLATTER_RECOVERY_WHOLE;
}

/* False if a folder that begins there was found before: links in circles end here. */
static bool
is_new(struct walk *w, uint32_t cluster)
{
	uint32_t i = cluster - PL_FIRST_CLUSTER;
	uint8_t bit = (uint8_t)(1 << i % 8);

	if (!pl_cluster_exists(&w->fat->clusters, cluster) || w->seen[i / 8] & bit)
		return false;
	w->seen[i / 8] |= bit;
	return true;
}

static int
tell(struct walk *w, const struct fat_entry *e, struct pl_node_id id, const char *name,
     struct platter_error *err)
{
	struct pl_deleted d = {
		.path = pl_folders_path(&w->folders, name),
		.id = id,
		.file = { .links = 1, .changed.seconds = PLATTER_NO_TIME },
		.recovery = judge(w->fat, e->raw),
	};
	int r;

	if (!d.path)
		return pl_no_memory(err);
	r = pl_fat_file(w->fat, e->raw, id, &d.file, err);
	if (r < 0)
		return r;
	r = w->fn(w->closure, &d, err);
	w->stop = r;
	return r;
}

static int
visit(void *closure, const struct fat_entry *e, struct platter_error *err)
{
	struct walk *w = closure;
	struct pl_node_id id = { .inode = e->at | (e->deleted ? FAT_WAS_DELETED : 0) };
	char name[MAX_FAT_NAME];
	int r = 0;

	pl_fat_name(w->fat, e, name);
	if (e->deleted && !pl_fat_entry_is_plausible(w->fat, e->raw))
		return 0;
	if (e->deleted)
		r = tell(w, e, id, name, err);
	if (r || !(e->raw[ENTRY_ATTRIBUTES] & ATTRIBUTE_FOLDER))
		return r;
	/* A folder that was moved or renamed leaves a deleted entry as well. */
	if (e->deleted && judge(w->fat, e->raw) == PLATTER_RECOVERY_NOTHING)
		return 0;
	return is_new(w, entry_cluster(w->fat, e->raw)) ? pl_folders_add(&w->folders, id, name, err)
							: 0;
}

/* Damage in one folder does not keep the others from being looked through. */
static int
walk_folders(struct walk *w, struct platter_error *err)
{
	struct pl_node_id id;
	int r, first_error = 0;

	while ((r = pl_folders_take(&w->folders, &id, err)) > 0) {
		struct platter_error why = PLATTER_ERROR_INIT;

		r = pl_fat_scan(w->fat, id, true, visit, w, &why);
		if (r && !first_error) {
			first_error = r;
			if (err)
				*err = why;
		}
		if (w->stop || r == -ENOMEM)
			return r;
	}
	return r < 0 ? r : first_error;
}

int
pl_fat_deleted(struct pl_volume *v, pl_deleted_fn *fn, void *closure, struct platter_error *err)
{
	struct fat *f = pl_container_of(v, struct fat, volume);
	struct walk w = { .fat = f, .fn = fn, .closure = closure };
	int r = pl_fat_map(f, err);

	if (r < 0)
		return r;
	w.seen = calloc(1, ((size_t)f->clusters.nr + 7) / 8 + 1);
	if (!w.seen)
		return pl_no_memory(err);
	if (f->boot.bits == 32)
		is_new(&w, f->boot.root_cluster);
	r = pl_folders_add(&w.folders, v->root, "", err);
	if (r == 0)
		r = walk_folders(&w, err);
	pl_folders_done(&w.folders);
	free(w.seen);
	return r;
}
