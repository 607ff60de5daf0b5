/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lost-files.c - the files that lie where a disk could not be read
 *
 * Nothing is read of the files: the map of each says where it lies, and what of that is bad.
 */
#include "rescue.h"

#include "text.h"
#include "tree.h"
#include "volumes.h"

struct search {
	struct pl_volume *volume;
	void (*found)(const struct platter_lost_file *file, void *closure);
	void *closure;
	struct pl_meter meter;
	struct platter_lost_files *sum;
};

/* Is any of [offset, offset + length) bad? */
static bool
holds_bad(struct pl_disk *disk, uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length;

	while (offset < end) {
		struct pl_piece p;

		/* What is stored past the end is nowhere. */
		if (pl_resolve(disk, offset, end - offset, 0, &p, NULL) < 0 ||
		    p.kind == PLATTER_BAD)
			return true;
		offset += p.length;
	}
	return false;
}

/* Bytes of a file that are bad; of a compressed chunk all, if any of what is stored is. */
static int
lost_bytes(struct pl_disk *file, uint64_t *ret, struct platter_error *err)
{
	uint64_t at = 0;
	int r = 0;

	*ret = 0;
	while (at < file->size && r == 0) {
		struct pl_piece p;

		r = pl_resolve(file, at, file->size - at, 0, &p, err);
		if (r < 0)
			break;
		if (p.kind == PLATTER_BAD ||
		    (p.owner &&
		     holds_bad(p.extent.below, p.extent.stored_offset, p.extent.stored_length)))
			*ret += p.length;
		at += p.length;
	}
	return r;
}

static int
look_at(struct search *s, const struct pl_visited *v, struct platter_error *err)
{
	PL_AUTOUNREF struct pl_disk *disk = NULL;
	PL_AUTOFREE char *path = pl_format("/%s", v->path);
	struct platter_lost_file file = { .path = path, .size = v->file->size };
	int r;

	if (!path)
		return pl_no_memory(err);
	s->sum->files++;
	r = pl_volume_open_file(s->volume, v->id, NULL, path, &disk, NULL);
	if (r == 0)
		r = lost_bytes(disk, &file.lost, NULL);
	if (r == -ENOMEM)
		return pl_no_memory(err);
	/* Encrypted, or stored in a way that is not read: nothing is known of it. */
	if (r < 0 && r != -ENOTSUP)
		s->sum->unreadable++;
	if (r < 0 || !file.lost)
		return 0;
	s->sum->lost++;
	s->found(&file, s->closure);
	return 0;
}

static int
visit(void *closure, const struct pl_visited *v, struct platter_error *err)
{
	struct search *s = closure;

	if (pl_meter_cancelled(&s->meter))
		return pl_fail(err, -ECANCELED, "stopped");
	pl_meter_add(&s->meter, 1, 0);
	if (v->what == PL_VISIT_ERROR)
		s->sum->unreadable++;
	if (v->what != PL_VISIT_FILE || v->file->type != PLATTER_FILE_REGULAR)
		return 0;
	return look_at(s, v, err);
}

int
pl_find_lost_files(struct pl_disk *disk, unsigned flags,
		   void (*found)(const struct platter_lost_file *file, void *closure),
		   void *closure, struct platter_progress *progress, struct platter_lost_files *ret,
		   struct platter_error *err)
{
	struct search s = { .found = found, .closure = closure, .sum = ret };
	int r = pl_volumes_open(disk, NULL, NULL, flags, &s.volume, NULL);

	if (r < 0)
		return r == -ENOMEM ? pl_no_memory(err) : 0;
	pl_meter_start(&s.meter, progress, "checking", UINT64_MAX);
	r = pl_walk_tree(s.volume, s.volume->root, 0, visit, &s, err);
	pl_meter_finish(&s.meter);
	pl_volume_unref(s.volume);
	return r == -ECANCELED || r == -ENOMEM ? r : 0;
}
