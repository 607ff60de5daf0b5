/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * xml.h - the little XML that descriptors of disk images are written in
 *
 * Elements, their attributes and text, front to back, in UTF-8.  Comments are passed over;
 * document types, which no such descriptor has, are refused.
 */
#ifndef PL_XML_H
#define PL_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

/* "Parallels_disk_image/StorageData/Storage/Image/File" and no more than that. */
#define PL_XML_PATH 256
#define PL_XML_TEXT 4096

struct pl_xml_handler {
	/*
	 * An element begins or ends.  `path` names it and all around it, with slashes between.
	 * `text` is what stands in an element that has no others in it, without the space around
	 * it; "" for one that has.  `at` is the byte where that text ends.
	 */
	int (*open)(void *with, const char *path, uint64_t at, struct platter_error *err);
	int (*close)(void *with, const char *path, const char *text, uint64_t at,
		     struct platter_error *err);
	/* Called after open() for each attribute.  NULL: they are passed over. */
	int (*attribute)(void *with, const char *path, const char *name, const char *value,
			 uint64_t at, struct platter_error *err);
	bool cut; /* text of more than PL_XML_TEXT bytes is cut; else refused */
};

/* -EUCLEAN: not well formed, at the byte that the error names. */
int pl_xml_parse(const char *text, size_t n, const struct pl_xml_handler *handler, void *with,
		 struct platter_error *err);

#endif
