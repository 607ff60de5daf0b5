/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * volumes.c - the files of a whole disk: of its file system, or of each of its partitions and
 * logical volumes
 *
 * Members are a tree: the disk, its partitions, their logical volumes, partitions of those.
 * What has members is a folder of them; else it has a volume.  The nodes of member i have i in
 * the upper half of `tree`, and what its own volume calls them in the rest.
 */
#include "volumes.h"

#include "content.h"
#include "group.h"
#include "scheme.h"
#include "text.h"

#define TREE_BITS 32

/* The disk, a partition, a logical volume in that, a partition in that. */
#define MAX_LEVELS 4

/* The fullest volume group, and partitions in some of it. */
#define MAX_MEMBERS 65536

struct member {
	uint32_t number; /* of a partition; 0: it is none */
	unsigned level;
	char *name; /* of its folder */
	char *label;
	struct pl_disk *disk;
	bool tried;               /* to open it */
	struct pl_volume *volume; /* NULL: it has members, or could not be opened: */
	struct platter_error why;
	size_t first, nr; /* its members */
};

struct volumes {
	struct pl_volume volume;
	unsigned flags;
	pthread_mutex_t lock;   /* guards all of what follows, and members until they are tried */
	struct member **member; /* [0] is the disk */
	size_t nr, capacity;
};

static struct volumes *
volumes_of(struct pl_volume *v)
{
	return pl_container_of(v, struct volumes, volume);
}

static bool
has_members(const struct member *m)
{
	return m->nr;
}

static void
member_free(struct member *m)
{
	if (!m)
		return;
	free(m->name);
	free(m->label);
	pl_volume_unref(m->volume);
	pl_disk_unref(m->disk);
	free(m);
}

/* ---- finding members ---- */

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
	return label;
}

/* No name of a folder holds a '/'. */
static void
replace_slashes(char *name)
{
	for (char *p = name; p && *p; p++)
		if (*p == '/')
			*p = '_';
}

/* A member on `disk`, whose reference is taken over; NULL: no memory. */
static struct member *
member_new(struct pl_disk *disk, uint32_t number, const char *name)
{
	struct member *m = calloc(1, sizeof *m);

	if (!m) {
		pl_disk_unref(disk);
		return NULL;
	}
	m->disk = disk;
	m->number = number;
	m->label = number ? label_of(disk) : NULL;
	m->name = m->label && m->label[0] ? pl_format("%s-%s", name, m->label) : strdup(name);
	if (!m->name) {
		member_free(m);
		return NULL;
	}
	replace_slashes(m->name);
	replace_slashes(m->label);
	return m;
}

static int
make_room(struct volumes *d, struct platter_error *err)
{
	size_t capacity = PL_MAX(16, d->capacity * 2);
	struct member **larger;

	if (d->nr == MAX_MEMBERS)
		return pl_over_limit(err, PLATTER_NO_OFFSET,
				     "more than %d partitions and logical volumes", MAX_MEMBERS);
	if (d->nr < d->capacity)
		return 0;
	larger = pl_realloc_array(d->member, capacity, sizeof *larger);
	if (!larger)
		return pl_no_memory(err);
	d->member = larger;
	d->capacity = capacity;
	return 0;
}

/* Add one to `parent` (NULL: the disk itself), with the reference of `disk`, in failure too. */
static int
add_member(struct volumes *d, struct member *parent, struct pl_disk *disk, uint32_t number,
	   const char *name, struct platter_error *err)
{
	struct member *m = member_new(disk, number, name);
	int r = m ? make_room(d, err) : pl_no_memory(err);

	if (r < 0) {
		member_free(m);
		return r;
	}
	m->level = parent ? parent->level + 1 : 0;
	if (parent && !parent->nr++)
		parent->first = d->nr;
	d->member[d->nr++] = m;
	return 0;
}

static int
add_partitions(struct volumes *d, struct member *parent, const struct platter_table *table,
	       struct platter_error *err)
{
	struct pl_disk *disk = parent->disk;
	int r = 0;

	for (size_t i = 0; i < table->nr_partitions && r == 0; i++) {
		const struct platter_partition *p = &table->partitions[i];
		PL_AUTOFREE char *number = pl_format("%" PRIu32, p->number);
		PL_AUTOFREE char *name = pl_format("%s@%" PRIu32, disk->name, p->number);
		struct pl_disk *slice;

		if (!p->number || !p->length ||
		    (p->role != PLATTER_PARTITION && p->role != PLATTER_PARTITION_LOGICAL))
			continue;
		if (!number || !name)
			return pl_no_memory(err);
		r = pl_slice_new(disk, p->offset, p->length, name, &slice, err);
		if (r == 0)
			r = add_member(d, parent, slice, p->number, number, err);
	}
	return r;
}

static int
add_logicals(struct volumes *d, struct member *parent, struct pl_group *g,
	     struct platter_error *err)
{
	int r = 0;

	for (size_t i = 0; i < g->nr && r == 0; i++) {
		const struct pl_logical *l = &g->volume[i];
		PL_AUTOFREE char *name = pl_logical_place(parent->disk->name, l->name);
		struct pl_disk *disk;

		if (l->hidden || l->code)
			continue;
		if (!name)
			return pl_no_memory(err);
		r = pl_group_open_logical(g, i, name, &disk, err);
		if (r == 0)
			r = add_member(d, parent, disk, 0, l->name, err);
	}
	return r;
}

/* Divide what has no file system of its own; nothing is added if it cannot be. */
static int
divide(struct volumes *d, struct member *m, struct platter_error *err)
{
	const struct platter_table *tables;
	struct pl_arena arena = { 0 };
	size_t nr = 0;
	int r = 0;

	if (m->level + 1 == MAX_LEVELS || m->disk->sequential)
		return 0;
	if (pl_tables_read(m->disk, d->flags, &arena, &tables, &nr, NULL, NULL) == 0 && nr &&
	    tables[0].nr_partitions)
		r = add_partitions(d, m, &tables[0], err);
	pl_arena_done(&arena);
	return r;
}

/*
 * A volume group goes before what else is recognised: that is of its contents, or left from
 * before.
 */
static void
try_member(struct volumes *d, struct member *m)
{
	struct pl_group *g = NULL;
	int r = m->level + 1 < MAX_LEVELS ? pl_group_open(m->disk, d->flags, &g, &m->why) : -ENOENT;

	if (r == 0) {
		r = add_logicals(d, m, g, &m->why);
		if (r == 0 && !m->nr)
			pl_unsupported(&m->why, PLATTER_NO_OFFSET,
				       "'%s' holds volume group '%s', which has no logical volume "
				       "that can be opened",
				       m->disk->name, g->name);
		pl_group_close(g);
	} else if (r == -ENOENT) {
		r = pl_volume_open(m->disk, NULL, NULL, d->flags, &m->volume, &m->why);
		/* A boot sector is easily taken for a table: only those of whole disks are. */
		if (r < 0 && !m->number)
			divide(d, m, NULL);
	}
	m->tried = true;
}

/* A member whose volume is open or which has members; else why not. */
static int
open_member(struct volumes *d, size_t index, struct member **ret, struct platter_error *err)
{
	struct member *m = NULL;

	pthread_mutex_lock(&d->lock);
	if (index < d->nr) {
		m = d->member[index];
		if (!m->tried)
			try_member(d, m);
	}
	pthread_mutex_unlock(&d->lock);
	if (!m)
		return pl_invalid(err, "no such node");
	*ret = m;
	if (m->volume || has_members(m))
		return 0;
	if (err)
		*err = m->why;
	return pl_negative(m->why.code);
}

/* Members stay where they are; only the list of them moves. */
static struct member *
member_at(struct volumes *d, size_t index)
{
	struct member *m;

	pthread_mutex_lock(&d->lock);
	m = d->member[index];
	pthread_mutex_unlock(&d->lock);
	return m;
}

/* ---- nodes ---- */

/* The member that `id` is of, and what its volume calls it, if it has one. */
static int
enter(struct pl_volume *v, struct pl_node_id *id, struct member **ret, struct platter_error *err)
{
	size_t index = (size_t)(id->tree >> TREE_BITS);

	id->tree &= (1ull << TREE_BITS) - 1;
	return open_member(volumes_of(v), index, ret, err);
}

static struct pl_node_id
leave(size_t index, struct pl_node_id id)
{
	id.tree |= (uint64_t)index << TREE_BITS;
	return id;
}

/* The member's root. */
static struct pl_node_id
root_of(struct volumes *d, size_t index)
{
	struct pl_node_id id = { 0, 0 };
	struct member *m;

	if (open_member(d, index, &m, NULL) == 0 && m->volume)
		id = m->volume->root;
	return leave(index, id);
}

static int
volumes_stat(struct pl_volume *v, struct pl_node_id id, struct platter_file *ret,
	     struct platter_error *err)
{
	struct member *m;
	int r = enter(v, &id, &m, NULL);

	if (r == 0 && m->volume)
		return m->volume->ops->stat(m->volume, id, ret, err);
	ret->type = r == 0 ? PLATTER_FILE_FOLDER : PLATTER_FILE_OTHER;
	if (r < 0)
		ret->note = "partition without files that can be read";
	return 0;
}

struct relay {
	size_t index;
	pl_entry_fn *fn;
	void *closure;
};

static int
relay_entry(void *closure, const struct pl_entry *e, struct platter_error *err)
{
	struct relay *r = closure;
	struct pl_entry entry = *e;

	entry.id = leave(r->index, e->id);
	return r->fn(r->closure, &entry, err);
}

static int
list_members(struct volumes *d, const struct member *parent, pl_entry_fn *fn, void *closure,
	     struct platter_error *err)
{
	int r = 0;

	for (size_t i = parent->first; i < parent->first + parent->nr && r == 0; i++) {
		const struct member *m = member_at(d, i);
		struct pl_entry e = { .name = m->name, .length = strlen(m->name) };

		e.id = root_of(d, i);
		r = fn(closure, &e, err);
	}
	return r;
}

static int
volumes_list(struct pl_volume *v, struct pl_node_id folder, pl_entry_fn *fn, void *closure,
	     struct platter_error *err)
{
	struct relay relay = { folder.tree >> TREE_BITS, fn, closure };
	struct member *m;
	int r = enter(v, &folder, &m, err);

	if (r == 0 && !m->volume)
		return list_members(volumes_of(v), m, fn, closure, err);
	return r < 0 ? r : pl_volume_list(m->volume, folder, relay_entry, &relay, err);
}

/* A partition is called by its folder's name, its number or its label. */
static int
find_member(struct volumes *d, const struct member *parent, const char *name, size_t n, size_t *ret)
{
	for (size_t i = parent->first; i < parent->first + parent->nr; i++) {
		const struct member *m = member_at(d, i);
		PL_AUTOFREE char *number = pl_format("%" PRIu32, m->number);
		const char *called[] = { m->name, m->number ? number : NULL, m->label };

		for (size_t k = 0; k < ARRAY_SIZE(called); k++)
			if (called[k] && called[k][0] && strlen(called[k]) == n &&
			    !memcmp(called[k], name, n)) {
				*ret = i;
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
	size_t index = (size_t)(folder.tree >> TREE_BITS);
	struct pl_node_id found;
	struct member *m;
	int r = enter(v, &folder, &m, err);

	if (r == 0 && !m->volume) {
		r = find_member(d, m, name, n, &index);
		if (r == 0)
			r = open_member(d, index, &m, err);
		if (r == 0)
			*ret = root_of(d, index);
		return r;
	}
	if (r == 0)
		r = pl_volume_lookup(m->volume, folder, name, n, &found, err);
	if (r == 0)
		*ret = leave(index, found);
	return r;
}

static int
volumes_read_link(struct pl_volume *v, struct pl_node_id id, char **ret, struct platter_error *err)
{
	struct member *m;
	int r = enter(v, &id, &m, err);

	if (r == 0 && !m->volume)
		return pl_invalid(err, "no symbolic link");
	return r < 0 ? r : pl_volume_read_link(m->volume, id, ret, err);
}

static int
volumes_open_file(struct pl_volume *v, struct pl_node_id id, const char *stream, const char *name,
		  struct pl_disk **ret, struct platter_error *err)
{
	struct member *m;
	int r = enter(v, &id, &m, err);

	if (r == 0 && !m->volume)
		return pl_fail(err, -EISDIR, "'%s' is a folder", name);
	return r < 0 ? r : pl_volume_open_file(m->volume, id, stream, name, ret, err);
}

static int
volumes_xattrs(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
	       struct platter_error *err)
{
	struct member *m;
	int r = enter(v, &id, &m, err);

	return r < 0 || !m->volume || !m->volume->ops->xattrs
		       ? r
		       : m->volume->ops->xattrs(m->volume, id, fn, closure, err);
}

static int
volumes_streams(struct pl_volume *v, struct pl_node_id id, pl_attribute_fn *fn, void *closure,
		struct platter_error *err)
{
	struct member *m;
	int r = enter(v, &id, &m, err);

	return r < 0 || !m->volume || !m->volume->ops->streams
		       ? r
		       : m->volume->ops->streams(m->volume, id, fn, closure, err);
}

struct deleted_relay {
	size_t index;
	const char *folder; /* its path, with a '/' behind it */
	pl_deleted_fn *fn;
	void *closure;
};

static int
relay_deleted(void *closure, const struct pl_deleted *deleted, struct platter_error *err)
{
	struct deleted_relay *r = closure;
	PL_AUTOFREE char *path = pl_format("%s%s", r->folder, deleted->path);
	struct pl_deleted d = *deleted;

	if (!path)
		return pl_no_memory(err);
	d.path = path;
	d.id = leave(r->index, d.id);
	return r->fn(r->closure, &d, err);
}

/* Of all members; there are few levels. */
static int
deleted_of(struct volumes *d, size_t index, const char *folder, pl_deleted_fn *fn, void *closure,
	   struct platter_error *err)
{
	struct deleted_relay relay = { index, folder, fn, closure };
	struct member *m;
	int first = 0;

	if (open_member(d, index, &m, NULL) < 0)
		return 0;
	if (m->volume)
		return m->volume->ops->deleted
			       ? m->volume->ops->deleted(m->volume, relay_deleted, &relay, err)
			       : 0;
	for (size_t i = m->first; i < m->first + m->nr; i++) {
		PL_AUTOFREE char *path = pl_format("%s%s/", folder, member_at(d, i)->name);
		int r = path ? deleted_of(d, i, path, fn, closure, err) : pl_no_memory(err);

		if (r < 0 && !first)
			first = r;
	}
	return first;
}

static int
volumes_deleted(struct pl_volume *v, pl_deleted_fn *fn, void *closure, struct platter_error *err)
{
	return deleted_of(volumes_of(v), 0, "", fn, closure, err);
}

static void
volumes_free(struct pl_volume *v)
{
	struct volumes *d = volumes_of(v);

	for (size_t i = 0; i < d->nr; i++)
		member_free(d->member[i]);
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

/* A volume of the disk's members, if it has any: *ret is NULL else. */
static int
open_members(struct pl_disk *disk, unsigned flags, struct pl_group *g, struct pl_volume **ret,
	     struct platter_error *err)
{
	struct pl_volume_request request = { .disk = disk, .flags = flags };
	struct volumes *d = calloc(1, sizeof *d);
	int r;

	if (!d)
		return pl_no_memory(err);
	pthread_mutex_init(&d->lock, NULL);
	d->flags = flags;
	r = pl_volume_init(&d->volume, &volumes_ops, &request, err);
	if (r == 0)
		r = add_member(d, NULL, pl_disk_ref(disk), 0, "", err);
	if (r == 0)
		r = g ? add_logicals(d, d->member[0], g, err) : divide(d, d->member[0], err);
	if (r < 0 || !has_members(d->member[0])) {
		volumes_free(&d->volume);
		return r;
	}
	d->member[0]->tried = true;
	*ret = &d->volume;
	return 0;
}

/* Of what has members, each may have snapshots of its own. */
static int
whose_snapshot(const struct pl_disk *disk, const char *snapshot, struct platter_error *err)
{
	int r = pl_fail(err, -ENOENT,
			"'%s' has no snapshot '%s': it has partitions or logical volumes",
			disk->name, snapshot);

	pl_hint(err, "name the one that has it: PLACE@NUMBER?snapshot=%s", snapshot);
	return r;
}

static int
open_group(struct pl_disk *disk, struct pl_group *g, unsigned flags, struct pl_volume **ret,
	   struct platter_error *err)
{
	int r = open_members(disk, flags, g, ret, err);

	if (r == 0 && !*ret)
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "'%s' holds volume group '%s', which has no logical volume that "
				   "can be opened",
				   disk->name, g->name);
	return r;
}

int
pl_volumes_open(struct pl_disk *disk, const char *fs, const char *snapshot, unsigned flags,
		struct pl_volume **ret, struct platter_error *err)
{
	struct pl_group *g = NULL;
	struct pl_volume *v = NULL;
	int r = fs ? -ENOENT : pl_group_open(disk, flags, &g, err);

	if (r == 0) {
		r = snapshot ? whose_snapshot(disk, snapshot, err)
			     : open_group(disk, g, flags, &v, err);
		pl_group_close(g);
	} else if (r == -ENOENT) {
		r = pl_volume_open(disk, fs, snapshot, flags, &v, err);
		if (r < 0 && !fs && !disk->sequential &&
		    open_members(disk, flags, NULL, &v, NULL) == 0 && v)
			r = snapshot ? whose_snapshot(disk, snapshot, err) : 0;
	}
	if (r == 0)
		*ret = v;
	else
		pl_volume_unref(v);
	return r;
}
