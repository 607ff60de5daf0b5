/* SPDX-License-Identifier: GPL-3.0-or-later */
/* create.h - new images, and disks put back; see platter_create() and platter_restore() */
#ifndef PL_CREATE_H
#define PL_CREATE_H

#include <platter/job.h>

#include "format.h"
#include "place.h"
#include "storage.h"

int pl_create(struct pl_place *source, const char *target,
	      const struct platter_create_options *options, struct platter_progress *progress,
	      struct platter_copy_result *ret, struct platter_error *err);

/*
 * Make `target` anew from `source`, which is that image, or stands on it; the old one is there
 * until the new one takes its name, owner, mode and identifiers.
 */
int pl_create_again(struct pl_place *source, const char *target,
		    const struct platter_create_options *options, struct platter_progress *progress,
		    struct platter_copy_result *ret, struct platter_error *err);

int pl_create_empty(const char *target, uint64_t size, const struct platter_create_options *options,
		    struct platter_error *err);

int pl_restore_check(struct pl_place *source, const char *target,
		     const struct platter_restore_options *options, struct platter_error *err);

int pl_restore(struct pl_place *source, const char *target,
	       const struct platter_restore_options *options, struct platter_progress *progress,
	       struct platter_copy_result *ret, struct platter_error *err);

/* The format that is asked for, by name or by the ending of `target`, and whether it has the options. */
int pl_create_format(const char *target, const struct platter_create_options *options,
		     const struct pl_format **ret, struct platter_error *err);

/* -EINVAL: nothing empty can be made in this format. */
int pl_refuse_empty(const struct pl_format *format, struct platter_error *err);

/* A writer of a format that has one: `request` tells of the file and the disk, `options` how. */
int pl_create_writer(const struct pl_format *format, const struct platter_create_options *options,
		     struct pl_create_request *request, struct pl_writer **ret,
		     struct platter_error *err);

/*
 * Compare what was written with the source (or, where the source was a stream, its hash
 * with `expected`), reading from the medium.  -EILSEQ when they differ.
 */
int pl_verify_copy(struct pl_disk *source, struct pl_disk *written,
		   const struct platter_hash *expected, struct platter_progress *progress,
		   struct platter_error *err);

/* Does any file that `disk` stands on, backing files included, have this id? */
bool pl_stands_on(struct pl_disk *disk, struct pl_file_id id);

/* -EINVAL if any file of `place`, backing files included, is a file of `target`. */
int pl_refuse_same_file(const struct pl_place *source, const char *target,
			struct platter_error *err);

/*
 * The bits of the key that the options ask the file of an image to be encrypted with, as a whole
 * and whatever the format writes to it; 0: it is not.
 */
int pl_create_encryption(const struct pl_format *format,
			 const struct platter_create_options *options, uint32_t *ret_bits,
			 struct platter_error *err);

#endif
