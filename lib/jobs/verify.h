/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verify.h - is the image below a disk as it should be? */
#ifndef PL_VERIFY_H
#define PL_VERIFY_H

#include <platter/job.h>

#include "place.h"

/* As platter_verify() says. */
int pl_verify(struct pl_place *place, const char *hashes,
	      void (*found)(const struct platter_finding *finding, void *closure), void *closure,
	      struct platter_progress *progress, struct platter_verify_result *ret,
	      struct platter_error *err);

#endif
