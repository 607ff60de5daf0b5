/* SPDX-License-Identifier: GPL-3.0-or-later */
/* links.h - files with several names: what each was called first */
#ifndef PL_LINKS_H
#define PL_LINKS_H

#include "volume.h"

struct pl_link {
	struct pl_node_id id;
	char *path; /* the first name, owned; NULL until the caller sets it */
	bool made;  /* the caller's: there is such a file */
};

/* Start from {0}. */
struct pl_links {
	struct pl_link *link;
	size_t *slots; /* indices + 1, by the nodes */
	size_t nr, capacity;
};

/* The index in `link` of a node; a new one if it was not there. */
int pl_links_find(struct pl_links *l, struct pl_node_id id, size_t *ret, struct platter_error *err);
void pl_links_done(struct pl_links *l);

#endif
