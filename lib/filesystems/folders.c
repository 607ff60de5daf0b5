/* SPDX-License-Identifier: GPL-3.0-or-later */
/* folders.c - going through all folders of a volume, each with its path */
#include "folders.h"

/* 40 MiB and their names; a volume with more folders than this is read in part. */
#define MAX_FOLDERS (1u << 20)

struct pl_folder {
	struct pl_node_id id;
	size_t above; /* the index of the one that it is in; the root's is its own */
	unsigned depth;
	char *name;
};

int
pl_folders_add(struct pl_folders *f, struct pl_node_id id, const char *name,
	       struct platter_error *err)
{
	size_t above = f->nr ? f->taken - 1 : 0;
	unsigned depth = f->nr ? f->folder[above].depth + 1 : 0;
	char *copy;

	if (f->nr == MAX_FOLDERS)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "more than %u folders", MAX_FOLDERS);
	if (depth > PL_MAX_FOLDERS)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "more than %d folders in each other",
				     PL_MAX_FOLDERS);
	if (f->nr == f->capacity) {
		size_t capacity = PL_MAX(64, f->capacity * 2);
		struct pl_folder *p = pl_realloc_array(f->folder, capacity, sizeof *p);

		if (!p)
			return pl_no_memory(err);
		f->folder = p;
		f->capacity = capacity;
	}
	copy = strdup(name);
	if (!copy)
		return pl_no_memory(err);
	f->folder[f->nr++] = (struct pl_folder){ id, above, depth, copy };
	return 0;
}

int
pl_folders_take(struct pl_folders *f, struct pl_node_id *ret, struct platter_error *err)
{
	size_t chain[PL_MAX_FOLDERS + 1], nr = 0;

	if (f->taken == f->nr)
		return 0;
	for (size_t i = f->taken; i; i = f->folder[i].above)
		chain[nr++] = i;
	f->path.length = 0;
	while (nr--) {
		pl_str_add(&f->path, f->folder[chain[nr]].name);
		pl_str_add(&f->path, "/");
	}
	if (f->path.failed)
		return pl_no_memory(err);
	f->path_length = f->path.length;
	*ret = f->folder[f->taken++].id;
	return 1;
}

const char *
pl_folders_path(struct pl_folders *f, const char *name)
{
	f->path.length = f->path_length;
	pl_str_add(&f->path, name);
	return f->path.text;
}

void
pl_folders_done(struct pl_folders *f)
{
	for (size_t i = 0; i < f->nr; i++)
		free(f->folder[i].name);
	free(f->folder);
	pl_str_done(&f->path);
	*f = (struct pl_folders){ 0 };
}
