/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tar.h - the files in a tar archive, as far as disk images come in one */
#ifndef PL_TAR_H
#define PL_TAR_H

#include "disk.h"

#define PL_TAR_BLOCK 512u

struct pl_tar_header {
	char name[256 + 1]; /* with the prefix of ustar */
	char type;          /* '0' or NUL: a file */
	uint64_t size;
};

/* False: it is none, by its checksum or its size. */
bool pl_tar_decode(const uint8_t block[static PL_TAR_BLOCK], struct pl_tar_header *ret);

struct pl_tar_member {
	char *name;            /* without "./" in front */
	uint64_t offset, size; /* of what there is of it in the archive */
	bool sparse;           /* in pieces, without its holes: cannot be read as it is */
	bool cut;              /* the archive ends before it does */
};

struct pl_tar {
	struct pl_tar_member *members; /* files only */
	size_t nr, capacity;
	uint64_t damaged_at; /* where a header should be after them; 0: nothing is missing */
};

/*
 * List the files in a tar: ustar, pax, GNU's and the old format.  An archive that is cut short
 * or damaged has those that begin before that.
 * Errors: -EUCLEAN: it does not begin with a header; -EFBIG: too many files, too long names.
 */
int pl_tar_read(struct pl_disk *file, struct pl_tar *ret, struct platter_error *err);
void pl_tar_done(struct pl_tar *tar); /* also of a zeroed one */

#endif
