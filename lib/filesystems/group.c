/* SPDX-License-Identifier: GPL-3.0-or-later */
/* group.c - opening volume groups, and finding a logical volume by what a user calls it */
#include "group.h"

#include <strings.h>

#include "text.h"

/* Logical volumes that a message lists before it only counts them. */
#define MAX_LISTED 16

int
pl_group_open(struct pl_disk *disk, unsigned flags, struct pl_group **ret,
	      struct platter_error *err)
{
	struct pl_arena arena = { 0 };
	struct pl_content *found = NULL;
	size_t nr = 0;
	int r = disk->sequential ? -ENOENT : pl_contents_find(disk, &arena, &found, &nr, err);

	if (r == 0 && (!nr || !found[0].driver->group))
		r = -ENOENT;
	if (r == 0)
		r = found[0].driver->group(disk, flags, ret, err);
	if (r < 0 && r != -ENOENT)
		pl_error_place(err, disk->name);
	pl_arena_done(&arena);
	return r;
}

void
pl_group_done(struct pl_group *g)
{
	pl_disk_unref(g->disk);
	pl_arena_done(&g->arena);
}

void
pl_group_close(struct pl_group *g)
{
	if (g)
		g->ops->free(g);
}

static char *
list_names(const struct pl_group *g)
{
	struct pl_str s = { 0 };
	size_t nr = 0;

	for (size_t i = 0; i < g->nr; i++)
		if (!g->volume[i].hidden && ++nr <= MAX_LISTED)
			pl_str_addf(&s, "%s%s", nr > 1 ? ", " : "", g->volume[i].name);
	if (nr > MAX_LISTED)
		pl_str_addf(&s, " and %zu more", nr - MAX_LISTED);
	if (!nr)
		pl_str_add(&s, "none");
	return s.text;
}

int
pl_group_find(const struct pl_group *g, const char *select, size_t *ret, struct platter_error *err)
{
	PL_AUTOFREE char *names = NULL;
	const char *name = select + (*select == '/');
	size_t n = strlen(g->name);
	int r;

	if (!strncmp(name, g->name, n) && name[n] == '/')
		name += n + 1;
	for (size_t i = 0; i < g->nr; i++)
		if (!strcmp(g->volume[i].name, name) || !strcasecmp(g->volume[i].uuid, name)) {
			*ret = i;
			return 0;
		}
	names = list_names(g);
	r = pl_fail(err, -ENOENT, "no logical volume '%s' in volume group '%s' on '%s'", select,
		    g->name, g->disk->name);
	pl_hint(err, "the logical volumes are %s", names ? names : "");
	return r;
}

char *
pl_logical_place(const char *disk, const char *name)
{
	const char *last = strrchr(disk, '@');
	bool is_partition = last && last[1] && !strpbrk(last, "/?:");

	return pl_format("%s%s/%s", disk, is_partition ? "" : "@", name);
}

int
pl_group_open_logical(struct pl_group *g, size_t index, const char *name, struct pl_disk **ret,
		      struct platter_error *err)
{
	const struct pl_logical *l = &g->volume[index];

	if (l->code)
		return pl_fail(err, l->code, "logical volume '%s/%s' on '%s' cannot be opened: %s",
			       g->name, l->name, g->disk->name, l->why);
	return g->ops->open(g, index, name, ret, err);
}
