/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * volumes.c - the files of a whole disk: of its file system, or of each of its partitions
 *
 * The nodes of partition i have i + 1 in the upper half of `tree`, and what its own volume
 * calls them in the rest.
 */
#include "volumes.h"

#include "content.h"
#include "scheme.h"
#include "text.h"

#define TREE_BITS 32

struct member {
	uint32_t number;
	char *name; /* of its folder */
	char *label;
	struct pl_disk *disk;
	bool tried;               /* to open it */
	struct pl_volume *volume; /* NULL: it could not be, and why: */
	struct platter_error why;
};

struct volumes {
	struct pl_volume volume;
	unsigned flags;
	pthread_mutex_t lock; /* guards `tried` and what follows it, of every member */
	struct member *member;
	size_t nr;
};

static struct volumes *
volumes_of(struct pl_volume *v)
{
	return pl_container_of(v, struct volumes, volume);
}

static int
open_member(struct volumes *d, struct member *m, struct platter_error *err)
{
	pthread_mutex_lock(&d->lock);
	if (!m->tried)
		pl_volume_open(m->disk, NULL, NULL, d->flags, &m->volume, &m->why);
	m->tried = true;
	pthread_mutex_unlock(&d->lock);
	if (m->volume)
		return 0;
	if (err)
		*err = m->why;
	return pl_negative(m->why.code);
}

/* The volume that `id` is of, and what it calls it itself; NULL: it cannot be opened. */
static int
enter(struct pl_volume *v, struct pl_node_id *id, struct member **ret, struct platter_error *err)
{
	struct volumes *d = volumes_of(v);
	uint64_t i = id->tree >> TREE_BITS;

	if (!i || i > d->nr)
		return pl_invalid(err, "no such node");
	*ret = &d->member[i - 1];
	id->tree &= (1ull << TREE_BITS) - 1;
	return open_member(d, *ret, err);
}

static bool
is_root(struct pl_node_id id)
{
	return !(id.tree >> TREE_BITS);
}

static struct pl_node_id
leave(const struct volumes *d, const struct member *m, struct pl_node_id id)
{
	id.tree |= (uint64_t)(m - d->member + 1) << TREE_BITS;
	return id;
}

static int
volumes_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	     struct platter_error *err)
{
	struct member *m;
	int r;

	if (is_root(id)) {
		ret->type = PLATTER_FILE_FOLDER;
		return 0;
	}
	r = enter(v, &id, &m, NULL);
	if (r == 0)
		return m->volume->ops->stat(m->volume, id, ret, err);
	ret->type = PLATTER_FILE_OTHER;
	ret->note = "partition without files that can be read";
	return 0;
}

struct relay {
	const struct volumes *d;
	const struct member *m;
	pl_entry_fn *fn;
	void *closure;
};

static int
relay_entry(void *closure, const struct pl_entry *e, struct platter_error *err)
{
	struct relay *r = closure;
	struct pl_entry entry = *e;

	entry.id = leave(r->d, r->m, e->id);
	return r->fn(r->closure, &entry, err);
}

static int
list_members(struct volumes *d, pl_entry_fn *fn, void *closure, struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; i < d->nr && r == 0; i++) {
		struct member *m = &d->member[i];
		struct pl_entry e = { .name = m->name, .length = strlen(m->name) };

		if (open_member(d, m, NULL) == 0)
			e.id = m->volume->root;
		e.id = leave(d, m, e.id);
		r = fn(closure, &e, err);
	}
	return r;
}

static int
volumes_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	     struct platter_error *err)
{
	struct relay relay = { .d = volumes_of(v), .fn = fn, .closure = closure };
	struct member *m;
	int r;

	if (is_root(folder))
		return list_members(volumes_of(v), fn, closure, err);
	r = enter(v, &folder, &m, err);
	relay.m = m;
	return r < 0 ? r : pl_volume_list(m->volume, folder, relay_entry, &relay, err);
}

/* A partition is called by its folder's name, its number or its label. */
static int
find_member(struct volumes *d, const char *name, size_t n, struct member **ret)
{
	for (size_t i = 0; i < d->nr; i++) {
		PL_AUTOFREE char *number = pl_format("%" PRIu32, d->member[i].number);
		const char *called[] = { d->member[i].name, number, d->member[i].label };

		for (size_t k = 0; k < ARRAY_SIZE(called); k++)
			if (called[k] && called[k][0] && strlen(called[k]) == n &&
			    !memcmp(called[k], name, n)) {
				*ret = &d->member[i];
				return 0;
			}
	}
	return -ENOENT;
}

static int
volumes_lookup(struct pl_volume *v, struct pl_node_id folder, const char *name, size_t n,
	       struct pl_node_id *ret, struct platter_error *err)
{
	struct volumes *d = volumes_of(v);
	struct pl_node_id found;
	struct member *m;
	int r;

	if (is_root(folder)) {
		r = find_member(d, name, n, &m);
		if (r == 0)
			r = open_member(d, m, err);
		if (r == 0)
			*ret = leave(d, m, m->volume->root);
		return r;
	}
	r = enter(v, &folder, &m, err);
	if (r == 0)
		r = pl_volume_lookup(m->volume, folder, name, n, &found, err);
	if (r == 0)
		*ret = leave(d, m, found);
	return r;
}

static int
volumes_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	struct member *m;
	int r = enter(v, &id, &m, err);

	return r < 0 ? r : pl_volume_read_link(m->volume, id, ret, err);
}

static int
volumes_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
		  struct pl_disk **ret, struct platter_error *err)
{
	struct member *m;
	int r = enter(v, &id, &m, err);

	return r < 0 ? r : pl_volume_open_file(m->volume, id, stream, name, ret, err);
}

static int
volumes_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	       struct platter_error *err)
{
	struct member *m;
	int r;

	if (is_root(id))
		return 0;
	r = enter(v, &id, &m, err);
	return r < 0 || !m->volume->ops->xattrs
		       ? r
		       : m->volume->ops->xattrs(m->volume, id, fn, closure, err);
}

static int
volumes_streams(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
		struct platter_error *err)
{
	struct member *m;
	int r;

	if (is_root(id))
		return 0;
	r = enter(v, &id, &m, err);
	return r < 0 || !m->volume->ops->streams
		       ? r
		       : m->volume->ops->streams(m->volume, id, fn, closure, err);
}

struct deleted_relay {
	const struct volumes *d;
	const struct member *m;
	pl_deleted_fn *fn;
	void *closure;
};

static int
relay_deleted(void *closure, const struct pl_deleted *deleted, struct platter_error *err)
{
	struct deleted_relay *r = closure;
	PL_AUTOFREE char *path = pl_format("%s/%s", r->m->name, deleted->path);
	struct pl_deleted d = *deleted;

	if (!path)
		return pl_no_memory(err);
	d.path = path;
	d.id = leave(r->d, r->m, d.id);
	return r->fn(r->closure, &d, err);
}

static int
volumes_deleted(struct pl_volume *v, pl_deleted_fn *fn, void *closure, struct platter_error *err)
{
	struct volumes *d = volumes_of(v);
	int first = 0;

	for (size_t i = 0; i < d->nr; i++) {
		struct deleted_relay relay = { d, &d->member[i], fn, closure };
		struct pl_volume *m;
		int r;

		if (open_member(d, &d->member[i], NULL) < 0 || !d->member[i].volume->ops->deleted)
			continue;
		m = d->member[i].volume;
		r = m->ops->deleted(m, relay_deleted, &relay, err);
		if (r < 0 && !first)
			first = r;
	}
	return first;
}

static void
volumes_free(struct pl_volume *v)
{
	struct volumes *d = volumes_of(v);

	for (size_t i = 0; i < d->nr; i++) {
		free(d->member[i].name);
		free(d->member[i].label);
		pl_volume_unref(d->member[i].volume);
		pl_disk_unref(d->member[i].disk);
	}
	free(d->member);
	pthread_mutex_destroy(&d->lock);
	pl_volume_done(v);
	free(d);
}

static const struct pl_volume_ops volumes_ops = {
	.stat = volumes_stat,
	.list = volumes_list,
	.lookup = volumes_lookup,
	.read_link = volumes_read_link,
	.open = volumes_open_file,
	.xattrs = volumes_xattrs,
	.streams = volumes_streams,
	.deleted = volumes_deleted,
	.free = volumes_free,
};

/* What a partition's folder is called after its number: the label of what is on it. */
static char *
label_of(struct pl_disk *disk)
{
	struct pl_arena arena = { 0 };
	const struct platter_content *contents;
	char *label = NULL;
	size_t nr;

	if (pl_contents_identify(disk, &arena, &contents, &nr, NULL) == 0 && nr)
		label = strdup(contents[0].label);
	pl_arena_done(&arena);
	for (char *p = label; p && *p; p++)
		if (*p == '/')
			*p = '_';
	return label;
}

static int
add_member(struct volumes *d, struct pl_disk *disk, const struct platter_partition *p,
	   struct platter_error *err)
{
	struct member *m = &d->member[d->nr];
	PL_AUTOFREE char *name = pl_format("%s@%" PRIu32, disk->name, p->number);
	int r;

	if (!name)
		return pl_no_memory(err);
	r = pl_slice_new(disk, p->offset, p->length, name, &m->disk, err);
	if (r < 0)
		return r;
	d->nr++;
	m->number = p->number;
	m->label = label_of(m->disk);
	m->name = m->label && m->label[0] ? pl_format("%" PRIu32 "-%s", p->number, m->label)
					  : pl_format("%" PRIu32, p->number);
	return m->name ? 0 : pl_no_memory(err);
}

static int
divide(struct pl_disk *disk, const struct platter_table *table, unsigned flags,
       struct pl_volume **ret, struct platter_error *err)
{
	struct pl_volume_request request = { .disk = disk, .flags = flags };
	struct volumes *d = calloc(1, sizeof *d);
	int r;

	if (!d)
		return pl_no_memory(err);
	pthread_mutex_init(&d->lock, NULL);
	d->flags = flags;
	d->member = calloc(table->nr_partitions, sizeof *d->member);
	r = pl_volume_init(&d->volume, &volumes_ops, &request, err);
	if (r == 0 && !d->member)
		r = pl_no_memory(err);
	for (size_t i = 0; i < table->nr_partitions && r == 0; i++) {
		const struct platter_partition *p = &table->partitions[i];

		if (p->number && p->length &&
		    (p->role == PLATTER_PARTITION || p->role == PLATTER_PARTITION_LOGICAL))
			r = add_member(d, disk, p, err);
	}
	if (r < 0)
		volumes_free(&d->volume);
	else
		*ret = &d->volume;
	return r;
}

int
pl_volumes_open(struct pl_disk *disk, const char *fs, const char *snapshot, unsigned flags,
		struct pl_volume **ret, struct platter_error *err)
{
	const struct platter_table *tables;
	struct pl_arena arena = { 0 };
	size_t nr = 0;
	int r = pl_volume_open(disk, fs, snapshot, flags, ret, err);

	if (r == 0 || fs || disk->sequential)
		return r;
	if (pl_tables_read(disk, flags, &arena, &tables, &nr, NULL, NULL) == 0 && nr &&
	    tables[0].nr_partitions)
		r = divide(disk, &tables[0], flags, ret, err);
	pl_arena_done(&arena);
	return r;
}
