/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * exfat/deleted.c - files that were deleted
 *
 * Deleting clears a bit in the entries and the bits of the clusters: name, sizes and first
 * cluster are left, and where all clusters followed each other that is all there is to
 * know.
 */
#include "exfat.h"
#include "folders.h"

/* Clusters followed in chains that may be left, all files together: less than a second. */
#define BUDGET (64u << 20)

struct walk {
	struct exfat *exfat;
	pl_deleted_fn *fn;
	void *closure;
	struct pl_folders folders;
	uint8_t *seen; /* a bit for each cluster that a folder was found to begin with */
	uint64_t budget;
	bool stop; /* what takes the files has had enough */
};

/* False if a folder that begins there was found before: links in circles end here. */
static bool
is_new(struct walk *w, uint32_t cluster)
{
	uint32_t i = cluster - PL_FIRST_CLUSTER;
	uint8_t bit = (uint8_t)(1 << i % 8);

	if (!pl_cluster_exists(&w->exfat->clusters, cluster) || w->seen[i / 8] & bit)
		return false;
	w->seen[i / 8] |= bit;
	return true;
}

static int
visit(void *closure, const struct exfat_file *file, struct platter_error *err)
{
	struct walk *w = closure;
	struct pl_deleted d = { .id = file->id };
	char name[MAX_EXFAT_NAME];
	int r;

	pl_name_from_utf16le(file->units, file->nr_units, name);
	if (file->deleted) {
		d.path = pl_folders_path(&w->folders, name);
		if (!d.path)
			return pl_no_memory(err);
		d.recovery = pl_exfat_judge(w->exfat, file, &w->budget);
		pl_exfat_file_info(w->exfat, file, &d.file);
		r = w->fn(w->closure, &d, err);
		w->stop = r;
		if (r)
			return r;
		/* A folder that was moved or renamed leaves its old entries as well. */
		if (d.recovery == PLATTER_RECOVERY_NOTHING)
			return 0;
	}
	if (!(file->attributes & ATTRIBUTE_FOLDER) || !file->size || !is_new(w, file->cluster))
		return 0;
	return pl_folders_add(&w->folders, file->id, name, err);
}

/* Damage in one folder does not keep the others from being looked through. */
static int
walk_folders(struct walk *w, struct platter_error *err)
{
	struct pl_node_id id;
	int r, first_error = 0;

	while ((r = pl_folders_take(&w->folders, &id, err)) > 0) {
		struct platter_error why = PLATTER_ERROR_INIT;

		r = pl_exfat_scan(w->exfat, id, true, visit, NULL, w, &why);
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
pl_exfat_deleted(struct pl_volume *v, pl_deleted_fn *fn, void *closure, struct platter_error *err)
{
	struct exfat *x = pl_container_of(v, struct exfat, volume);
	struct walk w = { .exfat = x, .fn = fn, .closure = closure, .budget = BUDGET };
	int r = pl_exfat_map(x, err);

	if (r < 0)
		return r;
	w.seen = calloc(1, ((size_t)x->clusters.nr + 7) / 8 + 1);
	if (!w.seen)
		return pl_no_memory(err);
	is_new(&w, x->boot.root_cluster);
	r = pl_folders_add(&w.folders, v->root, "", err);
	if (r == 0)
		r = walk_folders(&w, err);
	pl_folders_done(&w.folders);
	free(w.seen);
	return r;
}
