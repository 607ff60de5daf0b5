/* SPDX-License-Identifier: GPL-3.0-or-later */
/* links.c - files with several names: what each was called first */
#include "links.h"

/* The slot of a node: that of its index + 1, or the empty one where it would be. */
static size_t *
slot_of(const struct pl_links *l, struct pl_node_id id)
{
	size_t mask = l->capacity * 2 - 1;
	size_t i = (size_t)((id.inode ^ id.tree << 40) * 0x9e3779b97f4a7c15u >> 20) & mask;

	while (l->slots[i] && (l->link[l->slots[i] - 1].id.inode != id.inode ||
			       l->link[l->slots[i] - 1].id.tree != id.tree))
		i = (i + 1) & mask;
	return &l->slots[i];
}

static int
grow(struct pl_links *l, struct platter_error *err)
{
	size_t capacity = PL_MAX(64, l->capacity * 2);
	size_t *slots = calloc(capacity * 2, sizeof *slots);
	struct pl_link *link = pl_realloc_array(l->link, capacity, sizeof *link);

	if (link)
		l->link = link;
	if (!slots || !link) {
		free(slots);
		return pl_no_memory(err);
	}
	free(l->slots);
	l->slots = slots;
	l->capacity = capacity;
	for (size_t i = 0; i < l->nr; i++)
		*slot_of(l, l->link[i].id) = i + 1;
	return 0;
}

int
pl_links_find(struct pl_links *l, struct pl_node_id id, size_t *ret, struct platter_error *err)
{
	size_t *slot;
	int r = l->nr == l->capacity ? grow(l, err) : 0;

	if (r < 0)
		return r;
	slot = slot_of(l, id);
	if (!*slot) {
		l->link[l->nr] = (struct pl_link){ .id = id };
		*slot = ++l->nr;
	}
	*ret = *slot - 1;
	return 0;
}

void
pl_links_done(struct pl_links *l)
{
	for (size_t i = 0; i < l->nr; i++)
		free(l->link[i].path);
	free(l->link);
	free(l->slots);
	*l = (struct pl_links){ 0 };
}
