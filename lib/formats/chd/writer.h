/* SPDX-License-Identifier: GPL-3.0-or-later */
/* writer.h - new CHDs */
#ifndef PL_CHD_WRITER_H
#define PL_CHD_WRITER_H

#include <limits.h>

#include "chd.h"

/* MAME takes no larger ones. */
#define MAX_NEW_HUNK (1u << 20)

enum chd_type {
	TYPE_CD,
	TYPE_DVD,
	TYPE_HD,
	TYPE_RAW,
};

struct chd_plan {
	enum chd_type type;
	uint32_t hunk_size, unit_size;
	const struct chd_codec *codecs[NR_CODECS];
	size_t nr_codecs; /* 0: nothing is compressed */
};

/* What the options of a request ask for. */
int pl_chd_plan(const struct pl_create_request *request, struct chd_plan *ret,
		struct platter_error *err);

/* seen.c: hunks that are in the file already, by SHA-1 */

struct seen_hunks {
	struct seen_hunk *slots; /* a hash table, half of it free */
	size_t nr, nr_slots;
};

/* The hunk with that SHA-1; else `hunk` is remembered as the one that has it, and returned. */
uint32_t pl_chd_seen(struct seen_hunks *s, const uint8_t sha1[static SHA1_BYTES], uint32_t hunk);
void pl_chd_seen_done(struct seen_hunks *s);

/* contents.c: what a new CHD says of its data */

/*
 * The frames of the disc, or of the data, that is written (sectors of 2048 bytes), and an entry
 * of metadata for each track.
 */
int pl_chd_plan_cd(const struct pl_create_request *request, struct metadata_list *m,
		   struct pl_disk **ret_frames, struct platter_error *err);
int pl_chd_add_geometry(struct metadata_list *m, uint64_t size, uint32_t sector_size,
			struct platter_error *err);

#endif
