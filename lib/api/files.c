/* SPDX-License-Identifier: GPL-3.0-or-later */
/* files.c - platter/files.h: the files inside */
#include <platter/files.h>

#include "api.h"
#include "export.h"
#include "extract.h"
#include "hash-files.h"
#include "tree.h"

struct platter_volume {
	struct pl_place *place;
};

static struct pl_node_id
id_of(struct platter_node node)
{
	return (struct pl_node_id){ node.inode, node.tree };
}

static struct platter_node
node_of(struct pl_node_id id)
{
	return (struct platter_node){ id.inode, id.tree };
}

int
platter_volume_open(const char *place, const struct platter_open_options *options,
		    struct platter_volume **ret, struct platter_error *err)
{
	PL_AUTOFREE struct platter_volume *volume = NULL;
	struct platter_open_options o;
	struct pl_parents parents;
	int r;

	if (!place || !ret)
		return pl_invalid(err, "no place to open");
	r = pl_api_open_options(&o, options, &parents, err);
	if (r < 0)
		return r;
	if (o.flags & PLATTER_OPEN_WRITE)
		return pl_invalid(err, "files inside are only read");
	volume = malloc(sizeof *volume);
	if (!volume)
		return pl_no_memory(err);
	r = pl_place_open_files(place, o.format, o.flags, &parents, &volume->place, err);
	if (r < 0)
		return r;
	*ret = PL_STEAL(volume);
	return 0;
}

void
platter_volume_close(struct platter_volume *volume)
{
	if (!volume)
		return;
	pl_place_close(volume->place);
	free(volume);
}

const char *
platter_volume_name(const struct platter_volume *volume)
{
	return volume->place->name;
}

const char *
platter_volume_path(const struct platter_volume *volume)
{
	return volume->place->path;
}

struct platter_node
platter_volume_start(const struct platter_volume *volume)
{
	return node_of(volume->place->node);
}

int
platter_volume_find(struct platter_volume *volume, const char *path, unsigned flags,
		    struct platter_node *ret, struct platter_file *ret_file,
		    struct platter_error *err)
{
	struct platter_file file;
	struct pl_node_id id;
	int r;

	if (!volume || !path || !ret)
		return pl_invalid(err, "no volume or no path");
	r = pl_path_find(volume->place->volume, volume->place->node, path,
			 flags & PLATTER_NO_FOLLOW ? PL_PATH_NO_FOLLOW : 0, &id, &file, err);
	if (r < 0)
		return r;
	*ret = node_of(id);
	if (ret_file)
		*ret_file = file;
	return 0;
}

int
platter_volume_stat(struct platter_volume *volume, struct platter_node node,
		    struct platter_file *ret, struct platter_error *err)
{
	if (!volume || !ret)
		return pl_invalid(err, "no volume");
	return pl_volume_stat(volume->place->volume, id_of(node), ret, err);
}

int
platter_volume_read_link(struct platter_volume *volume, struct platter_node node, char **ret,
			 struct platter_error *err)
{
	if (!volume || !ret)
		return pl_invalid(err, "no volume");
	return pl_volume_read_link(volume->place->volume, id_of(node), ret, err);
}

int
platter_volume_open_file(struct platter_volume *volume, struct platter_node node,
			 const char *stream, const char *name, struct platter_disk **ret,
			 struct platter_error *err)
{
	struct pl_disk *file;
	int r;

	if (!volume || !name || !ret)
		return pl_invalid(err, "no volume or no name");
	r = pl_volume_open_file(volume->place->volume, id_of(node), stream, name, &file, err);
	return r < 0 ? r : pl_api_disk_of(volume->place, file, name, ret, err);
}

struct visiting {
	enum platter_walk_answer (*visit)(const struct platter_visit *visit, void *closure);
	void *closure;
};

#define STOPPED (-ECANCELED)

static int
visit(void *closure, const struct pl_visited *v, struct platter_error *err)
{
	static const enum platter_visit_kind kinds[] = {
		[PL_VISIT_FILE] = PLATTER_VISIT_FILE,
		[PL_VISIT_FOLDER] = PLATTER_VISIT_FOLDER,
		[PL_VISIT_LEAVE] = PLATTER_VISIT_LEAVE,
		[PL_VISIT_ERROR] = PLATTER_VISIT_ERROR,
	};
	const struct platter_visit visit = {
		.kind = kinds[v->what],
		.path = v->path,
		.name = v->name,
		.depth = v->depth,
		.node = node_of(v->id),
		.file = v->file,
		.error = v->error,
	};
	struct visiting *to = closure;

	(void)err;
	switch (to->visit(&visit, to->closure)) {
	case PLATTER_WALK_SKIP: return PL_SKIP;
	case PLATTER_WALK_STOP: return STOPPED;
	default: return 0;
	}
}

int
platter_volume_walk(struct platter_volume *volume, struct platter_node node, unsigned flags,
		    enum platter_walk_answer (*each)(const struct platter_visit *visit,
						     void *closure),
		    void *closure, struct platter_error *err)
{
	struct visiting to = { each, closure };
	int r;

	if (!volume || !each)
		return pl_invalid(err, "no volume");
	r = pl_walk_tree(volume->place->volume, id_of(node),
			 flags & PLATTER_WALK_SORTED ? PL_WALK_SORTED : 0, visit, &to, err);
	return r == STOPPED ? 0 : r;
}

struct attributes {
	void (*each)(const struct platter_attribute *attribute, void *closure);
	void *closure;
};

static int
pass_attribute(void *closure, const struct pl_attribute *a, struct platter_error *err)
{
	struct attributes *to = closure;
	const struct platter_attribute attribute = { a->name, a->value, a->size };

	(void)err;
	to->each(&attribute, to->closure);
	return 0;
}

int
platter_volume_attributes(struct platter_volume *volume, struct platter_node node,
			  void (*each)(const struct platter_attribute *attribute, void *closure),
			  void *closure, struct platter_error *err)
{
	struct attributes to = { each, closure };
	const struct pl_volume_ops *ops;
	struct pl_volume *v;
	int r = 0, later;

	if (!volume || !each)
		return pl_invalid(err, "no volume");
	v = volume->place->volume;
	ops = v->ops;
	if (ops->xattrs)
		r = ops->xattrs(v, id_of(node), pass_attribute, &to, err);
	if (!ops->streams)
		return r;
	later = ops->streams(v, id_of(node), pass_attribute, &to, r < 0 ? NULL : err);
	return r < 0 ? r : later;
}

struct deletions {
	enum platter_walk_answer (*each)(const struct platter_deleted *deleted, void *closure);
	void *closure;
};

static int
pass_deleted(void *closure, const struct pl_deleted *d, struct platter_error *err)
{
	struct deletions *to = closure;
	const struct platter_deleted deleted = {
		.path = d->path,
		.node = node_of(d->id),
		.file = d->file,
		.recovery = d->recovery,
	};

	(void)err;
	return to->each(&deleted, to->closure) == PLATTER_WALK_ON ? 0 : STOPPED;
}

int
platter_volume_deleted(struct platter_volume *volume,
		       enum platter_walk_answer (*each)(const struct platter_deleted *deleted,
							void *closure),
		       void *closure, struct platter_error *err)
{
	struct deletions to = { each, closure };
	struct pl_volume *v;
	int r;

	if (!volume || !each)
		return pl_invalid(err, "no volume");
	v = volume->place->volume;
	if (!v->ops->deleted)
		return pl_unsupported(err, PLATTER_NO_OFFSET,
				      "what was deleted on '%s' cannot be told", v->disk->name);
	r = v->ops->deleted(v, pass_deleted, &to, err);
	return r == STOPPED ? 0 : r;
}

int
platter_volume_space(struct platter_volume *volume, struct platter_space *ret,
		     struct platter_error *err)
{
	if (!volume || !ret)
		return pl_invalid(err, "no volume");
	return pl_volume_space(volume->place->volume, ret, err);
}

int
platter_hash_files(struct platter_volume *volume, struct platter_node node, const char *hashes,
		   void (*each)(const struct platter_hashed_file *file, void *closure),
		   void *closure, struct platter_progress *progress, struct platter_error *err)
{
	if (!volume || !hashes || !each)
		return pl_invalid(err, "no volume or no hashes");
	return pl_hash_files(volume->place->volume, id_of(node), hashes, each, closure, progress,
			     err);
}

int
platter_extract(struct platter_volume *volume, struct platter_node node, const char *name,
		const char *folder, const struct platter_extract_options *options,
		struct platter_progress *progress, struct platter_extract_result *ret,
		struct platter_error *err)
{
	struct platter_extract_result result = { 0 };
	struct platter_extract_options o;
	int r;

	if (!volume || !folder || (name && !*name))
		return pl_invalid(err, "no volume, or nowhere to extract to");
	r = pl_api_options(&o, sizeof o, options, err);
	if (r < 0)
		return r;
	r = pl_extract(volume->place->volume, id_of(node), name, folder, &o, progress, &result,
		       err);
	if (ret)
		*ret = result;
	return r;
}

int
platter_export_tar(struct platter_volume *volume, struct platter_node node, const char *name,
		   int fd, void (*note)(const struct platter_extract_note *note, void *closure),
		   void *closure, struct platter_progress *progress,
		   struct platter_export_result *ret, struct platter_error *err)
{
	struct platter_export_result result = { 0 };
	int r;

	if (!volume || fd < 0 || (name && !*name))
		return pl_invalid(err, "no volume, or nowhere to write to");
	r = pl_export_tar(volume->place->volume, id_of(node), name, fd, note, closure, progress,
			  &result, err);
	if (ret)
		*ret = result;
	return r;
}
