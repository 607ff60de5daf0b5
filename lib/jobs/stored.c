/* SPDX-License-Identifier: GPL-3.0-or-later */
/* stored.c - what an image takes up, in all of its files */
#include "stored.h"

#include "storage.h"

struct sum {
	struct pl_file_id *seen;
	size_t nr, room;
	uint64_t bytes;
};

static bool
was_seen(const struct sum *s, struct pl_file_id id)
{
	for (size_t i = 0; i < s->nr; i++)
		if (s->seen[i].device == id.device && s->seen[i].inode == id.inode)
			return true;
	return false;
}

/* Descriptors may name one file for several extents.  False: it cannot be told. */
static bool
add_file(struct sum *s, struct pl_disk *file)
{
	uint64_t bytes = pl_storage_allocated(file);
	struct pl_file_id id;

	if (bytes == UINT64_MAX || !pl_storage_id(file, 0, &id))
		return false;
	if (was_seen(s, id))
		return true;
	if (s->nr == s->room) {
		size_t room = s->room ? s->room * 2 : 16;
		struct pl_file_id *seen = pl_realloc_array(s->seen, room, sizeof *seen);

		if (!seen)
			return false;
		s->seen = seen;
		s->room = room;
	}
	s->seen[s->nr++] = id;
	s->bytes += bytes;
	return true;
}

static bool
add(struct sum *s, struct pl_disk *disk)
{
	struct pl_disk *below;

	if (!disk->ops->below)
		return add_file(s, disk);
	for (size_t i = 0; (below = disk->ops->below(disk, i)); i++)
		if (!add(s, below))
			return false;
	return true;
}

uint64_t
pl_stored(struct pl_disk *disk)
{
	struct sum s = { 0 };
	bool known = add(&s, disk);

	free(s.seen);
	return known ? s.bytes : UINT64_MAX;
}
