/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tree.c - paths inside a volume, and walking its folders */
#include "tree.h"

#include "text.h"

/* ---- paths ---- */

/* The folders from the root to where a path has come. */
struct finder {
	struct pl_volume *v;
	struct pl_node_id trail[PL_MAX_FOLDERS];
	size_t nr_trail; /* the last is where we are */
	unsigned nr_links;
	const char *whole; /* for messages */
};

static int
enter(struct finder *f, struct pl_node_id id, struct platter_error *err)
{
	if (f->nr_trail == PL_MAX_FOLDERS)
		return pl_over_limit(err, PLATTER_NO_OFFSET, "more than %d folders in '%s'",
				     PL_MAX_FOLDERS, f->whole);
	f->trail[f->nr_trail++] = id;
	return 0;
}

static bool
is_last(const char *rest)
{
	return !rest[strspn(rest, "/")];
}

static int
not_there(const struct finder *f, const char *name, size_t n, struct platter_error *err)
{
	int before = (int)PL_MIN((uintptr_t)(name - f->whole), 512u);

	/* The name stands in what the user gave, or in a link's target. */
	if (name >= f->whole && name <= f->whole + strlen(f->whole) && before > 1)
		return pl_fail(err, -ENOENT, "no '%.*s' in '%.*s' of '%s'", (int)n, name,
			       before - 1, f->whole, f->v->disk->name);
	return pl_fail(err, -ENOENT, "no '%.*s' in '%s'", (int)n, name, f->v->disk->name);
}

static int find(struct finder *f, const char *path, unsigned flags, struct pl_node_id *ret,
		struct platter_file *ret_file, struct platter_error *err);

/* Go on from a link: to its target, then to the rest of the path. */
static int
follow(struct finder *f, struct pl_node_id link, const char *rest, unsigned flags,
       struct pl_node_id *ret, struct platter_file *ret_file, struct platter_error *err)
{
	PL_AUTOFREE char *target = NULL;
	PL_AUTOFREE char *path = NULL;
	int r;

	if (++f->nr_links > PL_MAX_LINKS)
		return pl_fail(err, -ELOOP, "more than %d symbolic links on the way to '%s'",
			       PL_MAX_LINKS, f->whole);
	r = pl_volume_read_link(f->v, link, &target, err);
	if (r < 0)
		return r;
	path = pl_format("%s%s%s", target, *rest ? "/" : "", rest);
	if (!path)
		return pl_no_memory(err);
	return find(f, path, flags, ret, ret_file, err);
}

static int
find(struct finder *f, const char *path, unsigned flags, struct pl_node_id *ret,
     struct platter_file *ret_file, struct platter_error *err)
{
	if (*path == '/') {
		f->trail[0] = f->v->root;
		f->nr_trail = 1;
	}
	for (;;) {
		const char *name = path + strspn(path, "/");
		size_t n = strcspn(name, "/");
		struct pl_node_id here = f->trail[f->nr_trail - 1], id;
		struct platter_file file;
		int r;

		if (!n) {
			*ret = here;
			return pl_volume_stat(f->v, here, ret_file, err);
		}
		path = name + n;
		if (n == 1 && name[0] == '.')
			continue;
		if (n == 2 && name[0] == '.' && name[1] == '.') {
			f->nr_trail -= f->nr_trail > 1;
			continue;
		}
		r = pl_volume_lookup(f->v, here, name, n, &id, err);
		if (r == -ENOENT)
			return not_there(f, name, n, err);
		if (r == 0)
			r = pl_volume_stat(f->v, id, &file, err);
		if (r < 0)
			return r;
		if (file.type == PLATTER_FILE_SYMLINK &&
		    !(is_last(path) && flags & PL_PATH_NO_FOLLOW))
			return follow(f, id, path, flags, ret, ret_file, err);
		if (is_last(path)) {
			if (*path && file.type != PLATTER_FILE_FOLDER)
				return pl_fail(err, -ENOTDIR, "'%s' is no folder", f->whole);
			*ret = id;
			*ret_file = file;
			return 0;
		}
		if (file.type != PLATTER_FILE_FOLDER)
			return pl_fail(err, -ENOTDIR, "'%.*s' in '%s' is no folder", (int)n, name,
				       f->whole);
		r = enter(f, id, err);
		if (r < 0)
			return r;
	}
}

int
pl_path_find(struct pl_volume *v, struct pl_node_id start, const char *path, unsigned flags,
	     struct pl_node_id *ret, struct platter_file *ret_file, struct platter_error *err)
{
	PL_AUTOFREE struct finder *f = calloc(1, sizeof *f);

	if (!f)
		return pl_no_memory(err);
	f->v = v;
	f->whole = path;
	f->trail[f->nr_trail++] = v->root;
	if (start.inode != v->root.inode || start.tree != v->root.tree)
		f->trail[f->nr_trail++] = start;
	return find(f, path, flags, ret, ret_file, err);
}

/* ---- walking ---- */

/* Entries of a folder that are held at once; a larger one is visited in parts. */
#define MAX_HELD (1u << 19)

/* 512 MiB of notes; each of the folders takes more than that on the disk. */
#define MAX_FOLDERS (16u << 20)

struct held {
	size_t name, length; /* in the names of its part */
	struct pl_node_id id;
};

/* Folders seen, by a hash of their numbers. */
struct seen {
	struct pl_node_id *id; /* inode 0 and tree UINT64_MAX: empty */
	size_t nr, capacity;
};

struct walker {
	struct pl_volume *v;
	unsigned flags;
	pl_visit_fn *fn;
	void *closure;
	struct seen seen;
	struct pl_node_id trail[PL_MAX_FOLDERS];
	size_t depth;
	struct pl_str path;
};

/* Entries of a folder that is being listed. */
struct part {
	struct walker *w;
	struct pl_str names;
	struct held *entry;
	size_t nr, capacity;
	int stopped; /* what a visit ended the walk with, while the folder was being listed */
};

static bool
same_node(struct pl_node_id a, struct pl_node_id b)
{
	return a.inode == b.inode && a.tree == b.tree;
}

static const struct pl_node_id nobody = { 0, UINT64_MAX };

/* The place of `id` in the table, or of the gap where it would be. */
static size_t
seen_slot(const struct seen *s, struct pl_node_id id)
{
	uint64_t h = (id.inode ^ id.tree << 40) * 0x9e3779b97f4a7c15u;
	size_t i = (size_t)(h >> 20) & (s->capacity - 1);

	while (!same_node(s->id[i], nobody) && !same_node(s->id[i], id))
		i = (i + 1) & (s->capacity - 1);
	return i;
}

static int
seen_grow(struct seen *s, struct platter_error *err)
{
	struct seen larger = { .capacity = PL_MAX(1024, s->capacity * 2) };

	larger.id = pl_realloc_array(NULL, larger.capacity, sizeof *larger.id);
	if (!larger.id)
		return pl_no_memory(err);
	for (size_t i = 0; i < larger.capacity; i++)
		larger.id[i] = nobody;
	for (size_t i = 0; i < s->capacity; i++)
		if (!same_node(s->id[i], nobody))
			larger.id[seen_slot(&larger, s->id[i])] = s->id[i];
	larger.nr = s->nr;
	free(s->id);
	*s = larger;
	return 0;
}

/* Note a folder; *ret_again: it was noted before. */
static int
seen_add(struct seen *s, struct pl_node_id id, bool *ret_again, struct platter_error *err)
{
	size_t i;
	int r = s->nr * 2 >= s->capacity ? seen_grow(s, err) : 0;

	if (r == 0 && s->nr == MAX_FOLDERS)
		r = pl_over_limit(err, PLATTER_NO_OFFSET, "more than %u folders", MAX_FOLDERS);
	if (r < 0)
		return r;
	i = seen_slot(s, id);
	*ret_again = same_node(s->id[i], id);
	s->nr += !*ret_again;
	s->id[i] = id;
	return 0;
}

static int
visit(struct walker *w, enum pl_visit what, size_t name_at, struct pl_node_id id,
      const struct platter_file *file, const struct platter_error *error, struct platter_error *err)
{
	const char *path = w->path.text ? w->path.text : "";
	struct pl_visited visited = {
		.what = what,
		.path = path,
		.name = path + name_at,
		.depth = (unsigned)w->depth,
		.id = id,
		.file = file,
		.error = error,
	};

	return w->fn(w->closure, &visited, err);
}

static int visit_part(struct part *p, struct platter_error *err);

static int
hold(void *closure, const struct pl_entry *e, struct platter_error *err)
{
	struct part *p = closure;

	if (p->nr == MAX_HELD) {
		p->stopped = visit_part(p, err);
		if (p->stopped < 0)
			return p->stopped;
	}
	if (p->nr == p->capacity) {
		size_t capacity = PL_MAX(64, p->capacity * 2);
		struct held *entry = pl_realloc_array(p->entry, capacity, sizeof *entry);

		if (!entry)
			return pl_no_memory(err);
		p->entry = entry;
		p->capacity = capacity;
	}
	p->entry[p->nr++] = (struct held){ p->names.length, e->length, e->id };
	pl_str_add_bytes(&p->names, e->name, e->length);
	return p->names.failed ? pl_no_memory(err) : 0;
}

/* What an error of one folder or file becomes: a visit, which decides whether to go on. */
static int
report(struct walker *w, size_t name_at, struct pl_node_id id, const struct platter_file *file,
       const struct platter_error *why, struct platter_error *err)
{
	if (why->code == -ENOMEM)
		return pl_no_memory(err);
	return visit(w, PL_VISIT_ERROR, name_at, id, file, why, err);
}

/* May the walk go into this folder?  -ELOOP: no. */
static int
check_folder(struct walker *w, struct pl_node_id id, struct platter_error *why)
{
	bool again;
	int r;

	if (w->depth == PL_MAX_FOLDERS)
		return pl_over_limit(why, PLATTER_NO_OFFSET, "more than %d folders in each other",
				     PL_MAX_FOLDERS);
	for (size_t i = 0; i < w->depth; i++)
		if (same_node(w->trail[i], id))
			return pl_corrupt(why, PLATTER_NO_OFFSET, "the folder is inside of itself");
	r = seen_add(&w->seen, id, &again, why);
	if (r == 0 && again && !w->v->links_folders)
		r = pl_corrupt(why, PLATTER_NO_OFFSET, "the folder has another path already");
	return r;
}

static int
visit_folder(struct walker *w, size_t name_at, struct pl_node_id id,
	     const struct platter_file *file, struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct part p = { .w = w };
	int r = visit(w, PL_VISIT_FOLDER, name_at, id, file, NULL, err), listed;

	if (r)
		return r == PL_SKIP ? 0 : r;
	listed = check_folder(w, id, &why);
	if (listed == 0) {
		w->trail[w->depth++] = id;
		listed = pl_volume_list(w->v, id, hold, &p, &why);
		r = p.stopped < 0 ? p.stopped : visit_part(&p, err);
		if (p.stopped < 0 && err)
			*err = why;
		w->depth--;
		pl_str_done(&p.names);
		free(p.entry);
	}
	if (r == 0 && listed < 0)
		r = report(w, name_at, id, file, &why, err);
	return r < 0 ? r : visit(w, PL_VISIT_LEAVE, name_at, id, file, NULL, err);
}

static int
visit_node(struct walker *w, size_t name_at, struct pl_node_id id, struct platter_error *err)
{
	struct platter_error why = PLATTER_ERROR_INIT;
	struct platter_file file;

	if (pl_volume_stat(w->v, id, &file, &why) < 0)
		return report(w, name_at, id, NULL, &why, err);
	if (file.type == PLATTER_FILE_FOLDER)
		return visit_folder(w, name_at, id, &file, err);
	return visit(w, PL_VISIT_FILE, name_at, id, &file, NULL, err);
}

static int
by_name(const void *a, const void *b, void *names)
{
	const struct held *x = a, *y = b;
	const char *text = names;
	int order = memcmp(text + x->name, text + y->name, PL_MIN(x->length, y->length));

	return order ? order : (x->length > y->length) - (x->length < y->length);
}

/* Visit the entries that are held, and let them go. */
static int
visit_part(struct part *p, struct platter_error *err)
{
	struct walker *w = p->w;
	size_t length = w->path.length;
	int r = 0;

	if (w->flags & PL_WALK_SORTED && p->nr)
		qsort_r(p->entry, p->nr, sizeof *p->entry, by_name, p->names.text);
	for (size_t i = 0; i < p->nr && r >= 0; i++) {
		const struct held *e = &p->entry[i];

		if (length)
			pl_str_add_bytes(&w->path, "/", 1);
		pl_str_add_bytes(&w->path, p->names.text + e->name, e->length);
		if (w->path.failed)
			return pl_no_memory(err);
		r = visit_node(w, length + (length > 0), e->id, err);
		w->path.length = length;
		w->path.text[length] = '\0';
	}
	p->nr = p->names.length = 0;
	return PL_MIN(r, 0);
}

int
pl_walk_tree(struct pl_volume *v, struct pl_node_id start, unsigned flags, pl_visit_fn *fn,
	     void *closure, struct platter_error *err)
{
	PL_AUTOFREE struct walker *w = calloc(1, sizeof *w);
	int r;

	if (!w)
		return pl_no_memory(err);
	w->v = v;
	w->flags = flags;
	w->fn = fn;
	w->closure = closure;
	r = visit_node(w, 0, start, err);
	pl_str_done(&w->path);
	free(w->seen.id);
	return PL_MIN(r, 0);
}
