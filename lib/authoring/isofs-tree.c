/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * isofs-tree.c - the source's files as nodes of libisofs
 *
 * libisofs keeps a folder as a list in the order of names and looks for the place of a new one
 * from its start: the last name is added first, so that the place is always at the start.
 */
#include <sys/sysmacros.h>

#include "isofs.h"
#include "text.h"

static int
add_failed(struct platter_error *err, int code, const struct pl_item *item)
{
	PL_AUTOFREE char *path = pl_item_path(item);

	return pl_isofs_fail(err, code, "cannot put '%s' on the disc", path ? path : item->name);
}

static time_t
time_of(const struct pl_isofs *w, struct platter_time t)
{
	if (t.seconds == PLATTER_NO_TIME)
		return w->now;
	return w->epoch >= 0 && t.seconds > w->epoch ? (time_t)w->epoch : (time_t)t.seconds;
}

/* Of what a file system knows only some; the change time last, since setting others sets it. */
static void
set_attributes(const struct pl_isofs *w, IsoNode *node, const struct platter_file *f)
{
	bool folder = f->type == PLATTER_FILE_FOLDER;
	time_t modified = time_of(w, f->modified);

	iso_node_set_permissions(node, f->has_mode ? f->mode : folder ? 0755 : 0644);
	iso_node_set_uid(node, f->has_owner ? f->uid : 0);
	iso_node_set_gid(node, f->has_owner ? f->gid : 0);
	iso_node_set_mtime(node, modified);
	/* Reading the files changes when they were read. */
	iso_node_set_atime(node, w->epoch >= 0 ? modified : time_of(w, f->accessed));
	iso_node_set_ctime(node, w->epoch >= 0 ? modified : time_of(w, f->changed));
}

/* ---- extended attributes ---- */

struct attributes {
	char **names, **values;
	size_t *lengths, nr;
};

static int
take_attribute(void *closure, const struct pl_attribute *a, struct platter_error *err)
{
	struct attributes *to = closure;
	char **names = pl_realloc_array(to->names, to->nr + 1, sizeof *names);
	char **values;
	size_t *lengths;

	to->names = names ? names : to->names;
	values = pl_realloc_array(to->values, to->nr + 1, sizeof *values);
	to->values = values ? values : to->values;
	lengths = pl_realloc_array(to->lengths, to->nr + 1, sizeof *lengths);
	to->lengths = lengths ? lengths : to->lengths;
	if (!names || !values || !lengths)
		return pl_no_memory(err);
	names[to->nr] = strdup(a->name);
	values[to->nr] = malloc(a->size + 1);
	if (!names[to->nr] || !values[to->nr]) {
		free(names[to->nr]);
		free(values[to->nr]);
		return pl_no_memory(err);
	}
	memcpy(values[to->nr], a->value ? a->value : "", a->size);
	lengths[to->nr++] = a->size;
	return 0;
}

static int
add_attributes(const struct pl_isofs *w, IsoNode *node, const struct pl_item *item,
	       struct platter_error *err)
{
	struct attributes a = { 0 };
	int r = pl_item_attributes(w->source, item, take_attribute, &a, err);

	if (r == 0 && a.nr) {
		int code = iso_node_set_attrs(node, a.nr, a.names, a.lengths, a.values, 0);

		if (code < 0)
			r = add_failed(err, code, item);
	}
	for (size_t i = 0; i < a.nr; i++) {
		free(a.names[i]);
		free(a.values[i]);
	}
	free(a.names);
	free(a.values);
	free(a.lengths);
	return r;
}

/* ---- nodes ---- */

static int
add_file(struct pl_isofs *w, IsoDir *dir, const struct pl_item *item, IsoNode **ret,
	 struct platter_error *err)
{
	IsoStream *stream;
	IsoFile *file;
	int r = pl_isofs_stream_new(w, item, &stream, err), code;

	if (r < 0)
		return r;
	code = iso_tree_add_new_file(dir, item->name, stream, &file);
	if (code < 0) {
		iso_stream_unref(stream);
		return add_failed(err, code, item);
	}
	*ret = (IsoNode *)file;
	return 0;
}

static mode_t
mode_of(const struct platter_file *f)
{
	switch (f->type) {
	case PLATTER_FILE_FIFO: return S_IFIFO | f->mode;
	case PLATTER_FILE_SOCKET: return S_IFSOCK | f->mode;
	case PLATTER_FILE_CHARACTER_DEVICE: return S_IFCHR | f->mode;
	default: return S_IFBLK | f->mode;
	}
}

static int
add_node(struct pl_isofs *w, IsoDir *dir, const struct pl_item *item, IsoNode **ret,
	 struct platter_error *err)
{
	const struct platter_file *f = &item->file;
	IsoSymlink *link = NULL;
	IsoSpecial *special = NULL;
	IsoDir *folder = NULL;
	int code;

	switch (f->type) {
	case PLATTER_FILE_REGULAR: return add_file(w, dir, item, ret, err);
	case PLATTER_FILE_FOLDER:
		code = iso_tree_add_new_dir(dir, item->name, &folder);
		*ret = (IsoNode *)folder;
		break;
	case PLATTER_FILE_SYMLINK:
		code = iso_tree_add_new_symlink(dir, item->name, item->target, &link);
		*ret = (IsoNode *)link;
		break;
	case PLATTER_FILE_FIFO:
	case PLATTER_FILE_SOCKET:
	case PLATTER_FILE_CHARACTER_DEVICE:
	case PLATTER_FILE_BLOCK_DEVICE:
		code = iso_tree_add_new_special(dir, item->name, mode_of(f),
						makedev(f->major, f->minor), &special);
		*ret = (IsoNode *)special;
		break;
	default:
		code = pl_unsupported(err, PLATTER_NO_OFFSET,
				      "'%s' is neither a file, folder, link nor device: %s",
				      item->name, f->note ? f->note : "unknown");
		pl_hint(err, "leave it out with --exclude");
		return code;
	}
	return code < 0 ? add_failed(err, code, item) : 0;
}

/* Make room for an item in a tree that has others: a folder that is there stays. */
static int
make_room(IsoDir *dir, const struct pl_item *item, IsoDir **ret_folder, struct platter_error *err)
{
	IsoNode *old = NULL;
	int code = 0;

	*ret_folder = NULL;
	if (iso_dir_get_node(dir, item->name, &old) != 1)
		return 0;
	if (iso_node_get_type(old) == LIBISO_DIR && item->file.type == PLATTER_FILE_FOLDER)
		*ret_folder = (IsoDir *)old;
	else
		code = iso_node_get_type(old) == LIBISO_DIR ? iso_node_remove_tree(old, NULL)
							    : iso_node_remove(old);
	return code < 0 ? add_failed(err, code, item) : 0;
}

static int
add_items(struct pl_isofs *w, IsoDir *dir, const struct pl_item *folder, struct platter_error *err)
{
	for (size_t i = folder->nr_items; i-- > 0;) {
		const struct pl_item *item = &folder->items[i];
		IsoDir *below = NULL;
		IsoNode *node = NULL;
		int r = w->old ? make_room(dir, item, &below, err) : 0;

		if (r == 0 && below)
			node = (IsoNode *)below;
		else if (r == 0)
			r = add_node(w, dir, item, &node, err);
		if (r < 0)
			return r;
		set_attributes(w, node, &item->file);
		if (w->rank && item->file.type == PLATTER_FILE_REGULAR)
			iso_node_set_sort_weight(node, (int)(INT32_MAX - w->rank[item->serial]));
		if (w->options->attributes)
			r = add_attributes(w, node, item, err);
		if (r == 0 && item->file.type == PLATTER_FILE_FOLDER)
			r = add_items(w, (IsoDir *)node, item, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- weights ---- */

struct weighed {
	uint64_t serial;
	int weight;
};

static int
compare_weights(const void *a, const void *b)
{
	const struct weighed *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return x->serial < y->serial ? -1 : x->serial > y->serial;
}

static void
weigh(const struct pl_isofs *w, const struct pl_item *folder, struct weighed *list)
{
	const struct platter_iso_options *o = w->options;

	for (size_t i = 0; i < folder->nr_items; i++) {
		const struct pl_item *item = &folder->items[i];
		PL_AUTOFREE char *path = pl_item_path(item);

		list[item->serial].serial = item->serial;
		for (size_t k = 0; path && k < o->nr_weights; k++)
			if (pl_pattern_means(o->weights[k].pattern, path))
				list[item->serial].weight = o->weights[k].weight;
		weigh(w, item, list);
	}
}

/* libisofs's own sorting leaves the order of equal weights to chance: give each file a rank. */
static int
rank_contents(struct pl_isofs *w, struct platter_error *err)
{
	const struct pl_source *s = w->source;
	size_t n = s->nr_files + s->nr_folders + s->nr_links + s->nr_others + 1;
	PL_AUTOFREE struct weighed *list = NULL;

	if (!w->options->nr_weights)
		return 0;
	list = calloc(n, sizeof *list);
	w->rank = calloc(n, sizeof *w->rank);
	if (!list || !w->rank)
		return pl_no_memory(err);
	weigh(w, &s->root, list);
	qsort(list, n, sizeof *list, compare_weights);
	for (size_t i = 0; i < n; i++)
		w->rank[list[i].serial] = (uint32_t)i;
	iso_write_opts_set_sort_files(w->write, 1);
	return 0;
}

int
pl_isofs_add_tree(struct pl_isofs *w, struct platter_error *err)
{
	IsoDir *root = iso_image_get_root(w->image);
	int r = rank_contents(w, err);

	if (r < 0)
		return r;
	set_attributes(w, (IsoNode *)root, &w->source->root.file);
	return add_items(w, root, &w->source->root, err);
}

/* ---- single files ---- */

IsoNode *
pl_isofs_node(struct pl_isofs *w, const char *path)
{
	PL_AUTOFREE char *full = pl_format("/%s", path + strspn(path, "/"));
	IsoNode *node = NULL;

	return full && iso_tree_path_to_node(w->image, full, &node) == 1 ? node : NULL;
}

int
pl_isofs_folder(struct pl_isofs *w, const char *path, IsoDir **ret, struct platter_error *err)
{
	PL_AUTOFREE char *copy = strdup(path);
	char *rest = NULL;

	if (!copy)
		return pl_no_memory(err);
	*ret = iso_image_get_root(w->image);
	for (char *name = strtok_r(copy, "/", &rest); name; name = strtok_r(NULL, "/", &rest)) {
		IsoNode *node = NULL;
		IsoDir *below = NULL;
		int code = iso_dir_get_node(*ret, name, &node);

		if (code == 1 && iso_node_get_type(node) == LIBISO_DIR) {
			*ret = (IsoDir *)node;
			continue;
		}
		code = iso_tree_add_new_dir(*ret, name, &below);
		if (code < 0)
			return pl_isofs_fail(err, code, "cannot make the folder '%s' on the disc",
					     path);
		iso_node_set_permissions((IsoNode *)below, 0755);
		*ret = below;
	}
	return 0;
}

int
pl_isofs_add_bytes(struct pl_isofs *w, const char *path, const uint8_t *bytes, size_t n,
		   struct platter_error *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	PL_AUTOFREE char *above = strndup(path, slash ? (size_t)(slash - path) : 0);
	IsoStream *stream;
	uint8_t *copy;
	IsoDir *dir;
	int r = above ? pl_isofs_folder(w, above, &dir, err) : pl_no_memory(err), code;

	if (r < 0)
		return r;
	/* The stream frees it. */
	copy = malloc(n + 1);
	if (!copy)
		return pl_no_memory(err);
	memcpy(copy, bytes, n);
	code = iso_memory_stream_new(copy, n, &stream);
	if (code < 0) {
		free(copy);
		return pl_isofs_fail(err, code, "cannot put '%s' on the disc", path);
	}
	code = iso_tree_add_new_file(dir, name, stream, NULL);
	if (code < 0) {
		iso_stream_unref(stream);
		return pl_isofs_fail(err, code, "cannot put '%s' on the disc", path);
	}
	return 0;
}
