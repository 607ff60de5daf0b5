/* SPDX-License-Identifier: GPL-3.0-or-later */
/* snapshot.c - snapshots inside of an image created, applied and deleted */
#include "change.h"
#include "format.h"
#include "guard.h"
#include "storage.h"

typedef int (*snapshot_fn)(struct pl_disk *disk, const char *name, struct platter_error *err);

static snapshot_fn
function_for(const struct pl_format *format, enum pl_snapshot_action action)
{
	const struct pl_change_ops *change = format ? format->change : NULL;

	if (!change)
		return NULL;
	return action == PL_SNAPSHOT_CREATE  ? change->snapshot_create
	       : action == PL_SNAPSHOT_APPLY ? change->snapshot_apply
					     : change->snapshot_delete;
}

int
pl_snapshot_change(struct pl_place *place, enum pl_snapshot_action action, const char *name,
		   struct platter_error *err)
{
	struct pl_disk *disk = place->disk;
	const struct pl_format *format = pl_format_of(disk);
	snapshot_fn change = function_for(format, action);
	int r = 0;

	if (!change) {
		r = pl_unsupported(err, PLATTER_NO_OFFSET,
				   "snapshots inside of '%s' (%s) cannot be changed", place->name,
				   format ? format->info.longname : "a part of a disk");
		pl_hint(err, "convert it to qcow2, or keep it as it is and write to an overlay");
		return r;
	}
	if (!disk->writable)
		return pl_fail(err, -EROFS, "'%s' is open for reading only", place->name);
	if (pl_storage_path(place->storage, 0))
		r = pl_guard_device(pl_storage_path(place->storage, 0), err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&disk->write_lock);
	r = change(disk, name, err);
	atomic_fetch_add(&disk->generation, 1);
	pthread_mutex_unlock(&disk->write_lock);
	return r;
}
