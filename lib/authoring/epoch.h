/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * epoch.h - what makes two runs give the same bytes: SOURCE_DATE_EPOCH
 *
 * See https://reproducible-builds.org/specs/source-date-epoch/.
 */
#ifndef PL_EPOCH_H
#define PL_EPOCH_H

#include "error.h"

/* Its seconds since 1970; -1: it is not set.  -EINVAL: it is no such number. */
int pl_epoch(int64_t *ret, struct platter_error *err);

/*
 * An identifier, as RFC 4122 wants those of version 4 in the order of GUIDs: random, or with an
 * epoch derived from that and `what`.
 */
int pl_derive_guid(int64_t epoch, const char *what, uint8_t ret[static 16],
		   struct platter_error *err);

#endif
