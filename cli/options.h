/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * options.h - the verbs and options of the command, and the parser of them
 *
 * One table of options and one of verbs are what the parser, --help and the shell
 * completions are made from.  An option stands in the table once, so its letter and
 * its meaning are the same in every verb that takes it.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <platter/job.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Exit statuses, the same in every verb. */
enum {
	STATUS_DONE = 0,
	STATUS_NO = 1, /* the answer is no: differs, damaged */
	STATUS_USAGE = 2,
	STATUS_FAILED = 3,
	STATUS_BAD_SECTORS = 4, /* done, but some sectors could not be read */
};

enum option_id {
	OPT_HELP,
	OPT_JSON,
	OPT_QUIET,
	OPT_PROGRESS,
	OPT_INPUT_FORMAT,
	OPT_IGNORE_CHECKSUMS,
	OPT_PASSPHRASE_FILE,
	OPT_PARENT,
	OPT_PARENT_FORMAT,
	OPT_NO_PARENT,
	OPT_UNSAFE,
	OPT_REMOVE,
	OPT_FORMAT,
	OPT_OPTION,
	OPT_COMPRESS,
	OPT_SPARSE,
	OPT_SPLIT,
	OPT_HASH,
	OPT_VERIFY,
	OPT_STDOUT,
	OPT_RESUME,
	OPT_FORCE,
	OPT_NO_SYNC,
	OPT_THREADS,
	OPT_YES,
	OPT_WIPE_REST,
	OPT_NO_GPT_FIX,
	OPT_IGNORE_ZERO_TAIL,
	OPT_OFFSET,
	OPT_LENGTH,
	OPT_SIZE,
	OPT_DISCARD_DATA,
	OPT_CREATE,
	OPT_APPLY,
	OPT_DELETE,
	OPT_DRY_RUN,
	OPT_COPY,
	OPT_LONG,
	OPT_RECURSIVE,
	OPT_ATTRIBUTES,
	OPT_DELETED,
	OPT_STREAM,
	OPT_NAME,
	OPT_INAME,
	OPT_TYPE,
	OPT_SIZE_TEST,
	OPT_NEWER,
	OPT_FOLDER,
	OPT_NO_OWNER,
	OPT_STREAMS,
	OPT_TAR,
	OPT_USED_ONLY,
	OPT_BACKUP,
	OPT_LICENSE,
	OPT_SPEED,
	OPT_SIMULATE,
	OPT_BLANK,
	OPT_FORMAT_DISC,
	OPT_MULTI,
	OPT_ADD_SESSION,
	OPT_CLOSE,
	OPT_EJECT,
	OPT_RETRIES,
	OPT_FROM,
	OPT_LABEL,
	OPT_PUBLISHER,
	OPT_PREPARER,
	OPT_APPLICATION,
	OPT_SYSTEM,
	OPT_VOLUME_SET,
	OPT_NO_ROCK_RIDGE,
	OPT_NO_JOLIET,
	OPT_HFSPLUS,
	OPT_IMPLANT_MD5,
	OPT_UDF,
	OPT_XATTRS,
	OPT_EXCLUDE,
	OPT_WEIGHT,
	OPT_SORT_WEIGHTS,
	OPT_BOOT_BIOS,
	OPT_BOOT_UEFI,
	OPT_BOOT_GRUB2,
	OPT_NO_BOOT_TABLE,
	OPT_ISOHYBRID,
	OPT_APPEND,
	OPT_LIKE,
	OPT_TABLE,
	OPT_PARTITION,
	OPT_FS,
	OPT_METHOD,
	OPT_LIST_METHODS,
	OPT_CERTIFICATE,
	OPT_OPERATOR,
	OPT_ORGANISATION,
	OPT_LOCATION,
	OPT_DESTINATION,
	OPT_PROPERTY,
	OPT_WIPE_VERIFY,
	OPT_STATE,
	OPT_FREE_SPACE,
	OPT_SLACK,
	OPT_HIDDEN_AREAS,
	OPT_SAMPLE,
	OPT_SEED,
	OPT_EXAMPLES,
	OPT_LOST,
	OPT_PNG,
	OPT_SVG,
	OPT_ALSO,
	OPT_TIMEOUT,
	OPT_REVERSE,
	OPT_NO_TRIM,
	OPT_NO_SCRAPE,
	OPT_USED_FIRST,
	NR_OPTIONS
};

enum option_kind {
	OPTION_FLAG,
	OPTION_TEXT,
	OPTION_PARENTS,    /* a path; may be given again */
	OPTION_LIST,       /* text; may be given again */
	OPTION_FORMAT,     /* name of an image format */
	OPTION_MAYBE_TEXT, /* its argument may be left out: -c, -czstd, --compress=zstd */
	OPTION_CHOICE,     /* one of `values` */
	OPTION_SIZE,       /* bytes, as platter_parse_size() reads them; not 0 */
	OPTION_OFFSET,     /* the same, or 0 */
	OPTION_COUNT,      /* 1 to 1024 */
	OPTION_TIMES,      /* the same, or 0 */
	OPTION_PAIRS,      /* KEY=VALUE[,KEY=VALUE...]; may be given again */
};

struct option_info {
	const char *name; /* without the dashes */
	char letter;      /* 0: none */
	enum option_kind kind;
	const char *argument; /* what --help calls it */
	const char *values;   /* "auto|bar": what may stand there, or NULL */
	const char *help;     /* one line */
};
extern const struct option_info option_table[NR_OPTIONS];

struct verb {
	const char *name;
	const char *operands; /* "SOURCE IMAGE" */
	unsigned min_operands, max_operands;
	const char *summary;           /* one line, for the list of verbs */
	const char *details;           /* lines for --help */
	const char *examples;          /* lines for --help */
	const enum option_id *options; /* in the order of --help, ended by OPT_HELP */
};
extern const struct verb verb_table[]; /* ended by a NULL name */

const struct verb *verb_by_name(const char *name);
bool verb_takes(const struct verb *verb, enum option_id id);

struct option_value {
	bool given;
	const char *text; /* as given; "" where the argument was left out */
	uint64_t number;  /* SIZE, COUNT, TIMES; CHOICE: index in its values */
};

struct listed_option {
	enum option_id id;
	const char *text;
};

/* What one command line asks for.  Strings belong to argv, except the pairs. */
struct arguments {
	const struct verb *verb;
	struct option_value option[NR_OPTIONS];
	const char **operands;
	size_t nr_operands;
	struct platter_key_value *pairs;
	size_t nr_pairs;
	const char **parents;
	size_t nr_parents;
	struct listed_option
		*listed; /* of the kind OPTION_LIST, in the order that they were given */
	size_t nr_listed;
	int argc;
	char **argv; /* as given, argv[0] the verb */
	bool json;   /* --json stood somewhere, even where the rest was wrong */
};

/*
 * Read argv[1..] for `verb`; argv[0] is the verb's own name.  Options and operands may
 * be mixed, "--" ends the options, a dash before a digit begins an operand, a long name may be cut as long as it is unambiguous.
 * Returns 0, or -1 with the reason in *ret_why (to be freed; NULL if out of memory).  Free
 * the arguments with arguments_done() either way.  --help stops reading.
 */
int arguments_parse(const struct verb *verb, int argc, char **argv, struct arguments *ret,
		    char **ret_why);
void arguments_done(struct arguments *args);

/* All that were given of one that may be given again; *ret is to be freed.  -1: out of memory. */
int option_list(const struct arguments *args, enum option_id id, const char ***ret, size_t *ret_nr);

/* The index-th of "a|b|c" in *ret (not terminated) and its length; 0 past the last. */
size_t value_at(const char *values, size_t index, const char **ret);

#endif
