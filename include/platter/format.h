/* SPDX-License-Identifier: GPL-3.0-or-later */
/* platter/format.h - what can be read, written and created */
#ifndef PLATTER_FORMAT_H
#define PLATTER_FORMAT_H

#include <platter/disk.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An option that a format takes when it is created: -o KEY=VALUE. */
struct platter_option_info {
	const char *key;
	const char *values; /* "zstd|zlib", "512..2M", "PATH" */
	const char *help;   /* one line, with the default */
};

enum platter_ability {
	PLATTER_CAN_READ = 1 << 0,
	PLATTER_CAN_WRITE = 1 << 1, /* random writes into an existing image */
	PLATTER_CAN_CREATE = 1 << 2,
	PLATTER_CAN_COMPRESS = 1 << 3,
	PLATTER_CAN_BACK = 1 << 4,     /* backing files */
	PLATTER_CAN_SNAPSHOT = 1 << 5, /* internal snapshots are read */
	PLATTER_CAN_CHECK = 1 << 6,    /* has structure that `verify` checks */
};

/* What an image holds, and so what it can be made of. */
enum platter_holds {
	PLATTER_HOLDS_DISK,
	PLATTER_HOLDS_DISC,  /* a CD: made of one, or of data, which becomes its only track */
	PLATTER_HOLDS_SOUND, /* of a CD: made of a track */
};

struct platter_format_info {
	const char *name, *longname;
	const char *const *extensions; /* NULL-terminated, without the dot */
	unsigned abilities;            /* enum platter_ability */
	enum platter_holds holds;
	const struct platter_option_info *options; /* ends with key == NULL */
};

/* The index-th format, index from 0; NULL past the last.  Static storage. */
PLATTER_API const struct platter_format_info *platter_format_info(size_t index);

/* The same for partition schemes and for contents that are recognised: only read. */
PLATTER_API const struct platter_format_info *platter_table_info(size_t index);
PLATTER_API const struct platter_format_info *platter_content_info(size_t index);

/* Are the files inside of these contents read?  See platter/files.h. */
PLATTER_API bool platter_content_has_files(const struct platter_format_info *content);

/* Version of the library at run time, "MAJOR.MINOR.PATCH". */
PLATTER_API const char *platter_version(void);

#ifdef __cplusplus
}
#endif
#endif
