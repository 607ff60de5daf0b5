/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/job.h - the work: copy, measure, restore, verify, compare
 *
 * Every job runs on all processors, holds a bounded amount of memory whatever the
 * size of the disk, reports through a `struct platter_progress` (may be NULL) and
 * blocks the calling thread until it is done.  Several jobs may run at once from
 * different threads.
 */
#ifndef PLATTER_JOB_H
#define PLATTER_JOB_H

#include <platter/device.h>
#include <platter/disk.h>
#include <platter/progress.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What of a volume is in use, as platter_create() with `used_only` tells it: one for each
 * partition, or for the whole disk if that has none; the logical volumes of a physical volume
 * come before it.
 */
struct platter_used_volume {
	uint32_t partition;    /* number; 0: the whole disk */
	const char *content;   /* name of what it holds: "ext4", "ntfs", ...; "" unknown */
	const char *label;     /* "" if none */
	uint64_t offset, size; /* on the disk */
	uint64_t used;         /* bytes that are kept; `size` if all of it is */
	const char *whole;     /* why all of it is kept, or NULL */
	const char *warning;   /* dirty, hibernated, mounted: what to mind, or NULL */
	const char *logical;   /* "vg/root": a logical volume, on which `offset` is; or NULL */
};

enum platter_sparse {
	PLATTER_SPARSE_AUTO,   /* keep holes, and leave out zeros in 64 KiB blocks */
	PLATTER_SPARSE_ALWAYS, /* leave out zeros in 4 KiB blocks */
	PLATTER_SPARSE_NEVER,  /* store every byte */
};

struct platter_key_value {
	const char *key, *value;
};

struct platter_create_options {
	size_t size;        /* sizeof(struct platter_create_options) */
	const char *format; /* of the new image; NULL: by the target's extension, else raw */
	const struct platter_key_value *options; /* -o KEY=VALUE, the format's own */
	size_t nr_options;
	const char *compress; /* NULL none; "" the format's default; "zstd", "zlib:6", "bzip2" */
	enum platter_sparse sparse;
	uint64_t split;     /* bytes a part, 0: one file */
	const char *hashes; /* "sha256,md5": of the disk's bytes; NULL none */
	bool verify;        /* read back and compare what was written */
	bool resume;        /* go on with TARGET.part where it stopped */
	bool overwrite;     /* replace an existing file */
	bool no_sync;       /* do not wait until the image is on stable storage */
	unsigned threads;   /* 0: one a processor */

	/*
	 * The image becomes an overlay of the one at this path, which counts from the current
	 * folder; a format without parents refuses it.
	 */
	const char *parent;
	const char *parent_format; /* NULL: look */

	/*
	 * Store only what is in use: the blocks that file systems say they use, all of what is
	 * not known or damaged, partition tables, boot areas and gaps.  The rest becomes holes.
	 * `each_volume` (may be NULL) is told of every volume before the copying begins.
	 */
	bool used_only;
	void (*each_volume)(const struct platter_used_volume *volume, void *closure);
	void *closure;
};

#define PLATTER_MAX_HASHES 4

struct platter_hash {
	char name[16]; /* "sha256" */
	char hex[129]; /* of the disk's bytes, lower case */
};

struct platter_copy_result {
	uint64_t size;   /* bytes of the disk */
	uint64_t data;   /* of these stored */
	uint64_t zero;   /* of these left out as zeros or holes */
	uint64_t bad;    /* of these unreadable in the original */
	uint64_t kept;   /* of these already there when work resumed */
	uint64_t shared; /* of these shared with the source instead of copied */
	uint64_t stored; /* bytes that the target takes up; UINT64_MAX for a stream */
	uint64_t unused; /* of `zero`: left out because nothing uses them (used_only) */
	double seconds;
	bool verified;
	struct platter_hash hashes[PLATTER_MAX_HASHES];
	size_t nr_hashes;
};

/*
 * Make the image `target` ("-": standard output) from the disk `source`.
 *
 * The image is written as TARGET.part and appears under its name only when it is
 * whole (and on stable storage, unless no_sync).  After a failure or a
 * cancellation TARGET.part stays where it can be resumed; else it is removed.
 * Errors: -EEXIST, -ENOSPC, -EROFS, -EIO, -EUCLEAN, -ENOTSUP, -EINVAL, -ECANCELED,
 * -ENOMEM; -EILSEQ when `verify` finds a difference.
 */
PLATTER_API int platter_create(struct platter_disk *source, const char *target,
			       const struct platter_create_options *options,
			       struct platter_progress *progress, struct platter_copy_result *ret,
			       struct platter_error *err);

/*
 * Make an empty image of `size` bytes, or with options->parent an overlay; 0: of the parent's
 * size.
 * Errors as platter_create().
 */
PLATTER_API int platter_create_empty(const char *target, uint64_t size,
				     const struct platter_create_options *options,
				     struct platter_error *err);

struct platter_measure_options {
	size_t size;                             /* sizeof(struct platter_measure_options) */
	const char *format;                      /* of the image; NULL: raw */
	const struct platter_key_value *options; /* these as in platter_create_options */
	size_t nr_options;
	const char *compress;
	enum platter_sparse sparse;
	/*
	 * Read the disk and leave out the zeros that it stores, as platter_create() does.  Else
	 * they count as data, and only the disk's map is looked at.  With compression, or a source
	 * that is a stream, everything is read anyhow.
	 */
	bool look_for_zeros;
	unsigned threads;
};

struct platter_measure_result {
	uint64_t size;     /* bytes of the disk */
	uint64_t data;     /* of these that would be stored */
	uint64_t bad;      /* of these that are known as unreadable */
	uint64_t required; /* bytes that the image would be long, all its files together */
	uint64_t written;  /* of these written; the rest would be holes of the file */
	/*
	 * How long it may become: every byte of the disk stored, nothing of it compressible.
	 * UINT64_MAX: the format has no room for that.
	 */
	uint64_t full;
	double seconds;
};

/*
 * Tell how large the image would be that platter_create() makes of `source`, writing nothing:
 * the format's own writer lays it out, as if it were to be called "image": the names of several
 * files may stand in one of them.  A file that options name (backing_file=PATH) counts from
 * the current folder.
 * Errors: -EINVAL, -ENOTSUP, -EFBIG: it cannot be made; -EIO, -EUCLEAN, -ECANCELED, -ENOMEM.
 */
PLATTER_API int platter_measure(struct platter_disk *source,
				const struct platter_measure_options *options,
				struct platter_progress *progress,
				struct platter_measure_result *ret, struct platter_error *err);

/* The same of a disk of `size` bytes that holds nothing; see platter_create_empty(). */
PLATTER_API int platter_measure_empty(uint64_t size, const struct platter_measure_options *options,
				      struct platter_progress *progress,
				      struct platter_measure_result *ret,
				      struct platter_error *err);

struct platter_restore_options {
	size_t size;     /* sizeof(struct platter_restore_options) */
	bool wipe_rest;  /* make what lies past the source read as zeros */
	bool no_gpt_fix; /* leave the GPT as it is in the source */
	bool verify;
	bool resume; /* skip what the target already holds */
	const char *hashes;
	unsigned threads;
	/*
	 * What the target was when somebody was asked whether it may be overwritten, see
	 * platter/device.h: another is refused.  NULL: nobody was.
	 */
	const struct platter_identity *identity;
};

/*
 * Answer whether `target` (the path of a device or of an existing image) may be
 * overwritten with `source`: refused when it is too small, read-only, mounted,
 * used as swap or by another device, or part of the source; or when its sectors are not
 * those that the source's GPT counts in, unless options->no_gpt_fix; or when it is another than
 * options->identity.  Nothing is written.
 * Errors: -ENOSPC, -EROFS, -EBUSY, -EINVAL, -ENOENT, -EACCES, -ENODEV.
 */
PLATTER_API int platter_restore_check(struct platter_disk *source, const char *target,
				      const struct platter_restore_options *options,
				      struct platter_error *err);

/*
 * Overwrite `target` with the bytes of `source`, after the checks of
 * platter_restore_check().  A GPT is moved to fit a larger target: both headers are
 * rebuilt, the backup at the new end.  The kernel is asked to read the new
 * partition table.
 * Errors: those of the check; -EIO, -EUCLEAN, -ECANCELED; -EILSEQ from `verify`.
 */
PLATTER_API int platter_restore(struct platter_disk *source, const char *target,
				const struct platter_restore_options *options,
				struct platter_progress *progress, struct platter_copy_result *ret,
				struct platter_error *err);

enum platter_severity {
	PLATTER_NOTE,     /* worth knowing; nothing is wrong */
	PLATTER_LEAK,     /* space is lost, no data */
	PLATTER_DAMAGE,   /* data or structure is wrong */
	PLATTER_REPAIRED, /* was wrong, and is right now; see platter_repair() */
};

struct platter_finding {
	enum platter_severity severity;
	uint64_t offset;     /* in the image file, or PLATTER_NO_OFFSET */
	const char *message; /* valid during the call */
};

struct platter_verify_result {
	uint64_t damages, leaks, notes; /* findings of each severity */
	uint64_t size;                  /* bytes of the disk */
	uint64_t read;                  /* bytes read and decoded */
	uint64_t checksummed;           /* of these compared with checksums that the image stores */
	double seconds;
	struct platter_hash hashes[PLATTER_MAX_HASHES];
	size_t nr_hashes;
};

/*
 * Check the structure of the image below `disk`, read and decode all of its data,
 * and compare the checksums that the format stores.  `found` is called for each
 * finding, never from two threads at once.  Returns 0 when the work was done, damaged or
 * not: see ret->damages.  `hashes` as in platter_create_options.
 * Errors: -ECANCELED, -ENOMEM, -EINVAL.
 */
PLATTER_API int platter_verify(struct platter_disk *disk, const char *hashes,
			       void (*found)(const struct platter_finding *finding, void *closure),
			       void *closure, struct platter_progress *progress,
			       struct platter_verify_result *ret, struct platter_error *err);

struct platter_compare_result {
	bool equal;               /* same size and bytes */
	bool equal_but_zero_tail; /* the longer one ends in zeros; all else is the same */
	uint64_t size_a, size_b;
	uint64_t first_difference;    /* offset, or PLATTER_NO_OFFSET */
	uint64_t different_bytes;     /* within the common length */
	uint64_t different_extents;   /* runs of 512-byte blocks that differ */
	uint64_t nonzero_tail_offset; /* first byte that is not zero past the common length */
	double seconds;
};

/*
 * Compare the contents of two disks, whatever their formats.
 * Errors: -EIO, -EUCLEAN, -ECANCELED, -ENOMEM.
 */
PLATTER_API int platter_compare(struct platter_disk *a, struct platter_disk *b,
				struct platter_progress *progress,
				struct platter_compare_result *ret, struct platter_error *err);

#ifdef __cplusplus
}
#endif
#endif
