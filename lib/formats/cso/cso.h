/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cso.h - compressed ISO images of the PSP's loaders: CSO in two versions, and ZSO
 *
 * The disc in blocks of one size, each compressed or stored.  Spec: README_CSO.md and
 * README_ZSO.md of maxcso.  All integers are little-endian.
 *
 *	offset  size  field
 *	     0     4  magic: "CISO", of ZSO "ZISO"
 *	     4     4  size of the header, 24; version 1 has anything here
 *	     8     8  size of the disc
 *	    16     4  bytes of a block, a power of two, mostly 2048
 *	    20     1  version: 0 and 1 are the same, or 2; of ZSO 1
 *	    21     1  shift: offsets in the index count in 1 << shift bytes
 *	    24        index: 4 bytes for each block, and one for the end
 *
 * An entry is an offset and, in bit 31, a flag: the block is stored as it is; of version 2, it
 * is compressed by LZ4.  A block ends where the next one begins, with what that is aligned by.
 * In version 2 what takes as many bytes as the block has, or more, is stored as it is.
 */
#ifndef PL_CSO_H
#define PL_CSO_H

#include "format.h"

enum {
	HEADER_SIZE = 4,
	DISC_SIZE = 8,
	BLOCK_SIZE = 16,
	VERSION = 20,
	SHIFT = 21,
	HEADER_BYTES = 24,
};

#define CSO_FLAG 0x80000000u

enum pl_cso_kind {
	CSO_1,
	CSO_2,
	ZSO
};

/* Discs are made of these. */
#define CSO_SECTOR 2048u

extern const struct platter_option_info pl_cso_options[], pl_zso_options[];
int pl_cso_create(const struct pl_create_request *request, struct pl_writer **ret,
		  struct platter_error *err);
int pl_zso_create(const struct pl_create_request *request, struct pl_writer **ret,
		  struct platter_error *err);

#endif
