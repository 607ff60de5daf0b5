/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * explain.h - from clues to statements
 *
 * What is known of a thing is a list of clues: a type code, a label, a path that is there.  Rules
 * (explain-rules.c) say which clues make what of it; the first whose conditions all hold is taken.
 * The reasons that are given are the clues that met the conditions, so that no statement is made
 * without one.
 */
#ifndef PL_EXPLAIN_H
#define PL_EXPLAIN_H

#include <platter/explain.h>

#include "facts.h"
#include "inventory.h"
#include "place.h"

enum pl_clue_kind {
	PL_CLUE_NONE,
	/* Of a disk, partition, volume or file. */
	PL_CLUE_TYPE,    /* type code of a partition: GUID, "0x27", "Apple_HFS" */
	PL_CLUE_NAME,    /* that the partition table gives it */
	PL_CLUE_CONTENT, /* "hfsplus", "ntfs", "crypto_LUKS" */
	PL_CLUE_USAGE,   /* "filesystem", "crypto", "raid" */
	PL_CLUE_LABEL,
	PL_CLUE_PATH,   /* of a rule, which is there */
	PL_CLUE_ENTRY,  /* a name in the top folder */
	PL_CLUE_PEOPLE, /* the folder of a person */
	PL_CLUE_BESIDE, /* type codes of the other partitions of its disk */
	PL_CLUE_TABLE,  /* "gpt", "mbr"; "hybrid": both, with partitions in each */
	PL_CLUE_FORMAT, /* of the image that it is the disk of */
	PL_CLUE_EMPTY,  /* a file system without a file; value "" */
	/* Of where it comes from. */
	PL_CLUE_KIND,   /* "drive", "loop", "mapper", ...; "image", "file", "stream" */
	PL_CLUE_NATURE, /* "physical", "virtual", ... */
	PL_CLUE_BUS,
	PL_CLUE_MAKER,  /* vendor and model */
	PL_CLUE_DRIVER, /* "dm-crypt (LUKS2)", "raid1" */
	PL_CLUE_BACKING,
	PL_CLUE_SIZE, /* "part" or "whole" */
};

struct pl_clue {
	enum pl_clue_kind kind;
	const char *value;
	const char *shown; /* how people read it; NULL: as `value` */
};

struct pl_clues {
	struct pl_arena *arena;
	struct pl_clue *list;
	size_t nr, capacity;
};

void pl_clue_add(struct pl_clues *clues, enum pl_clue_kind kind, const char *value,
		 const char *shown);

/* Holds if a clue of this kind matches one of "PATTERN|PATTERN", without regard to case. */
struct pl_condition {
	enum pl_clue_kind kind;
	const char *patterns;
};

#define PL_MAX_CONDITIONS 4

/* False unless all hold; *ret_because (may be NULL): the clues that met them, in words. */
bool pl_clues_meet(const struct pl_clues *clues, const struct pl_condition *when,
		   const char **ret_because);

/* What a rule says of data of people. */
enum pl_data_rule {
	PL_DATA_FIXED, /* as `data` says */
	PL_DATA_FILES, /* what files there are says it */
	PL_DATA_PARTS, /* what its parts hold says it */
};

struct pl_purpose_rule {
	const char *id;
	struct pl_condition when[PL_MAX_CONDITIONS]; /* ended by PL_CLUE_NONE if there are less */
	const char *purpose;
	const char *removal;
	enum pl_data_rule how;
	enum platter_data_of_people data;
	const char *data_because;
	const char *inside; /* "PATH|PATH": files that are disks themselves, looked into */
};
extern const struct pl_purpose_rule pl_purpose_rules[]; /* the last has no conditions */
extern const size_t pl_nr_purpose_rules;

struct pl_origin_rule {
	struct pl_condition when[PL_MAX_CONDITIONS];
	const char *origin; /* "{path}", "{maker}", ... are filled in */
	const char *because;
};
extern const struct pl_origin_rule pl_origin_rules[];
extern const size_t pl_nr_origin_rules;

/* Every one whose conditions hold is given. */
struct pl_advice_rule {
	struct pl_condition when[PL_MAX_CONDITIONS];
	const char *what, *command, *system;
};
extern const struct pl_advice_rule pl_advice_rules[];
extern const size_t pl_nr_advice_rules;

/* Where the folders of people are, and names among them that are nobody's. */
extern const char *const pl_people_folders[];
extern const char *const pl_nobodies[];
/* Names in a top folder that the system puts there. */
extern const char *const pl_system_entries[];

/*
 * Explain `place`, which was opened; `entry` is that of a partition that is a device, in the table
 * of its disk, or NULL.  Strings are made in `arena`.
 */
int pl_explain_disk(struct pl_place *place, const struct platter_table *table,
		    const struct platter_partition *entry, struct pl_arena *arena,
		    struct platter_explained *ret, struct platter_error *err);

/* As platter_explain() says; `format` and `given` as pl_place_open_given() takes them. */
int pl_explain(const char *name, const char *format, unsigned flags, struct pl_parents *given,
	       struct platter_explanation **ret, struct platter_error *err);
void pl_explanation_free(struct platter_explanation *explanation);

#endif
