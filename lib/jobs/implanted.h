/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * implanted.h - the MD5 of an ISO 9660 image that stands in the image itself
 *
 * implantisomd5 writes it, checkisomd5 and the installers of Fedora and its kin compare it.
 */
#ifndef PL_IMPLANTED_H
#define PL_IMPLANTED_H

#include "disk.h"
#include "format.h"
#include "progress.h"

/*
 * If `disk` is such an image, compare the MD5 with that of its data: a note that it fits, or
 * damage.  0 also where there is none, or no ISO 9660.  -ECANCELED: `meter` was cancelled.
 */
int pl_implanted_check(struct pl_disk *disk, struct pl_meter *meter, struct pl_findings *findings,
		       struct platter_error *err);

/*
 * Write it into the ISO 9660 image `disk`, as implantisomd5 does.
 * -EINVAL: it is no ISO 9660, or too small; -EEXIST: something else stands there.
 */
int pl_implant_md5(struct pl_disk *disk, struct platter_error *err);

#endif
