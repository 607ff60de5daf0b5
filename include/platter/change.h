/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/change.h - changing images that are there
 *
 * What is done in place is ordered so that a kill at any moment leaves an image that opens
 * and holds what it held before or what it is to hold; what cannot be done so goes
 * through a new file that takes the old one's name when it is whole.
 */
#ifndef PLATTER_CHANGE_H
#define PLATTER_CHANGE_H

#include <platter/disk.h>
#include <platter/job.h>
#include <platter/progress.h>

#ifdef __cplusplus
extern "C" {
#endif

struct platter_resize_options {
	size_t size;       /* sizeof(struct platter_resize_options) */
	bool discard_data; /* shrink even if what falls off is not all zeros */
};

/*
 * Make the disk of an image that was opened for writing `size` bytes long, or as much longer
 * as its format counts in; platter_size() tells.  What is added reads as zeros.  Partition
 * tables and file systems stay as they are.
 * Errors: -ENOTEMPTY: data would fall off, and nothing was changed; -ENOTSUP: a device, a
 * partition, or of a format whose size stays; -EBUSY: a loop device stands on the image;
 * -EINVAL, -EFBIG, -EROFS, -ENOSPC, -EIO.
 */
PLATTER_API int platter_resize(struct platter_disk *disk, uint64_t size,
			       const struct platter_resize_options *options,
			       struct platter_error *err);

/*
 * Snapshots inside of an image that was opened for writing: keep the disk as it is now
 * under `name`; make the disk what it was, in size too; forget a snapshot.  `snapshot` is an
 * id or a name.
 * Errors: -EEXIST, -ENOENT, -ENOTSUP, -EROFS, -ENOSPC, -EUCLEAN, -EIO.
 */
PLATTER_API int platter_snapshot_create(struct platter_disk *disk, const char *name,
					struct platter_error *err);
PLATTER_API int platter_snapshot_apply(struct platter_disk *disk, const char *snapshot,
				       struct platter_error *err);
PLATTER_API int platter_snapshot_delete(struct platter_disk *disk, const char *snapshot,
					struct platter_error *err);

struct platter_repair_options {
	size_t size;  /* sizeof(struct platter_repair_options) */
	bool dry_run; /* only say what would be changed */
};

struct platter_repair_result {
	uint64_t repaired; /* findings put right, or with dry_run: that would be */
	uint64_t left;     /* damages that cannot be put right */
};

/*
 * Put right what redundant copies or counting again can put right in the image at `image`.
 * `found` is called for each finding: PLATTER_REPAIRED, or what verify says and stays.
 * No data is invented: what is lost stays lost.
 * Errors: those of opening for writing; -ENOTSUP: the format has nothing to repair.
 */
PLATTER_API int platter_repair(const char *image, const struct platter_repair_options *options,
			       void (*found)(const struct platter_finding *finding, void *closure),
			       void *closure, struct platter_repair_result *ret,
			       struct platter_error *err);

/* What work on a whole image came to. */
struct platter_change_result {
	uint64_t size;          /* bytes of the disk */
	uint64_t moved;         /* of these written somewhere */
	uint64_t stored_before; /* bytes that the image's file took up */
	uint64_t stored_after;
	bool in_place; /* or through a new file */
	double seconds;
};

struct platter_compact_options {
	size_t size; /* sizeof(struct platter_compact_options) */
	bool copy;   /* through a new file even where it could be done in place */
};

/*
 * Give back the space in the file of `image` that holds zeros or nothing.  Format, options
 * and parent stay.
 * Errors: those of opening for writing and of platter_create(); -EBUSY: images whose
 * snapshots would be lost.
 */
PLATTER_API int platter_compact(const char *image, const struct platter_compact_options *options,
				struct platter_progress *progress,
				struct platter_change_result *ret, struct platter_error *err);

struct platter_commit_options {
	size_t size;                /* sizeof(struct platter_commit_options) */
	bool remove;                /* delete the overlay afterwards */
	const char *const *parents; /* as in platter_open_options */
	size_t nr_parents;
};

/*
 * Merge the overlay `image` into its parent, which then reads as the overlay does (and grows
 * to its size).  Other overlays of that parent are worthless afterwards.  A kill in between
 * loses nothing: doing it again completes it.
 * Errors: -EINVAL: it has no parent; -EBUSY: that is in use; those of opening the parent for
 * writing and of platter_resize().
 */
PLATTER_API int platter_commit(const char *image, const struct platter_commit_options *options,
			       struct platter_progress *progress, struct platter_change_result *ret,
			       struct platter_error *err);

struct platter_flatten_options {
	size_t size;                /* sizeof(struct platter_flatten_options) */
	const char *const *parents; /* as in platter_open_options */
	size_t nr_parents;
};

/*
 * Make the overlay `image` whole: all that it takes from its parents is stored in itself.
 * Errors: -EINVAL: it has no parent; -EBUSY: it holds snapshots, which would be lost; those of
 * platter_create().
 */
PLATTER_API int platter_flatten(const char *image, const struct platter_flatten_options *options,
				struct platter_progress *progress,
				struct platter_change_result *ret, struct platter_error *err);

struct platter_rebase_options {
	size_t size;               /* sizeof(struct platter_rebase_options) */
	const char *parent_format; /* NULL: look */
	bool rename_only;          /* the new parent holds what the old one held: move no data */
};

/*
 * Make the overlay `image` stand on `parent` (NULL: on none) and read as before: where the
 * two parents differ, the old one's bytes are stored in the overlay first.  A relative
 * `parent` counts from the current folder, and is stored as seen from that of the image.
 * Errors: -EINVAL, -ENOTSUP: the format has no parents, or not of that format; -ELOOP: the new
 * parent stands on the image; -EBUSY: it holds snapshots, which would read differently.
 */
PLATTER_API int platter_rebase(const char *image, const char *parent,
			       const struct platter_rebase_options *options,
			       struct platter_progress *progress, struct platter_change_result *ret,
			       struct platter_error *err);

#ifdef __cplusplus
}
#endif
#endif
