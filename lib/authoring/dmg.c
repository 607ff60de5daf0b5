/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dmg.c - a folder in a disk image that a Mac mounts
 *
 * No program of Debian's fills an HFS+ file system.  libisofs writes one: beside ISO 9660, on the
 * same contents, in an Apple partition map.  That hybrid, in a compressed DMG, is what every
 * Mac OS X mounts as HFS+.
 */
#include "dmg.h"

#include "create.h"
#include "iso.h"
#include "target.h"
#include "text.h"

static int
compress(const char *disc, const char *target, const struct platter_create_options *image,
	 struct platter_progress *progress, struct platter_author_result *ret,
	 struct platter_error *err)
{
	struct platter_copy_result copied = { 0 };
	struct pl_place *place;
	int r = pl_place_open(disc, "raw", 0, &place, err);

	if (r < 0)
		return r;
	r = pl_create(place, target, image, progress, &copied, err);
	ret->size = copied.size;
	ret->stored = copied.stored;
	pl_place_close(place);
	return r;
}

int
pl_author_dmg(const char *target, const char *from, const struct platter_iso_options *disc,
	      const struct platter_create_options *image, struct platter_progress *progress,
	      struct platter_author_result *ret, struct platter_error *err)
{
	struct platter_create_options dmg = *image;
	struct platter_iso_options hybrid = *disc;
	PL_AUTOFREE char *path = NULL;
	char *work = NULL;
	int r;

	dmg.format = dmg.format ? dmg.format : "dmg";
	hybrid.hfsplus = true;
	hybrid.no_sync = true;
	r = pl_target_check(target, &dmg, err);
	if (r == 0)
		r = pl_refuse_target_inside(target, from, err);
	if (r == 0)
		r = pl_work_folder(target, &work, err);
	if (r < 0)
		return r;
	path = pl_format("%s/disc", work);
	r = path ? pl_author_iso(path, from, &hybrid, progress, ret, err) : pl_no_memory(err);
	if (r == 0)
		r = compress(path, target, &dmg, progress, ret, err);
	pl_work_folder_remove(work);
	return r;
}
