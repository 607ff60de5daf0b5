/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * plist.h - property lists in XML, read front to back
 *
 * The list of an image of a terabyte is of 50 MiB, nearly all of it tables in base64: they are
 * handed on as they are decoded, and nothing of the list is kept.
 */
#ifndef PL_PLIST_H
#define PL_PLIST_H

#include "disk.h"

/* "resource-fork/blkx/Name": the keys that lead to a value; arrays add nothing to it. */
#define PL_PLIST_PATH 256
/* Texts are cut to this, with their NUL. */
#define PL_PLIST_TEXT 1024
/* Dicts and arrays in each other; four are in use. */
#define PL_PLIST_DEPTH 16

/*
 * `at`: byte of the file where the value begins.  Each returns 0 or a negative errno with *err.
 * NULL: nobody wants to know of these.
 */
struct pl_plist_handler {
	/* A dict begins or ends. */
	int (*begin)(void *with, const char *path, uint64_t at, struct platter_error *err);
	int (*end)(void *with, const char *path, uint64_t at, struct platter_error *err);
	/* A string, number, date; "true" or "false". */
	int (*text)(void *with, const char *path, const char *text, uint64_t at,
		    struct platter_error *err);
	/* Bytes of a data element as they come; n is 0 at its end. */
	int (*data)(void *with, const char *path, const uint8_t *bytes, size_t n, uint64_t at,
		    struct platter_error *err);
};

/*
 * Read the list at [offset, offset + length) of `file`.  -EUCLEAN: it is none, at the byte that
 * the error names.  What follows its end is not looked at.
 */
int pl_plist_read(struct pl_disk *file, uint64_t offset, uint64_t length,
		  const struct pl_plist_handler *handler, void *with, struct platter_error *err);

#endif
