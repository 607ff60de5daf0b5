/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lvm2.h - what the files of this driver share */
#ifndef PL_LVM2_H
#define PL_LVM2_H

#include "group.h"

#define LVM_SECTOR 512

/* The label is in one of the first four sectors. */
#define LVM_LABEL_BYTES (4 * LVM_SECTOR)

/* "xxxxxx-xxxx-xxxx-xxxx-xxxx-xxxx-xxxxxx" and a NUL. */
#define LVM_UUID_TEXT 39

/* A physical volume has none, one or two. */
#define LVM_MAX_AREAS 4

/* ---- label.c ---- */

struct lvm_area {
	uint64_t offset, size;
};

struct lvm_label {
	char uuid[LVM_UUID_TEXT]; /* as stored: any bytes */
	uint64_t size;
	bool checksum_matches;
	struct lvm_area area[LVM_MAX_AREAS];
	size_t nr_areas;
};

/* Find the label in the first LVM_LABEL_BYTES of a disk; false: there is none. */
bool pl_lvm_label_find(const uint8_t *head, struct lvm_label *ret);

/* The metadata text of an area, `length` bytes and a NUL. */
struct lvm_text {
	char *text;
	size_t length;
};

/*
 * Read the text that an area holds now.  -ENOENT: none yet, or it is not kept up to date here.
 * With `ignore_checksums` only lengths have to be right.
 */
int pl_lvm_text_read(struct pl_disk *disk, const struct lvm_area *area, bool ignore_checksums,
		     struct lvm_text *ret, struct platter_error *err);

/* ---- config.c: the language that the text is in ---- */

/* A part of a text: the inside of a section, or of a value. */
struct lvm_span {
	const char *at, *end;
	const char *text; /* the whole, for the line number in messages */
};

/* NAME { ... } or NAME = ... */
struct lvm_item {
	struct lvm_span name, body;
	bool is_section;
};

/* The whole of a text as a span. */
struct lvm_span pl_lvm_whole(const struct lvm_text *text);

/* Take the next item off a section: 1; 0: there is none left; or -EUCLEAN. */
int pl_lvm_next(struct lvm_span *section, struct lvm_item *ret, struct platter_error *err);

/* Take the next string or number off a value, single or an array: 1, 0 or -EUCLEAN. */
struct lvm_value {
	bool is_string;
	struct lvm_span string; /* without its quotes, escapes as they are */
	uint64_t number;        /* of what is no whole number below 2^63: UINT64_MAX */
};
int pl_lvm_value(struct lvm_span *value, struct lvm_value *ret, struct platter_error *err);

/* The first number of a value; UINT64_MAX: it has none. */
uint64_t pl_lvm_number(const struct lvm_item *item);

/* A string, its escapes undone and made fit to print, in the arena. */
const char *pl_lvm_string(struct pl_arena *arena, struct lvm_span string);

bool pl_lvm_is(struct lvm_span span, const char *word);

/* An error at `at` of the text. */
int pl_lvm_bad_text(const struct lvm_span *span, const char *what, struct platter_error *err);

/* ---- logical.c ---- */

struct lvm_segment {
	uint64_t start, length; /* bytes of the logical volume */
	enum platter_kind kind; /* DATA, ZERO or BAD */
	uint32_t nr_stripes;
	uint64_t stripe_size;
	size_t first_stripe; /* of those that say where each begins on the disk */
};

/*
 * Logical volume `of` of a group, as a disk called `name` made of segments, which are in order
 * and leave nothing out; all is copied.
 */
int pl_lvm_logical_new(const struct pl_group *g, const struct pl_logical *of,
		       const struct lvm_segment *segment, size_t nr, const uint64_t *stripe,
		       const char *name, struct pl_disk **ret, struct platter_error *err);

/* ---- group.c ---- */

int pl_lvm_group_open(struct pl_disk *disk, unsigned flags, struct pl_group **ret,
		      struct platter_error *err);

#endif
