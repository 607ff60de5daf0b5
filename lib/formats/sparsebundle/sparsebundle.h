/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sparsebundle.h - Apple's sparse bundles: layout, and what the parts share
 *
 * A folder:
 *
 *	Info.plist	property list: size of the disk, size of a band
 *	Info.bckup	the same again
 *	token		empty; or the header of an encrypted image (cdsa.h)
 *	bands/		the disk, cut into files that are named by their numbers
 *
 * Bands that are not there, and what follows the end of one, read as zeros.  In an encrypted
 * bundle each band is encrypted by itself, and its blocks count from 0.
 */
#ifndef PL_SPARSEBUNDLE_H
#define PL_SPARSEBUNDLE_H

#include "cdsa.h"
#include "format.h"

#define INFO_NAME   "Info.plist"
#define BACKUP_NAME "Info.bckup"
#define TOKEN_NAME  "token"
#define BANDS_NAME  "bands"

#define SECTOR   512u
#define NEW_BAND MIB(8)
#define MIN_BAND 512u
#define MAX_BAND GIB(8) /* what hdiutil takes at most */
#define MAX_INFO MIB(1)

struct bundle_info {
	uint64_t size, band_size;
};

/* info.c */

/* Does a property list begin with these n bytes that looks like a sparse bundle's? */
bool pl_sparsebundle_looks(const uint8_t *head, size_t n);
/* What the property list in `file` says. */
int pl_sparsebundle_read_info(struct pl_disk *file, struct bundle_info *ret,
			      struct platter_error *err);
/* The text of a new property list, malloc()ed; NULL: no memory. */
char *pl_sparsebundle_new_info(const struct bundle_info *info);
/* The property list of `file` with another size, malloc()ed, and all else that is in it. */
int pl_sparsebundle_resized_info(struct pl_disk *file, uint64_t size, char **ret,
				 struct platter_error *err);

/* How the blocks of a bundle's bands are encrypted. */
struct pl_cdsa_layout pl_sparsebundle_layout(const struct bundle_info *info);

/* writer.c */
int pl_sparsebundle_create(const struct pl_create_request *request, struct pl_writer **ret,
			   struct platter_error *err);
extern const struct platter_option_info pl_sparsebundle_options[];

#endif
