/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * decmpfs.h - files that macOS compressed, of HFS+ and APFS
 *
 * Such a file has the flag UF_COMPRESSED, an empty data fork (HFS+) or no data stream
 * (APFS), and the attribute "com.apple.decmpfs": a header, then the compressed bytes if they
 * are few.  More of them are in the resource fork, in chunks of 64 KiB each.
 */
#ifndef PL_DECMPFS_H
#define PL_DECMPFS_H

#include "disk.h"

#define PL_DECMPFS_ATTRIBUTE "com.apple.decmpfs"

/* In the file's BSD flags. */
#define PL_UF_COMPRESSED 0x20u

/* Of the attribute this much tells the size; longer values than the limit are refused. */
#define PL_DECMPFS_HEADER 16
#define PL_DECMPFS_MAX    MIB(16)

struct pl_decmpfs {
	uint32_t type;
	uint64_t size;   /* of the file, decompressed */
	bool in_fork;    /* the bytes are in the resource fork, which nobody else uses then */
	const char *how; /* "zlib", "LZVN", ...; NULL: not known, or not readable */
};

/*
 * The header at the beginning of the attribute's value, of which `n` bytes are given.
 * -EUCLEAN: it is none.
 */
int pl_decmpfs_decode(const void *value, size_t n, struct pl_decmpfs *ret,
		      struct platter_error *err);

/*
 * The decompressed file, called `name`.  `value`: the whole attribute, n bytes, copied;
 * `fork`: the resource fork, of which a reference is kept, or NULL if there is none.
 * -ENOTSUP: compressed in a way that is not known.
 */
int pl_decmpfs_open(const void *value, size_t n, struct pl_disk *fork, const char *name,
		    struct pl_disk **ret, struct platter_error *err);

#endif
