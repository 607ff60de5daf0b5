/* SPDX-License-Identifier: GPL-3.0-or-later */
/* source-volume.c - the tree of a folder in a file system that platter reads */
#include "progress.h"
#include "source.h"
#include "tree.h"

struct reading {
	struct pl_source *source;
	const struct pl_exclude *exclude;
	struct pl_meter meter;
	struct pl_item *trail[PL_MAX_FOLDERS + 2]; /* by depth: the folder that is being read */
	size_t capacity[PL_MAX_FOLDERS + 2];
};

static int
take(struct reading *w, const struct pl_visited *v, struct platter_error *err)
{
	struct pl_item *folder = w->trail[v->depth - 1], *item;
	int r;

	if (pl_is_excluded(w->exclude, folder, v->name))
		return PL_SKIP;
	item = pl_item_add(folder, &w->capacity[v->depth - 1]);
	if (!item)
		return pl_no_memory(err);
	item->name = strdup(v->name);
	if (!item->name) {
		folder->nr_items--;
		return pl_no_memory(err);
	}
	item->file = *v->file;
	item->id = v->id;
	w->trail[v->depth] = item;
	w->capacity[v->depth] = 0;
	if (v->file->type != PLATTER_FILE_SYMLINK)
		return 0;
	r = pl_volume_read_link(w->source->place->volume, v->id, &item->target, err);
	return r;
}

static int
visit(void *closure, const struct pl_visited *v, struct platter_error *err)
{
	struct reading *w = closure;

	pl_meter_add(&w->meter, 0, 0);
	if (pl_meter_cancelled(&w->meter))
		return pl_fail(err, -ECANCELED, "cancelled");
	switch (v->what) {
	case PL_VISIT_ERROR:
		if (err)
			*err = *v->error;
		pl_context(err, "cannot read '%s'", v->path);
		return v->error->code;
	case PL_VISIT_LEAVE: return 0;
	default: break;
	}
	if (v->depth)
		return take(w, v, err);
	w->trail[0] = &w->source->root;
	w->source->root.file = *v->file;
	w->source->root.id = v->id;
	if (v->what != PL_VISIT_FOLDER)
		return pl_fail(err, -ENOTDIR, "'%s' is no folder", w->source->path);
	return 0;
}

/* The walk is over and nothing moves any more: say in which folder each is. */
static void
set_parents(struct pl_item *folder)
{
	for (size_t i = 0; i < folder->nr_items; i++) {
		folder->items[i].parent = folder;
		set_parents(&folder->items[i]);
	}
}

int
pl_source_read_volume(struct pl_source *source, const struct pl_exclude *exclude,
		      struct platter_progress *progress, struct platter_error *err)
{
	PL_AUTOFREE struct reading *w = calloc(1, sizeof *w);
	int r;

	if (!w)
		return pl_no_memory(err);
	w->source = source;
	w->exclude = exclude;
	pl_meter_start(&w->meter, progress, "reading", UINT64_MAX);
	r = pl_walk_tree(source->place->volume, source->place->node, PL_WALK_SORTED, visit, w, err);
	pl_meter_finish(&w->meter);
	if (r == 0)
		set_parents(&source->root);
	return r;
}
