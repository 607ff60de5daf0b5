/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * platter/error.h - what a failed call tells its caller
 *
 * Every function that can fail takes a `struct platter_error *` as its last
 * argument (NULL is allowed) and returns 0 or a negative errno:
 *
 *	-EUCLEAN  the image contradicts its own format: damaged or cut short
 *	-ENOTSUP  a well-formed image, or a request, that platter cannot handle
 *	-EFBIG    a number in the image passes a limit of platter's
 *	-EIO      the storage below could not be read or written
 *	-ENOENT   no such file, partition or snapshot
 *	-EBUSY    a device is mounted or in use, an image is used by another program
 *	-ENOSPC   the target is too small or full
 *	-EROFS    the target is read-only
 *	-ENOKEY   an encrypted image, and nobody gave a pass phrase for it
 *	-EKEYREJECTED a pass phrase was given, and it is the wrong one
 *	-ECANCELED the caller cancelled the work
 *	-EINVAL   an argument is wrong
 *	-ENOMEM   out of memory
 *
 * The structure is plain storage: nothing in it needs to be freed, and it may be
 * copied.  It is written only by a call that fails.
 */
#ifndef PLATTER_ERROR_H
#define PLATTER_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* platter_error.offset when the failure has no place in a file. */
#define PLATTER_NO_OFFSET UINT64_MAX

struct platter_error {
	int code;           /* negative errno; the value that the call returned */
	uint64_t offset;    /* byte of `place` where the trouble is, or PLATTER_NO_OFFSET */
	char place[512];    /* the file or disk that `offset` counts in, or "" */
	char message[1024]; /* one phrase: what failed and why; lower case, no full stop */
	char hint[512];     /* what the user can do about it, or "" */
};

/* In the order of the members: C++ knows no other way before C++20. */
#define PLATTER_ERROR_INIT                       \
	{                                        \
		0, PLATTER_NO_OFFSET, "", "", "" \
	}

#ifdef __cplusplus
}
#endif
#endif
