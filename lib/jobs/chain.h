/* SPDX-License-Identifier: GPL-3.0-or-later */
/* chain.h - overlays and their parents; see platter_commit(), _flatten(), _rebase() */
#ifndef PL_CHAIN_H
#define PL_CHAIN_H

#include <platter/change.h>

#include "format.h"
#include "place.h"

int pl_commit(const char *image, bool remove, struct pl_parents *given,
	      struct platter_progress *progress, struct platter_change_result *ret,
	      struct platter_error *err);

int pl_flatten(const char *image, struct pl_parents *given, struct platter_progress *progress,
	       struct platter_change_result *ret, struct platter_error *err);

int pl_rebase(const char *image, const char *parent, const struct platter_rebase_options *options,
	      struct platter_progress *progress, struct platter_change_result *ret,
	      struct platter_error *err);

/*
 * Make the image `place`, which is the file at `path`, anew in its format and with its options,
 * without a parent; the old one is there until the new one takes its name.
 */
int pl_make_anew(struct pl_place *place, const char *path, struct platter_progress *progress,
		 struct platter_change_result *ret, struct platter_error *err);

/* -EBUSY: the image holds snapshots, which would be lost or read differently. */
int pl_refuse_snapshots(struct pl_disk *disk, const char *image, struct platter_error *err);

#endif
