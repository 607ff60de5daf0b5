/* SPDX-License-Identifier: GPL-3.0-or-later */
/* manifest.h - the digests that an appliance has of its files */
#ifndef PL_MANIFEST_H
#define PL_MANIFEST_H

#include "format.h"
#include "tar.h"

/*
 * Compare the files in `tar`, an archive in `file`, with the digests in its manifest, if it has
 * one; for a format's check().
 */
int pl_manifest_check(struct pl_disk *file, const struct pl_tar *tar, struct pl_findings *findings,
		      struct platter_error *err);

#endif
