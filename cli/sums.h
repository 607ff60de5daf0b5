/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sums.h - the checksum files beside an image, in the form that `sha256sum -c` reads
 *
 * IMAGE.sha256 (.md5, ...) holds one line for each file of the image, with the hash of
 * that file.  A single raw file is the disk itself; for every other image the hash of
 * the disk's bytes stands in a comment above.
 */
#ifndef SUMS_H
#define SUMS_H

#include <platter/job.h>

/* What was written. */
struct sums {
	char **files;
	size_t nr_files;
};

/*
 * Before the work: refuse to replace checksum files that exist unless the image may be
 * replaced too.  Errors: -EEXIST.
 */
int sums_check(const struct platter_create_options *options, const char *target,
	       struct platter_error *err);

/*
 * Write the files for the hashes in `result`; none for standard output and devices.
 * Errors: -EIO, -ENOSPC, -EACCES, -ECANCELED, -ENOMEM, ...
 */
int sums_write(const struct platter_create_options *options, const char *target,
	       const struct platter_copy_result *result, struct platter_progress *progress,
	       struct sums *ret, struct platter_error *err);

void sums_done(struct sums *sums);

#endif
