/* SPDX-License-Identifier: GPL-3.0-or-later */
/* chain.h - overlays and their parents; see platter_commit(), _flatten(), _rebase() */
#ifndef PL_CHAIN_H
#define PL_CHAIN_H

#include <platter/change.h>

#include "format.h"

int pl_commit(const char *image, bool remove, struct pl_parents *given,
	      struct platter_progress *progress, struct platter_change_result *ret,
	      struct platter_error *err);

int pl_flatten(const char *image, struct pl_parents *given, struct platter_progress *progress,
	       struct platter_change_result *ret, struct platter_error *err);

int pl_rebase(const char *image, const char *parent, const struct platter_rebase_options *options,
	      struct platter_progress *progress, struct platter_change_result *ret,
	      struct platter_error *err);

#endif
